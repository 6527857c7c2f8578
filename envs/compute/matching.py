"""The queue's order, and which provider an order goes to.

Reverse auction, pay as bid: an order goes to the provider with the least score among those that
have room, a good enough GPU class and an ask whose price the tenant's bid covers (Akash). The
tenant pays ask x (1 + take rate + spread); deposit and price are fixed when the lease begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int

from .layout import (
    E_REVERTS,
    G_PROVIDER_CAP,
    G_SMALL_TENANT,
    G_TAKE_RATE,
    J_ARRIVAL,
    J_BAND,
    J_BID,
    J_CLASS,
    J_GPUS,
    J_LOG_RATIO,
    J_REMAINING,
    J_TIER,
    J_WORK,
    M_MARKET,
    ORDER_DRF,
    ORDER_FIFO,
    ORDER_MARKET,
    ORDER_ORACLE,
    ORDER_PREDICTED,
    OUT_EVENT,
    P_BAND_WORK,
    P_MODES,
    P_OPENING,
    P_PROVIDERS,
    P_SCALARS,
    P_TIER_REFERENCE,
    PLACE_BEST_FIT,
    PLACE_DOT_PRODUCT,
    PLACE_FIRST_FIT,
    PLACE_MARKET,
    PROVIDER_WIDTH,
    S_ASK,
    S_CAPACITY_GPUS,
    S_GOVERNED,
    S_HALTED,
    S_REGION_CARBON,
    S_REPUTATION,
    S_UP_SHARE,
    TIERS,
    V_GPUS,
    V_KW_PER_GPU,
    V_REGION,
    V_TIER,
    X_AGEING_PER_STEP,
    X_FIT_WEIGHT,
    X_LARGEST_PROVIDER,
)
from .leases import (
    begin_lease,
)
from .money import (
    deposit,
)
from .request import (
    R_CARBON,
    R_ORDER,
    R_PLACE,
    R_PRICE,
    R_PRIORITY,
    R_RELIABILITY,
    R_SPREAD,
)

ROOM = 1e-9
# A row of the board of one step's matching, one for each provider with room: its column in the
# opening order, idle and busy GPUs, price with fees, weighted ask, and what else enters the score.
(B_COLUMN, B_FREE, B_AT_WORK, B_PRICE, B_ASK_SCORE, B_SCORE) = range(6)
BOARD_WIDTH = 6


@inlined_function
def order_key(row: Float, rule: int, request: Float, class_used: Float, pf: Float,
              pi: Int) -> float:  # fmt: skip
    """Place of an order in the queue under an order rule; the largest comes first."""
    if rule == ORDER_MARKET:
        ageing = pf[pi[P_SCALARS] + X_AGEING_PER_STEP]
        key = row[J_LOG_RATIO] + request[R_PRIORITY + int(row[J_BAND])]
        return float(key - ageing * row[J_ARRIVAL])
    if rule == ORDER_FIFO:
        return float(-row[J_ARRIVAL])
    if rule == ORDER_ORACLE:
        return float(-row[J_REMAINING])
    band = int(row[J_BAND])
    # The operator knows the band and the progress, not the duration.
    expected = max(pf[pi[P_BAND_WORK] + band] - row[J_WORK] + row[J_REMAINING], 1.0)
    if rule == ORDER_PREDICTED:
        return -expected
    if rule == ORDER_DRF:
        return float(-class_used[int(row[J_CLASS])])
    # Tetris: alignment of the order with the room there is, and short work first.
    return float(row[J_GPUS] / 16.0 - expected / 192.0)


@inlined_function
def push(keys: Float, rows: Int, n: int, key: float, row: int) -> None:
    """Put an order into the heap of n: largest key on top, of equals the smallest row."""
    i = n
    while i > 0:
        above = (i - 1) // 2
        if keys[above] > key or (keys[above] == key and rows[above] < row):
            break
        keys[i], rows[i] = keys[above], rows[above]
        i = above
    keys[i], rows[i] = key, row


@inlined_function
def pop(keys: Float, rows: Int, n: int) -> None:
    """Take the top off the heap of n."""
    key, row = keys[n - 1], rows[n - 1]
    i = 0
    while True:
        below = 2 * i + 1
        if below >= n - 1:
            break
        other = below + 1
        if other < n - 1 and (
            keys[other] > keys[below] or (keys[other] == keys[below] and rows[other] < rows[below])
        ):
            below = other
        if key > keys[below] or (key == keys[below] and row < rows[below]):
            break
        keys[i], rows[i] = keys[below], rows[below]
        i = below
    keys[i], rows[i] = key, row


@inlined_function
def look_for_room(
    lane: int, free: Float, room: Float, cheapest: Float, request: Float, pf: Float, pi: Int,
    sf: Float,
) -> float:  # fmt: skip
    """The most idle GPUs at one provider and the least price with fees of any that has some.

    Both (tiers,) over providers of a class or better. The result is the GPUs that work, on offer
    or not.
    """
    take = 1.0 + sf[lane, pi[S_GOVERNED] + G_TAKE_RATE]
    opening, table = pi[P_OPENING], pi[P_PROVIDERS]
    asks, shares = pi[S_ASK], pi[S_UP_SHARE]
    room[:] = 0.0
    cheapest[:] = np.inf
    working = 0.0
    for i in range(len(free)):
        p = pi[opening + i]
        v = table + p * PROVIDER_WIDTH
        working += pf[v + V_GPUS] * sf[lane, shares + p]
        idle = free[p] + ROOM
        if idle > 0.0:
            tier = int(pf[v + V_TIER])
            room[tier] = max(room[tier], idle)
            if idle > 2.0 * ROOM:
                price = sf[lane, asks + p] * (take + request[R_SPREAD + tier])
                cheapest[tier] = min(cheapest[tier], price)
    for t in range(TIERS - 2, -1, -1):
        room[t] = max(room[t], room[t + 1])
        cheapest[t] = min(cheapest[t], cheapest[t + 1])
    return working


@inlined_function
def set_board(
    lane: int, least: float, free: Float, board: Float, first: Int, request: Float, pf: Float,
    pi: Int, sf: Float,
) -> int:  # fmt: skip
    """Fill the board (providers, BOARD_WIDTH) with who has room for `least` GPUs; how many rows.

    Rows are ordered by class, and the cheapest first within it; `first` (tiers,) gets the row
    where each class begins.
    """
    take = 1.0 + sf[lane, pi[S_GOVERNED] + G_TAKE_RATE]
    place = int(request[R_PLACE])
    n, begun = 0, 0
    for i in range(len(free)):
        p = pi[pi[P_OPENING] + i]
        if free[p] - least < -ROOM:
            continue
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        tier = int(pf[v + V_TIER])
        while begun <= tier:
            first[begun] = n
            begun += 1
        ask = sf[lane, pi[S_ASK] + p]
        row = board[n]
        row[B_COLUMN] = i
        row[B_FREE] = free[p]
        row[B_AT_WORK] = sf[lane, pi[S_CAPACITY_GPUS] + p] - free[p]
        row[B_PRICE] = ask * (take + request[R_SPREAD + tier])
        row[B_ASK_SCORE] = 0.0
        row[B_SCORE] = 0.0
        if place == PLACE_MARKET:
            carbon = pf[v + V_KW_PER_GPU] * sf[lane, pi[S_REGION_CARBON] + int(pf[v + V_REGION])]
            row[B_ASK_SCORE] = request[R_PRICE] * ask
            row[B_SCORE] = (
                request[R_RELIABILITY] * (1.0 - sf[lane, pi[S_REPUTATION] + p])
                + request[R_CARBON] * carbon
            )
        elif place == PLACE_FIRST_FIT:
            row[B_SCORE] = float(p)
        n += 1
    while begun < TIERS:
        first[begun] = n
        begun += 1
    return n


@inlined_function
def close_row(board: Float, first: Int, k: int, n: int) -> None:
    """Row k of the board's n has no room any more: the rows behind it move up."""
    for i in range(k, n - 1):
        for c in range(BOARD_WIDTH):
            board[i, c] = board[i + 1, c]
    for t in range(TIERS):
        if first[t] > k:
            first[t] -= 1


@inlined_function
def fit_weight(request: Float, pf: Float, pi: Int) -> float:
    """Score of a GPU that stays free at the provider that is chosen."""
    place = int(request[R_PLACE])
    if place == PLACE_MARKET:
        return float(pf[pi[P_SCALARS] + X_FIT_WEIGHT] / pf[pi[P_SCALARS] + X_LARGEST_PROVIDER])
    if place == PLACE_BEST_FIT:
        return 1.0
    # Tetris: the largest product of need and room.
    return -1.0 if place == PLACE_DOT_PRODUCT else 0.0


@inlined_function
def choose_provider(
    bid: float, need: float, offers: Float, ceiling: float, inverse: float, fit: float
) -> tuple[int, bool]:
    """The row of `offers` an order goes to (-1: none), and whether any had the room.

    Args:
        offers: rows of the board whose GPU class is good enough.
        ceiling: the charter's limit of the GPUs at work at one provider.
        inverse: 1 / reference price of the order's class.
        fit: see `fit_weight`.
    """
    best, best_score, room = -1, np.inf, False
    for k in range(len(offers)):
        left = offers[k, B_FREE] - need
        if left < -ROOM:
            continue
        room = True
        if offers[k, B_PRICE] <= bid and offers[k, B_AT_WORK] + need <= ceiling:
            score = offers[k, B_ASK_SCORE] * inverse + offers[k, B_SCORE] + fit * left
            if score < best_score:
                best, best_score = k, score
    return best, room


@inlined_function
def match_orders(
    lane: int, waiting: int, gangs: float, queue: Int, keys: Float, rows: Int, jobs: Float,
    free: Float, board: Float, first: Int, room: Float, cheapest: Float, class_used: Float,
    request: Float, pf: Float, pi: Int, sf: Float, si: Int, out: Float,
) -> None:  # fmt: skip
    """Begin leases in the queue's order as far as there is room; orders without room are passed.

    `free` (providers,) holds the idle GPUs; `board` (providers, BOARD_WIDTH), `first`, `room` and
    `cheapest` (tiers,), `keys` and `rows` are scratch.
    """
    if si[lane, pi[S_HALTED]] == 1 or waiting == 0:
        return
    rule = int(request[R_ORDER])
    total = look_for_room(lane, free, room, cheapest, request, pf, pi, sf)
    n, least = 0, np.inf
    for i in range(waiting):
        row = jobs[queue[i]]
        need = row[J_GPUS] * min(1.0, row[J_REMAINING])
        tier = int(row[J_TIER])
        if need <= room[tier] and row[J_BID] >= cheapest[tier]:
            push(keys, rows, n, order_key(row, rule, request, class_used, pf, pi), queue[i])
            least = min(least, need)
            n += 1
    if n == 0:
        return
    offers = set_board(lane, least, free, board, first, request, pf, pi, sf)
    for_gangs = (1.0 - sf[lane, pi[S_GOVERNED] + G_SMALL_TENANT]) * total
    ceiling = max(sf[lane, pi[S_GOVERNED] + G_PROVIDER_CAP] * total, 1.0)
    if pi[pi[P_MODES] + M_MARKET] == 0:
        for_gangs = ceiling = np.inf
    fit = fit_weight(request, pf, pi)
    deposits: Any = 0
    references = pi[P_TIER_REFERENCE]
    while n > 0:
        j = rows[0]
        row = jobs[j]
        kind = int(row[J_CLASS])
        if rule == ORDER_DRF and -class_used[kind] < keys[0]:
            # Its tenant got something since: back into the queue with the share it has now.
            pop(keys, rows, n)
            push(keys, rows, n - 1, -class_used[kind], j)
            continue
        pop(keys, rows, n)
        n -= 1
        need = row[J_GPUS] * min(1.0, row[J_REMAINING])
        tier = int(row[J_TIER])
        if need > room[tier]:
            continue
        gang = row[J_GPUS] > 1.0
        if gang and gangs + need > for_gangs:
            out[0, lane, OUT_EVENT + E_REVERTS] += 1.0
            continue
        inverse = 1.0 / pf[references + tier]
        begin = first[tier]
        k, had_room = choose_provider(row[J_BID], need, board[begin:offers], ceiling, inverse, fit)
        if not had_room:
            # Room only shrinks from here on, so nothing as large will fit either.
            for t in range(tier, TIERS):
                room[t] = min(room[t], need * 0.999999)
        if k < 0:
            continue
        offer = board[begin + k]
        p = pi[pi[P_OPENING] + int(offer[B_COLUMN])]
        free[p] -= need
        offer[B_FREE] -= need
        offer[B_AT_WORK] += need
        class_used[kind] += need
        if gang:
            gangs += need
        deposits += begin_lease(lane, row, p, offer[B_PRICE], pf, pi, sf, si, out)
        if offer[B_FREE] - least < -ROOM:
            close_row(board, first, begin + k, offers)
            offers -= 1
    if deposits > 0 and pi[pi[P_MODES] + M_MARKET] == 1:
        deposit(lane, deposits, pf, pi, sf, si, out)
