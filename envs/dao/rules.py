"""What a charter's rules do to one request; called from compiled code, knows no domain."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function


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
