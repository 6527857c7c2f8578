"""Checkpoints: the complete state of a training run in one file that a crash cannot spoil.

One safetensors file holds every array (weights, Adam, `_last_obs`, random states, simulator
snapshot); its metadata holds one JSON document with counters and scalars. Nothing is pickled, so
a checkpoint from a stranger can be read. A file is written under a temporary name, flushed to the
disk and renamed: a reader sees the old checkpoint or the new one, never half of one.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from .learner import Learner

FORMAT = 1
KEY = "daogym"
Arrays = dict[str, NDArray[Any]]


class CheckpointError(ValueError):
    """A file that is not what it should be: says which, what came and what was expected."""


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` to ``path``: after a crash the file is the old one or the new one."""
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_tensors(path: Path, arrays: Mapping[str, NDArray[Any]], document: Any) -> None:
    """One safetensors file of ``arrays``, with ``document`` as JSON in its metadata."""
    contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # One key only: safetensors writes several in an order of its own, and equal states should be
    # equal files.
    metadata = {KEY: json.dumps({"format": FORMAT, "document": document})}
    write_atomically(path, safetensors.numpy.save(contiguous, metadata=metadata))


def read_tensors(path: Path) -> tuple[Arrays, Any]:
    """Arrays and JSON document of a file of `write_tensors`.

    Raises `CheckpointError` if the file is missing, is not safetensors, or has another format.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path}: not a safetensors file ({error}); only safetensors is read, never pickle"
        ) from error
    try:
        content = json.loads(metadata[KEY])
        found, document = content["format"], content["document"]
    except (KeyError, TypeError, ValueError):
        raise CheckpointError(
            f"{path}: safetensors without daogym's document in the metadata; a file written by "
            "this project is expected"
        ) from None
    if found != FORMAT:
        raise CheckpointError(f"{path}: format {found!r}, expected {FORMAT!r}")
    return arrays, document


def random_states() -> tuple[Arrays, dict[str, Any]]:
    """The global random states of Python, NumPy and torch, which SB3's sampling draws from."""
    version, internal, gauss_next = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)  # noqa: NPY002
    arrays: Arrays = {
        "random/python": np.array(internal, dtype=np.uint64),
        "random/numpy": np.asarray(keys, dtype=np.uint32),
        "random/torch": torch.get_rng_state().numpy().copy(),
    }
    scalars = {
        "python": {"version": version, "gauss_next": gauss_next},
        "numpy": {
            "name": str(name),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "cached_gaussian": float(cached),
        },
    }
    return arrays, scalars


def set_random_states(arrays: Mapping[str, NDArray[Any]], scalars: Mapping[str, Any]) -> None:
    """Put back what `random_states` returned."""
    python = scalars["python"]
    internal = tuple(int(word) for word in arrays["random/python"])
    random.setstate((python["version"], internal, python["gauss_next"]))
    legacy = scalars["numpy"]
    np.random.set_state(  # noqa: NPY002
        (
            legacy["name"],
            arrays["random/numpy"],
            legacy["position"],
            legacy["has_gauss"],
            legacy["cached_gaussian"],
        )
    )
    torch.set_rng_state(torch.from_numpy(arrays["random/torch"].copy()))


def learner_state(model: Learner) -> tuple[Arrays, dict[str, Any]]:
    """Everything of a learner that its next rollout depends on.

    Valid between two rollouts only (the rollout buffer is empty then).
    """
    arrays: Arrays = {}
    for name, tensor in model.policy.state_dict().items():
        arrays[f"policy/{name}"] = tensor.detach().cpu().numpy().copy()
    groups = _adam_state(model.policy.optimizer, "adam/", arrays)
    for name, module in model.extra_modules.items():
        for key, tensor in module.state_dict().items():
            arrays[f"extra/{name}/{key}"] = tensor.detach().cpu().numpy().copy()
    extra_groups = {
        name: _adam_state(optimizer, f"extra_adam/{name}/", arrays)
        for name, optimizer in model.extra_optimizers.items()
    }
    if isinstance(model._last_obs, dict):
        for key, array in model._last_obs.items():
            arrays[f"last_obs/{key}"] = np.array(array)
    else:
        arrays["last_obs"] = np.array(model._last_obs)
    arrays["last_episode_starts"] = np.array(model._last_episode_starts, dtype=bool)
    random_arrays, random_scalars = random_states()
    arrays.update(random_arrays)
    assert model.ep_info_buffer is not None
    log = model.logger
    scalars = {
        "num_timesteps": int(model.num_timesteps),
        "total_timesteps": int(model._total_timesteps),
        "n_updates": int(getattr(model, "_n_updates", 0)),
        "progress_remaining": float(model._current_progress_remaining),
        "adam_groups": groups,
        "extra_adam_groups": extra_groups,
        "random": random_scalars,
        "episodes": [
            {key: float(value) for key, value in entry.items()} for entry in model.ep_info_buffer
        ],
        # Values that the last update recorded and the next dump will write.
        "pending_log": [
            [key, value if isinstance(value, int) else float(value), log.name_to_excluded[key]]
            for key, value in log.name_to_value.items()
        ],
    }
    return arrays, scalars


def _adam_state(
    optimizer: torch.optim.Optimizer, prefix: str, arrays: Arrays
) -> list[dict[str, Any]]:
    """Put an optimiser's moments into ``arrays``; returns its groups' settings."""
    state = optimizer.state_dict()
    for index, slots in state["state"].items():
        for slot, value in slots.items():
            arrays[f"{prefix}{index}/{slot}"] = torch.as_tensor(value).cpu().numpy().copy()
    return [
        {key: value for key, value in group.items() if key != "params"}
        for group in state["param_groups"]
    ]


def restore_learner(
    model: Learner, arrays: Mapping[str, NDArray[Any]], scalars: Mapping[str, Any]
) -> None:
    """Put a state of `learner_state` into a freshly constructed learner of the same settings.

    Raises `CheckpointError` naming the tensor when names, shapes or types differ.
    """
    _restore_module(model.policy, arrays, "policy/", "the policy's")
    _restore_adam(model.policy.optimizer, arrays, "adam/", scalars["adam_groups"])
    for name, module in model.extra_modules.items():
        _restore_module(module, arrays, f"extra/{name}/", f"of the {name.replace('_', ' ')} the")
    for name, optimizer in model.extra_optimizers.items():
        groups = scalars.get("extra_adam_groups", {}).get(name, [])
        _restore_adam(optimizer, arrays, f"extra_adam/{name}/", groups)
    space = model.observation_space
    if isinstance(space, spaces.Dict):
        model._last_obs = {
            key: _last_observations(model, arrays, f"last_obs/{key}", part.shape)
            for key, part in space.spaces.items()
        }
    else:
        model._last_obs = _last_observations(model, arrays, "last_obs", space.shape)
    model._last_episode_starts = arrays["last_episode_starts"].copy()
    model.num_timesteps = scalars["num_timesteps"]
    model._n_updates = scalars["n_updates"]
    model._current_progress_remaining = scalars["progress_remaining"]
    model.ep_info_buffer = deque(scalars["episodes"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(maxlen=model._stats_window_size)
    for key, value, excluded in scalars["pending_log"]:
        model.logger.record(key, value, exclude=excluded)
    set_random_states(arrays, scalars["random"])


def _last_observations(
    model: OnPolicyAlgorithm,
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    shape: tuple[int, ...] | None,
) -> NDArray[Any]:
    observations = arrays.get(name, np.empty(0))
    expected = (model.n_envs, *(shape or ()))
    if observations.shape != expected:
        raise CheckpointError(
            f"checkpoint: {name} has shape {observations.shape}, the environment gives {expected}"
        )
    # torch's allocator aligns to 64 bytes: matrix products may round differently otherwise.
    return np.asarray(torch.tensor(observations).numpy())


def _restore_module(
    module: torch.nn.Module, arrays: Mapping[str, NDArray[Any]], prefix: str, whose: str
) -> None:
    saved = _under(arrays, prefix)
    own = module.state_dict()
    if set(saved) != set(own):
        raise CheckpointError(
            f"checkpoint: {whose} tensors are {sorted(saved)}, expected {sorted(own)}"
        )
    for name, tensor in own.items():
        if tuple(tensor.shape) != saved[name].shape:
            raise CheckpointError(
                f"checkpoint: tensor {name!r} has shape {saved[name].shape}, "
                f"expected {tuple(tensor.shape)}"
            )
    module.load_state_dict({name: torch.tensor(value) for name, value in saved.items()})


def _restore_adam(
    optimizer: torch.optim.Optimizer,
    arrays: Mapping[str, NDArray[Any]],
    prefix: str,
    groups: list[dict[str, Any]],
) -> None:
    template = optimizer.state_dict()
    if len(groups) != len(template["param_groups"]):
        raise CheckpointError(
            f"checkpoint: {len(groups)} optimiser groups, expected {len(template['param_groups'])}"
        )
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in _under(arrays, prefix).items():
        index, slot = key.split("/")
        state.setdefault(int(index), {})[slot] = torch.tensor(value)
    merged = [
        {**own, **saved, "params": own["params"]}
        for own, saved in zip(template["param_groups"], groups, strict=True)
    ]
    for group, own in zip(merged, template["param_groups"], strict=True):
        group["betas"] = tuple(group["betas"])
        unknown = set(group) - set(own)
        if unknown:
            raise CheckpointError(f"checkpoint: unknown optimiser settings {sorted(unknown)}")
    optimizer.load_state_dict({"state": state, "param_groups": merged})


def _under(arrays: Mapping[str, NDArray[Any]], prefix: str) -> Arrays:
    return {name[len(prefix) :]: array for name, array in arrays.items() if name.startswith(prefix)}
