"""Searched controllers: thresholds of the price rule, exchange targets, open-loop set-points.

Each is found once on the train split, all candidates side by side in one simulator, from a fixed
seed, and kept on disk under the scenario's hash and that of the sources.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import cache_root, source_hash
from daogym.envs.core.layout import Float

from .lanes import Actions
from .layout import QUARTERS_PER_DAY
from .request import A_EV_RATE, A_EXCHANGE, A_EXPORT_CAP
from .rules import ActionMode, Controller, PriceThreshold, play
from .scenario import GOVERNED_PARAMETERS, MARKET_FROM

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

    from .scenario import EnergyScenario

SEARCH_SEED = 7_000_000
# Lanes stepped together: enough to fill the kernel's tiles, few enough to stay in memory.
_LANES = 4096
THRESHOLD_DAYS = 48
CANDIDATES = 2000
GENERATION = 200
ELITE = 20
SEARCH_DAYS = 24
HOURS = 24
# A scheduled target: hourly exchange targets, then the export cap and the rate of charging cars.
SCHEDULE_SIZE = HOURS + 2


_Searched: TypeAlias = "ConstantTarget | ScheduledTarget | Schedule | PriceThreshold"


class ConstantTarget(Controller):
    """The same fleet action in every step; the fleet's tracking of its target makes it a rule."""

    name = "constant_target"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, : A_EV_RATE + 1] = self.parameters
        return actions


class ScheduledTarget(Controller):
    """A fixed day of exchange targets, one an hour, with one export cap and one rate for cars.

    Args:
        parameters: (26,) normalised actions, or (N, 26) for a search.
    """

    name = "scheduled_target"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        table = np.broadcast_to(self.parameters, (simulator.num_envs, SCHEDULE_SIZE))
        actions[:, A_EXCHANGE] = table[np.arange(len(table)), _hour(simulator)]
        actions[:, A_EXPORT_CAP] = table[:, HOURS]
        actions[:, A_EV_RATE] = table[:, HOURS + 1]
        return actions


class Schedule(Controller):
    """Open loop: a fixed day of set-points that nothing measured or published changes.

    Args:
        parameters: (27,) normalised set-points: of all batteries in each hour, then how much PV
            is used, its reactive power, and the rate of charging cars; or (N, 27) for a search.
    """

    name = "best_schedule"
    action_mode: ActionMode = "device"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        feeder = simulator.domain.feeder  # type: ignore[attr-defined]
        sizes = len(feeder.battery_bus), *[len(feeder.pv_bus)] * 2, len(feeder.ev_bus)
        ends = np.cumsum(sizes).tolist()
        table = np.broadcast_to(self.parameters, (simulator.num_envs, HOURS + 3))
        actions[:, : ends[0]] = table[np.arange(len(table)), _hour(simulator)][:, None]
        for k in range(3):
            actions[:, ends[k] : ends[k + 1]] = table[:, HOURS + k][:, None]
        return actions


class Constant(Schedule):
    """Open loop: the same set-points in every step.

    Args:
        parameters: (4,) as those of `Schedule`, with one set-point of all batteries; or (N, 4).
    """

    name = "best_constant"

    def __init__(self, parameters: Float) -> None:
        one = np.asarray(parameters, dtype=np.float64)
        super().__init__(np.concatenate([np.repeat(one[..., :1], HOURS, -1), one[..., 1:]], -1))


def _hour(simulator: Simulator) -> NDArray[np.int64]:
    quarter = simulator.state("step") // simulator.scenario.substeps
    return np.asarray(quarter % QUARTERS_PER_DAY // 4)


def threshold_parameters(scenario: EnergyScenario) -> Float:
    """Parameters of `PriceThreshold` with the highest mean money on train days, (5,)."""

    def search() -> Float:
        grid = itertools.product(
            (0.0, 0.1, 0.2), (0.75, 0.85, 0.95, 1.1), (0.2, 0.5), (0.2, 0.5, 0.9), (-1.0, 0.0)
        )
        candidates = np.array([p for p in grid if p[0] > 0.0 or p[2] == 0.2])
        money = mean_money(scenario, PriceThreshold, candidates, THRESHOLD_DAYS)
        return np.asarray(candidates[np.argmax(money)])

    return _kept(scenario, "price_threshold", search)


def constant_target_parameters(scenario: EnergyScenario) -> Float:
    """The best of 2,000 constant fleet actions (exchange, export cap, ev rate) on train, (3,)."""
    return _kept(
        scenario, ConstantTarget.name,
        lambda: _cross_entropy(scenario, ConstantTarget, np.zeros(3), 0.5),
    )  # fmt: skip


def scheduled_target_parameters(scenario: EnergyScenario) -> Float:
    """The best of 2,000 fixed days of targets on train, (26,), starting at the best constant."""

    def search() -> Float:
        exchange, cap, rate = constant_target_parameters(scenario).tolist()
        start = np.array([*[exchange] * HOURS, cap, rate])
        return _cross_entropy(scenario, ScheduledTarget, start, 0.2)

    return _kept(scenario, ScheduledTarget.name, search)


def constant_parameters(scenario: EnergyScenario) -> Float:
    """The best of 2,000 constant set-points on train, (4,)."""
    return _kept(
        scenario, Constant.name, lambda: _cross_entropy(scenario, Constant, np.zeros(4), 0.5)
    )


def schedule_parameters(scenario: EnergyScenario) -> Float:
    """The best of 2,000 fixed days of set-points on train, (27,).

    The search starts at what the batteries do on average under the best scheduled target.
    """

    def search() -> Float:
        cap_rate = scheduled_target_parameters(scenario)[-1:]
        start = np.concatenate([_mean_battery_shares(scenario), [0.0, 0.0], cap_rate])
        return _cross_entropy(scenario, Schedule, start, 0.2)

    return _kept(scenario, Schedule.name, search)


def _mean_battery_shares(scenario: EnergyScenario) -> Float:
    """Mean power of all batteries / their rating by hour, under the scheduled target, (24,)."""
    simulator = _search_days(scenario, "fleet", 1, SEARCH_DAYS)
    controller = ScheduledTarget(scheduled_target_parameters(scenario))
    rating = simulator.domain.feeder.battery_p_kw.sum()  # type: ignore[attr-defined]
    shares = np.zeros(HOURS)
    steps = np.zeros(HOURS)
    controller.reset(simulator)
    for _ in range(simulator.horizon):
        hour = int(_hour(simulator)[0])
        simulator.step(controller.act(simulator))
        shares[hour] += simulator.state("battery_kw").sum(axis=1).mean() / max(rating, 1e-9)
        steps[hour] += 1.0
    return shares / steps


def _search_days(
    scenario: EnergyScenario, action_mode: ActionMode, candidates: int, days: int
) -> Simulator:
    """The same `days` one-day train episodes for each candidate, candidate-major.

    A voted charter is searched under its initial values: a day is too short for a vote.
    """
    from daogym.envs.core.simulator import Simulator

    from .domain import EnergyDomain

    acting = {p.name for p in GOVERNED_PARAMETERS[:MARKET_FROM]}
    values = {name: v for name, v in scenario.charter.parameters.items() if name in acting}
    static = scenario.charter.model_copy(update={"mode": "static", "parameters": values})
    changes = {"episode_days": 1, "charter": static, "emergency_halt": None, "local_market": False}
    day = scenario.model_copy(update=changes)
    domain = EnergyDomain(day, split="train", action_mode=action_mode)
    simulator = Simulator(domain, candidates * days, threads=2, autoreset="disabled")
    simulator.reset(seed=np.tile(SEARCH_SEED + np.arange(days), candidates).tolist())
    return simulator


def mean_money(
    scenario: EnergyScenario, controller: type[_Searched], candidates: Float, days: int
) -> Float:
    """Mean EUR of each candidate over the same `days` one-day train episodes, (C,)."""
    chunk = max(1, _LANES // days)
    found = []
    for first in range(0, len(candidates), chunk):
        part = candidates[first : first + chunk]
        simulator = _search_days(scenario, controller.action_mode, len(part), days)
        money = play(controller(np.repeat(part, days, axis=0)), simulator)
        found.append(money.reshape(len(part), days).mean(axis=1))
    return np.concatenate(found)


def _cross_entropy(
    scenario: EnergyScenario, controller: type[_Searched], start: Float, first_deviation: float
) -> Float:
    """Cross-entropy method (Rubinstein 1999): sample, keep the best tenth, fit, sample again.

    The first candidate of each generation is the best so far; the best of all is returned.
    """
    generator = np.random.default_rng(SEARCH_SEED)
    mean, deviation = start.copy(), np.full(len(start), first_deviation)
    best, best_money = start, -np.inf
    for _ in range(CANDIDATES // GENERATION):
        noise = generator.standard_normal((GENERATION, len(start)))
        candidates = np.clip(mean + deviation * noise, -1.0, 1.0)
        candidates[0] = best
        money = mean_money(scenario, controller, candidates, SEARCH_DAYS)
        order = np.argsort(-money, kind="stable")
        if money[order[0]] > best_money:
            best, best_money = candidates[order[0]].copy(), float(money[order[0]])
        elite = candidates[order[:ELITE]]
        mean = elite.mean(axis=0)
        deviation = 0.8 * elite.std(axis=0) + 0.2 * deviation
    return best


def _kept(scenario: EnergyScenario, name: str, search: Callable[[], Float]) -> Float:
    """The result of a search, from disk if the same scenario and sources searched before."""
    from .domain import EnergyDomain

    file = _folder() / f"{EnergyDomain(scenario).scenario_hash}-{name}.json"
    try:
        return np.array(json.loads(file.read_text()), dtype=np.float64)
    except (OSError, ValueError):
        pass
    found = search()
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps(found.tolist()))
        draft.replace(file)
    except OSError:
        pass  # a cache folder that cannot be written: search again next time
    return found


def _folder() -> Path:
    return cache_root() / "searched" / source_hash()
