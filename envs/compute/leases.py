"""Leases: how they begin, the work that is served under them, and what is paid for it."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.treasury import burn, transfer

from .jobs import (
    COMPLETED_WEIGHT,
    close_lease,
    count_job,
    finish_load,
    order_value,
    remove_row,
)
from .layout import (
    BALANCES,
    E_COMPLETED_JOBS,
    E_MATCHED_JOBS,
    E_SERVED_GPU_H,
    E_WAIT_H,
    ESCROW,
    F_FINISHED,
    FOR_DEPOSITS,
    J_ARRIVAL,
    J_ASK,
    J_BID,
    J_DEPOSIT,
    J_GPUS,
    J_LEASE_PAID,
    J_PAID,
    J_PRICE,
    J_PROVIDER,
    J_REMAINING,
    M_MARKET,
    MICRO,
    N_LOAD,
    OUT_EVENT,
    OUT_TERM,
    P_MODES,
    P_SCALARS,
    P_SIZES,
    S_ASK,
    S_FLOW,
    S_LOAD,
    S_N_JOBS,
    S_REPUTATION,
    S_STEP,
    T_SERVED,
    TREASURY,
    X_DT_H,
    Z_PROVIDERS,
)
from .money import (
    accounts_of,
    move_vault,
    totals_of,
)


@inlined_function
def begin_lease(lane: int, row: Float, p: int, price: float, pf: Float, pi: Int, sf: Float,
                si: Int, out: Float) -> int:  # fmt: skip
    """An order begins at a provider; what the tenant deposits, micro-USD.

    At the first lease that is the whole bid, at a later one nothing.
    """
    dt_h = pf[pi[P_SCALARS] + X_DT_H]
    ask = sf[lane, pi[S_ASK] + p]
    row[J_PROVIDER] = p
    row[J_ASK] = ask
    row[J_PRICE] = price
    row[J_LEASE_PAID] = 0.0
    if row[J_DEPOSIT] != 0.0:
        return 0
    out[0, lane, OUT_EVENT + E_MATCHED_JOBS] += 1.0
    out[0, lane, OUT_EVENT + E_WAIT_H] += (si[lane, pi[S_STEP]] - row[J_ARRIVAL]) * dt_h
    micro = int(order_value(row, dt_h) * MICRO) + 1
    row[J_DEPOSIT] = micro
    return micro


@inlined_function
def serve(lane: int, jobs: Float, used: Float, paid: Int, pf: Float, pi: Int, sf: Float, si: Int,
          out: Float) -> None:  # fmt: skip
    """What runs makes a step of progress; pay accrues; what is done leaves; the rest is counted.

    `used` (providers,) gets the GPU-hours of each provider, `paid` (providers,) its micro-USD.
    """
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    market = pi[pi[P_MODES] + M_MARKET] == 1
    used[:n] = 0.0
    paid[:n] = 0
    fees: Any = 0
    refunds: Any = 0
    served_usd, served_h, completed = 0.0, 0.0, 0.0
    reputations = pi[S_REPUTATION]
    count = si[lane, pi[S_N_JOBS]]
    load = sf[lane, pi[S_LOAD] : pi[S_LOAD] + N_LOAD]
    load[:] = 0.0
    end = si[lane, pi[S_STEP]] + 1.0
    j = 0
    while j < count:
        row = jobs[j]
        if row[J_PROVIDER] < 0.0:
            count_job(row, end, load)
            j += 1
            continue
        p = int(row[J_PROVIDER])
        progress = min(1.0, row[J_REMAINING])
        hours = row[J_GPUS] * progress * dt_h
        if market:
            pay = int(row[J_PRICE] * hours * MICRO)
            if row[J_PAID] + pay > row[J_DEPOSIT]:
                close_lease(lane, j, jobs, pf, pi, sf, si, out)
                count -= 1
                continue
            to_provider = int(row[J_ASK] * hours * MICRO)
            row[J_PAID] += pay
            row[J_LEASE_PAID] += to_provider
            paid[p] += to_provider
            fees += pay - to_provider
        used[p] += hours
        served_h += hours
        served_usd += row[J_BID] * hours
        row[J_REMAINING] -= progress
        if row[J_REMAINING] > 0.0:
            count_job(row, end, load)
            j += 1
            continue
        completed += 1.0
        sf[lane, reputations + p] += COMPLETED_WEIGHT * (1.0 - sf[lane, reputations + p])
        if market:
            refunds += int(row[J_DEPOSIT] - row[J_PAID])
        remove_row(lane, j, jobs, pi, si)
        count -= 1
    finish_load(load, dt_h)
    out[0, lane, OUT_EVENT + E_COMPLETED_JOBS] += completed
    sf[lane, pi[S_FLOW] + F_FINISHED] += completed
    out[0, lane, OUT_TERM + T_SERVED] += served_usd
    out[0, lane, OUT_EVENT + E_SERVED_GPU_H] += served_h
    if market:
        pay_out(lane, paid, fees, refunds, pi, sf, si, out)


@inlined_function
def pay_out(lane: int, paid: Int, fees: int, refunds: int, pi: Int, sf: Float, si: Int,
            out: Float) -> None:  # fmt: skip
    """Escrow pays the step's providers and the treasury, and what completed leases leave over."""
    accounts = accounts_of(lane, pi, si)
    total = fees
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        transfer(accounts, ESCROW, BALANCES + p, paid[p])
        total += paid[p]
    transfer(accounts, ESCROW, TREASURY, fees)
    burn(accounts, totals_of(lane, pi, si), FOR_DEPOSITS, ESCROW, refunds)
    move_vault(lane, -(total + refunds) / MICRO, pi, sf, out)
