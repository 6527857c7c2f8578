"""Fields as Gymnasium spaces: what the learning faces see is normalised to [-1, 1]."""

from __future__ import annotations

import numpy as np
from gymnasium.spaces import Box

from daogym.envs.core.fields import FieldSet


def box(fields: FieldSet) -> Box:
    """Box of float32 in [-1, 1] with one element for each number of the fields."""
    return Box(-1.0, 1.0, (fields.size,), np.float32)
