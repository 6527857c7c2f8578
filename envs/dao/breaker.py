"""Circuit breaker: too much net outflow within a window stops all outflows for a while.

ERC-7265 (draft) and its reference library LimiterLib: `liqTotal` is the liquidity at the beginning
of the window, `liqInPeriod` the net inflow within it; the breaker trips where

    liqTotal + liqInPeriod < floor(liqTotal * minLiqRetainedBps / 10,000)

and is inactive while liqTotal < limitBeginThreshold. The library keeps a linked list of ticks;
here a ring holds exactly as many ticks as the window has. (The library's list also delays the
expiry of the first tick after an idle window; a ring does not.)
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .integers import multiply_divide, sum_fits
from .results import DONE, INVALID, OVERDRAFT, OVERFLOW, PAUSED, TRIPPED
from .rules import COST, allowed_amount

BREAKER_TOTAL = 0
"""Liquidity (cents) at the beginning of the window."""
BREAKER_NET = 1
"""Net inflow (cents) within the window: the sum of the ring."""
BREAKER_TICK = 2
"""Tick up to which the window has moved."""
BREAKER_PAUSED_UNTIL = 3
"""First step at which outflows are allowed again."""
BREAKER_RETAINED_BPS = 4
"""Share of the total that has to remain, basis points."""
BREAKER_FLOOR = 5
"""Total (cents) below which the breaker is inactive."""
BREAKER_TICK_STEPS = 6
"""Steps in a tick; the window is ticks x this."""
BREAKER_PAUSE_STEPS = 7
"""Steps that outflows are paused, that of the trip counted."""
BREAKER_RING = 8
"""First tick of the ring; the rest of the record is the ring."""


def breaker_width(ticks: int) -> int:
    """Width of the record of a breaker whose window has `ticks` ticks."""
    if ticks < 1:
        raise ValueError(f"a breaker's window needs at least 1 tick, got {ticks}")
    return BREAKER_RING + ticks


@kernel_function
def begin_breaker(
    record: Int, now: int, liquidity: int, retained_bps: int, floor: int, tick_steps: int,
    pause_steps: int,
) -> None:  # fmt: skip
    """Set up a breaker (breaker_width(ticks),) over `liquidity` cents that nothing has moved."""
    record[:] = 0
    record[BREAKER_TOTAL] = liquidity
    record[BREAKER_TICK] = now // tick_steps
    record[BREAKER_PAUSED_UNTIL] = now
    record[BREAKER_RETAINED_BPS] = retained_bps
    record[BREAKER_FLOOR] = floor
    record[BREAKER_TICK_STEPS] = tick_steps
    record[BREAKER_PAUSE_STEPS] = pause_steps


@kernel_function
def advance_breaker(record: Int, now: int) -> None:
    """Move the window: ticks that left it become part of the total."""
    tick = now // record[BREAKER_TICK_STEPS]
    last = record[BREAKER_TICK]
    if tick <= last:
        return
    ticks = len(record) - BREAKER_RING
    for passed in range(last + 1, min(tick, last + ticks) + 1):
        slot = BREAKER_RING + passed % ticks
        record[BREAKER_TOTAL] += record[slot]
        record[BREAKER_NET] -= record[slot]
        record[slot] = 0
    record[BREAKER_TICK] = tick


@kernel_function
def _book(record: Int, change: int) -> None:
    ticks = len(record) - BREAKER_RING
    record[BREAKER_NET] += change
    record[BREAKER_RING + record[BREAKER_TICK] % ticks] += change


@kernel_function
def book_outflow(record: Int, cents: int) -> None:
    """Book an outflow that `outflow_check` was asked about in this step."""
    _book(record, -cents)


@kernel_function
def flow_in(record: Int, now: int, cents: int) -> int:
    """Book an inflow of cents >= 0; a result code (`OVERFLOW`: not booked)."""
    if cents < 0:
        return INVALID
    advance_breaker(record, now)
    if not sum_fits(max(record[BREAKER_TOTAL] + record[BREAKER_NET], 0), cents):
        return OVERFLOW
    _book(record, cents)
    return DONE


@kernel_function
def outflow_check(record: Int, now: int, cents: int) -> tuple[int, int]:
    """(cents permitted, code) for an outflow; the window must have been moved to `now`."""
    if cents <= 0:
        return 0, INVALID if cents < 0 else DONE
    if now < record[BREAKER_PAUSED_UNTIL]:
        return 0, PAUSED
    total = record[BREAKER_TOTAL]
    present = total + record[BREAKER_NET]
    if total >= record[BREAKER_FLOOR]:
        retained = multiply_divide(total, record[BREAKER_RETAINED_BPS], 10_000)[0]
        if cents > present - retained:
            return max(present - retained, 0), TRIPPED
    if cents > present:
        return max(present, 0), OVERDRAFT
    return cents, DONE


@kernel_function
def flow_out(record: Int, now: int, cents: int, effect: int) -> tuple[int, int]:
    """Let cents out through a breaker: (cents allowed, code).

    An outflow that would trip the breaker is refused (REVERT) or cut to what is permitted (CLIP),
    and either way all outflows are paused for `BREAKER_PAUSE_STEPS`; COST lets it out and pauses
    nothing. What is refused leaves the flows as they are. Nothing lets out more than there is.
    """
    advance_breaker(record, now)
    permitted, code = outflow_check(record, now, cents)
    if code == TRIPPED and effect != COST:
        record[BREAKER_PAUSED_UNTIL] = now + record[BREAKER_PAUSE_STEPS]
    allowed = allowed_amount(cents, permitted, 0, code, effect)
    present = record[BREAKER_TOTAL] + record[BREAKER_NET]
    allowed = min(allowed, max(present, 0))
    if allowed > 0:
        _book(record, -allowed)
    return allowed, code
