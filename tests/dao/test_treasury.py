"""Treasury, streams and ownership: over any sequence money only moves, and exactly as said."""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.allowance import ALLOWANCE_SPENT, ALLOWANCE_WIDTH, set_allowance
from daogym.envs.dao.integers import LARGEST
from daogym.envs.dao.ownership import issue_shares, rage_quit, shares_outstanding
from daogym.envs.dao.results import (
    ALREADY_OPEN,
    DONE,
    INVALID,
    NOT_OPEN,
    OVER_ALLOWANCE,
    OVERDRAFT,
    OVERFLOW,
)
from daogym.envs.dao.rules import CLIP, COST, REVERT
from daogym.envs.dao.staking import slash
from daogym.envs.dao.streams import (
    STREAM_OPEN,
    STREAM_OWED,
    STREAM_PAID,
    STREAM_STEPS,
    STREAM_WIDTH,
    cancel_stream,
    open_stream,
    pay_stream,
)
from daogym.envs.dao.treasury import (
    TOTALS_WIDTH,
    books_balance,
    burn,
    mint,
    pay_each,
    pay_from_allowance,
    transfer,
)

pytestmark = pytest.mark.kernel

ACCOUNTS, PURPOSES = 5, 3
account = st.integers(-1, ACCOUNTS)
valid_account = st.integers(0, ACCOUNTS - 1)
cents = st.one_of(
    st.integers(-1, 2),
    st.integers(-3, 1000),
    st.sampled_from([LARGEST, LARGEST - 1, LARGEST // 2, -LARGEST - 1]),
)


def books(*amounts: int) -> tuple[np.ndarray, np.ndarray]:
    """Accounts that were minted for purpose 1, and their totals."""
    accounts = np.zeros(len(amounts), dtype=np.int64)
    totals = np.zeros((PURPOSES, TOTALS_WIDTH), dtype=np.int64)
    for target, amount in enumerate(amounts):
        assert mint(accounts, totals, 1, target, amount) == DONE
    return accounts, totals


operation = st.one_of(
    st.tuples(st.just("transfer"), account, account, cents),
    st.tuples(st.just("mint"), st.integers(-1, PURPOSES), account, cents),
    st.tuples(st.just("burn"), st.integers(-1, PURPOSES), account, cents),
    st.tuples(st.just("slash"), valid_account, valid_account, st.integers(0, 10**6)),
    st.tuples(st.just("pay_each"), valid_account, account, cents),
)


@hypothesis.given(st.lists(operation, max_size=80))
@hypothesis.settings(max_examples=300)
def test_money_is_conserved_over_any_sequence(
    operations: list[tuple[str, int, int, int]],
) -> None:
    accounts, totals = books(*[0] * ACCOUNTS)
    model: dict[int, int] = dict.fromkeys(range(ACCOUNTS), 0)
    minted: dict[int, int] = dict.fromkeys(range(1, PURPOSES), 0)
    burned: dict[int, int] = dict.fromkeys(range(1, PURPOSES), 0)

    def move(source: int, target: int, amount: int) -> int:
        if source not in model or target not in model or amount < 0:
            return INVALID
        if model[source] < amount:
            return OVERDRAFT
        model[source] -= amount
        model[target] += amount
        return DONE

    for name, first, second, amount in operations:
        code: Any
        expected: Any
        if name == "transfer":
            code, expected = transfer(accounts, first, second, amount), move(first, second, amount)
        elif name == "mint":
            code = mint(accounts, totals, first, second, amount)
            expected = INVALID
            if first in minted and second in model and amount >= 0:
                expected = OVERFLOW if sum(minted.values()) + amount > LARGEST else DONE
            if expected == DONE:
                minted[first] += amount
                model[second] += amount
        elif name == "burn":
            code = burn(accounts, totals, first, second, amount)
            expected = INVALID
            if first in burned and second in model and amount >= 0:
                expected = OVERDRAFT if amount > model[second] else DONE
            if expected == DONE:
                burned[first] += amount
                model[second] -= amount
        elif name == "slash":
            code = slash(accounts, first, second, amount)
            part = model[first] * amount // 10**6
            expected = (part, move(first, second, part))
        else:
            payouts = [1, amount, 2]
            code = pay_each(
                accounts, first, np.array([0, second, 1]), np.array(payouts, dtype=np.int64)
            )
            if second not in model or amount < 0:
                # The first payment alone may already be more than there is.
                expected = INVALID if model[first] >= 1 else OVERDRAFT
            elif sum(payouts) > model[first]:
                expected = OVERDRAFT
            else:
                expected = DONE
                for target, payout in zip((0, second, 1), payouts, strict=True):
                    move(first, target, payout)
        assert code == expected, name
        assert accounts.tolist() == list(model.values())
        assert sum(model.values()) == sum(minted.values()) - sum(burned.values())
        assert totals[0].tolist() == [sum(minted.values()), sum(burned.values())]
        assert totals[1:].tolist() == [[minted[p], burned[p]] for p in range(1, PURPOSES)]
        assert books_balance(accounts, totals)


@pytest.mark.parametrize("outside", [-1, 3, LARGEST, -LARGEST - 1])
def test_accounts_that_do_not_exist_are_refused(outside: int) -> None:
    accounts, totals = books(10, 20, 30)
    before = (accounts.copy(), totals.copy())
    assert transfer(accounts, outside, 0, 1) == transfer(accounts, 0, outside, 1) == INVALID
    assert mint(accounts, totals, 1, outside, 1) == burn(accounts, totals, 1, outside, 1) == INVALID
    assert mint(accounts, totals, outside, 0, 1) == burn(accounts, totals, outside, 0, 1) == INVALID
    assert mint(accounts, totals, 0, 0, 1) == burn(accounts, totals, 0, 0, 1) == INVALID
    one = np.ones(2, dtype=np.int64)
    assert pay_each(accounts, outside, np.array([0, 1]), one) == INVALID
    assert pay_each(accounts, 0, np.array([1, outside]), one) == INVALID
    np.testing.assert_array_equal(accounts, before[0])
    np.testing.assert_array_equal(totals, before[1])
    assert transfer(accounts, 2, 0, 30) == transfer(accounts, 0, 2, 40) == DONE
    assert mint(accounts, totals, 2, 2, 1) == burn(accounts, totals, 2, 2, 1) == DONE


def test_books_that_do_not_balance_are_seen() -> None:
    for change in ((0, 1), (0, -1), (1, 5), (2, -31)):
        accounts, totals = books(10, 20, 30)
        assert books_balance(accounts, totals)
        accounts[change[0]] += change[1]
        assert not books_balance(accounts, totals)
    accounts, totals = books(10, 20, 30)
    accounts[:] = (-10, 40, 30)  # the sum is right, but somebody is overdrawn
    assert not books_balance(accounts, totals)
    accounts[:] = (LARGEST, LARGEST, 62)  # wraps around to the right sum
    assert not books_balance(accounts, totals)


# --- allowances -----------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(0, 300), st.integers(0, 500),
    st.lists(
        st.tuples(
            st.integers(0, 20), st.integers(-2, 200), st.sampled_from([REVERT, CLIP, COST])
        ),
        max_size=40,
    ),
)  # fmt: skip
def test_a_delegates_payment_is_one_transaction(
    amount: int, balance: int, payments: list[tuple[int, int, int]]
) -> None:
    accounts, totals = books(balance, 0)
    allowance = np.zeros(ALLOWANCE_WIDTH, dtype=np.int64)
    set_allowance(allowance, 100, amount, 30, 100)
    now, spent_in = 100, dict[int, int]()
    for elapsed, request, effect in payments:
        now += elapsed
        before, source = allowance.copy(), int(accounts[0])
        left = max(amount - spent_in.get((now - 100) // 30, 0), 0)
        paid, code = pay_from_allowance(accounts, allowance, now, 0, 1, request, effect)
        wanted = {
            REVERT: request if request <= left else 0,
            CLIP: min(request, left),
            COST: request,
        }
        allowed = max(wanted[effect], 0)
        if allowed > source:
            assert (paid, code) == (0, OVERDRAFT)
        else:
            assert paid == allowed
            over = INVALID if request <= 0 else DONE if request <= left else OVER_ALLOWANCE
            assert code == over
        if paid == 0:
            np.testing.assert_array_equal(allowance, before)
        else:
            spent_in[(now - 100) // 30] = spent_in.get((now - 100) // 30, 0) + paid
            assert allowance[ALLOWANCE_SPENT] == spent_in[(now - 100) // 30]
        assert accounts[0] == source - paid
        assert books_balance(accounts, totals)


# --- streams --------------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(0, 10**6), st.integers(1, 700), st.integers(0, 300),
    st.lists(st.integers(0, 40), max_size=30),
)  # fmt: skip
def test_a_stream_pays_whole_cents_and_loses_no_fraction(
    per_period: int, period: int, length: int, pauses: list[int]
) -> None:
    accounts, totals = books(LARGEST // 2, 0)
    record, now = np.zeros(STREAM_WIDTH, dtype=np.int64), 20
    assert open_stream(record, now, 0, 1, per_period, period, now + length) == DONE
    paid = 0
    for pause in pauses:
        now += pause
        was_open = record[STREAM_OPEN] == 1
        step_paid, code = pay_stream(accounts, record, now)
        assert code == (DONE if was_open else NOT_OPEN)
        paid += step_paid
        flowed = Fraction(per_period * min(now - 20, length), period)
        assert paid == floor(flowed) == record[STREAM_PAID] == accounts[1]
        assert Fraction(int(record[STREAM_OWED]), period) == flowed - paid
        assert (record[STREAM_OPEN] == 1) == (now < 20 + length)
    assert books_balance(accounts, totals)


@hypothesis.given(
    st.integers(0, 60), st.integers(1, 9), st.integers(0, 200),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 40)), max_size=40), st.booleans(),
)  # fmt: skip
def test_a_source_without_money_owes_and_never_overdraws(
    per_period: int, period: int, length: int, events: list[tuple[int, int]], cancels: bool
) -> None:
    accounts, totals = books(25, 0)
    record, now = np.zeros(STREAM_WIDTH, dtype=np.int64), 0
    open_stream(record, now, 0, 1, per_period, period, length)
    assert open_stream(record, now, 0, 1, per_period, period, length) == ALREADY_OPEN
    for elapsed, income in events:
        now += elapsed
        assert mint(accounts, totals, 1, 0, income) == DONE
        available, was_open = int(accounts[0]), record[STREAM_OPEN] == 1
        owed = Fraction(per_period * min(now, length), period) - int(accounts[1])
        paid, code = pay_stream(accounts, record, now)
        if was_open:
            assert paid == min(floor(owed), available)
            assert code == (OVERDRAFT if floor(owed) > available else DONE)
        else:
            assert paid == 0
        owed = Fraction(per_period * min(now, length), period) - int(accounts[1])
        assert Fraction(int(record[STREAM_OWED]), int(record[STREAM_STEPS])) == owed
        assert accounts.min() >= 0 and books_balance(accounts, totals)
    if cancels and record[STREAM_OPEN] == 1:
        at = int(accounts[1])
        assert cancel_stream(accounts, record, now + 1)[0] == accounts[1] - at
        assert pay_stream(accounts, record, now + 500) == (0, NOT_OPEN)


def test_streams_that_make_no_sense_are_refused() -> None:
    accounts, _ = books(100, 0)
    record = np.zeros(STREAM_WIDTH, dtype=np.int64)
    assert cancel_stream(accounts, record, 5) == (0, NOT_OPEN)
    assert open_stream(record, 0, 0, 1, -1, 5, 9) == INVALID
    assert open_stream(record, 0, 0, 1, 1, 0, 9) == INVALID
    assert open_stream(record, 5, 0, 1, 1, 1, 4) == INVALID
    assert open_stream(record, 0, 0, 1, LARGEST // 8, 1, 9) == OVERFLOW
    assert open_stream(record, 0, 0, 7, 1, 1, 9) == DONE
    assert pay_stream(accounts, record, 3) == (0, INVALID)
    assert accounts.tolist() == [100, 0]


# --- ownership ------------------------------------------------------------------------------------


@hypothesis.given(
    st.lists(st.one_of(st.integers(0, 50), st.integers(0, LARGEST // 8)), min_size=3, max_size=3),
    st.one_of(st.integers(0, 1000), st.integers(0, LARGEST)),
)  # fmt: skip
def test_shares_are_issued_in_proportion_to_contribution(scores: list[int], issue: int) -> None:
    shares, totals = books(0, 0, 0)
    scratch = [np.zeros(3, dtype=np.int64) for _ in range(3)]
    code = issue_shares(shares, totals, 2, np.array(scores, dtype=np.int64), issue, *scratch)
    assert code == DONE
    if sum(scores) == 0:
        assert not shares.any()
        return
    assert sum(shares.tolist()) == issue == shares_outstanding(totals)
    for owned, score in zip(shares.tolist(), scores, strict=True):
        assert abs(owned - Fraction(issue * score, sum(scores))) < 1
    assert books_balance(shares, totals)
    second = issue_shares(shares, totals, 2, np.array(scores, dtype=np.int64), LARGEST, *scratch)
    assert second == (OVERFLOW if issue else DONE)
    assert books_balance(shares, totals)


@hypothesis.given(
    st.one_of(st.integers(0, 10**6), st.integers(0, LARGEST)),
    st.lists(st.integers(0, 10**6) | st.integers(0, LARGEST // 4), min_size=3, max_size=3),
    st.lists(st.tuples(st.integers(-1, 3), st.integers(0, 10**6) | st.integers(0, LARGEST))),
)
def test_who_leaves_takes_exactly_its_part(
    balance: int, owned: list[int], exits: list[tuple[int, int]]
) -> None:
    accounts, money = books(balance, 0)
    shares, totals = books(*owned)
    model, left = dict(enumerate(owned)), balance
    for holder, count in exits:
        paid, code = rage_quit(accounts, 0, 1, shares, totals, 1, holder, count)
        if holder not in model or count == 0:
            assert (paid, code) == (0, INVALID)
        elif count > model[holder]:
            assert (paid, code) == (0, OVERDRAFT)
        else:
            assert (paid, code) == (left * count // sum(model.values()), DONE)
            # Nobody who stays loses by it.
            rest = sum(model.values()) - count
            assert not rest or Fraction(left - paid, rest) >= Fraction(left, rest + count)
            model[holder] -= count
            left -= paid
        assert accounts.tolist() == [left, balance - left]
        assert shares.tolist() == list(model.values())
        assert books_balance(accounts, money) and books_balance(shares, totals)


def test_ownership_refuses_accounts_that_do_not_exist() -> None:
    accounts, _ = books(100, 0)
    shares, totals = books(5, 5)
    assert rage_quit(accounts, 2, 1, shares, totals, 1, 0, 1) == (0, INVALID)
    assert rage_quit(accounts, 0, -1, shares, totals, 1, 0, 1) == (0, INVALID)
    assert rage_quit(accounts, 0, 1, shares, totals, PURPOSES, 0, 1) == (0, INVALID)
    assert rage_quit(accounts, 0, 2, shares, totals, 1, 0, 1) == (0, INVALID)
    assert rage_quit(accounts, 1, 0, shares, totals, 1, 0, 0) == (0, INVALID)
    scratch = [np.zeros(3, dtype=np.int64) for _ in range(3)]
    assert issue_shares(shares, totals, 1, np.ones(3, dtype=np.int64), 9, *scratch) == INVALID
    assert shares.tolist() == [5, 5] and accounts.tolist() == [100, 0]
    assert rage_quit(accounts, 0, 1, shares, totals, 1, 0, 3) == (30, DONE)
    assert rage_quit(accounts, 1, 0, shares, totals, 1, 1, 5) == (21, DONE)
    assert shares.tolist() == [2, 0] and accounts.tolist() == [91, 9]
