"""Request and gate: the normalised action becomes prices, weights and thresholds, and the charter
cuts what it does not allow."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.results import DONE, OUT_OF_BOUNDS, OVER_BUDGET
from daogym.envs.dao.rules import CLIP, allowed_amount

from .layout import (
    A_ADMISSION,
    A_CARBON,
    A_ORDER,
    A_PLACE,
    A_PRICE,
    A_PRIORITY,
    A_RELIABILITY,
    A_RESERVE,
    A_SPREAD,
    BANDS,
    E_INTERVENTIONS,
    E_INVALID_ACTIONS,
    E_SHIELD_DELTA_USD,
    ESCROW,
    G_SPREAD_CAP,
    G_TREASURY_FLOOR,
    MICRO,
    N_OPERATOR,
    N_SCHEDULER,
    ORDERS,
    OUT_EVENT,
    P_SCALARS,
    P_SIZES,
    PLACES,
    S_ACCOUNTS,
    S_ACTION,
    S_GOVERNED,
    S_VAULT_TOKENS,
    TREASURY,
    X_ADMISSION_CENTER,
    X_ADMISSION_SCALE,
    X_CARBON_WEIGHT,
    X_PRIORITY_CENTER_0,
    X_PRIORITY_SCALE,
    X_RELIABILITY_WEIGHT,
    X_RESERVE_RATIO,
    X_RESERVE_SCALE,
    X_SPREAD_CENTER,
    X_SPREAD_SCALE,
    Z_ACTION,
)
from .money import top_up_vault
from .world import oracle_price

# Columns of a request.
(R_PRIORITY, R_THRESHOLD, R_PRICE, R_RELIABILITY, R_CARBON, R_SPREAD, R_RESERVE, R_ORDER,
 R_PLACE) = (0, 4, 8, 9, 10, 11, 12, 13, 14)  # fmt: skip
REQUEST_WIDTH = 15
ADMIT_ALL = -1e9

N_ORDERS, N_PLACES = len(ORDERS), len(PLACES)


@kernel_function
def hold_action(lane: int, actions: NDArray[np.float32], pi: Int, clean: Float, out: Float) -> None:
    """Elements beyond [-1, 1] are held at its ends, not a number counts as 0; both are counted."""
    for a in range(pi[pi[P_SIZES] + Z_ACTION]):
        given = float(actions[lane, a])
        held = min(max(given, -1.0), 1.0) if given == given else 0.0
        if held != given:
            out[0, lane, OUT_EVENT + E_INVALID_ACTIONS] += 1.0
        clean[a] = held


@kernel_function
def choice(value: float, n: int) -> int:
    """One of n rules: -1 .. 1 in n equal parts, 0 in the middle part of the range begins with."""
    return min(int(0.5 * (value + 1.0) * n), n - 1)


@kernel_function
def make_request(lane: int, clean: Float, pf: Float, pi: Int, request: Float) -> None:
    """Priorities, thresholds, weights, spread and reserve that a held action asks for."""
    x = pi[P_SCALARS]
    for b in range(BANDS):
        request[R_PRIORITY + b] = (
            pf[x + X_PRIORITY_CENTER_0 + b] + pf[x + X_PRIORITY_SCALE] * clean[A_PRIORITY + b]
        )
        margin = clean[A_ADMISSION + b]
        threshold = pf[x + X_ADMISSION_CENTER] + pf[x + X_ADMISSION_SCALE] * margin
        request[R_THRESHOLD + b] = threshold if margin > -1.0 else ADMIT_ALL
    request[R_PRICE] = 1.0 + clean[A_PRICE]
    request[R_RELIABILITY] = pf[x + X_RELIABILITY_WEIGHT] * (1.0 + clean[A_RELIABILITY])
    request[R_CARBON] = pf[x + X_CARBON_WEIGHT] * (1.0 + clean[A_CARBON])
    request[R_SPREAD] = max(pf[x + X_SPREAD_CENTER] + pf[x + X_SPREAD_SCALE] * clean[A_SPREAD], 0.0)
    request[R_RESERVE] = pf[x + X_RESERVE_RATIO] + pf[x + X_RESERVE_SCALE] * clean[A_RESERVE]
    request[R_ORDER] = 0.0
    request[R_PLACE] = 0.0
    if len(clean) == N_SCHEDULER:
        request[R_ORDER] = choice(clean[A_ORDER], N_ORDERS)
        request[R_PLACE] = choice(clean[A_PLACE], N_PLACES)


@kernel_function
def gate_request(
    lane: int, clean: Float, pf: Float, pi: Int, sf: Float, si: Int, request: Float, out: Float
) -> None:
    """The charter's cap of the spread, and the treasury's floor under what tops up the vault."""
    governed = pi[S_GOVERNED]
    cap = sf[lane, governed + G_SPREAD_CAP]
    code = OUT_OF_BOUNDS if request[R_SPREAD] > cap else DONE
    request[R_SPREAD] = allowed_amount(request[R_SPREAD], cap, 0.0, code, CLIP)
    clipped = code != DONE

    accounts = pi[S_ACCOUNTS]
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
