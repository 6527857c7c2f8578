"""Writing a policy file: build, verify against torch, and only then give it its name."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import onnx
import torch

from ..checkpoint import write_atomically
from ..policy import Actor, Contract
from .graph import ACTION, OBSERVATION, PhysicalActor
from .onnx_policy import FORMAT, OnnxPolicy
from .verify import Verification, verify


def export_policy(
    actor: Actor,
    contract: Contract,
    path: Path,
    check: Callable[[OnnxPolicy], None] | None = None,
) -> Verification:
    """Write ``path``, one self-contained ONNX file, after verifying its bytes.

    ``check`` is given the policy as a stranger would load it, and raises if it misbehaves. Any
    disagreement raises `VerificationError` and leaves ``path`` as it was.
    """
    module = PhysicalActor(actor, contract).eval()
    data = build(module, contract)
    loaded = OnnxPolicy(data, str(path))
    verification = verify(data, module, contract)
    if check is not None:
        check(loaded)
    write_atomically(path, data)
    return verification


def build(module: PhysicalActor, contract: Contract) -> bytes:
    """The ONNX bytes of a physical actor with its metadata."""
    # Two rows: a batch of one would be taken for a constant.
    example = torch.zeros((2, contract.observations.size), dtype=torch.float32)
    with _quiet():
        program = torch.onnx.export(
            module,
            (example,),
            dynamo=True,
            input_names=[OBSERVATION],
            output_names=[ACTION],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    # Names of source files of the machine that exported have no place in a policy.
    for node in model.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        value.ClearField("metadata_props")
    model.graph.ClearField("metadata_props")
    for initializer in model.graph.initializer:
        initializer.ClearField("metadata_props")
    model.ClearField("metadata_props")
    # An exporter may declare domains that no node uses.
    used = {node.domain for node in model.graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used | {""}]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    properties = {
        "format": FORMAT,
        "id": contract.id,
        "scenario_hash": contract.scenario_hash,
        "training_hash": contract.training_hash,
        "action_mode": contract.action_mode,
        "step_minutes": repr(contract.step_minutes),
        "observation_fields": contract.observation_fields,
        "action_fields": contract.action_fields,
        "contract": json.dumps(asdict(contract)),
    }
    onnx.helper.set_model_props(model, properties)
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports its passes on standard output and by warnings."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
