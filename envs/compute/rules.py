"""Rule-based controllers: a few lines of arithmetic on what the observation holds, for all lanes.

The best of them on the validation split is score 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float

from .layout import (
    A_ADMISSION,
    A_ORDER,
    A_PLACE,
    A_SPREAD,
    BANDS,
    ORDERS,
    PLACES,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

Actions = NDArray[np.float32]
ActionMode = Literal["operator", "scheduler"]


class Controller:
    """Acts for all lanes of a simulator; what it keeps between steps is dropped by `reset`."""

    name = ""
    action_mode: ActionMode = "operator"

    def reset(self, simulator: Simulator) -> None:
        """Get ready for a simulator whose lanes stand at their starts.

        Raises:
            ValueError: the simulator takes actions of the other mode.
        """
        mode = simulator.domain.action_mode  # type: ignore[attr-defined]
        if mode != self.action_mode:
            raise ValueError(
                f"{self.name} acts in mode {self.action_mode!r}, the simulator takes {mode!r}"
            )

    def act(self, simulator: Simulator) -> Actions:
        """Normalised actions, (N, action_size) float32."""
        raise NotImplementedError

    def _idle(self, simulator: Simulator) -> Actions:
        return np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)


class Discipline(Controller):
    """A classical scheduler: every order is admitted, at the lowest spread.

    Args:
        order: how the queue is ordered, one of `layout.ORDERS`.
        place: how a provider is chosen, one of `layout.PLACES`.
    """

    action_mode: ActionMode = "scheduler"

    def __init__(self, name: str, order: str, place: str) -> None:
        self.name = name
        self.order, self.place = ORDERS.index(order), PLACES.index(place)

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_ADMISSION : A_ADMISSION + BANDS] = -1.0
        actions[:, A_SPREAD] = -1.0
        actions[:, A_ORDER] = 2.0 * (self.order + 0.5) / len(ORDERS) - 1.0
        actions[:, A_PLACE] = 2.0 * (self.place + 0.5) / len(PLACES) - 1.0
        return actions


class Market(Controller):
    """The operator's zero action: fixed priorities, admission threshold, weights and spread."""

    name = "market"

    def act(self, simulator: Simulator) -> Actions:
        return self._idle(simulator)


def play(controller: Controller, simulator: Simulator) -> Float:
    """USD of the episode that every lane begins now, (N,)."""
    money = np.zeros(simulator.num_envs)
    controller.reset(simulator)
    for _ in range(simulator.horizon):
        simulator.step(controller.act(simulator))
        money += simulator.rewards
    return money
