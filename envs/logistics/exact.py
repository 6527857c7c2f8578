"""Exact optima of the lost-sales and the dual-sourcing instances by dynamic programming.

Relative value iteration on the whole state (on-hand stock and pipeline): after each sweep the
average cost lies between the smallest and the largest change of a state's value (Odoni 1969), so
the result is exact to the tolerance, for the orders that are allowed. Optima are of the long-run
average in expectation: no policy beats them there, while on one path of demand one may.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.layout import Float, Int

_MOST_SWEEPS = 5000


@dataclass(frozen=True)
class Optimum:
    """A policy and its average cost.

    Attributes:
        cost: per period.
        orders: best order by state (n_stock, n_order, ..., n_order); dual sourcing has one more
            axis of two: regular, expedited.
        first_stock: stock of the first index.
    """

    cost: float
    orders: Int
    first_stock: int = 0


def demand_law(law: str, mean: float, size: int) -> Float:
    """(size,) probabilities of 0, 1, ... units; the last one holds the rest of the law."""
    p: Any = np.zeros(size)
    if law == "poisson":
        p[0] = np.exp(-mean)
        for k in range(1, size):
            p[k] = p[k - 1] * mean / k
    elif law == "geometric":
        p = (1.0 / (1.0 + mean)) * (mean / (1.0 + mean)) ** np.arange(size)
    elif law == "uniform":
        p[: round(2.0 * mean) + 1] = 1.0 / (round(2.0 * mean) + 1)
    else:
        raise ValueError(f"law: 'poisson', 'geometric' or 'uniform' expected, got {law!r}")
    p[-1] += max(1.0 - p.sum(), 0.0)
    return p


@kernel_entry()
def _sweep_lost_sales(
    value: Float, new: Float, orders: Int, stage: Float, p: Float, n_stock: int, n_order: int,
    tail: int, fixed: bool, level: int, cap: int,
) -> tuple[float, float]:  # fmt: skip
    """One sweep; (smallest, largest) change. `tail` is n_order to the power of L - 1.

    A state is stock * tail + pipeline, where the pipeline's next arrival is the leading digit.
    With `fixed`, orders are min(max(level - position, 0), cap) instead of the best ones.
    """
    rest = tail // n_order if tail > 1 else 1
    smallest, largest = 1e300, -1e300
    for pipeline in range(tail):
        arriving = pipeline // rest if tail > 1 else 0
        behind = pipeline % rest if tail > 1 else 0
        position, digits = 0, pipeline
        for _ in range(16):
            position += digits % n_order
            digits //= n_order
        # A fixed policy never leaves the states whose position is at most its level.
        for x in range(level - position + 1 if fixed else n_stock):
            best, choice = 1e300, 0
            low, high = 0, n_order
            if fixed:
                low = min(max(level - position - x, 0), cap, n_order - 1)
                high = low + 1
            for z in range(low, high):
                # Next pipeline: what is behind moves up, the order goes last.
                add = arriving if tail > 1 else z
                follow = behind * n_order + z if tail > 1 else 0
                expected, above = 0.0, 1.0
                for d in range(x):
                    left = min(x - d + add, n_stock - 1)
                    expected += p[d] * value[left * tail + follow]
                    above -= p[d]
                expected += above * value[min(add, n_stock - 1) * tail + follow]
                if expected < best:
                    best, choice = expected, z
            state = x * tail + pipeline
            new[state] = stage[x] + best
            orders[state] = choice
            change = new[state] - value[state]
            smallest = min(smallest, change)
            largest = max(largest, change)
    return smallest, largest


def _stage_cost(p: Float, mean: float, n_stock: int, penalty: float) -> Float:
    """(n_stock,) expected holding and lost-sales cost of a period that begins with x units."""
    x = np.arange(n_stock)
    held = np.array([float(((k - np.arange(k)) * p[:k]).sum()) for k in x])
    # E max(d - x, 0) = E max(x - d, 0) - x + mean
    return held + penalty * (held - x + mean)


def _iterate(sweep: Any, size: int, tolerance: float) -> tuple[float, Float]:
    value, new = np.zeros(size), np.zeros(size)
    for _ in range(_MOST_SWEEPS):
        low, high = sweep(value, new)
        value, new = new - new[0], value
        if high - low < tolerance:
            return 0.5 * (low + high), value
    raise RuntimeError(f"value iteration: no span below {tolerance} within {_MOST_SWEEPS} sweeps")


@cache
def lost_sales_optimum(
    law: str, lead: int, penalty: float, *, mean: float = 5.0, largest_order: int = 0,
    n_stock: int = 0, level: int = -1, cap: int = -1, tolerance: float = 1e-4,
) -> Optimum:  # fmt: skip
    """Optimum of a lost-sales system (Zipkin 2008), or the cost of a given simple policy.

    Holding costs 1 a unit and period. Stock and the `lead` orders on the way are the state; what
    was ordered `lead` periods ago serves today's demand.

    Args:
        level: order-up-to level of the inventory position, -1 for the best orders.
        cap: largest order of that policy, -1 for none (capped base-stock).
        largest_order: 0: enough for the law.
        n_stock: stock levels kept; more is thrown away. 0: enough for the law.
    """
    n_order = (largest_order or {"poisson": 12, "geometric": 25}[law]) + 1
    n_stock = n_stock or {"poisson": 26 + 2 * lead, "geometric": 80}[law]
    if level >= 0:
        n_stock = max(n_stock, level + 1)
    p = demand_law(law, mean, n_stock + 1)
    stage = _stage_cost(p, mean, n_stock, penalty)
    tail = n_order ** (lead - 1)
    orders = np.zeros(n_stock * tail, dtype=np.int64)
    most = n_order - 1 if cap < 0 else cap

    def sweep(value: Float, new: Float) -> tuple[float, float]:
        low, high = _sweep_lost_sales(
            value, new, orders, stage, p, n_stock, n_order, tail, level >= 0, max(level, 0), most
        )
        return float(low), float(high)

    cost, _ = _iterate(sweep, n_stock * tail, tolerance)
    return Optimum(cost, orders.reshape((n_stock, *(n_order,) * (lead - 1))))


@cache
def best_simple_policy(
    law: str, lead: int, penalty: float, capped: bool = False
) -> tuple[float, int, int]:
    """(cost, level, cap) of the best base-stock policy, or of the best capped one.

    Costs are exact; the search walks downhill from the mean demand of lead and period. Without a
    cap, cap is -1.
    """
    level, cap = round(5.0 * (lead + 1)), 6 if capped else -1

    def cost(level: int, cap: int) -> float:
        if level < 0 or (capped and cap < 1):
            return np.inf
        return lost_sales_optimum(
            law, lead, penalty, level=level, cap=cap, largest_order=15, tolerance=4e-4
        ).cost

    best = cost(level, cap)
    while True:
        around = [(level - 1, cap), (level + 1, cap)]
        if capped:
            around += [(level, cap - 1), (level, cap + 1), (level + 1, cap - 1),
                       (level - 1, cap + 1)]  # fmt: skip
        costs = {place: cost(*place) for place in around}
        place = min(costs, key=lambda place: costs[place])
        if costs[place] >= best:
            return best, level, cap
        best, (level, cap) = costs[place], place


@kernel_entry()
def _sweep_dual(
    value: Float, new: Float, orders: Int, stage: Float, n_stock: int, n_order: int, tail: int,
    demands: int, premium: float,
) -> tuple[float, float]:  # fmt: skip
    """As `_sweep_lost_sales`, with an expedited order that arrives at once; demand is uniform."""
    rest = tail // n_order if tail > 1 else 1
    smallest, largest = 1e300, -1e300
    for pipeline in range(tail):
        arriving = pipeline // rest if tail > 1 else 0
        behind = pipeline % rest if tail > 1 else 0
        for x in range(n_stock):
            best, regular, expedited = 1e300, 0, 0
            for e in range(min(2 * demands, n_stock - x)):
                cost = premium * e + stage[x + e]
                for z in range(n_order):
                    add = arriving if tail > 1 else z
                    follow = behind * n_order + z if tail > 1 else 0
                    total = 0.0
                    for d in range(demands):
                        left = min(max(x + e - d + add, 0), n_stock - 1)
                        total += value[left * tail + follow]
                    total = cost + total / demands
                    if total < best - 1e-12:
                        best, regular, expedited = total, z, e
            state = x * tail + pipeline
            new[state] = best
            orders[2 * state] = regular
            orders[2 * state + 1] = expedited
            change = best - value[state]
            smallest = min(smallest, change)
            largest = max(largest, change)
    return smallest, largest


@cache
def dual_sourcing_optimum(
    lead: int, premium: float, *, holding: float = 5.0, backlog: float = 495.0, demands: int = 5,
    largest_order: int = 6, first_stock: int = -8, last_stock: int = 14, tolerance: float = 1e-4,
) -> Optimum:  # fmt: skip
    """Optimum of a dual-sourcing system with an expedited lead of 0 (INFORMS J. Comp. 2022.0136).

    Demand is uniform on 0 to `demands` - 1; regular orders cost nothing and serve the demand
    `lead` periods later, expedited ones cost `premium` a unit and serve today's.
    """
    n_order, n_stock = largest_order + 1, last_stock - first_stock + 1
    stage = np.zeros(n_stock)
    for i in range(n_stock):
        left = first_stock + i - np.arange(demands)
        stage[i] = (holding * np.maximum(left, 0) + backlog * np.maximum(-left, 0)).mean()
    tail = n_order ** (lead - 1)
    orders = np.zeros(2 * n_stock * tail, dtype=np.int64)

    def sweep(value: Float, new: Float) -> tuple[float, float]:
        low, high = _sweep_dual(value, new, orders, stage, n_stock, n_order, tail, demands, premium)
        return float(low), float(high)

    cost, _ = _iterate(sweep, n_stock * tail, tolerance)
    shape = (n_stock, *(n_order,) * (lead - 1), 2)
    return Optimum(cost, orders.reshape(shape), first_stock)


def orders_of(optimum: Optimum, stock: Float, pipeline: Float) -> NDArray[np.int64]:
    """Best orders of each lane, (N,) or (N, 2), for stock (N,) and pipeline (N, lead - 1)."""
    n_stock = optimum.orders.shape[0]
    x = np.clip(np.rint(stock).astype(np.int64) - optimum.first_stock, 0, n_stock - 1)
    digits = [
        np.clip(np.rint(pipeline[:, i]).astype(np.int64), 0, optimum.orders.shape[1 + i] - 1)
        for i in range(pipeline.shape[1])
    ]
    return np.asarray(optimum.orders[(x, *digits)])
