"""World: goods are shipped from suppliers to customers, and customers are served."""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_uint64, uniform

from .bids import open_hours, open_volume, share_shipment
from .demand import STREAM_LATE
from .fleets import allocate_hours
from .layout import (
    C_PURCHASE_USD,
    E_BACKLOG_UNITS,
    E_BOUGHT_UNITS,
    E_CARBON_KG,
    E_DEMAND_UNITS,
    E_FEES_USD,
    E_LATE_UNITS,
    E_LOST_UNITS,
    E_MET_UNITS,
    E_RATIONED_UNITS,
    E_SHIPPED_UNITS,
    E_SOLD_UNITS,
    F_BACKLOGGED_SHARE,
    F_EWMA_SHARE,
    F_LOST_USD,
    H_PRICE_USD,
    H_VALUE_USD,
    H_VOLUME,
    I_BIDDING,
    I_FLEET_PLACES,
    I_GOODS,
    I_MODES,
    I_NODES,
    I_ORDER_RING,
    I_OWN_MONEY,
    I_REGIONS,
    I_RING,
    I_ROUTES,
    N_CUSTOMERS,
    N_END_ROUTE,
    N_FIRST_ROUTE,
    N_REGION,
    N_SHIPS,
    N_SUPPLIER,
    O_LATE_PROBABILITY,
    O_MARGIN,
    O_RATIONED,
    OUT_EVENT,
    OUT_TERM,
    Q_CARBON_KG,
    Q_COST_USD,
    Q_HOURS,
    Q_KEEPS,
    R_DESTINATION,
    R_FLEET,
    R_LEAD_DAYS,
    R_MODE,
    R_ORDER_DAYS,
    S_ARRIVING_FEE_USD,
    S_ARRIVING_USD,
    S_BACKLOG,
    S_CARRIED_USD,
    S_CARRIER_USD,
    S_DEMAND,
    S_EPISODE_KEY,
    S_ESCROW_USD,
    S_EWMA,
    S_FILL_RATE,
    S_FLOW,
    S_IN_TRANSIT,
    S_LATE_FEE_USD,
    S_MAIL,
    S_NODE_STEP_USD,
    S_OWED,
    S_PIPELINE,
    S_REGION_FILL,
    S_STEP,
    S_STOCK,
    T_ENERGY,
    T_FREIGHT,
    T_PURCHASE,
    T_REVENUE,
    T_UNMET,
    UNLIMITED,
    V_ENERGY_USD,
    V_THROUGHPUT,
)
from .orders import BY_MODE, ORDERED, WANTED, is_closed
from .ring import days_on
from .tables import (
    cell_value,
    good_value,
    mode_value,
    node_at,
    node_value,
    route_at,
    route_value,
)

FILL_SHARE = 0.05
"""Weight of the last day in the moving averages of fill rates."""


@inlined_function
def ship(
    lane: int, pf: Float, pi: Int, sf: Float, si: Int, clean: Float, scratch: Float,
    fleet_hours: Float, out: Float,
) -> None:  # fmt: skip
    """Every node sends what was ordered, as far as stock, throughput and vehicles reach.

    Nodes send in the order in which goods without a lead time flow; what is short is shared in
    proportion to the orders.
    """
    if pi[I_ORDER_RING] > 0:
        _hand_over_orders(lane, pf, pi, sf, si, scratch)
    today = si[lane, pi[S_STEP]] % pi[I_RING]
    for i in range(pi[I_NODES]):
        n = node_at(pi, i, N_SHIPS)
        if node_at(pi, n, N_END_ROUTE) > node_at(pi, n, N_FIRST_ROUTE):
            _plan_node(lane, n, pf, pi, sf, si, scratch, fleet_hours)
            if pi[I_FLEET_PLACES] > 0:
                allocate_hours(lane, n, pf, pi, sf, clean, scratch, fleet_hours)
            _send_node(lane, n, today, pf, pi, sf, si, scratch, fleet_hours, out)


@inlined_function
def _hand_over_orders(lane: int, pf: Float, pi: Int, sf: Float, si: Int, scratch: Float) -> None:
    """Orders go into the mail; those that arrive today join what is owed and are asked for."""
    n_goods, n_routes, ring = pi[I_GOODS], pi[I_ROUTES], pi[I_ORDER_RING]
    today = si[lane, pi[S_STEP]] % ring
    for r in range(n_routes):
        due = (days_on(today, route_at(pi, r, R_ORDER_DAYS), ring) * n_routes + r) * n_goods
        now = (today * n_routes + r) * n_goods
        for g in range(n_goods):
            sf[lane, pi[S_MAIL] + due + g] += scratch[ORDERED, r, g]
            asked = sf[lane, pi[S_MAIL] + now + g]
            sf[lane, pi[S_MAIL] + now + g] = 0.0
            if route_value(pf, pi, r, Q_KEEPS) == 1.0:
                sf[lane, pi[S_OWED] + r * n_goods + g] += asked
                asked = sf[lane, pi[S_OWED] + r * n_goods + g]
            scratch[ORDERED, r, g] = asked


@inlined_function
def _plan_node(
    lane: int, node: int, pf: Float, pi: Int, sf: Float, si: Int, scratch: Float, fleet_hours: Float
) -> None:
    """Fill ``scratch[WANTED]`` of a node's routes: orders cut to stock and lane capacity."""
    n_goods = pi[I_GOODS]
    first, end = node_at(pi, node, N_FIRST_ROUTE), node_at(pi, node, N_END_ROUTE)
    supplier = node_at(pi, node, N_SUPPLIER) == 1
    for r in range(first, end):
        closed = is_closed(lane, r, pf, pi, si)
        for g in range(n_goods):
            units = scratch[ORDERED, r, g]
            if closed or (supplier and cell_value(pf, pi, C_PURCHASE_USD, node, g) < 0.0):
                units = 0.0
            scratch[WANTED, r, g] = units
    if not supplier:
        for g in range(n_goods):
            asked = 0.0
            for r in range(first, end):
                asked += scratch[WANTED, r, g]
            stock = sf[lane, pi[S_STOCK] + node * n_goods + g]
            if asked > stock:
                left = stock
                for r in range(first, end):
                    units = min(scratch[WANTED, r, g] * (stock / asked), left)
                    scratch[WANTED, r, g] = units
                    left -= units
    for r in range(first, end):
        if route_at(pi, r, R_FLEET) >= 0:
            fleet_hours[route_at(pi, r, R_FLEET)] = 0.0
    for r in range(first, end):
        capacity, fleet = open_volume(lane, r, pf, pi, sf), route_at(pi, r, R_FLEET)
        if capacity >= UNLIMITED and fleet < 0:
            continue
        volume = 0.0
        for g in range(n_goods):
            volume += scratch[WANTED, r, g] * good_value(pf, pi, g, H_VOLUME)
        if volume > capacity:
            for g in range(n_goods):
                scratch[WANTED, r, g] *= capacity / volume
            volume = capacity
        if fleet >= 0:
            hours = volume * route_value(pf, pi, r, Q_HOURS)
            scratch[BY_MODE, r, 0] = hours
            fleet_hours[fleet] += hours


@inlined_function
def _send_node(
    lane: int, node: int, today: int, pf: Float, pi: Int, sf: Float, si: Int, scratch: Float,
    fleet_hours: Float, out: Float,
) -> None:  # fmt: skip
    """Cut to fleets and throughput, then send: goods into pipelines, freight into escrow.

    `today` is the day's place in the ring of the pipelines.
    """
    n_goods = pi[I_GOODS]
    first, end = node_at(pi, node, N_FIRST_ROUTE), node_at(pi, node, N_END_ROUTE)
    supplier = node_at(pi, node, N_SUPPLIER) == 1
    for r in range(first, end):
        fleet = route_at(pi, r, R_FLEET)
        if fleet >= 0 and fleet_hours[fleet] > open_hours(lane, r, pf, pi, sf):
            for g in range(n_goods):
                scratch[WANTED, r, g] *= open_hours(lane, r, pf, pi, sf) / fleet_hours[fleet]
    keep = 1.0
    energy = node_value(pf, pi, node, V_ENERGY_USD)
    limit = node_value(pf, pi, node, V_THROUGHPUT)
    if energy > 0.0 or limit < UNLIMITED:
        volume = 0.0
        for r in range(first, end):
            for g in range(n_goods):
                volume += scratch[WANTED, r, g] * good_value(pf, pi, g, H_VOLUME)
        if volume > limit:
            keep = limit / volume
        out[0, lane, OUT_TERM + T_ENERGY] -= energy * volume * keep
    for r in range(first, end):
        total = 0.0
        for g in range(n_goods):
            total += scratch[WANTED, r, g]
        flow = pi[S_FLOW] + r * n_goods
        if total == 0.0:
            for g in range(n_goods):
                sf[lane, flow + g] = 0.0
            continue
        _send_route(lane, r, node, today, keep, supplier, pf, pi, sf, si, scratch, out)


@inlined_function
def _send_route(
    lane: int, route: int, node: int, today: int, keep: float, supplier: bool, pf: Float, pi: Int,
    sf: Float, si: Int, scratch: Float, out: Float,
) -> None:  # fmt: skip
    n_goods, ring = pi[I_GOODS], pi[I_RING]
    mode = route_at(pi, route, R_MODE)
    lead = route_at(pi, route, R_LEAD_DAYS)
    late = False
    if mode_value(pf, pi, mode, O_LATE_PROBABILITY) > 0.0:
        key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
        chance = uniform(key, STREAM_LATE, si[lane, pi[S_STEP]], route)
        late = chance < mode_value(pf, pi, mode, O_LATE_PROBABILITY)
        if late:
            lead += 1
    destination = route_at(pi, route, R_DESTINATION)
    volume, value, bought, sent = 0.0, 0.0, 0.0, 0.0
    slot = (days_on(today, lead, ring) * pi[I_NODES] + destination) * n_goods
    for g in range(n_goods):
        units = scratch[WANTED, route, g] * keep
        sf[lane, pi[S_FLOW] + route * n_goods + g] = units
        if units == 0.0:
            continue
        sent += units
        volume += units * good_value(pf, pi, g, H_VOLUME)
        value += units * good_value(pf, pi, g, H_VALUE_USD)
        if supplier:
            bought += units * cell_value(pf, pi, C_PURCHASE_USD, node, g)
        else:
            cell = pi[S_STOCK] + node * n_goods + g
            sf[lane, cell] = max(sf[lane, cell] - units, 0.0)
        if route_value(pf, pi, route, Q_KEEPS) == 1.0:
            cell = pi[S_OWED] + route * n_goods + g
            sf[lane, cell] = max(sf[lane, cell] - units, 0.0)
        if lead == 0:
            sf[lane, pi[S_STOCK] + destination * n_goods + g] += units
        else:
            sf[lane, pi[S_PIPELINE] + slot + g] += units
            sf[lane, pi[S_IN_TRANSIT] + destination * n_goods + g] += units
    cost = volume * route_value(pf, pi, route, Q_COST_USD)
    fee = cost * (1.0 + mode_value(pf, pi, mode, O_MARGIN))
    if pi[I_BIDDING] == 1:
        share, cost, fee, spot = share_shipment(lane, mode, volume, late, cost, fee, pi, sf)
        value *= share
        out[0, lane, OUT_TERM + T_FREIGHT] -= spot
    # What is there at once is proven overnight, like tomorrow's arrivals.
    proof = days_on(today, max(lead, 1), ring) * pi[I_MODES] + mode
    sf[lane, pi[S_CARRIED_USD] + mode] += value
    sf[lane, pi[S_ARRIVING_USD] + proof] += value
    sf[lane, pi[S_CARRIER_USD] + mode] -= cost
    sf[lane, pi[S_ESCROW_USD] + mode] += fee
    sf[lane, pi[S_ARRIVING_FEE_USD] + proof] += fee
    if late:
        sf[lane, pi[S_LATE_FEE_USD] + proof] += fee
        out[0, lane, OUT_EVENT + E_LATE_UNITS] += sent
    out[0, lane, OUT_TERM + T_FREIGHT] -= cost
    out[0, lane, OUT_TERM + T_PURCHASE] -= bought
    out[0, lane, OUT_EVENT + E_FEES_USD] += fee
    out[0, lane, OUT_EVENT + E_CARBON_KG] += volume * route_value(pf, pi, route, Q_CARBON_KG)
    out[0, lane, OUT_EVENT + E_SHIPPED_UNITS] += sent
    if supplier:
        out[0, lane, OUT_EVENT + E_BOUGHT_UNITS] += sent
    if mode_value(pf, pi, mode, O_RATIONED) == 1.0:
        out[0, lane, OUT_EVENT + E_RATIONED_UNITS] += sent


@inlined_function
def serve(lane: int, pf: Float, pi: Int, sf: Float, region_sums: Float, out: Float) -> None:
    """Customers take what waits first, then today's demand; the rest waits or is lost."""
    n_goods = pi[I_GOODS]
    waits, weight = pf[F_BACKLOGGED_SHARE], pf[F_EWMA_SHARE]
    revenue, demand_units, met_units, sold_units, lost_units, backlog = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for q in range(pi[I_REGIONS]):
        region_sums[0, q] = 0.0
        region_sums[1, q] = 0.0
    for n in range(pi[I_NODES]):
        place = node_at(pi, n, N_CUSTOMERS)
        if place < 0:
            continue
        region = node_at(pi, n, N_REGION)
        takings = 0.0
        for g in range(n_goods):
            cell = n * n_goods + g
            seen = place * n_goods + g
            demand = sf[lane, pi[S_DEMAND] + seen]
            stock = sf[lane, pi[S_STOCK] + cell]
            owed = sf[lane, pi[S_BACKLOG] + cell]
            sold = min(stock, demand + owed)
            met = max(sold - owed, 0.0)
            lost = (1.0 - waits) * (demand - met)
            owed = max(owed + demand - sold - lost, 0.0)
            sf[lane, pi[S_STOCK] + cell] = stock - sold
            sf[lane, pi[S_BACKLOG] + cell] = owed
            sf[lane, pi[S_EWMA] + seen] += weight * (demand - sf[lane, pi[S_EWMA] + seen])
            revenue += sold * good_value(pf, pi, g, H_PRICE_USD)
            takings += sold * good_value(pf, pi, g, H_PRICE_USD) - pf[F_LOST_USD] * lost
            demand_units += demand
            met_units += met
            sold_units += sold
            lost_units += lost
            backlog += owed
            region_sums[0, region] += demand
            region_sums[1, region] += met
        if pi[I_OWN_MONEY] == 1:
            sf[lane, pi[S_NODE_STEP_USD] + n] = takings
    for q in range(pi[I_REGIONS]):
        if region_sums[0, q] > 0.0:
            share = region_sums[1, q] / region_sums[0, q]
            sf[lane, pi[S_REGION_FILL] + q] += FILL_SHARE * (
                share - sf[lane, pi[S_REGION_FILL] + q]
            )
    if demand_units > 0.0:
        sf[lane, pi[S_FILL_RATE]] += FILL_SHARE * (
            met_units / demand_units - sf[lane, pi[S_FILL_RATE]]
        )
    out[0, lane, OUT_TERM + T_REVENUE] = revenue
    out[0, lane, OUT_TERM + T_UNMET] = -pf[F_LOST_USD] * lost_units
    out[0, lane, OUT_EVENT + E_DEMAND_UNITS] = demand_units
    out[0, lane, OUT_EVENT + E_MET_UNITS] = met_units
    out[0, lane, OUT_EVENT + E_SOLD_UNITS] = sold_units
    out[0, lane, OUT_EVENT + E_LOST_UNITS] = lost_units
    out[0, lane, OUT_EVENT + E_BACKLOG_UNITS] = backlog
