"""Spending allowance, quota and token bucket against models that keep every payment in a list."""

from __future__ import annotations

import math
from fractions import Fraction

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.allowance import (
    ALLOWANCE_WIDTH,
    QUOTA_WIDTH,
    allowance_check,
    allowance_left,
    quota_check,
    set_allowance,
    spend_allowance,
    use_quota,
)
from daogym.envs.dao.bucket import (
    BUCKET_WIDTH,
    bucket_check,
    bucket_level,
    change_bucket,
    draw_bucket,
    fill_bucket,
)
from daogym.envs.dao.integers import LARGEST
from daogym.envs.dao.results import (
    DONE,
    INVALID,
    OVER_ALLOWANCE,
    OVER_CAPACITY,
    OVER_QUOTA,
    RATE_LIMITED,
)
from daogym.envs.dao.rules import CLIP, COST, REVERT

pytestmark = pytest.mark.kernel

effects = st.sampled_from([REVERT, CLIP, COST])
hard_effects = st.sampled_from([REVERT, CLIP])
few = st.integers(-1, 3)
cents = st.one_of(
    few, st.integers(-5, 200), st.sampled_from([LARGEST, LARGEST - 1, -LARGEST - 1])
)  # fmt: skip


def whole_record(width: int) -> np.ndarray:
    return np.zeros(width, dtype=np.int64)


# --- spending allowance ---------------------------------------------------------------------------


def test_the_safes_documented_case() -> None:
    """modules/allowances/test/allowanceRecurring.spec.ts and allowanceSingle.spec.ts."""
    day = 60 * 24
    now = 28_000_000
    base = now - 30
    record = whole_record(ALLOWANCE_WIDTH)
    assert set_allowance(record, now, 100, day, base) == DONE
    assert record.tolist() == [100, 0, day, base]
    assert spend_allowance(record, now, 60, REVERT) == (60, DONE)
    assert spend_allowance(record, now, 45, REVERT) == (0, OVER_ALLOWANCE)
    assert spend_allowance(record, now, 40, REVERT) == (40, DONE)
    assert record.tolist() == [100, 100, day, base]
    half_a_day_later = now + 13 * 60
    assert allowance_left(record, half_a_day_later) == 0
    a_day_later = now + 26 * 60
    assert allowance_left(record, a_day_later) == 100
    assert spend_allowance(record, a_day_later, 45, REVERT) == (45, DONE)
    assert record.tolist() == [100, 45, day, base + day]


def test_an_allowance_without_reset_is_granted_once() -> None:
    record = whole_record(ALLOWANCE_WIDTH)
    assert set_allowance(record, 1000, 100, 0, 0) == DONE
    assert spend_allowance(record, 1000, 100, REVERT) == (100, DONE)
    assert spend_allowance(record, 10**9, 1, CLIP) == (0, OVER_ALLOWANCE)


@pytest.mark.parametrize(
    "arguments", [(1000, -1, 5, 0), (1000, 5, -1, 0), (1000, 5, 5, -1), (1000, 5, 5, 1001),
                  (1000, 5, 0, 7)],
)  # fmt: skip
def test_an_allowance_that_makes_no_sense_is_refused(arguments: tuple[int, int, int, int]) -> None:
    record = whole_record(ALLOWANCE_WIDTH)
    assert set_allowance(record, *arguments) == INVALID
    assert not record.any()


class Contract:
    """AllowanceModule 0.1.0 in its own terms: unsigned numbers, and an exception is a revert."""

    def __init__(self) -> None:
        self.stored = (0, 0, 0, 0)

    def get(self, now: int) -> tuple[int, int, int, int]:
        amount, _, reset, last = self.stored
        if reset > 0 and last <= now - reset:
            return amount, 0, reset, now - ((now - last) % reset)
        return self.stored

    def set(self, now: int, amount: int, reset: int, base: int) -> None:
        _, spent, _, last = self.get(now)
        if base > 0:
            assert base <= now and reset > 0
            last = now - ((now - base) % reset)
        elif last == 0:
            last = now
        self.stored = (amount, spent, reset, last)

    def execute(self, now: int, amount: int) -> None:
        granted, spent, reset, last = self.get(now)
        new = spent + amount
        assert new > spent and new <= granted
        self.stored = (granted, new, reset, last)


@hypothesis.given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.booleans(), st.integers(0, 60),
            st.sampled_from([0, 1, 7, 15, 60]), st.integers(0, 30),
        ),
        max_size=60,
    )
)  # fmt: skip
def test_an_allowance_does_what_the_contract_does(
    steps: list[tuple[int, bool, int, int, int]],
) -> None:
    record, contract, now = whole_record(ALLOWANCE_WIDTH), Contract(), 100
    for elapsed, sets, amount, reset, back in steps:
        now += elapsed
        base = now - back if back < 25 else 0
        try:
            if sets:
                contract.set(now, amount, reset, base)
            else:
                contract.execute(now, amount)
            reverted = False
        except AssertionError:
            reverted = True
        if sets:
            assert (set_allowance(record, now, amount, reset, base) != DONE) == reverted
        else:
            allowed, code = spend_allowance(record, now, amount, REVERT)
            assert (code != DONE) == reverted
            assert allowed == (0 if reverted else amount)
        assert tuple(record.tolist()) == contract.stored
        amount_now, spent_now, _, _ = contract.get(now)
        assert allowance_left(record, now) == max(amount_now - spent_now, 0)


@hypothesis.given(
    st.integers(0, 300), st.integers(1, 50), st.integers(0, 49),
    st.lists(st.tuples(st.integers(0, 30), cents, hard_effects), max_size=60),
)  # fmt: skip
def test_no_sequence_spends_more_than_the_amount_between_resets(
    amount: int, reset: int, offset: int, requests: list[tuple[int, int, int]]
) -> None:
    now, base = 1000 + offset, 1000
    record = whole_record(ALLOWANCE_WIDTH)
    assert set_allowance(record, now, amount, reset, base) == DONE
    payments: list[tuple[int, int]] = []
    for elapsed, request, effect in requests:
        now += elapsed
        left = amount - sum(paid for at, paid in payments if (at - base) // reset ==
                            (now - base) // reset)  # fmt: skip
        permitted, code = allowance_check(record, now, request)
        allowed, same_code = spend_allowance(record, now, request, effect)
        assert code == same_code
        assert code == (INVALID if request <= 0 else DONE if request <= left else OVER_ALLOWANCE)
        assert permitted == (0 if request <= 0 else min(request, left))
        assert allowed == (permitted if effect == CLIP or code == DONE else 0)
        payments.append((now, allowed))
    for window in {(at - base) // reset for at, _ in payments}:
        assert sum(paid for at, paid in payments if (at - base) // reset == window) <= amount


def test_under_cost_the_excess_is_spent_and_counted_once() -> None:
    record = whole_record(ALLOWANCE_WIDTH)
    set_allowance(record, 1, 100, 10, 0)
    assert allowance_check(record, 1, 130) == (100, OVER_ALLOWANCE)
    assert spend_allowance(record, 1, 130, COST) == (130, OVER_ALLOWANCE)
    assert allowance_check(record, 1, 20) == (0, OVER_ALLOWANCE)
    assert spend_allowance(record, 1, LARGEST, COST) == (LARGEST, OVER_ALLOWANCE)
    assert spend_allowance(record, 1, -5, COST) == (0, INVALID)
    assert record[1] == LARGEST
    assert spend_allowance(record, 11, 100, REVERT) == (100, DONE)


# --- quota ----------------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(0, 4) | st.integers(0, 100),
    st.lists(st.tuples(st.booleans(), few | st.integers(-3, 60), effects), max_size=60),
)
def test_a_quota_holds_in_every_epoch(quota: int, requests: list[tuple[bool, int, int]]) -> None:
    record, epoch = whole_record(QUOTA_WIDTH), 0
    used: dict[int, int] = {}
    excess = 0
    for next_epoch, request, effect in requests:
        epoch += next_epoch
        left = max(quota - used.get(epoch, 0), 0)
        allowed, code = use_quota(record, epoch, request, quota, effect)
        if request < 0:
            assert (allowed, code) == (0, INVALID)
        elif request <= left:
            assert (allowed, code) == (request, DONE)
        else:
            assert (allowed, code) == ((0, left, request)[effect], OVER_QUOTA)
            excess += request - left if effect == COST else 0
        used[epoch] = used.get(epoch, 0) + allowed
    assert sum(max(amount - quota, 0) for amount in used.values()) == excess


def test_a_quota_may_be_a_physical_quantity() -> None:
    record = np.zeros(QUOTA_WIDTH)
    assert use_quota(record, 3, 2.5, 4.0, CLIP) == (2.5, DONE)
    assert use_quota(record, 3, 2.5, 4.0, CLIP) == (1.5, OVER_QUOTA)
    assert quota_check(record, 3, math.nan, 4.0) == (0.0, INVALID)
    assert use_quota(record, 4, 2.5, 4.0, REVERT) == (2.5, DONE)


# --- token bucket ---------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(0, 200), st.integers(0, 20),
    st.lists(
        st.tuples(st.integers(0, 12), few | st.integers(-3, 250), hard_effects), max_size=50
    ),
)  # fmt: skip
def test_no_window_lets_more_through_than_capacity_and_refill(
    capacity: int, refill: int, requests: list[tuple[int, int, int]]
) -> None:
    record, now, level = whole_record(BUCKET_WIDTH), 50, capacity
    fill_bucket(record, now, capacity, refill)
    passed: list[tuple[int, int]] = []
    for elapsed, request, effect in requests:
        for _ in range(elapsed):
            now += 1
            level = min(level + refill, capacity)
        assert bucket_level(record, now) == level
        permitted, code = bucket_check(record, now, request)
        allowed, same_code = draw_bucket(record, now, request, effect)
        assert code == same_code
        if request < 0:
            assert (allowed, code) == (0, INVALID)
        elif request <= level:
            assert (allowed, code) == (request, DONE)
        else:
            assert code == (OVER_CAPACITY if request > capacity else RATE_LIMITED)
            assert permitted == level
            assert allowed == (level if effect == CLIP else 0)
        level -= allowed
        assert 0 <= bucket_level(record, now) <= capacity
        passed.append((now, allowed))
    for i, (start, _) in enumerate(passed):
        through = 0
        for at, amount in passed[i:]:
            through += amount
            assert through <= capacity + refill * (at - start)


@hypothesis.given(
    st.floats(0.0, 1e6), st.floats(0.0, 1e4),
    st.lists(st.tuples(st.integers(0, 50), st.floats(0.0, 1e6), hard_effects), max_size=40),
)  # fmt: skip
def test_a_bucket_of_physical_quantities_holds_to_rounding(
    capacity: float, refill: float, requests: list[tuple[int, float, int]]
) -> None:
    record, now = np.zeros(BUCKET_WIDTH), 0
    fill_bucket(record, now, capacity, refill)
    through = Fraction(0)
    for elapsed, request, effect in requests:
        now += elapsed
        allowed, _ = draw_bucket(record, now, request, effect)
        assert 0.0 <= allowed <= request
        assert 0.0 <= bucket_level(record, now) <= capacity
        through += Fraction(allowed)
        limit = Fraction(capacity) + Fraction(refill) * now
        assert through <= limit * (1 + Fraction(1, 10**12))


@hypothesis.given(
    st.integers(0, LARGEST), st.integers(0, LARGEST), st.integers(0, LARGEST),
    st.integers(0, LARGEST),
)  # fmt: skip
def test_a_bucket_does_not_overflow(capacity: int, refill: int, taken: int, later: int) -> None:
    record = whole_record(BUCKET_WIDTH)
    fill_bucket(record, 0, capacity, refill)
    allowed, _ = draw_bucket(record, 0, taken, CLIP)
    assert allowed == min(taken, capacity)
    assert bucket_level(record, later) == min(capacity - allowed + refill * later, capacity)


@hypothesis.given(
    st.integers(0, 100), st.integers(0, 9), st.integers(0, 100), st.integers(0, 9),
    st.integers(0, 100), st.integers(0, 20), st.integers(0, 20),
)  # fmt: skip
def test_new_settings_credit_the_old_refill_and_cut_the_level(
    capacity: int, refill: int, new_capacity: int, new_refill: int, taken: int, before: int,
    after: int,
) -> None:  # fmt: skip
    record = whole_record(BUCKET_WIDTH)
    fill_bucket(record, 0, capacity, refill)
    draw_bucket(record, 0, taken, CLIP)
    change_bucket(record, before, new_capacity, new_refill)
    level = max(capacity - taken, 0)
    for _ in range(before):
        level = min(level + refill, capacity)
    level = min(level, new_capacity)
    for _ in range(after):
        level = min(level + new_refill, new_capacity)
    assert bucket_level(record, before + after) == level


def test_a_clock_that_goes_back_refills_nothing_twice() -> None:
    record = whole_record(BUCKET_WIDTH)
    fill_bucket(record, 0, 100, 10)
    draw_bucket(record, 0, 100, REVERT)
    draw_bucket(record, 5, 10, REVERT)
    draw_bucket(record, 2, 10, REVERT)
    assert bucket_level(record, 5) == 30


def test_under_cost_everything_passes_and_leaves_the_bucket_empty() -> None:
    record = whole_record(BUCKET_WIDTH)
    fill_bucket(record, 0, 100, 10)
    assert draw_bucket(record, 0, 150, COST) == (150, OVER_CAPACITY)
    assert bucket_level(record, 0) == 0
    assert draw_bucket(record, 1, 15, COST) == (15, RATE_LIMITED)
    assert draw_bucket(record, 2, -1, COST) == (0, INVALID)
    assert bucket_level(record, 2) == 10
