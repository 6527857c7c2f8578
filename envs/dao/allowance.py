"""Budgets that begin anew: the Safe's spending allowance, and a quota per actor and epoch."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int

from .integers import capped_sum
from .results import DONE, INVALID, OVER_ALLOWANCE, OVER_QUOTA
from .rules import allowed_amount

ALLOWANCE_AMOUNT = 0
"""Cents that may be spent between two resets."""
ALLOWANCE_SPENT = 1
"""Cents spent since the last reset."""
ALLOWANCE_RESET_MINUTES = 2
"""Minutes between resets; 0: the amount is granted once."""
ALLOWANCE_LAST_RESET_MINUTES = 3
"""Minute of the last reset, on a grid of `ALLOWANCE_RESET_MINUTES`; 0: never set."""
ALLOWANCE_WIDTH = 4

QUOTA_EPOCH, QUOTA_USED, QUOTA_WIDTH = 0, 1, 2
"""Columns of an actor's quota: the epoch of the last use, and how much was used in it."""


@kernel_function
def set_allowance(
    record: Int, now_minutes: int, amount: int, reset_minutes: int, reset_base_minutes: int
) -> int:
    """Grant or change an allowance (Safe AllowanceModule 0.1.0, ``setAllowance``); a result code.

    With a base > 0 the resets lie on the grid base + k reset_minutes; else the grid of an allowance
    that was set before stays. What was spent since the last reset stays spent. The module takes
    minute 0 for "never set", so the clock has to start above 0.
    """
    if amount < 0 or reset_minutes < 0 or reset_base_minutes < 0:
        return INVALID
    if reset_base_minutes > 0 and (reset_base_minutes > now_minutes or reset_minutes == 0):
        return INVALID
    _roll_over(record, now_minutes)
    if reset_base_minutes > 0:
        since = (now_minutes - reset_base_minutes) % reset_minutes
        record[ALLOWANCE_LAST_RESET_MINUTES] = now_minutes - since
    elif record[ALLOWANCE_LAST_RESET_MINUTES] == 0:
        record[ALLOWANCE_LAST_RESET_MINUTES] = now_minutes
    record[ALLOWANCE_RESET_MINUTES] = reset_minutes
    record[ALLOWANCE_AMOUNT] = amount
    return DONE


@kernel_function
def _reset_is_due(record: Int, now_minutes: int) -> bool:
    reset = record[ALLOWANCE_RESET_MINUTES]
    return bool(reset > 0 and now_minutes - record[ALLOWANCE_LAST_RESET_MINUTES] >= reset)


@kernel_function
def _roll_over(record: Int, now_minutes: int) -> None:
    if _reset_is_due(record, now_minutes):
        since = now_minutes - record[ALLOWANCE_LAST_RESET_MINUTES]
        record[ALLOWANCE_SPENT] = 0
        record[ALLOWANCE_LAST_RESET_MINUTES] = now_minutes - since % record[ALLOWANCE_RESET_MINUTES]


@kernel_function
def allowance_left(record: Int, now_minutes: int) -> int:
    """Cents that may still be spent before the next reset."""
    spent = 0 if _reset_is_due(record, now_minutes) else record[ALLOWANCE_SPENT]
    return int(max(record[ALLOWANCE_AMOUNT] - spent, 0))


@kernel_function
def allowance_check(record: Int, now_minutes: int, request: int) -> tuple[int, int]:
    """(cents permitted, code) for spending `request` cents; nothing but more than 0 is valid."""
    if request <= 0:
        return 0, INVALID
    left = allowance_left(record, now_minutes)
    if request > left:
        return left, OVER_ALLOWANCE
    return request, DONE


@kernel_function
def spend_allowance(record: Int, now_minutes: int, request: int, effect: int) -> tuple[int, int]:
    """Spend from an allowance (ALLOWANCE_WIDTH,): (cents allowed, code).

    Safe AllowanceModule 0.1.0, ``getAllowance`` and ``executeAllowanceTransfer``: once
    `reset_minutes` have passed, nothing is spent and the last reset moves on along its grid;
    refused if the request is 0 or spent + request > amount.
    """
    permitted, code = allowance_check(record, now_minutes, request)
    allowed = allowed_amount(request, permitted, 0, code, effect)
    if allowed > 0:
        _roll_over(record, now_minutes)
        record[ALLOWANCE_SPENT] = capped_sum(record[ALLOWANCE_SPENT], allowed)
    return allowed, code


@kernel_function
def quota_check(record: Int | Float, epoch: int, request: float, quota: float) -> tuple[float, int]:
    """(amount permitted, code) for using `request` of an epoch's quota; 0 is always permitted."""
    used = record[QUOTA_USED]
    if record[QUOTA_EPOCH] != epoch:
        used = 0 * used
    left = max(quota - used, 0 * used)
    if not request >= 0:
        return 0 * used, INVALID
    if request > left:
        return left, OVER_QUOTA
    return request, DONE


@kernel_function
def use_quota(
    record: Int | Float, epoch: int, request: float, quota: float, effect: int
) -> tuple[float, int]:
    """Use an actor's quota (QUOTA_WIDTH,) of this epoch: (amount allowed, code).

    The record may be int64 (jobs, votes, cents) or float64 (kWh); request and quota likewise.
    Epochs only have to differ: the step of the week's first day will do.
    """
    permitted, code = quota_check(record, epoch, request, quota)
    allowed = allowed_amount(request, permitted, 0 * permitted, code, effect)
    if allowed > 0:
        if record[QUOTA_EPOCH] != epoch:
            record[QUOTA_EPOCH] = epoch
            record[QUOTA_USED] = 0
        record[QUOTA_USED] += allowed
    return allowed, code
