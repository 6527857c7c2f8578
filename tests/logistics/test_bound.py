"""Nobody earns more than the bound, HiGHS with perfect foresight least of all."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.logistics import layout as at
from daogym.envs.logistics.bound import upper_bound, world_of
from daogym.envs.logistics.governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK
from daogym.envs.logistics.plan import Situation, plan
from daogym.envs.logistics.policies import CappedBaseStock, MinMax, Sterman
from daogym.envs.logistics.rules import BaseStock, Controller

from .conftest import make_network

pytestmark = pytest.mark.kernel


class Wild(Controller):
    """Random actions, corners, or all one end."""

    def __init__(self, kind: str, action_mode: Any) -> None:
        self.name, self.kind, self.action_mode = f"{kind} {action_mode}", kind, action_mode
        self.draw = np.random.default_rng(0)

    def act(self, simulator: Any) -> Any:
        shape = (simulator.num_envs, simulator.action_size)
        if self.kind in ("high", "low"):
            return np.full(shape, 1.0 if self.kind == "high" else -1.0, dtype=np.float32)
        drawn = self.draw.uniform(-1.0, 1.0, shape)
        return (np.sign(drawn) if self.kind == "corners" else drawn).astype(np.float32)


def players(orders: bool = True) -> list[Controller]:
    kinds = ("random", "corners", "high", "low")
    found: list[Controller] = [BaseStock(), *(Wild(kind, "base_stock") for kind in kinds)]
    if orders:
        found += [
            MinMax(np.array([1.0, 0.1])), CappedBaseStock(np.array([1.0, 2.0])),
            Sterman(np.array([0.26, 0.34, 1.0])), *(Wild(kind, "orders") for kind in kinds),
        ]  # fmt: skip
    return found


def smallest_gap(spec: Any, lanes: int, changes: Any = None, seed: int = 5) -> dict[str, float]:
    """Smallest bound - J over the lanes' episodes, by player, USD."""
    gaps, bound = {}, None
    for player in players():
        simulator = make_network(
            spec, lanes, action_mode=player.action_mode, changes=changes, split="test"
        )
        simulator.reset(seed=seed)
        if bound is None:
            bound = upper_bound(simulator)
        player.reset(simulator)
        money = np.zeros(lanes)
        for _ in range(simulator.horizon):
            simulator.step(player.act(simulator))
            money += simulator.rewards
        gaps[player.name] = float((bound - money).min())
    return gaps


def test_nobody_passes_the_bound_of_the_default_network() -> None:
    gaps = smallest_gap("supply_network", 8, {"horizon_days": 120})
    assert min(gaps.values()) > 0.0, gaps


@pytest.mark.parametrize(
    "name",
    ["serial_3", "newsvendor", "lost_sales_geometric_l3_p39", "dual_sourcing_l2_c5", "beer_game"],
)
def test_nobody_passes_the_bound_of_a_preset(name: str) -> None:
    gaps = smallest_gap(name, 16, {"horizon_days": 36})
    assert min(gaps.values()) >= 0.0, gaps


@st.composite
def small_networks(draw: st.DrawFn) -> dict[str, Any]:
    """A supplier, a centre and two shops, with costs, leads and disruptions of any kind."""

    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high))

    shops = [
        {"name": f"shop_{i}", "tier": "shop", "mean_demand": [number(0.5, 6.0), number(0.5, 6.0)],
         "holding_usd_per_day": number(0.0, 1.0), "transit_usd_per_day": number(0.0, 1.0)}
        for i in range(2)
    ]  # fmt: skip
    return {
        "name": "small", "horizon_days": draw(st.integers(3, 20)),
        "goods": [
            {"name": name, "price_usd": number(0.0, 20.0), "purchase_usd": number(0.0, 12.0)}
            for name in ("a", "b")
        ],
        "modes": [
            {"name": "slow", "lead_days": draw(st.integers(1, 4)), "freight_usd": number(0.0, 2.0),
             "late_probability": number(0.0, 0.5)},
            {"name": "fast", "lead_days": 0, "freight_usd": number(0.0, 6.0), "knob": "mode",
             "share_at_zero": 0.2},
        ],
        "nodes": [
            {"name": "supplier", "is_supplier": True, "x_km": -10.0},
            {"name": "centre", "tier": "centre", "holding_usd_per_day": number(0.0, 0.5)},
            *shops,
        ],
        "lanes": [
            {"origin": "supplier", "destination": "centre", "modes": ["slow"], "km": 0.0},
            *({"origin": "centre", "destination": shop["name"], "modes": ["slow", "fast"],
               "km": 0.0, "disruption_alpha": number(0.0, 0.5), "disruption_beta": 0.5}
              for shop in shops),
        ],
        "demand": {
            "law": "negative_binomial", "size": 3, "level_deviation": 0.3,
            "backlogged_share": draw(st.sampled_from([0.0, 0.4, 1.0])),
            "backlog_usd_per_day": number(0.0, 3.0), "lost_usd": number(0.0, 6.0),
        },
    }  # fmt: skip


@hypothesis.given(small_networks(), st.integers(0, 10**6))
@hypothesis.settings(max_examples=25, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
def test_nobody_passes_the_bound_of_a_random_network(settings: dict[str, Any], seed: int) -> None:
    gaps = smallest_gap(settings, 4, seed=seed)
    assert min(gaps.values()) > -1e-9, gaps


def programme_value(simulator: Any, lane: int) -> float:
    """HiGHS's perfect-foresight optimum of a lane's episode, less the stock's first value.

    Under a voted charter it keeps to the allowance of each week.
    """
    network = simulator.domain.network
    demand, closed, governed = world_of(simulator)
    days = simulator.horizon
    routes = network.tables["routes"]
    n_lanes = len(network.lane_list)
    shut = closed[lane][:, routes[:, at.R_LANE]] + closed[lane][:, n_lanes + routes[:, at.R_ORIGIN]]
    by_node = np.zeros((days, network.n_nodes, network.n_goods))
    by_node[:, network.customers] = demand[lane]
    pipeline = np.zeros_like(by_node)
    ring = simulator.state("pipeline_units")[lane]
    for day in range(1, min(days, len(ring))):
        pipeline[day] = ring[day % len(ring)]
    situation = Situation(
        stock=simulator.state("stock_units")[lane], backlog=simulator.state("backlog_units")[lane],
        arriving=pipeline, demand=by_node, open_routes=shut == 0, is_end=True,
        budgets=() if simulator.domain.governance is None else tuple(
            (day, min(day + 7, days), float(governed[lane, day, G_PURCHASE_ALLOWANCE_USD_PER_WEEK]))
            for day in range(0, days, 7)
        ),
    )  # fmt: skip
    value = network.tables["goods"][:, at.H_VALUE_USD]
    first = float((simulator.state("initial_units")[lane] * value).sum())
    return plan(network, situation).money - first


@hypothesis.given(small_networks(), st.integers(0, 10**6))
@hypothesis.settings(max_examples=20, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
def test_the_bound_is_not_below_the_programme(settings: dict[str, Any], seed: int) -> None:
    simulator = make_network(settings, 2)
    simulator.reset(seed=seed)
    bound = upper_bound(simulator)
    for lane in range(2):
        assert bound[lane] >= programme_value(simulator, lane) - 1e-6


def voted_on(settings: dict[str, Any], days: int, most: float) -> dict[str, Any]:
    """The network for some weeks under votes that move the week's allowance, up to `most` USD."""
    return {
        **settings, "horizon_days": days,
        "charter": {
            "mode": "voted", "proposals_per_day": 1.0,
            "electorate": {"opinions": {"circumstances": 0.8, "circumstances_steps": 14}},
            "governor": {"voting_delay_steps": 1, "voting_period_steps": 1, "timelock_steps": 2},
            "parameters": {"purchase_allowance_usd_per_week": most},
        },
        "voted_ranges": {
            "purchase_allowance_usd_per_week": {
                "low": 0.0, "high": most, "largest_change": most, "least_interval_days": 3},
            "carbon_cap_kg_per_day": {"low": 0.0, "high": 1.0, "largest_change": 0.0},
        },
    }  # fmt: skip


@hypothesis.given(
    small_networks(), st.integers(14, 35), st.floats(5.0, 2000.0), st.integers(0, 10**6)
)
@hypothesis.settings(max_examples=20, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
def test_the_bound_is_not_below_the_programme_under_votes(
    settings: dict[str, Any], days: int, most: float, seed: int
) -> None:
    simulator = make_network(voted_on(settings, days, most), 2)
    simulator.reset(seed=seed)
    bound = upper_bound(simulator)
    for lane in range(2):
        assert bound[lane] >= programme_value(simulator, lane) - 1e-6


def test_under_votes_the_bound_is_near_the_programme() -> None:
    """Where nothing but the allowance binds, most of what it takes away in eight lanes is found."""
    settings = {
        "name": "shop",
        "goods": [{"name": "bread", "price_usd": 10.0, "purchase_usd": 6.0}],
        "modes": [{"name": "van", "lead_days": 1, "freight_usd": 0.5}],
        "nodes": [
            {"name": "mill", "is_supplier": True},
            {"name": "shop", "mean_demand": [10.0], "holding_usd_per_day": 0.2,
             "initial_units": [10.0]},
        ],
        "lanes": [{"origin": "mill", "destination": "shop", "modes": ["van"]}],
        "demand": {"backlogged_share": 0.0, "backlog_usd_per_day": 4.0, "lost_usd": 1.0},
    }  # fmt: skip
    simulator = make_network(voted_on(settings, 70, 400.0), 8)
    simulator.reset(seed=4)
    free = make_network({**settings, "horizon_days": 70}, 8)
    free.reset(seed=4)
    bound, without = upper_bound(simulator), upper_bound(free)
    optimum = np.array([programme_value(simulator, lane) for lane in range(8)])
    taken = without - optimum
    assert (bound >= optimum - 1e-6).all() and (taken > 0.05 * without).all()
    assert (without - bound).sum() > 0.85 * taken.sum()


def test_the_bound_refuses_a_lane_that_has_begun() -> None:
    simulator = make_network("serial_3", 2)
    simulator.reset(seed=0)
    simulator.step(np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="whole episodes"):
        upper_bound(simulator)
