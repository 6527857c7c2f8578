"""Votes of accounts: against votes counted from scratch, and what a full history forgets."""

from __future__ import annotations

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from daogym.envs.dao import checkpoints, votes
from daogym.envs.dao.checkpoints import FORGOTTEN, trace_width
from daogym.envs.dao.results import (
    DONE,
    INSUFFICIENT_BALANCE,
    INVALID_AMOUNT,
    INVALID_RECEIVER,
    NO_CHECKPOINT_ROOM,
    SUPPLY_EXCEEDED,
    UNKNOWN_ACCOUNT,
)
from daogym.envs.dao.votes import MAX_VOTES, NOBODY, NOT_PAST, V_BALANCE, votes_width

pytestmark = pytest.mark.kernel
Int = NDArray[np.int64]

ACCOUNTS, PINS = 4, 3
NO_PINS = np.zeros(0, dtype=np.int64)


def empty_votes(pins: int = PINS) -> Int:
    array = np.zeros((ACCOUNTS + 1, votes_width(pins)), dtype=np.int64)
    votes.begin_votes(array)
    return array


class Reference:
    """Balances and delegates; votes are summed anew whenever somebody asks."""

    def __init__(self) -> None:
        self.balances = [0] * ACCOUNTS
        self.delegates = [NOBODY] * ACCOUNTS
        self.history: dict[int, list[int]] = {}

    def votes(self) -> list[int]:
        """Votes of each account, then the supply."""
        counted = [
            sum(b for b, d in zip(self.balances, self.delegates, strict=True) if d == account)
            for account in range(ACCOUNTS)
        ]
        return [*counted, sum(self.balances)]

    def at(self, step: int) -> list[int]:
        """Votes and supply at the end of a step; nothing before the first one."""
        past = [s for s in self.history if s <= step]
        return self.history[max(past)] if past else [0] * (ACCOUNTS + 1)


account = st.integers(0, ACCOUNTS - 1)
operation = st.one_of(
    st.tuples(st.just("transfer"), account, account, st.integers(0, 60)),
    st.tuples(st.just("delegate"), account, st.integers(NOBODY, ACCOUNTS - 1)),
    st.tuples(st.just("mint"), account, st.integers(0, 50)),
    st.tuples(st.just("burn"), account, st.integers(0, 60)),
    st.tuples(st.just("pin"), st.integers(0, PINS - 1), st.integers(0, 6)),
    st.tuples(st.just("wait"), st.integers(1, 3)),
    st.tuples(st.just("wait"), st.just(1)),
)


@hypothesis.settings(max_examples=150)
@hypothesis.given(st.lists(operation, max_size=150))
def test_votes_are_those_counted_from_scratch(operations: list[tuple[object, ...]]) -> None:
    array, reference = empty_votes(), Reference()
    pins = np.zeros(PINS, dtype=np.int64)
    step = 10
    for name, *arguments in operations:
        result, accepted = DONE, True
        if name == "wait":
            (steps,) = arguments
            step += steps
        elif name == "pin":
            slot, delay = arguments
            pins[slot] = step + delay
        elif name == "delegate":
            who, to = arguments
            result = votes.delegate(array, who, to, step, pins)
            reference.delegates[who] = to
        else:
            who, amount = arguments[0], arguments[-1]
            if name == "mint":
                result = votes.mint(array, who, amount, step, pins)
                reference.balances[who] += amount
            else:
                accepted = amount <= reference.balances[who]
                if name == "burn":
                    result = votes.burn(array, who, amount, step, pins)
                else:
                    result = votes.transfer(array, who, arguments[1], amount, step, pins)
                if accepted:
                    reference.balances[who] -= amount
                    if name == "transfer":
                        reference.balances[arguments[1]] += amount
        assert result == (DONE if accepted else INSUFFICIENT_BALANCE)
        reference.history[step] = reference.votes()
        check_against(reference, array, pins, step)


def check_against(reference: Reference, array: Int, pins: Int, step: int) -> None:
    """Present and pinned past agree; what was forgotten says so and is never wrong."""
    rows = range(ACCOUNTS + 1)
    assert array[:-1, V_BALANCE].tolist() == reference.balances
    assert votes.total_supply(array) == sum(reference.balances)
    now = reference.votes()
    assert [votes.current_votes(array, row) for row in rows] == now
    for past in {*pins[pins < step].tolist(), step - 1}:
        assert [votes.past_votes(array, row, past, step) for row in rows] == reference.at(past)
    for past in range(8, step, 2):
        for row, true in zip(rows, reference.at(past), strict=True):
            assert votes.past_votes(array, row, past, step) in (true, FORGOTTEN)


def test_a_trace_holds_any_pattern_of_pins_and_one_narrower_does_not() -> None:
    pins = np.array([3, 7, 11], dtype=np.int64)
    wide = np.zeros(trace_width(pins.size), dtype=np.int64)
    narrow = np.zeros(wide.size - 2, dtype=np.int64)
    for trace, holds in ((wide, True), (narrow, False)):
        checkpoints.begin_trace(trace)
        room = []
        for step in range(40):
            room.append(checkpoints.make_room(trace, step, pins))
            if room[-1]:
                checkpoints.write_value(trace, step, 100 + step)
        assert all(room) == holds
    assert [checkpoints.value_at(wide, t) for t in (3, 7, 11, 38, 39)] == [103, 107, 111, 138, 139]
    assert checkpoints.value_at(wide, -1) == 0
    assert checkpoints.value_at(wide, 20) == FORGOTTEN


def test_more_pins_than_a_trace_is_wide_for_are_refused_and_change_nothing() -> None:
    array = empty_votes(pins=1)
    pins = np.arange(0, 40, 2)
    assert votes.delegate(array, 0, 0, 0, pins) == DONE
    for step in range(1, 40):
        before = array.copy()
        if votes.mint(array, 0, 1, step, pins) == NO_CHECKPOINT_ROOM:
            assert np.array_equal(array[:, :2], before[:, :2])
            assert [votes.past_votes(array, 0, t, step) for t in (2, 4)] == [2, 4]
            return
    raise AssertionError("the trace should have been full")


def test_undelegated_tokens_count_in_the_supply_only() -> None:
    array = empty_votes()
    votes.mint(array, 0, 70, 5, NO_PINS)
    votes.mint(array, 1, 30, 5, NO_PINS)
    votes.delegate(array, 1, 2, 5, NO_PINS)
    assert [votes.past_votes(array, i, 5, 6) for i in range(ACCOUNTS)] == [0, 0, 30, 0]
    assert votes.past_supply(array, 5, 6) == 100
    votes.delegate(array, 1, NOBODY, 6, NO_PINS)
    assert votes.current_votes(array, 2) == 0


def test_a_step_is_past_only_once_it_is_over() -> None:
    array = empty_votes()
    votes.mint(array, 0, 10, 5, NO_PINS)
    votes.delegate(array, 0, 0, 5, NO_PINS)
    assert votes.past_votes(array, 0, 5, 5) == NOT_PAST
    assert votes.past_supply(array, 7, 6) == NOT_PAST
    votes.mint(array, 0, 5, 5, NO_PINS)  # the same step again: the later value counts
    assert votes.past_votes(array, 0, 5, 6) == 15
    assert votes.past_votes(array, 0, 4, 6) == 0


def test_what_is_refused() -> None:
    array = empty_votes()
    assert votes.mint(array, 0, MAX_VOTES, 1, NO_PINS) == DONE
    assert votes.mint(array, 1, 1, 1, NO_PINS) == SUPPLY_EXCEEDED
    before = array.copy()
    assert votes.mint(array, ACCOUNTS, 1, 1, NO_PINS) == INVALID_RECEIVER
    assert votes.mint(array, 0, -1, 1, NO_PINS) == INVALID_AMOUNT
    assert votes.burn(array, -1, 1, 1, NO_PINS) == UNKNOWN_ACCOUNT
    assert votes.burn(array, 1, 1, 1, NO_PINS) == INSUFFICIENT_BALANCE
    assert votes.burn(array, 0, -1, 1, NO_PINS) == INVALID_AMOUNT
    assert votes.transfer(array, 0, ACCOUNTS, 1, 1, NO_PINS) == INVALID_RECEIVER
    assert votes.transfer(array, ACCOUNTS, 0, 1, 1, NO_PINS) == UNKNOWN_ACCOUNT
    assert votes.transfer(array, 0, 1, -1, 1, NO_PINS) == INVALID_AMOUNT
    assert votes.transfer(array, 1, 0, 1, 1, NO_PINS) == INSUFFICIENT_BALANCE
    assert votes.delegate(array, 0, ACCOUNTS, 1, NO_PINS) == UNKNOWN_ACCOUNT
    assert votes.delegate(array, ACCOUNTS, 0, 1, NO_PINS) == UNKNOWN_ACCOUNT
    assert np.array_equal(array, before)
    votes.delegate(array, 0, 0, 1, NO_PINS)
    assert votes.transfer(array, 0, 1, 1, 0, NO_PINS) == NO_CHECKPOINT_ROOM  # steps never go back
