"""OpenZeppelin's Governor (v5.7) for one lane, in integers: proposals in slots, by step and second.

It follows ``governance/Governor.sol`` with ``GovernorSettings``, ``GovernorCountingSimple``,
``GovernorVotes``, ``GovernorVotesQuorumFraction``, ``GovernorPreventLateQuorum``,
``GovernorTimelockControl`` and ``GovernorProposalGuardian``; `governor_rules` has the settings that
make it another DAO's governor. Three int64 arrays hold a lane (columns in `governor_layout`):

* ``settings`` (`settings_width`): settings, then the trace of the quorum numerator;
* ``proposals`` (slots, `PROPOSAL_WIDTH`): two cache lines a proposal;
* ``votes``: the accounts' tokens (`votes`), made for as many pins as there are slots. Holders that
  never move their tokens count through ``G_STATIC_SUPPLY``; their ballots come by `count_weight`.

There are two clocks, ``step`` (the block number: snapshots, deadlines) and ``time_s`` (seconds, the
timelock); neither ever goes back. A proposal keeps its slot after its end until the slot is needed.
Functions answer with a code of `results`; a refusal changes nothing.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .checkpoints import begin_trace, write_value
from .counting import ABSTAIN, AGAINST, COUNT_CONVICTION, COUNT_OBJECTIONS, FOR
from .governor_layout import (
    ACTIVE,
    CANCELED,
    EMPTY,
    EXECUTED,
    EXPIRED,
    G_COUNTING,
    G_GUARDIAN,
    G_LAST_ID,
    G_LATE_QUORUM_EXTENSION,
    G_MIN_DELAY_S,
    G_NUMERATORS,
    G_ONE_LIVE_PROPOSAL,
    G_OPEN_CANCEL,
    G_PROPOSAL_THRESHOLD,
    G_QUORUM_NUMERATOR,
    G_STATIC_SUPPLY,
    G_STRICT_THRESHOLD,
    G_TIMELOCK,
    G_VOTING_DELAY,
    G_VOTING_PERIOD,
    GUARDIAN_UNSET,
    MAX_VOTERS,
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_DURATION,
    P_ETA_S,
    P_EXTENDED,
    P_FOR,
    P_ID,
    P_KIND,
    P_NEEDED,
    P_PROPOSER,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
    P_VOTED,
    PAYLOAD_CALL,
    PAYLOAD_PARAMETER,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from .governor_state import ballot_state, free_slot, quorum_is_reached, state_of
from .payloads import set_parameter
from .results import (
    ALREADY_VOTED,
    CALL_FAILED,
    DONE,
    ID_WAS_USED,
    INSUFFICIENT_PROPOSER_VOTES,
    INVALID_VOTE_TYPE,
    NO_FREE_SLOT,
    NO_VOTING_POWER,
    NONEXISTENT_PROPOSAL,
    NOT_READY,
    ONE_LIVE_PROPOSAL,
    QUEUEING_NOT_REQUIRED,
    SNAPSHOT_FORGOTTEN,
    TALLY_OVERFLOW,
    UNABLE_TO_CANCEL,
    UNEXPECTED_STATE,
    UNKNOWN_ACCOUNT,
    VETOED,
)
from .veto import veto_blocks
from .votes import MAX_VOTES, is_account, past_votes, total_supply


@kernel_function
def begin_governor(settings: Int, proposals: Int, rules: Int, step: int) -> None:
    """Start with the settings of `rules` (a vector of `governor_rules`) and no proposals."""
    for i in range(G_NUMERATORS):
        settings[i] = rules[i]
    numerators = settings[G_NUMERATORS:]
    begin_trace(numerators)
    write_value(numerators, step, rules[G_QUORUM_NUMERATOR])
    proposals[:] = 0


@kernel_function
def propose(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int,
    account: int, identity: int, kind: int, target: int, value: int,
) -> tuple[int, int]:  # fmt: skip
    """An account proposes a payload; its power is its votes one step before.

    Answers (code, slot); the slot is -1 where it was refused. See `propose_with` for the rest.
    """
    if not is_account(votes, account):
        return UNKNOWN_ACCOUNT, -1
    power = past_votes(votes, account, step - 1, step)
    return propose_with(
        settings, proposals, votes, step, time_s, power, account, identity, kind, target, value
    )


@kernel_function
def propose_with(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int, power: int,
    proposer: int, identity: int, kind: int, target: int, value: int,
) -> tuple[int, int]:  # fmt: skip
    """Someone with `power` votes proposes; a proposer that is no account has a number beyond them.

    An identity (> 0) is never used twice, not even after a cancellation. They must rise: what is
    not above the highest one that was used counts as used.
    """
    threshold = settings[G_PROPOSAL_THRESHOLD]
    if settings[G_STRICT_THRESHOLD] == 1:
        threshold += 1
    if threshold > 0 and power < threshold:
        return INSUFFICIENT_PROPOSER_VOTES, -1
    if identity <= settings[G_LAST_ID]:
        return ID_WAS_USED, -1
    if settings[G_ONE_LIVE_PROPOSAL] == 1:
        for slot in range(proposals.shape[0]):
            if proposals[slot, P_PROPOSER] == proposer and proposals[slot, P_ID] != 0:
                state = ballot_state(settings, proposals, votes, step, slot)
                if state in (PENDING, ACTIVE):
                    return ONE_LIVE_PROPOSAL, -1
    slot = free_slot(settings, proposals, votes, step, time_s)
    if slot < 0:
        return NO_FREE_SLOT, -1
    proposals[slot] = 0
    proposals[slot, P_ID] = identity
    proposals[slot, P_PROPOSER] = proposer
    proposals[slot, P_SNAPSHOT] = step + settings[G_VOTING_DELAY]
    proposals[slot, P_DURATION] = settings[G_VOTING_PERIOD]
    proposals[slot, P_NEEDED] = -1
    proposals[slot, P_KIND] = kind
    proposals[slot, P_TARGET] = target
    proposals[slot, P_VALUE] = value
    settings[G_LAST_ID] = identity
    return DONE, slot


@kernel_function
def count_weight(
    settings: Int, proposals: Int, votes: Int, step: int, slot: int, support: int, weight: int
) -> int:  # fmt: skip
    """Add votes to an active proposal's tally; the first to reach quorum may put off the deadline.

    `support` is AGAINST, FOR or ABSTAIN. This is the part of a vote that does not ask who votes;
    who calls it for holders that are not accounts sees to it that nobody counts twice.
    """
    state = ballot_state(settings, proposals, votes, step, slot)
    if state != ACTIVE:
        return NONEXISTENT_PROPOSAL if state == EMPTY else UNEXPECTED_STATE
    if support < AGAINST or support > ABSTAIN:
        return INVALID_VOTE_TYPE
    if support != AGAINST and settings[G_COUNTING] == COUNT_OBJECTIONS:
        return INVALID_VOTE_TYPE
    if settings[G_COUNTING] == COUNT_CONVICTION:
        return _stake(proposals, slot, support, weight)
    cast = proposals[slot, P_AGAINST] + proposals[slot, P_FOR] + proposals[slot, P_ABSTAIN]
    if weight < 0 or weight > MAX_VOTES - cast:
        return TALLY_OVERFLOW
    proposals[slot, P_AGAINST + support] += weight
    may_extend = proposals[slot, P_EXTENDED] == 0 and settings[G_COUNTING] != COUNT_OBJECTIONS
    if may_extend and quorum_is_reached(settings, proposals, votes, step, slot):
        proposals[slot, P_EXTENDED] = step + settings[G_LATE_QUORUM_EXTENSION]
    return DONE


@kernel_function
def _stake(proposals: Int, slot: int, support: int, weight: int) -> int:
    if support != FOR:
        return INVALID_VOTE_TYPE
    if weight < 0 or weight > MAX_VOTES - proposals[slot, P_ABSTAIN]:
        return TALLY_OVERFLOW
    proposals[slot, P_ABSTAIN] += weight
    return DONE


@kernel_function
def vote(
    settings: Int, proposals: Int, votes: Int, step: int, slot: int, account: int, support: int
) -> int:  # fmt: skip
    """An account votes with what it had at the snapshot; no votes also count as having voted."""
    state = ballot_state(settings, proposals, votes, step, slot)
    if state != ACTIVE:
        return NONEXISTENT_PROPOSAL if state == EMPTY else UNEXPECTED_STATE
    if not is_account(votes, account) or account >= MAX_VOTERS:
        return UNKNOWN_ACCOUNT
    weight = past_votes(votes, account, proposals[slot, P_SNAPSHOT], step)
    if weight < 0:
        return SNAPSHOT_FORGOTTEN
    if (proposals[slot, P_VOTED] >> account) & 1 == 1:
        return ALREADY_VOTED
    if weight == 0 and settings[G_COUNTING] == COUNT_OBJECTIONS:
        return NO_VOTING_POWER
    result = count_weight(settings, proposals, votes, step, slot, support, weight)
    if result == DONE:
        proposals[slot, P_VOTED] |= 1 << account
    return result


@kernel_function
def queue(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int, slot: int
) -> int:  # fmt: skip
    """Anyone puts a successful proposal into the timelock: eta = now + the delay of now."""
    state = state_of(settings, proposals, votes, step, time_s, slot)
    if state != SUCCEEDED:
        return NONEXISTENT_PROPOSAL if state == EMPTY else UNEXPECTED_STATE
    if settings[G_TIMELOCK] == 0:
        return QUEUEING_NOT_REQUIRED
    proposals[slot, P_ETA_S] = time_s + settings[G_MIN_DELAY_S]
    return DONE


@kernel_function
def execute(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int, slot: int,
    call_succeeds: bool,
) -> int:  # fmt: skip
    """Anyone executes a queued proposal from its eta on; a failing payload can be tried again.

    A change of the governor's own settings is made here. For `PAYLOAD_CALL` the caller says
    whether the call succeeds and, on `DONE`, makes it: ``P_TARGET`` and ``P_VALUE`` of the slot.
    """
    state = state_of(settings, proposals, votes, step, time_s, slot)
    if state != (QUEUED if settings[G_TIMELOCK] == 1 else SUCCEEDED):
        return NONEXISTENT_PROPOSAL if state == EMPTY else UNEXPECTED_STATE
    if time_s < proposals[slot, P_ETA_S]:
        return NOT_READY
    if veto_blocks(settings, total_supply(votes) + settings[G_STATIC_SUPPLY], time_s):
        return VETOED
    kind = proposals[slot, P_KIND]
    if kind == PAYLOAD_PARAMETER:
        result = set_parameter(
            settings, proposals[slot, P_TARGET], proposals[slot, P_VALUE], step,
            proposals[:, P_SNAPSHOT],
        )  # fmt: skip
        if result != DONE:
            return result
    elif kind != PAYLOAD_CALL or not call_succeeds:
        return CALL_FAILED
    proposals[slot, P_CLOSED] = EXECUTED
    return DONE


@kernel_function
def cancel(
    settings: Int, proposals: Int, votes: Int, step: int, time_s: int, slot: int, caller: int
) -> int:  # fmt: skip
    """The proposer cancels while pending; the guardian at any time before execution.

    As in the contract the guardian can also cancel what was defeated, to no effect.
    """
    state = state_of(settings, proposals, votes, step, time_s, slot)
    if state == EMPTY:
        return NONEXISTENT_PROPOSAL
    proposer = proposals[slot, P_PROPOSER]
    guardian = settings[G_GUARDIAN]
    allowed = caller == proposer and (state == PENDING or guardian == GUARDIAN_UNSET)
    allowed = allowed or (guardian >= 0 and caller == guardian)
    if settings[G_OPEN_CANCEL] == 1 and not allowed and is_account(votes, proposer):
        power = past_votes(votes, proposer, step - 1, step)
        allowed = power < settings[G_PROPOSAL_THRESHOLD]
    if not allowed:
        return UNABLE_TO_CANCEL
    if state in (CANCELED, EXPIRED, EXECUTED):
        return UNEXPECTED_STATE
    proposals[slot, P_CLOSED] = CANCELED
    return DONE
