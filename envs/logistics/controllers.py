"""The controllers of a supply network by name: what there is depends on the scenario."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np

from daogym.envs.core.layout import Float
from daogym.envs.core.strict import hash_model

from .anticipate import (
    Anticipating,
    BuyingAhead,
    BuyingOnCuts,
    ZeroAnticipating,
    weights_of,
)
from .optimal import Optimal, is_solvable
from .planner import RollingPlan
from .policies import CappedBaseStock, CappedDualIndex, MinMax, Sterman, TailoredBaseSurge
from .rules import BaseStock, Controller
from .scenario import ActionMode, LogisticsScenario
from .search import best_of_grid
from .trivial import Constant, Schedule, constant_parameters, schedule_parameters

TRIVIAL_NAMES = (Constant.name, Schedule.name)


def _grid(*axes: tuple[float, ...]) -> Float:
    return np.array(list(itertools.product(*axes)))


_LEVELS = (0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.35)
_SEARCHED: dict[str, tuple[Callable[[Float], Controller], Float]] = {
    Anticipating.name: (
        Anticipating,
        _grid((-0.15, -0.1, -0.05, 0.0), (0.5, 0.75, 1.0), (0.3, 0.5, 0.7), (0.0, 0.2, 0.4)),
    ),
    MinMax.name: (MinMax, _grid(_LEVELS, (0.02, 0.05, 0.1, 0.2))),
    CappedBaseStock.name: (CappedBaseStock, _grid(_LEVELS, (1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 4.0))),
    Sterman.name: (Sterman, _grid((0.15, 0.26, 0.5, 1.0), (0.0, 0.34, 0.7, 1.0),
                                  (0.6, 0.8, 1.0, 1.3))),
    CappedDualIndex.name: (
        CappedDualIndex,
        _grid(tuple(range(2, 9)), tuple(range(6, 21)), (1.0, 2.0, 3.0, 4.0)),
    ),
    TailoredBaseSurge.name: (TailoredBaseSurge, _grid((0.0, 1.0, 2.0), tuple(range(1, 10)))),
}  # fmt: skip


def _is_dual(scenario: LogisticsScenario) -> bool:
    return is_solvable(scenario) and len(scenario.modes) == 2


def _moves(scenario: LogisticsScenario) -> bool:
    """Whether anything of demand is known ahead."""
    return scenario.demand.promotion_probability > 0.0 or any(
        good.season_share > 0.0 for good in scenario.goods
    )


def rule_names(scenario: LogisticsScenario) -> tuple[str, ...]:
    """The rules: candidates for score 0."""
    names = [BaseStock.name, MinMax.name, CappedBaseStock.name, Sterman.name]
    if _is_dual(scenario):
        names = [BaseStock.name, CappedDualIndex.name, TailoredBaseSurge.name]
    if _moves(scenario):
        names.append(Anticipating.name)
        if scenario.charter.votes:
            names += [BuyingOnCuts.name, BuyingAhead.name]
    return tuple(names)


def controller_names(scenario: LogisticsScenario) -> tuple[str, ...]:
    """Every controller."""
    names = [*rule_names(scenario), *TRIVIAL_NAMES]
    if is_solvable(scenario):
        names.append(Optimal.name)
    else:
        names.append("rolling_plan")
    return tuple(names)


def make_controller(name: str, scenario: LogisticsScenario) -> Controller:
    """A controller by name; the searched ones search on first use (see search.py).

    Raises:
        ValueError: the scenario has no controller of this name.
    """
    known = controller_names(scenario)
    if name not in known:
        raise ValueError(f"controller: one of {', '.join(known)} expected, got {name!r}")
    if name == BaseStock.name:
        return BaseStock()
    if name == Optimal.name:
        return Optimal(scenario)
    if name == "rolling_plan":
        return RollingPlan()
    if name == Constant.name:
        return Constant(_searched(name, scenario, constant_parameters))
    if name == Schedule.name:
        return Schedule(_searched(name, scenario, schedule_parameters))
    own = scenario.actions.anticipation
    if name == Anticipating.name and own is not None:
        return ZeroAnticipating()
    # Both move the levels as the anticipating rule does, and search no more than it.
    buying = {kind.name: kind for kind in (BuyingOnCuts, BuyingAhead)}
    if name in buying:
        if own is not None:
            return buying[name](weights_of(own))
        return buying[name](make_controller(Anticipating.name, scenario).parameters)  # type: ignore[attr-defined]
    make, candidates = _SEARCHED[name]

    def search(scenario: LogisticsScenario) -> tuple[float, ...]:
        return tuple(best_of_grid(make, candidates, scenario).tolist())

    return make(_searched(name, scenario, search))


def make_teacher(scenario: LogisticsScenario, action_mode: ActionMode) -> Controller:
    """The anticipating rule, in the mode "base_stock" where that is asked for.

    Raises:
        ValueError: nothing of this scenario's demand is known ahead.
    """
    own = scenario.actions.anticipation
    if action_mode == "base_stock" and own is not None:
        return Anticipating(weights_of(own))
    return make_controller(Anticipating.name, scenario)


_FOUND: dict[tuple[str, str], tuple[float, ...]] = {}


def _searched(
    name: str, scenario: LogisticsScenario,
    search: Callable[[LogisticsScenario], tuple[float, ...]],
) -> Float:  # fmt: skip
    """What a search finds, looked for once in a process."""
    place = (hash_model(scenario), name)
    if place not in _FOUND:
        _FOUND[place] = search(scenario)
    return np.array(_FOUND[place])
