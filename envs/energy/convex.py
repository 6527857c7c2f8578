"""Convex functions as tangents, for linear programmes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from daogym.envs.core.layout import Float


def tangents(
    function: Callable[[Float], Float], slope: Callable[[Float], Float], points: ArrayLike
) -> tuple[Float, Float]:
    """(slopes, intercepts) of the tangents at `points`, (P,) each.

    A convex function lies above all of them.
    """
    x = np.asarray(points, dtype=np.float64)
    slopes = slope(x)
    return slopes, function(x) - slopes * x
