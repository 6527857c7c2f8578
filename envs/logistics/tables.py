"""The network's tables inside the parameter vectors: one accessor each.

Arrays in a tuple would be counted in and out of every function that touches them (measured: ten
times the cost of a step of a serial system), so all tables lie in `pf` and `pi`.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int

from .layout import (
    CALENDAR_COLUMNS,
    GOOD_COLUMNS,
    I_GOODS,
    I_LEVEL_ROWS,
    I_NODES,
    LANE_COLUMNS,
    MODE_COLUMNS,
    NODE_COLUMNS,
    NODE_VALUE_COLUMNS,
    P_CALENDAR,
    P_CELLS,
    P_DAYS_AHEAD,
    P_GOODS,
    P_LANES,
    P_MODES,
    P_NODE_VALUES,
    P_NODES,
    P_PIPELINE_SLOTS,
    P_PROCESSES,
    P_ROUTE_VALUES,
    P_ROUTES,
    P_SEASON_AHEAD,
    P_SEEN_PROCESSES,
    PROCESS_COLUMNS,
    ROUTE_COLUMNS,
    ROUTE_VALUE_COLUMNS,
)


@inlined_function
def node_at(pi: Int, node: int, column: int) -> int:
    """A node's whole number, columns N_*."""
    return int(pi[pi[P_NODES] + node * NODE_COLUMNS + column])


@inlined_function
def node_value(pf: Float, pi: Int, node: int, column: int) -> float:
    """A node's number, columns V_*."""
    return float(pf[pi[P_NODE_VALUES] + node * NODE_VALUE_COLUMNS + column])


@inlined_function
def link_at(pi: Int, lane: int, column: int) -> int:
    """A lane's whole number, columns L_*."""
    return int(pi[pi[P_LANES] + lane * LANE_COLUMNS + column])


@inlined_function
def route_at(pi: Int, route: int, column: int) -> int:
    """A route's whole number, columns R_*."""
    return int(pi[pi[P_ROUTES] + route * ROUTE_COLUMNS + column])


@inlined_function
def route_value(pf: Float, pi: Int, route: int, column: int) -> float:
    """A route's number, columns Q_*."""
    return float(pf[pi[P_ROUTE_VALUES] + route * ROUTE_VALUE_COLUMNS + column])


@inlined_function
def mode_value(pf: Float, pi: Int, mode: int, column: int) -> float:
    """A mode's number, columns O_*."""
    return float(pf[pi[P_MODES] + mode * MODE_COLUMNS + column])


@inlined_function
def good_value(pf: Float, pi: Int, good: int, column: int) -> float:
    """A good's number, columns H_*."""
    return float(pf[pi[P_GOODS] + good * GOOD_COLUMNS + column])


@inlined_function
def cell_value(pf: Float, pi: Int, block: int, node: int, good: int) -> float:
    """A number of one good at one node, blocks C_*."""
    return float(pf[pi[P_CELLS] + (block * pi[I_NODES] + node) * pi[I_GOODS] + good])


@inlined_function
def process_value(pf: Float, pi: Int, process: int, column: int) -> float:
    """A number of what closes and opens, columns U_*."""
    return float(pf[pi[P_PROCESSES] + process * PROCESS_COLUMNS + column])


@inlined_function
def calendar_value(pf: Float, pi: Int, row: int, column: int) -> float:
    """A number of the calendar."""
    return float(pf[pi[P_CALENDAR] + row * CALENDAR_COLUMNS + column])


@inlined_function
def slot_at(pi: Int, slot: int, column: int) -> int:
    """Node (0) or days until arrival (1) of an observed part of the pipeline."""
    return int(pi[pi[P_PIPELINE_SLOTS] + 2 * slot + column])


@inlined_function
def seen_process(pi: Int, i: int) -> int:
    """The i-th process that is observed."""
    return int(pi[pi[P_SEEN_PROCESSES] + i])


@inlined_function
def days_ahead(pi: Int, tier: int) -> int:
    """Days that a tier's orders have to last for."""
    return int(pi[pi[P_DAYS_AHEAD] + tier])


@inlined_function
def season_ahead(pf: Float, pi: Int, day_of_year: int, i: int) -> float:
    """Mean seasonal factor of the days ahead; `i` counts goods within tiers."""
    return float(pf[pi[P_SEASON_AHEAD] + day_of_year * pi[I_LEVEL_ROWS] * pi[I_GOODS] + i])
