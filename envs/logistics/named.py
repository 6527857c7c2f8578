"""Named scenarios: networks shipped as YAML beside the domain, and the instances of presets.py."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from daogym.envs.core.strict import ConfigError, load_mapping, load_yaml

from .presets import presets
from .scenario import LogisticsScenario

NETWORKS = ("supply_network", "supply_network_blind")
ScenarioSpec = str | Path | Mapping[str, Any] | LogisticsScenario


def names() -> tuple[str, ...]:
    """Every named scenario: the networks first, then the presets."""
    return (*NETWORKS, *presets())


def knows(spec: Any) -> bool:
    """Whether `logistics_scenario` is the one to read this."""
    if isinstance(spec, LogisticsScenario):
        return True
    if isinstance(spec, Mapping):
        return knows(spec["base"]) if "base" in spec else "lanes" in spec
    if isinstance(spec, Path) or str(spec).endswith((".yaml", ".yml")):
        return _is_network_file(Path(spec))
    return str(spec) in names()


def _is_network_file(path: Path) -> bool:
    """Whether a YAML file holds a supply network: it names lanes, or a base that is one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return False
    for line in lines:
        if line.startswith("lanes:"):
            return True
        if line.startswith("base:"):
            return line.partition(":")[2].strip().strip("'\"") in names()
    return False


def logistics_scenario(
    spec: ScenarioSpec, changes: Mapping[str, Any] | None = None
) -> LogisticsScenario:
    """A scenario from a name (``supply_network``, ``lost_sales_poisson_l4_p4``), YAML or settings.

    Args:
        spec: a mapping may name the scenario it starts from: ``{"base": "serial_3", ...}``.
        changes: settings laid over the result, nested as in the YAML.

    Raises:
        ConfigError: unknown name, unreadable file or wrong settings.
    """
    source = str(spec) if isinstance(spec, (str, Path)) else "scenario"
    scenario = _base(spec)
    if changes:
        merged = _merged(scenario.model_dump(mode="json"), changes)
        scenario = load_mapping(merged, LogisticsScenario, source)
    return scenario


def _base(spec: ScenarioSpec) -> LogisticsScenario:
    if isinstance(spec, LogisticsScenario):
        return spec
    if isinstance(spec, Mapping):
        settings = dict(spec)
        base = settings.pop("base", None)
        if base is None:
            return load_mapping(settings, LogisticsScenario, "scenario")
        return logistics_scenario(str(base), settings)
    text = str(spec)
    if text.endswith((".yaml", ".yml")):
        return load_yaml(Path(text), LogisticsScenario)
    if text in NETWORKS:
        with resources.as_file(resources.files(__package__) / "scenarios" / f"{text}.yaml") as path:
            return load_yaml(path, LogisticsScenario)
    if text in presets():
        return load_mapping(presets()[text], LogisticsScenario, text)
    near = difflib.get_close_matches(text, names(), 1, 0.0)
    raise ConfigError(
        "scenario", "",
        f"the name of a supply network or the path of a .yaml file expected, got {text!r}; "
        f"did you mean {near[0]!r}?",
    )  # fmt: skip


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and key != "parameters":
            result[key] = _merged(old, value)
        else:
            result[key] = value
    return result
