"""Limits on episode costs, kept by Lagrange multipliers: PPO-Lagrangian.

Ray, Achiam and Amodei 2019 ("Benchmarking safe exploration"), section 5. The policy ascends
J - sum_i multiplier_i * C_i / scale_i, each multiplier ascends (C_i - limit_i) / scale_i and stays
at 0 or above; scale is the limit, so that multipliers do not depend on a cost's unit. What weighs
the costs is multiplier + proportional * excess, at 0 or above: the proportional part of Stooke,
Achiam and Abbeel 2020 ("Responsive safety in reinforcement learning by PID Lagrangian methods"),
without which a multiplier overshoots for as long as the policy takes to answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import mse_loss

Float32 = NDArray[np.float32]


class Constraints(torch.nn.Module):
    """A critic of C costs and their multipliers, with optimisers of their own.

    Args:
        limits: largest sum over an episode, by name of the cost.
        names: all costs that the environment reports, in their order.
        features: width of what the critic reads.
        widths, activation: of its hidden layers.
        learning_rate: of the critic at the start.
        multiplier_rate, multiplier_start: Adam's step size and first value of every multiplier.
        proportional: see the module; 0 leaves the multiplier alone.

    Attributes:
        names: the C costs that have a limit.
        columns: (C,) where they stand among the environment's costs.
        limits, scale: (C,); scale is the limit, or 1 where that is 0.
        multipliers: (C,) in the learner's reward per limit.
        weights: (C,) what costs are weighed with, see the module.

    Raises:
        ValueError: a limit of a cost that is not reported, or a negative one.
    """

    def __init__(
        self,
        limits: Mapping[str, float],
        names: Sequence[str],
        features: int,
        widths: Sequence[int],
        activation: Callable[[], torch.nn.Module],
        learning_rate: float,
        multiplier_rate: float,
        multiplier_start: float,
        proportional: float = 0.0,
    ) -> None:
        super().__init__()
        for name, limit in limits.items():
            if name not in names:
                raise ValueError(
                    f"cost_limits: there is no cost {name!r}; the environment reports "
                    f"{', '.join(names) or 'none'}"
                )
            if not 0.0 <= limit < np.inf:
                raise ValueError(f"cost_limits: {name}: a number >= 0 is expected, got {limit}")
        self.names = tuple(name for name in names if name in limits)
        self.columns = np.array([list(names).index(name) for name in self.names], dtype=np.int64)
        self.limits = np.array([limits[name] for name in self.names], dtype=np.float64)
        self.scale = np.where(self.limits > 0.0, self.limits, 1.0)
        count = len(self.names)
        layers: list[torch.nn.Module] = []
        for width in widths:
            layers += [torch.nn.Linear(features, width), activation()]
            features = width
        self.critic = torch.nn.Sequential(*layers, torch.nn.Linear(features, count))
        for number, layer in enumerate(self.critic):
            if isinstance(layer, torch.nn.Linear):
                last = number == len(self.critic) - 1
                torch.nn.init.orthogonal_(layer.weight, gain=1.0 if last else 2.0**0.5)
                torch.nn.init.zeros_(layer.bias)
        self.multipliers = torch.nn.Parameter(torch.full((count,), float(multiplier_start)))
        self.optimizer = torch.optim.Adam(self.critic.parameters(), lr=learning_rate, eps=1e-5)
        self.multiplier_optimizer = torch.optim.Adam([self.multipliers], lr=multiplier_rate)
        self.multiplier_rate, self.proportional = multiplier_rate, proportional
        self.weights: Float32 = self.multipliers.detach().numpy().copy()

    def scaled(self, costs: NDArray[Any]) -> Float32:
        """(R, C) of the environment's (R, K) costs, as parts of their limits."""
        return np.asarray(costs[:, self.columns] / self.scale, dtype=np.float32)

    def values(self, features: torch.Tensor) -> Float32:
        """(M, C) expected discounted costs from here on, as parts of their limits."""
        with torch.no_grad():
            return np.asarray(self.critic(features).numpy())

    def update_multipliers(self, episode_costs: NDArray[Any]) -> None:
        """A step of Adam, given (C,) mean sums over an episode as parts of their limits."""
        excess = torch.tensor(episode_costs - self.limits / self.scale, dtype=torch.float32)
        self.multiplier_optimizer.zero_grad()
        (-(self.multipliers * excess).sum()).backward()
        self.multiplier_optimizer.step()
        with torch.no_grad():
            self.multipliers.clamp_(min=0.0)
            weights = self.multipliers + self.proportional * excess
            self.weights = weights.clamp(min=0.0).numpy()

    def combine(self, advantages: Float32, cost_advantages: Float32) -> Float32:
        """(T, R) advantages of the Lagrangian, divided by 1 + the sum of the weights, which keeps
        their size where the weights are large."""
        total = advantages - cost_advantages @ self.weights
        return np.asarray(total / (np.float32(1.0) + self.weights.sum()), dtype=np.float32)

    def fit(self, features: torch.Tensor, returns: torch.Tensor, max_grad_norm: float) -> float:
        """A step of the critic towards (M, C) returns; the loss before it."""
        loss = mse_loss(self.critic(features), returns)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.critic.parameters(), max_grad_norm)
        self.optimizer.step()
        return loss.item()
