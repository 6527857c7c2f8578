"""Export a run's policy as one self-contained ONNX file: python export.py RUN [-o FILE]"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from daogym.agents.checkpoint import CheckpointError
from daogym.agents.export.onnx_policy import OnnxError
from daogym.agents.export.run import export_run
from daogym.agents.export.verify import VerificationError
from daogym.agents.runs import RunDirectory, RunError
from daogym.agents.training import make_daogym_simulator
from daogym.envs.core.strict import ConfigError


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="export.py", description="Export a policy as ONNX.")
    parser.add_argument("run", type=Path, metavar="RUN", help="a run directory")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="default: policy.onnx in the run"
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Parse, export, report."""
    options = parse(arguments)
    try:
        exported = export_run(RunDirectory.open(options.run), make_daogym_simulator, options.output)
    except (ConfigError, RunError, CheckpointError, OnnxError, VerificationError) as error:
        print(f"export.py: {error}", file=sys.stderr)
        return 2
    print(
        f"{', '.join(map(str, exported.paths))}: {exported.source.name}, actions within "
        f"{exported.largest_difference:.1e} of their range and episode returns within "
        f"{exported.return_difference:.1e} of torch's"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
