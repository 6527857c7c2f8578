"""A steward: nothing it asks for leaves bounds, largest change, interval or timelock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from daogym.envs.core.compiled import compile_lock, kernel_entry
from daogym.envs.core.fields import FieldSet
from daogym.envs.core.random import episode_key, root_keys
from daogym.envs.core.strict import ConfigError, StrictModel, load_mapping
from daogym.envs.dao.charter import Charter, GovernedParameter, load_charter
from daogym.envs.dao.governance import (
    advance_governance,
    begin_governance,
    pass_earlier_steps,
    quiet_step,
)
from daogym.envs.dao.governance_columns import A_CHANGES, A_VETOES, VALUE_SCALE
from daogym.envs.dao.governance_layout import pack_governance
from daogym.envs.dao.governor_layout import P_TARGET
from daogym.envs.dao.operator_proposals import ANSWERS, O_ANSWERS, OPERATOR_WIDTH
from daogym.envs.dao.proposal_view import (
    PROPOSAL_ROWS,
    STAGE_QUEUED,
    V_ACTS_AT,
    V_STAGE,
    V_VALUE,
    charter_action_fields,
    charter_fields,
    hours_until_it_acts,
    look_at_proposals,
)
from daogym.envs.dao.steward import CHANGES_ABOVE, steward_changes, write_rests

pytestmark = pytest.mark.kernel
DAY, HORIZON = 4, 60
GOVERNED = (
    GovernedParameter("fee", "EUR/kWh", 0.05, 0.25, 0.08, "price", "", 0.06, 2.0, "when to buy"),
    GovernedParameter("fixed", "1", 0.0, 2.0, 1.0, "clip", ""),
    GovernedParameter("limit", "1", 0.0, 1.0, 0.7, "clip", "", 0.3, 0.5, "how much to sell"),
)


@kernel_entry()
def run(
    key: Any, shares: Any, ints: Any, floats: Any, e_ints: Any, e_floats: Any, rules: Any,
    settings: Any, proposals: Any, votes: Any, clock: Any, events: Any, agenda: Any, answers: Any,
    values: Any, path: Any, seen: Any, rests: Any,
) -> None:  # fmt: skip
    """One episode; everything after each step."""
    begin_governance(ints, rules, settings, proposals, votes, clock, agenda)
    pass_earlier_steps(
        key, ints, floats, e_ints, e_floats, settings, proposals, votes, clock, events, agenda,
        values,
    )  # fmt: skip
    for step in range(len(shares)):
        write_rests(ints, agenda, rests[step])
        if not quiet_step(0, 0, agenda.reshape((1, -1))):
            advance_governance(
                key, ints, floats, e_ints, e_floats, settings, proposals, votes, clock, events,
                agenda, values,
            )  # fmt: skip
        steward_changes(
            ints, floats, settings, proposals, votes, agenda, values, answers,
            len(shares) - 1 - step, shares[step],
        )  # fmt: skip
        path[step] = values
        look_at_proposals(ints, floats, settings, proposals, votes, agenda, values, seen[step])


@dataclass(frozen=True)
class Played:
    """An episode of one lane, axis 0 the steps."""

    path: NDArray[np.float64]
    """(steps, parameters) values after each step."""
    seen: NDArray[np.float64]
    """(steps, PROPOSAL_ROWS, parameters)."""
    rests: NDArray[np.float64]
    """(steps, parameters) as observed before each step."""
    answers: dict[str, int]
    agenda: NDArray[np.int64]
    proposals: NDArray[np.int64]


class Held(StrictModel):
    """A charter as scenarios hold it."""

    charter: Charter


def charter_of(**changes: Any) -> Charter:
    """The packaged charter with a short timelock and changes."""
    settings = {"governor": {"timelock_steps": 5}, **changes}
    return load_mapping({"charter": {"base": "steward", **settings}}, Held, "test").charter


def play(
    charter: Charter, shares: Any, governed: Sequence[GovernedParameter] = GOVERNED
) -> Played:  # fmt: skip
    """An episode in which the steward asks for `shares` (steps, parameters)."""
    packed = pack_governance(charter, governed, steps_per_day=DAY, horizon=HORIZON)
    sizes = {k: v for k, v in packed.state_sizes.items() if k != "request"}
    state = {k: np.zeros(v, dtype=np.int64) for k, v in sizes.items()}
    n, steps = len(governed), len(shares)
    path, seen = np.zeros((steps, n)), np.zeros((steps, PROPOSAL_ROWS, n))
    rests, answers = np.zeros((steps, n)), np.zeros(OPERATOR_WIDTH, dtype=np.int64)
    key = np.uint64(episode_key(root_keys([0])[0], 0))
    with compile_lock(run):
        run(
            key, np.ascontiguousarray(shares, dtype=np.float64), packed.ints, packed.floats,
            packed.electorate.ints, packed.electorate.floats, packed.rules, state["governor"],
            state["proposals"], state["votes"], state["ballot_clock"], state["ballots"],
            state["agenda"], answers, charter.values(governed, modes=(charter.mode,)), path, seen,
            rests,
        )  # fmt: skip
    counts = dict(zip(ANSWERS, answers[O_ANSWERS:].tolist(), strict=True))
    return Played(path, seen, rests, counts, state["agenda"], state["proposals"])


def asked(*asks: tuple[int, int, float], steps: int = HORIZON) -> NDArray[np.float64]:
    """Shares that are 0 but for (step, parameter, share)."""
    shares = np.zeros((steps, len(GOVERNED)))
    for step, p, share in asks:
        shares[step, p] = share
    return shares


def reference(
    shares: Any, governed: Sequence[GovernedParameter], timelock: int
) -> NDArray[np.float64]:  # fmt: skip
    """(steps, parameters) by the words of docs/charters.md, one parameter after the other."""
    path = np.zeros((len(shares), len(governed)))
    for p, parameter in enumerate(governed):
        value, waiting, acts, last = parameter.initial, parameter.initial, -1, -(10**9)
        interval = max(round(parameter.least_interval_days * DAY), 1)
        for step, wanted in enumerate(shares[:, p].tolist()):
            if step == acts:
                value, acts, last = waiting, -1, step
            free = acts < 0 and step - last >= interval and step + timelock + 1 < len(shares)
            if abs(wanted) > CHANGES_ABOVE and parameter.largest_change > 0.0 and free:
                change = min(max(wanted, -1.0), 1.0) * parameter.largest_change
                moved = min(max(value + change, parameter.low), parameter.high)
                if abs(moved - value) > 1e-9 * (parameter.high - parameter.low):
                    waiting, acts = moved, step + timelock
            path[step, p] = value
    return path


@st.composite
def worlds(draw: Any) -> tuple[Any, ...]:
    """(parameters, timelock, shares)."""
    low = draw(st.floats(-100.0, 100.0))
    width = draw(st.floats(0.01, 1000.0))
    initial = low + draw(st.floats(0.0, 1.0)) * width
    first = GovernedParameter(
        "first", "1", low, low + width, min(initial, low + width), "clip", "",
        width * draw(st.floats(0.01, 1.0)), draw(st.sampled_from([0.25, 1.0, 3.0])),
    )  # fmt: skip
    governed = (first, *GOVERNED)
    timelock = draw(st.integers(1, 20))
    steps = draw(st.integers(1, HORIZON))
    choices = draw(st.lists(
        st.one_of(st.just(0.0), st.floats(-1.5, 1.5), st.sampled_from([-1.0, 0.25, 1.0, np.nan])),
        min_size=1, max_size=40,
    ))  # fmt: skip
    turn = draw(st.integers(1, 7))
    places = np.arange(steps)[:, None] * turn + np.arange(len(governed))
    return governed, timelock, np.array(choices)[places % len(choices)]


@hypothesis.given(worlds())
@hypothesis.settings(deadline=None, max_examples=300)
def test_no_sequence_leaves_bounds_largest_change_interval_or_timelock(world: Any) -> None:
    governed, timelock, shares = world
    made = play(charter_of(governor={"timelock_steps": timelock}), shares, governed)
    for p, parameter in enumerate(governed):
        values = np.concatenate([[parameter.initial], made.path[:, p]])
        assert (values >= parameter.low).all() and (values <= parameter.high).all()
        part = (parameter.high - parameter.low) / VALUE_SCALE
        assert (np.abs(np.diff(values)) <= parameter.largest_change + 0.51 * part).all()
        changes = np.flatnonzero(np.diff(values))
        interval = max(round(parameter.least_interval_days * DAY), 1)
        assert (np.diff(changes) >= interval + timelock).all()
        for step in changes.tolist():
            ask = shares[step - timelock, p]
            assert step >= timelock and abs(ask) > CHANGES_ABOVE
            assert (values[step + 1] > values[step]) == (ask > 0.0)
    scale = max(p.high - p.low for p in governed)
    np.testing.assert_allclose(
        made.path, reference(shares, governed, timelock), rtol=0.0, atol=1e-6 * scale
    )


def test_what_is_announced_is_seen_until_it_acts() -> None:
    made = play(charter_of(), asked((3, 0, -0.4), (4, 0, 1.0)))
    wanted = 0.08 - 0.4 * 0.06
    change = int(np.flatnonzero(np.diff(made.path[:, 0]))[0]) + 1
    assert change == 8 and made.path[8, 0] == pytest.approx(wanted, abs=1e-9)
    assert np.array_equal(np.flatnonzero(made.seen[:, V_STAGE, 0]), np.arange(3, 8))
    assert (made.seen[3:8, V_STAGE, 0] == STAGE_QUEUED).all()
    assert (made.seen[3:8, V_VALUE, 0] == made.path[8, 0]).all()
    # Steps of the governor's clock that are done: one before the episode begins.
    hours = [hours_until_it_acts(made.seen[s, V_ACTS_AT, 0], s + 2, 6.0) for s in range(3, 8)]
    assert hours == [30.0, 24.0, 18.0, 12.0, 6.0]
    assert made.answers["proposed"] == 1 and made.answers["already_live"] == 1
    assert made.agenda[A_CHANGES] == 1


def test_a_parameter_may_be_changed_where_its_rest_is_seen_to_be_over() -> None:
    """After a change in step 5 the interval of 8 steps ends before step 13."""
    quiet = play(charter_of(), asked((0, 0, 1.0)))
    over = int(np.flatnonzero(quiet.rests[6:, 0] == 0.0)[0]) + 6
    assert over == 13 and quiet.rests[6, 0] == 7 / 8 and not quiet.rests[:, 1:].any()
    for step, answer in ((over - 1, "resting"), (over, "proposed")):
        made = play(charter_of(), asked((0, 0, 1.0), (step, 0, 1.0)))
        assert made.answers[answer] == (2 if answer == "proposed" else 1)
        assert made.agenda[A_CHANGES] == made.answers["proposed"]


def test_what_cannot_act_before_the_end_is_not_announced() -> None:
    late = HORIZON - 1 - 5
    assert play(charter_of(), asked((late, 2, 1.0))).answers["too_late"] == 1
    made = play(charter_of(), asked((late - 1, 2, 1.0)))
    # It rules the last step: path holds what is in force after each.
    assert made.path[-2, 2] == 1.0 and made.path[-3, 2] == 0.7


def test_asking_for_what_is_in_force_or_cannot_be_changed_is_in_vain() -> None:
    high = charter_of(parameters={"limit": 1.0})
    made = play(high, asked((0, 2, 1.0), (1, 1, 1.0), (2, 0, CHANGES_ABOVE)))
    assert made.answers == {**dict.fromkeys(ANSWERS, 0), "no_change": 1, "invalid": 1}
    assert (made.path == made.path[0]).all() and not made.seen[:, V_STAGE].any()


def test_as_many_changes_wait_at_once_as_the_governor_has_slots() -> None:
    many = tuple(
        GovernedParameter(f"p{i}", "1", 0.0, 1.0, 0.5, "clip", "", 0.25, 1.0) for i in range(10)
    )
    shares = np.zeros((1, 10))
    shares[0] = -1.0
    made = play(charter_of(), np.concatenate([np.zeros((HORIZON - 9, 10)), shares,
                                              np.zeros((8, 10))]), many)  # fmt: skip
    assert made.answers["proposed"] == 8 and made.answers["no_free_slot"] == 2
    assert sorted(made.proposals[:, P_TARGET].tolist()) == list(range(8))
    assert np.array_equal(made.path[-1], np.repeat([0.25, 0.5], [8, 2]))


def test_the_guardian_stops_what_it_does_not_keep() -> None:
    guarded = charter_of(
        governor={"timelock_steps": 5, "guardian_veto": {"keeps": {"fee": [0.05, 0.10]}}},
        roles={"guardian": {"reaction_steps": 3}},
    )
    made = play(guarded, asked((0, 0, 1.0), (4, 0, 0.3), (0, 2, -1.0)))
    assert made.agenda[A_VETOES] == 1 and made.answers["proposed"] == 3
    assert np.array_equal(np.flatnonzero(made.seen[:, V_STAGE, 0]), [0, 1, 2, *range(4, 9)])
    assert made.path[8, 0] == 0.08
    assert made.path[9, 0] == pytest.approx(0.08 + 0.3 * 0.06, abs=1e-9)
    assert made.path[5, 2] == pytest.approx(0.4, abs=1e-9)


@pytest.mark.parametrize(("governor", "key", "words"), [
    ({"kind": "optimistic", "timelock_steps": 48}, "governor.kind", "a kind with a timelock"),
    ({"timelock_steps": 0}, "governor.timelock_steps", "at least 1"),
])  # fmt: skip
def test_a_steward_needs_a_timelock(governor: Any, key: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as error:
        charter_of(governor=governor)
    assert key in str(error.value)


def test_a_timelock_too_long_for_the_episode_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"21 steps \(timelock\) was given; at most a third"):
        play(charter_of(governor={"timelock_steps": 21}), np.zeros((1, 3)))
    # Votes would take longer, but none is held.
    assert play(charter_of(governor={"timelock_steps": 20, "voting_period_steps": 200}),
                np.zeros((1, 3))).path.shape == (1, 3)  # fmt: skip


def test_fields_of_action_and_observation() -> None:
    charter = load_charter("steward")
    action = FieldSet(charter_action_fields(charter, GOVERNED))
    assert action.size == 2 and [f.name for f in action] == ["steward_change"]
    (field,) = action
    assert "fee, limit" in field.doc and np.unique(field.low).tolist() == [-1.0]
    live, own = charter_fields(charter, GOVERNED, 0.25)
    assert [f.name for f in own] == ["steward_rest"] and len(live) == PROPOSAL_ROWS
    assert {f.name: f.high.max() for f in live}["proposal_hours"] == 49 * 0.25
    assert charter_action_fields(load_charter("voted"), GOVERNED) == []
    with pytest.raises(ValueError, match="nothing can be changed"):
        charter_action_fields(charter, GOVERNED[1:2])
