"""How orders answer what carriers have posted (mode "carrier"), before the charter's gate.

Where every carrier asks nominal freight and offers all, orders stay as they are, bit for bit.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int

from .bids import open_hours, open_share, open_volume, posted
from .layout import (
    B_ATTRACTION,
    H_VOLUME,
    I_FLEETS,
    I_GOODS,
    I_LANES,
    I_ROUTES,
    L_END_ROUTE,
    L_FIRST_ROUTE,
    Q_HOURS,
    R_FLEET,
    R_LANE,
    R_MODE,
)
from .orders import ORDERED
from .tables import good_value, link_at, route_at, route_value


@kernel_function
def answer_bids(
    lane: int, pf: Float, pi: Int, sf: Float, scratch: Float, fleet_hours: Float
) -> None:
    """Change ``scratch[ORDERED]``: dear modes lose orders to cheap ones, and so do scarce ones."""
    for a in range(pi[I_LANES]):
        _follow_prices(lane, a, pi, sf, scratch)
    _shift_fleets(lane, pf, pi, sf, scratch, fleet_hours)
    for a in range(pi[I_LANES]):
        first, end = link_at(pi, a, L_FIRST_ROUTE), link_at(pi, a, L_END_ROUTE)
        for r in range(first + 1, end):
            _shift(lane, r, pf, pi, sf, scratch)
        _shift(lane, first, pf, pi, sf, scratch)


@inlined_function
def _follow_prices(lane: int, link: int, pi: Int, sf: Float, scratch: Float) -> None:
    """Split a lane's order of each good anew: usual shares times the modes' attractions."""
    first, end = link_at(pi, link, L_FIRST_ROUTE), link_at(pi, link, L_END_ROUTE)
    usual = True
    for r in range(first, end):
        usual = usual and posted(lane, B_ATTRACTION, route_at(pi, r, R_MODE), pi, sf) == 1.0
    if usual or end - first < 2:
        return
    for g in range(pi[I_GOODS]):
        units, weight = 0.0, 0.0
        for r in range(first, end):
            units += scratch[ORDERED, r, g]
            weight += scratch[ORDERED, r, g] * posted(
                lane, B_ATTRACTION, route_at(pi, r, R_MODE), pi, sf
            )
        if weight > 0.0:
            for r in range(first, end):
                attraction = posted(lane, B_ATTRACTION, route_at(pi, r, R_MODE), pi, sf)
                scratch[ORDERED, r, g] *= attraction * (units / weight)


@inlined_function
def _shift_fleets(
    lane: int, pf: Float, pi: Int, sf: Float, scratch: Float, fleet_hours: Float
) -> None:
    """Orders that the hours on offer do not reach for go to the lane's default mode, or nowhere."""
    for fleet in range(pi[I_FLEETS]):
        fleet_hours[fleet] = 0.0
    for r in range(pi[I_ROUTES]):
        fleet = route_at(pi, r, R_FLEET)
        if fleet >= 0:
            fleet_hours[fleet] += _volume(r, pf, pi, scratch) * route_value(pf, pi, r, Q_HOURS)
    for r in range(pi[I_ROUTES]):
        fleet = route_at(pi, r, R_FLEET)
        if fleet >= 0 and open_share(lane, route_at(pi, r, R_MODE), pi, sf) < 1.0:
            hours = open_hours(lane, r, pf, pi, sf)
            if fleet_hours[fleet] > hours:
                _keep(r, hours / fleet_hours[fleet], pi, scratch)


@inlined_function
def _shift(lane: int, route: int, pf: Float, pi: Int, sf: Float, scratch: Float) -> None:
    """Orders beyond the capacity on offer go to the lane's default mode, or nowhere."""
    if open_share(lane, route_at(pi, route, R_MODE), pi, sf) >= 1.0:
        return
    volume, most = _volume(route, pf, pi, scratch), open_volume(lane, route, pf, pi, sf)
    if volume > most:
        _keep(route, most / volume, pi, scratch)


@inlined_function
def _volume(route: int, pf: Float, pi: Int, scratch: Float) -> float:
    volume = 0.0
    for g in range(pi[I_GOODS]):
        volume += scratch[ORDERED, route, g] * good_value(pf, pi, g, H_VOLUME)
    return volume


@inlined_function
def _keep(route: int, share: float, pi: Int, scratch: Float) -> None:
    default = link_at(pi, route_at(pi, route, R_LANE), L_FIRST_ROUTE)
    for g in range(pi[I_GOODS]):
        units = scratch[ORDERED, route, g]
        scratch[ORDERED, route, g] = units * share
        if default != route:
            scratch[ORDERED, default, g] += units * (1.0 - share)
