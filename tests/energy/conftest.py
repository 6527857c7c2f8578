"""Fixtures of the energy grid's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


def _load(name: str) -> ModuleType:
    """A module of this folder, imported by its path under a name of its own."""
    full = f"energy_tests_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """reference_step.py: a step's devices and network in plain NumPy."""
    return _load("reference_step")


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    """device_bench.py: a simulator with one set-point for each device."""
    return _load("device_bench")
