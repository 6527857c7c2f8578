"""The govern phase: the energy grid's governed parameters in the hands of a voted charter.

Only slices a lane's state for envs/dao/governance.py; the rules are there. ``charter`` is a tuple:
empty under a static charter, which compiles kernels without any governance, else the vectors
(charter ints, charter floats, electorate ints, electorate floats, governor rules).
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.ballots import BALLOT_ROWS
from daogym.envs.dao.governance import (
    advance_governance,
    begin_amid_proposals,
    proposed_value,
    quiet_step,
)
from daogym.envs.dao.governance_layout import (
    A_HEADER,
    A_STEP,
    C_PARAMETERS,
    CAPACITY,
    SLOTS,
)
from daogym.envs.dao.governor_layout import (
    ACTIVE,
    G_MIN_DELAY_S,
    P_ABSTAIN,
    P_AGAINST,
    P_ETA_S,
    P_FOR,
    P_ID,
    P_TARGET,
    PENDING,
    PROPOSAL_WIDTH,
    QUEUED,
    settings_width,
)
from daogym.envs.dao.governor_state import deadline_of, needed_votes, state_of
from daogym.envs.dao.votes import votes_width

from .layout import (
    S_AGENDA,
    S_BALLOT_CLOCK,
    S_BALLOTS,
    S_GOVERNED,
    S_GOVERNOR,
    S_LIVE_PROPOSALS,
    S_PROPOSALS,
    S_VOTES,
)

_GOVERNOR = settings_width(SLOTS)
_VOTES = votes_width(SLOTS)

# Stages of a live proposal as observed.
STAGE_PENDING, STAGE_VOTING, STAGE_QUEUED = 1.0 / 3.0, 2.0 / 3.0, 1.0
PROPOSAL_FIELDS = 5


@kernel_function
def _row(lane: int, pi: Int, si: Int, part: int, width: int) -> Int:
    first = pi[part]
    return si[lane, first : first + width]


@kernel_function
def begin_charter(lane: int, key: Any, charter: Any, pi: Int, sf: Float, si: Int) -> None:
    """Governed parameters, from their initial values through two cycles of proposals."""
    begin_amid_proposals(
        key, charter[0], charter[1], charter[2], charter[3], charter[4],
        _row(lane, pi, si, S_GOVERNOR, _GOVERNOR),
        _row(lane, pi, si, S_PROPOSALS, SLOTS * PROPOSAL_WIDTH).reshape((SLOTS, PROPOSAL_WIDTH)),
        _row(lane, pi, si, S_VOTES, _VOTES).reshape((1, _VOTES)),
        _row(lane, pi, si, S_BALLOT_CLOCK, BALLOT_ROWS * SLOTS).reshape((BALLOT_ROWS, SLOTS)),
        _row(lane, pi, si, S_BALLOTS, SLOTS * (CAPACITY + 1)).reshape((SLOTS, CAPACITY + 1)),
        _row(lane, pi, si, S_AGENDA, A_HEADER + charter[0][C_PARAMETERS]),
        sf[lane, pi[S_GOVERNED] : pi[S_GOVERNED] + charter[0][C_PARAMETERS]],
    )  # fmt: skip
    _look_at_proposals(lane, charter, pi, sf, si)


@kernel_function
def govern(lane: int, key: Any, charter: Any, pi: Int, sf: Float, si: Int) -> None:
    """One step of the governor; what it changes is in force from the next step on."""
    agenda = _row(lane, pi, si, S_AGENDA, A_HEADER + charter[0][C_PARAMETERS])
    if quiet_step(key, charter[3], agenda):
        return
    happened = advance_governance(
        key, charter[0], charter[1], charter[2], charter[3],
        _row(lane, pi, si, S_GOVERNOR, _GOVERNOR),
        _row(lane, pi, si, S_PROPOSALS, SLOTS * PROPOSAL_WIDTH).reshape((SLOTS, PROPOSAL_WIDTH)),
        _row(lane, pi, si, S_VOTES, _VOTES).reshape((1, _VOTES)),
        _row(lane, pi, si, S_BALLOT_CLOCK, BALLOT_ROWS * SLOTS).reshape((BALLOT_ROWS, SLOTS)),
        _row(lane, pi, si, S_BALLOTS, SLOTS * (CAPACITY + 1)).reshape((SLOTS, CAPACITY + 1)),
        _row(lane, pi, si, S_AGENDA, A_HEADER + charter[0][C_PARAMETERS]),
        sf[lane, pi[S_GOVERNED] : pi[S_GOVERNED] + charter[0][C_PARAMETERS]],
    )  # fmt: skip
    if happened:
        _look_at_proposals(lane, charter, pi, sf, si)


@kernel_function
def _look_at_proposals(lane: int, charter: Any, pi: Int, sf: Float, si: Int) -> None:
    """Rewrite the lane's `live_proposals`, (5, parameters), after something happened.

    Value it would set (the one in force where there is none), stage, step of the governor's clock
    at which it acts if it passes, margin, votes towards quorum / quorum.
    """
    n = charter[0][C_PARAMETERS]
    first = pi[S_LIVE_PROPOSALS]
    for p in range(n):
        sf[lane, first + p] = sf[lane, pi[S_GOVERNED] + p]
        for block in range(1, PROPOSAL_FIELDS):
            sf[lane, first + block * n + p] = 0.0
    settings = _row(lane, pi, si, S_GOVERNOR, _GOVERNOR)
    proposals = _row(lane, pi, si, S_PROPOSALS, SLOTS * PROPOSAL_WIDTH).reshape(
        (SLOTS, PROPOSAL_WIDTH)
    )
    votes = _row(lane, pi, si, S_VOTES, _VOTES).reshape((1, _VOTES))
    # The last step that the governor has done.
    now = si[lane, pi[S_AGENDA] + A_STEP] - 1
    for slot in range(SLOTS):
        if proposals[slot, P_ID] == 0:
            continue
        state = state_of(settings, proposals, votes, now, now, slot)
        stage = 0.0
        if state == PENDING:
            stage = STAGE_PENDING
        elif state == ACTIVE:
            stage = STAGE_VOTING
        elif state == QUEUED:
            stage = STAGE_QUEUED
        if stage == 0.0:
            continue
        p = proposals[slot, P_TARGET]
        acts = proposals[slot, P_ETA_S]
        if state != QUEUED:
            acts = deadline_of(proposals, slot) + 1 + settings[G_MIN_DELAY_S]
        sf[lane, first + p] = proposed_value(charter[0], charter[1], proposals, slot)
        sf[lane, first + n + p] = stage
        sf[lane, first + 2 * n + p] = acts
        against, votes_for = proposals[slot, P_AGAINST], proposals[slot, P_FOR]
        if votes_for + against > 0:
            sf[lane, first + 3 * n + p] = (votes_for - against) / (votes_for + against)
        if state != PENDING:
            needed = max(needed_votes(settings, proposals, votes, now, slot), 1)
            counted = votes_for + proposals[slot, P_ABSTAIN]
            sf[lane, first + 4 * n + p] = counted / needed


@kernel_function
def write_proposals(
    lane: int, n: int, dt_h: float, pi: Int, sf: Float, si: Int, physical: Float, first: int
) -> None:
    """The lane's `live_proposals` (5, n) as observed: hours until it acts instead of the step."""
    live = pi[S_LIVE_PROPOSALS]
    for c in range(PROPOSAL_FIELDS * n):
        physical[first + c] = sf[lane, live + c]
    now = si[lane, pi[S_AGENDA] + A_STEP] - 1
    for p in range(n):
        if physical[first + n + p] > 0.0:
            physical[first + 2 * n + p] = (physical[first + 2 * n + p] - now) * dt_h
