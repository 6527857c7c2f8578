"""The controllers of the compute market by name."""

from __future__ import annotations

from collections.abc import Callable

from .rules import Controller, Discipline, Market
from .scenario import ComputeScenario

_DISCIPLINES = {
    "fifo": ("fifo", "first_fit"),
    "sjf_predicted": ("shortest_predicted", "best_fit"),
    "sjf_oracle": ("shortest_oracle", "best_fit"),
    "best_fit": ("fifo", "best_fit"),
    "tetris": ("tetris", "dot_product"),
    "drf": ("drf", "best_fit"),
}
_MAKERS: dict[str, Callable[[ComputeScenario], Controller]] = {
    "market": lambda scenario: Market(),
}
TRIVIAL_NAMES: tuple[str, ...] = ()
# Knows durations, which no operator does, so it is no candidate for score 0.
_WITH_FORESIGHT = ("sjf_oracle",)
CONTROLLER_NAMES = (*_DISCIPLINES, *_MAKERS)
RULE_NAMES = tuple(name for name in CONTROLLER_NAMES if name not in _WITH_FORESIGHT)


def make_controller(name: str, scenario: ComputeScenario) -> Controller:
    """A controller by name.

    Raises:
        ValueError: no controller has this name.
    """
    if name in _DISCIPLINES:
        return Discipline(name, *_DISCIPLINES[name])
    if name not in _MAKERS:
        raise ValueError(f"controller: one of {', '.join(CONTROLLER_NAMES)} expected, got {name!r}")
    return _MAKERS[name](scenario)


def make_teacher(scenario: ComputeScenario) -> Controller:
    """The controller that a policy may imitate before it learns."""
    return Market()
