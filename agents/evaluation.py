"""The same episodes for everybody: running policies, controllers and the bound, and scoring them.

Episode ``i`` of an evaluation is the world of seed ``EPISODE_SEED + i`` in a split, whoever acts.
Everything here draws from those seeds alone: no global random state is read or written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from daogym.envs.core.compiled import source_hash
from daogym.envs.core.score import choose_anchors

from .results_cache import ResultsCache
from .social import OwnReturns, OwnReturnsRecorder, SocialMetrics, social_metrics

EPISODE_SEED = 1_000_000
Float = NDArray[np.float64]
MakeSimulator = Callable[..., Any]


@dataclass(frozen=True)
class EpisodeSet:
    """Which episodes are played.

    Attributes:
        scenario: a name, a path of a YAML file or a mapping of settings.
        split: part of the data that starts are drawn from.
        episodes: how many; all are stepped together.
        date: ISO date that every episode starts at, instead of a drawn one.
        chain_days: length of an episode in days, the state carried over, instead of the scenario's.
        seed: of the first episode.
    """

    scenario: str | Mapping[str, Any]
    split: str
    episodes: int
    date: str | None = None
    chain_days: int | None = None
    seed: int = EPISODE_SEED

    def simulator(
        self, make: MakeSimulator, action_mode: str | None, threads: int = 1, **options: Any
    ) -> Any:
        """A simulator with one lane an episode, reset to the start of them all."""
        options |= {"num_envs": self.episodes, "threads": threads}
        if action_mode is not None:
            options["action_mode"] = action_mode
        if self.chain_days is not None:
            options["chain_days"] = self.chain_days
        simulator = make(self.scenario, split=self.split, **options)
        self.begin(simulator)
        return simulator

    def begin(self, simulator: Any) -> None:
        """Reset a simulator of `simulator` to the start of the episodes."""
        options = None if self.date is None else {"date": self.date}
        simulator.reset(seed=self.seed, options=options)


@dataclass(frozen=True)
class Outcome:
    """What one target did on an `EpisodeSet` of E episodes.

    Attributes:
        target: who acted.
        money: (E,) EUR, sum of the rewards of each episode.
        days: (E,) length of each episode.
        groups: (E,) label of the group that an episode belongs to, resampled together.
        costs, terms, events: (E,) sums of each episode by name.
        us_per_decision: microseconds of wall time a decision of one lane, all lanes batched.
        own: what each agent earned by itself, where several acted; not kept by `to_json`.
    """

    target: str
    money: Float
    days: Float
    groups: NDArray[np.int64]
    costs: dict[str, Float] = field(default_factory=dict)
    terms: dict[str, Float] = field(default_factory=dict)
    events: dict[str, Float] = field(default_factory=dict)
    us_per_decision: float | None = None
    own: OwnReturns | None = None

    @property
    def social(self) -> SocialMetrics | None:
        """Social metrics of the agents, where several acted."""
        return None if self.own is None else social_metrics(self.own, self.events)

    @property
    def money_per_day(self) -> float:
        """Mean EUR per day; costs are negative."""
        return float(self.money.sum() / self.days.sum())

    @property
    def episode_costs(self) -> dict[str, float]:
        """Mean sum over an episode of each constraint cost."""
        return {name: float(sums.mean()) for name, sums in self.costs.items()}

    def per_day(self, sums: Float) -> float:
        """Mean per day of one of the sums."""
        return float(sums.sum() / self.days.sum())

    def to_json(self) -> dict[str, Any]:
        """Plain data; floats survive exactly."""
        groups = {
            name: {key: value.tolist() for key, value in getattr(self, name).items()}
            for name in ("costs", "terms", "events")
        }
        return {
            "target": self.target,
            "money": self.money.tolist(),
            "days": self.days.tolist(),
            "groups": self.groups.tolist(),
            "us_per_decision": self.us_per_decision,
            **groups,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """Inverse of `to_json`."""
        groups: Any = {
            name: {key: np.array(value) for key, value in data[name].items()}
            for name in ("costs", "terms", "events")
        }
        return cls(
            target=data["target"],
            money=np.array(data["money"]),
            days=np.array(data["days"]),
            groups=np.array(data["groups"], dtype=np.int64),
            us_per_decision=data["us_per_decision"],
            **groups,
        )


def episode_groups(simulator: Any) -> NDArray[np.int64]:
    """(N,) label of each episode's group, read right after a reset.

    Episodes out of one week share weather and prices; a domain that knows the week says so.
    """
    weeks = getattr(simulator.domain, "episode_weeks", None)
    if weeks is None:
        return np.arange(simulator.num_envs)
    return np.array(weeks(simulator), dtype=np.int64)


def step_days(simulator: Any) -> float:
    """Length of one step in days."""
    return float(simulator.scenario.step_minutes) / 1440.0


def play(controller: Any, simulator: Any, name: str | None = None) -> Outcome:
    """Let a controller act from the simulator's present start until every lane's episode ended.

    Where it acts for several agents (it has their `view`), their own returns are kept, too.
    """
    lanes = simulator.num_envs
    money, days = np.full(lanes, np.nan), np.zeros(lanes)
    groups = {
        "costs": np.zeros((lanes, len(simulator.cost_names))),
        "terms": np.zeros((lanes, len(simulator.term_names))),
        "events": np.zeros((lanes, len(simulator.event_names))),
    }
    labels = episode_groups(simulator)
    seconds, decisions = 0.0, 0
    controller.reset(simulator)
    view = getattr(controller, "view", None)
    recorder = None if view is None else OwnReturnsRecorder(view)
    running = np.ones(lanes, dtype=bool)
    for _ in range(simulator.horizon):
        start = time.perf_counter()
        actions = controller.act(simulator)
        seconds += time.perf_counter() - start
        decisions += lanes
        simulator.step(actions)
        if recorder is not None:
            recorder.add(running)
        ended = running & (simulator.terminated | simulator.truncated)
        if ended.any():
            money[ended] = simulator.episode_reward[ended]
            days[ended] = simulator.episode_length[ended] * step_days(simulator)
            for group, sums in groups.items():
                sums[ended] = getattr(simulator, f"episode_{group}")[ended]
            running &= ~ended
            if not running.any():
                break
    if running.any():
        raise RuntimeError(
            f"{int(running.sum())} of {lanes} episodes did not end within the horizon of "
            f"{simulator.horizon} steps"
        )
    return Outcome(
        target=name or str(controller.name),
        money=money,
        days=days,
        groups=labels,
        costs=_columns(simulator.cost_names, groups["costs"]),
        terms=_columns(simulator.term_names, groups["terms"]),
        events=_columns(simulator.event_names, groups["events"]),
        us_per_decision=1e6 * seconds / decisions,
        own=None if recorder is None else recorder.result(),
    )


def _columns(names: tuple[str, ...], sums: Float) -> dict[str, Float]:
    return {name: sums[:, i].copy() for i, name in enumerate(names)}


class Referee:
    """Plays targets on one `EpisodeSet` and keeps the expensive outcomes on disk.

    Outcomes of controllers and of the bound depend on nothing but the scenario, the sources, the
    episodes and the solver, which together are the key of the cache.
    """

    def __init__(
        self,
        episodes: EpisodeSet,
        make: MakeSimulator,
        threads: int = 1,
        cache: ResultsCache | None = None,
    ) -> None:
        self.episodes, self.make, self.threads = episodes, make, threads
        self.cache = cache if cache is not None else ResultsCache.default()
        self._simulators: dict[str | None, Any] = {}
        probe = self.simulator(None)
        self.scenario, self.scenario_hash = probe.scenario, probe.scenario_hash
        self.domain = probe.domain
        self.horizon = probe.horizon

    def simulator(self, action_mode: str | None) -> Any:
        """The simulator of an action mode, at the start of the episodes."""
        simulator = self._simulators.get(action_mode)
        if simulator is None:
            simulator = self.episodes.simulator(self.make, action_mode, self.threads)
            self._simulators[action_mode] = simulator
            self._simulators.setdefault(simulator.domain.action_mode, simulator)
        else:
            self.episodes.begin(simulator)
        return simulator

    @property
    def controller_names(self) -> tuple[str, ...]:
        """Every controller of the domain."""
        return tuple(self.domain.controller_names)

    def play(self, policy: Any, name: str | None = None) -> Outcome:
        """Outcome of a policy; never cached."""
        return play(policy, self.simulator(policy.action_mode), name)

    def play_controller(self, name: str) -> Outcome:
        """Outcome of a controller of the domain, from the cache if it is there."""
        if name not in self.controller_names:
            raise ValueError(
                f"no controller {name!r}; the domain has: {', '.join(self.controller_names)}"
            )

        def compute() -> dict[str, Any]:
            controller = self.domain.make_controller(name)
            return self.play(controller, name).to_json()

        return Outcome.from_json(self.cache.get(self._key(name), compute))

    def bound(self) -> Outcome:
        """The proven upper bound of each episode's money, from the cache if it is there."""

        def compute() -> dict[str, Any]:
            simulator = self.simulator(None)
            labels = episode_groups(simulator)
            money = np.asarray(self.domain.upper_bound(simulator), dtype=np.float64)
            days = np.full(money.shape, self.horizon * step_days(simulator))
            return Outcome("bound", money, days, labels).to_json()

        return Outcome.from_json(self.cache.get(self._key("bound"), compute))

    def best_rule(self, selection: Referee) -> Outcome:
        """The rule that earns most on ``selection``'s episodes, played on these."""
        earned = {name: selection.play_controller(name).money for name in self.domain.rule_names}
        return self.play_controller(choose_anchors(earned, self.scenario_hash).rule)

    def _key(self, target: str) -> dict[str, Any]:
        return {
            "target": target,
            "scenario": self.scenario_hash,
            "source": source_hash(),
            "scipy": scipy.__version__,
            "numpy": np.__version__,
            "split": self.episodes.split,
            "episodes": self.episodes.episodes,
            "seed": self.episodes.seed,
            "date": self.episodes.date,
            "chain_days": self.episodes.chain_days,
        }
