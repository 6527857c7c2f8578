"""Treasury: accounts in whole cents, in which money only moves.

A lane's `accounts` (A,) int64 hold cents >= 0. `totals` (P + 1, 2) int64 counts what was minted
and burned: row 0 in all, row p for purpose p (money that comes from or goes to the world outside:
energy sold at the transformer, a fee to the grid). Every change is a transfer, which has two sides,
or a mint or burn for a named purpose, so that at any time

    sum(accounts) == totals[0, MINTED] - totals[0, BURNED]

exactly. As all that was ever minted is an int64, no account can overflow. Votes and ownership
shares are kept in books of the same kind. Functions return result codes; what is refused changes
nothing.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .allowance import allowance_check, spend_allowance
from .integers import sum_fits
from .results import DONE, INVALID, OVERDRAFT, OVERFLOW
from .rules import allowed_amount

MINTED, BURNED, TOTALS_WIDTH = 0, 1, 2
"""Columns of the totals."""
ALL_PURPOSES = 0
"""Row of the totals that counts everything."""


@kernel_function
def transfer(accounts: Int, source: int, target: int, cents: int) -> int:
    """Move cents >= 0 from one account to another; `OVERDRAFT` if the source holds less."""
    if cents < 0 or not 0 <= source < len(accounts) or not 0 <= target < len(accounts):
        return INVALID
    if cents > accounts[source]:
        return OVERDRAFT
    accounts[source] -= cents
    accounts[target] += cents
    return DONE


@kernel_function
def mint(accounts: Int, totals: Int, purpose: int, target: int, cents: int) -> int:
    """Create cents >= 0 for a purpose >= 1: money that enters from outside."""
    if cents < 0 or not 1 <= purpose < len(totals) or not 0 <= target < len(accounts):
        return INVALID
    if not sum_fits(totals[ALL_PURPOSES, MINTED], cents):
        return OVERFLOW
    accounts[target] += cents
    totals[ALL_PURPOSES, MINTED] += cents
    totals[purpose, MINTED] += cents
    return DONE


@kernel_function
def burn(accounts: Int, totals: Int, purpose: int, source: int, cents: int) -> int:
    """Destroy cents >= 0 for a purpose >= 1: money that leaves."""
    if cents < 0 or not 1 <= purpose < len(totals) or not 0 <= source < len(accounts):
        return INVALID
    if cents > accounts[source]:
        return OVERDRAFT
    accounts[source] -= cents
    totals[ALL_PURPOSES, BURNED] += cents
    totals[purpose, BURNED] += cents
    return DONE


@kernel_function
def books_balance(accounts: Int, totals: Int) -> bool:
    """Whether the accounts hold exactly what was minted and not burned, and none is overdrawn."""
    left = totals[ALL_PURPOSES, MINTED] - totals[ALL_PURPOSES, BURNED]
    for i in range(len(accounts)):
        # Subtracting one by one cannot overflow while none is negative and all fit.
        if accounts[i] < 0 or accounts[i] > left:
            return False
        left -= accounts[i]
    return bool(left == 0)


@kernel_function
def pay_from_allowance(
    accounts: Int, allowance: Int, now_minutes: int, source: int, target: int, cents: int,
    effect: int,
) -> tuple[int, int]:  # fmt: skip
    """A delegate's payment from `source` under a spending allowance: (cents paid, code).

    All or nothing as one transaction: where the source cannot pay what the allowance lets through,
    nothing is paid and nothing of the allowance spent.
    """
    permitted, code = allowance_check(allowance, now_minutes, cents)
    allowed = allowed_amount(cents, permitted, 0, code, effect)
    if allowed == 0:
        return 0, code
    moved = transfer(accounts, source, target, allowed)
    if moved != DONE:
        return 0, moved
    return spend_allowance(allowance, now_minutes, cents, effect)


@kernel_function
def pay_each(accounts: Int, source: int, targets: Int, payouts: Int) -> int:
    """Pay payouts[i] >= 0 to account targets[i], all of them or none (contributors' rewards)."""
    if not 0 <= source < len(accounts):
        return INVALID
    left = accounts[source]
    for i in range(len(payouts)):
        if payouts[i] < 0 or not 0 <= targets[i] < len(accounts):
            return INVALID
        if payouts[i] > left:
            return OVERDRAFT
        left -= payouts[i]
    for i in range(len(payouts)):
        transfer(accounts, source, targets[i], payouts[i])
    return DONE
