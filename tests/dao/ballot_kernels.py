"""Compiled entries through which tests reach the electorate's kernels."""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.arrivals import arrivals, draw_proposal
from daogym.envs.dao.ballots import (
    add_ballot,
    circumstances,
    draw_ballots,
    forum_support,
    pending_ballots,
    pop_ballots,
)
from daogym.envs.dao.capture_metrics import ballot_largest, ballot_nakamoto, ballot_votes


@kernel_entry()
def draw(
    key: Any, number: int, start: int, period: int, parameter: int, old: float, new: float,
    appeal: float, ints: Int, floats: Float, clock: Int, events: Int, slot: int,
) -> int:  # fmt: skip
    """`draw_ballots`."""
    return draw_ballots(key, number, start, period, parameter, old, new, appeal, ints, floats,
                        clock, events, slot)  # fmt: skip


@kernel_entry()
def pop_until(clock: Int, events: Int, last: int, stride: int, out: Int) -> None:
    """Pop all slots at every `stride`-th step to `last`, as a step of an environment would.

    out (steps, slots, 4): Against, For, Abstain of the step, and what is pending after it.
    """
    for now in range(0, last + 1, stride):
        for slot in range(clock.shape[1]):
            pop_ballots(clock, events, slot, now, out[now, slot])
        for slot in range(clock.shape[1]):
            pending = np.zeros(3, dtype=np.int64)
            pending_ballots(clock, events, slot, pending)
            out[now, slot, 3] = pending.sum()


@kernel_entry()
def add_all(clock: Int, events: Int, added: Int) -> None:
    """Add events (n, 4) of offset, support, voter and votes to slot 0."""
    for i in range(len(added)):
        add_ballot(clock, events, 0, added[i, 0], added[i, 1], added[i, 2], added[i, 3])


@kernel_entry()
def all_circumstances(key: Any, parameter: int, ints: Int, floats: Float, out: Float) -> None:
    """Circumstances at steps 0 .. len(out) - 1."""
    for step in range(len(out)):
        out[step] = circumstances(key, step, parameter, ints, floats)


@kernel_entry()
def all_arrivals(key: Any, floats: Float, out: Int) -> None:
    """Arrivals at steps 0 .. len(out) - 1."""
    for step in range(len(out)):
        out[step] = arrivals(key, step, floats)


@kernel_entry()
def propose(
    key: Any, number: int, step: int, threshold: int, values: Float, largest_changes: Float,
    proposable: Int, ints: Int, floats: Float,
) -> tuple[int, int, int, float]:  # fmt: skip
    """`draw_proposal`."""
    return draw_proposal(
        key, number, step, threshold, values, largest_changes, proposable, ints, floats
    )


@kernel_entry()
def support_in_forum(
    key: Any, number: int, step: int, parameter: int, old: float, new: float, ints: Int,
    floats: Float,
) -> float:  # fmt: skip
    """`forum_support` without appeal."""
    return forum_support(key, number, step, parameter, old, new, 0.0, ints, floats)


@kernel_entry()
def measure(clock: Int, events: Int, needed: int, out: Int) -> None:
    """Votes, largest and Nakamoto coefficient of slot 0."""
    out[0] = ballot_votes(clock, events, 0)
    out[1] = ballot_largest(clock, events, 0)
    out[2] = ballot_nakamoto(clock, events, 0, needed)
