"""One DAO twice: by the compiled kernels and by OpenZeppelin's contracts, with the same methods.

Accounts and proposal slots are numbers on both sides. Methods answer with what they were refused
with (a result code here, an error's name there) and `observe` with the same vector of numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from daogym.envs.dao import governor, governor_state, results, votes
from daogym.envs.dao.governor_layout import (
    EMPTY,
    G_GUARDIAN,
    GOVERNED,
    P_ABSTAIN,
    P_AGAINST,
    P_ETA_S,
    P_FOR,
    P_KIND,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
    P_VOTED,
    PAYLOAD_CALL,
    PAYLOAD_FAILS,
    PAYLOAD_PARAMETER,
    PROPOSAL_WIDTH,
    settings_width,
)
from daogym.envs.dao.votes import V_BALANCE, V_DELEGATE, current_votes, past_votes, votes_width

from .evm import DEPLOYER, Chain, numbers, packed, word, words

Int = NDArray[np.int64]
Payload = tuple[int, int, int]
"""Kind, target and value, as in a proposal's row."""

SLOTS = 8
ACCOUNTS = 6
ADDRESSES = [f"0x{0x1000 + i:040x}" for i in range(ACCOUNTS)]
NO_ADDRESS = "0x" + "0" * 40

CALL_SET, CALL_IF_OPEN = 0, 1
NEVER_PROPOSED = -1
SLOT_NUMBERS = 9
GOVERNOR_NUMBERS = SLOT_NUMBERS * SLOTS + GOVERNED

# Settings in the order of their columns: which contract holds them and how it changes them.
SETTERS = (
    ("governor", "setVotingDelay(uint48)"),
    ("governor", "setVotingPeriod(uint32)"),
    ("governor", "setProposalThreshold(uint256)"),
    ("governor", "updateQuorumNumerator(uint256)"),
    ("timelock", "updateDelay(uint256)"),
    ("governor", "setLateQuorumVoteExtension(uint48)"),
)

ERRORS = {
    results.UNEXPECTED_STATE: "GovernorUnexpectedProposalState",
    results.NONEXISTENT_PROPOSAL: "GovernorNonexistentProposal",
    results.INSUFFICIENT_PROPOSER_VOTES: "GovernorInsufficientProposerVotes",
    results.ID_WAS_USED: "GovernorUnexpectedProposalState",
    results.ALREADY_VOTED: "GovernorAlreadyCastVote",
    results.INVALID_VOTE_TYPE: "GovernorInvalidVoteType",
    results.UNABLE_TO_CANCEL: "GovernorUnableToCancel",
    results.NOT_READY: "TimelockUnexpectedOperationState",
    results.INVALID_VOTING_PERIOD: "GovernorInvalidVotingPeriod",
    results.INVALID_QUORUM_FRACTION: "GovernorInvalidQuorumFraction",
    results.EXTENSION_TOO_LARGE: "GovernorPreventLateQuorumVoteExtensionTooLarge",
    results.INSUFFICIENT_BALANCE: "ERC20InsufficientBalance",
    results.INVALID_RECEIVER: "ERC20InvalidReceiver",
    results.SUPPLY_EXCEEDED: "ERC20ExceededSafeSupply",
}
"""The contract's error for each result code; `CALL_FAILED` is whatever the called contract says."""


@numba.njit
def _observe(
    settings: Int, proposals: Int, tokens: Int, step: int, time_s: int, timepoints: Int, out: Int
) -> int:
    k = 0
    for slot in range(proposals.shape[0]):
        state = governor_state.state_of(settings, proposals, tokens, step, time_s, slot)
        if state == EMPTY:
            out[k] = 99
            out[k + 1 : k + SLOT_NUMBERS] = 0
        else:
            out[k] = state
            out[k + 1] = proposals[slot, P_SNAPSHOT]
            out[k + 2] = governor_state.deadline_of(proposals, slot)
            out[k + 3] = proposals[slot, P_ETA_S]
            out[k + 4] = proposals[slot, P_AGAINST]
            out[k + 5] = proposals[slot, P_FOR]
            out[k + 6] = proposals[slot, P_ABSTAIN]
            out[k + 7] = proposals[slot, P_VOTED]
            out[k + 8] = 0
            if proposals[slot, P_SNAPSHOT] < step:
                out[k + 8] = governor_state.needed_votes(settings, proposals, tokens, step, slot)
        k += SLOT_NUMBERS
    for parameter in range(GOVERNED):
        out[k] = settings[parameter]
        k += 1
    for row in range(tokens.shape[0]):
        supply = row == tokens.shape[0] - 1
        out[k] = tokens[row, V_BALANCE]
        k += 1
        if not supply:
            out[k] = 0x1000 + tokens[row, V_DELEGATE] if tokens[row, V_DELEGATE] >= 0 else 0
            out[k + 1] = current_votes(tokens, row)
            k += 2
        for j in range(timepoints.size):
            out[k] = past_votes(tokens, row, timepoints[j], step)
            k += 1
    return k


class KernelDao:
    """The kernels' side: three arrays, two clocks and a gate that lets some payloads succeed."""

    def __init__(self, rules: Int, step: int, time_s: int) -> None:
        self.settings = np.zeros(settings_width(SLOTS), dtype=np.int64)
        self.proposals = np.zeros((SLOTS, PROPOSAL_WIDTH), dtype=np.int64)
        self.votes = np.zeros((ACCOUNTS + 1, votes_width(SLOTS)), dtype=np.int64)
        self.step, self.time_s = step, time_s
        self.gate_open = False
        self.target_value = 0
        self._seen = np.zeros(2048, dtype=np.int64)
        governor.begin_governor(self.settings, self.proposals, rules, step)
        votes.begin_votes(self.votes)

    @property
    def _arrays(self) -> tuple[Int, Int, Int]:
        return self.settings, self.proposals, self.votes

    @property
    def _pins(self) -> Int:
        return self.proposals[:, P_SNAPSHOT]

    def observe(self, timepoints: Sequence[int]) -> tuple[Int, Int]:
        """What governor and token show, the token's with votes and supply at these past steps.

        It looks at a copy: the kernel notes a quorum when it first needs it, and looking must not
        be what makes it do so at the right time.
        """
        settings, proposals, tokens = self._arrays
        size = _observe(
            settings, proposals.copy(), tokens, self.step, self.time_s,
            np.array(timepoints, np.int64), self._seen,
        )  # fmt: skip
        seen = self._seen[:size].copy()
        return seen[:GOVERNOR_NUMBERS], seen[GOVERNOR_NUMBERS:]

    def states(self) -> list[int]:
        """State of each slot."""
        shown = self.observe([])[0][:-GOVERNED:SLOT_NUMBERS].tolist()
        return [EMPTY if state == 99 else state for state in shown]

    def mint(self, account: int, amount: int) -> int:
        return votes.mint(self.votes, account, amount, self.step, self._pins)

    def burn(self, account: int, amount: int) -> int:
        return votes.burn(self.votes, account, amount, self.step, self._pins)

    def transfer(self, sender: int, receiver: int, amount: int) -> int:
        return votes.transfer(self.votes, sender, receiver, amount, self.step, self._pins)

    def delegate(self, account: int, delegatee: int) -> int:
        return votes.delegate(self.votes, account, delegatee, self.step, self._pins)

    def propose(self, account: int, identity: int, payload: Payload) -> tuple[int, int]:
        now = self.step, self.time_s
        return governor.propose(*self._arrays, *now, account, identity, *payload)

    def vote(self, slot: int, account: int, support: int) -> int:
        return governor.vote(*self._arrays, self.step, slot, account, support)

    def queue(self, slot: int) -> int:
        return governor.queue(*self._arrays, self.step, self.time_s, slot)

    def execute(self, slot: int) -> int:
        kind, target = self.proposals[slot, P_KIND], self.proposals[slot, P_TARGET]
        succeeds = bool(target == CALL_SET or self.gate_open)
        result = governor.execute(*self._arrays, self.step, self.time_s, slot, succeeds)
        if result == results.DONE and kind == PAYLOAD_CALL:
            self.target_value = int(self.proposals[slot, P_VALUE])
        return result

    def cancel(self, slot: int, caller: int) -> int:
        return governor.cancel(*self._arrays, self.step, self.time_s, slot, caller)


@dataclass(frozen=True)
class Content:
    """A proposal as the contract takes it: targets, values and calls; the text and its hash."""

    calls: tuple[bytes, bytes, bytes]
    text: bytes
    digest: int


class ContractDao:
    """The contracts' side: token, timelock, governor and a target, in an EVM of their own."""

    def __init__(self, rules: Int, step: int, time_s: int) -> None:
        delay, period, threshold, numerator, min_delay, extension = rules[:GOVERNED].tolist()
        guardian = int(rules[G_GUARDIAN])
        # A guardian whom nobody is: the governor without the module behaves in this way.
        address = ADDRESSES[guardian] if guardian >= 0 else (NO_ADDRESS, "0x" + "9" * 40)[guardian]
        self.chain = Chain(step, time_s)
        self.token = self.chain.deploy("DaoToken")
        nobody, anyone = words([]), words([NO_ADDRESS])
        self.timelock = self.chain.deploy(
            "TimelockController", min_delay, nobody, anyone, DEPLOYER
        )  # fmt: skip
        self.governor = self.chain.deploy(
            "DaoGovernor", self.token.address, self.timelock.address, address,
            delay, period, threshold, numerator, extension,
        )  # fmt: skip
        for role in ("PROPOSER_ROLE()", "CANCELLER_ROLE()"):
            role_id = int.from_bytes(self.timelock.must(role), "big")
            self.timelock.must("grantRole(bytes32,address)", role_id, self.governor.address)
        self.target = self.chain.deploy("Target")
        self.ids = [1] * SLOTS  # no proposal hashes to 1
        self._contents: dict[int, Content] = {}
        self._of_slot = [NEVER_PROPOSED] * SLOTS
        self.content(NEVER_PROPOSED, (PAYLOAD_CALL, CALL_SET, 0))
        self._accounts = words(ADDRESSES)

    def set_clocks(self, step: int, time_s: int) -> None:
        self.chain.set_clocks(step, time_s)

    def observe_governor(self, slots: Sequence[int] = range(SLOTS)) -> Int:
        """The first vector of `KernelDao.observe`; of the proposals in some slots only."""
        ids = words([self.ids[slot] for slot in slots])
        shown = self.governor.must("observe(uint256[],address[])", ids, self._accounts)
        return numbers(shown)[2:]

    def observe_token(self, timepoints: Sequence[int]) -> Int:
        """The second vector of `KernelDao.observe`."""
        times = words(list(timepoints))
        return numbers(self.token.must("observe(address[],uint256[])", self._accounts, times))[2:]

    def target_value(self) -> int:
        return int.from_bytes(self.target.must("value()"), "big")

    def state(self, identity: int) -> int:
        """State of a proposal by its id in the contract."""
        return int.from_bytes(self.governor.must("state(uint256)", identity), "big")

    def set_gate(self, is_open: bool) -> None:
        self.target.must("setOpen(bool)", int(is_open))

    def mint(self, account: int, amount: int) -> str | None:
        return self.token.call(DEPLOYER, "mint(address,uint256)", ADDRESSES[account], amount).error

    def burn(self, account: int, amount: int) -> str | None:
        return self.token.call(DEPLOYER, "burn(address,uint256)", ADDRESSES[account], amount).error

    def transfer(self, sender: int, receiver: int, amount: int) -> str | None:
        to = ADDRESSES[receiver] if receiver >= 0 else NO_ADDRESS
        return self.token.call(ADDRESSES[sender], "transfer(address,uint256)", to, amount).error

    def delegate(self, account: int, delegatee: int) -> str | None:
        to = ADDRESSES[delegatee] if delegatee >= 0 else NO_ADDRESS
        return self.token.call(ADDRESSES[account], "delegate(address)", to).error

    def content(self, serial: int, payload: Payload) -> Content:
        """What proposal number `serial` is made of; its payload is that of the first call."""
        if serial not in self._contents:
            kind, target, value = payload
            if kind == PAYLOAD_PARAMETER:
                name, function = SETTERS[target]
                contract = self.governor if name == "governor" else self.timelock
            else:
                contract = self.target
                function = "setIfOpen(uint256)" if target == CALL_IF_OPEN else "set(uint256)"
                function = "fail(uint256)" if kind == PAYLOAD_FAILS else function
            data = packed(contract.data(function, value))
            calls = word(1) + word(32) + data
            text = packed(f"proposal {serial}".encode())
            digest = int.from_bytes(self.target.must("digest(string)", text), "big")
            self._contents[serial] = Content(
                (words([contract.address]), words([0]), calls), text, digest
            )
        return self._contents[serial]

    def propose(self, account: int, serial: int, payload: Payload) -> tuple[str | None, int]:
        """Error and the contract's id."""
        content = self.content(serial, payload)
        function = "propose(address[],uint256[],bytes[],string)"
        answer = self.governor.call(ADDRESSES[account], function, *content.calls, content.text)
        return answer.error, int.from_bytes(answer.data, "big")

    def place(self, slot: int, identity: int, serial: int) -> int:
        """Note which proposal a slot holds; answers the id of the one that was there."""
        before, self.ids[slot], self._of_slot[slot] = self.ids[slot], identity, serial
        return before

    def vote(self, slot: int, account: int, support: int) -> str | None:
        function = "castVote(uint256,uint8)"
        return self.governor.call(ADDRESSES[account], function, self.ids[slot], support).error

    def queue(self, slot: int) -> str | None:
        return self._by_content("queue", slot, 0)

    def execute(self, slot: int) -> str | None:
        return self._by_content("execute", slot, 1)

    def cancel(self, slot: int, caller: int) -> str | None:
        return self._by_content("cancel", slot, caller)

    def _by_content(self, name: str, slot: int, caller: int) -> str | None:
        content = self._contents[self._of_slot[slot]]
        function = f"{name}(address[],uint256[],bytes[],bytes32)"
        return self.governor.call(
            ADDRESSES[caller], function, *content.calls, content.digest
        ).error  # fmt: skip
