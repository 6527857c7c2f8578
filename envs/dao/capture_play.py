"""One capture case in play: a lane of the governor with members, a pool, a guardian and books."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from daogym.envs.core.compiled import compile_lock
from daogym.envs.core.layout import Int
from daogym.envs.core.random import root_keys

from . import capture_kernels as kernels
from .ballots import (
    ARRIVALS_PER_STEP,
    BALLOT_COUNT,
    BALLOT_NEXT,
    BALLOT_READ,
    BALLOT_ROWS,
    MEMBER_MASK,
    MEMBER_SHIFT,
    NEVER,
    PLACES_PER_STEP,
    STEP_SHIFT,
    SUPPORT_MASK,
    SUPPORT_SHIFT,
    VOTES_MASK,
)
from .capture_charter import SUPPLY, CaptureCharter, Rules
from .capture_kernels import LIVE_VOTES, SNAPSHOT_VOTES
from .capture_market import MICRO, Pool
from .counting import FOR
from .electorate import Electorate, ElectorateSettings, draw_electorate
from .governor_layout import (
    CANCELED,
    DEFEATED,
    G_TIMELOCK,
    NO_GUARDIAN,
    P_AGAINST,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_SNAPSHOT,
    PROPOSAL_WIDTH,
    QUEUED,
    SUCCEEDED,
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


@dataclass(frozen=True)
class Ballot:
    """One vote as it was counted; voters below 0 are accounts: -1 - account."""

    slot: int
    step: int
    voter: int
    support: int
    votes: int


@dataclass
class Payload:
    """What a proposal would execute, and what members see in it."""

    appeal: float
    harmful: bool
    """Whether executing the code as it stands does harm that anyone can see."""
    mutable: bool = False
    """Whether the code can be swapped after the vote; a reader of the code sees it."""
    swapped: bool = False


class Refused(RuntimeError):
    """The governor or the books refused what the story needs."""


@lru_cache(maxsize=64)
def turned_out(settings: ElectorateSettings, turnout: float) -> Electorate:
    """The electorate with every participation multiplied by `turnout`."""
    changed = settings.turnout.model_copy(update={"factor": turnout})
    return draw_electorate(settings.model_copy(update={"turnout": changed}), [0.5])


def _voter(event: int) -> int:
    return (event >> MEMBER_SHIFT) & MEMBER_MASK


class Play:
    """State of a case and the moves that its story is made of; the rules answer, not the story."""

    def __init__(self, charter: CaptureCharter, rules: Rules, seed: int) -> None:
        self.charter, self.rules = charter, rules
        self.key = root_keys([seed])[0]
        self.step, self.time_s = START, START * charter.step_s
        self.identity = 0
        token = charter.token
        units = charter.units
        holdings = {
            POOL: units(token.pool), OTHERS: units(token.others),
            TREASURY: units(token.treasury), EXCHANGE: units(token.exchange),
        }  # fmt: skip
        values = openzeppelin_rules(
            voting_delay=rules.voting_delay,
            voting_period=rules.voting_period,
            proposal_threshold=units(rules.threshold_tokens),
            quorum_numerator=rules.quorum_percent,
            min_delay_s=rules.timelock_s,
            late_quorum_extension=rules.late_quorum_extension,
            guardian=NO_GUARDIAN if rules.guardian is None else GUARDIAN,
            static_supply=SUPPLY - sum(holdings.values()),
        )
        self.static = SUPPLY - sum(holdings.values())
        values[G_TIMELOCK] = 1 if rules.timelock_s > 0 else 0
        self.settings = np.zeros(settings_width(SLOTS), dtype=np.int64)
        self.proposals = np.zeros((SLOTS, PROPOSAL_WIDTH), dtype=np.int64)
        self.tokens = np.zeros((ACCOUNTS + 1, votes_width(SLOTS)), dtype=np.int64)
        with compile_lock(kernels.begin_lane):
            kernels.begin_lane(self.settings, self.proposals, self.tokens, values, 0)
        self.payloads: dict[int, Payload] = {}
        self.seen_s: dict[int, int] = {}
        self.turnout: dict[int, float] = {}
        self.called: set[int] = set()
        self.drawn: set[int] = set()
        self.carried: set[int] = set()
        self.live: set[int] = set()
        self.supply_at_vote = SUPPLY

        voters = len(turned_out(charter.electorate, 1.0).weights)
        self.clock = np.zeros((BALLOT_ROWS, 2 * SLOTS), dtype=np.int64)
        self.clock[BALLOT_NEXT] = NEVER
        self.events = np.zeros((2 * SLOTS, voters + 1), dtype=np.int64)

        for account, amount in holdings.items():
            self._token(kernels.MINT, account, 0, amount, at=0)
        for account in (ATTACKER, ALLY):
            self._token(kernels.DELEGATE, account, account, 0, at=0)

        self.fair = self.fair_before = token.price_microcents * token.supply // SUPPLY
        pool_cents = token.price_microcents * token.pool // MICRO
        self.pool = Pool(holdings[POOL], pool_cents, token.pool_fee_bps)
        self.cents = np.zeros(CASH_ACCOUNTS, dtype=np.int64)
        self.totals = np.zeros((OPENING + 1, 2), dtype=np.int64)
        attacker = charter.attacker
        opening = {
            CASH_TREASURY: charter.prize.treasury_cents,
            CASH_ATTACKER: attacker.cash_cents,
            CASH_POOL: pool_cents,
            CASH_OTHERS: 10 * (pool_cents + attacker.cash_cents + charter.prize.treasury_cents),
            CASH_LENDER: attacker.flash_cents,
        }  # fmt: skip
        for account, amount in opening.items():
            with compile_lock(kernels.open_account):
                code = kernels.open_account(self.cents, self.totals, OPENING, account, amount)
            self._expect(code, "opening balance")
        self.opening = self.cents.copy()
        self.paid, self.fees, self.resold, self.loot = 0, 0, 0, 0
        self.stolen_tokens = 0

        self.timeline: list[Event] = []
        self.ballots: list[Ballot] = []
        self.tallies: list[tuple[int, ...]] = []
        self.last_tally: tuple[int, ...] = (0, 0, 0, -1)
        self.attack_slot = -1
        self.captured_from = -1
        self.in_force: list[bool] = []
        self.spot: list[int] = []
        self.published: list[float] = []
        self.oracle_price = float("nan")

    # --- the acts -------------------------------------------------------------------------------

    def _expect(self, code: int, what: str) -> None:
        if code != DONE:
            raise Refused(f"{self.charter.name}, step {self.now}: {what} was refused, code {code}")

    def _governor(
        self, what: int, slot: int = 0, account: int = 0, value: int = 0, more: int = 0,
        last: int = 0,
    ) -> int:  # fmt: skip
        with compile_lock(kernels.governor_act):
            return int(kernels.governor_act(
                what, self.settings, self.proposals, self.tokens, self.step, self.time_s, slot,
                account, value, more, last,
            ))  # fmt: skip

    def _token(
        self, what: int, account: int, other: int, amount: int, at: int | None = None
    ) -> int:
        with compile_lock(kernels.token_act):
            code = int(kernels.token_act(
                what, self.tokens, self.proposals, self.step if at is None else at, account, other,
                amount,
            ))  # fmt: skip
        if what in (kernels.MINT, kernels.BURN, kernels.TRANSFER, kernels.DELEGATE):
            self._expect(code, "a move of tokens")
        return code

    def pay(self, source: int, target: int, cents: int) -> None:
        """Move money between accounts."""
        with compile_lock(kernels.move_cents):
            code = kernels.move_cents(self.cents, source, target, cents)
        self._expect(code, f"a payment of {cents} cents from account {source}")

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
        return self._governor(kernels.STATE, slot)

    def deadline(self, slot: int) -> int:
        """Last step of voting, from the story's first."""
        row = self.proposals[slot]
        return int(max(row[P_SNAPSHOT] + row[P_DURATION], row[P_EXTENDED])) - START

    def needed(self, slot: int) -> int:
        """Quorum in base units; the snapshot must be past."""
        return self._governor(kernels.NEEDED, slot)

    def tally(self, slot: int) -> tuple[int, int, int]:
        """Against, For, Abstain."""
        against, in_favour, abstain = self.proposals[slot, P_AGAINST : P_AGAINST + 3].tolist()
        return against, in_favour, abstain

    def balance(self, account: int) -> int:
        """Base units that an account has."""
        return int(self.tokens[account, V_BALANCE])

    # --- time -----------------------------------------------------------------------------------

    def tick(self) -> None:
        """One step: members' ballots are drawn and counted, the guardian looks, books are kept."""
        self.close_step()
        self.step += 1
        self.time_s += self.charter.step_s
        for slot in sorted(self.live):
            self._members(slot)
            self._guard(slot)
        if self.captured_from >= 0 and self.charter.prize.grab_cents_per_step > 0:
            self.take(min(self.charter.prize.grab_cents_per_step, int(self.cents[CASH_TREASURY])))

    def close_step(self) -> None:
        """Write down what stands at the end of the step."""
        if self.attack_slot in self.live:
            self._look()
        self.tallies.append(self.last_tally)
        self.in_force.append(self.captured_from >= 0)
        self.spot.append(self.pool.price_microcents())
        self.published.append(self.oracle_price)

    def _look(self) -> None:
        slot = self.attack_slot
        self.last_tally = (*self.tally(slot), self.deadline(slot))

    def run_to(self, moment: int) -> None:
        """Let time pass until this step of the story."""
        while self.now < moment and not self.ended:
            self.tick()

    def run_out(self) -> None:
        """Let time pass to the horizon."""
        self.run_to(self.charter.horizon)

    # --- proposals and votes --------------------------------------------------------------------

    def propose(self, account: int, payload: Payload, turnout: float, text: str) -> int:
        """A proposal of an account; the slot, or -1 where the governor refused it."""
        self.identity += 1
        slot = self._governor(kernels.PROPOSE, 0, account, self.identity)
        if slot < 0:
            self.note("refused", f"proposal refused, code {-slot}")
            return -1
        self.payloads[slot], self.turnout[slot] = payload, turnout
        self.attack_slot = slot
        self.live.add(slot)
        self.note("propose", text)
        self._members(slot)
        return slot

    def vote(self, slot: int, account: int, support: int = FOR) -> int:
        """An account votes; the votes that were counted."""
        before = self.tally(slot)[support]
        source = SNAPSHOT_VOTES if self.rules.snapshot else LIVE_VOTES
        code = self._governor(kernels.VOTE, slot, account, support, source, self.rules.cooldown)
        if code != DONE:
            self.note("refused", f"vote refused, code {code}")
            return 0
        weight = self.tally(slot)[support] - before
        self.supply_at_vote = self._token(kernels.SUPPLY, 0, 0, 0) + self.static
        self.ballots.append(Ballot(slot, self.now, -1 - account, support, weight))
        self.note("vote", f"{weight / SUPPLY:.2%} of the supply voted by the attacker")
        return weight

    def revert(self, slot: int, row: Int) -> None:
        """Undo the attacker's last vote: a transaction that fails leaves the proposal as it was."""
        self.proposals[slot] = row
        if self.ballots and self.ballots[-1].voter < 0:
            self.ballots.pop()
        self.note("reverted", "the transaction fails as a whole")

    def emergency(self, slot: int) -> bool:
        """Ask for the emergency commit."""
        source = SNAPSHOT_VOTES if self.rules.snapshot else LIVE_VOTES
        code = self._governor(
            kernels.EMERGENCY, slot, 0, self.rules.emergency_percent * 10_000, source
        )
        self.note("emergency", "emergency commit " + ("carried" if code == DONE else "refused"))
        return code == DONE

    def _members(self, slot: int) -> None:
        row = self.proposals[slot]
        snapshot = int(row[P_SNAPSHOT])
        if slot not in self.drawn and self.step >= snapshot:
            self.drawn.add(slot)
            self._draw(slot, slot, snapshot, int(row[P_DURATION]), self.turnout[slot], 0)
        put_off = row[P_EXTENDED] > snapshot + row[P_DURATION]
        if slot in self.drawn and slot not in self.called and put_off:
            left = int(row[P_EXTENDED]) - self.step
            if left > 0:
                self.called.add(slot)
                self.note("extended", f"deadline put off to step {self.deadline(slot)}")
                attention = self.charter.attention
                self._draw(slot, SLOTS + slot, self.step, left, attention.called_turnout, 1)
        for ballots in (slot, SLOTS + slot):
            if self.clock[BALLOT_NEXT, ballots] <= self.step:
                self._count(slot, ballots)

    def _draw(
        self, slot: int, row: int, start: int, period: int, turnout: float, called: int
    ) -> None:
        """Ballots of the members who come; who has one already is left out when called again."""
        drawn = turned_out(self.charter.electorate, turnout)
        number = start * PLACES_PER_STEP + ARRIVALS_PER_STEP + (slot + 2 * called) % 4
        with compile_lock(kernels.draw_members):
            kernels.draw_members(
                self.key, number, start, period, self.payloads[slot].appeal, drawn.ints,
                drawn.floats, self.clock, self.events, row,
            )  # fmt: skip
        if called:
            earlier = self.events[slot, : self.clock[BALLOT_COUNT, slot]]
            voted = {_voter(event) for event in earlier.tolist()}
            events = self.events[row, : self.clock[BALLOT_COUNT, row]]
            kept = [event for event in events.tolist() if _voter(event) not in voted]
            self.events[row, : len(kept)] = kept
            self.clock[BALLOT_COUNT, row] = len(kept)
            first = start + (kept[0] >> STEP_SHIFT) if kept else NEVER
            self.clock[BALLOT_NEXT, row] = first

    def _count(self, slot: int, row: int) -> None:
        read = int(self.clock[BALLOT_READ, row])
        due = np.zeros(3, dtype=np.int64)
        with compile_lock(kernels.count_members):
            code = kernels.count_members(
                self.settings, self.proposals, self.tokens, self.step, slot, self.clock,
                self.events, row, due,
            )  # fmt: skip
        if code != DONE:
            return
        for event in self.events[row, read : self.clock[BALLOT_READ, row]].tolist():
            support = (event >> SUPPORT_SHIFT) & SUPPORT_MASK
            self.ballots.append(Ballot(slot, self.now, _voter(event), support, event & VOTES_MASK))

    def _guard(self, slot: int) -> None:
        """The guardian vetoes what has passed, once it has seen the harm for long enough."""
        guardian = self.rules.guardian
        if guardian is None or self.state(slot) not in (SUCCEEDED, QUEUED):
            return
        payload = self.payloads[slot]
        seen = payload.harmful or (guardian.reads_code and payload.mutable)
        if not seen:
            return
        since = self.seen_s.setdefault(slot, self.time_s)
        if self.time_s >= since + guardian.reaction_s:
            self._expect(self._governor(kernels.CANCEL, slot, GUARDIAN), "the veto")
            self.note("veto", "the guardian cancels the proposal")

    def push(self, slot: int, swap_after_s: int | None = None) -> bool:
        """The attacker queues and executes as soon as the governor lets it; whether it did.

        With `swap_after_s` the payload's code is swapped so long after success was seen.
        """
        executed = self._push(slot, swap_after_s)
        self._look()
        self.live.discard(slot)
        return executed

    def _push(self, slot: int, swap_after_s: int | None) -> bool:
        queued_s = -1
        while not self.ended:
            state = self.state(slot)
            if state in (CANCELED, DEFEATED):
                self.note("defeated" if state == DEFEATED else "canceled", "the proposal is over")
                return False
            if state == SUCCEEDED and queued_s < 0:
                queued_s = self.time_s
                self.carried.add(slot)
                self.note("passed", "the proposal is carried")
                if self.rules.timelock_s > 0:
                    self._expect(self._governor(kernels.QUEUE, slot), "queueing")
                    eta = int(self.proposals[slot, P_ETA_S]) // self.charter.step_s - START
                    self.note("queued", f"eta at step {eta}")
            payload = self.payloads[slot]
            if swap_after_s is not None and queued_s >= 0 and not payload.swapped:
                due = self.time_s >= queued_s + swap_after_s
                if due or self.rules.timelock_s == 0:
                    payload.swapped = payload.harmful = True
                    self.note("swap", "the attacker swaps the code behind the proposal")
            ready = state == SUCCEEDED and self.rules.timelock_s == 0
            ready = ready or (
                self.state(slot) == QUEUED and self.time_s >= self.proposals[slot, P_ETA_S]
            )
            if ready:
                fits = 0 if self.rules.payload_review and payload.swapped else 1
                code = self._governor(kernels.EXECUTE, slot, 0, fits)
                if code == DONE:
                    self.note("executed", "the payload is executed")
                    return True
                self.note("refused", "the code is not the one that was voted on")
                return False
            self.tick()
        return False

    # --- money ----------------------------------------------------------------------------------

    def capture(self, grab: bool = True) -> None:
        """The captured value comes into force; the payload takes what it takes."""
        self.captured_from = self.now
        prize, token = self.charter.prize, self.charter.token
        if grab:
            self.take(min(prize.grab_cents, int(self.cents[CASH_TREASURY])))
            self.take_tokens(self.charter.units(prize.grab_tokens))
        self.fair = max(self.fair * (10_000 - token.fall_bps) // 10_000, 1)

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
            self._token(kernels.TRANSFER, TREASURY, ATTACKER, amount)
            self.stolen_tokens += amount

    def mint_tokens(self, amount: int) -> None:
        """New tokens for the attacker (fake votes, a taken mint key, a deposit)."""
        self._token(kernels.MINT, ATTACKER, 0, amount)

    def burn_tokens(self, amount: int) -> None:
        """Take them back (a deposit withdrawn)."""
        self._token(kernels.BURN, ATTACKER, 0, amount)

    def hand_over(self, source: int, target: int, amount: int) -> None:
        """Move tokens between accounts without pay."""
        self._token(kernels.TRANSFER, source, target, amount)

    def empower(self, account: int, delegatee: int) -> None:
        """Delegate an account's votes."""
        self._token(kernels.DELEGATE, account, delegatee, 0)

    def buy(self, amount: int) -> int:
        """The attacker buys from the pool; the cents paid."""
        paid = self.pool.buy(amount)
        self.pay(CASH_ATTACKER, CASH_POOL, paid)
        self._token(kernels.TRANSFER, POOL, ATTACKER, amount)
        self.paid += paid
        return paid

    def sell(self, amount: int, stolen: bool = False) -> int:
        """The attacker sells to the pool; the cents received."""
        received = self.pool.sell(amount)
        self.pay(CASH_POOL, CASH_ATTACKER, received)
        self._token(kernels.TRANSFER, ATTACKER, POOL, amount)
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
            self._token(kernels.TRANSFER, OTHERS, POOL, wanted)
        elif wanted < 0:
            self.pay(CASH_OTHERS, CASH_POOL, self.pool.buy(-wanted))
            self._token(kernels.TRANSFER, POOL, OTHERS, -wanted)

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
        return fits and agrees and held == self._token(kernels.SUPPLY, 0, 0, 0)
