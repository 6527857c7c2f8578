"""What votes cost: a constant-product pool, others who arbitrage it, and the price of an attack.

All amounts are whole numbers (cents; base units of the token); what does not divide is rounded in
the pool's favour. The pool keeps tokens x cents constant but for its fee; buying along it moves the
price against the buyer, and so does selling. Between the attacker's trades others trade the pool
back to the fair price, so that impact is paid both ways; without them, buying and selling again
would cost the fee alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

BPS = 10_000
MICRO = 1_000_000


@dataclass
class Pool:
    """A constant-product pool of `tokens` base units and `cents`, with a fee on what is paid in."""

    tokens: int
    cents: int
    fee_bps: int

    def price_to_buy(self, amount: int) -> int:
        """Cents that `amount` base units cost; ValueError where the pool has not so many."""
        if not 0 <= amount < self.tokens:
            raise ValueError(f"the pool holds {self.tokens} base units, {amount} are wanted")
        net = _up(self.cents * amount, self.tokens - amount)
        return _up(net * BPS, BPS - self.fee_bps)

    def price_to_sell(self, amount: int) -> int:
        """Cents paid out for `amount` base units."""
        net = amount * (BPS - self.fee_bps) // BPS
        return self.cents * net // (self.tokens + net)

    def buy(self, amount: int) -> int:
        """Take base units out; the cents paid."""
        paid = self.price_to_buy(amount)
        self.tokens -= amount
        self.cents += paid
        return paid

    def sell(self, amount: int) -> int:
        """Put base units in; the cents received."""
        received = self.price_to_sell(amount)
        self.tokens += amount
        self.cents -= received
        return received

    def price_microcents(self) -> int:
        """Price of a base unit now, in millionths of a cent."""
        return self.cents * MICRO // self.tokens

    def off_fair(self, fair_microcents: int) -> int:
        """Base units others would sell (above 0) or buy to bring the price to the fair one."""
        target = isqrt(self.cents * self.tokens * MICRO // max(fair_microcents, 1))
        return target - self.tokens

    def to_price(self, microcents: int) -> int:
        """Base units to take out so that the price rises to this; 0 where it is there."""
        return max(self.tokens - isqrt(self.cents * self.tokens * MICRO // microcents), 0)


def _up(a: int, b: int) -> int:
    return -(-a // b)


def parts(amount: int, slices: int) -> list[int]:
    """`amount` in about equal whole parts, the larger ones first."""
    whole, rest = divmod(amount, slices)
    return [whole + (1 if i < rest else 0) for i in range(slices)]


def stake_cost(
    pool: Pool, fair_microcents: int, amount: int, slices: int, fall_bps: int
) -> int | None:
    """Cents lost by buying `amount` in slices, letting the price fall, and selling in slices.

    Others bring the pool back to the fair price after each slice, and to the fair price less
    `fall_bps` before the resale. None where a slice is more than the pool holds.
    """
    pool = Pool(pool.tokens, pool.cents, pool.fee_bps)
    paid = 0
    for part in parts(amount, slices):
        if part >= pool.tokens:
            return None
        paid += pool.buy(part)
        _arbitrage(pool, fair_microcents)
    fallen = fair_microcents * (BPS - fall_bps) // BPS
    _arbitrage(pool, fallen)
    for part in parts(amount, slices):
        paid -= pool.sell(part)
        _arbitrage(pool, fallen)
    return paid


def _arbitrage(pool: Pool, fair_microcents: int) -> None:
    wanted = pool.off_fair(fair_microcents)
    if wanted > 0:
        pool.sell(wanted)
    elif wanted < 0:
        pool.buy(-wanted)
