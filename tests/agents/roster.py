"""A scripted world: three agents of two groups and three kinds, one of which comes and goes.

The car is there in steps 1 and 2 of 4. Episodes of even environments are cut, those of odd ones
terminate. What rows of absent agents hold is up to `garbage`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.multi_agent import Agent, AgentGroup

HORIZON = 4
CAR = 2
AGENTS = (Agent("panel", "source", "pv"), Agent("store", "device", "battery"),
          Agent("car", "device", "car"))  # fmt: skip


def fields(prefix: str, count: int) -> FieldSet:
    return FieldSet([Field(f"{prefix}_{i}", "1", -1.0, 1.0) for i in range(count)])


class Roster:
    """N environments of 3 agents; meets `MultiAgentSimulator`."""

    agents = AGENTS
    horizon, reward_scale, autoreset = HORIZON, 0.5, "same_step"
    cost_names = ("heat", "noise")

    def __init__(self, num_envs: int = 4, garbage: float = 0.0) -> None:
        self.groups = (
            AgentGroup("source", fields("sun", 1), fields("curtail", 1)),
            AgentGroup("device", fields("charge", 2), fields("power", 2)),
        )
        self.state_fields = fields("all", 3)
        n = self.num_envs = num_envs
        self.garbage = garbage
        self.time, self.episode = 0, 0
        self.actions = np.zeros((n, 3, 2))
        self.observations = np.zeros((n, 3, 2), dtype=np.float32)
        self.final_observations = np.zeros_like(self.observations)
        self.states = np.zeros((n, 3), dtype=np.float32)
        self.final_states = np.zeros_like(self.states)
        self.alive = np.ones((n, 3), dtype=bool)
        self.rewards, self.baselines = np.zeros((n, 3)), np.full((n, 3), 0.25)
        self.team_rewards, self.team_baselines = np.zeros(n), np.full(n, 0.5)
        self.costs = np.zeros((n, 2))
        self.terminated, self.truncated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.episode_rewards, self.episode_team_reward = np.zeros((n, 3)), np.zeros(n)
        self.episode_costs, self.episode_length = np.zeros((n, 2)), np.full(n, HORIZON)

    def reset(self, seed: Any = None, mask: Any = None, options: Any = None) -> None:
        assert mask is None and not options
        self.time, self.episode = 0, 0
        self.episode_rewards[:] = 0.0
        self._observe()

    def _observe(self) -> None:
        n = self.num_envs
        moment = (self.time + 1) / 10.0 + self.episode / 100.0
        who = np.arange(n)[:, None, None] / 1000.0 + np.arange(3)[:, None] / 7.0
        self.observations[:] = np.sin(moment + who + np.arange(2) / 3.0)
        self.alive[:, CAR] = self.time in (1, 2)
        self.observations[~self.alive] = self.garbage
        self.states[:] = np.cos(moment + np.arange(n)[:, None] + np.arange(3))

    def step(self, actions: NDArray[np.float32]) -> None:
        assert actions.shape == (self.num_envs, 3, 2), actions.shape
        assert not actions[~self.alive].any()
        self.actions = actions.copy()
        acted = self.alive.copy()
        paid = actions.sum(axis=2) * np.array([1.0, 2.0, 3.0]) + self.time
        self.rewards[:] = np.where(acted, paid, self.garbage)
        self.team_rewards[:] = paid.sum(axis=1) - (actions**2).sum(axis=(1, 2))
        self.costs[:, 0] = (actions**2).sum(axis=(1, 2))
        self.costs[:, 1] = self.time
        self.episode_rewards += np.where(acted, paid, 0.0)
        self.time += 1
        ended = self.time == HORIZON
        self.truncated[:] = ended & (np.arange(self.num_envs) % 2 == 0)
        self.terminated[:] = ended & (np.arange(self.num_envs) % 2 == 1)
        self._observe()
        if ended:
            self.final_observations[:] = self.observations
            self.final_states[:] = self.states
            self.time, self.episode = 0, self.episode + 1
            self._observe()

    def render(self, env: int) -> NDArray[np.uint8]:
        """A bright column for each number of the state."""
        columns = np.uint8(127.5 * (self.states[env].astype(np.float64) + 1.0))
        return np.broadcast_to(columns[None, :, None], (4, len(columns), 3)).copy()

    def snapshot(self) -> dict[str, NDArray[Any]]:
        return {"clock": np.array([self.time, self.episode])}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        self.time, self.episode = (int(word) for word in snapshot["clock"])
        self._observe()
