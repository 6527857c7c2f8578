"""One lane under a voted charter, step by step, with everything that can be looked at kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import compile_lock, kernel_entry
from daogym.envs.core.random import episode_key, root_keys
from daogym.envs.dao.charter import Charter, GovernedParameter
from daogym.envs.dao.governance import (
    advance_governance,
    begin_governance,
    pass_earlier_steps,
    quiet_step,
)
from daogym.envs.dao.governance_columns import C_EARLIER_STEPS
from daogym.envs.dao.governance_layout import Governance, pack_governance

GOVERNED = (
    GovernedParameter("fee", "EUR/kWh", 0.05, 0.25, 0.08, "price", "", 0.06, 2.0, "when to buy"),
    GovernedParameter("limit", "1", 0.0, 1.0, 0.7, "clip", "", 0.3, 1.0, "how much to sell"),
    GovernedParameter("fixed", "1", 0.0, 2.0, 1.0, "clip", ""),
)
DAY = 96


@kernel_entry()
def run(
    key: Any, steps: int, amid: bool, ints: Any, floats: Any, e_ints: Any, e_floats: Any,
    rules: Any, settings: Any, proposals: Any, votes: Any, clock: Any, events: Any, agenda: Any,
    values: Any, path: Any, seen: Any, ballots: Any, clocks: Any, states: Any, agendas: Any,
) -> None:  # fmt: skip
    """Record everything after every step."""
    begin_governance(ints, rules, settings, proposals, votes, clock, agenda)
    if amid:
        pass_earlier_steps(
            key, ints, floats, e_ints, e_floats, settings, proposals, votes, clock, events, agenda,
            values,
        )  # fmt: skip
    for step in range(steps):
        # Where nothing is amid anything, every step is done the long way.
        if not (amid and quiet_step(0, 0, agenda.reshape((1, -1)))):
            advance_governance(
                key, ints, floats, e_ints, e_floats, settings, proposals, votes, clock, events,
                agenda, values,
            )  # fmt: skip
        path[step] = values
        seen[step] = proposals
        ballots[step] = events
        clocks[step] = clock
        states[step] = settings
        agendas[step] = agenda


@dataclass(frozen=True)
class Record:
    """What a lane was after each step, axis 0 the steps."""

    governance: Governance
    path: NDArray[np.float64]
    seen: NDArray[np.int64]
    """(steps, slots, columns) the governor's proposals."""
    events: NDArray[np.int64]
    clock: NDArray[np.int64]
    settings: NDArray[np.int64]
    agenda: NDArray[np.int64]
    key: np.uint64

    @property
    def earlier(self) -> int:
        """Steps of the governor's clock before the first one recorded, if it began amid any."""
        return int(self.governance.ints[C_EARLIER_STEPS])


def record(
    charter: Charter, steps: int, seed: int = 0, amid: bool = False, horizon: int = 7 * DAY
) -> Record:
    """One lane from its begin, or from amid proposals as episodes begin."""
    governance = pack_governance(
        charter, GOVERNED, steps_per_day=DAY, horizon=horizon, treasury_cents=10_000_000
    )
    state = {k: np.zeros(v, dtype=np.int64) for k, v in governance.state_sizes.items()}
    path = np.zeros((steps, len(GOVERNED)))
    kept = {
        name: np.zeros((steps, *state[name].shape), dtype=np.int64)
        for name in ("proposals", "ballots", "ballot_clock", "governor", "agenda")
    }
    key = np.uint64(episode_key(root_keys([seed])[0], 0))
    with compile_lock(run):
        run(
            key, steps, amid, governance.ints, governance.floats, governance.electorate.ints,
            governance.electorate.floats, governance.rules, state["governor"], state["proposals"],
            state["votes"], state["ballot_clock"], state["ballots"], state["agenda"],
            charter.values(GOVERNED), path, kept["proposals"], kept["ballots"],
            kept["ballot_clock"], kept["governor"], kept["agenda"],
        )  # fmt: skip
    return Record(governance, path, kept["proposals"], kept["ballots"], kept["ballot_clock"],
                  kept["governor"], kept["agenda"], key)  # fmt: skip


def play(charter: Charter, steps: int, seed: int = 0) -> tuple[Any, Any]:
    """Values (steps, parameters) and proposals (steps, slots, columns) of one lane."""
    made = record(charter, steps, seed)
    return made.path, made.seen
