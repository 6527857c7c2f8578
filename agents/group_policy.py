"""The policies of a run on several agents: one deterministic network a group, in one file.

A `GroupPolicy` plays a domain's simulator like any controller: it asks `domain.as_agents` what
each agent sees, lets each group's network act for its agents, and composes the action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import ActorCriticPolicy

from daogym.envs.core.multi_agent import AgentLayout, AgentsView

from .checkpoint import CheckpointError, read_tensors, write_tensors
from .policy import (
    Actor,
    Contract,
    FieldTranslator,
    TorchPolicy,
    actor_from,
    contract_of,
    load_policy,
)

Float32 = NDArray[np.float32]
Act = Callable[[Float32], Float32]
"""Normalised observations (M, size) of agents of a group to their normalised actions (M, size)."""


def group_contracts(view: Any, training_hash: str) -> dict[str, Contract]:
    """What each group's numbers mean, by name of the group."""
    layout = AgentLayout(view.agents, view.groups)
    whole = asdict(contract_of(view.simulator, training_hash))
    return {
        group.name: Contract(
            **{
                **whole,
                "id": f"{whole['id']}:{group.name}",
                "observation_fields": layout.policy_fields(number).to_json(),
                "action_fields": group.action_fields.to_json(),
            }
        )
        for number, group in enumerate(layout.groups)
    }


def tensor_names(group: int, n_groups: int) -> tuple[str, str]:
    """How a `MultiAgentPolicy` names the hidden layers and the head of a group's actor."""
    if n_groups == 1:
        return "mlp_extractor.policy_net.", "action_net"
    return f"mlp_extractor.policy_net.networks.{group}.", f"action_net.networks.{group}"


def group_actors(policy: ActorCriticPolicy, n_groups: int) -> list[Actor]:
    """The actors of a `MultiAgentPolicy`, one a group; they share its parameters."""
    hidden, heads = policy.mlp_extractor.policy_net, policy.action_net
    if n_groups == 1:
        return [Actor(hidden, heads)]
    return [
        Actor(network, head)
        for network, head in zip(hidden.networks, heads.networks, strict=True)  # type: ignore[arg-type]
    ]


def torch_act(actor: Actor) -> Act:
    """An actor as a function of arrays."""

    def act(observations: Float32) -> Float32:
        with torch.no_grad():
            return np.asarray(actor(torch.from_numpy(observations)).numpy())

    return act


class GroupPolicy:
    """Networks of several groups with a controller's face: ``reset(simulator)``,
    ``act(simulator)``.

    Attributes:
        view: the agents it acts for, from `reset` on.
    """

    def __init__(self, name: str, contracts: dict[str, Contract], acts: Sequence[Act]) -> None:
        self.name, self.contracts, self.acts = name, contracts, tuple(acts)
        self.contract = next(iter(contracts.values()))
        self.action_mode = self.contract.action_mode
        self.view: AgentsView | None = None

    def reset(self, simulator: Any) -> None:
        """Check that the simulator has these groups and speaks their fields.

        Raises `ValueError` naming what differs.
        """
        if not hasattr(simulator.domain, "as_agents"):
            raise ValueError(f"{self.name}: the domain {simulator.domain.name!r} has no agents")
        view = simulator.domain.as_agents(simulator)
        self._layout = layout = AgentLayout(view.agents, view.groups)
        names = [group.name for group in layout.groups]
        if names != list(self.contracts):
            raise ValueError(
                f"{self.name}: its groups are {list(self.contracts)}, the scenario's {names}"
            )
        self._translators = []
        for number, (name, contract) in enumerate(self.contracts.items()):
            fields = layout.policy_fields(number)
            where = f"{self.name}, group {name}"
            self._translators.append(
                (
                    FieldTranslator(fields, contract.observations, f"{where}: observation"),
                    FieldTranslator(
                        contract.actions, layout.groups[number].action_fields, f"{where}: action"
                    ),
                )
            )
        self.view = view

    def act(self, simulator: Any) -> Float32:
        """(N, action_dim) in [-1, 1] of the simulator, for all lanes; absent agents act with 0."""
        view: Any = self.view
        assert view is not None and view.simulator is simulator, "reset() comes first"
        layout, n = self._layout, simulator.num_envs
        actions = np.zeros((n, layout.n_agents, layout.action_size), dtype=np.float32)
        for group, (act, (seen, done)) in enumerate(zip(self.acts, self._translators, strict=True)):
            members = np.flatnonzero(layout.group_of == group)
            found = done(act(seen(layout.policy_observations(view.observations, group))))
            actions[:, members, : found.shape[1]] = found.reshape(n, len(members), -1)
        actions[~view.alive] = 0.0
        return np.asarray(view.compose(actions))


class GroupKeeper:
    """How the policies of a `MultiAgentPolicy` are saved, and how they act in evaluations."""

    def __init__(self, view: Any, training_hash: str, activation: str) -> None:
        self.contracts = group_contracts(view, training_hash)
        self.activation = activation
        self.scenario_hash = str(view.simulator.scenario_hash)

    def save(self, path: Path, policy: ActorCriticPolicy, steps: int) -> None:
        """Write all weights, critics included, and the contract of every group."""
        arrays = {name: tensor.detach().numpy() for name, tensor in policy.state_dict().items()}
        # A list: JSON objects have no order to rely on.
        contracts = [[name, asdict(contract)] for name, contract in self.contracts.items()]
        document = {"groups": contracts, "activation": self.activation, "steps": steps}
        write_tensors(path, arrays, document)

    def acting(self, policy: ActorCriticPolicy) -> GroupPolicy:
        """A controller that shares the policy's parameters."""
        actors = group_actors(policy, len(self.contracts))
        return GroupPolicy("policy", self.contracts, [torch_act(actor) for actor in actors])


def load_groups(path: Path) -> list[tuple[str, Actor, Contract]]:
    """Name, actor and contract of each group of a file of `GroupKeeper.save`.

    Raises `CheckpointError` when it is no such file or its tensors do not fit its fields.
    """
    arrays, document = read_tensors(path)
    if not isinstance(document, dict) or set(document) != {"groups", "activation", "steps"}:
        raise CheckpointError(f"{path}: not a file of several policies")
    found = []
    for number, (name, contract_document) in enumerate(document["groups"]):
        contract = Contract.from_document(contract_document, str(path))
        names = tensor_names(number, len(document["groups"]))
        actor = actor_from(arrays, contract, document["activation"], names, path)
        found.append((str(name), actor, contract))
    return found


def holds_groups(path: Path) -> bool:
    """Whether a policy file is one of several groups."""
    document = read_tensors(path)[1]
    return isinstance(document, dict) and "groups" in document


def load_controller(path: Path, name: str) -> TorchPolicy | GroupPolicy:
    """Who acts by a policy file of either kind."""
    if not holds_groups(path):
        return TorchPolicy(name, *load_policy(path))
    groups = load_groups(path)
    contracts = {group: contract for group, _, contract in groups}
    return GroupPolicy(name, contracts, [torch_act(actor) for _, actor, _ in groups])
