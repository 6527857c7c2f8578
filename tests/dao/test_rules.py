"""Rules of the gate as properties: what they may and may not do to any request."""

from __future__ import annotations

import importlib
import math
import re
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao import results, rules
from daogym.envs.dao.integers import LARGEST, capped_sum, multiply_divide, sum_fits
from daogym.envs.dao.results import BELOW_FLOOR, CODES, DONE, INVALID, OVER_ALLOWANCE, STALE
from daogym.envs.dao.rules import (
    CLIP,
    COST,
    EFFECTS,
    HITS_WIDTH,
    REVERT,
    allowed_amount,
    budget_reverts,
    count_hit,
    excess,
    fresh_or_default,
    ramp_limited,
    service_floor,
    shortfall,
)

pytestmark = pytest.mark.kernel

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


# --- the convention -------------------------------------------------------------------------------

effects = st.sampled_from([REVERT, CLIP, COST])
whole = st.integers(0, LARGEST)


def test_names_of_codes_and_effects_are_their_numbers() -> None:
    assert [getattr(results, name.upper()) for name in CODES] == list(range(len(CODES)))
    assert [getattr(rules, name.upper()) for name in EFFECTS] == list(range(len(EFFECTS)))


def test_an_effect_decides_what_becomes_of_a_request() -> None:
    for code in (DONE, INVALID, OVER_ALLOWANCE):
        allowed = [allowed_amount(9, 5, 2, code, effect) for effect in (REVERT, CLIP, COST)]
        assert allowed == {DONE: [9, 9, 9], INVALID: [2, 2, 2], OVER_ALLOWANCE: [2, 5, 9]}[code]


@hypothesis.given(st.lists(st.tuples(st.integers(0, len(CODES) - 1), effects)))
def test_hits_count_reverts_clips_costs_and_gas(answers: list[tuple[int, int]]) -> None:
    hits = np.zeros(HITS_WIDTH, dtype=np.int64)
    for code, effect in answers:
        count_hit(hits, code, effect, 21_000)
    broken = [EFFECTS[0] if c == INVALID else EFFECTS[e] for c, e in answers if c != DONE]
    reverts, clips, costs = (broken.count(name) for name in ("revert", "clip", "cost"))
    assert hits.tolist() == [reverts, clips, costs, 21_000 * (reverts + clips)]


@hypothesis.given(number, number)
def test_a_service_floor_costs_what_is_missing(measured: float, floor: float) -> None:
    missing, code = service_floor(measured, floor)
    assert (code == BELOW_FLOOR) == (measured < floor)
    assert missing == (floor - measured if measured < floor else 0.0)


@hypothesis.given(
    st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), number, effects
)
def test_an_old_oracle_value_means_the_safe_default(
    now: int, age: int, heartbeat: int, request: float, effect: int
) -> None:
    allowed, code = fresh_or_default(
        request, 7.0, float(now), float(now - age), float(heartbeat), effect
    )
    assert code == (STALE if age > heartbeat else DONE)
    assert allowed == (7.0 if age > heartbeat and effect != COST else request)


def test_a_request_that_is_no_number_gets_the_safe_default() -> None:
    for effect in (REVERT, CLIP, COST):
        assert fresh_or_default(math.nan, 7.0, 0.0, 0.0, 9.0, effect) == (7.0, INVALID)


def test_every_function_that_the_page_names_is_there() -> None:
    root = Path(__file__).resolve().parents[2]
    modules = [
        importlib.import_module(f"daogym.envs.dao.{path.stem}")
        for path in sorted((root / "envs" / "dao").glob("*.py"))
        if path.stem != "__init__"
    ]
    page = (root / "docs" / "rules.md").read_text(encoding="utf-8")
    rows = [line.split("|")[-2] for line in page.splitlines() if line.startswith("|")]
    named = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    assert len(named) > 40
    missing = {name for name in named if not any(hasattr(module, name) for module in modules)}
    assert not missing


# --- whole numbers --------------------------------------------------------------------------------


@hypothesis.given(whole, whole, st.integers(1, LARGEST))
@hypothesis.example(LARGEST, LARGEST, LARGEST)
@hypothesis.example(LARGEST, LARGEST, 1)
@hypothesis.example(2**32, 2**31, 1)
@hypothesis.example(2**62, 2, 2)
def test_products_are_divided_exactly(a: int, b: int, c: int) -> None:
    quotient, remainder = divmod(a * b, c)
    fits = quotient <= LARGEST
    assert multiply_divide(a, b, c) == ((quotient, remainder) if fits else (-1, 0))


@hypothesis.given(whole, whole)
def test_shares_of_a_whole_are_exact(total: int, part: int) -> None:
    total, part = max(total, part), min(total, part)
    hypothesis.assume(total > 0)
    assert multiply_divide(LARGEST, part, total) == divmod(LARGEST * part, total)


@pytest.mark.parametrize("arguments", [(-1, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, -5)])
def test_products_outside_their_range_are_refused(arguments: tuple[int, int, int]) -> None:
    assert multiply_divide(*arguments) == (-1, 0)


@hypothesis.given(whole, whole)
def test_sums_know_whether_they_fit(a: int, b: int) -> None:
    assert sum_fits(a, b) == (a + b <= LARGEST)
    assert capped_sum(a, b) == min(a + b, LARGEST)
