"""Policies on ``{obs, state}``: the actor reads ``obs`` alone, the critic what it is told to.

One policy a group of agents: in a batch of rows, each row goes through the networks of its group,
which the last columns of ``obs`` name (see `MultiAgentVecEnv`).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

from daogym.envs.core.multi_agent import AgentLayout


class OneKey(BaseFeaturesExtractor):
    """The array of one key of a Dict observation, followed by those columns of another that name
    the row's group."""

    def __init__(self, observation_space: spaces.Dict, key: str, groups: int) -> None:
        super().__init__(observation_space, int(np.prod(observation_space[key].shape or (1,))))
        self.key, self.groups = key, groups if key != "obs" else 0
        self._features_dim += self.groups

    def forward(self, observations: dict[str, torch.Tensor]) -> torch.Tensor:
        """(M, features)."""
        features = observations[self.key]
        if self.groups:
            features = torch.cat([features, observations["obs"][:, -self.groups :]], dim=1)
        return features


class ByGroup(torch.nn.Module):
    """Networks of G groups side by side: (M, inputs + G) to (M, outputs + G), each row through
    the network that its last G columns name, which are handed on."""

    def __init__(self, networks: Sequence[torch.nn.Module], widths: Sequence[int]) -> None:
        super().__init__()
        self.networks = torch.nn.ModuleList(networks)
        self.widths = tuple(widths)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Rows of other groups cost nothing: each network sees its own only."""
        groups = len(self.networks)
        named = inputs[:, -groups:]
        parts, places = [], []
        for group, (network, width) in enumerate(zip(self.networks, self.widths, strict=True)):
            rows = torch.nonzero(named[:, group] > 0.5)[:, 0]
            parts.append(network(inputs.index_select(0, rows)[:, :width]))
            places.append(rows)
        widest = max(part.shape[1] for part in parts)
        padded = [torch.nn.functional.pad(part, (0, widest - part.shape[1])) for part in parts]
        order = torch.argsort(torch.cat(places))
        return torch.cat([torch.cat(padded).index_select(0, order), named], dim=1)


class _ValueHead(torch.nn.Module):
    """(M, 1) of a `ByGroup`, without the columns that name the group."""

    def __init__(self, heads: ByGroup) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        return self.heads(latent)[:, :1]


class GroupedGaussian(DiagGaussianDistribution):
    """Gaussian actions of rows of several groups, whose last G columns name the group.

    Numbers that a group's action does not have count neither in the likelihood nor in the entropy.
    """

    def __init__(self, action_dim: int, sizes: Sequence[int]) -> None:
        super().__init__(action_dim)
        self.groups = len(sizes)
        used = [[1.0] * size + [0.0] * (action_dim - size) for size in sizes]
        self.used = torch.tensor(used)

    def proba_distribution(self, mean_actions: torch.Tensor, log_std: torch.Tensor) -> Any:
        """Means (M, K + G) and log standard deviations (G, K)."""
        named = mean_actions[:, -self.groups :]
        means = mean_actions[:, : self.action_dim]
        self.counted = named @ self.used
        self.distribution = torch.distributions.Normal(means, (named @ log_std).exp())
        return self

    def log_prob(self, actions: torch.Tensor) -> torch.Tensor:
        """(M,)."""
        return (self.distribution.log_prob(actions) * self.counted).sum(dim=1)

    def entropy(self) -> torch.Tensor:
        """(M,)."""
        return (self.distribution.entropy() * self.counted).sum(dim=1)


def _perceptron(inputs: int, widths: Sequence[int], activation: Any) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for width in widths:
        layers += [torch.nn.Linear(inputs, width), activation()]
        inputs = width
    return torch.nn.Sequential(*layers)


class ActorAndCritic(torch.nn.Module):
    """Separate networks of actor and critic, on inputs of different widths."""

    def __init__(
        self,
        actor: torch.nn.Module,
        critic: torch.nn.Module,
        latent_dim_pi: int,
        latent_dim_vf: int,
    ) -> None:
        super().__init__()
        self.policy_net, self.value_net = actor, critic
        self.latent_dim_pi, self.latent_dim_vf = latent_dim_pi, latent_dim_vf

    def forward_actor(self, features: torch.Tensor) -> torch.Tensor:
        """What the action head reads."""
        return self.policy_net(features)

    def forward_critic(self, features: torch.Tensor) -> torch.Tensor:
        """What the value head reads."""
        return self.value_net(features)


class MultiAgentPolicy(ActorCriticPolicy):
    """SB3's actor-critic policy on ``{obs, state}``.

    Args:
        critic_key: "state" for a central critic (MAPPO: Yu et al. 2022), "obs" for one that knows
            what the actor knows (IPPO: de Witt et al. 2020).
        layout: who the agents are; none: one group that uses all of ``obs`` and all actions.
    """

    def __init__(
        self,
        observation_space: spaces.Dict,
        action_space: spaces.Space[Any],
        lr_schedule: Any,
        *arguments: Any,
        critic_key: str = "state",
        layout: AgentLayout | None = None,
        **options: Any,
    ) -> None:
        if critic_key not in observation_space.spaces:
            raise ValueError(
                f"critic_key: one of {sorted(observation_space.spaces)} expected, "
                f"got {critic_key!r}"
            )
        self.critic_key, self.layout = critic_key, layout
        self.n_groups = 1 if layout is None else len(layout.groups)
        self._made = 0
        options |= {"share_features_extractor": False, "features_extractor_class": OneKey}
        super().__init__(observation_space, action_space, lr_schedule, *arguments, **options)

    def make_features_extractor(self) -> BaseFeaturesExtractor:
        """SB3 asks twice: for the actor, then for the critic."""
        self._made += 1
        key = "obs" if self._made == 1 else self.critic_key
        groups = self.n_groups if self.n_groups > 1 else 0
        assert isinstance(self.observation_space, spaces.Dict)
        return OneKey(self.observation_space, key, groups)

    def _build_mlp_extractor(self) -> None:
        assert isinstance(self.net_arch, dict)
        actor, critic = self.net_arch["pi"], self.net_arch["vf"]
        pi, vf = self.pi_features_extractor.features_dim, self.vf_features_extractor.features_dim
        latent_pi, latent_vf = (actor or [pi])[-1], (critic or [vf])[-1]
        if self.n_groups == 1:
            self.mlp_extractor: Any = ActorAndCritic(
                _perceptron(pi, actor, self.activation_fn),
                _perceptron(vf, critic, self.activation_fn),
                latent_pi,
                latent_vf,
            )
            return
        assert self.layout is not None
        g = self.n_groups
        widths = [self.layout.policy_fields(group).size for group in range(g)]
        actors = [_perceptron(width, actor, self.activation_fn) for width in widths]
        critics = [_perceptron(vf - g, critic, self.activation_fn) for _ in range(g)]
        self.mlp_extractor = ActorAndCritic(
            ByGroup(actors, widths), ByGroup(critics, [vf - g] * g), latent_pi, latent_vf
        )

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        if self.n_groups == 1:
            return
        assert self.layout is not None
        g, (size,) = self.n_groups, self.action_space.shape or (0,)
        sizes = [group.action_fields.size for group in self.layout.groups]
        pi, vf = self.mlp_extractor.latent_dim_pi, self.mlp_extractor.latent_dim_vf
        extractor = self.mlp_extractor
        assert isinstance(self.net_arch, dict)
        # Without hidden layers the heads read the features themselves.
        inputs_pi = [pi] * g if self.net_arch["pi"] else extractor.policy_net.widths
        inputs_vf = [vf] * g if self.net_arch["vf"] else extractor.value_net.widths
        heads = [torch.nn.Linear(i, k) for i, k in zip(inputs_pi, sizes, strict=True)]
        self.action_net = ByGroup(heads, inputs_pi)
        self.value_net = _ValueHead(  # type: ignore[assignment]
            ByGroup([torch.nn.Linear(i, 1) for i in inputs_vf], inputs_vf)
        )
        self.log_std = torch.nn.Parameter(torch.full((g, size), float(self.log_std_init)))
        self.action_dist = GroupedGaussian(size, sizes)
        if self.ortho_init:
            self.action_net.apply(partial(self.init_weights, gain=0.01))
            self.value_net.apply(partial(self.init_weights, gain=1.0))
        self.optimizer = self.optimizer_class(
            self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs
        )  # type: ignore[call-arg]

    @property
    def value_heads(self) -> list[torch.nn.Linear]:
        """Last layers of the critic, one a group."""
        if self.n_groups == 1:
            return [self.value_net]
        head: Any = self.value_net
        return list(head.heads.networks)
