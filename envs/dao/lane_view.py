"""What is observed of the charter of one lane, for any domain; kept normalised between events.

What the calls share is explained in lane.py.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int

from .adversary_lane import ATTACK_COLUMNS, sight_of_adversary
from .governance_columns import (
    A_HEADER,
    A_STEP,
    ADVERSARY_ASKS,
    C_PARAMETERS,
    NOBODY_ASKS,
    STEWARD_ASKS,
)
from .governance_money import GOVERNANCE_ACCOUNTS
from .lane_layout import (
    D_ACCOUNTS,
    D_AGENDA,
    D_LIVE_PROPOSALS,
    D_OPERATOR,
    D_SEEN_PROPOSALS,
    FACT_OPERATOR_VOTES,
    FACT_PARAMETERS,
    FACTS,
    row,
)
from .operator_proposals import OPERATOR_WIDTH
from .proposal_view import (
    OPERATOR_FIELDS,
    PROPOSAL_ROWS,
    V_ACTS_AT,
    hours_until_it_acts,
    write_operator,
)
from .steward import write_rests


@kernel_function
def keep_seen(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, sf: Float, low: int, scale: int
) -> None:
    """Keep live proposals as they are observed until the next ballot or change.

    When they act stays a step of the governor's clock, since the hours until then run on.
    """
    view, seen = pi[at + D_LIVE_PROPOSALS], pi[at + D_SEEN_PROPOSALS]
    n = facts[0][C_PARAMETERS]
    for r in range(PROPOSAL_ROWS):
        for k in range(r * n, (r + 1) * n):
            shown = sf[lane, view + k]
            if r != V_ACTS_AT:
                shown = normalised(shown, pf[low + k], pf[scale + k])
            sf[lane, seen + k] = shown


@inlined_function
def normalised(value: float, lowest: float, scale: float) -> float:
    """An observation in its unit as the policy sees it, in [-1, 1].

    Args:
        lowest: value seen as -1.
        scale: 2 / the range.
    """
    share: float = (value - lowest) * scale - 1.0
    return min(max(share, -1.0), 1.0)


@inlined_function
def proposal_columns(facts: Any) -> int:
    """Observed numbers of live proposals."""
    return int(PROPOSAL_ROWS * facts[FACT_PARAMETERS])


@inlined_function
def office_columns(facts: Any) -> int:
    """Observed numbers of who asks: an operator's bonds, a steward's rests, what an adversary sees;
    none of nobody."""
    if facts[FACT_OPERATOR_VOTES] == STEWARD_ASKS:
        return int(facts[FACT_PARAMETERS])
    if facts[FACT_OPERATOR_VOTES] == ADVERSARY_ASKS:
        return ATTACK_COLUMNS
    return OPERATOR_FIELDS if facts[FACT_OPERATOR_VOTES] >= 0 else 0


@inlined_function
def write_live_proposals(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int, scale: int,
    step_h: float, target: Float, first: int,
) -> None:  # fmt: skip
    """What is observed of live proposals, from column `first` of ``target[lane]`` on.

    Args:
        step_h: hours in a step.
        target: (N, D) observations, normalised.
    """
    n, seen = facts[FACT_PARAMETERS], pi[at + D_SEEN_PROPOSALS]
    for k in range(PROPOSAL_ROWS * n):
        target[lane, first + k] = sf[lane, seen + k]
    done = si[lane, pi[at + D_AGENDA] + A_STEP]
    for k in range(V_ACTS_AT * n, (V_ACTS_AT + 1) * n):
        hours = hours_until_it_acts(sf[lane, seen + k], done, step_h)
        target[lane, first + k] = normalised(hours, pf[low + k], pf[scale + k])


@kernel_function
def write_office(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, si: Int, low: int, scale: int,
    target: Float, first: int,
) -> None:  # fmt: skip
    """What who asks sees, from column `first` of ``target[lane]`` on: see `office_columns`.

    Args:
        low, scale: places of the first of these columns.
    """
    width = office_columns(facts)
    if len(facts) > FACTS:
        sight_of_adversary(
            lane, facts[3], facts[4], facts[5], facts[6], at, pi, si, pf[low : low + width],
            pf[scale : scale + width], target[lane, first : first + width],
        )  # fmt: skip
        return
    own = np.empty(width)
    agenda = row(lane, pi, si, at + D_AGENDA, A_HEADER + facts[0][C_PARAMETERS])
    if facts[FACT_OPERATOR_VOTES] == STEWARD_ASKS:
        write_rests(facts[0], agenda, own)
    else:
        write_operator(
            facts[0], agenda, row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH),
            row(lane, pi, si, at + D_ACCOUNTS, GOVERNANCE_ACCOUNTS), own, 0,
        )  # fmt: skip
    for k in range(width):
        target[lane, first + k] = normalised(own[k], pf[low + k], pf[scale + k])


@inlined_function
def charter_columns(facts: Any) -> int:
    """Observed numbers of live proposals and of who asks together."""
    return proposal_columns(facts) + office_columns(facts)


@kernel_function
def observe_charter(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int, scale: int,
    step_h: float, target: Float, first: int,
) -> None:  # fmt: skip
    """Live proposals from column `first` of ``target[lane]`` on, who asks right behind them."""
    write_live_proposals(lane, facts, at, pf, pi, sf, si, low, scale, step_h, target, first)
    if facts[FACT_OPERATOR_VOTES] != NOBODY_ASKS:
        n = proposal_columns(facts)
        write_office(lane, facts, at, pf, pi, si, low + n, scale + n, target, first + n)
