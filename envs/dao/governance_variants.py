"""What other governors do beyond counting: escrowed objections, conviction, members who leave.

Called from governance.py, whose arrays these are.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int

from .ballots import (
    AGAINST,
    BALLOT_COUNT,
    BALLOT_NEXT,
    BALLOT_READ,
    BALLOT_START,
    FOR,
    NEVER,
    SEVERAL,
    circumstances,
    event_offset,
    event_support,
    event_voter,
    wanted_value,
)
from .conviction import conviction_threshold
from .counting import PPM, share_of
from .electorate_layout import I_IDEALS, I_VOTERS, I_WEIGHTS
from .governance_columns import (
    A_LEAVING,
    A_LEFT,
    A_LEFT_VOTES,
    C_DECAY_PPM,
    C_LARGEST_SHARE_PPM,
    C_LEAVE_ABOVE_PPB,
    C_PARAMETERS,
    C_WEIGHT_PPM,
    LEFT_BITS,
    VALUE_SCALE,
)
from .governor_layout import (
    G_STATIC_SUPPLY,
    G_VETO_ESCROWED,
    P_ABSTAIN,
    P_FOR,
    P_TARGET,
    P_VALUE,
)
from .veto import VETO_RAGE_QUIT, move_veto, veto_state
from .votes import MAX_VOTES, total_supply

# --- a dynamic timelock: votes Against are escrowed while their proposal lives --------------------


@kernel_function
def escrow_objections(settings: Int, votes: Int, step: int, weight: int) -> None:
    """Votes Against go into escrow as they are cast."""
    supply = total_supply(votes) + settings[G_STATIC_SUPPLY]
    move_veto(settings, min(weight, supply - settings[G_VETO_ESCROWED]), supply, step)


@kernel_function
def release(settings: Int, votes: Int, step: int, weight: int) -> None:
    """Votes leave the escrow with the end of their proposal."""
    supply = total_supply(votes) + settings[G_STATIC_SUPPLY]
    move_veto(settings, -min(weight, settings[G_VETO_ESCROWED]), supply, step)


@kernel_function
def release_all(settings: Int, votes: Int, step: int) -> None:
    """At the end of the longest wait the dissenters take their votes out (rage quit)."""
    supply = total_supply(votes) + settings[G_STATIC_SUPPLY]
    if veto_state(settings, supply, step) == VETO_RAGE_QUIT:
        move_veto(settings, -settings[G_VETO_ESCROWED], supply, step)


# --- conviction -----------------------------------------------------------------------------------


@kernel_function
def conviction_needed(charter_ints: Int, settings: Int, change: float) -> int:
    """Conviction that carries a change of this share of the range (`conviction_threshold`)."""
    threshold = conviction_threshold(
        float(settings[G_STATIC_SUPPLY]), change, 1.0, charter_ints[C_DECAY_PPM] / PPM,
        charter_ints[C_LARGEST_SHARE_PPM] / PPM, charter_ints[C_WEIGHT_PPM] / PPM,
    )  # fmt: skip
    return int(threshold) if threshold < MAX_VOTES else MAX_VOTES


@kernel_function
def gather_conviction(charter_ints: Int, proposals: Int, slot: int) -> None:
    """One step of y <- a y + x, rounded down to whole units."""
    kept = share_of(proposals[slot, P_FOR], charter_ints[C_DECAY_PPM], PPM)[0]
    proposals[slot, P_FOR] = kept + proposals[slot, P_ABSTAIN]


# --- rage quit ------------------------------------------------------------------------------------


@kernel_function
def has_left(agenda: Int, voter: int) -> bool:
    """Whether a voter has left the DAO."""
    return bool((agenda[A_LEFT + voter // LEFT_BITS] >> (voter % LEFT_BITS)) & 1)


@kernel_function
def leave(
    key: Any, charter_ints: Int, electorate_ints: Int, electorate_floats: Float, settings: Int,
    proposals: Int, clock: Int, events: Int, agenda: Int, values: Float, charter_floats: Float,
    slot: int,
) -> None:  # fmt: skip
    """Who voted Against what waits in the grace period leaves if it is bad enough for them.

    Moloch v2: a member with a Yes vote on an unprocessed proposal stays. Small voters whose ballots
    were merged into one event have no name there and stay, too.
    """
    n = charter_ints[C_PARAMETERS]
    target = proposals[slot, P_TARGET]
    low, high = charter_floats[target], charter_floats[n + target]
    old = (values[target] - low) / (high - low)
    new = proposals[slot, P_VALUE] / VALUE_SCALE
    shift = circumstances(key, clock[BALLOT_START, slot], target, electorate_ints,
                          electorate_floats)  # fmt: skip
    ideals = electorate_ints[I_IDEALS] + target * electorate_ints[I_VOTERS]
    bearable = charter_ints[C_LEAVE_ABOVE_PPB] / VALUE_SCALE
    gone = False
    for i in range(clock[BALLOT_READ, slot]):
        voter = event_voter(events[slot, i])
        if event_support(events[slot, i]) != AGAINST or voter >= electorate_ints[I_VOTERS]:
            continue
        wanted = wanted_value(electorate_floats[ideals + voter], shift)
        loss = abs(new - wanted) - abs(old - wanted)
        if loss <= bearable or has_left(agenda, voter):
            continue
        if _voted_for_another(proposals, clock, events, slot, voter):
            continue
        weight = electorate_ints[electorate_ints[I_WEIGHTS] + voter]
        agenda[A_LEFT + voter // LEFT_BITS] |= 1 << (voter % LEFT_BITS)
        agenda[A_LEAVING] += weight
        agenda[A_LEFT_VOTES] += weight
        settings[G_STATIC_SUPPLY] -= weight
        gone = True
    if gone:
        for other in range(proposals.shape[0]):
            drop_departed(clock, events, other, agenda)


@kernel_function
def _voted_for_another(proposals: Int, clock: Int, events: Int, slot: int, voter: int) -> bool:
    for other in range(proposals.shape[0]):
        for i in range(clock[BALLOT_READ, other] if other != slot else 0):
            event = events[other, i]
            if event_voter(event) == voter and event_support(event) == FOR:
                return True
    return False


@kernel_function
def drop_departed(clock: Int, events: Int, slot: int, agenda: Int) -> None:
    """Take ballots that are still to come of members who left out of a slot."""
    read, count = clock[BALLOT_READ, slot], clock[BALLOT_COUNT, slot]
    kept = read
    for i in range(read, count):
        voter = event_voter(events[slot, i])
        if voter < SEVERAL - 1 and has_left(agenda, voter):
            continue
        events[slot, kept] = events[slot, i]
        kept += 1
    clock[BALLOT_COUNT, slot] = kept
    clock[BALLOT_NEXT, slot] = NEVER
    if kept > read:
        clock[BALLOT_NEXT, slot] = clock[BALLOT_START, slot] + event_offset(events[slot, read])
