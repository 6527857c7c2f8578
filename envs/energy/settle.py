"""The second half of a step: what the power flow means for devices, protection and money."""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.lanes import (
    fill,
    largest,
    load,
    smallest,
    square_root,
    store,
    where_positive,
)
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.rules import excess, shortfall

from .dynamics import (
    ageing_rate,
    oil_temperature_c,
    stored_energy_kwh,
    winding_gradient_c,
)
from .episode import total_ev_kwh, total_soc_kwh
from .layout import (
    C_HORIZON,
    D_OWED_PRICE,
    D_STOCK_PRICE,
    E_CURTAILED_KWH,
    E_ENERGY_BALANCE_KWH,
    E_EV_UNMET_KWH,
    E_EXPORT_KWH,
    E_IMPORT_KWH,
    E_INVERTER_TRIPS,
    E_LOSSES_KWH,
    E_OUTAGE_STEPS,
    E_POWER_FLOW_SWEEPS,
    E_RELAY_STEPS,
    E_THROUGHPUT_KWH,
    E_UNSERVED_KWH,
    E_VIOLATED_BUS_HOURS,
    G_RESERVE_FLOOR_SHARE,
    K_LINE,
    K_RESERVE,
    K_TRANSFORMER,
    K_VOLTAGE,
    L_DAY,
    L_EXCHANGE_KW,
    L_FEE_CHANGE_EUR_PER_KWH,
    L_LOAD_KW,
    L_PV_AVAILABLE_KW,
    L_QUARTER,
    L_SHED_KW,
    L_THROUGHPUT_KWH,
    N_TERM,
    OUT_BASELINE,
    OUT_COST,
    OUT_EVENT,
    OUT_REWARD,
    OUT_STEPS,
    OUT_TERM,
    P_BATTERY_KWH,
    P_CALENDAR,
    P_I_MAX_PU,
    P_PV_BUS,
    P_R_PU,
    P_SCALARS,
    P_SHUNT_G_PU,
    P_SIZES,
    PLAN_SCALARS,
    S_BATTERY_KW,
    S_BUDGET_KWH,
    S_CARRIED,
    S_CLOSING_EUR,
    S_CURTAILED_SHARE,
    S_EV_ENERGY_KWH,
    S_EXCHANGE_KW,
    S_GOVERNED,
    S_HOT_SPOT_C,
    S_INITIAL_EV_KWH,
    S_INITIAL_SOC_KWH,
    S_LOAD_KW,
    S_LOADING,
    S_OIL_C,
    S_PV_KW,
    S_PV_TRIP_STEPS,
    S_PV_VOLTAGE_PU,
    S_RELAY_DIRECTION,
    S_RELAY_HOLD_STEPS,
    S_SOC_KWH,
    S_STEP,
    S_VOLTAGE_PU,
    T_AGEING,
    T_EV_UNMET,
    T_EXPORT,
    T_IMPORT,
    T_STOCK,
    T_UNSERVED,
    T_WEAR,
    W_EXPORT_PRICE,
    W_IMPORT_PRICE,
    W_LOAD_KW,
    W_PV_KW,
    X_AGEING_EUR_PER_H,
    X_AMBIENT_C,
    X_BATTERY_DECAY,
    X_BATTERY_GAIN_H,
    X_BATTERY_KWH_TOTAL,
    X_DT_H,
    X_ETA_CHARGE,
    X_ETA_DISCHARGE,
    X_EV_EFFICIENCY,
    X_EV_UNMET_EUR_PER_KWH,
    X_HOT_SPOT_LIMIT_C,
    X_LOSS_RATIO,
    X_OIL_DECAY,
    X_OIL_EXPONENT,
    X_OIL_RISE_C,
    X_RELAY_HOLD_STEPS,
    X_RELAY_LOADING,
    X_S_BASE_KVA,
    X_SLACK_VOLTAGE_PU,
    X_TRANSFORMER_KVA,
    X_TRIP_STEPS,
    X_TRIP_VOLTAGE_PU,
    X_UNSERVED_EUR_PER_KWH,
    X_VOLT_VAR_GAIN,
    X_VOLTAGE_FLOOR_PU,
    X_VOLTAGE_HIGH_PU,
    X_VOLTAGE_LOW_PU,
    X_WEAR_EUR_PER_KWH,
    X_WINDING_EXPONENT,
    X_WINDING_RISE_C,
    Z_BATTERY,
    Z_BUS,
    Z_EV,
    Z_PV,
)

# Rows of the tile's network results.
(N_LOWEST, N_CONSUMED, N_LOSSES, N_BEYOND, N_VIOLATED, N_OVERLOAD) = range(6)
NETWORK_ROWS = 6


@kernel_function
def measure_network(
    pf: Float, pi: Int, p_pu: Float, v_re: Float, v_im: Float, j_re: Float,
    j_im: Float, volts: Float, network: Float,
) -> None:  # fmt: skip
    """Voltages (n_bus, TILE) and, summed over buses, rows N_* of `network`, for a whole tile."""
    n_bus = pi[pi[P_SIZES] + Z_BUS]
    scalars = pi[P_SCALARS]
    low, high = pf[scalars + X_VOLTAGE_LOW_PU], pf[scalars + X_VOLTAGE_HIGH_PU]
    zero = fill(0.0)
    one = fill(1.0)
    lowest = fill(1e9)
    consumed = zero
    losses = zero
    beyond = zero
    violated = zero
    overload = zero
    for k in range(n_bus):
        re, im = load(v_re, k), load(v_im, k)
        current_re, current_im = load(j_re, k), load(j_im, k)
        square = re * re + im * im
        current_square = current_re * current_re + current_im * current_im
        voltage = square_root(square)
        store(volts, k, voltage)
        lowest = smallest(voltage, lowest)
        consumed = consumed + load(p_pu, k)
        losses = losses + square * pf[pi[P_SHUNT_G_PU] + k]
        if k > 0:
            losses = losses + current_square * pf[pi[P_R_PU] + k]
            outside = largest(voltage - high, zero) + largest(low - voltage, zero)
            beyond = beyond + outside
            violated = violated + where_positive(outside, one, zero)
            loading = square_root(current_square) * (1.0 / pf[pi[P_I_MAX_PU] + k])
            overload = overload + largest(loading - 1.0, zero)
    store(network, N_LOWEST, lowest)
    store(network, N_CONSUMED, consumed)
    store(network, N_LOSSES, losses)
    store(network, N_BEYOND, beyond)
    store(network, N_VIOLATED, violated)
    store(network, N_OVERLOAD, overload)


@kernel_function
def advance_devices(
    lane: int, e: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float, plan: Float,
    volts: Float, network: Float, j_re: Float, j_im: Float, sweeps: Int,
) -> None:  # fmt: skip
    """Exchange and costs of the network; then batteries, cars, transformer and protection.

    A power flow that did not converge, or fell below the voltage floor, is an outage: no
    exchange, no load served, devices idle.
    """
    sizes = pi[P_SIZES]
    n_bus = pi[sizes + Z_BUS]
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    base_kva = pf[scalars + X_S_BASE_KVA]
    out[0, lane, OUT_EVENT + E_POWER_FLOW_SWEEPS] = abs(sweeps[e])
    served = sweeps[e] > 0 and network[N_LOWEST, e] >= pf[scalars + X_VOLTAGE_FLOOR_PU]
    state_volts = pi[S_VOLTAGE_PU]
    for k in range(n_bus):
        sf[lane, state_volts + k] = volts[k, e] if served else 0.0
    exchange = 0.0
    loading = 0.0
    if served:
        slack = pf[scalars + X_SLACK_VOLTAGE_PU]
        active = slack * j_re[0, e]
        reactive = -slack * j_im[0, e]
        exchange = active * base_kva
        loading = np.sqrt(active * active + reactive * reactive) * base_kva
        loading /= pf[scalars + X_TRANSFORMER_KVA]
        losses = network[N_LOSSES, e]
        balance = abs(active - network[N_CONSUMED, e] - losses)
        out[0, lane, OUT_EVENT + E_LOSSES_KWH] = losses * base_kva * dt_h
        out[0, lane, OUT_EVENT + E_ENERGY_BALANCE_KWH] = balance * base_kva * dt_h
        out[0, lane, OUT_EVENT + E_VIOLATED_BUS_HOURS] = network[N_VIOLATED, e] * dt_h
        out[0, lane, OUT_COST + K_VOLTAGE] = network[N_BEYOND, e] * dt_h
        out[0, lane, OUT_COST + K_LINE] = network[N_OVERLOAD, e] * dt_h
        out[0, lane, OUT_COST + K_TRANSFORMER] = excess(loading, 1.0) * dt_h
    else:
        out[0, lane, OUT_EVENT + E_OUTAGE_STEPS] = 1.0
    plan[e, L_EXCHANGE_KW] = exchange
    sf[lane, pi[S_EXCHANGE_KW]] = exchange
    sf[lane, pi[S_LOADING]] = loading
    _advance_storage(lane, e, served, dt_h, pf, pi, sf, out, plan)
    _advance_pv(lane, e, served, dt_h, pf, pi, sf, si, out, plan)
    load_kw = plan[e, L_LOAD_KW] if served else 0.0
    sf[lane, pi[S_LOAD_KW]] = load_kw
    unserved = plan[e, L_LOAD_KW] + plan[e, L_SHED_KW] - load_kw
    out[0, lane, OUT_EVENT + E_UNSERVED_KWH] = unserved * dt_h
    _advance_transformer(lane, loading, exchange, dt_h, pf, pi, sf, si, out)


@kernel_function
def _advance_storage(
    lane: int, e: int, served: bool, dt_h: float, pf: Float, pi: Int, sf: Float, out: Float,
    plan: Float,
) -> None:  # fmt: skip
    """Batteries, the flexibility budget and the reserve; then the cars."""
    sizes = pi[P_SIZES]
    n_battery, n_ev = pi[sizes + Z_BATTERY], pi[sizes + Z_EV]
    scalars = pi[P_SCALARS]
    eta_charge, eta_discharge = pf[scalars + X_ETA_CHARGE], pf[scalars + X_ETA_DISCHARGE]
    decay, gain = pf[scalars + X_BATTERY_DECAY], pf[scalars + X_BATTERY_GAIN_H]
    energy, power, kwh = pi[S_SOC_KWH], pi[S_BATTERY_KW], pi[P_BATTERY_KWH]
    total = 0.0
    for b in range(n_battery):
        kw = plan[e, PLAN_SCALARS + b] if served else 0.0
        soc = stored_energy_kwh(sf[lane, energy + b], kw, eta_charge, eta_discharge, decay, gain)
        soc = min(max(soc, 0.0), pf[kwh + b])
        sf[lane, energy + b] = soc
        sf[lane, power + b] = kw
        total += soc
    throughput = plan[e, L_THROUGHPUT_KWH] if served else 0.0
    out[0, lane, OUT_EVENT + E_THROUGHPUT_KWH] = throughput
    budget = pi[S_BUDGET_KWH]
    sf[lane, budget] = max(sf[lane, budget] - throughput, 0.0)
    capacity = pf[scalars + X_BATTERY_KWH_TOTAL]
    floor = sf[lane, pi[S_GOVERNED] + G_RESERVE_FLOOR_SHARE]
    out[0, lane, OUT_COST + K_RESERVE] = (
        shortfall(total / capacity, floor) * dt_h if capacity > 0.0 else 0.0
    )
    ev = PLAN_SCALARS + n_battery + 2 * pi[sizes + Z_PV]
    wanted = pi[S_EV_ENERGY_KWH]
    efficiency = pf[scalars + X_EV_EFFICIENCY]
    for j in range(n_ev):
        if served and plan[e, ev + j] > 0.0:
            left = sf[lane, wanted + j] - plan[e, ev + j] * efficiency * dt_h
            sf[lane, wanted + j] = left if left > 1e-9 else 0.0


@kernel_function
def _advance_pv(
    lane: int, e: int, served: bool, dt_h: float, pf: Float, pi: Int, sf: Float, si: Int,
    out: Float, plan: Float,
) -> None:  # fmt: skip
    """What PV gave; inverters trip on this step's voltage and are away from the next step on."""
    sizes = pi[P_SIZES]
    scalars = pi[P_SCALARS]
    pv = PLAN_SCALARS + pi[sizes + Z_BATTERY]
    trips, bus, volts = pi[S_PV_TRIP_STEPS], pi[P_PV_BUS], pi[S_VOLTAGE_PU]
    limit = pf[scalars + X_TRIP_VOLTAGE_PU]
    smoothed, gain = pi[S_PV_VOLTAGE_PU], pf[scalars + X_VOLT_VAR_GAIN]
    used = 0.0
    for j in range(pi[sizes + Z_PV]):
        used += plan[e, pv + j] if served else 0.0
        voltage = sf[lane, volts + pi[bus + j]]
        if served:
            sf[lane, smoothed + j] += gain * (voltage - sf[lane, smoothed + j])
        timer = si[lane, trips + j]
        if timer > 0:
            si[lane, trips + j] = timer - 1
        elif voltage > limit:
            si[lane, trips + j] = int(pf[scalars + X_TRIP_STEPS])
            out[0, lane, OUT_EVENT + E_INVERTER_TRIPS] += 1.0
    available = plan[e, L_PV_AVAILABLE_KW]
    out[0, lane, OUT_EVENT + E_CURTAILED_KWH] = (available - used) * dt_h
    sf[lane, pi[S_CURTAILED_SHARE]] = (available - used) / available if available > 1e-9 else 0.0
    sf[lane, pi[S_PV_KW]] = used


@kernel_function
def _advance_transformer(
    lane: int, loading: float, exchange: float, dt_h: float, pf: Float, pi: Int, sf: Float,
    si: Int, out: Float,
) -> None:  # fmt: skip
    """Thermal model, ageing cost, and the relay that holds an overloaded transformer down."""
    scalars = pi[P_SCALARS]
    oil = oil_temperature_c(
        sf[lane, pi[S_OIL_C]], loading, pf[scalars + X_AMBIENT_C], pf[scalars + X_OIL_RISE_C],
        pf[scalars + X_LOSS_RATIO], pf[scalars + X_OIL_EXPONENT], pf[scalars + X_OIL_DECAY],
    )  # fmt: skip
    gradient = winding_gradient_c(
        loading, pf[scalars + X_WINDING_RISE_C], pf[scalars + X_WINDING_EXPONENT]
    )
    hot_spot = oil + gradient
    middle = 0.5 * (sf[lane, pi[S_OIL_C]] + oil) + gradient
    out[0, lane, OUT_TERM + T_AGEING] = (
        -ageing_rate(middle) * pf[scalars + X_AGEING_EUR_PER_H] * dt_h
    )
    sf[lane, pi[S_OIL_C]] = oil
    sf[lane, pi[S_HOT_SPOT_C]] = hot_spot
    hold = si[lane, pi[S_RELAY_HOLD_STEPS]]
    if hold > 0:
        out[0, lane, OUT_EVENT + E_RELAY_STEPS] = 1.0
        si[lane, pi[S_RELAY_HOLD_STEPS]] = hold - 1
    elif loading > pf[scalars + X_RELAY_LOADING] or (
        hot_spot > pf[scalars + X_HOT_SPOT_LIMIT_C] and loading > 1.0
    ):
        si[lane, pi[S_RELAY_HOLD_STEPS]] = int(pf[scalars + X_RELAY_HOLD_STEPS])
        sf[lane, pi[S_RELAY_DIRECTION]] = 1.0 if exchange > 0.0 else -1.0


@kernel_function
def settle_money(
    lane: int, e: int, pf: Float, pi: Int, world: Float, days: Float, sf: Float, si: Int,
    out: Float, plan: Float,
) -> None:  # fmt: skip
    """EUR of this step, metered at the transformer; the stock left at the end is valued.

    Energy in the batteries is worth the last day's mean price after discharging, energy that cars
    still want costs that price plus the import fee before charging.

    Losses and curtailment are inside the metered exchange, so they are reported, never added.
    """
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    quarter = int(plan[e, L_QUARTER])
    fee_change = plan[e, L_FEE_CHANGE_EUR_PER_KWH]
    import_price = world[W_IMPORT_PRICE, quarter] + fee_change
    export_price = world[W_EXPORT_PRICE, quarter]
    exchange_kwh = plan[e, L_EXCHANGE_KW] * dt_h
    if exchange_kwh > 0.0:
        out[0, lane, OUT_TERM + T_IMPORT] = -exchange_kwh * import_price
        out[0, lane, OUT_EVENT + E_IMPORT_KWH] = exchange_kwh
    else:
        out[0, lane, OUT_TERM + T_EXPORT] = -exchange_kwh * export_price
        out[0, lane, OUT_EVENT + E_EXPORT_KWH] = -exchange_kwh
    out[0, lane, OUT_TERM + T_WEAR] = (
        -out[0, lane, OUT_EVENT + E_THROUGHPUT_KWH] * pf[scalars + X_WEAR_EUR_PER_KWH]
    )
    out[0, lane, OUT_TERM + T_UNSERVED] = (
        -out[0, lane, OUT_EVENT + E_UNSERVED_KWH] * pf[scalars + X_UNSERVED_EUR_PER_KWH]
    )
    out[0, lane, OUT_TERM + T_EV_UNMET] = (
        -out[0, lane, OUT_EVENT + E_EV_UNMET_KWH] * pf[scalars + X_EV_UNMET_EUR_PER_KWH]
    )
    if si[lane, pi[S_STEP]] >= pi[pi[P_CALENDAR] + C_HORIZON]:
        day = int(plan[e, L_DAY])
        per_stored = days[D_STOCK_PRICE, day] * pf[scalars + X_ETA_DISCHARGE]
        per_owed = (days[D_OWED_PRICE, day] + fee_change) / pf[scalars + X_EV_EFFICIENCY]
        closing = total_soc_kwh(lane, pi, sf) * per_stored
        closing -= total_ev_kwh(lane, pi, sf, si) * per_owed
        # A stock that was carried over is charged at what it was credited with then.
        opening = sf[lane, pi[S_CLOSING_EUR]]
        if si[lane, pi[S_CARRIED]] == 0:
            opening = sf[lane, pi[S_INITIAL_SOC_KWH]] * per_stored
            opening -= sf[lane, pi[S_INITIAL_EV_KWH]] * per_owed
        out[0, lane, OUT_TERM + T_STOCK] = closing - opening
        sf[lane, pi[S_CLOSING_EUR]] = closing
    total = 0.0
    for t in range(N_TERM):
        total += out[0, lane, OUT_TERM + t]
    out[0, lane, OUT_REWARD] = total
    out[0, lane, OUT_STEPS] = 1.0
    net_kwh = (world[W_LOAD_KW, quarter] - world[W_PV_KW, quarter]) * dt_h
    price = import_price if net_kwh > 0.0 else export_price
    out[0, lane, OUT_BASELINE] = -net_kwh * price
