"""What every step must give: numbers inside their ranges, sums that add up, nothing poisoned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daogym.envs.core.simulator import Simulator

pytestmark = pytest.mark.kernel

N = 6


def assert_sane(simulator: Simulator) -> None:
    """Everything finite, observations inside the space that the faces declare."""
    for name in ("observations", "final_observations", "rewards", "costs", "terms", "events",
                 "baselines", "episode_reward"):  # fmt: skip
        array = getattr(simulator, name)
        assert np.all(np.isfinite(array)), name
    assert np.all(np.abs(simulator.observations) <= 1.0)
    assert np.all(np.abs(simulator.final_observations) <= 1.0)
    for block in (simulator._sf, simulator.snapshot()["floats"]):
        assert np.all(np.isfinite(block))
    assert np.all(simulator.costs >= 0.0)


def kinds_of_actions(
    size: int, steps: int, hashed_actions: Any
) -> Iterator[tuple[str, list[NDArray[Any]], NDArray[np.int64]]]:
    """Name, actions of each step, and how many elements of each lane are invalid in a step."""
    shape = (N, size)
    none = np.zeros(N, dtype=np.int64)
    for name, value in (("high", 1.0), ("low", -1.0), ("idle", 0.0)):
        yield name, [np.full(shape, value, dtype=np.float32)] * steps, none
    swing = [np.full(shape, 1.0 if s % 2 else -1.0, dtype=np.float32) for s in range(steps)]
    yield "swinging", swing, none
    corners = [np.sign(hashed_actions(N, size, s, stream=2)) for s in range(steps)]
    yield "corners", corners, none
    for name, value in (
        ("nan", np.nan), ("inf", np.inf), ("-inf", -np.inf), ("beyond", 1.5), ("huge", -3e38),
        ("just beyond", np.nextafter(np.float32(1.0), np.float32(2.0))),
    ):  # fmt: skip
        actions = []
        for step in range(steps):
            array = hashed_actions(N, size, step)
            array[1, 0] = value
            array[2, :] = value
            actions.append(array)
        bad = none.copy()
        bad[1], bad[2] = 1, size
        yield name, actions, bad


def test_no_action_poisons_anything(make: Any, hashed_actions: Any) -> None:
    """Invalid elements are counted one by one; the other lanes do not notice."""
    simulator = make(N)
    column = simulator.event_names.index("invalid_actions")
    steps = simulator.horizon + 3
    for name, actions, invalid in kinds_of_actions(simulator.action_size, steps, hashed_actions):
        simulator.reset(seed=21)
        for step in range(steps):
            simulator.step(actions[step])
            assert_sane(simulator)
            assert np.array_equal(simulator.events[:, column], invalid), (name, step)


def test_invalid_actions_mean_what_the_docs_say(make: Any, hashed_actions: Any) -> None:
    """Not a number counts as 0, beyond the range as its end: same world bit for bit."""
    given, meant = make(4), make(4)
    given.reset(seed=4)
    meant.reset(seed=4)
    column = given.event_names.index("invalid_actions")
    for step in range(30):
        actions = hashed_actions(4, given.action_size, step)
        clean = actions.copy()
        actions[0, :], clean[0, :] = np.nan, 0.0
        actions[1, :], clean[1, :] = np.inf, 1.0
        actions[2, :], clean[2, :] = -7.0, -1.0
        given.step(actions)
        meant.step(clean)
        assert np.array_equal(given.observations, meant.observations)
        assert np.array_equal(given.rewards, meant.rewards)
        assert np.all(given.events[:3, column] == given.action_size)
        assert np.all(meant.events[:, column] == 0)


def test_terms_add_up_to_the_reward_and_steps_to_the_episode(
    make: Any, hashed_actions: Any
) -> None:
    simulator = make(N, stagger=True)
    simulator.reset(seed=8)
    names = ("rewards", "costs", "terms", "events")
    sums: dict[str, NDArray[np.float64]] = {
        name: np.zeros_like(getattr(simulator, name)) for name in names
    }
    length = np.zeros(N)
    ends = 0
    for step in range(2 * simulator.horizon + 5):
        simulator.step(hashed_actions(N, simulator.action_size, step))
        scale = np.abs(simulator.terms).sum(axis=1)
        assert np.all(
            np.abs(simulator.terms.sum(axis=1) - simulator.rewards) <= 1e-14 * scale + 1e-300
        )
        length += 1
        for name in names:
            sums[name] += getattr(simulator, name)
        for lane in np.flatnonzero(simulator.terminated | simulator.truncated):
            ends += 1
            assert simulator.episode_reward[lane] == sums["rewards"][lane]
            assert np.array_equal(simulator.episode_costs[lane], sums["costs"][lane])
            assert np.array_equal(simulator.episode_terms[lane], sums["terms"][lane])
            assert np.array_equal(simulator.episode_events[lane], sums["events"][lane])
            assert simulator.episode_length[lane] == length[lane]
            length[lane] = 0
            for array in sums.values():
                array[lane] = 0.0
    assert ends >= 2 * N


def test_an_episode_lasts_its_horizon(make: Any, hashed_actions: Any) -> None:
    simulator = make(2)
    simulator.reset(seed=1)
    for step in range(2 * simulator.horizon):
        simulator.step(hashed_actions(2, simulator.action_size, step))
        expected = (step + 1) % simulator.horizon == 0
        assert np.all(simulator.terminated == expected)
        assert not np.any(simulator.truncated)


def test_staggered_first_episodes_begin_in_all_phases(make: Any) -> None:
    simulator = make(130, stagger=True)
    simulator.reset(seed=1)
    begun = simulator.state("step")
    assert begun.min() >= 0 and begun.max() < simulator.horizon
    assert len(np.unique(begun)) > 40
    assert np.ptp(np.histogram(begun, bins=4, range=(0, simulator.horizon))[0]) < 40


def test_energy_is_conserved(make: Any, hashed_actions: Any) -> None:
    """The kernel's own balance of the power flow, relative to the energy that flowed.

    That is what the meter, the loads and the sun moved: with batteries and sun at work a feeder
    may move much and meter nothing.
    """
    simulator = make(N, autoreset="disabled")
    if simulator.domain.name != "energy":
        pytest.skip("energy flows in the energy grid only")
    names = simulator.event_names
    balance, bought, sold = (
        names.index(name) for name in ("energy_balance_kwh", "import_kwh", "export_kwh")
    )
    for stream in range(3):
        simulator.reset(seed=100 + stream)
        for step in range(simulator.horizon):
            simulator.step(hashed_actions(N, simulator.action_size, step, stream=stream))
            inside = simulator.state("load_kw") + simulator.state("pv_kw")
            metered = simulator.events[:, bought] + simulator.events[:, sold]
            flowed = metered + inside * simulator.scenario.step_minutes / 60.0
            assert np.all(simulator.events[:, balance] <= 1e-9 * flowed), step
