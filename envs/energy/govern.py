"""The govern phase: the charter of the lane (`dao/lane.py`) in the energy grid's own places."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_uint64
from daogym.envs.dao.governance_columns import NOBODY_ASKS
from daogym.envs.dao.lane import begin_charter, charter_facts, report_charter
from daogym.envs.dao.lane_layout import FACT_OPERATOR_VOTES
from daogym.envs.dao.lane_view import (
    normalised,
    office_columns,
    proposal_columns,
    write_live_proposals,
    write_office,
)

from .layout import (
    C_HORIZON,
    E_CAPTURE,
    OUT_EVENT,
    OUT_TERM,
    P_CALENDAR,
    P_OBSERVATION_LOW,
    P_OBSERVATION_SCALE,
    P_SCALARS,
    P_SIZES,
    S_EPISODE_KEY,
    S_GOVERNED,
    S_HALT,
    S_STEP,
    T_BOND,
    X_DT_H,
    X_TREASURY_CENTS,
    Z_OBSERVATION,
)

HALT_FIELDS = 1


@inlined_function
def first_column(charter: Any, pi: Int) -> int:
    """Where live proposals begin among the observations; the halt and who asks come after them."""
    after = HALT_FIELDS + office_columns(charter)
    return int(pi[pi[P_SIZES] + Z_OBSERVATION] - after - proposal_columns(charter))


@kernel_function
def begin_governance(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int
) -> None:
    """The charter at the start of an episode, no halt."""
    column = first_column(charter_facts(charter), pi)
    begin_charter(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, pi[P_OBSERVATION_LOW] + column,
        pi[P_OBSERVATION_SCALE] + column, int(pf[pi[P_SCALARS] + X_TREASURY_CENTS]),
        pi[pi[P_CALENDAR] + C_HORIZON] - si[lane, pi[S_STEP]],
    )  # fmt: skip
    si[lane, pi[S_HALT]] = 0


@kernel_function
def report_votes(
    lane: int, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, out: Float, stirs: int
) -> None:
    """What the governor does in a step in which it stirs (`governor_stirs`).

    The lane's `step` already counts the step that is being done.
    """
    left = pi[pi[P_CALENDAR] + C_HORIZON] - si[lane, pi[S_STEP]]
    column = first_column(charter_facts(charter), pi)
    report_charter(
        lane, as_uint64(si[lane, pi[S_EPISODE_KEY]]), charter, S_GOVERNED, pf, pi, sf, si,
        pi[P_OBSERVATION_LOW] + column, pi[P_OBSERVATION_SCALE] + column, left, out,
        OUT_TERM + T_BOND, OUT_EVENT + E_CAPTURE, stirs,
    )  # fmt: skip


@inlined_function
def write_governance(
    lane: int, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, target: Float
) -> None:
    """What is observed of live proposals, the emergency halt, and who asks for changes.

    Args:
        charter: its `charter_facts`.
        target: (N, D) observations, normalised; written from `first_column` to the end.
    """
    low, scale = pi[P_OBSERVATION_LOW], pi[P_OBSERVATION_SCALE]
    dt_h = pf[pi[P_SCALARS] + X_DT_H]
    c = first_column(charter, pi)
    write_live_proposals(
        lane, charter, S_GOVERNED, pf, pi, sf, si, low + c, scale + c, dt_h, target, c
    )  # fmt: skip
    c += proposal_columns(charter)
    target[lane, c] = normalised(si[lane, pi[S_HALT]] * dt_h, pf[low + c], pf[scale + c])
    c += HALT_FIELDS
    if charter[FACT_OPERATOR_VOTES] != NOBODY_ASKS:
        write_office(lane, charter, S_GOVERNED, pf, pi, si, low + c, scale + c, target, c)
