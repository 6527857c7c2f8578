"""Branches: the learner's lanes without its noise, as a baseline of its advantages.

At the start of each rollout a second batch takes over the state of the learner's lanes, and from
there on takes the policy's mean action in each step. Worlds are drawn by seed and step alone, so
both batches meet the same arrivals and prices, and differ only by what the noise of the actions
did. What happens in a branch does not depend on the noise of the lane, so its advantage may be
subtracted from the lane's without bias, as any baseline (Greensmith, Bartlett and Baxter 2004,
"Variance reduction techniques for gradient estimates in reinforcement learning"); what both have
in common, luck above all, is gone. It costs a second simulation, no gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.utils import obs_as_tensor
from stable_baselines3.common.vec_env import VecEnv

from .rollout import advantages_of

Float32 = NDArray[np.float32]


class Branch:
    """The branch of all lanes of one rollout.

    Args:
        env: a face of a batch of the same scenario, size and settings as the learner's.
        policy: the learner's.
    """

    def __init__(self, env: VecEnv, policy: Any) -> None:
        self.env: Any = env
        self.policy = policy
        self._observations: Any = None
        self._rewards: list[Float32] = []
        self._values: list[Float32] = []

    def begin(self, env: Any) -> None:
        """Take over the state of the learner's lanes and forget the last rollout."""
        self.env.simulator.restore(env.simulator.snapshot())
        self._observations = self.env.resume_observations()
        self._rewards, self._values = [], []

    def step(self, gamma: float) -> None:
        """Take the policy's mean action once."""
        with torch.no_grad():
            tensor = obs_as_tensor(self._observations, torch.device("cpu"))
            actions = self.policy.get_distribution(tensor).mode().numpy()
            self._values.append(self.policy.predict_values(tensor).numpy())
        space = self.env.action_space
        self._observations, rewards, _, _ = self.env.step(np.clip(actions, space.low, space.high))
        cut = np.flatnonzero(self.env.truncated_rows)
        if len(cut):
            rewards[cut] += gamma * self._values_of(self.env.final_observations[cut])[:, 0]
        self._rewards.append(rewards[:, None])

    def advantages(
        self, episode_starts: Float32, dones: NDArray[np.bool_], gamma: float, gae_lambda: float
    ) -> Float32:
        """(T, N) advantages of the branch; episodes begin and end with the learner's."""
        return advantages_of(
            np.array(self._rewards), np.array(self._values), self._values_of(self._observations),
            episode_starts, dones, gamma, gae_lambda,
        )[..., 0]  # fmt: skip

    def _values_of(self, observations: Any) -> Float32:
        with torch.no_grad():
            tensor = obs_as_tensor(observations, torch.device("cpu"))
            return np.asarray(self.policy.predict_values(tensor).numpy())
