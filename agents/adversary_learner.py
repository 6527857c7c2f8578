"""The project's PPO with the settings that all tables about adversaries use."""

from __future__ import annotations

from typing import Any

import torch
from stable_baselines3.common.vec_env import VecEnv

from .learner import Learner
from .ppo import linear_schedule

NETWORKS = {"net_arch": {"pi": [64, 64], "vf": [64, 64]}, "log_std_init": -0.2}


def learn_the_game(
    policy: type[Any], env: VecEnv, settings: dict[str, Any], seed: int, steps: int
) -> Learner:
    """A learner of `policy` after `steps` of an adversary, or of an operator against one.

    Args:
        settings: ``policy_kwargs``, `NETWORKS` and what the policy needs beside.
    """
    torch.set_num_threads(1)
    learner = Learner(
        policy,
        env,
        learning_rate=linear_schedule(1e-3),
        n_steps=64,
        batch_size=1024,
        n_epochs=6,
        gamma=1.0,
        gae_lambda=0.99,
        max_grad_norm=0.5,
        target_kl=0.05,
        policy_kwargs=settings,
        normalise_values=True,
        seed=seed,
        device="cpu",
    )
    learner.learn(steps)
    return learner
