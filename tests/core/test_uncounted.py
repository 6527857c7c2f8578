"""Arrays without an owner show the same memory, and leave the owner's count alone."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from daogym.envs.core.compiled import inlined_function, kernel_entry
from daogym.envs.core.uncounted import uncounted

pytestmark = pytest.mark.kernel


@inlined_function
def _double(array: Any, row: int) -> None:
    for c in range(array.shape[1]):
        array[row, c] *= 2.0


@kernel_entry()
def _double_all(array: Any) -> float:
    memory = np.ones(3)
    view, own = uncounted(array), uncounted(memory)
    total = 0.0
    for row in range(len(view)):
        _double(view, row)
        total += own[row % 3]
    return total + len(memory)


def test_the_view_is_the_same_memory() -> None:
    array = np.arange(12.0).reshape(4, 3)
    expected = 2.0 * array
    count = sys.getrefcount(array)
    assert _double_all(array) == 7.0
    assert np.array_equal(array, expected)
    assert sys.getrefcount(array) == count


@kernel_entry()
def _sums(arrays: Any) -> tuple[float, int]:
    views = uncounted(arrays)
    return views[0].sum(), views[1].sum()


def test_a_tuple_of_arrays_loses_every_owner() -> None:
    floats, integers = np.arange(5.0), np.arange(4)
    counts = sys.getrefcount(floats), sys.getrefcount(integers)
    assert _sums((floats, integers)) == (10.0, 6)
    assert (sys.getrefcount(floats), sys.getrefcount(integers)) == counts
