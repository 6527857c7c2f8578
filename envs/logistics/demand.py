"""What happens whatever the agent does: demand, its level, promotions, closed lanes and nodes."""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import exp
from daogym.envs.core.random import (
    as_uint64,
    draw_bits,
    fill_uniforms,
    integer,
    normal,
    normal_pair,
    poisson,
    uniform,
    uniform_pair,
)

from .layout import (
    C_MEAN,
    F_DEVIATION_UNITS,
    F_LEVEL_DEVIATION,
    F_LEVEL_ERROR,
    F_LEVEL_INNOVATION,
    F_LEVEL_PERSISTENCE,
    F_PROMOTION_DAYS,
    F_PROMOTION_FACTOR,
    F_PROMOTION_PROBABILITY,
    I_CUSTOMERS,
    I_GOODS,
    I_HAS_PROMOTIONS,
    I_LAW,
    I_NODES,
    I_PROCESSES,
    I_SEEN_PROCESSES,
    I_SIZE,
    I_STEP_DAY,
    LAW_CONSTANT,
    LAW_GEOMETRIC,
    LAW_NEGATIVE_BINOMIAL,
    LAW_NORMAL,
    LAW_POISSON,
    LAW_STEP,
    N_CUSTOMERS,
    PROMOTION_BLOCK_DAYS,
    S_CLOSED,
    S_DEMAND,
    S_EPISODE_KEY,
    S_FIRST_DAY,
    S_LEVEL,
    S_LEVEL_SEEN,
    S_PROMOTION_FACTOR,
    S_PROMOTION_START,
    S_STEP,
    U_ALPHA,
    U_BETA,
    YEAR_DAYS,
)
from .tables import calendar_value, cell_value, node_at, process_value, seen_process

(
    STREAM_START, STREAM_STOCK, STREAM_DEMAND, STREAM_LEVEL, STREAM_PROMOTION, STREAM_PROCESS,
    STREAM_LATE, STREAM_FIRST_LEVEL, STREAM_FIRST_PROCESS,
) = (np.int64(i) for i in range(1, 10))  # fmt: skip
# Arguments of random draws that would otherwise be compiled for each plain number.
NONE: Any = np.int64(0)
ONE: Any = np.int64(1)
_MOST_UNITS = 100_000


@inlined_function
def negative_binomial(u: float, mean: float, size: int) -> float:
    """Count of mean `mean` and variance mean + mean^2 / size, by sequential search of `u`."""
    share = size / (size + mean)
    term = 1.0
    for _ in range(size):
        term *= share
    rest = mean / (size + mean)
    total = term
    count = 0
    while u >= total and count < _MOST_UNITS:
        count += 1
        term *= rest * (count - 1 + size) / count
        total += term
        if term < 1e-18 and count > mean:
            break
    return float(count)


@inlined_function
def needs_chances(law: int) -> bool:
    """Whether a law turns one uniform number into a count."""
    return law in (LAW_NEGATIVE_BINOMIAL, LAW_GEOMETRIC)


@inlined_function
def draw_demand(
    law: int, chance: float, key: Any, day: int, index: int, mean: float, pf: Float, pi: Int
) -> float:
    """Units that customers ask for, of this law and mean.

    `chance` is the uniform number of this place where `needs_chances(law)`.
    """
    if not mean > 0.0:
        return 0.0
    if law == LAW_POISSON:
        return float(poisson(key, STREAM_DEMAND, day, index, mean))
    if law == LAW_NEGATIVE_BINOMIAL:
        return negative_binomial(chance, mean, pi[I_SIZE])
    if law == LAW_GEOMETRIC:
        return negative_binomial(chance, mean, ONE)
    if law == LAW_NORMAL:
        z = normal(key, STREAM_DEMAND, day, index)
        return max(mean + pf[F_DEVIATION_UNITS] * z, 0.0)
    if law == LAW_CONSTANT:
        return mean
    if law == LAW_STEP:
        return mean if day >= pi[I_STEP_DAY] else 0.5 * mean
    return float(integer(key, STREAM_DEMAND, day, index, int(2.0 * mean + 0.5) + 1))


@inlined_function
def draw_day(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Today's demand into `demand_units`."""
    n_goods, law = pi[I_GOODS], pi[I_LAW]
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    step = si[lane, pi[S_STEP]]
    date = si[lane, pi[S_FIRST_DAY]] + step
    day_of_year = date % YEAR_DAYS
    week = calendar_value(pf, pi, n_goods, date % 7)
    deviation = pf[F_LEVEL_DEVIATION]
    if needs_chances(law):
        # They stand where the demand that comes of them will stand.
        fill_uniforms(key, STREAM_DEMAND, step, sf, lane, pi[S_DEMAND], pi[I_CUSTOMERS] * n_goods)
    for n in range(pi[I_NODES]):
        place = node_at(pi, n, N_CUSTOMERS)
        if place < 0:
            continue
        level = week
        if deviation > 0.0:
            level *= exp(sf[lane, pi[S_LEVEL] + place] - 0.5 * deviation * deviation)
        for g in range(n_goods):
            mean = cell_value(pf, pi, C_MEAN, n, g) * level * calendar_value(pf, pi, g, day_of_year)
            mean *= sf[lane, pi[S_PROMOTION_FACTOR] + g]
            index = place * n_goods + g
            seen = pi[S_DEMAND] + index
            sf[lane, seen] = draw_demand(law, sf[lane, seen], key, step, index, mean, pf, pi)


@inlined_function
def promotion_day(key: Any, block: int, good: int, pf: Float) -> int:
    """Day on which the good's promotion of this block of 28 days begins, -1 for none."""
    chance, place = uniform_pair(key, STREAM_PROMOTION, block, good)
    if chance >= pf[F_PROMOTION_PROBABILITY]:
        return -1
    return block * PROMOTION_BLOCK_DAYS + int(
        place * (PROMOTION_BLOCK_DAYS - pf[F_PROMOTION_DAYS] + 1.0)
    )


@inlined_function
def look_up_promotions(lane: int, key: Any, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Promotions of this block and the next, and today's factors."""
    n_goods = pi[I_GOODS]
    date = si[lane, pi[S_FIRST_DAY]] + si[lane, pi[S_STEP]]
    block = date // PROMOTION_BLOCK_DAYS
    for g in range(n_goods):
        factor = 1.0
        if pf[F_PROMOTION_PROBABILITY] > 0.0:
            if si[lane, pi[S_STEP]] == 0 or date % PROMOTION_BLOCK_DAYS == 0:
                for b in range(2):
                    start = promotion_day(key, block + b, g, pf)
                    si[lane, pi[S_PROMOTION_START] + b * n_goods + g] = start
            begun = si[lane, pi[S_PROMOTION_START] + g]
            if begun >= 0 and begun <= date < begun + pf[F_PROMOTION_DAYS]:
                factor = pf[F_PROMOTION_FACTOR]
        sf[lane, pi[S_PROMOTION_FACTOR] + g] = factor


@inlined_function
def begin_world(lane: int, key: Any, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Levels and closed places as they are in the long run; promotions of the first day."""
    for c in range(pi[I_CUSTOMERS]):
        level, error = normal_pair(key, STREAM_FIRST_LEVEL, NONE, c)
        level *= pf[F_LEVEL_DEVIATION]
        sf[lane, pi[S_LEVEL] + c] = level
        sf[lane, pi[S_LEVEL_SEEN] + c] = level + pf[F_LEVEL_ERROR] * error
        for g in range(pi[I_GOODS]):
            sf[lane, pi[S_DEMAND] + c * pi[I_GOODS] + g] = 0.0
    for p in range(pi[I_PROCESSES]):
        alpha, beta = process_value(pf, pi, p, U_ALPHA), process_value(pf, pi, p, U_BETA)
        chance = uniform(key, STREAM_FIRST_PROCESS, NONE, p)
        si[lane, pi[S_CLOSED] + p] = 1 if chance * (alpha + beta) < alpha else 0
    for b in range(2):
        for g in range(pi[I_GOODS]):
            start = promotion_day(
                key, (si[lane, pi[S_FIRST_DAY]] + si[lane, pi[S_STEP]]) // PROMOTION_BLOCK_DAYS + b,
                g, pf,
            )  # fmt: skip
            si[lane, pi[S_PROMOTION_START] + b * pi[I_GOODS] + g] = start
    look_up_promotions(lane, key, pf, pi, sf, si)


@inlined_function
def advance_world(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """The night: levels move, places close and open, promotions begin and end."""
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    step = si[lane, pi[S_STEP]]
    if pf[F_LEVEL_DEVIATION] > 0.0:
        for c in range(pi[I_CUSTOMERS]):
            noise, error = normal_pair(key, STREAM_LEVEL, step, c)
            level = (
                pf[F_LEVEL_PERSISTENCE] * sf[lane, pi[S_LEVEL] + c] + pf[F_LEVEL_INNOVATION] * noise
            )
            sf[lane, pi[S_LEVEL] + c] = level
            sf[lane, pi[S_LEVEL_SEEN] + c] = level + pf[F_LEVEL_ERROR] * error
    if pi[I_SEEN_PROCESSES] > 0:
        _close_and_open(lane, key, step, pf, pi, si)
    if pi[I_HAS_PROMOTIONS] == 1:
        look_up_promotions(lane, key, pf, pi, sf, si)


@inlined_function
def _close_and_open(lane: int, key: Any, step: int, pf: Float, pi: Int, si: Int) -> None:
    """Lanes, nodes and fleets, each a Markov chain; four of them share one draw, 32 bits each."""
    group = -1
    bits = draw_bits(key, STREAM_PROCESS, step, NONE)
    for i in range(pi[I_SEEN_PROCESSES]):
        p = seen_process(pi, i)
        chance = 4294967296.0 * (1.0 - process_value(pf, pi, p, U_BETA))
        if si[lane, pi[S_CLOSED] + p] == 0:
            chance = 4294967296.0 * process_value(pf, pi, p, U_ALPHA)
        if p // 4 != group:
            group = p // 4
            bits = draw_bits(key, STREAM_PROCESS, step, group)
        word = bits[0] if (p // 2) % 2 == 0 else bits[1]
        low = (word >> as_uint64(32 * (p % 2))) & as_uint64(0xFFFFFFFF)
        si[lane, pi[S_CLOSED] + p] = 1 if float(low) < chance else 0
