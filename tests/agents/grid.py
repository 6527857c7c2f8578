"""The real energy grid with a cheap rule and bound, to test its training in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import daogym
from daogym.envs.energy.domain import EnergyDomain


class DoNothing:
    """The middle of every action."""

    name = "noop"

    def __init__(self, action_mode: str) -> None:
        self.action_mode = action_mode

    def reset(self, simulator: Any) -> None:
        pass

    def act(self, simulator: Any) -> NDArray[np.float32]:
        return np.zeros((simulator.num_envs, simulator.action_fields.size), dtype=np.float32)


class CheapDomain(EnergyDomain):
    """Its only rule does nothing; nobody earns a million a day."""

    controller_names = rule_names = ("noop",)

    def make_controller(self, name: str) -> Any:
        return DoNothing(self.action_mode)

    def upper_bound(self, simulator: Any) -> NDArray[np.float64]:
        return np.full(simulator.num_envs, 1e6)


def make_simulator(scenario: Any, **options: Any) -> Any:
    """`daogym.make_simulator` with the cheap domain's controllers."""
    simulator: Any = daogym.make_simulator(scenario, **options)
    simulator.domain.__class__ = CheapDomain
    return simulator
