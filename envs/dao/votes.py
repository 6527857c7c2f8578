"""Tokens that vote: OpenZeppelin's ``ERC20Votes`` (v5.7) for the accounts of one lane, in integers.

``votes`` is an int64 array (accounts + 1, `votes_width`): one row an account, the last row the
supply. Columns are the balance, the delegate (an account or `NOBODY`) and the trace
(`checkpoints`) of the account's votes; the last row's balance and trace are the supply's.

Tokens that were not delegated count in the supply and vote for nobody. Delegating, transferring,
minting and burning write checkpoints with the current step, so a change inside the snapshot's step
counts. Sources: ``governance/utils/Votes.sol``, ``token/ERC20/extensions/ERC20Votes.sol``
and EIP-5805.

Every function that writes takes the current ``step`` (never less than in the call before) and
``pins``, the steps whose look-ups must stay known: the snapshot column of the governor's proposals.
Amounts are base units; the supply stays at or below `MAX_VOTES`, so no sum of votes overflows.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .checkpoints import begin_trace, latest_value, make_room, trace_width, value_at, write_value
from .results import (
    DONE,
    INSUFFICIENT_BALANCE,
    INVALID_AMOUNT,
    INVALID_RECEIVER,
    NO_CHECKPOINT_ROOM,
    SUPPLY_EXCEEDED,
    UNKNOWN_ACCOUNT,
)

MAX_VOTES = 2**60
"""Largest supply; three tallies of it still fit an int64."""

NOBODY = -1
"""Delegate of an account that has not delegated."""

NOT_PAST = -2
"""Answer of a look-up at the current step or later (``ERC5805FutureLookup``)."""

V_BALANCE, V_DELEGATE, V_TRACE = 0, 1, 2


def votes_width(pins: int) -> int:
    """Columns of a votes array while at most `pins` snapshots must stay known."""
    return V_TRACE + trace_width(pins)


@kernel_function
def begin_votes(votes: Int) -> None:
    """No tokens, no delegates, no history."""
    for row in range(votes.shape[0]):
        votes[row, V_BALANCE] = 0
        votes[row, V_DELEGATE] = NOBODY
        begin_trace(votes[row, V_TRACE:])


@kernel_function
def is_account(votes: Int, account: int) -> bool:
    """Whether there is such an account."""
    return bool(0 <= account < votes.shape[0] - 1)


@kernel_function
def current_votes(votes: Int, account: int) -> int:
    """Votes delegated to an account now."""
    return latest_value(votes[account, V_TRACE:])


@kernel_function
def total_supply(votes: Int) -> int:
    """Tokens of all accounts now."""
    supply: int = votes[votes.shape[0] - 1, V_BALANCE]
    return supply


@kernel_function
def past_votes(votes: Int, account: int, timepoint: int, step: int) -> int:
    """Votes of an account at the end of step `timepoint`.

    `NOT_PAST` unless timepoint < step; `checkpoints.FORGOTTEN` where no pin kept it known.
    """
    return value_at(votes[account, V_TRACE:], timepoint) if timepoint < step else NOT_PAST


@kernel_function
def past_supply(votes: Int, timepoint: int, step: int) -> int:
    """Tokens of all accounts at the end of step `timepoint`; refusals as in `past_votes`."""
    return past_votes(votes, votes.shape[0] - 1, timepoint, step)


@kernel_function
def mint(votes: Int, account: int, amount: int, step: int, pins: Int) -> int:
    """New tokens for an account."""
    if not is_account(votes, account):
        return INVALID_RECEIVER
    if amount < 0:
        return INVALID_AMOUNT
    if amount > MAX_VOTES - total_supply(votes):
        return SUPPLY_EXCEEDED
    delegate_of = votes[account, V_DELEGATE]
    if not _can_change_supply(votes, delegate_of, step, pins):
        return NO_CHECKPOINT_ROOM
    votes[account, V_BALANCE] += amount
    _change_supply(votes, amount, step)
    _move_votes(votes, NOBODY, delegate_of, amount, step)
    return DONE


@kernel_function
def burn(votes: Int, account: int, amount: int, step: int, pins: Int) -> int:
    """Destroy tokens of an account."""
    if not is_account(votes, account):
        return UNKNOWN_ACCOUNT
    if amount < 0:
        return INVALID_AMOUNT
    if amount > votes[account, V_BALANCE]:
        return INSUFFICIENT_BALANCE
    delegate_of = votes[account, V_DELEGATE]
    if not _can_change_supply(votes, delegate_of, step, pins):
        return NO_CHECKPOINT_ROOM
    votes[account, V_BALANCE] -= amount
    _change_supply(votes, -amount, step)
    _move_votes(votes, delegate_of, NOBODY, amount, step)
    return DONE


@kernel_function
def transfer(votes: Int, sender: int, receiver: int, amount: int, step: int, pins: Int) -> int:
    """Move tokens; votes move from the sender's delegate to the receiver's."""
    if not is_account(votes, sender):
        return UNKNOWN_ACCOUNT
    if not is_account(votes, receiver):
        return INVALID_RECEIVER
    if amount < 0:
        return INVALID_AMOUNT
    if amount > votes[sender, V_BALANCE]:
        return INSUFFICIENT_BALANCE
    old, new = votes[sender, V_DELEGATE], votes[receiver, V_DELEGATE]
    if not _can_move_votes(votes, old, new, step, pins):
        return NO_CHECKPOINT_ROOM
    votes[sender, V_BALANCE] -= amount
    votes[receiver, V_BALANCE] += amount
    _move_votes(votes, old, new, amount, step)
    return DONE


@kernel_function
def delegate(votes: Int, account: int, delegatee: int, step: int, pins: Int) -> int:
    """Give all votes of an account's tokens, now and later, to `delegatee` (or to `NOBODY`)."""
    if not is_account(votes, account):
        return UNKNOWN_ACCOUNT
    if not is_account(votes, delegatee) and delegatee != NOBODY:
        return UNKNOWN_ACCOUNT
    old = votes[account, V_DELEGATE]
    if not _can_move_votes(votes, old, delegatee, step, pins):
        return NO_CHECKPOINT_ROOM
    votes[account, V_DELEGATE] = delegatee
    _move_votes(votes, old, delegatee, votes[account, V_BALANCE], step)
    return DONE


@kernel_function
def _can_write(votes: Int, row: int, step: int, pins: Int) -> bool:
    return row == NOBODY or make_room(votes[row, V_TRACE:], step, pins)


@kernel_function
def _can_move_votes(votes: Int, old: int, new: int, step: int, pins: Int) -> bool:
    return old == new or (_can_write(votes, old, step, pins) and _can_write(votes, new, step, pins))


@kernel_function
def _can_change_supply(votes: Int, delegate_of: int, step: int, pins: Int) -> bool:
    supply = votes.shape[0] - 1
    return _can_write(votes, supply, step, pins) and _can_write(votes, delegate_of, step, pins)


@kernel_function
def _add(votes: Int, row: int, amount: int, step: int) -> None:
    trace = votes[row, V_TRACE:]
    write_value(trace, step, latest_value(trace) + amount)


@kernel_function
def _change_supply(votes: Int, amount: int, step: int) -> None:
    supply = votes.shape[0] - 1
    votes[supply, V_BALANCE] += amount
    _add(votes, supply, amount, step)


@kernel_function
def _move_votes(votes: Int, old: int, new: int, amount: int, step: int) -> None:
    if old == new or amount == 0:
        return
    if old != NOBODY:
        _add(votes, old, -amount, step)
    if new != NOBODY:
        _add(votes, new, amount, step)
