"""An exported policy is one file, does what torch does, and is data to whoever loads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from daogym.agents.checkpoint import read_tensors
from daogym.agents.export import onnx_policy, verify, writer
from daogym.agents.export.graph import PhysicalActor
from daogym.agents.export.onnx_policy import OnnxError, OnnxPolicy
from daogym.agents.export.run import export_run
from daogym.agents.export.verify import VerificationError, probing_observations
from daogym.agents.policy import Actor, Contract, load_policy
from daogym.agents.runs import RunDirectory
from daogym.envs.core.fields import Field, FieldSet

OBSERVATIONS = FieldSet(
    [
        Field("soc_kwh", "kWh", 0.0, np.array([8.0, 12.5]), (2,)),
        Field("minutes", "min", 500_000.0, 500_015.0, doc="far from zero, narrow"),
        Field("price_eur_per_mwh", "EUR/MWh", -500.0, 4000.0),
    ]
)
ACTIONS = FieldSet([Field("power_kw", "kW", np.array([-3.3, 0.1]), np.array([7.7, 0.3]), (2,))])
CONTRACT = Contract("test", "a" * 16, "b" * 20, "device", 15.0, OBSERVATIONS.to_json(),
                    ACTIONS.to_json())  # fmt: skip


def random_actor(seed: int = 0, gain: float = 2.0, hidden: type = torch.nn.Tanh) -> Actor:
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.nn.Linear(4, 16), hidden(), torch.nn.Linear(16, 16), hidden()]
    head = torch.nn.Linear(16, 2)
    for layer in (layers[0], layers[2], head):
        with torch.no_grad():
            layer.weight.copy_(gain * torch.randn(layer.weight.shape, generator=generator) / 3)
            layer.bias.copy_(0.1 * torch.randn(layer.bias.shape, generator=generator))
    return Actor(torch.nn.Sequential(*layers), head).eval()


def by_hand(actor: Actor, physical: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The whole chain in float64 NumPy, from the definition of the fields alone."""
    low, high = OBSERVATIONS.low, OBSERVATIONS.high
    values = np.clip(2 * (physical.astype(np.float64) - low) / (high - low) - 1, -1, 1)
    for layer in (actor.policy_net[0], actor.policy_net[2], actor.action_net):  # type: ignore[index]
        weight, bias = layer.weight.detach().double().numpy(), layer.bias.detach().double().numpy()
        values = values @ weight.T + bias
        if layer is not actor.action_net:
            values = np.tanh(values)
    low, high = ACTIONS.low, ACTIONS.high
    return np.asarray(low + (np.clip(values, -1, 1) + 1) / 2 * (high - low))


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "policy.onnx"
    writer.export_policy(random_actor(), CONTRACT, path)
    return path


def test_one_self_contained_file_with_its_contract(exported: Path) -> None:
    assert os.listdir(exported.parent) == ["policy.onnx"]
    model = onnx.load_model_from_string(exported.read_bytes())
    onnx.checker.check_model(model, full_check=True)
    assert {tensor.data_location for tensor in model.graph.initializer} == {TensorProto.DEFAULT}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    fields = json.loads(metadata["observation_fields"])["fields"]
    assert [field["unit"] for field in fields] == ["kWh", "min", "EUR/MWh"]
    assert fields[0]["high"] == [8.0, 12.5]
    assert metadata["scenario_hash"] == CONTRACT.scenario_hash
    assert metadata["action_mode"] == "device" and float(metadata["step_minutes"]) == 15.0
    text = exported.read_bytes()
    assert b"/work" not in text and b".py" not in text, "paths of the exporting machine"


def test_onnxruntime_alone_gives_the_action_by_hand(exported: Path) -> None:
    session = onnxruntime.InferenceSession(exported.read_bytes())
    observations = probing_observations(OBSERVATIONS, 4000, seed=5)
    expected = by_hand(random_actor(), observations)
    for rows in (observations, observations[:1], observations[17:24]):
        (actions,) = session.run(None, {session.get_inputs()[0].name: rows})
        assert actions.dtype == np.float32 and actions.shape == (len(rows), 2)
        assert (actions >= ACTIONS.low.astype(np.float32)).all()
        assert (actions <= ACTIONS.high.astype(np.float32)).all()
        wanted = expected[::1][: len(rows)] if len(rows) != 7 else expected[17:24]
        # float32 weights: a few units in the last place of a value of order one.
        assert (np.abs(actions - wanted) / (ACTIONS.high - ACTIONS.low)).max() < 2e-5


def test_probing_covers_bounds_and_beyond() -> None:
    rows = probing_observations(OBSERVATIONS, 10_000)
    low, high = OBSERVATIONS.low.astype(np.float32), OBSERVATIONS.high.astype(np.float32)
    assert rows.shape == (10_000, 4) and np.isfinite(rows).all()
    for kind in (rows == low, rows == high, rows < low, rows > high, (rows > low) & (rows < high)):
        assert (kind.sum(axis=0) > 500).all()
    assert np.abs(rows).max() > 1e38


@pytest.mark.parametrize("hidden", [torch.nn.ReLU, torch.nn.ELU, torch.nn.SiLU])
def test_every_activation_exports(tmp_path: Path, hidden: type) -> None:
    found = writer.export_policy(random_actor(hidden=hidden), CONTRACT, tmp_path / "p.onnx")
    assert found.observations == 10_000 and found.largest_difference <= 1e-5
    OnnxPolicy.read(tmp_path / "p.onnx")


def test_a_wrong_export_is_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(b"the good old policy")
    other = PhysicalActor(random_actor(seed=1), CONTRACT).eval()
    build = writer.build
    monkeypatch.setattr(writer, "build", lambda module, contract: build(other, contract))
    with pytest.raises(VerificationError, match=r"differ by .* of the range of power_kw\[\d\]"):
        writer.export_policy(random_actor(seed=0), CONTRACT, path)
    assert path.read_bytes() == b"the good old policy"
    assert os.listdir(tmp_path) == ["policy.onnx"]


def test_a_policy_whose_returns_differ_is_never_written(
    toy: Any, finished_run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = finished_run
    run.onnx_file.unlink()
    act = OnnxPolicy.act
    monkeypatch.setattr(OnnxPolicy, "act", lambda self, simulator: -act(self, simulator))
    with pytest.raises(VerificationError, match="return differs"):
        export_run(run, toy.make_simulator)
    assert not run.onnx_file.exists()


def test_a_run_exports_its_best_policy(
    toy: Any, finished_run: RunDirectory, tmp_path: Path
) -> None:
    run = finished_run
    target = tmp_path / "elsewhere.onnx"
    exported = export_run(RunDirectory.open(run.path), toy.make_simulator, target)
    assert exported.source == run.best_file and exported.return_difference <= 1e-4
    policy = OnnxPolicy.read(target)
    assert policy.contract == load_policy(run.best_file)[1]
    assert policy.contract.training_hash == read_tensors(run.checkpoint_file)[1]["training_hash"]


def test_an_exported_policy_runs_without_torch(exported: Path) -> None:
    code = (
        "import sys, numpy, onnxruntime\n"
        "s = onnxruntime.InferenceSession(open(sys.argv[1], 'rb').read())\n"
        "a = s.run(None, {s.get_inputs()[0].name: numpy.zeros((3, 4), numpy.float32)})[0]\n"
        "assert a.shape == (3, 2) and 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(exported)], check=True)


def changed(exported: Path, change: Callable[[onnx.ModelProto], None]) -> bytes:
    model = onnx.load_model_from_string(exported.read_bytes())
    change(model)
    return bytes(model.SerializeToString())


def external(model: onnx.ModelProto) -> None:
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="../../etc/passwd")


def external_in_an_attribute(model: onnx.ModelProto) -> None:
    tensor = numpy_helper.from_array(np.zeros(2, dtype=np.float32), "hidden")
    tensor.external_data.add(key="location", value="elsewhere")
    model.graph.node.append(helper.make_node("Constant", [], ["unused"], value=tensor))


def foreign_domain(model: onnx.ModelProto) -> None:
    model.opset_import.append(helper.make_opsetid("com.stranger", 1))


def foreign_node(model: onnx.ModelProto) -> None:
    model.graph.node[0].domain = "com.stranger"


def loop(model: onnx.ModelProto) -> None:
    body = helper.make_graph([], "body", [], [])
    model.graph.node.append(helper.make_node("Loop", ["", ""], [], body=body))


def subgraph(model: onnx.ModelProto) -> None:
    model.graph.node[0].attribute.append(
        helper.make_attribute("body", helper.make_graph([], "body", [], []))
    )


def function(model: onnx.ModelProto) -> None:
    opsets = [helper.make_opsetid("", 18)]
    model.functions.append(helper.make_function("", "Tanh", ["x"], ["x"], [], opsets))


def other_format(model: onnx.ModelProto) -> None:
    next(entry for entry in model.metadata_props if entry.key == "format").value = "other"


def wrong_contract(model: onnx.ModelProto) -> None:
    entry = next(entry for entry in model.metadata_props if entry.key == "contract")
    contract = json.loads(entry.value)
    contract["action_fields"] = FieldSet([Field("x", "1", 0.0, 1.0)]).to_json()
    entry.value = json.dumps(contract)


def broken_contract(model: onnx.ModelProto) -> None:
    next(entry for entry in model.metadata_props if entry.key == "contract").value = "[1]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external, "lies in another file"),
        (external_in_an_attribute, "'hidden' lies in another file"),
        (foreign_domain, "com.stranger"),
        (foreign_node, "com.stranger::"),
        (loop, "operator Loop is not accepted"),
        (subgraph, "holds a graph of its own"),
        (function, "functions are not accepted"),
        (other_format, "format"),
        (wrong_contract, r"one output \(N, 1\)"),
        (broken_contract, "contract cannot be read"),
    ],
)
def test_a_stranger_s_model_is_refused(
    exported: Path, tmp_path: Path, change: Callable[[onnx.ModelProto], None], message: str
) -> None:
    path = tmp_path / "stranger.onnx"
    path.write_bytes(changed(exported, change))
    with pytest.raises(OnnxError, match=message) as caught:
        OnnxPolicy.read(path)
    assert "stranger.onnx" in str(caught.value)


def test_files_that_are_no_model_are_refused(
    tmp_path: Path, exported: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = tmp_path / "noise.onnx"
    noise.write_bytes(b"\x80\x04not a model" * 50)
    with pytest.raises(OnnxError, match="not an ONNX file"):
        OnnxPolicy.read(noise)
    with pytest.raises(OnnxError, match="cannot be read"):
        OnnxPolicy.read(tmp_path / "absent.onnx")
    monkeypatch.setattr(onnx_policy, "MAX_BYTES", 1000)
    with pytest.raises(OnnxError, match="larger than 1,000 bytes"):
        OnnxPolicy.read(exported)


def test_verification_knows_a_difference_on_one_row(exported: Path) -> None:
    class Off(PhysicalActor):
        def forward(self, observation: torch.Tensor) -> torch.Tensor:
            actions = super().forward(observation)
            if len(actions) > 1:
                actions[7, 1] += 3e-5 * 0.2
            return actions

    with pytest.raises(VerificationError, match=r"power_kw\[1\] at observation 7"):
        verify.verify(exported.read_bytes(), Off(random_actor(), CONTRACT), CONTRACT)
