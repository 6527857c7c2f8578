"""The charter of one lane, for any domain: begun with the episode, moved on by a step.

Only slices the lane's state for the other rooms of envs/dao; the rules are there. What the calls
share:

- ``charter``: a tuple, empty under a static charter, which compiles kernels without any
  governance; else (charter ints, charter floats, electorate ints, electorate floats, governor
  rules), see `Governance.vectors`, and under mode `attacked` an adversary's four vectors.
  ``facts`` is what every step reads of it (`charter_facts`): each array handed on costs as much as
  some arithmetic.
- ``at``: place of the part "governed" among the offsets in ``pi`` (`lane_layout`).
- ``low``, ``scale``: places in ``pf`` of the lower end of the first observed column of proposals,
  and of 2 / (upper end - lower end); the other columns follow.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.prefetch import LINE_NUMBERS, prefetch

from .adversary_lane import (
    ACT_NUMBERS,
    adversary_acts,
    begin_adversary,
    deal_adversary_tokens,
    look_at_attack,
    write_attack_counts,
)
from .adversary_layout import I_TOKENS_WIDTH
from .adversary_means import ATTACK_NAMES
from .ballots import BALLOT_ROWS
from .capture_lane import ACCOUNTS
from .capture_report import CAPTURE_NAMES, capture_numbers
from .governance import (
    ALL_CHANGED,
    advance_governance,
    begin_governance,
    pass_earlier_steps,
    quiet_step,
)
from .governance_columns import (
    A_HEADER,
    A_NEXT_BALLOT,
    A_NEXT_STEP,
    A_STEP,
    ADVERSARY_ASKS,
    C_HEADER,
    C_INTERVAL_BLOCK,
    C_OPERATOR_VOTES,
    C_PARAMETERS,
    CAPACITY,
    NOBODY_ASKS,
    PROPOSAL_NUMBERS,
    SLOTS,
    STEWARD_ASKS,
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
    D_VOTES,
    FACT_OPERATOR_VOTES,
    VECTORS,
    row,
)
from .lane_view import keep_seen
from .operator_proposals import OPERATOR_WIDTH, PROPOSED, begin_operator, operator_proposal
from .proposal_view import (
    PROPOSAL_ROWS,
    look_at_counted,
    look_at_proposals,
)
from .steward import STEWARD_NAMES, steward_changes, write_steward_counts
from .votes import votes_width

_GOVERNOR = settings_width(SLOTS)
_VOTES = votes_width(SLOTS)
_CENTS = 100.0
RESTS, REPORTS, ACTS = 0, 1, 2
"""What `governor_stirs` answers."""


@inlined_function
def _governor(lane: int, facts: Any, at: int, pi: Int, si: Int) -> Any:
    """(settings, proposals, votes, clock, events, agenda) of a lane."""
    proposals = row(lane, pi, si, at + D_PROPOSALS, SLOTS * PROPOSAL_WIDTH)
    clock = row(lane, pi, si, at + D_BALLOT_CLOCK, BALLOT_ROWS * SLOTS)
    ballots = row(lane, pi, si, at + D_BALLOTS, SLOTS * (CAPACITY + 1))
    accounts, width = _votes_shape(facts)
    return (
        row(lane, pi, si, at + D_GOVERNOR, _GOVERNOR),
        proposals.reshape((SLOTS, PROPOSAL_WIDTH)),
        row(lane, pi, si, at + D_VOTES, accounts * width).reshape((accounts, width)),
        clock.reshape((BALLOT_ROWS, SLOTS)),
        ballots.reshape((SLOTS, CAPACITY + 1)),
        row(lane, pi, si, at + D_AGENDA, A_HEADER + facts[0][C_PARAMETERS]),
    )


@inlined_function
def _votes_shape(charter: Any) -> tuple[int, int]:
    """Rows and columns of the accounts' tokens."""
    if len(charter) > VECTORS:
        return ACCOUNTS + 1, charter[VECTORS][I_TOKENS_WIDTH]
    return 1, _VOTES


@inlined_function
def _values(lane: int, facts: Any, at: int, pi: Int, sf: Float) -> Float:
    first = pi[at + D_GOVERNED]
    return sf[lane, first : first + facts[0][C_PARAMETERS]]


@inlined_function
def _view(lane: int, facts: Any, at: int, pi: Int, sf: Float) -> Float:
    n, first = facts[0][C_PARAMETERS], pi[at + D_LIVE_PROPOSALS]
    return sf[lane, first : first + PROPOSAL_ROWS * n].reshape((PROPOSAL_ROWS, n))


@inlined_function
def _request_width(facts: Any) -> int:
    """Numbers that a lane keeps of a request."""
    if facts[0][C_OPERATOR_VOTES] == ADVERSARY_ASKS:
        return ACT_NUMBERS
    steward = facts[0][C_OPERATOR_VOTES] == STEWARD_ASKS
    return int(facts[0][C_PARAMETERS]) if steward else PROPOSAL_NUMBERS


@inlined_function
def charter_facts(charter: Any) -> Any:
    """What every step reads of a charter: (ints, governed parameters, votes of the operator).

    Numbers beside the vector, since each look into an array of a tuple counts it in and out. Behind
    them an adversary's vectors, where there is one.
    """
    if len(charter) > VECTORS:
        return (
            charter[0], charter[0][C_PARAMETERS], charter[0][C_OPERATOR_VOTES], charter[5],
            charter[6], charter[7], charter[8],
        )  # fmt: skip
    if len(charter) > 0:
        return charter[0], charter[0][C_PARAMETERS], charter[0][C_OPERATOR_VOTES]
    return ()


@kernel_function
def begin_charter(
    lane: int, key: Any, charter: Any, at: int, pf: Float, pi: Int, sf: Float, si: Int, low: int,
    scale: int, treasury_cents: int, steps_left: int,
) -> None:  # fmt: skip
    """Governed parameters, from their initial values through two cycles of proposals; the books.

    The lane's governed values are the initial ones when this is called.

    Args:
        key: the episode's.
        treasury_cents: what the DAO has.
        steps_left: of the episode that begins.
    """
    values = _values(lane, charter, at, pi, sf)
    settings, proposals, votes, clock, events, agenda = _governor(lane, charter, at, pi, si)
    begin_governance(charter[0], charter[4], settings, proposals, votes, clock, agenda)
    if len(charter) > VECTORS:
        deal_adversary_tokens(charter[5], votes, proposals)
    pass_earlier_steps(
        key, charter[0], charter[1], charter[2], charter[3], settings, proposals, votes, clock,
        events, agenda, values,
    )  # fmt: skip
    look_at_proposals(
        charter[0], charter[1], settings, proposals, votes, agenda, values,
        _view(lane, charter, at, pi, sf),
    )  # fmt: skip
    keep_seen(lane, charter, at, pf, pi, sf, low, scale)
    begin_operator(row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH))
    begin_accounts(
        charter[0], row(lane, pi, si, at + D_ACCOUNTS, GOVERNANCE_ACCOUNTS),
        row(lane, pi, si, at + D_BOOKS, BOOKS[0] * BOOKS[1]).reshape(BOOKS), treasury_cents,
    )  # fmt: skip
    if len(charter) > VECTORS:
        begin_adversary(
            lane, charter[5], charter[6], charter[7], charter[8], at, pi, si, key, steps_left
        )  # fmt: skip
    for k in range(_request_width(charter)):
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
    if len(charter) > VECTORS:
        request = pi[at + D_REQUEST]
        changed = adversary_acts(
            lane, charter[5], charter[6], charter[7], charter[8], at, pi, si,
            sf[lane, request : request + ACT_NUMBERS], steps_left,
        )  # fmt: skip
    if not quiet:
        changed |= advance_governance(
            key, charter[0], charter[1], charter[2], charter[3], settings, proposals, votes,
            clock, events, agenda, values,
        )  # fmt: skip
    accounts = row(lane, pi, si, at + D_ACCOUNTS, GOVERNANCE_ACCOUNTS)
    if charter[0][C_OPERATOR_VOTES] >= 0:
        request = pi[at + D_REQUEST]
        answer = operator_proposal(
            charter[0], charter[1], settings, proposals, votes, agenda, values,
            row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH), accounts, steps_left,
            sf[lane, request], sf[lane, request + 1], sf[lane, request + 2],
        )  # fmt: skip
        if answer == PROPOSED:
            changed |= ALL_CHANGED
    elif charter[0][C_OPERATOR_VOTES] == STEWARD_ASKS:
        request = pi[at + D_REQUEST]
        announced = steward_changes(
            charter[0], charter[1], settings, proposals, votes, agenda, values,
            row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH), steps_left,
            sf[lane, request : request + charter[0][C_PARAMETERS]],
        )  # fmt: skip
        if announced > 0:
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
            if len(charter) > VECTORS:
                look_at_attack(
                    lane, charter[0], charter[1], at, pi, si, settings, proposals, votes, agenda,
                    values, view,
                )  # fmt: skip
        else:
            look_at_counted(
                charter[0], charter[1], settings, proposals, votes, agenda, changed, view
            )  # fmt: skip
        keep_seen(lane, charter, at, pf, pi, sf, low, scale)
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
        event: first column of the capture metrics, behind them a steward's counts, written in the
            episode's last step.
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
        operator_votes: the charter's; `NOBODY_ASKS` where no action asks for anything.
    """
    if operator_votes == ADVERSARY_ASKS or not quiet_step(lane, agenda, si):
        return ACTS
    return RESTS if steps_left > 0 and operator_votes == NOBODY_ASKS else REPORTS


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
        agenda = row(lane, pi, si, at + D_AGENDA, A_HEADER + charter[0][C_PARAMETERS])
        capture_numbers(agenda, out[0, lane, event : event + len(CAPTURE_NAMES)])
        if charter[0][C_OPERATOR_VOTES] == STEWARD_ASKS:
            counts = event + len(CAPTURE_NAMES)
            write_steward_counts(
                row(lane, pi, si, at + D_OPERATOR, OPERATOR_WIDTH),
                out[0, lane, counts : counts + len(STEWARD_NAMES)],
            )
        if len(charter) > VECTORS:
            counts = event + len(CAPTURE_NAMES)
            write_attack_counts(
                lane, at, pi, si, out[0, lane, counts : counts + len(ATTACK_NAMES)]
            )  # fmt: skip


@inlined_function
def asked_columns(facts: Any) -> int:
    """Numbers at the end of an action that ask for changes of the rules; 0 where none does."""
    if facts[FACT_OPERATOR_VOTES] == NOBODY_ASKS:
        return 0
    if facts[FACT_OPERATOR_VOTES] == STEWARD_ASKS:
        return changeable(facts[0])
    return ACT_NUMBERS if facts[FACT_OPERATOR_VOTES] == ADVERSARY_ASKS else PROPOSAL_NUMBERS


@kernel_function
def changeable(charter_ints: Int) -> int:
    """How many parameters can be changed."""
    count = 0
    for p in range(charter_ints[C_PARAMETERS]):
        count += 1 if charter_ints[C_HEADER + C_INTERVAL_BLOCK + p] > 0 else 0
    return count


@kernel_function
def read_request(lane: int, facts: Any, at: int, pi: Int, sf: Float, asked: Float) -> None:
    """What an action asks for in this step, kept in units.

    Args:
        asked: (`asked_columns`,) the last numbers of the normalised action.
    """
    request = pi[at + D_REQUEST]
    if facts[FACT_OPERATOR_VOTES] == STEWARD_ASKS:
        k = 0
        for p in range(facts[0][C_PARAMETERS]):
            sf[lane, request + p] = 0.0
            if facts[0][C_HEADER + C_INTERVAL_BLOCK + p] > 0:
                sf[lane, request + p] = asked[k]
                k += 1
    elif facts[FACT_OPERATOR_VOTES] == ADVERSARY_ASKS:
        for k in range(ACT_NUMBERS):
            sf[lane, request + k] = asked[k]
    else:
        sf[lane, request] = 0.5 * (asked[0] + 1.0) * changeable(facts[0])
        sf[lane, request + 1] = asked[1]
        sf[lane, request + 2] = asked[2]
