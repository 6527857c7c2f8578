"""An exported policy, run without torch; a file from a stranger is taken as data, never as code.

The file is read into memory and checked before onnxruntime sees it: no tensor in another file, no
operator outside the list, no custom domain, a cap on size. onnxruntime then loads those bytes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from ..checkpoint import CheckpointError
from ..policy import Contract, FieldTranslator

MAX_BYTES = 50_000_000
FORMAT = "daogym-policy-1"
ALLOWED_OPERATORS = frozenset(
    {
        "Add", "Cast", "Clip", "Concat", "Constant", "Div", "Elu", "Expand", "Flatten", "Gather",
        "Gemm", "Identity", "LeakyRelu", "MatMul", "Max", "Min", "Mul", "Neg", "Relu", "Reshape",
        "Shape", "Sigmoid", "Slice", "Softplus", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
    }
)  # fmt: skip
STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


class OnnxError(ValueError):
    """A file that is not accepted as a policy: says which file and why."""


class OnnxPolicy:
    """A policy file with a controller's face: ``reset(simulator)`` and ``act(simulator)``."""

    def __init__(self, data: bytes, name: str) -> None:
        self.name = name
        self.metadata = checked_metadata(data, name)
        try:
            self.contract = Contract.from_document(json.loads(self.metadata["contract"]), name)
            self._observations, self._actions = self.contract.observations, self.contract.actions
        except (CheckpointError, AttributeError, TypeError, ValueError) as error:
            raise OnnxError(f"{name}: its contract cannot be read: {error}") from error
        self.action_mode = self.contract.action_mode
        self._session = session(data, name)
        self._check_shapes(name)

    @classmethod
    def read(cls, path: Path) -> OnnxPolicy:
        """The policy of a file; `OnnxError` when it is not accepted."""
        return cls(read_capped(path), str(path))

    def act_physical(self, observations: NDArray[Any]) -> NDArray[np.float32]:
        """(N, obs_dim) in physical units to (N, action_dim) in physical units."""
        values = np.ascontiguousarray(observations, dtype=np.float32)
        (actions,) = self._session.run(None, {self._session.get_inputs()[0].name: values})
        return np.asarray(actions)

    def reset(self, simulator: Any) -> None:
        """Check that the simulator speaks the policy's fields."""
        FieldTranslator(
            simulator.observation_fields, self._observations, f"{self.name}: observation"
        )
        FieldTranslator(self._actions, simulator.action_fields, f"{self.name}: action")

    def act(self, simulator: Any) -> NDArray[np.float32]:
        """(N, action_dim) in [-1, 1] for all lanes."""
        physical = simulator.observation_fields.denormalise(simulator.observations)
        return np.asarray(simulator.action_fields.normalise(self.act_physical(physical)))

    def _check_shapes(self, where: str) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        shapes = [tuple(value.shape[1:]) for value in (*inputs, *outputs)]
        wanted = [(self._observations.size,), (self._actions.size,)]
        if len(inputs) != 1 or len(outputs) != 1 or shapes != wanted:
            raise OnnxError(
                f"{where}: one input (N, {wanted[0][0]}) and one output (N, {wanted[1][0]}) are "
                f"expected by its fields, got {shapes}"
            )


def read_capped(path: Path, limit: int | None = None) -> bytes:
    """The file's bytes; `OnnxError` when missing or above ``limit`` (default `MAX_BYTES`)."""
    limit = MAX_BYTES if limit is None else limit
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise OnnxError(f"{path}: cannot be read: {error.strerror}") from None
    if len(data) > limit:
        raise OnnxError(f"{path}: larger than {limit:,} bytes, which no policy needs")
    return data


def session(data: bytes, where: str) -> onnxruntime.InferenceSession:
    """An onnxruntime session on one thread, from bytes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise OnnxError(f"{where}: onnxruntime refuses it: {error}") from error


def checked_metadata(data: bytes, where: str) -> dict[str, str]:
    """Metadata of a model that holds nothing but its own tensors and allowed operators.

    Raises `OnnxError` naming what is not accepted.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise OnnxError(f"{where}: not an ONNX file ({type(error).__name__})") from None
    domains = {opset.domain for opset in model.opset_import} - STANDARD_DOMAINS
    if domains:
        raise OnnxError(f"{where}: operator domains {sorted(domains)} are not accepted")
    if model.functions:
        raise OnnxError(f"{where}: model-local functions are not accepted")
    _check_graph(model.graph, where)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if metadata.get("format") != FORMAT or "contract" not in metadata:
        raise OnnxError(
            f"{where}: metadata 'format' is {metadata.get('format')!r}, expected {FORMAT!r}; "
            "export.py writes such files"
        )
    return metadata


def _check_graph(graph: onnx.GraphProto, where: str) -> None:
    if graph.sparse_initializer:
        raise OnnxError(f"{where}: sparse tensors are not accepted")
    for tensor in graph.initializer:
        _check_tensor(tensor, where)
    for node in graph.node:
        if node.domain not in STANDARD_DOMAINS or node.op_type not in ALLOWED_OPERATORS:
            full = f"{node.domain}::{node.op_type}" if node.domain else node.op_type
            raise OnnxError(
                f"{where}: operator {full} is not accepted; accepted are "
                f"{', '.join(sorted(ALLOWED_OPERATORS))}"
            )
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise OnnxError(f"{where}: operator {node.op_type} holds a graph of its own")
            for tensor in (*([attribute.t] if attribute.HasField("t") else []), *attribute.tensors):
                _check_tensor(tensor, where)


def _check_tensor(tensor: onnx.TensorProto, where: str) -> None:
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise OnnxError(f"{where}: tensor {tensor.name!r} lies in another file; not accepted")
