"""The real energy grid with a cheap rule and bound, to test its training in seconds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

import daogym


class DoNothing:
    """The middle of every action."""

    name = "noop"

    def __init__(self, action_mode: str) -> None:
        self.action_mode = action_mode

    def reset(self, simulator: Any) -> None:
        pass

    def act(self, simulator: Any) -> NDArray[np.float32]:
        return np.zeros((simulator.num_envs, simulator.action_fields.size), dtype=np.float32)


def make_simulator(scenario: Any, **options: Any) -> Any:
    """`daogym.make_simulator`; nobody earns a million a day."""
    simulator: Any = daogym.make_simulator(scenario, **options)
    domain = simulator.domain
    domain.controller_names = domain.rule_names = ("noop",)
    domain.make_controller = lambda name: DoNothing(domain.action_mode)
    domain.upper_bound = lambda simulator: np.full(simulator.num_envs, 1e6)
    return simulator
