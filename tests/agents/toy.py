"""A toy world with the simulator's interface and an exactly known optimum.

One lossless store, one price a step from a fixed wave with a random phase; the load is constant.
Power limits and capacity are whole numbers, so dynamic programming over whole kWh is exact (the
problem is a network flow). `make_simulator` stands in for `daogym.make_simulator`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.strict import StrictModel

CAPACITY_KWH = 2
CHARGE_KW, DISCHARGE_KW = 2, 1
WEAR_EUR_PER_KWH = 0.02
PRICES_EUR_PER_KWH = np.array([0.3, 0.2, 0.1, 0.15, 0.5, 0.7, 0.4, 0.3, 0.6, 0.9, 1.0, 0.6])
LEADS = 4
HORIZON = 12


class ToyScenario(StrictModel):
    """Settings of the toy world."""

    name: str = "toy"
    load_kw: float = 1.0
    reward_scale: float = 2.0
    step_minutes: float = 60.0


def _hash(*words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """SplitMix64's finaliser over several words."""
    state = np.zeros_like(words[0])
    for word in words:
        state = state + word + np.uint64(0x9E3779B97F4A7C15)
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        state = state ^ (state >> np.uint64(31))
    return state


class ToySimulator:
    """Batched store arbitrage; see `daogym`'s simulator for the meaning of every attribute."""

    cost_names = ("overfill_kwh",)
    term_names = ("load", "trade", "wear")
    event_names = ("interventions", "unserved_kwh")

    def __init__(self, scenario: ToyScenario, num_envs: int, split: str, stagger: bool) -> None:
        self.scenario, self.num_envs, self.split = scenario, num_envs, split
        self.scenario_hash = f"toy-{scenario.load_kw}-{scenario.reward_scale}"
        self.horizon = HORIZON
        self.stagger = stagger
        self.domain = ToyDomain(scenario.reward_scale)
        self.autoreset = "same_step"
        self.action_size = 1
        self.observation_fields = FieldSet(
            [
                Field("soc_kwh", "kWh", 0.0, CAPACITY_KWH, doc="energy stored"),
                Field("steps_left", "1", 0.0, HORIZON, doc="steps to the end"),
                Field("price_eur_per_kwh", "EUR/kWh", 0.0, 1.25, (LEADS,), "price by lead"),
            ]
        )
        self.action_fields = FieldSet(
            [Field("power_kw", "kW", -DISCHARGE_KW, CHARGE_KW, doc="charging is positive")]
        )
        n = num_envs
        self.soc = np.zeros(n)
        self.phase = np.zeros(n, dtype=np.int64)
        self.time = np.zeros(n, dtype=np.int64)
        self.seeds = np.zeros(n, dtype=np.int64)
        self.episode = np.zeros(n, dtype=np.int64)
        self.sum_terms = np.zeros((n, 3))
        self.sum_costs = np.zeros((n, 1))
        self.sum_events = np.zeros((n, 2))
        self.steps = np.zeros(n, dtype=np.int64)
        self.observations = np.zeros((n, self.observation_fields.size), dtype=np.float32)
        self.final_observations = np.zeros_like(self.observations)
        self.rewards, self.baselines = np.zeros(n), np.zeros(n)
        self.costs, self.terms, self.events = np.zeros((n, 1)), np.zeros((n, 3)), np.zeros((n, 2))
        self.terminated, self.truncated = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        self.episode_reward = np.zeros(n)
        self.episode_terms, self.episode_costs = np.zeros((n, 3)), np.zeros((n, 1))
        self.episode_events, self.episode_length = np.zeros((n, 2)), np.zeros(n, dtype=np.int64)

    @property
    def prices(self) -> NDArray[np.float64]:
        """(N, HORIZON) price of every step of the episode, EUR/kWh."""
        steps = (np.arange(HORIZON)[None, :] + self.phase[:, None]) % len(PRICES_EUR_PER_KWH)
        return np.asarray(PRICES_EUR_PER_KWH[steps])

    def reset(
        self, seed: int | Sequence[int] | None = None, mask: Any = None, options: Any = None
    ) -> None:
        assert not options, options
        rows = np.ones(self.num_envs, dtype=bool) if mask is None else np.asarray(mask)
        if seed is not None:
            lanes = np.arange(self.num_envs)
            self.seeds[rows] = (lanes + seed if isinstance(seed, int) else np.asarray(seed))[rows]
            self.episode[rows] = 0
        self._begin(rows)
        if self.stagger:
            self.time[rows] = self._draw(7)[rows] % HORIZON
        self._observe()

    def _draw(self, stream: int) -> NDArray[np.int64]:
        split = sum(map(ord, self.split))
        words = [self.seeds, self.episode, np.full_like(self.seeds, 1000 * split + stream)]
        return (_hash(*(w.astype(np.uint64) for w in words)) >> np.uint64(33)).astype(np.int64)

    def _begin(self, rows: NDArray[np.bool_]) -> None:
        self.phase[rows] = self._draw(1)[rows] % len(PRICES_EUR_PER_KWH)
        self.soc[rows] = self._draw(2)[rows] % (CAPACITY_KWH + 1)
        for array in (self.time, self.sum_terms, self.sum_costs, self.sum_events, self.steps):
            array[rows] = 0

    def _observe(self) -> None:
        leads = self.time[:, None] + np.arange(LEADS)[None, :]
        price = self.prices[np.arange(self.num_envs)[:, None], np.minimum(leads, HORIZON - 1)]
        price = np.where(leads < HORIZON, price, 0.0)
        left = (HORIZON - self.time)[:, None]
        physical = np.concatenate([self.soc[:, None], left, price], axis=1)
        self.observations[:] = self.observation_fields.normalise(physical)

    def step(self, actions: NDArray[np.float32]) -> None:
        assert actions.shape == (self.num_envs, 1), actions.shape
        request = self.action_fields.denormalise(actions)[:, 0]
        power = np.clip(request, -self.soc, CAPACITY_KWH - self.soc)
        price = self.prices[np.arange(self.num_envs), self.time]
        self.soc = np.clip(self.soc + power, 0.0, CAPACITY_KWH)
        self.terms[:, 0] = -price * self.scenario.load_kw
        self.terms[:, 1] = -price * power
        self.terms[:, 2] = -WEAR_EUR_PER_KWH * np.abs(power)
        self.rewards[:] = self.terms.sum(axis=1)
        self.baselines[:] = self.terms[:, 0]
        self.costs[:, 0] = np.abs(request - power)
        self.events[:, 0] = np.abs(request - power) > 1e-5
        self.sum_terms += self.terms
        self.sum_costs += self.costs
        self.sum_events += self.events
        self.time += 1
        self.steps += 1
        done = self.time >= HORIZON
        self.terminated[:] = done
        if done.any():
            self._observe()
            self.final_observations[done] = self.observations[done]
            self.episode_reward[done] = self.sum_terms[done].sum(axis=1)
            self.episode_terms[done] = self.sum_terms[done]
            self.episode_costs[done] = self.sum_costs[done]
            self.episode_events[done] = self.sum_events[done]
            self.episode_length[done] = self.steps[done]
            self.episode[done] += 1
            self._begin(done)
        self._observe()

    _STATE = ("soc", "phase", "time", "seeds", "episode", "sum_terms", "sum_costs", "sum_events",
              "steps", "observations")  # fmt: skip

    def snapshot(self) -> dict[str, NDArray[Any]]:
        return {name: getattr(self, name).copy() for name in self._STATE}

    def restore(self, snapshot: dict[str, NDArray[Any]]) -> None:
        for name in self._STATE:
            getattr(self, name)[...] = snapshot[name]


class ToyDomain:
    """The toy's controllers and its exact bound."""

    name = "toy"
    action_mode = "device"
    controller_names = ("noop", "threshold", "planner")
    rule_names = ("noop", "threshold")

    def __init__(self, reward_scale: float = 1.0) -> None:
        self.reward_scale = reward_scale

    def make_controller(self, name: str) -> Any:
        return {"noop": Noop, "threshold": Threshold, "planner": Planner}[name]()

    def make_teacher(self) -> Any:
        return Planner()

    def upper_bound(self, simulator: ToySimulator) -> NDArray[np.float64]:
        """(N,) EUR: the best sum of rewards of each episode, exactly."""
        value = plan(simulator)[0]
        lanes = np.arange(simulator.num_envs)
        load = -simulator.prices.sum(axis=1) * simulator.scenario.load_kw
        return np.asarray(value[0, lanes, simulator.soc.astype(int)] + load)


def plan(simulator: ToySimulator) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Value and best power, each (HORIZON + 1, N, CAPACITY_KWH + 1), by dynamic programming."""
    shape = (HORIZON + 1, simulator.num_envs, CAPACITY_KWH + 1)
    value, best = np.zeros(shape), np.zeros(shape, dtype=np.int64)
    for t in reversed(range(HORIZON)):
        for soc in range(CAPACITY_KWH + 1):
            low, high = max(-DISCHARGE_KW, -soc), min(CHARGE_KW, CAPACITY_KWH - soc)
            gains = np.stack(
                [
                    value[t + 1, :, soc + p]
                    - p * simulator.prices[:, t]
                    - WEAR_EUR_PER_KWH * abs(p)
                    for p in range(low, high + 1)
                ]
            )
            value[t, :, soc] = gains.max(axis=0)
            best[t, :, soc] = gains.argmax(axis=0) + low
    return value, best


class Noop:
    """Never trades."""

    name, action_mode = "noop", "device"

    def reset(self, simulator: ToySimulator) -> None:
        pass

    def act(self, simulator: ToySimulator) -> NDArray[np.float32]:
        return simulator.action_fields.normalise(self.power(simulator)[:, None])

    def power(self, simulator: ToySimulator) -> NDArray[np.float64]:
        """(N,) kW, charging is positive."""
        return np.zeros(simulator.num_envs)


class Threshold(Noop):
    """Buys below 0.2 EUR/kWh, sells above 0.8 EUR/kWh."""

    name = "threshold"

    def power(self, simulator: ToySimulator) -> NDArray[np.float64]:
        price = simulator.prices[np.arange(simulator.num_envs), simulator.time]
        return np.where(price < 0.2, float(CHARGE_KW), 0.0) - np.where(price > 0.8, DISCHARGE_KW, 0)


class Planner(Noop):
    """Perfect foresight; equal to the bound."""

    name = "planner"

    def reset(self, simulator: ToySimulator) -> None:
        self.best = plan(simulator)[1]

    def power(self, simulator: ToySimulator) -> NDArray[np.float64]:
        lanes = np.arange(simulator.num_envs)
        return self.best[simulator.time, lanes, np.rint(simulator.soc).astype(int)].astype(float)


def make_simulator(
    scenario: Any = "toy",
    num_envs: int = 64,
    threads: int = 1,
    split: str = "train",
    action_mode: str | None = None,
    stagger: bool = False,
    **options: Any,
) -> ToySimulator:
    """Stands in for `daogym.make_simulator`."""
    assert not options, options
    settings = {} if isinstance(scenario, str) else dict(scenario)
    return ToySimulator(ToyScenario(**settings), num_envs, split, stagger)
