"""Proposals that members make on their own; called from compiled code.

Arrivals and drafts are functions of the lane's key, the step and the values in force, so under a
charter that only members change the whole path of the rules is fixed by the seed.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import poisson, uniform_pair

from .ballots import ARRIVALS_PER_STEP, NEVER, circumstances, forum_support, wanted_value
from .electorate_layout import (
    F_ARRIVAL_RATE,
    F_SMALLEST_CHANGE,
    F_TEMPERATURE_CHECK,
    I_ACTIVITY,
    I_ATTEMPTS,
    I_BY_WEIGHT,
    I_IDEALS,
    I_PARAMETERS,
    I_VOTERS,
    I_WEIGHTS,
)

# Result codes of `draw_proposal`.
PROPOSED, NOBODY_MAY_PROPOSE, NOTHING_AGREED = 0, 1, 2

# Streams 1001 to 1019 of an episode's key are the electorate's; see ballots.py.
STREAM_ARRIVALS, STREAM_DRAFT = 1006, 1007
LOOK_AHEAD_STEPS = 1024


@kernel_function
def arrivals(key: Any, step: int, floats: Float) -> int:
    """How many proposals members make at `step`: Poisson, cut at `ARRIVALS_PER_STEP`."""
    count = int(poisson(key, STREAM_ARRIVALS, step, 0, floats[F_ARRIVAL_RATE]))
    return min(count, ARRIVALS_PER_STEP)


@kernel_function
def next_arrival(key: Any, after: int, floats: Float) -> int:
    """First step from `after` on at which members propose, or at which to look again.

    In one loop it costs less than a draw in every step among other work.
    """
    if not floats[F_ARRIVAL_RATE] > 0.0:
        return NEVER
    step = after
    while step < after + LOOK_AHEAD_STEPS and arrivals(key, step, floats) == 0:
        step += 1
    return step


@kernel_function
def eligible_voters(threshold: int, ints: Int) -> int:
    """How many voters have at least `threshold` votes."""
    weights, order = ints[I_WEIGHTS], ints[I_BY_WEIGHT]
    low, high = 0, ints[I_VOTERS]
    while low < high:
        middle = (low + high) // 2
        if ints[weights + ints[order + middle]] >= threshold:
            low = middle + 1
        else:
            high = middle
    return low


@kernel_function
def draw_proposal(
    key: Any, number: int, step: int, threshold: int, values: Float, largest_changes: Float,
    proposable: Int, ints: Int, floats: Float,
) -> tuple[int, int, int, float]:  # fmt: skip
    """Who proposes what at `step`: (result code, voter, parameter, new value).

    A proposer is drawn by activity among those with `threshold` votes, and a parameter among the
    `proposable`; the new value goes from the old one towards the proposer's ideal, no further than
    the largest change. A draft that moves too little or fails the temperature check is dropped.

    Args:
        key, number, step: as in `draw_ballots`; number = proposal_number(step, 0 .. 3).
        threshold: votes needed to propose, base units.
        values: (parameters,) values in force, shares of each range.
        largest_changes: (parameters,) in the same unit.
        proposable: (parameters,) 1 where a proposal may be made now, else 0.
        ints, floats: the packed electorate.
    """
    candidates = eligible_voters(threshold, ints)
    open_parameters = 0
    for p in range(ints[I_PARAMETERS]):
        open_parameters += 1 if proposable[p] != 0 else 0
    activity = ints[I_ACTIVITY]
    if candidates == 0 or floats[activity + candidates - 1] <= 0.0:
        return NOBODY_MAY_PROPOSE, -1, -1, 0.0
    for attempt in range(ints[I_ATTEMPTS] if open_parameters > 0 else 0):
        who, which = uniform_pair(key, STREAM_DRAFT, number, attempt)
        aim = who * floats[activity + candidates - 1]
        low, high = 0, candidates - 1
        while low < high:
            middle = (low + high) // 2
            if floats[activity + middle] > aim:
                high = middle
            else:
                low = middle + 1
        voter = ints[ints[I_BY_WEIGHT] + low]
        left = min(int(which * open_parameters), open_parameters - 1)
        parameter = 0
        for p in range(ints[I_PARAMETERS]):
            if proposable[p] != 0:
                if left == 0:
                    parameter = p
                left -= 1
        old = values[parameter]
        shift = circumstances(key, step, parameter, ints, floats)
        wanted = wanted_value(floats[ints[I_IDEALS] + parameter * ints[I_VOTERS] + voter], shift)
        reach = largest_changes[parameter]
        new = min(max(wanted, old - reach, 0.0), old + reach, 1.0)
        if abs(new - old) < floats[F_SMALLEST_CHANGE]:
            continue
        check = floats[F_TEMPERATURE_CHECK]
        if check > 0.0:
            share = forum_support(key, number, step, parameter, old, new, 0.0, ints, floats)
            if share < check:
                continue
        return PROPOSED, voter, parameter, new
    return NOTHING_AGREED, -1, -1, 0.0
