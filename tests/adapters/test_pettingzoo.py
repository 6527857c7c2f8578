"""PettingZoo's face: its own tests, and the very numbers of the batched simulator."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

from daogym.envs.adapters.pettingzoo import DaoParallelEnv


def world(name: str) -> ModuleType:
    """One of the worlds of tests/agents."""
    path = Path(__file__).parents[1] / "agents" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"pettingzoo_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


ROSTER, LQ = world("roster"), world("lq_team")


def roster() -> DaoParallelEnv:
    return DaoParallelEnv(ROSTER.Roster(1))


def team(groups: bool = False) -> DaoParallelEnv:
    return DaoParallelEnv(LQ.LqTeam(1, groups=groups, stagger=False), team_share=1.0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [team, lambda: team(groups=True)], ids=["one group", "two"])
def test_pettingzoo_s_own_tests_pass(make: Any) -> None:
    parallel_api_test(make(), num_cycles=50)
    parallel_seed_test(make)


def test_they_pass_where_agents_come_and_go() -> None:
    parallel_api_test(roster(), num_cycles=50)
    parallel_seed_test(roster)


def test_whole_episodes_repeat_with_their_seed() -> None:
    """PettingZoo's own test looks at one step."""

    def episode(env: DaoParallelEnv, seed: int = 7) -> list[Any]:
        generator = np.random.default_rng(0)
        seen: list[Any] = [env.reset(seed=seed)]
        while env.agents:
            actions = {name: generator.uniform(-1, 1, 1).astype(np.float32) for name in env.agents}
            seen.append(env.step(actions))
        return seen

    first, again = episode(team()), episode(team())
    assert len(first) == LQ.HORIZON + 1
    with np.printoptions(floatmode="unique"):
        assert repr(first) == repr(again) != repr(episode(team(), 8))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_numbers_are_the_batch_s(share: float) -> None:
    env = DaoParallelEnv(LQ.LqTeam(1, stagger=False), team_share=share)
    twin = LQ.LqTeam(1, stagger=False)
    observations, _ = env.reset(seed=5)
    twin.reset(seed=5)
    generator = np.random.default_rng(1)
    for step in range(LQ.HORIZON):
        for number, name in enumerate(env.agents):
            assert np.array_equal(observations[name], twin.observations[0, number])
        assert np.array_equal(env.state(), twin.states[0])
        actions = generator.uniform(-1, 1, (1, 2, 1)).astype(np.float32)
        given = {name: actions[0, i] for i, name in enumerate(env.agents)}
        observations, rewards, terminated, truncated, infos = env.step(given)
        twin.step(actions)
        last = step == LQ.HORIZON - 1
        for number, name in enumerate(env.possible_agents):
            expected = (1 - share) * twin.rewards[0, number] + share * twin.team_rewards[0] / 2
            assert rewards[name] == pytest.approx(expected)
            assert (terminated[name], truncated[name]) == (False, last)
            assert infos[name]["cost"] == twin.costs[0].sum()
            assert infos[name]["team_reward"] == twin.team_rewards[0]
            if last:
                assert np.array_equal(observations[name], twin.final_observations[0, number])
    assert env.agents == []
    with pytest.raises(RuntimeError, match=r"call reset\(\)"):
        env.step({})


def test_agents_join_leave_and_never_come_back() -> None:
    env = roster()
    observations, _ = env.reset(seed=0)
    assert env.agents == ["panel", "store"] and set(observations) == {"panel", "store"}
    assert observations["panel"].shape == (1,) and observations["store"].shape == (2,)
    acting, ended = [], []
    while env.agents:
        acting.append(list(env.agents))
        actions = {name: env.action_space(name).sample() for name in env.agents}
        observations, rewards, terminated, truncated, _ = env.step(actions)
        ended.append([name for name in terminated if terminated[name] or truncated[name]])
        assert set(observations) == set(rewards) >= set(env.agents)
    everybody = ["panel", "store", "car"]
    assert acting == [["panel", "store"], everybody, everybody, ["panel", "store"]]
    assert ended == [[], [], ["car"], ["panel", "store"]]

    class Returning(ROSTER.Roster):  # type: ignore[misc]
        def _observe(self) -> None:
            super()._observe()
            self.alive[:, ROSTER.CAR] = self.time != 1

    env = DaoParallelEnv(Returning(1))
    env.reset()
    seen = []
    while env.agents:
        seen.append("car" in env.agents)
        env.step({name: np.zeros(env.action_space(name).shape) for name in env.agents})
    assert seen == [True, False, False, False]


def test_a_picture_where_it_was_asked_for() -> None:
    env = DaoParallelEnv(LQ.LqTeam(1), render_mode="rgb_array")
    env.reset(seed=0)
    picture = env.render()
    assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3
    assert team().render() is None


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match="a simulator of 1 environment expected, got 3"):
        DaoParallelEnv(LQ.LqTeam(3))
    with pytest.raises(ValueError, match="team_share"):
        DaoParallelEnv(LQ.LqTeam(1), team_share=-0.1)
    with pytest.raises(ValueError, match="'human'"):
        DaoParallelEnv(LQ.LqTeam(1), render_mode="human")
    env = team()
    with pytest.raises(RuntimeError, match="has not begun"):
        env.step({})
    env.reset()
    with pytest.raises(ValueError, match=r"actions of \['agent_0', 'agent_1'\] expected"):
        env.step({"agent_0": np.zeros(1)})
    with pytest.raises(ValueError, match=r"agent_1: shape \(1,\) expected, \(2,\)"):
        env.step({"agent_0": np.zeros(1), "agent_1": np.zeros(2)})
