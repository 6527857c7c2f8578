"""Governed parameters that change: how fast they may (slew), and not before when (timelock).

Records are float64: values are physical quantities, and steps are exact in float64 up to 2**53.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float

from .results import (
    ALREADY_OPEN,
    CHANGE_TOO_LARGE,
    DONE,
    INVALID,
    NOT_OPEN,
    OUT_OF_BOUNDS,
    TOO_EARLY,
    TOO_LATE,
)
from .rules import allowed_amount

SLEW_VALUE = 0
"""Value in force."""
SLEW_LOW, SLEW_HIGH = 1, 2
"""Bounds that no effect lets the value leave."""
SLEW_LARGEST_CHANGE = 3
"""Largest change at once: in the parameter's unit, or as a share of the value."""
SLEW_RELATIVE = 4
"""1: the largest change is a share of the value; 0: it is absolute."""
SLEW_MIN_DELAY = 5
"""Least steps between two changes."""
SLEW_LAST = 6
"""Step of the last change."""
SLEW_WIDTH = 7

TIMELOCK_VALUE = 0
"""Value in force."""
TIMELOCK_QUEUED_VALUE = 1
"""Value that waits."""
TIMELOCK_ETA = 2
"""First step at which the waiting value may be put in force; `NOTHING_QUEUED` if none waits."""
TIMELOCK_WIDTH = 3
NOTHING_QUEUED = -1.0


@kernel_function
def begin_slew(
    record: Float, now: float, value: float, low: float, high: float, largest_change: float,
    relative: bool, min_delay: float,
) -> None:  # fmt: skip
    """Set up a slew-limited parameter (SLEW_WIDTH,), free to change at once."""
    record[SLEW_VALUE] = min(max(value, low), high)
    record[SLEW_LOW] = low
    record[SLEW_HIGH] = high
    record[SLEW_LARGEST_CHANGE] = largest_change
    record[SLEW_RELATIVE] = 1.0 if relative else 0.0
    record[SLEW_MIN_DELAY] = min_delay
    record[SLEW_LAST] = now - min_delay


@kernel_function
def slew_check(record: Float, now: float, proposed: float) -> tuple[float, int]:
    """(value permitted, code) for changing the parameter to `proposed`.

    The value in force is no change and always permitted. The limits value - change and
    value + change are rounded to float64.
    """
    value = record[SLEW_VALUE]
    if proposed != proposed:
        return value, INVALID
    if proposed == value:
        return value, DONE
    if now - record[SLEW_LAST] < record[SLEW_MIN_DELAY]:
        return value, TOO_EARLY
    reach = record[SLEW_LARGEST_CHANGE]
    if record[SLEW_RELATIVE] != 0.0:
        reach = reach * abs(value)
    if proposed < record[SLEW_LOW] or proposed > record[SLEW_HIGH]:
        code = OUT_OF_BOUNDS
    elif proposed < value - reach or proposed > value + reach:
        code = CHANGE_TOO_LARGE
    else:
        code = DONE
    permitted = min(max(proposed, value - reach), value + reach)
    return min(max(permitted, record[SLEW_LOW]), record[SLEW_HIGH]), code


@kernel_function
def slew_parameter(record: Float, now: float, proposed: float, effect: int) -> tuple[float, int]:
    """Change a slew-limited parameter (SLEW_WIDTH,): (value now in force, code).

    Aave RiskSteward, ``_validateParamUpdate``: at least `min_delay` since the last change and
    |change| <= largest change, which is absolute or relative to the value in force (a value of 0
    then never moves); a proposal equal to the value in force is ``KEEP_CURRENT`` and does not start
    the delay anew. `CLIP` goes as far as the change may; the bounds hold under every effect.
    """
    permitted, code = slew_check(record, now, proposed)
    value = allowed_amount(proposed, permitted, record[SLEW_VALUE], code, effect)
    value = min(max(value, record[SLEW_LOW]), record[SLEW_HIGH])
    if value != record[SLEW_VALUE]:
        record[SLEW_VALUE] = value
        record[SLEW_LAST] = now
    return value, code


@kernel_function
def inject_parameter(
    record: Float, now: float, proposed: float, proposed_at: float, valid_for: float, effect: int
) -> tuple[float, int]:
    """`slew_parameter` for a proposal made at `proposed_at`, which expires.

    Aave steward injectors, ``_canUpdateBeInjected``: only while proposed_at + valid_for > now; an
    expired proposal is refused under every effect.
    """
    if now >= proposed_at + valid_for:
        return record[SLEW_VALUE], TOO_LATE
    return slew_parameter(record, now, proposed, effect)


@kernel_function
def begin_timelock(record: Float, value: float) -> None:
    """Set up a timelocked parameter (TIMELOCK_WIDTH,) with nothing queued."""
    record[TIMELOCK_VALUE] = value
    record[TIMELOCK_QUEUED_VALUE] = value
    record[TIMELOCK_ETA] = NOTHING_QUEUED


@kernel_function
def queue_parameter(record: Float, now: float, value: float, delay: float) -> int:
    """Let a new value wait until now + delay (steps >= 0); a result code.

    OpenZeppelin TimelockController, ``schedule``; one change waits at a time, and the delay is the
    one that holds now.
    """
    if value != value or not delay >= 0.0:
        return INVALID
    if record[TIMELOCK_ETA] != NOTHING_QUEUED:
        return ALREADY_OPEN
    record[TIMELOCK_QUEUED_VALUE] = value
    record[TIMELOCK_ETA] = now + delay
    return DONE


@kernel_function
def execute_parameter(record: Float, now: float, grace: float) -> int:
    """Put the waiting value in force if now >= eta; a result code.

    With grace > 0 (Compound Timelock, ``GRACE_PERIOD``) a value that still waits at eta + grace has
    expired and is dropped; with 0 it never expires (TimelockController).
    """
    eta = record[TIMELOCK_ETA]
    if eta == NOTHING_QUEUED:
        return NOT_OPEN
    if now < eta:
        return TOO_EARLY
    record[TIMELOCK_ETA] = NOTHING_QUEUED
    if grace > 0.0 and now >= eta + grace:
        return TOO_LATE
    record[TIMELOCK_VALUE] = record[TIMELOCK_QUEUED_VALUE]
    return DONE


@kernel_function
def cancel_parameter(record: Float) -> int:
    """Drop the value that waits; a result code."""
    if record[TIMELOCK_ETA] == NOTHING_QUEUED:
        return NOT_OPEN
    record[TIMELOCK_ETA] = NOTHING_QUEUED
    return DONE
