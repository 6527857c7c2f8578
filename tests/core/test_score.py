"""The score by hand, its intervals against scipy.stats.bootstrap, and the worth of a scenario."""

from __future__ import annotations

import json
import math
import pickle

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from daogym.envs.core import score as scoring
from daogym.envs.core.score import BoundViolationError, ScoreError


def test_score_by_hand() -> None:
    rule, bound = [-10.0, -20.0, 5.0], [-8.0, -10.0, 5.0]
    assert scoring.score(rule, rule, bound) == 0.0
    assert scoring.score(bound, rule, bound) == 100.0
    assert scoring.score([-9.0, -15.0, 5.0], rule, bound) == pytest.approx(50.0)
    assert scoring.score([-16.0, -20.0, 5.0], rule, bound) == pytest.approx(-50.0)
    # two seeds: (0 + 6) of twice 12
    assert scoring.score([rule, [-9.0, -15.0, 5.0]], rule, bound) == pytest.approx(25.0)


@given(
    st.floats(-1e3, 1e3), st.floats(0.01, 100.0),
    st.lists(st.tuples(st.floats(-100, 100), st.floats(0.1, 50), st.floats(0, 1)), min_size=1),
)  # fmt: skip
def test_score_is_free_of_currency_and_fixed_costs(
    shift: float, scale: float, days: list[tuple[float, float, float]]
) -> None:
    rule, gap, part = (np.array(column) for column in zip(*days, strict=True))
    got = scoring.score(rule + part * gap, rule, rule + gap)
    assert -1e-9 <= got <= 100.0 + 1e-9
    moved = [scale * (x + shift) for x in (rule + part * gap, rule, rule + gap)]
    assert scoring.score(*moved) == pytest.approx(got, abs=1e-6)


def test_an_episode_above_its_bound_is_named() -> None:
    with pytest.raises(
        BoundViolationError, match=r"episode 1: J 3\.0 is above the bound 2\.0"
    ) as e:
        scoring.score([1.0, 3.0, 9.0], [0.0, 0.0, 0.0], [2.0, 2.0, 2.0])
    assert (e.value.episode, e.value.money, e.value.bound) == (1, 3.0, 2.0)
    assert str(pickle.loads(pickle.dumps(e.value))) == str(e.value)
    with pytest.raises(BoundViolationError, match="episode 2: J 9"):
        scoring.score([[1.0, 1.0, 1.0], [1.0, 1.0, 9.0]], [0.0] * 3, [2.0] * 3)
    with pytest.raises(BoundViolationError, match="episode 0: J_rule"):
        scoring.score([0.0, 0.0], [1.0, 0.0], [0.5, 2.0])


def test_tolerance_of_the_bound() -> None:
    assert scoring.score([1000.0 + 5e-4], [0.0], [1000.0]) > 100.0
    with pytest.raises(BoundViolationError):
        scoring.score([1000.0 + 5e-3], [0.0], [1000.0])
    assert scoring.score([1000.0 + 5e-3], [0.0], [1000.0], tolerance=1e-5) > 100.0


@pytest.mark.parametrize(
    ("money", "rule", "bound", "message"),
    [
        ([1.0], [1.0], [1.0], "nothing to gain: sum"),
        ([1.0, math.nan], [0.0, 0.0], [2.0, 2.0], "J: episode 1 is nan"),
        ([1.0, 1.0], [0.0, 0.0], [2.0, math.inf], "J_bound: episode 1 is inf"),
        ([1.0, 1.0], [0.0], [2.0, 2.0], r"J_rule has shape \(1,\), J has \(2,\)"),
        ([], [], [], "at least one episode"),
    ],
)
def test_no_score(money: list[float], rule: list[float], bound: list[float], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        scoring.score(money, rule, bound)


def test_interval_agrees_with_scipy() -> None:
    rng = np.random.default_rng(1)
    values = rng.gamma(2.0, 10.0, size=60)
    got = scoring.bootstrap_interval(values, np.arange(60), resamples=20_000)
    exact = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=rng
    ).confidence_interval
    width = exact.high - exact.low
    assert got.estimate == pytest.approx(values.mean())
    assert abs(got.low - exact.low) < 0.04 * width
    assert abs(got.high - exact.high) < 0.04 * width


def test_grouped_ratio_agrees_with_scipy() -> None:
    """Groups of unequal size: the same as scipy on pairs of group sums."""
    rng = np.random.default_rng(2)
    weeks = np.repeat(np.arange(25), rng.integers(1, 9, size=25))
    rule = rng.normal(0, 5, size=weeks.size)
    gap = rng.gamma(1.5, 4.0, size=weeks.size)
    money = rule + gap * rng.uniform(-0.5, 1.0, size=weeks.size)
    got = scoring.score_interval(money, rule, rule + gap, weeks, resamples=20_000)
    tops = np.array([(money - rule)[weeks == w].sum() for w in range(25)])
    bottoms = np.array([gap[weeks == w].sum() for w in range(25)])
    exact = scipy.stats.bootstrap(
        (tops, bottoms),
        lambda a, b, axis: 100.0 * a.sum(axis=axis) / b.sum(axis=axis),
        method="percentile", paired=True, n_resamples=20_000, rng=rng,
    ).confidence_interval  # fmt: skip
    width = exact.high - exact.low
    assert got.estimate == pytest.approx(scoring.score(money, rule, rule + gap))
    assert abs(got.low - exact.low) < 0.04 * width
    assert abs(got.high - exact.high) < 0.04 * width


def test_groups_widen_the_interval() -> None:
    """Seven equal days a week hold no more than one: the week is what is drawn."""
    per_week = np.random.default_rng(3).normal(size=12)
    days = np.repeat(per_week, 7)
    by_week = scoring.bootstrap_interval(days, np.repeat(np.arange(12), 7))
    once = scoring.bootstrap_interval(per_week, np.arange(12))
    by_day = scoring.bootstrap_interval(days, np.arange(84))
    assert (by_week.low, by_week.high) == pytest.approx((once.low, once.high))
    assert by_week.high - by_week.low > 2.0 * (by_day.high - by_day.low)


def test_two_factors_carry_both_spreads() -> None:
    """Value = week effect + seed effect: the spread is that of both means together."""
    rng = np.random.default_rng(4)
    week, seed = rng.normal(size=40), 2.0 * rng.normal(size=20)
    values = seed[:, None] + week[None, :]
    got = scoring.bootstrap_interval(
        values, (np.arange(40), np.arange(20)[:, None]), resamples=20_000
    )
    expected = 2 * 1.96 * math.sqrt(week.var() / 40 + seed.var() / 20)
    assert got.high - got.low == pytest.approx(expected, rel=0.06)


def test_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(5)
    hits = 0
    for i in range(300):
        values = np.repeat(rng.normal(3.0, 2.0, size=40), 2) + rng.normal(0, 0.5, size=80)
        interval = scoring.bootstrap_interval(
            values, np.repeat(np.arange(40), 2), resamples=500, seed=i
        )
        hits += interval.low <= 3.0 <= interval.high
    assert 0.90 <= hits / 300 <= 0.99


def test_same_seed_same_interval_and_no_global_state() -> None:
    values, groups = np.arange(30.0), np.arange(30) // 3
    np.random.seed(0)  # noqa: NPY002  # the global state is what is tested here
    before = np.random.get_state()[1].copy()  # type: ignore[index, union-attr]  # noqa: NPY002
    first = scoring.bootstrap_interval(values, groups, seed=7)
    assert first == scoring.bootstrap_interval(values, groups, seed=7)
    assert first != scoring.bootstrap_interval(values, groups, seed=8)
    scoring.stratified_interval(scoring.iqm, values, resamples=10)
    after = np.random.get_state()[1]  # type: ignore[index]  # noqa: NPY002
    np.testing.assert_array_equal(before, after)


def test_labels_may_be_text_and_their_order_is_free() -> None:
    values = np.arange(6.0)
    text = scoring.bootstrap_interval(values, ["w1", "w1", "w2", "w2", "w3", "w3"])
    assert text == scoring.bootstrap_interval(values, np.array([1, 1, 2, 2, 3, 3]))


@pytest.mark.parametrize(
    ("groups", "message"),
    [([0, 0, 0], "at least two groups"), ([0, 1], r"labels of shape \(2,\) do not fit")],
)
def test_bad_groups(groups: list[int], message: str) -> None:
    with pytest.raises(ScoreError, match=message):
        scoring.bootstrap_interval([1.0, 2.0, 3.0], groups)


def test_paired_bootstrap() -> None:
    """A small steady advantage shows although the episodes differ wildly."""
    rng = np.random.default_rng(6)
    b = rng.normal(0, 100, size=60)
    weeks = np.arange(60) // 3
    better = scoring.paired_bootstrap(b + rng.normal(1.0, 0.5, size=60), b, weeks)
    assert better.is_above and better.difference.estimate == pytest.approx(1.0, abs=0.3)
    unclear = scoring.paired_bootstrap(b + rng.normal(0.0, 0.5, size=60), b, weeks)
    assert not unclear.is_above
    assert not scoring.paired_bootstrap(b, b, weeks).is_above
    seeds = b + np.array([[0.9], [1.1], [1.3]])
    several = scoring.paired_bootstrap(seeds, b, (weeks, np.arange(3)[:, None]))
    assert several.is_above and several.difference.estimate == pytest.approx(1.1)
    assert json.loads(several.to_json())["is_above"] is True
    with pytest.raises(ScoreError, match="same episodes, got 60 and 59"):
        scoring.paired_bootstrap(b, b[:-1], weeks)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_iqm_is_scipys_trimmed_mean(values: list[float]) -> None:
    assert scoring.iqm(values) == pytest.approx(
        scipy.stats.trim_mean(values, 0.25), rel=1e-9, abs=1e-6
    )


def test_iqm_of_runs_and_tasks_together() -> None:
    assert scoring.iqm([[1.0, 100.0], [2.0, 3.0]]) == pytest.approx(2.5)


def test_probability_of_improvement_is_mann_whitney() -> None:
    rng = np.random.default_rng(7)
    a, b = rng.integers(0, 10, size=(12, 3)), rng.integers(0, 9, size=(9, 3))
    expected = np.mean(
        [scipy.stats.mannwhitneyu(a[:, t], b[:, t]).statistic / (12 * 9) for t in range(3)]
    )
    got = scoring.probability_of_improvement(a, b)
    assert got == pytest.approx(expected)
    assert got + scoring.probability_of_improvement(b, a) == pytest.approx(1.0)
    assert scoring.probability_of_improvement([1.0, 1.0], [1.0]) == 0.5
    assert scoring.probability_of_improvement([2.0, 3.0], [1.0]) == 1.0


def test_stratified_interval_against_scipy() -> None:
    rng = np.random.default_rng(8)
    runs = rng.normal(size=30)
    got = scoring.stratified_interval(scoring.iqm, runs, resamples=4000)
    exact = scipy.stats.bootstrap(
        (runs,), lambda x: scipy.stats.trim_mean(x, 0.25), vectorized=False,
        method="percentile", n_resamples=4000, rng=rng,
    ).confidence_interval  # fmt: skip
    width = exact.high - exact.low
    assert abs(got.low - exact.low) < 0.1 * width and abs(got.high - exact.high) < 0.1 * width
    # tasks are never drawn: tasks that differ, but whose runs agree, have no spread
    fixed = scoring.stratified_interval(scoring.iqm, np.tile([1.0, 50.0, 2.0], (5, 1)))
    assert fixed.low == fixed.high == fixed.estimate


def test_anchors_are_chosen_once_and_kept() -> None:
    validation = {"price": [3.0, -1.0], "idle": [-9.0, -9.0], "volt_var": [1.0, 1.0]}
    anchors = scoring.choose_anchors(validation, "abc")
    # price and volt_var are equal: the first by name
    assert anchors.rule == "price"
    assert anchors.validation_means == {"idle": -9.0, "price": 1.0, "volt_var": 1.0}
    again = scoring.Anchors.from_json(anchors.to_json())
    assert again == anchors
    # on the test split another rule is better; the frozen one stays
    test = {"price": [0.0], "idle": [5.0]}
    np.testing.assert_array_equal(again.rule_returns(test), [0.0])
    with pytest.raises(ScoreError, match="rule is 'price'; there are returns of: idle"):
        anchors.rule_returns({"idle": [5.0]})


def test_anchors_need_the_same_episodes() -> None:
    with pytest.raises(ScoreError, match="same episodes"):
        scoring.choose_anchors({"a": [1.0], "b": [1.0, 2.0]}, "abc")
    with pytest.raises(ScoreError, match="no rule"):
        scoring.choose_anchors({}, "abc")


def test_scenario_quality_by_hand() -> None:
    noop, rule, bound = [-40.0, -40.0], [-15.0, -11.0], [-1.0, 1.0]
    policy = [-5.0, -3.0]
    good = scoring.scenario_quality(
        rule, bound, noop, policy, {"schedule": [-20.0, -20.0], "constant": [-30.0, -38.0]}
    )
    assert good.gap_share == pytest.approx(26.0 / 80.0)
    assert good.trivial_share == pytest.approx(20.0 / 36.0)
    assert good.trivial_controller == "schedule"
    assert good.is_publishable
    easy = scoring.scenario_quality(rule, bound, noop, policy, {"schedule": [-14.0, -14.0]})
    assert easy.trivial_share == pytest.approx(26.0 / 36.0) and not easy.is_publishable
    flat = scoring.scenario_quality(
        rule, [-13.1, -10.0], noop, policy, {"constant": [-38.0, -38.0]}
    )
    assert flat.gap_share == pytest.approx(2.9 / 80.0) and not flat.is_publishable


def test_a_policy_that_gains_nothing_shows_nothing() -> None:
    result = scoring.scenario_quality([-1.0], [0.0], [-4.0], [-5.0], {"constant": [-6.0]})
    assert result.trivial_share == math.inf and not result.is_publishable
    assert json.loads(result.to_json())["trivial_share"] is None
