"""Warm start: before PPO begins, policy and critic learn from a controller of the domain.

Behaviour cloning of the domain's teacher. Its actions are the labels, while what the simulator
gets is the label plus the very noise that PPO will begin to explore with: so the states are those
in which the policy will find itself (noise injection: Laskey et al., "DART", CoRL 2017), and the
returns from them are what the critic has to know when PPO begins.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO
from torch.nn.functional import mse_loss

from daogym.envs.core.compiled import cache_root, source_hash

from .checkpoint import CheckpointError, read_tensors, write_tensors
from .config import TrainConfig
from .evaluation import EpisodeSet, MakeSimulator

DEMONSTRATION_SEED = 2_000_000
_TOGETHER = 64
Float32 = NDArray[np.float32]


class ImitationError(ValueError):
    """There is nobody to imitate."""


@dataclass(frozen=True)
class Demonstrations:
    """What a teacher did in M states.

    Attributes:
        observations: (M, observation size), normalised.
        actions: (M, action size), normalised, without noise.
        returns: (M,) discounted sums of the learner's rewards from there on.
    """

    observations: Float32
    actions: Float32
    returns: Float32


@dataclass(frozen=True)
class Imitated:
    """Mean squared errors at the end of `imitate`: of an action in [-1, 1], and of a return as a
    share of the returns' variance."""

    action_error: float
    return_error: float


def demonstrations(config: TrainConfig, make: MakeSimulator) -> Demonstrations:
    """The teacher's episodes on the training split, from the cache folder if they are there.

    They depend on scenario, sources and the settings named below, not on the learner's seed.

    Raises:
        ImitationError: the domain has no teacher.
    """
    probe = _episodes(config, 0, 1).simulator(make, config.action_mode)
    key = {
        "scenario": probe.scenario_hash,
        "source": source_hash(),
        "split": config.split,
        "episodes": config.warm_start_episodes,
        "log_std": config.log_std_init,
        "gamma": config.gamma,
        "control_variate": config.control_variate,
        "value_stock": config.value_stock,
    }
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:32]
    path = _folder() / f"{name}.safetensors"
    with contextlib.suppress(CheckpointError):
        arrays, document = read_tensors(path)
        if document == key:
            return Demonstrations(**arrays)
    found = _demonstrate(config, make)
    # A folder that cannot be written means demonstrating again next time.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_tensors(path, vars(found), key)
    return found


def _folder() -> Path:
    return cache_root() / "demonstrations"


def _episodes(config: TrainConfig, first: int, count: int) -> EpisodeSet:
    return EpisodeSet(config.scenario, config.split, count, seed=DEMONSTRATION_SEED + first)


def _demonstrate(config: TrainConfig, make: MakeSimulator) -> Demonstrations:
    generator = np.random.Generator(np.random.Philox(DEMONSTRATION_SEED))
    parts = []
    for first in range(0, config.warm_start_episodes, _TOGETHER):
        count = min(_TOGETHER, config.warm_start_episodes - first)
        simulator = _episodes(config, first, count).simulator(
            make, config.action_mode, config.threads
        )
        parts.append(_play(config, simulator, generator))
    return Demonstrations(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _play(
    config: TrainConfig, simulator: Any, generator: np.random.Generator
) -> tuple[Float32, Float32, Float32]:
    """One episode of every lane, in lane-major order."""
    domain = simulator.domain
    if not hasattr(domain, "make_teacher"):
        raise ImitationError(f"warm_start: the domain {domain.name!r} has no teacher to imitate")
    teacher = domain.make_teacher()
    if teacher.action_mode != domain.action_mode:
        raise ImitationError(
            f"warm_start: the teacher acts in mode {teacher.action_mode!r}, the policy learns in "
            f"mode {domain.action_mode!r}"
        )
    teacher.reset(simulator)
    deviation = math.exp(config.log_std_init)
    observations, actions, rewards = [], [], []
    for _ in range(simulator.horizon):
        action = np.array(teacher.act(simulator), dtype=np.float32)
        observations.append(simulator.observations.copy())
        actions.append(action)
        noise = generator.standard_normal(action.shape) * deviation
        simulator.step(np.clip(action + noise, -1.0, 1.0).astype(np.float32))
        money = simulator.rewards - (simulator.baselines if config.control_variate else 0.0)
        rewards.append(money * simulator.domain.reward_scale)
    returns = np.zeros((simulator.horizon, simulator.num_envs))
    ahead = np.zeros(simulator.num_envs)
    for step in reversed(range(simulator.horizon)):
        ahead = rewards[step] + config.gamma * ahead
        returns[step] = ahead
    if config.value_stock:
        # The sum of a potential's changes is what it was at the beginning.
        scale = simulator.domain.reward_scale
        returns -= scale * domain.stock_value(np.asarray(observations))
    return _rows(observations), _rows(actions), _rows(returns[..., None])[:, 0]


def _rows(by_step: Any) -> Float32:
    stacked = np.moveaxis(np.asarray(by_step, dtype=np.float32), 0, 1)
    return np.ascontiguousarray(stacked.reshape(-1, stacked.shape[-1]))


def imitate(model: PPO, shown: Demonstrations, config: TrainConfig) -> Imitated:
    """Fit the policy's mean action and the critic to the demonstrations.

    Adam of its own, its step size falling from `learning_rate` to 0 over `warm_start_epochs`;
    the order of the rows is drawn from `seed`, no global random state is used.
    """
    policy = model.policy
    policy.set_training_mode(True)
    optimizer = torch.optim.Adam(policy.parameters(), lr=config.learning_rate)
    generator = torch.Generator().manual_seed(config.seed)
    observations, actions, returns = (
        torch.from_numpy(getattr(shown, name)) for name in ("observations", "actions", "returns")
    )
    scale = float(returns.var())
    batches = len(observations) // config.batch_size or 1
    total = config.warm_start_epochs * batches
    action_error = return_error = 0.0
    for epoch in range(config.warm_start_epochs):
        order = torch.randperm(len(observations), generator=generator)
        action_error = return_error = 0.0
        for number, rows in enumerate(order.tensor_split(batches)):
            done = (epoch * batches + number) / total
            optimizer.param_groups[0]["lr"] = config.learning_rate * (1.0 - done)
            batch = observations[rows]
            mean = policy.get_distribution(batch).mode()
            on_action = mse_loss(mean, actions[rows])
            on_return = mse_loss(policy.predict_values(batch)[:, 0], returns[rows]) / scale
            optimizer.zero_grad()
            (on_action + on_return).backward()
            torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
            optimizer.step()
            action_error += on_action.item() / batches
            return_error += on_return.item() / batches
    return Imitated(action_error, return_error)
