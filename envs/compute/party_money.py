"""Own money of the operator and the providers, from the market's accounts (mode "provider").

The operator's is what the market's treasury gains. A provider's is what its balance and its stake
gain together, less what its owners put in, less what its GPUs on offer would have earned elsewhere.
Tenants and the token's vault have the rest.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.own_money import keep_own_money

from .bids import set_by_providers
from .layout import (
    BALANCES,
    MICRO,
    P_SIZES,
    S_MARKET_ACCOUNTS,
    S_PARTY_EPISODE_USD,
    S_PARTY_MICRO,
    S_PARTY_STEP_USD,
    S_PARTY_USD,
    S_STEP,
    TREASURY,
    Z_HORIZON,
    Z_PROVIDERS,
)


@inlined_function
def _wealth(lane: int, party: int, pi: Int, si: Int) -> int:
    """micro-USD of a party: the treasury (0), or a provider's balance and stake."""
    accounts = pi[S_MARKET_ACCOUNTS]
    if party == 0:
        return int(si[lane, accounts + TREASURY])
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    balance = accounts + BALANCES + party - 1
    return int(si[lane, balance] + si[lane, balance + n])


@inlined_function
def begin_parties(lane: int, pi: Int, sf: Float, si: Int) -> None:
    """What everybody has at the start is no income."""
    if set_by_providers(pi):
        for party in range(pi[pi[P_SIZES] + Z_PROVIDERS] + 1):
            si[lane, pi[S_PARTY_MICRO] + party] = _wealth(lane, party, pi, si)
            sf[lane, pi[S_PARTY_USD] + party] = 0.0


@inlined_function
def put_in(lane: int, provider: int, micro: int, pi: Int, si: Int) -> None:
    """What owners put in is no income either."""
    if set_by_providers(pi):
        si[lane, pi[S_PARTY_MICRO] + 1 + provider] += micro


@inlined_function
def forgo(lane: int, provider: int, usd: float, pi: Int, sf: Float) -> None:
    """What a provider's GPUs on offer would have earned elsewhere in this step: its first entry."""
    if set_by_providers(pi):
        sf[lane, pi[S_PARTY_STEP_USD] + 1 + provider] = -usd


@inlined_function
def settle_parties(lane: int, pi: Int, sf: Float, si: Int) -> None:
    """The step's income of all parties, when all money of the step has moved."""
    if not set_by_providers(pi):
        return
    over = si[lane, pi[S_STEP]] >= pi[pi[P_SIZES] + Z_HORIZON]
    sf[lane, pi[S_PARTY_STEP_USD]] = 0.0
    for party in range(pi[pi[P_SIZES] + Z_PROVIDERS] + 1):
        wealth = _wealth(lane, party, pi, si)
        of_step = pi[S_PARTY_STEP_USD] + party
        sf[lane, of_step] += (wealth - si[lane, pi[S_PARTY_MICRO] + party]) / MICRO
        si[lane, pi[S_PARTY_MICRO] + party] = wealth
    keep_own_money(
        lane, pi[pi[P_SIZES] + Z_PROVIDERS] + 1, pi[S_PARTY_STEP_USD], pi[S_PARTY_USD],
        pi[S_PARTY_EPISODE_USD], over, sf,
    )  # fmt: skip
