"""PPO-Lagrangian from settings to report: what is kept, shown, chosen and exported."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from daogym.agents.callback import Evaluated
from daogym.agents.checkpoint import CheckpointError, read_tensors, write_tensors
from daogym.agents.config import TrainConfig
from daogym.agents.evaluation import EpisodeSet, play
from daogym.agents.export.onnx_policy import OnnxPolicy
from daogym.agents.policy import TorchPolicy, load_policy
from daogym.agents.training import resume, train
from daogym.envs.core.strict import ConfigError

Config = Callable[..., TrainConfig]
LIMIT = 1.0
LIMITED: dict[str, Any] = {
    "algo": "ppo_lagrangian",
    "cost_limits": {"overfill_kwh": LIMIT},
    "multiplier_rate": 0.1,
    "total_steps": 12 * 64 * 40,
    "eval_every_steps": 12 * 64 * 8,
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def runs(toy: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A run with the limit and one without, and what the limited one said."""
    from daogym.envs.core.strict import load_mapping

    found: dict[str, Any] = {}
    for name, changes in (("limited", LIMITED), ("free", {"total_steps": 12 * 64 * 40})):
        settings = {
            "scenario": "toy", "num_envs": 64, "n_steps": 12, "batch_size": 192, "n_epochs": 4,
            "learning_rate": 3e-3, "net_arch": [32, 32], "threads": 1, "torch_threads": 1,
            "eval_every_steps": 0, "eval_episodes": 64, "final_episodes": 64,
            "run_root": str(tmp_path_factory.mktemp("runs")), "run_name": name,
            "tensorboard": False, "progress": False,
        }  # fmt: skip
        path = tmp_path_factory.mktemp("said") / "said.txt"
        with path.open("w") as file:
            console = Console(file=file, width=200)
            config = load_mapping({**settings, **changes}, TrainConfig)
            found[name] = train(config, make_simulator=toy.make_simulator, console=console)
        found[f"{name} said"] = path.read_text()
    return found


def episode_cost(toy: Any, run: Any, policy: Any = None) -> float:
    policy = policy or TorchPolicy("p", *load_policy(run.best_file))
    simulator = EpisodeSet("toy", "test", 400).simulator(toy.make_simulator, None)
    return play(policy, simulator).episode_costs["overfill_kwh"]


def test_a_limit_is_kept_on_new_episodes_and_ppo_breaks_it(runs: dict[str, Any], toy: Any) -> None:
    assert episode_cost(toy, runs["free"]) > 1.5 * LIMIT
    assert episode_cost(toy, runs["limited"]) < 1.05 * LIMIT


def test_costs_stand_beside_the_reward_in_the_metrics(runs: dict[str, Any]) -> None:
    rows = rows_of(runs["limited"].metrics_file)
    config = runs["limited"].config()
    step_days = 1.0 / 24.0
    for row in rows[1:-1]:
        # 12 steps of an hour an episode; those that began staggered are over.
        per_day = float(row["cost/overfill_kwh"])
        assert float(row["episode_cost/overfill_kwh"]) == pytest.approx(12 * step_days * per_day)
        # A row tells of the update before it, as all of train/ does.
        assert float(row["multiplier/overfill_kwh"]) >= 0.0
        assert float(row["train/cost_value_loss"]) >= 0.0
    # Every rollout is one episode of each lane, so both tell of about the same.
    shown = np.array([float(row["episode_cost/overfill_kwh"]) for row in rows[1:-2]])
    acted = np.array([float(row["constraint/overfill_kwh"]) for row in rows[2:-1]])
    assert acted == pytest.approx(shown, rel=0.35)
    assert max(float(row["multiplier/overfill_kwh"]) for row in rows[1:-1]) > 0.1
    assert [row["eval_cost/overfill_kwh"] != "" for row in rows].count(True) >= 4
    assert config.cost_limits == {"overfill_kwh": LIMIT}
    assert "multiplier/overfill_kwh" not in rows_of(runs["free"].metrics_file)[0]


def test_the_report_says_what_an_episode_cost(runs: dict[str, Any]) -> None:
    report = json.loads((runs["limited"].path / "report.json").read_text())["run"]
    assert report["cost_limits"] == {"overfill_kwh": LIMIT}
    found = report["episode_costs"]["overfill_kwh"]
    assert f"overfill_kwh: {found:.4g} an episode, the limit is 1" in runs["limited said"]


def test_the_export_is_the_policy(runs: dict[str, Any], toy: Any) -> None:
    policy = OnnxPolicy.read(runs["limited"].onnx_file)
    by_torch = episode_cost(toy, runs["limited"])
    assert episode_cost(toy, runs["limited"], policy) == pytest.approx(by_torch, rel=1e-3)


def test_within_the_limits_comes_before_money() -> None:
    limits = {"a": 2.0, "b": 0.0}
    assert Evaluated(0.0, None, {"a": 1.9, "b": 0.0, "c": 9.0}).excess(limits) == 0.0
    assert Evaluated(0.0, None, {"a": 3.0, "b": 0.25}).excess(limits) == pytest.approx(0.75)
    assert Evaluated(0.0, None, {"a": 3.0}).excess({}) == 0.0


def test_the_best_policy_is_the_richest_within_the_limits(runs: dict[str, Any]) -> None:
    rows = [row for row in rows_of(runs["limited"].metrics_file) if row["eval/steps"]]
    found = [
        (
            min(LIMIT, float(row["eval_cost/overfill_kwh"])) - float(row["eval_cost/overfill_kwh"]),
            float(row["eval/money_per_day"]),
            int(row["eval/steps"]),
        )
        for row in rows
    ]
    progression = read_tensors(runs["limited"].checkpoint_file)[1]["progression"]
    assert progression["best_steps"] == max(found)[2]
    assert progression["best_excess"] == pytest.approx(-max(found)[0] / LIMIT)


def test_multipliers_and_cost_critic_are_in_the_checkpoint(toy_config: Config, toy: Any) -> None:
    options = {"make_simulator": toy.make_simulator}
    run = train(toy_config(**{**LIMITED, "total_steps": 12 * 64 * 4}), **options, conclude=False)
    arrays, document = read_tensors(run.checkpoint_file)
    assert arrays["extra/constraints/multipliers"].shape == (1,)
    assert set(document["learner"]["extra_adam_groups"]) == {"cost_critic", "multipliers"}
    assert "extra_adam/multipliers/0/exp_avg" in arrays
    del arrays["extra/constraints/multipliers"]
    write_tensors(run.checkpoint_file, arrays, document)
    with pytest.raises(CheckpointError, match="of the constraints the tensors are"):
        resume(run.path, **options)


def test_costs_are_shown_beside_the_money() -> None:
    from daogym.agents.progress import Progress

    progress = Progress(Console(), 10, shown=False)
    progress.costs({"a": 1.2345, "b": 7.0}, {"a": 2.0})
    assert progress._costs == ", a 1.23 of 2"


def test_a_limit_of_no_cost_and_an_algorithm_without_agents_are_refused(
    toy_config: Config, toy: Any
) -> None:
    with pytest.raises(ConfigError, match="no cost 'overfil'; did you mean 'overfill_kwh'"):
        train(
            toy_config(algo="ppo_lagrangian", cost_limits={"overfil": 1.0}),
            make_simulator=toy.make_simulator,
        )
    with pytest.raises(ConfigError, match="mappo needs a domain of several agents"):
        train(toy_config(algo="mappo", run_name="other"), make_simulator=toy.make_simulator)
