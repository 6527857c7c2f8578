"""What must hold for every id of several agents."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from pettingzoo.test import parallel_api_test, parallel_seed_test

import daogym
from daogym.envs.adapters.multi_agent import MultiAgentVecEnv
from daogym.envs.registry import Registration

pytestmark = pytest.mark.kernel
LANES = 3


@pytest.fixture(params=daogym.MULTI_AGENT, ids=lambda entry: entry.id.split("/")[-1])
def entry(request: pytest.FixtureRequest) -> Registration:
    return request.param  # type: ignore[no-any-return]


def team_of(entry: Registration, num_envs: int = LANES, **options: Any) -> Any:
    return daogym.make_multi_agent(entry.id, num_envs, **options)


def drawn(team: Any, hashed_actions: Any, step: int) -> Any:
    shape = (team.num_envs, team.layout.n_agents, team.layout.action_size)
    return hashed_actions(shape[0], shape[1] * shape[2], step).reshape(shape)


def row(entry: Registration) -> str:
    """The id's line in docs/agents.md."""
    team = team_of(entry, 1)
    counts = np.bincount(team.layout.group_of)
    groups = [
        f"{count} {g.name}: {g.observation_fields.size} seen, {g.action_fields.size} set"
        for count, g in zip(counts.tolist(), team.groups, strict=True)
    ]
    return f"| `{entry.id}` | `{entry.scenario}` | {'; '.join(groups)} |"


def test_its_line_on_the_page_is_the_code_s(entry: Registration) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "agents.md"
    assert row(entry) in page.read_text(encoding="utf-8"), row(entry)


def test_pettingzoo_accepts_it(entry: Registration) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parallel_api_test(daogym.parallel_env(entry.id), num_cycles=30)
        parallel_seed_test(lambda: daogym.parallel_env(entry.id), num_cycles=10)


def test_a_picture(entry: Registration) -> None:
    env = daogym.parallel_env(entry.id, render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    assert first.dtype == np.uint8 and first.ndim == 3 and first.shape[2] == 3
    assert len(np.unique(first)) > 10, "an empty picture"
    for _ in range(3):
        env.step({name: env.action_space(name).sample() for name in env.agents})
    assert env.render().shape == first.shape


def test_the_trajectory_is_the_golden_one(entry: Registration, golden: ModuleType) -> None:
    kept = json.loads(golden.FILE.read_text(encoding="utf-8"))
    assert entry.id in kept, f"{entry.id} has no digest: run python -m tests.registered.golden"
    assert golden.digest_of_agents(entry) == kept[entry.id], (
        "this id no longer names the same world: bump its version, then run "
        "python -m tests.registered.golden --write"
    )


def test_pettingzoo_s_environment_is_a_lane_of_the_batch(
    entry: Registration, hashed_actions: Any
) -> None:
    team = team_of(entry)
    team.reset(seed=30)
    first = team.observations.copy()
    rows = []
    for step in range(8):
        actions = drawn(team, hashed_actions, step)
        team.step(actions)
        rows.append((actions, team.observations.copy(), team.rewards.copy(), team.states.copy()))
    env = daogym.parallel_env(entry.id)
    for lane in range(LANES):
        observations, _ = env.reset(seed=30 + lane)
        for step, (actions, seen, money, states) in enumerate(rows):
            before = first if step == 0 else rows[step - 1][1]
            for a, name in enumerate(env.possible_agents):
                assert np.array_equal(
                    observations[name], before[lane, a, : len(observations[name])]
                )
            given = {
                name: actions[lane, a, : env.action_space(name).shape[0]]
                for a, name in enumerate(env.possible_agents)
            }
            observations, rewards, *_ = env.step(given)
            assert [rewards[name] for name in env.possible_agents] == money[lane].tolist()
            assert np.array_equal(env.state(), states[lane])
            assert seen.shape == first.shape


def test_together_the_agents_are_one_operator(entry: Registration, hashed_actions: Any) -> None:
    """Rewards, costs and ends over an episode, and no number of the action is nobody's."""
    team = team_of(entry)
    alone = daogym.make_simulator(entry.scenario, LANES, **entry.options)
    set_by = np.concatenate([seat.acts[seat.acts >= 0] for seat in team.seats.seats])
    assert sorted(set_by.tolist()) == list(range(alone.action_size))
    team.reset(seed=4)
    alone.reset(seed=4)
    total = np.zeros(team.rewards.shape)
    for step in range(team.horizon):
        actions = drawn(team, hashed_actions, step)
        team.step(actions)
        alone.step(team.compose(actions))
        total += team.rewards
        assert np.array_equal(team.team_rewards, alone.rewards)
        assert np.array_equal(team.costs, alone.costs)
        assert np.array_equal(team.terminated, alone.terminated)
        assert np.abs(team.observations).max() <= 1.0
        assert np.isfinite(team.rewards).all() and np.isfinite(team.observations).all()
    assert (team.terminated | team.truncated).all()
    scale = np.abs(total).max()
    np.testing.assert_allclose(team.episode_rewards, total, rtol=1e-9, atol=1e-9 * scale)
    assert np.array_equal(team.episode_team_reward, alone.episode_reward)


def test_wild_actions_poison_nothing(entry: Registration) -> None:
    team = team_of(entry)
    team.reset(seed=1)
    draw = np.random.default_rng(0)
    shape = (LANES, team.layout.n_agents, team.layout.action_size)
    invalid = team.simulator.event_names.index("invalid_actions")
    for value in (np.nan, np.inf, -np.inf, 1e30, -7.0):
        wild = draw.uniform(-1.0, 1.0, shape).astype(np.float32)
        wild[draw.uniform(size=shape) < 0.3] = value
        team.step(wild)
        assert (team.simulator.events[:, invalid] > 0.0).all()
        assert np.isfinite(team.observations).all() and np.isfinite(team.rewards).all()
        assert np.isfinite(team.costs).all()


def test_a_lane_that_waits_for_its_reset_earns_nothing(
    entry: Registration, hashed_actions: Any
) -> None:
    # A steward's timelock or a vote would not fit into a day.
    long = entry.scenario.endswith(("_steward", "_attack"))
    days = {} if long else {"episode_days": 1}
    team = team_of(entry, 2, autoreset="disabled", **days)
    team.reset(seed=2)
    for step in range(team.horizon):
        team.step(drawn(team, hashed_actions, step))
    assert (team.terminated | team.truncated).all() and team.rewards.any()
    team.step(drawn(team, hashed_actions, 0))
    assert not team.rewards.any() and not team.team_rewards.any()


def test_the_learner_s_rows_are_the_agents(entry: Registration, hashed_actions: Any) -> None:
    team = team_of(entry)
    env = MultiAgentVecEnv(team_of(entry), reward_scale=1.0, control_variate=False)
    env.seed(3)
    env.reset()
    team.reset(seed=3)
    for step in range(5):
        actions = drawn(team, hashed_actions, step)
        team.step(actions)
        observations, rewards, _, _ = env.step(actions.reshape(env.num_envs, -1))
        assert np.array_equal(rewards.reshape(LANES, -1), team.rewards.astype(np.float32))
        rows = observations["obs"].reshape(LANES, team.layout.n_agents, -1)
        for a, group in enumerate(team.layout.group_of.tolist()):
            size = team.groups[group].observation_fields.size
            assert np.array_equal(rows[:, a, :size], team.observations[:, a, :size])


def test_an_unknown_id_is_answered_with_the_known_ones() -> None:
    with pytest.raises(daogym.envs.core.strict.ConfigError, match="LogisticsPlaces-v0"):
        daogym.parallel_env("daogym/LogisticPlaces-v0")
