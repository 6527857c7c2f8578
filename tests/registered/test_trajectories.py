"""One seed, one world: whatever the batch, the threads, the actions or the time of asking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.core.simulator import _PARALLEL_FROM, Simulator
from daogym.envs.registry import Registration

pytestmark = pytest.mark.kernel

MANY = _PARALLEL_FROM + 3  # enough lanes for a second thread, and not whole tiles

Outputs = list[NDArray[Any]]
NAMES = ("observations", "rewards", "baselines", "costs", "terms", "events", "terminated",
         "truncated")  # fmt: skip
ENDED = ("final_observations", "episode_reward", "episode_length", "episode_costs",
         "episode_terms", "episode_events")  # fmt: skip


def outputs(simulator: Simulator) -> Outputs:
    """Copies of all outputs of this step; rows of the last episode only where one just ended."""
    copies: Outputs = [getattr(simulator, name).copy() for name in NAMES]
    ended = simulator.terminated | simulator.truncated
    for name in ENDED:
        array = getattr(simulator, name).copy()
        array[~ended] = 0
        copies.append(array)
    return copies


def run(simulator: Simulator, seed: Any, steps: int, hashed_actions: Any) -> list[Outputs]:
    simulator.reset(seed=seed)
    n, size = simulator.num_envs, simulator.action_size
    trajectory: list[Outputs] = [[simulator.observations.copy()]]
    for step in range(steps):
        simulator.step(hashed_actions(n, size, step))
        trajectory.append(outputs(simulator))
    return trajectory


def assert_bit_equal(one: list[Outputs], other: list[Outputs]) -> None:
    assert len(one) == len(other)
    for step, (first, second) in enumerate(zip(one, other, strict=True)):
        for i, (a, b) in enumerate(zip(first, second, strict=True)):
            assert a.tobytes() == b.tobytes(), (step, (NAMES + ENDED)[i] if step else "reset")


def test_same_seed_same_trajectory(make: Any, hashed_actions: Any) -> None:
    steps = make(1).horizon + 5
    one = run(make(3), 11, steps, hashed_actions)
    other = run(make(3), 11, steps, hashed_actions)
    assert_bit_equal(one, other)


def test_another_seed_another_world(make: Any, hashed_actions: Any) -> None:
    one = run(make(8), 11, 20, hashed_actions)
    other = run(make(8), 1011, 20, hashed_actions)
    differ = [np.any(a[0] != b[0], axis=1) for a, b in zip(one, other, strict=True)]
    assert np.all(differ)


def test_lanes_and_episodes_differ(make: Any) -> None:
    simulator = make(16)
    simulator.reset(seed=0)
    first = simulator.observations.copy()
    assert len(np.unique(first, axis=0)) == 16
    simulator.reset()
    assert not np.any(np.all(simulator.observations == first, axis=1))


def staggered_steps(simulator: Simulator) -> int:
    """So many that some of the episodes that begin at random steps end within them."""
    return max(14, simulator.horizon // 48)


@pytest.fixture
def singles(make: Any, hashed_actions: Any) -> list[list[Outputs]]:
    """Runs of one environment for seeds 5, 6, ...: what each lane of a batch has to show."""
    simulator = make(1, stagger=True)
    found = []
    for lane in range(MANY):
        simulator.reset(seed=5 + lane)
        rows: list[Outputs] = [[simulator.observations.copy()]]
        for step in range(staggered_steps(simulator)):
            simulator.step(hashed_actions(MANY, simulator.action_size, step)[lane : lane + 1])
            rows.append(outputs(simulator))
        found.append(rows)
    return found


def test_a_batch_is_single_runs_side_by_side(
    make: Any, hashed_actions: Any, singles: list[list[Outputs]]
) -> None:
    """First episodes begin at random steps, so some end within these steps."""
    ends, steps = 0, staggered_steps(make(1))
    for n, threads in ((1, 1), (3, 1), (16, 1), (17, 2), (130, 1), (130, 2), (MANY, 2)):
        batch = run(make(n, threads=threads, stagger=True), 5, steps, hashed_actions)
        for step in range(steps + 1):
            for i, array in enumerate(batch[step]):
                alone = np.concatenate([singles[lane][step][i] for lane in range(n)])
                assert array.tobytes() == alone.tobytes(), (n, threads, step, i)
            if step:
                ends += int(batch[step][NAMES.index("terminated")].sum())
    assert ends > 10


def test_seeds_of_lanes_may_be_named_one_by_one(make: Any, hashed_actions: Any) -> None:
    whole = run(make(3), 40, 6, hashed_actions)
    named = run(make(3), [40, 41, 42], 6, hashed_actions)
    assert_bit_equal(whole, named)
    shuffled = make(3)
    shuffled.reset(seed=[42, 40, 41])
    assert np.array_equal(shuffled.observations, whole[0][0][[2, 0, 1]])


def test_snapshot_brings_back_the_same_future(make: Any, hashed_actions: Any) -> None:
    simulator = make(5, stagger=True)
    run(simulator, 3, 7, hashed_actions)
    n, size = simulator.num_envs, simulator.action_size
    snapshot = simulator.snapshot()
    steps = range(7, 7 + simulator.horizon)

    def future(of: Simulator) -> list[Outputs]:
        rows = []
        for step in steps:
            of.step(hashed_actions(n, size, step))
            rows.append(outputs(of))
        return rows

    first = future(simulator)
    assert any(row[NAMES.index("terminated")].any() for row in first)
    simulator.restore(snapshot)
    assert np.array_equal(simulator.observations, snapshot["observations"][0])
    assert_bit_equal([[]] + first, [[]] + future(simulator))
    fresh = make(5, stagger=True, threads=2)
    fresh.restore(snapshot)
    assert_bit_equal([[]] + first, [[]] + future(fresh))


# Parts of the state that a world decides and no action may touch, for each domain.
EXOGENOUS_STATE = {
    "energy": (
        "episode", "episode_key", "step", "day", "ev_day", "ev_arrival_step",
        "ev_departure_step", "load_error", "pv_error",
    ),
    "compute": (
        "episode", "episode_key", "step", "first_day", "z_slow", "z_hour", "price_noise",
        "region_price", "region_carbon", "node_up", "node_change", "up_share", "token_price",
        "feed",
    ),
    "logistics": (
        "episode", "episode_key", "step", "first_day", "closed", "promotion_start", "level",
        "level_seen", "promotion_factor", "demand_units", "ewma_units", "governed",
    ),
}  # fmt: skip
EXOGENOUS_FIELDS = {
    "energy": (
        "hour_sin",
        "hour_cos",
        "weekend",
        "year_sin",
        "year_cos",
        "time_left",
        "price",
        "price_mean",
        "price_spread",
        "price_rank",
        "price_known_hours",
        "price_deviation",
        "load_forecast",
        "pv_forecast",
    ),
    "compute": (
        "hour_sin",
        "hour_cos",
        "weekend",
        "time_left",
        "usual_demand",
        "price",
        "carbon",
        "jobs_hour",
        "jobs_day",
        "work_hour",
        "work_day",
        "up_share",
        "token_price",
        "report_held",
    ),
    "logistics": ("time_left", "demand"),
}


def test_no_action_moves_the_world(make: Any, hashed_actions: Any, entry: Registration) -> None:
    """Two policies on one seed face one world, in this episode and in the next."""
    one, other = make(6), make(6)
    one.reset(seed=77)
    other.reset(seed=77)
    name = one.domain.name
    states, fields = EXOGENOUS_STATE[name], EXOGENOUS_FIELDS[name]
    differed = False
    for step in range(one.horizon + 20):
        one.step(hashed_actions(6, one.action_size, step))
        other.step(hashed_actions(6, one.action_size, step, stream=1))
        assert one.baselines.tobytes() == other.baselines.tobytes(), step
        for part in states:
            assert np.array_equal(one.state(part), other.state(part)), (step, part)
        for field in fields:
            columns = one.observation_fields.slice(field)
            assert np.array_equal(
                one.observations[:, columns], other.observations[:, columns]
            ), (step, field)  # fmt: skip
        differed = differed or not np.array_equal(one.rewards, other.rewards)
    assert differed


def test_an_episode_of_a_batch_replays_alone(make: Any, hashed_actions: Any) -> None:
    """The second episode of lane 3 of seed 9 is the second episode of seed 12."""
    batch, alone = make(4), make(1)
    horizon = batch.horizon
    batch_run = run(batch, 9, horizon + 3, hashed_actions)
    alone.reset(seed=12)
    for step in range(horizon):
        alone.step(hashed_actions(4, alone.action_size, step + 500)[3:4])
    for step in range(horizon, horizon + 3):
        alone.step(hashed_actions(4, alone.action_size, step)[3:4])
    for field in EXOGENOUS_FIELDS[alone.domain.name]:
        columns = alone.observation_fields.slice(field)
        assert np.array_equal(alone.observations[0, columns], batch_run[-1][0][3, columns])
    assert np.array_equal(alone.baselines, batch_run[-1][2][3:4])


def test_every_id_has_a_scenario_of_its_own_hash(hashed_actions: Any) -> None:
    hashes = {}
    for entry in daogym.REGISTERED:
        simulator = daogym.make_simulator(entry.scenario, 1, **entry.options)
        hashes.setdefault(simulator.scenario_hash, set()).add(entry.scenario)
        assert len(simulator.scenario_hash) == 16 and int(simulator.scenario_hash, 16) >= 0
    assert all(len(names) == 1 for names in hashes.values())
