"""Worlds under module names of their own, and settings of a run of seconds."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from daogym.agents.config import TrainConfig
from daogym.agents.runs import RunDirectory
from daogym.agents.training import train
from daogym.envs.core.strict import load_mapping


def load_world(world: str) -> ModuleType:
    """A world of this folder (toy.py, grid.py...), imported by its path."""
    name = f"{world}_world"
    if name not in sys.modules:
        path = Path(__file__).with_name(f"{world}.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]


@pytest.fixture(scope="session")
def toy() -> ModuleType:
    return load_world("toy")


@pytest.fixture(scope="session")
def grid() -> ModuleType:
    return load_world("grid")


@pytest.fixture(scope="session")
def roster() -> ModuleType:
    return load_world("roster")


@pytest.fixture(scope="session")
def toy_agents(toy: ModuleType) -> ModuleType:
    return load_world("toy_agents")


@pytest.fixture(scope="session")
def lq_team() -> ModuleType:
    return load_world("lq_team")


@pytest.fixture(scope="session")
def two_state() -> ModuleType:
    return load_world("two_state")


@pytest.fixture(scope="session", autouse=True)
def _results_cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the user's cache of results."""
    from daogym.agents import results_cache

    folder = tmp_path_factory.mktemp("results")
    patch = pytest.MonkeyPatch()
    patch.setattr(
        results_cache.ResultsCache,
        "default",
        classmethod(lambda cls: cls(folder)),
    )
    yield
    patch.undo()


def toy_settings(root: Path) -> dict[str, Any]:
    """Settings of a run of seconds that leaves its directory under `root`."""
    return {
        "scenario": "toy",
        "num_envs": 64,
        "n_steps": 12,
        "batch_size": 192,
        "n_epochs": 4,
        "learning_rate": 3e-3,
        "net_arch": [32, 32],
        "total_steps": 12 * 64 * 4,
        "threads": 1,
        "torch_threads": 1,
        "eval_every_steps": 12 * 64 * 2,
        "eval_episodes": 32,
        "final_episodes": 40,
        "checkpoint_every_rollouts": 2,
        "run_root": str(root / "runs"),
        "run_name": "toy",
        "tensorboard": False,
        "progress": False,
    }


@pytest.fixture
def toy_config(tmp_path: Path) -> Callable[..., TrainConfig]:
    def make(**changes: Any) -> TrainConfig:
        return load_mapping({**toy_settings(tmp_path), **changes}, TrainConfig)

    return make


@pytest.fixture(scope="session")
def _finished_run(
    toy: ModuleType, tmp_path_factory: pytest.TempPathFactory, _results_cache_of_the_tests: None
) -> tuple[Path, Path]:
    root = tmp_path_factory.mktemp("finished")
    config = load_mapping(toy_settings(root), TrainConfig)
    path = train(config, make_simulator=toy.make_simulator).path
    return path, Path(shutil.copytree(path, root / "kept"))


@pytest.fixture
def finished_run(_finished_run: tuple[Path, Path]) -> RunDirectory:
    """The directory that `train(toy_config())` leaves, whatever earlier tests did to it."""
    path, kept = _finished_run
    shutil.rmtree(path)
    shutil.copytree(kept, path)
    return RunDirectory.open(path)
