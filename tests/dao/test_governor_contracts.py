"""The governor against OpenZeppelin's contracts: random histories, every answer and every state.

Both sides get the same operations. After each one the answers are compared: the error of a revert
with the kernel's result code. If it was accepted, so is what it may have changed: the proposal's
state, snapshot, deadline, eta, tallies, voters and quorum, and the six parameters; or each
account's balance, delegate and votes, the supply, and votes and supply one step before. If it was
refused, the kernel must show what it showed before. Whenever the clocks move (after every fourth
operation), everything is compared: all slots, all accounts, votes and supply at every snapshot of
a slot, and what executed calls have set.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter

import numpy as np
import pytest

from daogym.envs.dao import results
from daogym.envs.dao.governor_layout import (
    ACTIVE,
    CANCELED,
    DEFEATED,
    EMPTY,
    EXECUTED,
    EXPIRED,
    G_LATE_QUORUM_EXTENSION,
    G_MIN_DELAY_S,
    G_PROPOSAL_THRESHOLD,
    G_QUORUM_NUMERATOR,
    G_VOTING_DELAY,
    G_VOTING_PERIOD,
    GOVERNED,
    GUARDIAN_UNSET,
    NO_GUARDIAN,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_ID,
    P_KIND,
    P_PROPOSER,
    P_SNAPSHOT,
    P_TARGET,
    P_VOTED,
    PAYLOAD_CALL,
    PAYLOAD_FAILS,
    PAYLOAD_PARAMETER,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from daogym.envs.dao.governor_rules import openzeppelin_rules
from daogym.envs.dao.votes import MAX_VOTES, NOT_PAST, current_votes, past_supply, past_votes

from .evm import reason_to_skip
from .twins import (
    ACCOUNTS,
    ADDRESSES,
    CALL_IF_OPEN,
    CALL_SET,
    ERRORS,
    SLOT_NUMBERS,
    SLOTS,
    ContractDao,
    Int,
    KernelDao,
)

SKIP = reason_to_skip()
pytestmark = [
    pytest.mark.kernel,
    pytest.mark.skipif(SKIP is not None, reason=str(SKIP)),
]

SEEDS = 210
OPERATIONS = 480
"""Of each seed, without the moves of the clocks."""
ENDED = (CANCELED, DEFEATED, EXPIRED, EXECUTED)
PARAMETERS = ("delay", "period", "threshold", "quorum", "min delay", "extension")
EXPECTED = [
    *("propose", "vote", "delegate", "transfer", "mint", "burn", "queue", "execute"),
    *("cancel by proposer", "cancel by guardian", "cancel of a queued proposal"),
    *("vote that reaches quorum", "vote that reaches quorum late", "execute after a failure"),
    *(f"change of {parameter}" for parameter in PARAMETERS),
    *(f"refused: {error}" for error in [*ERRORS.values(), "Closed", "Never"]),
]
"""What each half of the histories must hold at least 100 times."""


def assert_equal(seen: Int, shown: Int, operation: str) -> None:
    """What the kernel has is what the contract shows."""
    differ = np.flatnonzero(seen != shown)
    assert differ.size == 0, (operation, differ, seen[differ], shown[differ])


class History:
    """A random history of one DAO on both sides, with a liking for rare states."""

    def __init__(self, seed: int, counts: Counter[str]) -> None:
        self.rng = random.Random(seed)
        self.counts = counts
        rng = self.rng
        # Where tokens move a lot, traces fill up and must forget what no proposal needs.
        self.trade = 2.0 if seed % 4 < 2 else 0.5
        period = rng.randint(3, 10)
        rules = openzeppelin_rules(
            voting_delay=rng.randint(0, 4),
            voting_period=period,
            proposal_threshold=rng.choice([0, 0, rng.randint(1, 300)]),
            quorum_numerator=rng.randint(0, 40),
            min_delay_s=rng.choice([0, rng.randint(1, 60)]),
            late_quorum_extension=rng.randint(0, period),
            guardian=rng.choice([ACCOUNTS - 1] * 4 + [NO_GUARDIAN, GUARDIAN_UNSET]),
        )
        self.kernel = KernelDao(rules, 100, 1000)
        self.contract = ContractDao(rules, 100, 1000)
        self.serial = 0
        self.payloads: dict[int, tuple[int, int, int]] = {}
        self.identities: dict[int, int] = {}
        self.evicted: list[int] = []
        self.failed: set[int] = set()
        self.seen = self.kernel.observe([self.kernel.step - 1])
        for account in range(ACCOUNTS):
            self.mint(account, rng.randint(0, 1000))
            if rng.random() < 0.7:
                self.delegate(account, account)
        self.move_clocks(1, 12)

    # What is compared

    def compare(
        self, operation: str, code: int, error: str | None, slot: int = -1, called: str = ""
    ) -> None:  # fmt: skip
        """Answers of both sides; where both accept, also what the operation may have changed."""
        name = called if code == results.CALL_FAILED else ERRORS.get(code)
        assert (code == results.DONE) == (error is None), (operation, code, error)
        assert error == name, (operation, code, error)
        before, self.seen = self.seen, self.kernel.observe([self.kernel.step - 1])
        self.counts[operation if code == results.DONE else "refused"] += 1
        if code != results.DONE:
            self.counts[f"refused: {error}"] += 1
            unchanged = map(np.array_equal, before, self.seen)
            assert all(unchanged), f"{operation} was refused and changed something"
        elif slot < 0:
            shown = self.contract.observe_token([self.kernel.step - 1])
            assert_equal(self.seen[1], shown, operation)
        else:
            of_slot = self.seen[0][slot * SLOT_NUMBERS : (slot + 1) * SLOT_NUMBERS]
            seen = np.concatenate([of_slot, self.seen[0][-GOVERNED:]])
            assert_equal(seen, self.contract.observe_governor([slot]), operation)

    def move_clocks(self, steps: int, seconds: int) -> None:
        kernel = self.kernel
        kernel.step += steps
        kernel.time_s += seconds
        self.contract.set_clocks(kernel.step, kernel.time_s)
        taken = kernel.proposals[kernel.proposals[:, P_ID] != 0, P_SNAPSHOT]
        past = sorted({int(t) for t in taken if t < kernel.step} | {kernel.step - 1})
        of_governor, of_token = kernel.observe(past)
        assert_equal(of_governor, self.contract.observe_governor(), "clocks")
        assert_equal(of_token, self.contract.observe_token(past), "clocks")
        self.seen = kernel.observe([kernel.step - 1])
        assert self.contract.target_value() == kernel.target_value

    # Operations on both sides

    def mint(self, account: int, amount: int) -> None:
        code, error = self.kernel.mint(account, amount), self.contract.mint(account, amount)
        self.compare("mint", code, error)

    def burn(self, account: int, amount: int) -> None:
        code, error = self.kernel.burn(account, amount), self.contract.burn(account, amount)
        self.compare("burn", code, error)

    def transfer(self, sender: int, receiver: int, amount: int) -> None:
        code = self.kernel.transfer(sender, receiver, amount)
        self.compare("transfer", code, self.contract.transfer(sender, receiver, amount))

    def delegate(self, account: int, delegatee: int) -> None:
        code = self.kernel.delegate(account, delegatee)
        self.compare("delegate", code, self.contract.delegate(account, delegatee))

    def propose(self, account: int, serial: int) -> None:
        """Propose content number `serial`; what was accepted before has the id of that time."""
        payload = self.payloads[serial]
        known = serial in self.identities
        highest = max(self.identities.values(), default=0)
        identity = self.identities[serial] if known else highest + 1
        code, slot = self.kernel.propose(account, identity, payload)
        if code == results.NO_FREE_SLOT:
            self.counts["(no free slot)"] += 1
            return
        error, id_there = self.contract.propose(account, serial, payload)
        if code == results.DONE:
            self.identities[serial] = identity
            before = self.contract.place(slot, id_there, serial)
            if before != 1:
                self.evicted.append(before)
        self.compare("propose", code, error, slot)

    def vote(self, slot: int, account: int, support: int) -> None:
        proposal = self.kernel.proposals[slot]
        extended = int(proposal[P_EXTENDED])
        code = self.kernel.vote(slot, account, support)
        self.compare("vote", code, self.contract.vote(slot, account, support), slot)
        if code == results.DONE and extended == 0 and proposal[P_EXTENDED] > 0:
            late = proposal[P_EXTENDED] > proposal[P_SNAPSHOT] + proposal[P_DURATION]
            self.counts["vote that reaches quorum" + (" late" if late else "")] += 1

    def queue(self, slot: int) -> None:
        self.compare("queue", self.kernel.queue(slot), self.contract.queue(slot), slot)

    def execute(self, slot: int) -> None:
        identity, kind, target = self.kernel.proposals[slot, [P_ID, P_KIND, P_TARGET]].tolist()
        code = self.kernel.execute(slot)
        called = "Never" if kind == PAYLOAD_FAILS else "Closed"
        self.compare("execute", code, self.contract.execute(slot), slot, called)
        if code == results.DONE:
            if identity in self.failed:
                self.counts["execute after a failure"] += 1
            if kind == PAYLOAD_PARAMETER:
                self.counts[f"change of {PARAMETERS[target]}"] += 1
        elif code not in (results.UNEXPECTED_STATE, results.NOT_READY):
            self.failed.add(identity)

    def cancel(self, slot: int, caller: int, state: int) -> None:
        proposer = int(self.kernel.proposals[slot, P_PROPOSER])
        code = self.kernel.cancel(slot, caller)
        by = "proposer" if caller == proposer else "guardian"
        self.compare(f"cancel by {by}", code, self.contract.cancel(slot, caller), slot)
        if code == results.DONE and state == QUEUED:
            self.counts["cancel of a queued proposal"] += 1

    # Which operation comes next

    def next_operation(self) -> None:
        """One operation, and sometimes the clocks move first."""
        rng, kernel = self.rng, self.kernel
        if rng.random() < 0.25:
            self.advance()
        slots: dict[int, list[int]] = {}
        for slot, state in enumerate(kernel.states()):
            slots.setdefault(state, []).append(slot)
        free = any(state in slots for state in (EMPTY, *ENDED))
        chances = {
            "propose": 1.6 if free else 0.05,
            "vote": 5.0 if ACTIVE in slots else 0.4,
            "queue": 2.0 if SUCCEEDED in slots else 0.15,
            "execute": 3.0 if QUEUED in slots else 0.15,
            "cancel": 0.45,
            "transfer": self.trade,
            "delegate": self.trade,
            "mint": 0.15,
            "burn": 0.15,
            "gate": 0.5,
        }
        operation = rng.choices(list(chances), list(chances.values()))[0]
        getattr(self, f"_any_{operation}")(slots)

    def advance(self) -> None:
        """Move the clocks a little, or to where something happens."""
        rng, kernel = self.rng, self.kernel
        steps, seconds = rng.choice([(1, 12), (1, rng.randint(0, 30)), (2, 24), (0, 5)])
        slot = rng.randrange(SLOTS)
        proposal = kernel.proposals[slot]
        if rng.random() < 0.35 and proposal[P_ID] != 0:
            end = int(max(proposal[P_SNAPSHOT] + proposal[P_DURATION], proposal[P_EXTENDED]))
            snapshot, eta_s = int(proposal[P_SNAPSHOT]), int(proposal[P_ETA_S])
            step = rng.choice([snapshot, snapshot + 1, end, end + 1])
            second = rng.choice([eta_s, eta_s, eta_s - 1])
            steps = step - kernel.step if step > kernel.step else steps
            seconds = second - kernel.time_s if second > kernel.time_s else seconds
        self.move_clocks(steps, seconds)
        self.counts["(clocks moved)"] += 1

    def _some_slot(self, slots: dict[int, list[int]], state: int, share: float) -> int:
        if state in slots and self.rng.random() < share:
            return self.rng.choice(slots[state])
        return self.rng.randrange(SLOTS)

    def _any_propose(self, slots: dict[int, list[int]]) -> None:
        rng = self.rng
        account = rng.randrange(ACCOUNTS)
        if rng.random() < 0.6:
            account = max(range(ACCOUNTS), key=lambda i: current_votes(self.kernel.votes, i))
        if self.identities and rng.random() < 0.08:
            self.propose(account, rng.choice(list(self.identities)))
            return
        self.serial += 1
        self.payloads[self.serial] = self._any_payload()
        self.propose(account, self.serial)

    def _any_payload(self) -> tuple[int, int, int]:
        rng = self.rng
        kind = rng.random()
        if kind < 0.02:
            return PAYLOAD_FAILS, 0, rng.randint(0, 9)
        if kind < 0.35:
            target = CALL_IF_OPEN if rng.random() < 0.8 else CALL_SET
            return PAYLOAD_CALL, target, rng.randint(0, 10**6)
        period = int(self.kernel.settings[G_VOTING_PERIOD])
        value = {
            G_VOTING_DELAY: rng.randint(0, 4),
            G_VOTING_PERIOD: rng.choice([0, *range(2, 11)]),
            G_PROPOSAL_THRESHOLD: rng.randint(0, 300),
            G_QUORUM_NUMERATOR: rng.choice([*range(0, 50, 5), 101]),
            G_MIN_DELAY_S: rng.randint(0, 60),
            G_LATE_QUORUM_EXTENSION: rng.randint(0, period + 1),
        }
        parameter = rng.choice(list(value))
        return PAYLOAD_PARAMETER, parameter, value[parameter]

    def _any_vote(self, slots: dict[int, list[int]]) -> None:
        support = self.rng.choice([0, 1, 1, 1, 1, 2, 3])
        slot = self._some_slot(slots, ACTIVE, 0.95)
        voted = int(self.kernel.proposals[slot, P_VOTED])
        left = [account for account in range(ACCOUNTS) if not voted >> account & 1]
        again = not left or self.rng.random() < 0.15
        self.vote(slot, self.rng.randrange(ACCOUNTS) if again else self.rng.choice(left), support)

    def _any_queue(self, slots: dict[int, list[int]]) -> None:
        self.queue(self._some_slot(slots, SUCCEEDED, 0.9))

    def _any_execute(self, slots: dict[int, list[int]]) -> None:
        slot = self._some_slot(slots, QUEUED, 0.9)
        before = self.counts["refused: Closed"]
        self.execute(slot)
        if self.counts["refused: Closed"] > before and self.rng.random() < 0.3:
            self._set_gate(True)
            self.execute(slot)

    def _any_cancel(self, slots: dict[int, list[int]]) -> None:
        slot = self._some_slot(slots, self.rng.choice([PENDING, QUEUED]), 0.7)
        proposer = int(self.kernel.proposals[slot, P_PROPOSER])
        caller = self.rng.choice([proposer, ACCOUNTS - 1, self.rng.randrange(ACCOUNTS)])
        self.cancel(slot, caller, self.kernel.states()[slot])

    def _any_transfer(self, slots: dict[int, list[int]]) -> None:
        sender, receiver = self.rng.randrange(ACCOUNTS), self.rng.randrange(-1, ACCOUNTS)
        balance = int(self.kernel.votes[sender, 0])
        amount = self.rng.choice([0, balance, balance + 1, self.rng.randint(0, balance)])
        self.transfer(sender, receiver, amount)

    def _any_delegate(self, slots: dict[int, list[int]]) -> None:
        account = self.rng.randrange(ACCOUNTS)
        self.delegate(account, self.rng.choice([account, self.rng.randrange(-1, ACCOUNTS)]))

    def _any_mint(self, slots: dict[int, list[int]]) -> None:
        amount = self.rng.choice([0, self.rng.randint(0, 300), MAX_VOTES])
        self.mint(self.rng.randrange(ACCOUNTS), amount)

    def _any_burn(self, slots: dict[int, list[int]]) -> None:
        account = self.rng.randrange(ACCOUNTS)
        balance = int(self.kernel.votes[account, 0])
        amount = self.rng.choice([0, self.rng.randint(0, balance), balance + 1])
        self.burn(account, amount)

    def _any_gate(self, slots: dict[int, list[int]]) -> None:
        self._set_gate(self.rng.random() < 0.4)

    def _set_gate(self, is_open: bool) -> None:
        self.kernel.gate_open = is_open
        self.contract.set_gate(is_open)
        self.counts["open or close the gate"] += 1


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1])
def test_random_histories_agree_with_the_contracts(
    part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    counts: Counter[str] = Counter()
    started = time.perf_counter()
    operations = 0
    for seed in range(part, SEEDS, 2):
        history = History(seed, counts)
        for _ in range(OPERATIONS):
            history.next_operation()
        operations += OPERATIONS
        for identity in history.evicted:
            assert history.contract.state(identity) in ENDED
            counts["(slot reused)"] += 1
    seconds = time.perf_counter() - started
    lines = [f"{operations} operations over {len(range(part, SEEDS, 2))} seeds, {seconds:.1f} s:"]
    lines += [f"  {name}: {count}" for name, count in sorted(counts.items())]
    with capsys.disabled():
        print("\n" + "\n".join(lines), file=sys.stderr)
    counted = {name: count for name, count in counts.items() if not name.startswith("(")}
    assert min(counted.values()) >= 100, counted
    assert set(EXPECTED) <= set(counted)


def test_the_present_is_not_the_past() -> None:
    rules = openzeppelin_rules(
        voting_delay=0, voting_period=1, proposal_threshold=0, quorum_numerator=0, min_delay_s=0
    )
    kernel, contract = KernelDao(rules, 100, 1000), ContractDao(rules, 100, 1000)
    for timepoint in (100, 101):
        asked = contract.token.call(ADDRESSES[0], "getPastTotalSupply(uint256)", timepoint)
        assert asked.error == "ERC5805FutureLookup"
        assert past_supply(kernel.votes, timepoint, 100) == NOT_PAST
        asked = contract.token.call(
            ADDRESSES[0], "getPastVotes(address,uint256)", ADDRESSES[1], timepoint
        )
        assert asked.error == "ERC5805FutureLookup"
        assert past_votes(kernel.votes, 1, timepoint, 100) == NOT_PAST
