"""One lane between two steps, read from the simulator for people: numbers with names and units.

Powers, prices and loadings are those of the step just finished; stored energy and money are those
of the present moment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daogym.envs.core.layout import Float, Int

from .layout import (
    D_LOAD_DAY,
    D_PV_DAY,
    E_INTERVENTIONS,
    G_IMPORT_FEE_EUR_PER_KWH,
    OUT_EVENT,
    OUT_REWARD,
    PAST_QUARTERS,
    QUARTERS_PER_DAY,
    W_EXPORT_PRICE,
    W_IMPORT_PRICE,
)
from .powerflow import solve_batch


@dataclass(frozen=True)
class Moment:
    """What a person would read off the control room's screen.

    Attributes:
        begun: False before the first step of an episode; powers are then all 0.
        day: calendar day of the step just finished (of the coming one before the first step).
        hour: local hour at which that step began, 0 to 24.
        spot, import_price, export_price: EUR/kWh.
        load_kw, pv_kw, battery_kw, ev_kw, exchange_kw, losses_kw: totals; batteries positive when
            charging, exchange positive when importing.
        pv_available_kw: what the sun would have given.
        voltage_pu: (n_bus,) magnitudes.
        loading: |S| / rating of the transformer.
        soc_kwh, battery_each_kw: (n_battery,).
        car_here: (n_ev,) bool, a car is connected and wants energy.
        budget_kwh: battery throughput that the charter still allows.
        interventions: steps of this episode so far in which the charter cut or refused a request.
        eur: sum of the rewards of this episode so far.
        outage: the power flow had no solution above the voltage floor.
    """

    begun: bool
    day: int
    hour: float
    spot: float
    import_price: float
    export_price: float
    load_kw: float
    pv_kw: float
    pv_available_kw: float
    battery_kw: float
    ev_kw: float
    exchange_kw: float
    losses_kw: float
    voltage_pu: Float
    loading: float
    hot_spot_c: float
    soc_kwh: Float
    battery_each_kw: Float
    car_here: Any
    budget_kwh: float
    interventions: int
    eur: float
    outage: bool


def read_moment(domain: Any, simulator: Any, lane: int) -> Moment:
    """Read one lane of a simulator of `domain`; copies, so later steps do not change it.

    What all cars drew is the rest of the power balance: exchange - losses - load - batteries + PV.
    """

    def value(name: str) -> float:
        return float(simulator.state(name)[lane])

    loaded = domain.loaded
    begun = bool(value("step") > value("started"))
    day, quarter_of_day, column = _when(domain, simulator, lane)
    dt_h = domain.scenario.step_minutes / 60.0
    step_of_day = (int(value("step")) - begun) % domain.steps_per_day
    voltage = np.array(simulator.state("voltage_pu")[lane])
    outage = begun and float(voltage.max()) == 0.0
    battery = np.array(simulator.state("battery_kw")[lane])
    load, pv, exchange = value("load_kw"), value("pv_kw"), value("exchange_kw")
    events = simulator.events[lane]
    losses = float(events[simulator.event_names.index("losses_kwh")]) / dt_h if begun else 0.0
    cars = exchange - losses - load - float(battery.sum()) + pv
    series = loaded.series
    pv_row = int(loaded.days[D_PV_DAY, day]) * QUARTERS_PER_DAY + quarter_of_day
    available = float(loaded.rows[pv_row, 2 * domain.feeder.n_bus :].sum(dtype=np.float64))
    fee = float(simulator.state("governed")[lane, G_IMPORT_FEE_EUR_PER_KWH])
    fee_change = fee - domain.scenario.tariff.import_fee_eur_per_kwh
    sums = simulator.state("sums")[lane]
    arrived = simulator.state("ev_arrival_step")[lane] <= value("step")
    return Moment(
        begun=begun,
        day=day,
        hour=step_of_day * dt_h,
        spot=float(series.price_eur_per_mwh[day, quarter_of_day // 4])
        * domain.scenario.stress.price / 1000.0,
        import_price=float(loaded.world[W_IMPORT_PRICE, column]) + fee_change,
        export_price=float(loaded.world[W_EXPORT_PRICE, column]),
        load_kw=load,
        pv_kw=pv,
        pv_available_kw=available if begun else 0.0,
        battery_kw=float(battery.sum()),
        ev_kw=max(cars, 0.0) if begun and not outage else 0.0,
        exchange_kw=exchange,
        losses_kw=losses,
        voltage_pu=voltage,
        loading=value("loading"),
        hot_spot_c=value("hot_spot_c"),
        soc_kwh=np.array(simulator.state("soc_kwh")[lane]),
        battery_each_kw=battery,
        car_here=arrived & (simulator.state("ev_energy_kwh")[lane] > 0.0),
        budget_kwh=value("budget_kwh"),
        interventions=round(float(sums[OUT_EVENT + E_INTERVENTIONS])),
        eur=float(sums[OUT_REWARD]),
        outage=outage,
    )  # fmt: skip


def _when(domain: Any, simulator: Any, lane: int) -> tuple[int, int, int]:
    """Calendar day, quarter of that day and column of `world` of the step just finished."""
    step = int(simulator.state("step")[lane])
    step -= step > int(simulator.state("started")[lane])
    quarter = step // domain.scenario.substeps
    first = int(simulator.state("day")[lane])
    day = (first + quarter // QUARTERS_PER_DAY) % domain.loaded.n_days
    column = PAST_QUARTERS + first * QUARTERS_PER_DAY + quarter
    return day, quarter % QUARTERS_PER_DAY, column


def estimate_flows(domain: Any, simulator: Any, lane: int, moment: Moment) -> tuple[Float, Float]:
    """Current (pu) and active power (kW, away from the slack bus) of the branch into each bus.

    The state keeps voltages, not flows, so the power flow is solved once more. Loads and batteries
    are known bus by bus. Total PV and total charging are known and shared out by what each
    inverter had to give and by the connected chargers' ratings. Reactive power of the inverters
    together follows from the transformer's |S|, which leaves its sign open: both are solved, and
    the one is kept whose voltages are nearer to the measured ones. Entry 0 is the exchange itself.
    """
    feeder, loaded, n_bus = domain.feeder, domain.loaded, domain.feeder.n_bus
    if not moment.begun or moment.outage:
        return np.zeros(n_bus), np.zeros(n_bus)
    day, quarter, _ = _when(domain, simulator, lane)
    at_load, at_pv = (int(loaded.days[row, day]) for row in (D_LOAD_DAY, D_PV_DAY))
    load_row = loaded.rows[at_load * QUARTERS_PER_DAY + quarter].astype(np.float64)
    pv_row = loaded.rows[at_pv * QUARTERS_PER_DAY + quarter].astype(np.float64)
    load = load_row[:n_bus]
    served = moment.load_kw / load.sum() if load.sum() > 0.0 else 0.0
    p_kw, q_kvar = load * served, load_row[n_bus : 2 * n_bus] * served
    np.add.at(p_kw, feeder.battery_bus, moment.battery_each_kw)
    if len(feeder.ev_bus):
        rating = feeder.ev_p_kw * np.where(moment.car_here.any(), moment.car_here, True)
        np.add.at(p_kw, feeder.ev_bus, moment.ev_kw * rating / rating.sum())
    ready = np.minimum(pv_row[2 * n_bus :], feeder.pv_s_kva)
    # An inverter that tripped at the end of this very step still has its whole delay to wait.
    trips: Int = simulator.state("pv_trip_steps")[lane]
    delay = -(-domain.scenario.limits.reconnect_minutes // domain.scenario.step_minutes)
    on = (trips == 0) | (trips == delay)
    ready = ready * on if on.any() else ready
    output = ready * (moment.pv_kw / ready.sum() if ready.sum() > 0.0 else 0.0)
    np.add.at(p_kw, feeder.pv_bus, -output)
    room = np.sqrt(np.maximum(feeder.pv_s_kva**2 - output**2, 0.0)) * (output > 0.0)
    weight = room / room.sum() if room.sum() > 0.0 else room
    kva = moment.loading * domain.transformer_kva
    wanted = np.sqrt(max(kva**2 - moment.exchange_kw**2, 0.0)) * np.array([1.0, -1.0])

    base = feeder.s_base_kva
    p_pu, q_pu, v_re, v_im, j_re, j_im = np.zeros((6, 2, n_bus))
    injected = np.zeros(2)
    p_pu[:] = p_kw / base
    for _ in range(4):
        for sign in range(2):
            q_pu[sign] = q_kvar / base
            np.add.at(q_pu[sign], feeder.pv_bus, -injected[sign] * weight / base)
        solve_batch(
            feeder.parent, feeder.r_pu, feeder.x_pu, feeder.tap, feeder.shunt_g_pu,
            feeder.shunt_b_pu, feeder.slack_voltage_pu, 1e-8, 100, p_pu, q_pu,
            v_re, v_im, j_re, j_im, np.zeros(2, dtype=np.int64),
        )  # fmt: skip
        injected += -feeder.slack_voltage_pu * j_im[:, 0] * base - wanted
    missed = np.abs(np.hypot(v_re, v_im) - moment.voltage_pu).max(axis=1)
    best = int(np.argmin(missed))
    power = (v_re * j_re + v_im * j_im)[best] * base
    return np.hypot(j_re, j_im)[best], power
