"""A constrained decision problem of two states whose best policy is mixed and known exactly.

A machine is fresh or worn; each step one runs it or lets it rest, and an episode goes on with
probability `STAY`. Running pays 1 and leaves it worn, running it worn costs 1; rest makes it fresh.
Expected visits x of the two states under "always run when fresh, run with probability p when worn":

    x_fresh + x_worn = 1 / (1 - q),    x_worn = q x_fresh + q p x_worn,    cost = p x_worn

so with a limit d on the expected cost, x_worn = (q / (1 - q) + q d) / (1 + q), p = d / x_worn and
the reward is x_fresh + d: the best there is, since each unit of cost buys 1 / (1 + q) of reward
wherever it is spent. (Altman 1999, "Constrained Markov decision processes": a limit makes the best
stationary policy mix in one state.)
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete
from numpy.typing import NDArray

from daogym.envs.adapters.batch_vec_env import EMPTY_INFO, BatchVecEnv

STAY = 0.9
FRESH, WORN = 0, 1
REST, RUN = 0, 1


def visits(run_fresh: float, run_worn: float) -> NDArray[np.float64]:
    """(2,) expected visits of fresh and worn in an episode, of any stationary policy."""
    to_worn = np.array([run_fresh, run_worn])
    step = np.stack([1.0 - to_worn, to_worn])  # column: from, row: to
    return np.asarray(np.linalg.solve(np.eye(2) - STAY * step, [1.0, 0.0]))


def reward_and_cost(run_fresh: float, run_worn: float) -> tuple[float, float]:
    """Expected sums over an episode."""
    fresh, worn = visits(run_fresh, run_worn)
    return float(fresh * run_fresh + worn * run_worn), float(worn * run_worn)


def best_mixture(limit: float) -> tuple[float, float]:
    """Probability of running when worn, and the reward, of the best policy within the limit."""
    worn = (STAY / (1.0 - STAY) + STAY * limit) / (1.0 + STAY)
    return limit / worn, 1.0 / (1.0 - STAY) - worn + limit


class TwoStateEnv(BatchVecEnv):
    """N machines; costs are an array, as in the project's faces."""

    cost_names = ("wear", "runs")
    episode_steps = 1.0 / (1.0 - STAY)

    def __init__(self, num_envs: int) -> None:
        self.render_mode = None
        self.state = np.zeros(num_envs, dtype=np.int64)
        self.costs = np.zeros((num_envs, 2))
        self.truncated_rows = np.zeros(num_envs, dtype=bool)
        self.final_observations = np.zeros((num_envs, 2), dtype=np.float32)
        self.generator = np.random.default_rng(0)
        super().__init__(num_envs, Box(0.0, 1.0, (2,), np.float32), Discrete(2))

    def _observe(self) -> NDArray[np.float32]:
        return np.eye(2, dtype=np.float32)[self.state]

    def reset(self) -> NDArray[np.float32]:
        self.generator = np.random.default_rng(self._seeds[0])
        self.state[:] = FRESH
        return self._observe()

    def step_async(self, actions: NDArray[Any]) -> None:
        self.actions = actions

    def step_wait(self) -> tuple[Any, NDArray[Any], NDArray[np.bool_], list[Any]]:
        run = self.actions == RUN
        self.costs[:, 0] = run & (self.state == WORN)
        self.costs[:, 1] = run
        self.state = np.where(run, WORN, FRESH)
        dones = self.generator.random(self.num_envs) >= STAY
        self.state[dones] = FRESH
        return self._observe(), run.astype(np.float32), dones, [EMPTY_INFO] * self.num_envs

    def get_images(self) -> list[Any]:
        return [None] * self.num_envs
