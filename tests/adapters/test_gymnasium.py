"""Gymnasium's faces: what they return, what they refuse."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import RescaleAction, TimeLimit

from daogym.envs.adapters.gymnasium import DaoEnv, DaoVectorEnv

pytestmark = pytest.mark.kernel


@pytest.fixture
def env() -> DaoEnv:
    return DaoEnv("lv_rural")


def test_step_before_reset_and_after_the_end(env: DaoEnv) -> None:
    idle = np.zeros(9, dtype=np.float32)
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        env.step(idle)
    env.reset(seed=0)
    for step in range(96):
        _, _, terminated, truncated, _ = env.step(idle)
        assert terminated == (step == 95) and not truncated
    for _ in range(2):
        with pytest.raises(RuntimeError, match="over"):
            env.step(idle)
    env.reset()
    env.step(idle)


@pytest.mark.parametrize("action", [0.5, np.zeros(8), np.zeros((1, 9)), np.zeros(1), []])
def test_an_action_of_another_shape_is_refused(env: DaoEnv, action: Any) -> None:
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(9,\) expected"):
        env.step(action)


def test_types_of_a_step_are_gymnasiums(env: DaoEnv) -> None:
    observation, info = env.reset(seed=0)
    assert observation.dtype == np.float32 and info == {}
    observation, reward, terminated, truncated, info = env.step(np.zeros(9, dtype=np.float32))
    assert type(reward) is float and type(terminated) is bool and type(truncated) is bool
    s = env.simulator
    assert info["costs"].shape == (len(s.cost_names),)
    assert info["terms"].shape == (len(s.term_names),)
    assert info["events"].shape == (len(s.event_names),)


def test_results_are_copies(env: DaoEnv) -> None:
    first, _ = env.reset(seed=0)
    kept = first.copy()
    second, *_, info = env.step(np.ones(9, dtype=np.float32))
    kept_info = {key: np.copy(value) for key, value in info.items()}
    env.step(-np.ones(9, dtype=np.float32))
    assert np.array_equal(first, kept) and not np.array_equal(first, second)
    assert all(np.array_equal(info[key], kept_info[key]) for key in info)


def test_wrappers_of_gymnasium_fit() -> None:
    env = TimeLimit(RescaleAction(DaoEnv("lv_rural"), np.float32(0.0), np.float32(1.0)), 10)
    env.reset(seed=0)
    ends = [env.step(np.full(9, 0.5, dtype=np.float32))[2:4] for _ in range(10)]
    assert ends[-1] == (False, True) and not any(map(any, ends[:-1]))


def test_a_date_may_be_asked_for(env: DaoEnv) -> None:
    one, _ = env.reset(seed=0, options={"date": "2023-05-14"})
    other, _ = env.reset(seed=5, options={"date": "2023-05-14"})
    price = env.simulator.observation_fields.slice("price_deviation")
    assert np.array_equal(one[price], other[price])
    with pytest.raises(ValueError, match="2031-05-14"):
        env.reset(options={"date": "2031-05-14"})


def test_resets_without_a_seed_go_on_to_new_episodes(env: DaoEnv) -> None:
    first, _ = env.reset(seed=3)
    second, _ = env.reset()
    again, _ = env.reset(seed=3)
    assert np.array_equal(first, again) and not np.array_equal(first, second)
    assert np.array_equal(env.reset()[0], second)


def test_an_unknown_render_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="'human'"):
        DaoEnv("lv_rural", render_mode="human")
    with pytest.raises(ValueError, match="'ansi'"):
        DaoVectorEnv(2, "lv_rural", render_mode="ansi")
    assert DaoEnv("lv_rural").render() is None
    assert DaoVectorEnv(2, "lv_rural").render() is None


def test_options_of_an_id_reach_the_scenario() -> None:
    env = gymnasium.make("daogym/EnergyGrid-v0", episode_days=2, split="test")
    assert env.unwrapped.simulator.horizon == 192
    assert env.unwrapped.simulator.domain.split == "test"
    stressed = gymnasium.make("daogym/EnergyGrid-v0", scenario="lv_rural+low_pv")
    assert stressed.unwrapped.simulator.scenario.stress.pv == 0.5


# -- the batch ------------------------------------------------------------------------------------


def test_views_when_copies_are_not_wanted() -> None:
    envs = DaoVectorEnv(3, "lv_rural", copy=False)
    first, _ = envs.reset(seed=0)
    assert first is envs.simulator.observations
    rewards = envs.step(np.zeros((3, 9), dtype=np.float32))[1]
    assert np.shares_memory(rewards, envs.simulator.rewards)


def test_seeds_of_a_batch() -> None:
    envs = DaoVectorEnv(3, "lv_rural")
    whole, _ = envs.reset(seed=7)
    assert np.array_equal(envs.reset(seed=[7, 8, 9])[0], whole)
    assert np.array_equal(envs.reset(seed=np.array([7, 8, 9]))[0], whole)
    assert np.array_equal(envs.reset(seed=(9, 7, 8))[0], whole[[2, 0, 1]])
    later, _ = envs.reset(seed=[None, None, None])
    assert not np.array_equal(later, whole)
    with pytest.raises(ValueError, match="seed"):
        envs.reset(seed=[1, None, 3])
    with pytest.raises(ValueError, match="3 numbers expected"):
        envs.reset(seed=[1, 2])


def test_seeds_under_a_mask_are_those_of_its_lanes() -> None:
    """Gymnasium hands one seed a lane whether or not the lane is reset."""
    envs = DaoVectorEnv(3, "lv_rural", autoreset_mode=AutoresetMode.DISABLED)
    whole, _ = envs.reset(seed=7)
    envs.reset(seed=50)
    mask = np.array([True, False, True])
    part, _ = envs.reset(seed=[7, None, 9], options={"reset_mask": mask})
    assert np.array_equal(part[mask], whole[mask])
    assert not np.array_equal(part[1], whole[1])


def test_a_reset_leaves_the_callers_options_alone() -> None:
    envs = DaoVectorEnv(2, "lv_rural", autoreset_mode="Disabled")
    envs.reset(seed=0)
    options = {"reset_mask": np.array([True, False])}
    envs.reset(options=options)
    assert list(options) == ["reset_mask"]


def test_an_unknown_autoreset_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="sometimes"):
        DaoVectorEnv(2, "lv_rural", autoreset_mode="sometimes")


def test_final_info_holds_the_sums_of_the_episode() -> None:
    envs = DaoVectorEnv(2, "lv_rural", autoreset_mode=AutoresetMode.SAME_STEP)
    envs.reset(seed=0)
    rewards = np.zeros(2)
    costs = np.zeros((2, len(envs.simulator.cost_names)))
    rng = np.random.default_rng(0)
    for _ in range(96):
        _, reward, _, _, info = envs.step(rng.uniform(-1, 1, (2, 9)).astype(np.float32))
        rewards += reward
        costs += info["costs"]
    episode = info["final_info"]["episode"]
    assert np.array_equal(episode["r"], rewards) and np.array_equal(episode["costs"], costs)
    kept = episode["r"].copy()
    envs.step(np.zeros((2, 9), dtype=np.float32))
    assert np.array_equal(episode["r"], kept)


def test_statistics_wrapper_of_gymnasium_counts_the_same_returns() -> None:
    """`RecordEpisodeStatistics` adds up rewards itself, outside of this project."""
    for mode in (AutoresetMode.SAME_STEP, AutoresetMode.NEXT_STEP):
        inner = DaoVectorEnv(3, "lv_rural", autoreset_mode=mode)
        envs = gymnasium.wrappers.vector.RecordEpisodeStatistics(inner)
        envs.reset(seed=0)
        found = None
        for _ in range(98):
            *_, info = envs.step(np.zeros((3, 9), dtype=np.float32))
            where = info.get("final_info", info)
            if found is None and "episode" in where and np.any(where["_episode"]):
                found = where["episode"]["r"].copy()
                expected = inner.simulator.episode_reward.copy()
        assert found is not None and np.allclose(found, expected, rtol=1e-12)
