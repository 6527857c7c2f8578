"""A quarter-hour in one step or in four: the same powers held give the same money and energy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.simulator import Simulator

pytestmark = pytest.mark.kernel

QUARTERS = 96
LANES = 3


def simulator_of(step_minutes: float, **stress: float) -> Simulator:
    """Ramp, budget, export limit, trips and relay out of the way."""
    scenario = daogym.load_scenario(
        "lv_rural",
        {
            "step_minutes": step_minutes,
            "stress": {"transformer": 3.0, **stress},
            "limits": {"relay_loading": 3.0, "hot_spot_limit_c": 200.0, "trip_voltage_pu": 1.29},
            "batteries": {"self_discharge_per_day": 0.1},
            "charter": {
                "parameters": {
                    "export_limit_share": 1.0,
                    "flexibility_budget_cycles_per_day": 6.0,
                    "set_point_slew_share_per_hour": 4.0,
                }
            },
        },
    )
    simulator = daogym.make_simulator(
        scenario, LANES, action_mode="device", autoreset="disabled", split="all"
    )
    simulator.reset(seed=[4, 5, 6], options={"date": ["2023-01-12", "2023-06-14", "2023-10-03"]})
    return simulator


def held_actions(simulator: Simulator) -> Any:
    """One action a quarter-hour: small battery powers (no limit bites), all PV, even charging."""
    rng = np.random.default_rng(9)
    fields = simulator.action_fields
    rows = np.zeros((QUARTERS, LANES, simulator.action_size), dtype=np.float32)
    sign = np.where(np.arange(QUARTERS) // 4 % 2, 1.0, -1.0)[:, None, None]
    n_battery = fields.slice("battery").stop - fields.slice("battery").start
    size = rng.uniform(0.02, 0.05, (QUARTERS // 8, LANES, n_battery)).repeat(8, axis=0)
    rows[:, :, fields.slice("battery")] = sign * size
    rows[:, :, fields.slice("pv_reactive")] = rng.uniform(-0.3, 0.3, (QUARTERS, LANES, 1))
    return rows


def run(simulator: Simulator) -> dict[str, Any]:
    """Sums over each quarter-hour and the state at its end."""
    substeps = simulator.scenario.substeps
    assert simulator.horizon == QUARTERS * substeps
    terms, events, costs, soc, oil = [], [], [], [], []
    for action in held_actions(simulator):
        sums = [0.0, 0.0, 0.0]
        for _ in range(substeps):
            simulator.step(action)
            sums[0] = sums[0] + simulator.terms
            sums[1] = sums[1] + simulator.events
            sums[2] = sums[2] + simulator.costs
            power = simulator.action_fields.slice("battery")
            wanted = action[:, power].astype(np.float64) * simulator.domain.feeder.battery_p_kw
            assert np.allclose(simulator.state("battery_kw"), wanted, rtol=1e-12)
        terms.append(sums[0])
        events.append(sums[1])
        costs.append(sums[2])
        soc.append(simulator.state("soc_kwh").copy())
        oil.append(simulator.state("oil_c").copy())
    return {
        "terms": np.array(terms), "events": np.array(events), "costs": np.array(costs),
        "soc": np.array(soc), "oil": np.array(oil),
    }  # fmt: skip


def close(one: Any, other: Any, relative: float) -> bool:
    """Within `relative` of the largest number of its column."""
    scale = np.abs(one).max(axis=0, keepdims=True)
    return bool(np.all(np.abs(one - other) <= relative * scale + 1e-12))


@pytest.mark.parametrize("step_minutes", [3.75, 5.0, 7.5])
def test_quarter_hours_do_not_depend_on_the_step(step_minutes: float) -> None:
    coarse, fine = simulator_of(15.0), simulator_of(step_minutes)
    for part in ("ev_energy_kwh", "soc_kwh", "load_error", "pv_error"):
        assert np.array_equal(coarse.state(part), fine.state(part)), part
    one, other = run(coarse), run(fine)
    names = coarse.term_names
    assert close(one["soc"], other["soc"], 1e-9)
    assert close(one["oil"], other["oil"], 1e-9)
    for i, name in enumerate(names):
        # The midpoint rule of ageing sees the temperature's curve in four pieces instead of one.
        tolerance = 1e-3 if name == "ageing" else 1e-9
        assert close(one["terms"][:, :, i], other["terms"][:, :, i], tolerance), name
    for i, name in enumerate(coarse.event_names):
        if (name.endswith("_kwh") and name != "energy_balance_kwh") or name.endswith("_hours"):
            assert close(one["events"][:, :, i], other["events"][:, :, i], 1e-9), name
    for name in ("interventions", "inverter_trips", "relay_steps", "outage_steps"):
        assert not one["events"][:, :, coarse.event_names.index(name)].any(), name
    assert close(one["costs"], other["costs"], 1e-9)
    assert one["events"][:, :, coarse.event_names.index("throughput_kwh")].min() > 0.0


def test_published_prices_and_sessions_do_not_move_with_the_step() -> None:
    coarse, fine = simulator_of(15.0), simulator_of(3.75)
    assert np.array_equal(
        4 * coarse.state("ev_arrival_step"), fine.state("ev_arrival_step")
    ) and np.array_equal(4 * coarse.state("ev_departure_step"), fine.state("ev_departure_step"))
    fields = coarse.observation_fields
    idle = np.zeros((LANES, coarse.action_size), dtype=np.float32)
    for _ in range(QUARTERS - 1):
        coarse.step(idle)
        for _ in range(4):
            fine.step(idle)
        for name in ("price", "price_known_hours", "price_deviation", "hour_sin", "time_left",
                     "ev_hours_left", "ev_energy"):  # fmt: skip
            columns = fields.slice(name)
            assert np.allclose(
                coarse.observations[:, columns], fine.observations[:, columns], atol=1e-6
            ), name


@pytest.mark.parametrize("step_minutes", [3.75, 15.0])
def test_protection_times_are_hours_not_steps(step_minutes: float) -> None:
    """An inverter stays away for 30 minutes and a relay holds for 60, whatever the step."""
    scenario = daogym.load_scenario(
        "lv_rural",
        {
            "step_minutes": step_minutes,
            "limits": {"voltage_high_pu": 1.03, "trip_voltage_pu": 1.04},
            "stress": {"transformer": 0.3},
        },
    )
    simulator = daogym.make_simulator(scenario, 1, action_mode="device", autoreset="disabled")
    simulator.reset(seed=1, options={"date": "2023-06-14"})
    idle = np.zeros((1, simulator.action_size), dtype=np.float32)
    longest_away, longest_hold = 0, 0
    for _ in range(simulator.horizon):
        simulator.step(idle)
        longest_away = max(longest_away, int(simulator.state("pv_trip_steps").max()))
        longest_hold = max(longest_hold, int(simulator.state("relay_hold_steps").max()))
    assert longest_away * step_minutes == 30.0
    assert longest_hold * step_minutes == 60.0
