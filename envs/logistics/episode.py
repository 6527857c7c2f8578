"""How an episode begins and how a night passes."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_int64, as_uint64, episode_key, integer, uniform

from .carrier_money import begin_carriers
from .demand import NONE, ONE, STREAM_START, STREAM_STOCK, advance_world, begin_world
from .govern import advance_votes, begin_governance
from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK, N_GOVERNED
from .layout import (
    C_INITIAL,
    C_MEAN,
    F_GOVERNED,
    F_INITIAL_TREASURY_USD,
    I_BIDDING,
    I_GOODS,
    I_HORIZON,
    I_MODES,
    I_NODES,
    I_ORDER_RING,
    I_OWN_MONEY,
    I_REGIONS,
    I_RING,
    I_ROUTES,
    I_SPLIT,
    I_STAGGER,
    I_VARIED_START,
    I_WHOLE_ORDERS,
    L_FIRST_ROUTE,
    N_CUSTOMERS,
    N_FIRST_LANE,
    N_HOME,
    N_SUPPLIER,
    N_UPSTREAM_FIRST,
    O_STAKE_USD,
    OUT_WIDTH,
    Q_INITIAL,
    R_DESTINATION,
    R_LEAD_DAYS,
    R_ORDER_DAYS,
    S_ALLOWANCE_USD,
    S_ARRIVING_FEE_USD,
    S_ARRIVING_USD,
    S_BACKLOG,
    S_CARRIED_USD,
    S_CARRIER_USD,
    S_CLOSING_USD,
    S_DONE,
    S_ECHELON,
    S_EPISODE,
    S_EPISODE_KEY,
    S_ESCROW_USD,
    S_EWMA,
    S_FILL_RATE,
    S_FIRST_DAY,
    S_FLOW,
    S_FORCED_DAY,
    S_GOVERNED,
    S_IN_TRANSIT,
    S_INITIAL,
    S_LATE_FEE_USD,
    S_MAIL,
    S_NODE_CLOSING_USD,
    S_NODE_USD,
    S_OWED,
    S_PIPELINE,
    S_REGION_FILL,
    S_ROOT_KEY,
    S_STAKE_USD,
    S_STARTED,
    S_STEP,
    S_STOCK,
    S_SUMS,
    S_TREASURY_USD,
    YEAR_DAYS,
)
from .tables import cell_value, link_at, mode_value, node_at, route_at, route_value

N_SPLITS = 4


@kernel_function
def begin_episode(lane: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int) -> None:
    """Begin the lane's next episode on a drawn (or forced) day of the year."""
    episode = si[lane, pi[S_EPISODE]] + 1
    # Each split has worlds of its own.
    key = episode_key(as_uint64(si[lane, pi[S_ROOT_KEY]]), episode * N_SPLITS + pi[I_SPLIT])
    si[lane, pi[S_EPISODE]] = episode
    si[lane, pi[S_EPISODE_KEY]] = as_int64(key)
    day = integer(key, STREAM_START, NONE, NONE, NONE + YEAR_DAYS)
    if si[lane, pi[S_FORCED_DAY]] >= 0:
        day = si[lane, pi[S_FORCED_DAY]]
    si[lane, pi[S_FORCED_DAY]] = -1
    si[lane, pi[S_FIRST_DAY]] = day
    step: Any = 0
    if pi[I_STAGGER] == 1 and episode == 0:
        step = integer(key, STREAM_START, NONE, ONE, pi[I_HORIZON])
    si[lane, pi[S_STEP]] = step
    si[lane, pi[S_STARTED]] = step
    si[lane, pi[S_DONE]] = 0
    _set_stock(lane, key, step, pf, pi, sf)
    _set_purses(lane, pf, pi, sf)
    if len(charter) > 0:
        begin_governance(lane, key, charter, pf, pi, sf, si)
        weekly = sf[lane, pi[S_GOVERNED] + G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        sf[lane, pi[S_ALLOWANCE_USD]] = weekly
    begin_world(lane, key, pf, pi, sf, si)
    sum_echelons(lane, pf, pi, sf)
    for c in range(OUT_WIDTH):
        sf[lane, pi[S_SUMS] + c] = 0.0


@inlined_function
def _set_stock(lane: int, key: Any, step: int, pf: Float, pi: Int, sf: Float) -> None:
    """First stock, and where starts vary and orders are whole units, first shipments."""
    n_goods, n_nodes = pi[I_GOODS], pi[I_NODES]
    for n in range(n_nodes):
        for g in range(n_goods):
            cell = n * n_goods + g
            units = cell_value(pf, pi, C_INITIAL, n, g)
            if pi[I_VARIED_START] == 1:
                chance = uniform(key, STREAM_STOCK, NONE, cell)
                if pi[I_WHOLE_ORDERS] == 1:
                    units = float(int(chance * (2.0 * units + 1.0)))
                else:
                    units *= 0.75 + 0.5 * chance
            sf[lane, pi[S_STOCK] + cell] = units
            sf[lane, pi[S_INITIAL] + cell] = units
            sf[lane, pi[S_BACKLOG] + cell] = 0.0
            sf[lane, pi[S_IN_TRANSIT] + cell] = 0.0
            place = node_at(pi, n, N_CUSTOMERS)
            if place >= 0:
                sf[lane, pi[S_EWMA] + place * n_goods + g] = cell_value(pf, pi, C_MEAN, n, g)
    for c in range(pi[I_RING] * n_nodes * n_goods):
        sf[lane, pi[S_PIPELINE] + c] = 0.0
    for c in range(pi[I_ROUTES] * n_goods):
        sf[lane, pi[S_FLOW] + c] = 0.0
    if pi[I_ORDER_RING] > 0:
        for c in range(pi[I_ROUTES] * n_goods):
            sf[lane, pi[S_OWED] + c] = 0.0
        for c in range(pi[I_ORDER_RING] * pi[I_ROUTES] * n_goods):
            sf[lane, pi[S_MAIL] + c] = 0.0
    _set_pipeline(lane, key, step, pf, pi, sf)


@inlined_function
def _set_pipeline(lane: int, key: Any, step: int, pf: Float, pi: Int, sf: Float) -> None:
    """What is under way on each lane: its initial units, and whole units drawn for each day."""
    n_goods, n_nodes, n_routes = pi[I_GOODS], pi[I_NODES], pi[I_ROUTES]
    drawn = pi[I_VARIED_START] == 1 and pi[I_WHOLE_ORDERS] == 1
    for r in range(n_routes):
        n = route_at(pi, r, R_DESTINATION)
        initial = route_value(pf, pi, r, Q_INITIAL)
        home = link_at(pi, node_at(pi, n, N_FIRST_LANE), L_FIRST_ROUTE)
        for g in range(n_goods):
            cell = n * n_goods + g
            for day in range(1, route_at(pi, r, R_LEAD_DAYS)):
                units = initial
                if drawn and r == home:
                    mean = cell_value(pf, pi, C_MEAN, n, g)
                    chance = uniform(key, STREAM_STOCK, day, cell)
                    units = float(int(chance * (2.0 * mean + 1.0)))
                if units > 0.0:
                    slot = ((step + day) % pi[I_RING] * n_nodes + n) * n_goods + g
                    sf[lane, pi[S_PIPELINE] + slot] += units
                    sf[lane, pi[S_IN_TRANSIT] + cell] += units
                    sf[lane, pi[S_INITIAL] + cell] += units
            if pi[I_ORDER_RING] > 0:
                for day in range(route_at(pi, r, R_ORDER_DAYS)):
                    slot = ((step + day) % pi[I_ORDER_RING] * n_routes + r) * n_goods + g
                    sf[lane, pi[S_MAIL] + slot] = initial


@inlined_function
def _set_purses(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    for m in range(pi[I_MODES]):
        sf[lane, pi[S_STAKE_USD] + m] = mode_value(pf, pi, m, O_STAKE_USD)
        sf[lane, pi[S_CARRIED_USD] + m] = 0.0
        sf[lane, pi[S_ESCROW_USD] + m] = 0.0
        sf[lane, pi[S_CARRIER_USD] + m] = 0.0
    for c in range(pi[I_RING] * pi[I_MODES]):
        sf[lane, pi[S_ARRIVING_USD] + c] = 0.0
        sf[lane, pi[S_ARRIVING_FEE_USD] + c] = 0.0
        sf[lane, pi[S_LATE_FEE_USD] + c] = 0.0
    sf[lane, pi[S_TREASURY_USD]] = pf[F_INITIAL_TREASURY_USD]
    sf[lane, pi[S_CLOSING_USD]] = 0.0
    if pi[I_OWN_MONEY] == 1:
        for n in range(pi[I_NODES]):
            sf[lane, pi[S_NODE_USD] + n] = 0.0
            sf[lane, pi[S_NODE_CLOSING_USD] + n] = 0.0
    if pi[I_BIDDING] == 1:
        begin_carriers(lane, pf, pi, sf)
    sf[lane, pi[S_FILL_RATE]] = 1.0
    for q in range(pi[I_REGIONS]):
        sf[lane, pi[S_REGION_FILL] + q] = 1.0
    for g in range(N_GOVERNED):
        sf[lane, pi[S_GOVERNED] + g] = pf[F_GOVERNED + g]
    sf[lane, pi[S_ALLOWANCE_USD]] = pf[F_GOVERNED + G_PURCHASE_ALLOWANCE_USD_PER_WEEK]


@inlined_function
def pass_night(lane: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, out: Float) -> None:
    """The clock moves, the world changes, members vote, the morning's goods arrive.

    Every seventh day fills the allowance; a vote that cuts it cuts what is left of it at once.
    """
    n_goods, n_nodes = pi[I_GOODS], pi[I_NODES]
    step = si[lane, pi[S_STEP]] + 1
    si[lane, pi[S_STEP]] = step
    advance_world(lane, pf, pi, sf, si)
    slot = pi[S_PIPELINE] + step % pi[I_RING] * n_nodes * n_goods
    for cell in range(n_nodes * n_goods):
        units = sf[lane, slot + cell]
        if units != 0.0:
            sf[lane, slot + cell] = 0.0
            sf[lane, pi[S_STOCK] + cell] += units
            left = sf[lane, pi[S_IN_TRANSIT] + cell] - units
            sf[lane, pi[S_IN_TRANSIT] + cell] = max(left, 0.0)
    if len(charter) > 0:
        key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
        advance_votes(lane, key, charter, pf, pi, sf, si, out)
        weekly = sf[lane, pi[S_GOVERNED] + G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        sf[lane, pi[S_ALLOWANCE_USD]] = min(sf[lane, pi[S_ALLOWANCE_USD]], weekly)
    if step % 7 == 0:
        allowance = sf[lane, pi[S_GOVERNED] + G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        sf[lane, pi[S_ALLOWANCE_USD]] = allowance
    sum_echelons(lane, pf, pi, sf)


@inlined_function
def sum_echelons(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    """Stock, transit and (negative) backlog of each node and all that it supplies."""
    n_goods = pi[I_GOODS]
    echelon = pi[S_ECHELON]
    for cell in range(pi[I_NODES] * n_goods):
        sf[lane, echelon + cell] = (
            sf[lane, pi[S_STOCK] + cell]
            + sf[lane, pi[S_IN_TRANSIT] + cell]
            - sf[lane, pi[S_BACKLOG] + cell]
        )
    for i in range(pi[I_NODES] - 1, -1, -1):
        n = node_at(pi, i, N_UPSTREAM_FIRST)
        home = node_at(pi, n, N_HOME)
        if home >= 0 and node_at(pi, home, N_SUPPLIER) == 0:
            for g in range(n_goods):
                sf[lane, echelon + home * n_goods + g] += sf[lane, echelon + n * n_goods + g]
