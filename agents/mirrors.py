"""Mirrored lanes: pairs in the same worlds whose exploration noise is opposite.

Row i and row i + N / 2 meet the same worlds from the first step of an episode to its last, and the
lasting noise (gSDE) of one is minus that of the other. Half of what one earned more over the
episode, learner's units, is the advantage of each of its decisions: luck, which both had, is gone,
and nothing is a critic's guess. Mirrored sampling: Brockhoff et al. 2010, "Mirrored sampling and
sequential selection for evolution strategies"; in policy search: Salimans et al. 2017, "Evolution
strategies as a scalable alternative to reinforcement learning".

The whole episode counts for every decision, since a noise that lasts makes later rewards a
consequence of the same draw, and earlier ones, too. Summed over the decisions of a lane, advantage
times score is an evolution strategy's estimate in the weights of the last layer, with the policy's
own states as metric.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def mirror_noise(policy: Any) -> None:
    """Give the second half of the rows the negative of the first half's lasting noise."""
    noise = policy.action_dist.exploration_matrices
    half = len(noise) // 2
    noise[half:] = -noise[:half]


def mirrored_advantages(
    rewards: Float32, episode_starts: Float32, dones: NDArray[np.bool_]
) -> Float32:
    """Half of what each row earned (or cost) more than its mirror image, in every step.

    Args:
        rewards: (T, N) or, for C signals, (T, N, C) of whole episodes.
        episode_starts: (T, N) 1 where an episode begins in that step.
        dones: (N,) where one ended in the last step.

    Returns:
        Of the same shape, rows i and i + N / 2 opposite.

    Raises:
        ValueError: an episode does not fill the rollout.
    """
    if not (dones.all() and episode_starts[0].all() and not episode_starts[1:].any()):
        lanes = np.flatnonzero(~dones | ~(episode_starts[0] > 0.0) | episode_starts[1:].any(axis=0))
        raise ValueError(
            f"mirrored lanes: a rollout of {len(rewards)} decisions is one episode of every lane; "
            f"lanes {lanes[:8].tolist()} began or ended one elsewhere"
        )
    earned = rewards.sum(axis=0)
    half = len(earned) // 2
    more = 0.5 * (earned[:half] - earned[half:])
    return np.broadcast_to(np.concatenate([more, -more]), rewards.shape).astype(np.float32)
