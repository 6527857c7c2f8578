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

ScenarioLike = str | Path | Mapping[str, Any] | EnergyScenario


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
)


def load_scenario(
    scenario: ScenarioLike, changes: Mapping[str, Any] | None = None
) -> EnergyScenario:
    """The validated scenario behind a name, a YAML path, a mapping or a scenario object."""
    return energy_scenario(scenario, changes)


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
            or a domain of one's own, to which the energy grid's options below do not apply.
        num_envs: environments stepped in one call.
        threads: threads of that call.
        split: "train", "validation", "test" or "all": where episodes start.
        action_mode: "fleet" (default) or "device".
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
    else:
        changes = None if episode_days is None else {"episode_days": episode_days}
        settings = load_scenario(scenario, changes)
        window_days = settings.episode_days
        if chain_days is not None:
            settings = load_scenario(settings, {"episode_days": chain_days})
        domain = EnergyDomain(
            settings,
            split=split,
            action_mode=action_mode or "fleet",  # type: ignore[arg-type]
            window_days=window_days,
        )
    return Simulator(
        domain, num_envs, threads=threads, autoreset=autoreset, stagger=stagger, carry=carry
    )
