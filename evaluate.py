"""Compare policies, controllers and the bound on the same episodes: python evaluate.py TARGET..."""

from __future__ import annotations

import argparse
import json
import re
import sys
from datetime import date
from pathlib import Path

from rich.console import Console

from daogym.agents.checkpoint import CheckpointError, write_atomically
from daogym.agents.comparison import BOUND, TargetError, compare, scenario_of
from daogym.agents.config import TrainConfig
from daogym.agents.evaluation import EpisodeSet
from daogym.agents.export.onnx_policy import OnnxError
from daogym.agents.ledgers import write_ledgers
from daogym.agents.pictures import plot_episode
from daogym.agents.runs import RunError
from daogym.agents.training import make_daogym_simulator
from daogym.envs.core.strict import ConfigError


def days(text: str) -> int:
    """A length such as ``28d`` in days."""
    found = re.fullmatch(r"([1-9][0-9]*)d", text)
    if not found:
        raise argparse.ArgumentTypeError(f"a number of days such as 28d is expected, got {text!r}")
    return int(found.group(1))


def iso_date(text: str) -> str:
    """A date such as ``2023-05-14``."""
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"a date such as 2023-05-14 is expected, got {text!r}"
        ) from None


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number above 0 is expected, got {text!r}")
    return int(text)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="evaluate.py", description="Compare targets on the same episodes."
    )
    parser.add_argument(
        "targets",
        nargs="+",
        metavar="TARGET",
        help="a run directory, an .onnx file, a controller's name, 'all' controllers, 'bound'",
    )
    parser.add_argument("--scenario", help="default: the scenario of the first run, or lv_rural")
    parser.add_argument("--split", default="test", help="part of the data (default: test)")
    parser.add_argument("--episodes", type=positive, default=100, help="default: 100")
    parser.add_argument("--threads", type=positive, default=2, help="of the simulator")
    parser.add_argument("--date", type=iso_date, help="start every episode on this day")
    parser.add_argument(
        "--chain", type=days, metavar="28d", help="episodes of this length, the state carried over"
    )
    parser.add_argument(
        "--plot", type=Path, metavar="F", help="also draw the first episode of each target as PNG"
    )
    parser.add_argument(
        "--ledger", type=Path, metavar="DIR",
        help="also write a ledger of every episode: gate, votes, parameters, payments",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="F", help="also write the results as JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Parse, compare, report."""
    options = parse(arguments)
    console = Console()
    try:
        scenario = options.scenario or scenario_of(options.targets)
        episodes = EpisodeSet(
            scenario=scenario or TrainConfig.model_fields["scenario"].default,
            split=options.split,
            episodes=options.episodes,
            date=options.date,
            chain_days=options.chain,
        )
        with console.status("evaluating") as status:
            compared = compare(
                options.targets,
                episodes,
                make_daogym_simulator,
                options.threads,
                lambda name: status.update(f"evaluating {name}"),
            )
        actors = [name for name in compared.outcomes if name != BOUND]
        if options.ledger is not None:
            paths = write_ledgers(
                actors, episodes, make_daogym_simulator, options.ledger, options.threads
            )
            console.print(f"{len(paths)} ledgers in {options.ledger}", soft_wrap=True)
    except (ConfigError, RunError, CheckpointError, OnnxError, TargetError, ValueError) as error:
        print(f"evaluate.py: {error}", file=sys.stderr)
        return 2
    compared.print(console)
    if options.plot is not None:
        plot_episode(actors, episodes, make_daogym_simulator, options.plot)
    if options.json is not None:
        write_atomically(options.json, json.dumps(compared.document(), indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
