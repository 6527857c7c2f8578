"""How concentrated votes are: of holdings, of a proposal's ballots, of many proposals.

Plain functions take any array of votes, for reports. The compiled ones read a slot's
ballots in place and cost well under a microsecond, for summaries at a snapshot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .ballots import BALLOT_COUNT, event_votes
from .rewards import gini as gini_of_amounts


def _votes(votes: ArrayLike) -> Int:
    array = np.asarray(votes)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"votes: one row of whole numbers is expected, got {array!r}")
    if array.size and int(array.min()) < 0:
        raise ValueError(f"votes: nobody has less than none, got {int(array.min())}")
    return array.astype(np.int64)


def nakamoto(votes: ArrayLike, needed: int | None = None) -> int:
    """Least number of voters whose joint votes decide; 0 if even all together do not.

    Args:
        votes: (n,) votes in base units.
        needed: votes that decide, such as a quorum; None means more than half of all `votes`.

    Source: Srinivasan and Lee, "Quantifying decentralization" (2017), for the share 1/2.
    """
    array = np.sort(_votes(votes))[::-1]
    least = int(array.sum()) // 2 + 1 if needed is None else needed
    enough = np.flatnonzero(np.cumsum(array) >= least)
    return int(enough[0]) + 1 if len(enough) else 0


def gini(votes: ArrayLike) -> float:
    """Gini coefficient: 0 where all have the same, (n - 1) / n where one has everything.

    The mean absolute difference of two, over twice the mean; 0 for no votes at all.
    """
    array = np.sort(_votes(votes))
    n, total = len(array), int(array.sum())
    if total == 0:
        return 0.0
    ranks = np.arange(1, n + 1, dtype=np.int64)
    return (2 * int((ranks * array).sum()) - (n + 1) * total) / (n * total)


def turnout(votes: ArrayLike, supply: int) -> float:
    """Share of the supply that was cast."""
    if supply <= 0:
        raise ValueError(f"supply: a whole number above 0 is expected, got {supply}")
    return int(_votes(votes).sum()) / supply


def top_share(votes: ArrayLike, count: int) -> float:
    """Share of all `votes` that the `count` largest have; 0 for no votes at all."""
    array = np.sort(_votes(votes))[::-1]
    total = int(array.sum())
    return int(array[:count].sum()) / total if total else 0.0


@kernel_function
def ballot_votes(clock: Int, events: Int, slot: int) -> int:
    """All votes of a slot, counted or still to come."""
    total = 0
    for i in range(clock[BALLOT_COUNT, slot]):
        total += event_votes(events[slot, i])
    return total


@kernel_function
def ballot_nakamoto(clock: Int, events: Int, slot: int, needed: int) -> int:
    """Least number of a slot's events that have `needed` votes together; 0 if all have fewer.

    Events are voters, unless some were merged: those are the small ones, so the number can only
    be too low where it exceeds that of the voters with events of their own. It takes one pass over
    them for each event that is needed, which measured DAOs keep at two or three.
    """
    count = clock[BALLOT_COUNT, slot]
    reached = 0
    last_votes, last_place = 2**62, -1
    for taken in range(count):
        best, place = -1, -1
        for i in range(count):
            votes = event_votes(events[slot, i])
            after = votes < last_votes or (votes == last_votes and i > last_place)
            if after and votes > best:
                best, place = votes, i
        reached += best
        last_votes, last_place = best, place
        if reached >= needed:
            return taken + 1
    return 0


@kernel_function
def ballot_largest(clock: Int, events: Int, slot: int) -> int:
    """Votes of the largest event of a slot; 0 if it has none."""
    largest = 0
    for i in range(clock[BALLOT_COUNT, slot]):
        largest = max(largest, event_votes(events[slot, i]))
    return largest


@kernel_function
def ballot_gini(clock: Int, events: Int, slot: int) -> float:
    """Gini coefficient of a slot's events; 0 if it has none."""
    count = clock[BALLOT_COUNT, slot]
    votes = np.empty(count, dtype=np.int64)
    order = np.empty(count, dtype=np.int64)
    for i in range(count):
        votes[i] = event_votes(events[slot, i])
    return gini_of_amounts(votes, order)
