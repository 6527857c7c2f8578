"""Rings of days: what happens on day t stands at t modulo the ring's length.

A division costs more than all else of finding a place, and a step looks for a place on each route.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function


@inlined_function
def days_on(today: int, days: int, ring: int) -> int:
    """The place `days` after the place `today` of a ring of `ring` days, 0 <= days <= ring."""
    place = today + days
    return place - ring if place >= ring else place
