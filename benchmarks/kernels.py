"""Environment steps a second of any scenario: the kernel for all scenarios, and its own.

    python -m benchmarks.kernels [NAME:ENVIRONMENTS ...] [--threads 1 2] [--repeats 9] [--json]

Random actions, drawn before the clock starts; episodes begun at different steps; wall time. Both
kernels (`specialise=False` and `True`) are measured in turns, so that what else the machine does
meets both; given are medians of the repeats, and the median of the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from typing import Any

from rich.console import Console
from rich.table import Table

import daogym

from .actions import random_actions
from .machine import machine

DEFAULT = ("supply_network:256", "serial_3:16384", "gpu_week:256", "lv_rural:256")


class Bench:
    """One kernel with its lanes."""

    def __init__(self, scenario: str, num_envs: int, threads: int, specialise: bool) -> None:
        self.simulator = daogym.make_simulator(
            scenario, num_envs, threads=threads, stagger=True, specialise=specialise
        )
        self.actions = random_actions(num_envs, self.simulator.action_size)
        self.simulator.reset(seed=0)
        self.run(0.0)

    def run(self, seconds: float) -> float:
        """Environment steps a second, over at least these seconds."""
        begun, calls = time.perf_counter(), 0
        while calls == 0 or time.perf_counter() - begun < seconds:
            for actions in self.actions:
                self.simulator.step(actions)
            calls += len(self.actions)
        return calls * self.simulator.num_envs / (time.perf_counter() - begun)


def measure(
    scenario: str, num_envs: int, threads: int, repeats: int, seconds: float
) -> dict[str, Any]:
    """Medians of both kernels."""
    plain, own = (Bench(scenario, num_envs, threads, specialise) for specialise in (False, True))
    pairs = [(plain.run(seconds), own.run(seconds)) for _ in range(repeats)]
    return {
        "scenario": scenario,
        "num_envs": num_envs,
        "threads": threads,
        "env_steps_per_s": statistics.median(rate for rate, _ in pairs),
        "specialised_env_steps_per_s": statistics.median(rate for _, rate in pairs),
        "ratio": statistics.median(other / rate for rate, other in pairs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", default=list(DEFAULT), metavar="NAME:ENVIRONMENTS")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of one repeat")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    records = []
    for case in asked.cases:
        name, _, count = case.rpartition(":")
        if not name or not count.isdigit():
            raise SystemExit(f"kernels: NAME:ENVIRONMENTS expected, got {case!r}")
        for threads in asked.threads:
            records.append(measure(name, int(count), threads, asked.repeats, asked.seconds))
    if asked.json:
        print(json.dumps({"machine": machine(), "records": records}))
        return
    table = Table(title="environment steps a second")
    for column in ("scenario", "environments", "threads", "all scenarios'", "its own", "ratio"):
        table.add_column(column, justify="left" if column == "scenario" else "right")
    for record in records:
        table.add_row(
            record["scenario"], str(record["num_envs"]), str(record["threads"]),
            f"{record['env_steps_per_s']:,.0f}", f"{record['specialised_env_steps_per_s']:,.0f}",
            f"{record['ratio']:.2f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(str(machine()), soft_wrap=True)


if __name__ == "__main__":
    main()
