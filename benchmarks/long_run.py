"""Long-run cost a period of learnt policies beside the exact optimum, on presets that have one.

    python -m benchmarks.long_run RUN... [--lanes 250] [--periods 4000] [--warm_up 100] [--json F]

Runs of one scenario that dynamic programming solves (`lost_sales_...`, `dual_sourcing_...`). All
policies meet the same demand: lanes of one long episode each, whose first periods are left out.
The gap to the optimum is paired by lane, with the standard error over lanes. The optimum's exact
cost is in expectation; what it costs on these paths stands beside it.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import daogym
from daogym.agents.comparison import load_target, scenario_of
from daogym.envs.logistics.optimal import Optimal, is_solvable, optimum_of

SEED = 5_000_000
OTHERS = ("capped_base_stock", "base_stock")


def costs_of(controller: Any, simulator: Any, periods: int, warm_up: int) -> NDArray[np.float64]:
    """(N,) mean cost a period of each lane after `warm_up` periods."""
    simulator.reset(seed=SEED)
    controller.reset(simulator)
    total = np.zeros(simulator.num_envs)
    for period in range(warm_up + periods):
        simulator.step(controller.act(simulator))
        if period >= warm_up:
            total -= simulator.rewards
    return np.asarray(total / periods)


def measure(runs: list[str], lanes: int, periods: int, warm_up: int) -> dict[str, Any]:
    """Costs and paired gaps of all runs and of the simple policies."""
    scenario = scenario_of(runs)
    if scenario is None:
        raise SystemExit(f"long_run: run directories are expected, got {runs}")
    days = warm_up + periods + 1

    def make(action_mode: str | None) -> Any:
        return daogym.make_simulator(
            scenario, lanes, split="test", action_mode=action_mode, episode_days=days
        )

    own = daogym.make_simulator(scenario)
    if not is_solvable(own.scenario):
        raise SystemExit(f"long_run: {own.scenario.name}: no exact optimum is known")
    best = costs_of(Optimal(own.scenario), make(None), periods, warm_up)
    players: dict[str, Any] = {Path(run).name: load_target(run) for run in runs}
    players |= {name: own.domain.make_controller(name) for name in OTHERS}  # type: ignore[attr-defined]
    rows = {}
    for name, player in players.items():
        cost = costs_of(player, make(player.action_mode), periods, warm_up)
        gap = (cost - best) / best.mean()
        rows[name] = {
            "cost": float(cost.mean()),
            "gap": float(gap.mean()),
            "gap_error": float(gap.std(ddof=1) / lanes**0.5),
        }
    return {
        "scenario": own.scenario.name,
        "periods": lanes * periods,
        "exact_cost": optimum_of(own.scenario).cost,
        "optimum": {
            "cost": float(best.mean()),
            "error": float(best.std(ddof=1) / lanes**0.5),
        },
        "policies": rows,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--lanes", type=int, default=250)
    parser.add_argument("--periods", type=int, default=4000)
    parser.add_argument("--warm_up", type=int, default=100)
    parser.add_argument("--json", type=Path, metavar="F")
    asked = parser.parse_args()
    result = measure(asked.runs, asked.lanes, asked.periods, asked.warm_up)
    table = Table(title=f"{result['scenario']}, {result['periods']:,} periods")
    for column in ("policy", "cost", "gap, %"):
        table.add_column(column, justify="left" if column == "policy" else "right")
    optimum = result["optimum"]
    table.add_row(
        f"optimum ({result['exact_cost']:.3f} exactly)",
        f"{optimum['cost']:.3f} +- {optimum['error']:.3f}", "0",
    )  # fmt: skip
    for name, row in result["policies"].items():
        gap = f"{100 * row['gap']:.2f} +- {100 * row['gap_error']:.2f}"
        table.add_row(name, f"{row['cost']:.3f}", gap)
    Console().print(table)
    if asked.json is not None:
        asked.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
