"""The govern phase: the charter of the lane (`dao/lane.py`) in the supply network's own places."""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.lane import (
    advance_charter,
    begin_charter,
    charter_facts,
)
from daogym.envs.dao.lane_view import charter_columns, observe_charter

from .layout import (
    I_HORIZON,
    I_OBSERVATION,
    I_RESERVE_CENTS,
    OUT_REWARD,
    OUT_TERM,
    OUT_WIDTH,
    P_OBSERVED,
    S_GOVERNED,
    S_STEP,
    T_BOND,
)

_STEP_H = 24.0


@kernel_function
def first_column(facts: Any, pi: Int) -> int:
    """Where live proposals begin among the observations; who asks comes after them."""
    return int(pi[I_OBSERVATION] - charter_columns(facts))


@kernel_function
def begin_governance(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int
) -> None:
    """The charter at the start of an episode."""
    low = pi[P_OBSERVED] + first_column(charter_facts(charter), pi)
    begin_charter(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, low, low + pi[I_OBSERVATION],
        pi[I_RESERVE_CENTS], pi[I_HORIZON] - si[lane, pi[S_STEP]],
    )  # fmt: skip


@inlined_function
def advance_votes(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, out: Float
) -> None:
    """One step of the governor; `step` of the lane already counts the step that is being done."""
    low = pi[P_OBSERVED] + first_column(charter_facts(charter), pi)
    advance_charter(
        lane, key, charter, S_GOVERNED, pf, pi, sf, si, low, low + pi[I_OBSERVATION],
        pi[I_HORIZON] - si[lane, pi[S_STEP]], out, OUT_TERM + T_BOND, OUT_WIDTH,
    )  # fmt: skip
    out[0, lane, OUT_REWARD] += out[0, lane, OUT_TERM + T_BOND]


@kernel_function
def write_governance(
    lane: int, facts: Any, pf: Float, pi: Int, sf: Float, si: Int, target: Any
) -> None:
    """What is observed of live proposals and of who asks for changes, to the vector's end."""
    low, size = pi[P_OBSERVED], pi[I_OBSERVATION]
    c = first_column(facts, pi)
    observe_charter(
        lane, facts, S_GOVERNED, pf, pi, sf, si, low + c, low + size + c, _STEP_H, target, c
    )  # fmt: skip
