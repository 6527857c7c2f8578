"""What must hold in every domain whose rules a steward sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao.governance_columns import C_HEADER, VALUE_SCALE
from daogym.envs.dao.lane_layout import LANE_PARTS
from daogym.envs.dao.operator_proposals import ANSWERS, O_ANSWERS
from daogym.envs.dao.rule_path import announced_rules, true_rules
from daogym.envs.dao.steward import CHANGES_ABOVE, STEWARD_ACTION, STEWARD_NAMES

pytestmark = pytest.mark.kernel
LANES = 3
# Of each scenario: the action mode of its agents, and the same world under rules that stay.
SCENARIOS = {
    "lv_rural_steward": ("device", {"emergency_halt": None, "local_market": False}),
    "gpu_week_steward": ("provider", {}),
    "supply_network_steward": ("node", {}),
}


@pytest.fixture(params=SCENARIOS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param  # type: ignore[no-any-return]


def start(scenario: Any, lanes: int = LANES, seed: int = 5, **options: Any) -> Any:
    """A simulator at its start."""
    simulator = daogym.make_simulator(scenario, lanes, autoreset="disabled", **options)
    simulator.reset(seed=seed)
    return simulator


def asks_of(simulator: Any) -> slice:
    """Columns of the action that are the steward's."""
    columns: slice = simulator.domain.action_fields.slice(STEWARD_ACTION)
    return columns


@dataclass(frozen=True)
class Year:
    """An episode of actions that nobody chose."""

    simulator: Any
    path: NDArray[np.float64]
    """(steps + 1, N, parameters) in force before and after each step."""
    asked: NDArray[np.float32]
    """(steps, N, parameters); 0 for those that cannot be changed."""
    money: NDArray[np.float64]
    bound: NDArray[np.float64]


@pytest.fixture(scope="module", params=SCENARIOS)
def year(request: pytest.FixtureRequest, hashed_actions: Any) -> Year:
    """Money is checked on the way; every third step asks for nothing."""
    simulator = start(request.param, action_mode=SCENARIOS[request.param][0])
    bound = simulator.domain.upper_bound(simulator)
    governance, own = simulator.domain.governance, asks_of(simulator)
    n, votable = governance.parameters, governance.floats.reshape(3, -1)[2] > 0.0
    opening = simulator.state("accounts").sum(axis=1)
    path, asked = [simulator.state("governed")[:, :n].copy()], []
    money = np.zeros(LANES)
    for step in range(simulator.horizon):
        actions = hashed_actions(LANES, simulator.action_size, step)
        actions[:, own] *= step % 3 != 2
        simulator.step(actions)
        money += simulator.rewards
        shares = np.zeros((LANES, n), np.float32)
        shares[:, votable] = actions[:, own]
        asked.append(shares)
        path.append(simulator.state("governed")[:, :n].copy())
        assert np.array_equal(simulator.state("accounts").sum(axis=1), opening), step
        np.testing.assert_allclose(
            simulator.terms.sum(axis=1), simulator.rewards,
            rtol=0.0, atol=1e-9 * (1.0 + np.abs(simulator.terms).max()),
        )  # fmt: skip
    return Year(simulator, np.array(path), np.array(asked), money, bound)


def test_no_change_leaves_bounds_largest_change_interval_or_timelock(year: Year) -> None:
    domain = year.simulator.domain
    low, high, reach = domain.governance.floats.reshape(3, -1)
    n, timelock = len(low), domain.scenario.charter.governor.timelock_steps
    interval = domain.governance.ints[C_HEADER : C_HEADER + n]
    assert (year.path >= low).all() and (year.path <= high).all()
    moved = np.diff(year.path, axis=0)
    assert (np.abs(moved) <= reach + 0.51 / VALUE_SCALE * (high - low)).all()
    changed = moved != 0.0
    assert changed[:, :, reach > 0.0].any(axis=0).all(), "a rule that never moved"
    for lane, p in np.argwhere(changed.any(axis=0)).tolist():
        steps = np.flatnonzero(changed[:, lane, p])
        assert (np.diff(steps) >= interval[p] + timelock).all() and steps[0] >= timelock
        asks = year.asked[steps - timelock, lane, p]
        assert (np.abs(asks) > CHANGES_ABOVE).all()
        assert np.array_equal(asks > 0.0, moved[steps, lane, p] > 0.0)


def test_what_was_announced_and_ignored_is_an_event(year: Year) -> None:
    s = year.simulator
    names = list(s.event_names)
    announced, ignored = (s.episode_events[:, names.index(name)] for name in STEWARD_NAMES)
    changes = (np.diff(year.path, axis=0) != 0.0).sum(axis=(0, 2))
    assert np.array_equal(announced, changes)
    assert np.array_equal(announced, s.episode_events[:, names.index("parameter_changes")])
    answers = s.state("operator")[:, O_ANSWERS:]
    assert np.array_equal(answers.sum(axis=1), announced + ignored)
    for answer in ("resting", "already_live", "too_late"):
        assert answers[:, ANSWERS.index(answer)].all(), answer
    # Neither votes nor bonds.
    for name in ("turnout", "proposals_decided", "operator_won", "operator_lost"):
        assert not s.episode_events[:, names.index(name)].any()
    assert not s.episode_terms[:, s.term_names.index("bond")].any()


def test_the_bound_is_above_what_a_steward_lets_through(year: Year) -> None:
    assert (year.bound >= year.money).all()


def test_a_steward_that_asks_for_nothing_leaves_the_world_of_static_rules(
    name: str, hashed_actions: Any
) -> None:
    """Bit for bit, in all the numbers that both worlds have."""
    mode, without = SCENARIOS[name]
    settings = {"base": name, **without}
    steward = start(settings, action_mode=mode)
    charter = {"mode": "static"}
    if name.startswith("lv_rural"):
        charter["parameters"] = {"import_fee_eur_per_kwh": 0.15}
    static = start({**settings, "charter": charter}, action_mode=mode)
    own = asks_of(steward)
    assert own.stop == steward.action_size
    shapes = {part.name: part.shape for part in static.domain.state_layout.parts}
    common = [part.name for part in steward.domain.state_layout.parts
              if shapes.get(part.name) == part.shape and part.name not in LANE_PARTS]  # fmt: skip
    assert len(common) > 20
    for step in range(steward.horizon):
        actions = hashed_actions(LANES, steward.action_size, step)
        actions[:, own] = 0.0
        steward.step(actions)
        static.step(np.ascontiguousarray(actions[:, : own.start]))
        assert np.array_equal(steward.rewards, static.rewards), step
        assert np.array_equal(steward.costs, static.costs), step
        assert np.array_equal(steward.terms, static.terms), step
    for part in common:
        assert np.array_equal(steward.state(part), static.state(part), equal_nan=True), part


def test_what_waits_is_seen_by_fields_and_planners(name: str) -> None:
    simulator = start(name)
    fields, own = simulator.domain.observation_fields, asks_of(simulator)
    governance = simulator.domain.governance
    timelock = simulator.scenario.charter.governor.timelock_steps
    step_h = simulator.scenario.step_minutes / 60.0
    p = int(np.flatnonzero(governance.floats.reshape(3, -1)[2])[0])
    column = fields.slice("proposal_stage").start + p

    def seen(field: str) -> Any:
        shown = fields.denormalise(simulator.observations)
        return shown[:, fields.slice(field).start + p]

    before = simulator.state("governed")[:, p].copy()
    actions = np.zeros((LANES, simulator.action_size), np.float32)
    actions[1:, own.start] = 0.3, -0.3
    simulator.step(actions)
    actions[:, own.start] = 0.0
    assert simulator.observations[0, column] == -1.0
    wanted = seen("proposal_value")
    assert wanted[1] > before[1] and wanted[2] < before[2]
    for left in range(timelock, 0, -1):
        assert (seen("proposal_stage")[1:] == 1.0).all()
        np.testing.assert_allclose(seen("proposal_hours")[1:], left * step_h, rtol=1e-5)
        ahead = announced_rules(simulator, timelock + 2, reads_queue=True)[:, :, p]
        assert np.array_equal(np.flatnonzero(ahead[1] != before[1]), np.arange(left, timelock + 2))
        assert np.array_equal(simulator.state("governed")[:, p], before)
        if left in (timelock, 1):
            assert np.array_equal(true_rules(simulator)[:, : timelock + 2, p], ahead)
        simulator.step(actions)
    after = simulator.state("governed")[:, p]
    scale = float(np.ptp(np.asarray(governance.floats.reshape(3, -1)[:2, p])))
    np.testing.assert_allclose(after[1:], wanted[1:], rtol=0.0, atol=1e-6 * scale)
    assert after[0] == before[0] and not (after[1:] == before[1:]).any()
    assert (seen("proposal_stage") == 0.0).all()
    rest = seen("steward_rest")
    assert rest[0] == 0.0 and (rest[1:] > 0.5).all()


def test_a_batch_of_one_sees_what_a_batch_of_many_sees(name: str, hashed_actions: Any) -> None:
    many, alone = start(name, 19), start(name, 1, seed=5 + 17)
    for step in range(60):
        actions = hashed_actions(19, many.action_size, step)
        many.step(actions)
        alone.step(np.ascontiguousarray(actions[17:18]))
        assert np.array_equal(many.observations[17], alone.observations[0]), step
        assert many.rewards[17] == alone.rewards[0], step
    assert many.state("operator")[:, O_ANSWERS + ANSWERS.index("proposed")].all()


def test_a_timelock_beyond_a_third_of_the_episode_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"\(timelock\) was given; at most a third"):
        daogym.make_simulator({"base": name, "charter": {"governor": {"timelock_steps": 300}}})
