"""A linear-quadratic team of two agents: its optimum is the solution of a Riccati equation.

Each agent pushes its own half of a coupled linear system with noise; the team pays
x'Qx + u'Ru a step. Both see the whole state, so the best team is the linear-quadratic regulator.
Episodes are cut after `HORIZON` steps of an endless, discounted problem.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray

from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.multi_agent import Agent, AgentGroup

GAMMA = 0.9
HORIZON = 10
BOUND, PUSH, NOISE = 4.0, 2.0, 0.15
A = np.array([[0.9, 0.2], [0.2, 0.9]])
B = np.diag([0.8, 0.8])
Q = np.array([[1.0, 0.6], [0.6, 1.0]])
R = np.diag([0.3, 0.3])

Float = NDArray[np.float64]


def optimal_gain() -> Float:
    """(2, 2) K of the best u = -K x, from the discounted Riccati equation."""
    root = np.sqrt(GAMMA)
    p = scipy.linalg.solve_discrete_are(root * A, root * B, Q, R)
    return np.asarray(np.linalg.solve(R + GAMMA * B.T @ p @ B, GAMMA * B.T @ p @ A))


def expected_cost(gain: Float, x: Float) -> Float:
    """(M,) discounted cost of u = -gain x from (M, 2) states on, noise included, exactly.

    P = Q + K'RK + gamma (A - BK)' P (A - BK), a linear equation (discounted Lyapunov).
    """
    closed = np.sqrt(GAMMA) * (A - B @ gain)
    p = scipy.linalg.solve_discrete_lyapunov(closed.T, Q + gain.T @ R @ gain)
    noise = GAMMA / (1.0 - GAMMA) * NOISE**2 * np.trace(p)
    return np.asarray(np.einsum("mi,ij,mj->m", x, p, x) + noise)


class LqTeam:
    """N teams; meets `MultiAgentSimulator`."""

    horizon, reward_scale, autoreset = HORIZON, 0.2, "same_step"
    cost_names = ("effort",)

    def __init__(self, num_envs: int, groups: bool = False, stagger: bool = True) -> None:
        names = ("left", "right") if groups else ("both", "both")
        fields = FieldSet([Field("own", "1", -BOUND, BOUND), Field("other", "1", -BOUND, BOUND)])
        push = FieldSet([Field("push", "1", -PUSH, PUSH)])
        self.agents = tuple(Agent(f"agent_{i}", name, "pusher") for i, name in enumerate(names))
        self.groups = tuple(AgentGroup(name, fields, push) for name in dict.fromkeys(names))
        self.state_fields = FieldSet([Field("x", "1", -BOUND, BOUND, (2,))])
        self.num_envs, self.stagger = num_envs, stagger
        n = num_envs
        self.x, self.time = np.zeros((n, 2)), np.zeros(n, dtype=np.int64)
        self.seed_and_clock = np.zeros(2, dtype=np.int64)
        self.observations = np.zeros((n, 2, 2), dtype=np.float32)
        self.states = np.zeros((n, 2), dtype=np.float32)
        self.final_observations = self.observations.copy()
        self.final_states = self.states.copy()
        self.alive = np.ones((n, 2), dtype=bool)
        self.rewards, self.team_rewards = np.zeros((n, 2)), np.zeros(n)
        self.baselines, self.team_baselines = np.zeros((n, 2)), np.zeros(n)
        self.costs = np.zeros((n, 1))
        self.terminated, self.truncated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.sums = np.zeros((n, 4))
        self.episode_rewards, self.episode_team_reward = np.zeros((n, 2)), np.zeros(n)
        self.episode_costs, self.episode_length = np.zeros((n, 1)), np.zeros(n, dtype=np.int64)

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        mask: NDArray[np.bool_] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        rows = np.ones(self.num_envs, dtype=bool) if mask is None else mask
        if seed is not None:
            self.seed_and_clock[:] = (int(np.max(seed)), 0)
        self._begin(rows)
        if self.stagger:
            self.time[rows] = self._draws().integers(HORIZON, size=int(rows.sum()))
        self._observe()

    def _draws(self) -> np.random.Generator:
        """A fresh stream at every call, a function of the seed and the number of calls."""
        seed, clock = (int(word) for word in self.seed_and_clock)
        self.seed_and_clock[1] += 1
        return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, clock]))

    def _begin(self, rows: NDArray[np.bool_]) -> None:
        self.x[rows] = self._draws().uniform(-1.5, 1.5, (int(rows.sum()), 2))
        self.time[rows] = 0
        self.sums[rows] = 0.0

    def _observe(self) -> None:
        self.states[:] = self.state_fields.normalise(self.x)
        self.observations[:, 0] = self.states
        self.observations[:, 1] = self.states[:, ::-1]

    def step(self, actions: NDArray[np.float32]) -> None:
        assert actions.shape == (self.num_envs, 2, 1), actions.shape
        u = PUSH * np.clip(actions[:, :, 0].astype(np.float64), -1.0, 1.0)
        x = self.x
        # Half of what the coupling costs is each agent's.
        own = x * (x @ Q) + u * (u @ R)
        self.rewards[:] = -own
        self.team_rewards[:] = -own.sum(axis=1)
        self.costs[:, 0] = np.abs(u).sum(axis=1)
        noise = NOISE * self._draws().standard_normal(x.shape)
        self.x = np.clip(x @ A.T + u @ B.T + noise, -BOUND, BOUND)
        self.time += 1
        self.sums += np.concatenate([self.rewards, self.team_rewards[:, None], self.costs], axis=1)
        self._observe()
        done = self.time >= HORIZON
        self.truncated[:] = done
        if done.any():
            self.final_observations[done] = self.observations[done]
            self.final_states[done] = self.states[done]
            self.episode_rewards[done] = self.sums[done, :2]
            self.episode_team_reward[done] = self.sums[done, 2]
            self.episode_costs[done] = self.sums[done, 3:]
            self.episode_length[done] = HORIZON
            self._begin(done)
            self._observe()

    def render(self, env: int) -> NDArray[np.uint8]:
        """A bright column for each number of the state."""
        columns = np.uint8(127.5 * (self.states[env].astype(np.float64) + 1.0))
        return np.broadcast_to(columns[None, :, None], (4, len(columns), 3)).copy()

    _STATE = ("x", "time", "sums", "observations", "states", "seed_and_clock")

    def snapshot(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name).copy() for name in self._STATE}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        for name in self._STATE:
            getattr(self, name)[...] = snapshot[name]
