"""Physics of single devices: pure functions of numbers, called from compiled code.

Powers in kW, energies in kWh, temperatures in °C, time in hours. First-order processes use their
exact exponential over the step, so that results do not depend on the step length.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.mathematics import exp2, power
from daogym.envs.core.random import normal_pair, uniform_pair

STREAM_START, STREAM_SOC, STREAM_FORECAST, STREAM_EV_TIMES = 1, 2, 3, 4
STREAM_EV_ENERGY, STREAM_EV_INITIAL, STREAM_BUDGET = 5, 6, 7


@kernel_function
def clip(value: float, low: float, high: float) -> float:
    """`value` held inside [low, high]."""
    return min(max(value, low), high)


@kernel_function
def charge_limit_kw(
    soc_kwh: float, capacity_kwh: float, rating_kw: float, eta: float, decay: float, gain_h: float
) -> float:
    """Largest charging power that keeps the battery at or below its capacity after the step."""
    room = max(capacity_kwh - soc_kwh * decay, 0.0)
    return min(rating_kw, room / (eta * gain_h))


@kernel_function
def discharge_limit_kw(
    soc_kwh: float, minimum_kwh: float, rating_kw: float, eta: float, decay: float, gain_h: float
) -> float:
    """Largest discharging power that keeps the battery at or above its minimum after the step."""
    stock = max(soc_kwh * decay - minimum_kwh, 0.0)
    return min(rating_kw, stock * eta / gain_h)


@kernel_function
def stored_energy_kwh(
    soc_kwh: float, power_kw: float, eta_charge: float, eta_discharge: float, decay: float,
    gain_h: float,
) -> float:  # fmt: skip
    """Energy after a step of constant power (charging positive): dE/dt = -s E + eta P.

    `decay` is exp(-s dt) and `gain_h` is (1 - exp(-s dt)) / s, dt where s is 0.
    """
    flow = power_kw * eta_charge if power_kw > 0.0 else power_kw / eta_discharge
    return soc_kwh * decay + flow * gain_h


@kernel_function
def volt_var_share(voltage_pu: float) -> float:
    """Reactive injection as a share of rated apparent power, IEEE 1547-2018 category B defaults.

    +0.44 at and below 0.92 pu, 0 from 0.98 to 1.02 pu, -0.44 at and above 1.08 pu; 0 below
    0.5 pu, where an inverter has no grid to follow.
    """
    if voltage_pu < 0.5:
        return 0.0
    if voltage_pu < 0.98:
        return 0.44 * min((0.98 - voltage_pu) / 0.06, 1.0)
    if voltage_pu > 1.02:
        return -0.44 * min((voltage_pu - 1.02) / 0.06, 1.0)
    return 0.0


@kernel_function
def oil_temperature_c(
    oil_c: float, loading: float, ambient_c: float, oil_rise_c: float, loss_ratio: float,
    exponent: float, decay: float,
) -> float:  # fmt: skip
    """Top-oil temperature after a step of constant loading (IEC 60076-7, exponential form)."""
    share = (1.0 + loss_ratio * loading * loading) / (1.0 + loss_ratio)
    final = ambient_c + oil_rise_c * power(share, exponent)
    return final + (oil_c - final) * decay


@kernel_function
def winding_gradient_c(loading: float, winding_rise_c: float, exponent: float) -> float:
    """Hot-spot temperature above the top oil (IEC 60076-7)."""
    return winding_rise_c * power(loading, exponent) if loading > 1e-9 else 0.0


@kernel_function
def ageing_rate(hot_spot_c: float) -> float:
    """Relative ageing rate of non-upgraded paper, 1 at 98 °C, doubling each 6 K (IEC 60076-7)."""
    return exp2((min(hot_spot_c, 300.0) - 98.0) / 6.0)


@kernel_function
def ev_session(
    key: Any, calendar_day: int, charger: int, presence: float, arrival_h: float,
    arrival_std_h: float, departure_h: float, departure_std_h: float, mean_energy_kwh: float,
    power_to_battery_kw: float,
) -> tuple[float, float, float]:  # fmt: skip
    """One evening's session: arrival and departure, hours from that midnight, and energy, kWh.

    Times are normal, held inside 12:00-23:00 and 05:00-11:30 of the next day; energy is uniform
    between 0.4 and 1.6 times its mean, at most what the session can deliver. With probability
    1 - presence no car comes and the energy is 0.
    """
    first, second = normal_pair(key, STREAM_EV_TIMES, calendar_day, charger)
    present, size = uniform_pair(key, STREAM_EV_ENERGY, calendar_day, charger)
    arrival = clip(arrival_h + arrival_std_h * first, 12.0, 23.0)
    departure = 24.0 + clip(departure_h + departure_std_h * second, 5.0, 11.5)
    energy = mean_energy_kwh * (0.4 + 1.2 * size)
    energy = min(energy, power_to_battery_kw * (departure - arrival - 1.0))
    return arrival, departure, energy if present < presence else 0.0
