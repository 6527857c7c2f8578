"""The three entry points, on the toy world."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daogym.agents import training
from daogym.agents.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]


def entry(name: str, monkeypatch: pytest.MonkeyPatch, toy: Any) -> ModuleType:
    """An entry point as a module, its simulators replaced by the toy's."""
    spec = importlib.util.spec_from_file_location(f"entry_{name}", ROOT / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    if name == "train":
        for function in ("train", "resume"):
            plain = getattr(training, function)

            def bound(*arguments: Any, plain: Any = plain, **options: Any) -> Any:
                return plain(*arguments, make_simulator=toy.make_simulator, **options)

            monkeypatch.setattr(module, function, bound)
    else:
        monkeypatch.setattr(module, "make_daogym_simulator", toy.make_simulator)
    return module


def test_train_evaluate_export(
    toy: Any,
    toy_config: Callable[..., TrainConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    settings = tmp_path / "mine.yaml"
    settings.write_text(yaml.safe_dump(toy_config(tensorboard=True).model_dump(mode="json")))
    train = entry("train", monkeypatch, toy)
    assert train.main([str(settings), "seed=3", "final_targets=[noop, bound]"]) == 0
    said = capsys.readouterr().out
    run = tmp_path / "runs" / "toy"
    for word in ("noop", "bound", "toy", "policy.onnx", "EUR"):
        assert word in said
    left = {path.name for path in run.iterdir() if not path.name.startswith(".")}
    assert left == {
        "config.yaml", "seeds.json", "versions.json", "scenario.json", "metrics.csv",
        "learning_curve.png", "checkpoint.safetensors", "policy_best.safetensors",
        "policy_last.safetensors", "policy.onnx", "report.md", "report.json", "tensorboard",
    }  # fmt: skip
    assert yaml.safe_load((run / "config.yaml").read_text())["seed"] == 3
    assert json.loads((run / "seeds.json").read_text())["training_lanes"] == [3, 66]
    seen = json.loads((run / "versions.json").read_text())
    assert seen["packages"]["torch"] and seen["cpu"] and seen["torch_threads"] == 1
    assert (run / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"

    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    tags = set(events.Tags()["scalars"])
    assert {
        "rollout/ep_rew_mean", "train/value_loss", "time/fps", "time/simulator_share",
        "env/load", "env/trade", "env/wear", "cost/overfill_kwh", "eval/score",
    } <= tags  # fmt: skip

    evaluate = entry("evaluate", monkeypatch, toy)
    written = tmp_path / "out.json"
    words = [str(run), str(run / "policy.onnx"), "all", "--episodes", "20", "--json", str(written)]
    assert evaluate.main(words) == 0
    document = json.loads(written.read_text())
    assert document["episodes"] == 20 and document["split"] == "test"
    targets = [row["target"] for row in document["results"]]
    assert targets == [str(run), str(run / "policy.onnx"), "noop", "threshold", "planner"]

    export = entry("export", monkeypatch, toy)
    assert export.main([str(run), "-o", str(tmp_path / "again.onnx")]) == 0
    assert (tmp_path / "again.onnx").read_bytes() == (run / "policy.onnx").read_bytes()


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("train", ["nu_envs=3"], "did you mean 'num_envs'"),
        ("train", ["absent.yaml"], "absent.yaml: cannot be read"),
        ("train", ["a.yaml", "b.yaml"], "one YAML file"),
        ("train", ["--resume", "absent"], "no run directory"),
        ("evaluate", ["nobody"], "'nobody': no run directory"),
        ("evaluate", ["absent.onnx"], "absent.onnx: cannot be read"),
        ("export", ["absent"], "absent: no run directory"),
    ],
)
def test_a_mistake_is_one_line_and_no_traceback(
    toy: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: list[str],
    message: str,
) -> None:
    assert entry(name, monkeypatch, toy).main(words) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith(f"{name}.py: ") and message in said and "\n" not in said


@pytest.mark.parametrize(
    ("name", "words", "message"),
    [
        ("train", ["--resume", "run", "seed=1"], "no settings beside it"),
        ("evaluate", ["all", "--chain", "4"], "such as 28d"),
        ("evaluate", ["all", "--date", "2023-02-30"], "such as 2023-05-14"),
        ("evaluate", ["all", "--episodes", "0"], "above 0"),
    ],
)
def test_a_malformed_option_is_explained(
    toy: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    words: list[str],
    message: str,
) -> None:
    with pytest.raises(SystemExit):
        entry(name, monkeypatch, toy).main(words)
    assert message in capsys.readouterr().err


def test_options_reach_the_simulator(
    toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    evaluate = entry("evaluate", monkeypatch, toy)
    asked: list[dict[str, Any]] = []
    dates: list[Any] = []

    def make(scenario: Any, chain_days: int | None = None, **options: Any) -> Any:
        asked.append({"scenario": scenario, "chain_days": chain_days, **options})
        simulator = toy.make_simulator(scenario, **options)
        reset = simulator.reset

        def noted(seed: Any = None, mask: Any = None, options: Any = None) -> None:
            dates.append(options)
            reset(seed, mask)

        simulator.reset = noted
        return simulator

    monkeypatch.setattr(evaluate, "make_daogym_simulator", make)
    words = ["noop", "--scenario", "toy", "--split", "validation", "--chain", "28d"]
    assert evaluate.main([*words, "--date", "2023-05-14", "--episodes", "9"]) == 0
    chained = [options for options in asked if options["chain_days"] == 28]
    assert chained and {options["split"] for options in chained} == {"validation"}
    assert {options["num_envs"] for options in asked} == {9}
    assert {"date": "2023-05-14"} in dates


def test_settings_are_listed(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert entry("train", monkeypatch, toy).main(["--help-config"]) == 0
    said = capsys.readouterr().out
    for key in TrainConfig.model_fields:
        assert key in said
