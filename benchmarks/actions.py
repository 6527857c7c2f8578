"""Actions drawn before the clock starts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def random_actions(num_envs: int, size: int) -> list[NDArray[np.float32]]:
    """Sixteen sets of actions, used in turn."""
    draw = np.random.default_rng(1)
    return [draw.uniform(-1, 1, (num_envs, size)).astype(np.float32) for _ in range(16)]
