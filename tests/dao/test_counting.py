"""Counting rules against Python's unbounded integers and published numbers."""

from __future__ import annotations

import math

import hypothesis
import pytest
from hypothesis import strategies as st

from daogym.envs.dao import counting
from daogym.envs.dao.counting import (
    BASIS_POINTS,
    COUNT_OBJECTIONS,
    COUNT_SIMPLE,
    COUNT_SUPPORT,
    LARGEST_BALLOT,
    PPM,
)
from daogym.envs.dao.votes import MAX_VOTES

pytestmark = pytest.mark.kernel

amount = st.one_of(st.integers(0, MAX_VOTES), st.integers(0, 2000))
base = st.sampled_from([100, BASIS_POINTS, PPM, 2**31])
ppm = st.integers(0, PPM)


@hypothesis.given(amount, base, st.data())
def test_a_share_is_exact(whole: int, base: int, data: st.DataObject) -> None:
    numerator = data.draw(st.integers(0, base))
    assert counting.share_of(whole, numerator, base) == divmod(whole * numerator, base)
    rounded_up = -(-whole * numerator // base)
    assert counting.share_rounded_up(whole, numerator, base) == rounded_up
    assert counting.votes_needed(COUNT_SIMPLE, whole, numerator, base) == whole * numerator // base
    assert counting.votes_needed(COUNT_SUPPORT, whole, numerator, base) == rounded_up


@hypothesis.given(amount, amount, st.one_of(st.integers(1, 2**61), st.integers(1, 2000)))
def test_multiply_divide_is_exact(a: int, b: int, divisor: int) -> None:
    hypothesis.assume(a * b // divisor < 2**62)
    assert counting.multiply_divide(a, b, divisor) == a * b // divisor


@hypothesis.given(amount, amount, ppm)
def test_support_is_compared_exactly(yes: int, no: int, support: int) -> None:
    assert counting.support_reached(yes, no, support) == ((PPM - support) * yes > support * no)


@pytest.mark.parametrize(
    ("yes", "no", "support_percent", "reached"),
    [
        (1, 0, 50, True),
        (0, 0, 50, False),  # nobody voted
        (50, 50, 50, False),  # exactly half is not more than half
        (51, 50, 50, True),
        (2, 1, 66, True),
        (66, 34, 66, False),
        (67, 33, 66, True),
        (100, 0, 100, False),  # more than 100 % there cannot be
    ],
)
def test_support_of_token_voting(yes: int, no: int, support_percent: int, reached: bool) -> None:
    assert counting.support_reached(yes, no, support_percent * PPM // 100) == reached


def test_early_support_counts_all_others_as_no() -> None:
    half = PPM // 2
    assert not counting.support_reached_early(50, 0, 100, half)
    assert counting.support_reached_early(51, 0, 100, half)
    assert counting.support_reached_early(46, 9, 100, half)  # 46 against at most 45
    assert not counting.support_reached_early(45, 9, 100, half)


@hypothesis.given(amount, st.integers(1, MAX_VOTES), st.integers(0, BASIS_POINTS))
def test_objections_reject_where_their_share_in_basis_points_does(
    objections: int, supply: int, threshold: int
) -> None:
    needed = counting.votes_needed(COUNT_OBJECTIONS, supply, threshold, BASIS_POINTS)
    rejected = objections > 0 and BASIS_POINTS * objections // supply >= threshold
    assert counting.vote_succeeded(COUNT_OBJECTIONS, needed, objections, 0, 0) == (not rejected)


@pytest.mark.parametrize(("votes", "credits"), [(1, 1), (2, 4), (3, 9), (-3, 9), (10, 100)])
def test_votes_cost_their_square(votes: int, credits: int) -> None:
    assert counting.quadratic_cost(votes) == credits


def test_a_hundred_credits_buy_ten_votes_at_once_or_one_by_one() -> None:
    assert counting.change_ballot(100, 0, 10) == 0
    left, costs = 100, []
    for ballot in range(1, 11):
        before = left
        left = counting.change_ballot(left, ballot - 1, ballot)
        costs.append(before - left)
    assert costs == [1, 3, 5, 7, 9, 11, 13, 15, 17, 19]
    assert counting.change_ballot(0, 10, 11) == -1
    assert counting.change_ballot(0, 10, -10) == 0  # changing sides costs nothing more
    assert counting.change_ballot(0, 10, 0) == 100
    assert counting.change_ballot(2**62, 0, LARGEST_BALLOT + 1) == -1


@hypothesis.given(st.one_of(st.integers(0, LARGEST_BALLOT**2), st.integers(0, 10**4)))
def test_the_most_votes_that_credits_buy(credits: int) -> None:
    assert counting.quadratic_votes(credits) == math.isqrt(credits)


def test_a_square_and_its_neighbours() -> None:
    for root in (94906266, 2**29 + 1, LARGEST_BALLOT - 1, LARGEST_BALLOT):
        assert counting.quadratic_votes(root * root - 1) == root - 1
        assert counting.quadratic_votes(root * root) == root
    assert counting.quadratic_votes(LARGEST_BALLOT**2 + 10**12) == LARGEST_BALLOT
