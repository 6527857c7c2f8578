"""A guild whose members can leave with their share: Moloch v2's voting and rage quit, in integers.

After ``MolochVentures/moloch`` v2 (``Moloch.sol``). Time runs in periods. A sponsored proposal
starts one period after the later of now and the last one in the queue; members vote with their
present shares during the voting periods; it passes with yes > no; after the grace periods it is
processed, one after the other. Whoever does not like what has passed burns shares and takes
floor(balance k / total) of every asset, unless a proposal that they voted Yes on is unprocessed.

Int64 arrays of one lane: ``guild`` (`GUILD_WIDTH`), ``members`` (accounts, `MEMBER_WIDTH`),
``queue`` (slots, `MOTION_WIDTH`; proposal i stands in slot i modulo the slots), ``bank`` (assets,).

Left out: deposits, tributes, whitelisting, guild kicks and emergency processing. In the contract
nobody can leave before the first proposal is processed, since an index of 0 stands for "never voted
Yes"; here somebody who never voted Yes can always leave.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .counting import multiply_divide
from .results import (
    ALREADY_VOTED,
    DONE,
    INSUFFICIENT_BALANCE,
    INVALID_AMOUNT,
    INVALID_VOTE_TYPE,
    NO_FREE_SLOT,
    NO_VOTING_POWER,
    NONEXISTENT_PROPOSAL,
    NOT_READY,
    OUT_OF_ORDER,
    UNEXPECTED_STATE,
    UNKNOWN_ACCOUNT,
    YES_VOTE_UNPROCESSED,
)

U_PERIOD_S = 0  # seconds of a period; 17,280 (4.8 h) as deployed
U_VOTING_PERIODS = 1  # 35
U_GRACE_PERIODS = 2  # 35
U_DILUTION_BOUND = 3  # fails if shares and loot times this are below what they were; 3
U_SUMMONED_S = 4  # when period 0 began
U_SHARES = 5  # of all members
U_LOOT = 6  # of all members
U_QUEUED = 7  # proposals ever sponsored
U_PROCESSED = 8  # proposals ever processed
GUILD_WIDTH = 9

LARGEST_GUILD = 2**60
"""Most shares and loot together."""
MOST_MEMBERS = 63
"""Members that fit the bit mask of those who have voted."""

M_SHARES = 0  # vote and have a claim
M_LOOT = 1  # have a claim only
M_LAST_YES = 2  # latest proposal voted Yes on, -1 for none
MEMBER_WIDTH = 3

Q_STARTING_PERIOD = 0
Q_YES, Q_NO = 1, 2  # shares
Q_VOTED = 3  # bit mask over members
Q_LARGEST_AT_YES = 4  # most shares and loot that there were at a Yes vote
Q_PASSED = 5  # once processed
MOTION_WIDTH = 6

VOTE_YES, VOTE_NO = 1, 2

UNKNOWN, WAITING, VOTING, GRACE, READY, PASSED, FAILED = -1, 0, 1, 2, 3, 4, 5


@kernel_function
def begin_guild(
    guild: Int, members: Int, queue: Int, time_s: int, period_s: int, voting_periods: int,
    grace_periods: int, dilution_bound: int,
) -> None:  # fmt: skip
    """Summon a guild without members; period 0 begins now."""
    guild[:] = 0
    guild[U_PERIOD_S] = period_s
    guild[U_VOTING_PERIODS] = voting_periods
    guild[U_GRACE_PERIODS] = grace_periods
    guild[U_DILUTION_BOUND] = dilution_bound
    guild[U_SUMMONED_S] = time_s
    members[:] = 0
    members[:, M_LAST_YES] = -1
    queue[:] = 0


@kernel_function
def current_period(guild: Int, time_s: int) -> int:
    """Period that a second lies in."""
    period: int = (time_s - guild[U_SUMMONED_S]) // guild[U_PERIOD_S]
    return period


@kernel_function
def add_member(guild: Int, members: Int, member: int, shares: int, loot: int) -> int:
    """Give shares and loot, as the founders have at summoning or a passed proposal grants."""
    if member < 0 or member >= min(members.shape[0], MOST_MEMBERS):
        return UNKNOWN_ACCOUNT
    if shares < 0 or loot < 0 or shares + loot > LARGEST_GUILD - guild[U_SHARES] - guild[U_LOOT]:
        return INVALID_AMOUNT
    members[member, M_SHARES] += shares
    members[member, M_LOOT] += loot
    guild[U_SHARES] += shares
    guild[U_LOOT] += loot
    return DONE


@kernel_function
def sponsor(guild: Int, queue: Int, time_s: int) -> tuple[int, int]:
    """Put a proposal at the end of the queue; (code, its number)."""
    number: int = guild[U_QUEUED]
    if number - guild[U_PROCESSED] >= queue.shape[0]:
        return NO_FREE_SLOT, -1
    after = current_period(guild, time_s)
    if number > 0:
        after = max(after, queue[(number - 1) % queue.shape[0], Q_STARTING_PERIOD])
    motion = queue[number % queue.shape[0]]
    motion[:] = 0
    motion[Q_STARTING_PERIOD] = after + 1
    guild[U_QUEUED] = number + 1
    return DONE, number


@kernel_function
def motion_state(guild: Int, queue: Int, time_s: int, number: int) -> int:
    """Where a proposal stands; UNKNOWN where none has this number or its slot is another's now."""
    if number < max(0, guild[U_QUEUED] - queue.shape[0]) or number >= guild[U_QUEUED]:
        return UNKNOWN
    motion = queue[number % queue.shape[0]]
    if number < guild[U_PROCESSED]:
        return PASSED if motion[Q_PASSED] == 1 else FAILED
    age = current_period(guild, time_s) - motion[Q_STARTING_PERIOD]
    if age < 0:
        return WAITING
    if age < guild[U_VOTING_PERIODS]:
        return VOTING
    return GRACE if age < guild[U_VOTING_PERIODS] + guild[U_GRACE_PERIODS] else READY


@kernel_function
def cast(
    guild: Int, members: Int, queue: Int, time_s: int, number: int, member: int, choice: int
) -> int:  # fmt: skip
    """A member with shares votes, once."""
    if member < 0 or member >= members.shape[0]:
        return UNKNOWN_ACCOUNT
    if members[member, M_SHARES] == 0:
        return NO_VOTING_POWER
    state = motion_state(guild, queue, time_s, number)
    if state != VOTING:
        return NONEXISTENT_PROPOSAL if state == UNKNOWN else UNEXPECTED_STATE
    motion = queue[number % queue.shape[0]]
    if (motion[Q_VOTED] >> member) & 1 == 1:
        return ALREADY_VOTED
    if choice == VOTE_YES:
        motion[Q_YES] += members[member, M_SHARES]
        members[member, M_LAST_YES] = max(members[member, M_LAST_YES], number)
        motion[Q_LARGEST_AT_YES] = max(motion[Q_LARGEST_AT_YES], guild[U_SHARES] + guild[U_LOOT])
    elif choice == VOTE_NO:
        motion[Q_NO] += members[member, M_SHARES]
    else:
        return INVALID_VOTE_TYPE
    motion[Q_VOTED] |= 1 << member
    return DONE


@kernel_function
def process(guild: Int, queue: Int, time_s: int, number: int) -> int:
    """Close the next proposal in the queue; `motion_state` then says whether it passed."""
    state = motion_state(guild, queue, time_s, number)
    if state == UNKNOWN:
        return NONEXISTENT_PROPOSAL
    if state in (PASSED, FAILED):
        return UNEXPECTED_STATE
    if state != READY:
        return NOT_READY
    if number != guild[U_PROCESSED]:
        return OUT_OF_ORDER
    motion = queue[number % queue.shape[0]]
    claims = guild[U_SHARES] + guild[U_LOOT]
    # claims * bound < largest, without leaving int64
    diluted = claims < -(-motion[Q_LARGEST_AT_YES] // guild[U_DILUTION_BOUND])
    motion[Q_PASSED] = 1 if motion[Q_YES] > motion[Q_NO] and not diluted else 0
    guild[U_PROCESSED] = number + 1
    return DONE


@kernel_function
def ragequit(
    guild: Int, members: Int, bank: Int, member: int, shares: int, loot: int, paid: Int
) -> int:  # fmt: skip
    """Burn shares and loot for floor(balance k / total) of each asset, into `paid` (assets,)."""
    if member < 0 or member >= members.shape[0]:
        return UNKNOWN_ACCOUNT
    if shares < 0 or loot < 0:
        return INVALID_AMOUNT
    if shares > members[member, M_SHARES] or loot > members[member, M_LOOT]:
        return INSUFFICIENT_BALANCE
    if members[member, M_LAST_YES] >= guild[U_PROCESSED]:
        return YES_VOTE_UNPROCESSED
    total = guild[U_SHARES] + guild[U_LOOT]
    if total == 0:
        return NO_VOTING_POWER
    members[member, M_SHARES] -= shares
    members[member, M_LOOT] -= loot
    guild[U_SHARES] -= shares
    guild[U_LOOT] -= loot
    for asset in range(bank.size):
        paid[asset] = multiply_divide(bank[asset], shares + loot, total)
        bank[asset] -= paid[asset]
    return DONE
