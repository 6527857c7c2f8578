"""Which environments there are: ids, scenarios, and the simulator of any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .compute.domain import ComputeDomain
from .compute.named import SHELF as COMPUTE_SHELF
from .compute.scenario import ComputeScenario
from .core.multi_agent import AgentsView
from .core.named import Shelf, unknown
from .core.shadow import ShadowedSimulator
from .core.simulator import Autoreset, Domain, Simulator
from .core.strict import ConfigError
from .core.yaml_reader import read_yaml
from .energy.domain import EnergyDomain
from .energy.named import SHELF as ENERGY_SHELF
from .energy.scenario import EnergyScenario
from .logistics.domain import LogisticsDomain
from .logistics.named import knows as is_logistics
from .logistics.named import logistics_scenario
from .logistics.named import names as logistics_names
from .logistics.scenario import LogisticsScenario

Scenario = EnergyScenario | ComputeScenario | LogisticsScenario
ScenarioLike = str | Path | Mapping[str, Any] | Scenario

# Scenarios of each domain, the class that runs them and its default action mode. Settings that
# name no domain are the energy grid's.
_DOMAINS: dict[str, tuple[Shelf[Any], Any, str]] = {
    "energy": (ENERGY_SHELF, EnergyDomain, "fleet"),
    "compute": (COMPUTE_SHELF, ComputeDomain, "operator"),
}
_DEFAULT = "energy"
# The action mode in which agents share the operator's seat.
_SHARED_MODES = {"energy": "device", "compute": "provider", "logistics": "node"}


@dataclass(frozen=True)
class Registration:
    """A versioned id: one scenario under one set of options."""

    id: str
    scenario: str
    options: Mapping[str, Any]


REGISTERED = (
    Registration("daogym/EnergyGrid-v0", "lv_rural", {}),
    Registration("daogym/EnergyGridSemiurban-v0", "lv_semiurban", {}),
    Registration("daogym/EnergyGridIEEE33-v0", "ieee33", {}),
    Registration("daogym/EnergyGridCigreMV-v0", "cigre_mv", {}),
    Registration("daogym/EnergyGridDevices-v0", "lv_rural", {"action_mode": "device"}),
    Registration("daogym/EnergyGridVoted-v0", "lv_rural_voted", {}),
    Registration("daogym/ComputeMarket-v0", "gpu_week", {}),
    Registration("daogym/ComputeMarketVoted-v0", "gpu_week_voted", {}),
    Registration("daogym/ComputeMarketInference-v0", "llm_inference", {}),
    Registration("daogym/ComputeMarketEdge-v0", "edge", {}),
    Registration("daogym/Logistics-v0", "supply_network", {}),
    Registration("daogym/LogisticsBlind-v0", "supply_network_blind", {}),
    Registration("daogym/LogisticsVoted-v0", "supply_network_voted", {}),
    Registration("daogym/LogisticsLostSales-v0", "lost_sales_poisson_l4_p4", {}),
)

# Ids of environments with several agents, see `make_multi_agent`.
MULTI_AGENT = (
    Registration("daogym/EnergyGridProsumers-v0", "lv_rural", {"action_mode": "device"}),
    Registration("daogym/ComputeMarketProviders-v0", "gpu_week", {"action_mode": "provider"}),
    Registration("daogym/LogisticsPlaces-v0", "supply_network", {"action_mode": "node"}),
    Registration("daogym/LogisticsCarriers-v0", "supply_network", {"action_mode": "carrier"}),
    Registration("daogym/EnergyGridGovernor-v0", "lv_rural_steward", {"action_mode": "device"}),
    Registration(
        "daogym/ComputeMarketGovernor-v0", "gpu_week_steward", {"action_mode": "provider"}
    ),
    Registration("daogym/LogisticsGovernor-v0", "supply_network_steward", {"action_mode": "node"}),
    Registration("daogym/EnergyGridAdversary-v0", "lv_rural_attack", {"action_mode": "device"}),
    Registration(
        "daogym/ComputeMarketAdversary-v0", "gpu_week_attack", {"action_mode": "provider"}
    ),
    Registration("daogym/LogisticsAdversary-v0", "supply_network_attack", {"action_mode": "node"}),
)


def domain_name(scenario: ScenarioLike) -> str:
    """Which domain a scenario belongs to.

    Raises:
        ConfigError: no domain has a scenario of this name.
    """
    for name, (shelf, _, _) in _DOMAINS.items():
        if isinstance(scenario, shelf.model):
            return name
    if isinstance(scenario, Mapping):
        base = scenario.get("base")
        return _named(scenario.get("domain")) if base is None else domain_name(str(base))
    text = str(scenario)
    if text.endswith((".yaml", ".yml")):
        return _named(_domain_in(Path(text)))
    stem = text.partition("+")[0]
    for name, (shelf, _, _) in _DOMAINS.items():
        if stem in shelf.names:
            return name
    known = tuple(n for shelf, _, _ in _DOMAINS.values() for n in shelf.names)
    known += logistics_names()
    unknown("scenario", stem, known, "or the path of a .yaml file")
    raise AssertionError


def _named(name: Any) -> str:
    if name is not None and name not in _DOMAINS:
        raise ConfigError(
            "scenario", "domain", f"one of {', '.join(_DOMAINS)} expected, got {name!r}"
        )
    return _DEFAULT if name is None else str(name)


def _domain_in(path: Path) -> Any:
    """The key `domain` of a file; None where there is none or the file cannot be read."""
    try:
        data = read_yaml(path.read_text(encoding="utf-8"), str(path), None)
    except (OSError, UnicodeDecodeError, ConfigError):
        return None  # read once more, and reported, as a scenario
    return data.get("domain") if isinstance(data, dict) else None


def load_scenario(scenario: ScenarioLike, changes: Mapping[str, Any] | None = None) -> Any:
    """The validated scenario behind a name, a YAML path, a mapping or a scenario object."""
    if is_logistics(scenario):
        return logistics_scenario(scenario, changes)  # type: ignore[arg-type]
    return _DOMAINS[domain_name(scenario)][0].scenario(scenario, changes)


def make_simulator(
    scenario: ScenarioLike | Domain = "lv_rural",
    num_envs: int = 1,
    *,
    threads: int = 1,
    split: str = "train",
    action_mode: str | None = None,
    autoreset: Autoreset = "same_step",
    stagger: bool = False,
    carry: bool = False,
    episode_days: int | None = None,
    chain_days: int | None = None,
    shadow: bool = False,
    specialise: bool = False,
) -> Simulator:
    """A batched simulator of a scenario.

    Args:
        scenario: a name such as ``"lv_rural"`` or ``"ieee33+high_demand"``, the path of a YAML
            file, a mapping of settings (``{"base": "lv_rural", "episode_days": 7}``), a scenario,
            or a domain of one's own, to which the options of the shipped domains do not apply.
            Settings of another domain than the energy grid name it: ``domain: compute``.
        num_envs: environments stepped in one call.
        threads: threads of that call.
        split: "train", "validation", "test" or "all": where episodes start.
        action_mode: of the domain; the energy grid has "fleet" (default) and "device", the compute
            market "operator" (default), "scheduler" and "provider", a supply network "base_stock",
            "anticipating", "node", "carrier" and "orders" (default: the scenario's).
        autoreset, stagger, carry, specialise: see `Simulator`.
        episode_days: overrides the scenario's.
        chain_days: one episode of this many days in a row, for continuous operation; observations
            go on counting the scenario's own episodes (see `EnergyDomain`).
        shadow: step twice as many lanes, so that ``baselines`` is what the zero action earns in
            the same worlds (see `ShadowedSimulator`).

    Raises:
        ConfigError: the scenario is at fault; the message names the key.
        ValueError: another argument is.
    """
    domain: Any
    if hasattr(scenario, "step_serial"):
        if (split, action_mode, episode_days) != ("train", None, None):
            raise ValueError(
                "split, action_mode and episode_days belong to the shipped domains; give a domain "
                f"of your own its options itself, got {split!r}, {action_mode!r}, {episode_days!r}"
            )
        domain = scenario
    elif is_logistics(scenario):
        days = chain_days if chain_days is not None else episode_days
        changes = None if days is None else {"horizon_days": days}
        network = logistics_scenario(scenario, changes)  # type: ignore[arg-type]
        domain = LogisticsDomain(network, split=split, action_mode=action_mode)
    else:
        changes = None if episode_days is None else {"episode_days": episode_days}
        settings = load_scenario(scenario, changes)
        window_days = settings.episode_days
        if chain_days is not None:
            settings = load_scenario(settings, {"episode_days": chain_days})
        _, domain_class, default_mode = _DOMAINS[domain_name(settings)]
        domain = domain_class(
            settings, split=split, action_mode=action_mode or default_mode, window_days=window_days
        )
    made = ShadowedSimulator if shadow else Simulator
    return made(
        domain, num_envs, threads=threads, autoreset=autoreset, stagger=stagger, carry=carry,
        specialise=specialise,
    )  # fmt: skip


def make_multi_agent(
    scenario: ScenarioLike = "lv_rural", num_envs: int = 1, **options: Any
) -> AgentsView:
    """A batch of environments in which several agents share the operator's seat.

    Args:
        scenario: as of `make_simulator`, or an id of `MULTI_AGENT`.
        num_envs: environments stepped in one call.
        options: of `make_simulator`.

    Raises:
        ConfigError: the scenario is at fault; the message names the key.
        ValueError: another argument is, or the domain's seat cannot be shared.
    """
    if isinstance(scenario, str) and scenario.startswith("daogym/"):
        known = {entry.id: entry for entry in MULTI_AGENT}
        if scenario not in known:
            unknown("id of several agents", scenario, tuple(known), "or the name of a scenario")
        options = {**known[scenario].options, **options}
        scenario = known[scenario].scenario
    if options.get("action_mode") is None:
        domain = "logistics" if is_logistics(scenario) else domain_name(scenario)
        mode = _SHARED_MODES.get(domain)
        options = {**options, "action_mode": mode}
    simulator: Any = make_simulator(scenario, num_envs, **options)
    view: AgentsView = simulator.domain.as_agents(simulator)
    return view
