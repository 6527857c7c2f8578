"""Policies that try to break things: random, extreme, and greedy at negative prices."""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.energy.lanes import known_prices
from daogym.envs.energy.rules import ActionMode, Controller

KINDS = ("uniform", "corner", "low", "high", "greedy")


class Wild(Controller):
    """One of `KINDS`, in either action mode; "greedy" wastes all it can while imports earn."""

    def __init__(self, kind: str, action_mode: ActionMode, seed: int = 0) -> None:
        self.kind = kind
        self.name = f"{kind}-{action_mode}"
        self.action_mode: ActionMode = action_mode
        self.random = np.random.default_rng(seed)

    def act(self, simulator: Any) -> Any:
        shape = (simulator.num_envs, simulator.action_size)
        if self.kind == "greedy":
            return self._greedy(simulator)
        actions = {
            "uniform": self.random.uniform(-1.0, 1.0, shape),
            "corner": self.random.choice([-1.0, 1.0], shape),
            "low": np.full(shape, -1.0),
            "high": np.ones(shape),
        }[self.kind]
        return actions.astype(np.float32)

    def _greedy(self, simulator: Any) -> Any:
        actions = self._idle(simulator)
        fee = simulator.scenario.tariff.import_fee_eur_per_kwh
        paid = known_prices(simulator)[:, 0] + fee < 0.0
        if self.action_mode == "fleet":
            actions[paid, :2] = 1.0, -1.0
            actions[:, 2] = 1.0
            actions[paid, 3] = 1.0
            return actions
        feeder = simulator.domain.feeder
        pv = len(feeder.battery_bus)
        reactive = pv + len(feeder.pv_bus)
        actions[paid] = 1.0
        actions[paid, pv:reactive] = -1.0
        return actions
