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
    A_RESERVE,
    A_SPREAD,
    BANDS,
    ORDERS,
    PLACES,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

Actions = NDArray[np.float32]
ActionMode = Literal["operator", "scheduler"]


class Controller(CoreController):
    """A controller of this domain; most of them act in mode "operator"."""

    action_mode: ActionMode = "operator"


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


class CostPlus(Controller):
    """Every order is admitted; the operator adds one fixed margin to every ask."""

    name = "cost_plus"
    margin = 0.1

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_ADMISSION : A_ADMISSION + BANDS] = -1.0
        actions[:, A_SPREAD] = spread_action(simulator, np.full(len(actions), self.margin))
        return actions


class CongestionPricing(Controller):
    """The zero action with a mark-up that grows with utilisation, up to the charter's cap."""

    name = "congestion_pricing"
    idle_share, full_share, steepest = 0.4, 0.9, 0.3

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        offered = np.maximum(simulator.state("capacity_gpus").sum(axis=1), 1.0)
        used = simulator.state("used_gpus").sum(axis=1) / offered
        rise = np.clip((used - self.idle_share) / (self.full_share - self.idle_share), 0.0, 1.0)
        actions[:, A_SPREAD] = spread_action(simulator, self.steepest * rise)
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
