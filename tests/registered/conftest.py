"""Every test of this folder that asks for `entry` runs once for each registered id."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import daogym
from daogym.envs.core.simulator import Simulator
from daogym.envs.registry import Registration

MakeSimulator = Callable[..., Simulator]


def load_golden() -> ModuleType:
    """golden.py of this folder, imported by its path."""
    if "golden_trajectories" not in sys.modules:
        path = Path(__file__).with_name("golden.py")
        spec = importlib.util.spec_from_file_location("golden_trajectories", path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["golden_trajectories"] = module
        spec.loader.exec_module(module)
    return sys.modules["golden_trajectories"]


@pytest.fixture(scope="session")
def golden() -> ModuleType:
    return load_golden()


@pytest.fixture(scope="session")
def hashed_actions() -> Any:
    """``hashed_actions(lanes, size, step, stream=0)``: actions no random generator chooses."""
    return load_golden().hashed_actions


@pytest.fixture(params=daogym.REGISTERED, ids=lambda entry: entry.id.split("/")[-1])
def entry(request: pytest.FixtureRequest) -> Registration:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def make(entry: Registration) -> MakeSimulator:
    """``make(num_envs, **options)``: a simulator of the id under test."""

    def build(num_envs: int = 1, **options: Any) -> Simulator:
        return daogym.make_simulator(entry.scenario, num_envs, **{**entry.options, **options})

    return build
