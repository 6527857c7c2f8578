"""Running scale of the returns, so that a critic learns numbers of order one."""

from __future__ import annotations

from typing import Any

import torch
from numpy.typing import NDArray


class ValueScale(torch.nn.Module):
    """Mean and standard deviation of returns, exponentially weighted over rollouts.

    The critic's output times `deviation` plus `mean` is a value. A change of the two leaves every
    value as it was, by a change of the critic's last layer: PopArt (van Hasselt et al. 2016,
    section 2). Yu et al. 2022 ("MAPPO"), section 5.1, find value normalisation to matter.

    Args:
        memory: weight of the past in each update.
    """

    mean: torch.Tensor
    square: torch.Tensor
    weight: torch.Tensor

    def __init__(self, memory: float = 0.99) -> None:
        super().__init__()
        self.memory = memory
        for name in ("mean", "square", "weight"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64))

    @property
    def offset(self) -> float:
        """Mean of the returns seen so far, 0 before there were any."""
        return float(self.mean / self.weight) if self.weight > 0.0 else 0.0

    @property
    def deviation(self) -> float:
        """Their standard deviation, 1 before there were any."""
        if self.weight == 0.0:
            return 1.0
        variance = float(self.square / self.weight) - self.offset**2
        return max(variance, 1e-4) ** 0.5

    def update(self, returns: NDArray[Any], heads: list[torch.nn.Linear]) -> None:
        """Take in the returns of a rollout; ``heads`` are the critic's last layers."""
        if returns.size == 0:
            return
        offset, deviation = self.offset, self.deviation
        fresh = torch.tensor(returns, dtype=torch.float64)
        for total, now in (
            (self.mean, fresh.mean()),
            (self.square, fresh.square().mean()),
            (self.weight, 1.0),
        ):
            total.mul_(self.memory).add_(now * (1.0 - self.memory))
        with torch.no_grad():
            for head in heads:
                head.weight.mul_(deviation / self.deviation)
                head.bias.mul_(deviation).add_(offset - self.offset).div_(self.deviation)

    def values(self, outputs: torch.Tensor) -> torch.Tensor:
        """Values of a critic's outputs."""
        return outputs * self.deviation + self.offset

    def outputs(self, values: torch.Tensor) -> torch.Tensor:
        """What a critic would put out for these values."""
        return (values - self.offset) / self.deviation
