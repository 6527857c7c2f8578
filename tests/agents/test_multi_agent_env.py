"""Agents as rows: every number of a scripted world arrives in its place."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from daogym.envs.adapters.multi_agent import MultiAgentVecEnv
from daogym.envs.core.multi_agent import Agent, AgentLayout

N, A = 4, 3


def played(env: MultiAgentVecEnv, steps: int) -> Iterator[tuple[Any, ...]]:
    """What each of some random steps hands out: observations, rewards, dones, infos; actions."""
    generator = np.random.default_rng(0)
    for _ in range(steps):
        actions = generator.uniform(-1, 1, (env.num_envs, 2)).astype(np.float32)
        yield (*env.step(actions), actions)


def test_an_observation_says_what_kind_and_group_an_agent_is_of(roster: Any) -> None:
    world = roster.Roster(N)
    env = MultiAgentVecEnv(world)
    assert env.num_envs == N * A
    # 2 numbers and 2 kinds of the wider group, then 2 groups.
    assert env.observation_space["obs"].shape == (6,)
    assert env.observation_space["state"].shape == (3 + A,)
    assert env.action_space.shape == (2,)
    observations = env.reset()
    blocks = observations["obs"].reshape(N, A, 6)
    assert np.array_equal(blocks[:, 0, 0], world.observations[:, 0, 0])
    assert (blocks[:, 0, 1:4] == 0.0).all(), "the narrow group is padded, whatever stands there"
    assert np.array_equal(blocks[:, 1:, :2], world.observations[:, 1:])
    # A one-hot of 0 and 1 as every field is shown: normalised by its bounds.
    assert (blocks[:, 1, 2:4] == [1.0, -1.0]).all() and (blocks[:, 2, 2:4] == [-1.0, 1.0]).all()
    assert (blocks[:, :, 4:] == [[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).all()
    states = observations["state"].reshape(N, A, 6)
    assert all(np.array_equal(states[:, agent, :3], world.states) for agent in range(A))
    assert (states[:, :, 3:] == np.eye(A)).all()
    layout = env.layout
    assert [f.name for f in layout.policy_fields(0)] == ["sun_0"]
    assert layout.policy_fields(1).names[-2:] == ("agent_kind[0]", "agent_kind[1]")
    assert layout.kinds == (("pv",), ("battery", "car"))


def test_rows_of_a_trajectory_are_the_agents(roster: Any) -> None:
    env = MultiAgentVecEnv(roster.Roster(N), control_variate=False)
    twin = roster.Roster(N)
    twin.reset()
    env.reset()
    for observations, rewards, dones, infos, actions in played(env, 9):
        there = twin.alive.copy()
        sent = actions.reshape(N, A, 2) * there[:, :, None]
        twin.step(sent)
        assert np.array_equal(rewards.reshape(N, A), (0.5 * twin.rewards).astype(np.float32))
        assert np.array_equal(env.acted.reshape(N, A), there)
        ended = twin.terminated | twin.truncated
        assert np.array_equal(dones.reshape(N, A), ended[:, None] | ~twin.alive)
        assert np.array_equal(observations["state"].reshape(N, A, 6)[:, 1, :3], twin.states)
        assert np.array_equal(env.costs.reshape(N, A, 2)[:, 2], twin.costs)
        for row, info in enumerate(infos):
            n, agent = divmod(row, A)
            if not (ended[n] and there[n, agent]):
                assert info == {}
                continue
            assert info["TimeLimit.truncated"] == (n % 2 == 0)
            assert np.array_equal(info["terminal_observation"]["state"][:3], twin.final_states[n])
            seen = info["terminal_observation"]["obs"]
            assert np.array_equal(seen[4:], observations["obs"][row, 4:])
            assert seen[0] == twin.final_observations[n, agent, 0]
            assert info["episode"]["l"] == roster.HORIZON


def test_an_agent_s_episode_is_the_time_in_which_it_is_there(roster: Any) -> None:
    env = MultiAgentVecEnv(roster.Roster(1))
    env.reset()
    acted, dones = [], []
    for _, _, done, infos, _ in played(env, 8):
        acted.append(bool(env.acted[roster.CAR]))
        dones.append(bool(done[roster.CAR]))
        assert infos[roster.CAR] == {}, "leaving is no cut: nothing is bootstrapped"
    # There in steps 1 and 2 of each episode of 4: its own ends with step 2.
    assert acted == [False, True, True, False] * 2
    assert dones == [False, False, True, True] * 2


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_a_reward_mixes_the_agent_s_money_with_its_share_of_the_team_s(
    roster: Any, share: float
) -> None:
    env = MultiAgentVecEnv(roster.Roster(N), team_share=share, reward_scale=2.0)
    env.reset()
    _, rewards, *_ = env.step(np.full((N * A, 2), 0.5))
    s = env.simulator
    own = s.rewards - 0.25
    team = (s.team_rewards - 0.5)[:, None] / A
    assert rewards.reshape(N, A) == pytest.approx(2.0 * ((1 - share) * own + share * team))
    assert rewards.dtype == np.float32


def test_what_was_handed_out_survives_the_next_step(roster: Any) -> None:
    env = MultiAgentVecEnv(roster.Roster(N))
    first = env.reset()
    kept = {name: array.copy() for name, array in first.items()}
    dones = kept_dones = np.zeros(N * A, dtype=bool)
    terminal: list[tuple[Any, Any]] = []
    for observations, rewards, new_dones, infos, _ in played(env, 9):
        assert all(np.array_equal(first[name], kept[name]) for name in kept)
        assert np.array_equal(dones, kept_dones) and dones is not new_dones
        first, kept = observations, {name: array.copy() for name, array in observations.items()}
        dones, kept_dones = new_dones, new_dones.copy()
        rewards += 1e6  # as bootstraps are added
        assert not (env.simulator.rewards > 1e5).any()
        seen = [info["terminal_observation"]["obs"] for info in infos if info]
        terminal += [(array, array.copy()) for array in seen]
    assert len(terminal) == 2 * N * 2
    assert all(np.array_equal(array, copy) for array, copy in terminal)


def test_a_seed_reaches_the_simulator_and_a_restored_one_is_shown(lq_team: Any) -> None:
    env = MultiAgentVecEnv(lq_team.LqTeam(5))
    env.seed(3)
    first = env.reset()["state"].copy()
    assert not np.array_equal(env.reset()["state"], first)
    env.seed(3)
    assert np.array_equal(env.reset()["state"], first)
    snapshot = env.simulator.snapshot()
    later = env.step(np.zeros((10, 1)))[0]["obs"].copy()
    other = MultiAgentVecEnv(lq_team.LqTeam(5))
    other.simulator.restore(snapshot)
    assert np.array_equal(other.resume_observations()["state"], first)
    assert np.array_equal(other.step(np.zeros((10, 1)))[0]["obs"], later)


def test_what_does_not_fit_is_refused(roster: Any) -> None:
    world = roster.Roster(N)
    world.autoreset = "disabled"
    with pytest.raises(ValueError, match="same_step autoreset expected, got 'disabled'"):
        MultiAgentVecEnv(world)
    with pytest.raises(ValueError, match=r"team_share: a number from 0 to 1 .* got 1\.5"):
        MultiAgentVecEnv(roster.Roster(N), team_share=1.5)
    world = roster.Roster(N)
    world.alive = np.ones((N, 2), dtype=bool)
    with pytest.raises(ValueError, match=r"simulator\.alive: shape \(4, 3\) expected, got \(4, 2"):
        MultiAgentVecEnv(world)
    groups = roster.Roster(1).groups
    for agents, message in (
        ([], "agent names: some that differ"),
        ([Agent("a", "source", "k")] * 2, "agent names"),
        ([Agent("a", "sauce", "k")], "'a' is of group 'sauce'"),
        ([Agent("a", "source", "k")], "group 'device' has no agent"),
    ):
        with pytest.raises(ValueError, match=message):
            AgentLayout(agents, groups)
    env = MultiAgentVecEnv(roster.Roster(N))
    assert env.get_attr("team_share", [0, 2]) == [0.0, 0.0]
    with pytest.raises(AttributeError, match="'spam'"):
        env.set_attr("spam", 1)
