"""Stakes: bonded money that answers for an actor's duties, and is slashed where they are missed.

Cosmos SDK x/slashing, ``HandleValidatorSignature`` and ``HandleEquivocationEvidence``: an actor who
misses more than `most_missed` of the last `window` duties, or hands in an invalid proof, loses a
share of the stake (truncated to whole cents) and is jailed; duties are not counted in jail, and
the count begins anew afterwards. Unlike there, a window counts from its first duty on, the jail
opens by itself, and an invalid proof does not jail for ever unless its jail time says so.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .integers import multiply_divide, sum_fits
from .results import (
    DONE,
    DOWNTIME,
    INVALID,
    INVALID_PROOF,
    JAILED,
    NOT_OPEN,
    OVERDRAFT,
    OVERFLOW,
    TOO_EARLY,
)
from .rules import COST
from .treasury import transfer

DUTY_JAILED_UNTIL = 0
"""First step at which the actor is free."""
DUTY_MISSED = 1
"""Duties missed within the window."""
DUTY_NEXT = 2
"""Place of the next duty in the window."""
DUTY_SLASHED = 3
"""Cents slashed so far."""
DUTY_WINDOW = 4
"""First word of the window: one bit a duty, 1 missed, `BITS` in a word."""
BITS = 32

STAKING_WINDOW = 0
"""Duties in the window."""
STAKING_MOST_MISSED = 1
"""Missed duties in the window that go unpunished."""
STAKING_DOWNTIME_PPM, STAKING_DOWNTIME_JAIL_STEPS = 2, 3
"""Share of the stake lost for missed duties (parts per million), and steps in jail."""
STAKING_INVALID_PPM, STAKING_INVALID_JAIL_STEPS = 4, 5
"""The same for an invalid proof."""
STAKING_LEAST_CENTS = 6
"""Stake below which an actor has no capacity."""
STAKING_WIDTH = 7

UNBOND_CENTS = 0
"""Cents asked back; they stay bonded, and may be slashed, until they are due."""
UNBOND_DUE = 1
"""Step from which they are paid."""
UNBOND_WIDTH = 2


def duty_width(window: int) -> int:
    """Width of an actor's record for a window of so many duties."""
    if window < 1:
        raise ValueError(f"a window needs at least 1 duty, got {window}")
    return DUTY_WINDOW + (window + BITS - 1) // BITS


@kernel_function
def bond(accounts: Int, owner: int, bonded: int, cents: int) -> int:
    """Bond cents: from the owner's account to the account of the stake; a result code."""
    return transfer(accounts, owner, bonded, cents)


@kernel_function
def ask_back(
    record: Int, accounts: Int, bonded: int, now: int, cents: int, unbonding_steps: int
) -> int:
    """Ask for bonded cents back; due after `unbonding_steps`. Asking again restarts the time."""
    if cents <= 0 or unbonding_steps < 0 or not 0 <= bonded < len(accounts):
        return INVALID
    if not sum_fits(record[UNBOND_CENTS], cents):
        return OVERFLOW
    if record[UNBOND_CENTS] + cents > accounts[bonded]:
        return OVERDRAFT
    record[UNBOND_CENTS] += cents
    record[UNBOND_DUE] = now + unbonding_steps
    return DONE


@kernel_function
def unbond(record: Int, accounts: Int, bonded: int, owner: int, now: int) -> tuple[int, int]:
    """Pay back what is due and was not slashed meanwhile: (cents paid, code)."""
    if record[UNBOND_CENTS] == 0:
        return 0, NOT_OPEN
    if now < record[UNBOND_DUE]:
        return 0, TOO_EARLY
    if not 0 <= bonded < len(accounts):
        return 0, INVALID
    cents = min(record[UNBOND_CENTS], accounts[bonded])
    code = transfer(accounts, bonded, owner, cents)
    if code != DONE:
        return 0, code
    record[UNBOND_CENTS] = 0
    return cents, DONE


@kernel_function
def slash(accounts: Int, bonded: int, slashed_to: int, share_ppm: int) -> tuple[int, int]:
    """Move floor(stake x share) from a stake to a named account: (cents slashed, code)."""
    if not 0 <= share_ppm <= 1_000_000 or not 0 <= bonded < len(accounts):
        return 0, INVALID
    cents = multiply_divide(accounts[bonded], share_ppm, 1_000_000)[0]
    code = transfer(accounts, bonded, slashed_to, cents)
    return cents if code == DONE else 0, code


@kernel_function
def _forget_window(record: Int) -> None:
    record[DUTY_MISSED] = 0
    record[DUTY_NEXT] = 0
    record[DUTY_WINDOW:] = 0


@kernel_function
def _punish(
    record: Int, accounts: Int, bonded: int, slashed_to: int, now: int, share_ppm: int,
    jail_steps: int, effect: int,
) -> int:  # fmt: skip
    _forget_window(record)
    if effect == COST:
        return 0
    cents = slash(accounts, bonded, slashed_to, share_ppm)[0]
    record[DUTY_SLASHED] += cents
    record[DUTY_JAILED_UNTIL] = now + jail_steps
    return cents


@kernel_function
def settle_duty(
    record: Int, settings: Int, accounts: Int, bonded: int, slashed_to: int, now: int,
    missed: bool, invalid: bool, effect: int,
) -> tuple[int, int]:  # fmt: skip
    """Settle one duty of an actor (duty_width(window),): (cents slashed, code).

    `DOWNTIME` or `INVALID_PROOF` where that broke the rule: the stake loses its share, the actor is
    jailed and the window begins anew. `JAILED`: not counted. COST only reports. REVERT and CLIP are
    the same here.
    """
    if now < record[DUTY_JAILED_UNTIL]:
        return 0, JAILED
    if invalid:
        return _punish(
            record, accounts, bonded, slashed_to, now, settings[STAKING_INVALID_PPM],
            settings[STAKING_INVALID_JAIL_STEPS], effect,
        ), INVALID_PROOF  # fmt: skip
    place = record[DUTY_NEXT]
    word = DUTY_WINDOW + place // BITS
    bit = 1 << (place % BITS)
    was_missed = (record[word] & bit) != 0
    if missed and not was_missed:
        record[word] |= bit
        record[DUTY_MISSED] += 1
    elif was_missed and not missed:
        record[word] &= ~bit
        record[DUTY_MISSED] -= 1
    record[DUTY_NEXT] = (place + 1) % settings[STAKING_WINDOW]
    if record[DUTY_MISSED] <= settings[STAKING_MOST_MISSED]:
        return 0, DONE
    return _punish(
        record, accounts, bonded, slashed_to, now, settings[STAKING_DOWNTIME_PPM],
        settings[STAKING_DOWNTIME_JAIL_STEPS], effect,
    ), DOWNTIME  # fmt: skip


@kernel_function
def duty_capacity(record: Int, settings: Int, stake_cents: int, now: int, capacity: float) -> float:
    """The capacity an actor may offer: none in jail or with less than the least stake."""
    if now < record[DUTY_JAILED_UNTIL] or stake_cents < settings[STAKING_LEAST_CENTS]:
        return 0.0
    return capacity
