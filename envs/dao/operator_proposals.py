"""The operator as a proposer (mode `agentic`): requests, refusals, bonds.

Called from compiled code. A proposal puts a bond into escrow. It comes back once the proposal is
executed, and is lost to the DAO's treasury if it ends in any other way: defeated, vetoed, expired,
or still open when the episode ends. The members vote on it by the same utility as on their own;
nothing is checked in a forum first.

Call `operator_proposal` after `advance_governance` (or `quiet_step`) in the same step, then
`settle_governance`: members propose first, so the operator's requests never change their draws.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int

from .ballots import ARRIVALS_PER_STEP, proposal_number
from .governance import live_slot
from .governance_columns import (
    A_HEADER,
    A_NEXT_STEP,
    A_STEP,
    C_BOND_CENTS,
    C_COOLDOWN,
    C_HEADER,
    C_LONGEST_CYCLE,
    C_OPERATOR_VOTES,
    C_OWN_LIVE,
    C_PARAMETERS,
    OPERATOR,
    VALUE_SCALE,
)
from .governance_money import ACCOUNT_ESCROW, ACCOUNT_OPERATOR
from .governor import propose_with
from .governor_layout import P_NOTE, P_PROPOSER, P_SNAPSHOT, PAYLOAD_CALL
from .results import DONE, INSUFFICIENT_PROPOSER_VOTES, NO_FREE_SLOT, ONE_LIVE_PROPOSAL
from .treasury import transfer

ANSWERS = (
    "no_request", "proposed", "invalid", "cooling_down", "too_late", "change_too_large",
    "no_change", "resting", "already_live", "own_live", "below_threshold", "no_free_slot",
    "bond_not_covered", "refused",
)  # fmt: skip
"""Names of the answers to a request, in the order of their numbers."""
(
    NO_REQUEST, PROPOSED, INVALID_REQUEST, COOLING_DOWN, TOO_LATE_TO_END, LARGER_THAN_ALLOWED,
    NO_CHANGE, RESTING, ALREADY_LIVE, OWN_LIVE, BELOW_THRESHOLD, NO_ROOM, BOND_NOT_COVERED, REFUSED,
) = range(14)  # fmt: skip

ASKS_ABOVE = 0.5
"""A request is made where `proposal_now` is above this."""

O_LAST_STEP = 0
"""Step of the governor's clock of the last proposal made; far back if none was."""
O_ANSWERS = 1
"""From here on, how often each of `ANSWERS` was given in this episode."""
OPERATOR_WIDTH = O_ANSWERS + len(ANSWERS)

_LONG_AGO = -(2**62)


@kernel_function
def begin_operator(operator: Int) -> None:
    """Nothing was proposed yet: (OPERATOR_WIDTH,) at the start of an episode."""
    operator[:] = 0
    operator[O_LAST_STEP] = _LONG_AGO


@kernel_function
def chosen_parameter(charter_ints: Int, choice: float) -> int:
    """The parameter of a choice in [0, proposable): the k-th that can be voted on; -1 for none."""
    left = int(choice)
    last = -1
    for p in range(charter_ints[C_PARAMETERS]):
        if charter_ints[C_HEADER + p] > 0:
            last = p
            if left == 0:
                return p
            left -= 1
    return last


@kernel_function
def live_of_operator(proposals: Int) -> int:
    """How many proposals of the operator have not ended."""
    count = 0
    for slot in range(proposals.shape[0]):
        if proposals[slot, P_PROPOSER] == OPERATOR and proposals[slot, P_NOTE] > 0:
            count += 1
    return count


@kernel_function
def operator_proposal(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float, operator: Int, accounts: Int, steps_left: int, choice: float,
    change: float, now: float,
) -> int:  # fmt: skip
    """One step's request of the operator; answers with one of `ANSWERS`, which is also counted.

    Args:
        operator: (OPERATOR_WIDTH,) of the lane.
        accounts: cents, the first ones as `governance_money` says.
        steps_left: steps of the episode after this one; a cycle must fit.
        choice, change, now: the action fields of `operator_action_fields`, in their own units:
            which parameter, how far (share of its largest change), and whether in this step.
    """
    if not now > ASKS_ABOVE and now == now:
        return NO_REQUEST
    answer = _answer(
        charter_ints, charter_floats, settings, proposals, votes, agenda, values, operator,
        accounts, steps_left, choice, change, now,
    )  # fmt: skip
    operator[O_ANSWERS + answer] += 1
    return answer


@kernel_function
def _answer(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float, operator: Int, accounts: Int, steps_left: int, choice: float,
    change: float, now: float,
) -> int:  # fmt: skip
    n = charter_ints[C_PARAMETERS]
    step = agenda[A_STEP] - 1
    if not (now == now and 0.0 <= choice <= float(n) and change == change):
        return INVALID_REQUEST
    p = chosen_parameter(charter_ints, choice)
    if p < 0 or charter_ints[C_OPERATOR_VOTES] < 0:
        return INVALID_REQUEST
    if step - operator[O_LAST_STEP] < charter_ints[C_COOLDOWN]:
        return COOLING_DOWN
    if steps_left < charter_ints[C_LONGEST_CYCLE] + 1:
        return TOO_LATE_TO_END
    if abs(change) > 1.0:
        return LARGER_THAN_ALLOWED
    low, high = charter_floats[p], charter_floats[n + p]
    wanted = values[p] + change * charter_floats[2 * n + p]
    wanted = min(max(wanted, low), high)
    parts = round((wanted - low) / (high - low) * VALUE_SCALE)
    if parts == round((values[p] - low) / (high - low) * VALUE_SCALE):
        return NO_CHANGE
    if step - agenda[A_HEADER + p] < charter_ints[C_HEADER + p]:
        return RESTING
    if live_slot(settings, proposals, votes, step, p) >= 0:
        return ALREADY_LIVE
    if live_of_operator(proposals) >= charter_ints[C_OWN_LIVE]:
        return OWN_LIVE
    bond = charter_ints[C_BOND_CENTS]
    if accounts[ACCOUNT_OPERATOR] < bond:
        return BOND_NOT_COVERED
    # Members' proposals of a step have the places below.
    identity = proposal_number(step, ARRIVALS_PER_STEP) + 1
    code, slot = propose_with(
        settings, proposals, votes, step, step, charter_ints[C_OPERATOR_VOTES], OPERATOR, identity,
        PAYLOAD_CALL, p, parts,
    )  # fmt: skip
    if code == INSUFFICIENT_PROPOSER_VOTES:
        return BELOW_THRESHOLD
    if code == NO_FREE_SLOT:
        return NO_ROOM
    if code == ONE_LIVE_PROPOSAL:
        return OWN_LIVE
    if code != DONE:
        return REFUSED
    transfer(accounts, ACCOUNT_OPERATOR, ACCOUNT_ESCROW, bond)
    proposals[slot, P_NOTE] = 1 + bond
    agenda[A_NEXT_STEP] = min(agenda[A_NEXT_STEP], proposals[slot, P_SNAPSHOT])
    operator[O_LAST_STEP] = step
    return PROPOSED
