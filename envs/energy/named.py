"""Named scenarios and their stress variants, shipped as YAML beside the domain."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from daogym.envs.core.strict import ConfigError, load_mapping, load_yaml
from daogym.envs.core.yaml_reader import read_yaml

from .scenario import EnergyScenario

NAMES = ("lv_rural", "lv_semiurban", "ieee33", "cigre_mv", "lv_rural_voted", "lv_rural_agentic")


def stress_variants() -> dict[str, dict[str, Any]]:
    """Settings of each stress variant, by name."""
    text = (_folder() / "stress.yaml").read_text(encoding="utf-8")
    variants = read_yaml(text, "stress.yaml", None)
    assert isinstance(variants, dict)
    return variants


def energy_scenario(
    spec: str | Path | Mapping[str, Any] | EnergyScenario, changes: Mapping[str, Any] | None = None
) -> EnergyScenario:
    """A scenario from a name (``lv_rural``, ``lv_rural+high_demand``), a YAML file or settings.

    Args:
        spec: a mapping may name the scenario it starts from: ``{"base": "ieee33", ...}``.
        changes: settings laid over the result, nested as in the YAML.

    Raises:
        ConfigError: unknown name, unreadable file or wrong settings.
    """
    source = str(spec) if isinstance(spec, (str, Path)) else "scenario"
    scenario = _base(spec)
    if changes:
        merged = _merged(scenario.model_dump(mode="json"), changes)
        scenario = load_mapping(merged, EnergyScenario, source)
    return scenario


def _base(spec: str | Path | Mapping[str, Any] | EnergyScenario) -> EnergyScenario:
    if isinstance(spec, EnergyScenario):
        return spec
    if isinstance(spec, Mapping):
        settings = dict(spec)
        base = settings.pop("base", None)
        if base is None:
            return load_mapping(settings, EnergyScenario, "scenario")
        return energy_scenario(str(base), settings)
    text = str(spec)
    if text.endswith((".yaml", ".yml")):
        return _beside(Path(text), load_yaml(Path(text), EnergyScenario))
    name, plus, variant = text.partition("+")
    if name not in NAMES:
        _unknown("scenario", name, NAMES, "or the path of a .yaml file")
    with resources.as_file(_folder() / f"{name}.yaml") as path:
        scenario = load_yaml(path, EnergyScenario)
    if not plus:
        return scenario
    variants = stress_variants()
    if variant not in variants:
        _unknown("stress variant", variant, tuple(variants), "")
    changes = {**variants[variant], "name": text}
    return energy_scenario(scenario, changes)


def _beside(path: Path, scenario: EnergyScenario) -> EnergyScenario:
    """Files that a YAML file names lie beside it, unless their paths are absolute."""
    if scenario.profiles is None or scenario.prices is None:
        return scenario
    files = {name: getattr(scenario, name) for name in ("feeder", "profiles", "prices")}
    return scenario.model_copy(
        update={name: str(path.parent / file) for name, file in files.items()}
    )


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        # A charter over another one says with `base` what it begins with.
        whole = key == "parameters" or (key == "charter" and "base" in value)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and not whole:
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result


def _unknown(kind: str, name: str, known: tuple[str, ...], more: str) -> None:
    near = difflib.get_close_matches(name, known, 1, 0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    expected = f"one of {', '.join(known)} {more}".strip()
    raise ConfigError("scenario", "", f"{kind}: {expected} expected, got {name!r}{hint}")


def _folder() -> Any:
    return resources.files(__package__) / "scenarios"
