"""The controllers of the compute market by name."""

from __future__ import annotations

from collections.abc import Callable

from .mpc import LinearMpc
from .rules import (
    CollateralPI,
    CongestionPricing,
    Controller,
    CostPlus,
    Discipline,
    ForecastStandby,
)
from .scenario import ComputeScenario
from .trivial import TRIVIAL

_DISCIPLINES = {
    "fifo": ("fifo", "first_fit"),
    "sjf_predicted": ("shortest_predicted", "best_fit"),
    "sjf_oracle": ("shortest_oracle", "best_fit"),
    "best_fit": ("fifo", "best_fit"),
    "tetris": ("tetris", "dot_product"),
    "drf": ("drf", "best_fit"),
}
_MAKERS: dict[str, Callable[[ComputeScenario], Controller]] = {
    "congestion_pricing": lambda scenario: CongestionPricing(),
    "cost_plus": lambda scenario: CostPlus(),
    "forecast_standby": lambda scenario: ForecastStandby(),
    "pi_collateral": lambda scenario: CollateralPI(),
    "lp_mpc": lambda scenario: LinearMpc(),
}
_TRIVIAL = {kind.name: kind for kind in TRIVIAL}
TRIVIAL_NAMES = tuple(_TRIVIAL)
# One knows durations, which no operator does, one plans, the others cheat: no candidates for
# score 0.
_NO_RULES = ("sjf_oracle", "lp_mpc", *TRIVIAL_NAMES)
CONTROLLER_NAMES = (*_DISCIPLINES, *_MAKERS, *TRIVIAL_NAMES)
RULE_NAMES = tuple(name for name in CONTROLLER_NAMES if name not in _NO_RULES)


def make_controller(name: str, scenario: ComputeScenario) -> Controller:
    """A controller by name.

    Raises:
        ValueError: no controller has this name.
    """
    if name in _DISCIPLINES:
        return Discipline(name, *_DISCIPLINES[name])
    if name in _TRIVIAL:
        return _TRIVIAL[name]()
    if name not in _MAKERS:
        raise ValueError(f"controller: one of {', '.join(CONTROLLER_NAMES)} expected, got {name!r}")
    return _MAKERS[name](scenario)


def make_teacher(scenario: ComputeScenario) -> Controller:
    """The controller that a policy may imitate before it learns."""
    return CongestionPricing()
