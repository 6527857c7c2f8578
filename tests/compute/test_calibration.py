"""The generators beside the traces that they were fitted to, over runs of a year and more.

The traces are not part of the project; see docs/compute.md for what they are and where from.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

TOOL = Path(__file__).resolve().parents[2] / "tools" / "compute_calibration.py"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    """tools/compute_calibration.py, imported by its path."""
    spec = importlib.util.spec_from_file_location("compute_calibration", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["compute_calibration"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tool: ModuleType) -> Path:
    found: Path = tool.traces_folder()
    if not found.is_dir():
        pytest.skip(f"the traces are not in {found}; DAOGYM_COMPUTE_TRACES names their folder")
    return found


@pytest.fixture(scope="module")
def years(tool: ModuleType) -> Any:
    return tool.generated_years()


def assert_alike(comparisons: Any, names: tuple[str, ...]) -> None:
    fitted = [c for c in comparisons if c.allowed is not None]
    for word in names:
        assert any(word in c.name for c in fitted), word
    for c in fitted:
        assert c.allowed <= (0.20 if "variance" in c.name else 0.10)
        assert c.made == pytest.approx(c.trace, rel=c.allowed), c.name


def test_gpu_week_is_like_philly(tool: ModuleType, folder: Path, years: Any) -> None:
    found = tool.compare_gpu_week(tool.philly(folder), years)
    assert_alike(
        found,
        (
            "orders an hour", "variance / mean", "autocorrelation, 1 h", "autocorrelation, 24 h",
            "share of orders, 16", "mean duration in s, 2 GPUs", "99 % quantile",
            "8 to 15 GPUs, 50 % quantile",
        ),
    )  # fmt: skip


def test_shares_of_a_gpu_are_like_alibabas(tool: ModuleType, folder: Path, years: Any) -> None:
    assert_alike(tool.compare_shares(folder, years), ("shares of a GPU", "mean", "median"))


def test_llm_inference_is_like_azures_hour(tool: ModuleType, folder: Path) -> None:
    """One hour is all that the traces hold, so minutes stand for the hours of the other test."""
    services = [tool.azure(folder, name) for name in ("code", "conv")]
    windows, seconds = tool.generated_days()
    assert windows.shape == (365 * 24, 56)
    assert_alike(
        tool.compare_llm_inference(services, windows, seconds),
        ("batches a minute", "variance / mean", "autocorrelation, 1 min", "50 % quantile"),
    )
