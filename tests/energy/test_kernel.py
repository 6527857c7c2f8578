"""Protection, money and energy of whole steps, each worked out from the outside."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

pytestmark = pytest.mark.kernel


# -- protection -----------------------------------------------------------------------------------


def test_inverters_trip_a_step_late_and_come_back_after_their_delay(bench: ModuleType) -> None:
    """Voltage above the threshold in step t: away in t+1 and t+2 (30 minutes), back in t+3."""
    simulator = bench.simulator_of(
        {"limits": {"voltage_high_pu": 1.03, "trip_voltage_pu": 1.04}, "stress": {"pv": 1.2}}
    )
    simulator.reset(seed=11, options={"date": "2023-06-14"})
    feeder = simulator.domain.feeder
    idle = bench.Actions(simulator).row
    away = np.zeros(len(feeder.pv_bus), dtype=np.int64)
    trips = 0
    for _ in range(96):
        timers = simulator.state("pv_trip_steps")[0].copy()
        assert np.array_equal(timers, away)
        simulator.step(idle)
        voltage = simulator.state("voltage_pu")[0][feeder.pv_bus]
        tripped = (away == 0) & (voltage > 1.04)
        away = np.where(tripped, 2, np.maximum(away - 1, 0))
        assert bench.event(simulator, "inverter_trips") == tripped.sum()
        trips += int(tripped.sum())
    assert trips >= 8


def test_an_inverter_that_is_away_gives_nothing(bench: ModuleType, reference: ModuleType) -> None:
    simulator = bench.simulator_of({"limits": {"voltage_high_pu": 1.03, "trip_voltage_pu": 1.04}})
    simulator.reset(seed=11, options={"date": "2023-06-14"})
    idle = bench.Actions(simulator).row
    seen = 0
    for _ in range(96):
        away = simulator.state("pv_trip_steps")[0] > 0
        want = reference.expected_step(simulator, 0, idle[0].astype(float))
        simulator.step(idle)
        assert not np.any(want.pv_kw[away])
        assert simulator.state("pv_kw")[0] == pytest.approx(want.pv_kw.sum(), rel=1e-12)
        seen += int(away.sum())
    assert seen > 5


def test_the_relay_acts_one_step_late_and_holds_as_long_as_stated(bench: ModuleType) -> None:
    """Loading above the relay's limit in step t changes nothing in t; t+1 .. t+4 are held."""
    changes = {"stress": {"transformer": 0.3}, "limits": {"relay_hold_minutes": 60.0}}
    simulator, plain = bench.simulator_of(changes), bench.simulator_of({**changes, "limits": {
        "relay_loading": 3.0, "hot_spot_limit_c": 200.0}})  # fmt: skip
    for s in (simulator, plain):
        s.reset(seed=12, options={"date": "2023-06-14"})
    idle = bench.Actions(simulator).row
    held, acted = 0, False
    for _ in range(96):
        before = held
        simulator.step(idle)
        plain.step(idle)
        assert bench.event(simulator, "relay_steps") == (1.0 if before else 0.0)
        if not acted:
            assert simulator.state("exchange_kw")[0] == plain.state("exchange_kw")[0]
        loading = float(simulator.state("loading")[0])
        hot = float(simulator.state("hot_spot_c")[0]) > 140.0 and loading > 1.0
        held = before - 1 if before else (4 if loading > 1.5 or hot else 0)
        assert simulator.state("relay_hold_steps")[0] == held
        acted = acted or held > 0
    assert acted


def test_a_holding_relay_keeps_the_transformer_near_its_rating(bench: ModuleType) -> None:
    simulator = bench.simulator_of({"stress": {"transformer": 0.3}}, n=2)
    simulator.reset(seed=13, options={"date": ["2023-06-14", "2023-01-12"]})
    action = bench.Actions(simulator).set("battery", [[-1.0], [1.0]]).set("ev_rate", 1.0).row
    held = 0
    for _ in range(96):
        holding = simulator.state("relay_hold_steps") > 0
        direction = simulator.state("relay_direction").copy()
        simulator.step(action)
        for lane in np.flatnonzero(holding):
            held += 1
            exchange = direction[lane] * simulator.state("exchange_kw")[lane]
            # active power: rating and losses; reactive power of loads comes on top
            assert exchange <= 1.1 * simulator.domain.transformer_kva
    assert held > 4


# -- money ----------------------------------------------------------------------------------------


def test_money_is_metered_at_the_transformer(bench: ModuleType) -> None:
    """Every term from events, published prices and the scenario's constants."""
    simulator = bench.simulator_of(n=4, autoreset="disabled")
    simulator.reset(seed=14)
    series, tariff = simulator.domain.loaded.series, simulator.scenario.tariff
    rng = np.random.default_rng(3)
    soc0 = simulator.state("soc_kwh").sum(axis=1)
    names = simulator.event_names
    days = simulator.state("day").copy()
    for step in range(96):
        simulator.step(rng.uniform(-1, 1, (4, simulator.action_size)).astype(np.float32))
        for lane in range(4):
            price = series.price_eur_per_mwh[days[lane], step // 4] / 1000.0
            e = dict(zip(names, simulator.events[lane], strict=True))
            fee = tariff.import_fee_eur_per_kwh
            assert bench.term(simulator, "import", lane) == pytest.approx(
                -e["import_kwh"] * (price + fee), rel=1e-12, abs=1e-15
            )
            assert bench.term(simulator, "export", lane) == pytest.approx(
                e["export_kwh"] * tariff.feed_in_share * price, rel=1e-12, abs=1e-15
            )
            assert e["import_kwh"] * e["export_kwh"] == 0.0
            assert (e["import_kwh"] - e["export_kwh"]) * 4 == pytest.approx(
                simulator.state("exchange_kw")[lane], rel=1e-12, abs=1e-12
            )
            assert bench.term(simulator, "unserved", lane) == pytest.approx(
                -8.0 * e["unserved_kwh"]
            )
            if step < 95:
                assert bench.term(simulator, "stock", lane) == 0.0
    assert np.all(simulator.terminated)
    gained = simulator.state("soc_kwh").sum(axis=1) - soc0
    assert np.all(np.abs(gained) > 0.0)


def test_energy_is_conserved_from_meter_to_devices(bench: ModuleType) -> None:
    """Import = load + cars + batteries - sun + losses, each read from another place."""
    simulator = bench.simulator_of(n=4)
    simulator.reset(seed=15)
    rng = np.random.default_rng(4)
    names = simulator.event_names
    efficiency = simulator.scenario.cars.efficiency
    for _ in range(95):
        wanted = simulator.state("ev_energy_kwh").copy()
        session = simulator.state("ev_day").copy()
        simulator.step(rng.uniform(-1, 1, (4, simulator.action_size)).astype(np.float32))
        cars = np.maximum(wanted - simulator.state("ev_energy_kwh"), 0.0) / efficiency
        known = np.all(simulator.state("ev_day") == session, axis=1)
        e = {name: simulator.events[:, i] for i, name in enumerate(names)}
        inside = 0.25 * (
            simulator.state("load_kw") + simulator.state("battery_kw").sum(axis=1)
            - simulator.state("pv_kw")
        ) + cars.sum(axis=1) + e["losses_kwh"]  # fmt: skip
        meter = e["import_kwh"] - e["export_kwh"]
        flowed = e["import_kwh"] + e["export_kwh"] + 0.25 * simulator.state("load_kw") + 1.0
        good = known & (e["outage_steps"] == 0)
        # A car that is all but full loses up to 1e-9 kWh to rounding.
        assert np.all(np.abs(meter - inside)[good] <= 1e-9 * flowed[good] + 1e-8)
        assert np.all(e["losses_kwh"] >= 0.0)


def test_a_blackout_serves_nobody_and_costs_every_kwh(bench: ModuleType) -> None:
    """Voltages below the floor: zero exchange, all load unserved, devices idle."""
    simulator = bench.simulator_of(
        {"stress": {"load": 5.0}, "limits": {"voltage_floor_pu": 0.94}}, n=2
    )
    simulator.reset(seed=16, options={"date": "2023-01-12"})
    action = bench.Actions(simulator).set("battery", 1.0).set("ev_rate", 1.0).row
    outages = 0
    rows, series = simulator.domain.loaded.rows, simulator.domain.loaded.series
    n_bus, day = simulator.domain.feeder.n_bus, int(simulator.state("day")[0])
    for quarter in range(96):
        soc, wanted = simulator.state("soc_kwh").copy(), simulator.state("ev_energy_kwh").copy()
        session = simulator.state("ev_day").copy()
        simulator.step(action)
        load = rows[series.load_day[day] * 96 + quarter, :n_bus].astype(float).sum()
        for lane in range(2):
            if not bench.event(simulator, "outage_steps", lane):
                continue
            outages += 1
            assert simulator.state("exchange_kw")[lane] == 0.0
            assert simulator.state("load_kw")[lane] == 0.0
            assert not simulator.state("battery_kw")[lane].any()
            assert np.all(simulator.state("soc_kwh")[lane] <= soc[lane])
            same = session[lane] == simulator.state("ev_day")[lane]
            assert np.array_equal(wanted[lane][same], simulator.state("ev_energy_kwh")[lane][same])
            assert not simulator.state("voltage_pu")[lane].any()
            assert bench.event(simulator, "unserved_kwh", lane) == pytest.approx(
                0.25 * load, rel=1e-12
            )
            assert bench.event(simulator, "energy_balance_kwh", lane) == 0.0
    assert outages > 0
