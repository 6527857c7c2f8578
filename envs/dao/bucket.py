"""Token bucket: how much may pass at once, and how fast the right to it comes back."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int

from .results import DONE, INVALID, OVER_CAPACITY, RATE_LIMITED
from .rules import allowed_amount

BUCKET_LEVEL = 0
"""Amount that could pass at `BUCKET_LAST`."""
BUCKET_CAPACITY = 1
"""Most that can pass at once."""
BUCKET_REFILL = 2
"""Amount that comes back each step."""
BUCKET_LAST = 3
"""Step for which the level was last computed."""
BUCKET_WIDTH = 4


@kernel_function
def fill_bucket(record: Int | Float, now: int, capacity: float, refill: float) -> None:
    """Begin with a full bucket (BUCKET_WIDTH,), int64 or float64; capacity and refill >= 0."""
    record[BUCKET_LEVEL] = capacity
    record[BUCKET_CAPACITY] = capacity
    record[BUCKET_REFILL] = refill
    record[BUCKET_LAST] = now


@kernel_function
def change_bucket(record: Int | Float, now: int, capacity: float, refill: float) -> None:
    """New capacity and refill (CCIP RateLimiter, ``_setTokenBucketConfig``).

    The old refill is credited up to now; a level above the new capacity is lost.
    """
    level = bucket_level(record, now)
    record[BUCKET_LAST] = max(record[BUCKET_LAST], now)
    record[BUCKET_LEVEL] = min(level, capacity)
    record[BUCKET_CAPACITY] = capacity
    record[BUCKET_REFILL] = refill


@kernel_function
def bucket_level(record: Int | Float, now: int) -> float:
    """What may pass now: min(capacity, level + refill x steps since), without overflow."""
    level: float = record[BUCKET_LEVEL]
    capacity: float = record[BUCKET_CAPACITY]
    refill: float = record[BUCKET_REFILL]
    elapsed: int = now - record[BUCKET_LAST]
    if elapsed <= 0 or not refill > 0:
        return level
    if elapsed > (capacity - level) // refill:
        return capacity
    return min(level + refill * elapsed, capacity)


@kernel_function
def bucket_check(record: Int | Float, now: int, request: float) -> tuple[float, int]:
    """(amount permitted, code) for letting `request` pass; 0 always passes."""
    level = bucket_level(record, now)
    if not request >= 0:
        return 0 * level, INVALID
    if request > level:
        return level, OVER_CAPACITY if request > record[BUCKET_CAPACITY] else RATE_LIMITED
    return request, DONE


@kernel_function
def draw_bucket(record: Int | Float, now: int, request: float, effect: int) -> tuple[float, int]:
    """Let an amount pass a token bucket (BUCKET_WIDTH,): (amount allowed, code).

    Chainlink CCIP RateLimiter, ``_consume``: refill, refuse what exceeds capacity or level, else
    take it; `CLIP` lets the level pass instead. Under `COST` everything passes and the bucket is
    left empty: the excess is reported once, not owed.
    """
    permitted, code = bucket_check(record, now, request)
    allowed = allowed_amount(request, permitted, 0 * permitted, code, effect)
    if allowed > 0:
        level = bucket_level(record, now)
        record[BUCKET_LAST] = max(record[BUCKET_LAST], now)
        record[BUCKET_LEVEL] = max(level - allowed, 0 * level)
    return allowed, code
