"""A fleet's scarce hours go to places by their weights: all are used, and none twice."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.core.strict import ConfigError
from daogym.envs.logistics import layout as at
from daogym.envs.logistics.fleets import STEEPNESS

from .conftest import make_network

pytestmark = pytest.mark.kernel

SCENARIO = "supply_network_drones"
N = 6


def with_vehicles(count: float) -> Any:
    """The scenario with as many vehicles a hub, and hands enough; states fit whatever the count."""
    settings = make_network(SCENARIO).scenario.model_dump(mode="json")
    settings["modes"][-1]["fleet"]["vehicles"] = count
    for node in settings["nodes"]:
        node["throughput_per_day"] = None
    changes = {name: settings[name] for name in ("modes", "nodes")}
    return make_network(SCENARIO, N, changes=changes)


def hours_of(simulator: Any) -> Any:
    """(N, routes) fleet hours of what was sent in the last step."""
    tables = simulator.domain.network.tables
    volume = simulator.state("flow_units") @ tables["goods"][:, at.H_VOLUME]
    return volume * tables["route_values"][:, at.Q_HOURS]


def shared_out(asked: Any, weight: Any, hours: float) -> Any:
    """min(1, level w) asked, the level by bisection such that all hours are used."""
    if asked.sum() <= hours:
        return asked
    low, high = 0.0, 1.0 / weight[asked > 0.0].min()
    for _ in range(200):
        level = 0.5 * (low + high)
        used = (np.minimum(1.0, level * weight) * asked).sum()
        low, high = (level, high) if used < hours else (low, level)
    return np.minimum(1.0, level * weight) * asked


def test_hours_are_shared_by_weight_and_all_used() -> None:
    """Against what was asked for (the same morning with a hundred vehicles) shared by bisection."""
    scarce, ample = with_vehicles(1), with_vehicles(100)
    scarce.reset(seed=3)
    ample.reset(seed=3)
    network = scarce.domain.network
    fleet, place = network.tables["routes"][:, [at.R_FLEET, at.R_PLACE]].T
    first = scarce.action_fields.slice("fleet").start
    hours = network.scenario.modes[-1].fleet.hours_per_day
    draw = np.random.default_rng(2)
    seen = full = 0
    for _ in range(60):
        actions = draw.uniform(-1.0, 1.0, (N, scarce.action_size)).astype(np.float32)
        actions[:, first - 1] = 1.0  # the drones' share
        ample.restore(scarce.snapshot())
        ample.step(actions)
        scarce.step(actions)
        asked, sent = hours_of(ample), hours_of(scarce)
        for f in range(len(network.fleets)):
            mine = np.flatnonzero(fleet == f)
            for lane in range(N):
                a = actions[lane, first + place[mine]].astype(float)
                weight = (1.0 + STEEPNESS * a) / (1.0 - STEEPNESS * a)
                wanted = shared_out(asked[lane, mine], weight, hours)
                assert np.allclose(sent[lane, mine], wanted, rtol=1e-9, atol=1e-9)
                if asked[lane, mine].sum() > hours:
                    assert sent[lane, mine].sum() == pytest.approx(hours, rel=1e-9)
                    seen += 1
                    got = sent[lane, mine] >= asked[lane, mine] * (1.0 - 1e-12)
                    full += int((got & (asked[lane, mine] > 0.0)).any())
    assert seen > 300 and full > 50


def test_action_zero_is_the_rule_without_allocation() -> None:
    """Bit for bit, whatever the other actions are."""
    with_it = make_network(SCENARIO, N)
    without = make_network(SCENARIO, N, changes={"actions": {"fleet_allocation": False}})
    places = with_it.action_fields.slice("fleet")
    assert with_it.action_size == without.action_size + 8 == places.stop
    with_it.reset(seed=8)
    without.reset(seed=8)
    draw = np.random.default_rng(4)
    for _ in range(90):
        actions = draw.uniform(-1.0, 1.0, (N, without.action_size)).astype(np.float32)
        without.step(actions)
        with_it.step(np.hstack([actions, np.zeros((N, 8), np.float32)]))
        assert np.array_equal(with_it.rewards, without.rewards)
        assert np.array_equal(with_it.state("flow_units"), without.state("flow_units"))


def test_a_place_that_weighs_more_is_served_first() -> None:
    simulator = make_network(SCENARIO, N)
    network = simulator.domain.network
    places = simulator.action_fields.slice("fleet")
    route = network.fleet_routes[0]
    sent = []
    for weight in (-1.0, 0.0, 1.0):
        simulator.reset(seed=8)
        actions = np.zeros((N, simulator.action_size), np.float32)
        actions[:, places.start - 1] = 1.0  # the drones' share, so that hours are always scarce
        actions[:, places.start] = weight
        flow = 0.0
        for _ in range(120):
            simulator.step(actions)
            flow += simulator.state("flow_units")[:, route].sum()
        sent.append(flow)
    assert sent[0] < 0.7 * sent[1] and sent[2] > 1.3 * sent[1]


def test_allocation_without_fleets_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"fleet_allocation: a mode with a fleet is expected"):
        make_network("serial_3", changes={"actions": {"fleet_allocation": True}})
    assert "fleet" not in make_network(SCENARIO, action_mode="orders").action_fields
