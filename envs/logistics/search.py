"""Search for parameters of simple controllers, by simulation on worlds of the train split.

A candidate plays the same few worlds as every other; all of them are lanes of one simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from daogym.envs.core.layout import Float
from daogym.envs.core.simulator import Simulator

from .domain import LogisticsDomain
from .rules import Controller
from .scenario import LogisticsScenario

SEARCH_SEED = 500_000
WORLDS = 8


def returns_of(
    make: Callable[[Float], Controller], candidates: Float, scenario: LogisticsScenario,
    worlds: int = WORLDS, seed: int = SEARCH_SEED, split: str = "train",
) -> Float:  # fmt: skip
    """(candidates,) mean USD of an episode of each row of `candidates`.

    Args:
        make: a controller from parameters (lanes, P), one row a lane.
    """
    rows = np.repeat(candidates, worlds, axis=0)
    player = make(rows)
    domain = LogisticsDomain(scenario, split=split, action_mode=player.action_mode)
    simulator = Simulator(domain, len(rows))
    simulator.reset(seed=np.tile(seed + np.arange(worlds), len(candidates)).tolist())
    player.reset(simulator)
    money = np.zeros(len(rows))
    for _ in range(simulator.horizon):
        simulator.step(player.act(simulator))
        money += simulator.rewards
    return np.asarray(money.reshape(len(candidates), worlds).mean(axis=1))


def best_of_grid(
    make: Callable[[Float], Controller], candidates: Float, scenario: LogisticsScenario
) -> Float:
    """The row of `candidates` with the highest mean return."""
    return np.asarray(candidates[int(np.argmax(returns_of(make, candidates, scenario)))])


def cross_entropy(
    make: Callable[[Float], Controller], start: Float, spread: Float, scenario: LogisticsScenario,
    generations: int = 10, population: int = 200, low: Float | float = -1.0,
    high: Float | float = 1.0, worlds: int = WORLDS, report: Callable[[Any], None] | None = None,
) -> Float:  # fmt: skip
    """Parameters found by the cross-entropy method (Rubinstein 1999) from `start` (P,).

    The start itself is a candidate of every generation, so the result is no worse on the worlds
    of the last one. Draws come from a fixed seed.
    """
    draw = np.random.default_rng(0)
    mean, deviation = start.copy(), np.broadcast_to(spread, start.shape).copy()
    best = start
    for generation in range(generations):
        drawn = mean + deviation * draw.standard_normal((population - 2, len(start)))
        candidates = np.clip(np.vstack([start, mean, drawn]), low, high)
        found = returns_of(make, candidates, scenario, worlds, SEARCH_SEED + 1000 * generation)
        order = np.argsort(-found)
        elite = candidates[order[: population // 8]]
        mean, deviation = elite.mean(axis=0), elite.std(axis=0) + 0.02
        best = candidates[order[0]]
        if report is not None:
            report((generation, float(found[0]), float(found[order[0]]), mean))
    last = np.vstack([start, mean, best])
    final = returns_of(make, last, scenario, 8 * worlds, SEARCH_SEED + 900_000)
    return np.asarray(last[int(np.argmax(final))])
