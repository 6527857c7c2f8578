"""Training without some of the fields: how much is an observation worth?

The first layers' weights of a hidden field are 0 and stay 0, for actor and critic. So the policy
keeps its declared fields, runs and is exported like any other, and costs nothing more.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.strict import ConfigError


def seen_numbers(fields: FieldSet, hidden: Sequence[str]) -> torch.Tensor:
    """(observation size,) 1 for every number of an observation, 0 for those of hidden fields.

    Raises:
        ConfigError: no field has such a name; it names the nearest one.
    """
    seen = torch.ones(fields.size)
    for name in hidden:
        if name not in fields:
            near = difflib.get_close_matches(name, [field.name for field in fields], 1, 0.0)
            raise ConfigError(
                "training", "hidden_fields",
                f"the observation has no field {name!r}; did you mean {near[0]!r}?",
            )  # fmt: skip
        seen[fields.slice(name)] = 0.0
    return seen


def hide_fields(policy: ActorCriticPolicy, seen: torch.Tensor) -> None:
    """Make ``policy`` blind to the numbers that are 0 in ``seen``."""
    if bool((seen == 1.0).all()):
        return
    for network in (policy.mlp_extractor.policy_net, policy.mlp_extractor.value_net):
        hide_from(network, seen)


def hide_from(network: torch.nn.Module, seen: torch.Tensor) -> None:
    """Make a network on observations blind to the numbers that are 0 in ``seen``."""
    if bool((seen == 1.0).all()):
        return
    weight = next(network.parameters())
    with torch.no_grad():
        weight.mul_(seen)
    # Adam leaves a weight alone whose gradient has always been 0.
    weight.register_hook(lambda gradient: gradient * seen)
