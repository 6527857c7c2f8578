"""Charters: the governed parameters of a domain, the values a DAO has given them, and who may
change them how.

A `static` charter never changes. Under a `voted` one an electorate proposes and votes while the
agent works: the path of the rules is a function of the seed, whatever the agent does.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.strict import ConfigError, StrictModel

from .electorate import NAMED, ElectorateSettings


@dataclass(frozen=True)
class GovernedParameter:
    """A number that the charter sets and the gate enforces.

    Attributes:
        name: snake_case with its unit.
        unit: unit as text.
        low, high: bounds that no charter may leave.
        initial: value where a charter is silent.
        effect: "clip" cuts the request, "revert" refuses it, "cost" only reports.
        doc: meaning in one line.
        largest_change: how far one proposal may move it.
        least_interval_days: how long after a change it stays.
        decides: what an operator does differently when it changes; "" where it only moves money
            between members (distributional).
    """

    name: str
    unit: str
    low: float
    high: float
    initial: float
    effect: Literal["clip", "revert", "cost", "price"]
    doc: str
    largest_change: float = 0.0
    least_interval_days: float = 1.0
    decides: str = ""


class GovernorSettings(StrictModel):
    """An OpenZeppelin Governor with a timelock; its time is counted in steps of the simulation."""

    voting_delay_steps: int = Setting(8, ge=1, le=10_000)
    """From a proposal to the snapshot whose votes count."""
    voting_period_steps: int = Setting(96, ge=1, le=10_000)
    timelock_steps: int = Setting(48, ge=0, le=10_000)
    """From a vote's success to the earliest execution."""
    quorum_percent: int = Setting(2, ge=0, le=100)
    """Share of the supply that must vote For or Abstain."""
    proposal_threshold_ppm: int = Setting(100, ge=0, le=1_000_000)
    """Votes needed to propose, millionths of the supply."""
    late_quorum_extension_steps: int = Setting(0, ge=0, le=10_000)
    """How long voting stays open after quorum was reached."""

    @property
    def cycle_steps(self) -> int:
        """From a proposal to its execution."""
        return self.voting_delay_steps + self.voting_period_steps + self.timelock_steps

    @model_validator(mode="after")
    def _extension_within_the_period(self) -> GovernorSettings:
        if self.late_quorum_extension_steps > self.voting_period_steps:
            raise ValueError(
                f"late_quorum_extension_steps: at most voting_period_steps = "
                f"{self.voting_period_steps} expected, got {self.late_quorum_extension_steps}"
            )
        return self


class Charter(StrictModel):
    """Values of governed parameters; what is not named keeps the domain's initial value."""

    name: str = "static"
    mode: Literal["static", "voted"] = "static"
    parameters: Mapping[str, float] = Setting(default_factory=dict)
    """Values at the start; under a voted charter, before the first proposals."""
    governor: GovernorSettings = GovernorSettings()
    electorate: str | ElectorateSettings = "calibrated"
    """A named electorate (`calibrated`, `contested`) or its settings."""
    proposals_per_day: float = Setting(1.0, ge=0.0, le=96.0)
    """Mean number of proposals that members make on their own (Poisson)."""

    @model_validator(mode="after")
    def _known_electorate(self) -> Charter:
        if isinstance(self.electorate, str) and self.electorate not in NAMED:
            raise ValueError(
                f"electorate: one of {', '.join(NAMED)} or a mapping of settings expected, got "
                f"{self.electorate!r}"
            )
        return self

    @property
    def electorate_settings(self) -> ElectorateSettings:
        """The settings behind `electorate`, its arrivals left as they are."""
        return NAMED[self.electorate] if isinstance(self.electorate, str) else self.electorate

    def values(self, governed: Sequence[GovernedParameter]) -> NDArray[np.float64]:
        """Value of each governed parameter, in the domain's order.

        Raises:
            ConfigError: an unknown parameter, or a value outside its bounds.
        """
        by_name = {p.name: p for p in governed}
        for name, value in self.parameters.items():
            where = f"charter {self.name!r}"
            if name not in by_name:
                near = difflib.get_close_matches(name, by_name, 1, 0.0)
                raise ConfigError(
                    where, f"parameters.{name}",
                    f"no governed parameter has this name; did you mean {near[0]!r}? "
                    f"There are {', '.join(by_name)}",
                )  # fmt: skip
            bound = by_name[name]
            if not bound.low <= value <= bound.high:
                raise ConfigError(
                    where, f"parameters.{name}",
                    f"{value} was given, {bound.low} to {bound.high} {bound.unit} is allowed",
                )  # fmt: skip
        return np.array([self.parameters.get(p.name, p.initial) for p in governed])
