"""The govern phase: the energy grid's governed parameters in the hands of those who vote on them.

Only slices a lane's state for envs/dao; the rules are there. ``charter`` is a tuple: empty under a
static charter, which compiles kernels without any governance, else the vectors (charter ints,
charter floats, electorate ints, electorate floats, governor rules).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.prefetch import LINE_NUMBERS, prefetch
from daogym.envs.dao.ballots import BALLOT_ROWS
from daogym.envs.dao.capture_report import CAPTURE_NAMES, capture_numbers
from daogym.envs.dao.governance import (
    ALL_CHANGED,
    advance_governance,
    begin_amid_proposals,
    quiet_step,
)
from daogym.envs.dao.governance_columns import (
    A_HEADER,
    A_NEXT_BALLOT,
    A_NEXT_STEP,
    A_STEP,
    C_HEADER,
    C_INTERVAL_BLOCK,
    C_OPERATOR_VOTES,
    C_PARAMETERS,
    CAPACITY,
    SLOTS,
)
from daogym.envs.dao.governance_money import (
    GOVERNANCE_ACCOUNTS,
    PURPOSE_OPENING,
    begin_accounts,
    forfeit_open_bonds,
    settle_governance,
)
from daogym.envs.dao.governor_layout import PROPOSAL_WIDTH, settings_width
from daogym.envs.dao.operator_proposals import (
    OPERATOR_WIDTH,
    begin_operator,
    operator_proposal,
)
from daogym.envs.dao.operator_proposals import PROPOSED as PROPOSED
from daogym.envs.dao.proposal_view import (
    OPERATOR_FIELDS,
    PROPOSAL_ROWS,
    V_ACTS_AT,
    V_STAGE,
    hours_until_it_acts,
    look_at_counted,
    look_at_proposals,
    write_operator,
)
from daogym.envs.dao.votes import votes_width

from .dynamics import clip
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
    S_ACCOUNTS,
    S_AGENDA,
    S_BALLOT_CLOCK,
    S_BALLOTS,
    S_BOOKS,
    S_GOVERNED,
    S_GOVERNOR,
    S_HALT,
    S_LIVE_PROPOSALS,
    S_OPERATOR,
    S_PROPOSALS,
    S_REQUEST,
    S_SEEN_PROPOSALS,
    S_STEP,
    S_VOTES,
    T_BOND,
    X_DT_H,
    X_TREASURY_CENTS,
    Z_OBSERVATION,
)

_GOVERNOR = settings_width(SLOTS)
_VOTES = votes_width(SLOTS)
BOOKS = (PURPOSE_OPENING + 1, 2)
"""Shape of a lane's totals of minted and burned cents."""
REQUEST_NUMBERS = 3
HALT_FIELDS = 1
_CENTS_PER_EUR = 100.0


@kernel_function
def _row(lane: int, pi: Int, si: Int, part: int, width: int) -> Int:
    first = pi[part]
    return si[lane, first : first + width]


@kernel_function
def _governor(lane: int, charter: Any, pi: Int, si: Int) -> Any:
    """(settings, proposals, votes, clock, events, agenda) of a lane."""
    return (
        _row(lane, pi, si, S_GOVERNOR, _GOVERNOR),
        _row(lane, pi, si, S_PROPOSALS, SLOTS * PROPOSAL_WIDTH).reshape((SLOTS, PROPOSAL_WIDTH)),
        _row(lane, pi, si, S_VOTES, _VOTES).reshape((1, _VOTES)),
        _row(lane, pi, si, S_BALLOT_CLOCK, BALLOT_ROWS * SLOTS).reshape((BALLOT_ROWS, SLOTS)),
        _row(lane, pi, si, S_BALLOTS, SLOTS * (CAPACITY + 1)).reshape((SLOTS, CAPACITY + 1)),
        _row(lane, pi, si, S_AGENDA, A_HEADER + charter[0][C_PARAMETERS]),
    )


@kernel_function
def _values(lane: int, charter: Any, pi: Int, sf: Float) -> Float:
    first = pi[S_GOVERNED]
    return sf[lane, first : first + charter[0][C_PARAMETERS]]


@kernel_function
def _view(lane: int, charter: Any, pi: Int, sf: Float) -> Float:
    n, first = charter[0][C_PARAMETERS], pi[S_LIVE_PROPOSALS]
    return sf[lane, first : first + PROPOSAL_ROWS * n].reshape((PROPOSAL_ROWS, n))


@kernel_function
def begin_charter(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int
) -> None:
    """Governed parameters, from their initial values through two cycles of proposals; the books."""
    values = _values(lane, charter, pi, sf)
    settings, proposals, votes, clock, events, agenda = _governor(lane, charter, pi, si)
    begin_amid_proposals(
        key, charter[0], charter[1], charter[2], charter[3], charter[4], settings, proposals,
        votes, clock, events, agenda, values,
    )  # fmt: skip
    look_at_proposals(
        charter[0], charter[1], settings, proposals, votes, agenda, values,
        _view(lane, charter, pi, sf),
    )  # fmt: skip
    _see(lane, charter, pf, pi, sf)
    begin_operator(_row(lane, pi, si, S_OPERATOR, OPERATOR_WIDTH))
    begin_accounts(
        charter[0], _row(lane, pi, si, S_ACCOUNTS, GOVERNANCE_ACCOUNTS),
        _row(lane, pi, si, S_BOOKS, BOOKS[0] * BOOKS[1]).reshape(BOOKS),
        int(pf[pi[P_SCALARS] + X_TREASURY_CENTS]),
    )  # fmt: skip
    for k in range(REQUEST_NUMBERS):
        sf[lane, pi[S_REQUEST] + k] = 0.0
    si[lane, pi[S_HALT]] = 0


@kernel_function
def prefetch_clock(lane: int, pi: Int, si: Int) -> None:
    """Ask for the numbers of a lane that come before the agenda, and for its clock."""
    for k in range(0, pi[S_AGENDA] + LINE_NUMBERS, LINE_NUMBERS):
        prefetch(si, lane, k)


@kernel_function
def prefetch_votes(lane: int, pi: Int, si: Int) -> None:
    """Ask for governor, proposals and tallies where the step to come is not quiet."""
    agenda = pi[S_AGENDA]
    following = min(si[lane, agenda + A_NEXT_STEP], si[lane, agenda + A_NEXT_BALLOT])
    if si[lane, agenda + A_STEP] >= following:
        for k in range(pi[S_GOVERNOR], pi[S_BALLOTS], LINE_NUMBERS):
            prefetch(si, lane, k)


@kernel_function
def is_quiet(lane: int, charter: Any, pi: Int, si: Int) -> bool:
    """The governor's clock goes on if nothing happens in this step; else False, nothing done."""
    return quiet_step(_row(lane, pi, si, S_AGENDA, A_HEADER + charter[0][C_PARAMETERS]))


@kernel_function
def govern(
    lane: int, key: Any, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, out: Float,
    quiet: bool, ends: bool,
) -> None:  # fmt: skip
    """One step of the governor; what it changes is in force from the next step on.

    `step` of the lane already counts the step that is being done.

    Args:
        quiet: what `is_quiet` answered.
        ends: whether this is the episode's last step.
    """
    values = _values(lane, charter, pi, sf)
    settings, proposals, votes, clock, events, agenda = _governor(lane, charter, pi, si)
    changed = 0
    if not quiet:
        changed = advance_governance(
            key, charter[0], charter[1], charter[2], charter[3], settings, proposals, votes,
            clock, events, agenda, values,
        )  # fmt: skip
    accounts = _row(lane, pi, si, S_ACCOUNTS, GOVERNANCE_ACCOUNTS)
    if charter[0][C_OPERATOR_VOTES] >= 0:
        request = pi[S_REQUEST]
        answer = operator_proposal(
            charter[0], charter[1], settings, proposals, votes, agenda, values,
            _row(lane, pi, si, S_OPERATOR, OPERATOR_WIDTH), accounts,
            pi[pi[P_CALENDAR] + C_HORIZON] - si[lane, pi[S_STEP]], sf[lane, request],
            sf[lane, request + 1], sf[lane, request + 2],
        )  # fmt: skip
        if answer == PROPOSED:
            changed |= ALL_CHANGED
    _, lost, _ = settle_governance(settings, agenda, accounts)
    if ends:
        lost += forfeit_open_bonds(proposals, agenda, accounts)
        first = OUT_EVENT + E_CAPTURE
        capture_numbers(agenda, out[0, lane, first : first + len(CAPTURE_NAMES)])
    out[0, lane, OUT_TERM + T_BOND] = -lost / _CENTS_PER_EUR
    if changed == 0:
        return
    view = _view(lane, charter, pi, sf)
    if changed >= ALL_CHANGED:
        look_at_proposals(
            charter[0], charter[1], settings, proposals, votes, agenda, values, view
        )  # fmt: skip
    else:
        look_at_counted(
            charter[0], charter[1], settings, proposals, votes, agenda, changed, view
        )  # fmt: skip
    _see(lane, charter, pf, pi, sf)


@kernel_function
def _see(lane: int, charter: Any, pf: Float, pi: Int, sf: Float) -> None:
    """Keep live proposals as they are observed until the next ballot or change."""
    size = PROPOSAL_ROWS * charter[0][C_PARAMETERS]
    field = first_column(charter, pi)
    for k in range(size):
        value = sf[lane, pi[S_LIVE_PROPOSALS] + k]
        sf[lane, pi[S_SEEN_PROPOSALS] + k] = normalised(field + k, value, pf, pi)


@kernel_function
def normalised(field: int, value: float, pf: Float, pi: Int) -> float:
    """An observation in its unit as the policy sees it, in [-1, 1]."""
    low, scale = pf[pi[P_OBSERVATION_LOW] + field], pf[pi[P_OBSERVATION_SCALE] + field]
    return clip((value - low) * scale - 1.0, -1.0, 1.0)


@kernel_function
def first_column(charter: Any, pi: Int) -> int:
    """Where live proposals begin among the observations, of which they are the last but few."""
    own = OPERATOR_FIELDS if charter[0][C_OPERATOR_VOTES] >= 0 else 0
    rows = PROPOSAL_ROWS * charter[0][C_PARAMETERS]
    return int(pi[pi[P_SIZES] + Z_OBSERVATION] - own - HALT_FIELDS - rows)


@kernel_function
def write_governance(
    lane: int, charter: Any, pf: Float, pi: Int, sf: Float, si: Int, target: Float
) -> None:
    """What is observed of live proposals, the emergency halt, and an operator's bonds.

    Args:
        charter: the charter's own int vector, alone in a tuple.
        target: (N, D) observations, normalised; written from `first_column` to the end.
    """
    first = first_column(charter, pi)
    n = charter[0][C_PARAMETERS]
    dt_h = pf[pi[P_SCALARS] + X_DT_H]
    agenda = _row(lane, pi, si, S_AGENDA, A_HEADER + n)
    seen, view = pi[S_SEEN_PROPOSALS], pi[S_LIVE_PROPOSALS]
    for k in range(PROPOSAL_ROWS * n):
        target[lane, first + k] = sf[lane, seen + k]
    acts, stage = V_ACTS_AT * n, V_STAGE * n
    for p in range(n):
        if sf[lane, view + stage + p] > 0.0:
            hours = hours_until_it_acts(sf[lane, view + acts + p], agenda, dt_h)
            target[lane, first + acts + p] = normalised(first + acts + p, hours, pf, pi)
    first += PROPOSAL_ROWS * n
    target[lane, first] = normalised(first, si[lane, pi[S_HALT]] * dt_h, pf, pi)
    if charter[0][C_OPERATOR_VOTES] >= 0:
        own = np.empty(OPERATOR_FIELDS)
        write_operator(
            charter[0], agenda, _row(lane, pi, si, S_OPERATOR, OPERATOR_WIDTH),
            _row(lane, pi, si, S_ACCOUNTS, GOVERNANCE_ACCOUNTS), own, 0,
        )  # fmt: skip
        for k in range(OPERATOR_FIELDS):
            target[lane, first + 1 + k] = normalised(first + 1 + k, own[k], pf, pi)


@kernel_function
def read_request(
    lane: int, e: int, charter: Any, pi: Int, sf: Float, clean: Float, first: int
) -> None:
    """The operator's proposal of this step: normalised actions from `first` on, in their units."""
    choices = 0
    for p in range(charter[0][C_PARAMETERS]):
        choices += 1 if charter[0][C_HEADER + C_INTERVAL_BLOCK + p] > 0 else 0
    request = pi[S_REQUEST]
    sf[lane, request] = 0.5 * (clean[e, first] + 1.0) * choices
    sf[lane, request + 1] = clean[e, first + 1]
    sf[lane, request + 2] = clean[e, first + 2]
