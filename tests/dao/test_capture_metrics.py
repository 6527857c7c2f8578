"""Concentration against brute force: all subsets of voters, all pairs of holders."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from daogym.envs.dao.capture_metrics import gini, nakamoto, top_share, turnout

from .ballot_kernels import add_all, measure

votes_of_few = st.lists(st.integers(0, 10**6), max_size=8)


def least_coalition(votes: list[int], needed: int) -> int:
    """Smallest size of any set of voters with `needed` votes; 0 if there is none."""
    for size in range(1, len(votes) + 1):
        if any(sum(group) >= needed for group in combinations(votes, size)):
            return size
    return 0


@given(votes_of_few)
def test_nakamoto_is_the_least_majority(votes: list[int]) -> None:
    assert nakamoto(np.array(votes, dtype=np.int64)) == least_coalition(votes, sum(votes) // 2 + 1)


@given(votes_of_few, st.integers(1, 10**7))
def test_nakamoto_against_a_quorum(votes: list[int], needed: int) -> None:
    assert nakamoto(np.array(votes, dtype=np.int64), needed) == least_coalition(votes, needed)


@given(st.lists(st.integers(0, 2**31), min_size=1, max_size=30))
def test_gini_is_half_the_relative_mean_difference(votes: list[int]) -> None:
    pairs = sum(abs(a - b) for a in votes for b in votes)
    n, total = len(votes), sum(votes)
    expected = pairs / (2 * n * total) if total else 0.0
    assert gini(np.array(votes, dtype=np.int64)) == pytest.approx(expected, abs=1e-12)


def test_gini_of_known_distributions() -> None:
    assert gini([5] * 40) == 0.0
    assert gini([0] * 99 + [7]) == pytest.approx(0.99)
    assert gini([]) == 0.0
    # a straight line of holdings, 1 .. n: (n - 1) / (3 n)
    assert gini(np.arange(1, 101)) == pytest.approx(99 / 300)


def test_shares() -> None:
    assert turnout([10, 20, 5], 350) == pytest.approx(0.1)
    assert top_share([1, 7, 2], 1) == pytest.approx(0.7)
    assert top_share([1, 7, 2], 2) == pytest.approx(0.9)
    assert top_share([1, 7, 2], 5) == 1.0
    assert top_share([], 3) == 0.0


@pytest.mark.parametrize("votes", [[1.5, 2.0], [[1, 2]], [3, -1]])
def test_votes_are_whole_numbers_not_below_zero(votes: list[int]) -> None:
    with pytest.raises(ValueError, match="votes: "):
        gini(votes)


def test_turnout_needs_a_supply() -> None:
    with pytest.raises(ValueError, match="supply"):
        turnout([1], 0)


@pytest.mark.kernel
@given(
    st.lists(st.tuples(st.integers(1, 90), st.integers(0, 2), st.integers(1, 50)), max_size=8),
    st.integers(1, 300),
)
def test_compiled_metrics_read_the_ballots_in_place(
    cast: list[tuple[int, int, int]], needed: int
) -> None:
    clock, events = np.zeros((4, 1), dtype=np.int64), np.zeros((1, 9), dtype=np.int64)
    rows = [(offset, support, i, votes) for i, (offset, support, votes) in enumerate(cast)]
    add_all(clock, events, np.array(rows, dtype=np.int64).reshape(-1, 4))
    out = np.zeros(3, dtype=np.int64)
    measure(clock, events, needed, out)
    votes = [row[3] for row in rows]
    assert out.tolist() == [sum(votes), max(votes, default=0), least_coalition(votes, needed)]
