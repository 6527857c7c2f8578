"""Inputs standardised once, in the first layers' initial weights.

Declared ranges of fields are wide, so most observations move little within [-1, 1]: beside the
hour of the day, what waits in a queue is nearly a constant to a fresh network. Here each input's
mean and deviation under the zero action are put into the first layers before training (a
data-dependent initialisation: Salimans and Kingma 2016, "Weight normalization", section 4), as if
inputs had been standardised. Nothing else changes: the policy takes what it took.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

STATISTICS_SEED = 3_000_000
LEAST_DEVIATION = 0.02


def observed(simulator: Any, hold_steps: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and deviation of each number of an observation in one episode of every lane under the
    zero action, at every `hold_steps`-th step."""
    simulator.reset(seed=STATISTICS_SEED)
    idle = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    count = 0
    mean = np.zeros(simulator.observations.shape[1])
    squares = np.zeros_like(mean)
    for step in range(simulator.horizon):
        if step % hold_steps == 0:
            seen = simulator.observations.astype(np.float64)
            count += 1
            change = seen.mean(axis=0) - mean
            squares += seen.var(axis=0) + change**2 * (count - 1) / count
            mean += change / count
        simulator.step(idle)
    return mean, np.sqrt(squares / count)


def standardise_inputs(
    network: torch.nn.Module, mean: NDArray[np.float64], deviation: NDArray[np.float64]
) -> None:
    """Let the first layer of ``network`` see (x - mean) / deviation.

    Deviations below `LEAST_DEVIATION` count as that, so that a field which hardly moved under the
    zero action does not outweigh all others when it does.
    """
    first = next(module for module in network.modules() if isinstance(module, torch.nn.Linear))
    scale = torch.as_tensor(np.maximum(deviation, LEAST_DEVIATION), dtype=torch.float32)
    with torch.no_grad():
        first.weight.div_(scale)
        first.bias.sub_(first.weight @ torch.as_tensor(mean, dtype=torch.float32))
