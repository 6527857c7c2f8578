"""Several runs of one training, one seed each, against every controller and the bound.

    python -m benchmarks.seeds RUN... [--split test] [--episodes 100] [--against NAME...] [--json F]

All runs play the same episodes. The score of the runs together is that of their pooled episodes,
with a bootstrap interval over weeks and seeds; "above" says whether the lower end of the 95 %
interval of the paired difference in EUR per day is above 0 (paired over episodes, resampled over
weeks and seeds). With ``--against`` only these controllers play, and there are no scores, since
there is no bound: thousands of episodes then take minutes.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from daogym.agents.comparison import ALL, BOUND, compare, load_target, scenario_of
from daogym.agents.evaluation import EpisodeSet, Referee
from daogym.agents.training import make_daogym_simulator
from daogym.envs.core.score import paired_bootstrap, score, score_interval

from .machine import machine


def measure(runs: list[str], split: str, episodes: int, threads: int) -> dict[str, Any]:
    """Scores of all runs together, and the paired difference to each controller."""
    scenario = scenario_of(runs)
    if scenario is None:
        raise SystemExit(f"seeds: run directories are expected, got {runs}")
    chosen = EpisodeSet(scenario, split, episodes)
    compared = compare([*runs, ALL, BOUND], chosen, make_daogym_simulator, threads)
    played = compared.outcomes
    money = np.stack([played[run].money for run in runs])
    rule, bound = played[compared.rule].money, played[BOUND].money
    days = float(played[runs[0]].days.mean())
    weeks = played[runs[0]].groups
    groups = (weeks, np.arange(len(runs))[:, None])
    pooled = score_interval(money, rule, bound, groups)
    others = {}
    for name, outcome in played.items():
        if name in runs or name == BOUND:
            continue
        versus = paired_bootstrap(money / days, outcome.money / days, groups)
        others[name] = {
            "score": score(outcome.money, rule, bound),
            "money_per_day": outcome.money_per_day,
            "difference_per_day": versus.difference.to_dict(),
            "runs_are_above": versus.is_above,
        }
    return {
        "machine": machine(),
        "scenario": compared.scenario,
        "scenario_hash": compared.scenario_hash,
        "split": split,
        "episodes": episodes,
        "rule": compared.rule,
        "runs": {
            Path(run).name: {
                "score": score(played[run].money, rule, bound),
                "money_per_day": played[run].money_per_day,
                "costs": {k: played[run].per_day(v) for k, v in played[run].costs.items()},
            }
            for run in runs
        },
        "score": pooled.to_dict(),
        "money_per_day": float(money.mean()) / days,
        "bound_per_day": float(bound.mean()) / days,
        "controllers": others,
    }


def measure_money(
    runs: list[str], names: list[str], split: str, episodes: int, threads: int
) -> dict[str, Any]:
    """The paired difference of all runs together, and of each, to some controllers."""
    scenario = scenario_of(runs)
    if scenario is None:
        raise SystemExit(f"seeds: run directories are expected, got {runs}")
    referee = Referee(EpisodeSet(scenario, split, episodes), make_daogym_simulator, threads)
    unknown = [name for name in names if name not in referee.controller_names]
    if unknown:
        known = ", ".join(referee.controller_names)
        raise SystemExit(f"seeds: --against {unknown[0]}: no such controller; there are {known}")
    played = {run: referee.play(load_target(run), run) for run in runs}
    days = float(played[runs[0]].days.mean())
    money = np.stack([played[run].money for run in runs]) / days
    groups = (played[runs[0]].groups, np.arange(len(runs))[:, None])
    others = {}
    for name in names:
        outcome = referee.play_controller(name)
        versus = paired_bootstrap(money, outcome.money / days, groups)
        each = money - outcome.money / days
        others[name] = {
            "money_per_day": outcome.money_per_day,
            "difference_per_day": versus.difference.to_dict(),
            "runs_are_above": versus.is_above,
            "each": [[float(row.mean()), float(row.std() / len(row) ** 0.5)] for row in each],
        }
    return {
        "machine": machine(),
        "scenario": str(referee.scenario.name),
        "scenario_hash": referee.scenario_hash,
        "split": split,
        "episodes": episodes,
        "runs": {Path(run).name: {"money_per_day": played[run].money_per_day} for run in runs},
        "money_per_day": float(money.mean()),
        "controllers": others,
    }


def show_money(result: dict[str, Any], console: Console) -> None:
    """For people."""
    each = ", ".join(f"{name} {run['money_per_day']:.1f}" for name, run in result["runs"].items())
    console.print(
        f"{result['scenario']}, {result['episodes']} episodes of {result['split']}: "
        f"{result['money_per_day']:.1f} a day\n{each}"
    )
    table = Table()
    for column in (
        "controller",
        "money/day",
        "runs - controller",
        "above",
        "each (standard error)",
    ):
        table.add_column(column, justify="left" if column == "controller" else "right")
    rows = sorted(result["controllers"].items(), key=lambda row: -row[1]["money_per_day"])
    for name, row in rows:
        difference = row["difference_per_day"]
        table.add_row(
            name, f"{row['money_per_day']:.1f}",
            f"{difference['estimate']:.1f} ({difference['low']:.1f} to {difference['high']:.1f})",
            "yes" if row["runs_are_above"] else "no",
            ", ".join(f"{mean:.0f} ({error:.0f})" for mean, error in row["each"]),
        )  # fmt: skip
    console.print(table)


def show(result: dict[str, Any], console: Console) -> None:
    """For people."""
    pooled = result["score"]
    each = ", ".join(f"{name} {run['score']:.1f}" for name, run in result["runs"].items())
    console.print(
        f"{result['scenario']}, {result['episodes']} episodes of {result['split']}: score "
        f"{pooled['estimate']:.1f} ({pooled['low']:.1f} to {pooled['high']:.1f}), "
        f"{result['money_per_day']:.2f} EUR/day; bound {result['bound_per_day']:.2f}\n{each}"
    )
    table = Table()
    for column in ("controller", "score", "EUR/day", "runs - controller, EUR/day", "above"):
        table.add_column(column, justify="left" if column == "controller" else "right")
    rows = sorted(result["controllers"].items(), key=lambda row: -row[1]["money_per_day"])
    for name, row in rows:
        difference = row["difference_per_day"]
        table.add_row(
            name, f"{row['score']:.1f}", f"{row['money_per_day']:.2f}",
            f"{difference['estimate']:.2f} ({difference['low']:.2f} to {difference['high']:.2f})",
            "yes" if row["runs_are_above"] else "no",
        )  # fmt: skip
    console.print(table)


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run directories")
    parser.add_argument("--split", default="test")
    parser.add_argument("--episodes", type=int, default=100)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--against", nargs="+", default=[], metavar="NAME", help="controllers")
    parser.add_argument("--json", type=Path, metavar="F")
    options = parser.parse_args(arguments)
    if options.against:
        result = measure_money(
            options.runs, options.against, options.split, options.episodes, options.threads
        )
        show_money(result, Console(width=130))
    else:
        result = measure(options.runs, options.split, options.episodes, options.threads)
        show(result, Console(width=110))
    if options.json is not None:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
