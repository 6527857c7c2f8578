"""A day of the network against plain Python, and what must never change: goods and money."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daogym.envs.logistics import layout as at

from .conftest import make_network
from .reference_day import expected_day

pytestmark = pytest.mark.kernel

FREE = {"charter": {"parameters": {
    "stake_cover_share": 0.0,
    "purchase_allowance_usd_per_week": 1e12,
}}}  # fmt: skip


def drawn(simulator: Any, seed: int) -> NDArray[np.float32]:
    draw = np.random.default_rng(seed)
    size = (simulator.num_envs, simulator.action_size)
    return draw.uniform(-1.0, 1.0, size).astype(np.float32)


def purses(simulator: Any) -> NDArray[np.float64]:
    """USD that all members hold together, (N,)."""
    total = simulator.state("treasury_usd").copy()
    for name in ("escrow_usd", "carrier_usd", "stake_usd"):
        total += simulator.state(name).sum(axis=1)
    return np.asarray(total)


def goods_inside(simulator: Any) -> NDArray[np.float64]:
    """(N,) units in stock and on the way, suppliers left out."""
    inside = simulator.state("stock_units") + simulator.state("in_transit_units")
    return np.asarray(inside[:, ~simulator.domain.network.supplier].sum(axis=(1, 2)))


@pytest.mark.parametrize("mode", ["base_stock", "orders"])
def test_goods_and_money_are_conserved(mode: str) -> None:
    simulator = make_network("supply_network", 6, action_mode=mode, autoreset="disabled")
    names = simulator.event_names
    bought, sold = names.index("bought_units"), names.index("sold_units")
    stock_term = simulator.term_names.index("stock")
    simulator.reset(seed=3)
    for step in range(simulator.horizon):
        units, usd = goods_inside(simulator), purses(simulator)
        simulator.step(drawn(simulator, step))
        moved = simulator.events[:, bought] - simulator.events[:, sold]
        assert np.allclose(goods_inside(simulator), units + moved, rtol=1e-9, atol=1e-7)
        pipeline = simulator.state("pipeline_units").sum(axis=1)
        assert np.allclose(pipeline, simulator.state("in_transit_units"), rtol=1e-9, atol=1e-7)
        cash = simulator.rewards - simulator.terms[:, stock_term]
        assert np.allclose(purses(simulator), usd + cash, rtol=1e-9, atol=1e-6)
        assert (simulator.state("stock_units") >= 0.0).all()
        escrow = simulator.state("arriving_fee_usd").sum(axis=1)
        assert np.allclose(escrow, simulator.state("escrow_usd"), rtol=1e-9, atol=1e-7)
        value = simulator.state("arriving_usd").sum(axis=1)
        assert np.allclose(value, simulator.state("carried_usd"), rtol=1e-9, atol=1e-6)


def test_a_day_does_what_plain_python_says() -> None:
    base = make_network("supply_network").scenario.model_dump(mode="json")
    modes = [{**mode, "late_probability": 0.0, "is_rationed": False} for mode in base["modes"]]
    simulator = make_network(
        "supply_network", 3, action_mode="orders", autoreset="disabled",
        changes={"modes": modes, **FREE},
    )  # fmt: skip
    simulator.reset(seed=8)
    routes = simulator.domain.network.tables["route_values"]  # type: ignore[attr-defined]
    ran_short = 0
    for step in range(60):
        actions = drawn(simulator, step)
        actions[:, ::3] = -1.0
        ordered = 0.5 * (actions.astype(float) + 1.0)
        ordered = ordered.reshape(3, len(routes), -1) * routes[:, at.Q_LARGEST_ORDER][:, None]
        before = simulator.snapshot()
        simulator.step(actions)
        demand = simulator.state("demand_units").copy()
        after, flows = simulator.snapshot(), simulator.state("flow_units").copy()
        terms, arrived = simulator.terms.copy(), simulator.state("stock_units").copy()
        simulator.restore(before)
        for lane in range(3):
            day = expected_day(simulator, lane, ordered[lane], demand[lane])
            for r, route in enumerate(simulator.domain.network.route_list):  # type: ignore[attr-defined]
                link = simulator.domain.network.lane_list[route.lane]  # type: ignore[attr-defined]
                name = simulator.scenario.modes[route.mode].name
                for g, good in enumerate(simulator.scenario.goods):
                    expected = day.sent[link.origin, link.destination, name, good.name]
                    assert flows[lane, r, g] == pytest.approx(expected, abs=1e-9)
                    ran_short += expected < ordered[lane, r, g] - 1e-6
            for i, name in enumerate(simulator.term_names):
                if name != "stock":
                    assert terms[lane, i] == pytest.approx(day.money[name], abs=1e-7), name
            tomorrow = (simulator.state("step")[lane] + 1) % simulator.domain.network.ring  # type: ignore[attr-defined]
            coming = simulator.state("pipeline_units")[lane, tomorrow].copy()
            for r, route in enumerate(simulator.domain.network.route_list):  # type: ignore[attr-defined]
                if route.lead_days == 1:
                    link = simulator.domain.network.lane_list[route.lane]  # type: ignore[attr-defined]
                    coming[simulator.domain.network.node_names.index(link.destination)] += flows[  # type: ignore[attr-defined]
                        lane, r
                    ]
            for (node, good_name), units in day.stock.items():
                n = simulator.domain.network.node_names.index(node)  # type: ignore[attr-defined]
                g = [good.name for good in simulator.scenario.goods].index(good_name)
                if not simulator.domain.network.supplier[n]:  # type: ignore[attr-defined]
                    assert arrived[lane, n, g] == pytest.approx(units + coming[n, g], abs=1e-8)
        simulator.restore(after)
    assert ran_short > 1000


def test_demand_follows_its_law() -> None:
    """Mean and variance of each law; the negative binomial of size 1 is the geometric."""
    laws = {
        "poisson": ({}, 5.0), "geometric": ({}, 30.0),
        "negative_binomial": ({"size": 4}, 5.0 + 25.0 / 4.0), "uniform": ({}, 5.0 * 6.0 / 3.0),
        "normal": ({"deviation_units": 1.5}, 2.25),
    }  # fmt: skip
    for law, (settings, variance) in laws.items():
        simulator = make_network(
            "lost_sales_poisson_l1_p4", 2000, changes={"demand": {"law": law, **settings}}
        )
        simulator.reset(seed=1)
        drawn_units = []
        for _ in range(50):
            simulator.step(np.zeros((2000, 1), dtype=np.float32))
            drawn_units.append(simulator.state("demand_units")[:, 0, 0].copy())
        units = np.concatenate(drawn_units)
        error = np.sqrt(variance / len(units))
        assert abs(units.mean() - 5.0) < 5.0 * error, law
        assert abs(units.var() / variance - 1.0) < 0.03, law


def test_levels_promotions_and_closures_follow_their_processes() -> None:
    simulator = make_network("supply_network", 512)
    simulator.reset(seed=2)
    idle = np.zeros((512, simulator.action_size), dtype=np.float32)
    levels, closed, promoted = [], [], []
    for _ in range(120):
        levels.append(simulator.state("level").copy())
        closed.append(simulator.state("closed").copy())
        promoted.append(simulator.state("promotion_factor").copy())
        simulator.step(idle)
    level = np.stack(levels)
    assert level.std() == pytest.approx(0.3, rel=0.02)
    lagged = (level[1:] * level[:-1]).mean() / (level * level).mean()
    assert lagged == pytest.approx(0.7, abs=0.01)
    down = np.stack(closed)
    network = simulator.domain.network  # type: ignore[attr-defined]
    for a, lane in enumerate(network.lane_list):
        alpha, beta = lane.disruption_alpha, lane.disruption_beta
        assert down[:, :, a].mean() == pytest.approx(alpha / (alpha + beta), abs=0.012)
        if alpha > 0.0:
            opened = down[1:, :, a] < down[:-1, :, a]
            assert opened.sum() / down[:-1, :, a].sum() == pytest.approx(beta, abs=0.02)
    assert np.stack(promoted).max() == 2.0
    share = (np.stack(promoted) > 1.0).mean()
    assert share == pytest.approx(0.7 * 5.0 / 28.0, abs=0.01)


def test_orders_and_goods_of_the_beer_game_take_their_weeks() -> None:
    """A single order of 7: a week to the wholesaler, two weeks back; all else orders nothing."""
    simulator = make_network("beer_game", 1, autoreset="disabled")
    simulator.reset(seed=0)
    network = simulator.domain.network  # type: ignore[attr-defined]
    row = [network.lane_list[route.lane].destination for route in network.route_list]
    retailer = row.index("retailer")
    n = network.node_names.index("retailer")
    arrivals = []
    for week in range(6):
        actions = np.full((1, 4), -1.0, dtype=np.float32)
        actions[0, retailer] = 2.0 * 7.0 / 30.0 - 1.0 if week == 0 else -1.0
        before = simulator.state("in_transit_units")[0, n, 0]
        simulator.step(actions)
        sent = simulator.state("flow_units")[0, retailer, 0]
        after = simulator.state("in_transit_units")[0, n, 0]
        arrivals.append(float(before + sent - after))
    # Four a week were ordered, and four a week shipped, before the game began.
    assert arrivals == pytest.approx([4.0, 4.0, 7.0, 0.0, 0.0, 0.0])


def test_what_is_owed_in_the_beer_game_is_shipped_later_and_costs_meanwhile() -> None:
    simulator = make_network("beer_game", 1, autoreset="disabled")
    simulator.reset(seed=0)
    network = simulator.domain.network  # type: ignore[attr-defined]
    row = [network.lane_list[route.lane].destination for route in network.route_list]
    retailer = row.index("retailer")
    actions = np.full((1, 4), -1.0, dtype=np.float32)
    actions[0, retailer] = 1.0
    for week in range(4):
        simulator.step(actions)
        actions[0, retailer] = -1.0
        owed = simulator.state("owed_units")[0, retailer, 0]
        # The order of 30 meets 12 in its first week (12 + 4 - 4), and 4 more a week later.
        expected = [0.0, 18.0, 14.0, 14.0][week]
        assert owed == pytest.approx(expected), week
    unmet = simulator.terms[0, simulator.term_names.index("unmet")]
    assert unmet <= -14.0


def test_the_beer_game_amplifies_orders_upstream() -> None:
    """Sterman's rule with what people were found to do: the further up, the wilder."""
    from daogym.envs.logistics.policies import Sterman

    simulator = make_network("beer_game", 1, autoreset="disabled")
    simulator.reset(seed=0)
    player = Sterman(np.array([0.26, 0.34, 1.0]))
    player.reset(simulator)
    network = simulator.domain.network  # type: ignore[attr-defined]
    row = [network.lane_list[route.lane].destination for route in network.route_list]
    orders = []
    for _ in range(36):
        actions = player.act(simulator)
        orders.append(0.5 * (actions[0] + 1.0) * 30.0)
        simulator.step(actions)
    swing = np.stack(orders).std(axis=0)
    by_stage = [swing[row.index(name)] for name in ("retailer", "wholesaler", "distributor")]
    assert by_stage[0] < by_stage[1] < by_stage[2]
