"""The toy store, held by two agents of two groups: its power is the mean of what they ask for.

The first sees everything, the second neither the clock nor prices to come. Money is the team's;
each agent's own is half of the load's and the trade that it asked for.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.multi_agent import Agent, AgentGroup, AgentsView

toy = sys.modules["toy_world"]


class StoreView(AgentsView):
    """Agents of a `ToySimulator`."""

    def __init__(self, simulator: Any) -> None:
        super().__init__(simulator)
        fields, power = simulator.observation_fields, simulator.action_fields
        narrow = FieldSet([fields["soc_kwh"]])
        self.agents = (Agent("planner", "wide", "store"), Agent("watcher", "narrow", "store"))
        self.groups = (AgentGroup("wide", fields, power), AgentGroup("narrow", narrow, power))
        self.state_fields = fields

    def _seen(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        seen = np.repeat(observations[:, None], 2, axis=1)
        seen[:, 1, 1:] = 0.0
        return seen

    @property
    def observations(self) -> NDArray[np.float32]:
        return self._seen(self.simulator.observations)

    @property
    def final_observations(self) -> NDArray[np.float32]:
        return self._seen(self.simulator.final_observations)

    @property
    def states(self) -> NDArray[np.float32]:
        return self.simulator.observations

    @property
    def final_states(self) -> NDArray[np.float32]:
        return self.simulator.final_observations

    @property
    def alive(self) -> NDArray[np.bool_]:
        return np.ones((self.num_envs, 2), dtype=bool)

    @property
    def rewards(self) -> NDArray[np.float64]:
        return np.repeat(self.simulator.rewards[:, None] / 2.0, 2, axis=1)

    @property
    def baselines(self) -> NDArray[np.float64]:
        return np.repeat(self.simulator.baselines[:, None] / 2.0, 2, axis=1)

    @property
    def episode_rewards(self) -> NDArray[np.float64]:
        return np.repeat(self.simulator.episode_reward[:, None] / 2.0, 2, axis=1)

    def compose(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(actions.mean(axis=1))


class StoreDomain(toy.ToyDomain):  # type: ignore[misc, name-defined]
    """The toy's controllers and bound, and its agents."""

    def as_agents(self, simulator: Any) -> StoreView:
        return StoreView(simulator)


def make_simulator(*arguments: Any, **options: Any) -> Any:
    """The toy's simulator with a domain of agents."""
    simulator = toy.make_simulator(*arguments, **options)
    simulator.domain = StoreDomain(simulator.domain.reward_scale)
    return simulator
