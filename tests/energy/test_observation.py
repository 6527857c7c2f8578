"""What the operator sees: the state in its units, published prices, nothing from the future."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.core.simulator import Simulator
from daogym.envs.energy.layout import D_STOCK_PRICE, PAST_QUARTERS
from daogym.envs.energy.scenario import EnergyScenario

pytestmark = pytest.mark.kernel

ENERGY = [
    e for e in daogym.REGISTERED if isinstance(daogym.load_scenario(e.scenario), EnergyScenario)
]
LANES = 4


def seen(simulator: Simulator, name: str) -> NDArray[np.float64]:
    """One field of the observations in its unit, (N, size)."""
    fields = simulator.observation_fields
    return fields.denormalise(simulator.observations)[:, fields.slice(name)]


def meant(simulator: Simulator) -> dict[str, NDArray[Any]]:
    """The same numbers from the state, (N, size) or (N,)."""
    state, dt_h = simulator.state, simulator.scenario.step_minutes / 60.0
    capacity = simulator.domain.feeder.battery_e_kwh.sum()
    left = state("ev_departure_step") - state("step")[:, None]
    here = (state("ev_arrival_step") <= state("step")[:, None]) & (state("ev_energy_kwh") > 1e-9)
    quarter = (state("step") % 96)[:, None]
    return {
        "hour_sin": np.sin(2 * np.pi * quarter / 96.0),
        "hour_cos": np.cos(2 * np.pi * quarter / 96.0),
        "load": state("load_kw"),
        "pv": state("pv_kw"),
        "exchange": state("exchange_kw"),
        "curtailed_share": state("curtailed_share"),
        "loading": state("loading"),
        "oil_temperature": state("oil_c"),
        "hot_spot_temperature": state("hot_spot_c"),
        "relay_hold": state("relay_hold_steps") * dt_h,
        "soc_share": state("soc_kwh").sum(axis=1) / capacity,
        "budget_left": state("budget_kwh"),
        "governed": state("governed")[:, : len(simulator.observation_fields["governed"].low)],
        "bus_voltage": state("voltage_pu")[:, 1:],
        "soc": state("soc_kwh"),
        "battery": state("battery_kw"),
        "ev_energy": np.where(here, state("ev_energy_kwh"), 0.0),
        "ev_hours_left": np.where(here, left * dt_h, 0.0),
        "pv_trip": state("pv_trip_steps") * dt_h,
    }


@pytest.mark.parametrize("entry", ENERGY, ids=lambda e: e.id.split("/")[-1])
def test_the_state_is_seen_as_it_is(entry: Any) -> None:
    """Declared ranges hold every value under random actions: nothing is cut off at an end."""
    simulator = daogym.make_simulator(
        entry.scenario, LANES, split="all", autoreset="disabled", **entry.options
    )
    fields = {field.name: field for field in simulator.observation_fields}
    rng = np.random.default_rng(2)
    for seed in range(6):
        simulator.reset(seed=seed * LANES)
        for step in range(simulator.horizon):
            if step % 4 == 0:
                actions = rng.uniform(-1, 1, (LANES, simulator.action_size)).astype(np.float32)
            simulator.step(actions)
            alive = simulator.state("voltage_pu")[:, 0] > 0.0
            for name, value in meant(simulator).items():
                found = seen(simulator, name)
                wide = np.max(np.asarray(fields[name].high) - np.asarray(fields[name].low))
                expected = np.broadcast_to(value.reshape(LANES, -1), found.shape)
                rows = alive if name == "bus_voltage" else slice(None)
                error = np.abs(found - expected)[rows]
                assert error.size == 0 or error.max() <= 2e-7 * wide + 1e-9, (name, step)


def prices_of(simulator: Simulator, lane: int, quarter: int) -> tuple[NDArray[Any], int]:
    """Day-ahead prices of the next 24 hours and how many of them are published."""
    series = simulator.domain.loaded.series
    day = int(simulator.state("day")[lane]) + quarter // 96
    hours = series.price_eur_per_mwh.reshape(-1) / 1000.0
    now = day * 24 + quarter % 96 // 4
    known = 24 if quarter % 96 >= 52 else 24 - quarter % 96 // 4
    return hours[now : now + known], known


def test_prices_are_those_published_at_one_o_clock() -> None:
    simulator = daogym.make_simulator("lv_rural", 3, episode_days=2, autoreset="disabled")
    simulator.reset(seed=0)
    idle = np.zeros((3, simulator.action_size), dtype=np.float32)
    for quarter in range(95):
        for lane in range(3):
            prices, known = prices_of(simulator, lane, quarter)
            assert seen(simulator, "price_known_hours")[lane] == pytest.approx(known, abs=1e-4)
            low, high = -0.1, 0.4
            assert seen(simulator, "price")[lane] == pytest.approx(
                np.clip(prices[0], low, high), abs=1e-6
            )
        simulator.step(idle)


def change_tomorrow(simulator: Simulator, day_of_episode: int) -> None:
    """Other prices from the midnight after `day_of_episode` on, in this simulator alone."""
    *arrays, charter = simulator._tables
    rows, world, price_hours, days = (array.copy() for array in arrays)
    day = int(simulator.state("day")[0]) + day_of_episode + 1
    past_hours, past_quarters = PAST_QUARTERS // 4, PAST_QUARTERS
    price_hours[past_hours + day * 24 :] += 0.123
    world[0:2, past_quarters + day * 96 :] += 0.123
    days[D_STOCK_PRICE, day:] += 0.123
    simulator._tables = (rows, world, price_hours, days, charter)
    simulator._reset_tables = simulator._tables[1:]


def test_tomorrows_prices_cannot_be_seen_before_they_are_published() -> None:
    """Two worlds that differ from midnight on look alike until 13:00, and differ from then on."""
    one, other = (daogym.make_simulator("lv_rural", 1, episode_days=3) for _ in range(2))
    for simulator in (one, other):
        simulator.reset(seed=3)
    change_tomorrow(other, 1)
    other.reset(seed=3)
    idle = np.zeros((1, one.action_size), dtype=np.float32)
    fields = one.observation_fields
    for quarter in range(192):
        same = np.array_equal(one.observations, other.observations)
        if quarter < 96 + 52:
            differ = [
                field.name for field in fields
                if not np.array_equal(
                    one.observations[:, fields.slice(field.name)],
                    other.observations[:, fields.slice(field.name)],
                )
            ]  # fmt: skip
            assert same, (quarter, differ)
        one.step(idle)
        other.step(idle)
        assert one.rewards[0] == other.rewards[0]


def test_forecasts_err_as_much_as_the_scenario_says() -> None:
    """Relative error of each lead: sigma sqrt(1 - persistence^(2 lead)), without bias."""
    n = 3000
    simulator = daogym.make_simulator("lv_rural", n, autoreset="disabled")
    simulator.reset(seed=0, options={"date": "2023-06-14"})
    forecast = simulator.scenario.forecast
    series, rows = simulator.domain.loaded.series, simulator.domain.loaded.rows
    n_bus, day = simulator.domain.feeder.n_bus, int(simulator.state("day")[0])
    load = np.concatenate([
        rows[series.load_day[d] * 96 : series.load_day[d] * 96 + 96, :n_bus].sum(axis=1)
        for d in (day, day + 1)
    ])  # fmt: skip
    blocks = load[:96].reshape(12, 8).mean(axis=1)
    ratio = seen(simulator, "load_forecast") / blocks - 1.0
    leads = 1.0 + 2.0 * np.arange(12)
    sigma = forecast.load_sigma * np.sqrt(1.0 - forecast.persistence_per_h ** (2.0 * leads))
    assert np.all(np.abs(ratio.mean(axis=0)) <= 4.0 * sigma / np.sqrt(n) + 1e-3)
    assert np.all(np.abs(ratio.std(axis=0) / sigma - 1.0) <= 4.0 / np.sqrt(2 * n))
