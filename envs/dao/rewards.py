"""Contributors' rewards: a budget of whole cents split in proportion to measured contributions."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .integers import multiply_divide, sum_fits
from .results import DONE, INVALID, OVER_BUDGET, OVERFLOW


@kernel_function
def _comes_later(keys: Int, a: int, b: int) -> bool:
    """Whether index a stands behind index b: smaller key first behind, then higher index."""
    return keys[a] < keys[b] or (keys[a] == keys[b] and a > b)


@kernel_function
def _sift_down(keys: Int, order: Int, root: int, end: int) -> None:
    while 2 * root + 1 < end:
        child = 2 * root + 1
        if child + 1 < end and _comes_later(keys, order[child + 1], order[child]):
            child += 1
        if not _comes_later(keys, order[child], order[root]):
            return
        order[root], order[child] = order[child], order[root]
        root = child


@kernel_function
def order_descending(keys: Int, order: Int) -> None:
    """Write to `order` the indices of `keys`, largest key first, equal keys by index (heapsort)."""
    n = len(keys)
    for i in range(n):
        order[i] = i
    for root in range(n // 2 - 1, -1, -1):
        _sift_down(keys, order, root, n)
    for end in range(n - 1, 0, -1):
        order[0], order[end] = order[end], order[0]
        _sift_down(keys, order, 0, end)


@kernel_function
def split_rewards(
    scores: Int, budget: int, floor: int, payouts: Int, remainders: Int, order: Int
) -> int:
    """Split `budget` by `scores` (n,) into `payouts` (n,), both in whole units; a result code.

    Each gets max(floor, lambda score), with the lambda that spends the budget; fractions of a cent
    go by the method of the largest remainder (Hamilton; ties to the lower index). The payouts sum
    to the budget exactly, or to n x floor where nobody has a score. Scores are whole units of what
    was measured (Wh, jobs, cents), and their sum must be an int64; a negative one counts as 0.
    `OVER_BUDGET` if n x floor exceeds the budget: then nothing is paid. `remainders` and `order`
    (n,) are overwritten.
    """
    n = len(scores)
    payouts[:] = 0
    if budget < 0 or floor < 0:
        return INVALID
    if n == 0:
        return DONE
    if floor > budget // n:
        return OVER_BUDGET
    total = 0
    for i in range(n):
        score = max(scores[i], 0)
        if not sum_fits(total, score):
            return OVERFLOW
        total += score
    # Who falls below the floor gets it; that leaves less for the others, who may then fall, too.
    left = budget
    falling = floor > 0
    while falling:
        falling = False
        left_now, total_now = left, total
        for i in range(n):
            if payouts[i] > 0:
                continue
            score = max(scores[i], 0)
            share = 0 if total_now == 0 else multiply_divide(left_now, score, total_now)[0]
            if share < floor:
                payouts[i] = floor
                left -= floor
                total -= score
                falling = True
    if total == 0:
        return DONE
    paid = 0
    for i in range(n):
        remainders[i] = -1
        if payouts[i] == 0:
            share, remainders[i] = multiply_divide(left, max(scores[i], 0), total)
            payouts[i] = share
            paid += share
    order_descending(remainders, order)
    for k in range(left - paid):
        payouts[order[k]] += 1
    return DONE


@kernel_function
def gini(amounts: Int, order: Int) -> float:
    """Gini coefficient of amounts >= 0 (n,): 0 for equal, (n - 1) / n for all in one hand.

    sum_i (n + 1 - 2 rank_i) x_i / (n sum x), rank 1 the largest; 0 where nobody has anything.
    `order` (n,) is overwritten.
    """
    n = len(amounts)
    order_descending(amounts, order)
    total = 0.0
    weighted = 0.0
    for k in range(n):
        amount = float(amounts[order[k]])
        total += amount
        weighted += (n - 1 - 2 * k) * amount
    return weighted / (n * total) if total > 0.0 else 0.0
