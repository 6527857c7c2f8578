"""Run directories: everything that a training run leaves behind, under fixed names.

| file | content |
|---|---|
| `config.yaml` | every setting, defaults included |
| `seeds.json`, `versions.json` | what a repetition needs: seeds, CPU, libraries, threads |
| `scenario.json` | hash and all settings of the scenario |
| `metrics.csv`, `tensorboard/` | one row or point a rollout |
| `learning_curve.png` | validation score or money against steps |
| `checkpoint.safetensors` | the complete state, for `--resume` |
| `policy_best.safetensors`, `policy_last.safetensors` | weights with their contract |
| `policy.onnx` | the best policy, exported |
| `report.md`, `report.json` | the comparison at the end |
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from daogym.envs.core.compiled import source_hash
from daogym.envs.core.strict import load_yaml

from .checkpoint import write_atomically
from .config import TrainConfig

PACKAGES = (
    "gymnasium", "numba", "numpy", "onnx", "onnxruntime", "onnxscript", "pydantic", "scipy",
    "stable-baselines3", "torch",
)  # fmt: skip


class RunError(ValueError):
    """A run directory that cannot be made, opened or resumed."""


class RunDirectory:
    """Paths and small documents of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config_file = path / "config.yaml"
        self.scenario_file = path / "scenario.json"
        self.metrics_file = path / "metrics.csv"
        self.curve_file = path / "learning_curve.png"
        self.checkpoint_file = path / "checkpoint.safetensors"
        self.best_file = path / "policy_best.safetensors"
        self.last_file = path / "policy_last.safetensors"
        self.onnx_file = path / "policy.onnx"

    @classmethod
    def create(cls, config: TrainConfig) -> RunDirectory:
        """A new directory for a run of ``config``; an existing one is never written to."""
        root = Path(config.run_root)
        root.mkdir(parents=True, exist_ok=True)
        if config.run_name is not None:
            path = root / config.run_name
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                raise RunError(
                    f"{path}: exists already; expected a new run_name, or --resume {path}"
                ) from None
            return cls(path)
        stem = f"{_word(config.scenario)}-seed{config.seed}"
        number = 1
        while True:
            path = root / f"{stem}-{number:03d}"
            try:
                path.mkdir()
                return cls(path)
            except FileExistsError:
                number += 1

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """An existing run directory; raises `RunError` if it is none."""
        run = cls(path)
        if not run.config_file.is_file():
            raise RunError(f"{path}: no run directory (config.yaml is missing)")
        return run

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep a second process from training in the same directory.

        Raises `RunError` if another one does. The lock of a killed process is freed by the system.
        """
        descriptor = os.open(self.path / ".lock", os.O_CREAT | os.O_RDWR, 0o644)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(f"{self.path}: another process is training in it") from None
            for leftover in self.path.glob(".*.tmp"):
                leftover.unlink(missing_ok=True)
            yield
        finally:
            os.close(descriptor)

    def config(self) -> TrainConfig:
        """The settings that the run was started with."""
        return load_yaml(self.config_file, TrainConfig)

    def write_config(self, config: TrainConfig) -> None:
        """Write every setting, defaults included."""
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, width=100)
        write_atomically(self.config_file, text)

    def write_json(self, name: str, document: Any) -> None:
        """Write a JSON document of the run."""
        write_atomically(self.path / name, json.dumps(document, indent=2) + "\n")

    def read_json(self, name: str) -> Any:
        """Read a JSON document of the run; `RunError` if it is missing or damaged."""
        try:
            return json.loads((self.path / name).read_text())
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name}: cannot be read ({error})") from None


def versions(config: TrainConfig) -> dict[str, Any]:
    """What bit-exact repetition depends on: CPU type, library versions, threads, sources."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
        "torch_threads": config.torch_threads,
        "simulator_threads": config.threads,
        "packages": {name: _version(name) for name in PACKAGES},
        "daogym_source": source_hash(),
    }


def cpu_model() -> str:
    """The processor's own name where the system tells it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.M)
    except OSError:
        found = None
    if found:
        return found.group(1).strip()
    return platform.processor() or platform.machine() or sys.platform


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _word(scenario: Any) -> str:
    if isinstance(scenario, dict):
        scenario = scenario.get("name") or scenario.get("base") or "custom"
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(str(scenario)).stem).strip("-.") or "run"
