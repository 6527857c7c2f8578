"""What happens whatever the operator does: arrivals, electricity, failures and repairs, the token.

Every draw is a function of the episode's key, the step and the member, so two policies on one seed
face one world.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import exp, log
from daogym.envs.core.random import exponential, lognormal, normal_pair, uniform_pair

from .layout import (
    D_BEFORE,
    D_HELD,
    D_NOW,
    HOURS_PER_WEEK,
    KNOTS,
    LAW_EXPONENTIAL,
    P_KNOTS,
    P_PROVIDERS,
    P_REGION_CARBON,
    P_REGION_PRICE,
    P_REGION_SHAPE,
    P_REGION_SOLAR,
    P_SCALARS,
    P_SHAPE_LAW,
    P_SIZES,
    P_WEEK_FACTOR,
    PROVIDER_WIDTH,
    REGIONS,
    S_FEED,
    S_FIRST_DAY,
    S_NEXT_NODE_CHANGE,
    S_NODE_CHANGE,
    S_NODE_UP,
    S_PRICE_NOISE,
    S_REGION_CARBON,
    S_REGION_PRICE,
    S_TOKEN_PRICE,
    S_UP_SHARE,
    S_Z_HOUR,
    S_Z_SLOW,
    V_FAILURE_STEPS,
    V_FIRST_NODE,
    V_NODES,
    X_ARRIVALS,
    X_EXPONENTIAL_STEPS,
    X_LOG_VARIANCE,
    X_LONGEST_STEPS,
    X_OUTLIER_SHARE,
    X_PRICE_INNOVATION,
    X_PRICE_PERSISTENCE,
    X_PRICE_SIGMA,
    X_REPAIR_LOG_STEPS,
    X_REPAIR_SIGMA,
    X_SIGMA_HOUR,
    X_SIGMA_SLOW,
    X_SLOW_INNOVATION,
    X_SLOW_PERSISTENCE,
    X_TOKEN_DRIFT,
    X_TOKEN_JUMP_MEAN,
    X_TOKEN_JUMP_PROBABILITY,
    X_TOKEN_JUMP_SIGMA,
    X_TOKEN_SIGMA,
    Z_PROVIDERS,
    Z_STEPS_PER_HOUR,
)

# A stream belongs to one distribution.
STREAM_START, STREAM_ARRIVALS, STREAM_JOB, STREAM_TERMS = 0, 1, 2, 3
STREAM_INTENSITY, STREAM_PRICE, STREAM_UP_TIME, STREAM_REPAIR = 4, 5, 6, 7
STREAM_TOKEN, STREAM_JUMP, STREAM_HIT = 8, 9, 10
STREAM_FIRST_JOBS, STREAM_FIRST_JOB, STREAM_FIRST_TERMS = 11, 12, 13
STREAM_FIRST_STATE, STREAM_FIRST_NODE, STREAM_FIRST_REPAIR = 14, 15, 16

_LARGEST_LOG_INTENSITY = 8.0
NEVER = 1 << 40
# The steps 16, 8, 4, 2, 1 reach each of the KNOTS - 1 intervals.
BISECTION = 16


@inlined_function
def hour_of_week(lane: int, step: int, pi: Int, si: Int) -> int:
    """0 .. 167, 0 = Monday midnight UTC."""
    hour = step // pi[pi[P_SIZES] + Z_STEPS_PER_HOUR] + 24 * si[lane, pi[S_FIRST_DAY]]
    return int(hour % HOURS_PER_WEEK)


@inlined_function
def trace_step(lane: int, step: int, pi: Int, si: Int) -> int:
    """A step of the episode in a trace's own count, from the midnight of its first Monday."""
    per_hour = pi[pi[P_SIZES] + Z_STEPS_PER_HOUR]
    return int(step + 24 * per_hour * si[lane, pi[S_FIRST_DAY]])


@kernel_function
def begin_intensity(lane: int, key: Any, pf: Float, pi: Int, sf: Float) -> None:
    """The logarithm of the arrivals' intensity from its stationary distribution."""
    x = pi[P_SCALARS]
    slow, fast = normal_pair(key, STREAM_FIRST_STATE, 0, 0)
    sf[lane, pi[S_Z_SLOW]] = pf[x + X_SIGMA_SLOW] * slow
    sf[lane, pi[S_Z_HOUR]] = pf[x + X_SIGMA_HOUR] * fast


@kernel_function
def advance_intensity(lane: int, key: Any, period: int, pf: Float, pi: Int, sf: Float) -> None:
    """A new period (an hour by default): the slow part is AR(1), the other is drawn anew."""
    x = pi[P_SCALARS]
    slow, fast = normal_pair(key, STREAM_INTENSITY, period, 0)
    sf[lane, pi[S_Z_SLOW]] = (
        pf[x + X_SLOW_PERSISTENCE] * sf[lane, pi[S_Z_SLOW]] + pf[x + X_SLOW_INNOVATION] * slow
    )
    sf[lane, pi[S_Z_HOUR]] = pf[x + X_SIGMA_HOUR] * fast


@inlined_function
def mean_arrivals(lane: int, step: int, pf: Float, pi: Int, sf: Float, si: Int) -> float:
    """Mean number of orders in this step: rate x hour of the week x exp(z - variance / 2)."""
    x = pi[P_SCALARS]
    z = sf[lane, pi[S_Z_SLOW]] + sf[lane, pi[S_Z_HOUR]]
    level = exp(min(z, _LARGEST_LOG_INTENSITY) - 0.5 * pf[x + X_LOG_VARIANCE])
    factor = pf[pi[P_WEEK_FACTOR] + hour_of_week(lane, step, pi, si)]
    return float(pf[x + X_ARRIVALS] * factor * level)


@inlined_function
def duration_steps(u: float, shape: int, laws: int, pf: Float, pi: Int) -> float:
    """Inverse distribution function of a shape's duration at u in [0, 1), in steps, capped.

    Log-linear between the knots of the quantiles, which lie at `laws` in `pf`.
    """
    x = pi[P_SCALARS]
    if pi[pi[P_SHAPE_LAW] + shape] == LAW_EXPONENTIAL:
        steps = -log(max(1.0 - u, 1e-300)) * pf[x + X_EXPONENTIAL_STEPS]
        return float(min(max(steps, 1e-9), pf[x + X_LONGEST_STEPS]))
    knots = pi[P_KNOTS]
    # Bisection without branches: which half it is cannot be predicted.
    low, width = 0, BISECTION
    while width > 0:
        middle = min(low + width, KNOTS - 2)
        low = middle if pf[knots + middle] <= u else low
        width //= 2
    share = (u - pf[knots + low]) / (pf[knots + low + 1] - pf[knots + low])
    row = laws + shape * KNOTS + low
    steps = exp(pf[row] + share * (pf[row + 1] - pf[row]))
    return float(min(steps, pf[x + X_LONGEST_STEPS]))


@kernel_function
def begin_prices(lane: int, key: Any, pf: Float, pi: Int, sf: Float) -> None:
    """Deviations of the electricity prices from their stationary distribution."""
    sigma = pf[pi[P_SCALARS] + X_PRICE_SIGMA]
    for pair in range(REGIONS // 2):
        first, second = normal_pair(key, STREAM_FIRST_STATE, 0, 1 + pair)
        sf[lane, pi[S_PRICE_NOISE] + 2 * pair] = sigma * first
        sf[lane, pi[S_PRICE_NOISE] + 2 * pair + 1] = sigma * second


@kernel_function
def advance_prices(lane: int, key: Any, hour: int, pf: Float, pi: Int, sf: Float) -> None:
    """A new hour: the logarithm of each region's deviation is AR(1)."""
    x = pi[P_SCALARS]
    noise = pi[S_PRICE_NOISE]
    for pair in range(REGIONS // 2):
        first, second = normal_pair(key, STREAM_PRICE, hour, pair)
        for member in range(2):
            r = noise + 2 * pair + member
            draw = second if member else first
            sf[lane, r] = (
                pf[x + X_PRICE_PERSISTENCE] * sf[lane, r] + pf[x + X_PRICE_INNOVATION] * draw
            )


@kernel_function
def set_prices(lane: int, step: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Electricity price and carbon intensity of each region in this hour."""
    hour = hour_of_week(lane, step, pi, si) % 24
    for r in range(REGIONS):
        sf[lane, pi[S_REGION_PRICE] + r] = (
            pf[pi[P_REGION_PRICE] + r] * pf[pi[P_REGION_SHAPE] + 24 * r + hour]
            * exp(sf[lane, pi[S_PRICE_NOISE] + r])
        )  # fmt: skip
        sf[lane, pi[S_REGION_CARBON] + r] = (
            pf[pi[P_REGION_CARBON] + r] * pf[pi[P_REGION_SOLAR] + 24 * r + hour]
        )


@kernel_function
def begin_nodes(lane: int, key: Any, step: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Nodes from the long run: a node is down for the share of its time that repairs take."""
    x = pi[P_SCALARS]
    repair_mean = exp(
        pf[x + X_REPAIR_LOG_STEPS] + 0.5 * pf[x + X_REPAIR_SIGMA] * pf[x + X_REPAIR_SIGMA]
    )
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        mean_up = pf[v + V_FAILURE_STEPS]
        first = int(pf[v + V_FIRST_NODE])
        for m in range(int(pf[v + V_NODES])):
            node = first + m
            luck, place = uniform_pair(key, STREAM_FIRST_NODE, 0, node)
            up = luck * (mean_up + repair_mean) >= repair_mean
            si[lane, pi[S_NODE_UP] + node] = 1 if up else 0
            left = -log(1.0 - place) * mean_up
            if not up:
                left = place * lognormal(
                    key, STREAM_FIRST_REPAIR, 0, node, pf[x + X_REPAIR_LOG_STEPS],
                    pf[x + X_REPAIR_SIGMA],
                )  # fmt: skip
            si[lane, pi[S_NODE_CHANGE] + node] = step + 1 + int(min(left, 1e9))
    _look_at_nodes(lane, pf, pi, sf, si)


@kernel_function
def _look_at_nodes(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Shares of working nodes and the step of the next change."""
    following: Any = NEVER
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        first, count = int(pf[v + V_FIRST_NODE]), int(pf[v + V_NODES])
        up = 0
        for node in range(first, first + count):
            up += si[lane, pi[S_NODE_UP] + node]
            following = min(following, si[lane, pi[S_NODE_CHANGE] + node])
        sf[lane, pi[S_UP_SHARE] + p] = up / count
    si[lane, pi[S_NEXT_NODE_CHANGE]] = following


@kernel_function
def advance_nodes(
    lane: int, key: Any, step: int, pf: Float, pi: Int, sf: Float, si: Int, failed: Float
) -> int:
    """Failures and repairs that are due; how many nodes failed.

    `failed` (providers,) gets the share of each provider's working nodes that failed now.
    """
    count = 0
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    for p in range(n):
        failed[p] = 0.0
    if step < si[lane, pi[S_NEXT_NODE_CHANGE]]:
        return count
    x = pi[P_SCALARS]
    for p in range(n):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        first, nodes = int(pf[v + V_FIRST_NODE]), int(pf[v + V_NODES])
        working, lost = 0, 0
        for node in range(first, first + nodes):
            up = si[lane, pi[S_NODE_UP] + node]
            working += up
            if si[lane, pi[S_NODE_CHANGE] + node] > step:
                continue
            if up == 1:
                lost += 1
                wait = lognormal(
                    key, STREAM_REPAIR, step, node, pf[x + X_REPAIR_LOG_STEPS],
                    pf[x + X_REPAIR_SIGMA],
                )  # fmt: skip
            else:
                wait = pf[v + V_FAILURE_STEPS] * exponential(key, STREAM_UP_TIME, step, node)
            si[lane, pi[S_NODE_UP] + node] = 1 - up
            si[lane, pi[S_NODE_CHANGE] + node] = step + 1 + int(min(wait, 1e9))
        count += lost
        if lost > 0:
            failed[p] = lost / working
    _look_at_nodes(lane, pf, pi, sf, si)
    return count


@inlined_function
def advance_token(lane: int, key: Any, step: int, pf: Float, pi: Int, sf: Float) -> None:
    """Jump-diffusion of the token's price, and the oracle's reading of it.

    The oracle holds back a report that moved by more than the outlier's share until the next one
    confirms it; its price is the mean of the last two accepted reports.
    """
    x = pi[P_SCALARS]
    z, jump = normal_pair(key, STREAM_TOKEN, step, 0)
    change = pf[x + X_TOKEN_DRIFT] + pf[x + X_TOKEN_SIGMA] * z
    if uniform_pair(key, STREAM_JUMP, step, 0)[0] < pf[x + X_TOKEN_JUMP_PROBABILITY]:
        change += pf[x + X_TOKEN_JUMP_MEAN] + pf[x + X_TOKEN_JUMP_SIGMA] * jump
    price = min(max(sf[lane, pi[S_TOKEN_PRICE]] * exp(change), 1e-3), 1e3)
    sf[lane, pi[S_TOKEN_PRICE]] = price
    feed = pi[S_FEED]
    limit = pf[x + X_OUTLIER_SHARE]
    last, held = sf[lane, feed + D_NOW], sf[lane, feed + D_HELD]
    calm = abs(price - last) <= limit * last
    confirmed = held > 0.0 and abs(price - held) <= limit * held
    sf[lane, feed + D_BEFORE] = last
    if calm or confirmed:
        sf[lane, feed + D_NOW] = price
        sf[lane, feed + D_HELD] = 0.0
    else:
        sf[lane, feed + D_HELD] = price


@inlined_function
def oracle_price(lane: int, pi: Int, sf: Float) -> float:
    """Time-weighted mean of the oracle's last two reports, USD."""
    feed = pi[S_FEED]
    return float(0.5 * (sf[lane, feed + D_NOW] + sf[lane, feed + D_BEFORE]))


assert KNOTS - 2 < 2 * BISECTION
