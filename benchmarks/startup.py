"""Seconds from nothing to the first step, with an empty cache of compiled code and a full one.

    python -m benchmarks.startup [--json] [--repeats 3] [--scenario lv_rural]

Each start is a new Python process. "make" reads the scenario and its data and compiles the kernels
or loads them; "reset and step" is the first episode's first step. Cold starts use a
DAOGYM_CACHE_DIR of their own, which is removed afterwards.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from typing import Any

from rich.console import Console
from rich.table import Table

from .machine import machine

STAGES = ("import_s", "make_s", "reset_and_step_s")
_CODE = """
import json, sys, time
marks = [time.perf_counter()]
import daogym
marks.append(time.perf_counter())
simulator = daogym.make_simulator(sys.argv[1], 1)
marks.append(time.perf_counter())
simulator.reset(seed=0)
simulator.step([[0.0] * simulator.action_size])
marks.append(time.perf_counter())
print(json.dumps([b - a for a, b in zip(marks, marks[1:])]))
"""


def start(scenario: str, cache: str) -> dict[str, float]:
    """Seconds of each stage in a new process that keeps compiled code in `cache`.

    Raises:
        RuntimeError: the process failed; its error output is the message.
    """
    done = subprocess.run(
        [sys.executable, "-c", _CODE, scenario],
        env={**os.environ, "DAOGYM_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"the start of {scenario!r} failed:\n{done.stderr}")
    return dict(zip(STAGES, json.loads(done.stdout), strict=True))


def measure(scenario: str, repeats: int) -> dict[str, Any]:
    """One cold start, then the medians of `repeats` cached ones."""
    with tempfile.TemporaryDirectory(prefix="daogym-startup-") as cache:
        cold = start(scenario, cache)
        cached = [start(scenario, cache) for _ in range(repeats)]
    medians = {stage: statistics.median(run[stage] for run in cached) for stage in STAGES}
    return {"env": scenario, "cold": cold, "cached": medians, "machine": machine()}


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--repeats", type=int, default=3, help="cached starts")
    parser.add_argument("--scenario", default="lv_rural")
    options = parser.parse_args(arguments)
    result = measure(options.scenario, options.repeats)
    if options.json:
        print(json.dumps(result, indent=1))
        return
    table = Table(title=f"seconds to the first step of {result['env']}")
    table.add_column("")
    for stage in (*STAGES, "total"):
        table.add_column(stage.removesuffix("_s").replace("_", " "), justify="right")
    for kind in ("cold", "cached"):
        seconds = [result[kind][stage] for stage in STAGES]
        table.add_row(kind, *(f"{value:.2f}" for value in [*seconds, sum(seconds)]))
    console = Console()
    about = result["machine"]
    console.print(f"{about['cpu']}, {about['cores']} cores, load {about['load_average_1min']}")
    console.print(table)


if __name__ == "__main__":
    main()
