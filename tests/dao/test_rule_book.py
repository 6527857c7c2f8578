"""A charter's rules at work, against a plain reading of each rule."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.strict import load_mapping
from daogym.envs.dao import rule_book
from daogym.envs.dao.charter import Charter
from daogym.envs.dao.charter_rules import RuleBook, RuleTarget, pack_rules
from daogym.envs.dao.results import (
    BELOW_FLOOR,
    DONE,
    DOWNTIME,
    JAILED,
    OVER_ALLOWANCE,
    STALE,
    TRIPPED,
)
from daogym.envs.dao.rules import HIT_CLIPS, HIT_COSTS, HIT_GAS, HIT_REVERTS

pytestmark = pytest.mark.kernel
TARGETS = (
    RuleTarget("fees_cents", "cents"),
    RuleTarget("power_kw", "quantity"),
    RuleTarget("stock_share", "level"),
    RuleTarget("price", "oracle"),
    RuleTarget("delivery", "duty"),
    RuleTarget("rewards", "split", members=3),
)
FEES, POWER, STOCK, PRICE, DELIVERY, REWARDS = range(6)


@kernel_entry()
def begin(ints: Any, floats: Any, now: int, whole: Any, physical: Any, hits: Any) -> None:
    """`begin_rules`."""
    rule_book.begin_rules(ints, floats, now, whole, physical, hits)


@kernel_entry()
def cents(ints: Any, target: int, now: int, amount: int, whole: Any, hits: Any) -> Any:
    """`gate_cents`."""
    return rule_book.gate_cents(ints, target, now, amount, whole, hits)


@kernel_entry()
def quantity(
    ints: Any, floats: Any, target: int, now: int, amount: float, physical: Any, hits: Any
) -> Any:
    """`gate_quantity`."""
    return rule_book.gate_quantity(ints, floats, target, now, amount, physical, hits)


@kernel_entry()
def others(
    ints: Any, floats: Any, now: int, whole: Any, hits: Any, accounts: Any, scores: Any,
    payouts: Any, spare: Any, out: Any,
) -> None:  # fmt: skip
    """One call of each of the other rules; codes and numbers to `out`."""
    out[0], out[1] = rule_book.gate_fresh(ints, PRICE, float(now), 0.0, 7.0, -1.0, hits)
    out[2], out[3] = rule_book.measure_level(ints, floats, STOCK, 0.1, hits)
    slashed, code = rule_book.settle_rule_duty(
        ints, DELIVERY, now, True, False, accounts, 0, 1, whole, hits
    )
    out[4], out[5] = slashed, code
    out[6] = rule_book.rule_capacity(ints, DELIVERY, now, accounts[0], 5.0, whole)
    out[7] = rule_book.split_by_rule(ints, REWARDS, scores, payouts, spare, spare.copy())


class Lane:
    """Rules of a lane and its records."""

    def __init__(self, *rules: dict[str, Any]) -> None:
        charter = load_mapping({"rules": list(rules)}, Charter)
        self.book: RuleBook = pack_rules(charter.rules, TARGETS, charter.name)
        self.whole = np.zeros(self.book.int_width, dtype=np.int64)
        self.physical = np.zeros(self.book.float_width)
        self.hits = np.zeros(self.book.state_sizes["rule_hits"], dtype=np.int64)
        begin(self.book.ints, self.book.floats, 0, self.whole, self.physical, self.hits)

    def pay(self, now: int, amount: int) -> tuple[int, int]:
        """(cents allowed, code)."""
        allowed, code = cents(self.book.ints, FEES, now, amount, self.whole, self.hits)
        return int(allowed), int(code)

    def ask(self, now: int, amount: float) -> tuple[float, int]:
        """(amount allowed, code)."""
        allowed, code = quantity(
            self.book.ints, self.book.floats, POWER, now, amount, self.physical, self.hits
        )
        return float(allowed), int(code)


ALLOWANCE = {"kind": "allowance", "on": "fees_cents", "amount_cents": 500, "reset_steps": 10}
QUOTA = {"kind": "quota", "on": "fees_cents", "amount": 300.0, "epoch_steps": 4}
BUCKET = {"kind": "bucket", "on": "fees_cents", "capacity": 200.0, "refill_per_step": 20.0}
BREAKER = {"kind": "breaker", "on": "fees_cents", "liquidity_cents": 1000,
           "retained_percent": 50, "window_steps": 5, "pause_steps": 3}  # fmt: skip


@given(
    asked=st.lists(st.tuples(st.integers(0, 3), st.integers(-5, 400)), max_size=40),
    effects=st.lists(st.sampled_from(["revert", "clip"]), min_size=4, max_size=4),
    chosen=st.sets(st.sampled_from([0, 1, 2, 3]), min_size=1),
)
@settings(max_examples=150, deadline=None)
def test_no_sequence_of_payments_breaks_a_hard_rule(
    asked: list[tuple[int, int]], effects: list[str], chosen: set[int]
) -> None:
    kinds = (ALLOWANCE, QUOTA, BUCKET, BREAKER)
    lane = Lane(*({**kinds[k], "effect": effects[k], "gas_cents": k + 1} for k in sorted(chosen)))
    now, paid = 0, []
    for wait, amount in asked:
        now += wait
        allowed, code = lane.pay(now, amount)
        assert 0 <= allowed <= max(amount, 0)
        assert allowed == amount or code != DONE
        assert amount <= 0 or (code == DONE) == (allowed == amount)
        paid.append((now, allowed))
    for k in chosen:
        if k == 0:
            for begun in range(0, now + 1, 10):
                assert sum(a for t, a in paid if begun <= t < begun + 10) <= 500
        if k == 1:
            for epoch in range(now // 4 + 1):
                assert sum(a for t, a in paid if t // 4 == epoch) <= 300
        if k == 2:
            level, last = 200, 0
            for t, a in paid:
                level, last = min(level + 20 * (t - last), 200) - a, t
                assert level >= 0
        if k == 3:
            left = 1000
            for i, (t, a) in enumerate(paid):
                left -= a
                before = 1000 - sum(b for s, b in paid[:i] if s <= t - 5)
                assert left >= 0 and (a == 0 or left >= before // 2)
    # gas is what the refusals of hard rules cost
    for i, k in enumerate(sorted(chosen)):
        refusals = lane.hits[i, HIT_REVERTS] + lane.hits[i, HIT_CLIPS]
        assert lane.hits[i, HIT_GAS] == refusals * (k + 1) and lane.hits[i, HIT_COSTS] == 0


def test_a_rule_does_not_remember_what_another_one_refused() -> None:
    lane = Lane({**ALLOWANCE, "effect": "revert"}, {**BUCKET, "effect": "revert"})
    assert lane.pay(0, 201)[0] == 0  # the bucket refuses all of it
    for step in range(1, 3):
        assert lane.pay(step, 100) == (100, DONE)
    assert lane.pay(9, 150) == (150, DONE)  # of the allowance, 350 are spent and not 551
    assert lane.pay(9, 160)[1] == OVER_ALLOWANCE
    assert lane.hits[:, HIT_REVERTS].tolist() == [1, 1]


def test_soft_rules_let_everything_through_and_count() -> None:
    lane = Lane({**QUOTA, "effect": "cost"}, {**ALLOWANCE, "effect": "cost"})
    assert lane.pay(0, 600)[0] == 600
    assert lane.hits[:, HIT_COSTS].tolist() == [1, 1]
    assert lane.hits[:, HIT_GAS].sum() == 0


def test_a_tripped_breaker_pauses_and_books_what_it_clips() -> None:
    lane = Lane({**BREAKER, "effect": "clip", "gas_cents": 7})
    assert lane.pay(0, 600) == (500, TRIPPED)
    assert [lane.pay(step, 1)[0] for step in (1, 2)] == [0, 0]
    assert lane.pay(3, 1)[0] == 0  # nothing more may leave until the window has moved on
    assert lane.pay(20, 100)[0] == 100
    assert lane.hits[0, HIT_GAS] == 7 * (lane.hits[0, HIT_REVERTS] + lane.hits[0, HIT_CLIPS])


@given(st.lists(st.floats(-200.0, 200.0), min_size=1, max_size=40), st.sampled_from(
    ["revert", "clip"]))  # fmt: skip
@settings(max_examples=100, deadline=None)
def test_a_set_point_keeps_bounds_and_slew(asked: list[float], effect: str) -> None:
    lane = Lane({"kind": "slew", "on": "power_kw", "low": -50.0, "high": 80.0, "initial": 0.0,
                 "largest_change": 15.0, "effect": effect})  # fmt: skip
    last = 0.0
    for now, amount in enumerate(asked):
        value, code = lane.ask(now, amount)
        assert -50.0 <= value <= 80.0 and abs(value - last) <= 15.0 + 1e-9
        assert (code == DONE) == (value == amount)
        if effect == "revert":
            assert value in (amount, last)
        last = value


def test_physical_quotas_and_buckets() -> None:
    lane = Lane({"kind": "quota", "on": "power_kw", "amount": 2.5, "epoch_steps": 10,
                 "effect": "clip"})  # fmt: skip
    assert [lane.ask(step, 1.0)[0] for step in range(4)] == [1.0, 1.0, 0.5, 0.0]
    assert lane.ask(10, 1.0)[0] == 1.0
    lane = Lane({"kind": "bucket", "on": "power_kw", "capacity": 2.0, "refill_per_step": 0.25})
    assert [lane.ask(step, 1.0)[0] for step in range(4)] == [1.0, 1.0, 0.0, 0.0]
    assert lane.ask(5, 1.0)[0] == 1.0


def test_the_other_kinds() -> None:
    lane = Lane(
        {"kind": "staleness", "on": "price", "heartbeat_steps": 3, "gas_cents": 4},
        {"kind": "floor", "on": "stock_share", "least": 0.25},
        {"kind": "stake", "on": "delivery", "window": 4, "most_missed": 1, "downtime_ppm": 100_000,
         "downtime_jail_steps": 2},
        {"kind": "split", "on": "rewards", "budget_cents": 100, "floor_cents": 10},
    )  # fmt: skip
    accounts = np.array([1000, 0], dtype=np.int64)
    scores = np.array([5, 0, 10], dtype=np.int64)
    payouts, spare, out = np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(8)

    def step(now: int) -> list[float]:
        others(lane.book.ints, lane.book.floats, now, lane.whole, lane.hits, accounts, scores,
               payouts, spare, out)  # fmt: skip
        return [round(float(x), 9) for x in out]

    assert step(3) == [7.0, DONE, 0.15, BELOW_FLOOR, 0, DONE, 5.0, DONE]
    # too old: the safe default; a second missed duty: slashed and jailed
    assert step(4) == [-1.0, STALE, 0.15, BELOW_FLOOR, 100, DOWNTIME, 0.0, DONE]
    assert step(5) == [-1.0, STALE, 0.15, BELOW_FLOOR, 0, JAILED, 0.0, DONE]
    assert accounts.tolist() == [900, 100]
    assert payouts.tolist() == [30, 10, 60]  # 10 to the floor, 90 shared 1 : 2
    assert lane.hits[0].tolist() == [2, 0, 0, 8] and lane.hits[1, HIT_COSTS] == 3
