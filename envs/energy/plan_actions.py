"""The first period of a plan as an action of the fleet, or of each device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float

from .lanes import Actions, volt_var_shares
from .plan import Car, Community, Outlook, Plan
from .request import A_EV_RATE, A_EXCHANGE, A_EXPORT_CAP, MAX_REACTIVE_SHARE

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

# While PV is not held back, exports above this share of the rating are, whatever the forecast was.
_EXPORT_GUARD = 1.15
_NOTICED_KW = 1e-6


def fleet_actions(
    simulator: Simulator,
    settings: Community,
    outlooks: list[Outlook],
    plans: list[Plan],
    period: int = 0,
) -> Actions:
    """The batteries track the exchange planned for a period, (N, action_size) float32.

    Args:
        period: which one is now; a car that came since the plan was made charges at the others'
            rate.
    """
    actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    step = simulator.state("step").tolist()
    wants = simulator.state("ev_energy_kwh")
    dt_h = simulator.scenario.step_minutes / 60.0
    rated = settings.rated_kw
    for lane, (outlook, plan) in enumerate(zip(outlooks, plans, strict=True)):
        # The fleet tracks the exchange before PV is held back, and holds it back afterwards.
        held_back = float(outlook.pv_kw[period] - plan.used_kw[period])
        exchange = float(plan.exchange_kw[period])
        cap = max(-exchange, 0.0)
        if held_back <= _NOTICED_KW and outlook.sell[period] >= 0.0:
            cap = max(cap, _EXPORT_GUARD * rated)
        actions[lane, A_EXCHANGE] = np.clip((exchange - held_back) / rated, -1.0, 1.0)
        actions[lane, A_EXPORT_CAP] = np.clip(cap / rated - 1.0, -1.0, 1.0)
        # All cars share one rate: that at which they together draw what the plan gives them.
        limits = np.zeros(3)
        wanted = 0.0
        for car, power in zip(outlook.cars, plan.ev_kw, strict=True):
            if car.here and period < len(power):
                energy = float(wants[lane, car.charger])
                limits += charging_limits_kw(settings, car, energy, step[lane], dt_h)
                wanted += float(power[period])
        actions[lane, A_EV_RATE] = charging_rate(limits, wanted)
    return actions


def device_actions(
    simulator: Simulator, settings: Community, outlooks: list[Outlook], plans: list[Plan]
) -> Actions:
    """Set-points of each device, (N, action_size) float32.

    Batteries share in proportion to what each can do, PV plants keep one share of their sun,
    inverters follow the volt-var curve.
    """
    domain: Any = simulator.domain
    feeder = domain.feeder
    n_battery, n_pv = len(feeder.battery_bus), len(feeder.pv_bus)
    actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    charge, discharge = able_kw(domain, simulator.state("soc_kwh"))
    voltage = simulator.state("pv_voltage_pu")
    first = n_battery + n_pv
    actions[:, first : first + n_pv] = volt_var_shares(voltage) / MAX_REACTIVE_SHARE
    step = simulator.state("step").tolist()
    dt_h = simulator.scenario.step_minutes / 60.0
    for lane, (outlook, plan) in enumerate(zip(outlooks, plans, strict=True)):
        power = float(plan.battery_kw[0])
        able = charge[lane] if power > 0.0 else discharge[lane]
        share = np.clip(power / able.sum(), -1.0, 1.0) if able.sum() > 0.0 else 0.0
        actions[lane, :n_battery] = share * able / np.maximum(feeder.battery_p_kw, 1e-9)
        sun = float(outlook.pv_kw[0])
        if sun - plan.used_kw[0] > _NOTICED_KW:
            actions[lane, n_battery:first] = plan.used_kw[0] / sun - 1.0
        for car, kw in zip(outlook.cars, plan.ev_kw, strict=True):
            if car.here:
                limits = charging_limits_kw(settings, car, car.energy_kwh, step[lane], dt_h)
                actions[lane, first + n_pv + car.charger] = charging_rate(limits, float(kw[0]))
    return actions


def able_kw(domain: Any, soc_kwh: Float) -> tuple[Float, Float]:
    """What each battery can take and give for a whole step, (..., n_battery) kW >= 0 each."""
    feeder, scalar = domain.feeder, domain.scalars()
    rating = np.minimum(feeder.battery_p_kw, feeder.battery_s_kva)
    kept, gain = soc_kwh * scalar["battery_decay"], scalar["battery_gain_h"]
    room = np.maximum(feeder.battery_e_kwh - kept, 0.0) / (scalar["eta_charge"] * gain)
    least = scalar["soc_min_share"] * feeder.battery_e_kwh
    stock = np.maximum(kept - least, 0.0) * scalar["eta_discharge"] / gain
    return np.minimum(rating, room), np.minimum(rating, stock)


def charging_limits_kw(
    settings: Community, car: Car, energy_kwh: float, step: int, dt_h: float
) -> Float:
    """Power of a car at the rates -1 (as late as possible), 0 (evenly) and 1 (fast), (3,) kW."""
    rating = float(settings.ev_kw[car.charger])
    drawn, left = energy_kwh / (settings.ev_efficiency * dt_h), car.departure - step
    full = min(rating, drawn)
    late = min(max(drawn - rating * (left - 1), 0.0), full)
    return np.array([late, min(full, drawn / left), full])


def charging_rate(limits_kw: Float, wanted_kw: float) -> float:
    """The rate, -1 to 1, at which cars with these limits draw the wanted power.

    Where two limits are equal, any rate between them will do and the outer one is taken.
    """
    late, even, fast = limits_kw.tolist()
    if wanted_kw > even:
        return min((wanted_kw - even) / (fast - even), 1.0) if fast > even else 1.0
    return max((wanted_kw - even) / (even - late), -1.0) if even > late else -1.0
