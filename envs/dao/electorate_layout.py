"""Where everything of an electorate lies in the two vectors that kernels read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float, Int

if TYPE_CHECKING:
    from .electorate import ElectorateSettings

# Header of the packed integers: sizes, then where each array begins (in the ints or the floats).
(
    I_VOTERS, I_DELEGATES, I_PARAMETERS, I_TIERS, I_SUPPLY, I_CIRCUMSTANCES_STEPS, I_ATTEMPTS,
    I_COUNT_STEPS, I_WEIGHTS, I_BY_WEIGHT, I_TIER_BEGINS,
    I_PARTICIPATION, I_ACTIVITY, I_TIER_PARTICIPATION, I_TIER_INTEREST, I_IDEALS,
) = range(16)  # fmt: skip
I_HEADER = 16

# Header of the packed floats.
(
    F_VOTE_NOISE, F_ABSTAIN_BAND, F_CIRCUMSTANCES_SPREAD,
    F_EARLY_SHARE, F_EARLY_WIDTH, F_LATE_SHARE, F_LATE_WIDTH,
    F_ARRIVAL_RATE, F_TEMPERATURE_CHECK, F_SMALLEST_CHANGE,
) = range(10)  # fmt: skip
F_HEADER = 10


def pack_electorate(
    s: ElectorateSettings, weights: Int, participation: Float, begins: Int, chances: Float,
    interests: list[float], ideals: Float,
) -> tuple[Int, Float]:  # fmt: skip
    """Everything kernels need in one int64 and one float64 vector."""
    by_weight = np.argsort(-weights, kind="stable")
    activity = np.array(list(_running(participation[by_weight].tolist())))
    ints = np.zeros(I_HEADER, dtype=np.int64)
    int_parts: list[Any] = []
    float_parts: list[Any] = []
    floats = np.zeros(F_HEADER)

    def place(index: int, header: NDArray[Any], parts: list[Any], values: Any) -> None:
        ints[index] = len(header) + sum(len(part) for part in parts)
        parts.append(values)

    place(I_WEIGHTS, ints, int_parts, weights)
    place(I_BY_WEIGHT, ints, int_parts, by_weight)
    place(I_TIER_BEGINS, ints, int_parts, begins)
    place(I_PARTICIPATION, floats, float_parts, participation[: s.delegates])
    place(I_ACTIVITY, floats, float_parts, activity)
    place(I_TIER_PARTICIPATION, floats, float_parts, chances)
    place(I_TIER_INTEREST, floats, float_parts, interests)
    place(I_IDEALS, floats, float_parts, ideals.reshape(-1))
    for index, number in (
        (I_VOTERS, len(weights)), (I_DELEGATES, s.delegates), (I_PARAMETERS, len(ideals)),
        (I_TIERS, len(chances)), (I_SUPPLY, s.supply),
        (I_CIRCUMSTANCES_STEPS, s.opinions.circumstances_steps), (I_ATTEMPTS, s.arrivals.attempts),
        (I_COUNT_STEPS, max(s.timing.count_steps, 1)),
    ):  # fmt: skip
        ints[index] = number
    for index, value in (
        (F_VOTE_NOISE, s.opinions.vote_noise), (F_ABSTAIN_BAND, s.opinions.abstain_band),
        (F_CIRCUMSTANCES_SPREAD, s.opinions.circumstances),
        (F_EARLY_SHARE, s.timing.early_share), (F_EARLY_WIDTH, s.timing.early_width),
        (F_LATE_SHARE, s.timing.late_share), (F_LATE_WIDTH, s.timing.late_width),
        (F_ARRIVAL_RATE, s.arrivals.per_step),
        (F_TEMPERATURE_CHECK, s.arrivals.temperature_check),
        (F_SMALLEST_CHANGE, s.arrivals.smallest_change),
    ):  # fmt: skip
        floats[index] = value
    return (
        np.concatenate([ints, *int_parts]).astype(np.int64),
        np.concatenate([floats, *float_parts]).astype(np.float64),
    )


def _running(values: list[float]) -> list[float]:
    """Running sums from left to right, in this order on every machine."""
    sums, total = [], 0.0
    for value in values:
        total += value
        sums.append(total)
    return sums
