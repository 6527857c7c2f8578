"""What the future of an episode holds: its orders, failures and prices, whatever anybody does.

Exogenous draws depend on the episode's key alone, never on actions, so they can be drawn ahead
from a copy of the lane's state, by the very functions that the kernel calls.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.compiled import compile_lock, kernel_entry
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_uint64

from .admission import count_arrivals, first_replayed
from .jobs import draw_order, jobs_of
from .layout import (
    J_PROVIDER,
    JOB_WIDTH,
    P_LAW_LOG_STEPS,
    P_SHAPE_EDGES,
    P_SIZES,
    REGIONS,
    S_EPISODE_KEY,
    S_N_JOBS,
    S_REGION_PRICE,
    S_STEP,
    S_UP_SHARE,
    V_GPUS,
    Z_HORIZON,
    Z_PROVIDERS,
    Z_STEPS_PER_HOUR,
    Z_STEPS_PER_INTENSITY,
)
from .world import (
    STREAM_JOB,
    STREAM_TERMS,
    advance_intensity,
    advance_nodes,
    advance_prices,
    set_prices,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

_ROWS = 8192


@dataclass(frozen=True)
class World:
    """The rest of one lane's episode, from its present step on.

    Attributes:
        orders: (orders, JOB_WIDTH) rows as they arrive; first those that are there now.
        present: how many of them are there now.
        working_gpus: (steps, providers) GPUs whose nodes work.
        price: (steps, regions) USD/kWh.
        first_step: the present step; columns of `orders` count steps from the episode's start.
    """

    orders: Float
    present: int
    working_gpus: Float
    price: Float
    first_step: int


@kernel_entry()
def record_world(
    pf: Float, pi: Int, sf: Float, si: Int, orders: Float, up_share: Float, price: Float
) -> int:
    """Play the world of a batch of one to its end; how many orders there are.

    `sf` and `si` are overwritten. Where `orders` has too few rows only the count is right.
    """
    key = as_uint64(si[0, pi[S_EPISODE_KEY]])
    n_providers = pi[pi[P_SIZES] + Z_PROVIDERS]
    per_hour = pi[pi[P_SIZES] + Z_STEPS_PER_HOUR]
    period = pi[pi[P_SIZES] + Z_STEPS_PER_INTENSITY]
    failed = np.empty(n_providers)
    jobs = jobs_of(0, pi, sf)
    spare = np.empty(JOB_WIDTH)
    count = si[0, pi[S_N_JOBS]]
    for j in range(min(count, len(orders))):
        orders[j] = jobs[j]
    first = si[0, pi[S_STEP]]
    for step in range(first, pi[pi[P_SIZES] + Z_HORIZON]):
        for p in range(n_providers):
            up_share[step - first, p] = sf[0, pi[S_UP_SHARE] + p]
        for r in range(REGIONS):
            price[step - first, r] = sf[0, pi[S_REGION_PRICE] + r]
        replayed = first_replayed(0, step, pi, si)
        for i in range(count_arrivals(0, step, pf, pi, sf, si)):
            row = orders[count] if count < len(orders) else spare
            draw_order(
                row, key, STREAM_JOB, STREAM_TERMS, step, i, pi[P_SHAPE_EDGES],
                pi[P_LAW_LOG_STEPS], replayed + i if replayed >= 0 else -1, 0.0, pf, pi,
            )  # fmt: skip
            count += 1
        following = step + 1
        if following % period == 0:
            advance_intensity(0, key, following // period, pf, pi, sf)
        if following % per_hour == 0:
            advance_prices(0, key, following // per_hour, pf, pi, sf)
            set_prices(0, following, pf, pi, sf, si)
        advance_nodes(0, key, following, pf, pi, sf, si, failed)
    return int(count)


def true_world(simulator: Simulator, lane: int) -> World:
    """The rest of a lane's episode; the simulator is only read."""
    domain: Any = simulator.domain
    first = int(simulator.state("step")[lane])
    steps = simulator.horizon - first
    gpus = domain.providers[:, V_GPUS]
    up_share, price = np.empty((steps, len(gpus))), np.empty((steps, REGIONS))
    rows = _ROWS
    while True:
        orders = np.empty((rows, JOB_WIDTH))
        sf = simulator._sf[lane : lane + 1].copy()
        si = simulator._si[lane : lane + 1].copy()
        with compile_lock(record_world):
            count = record_world(simulator._pf, simulator._pi, sf, si, orders, up_share, price)
        if count <= rows:
            break
        rows = count
    present = int(simulator.state("n_jobs")[lane])
    return World(orders[:count], present, up_share * gpus, price, first)


def running(world: World) -> Any:
    """(orders,) whether an order is at work now."""
    at_work = world.orders[:, J_PROVIDER] >= 0.0
    at_work[world.present :] = False
    return at_work
