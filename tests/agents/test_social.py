"""Social metrics against numbers worked out by hand, and from a run's files to its report."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daogym.agents import report
from daogym.agents.evaluation import Outcome, play
from daogym.agents.scoring import results
from daogym.agents.social import OwnReturns, OwnReturnsRecorder, SocialMetrics, gini, social_metrics

NAN = math.nan


def own(returns: Any, when: Any, steps: Any, parameters: int = 0) -> OwnReturns:
    names = tuple(f"agent_{a}" for a in range(len(returns[0])))
    return OwnReturns(names, np.array(returns), np.array(when), np.array(steps, float), parameters)


@pytest.mark.parametrize(
    ("returns", "expected"),
    [
        ([5.0, 5.0, 5.0, 5.0], 0.0),
        # One has all: (n - 1) / n.
        ([0.0, 0.0, 0.0, 8.0], 0.75),
        # |1-2| + |1-3| + |2-3| = 4, twice, over 2 x 3 x 6.
        ([3.0, 1.0, 2.0], 8.0 / 36.0),
        # Gain and loss: |1 - -1| twice over 2 x 2 x 2.
        ([1.0, -1.0], 0.5),
        # Everybody loses the same.
        ([-2.0, -2.0], 0.0),
        ([0.0, 0.0], 0.0),
    ],
)
def test_gini_by_hand(returns: list[float], expected: float) -> None:
    assert gini(np.array([returns]))[0] == pytest.approx(expected)


def test_gini_is_the_mean_difference_of_all_pairs() -> None:
    draw = np.random.default_rng(0).normal(0.0, 3.0, (50, 7))
    pairs = np.abs(draw[:, :, None] - draw[:, None]).sum(axis=(1, 2))
    expected = pairs / (2 * 7 * np.abs(draw).sum(axis=1))
    np.testing.assert_allclose(gini(draw), expected, rtol=1e-12)
    assert (gini(draw) <= 1.0).all()


def test_metrics_by_hand() -> None:
    """Two episodes of 4 steps with three agents, the last of which earns once."""
    found = social_metrics(
        own([[4.0, 4.0, 0.0], [1.0, 2.0, 3.0]], [[2.5, 1.0, NAN], [1.0, 2.0, 4.0]], [4, 4], 5),
        {"captured_parameter_steps": np.array([10.0, 0.0])},
    )
    assert found.efficiency == pytest.approx((8.0 / 4 + 6.0 / 4) / 2)
    assert found.gini == pytest.approx((16.0 / 48.0 + 8.0 / 36.0) / 2)
    assert found.sustainability == pytest.approx(((2.5 + 1.0) / 2 + 7.0 / 3) / 2)
    assert found.capture == pytest.approx(10.0 / (5 * 4) / 2)


def test_where_nobody_earns_and_nobody_votes_there_is_nothing_to_say() -> None:
    found = social_metrics(own([[-1.0, 0.0]], [[NAN, NAN]], [3]))
    assert found == SocialMetrics(pytest.approx(-1.0 / 3.0), 0.5, None, None)


class Script:
    """A view whose agents earn what a table says: (steps, N, A)."""

    def __init__(self, table: Any) -> None:
        self.table, self.step = np.array(table), 0
        self.agents = tuple(SimpleNamespace(name=name) for name in "ab")
        self.simulator = SimpleNamespace(domain=SimpleNamespace())

    @property
    def rewards(self) -> Any:
        return self.table[self.step]


def test_steps_are_counted_while_the_episode_runs() -> None:
    """The second environment's episode ends after two steps; what comes then is another's."""
    view = Script([[[1.0, -1.0], [2.0, 0.0]], [[0.0, -1.0], [2.0, 1.0]], [[3.0, -1.0], [9.0, 9.0]]])
    recorder = OwnReturnsRecorder(view)
    for step, running in enumerate(([True, True], [True, True], [True, False])):
        view.step = step
        recorder.add(np.array(running))
    found = recorder.result()
    assert found.agents == ("a", "b") and found.parameters == 0
    assert found.returns.tolist() == [[4.0, -3.0], [4.0, 1.0]]
    assert found.steps.tolist() == [3.0, 2.0]
    np.testing.assert_array_equal(found.earning_step, [[2.0, NAN], [1.5, 2.0]])


def test_they_are_in_tables_and_documents_of_agents_alone() -> None:
    days, groups = np.ones(2), np.arange(2)
    alone = Outcome("rule", np.array([1.0, 2.0]), days, groups)
    agents = own([[1.0, 1.0], [2.0, 2.0]], [[1.0, 2.0]] * 2, [2, 2])
    together = Outcome("run", np.array([2.0, 4.0]), days, groups, own=agents)
    both = results([together, alone], alone, None)
    assert both[1].to_json()["social"] is None
    assert both[0].to_json()["social"] == {
        "efficiency": 1.5, "gini": 0.0, "sustainability": 1.5, "capture": None,
    }  # fmt: skip
    assert report.social_table([both[1]]) is None
    text = report.markdown(both).split("\n\n")
    assert len(text) == 2 and "| run | 1.5 | 0.000 | 1.5 | - |" in text[1]
    assert len(report.markdown([both[1]]).split("\n\n")) == 1


def test_a_played_group_policy_has_them(toy_agents: Any) -> None:
    """Both agents of the toy store earn half of the team's money."""

    class Idle:
        name, action_mode = "idle", "device"

        def reset(self, simulator: Any) -> None:
            self.view = simulator.domain.as_agents(simulator)

        def act(self, simulator: Any) -> Any:
            return np.zeros((simulator.num_envs, 1), dtype=np.float32)

    simulator = toy_agents.make_simulator(num_envs=3)
    simulator.reset(seed=0)
    outcome = play(Idle(), simulator)
    assert outcome.own is not None and outcome.social is not None
    np.testing.assert_allclose(outcome.own.returns.sum(axis=1), outcome.money, rtol=1e-9)
    steps = outcome.own.steps
    assert outcome.social.efficiency == pytest.approx(float((outcome.money / steps).mean()))
    assert outcome.social.gini == pytest.approx(0.0, abs=1e-12)
