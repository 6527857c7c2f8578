"""Which places a fleet serves first where its hours are scarce, by an action each."""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int

from .bids import open_hours
from .layout import (
    I_FLEET_PLACES,
    I_GOODS,
    I_KNOBS,
    I_LEVEL_ROWS,
    N_END_ROUTE,
    N_FIRST_ROUTE,
    R_FLEET,
    R_PLACE,
)
from .orders import BY_MODE, WANTED
from .tables import node_at, route_at

STEEPNESS = 0.9
"""Of `place_weight`: a place at 1 weighs 19 times as much as at 0, at -1 a nineteenth."""


@inlined_function
def place_weight(action: float) -> float:
    """Of a place's hours: 1 at action 0; weights of opposite actions are reciprocal."""
    return (1.0 + STEEPNESS * action) / (1.0 - STEEPNESS * action)


@inlined_function
def _weight(route: int, pi: Int, clean: Float) -> float:
    first = pi[I_LEVEL_ROWS] * pi[I_GOODS] + pi[I_KNOBS]
    return place_weight(clean[first + route_at(pi, route, R_PLACE)])


@inlined_function
def allocate_hours(
    lane: int, node: int, pf: Float, pi: Int, sf: Float, clean: Float, scratch: Float,
    fleet_hours: Float,
) -> None:  # fmt: skip
    """Cut ``scratch[WANTED]`` of a node's fleets to their hours, and ``fleet_hours`` with it.

    A place with weight w and h hours asked for gets min(1, level w) h; `level` is such that the
    fleet's hours are used up. It rises from the share that everybody would get: whoever is served
    in full leaves the rest of its weight to the others. With equal weights all get the same share.
    """
    first, end = node_at(pi, node, N_FIRST_ROUTE), node_at(pi, node, N_END_ROUTE)
    for lead in range(first, end):
        fleet = route_at(pi, lead, R_FLEET)
        if fleet < 0:
            continue
        hours = open_hours(lane, lead, pf, pi, sf)
        if fleet_hours[fleet] <= hours:
            continue
        level = 0.0
        for _ in range(pi[I_FLEET_PLACES] + 1):
            left, asked = hours, 0.0
            for r in range(lead, end):
                if route_at(pi, r, R_FLEET) == fleet:
                    weight = _weight(r, pi, clean)
                    if level * weight >= 1.0:
                        left -= scratch[BY_MODE, r, 0]
                    else:
                        asked += weight * scratch[BY_MODE, r, 0]
            if not asked > 0.0 or left / asked <= level:
                break
            level = left / asked
        for r in range(lead, end):
            if route_at(pi, r, R_FLEET) == fleet:
                share = min(level * _weight(r, pi, clean), 1.0)
                for g in range(pi[I_GOODS]):
                    scratch[WANTED, r, g] *= share
        fleet_hours[fleet] = hours
