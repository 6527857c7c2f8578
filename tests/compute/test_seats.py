"""Operator and providers as agents: what they set, and what the market's books say they earn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.bids import BID_STAKE, STAKE_REFILL
from daogym.envs.compute.bound import upper_bound
from daogym.envs.compute.layout import (
    BALANCES,
    FOR_EMISSIONS,
    G_LEAST_STAKE,
    MICRO,
    N_OPERATOR,
    TREASURY,
    V_CAPITAL_USD_PER_GPU_H,
    V_GPUS,
    V_KW_PER_GPU,
    V_MARKUP_EMPTY,
    V_REGION,
)
from daogym.envs.core.shared_control import SharedControl
from daogym.envs.dao.bids import BID_RISE, STAKE_SPAN
from daogym.envs.dao.treasury import BURNED, MINTED

pytestmark = pytest.mark.kernel
N = 3


def market(scenario: Any = "gpu_week", num_envs: int = N, **options: Any) -> Any:
    """The agents of a market."""
    return daogym.make_multi_agent(scenario, num_envs, **options)


def drawn(team: Any, step: int) -> Any:
    shape = (team.num_envs, team.layout.n_agents, team.layout.action_size)
    return np.random.default_rng([3, step]).uniform(-1.0, 1.0, shape).astype(np.float32)


def bids(team: Any, ask: float = 0.0, offer: float = 0.0, refill: float = 0.0) -> Any:
    """The same bid of all providers beside an operator at 0."""
    actions = np.zeros((team.num_envs, team.layout.n_agents, team.layout.action_size), np.float32)
    actions[:, 1:, :3] = ask, offer, refill
    return actions


def test_providers_at_zero_are_those_of_the_operator_s_market() -> None:
    """Mode "provider" without a bid is mode "operator", bit for bit."""
    alone, team = daogym.make_simulator("gpu_week", N), market()
    names = [field.name for field in alone.observation_fields]
    shared = np.concatenate(
        [np.arange(team.simulator.observation_fields.size)[team.simulator.observation_fields.slice(n)]
         for n in names]
    )  # fmt: skip
    alone.reset(seed=6)
    team.reset(seed=6)
    for step in range(150):
        actions = drawn(team, step)
        actions[:, 1:] = 0.0
        alone.step(actions[:, 0, :N_OPERATOR])
        team.step(actions)
        assert np.array_equal(team.team_rewards, alone.rewards)
        assert np.array_equal(team.costs, alone.costs)
        assert np.array_equal(team.states[:, shared], alone.observations)
    assert isinstance(team, SharedControl) and team.simulator.action_size == N_OPERATOR + 3 * 16


def test_own_money_is_what_the_books_say() -> None:
    """Under failures, slashes, jail and wild bids, in every step and over the episode."""
    team = market({"base": "gpu_week+unreliable", "episode_days": 3}, 8)
    simulator = team.simulator
    events = {name: i for i, name in enumerate(simulator.event_names)}
    terms = [simulator.term_names.index(name) for name in ("energy", "capacity")]
    team.reset(seed=1)
    total = np.zeros(team.rewards.shape)
    seen = dict.fromkeys(("slashed_usd", "clawed_back_usd"), 0.0)
    for step in range(team.horizon):
        treasury = simulator.state("market_accounts")[:, TREASURY].copy()
        emitted = simulator.state("totals")[:, FOR_EMISSIONS].copy()
        actions = drawn(team, step)
        actions[:, 0] = 0.0
        team.step(actions)
        total += team.rewards
        if team.terminated.any():
            break
        gained = simulator.state("market_accounts")[:, TREASURY] - treasury
        assert np.array_equal(team.rewards[:, 0], gained / MICRO)
        emitted = simulator.state("totals")[:, FOR_EMISSIONS] - emitted
        expected = (emitted[:, MINTED] - emitted[:, BURNED]) / MICRO
        expected = expected + simulator.events[:, events["paid_usd"]]
        expected = expected + simulator.terms[:, terms].sum(axis=1)
        for name in seen:
            expected = expected - simulator.events[:, events[name]]
            seen[name] += simulator.events[:, events[name]].sum()
        # Electricity is paid in whole micro-USD.
        np.testing.assert_allclose(team.rewards[:, 1:].sum(axis=1), expected, atol=1e-4)
    assert team.terminated.all() and all(usd > 0.0 for usd in seen.values()), seen
    np.testing.assert_allclose(team.episode_rewards, total, atol=1e-6)


def test_an_ask_moves_between_the_empty_provider_s_and_half_as_much_again() -> None:
    team = market(num_envs=1)
    simulator, table = team.simulator, team.simulator.domain.providers
    team.reset(seed=2)
    for step in range(30):
        team.step(drawn(team, step))
    kept = team.snapshot()
    asks = {}
    for bid in (-1.0, 0.0, 0.5, 1.0):
        team.restore(kept)
        team.step(bids(team, ask=bid))
        asks[bid] = simulator.state("ask")[0].copy()
    price = simulator.state("region_price")[0, table[:, V_REGION].astype(int)]
    empty = table[:, V_CAPITAL_USD_PER_GPU_H] * (1.0 + table[:, V_MARKUP_EMPTY])
    np.testing.assert_allclose(asks[-1.0], table[:, V_KW_PER_GPU] * price + empty, rtol=1e-12)
    assert (asks[0.0] >= asks[-1.0] - 1e-12).all() and (asks[0.0] > asks[-1.0] + 0.01).any()
    np.testing.assert_allclose(asks[1.0], asks[0.0] * (1.0 + BID_RISE), rtol=1e-12)
    np.testing.assert_allclose(asks[0.5], asks[0.0] * (1.0 + 0.5 * BID_RISE), rtol=1e-12)


def test_who_offers_nothing_gets_no_new_work_and_the_next_one_is_contracted() -> None:
    team = market(num_envs=1)
    simulator, table = team.simulator, team.simulator.domain.providers
    team.reset(seed=2)
    team.step(bids(team))
    kept, usual = team.snapshot(), simulator.state("capacity_gpus")[0].copy()
    team.step(bids(team, offer=-1.0))
    assert (simulator.state("capacity_gpus") == 0.0).all()
    matched = simulator.event_names.index("matched_jobs")
    for _ in range(12):
        team.step(bids(team, offer=-1.0))
        assert simulator.events[0, matched] == 0.0
    team.restore(kept)
    team.step(bids(team, offer=1.0))
    working = table[:, V_GPUS] * simulator.state("up_share")[0]
    np.testing.assert_allclose(simulator.state("capacity_gpus")[0], working, rtol=1e-12)
    # One provider withholds: others of its class, dearer ones, take its part of the contract.
    team.restore(kept)
    first = int(np.argmax(usual))
    one = bids(team)
    one[:, 1 + first, 1] = -1.0
    team.step(one)
    there = simulator.state("capacity_gpus")[0]
    tier = table[:, 0] == table[first, 0]
    assert there[first] == 0.0 and there[tier].sum() > 0.0
    team.restore(kept)
    team.step(bids(team))
    alone = simulator.state("capacity_gpus")[0]
    others = tier & (np.arange(len(table)) != first)
    assert there[others].sum() >= alone[others].sum()


def test_a_stake_is_filled_as_far_as_its_provider_wants() -> None:
    team = market(num_envs=1)
    simulator, gpus = team.simulator, team.simulator.domain.providers[:, V_GPUS]
    team.reset(seed=2)
    n, least = len(gpus), simulator.state("governed")[0, G_LEAST_STAKE]
    stakes = simulator.state("market_accounts")[0, BALANCES + n :]
    stakes[:] = 0
    balances = simulator.state("market_accounts")[0, BALANCES : BALANCES + n]
    balances[:] = int(1e12)
    kept = team.snapshot()
    for refill in (-1.0, 0.0, 1.0):
        team.restore(kept)
        actions = bids(team)
        actions[:, 1:, BID_STAKE] = refill
        for _ in range(4):
            team.step(actions)
        wanted = STAKE_REFILL * (1.0 + STAKE_SPAN * refill) * least * gpus
        np.testing.assert_allclose(stakes / MICRO, wanted, rtol=1e-9)
        # With less than the least stake nobody may offer.
        offers = simulator.state("capacity_gpus")[0].sum() > 0.0
        assert offers == (refill >= 0.0)


def test_a_provider_sees_itself_and_sets_itself() -> None:
    team = market()
    team.reset(seed=5)
    for step in range(9):
        team.step(drawn(team, step))
    set_by = np.concatenate([seat.acts[seat.acts >= 0] for seat in team.seats.seats])
    assert sorted(set_by.tolist()) == list(range(team.simulator.action_size))
    fields = team.groups[1].observation_fields
    table = team.simulator.domain.providers
    shown = fields.denormalise(team.observations[:, 1:, : fields.size])
    expected = {
        "own_used_share": team.simulator.state("used_gpus") / table[:, V_GPUS],
        "own_up_share": team.simulator.state("up_share"),
        "own_reputation": team.simulator.state("reputation"),
        "own_offered_share": team.simulator.state("capacity_gpus") / table[:, V_GPUS],
    }
    for name, value in expected.items():
        np.testing.assert_allclose(shown[:, :, fields.slice(name)][:, :, 0], value, atol=1e-5)
    assert "last_action" not in {field.name for field in fields}
    with pytest.raises(ValueError, match="action_mode 'provider' expected, got 'operator'"):
        market(action_mode="operator")
    with pytest.raises(ValueError, match="providers bid in a market"):
        market({"base": "gpu_week", "market": False})


def test_no_bids_pass_the_bound() -> None:
    """Providers that ask the least they may and offer all, and an operator that adds nothing."""
    settings = {"base": "gpu_week", "episode_days": 2}
    team = market(settings, 2)
    team.reset(seed=3)
    bound = upper_bound(team.simulator)
    for ask, spread in ((-1.0, -1.0), (-1.0, 0.0)):
        team.reset(seed=3)
        money = np.zeros(2)
        for _ in range(team.horizon):
            actions = bids(team, ask=ask, offer=1.0)
            actions[:, 0, 11] = spread
            team.step(actions)
            money += team.team_rewards
        assert (money <= bound).all() and team.terminated.all()
