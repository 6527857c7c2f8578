"""The learning faces of every id: checkers, registry, autoreset modes, copies."""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.env_checker import check_env as check_sb3

from daogym.envs.adapters.gymnasium import DaoEnv, DaoVectorEnv
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.core.simulator import _PARALLEL_FROM
from daogym.envs.registry import Registration

pytestmark = pytest.mark.kernel

MANY = _PARALLEL_FROM + 3  # enough lanes for a second thread


def single(entry: Registration, **options: Any) -> Any:
    return gymnasium.make(entry.id, **options)


def vector(entry: Registration, num_envs: int, **options: Any) -> Any:
    return gymnasium.make_vec(entry.id, num_envs=num_envs, **options)


def test_gymnasium_and_stable_baselines3_accept_it(entry: Registration) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(single(entry).unwrapped, skip_render_check=True)
        check_sb3(single(entry).unwrapped)


def test_registry_leads_to_the_right_classes(entry: Registration) -> None:
    env = single(entry)
    assert isinstance(env.unwrapped, DaoEnv) and env.spec.id == entry.id
    assert env.spec.max_episode_steps is None
    batch = vector(entry, 5)
    assert isinstance(batch, DaoVectorEnv) and batch.num_envs == 5 and batch.spec.id == entry.id
    assert batch.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    assert batch.single_action_space == env.action_space
    assert batch.single_observation_space == env.observation_space
    assert batch.observation_space.shape == (5, *env.observation_space.shape)
    for key, value in entry.options.items():
        assert getattr(env.unwrapped.simulator.domain, key) == value
        assert getattr(batch.simulator.domain, key) == value
    assert env.unwrapped.simulator.scenario_hash == batch.simulator.scenario_hash


def test_vector_outputs_lie_in_the_declared_spaces(
    entry: Registration, hashed_actions: Any
) -> None:
    envs = vector(entry, 4)
    observations, info = envs.reset(seed=2)
    assert observations in envs.observation_space and info == {}
    actions = hashed_actions(4, envs.single_action_space.shape[0], 0)
    assert actions in envs.action_space
    observations, rewards, terminated, truncated, info = envs.step(actions)
    assert observations in envs.observation_space
    assert rewards.shape == (4,) and rewards.dtype == np.float64
    assert terminated.dtype == truncated.dtype == np.bool_
    k = len(envs.simulator.cost_names)
    assert info["costs"].shape == (4, k) and info["_costs"].all()


def test_what_was_returned_does_not_change_later(entry: Registration, hashed_actions: Any) -> None:
    envs = vector(entry, 4)
    size = envs.single_action_space.shape[0]
    kept = [envs.reset(seed=2)[0], *envs.step(hashed_actions(4, size, 0))]
    frozen = copy.deepcopy(kept)
    for step in range(1, 4):
        envs.step(hashed_actions(4, size, step))
    for now, then in zip(kept[:-1], frozen[:-1], strict=True):
        assert np.array_equal(now, then)
    assert np.array_equal(kept[-1]["costs"], frozen[-1]["costs"])


def test_lane_i_of_a_batch_is_the_single_environment_of_seed_plus_i(
    entry: Registration, hashed_actions: Any
) -> None:
    envs, env = vector(entry, 3), single(entry)
    first, _ = envs.reset(seed=30)
    size = envs.single_action_space.shape[0]
    rows = [envs.step(hashed_actions(3, size, step)) for step in range(10)]
    for lane in range(3):
        assert np.array_equal(env.reset(seed=30 + lane)[0], first[lane])
        for step, row in enumerate(rows):
            observation, reward, terminated, truncated, info = env.step(
                hashed_actions(3, size, step)[lane]
            )
            assert np.array_equal(observation, row[0][lane])
            assert (reward, terminated, truncated) == (row[1][lane], row[2][lane], row[3][lane])
            assert np.array_equal(info["costs"], row[4]["costs"][lane])
            assert info["cost"] == pytest.approx(info["costs"].sum(), abs=1e-15)
            assert info["terms"].sum() == pytest.approx(reward, rel=1e-12)


Step = tuple[str, NDArray[np.float32], float, NDArray[np.float64]]


class LaneRecorder:
    """Actions and results of each lane by its own count of episodes and steps."""

    def __init__(self, lanes: int, size: int, hashed_actions: Any) -> None:
        self.lanes, self.size, self.hashed = lanes, size, hashed_actions
        self.count = np.zeros(lanes, dtype=np.int64)
        self.rows: list[list[Step]] = [[] for _ in range(lanes)]

    def actions(self) -> NDArray[np.float32]:
        return self.hashed(self.lanes, self.size, self.count)  # type: ignore[no-any-return]

    def add(self, lane: int, kind: str, observation: Any, reward: float, costs: Any) -> None:
        self.rows[lane].append((kind, observation.copy(), float(reward), np.array(costs)))
        if kind != "begin":
            self.count[lane] += 1


def drive_same_step(envs: Any, steps: int, recorder: LaneRecorder) -> None:
    for lane, row in enumerate(envs.reset(seed=50)[0]):
        recorder.add(lane, "begin", row, 0.0, 0.0)
    for _ in range(steps):
        observations, rewards, terminated, _, info = envs.step(recorder.actions())
        assert ("final_obs" in info) == terminated.any() == ("final_info" in info)
        if terminated.any():
            assert np.array_equal(info["_final_obs"], terminated)
            assert np.array_equal(info["_final_info"], terminated)
            assert all(
                (info["final_obs"][lane] is None) == (not ended)
                for lane, ended in enumerate(terminated)
            )
        for lane, ended in enumerate(terminated):
            if not ended:
                recorder.add(lane, "step", observations[lane], rewards[lane], info["costs"][lane])
                continue
            final = info["final_info"]
            assert final["_costs"][lane] and final["_episode"][lane]
            recorder.add(lane, "end", info["final_obs"][lane], rewards[lane], final["costs"][lane])
            recorder.add(lane, "begin", observations[lane], 0.0, 0.0)


def drive_next_step(envs: Any, steps: int, recorder: LaneRecorder) -> None:
    for lane, row in enumerate(envs.reset(seed=50)[0]):
        recorder.add(lane, "begin", row, 0.0, 0.0)
    over = np.zeros(envs.num_envs, dtype=np.bool_)
    for step in range(steps):
        actions = recorder.actions()
        actions[over] = np.nan if step % 2 else 1.0
        observations, rewards, terminated, truncated, info = envs.step(actions)
        assert "final_obs" not in info
        for lane in range(envs.num_envs):
            if over[lane]:
                assert rewards[lane] == 0.0 and not terminated[lane] and not truncated[lane]
                assert not info["costs"][lane].any() and not info["events"][lane].any()
                recorder.add(lane, "begin", observations[lane], 0.0, 0.0)
            else:
                kind = "end" if terminated[lane] else "step"
                recorder.add(lane, kind, observations[lane], rewards[lane], info["costs"][lane])
        over = terminated | truncated


def drive_disabled(envs: Any, steps: int, recorder: LaneRecorder) -> None:
    for lane, row in enumerate(envs.reset(seed=50)[0]):
        recorder.add(lane, "begin", row, 0.0, 0.0)
    for step in range(steps):
        observations, rewards, terminated, _, info = envs.step(recorder.actions())
        for lane, ended in enumerate(terminated):
            kind = "end" if ended else "step"
            recorder.add(lane, kind, observations[lane], rewards[lane], info["costs"][lane])
        if not terminated.any():
            continue
        if step % 2:  # one more step first: a lane that is over waits for its reset
            snapshot = envs.simulator.snapshot()
            waiting, rewards, again, _, _ = envs.step(recorder.actions())
            assert not again[terminated].any() and not rewards[terminated].any()
            assert np.array_equal(waiting[terminated], observations[terminated])
            envs.simulator.restore(snapshot)
        after, info = envs.reset(options={"reset_mask": terminated.copy()})
        assert np.array_equal(after[~terminated], observations[~terminated])
        for lane in np.flatnonzero(terminated):
            recorder.add(lane, "begin", after[lane], 0.0, 0.0)


DRIVERS: dict[AutoresetMode, Callable[[Any, int, LaneRecorder], None]] = {
    AutoresetMode.SAME_STEP: drive_same_step,
    AutoresetMode.NEXT_STEP: drive_next_step,
    AutoresetMode.DISABLED: drive_disabled,
}


def test_autoreset_modes_tell_one_story(entry: Registration, hashed_actions: Any) -> None:
    """Each lane goes through the same episodes in all three modes, whatever marks their ends."""
    lanes = 5
    stories: dict[AutoresetMode, list[list[Step]]] = {}
    for mode, drive in DRIVERS.items():
        envs = vector(entry, lanes, autoreset_mode=mode, stagger=True)
        assert envs.metadata["autoreset_mode"] is mode
        recorder = LaneRecorder(lanes, envs.single_action_space.shape[0], hashed_actions)
        drive(envs, envs.simulator.horizon + 30, recorder)
        stories[mode] = recorder.rows
    reference = stories[AutoresetMode.DISABLED]
    for mode, story in stories.items():
        for lane in range(lanes):
            both = list(zip(story[lane], reference[lane], strict=False))
            assert sum(row[0] == "end" for row, _ in both) >= 1
            for i, (row, expected) in enumerate(both):
                assert row[0] == expected[0], (mode, lane, i)
                assert np.array_equal(row[1], expected[1]), (mode, lane, i)
                assert row[2] == expected[2] and np.array_equal(row[3], expected[3])


def test_next_step_waits_even_when_told_to_reset_others(
    entry: Registration, hashed_actions: Any
) -> None:
    envs = vector(entry, 3)
    envs.reset(seed=1)
    with pytest.raises(ValueError, match="mask"):
        envs.reset(options={"reset_mask": np.ones(2, dtype=np.bool_)})
    with pytest.raises(ValueError, match="'day'"):
        envs.reset(options={"day": 3})


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


@pytest.mark.parametrize("clone", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
def test_a_copy_lives_on_by_itself(entry: Registration, clone: Any, hashed_actions: Any) -> None:
    """The copy goes the same way as the original, and neither moves the other."""
    env = single(entry).unwrapped
    size = env.action_space.shape[0]
    env.reset(seed=6)
    env.step(hashed_actions(1, size, 0)[0])
    twin = clone(env)
    expected = [env.step(hashed_actions(1, size, step)[0]) for step in range(1, 8)]
    for step, row in enumerate(expected, 1):
        observation, reward, *_, info = twin.step(hashed_actions(1, size, step)[0])
        assert np.array_equal(observation, row[0]) and reward == row[1]
        assert np.array_equal(info["terms"], row[-1]["terms"])
    assert np.array_equal(env.reset(seed=1)[0], twin.reset(seed=1)[0])


@pytest.mark.parametrize("clone", [copy.deepcopy, pickled], ids=["deepcopy", "pickle"])
def test_a_copied_batch_lives_on_by_itself(
    entry: Registration, clone: Any, make: Any, hashed_actions: Any
) -> None:
    for envs in (vector(entry, MANY, threads=2), SB3VecEnv(make(MANY, threads=2))):
        size = envs.action_space.shape[-1]
        if isinstance(envs, SB3VecEnv):
            envs.seed(3)
            envs.reset()
        else:
            envs.reset(seed=3)
        twin = clone(envs)
        for step in range(3):
            actions = hashed_actions(MANY, size, step)
            row, twin_row = envs.step(actions), twin.step(actions)
            assert np.array_equal(row[0], twin_row[0]) and np.array_equal(row[1], twin_row[1])
