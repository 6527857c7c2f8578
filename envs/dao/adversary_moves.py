"""What happens in the adversary's game, compiled: the moves of `capture_lane` and `capture_play`.

Governor, votes, ballots and books are the functions that the cases are played with; here they act
on the arrays of one lane, a `World`. Every payment is a transfer of the treasury's books; a refused
one would be an error of the game and is counted in ``S_REFUSED``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_uint64
from daogym.envs.core.uncounted import uncounted

from . import adversary_layout as at
from . import capture_pool, governor, governor_state, treasury, votes
from .ballots import (
    ARRIVALS_PER_STEP,
    BALLOT_COUNT,
    BALLOT_NEXT,
    BALLOT_ROWS,
    NEVER,
    OTHER_CONTENT,
    PLACES_PER_STEP,
    draw_ballots,
    event_offset,
    event_voter,
)
from .capture_kernels import count_due
from .capture_lane import (
    ACCOUNTS,
    ALLY,
    ATTACKER,
    CASH_ATTACKER,
    CASH_OTHERS,
    CASH_POOL,
    CASH_TREASURY,
    GUARDIAN,
    OPENING,
    OTHERS,
    POOL,
    SLOTS,
    TREASURY,
)
from .capture_market import BPS, MICRO
from .governor_layout import (
    CANCELED,
    DEFEATED,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_SNAPSHOT,
    PROPOSAL_WIDTH,
    QUEUED,
    SUCCEEDED,
    settings_width,
)
from .integers import multiply_divide
from .results import DONE
from .votes import V_BALANCE

SETTINGS_WIDTH = settings_width(SLOTS)
DAY_S = 86_400
FIRST, LATER, CALLED = 0, 1, 2
"""Rows of the packed electorates: of the first proposal, of later ones, of members called."""


class World(NamedTuple):
    """One lane: views into its row of the state, and what all lanes share."""

    now: Int
    settings: Int
    proposals: Int
    tokens: Int
    cents: Int
    totals: Int
    clock: Int
    events: Int
    sold: Int
    pi: Int
    appeal: float
    ints: Int
    floats: Float


@kernel_function
def open_world(lane: int, pi: Int, appeal: float, ints: Int, floats: Float, si: Int) -> World:
    """Views of a lane."""
    settings, proposals = pi[at.I_AT_SETTINGS], pi[at.I_AT_PROPOSALS]
    tokens, width = pi[at.I_AT_TOKENS], pi[at.I_TOKENS_WIDTH]
    cents, totals, clock = pi[at.I_AT_CENTS], pi[at.I_AT_TOTALS], pi[at.I_AT_CLOCK]
    events, sold, voters = pi[at.I_AT_EVENTS], pi[at.I_AT_SOLD], pi[at.I_VOTERS]
    row = uncounted(si)[lane]
    return World(
        row,
        row[settings : settings + SETTINGS_WIDTH],
        row[proposals : proposals + SLOTS * PROPOSAL_WIDTH].reshape((SLOTS, PROPOSAL_WIDTH)),
        row[tokens : tokens + (ACCOUNTS + 1) * width].reshape((ACCOUNTS + 1, width)),
        row[cents : cents + at.GAME_ACCOUNTS],
        row[totals : totals + 2 * (OPENING + 1)].reshape((OPENING + 1, 2)),
        row[clock : clock + BALLOT_ROWS * 2 * SLOTS].reshape((BALLOT_ROWS, 2 * SLOTS)),
        row[events : events + 2 * SLOTS * (voters + 1)].reshape((2 * SLOTS, voters + 1)),
        row[sold : sold + voters // at.MEMBER_BITS + 1],
        uncounted(pi), appeal, uncounted(ints), uncounted(floats),
    )  # fmt: skip


# --- money and tokens -----------------------------------------------------------------------------


@kernel_function
def pay(w: World, source: int, target: int, cents: int) -> None:
    """Move money between accounts."""
    if treasury.transfer(w.cents, source, target, cents) != DONE:
        w.now[at.S_REFUSED] += 1


@kernel_function
def hand_over(w: World, source: int, target: int, amount: int) -> None:
    """Move tokens between accounts."""
    pins = w.proposals[:, P_SNAPSHOT]
    if votes.transfer(w.tokens, source, target, amount, w.now[at.S_STEP], pins) != DONE:
        w.now[at.S_REFUSED] += 1


@kernel_function
def mint(w: World, amount: int) -> None:
    """New tokens for the adversary."""
    pins = w.proposals[:, P_SNAPSHOT]
    if votes.mint(w.tokens, ATTACKER, amount, w.now[at.S_STEP], pins) != DONE:
        w.now[at.S_REFUSED] += 1


@kernel_function
def burn(w: World, amount: int) -> None:
    """Take them back."""
    pins = w.proposals[:, P_SNAPSHOT]
    if votes.burn(w.tokens, ATTACKER, amount, w.now[at.S_STEP], pins) != DONE:
        w.now[at.S_REFUSED] += 1


@kernel_function
def own_tokens(w: World) -> int:
    """Base units that the adversary has on its two accounts, stolen ones included."""
    own: int = w.tokens[ATTACKER, V_BALANCE] + w.tokens[ALLY, V_BALANCE]
    return own


@kernel_function
def wealth(w: World) -> int:
    """Cents: cash, and tokens at the fair price."""
    worth, _ = multiply_divide(own_tokens(w), w.now[at.S_FAIR], MICRO)
    total: int = w.cents[CASH_ATTACKER] + worth
    return total


@kernel_function
def lost_cents(w: World, opening: int) -> int:
    """What treasury and vault have lost of `opening`, stolen tokens at their price before."""
    worth, _ = multiply_divide(w.now[at.S_STOLEN], w.pi[at.I_FAIR], MICRO)
    lost: int = opening - w.cents[CASH_TREASURY] - w.cents[at.CASH_VAULT] + worth
    return lost


@kernel_function
def buy(w: World, wanted: int) -> bool:
    """The adversary buys from the pool what it wants and can pay; whether anything."""
    tokens, cents, fee = w.tokens[POOL, V_BALANCE], w.cents[CASH_POOL], w.pi[at.I_FEE_BPS]
    money = w.cents[CASH_ATTACKER]
    amount = wanted
    paid = capture_pool.price_to_buy(tokens, cents, fee, amount)
    if paid < 0 or paid > money:
        amount = min(wanted, capture_pool.affordable(tokens, cents, fee, money))
        paid = capture_pool.price_to_buy(tokens, cents, fee, amount)
    if amount <= 0 or paid < 0:
        return False
    pay(w, CASH_ATTACKER, CASH_POOL, paid)
    hand_over(w, POOL, ATTACKER, amount)
    return True


@kernel_function
def sell(w: World, amount: int) -> None:
    """The adversary sells what it has to the pool; its second account hands over what lacks."""
    lacking = amount - w.tokens[ATTACKER, V_BALANCE]
    if lacking > 0:
        hand_over(w, ALLY, ATTACKER, lacking)
    received = capture_pool.price_to_sell(
        w.tokens[POOL, V_BALANCE], w.cents[CASH_POOL], w.pi[at.I_FEE_BPS], amount
    )
    pay(w, CASH_POOL, CASH_ATTACKER, received)
    hand_over(w, ATTACKER, POOL, amount)


@kernel_function
def arbitrage(w: World) -> None:
    """Others trade the pool back to the fair price, as far as they have the means."""
    tokens, cents, fee = w.tokens[POOL, V_BALANCE], w.cents[CASH_POOL], w.pi[at.I_FEE_BPS]
    wanted = capture_pool.off_fair(tokens, cents, w.now[at.S_FAIR])
    if wanted > 0:
        wanted = min(wanted, w.tokens[OTHERS, V_BALANCE])
        received = capture_pool.price_to_sell(tokens, cents, fee, wanted)
        pay(w, CASH_POOL, CASH_OTHERS, received)
        hand_over(w, OTHERS, POOL, wanted)
    elif wanted < 0:
        paid = capture_pool.price_to_buy(tokens, cents, fee, -wanted)
        if 0 <= paid <= w.cents[CASH_OTHERS]:
            pay(w, CASH_OTHERS, CASH_POOL, paid)
            hand_over(w, POOL, OTHERS, -wanted)


@kernel_function
def sell_all(w: World) -> None:
    """Sell the own stake, then what was stolen, each in the charter's slices."""
    arbitrage(w)
    have = own_tokens(w)
    stolen = min(w.now[at.S_STOLEN], have)
    slices = w.pi[at.I_SLICES]
    for part in range(2):
        amount = stolen if part == 1 else have - stolen
        for i in range(slices):
            share = amount // slices + (1 if i < amount % slices else 0)
            if share > 0:
                sell(w, share)
                arbitrage(w)


# --- proposals and votes --------------------------------------------------------------------------


@kernel_function
def live_state(w: World) -> int:
    """State of the live proposal; there must be one."""
    return governor_state.state_of(
        w.settings, w.proposals, w.tokens, w.now[at.S_STEP], w.now[at.S_TIME_S], w.now[at.S_SLOT]
    )


@kernel_function
def propose(w: World) -> None:
    """The account with more votes a step before proposes the hostile payload."""
    now, step = w.now, w.now[at.S_STEP]
    if now[at.S_SLOT] >= 0 or now[at.S_CAPTURED_FROM] >= 0:
        return
    if now[at.S_MADE] >= w.pi[at.I_MOST_PROPOSALS]:
        return
    first = votes.past_votes(w.tokens, ATTACKER, step - 1, step)
    account = ATTACKER if first >= votes.past_votes(w.tokens, ALLY, step - 1, step) else ALLY
    code, slot = governor.propose(
        w.settings, w.proposals, w.tokens, step, now[at.S_TIME_S], account, now[at.S_MADE] + 1,
        1, 0, 1,
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
        _draw_members(w, slot, snapshot, period, FIRST if now[at.S_MADE] == 1 else LATER)
    put_off = w.proposals[slot, P_EXTENDED] > snapshot + period
    if now[at.S_DRAWN] == 1 and now[at.S_CALLED] == 0 and put_off:
        left = w.proposals[slot, P_EXTENDED] - step
        if left > 0:
            call_members(w, left)
    due = np.zeros(3, dtype=np.int64)
    for row in range(slot, 2 * SLOTS, SLOTS):
        if w.clock[BALLOT_NEXT, row] <= step and (row == slot or now[at.S_CALLED] == 1):
            count_due(w.settings, w.proposals, w.tokens, step, slot, w.clock, w.events, row, due)


@kernel_function
def call_members(w: World, left: int) -> None:
    """Those who have not voted on the live proposal are called, and come in the steps left."""
    slot, step = w.now[at.S_SLOT], w.now[at.S_STEP]
    w.now[at.S_CALLED] = 1
    _draw_members(w, SLOTS + slot, step, left, CALLED)
    _leave_out_voters(w, slot, step)


@kernel_function
def _draw_members(w: World, row: int, start: int, period: int, turnout: int) -> None:
    place = ARRIVALS_PER_STEP + (row % SLOTS + 2 * (row // SLOTS)) % 4
    number = start * PLACES_PER_STEP + place
    key = as_uint64(w.now[at.S_EPISODE_KEY])
    draw_ballots(key, number, start, period, OTHER_CONTENT, 0.0, 0.0, w.appeal, w.ints[turnout],
                 w.floats[turnout], w.clock, w.events, row)  # fmt: skip


@kernel_function
def _leave_out_voters(w: World, slot: int, start: int) -> None:
    """Of those called, who has a ballot already or has sold it does not vote again."""
    row, kept = SLOTS + slot, 0
    for i in range(w.clock[BALLOT_COUNT, row]):
        event = w.events[row, i]
        voter = event_voter(event)
        voted = has_sold(w, voter)
        for j in range(w.clock[BALLOT_COUNT, slot]):
            voted = voted or event_voter(w.events[slot, j]) == voter
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
    if reaction <= 0:
        return
    state = live_state(w)
    if state != SUCCEEDED and state != QUEUED:
        return
    if now[at.S_SEEN_S] < 0:
        now[at.S_SEEN_S] = now[at.S_TIME_S]
    if now[at.S_TIME_S] >= now[at.S_SEEN_S] + reaction:
        code = governor.cancel(
            w.settings, w.proposals, w.tokens, now[at.S_STEP], now[at.S_TIME_S], now[at.S_SLOT],
            GUARDIAN,
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
    locked = w.pi[at.I_TIMELOCK_S] > 0
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
