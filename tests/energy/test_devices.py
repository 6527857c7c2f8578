"""Batteries, inverters, cars and the transformer against formulas worked out by hand."""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
import pytest

import daogym
from daogym.envs.energy import dynamics

pytestmark = pytest.mark.kernel


# -- batteries ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_battery_follows_its_differential_equation(bench: ModuleType, sign: float) -> None:
    """E' = -s E + eta P (charging) or P / eta (discharging), solved in closed form."""
    simulator = bench.simulator_of(
        {"batteries": {"self_discharge_per_day": 0.3, "efficiency": 0.9}}
    )
    simulator.reset(seed=1)
    feeder = simulator.domain.feeder
    action = bench.Actions(simulator).set("battery", 0.1 * sign)
    before = simulator.state("soc_kwh")[0].copy()
    simulator.step(action.row)
    power = np.float64(np.float32(0.1)) * sign * feeder.battery_p_kw
    assert np.allclose(simulator.state("battery_kw")[0], power, rtol=1e-12)
    rate = -math.log(1.0 - 0.3) / 24.0
    flow = power * 0.9 if sign > 0 else power / 0.9
    steady = flow / rate
    expected = steady + (before - steady) * math.exp(-rate * 0.25)
    assert np.allclose(simulator.state("soc_kwh")[0], expected, rtol=1e-12)
    throughput = 0.25 * np.abs(power).sum()
    assert bench.event(simulator, "throughput_kwh") == pytest.approx(throughput, rel=1e-12)
    assert bench.term(simulator, "wear") == pytest.approx(-0.01 * throughput, rel=1e-12)


def test_idle_battery_loses_its_stated_share_in_a_day(bench: ModuleType) -> None:
    simulator = bench.simulator_of({"batteries": {"self_discharge_per_day": 0.2}})
    simulator.reset(seed=2)
    before = simulator.state("soc_kwh")[0].copy()
    idle = bench.Actions(simulator).row
    for _ in range(96):
        simulator.step(idle)
    assert np.allclose(simulator.state("soc_kwh")[0], 0.8 * before, rtol=1e-10)


def test_a_round_trip_loses_both_efficiencies(bench: ModuleType) -> None:
    """Charge and discharge for as long: what comes back is eta squared of what went in."""
    simulator = bench.simulator_of(
        {"batteries": {"self_discharge_per_day": 0.0, "efficiency": 0.8}}
    )
    simulator.reset(seed=3)
    before = simulator.state("soc_kwh")[0].copy()
    simulator.step(bench.Actions(simulator).set("battery", 0.2).row)
    inside = simulator.state("soc_kwh")[0].copy() - before
    power = simulator.state("battery_kw")[0].copy()
    assert np.allclose(inside, 0.8 * 0.25 * power, rtol=1e-12)
    simulator.step(bench.Actions(simulator).set("battery", -0.2 * 0.64).row)
    assert np.allclose(simulator.state("soc_kwh")[0], before, rtol=1e-7)


def test_batteries_stop_exactly_full_and_exactly_at_their_reserve(bench: ModuleType) -> None:
    simulator = bench.simulator_of({"batteries": {"self_discharge_per_day": 0.0}})
    feeder = simulator.domain.feeder
    simulator.reset(seed=4)
    for _ in range(40):
        simulator.step(bench.Actions(simulator).set("battery", 1.0).row)
        assert np.all(simulator.state("soc_kwh")[0] <= feeder.battery_e_kwh)
    assert np.allclose(simulator.state("soc_kwh")[0], feeder.battery_e_kwh, rtol=1e-9)
    for _ in range(40):
        simulator.step(bench.Actions(simulator).set("battery", -1.0).row)
    assert np.allclose(simulator.state("soc_kwh")[0], 0.05 * feeder.battery_e_kwh, rtol=1e-9)


# -- inverters ------------------------------------------------------------------------------------


def test_volt_var_points_of_the_standard() -> None:
    """IEEE 1547-2018 category B: (0.92, +0.44), (0.98, 0), (1.02, 0), (1.08, -0.44)."""
    points = {
        0.60: 0.44, 0.90: 0.44, 0.92: 0.44, 0.95: 0.22, 0.98: 0.0, 1.00: 0.0, 1.02: 0.0,
        1.05: -0.22, 1.08: -0.44, 1.20: -0.44, 0.0: 0.0, 0.49: 0.0,
    }  # fmt: skip
    for voltage, share in points.items():
        assert dynamics.volt_var_share(voltage) == pytest.approx(share, abs=1e-12), voltage


def test_inverters_stay_inside_their_circle(bench: ModuleType, reference: ModuleType) -> None:
    """More sun than the inverters can take and full reactive requests: P first, Q gives way."""
    simulator = bench.simulator_of(
        {"stress": {"pv": 5.0, "transformer": 5.0}, "limits": {"trip_voltage_pu": 1.29}}, n=2
    )
    simulator.reset(seed=5, options={"date": "2023-06-14"})
    feeder = simulator.domain.feeder
    z_bus = reference.ZBus(feeder)
    tight = 0
    for _ in range(96):
        action = bench.Actions(simulator).set("pv_reactive", [[1.0], [-1.0]]).row
        wanted = [reference.expected_step(simulator, i, action[i].astype(float)) for i in (0, 1)]
        simulator.step(action)
        for lane, want in enumerate(wanted):
            apparent = np.hypot(want.pv_kw, want.pv_kvar)
            assert np.all(apparent <= feeder.pv_s_kva * (1 + 1e-12))
            gave_way = np.abs(want.pv_kvar) < 0.43 * feeder.pv_s_kva
            tight += int(np.any(gave_way & (want.pv_kw > 0)))
            if bench.event(simulator, "outage_steps", lane):
                continue
            voltage, _ = z_bus.solve(want.bus_kw, want.bus_kvar)
            assert np.allclose(np.abs(voltage), simulator.state("voltage_pu")[lane], atol=1e-9)
    assert tight > 10


def test_curtailed_and_used_make_what_was_available(bench: ModuleType) -> None:
    simulator = bench.simulator_of(n=3)
    simulator.reset(seed=6, options={"date": "2023-05-14"})
    series, rows = simulator.domain.loaded.series, simulator.domain.loaded.rows
    n_bus = simulator.domain.feeder.n_bus
    keep = np.array([[-1.0], [-0.5], [1.0]])
    rng = np.random.default_rng(0)
    day = int(simulator.state("day")[0])
    for quarter in range(96):
        action = bench.Actions(simulator).set("pv_use", keep)
        action.set("battery", rng.uniform(-1, 1, 5))
        available = rows[series.pv_day[day] * 96 + quarter, 2 * n_bus :].astype(float).sum()
        simulator.step(action.row)
        used = simulator.state("pv_kw")
        for lane in range(3):
            total = used[lane] * 0.25 + bench.event(simulator, "curtailed_kwh", lane)
            assert total == pytest.approx(0.25 * available, rel=1e-12, abs=1e-12)
        assert used[0] == 0.0 and used[1] <= 0.5 * available * (1 + 1e-12)


# -- cars -----------------------------------------------------------------------------------------


def test_charging_as_late_as_possible_meets_every_deadline() -> None:
    """Rate -1 through a week, without trips or outages: nothing is left unmet."""
    for name in ("lv_rural", "lv_semiurban", "ieee33", "cigre_mv"):
        simulator = daogym.make_simulator(
            daogym.load_scenario(name, {"limits": {"relay_loading": 3.0}}), 8, episode_days=7
        )
        simulator.reset(seed=7)
        action = np.zeros((8, simulator.action_size), dtype=np.float32)
        action[:, simulator.action_fields.slice("ev_rate")] = -1.0
        columns = [
            simulator.event_names.index(n) for n in ("ev_unmet_kwh", "outage_steps", "relay_steps")
        ]
        sessions = 0
        held = np.zeros(8, dtype=np.bool_)
        for _ in range(simulator.horizon - 1):
            before = simulator.state("ev_departure_step").copy()
            simulator.step(action)
            sessions += int((simulator.state("ev_departure_step") != before).sum())
            unmet, outage, relay = simulator.events[:, columns].T
            held |= (outage > 0) | (relay > 0)
            assert np.all(unmet[~held] == 0.0)
        assert sessions > 100 and not held.all()


def test_rates_of_a_charger_between_latest_even_and_fastest(bench: ModuleType) -> None:
    """The same session under three rates: all charge the same energy, at different times."""
    simulator = bench.simulator_of({"cars": {"presence": 1.0}}, n=3)
    simulator.reset(seed=[8, 8, 8], options={"date": "2023-03-14"})
    done_at = np.full((3, 5), -1)
    action = bench.Actions(simulator).set("ev_rate", [[-1.0], [0.0], [1.0]]).row
    departure = simulator.state("ev_departure_step").copy()
    for step in range(int(departure.max())):
        simulator.step(action)
        same = simulator.state("ev_departure_step") == departure
        empty = (simulator.state("ev_energy_kwh") <= 1e-6) & same & (done_at < 0)
        left = same & ~empty & (done_at < 0)
        done_at[empty] = step + 1
        if step + 1 < departure.min():
            assert np.all(left[0] >= left[2])
    # A car that is full as it leaves is seen no more.
    late, even, fast = np.where(done_at < 0, departure, done_at)
    assert np.all(fast <= even) and np.all(even <= late)
    assert np.all(late == departure[0]) and np.any(fast < departure[0] - 4)


def test_unmet_energy_is_recorded_and_priced(bench: ModuleType) -> None:
    """Cars whose charger a relay holds down leave short, and each kWh has its price."""
    simulator = bench.simulator_of(
        {"cars": {"presence": 1.0, "energy_hours": 8.0, "unmet_eur_per_kwh": 2.5},
         "stress": {"load": 5.0, "transformer": 0.2}},
        n=8,
    )  # fmt: skip
    simulator.reset(seed=9)
    action = bench.Actions(simulator).set("ev_rate", -1.0).row
    total = 0.0
    for _ in range(96):
        wanted = simulator.state("ev_energy_kwh").copy()
        leaves = simulator.state("ev_departure_step") == simulator.state("step")[:, None] + 1
        simulator.step(action)
        for lane in range(8):
            unmet = bench.event(simulator, "ev_unmet_kwh", lane)
            assert unmet <= wanted[lane][leaves[lane]].sum() + 1e-9
            assert bench.term(simulator, "ev_unmet", lane) == pytest.approx(-2.5 * unmet, rel=1e-12)
            total += unmet
    assert total > 10.0


# -- transformer ----------------------------------------------------------------------------------


def test_thermal_model_against_the_standards_equations() -> None:
    """IEC 60076-7 exponential form: d(oil)/dt = (final - oil) / tau, in small explicit steps."""
    oil, ambient, rise, ratio, x, tau = 40.0, 20.0, 55.0, 5.0, 0.8, 3.0
    mine = oil
    for loading in (0.2, 1.0, 1.4, 0.6, 0.0, 1.0):
        final = ambient + rise * ((1 + ratio * loading**2) / (1 + ratio)) ** x
        fine = mine
        for _ in range(100_000):
            fine += (final - fine) / tau * (0.25 / 100_000)
        mine = dynamics.oil_temperature_c(
            mine, loading, ambient, rise, ratio, x, math.exp(-0.25 / tau)
        )
        assert mine == pytest.approx(fine, abs=2e-5)
    assert dynamics.winding_gradient_c(1.0, 23.0, 1.6) == pytest.approx(23.0, rel=1e-12)
    assert dynamics.winding_gradient_c(1.5, 23.0, 1.6) == pytest.approx(23 * 1.5**1.6, rel=1e-12)
    assert dynamics.winding_gradient_c(0.0, 23.0, 1.6) == 0.0
    # at rating: 20 + 55 + 23 = 98 degrees, where paper ages at its normal rate
    rated = dynamics.oil_temperature_c(0.0, 1.0, 20.0, 55.0, 5.0, 0.8, 0.0)
    assert rated + 23.0 == pytest.approx(98.0, rel=1e-12)
    assert dynamics.ageing_rate(98.0) == 1.0
    assert dynamics.ageing_rate(104.0) == pytest.approx(2.0, rel=1e-12)
    assert dynamics.ageing_rate(92.0) == pytest.approx(0.5, rel=1e-12)


def test_oil_and_ageing_of_an_episode(bench: ModuleType) -> None:
    """The state's temperatures and the ageing term, from the recorded loading alone."""
    simulator = bench.simulator_of()
    simulator.reset(seed=10)
    s = simulator.scenario.transformer
    oil = float(simulator.state("oil_c")[0])
    value_per_h = s.price_eur_per_kva * 160.0 / s.life_h
    rng = np.random.default_rng(1)
    for _ in range(96):
        simulator.step(rng.uniform(-1, 1, (1, simulator.action_size)).astype(np.float32))
        loading = float(simulator.state("loading")[0])
        share = (1 + s.loss_ratio * loading**2) / (1 + s.loss_ratio)
        final = s.ambient_c + s.oil_rise_c * share**s.oil_exponent
        before, oil = oil, final + (oil - final) * math.exp(-0.25 / s.oil_time_constant_h)
        gradient = s.winding_rise_c * loading**s.winding_exponent
        assert simulator.state("oil_c")[0] == pytest.approx(oil, rel=1e-9)
        assert simulator.state("hot_spot_c")[0] == pytest.approx(oil + gradient, rel=1e-9)
        aged = 0.25 * 2.0 ** (((before + oil) / 2 + gradient - 98.0) / 6.0)
        assert bench.term(simulator, "ageing") == pytest.approx(-value_per_h * aged, rel=1e-9)
