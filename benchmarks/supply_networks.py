"""Steps per second of supply networks of growing size: a day costs the same for each node.

    python -m benchmarks.supply_networks [--nodes 10 30 100 300 1000]

One step is a day of one environment: orders, gate, shipping, customers, money, observation. The
network is a tree: a supplier, then centres with nine shops each, two modes a lane, one good.
Actions are drawn before the clock starts. Times are processor time of one thread, medians of
several repeats, so that other work on the machine distorts them less.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import daogym

SHOPS = 9
REPEATS = 5


def tree(nodes: int) -> dict[str, Any]:
    """Settings of a network with about this many nodes that keep stock."""
    centres = max(nodes // (SHOPS + 1), 1)
    places: list[dict[str, Any]] = [{"name": "supplier", "is_supplier": True}]
    lanes = []
    for c in range(centres):
        places.append({"name": f"centre_{c}", "tier": "centre", "x_km": 10.0 * c})
        lanes.append({"origin": "supplier", "destination": f"centre_{c}", "modes": ["truck"]})
        for i in range(SHOPS):
            name = f"shop_{c}_{i}"
            places.append({"name": name, "tier": "shop", "x_km": 10.0 * c, "y_km": 1.0 + i,
                           "mean_demand": [5.0], "holding_usd_per_day": 0.1})  # fmt: skip
            lanes.append({"origin": f"centre_{c}", "destination": name,
                          "modes": ["truck", "van"]})  # fmt: skip
    return {
        "name": f"tree_{nodes}",
        "goods": [{"name": "good", "price_usd": 5.0, "purchase_usd": 3.0}],
        "modes": [
            {"name": "truck", "lead_days": 2},
            {"name": "van", "lead_days": 1, "freight_usd": 0.5, "knob": "mode",
             "share_at_zero": 0.1},
        ],
        "nodes": places, "lanes": lanes,
    }  # fmt: skip


def nanoseconds(scenario: Any, num_envs: int) -> float:
    """Processor time of a step of one environment, median."""
    simulator = daogym.make_simulator(scenario, num_envs)
    simulator.reset(seed=0)
    draw = np.random.default_rng(0)
    shape = (8, num_envs, simulator.action_size)
    actions = draw.uniform(-1.0, 1.0, shape).astype(np.float32)
    found = []
    for _ in range(REPEATS + 1):
        begun, steps = time.thread_time(), 0
        while time.thread_time() - begun < 0.2:
            simulator.step(actions[steps % 8])
            steps += 1
        found.append(1e9 * (time.thread_time() - begun) / (steps * num_envs))
    return statistics.median(found[1:])


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[10, 30, 100, 300, 1000])
    options = parser.parse_args(arguments)
    table = Table("network", "nodes", "routes", "us a step", "ns a node", "steps/s, one thread")
    named: list[tuple[str, Any]] = [(name, name) for name in ("serial_3", "supply_network")]
    for name, scenario in [*named, *((f"tree of {n}", tree(n)) for n in options.nodes)]:
        network = daogym.make_simulator(scenario, 1).domain.network  # type: ignore[attr-defined]
        nodes = int((~network.supplier).sum())
        taken = nanoseconds(scenario, max(64, 4096 // nodes))
        table.add_row(
            name, f"{nodes}", f"{len(network.route_list)}", f"{taken / 1e3:.2f}",
            f"{taken / nodes:.0f}", f"{1e9 / taken:,.0f}",
        )  # fmt: skip
    Console().print(table)


if __name__ == "__main__":
    main()
