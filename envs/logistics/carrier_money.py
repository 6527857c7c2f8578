"""Each carrier's own money, from the network's accounts (mode "carrier").

A carrier's wealth is its purse, its stake and the freight that lies in escrow for what it has
taken. What the wealth gains in a day is freight at its price less its own cost, the DAO's tariff
and slashes; of this goes what its owners could earn elsewhere with the stake. With what places pay
and the DAO takes it adds up to the network's reward less that yield.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.own_money import keep_own_money

from .bids import post_nothing
from .layout import (
    F_STAKE_YIELD,
    H_VOLUME,
    I_GOODS,
    I_HORIZON,
    I_MODES,
    I_ROUTES,
    O_FLEET_HOURS,
    O_LATE_PROBABILITY,
    Q_CAPACITY,
    Q_HOURS,
    R_FLEET,
    R_MODE,
    S_CARRIER_EPISODE_USD,
    S_CARRIER_OWN_USD,
    S_CARRIER_STEP_USD,
    S_CARRIER_USD,
    S_CARRIER_WEALTH_USD,
    S_ESCROW_USD,
    S_FLOW,
    S_STAKE_USD,
    S_STEP,
    S_WORK,
    UNLIMITED,
    W_EARNED_USD,
    W_LATE_SHARE,
    W_LATE_VOLUME,
    W_SPOT_USD,
    W_USED,
    W_VOLUME,
    YEAR_DAYS,
)
from .tables import good_value, mode_value, route_at, route_value

LATE_SHARE = 0.05
"""Weight of a day in the moving average of lateness."""


@inlined_function
def _wealth(lane: int, mode: int, pi: Int, sf: Float) -> float:
    purse = sf[lane, pi[S_CARRIER_USD] + mode] + sf[lane, pi[S_STAKE_USD] + mode]
    return float(purse + sf[lane, pi[S_ESCROW_USD] + mode])


@kernel_function
def begin_carriers(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    """At the start of an episode: nothing posted, nothing carried; the stake is no income."""
    post_nothing(lane, pf, pi, sf)
    begin_work(lane, pi, sf)
    for m in range(pi[I_MODES]):
        sf[lane, pi[S_WORK] + W_USED * pi[I_MODES] + m] = 0.0
        sf[lane, pi[S_WORK] + W_EARNED_USD * pi[I_MODES] + m] = 0.0
        late = mode_value(pf, pi, m, O_LATE_PROBABILITY)
        sf[lane, pi[S_WORK] + W_LATE_SHARE * pi[I_MODES] + m] = late
        sf[lane, pi[S_CARRIER_WEALTH_USD] + m] = _wealth(lane, m, pi, sf)
        sf[lane, pi[S_CARRIER_OWN_USD] + m] = 0.0


@kernel_function
def begin_work(lane: int, pi: Int, sf: Float) -> None:
    """Before a day's shipments: nothing carried yet."""
    for m in range(pi[I_MODES]):
        sf[lane, pi[S_WORK] + W_VOLUME * pi[I_MODES] + m] = 0.0
        sf[lane, pi[S_WORK] + W_LATE_VOLUME * pi[I_MODES] + m] = 0.0
        sf[lane, pi[S_WORK] + W_SPOT_USD * pi[I_MODES] + m] = 0.0


@kernel_function
def settle_carriers(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """The day's income of all carriers, when all of its money has moved, and how busy they were."""
    n = pi[I_MODES]
    for m in range(n):
        wealth = _wealth(lane, m, pi, sf)
        forgone = pf[F_STAKE_YIELD] * sf[lane, pi[S_STAKE_USD] + m] / YEAR_DAYS
        gained = wealth - sf[lane, pi[S_CARRIER_WEALTH_USD] + m]
        sf[lane, pi[S_CARRIER_STEP_USD] + m] = gained - forgone
        sf[lane, pi[S_WORK] + W_EARNED_USD * n + m] = gained - forgone
        sf[lane, pi[S_CARRIER_WEALTH_USD] + m] = wealth
        volume = sf[lane, pi[S_WORK] + W_VOLUME * n + m]
        if volume > 0.0:
            late = sf[lane, pi[S_WORK] + W_LATE_VOLUME * n + m] / volume
            average = pi[S_WORK] + W_LATE_SHARE * n + m
            sf[lane, average] += LATE_SHARE * (late - sf[lane, average])
        sf[lane, pi[S_WORK] + W_USED * n + m] = 0.0
    over = si[lane, pi[S_STEP]] + 1 >= pi[I_HORIZON]
    keep_own_money(
        lane, n, pi[S_CARRIER_STEP_USD], pi[S_CARRIER_OWN_USD], pi[S_CARRIER_EPISODE_USD], over, sf
    )
    for r in range(pi[I_ROUTES]):
        _use(lane, r, pf, pi, sf)


@inlined_function
def _use(lane: int, route: int, pf: Float, pi: Int, sf: Float) -> None:
    """The largest share of a route's capacity that is taken; of fleets' hours, the share of all."""
    volume = 0.0
    for g in range(pi[I_GOODS]):
        units = sf[lane, pi[S_FLOW] + route * pi[I_GOODS] + g]
        volume += units * good_value(pf, pi, g, H_VOLUME)
    mode = route_at(pi, route, R_MODE)
    used = pi[S_WORK] + W_USED * pi[I_MODES] + mode
    capacity = route_value(pf, pi, route, Q_CAPACITY)
    if route_at(pi, route, R_FLEET) >= 0:
        hours = volume * route_value(pf, pi, route, Q_HOURS)
        sf[lane, used] += hours / mode_value(pf, pi, mode, O_FLEET_HOURS)
    elif capacity < UNLIMITED:
        sf[lane, used] = max(sf[lane, used], volume / capacity)
