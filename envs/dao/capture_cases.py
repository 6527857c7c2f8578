"""The six stories, as moves of an attacker in a `Play`; whether they work, the rules decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from daogym.envs.core.compiled import compile_lock

from . import capture_kernels as kernels
from .breaker import breaker_width
from .capture_charter import StoryName
from .capture_lane import ALLY, ATTACKER, CASH_ATTACKER, CASH_LENDER, CASH_TREASURY, EXCHANGE
from .capture_market import MICRO, parts
from .capture_play import Payload, Play
from .oracle import (
    MOST_REPORTERS,
    ORACLE_DEVIATION,
    ORACLE_FAULTY,
    ORACLE_HEARTBEAT,
    ORACLE_HIGH,
    ORACLE_NOISE,
    ORACLE_REPORTERS,
    ORACLE_SETTINGS_WIDTH,
    ORACLE_TOLERATED,
    ORACLE_UPDATED_AT,
    ORACLE_VALUE,
    ORACLE_WIDTH,
)

DAY_S = 86_400


def accumulate(play: Play, tokens: int) -> None:
    """Buy a stake in slices, one a step; others bring the price back in between."""
    for part in parts(play.charter.units(tokens), play.charter.attacker.slices):
        if part > 0:
            play.buy(part)
            play.tick()
            play.arbitrage()
    if tokens > 0:
        play.note("stake", f"a stake of {tokens:,} tokens was bought")


def sell_all(play: Play) -> None:
    """Sell what is left of the own stake, then what was stolen, in slices as it was bought."""
    play.arbitrage()
    stolen = min(play.stolen_tokens, play.balance(ATTACKER))
    own = play.balance(ATTACKER) + play.balance(ALLY) - stolen
    if play.balance(ALLY) > 0:
        play.hand_over(ALLY, ATTACKER, play.balance(ALLY))
    for amount, is_stolen in ((own, False), (stolen, True)):
        for part in parts(amount, play.charter.attacker.slices):
            if part > 0:
                play.sell(part, is_stolen)
                play.tick()
                play.arbitrage()
    if own + stolen > 0:
        play.note("sold", "the attacker has sold all tokens")


def hostile(play: Play) -> Payload:
    """A payload whose harm every member sees."""
    return Payload(-play.charter.attention.harm, harmful=True)


def beanstalk(play: Play) -> None:
    """A flash loan's deposit makes votes for a moment; the emergency commit ends the vote in it."""
    a, attention = play.charter.attacker, play.charter.attention
    accumulate(play, a.stake_tokens)
    slot = play.propose(ATTACKER, hostile(play), attention.turnout, "a proposal to empty the vault")
    play.run_to(play.now + play.rules.voting_delay + max(play.rules.emergency_wait, 1))
    play.note("loan", f"{a.flash_cents / 100:,.0f} borrowed for one transaction")
    play.pay(CASH_LENDER, CASH_ATTACKER, a.flash_cents)
    play.mint_tokens(play.charter.units(a.flash_tokens))
    before, counted = play.proposals[slot].copy(), len(play.ballots)
    play.vote(slot, ATTACKER)
    carried = play.rules.emergency_percent > 0 and play.emergency(slot)
    if not carried:
        play.revert(slot, before, counted)
    at_once = carried and play.rules.timelock_s == 0 and play.push(slot)
    if at_once:
        play.capture()
    play.burn_tokens(play.charter.units(a.flash_tokens))
    play.pay(CASH_ATTACKER, CASH_LENDER, a.flash_cents)
    if carried:
        play.fee(CASH_LENDER, a.flash_cents * a.flash_fee_bps // 10_000)
        play.note("repaid", "the loan is repaid in the same step")
    else:  # what is left is an honest vote with the stake
        play.vote(slot, ATTACKER)
    if not at_once and play.push(slot):
        play.capture()
    sell_all(play)


def apathy(play: Play) -> None:
    """Voted down once; the same proposal again, made quietly, meets hardly anybody."""
    a, attention = play.charter.attacker, play.charter.attention
    accumulate(play, a.stake_tokens)
    for attempt, turnout in enumerate((attention.turnout, attention.second_turnout), 1):
        slot = play.propose(ATTACKER, hostile(play), turnout, f"attempt {attempt}: the mint key")
        play.run_to(play.now + play.rules.voting_delay + 1)
        play.vote(slot, ATTACKER)
        if play.push(slot):
            play.capture()
            dumped = play.charter.units(a.mint_tokens)
            play.mint_tokens(dumped)
            play.sell(dumped, stolen=True)
            play.note("dumped", "minted tokens are sold into the pool")
            break
        play.tick()
    sell_all(play)


def late_vote(play: Play) -> None:
    """A first part of the stake reaches quorum early, the rest turns the vote in the last step."""
    a, attention = play.charter.attacker, play.charter.attention
    accumulate(play, a.stake_tokens)
    play.hand_over(ATTACKER, ALLY, play.charter.units(a.stake_tokens - a.early_tokens))
    play.tick()
    slot = play.propose(ALLY, hostile(play), attention.turnout, "a proposal to hand over tokens")
    opened = play.now + play.rules.voting_delay + 1
    if a.early_tokens > 0:
        play.run_to(opened + int(a.early_at * play.rules.voting_period))
        play.vote(slot, ATTACKER)
    play.run_to(opened + play.rules.voting_period - 1)
    play.vote(slot, ALLY)
    if play.push(slot):
        play.capture()
    sell_all(play)


def opaque_payload(play: Play) -> None:
    """Members vote for harmless code that is swapped before execution and mints fake votes."""
    a, attention = play.charter.attacker, play.charter.attention
    accumulate(play, a.stake_tokens)
    lure = Payload(attention.lure, harmful=False, mutable=True)
    slot = play.propose(ATTACKER, lure, attention.turnout, "a copy of an earlier, useful proposal")
    play.run_to(play.now + play.rules.voting_delay + 1)
    play.vote(slot, ATTACKER)
    if play.push(slot, a.swap_after_s):
        play.mint_tokens(play.charter.units(a.fake_tokens))
        play.captured_from = play.now
        play.note("fake votes", f"{a.fake_tokens:,} votes are minted for the attacker")
        play.tick()
        second = play.propose(
            ATTACKER, hostile(play), attention.second_turnout, "a proposal to empty the vault"
        )
        play.run_to(play.now + play.rules.voting_delay + 1)
        play.vote(second, ATTACKER)
        drained = play.push(second)
        # The fake votes are no tokens that anyone would buy.
        play.burn_tokens(play.charter.units(a.fake_tokens))
        if drained:
            play.capture()
    sell_all(play)


def exchange_takeover(play: Play) -> None:
    """An exchange stakes its customers' deposits and votes with them at once."""
    attention = play.charter.attention
    accumulate(play, play.charter.attacker.stake_tokens)
    play.empower(EXCHANGE, ALLY)
    play.note("staked", "the exchange stakes its customers' deposits")
    slot = play.propose(ALLY, hostile(play), attention.turnout, "a new set of witnesses")
    play.run_to(play.now + play.rules.voting_delay + 1)
    play.vote(slot, ALLY)
    if play.push(slot):
        play.capture()
    play.run_out()
    sell_all(play)


def oracle_attack(play: Play) -> None:
    """A pumped price makes collateral; the loan takes cash and votes, the votes take the rest."""
    a, prize, attention = play.charter.attacker, play.charter.prize, play.charter.attention
    oracle = play.rules.oracle
    assert oracle is not None
    record = np.zeros(ORACLE_WIDTH)
    settings = np.zeros(ORACLE_SETTINGS_WIDTH)
    settings[ORACLE_REPORTERS], settings[ORACLE_TOLERATED] = oracle.reporters, oracle.tolerated
    settings[ORACLE_FAULTY], settings[ORACLE_NOISE] = oracle.pumped, oracle.noise
    settings[ORACLE_HIGH] = 1e18
    settings[ORACLE_DEVIATION], settings[ORACLE_HEARTBEAT] = 0.005, oracle.heartbeat
    reports = np.zeros(MOST_REPORTERS)
    record[ORACLE_VALUE], record[ORACLE_UPDATED_AT] = play.fair, play.step
    breaker = np.zeros(breaker_width(max(DAY_S // play.charter.step_s, 1)), dtype=np.int64)
    if play.rules.retained_percent > 0:
        with compile_lock(kernels.begin_outflows):
            kernels.begin_outflows(
                breaker, play.step, int(play.cents[CASH_TREASURY]),
                play.rules.retained_percent * 100, 96,
            )  # fmt: skip

    def publish() -> None:
        play.tick()
        window = play.spot[-oracle.twap_steps :]
        mean = sum(window) / len(window)
        with compile_lock(kernels.report_price):
            kernels.report_price(record, settings, reports, play.key, play.step, play.fair, mean)
        play.oracle_price = float(record[ORACLE_VALUE])

    for _ in range(2 * oracle.twap_steps):
        publish()
    play.pay(CASH_ATTACKER, CASH_TREASURY, a.margin_cents)
    play.note("position", f"long position of {a.position_tokens:,} tokens on margin")
    play.buy(play.pool.to_price(int(play.fair * a.pump_factor)))
    play.note("pump", f"the pool's price is {a.pump_factor:.0f} times the fair one")
    for _ in range(a.pump_steps):
        publish()
    price = record[ORACLE_VALUE]
    gain = max(int(play.charter.units(a.position_tokens) * (price - play.fair) / MICRO), 0)
    loan = min(prize.lendable_cents, (a.margin_cents + gain) * prize.loan_to_value_percent // 100)
    with compile_lock(kernels.price_is_fresh):
        fresh = oracle.max_age == 0 or kernels.price_is_fresh(
            float(play.step), record[ORACLE_UPDATED_AT], float(oracle.max_age)
        )
    if play.rules.retained_percent > 0 and loan > 0:
        with compile_lock(kernels.outflow):
            loan = int(kernels.outflow(breaker, play.step, loan))
    play.note("loan", f"the oracle says {price / play.fair:.1f} times the fair price")
    if fresh and loan > a.margin_cents:
        play.pay(CASH_TREASURY, CASH_ATTACKER, loan)
        play.loot += loan
        play.fees += a.margin_cents
        play.take_tokens(play.charter.units(prize.lendable_tokens) * loan // prize.lendable_cents)
        play.captured_from = play.now
        play.note("taken", f"{loan / 100:,.0f} are borrowed and never repaid")
    else:
        play.pay(CASH_TREASURY, CASH_ATTACKER, a.margin_cents)
        play.note("closed", "no loan worth the margin: the position is closed")
    publish()
    play.arbitrage()
    publish()
    publish()
    slot = play.propose(ATTACKER, hostile(play), attention.turnout, "the rest, and no claims")
    play.run_to(play.now + play.rules.voting_delay + 1)
    play.vote(slot, ATTACKER)
    if play.push(slot):
        loaned_from = play.captured_from
        play.capture()
        play.captured_from = loaned_from if loaned_from >= 0 else play.captured_from
    sell_all(play)


STORIES: Mapping[StoryName, Callable[[Play], None]] = MappingProxyType(
    {
        "beanstalk": beanstalk,
        "apathy": apathy,
        "late_vote": late_vote,
        "opaque_payload": opaque_payload,
        "oracle_attack": oracle_attack,
        "exchange_takeover": exchange_takeover,
    }
)
