"""The discrete twin of a Box action: K levels of each number, and masks of what a charter cuts."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import MultiDiscrete
from numpy.typing import NDArray

from daogym.envs.core.simulator import Simulator

DEFAULT_LEVELS = 11
# Levels are float32; a limit that meets a level is not to hide it by a rounding.
_SLACK = 1e-6


class ActionLevels:
    """K levels of each number of an action in [-1, 1], evenly spaced, ends included.

    Choice k stands for ``2 k / (K - 1) - 1``; with an odd K the middle one is exactly 0.

    Args:
        size: numbers in an action.
        levels: K; True is 11.

    Raises:
        ValueError: fewer than two levels.
    """

    def __init__(self, size: int, levels: int = DEFAULT_LEVELS) -> None:
        count = DEFAULT_LEVELS if levels is True else levels
        if not isinstance(count, int | np.integer) or count < 2:
            raise ValueError(
                f"discrete: False, True (11 levels) or a whole number >= 2 expected, got {levels!r}"
            )
        self.size, self.count = size, int(count)
        self.values: NDArray[np.float32] = (
            (2.0 * np.arange(count) - (count - 1)) / (count - 1)
        ).astype(np.float32)
        self.space = MultiDiscrete(np.full(size, count))
        # Never masked: 0, or with an even K its two neighbours.
        self._kept = np.abs(self.values) < 1.5 / (count - 1)

    def actions(self, choices: Any) -> NDArray[np.float32]:
        """Choices (..., size), whole numbers from 0 to K - 1, as actions in [-1, 1].

        Raises:
            ValueError: other numbers, with the first place where one stands.
        """
        array = np.asarray(choices)
        if array.dtype.kind not in "iu":
            raise ValueError(f"choices: whole numbers expected, got {array.dtype}")
        wrong = (array < 0) | (array >= self.count)
        if wrong.any():
            place = tuple(np.argwhere(wrong)[0].tolist())
            raise ValueError(
                f"choices: 0 to {self.count - 1} expected, got {array[place]} at {list(place)}"
            )
        return self.values[array]

    def masks(self, simulator: Simulator) -> NDArray[np.bool_]:
        """(N, size K) bool, in the order of `MaskablePPO`: False where the gate would cut a choice.

        A domain may give ``action_limits(simulator)``, (N, size, 2): the lowest and the highest
        value of each number that its gate may let through now, whatever the others are. A domain
        without it masks nothing. The choice of 0 (with an even K, both choices beside it) is never
        masked, so that each number has one.
        """
        n = simulator.num_envs
        limits_of = getattr(simulator.domain, "action_limits", None)
        if limits_of is None:
            return np.ones((n, self.size * self.count), dtype=np.bool_)
        limits = np.asarray(limits_of(simulator))
        if limits.shape != (n, self.size, 2):
            raise ValueError(
                f"action_limits: shape {(n, self.size, 2)} expected, got {limits.shape}"
            )
        allowed = self.values >= limits[..., :1] - _SLACK
        allowed &= self.values <= limits[..., 1:] + _SLACK
        allowed |= self._kept
        return np.asarray(allowed.reshape(n, -1))


def levels_of(discrete: bool | int, size: int) -> ActionLevels | None:
    """The twin that an option ``discrete`` asks for: False is none, True has 11 levels.

    Raises:
        ValueError: a number below 2.
    """
    return None if discrete is False else ActionLevels(size, discrete)


def masks_of(levels: ActionLevels | None, simulator: Simulator) -> NDArray[np.bool_]:
    """`ActionLevels.masks`.

    Raises:
        ValueError: there are no choices.
    """
    if levels is None:
        raise ValueError("action_masks: there are choices with discrete=True only")
    return levels.masks(simulator)
