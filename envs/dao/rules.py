"""What a charter's rules do to a request; called from compiled code, knows no domain.

All rules keep one convention, so that a charter may choose what a broken rule does:

1. **check**: ``*_check(...) -> (permitted, code)`` changes nothing. `permitted` is the part of the
   request that the rule lets through, `code` says why it is not all of it (`DONE`: it is).
2. **effect**: `allowed_amount` chooses by the rule's effect. `REVERT` refuses all of a request that
   breaks the rule, `CLIP` lets through what is permitted, `COST` lets all of it through and leaves
   the excess over `permitted` to be reported. A request that is none (negative, not a number) is
   `INVALID` and refused under every effect.
3. **booking**: the rule's state takes note of what was allowed. A request of which nothing was
   allowed leaves the state as it was, as a reverted transaction does (a tripped breaker's pause and
   a missed duty are the exceptions).

``rule(record, ..., request, effect) -> (allowed, code)`` does the three together; `count_hit` books
reverts, clips, costs and gas. Records are contiguous int64 (money, counts, steps) or float64
(physical quantities) views of one lane whose columns the rule's module names.
"""

from __future__ import annotations

from typing import TypeVar

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .results import BELOW_FLOOR, DONE, INVALID, STALE

Number = TypeVar("Number", int, float)

EFFECTS = ("revert", "clip", "cost")
"""Names of the effects, in the order of their numbers."""
REVERT, CLIP, COST = 0, 1, 2

HIT_REVERTS, HIT_CLIPS, HIT_COSTS, HIT_GAS, HITS_WIDTH = 0, 1, 2, 3, 4
"""Columns of a lane's count of broken rules (int64)."""


@kernel_function
def allowed_amount(
    request: Number, permitted: Number, standing: Number, code: int, effect: int
) -> Number:
    """What becomes of a request: all of it, what is permitted, or what stands without it.

    `standing` is what a refusal leaves: 0 of a payment, the present value of a parameter, the safe
    default of a set-point.
    """
    if code == DONE:
        return request
    if code == INVALID or effect == REVERT:
        return standing
    return permitted if effect == CLIP else request


@kernel_function
def count_hit(hits: Int, code: int, effect: int, gas: int) -> None:
    """Book a check's result in `hits` (HITS_WIDTH,); a hit of a hard rule (not COST) burns gas."""
    if code == DONE:
        return
    if code != INVALID and effect == COST:
        hits[HIT_COSTS] += 1
        return
    hits[HIT_CLIPS if code != INVALID and effect == CLIP else HIT_REVERTS] += 1
    hits[HIT_GAS] += gas


@kernel_function
def ramp_limited(request: float, last: float, largest_change: float) -> float:
    """`request`, held within `largest_change` beyond `last` and beyond idle.

    Going back to idle (0) is always allowed, so that no safety rule that comes later can clash
    with the ramp.
    """
    return min(max(request, min(last, 0.0) - largest_change), max(last, 0.0) + largest_change)


@kernel_function
def excess(value: float, limit: float) -> float:
    """How far `value` lies above `limit`, not below 0."""
    return max(value - limit, 0.0)


@kernel_function
def shortfall(value: float, floor: float) -> float:
    """How far `value` lies below `floor`, not below 0."""
    return max(floor - value, 0.0)


@kernel_function
def budget_reverts(amount: float, left: float) -> bool:
    """Whether spending `amount` would overdraw a budget (spending allowance: all or nothing)."""
    return amount > left


@kernel_function
def service_floor(measured: float, floor: float) -> tuple[float, int]:
    """Service floor (reserve, service level): (shortfall, code). A cost, never a refusal."""
    missing = shortfall(measured, floor)
    return missing, BELOW_FLOOR if missing > 0.0 else DONE


@kernel_function
def stale_check(now: float, updated_at: float, heartbeat: float) -> int:
    """`STALE` where an oracle's value is older than `heartbeat`, else `DONE`.

    The consumer's rule of Chainlink's guide: ``now - updatedAt > heartbeat`` means do not use.
    """
    return STALE if now - updated_at > heartbeat else DONE


@kernel_function
def fresh_or_default(
    request: float, safe_default: float, now: float, updated_at: float, heartbeat: float,
    effect: int,
) -> tuple[float, int]:  # fmt: skip
    """Oracle staleness: an action that needs a fresh value falls back to its safe default.

    Returns (allowed, code). REVERT and CLIP both mean the safe default; COST acts all the same.
    """
    code = stale_check(now, updated_at, heartbeat)
    if request != request:
        code = INVALID
    return allowed_amount(request, safe_default, safe_default, code, effect), code
