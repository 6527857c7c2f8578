"""Plans against answers worked out by hand; the MPC against its observation and its neighbours."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.energy.lindistflow import LinDistFlow
from daogym.envs.energy.mpc import RollingMpc, community
from daogym.envs.energy.outlook import Lookout, periods
from daogym.envs.energy.plan import Car, Community, Outlook, ageing_tangents, make_plan
from daogym.envs.energy.plan_actions import charging_limits_kw, charging_rate
from daogym.envs.energy.powerflow import solve_batch
from daogym.envs.energy.profiles import load_feeder
from daogym.envs.energy.rules import SelfConsumption, play

pytestmark = pytest.mark.kernel


def simulator_of(lanes: int, mode: str = "fleet", scenario: Any = "lv_rural") -> Any:
    simulator = daogym.make_simulator(scenario, lanes, split="test", action_mode=mode)
    simulator.reset(seed=1_000_000)
    return simulator


def two_bus_community(**changes: Any) -> Community:
    """One bus behind a strong branch: 10 kW / 20 kWh of battery, no losses, no wear, no ageing."""
    flow = LinDistFlow(np.array([1.0, 1.0]), np.zeros((2, 2)), np.zeros((2, 2)))
    plain = Community(
        battery_kw=10.0, battery_kwh=20.0, min_soc_share=0.0, efficiency=1.0, decay_per_h=1.0,
        wear_eur_per_kwh=0.0, ev_kw=np.array([11.0]), ev_efficiency=0.9,
        ev_unmet_eur_per_kwh=1.0, rated_kw=100.0, loss_kw=0.0,
        ageing=(np.zeros(1), np.zeros(1)), flow=flow,
        battery_share=np.array([0.0, 1.0]), pv_share=np.array([0.0, 1.0]),
        load_share=np.array([0.0, 1.0]), load_kvar_per_kw=0.0, ev_bus=np.array([1]),
        voltage_low_pu=0.9, voltage_high_pu=1.1,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def outlook(**changes: Any) -> Outlook:
    """Four hours of 5 kW load at 0.1, 0.1, 0.5 and 0.5 EUR/kWh; exports earn nothing."""
    plain = Outlook(
        hours=np.ones(4), buy=np.array([0.1, 0.1, 0.5, 0.5]), sell=np.zeros(4),
        load_kw=np.full(4, 5.0), pv_kw=np.zeros(4), soc_kwh=0.0, stock_eur_per_kwh=0.0,
        budget_kwh=np.array([1e3]), day=np.zeros(4, dtype=np.int64), cars=(), near=4,
        keeps_budget=False,
        reactive_kvar=np.zeros(2),
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


def test_a_plan_buys_cheap_for_the_dear_hours() -> None:
    plan = make_plan(two_bus_community(), outlook())
    assert plan.battery_kw[:2].sum() == pytest.approx(10.0)
    np.testing.assert_allclose(plan.battery_kw[2:], [-5.0, -5.0], atol=1e-6)
    np.testing.assert_allclose(plan.exchange_kw[2:], 0.0, atol=1e-6)


def test_a_plan_counts_efficiency_budget_and_wear() -> None:
    lossy = make_plan(two_bus_community(efficiency=0.8), outlook())
    assert lossy.battery_kw[:2].sum() == pytest.approx(10.0 / 0.64)
    tight = make_plan(two_bus_community(), outlook(budget_kwh=np.array([8.0])))
    assert np.abs(tight.battery_kw).sum() == pytest.approx(8.0)
    worn = make_plan(two_bus_community(wear_eur_per_kwh=0.21), outlook())
    np.testing.assert_allclose(worn.battery_kw, 0.0, atol=1e-6)


def test_a_plan_leaves_the_sun_where_exports_cost() -> None:
    expected = outlook(sell=np.full(4, -0.1), pv_kw=np.full(4, 30.0))
    plan = make_plan(two_bus_community(battery_kw=0.0), expected)
    np.testing.assert_allclose(plan.used_kw, 5.0, atol=1e-6)
    np.testing.assert_allclose(plan.exchange_kw, 0.0, atol=1e-6)


def test_a_plan_charges_cars_by_their_deadline_in_the_cheapest_hour() -> None:
    car = Car(0, 0, np.ones(3), 9.0, 1.0, True, 12)
    prices = np.array([0.3, 0.1, 0.2, 0.05])
    plan = make_plan(two_bus_community(battery_kw=0.0), outlook(buy=prices, cars=(car,)))
    np.testing.assert_allclose(plan.ev_kw[0], [0.0, 10.0, 0.0], atol=1e-6)
    short = dataclasses.replace(car, hours=np.array([0.5]), energy_kwh=99.0)
    plan = make_plan(two_bus_community(battery_kw=0.0), outlook(buy=prices, cars=(short,)))
    np.testing.assert_allclose(plan.ev_kw[0], [5.5], atol=1e-6)
    owed = dataclasses.replace(car, value_eur_per_kwh=0.1)
    plan = make_plan(two_bus_community(battery_kw=0.0), outlook(buy=prices, cars=(owed,)))
    np.testing.assert_allclose(plan.ev_kw[0], 0.0, atol=1e-6)


def test_a_plan_keeps_the_voltage() -> None:
    """v = 1 - 0.005 P: 1.05 pu is 20.5 kW of export, 0.953 pu is 18.4 kW of import."""
    by_kw = np.array([[0.0, 0.0], [0.0, 0.005]])
    flow = LinDistFlow(np.array([1.0, 1.0]), by_kw, np.zeros((2, 2)))
    settings = two_bus_community(flow=flow, voltage_low_pu=0.95, voltage_high_pu=1.05)
    sunny = outlook(sell=np.full(4, 0.05), pv_kw=np.full(4, 60.0), soc_kwh=20.0)
    plan = make_plan(settings, sunny)
    assert plan.exchange_kw.min() == pytest.approx(-(1.05**2 - 1.0) / 0.005)
    bargain = outlook(buy=np.array([-0.5, 0.1, 0.5, 0.5]))
    plan = make_plan(settings, bargain)
    assert plan.exchange_kw.max() <= (1.0 - 0.953**2) / 0.005 + 1e-6


def test_lindistflow_errs_as_published_on_33_buses() -> None:
    """Full load: 0.913090 pu at bus 18 by AC, LinDistFlow 0.0028 pu above it."""
    feeder = load_feeder("ieee33")
    p, q = np.zeros((1, 33)), np.zeros((1, 33))
    np.add.at(p[0], feeder.load_bus, feeder.load_p_kw)
    np.add.at(q[0], feeder.load_bus, feeder.load_q_kvar)
    assert p.sum() == pytest.approx(3715.0) and q.sum() == pytest.approx(2300.0)
    work = np.zeros((4, 1, 33))
    solve_batch(
        feeder.parent, feeder.r_pu, feeder.x_pu, feeder.tap, feeder.shunt_g_pu, feeder.shunt_b_pu,
        feeder.slack_voltage_pu, 1e-10, 100, p / feeder.s_base_kva, q / feeder.s_base_kva,
        work[0], work[1], work[2], work[3], np.zeros(1, dtype=np.int64),
    )  # fmt: skip
    exact = np.hypot(work[0, 0], work[1, 0])
    assert exact.min() == pytest.approx(0.913090, abs=1e-6)
    linear = LinDistFlow.of(feeder).voltage_pu(p, q)[0]
    assert linear[exact.argmin()] - exact.min() == pytest.approx(0.0028, abs=1e-4)
    assert (linear >= exact - 1e-12).all()


def test_periods_reach_the_end_and_keep_to_the_hours() -> None:
    for step, end, per_hour in [(0, 96, 4), (3, 96, 4), (90, 96, 4), (95, 96, 4), (7, 288, 12)]:
        width = periods(step, end, per_hour)
        assert width.sum() == end - step and (width > 0).all()
        starts = step + np.concatenate([[0], np.cumsum(width)[:-1]])
        assert (starts[width > 1] % per_hour == 0).all()
        assert (width[: min(8, end - step)] == 1).all()


def test_forecasts_are_those_of_the_observation() -> None:
    """Two-hour means, errors included, against the observation's own fields."""
    simulator = simulator_of(6)
    for _ in range(30):
        simulator.step(np.zeros((6, simulator.action_size)))
    fields = simulator.observation_fields
    observed = fields.denormalise(simulator.observations)
    lookout = Lookout(simulator, "forecast", None)
    for lane in range(6):
        found = lookout.block_means(lane, int(simulator.state("day")[lane]), 30)
        for name, expected in zip(("load_forecast", "pv_forecast"), found, strict=True):
            inside = expected < fields.high[fields.slice(name)]
            seen = observed[lane, fields.slice(name)]
            np.testing.assert_allclose(expected[inside], seen[inside], atol=1e-3)


def test_cars_that_have_not_come_are_unknown_without_foresight() -> None:
    simulator = simulator_of(6)
    simulator.step(np.zeros((6, simulator.action_size)))
    lookout = Lookout(simulator, "forecast", None)
    arrival = simulator.state("ev_arrival_step")
    for lane in range(6):
        for car in lookout.outlook(lane).cars:
            assert arrival[lane, car.charger] <= 1


def test_a_planned_power_is_what_the_car_draws() -> None:
    simulator = simulator_of(16, mode="device")
    settings = community(simulator.domain)
    feeder = simulator.domain.feeder
    first = len(feeder.battery_bus) + 2 * len(feeder.pv_bus)
    cars = simulator.state("ev_energy_kwh") > 0.0
    cars &= simulator.state("ev_arrival_step") <= 0
    random = np.random.default_rng(3)
    actions = np.zeros((16, simulator.action_size), dtype=np.float32)
    wanted = np.zeros(cars.shape)
    for lane, charger in np.argwhere(cars).tolist():
        energy = float(simulator.state("ev_energy_kwh")[lane, charger])
        left = int(simulator.state("ev_departure_step")[lane, charger])
        car = Car(charger, 0, np.ones(1), energy, 1.0, True, left)
        limits = charging_limits_kw(settings, car, car.energy_kwh, 0, 0.25)
        wanted[lane, charger] = random.uniform(limits[0], limits[2])
        actions[lane, first + charger] = charging_rate(limits, wanted[lane, charger])
    before = simulator.state("ev_energy_kwh").copy()
    simulator.step(actions)
    drawn = (before - simulator.state("ev_energy_kwh")) / (0.25 * settings.ev_efficiency)
    assert cars.sum() > 20
    np.testing.assert_allclose(drawn[cars], wanted[cars], atol=1e-4)


def test_ageing_of_a_plan_is_below_its_curve_and_near_it() -> None:
    slopes, intercepts = ageing_tangents(0.05, 20.0, 55.0, 5.0, 0.8, 23.0, 1.6)
    loading = np.linspace(0.0, 1.5, 40)
    highest = (np.outer(loading, slopes) + intercepts).max(axis=1)
    oil = 20.0 + 0.5 * 55.0 * (((1 + 5 * loading**2) / 6) ** 0.8 + (2.25 / 6) ** 0.8)
    curve = 0.05 * 2.0 ** ((oil + 23.0 * loading**1.6 - 98.0) / 6.0)
    assert (highest <= curve + 1e-9).all()
    assert (highest >= 0.7 * curve)[(loading > 0.9) & (loading < 1.3)].all()


def test_lanes_do_not_depend_on_their_neighbours_or_threads() -> None:
    """Six lanes in two threads, and each alone in one."""
    together = simulator_of(6)
    controller = RollingMpc("forecast")
    controller.reset(together)
    actions = [controller.act(together)]
    together.step(actions[0])
    actions.append(controller.act(together))
    for lane in (0, 5):
        alone = daogym.make_simulator("lv_rural", 1, split="test")
        alone.reset(seed=1_000_000 + lane)
        single = RollingMpc("forecast")
        single.reset(alone)
        for expected in actions:
            action = single.act(alone)
            assert np.array_equal(action[0], expected[lane])
            alone.step(action)


@pytest.mark.parametrize("mode", ["perfect", "forecast", "persistence"])
def test_planning_beats_self_consumption(mode: Any) -> None:
    controller = RollingMpc(mode)
    planned = play(controller, simulator_of(4, controller.action_mode))
    tracked = play(SelfConsumption(), simulator_of(4))
    assert planned.mean() > tracked.mean() + 5.0


def test_a_new_episode_is_looked_at_anew() -> None:
    """With autoreset the lane goes on into the next episode, whose cars are others."""
    simulator = simulator_of(1, "device")
    controller = RollingMpc("perfect")
    controller.reset(simulator)
    idle = np.zeros((1, simulator.action_size))
    for _ in range(96):
        simulator.step(idle)
    controller.act(simulator)
    fresh = RollingMpc("perfect")
    fresh.reset(simulator)
    assert np.array_equal(controller.act(simulator), fresh.act(simulator))
