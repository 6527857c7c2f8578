"""The ground a capture case is played on: governor, votes, pool and books of one lane.

Every refusal of a move of money or tokens is an error of the story (`Refused`); refusals of the
governor are what the cases are about, and come back as codes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daogym.envs.core.compiled import compile_lock
from daogym.envs.core.layout import Int

from . import capture_kernels as kernels
from .capture_charter import SUPPLY, CaptureCharter, Rules
from .capture_market import MICRO, Pool
from .governor_layout import (
    G_STATIC_SUPPLY,
    G_TIMELOCK,
    NO_GUARDIAN,
    P_AGAINST,
    P_DURATION,
    P_EXTENDED,
    P_SNAPSHOT,
    PROPOSAL_WIDTH,
    settings_width,
)
from .governor_rules import openzeppelin_rules
from .results import DONE
from .votes import V_BALANCE, votes_width

ATTACKER, ALLY, POOL, OTHERS, TREASURY, EXCHANGE = range(6)
ACCOUNTS = 6
GUARDIAN = 40
"""The guardian holds no tokens: a number beyond the accounts."""

CASH_TREASURY, CASH_ATTACKER, CASH_POOL, CASH_OTHERS, CASH_LENDER = range(5)
CASH_ACCOUNTS = 5
OPENING = 1
"""Purpose of the only mint: what everybody had before."""

SLOTS = 4
START = 10_050
"""First step of the story; a cool-down looks back from here."""


@dataclass(frozen=True)
class Event:
    """Something that happened, steps counted from the story's first."""

    step: int
    what: str
    text: str


class Refused(RuntimeError):
    """The governor or the books refused what the story needs."""


def holdings_of(charter: CaptureCharter) -> dict[int, int]:
    """Base units that the accounts of the story begin with."""
    token, units = charter.token, charter.units
    return {
        POOL: units(token.pool), OTHERS: units(token.others),
        TREASURY: units(token.treasury), EXCHANGE: units(token.exchange),
    }  # fmt: skip


def governor_values(charter: CaptureCharter, rules: Rules) -> Int:
    """The governor's settings; who is no account of the story counts in the static supply."""
    values = openzeppelin_rules(
        voting_delay=rules.voting_delay,
        voting_period=rules.voting_period,
        proposal_threshold=charter.units(rules.threshold_tokens),
        quorum_numerator=rules.quorum_percent,
        min_delay_s=rules.timelock_s,
        late_quorum_extension=rules.late_quorum_extension,
        guardian=NO_GUARDIAN if rules.guardian is None else GUARDIAN,
        static_supply=SUPPLY - sum(holdings_of(charter).values()),
    )
    values[G_TIMELOCK] = 1 if rules.timelock_s > 0 else 0
    return values


def opening_cents(charter: CaptureCharter) -> tuple[int, ...]:
    """(CASH_ACCOUNTS,) what everybody had before."""
    token, attacker, prize = charter.token, charter.attacker, charter.prize
    pool = token.price_microcents * token.pool // MICRO
    others = 10 * (pool + attacker.cash_cents + prize.treasury_cents)
    return prize.treasury_cents, attacker.cash_cents, pool, others, attacker.flash_cents


class Lane:
    """Governor, votes, pool and books of one case, and the acts on them; the rules answer."""

    def __init__(self, charter: CaptureCharter, rules: Rules) -> None:
        self.charter, self.rules = charter, rules
        self.step, self.time_s = START, START * charter.step_s
        token = charter.token
        holdings = holdings_of(charter)
        values = governor_values(charter, rules)
        self.static = int(values[G_STATIC_SUPPLY])
        self.settings = np.zeros(settings_width(SLOTS), dtype=np.int64)
        self.proposals = np.zeros((SLOTS, PROPOSAL_WIDTH), dtype=np.int64)
        # Room for every trade of the story: nothing that a cool-down looks up is ever forgotten.
        pins = 2 * charter.attacker.slices + 50
        self.tokens = np.zeros((ACCOUNTS + 1, votes_width(pins)), dtype=np.int64)
        with compile_lock(kernels.begin_lane):
            kernels.begin_lane(self.settings, self.proposals, self.tokens, values, 0)
        for account, amount in holdings.items():
            self.token(kernels.MINT, account, 0, amount, at=0)
        for account in (ATTACKER, ALLY):
            self.token(kernels.DELEGATE, account, account, 0, at=0)

        self.fair = self.fair_before = token.price_microcents * token.supply // SUPPLY
        pool_cents = token.price_microcents * token.pool // MICRO
        self.pool = Pool(holdings[POOL], pool_cents, token.pool_fee_bps)
        self.cents = np.zeros(CASH_ACCOUNTS, dtype=np.int64)
        self.totals = np.zeros((OPENING + 1, 2), dtype=np.int64)
        for account, amount in enumerate(opening_cents(charter)):
            with compile_lock(kernels.open_account):
                code = kernels.open_account(self.cents, self.totals, OPENING, account, amount)
            self.expect(code, "opening balance")
        self.opening = self.cents.copy()
        self.paid, self.fees, self.resold, self.loot = 0, 0, 0, 0
        self.stolen_tokens = 0

        self.timeline: list[Event] = []

    # --- the acts -------------------------------------------------------------------------------

    def expect(self, code: int, what: str) -> None:
        """Raise `Refused` unless the code is `DONE`."""
        if code != DONE:
            raise Refused(f"{self.charter.name}, step {self.now}: {what} was refused, code {code}")

    def governor(
        self, what: int, slot: int = 0, account: int = 0, value: int = 0, more: int = 0,
        last: int = 0,
    ) -> int:  # fmt: skip
        """`capture_kernels.governor_act` now."""
        with compile_lock(kernels.governor_act):
            return int(kernels.governor_act(
                what, self.settings, self.proposals, self.tokens, self.step, self.time_s, slot,
                account, value, more, last,
            ))  # fmt: skip

    def token(self, what: int, account: int, other: int, amount: int, at: int | None = None) -> int:
        """`capture_kernels.token_act` now, or at another step; moves must not be refused."""
        with compile_lock(kernels.token_act):
            code = int(kernels.token_act(
                what, self.tokens, self.proposals, self.step if at is None else at, account, other,
                amount,
            ))  # fmt: skip
        if what in (kernels.MINT, kernels.BURN, kernels.TRANSFER, kernels.DELEGATE):
            self.expect(code, "a move of tokens")
        return code

    def pay(self, source: int, target: int, cents: int) -> None:
        """Move money between accounts."""
        with compile_lock(kernels.move_cents):
            code = kernels.move_cents(self.cents, source, target, cents)
        self.expect(code, f"a payment of {cents} cents from account {source}")

    @property
    def now(self) -> int:
        """Steps since the story began."""
        return self.step - START

    @property
    def ended(self) -> bool:
        """Whether the horizon is reached."""
        return self.now >= self.charter.horizon

    def note(self, what: str, text: str) -> None:
        """Write into the time line."""
        self.timeline.append(Event(self.now, what, text))

    def state(self, slot: int) -> int:
        """State of a proposal."""
        return self.governor(kernels.STATE, slot)

    def deadline(self, slot: int) -> int:
        """Last step of voting, from the story's first."""
        row = self.proposals[slot]
        return int(max(row[P_SNAPSHOT] + row[P_DURATION], row[P_EXTENDED])) - START

    def needed(self, slot: int) -> int:
        """Quorum in base units; the snapshot must be past."""
        return self.governor(kernels.NEEDED, slot)

    def tally(self, slot: int) -> tuple[int, int, int]:
        """Against, For, Abstain."""
        against, in_favour, abstain = self.proposals[slot, P_AGAINST : P_AGAINST + 3].tolist()
        return against, in_favour, abstain

    def balance(self, account: int) -> int:
        """Base units that an account has."""
        return int(self.tokens[account, V_BALANCE])

    # --- money ----------------------------------------------------------------------------------

    def take(self, cents: int) -> None:
        """Out of the treasury: the attacker's share and what is lost to others on the way."""
        loot = cents * self.charter.prize.loot_bps // 10_000
        self.pay(CASH_TREASURY, CASH_ATTACKER, loot)
        self.pay(CASH_TREASURY, CASH_OTHERS, cents - loot)
        self.loot += loot
        if cents > 0 and not any(e.what == "taken" for e in self.timeline[-1:]):
            self.note("taken", f"{cents / 100:,.0f} leave the treasury")

    def take_tokens(self, amount: int) -> None:
        """Tokens out of the treasury."""
        if amount > 0:
            self.token(kernels.TRANSFER, TREASURY, ATTACKER, amount)
            self.stolen_tokens += amount

    def mint_tokens(self, amount: int) -> None:
        """New tokens for the attacker (fake votes, a taken mint key, a deposit)."""
        self.token(kernels.MINT, ATTACKER, 0, amount)

    def burn_tokens(self, amount: int) -> None:
        """Take them back (a deposit withdrawn)."""
        self.token(kernels.BURN, ATTACKER, 0, amount)

    def hand_over(self, source: int, target: int, amount: int) -> None:
        """Move tokens between accounts without pay."""
        self.token(kernels.TRANSFER, source, target, amount)

    def empower(self, account: int, delegatee: int) -> None:
        """Delegate an account's votes."""
        self.token(kernels.DELEGATE, account, delegatee, 0)

    def buy(self, amount: int) -> int:
        """The attacker buys from the pool; the cents paid."""
        paid = self.pool.buy(amount)
        self.pay(CASH_ATTACKER, CASH_POOL, paid)
        self.token(kernels.TRANSFER, POOL, ATTACKER, amount)
        self.paid += paid
        return paid

    def sell(self, amount: int, stolen: bool = False) -> int:
        """The attacker sells to the pool; the cents received."""
        received = self.pool.sell(amount)
        self.pay(CASH_POOL, CASH_ATTACKER, received)
        self.token(kernels.TRANSFER, ATTACKER, POOL, amount)
        if stolen:
            self.loot += received
        else:
            self.resold += received
        return received

    def arbitrage(self) -> None:
        """Others trade the pool back to the fair price, as far as they have the means."""
        wanted = self.pool.off_fair(self.fair)
        if wanted > 0:
            wanted = min(wanted, self.balance(OTHERS))
            self.pay(CASH_POOL, CASH_OTHERS, self.pool.sell(wanted))
            self.token(kernels.TRANSFER, OTHERS, POOL, wanted)
        elif wanted < 0 and self.pool.price_to_buy(-wanted) <= self.cents[CASH_OTHERS]:
            self.pay(CASH_OTHERS, CASH_POOL, self.pool.buy(-wanted))
            self.token(kernels.TRANSFER, POOL, OTHERS, -wanted)

    def fee(self, target: int, cents: int) -> None:
        """The attacker pays a fee."""
        self.pay(CASH_ATTACKER, target, cents)
        self.fees += cents

    def books_balance(self) -> bool:
        """Whether cents are conserved, and the pool's book agrees with its accounts."""
        with compile_lock(kernels.balanced):
            fits = bool(kernels.balanced(self.cents, self.totals))
        agrees = self.pool.cents == self.cents[CASH_POOL] and self.pool.tokens == self.balance(POOL)
        held = int(self.tokens[:ACCOUNTS, V_BALANCE].sum())
        return fits and agrees and held == self.token(kernels.SUPPLY, 0, 0, 0)
