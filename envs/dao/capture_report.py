"""How captured a lane's DAO was in an episode: concentration, turnout, captured steps, losses.

The kernels keep the counts on a lane's agenda (`governance_columns`, ``A_…``); here they become
what `info` and reports show. `capture_numbers` is the compiled form for one lane.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import compile_lock, kernel_entry, kernel_function
from daogym.envs.core.layout import Float, Int

from .capture_metrics import gini, nakamoto
from .counting import PPM
from .governance_columns import (
    A_CHANGES,
    A_DECIDED,
    A_GINI_PPM,
    A_HEADER,
    A_LEFT_VOTES,
    A_LOSS_CENTS,
    A_NAKAMOTO,
    A_OWN_LOST,
    A_OWN_WON,
    A_TURNOUT_PPM,
    A_VETOES,
)
from .governance_events import captured_steps
from .governance_layout import Governance

CAPTURE_NAMES = (
    "nakamoto", "gini", "turnout", "captured_parameter_steps", "treasury_loss_cents",
    "proposals_decided", "parameter_changes", "vetoes", "operator_won", "operator_lost",
    "votes_left",
)  # fmt: skip
"""Names of the numbers of `capture_numbers`, in order. The first three are means over the proposals
of the episode that were voted on (0 where there were none): least number of voters with more than
half of what was cast, Gini coefficient of what was cast, votes cast / supply. Ballots count as cast
where the kind of governor ignores them (For on a motion, Against under conviction), too."""


@kernel_function
def capture_numbers(agenda: Int, out: Float) -> None:
    """Write the numbers of one lane's episode so far to `out` (len(CAPTURE_NAMES),)."""
    decided = max(agenda[A_DECIDED], 1)
    out[0] = agenda[A_NAKAMOTO] / decided
    out[1] = agenda[A_GINI_PPM] / PPM / decided
    out[2] = agenda[A_TURNOUT_PPM] / PPM / decided
    out[3] = captured_steps(agenda)
    out[4] = agenda[A_LOSS_CENTS]
    out[5] = agenda[A_DECIDED]
    out[6] = agenda[A_CHANGES]
    out[7] = agenda[A_VETOES]
    out[8] = agenda[A_OWN_WON]
    out[9] = agenda[A_OWN_LOST]
    out[10] = agenda[A_LEFT_VOTES]


@kernel_entry()
def _all_lanes(agenda: Int, out: Float) -> None:
    for lane in range(len(agenda)):
        capture_numbers(agenda[lane], out[lane])


def capture_report(governance: Governance, agenda: Int) -> dict[str, NDArray[np.float64]]:
    """Capture metrics of each lane's episode so far.

    Args:
        governance: the charter as the kernels have it.
        agenda: (N, A_HEADER + parameters) the lanes' agendas, `simulator.state("agenda")`.

    Returns:
        (N,) arrays under `CAPTURE_NAMES`; beside them, the same in every lane, `nakamoto_of_votes`
        (voters with more than half of all votes that can be cast) and `gini_of_votes`.

    Raises:
        ValueError: an agenda of another shape.
    """
    wanted = A_HEADER + governance.parameters
    if agenda.ndim != 2 or agenda.shape[1] != wanted:
        raise ValueError(f"agenda: shape (N, {wanted}) expected, got {agenda.shape}")
    out = np.empty((len(agenda), len(CAPTURE_NAMES)))
    with compile_lock(_all_lanes):
        _all_lanes(np.ascontiguousarray(agenda), out)
    report = {name: out[:, i].copy() for i, name in enumerate(CAPTURE_NAMES)}
    weights = governance.electorate.weights
    report["nakamoto_of_votes"] = np.full(len(agenda), float(nakamoto(weights)))
    report["gini_of_votes"] = np.full(len(agenda), gini(weights))
    return report
