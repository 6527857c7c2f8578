"""The score, its anchors, its uncertainty, and whether a scenario is worth a score at all.

J is the money of an episode (EUR, higher is better). ``score = 100 sum(J - J_rule) /
sum(J_bound - J_rule)``, sums over the episodes of a split: 0 is the best rule chosen on the
validation split, 100 a proven upper bound. A ratio of sums, since a ratio per episode explodes on
days with nothing to gain.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .statistics import Comparison as Comparison
from .statistics import FloatArray, Groups, Result, checked_values
from .statistics import Interval as Interval
from .statistics import ScoreError as ScoreError
from .statistics import bootstrap_interval as bootstrap_interval
from .statistics import iqm as iqm
from .statistics import paired_bootstrap as paired_bootstrap
from .statistics import probability_of_improvement as probability_of_improvement
from .statistics import stratified_interval as stratified_interval

BOUND_TOLERANCE = 1e-6
SMALLEST_GAP_SHARE = 0.05
LARGEST_TRIVIAL_SHARE = 0.70


class BoundViolationError(ScoreError):
    """An episode earned more than its proven bound: the bound or the simulator is wrong.

    Attributes:
        episode: index along the last axis; ``money`` and ``bound`` are its two values (EUR).
    """

    def __init__(self, episode: int, money: float, bound: float, what: str) -> None:
        super().__init__(episode, money, bound, what)
        self.episode = episode
        self.money = money
        self.bound = bound
        self.what = what

    def __str__(self) -> str:
        return (
            f"episode {self.episode}: {self.what} {self.money!r} is above the bound "
            f"{self.bound!r} by {self.money - self.bound:.3g}"
        )


@dataclass(frozen=True)
class Anchors(Result):
    """The rule that is score 0, chosen once on the validation split, and the means behind it."""

    rule: str
    validation_means: dict[str, float]
    scenario_hash: str

    def rule_returns(self, returns: Mapping[str, npt.ArrayLike]) -> FloatArray:
        """J of the frozen rule on another split.

        Raises:
            ScoreError: the rule is not among ``returns``.
        """
        if self.rule not in returns:
            there = ", ".join(returns) or "none"
            raise ScoreError(f"the score's rule is {self.rule!r}; there are returns of: {there}")
        return np.asarray(returns[self.rule], dtype=np.float64)

    @classmethod
    def from_json(cls, text: str) -> Anchors:
        """Read what `to_json` wrote."""
        data = json.loads(text)
        return cls(data["rule"], dict(data["validation_means"]), data["scenario_hash"])


@dataclass(frozen=True)
class ScenarioQuality(Result):
    """Whether a scenario can teach anything.

    Attributes:
        gap_share: sum(J_bound - J_rule) / abs(sum(J_noop)), at least 0.05 is wanted.
        trivial_share: the best open-loop controller's gain over the policy's, at most 0.70 is
            wanted; inf where the policy gains nothing.
        trivial_controller: which constant action or fixed schedule that is.
        is_publishable: both hold.
    """

    gap_share: float
    trivial_share: float
    trivial_controller: str
    is_publishable: bool


def score(
    money: npt.ArrayLike,
    rule: npt.ArrayLike,
    bound: npt.ArrayLike,
    *,
    tolerance: float = BOUND_TOLERANCE,
) -> float:
    """100 sum(J - J_rule) / sum(J_bound - J_rule).

    Args:
        money: J, (episodes,) or (seeds, episodes), EUR.
        rule, bound: (episodes,), or the shape of ``money``.
        tolerance: by how much J may pass the bound, relative to max(1, abs(bound)).

    Raises:
        BoundViolationError: an episode of ``money`` or ``rule`` is above the bound.
        ScoreError: shapes do not fit, a value is not finite, or there is nothing to gain.
    """
    gained, gap = _gains(money, rule, bound, tolerance)
    return 100.0 * float(gained.sum()) / float(gap.sum())


def score_interval(
    money: npt.ArrayLike,
    rule: npt.ArrayLike,
    bound: npt.ArrayLike,
    groups: Groups,
    *,
    tolerance: float = BOUND_TOLERANCE,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """`score` with its bootstrap interval over ``groups`` (see `bootstrap_interval`)."""
    gained, gap = _gains(money, rule, bound, tolerance)
    return bootstrap_interval(
        100.0 * gained, groups, gap, confidence=confidence, resamples=resamples, seed=seed
    )


def _gains(
    money: npt.ArrayLike, rule: npt.ArrayLike, bound: npt.ArrayLike, tolerance: float
) -> tuple[FloatArray, FloatArray]:
    """(J - J_rule, J_bound - J_rule), checked, both of the shape of J."""
    earned = checked_values(money, "J")
    anchors = []
    for name, values in (("J_rule", rule), ("J_bound", bound)):
        array = checked_values(values, name)
        if array.shape not in (earned.shape, earned.shape[-1:]):
            raise ScoreError(f"{name} has shape {array.shape}, J has {earned.shape}")
        anchors.append(np.broadcast_to(array, earned.shape))
    ruled, most = anchors
    for name, values in (("J", earned), ("J_rule", ruled)):
        over = values - most > tolerance * np.maximum(1.0, np.abs(most))
        if over.any():
            place = tuple(int(i) for i in np.argwhere(over)[0])
            raise BoundViolationError(place[-1], float(values[place]), float(most[place]), name)
    gap = most - ruled
    if not gap.sum() > 0.0:
        raise ScoreError(
            f"nothing to gain: sum(J_bound - J_rule) = {gap.sum():.6g}, above 0 is expected"
        )
    return earned - ruled, gap


def choose_anchors(returns: Mapping[str, npt.ArrayLike], scenario_hash: str) -> Anchors:
    """Freeze the best rule by its mean J on the validation split; of equals the first by name.

    Args:
        returns: each rule's J on the same validation episodes, (episodes,).
        scenario_hash: of the scenario that they were played on.

    Raises:
        ScoreError: no rule, or rules with different numbers of episodes.
    """
    if not returns:
        raise ScoreError("no rule to choose from")
    arrays = {name: checked_values(values, name) for name, values in sorted(returns.items())}
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) > 1:
        raise ScoreError(f"rules must play the same episodes, got {shapes}")
    means = {name: float(array.mean()) for name, array in arrays.items()}
    best = max(means, key=lambda name: means[name])
    return Anchors(best, means, scenario_hash)


def gap_share(rule: npt.ArrayLike, bound: npt.ArrayLike, noop: npt.ArrayLike) -> float:
    """sum(J_bound - J_rule) / abs(sum(J_noop)) over the same episodes."""
    ruled, most, nothing = (
        checked_values(rule, "J_rule"),
        checked_values(bound, "J_bound"),
        checked_values(noop, "noop"),
    )
    if not ruled.shape == most.shape == nothing.shape:
        raise ScoreError(
            f"the same episodes are expected, got {ruled.shape}, {most.shape}, {nothing.shape}"
        )
    size = abs(float(nothing.sum()))
    return math.inf if size == 0.0 else float((most - ruled).sum()) / size


def trivial_share(trivial: npt.ArrayLike, policy: npt.ArrayLike, baseline: npt.ArrayLike) -> float:
    """A trivial controller's gain over the policy's gain, both above the same ``baseline``.

    inf if the policy gains nothing: then nothing is shown to be worth learning.
    """
    start = checked_values(baseline, "baseline").mean()
    gained = float(checked_values(policy, "policy").mean() - start)
    by_trivial = float(checked_values(trivial, "trivial").mean() - start)
    return by_trivial / gained if gained > 0.0 else math.inf


def scenario_quality(
    rule: npt.ArrayLike,
    bound: npt.ArrayLike,
    noop: npt.ArrayLike,
    policy: npt.ArrayLike,
    trivial: Mapping[str, npt.ArrayLike],
) -> ScenarioQuality:
    """Judge a scenario by the J of its controllers on one split, (episodes,) each.

    ``trivial``: the best constant action and the best fixed schedules, searched on the training
    split; gains are counted from the no-op.
    """
    if not trivial:
        raise ScoreError("no trivial controller: the best constant action is expected at least")
    shares = {name: trivial_share(values, policy, noop) for name, values in trivial.items()}
    hardest = max(sorted(shares), key=lambda name: shares[name])
    gap = gap_share(rule, bound, noop)
    publishable = gap >= SMALLEST_GAP_SHARE and shares[hardest] <= LARGEST_TRIVIAL_SHARE
    return ScenarioQuality(gap, shares[hardest], hardest, publishable)
