"""What the future of an episode holds: its cars, loads and sunshine, whatever anybody does.

Exogenous draws depend on the episode's key alone, never on actions, so a copy of the lanes that
is played to the end with any actions meets the very cars that the lanes themselves will meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float, Int

from .layout import D_LOAD_DAY, D_PV_DAY, QUARTERS_PER_DAY

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


@dataclass(frozen=True)
class Sessions:
    """Cars of all lanes, one entry a session that overlaps the rest of the episode, (S,) each.

    Attributes:
        lane, charger: whose it is.
        arrival: first step at which the car can charge (below 0: it came the evening before).
        departure: first step at which it is gone.
        energy_kwh: wanted in its battery, at the time of the copy or at arrival.
    """

    lane: Int
    charger: Int
    arrival: Int
    departure: Int
    energy_kwh: Float

    def of(self, lane: int) -> Sessions:
        """The sessions of one lane."""
        mine = self.lane == lane
        return Sessions(
            self.lane[mine],
            self.charger[mine],
            self.arrival[mine],
            self.departure[mine],
            self.energy_kwh[mine],
        )


def episode_sessions(simulator: Simulator) -> Sessions:
    """The sessions of each lane's present episode, from its present step on.

    The lanes are copied into a twin that is played to the episodes' ends; the simulator itself is
    not touched.
    """
    from daogym.envs.core.simulator import Simulator as Twin

    twin = Twin(simulator.domain, simulator.num_envs, autoreset="disabled")
    twin.restore(simulator.snapshot())
    actions = np.zeros((twin.num_envs, twin.action_size), dtype=np.float32)
    parts = ("ev_arrival_step", "ev_departure_step", "ev_energy_kwh")
    known = np.full_like(twin.state("ev_day"), np.iinfo(np.int64).min)
    found: list[tuple[Any, ...]] = []
    running = twin.state("done") == 0
    while True:
        new = (twin.state("ev_day") != known) & running[:, None]
        lane, charger = np.nonzero(new)
        found.append((lane, charger, *(twin.state(part)[new] for part in parts)))
        known = twin.state("ev_day").copy()
        running = twin.state("done") == 0
        if not running.any():
            break
        twin.step(actions)
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    wanted = columns[4] > 0.0
    return Sessions(*(column[wanted] for column in columns))


@dataclass(frozen=True)
class World:
    """Loads and sunshine of a run of quarter-hours, before any device acts.

    Attributes:
        load_kw, load_kvar: (Q, n_bus).
        pv_kw: (Q, n_pv) available at each inverter, its rating and the sun.
    """

    load_kw: Float
    load_kvar: Float
    pv_kw: Float


def true_world(domain: Any, first_day: int, first_quarter: int, n_quarters: int) -> World:
    """What `n_quarters` quarter-hours hold, counted from midnight of calendar day `first_day`."""
    loaded, feeder = domain.loaded, domain.feeder
    quarter = np.arange(first_quarter, first_quarter + n_quarters)
    day = (first_day + quarter // QUARTERS_PER_DAY) % loaded.n_days
    of_day = quarter % QUARTERS_PER_DAY
    n_bus = len(feeder.parent)
    load, pv = (
        loaded.rows[loaded.days[kind, day].astype(np.int64) * QUARTERS_PER_DAY + of_day].astype(
            np.float64
        )
        for kind in (D_LOAD_DAY, D_PV_DAY)
    )
    return World(
        load[:, :n_bus],
        load[:, n_bus : 2 * n_bus],
        np.minimum(pv[:, 2 * n_bus :], feeder.pv_s_kva),
    )
