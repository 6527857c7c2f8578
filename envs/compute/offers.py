"""Supply of one step: which GPUs are on offer, and what their providers ask."""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.bids import ask_at, offer_at

from .bids import BID_ASK, BID_OFFER, bid_of
from .layout import (
    L_TIER_QUEUED,
    M_MARKET,
    P_MODES,
    P_OPENING,
    P_PROVIDERS,
    P_SIZES,
    PROVIDER_WIDTH,
    S_ASK,
    S_CAPACITY_GPUS,
    S_CONTRACTED,
    S_LOAD,
    S_REGION_PRICE,
    S_UP_SHARE,
    S_USED_GPUS,
    TIERS,
    V_CAPITAL_USD_PER_GPU_H,
    V_GPUS,
    V_GPUS_PER_NODE,
    V_KW_PER_GPU,
    V_MARKUP_EMPTY,
    V_MARKUP_FULL,
    V_REGION,
    V_TIER,
    Z_PROVIDERS,
)
from .money import (
    may_offer,
)
from .request import (
    R_STANDBY,
)

# Contracts a little above whole nodes do not open another one.
ROUNDING = 1e-9


@inlined_function
def set_offers(lane: int, pf: Float, pi: Int, sf: Float, si: Int, working: Float) -> None:
    """Providers' GPUs on offer and their bids for the coming step, from their load in the last one.

    Of each class the cheapest providers' whole nodes are on offer, up to what the operator has
    contracted. A bid is the energy's cost plus capital costs with a mark-up that grows with the
    square of the own utilisation; an empty provider's is the least that any asks. Providers may set
    offer and bid themselves (bids.py). `working` (providers,) gets the GPUs that work, on offer or
    not.
    """
    market = pi[pi[P_MODES] + M_MARKET] == 1
    tier, left = -1, 0.0
    for i in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        p = pi[pi[P_OPENING] + i]
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        gpus = pf[v + V_GPUS]
        working[p] = gpus * sf[lane, pi[S_UP_SHARE] + p]
        if not market:
            sf[lane, pi[S_CAPACITY_GPUS] + p] = working[p]
            continue
        if int(pf[v + V_TIER]) != tier:
            tier = int(pf[v + V_TIER])
            node = pf[v + V_GPUS_PER_NODE]
            left = np.ceil(sf[lane, pi[S_CONTRACTED] + tier] / node - ROUNDING) * node
        most = working[p] if may_offer(lane, p, gpus, pi, sf, si) else 0.0
        offered = offer_at(min(most, left), most, bid_of(lane, p, BID_OFFER, pi, sf))
        left = max(left - offered, 0.0)
        sf[lane, pi[S_CAPACITY_GPUS] + p] = offered
        share = min(sf[lane, pi[S_USED_GPUS] + p] / max(working[p], 1.0), 1.0)
        rise = pf[v + V_MARKUP_FULL] - pf[v + V_MARKUP_EMPTY]
        markup = pf[v + V_MARKUP_EMPTY] + rise * share * share
        energy = pf[v + V_KW_PER_GPU] * sf[lane, pi[S_REGION_PRICE] + int(pf[v + V_REGION])]
        capital = pf[v + V_CAPITAL_USD_PER_GPU_H]
        reserve = energy + capital * (1.0 + pf[v + V_MARKUP_EMPTY])
        bid = bid_of(lane, p, BID_ASK, pi, sf)
        sf[lane, pi[S_ASK] + p] = ask_at(energy + capital * (1.0 + markup), reserve, bid)


@inlined_function
def contract_capacity(
    lane: int, request: Float, installed: Float, wanted: Float, pf: Float, pi: Int, sf: Float,
    share: float,
) -> None:  # fmt: skip
    """The GPUs on offer follow what is at work, what waits, and the standby that was asked for.

    `share` of the difference is made up in this step: providers open and withdraw with a lag.
    `installed` and `wanted` (tiers,) are scratch.
    """
    installed[:] = 0.0
    for t in range(TIERS):
        wanted[t] = sf[lane, pi[S_LOAD] + L_TIER_QUEUED + t]
    table, uses = pi[P_PROVIDERS], pi[S_USED_GPUS]
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = table + p * PROVIDER_WIDTH
        t = int(pf[v + V_TIER])
        installed[t] += pf[v + V_GPUS]
        wanted[t] += sf[lane, uses + p]
    for t in range(TIERS):
        goal = min(max(wanted[t] + request[R_STANDBY + t] * installed[t], 0.0), installed[t])
        contracted = pi[S_CONTRACTED] + t
        sf[lane, contracted] += share * (goal - sf[lane, contracted])


@kernel_function
def open_all(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    """Every GPU is contracted."""
    for t in range(TIERS):
        sf[lane, pi[S_CONTRACTED] + t] = 0.0
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        sf[lane, pi[S_CONTRACTED] + int(pf[v + V_TIER])] += pf[v + V_GPUS]
