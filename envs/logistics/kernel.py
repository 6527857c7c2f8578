"""One day of the supply network, top to bottom: request, gate, world, settle, govern, report.

`step_serial` and `step_parallel` step all environments in one call; both run `step_range`, so
there is one implementation of the dynamics for one environment and for thousands, for a serial
system of two stages and for a network of a thousand nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_entry, kernel_function, separate_arrays_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.prefetch import prefetch_row
from daogym.envs.core.specialised import Entries, specialiser
from daogym.envs.core.uncounted import uncounted
from daogym.envs.dao.lane import charter_facts, prefetch_clock

from .bids import post_bids
from .carriage import answer_bids
from .carrier_money import begin_work, settle_carriers
from .demand import draw_day
from .episode import begin_episode, pass_night
from .flow import serve, ship
from .layout import (
    AUTORESET_NEXT_STEP,
    AUTORESET_SAME_STEP,
    I_AUTORESET,
    I_BIDDING,
    I_FLEETS,
    I_GOODS,
    I_HORIZON,
    I_MODES,
    I_OBSERVATION,
    I_OWN_MONEY,
    I_REGIONS,
    I_ROUTES,
    OUT_WIDTH,
    S_DONE,
    S_GOVERNED,
    S_STEP,
    S_SUMS,
)
from .node_money import settle_nodes
from .observation import write_observation
from .orders import SCRATCH_ROWS, gate_orders, make_orders
from .settle import settle

Flags = NDArray[np.uint8]
Float32 = NDArray[np.float32]


@kernel_function
def step_range(
    low: int, high: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, actions: Float32,
    observations: Float32, out: Float, flags: Flags,
) -> int:  # fmt: skip
    """Step the environments ``low <= lane < high``; see `core.simulator.Domain` for the arrays.

    `charter` is explained in dao/lane.py.

    Returns a number that keeps the scratch memory alive to the end.
    """
    scratch_memory = np.zeros((SCRATCH_ROWS, max(pi[I_ROUTES], pi[I_MODES]), pi[I_GOODS]))
    region_memory = np.zeros((2, pi[I_REGIONS]))
    fleet_memory = np.zeros(pi[I_FLEETS])
    clean_memory = np.zeros(actions.shape[1])
    # Once inside, nothing counts the arrays any more.
    _step_lanes(
        low, high, uncounted(pf), uncounted(pi), uncounted(charter), uncounted(sf), uncounted(si),
        uncounted(actions), uncounted(observations), uncounted(out), uncounted(flags),
        uncounted(scratch_memory), uncounted(clean_memory), uncounted(region_memory),
        uncounted(fleet_memory),
    )  # fmt: skip
    return len(scratch_memory) + len(region_memory) + len(fleet_memory) + len(clean_memory)


@separate_arrays_function
def _step_lanes(
    low: int, high: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, actions: Float32,
    observations: Float32, out: Float, flags: Flags, scratch: Float, clean: Float,
    region_sums: Float, fleet_hours: Float,
) -> None:  # fmt: skip
    facts = charter_facts(charter)
    for lane in range(low, high):
        if lane + 1 < high:
            prefetch_row(sf, lane + 1)
            if len(charter) > 0:
                prefetch_clock(lane + 1, S_GOVERNED, pi, si)
            else:
                prefetch_row(si, lane + 1)
        # What an episode ends with, the last columns, is neither cleared nor summed in other steps.
        if len(charter) > 0 and flags[0, lane] == 1:
            for c in range(OUT_WIDTH, out.shape[2]):
                out[0, lane, c] = 0.0
        flags[0, lane] = 0
        flags[1, lane] = 0
        for c in range(OUT_WIDTH):
            out[0, lane, c] = 0.0
        if si[lane, pi[S_DONE]] == 1:
            if pi[I_AUTORESET] == AUTORESET_NEXT_STEP:
                begin_episode(lane, pf, pi, charter, sf, si)
                write_observation(lane, facts, pf, pi, sf, si, observations[0])
            continue
        make_orders(lane, facts, pf, pi, sf, si, actions, clean, scratch, out)
        if pi[I_BIDDING] == 1:
            begin_work(lane, pi, sf)
            answer_bids(lane, pf, pi, sf, scratch, fleet_hours)
        gate_orders(lane, pf, pi, sf, si, scratch, out)
        draw_day(lane, pf, pi, sf, si)
        ship(lane, pf, pi, sf, si, clean, scratch, fleet_hours, out)
        serve(lane, pf, pi, sf, region_sums, out)
        settle(lane, pf, pi, sf, si, out)
        if pi[I_OWN_MONEY] == 1:
            settle_nodes(lane, pf, pi, sf, si)
        if pi[I_BIDDING] == 1:
            settle_carriers(lane, pf, pi, sf, si)
            post_bids(lane, clean, pf, pi, sf)
        pass_night(lane, pf, pi, charter, sf, si, out)
        for c in range(OUT_WIDTH):
            sf[lane, pi[S_SUMS] + c] += out[0, lane, c]
        write_observation(lane, facts, pf, pi, sf, si, observations[0])
        if si[lane, pi[S_STEP]] >= pi[I_HORIZON]:
            flags[0, lane] = 1
            si[lane, pi[S_DONE]] = 1
            for c in range(OUT_WIDTH):
                out[1, lane, c] = sf[lane, pi[S_SUMS] + c]
            if len(charter) > 0:
                for c in range(OUT_WIDTH, out.shape[2]):
                    out[1, lane, c] = out[0, lane, c]
            for d in range(pi[I_OBSERVATION]):
                observations[1, lane, d] = observations[0, lane, d]
            if pi[I_AUTORESET] == AUTORESET_SAME_STEP:
                begin_episode(lane, pf, pi, charter, sf, si)
                write_observation(lane, facts, pf, pi, sf, si, observations[0])


def step_entries(step: Any, key: str) -> Entries:
    """The entries that run `step`, a `step_range`; see core/specialised.py."""

    @kernel_entry(key=key)
    def step_serial(
        n_chunk: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, actions: Float32,
        observations: Float32, out: Float, flags: Flags,
    ) -> None:  # fmt: skip
        """Step all environments on the calling thread."""
        step(0, len(si), pf, pi, charter, sf, si, actions, observations, out, flags)

    @kernel_entry(parallel=True, key=key)
    def step_parallel(
        n_chunk: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, actions: Float32,
        observations: Float32, out: Float, flags: Flags,
    ) -> None:  # fmt: skip
        """Step all environments in `n_chunk` pieces over Numba's threads."""
        n = len(si)
        for chunk in prange(n_chunk):
            step(
                chunk * n // n_chunk, (chunk + 1) * n // n_chunk, pf, pi, charter, sf, si, actions,
                observations, out, flags,
            )  # fmt: skip

    return step_serial, step_parallel


step_serial, step_parallel = step_entries(step_range, "")
specialised_step = specialiser(step_entries, step_range)


@kernel_entry()
def reset_lanes(
    mask: NDArray[np.bool_], pf: Float, pi: Int, charter: Any, sf: Float, si: Int,
    observations: Float32,
) -> None:  # fmt: skip
    """Begin the next episode of the masked lanes and write their observations."""
    facts = charter_facts(charter)
    for lane in range(len(si)):
        if mask[lane]:
            begin_episode(lane, pf, pi, charter, sf, si)
            write_observation(lane, facts, pf, pi, sf, si, observations[0])
