"""Settle and govern: holding costs, escrow and stakes, treasury, and the costs beside the reward.

Every payment goes from one purse to another or crosses the boundary of the network: what the
treasury, the escrow, the carriers' purses and their stakes hold together changes by the reward
without its stock term, and by nothing else.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.rules import excess, shortfall

from .bids import posted
from .governed import (
    G_CARBON_CAP_KG_PER_DAY,
    G_FREIGHT_TARIFF_SHARE,
    G_LATE_SLASH_SHARE,
    G_SERVICE_GAP_SHARE,
    G_STAKE_COVER_SHARE,
)
from .layout import (
    B_STAKE,
    C_CLEARING_USD,
    C_HOLDING_USD,
    C_TRANSIT_USD,
    E_BACKLOG_UNITS,
    E_CARBON_KG,
    E_CLOSED_LANES,
    E_CLOSED_NODES,
    E_DEMAND_UNITS,
    E_FEES_USD,
    E_MET_UNITS,
    E_SLASHED_USD,
    E_TARIFF_USD,
    F_BACKLOG_USD,
    F_FILL_RATE_FLOOR,
    H_PRICE_USD,
    H_VALUE_USD,
    H_VOLUME,
    I_BIDDING,
    I_GOODS,
    I_LANES,
    I_MODES,
    I_NODES,
    I_ORDER_RING,
    I_REGIONS,
    I_RING,
    I_ROUTES,
    I_SEEN_PROCESSES,
    K_CARBON,
    K_FAIRNESS,
    K_FILL_RATE,
    K_STAKE,
    K_TREASURY,
    K_WAREHOUSE,
    N_CUSTOMERS,
    N_SUPPLIER,
    N_TERM,
    O_STAKE_USD,
    OUT_BASELINE,
    OUT_COST,
    OUT_EVENT,
    OUT_REWARD,
    OUT_STEPS,
    OUT_TERM,
    Q_OWED_USD,
    S_ALLOWANCE_USD,
    S_ARRIVING_FEE_USD,
    S_ARRIVING_USD,
    S_BACKLOG,
    S_CARRIED_USD,
    S_CARRIER_USD,
    S_CLOSED,
    S_CLOSING_USD,
    S_DEMAND,
    S_ESCROW_USD,
    S_GOVERNED,
    S_IN_TRANSIT,
    S_INITIAL,
    S_LATE_FEE_USD,
    S_OWED,
    S_REGION_FILL,
    S_STAKE_USD,
    S_STEP,
    S_STOCK,
    S_TREASURY_USD,
    S_WORK,
    T_BOND,
    T_FREIGHT,
    T_HOLDING,
    T_PURCHASE,
    T_STOCK,
    T_UNMET,
    UNLIMITED,
    V_CAPACITY,
    W_SPOT_USD,
)
from .tables import cell_value, good_value, mode_value, node_at, node_value, route_value


@inlined_function
def settle(lane: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """Terms, reward and costs of a day whose goods have moved; `step` is still this day's."""
    _hold(lane, pf, pi, sf, out)
    spent = out[0, lane, OUT_TERM + T_PURCHASE]
    sf[lane, pi[S_ALLOWANCE_USD]] = max(sf[lane, pi[S_ALLOWANCE_USD]] + spent, 0.0)
    cash = 0.0
    for t in range(N_TERM):
        if t != T_STOCK and t != T_BOND:
            cash += out[0, lane, OUT_TERM + t]
    freight = out[0, lane, OUT_TERM + T_FREIGHT]
    sf[lane, pi[S_TREASURY_USD]] += cash - freight - out[0, lane, OUT_EVENT + E_FEES_USD]
    if pi[I_BIDDING] == 1:
        for m in range(pi[I_MODES]):
            sf[lane, pi[S_TREASURY_USD]] -= sf[lane, pi[S_WORK] + W_SPOT_USD * pi[I_MODES] + m]
    _pay_carriers(lane, pf, pi, sf, si, out)
    closing = _closing_usd(lane, pf, pi, sf)
    out[0, lane, OUT_TERM + T_STOCK] = closing - sf[lane, pi[S_CLOSING_USD]]
    sf[lane, pi[S_CLOSING_USD]] = closing
    out[0, lane, OUT_REWARD] = cash + out[0, lane, OUT_TERM + T_STOCK]
    out[0, lane, OUT_STEPS] = 1.0
    margin = 0.0
    for n in range(pi[I_NODES]):
        place = node_at(pi, n, N_CUSTOMERS)
        if place >= 0:
            for g in range(pi[I_GOODS]):
                margin += (
                    good_value(pf, pi, g, H_PRICE_USD) - good_value(pf, pi, g, H_VALUE_USD)
                ) * sf[lane, pi[S_DEMAND] + place * pi[I_GOODS] + g]
    out[0, lane, OUT_BASELINE] = margin
    _report_costs(lane, pf, pi, sf, si, out)


@inlined_function
def add_holding(
    total: float, lane: int, node: int, good: int, pf: Float, pi: Int, sf: Float
) -> float:
    """`total` and a day's costs of holding a good at a node and on the way to it."""
    cell = node * pi[I_GOODS] + good
    total += sf[lane, pi[S_STOCK] + cell] * cell_value(pf, pi, C_HOLDING_USD, node, good)
    total += sf[lane, pi[S_IN_TRANSIT] + cell] * cell_value(pf, pi, C_TRANSIT_USD, node, good)
    return total


@inlined_function
def _hold(lane: int, pf: Float, pi: Int, sf: Float, out: Float) -> None:
    n_goods = pi[I_GOODS]
    held, over = 0.0, 0.0
    for n in range(pi[I_NODES]):
        if node_at(pi, n, N_SUPPLIER) == 1:
            continue
        capacity = node_value(pf, pi, n, V_CAPACITY)
        volume = 0.0
        for g in range(n_goods):
            held = add_holding(held, lane, n, g, pf, pi, sf)
            volume += sf[lane, pi[S_STOCK] + n * n_goods + g] * good_value(pf, pi, g, H_VOLUME)
        if capacity < UNLIMITED:
            over += excess(volume, capacity) / capacity
    out[0, lane, OUT_TERM + T_HOLDING] = -held
    out[0, lane, OUT_COST + K_WAREHOUSE] = over
    unmet = pf[F_BACKLOG_USD] * out[0, lane, OUT_EVENT + E_BACKLOG_UNITS]
    if pi[I_ORDER_RING] > 0:
        for r in range(pi[I_ROUTES]):
            for g in range(n_goods):
                unmet += route_value(pf, pi, r, Q_OWED_USD) * sf[lane, pi[S_OWED] + r * n_goods + g]
    out[0, lane, OUT_TERM + T_UNMET] -= unmet


@inlined_function
def _pay_carriers(lane: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """Deliveries proven overnight: escrow is released, tariff taken, late ones slashed.

    A slash is at most the freight of the late deliveries, and at most the stake. A carrier fills
    its stake up from what it has earned; where it aims at less than it has (bids.py), it takes back
    what is not needed to cover what it carries.
    """
    slot = (si[lane, pi[S_STEP]] + 1) % pi[I_RING] * pi[I_MODES]
    tariff_share = sf[lane, pi[S_GOVERNED] + G_FREIGHT_TARIFF_SHARE]
    slash_share = sf[lane, pi[S_GOVERNED] + G_LATE_SLASH_SHARE]
    out_tariff, out_slashed = 0.0, 0.0
    for m in range(pi[I_MODES]):
        fee = sf[lane, pi[S_ARRIVING_FEE_USD] + slot + m]
        late = sf[lane, pi[S_LATE_FEE_USD] + slot + m]
        sf[lane, pi[S_CARRIED_USD] + m] = max(
            sf[lane, pi[S_CARRIED_USD] + m] - sf[lane, pi[S_ARRIVING_USD] + slot + m], 0.0
        )
        sf[lane, pi[S_ESCROW_USD] + m] -= fee
        sf[lane, pi[S_ARRIVING_USD] + slot + m] = 0.0
        sf[lane, pi[S_ARRIVING_FEE_USD] + slot + m] = 0.0
        sf[lane, pi[S_LATE_FEE_USD] + slot + m] = 0.0
        tariff = tariff_share * fee
        slashed = min(slash_share * late, sf[lane, pi[S_STAKE_USD] + m])
        sf[lane, pi[S_CARRIER_USD] + m] += fee - tariff
        sf[lane, pi[S_STAKE_USD] + m] -= slashed
        sf[lane, pi[S_TREASURY_USD]] += tariff + slashed
        wanted = mode_value(pf, pi, m, O_STAKE_USD)
        if pi[I_BIDDING] == 1:
            wanted *= posted(lane, B_STAKE, m, pi, sf)
            _take_back(lane, m, wanted, pi, sf)
        missing = wanted - sf[lane, pi[S_STAKE_USD] + m]
        added = min(max(missing, 0.0), max(sf[lane, pi[S_CARRIER_USD] + m], 0.0))
        sf[lane, pi[S_CARRIER_USD] + m] -= added
        sf[lane, pi[S_STAKE_USD] + m] += added
        out_tariff += tariff
        out_slashed += slashed
    out[0, lane, OUT_EVENT + E_TARIFF_USD] = out_tariff
    out[0, lane, OUT_EVENT + E_SLASHED_USD] = out_slashed


@kernel_function
def _take_back(lane: int, mode: int, wanted: float, pi: Int, sf: Float) -> None:
    needed = sf[lane, pi[S_GOVERNED] + G_STAKE_COVER_SHARE] * sf[lane, pi[S_CARRIED_USD] + mode]
    spare = sf[lane, pi[S_STAKE_USD] + mode] - max(wanted, needed)
    # A stake that was filled up may exceed its aim by a rounding error.
    if spare > 1e-9 * wanted:
        sf[lane, pi[S_STAKE_USD] + mode] -= spare
        sf[lane, pi[S_CARRIER_USD] + mode] += spare


@inlined_function
def _closing_usd(lane: int, pf: Float, pi: Int, sf: Float) -> float:
    """What the books would say if they were closed tonight.

    Stock and transit at purchase value, less those of the start; a unit of backlog still brings its
    price, and costs its purchase and the dearest freight. The stock term is its change from day to
    day, so that what is bought today and sold in a fortnight costs nothing in between; over an
    episode the changes add up to its value at the end.
    """
    total = 0.0
    for n in range(pi[I_NODES]):
        if node_at(pi, n, N_SUPPLIER) == 1:
            continue
        for g in range(pi[I_GOODS]):
            total = add_closing(total, lane, n, g, pf, pi, sf)
    return total


@inlined_function
def add_closing(
    total: float, lane: int, node: int, good: int, pf: Float, pi: Int, sf: Float
) -> float:
    """`total` and what the books say of a good at a node."""
    cell = node * pi[I_GOODS] + good
    units = sf[lane, pi[S_STOCK] + cell] + sf[lane, pi[S_IN_TRANSIT] + cell]
    units -= sf[lane, pi[S_INITIAL] + cell]
    total += units * good_value(pf, pi, good, H_VALUE_USD)
    owed = sf[lane, pi[S_BACKLOG] + cell]
    total += owed * (
        good_value(pf, pi, good, H_PRICE_USD) - cell_value(pf, pi, C_CLEARING_USD, node, good)
    )
    return total


@inlined_function
def _report_costs(lane: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    demand = out[0, lane, OUT_EVENT + E_DEMAND_UNITS]
    if demand > 0.0:
        rate = out[0, lane, OUT_EVENT + E_MET_UNITS] / demand
        out[0, lane, OUT_COST + K_FILL_RATE] = shortfall(rate, pf[F_FILL_RATE_FLOOR])
    out[0, lane, OUT_COST + K_TREASURY] = 1.0 if sf[lane, pi[S_TREASURY_USD]] < 0.0 else 0.0
    cap = sf[lane, pi[S_GOVERNED] + G_CARBON_CAP_KG_PER_DAY]
    over = excess(out[0, lane, OUT_EVENT + E_CARBON_KG], cap)
    out[0, lane, OUT_COST + K_CARBON] = over / max(cap, 1.0)
    cover = sf[lane, pi[S_GOVERNED] + G_STAKE_COVER_SHARE]
    for m in range(pi[I_MODES]):
        stake = mode_value(pf, pi, m, O_STAKE_USD)
        if stake > 0.0:
            exposed = cover * sf[lane, pi[S_CARRIED_USD] + m] - sf[lane, pi[S_STAKE_USD] + m]
            out[0, lane, OUT_COST + K_STAKE] += max(exposed, 0.0) / stake
    best, worst = 0.0, 1.0
    for q in range(pi[I_REGIONS]):
        best = max(best, sf[lane, pi[S_REGION_FILL] + q])
        worst = min(worst, sf[lane, pi[S_REGION_FILL] + q])
    gap = sf[lane, pi[S_GOVERNED] + G_SERVICE_GAP_SHARE]
    out[0, lane, OUT_COST + K_FAIRNESS] = excess(best - worst, gap)
    if pi[I_SEEN_PROCESSES] == 0:
        return
    for p in range(pi[I_LANES]):
        out[0, lane, OUT_EVENT + E_CLOSED_LANES] += si[lane, pi[S_CLOSED] + p]
    for n in range(pi[I_NODES]):
        out[0, lane, OUT_EVENT + E_CLOSED_NODES] += si[lane, pi[S_CLOSED] + pi[I_LANES] + n]
