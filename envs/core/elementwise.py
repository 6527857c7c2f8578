"""The project's elementary functions over arrays, for preparing tables bit for bit alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from .compiled import compile_lock, kernel_entry
from .layout import Float
from .mathematics import cos, exp, log, sin

_SIN, _COS, _EXP, _LOG = 0, 1, 2, 3


@kernel_entry()
def _apply(kind: int, values: Float) -> Float:
    result = np.empty_like(values)
    for i in range(len(values)):
        if kind == _SIN:
            result[i] = sin(values[i])
        elif kind == _COS:
            result[i] = cos(values[i])
        elif kind == _EXP:
            result[i] = exp(values[i])
        else:
            result[i] = log(values[i])
    return result


def _array(kind: int, values: ArrayLike) -> Float:
    array = np.array(values, dtype=np.float64, order="C")
    with compile_lock(_apply):
        return np.reshape(_apply(kind, array.reshape(-1)), array.shape)


def sin_array(values: ArrayLike) -> Float:
    """Sine of each element, radians."""
    return _array(_SIN, values)


def cos_array(values: ArrayLike) -> Float:
    """Cosine of each element, radians."""
    return _array(_COS, values)


def exp_array(values: ArrayLike) -> Float:
    """Exponential of each element."""
    return _array(_EXP, values)


def log_array(values: ArrayLike) -> Float:
    """Natural logarithm of each element."""
    return _array(_LOG, values)
