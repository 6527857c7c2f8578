"""Shadow lanes: the baseline is the zero action's money in the same worlds, whatever is done."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym

pytestmark = pytest.mark.kernel
N = 4


def make(shadow: bool, **options: Any) -> Any:
    return daogym.make_simulator(
        {"base": "gpu_week", "episode_days": 1}, N, shadow=shadow, **options
    )


def test_the_baseline_is_what_the_zero_action_earns() -> None:
    shadowed, plain = make(True, stagger=True), make(False, stagger=True)
    shadowed.reset(seed=5)
    plain.reset(seed=5)
    generator = np.random.default_rng(0)
    # Over the ends of two episodes, so the next worlds are the same too.
    for _ in range(2 * shadowed.horizon):
        shadowed.step(generator.uniform(-1.0, 1.0, (N, shadowed.action_size)))
        plain.step(np.zeros((N, plain.action_size)))
        assert np.array_equal(shadowed.baselines, plain.rewards)
        assert np.array_equal(shadowed.terminated, plain.terminated)


def test_rewards_are_those_without_a_shadow_and_zero_has_no_advantage() -> None:
    shadowed, plain = make(True), make(False)
    shadowed.reset(seed=6)
    plain.reset(seed=6)
    for _ in range(50):
        action = np.zeros((N, plain.action_size))
        shadowed.step(action)
        plain.step(action)
        assert np.array_equal(shadowed.rewards, plain.rewards)
        assert np.array_equal(shadowed.rewards, shadowed.baselines)


def test_a_reset_of_some_lanes_and_a_snapshot_take_the_shadow_along() -> None:
    simulator = make(True)
    simulator.reset(seed=7)
    generator = np.random.default_rng(1)
    actions = [generator.uniform(-1.0, 1.0, (N, simulator.action_size)) for _ in range(60)]
    for action in actions[:20]:
        simulator.step(action)
    simulator.reset(mask=np.array([True, False, False, True]))
    assert np.array_equal(simulator.state("episode_key"), simulator.shadow.state("episode_key"))
    kept = simulator.snapshot()
    first = []
    for action in actions[20:]:
        simulator.step(action)
        first.append((simulator.rewards.copy(), simulator.baselines.copy()))
    simulator.restore(kept)
    for action, (rewards, baselines) in zip(actions[20:], first, strict=True):
        simulator.step(action)
        assert np.array_equal(simulator.rewards, rewards)
        assert np.array_equal(simulator.baselines, baselines)
