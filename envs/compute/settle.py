"""Settle: energy, emissions and stakes, the constraint costs, the reward as the sum of terms."""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.rules import excess, service_floor

from .layout import (
    E_ARRIVED_GPU_H,
    E_CAPACITY_GPU_H,
    E_CARBON_KG,
    E_ENERGY_KWH,
    E_HALTED_STEPS,
    E_OFFERED_GPU_H,
    E_PAID_USD,
    E_SERVED_GPU_H,
    F_ARRIVED_JOBS,
    F_FINISHED,
    F_GPU_H_DAY,
    F_GPU_H_HOUR,
    F_JOBS_DAY,
    F_JOBS_HOUR,
    F_MISSED,
    F_PAID_DAY,
    K_CARBON,
    K_COLLATERAL,
    K_CONCENTRATION,
    K_SLA,
    K_TREASURY,
    M_MARKET,
    MICRO,
    N_TERM,
    OUT_COST,
    OUT_EVENT,
    OUT_REWARD,
    OUT_STEPS,
    OUT_TERM,
    P_MODES,
    P_PROVIDERS,
    P_SCALARS,
    P_SIZES,
    PROVIDER_WIDTH,
    S_CAPACITY_GPUS,
    S_FLOW,
    S_HALTED,
    S_MARKET_ACCOUNTS,
    S_REGION_CARBON,
    S_REGION_PRICE,
    S_REWARD_PER_DAY,
    S_STEP,
    S_UP_SHARE,
    S_USED_GPUS,
    T_CAPACITY,
    T_ENERGY,
    TREASURY,
    V_CAPITAL_USD_PER_GPU_H,
    V_GPUS,
    V_KW_PER_GPU,
    V_REGION,
    X_DT_H,
    X_EMA_DAY,
    X_EMA_HOUR,
    X_HHI_TARGET,
    X_OUTSIDE_SHARE,
    X_PROOF_STEPS,
    X_SLA_TARGET,
    X_WARN_RATIO,
    Z_PROVIDERS,
    Z_STEPS_PER_HOUR,
)
from .money import (
    accounts_of,
    collateral_ratio,
    pay_electricity,
    pay_emissions,
    settle_stakes,
    totals_of,
)
from .party_money import forgo, put_in


@inlined_function
def settle_energy(
    lane: int, used: Float, paid: Int, pf: Float, pi: Int, sf: Float, si: Int, out: Float
) -> None:
    """Electricity of the GPU-hours that were `used` (providers,), what the GPUs on offer would have
    earned elsewhere, and measurements of the step."""
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    market = pi[pi[P_MODES] + M_MARKET] == 1
    accounts, totals = accounts_of(lane, pi, si), totals_of(lane, pi, si)
    kwh, kg, usd, offered, money = 0.0, 0.0, 0.0, 0.0, 0.0
    working, outside = 0.0, 0.0
    for p in range(n):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        region = int(pf[v + V_REGION])
        energy = used[p] * pf[v + V_KW_PER_GPU]
        cost = energy * sf[lane, pi[S_REGION_PRICE] + region]
        kwh += energy
        kg += energy * sf[lane, pi[S_REGION_CARBON] + region]
        usd += cost
        kept = sf[lane, pi[S_CAPACITY_GPUS] + p] * dt_h
        offered += kept
        elsewhere = max(kept, used[p]) * pf[v + V_CAPITAL_USD_PER_GPU_H]
        outside += elsewhere
        working += pf[v + V_GPUS] * sf[lane, pi[S_UP_SHARE] + p] * dt_h
        sf[lane, pi[S_USED_GPUS] + p] = used[p] / dt_h
        if market:
            put_in(lane, p, pay_electricity(accounts, totals, p, cost), pi, si)
            forgo(lane, p, pf[x + X_OUTSIDE_SHARE] * elsewhere, pi, sf)
            pay = paid[p] / MICRO
            money += pay
            reward = pi[S_REWARD_PER_DAY] + p
            sf[lane, reward] += pf[x + X_EMA_DAY] * (pay * 24.0 / dt_h - sf[lane, reward])
    out[0, lane, OUT_TERM + T_ENERGY] -= usd
    out[0, lane, OUT_EVENT + E_ENERGY_KWH] += kwh
    out[0, lane, OUT_EVENT + E_CARBON_KG] += kg
    out[0, lane, OUT_EVENT + E_CAPACITY_GPU_H] += working
    out[0, lane, OUT_EVENT + E_OFFERED_GPU_H] += offered
    out[0, lane, OUT_EVENT + E_PAID_USD] += money
    if not market:
        return
    out[0, lane, OUT_TERM + T_CAPACITY] -= pf[x + X_OUTSIDE_SHARE] * outside
    end = si[lane, pi[S_STEP]] + 1
    if end % int(pf[x + X_PROOF_STEPS]) == 0:
        settle_stakes(lane, pf, pi, sf, si, out)
    if end % pi[pi[P_SIZES] + Z_STEPS_PER_HOUR] == 0:
        served = out[0, lane, OUT_EVENT + E_SERVED_GPU_H]
        pay_emissions(lane, served, offered / dt_h, used, pf, pi, sf, si)


@inlined_function
def settle_costs(
    lane: int, floor: float, carbon_cap: float, pf: Float, pi: Int, sf: Float, si: Int, out: Float
) -> None:
    """Constraint costs, moving averages and the reward.

    Args:
        floor, carbon_cap: the treasury's floor, USD, and kg/GPU-h, as in force in this step.
    """
    x = pi[P_SCALARS]
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    flow = pi[S_FLOW]
    per_hour = 1.0 / pf[x + X_DT_H]
    served = out[0, lane, OUT_EVENT + E_SERVED_GPU_H]
    arrived_h = out[0, lane, OUT_EVENT + E_ARRIVED_GPU_H]
    hour, day = pf[x + X_EMA_HOUR], pf[x + X_EMA_DAY]
    jobs = sf[lane, flow + F_ARRIVED_JOBS] * per_hour
    sf[lane, flow + F_JOBS_HOUR] += hour * (jobs - sf[lane, flow + F_JOBS_HOUR])
    sf[lane, flow + F_JOBS_DAY] += day * (jobs - sf[lane, flow + F_JOBS_DAY])
    rate = arrived_h * per_hour
    sf[lane, flow + F_GPU_H_HOUR] += hour * (rate - sf[lane, flow + F_GPU_H_HOUR])
    sf[lane, flow + F_GPU_H_DAY] += day * (rate - sf[lane, flow + F_GPU_H_DAY])
    # Misses and ends were added as they happened; here the sums fade over a day.
    sf[lane, flow + F_MISSED] *= 1.0 - day
    sf[lane, flow + F_FINISHED] *= 1.0 - day
    total, squares = 0.0, 0.0
    for p in range(n):
        reward = sf[lane, pi[S_REWARD_PER_DAY] + p]
        total += reward
        squares += reward * reward
    sf[lane, flow + F_PAID_DAY] = total

    costs = OUT_COST
    missed = sf[lane, flow + F_MISSED] / max(sf[lane, flow + F_FINISHED], 1.0)
    out[0, lane, costs + K_SLA] = excess(missed, pf[x + X_SLA_TARGET])
    if total > 0.0:
        out[0, lane, costs + K_CONCENTRATION] = excess(
            squares / (total * total), pf[x + X_HHI_TARGET]
        )
    if served > 0.0:
        out[0, lane, costs + K_CARBON] = excess(
            out[0, lane, OUT_EVENT + E_CARBON_KG] / served,
            carbon_cap,
        )
    if pi[pi[P_MODES] + M_MARKET] == 1:
        ratio = collateral_ratio(lane, pi, sf, si)
        out[0, lane, costs + K_COLLATERAL] = service_floor(ratio, pf[x + X_WARN_RATIO])[0]
        treasury = si[lane, pi[S_MARKET_ACCOUNTS] + TREASURY] / MICRO
        out[0, lane, costs + K_TREASURY] = service_floor(treasury, floor)[0] / max(floor, 1.0)
        out[0, lane, OUT_EVENT + E_HALTED_STEPS] += float(si[lane, pi[S_HALTED]])
    reward = 0.0
    for t in range(N_TERM):
        reward += out[0, lane, OUT_TERM + t]
    out[0, lane, OUT_REWARD] = reward
    out[0, lane, OUT_STEPS] = 1.0
