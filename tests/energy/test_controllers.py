"""Rules do what they say, use what the observation holds, and searches find what is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.energy import schedules
from daogym.envs.energy.controllers import CONTROLLER_NAMES, RULE_NAMES, make_controller
from daogym.envs.energy.lanes import export_price, known_prices, price_rank, volt_var_shares
from daogym.envs.energy.rules import NoOp, PriceThreshold, SelfConsumption, VoltVar, play
from daogym.envs.energy.schedules import Constant, ConstantTarget, Schedule, ScheduledTarget

from .policies import Wild

pytestmark = pytest.mark.kernel


def simulator_of(scenario: Any = "lv_rural", lanes: int = 4, mode: str = "fleet") -> Any:
    simulator = daogym.make_simulator(scenario, lanes, split="train", action_mode=mode)
    simulator.reset(seed=21)
    return simulator


def event(simulator: Any, name: str) -> Any:
    return simulator.episode_events[:, simulator.event_names.index(name)]


def test_volt_var_curve_is_that_of_the_standard() -> None:
    """IEEE 1547-2018, category B: 0.92, 0.98, 1.02 and 1.08 pu."""
    voltage = np.array([0.3, 0.8, 0.92, 0.95, 0.98, 1.0, 1.02, 1.05, 1.08, 1.2])
    expected = [0.0, 0.44, 0.44, 0.22, 0.0, 0.0, 0.0, -0.22, -0.44, -0.44]
    np.testing.assert_allclose(volt_var_shares(voltage), expected, atol=1e-12)


def test_what_rules_read_is_in_the_observation() -> None:
    """Prices and rank against the observation's own fields, before and after publication."""
    simulator = simulator_of(lanes=8)
    fields = simulator.observation_fields
    policy = Wild("uniform", "fleet")
    for _ in range(90):
        observed = fields.denormalise(simulator.observations)
        prices = known_prices(simulator)
        stock = observed[:, fields.slice("stock_price")]
        inside = (np.abs(prices - stock).max(axis=1) < 0.19) & (stock[:, 0] < 0.39)
        assert inside.any()
        seen = observed[:, fields.slice("price_deviation")] + stock
        np.testing.assert_allclose(prices[inside], seen[inside], atol=1e-6)
        rank = observed[:, fields.offset("price_rank")]
        np.testing.assert_allclose(price_rank(simulator), rank, atol=1e-6)
        share = simulator.scenario.tariff.feed_in_share
        np.testing.assert_allclose(export_price(simulator), share * prices[:, 0], atol=1e-12)
        simulator.step(policy.act(simulator))


def test_no_op_leaves_batteries_and_sun_alone() -> None:
    simulator = simulator_of(mode="device")
    play(NoOp(), simulator)
    assert (event(simulator, "throughput_kwh") == 0.0).all()
    assert (event(simulator, "interventions") == 0.0).all()


def test_volt_var_lowers_high_voltages() -> None:
    """Same days; the sunniest voltage comes down where inverters consume reactive power."""
    highest = []
    for controller in (NoOp(), VoltVar()):
        simulator = simulator_of(lanes=8, mode="device")
        top = 0.0
        for _ in range(95):
            simulator.step(controller.act(simulator))
            top = max(top, float(simulator.state("voltage_pu").max()))
        highest.append(top)
    assert highest[1] < highest[0] - 0.002


def test_self_consumption_leaves_losses_alone_while_batteries_can() -> None:
    """With room, storage and power to spare, what is metered is the feeder's losses."""
    simulator = simulator_of(lanes=16)
    controller = SelfConsumption()
    losses = simulator.event_names.index("losses_kwh")
    capacity = simulator.domain.feeder.battery_e_kwh
    rating = simulator.domain.feeder.battery_p_kw
    checked = 0
    for _ in range(95):
        simulator.step(controller.act(simulator))
        share = simulator.state("soc_kwh") / capacity
        power = np.abs(simulator.state("battery_kw")) / rating
        free = ((share > 0.15) & (share < 0.85) & (power < 0.9)).all(axis=1)
        exchange = simulator.state("exchange_kw")[free]
        np.testing.assert_allclose(exchange, simulator.events[free, losses] / 0.25, atol=1e-5)
        checked += int(free.sum())
    assert checked > 50


def test_price_threshold_follows_ranks_and_negative_prices() -> None:
    simulator = simulator_of(lanes=32)
    controller = PriceThreshold([0.2, 0.9, 0.5, 0.25, -1.0])
    for _ in range(60):
        actions = controller.act(simulator)
        rank, price = price_rank(simulator), export_price(simulator)
        assert (actions[rank < 0.2, 0] == 0.5).all() and (actions[rank < 0.2, 2] == 1.0).all()
        assert (actions[rank >= 0.9, 0] == -0.25).all()
        middle = (rank >= 0.2) & (rank < 0.9)
        assert (actions[middle, 0] == 0.0).all() and (actions[middle, 2] == -1.0).all()
        assert ((actions[:, 1] == -1.0) == (price < 0.0)).all()
        simulator.step(actions)


@pytest.mark.parametrize("step_minutes", [15.0, 5.0])
def test_a_schedule_reads_its_hours_by_the_clock(step_minutes: float) -> None:
    simulator = simulator_of({"base": "lv_rural", "step_minutes": step_minutes}, lanes=2)
    controller = ScheduledTarget(np.concatenate([np.arange(24) / 24.0, [0.3, -0.7]]))
    per_hour = round(60.0 / step_minutes)
    for step in range(simulator.horizon - 1):
        actions = controller.act(simulator)
        assert actions[:, 0] == pytest.approx(step // per_hour / 24.0)
        assert actions[:, 1] == pytest.approx(0.3) and actions[:, 2] == pytest.approx(-0.7)
        simulator.step(actions)


def test_set_points_of_a_schedule_reach_the_devices_by_the_clock() -> None:
    """Open loop: nothing measured moves them, and a constant is a schedule of equal hours."""
    simulator = simulator_of(lanes=2, mode="device")
    shares = np.linspace(-1.0, 1.0, 24)
    controller = Schedule(np.concatenate([shares, [-0.2, 0.4, 0.6]]))
    fields = simulator.action_fields
    wanted = {"pv_use": -0.2, "pv_reactive": 0.4, "ev_rate": 0.6}
    for step in range(simulator.horizon - 1):
        actions = controller.act(simulator)
        assert actions[:, fields.slice("battery")] == pytest.approx(shares[step // 4], abs=1e-7)
        for name, value in wanted.items():
            assert actions[:, fields.slice(name)] == pytest.approx(value, abs=1e-7)
        simulator.step(actions)
    constant = Constant(np.array([0.3, -0.2, 0.4, 0.6])).act(simulator)
    equal = Schedule(np.concatenate([np.full(24, 0.3), [-0.2, 0.4, 0.6]])).act(simulator)
    assert np.array_equal(constant, equal)


def test_candidates_side_by_side_earn_what_they_earn_alone() -> None:
    scenario = daogym.load_scenario("lv_rural")
    candidates = np.array([[0.0, 0.0, 0.0], [-0.4, 0.1, -1.0], [0.7, -0.9, 1.0]])
    together = schedules.mean_money(scenario, ConstantTarget, candidates, days=3)
    for candidate, money in zip(candidates, together, strict=True):
        simulator = daogym.make_simulator("lv_rural", 3, split="train")
        simulator.reset(seed=schedules.SEARCH_SEED)
        assert money == play(ConstantTarget(candidate), simulator).mean()


def test_searches_beat_where_they_start_and_are_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(schedules, "_folder", lambda: tmp_path)
    monkeypatch.setattr(schedules, "CANDIDATES", 160)
    monkeypatch.setattr(schedules, "GENERATION", 40)
    monkeypatch.setattr(schedules, "ELITE", 6)
    monkeypatch.setattr(schedules, "SEARCH_DAYS", 4)
    monkeypatch.setattr(schedules, "THRESHOLD_DAYS", 4)
    scenario = daogym.load_scenario("lv_rural")
    for search, kind, size in (
        (schedules.constant_target_parameters, ConstantTarget, 3),
        (schedules.scheduled_target_parameters, ScheduledTarget, 26),
        (schedules.constant_parameters, Constant, 4),
        (schedules.schedule_parameters, Schedule, 27),
    ):
        found = search(scenario)
        both = schedules.mean_money(scenario, kind, np.stack([np.zeros(size), found]), 4)
        assert both[1] >= both[0]
    threshold = schedules.threshold_parameters(scenario)
    idle = np.array([0.0, 1.1, 0.2, 0.2, 0.0])
    both = schedules.mean_money(scenario, PriceThreshold, np.stack([idle, threshold]), 4)
    assert both[1] >= both[0]

    monkeypatch.setattr(schedules, "mean_money", None)
    assert np.array_equal(schedules.threshold_parameters(scenario), threshold)
    assert len(list(tmp_path.iterdir())) == 5


def test_names_and_modes() -> None:
    simulator = simulator_of()
    assert simulator.domain.controller_names == CONTROLLER_NAMES
    assert set(simulator.domain.rule_names) == set(RULE_NAMES) < set(CONTROLLER_NAMES)
    for name in ("no_op", "volt_var", "self_consumption", "mpc_perfect", "mpc_forecast"):
        controller = simulator.domain.make_controller(name)
        assert controller.name == name
    with pytest.raises(ValueError, match="acts in mode 'device', the simulator takes 'fleet'"):
        NoOp().reset(simulator)
    with pytest.raises(ValueError, match=r"no_op.*expected, got 'nop'"):
        make_controller("nop", simulator.scenario)
