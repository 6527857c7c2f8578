"""Other DAOs' rules on their documented cases, with numbers worked out by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daogym.envs.dao import veto
from daogym.envs.dao.counting import ABSTAIN, AGAINST, FOR, PPM
from daogym.envs.dao.governor_layout import (
    ACTIVE,
    CANCELED,
    DEFEATED,
    EXECUTED,
    EXPIRED,
    G_VETO_ESCROWED,
    PAYLOAD_CALL,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from daogym.envs.dao.governor_rules import (
    DAY_S,
    bravo_rules,
    objection_rules,
    openzeppelin_rules,
    support_rules,
    with_veto,
)
from daogym.envs.dao.results import (
    ALREADY_VOTED,
    DONE,
    INSUFFICIENT_PROPOSER_VOTES,
    INVALID_AMOUNT,
    INVALID_VOTE_TYPE,
    NO_VOTING_POWER,
    ONE_LIVE_PROPOSAL,
    QUEUEING_NOT_REQUIRED,
    UNABLE_TO_CANCEL,
    UNEXPECTED_STATE,
    VETOED,
)

from .twins import CALL_SET, KernelDao

pytestmark = pytest.mark.kernel
Int = NDArray[np.int64]
CALL = (PAYLOAD_CALL, CALL_SET, 0)


def dao(rules: Int) -> KernelDao:
    """Accounts 0 to 4 hold and vote 10, 20, 30, 40 and 50 of 150; it is step 10, second 1000."""
    made = KernelDao(rules, 5, 1000)
    for account in range(5):
        made.mint(account, 10 * (account + 1))
        made.delegate(account, account)
    made.step = 10
    return made


# Compound's GovernorBravo


def bravo(**changes: Any) -> KernelDao:
    """Delay 1 and period 3 steps, threshold 20, quorum 30 % = 45, timelock 2 d."""
    rules = {
        "voting_delay": 1,
        "voting_period": 3,
        "proposal_threshold": 20,
        "quorum_numerator": 30,
        "min_delay_s": 2 * DAY_S,
    } | changes
    return dao(bravo_rules(**rules))


def test_bravo_asks_for_more_than_the_threshold() -> None:
    made = bravo()
    assert made.propose(1, 1, CALL)[0] == INSUFFICIENT_PROPOSER_VOTES  # exactly 20
    assert made.propose(2, 1, CALL)[0] == DONE


def test_bravo_lets_a_proposer_have_one_pending_or_active_proposal() -> None:
    made = bravo()
    slot = made.propose(2, 1, CALL)[1]
    assert made.propose(2, 2, CALL) == (ONE_LIVE_PROPOSAL, -1)
    assert made.propose(3, 2, CALL)[0] == DONE
    made.step = 14
    assert (made.states()[slot], made.propose(2, 3, CALL)[0]) == (ACTIVE, ONE_LIVE_PROPOSAL)
    made.vote(slot, 4, FOR)
    made.step = 15
    assert (made.states()[slot], made.propose(2, 3, CALL)[0]) == (SUCCEEDED, DONE)


@pytest.mark.parametrize(
    ("ballots", "state"),
    [
        ({4: FOR}, SUCCEEDED),
        ({3: FOR, 0: ABSTAIN}, DEFEATED),  # 40 of 45: abstaining does not help
        ({3: FOR, 0: FOR}, SUCCEEDED),
        ({4: FOR, 3: AGAINST, 0: AGAINST}, DEFEATED),
    ],
)
def test_bravo_counts_only_for_votes_for_the_quorum(ballots: dict[int, int], state: int) -> None:
    made = bravo()
    slot = made.propose(2, 1, CALL)[1]
    made.step = 12
    for account, support in ballots.items():
        assert made.vote(slot, account, support) == DONE
    made.step = 15
    assert made.states()[slot] == state


def test_bravo_forgets_what_is_not_executed_for_two_weeks() -> None:
    made = bravo()
    slot = made.propose(2, 1, CALL)[1]
    made.step = 12
    made.vote(slot, 4, FOR)
    made.step = 15
    made.queue(slot)
    made.time_s += 2 * DAY_S + 14 * DAY_S - 1
    assert made.states()[slot] == QUEUED
    made.time_s += 1
    assert made.states()[slot] == EXPIRED
    assert made.execute(slot) == UNEXPECTED_STATE
    assert made.cancel(slot, 2) == UNEXPECTED_STATE
    assert [made.propose(2 + i, 2 + i, CALL)[0] for i in range(3)] == [DONE] * 3


def test_bravo_lets_anyone_cancel_once_the_proposer_has_too_little() -> None:
    made = bravo()
    slot = made.propose(2, 1, CALL)[1]
    assert made.cancel(slot, 0) == UNABLE_TO_CANCEL
    made.transfer(2, 4, 10)
    made.step = 11
    assert made.cancel(slot, 0) == UNABLE_TO_CANCEL  # 20 left, which is not below 20
    made.transfer(2, 4, 1)
    assert made.cancel(slot, 0) == UNABLE_TO_CANCEL  # the step before counts
    made.step = 12
    assert made.cancel(slot, 0) == DONE
    assert made.states()[slot] == CANCELED


# Lido's Easy Track


def easy_track() -> KernelDao:
    """Motions last 4 steps and fail at 10 % of 150 in objections."""
    return dao(objection_rules(motion_duration=4, objections_bps=1000))


def test_a_motion_passes_unless_enough_object() -> None:
    made = easy_track()
    slot = made.propose(5, 1, CALL)[1]
    assert made.states()[slot] == PENDING
    made.step = 11
    assert made.vote(slot, 0, AGAINST) == DONE  # 10 of the 15 that are needed
    assert made.vote(slot, 0, AGAINST) == ALREADY_VOTED
    assert made.vote(slot, 1, FOR) == INVALID_VOTE_TYPE
    assert made.vote(slot, 5, AGAINST) == NO_VOTING_POWER
    made.step = 14
    assert (made.states()[slot], made.execute(slot)) == (ACTIVE, UNEXPECTED_STATE)
    made.step = 15
    assert made.states()[slot] == SUCCEEDED
    assert made.queue(slot) == QUEUEING_NOT_REQUIRED
    assert made.execute(slot) == DONE
    assert made.states()[slot] == EXECUTED


def test_a_motion_is_rejected_as_soon_as_enough_object() -> None:
    made = easy_track()
    slot = made.propose(5, 1, CALL)[1]
    made.step = 11
    made.vote(slot, 0, AGAINST)
    assert made.states()[slot] == ACTIVE
    made.vote(slot, 1, AGAINST)
    assert made.states()[slot] == DEFEATED
    assert made.vote(slot, 2, AGAINST) == UNEXPECTED_STATE
    made.step = 20
    assert made.execute(slot) == UNEXPECTED_STATE


def test_exactly_the_threshold_rejects_and_the_creator_withdraws() -> None:
    made = dao(objection_rules(motion_duration=4, objections_bps=2000))
    first, second = made.propose(5, 1, CALL)[1], made.propose(5, 2, CALL)[1]
    made.step = 11
    made.vote(first, 2, AGAINST)  # 30 of 150 = 20 %
    assert made.states()[first] == DEFEATED
    assert made.cancel(second, 4) == UNABLE_TO_CANCEL
    assert made.cancel(second, 5) == DONE


# Aragon token voting


@pytest.mark.parametrize(
    ("ballots", "state"),
    [
        ({3: FOR}, DEFEATED),  # 40 of ceil(30 % of 150) = 45 took part
        ({3: FOR, 0: AGAINST}, SUCCEEDED),  # 50 did, and 80 % said Yes
        ({3: FOR, 0: ABSTAIN}, SUCCEEDED),
        ({2: FOR, 1: AGAINST}, DEFEATED),  # 60 % in favour is not more than 60 %
        ({2: FOR, 1: AGAINST, 4: ABSTAIN}, DEFEATED),
        ({2: FOR, 0: AGAINST, 4: ABSTAIN}, SUCCEEDED),  # 75 %
    ],
)
def test_support_and_participation(ballots: dict[int, int], state: int) -> None:
    rules = support_rules(
        voting_period=3, support_ppm=60 * PPM // 100, participation_ppm=30 * PPM // 100
    )
    made = dao(rules)
    slot = made.propose(0, 1, CALL)[1]
    made.step = 11
    for account, support in ballots.items():
        assert made.vote(slot, account, support) == DONE
    made.step = 14
    assert made.states()[slot] == state
    assert made.execute(slot) == (DONE if state == SUCCEEDED else UNEXPECTED_STATE)


# Lido's Dual Governance

SUPPLY = 1_000_000


@pytest.mark.parametrize(
    ("escrowed", "days"),
    [
        (0, 0),
        (9_999, 0),  # below 1 %
        (10_000, 5),
        (55_000, 25),  # half way between 1 % and 10 %
        (99_999, 44.999555),
        (100_000, 45),
        (SUPPLY, 45),
    ],
)
def test_the_more_is_escrowed_the_longer_execution_waits(escrowed: int, days: float) -> None:
    settings = with_veto(plain_rules())
    settings[G_VETO_ESCROWED] = escrowed
    assert veto.veto_delay_s(settings, SUPPLY) == pytest.approx(days * DAY_S, abs=1)


def plain_rules() -> Int:
    return openzeppelin_rules(
        voting_delay=0, voting_period=2, proposal_threshold=0, quorum_numerator=0, min_delay_s=60
    )


def test_a_veto_holds_up_execution_and_its_end_lets_it_pass() -> None:
    made = dao(with_veto(plain_rules()))
    slot = made.propose(0, 1, CALL)[1]
    made.step = 11
    made.vote(slot, 4, FOR)
    made.step = 13
    made.queue(slot)
    made.time_s += 60
    since = made.time_s
    assert veto.move_veto(made.settings, 1, 150, since) == DONE  # 0.67 %
    assert not veto.veto_blocks(made.settings, 150, since)
    assert veto.move_veto(made.settings, 1, 150, since) == DONE  # 1.33 %: 5 d + 0.33 / 9 of 40 d
    wait = veto.veto_delay_s(made.settings, 150)
    assert wait == pytest.approx((5 + 40 / 27) * DAY_S, abs=1)
    made.time_s = since + wait
    assert (made.execute(slot), made.states()[slot]) == (VETOED, QUEUED)
    made.time_s += 1
    assert made.execute(slot) == DONE


def test_escrowing_more_prolongs_the_wait_and_leaving_ends_it() -> None:
    settings = with_veto(plain_rules())
    veto.move_veto(settings, 10_000, SUPPLY, 0)
    assert veto.veto_state(settings, SUPPLY, 5 * DAY_S) == veto.VETO_SIGNALLING
    assert veto.veto_state(settings, SUPPLY, 5 * DAY_S + 1) == veto.VETO_OVER
    veto.move_veto(settings, 45_000, SUPPLY, 5 * DAY_S + 1)
    assert veto.veto_state(settings, SUPPLY, 25 * DAY_S) == veto.VETO_SIGNALLING
    assert veto.veto_state(settings, SUPPLY, 25 * DAY_S + 1) == veto.VETO_OVER
    assert veto.move_veto(settings, -46_000, SUPPLY, 26 * DAY_S) == DONE  # 0.9 % left
    assert veto.veto_state(settings, SUPPLY, 26 * DAY_S) == veto.VETO_NONE
    veto.move_veto(settings, 1_000, SUPPLY, 30 * DAY_S)  # the wait starts anew
    assert veto.veto_state(settings, SUPPLY, 35 * DAY_S) == veto.VETO_SIGNALLING


def test_a_tenth_of_the_supply_stops_the_dao_until_it_has_left() -> None:
    settings = with_veto(plain_rules())
    veto.move_veto(settings, 100_000, SUPPLY, 0)
    assert veto.veto_state(settings, SUPPLY, 45 * DAY_S) == veto.VETO_SIGNALLING
    assert veto.veto_state(settings, SUPPLY, 45 * DAY_S + 1) == veto.VETO_RAGE_QUIT
    assert veto.veto_blocks(settings, SUPPLY, 1000 * DAY_S)
    assert veto.move_veto(settings, -100_001, SUPPLY, 50 * DAY_S) == INVALID_AMOUNT
    assert veto.move_veto(settings, SUPPLY, SUPPLY, 50 * DAY_S) == INVALID_AMOUNT
    veto.move_veto(settings, -100_000, SUPPLY, 50 * DAY_S)
    assert not veto.veto_blocks(settings, SUPPLY - 100_000, 50 * DAY_S)


def test_without_the_setting_there_is_no_veto() -> None:
    settings = plain_rules()
    veto.move_veto(settings, SUPPLY, SUPPLY, 0)
    assert not veto.veto_blocks(settings, SUPPLY, 1)
