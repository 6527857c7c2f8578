"""A number's history by step, in a fixed array, as OpenZeppelin's ``Checkpoints`` keeps it.

A trace is an int64 vector: how many checkpoints there are, then (step, value) pairs by rising step.
A look-up at step t gives the value of the last pair with step <= t, 0 before the first one; writing
twice in a step keeps the later value (``utils/structs/Checkpoints.sol``, v5.7).

A contract's history grows for ever, an array does not. When it is full, a trace forgets what
nobody can ask for any more: it is told which steps must stay known (``pins``: the snapshots of
the proposals in the slots), and the step before the current one always does. A run of values that
no pin needs becomes one pair with the value `FORGOTTEN`, so that a look-up there says so instead
of giving a wrong number. With ``trace_width(n)``, room never runs out while n steps are pinned.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

FORGOTTEN = -1
"""Answer of a look-up at a step whose value is no longer known; values are never negative."""

_LATER_THAN_ALL = 2**62


def trace_width(pins: int) -> int:
    """Numbers in a trace that can always be written while at most `pins` steps must stay known.

    After forgetting, each pin and the latest value hold one pair each, with at most one forgotten
    run before each of them; one more pair is free.
    """
    return 1 + 2 * (2 * pins + 3)


@kernel_function
def begin_trace(trace: Int) -> None:
    """Make a trace empty: 0 at every step."""
    trace[0] = 0


@kernel_function
def latest_value(trace: Int) -> int:
    """Value now, 0 where nothing was written."""
    length = trace[0]
    return trace[2 * length] if length > 0 else 0


@kernel_function
def value_at(trace: Int, step: int) -> int:
    """Value at the end of `step`, or `FORGOTTEN`."""
    i = trace[0]
    while i > 0 and trace[2 * i - 1] > step:
        i -= 1
    return trace[2 * i] if i > 0 else 0


@kernel_function
def make_room(trace: Int, step: int, pins: Int) -> bool:
    """Whether a value of `step` can now be written; forgets if it must.

    False where more steps are pinned than the trace is wide for, or `step` lies in its past.
    """
    length = trace[0]
    if length > 0 and trace[2 * length - 1] >= step:
        return bool(trace[2 * length - 1] == step)
    if 2 * length + 3 > trace.size:
        _forget(trace, pins)
    return bool(2 * trace[0] + 3 <= trace.size)


@kernel_function
def write_value(trace: Int, step: int, value: int) -> None:
    """Set the value from `step` on; `make_room` has said that it fits."""
    length = trace[0]
    if length == 0 or trace[2 * length - 1] != step:
        length += 1
        trace[0] = length
        trace[2 * length - 1] = step
    trace[2 * length] = value


@kernel_function
def _forget(trace: Int, pins: Int) -> None:
    # The latest value also holds for the step before the current one: it was written earlier.
    length = trace[0]
    kept = 0
    in_run = False
    for i in range(1, length + 1):
        first = trace[2 * i - 1]
        end = trace[2 * i + 1] if i < length else _LATER_THAN_ALL
        needed = i == length
        for j in range(pins.size):
            needed = needed or first <= pins[j] < end
        if not needed and in_run:
            trace[2 * kept] = FORGOTTEN
            continue
        kept += 1
        trace[2 * kept - 1] = first
        trace[2 * kept] = trace[2 * i]
        in_run = not needed
    trace[0] = kept
