"""One capture case in play: time passes, members vote, a guardian looks, the attacker pushes."""

from __future__ import annotations

import hashlib
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
from .capture_lane import CASH_TREASURY, GUARDIAN, SLOTS, START, Lane
from .counting import FOR
from .electorate import Electorate, ElectorateSettings, draw_electorate
from .governor_layout import (
    CANCELED,
    DEFEATED,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_SNAPSHOT,
    P_VALUE,
    QUEUED,
    SUCCEEDED,
)
from .results import CALL_FAILED, DONE, SNAPSHOT_FORGOTTEN

SWAPPED = "something else"
"""What the attacker deploys instead."""


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
    code: str = "as proposed"
    """Stands for what is deployed at the address that the proposal calls."""

    def code_hash(self) -> int:
        """Hash of the code as it is deployed now (the first 62 bits of its SHA-256)."""
        return int.from_bytes(hashlib.sha256(self.code.encode()).digest()[:8], "big") >> 2


class NoProposal(Exception):
    """The attacker lacks the votes that a proposal needs."""


@lru_cache(maxsize=64)
def turned_out(settings: ElectorateSettings, turnout: float) -> Electorate:
    """The electorate with every participation multiplied by `turnout`."""
    changed = settings.turnout.model_copy(update={"factor": turnout})
    return draw_electorate(settings.model_copy(update={"turnout": changed}), [0.5])


def _voter(event: int) -> int:
    return (event >> MEMBER_SHIFT) & MEMBER_MASK


class Play(Lane):
    """A case and the moves that its story is made of; whether they work, the rules decide."""

    def __init__(self, charter: CaptureCharter, rules: Rules, seed: int) -> None:
        super().__init__(charter, rules)
        self.key = root_keys([seed])[0]
        self.identity = 0
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
        self.ballots: list[Ballot] = []
        self.tallies: list[tuple[int, ...]] = []
        self.last_tally: tuple[int, ...] = (0, 0, 0, -1)
        self.attack_slot = -1
        self.captured_from = -1
        self.in_force: list[bool] = []
        self.spot: list[int] = []
        self.published: list[float] = []
        self.oracle_price = float("nan")

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
        """A proposal of an account; the slot.

        Raises:
            NoProposal: the governor refused it, which ends the story.
        """
        self.identity += 1
        # What is voted on is the code's hash: the governor keeps it as the payload's value.
        slot = self.governor(kernels.PROPOSE, 0, account, self.identity, 0, payload.code_hash())
        if slot < 0:
            self.note("refused", f"proposal refused, code {-slot}")
            raise NoProposal(f"code {-slot}")
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
        code = self.governor(kernels.VOTE, slot, account, support, source, self.rules.cooldown)
        if code == SNAPSHOT_FORGOTTEN:
            self.expect(code, "a look-up of votes")
        if code != DONE:
            self.note("refused", f"vote refused, code {code}")
            return 0
        weight = self.tally(slot)[support] - before
        self.supply_at_vote = self.token(kernels.SUPPLY, 0, 0, 0) + self.static
        self.ballots.append(Ballot(slot, self.now, -1 - account, support, weight))
        self.note("vote", f"{weight / SUPPLY:.2%} of the supply voted by the attacker")
        return weight

    def revert(self, slot: int, row: Int, counted: int) -> None:
        """A transaction that fails leaves the proposal and the `counted` ballots as they were."""
        self.proposals[slot] = row
        del self.ballots[counted:]
        self.note("reverted", "the transaction fails as a whole")

    def emergency(self, slot: int) -> bool:
        """Ask for the emergency commit."""
        source = SNAPSHOT_VOTES if self.rules.snapshot else LIVE_VOTES
        code = self.governor(
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
            self.expect(self.governor(kernels.CANCEL, slot, GUARDIAN), "the veto")
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
                    self.expect(self.governor(kernels.QUEUE, slot), "queueing")
                    eta = int(self.proposals[slot, P_ETA_S]) // self.charter.step_s - START
                    self.note("queued", f"eta at step {eta}")
            payload = self.payloads[slot]
            if swap_after_s is not None and queued_s >= 0 and payload.code != SWAPPED:
                due = self.time_s >= queued_s + swap_after_s
                if due or self.rules.timelock_s == 0:
                    payload.code, payload.harmful = SWAPPED, True
                    self.note("swap", "the attacker swaps the code behind the proposal")
            ready = state == SUCCEEDED and self.rules.timelock_s == 0
            ready = ready or (
                self.state(slot) == QUEUED and self.time_s >= self.proposals[slot, P_ETA_S]
            )
            if ready:
                same = payload.code_hash() == self.proposals[slot, P_VALUE]
                fits = 1 if same or not self.rules.payload_review else 0
                code = self.governor(kernels.EXECUTE, slot, 0, fits)
                if code == DONE:
                    self.note("executed", "the payload is executed")
                    return True
                if code != CALL_FAILED:
                    self.expect(code, "execution")
                self.note("refused", "the code is not the one that was voted on")
                return False
            self.tick()
        return False

    # --- what a captured DAO loses ----------------------------------------------------------------

    def capture(self, grab: bool = True) -> None:
        """The captured value comes into force; the payload takes what it takes."""
        self.captured_from = self.now
        prize, token = self.charter.prize, self.charter.token
        if grab:
            self.take(min(prize.grab_cents, int(self.cents[CASH_TREASURY])))
            self.take_tokens(self.charter.units(prize.grab_tokens))
        self.fair = max(self.fair * (10_000 - token.fall_bps) // 10_000, 1)
