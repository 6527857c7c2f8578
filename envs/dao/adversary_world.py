"""One lane of the adversary's game: its arrays, its money and its tokens, compiled.

Votes, pool and books are those that the cases are played with (`capture_lane`); here they are views
into a row of the state. Every payment is a transfer of the treasury's books; a refused one would be
an error of the game and is counted in ``S_REFUSED``.
"""

from __future__ import annotations

from typing import NamedTuple

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.uncounted import uncounted

from . import adversary_layout as at
from . import capture_pool, treasury, votes
from .ballots import BALLOT_NEXT, NEVER
from .capture_lane import (
    ACCOUNTS,
    ALLY,
    ATTACKER,
    CASH_ATTACKER,
    CASH_OTHERS,
    CASH_POOL,
    CASH_TREASURY,
    OPENING,
    OTHERS,
    POOL,
    SLOTS,
)
from .capture_market import MICRO
from .governor_layout import P_SNAPSHOT, PROPOSAL_WIDTH, settings_width
from .integers import multiply_divide
from .results import DONE
from .votes import V_BALANCE

SETTINGS_WIDTH = settings_width(SLOTS)


class World(NamedTuple):
    """One lane: views into its row of the state, and what all lanes share.

    In a domain's lane the governor, its proposals, the tokens, the books and the electorate are the
    domain's (`adversary_lane`).
    """

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
        row[clock : clock + at.BALLOT_SHAPE[0] * at.BALLOT_SHAPE[1]].reshape(at.BALLOT_SHAPE),
        row[events : events + 2 * (voters + 1)].reshape((2, voters + 1)),
        row[sold : sold + voters // at.MEMBER_BITS + 1],
        uncounted(pi), appeal, uncounted(ints), uncounted(floats),
    )  # fmt: skip


@kernel_function
def begin_scalars(w: World) -> None:
    """Nothing is proposed, nobody has voted; the fair price is the charter's."""
    w.now[at.S_FAIR] = w.pi[at.I_FAIR]
    w.now[at.S_SLOT], w.now[at.S_SEEN_S], w.now[at.S_CAPTURED_FROM] = -1, -1, -1
    w.clock[:] = 0
    w.clock[BALLOT_NEXT] = NEVER


@kernel_function
def deal_tokens(tokens: Int, pins: Int, holdings: Int) -> None:
    """(ACCOUNTS,) base units to their accounts at step 0; the adversary votes with its own."""
    for account in range(ACCOUNTS):
        if holdings[account] > 0:
            votes.mint(tokens, account, holdings[account], 0, pins)
    votes.delegate(tokens, ATTACKER, ATTACKER, 0, pins)
    votes.delegate(tokens, ALLY, ALLY, 0, pins)


@kernel_function
def deal_money(w: World, opening: Int, first: int) -> None:
    """(GAME_ACCOUNTS,) cents to the accounts from `first` on."""
    for account in range(first, at.GAME_ACCOUNTS):
        code = treasury.mint(w.cents, w.totals, OPENING, account, opening[account])
        w.now[at.S_REFUSED] += 0 if code == DONE else 1


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
