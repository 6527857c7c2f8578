"""Reward split and Gini coefficient against exact fractions."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.integers import LARGEST
from daogym.envs.dao.results import DONE, INVALID, OVER_BUDGET, OVERFLOW
from daogym.envs.dao.rewards import gini, order_descending, split_rewards

pytestmark = pytest.mark.kernel


def split(scores: list[int], budget: int, least: int) -> tuple[int, list[int]]:
    n = len(scores)
    payouts, remainders, order = (np.full(n, 99, dtype=np.int64) for _ in range(3))
    code = split_rewards(
        np.array(scores, dtype=np.int64), budget, least, payouts, remainders, order
    )
    return code, payouts.tolist()


def exact_shares(scores: list[int], budget: int, least: int) -> list[Fraction]:
    """max(least, lambda score) with the lambda that spends the budget, found by bisection on who
    is lifted: the k lowest scores, for the one k that is consistent."""
    ranked = sorted(range(len(scores)), key=lambda i: scores[i])
    for k in range(len(scores)):
        others = sum(scores[i] for i in ranked[k:])
        if others == 0:
            break
        rate = Fraction(budget - k * least, others)
        if rate * scores[ranked[k]] >= least and (k == 0 or rate * scores[ranked[k - 1]] <= least):
            return [max(Fraction(least), rate * score) for score in scores]
    return [Fraction(least)] * len(scores)


small = st.integers(0, 60)
scores_small = st.lists(st.one_of(small, st.just(0)), min_size=1, max_size=14)
scores_large = st.lists(st.integers(0, LARGEST // 16), min_size=1, max_size=16)


@hypothesis.given(
    st.one_of(scores_small, scores_large), st.one_of(st.integers(0, 2000), st.integers(0, LARGEST)),
    st.one_of(st.just(0), st.integers(0, 40)),
)  # fmt: skip
@hypothesis.settings(max_examples=300)
def test_a_split_is_exact(scores: list[int], budget: int, least: int) -> None:
    code, payouts = split(scores, budget, least)
    if least * len(scores) > budget:
        assert code == OVER_BUDGET and not any(payouts)
        return
    assert code == DONE
    if sum(scores) == 0:
        assert payouts == [least] * len(scores)
        return
    shares = exact_shares(scores, budget, least)
    assert sum(shares) == budget or all(share == least for share in shares)
    # Largest remainders: whole cents first, then one cent each to the largest fractions.
    expected = [floor(share) for share in shares]
    by_fraction = sorted(
        range(len(scores)), key=lambda i: (expected[i] - shares[i], i)
    )  # fmt: skip
    for i in by_fraction[: floor(sum(shares)) - sum(expected)]:
        expected[i] += 1
    assert payouts == expected
    assert sum(payouts) <= budget
    assert sum(payouts) == budget or all(share == least for share in shares)
    assert min(payouts) >= least
    for i, one in enumerate(scores):
        for j, other in enumerate(scores):
            if one > other:
                assert payouts[i] >= payouts[j]


def test_the_textbook_example_of_the_largest_remainder() -> None:
    """100,000 votes for 10 seats: Hamilton's method gives 5, 2, 1, 1, 1, 0."""
    code, seats = split([47_000, 16_000, 15_900, 12_000, 6_000, 3_100], 10, 0)
    assert (code, seats) == (DONE, [5, 2, 1, 1, 1, 0])


def test_ties_go_to_the_lower_index_and_negative_scores_count_as_none() -> None:
    assert split([1, 1, 1], 2, 0) == (DONE, [1, 1, 0])
    assert split([5, -7, 5], 11, 0) == (DONE, [6, 0, 5])
    assert split([5, -7, 5], 11, 1) == (DONE, [5, 1, 5])


def test_what_cannot_be_split_is_refused() -> None:
    assert split([1, 2], -1, 0) == (INVALID, [0, 0])
    assert split([1, 2], 5, -1) == (INVALID, [0, 0])
    assert split([LARGEST, 1], 5, 0) == (OVERFLOW, [0, 0])
    assert split([1, 2], 5, 3) == (OVER_BUDGET, [0, 0])
    assert split([], 5, 3) == (DONE, [])


@hypothesis.given(st.lists(st.integers(-5, 5) | st.integers(-LARGEST - 1, LARGEST), max_size=40))
def test_the_order_is_descending_and_stable(keys: list[int]) -> None:
    order = np.empty(len(keys), dtype=np.int64)
    order_descending(np.array(keys, dtype=np.int64), order)
    assert order.tolist() == sorted(range(len(keys)), key=lambda i: -keys[i])


def test_gini_of_one_hand_and_of_equals() -> None:
    for n in (1, 2, 10):
        order = np.empty(n, dtype=np.int64)
        assert gini(np.eye(1, n, n // 2, dtype=np.int64)[0], order) == (n - 1) / n
        assert gini(np.full(n, 7, dtype=np.int64), order) == 0.0


@hypothesis.given(st.lists(st.integers(0, 10**12), min_size=1, max_size=40))
def test_gini_is_half_the_relative_mean_difference(amounts: list[int]) -> None:
    n, total = len(amounts), sum(amounts)
    order = np.empty(n, dtype=np.int64)
    measured = gini(np.array(amounts, dtype=np.int64), order)
    if total == 0:
        assert measured == 0.0
        return
    difference = sum(abs(a - b) for a in amounts for b in amounts)
    assert measured == pytest.approx(float(Fraction(difference, 2 * n * total)), abs=1e-12)
