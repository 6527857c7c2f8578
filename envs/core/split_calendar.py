"""Which days of a recorded calendar train, validate and test.

Days are grouped in blocks of seven, and a block belongs to one split for good: nothing seen in
training returns in validation or test.
"""

from __future__ import annotations

import numpy as np

from .layout import Int

BLOCK_DAYS = 7
TRAIN, VALIDATION, TEST = 0, 1, 2
SPLIT_CYCLE = (TRAIN, VALIDATION, TRAIN, TEST)  # by block number: four weeks hold 14, 7 and 7 days


def split_of_block(block: Int) -> Int:
    """Split of each block of seven days: of every four, 0 and 2 train, 1 validates, 3 tests."""
    return np.array(SPLIT_CYCLE, dtype=np.int64)[np.asarray(block) % len(SPLIT_CYCLE)]


def run_starts(split_of_day: Int, split: int, days: int) -> Int:
    """First days of all runs of `days` days that stay inside one split.

    Args:
        split_of_day: (days of the calendar,) 0 train, 1 validation, 2 test.
        split: the one that is asked for.
        days: length of the run.

    Returns:
        Ascending places in `split_of_day`; empty when no run is that long.
    """
    if not 1 <= days <= len(split_of_day):
        return np.zeros(0, dtype=np.int64)
    first = np.arange(len(split_of_day) - days + 1)
    good = split_of_day[first] == split
    for offset in range(1, days):
        good &= split_of_day[first + offset] == split
    return np.asarray(first[good], dtype=np.int64)
