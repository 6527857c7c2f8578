"""Stakes against a model with a deque of duties and fractions of the stake."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from math import floor

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.integers import LARGEST
from daogym.envs.dao.results import (
    DONE,
    DOWNTIME,
    INVALID,
    INVALID_PROOF,
    JAILED,
    NOT_OPEN,
    OVERDRAFT,
    OVERFLOW,
    TOO_EARLY,
)
from daogym.envs.dao.rules import CLIP, COST, REVERT
from daogym.envs.dao.staking import (
    DUTY_MISSED,
    DUTY_SLASHED,
    UNBOND_WIDTH,
    ask_back,
    bond,
    duty_capacity,
    duty_width,
    settle_duty,
    slash,
    unbond,
)

pytestmark = pytest.mark.kernel

OWNER, BONDED, COMMUNITY = 0, 1, 2


def books(*cents: int) -> np.ndarray:
    return np.array(cents, dtype=np.int64)


@hypothesis.given(
    st.integers(1, 70), st.integers(0, 12), st.integers(0, 10**6), st.integers(0, 10**6),
    st.integers(0, 5), st.integers(0, 9), st.integers(0, 10**9),
    st.lists(
        st.tuples(st.integers(0, 3), st.sampled_from(["done", "missed", "missed", "invalid"])),
        max_size=120,
    ),
    st.sampled_from([REVERT, CLIP, COST]),
)  # fmt: skip
@hypothesis.settings(max_examples=200)
def test_duties_are_counted_slashed_and_jailed_as_the_model_says(
    window: int, most: int, downtime_ppm: int, invalid_ppm: int, downtime_jail: int,
    invalid_jail: int, stake: int, duties: list[tuple[int, str]], effect: int,
) -> None:  # fmt: skip
    record = np.zeros(duty_width(window), dtype=np.int64)
    settings = books(window, most, downtime_ppm, downtime_jail, invalid_ppm, invalid_jail, 0)
    accounts = books(0, stake, 0)
    recent: deque[bool] = deque(maxlen=window)
    now, free_at, expected_stake = 0, 0, stake
    for elapsed, duty in duties:
        now += elapsed
        cents, code = settle_duty(
            record, settings, accounts, BONDED, COMMUNITY, now, duty == "missed",
            duty == "invalid", effect,
        )  # fmt: skip
        if now < free_at:
            assert (cents, code) == (0, JAILED)
            continue
        if duty != "invalid":
            recent.append(duty == "missed")
        lost, jail = Fraction(0), 0
        if duty == "invalid":
            assert code == INVALID_PROOF
            lost, jail = Fraction(expected_stake * invalid_ppm, 10**6), invalid_jail
        elif sum(recent) > most:
            assert code == DOWNTIME
            lost, jail = Fraction(expected_stake * downtime_ppm, 10**6), downtime_jail
        else:
            assert (cents, code) == (0, DONE)
            assert record[DUTY_MISSED] == sum(recent)
            continue
        recent.clear()
        if effect == COST:
            assert cents == 0
            continue
        assert cents == floor(lost)
        expected_stake -= floor(lost)
        free_at = now + jail
        assert duty_capacity(record, settings, 1, now, 7.5) == (0.0 if jail else 7.5)
        assert duty_capacity(record, settings, 1, free_at, 7.5) == 7.5
    assert accounts.tolist() == [0, expected_stake, stake - expected_stake]
    assert record[DUTY_SLASHED] == stake - expected_stake


@hypothesis.given(st.integers(0, LARGEST), st.lists(st.integers(0, 10**6), max_size=20))
def test_slashing_never_takes_more_than_there_is(stake: int, shares: list[int]) -> None:
    accounts = books(0, stake, 0)
    for share in shares:
        before = int(accounts[BONDED])
        cents, code = slash(accounts, BONDED, COMMUNITY, share)
        assert code == DONE
        assert cents == before * share // 10**6
        assert accounts[BONDED] >= 0
        assert sum(accounts.tolist()) == stake


def test_a_share_of_more_than_all_is_refused() -> None:
    accounts = books(0, 100, 0)
    for share in (-1, 10**6 + 1):
        assert slash(accounts, BONDED, COMMUNITY, share) == (0, INVALID)
    assert slash(accounts, BONDED, 3, 500_000) == (0, INVALID)
    assert accounts.tolist() == [0, 100, 0]


@pytest.mark.parametrize("outside", [-1, 3, LARGEST])
def test_accounts_that_do_not_exist_are_refused(outside: int) -> None:
    accounts, record = books(5, 100, 7), np.zeros(UNBOND_WIDTH, dtype=np.int64)
    assert slash(accounts, outside, COMMUNITY, 500_000) == (0, INVALID)
    assert ask_back(record, accounts, outside, 0, 1, 0) == INVALID
    assert ask_back(record, accounts, BONDED, 0, 1, -1) == INVALID
    assert ask_back(record, accounts, BONDED, 0, 1, 0) == DONE
    assert ask_back(record, accounts, BONDED, 0, LARGEST, 0) == OVERFLOW
    assert unbond(record, accounts, outside, OWNER, 0) == (0, INVALID)
    assert unbond(record, accounts, BONDED, outside, 0) == (0, INVALID)
    assert accounts.tolist() == [5, 100, 7]
    assert unbond(record, accounts, BONDED, OWNER, 0) == (1, DONE)


def test_all_of_a_stake_may_be_asked_back_but_no_more() -> None:
    accounts, record = books(70, 30, 0), np.zeros(UNBOND_WIDTH, dtype=np.int64)
    first_account = 0  # as good as any for a stake
    assert ask_back(record, accounts, first_account, 0, 0, 0) == INVALID
    assert ask_back(record, accounts, first_account, 0, 71, 0) == OVERDRAFT
    assert ask_back(record, accounts, first_account, 0, 70, 0) == DONE
    assert unbond(record, accounts, first_account, 1, 0) == (70, DONE)
    assert accounts.tolist() == [0, 100, 0]


def test_a_stake_below_the_least_offers_no_capacity() -> None:
    record, settings = np.zeros(duty_width(8), dtype=np.int64), books(8, 2, 0, 0, 0, 0, 500)
    assert duty_capacity(record, settings, 499, 0, 3.0) == 0.0
    assert duty_capacity(record, settings, 500, 0, 3.0) == 3.0
    with pytest.raises(ValueError, match="at least 1 duty, got 0"):
        duty_width(0)


def test_cosmos_shares_for_double_signing_and_downtime() -> None:
    """5 % for an invalid proof, 0.01 % for downtime, truncated."""
    accounts = books(0, 1_000_009, 0)
    assert slash(accounts, BONDED, COMMUNITY, 100) == (100, DONE)
    assert slash(accounts, BONDED, COMMUNITY, 50_000) == (49_995, DONE)


@hypothesis.given(
    st.integers(0, 1000), st.integers(0, 9),
    st.lists(
        st.tuples(
            st.integers(0, 5), st.sampled_from(["bond", "ask", "unbond", "slash"]),
            st.integers(-5, 600),
        ),
        max_size=50,
    ),
)  # fmt: skip
def test_bonded_money_comes_back_late_and_can_be_slashed_meanwhile(
    own: int, delay: int, events: list[tuple[int, str, int]]
) -> None:
    accounts, record, now = books(own, 0, 0), np.zeros(UNBOND_WIDTH, dtype=np.int64), 0
    owner, stake, asked, asked_at = own, 0, 0, 0
    for elapsed, event, cents in events:
        now += elapsed
        if event == "bond":
            code = bond(accounts, OWNER, BONDED, cents)
            assert code == (INVALID if cents < 0 else OVERDRAFT if cents > owner else DONE)
            if code == DONE:
                owner, stake = owner - cents, stake + cents
        elif event == "ask":
            code = ask_back(record, accounts, BONDED, now, cents, delay)
            expected = INVALID if cents <= 0 else OVERDRAFT if asked + cents > stake else DONE
            assert code == expected
            if code == DONE:
                asked, asked_at = asked + cents, now
        elif event == "unbond":
            paid, code = unbond(record, accounts, BONDED, OWNER, now)
            if asked == 0:
                assert (paid, code) == (0, NOT_OPEN)
            elif now - asked_at < delay:
                assert (paid, code) == (0, TOO_EARLY)
            else:
                assert (paid, code) == (min(asked, stake), DONE)
                owner, stake, asked = owner + paid, stake - paid, 0
        else:
            stake -= slash(accounts, BONDED, COMMUNITY, 300_000)[0]
        assert accounts.tolist() == [owner, stake, own - owner - stake]
