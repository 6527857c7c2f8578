"""Named scenarios of the energy grid and their stress variants."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daogym.envs.core.named import Shelf

from .scenario import EnergyScenario


def _beside(path: Path, scenario: EnergyScenario) -> EnergyScenario:
    """Files that a YAML file names lie beside it, unless their paths are absolute."""
    if scenario.profiles is None or scenario.prices is None:
        return scenario
    files = {name: getattr(scenario, name) for name in ("feeder", "profiles", "prices")}
    return scenario.model_copy(
        update={name: str(path.parent / file) for name, file in files.items()}
    )


NAMES = (
    "lv_rural", "lv_semiurban", "ieee33", "cigre_mv", "lv_rural_voted", "lv_rural_agentic",
    "lv_rural_steward", "lv_rural_attack",
)  # fmt: skip
SHELF = Shelf(__package__, NAMES, EnergyScenario, _beside)


def stress_variants() -> dict[str, dict[str, Any]]:
    """Settings of each stress variant, by name."""
    return SHELF.stress_variants()


def energy_scenario(
    spec: str | Path | Mapping[str, Any] | EnergyScenario, changes: Mapping[str, Any] | None = None
) -> EnergyScenario:
    """A scenario from a name (``lv_rural``, ``lv_rural+high_demand``), a YAML file or settings.

    See `Shelf.scenario`.
    """
    return SHELF.scenario(spec, changes)
