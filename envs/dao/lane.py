"""The charter of one lane, for any domain: begun with the episode, moved on by a step, observed.

Only slices the lane's state for the other rooms of envs/dao; the rules are there. What the calls
share:

- ``charter``: a tuple, empty under a static charter, which compiles kernels without any
  governance; else (charter ints, charter floats, electorate ints, electorate floats, governor
  rules), see `Governance.vectors`. ``facts`` is what every step reads of it (`charter_facts`):
  each array handed on costs as much as some arithmetic.
- ``at``: place of the part "governed" among the offsets in ``pi`` (`lane_layout`).
- ``low``, ``scale``: places in ``pf`` of the lower end of the first observed column of proposals,
  and of 2 / (upper end - lower end); the other columns follow.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.prefetch import LINE_NUMBERS, prefetch

from .ballots import BALLOT_ROWS
from .capture_report import CAPTURE_NAMES, capture_numbers
from .governance import ALL_CHANGED, advance_governance, begin_amid_proposals, quiet_step
from .governance_columns import (
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
from .governance_money import (
    GOVERNANCE_ACCOUNTS,
    begin_accounts,
    forfeit_open_bonds,
    settle_governance,
)
from .governor_layout import PROPOSAL_WIDTH, settings_width
from .lane_layout import (
    BOOKS,
    D_ACCOUNTS,
    D_AGENDA,
    D_BALLOT_CLOCK,
    D_BALLOTS,
    D_BOOKS,
    D_GOVERNED,
    D_GOVERNOR,
    D_LIVE_PROPOSALS,
    D_OPERATOR,
    D_PROPOSALS,
    D_REQUEST,
    D_SEEN_PROPOSALS,
    D_VOTES,
    REQUEST_NUMBERS,
)
from .operator_proposals import OPERATOR_WIDTH, PROPOSED, begin_operator, operator_proposal
from .proposal_view import (
    OPERATOR_FIELDS,
    PROPOSAL_ROWS,
    V_ACTS_AT,
    hours_until_it_acts,
    look_at_counted,
    look_at_proposals,
    write_operator,
)
from .votes import votes_width

_GOVERNOR = settings_width(SLOTS)
_VOTES = votes_width(SLOTS)
_CENTS = 100.0
RESTS, REPORTS, ACTS = 0, 1, 2
"""What `governor_stirs` answers."""
FACT_PARAMETERS, FACT_OPERATOR_VOTES = 1, 2
"""Places in `charter_facts`, behind the charter's ints."""


@inlined_function
def _row(lane: int, pi: Int, si: Int, part: int, width: int) -> Int:
    first = pi[part]
    return si[lane, first : first + width]


@inlined_function
def _governor(lane: int, facts: Any, at: int, pi: Int, si: Int) -> Any:
    """(settings, proposals, votes, clock, events, agenda) of a lane."""
    proposals = _row(lane, pi, si, at + D_PROPOSALS, SLOTS * PROPOSAL_WIDTH)
    clock = _row(lane, pi, si, at + D_BALLOT_CLOCK, BALLOT_ROWS * SLOTS)
    ballots = _row(lane, pi, si, at + D_BALLOTS, SLOTS * (CAPACITY + 1))
    return (
        _row(lane, pi, si, at + D_GOVERNOR, _GOVERNOR),
        proposals.reshape((SLOTS, PROPOSAL_WIDTH)),
        _row(lane, pi, si, at + D_VOTES, _VOTES).reshape((1, _VOTES)),
        clock.reshape((BALLOT_ROWS, SLOTS)),
        ballots.reshape((SLOTS, CAPACITY + 1)),
        _row(lane, pi, si, at + D_AGENDA, A_HEADER + facts[0][C_PARAMETERS]),
    )


@inlined_function
def _values(lane: int, facts: Any, at: int, pi: Int, sf: Float) -> Float:
    first = pi[at + D_GOVERNED]
    return sf[lane, first : first + facts[0][C_PARAMETERS]]


@inlined_function
def _view(lane: int, facts: Any, at: int, pi: Int, sf: Float) -> Float:
    n, first = facts[0][C_PARAMETERS], pi[at + D_LIVE_PROPOSALS]
    return sf[lane, first : first + PROPOSAL_ROWS * n].reshape((PROPOSAL_ROWS, n))


@inlined_function
def charter_facts(charter: Any) -> Any:
    """What every step reads of a charter: (ints, governed parameters, votes of the operator).

    Numbers beside the vector, since each look into an array of a tuple counts it in and out.
    """
    if len(charter) > 0:
        return charter[0], charter[0][C_PARAMETERS], charter[0][C_OPERATOR_VOTES]
    return ()


@kernel_function
def begin_charter(
    lane: int, key: Any, charter: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int,
    scale: int, treasury_cents: int,
) -> None:  # fmt: skip
    """Governed parameters, from their initial values through two cycles of proposals; the books.

    The lane's governed values are the initial ones when this is called.

    Args:
        key: the episode's.
        treasury_cents: what the DAO has.
    """
    values = _values(lane, charter, at, pi, sf)
    settings, proposals, votes, clock, events, agenda = _governor(lane, charter, at, pi, si)
    begin_amid_proposals(
        key, charter[0], charter[1], charter[2], charter[3], charter[4], settings, proposals,
        votes, clock, events, agenda, values,
    )  # fmt: skip
    look_at_proposals(
        charter[0], charter[1], settings, proposals, votes, agenda, values,
        _view(lane, charter, at, pi, sf),
    )  # fmt: skip
    _see(lane, charter, at, pf, pi, sf, low, scale)
    begin_operator(_row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH))
    begin_accounts(
        charter[0], _row(lane, pi, si, at + D_ACCOUNTS, GOVERNANCE_ACCOUNTS),
        _row(lane, pi, si, at + D_BOOKS, BOOKS[0] * BOOKS[1]).reshape(BOOKS), treasury_cents,
    )  # fmt: skip
    for k in range(REQUEST_NUMBERS):
        sf[lane, pi[at + D_REQUEST] + k] = 0.0


@inlined_function
def prefetch_clock(lane: int, at: int, pi: Int, si: Int) -> None:
    """Ask for the numbers of a lane that come before the agenda, and for its clock."""
    for k in range(0, pi[at + D_AGENDA] + LINE_NUMBERS, LINE_NUMBERS):
        prefetch(si, lane, k)


@inlined_function
def prefetch_votes(lane: int, at: int, pi: Int, si: Int) -> None:
    """Ask for governor, proposals and tallies where the step to come is not quiet."""
    agenda = pi[at + D_AGENDA]
    following = min(si[lane, agenda + A_NEXT_STEP], si[lane, agenda + A_NEXT_BALLOT])
    if si[lane, agenda + A_STEP] >= following:
        for k in range(pi[at + D_GOVERNOR], pi[at + D_BALLOTS], LINE_NUMBERS):
            prefetch(si, lane, k)


@kernel_function
def _govern(
    lane: int, key: Any, charter: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int,
    scale: int, steps_left: int, quiet: bool,
) -> int:  # fmt: skip
    """One step of the governor; what it changes is in force from the next step on.

    Args:
        steps_left: of the episode, without the step that is being done; 0 in its last one.
        quiet: what `quiet_step` answered.

    Returns:
        Cents of bonds that the operator lost.
    """
    values = _values(lane, charter, at, pi, sf)
    settings, proposals, votes, clock, events, agenda = _governor(lane, charter, at, pi, si)
    changed = 0
    if not quiet:
        changed = advance_governance(
            key, charter[0], charter[1], charter[2], charter[3], settings, proposals, votes,
            clock, events, agenda, values,
        )  # fmt: skip
    accounts = _row(lane, pi, si, at + D_ACCOUNTS, GOVERNANCE_ACCOUNTS)
    if charter[0][C_OPERATOR_VOTES] >= 0:
        request = pi[at + D_REQUEST]
        answer = operator_proposal(
            charter[0], charter[1], settings, proposals, votes, agenda, values,
            _row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH), accounts, steps_left,
            sf[lane, request], sf[lane, request + 1], sf[lane, request + 2],
        )  # fmt: skip
        if answer == PROPOSED:
            changed |= ALL_CHANGED
    _, lost, _ = settle_governance(settings, agenda, accounts)
    if steps_left <= 0:
        lost += forfeit_open_bonds(proposals, agenda, accounts)
    if changed != 0:
        view = _view(lane, charter, at, pi, sf)
        if changed >= ALL_CHANGED:
            look_at_proposals(
                charter[0], charter[1], settings, proposals, votes, agenda, values, view
            )  # fmt: skip
        else:
            look_at_counted(
                charter[0], charter[1], settings, proposals, votes, agenda, changed, view
            )  # fmt: skip
        _see(lane, charter, at, pf, pi, sf, low, scale)
    return int(lost)


@inlined_function
def advance_charter(
    lane: int, key: Any, charter: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int,
    scale: int, steps_left: int, out: Float, term: int, event: int,
) -> None:  # fmt: skip
    """One step of the governor as a domain reports it; most steps are quiet and end here at once.

    Where even the arguments cost, ask `governor_stirs` and call `report_charter`.

    Args:
        steps_left: of the episode, without the step that is being done; 0 in its last one.
        out: (2, N, width) outputs; row 0 is this step.
        term: column of the bonds that the operator lost, in units of money.
        event: first column of the capture metrics, written in the episode's last step.
    """
    stirs = governor_stirs(lane, pi[at + D_AGENDA], charter[0][C_OPERATOR_VOTES], si, steps_left)
    if stirs != RESTS:
        report_charter(
            lane, key, charter, at, pf, pi, sf, si, low, scale, steps_left, out, term, event, stirs
        )  # fmt: skip


@inlined_function
def governor_stirs(lane: int, agenda: int, operator_votes: int, si: Int, steps_left: int) -> int:
    """`RESTS` where the step is quiet and done; else `REPORTS` (done) or `ACTS` (to be done).

    Args:
        agenda: column at which the lane's agenda begins.
        operator_votes: the charter's; below 0 where the operator proposes nothing.
    """
    if not quiet_step(lane, agenda, si):
        return ACTS
    return RESTS if steps_left > 0 and operator_votes < 0 else REPORTS


@kernel_function
def report_charter(
    lane: int, key: Any, charter: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int,
    scale: int, steps_left: int, out: Float, term: int, event: int, stirs: int,
) -> None:  # fmt: skip
    """The rest of `advance_charter`, where the governor stirs."""
    quiet = stirs == REPORTS
    lost = _govern(lane, key, charter, at, pf, pi, sf, si, low, scale, steps_left, quiet)
    out[0, lane, term] = -lost / _CENTS
    if steps_left <= 0:
        agenda = _row(lane, pi, si, at + D_AGENDA, A_HEADER + charter[0][C_PARAMETERS])
        capture_numbers(agenda, out[0, lane, event : event + len(CAPTURE_NAMES)])


@kernel_function
def _see(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, sf: Float, low: int, scale: int
) -> None:
    """Keep live proposals as they are observed until the next ballot or change.

    When they act stays a step of the governor's clock, since the hours until then run on.
    """
    view, seen = pi[at + D_LIVE_PROPOSALS], pi[at + D_SEEN_PROPOSALS]
    n = facts[0][C_PARAMETERS]
    for row in range(PROPOSAL_ROWS):
        for k in range(row * n, (row + 1) * n):
            shown = sf[lane, view + k]
            if row != V_ACTS_AT:
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
def operator_columns(facts: Any) -> int:
    """Observed numbers of the operator's bonds: none where it may not propose."""
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
def write_bonds(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, si: Int, low: int, scale: int,
    target: Float, first: int,
) -> None:  # fmt: skip
    """What is observed of an operator's bonds, from column `first` of ``target[lane]`` on.

    Args:
        low, scale: places of the first of these columns.
    """
    own = np.empty(OPERATOR_FIELDS)
    write_operator(
        facts[0], _row(lane, pi, si, at + D_AGENDA, A_HEADER + facts[0][C_PARAMETERS]),
        _row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH),
        _row(lane, pi, si, at + D_ACCOUNTS, GOVERNANCE_ACCOUNTS), own, 0,
    )  # fmt: skip
    for k in range(OPERATOR_FIELDS):
        target[lane, first + k] = normalised(own[k], pf[low + k], pf[scale + k])


@inlined_function
def charter_columns(facts: Any) -> int:
    """Observed numbers of live proposals and bonds together."""
    return proposal_columns(facts) + operator_columns(facts)


@kernel_function
def observe_charter(
    lane: int, facts: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int, scale: int,
    step_h: float, target: Float, first: int,
) -> None:  # fmt: skip
    """Live proposals from column `first` of ``target[lane]`` on, bonds right behind them."""
    write_live_proposals(lane, facts, at, pf, pi, sf, si, low, scale, step_h, target, first)
    if facts[FACT_OPERATOR_VOTES] >= 0:
        n = proposal_columns(facts)
        write_bonds(lane, facts, at, pf, pi, si, low + n, scale + n, target, first + n)


@kernel_function
def read_request(
    lane: int, facts: Any, at: int, pi: Int, sf: Float, which: float, how_far: float, now: float
) -> None:
    """The operator's proposal of this step: the three normalised actions, in their units."""
    choices = 0
    for p in range(facts[0][C_PARAMETERS]):
        choices += 1 if facts[0][C_HEADER + C_INTERVAL_BLOCK + p] > 0 else 0
    request = pi[at + D_REQUEST]
    sf[lane, request] = 0.5 * (which + 1.0) * choices
    sf[lane, request + 1] = how_far
    sf[lane, request + 2] = now
