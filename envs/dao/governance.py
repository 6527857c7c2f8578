"""A lane's governance, step by step: members propose, vote and change governed parameters.

Called from compiled code. The governor is governor.py's, the members are those of ballots.py and
arrivals.py, what follows from their votes is in governance_events.py and governance_variants.py.
All of it is a function of the episode's key and of the charter's own state, so under a voted
charter the path of the rules is fixed by the seed; under an agentic one the operator acts on it,
too (`operator_proposals`), and under a steward it is a function of the actions alone (`steward`).

Step and time are one clock: a step counts as a "second" of the timelock. Arrays of a lane (shapes
in `governance_columns.state_sizes`): ``settings``, ``proposals`` and ``votes`` of the governor,
``clock`` and ``events`` of the ballots, ``values`` (parameters,) in force in their own units, and
``agenda``: the governor's own clock (steps done), the next steps at which a proposal moves on, a
ballot is due and members propose, accounts of the episode, and the step of each parameter's last
change.

``P_NOTE`` of a proposal is 0 once its end was noted, else 1 + the bond that stands for it, cents.
An adversary's proposals have 0 all the time: they are its own game's (`adversary_lane`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int

from .arrivals import PROPOSED, arrivals, draw_proposal, next_arrival
from .ballots import AGAINST, BALLOT_NEXT, clear_ballots, pop_ballots, proposal_number
from .counting import COUNT_CONVICTION, COUNT_OBJECTIONS
from .electorate_layout import I_WEIGHTS
from .governance_columns import (
    A_ATTACK_AT,
    A_HEADER,
    A_NEXT_ARRIVAL,
    A_NEXT_BALLOT,
    A_NEXT_STEP,
    A_STEP,
    A_VETOES,
    C_EARLIER_STEPS,
    C_HEADER,
    C_LEAVE_ABOVE_PPB,
    C_PARAMETERS,
    GUARDIAN,
    VALUE_SCALE,
)
from .governance_events import (
    begin_account,
    close_ended,
    draw_attack,
    enact,
    guardian_acts_at,
    open_vote,
    strike,
)
from .governance_events import proposed_value as proposed_value
from .governance_variants import escrow_objections, gather_conviction, has_left, leave, release_all
from .governor import begin_governor, cancel, count_weight, execute, propose_with, queue
from .governor_layout import (
    ACTIVE,
    G_COUNTING,
    G_PROPOSAL_THRESHOLD,
    G_TIMELOCK,
    G_VETO_MAX_S,
    P_ETA_S,
    P_ID,
    P_NOTE,
    P_SNAPSHOT,
    P_TARGET,
    PAYLOAD_CALL,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from .governor_state import deadline_of, state_of
from .results import DONE
from .votes import begin_votes

_NEVER = 2**62
ALL_CHANGED = 2**62
"""In the answer of `advance_governance`: more than tallies may have changed."""


@kernel_function
def begin_governance(
    charter_ints: Int, rules: Int, settings: Int, proposals: Int, votes: Int, clock: Int,
    agenda: Int,
) -> None:  # fmt: skip
    """No proposals; every parameter may be changed at once. The caller sets the values."""
    begin_governor(settings, proposals, rules, 0)
    begin_votes(votes)
    for slot in range(proposals.shape[0]):
        clear_ballots(clock, slot)
    agenda[:] = 0
    agenda[A_NEXT_STEP] = _NEVER
    agenda[A_NEXT_BALLOT] = _NEVER
    agenda[A_ATTACK_AT] = _NEVER
    for p in range(charter_ints[C_PARAMETERS]):
        agenda[A_HEADER + p] = -_NEVER


@kernel_function
def pass_earlier_steps(
    key: Any, charter_ints: Int, charter_floats: Float, electorate_ints: Int,
    electorate_floats: Float, settings: Int, proposals: Int, votes: Int, clock: Int, events: Int,
    agenda: Int, values: Float,
) -> None:  # fmt: skip
    """As many steps as two cycles take: episodes begin amid proposals."""
    earlier = charter_ints[C_EARLIER_STEPS]
    while agenda[A_STEP] < earlier:
        following = min(agenda[A_NEXT_STEP], agenda[A_NEXT_BALLOT], agenda[A_NEXT_ARRIVAL])
        if following > agenda[A_STEP]:
            agenda[A_STEP] = min(following, earlier)
            continue
        advance_governance(
            key, charter_ints, charter_floats, electorate_ints, electorate_floats, settings,
            proposals, votes, clock, events, agenda, values,
        )  # fmt: skip
    begin_account(agenda)
    draw_attack(key, charter_ints, agenda)


@kernel_function
def live_slot(
    settings: Int, proposals: Int, votes: Int, step: int, parameter: int
) -> int:  # fmt: skip
    """Slot of the proposal on a parameter that is pending, in the vote or queued, else -1."""
    for slot in range(proposals.shape[0]):
        if proposals[slot, P_ID] != 0 and proposals[slot, P_TARGET] == parameter:
            state = state_of(settings, proposals, votes, step, step, slot)
            if state in (PENDING, ACTIVE, SUCCEEDED, QUEUED):
                return slot
    return -1


@kernel_function
def advance_governance(
    key: Any, charter_ints: Int, charter_floats: Float, electorate_ints: Int,
    electorate_floats: Float, settings: Int, proposals: Int, votes: Int, clock: Int, events: Int,
    agenda: Int, values: Float,
) -> int:  # fmt: skip
    """One step of the governor's clock: ballots are counted, proposals move on, members propose.

    Returns:
        0 if nothing of that happened: every state, tally and value is what it was. Else bit s where
        ballots were counted on the proposal in slot s, which change its tallies and may put off its
        deadline, and `ALL_CHANGED` where anything else may have changed. What changed is in force
        from the next step on.
    """
    step = agenda[A_STEP]
    agenda[A_STEP] = step + 1
    changed = 0
    if step >= agenda[A_NEXT_BALLOT]:
        changed = _count_ballots(step, settings, proposals, votes, clock, events)
        if _ballots_decide(settings):
            changed |= ALL_CHANGED
    if step >= agenda[A_NEXT_STEP]:
        changed |= ALL_CHANGED
        _move_on(
            key, step, charter_ints, charter_floats, electorate_ints, electorate_floats, settings,
            proposals, votes, clock, events, agenda, values,
        )  # fmt: skip
    if changed >= ALL_CHANGED:
        close_ended(
            step, charter_ints, electorate_ints, settings, proposals, votes, clock, events, agenda
        )
    if step >= agenda[A_NEXT_ARRIVAL]:
        for place in range(arrivals(key, step, electorate_floats)):
            _propose(
                key, step, place, charter_ints, charter_floats, electorate_ints, electorate_floats,
                settings, proposals, votes, agenda, values,
            )  # fmt: skip
            changed |= ALL_CHANGED
        agenda[A_NEXT_ARRIVAL] = next_arrival(key, step + 1, electorate_floats)
    if changed != 0:
        agenda[A_NEXT_BALLOT] = clock[BALLOT_NEXT].min()
    return changed


@kernel_function
def _ballots_decide(settings: Int) -> bool:
    """Whether a ballot may change a proposal's state before its deadline."""
    counting = settings[G_COUNTING]
    early = counting in (COUNT_OBJECTIONS, COUNT_CONVICTION)
    return bool(early or settings[G_VETO_MAX_S] > 0)


@inlined_function
def quiet_step(lane: int, agenda: int, numbers: Int) -> bool:
    """Do the step if nothing happens in it, which is most of them; else leave it undone.

    It reads a few numbers only; where it answers False, call `advance_governance`.

    Args:
        lane: row of `numbers`.
        agenda: column at which the lane's agenda begins.
        numbers: (N, width) the lanes' int64 state.
    """
    step = numbers[lane, agenda + A_STEP]
    following = min(numbers[lane, agenda + A_NEXT_STEP], numbers[lane, agenda + A_NEXT_BALLOT])
    if step >= min(following, numbers[lane, agenda + A_NEXT_ARRIVAL]):
        return False
    numbers[lane, agenda + A_STEP] = step + 1
    return True


@kernel_function
def _count_ballots(
    step: int, settings: Int, proposals: Int, votes: Int, clock: Int, events: Int
) -> int:
    """Count what is due; bit s of the answer: on the proposal in slot s."""
    due = np.zeros(3, dtype=np.int64)
    counted = 0
    for slot in range(proposals.shape[0]):
        if clock[BALLOT_NEXT, slot] > step:
            continue
        due[:] = 0
        if pop_ballots(clock, events, slot, step, due) > 0:
            counted |= 1 << slot
            for support in range(3):
                if due[support] == 0:
                    continue
                code = count_weight(settings, proposals, votes, step, slot, support, due[support])
                if code == DONE and support == AGAINST and settings[G_VETO_MAX_S] > 0:
                    escrow_objections(settings, votes, step, due[support])
    return counted


@kernel_function
def _move_on(
    key: Any, step: int, charter_ints: Int, charter_floats: Float, electorate_ints: Int,
    electorate_floats: Float, settings: Int, proposals: Int, votes: Int, clock: Int, events: Int,
    agenda: Int, values: Float,
) -> None:  # fmt: skip
    """Snapshots, queueing and execution that are due, and the step of the next one."""
    following = agenda[A_ATTACK_AT] if agenda[A_ATTACK_AT] > step else _NEVER
    if agenda[A_ATTACK_AT] == step:
        strike(step, charter_ints, charter_floats, proposals, agenda, values)
    gathers = settings[G_COUNTING] == COUNT_CONVICTION
    for slot in range(proposals.shape[0]):
        if proposals[slot, P_NOTE] == 0:  # ended, or an adversary's, which moves on elsewhere
            continue
        state = state_of(settings, proposals, votes, step, step, slot)
        if state == PENDING and proposals[slot, P_SNAPSHOT] == step:
            open_vote(
                key, step, charter_ints, charter_floats, electorate_ints, electorate_floats,
                settings, proposals, clock, events, agenda, values, slot,
            )  # fmt: skip
        if gathers and state == ACTIVE:
            gather_conviction(charter_ints, proposals, slot)
            state = state_of(settings, proposals, votes, step, step, slot)
        if state == SUCCEEDED and settings[G_TIMELOCK] == 1:
            queue(settings, proposals, votes, step, step, slot)
            state = QUEUED
        if charter_ints[C_LEAVE_ABOVE_PPB] >= 0 and state == QUEUED:
            leave(
                key, charter_ints, electorate_ints, electorate_floats, settings, proposals, clock,
                events, agenda, values, charter_floats, slot,
            )  # fmt: skip
        stops_at = guardian_acts_at(charter_ints, settings, proposals, slot, state)
        if step >= stops_at:
            cancel(settings, proposals, votes, step, step, slot, GUARDIAN)
            agenda[A_VETOES] += 1
            continue
        following = min(following, stops_at)
        if state in (QUEUED, SUCCEEDED):
            if step < proposals[slot, P_ETA_S]:
                following = min(following, proposals[slot, P_ETA_S])
            elif execute(settings, proposals, votes, step, step, slot, True) == DONE:
                enact(
                    step, charter_ints, charter_floats, settings, proposals, votes, agenda, values,
                    slot,
                )  # fmt: skip
            else:
                release_all(settings, votes, step)
                following = step + 1
        elif state == PENDING:
            when = proposals[slot, P_SNAPSHOT]
            following = min(following, when if when > step else step + 1)
        elif state == ACTIVE:
            following = min(following, step + 1 if gathers else deadline_of(proposals, slot) + 1)
    agenda[A_NEXT_STEP] = following


@kernel_function
def _propose(
    key: Any, step: int, place: int, charter_ints: Int, charter_floats: Float,
    electorate_ints: Int, electorate_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float,
) -> None:  # fmt: skip
    """One member's proposal on a parameter that has no live proposal and has rested long enough."""
    n = charter_ints[C_PARAMETERS]
    shares, reach = np.empty(n), np.empty(n)
    proposable = np.zeros(n, dtype=np.int64)
    for p in range(n):
        low, high = charter_floats[p], charter_floats[n + p]
        shares[p] = (values[p] - low) / (high - low)
        reach[p] = charter_floats[2 * n + p] / (high - low)
        interval = charter_ints[C_HEADER + p]
        rested = step - agenda[A_HEADER + p] >= interval
        if interval > 0 and rested and live_slot(settings, proposals, votes, step, p) < 0:
            proposable[p] = 1
    number = proposal_number(step, place)
    code, voter, parameter, new = draw_proposal(
        key, number, step, settings[G_PROPOSAL_THRESHOLD], shares, reach, proposable,
        electorate_ints, electorate_floats,
    )  # fmt: skip
    leaves = charter_ints[C_LEAVE_ABOVE_PPB] >= 0
    if code != PROPOSED or (leaves and has_left(agenda, voter)):
        return
    value = round(min(max(new, 0.0), 1.0) * VALUE_SCALE)
    weight = electorate_ints[electorate_ints[I_WEIGHTS] + voter]
    proposer = votes.shape[0] - 1 + voter
    code, slot = propose_with(
        settings, proposals, votes, step, step, weight, proposer, number + 1, PAYLOAD_CALL,
        parameter, value,
    )  # fmt: skip
    if code == DONE:
        proposals[slot, P_NOTE] = 1
        agenda[A_NEXT_STEP] = min(agenda[A_NEXT_STEP], proposals[slot, P_SNAPSHOT])
