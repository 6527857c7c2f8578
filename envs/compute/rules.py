"""Rule-based controllers: a few lines of arithmetic on what the observation holds, for all lanes.

The best of them on the validation split is score 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.controller import Controller as CoreController
from daogym.envs.core.layout import Float

from .layout import (
    A_ADMISSION,
    A_ORDER,
    A_PLACE,
    A_PRICING,
    A_RESERVE,
    A_SPREAD,
    A_STANDBY,
    ORDERS,
    PLACES,
    PRICINGS,
    TIERS,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

Actions = NDArray[np.float32]
ActionMode = Literal["operator", "scheduler"]


class Controller(CoreController):
    """A controller of this domain; most of them act in mode "operator"."""

    action_mode: ActionMode = "operator"


class Discipline(Controller):
    """A classical scheduler at the lowest spread; admission and capacity are the zero action's.

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
        actions[:, A_SPREAD] = -1.0
        actions[:, A_ORDER] = place_of(self.order, len(ORDERS))
        actions[:, A_PLACE] = place_of(self.place, len(PLACES))
        actions[:, A_PRICING] = place_of(PRICINGS.index("fixed"), len(PRICINGS))
        return actions


class CongestionPricing(Controller):
    """The operator's zero action: spread, admission and capacity that follow the load by class."""

    name = "congestion_pricing"

    def act(self, simulator: Simulator) -> Actions:
        return self._idle(simulator)


class CostPlus(Controller):
    """Every order is admitted; one fixed margin is added to every ask, whatever the load."""

    name = "cost_plus"
    action_mode: ActionMode = "scheduler"
    margin = 0.1

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_ADMISSION : A_ADMISSION + TIERS] = -1.0
        actions[:, A_SPREAD] = spread_action(simulator, np.full(len(actions), self.margin))
        actions[:, A_ORDER] = place_of(ORDERS.index("market"), len(ORDERS))
        actions[:, A_PLACE] = place_of(PLACES.index("market"), len(PLACES))
        actions[:, A_PRICING] = place_of(PRICINGS.index("fixed"), len(PRICINGS))
        return actions


class ForecastStandby(Controller):
    """The zero action with capacity that is opened ahead of the calendar's usual demand."""

    name = "forecast_standby"
    gain = 0.15

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        fields = simulator.observation_fields
        first = fields.slice("usual_demand").start
        high = float(fields.high[first])
        usual = 0.5 * (simulator.observations[:, first : first + 2] + 1.0) * high
        ahead = self.gain * (usual[:, 1] - usual[:, 0])
        actions[:, A_STANDBY : A_STANDBY + TIERS] = np.clip(ahead, -1.0, 1.0)[:, None]
        return actions


class CollateralPI(Controller):
    """The zero action with a PI controller that keeps the collateral ratio at its target.

    The reserve's set-point follows the ratio's shortfall and its sum, and falls back where
    collateral is ample, so that the treasury is not spent on it.
    """

    name = "pi_collateral"
    target, proportional, integral, longest_sum = 0.99, 8.0, 0.5, 2.0

    def __init__(self) -> None:
        self._sum = np.zeros(0)

    def reset(self, simulator: Simulator) -> None:
        super().reset(simulator)
        self._sum = np.zeros(simulator.num_envs)

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        fields = simulator.observation_fields
        column = fields.slice("collateral_ratio").start
        low, high = float(fields.low[column]), float(fields.high[column])
        ratio = low + 0.5 * (simulator.observations[:, column] + 1.0) * (high - low)
        short = self.target - ratio
        self._sum = np.clip(self._sum + short, 0.0, self.longest_sum)
        actions[:, A_RESERVE] = np.clip(
            self.proportional * short + self.integral * self._sum, -1.0, 1.0
        )
        return actions


def place_of(choice: int, n: int) -> float:
    """The middle of the part of [-1, 1] that stands for one of n choices."""
    return 2.0 * (choice + 0.5) / n - 1.0


def spread_action(simulator: Simulator, spread: Float) -> Float:
    """The action that asks for a mark-up of `spread` (N,)."""
    operator = simulator.scenario.operator
    return np.clip((spread - operator.spread) / operator.spread_scale, -1.0, 1.0)


def play(controller: Controller, simulator: Simulator) -> Float:
    """USD of the episode that every lane begins now, (N,)."""
    money = np.zeros(simulator.num_envs)
    controller.reset(simulator)
    for _ in range(simulator.horizon):
        simulator.step(controller.act(simulator))
        money += simulator.rewards
    return money
