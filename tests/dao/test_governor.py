"""The governor's documented cases, with numbers worked out by hand.

`test_governor_contracts` compares it with the contracts; here stand the cases that contracts do not
have (holders without an account, slots) and those worth reading.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.dao import governor, governor_state
from daogym.envs.dao.counting import ABSTAIN, AGAINST, FOR
from daogym.envs.dao.governor_layout import (
    ACTIVE,
    CANCELED,
    DEFEATED,
    EMPTY,
    EXECUTED,
    G_GRACE_S,
    G_LATE_QUORUM_EXTENSION,
    G_MIN_DELAY_S,
    G_PROPOSAL_THRESHOLD,
    G_QUORUM_NUMERATOR,
    G_VOTING_DELAY,
    G_VOTING_PERIOD,
    GUARDIAN_UNSET,
    NO_GUARDIAN,
    P_ETA_S,
    P_FOR,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
    PAYLOAD_CALL,
    PAYLOAD_FAILS,
    PAYLOAD_PARAMETER,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from daogym.envs.dao.governor_rules import openzeppelin_rules
from daogym.envs.dao.payloads import LARGEST_DELAY, LARGEST_PERIOD, parameter_refusal
from daogym.envs.dao.results import (
    ALREADY_VOTED,
    CALL_FAILED,
    DONE,
    EXTENSION_TOO_LARGE,
    ID_WAS_USED,
    INSUFFICIENT_PROPOSER_VOTES,
    INVALID_QUORUM_FRACTION,
    INVALID_VALUE,
    INVALID_VOTE_TYPE,
    INVALID_VOTING_PERIOD,
    NO_FREE_SLOT,
    NONEXISTENT_PROPOSAL,
    NOT_READY,
    TALLY_OVERFLOW,
    UNABLE_TO_CANCEL,
    UNEXPECTED_STATE,
    UNKNOWN_ACCOUNT,
)
from daogym.envs.dao.votes import MAX_VOTES

from .twins import ACCOUNTS, CALL_IF_OPEN, CALL_SET, SLOTS, KernelDao

pytestmark = pytest.mark.kernel

CALL = (PAYLOAD_CALL, CALL_SET, 0)
GUARDIAN = ACCOUNTS - 1


def dao(**changes: Any) -> KernelDao:
    """Accounts 0 to 4 hold and vote 10, 20, 30, 40 and 50 of 150; step 10 has begun at second 1000.

    Voting delay 2 and period 3 steps, threshold 10, quorum 33 % (floor(49.5) = 49), delay 60 s.
    """
    rules = {
        "voting_delay": 2,
        "voting_period": 3,
        "proposal_threshold": 10,
        "quorum_numerator": 33,
        "min_delay_s": 60,
        "guardian": GUARDIAN,
    } | changes
    made = KernelDao(openzeppelin_rules(**rules), 5, 1000)
    for account in range(5):
        made.mint(account, 10 * (account + 1))
        made.delegate(account, account)
    made.step = 10
    return made


def proposed(made: KernelDao, identity: int = 1, payload: Any = CALL, account: int = 0) -> int:
    """Slot of a new proposal."""
    code, slot = made.propose(account, identity, payload)
    assert code == DONE
    return slot


def passed(made: KernelDao, identity: int = 1, payload: Any = CALL) -> int:
    """Slot of a new proposal that has succeeded."""
    slot = proposed(made, identity, payload)
    made.step = int(made.proposals[slot, P_SNAPSHOT]) + 1
    assert [made.vote(slot, 3, FOR), made.vote(slot, 4, FOR)] == [DONE, DONE]
    made.step = governor_state.deadline_of(made.proposals, slot) + 1
    assert made.states()[slot] == SUCCEEDED
    return slot


def enacted(made: KernelDao, identity: int, parameter: int, value: int) -> None:
    """Change a setting through a proposal."""
    slot = passed(made, identity, (PAYLOAD_PARAMETER, parameter, value))
    assert made.queue(slot) == DONE
    made.time_s = int(made.proposals[slot, P_ETA_S])
    assert made.execute(slot) == DONE


def test_states_from_proposal_to_execution() -> None:
    made = dao()
    assert made.states() == [EMPTY] * SLOTS
    slot = proposed(made)
    seen = []
    for step in range(10, 17):
        made.step = step
        if step == 13:
            assert [made.vote(slot, 3, FOR), made.vote(slot, 0, ABSTAIN)] == [DONE, DONE]
            assert made.vote(slot, 2, AGAINST) == DONE
        seen.append(made.states()[slot])
    # snapshot 12, voting open at 13, 14 and 15
    assert seen == [PENDING, PENDING, PENDING, ACTIVE, ACTIVE, ACTIVE, SUCCEEDED]
    assert made.queue(slot) == DONE
    assert made.proposals[slot, P_ETA_S] == 1060
    made.time_s = 1059
    assert (made.states()[slot], made.execute(slot)) == (QUEUED, NOT_READY)
    made.time_s = 1060
    assert made.execute(slot) == DONE
    assert made.states()[slot] == EXECUTED
    assert made.execute(slot) == UNEXPECTED_STATE


@pytest.mark.parametrize(
    ("ballots", "state"),
    [
        ({4: FOR}, SUCCEEDED),  # 50 of the 49 that are needed
        ({3: FOR}, DEFEATED),  # 40 < 49
        ({3: FOR, 0: ABSTAIN}, SUCCEEDED),  # abstaining counts for the quorum
        ({3: FOR, 4: AGAINST}, DEFEATED),  # against does not
        ({4: FOR, 3: AGAINST, 0: AGAINST}, DEFEATED),  # a tie, 50 to 50
        ({4: FOR, 3: AGAINST}, SUCCEEDED),
        ({4: ABSTAIN}, DEFEATED),  # quorum, and nobody in favour
        ({}, DEFEATED),
    ],
)
def test_quorum_and_majority(ballots: dict[int, int], state: int) -> None:
    made = dao()
    slot = proposed(made)
    made.step = 13
    for account, support in ballots.items():
        assert made.vote(slot, account, support) == DONE
    made.step = 16
    assert made.states()[slot] == state


def test_who_has_no_votes_still_votes_once() -> None:
    made = dao()
    slot = proposed(made)
    made.step = 13
    assert made.vote(slot, GUARDIAN, FOR) == DONE  # holds nothing
    assert made.vote(slot, GUARDIAN, FOR) == ALREADY_VOTED
    assert made.proposals[slot, P_FOR] == 0
    assert made.vote(slot, 0, 3) == INVALID_VOTE_TYPE
    assert made.vote(slot, 0, -1) == INVALID_VOTE_TYPE
    assert made.vote(slot, 0, FOR) == DONE  # the refused votes do not count as his
    assert made.vote(slot, ACCOUNTS, FOR) == UNKNOWN_ACCOUNT
    assert made.vote(slot + 1, 0, FOR) == NONEXISTENT_PROPOSAL


def test_votes_are_those_of_the_snapshot() -> None:
    made = dao()
    slot = proposed(made)
    made.step = 12
    made.transfer(4, 0, 50)  # in the snapshot's step: counts
    made.step = 13
    made.transfer(3, 1, 40)  # a step later: does not
    for account in range(5):
        made.vote(slot, account, FOR if account == 0 else AGAINST)
    assert made.proposals[slot, 7:10].tolist() == [20 + 30 + 40, 60, 0]


def test_tokens_of_this_step_do_not_help_to_propose() -> None:
    made = dao(proposal_threshold=60)
    made.transfer(4, 3, 50)
    assert made.propose(3, 1, CALL) == (INSUFFICIENT_PROPOSER_VOTES, -1)
    made.step = 11
    assert made.propose(3, 1, CALL) == (DONE, 0)
    made.transfer(3, 4, 80)  # sold at once: the votes of step 10 still stand
    assert made.propose(3, 2, CALL) == (DONE, 1)
    assert made.propose(ACCOUNTS, 3, CALL) == (UNKNOWN_ACCOUNT, -1)


@pytest.mark.parametrize(("voted_at", "deadline"), [(13, 15), (14, 16), (15, 17)])
def test_late_quorum_keeps_voting_open(voted_at: int, deadline: int) -> None:
    made = dao(late_quorum_extension=2)
    slot = proposed(made)
    made.step = voted_at
    made.vote(slot, 3, FOR)
    assert governor_state.deadline_of(made.proposals, slot) == 15  # 40 are not enough
    made.vote(slot, 4, AGAINST)
    assert governor_state.deadline_of(made.proposals, slot) == 15  # Against does not count
    made.vote(slot, 0, ABSTAIN)
    assert governor_state.deadline_of(made.proposals, slot) == deadline
    made.step = deadline
    assert made.vote(slot, 1, FOR) == DONE  # once only
    assert governor_state.deadline_of(made.proposals, slot) == deadline
    made.step = deadline + 1
    assert made.vote(slot, 2, FOR) == UNEXPECTED_STATE


def test_a_failing_payload_can_be_tried_again_and_never_expires() -> None:
    made = dao()
    slot = passed(made, payload=(PAYLOAD_CALL, CALL_IF_OPEN, 7))
    assert made.execute(slot) == UNEXPECTED_STATE  # not queued yet
    assert made.queue(slot) == DONE
    assert made.queue(slot) == UNEXPECTED_STATE
    made.time_s += 60
    assert made.execute(slot) == CALL_FAILED
    made.step, made.time_s = made.step + 10**6, made.time_s + 10**8
    assert (made.execute(slot), made.states()[slot]) == (CALL_FAILED, QUEUED)
    made.gate_open = True
    assert made.execute(slot) == DONE
    assert made.target_value == 7

    never = passed(made, 2, (PAYLOAD_FAILS, 0, 0))
    made.queue(never)
    made.time_s += 60
    assert made.execute(never) == CALL_FAILED


def test_when_a_changed_parameter_binds() -> None:
    made = dao()
    early = proposed(made, 1)  # snapshot 12, deadline 15
    enacted(made, 2, G_VOTING_DELAY, 5)
    enacted(made, 3, G_VOTING_PERIOD, 9)
    assert governor_state.deadline_of(made.proposals, early) == 15
    late = proposed(made, 4)
    snapshot = made.step + 5
    assert made.proposals[late, P_SNAPSHOT] == snapshot
    assert governor_state.deadline_of(made.proposals, late) == snapshot + 9

    # the delay of the timelock binds at queueing
    made.step = snapshot + 1
    made.vote(late, 4, FOR)
    first = passed(made, 5, (PAYLOAD_PARAMETER, G_MIN_DELAY_S, 500))
    second = passed(made, 6)
    made.queue(first)
    made.time_s += 60
    made.queue(late)
    made.execute(first)
    made.queue(second)
    assert made.proposals[late, P_ETA_S] == made.time_s + 60
    assert made.proposals[second, P_ETA_S] == made.time_s + 500


@pytest.mark.parametrize(("enacted_at", "state"), [(20, DEFEATED), (21, SUCCEEDED)])
def test_the_quorum_is_that_of_the_snapshot(enacted_at: int, state: int) -> None:
    made = dao()
    change = passed(made, 1, (PAYLOAD_PARAMETER, G_QUORUM_NUMERATOR, 80))
    made.queue(change)
    made.step, made.time_s = 18, made.time_s + 60
    slot = proposed(made, 2)  # snapshot 20
    made.step = enacted_at
    assert made.execute(change) == DONE
    made.step = 21
    assert made.vote(slot, 4, FOR) == DONE
    made.step = 24
    assert made.states()[slot] == state  # 50 of 49, or of 120


def test_the_extension_is_that_of_the_vote_that_reaches_quorum() -> None:
    made = dao(late_quorum_extension=0)
    change = passed(made, 1, (PAYLOAD_PARAMETER, G_LATE_QUORUM_EXTENSION, 3))
    made.queue(change)
    made.time_s += 60
    slot = proposed(made, 2)
    end = governor_state.deadline_of(made.proposals, slot)
    made.step = end
    made.execute(change)
    made.vote(slot, 4, FOR)
    assert governor_state.deadline_of(made.proposals, slot) == end + 3


def test_a_threshold_binds_at_once() -> None:
    made = dao()
    enacted(made, 1, G_PROPOSAL_THRESHOLD, 45)
    assert made.propose(3, 2, CALL)[0] == INSUFFICIENT_PROPOSER_VOTES
    assert made.propose(4, 2, CALL)[0] == DONE


def test_values_that_no_setting_takes() -> None:
    settings = dao().settings
    cases = {
        (G_VOTING_PERIOD, 0): INVALID_VOTING_PERIOD,
        (G_VOTING_PERIOD, LARGEST_PERIOD): DONE,
        (G_VOTING_PERIOD, LARGEST_PERIOD + 1): INVALID_VALUE,
        (G_QUORUM_NUMERATOR, 100): DONE,
        (G_QUORUM_NUMERATOR, 101): INVALID_QUORUM_FRACTION,
        (G_LATE_QUORUM_EXTENSION, 3): DONE,
        (G_LATE_QUORUM_EXTENSION, 4): EXTENSION_TOO_LARGE,
        (G_VOTING_DELAY, LARGEST_DELAY): DONE,
        (G_VOTING_DELAY, LARGEST_DELAY + 1): INVALID_VALUE,
        (G_MIN_DELAY_S, -1): INVALID_VALUE,
        (G_PROPOSAL_THRESHOLD, MAX_VOTES + 1): INVALID_VALUE,
        (6, 0): INVALID_VALUE,
        (-1, 0): INVALID_VALUE,
    }
    for (parameter, value), result in cases.items():
        assert parameter_refusal(settings, parameter, value) == result, (parameter, value)


def test_a_refused_change_leaves_the_proposal_queued() -> None:
    made = dao()
    slot = passed(made, 1, (PAYLOAD_PARAMETER, G_LATE_QUORUM_EXTENSION, 4))
    made.queue(slot)
    enacted(made, 2, G_VOTING_PERIOD, 2)
    assert made.execute(slot) == EXTENSION_TOO_LARGE
    enacted(made, 3, G_VOTING_PERIOD, 4)
    assert made.execute(slot) == DONE
    assert made.settings[G_LATE_QUORUM_EXTENSION] == 4


@pytest.mark.parametrize(
    ("guardian", "caller", "answers"),
    [
        # while pending, active, succeeded, queued, defeated
        (GUARDIAN, 0, [DONE] + [UNABLE_TO_CANCEL] * 4),
        (GUARDIAN, GUARDIAN, [DONE] * 5),
        (GUARDIAN, 1, [UNABLE_TO_CANCEL] * 5),
        (NO_GUARDIAN, 0, [DONE] + [UNABLE_TO_CANCEL] * 4),
        (NO_GUARDIAN, -1, [UNABLE_TO_CANCEL] * 5),
        (GUARDIAN_UNSET, 0, [DONE] * 5),
        (GUARDIAN_UNSET, 1, [UNABLE_TO_CANCEL] * 5),
    ],
)
def test_who_cancels_when(guardian: int, caller: int, answers: list[int]) -> None:
    made = dao(guardian=guardian)
    given = []
    for identity, state in enumerate([PENDING, ACTIVE, SUCCEEDED, QUEUED, DEFEATED], 1):
        slot = passed(made, identity) if state in (SUCCEEDED, QUEUED) else proposed(made, identity)
        if state == QUEUED:
            made.queue(slot)
        if state in (ACTIVE, DEFEATED):
            made.step = governor_state.deadline_of(made.proposals, slot) + (state == DEFEATED)
        assert made.states()[slot] == state
        given.append(made.cancel(slot, caller))
        if given[-1] == DONE:
            assert made.states()[slot] == CANCELED
    assert given == answers


def test_what_has_ended_is_not_cancelled() -> None:
    made = dao()
    assert made.cancel(0, GUARDIAN) == NONEXISTENT_PROPOSAL
    slot = proposed(made)
    assert made.cancel(slot, GUARDIAN) == DONE
    assert made.cancel(slot, GUARDIAN) == UNEXPECTED_STATE
    executed = passed(made, 2)
    made.queue(executed)
    made.time_s += 60
    made.execute(executed)
    assert made.cancel(executed, GUARDIAN) == UNEXPECTED_STATE


def test_an_id_is_used_once() -> None:
    made = dao()
    slot = proposed(made, 1)
    assert made.propose(0, 1, CALL) == (ID_WAS_USED, -1)
    made.cancel(slot, 0)
    assert made.propose(0, 1, CALL) == (ID_WAS_USED, -1)
    assert made.propose(0, 0, CALL) == (ID_WAS_USED, -1)
    assert made.propose(0, 5, CALL)[0] == DONE
    assert made.propose(0, 3, CALL) == (ID_WAS_USED, -1)


def test_slots_are_given_anew_once_their_proposals_have_ended() -> None:
    made = dao()
    for identity in range(1, SLOTS + 1):
        assert proposed(made, identity) == identity - 1
    assert made.propose(0, 9, CALL) == (NO_FREE_SLOT, -1)
    made.cancel(5, 0)
    assert proposed(made, 9) == 5
    assert governor_state.slot_of(made.proposals, 6) == -1
    assert governor_state.slot_of(made.proposals, 9) == 5
    made.step = 16  # all are defeated but for what is decided now
    assert made.states() == [DEFEATED] * SLOTS
    assert [proposed(made, identity) for identity in (10, 11, 12)] == [0, 1, 2]  # the oldest first
    assert proposed(made, 13) == 3
    assert [made.states()[slot] for slot in (3, 4)] == [PENDING, DEFEATED]


def test_a_defeated_proposal_stays_defeated_while_it_keeps_its_slot() -> None:
    made = dao()
    slot = proposed(made)
    made.step = 13
    made.vote(slot, 3, FOR)  # 40 < 49
    made.step = 16
    made.burn(4, 50)  # 33 % of 100 would be reached
    for step in range(17, 60):
        made.step = step
        made.transfer(3, 2, 1)
        made.transfer(2, 3, 1)
        assert made.states()[slot] == DEFEATED


def test_holders_without_an_account_count_in_quorum_and_tally() -> None:
    made = dao(static_supply=850)  # 33 % of 1,000
    slot = proposed(made)
    made.step = 13
    arrays = made.settings, made.proposals, made.votes
    for account in range(5):
        made.vote(slot, account, FOR)
    assert governor_state.needed_votes(*arrays, made.step, slot) == 330
    assert governor.count_weight(*arrays, made.step, slot, FOR, 179) == DONE
    assert made.proposals[slot, 4] == 0  # 329
    assert governor.count_weight(*arrays, made.step, slot, ABSTAIN, 1) == DONE
    assert made.proposals[slot, 4] == 13
    assert governor.count_weight(*arrays, made.step, slot, AGAINST, 328) == DONE
    made.step = 16
    assert made.states()[slot] == SUCCEEDED
    assert governor.count_weight(*arrays, made.step, slot, FOR, 1) == UNEXPECTED_STATE
    assert governor.count_weight(*arrays, made.step, slot + 1, FOR, 1) == NONEXISTENT_PROPOSAL


def test_such_a_holder_proposes_with_the_power_the_caller_knows() -> None:
    made = dao()
    arrays = made.settings, made.proposals, made.votes
    now = made.step, made.time_s
    assert governor.propose_with(*arrays, *now, 9, 1234, 1, *CALL)[0] == INSUFFICIENT_PROPOSER_VOTES
    assert governor.propose_with(*arrays, *now, 10, 1234, 1, *CALL) == (DONE, 0)
    assert made.cancel(0, 1234) == DONE


def test_tallies_cannot_overflow() -> None:
    made = dao()
    slot = proposed(made)
    made.step = 13
    arrays = made.settings, made.proposals, made.votes
    assert governor.count_weight(*arrays, made.step, slot, FOR, MAX_VOTES) == DONE
    assert governor.count_weight(*arrays, made.step, slot, AGAINST, 1) == TALLY_OVERFLOW
    assert governor.count_weight(*arrays, made.step, slot, AGAINST, -1) == TALLY_OVERFLOW
    assert made.vote(slot, 0, FOR) == TALLY_OVERFLOW
    assert made.proposals[slot, 7:11].tolist() == [0, MAX_VOTES, 0, 0]


def test_the_largest_supply_has_an_exact_quorum() -> None:
    made = KernelDao(
        openzeppelin_rules(
            voting_delay=0, voting_period=1, proposal_threshold=0, quorum_numerator=99,
            min_delay_s=0, static_supply=7,
        ),
        5,
        0,
    )  # fmt: skip
    made.mint(0, MAX_VOTES - 7)
    slot = proposed(made)
    made.step += 1
    arrays = made.settings, made.proposals, made.votes
    assert governor_state.needed_votes(*arrays, made.step, slot) == MAX_VOTES * 99 // 100


def test_a_payload_stays_readable_after_execution() -> None:
    made = dao()
    slot = passed(made, payload=(PAYLOAD_CALL, CALL_SET, 123))
    made.queue(slot)
    made.time_s += 60
    assert made.execute(slot) == DONE
    assert made.proposals[slot, [P_TARGET, P_VALUE]].tolist() == [CALL_SET, 123]
    assert np.count_nonzero(made.proposals[slot + 1 :]) == 0


@pytest.mark.parametrize(("grace_s", "step_s"), [(0, 900), (0, 7), (1000, 900), (100, 7)])
def test_the_next_change_is_when_something_changes(grace_s: int, step_s: int) -> None:
    made = dao()
    made.settings[G_GRACE_S] = grace_s
    voted, unvoted = proposed(made, 1), proposed(made, 2)
    made.step = 13
    made.vote(voted, 4, FOR)
    made.step = 10

    def seen(step: int, slot: int) -> tuple[int, bool]:
        clocks = step, 1000 + step_s * (step - 10)
        arrays = made.settings, made.proposals.copy(), made.votes
        state = governor_state.state_of(*arrays, *clocks, slot)
        return state, state == QUEUED and clocks[1] >= made.proposals[slot, P_ETA_S]

    for step in range(10, 40):
        made.step, made.time_s = step, 1000 + step_s * (step - 10)
        if step == 20:
            made.queue(voted)
        for slot in (voted, unvoted):
            now = made.step, made.time_s, step_s
            said = governor_state.next_change(made.settings, made.proposals, made.votes, *now, slot)
            changes = (t for t in range(step + 1, 250) if seen(t, slot) != seen(step, slot))
            assert said == next(changes, governor_state.NEVER)
