"""What providers set by themselves in mode "provider": their ask, their offer and their stake.

An action of 0 is the provider of the other modes: it asks by its strategy, offers what the operator
has contracted, and fills its stake up to a fifth above the least. What is set in a step holds in
the next one's auction.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.bids import stake_at

from .layout import M_PROVIDERS, N_OPERATOR, P_MODES, P_SIZES, S_BIDS, Z_PROVIDERS

# Rows of a lane's bids, (3, providers).
BID_ASK, BID_OFFER, BID_STAKE, N_BID = 0, 1, 2, 3
STAKE_REFILL = 1.2
"""Stakes are filled up to this many times the least one at action 0."""


@inlined_function
def set_by_providers(pi: Int) -> bool:
    """Whether providers set anything."""
    return pi[pi[P_MODES] + M_PROVIDERS] == 1


@inlined_function
def take_bids(lane: int, clean: Float, pi: Int, sf: Float) -> None:
    """Keep what providers set in this step: all numbers of an action behind the operator's."""
    for i in range(N_BID * pi[pi[P_SIZES] + Z_PROVIDERS]):
        sf[lane, pi[S_BIDS] + i] = clean[N_OPERATOR + i]


@inlined_function
def clear_bids(lane: int, pi: Int, sf: Float) -> None:
    """At the start of an episode nobody has set anything."""
    if set_by_providers(pi):
        for i in range(N_BID * pi[pi[P_SIZES] + Z_PROVIDERS]):
            sf[lane, pi[S_BIDS] + i] = 0.0


@inlined_function
def bid_of(lane: int, provider: int, row: int, pi: Int, sf: Float) -> float:
    """One of a provider's three numbers; 0 in modes in which it sets none."""
    if not set_by_providers(pi):
        return 0.0
    return float(sf[lane, pi[S_BIDS] + row * pi[pi[P_SIZES] + Z_PROVIDERS] + provider])


@inlined_function
def refill_at(bid: float) -> float:
    """Up to which a stake is filled, in least stakes."""
    return stake_at(STAKE_REFILL, bid)
