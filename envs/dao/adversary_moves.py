"""What happens in the adversary's game, compiled: time, proposals, votes, vetoes and the capture.

Governor and ballots are the functions that the cases are played with, in the order of
`capture_play`.
"""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.random import as_uint64

from . import adversary_layout as at
from . import governor, governor_state, votes
from .adversary_world import World, arbitrage, hand_over, mint, pay, sell
from .ballots import (
    ARRIVALS_PER_STEP,
    BALLOT_COUNT,
    BALLOT_NEXT,
    NEVER,
    OTHER_CONTENT,
    draw_ballots,
    event_offset,
    event_voter,
    proposal_number,
)
from .capture_kernels import count_due
from .capture_lane import (
    ALLY,
    ATTACKER,
    CASH_ATTACKER,
    CASH_OTHERS,
    CASH_TREASURY,
    TREASURY,
)
from .capture_market import BPS, MICRO
from .governance_columns import MOST_PARAMETERS
from .governor_layout import (
    CANCELED,
    DEFEATED,
    G_GUARDIAN,
    G_TIMELOCK,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_SNAPSHOT,
    PAYLOAD_CALL,
    QUEUED,
    SUCCEEDED,
)
from .integers import multiply_divide
from .results import DONE

DAY_S = 86_400
FIRST, LATER, SUMMONED = 0, 1, 2
"""Rows of the packed electorates: of the first proposal, of later ones, of members called."""
OWN_PLACE = ARRIVALS_PER_STEP + 1
"""Place in a step of its proposal's number, behind those of the members and of an operator."""
PLACES = 4
"""Places in a step that the draws of its proposals' ballots take, from `ARRIVALS_PER_STEP` on."""


@kernel_function
def live_state(w: World) -> int:
    """State of the live proposal; there must be one."""
    return governor_state.state_of(
        w.settings, w.proposals, w.tokens, w.now[at.S_STEP], w.now[at.S_TIME_S], w.now[at.S_SLOT]
    )


@kernel_function
def propose(w: World) -> None:
    """The account with more votes a step before proposes the hostile payload.

    It is about no single parameter: its target is a number beyond them all.
    """
    now, step = w.now, w.now[at.S_STEP]
    if now[at.S_SLOT] >= 0 or now[at.S_CAPTURED_FROM] >= 0:
        return
    if now[at.S_MADE] >= w.pi[at.I_MOST_PROPOSALS]:
        return
    first = votes.past_votes(w.tokens, ATTACKER, step - 1, step)
    account = ATTACKER if first >= votes.past_votes(w.tokens, ALLY, step - 1, step) else ALLY
    code, slot = governor.propose(
        w.settings, w.proposals, w.tokens, step, now[at.S_TIME_S], account,
        proposal_number(step, OWN_PLACE) + 1, PAYLOAD_CALL, MOST_PARAMETERS, 1,
    )  # fmt: skip
    if code != DONE:
        return
    now[at.S_SLOT], now[at.S_OUTCOME] = slot, at.LIVE
    now[at.S_MADE] += 1
    now[at.S_DRAWN], now[at.S_CALLED], now[at.S_SEEN_S] = 0, 0, -1
    w.sold[:] = 0
    members(w)


@kernel_function
def members(w: World) -> None:
    """Members' ballots are drawn at the snapshot, and again if they are called; due ones count."""
    now, slot = w.now, w.now[at.S_SLOT]
    step = now[at.S_STEP]
    snapshot, period = w.proposals[slot, P_SNAPSHOT], w.proposals[slot, P_DURATION]
    if now[at.S_DRAWN] == 0 and step >= snapshot:
        now[at.S_DRAWN] = 1
        _draw_members(w, at.OWN, snapshot, period, FIRST if now[at.S_MADE] == 1 else LATER)
    put_off = w.proposals[slot, P_EXTENDED] > snapshot + period
    if now[at.S_DRAWN] == 1 and now[at.S_CALLED] == 0 and put_off:
        left = w.proposals[slot, P_EXTENDED] - step
        if left > 0:
            call_members(w, left)
    due = np.zeros(3, dtype=np.int64)
    for row in range(at.OWN, 1 + now[at.S_CALLED]):
        if w.clock[BALLOT_NEXT, row] <= step:
            count_due(w.settings, w.proposals, w.tokens, step, slot, w.clock, w.events, row, due)


@kernel_function
def call_members(w: World, left: int) -> None:
    """Those who have not voted on the live proposal are called, and come in the steps left."""
    step = w.now[at.S_STEP]
    w.now[at.S_CALLED] = 1
    _draw_members(w, at.CALLED, step, left, SUMMONED)
    _leave_out_voters(w, step)


@kernel_function
def _draw_members(w: World, row: int, start: int, period: int, turnout: int) -> None:
    place = ARRIVALS_PER_STEP + (w.now[at.S_SLOT] + 2 * row) % PLACES
    number = proposal_number(start, place)
    key = as_uint64(w.now[at.S_EPISODE_KEY])
    draw_ballots(key, number, start, period, OTHER_CONTENT, 0.0, 0.0, w.appeal, w.ints[turnout],
                 w.floats[turnout], w.clock, w.events, row)  # fmt: skip


@kernel_function
def _leave_out_voters(w: World, start: int) -> None:
    """Of those called, who has a ballot already or has sold it does not vote again."""
    row, kept = at.CALLED, 0
    for i in range(w.clock[BALLOT_COUNT, row]):
        event = w.events[row, i]
        voter = event_voter(event)
        voted = has_sold(w, voter)
        for j in range(w.clock[BALLOT_COUNT, at.OWN]):
            voted = voted or event_voter(w.events[at.OWN, j]) == voter
        if not voted:
            w.events[row, kept] = event
            kept += 1
    w.clock[BALLOT_COUNT, row] = kept
    w.clock[BALLOT_NEXT, row] = start + event_offset(w.events[row, 0]) if kept > 0 else NEVER


@kernel_function
def has_sold(w: World, voter: int) -> bool:
    """Whether a member has sold its vote on the live proposal."""
    return bool((w.sold[voter // at.MEMBER_BITS] >> (voter % at.MEMBER_BITS)) & 1 == 1)


@kernel_function
def guard(w: World) -> None:
    """The guardian vetoes what has passed, once it has seen the harm for long enough."""
    now, reaction = w.now, w.pi[at.I_REACTION_S]
    if reaction < 0:
        return
    state = live_state(w)
    if state != SUCCEEDED and state != QUEUED:
        return
    if now[at.S_SEEN_S] < 0:
        now[at.S_SEEN_S] = now[at.S_TIME_S]
    if now[at.S_TIME_S] >= now[at.S_SEEN_S] + reaction:
        code = governor.cancel(
            w.settings, w.proposals, w.tokens, now[at.S_STEP], now[at.S_TIME_S], now[at.S_SLOT],
            w.settings[G_GUARDIAN],
        )  # fmt: skip
        now[at.S_VETOES] += 1
        now[at.S_REFUSED] += 0 if code == DONE else 1


@kernel_function
def push(w: World) -> bool:
    """Queue and execute as soon as the governor lets it; whether the proposal came to its end."""
    now = w.now
    if now[at.S_SLOT] < 0:
        return False
    slot, step, time_s = now[at.S_SLOT], now[at.S_STEP], now[at.S_TIME_S]
    state = live_state(w)
    if state in (CANCELED, DEFEATED):
        now[at.S_OUTCOME] = at.VETO if state == CANCELED else at.DEFEAT
        now[at.S_SLOT] = -1
        return True
    locked = w.settings[G_TIMELOCK] == 1
    if state == SUCCEEDED and locked:
        code = governor.queue(w.settings, w.proposals, w.tokens, step, time_s, slot)
        now[at.S_REFUSED] += 0 if code == DONE else 1
        state = live_state(w)
    ready = state == SUCCEEDED and not locked
    ready = ready or (state == QUEUED and time_s >= w.proposals[slot, P_ETA_S])
    if not ready:
        return False
    code = governor.execute(w.settings, w.proposals, w.tokens, step, time_s, slot, True)
    now[at.S_REFUSED] += 0 if code == DONE else 1
    now[at.S_SLOT], now[at.S_OUTCOME] = -1, at.CAPTURE
    _capture(w)
    return True


@kernel_function
def take(w: World, wanted: int) -> None:
    """Out of the treasury: the adversary's share and what is lost to others on the way."""
    cents = min(wanted, w.cents[CASH_TREASURY])
    loot, _ = multiply_divide(cents, w.pi[at.I_LOOT_BPS], BPS)
    pay(w, CASH_TREASURY, CASH_ATTACKER, loot)
    pay(w, CASH_TREASURY, CASH_OTHERS, cents - loot)
    w.now[at.S_LOOT] += loot


@kernel_function
def _capture(w: World) -> None:
    """The payload takes what it takes, the fair price falls, minted tokens are sold."""
    now, pi = w.now, w.pi
    now[at.S_CAPTURED_FROM] = now[at.S_STEP]
    take(w, pi[at.I_GRAB_CENTS])
    if pi[at.I_GRAB_UNITS] > 0:
        hand_over(w, TREASURY, ATTACKER, pi[at.I_GRAB_UNITS])
        now[at.S_STOLEN] += pi[at.I_GRAB_UNITS]
    fallen, _ = multiply_divide(now[at.S_FAIR], BPS - pi[at.I_FALL_BPS], BPS)
    now[at.S_FAIR] = max(fallen, 1)
    worth, _ = multiply_divide(now[at.S_STOLEN], now[at.S_FAIR], MICRO)
    before = w.cents[CASH_ATTACKER]
    if pi[at.I_MINT_UNITS] > 0:
        mint(w, pi[at.I_MINT_UNITS])
        sell(w, pi[at.I_MINT_UNITS])
    now[at.S_LOOT] += worth + w.cents[CASH_ATTACKER] - before
    arbitrage(w)


@kernel_function
def tick(w: World) -> None:
    """One step: members' ballots are drawn and counted, the guardian looks, the capture pays."""
    now = w.now
    now[at.S_STEP] += 1
    now[at.S_TIME_S] += w.pi[at.I_STEP_S]
    if now[at.S_SLOT] >= 0:
        members(w)
        guard(w)
    if w.cents[at.CASH_VAULT] > 0:
        rate = w.pi[at.I_VAULT_BPS] * w.pi[at.I_STEP_S]
        forgone, _ = multiply_divide(w.cents[at.CASH_VAULT], rate, BPS * DAY_S)
        pay(w, at.CASH_VAULT, CASH_OTHERS, forgone)
        now[at.S_OPERATOR_CENTS] += forgone
    if now[at.S_CAPTURED_FROM] >= 0 and w.pi[at.I_GRAB_STEP_CENTS] > 0:
        take(w, w.pi[at.I_GRAB_STEP_CENTS])
