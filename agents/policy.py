"""The policy as a thing of its own: a deterministic network with its contract, kept in safetensors.

A policy file holds the weights and what they mean: fields with units and bounds, meaning of the
action, hash of the scenario and of the training settings. It needs no learner to be used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from daogym.envs.core.fields import FieldSet

from .checkpoint import CheckpointError, read_tensors, write_tensors
from .ppo import ACTIVATIONS


@dataclass(frozen=True)
class Contract:
    """What a policy's numbers mean.

    Attributes:
        id: name of the scenario or of the registered environment.
        scenario_hash: names the dynamics that it was trained on.
        training_hash: names the settings that it was trained with.
        action_mode: meaning of an action.
        step_minutes: length of one decision step.
        observation_fields, action_fields: JSON of `FieldSet.to_json`.
    """

    id: str
    scenario_hash: str
    training_hash: str
    action_mode: str
    step_minutes: float
    observation_fields: str
    action_fields: str

    @property
    def observations(self) -> FieldSet:
        """The fields of an observation."""
        return FieldSet.from_json(self.observation_fields)

    @property
    def actions(self) -> FieldSet:
        """The fields of an action."""
        return FieldSet.from_json(self.action_fields)

    @classmethod
    def from_document(cls, document: Mapping[str, Any], where: str) -> Contract:
        """Read what `dataclasses.asdict` wrote; `CheckpointError` names ``where`` and the keys."""
        wanted = set(cls.__dataclass_fields__)
        if set(document) != wanted:
            raise CheckpointError(
                f"{where}: the contract has keys {sorted(document)}, expected {sorted(wanted)}"
            )
        return cls(**document)


class Actor(torch.nn.Module):
    """Normalised observations (N, obs_dim) to mean actions (N, action_dim) in [-1, 1]."""

    def __init__(self, policy_net: torch.nn.Module, action_net: torch.nn.Module) -> None:
        super().__init__()
        self.policy_net = policy_net
        self.action_net = action_net

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Deterministic head: no sampling, no distribution object, so that it can be exported."""
        return torch.clamp(self.action_net(self.policy_net(observations)), -1.0, 1.0)


def actor_of(policy: ActorCriticPolicy) -> Actor:
    """The actor of an SB3 policy; shares its parameters."""
    return Actor(policy.mlp_extractor.policy_net, policy.action_net)


def save_policy(
    path: Path, policy: ActorCriticPolicy, contract: Contract, activation: str, steps: int
) -> None:
    """Write a policy file: all weights of ``policy`` (critic included) and its contract."""
    arrays = {name: tensor.detach().numpy() for name, tensor in policy.state_dict().items()}
    document = {"contract": asdict(contract), "activation": activation, "steps": steps}
    write_tensors(path, arrays, document)


def load_policy(path: Path) -> tuple[Actor, Contract]:
    """Read a file of `save_policy`.

    Raises `CheckpointError` when it is no such file or its tensors do not fit its fields.
    """
    arrays, document = read_tensors(path)
    if not isinstance(document, dict) or set(document) != {"contract", "activation", "steps"}:
        raise CheckpointError(f"{path}: not a policy file (its document is of another kind)")
    contract = Contract.from_document(document["contract"], str(path))
    names = ("mlp_extractor.policy_net.", "action_net")
    return actor_from(arrays, contract, document["activation"], names, path), contract


def actor_from(
    arrays: Mapping[str, NDArray[Any]],
    contract: Contract,
    activation_name: str,
    names: tuple[str, str],
    path: Path,
) -> Actor:
    """The actor whose hidden layers' tensors begin with ``names[0]`` and whose head's are named
    ``names[1]``; `CheckpointError` when they do not fit the contract."""
    if activation_name not in ACTIVATIONS:
        raise CheckpointError(
            f"{path}: activation {activation_name!r}, expected one of {sorted(ACTIVATIONS)}"
        )
    activation = ACTIVATIONS[activation_name]
    layers: list[torch.nn.Module] = []
    width = contract.observations.size
    prefix, head_name = names
    numbers = sorted({int(name[len(prefix) :].split(".")[0]) for name in arrays if prefix in name})
    for number in numbers:
        layers += [_linear(arrays, f"{prefix}{number}", width, path), activation()]
        width = layers[-2].out_features  # type: ignore[assignment]
    head = _linear(arrays, head_name, width, path)
    if head.out_features != contract.actions.size:
        raise CheckpointError(
            f"{path}: {head.out_features} outputs, its action fields have {contract.actions.size}"
        )
    return Actor(torch.nn.Sequential(*layers), head).eval()


def _linear(
    arrays: Mapping[str, NDArray[Any]], name: str, inputs: int, path: Path
) -> torch.nn.Linear:
    weight, bias = arrays.get(f"{name}.weight"), arrays.get(f"{name}.bias")
    if weight is None or bias is None or weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise CheckpointError(f"{path}: tensors {name}.weight and .bias are missing or malformed")
    if weight.shape[1] != inputs:
        raise CheckpointError(f"{path}: {name} takes {weight.shape[1]} inputs, expected {inputs}")
    layer = torch.nn.Linear(inputs, weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(weight))
        layer.bias.copy_(torch.tensor(bias))
    return layer


class FieldTranslator:
    """Normalised numbers of one declaration of fields to those of another with other bounds.

    Scenarios of one kind share names and units while their bounds may differ.
    Raises `ValueError` naming the first field that differs in name or unit.
    """

    def __init__(self, source: FieldSet, target: FieldSet, what: str) -> None:
        self.source, self.target = source, target
        if (source.names, source.units) != (target.names, target.units):
            pairs = zip(
                zip(source.names, source.units, strict=True),
                zip(target.names, target.units, strict=True),
                strict=False,
            )
            number, (come, wanted) = next(
                ((i, pair) for i, pair in enumerate(pairs) if pair[0] != pair[1]),
                (min(source.size, target.size), (None, None)),
            )
            raise ValueError(
                f"{what}: the fields differ ({source.size} and {target.size} numbers), first at "
                f"number {number}: {come} against {wanted}"
            )
        same = np.array_equal(source.low, target.low) and np.array_equal(source.high, target.high)
        self.identity = bool(same)

    def __call__(self, normalised: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N, size) in [-1, 1] of the source's bounds to the target's, clipped."""
        if self.identity:
            return normalised
        return self.target.normalise(self.source.denormalise(normalised))


class TorchPolicy:
    """A policy with a controller's face: ``reset(simulator)`` and ``act(simulator)``."""

    def __init__(self, name: str, actor: Actor, contract: Contract) -> None:
        self.name, self.actor, self.contract = name, actor, contract
        self.action_mode = contract.action_mode
        self._observation: FieldTranslator | None = None
        self._action: FieldTranslator | None = None

    def reset(self, simulator: Any) -> None:
        """Check that the simulator speaks the policy's fields."""
        self._observation = FieldTranslator(
            simulator.observation_fields, self.contract.observations, f"{self.name}: observation"
        )
        self._action = FieldTranslator(
            self.contract.actions, simulator.action_fields, f"{self.name}: action"
        )

    def act(self, simulator: Any) -> NDArray[np.float32]:
        """(N, action_dim) in [-1, 1] for all lanes; draws no random number."""
        assert self._observation is not None and self._action is not None, "reset() comes first"
        observations = torch.as_tensor(self._observation(simulator.observations))
        with torch.no_grad():
            actions: NDArray[np.float32] = self.actor(observations).numpy()
        return self._action(actions)


def contract_of(simulator: Any, training_hash: str) -> Contract:
    """The contract of a policy that learns on ``simulator``."""
    return Contract(
        id=str(simulator.scenario.name),
        scenario_hash=simulator.scenario_hash,
        training_hash=training_hash,
        action_mode=simulator.domain.action_mode,
        step_minutes=float(simulator.scenario.step_minutes),
        observation_fields=simulator.observation_fields.to_json(),
        action_fields=simulator.action_fields.to_json(),
    )


class PolicyKeeper:
    """How a learner's policy is saved, and how it acts in evaluations."""

    def __init__(self, contract: Contract, activation: str) -> None:
        self.contract, self.activation = contract, activation
        self.scenario_hash = contract.scenario_hash

    def save(self, path: Path, policy: ActorCriticPolicy, steps: int) -> None:
        """Write a policy file."""
        save_policy(path, policy, self.contract, self.activation, steps)

    def acting(self, policy: ActorCriticPolicy) -> Any:
        """A controller that shares the policy's parameters."""
        return TorchPolicy("policy", actor_of(policy), self.contract)
