"""The first half of a step of the energy grid, written a second time in plain NumPy.

From the public state before a step and the action, `expected_step` says what every device does, and
`z_bus_voltages` what the network makes of it: the implicit Z-bus method (Giraldo et al., EPSR 211,
2022), which shares neither equations nor code with the sweep of the kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedStep:
    """Powers of one environment in one step, kW and kvar; consumption positive."""

    battery_kw: Float  # (n_battery,)
    pv_kw: Float  # (n_pv,), given off, so positive
    pv_kvar: Float  # (n_pv,), given off
    charger_kw: Float  # (n_ev,)
    bus_kw: Float  # (n_bus,), net of everything
    bus_kvar: Float  # (n_bus,)
    load_kw: float  # served
    shed_kw: float
    available_kw: float  # all PV could give
    unlimited_export_kw: Float  # (n_bus,) export before the connections' limit
    reverted: bool


def governed(simulator: Any, lane: int) -> dict[str, float]:
    """Charter parameters in force, by name."""
    from daogym.envs.energy.scenario import GOVERNED_PARAMETERS

    values = simulator.state("governed")[lane]
    return {p.name: float(v) for p, v in zip(GOVERNED_PARAMETERS, values, strict=True)}


def expected_step(simulator: Any, lane: int, action: Float) -> ExpectedStep:
    """What the devices of `lane` will do in the coming step under `action` (normalised, valid)."""
    world = _World(simulator, lane)
    halted = bool(simulator.state("halt")[lane].any())
    if halted:
        action = np.zeros_like(action)
    charger_kw = _chargers(world, action)
    battery_kw, keep, reactive_share = _request(world, action, float(charger_kw.sum()), halted)
    pv_kw = world.ready_kw * keep
    kva = world.feeder.pv_s_kva
    room = np.sqrt(np.maximum(kva**2 - pv_kw**2, 0.0))
    pv_kvar = np.clip(np.clip(reactive_share, -0.44, 0.44) * kva, -room, room)
    pv_kvar[world.ready_kw <= 0.0] = 0.0
    return _gate(world, battery_kw, pv_kw, pv_kvar, charger_kw)


class _World:
    """State, load and sun of one lane before its step."""

    def __init__(self, simulator: Any, lane: int) -> None:
        domain = simulator.domain
        self.simulator, self.lane, self.domain = simulator, lane, domain
        self.feeder, self.scenario = domain.feeder, simulator.scenario
        self.dt_h = self.scenario.step_minutes / 60.0
        self.device = domain.action_mode == "device"
        self.rating_kva = domain.transformer_kva
        quarter = int(self["step"]) // self.scenario.substeps
        series = domain.loaded.series
        day = (int(self["day"]) + quarter // 96) % domain.loaded.n_days
        rows, n_bus = domain.loaded.rows, self.feeder.n_bus
        load = rows[series.load_day[day] * 96 + quarter % 96, : 2 * n_bus].astype(np.float64)
        self.load_kw, self.load_kvar = load[:n_bus], load[n_bus:]
        sun = rows[series.pv_day[day] * 96 + quarter % 96, 2 * n_bus :].astype(np.float64)
        held = int(self["relay_hold_steps"]) > 0
        self.relay = float(self["relay_direction"]) if held else 0.0
        total = float(self.load_kw.sum())
        served = min(total, self.rating_kva) if self.relay > 0 else total
        self.shed_kw = total - served
        if served < total:
            self.load_kw, self.load_kvar = (
                x * served / total for x in (self.load_kw, self.load_kvar)
            )
        self.served_kw = served
        self.available_kw = float(sun.sum())
        sun = np.minimum(sun, self.feeder.pv_s_kva)
        sun[np.asarray(self["pv_trip_steps"]) > 0] = 0.0
        most = self.rating_kva + served
        if self.relay < 0 and sun.sum() > most:
            sun = sun * (most / sun.sum())
        self.ready_kw = sun
        self.take_kw, self.give_kw = self._battery_limits()

    def __getitem__(self, name: str) -> Any:
        return self.simulator.state(name)[self.lane].copy()

    def _battery_limits(self) -> tuple[Float, Float]:
        """Constant powers that would end the step exactly full, or exactly at the minimum."""
        b, f = self.scenario.batteries, self.feeder
        rate = -np.log(1.0 - b.self_discharge_per_day) / 24.0
        decay = np.exp(-rate * self.dt_h)
        gain = (1.0 - decay) / rate if rate > 0 else self.dt_h
        soc, rating = self["soc_kwh"], np.minimum(f.battery_p_kw, f.battery_s_kva)
        take = np.maximum(f.battery_e_kwh - soc * decay, 0.0) / (b.efficiency * gain)
        give = np.maximum(soc * decay - b.min_soc_share * f.battery_e_kwh, 0.0)
        take = np.minimum(take, rating) * (self.relay <= 0)
        give = np.minimum(give * b.efficiency / gain, rating) * (self.relay >= 0)
        return take, give


def _chargers(world: _World, action: Float) -> Float:
    """Each charger between its latest, its even and its fastest schedule."""
    n_ev, n_battery, n_pv = (
        len(x) for x in (world.feeder.ev_bus, world.feeder.battery_bus, world.feeder.pv_bus)
    )
    rates = action[n_battery + 2 * n_pv :] if world.device else np.full(n_ev, action[2])
    power = np.zeros(n_ev)
    step = int(world["step"])
    for j in range(n_ev):
        arrival, departure = world["ev_arrival_step"][j], world["ev_departure_step"][j]
        wanted = world["ev_energy_kwh"][j] / world.scenario.cars.efficiency
        if not (arrival <= step < departure) or wanted <= 0.0:
            continue
        rating, left_h = world.feeder.ev_p_kw[j], (departure - step) * world.dt_h
        fastest = min(rating, wanted / world.dt_h)
        even = min(fastest, wanted / left_h)
        # The later steps give at most this much, so the rest is due now.
        latest = min(max(wanted - rating * (left_h - world.dt_h), 0.0) / world.dt_h, fastest)
        goal = fastest if rates[j] >= 0 else latest
        power[j] = even + abs(rates[j]) * (goal - even)
    if world.relay > 0:
        room = max(world.rating_kva - world.served_kw, 0.0)
        if power.sum() > room:
            power *= room / power.sum()
    return power


def _volt_var(voltage: Float) -> Float:
    """IEEE 1547-2018 category B, by its four points; nothing where there is no grid."""
    share = np.interp(voltage, [0.92, 0.98, 1.02, 1.08], [0.44, 0.0, 0.0, -0.44])
    return np.where(voltage < 0.5, 0.0, share)


def _request(
    world: _World, action: Float, charger_kw: float, halted: bool
) -> tuple[Float, NDArray[np.float64], Float]:
    """Battery set-points, share of PV kept, reactive share of each inverter."""
    f = world.feeder
    n_battery, n_pv = len(f.battery_bus), len(f.pv_bus)
    voltage = world["voltage_pu"][f.pv_bus]
    if world.device:
        keep = np.clip(1.0 + action[n_battery : n_battery + n_pv], 0.0, 1.0)
        reactive = 0.44 * action[n_battery + n_pv : n_battery + 2 * n_pv] * (voltage > 0.5)
        return action[:n_battery] * f.battery_p_kw, keep, reactive
    residual = world.served_kw + charger_kw - world.ready_kw.sum()
    fields = world.domain.action_fields
    units = fields.denormalise(action)  # what the declared fields say the action means
    target, cap, offset = (
        units[fields.slice(name)] for name in ("exchange_target", "export_cap", "battery_offset")
    )
    wanted = float(target[0]) - residual
    able = world.take_kw if wanted > 0 else world.give_kw
    share = np.clip(wanted / able.sum(), -1.0, 1.0) if able.sum() > 0 else 0.0
    battery = np.clip(share * able + offset, -world.give_kw, world.take_kw) * (not halted)
    export = -(residual + battery.sum())
    cut = max(export - float(cap[0]), 0.0)
    ready = world.ready_kw.sum()
    keep = np.full(n_pv, np.clip(1.0 - cut / ready, 0.0, 1.0) if cut > 0 and ready > 0 else 1.0)
    reactive = (_volt_var(world["pv_voltage_pu"]) + 0.44 * action[3]) * (voltage > 0.5)
    return battery, keep, reactive


def _gate(
    world: _World, battery: Float, pv_kw: Float, pv_kvar: Float, charger_kw: Float
) -> ExpectedStep:
    """Ramp, daily budget, export of each connection."""
    f, rules = world.feeder, governed(world.simulator, world.lane)
    last = world["battery_kw"]
    change = rules["set_point_slew_share_per_hour"] * world.dt_h * f.battery_p_kw
    battery = np.clip(battery, -world.give_kw, world.take_kw)
    battery = np.clip(battery, np.minimum(last, 0) - change, np.maximum(last, 0) + change)
    battery = np.clip(battery, -world.give_kw, world.take_kw)
    reverted = bool(np.abs(battery).sum() * world.dt_h > world["budget_kwh"])
    if reverted:
        battery = np.zeros_like(battery)
    battery, pv_kw = battery.copy(), pv_kw.copy()
    installed = np.bincount(f.pv_bus, f.pv_p_kw, minlength=f.n_bus)

    def net() -> Float:
        power = world.load_kw.copy()
        np.add.at(power, f.ev_bus, charger_kw)
        np.add.at(power, f.battery_bus, battery)
        np.subtract.at(power, f.pv_bus, pv_kw)
        return power

    unlimited = np.maximum(-net(), 0.0)
    for j, bus in enumerate(f.pv_bus):
        over = -net()[bus] - rules["export_limit_share"] * installed[bus]
        for b in np.flatnonzero(f.battery_bus == bus):
            if over > 1e-9 and battery[b] < 0:
                cut = min(over, -battery[b])
                battery[b] += cut
                over -= cut
        if over > 1e-9:
            pv_kw[j] -= min(over, pv_kw[j])
    reactive = world.load_kvar.copy()
    np.subtract.at(reactive, f.pv_bus, pv_kvar)
    return ExpectedStep(
        battery, pv_kw, pv_kvar, charger_kw, net(), reactive, world.served_kw, world.shed_kw,
        world.available_kw, unlimited, reverted,
    )  # fmt: skip


class ZBus:
    """Voltages of a feeder by the fixed point on its inverted admittance matrix."""

    def __init__(self, feeder: Any) -> None:
        self.feeder = feeder
        admittance = np.diag(feeder.shunt_g_pu + 1j * feeder.shunt_b_pu)
        for bus in range(1, feeder.n_bus):
            up, tap = int(feeder.parent[bus]), feeder.tap[bus]
            series = 1.0 / (feeder.r_pu[bus] + 1j * feeder.x_pu[bus])
            admittance[bus, bus] += series
            admittance[up, up] += series / tap**2
            admittance[bus, up] -= series / tap
            admittance[up, bus] -= series / tap
        self.admittance = admittance
        self.inverse = np.linalg.inv(admittance[1:, 1:])
        self.unloaded = -self.inverse @ admittance[1:, 0] * feeder.slack_voltage_pu

    def solve(self, bus_kw: Float, bus_kvar: Float) -> tuple[NDArray[np.complex128], complex]:
        """Complex voltages (n_bus,) in pu, and the power the slack bus delivers, kW + j kvar.

        Raises:
            ArithmeticError: no convergence to 1e-13 pu in 500 rounds.
        """
        base = self.feeder.s_base_kva
        power = (bus_kw + 1j * bus_kvar) / base
        voltage = self.unloaded.copy()
        for _ in range(500):
            before = voltage
            voltage = self.unloaded - self.inverse @ np.conj(power[1:] / before)
            if np.max(np.abs(voltage - before)) < 1e-13:
                break
        else:
            raise ArithmeticError("the Z-bus iteration does not converge")
        all_buses = np.concatenate([[self.feeder.slack_voltage_pu + 0j], voltage])
        injected = all_buses[0] * np.conj(self.admittance[0] @ all_buses)
        return all_buses, complex((injected + power[0]) * base)
