"""The govern phase: the charter of the lane (`dao/lane.py`) in the compute market's own places."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.lane import (
    advance_charter,
    asked_columns,
    begin_charter,
    charter_facts,
    read_request,
)
from daogym.envs.dao.lane_view import charter_columns, observe_charter

from .layout import (
    E_CAPTURE,
    OUT_EVENT,
    OUT_TERM,
    P_OBSERVATION_LOW,
    P_OBSERVATION_SCALE,
    P_SCALARS,
    P_SIZES,
    S_GOVERNED,
    S_STEP,
    T_BOND,
    X_DAO_TREASURY_CENTS,
    X_DT_H,
    Z_ACTION,
    Z_HORIZON,
    Z_OBSERVATION,
)


@kernel_function
def first_column(facts: Any, pi: Int) -> int:
    """Where live proposals begin among the observations; only who asks comes after them."""
    return int(pi[pi[P_SIZES] + Z_OBSERVATION] - charter_columns(facts))


@kernel_function
def begin_governance(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int
) -> None:
    """The charter at the start of an episode."""
    column = first_column(charter_facts(charter), pi)
    begin_charter(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, pi[P_OBSERVATION_LOW] + column,
        pi[P_OBSERVATION_SCALE] + column, int(pf[pi[P_SCALARS] + X_DAO_TREASURY_CENTS]),
        pi[pi[P_SIZES] + Z_HORIZON] - si[lane, pi[S_STEP]],
    )  # fmt: skip


@kernel_function
def read_proposal(lane: int, clean: Float, facts: Any, pi: Int, sf: Float) -> int:
    """Keep what the action asks of the rules in this step; how many actions are the market's."""
    asked = asked_columns(facts)
    first = pi[pi[P_SIZES] + Z_ACTION] - asked
    if asked > 0:
        read_request(lane, facts, S_GOVERNED, pi, sf, clean[first:])
    return int(first)


@inlined_function
def advance_votes(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, out: Float
) -> None:
    """One step of the governor; `step` of the lane already counts the step that is being done."""
    left = pi[pi[P_SIZES] + Z_HORIZON] - si[lane, pi[S_STEP]]
    column = first_column(charter_facts(charter), pi)
    advance_charter(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, pi[P_OBSERVATION_LOW] + column,
        pi[P_OBSERVATION_SCALE] + column, left, out, OUT_TERM + T_BOND, OUT_EVENT + E_CAPTURE,
    )  # fmt: skip


@kernel_function
def write_governance(
    lane: int, facts: Any, pf: Float, pi: Int, sf: Float, si: Int, target: Float
) -> None:
    """What is observed of live proposals and of who asks for changes.

    Args:
        target: (N, D) observations, normalised; written from `first_column` to the end.
    """
    low, scale = pi[P_OBSERVATION_LOW], pi[P_OBSERVATION_SCALE]
    c = first_column(facts, pi)
    observe_charter(
        lane, facts, S_GOVERNED, pf, pi, sf, si, low + c, scale + c,
        pf[pi[P_SCALARS] + X_DT_H], target, c,
    )  # fmt: skip
