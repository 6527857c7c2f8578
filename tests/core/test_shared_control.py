"""Agents who share the operator's seat play the operator's own game."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.shared_control import ABSENT, SharedControl

pytestmark = pytest.mark.kernel


def random_actions(team: SharedControl, step: int) -> Any:
    """Uniform over the agents' actions."""
    shape = (team.num_envs, team.layout.n_agents, team.layout.action_size)
    return np.random.default_rng([1, step]).uniform(-1, 1, shape).astype(np.float32)


def together(team: SharedControl, actions: Any) -> Any:
    """The operator's action that the agents' make up, put together one agent at a time."""
    whole = np.zeros((team.num_envs, team.simulator.action_size), dtype=np.float32)
    for a, seat in enumerate(team.seats.seats):
        for k, column in enumerate(seat.acts.tolist()):
            if column != ABSENT:
                whole[:, column] = actions[:, a, k]
    return whole


@pytest.fixture(scope="module")
def team() -> SharedControl:
    """Three environments of prosumers."""
    made = daogym.make_multi_agent("lv_rural", 3)
    assert isinstance(made, SharedControl)
    return made


def test_every_device_has_one_owner(team: SharedControl) -> None:
    columns = np.concatenate([seat.acts[seat.acts != ABSENT] for seat in team.seats.seats])
    assert sorted(columns.tolist()) == list(range(team.simulator.action_size))


def test_together_they_are_the_operator(team: SharedControl) -> None:
    """Rewards, costs, ends and the episode after: bit for bit those of one operator."""
    alone = daogym.make_simulator("lv_rural", 3, action_mode="device")
    team.reset(seed=4)
    alone.reset(seed=4)
    ended = 0
    for step in range(150):
        actions = random_actions(team, step)
        team.step(actions)
        alone.step(together(team, actions))
        assert np.array_equal(team.team_rewards, alone.rewards)
        assert np.array_equal(team.costs, alone.costs)
        assert np.array_equal(team.states, alone.observations)
        assert np.array_equal(team.terminated, alone.terminated)
        assert np.array_equal(team.truncated, alone.truncated)
        over = team.terminated | team.truncated
        ended += int(over.sum())
        assert np.array_equal(team.final_states[over], alone.final_observations[over])
        assert np.array_equal(team.episode_team_reward[over], alone.episode_reward[over])
        assert np.array_equal(team.episode_costs[over], alone.episode_costs[over])
        np.testing.assert_allclose(team.rewards.sum(axis=1), team.team_rewards, atol=1e-9)
    assert ended == 3


def test_an_agent_sees_its_own_devices_and_no_others(team: SharedControl) -> None:
    team.reset(seed=4)
    for step in range(40):
        team.step(random_actions(team, step))
    fields, feeder = team.groups[0].observation_fields, team.simulator.domain.feeder  # type: ignore[attr-defined]
    soc = team.simulator.state("soc_kwh") / feeder.battery_e_kwh
    volts = team.simulator.state("voltage_pu")
    for a, agent in enumerate(team.agents):
        bus = int(agent.name.removeprefix("prosumer_"))
        physical = fields.denormalise(team.observations[:, a])
        np.testing.assert_allclose(
            physical[:, fields.slice("own_voltage")][:, 0], volts[:, bus], atol=1e-6
        )
        mine = np.flatnonzero(feeder.battery_bus == bus)
        shown = physical[:, fields.slice("own_soc")]
        if len(mine):
            assert "battery" in agent.kind
            np.testing.assert_allclose(shown[:, : len(mine)], soc[:, mine], atol=1e-6)
        assert (shown[:, len(mine) :] == 0.0).all()


def test_a_snapshot_goes_back(team: SharedControl) -> None:
    team.reset(seed=9)
    for step in range(90):
        team.step(random_actions(team, step))
    kept = team.snapshot()
    seen = []
    for step in range(90, 110):
        team.step(random_actions(team, step))
        seen.append((team.observations.copy(), team.rewards.copy(), team.episode_rewards.copy()))
    team.restore(kept)
    for step, (observations, rewards, episode) in enumerate(seen, 90):
        team.step(random_actions(team, step))
        assert np.array_equal(team.observations, observations)
        assert np.array_equal(team.rewards, rewards)
        assert np.array_equal(team.episode_rewards, episode)


def test_seats_that_do_not_fit_are_refused(team: SharedControl) -> None:
    simulator, seats = team.simulator, team.seats
    first, second, *others = seats.seats
    with pytest.raises(ValueError, match="is set by 'prosumer_"):
        SharedControl(simulator, replace(seats, seats=(first, replace(second, acts=first.acts))))
    with pytest.raises(ValueError, match="observes: columns from -1 to"):
        wrong = replace(first, observes=np.full_like(first.observes, 10_000))
        SharedControl(simulator, replace(seats, seats=(wrong, second, *others)))
    with pytest.raises(ValueError, match="acts has shape"):
        SharedControl(simulator, replace(seats, seats=(replace(first, acts=first.acts[:1]),)))
    with pytest.raises(ValueError, match="action_mode 'device' expected, got 'fleet'"):
        daogym.make_multi_agent("lv_rural", 1, action_mode="fleet")
    with pytest.raises(ValueError, match="actions: shape"):
        team.step(np.zeros((3, 1, 1), dtype=np.float32))


@pytest.mark.slow
def test_own_money_is_what_the_connection_pays_and_earns() -> None:
    """Under a local market: agents, other members and the community share the metered money."""
    team: Any = daogym.make_multi_agent("lv_rural_voted", 2, episode_days=7)
    simulator = team.simulator
    owners = [int(agent.name.removeprefix("prosumer_")) for agent in team.agents]
    terms = [simulator.term_names.index(name) for name in ("import", "export")]
    others = np.setdiff1d(np.arange(simulator.state("member_eur").shape[1]), owners)
    team.reset(seed=2)
    total = np.zeros(team.rewards.shape)
    for step in range(team.horizon):
        before = simulator.state("member_eur")[:, others].sum(axis=1)
        fund = simulator.state("community_eur")[:, 0].copy()
        team.step(random_actions(team, step))
        total += team.rewards
        if not team.terminated.any():
            elsewhere = simulator.state("member_eur")[:, others].sum(axis=1) - before
            elsewhere += simulator.state("community_eur")[:, 0] - fund
            metered = simulator.terms[:, terms].sum(axis=1)
            np.testing.assert_allclose(team.rewards.sum(axis=1) + elsewhere, metered, atol=1e-9)
    assert team.terminated.all()
    np.testing.assert_allclose(team.episode_rewards, total, atol=1e-9)
