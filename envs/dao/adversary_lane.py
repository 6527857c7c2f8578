"""The adversary inside a domain's lane (mode `attacked`): the game's moves, on the domain's DAO.

Called from compiled code, by `lane.py`. The adversary acts, trades and waits by the functions of
its own game (`adversary_acts`, `adversary_moves`, `adversary_kernel.play_on`), a decision in each
step. Governor, proposals, members and treasury are the lane's: its proposal stands in a slot beside
theirs, with a target beyond the governed parameters. Executed, it takes its share of the treasury
at once, and the governor puts the captured values in force in the same step, as it does where an
attack is a story (`governance_events.strike`).

The adversary acts before the members' part of a step, on what was observed after the last one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_int64

from . import adversary_layout as at
from .adversary_acts import act, held
from .adversary_kernel import play_on
from .adversary_means import N_HOLDINGS, N_OPENING
from .adversary_observation import observe
from .adversary_world import (
    World,
    begin_scalars,
    deal_money,
    deal_tokens,
    lost_cents,
    sell_all,
    wealth,
)
from .capture_lane import ACCOUNTS, CASH_TREASURY
from .governance import ALL_CHANGED
from .governance_columns import (
    A_ATTACK_AT,
    A_HEADER,
    A_LOSS_CENTS,
    A_NEXT_STEP,
    A_STEP,
    C_PARAMETERS,
    SLOTS,
)
from .governance_events import captured_value, is_captured_by_an_attack
from .governance_money import ACCOUNT_TREASURY
from .governor_layout import P_SNAPSHOT, PROPOSAL_WIDTH, settings_width
from .lane_layout import (
    BOOKS,
    D_ACCOUNTS,
    D_ADVERSARY,
    D_AGENDA,
    D_BOOKS,
    D_GOVERNOR,
    D_PROPOSALS,
    D_VOTES,
    row,
)
from .proposal_view import enter_proposal

ACT_NUMBERS = len(at.ACTIONS)
"""Numbers of an action that are the adversary's."""
ATTACK_COLUMNS = 33
"""Numbers that it observes beside the live proposals."""
_SETTINGS = settings_width(SLOTS)
_CENTS = 100.0

assert ACCOUNT_TREASURY == CASH_TREASURY, "one set of books"


@kernel_function
def adversary_world(
    lane: int, numbers: Int, appeal: Float, ints: Int, floats: Float, place: int, pi: Int, si: Int
) -> World:  # fmt: skip
    """A lane as the game's functions see it.

    Args:
        numbers, appeal, ints, floats: `Attack.vectors`.
        place: of the part "governed" among the offsets in `pi`.
    """
    proposals = row(lane, pi, si, place + D_PROPOSALS, SLOTS * PROPOSAL_WIDTH)
    width, voters = numbers[at.I_TOKENS_WIDTH], numbers[at.I_VOTERS]
    tokens = row(lane, pi, si, place + D_VOTES, (ACCOUNTS + 1) * width)
    clock, events = numbers[at.I_AT_CLOCK], numbers[at.I_AT_EVENTS]
    sold, members = numbers[at.I_AT_SOLD], voters // at.MEMBER_BITS + 1
    own = row(lane, pi, si, place + D_ADVERSARY, sold + members)
    return World(
        own,
        row(lane, pi, si, place + D_GOVERNOR, _SETTINGS),
        proposals.reshape((SLOTS, PROPOSAL_WIDTH)),
        tokens.reshape((ACCOUNTS + 1, width)),
        row(lane, pi, si, place + D_ACCOUNTS, at.GAME_ACCOUNTS),
        row(lane, pi, si, place + D_BOOKS, BOOKS[0] * BOOKS[1]).reshape(BOOKS),
        own[clock:events].reshape(at.BALLOT_SHAPE),
        own[events:sold].reshape((at.BALLOT_SHAPE[1], voters + 1)),
        own[sold : sold + members],
        numbers, appeal[0], ints, floats,
    )  # fmt: skip


@kernel_function
def deal_adversary_tokens(numbers: Int, votes: Int, proposals: Int) -> None:
    """Tokens of pool, traders and exchange, out of the silent supply, before the first step."""
    deal_tokens(votes, proposals[:, P_SNAPSHOT], numbers[N_HOLDINGS:N_OPENING])


@kernel_function
def begin_adversary(
    lane: int, numbers: Int, appeal: Float, ints: Int, floats: Float, place: int, pi: Int, si: Int,
    key: Any, steps_left: int,
) -> None:  # fmt: skip
    """The start of an episode, after the books were opened with the treasury's money.

    Args:
        key: the episode's.
        steps_left: of the episode.
    """
    w = adversary_world(lane, numbers, appeal, ints, floats, place, pi, si)
    w.now[: at.S_GAIN] = 0
    w.now[at.S_EPISODE_KEY] = as_int64(key)
    step = si[lane, pi[place + D_AGENDA] + A_STEP] - 1
    w.now[at.S_STEP], w.now[at.S_TIME_S], w.now[at.S_END] = step, step, step + steps_left
    begin_scalars(w)
    deal_money(w, numbers[N_OPENING:], CASH_TREASURY + 1)


@kernel_function
def adversary_acts(
    lane: int, numbers: Int, appeal: Float, ints: Int, floats: Float, place: int, pi: Int, si: Int,
    action: Float, steps_left: int,
) -> int:  # fmt: skip
    """One decision and the step that follows it; in the last step it sells what is left.

    Args:
        action: (ACT_NUMBERS,) normalised; numbers near 0 do nothing.
        steps_left: of the episode, without this step.

    Returns:
        `ALL_CHANGED` where it has or had a live proposal, else 0.
    """
    w = adversary_world(lane, numbers, appeal, ints, floats, place, pi, si)
    agenda = row(lane, pi, si, place + D_AGENDA, A_HEADER)
    now = w.now
    if now[at.S_DONE] == 1:  # an episode that goes on from the one before
        now[at.S_DONE], now[at.S_GAINED] = 0, 0
    now[at.S_END] = now[at.S_STEP] + steps_left + 1
    had, live = wealth(w), now[at.S_SLOT] >= 0
    captured = now[at.S_CAPTURED_FROM] >= 0
    wanted = np.empty(ACT_NUMBERS)
    held(action, wanted)
    act(w, wanted)
    play_on(w, wanted[at.A_TRADE])
    if steps_left <= 0:
        sell_all(w)
        now[at.S_DONE] = 1
    now[at.S_GAIN] = wealth(w) - had
    now[at.S_GAINED] += now[at.S_GAIN]
    now[at.S_EPISODE_GAIN] = now[at.S_GAINED]
    agenda[A_LOSS_CENTS] = lost_cents(w, numbers[N_OPENING + CASH_TREASURY])
    if now[at.S_CAPTURED_FROM] >= 0 and not captured:
        agenda[A_ATTACK_AT] = agenda[A_STEP]
        agenda[A_NEXT_STEP] = min(agenda[A_NEXT_STEP], agenda[A_STEP])
    return ALL_CHANGED if live or now[at.S_SLOT] >= 0 else 0


@kernel_function
def look_at_attack(
    lane: int, charter_ints: Int, charter_floats: Float, place: int, pi: Int, si: Int,
    settings: Int, proposals: Int, votes: Int, agenda: Int, values: Float, view: Float,
) -> None:  # fmt: skip
    """Enter the adversary's live proposal at each parameter that it would take."""
    slot = si[lane, pi[place + D_ADVERSARY] + at.S_SLOT]
    if slot < 0:
        return
    for p in range(charter_ints[C_PARAMETERS]):
        if is_captured_by_an_attack(charter_ints, p):
            value = captured_value(charter_ints, charter_floats, values[p], p)
            enter_proposal(settings, proposals, votes, agenda, view, slot, p, value)


@kernel_function
def sight_of_adversary(
    lane: int, numbers: Int, appeal: Float, ints: Int, floats: Float, place: int, pi: Int, si: Int,
    low: Float, scale: Float, target: Any,
) -> None:  # fmt: skip
    """What it observes (`adversary_means.attack_fields`), normalised into `target`.

    Args:
        low, scale: (ATTACK_COLUMNS,) lower ends and 2 / ranges of its fields.
    """
    w = adversary_world(lane, numbers, appeal, ints, floats, place, pi, si)
    observe(w, numbers[N_OPENING:], numbers[N_HOLDINGS:N_OPENING], low, scale, target)


@kernel_function
def write_attack_counts(lane: int, place: int, pi: Int, si: Int, out: Float) -> None:
    """Counts of the episode so far, as `ATTACK_NAMES` says."""
    now = row(lane, pi, si, place + D_ADVERSARY, len(at.SCALARS))
    out[0] = now[at.S_EPISODE_GAIN] / _CENTS
    out[1] = now[at.S_LOOT] / _CENTS
    out[2] = 1.0 if now[at.S_CAPTURED_FROM] >= 0 else 0.0
    out[3] = now[at.S_MADE]
    out[4] = now[at.S_VETOES]
    out[5] = now[at.S_REFUSED]
