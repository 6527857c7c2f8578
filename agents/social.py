"""Social metrics of agents: how much they earn together, how unequally, when, and who rules.

Efficiency, equality and sustainability are those of Perolat et al. 2017, "A multi-agent
reinforcement learning model of common-pool resource appropriation" (section 2.2), with two
changes for money, which may be negative: inequality is the Gini coefficient over the mean of the
absolute returns, and an agent that never earns anything has no time at which it earns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
CAPTURED = "captured_parameter_steps"
"""The event that counts steps of captured parameters; charters that are voted on report it."""


@dataclass(frozen=True)
class OwnReturns:
    """What each of A agents earned by itself in E episodes.

    Attributes:
        agents: names.
        returns: (E, A) money.
        earning_step: (E, A) mean number, from 1 on, of the steps in which it earned more than 0;
            NaN for one that never did.
        steps: (E,) length.
        parameters: that the charter's members vote on.
    """

    agents: tuple[str, ...]
    returns: Float
    earning_step: Float
    steps: Float
    parameters: int


@dataclass(frozen=True)
class SocialMetrics:
    """Means over episodes.

    Attributes:
        efficiency: money of all agents together, a step.
        gini: of the agents' returns, 0 (all the same) to 1, see `gini`.
        sustainability: mean step, from 1 on, of the agents' earnings; late where the common
            resource lasts, early where it is used up. None where nobody ever earned.
        capture: share of the charter's parameter-steps in which a captured value was in force;
            None under charters that nobody votes on.
    """

    efficiency: float
    gini: float
    sustainability: float | None
    capture: float | None

    def to_json(self) -> dict[str, float | None]:
        """Plain data."""
        return asdict(self)


class OwnReturnsRecorder:
    """Adds up the agents' own money while a view's simulator is played."""

    def __init__(self, view: Any) -> None:
        self.view = view
        shape = view.rewards.shape
        self._money, self._count, self._when = (np.zeros(shape) for _ in range(3))
        self._steps = np.zeros(shape[0])

    def add(self, running: NDArray[np.bool_]) -> None:
        """The step that was just made, in the environments (N,) whose episode it belonged to."""
        self._steps += running
        money = np.where(running[:, None], self.view.rewards, 0.0)
        earns = money > 0.0
        self._money += money
        self._count += earns
        self._when += earns * self._steps[:, None]

    def result(self) -> OwnReturns:
        """Of the episodes so far."""
        never = self._count == 0.0
        when = np.where(never, np.nan, self._when / np.where(never, 1.0, self._count))
        # A domain of one's own may have no charter.
        governance = getattr(self.view.simulator.domain, "governance", None)
        parameters = 0 if governance is None else int(governance.parameters)
        names = tuple(agent.name for agent in self.view.agents)
        return OwnReturns(names, self._money, when, self._steps, parameters)


def gini(returns: Float) -> Float:
    """(E,) Gini coefficient of each row of (E, A) returns.

    sum_ij |R_i - R_j| / (2 A sum_i |R_i|): the usual one where nobody loses money; at most 1 in any
    case, and 0 where nobody earns or loses any.
    """
    a = returns.shape[1]
    ordered = np.sort(returns, axis=1)
    weights = 2.0 * np.arange(1, a + 1) - a - 1.0
    whole = a * np.abs(returns).sum(axis=1)
    # Rounding must not make equal returns less than equal.
    return np.maximum((ordered @ weights) / np.where(whole > 0.0, whole, 1.0), 0.0)


def social_metrics(own: OwnReturns, events: Mapping[str, Float] | None = None) -> SocialMetrics:
    """Metrics of some episodes; `events` are sums of an episode, (E,), by name."""
    captured = (events or {}).get(CAPTURED)
    earning = ~np.isnan(own.earning_step)
    episodes = earning.any(axis=1)
    late = np.where(earning, own.earning_step, 0.0).sum(axis=1)[episodes]
    share = None
    if captured is not None and own.parameters > 0:
        share = float((captured / (own.parameters * own.steps)).mean())
    return SocialMetrics(
        efficiency=float((own.returns.sum(axis=1) / own.steps).mean()),
        gini=float(gini(own.returns).mean()),
        sustainability=(
            float((late / earning.sum(axis=1)[episodes]).mean()) if episodes.any() else None
        ),
        capture=share,
    )
