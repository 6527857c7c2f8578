"""One step of the compute market, top to bottom: request, gate, world, settle, govern, report.

`step_serial` and `step_parallel` step all environments in one call; both run `step_range`, so
there is one implementation of the dynamics for one environment and for thousands.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from daogym.envs.core.compiled import inlined_function, kernel_entry, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.specialised import Entries, specialiser
from daogym.envs.core.uncounted import uncounted
from daogym.envs.dao.lane import charter_facts

from .admission import take_orders
from .bids import set_by_providers, take_bids
from .episode import advance_clock, begin_episode
from .govern import read_proposal
from .jobs import drop_hopeless, forfeit, jobs_of
from .layout import (
    AUTORESET_NEXT_STEP,
    AUTORESET_SAME_STEP,
    CLASSES,
    G_CARBON_CAP,
    G_TREASURY_FLOOR,
    M_AUTORESET,
    N_OPERATOR,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    P_MODES,
    P_SCALARS,
    P_SIZES,
    S_CAPACITY_GPUS,
    S_DONE,
    S_GOVERNED,
    S_STEP,
    S_SUMS,
    TIERS,
    X_OPENING_LAG,
    Z_ACTION,
    Z_HORIZON,
    Z_JOBS,
    Z_OBSERVATION,
    Z_PROVIDERS,
)
from .leases import serve
from .matching import BOARD_WIDTH, match_orders
from .observation import write_observation
from .offers import contract_capacity
from .party_money import settle_parties
from .request import REQUEST_WIDTH, gate_request, hold_action, make_request
from .settle import settle_costs, settle_energy

Flags = NDArray[np.uint8]
Float32 = NDArray[np.float32]
# Rows of the scratch for providers.
W_USED, W_FREE, W_WORKING, W_FAILED = 0, 1, 2, 3


@kernel_function
def step_range(
    low: int, high: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int,
    actions: Float32, observations: Float32, out: Float, flags: Flags,
) -> int:  # fmt: skip
    """Step the environments ``low <= lane < high``; `charter` is explained in dao/lane.py.

    `observations` is (2, N, D): the next observation, and the last one of an episode that ended;
    `out` is (2, N, out_width): this step, and the sums of an episode that ended; `flags` is
    (2, N): terminated and truncated. Returns a number that keeps the scratch memory alive.
    """
    sizes = pi[P_SIZES]
    slots, n_providers = pi[sizes + Z_JOBS], pi[sizes + Z_PROVIDERS]
    physical_memory, request_memory = np.empty(pi[sizes + Z_OBSERVATION]), np.empty(REQUEST_WIDTH)
    clean_memory, keys_memory = np.empty(pi[sizes + Z_ACTION]), np.empty(slots)
    rows_memory, paid_memory = np.empty((2, slots), dtype=np.int64), np.zeros(n_providers, np.int64)
    provider_memory, board_memory = np.zeros((4, n_providers)), np.empty((n_providers, BOARD_WIDTH))
    class_memory, first_memory = np.empty(CLASSES), np.empty(TIERS, dtype=np.int64)
    tier_memory, spare_memory = np.empty((4, TIERS)), np.zeros((1, 1, out.shape[2]))
    # Once inside, nothing counts the arrays any more.
    pf, pi, sf, si = uncounted(pf), uncounted(pi), uncounted(sf), uncounted(si)
    actions, observations = uncounted(actions), uncounted(observations)
    out, flags = uncounted(out), uncounted(flags)
    physical, request = uncounted(physical_memory), uncounted(request_memory)
    clean, keys = uncounted(clean_memory), uncounted(keys_memory)
    queue, rows = uncounted(rows_memory)[0], uncounted(rows_memory)[1]
    providers, paid = uncounted(provider_memory), uncounted(paid_memory)
    class_used, board = uncounted(class_memory), uncounted(board_memory)
    tiers, first = uncounted(tier_memory), uncounted(first_memory)
    spare = uncounted(spare_memory)
    width_out = out.shape[2]
    # What an episode ends with, the last columns, is neither cleared nor summed in other steps.
    steady = OUT_WIDTH if len(charter) > 0 else width_out
    facts = charter_facts(charter)
    for lane in range(low, high):
        if flags[0, lane] == 1:
            for c in range(steady, width_out):
                out[0, lane, c] = 0.0
        flags[0, lane] = 0
        flags[1, lane] = 0
        for c in range(steady):
            out[0, lane, c] = 0.0
        if si[lane, pi[S_DONE]] == 1:
            if pi[pi[P_MODES] + M_AUTORESET] == AUTORESET_NEXT_STEP:
                begin_lane(lane, pf, pi, charter, sf, si, physical, observations, spare)
            continue
        step_lane(
            lane, pf, pi, charter, sf, si, actions, out, clean, request, queue, rows, keys,
            providers, paid, class_used, board, first, tiers,
        )  # fmt: skip
        for c in range(steady):
            sf[lane, pi[S_SUMS] + c] += out[0, lane, c]
        write_observation(lane, pf, pi, facts, sf, si, physical, observations[0])
        if si[lane, pi[S_STEP]] < pi[sizes + Z_HORIZON]:
            continue
        flags[0, lane] = 1
        si[lane, pi[S_DONE]] = 1
        for c in range(steady):
            out[1, lane, c] = sf[lane, pi[S_SUMS] + c]
        for c in range(steady, width_out):
            out[1, lane, c] = out[0, lane, c]
        for d in range(len(physical)):
            observations[1, lane, d] = observations[0, lane, d]
        if pi[pi[P_MODES] + M_AUTORESET] == AUTORESET_SAME_STEP:
            begin_lane(lane, pf, pi, charter, sf, si, physical, observations, spare)
    kept = len(physical_memory) + len(request_memory) + len(clean_memory) + len(keys_memory)
    kept += len(rows_memory) + len(paid_memory) + len(provider_memory) + len(board_memory)
    return kept + len(class_memory) + len(first_memory) + len(tier_memory) + len(spare_memory)


@inlined_function
def step_lane(
    lane: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, actions: Float32, out: Float,
    clean: Float, request: Float, queue: Int, rows: Int, keys: Float, providers: Float, paid: Int,
    class_used: Float, board: Float, first: Int, tiers: Float,
) -> None:  # fmt: skip
    """One step of one lane; the arrays after `out` are scratch."""
    used, free = providers[W_USED], providers[W_FREE]
    jobs = jobs_of(lane, pi, sf)

    hold_action(lane, actions, pi, clean, out)
    if len(charter) > 0:
        clean = clean[: read_proposal(lane, clean, charter_facts(charter), pi, sf)]
    if set_by_providers(pi):
        take_bids(lane, clean, pi, sf)
        clean = clean[:N_OPERATOR]
    make_request(lane, clean, pf, pi, sf, request)
    gate_request(lane, clean, pf, pi, sf, si, request, out)

    waiting, gangs = drop_hopeless(lane, queue, jobs, used, class_used, pf, pi, sf, si, out)
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        free[p] = sf[lane, pi[S_CAPACITY_GPUS] + p] - used[p]
    waiting = take_orders(
        lane, waiting, queue, jobs, used, tiers[0], tiers[1], request, pf, pi, sf, si, out
    )
    match_orders(
        lane, waiting, gangs, queue, keys, rows, jobs, free, board, first,
        tiers[2], tiers[3], class_used, request, pf, pi, sf, si, out,
    )  # fmt: skip
    serve(lane, jobs, used, paid, pf, pi, sf, si, out)
    settle_energy(lane, used, paid, pf, pi, sf, si, out)
    contract_capacity(
        lane, request, tiers[0], tiers[1], pf, pi, sf, pf[pi[P_SCALARS] + X_OPENING_LAG]
    )
    # A step's costs are measured by the rules that were in force in it.
    floor = sf[lane, pi[S_GOVERNED] + G_TREASURY_FLOOR]
    carbon_cap = sf[lane, pi[S_GOVERNED] + G_CARBON_CAP]
    advance_clock(
        lane, jobs, providers[W_FAILED], providers[W_WORKING], used, pf, pi, charter, sf, si, out
    )
    if si[lane, pi[S_STEP]] >= pi[pi[P_SIZES] + Z_HORIZON]:
        forfeit(lane, jobs, pf, pi, sf, si, out)
    settle_costs(lane, floor, carbon_cap, pf, pi, sf, si, out)
    settle_parties(lane, pi, sf, si)


@kernel_function
def begin_lane(
    lane: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, physical: Float,
    observations: Float32, spare: Float,
) -> None:  # fmt: skip
    """Begin a lane's next episode and write its observation; `spare` takes what it would report."""
    # The lane as a batch of one, so that nothing is booked in the outputs of the step before.
    begin_episode(0, pf, pi, charter, sf[lane : lane + 1], si[lane : lane + 1], spare)
    write_observation(lane, pf, pi, charter_facts(charter), sf, si, physical, observations[0])


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
    physical = np.empty(pi[pi[P_SIZES] + Z_OBSERVATION])
    spare = np.zeros((1, 1, OUT_WIDTH_VOTED if len(charter) > 0 else OUT_WIDTH))
    for lane in range(len(si)):
        if mask[lane]:
            begin_lane(lane, pf, pi, charter, sf, si, physical, observations, spare)
