"""Files of a run: whole or absent, exact, and never code."""

from __future__ import annotations

import ast
import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from daogym.agents import checkpoint
from daogym.agents.checkpoint import (
    CheckpointError,
    random_states,
    read_tensors,
    set_random_states,
    write_atomically,
    write_tensors,
)
from daogym.agents.comparison import load_target
from daogym.agents.policy import load_policy

ROOT = Path(__file__).resolve().parents[2]


def test_arrays_of_every_kind_come_back_exactly(tmp_path: Path) -> None:
    arrays = {
        "scalar": np.array(3.5, dtype=np.float32),
        "empty": np.zeros((0, 3)),
        "turned": np.arange(12.0).reshape(3, 4).T,
        "strided": np.arange(20)[::3],
        "flags": np.array([True, False]),
        "words": np.array([2**64 - 1], dtype=np.uint64),
        "nan": np.array([np.nan, -0.0, np.inf]),
    }
    write_tensors(tmp_path / "f", arrays, {"a": [1, 2.5, None, "x"], "pi": np.pi})
    back, document = read_tensors(tmp_path / "f")
    assert document == {"a": [1, 2.5, None, "x"], "pi": np.pi}
    assert back.keys() == arrays.keys()
    for name, array in arrays.items():
        assert back[name].dtype == array.dtype and back[name].shape == array.shape
        assert back[name].tobytes() == array.tobytes()


def test_equal_states_are_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_tensors(tmp_path / name, {"y": np.ones(3), "x": np.zeros(2)}, {"k": 1})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(st.integers(0, 2**32 - 1), st.integers(0, 700))
def test_random_states_come_back(seed: int, drawn: int) -> None:
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)

    def draw() -> tuple[Any, ...]:
        return (
            random.gauss(0, 1),
            random.random(),
            np.random.standard_normal(3).tolist(),  # noqa: NPY002
            np.random.permutation(5).tolist(),  # noqa: NPY002
            torch.randn(3).tolist(),
        )

    for _ in range(drawn % 5):
        draw()
    arrays, scalars = random_states()
    scalars = json.loads(json.dumps(scalars))
    expected = [draw() for _ in range(3)]
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    set_random_states(arrays, scalars)
    assert [draw() for _ in range(3)] == expected


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(checkpoint.os, failing, fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomically(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


class _Trap:
    """Unpickling this creates a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (open, (self.path, "w"))


@pytest.mark.parametrize("writer", ["pickle", "torch", "numpy", "noise", "empty"])
def test_a_stranger_s_file_is_refused_and_runs_nothing(tmp_path: Path, writer: str) -> None:
    sprung = tmp_path / "sprung"
    trap = _Trap(str(sprung))
    path = tmp_path / "policy_best.safetensors"
    if writer == "pickle":
        path.write_bytes(pickle.dumps(trap))
    elif writer == "torch":
        torch.save({"w": trap}, path)
    elif writer == "numpy":
        with path.open("wb") as file:
            np.savez(file, w=np.array([trap], dtype=object))
    else:
        path.write_bytes(b"\xff" * 64 if writer == "noise" else b"")
    (tmp_path / "config.yaml").write_text("seed: 0\n")
    for read in (read_tensors, load_policy, lambda p: load_target(str(p.parent))):
        with pytest.raises(CheckpointError, match=r"policy_best\.safetensors: .*safetensors"):
            read(path)
    assert not sprung.exists()


def test_files_of_another_kind_are_named(tmp_path: Path) -> None:
    write_tensors(tmp_path / "f", {"w": np.zeros(1)}, {"something": "else"})
    with pytest.raises(CheckpointError, match="not a policy file"):
        load_policy(tmp_path / "f")
    with pytest.raises(CheckpointError, match="no such file"):
        load_policy(tmp_path / "g")
    import safetensors.numpy

    safetensors.numpy.save_file({"w": np.zeros(1)}, tmp_path / "h", metadata={"x": "y"})
    with pytest.raises(CheckpointError, match="without daogym's document"):
        read_tensors(tmp_path / "h")


def test_no_source_of_the_project_unpickles() -> None:
    """Names that run a pickle's code: none is imported or called by agents or entry points."""
    forbidden = {"pickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
    calls = {("torch", "load"), ("th", "load"), ("np", "load"), ("numpy", "load"), ("PPO", "load")}
    sources = [*ROOT.glob("agents/**/*.py"), *(ROOT / f"{n}.py" for n in ("train", "evaluate"))]
    assert len(sources) > 15
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Import):
                assert not {a.name.split(".")[0] for a in node.names} & forbidden, source
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in forbidden, source
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                assert (node.value.id, node.attr) not in calls, (source, node.lineno)
