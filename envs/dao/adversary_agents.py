"""Adversary and operator as agents of one game: both learn, or one against a fixed other.

The adversary is paid its own profit, the operator minus what treasury and vault lose (its own
acts' cost included); the team's reward is the DAO's, that is the operator's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.multi_agent import Agent, AgentGroup, AgentsView
from daogym.envs.core.simulator import Simulator

from .adversary import ACTION_FIELDS, OPERATOR_FIELDS, AdversaryDomain

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Name = Literal["adversary", "operator"]
FixedPolicy = Callable[[Float32], Float32]
"""Observations (N, D) to the actions (N, K) of the one who does not learn."""
PLACES = {
    "adversary": slice(0, ACTION_FIELDS.size),
    "operator": slice(ACTION_FIELDS.size, ACTION_FIELDS.size + OPERATOR_FIELDS.size),
}
FIELDS: dict[str, FieldSet] = {"adversary": ACTION_FIELDS, "operator": OPERATOR_FIELDS}


class CaptureAgents(AgentsView):
    """The agents of a game with an operator.

    Args:
        simulator: of `make_adversary(..., operator=True)`.
        learning: who is an agent, in this order; the others act by `fixed`.
        fixed: policies of those who do not learn; who has none does nothing.

    Raises:
        ValueError: a game without an operator, or nobody who learns.
    """

    def __init__(
        self,
        simulator: Simulator,
        learning: tuple[Name, ...] = ("adversary", "operator"),
        fixed: dict[Name, FixedPolicy] | None = None,
    ) -> None:
        domain = simulator.domain
        if not isinstance(domain, AdversaryDomain) or not domain.scenario.operator:
            raise ValueError("a game of make_adversary(..., operator=True) is expected")
        if not learning:
            raise ValueError("learning: at least one of adversary and operator is expected")
        super().__init__(simulator)
        self.learning, self.fixed = learning, dict(fixed or {})
        self.agents = tuple(Agent(name, name, name) for name in learning)
        self.groups = tuple(
            AgentGroup(name, simulator.observation_fields, FIELDS[name]) for name in learning
        )
        self.state_fields = simulator.observation_fields
        self.baselines: Float = np.zeros((self.num_envs, len(learning)))
        self._alive = np.ones((self.num_envs, len(learning)), dtype=np.bool_)

    def compose(self, actions: Float32) -> Float32:
        """(N, 8) of the agents' (N, A, K) and of the fixed policies."""
        s = self.simulator
        whole = np.zeros((self.num_envs, s.action_size), dtype=np.float32)
        for place, name in enumerate(self.learning):
            whole[:, PLACES[name]] = actions[:, place, : FIELDS[name].size]
        for name, policy in self.fixed.items():
            whole[:, PLACES[name]] = policy(s.observations)
        return whole

    def _of_each(self, profit: Float, loss: Float) -> Float:
        money = {"adversary": profit, "operator": -loss}
        return np.stack([money[name] for name in self.learning], axis=1)

    @property
    def observations(self) -> Float32:
        """(N, A, D): all agents see the same."""
        return self._shown(self.simulator.observations)

    @property
    def final_observations(self) -> Float32:
        """(N, A, D)."""
        return self._shown(self.simulator.final_observations)

    def _shown(self, observations: Float32) -> Float32:
        return np.repeat(observations[:, None], len(self.learning), axis=1)

    @property
    def states(self) -> Float32:
        """(N, S): what the agents see is all that a critic gets."""
        return self.simulator.observations

    @property
    def final_states(self) -> Float32:
        """(N, S)."""
        return self.simulator.final_observations

    @property
    def alive(self) -> NDArray[np.bool_]:
        """(N, A): all are there all the time."""
        return self._alive

    @property
    def rewards(self) -> Float:
        """(N, A) dollars."""
        return self._of_each(self.simulator.rewards, self.simulator.costs[:, 0])

    @property
    def episode_rewards(self) -> Float:
        """(N, A) dollars of the episode that ended."""
        return self._of_each(self.simulator.episode_reward, self.simulator.episode_costs[:, 0])

    @property
    def team_rewards(self) -> Float:
        """(N,) dollars that the DAO lost, below 0."""
        return -self.simulator.costs[:, 0]

    @property
    def episode_team_reward(self) -> Float:
        """(N,)."""
        return -self.simulator.episode_costs[:, 0]
