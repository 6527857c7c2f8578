"""How an episode begins, and how its clock, forecasts and car sessions advance."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_int64, as_uint64, episode_key, integer, normal_pair, uniform

from .dynamics import (
    STREAM_BUDGET,
    STREAM_EV_INITIAL,
    STREAM_FORECAST,
    STREAM_SOC,
    STREAM_START,
    clip,
    ev_session,
    oil_temperature_c,
)
from .govern import begin_governance
from .layout import (
    C_BUDGET_DAYS,
    C_DAYS,
    C_EPISODE_DAYS,
    C_HORIZON,
    C_START_DAYS,
    C_SUBSTEPS,
    E_EV_UNMET_KWH,
    G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY,
    M_CARRY,
    M_MARKET,
    M_STAGGER,
    N_GOVERNED,
    OUT_EVENT,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    P_BATTERY_KWH,
    P_CALENDAR,
    P_EV_KW,
    P_GOVERNED_INITIAL,
    P_MODES,
    P_SCALARS,
    P_SIZES,
    P_START_DAYS,
    QUARTERS_PER_DAY,
    S_BATTERY_KW,
    S_BUDGET_KWH,
    S_CARRIED,
    S_CURTAILED_SHARE,
    S_DAY,
    S_DONE,
    S_EPISODE,
    S_EPISODE_KEY,
    S_EV_ARRIVAL_STEP,
    S_EV_DAY,
    S_EV_DEPARTURE_STEP,
    S_EV_ENERGY_KWH,
    S_EXCHANGE_KW,
    S_FORCED_DAY,
    S_GOVERNED,
    S_HALT,
    S_HOT_SPOT_C,
    S_INITIAL_EV_KWH,
    S_INITIAL_SOC_KWH,
    S_LOAD_ERROR,
    S_LOAD_KW,
    S_LOADING,
    S_OIL_C,
    S_PV_ERROR,
    S_PV_KW,
    S_PV_TRIP_STEPS,
    S_PV_VOLTAGE_PU,
    S_RELAY_DIRECTION,
    S_RELAY_HOLD_STEPS,
    S_ROOT_KEY,
    S_SOC_KWH,
    S_STARTED,
    S_STEP,
    S_SUMS,
    S_VOLTAGE_PU,
    X_AMBIENT_C,
    X_BATTERY_KWH_TOTAL,
    X_DT_H,
    X_EV_ARRIVAL_H,
    X_EV_ARRIVAL_STD_H,
    X_EV_DEPARTURE_H,
    X_EV_DEPARTURE_STD_H,
    X_EV_EFFICIENCY,
    X_EV_ENERGY_MEAN_SHARE,
    X_EV_PRESENCE,
    X_FORECAST_INNOVATION,
    X_FORECAST_PERSISTENCE,
    X_HALT_LOADING,
    X_HALT_STEPS,
    X_INITIAL_SOC_HIGH,
    X_INITIAL_SOC_LOW,
    X_LOSS_RATIO,
    X_OIL_EXPONENT,
    X_OIL_RISE_C,
    X_SLACK_VOLTAGE_PU,
    Z_BATTERY,
    Z_BUS,
    Z_EV,
    Z_PV,
)
from .members import begin_members


@kernel_function
def begin_episode(lane: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int) -> None:
    """Begin the lane's next episode: a drawn (or forced) day, or the next one when carrying on."""
    calendar = pi[P_CALENDAR]
    horizon = pi[calendar + C_HORIZON]
    over = si[lane, pi[S_EPISODE]] >= 0 and si[lane, pi[S_DONE]] == 1
    if pi[pi[P_MODES] + M_CARRY] == 1 and over and si[lane, pi[S_FORCED_DAY]] < 0:
        _carry_on(lane, pi, sf, si)
        si[lane, pi[S_CARRIED]] = 1
    else:
        si[lane, pi[S_CARRIED]] = 0
        episode = si[lane, pi[S_EPISODE]] + 1
        key = episode_key(as_uint64(si[lane, pi[S_ROOT_KEY]]), episode)
        si[lane, pi[S_EPISODE]] = episode
        si[lane, pi[S_EPISODE_KEY]] = as_int64(key)
        day = pi[pi[P_START_DAYS] + integer(key, STREAM_START, 0, 0, pi[calendar + C_START_DAYS])]
        if si[lane, pi[S_FORCED_DAY]] >= 0:
            day = si[lane, pi[S_FORCED_DAY]]
        si[lane, pi[S_FORCED_DAY]] = -1
        si[lane, pi[S_DAY]] = day
        step: Any = 0
        if pi[pi[P_MODES] + M_STAGGER] == 1 and episode == 0:
            step = integer(key, STREAM_START, 0, 1, horizon)
        si[lane, pi[S_STEP]] = step
        _set_devices(lane, key, pf, pi, charter, sf, si)
    si[lane, pi[S_STARTED]] = si[lane, pi[S_STEP]]
    si[lane, pi[S_DONE]] = 0
    sf[lane, pi[S_INITIAL_SOC_KWH]] = total_soc_kwh(lane, pi, sf)
    sf[lane, pi[S_INITIAL_EV_KWH]] = total_ev_kwh(lane, pi, sf, si)
    if len(charter) > 0 and pi[pi[P_MODES] + M_MARKET] == 1:
        begin_members(lane, pi, sf)
    for c in range(OUT_WIDTH_VOTED if len(charter) > 0 else OUT_WIDTH):
        sf[lane, pi[S_SUMS] + c] = 0.0


@kernel_function
def _carry_on(lane: int, pi: Int, sf: Float, si: Int) -> None:
    """Continuous operation: the clock goes back by one episode, everything else stays."""
    calendar = pi[P_CALENDAR]
    episode_days = pi[calendar + C_EPISODE_DAYS]
    horizon = pi[calendar + C_HORIZON]
    si[lane, pi[S_EPISODE]] += 1
    day = si[lane, pi[S_DAY]] + episode_days
    # After the last whole episode of the calendar comes its first day.
    si[lane, pi[S_DAY]] = day if day + episode_days <= pi[calendar + C_DAYS] else 0
    si[lane, pi[S_STEP]] -= horizon
    for j in range(pi[pi[P_SIZES] + Z_EV]):
        si[lane, pi[S_EV_DAY] + j] -= episode_days
        si[lane, pi[S_EV_ARRIVAL_STEP] + j] -= horizon
        si[lane, pi[S_EV_DEPARTURE_STEP] + j] -= horizon


@kernel_function
def _set_devices(lane: int, key: Any, pf: Float, pi: Int, charter: Any, sf: Float, si: Int) -> None:
    sizes = pi[P_SIZES]
    scalars = pi[P_SCALARS]
    share_low = pf[scalars + X_INITIAL_SOC_LOW]
    share_high = pf[scalars + X_INITIAL_SOC_HIGH]
    for b in range(pi[sizes + Z_BATTERY]):
        share = share_low + (share_high - share_low) * uniform(key, STREAM_SOC, 0, b)
        sf[lane, pi[S_SOC_KWH] + b] = share * pf[pi[P_BATTERY_KWH] + b]
        sf[lane, pi[S_BATTERY_KW] + b] = 0.0
    for k in range(pi[sizes + Z_BUS]):
        sf[lane, pi[S_VOLTAGE_PU] + k] = pf[scalars + X_SLACK_VOLTAGE_PU]
    for j in range(pi[sizes + Z_PV]):
        si[lane, pi[S_PV_TRIP_STEPS] + j] = 0
        sf[lane, pi[S_PV_VOLTAGE_PU] + j] = pf[scalars + X_SLACK_VOLTAGE_PU]
    si[lane, pi[S_RELAY_HOLD_STEPS]] = 0
    sf[lane, pi[S_RELAY_DIRECTION]] = 0.0
    oil = oil_temperature_c(
        0.0, 0.3, pf[scalars + X_AMBIENT_C], pf[scalars + X_OIL_RISE_C],
        pf[scalars + X_LOSS_RATIO], pf[scalars + X_OIL_EXPONENT], 0.0,
    )  # fmt: skip
    sf[lane, pi[S_OIL_C]] = oil
    sf[lane, pi[S_HOT_SPOT_C]] = oil
    sf[lane, pi[S_LOADING]] = 0.0
    sf[lane, pi[S_EXCHANGE_KW]] = 0.0
    sf[lane, pi[S_LOAD_KW]] = 0.0
    sf[lane, pi[S_PV_KW]] = 0.0
    sf[lane, pi[S_CURTAILED_SHARE]] = 0.0
    load_error, pv_error = normal_pair(key, STREAM_START, 0, 2)
    sf[lane, pi[S_LOAD_ERROR]] = load_error
    sf[lane, pi[S_PV_ERROR]] = pv_error
    for g in range(N_GOVERNED):
        sf[lane, pi[S_GOVERNED] + g] = pf[pi[P_GOVERNED_INITIAL] + g]
    if len(charter) > 0:
        begin_governance(lane, key, charter, pf, pi, sf, si)
    # Within a span of several days, episodes begin anywhere.
    days = pi[pi[P_CALENDAR] + C_BUDGET_DAYS]
    kept = (days - 1) * uniform(key, STREAM_BUDGET, 0, 0) if days > 1 else 0.0
    sf[lane, pi[S_BUDGET_KWH]] = kept * daily_budget_kwh(lane, pf, pi, sf)
    fill_budget(lane, pf, pi, sf)
    step = si[lane, pi[S_STEP]]
    for j in range(pi[sizes + Z_EV]):
        _draw_session(lane, j, -1, key, pf, pi, sf, si)
        while si[lane, pi[S_EV_DEPARTURE_STEP] + j] <= step:
            _draw_session(lane, j, si[lane, pi[S_EV_DAY] + j] + 1, key, pf, pi, sf, si)
        if si[lane, pi[S_EV_ARRIVAL_STEP] + j] < step:
            left = uniform(key, STREAM_EV_INITIAL, 0, j)
            hours = (si[lane, pi[S_EV_DEPARTURE_STEP] + j] - step - 1) * pf[scalars + X_DT_H]
            rate = pf[pi[P_EV_KW] + j] * pf[scalars + X_EV_EFFICIENCY]
            wanted = sf[lane, pi[S_EV_ENERGY_KWH] + j]
            sf[lane, pi[S_EV_ENERGY_KWH] + j] = clip(wanted * left, 0.0, max(rate * hours, 0.0))


@kernel_function
def daily_budget_kwh(lane: int, pf: Float, pi: Int, sf: Float) -> float:
    """Battery throughput that the charter grants for a day; a cycle charges and discharges once."""
    cycles = sf[lane, pi[S_GOVERNED] + G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY]
    return 2.0 * cycles * pf[pi[P_SCALARS] + X_BATTERY_KWH_TOTAL]


@kernel_function
def fill_budget(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    """Midnight: the day's flexibility is added to what is left; no more is kept than for the span.

    With a span of one day nothing is kept: the budget is that of the day.
    """
    daily = daily_budget_kwh(lane, pf, pi, sf)
    days = pi[pi[P_CALENDAR] + C_BUDGET_DAYS]
    left = sf[lane, pi[S_BUDGET_KWH]] + daily
    sf[lane, pi[S_BUDGET_KWH]] = min(left, days * daily)


@kernel_function
def _draw_session(
    lane: int, charger: int, day: int, key: Any, pf: Float, pi: Int, sf: Float, si: Int
) -> None:
    """The session of day `day` of the episode (-1: last evening), in steps from its start."""
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    rate = pf[pi[P_EV_KW] + charger] * pf[scalars + X_EV_EFFICIENCY]
    arrival_h, departure_h, energy = ev_session(
        key, si[lane, pi[S_DAY]] + day + 1, charger, pf[scalars + X_EV_PRESENCE],
        pf[scalars + X_EV_ARRIVAL_H], pf[scalars + X_EV_ARRIVAL_STD_H],
        pf[scalars + X_EV_DEPARTURE_H], pf[scalars + X_EV_DEPARTURE_STD_H],
        pf[scalars + X_EV_ENERGY_MEAN_SHARE] * pf[pi[P_EV_KW] + charger], rate,
    )  # fmt: skip
    steps_per_day = QUARTERS_PER_DAY * pi[pi[P_CALENDAR] + C_SUBSTEPS]
    # Whole quarter-hours, so that the step length does not move a session.
    substeps = pi[pi[P_CALENDAR] + C_SUBSTEPS]
    arrival = int(arrival_h * 4.0) * substeps
    departure = int(departure_h * 4.0) * substeps
    si[lane, pi[S_EV_DAY] + charger] = day
    si[lane, pi[S_EV_ARRIVAL_STEP] + charger] = day * steps_per_day + arrival
    si[lane, pi[S_EV_DEPARTURE_STEP] + charger] = day * steps_per_day + departure
    sf[lane, pi[S_EV_ENERGY_KWH] + charger] = min(energy, rate * (departure - arrival) * dt_h)


@kernel_function
def close_sessions(lane: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """Cars that leave at the end of this step: unmet energy is recorded, the next session drawn."""
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    end = si[lane, pi[S_STEP]] + 1
    for j in range(pi[pi[P_SIZES] + Z_EV]):
        if si[lane, pi[S_EV_DEPARTURE_STEP] + j] <= end:
            unmet = sf[lane, pi[S_EV_ENERGY_KWH] + j]
            if unmet > 1e-9:
                out[0, lane, OUT_EVENT + E_EV_UNMET_KWH] += unmet
            _draw_session(lane, j, si[lane, pi[S_EV_DAY] + j] + 1, key, pf, pi, sf, si)


@inlined_function
def advance_clock(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """End of the step: the clock advances, forecasts drift."""
    substeps = pi[pi[P_CALENDAR] + C_SUBSTEPS]
    steps_per_day = QUARTERS_PER_DAY * substeps
    step = si[lane, pi[S_STEP]] + 1
    si[lane, pi[S_STEP]] = step
    calendar_step = si[lane, pi[S_DAY]] * steps_per_day + step
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    load_noise, pv_noise = normal_pair(key, STREAM_FORECAST, calendar_step, 0)
    persistence = pf[pi[P_SCALARS] + X_FORECAST_PERSISTENCE]
    innovation = pf[pi[P_SCALARS] + X_FORECAST_INNOVATION]
    sf[lane, pi[S_LOAD_ERROR]] = persistence * sf[lane, pi[S_LOAD_ERROR]] + innovation * load_noise
    sf[lane, pi[S_PV_ERROR]] = persistence * sf[lane, pi[S_PV_ERROR]] + innovation * pv_noise


@inlined_function
def begin_day(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Midnight fills the budget, under the rules that the governor left."""
    steps_per_day = QUARTERS_PER_DAY * pi[pi[P_CALENDAR] + C_SUBSTEPS]
    if si[lane, pi[S_STEP]] % steps_per_day == 0:
        fill_budget(lane, pf, pi, sf)


@inlined_function
def advance_halt(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """The guardian's circuit breaker looks at the step that has just been done."""
    halt = pi[S_HALT]
    if sf[lane, pi[S_LOADING]] > pf[pi[P_SCALARS] + X_HALT_LOADING]:
        si[lane, halt] = int(pf[pi[P_SCALARS] + X_HALT_STEPS])
    elif si[lane, halt] > 0:
        si[lane, halt] -= 1


@kernel_function
def total_soc_kwh(lane: int, pi: Int, sf: Float) -> float:
    """Energy stored in all batteries, kWh."""
    total = 0.0
    for b in range(pi[pi[P_SIZES] + Z_BATTERY]):
        total += sf[lane, pi[S_SOC_KWH] + b]
    return total


@kernel_function
def total_ev_kwh(lane: int, pi: Int, sf: Float, si: Int) -> float:
    """Energy that the connected cars still want, kWh."""
    total = 0.0
    for j in range(pi[pi[P_SIZES] + Z_EV]):
        if si[lane, pi[S_EV_ARRIVAL_STEP] + j] <= si[lane, pi[S_STEP]]:
            total += sf[lane, pi[S_EV_ENERGY_KWH] + j]
    return total
