"""Optimistic veto: a motion passes by itself unless enough holders object in time.

Lido Easy Track, ``EasyTrack.createMotion``, ``objectToMotion``, ``enactMotion``, ``cancelMotion``.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .integers import multiply_divide, sum_fits
from .rules import ALREADY_OPEN, DONE, INVALID, NOT_OPEN, OVERFLOW, REJECTED, TOO_EARLY

MOTION_STATE = 0
"""One of the states below."""
MOTION_START = 1
"""Step at which it was made."""
MOTION_DURATION = 2
"""Steps during which it cannot be enacted; bound at its start."""
MOTION_THRESHOLD_BPS = 3
"""Objections, basis points of the supply, that it survives; bound at its start."""
MOTION_SUPPLY = 4
"""Votes at the snapshot."""
MOTION_OBJECTIONS = 5
"""Votes that have objected."""
MOTION_WIDTH = 6

MOTION_NONE, MOTION_OPEN, MOTION_REJECTED, MOTION_ENACTED, MOTION_CANCELED = 0, 1, 2, 3, 4


@kernel_function
def open_motion(record: Int, now: int, duration: int, threshold_bps: int, supply: int) -> int:
    """Make a motion (MOTION_WIDTH,); a result code. A record holds one open motion."""
    if record[MOTION_STATE] == MOTION_OPEN:
        return ALREADY_OPEN
    if supply < 1 or duration < 0 or threshold_bps < 0:
        return INVALID
    record[MOTION_STATE] = MOTION_OPEN
    record[MOTION_START] = now
    record[MOTION_DURATION] = duration
    record[MOTION_THRESHOLD_BPS] = threshold_bps
    record[MOTION_SUPPLY] = supply
    record[MOTION_OBJECTIONS] = 0
    return DONE


@kernel_function
def object_to_motion(record: Int, votes: int) -> int:
    """Object with snapshot votes > 0; `REJECTED` if that defeats the motion, else a result code.

    Rejected once floor(10,000 objections / supply) > threshold. As in the contract, objections
    count until the motion is enacted, even after its duration. A holder may object once: the caller
    sees to that.
    """
    if record[MOTION_STATE] != MOTION_OPEN:
        return NOT_OPEN
    if votes <= 0:
        return INVALID
    if not sum_fits(record[MOTION_OBJECTIONS], votes):
        return OVERFLOW
    record[MOTION_OBJECTIONS] += votes
    share = multiply_divide(record[MOTION_OBJECTIONS], 10_000, record[MOTION_SUPPLY])[0]
    # -1: a share beyond int64, from more votes than the supply has.
    if share > record[MOTION_THRESHOLD_BPS] or share < 0:
        record[MOTION_STATE] = MOTION_REJECTED
        return REJECTED
    return DONE


@kernel_function
def enact_motion(record: Int, now: int) -> int:
    """Enact a motion that nobody stopped, once its duration has passed; a result code."""
    if record[MOTION_STATE] != MOTION_OPEN:
        return NOT_OPEN
    if now < record[MOTION_START] + record[MOTION_DURATION]:
        return TOO_EARLY
    record[MOTION_STATE] = MOTION_ENACTED
    return DONE


@kernel_function
def cancel_motion(record: Int) -> int:
    """The guardian (or the maker) cancels an open motion; a result code."""
    if record[MOTION_STATE] != MOTION_OPEN:
        return NOT_OPEN
    record[MOTION_STATE] = MOTION_CANCELED
    return DONE
