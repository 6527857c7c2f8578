"""What a party that is paid for its services sets by itself: its price, its offer and its stake.

Each is a number from -1 to 1, of which 0 is what the party does where nobody asks it.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function

BID_RISE = 0.5
"""A price at 1 is this share above the usual one."""
STAKE_SPAN = 0.5
"""A stake at 1 and -1 is this share above and below the usual one."""


@inlined_function
def ask_at(usual: float, reserve: float, bid: float) -> float:
    """A price: `usual` at 0, `reserve` at -1, `BID_RISE` more than usual at 1; all in one unit."""
    if bid < 0.0:
        return usual - bid * (reserve - usual)
    return usual * (1.0 + BID_RISE * bid)


@inlined_function
def offer_at(usual: float, most: float, bid: float) -> float:
    """An offer: `usual` at 0, nothing at -1, `most` at 1; all in one unit."""
    if bid < 0.0:
        return usual * (1.0 + bid)
    return usual + bid * (most - usual)


@inlined_function
def stake_at(usual: float, bid: float) -> float:
    """Up to which a stake is filled: `usual` at 0, `STAKE_SPAN` more or less at 1 and -1."""
    return usual * (1.0 + STAKE_SPAN * bid)
