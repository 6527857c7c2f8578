"""Which environments there are: ids, scenarios, and the simulator of any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .core.simulator import Autoreset, Domain, Simulator
from .energy.domain import EnergyDomain
from .energy.named import energy_scenario
from .energy.scenario import EnergyScenario
from .logistics.domain import LogisticsDomain
from .logistics.named import knows as is_logistics
from .logistics.named import logistics_scenario
from .logistics.scenario import LogisticsScenario

ScenarioLike = str | Path | Mapping[str, Any] | EnergyScenario | LogisticsScenario


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
    Registration("daogym/Logistics-v0", "supply_network", {}),
    Registration("daogym/LogisticsBlind-v0", "supply_network_blind", {}),
    Registration("daogym/LogisticsLostSales-v0", "lost_sales_poisson_l4_p4", {}),
)


def load_scenario(
    scenario: ScenarioLike, changes: Mapping[str, Any] | None = None
) -> EnergyScenario | LogisticsScenario:
    """The validated scenario behind a name, a YAML path, a mapping or a scenario object."""
    if is_logistics(scenario):
        return logistics_scenario(scenario, changes)  # type: ignore[arg-type]
    return energy_scenario(scenario, changes)  # type: ignore[arg-type]


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
) -> Simulator:
    """A batched simulator of a scenario.

    Args:
        scenario: a name such as ``"lv_rural"`` or ``"ieee33+high_demand"``, the path of a YAML
            file, a mapping of settings (``{"base": "lv_rural", "episode_days": 7}``), a scenario,
            or a domain of one's own, to which the options of the domains below do not apply.
        num_envs: environments stepped in one call.
        threads: threads of that call.
        split: "train", "validation", "test" or "all": where episodes start.
        action_mode: of an energy grid "fleet" (default) or "device"; of a supply network
            "base_stock" or "orders" (default: the scenario's).
        autoreset, stagger, carry: see `Simulator`.
        episode_days: overrides the scenario's.
        chain_days: one episode of this many days in a row, for continuous operation; observations
            go on counting the scenario's own episodes (see `EnergyDomain`).

    Raises:
        ConfigError: the scenario is at fault; the message names the key.
        ValueError: another argument is.
    """
    domain: Any
    if hasattr(scenario, "step_serial"):
        if (split, action_mode, episode_days) != ("train", None, None):
            raise ValueError(
                "split, action_mode and episode_days belong to the energy grid; give a domain of "
                f"your own its options itself, got {split!r}, {action_mode!r}, {episode_days!r}"
            )
        domain = scenario
    elif is_logistics(scenario):
        days = chain_days if chain_days is not None else episode_days
        changes = None if days is None else {"horizon_days": days}
        settings = logistics_scenario(scenario, changes)  # type: ignore[arg-type]
        domain = LogisticsDomain(settings, split=split, action_mode=action_mode)
    else:
        changes = None if episode_days is None else {"episode_days": episode_days}
        grid = energy_scenario(scenario, changes)  # type: ignore[arg-type]
        window_days = grid.episode_days
        if chain_days is not None:
            grid = energy_scenario(grid, {"episode_days": chain_days})
        domain = EnergyDomain(
            grid,
            split=split,
            action_mode=action_mode or "fleet",  # type: ignore[arg-type]
            window_days=window_days,
        )
    return Simulator(
        domain, num_envs, threads=threads, autoreset=autoreset, stagger=stagger, carry=carry
    )
