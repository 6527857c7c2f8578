"""The first half of a step: the world of this step, the request, and the charter's gate.

Bus powers are kept in the tile as kW and kvar until the gate has spoken, then become per unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.rules import budget_reverts, excess, ramp_limited

from .dynamics import charge_limit_kw, clip, discharge_limit_kw, volt_var_share
from .layout import (
    C_DAYS,
    C_SUBSTEPS,
    D_LOAD_DAY,
    D_PV_DAY,
    E_INTERVENTIONS,
    E_INVALID_ACTIONS,
    E_REVERTS,
    E_SHIELD_DELTA_KWH,
    G_EXPORT_LIMIT_SHARE,
    G_SET_POINT_SLEW_SHARE_PER_HOUR,
    L_DAY,
    L_EV_KW,
    L_LOAD_KW,
    L_PV_AVAILABLE_KW,
    L_PV_READY_KW,
    L_QUARTER,
    L_SHED_KW,
    L_THROUGHPUT_KWH,
    M_ACTION_DEVICE,
    OUT_EVENT,
    P_BATTERY_BUS,
    P_BATTERY_KVA,
    P_BATTERY_KW,
    P_BATTERY_KWH,
    P_BUS_PV_KW,
    P_CALENDAR,
    P_EV_BUS,
    P_EV_KW,
    P_MODES,
    P_PV_BUS,
    P_PV_KVA,
    P_SCALARS,
    P_SIZES,
    PAST_QUARTERS,
    PLAN_SCALARS,
    QUARTERS_PER_DAY,
    S_BATTERY_KW,
    S_BUDGET_KWH,
    S_DAY,
    S_EV_ARRIVAL_STEP,
    S_EV_DEPARTURE_STEP,
    S_EV_ENERGY_KWH,
    S_GOVERNED,
    S_PV_TRIP_STEPS,
    S_RELAY_FACTOR,
    S_RELAY_HOLD_STEPS,
    S_SOC_KWH,
    S_STEP,
    S_VOLTAGE_PU,
    X_BATTERY_DECAY,
    X_BATTERY_GAIN_H,
    X_DT_H,
    X_ETA_CHARGE,
    X_ETA_DISCHARGE,
    X_EV_EFFICIENCY,
    X_S_BASE_KVA,
    X_SOC_MIN_SHARE,
    X_TRANSFORMER_KVA,
    X_VOLT_VAR_ON,
    Z_ACTION,
    Z_BATTERY,
    Z_BUS,
    Z_EV,
    Z_PV,
)

Actions = NDArray[np.float32]

# Actions of the "fleet" mode before the batteries' offsets.
A_EXCHANGE, A_EXPORT_CAP, A_EV_RATE, A_REACTIVE, N_FLEET = 0, 1, 2, 3, 4
MAX_REACTIVE_SHARE = 0.44
_NOTICED_KW = 1e-9


@kernel_function
def read_world(
    lane: int, e: int, pf: Float, pi: Int, rows: Float, days: Float, sf: Float, si: Int,
    plan: Float, p_kw: Float, q_kvar: Float,
) -> None:  # fmt: skip
    """Loads and available PV of this step, after what tripped inverters and the relay take away."""
    sizes = pi[P_SIZES]
    n_bus, n_pv = pi[sizes + Z_BUS], pi[sizes + Z_PV]
    calendar = pi[P_CALENDAR]
    quarter_of_episode = si[lane, pi[S_STEP]] // pi[calendar + C_SUBSTEPS]
    first_day = si[lane, pi[S_DAY]]
    day = (first_day + quarter_of_episode // QUARTERS_PER_DAY) % pi[calendar + C_DAYS]
    quarter_of_day = quarter_of_episode % QUARTERS_PER_DAY
    load_row = int(days[D_LOAD_DAY, day]) * QUARTERS_PER_DAY + quarter_of_day
    pv_row = int(days[D_PV_DAY, day]) * QUARTERS_PER_DAY + quarter_of_day

    factor = sf[lane, pi[S_RELAY_FACTOR]] if si[lane, pi[S_RELAY_HOLD_STEPS]] > 0 else 1.0
    load_factor = factor if factor > 0.0 else 1.0
    pv_factor = -factor if factor < 0.0 else 1.0
    load = 0.0
    for k in range(n_bus):
        kw = rows[load_row, k]
        load += kw
        p_kw[k, e] = kw * load_factor
        q_kvar[k, e] = rows[load_row, n_bus + k] * load_factor
    available = 0.0
    ready = 0.0
    pv = PLAN_SCALARS + pi[sizes + Z_BATTERY]
    for j in range(n_pv):
        kw = rows[pv_row, 2 * n_bus + j]
        available += kw
        kw = min(kw, pf[pi[P_PV_KVA] + j]) * pv_factor
        if si[lane, pi[S_PV_TRIP_STEPS] + j] > 0:
            kw = 0.0
        plan[e, pv + j] = kw
        plan[e, pv + n_pv + j] = 0.0
        ready += kw
    plan[e, L_QUARTER] = PAST_QUARTERS + first_day * QUARTERS_PER_DAY + quarter_of_episode
    plan[e, L_DAY] = day
    plan[e, L_LOAD_KW] = load * load_factor
    plan[e, L_SHED_KW] = load - load * load_factor
    plan[e, L_PV_AVAILABLE_KW] = available
    plan[e, L_PV_READY_KW] = ready


@kernel_function
def _read_actions(
    lane: int, n_action: int, actions: Actions, out: Float, clean: Float, e: int
) -> None:
    """Actions inside [-1, 1]; what is not a number counts as 0, and both cases are recorded."""
    for a in range(n_action):
        value = float(actions[lane, a])
        held = clip(value, -1.0, 1.0) if value == value else 0.0
        if held != value:
            out[0, lane, OUT_EVENT + E_INVALID_ACTIONS] += 1.0
        clean[e, a] = held


@kernel_function
def make_request(
    lane: int, e: int, pf: Float, pi: Int, sf: Float, si: Int, actions: Actions, out: Float,
    clean: Float, plan: Float, p_kw: Float,
) -> None:  # fmt: skip
    """The normalised action becomes set-points of batteries, PV and chargers in kW.

    "fleet": the batteries together track a wanted exchange with the grid, each in proportion to
    what it can do, plus an offset of its own; PV is curtailed above a wanted largest export.
    "device": one set-point for each device.
    """
    sizes = pi[P_SIZES]
    n_pv, n_battery, n_ev = pi[sizes + Z_PV], pi[sizes + Z_BATTERY], pi[sizes + Z_EV]
    scalars = pi[P_SCALARS]
    battery, pv = PLAN_SCALARS, PLAN_SCALARS + n_battery
    ev = pv + 2 * n_pv
    device = pi[pi[P_MODES] + M_ACTION_DEVICE] == 1
    _read_actions(lane, pi[sizes + Z_ACTION], actions, out, clean, e)

    chargers = 0.0
    for j in range(n_ev):
        rate = clean[e, n_battery + 2 * n_pv + j] if device else clean[e, A_EV_RATE]
        kw = _charger_kw(lane, j, rate, pf, pi, sf, si)
        if si[lane, pi[S_RELAY_HOLD_STEPS]] > 0 and sf[lane, pi[S_RELAY_FACTOR]] > 0.0:
            kw *= sf[lane, pi[S_RELAY_FACTOR]]
        plan[e, ev + j] = kw
        p_kw[pi[pi[P_EV_BUS] + j], e] += kw
        chargers += kw
    plan[e, L_EV_KW] = chargers

    if device:
        for b in range(n_battery):
            plan[e, battery + b] = clean[e, b] * pf[pi[P_BATTERY_KW] + b]
        for j in range(n_pv):
            share = clean[e, n_battery + n_pv + j]
            bus = pi[pi[P_PV_BUS] + j]
            voltage = sf[lane, pi[S_VOLTAGE_PU] + bus]
            _set_inverter(
                lane, e, j, pf, pi, plan, pv, n_pv, clip(1.0 + clean[e, n_battery + j], 0.0, 1.0),
                share * MAX_REACTIVE_SHARE if voltage > 0.5 else 0.0,
            )  # fmt: skip
        return

    base = plan[e, L_LOAD_KW] + chargers - plan[e, L_PV_READY_KW]
    rating_kva = pf[scalars + X_TRANSFORMER_KVA]
    wanted = clean[e, A_EXCHANGE] * rating_kva - base
    able = 0.0
    for b in range(n_battery):
        able += _able_kw(lane, b, wanted > 0.0, pf, pi, sf, si)
    share = clip(wanted / able, -1.0, 1.0) if able > 0.0 else 0.0
    total = 0.0
    for b in range(n_battery):
        kw = share * _able_kw(lane, b, wanted > 0.0, pf, pi, sf, si)
        kw += clean[e, N_FLEET + b] * pf[pi[P_BATTERY_KW] + b]
        plan[e, battery + b] = kw
        total += kw
    cap = rating_kva * (1.0 + clean[e, A_EXPORT_CAP])
    cut = max(-(base + total) - cap, 0.0)
    ready = plan[e, L_PV_READY_KW]
    keep = clip(1.0 - cut / ready, 0.0, 1.0) if ready > 0.0 else 1.0
    for j in range(n_pv):
        voltage = sf[lane, pi[S_VOLTAGE_PU] + pi[pi[P_PV_BUS] + j]]
        reactive = clean[e, A_REACTIVE] * MAX_REACTIVE_SHARE if voltage > 0.5 else 0.0
        reactive += volt_var_share(voltage) * pf[scalars + X_VOLT_VAR_ON]
        _set_inverter(lane, e, j, pf, pi, plan, pv, n_pv, keep, reactive)


@kernel_function
def _set_inverter(
    lane: int, e: int, j: int, pf: Float, pi: Int, plan: Float, pv: int, n_pv: int, keep: float,
    reactive_share: float,
) -> None:  # fmt: skip
    """P = keep * ready, Q held inside the inverter's circle; an idle inverter gives no Q."""
    ready = plan[e, pv + j]
    rating = pf[pi[P_PV_KVA] + j]
    p = ready * keep
    room = np.sqrt(max(rating * rating - p * p, 0.0))
    q = clip(reactive_share, -MAX_REACTIVE_SHARE, MAX_REACTIVE_SHARE) * rating
    plan[e, pv + j] = p
    plan[e, pv + n_pv + j] = clip(q, -room, room) if ready > 0.0 else 0.0


@kernel_function
def _able_kw(lane: int, b: int, charging: bool, pf: Float, pi: Int, sf: Float, si: Int) -> float:
    """Power that battery b can take (or give) for a whole step, kW >= 0."""
    scalars = pi[P_SCALARS]
    rating = min(pf[pi[P_BATTERY_KW] + b], pf[pi[P_BATTERY_KVA] + b])
    capacity = pf[pi[P_BATTERY_KWH] + b]
    decay, gain = pf[scalars + X_BATTERY_DECAY], pf[scalars + X_BATTERY_GAIN_H]
    soc = sf[lane, pi[S_SOC_KWH] + b]
    if charging:
        if si[lane, pi[S_RELAY_HOLD_STEPS]] > 0 and sf[lane, pi[S_RELAY_FACTOR]] > 0.0:
            return 0.0
        return charge_limit_kw(soc, capacity, rating, pf[scalars + X_ETA_CHARGE], decay, gain)
    minimum = capacity * pf[scalars + X_SOC_MIN_SHARE]
    return discharge_limit_kw(soc, minimum, rating, pf[scalars + X_ETA_DISCHARGE], decay, gain)


@kernel_function
def _charger_kw(lane: int, j: int, rate: float, pf: Float, pi: Int, sf: Float, si: Int) -> float:
    """Power of one charger: -1 as late as possible, 0 evenly until departure, 1 as fast as possible."""
    step = si[lane, pi[S_STEP]]
    left = si[lane, pi[S_EV_DEPARTURE_STEP] + j] - step
    wanted = sf[lane, pi[S_EV_ENERGY_KWH] + j]
    if step < si[lane, pi[S_EV_ARRIVAL_STEP] + j] or left <= 0 or wanted <= 0.0:
        return 0.0
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    rating = pf[pi[P_EV_KW] + j]
    drawn = wanted / pf[scalars + X_EV_EFFICIENCY]
    full = min(rating, drawn / dt_h)
    even = min(full, drawn / (left * dt_h))
    must = clip((drawn - rating * (left - 1) * dt_h) / dt_h, 0.0, full)
    return even + rate * (full - even) if rate >= 0.0 else even - rate * (must - even)


@kernel_function
def gate_request(
    lane: int, e: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float, plan: Float,
    p_kw: Float, q_kvar: Float,
) -> None:  # fmt: skip
    """The charter's rules, then the hardware; the tile's bus powers become per unit.

    Ramp of set-points (clip), flexibility budget (revert: all batteries idle), export limit of
    each connection (clip: first discharging, then PV). Every rule may always move a set-point
    towards idle, so a later rule cannot break an earlier one.
    """
    sizes = pi[P_SIZES]
    n_bus, n_pv, n_battery = pi[sizes + Z_BUS], pi[sizes + Z_PV], pi[sizes + Z_BATTERY]
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    battery, pv = PLAN_SCALARS, PLAN_SCALARS + n_battery
    governed = pi[S_GOVERNED]
    slew = sf[lane, governed + G_SET_POINT_SLEW_SHARE_PER_HOUR] * dt_h
    moved = 0.0
    throughput = 0.0
    for b in range(n_battery):
        request = plan[e, battery + b]
        able = _able_kw(lane, b, request > 0.0, pf, pi, sf, si)
        feasible = clip(request, -able, able)
        allowed = ramp_limited(
            feasible, sf[lane, pi[S_BATTERY_KW] + b], slew * pf[pi[P_BATTERY_KW] + b]
        )
        moved += abs(allowed - feasible)
        # The ramp may hold a set-point on the other side of 0, where the battery is full or empty.
        able = _able_kw(lane, b, allowed > 0.0, pf, pi, sf, si)
        allowed = clip(allowed, -able, able)
        plan[e, battery + b] = allowed
        throughput += abs(allowed) * dt_h
    if budget_reverts(throughput, sf[lane, pi[S_BUDGET_KWH]]):
        out[0, lane, OUT_EVENT + E_REVERTS] += 1.0
        moved += throughput / dt_h
        for b in range(n_battery):
            plan[e, battery + b] = 0.0
        throughput = 0.0

    for b in range(n_battery):
        p_kw[pi[pi[P_BATTERY_BUS] + b], e] += plan[e, battery + b]
    for j in range(n_pv):
        p_kw[pi[pi[P_PV_BUS] + j], e] -= plan[e, pv + j]
    limit_share = sf[lane, governed + G_EXPORT_LIMIT_SHARE]
    for j in range(n_pv):
        bus = pi[pi[P_PV_BUS] + j]
        over = excess(-p_kw[bus, e], limit_share * pf[pi[P_BUS_PV_KW] + bus])
        if over > _NOTICED_KW:
            for b in range(n_battery):
                if pi[pi[P_BATTERY_BUS] + b] == bus and plan[e, battery + b] < 0.0:
                    cut = min(-plan[e, battery + b], over)
                    plan[e, battery + b] += cut
                    p_kw[bus, e] += cut
                    throughput -= cut * dt_h
                    over -= cut
                    moved += cut
            cut = min(plan[e, pv + j], over)
            plan[e, pv + j] -= cut
            p_kw[bus, e] += cut
            moved += cut
        q_kvar[bus, e] -= plan[e, pv + n_pv + j]
    plan[e, L_THROUGHPUT_KWH] = throughput
    if moved > _NOTICED_KW:
        out[0, lane, OUT_EVENT + E_INTERVENTIONS] += 1.0
        out[0, lane, OUT_EVENT + E_SHIELD_DELTA_KWH] += moved * dt_h
    inverse_base = 1.0 / pf[scalars + X_S_BASE_KVA]
    for k in range(n_bus):
        p_kw[k, e] *= inverse_base
        q_kvar[k, e] *= inverse_base
