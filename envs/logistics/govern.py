"""The govern phase: the charter of the lane (`dao/lane.py`) in the supply network's own places."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.governance_columns import C_OPERATOR_VOTES
from daogym.envs.dao.lane import (
    begin_charter,
    govern,
    is_quiet,
    operator_columns,
    proposal_columns,
    report_capture,
    wants_govern,
    write_bonds,
    write_live_proposals,
)

from .layout import (
    I_HORIZON,
    I_OBSERVATION,
    I_RESERVE_CENTS,
    OUT_REWARD,
    OUT_TERM,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    P_OBSERVED,
    S_GOVERNED,
    S_STEP,
    T_BOND,
)

_CENTS_PER_USD = 100.0
_STEP_H = 24.0


@kernel_function
def first_column(facts: Any, pi: Int) -> int:
    """Where live proposals begin among the observations; bonds come after them."""
    return int(pi[I_OBSERVATION] - operator_columns(facts) - proposal_columns(facts))


@kernel_function
def begin_governance(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int
) -> None:
    """The charter at the start of an episode."""
    low = pi[P_OBSERVED] + first_column(charter[:1], pi)
    begin_charter(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, low, low + pi[I_OBSERVATION],
        pi[I_RESERVE_CENTS],
    )  # fmt: skip


@kernel_function
def advance_votes(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, out: Float
) -> None:
    """One step of the governor; `step` of the lane already counts the step that is being done."""
    facts = charter[:1]
    quiet = is_quiet(lane, facts, S_GOVERNED, pi, si)
    left = pi[I_HORIZON] - si[lane, pi[S_STEP]]
    if not wants_govern(quiet, left <= 0, facts):
        return
    low = pi[P_OBSERVED] + first_column(facts, pi)
    lost = govern(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, low, low + pi[I_OBSERVATION], left, quiet
    )
    out[0, lane, OUT_TERM + T_BOND] = -lost / _CENTS_PER_USD
    out[0, lane, OUT_REWARD] += out[0, lane, OUT_TERM + T_BOND]
    if left <= 0:
        report_capture(lane, facts, S_GOVERNED, pi, si, out[0, lane, OUT_WIDTH:OUT_WIDTH_VOTED])


@kernel_function
def write_governance(
    lane: int, facts: Any, pf: Float, pi: Int, sf: Float, si: Int, target: Any
) -> None:
    """What is observed of live proposals and of an operator's bonds, to the vector's end."""
    low, size = pi[P_OBSERVED], pi[I_OBSERVATION]
    c = first_column(facts, pi)
    write_live_proposals(
        lane, facts, S_GOVERNED, pf, pi, sf, si, low + c, low + size + c, _STEP_H, target, c
    )  # fmt: skip
    if facts[0][C_OPERATOR_VOTES] >= 0:
        c += proposal_columns(facts)
        write_bonds(lane, facts, S_GOVERNED, pf, pi, si, low + c, low + size + c, target, c)
