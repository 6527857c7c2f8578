"""Rage quit: Moloch's documented cases, with numbers worked out by hand."""

from __future__ import annotations

import itertools

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao import moloch
from daogym.envs.dao.results import (
    ALREADY_VOTED,
    DONE,
    INSUFFICIENT_BALANCE,
    INVALID_AMOUNT,
    INVALID_VOTE_TYPE,
    NO_FREE_SLOT,
    NO_VOTING_POWER,
    NONEXISTENT_PROPOSAL,
    NOT_READY,
    OUT_OF_ORDER,
    UNEXPECTED_STATE,
    UNKNOWN_ACCOUNT,
    YES_VOTE_UNPROCESSED,
)

pytestmark = pytest.mark.kernel

PERIOD_S = 17_280


class Guild:
    """Three founders with 50, 30 and 20 shares, and 1,000 and 7 in the bank."""

    def __init__(self, slots: int = 3, dilution_bound: int = 3) -> None:
        self.guild = np.zeros(moloch.GUILD_WIDTH, dtype=np.int64)
        self.members = np.zeros((4, moloch.MEMBER_WIDTH), dtype=np.int64)
        self.queue = np.zeros((slots, moloch.MOTION_WIDTH), dtype=np.int64)
        self.bank = np.array([1000, 7])
        self.paid = np.zeros(2, dtype=np.int64)
        moloch.begin_guild(
            self.guild, self.members, self.queue, 500, PERIOD_S, 35, 35, dilution_bound
        )
        for member, shares in enumerate((50, 30, 20)):
            assert moloch.add_member(self.guild, self.members, member, shares, 0) == DONE
        self.period = 0

    @property
    def time_s(self) -> int:
        return 500 + self.period * PERIOD_S

    def sponsor(self) -> int:
        code, number = moloch.sponsor(self.guild, self.queue, self.time_s)
        assert code == DONE
        return number

    def cast(self, number: int, member: int, choice: int) -> int:
        return moloch.cast(
            self.guild, self.members, self.queue, self.time_s, number, member, choice
        )

    def state(self, number: int) -> int:
        return moloch.motion_state(self.guild, self.queue, self.time_s, number)

    def process(self, number: int) -> int:
        return moloch.process(self.guild, self.queue, self.time_s, number)

    def ragequit(self, member: int, shares: int, loot: int = 0) -> int:
        return moloch.ragequit(self.guild, self.members, self.bank, member, shares, loot, self.paid)


def test_a_motion_waits_is_voted_on_rests_and_is_processed() -> None:
    guild = Guild()
    number = guild.sponsor()
    states = []
    for period in range(73):
        guild.period = period
        states.append(guild.state(number))
    runs = [(state, len(list(group))) for state, group in itertools.groupby(states)]
    assert runs == [(moloch.WAITING, 1), (moloch.VOTING, 35), (moloch.GRACE, 35), (moloch.READY, 2)]


def test_motions_start_one_period_apart() -> None:
    guild = Guild()
    assert [guild.sponsor() for _ in range(3)] == [0, 1, 2]
    assert guild.queue[:, moloch.Q_STARTING_PERIOD].tolist() == [1, 2, 3]
    assert moloch.sponsor(guild.guild, guild.queue, guild.time_s) == (NO_FREE_SLOT, -1)
    guild.period = 80
    assert guild.process(1) == OUT_OF_ORDER
    assert guild.process(0) == DONE
    assert guild.sponsor() == 3
    assert guild.queue[0, moloch.Q_STARTING_PERIOD] == 81
    assert guild.state(0) == moloch.UNKNOWN  # its slot is that of motion 3 now


@pytest.mark.parametrize(
    ("choices", "state"),
    [
        ((moloch.VOTE_YES, moloch.VOTE_NO, 0), moloch.PASSED),
        ((moloch.VOTE_YES, moloch.VOTE_NO, moloch.VOTE_NO), moloch.FAILED),  # 50 to 50
        ((0, 0, moloch.VOTE_YES), moloch.PASSED),  # there is no quorum
        ((0, 0, 0), moloch.FAILED),
    ],
)
def test_a_motion_passes_with_more_yes_than_no(choices: tuple[int, ...], state: int) -> None:
    guild = Guild()
    number = guild.sponsor()
    assert guild.cast(number, 0, moloch.VOTE_YES) == UNEXPECTED_STATE
    guild.period = 1
    for member, choice in enumerate(choices):
        if choice:
            assert guild.cast(number, member, choice) == DONE
            assert guild.cast(number, member, choice) == ALREADY_VOTED
    guild.period = 70
    assert guild.process(number) == NOT_READY
    guild.period = 71
    assert guild.process(number) == DONE
    assert guild.state(number) == state
    assert guild.process(number) == UNEXPECTED_STATE


def test_who_may_not_vote() -> None:
    guild = Guild()
    number = guild.sponsor()
    guild.period = 1
    assert guild.cast(number, 3, moloch.VOTE_YES) == NO_VOTING_POWER
    assert guild.cast(number, 4, moloch.VOTE_YES) == UNKNOWN_ACCOUNT
    assert guild.cast(number, 0, 3) == INVALID_VOTE_TYPE
    assert guild.cast(number + 1, 0, moloch.VOTE_YES) == NONEXISTENT_PROPOSAL
    assert guild.process(number + 1) == NONEXISTENT_PROPOSAL


def test_leaving_pays_the_rounded_down_share_of_every_asset() -> None:
    guild = Guild()
    assert guild.ragequit(1, 10) == DONE
    assert guild.paid.tolist() == [100, 0]  # floor(7 * 10 / 100) = 0
    assert guild.bank.tolist() == [900, 7]
    assert guild.ragequit(1, 21) == INSUFFICIENT_BALANCE
    assert guild.ragequit(1, 20) == DONE
    assert guild.paid.tolist() == [200, 1]  # 20 of 90 shares
    assert guild.ragequit(2, -1) == INVALID_AMOUNT
    assert guild.ragequit(2, 20) == DONE
    assert guild.ragequit(0, 50) == DONE  # the last one takes what is left
    assert guild.bank.tolist() == [0, 0]
    assert guild.ragequit(0, 0) == NO_VOTING_POWER


def test_loot_has_a_claim_and_no_vote() -> None:
    guild = Guild()
    assert moloch.add_member(guild.guild, guild.members, 3, 0, 100) == DONE
    number = guild.sponsor()
    guild.period = 1
    assert guild.cast(number, 3, moloch.VOTE_YES) == NO_VOTING_POWER
    assert guild.ragequit(3, 0, 100) == DONE
    assert guild.paid.tolist() == [500, 3]


def test_who_voted_yes_leaves_only_after_the_motion_was_processed() -> None:
    guild = Guild()
    number = guild.sponsor()
    guild.period = 1
    guild.cast(number, 0, moloch.VOTE_YES)
    guild.cast(number, 1, moloch.VOTE_NO)
    assert guild.ragequit(0, 1) == YES_VOTE_UNPROCESSED
    assert guild.ragequit(1, 1) == DONE  # the dissenter
    guild.period = 71
    guild.process(number)
    assert guild.ragequit(0, 1) == DONE


def test_a_motion_fails_where_too_many_left_after_the_yes_votes() -> None:
    guild = Guild()
    motions = [guild.sponsor(), guild.sponsor()]
    guild.period = 2
    for number in motions:
        guild.cast(number, 2, moloch.VOTE_YES)  # with 100 shares in all
    guild.ragequit(0, 50)
    guild.ragequit(1, 16)  # 34 left: 3 * 34 >= 100
    guild.period = 72
    guild.process(motions[0])
    guild.ragequit(1, 1)  # 33 left: 3 * 33 < 100
    guild.process(motions[1])
    assert [guild.state(number) for number in motions] == [moloch.PASSED, moloch.FAILED]


@hypothesis.given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 50)), max_size=30),
    st.integers(0, 2**59),
)
def test_leaving_never_creates_money_and_never_costs_those_who_stay(
    quits: list[tuple[int, int]], funds: int
) -> None:
    guild = Guild()
    guild.bank[0] = funds
    out = 0
    for member, shares in quits:
        before, shares_before = int(guild.bank[0]), int(guild.guild[moloch.U_SHARES])
        if guild.ragequit(member, shares) != DONE:
            continue
        out += int(guild.paid[0])
        shares_now = int(guild.guild[moloch.U_SHARES])
        assert int(guild.bank[0]) * shares_before >= before * shares_now
    assert out + int(guild.bank[0]) == funds
