"""stable-baselines3's PPO, set up from a `TrainConfig`.

The learner is a subclass of SB3's (`learner.py`). Evaluation, checkpoints and metrics hang on SB3's
callbacks; with `algo=ppo` the weights are SB3's bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnv

from .config import TrainConfig
from .learner import Learner
from .multi_agent_policy import MultiAgentPolicy

ACTIVATIONS: dict[str, type[torch.nn.Module]] = {
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
    "elu": torch.nn.ELU,
    "silu": torch.nn.SiLU,
}


def linear_schedule(start: float) -> Callable[[float], float]:
    """SB3 schedule: ``start`` at the beginning of the run, 0 at its end."""

    def schedule(progress_remaining: float) -> float:
        return start * progress_remaining

    return schedule


def policy_settings(config: TrainConfig) -> dict[str, Any]:
    """``policy_kwargs`` of SB3's `ActorCriticPolicy`: separate networks, Gaussian actions."""
    return {
        "net_arch": {"pi": list(config.net_arch), "vf": list(config.net_arch)},
        "activation_fn": ACTIVATIONS[config.activation],
        "log_std_init": config.log_std_init,
    }


def make_ppo(config: TrainConfig, env: VecEnv) -> Learner:
    """A PPO learner on ``env``; seeds the global random states, as SB3 does."""
    torch.set_num_threads(config.torch_threads)
    rate: float | Callable[[float], float] = config.learning_rate
    if config.learning_rate_schedule == "linear":
        rate = linear_schedule(config.learning_rate)
    kind: type[ActorCriticPolicy] = ActorCriticPolicy
    settings = policy_settings(config)
    if config.has_agents:
        kind = MultiAgentPolicy
        settings["critic_key"] = "state" if config.algo == "mappo" else "obs"
        settings["layout"] = env.layout  # type: ignore[attr-defined]
    return Learner(
        kind,
        env,
        learning_rate=rate,
        n_steps=config.n_steps,
        batch_size=config.batch_size,
        n_epochs=config.n_epochs,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        clip_range=config.clip_range,
        normalize_advantage=config.normalize_advantage,
        ent_coef=config.ent_coef,
        vf_coef=config.vf_coef,
        max_grad_norm=config.max_grad_norm,
        target_kl=config.target_kl,
        policy_kwargs=settings,
        stats_window_size=max(100, env.num_envs),
        use_sde=config.use_sde,
        sde_sample_freq=config.sde_sample_freq,
        seed=config.seed,
        device="cpu",
        cost_limits=config.cost_limits,
        multiplier_rate=config.multiplier_rate,
        multiplier_start=config.multiplier_start,
        multiplier_proportional=config.multiplier_proportional,
        normalise_values=config.normalise_values,
        huber_delta=config.huber_delta,
        clip_by_group=config.clip_by_group,
        mirror_lanes=config.mirror_lanes,
    )
