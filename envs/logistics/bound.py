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

This is the dual side of the perfect-foresight programme without capacities (a shortest path in the
time-expanded network), which is why no solver is needed; tests compare it with HiGHS.

What it is not: in the presets of presets.py, where purchases are free and nothing moves the mean,
the optimum of dynamic programming limits the long-run average of every policy in expectation, but
not on every path; this bound holds on every path and is far above it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.simulator import Simulator as _Simulator

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
    I_ROUTES,
    N_CUSTOMERS,
    N_PROCESS,
    N_SHIPS,
    N_SUPPLIER,
    Q_COST_USD,
    R_DESTINATION,
    R_FLEET,
    R_LANE,
    R_LEAD_DAYS,
    R_ORIGIN,
)
from .tables import cell_value, good_value, node_at, route_at, route_value

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

_NEVER = 1e18
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
    demand, closed = world_of(simulator)
    money = np.empty(simulator.num_envs)
    _sum_best_fates(simulator._pf, simulator._pi, demand, closed, money)
    turnover = np.abs(demand).sum(axis=(1, 2, 3)) * _largest_value(simulator)
    return money + _ABSOLUTE_MARGIN_USD + _RELATIVE_MARGIN * turnover


def _largest_value(simulator: Simulator) -> float:
    goods = simulator.domain.network.tables["goods"]  # type: ignore[attr-defined]
    return float(goods[:, [H_VALUE_USD, H_PRICE_USD]].max())


def world_of(simulator: Simulator) -> tuple[Float, NDArray[np.int64]]:
    """Demand (N, T, places, G) and closed processes (N, T, P) of the episodes that begin now.

    A copy of the simulator plays them with its zero action: no action moves the world.
    """
    twin = _Simulator(simulator.domain, simulator.num_envs, autoreset="disabled")
    twin.restore(simulator.snapshot())
    idle = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    demand, closed = [], []
    for _ in range(simulator.horizon):
        closed.append(twin.state("closed").copy())
        twin.step(idle)
        demand.append(twin.state("demand_units").copy())
    return np.stack(demand, axis=1), np.stack(closed, axis=1)


@kernel_entry()
def _sum_best_fates(pf: Float, pi: Int, demand: Float, closed: Int, money: Float) -> None:
    n_nodes, n_goods, days = pi[I_NODES], pi[I_GOODS], demand.shape[1]
    cost = np.empty((n_nodes, days))
    for lane in range(len(money)):
        total = 0.0
        for g in range(n_goods):
            _cheapest(lane, g, pf, pi, closed, cost)
            price = good_value(pf, pi, g, H_PRICE_USD)
            for n in range(n_nodes):
                place = node_at(pi, n, N_CUSTOMERS)
                if place < 0:
                    continue
                served = cell_value(pf, pi, C_CLEARING_USD, n, g)
                for t in range(days - 1, -1, -1):
                    served = min(served + pf[F_BACKLOG_USD], cost[n, t])
                    worth = max(price - served, -pf[F_LOST_USD])
                    total += demand[lane, t, place, g] * worth
        money[lane] = total


@kernel_entry()
def _cheapest(lane: int, good: int, pf: Float, pi: Int, closed: Int, cost: Float) -> None:
    """``cost[node, day]``: the cheapest way of having a unit at a node for that day's customers."""
    n_nodes, days = pi[I_NODES], cost.shape[1]
    volume = good_value(pf, pi, good, H_VOLUME)
    for t in range(days):
        for i in range(n_nodes):
            n = node_at(pi, i, N_SHIPS)
            best = _NEVER
            if node_at(pi, n, N_SUPPLIER) == 1:
                purchase = cell_value(pf, pi, C_PURCHASE_USD, n, good)
                cost[n, t] = purchase if purchase >= 0.0 else _NEVER
                continue
            if t < pi[I_RING]:
                best = good_value(pf, pi, good, H_VALUE_USD)
            if t > 0:
                best = min(best, cost[n, t - 1] + cell_value(pf, pi, C_HOLDING_USD, n, good))
            for r in range(pi[I_ROUTES]):
                left = t - route_at(pi, r, R_LEAD_DAYS)
                if route_at(pi, r, R_DESTINATION) != n or left < 0:
                    continue
                origin, fleet = route_at(pi, r, R_ORIGIN), route_at(pi, r, R_FLEET)
                shut = closed[lane, left, route_at(pi, r, R_LANE)]
                shut += closed[lane, left, node_at(pi, origin, N_PROCESS)]
                if fleet >= 0:
                    shut += closed[lane, left, pi[I_LANES] + n_nodes + fleet]
                if shut == 0:
                    way = cost[origin, left] + volume * route_value(pf, pi, r, Q_COST_USD)
                    way += (t - left) * cell_value(pf, pi, C_TRANSIT_USD, n, good)
                    best = min(best, way)
            cost[n, t] = best
