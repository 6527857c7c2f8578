"""A run that is killed and resumed ends with the weights of an unbroken run, bit for bit."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.numpy

from daogym.agents.checkpoint import CheckpointError, read_tensors, write_tensors
from daogym.agents.config import TrainConfig
from daogym.agents.runs import RunDirectory, RunError
from daogym.agents.training import resume, train

DRIVER = Path(__file__).with_name("driver.py")
CLOCK_COLUMNS = {"time/fps", "time/time_elapsed", "time/simulator_share", "time/iterations"}


def start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(DRIVER), *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in CLOCK_COLUMNS} for row in rows]


def kill_after_rollouts(process: subprocess.Popen[bytes], run: Path, rollouts: int) -> None:
    """SIGKILL once metrics.csv holds that many rows."""
    metrics = run / "metrics.csv"
    deadline = time.monotonic() + 240
    while not metrics.is_file() or metrics.read_bytes().count(b"\n") < rollouts + 1:
        if process.poll() is not None or time.monotonic() > deadline:
            assert process.stderr is not None
            raise AssertionError(f"ended before it was killed: {process.stderr.read()!r}")
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


GRID = {
    "scenario": "lv_rural",
    "num_envs": 64,
    "n_steps": 16,
    "batch_size": 256,
    "n_epochs": 2,
    "threads": 2,
    "torch_threads": 2,
    "total_steps": 16 * 64 * 12,
    "eval_every_steps": 16 * 64 * 3,
    "eval_episodes": 3,
    "final_episodes": 3,
    "tensorboard": True,
}
LIMITED = {
    "algo": "ppo_lagrangian",
    "cost_limits": {"overfill_kwh": 2.0},
    "multiplier_rate": 0.2,
    "normalise_values": True,
    "clip_by_group": True,
}
LASTING = {"use_sde": True, "sde_sample_freq": 5, "log_std_init": -2.0}
MIRRORED = {"use_sde": True, "mirror_lanes": True, "standardise_observations": True}
TOY = {"total_steps": 12 * 64 * 12, "eval_every_steps": 12 * 64 * 3, "tensorboard": True}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("world", "settings"),
    [("toy", TOY | LIMITED | LASTING), ("toy", TOY | MIRRORED), ("grid", GRID)],
    ids=["toy with limits and lasting noise", "toy with mirrored lanes", "grid"],
)
def test_a_run_killed_twice_ends_with_the_weights_of_an_unbroken_run(
    toy_config: Callable[..., TrainConfig],
    request: pytest.FixtureRequest,
    world: str,
    settings: dict[str, Any],
) -> None:
    changes: dict[str, Any] = {**settings, "checkpoint_every_rollouts": 4}
    make = request.getfixturevalue(world).make_simulator
    whole = train(toy_config(run_name="whole", **changes), make_simulator=make)
    config = toy_config(run_name="killed", **changes)
    killed = Path(config.run_root) / "killed"
    words = [world, "--config", config.model_dump_json()]
    # After 3 rollouts only the checkpoint of the start exists, after 9 that of 8 rollouts.
    for rollouts, checkpoint in ((3, 0), (9, 8)):
        kill_after_rollouts(start(*words, "slow"), killed, rollouts)
        state = read_tensors(killed / "checkpoint.safetensors")[1]["learner"]
        assert state["num_timesteps"] == checkpoint * config.rollout_steps
        words = [world, "--resume", str(killed)]
    assert not (killed / "report.json").exists()

    process = start(*words)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors.decode()
    for name in ("policy_last.safetensors", "policy_best.safetensors", "policy.onnx"):
        assert (killed / name).read_bytes() == (whole.path / name).read_bytes(), name
    assert rows_of(killed) == rows_of(whole.path)
    ours = safetensors.numpy.load_file(killed / "checkpoint.safetensors")
    theirs = safetensors.numpy.load_file(whole.path / "checkpoint.safetensors")
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def test_a_finished_run_resumes_to_itself(finished_run: RunDirectory, toy: Any) -> None:
    run = finished_run
    weights, rows = run.last_file.read_bytes(), rows_of(run.path)
    (run.path / "report.json").unlink()
    resume(run.path, make_simulator=toy.make_simulator)
    assert run.last_file.read_bytes() == weights
    assert rows_of(run.path) == rows
    assert json.loads((run.path / "report.json").read_text())["results"]


def test_nothing_to_resume_is_said(
    toy_config: Callable[..., TrainConfig], toy: Any, tmp_path: Path
) -> None:
    options = {"make_simulator": toy.make_simulator}
    with pytest.raises(RunError, match=r"config\.yaml is missing"):
        resume(tmp_path / "nowhere", **options)
    run = RunDirectory.create(toy_config())
    run.write_config(toy_config())
    with pytest.raises(RunError, match="before its first one"):
        resume(run.path, **options)


def test_a_changed_setting_or_scenario_is_refused(
    toy_config: Callable[..., TrainConfig], toy: Any, finished_run: RunDirectory
) -> None:
    options = {"make_simulator": toy.make_simulator}
    run = finished_run
    run.write_config(toy_config(gamma=0.5))
    with pytest.raises(RunError, match="training_hash"):
        resume(run.path, **options)
    run.write_config(toy_config(scenario={"load_kw": 2.0}))
    with pytest.raises(RunError, match="_hash"):
        resume(run.path, **options)


def test_a_checkpoint_of_other_tensors_is_refused(toy: Any, finished_run: RunDirectory) -> None:
    options = {"make_simulator": toy.make_simulator}
    run = finished_run
    arrays, document = read_tensors(run.checkpoint_file)
    arrays["policy/action_net.weight"] = arrays["policy/action_net.weight"][:, :-1]
    write_tensors(run.checkpoint_file, arrays, document)
    with pytest.raises(CheckpointError, match=r"action_net\.weight.*expected \(1, 32\)"):
        resume(run.path, **options)


def test_two_processes_never_train_in_one_directory(toy: Any, finished_run: RunDirectory) -> None:
    options = {"make_simulator": toy.make_simulator}
    run = finished_run
    with run.lock(), pytest.raises(RunError, match="another process"):
        resume(run.path, **options)
