"""Step kernels for one scenario: its whole numbers are compiled in.

A domain's kernel reads sizes, offsets and tables of whole numbers from the vector `pi`, so one
compilation serves all scenarios. Where they are constants, LLVM unrolls loops over few goods,
folds offsets into addresses and drops what a scenario does not have. Results stay the same bit for
bit, since whole numbers only choose what is computed. The price: a compilation for every scenario.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from .compiled import kernel_function
from .layout import Int

Entries = tuple[Any, Any]
MakeEntries = Callable[[Any, str], Entries]
_KEPT = 32


def specialiser(make_entries: MakeEntries, step_range: Any) -> Callable[[Int], Entries]:
    """What makes the entries (serial, parallel) of a domain's step for given whole numbers.

    Args:
        make_entries: gives the entries that run a step function, under a key for the cache.
        step_range: the step function, ``(low, high, pf, pi, ...)``.
    """

    @lru_cache(maxsize=_KEPT)
    def made(numbers: bytes) -> Entries:
        known = np.frombuffer(numbers, dtype=np.int64)

        @kernel_function
        def step_known(low: int, high: int, pf: Any, pi: Any, *rest: Any) -> int:
            return int(step_range(low, high, pf, known, *rest))

        return make_entries(step_known, hashlib.sha256(numbers).hexdigest())

    return lambda pi: made(np.ascontiguousarray(pi, dtype=np.int64).tobytes())
