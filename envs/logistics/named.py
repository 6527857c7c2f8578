"""Named scenarios: networks shipped as YAML beside the domain, and the instances of presets.py."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from daogym.envs.core.named import merged
from daogym.envs.core.strict import ConfigError, load_mapping, load_yaml
from daogym.envs.core.yaml_reader import read_yaml
from daogym.envs.dao.charter import NAMED_CHARTERS, load_charter

from .csv_tables import with_tables
from .presets import presets
from .scenario import LogisticsScenario

# Networks by the file that holds them and what is laid over it.
NETWORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "supply_network": ("supply_network", {}),
    "supply_network_blind": (
        "supply_network",
        {
            "name": "supply_network_blind",
            "forecast": {"track": "blind"},
            "actions": {"anticipation": {"base": 0.0}},
        },
    ),
    "supply_network_drones": ("supply_network_drones", {}),
    "supply_network_voted": ("supply_network_voted", {}),
    "supply_network_agentic": ("supply_network_agentic", {}),
    "supply_network_steward": ("supply_network_steward", {}),
    "supply_network_attack": ("supply_network_attack", {}),
}
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
        if line.startswith(("lanes:", "lanes_csv:")):
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
        changes = _with_own_days(scenario, changes)
        laid_over = merged(scenario.model_dump(mode="json"), changes)
        scenario = load_mapping(laid_over, LogisticsScenario, source)
    return scenario


def _with_own_days(scenario: LogisticsScenario, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Changes in which a packaged charter that is voted on is laid over the scenario's own.

    Packaged charters count in quarter-hours; here a step is a day, so the governor's times, the
    parameters and the proposals a day stay the scenario's.
    """
    name = changes.get("charter")
    if not (scenario.charter.votes and name in NAMED_CHARTERS):
        return dict(changes)
    packaged = load_charter(name)
    if not packaged.votes:
        return dict(changes)
    own = scenario.charter.model_dump(mode="json")
    return {
        **changes,
        "charter": {**own, **packaged.model_dump(mode="json", exclude_defaults=True)},
    }


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
        return _from_file(Path(text))
    if text in NETWORKS:
        file, changes = NETWORKS[text]
        folder = resources.files(__package__) / "scenarios"
        with resources.as_file(folder / f"{file}.yaml") as path:
            scenario = _from_file(path)
        return logistics_scenario(scenario, changes)
    if text in presets():
        return load_mapping(presets()[text], LogisticsScenario, text)
    near = difflib.get_close_matches(text, names(), 1, 0.0)
    raise ConfigError(
        "scenario", "",
        f"the name of a supply network or the path of a .yaml file expected, got {text!r}; "
        f"did you mean {near[0]!r}?",
    )  # fmt: skip


def _from_file(path: Path) -> LogisticsScenario:
    """A YAML file; it may name a scenario to start from, and CSV files of nodes and lanes."""
    try:
        settings = read_yaml(path.read_text(encoding="utf-8"), str(path), None)
    except (OSError, UnicodeDecodeError):
        return load_yaml(path, LogisticsScenario)
    if not isinstance(settings, dict) or not {"base", "nodes_csv", "lanes_csv"} & set(settings):
        return load_yaml(path, LogisticsScenario)
    settings = with_tables(settings, path.parent)
    base = settings.pop("base", None)
    if base is None:
        return load_mapping(settings, LogisticsScenario, str(path))
    laid_over = merged(logistics_scenario(str(base)).model_dump(mode="json"), settings)
    return load_mapping(laid_over, LogisticsScenario, str(path))
