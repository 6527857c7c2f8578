"""Named scenarios of the compute market and their stress variants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daogym.envs.core.named import Shelf

from .scenario import ComputeScenario

NAMES = (
    "gpu_week", "gpu_week_voted", "gpu_week_agentic", "gpu_week_steward",
    "gpu_week_attack", "llm_inference", "edge",
)  # fmt: skip


def _beside(path: Path, scenario: ComputeScenario) -> ComputeScenario:
    """A trace that a YAML file names lies beside it, unless its path is absolute."""
    if scenario.trace is None:
        return scenario
    return scenario.model_copy(update={"trace": str(path.parent / scenario.trace)})


SHELF = Shelf(__package__, NAMES, ComputeScenario, _beside)


def compute_scenario(
    spec: str | Path | Mapping[str, Any] | ComputeScenario,
    changes: Mapping[str, Any] | None = None,
) -> ComputeScenario:
    """A scenario from a name (``gpu_week``, ``gpu_week+surge``), a YAML file or settings.

    See `Shelf.scenario`.
    """
    return SHELF.scenario(spec, changes)
