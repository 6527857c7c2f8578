"""One step of the energy grid, top to bottom: request, gate, world, settle, govern, report.

`step_serial` and `step_parallel` step all environments in one call; both run `step_range`, so
there is one implementation of the dynamics for one environment and for thousands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_entry, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.prefetch import prefetch_row
from daogym.envs.core.specialised import Entries, specialiser
from daogym.envs.core.uncounted import uncounted
from daogym.envs.dao.lane import (
    RESTS,
    charter_facts,
    governor_stirs,
    prefetch_clock,
    prefetch_votes,
)
from daogym.envs.dao.lane_layout import D_AGENDA, FACT_OPERATOR_VOTES

from .episode import advance_clock, advance_halt, begin_day, begin_episode, close_sessions
from .govern import report_votes
from .layout import (
    AUTORESET_NEXT_STEP,
    AUTORESET_SAME_STEP,
    C_HORIZON,
    E_CAPTURE,
    M_AUTORESET,
    M_MARKET,
    OUT_EVENT,
    P_CALENDAR,
    P_MODES,
    P_PARENT,
    P_R_PU,
    P_SCALARS,
    P_SHUNT_B_PU,
    P_SHUNT_G_PU,
    P_SIZES,
    P_TAP,
    P_X_PU,
    PLAN_SCALARS,
    S_DONE,
    S_GOVERNED,
    S_STEP,
    S_SUMS,
    X_MAX_SWEEPS,
    X_S_BASE_KVA,
    X_SLACK_VOLTAGE_PU,
    X_TOLERANCE_PU,
    Z_ACTION,
    Z_BATTERY,
    Z_BUS,
    Z_EV,
    Z_OBSERVATION,
    Z_PV,
)
from .members import measure_trade, settle_members
from .observation import write_observation
from .powerflow import TILE, solve_tile
from .request import gate_request, make_request, read_world
from .settle import NETWORK_ROWS, advance_devices, measure_network, settle_money

Flags = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@kernel_function
def step_range(
    low: int, high: int, pf: Float, pi: Int, rows: Float32, world: Float, price_hours: Float,
    days: Float, charter: Any, sf: Float, si: Int, actions: Float32, observations: Float32,
    out: Float, flags: Flags,
) -> int:  # fmt: skip
    """Step the environments ``low <= lane < high``; `charter` is explained in dao/lane.py.

    `observations` is (2, N, D): the next observation, and the last one of an episode that ended;
    `out` is (2, N, out_width): this step, and the sums of an episode that ended; `flags` is
    (2, N): terminated and truncated. Returns a number that keeps the scratch memory alive.
    """
    # Once inside, nothing counts the arrays any more. The charter comes uncounted: Numba drops the
    # branches of a static one only where it is an argument.
    pf, pi, sf, si = uncounted(pf), uncounted(pi), uncounted(sf), uncounted(si)
    rows, world, days = uncounted(rows), uncounted(world), uncounted(days)
    price_hours, actions = uncounted(price_hours), uncounted(actions)
    observations, out, flags = uncounted(observations), uncounted(out), uncounted(flags)
    sizes = pi[P_SIZES]
    n_bus = pi[sizes + Z_BUS]
    scalars = pi[P_SCALARS]
    autoreset = pi[pi[P_MODES] + M_AUTORESET]
    horizon = pi[pi[P_CALENDAR] + C_HORIZON]
    parent = pi[pi[P_PARENT] : pi[P_PARENT] + n_bus]
    r_pu = pf[pi[P_R_PU] : pi[P_R_PU] + n_bus]
    x_pu = pf[pi[P_X_PU] : pi[P_X_PU] + n_bus]
    tap = pf[pi[P_TAP] : pi[P_TAP] + n_bus]
    shunt_g = pf[pi[P_SHUNT_G_PU] : pi[P_SHUNT_G_PU] + n_bus]
    shunt_b = pf[pi[P_SHUNT_B_PU] : pi[P_SHUNT_B_PU] + n_bus]
    inverse_base = 1.0 / pf[scalars + X_S_BASE_KVA]
    tile_memory = np.zeros((7, n_bus, TILE))
    network_memory, trade_memory = np.empty((NETWORK_ROWS, TILE)), np.empty((2, TILE))
    state_memory = np.empty((2, TILE))
    sweeps_memory = np.empty(TILE, dtype=np.int64)
    devices = 3 * pi[sizes + Z_BATTERY] + 2 * pi[sizes + Z_PV] + pi[sizes + Z_EV]
    plan_memory = np.empty((TILE, PLAN_SCALARS + devices))
    clean_memory = np.empty((TILE, pi[sizes + Z_ACTION]))
    physical_memory = np.empty(pi[sizes + Z_OBSERVATION])
    tile, network, trade = (
        uncounted(tile_memory), uncounted(network_memory), uncounted(trade_memory)
    )  # fmt: skip
    change, active = uncounted(state_memory)[0], uncounted(state_memory)[1]
    sweeps, plan = uncounted(sweeps_memory), uncounted(plan_memory)
    clean, physical = uncounted(clean_memory), uncounted(physical_memory)
    p_pu, q_pu, v_re, v_im, j_re, j_im = tile[0], tile[1], tile[2], tile[3], tile[4], tile[5]
    volts = tile[6]
    width_out = out.shape[2]
    # What an episode ends with, the last columns, is neither cleared nor summed in other steps.
    steady = OUT_EVENT + E_CAPTURE if len(charter) > 0 else width_out
    market = pi[pi[P_MODES] + M_MARKET] == 1
    facts = charter_facts(charter)
    # Kept at hand: after a write to a lane the compiler would look each of them up anew.
    done_at, step_at, sums_at = pi[S_DONE], pi[S_STEP], pi[S_SUMS]
    agenda_at = pi[S_GOVERNED + D_AGENDA]

    for first in range(low, high, TILE):
        width = min(TILE, high - first)
        for lane in range(first + width, min(first + 2 * TILE, high)):
            prefetch_row(sf, lane)
            if len(charter) > 0:
                prefetch_clock(lane, S_GOVERNED, pi, si)
            else:
                prefetch_row(si, lane)
        for e in range(width):
            lane = first + e
            if flags[0, lane] == 1:
                for c in range(steady, width_out):
                    out[0, lane, c] = 0.0
            flags[0, lane] = 0
            flags[1, lane] = 0
            for c in range(steady):
                out[0, lane, c] = 0.0
            if si[lane, done_at] == 1:
                for k in range(n_bus):
                    p_pu[k, e] = 0.0
                    q_pu[k, e] = 0.0
            else:
                read_world(lane, e, pf, pi, rows, days, sf, si, plan, p_pu, q_pu)
                make_request(lane, e, pf, pi, facts, sf, si, actions, out, clean, plan, p_pu)
                gate_request(lane, e, pf, pi, sf, out, plan, p_pu, q_pu)
        if len(charter) > 0:
            for lane in range(first, first + width):
                prefetch_votes(lane, S_GOVERNED, pi, si)
        for k in range(n_bus):
            for e in range(width):
                p_pu[k, e] *= inverse_base
                q_pu[k, e] *= inverse_base
        solve_tile(
            width, parent, r_pu, x_pu, tap, shunt_g, shunt_b, pf[scalars + X_SLACK_VOLTAGE_PU],
            pf[scalars + X_TOLERANCE_PU], int(pf[scalars + X_MAX_SWEEPS]), p_pu, q_pu, v_re, v_im,
            j_re, j_im, change, active, sweeps,
        )  # fmt: skip
        measure_network(pf, pi, p_pu, v_re, v_im, j_re, j_im, volts, network)
        if len(charter) > 0 and market:
            measure_trade(pi, p_pu, trade)
        for e in range(width):
            lane = first + e
            if si[lane, done_at] == 1:
                if autoreset == AUTORESET_NEXT_STEP:
                    begin_episode(lane, pf, pi, charter, sf, si)
                    write_observation(
                        lane, pf, pi, world, price_hours, days, facts, sf, si, physical,
                        observations[0],
                    )  # fmt: skip
                continue
            advance_devices(lane, e, pf, pi, sf, si, out, plan, volts, network, j_re, j_im, sweeps)
            close_sessions(lane, pf, pi, sf, si, out)
            advance_clock(lane, pf, pi, sf, si)
            if len(charter) > 0:
                stirs = governor_stirs(
                    lane, agenda_at, facts[FACT_OPERATOR_VOTES], si, horizon - si[lane, step_at]
                )
                if stirs != RESTS:
                    report_votes(lane, charter, pf, pi, sf, si, out, stirs)
                advance_halt(lane, pf, pi, sf, si)
            begin_day(lane, pf, pi, sf, si)
            settle_money(lane, e, pf, pi, world, days, sf, si, out, plan)
            if len(charter) > 0 and market:
                settle_members(
                    lane, e, pf, pi, rows, world, days, sf, si, p_pu, trade, out, plan,
                )  # fmt: skip
            for c in range(steady):
                sf[lane, sums_at + c] += out[0, lane, c]
            if si[lane, step_at] < horizon:
                write_observation(
                    lane, pf, pi, world, price_hours, days, facts, sf, si, physical,
                    observations[0],
                )  # fmt: skip
                continue
            flags[0, lane] = 1
            si[lane, done_at] = 1
            for c in range(steady):
                out[1, lane, c] = sf[lane, sums_at + c]
            for c in range(steady, width_out):
                out[1, lane, c] = out[0, lane, c]
            write_observation(
                lane, pf, pi, world, price_hours, days, facts, sf, si, physical,
                observations[1],
            )  # fmt: skip
            if autoreset == AUTORESET_SAME_STEP:
                begin_episode(lane, pf, pi, charter, sf, si)
                write_observation(
                    lane, pf, pi, world, price_hours, days, facts, sf, si, physical,
                    observations[0],
                )  # fmt: skip
            else:
                for d in range(len(physical)):
                    observations[0, lane, d] = observations[1, lane, d]
    kept = len(tile_memory) + len(network_memory) + len(trade_memory) + len(state_memory)
    kept += len(sweeps_memory) + len(plan_memory) + len(clean_memory) + len(physical_memory)
    return kept


def step_entries(step: Any, key: str) -> Entries:
    """The entries that run `step`, a `step_range`; see core/specialised.py."""

    @kernel_entry(key=key)
    def step_serial(
        n_chunk: int, pf: Float, pi: Int, rows: Float32, world: Float, price_hours: Float,
        days: Float, charter: Any, sf: Float, si: Int, actions: Float32, observations: Float32,
        out: Float, flags: Flags,
    ) -> None:  # fmt: skip
        """Step all environments on the calling thread."""
        step(
            0, len(si), pf, pi, rows, world, price_hours, days, uncounted(charter), sf, si, actions,
            observations, out, flags,
        )  # fmt: skip

    @kernel_entry(parallel=True, key=key)
    def step_parallel(
        n_chunk: int, pf: Float, pi: Int, rows: Float32, world: Float, price_hours: Float,
        days: Float, charter: Any, sf: Float, si: Int, actions: Float32, observations: Float32,
        out: Float, flags: Flags,
    ) -> None:  # fmt: skip
        """Step all environments, `n_chunk` pieces of whole tiles over Numba's threads."""
        n = len(si)
        tiles = (n + TILE - 1) // TILE
        for chunk in prange(n_chunk):
            low = chunk * tiles // n_chunk * TILE
            high = min((chunk + 1) * tiles // n_chunk * TILE, n)
            step(
                low, high, pf, pi, rows, world, price_hours, days, uncounted(charter), sf, si,
                actions, observations, out, flags,
            )  # fmt: skip

    return step_serial, step_parallel


step_serial, step_parallel = step_entries(step_range, "")
specialised_step = specialiser(step_entries, step_range)


@kernel_entry()
def reset_lanes(
    mask: NDArray[np.bool_], pf: Float, pi: Int, world: Float, price_hours: Float, days: Float,
    charter: Any, sf: Float, si: Int, observations: Float32,
) -> None:  # fmt: skip
    """Begin the next episode of the masked lanes and write their observations."""
    physical = np.empty(pi[pi[P_SIZES] + Z_OBSERVATION])
    facts = charter_facts(charter)
    for lane in range(len(si)):
        if mask[lane]:
            begin_episode(lane, pf, pi, charter, sf, si)
            write_observation(
                lane, pf, pi, world, price_hours, days, facts, sf, si, physical, observations[0]
            )
