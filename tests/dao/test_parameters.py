"""Slew limit, timelock and optimistic motions: no sequence changes too much, too soon, or early."""

from __future__ import annotations

import math
from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.parameters import (
    SLEW_VALUE,
    SLEW_WIDTH,
    TIMELOCK_VALUE,
    TIMELOCK_WIDTH,
    begin_slew,
    begin_timelock,
    cancel_parameter,
    execute_parameter,
    inject_parameter,
    queue_parameter,
    slew_check,
    slew_parameter,
)
from daogym.envs.dao.results import (
    ALREADY_OPEN,
    CHANGE_TOO_LARGE,
    DONE,
    INVALID,
    NOT_OPEN,
    OUT_OF_BOUNDS,
    TOO_EARLY,
    TOO_LATE,
)
from daogym.envs.dao.rules import CLIP, COST, REVERT

pytestmark = pytest.mark.kernel

effects = st.sampled_from([REVERT, CLIP, COST])
value = st.floats(-1e6, 1e6)


def slew(now: float, start: float, low: float, high: float, change: float, relative: bool,
         delay: float) -> np.ndarray:  # fmt: skip
    record = np.zeros(SLEW_WIDTH)
    begin_slew(record, now, start, low, high, change, relative, delay)
    return record


# --- slew limit -----------------------------------------------------------------------------------


@hypothesis.given(
    st.floats(-100.0, 100.0), st.tuples(st.floats(-100.0, 100.0), st.floats(-100.0, 100.0)),
    st.floats(0.0, 50.0), st.booleans(), st.integers(0, 6),
    st.lists(
        st.tuples(st.integers(0, 8), st.floats(-300.0, 300.0), effects), min_size=1, max_size=40
    ),
)  # fmt: skip
def test_no_sequence_leaves_the_bounds_or_the_slew_limit(
    start: float, bounds: tuple[float, float], change: float, relative: bool, delay: int,
    proposals: list[tuple[int, float, int]],
) -> None:  # fmt: skip
    low, high = sorted(bounds)
    change = change / 100.0 if relative else change
    record, now = slew(10.0, start, low, high, change, relative, float(delay)), 10
    history = [(now - delay, record[SLEW_VALUE])]
    for elapsed, proposed, effect in proposals:
        now += elapsed
        last_at, before = history[-1]
        after, code = slew_parameter(record, float(now), proposed, effect)
        assert after == record[SLEW_VALUE]
        assert low <= after <= high
        reach = Fraction(change) * (abs(Fraction(before)) if relative else 1)
        tolerance = Fraction(math.ulp(abs(before) + 300.0))
        if effect != COST:
            assert abs(Fraction(after) - Fraction(before)) <= reach + tolerance
            if after != before:
                assert now - last_at >= delay
        if code == DONE:
            assert after == proposed
        elif effect == REVERT:
            assert after == before
        if after != before:
            history.append((now, after))
            # Only a real change starts the delay anew.
            assert delay == 0 or slew_check(record, float(now), proposed + 1.0)[1] == TOO_EARLY


@hypothesis.given(value, value, st.floats(0.0, 1e5), st.booleans())
def test_a_clipped_change_goes_as_far_as_it_may(
    start: float, proposed: float, change: float, relative: bool
) -> None:
    record = slew(0.0, start, -1e6, 1e6, change / 1e5 if relative else change, relative, 0.0)
    permitted, code = slew_check(record, 0.0, proposed)
    assert min(start, proposed) <= permitted <= max(start, proposed)
    if code == DONE:
        assert permitted == proposed
    else:
        assert code == CHANGE_TOO_LARGE and permitted != proposed
        reach = Fraction(change / 1e5) * abs(Fraction(start)) if relative else Fraction(change)
        error = abs(abs(Fraction(permitted) - Fraction(start)) - reach)
        assert error <= 2 * Fraction(math.ulp(abs(start) + abs(permitted)))
    # What was permitted is within the limit itself.
    assert slew_check(record, 0.0, permitted) == (permitted, DONE)


def test_the_deployed_settings_of_aaves_risk_steward() -> None:
    """LTV 75 %: 0.5 points every 3 days; a cap of 100 may be doubled or emptied, one of 0 never."""
    three_days = 3 * 24.0
    ltv = slew(0.0, 75.0, 0.0, 100.0, 0.5, False, three_days)
    assert slew_parameter(ltv, 0.0, 75.6, REVERT) == (75.0, CHANGE_TOO_LARGE)
    assert slew_parameter(ltv, 0.0, 75.5, REVERT) == (75.5, DONE)
    assert slew_parameter(ltv, three_days - 1.0, 75.6, CLIP) == (75.5, TOO_EARLY)
    assert slew_parameter(ltv, three_days, 99.0, CLIP) == (76.0, CHANGE_TOO_LARGE)
    cap = slew(0.0, 100.0, 0.0, 1e9, 1.0, True, 0.0)
    assert slew_parameter(cap, 0.0, 201.0, REVERT) == (100.0, CHANGE_TOO_LARGE)
    assert slew_parameter(cap, 0.0, 200.0, REVERT) == (200.0, DONE)
    assert slew_parameter(cap, 0.0, 0.0, REVERT) == (0.0, DONE)
    assert slew_parameter(cap, 0.0, 1.0, CLIP) == (0.0, CHANGE_TOO_LARGE)


def test_keeping_the_value_is_no_change() -> None:
    record = slew(0.0, 5.0, 0.0, 9.0, 1.0, False, 10.0)
    assert slew_parameter(record, 0.0, 5.0, REVERT) == (5.0, DONE)
    assert slew_parameter(record, 0.0, 6.0, REVERT) == (6.0, DONE)
    assert slew_parameter(record, 3.0, 6.0, REVERT) == (6.0, DONE)
    assert slew_parameter(record, 10.0, 7.0, REVERT) == (7.0, DONE)


def test_bounds_hold_under_every_effect_and_nonsense_is_refused() -> None:
    for effect, after in ((REVERT, 5.0), (CLIP, 9.0), (COST, 9.0)):
        record = slew(0.0, 5.0, 0.0, 9.0, 100.0, False, 0.0)
        assert slew_parameter(record, 0.0, 50.0, effect) == (after, OUT_OF_BOUNDS)
        record = slew(0.0, 5.0, 0.0, 9.0, 100.0, False, 0.0)
        assert slew_parameter(record, 0.0, math.inf, effect) == (after, OUT_OF_BOUNDS)
        assert slew_parameter(record, 0.0, math.nan, effect) == (after, INVALID)


@pytest.mark.parametrize(("age", "code"), [(0, DONE), (5, DONE), (6, TOO_LATE), (600, TOO_LATE)])
@pytest.mark.parametrize("effect", [REVERT, CLIP, COST])
def test_injected_changes_expire(age: int, code: int, effect: int) -> None:
    record = slew(0.0, 5.0, 0.0, 9.0, 1.0, False, 0.0)
    expected = (6.0 if code == DONE else 5.0, code)
    assert inject_parameter(record, 100.0 + age, 6.0, 100.0, 6.0, effect) == expected


# --- timelock -------------------------------------------------------------------------------------

timelock_steps = st.lists(
    st.tuples(
        st.integers(0, 6), st.sampled_from(["queue", "execute", "cancel"]), st.floats(0.0, 9.0),
        st.integers(-1, 12),
    ),
    max_size=60,
)  # fmt: skip


@hypothesis.given(timelock_steps, st.integers(0, 8))
def test_a_timelocked_change_never_acts_early(
    steps: list[tuple[int, str, float, int]], grace: int
) -> None:
    record, now = np.zeros(TIMELOCK_WIDTH), 0
    begin_timelock(record, -1.0)
    in_force, waiting = -1.0, None
    for elapsed, action, proposed, delay in steps:
        now += elapsed
        if action == "queue":
            code = queue_parameter(record, float(now), proposed, float(delay))
            if delay < 0:
                assert code == INVALID
            elif waiting is not None:
                assert code == ALREADY_OPEN
            else:
                assert code == DONE
                waiting = (proposed, now, delay)
        elif action == "cancel":
            assert cancel_parameter(record) == (NOT_OPEN if waiting is None else DONE)
            waiting = None
        else:
            code = execute_parameter(record, float(now), float(grace))
            if waiting is None:
                assert code == NOT_OPEN
            elif now - waiting[1] < waiting[2]:
                assert code == TOO_EARLY
            elif grace and now - waiting[1] >= waiting[2] + grace:
                assert code == TOO_LATE
                waiting = None
            else:
                assert code == DONE
                in_force, waiting = waiting[0], None
        assert record[TIMELOCK_VALUE] == in_force


def test_a_value_that_is_no_number_is_not_queued() -> None:
    record = np.zeros(TIMELOCK_WIDTH)
    begin_timelock(record, 1.0)
    assert queue_parameter(record, 0.0, math.nan, 1.0) == INVALID
    assert queue_parameter(record, 0.0, 2.0, math.nan) == INVALID
    assert execute_parameter(record, 9.0, 0.0) == NOT_OPEN


# --- optimistic motions ---------------------------------------------------------------------------
