"""What the votes of a lane lead to: votes open, changes act, a guardian stops them, proposals end.

Called from governance.py, whose arrays these are.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import integer

from .ballots import (
    BALLOT_COUNT,
    BALLOT_NEXT,
    BALLOT_READ,
    FOR,
    add_ballot,
    draw_ballots,
    event_offset,
)
from .capture_metrics import ballot_gini, ballot_nakamoto, ballot_votes
from .counting import COUNT_CONVICTION, PPM, quorum_reached, vote_succeeded
from .governance_columns import (
    A_ATTACK_AT,
    A_ATTACK_LOSS_PPM,
    A_BONDS_BACK,
    A_BONDS_LOST,
    A_CAPTURED,
    A_CAPTURED_SINCE,
    A_CAPTURED_STEPS,
    A_CHANGES,
    A_DECIDED,
    A_GINI_PPM,
    A_HEADER,
    A_LEAVING,
    A_LEFT_VOTES,
    A_LOSS_CENTS,
    A_NAKAMOTO,
    A_NEXT_STEP,
    A_OWN_LOST,
    A_OWN_WON,
    A_STEP,
    A_TAKING_PPM,
    A_TURNOUT_PPM,
    A_VETOES,
    C_BLOCKS,
    C_CAPTURED_BLOCK,
    C_EPISODE_STEPS,
    C_HEADER,
    C_KEEP_HIGH_BLOCK,
    C_KEEP_LOW_BLOCK,
    C_LEAVE_ABOVE_PPB,
    C_OPERATOR_VOTES,
    C_PARAMETERS,
    C_PATHS,
    C_REACTION,
    FURTHER_BOUND,
    NOT_CAPTURED,
    OPERATOR,
    OPERATOR_VOTER,
    VALUE_SCALE,
)
from .governance_variants import conviction_needed, drop_departed, release
from .governor_layout import (
    ACTIVE,
    CANCELED,
    EXECUTED,
    G_COUNTING,
    G_MIN_DELAY_S,
    G_STATIC_SUPPLY,
    G_SUPPORT_PPM,
    G_TIMELOCK,
    G_VETO_MAX_S,
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_DURATION,
    P_ETA_S,
    P_FOR,
    P_ID,
    P_NEEDED,
    P_NOTE,
    P_PROPOSER,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from .governor_state import needed_votes, state_of
from .votes import total_supply

_NEVER = 2**62
STREAM_ATTACK = 1010
"""Streams 1001 to 1019 of an episode's key are the electorate's and the governor's."""


@kernel_function
def begin_account(agenda: Int) -> None:
    """An episode's counts begin here; what is under way goes on."""
    for column in (A_BONDS_BACK, A_BONDS_LOST, A_OWN_WON, A_OWN_LOST, A_VETOES, A_CHANGES,
                   A_DECIDED, A_TURNOUT_PPM, A_NAKAMOTO, A_GINI_PPM, A_CAPTURED_STEPS,
                   A_LOSS_CENTS, A_LEFT_VOTES, A_LEAVING):  # fmt: skip
        agenda[column] = 0
    agenda[A_CAPTURED_SINCE] = agenda[A_STEP]


@kernel_function
def draw_attack(key: Any, charter_ints: Int, agenda: Int) -> None:
    """Which path of a stress charter this episode follows (`charter_stress`)."""
    paths = charter_ints[C_PATHS]
    if paths == 0:
        return
    path = integer(key, STREAM_ATTACK, 0, 0, paths)
    place = C_HEADER + C_BLOCKS * charter_ints[C_PARAMETERS] + 2 * path
    moment = charter_ints[place]
    if moment >= 0:
        begins = integer(key, STREAM_ATTACK, 0, 1, max(charter_ints[C_EPISODE_STEPS] // 3, 1))
        lasts = charter_ints[C_EPISODE_STEPS] * 2 // 3
        agenda[A_ATTACK_AT] = agenda[A_STEP] + begins + moment * lasts // PPM
        agenda[A_ATTACK_LOSS_PPM] = charter_ints[place + 1]
        agenda[A_NEXT_STEP] = min(agenda[A_NEXT_STEP], agenda[A_ATTACK_AT])


@kernel_function
def strike(
    step: int, charter_ints: Int, charter_floats: Float, proposals: Int, agenda: Int, values: Float
) -> None:
    """The attack takes effect: captured values are in force, the treasury is about to lose.

    Whoever holds a parameter also drops what is being voted on about it; members may propose anew.
    """
    n = charter_ints[C_PARAMETERS]
    for p in range(n):
        if not is_captured_by_an_attack(charter_ints, p):
            continue
        values[p] = captured_value(charter_ints, charter_floats, values[p], p)
        _changed(step, agenda, p, True)
        for slot in range(proposals.shape[0]):
            about = proposals[slot, P_NOTE] > 0 and proposals[slot, P_TARGET] == p
            if about and proposals[slot, P_CLOSED] == 0:
                proposals[slot, P_CLOSED] = CANCELED
    agenda[A_TAKING_PPM] = agenda[A_ATTACK_LOSS_PPM]


@kernel_function
def captured_value(
    charter_ints: Int, charter_floats: Float, value: float, parameter: int
) -> float:  # fmt: skip
    """What a parameter becomes that an attack takes while `value` is in force."""
    n = charter_ints[C_PARAMETERS]
    parts = charter_ints[C_HEADER + C_CAPTURED_BLOCK * n + parameter]
    low, high = charter_floats[parameter], charter_floats[n + parameter]
    taken: float = low + parts / VALUE_SCALE * (high - low)
    if parts == FURTHER_BOUND:
        taken = low if value - low > high - value else high
    return taken


@kernel_function
def is_captured_by_an_attack(charter_ints: Int, parameter: int) -> bool:
    """Whether the attack of a stress charter takes the parameter."""
    place = C_HEADER + C_CAPTURED_BLOCK * charter_ints[C_PARAMETERS] + parameter
    return bool(charter_ints[place] != NOT_CAPTURED)


@kernel_function
def _changed(step: int, agenda: Int, parameter: int, captured: bool) -> None:
    """Note a change of a parameter, and whether it is captured from now on."""
    agenda[A_CHANGES] += 1
    agenda[A_HEADER + parameter] = step
    bit = 1 << parameter
    if ((agenda[A_CAPTURED] & bit) != 0) != captured:
        agenda[A_CAPTURED_STEPS] += captured_now(agenda) * (step + 1 - agenda[A_CAPTURED_SINCE])
        agenda[A_CAPTURED_SINCE] = step + 1
        agenda[A_CAPTURED] ^= bit


@kernel_function
def captured_now(agenda: Int) -> int:
    """How many parameters are captured."""
    mask, count = agenda[A_CAPTURED], 0
    while mask != 0:
        mask &= mask - 1
        count += 1
    return count


@kernel_function
def captured_steps(agenda: Int) -> int:
    """Steps of this episode, summed over parameters, in which a captured value was in force."""
    running = captured_now(agenda) * (agenda[A_STEP] - agenda[A_CAPTURED_SINCE])
    return int(agenda[A_CAPTURED_STEPS] + running)


@kernel_function
def proposed_value(charter_ints: Int, charter_floats: Float, proposals: Int, slot: int) -> float:
    """The value that the proposal in a slot would set, in the parameter's own unit."""
    n = charter_ints[C_PARAMETERS]
    target = proposals[slot, P_TARGET]
    low, high = charter_floats[target], charter_floats[n + target]
    value: float = low + proposals[slot, P_VALUE] / VALUE_SCALE * (high - low)
    return value


@kernel_function
def open_vote(
    key: Any, step: int, charter_ints: Int, charter_floats: Float, electorate_ints: Int,
    electorate_floats: Float, settings: Int, proposals: Int, clock: Int, events: Int, agenda: Int,
    values: Float, slot: int,
) -> None:  # fmt: skip
    """The snapshot of a proposal: the members' ballots are drawn, its proposer's are added."""
    n = charter_ints[C_PARAMETERS]
    target = proposals[slot, P_TARGET]
    low, high = charter_floats[target], charter_floats[n + target]
    old = (values[target] - low) / (high - low)
    new = proposals[slot, P_VALUE] / VALUE_SCALE
    draw_ballots(
        key, proposals[slot, P_ID] - 1, step, proposals[slot, P_DURATION], target, old, new, 0.0,
        electorate_ints, electorate_floats, clock, events, slot,
    )  # fmt: skip
    if charter_ints[C_LEAVE_ABOVE_PPB] >= 0:
        drop_departed(clock, events, slot, agenda)
    if proposals[slot, P_PROPOSER] == OPERATOR and charter_ints[C_OPERATOR_VOTES] > 0:
        add_ballot(clock, events, slot, 1, FOR, OPERATOR_VOTER, charter_ints[C_OPERATOR_VOTES])
        clock[BALLOT_NEXT, slot] = step + event_offset(events[slot, 0])
    if settings[G_COUNTING] == COUNT_CONVICTION:
        proposals[slot, P_NEEDED] = conviction_needed(charter_ints, settings, abs(new - old))


@kernel_function
def guardian_acts_at(
    charter_ints: Int, settings: Int, proposals: Int, slot: int, state: int
) -> int:  # fmt: skip
    """Step at which the guardian stops the proposal in a slot, a far one where it does not."""
    reaction = charter_ints[C_REACTION]
    if reaction < 0 or state not in (ACTIVE, SUCCEEDED, QUEUED):
        return _NEVER
    n = charter_ints[C_PARAMETERS]
    target, value = proposals[slot, P_TARGET], proposals[slot, P_VALUE]
    low = charter_ints[C_HEADER + C_KEEP_LOW_BLOCK * n + target]
    high = charter_ints[C_HEADER + C_KEEP_HIGH_BLOCK * n + target]
    if low <= value <= high:
        return _NEVER
    if settings[G_TIMELOCK] == 0:
        return int(proposals[slot, P_SNAPSHOT] + reaction)
    if state != QUEUED:
        return _NEVER
    return int(proposals[slot, P_ETA_S] - settings[G_MIN_DELAY_S] + reaction)


@kernel_function
def enact(
    step: int, charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float, slot: int,
) -> None:  # fmt: skip
    """An executed proposal's value acts; it is captured where its proposer alone carried it."""
    target = proposals[slot, P_TARGET]
    values[target] = proposed_value(charter_ints, charter_floats, proposals, slot)
    captured = proposals[slot, P_PROPOSER] == OPERATOR and carried_by_its_proposer(
        step, charter_ints, settings, proposals, votes, slot
    )
    _changed(step, agenda, target, captured)


@kernel_function
def carried_by_its_proposer(
    step: int, charter_ints: Int, settings: Int, proposals: Int, votes: Int, slot: int
) -> bool:
    """Whether the operator's proposal would have failed without the operator's own votes."""
    own = charter_ints[C_OPERATOR_VOTES]
    counting = settings[G_COUNTING]
    if counting == COUNT_CONVICTION:
        # Conviction is proportional to what was staked, apart from when.
        return bool(2 * own > proposals[slot, P_ABSTAIN])
    needed = needed_votes(settings, proposals, votes, step, slot)
    against, abstain = proposals[slot, P_AGAINST], proposals[slot, P_ABSTAIN]
    others = max(proposals[slot, P_FOR] - own, 0)
    carried = quorum_reached(counting, needed, against, others, abstain)
    carried = carried and vote_succeeded(counting, needed, against, others, settings[G_SUPPORT_PPM])
    return bool(not carried)


@kernel_function
def close_ended(
    step: int, charter_ints: Int, electorate_ints: Int, settings: Int, proposals: Int, votes: Int,
    clock: Int, events: Int, agenda: Int,
) -> None:  # fmt: skip
    """Note the end of proposals, once: bonds fall due, escrowed votes leave, votes are measured.

    Before anybody proposes in the same step, since the slot of an ended proposal may be reused.
    """
    for slot in range(proposals.shape[0]):
        note = proposals[slot, P_NOTE]
        if note == 0:
            continue
        state = state_of(settings, proposals, votes, step, step, slot)
        if state in (PENDING, ACTIVE, SUCCEEDED, QUEUED):
            continue
        proposals[slot, P_NOTE] = 0
        if proposals[slot, P_PROPOSER] == OPERATOR:
            won = state == EXECUTED
            agenda[A_BONDS_BACK if won else A_BONDS_LOST] += note - 1
            agenda[A_OWN_WON if won else A_OWN_LOST] += 1
        if settings[G_VETO_MAX_S] > 0:
            release(settings, votes, step, proposals[slot, P_AGAINST])
        # Ballots still to come are not cast.
        clock[BALLOT_NEXT, slot] = _NEVER
        clock[BALLOT_COUNT, slot] = clock[BALLOT_READ, slot]
        _measure(settings, proposals, votes, clock, events, agenda, slot)


@kernel_function
def _measure(
    settings: Int, proposals: Int, votes: Int, clock: Int, events: Int, agenda: Int, slot: int
) -> None:
    """Turnout and concentration of the ballots on a proposal that ends."""
    if clock[BALLOT_COUNT, slot] == 0:
        return
    cast = ballot_votes(clock, events, slot)
    supply = total_supply(votes) + settings[G_STATIC_SUPPLY]
    agenda[A_DECIDED] += 1
    agenda[A_TURNOUT_PPM] += cast * PPM // supply
    agenda[A_NAKAMOTO] += ballot_nakamoto(clock, events, slot, cast // 2 + 1)
    agenda[A_GINI_PPM] += round(ballot_gini(clock, events, slot) * PPM)
