"""Oracle: some reporters measure, a few of them lie, and the median is published now and then.

Chainlink OCR2Aggregator, ``_report``: the answer is element [n // 2] of the n sorted observations;
it needs more than f of them, f being what the oracle tolerates (3 f < reporters), and an answer
outside [min, max] is not published, so the old one stays. It is published when it has moved by the
deviation threshold (relative to the old value) or when the heartbeat has elapsed.

Draws are functions of (key, stream, step, oracle, reporter); two reporters share a Philox call.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float
from daogym.envs.core.random import draw_bits, uniform_pair

from .results import DONE, OUT_OF_RANGE, QUIET, TOO_FEW_REPORTS

MOST_REPORTERS = 31
"""OCR2's ``maxNumOracles``."""

ORACLE_VALUE = 0
"""Value published last."""
ORACLE_UPDATED_AT = 1
"""Step at which it was published."""
ORACLE_WIDTH = 2

ORACLE_REPORTERS = 0
"""Number of reporters, 1 to `MOST_REPORTERS`."""
ORACLE_TOLERATED = 1
"""f: faulty reporters the oracle is built for, 3 f < reporters; more than f reports are needed."""
ORACLE_FAULTY = 2
"""Reporters that are faulty: the first ones. More than f is an attack that can succeed."""
ORACLE_NOISE = 3
"""Standard deviation of an honest report, relative to the truth."""
ORACLE_MISS_PROBABILITY = 4
"""Probability that an honest reporter's report does not arrive."""
ORACLE_LOW, ORACLE_HIGH = 5, 6
"""Range of answers that may be published."""
ORACLE_DEVIATION = 7
"""Relative change that publishes at once; 0: every answer is."""
ORACLE_HEARTBEAT = 8
"""Steps after which an answer is published even if nothing has changed."""
ORACLE_SETTINGS_WIDTH = 9

_PAIRS = (MOST_REPORTERS + 1) // 2
_LOW_16 = np.uint64(0xFFFF)
_SHIFT_16, _SHIFT_32, _SHIFT_48 = np.uint64(16), np.uint64(32), np.uint64(48)
# Mean and standard deviation of the sum of four uniform whole numbers 0 .. 65535.
_MEAN_OF_FOUR = 131070.0
_DEVIATION_OF_FOUR = 37837.22723720648
_LARGEST_NOISE = _MEAN_OF_FOUR / _DEVIATION_OF_FOUR


@kernel_function
def begin_oracle(record: Float, now: float, value: float) -> None:
    """Begin with a published value (ORACLE_WIDTH,)."""
    record[ORACLE_VALUE] = value
    record[ORACLE_UPDATED_AT] = now


@kernel_function
def oracle_age(record: Float, now: float) -> float:
    """Steps since the value was published."""
    age: float = now - record[ORACLE_UPDATED_AT]
    return age


@kernel_function
def bell_noise(bits: Any) -> float:
    """64 random bits -> a number of mean 0 and variance 1, within +-3.47: a sum of four uniforms.

    (Irwin-Hall.) A reporter's error has an end, and this costs a third of an inverted normal.
    """
    total = (bits & _LOW_16) + ((bits >> _SHIFT_16) & _LOW_16)
    total += ((bits >> _SHIFT_32) & _LOW_16) + (bits >> _SHIFT_48)
    return (np.float64(np.int64(total)) - _MEAN_OF_FOUR) / _DEVIATION_OF_FOUR


@kernel_function
def insert_sorted(reports: Float, count: int, value: float) -> int:
    """Put `value` into the first `count` sorted reports; the new count."""
    place = count
    while place > 0 and reports[place - 1] > value:
        reports[place] = reports[place - 1]
        place -= 1
    reports[place] = value
    return count + 1


@kernel_function
def gather_reports(
    settings: Float, reports: Float, key: Any, noise_stream: int, miss_stream: int, step: int,
    oracle: int, truth: float, adversarial: float,
) -> int:  # fmt: skip
    """Write this step's reports, sorted, to `reports` (MOST_REPORTERS,); how many arrived.

    An honest report is truth x (1 + noise z), z of `bell_noise`. Faulty reporters all report
    `adversarial`, or nothing where that is no number.
    """
    reporters = int(settings[ORACLE_REPORTERS])
    faulty = int(settings[ORACLE_FAULTY])
    noise, misses = settings[ORACLE_NOISE], settings[ORACLE_MISS_PROBABILITY]
    count = 0
    for pair in range((reporters + 1) // 2):
        index = oracle * _PAIRS + pair
        first, second = draw_bits(key, noise_stream, step, index)
        first_luck, second_luck = 1.0, 1.0
        if misses > 0.0:
            first_luck, second_luck = uniform_pair(key, miss_stream, step, index)
        for member in range(2):
            reporter = 2 * pair + member
            if reporter >= reporters:
                break
            if reporter < faulty:
                report = adversarial
            elif (second_luck if member else first_luck) < misses:
                continue
            else:
                report = truth * (1.0 + noise * bell_noise(second if member else first))
            if report == report:
                count = insert_sorted(reports, count, report)
    return count


@kernel_function
def publish(record: Float, settings: Float, reports: Float, count: int, now: float) -> int:
    """Publish the median of the first `count` sorted reports where the rules say so; a code.

    `DONE`: published. `QUIET`, `TOO_FEW_REPORTS` or `OUT_OF_RANGE`: the old value stays and ages. A
    change from 0 always counts as a move (libocr, ``DefaultDeviationFunc``).
    """
    if count <= settings[ORACLE_TOLERATED]:
        return TOO_FEW_REPORTS
    median = reports[count // 2]
    if not settings[ORACLE_LOW] <= median <= settings[ORACLE_HIGH]:
        return OUT_OF_RANGE
    old = record[ORACLE_VALUE]
    moved = median != 0.0
    if old != 0.0:
        moved = abs(median - old) >= settings[ORACLE_DEVIATION] * abs(old)
    if not moved and now - record[ORACLE_UPDATED_AT] < settings[ORACLE_HEARTBEAT]:
        return QUIET
    record[ORACLE_VALUE] = median
    record[ORACLE_UPDATED_AT] = now
    return DONE


@kernel_function
def certainly_quiet(record: Float, settings: Float, now: float, truth: float) -> bool:
    """Whether no draw could make this step's round publish, or be out of range.

    While honest reports are the majority and none is missed, the median lies between two of them,
    and they lie within `bell_noise`'s ends of the truth. Rounding keeps order, so this is exact.
    """
    reporters, faulty = settings[ORACLE_REPORTERS], settings[ORACLE_FAULTY]
    if settings[ORACLE_MISS_PROBABILITY] > 0.0 or 2.0 * faulty >= reporters:
        return False
    if reporters - faulty <= settings[ORACLE_TOLERATED]:
        return False
    if now - record[ORACLE_UPDATED_AT] >= settings[ORACLE_HEARTBEAT]:
        return False
    old = record[ORACLE_VALUE]
    one_end = truth * (1.0 - settings[ORACLE_NOISE] * _LARGEST_NOISE)
    other_end = truth * (1.0 + settings[ORACLE_NOISE] * _LARGEST_NOISE)
    low, high = min(one_end, other_end), max(one_end, other_end)
    still = settings[ORACLE_DEVIATION] * abs(old)
    inside = settings[ORACLE_LOW] <= low and high <= settings[ORACLE_HIGH]
    return bool(inside and abs(low - old) < still and abs(high - old) < still)


@kernel_function
def oracle_round(
    record: Float, settings: Float, reports: Float, key: Any, noise_stream: int,
    miss_stream: int, step: int, oracle: int, truth: float, adversarial: float,
) -> int:  # fmt: skip
    """One step of oracle number `oracle` of the lane: gather reports and publish; a code.

    `reports` (MOST_REPORTERS,) is overwritten, unless nothing can happen and nothing is drawn.
    """
    if certainly_quiet(record, settings, step, truth):
        return QUIET
    count = gather_reports(
        settings, reports, key, noise_stream, miss_stream, step, oracle, truth, adversarial
    )
    return publish(record, settings, reports, count, step)
