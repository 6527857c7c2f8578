"""The batched simulator's own promises: shapes, masks, seeds, snapshots, views, threads."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest

import daogym
from daogym.envs.core.simulator import _PARALLEL_FROM, Simulator

pytestmark = pytest.mark.kernel


def make(num_envs: int = 4, **options: Any) -> Simulator:
    return daogym.make_simulator("lv_rural", num_envs, **options)


def zeros(simulator: Simulator) -> Any:
    return np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)


@pytest.mark.parametrize(("num_envs", "threads"), [(0, 1), (-1, 1), (1, 0)])
def test_sizes_below_one_are_refused(num_envs: int, threads: int) -> None:
    with pytest.raises(ValueError, match=f"got {num_envs} and {threads}"):
        make(num_envs, threads=threads)


def test_step_before_reset_is_refused() -> None:
    simulator = make()
    with pytest.raises(RuntimeError, match="reset"):
        simulator.step(zeros(simulator))


@pytest.mark.parametrize("shape", [(4,), (9,), (3, 9), (4, 8), (4, 9, 1), (0, 9), ()])
def test_actions_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    simulator = make()
    simulator.reset(seed=0)
    before = simulator.snapshot()
    with pytest.raises(ValueError, match=r"shape \(4, 9\) expected"):
        simulator.step(np.zeros(shape))
    assert all(np.array_equal(v, before[k]) for k, v in simulator.snapshot().items())


def test_actions_may_come_in_any_layout_and_type() -> None:
    plain, other = make(), make()
    plain.reset(seed=0)
    other.reset(seed=0)
    rng = np.random.default_rng(0)
    for kind in ("list", "fortran", "double", "strided"):
        actions = rng.uniform(-1, 1, (4, 9)).astype(np.float32)
        given: Any = {
            "list": actions.tolist(),
            "fortran": np.asfortranarray(actions),
            "double": actions.astype(np.float64),
            "strided": np.repeat(actions, 2, axis=1)[:, ::2],
        }[kind]
        kept = np.array(given, copy=True)
        plain.step(actions)
        other.step(given)
        assert np.array_equal(plain.observations, other.observations), kind
        assert np.array_equal(kept, given)


def test_a_mask_resets_its_lanes_and_no_other() -> None:
    simulator = make(5)
    simulator.reset(seed=0)
    for _ in range(3):
        simulator.step(zeros(simulator))
    before, observations = simulator.snapshot(), simulator.observations.copy()
    mask = np.array([False, True, False, True, False])
    simulator.reset(seed=[70, 71], mask=mask)
    after = simulator.snapshot()
    for name in ("floats", "integers"):
        assert np.array_equal(after[name][~mask], before[name][~mask])
    assert np.array_equal(simulator.observations[~mask], observations[~mask])
    alone = make(2)
    alone.reset(seed=70)
    assert np.array_equal(simulator.observations[mask], alone.observations)


def test_a_mask_with_one_seed_counts_from_the_first_lane() -> None:
    whole, part = make(4), make(4)
    whole.reset(seed=9)
    part.reset(seed=1)
    part.reset(seed=9, mask=np.array([False, False, True, True]))
    assert np.array_equal(part.observations[2:], whole.observations[2:])


def test_an_empty_mask_does_nothing() -> None:
    simulator = make()
    simulator.reset(seed=0)
    before = simulator.snapshot()
    simulator.reset(mask=np.zeros(4, dtype=np.bool_))
    simulator.reset(seed=[], mask=np.zeros(4, dtype=np.bool_))
    assert all(np.array_equal(v, before[k]) for k, v in simulator.snapshot().items())


def test_the_first_reset_begins_every_lane() -> None:
    """A lane that was never begun has no world, so a first reset by mask is an error."""
    simulator = make()
    with pytest.raises(ValueError, match="first reset"):
        simulator.reset(seed=0, mask=np.array([True, False, False, False]))
        simulator.step(zeros(simulator))


BAD_RESETS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"mask": np.ones(3, dtype=np.bool_)}, "4 booleans expected"),
    ({"mask": np.ones(4)}, "4 booleans expected"),
    ({"mask": [0, 1, 0, 1]}, "4 booleans expected"),
    ({"seed": [1, 2, 3]}, "4 numbers expected"),
    ({"seed": [[1, 2, 3, 4]]}, "4 numbers expected"),
    ({"seed": [1, 2], "mask": np.array([True, False, False, False])}, "1 numbers expected"),
    ({"seed": -1}, "-1"),
    ({"seed": [1, 2, -3, 4]}, "lane 2"),
    ({"seed": [1.0, 2.0, 3.0, 4.0]}, "whole number"),
    ({"seed": 1.5}, "seed"),
    ({"seed": "7"}, "seed"),
    ({"seed": True}, "seed"),
)


@pytest.mark.parametrize(("arguments", "words"), BAD_RESETS, ids=lambda x: str(x)[:40])
def test_a_wrong_reset_changes_nothing(arguments: dict[str, Any], words: str) -> None:
    simulator = make()
    simulator.reset(seed=0)
    simulator.step(zeros(simulator))
    before = simulator.snapshot()
    with pytest.raises(ValueError, match=words):
        simulator.reset(**arguments)
    assert all(np.array_equal(v, before[k]) for k, v in simulator.snapshot().items())


def test_large_seeds_are_fine() -> None:
    simulator = make(2)
    for seed in (2**31, 2**32 - 2, 2**40, 2**62):
        simulator.reset(seed=seed)
        one = simulator.observations.copy()
        simulator.reset(seed=[seed, seed + 1])
        assert np.array_equal(one, simulator.observations)


def test_no_seed_takes_fresh_entropy_once_and_then_counts_episodes() -> None:
    one, other = make(8), make(8)
    one.reset()
    other.reset()
    assert not np.array_equal(one.state("root_key"), other.state("root_key"))
    roots = one.state("root_key").copy()
    one.reset()
    assert np.array_equal(one.state("root_key"), roots)
    assert np.all(one.state("episode") == 1)


def test_restore_refuses_another_size_and_names_the_array() -> None:
    simulator, other = make(4), make(5)
    simulator.reset(seed=0)
    other.reset(seed=0)
    before = simulator.snapshot()
    with pytest.raises(ValueError, match="floats should be float64"):
        simulator.restore(other.snapshot())
    for name in before:
        partial = {k: v for k, v in before.items() if k != name}
        with pytest.raises(ValueError, match=f"'{name}' is missing"):
            simulator.restore(partial)
    wrong = {**before, "integers": before["integers"].astype(np.int32)}
    with pytest.raises(ValueError, match="integers should be int64"):
        simulator.restore(wrong)
    assert all(np.array_equal(v, before[k]) for k, v in simulator.snapshot().items())


def test_a_snapshot_is_a_copy() -> None:
    simulator = make()
    simulator.reset(seed=0)
    snapshot = simulator.snapshot()
    kept = {name: array.copy() for name, array in snapshot.items()}
    for _ in range(5):
        simulator.step(zeros(simulator) + 0.5)
    assert all(np.array_equal(v, kept[k]) for k, v in snapshot.items())
    simulator.restore(snapshot)
    simulator.step(zeros(simulator) - 0.5)
    assert all(np.array_equal(v, kept[k]) for k, v in snapshot.items())


def test_outputs_stay_the_same_arrays() -> None:
    """Views handed out once show every later step: nothing is allocated on the way."""
    simulator = make(stagger=True)
    names = ("observations", "final_observations", "rewards", "costs", "terms", "events",
             "baselines", "terminated", "truncated", "episode_reward", "episode_length",
             "episode_terms", "episode_costs", "episode_events")  # fmt: skip
    views = {name: getattr(simulator, name) for name in names}
    simulator.reset(seed=0)
    for _ in range(simulator.horizon):
        simulator.step(zeros(simulator))
    for name, view in views.items():
        assert getattr(simulator, name) is view
        assert view.any() or name in ("terminated", "truncated", "costs", "episode_costs"), name
        assert np.shares_memory(view, getattr(simulator, name))
    assert simulator.terminated.dtype == simulator.truncated.dtype == np.bool_


def test_the_users_thread_count_is_left_alone() -> None:
    before = numba.get_num_threads()
    simulator = make(_PARALLEL_FROM, threads=2)
    simulator.reset(seed=0)
    try:
        for chosen in (1, before):
            numba.set_num_threads(chosen)
            simulator.step(zeros(simulator))
            assert numba.get_num_threads() == chosen
    finally:
        numba.set_num_threads(before)


def test_more_threads_than_there_are_is_all_there_are() -> None:
    simulator = make(_PARALLEL_FROM, threads=64)
    assert simulator.threads == numba.config.NUMBA_NUM_THREADS
    simulator.reset(seed=0)
    simulator.step(zeros(simulator))
    assert np.all(np.isfinite(simulator.rewards))


def test_an_unknown_part_of_the_state_is_named() -> None:
    with pytest.raises(KeyError, match="no part 'soc'"):
        make().state("soc")


def test_lanes_that_are_over_wait_when_nothing_resets_them() -> None:
    simulator = make(3, autoreset="disabled", stagger=True)
    simulator.reset(seed=0)
    for _ in range(simulator.horizon):
        simulator.step(zeros(simulator))
    last = simulator.observations.copy()
    for _ in range(3):
        simulator.step(zeros(simulator) + 1.0)
        assert np.array_equal(simulator.observations, last)
        assert not simulator.rewards.any() and not simulator.terminated.any()
        assert not simulator.events.any()
    assert np.all(simulator.state("step") == simulator.horizon)
