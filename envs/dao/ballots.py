"""Ballots of one proposal, drawn once at its snapshot and counted when they are due.

Called from compiled code. Every draw is a function of the lane's key, the proposal's number and
the member and of nothing else, so ballots depend on actions only through
what a proposal says and when it is made. Number proposals with `proposal_number`, never with a
counter, or one more proposal would change the votes on all later ones.

The ballots of a lane are two int64 arrays. ``clock`` (BALLOT_ROWS, slots) holds for each slot

    BALLOT_NEXT     absolute step of the next event, NEVER if none is left
    BALLOT_START    absolute step of the snapshot; members vote in start + 1 .. start + period
    BALLOT_READ     how many events have been counted
    BALLOT_COUNT    how many events there are

so that what a step reads when nothing is due lies side by side. ``events`` (slots, capacity + 1)
holds each slot's events sorted by step; the last place is for the next one to be merged. An event
is step offset << 47 | support << 45 | voter << 31 | votes: 16, 2, 14 and 31 bits.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import exp, log
from daogym.envs.core.random import normal, normal_quantile, uniform, uniform_pair

from .electorate_layout import (
    F_ABSTAIN_BAND,
    F_CIRCUMSTANCES_SPREAD,
    F_EARLY_SHARE,
    F_EARLY_WIDTH,
    F_LATE_SHARE,
    F_LATE_WIDTH,
    F_VOTE_NOISE,
    I_CIRCUMSTANCES_STEPS,
    I_COUNT_STEPS,
    I_DELEGATES,
    I_IDEALS,
    I_PARAMETERS,
    I_PARTICIPATION,
    I_TIER_BEGINS,
    I_TIER_INTEREST,
    I_TIER_PARTICIPATION,
    I_TIERS,
    I_VOTERS,
    I_WEIGHTS,
)

AGAINST, FOR, ABSTAIN = 0, 1, 2

BALLOT_NEXT, BALLOT_START, BALLOT_READ, BALLOT_COUNT = range(4)
BALLOT_ROWS = 4
NEVER = 2**62

STEP_SHIFT, SUPPORT_SHIFT, MEMBER_SHIFT = 47, 45, 31
VOTES_MASK, MEMBER_MASK, SUPPORT_MASK = 2**31 - 1, 2**14 - 1, 3
SEVERAL = MEMBER_MASK
"""The voter of an event that stands for several."""
LONGEST_PERIOD = 2**16 - 1
SMALLEST_CAPACITY = 3
"""With four events, two have equal support and can be merged."""

# Result codes of `draw_ballots` that are not a number of voters.
PERIOD_REFUSED, CONTENT_REFUSED = -1, -2

OTHER_CONTENT = -1
"""Number of the parameter of a proposal that changes none; its appeal alone decides."""

# Streams 1001 to 1019 of an episode's key are the electorate's; arrivals.py has two of them.
STREAM_INTEREST, STREAM_TURNOUT, STREAM_JUMP, STREAM_VOTE = 1001, 1002, 1003, 1004
STREAM_CIRCUMSTANCES = 1005

PLACES_PER_STEP = 8
LAST_STEP = 2**29 - 1
ARRIVALS_PER_STEP = 4
"""Places 0 to 3 of a step are for arrivals, 4 to 7 for proposals of accounts."""

DELEGATES_TIER = -1

_TWO_MINUS_54 = 1.0 / 18014398509481984.0
_SMALLEST_PARTICIPATION = 1e-9


@kernel_function
def proposal_number(step: int, place: int) -> int:
    """Number of a proposal: made at `step` (to `LAST_STEP`), at this place (0 .. 7) of the step."""
    return step * PLACES_PER_STEP + place


# --- the events of a slot -------------------------------------------------------------------------


@kernel_function
def pack_event(offset: int, support: int, voter: int, votes: int) -> int:
    """One event as an int64."""
    return (offset << STEP_SHIFT) | (support << SUPPORT_SHIFT) | (voter << MEMBER_SHIFT) | votes


@inlined_function
def event_offset(event: int) -> int:
    """Steps after the snapshot."""
    return event >> STEP_SHIFT


@inlined_function
def event_support(event: int) -> int:
    """0 Against, 1 For, 2 Abstain."""
    return (event >> SUPPORT_SHIFT) & SUPPORT_MASK


@kernel_function
def event_voter(event: int) -> int:
    """Number of the voter, `SEVERAL` if the event stands for several."""
    return (event >> MEMBER_SHIFT) & MEMBER_MASK


@inlined_function
def event_votes(event: int) -> int:
    """Votes in base units."""
    return event & VOTES_MASK


@kernel_function
def clear_ballots(clock: Int, slot: int) -> None:
    """Leave a slot without events."""
    clock[BALLOT_NEXT, slot] = NEVER
    clock[BALLOT_START, slot] = 0
    clock[BALLOT_READ, slot] = 0
    clock[BALLOT_COUNT, slot] = 0


@kernel_function
def add_ballot(
    clock: Int, events: Int, slot: int, offset: int, support: int, voter: int, votes: int
) -> None:
    """Insert an event by step; where there are too many, then merge two of equal support.

    The pair is the one, among neighbours of equal support, whose merging moves the fewest votes by
    the fewest steps (votes of the lighter x (steps apart + 1)); both then count at the step of the
    heavier. So totals by support stay exact, and it is the small ones that move.
    """
    count = clock[BALLOT_COUNT, slot]
    i = count
    while i > 0 and event_offset(events[slot, i - 1]) > offset:
        events[slot, i] = events[slot, i - 1]
        i -= 1
    events[slot, i] = pack_event(offset, support, voter, votes)
    if count + 1 < events.shape[1]:
        clock[BALLOT_COUNT, slot] = count + 1
    else:
        _merge_cheapest(events, slot)


@kernel_function
def _merge_cheapest(events: Int, slot: int) -> None:
    """Merge two events of a slot that fills every place."""
    places = events.shape[1]
    last_against, last_for, last_abstain = -1, -1, -1
    first, second, cheapest = -1, -1, NEVER
    for i in range(places):
        event = events[slot, i]
        support = event_support(event)
        before = last_against
        if support == FOR:
            before = last_for
            last_for = i
        elif support == ABSTAIN:
            before = last_abstain
            last_abstain = i
        else:
            last_against = i
        if before >= 0:
            other = events[slot, before]
            apart = event_offset(event) - event_offset(other)
            cost = min(event_votes(event), event_votes(other)) * (apart + 1)
            if cost < cheapest:
                first, second, cheapest = before, i, cost
    kept, gone = first, second
    if event_votes(events[slot, second]) > event_votes(events[slot, first]):
        kept, gone = second, first
    votes = event_votes(events[slot, first]) + event_votes(events[slot, second])
    event = events[slot, kept]
    events[slot, kept] = pack_event(event_offset(event), event_support(event), SEVERAL, votes)
    for i in range(gone, places - 1):
        events[slot, i] = events[slot, i + 1]


@inlined_function
def pop_ballots(clock: Int, events: Int, slot: int, now: int, due: Int) -> int:
    """Add to `due` (Against, For, Abstain) a slot's votes up to step `now`; how many events.

    Each event is counted once. A lane that keeps the least of `BALLOT_NEXT` need not ask before.
    """
    if now < clock[BALLOT_NEXT, slot]:
        return 0
    start, count = clock[BALLOT_START, slot], clock[BALLOT_COUNT, slot]
    read: int = clock[BALLOT_READ, slot]
    begin = read
    while read < count:
        event = events[slot, read]
        if start + event_offset(event) > now:
            break
        due[event_support(event)] += event_votes(event)
        read += 1
    clock[BALLOT_READ, slot] = read
    clock[BALLOT_NEXT, slot] = NEVER
    if read < count:
        clock[BALLOT_NEXT, slot] = start + event_offset(events[slot, read])
    return read - begin


@kernel_function
def pending_ballots(clock: Int, events: Int, slot: int, pending: Int) -> None:
    """Add to `pending` (Against, For, Abstain) a slot's votes still to come, without counting."""
    for i in range(clock[BALLOT_READ, slot], clock[BALLOT_COUNT, slot]):
        event = events[slot, i]
        pending[event_support(event)] += event_votes(event)


# --- opinions -------------------------------------------------------------------------------------


@kernel_function
def circumstances(key: Any, step: int, parameter: int, ints: Int, floats: Float) -> float:
    """What events add to everybody's ideal value of a parameter at `step`, a share of its range."""
    spread = floats[F_CIRCUMSTANCES_SPREAD]
    if spread == 0.0 or parameter < 0:
        return 0.0
    length = ints[I_CIRCUMSTANCES_STEPS]
    knot = step // length
    later = (step - knot * length) / length
    shift = 0.0
    for place in range(2):
        nearness = later if place == 1 else 1.0 - later
        shift += spread * nearness * normal(key, STREAM_CIRCUMSTANCES, knot + place, parameter)
    return shift


@kernel_function
def wanted_value(ideal: float, shift: float) -> float:
    """The value of a parameter that a member wants now, in [0, 1]."""
    return min(max(ideal + shift, 0.0), 1.0)


@kernel_function
def _support(
    ideal: float, shift: float, parameter: int, old: float, new: float, appeal: float,
    chance: float, floats: Float,
) -> int:  # fmt: skip
    """A member's vote: the gain in distance to the ideal, the common appeal and own error."""
    gain = appeal
    if parameter >= 0:
        wanted = wanted_value(ideal, shift)
        gain += abs(old - wanted) - abs(new - wanted)
    noise = floats[F_VOTE_NOISE]
    if noise > 0.0:
        gain += noise * normal_quantile(chance + _TWO_MINUS_54)
    if abs(gain) <= floats[F_ABSTAIN_BAND]:
        return ABSTAIN
    return FOR if gain > 0.0 else AGAINST


@kernel_function
def _offset(chance: float, period: int, floats: Float) -> int:
    """Step after the snapshot, 1 .. period: early burst, level middle or late rush."""
    early, late = floats[F_EARLY_SHARE], floats[F_LATE_SHARE]
    if chance < early:
        place = chance / early
        when = floats[F_EARLY_WIDTH] * place * place
    elif chance >= 1.0 - late:
        place = (1.0 - chance) / late
        when = 1.0 - floats[F_LATE_WIDTH] * place * place
    else:
        when = (chance - early) / (1.0 - early - late)
    return min(1 + int(when * period), period)


@kernel_function
def _counted_at(offset: int, start: int, period: int, ints: Int) -> int:
    """The count, in steps after the snapshot, that a ballot cast at `offset` waits for."""
    between = ints[I_COUNT_STEPS]
    ends = (start + offset + between - 1) // between * between
    return min(int(ends) - start, period)


@kernel_function
def forum_support(
    key: Any, number: int, step: int, parameter: int, old: float, new: float, appeal: float,
    ints: Int, floats: Float,
) -> float:  # fmt: skip
    """Share For of the delegates' expected votes For and Against: a temperature check.

    A delegate errs about a proposal's gain as it will in the vote on the same number.
    """
    shift = circumstances(key, step, parameter, ints, floats)
    ideals = ints[I_IDEALS] + max(parameter, 0) * ints[I_VOTERS]
    in_favour, decided = 0.0, 0.0
    for k in range(ints[I_DELEGATES]):
        chance, _ = uniform_pair(key, STREAM_VOTE, number, k)
        support = _support(floats[ideals + k], shift, parameter, old, new, appeal, chance, floats)
        expected = ints[ints[I_WEIGHTS] + k] * floats[ints[I_PARTICIPATION] + k]
        if support != ABSTAIN:
            decided += expected
        if support == FOR:
            in_favour += expected
    return in_favour / decided if decided > 0.0 else 0.0


# --- drawing the ballots of a proposal ------------------------------------------------------------


@kernel_function
def draw_ballots(
    key: Any, number: int, start: int, period: int, parameter: int, old: float, new: float,
    appeal: float, ints: Int, floats: Float, clock: Int, events: Int, slot: int,
) -> int:  # fmt: skip
    """Draw who votes what and when on a proposal; call it once, at the snapshot.

    Delegates are drawn one by one. Independent voters are found by jumps of geometric length from
    one who votes to the next, so the cost follows the voters and not the holders.

    Args:
        key: the episode's key (uint64).
        number: the proposal's `proposal_number`, below 2**32.
        start: step of the snapshot, not below 0.
        period: voting period in steps, 1 to `LONGEST_PERIOD`.
        parameter: number of the governed parameter, or `OTHER_CONTENT`.
        old, new: its value now and as proposed, shares of its range.
        appeal: gain that everybody sees beside it, in the same unit: below 0 for harmful content.
        ints, floats: the packed electorate.
        clock, events, slot: the lane's ballots and which slot to overwrite.

    Returns:
        Number of voters, or PERIOD_REFUSED or CONTENT_REFUSED with the slot left empty.
    """
    clear_ballots(clock, slot)
    if period < 1 or period > LONGEST_PERIOD or start < 0:
        return PERIOD_REFUSED
    finite = old - old == 0.0 and new - new == 0.0 and appeal - appeal == 0.0
    if parameter < OTHER_CONTENT or parameter >= ints[I_PARAMETERS] or not finite:
        return CONTENT_REFUSED
    clock[BALLOT_START, slot] = start
    shift = circumstances(key, start, parameter, ints, floats)
    ideals = ints[I_IDEALS] + max(parameter, 0) * ints[I_VOTERS]
    interest = normal(key, STREAM_INTEREST, number, 0)
    jump, voters = 0, 0
    for tier in range(DELEGATES_TIER, ints[I_TIERS]):
        k, end, chance, per_log = 0, ints[I_DELEGATES], 1.0, 0.0
        if tier != DELEGATES_TIER:
            k = ints[ints[I_TIER_BEGINS] + tier]
            end = ints[ints[I_TIER_BEGINS] + tier + 1]
            spread = floats[ints[I_TIER_INTEREST] + tier]
            chance = floats[ints[I_TIER_PARTICIPATION] + tier]
            if spread > 0.0:
                chance *= exp(spread * interest)
            if chance < _SMALLEST_PARTICIPATION:
                continue
            per_log = 1.0 / log(1.0 - min(chance, 1.0))
        while True:
            if tier == DELEGATES_TIER:
                while k < end and not _delegate_votes(key, number, k, ints, floats):
                    k += 1
            else:
                # whole part of log(u) / log(1 - p): how many stay away before the next who votes
                absent = log(1.0 - uniform(key, STREAM_JUMP, number, jump)) * per_log
                k = k + int(absent) if absent < end - k else end
                jump += 1
            if k >= end:
                break
            error, when = uniform_pair(key, STREAM_VOTE, number, k)
            support = _support(floats[ideals + k], shift, parameter, old, new, appeal, error,
                               floats)  # fmt: skip
            offset = _counted_at(_offset(when, period, floats), start, period, ints)
            add_ballot(clock, events, slot, offset, support, k, ints[ints[I_WEIGHTS] + k])
            voters += 1
            k += 1
    if voters > 0:
        clock[BALLOT_NEXT, slot] = start + event_offset(events[slot, 0])
    return voters


@kernel_function
def _delegate_votes(key: Any, number: int, k: int, ints: Int, floats: Float) -> bool:
    """Whether delegate k comes to vote."""
    votes: bool = uniform(key, STREAM_TURNOUT, number, k) < floats[ints[I_PARTICIPATION] + k]
    return votes
