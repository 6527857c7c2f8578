"""Train a policy: python train.py [config.yaml] [key.path=value ...] [--resume RUN]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from daogym.agents.checkpoint import CheckpointError
from daogym.agents.config import TrainConfig, help_table
from daogym.agents.imitation import ImitationError
from daogym.agents.runs import RunError
from daogym.agents.training import resume, train
from daogym.envs.core.strict import ConfigError, load_mapping, load_yaml


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="train.py", description="Train a policy with PPO.")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="config.yaml|key=value",
        help="a YAML file of settings first, then single settings such as seed=1",
    )
    parser.add_argument("--resume", type=Path, metavar="RUN", help="continue a run directory")
    parser.add_argument("--help-config", action="store_true", help="list every setting and stop")
    options = parser.parse_args(arguments)
    if options.resume is not None and options.settings:
        parser.error("--resume takes every setting from the run; expected no settings beside it")
    return options


def settings(words: list[str]) -> TrainConfig:
    """Settings from the command line: at most one file, then overrides."""
    files = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if len(files) > 1:
        raise ConfigError("command line", "", f"one YAML file is expected, got {files}")
    if files:
        return load_yaml(files[0], TrainConfig, overrides)
    return load_mapping({}, TrainConfig, "defaults", overrides)


def main(arguments: list[str] | None = None) -> int:
    """Parse, train, report."""
    options = parse(arguments)
    console = Console()
    if options.help_config:
        console.print(help_table())
        return 0
    try:
        if options.resume is not None:
            resume(options.resume, console=console)
        else:
            train(settings(options.settings), console=console)
    except (ConfigError, RunError, CheckpointError, ImitationError) as error:
        print(f"train.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train.py: interrupted; --resume RUN continues from its checkpoint", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
