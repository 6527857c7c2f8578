"""Charters: the governed parameters of a domain, and the values a DAO has given them."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting

from daogym.envs.core.strict import ConfigError, StrictModel


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
    """

    name: str
    unit: str
    low: float
    high: float
    initial: float
    effect: Literal["clip", "revert", "cost"]
    doc: str


class Charter(StrictModel):
    """Values of governed parameters; what is not named keeps the domain's initial value."""

    name: str = "static"
    mode: Literal["static"] = "static"
    parameters: Mapping[str, float] = Setting(default_factory=dict)

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
