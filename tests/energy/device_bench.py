"""A simulator of lv_rural with one set-point for each device, and its outputs by name."""

from __future__ import annotations

from typing import Any

import numpy as np

import daogym
from daogym.envs.core.simulator import Simulator
from daogym.envs.energy.scenario import GOVERNED_PARAMETERS


def simulator_of(changes: dict[str, Any] | None = None, n: int = 1, **options: Any) -> Simulator:
    """lv_rural in device mode, loads and charter out of the way unless `changes` says otherwise."""
    names = ("export_limit_share", "flexibility_budget_cycles_per_day",
             "set_point_slew_share_per_hour")  # fmt: skip
    widest = {p.name: p.high for p in GOVERNED_PARAMETERS if p.name in names}
    free = {"charter": {"parameters": widest}}
    scenario = daogym.load_scenario(daogym.load_scenario("lv_rural", free), changes or {})
    options = {"action_mode": "device", "autoreset": "disabled", **options}
    return daogym.make_simulator(scenario, n, **options)


class Actions:
    """Builds action rows of the device mode from physical set-points."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.fields = simulator, simulator.action_fields
        self.row = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)

    def set(self, name: str, value: Any) -> Actions:
        """Normalised value(s) of one field."""
        self.row[:, self.fields.slice(name)] = value
        return self


def event(simulator: Simulator, name: str, lane: int = 0) -> float:
    return float(simulator.events[lane, simulator.event_names.index(name)])


def term(simulator: Simulator, name: str, lane: int = 0) -> float:
    return float(simulator.terms[lane, simulator.term_names.index(name)])
