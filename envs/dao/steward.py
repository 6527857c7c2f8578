"""The steward (mode `steward`): an office that changes governed parameters by itself.

Called from compiled code. After Aave's risk stewards (``RiskSteward``, ``_validateParamUpdate``):
no vote is held, but each parameter keeps to its bounds, moves by its largest change at most, and
rests for its least interval after a change. A change is announced first and waits out the timelock,
so that whoever operates under it can prepare; the guardian may stop it until then. What is asked
for in vain is ignored and counted, and costs nothing.

An announced change stands among the governor's proposals as one that is queued: carried by the
steward's own vote, the only one, against a quorum of none. So it is executed, vetoed, observed and
written into ledgers like any other.

Call `steward_changes` after `advance_governance` (or `quiet_step`) in the same step.
"""

from __future__ import annotations

from collections.abc import Sequence

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.fields import Field
from daogym.envs.core.layout import Float, Int

from .charter import GovernedParameter
from .governance import live_slot
from .governance_columns import (
    A_HEADER,
    A_NEXT_STEP,
    A_STEP,
    C_HEADER,
    C_INTERVAL_BLOCK,
    C_LONGEST_CYCLE,
    C_PARAMETERS,
    STEWARD,
    VALUE_SCALE,
)
from .governor import propose_with
from .governor_layout import (
    G_LAST_ID,
    G_MIN_DELAY_S,
    P_DURATION,
    P_ETA_S,
    P_FOR,
    P_NEEDED,
    P_NOTE,
    P_SNAPSHOT,
    PAYLOAD_CALL,
)
from .operator_proposals import (
    ALREADY_LIVE,
    ANSWERS,
    INVALID_REQUEST,
    NO_CHANGE,
    NO_ROOM,
    O_ANSWERS,
    PROPOSED,
    RESTING,
    TOO_LATE_TO_END,
)
from .results import DONE

CHANGES_ABOVE = 0.25
"""A change is asked for where the action is further from 0 than this, so that a policy that knows
nothing leaves most parameters as they are."""

STEWARD_ACTION = "steward_change"
"""Name of the steward's part of an action."""
STEWARD_NAMES = ("steward_announced", "steward_ignored")
"""Events of an episode's end under a steward: changes announced, and asked for in vain."""


@kernel_function
def steward_changes(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float, answers: Int, steps_left: int, shares: Float,
) -> int:  # fmt: skip
    """Announce what the steward asks for in this step; how many changes that are.

    Args:
        values: (parameters,) in force.
        answers: (OPERATOR_WIDTH,) of the lane; each answer is counted as to an operator's request,
            `PROPOSED` standing for an announced change.
        steps_left: steps of the episode after this one; the timelock must fit.
        shares: (parameters,) wanted changes / largest changes, those beyond [-1, 1] held there.
    """
    announced = 0
    for p in range(charter_ints[C_PARAMETERS]):
        if not abs(shares[p]) > CHANGES_ABOVE:
            continue
        share = min(max(shares[p], -1.0), 1.0)
        answer = _answer(
            charter_ints, charter_floats, settings, proposals, votes, agenda, values, steps_left,
            p, share,
        )  # fmt: skip
        answers[O_ANSWERS + answer] += 1
        if answer == PROPOSED:
            announced += 1
    return announced


@kernel_function
def _answer(
    charter_ints: Int, charter_floats: Float, settings: Int, proposals: Int, votes: Int,
    agenda: Int, values: Float, steps_left: int, p: int, share: float,
) -> int:  # fmt: skip
    step = agenda[A_STEP] - 1
    interval = charter_ints[C_HEADER + C_INTERVAL_BLOCK * charter_ints[C_PARAMETERS] + p]
    if interval == 0:
        return INVALID_REQUEST
    if steps_left < charter_ints[C_LONGEST_CYCLE] + 1:
        return TOO_LATE_TO_END
    if step - agenda[A_HEADER + p] < interval:
        return RESTING
    if live_slot(settings, proposals, votes, step, p) >= 0:
        return ALREADY_LIVE
    parts = changed_parts(charter_ints, charter_floats, values[p], p, share)
    if parts < 0:
        return NO_CHANGE
    code, slot = propose_with(
        settings, proposals, votes, step, step, 0, STEWARD, settings[G_LAST_ID] + 1, PAYLOAD_CALL,
        p, parts,
    )  # fmt: skip
    if code != DONE:
        return NO_ROOM
    proposals[slot, P_SNAPSHOT] = step - 1
    proposals[slot, P_DURATION] = 0
    proposals[slot, P_NEEDED] = 0
    proposals[slot, P_FOR] = 1
    proposals[slot, P_ETA_S] = step + settings[G_MIN_DELAY_S]
    proposals[slot, P_NOTE] = 1
    # The governor looks at it in its next step, and finds out when guardian or timelock act.
    agenda[A_NEXT_STEP] = min(agenda[A_NEXT_STEP], step + 1)
    return PROPOSED


@kernel_function
def changed_parts(
    charter_ints: Int, charter_floats: Float, value: float, p: int, share: float
) -> int:  # fmt: skip
    """The changed value in `VALUE_SCALE` parts of the range, -1 where it stays what it is.

    The nearest part, as votes have it, so a change is at most half a part larger than allowed.
    """
    n = charter_ints[C_PARAMETERS]
    low, high, reach = charter_floats[p], charter_floats[n + p], charter_floats[2 * n + p]
    wanted = min(max(value + share * reach, low), high)
    parts = round((wanted - low) / (high - low) * VALUE_SCALE)
    if low + parts / VALUE_SCALE * (high - low) > high:  # by the rounding of the sum
        parts -= 1
    return -1 if parts == round((value - low) / (high - low) * VALUE_SCALE) else int(parts)


@kernel_function
def write_rests(charter_ints: Int, agenda: Int, physical: Float) -> None:
    """Share of each parameter's least interval for which it may not be changed yet; 0: at once."""
    n = charter_ints[C_PARAMETERS]
    for p in range(n):
        interval = charter_ints[C_HEADER + C_INTERVAL_BLOCK * n + p]
        left = agenda[A_HEADER + p] + interval - agenda[A_STEP]
        physical[p] = min(max(left / interval, 0.0), 1.0) if interval > 0 else 0.0


@kernel_function
def write_steward_counts(answers: Int, out: Float) -> None:
    """Counts of the episode so far, as `STEWARD_NAMES` says."""
    out[0] = answers[O_ANSWERS + PROPOSED]
    out[1] = 0.0
    for answer in range(len(ANSWERS)):
        if answer != PROPOSED:
            out[1] += answers[O_ANSWERS + answer]


def steward_fields(governed: Sequence[GovernedParameter]) -> list[Field]:
    """What is observed beside the announced changes, in the order of `write_rests`."""
    return [
        Field("steward_rest", "1", 0.0, 1.0, (len(governed),),
              "share of each parameter's least interval for which it may not be changed yet"),
    ]  # fmt: skip


def steward_action_fields(governed: Sequence[GovernedParameter]) -> list[Field]:
    """Action of a steward: how far each parameter that can be changed is to move.

    Raises:
        ValueError: no parameter can be changed.
    """
    names = [p.name for p in governed if p.largest_change > 0.0]
    if not names:
        raise ValueError("governed: no parameter has a largest_change, so nothing can be changed")
    return [
        Field(STEWARD_ACTION, "1", -1.0, 1.0, (len(names),),
              f"share of the largest change, announced now where further from 0 than "
              f"{CHANGES_ABOVE}: {', '.join(names)}"),
    ]  # fmt: skip
