"""Request and gate: an action becomes orders, and the charter's rules cut them."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.lane import asked_columns, read_request
from daogym.envs.dao.rules import shortfall

from .bids import carried_share
from .governed import (
    G_DRONE_QUOTA_SHARE,
    G_SAFETY_STOCK_DAYS,
    G_STAKE_COVER_SHARE,
)
from .layout import (
    C_BASE_STOCK,
    C_COVENANT_UNITS,
    C_MEAN,
    C_PURCHASE_USD,
    E_INTERVENTIONS,
    E_INVALID_ACTIONS,
    E_SHIELD_DELTA_UNITS,
    F_DEMAND_VOLUME,
    F_MULTIPLIER_SPAN,
    H_VALUE_USD,
    H_VOLUME,
    I_ACTION_ORDERS,
    I_ANTICIPATING,
    I_GOODS,
    I_HAS_ALLOWANCE,
    I_HAS_RATION,
    I_HAS_STAKES,
    I_LANES,
    I_LEVEL_ROWS,
    I_MODES,
    I_NODES,
    I_ORDER_RING,
    I_ROUTES,
    I_SEEN_PROCESSES,
    I_WHOLE_ORDERS,
    L_END_ROUTE,
    L_FIRST_ROUTE,
    L_ORIGIN,
    L_PROCESS,
    N_CUSTOMERS,
    N_END_LANE,
    N_FIRST_LANE,
    N_LEVELS,
    N_PROCESS,
    N_SUPPLIER,
    O_RATIONED,
    O_STAKE_USD,
    OUT_EVENT,
    Q_LARGEST_ORDER,
    Q_LARGEST_SHARE,
    Q_SHARE_AT_ZERO,
    R_FLEET,
    R_KNOB,
    R_LANE,
    R_MODE,
    R_ORIGIN,
    S_ALLOWANCE_USD,
    S_CARRIED_USD,
    S_CLOSED,
    S_ECHELON,
    S_GOVERNED,
    S_MAIL,
    S_OWED,
    S_STAKE_USD,
)
from .lookahead import follow_demand
from .tables import cell_value, good_value, link_at, mode_value, node_at, route_at, route_value

# Rows of a step's scratch, (3, at least routes, goods): orders, what is to be shipped, sums.
ORDERED, WANTED, BY_MODE, SCRATCH_ROWS = 0, 1, 2, 3


@inlined_function
def is_closed(lane: int, route: int, pf: Float, pi: Int, si: Int) -> bool:
    """Whether nothing can be sent by a route today: its lane, origin or fleet is closed."""
    if pi[I_SEEN_PROCESSES] == 0:
        return False
    closed = pi[S_CLOSED]
    origin = route_at(pi, route, R_ORIGIN)
    if si[lane, closed + route_at(pi, route, R_LANE)] == 1:
        return True
    if si[lane, closed + node_at(pi, origin, N_PROCESS)] == 1:
        return True
    fleet = route_at(pi, route, R_FLEET)
    return fleet >= 0 and si[lane, closed + pi[I_LANES] + pi[I_NODES] + fleet] == 1


@inlined_function
def choose_lane(lane: int, node: int, good: int, pf: Float, pi: Int, si: Int) -> int:
    """The first open lane to a node whose origin has the good; if all are closed, the first."""
    first = -1
    for a in range(node_at(pi, node, N_FIRST_LANE), node_at(pi, node, N_END_LANE)):
        origin = link_at(pi, a, L_ORIGIN)
        if (
            node_at(pi, origin, N_SUPPLIER) == 1
            and cell_value(pf, pi, C_PURCHASE_USD, origin, good) < 0.0
        ):
            continue
        if first < 0:
            first = a
        closed = si[lane, pi[S_CLOSED] + link_at(pi, a, L_PROCESS)]
        if closed + si[lane, pi[S_CLOSED] + node_at(pi, origin, N_PROCESS)] == 0:
            return a
    return first


@inlined_function
def position_units(lane: int, node: int, good: int, pf: Float, pi: Int, sf: Float) -> float:
    """Echelon inventory position: stock, transit and backlog of the echelon, and own orders."""
    n_goods = pi[I_GOODS]
    units = sf[lane, pi[S_ECHELON] + node * n_goods + good]
    if pi[I_ORDER_RING] > 0:
        for a in range(node_at(pi, node, N_FIRST_LANE), node_at(pi, node, N_END_LANE)):
            for r in range(link_at(pi, a, L_FIRST_ROUTE), link_at(pi, a, L_END_ROUTE)):
                units += sf[lane, pi[S_OWED] + r * n_goods + good]
                for d in range(pi[I_ORDER_RING]):
                    units += sf[lane, pi[S_MAIL] + (d * pi[I_ROUTES] + r) * n_goods + good]
    return units


@inlined_function
def held(action: float, lane: int, out: Float) -> float:
    """An action inside [-1, 1]; what is not, or not a number, is counted."""
    if not (action >= -1.0 and action <= 1.0):
        out[0, lane, OUT_EVENT + E_INVALID_ACTIONS] += 1.0
        if action != action:
            return 0.0
        return -1.0 if action < 0.0 else 1.0
    return action


@inlined_function
def make_orders(
    lane: int, facts: Any, pf: Float, pi: Int, sf: Float, si: Int, actions: Any, clean: Float,
    scratch: Float, out: Float,
) -> None:  # fmt: skip
    """Fill ``scratch[ORDERED]`` (routes, goods), units; take what is asked of the rules."""
    for i in range(len(clean)):
        clean[i] = held(float(actions[lane, i]), lane, out)
    if len(facts) > 0:
        asked = asked_columns(facts)
        if asked > 0:
            read_request(lane, facts, S_GOVERNED, pi, sf, clean[len(clean) - asked :])
    n_goods = pi[I_GOODS]
    for r in range(pi[I_ROUTES]):
        for g in range(n_goods):
            scratch[ORDERED, r, g] = 0.0
    if pi[I_ACTION_ORDERS] == 1:
        for r in range(pi[I_ROUTES]):
            largest = route_value(pf, pi, r, Q_LARGEST_ORDER)
            for g in range(n_goods):
                units = 0.5 * (clean[r * n_goods + g] + 1.0) * largest
                if pi[I_WHOLE_ORDERS] == 1:
                    units = float(int(units + 0.5))
                scratch[ORDERED, r, g] = units
    else:
        if pi[I_ANTICIPATING] == 1:
            follow_demand(lane, pf, pi, sf, si, clean)
        _order_up_to(lane, pf, pi, sf, si, clean, scratch)


@inlined_function
def _order_up_to(
    lane: int, pf: Float, pi: Int, sf: Float, si: Int, clean: Float, scratch: Float
) -> None:
    n_goods = pi[I_GOODS]
    span = pf[F_MULTIPLIER_SPAN]
    for n in range(pi[I_NODES]):
        if node_at(pi, n, N_SUPPLIER) == 1:
            continue
        for g in range(n_goods):
            level = cell_value(pf, pi, C_BASE_STOCK, n, g)
            level *= 1.0 + span * clean[node_at(pi, n, N_LEVELS) * n_goods + g]
            units = level - position_units(lane, n, g, pf, pi, sf)
            if units > 0.0:
                _split(lane, n, g, units, pf, pi, si, clean, scratch)


@inlined_function
def _split(
    lane: int, node: int, good: int, units: float, pf: Float, pi: Int, si: Int, clean: Float,
    scratch: Float,
) -> None:  # fmt: skip
    """Order at the first open lane; each mode but the default one takes its share."""
    a = choose_lane(lane, node, good, pf, pi, si)
    if a < 0:
        return
    first, end = link_at(pi, a, L_FIRST_ROUTE), link_at(pi, a, L_END_ROUTE)
    knobs = pi[I_LEVEL_ROWS] * pi[I_GOODS]
    left = units
    for r in range(first + 1, end):
        share = route_value(pf, pi, r, Q_SHARE_AT_ZERO)
        knob = route_at(pi, r, R_KNOB)
        if knob >= 0:
            turn = clean[knobs + knob]
            if turn < 0.0:
                share *= 1.0 + turn
            else:
                share += turn * (route_value(pf, pi, r, Q_LARGEST_SHARE) - share)
        if share > 0.0 and not is_closed(lane, r, pf, pi, si):
            part = min(share * units, left)
            scratch[ORDERED, r, good] = part
            left -= part
    scratch[ORDERED, first, good] = left


@inlined_function
def gate_orders(
    lane: int, pf: Float, pi: Int, sf: Float, si: Int, scratch: Float, out: Float
) -> None:
    """The charter: covenant, drone quota, carriers' stakes, purchase allowance, in this order."""
    moved = _covenant(lane, pf, pi, sf, si, scratch)
    if pi[I_HAS_RATION] == 1:
        moved += _quota(lane, pf, pi, sf, scratch)
    if pi[I_HAS_STAKES] == 1:
        moved += _stakes(lane, pf, pi, sf, scratch)
    if pi[I_HAS_ALLOWANCE] == 1:
        moved += _allowance(lane, pf, pi, sf, scratch)
    if moved > 1e-9:
        out[0, lane, OUT_EVENT + E_INTERVENTIONS] = 1.0
        out[0, lane, OUT_EVENT + E_SHIELD_DELTA_UNITS] = moved


@inlined_function
def _covenant(lane: int, pf: Float, pi: Int, sf: Float, si: Int, scratch: Float) -> float:
    """Raise orders of places with customers to the covenant's level; units added."""
    days = sf[lane, pi[S_GOVERNED] + G_SAFETY_STOCK_DAYS]
    if not days > 0.0:
        return 0.0
    added = 0.0
    for n in range(pi[I_NODES]):
        if node_at(pi, n, N_CUSTOMERS) < 0:
            continue
        for g in range(pi[I_GOODS]):
            floor = cell_value(pf, pi, C_COVENANT_UNITS, n, g) + days * cell_value(
                pf, pi, C_MEAN, n, g
            )
            have = position_units(lane, n, g, pf, pi, sf)
            for a in range(node_at(pi, n, N_FIRST_LANE), node_at(pi, n, N_END_LANE)):
                for r in range(link_at(pi, a, L_FIRST_ROUTE), link_at(pi, a, L_END_ROUTE)):
                    have += scratch[ORDERED, r, g]
            lack = shortfall(have, floor)
            a = choose_lane(lane, n, g, pf, pi, si)
            if lack > 0.0 and a >= 0:
                scratch[ORDERED, link_at(pi, a, L_FIRST_ROUTE), g] += lack
                added += lack
    return added


@inlined_function
def _quota(lane: int, pf: Float, pi: Int, sf: Float, scratch: Float) -> float:
    """Cut rationed modes to their share of the mean volume of demand; units cut.

    What is cut goes to the lane's default mode where shares were asked for.
    """
    volume = 0.0
    for r in range(pi[I_ROUTES]):
        if mode_value(pf, pi, route_at(pi, r, R_MODE), O_RATIONED) == 1.0:
            for g in range(pi[I_GOODS]):
                volume += scratch[ORDERED, r, g] * good_value(pf, pi, g, H_VOLUME)
    cap = sf[lane, pi[S_GOVERNED] + G_DRONE_QUOTA_SHARE] * pf[F_DEMAND_VOLUME]
    if volume <= cap:
        return 0.0
    keep = cap / volume
    cut = 0.0
    for r in range(pi[I_ROUTES]):
        if mode_value(pf, pi, route_at(pi, r, R_MODE), O_RATIONED) == 1.0:
            default = link_at(pi, route_at(pi, r, R_LANE), L_FIRST_ROUTE)
            for g in range(pi[I_GOODS]):
                units = scratch[ORDERED, r, g]
                scratch[ORDERED, r, g] = units * keep
                cut += units * (1.0 - keep)
                if pi[I_ACTION_ORDERS] == 0 and default != r:
                    scratch[ORDERED, default, g] += units * (1.0 - keep)
    return cut


@inlined_function
def _stakes(lane: int, pf: Float, pi: Int, sf: Float, scratch: Float) -> float:
    """Cut each carrier's shipments to what its stake covers beside what it carries; units cut."""
    cover = sf[lane, pi[S_GOVERNED] + G_STAKE_COVER_SHARE]
    if not cover > 0.0:
        return 0.0
    n_goods = pi[I_GOODS]
    # What each carrier was asked to carry stands in the scratch's last row meanwhile.
    for m in range(pi[I_MODES]):
        scratch[BY_MODE, m, 0] = 0.0
    for r in range(pi[I_ROUTES]):
        value = 0.0
        for g in range(n_goods):
            value += scratch[ORDERED, r, g] * good_value(pf, pi, g, H_VALUE_USD)
        mode = route_at(pi, r, R_MODE)
        scratch[BY_MODE, mode, 0] += value * carried_share(lane, mode, pi, sf)
    cut = 0.0
    for m in range(pi[I_MODES]):
        if not mode_value(pf, pi, m, O_STAKE_USD) > 0.0:
            continue
        value = scratch[BY_MODE, m, 0]
        room = max(sf[lane, pi[S_STAKE_USD] + m] / cover - sf[lane, pi[S_CARRIED_USD] + m], 0.0)
        if value > room:
            keep = room / value
            for r in range(pi[I_ROUTES]):
                if route_at(pi, r, R_MODE) == m:
                    for g in range(pi[I_GOODS]):
                        cut += scratch[ORDERED, r, g] * (1.0 - keep)
                        scratch[ORDERED, r, g] *= keep
    return cut


@inlined_function
def _allowance(lane: int, pf: Float, pi: Int, sf: Float, scratch: Float) -> float:
    """Cut purchases to what is left of the week's allowance; units cut."""
    asked = 0.0
    for r in range(pi[I_ROUTES]):
        origin = route_at(pi, r, R_ORIGIN)
        if node_at(pi, origin, N_SUPPLIER) == 1:
            for g in range(pi[I_GOODS]):
                asked += scratch[ORDERED, r, g] * max(
                    cell_value(pf, pi, C_PURCHASE_USD, origin, g), 0.0
                )
    left = sf[lane, pi[S_ALLOWANCE_USD]]
    if asked <= left:
        return 0.0
    keep = left / asked
    cut = 0.0
    for r in range(pi[I_ROUTES]):
        if node_at(pi, route_at(pi, r, R_ORIGIN), N_SUPPLIER) == 1:
            for g in range(pi[I_GOODS]):
                cut += scratch[ORDERED, r, g] * (1.0 - keep)
                scratch[ORDERED, r, g] *= keep
    return cut
