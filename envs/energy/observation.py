"""What the operator sees: the fields, and the compiled function that fills them.

Everything is what an operator really has: day-ahead prices once they are published, measured
load and PV of the last step, forecasts with a modelled error, the own devices' states.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.lane_layout import FACT_PARAMETERS

from .dynamics import clip
from .feeder import Feeder
from .govern import first_column, write_governance
from .layout import (
    BLOCK_QUARTERS,
    C_HORIZON,
    C_PUBLICATION_QUARTER,
    C_SUBSTEPS,
    C_WINDOW_QUARTERS,
    D_STOCK_PRICE,
    D_WEEKEND,
    D_YEAR_COS,
    D_YEAR_SIN,
    FORECAST_BLOCKS,
    GOVERNED,
    N_GOVERNED_STATIC,
    P_CALENDAR,
    P_CLOCK,
    P_EV_KW,
    P_FORECAST_LOAD,
    P_FORECAST_PV,
    P_OBSERVATION_LOW,
    P_OBSERVATION_SCALE,
    P_SCALARS,
    P_SIZES,
    PAST_QUARTERS,
    PRICE_HOURS,
    QUARTERS_PER_DAY,
    S_BATTERY_KW,
    S_BUDGET_KWH,
    S_CURTAILED_SHARE,
    S_DAY,
    S_EV_ARRIVAL_STEP,
    S_EV_DEPARTURE_STEP,
    S_EV_ENERGY_KWH,
    S_EXCHANGE_KW,
    S_GOVERNED,
    S_HOT_SPOT_C,
    S_LOAD_ERROR,
    S_LOAD_KW,
    S_LOADING,
    S_OIL_C,
    S_PV_ERROR,
    S_PV_KW,
    S_PV_TRIP_STEPS,
    S_PV_VOLTAGE_PU,
    S_RELAY_HOLD_STEPS,
    S_SOC_KWH,
    S_STEP,
    S_VOLTAGE_PU,
    W_LOAD_BLOCK_KW,
    W_PV_BLOCK_KW,
    X_BATTERY_KWH_TOTAL,
    X_DT_H,
    Z_BATTERY,
    Z_BUS,
    Z_EV,
    Z_OBSERVATION,
    Z_PV,
)

PRICE_LOW, PRICE_HIGH = -0.1, 0.4
DEVIATION = 0.2


def observation_fields(
    feeder: Feeder,
    transformer_kva: float,
    load_kw_high: float,
    budget_kwh_high: float,
    governed_low: Float,
    governed_high: Float,
    governance: Sequence[Field] = (),
    operator: Sequence[Field] = (),
) -> FieldSet:
    """Fields in the order in which `write_observation` fills them.

    Prices after the end of the episode (or of the decision window, see `EnergyDomain`) are shown
    as the price at which the stock is valued then.

    Under a charter that is voted on, all governed parameters are shown, `governance` (the live
    proposal on each) and, where the operator proposes, too, `operator` (its bonds); else the
    parameters that are not a matter of prices.

    Values outside a declared range (a price peak above 0.4 EUR/kWh, say) are held at its end.
    """
    n_bus = len(feeder.parent) - 1
    n_pv, n_battery, n_ev = len(feeder.pv_bus), len(feeder.battery_bus), len(feeder.ev_bus)
    pv_kw = max(float(feeder.pv_p_kw.sum()), 1.0)
    # A vote may lift the export limit to all that is installed.
    loading = 4.0 if governance else 2.0
    exchange = loading * transformer_kva
    shown = len(governed_low) if governance else N_GOVERNED_STATIC
    block = f"mean of each of the next {FORECAST_BLOCKS} two-hour blocks, forecast"
    fields = [
        Field("hour_sin", "1", -1.0, 1.0, doc="sine of the local hour on the 24 h circle"),
        Field("hour_cos", "1", -1.0, 1.0, doc="cosine of the local hour on the 24 h circle"),
        Field("weekend", "1", 0.0, 1.0, doc="1 on Saturday and Sunday"),
        Field("year_sin", "1", -1.0, 1.0, doc="sine of the day on the circle of the year"),
        Field("year_cos", "1", -1.0, 1.0, doc="cosine of the day on the circle of the year"),
        Field("time_left", "1", 0.0, 1.0, doc="share of the episode still to come"),
        Field("price", "EUR/kWh", PRICE_LOW, PRICE_HIGH, doc="day-ahead price now"),
        Field("stock_price", "EUR/kWh", 0.0, PRICE_HIGH,
              doc="today's mean price, not below 0: what a stored kWh is worth at the end"),
        Field("price_mean", "EUR/kWh", PRICE_LOW, PRICE_HIGH, doc="mean over the next 24 h"),
        Field("price_spread", "EUR/kWh", 0.0, 0.5, doc="highest minus lowest of the next 24 h"),
        Field("price_rank", "1", 0.0, 1.0, doc="share of the next 24 h that is cheaper than now"),
        Field("price_known_hours", "h", 0.0, 24.0,
              doc="how many of the 24 hours are published; later ones show the last day's price"),
        Field("price_deviation", "EUR/kWh", -DEVIATION, DEVIATION, (PRICE_HOURS,),
              "price of this and the next 23 hours minus stock_price; 0 after the end"),
        Field("load_forecast", "kW", 0.0, load_kw_high, (FORECAST_BLOCKS,), f"load: {block}"),
        Field("pv_forecast", "kW", 0.0, pv_kw, (FORECAST_BLOCKS,), f"available PV: {block}"),
        Field("load", "kW", 0.0, load_kw_high, doc="load in the last step, measured"),
        Field("pv", "kW", 0.0, pv_kw, doc="PV output in the last step, measured"),
        Field("exchange", "kW", -exchange, exchange, doc="last exchange, import positive"),
        Field("curtailed_share", "1", 0.0, 1.0, doc="last share of available PV not used"),
        Field("loading", "1", 0.0, loading, doc="last transformer loading |S| / rating"),
        Field("oil_temperature", "degC", 0.0, 160.0, doc="top oil of the transformer"),
        Field("hot_spot_temperature", "degC", 0.0, 200.0, doc="hot spot of the transformer"),
        Field("relay_hold", "h", 0.0, 2.0, doc="time until the transformer relay lets go"),
        Field("soc_share", "1", 0.0, 1.0, doc="stored energy of all batteries / capacity"),
        Field("budget_left", "kWh", 0.0, budget_kwh_high,
              doc="battery throughput the charter still allows; a day's is added at midnight"),
        Field("governed", "1", governed_low[:shown], governed_high[:shown], (shown,),
              f"charter parameters in force: {', '.join(GOVERNED[:shown])}"),
        Field("bus_voltage", "pu", 0.8, 1.2, (n_bus,), "last voltage of each bus but the slack"),
    ]  # fmt: skip
    if n_battery:
        capacity, rating = feeder.battery_e_kwh, feeder.battery_p_kw
        fields += [
            Field("soc", "kWh", 0.0, capacity, (n_battery,), "stored energy of each battery"),
            Field("battery", "kW", -rating, rating, (n_battery,), "last power, charging positive"),
        ]
    if n_ev:
        wanted = feeder.ev_p_kw * 12.0
        fields += [
            Field("ev_power_needed", "1", 0.0, 1.0, (n_ev,),
                  "energy wanted / what full power until departure gives; 0 when no car is there"),
            Field("ev_energy", "kWh", 0.0, wanted, (n_ev,), "energy the connected car wants"),
            Field("ev_hours_left", "h", 0.0, 24.0, (n_ev,), "hours until the car leaves"),
        ]  # fmt: skip
    if n_pv:
        fields += [
            Field("pv_trip", "h", 0.0, 1.0, (n_pv,), "time until a tripped inverter reconnects"),
            Field("pv_voltage", "pu", 0.8, 1.2, (n_pv,), "smoothed voltage, which volt-var sees"),
        ]
    if governance:
        fields += [
            *governance,
            Field("halt_left", "h", 0.0, 24.0, doc="how long the emergency halt goes on"),
            *operator,
        ]  # fmt: skip
    return FieldSet(fields)


@kernel_function
def load_forecast_kw(
    world: Float, quarter: int, block: int, coefficient: float, error: float
) -> float:
    """Forecast mean load of a two-hour block that begins `block` blocks from now, kW."""
    return max(world[W_LOAD_BLOCK_KW, quarter + block * BLOCK_QUARTERS]
               * (1.0 + coefficient * error), 0.0)  # fmt: skip


@kernel_function
def pv_forecast_kw(
    world: Float, quarter: int, block: int, coefficient: float, error: float
) -> float:
    """Forecast mean available PV of a two-hour block that begins `block` blocks from now, kW."""
    return max(world[W_PV_BLOCK_KW, quarter + block * BLOCK_QUARTERS]
               * (1.0 + coefficient * error), 0.0)  # fmt: skip


@kernel_function
def write_observation(
    lane: int, pf: Float, pi: Int, world: Float, price_hours: Float, days: Float, charter: Any,
    sf: Float, si: Int, physical: Float, target: Float,
) -> None:  # fmt: skip
    """Fill `target[lane]`, normalised to [-1, 1].

    Args:
        charter: its `charter_facts`, empty under a static one.
        physical: (n_observation,) scratch: the values in their units.
    """
    sizes = pi[P_SIZES]
    n_bus, n_pv = pi[sizes + Z_BUS], pi[sizes + Z_PV]
    n_battery, n_ev = pi[sizes + Z_BATTERY], pi[sizes + Z_EV]
    calendar = pi[P_CALENDAR]
    substeps = pi[calendar + C_SUBSTEPS]
    horizon = pi[calendar + C_HORIZON]
    scalars = pi[P_SCALARS]
    dt_h = pf[scalars + X_DT_H]
    step = si[lane, pi[S_STEP]]
    first_day = si[lane, pi[S_DAY]]
    quarter_of_episode = step // substeps
    day = first_day + quarter_of_episode // QUARTERS_PER_DAY
    quarter_of_day = quarter_of_episode % QUARTERS_PER_DAY
    quarter = PAST_QUARTERS + first_day * QUARTERS_PER_DAY + quarter_of_episode
    hour = quarter // 4
    wrapped_day = day % days.shape[1]

    clock = pi[P_CLOCK]
    physical[0] = pf[clock + quarter_of_day]
    physical[1] = pf[clock + QUARTERS_PER_DAY + quarter_of_day]
    physical[2] = days[D_WEEKEND, wrapped_day]
    physical[3] = days[D_YEAR_SIN, wrapped_day]
    physical[4] = days[D_YEAR_COS, wrapped_day]
    window = pi[calendar + C_WINDOW_QUARTERS] * substeps
    physical[5] = (window - step % window) / window if step < horizon else 0.0

    published = 24 - quarter_of_day // 4
    if quarter_of_day >= pi[calendar + C_PUBLICATION_QUARTER]:
        published = PRICE_HOURS
    stock_price = days[D_STOCK_PRICE, wrapped_day]
    window_quarters = pi[calendar + C_WINDOW_QUARTERS]
    hours_left = (window_quarters - quarter_of_episode % window_quarters + 3) // 4
    prices = 12
    total = 0.0
    for h in range(PRICE_HOURS):
        price = price_hours[hour + h] if h < published else price_hours[hour + h - 24]
        if h >= hours_left:
            price = stock_price
        physical[prices + h] = price
        total += price
    now = physical[prices]
    mean = total / PRICE_HOURS
    lowest = now
    highest = now
    cheaper = 0
    for h in range(PRICE_HOURS):
        price = physical[prices + h]
        lowest = min(lowest, price)
        highest = max(highest, price)
        if price < now:
            cheaper += 1
        physical[prices + h] = price - stock_price
    physical[6] = now
    physical[7] = stock_price
    physical[8] = mean
    physical[9] = highest - lowest
    physical[10] = cheaper / (PRICE_HOURS - 1.0)
    physical[11] = published
    c = prices + PRICE_HOURS

    load_error = sf[lane, pi[S_LOAD_ERROR]]
    pv_error = sf[lane, pi[S_PV_ERROR]]
    for b in range(FORECAST_BLOCKS):
        physical[c + b] = load_forecast_kw(
            world, quarter, b, pf[pi[P_FORECAST_LOAD] + b], load_error
        )
        physical[c + FORECAST_BLOCKS + b] = pv_forecast_kw(
            world, quarter, b, pf[pi[P_FORECAST_PV] + b], pv_error
        )
    c += 2 * FORECAST_BLOCKS

    physical[c] = sf[lane, pi[S_LOAD_KW]]
    physical[c + 1] = sf[lane, pi[S_PV_KW]]
    physical[c + 2] = sf[lane, pi[S_EXCHANGE_KW]]
    physical[c + 3] = sf[lane, pi[S_CURTAILED_SHARE]]
    physical[c + 4] = sf[lane, pi[S_LOADING]]
    physical[c + 5] = sf[lane, pi[S_OIL_C]]
    physical[c + 6] = sf[lane, pi[S_HOT_SPOT_C]]
    physical[c + 7] = si[lane, pi[S_RELAY_HOLD_STEPS]] * dt_h
    stored = 0.0
    for b in range(n_battery):
        stored += sf[lane, pi[S_SOC_KWH] + b]
    physical[c + 8] = stored / max(pf[scalars + X_BATTERY_KWH_TOTAL], 1e-9)
    physical[c + 9] = sf[lane, pi[S_BUDGET_KWH]]
    c += 10
    shown = N_GOVERNED_STATIC
    if len(charter) > 0:
        shown = charter[FACT_PARAMETERS]
    for g in range(shown):
        physical[c + g] = sf[lane, pi[S_GOVERNED] + g]
    c += shown
    for k in range(1, n_bus):
        physical[c + k - 1] = sf[lane, pi[S_VOLTAGE_PU] + k]
    c += n_bus - 1
    for b in range(n_battery):
        physical[c + b] = sf[lane, pi[S_SOC_KWH] + b]
        physical[c + n_battery + b] = sf[lane, pi[S_BATTERY_KW] + b]
    c += 2 * n_battery
    for j in range(n_ev):
        arrived = step >= si[lane, pi[S_EV_ARRIVAL_STEP] + j]
        left = si[lane, pi[S_EV_DEPARTURE_STEP] + j] - step
        wanted = sf[lane, pi[S_EV_ENERGY_KWH] + j]
        here = arrived and left > 0 and wanted > 1e-9
        power_kw = pf[pi[P_EV_KW] + j]
        physical[c + j] = wanted / (power_kw * left * dt_h) if here else 0.0
        physical[c + n_ev + j] = wanted if here else 0.0
        physical[c + 2 * n_ev + j] = left * dt_h if here else 0.0
    c += 3 * n_ev
    for j in range(n_pv):
        physical[c + j] = si[lane, pi[S_PV_TRIP_STEPS] + j] * dt_h
        physical[c + n_pv + j] = sf[lane, pi[S_PV_VOLTAGE_PU] + j]
    shown = pi[sizes + Z_OBSERVATION]
    if len(charter) > 0:
        shown = first_column(charter, pi)
        write_governance(lane, charter, pf, pi, sf, si, target)
    low = pi[P_OBSERVATION_LOW]
    scale = pi[P_OBSERVATION_SCALE]
    for d in range(shown):
        target[lane, d] = clip((physical[d] - pf[low + d]) * pf[scale + d] - 1.0, -1.0, 1.0)
