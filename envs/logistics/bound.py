"""A proven upper limit of what any controller can earn in an episode.

`upper_bound` knows the whole episode in advance: every day's demand and every day on which a lane,
a node or a fleet is closed (both are functions of the seed, whatever the actions). It gives each
unit of demand the best fate that it could have if it were alone in the network, and adds up.

Why nobody earns more. Follow the units of a good. Every unit that is ever sold was bought on some
day from a supplier or lay in stock at the start, went from node to node by routes that were open
on the day of departure, and was handed over on some day. All that the kernel charges is linear in
units and can be charged to them one by one:

- purchase, freight and transit cost on each of its routes, with at least `lead_days` ends of day in
  transit (a late shipment has one more; transit costs are not below 0), and holding cost at each
  end of day in stock (`flow.py`, `settle.py`);
- a unit of the first stock, or on its way to a node on the first morning, is charged its purchase
  value in the stock term at the end, as if it had been bought there on the day it came;
- a unit that is left at the end is credited that value. It was charged as much when it was bought,
  or in the stock term, and costs not below 0 since: together at most 0.

So a unit that serves a customer at node n on day t has cost at least c[n, t], the cheapest way of
having one there: kept there overnight, sent on an open route from where it was cheapest on the day
of departure, or first stock. Nothing is lost by that minimum: capacities, vehicles, throughput,
shortage of the first stock, the charter's gate, and that two customers cannot have the same unit,
only take away. `serve` gives a unit of demand one of these fates: handed over on day t, for the
price; on a later day s, for the price less the waiting cost of s - t ends of day; still waiting at
the end, for the price less waiting and the clearing cost of the stock term; lost, for minus
`lost_usd`. Which share waits is fixed by the kernel; here each unit chooses. Energy, and the cost
of orders that origins owe, are not below 0 and left out.

Under a charter that is voted on, two limits on sums of units come in by multipliers (weak duality:
Fisher, The Lagrangian Relaxation Method, Management Science 27 (1981), eq. 2). All purchases of a
week cost at most the allowance in force on its first morning, which the seed fixes; and no more
than the first stock of a good can be sold out of it. Whoever keeps to both is charged lambda[week]
per USD bought and mu[good] per unit of first stock, and credited lambda times the allowances and mu
times the stock. He gains by that, whatever lambda and mu >= 0 are, so the best fates at these
prices plus the credits are above what he earns. `_least_of_bounds` looks for those that give the
least; every one that it tries is a bound. Where agents change the rules themselves (agentic,
steward), the allowance is the highest that they can reach. Covenant, quota and stakes are left out,
whatever their path; tariff and slashes move money between members only, and a lost bond only costs.

Carriers that bid (bids.py) change nothing of this: a price is paid between members, an offer takes
capacity away, and what goes by the spot market instead costs at least nominal freight, which is not
below the own cost that is charged here.

This is the dual side of the perfect-foresight programme without capacities (a shortest path in the
time-expanded network), which is why no solver is needed; tests compare it with HiGHS.

What it is not: in the presets of presets.py, where purchases are free and nothing moves the mean,
the optimum of dynamic programming limits the long-run average of every policy in expectation, but
not on every path; this bound holds on every path and is far above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.simulator import Simulator as _Simulator

from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK
from .layout import (
    C_CLEARING_USD,
    C_HOLDING_USD,
    C_PURCHASE_USD,
    C_TRANSIT_USD,
    F_BACKLOG_USD,
    F_LOST_USD,
    H_PRICE_USD,
    H_VALUE_USD,
    H_VOLUME,
    I_GOODS,
    I_LANES,
    I_NODES,
    I_RING,
    L_END_ROUTE,
    L_FIRST_ROUTE,
    L_ORIGIN,
    N_CUSTOMERS,
    N_END_LANE,
    N_FIRST_LANE,
    N_PROCESS,
    N_SHIPS,
    N_SUPPLIER,
    Q_COST_USD,
    R_FLEET,
    R_LANE,
    R_LEAD_DAYS,
)
from .tables import cell_value, good_value, link_at, node_at, route_at, route_value

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

DAYS_OF_ALLOWANCE = 7
_NEVER = 1e18
# Where a unit came from, beside the week in which it was bought.
_FIRST_STOCK, _NOWHERE = -1, -2
_SEARCH_STEPS, _FIRST_STEP = 120, 0.15
_ABSOLUTE_MARGIN_USD, _RELATIVE_MARGIN = 1e-6, 1e-9


def upper_bound(simulator: Simulator) -> Float:
    """USD that no controller can exceed in the episode each lane is about to play, (N,).

    The simulator is only read.

    Raises:
        ValueError: a lane is not at the first step of an episode of its own.
    """
    late = np.flatnonzero((simulator.state("step") != 0) | (simulator.state("started") != 0))
    if len(late):
        raise ValueError(
            f"the bound is of whole episodes: lane {late[0]} stands at step "
            f"{simulator.state('step')[late[0]]} of {simulator.horizon}, step 0 is expected "
            "(reset first, without stagger)"
        )
    demand, closed, governed = world_of(simulator)
    money = _least_of_bounds(simulator, demand, closed, governed)
    turnover = np.abs(demand).sum(axis=(1, 2, 3)) * _largest_value(simulator)
    return money + _ABSOLUTE_MARGIN_USD + _RELATIVE_MARGIN * turnover


def _least_of_bounds(
    simulator: Simulator, demand: Float, closed: NDArray[np.int64], governed: Float
) -> Float:
    """USD of the best fates at the prices of some multipliers, (N,): the least that were found."""
    domain: Any = simulator.domain
    n, days = demand.shape[:2]
    weeks, goods = -(-days // DAYS_OF_ALLOWANCE), domain.network.n_goods
    dear, scarce = np.zeros((n, weeks)), np.zeros((n, goods))
    money, spent, used = np.empty(n), np.empty((n, weeks)), np.empty((n, goods))

    def sum_fates() -> None:
        _sum_best_fates(
            simulator._pf, simulator._pi, demand, closed, dear, scarce, money, spent, used
        )

    sum_fates()
    # Orders that are kept may be shipped, and paid, in a later week than they were allowed in.
    if domain.governance is None or domain.network.keeps_orders:
        return money
    allowance = governed[:, ::DAYS_OF_ALLOWANCE, G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
    if domain.scenario.charter.answers_actions:
        ranges = domain.scenario.governed_parameters
        allowance = np.full((n, weeks), ranges[G_PURCHASE_ALLOWANCE_USD_PER_WEEK].high)
    stock = simulator.state("initial_units").sum(axis=1)
    value = np.maximum(domain.network.tables["goods"][:, H_VALUE_USD], 1e-9)
    least = money.copy()
    for k in range(_SEARCH_STEPS):
        step = _FIRST_STEP / np.sqrt(1.0 + k)
        dear = np.maximum(dear + step * (spent / np.maximum(allowance, 1.0) - 1.0), 0.0)
        lack = used / np.maximum(stock, 1.0) - 1.0
        scarce = np.maximum(scarce + step * value * np.clip(lack, -1.0, 1.0), 0.0)
        sum_fates()
        least = np.minimum(least, money + (dear * allowance).sum(axis=1)
                           + (scarce * stock).sum(axis=1))  # fmt: skip
    return least


def _largest_value(simulator: Simulator) -> float:
    goods = simulator.domain.network.tables["goods"]  # type: ignore[attr-defined]
    return float(goods[:, [H_VALUE_USD, H_PRICE_USD]].max())


def world_of(simulator: Simulator) -> tuple[Float, NDArray[np.int64], Float]:
    """What the episodes that begin now will meet, T days of it.

    A copy of the simulator plays them with its zero action: no action moves the world, and under a
    voted charter none moves the rules.

    Returns:
        Demand (N, T, places, G), closed processes (N, T, P) and governed parameters (N, T, 8).
    """
    twin = _Simulator(simulator.domain, simulator.num_envs, autoreset="disabled")
    twin.restore(simulator.snapshot())
    idle = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    demand, closed, governed = [], [], []
    for _ in range(simulator.horizon):
        closed.append(twin.state("closed").copy())
        governed.append(twin.state("governed").copy())
        twin.step(idle)
        demand.append(twin.state("demand_units").copy())
    return np.stack(demand, axis=1), np.stack(closed, axis=1), np.stack(governed, axis=1)


@kernel_entry()
def _sum_best_fates(
    pf: Float, pi: Int, demand: Float, closed: Int, dear: Float, scarce: Float, money: Float,
    spent: Float, used: Float,
) -> None:  # fmt: skip
    """USD of the best fates of all units of demand, and what they take of what is limited.

    Args:
        dear: (N, weeks) added to each USD of a week's purchases.
        scarce: (N, G) USD added to each unit of first stock.
        money: (N,) filled with the sum.
        spent, used: (N, weeks) and (N, G) filled with purchases, USD, and units of first stock.
    """
    n_nodes, n_goods, days = pi[I_NODES], pi[I_GOODS], demand.shape[1]
    cost = np.empty((n_nodes, days))
    source = np.empty((n_nodes, days), dtype=np.int64)
    for lane in range(len(money)):
        total = 0.0
        spent[lane] = 0.0
        used[lane] = 0.0
        for g in range(n_goods):
            _cheapest(lane, g, pf, pi, closed, dear, scarce, cost, source)
            price, value = good_value(pf, pi, g, H_PRICE_USD), good_value(pf, pi, g, H_VALUE_USD)
            for n in range(n_nodes):
                place = node_at(pi, n, N_CUSTOMERS)
                if place < 0:
                    continue
                served, origin = cell_value(pf, pi, C_CLEARING_USD, n, g), _NOWHERE
                for t in range(days - 1, -1, -1):
                    served += pf[F_BACKLOG_USD]
                    if cost[n, t] < served:
                        served, origin = cost[n, t], source[n, t]
                    units = demand[lane, t, place, g]
                    worth = max(price - served, -pf[F_LOST_USD])
                    total += units * worth
                    if worth > -pf[F_LOST_USD]:
                        if origin >= 0:
                            spent[lane, origin] += units * value
                        elif origin == _FIRST_STOCK:
                            used[lane, g] += units
        money[lane] = total


@kernel_entry()
def _cheapest(
    lane: int, good: int, pf: Float, pi: Int, closed: Int, dear: Float, scarce: Float, cost: Float,
    source: Int,
) -> None:  # fmt: skip
    """``cost[node, day]``: the cheapest way of having a unit at a node for that day's customers.

    ``source`` is the week in which that unit was bought, or `_FIRST_STOCK`.
    """
    n_nodes, days = pi[I_NODES], cost.shape[1]
    volume, value = good_value(pf, pi, good, H_VOLUME), good_value(pf, pi, good, H_VALUE_USD)
    for t in range(days):
        for i in range(n_nodes):
            n = node_at(pi, i, N_SHIPS)
            best, origin_of_best = _NEVER, _NOWHERE
            if node_at(pi, n, N_SUPPLIER) == 1:
                purchase = cell_value(pf, pi, C_PURCHASE_USD, n, good)
                week = t // DAYS_OF_ALLOWANCE
                cost[n, t] = purchase * (1.0 + dear[lane, week]) if purchase >= 0.0 else _NEVER
                source[n, t] = week
                continue
            if t < pi[I_RING]:
                best, origin_of_best = value + scarce[lane, good], _FIRST_STOCK
            if t > 0:
                kept = cost[n, t - 1] + cell_value(pf, pi, C_HOLDING_USD, n, good)
                if kept < best:
                    best, origin_of_best = kept, source[n, t - 1]
            for a in range(node_at(pi, n, N_FIRST_LANE), node_at(pi, n, N_END_LANE)):
                origin = link_at(pi, a, L_ORIGIN)
                for r in range(link_at(pi, a, L_FIRST_ROUTE), link_at(pi, a, L_END_ROUTE)):
                    left = t - route_at(pi, r, R_LEAD_DAYS)
                    if left < 0:
                        continue
                    fleet = route_at(pi, r, R_FLEET)
                    shut = closed[lane, left, route_at(pi, r, R_LANE)]
                    shut += closed[lane, left, node_at(pi, origin, N_PROCESS)]
                    if fleet >= 0:
                        shut += closed[lane, left, pi[I_LANES] + n_nodes + fleet]
                    if shut == 0:
                        way = cost[origin, left] + volume * route_value(pf, pi, r, Q_COST_USD)
                        way += (t - left) * cell_value(pf, pi, C_TRANSIT_USD, n, good)
                        if way < best:
                            best, origin_of_best = way, source[origin, left]
            cost[n, t] = best
            source[n, t] = origin_of_best
