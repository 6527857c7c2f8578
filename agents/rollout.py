"""The rollout buffer of the learner: SB3's, plus who was there and what constraints cost.

Rows of absent agents are recorded like any other and never handed out, so they reach neither a
loss nor the mean and standard deviation that advantages are normalised with.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import DictRolloutBuffer, RolloutBuffer

Float32 = NDArray[np.float32]
_COLUMNS = ("actions", "values", "log_probs", "advantages", "returns", "cost_returns", "present")


class RolloutSamples(NamedTuple):
    """A minibatch of M rows: SB3's columns, then (M, C) targets of the cost critic, if any."""

    observations: Any
    actions: torch.Tensor
    old_values: torch.Tensor
    old_log_prob: torch.Tensor
    advantages: torch.Tensor
    returns: torch.Tensor
    cost_returns: torch.Tensor | None


def advantages_of(
    rewards: Float32,
    values: Float32,
    last_values: Float32,
    episode_starts: Float32,
    dones: NDArray[np.bool_],
    gamma: float,
    gae_lambda: float,
) -> Float32:
    """Generalised advantages (Schulman et al. 2016, equation 16) of C signals at once.

    Args:
        rewards, values: (T, R, C); row r of step t.
        last_values: (R, C) of the state after the last step.
        episode_starts: (T, R) 1 where an episode begins in that step.
        dones: (R,) where one ended in the last step.

    Returns:
        (T, R, C).
    """
    advantages = np.zeros_like(values)
    ahead = np.zeros_like(last_values)
    next_values, going_on = last_values, (1.0 - dones.astype(np.float32))[:, None]
    for step in reversed(range(len(rewards))):
        delta = rewards[step] + gamma * next_values * going_on - values[step]
        ahead = delta + gamma * gae_lambda * going_on * ahead
        advantages[step] = ahead
        next_values, going_on = values[step], (1.0 - episode_starts[step])[:, None]
    return advantages


class LearnerBuffer(RolloutBuffer):
    """T steps of R rows, with C costs.

    Attributes:
        present: (T, R) bool, rows whose agent acted.
        costs: (T, R, C).
        cost_advantages, cost_returns: (T, R, C), of `finish_costs`.
    """

    present: NDArray[np.bool_]

    def __init__(self, *arguments: Any, n_costs: int = 0, **options: Any) -> None:
        self.n_costs = n_costs
        super().__init__(*arguments, **options)

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        shape = (self.buffer_size, self.n_envs)
        self.present = np.ones(shape, dtype=np.bool_)
        self.costs: Float32 = np.zeros((*shape, self.n_costs), dtype=np.float32)
        self.cost_advantages: Float32 = np.zeros_like(self.costs)
        self.cost_returns: Float32 = np.zeros_like(self.costs)

    def finish_costs(self, values: Float32, last_values: Float32, dones: NDArray[np.bool_]) -> None:
        """Advantages and returns of the recorded costs, given the critic's (T, R, C) values."""
        self.cost_advantages = advantages_of(
            self.costs, values, last_values, self.episode_starts, dones, self.gamma, self.gae_lambda
        )
        self.cost_returns = self.cost_advantages + values

    def get(self, batch_size: int | None = None) -> Generator[Any, None, None]:
        """Minibatches of the rows that were present; where all were, they are SB3's."""
        assert self.full, "the rollout is not complete"
        order = np.random.permutation(self.buffer_size * self.n_envs)  # noqa: NPY002
        if not self.generator_ready:
            self._turn_round()
            self.generator_ready = True
        order = order[self.present[order, 0]]
        size = batch_size or len(order)
        for start in range(0, len(order), size):
            yield self._get_samples(order[start : start + size])

    def _turn_round(self) -> None:
        if isinstance(self.observations, dict):
            for key, array in self.observations.items():
                self.observations[key] = self.swap_and_flatten(array)
        else:
            self.observations = self.swap_and_flatten(self.observations)
        for name in _COLUMNS:
            setattr(self, name, self.swap_and_flatten(getattr(self, name)))

    def _get_samples(self, batch_inds: Any, env: Any = None) -> Any:
        samples = super()._get_samples(batch_inds, env)
        costs = self.to_torch(self.cost_returns[batch_inds]) if self.n_costs else None
        return RolloutSamples(*samples, costs)


class LearnerDictBuffer(LearnerBuffer, DictRolloutBuffer):
    """`LearnerBuffer` of Dict observations."""
