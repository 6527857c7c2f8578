"""Request and gate: the normalised action becomes prices, weights and thresholds, and the charter
cuts what it does not allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.results import DONE, OUT_OF_BOUNDS, OVER_BUDGET
from daogym.envs.dao.rules import CLIP, allowed_amount

from .layout import (
    A_ADMISSION,
    A_CARBON,
    A_ORDER,
    A_PLACE,
    A_PRICE,
    A_PRICING,
    A_PRIORITY,
    A_RELIABILITY,
    A_RESERVE,
    A_SPREAD,
    A_STANDBY,
    BANDS,
    E_INTERVENTIONS,
    E_INVALID_ACTIONS,
    E_SHIELD_DELTA_USD,
    ESCROW,
    F_JOBS_HOUR,
    G_SPREAD_CAP,
    G_TREASURY_FLOOR,
    MICRO,
    N_OPERATOR,
    N_SCHEDULER,
    ORDERS,
    OUT_EVENT,
    P_PROVIDERS,
    P_SCALARS,
    P_SIZES,
    PLACES,
    PRICINGS,
    PROVIDER_WIDTH,
    S_ACTION,
    S_FLOW,
    S_GOVERNED,
    S_MARKET_ACCOUNTS,
    S_UP_SHARE,
    S_USED_GPUS,
    S_VAULT_TOKENS,
    TIERS,
    TREASURY,
    V_GPUS,
    V_TIER,
    X_ADMISSION_CENTER_0,
    X_ADMISSION_SCALE,
    X_ARRIVALS,
    X_CARBON_WEIGHT,
    X_DT_H,
    X_PRIORITY_CENTER_0,
    X_PRIORITY_SCALE,
    X_RELIABILITY_WEIGHT,
    X_RESERVE_RATIO,
    X_RESERVE_SCALE,
    X_SPREAD_CENTER,
    X_SPREAD_FULL,
    X_SPREAD_IDLE,
    X_SPREAD_RISE,
    X_SPREAD_SCALE,
    X_STANDBY_0,
    X_STANDBY_DEMAND,
    X_STANDBY_SCALE,
    Z_ACTION,
    Z_PROVIDERS,
)
from .money import top_up_vault
from .world import oracle_price

# Columns of a request.
(R_PRIORITY, R_THRESHOLD, R_PRICE, R_RELIABILITY, R_CARBON, R_RESERVE, R_ORDER, R_PLACE, R_SPREAD,
 R_STANDBY) = (0, 4, 8, 9, 10, 11, 12, 13, 14, 18)  # fmt: skip
REQUEST_WIDTH = 22
ADMIT_ALL, ADMIT_NONE = -1e9, 1e9
_MOST_DEMAND = 4.0

N_ORDERS, N_PLACES, N_PRICINGS = len(ORDERS), len(PLACES), len(PRICINGS)


@inlined_function
def hold_action(lane: int, actions: NDArray[np.float32], pi: Int, clean: Float, out: Float) -> None:
    """Elements beyond [-1, 1] are held at its ends, not a number counts as 0; both are counted."""
    for a in range(pi[pi[P_SIZES] + Z_ACTION]):
        given = float(actions[lane, a])
        held = min(max(given, -1.0), 1.0) if given == given else 0.0
        if held != given:
            out[0, lane, OUT_EVENT + E_INVALID_ACTIONS] += 1.0
        clean[a] = held


@inlined_function
def choice(value: float, n: int) -> int:
    """One of n rules: -1 .. 1 in n equal parts, 0 in the middle part of the range begins with."""
    return min(int(0.5 * (value + 1.0) * n), n - 1)


@inlined_function
def make_request(lane: int, clean: Float, pf: Float, pi: Int, sf: Float, request: Float) -> None:
    """What a held action asks for: priorities, thresholds, weights, and by class of GPUs the
    spread (which rises with the class's utilisation) and the share kept on offer but idle."""
    x = pi[P_SCALARS]
    for b in range(BANDS):
        request[R_PRIORITY + b] = (
            pf[x + X_PRIORITY_CENTER_0 + b] + pf[x + X_PRIORITY_SCALE] * clean[A_PRIORITY + b]
        )
    for t in range(TIERS):
        margin = clean[A_ADMISSION + t]
        threshold = pf[x + X_ADMISSION_CENTER_0 + t] + pf[x + X_ADMISSION_SCALE] * margin
        request[R_THRESHOLD + t] = threshold
        if margin == -1.0:
            request[R_THRESHOLD + t] = ADMIT_ALL
        elif margin == 1.0:
            request[R_THRESHOLD + t] = ADMIT_NONE
    request[R_PRICE] = 1.0 + clean[A_PRICE]
    request[R_RELIABILITY] = pf[x + X_RELIABILITY_WEIGHT] * (1.0 + clean[A_RELIABILITY])
    request[R_CARBON] = pf[x + X_CARBON_WEIGHT] * (1.0 + clean[A_CARBON])
    request[R_RESERVE] = pf[x + X_RESERVE_RATIO] + pf[x + X_RESERVE_SCALE] * clean[A_RESERVE]
    request[R_ORDER] = 0.0
    request[R_PLACE] = 0.0
    if len(clean) == N_SCHEDULER:
        request[R_ORDER] = choice(clean[A_ORDER], N_ORDERS)
        request[R_PLACE] = choice(clean[A_PLACE], N_PLACES)
    spread = pf[x + X_SPREAD_CENTER] + pf[x + X_SPREAD_SCALE] * clean[A_SPREAD]
    rising = pf[x + X_SPREAD_RISE]
    if len(clean) == N_SCHEDULER and choice(clean[A_PRICING], N_PRICINGS) == 1:
        rising = 0.0
    idle, full = pf[x + X_SPREAD_IDLE], pf[x + X_SPREAD_FULL]
    usual = pf[x + X_ARRIVALS] / pf[x + X_DT_H]
    demand = min(sf[lane, pi[S_FLOW] + F_JOBS_HOUR] / usual, _MOST_DEMAND)
    expected = pf[x + X_STANDBY_DEMAND] * demand
    # The places of the spreads and the standbys hold GPUs at work and working GPUs first.
    for t in range(TIERS):
        request[R_SPREAD + t] = 0.0
        request[R_STANDBY + t] = 0.0
    table, uses, shares = pi[P_PROVIDERS], pi[S_USED_GPUS], pi[S_UP_SHARE]
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = table + p * PROVIDER_WIDTH
        t = int(pf[v + V_TIER])
        request[R_SPREAD + t] += sf[lane, uses + p]
        request[R_STANDBY + t] += pf[v + V_GPUS] * sf[lane, shares + p]
    for t in range(TIERS):
        used, working = request[R_SPREAD + t], request[R_STANDBY + t]
        rise = min(max((used / max(working, 1.0) - idle) / (full - idle), 0.0), 1.0)
        request[R_SPREAD + t] = max(spread + rising * rise, 0.0)
        standby = pf[x + X_STANDBY_0 + t] + pf[x + X_STANDBY_SCALE] * clean[A_STANDBY + t]
        request[R_STANDBY + t] = standby + expected


@inlined_function
def gate_request(
    lane: int, clean: Float, pf: Float, pi: Int, sf: Float, si: Int, request: Float, out: Float
) -> None:
    """The charter's cap of the spread, and the treasury's floor under what tops up the vault."""
    governed = pi[S_GOVERNED]
    cap = sf[lane, governed + G_SPREAD_CAP]
    clipped = False
    for t in range(TIERS):
        code = OUT_OF_BOUNDS if request[R_SPREAD + t] > cap else DONE
        request[R_SPREAD + t] = allowed_amount(request[R_SPREAD + t], cap, 0.0, code, CLIP)
        clipped = clipped or code != DONE

    accounts = pi[S_MARKET_ACCOUNTS]
    credits = si[lane, accounts + ESCROW] / MICRO
    vault = sf[lane, pi[S_VAULT_TOKENS]] * oracle_price(lane, pi, sf)
    wanted = max(request[R_RESERVE] * credits - vault, 0.0)
    spendable = si[lane, accounts + TREASURY] / MICRO - sf[lane, governed + G_TREASURY_FLOOR]
    permitted = max(spendable, 0.0)
    code = OVER_BUDGET if wanted > permitted else DONE
    allowed = allowed_amount(wanted, permitted, 0.0, code, CLIP)
    if code != DONE or clipped:
        out[0, lane, OUT_EVENT + E_INTERVENTIONS] += 1.0
    out[0, lane, OUT_EVENT + E_SHIELD_DELTA_USD] += wanted - allowed
    if allowed > 0.0:
        top_up_vault(lane, allowed, pi, sf, si, out)
    for a in range(N_OPERATOR):
        sf[lane, pi[S_ACTION] + a] = clean[a]
