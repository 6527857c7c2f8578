"""Circuit breaker against a model that keeps every flow with its time."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.breaker import (
    BREAKER_NET,
    BREAKER_TOTAL,
    advance_breaker,
    begin_breaker,
    breaker_width,
    flow_in,
    flow_out,
    outflow_check,
)
from daogym.envs.dao.integers import LARGEST
from daogym.envs.dao.results import DONE, INVALID, OVERDRAFT, OVERFLOW, PAUSED, TRIPPED
from daogym.envs.dao.rules import CLIP, COST, REVERT

pytestmark = pytest.mark.kernel


def breaker(ticks: int, *settings: int) -> np.ndarray:
    record = np.zeros(breaker_width(ticks), dtype=np.int64)
    begin_breaker(record, *settings)
    return record


class Flows:
    """ERC-7265 in words: what there was at the window's beginning, and every flow since."""

    def __init__(
        self, ticks: int, now: int, liquidity: int, bps: int, least: int, tick: int
    ) -> None:
        self.ticks, self.opening, self.bps, self.least, self.tick = (
            ticks,
            liquidity,
            bps,
            least,
            tick,
        )
        self.flows: list[tuple[int, int]] = []

    def at_beginning(self, now: int) -> int:
        first_live_step = (now // self.tick - self.ticks + 1) * self.tick
        return self.opening + sum(amount for at, amount in self.flows if at < first_live_step)

    def present(self) -> int:
        return self.opening + sum(amount for _, amount in self.flows)

    def trips(self, now: int, cents: int) -> bool:
        total = self.at_beginning(now)
        return total >= self.least and self.present() - cents < floor(
            Fraction(total * self.bps, 10_000)
        )


@hypothesis.given(
    st.integers(1, 6), st.integers(1, 4), st.integers(0, 50), st.integers(0, 1000),
    st.integers(1, 10_000), st.integers(0, 600), st.integers(0, 5),
    st.lists(
        st.tuples(
            st.integers(0, 9), st.integers(-300, 300), st.sampled_from([REVERT, CLIP, COST])
        ),
        max_size=50,
    ),
)  # fmt: skip
@hypothesis.settings(max_examples=300)
def test_the_breaker_trips_where_its_definition_says(
    ticks: int, tick: int, start: int, liquidity: int, bps: int, least: int, pause: int,
    events: list[tuple[int, int, int]],
) -> None:  # fmt: skip
    record = breaker(ticks, start, liquidity, bps, least, tick, pause)
    model = Flows(ticks, start, liquidity, bps, least, tick)
    now, paused_until = start, start
    for elapsed, amount, effect in events:
        now += elapsed
        if amount > 0:
            assert flow_in(record, now, amount) == DONE
            model.flows.append((now, amount))
        else:
            wanted = -amount
            possible = max(
                (x for x in range(wanted + 1) if x <= model.present() and not model.trips(now, x)),
                default=0,
            )
            allowed, code = flow_out(record, now, wanted, effect)
            if wanted == 0:
                assert (allowed, code) == (0, DONE)
            elif now < paused_until:
                assert code == PAUSED
                assert allowed == (min(wanted, model.present()) if effect == COST else 0)
            elif model.trips(now, wanted):
                assert code == TRIPPED
                most = min(wanted, model.present())
                assert allowed == {REVERT: 0, CLIP: possible, COST: most}[effect]
                if effect != COST:
                    paused_until = now + pause
            elif wanted > model.present():
                assert code == OVERDRAFT
                assert allowed == (0 if effect == REVERT else model.present())
            else:
                assert (allowed, code) == (wanted, DONE)
            if allowed:
                model.flows.append((now, -allowed))
        assert record[BREAKER_TOTAL] == model.at_beginning(now)
        assert record[BREAKER_TOTAL] + record[BREAKER_NET] == model.present() >= 0


@hypothesis.given(
    st.integers(1, 5), st.integers(1, 3), st.integers(1, 10_000),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 400)), max_size=60),
)  # fmt: skip
def test_no_sequence_takes_more_than_the_share_in_a_window(
    ticks: int, tick: int, bps: int, outflows: list[tuple[int, int]]
) -> None:
    """With nothing coming in, a window never loses more than (1 - share) of its beginning."""
    record = breaker(ticks, 0, 10_000, bps, 0, tick, 2)
    now, balance = 0, 10_000
    balance_before_step = {}
    for elapsed, cents in outflows:
        now += elapsed
        balance_before_step.setdefault(now, balance)
        balance -= flow_out(record, now, cents, CLIP)[0]
        first_live_step = (now // tick - ticks + 1) * tick
        at_beginning = max(b for at, b in balance_before_step.items() if at >= first_live_step)
        assert balance >= floor(Fraction(at_beginning * bps, 10_000))


def test_a_pause_lasts_its_steps() -> None:
    record = breaker(4, 10, 1000, 9000, 0, 1, 3)
    assert flow_out(record, 10, 101, REVERT) == (0, TRIPPED)
    assert flow_out(record, 10, 1, REVERT) == (0, PAUSED)
    assert flow_out(record, 12, 1, CLIP) == (0, PAUSED)
    assert flow_in(record, 12, 50) == DONE
    assert flow_out(record, 13, 150, REVERT) == (150, DONE)


def test_a_breaker_is_inactive_below_its_floor() -> None:
    record = breaker(4, 0, 1000, 9000, 1001, 1, 3)
    assert flow_out(record, 0, 1000, REVERT) == (1000, DONE)
    record = breaker(4, 0, 1001, 9000, 1001, 1, 3)
    assert flow_out(record, 0, 1000, REVERT) == (0, TRIPPED)


@hypothesis.given(st.integers(0, LARGEST), st.integers(0, 10_000), st.integers(0, LARGEST))
def test_large_amounts_are_exact(liquidity: int, bps: int, wanted: int) -> None:
    record = breaker(3, 0, liquidity, bps, 0, 1, 0)
    kept = liquidity * bps // 10_000
    allowed, _ = flow_out(record, 0, wanted, CLIP)
    assert allowed == min(wanted, liquidity - kept)
    assert flow_in(record, 0, LARGEST) == (OVERFLOW if liquidity > allowed else DONE)
    advance_breaker(record, 2**40)
    assert record[BREAKER_NET] == 0


def test_nonsense_is_refused() -> None:
    record = breaker(3, 0, 100, 5000, 0, 1, 0)
    before = record.copy()
    assert flow_in(record, 0, -1) == INVALID
    for effect in (REVERT, CLIP, COST):
        assert flow_out(record, 0, -1, effect) == (0, INVALID)
    assert outflow_check(record, 0, 51) == (50, TRIPPED)
    np.testing.assert_array_equal(record, before)
    with pytest.raises(ValueError, match="at least 1 tick, got 0"):
        breaker_width(0)
