"""From outcomes to scored results, the same for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from daogym.envs.core.score import score, score_interval

from .evaluation import Outcome
from .social import SocialMetrics

INTERVENTIONS = "interventions"
SHED = "unserved_kwh"
"""The event that has a key of its own in the document."""


@dataclass(frozen=True)
class Result:
    """One row of a comparison, per day; money is negative where it is spent.

    `events` are those that the domain wants shown, by name; `social` is there where several agents
    acted.
    """

    target: str
    score: float | None
    score_ci: tuple[float, float] | None
    money_per_day: float
    costs: dict[str, float]
    interventions: float | None
    events: dict[str, float]
    us_per_decision: float | None
    social: SocialMetrics | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data under the keys of ``evaluate.py --json``."""
        return {
            "target": self.target,
            "score": self.score,
            "score_ci": None if self.score_ci is None else list(self.score_ci),
            "money_per_day": self.money_per_day,
            "costs": self.costs,
            "interventions": self.interventions,
            "shed_kwh": self.events.get(SHED),
            "events": self.events,
            "us_per_decision": self.us_per_decision,
            "social": None if self.social is None else self.social.to_json(),
        }


def score_of(outcome: Outcome, rule: Outcome, bound: Outcome) -> float | None:
    """100 sum(J - J_rule) / sum(J_bound - J_rule); none where the bound leaves nothing to gain."""
    if float(np.sum(bound.money - rule.money)) <= 0.0:
        return None
    return float(score(outcome.money, rule.money, bound.money))


def results(
    outcomes: Sequence[Outcome], rule: Outcome, bound: Outcome | None, shown: Sequence[str] = ()
) -> list[Result]:
    """Score every outcome against the same rule and bound; costs and events are per day.

    Args:
        shown: names of the events that a comparison of this domain shows.
    """
    return [_result(outcome, rule, bound, shown) for outcome in outcomes]


def _result(outcome: Outcome, rule: Outcome, bound: Outcome | None, shown: Sequence[str]) -> Result:
    points = interval = None
    if bound is not None:
        points = score_of(outcome, rule, bound)
        if points is not None:
            interval = _interval(outcome, rule, bound)
    events = outcome.events
    return Result(
        target=outcome.target,
        score=points,
        score_ci=interval,
        money_per_day=outcome.money_per_day,
        costs={name: outcome.per_day(sums) for name, sums in outcome.costs.items()},
        interventions=outcome.per_day(events[INTERVENTIONS]) if INTERVENTIONS in events else None,
        events={name: outcome.per_day(events[name]) for name in shown if name in events},
        us_per_decision=outcome.us_per_decision,
        social=outcome.social,
    )


def _interval(outcome: Outcome, rule: Outcome, bound: Outcome) -> tuple[float, float] | None:
    """95 % bootstrap interval over groups of episodes; none where there is but one group."""
    if len(np.unique(outcome.groups)) < 2:
        return None
    found = score_interval(outcome.money, rule.money, bound.money, outcome.groups)
    return found.low, found.high
