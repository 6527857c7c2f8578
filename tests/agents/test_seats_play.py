"""Policies of the shipped domains' agents play the operator's simulator, and are told apart."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.agents.evaluation import EpisodeSet, play
from daogym.agents.group_policy import GroupPolicy, group_contracts

# A domain's settings for short episodes.
SHORT: dict[str, dict[str, Any]] = {
    "lv_rural": {"base": "lv_rural", "episode_days": 1},
    "gpu_week": {"base": "gpu_week", "episode_days": 1},
    "supply_network": {"base": "supply_network", "horizon_days": 40},
    "lv_rural_steward": {"base": "lv_rural_steward", "episode_days": 2},
    "gpu_week_steward": {"base": "gpu_week_steward", "episode_days": 2},
    "supply_network_steward": {"base": "supply_network_steward", "horizon_days": 40},
    "lv_rural_attack": {"base": "lv_rural_attack", "episode_days": 5},
    "gpu_week_attack": {"base": "gpu_week_attack", "episode_days": 5},
    "supply_network_attack": {"base": "supply_network_attack", "horizon_days": 40},
}


@pytest.mark.kernel
@pytest.mark.parametrize("entry", daogym.MULTI_AGENT, ids=lambda entry: entry.id.split("/")[-1])
def test_groups_play_and_what_they_earn_is_told(entry: Any) -> None:
    """Each group answers its first observation; the same put together by hand earns the same."""
    scenario = SHORT[entry.scenario]
    episodes = EpisodeSet(scenario, "test", 3)
    simulator = episodes.simulator(daogym.make_simulator, entry.options["action_mode"])
    view: Any = simulator.domain.as_agents(simulator)

    def act_of(size: int, sign: float) -> Any:
        return lambda seen: np.repeat(sign * 0.3 * seen[:, :1], size, axis=1)

    signs = np.where(np.arange(len(view.groups)) % 2 == 0, 1.0, -1.0).astype(np.float32)
    acts = [
        act_of(group.action_fields.size, sign)
        for group, sign in zip(view.groups, signs, strict=True)
    ]
    policy = GroupPolicy("by rule", group_contracts(view, "0"), acts)
    outcome = play(policy, simulator)

    team: Any = daogym.make_multi_agent(scenario, 3, split="test", **entry.options)
    team.reset(seed=episodes.seed)
    money, own = np.zeros(3), np.zeros((3, len(team.agents)))
    for _ in range(team.horizon):
        first = team.observations[:, :, :1] * signs[team.layout.group_of][None, :, None]
        team.step(np.repeat(np.float32(0.3) * first, team.layout.action_size, axis=2))
        money += team.team_rewards
        own += team.rewards
    assert outcome.own is not None and outcome.social is not None
    assert outcome.own.agents == tuple(agent.name for agent in team.agents)
    np.testing.assert_allclose(outcome.money, money, rtol=1e-4)
    np.testing.assert_allclose(outcome.own.returns, own, rtol=1e-3, atol=1e-3 * np.abs(own).max())
    voted = simulator.scenario.charter.votes
    assert outcome.social.capture == (0.0 if voted else None), "nothing is carried, nobody captures"
    assert 0.0 <= outcome.social.gini <= 1.0
    # Carriers pay tariff and slashes to the DAO; what their stakes forgo is no part of the reward.
    # In the market tenants and the vault have the rest, under a local market the community; what a
    # governor earns is counted with those who pay it, and an adversary's profit is not the team's.
    mode = entry.options["action_mode"]
    if entry.scenario in ("lv_rural", "supply_network_steward") or mode == "node":
        offices = ("governor", "adversary")
        paid = [k for k, agent in enumerate(team.agents) if agent.name not in offices]
        shared = outcome.own.returns[:, paid].sum(axis=1)
        np.testing.assert_allclose(shared, outcome.money, rtol=1e-9)
