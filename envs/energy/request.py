"""The first half of a step: the world of this step, the request, and the charter's gate.

Bus powers in the tile are kW and kvar; the power flow takes them per unit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.governance_columns import ADVERSARY_ASKS
from daogym.envs.dao.lane import asked_columns, read_request
from daogym.envs.dao.lane_layout import FACT_OPERATOR_VOTES
from daogym.envs.dao.rules import budget_reverts, excess, ramp_limited

from .dynamics import charge_limit_kw, clip, discharge_limit_kw, volt_var_share
from .layout import (
    C_DAYS,
    C_SUBSTEPS,
    D_LOAD_DAY,
    D_PV_DAY,
    E_HALTED_STEPS,
    E_INTERVENTIONS,
    E_INVALID_ACTIONS,
    E_REVERTS,
    E_SHIELD_DELTA_KWH,
    G_EXPORT_LIMIT_SHARE,
    G_IMPORT_FEE_EUR_PER_KWH,
    G_SET_POINT_SLEW_SHARE_PER_HOUR,
    L_DAY,
    L_EV_KW,
    L_FEE_CHANGE_EUR_PER_KWH,
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
    S_HALT,
    S_PV_TRIP_STEPS,
    S_PV_VOLTAGE_PU,
    S_RELAY_DIRECTION,
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
    X_IMPORT_FEE_EUR_PER_KWH,
    X_SOC_MIN_SHARE,
    X_TRANSFORMER_KVA,
    Z_ACTION,
    Z_BATTERY,
    Z_BUS,
    Z_EV,
    Z_PV,
)

Float32 = NDArray[np.float32]

# Actions of the "fleet" mode before the batteries' offsets.
A_EXCHANGE, A_EXPORT_CAP, A_EV_RATE, A_REACTIVE, N_FLEET = 0, 1, 2, 3, 4
MAX_REACTIVE_SHARE = 0.44
# A small range, so that exploring five offsets does not drown what the fleet does together.
MAX_OFFSET_SHARE = 0.2
_NOTICED_KW = 1e-9


@kernel_function
def relay_holds(lane: int, pi: Int, sf: Float, si: Int) -> float:
    """1 where the transformer relay holds imports down, -1 where exports, else 0."""
    held = si[lane, pi[S_RELAY_HOLD_STEPS]] > 0
    return sf[lane, pi[S_RELAY_DIRECTION]] if held else 0.0


@kernel_function
def read_world(
    lane: int, e: int, pf: Float, pi: Int, rows: Float32, days: Float, sf: Float, si: Int,
    plan: Float, p_kw: Float, q_kvar: Float,
) -> None:  # fmt: skip
    """Loads and available PV of this step, after what tripped inverters and the relay take away.

    A relay that holds imports down sheds load above the transformer's rating; one that holds
    exports down curtails PV above rating plus load.
    """
    sizes = pi[P_SIZES]
    n_bus, n_pv, n_battery = pi[sizes + Z_BUS], pi[sizes + Z_PV], pi[sizes + Z_BATTERY]
    calendar = pi[P_CALENDAR]
    quarter_of_episode = si[lane, pi[S_STEP]] // pi[calendar + C_SUBSTEPS]
    first_day = si[lane, pi[S_DAY]]
    day = (first_day + quarter_of_episode // QUARTERS_PER_DAY) % pi[calendar + C_DAYS]
    quarter_of_day = quarter_of_episode % QUARTERS_PER_DAY
    load_row = int(days[D_LOAD_DAY, day]) * QUARTERS_PER_DAY + quarter_of_day
    pv_row = int(days[D_PV_DAY, day]) * QUARTERS_PER_DAY + quarter_of_day
    holding = relay_holds(lane, pi, sf, si)
    rating_kva = pf[pi[P_SCALARS] + X_TRANSFORMER_KVA]

    load = 0.0
    for k in range(n_bus):
        kw = float(rows[load_row, k])
        load += kw
        p_kw[k, e] = kw
        q_kvar[k, e] = rows[load_row, n_bus + k]
    served = load
    if holding > 0.0 and load > rating_kva:
        served = rating_kva
        for k in range(n_bus):
            p_kw[k, e] *= rating_kva / load
            q_kvar[k, e] *= rating_kva / load

    available = 0.0
    ready = 0.0
    pv = PLAN_SCALARS + n_battery
    kva, trips = pi[P_PV_KVA], pi[S_PV_TRIP_STEPS]
    for j in range(n_pv):
        kw = float(rows[pv_row, 2 * n_bus + j])
        available += kw
        kw = min(kw, pf[kva + j]) if si[lane, trips + j] == 0 else 0.0
        plan[e, pv + j] = kw
        ready += kw
    if holding < 0.0 and ready > rating_kva + served:
        factor = (rating_kva + served) / ready
        for j in range(n_pv):
            plan[e, pv + j] *= factor
        ready = rating_kva + served
    plan[e, L_QUARTER] = PAST_QUARTERS + first_day * QUARTERS_PER_DAY + quarter_of_episode
    plan[e, L_DAY] = day
    plan[e, L_LOAD_KW] = served
    plan[e, L_SHED_KW] = load - served
    plan[e, L_PV_AVAILABLE_KW] = available
    plan[e, L_PV_READY_KW] = ready
    # The world's import price holds the tariff's fee; kept here, as votes change it in this step.
    fee = sf[lane, pi[S_GOVERNED] + G_IMPORT_FEE_EUR_PER_KWH]
    plan[e, L_FEE_CHANGE_EUR_PER_KWH] = fee - pf[pi[P_SCALARS] + X_IMPORT_FEE_EUR_PER_KWH]
    _write_limits(lane, e, holding, pf, pi, sf, plan)


@kernel_function
def _write_limits(
    lane: int, e: int, holding: float, pf: Float, pi: Int, sf: Float, plan: Float
) -> None:
    """What each battery can take and give for a whole step, kW; last columns of the plan."""
    sizes = pi[P_SIZES]
    n_battery = pi[sizes + Z_BATTERY]
    scalars = pi[P_SCALARS]
    decay, gain = pf[scalars + X_BATTERY_DECAY], pf[scalars + X_BATTERY_GAIN_H]
    eta_charge, eta_discharge = pf[scalars + X_ETA_CHARGE], pf[scalars + X_ETA_DISCHARGE]
    minimum = pf[scalars + X_SOC_MIN_SHARE]
    take = PLAN_SCALARS + n_battery + 2 * pi[sizes + Z_PV] + pi[sizes + Z_EV]
    kw, kva, kwh, soc = pi[P_BATTERY_KW], pi[P_BATTERY_KVA], pi[P_BATTERY_KWH], pi[S_SOC_KWH]
    for b in range(n_battery):
        rating = min(pf[kw + b], pf[kva + b])
        capacity = pf[kwh + b]
        stored = sf[lane, soc + b]
        charge = charge_limit_kw(stored, capacity, rating, eta_charge, decay, gain)
        discharge = discharge_limit_kw(
            stored, capacity * minimum, rating, eta_discharge, decay, gain
        )
        plan[e, take + b] = charge if holding <= 0.0 else 0.0
        plan[e, take + n_battery + b] = discharge if holding >= 0.0 else 0.0


@kernel_function
def _read_actions(
    lane: int, n_action: int, actions: Float32, out: Float, clean: Float, e: int
) -> None:
    """Actions inside [-1, 1]; what is not a number counts as 0, and both cases are recorded."""
    invalid = 0
    for a in range(n_action):
        value = float(actions[lane, a])
        held = clip(value, -1.0, 1.0) if value == value else 0.0
        if held != value:
            invalid += 1
        clean[e, a] = held
    out[0, lane, OUT_EVENT + E_INVALID_ACTIONS] = invalid


@kernel_function
def make_request(
    lane: int, e: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, actions: Float32,
    out: Float, clean: Float, plan: Float, p_kw: Float,
) -> None:  # fmt: skip
    """The normalised action becomes set-points of batteries, PV and chargers in kW.

    "fleet": the batteries together track a wanted exchange with the grid, each in proportion to
    what it can do, plus an offset of its own; PV is curtailed above a wanted largest export.
    "device": one set-point for each device.

    During an emergency halt the agent is not asked: batteries idle, every other action is 0.
    """
    sizes = pi[P_SIZES]
    n_pv, n_battery, n_ev = pi[sizes + Z_PV], pi[sizes + Z_BATTERY], pi[sizes + Z_EV]
    scalars = pi[P_SCALARS]
    battery, pv = PLAN_SCALARS, PLAN_SCALARS + n_battery
    device = pi[pi[P_MODES] + M_ACTION_DEVICE] == 1
    _read_actions(lane, pi[sizes + Z_ACTION], actions, out, clean, e)
    halted = False
    if len(charter) > 0:
        halted = si[lane, pi[S_HALT]] > 0
        n, asked = pi[sizes + Z_ACTION], asked_columns(charter)
        if halted:
            # A halt stops the grid's devices and its DAO's offices, not an attacker.
            kept = asked if charter[FACT_OPERATOR_VOTES] == ADVERSARY_ASKS else 0
            clean[e, : n - kept] = 0.0
            out[0, lane, OUT_EVENT + E_HALTED_STEPS] = 1.0
            out[0, lane, OUT_EVENT + E_INTERVENTIONS] = 1.0
        if asked > 0:
            read_request(lane, charter, S_GOVERNED, pi, sf, clean[e, n - asked : n])
    chargers = _request_chargers(lane, e, device, pf, pi, sf, si, clean, plan, p_kw)
    kw = pi[P_BATTERY_KW]
    bus, volts = pi[P_PV_BUS], pi[S_VOLTAGE_PU]
    if device:
        for b in range(n_battery):
            plan[e, battery + b] = clean[e, b] * pf[kw + b]
        for j in range(n_pv):
            live = sf[lane, volts + pi[bus + j]] > 0.5
            reactive = clean[e, n_battery + n_pv + j] * MAX_REACTIVE_SHARE if live else 0.0
            keep = clip(1.0 + clean[e, n_battery + j], 0.0, 1.0)
            _set_inverter(e, j, pf, pi, plan, pv, n_pv, keep, reactive)
        return

    base = plan[e, L_LOAD_KW] + chargers - plan[e, L_PV_READY_KW]
    rating_kva = pf[scalars + X_TRANSFORMER_KVA]
    wanted = 0.0 if halted else clean[e, A_EXCHANGE] * rating_kva - base
    take = pv + 2 * n_pv + n_ev
    able = take if wanted > 0.0 else take + n_battery
    fleet = 0.0
    for b in range(n_battery):
        fleet += plan[e, able + b]
    share = clip(wanted / fleet, -1.0, 1.0) if fleet > 0.0 else 0.0
    total = 0.0
    for b in range(n_battery):
        power = share * plan[e, able + b] + clean[e, N_FLEET + b] * (MAX_OFFSET_SHARE * pf[kw + b])
        power = clip(power, -plan[e, take + n_battery + b], plan[e, take + b])
        plan[e, battery + b] = power
        total += power
    cap = rating_kva * (1.0 + clean[e, A_EXPORT_CAP])
    ready = plan[e, L_PV_READY_KW]
    cut = max(-(base + total) - cap, 0.0)
    keep = clip(1.0 - cut / ready, 0.0, 1.0) if cut > 0.0 and ready > 0.0 else 1.0
    offset = clean[e, A_REACTIVE] * MAX_REACTIVE_SHARE
    smoothed = pi[S_PV_VOLTAGE_PU]
    for j in range(n_pv):
        live = sf[lane, volts + pi[bus + j]] > 0.5
        reactive = volt_var_share(sf[lane, smoothed + j]) + offset if live else 0.0
        _set_inverter(e, j, pf, pi, plan, pv, n_pv, keep, reactive)


@kernel_function
def _set_inverter(
    e: int, j: int, pf: Float, pi: Int, plan: Float, pv: int, n_pv: int, keep: float,
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
def _request_chargers(
    lane: int, e: int, device: bool, pf: Float, pi: Int, sf: Float, si: Int, clean: Float,
    plan: Float, p_kw: Float,
) -> float:  # fmt: skip
    """Power of all chargers, kW; an importing relay leaves them what the loads leave over.

    Rate -1 charges as late as possible, 0 evenly until departure, 1 as fast as possible.
    """
    sizes = pi[P_SIZES]
    n_pv, n_battery, n_ev = pi[sizes + Z_PV], pi[sizes + Z_BATTERY], pi[sizes + Z_EV]
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    per_hour = 1.0 / dt_h
    ev = PLAN_SCALARS + n_battery + 2 * n_pv
    step = si[lane, pi[S_STEP]]
    arrival, departure = pi[S_EV_ARRIVAL_STEP], pi[S_EV_DEPARTURE_STEP]
    energy, ratings = pi[S_EV_ENERGY_KWH], pi[P_EV_KW]
    total = 0.0
    for j in range(n_ev):
        left = si[lane, departure + j] - step
        wanted = sf[lane, energy + j]
        kw = 0.0
        if step >= si[lane, arrival + j] and left > 0 and wanted > 0.0:
            rate = clean[e, n_battery + 2 * n_pv + j] if device else clean[e, A_EV_RATE]
            rating = pf[ratings + j]
            drawn = wanted * per_hour / pf[scalars + X_EV_EFFICIENCY]
            full = min(rating, drawn)
            even = min(full, drawn / left)
            must = clip(drawn - rating * (left - 1), 0.0, full)
            kw = even + rate * (full - even) if rate >= 0.0 else even - rate * (must - even)
        plan[e, ev + j] = kw
        total += kw
    if total > 0.0 and relay_holds(lane, pi, sf, si) > 0.0:
        room = max(pf[scalars + X_TRANSFORMER_KVA] - plan[e, L_LOAD_KW], 0.0)
        if total > room:
            for j in range(n_ev):
                plan[e, ev + j] *= room / total
            total = room
    bus = pi[P_EV_BUS]
    for j in range(n_ev):
        p_kw[pi[bus + j], e] += plan[e, ev + j]
    plan[e, L_EV_KW] = total
    return total


@kernel_function
def gate_request(
    lane: int, e: int, pf: Float, pi: Int, sf: Float, out: Float, plan: Float, p_kw: Float,
    q_kvar: Float,
) -> None:  # fmt: skip
    """The charter's rules on top of the hardware's limits.

    Ramp of set-points (clip), flexibility budget (revert: all batteries idle), export limit of
    each connection (clip: first discharging, then PV). Every rule may always move a set-point
    towards idle, so a later rule cannot break an earlier one.
    """
    sizes = pi[P_SIZES]
    n_pv, n_battery, n_ev = pi[sizes + Z_PV], pi[sizes + Z_BATTERY], pi[sizes + Z_EV]
    dt_h = pf[pi[P_SCALARS] + X_DT_H]
    battery, pv = PLAN_SCALARS, PLAN_SCALARS + n_battery
    take = pv + 2 * n_pv + n_ev
    governed = pi[S_GOVERNED]
    slew = sf[lane, governed + G_SET_POINT_SLEW_SHARE_PER_HOUR] * dt_h
    last, ratings, battery_bus = pi[S_BATTERY_KW], pi[P_BATTERY_KW], pi[P_BATTERY_BUS]
    moved = 0.0
    power = 0.0
    for b in range(n_battery):
        least, most = -plan[e, take + n_battery + b], plan[e, take + b]
        feasible = clip(plan[e, battery + b], least, most)
        allowed = ramp_limited(feasible, sf[lane, last + b], slew * pf[ratings + b])
        moved += abs(allowed - feasible)
        allowed = clip(allowed, least, most)
        plan[e, battery + b] = allowed
        power += abs(allowed)
    if budget_reverts(power * dt_h, sf[lane, pi[S_BUDGET_KWH]]):
        out[0, lane, OUT_EVENT + E_REVERTS] = 1.0
        moved += power
        for b in range(n_battery):
            plan[e, battery + b] = 0.0
        power = 0.0

    for b in range(n_battery):
        p_kw[pi[battery_bus + b], e] += plan[e, battery + b]
    pv_bus = pi[P_PV_BUS]
    for j in range(n_pv):
        p_kw[pi[pv_bus + j], e] -= plan[e, pv + j]
        q_kvar[pi[pv_bus + j], e] -= plan[e, pv + n_pv + j]
    limit_share = sf[lane, governed + G_EXPORT_LIMIT_SHARE]
    installed = pi[P_BUS_PV_KW]
    for j in range(n_pv):
        bus = pi[pv_bus + j]
        over = excess(-p_kw[bus, e], limit_share * pf[installed + bus])
        if over > _NOTICED_KW:
            for b in range(n_battery):
                if pi[battery_bus + b] == bus and plan[e, battery + b] < 0.0:
                    cut = min(-plan[e, battery + b], over)
                    plan[e, battery + b] += cut
                    p_kw[bus, e] += cut
                    power -= cut
                    over -= cut
                    moved += cut
            cut = min(plan[e, pv + j], over)
            plan[e, pv + j] -= cut
            p_kw[bus, e] += cut
            moved += cut
    plan[e, L_THROUGHPUT_KWH] = power * dt_h
    if moved > _NOTICED_KW:
        out[0, lane, OUT_EVENT + E_INTERVENTIONS] = 1.0
        out[0, lane, OUT_EVENT + E_SHIELD_DELTA_KWH] = moved * dt_h
