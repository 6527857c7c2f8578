"""The exported network: physical units in and out, everything between inside the graph."""

from __future__ import annotations

import torch

from ..policy import Actor, Contract

OBSERVATION = "observation"
ACTION = "action"


class PhysicalActor(torch.nn.Module):
    """Observations (N, obs_dim) in physical units to actions (N, action_dim) in physical units.

    The affine maps run in float64: a field far from zero with a narrow range would otherwise
    lose its digits. Observations beyond the declared bounds are clipped to them, actions too.
    """

    centre: torch.Tensor
    half_range: torch.Tensor
    action_centre: torch.Tensor
    action_half_range: torch.Tensor
    action_low: torch.Tensor
    action_high: torch.Tensor

    def __init__(self, actor: Actor, contract: Contract) -> None:
        super().__init__()
        self.actor = actor
        observations, actions = contract.observations, contract.actions
        for name, fields in (("", observations), ("action_", actions)):
            low, high = torch.tensor(fields.low), torch.tensor(fields.high)
            self.register_buffer(f"{name}centre", 0.5 * low + 0.5 * high)
            self.register_buffer(f"{name}half_range", 0.5 * high - 0.5 * low)
        self.register_buffer("action_low", torch.tensor(actions.low).float())
        self.register_buffer("action_high", torch.tensor(actions.high).float())

    def forward(self, observation: torch.Tensor) -> torch.Tensor:
        """Deterministic action in physical units, float32."""
        normalised = (observation.double() - self.centre) / self.half_range
        action = self.actor(torch.clamp(normalised, -1.0, 1.0).float())
        physical = (self.action_centre + action.double() * self.action_half_range).float()
        return torch.minimum(torch.maximum(physical, self.action_low), self.action_high)
