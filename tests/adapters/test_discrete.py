"""Levels of an action: which numbers they are, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import PPO

import daogym
from daogym.envs.adapters.discrete import ActionLevels
from daogym.envs.adapters.gymnasium import DaoEnv, DaoVectorEnv
from daogym.envs.adapters.sb3 import SB3VecEnv


@given(st.integers(2, 200))
def test_levels_are_even_and_reach_from_end_to_end(count: int) -> None:
    values = ActionLevels(1, count).values
    assert values[0] == -1.0 and values[-1] == 1.0
    assert np.array_equal(values, -values[::-1])
    assert np.allclose(np.diff(values), 2.0 / (count - 1), rtol=1e-4)
    assert (0.0 in values) == (count % 2 == 1)


class Limited:
    """A simulator whose domain says what its gate lets through."""

    num_envs = 2

    def __init__(self, limits: Any) -> None:
        self.domain = self
        self.limits = limits

    def action_limits(self, simulator: Any) -> Any:
        return self.limits


@given(
    st.integers(2, 30),
    st.lists(st.tuples(st.floats(-3.0, 3.0), st.floats(-3.0, 3.0)), min_size=6, max_size=6),
)
def test_masks_follow_the_limits_and_leave_a_choice(count: int, limits: Any) -> None:
    levels = ActionLevels(3, count)
    bounds = np.array(limits).reshape(2, 3, 2)
    masks = levels.masks(Limited(bounds)).reshape(2, 3, count)  # type: ignore[arg-type]
    assert masks.any(axis=2).all()
    for place in np.ndindex(2, 3, count):
        value = float(levels.values[place[2]])
        low, high = bounds[place[:2]]
        beside_zero = abs(value) <= 1.0 / (count - 1) + 1e-6 and count % 2 == 0
        if low <= value <= high or value == 0.0 or beside_zero:
            assert masks[place]
        elif value < low - 1e-5 or value > high + 1e-5:
            assert not masks[place]


def test_limits_of_another_shape_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"action_limits: shape \(2, 3, 2\) expected, got \(2, 3\)"
    ):
        ActionLevels(3).masks(Limited(np.zeros((2, 3))))  # type: ignore[arg-type]


@pytest.mark.parametrize("levels", [0, 1, -3, 2.5, "11", None])
def test_other_numbers_of_levels_are_refused(levels: Any) -> None:
    with pytest.raises(ValueError, match="whole number >= 2 expected"):
        DaoEnv("lv_rural", discrete=levels)


@pytest.mark.kernel
def test_what_is_no_choice_is_refused() -> None:
    env, envs = DaoEnv("lv_rural", discrete=5), DaoVectorEnv(2, "lv_rural", discrete=5)
    env.reset(seed=0)
    envs.reset(seed=0)
    size = env.simulator.action_size
    with pytest.raises(ValueError, match="whole numbers expected, got float64"):
        env.step(np.zeros(size))
    wrong = np.zeros((2, size), dtype=np.int64)
    for bad in (5, -1):
        wrong[1, 3] = bad
        with pytest.raises(ValueError, match=rf"0 to 4 expected, got {bad} at \[1, 3\]"):
            envs.step(wrong)
    with pytest.raises(ValueError, match="shape"):
        env.step(wrong)
    with pytest.raises(ValueError, match="shape"):
        envs.step(np.zeros((3, size), dtype=np.int64))


@pytest.mark.kernel
def test_a_box_has_no_masks() -> None:
    env, learner = DaoEnv("lv_rural"), SB3VecEnv(daogym.make_simulator("lv_rural", 2))
    for face in (env, DaoVectorEnv(2, "lv_rural"), learner):
        with pytest.raises(ValueError, match="discrete=True"):
            face.action_masks()  # type: ignore[attr-defined]
    with pytest.raises(AttributeError, match="discrete=True"):
        learner.get_attr("action_masks")
    with pytest.raises(AttributeError, match="not objects"):
        learner.env_method("action_masks")


@pytest.mark.kernel
def test_sixteen_levels_are_the_sixteen_orders_of_a_lost_sales_system() -> None:
    envs = DaoVectorEnv(16, "lost_sales_poisson_l4_p4", discrete=16)
    envs.reset(seed=1)
    envs.step(np.arange(16)[:, None])
    assert envs.simulator.state("flow_units")[:, 0, 0].tolist() == list(range(16))


@pytest.mark.kernel
def test_ppo_of_stable_baselines3_learns_with_choices() -> None:
    envs = SB3VecEnv(daogym.make_simulator("lv_rural", 4, stagger=True), discrete=True)
    model = PPO("MlpPolicy", envs, n_steps=32, batch_size=64, n_epochs=2, seed=3, device="cpu")
    before = {k: v.clone() for k, v in model.policy.state_dict().items()}
    model.learn(256)
    moved = [not v.equal(before[k]) for k, v in model.policy.state_dict().items()]
    assert any(moved) and model.policy.action_net.out_features == 11 * envs.simulator.action_size
