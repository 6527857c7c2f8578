"""Rules of the gate as properties: what they may and may not do to any request."""

from __future__ import annotations

import hypothesis
from hypothesis import strategies as st

from daogym.envs.dao.rules import budget_reverts, excess, ramp_limited, shortfall

number = st.floats(-1e6, 1e6, allow_nan=False)
change = st.floats(0.0, 1e6, allow_nan=False)


@hypothesis.given(number, number, change)
def test_a_ramp_lets_nothing_past_its_reach(request: float, last: float, reach: float) -> None:
    allowed = ramp_limited(request, last, reach)
    assert min(last, 0.0) - reach <= allowed <= max(last, 0.0) + reach


@hypothesis.given(number, number, change)
def test_a_ramp_moves_a_request_no_more_than_it_must(
    request: float, last: float, reach: float
) -> None:
    allowed = ramp_limited(request, last, reach)
    low, high = min(last, 0.0) - reach, max(last, 0.0) + reach
    if low <= request <= high:
        assert allowed == request
    else:
        assert allowed in (low, high)
    assert ramp_limited(allowed, last, reach) == allowed


@hypothesis.given(number, change)
def test_idle_and_staying_are_always_allowed(last: float, reach: float) -> None:
    assert ramp_limited(0.0, last, reach) == 0.0
    assert ramp_limited(last, last, reach) == last


@hypothesis.given(number, number, number, change)
def test_a_ramp_keeps_the_order_of_requests(
    one: float, other: float, last: float, reach: float
) -> None:
    low, high = sorted((one, other))
    assert ramp_limited(low, last, reach) <= ramp_limited(high, last, reach)


@hypothesis.given(number, number)
def test_excess_and_shortfall_are_the_two_sides_of_a_limit(value: float, limit: float) -> None:
    over, under = excess(value, limit), shortfall(value, limit)
    assert over >= 0.0 and under >= 0.0 and min(over, under) == 0.0
    assert over - under == value - limit


@hypothesis.given(change, change)
def test_a_budget_is_all_or_nothing(amount: float, left: float) -> None:
    if budget_reverts(amount, left):
        assert amount > left
    else:
        assert left - amount >= 0.0
    assert not budget_reverts(left, left) and not budget_reverts(0.0, left)
