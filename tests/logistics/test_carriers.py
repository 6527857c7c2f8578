"""Carriers as agents: what they post, how shippers answer, and what everybody earns."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.integrate import quad

import daogym
from daogym.envs.logistics import layout as at
from daogym.envs.logistics.bound import upper_bound
from daogym.envs.logistics.governed import G_STAKE_COVER_SHARE

from .conftest import make_network

pytestmark = pytest.mark.kernel
MODES = ("inbound", "truck", "rail", "express", "drone")
TRUCK, RAIL, EXPRESS, DRONE = 1, 2, 3, 4
OWN_MONEY = ("node_usd", "node_step_usd", "node_episode_usd")
SHORT = {"base": "supply_network", "horizon_days": 60}


def team_of(scenario: Any = "supply_network", num_envs: int = 2, **options: Any) -> Any:
    """The agents of a network with carriers."""
    return daogym.make_multi_agent(scenario, num_envs, action_mode="carrier", **options)


def drawn(team: Any, step: int) -> Any:
    shape = (team.num_envs, team.layout.n_agents, team.layout.action_size)
    return np.random.default_rng([5, step]).uniform(-1.0, 1.0, shape).astype(np.float32)


def columns(simulator: Any) -> dict[str, slice]:
    """Where each field of the action stands."""
    fields = simulator.domain.action_fields
    return {field.name: fields.slice(field.name) for field in fields}


def bids(simulator: Any, price: Any = 0.0, offer: Any = 0.0, refill: Any = 0.0) -> Any:
    """An action of places at 0 and carriers that post these numbers."""
    actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    where = columns(simulator)
    for name, value in (("price", price), ("offer", offer), ("refill", refill)):
        actions[:, where[name]] = value
    return actions


def of(simulator: Any, row: int) -> Any:
    """(N, modes) of a row of what is posted."""
    return simulator.state("posted")[:, row]


@pytest.mark.parametrize("name", ["supply_network", "supply_network_drones", "beer_game"])
def test_carriers_at_zero_are_those_of_the_places_network(name: str) -> None:
    """Mode "carrier" without a bid is mode "node", bit for bit: money, costs and all state."""
    changes = {"horizon_days": 80}
    alone = make_network(name, 3, action_mode="node", changes=changes)
    both = make_network(name, 3, action_mode="carrier", changes=changes)
    fields = both.observation_fields
    seen = np.concatenate([
        np.arange(fields.size)[fields.slice(field.name)] for field in alone.observation_fields
    ])  # fmt: skip
    posts = [part for part, where in columns(both).items() if part in ("price", "offer", "refill")]
    alone.reset(seed=5)
    both.reset(seed=5)
    # Places pay carriers what they ask instead of their cost, so own money alone is another one.
    parts = [
        part.name for part in alone.domain.state_layout.parts  # type: ignore[attr-defined]
        if alone.state(part.name).size and part.name not in OWN_MONEY
    ]  # fmt: skip
    for step in range(90):
        draw = np.random.default_rng([7, step])
        action = draw.uniform(-1.0, 1.0, (3, alone.action_size)).astype(np.float32)
        alone.step(action)
        extra = both.action_size - alone.action_size
        both.step(np.concatenate([action, np.zeros((3, extra), np.float32)], axis=1))
        assert np.array_equal(alone.rewards, both.rewards)
        assert np.array_equal(alone.costs, both.costs)
        assert np.array_equal(alone.events, both.events)
        assert np.array_equal(alone.observations, both.observations[:, seen])
        for part in parts:
            assert np.array_equal(alone.state(part), both.state(part)), part
    assert len(posts) == (3 if name != "beer_game" else 2)


@hypothesis.given(
    seed=st.integers(0, 2**31), wild=st.floats(0.0, 1.0), cover=st.floats(0.0, 3.0),
    tariff=st.floats(0.0, 0.2), slash=st.floats(0.0, 1.0), spot=st.sampled_from([0.0, 1.5, 4.0]),
)  # fmt: skip
@hypothesis.settings(max_examples=8, deadline=None)
def test_money_is_neither_made_nor_lost(
    seed: int, wild: float, cover: float, tariff: float, slash: float, spot: float
) -> None:
    """Places', carriers' and the DAO's money is the network's reward less what stakes forgo."""
    parameters = {
        "stake_cover_share": cover, "freight_tariff_share": tariff, "late_slash_share": slash,
    }  # fmt: skip
    team = team_of(
        {"base": "supply_network", "horizon_days": 25, "charter": {"parameters": parameters},
         "carriage": {"spot_elasticity": spot}}, 2,
    )  # fmt: skip
    simulator = team.simulator
    events = [simulator.event_names.index(name) for name in ("tariff_usd", "slashed_usd")]
    team.reset(seed=seed)
    draw = np.random.default_rng(seed)
    total = np.zeros(team.rewards.shape)
    shape = (2, team.layout.n_agents, team.layout.action_size)
    purses = ("treasury_usd", "carrier_usd", "stake_usd", "escrow_usd")

    def held() -> Any:
        return sum(simulator.state(name).reshape(2, -1).sum(axis=1) for name in purses)

    stock = simulator.term_names.index("stock")
    for _ in range(team.horizon):
        before = held()
        team.step((wild * draw.uniform(-1.0, 1.0, shape)).astype(np.float32))
        total += team.rewards
        dao = simulator.events[:, events].sum(axis=1)
        # The step that ends an episode begins the next one, with new accounts.
        if team.terminated.any():
            break
        forgone = simulator.state("stake_usd").sum(axis=1) * 0.05 / 365
        everybody = team.rewards.sum(axis=1) + dao + forgone
        np.testing.assert_allclose(everybody, team.team_rewards, rtol=1e-9, atol=1e-7)
        cash = simulator.rewards - simulator.terms[:, stock]
        np.testing.assert_allclose(held() - before, cash, rtol=1e-9, atol=1e-6)
    assert team.terminated.all()
    np.testing.assert_allclose(team.episode_rewards, total, rtol=1e-9, atol=1e-7)


def test_a_price_moves_no_welfare_where_nobody_can_leave() -> None:
    """Without another mode or a spot market freight is a payment from places to carriers."""
    # Slashes grow with freight, and what is left of a stake limits what may be carried.
    settings = {
        **SHORT, "carriage": {"spot_elasticity": 0.0, "mode_elasticity": 0.0},
        "charter": {"parameters": {"late_slash_share": 0.0}},
    }  # fmt: skip
    team = team_of(settings, 2)
    simulator = team.simulator
    told = {}
    for price in (0.0, -1.0, 1.0):
        team.reset(seed=3)
        money, own = np.zeros(2), np.zeros(team.rewards.shape)
        for _ in range(30):
            actions = np.zeros((2, len(team.agents), team.layout.action_size), np.float32)
            actions[:, 14:, 0] = price
            team.step(actions)
            money += team.team_rewards
            own += team.rewards
        told[price] = money, own[:, :14].sum(axis=1), own[:, 14:].sum(axis=1)
    np.testing.assert_allclose(told[1.0][0], told[0.0][0], rtol=1e-12)
    np.testing.assert_allclose(told[-1.0][0], told[0.0][0], rtol=1e-12)
    assert (told[1.0][1] < told[0.0][1]).all() and (told[0.0][1] < told[-1.0][1]).all()
    assert (told[1.0][2] > told[0.0][2]).all() and (told[0.0][2] > told[-1.0][2]).all()
    assert simulator.state("work")[:, at.W_SPOT_USD].sum() == 0.0


@pytest.mark.parametrize("mode", range(len(MODES)), ids=MODES)
def test_the_best_constant_price_is_neither_nominal_nor_the_largest(mode: int) -> None:
    """Since shippers leave; where they cannot go to the spot market, the largest is the best."""
    prices, worlds = (0.0, 0.7, 1.0), 4
    best = {}
    for spot in (0.0, 4.0):
        settings = {
            "base": "supply_network", "horizon_days": 120, "carriage": {"spot_elasticity": spot},
        }  # fmt: skip
        simulator = make_network(settings, len(prices) * worlds, action_mode="carrier")
        simulator.reset(seed=list(range(worlds)) * len(prices))
        posts = np.zeros((simulator.num_envs, len(MODES)))
        posts[:, mode] = np.repeat(prices, worlds)
        for _ in range(simulator.horizon):
            simulator.step(bids(simulator, price=posts))
        own = simulator.state("carrier_episode_usd")[:, mode].reshape(len(prices), worlds)
        best[spot] = prices[int(own.mean(axis=1).argmax())]
    assert best == {0.0: 1.0, 4.0: 0.7}


@pytest.mark.parametrize("shape", [1.5, 4.0, 9.0])
def test_the_spot_market_is_one_quote_a_shipment(shape: float) -> None:
    """Shares and mean freight against numerical integrals of the Pareto density."""
    simulator = make_network(
        {"base": "supply_network", "carriage": {"spot_elasticity": shape}}, 1, action_mode="carrier"
    )
    simulator.reset(seed=0)
    for bid in (-1.0, -0.3, 0.0, 0.2, 0.7, 1.0):
        simulator.step(bids(simulator, price=bid))
        price = float(of(simulator, at.B_PRICE)[0, TRUCK])
        expected = 1.0 + 0.5 * bid if bid > 0.0 else 1.0 + bid * (1.0 - 1.0 / 1.1)
        assert price == pytest.approx(expected, rel=1e-6)

        def density(quote: float) -> float:
            return shape * quote ** (-shape - 1.0)

        leaves = quad(density, 1.0, price)[0] if price > 1.0 else 0.0
        spot = quad(lambda quote: quote * density(quote), 1.0, price)[0] if price > 1.0 else 0.0
        assert of(simulator, at.B_CARRIED)[0, TRUCK] == pytest.approx(1.0 - leaves, abs=1e-9)
        assert of(simulator, at.B_SPOT)[0, TRUCK] == pytest.approx(spot, abs=1e-9)
        paid = price * (1.0 - leaves) + spot
        assert of(simulator, at.B_PAID)[0, TRUCK] == pytest.approx(paid, abs=1e-9)
        assert paid <= price + 1e-12, "nobody takes a dearer quote"


def test_an_order_is_split_by_relative_freight() -> None:
    """Between truck, rail and express to a centre; what is ordered in all stays the same."""
    settings = {**SHORT, "carriage": {"mode_elasticity": 2.0, "spot_elasticity": 0.0}}
    simulator = make_network(settings, 1, action_mode="carrier")
    network: Any = simulator.domain.network  # type: ignore[attr-defined]
    routes, centre = network.tables["routes"], network.node_names.index("centre_1")
    mine = np.flatnonzero(routes[:, at.R_DESTINATION] == centre)
    simulator.reset(seed=1)
    for _ in range(6):
        simulator.step(bids(simulator))
    kept = simulator.snapshot()

    def sent(price: Any) -> Any:
        """(modes,) volume ordered to the centre on the second day after the price was posted."""
        simulator.restore(kept)
        simulator.step(bids(simulator, price=price))
        simulator.step(bids(simulator))
        flow = simulator.state("flow_units")[0, mine].sum(axis=1)
        return np.array([flow[routes[mine, at.R_MODE] == m].sum() for m in range(len(MODES))])

    usual, dear = sent(0.0), sent([0.0, 0.0, 1.0, 0.0, 0.0])
    assert usual[RAIL] / usual[TRUCK] == pytest.approx(0.7 / 0.29, rel=1e-6)
    ratio = (dear[RAIL] / dear[TRUCK]) / (usual[RAIL] / usual[TRUCK])
    assert ratio == pytest.approx(1.5**-2.0, rel=1e-9)
    assert dear.sum() == pytest.approx(usual.sum(), rel=1e-9)
    everybody = sent(1.0)
    np.testing.assert_allclose(everybody, usual, rtol=1e-12, err_msg="relative prices decide")


def test_what_is_not_offered_is_not_shipped() -> None:
    simulator = make_network(SHORT, 2, action_mode="carrier")
    network: Any = simulator.domain.network  # type: ignore[attr-defined]
    routes, values = network.tables["routes"], network.tables["route_values"]
    volume = network.tables["goods"][:, at.H_VOLUME]
    for mode, offer in ((RAIL, -1.0), (RAIL, -0.95), (TRUCK, -1.0), (EXPRESS, -1.0), (DRONE, -0.9)):
        posts = np.zeros(len(MODES))
        posts[mode] = offer
        simulator.reset(seed=4)
        high = bids(simulator, offer=posts)
        # Every share at its largest: all modes are asked for.
        high[:, columns(simulator)["share"]] = 1.0
        simulator.step(high)
        largest, by_truck = 0.0, 0.0
        for _ in range(20):
            simulator.step(high)
            flow = simulator.state("flow_units") @ volume
            mine = routes[:, at.R_MODE] == mode
            if mode == DRONE:
                hours = (flow[:, mine] * values[mine, at.Q_HOURS]).sum(axis=1)
                assert (hours <= 3 * 30.0 * (1.0 + offer) + 1e-5).all()
            else:
                most = values[mine, at.Q_CAPACITY] * (1.0 + offer)
                assert (flow[:, mine] <= most + 1e-5).all()
            largest = max(largest, float(flow[:, mine].max()))
            by_truck += float(flow[:, routes[:, at.R_MODE] == TRUCK].sum())
        assert (largest > 0.0) == (offer > -1.0)
        assert (by_truck > 0.0) == (mode != TRUCK), "what rail withholds goes by truck"


def test_a_covenant_s_orders_keep_to_the_offer_too() -> None:
    settings = {**SHORT, "charter": {"parameters": {"safety_stock_days": 6.0}}}
    simulator = make_network(settings, 2, action_mode="carrier")
    routes = simulator.domain.network.tables["routes"]  # type: ignore[attr-defined]
    simulator.reset(seed=4)
    posts = [0.0, -1.0, 0.0, 0.0, 0.0]
    simulator.step(bids(simulator, offer=posts))
    for _ in range(15):
        simulator.step(bids(simulator, offer=posts))
        assert simulator.state("flow_units")[:, routes[:, at.R_MODE] == TRUCK].sum() == 0.0
    assert simulator.events[:, simulator.event_names.index("interventions")].any()


def test_a_stake_is_filled_and_taken_back() -> None:
    """From the purse up to what is aimed at; down to it, but not below what covers the load."""
    simulator = make_network({**SHORT, "horizon_days": 300}, 2, action_mode="carrier")
    nominal = simulator.domain.network.tables["modes"][:, at.O_STAKE_USD]  # type: ignore[attr-defined]
    simulator.reset(seed=2)
    simulator.state("carrier_usd")[:] = 1e5
    kept = simulator.snapshot()
    for refill in (-1.0, 0.0, 0.6, 1.0):
        simulator.restore(kept)
        for _ in range(12):
            simulator.step(bids(simulator, refill=refill))
            stake, carried = simulator.state("stake_usd"), simulator.state("carried_usd")
            covered = simulator.state("governed")[:, G_STAKE_COVER_SHARE, None] * carried
            assert ((stake >= covered - 1e-6) | (nominal == 0.0)).all()
        wanted = nominal * (1.0 + 0.5 * refill)
        np.testing.assert_allclose(stake, np.maximum(wanted, np.where(nominal, covered, 0.0)))
    # More stake lets more be carried where it binds.
    charter = {"parameters": {"stake_cover_share": 3.0}}
    tight = make_network({**SHORT, "charter": charter}, 2, action_mode="carrier")
    gate = tight.event_names.index("shield_delta_units")
    cut = {}
    for refill in (0.0, 1.0):
        tight.reset(seed=2)
        tight.state("carrier_usd")[:] = 1e5
        cut[refill] = 0.0
        for _ in range(25):
            tight.step(bids(tight, refill=refill))
            cut[refill] += float(tight.events[:, gate].sum())
    assert cut[1.0] < cut[0.0]


def test_a_day_of_a_carrier_by_hand() -> None:
    """One van, one day: freight less cost at dispatch; tariff a day later, when it is proven."""
    settings = {
        "name": "bakery", "horizon_days": 4, "varied_start": False,
        "goods": [{"name": "bread", "price_usd": 9.0, "purchase_usd": 3.0}],
        "modes": [{"name": "van", "lead_days": 1, "freight_usd": 0.5, "margin": 0.25,
                   "stake_usd": 730.0}],
        "nodes": [
            {"name": "mill", "is_supplier": True},
            {"name": "shop", "base_stock_units": [15.0], "initial_units": [12.0],
             "mean_demand": [5.0]},
        ],
        "lanes": [{"origin": "mill", "destination": "shop", "modes": ["van"]}],
        "demand": {"law": "constant", "backlogged_share": 1.0},
        "charter": {"parameters": {"freight_tariff_share": 0.1}},
    }  # fmt: skip
    team = team_of(settings, 1)
    assert [agent.name for agent in team.agents] == ["shop", "carrier_van"]
    team.reset(seed=0)
    post = np.zeros((1, 2, 3), np.float32)
    post[0, 1] = 1.0, 0.0, 0.0
    # 3 units go at nominal freight, 0.625 USD each; the stake forgoes 0.1 USD a day.
    team.step(post)
    assert team.rewards[0, 1] == pytest.approx(3 * (0.625 - 0.5) - 0.1 - 0.1 * 3 * 0.625)
    # 5 units at 1.5 x nominal: a quote of the spot market takes 1 - 1.5**-4 of them.
    team.step(post)
    carried = 1.5**-4.0
    spot = 4.0 / 3.0 * (1.0 - 1.5**-3.0)
    fee = 5 * 0.625 * 1.5 * carried
    expected = fee - 5 * 0.5 * carried - 0.1 - 0.1 * fee
    assert team.rewards[0, 1] == pytest.approx(expected, rel=1e-9)
    freight = team.simulator.term_names.index("freight")
    assert team.simulator.terms[0, freight] == pytest.approx(
        -5 * 0.5 * carried - 5 * 0.625 * spot, rel=1e-9
    )
    # The shop sold 5 and pays for the 5 that are sent: bread, freight to both; stock is as before.
    assert team.rewards[0, 0] == pytest.approx(5 * 9.0 - 5 * 3.0 - fee - 5 * 0.625 * spot, rel=1e-9)


@pytest.mark.parametrize("scenario", ["supply_network", "supply_network_steward"])
def test_no_bids_pass_the_bound(scenario: str) -> None:
    team = team_of({"base": scenario, "horizon_days": 60}, 4, split="test")
    team.reset(seed=3)
    bound = upper_bound(team.simulator)
    first = 14
    for kind in ("random", "cheap and all", "dear", "corners"):
        team.reset(seed=3)
        money = np.zeros(4)
        for step in range(team.horizon):
            actions = drawn(team, step)
            if kind == "corners":
                actions = np.sign(actions)
            elif kind != "random":
                actions[:] = 0.0
                actions[:, first : first + 5, 0] = -1.0 if kind == "cheap and all" else 1.0
                actions[:, first : first + 5, 2] = 1.0
            team.step(actions)
            money += team.team_rewards
        assert team.terminated.all() and (money <= bound).all(), (kind, money, bound)


def test_a_carrier_sees_itself_and_sets_itself() -> None:
    team = team_of()
    simulator = team.simulator
    set_by = np.concatenate([seat.acts[seat.acts >= 0] for seat in team.seats.seats])
    assert sorted(set_by.tolist()) == list(range(simulator.action_size))
    assert [agent.name for agent in team.agents[14:]] == [f"carrier_{name}" for name in MODES]
    assert {agent.kind for agent in team.agents[14:]} == set(MODES)
    team.reset(seed=5)
    for step in range(12):
        team.step(drawn(team, step))
    fields = team.groups[-1].observation_fields
    shown = fields.denormalise(team.observations[:, 14:, : fields.size])
    modes = simulator.domain.network.tables["modes"]
    expected = {
        "own_freight": of(simulator, at.B_PRICE), "own_offered": of(simulator, at.B_OFFERED),
        "own_backing": simulator.state("stake_usd") / np.maximum(modes[:, at.O_STAKE_USD], 1.0),
        "own_used": simulator.state("work")[:, at.W_USED],
        "own_late": simulator.state("work")[:, at.W_LATE_SHARE],
        "own_earned": team.rewards[:, 14:],
    }  # fmt: skip
    for name, value in expected.items():
        found = shown[:, :, fields.slice(name)][:, :, 0]
        np.testing.assert_allclose(found, value, atol=1e-4 * max(1.0, np.abs(value).max()))
    assert (simulator.state("work")[:, at.W_USED].max(axis=0) > 0.0)[1:].all()
    private = {"volume", "used", "late", "earned", "sent"}
    for group in team.groups:
        names = {field.name for field in group.observation_fields}
        assert {"freight", "offered", "stake"} <= names and not private & names
        assert ("own_earned" in names) == (group.name == "carriers")


def test_under_a_steward_the_governor_comes_last() -> None:
    team = team_of("supply_network_steward")
    assert [agent.name for agent in team.agents[-2:]] == ["carrier_drone", "governor"]
    seen = {field.name for field in team.groups[-1].observation_fields}
    assert {"freight", "offered", "backing"} <= seen and not {"own_earned", "earned"} & seen
    team.reset(seed=1)
    events = [team.simulator.event_names.index(name) for name in ("tariff_usd", "slashed_usd")]
    for step in range(20):
        team.step(drawn(team, step))
        brought = team.simulator.events[:, events].sum(axis=1)
        np.testing.assert_allclose(team.rewards[:, -1], brought, rtol=1e-12)


def test_a_quote_without_a_mean_is_refused() -> None:
    with pytest.raises(
        daogym.envs.core.strict.ConfigError, match=r"spot_elasticity: 0 .* got 0\.5"
    ):
        team_of({"base": "supply_network", "carriage": {"spot_elasticity": 0.5}})
