"""Fixtures of the energy grid's tests."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def reference() -> ModuleType:
    """reference_step.py of this folder: a step's devices and network in plain NumPy."""
    name = "energy_reference_step"
    if name not in sys.modules:
        path = Path(__file__).with_name("reference_step.py")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name]
