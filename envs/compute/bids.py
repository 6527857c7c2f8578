"""What providers set by themselves in mode "provider": their ask, their offer and their stake.

An action of 0 is the provider of the other modes: it asks by its strategy, offers what the operator
has contracted, and fills its stake up to a fifth above the least. What is set in a step holds in
the next one's auction.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int

from .layout import M_PROVIDERS, N_OPERATOR, P_MODES, P_SIZES, S_BIDS, Z_PROVIDERS

# Rows of a lane's bids, (3, providers).
BID_ASK, BID_OFFER, BID_STAKE, N_BID = 0, 1, 2, 3
BID_RISE = 0.5
"""An ask at 1 is this share above the one by strategy."""
STAKE_REFILL = 1.2
"""Stakes are filled up to this many times the least one at action 0 ..."""
STAKE_SPAN = 0.5
"""... and to this share more or less of it at 1 and -1."""


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
def ask_at(usual: float, reserve: float, bid: float) -> float:
    """USD/GPU-h: `usual` at 0, `reserve` at -1, `BID_RISE` more than usual at 1."""
    if bid < 0.0:
        return usual - bid * (reserve - usual)
    return usual * (1.0 + BID_RISE * bid)


@inlined_function
def offer_at(contracted: float, most: float, bid: float) -> float:
    """GPUs on offer: what is contracted at 0, none at -1, all that may be offered at 1."""
    if bid < 0.0:
        return contracted * (1.0 + bid)
    return contracted + bid * (most - contracted)


@inlined_function
def refill_at(bid: float) -> float:
    """Up to which a stake is filled, in least stakes."""
    return STAKE_REFILL * (1.0 + STAKE_SPAN * bid)
