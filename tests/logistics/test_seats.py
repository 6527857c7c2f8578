"""Places as agents: what they set, see and earn, against the one planner's seat and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.shared_control import SharedControl
from daogym.envs.logistics import layout as at

from .conftest import make_network

pytestmark = pytest.mark.kernel

BAKERY: dict[str, Any] = {
    "name": "bakery", "horizon_days": 3, "varied_start": False,
    "goods": [{"name": "bread", "price_usd": 9.0, "purchase_usd": 3.0}],
    "modes": [{"name": "van", "lead_days": 1, "freight_usd": 0.5}],
    "nodes": [
        {"name": "mill", "is_supplier": True},
        {"name": "oven", "tier": "plant", "base_stock_units": [40.0], "initial_units": [20.0],
         "holding_usd_per_day": 0.1, "transit_usd_per_day": 0.2, "automation_rate": 1.0,
         "energy_usd": 0.25},
        {"name": "shop", "tier": "retailer", "base_stock_units": [15.0], "initial_units": [12.0],
         "holding_usd_per_day": 0.3, "transit_usd_per_day": 0.4, "mean_demand": [5.0]},
    ],
    "lanes": [{"origin": "mill", "destination": "oven", "modes": ["van"]},
              {"origin": "oven", "destination": "shop", "modes": ["van"]}],
    "demand": {"law": "constant", "backlogged_share": 0.4, "backlog_usd_per_day": 1.5,
               "lost_usd": 4.0},
}  # fmt: skip


def places_of(scenario: Any, num_envs: int = 2, **options: Any) -> Any:
    """The agents of a network."""
    return daogym.make_multi_agent(scenario, num_envs, **options)


def drawn(team: Any, step: int) -> Any:
    shape = (team.num_envs, team.layout.n_agents, team.layout.action_size)
    return np.random.default_rng([3, step]).uniform(-1.0, 1.0, shape).astype(np.float32)


@pytest.mark.parametrize("name", ["supply_network", "supply_network_drones"])
def test_places_that_agree_are_their_tiers(name: str) -> None:
    """Mode "node" with one action for each place of a tier is mode "base_stock", bit for bit."""
    pooled = make_network(name, 3, action_mode="base_stock")
    each = make_network(name, 3, action_mode="node")
    tiers, goods = pooled.scenario.tiers, pooled.scenario.goods
    net: Any = pooled.domain.network  # type: ignore[attr-defined]
    of_place: list[int] = []
    for node in pooled.scenario.nodes:
        if not node.is_supplier:
            first = tiers.index(node.tier) * len(goods)
            of_place += range(first, first + len(goods))
    shares = len(tiers) * len(goods)
    for mode, place in each.domain.network.knobs:  # type: ignore[attr-defined]
        whole = (mode, place) if (mode, place) in net.knobs else (mode, -1)
        of_place.append(shares + net.knobs.index(whole))
    of_place += range(shares + len(net.knobs), pooled.action_size)
    pooled.reset(seed=5)
    each.reset(seed=5)
    for step in range(60):
        draw = np.random.default_rng([7, step])
        action = draw.uniform(-1.0, 1.0, (3, pooled.action_size)).astype(np.float32)
        pooled.step(action)
        each.step(action[:, of_place])
        assert np.array_equal(pooled.rewards, each.rewards)
        assert np.array_equal(pooled.costs, each.costs)
        assert np.array_equal(pooled.observations, each.observations)
    assert len(of_place) == each.action_size > pooled.action_size


def test_the_day_of_a_shop_by_hand() -> None:
    """Demand 5 a day; the oven's transfer price is half of the margin above purchase: 6 USD."""
    team = places_of(BAKERY, 1)
    assert [agent.name for agent in team.agents] == ["oven", "shop"]
    assert [group.name for group in team.groups] == ["plant", "retailer"]
    cells = team.simulator.domain.network.tables["cells"]
    assert cells[at.C_TRANSFER_USD, :, 0].tolist() == [3.0, 6.0, 9.0]
    team.reset(seed=0)
    team.step(np.zeros((1, 2, 1)))
    # The shop orders 15 - 12 = 3, the oven 40 - 32 = 8; 5 are sold. Then the shop holds 7 and
    # awaits 3, the oven holds 17 and awaits 8.
    oven = 3 * 6.0 - 8 * 3.0 - 8 * 0.5 - 3 * 0.25 - 17 * 0.1 - 8 * 0.2 + (17 + 8 - 20) * 3.0
    shop = 5 * 9.0 - 3 * 6.0 - 3 * 0.5 - 7 * 0.3 - 3 * 0.4 + (7 + 3 - 12) * 3.0
    np.testing.assert_allclose(team.rewards, [[oven, shop]], rtol=1e-12)


def test_what_is_not_served_costs_the_shop() -> None:
    nodes = [BAKERY["nodes"][0], BAKERY["nodes"][1], {**BAKERY["nodes"][2], "initial_units": [2.0]}]
    team = places_of({**BAKERY, "nodes": nodes}, 1)
    team.reset(seed=0)
    team.step(np.zeros((1, 2, 1)))
    # It orders 13 and sells 2; of 3 that are missing 1.2 wait and 1.8 are lost. A unit that waits
    # still brings 9 and costs 3 and the freight of both ways.
    shop = 2 * 9.0 - 13 * 6.0 - 13 * 0.5 - 13 * 0.4 - 1.2 * 1.5 - 1.8 * 4.0
    shop += (13 - 2) * 3.0 + 1.2 * (9.0 - 3.0 - 1.0)
    assert team.rewards[0, 1] == pytest.approx(shop, rel=1e-12)


@pytest.mark.parametrize("name", ["supply_network", "supply_network_drones", "beer_game"])
def test_own_money_adds_up_to_the_network_s(name: str) -> None:
    """In every step and over the episode, whatever is done; in the beer game orders are owed."""
    team = places_of({"base": name, "horizon_days": 50}, 3)
    team.reset(seed=1)
    total = np.zeros(team.rewards.shape)
    for step in range(team.horizon):
        team.step(drawn(team, step))
        np.testing.assert_allclose(team.rewards.sum(axis=1), team.team_rewards, atol=1e-8)
        total += team.rewards
    assert team.terminated.all() and (np.ptp(total, axis=1) > 1.0).all()
    np.testing.assert_allclose(team.episode_rewards, total, atol=1e-8)
    team.step(drawn(team, 0))
    first = team.rewards.copy()
    np.testing.assert_allclose(first.sum(axis=1), team.team_rewards, atol=1e-8)


def test_a_place_sees_its_own_stock_and_sets_its_own_orders() -> None:
    team = places_of("supply_network")
    assert isinstance(team, SharedControl)
    set_by = np.concatenate([seat.acts[seat.acts >= 0] for seat in team.seats.seats])
    assert sorted(set_by.tolist()) == list(range(team.simulator.action_size))
    team.reset(seed=4)
    for step in range(12):
        team.step(drawn(team, step))
    network: Any = team.simulator.domain.network  # type: ignore[attr-defined]
    stock = team.simulator.state("stock_units")
    whole = team.simulator.observation_fields
    limits = np.zeros((network.n_nodes, network.n_goods))
    limits[~network.supplier] = next(field.high for field in whole if field.name == "stock")
    for a, agent in enumerate(team.agents):
        node = network.node_names.index(agent.name)
        fields = team.groups[int(team.layout.group_of[a])].observation_fields
        seen = fields.denormalise(team.observations[:, a, : fields.size])
        shown = seen[:, fields.slice("own_stock")] * limits[node]
        np.testing.assert_allclose(shown, np.minimum(stock[:, node], limits[node]), rtol=1e-5,
                                   atol=1e-3)  # fmt: skip
        assert ("own_demand" in {field.name for field in fields}) == (agent.group == "retailer")
    centre = team.groups[1]
    assert centre.action_fields.size == network.n_goods + 2, "levels, rail and express"
    with pytest.raises(ValueError, match="'node' or 'carrier' expected, got 'base_stock'"):
        places_of("supply_network", action_mode="base_stock")


def test_more_of_one_place_s_action_moves_its_orders_alone() -> None:
    team = places_of("supply_network", 1)
    network: Any = team.simulator.domain.network
    to = network.tables["routes"][:, at.R_DESTINATION]
    team.reset(seed=2)
    for step in range(5):
        team.step(drawn(team, step))
    kept = team.snapshot()
    actions = np.zeros((1, team.layout.n_agents, team.layout.action_size), dtype=np.float32)
    team.step(actions)
    before = team.simulator.state("flow_units").copy()
    team.restore(kept)
    actions[0, 9, : network.n_goods] = 1.0
    team.step(actions)
    moved = (team.simulator.state("flow_units") != before)[0].any(axis=1)
    assert set(np.array(network.node_names)[to[moved]]) >= {team.agents[9].name}
    # Where the origin runs short, its other customers get less; nobody else's orders change.
    origins = network.tables["routes"][:, at.R_ORIGIN]
    assert set(origins[moved]) == set(origins[moved & (to == network.node_names.index("retail_4"))])
