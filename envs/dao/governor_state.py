"""Where a proposal stands: its state by the two clocks, its quorum, and when that changes next."""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Int

from .checkpoints import value_at
from .counting import (
    COUNT_CONVICTION,
    COUNT_OBJECTIONS,
    quorum_reached,
    vote_succeeded,
    votes_needed,
)
from .governor_layout import (
    ACTIVE,
    CANCELED,
    DEFEATED,
    EMPTY,
    EXECUTED,
    EXPIRED,
    G_COUNTING,
    G_GRACE_S,
    G_NUMERATORS,
    G_QUORUM_DENOMINATOR,
    G_STATIC_SUPPLY,
    G_SUPPORT_PPM,
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_FOR,
    P_ID,
    P_NEEDED,
    P_SNAPSHOT,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from .votes import past_supply

_UNREACHABLE = 2**62

NEVER = 2**62
"""A step that does not come."""


@kernel_function
def slot_of(proposals: Int, identity: int) -> int:
    """Slot of the proposal with this id, -1 where no slot holds it (any more)."""
    for slot in range(proposals.shape[0]):
        if proposals[slot, P_ID] == identity:
            return slot
    return -1


@inlined_function
def deadline_of(proposals: Int, slot: int) -> int:
    """Last step of voting; late quorum may have put it off."""
    end: int = proposals[slot, P_SNAPSHOT] + proposals[slot, P_DURATION]
    extended: int = proposals[slot, P_EXTENDED]
    return max(end, extended)


@inlined_function
def needed_votes(settings: Int, proposals: Int, votes: Int, step: int, slot: int) -> int:
    """Votes that the counting rule asks for, from supply and numerator at the snapshot.

    The snapshot must be past. Were either forgotten, more than anyone has would be needed.
    """
    if proposals[slot, P_NEEDED] < 0:
        snapshot = proposals[slot, P_SNAPSHOT]
        supply = past_supply(votes, snapshot, step)
        numerator = value_at(settings[G_NUMERATORS:], snapshot)
        if supply < 0 or numerator < 0:
            return _UNREACHABLE
        proposals[slot, P_NEEDED] = votes_needed(
            settings[G_COUNTING], supply + settings[G_STATIC_SUPPLY], numerator,
            settings[G_QUORUM_DENOMINATOR],
        )  # fmt: skip
    needed: int = proposals[slot, P_NEEDED]
    return needed


@kernel_function
def quorum_is_reached(settings: Int, proposals: Int, votes: Int, step: int, slot: int) -> bool:
    """Whether enough was cast, by the counting rule; the snapshot must be past."""
    return quorum_reached(
        settings[G_COUNTING], needed_votes(settings, proposals, votes, step, slot),
        proposals[slot, P_AGAINST], proposals[slot, P_FOR], proposals[slot, P_ABSTAIN],
    )  # fmt: skip


@kernel_function
def _vote_succeeded(settings: Int, proposals: Int, votes: Int, step: int, slot: int) -> bool:
    return vote_succeeded(
        settings[G_COUNTING], needed_votes(settings, proposals, votes, step, slot),
        proposals[slot, P_AGAINST], proposals[slot, P_FOR], settings[G_SUPPORT_PPM],
    )  # fmt: skip


@inlined_function
def ballot_state(settings: Int, proposals: Int, votes: Int, step: int, slot: int) -> int:
    """State without regard to the timelock: what was queued or has expired is `SUCCEEDED`."""
    if proposals[slot, P_ID] == 0:
        return EMPTY
    closed: int = proposals[slot, P_CLOSED]
    if closed != 0:
        return closed
    if proposals[slot, P_SNAPSHOT] >= step:
        return PENDING
    if deadline_of(proposals, slot) >= step:
        if settings[G_COUNTING] == COUNT_CONVICTION:
            carried = _vote_succeeded(settings, proposals, votes, step, slot)
            return SUCCEEDED if carried else ACTIVE
        # Objections stop a motion as soon as there are enough.
        if settings[G_COUNTING] != COUNT_OBJECTIONS:
            return ACTIVE
        stopped = not _vote_succeeded(settings, proposals, votes, step, slot)
        return DEFEATED if stopped else ACTIVE
    carried = quorum_is_reached(settings, proposals, votes, step, slot)
    carried = carried and _vote_succeeded(settings, proposals, votes, step, slot)
    return SUCCEEDED if carried else DEFEATED


@inlined_function
def state_of(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int, slot: int
) -> int:  # fmt: skip
    """State of the proposal in a slot (``Governor.state``), `EMPTY` where there is none."""
    state = ballot_state(settings, proposals, votes, step, slot)
    eta_s = proposals[slot, P_ETA_S]
    if state != SUCCEEDED or eta_s == 0:
        return state
    if settings[G_GRACE_S] > 0 and time_s >= eta_s + settings[G_GRACE_S]:
        return EXPIRED
    return QUEUED


@kernel_function
def free_slot(settings: Int, proposals: Int, votes: Int, step: int, time_s: int) -> int:
    """A slot that was never used, else that of the oldest proposal that has ended, else -1."""
    free = -1
    for slot in range(proposals.shape[0]):
        state = state_of(settings, proposals, votes, step, time_s, slot)
        if state == EMPTY:
            return slot
        ended = state in (CANCELED, DEFEATED, EXPIRED, EXECUTED)
        if ended and (free < 0 or proposals[slot, P_ID] < proposals[free, P_ID]):
            free = slot
    return free


@kernel_function
def next_change(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int, step_s: int, slot: int
) -> int:  # fmt: skip
    """First step after this one in which a proposal's state differs or it can be executed.

    Without votes, queueing, execution or cancelling in between; steps last `step_s` seconds. A lane
    that keeps the least of these over its slots need not look at them before.
    """
    state = state_of(settings, proposals, votes, step, time_s, slot)
    snapshot: int = proposals[slot, P_SNAPSHOT]
    if state == PENDING:
        return snapshot + 1
    if state == ACTIVE:
        return deadline_of(proposals, slot) + 1
    if state != QUEUED:
        return NEVER
    eta_s: int = proposals[slot, P_ETA_S]
    if eta_s > time_s:
        return step + (eta_s - time_s + step_s - 1) // step_s
    grace_s: int = settings[G_GRACE_S]
    return step + (eta_s + grace_s - time_s + step_s - 1) // step_s if grace_s > 0 else NEVER
