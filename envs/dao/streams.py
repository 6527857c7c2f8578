"""Streams: cents per step that flow until they end or are canceled, without losing a fraction."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .integers import LARGEST
from .results import ALREADY_OPEN, DONE, INVALID, NOT_OPEN, OVERDRAFT, OVERFLOW
from .treasury import transfer

STREAM_OPEN = 0
"""1 while it flows."""
STREAM_SOURCE, STREAM_TARGET = 1, 2
"""Accounts it flows between."""
STREAM_CENTS = 3
"""This many cents flow..."""
STREAM_STEPS = 4
"""... in this many steps."""
STREAM_LAST = 5
"""Step up to which it was accrued."""
STREAM_END = 6
"""Step at which it ends."""
STREAM_OWED = 7
"""Accrued and not yet paid, in cents / `STREAM_STEPS`."""
STREAM_PAID = 8
"""Cents paid so far."""
STREAM_WIDTH = 9


@kernel_function
def open_stream(
    record: Int, now: int, source: int, target: int, cents: int, steps: int, end: int
) -> int:
    """Let `cents` flow in every `steps` steps from now to step `end` (excluded); a result code.

    Any rate of whole cents is exact: 10 EUR a day of 96 steps is cents = 1,000, steps = 96.
    """
    if record[STREAM_OPEN] == 1:
        return ALREADY_OPEN
    if cents < 0 or steps < 1 or end < now:
        return INVALID
    if cents > 0 and end - now > LARGEST // cents:
        return OVERFLOW
    record[STREAM_OPEN] = 1
    record[STREAM_SOURCE] = source
    record[STREAM_TARGET] = target
    record[STREAM_CENTS] = cents
    record[STREAM_STEPS] = steps
    record[STREAM_LAST] = now
    record[STREAM_END] = end
    record[STREAM_OWED] = 0
    record[STREAM_PAID] = 0
    return DONE


@kernel_function
def pay_stream(accounts: Int, record: Int, now: int) -> tuple[int, int]:
    """Accrue a stream (STREAM_WIDTH,) up to `now` and pay its whole cents: (cents paid, code).

    After k steps floor(k cents / steps) have been paid in all, however often this is called. A
    source that holds less pays what it holds (`OVERDRAFT`); the rest stays owed and is paid once
    there is money. The stream closes when it has ended and owes less than a cent.
    """
    if record[STREAM_OPEN] != 1:
        return 0, NOT_OPEN
    source, target = record[STREAM_SOURCE], record[STREAM_TARGET]
    if not 0 <= source < len(accounts) or not 0 <= target < len(accounts):
        return 0, INVALID
    until = min(now, record[STREAM_END])
    if until > record[STREAM_LAST]:
        record[STREAM_OWED] += record[STREAM_CENTS] * (until - record[STREAM_LAST])
        record[STREAM_LAST] = until
    due = record[STREAM_OWED] // record[STREAM_STEPS]
    paid = min(due, accounts[source])
    transfer(accounts, source, target, paid)
    record[STREAM_OWED] -= paid * record[STREAM_STEPS]
    record[STREAM_PAID] += paid
    if paid < due:
        return paid, OVERDRAFT
    if until == record[STREAM_END]:
        record[STREAM_OPEN] = 0
    return paid, DONE


@kernel_function
def cancel_stream(accounts: Int, record: Int, now: int) -> tuple[int, int]:
    """Pay what has accrued up to `now` as far as the source can, and close: (cents paid, code).

    What remains in `STREAM_OWED` was never paid: a fraction of a cent, or arrears.
    """
    paid, code = pay_stream(accounts, record, now)
    record[STREAM_OPEN] = 0
    return paid, code
