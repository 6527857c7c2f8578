"""The constant-product pool of `capture_market`, compiled: the same whole numbers, to the cent.

A pool is two numbers, base units and cents; `fee_bps` is its fee on what is paid in. Exact while
cents x 10**6 and (base units x price in millionths of a cent) are int64.
"""

from __future__ import annotations

from math import sqrt

from daogym.envs.core.compiled import kernel_function

from .capture_market import BPS, MICRO
from .integers import multiply_divide


@kernel_function
def price_to_buy(tokens: int, cents: int, fee_bps: int, amount: int) -> int:
    """Cents that `amount` base units cost; -1 where the pool has not so many."""
    if amount < 0 or amount >= tokens:
        return -1
    net, rest = multiply_divide(cents, amount, tokens - amount)
    net += 1 if rest > 0 else 0
    paid, rest = multiply_divide(net, BPS, BPS - fee_bps)
    return paid + 1 if rest > 0 else paid


@kernel_function
def price_to_sell(tokens: int, cents: int, fee_bps: int, amount: int) -> int:
    """Cents paid out for `amount` base units."""
    net, _ = multiply_divide(amount, BPS - fee_bps, BPS)
    received, _ = multiply_divide(cents, net, tokens + net)
    return received


@kernel_function
def affordable(tokens: int, cents: int, fee_bps: int, money: int) -> int:
    """Base units that `money` cents certainly buy: at most one fewer than could be bought."""
    net, _ = multiply_divide(money, BPS - fee_bps, BPS)
    amount, _ = multiply_divide(tokens, net, cents + net)
    return amount


@kernel_function
def off_fair(tokens: int, cents: int, fair_microcents: int) -> int:
    """Base units others would sell (above 0) or buy to bring the price to the fair one.

    The pool then holds t, the whole root of cents x tokens x 10**6 / price: the largest t with
    t x price <= cents x tokens x 10**6 / t.
    """
    price = max(fair_microcents, 1)
    target = max(int(sqrt(float(cents) * MICRO / price * tokens)), 1)
    while target > 1 and not _within(target, tokens, cents, price):
        target -= 1
    while _within(target + 1, tokens, cents, price):
        target += 1
    return target - tokens


@kernel_function
def _within(target: int, tokens: int, cents: int, price: int) -> bool:
    worth, _ = multiply_divide(cents * MICRO, tokens, target)
    return worth < 0 or target * price <= worth
