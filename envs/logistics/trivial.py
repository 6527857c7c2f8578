"""Controllers that never look: constant actions and a fixed weekly schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daogym.envs.core.layout import Float

from .network import Network
from .rules import Actions, Controller
from .scenario import LogisticsScenario

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


def action_size(scenario: LogisticsScenario) -> int:
    """Levels and shares of the mode "base_stock": fleets and proposals are left at 0."""
    return len(scenario.tiers) * len(scenario.goods) + len(Network(scenario).knobs)


class Constant(Controller):
    """The same action of the mode "base_stock" every day.

    Args:
        parameters: (`action_size`,), or one such row a lane.
    """

    name = "best_constant"
    action_mode = "base_stock"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
        actions[:, : self.parameters.shape[-1]] = self.parameters
        return actions


class Schedule(Controller):
    """Order-up-to multipliers of each tier by weekday, shares of modes as at action 0.

    Args:
        parameters: (7 tiers,) or (N, 7 tiers): action of each tier on Monday, Tuesday, ...
    """

    name = "best_schedule"
    action_mode = "base_stock"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        scenario = simulator.scenario
        tiers, goods = len(scenario.tiers), len(scenario.goods)
        rows = np.broadcast_to(self.parameters, (simulator.num_envs, 7 * tiers))
        week = rows.reshape(simulator.num_envs, 7, tiers)
        weekday = (simulator.state("first_day") + simulator.state("step")) % 7
        today = week[np.arange(simulator.num_envs), weekday]
        actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
        actions[:, : tiers * goods] = np.repeat(today, goods, axis=1)
        return actions


def constant_parameters(scenario: LogisticsScenario) -> tuple[float, ...]:
    """The best constant action of a search on the train split."""
    from .search import cross_entropy

    size = action_size(scenario)
    found = cross_entropy(
        Constant, np.zeros(size), np.array(0.15), scenario, generations=8, population=128
    )
    return tuple(found.tolist())


def schedule_parameters(scenario: LogisticsScenario) -> tuple[float, ...]:
    """The best weekly schedule of a search on the train split."""
    from .search import cross_entropy

    start = np.zeros(7 * len(scenario.tiers))
    found = cross_entropy(Schedule, start, np.array(0.15), scenario, generations=8, population=128)
    return tuple(found.tolist())
