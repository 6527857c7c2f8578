"""Money between the members of a community: it moves shares, never the welfare of all.

Members are the feeder's buses. What they consume and what they feed in within a step is traded
among them first, in equal shares of each one's amount, at a local price between what exports earn
and what imports cost (as in the Brooklyn Microgrid and at Powerledger); only the rest meets the
grid's prices. Buyers pay a fee on local energy to the community, which pays for the losses of the
feeder. Owners of PV share a part of what curtailment cost some of them. When an episode ends, what
the community earned goes to those who sold to others, in proportion and in whole cents.

All of this is settled within what the transformer's meter says: the members' money and the
community's add up to the money of imports and exports.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.lanes import fill, largest, load, store
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.rewards import gini, split_rewards

from .layout import (
    C_HORIZON,
    D_PV_DAY,
    E_COMMUNITY_EUR,
    E_CURTAILED_KWH,
    E_EXPORT_KWH,
    E_IMPORT_KWH,
    E_LOCAL_KWH,
    E_MEMBERS_GINI,
    E_MEMBERS_LOSING_SHARE,
    G_COMMUNITY_FEE_EUR_PER_KWH,
    G_CURTAILMENT_KEY_SHARE,
    G_LOCAL_PRICE_SHARE,
    L_DAY,
    L_FEE_CHANGE_EUR_PER_KWH,
    L_QUARTER,
    OUT_EVENT,
    OUT_TERM,
    P_CALENDAR,
    P_PV_BUS,
    P_PV_KW,
    P_SCALARS,
    P_SIZES,
    PAST_QUARTERS,
    PLAN_SCALARS,
    QUARTERS_PER_DAY,
    S_COMMUNITY_EUR,
    S_GOVERNED,
    S_MEMBER_ALONE_EUR,
    S_MEMBER_EPISODE_EUR,
    S_MEMBER_EUR,
    S_MEMBER_LOCAL_KWH,
    S_MEMBER_STEP_EUR,
    S_STEP,
    T_EXPORT,
    T_IMPORT,
    W_EXPORT_PRICE,
    W_IMPORT_PRICE,
    X_DT_H,
    X_PV_KW_TOTAL,
    X_S_BASE_KVA,
    Z_BATTERY,
    Z_BUS,
    Z_PV,
)

_WH_PER_KWH = 1000.0
_CENTS_PER_EUR = 100.0
_NOTICED_EUR = 0.005


@kernel_function
def begin_members(lane: int, pi: Int, sf: Float) -> None:
    """Empty accounts."""
    for k in range(pi[pi[P_SIZES] + Z_BUS]):
        sf[lane, pi[S_MEMBER_EUR] + k] = 0.0
        sf[lane, pi[S_MEMBER_ALONE_EUR] + k] = 0.0
        sf[lane, pi[S_MEMBER_LOCAL_KWH] + k] = 0.0
    sf[lane, pi[S_COMMUNITY_EUR]] = 0.0


@kernel_function
def settle_members(
    lane: int, e: int, pf: Float, pi: Int, rows: Any, world: Float, days: Float, sf: Float,
    si: Int, p_pu: Float, trade: Float, out: Float, plan: Float,
) -> None:  # fmt: skip
    """Accounts of one step; ``p_pu`` (buses, tile) is what each bus consumed, ``trade`` its sums.

    Call it after the money of the step is settled. In an outage nobody trades.
    """
    n_bus = pi[pi[P_SIZES] + Z_BUS]
    money, of_step = pi[S_MEMBER_EUR], pi[S_MEMBER_STEP_EUR]
    for k in range(n_bus):
        sf[lane, of_step + k] = -sf[lane, money + k]
    exchanged = out[0, lane, OUT_EVENT + E_IMPORT_KWH] + out[0, lane, OUT_EVENT + E_EXPORT_KWH]
    if exchanged > 0.0:
        quarter = int(plan[e, L_QUARTER])
        buy = world[W_IMPORT_PRICE, quarter] + plan[e, L_FEE_CHANGE_EUR_PER_KWH]
        sell = world[W_EXPORT_PRICE, quarter]
        metered = out[0, lane, OUT_TERM + T_IMPORT] + out[0, lane, OUT_TERM + T_EXPORT]
        _trade(lane, e, buy, sell, metered, pf, pi, sf, p_pu, trade, out)
        if out[0, lane, OUT_EVENT + E_CURTAILED_KWH] > 0.0:
            _share_curtailment(lane, e, sell, pf, pi, rows, days, sf, plan)
    if si[lane, pi[S_STEP]] >= pi[pi[P_CALENDAR] + C_HORIZON]:
        _reward_sellers(lane, pi, sf)
        _compare_members(lane, pi, sf, out)
        for k in range(n_bus):
            sf[lane, pi[S_MEMBER_EPISODE_EUR] + k] = sf[lane, money + k]
    for k in range(n_bus):
        sf[lane, of_step + k] += sf[lane, money + k]


@kernel_function
def measure_trade(pi: Int, p_pu: Float, trade: Float) -> None:
    """What members consume and feed in, for a whole tile: rows of ``trade`` (2, TILE), per unit."""
    zero = fill(0.0)
    demand = zero
    supply = zero
    for k in range(pi[pi[P_SIZES] + Z_BUS]):
        net = load(p_pu, k)
        demand = demand + largest(net, zero)
        supply = supply + largest(zero - net, zero)
    store(trade, 0, demand)
    store(trade, 1, supply)


@kernel_function
def _trade(
    lane: int, e: int, buy: float, sell: float, metered: float, pf: Float, pi: Int, sf: Float,
    p_pu: Float, trade: Float, out: Float,
) -> None:  # fmt: skip
    n_bus = pi[pi[P_SIZES] + Z_BUS]
    kwh = pf[pi[P_SCALARS] + X_S_BASE_KVA] * pf[pi[P_SCALARS] + X_DT_H]
    demand, supply = trade[0, e], trade[1, e]
    local = min(demand, supply)
    bought = local / demand if demand > 0.0 else 0.0
    sold = local / supply if supply > 0.0 else 0.0
    governed = pi[S_GOVERNED]
    price = sell + sf[lane, governed + G_LOCAL_PRICE_SHARE] * (buy - sell)
    # No fee makes a neighbour's energy dearer than the grid's.
    fee = min(sf[lane, governed + G_COMMUNITY_FEE_EUR_PER_KWH], max(buy - price, 0.0))
    # EUR a per-unit step's energy: what buyers pay, sellers earn, and both without a community.
    paid = (bought * (price + fee) + (1.0 - bought) * buy) * kwh
    earned = (sold * price + (1.0 - sold) * sell) * kwh
    money, alone, volume = pi[S_MEMBER_EUR], pi[S_MEMBER_ALONE_EUR], pi[S_MEMBER_LOCAL_KWH]
    for k in range(n_bus):
        net = p_pu[k, e]
        taken = max(net, 0.0)
        given = taken - net
        sf[lane, money + k] += given * earned - taken * paid
        sf[lane, alone + k] += given * (sell * kwh) - taken * (buy * kwh)
        sf[lane, volume + k] += given * (sold * kwh)
    kept = metered - (supply * earned - demand * paid)
    sf[lane, pi[S_COMMUNITY_EUR]] += kept
    out[0, lane, OUT_EVENT + E_COMMUNITY_EUR] = kept
    out[0, lane, OUT_EVENT + E_LOCAL_KWH] = local * kwh


@kernel_function
def _share_curtailment(
    lane: int, e: int, sell: float, pf: Float, pi: Int, rows: Any, days: Float, sf: Float,
    plan: Float,
) -> None:  # fmt: skip
    """Owners pay each other; energy that would have earned nothing is no loss."""
    key = sf[lane, pi[S_GOVERNED] + G_CURTAILMENT_KEY_SHARE]
    installed = pf[pi[P_SCALARS] + X_PV_KW_TOTAL]
    if key <= 0.0 or sell <= 0.0 or installed <= 0.0:
        return
    sizes = pi[P_SIZES]
    n_bus, n_pv = pi[sizes + Z_BUS], pi[sizes + Z_PV]
    quarter = int(plan[e, L_QUARTER]) - PAST_QUARTERS
    row = int(days[D_PV_DAY, int(plan[e, L_DAY])]) * QUARTERS_PER_DAY + quarter % QUARTERS_PER_DAY
    pv = PLAN_SCALARS + pi[sizes + Z_BATTERY]
    worth = key * sell * pf[pi[P_SCALARS] + X_DT_H]
    lost = 0.0
    for j in range(n_pv):
        lost += float(rows[row, 2 * n_bus + j]) - plan[e, pv + j]
    if lost <= 0.0:
        return
    for j in range(n_pv):
        own = float(rows[row, 2 * n_bus + j]) - plan[e, pv + j]
        fair = lost * pf[pi[P_PV_KW] + j] / installed
        sf[lane, pi[S_MEMBER_EUR] + pi[pi[P_PV_BUS] + j]] += worth * (own - fair)


@kernel_function
def _reward_sellers(lane: int, pi: Int, sf: Float) -> None:
    """What the community has, in whole cents, to those who sold to others, by their Wh."""
    n_bus = pi[pi[P_SIZES] + Z_BUS]
    cents = int(sf[lane, pi[S_COMMUNITY_EUR]] * _CENTS_PER_EUR)
    if cents <= 0:
        return
    scores = np.empty(n_bus, dtype=np.int64)
    payouts = np.empty(n_bus, dtype=np.int64)
    remainders = np.empty(n_bus, dtype=np.int64)
    order = np.empty(n_bus, dtype=np.int64)
    for k in range(n_bus):
        scores[k] = int(sf[lane, pi[S_MEMBER_LOCAL_KWH] + k] * _WH_PER_KWH)
    split_rewards(scores, cents, 0, payouts, remainders, order)
    for k in range(n_bus):
        amount = payouts[k] / _CENTS_PER_EUR
        sf[lane, pi[S_MEMBER_EUR] + k] += amount
        sf[lane, pi[S_COMMUNITY_EUR]] -= amount


@kernel_function
def _compare_members(lane: int, pi: Int, sf: Float, out: Float) -> None:
    """At the end: how unequal the members' gains from the community are, and how many lose by it.

    A gain is a member's money less what the same energy is worth without a community.
    """
    n_bus = pi[pi[P_SIZES] + Z_BUS]
    gains = np.zeros(n_bus, dtype=np.int64)
    order = np.empty(n_bus, dtype=np.int64)
    members = 0
    losers = 0
    for k in range(n_bus):
        alone = sf[lane, pi[S_MEMBER_ALONE_EUR] + k]
        gain = sf[lane, pi[S_MEMBER_EUR] + k] - alone
        if gain != 0.0 or alone != 0.0:
            gains[members] = max(int(gain * _CENTS_PER_EUR), 0)
            members += 1
            losers += 1 if gain < -_NOTICED_EUR else 0
    if members > 0:
        out[0, lane, OUT_EVENT + E_MEMBERS_GINI] = gini(gains[:members], order[:members])
        out[0, lane, OUT_EVENT + E_MEMBERS_LOSING_SHARE] = losers / members
