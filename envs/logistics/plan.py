"""The supply network of the next days as a linear programme: what to send where, knowing demand.

Solved with a forecast it is the planner of the rolling controller; solved with the true demand of
an episode and without integrality it limits what any controller can earn (tests hold the bound of
bound.py against it).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.sparse import coo_array

from daogym.envs.core.layout import Float

from . import layout as at
from .network import Network


@dataclass(frozen=True)
class Situation:
    """What a plan starts from and what it reckons with; G goods, N nodes, D days.

    Attributes:
        stock, backlog: (N, G) units this morning.
        arriving: (D, N, G) units that arrive on each later morning (row 0: nothing).
        demand: (D, N, G) units that customers will ask for.
        open_routes: (D, R) whether a route can be used on a day.
        is_end: whether the episode ends with the last day (then stock is worth its purchase
            value, and backlog is cleared); otherwise what is left is worth its purchase value and
            the freight to where it is.
        budgets: (first day, end day, USD) of spans of days whose purchases together have a limit.
    """

    stock: Float
    backlog: Float
    arriving: Float
    demand: Float
    open_routes: NDArray[np.bool_]
    is_end: bool
    budgets: tuple[tuple[int, int, float], ...] = ()


@dataclass(frozen=True)
class Plan:
    """Units to send (D, R, G), and the money that the programme expects."""

    sent: Float
    money: float


class _Columns:
    """Numbers of variables: blocks of a shape, one after another."""

    def __init__(self) -> None:
        self.count = 0
        self.cost: list[Float] = []
        self.high: list[Float] = []

    def add(self, shape: tuple[int, ...], cost: Any, high: Any = np.inf) -> NDArray[np.int64]:
        size = int(np.prod(shape))
        self.cost.append(np.broadcast_to(np.asarray(cost, dtype=float), shape).ravel())
        self.high.append(np.broadcast_to(np.asarray(high, dtype=float), shape).ravel())
        self.count += size
        return np.arange(self.count - size, self.count).reshape(shape)


def plan(network: Network, situation: Situation) -> Plan:
    """The best plan for a situation, by HiGHS.

    Variables: units sent by route, good and day; stock at the end of a day; units handed over;
    backlog at the end of a day; units lost. Late deliveries, vehicles' hours and the charter are
    left out, but for the situation's budgets; lanes' and nodes' capacities are in.

    Raises:
        RuntimeError: HiGHS found no optimum.
    """
    s, t = network.scenario, network.tables
    days, n_nodes, n_goods = situation.demand.shape
    used = np.flatnonzero(situation.open_routes.any(axis=0))
    routes, cells = t["routes"][used], t["cells"]
    volume, value, price = (t["goods"][:, c] for c in (at.H_VOLUME, at.H_VALUE_USD, at.H_PRICE_USD))
    n_routes = len(routes)
    origin, destination = routes[:, at.R_ORIGIN], routes[:, at.R_DESTINATION]
    lead = routes[:, at.R_LEAD_DAYS]
    supplied = network.supplier[origin]
    columns = _Columns()

    freight = t["route_values"][used, at.Q_COST_USD][:, None] * volume
    purchase = np.where(supplied[:, None], cells[at.C_PURCHASE_USD][origin], 0.0)
    day = np.arange(days)
    in_transit = np.minimum(lead[None, :], days - day[:, None])
    transit = in_transit[:, :, None] * cells[at.C_TRANSIT_USD][destination]
    # What is still under way, and what is left, is worth what it cost to buy (and to bring).
    worth = np.broadcast_to(value, (n_nodes, n_goods))
    if not situation.is_end:
        worth = worth + cheapest_freight(network)
    credited = (day[:, None] + lead[None, :] >= days)[:, :, None] * worth[destination]
    usable = situation.open_routes[:, used, None] & (purchase >= 0.0)[None]
    sent = columns.add(
        (days, n_routes, n_goods), freight + purchase + transit - credited,
        np.where(usable, np.inf, 0.0),
    )  # fmt: skip
    held = np.broadcast_to(cells[at.C_HOLDING_USD], (days, n_nodes, n_goods)).copy()
    held[-1] -= worth
    stocked = ~network.supplier
    stock = columns.add((days, n_nodes, n_goods), held, np.where(stocked, np.inf, 0.0)[:, None])
    served = columns.add((days, n_nodes, n_goods), -price)
    clearing = np.full((days, n_nodes, n_goods), s.demand.backlog_usd_per_day)
    clearing[-1] += np.maximum(cells[at.C_CLEARING_USD] - price, -price)
    has_customers = np.zeros((n_nodes, 1), dtype=bool)
    has_customers[network.customers] = True
    waits = s.demand.backlogged_share > 0.0
    backlog = columns.add(
        (days, n_nodes, n_goods), clearing, np.where(has_customers & waits, np.inf, 0.0)
    )
    lost = columns.add((days, n_nodes, n_goods), s.demand.lost_usd,
                       np.where(has_customers, np.inf, 0.0))  # fmt: skip

    rows, cols, data = [], [], []
    right = np.zeros(2 * days * n_nodes * n_goods)
    row = np.arange(right.size).reshape(2, days, n_nodes, n_goods)

    def put(r: Any, c: Any, v: float) -> None:
        r, c = np.broadcast_arrays(r, c)
        rows.append(r.ravel())
        cols.append(c.ravel())
        data.append(np.full(r.size, v))

    # Goods: stock' = stock + arrivals - sent - handed over.
    goods = row[0]
    put(goods, stock, 1.0)
    put(goods[1:], stock[:-1], -1.0)
    put(goods, served, 1.0)
    for r in range(n_routes):
        if not supplied[r]:
            put(goods[:, origin[r]], sent[:, r], 1.0)
        k = int(lead[r])
        if k < days:
            put(goods[k:, destination[r]], sent[: days - k, r], -1.0)
    right_goods = situation.arriving.copy()
    right_goods[0] += situation.stock
    right[goods] = right_goods
    # Customers: backlog' = backlog + demand - handed over - lost.
    asked = row[1]
    put(asked, backlog, 1.0)
    put(asked[1:], backlog[:-1], -1.0)
    put(asked, served, 1.0)
    put(asked, lost, 1.0)
    right_asked = situation.demand.copy()
    right_asked[0] += situation.backlog
    right[asked] = right_asked
    equal = coo_array(
        (np.concatenate(data), (np.concatenate(rows), np.concatenate(cols))),
        shape=(right.size, columns.count),
    ).tocsr()  # fmt: skip
    spent = np.broadcast_to(np.maximum(purchase, 0.0), sent.shape[1:])
    budgets = [
        (sent[first:end].ravel(), np.tile(spent.ravel(), end - first), usd)
        for first, end, usd in situation.budgets
    ]
    limits, most = _limits(_capacities(network, used, sent) + budgets, columns.count)
    result = linprog(
        np.concatenate(columns.cost), A_ub=limits, b_ub=most, A_eq=equal, b_eq=right,
        bounds=np.stack([np.zeros(columns.count), np.concatenate(columns.high)], axis=1),
        method="highs",
    )  # fmt: skip
    if result.x is None:
        raise RuntimeError(f"HiGHS found no plan: {result.message}")
    units = np.zeros((days, len(t["routes"]), n_goods))
    units[:, used] = result.x[sent]
    return Plan(units, -float(result.fun))


Limit = tuple[NDArray[np.int64], Float, float]
"""Columns, their factors, and what their sum may be at most."""


def _capacities(network: Network, used: NDArray[np.int64], sent: NDArray[np.int64]) -> list[Limit]:
    """Lanes' and nodes' daily capacities."""
    t = network.tables
    volume = t["goods"][:, at.H_VOLUME]
    groups = [
        (np.array([i]), float(t["route_values"][r, at.Q_CAPACITY])) for i, r in enumerate(used)
    ]
    for n in range(network.n_nodes):
        leaving = np.flatnonzero(t["routes"][used, at.R_ORIGIN] == n)
        groups.append((leaving, float(t["node_values"][n, at.V_THROUGHPUT])))
    groups = [(g, limit) for g, limit in groups if limit < at.UNLIMITED and len(g)]
    return [
        (sent[day, group].ravel(), np.tile(volume, len(group)), limit)
        for group, limit in groups
        for day in range(len(sent))
    ]


def _limits(limits: list[Limit], width: int) -> tuple[Any, Any]:
    """(matrix, right-hand sides) of the limits, or (None, None)."""
    if not limits:
        return None, None
    index, factors, most = zip(*limits, strict=True)
    rows = np.repeat(np.arange(len(limits)), [len(columns) for columns in index])
    matrix = coo_array(
        (np.concatenate(factors), (rows, np.concatenate(index))), shape=(len(limits), width)
    ).tocsr()
    return matrix, np.array(most)


def cheapest_freight(network: Network) -> Float:
    """(N, G) freight of a unit on the cheapest way by home lanes from a supplier to a node."""
    volume = network.tables["goods"][:, at.H_VOLUME]
    cheapest = np.zeros((network.n_nodes, network.n_goods))
    for n in network.upstream_first.tolist():
        if network.supplier[n]:
            continue
        ways = [
            cheapest[network.home[n]] + route.cost_usd * volume
            for route in network.route_list
            if network.lane_list[route.lane].destination == network.node_names[n]
            and network.lane_list[route.lane].origin == network.node_names[network.home[n]]
        ]
        cheapest[n] = np.min(ways, axis=0)
    return cheapest
