"""Entry points through which the capture cases drive the governor, the votes and the books.

The cases are studies of one lane, played from Python; each entry does one thing by the functions
that environments use (`governor`, `votes`, `ballots`, `treasury`, `oracle`, `breaker`). Two rules
of the attacked DAOs are no OpenZeppelin rules and stand here, on top of them:

* **live votes**: a vote weighs what the account has now, not what it had at the snapshot;
* **emergency commit**: a large majority of the supply ends the vote at once.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_entry, kernel_function
from daogym.envs.core.layout import Float, Int

from . import breaker, governor, governor_state, oracle, rules, treasury, votes
from .ballots import OTHER_CONTENT, draw_ballots, pop_ballots
from .counting import ABSTAIN, AGAINST, FOR, support_reached_early
from .governor_layout import (
    ACTIVE,
    G_STATIC_SUPPLY,
    MAX_VOTERS,
    P_ABSTAIN,
    P_DURATION,
    P_EXTENDED,
    P_FOR,
    P_SNAPSHOT,
    P_VOTED,
    PAYLOAD_CALL,
)
from .results import (
    ALREADY_VOTED,
    DONE,
    NO_VOTING_POWER,
    SNAPSHOT_FORGOTTEN,
    UNEXPECTED_STATE,
    UNKNOWN_ACCOUNT,
)

PROPOSE, VOTE, QUEUE, EXECUTE, CANCEL, STATE, NEEDED, EMERGENCY = range(8)
MINT, BURN, TRANSFER, DELEGATE, CURRENT, PAST, SUPPLY = range(7)
SNAPSHOT_VOTES, LIVE_VOTES = 0, 1
ORACLE_NOISE_STREAM, ORACLE_MISS_STREAM = 1101, 1102


@kernel_entry()
def governor_act(
    what: int, settings: Int, proposals: Int, tokens: Int, step: int, time_s: int, slot: int,
    account: int, value: int, more: int, last: int,
) -> int:  # fmt: skip
    """One act on the governor; a code of `results`, or the number that was asked for.

    `PROPOSE` (account, identity = value, target = more, value = last) answers the slot or minus the
    code. `VOTE` (account, support = value, `LIVE_VOTES` or `SNAPSHOT_VOTES` = more, cool-down in
    steps = last). `EXECUTE`: value is 1 where the call succeeds. `EMERGENCY`: value is the share of
    the supply (ppm), more which supply counts.
    """
    if what == PROPOSE:
        code, made = governor.propose(
            settings, proposals, tokens, step, time_s, account, value, PAYLOAD_CALL, more, last
        )
        return made if code == DONE else -code
    if what == VOTE:
        return cast_votes(settings, proposals, tokens, step, slot, account, value, more, last)
    if what == QUEUE:
        return governor.queue(settings, proposals, tokens, step, time_s, slot)
    if what == EXECUTE:
        return governor.execute(settings, proposals, tokens, step, time_s, slot, value == 1)
    if what == CANCEL:
        return governor.cancel(settings, proposals, tokens, step, time_s, slot, account)
    if what == STATE:
        return governor_state.state_of(settings, proposals, tokens, step, time_s, slot)
    if what == NEEDED:
        return governor_state.needed_votes(settings, proposals, tokens, step, slot)
    return emergency_commit(settings, proposals, tokens, step, slot, value, more)


@kernel_entry()
def begin_lane(settings: Int, proposals: Int, tokens: Int, values: Int, step: int) -> None:
    """Start a governor with the settings `values` and accounts without tokens."""
    votes.begin_votes(tokens)
    governor.begin_governor(settings, proposals, values, step)


@kernel_function
def vote_weight(
    proposals: Int, tokens: Int, step: int, slot: int, account: int, source: int, cooldown: int
) -> int:  # fmt: skip
    """Votes that an account can cast on a proposal whose snapshot is past; < 0: not known.

    With a cool-down that is the less of what it had at the snapshot and that many steps before.
    """
    if source == LIVE_VOTES:
        return votes.current_votes(tokens, account)
    snapshot = proposals[slot, P_SNAPSHOT]
    weight = votes.past_votes(tokens, account, snapshot, step)
    if cooldown == 0:
        return weight
    return min(weight, votes.past_votes(tokens, account, snapshot - cooldown, step))


@kernel_function
def cast_votes(
    settings: Int, proposals: Int, tokens: Int, step: int, slot: int, account: int, support: int,
    source: int, cooldown: int,
) -> int:  # fmt: skip
    """The governor's vote; live votes and votes with a cool-down differ in the weight alone."""
    if source == SNAPSHOT_VOTES and cooldown == 0:
        return governor.vote(settings, proposals, tokens, step, slot, account, support)
    if not votes.is_account(tokens, account) or account >= MAX_VOTERS:
        return UNKNOWN_ACCOUNT
    if (proposals[slot, P_VOTED] >> account) & 1 == 1:
        return ALREADY_VOTED
    weight = vote_weight(proposals, tokens, step, slot, account, source, cooldown)
    if weight < 0:
        return SNAPSHOT_FORGOTTEN
    code = governor.count_weight(settings, proposals, tokens, step, slot, support, weight)
    if code == DONE:
        proposals[slot, P_VOTED] |= 1 << account
    return code


@kernel_function
def emergency_commit(
    settings: Int, proposals: Int, tokens: Int, step: int, slot: int, share_ppm: int, source: int
) -> int:  # fmt: skip
    """End an active vote now if more than a share of the supply is For (`support_reached_early`).

    The vote's duration is cut to the step before; everything after goes the governor's own way.
    """
    if governor_state.ballot_state(settings, proposals, tokens, step, slot) != ACTIVE:
        return UNEXPECTED_STATE
    snapshot = proposals[slot, P_SNAPSHOT]
    supply = votes.total_supply(tokens)
    if source == SNAPSHOT_VOTES:
        supply = votes.past_supply(tokens, snapshot, step)
    supply += settings[G_STATIC_SUPPLY]
    in_favour, abstain = proposals[slot, P_FOR], proposals[slot, P_ABSTAIN]
    if snapshot >= step - 1 or not support_reached_early(in_favour, abstain, supply, share_ppm):
        return NO_VOTING_POWER
    proposals[slot, P_DURATION] = step - 1 - snapshot
    proposals[slot, P_EXTENDED] = min(proposals[slot, P_EXTENDED], step - 1)
    return DONE


@kernel_entry()
def token_act(
    what: int, tokens: Int, proposals: Int, step: int, account: int, other: int, amount: int
) -> int:  # fmt: skip
    """One act on the votes: a code of `results`, or the votes or supply that were asked for."""
    pins = proposals[:, P_SNAPSHOT]
    if what == MINT:
        return votes.mint(tokens, account, amount, step, pins)
    if what == BURN:
        return votes.burn(tokens, account, amount, step, pins)
    if what == TRANSFER:
        return votes.transfer(tokens, account, other, amount, step, pins)
    if what == DELEGATE:
        return votes.delegate(tokens, account, other, step, pins)
    if what == CURRENT:
        return votes.current_votes(tokens, account)
    if what == PAST:
        return votes.past_votes(tokens, account, amount, step)
    return votes.total_supply(tokens)


@kernel_entry()
def draw_members(
    key: Any, number: int, start: int, period: int, appeal: float, ints: Int, floats: Float,
    clock: Int, events: Int, slot: int,
) -> int:  # fmt: skip
    """Ballots of the electorate on a proposal that changes no parameter of theirs."""
    return draw_ballots(key, number, start, period, OTHER_CONTENT, 0.0, 0.0, appeal, ints, floats,
                        clock, events, slot)  # fmt: skip


@kernel_entry()
def count_members(
    settings: Int, proposals: Int, tokens: Int, step: int, slot: int, clock: Int, events: Int,
    row: int, due: Int,
) -> int:  # fmt: skip
    """Count the ballots of row `row` that are due; `due` (3,) receives them. The last refusal."""
    return count_due(settings, proposals, tokens, step, slot, clock, events, row, due)


@kernel_function
def count_due(
    settings: Int, proposals: Int, tokens: Int, step: int, slot: int, clock: Int, events: Int,
    row: int, due: Int,
) -> int:  # fmt: skip
    """`count_members`, for compiled code."""
    due[:] = 0
    if pop_ballots(clock, events, row, step, due) == 0:
        return DONE
    code = DONE
    for support in (AGAINST, FOR, ABSTAIN):
        if due[support] > 0:
            counted = governor.count_weight(
                settings, proposals, tokens, step, slot, support, due[support]
            )
            code = counted if counted != DONE else code
    return code


@kernel_entry()
def move_cents(accounts: Int, source: int, target: int, cents: int) -> int:
    """`treasury.transfer`."""
    return treasury.transfer(accounts, source, target, cents)


@kernel_entry()
def open_account(accounts: Int, totals: Int, purpose: int, target: int, cents: int) -> int:
    """`treasury.mint`."""
    return treasury.mint(accounts, totals, purpose, target, cents)


@kernel_entry()
def balanced(accounts: Int, totals: Int) -> bool:
    """`treasury.books_balance`."""
    return treasury.books_balance(accounts, totals)


@kernel_entry()
def report_price(
    record: Float, settings: Float, reports: Float, key: Any, step: int, truth: float, pumped: float
) -> int:  # fmt: skip
    """`oracle.oracle_round`: honest reporters see `truth`, the faulty ones the pumped market."""
    return oracle.oracle_round(record, settings, reports, key, ORACLE_NOISE_STREAM,
                               ORACLE_MISS_STREAM, step, 0, truth, pumped)  # fmt: skip


@kernel_entry()
def price_is_fresh(now: float, updated_at: float, heartbeat: float) -> bool:
    """`rules.stale_check`."""
    return rules.stale_check(now, updated_at, heartbeat) == DONE


@kernel_entry()
def begin_outflows(record: Int, now: int, cents: int, retained_bps: int, pause_steps: int) -> None:
    """`breaker.begin_breaker` with ticks of one step."""
    breaker.begin_breaker(record, now, cents, retained_bps, 0, 1, pause_steps)


@kernel_entry()
def outflow(record: Int, now: int, cents: int) -> int:
    """`breaker.flow_out`, cut to what is permitted."""
    allowed, _ = breaker.flow_out(record, now, cents, rules.CLIP)
    return allowed
