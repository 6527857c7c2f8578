"""The operator in the adversary's game: money in the vault is safe, calls bring votes, both pay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.core.simulator import Simulator
from daogym.envs.dao.adversary import make_adversary
from daogym.envs.dao.adversary_agents import PLACES, CaptureAgents
from daogym.envs.dao.adversary_layout import ACTIONS, ALL_ACTIONS, CASH_VAULT, EVENTS
from daogym.envs.dao.adversary_scripts import Story
from daogym.envs.dao.capture import load_case
from daogym.envs.dao.capture_lane import CASH_TREASURY

pytestmark = pytest.mark.kernel


def play(simulator: Simulator, shelter: float, call: float) -> tuple[Any, Any, Any]:
    """(profit, loss, events) of the story against an operator that always does the same."""
    simulator.reset(seed=0)
    story = Story(simulator)
    n = simulator.num_envs
    profit, loss, events = np.zeros(n), np.zeros(n), np.zeros((n, len(EVENTS)))
    opening = simulator.state("cents").sum(axis=1)
    ended = np.zeros(n, dtype=np.bool_)
    while not ended.all():
        action = story.actions()
        assert action.shape == (n, ALL_ACTIONS)
        action[:, len(ACTIONS) :] = shelter, call
        simulator.step(action)
        assert (simulator.state("cents").sum(axis=1) == opening).all()
        assert (simulator.state("cents") >= 0).all() and (simulator.state("refused") == 0).all()
        assert (np.abs(simulator.observations) <= 1.0).all()
        profit += simulator.rewards
        loss += simulator.costs[:, 0]
        events += simulator.events
        ended |= simulator.terminated
    return profit, loss, events


def game(case: str, **options: Any) -> Simulator:
    return make_adversary(case, (), 4, operator=True, autoreset="disabled", **options)


def test_an_idle_operator_changes_nothing() -> None:
    plain = make_adversary("apathy", (), 4, autoreset="disabled")
    plain.reset(seed=0)
    with_operator = game("apathy")
    with_operator.reset(seed=0)
    draw = np.random.default_rng(0)
    for _ in range(60):
        action = draw.uniform(-1.0, 1.0, (4, len(ACTIONS)))
        plain.step(action)
        with_operator.step(np.concatenate([action, np.zeros((4, 2))], axis=1))
        seen = plain.observations.shape[1]
        assert (with_operator.observations[:, :seen] == plain.observations).all()
        assert (with_operator.rewards == plain.rewards).all()


def test_money_in_the_vault_is_out_of_the_payloads_reach() -> None:
    _, bare, _ = play(game("beanstalk"), 0.0, 0.0)
    profit, loss, events = play(game("beanstalk"), 1.0, 0.0)
    assert (events[:, EVENTS.index("executed")] == 1.0).all()  # the vote is lost, the money is not
    assert (bare > 181e6).all() and (profit < 0.0).all()
    # 5 basis points a day of what is left, for the account's thousand quarters of an hour
    days = 1000 * 900 / 86_400
    expected = 182e6 * (1.0 - (1.0 - 5e-4 / 96) ** 1000)
    assert loss == pytest.approx(expected, rel=0.03) and expected < 182e6 * 5e-4 * days
    assert events[:, EVENTS.index("operator_cost")] == pytest.approx(loss, abs=0.01)


def test_half_in_the_vault_saves_half() -> None:
    _, loss, _ = play(game("beanstalk", overrides=["operator.vault_bps_per_day=0"]), 0.5, 0.0)
    assert loss == pytest.approx(91e6, rel=1e-6)


def test_called_members_vote_the_apathetic_attack_down() -> None:
    _, bare, _ = play(game("apathy"), 0.0, 0.0)
    _, loss, events = play(game("apathy"), 0.0, 1.0)
    price = load_case("apathy").operator.call_cents / 100  # type: ignore[union-attr]
    calls = events[:, EVENTS.index("calls")]
    assert (bare == 370_000.0).all()
    assert (events[:, EVENTS.index("executed")] == 0.0).all()
    assert (calls == 2.0).all() and loss == pytest.approx(calls * price)


def test_the_agents_are_the_simulators_columns() -> None:
    simulator = game("beanstalk")
    agents = CaptureAgents(simulator)
    agents.reset(seed=3)
    draw = np.random.default_rng(1)
    twin = game("beanstalk")
    twin.reset(seed=3)
    for _ in range(30):
        actions = draw.uniform(-1.0, 1.0, (4, 2, len(ACTIONS))).astype(np.float32)
        agents.step(actions)
        whole = np.zeros((4, ALL_ACTIONS), dtype=np.float32)
        whole[:, PLACES["adversary"]] = actions[:, 0]
        whole[:, PLACES["operator"]] = actions[:, 1, :2]
        twin.step(whole)
        assert (agents.observations[:, 1] == twin.observations).all()
        assert (agents.rewards[:, 0] == twin.rewards).all()
        assert (agents.rewards[:, 1] == -twin.costs[:, 0]).all()
        assert (agents.team_rewards == agents.rewards[:, 1]).all()
    assert (simulator.state("cents")[:, CASH_VAULT] > 0).any()
    assert (simulator.state("cents")[:, CASH_TREASURY] > 0).any()


def test_one_learns_against_a_fixed_other() -> None:
    simulator = game("beanstalk")
    seen = []

    def fixed(observations: Any) -> Any:
        seen.append(observations.copy())
        return np.full((4, len(ACTIONS)), 0.5, dtype=np.float32)

    agents = CaptureAgents(simulator, ("operator",), {"adversary": fixed})
    agents.reset(seed=0)
    before = simulator.observations.copy()
    agents.step(np.zeros((4, 1, 2), dtype=np.float32))
    assert (seen[0] == before).all()
    assert (simulator.rewards < 0.0).all()  # the fixed adversary bought
    assert agents.rewards.shape == (4, 1) and (agents.rewards == 0.0).all()


def test_games_without_an_operator_are_refused() -> None:
    with pytest.raises(ValueError, match="operator=True"):
        CaptureAgents(make_adversary("apathy"))
    with pytest.raises(ValueError, match="names no means"):
        make_adversary("late_vote", operator=True)
    with pytest.raises(ValueError, match="at least one"):
        CaptureAgents(game("apathy"), ())
