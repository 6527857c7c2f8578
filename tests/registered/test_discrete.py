"""The discrete twin of every id: the world of its Box, choice for choice, and safe masks."""

from __future__ import annotations

import warnings
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import MultiDiscrete
from gymnasium.utils.env_checker import check_env
from stable_baselines3.common.env_checker import check_env as check_sb3

from daogym.envs.adapters.discrete import ActionLevels
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.registry import Registration

pytestmark = pytest.mark.kernel


def choices(n: int, size: int, step: int, hashed_actions: Any, levels: int = 11) -> Any:
    """Choices that no random generator makes, (n, size) int64."""
    return np.floor(0.5 * (hashed_actions(n, size, step) + 1.0) * levels).astype(np.int64)


def test_the_checkers_accept_it(entry: Registration) -> None:
    env: Any = gymnasium.make(entry.id, discrete=True).unwrapped
    assert isinstance(env.action_space, MultiDiscrete)
    assert env.action_space.nvec.tolist() == [11] * env.simulator.action_size
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env, skip_render_check=True)
        check_sb3(env)


def test_a_choice_is_the_level_that_it_names(
    entry: Registration, make: Any, hashed_actions: Any
) -> None:
    """Alone, in a batch and for stable-baselines3: what the Box returns for those numbers."""
    n, levels = 3, np.linspace(-1.0, 1.0, 11)
    twin = gymnasium.make_vec(entry.id, num_envs=n, discrete=True)
    alone: Any = gymnasium.make(entry.id, discrete=True)
    learner = SB3VecEnv(make(n), 1.0, False, discrete=11)
    plain: Any = gymnasium.make_vec(entry.id, num_envs=n)
    learner.seed(4)
    first = plain.reset(seed=4)[0]
    for seen in (twin.reset(seed=4)[0], learner.reset()):
        assert np.array_equal(seen, first)
    alone.reset(seed=4)
    for step in range(12):
        chosen = choices(n, plain.simulator.action_size, step, hashed_actions)
        assert chosen in twin.action_space and chosen[0] in learner.action_space
        expected = plain.step(levels[chosen].astype(np.float32))
        batch, row = twin.step(chosen), alone.step(chosen[0])
        observations, rewards, _, _ = learner.step(chosen)
        assert np.array_equal(batch[0], expected[0]) and np.array_equal(batch[1], expected[1])
        assert np.array_equal(row[0], expected[0][0]) and row[1] == expected[1][0]
        assert np.array_equal(observations, expected[0])
        assert np.array_equal(rewards, expected[1].astype(np.float32))


def test_masks_hide_what_the_gate_would_cut(make: Any, hashed_actions: Any) -> None:
    """A masked choice is cut whatever the others are; the zero action stays; nothing is touched."""
    n = 12
    simulator = make(n)
    levels = ActionLevels(simulator.action_size)
    column = simulator.event_names.index("interventions")
    simulator.reset(seed=40)
    for step in range(60):
        before = simulator.snapshot()
        allowed = levels.masks(simulator).reshape(n, levels.size, levels.count)
        after = simulator.snapshot()
        assert all(np.array_equal(before[name], after[name]) for name in before)
        assert allowed[:, :, 5].all()
        if not hasattr(simulator.domain, "action_limits"):
            assert allowed.all()
        chosen = choices(n, levels.size, step, hashed_actions)
        masked = ~allowed.reshape(n, -1)
        for lane in np.flatnonzero(masked.any(axis=1)).tolist():
            place = np.flatnonzero(masked[lane])[step % int(masked[lane].sum())]
            chosen[lane, place // levels.count] = place % levels.count
        simulator.step(levels.actions(chosen))
        assert (simulator.events[masked.any(axis=1), column] > 0.0).all(), step


def test_masks_on_all_faces_agree(entry: Registration, make: Any) -> None:
    """sb3-contrib reads `action_masks` of an environment, and of a `VecEnv` through its methods."""
    n = 3
    batch: Any = gymnasium.make_vec(entry.id, num_envs=n, discrete=True)
    alone: Any = gymnasium.make(entry.id, discrete=True).unwrapped
    learner = SB3VecEnv(make(n), discrete=True)
    learner.seed(9)
    learner.reset()
    batch.reset(seed=9)
    alone.reset(seed=9)
    idle = np.full((n, batch.simulator.action_size), 5)
    for _ in range(5):
        masks = batch.action_masks()
        assert masks.shape == (n, 11 * batch.simulator.action_size) and masks.dtype == np.bool_
        assert np.array_equal(alone.action_masks(), masks[0])
        assert np.array_equal(learner.action_masks(), masks)
        assert np.array_equal(np.stack(learner.env_method("action_masks")), masks)
        assert np.array_equal(learner.env_method("action_masks", indices=[2])[0], masks[2])
        assert len(learner.get_attr("action_masks")) == n
        batch.step(idle)
        learner.step(idle)
        alone.step(idle[0])
