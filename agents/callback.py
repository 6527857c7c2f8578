"""All that happens around SB3's learning loop: evaluation, checkpoints, metrics, progress.

Work is done when a rollout starts, the only moment when the learner's state is complete without
a rollout buffer. What is due is decided from counters that are part of the checkpoint, so that a
resumed run does exactly what the unbroken one would have done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback

from .checkpoint import learner_state, write_tensors
from .config import TrainConfig
from .evaluation import step_days
from .logs import MetricsCsv
from .progress import Progress
from .runs import RunDirectory


@dataclass(frozen=True)
class Evaluated:
    """A deterministic policy on the validation episodes.

    Attributes:
        money_per_day: EUR a day.
        score: where the domain has a bound.
        costs: mean sum over an episode of each constraint cost.
    """

    money_per_day: float
    score: float | None
    costs: dict[str, float]

    def excess(self, limits: Mapping[str, float]) -> float:
        """By how much costs are above their limits, summed, each as a part of its limit."""
        return sum(
            max(0.0, self.costs[name] - limit) / (limit or 1.0) for name, limit in limits.items()
        )


Evaluate = Callable[[Any], Evaluated]


@dataclass
class Progression:
    """The trainer's own counters; all of it goes into a checkpoint.

    Attributes:
        rollouts: rollouts begun so far.
        evaluated_at: environment steps at the last evaluation, -1 for none.
        best_money_per_day: best validation result so far, EUR a day.
        best_excess: by how much it is above the limits on costs, see `Evaluated.excess`.
        score: score of the last evaluation, where the domain has a bound.
        elapsed_seconds: wall time spent in earlier processes of this run.
        metrics_offset: bytes of metrics.csv at the checkpoint.
    """

    rollouts: int = 0
    evaluated_at: int = -1
    best_money_per_day: float | None = None
    best_excess: float = 0.0
    best_steps: int = 0
    score: float | None = None
    elapsed_seconds: float = 0.0
    metrics_offset: int = 0


class RunCallback(BaseCallback):
    """Hangs a run directory on SB3's learning loop."""

    def __init__(
        self,
        config: TrainConfig,
        run: RunDirectory,
        keeper: Any,
        simulator: Any,
        metrics: MetricsCsv,
        progress: Progress,
        evaluate: Evaluate | None,
        state: Progression | None = None,
    ) -> None:
        super().__init__()
        self.config, self.run, self.keeper = config, run, keeper
        self.simulator = simulator
        self.metrics, self.progress, self.evaluate = metrics, progress, evaluate
        self.state = state if state is not None else Progression()
        self.evaluation_seconds = 0.0
        self._resumed = state is not None

    def _on_training_start(self) -> None:
        env: Any = self.training_env
        self.env: Any = env
        self._step_days = step_days(self.simulator)
        self._started = time.perf_counter()
        self._simulator_seconds_at_start = float(self.env.simulator_seconds)
        self._earlier_seconds = self.state.elapsed_seconds
        # SB3's clock then covers the whole run, not the present process alone.
        self.model.start_time -= int(self._earlier_seconds * 1e9)
        self.model._num_timesteps_at_start = 0
        self._forget_episodes()
        self.progress.start(self.num_timesteps, self.state.score)

    def _on_rollout_start(self) -> None:
        if self._resumed:
            # The checkpoint was written here: all that was due has been done.
            self._resumed = False
        else:
            self._evaluate_if_due()
            every = self.config.checkpoint_every_rollouts
            if every and self.state.rollouts % every == 0:
                self.save_checkpoint()
        self.state.rollouts += 1

    def _on_step(self) -> bool:
        ended = self.env.ended_lanes
        if ended.any():
            self._days += float(self.simulator.episode_length[ended].sum()) * self._step_days
            self._money += float(self.simulator.episode_reward[ended].sum())
            self._terms += self.simulator.episode_terms[ended].sum(axis=0)
            self._costs += self.simulator.episode_costs[ended].sum(axis=0)
            self._episodes += int(ended.sum())
        return True

    def _on_rollout_end(self) -> None:
        if self._days > 0.0:
            self.logger.record("rollout/money_per_day", self._money / self._days)
            for name, total in zip(self.simulator.term_names, self._terms, strict=True):
                self.logger.record(f"env/{name}", float(total) / self._days)
            for name, total in zip(self.simulator.cost_names, self._costs, strict=True):
                self.logger.record(f"cost/{name}", float(total) / self._days)
                self.logger.record(f"episode_cost/{name}", float(total) / self._episodes)
            self.progress.money(self._money / self._days)
            means = self._costs / self._episodes
            self.progress.costs(
                dict(zip(self.simulator.cost_names, means.tolist(), strict=True)),
                self.config.cost_limits,
            )
        self._forget_episodes()
        self.logger.record("time/simulator_share", self.simulator_share())
        self.progress.advance(self.num_timesteps)

    def _on_training_end(self) -> None:
        if self.evaluate is not None and self.state.evaluated_at != self.num_timesteps:
            self._evaluate()
            # No rollout follows that would write what the last update and evaluation recorded.
            self.logger.dump(self.num_timesteps)
        self.save_checkpoint()
        self.progress.stop()

    def training_seconds(self) -> float:
        """Wall time of this process's training, evaluations included."""
        return time.perf_counter() - self._started

    def simulator_share(self) -> float:
        """Part of the wall time since the start spent in the simulator, evaluations left out."""
        seconds = float(self.env.simulator_seconds) - self._simulator_seconds_at_start
        return seconds / max(self.training_seconds() - self.evaluation_seconds, 1e-9)

    def save_checkpoint(self) -> None:
        """Write the last policy and the complete state."""
        assert self.model is not None
        self.keeper.save(self.run.last_file, self.model.policy, self.num_timesteps)
        self.state.metrics_offset = self.metrics.offset()
        self.state.elapsed_seconds = self._earlier_seconds + self.training_seconds()
        arrays, learner = learner_state(self.model)  # type: ignore[arg-type]
        snapshot = self.simulator.snapshot()
        arrays.update({f"simulator/{name}": np.asarray(a) for name, a in snapshot.items()})
        document = {
            "training_hash": self.config.training_hash,
            "scenario_hash": self.keeper.scenario_hash,
            "learner": learner,
            "progression": asdict(self.state),
        }
        write_tensors(self.run.checkpoint_file, arrays, document)

    def _evaluate_if_due(self) -> None:
        every = self.config.eval_every_steps
        if self.evaluate is None or not every:
            return
        passed = self.num_timesteps // every
        if self.num_timesteps and passed > max(self.state.evaluated_at, 0) // every:
            self._evaluate()

    def _evaluate(self) -> None:
        assert self.evaluate is not None and self.model is not None
        start = time.perf_counter()
        policy = self.model.policy
        policy.set_training_mode(False)
        found = self.evaluate(self.keeper.acting(policy))
        money, score = found.money_per_day, found.score
        self.state.evaluated_at, self.state.score = self.num_timesteps, score
        self.logger.record("eval/steps", self.num_timesteps)
        self.logger.record("eval/money_per_day", money)
        if score is not None:
            self.logger.record("eval/score", score)
        for name, cost in found.costs.items():
            self.logger.record(f"eval_cost/{name}", cost)
        excess = found.excess(self.config.cost_limits)
        # Within the limits comes first, then money; above them, less excess comes first.
        best = self.state.best_money_per_day
        if best is None or (-excess, money) > (-self.state.best_excess, best):
            self.state.best_money_per_day, self.state.best_steps = money, self.num_timesteps
            self.state.best_excess = excess
            self.keeper.save(self.run.best_file, policy, self.num_timesteps)
        self.progress.score(score, money)
        self.evaluation_seconds += time.perf_counter() - start

    def _forget_episodes(self) -> None:
        self._days = self._money = 0.0
        self._episodes = 0
        self._terms = np.zeros(len(self.simulator.term_names))
        self._costs = np.zeros(len(self.simulator.cost_names))
