"""Live proposals and the operator's stake in them, as fields and as compiled views.

`look_at_proposals` rewrites a lane's block (PROPOSAL_ROWS, parameters) after something happened;
`lane.py` puts it and `write_operator` into the vector of a step. The fields of `proposal_fields`,
`operator_fields` and `operator_action_fields` say what these numbers are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.fields import Field
from daogym.envs.core.layout import Float, Int

from .adversary_means import ATTACK_NAMES, attack_action_fields, attack_fields
from .charter import Charter, GovernedParameter
from .counting import COUNT_OBJECTIONS
from .governance_columns import (
    A_STEP,
    C_COOLDOWN,
    C_PARAMETERS,
    OPERATOR,
)
from .governance_events import proposed_value
from .governance_money import ACCOUNT_ESCROW, ACCOUNT_OPERATOR
from .governor_layout import (
    ACTIVE,
    G_COUNTING,
    G_MIN_DELAY_S,
    P_ABSTAIN,
    P_AGAINST,
    P_ETA_S,
    P_FOR,
    P_NOTE,
    P_PROPOSER,
    P_TARGET,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from .governor_state import deadline_of, needed_votes, state_of
from .operator_proposals import ASKS_ABOVE, O_LAST_STEP
from .steward import STEWARD_NAMES, steward_action_fields, steward_fields

STAGE_PENDING, STAGE_VOTING, STAGE_QUEUED = 1.0 / 3.0, 2.0 / 3.0, 1.0

V_VALUE, V_STAGE, V_ACTS_AT, V_MARGIN, V_QUORUM, V_OWN = range(6)
"""Rows of a lane's block: value it would set (the one in force where there is none), stage, step of
the governor's clock at which it acts if it passes, (For - Against) / (For + Against), votes towards
quorum / quorum, and 1 where it is the operator's own."""
PROPOSAL_ROWS = 6
MOST_QUORUMS = 4.0
"""Where the observed quorum ends; also what it is where no quorum is asked for."""
OPERATOR_FIELDS = 3


@kernel_function
def look_at_proposals(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float, view: Float,
) -> None:  # fmt: skip
    """Rewrite `view` (PROPOSAL_ROWS, parameters)."""
    view[:] = 0.0
    for p in range(charter_ints[C_PARAMETERS]):
        view[V_VALUE, p] = values[p]
    for slot in range(proposals.shape[0]):
        if proposals[slot, P_NOTE] > 0:
            _look_at(charter_ints, charter_floats, settings, proposals, votes, agenda, view, slot)


@kernel_function
def look_at_counted(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, counted: int, view: Float,
) -> None:  # fmt: skip
    """Rewrite what changed in `view` where ballots were counted and nothing else happened.

    Args:
        counted: bit s stands for slot s (`advance_governance`).
    """
    for slot in range(proposals.shape[0]):
        if counted & (1 << slot) != 0:
            _look_at(charter_ints, charter_floats, settings, proposals, votes, agenda, view, slot)


@kernel_function
def _look_at(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, view: Float, slot: int,
) -> None:  # fmt: skip
    """Enter the proposal in a slot, if it is live."""
    p = proposals[slot, P_TARGET]
    value = proposed_value(charter_ints, charter_floats, proposals, slot)
    enter_proposal(settings, proposals, votes, agenda, view, slot, p, value)
    if proposals[slot, P_PROPOSER] == OPERATOR and view[V_STAGE, p] > 0.0:
        view[V_OWN, p] = 1.0


@kernel_function
def enter_proposal(
    settings: Int, proposals: Int, votes: Int, agenda: Int, view: Float, slot: int, p: int,
    value: float,
) -> None:  # fmt: skip
    """Enter the proposal in a slot, if it is live, as one that would set parameter p to `value`."""
    now = agenda[A_STEP] - 1
    state = state_of(settings, proposals, votes, now, now, slot)
    stage = 0.0
    if state == PENDING:
        stage = STAGE_PENDING
    elif state == ACTIVE:
        stage = STAGE_VOTING
    elif state in (QUEUED, SUCCEEDED):
        stage = STAGE_QUEUED
    if stage == 0.0:
        return
    view[V_VALUE, p] = value
    view[V_STAGE, p] = stage
    acts = deadline_of(proposals, slot) + 1 + settings[G_MIN_DELAY_S]
    view[V_ACTS_AT, p] = proposals[slot, P_ETA_S] if state == QUEUED else acts
    against, votes_for = proposals[slot, P_AGAINST], proposals[slot, P_FOR]
    if votes_for + against > 0:
        view[V_MARGIN, p] = (votes_for - against) / (votes_for + against)
    if state != PENDING:
        needed = max(needed_votes(settings, proposals, votes, now, slot), 1)
        counted = votes_for + proposals[slot, P_ABSTAIN]
        if settings[G_COUNTING] == COUNT_OBJECTIONS:
            counted = against
        view[V_QUORUM, p] = min(counted / needed, MOST_QUORUMS)


@inlined_function
def hours_until_it_acts(acts_at: float, done: int, step_h: float) -> float:
    """From the end of the step just done; 0 when overdue, held back by a dynamic timelock.

    Args:
        acts_at: step of the governor's clock, 0 where there is no proposal.
        done: steps of that clock that are done.
        step_h: hours in a step.
    """
    hours: float = max(acts_at - (done - 1), 0.0) * step_h
    return hours


@kernel_function
def write_operator(
    charter_ints: Int, agenda: Int, operator: Int, accounts: Int, physical: Float, first: int
) -> None:
    """Funds and bonds in EUR, and the share of the cooldown that is left."""
    physical[first] = accounts[ACCOUNT_OPERATOR] / 100.0
    physical[first + 1] = accounts[ACCOUNT_ESCROW] / 100.0
    left = operator[O_LAST_STEP] + charter_ints[C_COOLDOWN] - (agenda[A_STEP] - 1)
    share = left / charter_ints[C_COOLDOWN] if charter_ints[C_COOLDOWN] > 0 else 0.0
    physical[first + 2] = min(max(share, 0.0), 1.0)


def proposal_fields(
    charter: Charter, governed: Sequence[GovernedParameter], step_h: float
) -> list[Field]:
    """Observation of live proposals, row after row of a lane's block, hours for steps."""
    n = (len(governed),)
    low = np.array([p.low for p in governed])
    high = np.array([p.high for p in governed])
    longest_h = (charter.longest_cycle_steps + 1) * step_h
    return [
        Field("proposal_value", "1", low, high, n,
              "value that the live proposal on each parameter would set, in its unit"),
        Field("proposal_stage", "1", 0.0, 1.0, n,
              "1/3 before its snapshot, 2/3 in the vote, 1 passed, 0 without one"),
        Field("proposal_hours", "h", 0.0, longest_h, n, "until it acts if it passes"),
        Field("proposal_margin", "1", -1.0, 1.0, n, "(For - Against) / (For + Against) so far"),
        Field("proposal_quorum", "1", 0.0, MOST_QUORUMS, n,
              "votes towards quorum / quorum; kind optimistic: objections / those that stop it"),
        Field("proposal_own", "1", 0.0, 1.0, n, "1 where it is the operator's own"),
    ]  # fmt: skip


def operator_fields(charter: Charter) -> list[Field]:
    """Observation of the operator's bond, in the order of `write_operator`.

    Raises:
        ValueError: the charter names no operator.
    """
    operator = charter.roles.operator
    if operator is None:
        raise ValueError(f"charter {charter.name!r}: roles.operator is wanted, there is none")
    most = max(operator.funds_cents, 1) / 100.0
    return [
        Field("operator_funds_eur", "EUR", 0.0, most, doc="the operator's account"),
        Field("bond_escrowed_eur", "EUR", 0.0, most, doc="bonds of own live proposals"),
        Field("cooldown_left", "1", 0.0, 1.0, doc="share of the time until it may propose again"),
    ]


def operator_action_fields(governed: Sequence[GovernedParameter]) -> list[Field]:
    """Action of a proposer: which parameter, how far, and whether now.

    A request is made in steps where `proposal_now` is above `ASKS_ABOVE`, three quarters of the way
    up its range, so that a policy that knows nothing proposes seldom.
    """
    names = [p.name for p in governed if p.largest_change > 0.0]
    if not names:
        raise ValueError("governed: no parameter has a largest_change, so nothing can be proposed")
    return [
        Field("proposal_parameter", "1", 0.0, float(len(names)),
              doc=f"which: rounded down among {', '.join(names)}"),
        Field("proposal_change", "1", -1.0, 1.0,
              doc="how far, as a share of the parameter's largest change"),
        Field("proposal_now", "1", -1.0, 1.0, doc=f"proposed in this step if above {ASKS_ABOVE}"),
    ]  # fmt: skip


def charter_fields(
    charter: Charter, governed: Sequence[GovernedParameter], step_h: float
) -> tuple[list[Field], list[Field]]:
    """Observation of live proposals, and of who asks: an operator's bonds, a steward's rests, or
    what an adversary sees.

    Empty lists where there are none.

    Args:
        step_h: hours in a step.
    """
    if charter.mode == "static":
        return [], []
    office: list[Field] = []
    if charter.mode == "agentic":
        office = operator_fields(charter)
    elif charter.mode == "steward":
        office = steward_fields(governed)
    elif charter.mode == "attacked":
        office = attack_fields(charter)
    return proposal_fields(charter, governed, step_h), office


def charter_action_fields(
    charter: Charter, governed: Sequence[GovernedParameter]
) -> list[Field]:  # fmt: skip
    """What an action asks for beside the domain's own numbers, at its end; [] where it cannot."""
    if charter.mode == "agentic":
        return operator_action_fields(governed)
    if charter.mode == "attacked":
        return attack_action_fields()
    return steward_action_fields(governed) if charter.mode == "steward" else []


def asked_events(charter: Charter) -> tuple[str, ...]:
    """Names of the events of an episode's end that a steward or an adversary adds."""
    if charter.mode == "attacked":
        return ATTACK_NAMES
    return STEWARD_NAMES if charter.mode == "steward" else ()
