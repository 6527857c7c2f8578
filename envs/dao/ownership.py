"""Community ownership: shares for measured contributions, and the way out with one's part.

Shares are books like the treasury's: `shares` (H,) int64 of the holders, `share_totals` (P + 1, 2).
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .integers import multiply_divide, sum_fits
from .results import DONE, INVALID, OVERDRAFT, OVERFLOW
from .rewards import split_rewards
from .treasury import ALL_PURPOSES, BURNED, MINTED, burn, mint, transfer


@kernel_function
def issue_shares(
    shares: Int, share_totals: Int, purpose: int, scores: Int, issue: int, payouts: Int,
    remainders: Int, order: Int,
) -> int:  # fmt: skip
    """Mint `issue` new shares to the holders in proportion to `scores` (H,); a result code.

    All or none; exactly `issue` are minted (largest remainders), none where nobody has a score.
    """
    if len(scores) != len(shares) or not 1 <= purpose < len(share_totals):
        return INVALID
    code = split_rewards(scores, issue, 0, payouts, remainders, order)
    if code != DONE:
        return code
    if not sum_fits(share_totals[ALL_PURPOSES, MINTED], issue):
        return OVERFLOW
    for holder in range(len(shares)):
        mint(shares, share_totals, purpose, holder, payouts[holder])
    return DONE


@kernel_function
def shares_outstanding(share_totals: Int) -> int:
    """Shares that exist."""
    return int(share_totals[ALL_PURPOSES, MINTED] - share_totals[ALL_PURPOSES, BURNED])


@kernel_function
def rage_quit(
    accounts: Int, treasury: int, target: int, shares: Int, share_totals: Int, purpose: int,
    holder: int, count: int,
) -> tuple[int, int]:  # fmt: skip
    """Burn `count` >= 1 shares of a holder for their part of the treasury: (cents paid, code).

    Moloch v2, ``_ragequit`` and ``fairShare``: floor(balance x shares burned / shares outstanding
    before).
    """
    if count < 1 or not 0 <= holder < len(shares) or not 1 <= purpose < len(share_totals):
        return 0, INVALID
    if not 0 <= treasury < len(accounts) or not 0 <= target < len(accounts):
        return 0, INVALID
    if count > shares[holder]:
        return 0, OVERDRAFT
    cents = multiply_divide(accounts[treasury], count, shares_outstanding(share_totals))[0]
    burn(shares, share_totals, purpose, holder, count)
    transfer(accounts, treasury, target, cents)
    return cents, DONE
