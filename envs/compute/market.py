"""The market of one step: providers' bids, admission, matching and the service itself.

Reverse auction, pay as bid: an order goes to the provider with the least score among those that
have room, a good enough GPU class and an ask whose price the tenant's bid covers (Akash). The
tenant pays ask x (1 + take rate + spread); deposit and price are fixed when the lease begins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_uint64, poisson
from daogym.envs.dao.treasury import burn, transfer

from .jobs import (
    COMPLETED_WEIGHT,
    close_lease,
    count_job,
    draw_order,
    finish_load,
    order_value,
    remove_row,
)
from .layout import (
    BALANCES,
    E_ADMITTED_JOBS,
    E_ARRIVED_GPU_H,
    E_ARRIVED_JOBS,
    E_COMPLETED_JOBS,
    E_DROPPED_GPU_H,
    E_MATCHED_JOBS,
    E_OVERFLOWED_JOBS,
    E_REJECTED_JOBS,
    E_REVERTS,
    E_SERVED_GPU_H,
    E_WAIT_H,
    ESCROW,
    F_ARRIVED_JOBS,
    F_FINISHED,
    FOR_DEPOSITS,
    G_PROVIDER_CAP,
    G_SMALL_TENANT,
    G_TAKE_RATE,
    J_ARRIVAL,
    J_ASK,
    J_BAND,
    J_BID,
    J_CLASS,
    J_DEPOSIT,
    J_GPUS,
    J_LEASE_PAID,
    J_LOG_RATIO,
    J_PAID,
    J_PRICE,
    J_PROVIDER,
    J_REMAINING,
    J_TIER,
    J_WORK,
    M_MARKET,
    MICRO,
    N_LOAD,
    ORDER_DRF,
    ORDER_FIFO,
    ORDER_MARKET,
    ORDER_ORACLE,
    ORDER_PREDICTED,
    OUT_EVENT,
    OUT_TERM,
    P_BAND_WORK,
    P_LAW_LOG_STEPS,
    P_MODES,
    P_PROVIDERS,
    P_SCALARS,
    P_SHAPE_SHARE,
    P_SIZES,
    P_TIER_REFERENCE,
    PLACE_BEST_FIT,
    PLACE_DOT_PRODUCT,
    PLACE_FIRST_FIT,
    PLACE_MARKET,
    PROVIDER_WIDTH,
    S_ASK,
    S_CAPACITY_GPUS,
    S_EPISODE_KEY,
    S_FLOW,
    S_GOVERNED,
    S_HALTED,
    S_LOAD,
    S_N_JOBS,
    S_REGION_CARBON,
    S_REGION_PRICE,
    S_REPUTATION,
    S_STEP,
    S_UP_SHARE,
    S_USED_GPUS,
    T_REJECTED,
    T_SERVED,
    TIERS,
    TREASURY,
    V_CAPITAL_USD_PER_GPU_H,
    V_GPUS,
    V_KW_PER_GPU,
    V_MARKUP_EMPTY,
    V_MARKUP_FULL,
    V_REGION,
    V_TIER,
    X_ADMISSION_PRESSURE,
    X_DT_H,
    X_FIT_WEIGHT,
    X_LARGEST_PROVIDER,
    X_REJECTION_SHARE,
    Z_JOBS,
    Z_PROVIDERS,
)
from .money import accounts_of, deposit, may_offer, move_vault, totals_of
from .request import (
    R_CARBON,
    R_ORDER,
    R_PLACE,
    R_PRICE,
    R_PRIORITY,
    R_RELIABILITY,
    R_SPREAD,
    R_THRESHOLD,
)
from .world import STREAM_ARRIVALS, STREAM_JOB, STREAM_TERMS, mean_arrivals

ROOM = 1e-9
# Rows of the board of one step's matching: idle and busy GPUs, class, price with fees, weighted
# ask, and what else enters the score.
(B_FREE, B_AT_WORK, B_TIER, B_PRICE, B_ASK_SCORE, B_SCORE) = range(6)
BOARD_ROWS = 6


@kernel_function
def set_asks(lane: int, pf: Float, pi: Int, sf: Float, si: Int, working: Float) -> None:
    """Providers' capacities and bids for the coming step, from their load in the last one.

    A bid is the energy's cost plus capital costs with a mark-up that grows with the square of the
    own utilisation. `working` (providers,) gets the GPUs that work, on offer or not.
    """
    market = pi[pi[P_MODES] + M_MARKET] == 1
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        gpus = pf[v + V_GPUS]
        working[p] = gpus * sf[lane, pi[S_UP_SHARE] + p]
        if not market:
            sf[lane, pi[S_CAPACITY_GPUS] + p] = working[p]
            continue
        offered = working[p] if may_offer(lane, p, gpus, pi, sf, si) else 0.0
        sf[lane, pi[S_CAPACITY_GPUS] + p] = offered
        share = min(sf[lane, pi[S_USED_GPUS] + p] / max(working[p], 1.0), 1.0)
        rise = pf[v + V_MARKUP_FULL] - pf[v + V_MARKUP_EMPTY]
        markup = pf[v + V_MARKUP_EMPTY] + rise * share * share
        energy = pf[v + V_KW_PER_GPU] * sf[lane, pi[S_REGION_PRICE] + int(pf[v + V_REGION])]
        sf[lane, pi[S_ASK] + p] = energy + pf[v + V_CAPITAL_USD_PER_GPU_H] * (1.0 + markup)


@kernel_function
def count_arrivals(lane: int, step: int, pf: Float, pi: Int, sf: Float, si: Int) -> int:
    """Orders that arrive in this step (Poisson, given the intensity)."""
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    mean = mean_arrivals(lane, step, pf, pi, sf, si)
    return int(poisson(key, STREAM_ARRIVALS, step, 0, mean))


@kernel_function
def take_orders(
    lane: int, waiting: int, queue: Int, jobs: Float, free: Float, backlog: Float, offered: Float,
    request: Float, pf: Float, pi: Int, sf: Float, si: Int, out: Float,
) -> int:  # fmt: skip
    """Orders that arrive in this step are admitted or rejected; how many rows wait then.

    The least bid that is admitted rises with the GPUs that wait beyond those that are `free`
    (providers,), of the order's class or better, as a share of those on offer; `backlog` and
    `offered` (tiers,) are scratch.
    """
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    step = si[lane, pi[S_STEP]]
    slots = pi[pi[P_SIZES] + Z_JOBS]
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    arrived = count_arrivals(lane, step, pf, pi, sf, si)
    event = OUT_EVENT
    if arrived > 0:
        count_backlog(lane, waiting, queue, jobs, free, backlog, offered, pf, pi, sf)
    rise = pf[x + X_ADMISSION_PRESSURE]
    rejection = pf[x + X_REJECTION_SHARE]
    shares, laws = pi[P_SHAPE_SHARE], pi[P_LAW_LOG_STEPS]
    n = si[lane, pi[S_N_JOBS]]
    before = n
    arrived_h, dropped_h, loss, overflowed = 0.0, 0.0, 0.0, 0.0
    for i in range(arrived):
        row = jobs[n]
        draw_order(row, key, STREAM_JOB, STREAM_TERMS, step, i, shares, laws, pf, pi)
        hours = row[J_GPUS] * row[J_WORK] * dt_h
        arrived_h += hours
        tier = int(row[J_TIER])
        least = request[R_THRESHOLD + int(row[J_BAND])]
        least += rise * max(backlog[tier] + row[J_GPUS], 0.0) / max(offered[tier], 1.0)
        if n < slots and row[J_LOG_RATIO] >= least:
            for t in range(tier + 1):
                backlog[t] += row[J_GPUS]
            queue[waiting] = n
            waiting += 1
            n += 1
            continue
        loss += rejection * order_value(row, dt_h)
        dropped_h += hours
        if n >= slots:
            overflowed += 1.0
    si[lane, pi[S_N_JOBS]] = n
    admitted = float(n - before)
    out[0, lane, OUT_TERM + T_REJECTED] -= loss
    out[0, lane, event + E_ARRIVED_GPU_H] += arrived_h
    out[0, lane, event + E_DROPPED_GPU_H] += dropped_h
    out[0, lane, event + E_ADMITTED_JOBS] += admitted
    out[0, lane, event + E_OVERFLOWED_JOBS] += overflowed
    out[0, lane, event + E_REJECTED_JOBS] += arrived - admitted - overflowed
    out[0, lane, event + E_ARRIVED_JOBS] += float(arrived)
    sf[lane, pi[S_FLOW] + F_ARRIVED_JOBS] = float(arrived)
    return waiting


@kernel_function
def count_backlog(
    lane: int, waiting: int, queue: Int, jobs: Float, free: Float, backlog: Float, offered: Float,
    pf: Float, pi: Int, sf: Float,
) -> None:  # fmt: skip
    """Add up by class (or better): GPUs that wait beyond those free, and GPUs on offer."""
    backlog[:] = 0.0
    offered[:] = 0.0
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        tier = int(pf[pi[P_PROVIDERS] + p * PROVIDER_WIDTH + V_TIER])
        for t in range(tier + 1):
            backlog[t] -= max(free[p], 0.0)
            offered[t] += sf[lane, pi[S_CAPACITY_GPUS] + p]
    for i in range(waiting):
        row = jobs[queue[i]]
        for t in range(int(row[J_TIER]) + 1):
            backlog[t] += row[J_GPUS]


@kernel_function
def order_key(row: Float, rule: int, request: Float, class_used: Float, pf: Float,
              pi: Int) -> float:  # fmt: skip
    """Place of an order in the queue under an order rule; the largest comes first."""
    if rule == ORDER_MARKET:
        return float(row[J_LOG_RATIO] + request[R_PRIORITY + int(row[J_BAND])])
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


@kernel_function
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


@kernel_function
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


@kernel_function
def set_board(
    lane: int, free: Float, board: Float, request: Float, pf: Float, pi: Int, sf: Float
) -> None:
    """What matching compares of each provider, (BOARD_ROWS, providers): see the B_ rows."""
    fees = 1.0 + sf[lane, pi[S_GOVERNED] + G_TAKE_RATE] + request[R_SPREAD]
    place = int(request[R_PLACE])
    for p in range(board.shape[1]):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        ask = sf[lane, pi[S_ASK] + p]
        board[B_FREE, p] = free[p]
        board[B_AT_WORK, p] = sf[lane, pi[S_CAPACITY_GPUS] + p] - free[p]
        board[B_TIER, p] = pf[v + V_TIER]
        board[B_PRICE, p] = ask * fees
        board[B_ASK_SCORE, p] = 0.0
        board[B_SCORE, p] = 0.0
        if place == PLACE_MARKET:
            carbon = pf[v + V_KW_PER_GPU] * sf[lane, pi[S_REGION_CARBON] + int(pf[v + V_REGION])]
            board[B_ASK_SCORE, p] = request[R_PRICE] * ask
            board[B_SCORE, p] = (
                request[R_RELIABILITY] * (1.0 - sf[lane, pi[S_REPUTATION] + p])
                + request[R_CARBON] * carbon
            )
        elif place == PLACE_FIRST_FIT:
            board[B_SCORE, p] = float(p)


@kernel_function
def fit_weight(request: Float, pf: Float, pi: Int) -> float:
    """Score of a GPU that stays free at the provider that is chosen."""
    place = int(request[R_PLACE])
    if place == PLACE_MARKET:
        return float(pf[pi[P_SCALARS] + X_FIT_WEIGHT] / pf[pi[P_SCALARS] + X_LARGEST_PROVIDER])
    if place == PLACE_BEST_FIT:
        return 1.0
    # Tetris: the largest product of need and room.
    return -1.0 if place == PLACE_DOT_PRODUCT else 0.0


@kernel_function
def choose_provider(
    row: Float, need: float, board: Float, ceiling: float, inverse: float, fit: float
) -> tuple[int, bool]:
    """The provider an order goes to (-1: none), and whether any had the room and the class.

    Args:
        ceiling: the charter's limit of the GPUs at work at one provider.
        inverse: 1 / reference price of the order's class.
        fit: see `fit_weight`.
    """
    tier, bid = row[J_TIER], row[J_BID]
    best, best_score, room = -1, np.inf, False
    # Without branches: which providers fail a test is hard to predict.
    for p in range(board.shape[1]):
        left = board[B_FREE, p] - need
        fits = (left >= -ROOM) & (board[B_TIER, p] >= tier)
        room = room | fits
        taken = fits & (board[B_PRICE, p] <= bid) & (board[B_AT_WORK, p] + need <= ceiling)
        score = board[B_ASK_SCORE, p] * inverse + board[B_SCORE, p] + fit * left
        score = score if taken else np.inf
        better = score < best_score
        best = p if better else best
        best_score = score if better else best_score
    return best, room


@kernel_function
def match_orders(
    lane: int, waiting: int, gangs: float, queue: Int, keys: Float, rows: Int, jobs: Float,
    free: Float, board: Float, room: Float, cheapest: Float, class_used: Float, request: Float,
    pf: Float, pi: Int, sf: Float, si: Int, out: Float,
) -> None:  # fmt: skip
    """Begin leases in the queue's order as far as there is room; orders without room are passed.

    `free` (providers,) holds the idle GPUs; `board`, `room` and `cheapest` (tiers,), `keys`
    and `rows` are scratch.
    """
    if si[lane, pi[S_HALTED]] == 1 or waiting == 0:
        return
    rule = int(request[R_ORDER])
    set_board(lane, free, board, request, pf, pi, sf)
    room[:] = 0.0
    cheapest[:] = np.inf
    total = 0.0
    for p in range(board.shape[1]):
        total += board[B_FREE, p] + board[B_AT_WORK, p]
        for t in range(int(board[B_TIER, p]) + 1):
            room[t] = max(room[t], board[B_FREE, p] + ROOM)
            cheapest[t] = min(cheapest[t], board[B_PRICE, p])
    n = 0
    for i in range(waiting):
        row = jobs[queue[i]]
        need = row[J_GPUS] * min(1.0, row[J_REMAINING])
        tier = int(row[J_TIER])
        if need <= room[tier] and row[J_BID] >= cheapest[tier]:
            push(keys, rows, n, order_key(row, rule, request, class_used, pf, pi), queue[i])
            n += 1
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
        p, had_room = choose_provider(row, need, board, ceiling, inverse, fit)
        if not had_room:
            # Room only shrinks from here on, so nothing as large will fit either.
            for t in range(tier, TIERS):
                room[t] = min(room[t], need * 0.999999)
        if p < 0:
            continue
        free[p] -= need
        board[B_FREE, p] -= need
        board[B_AT_WORK, p] += need
        class_used[kind] += need
        if gang:
            gangs += need
        deposits += begin_lease(lane, row, p, board[B_PRICE, p], pf, pi, sf, si, out)
    if deposits > 0 and pi[pi[P_MODES] + M_MARKET] == 1:
        deposit(lane, deposits, pf, pi, sf, si, out)


@kernel_function
def begin_lease(lane: int, row: Float, p: int, price: float, pf: Float, pi: Int, sf: Float,
                si: Int, out: Float) -> int:  # fmt: skip
    """An order begins at a provider; what the tenant deposits, micro-USD.

    At the first lease that is the whole bid, at a later one nothing.
    """
    dt_h = pf[pi[P_SCALARS] + X_DT_H]
    ask = sf[lane, pi[S_ASK] + p]
    row[J_PROVIDER] = p
    row[J_ASK] = ask
    row[J_PRICE] = price
    row[J_LEASE_PAID] = 0.0
    if row[J_DEPOSIT] != 0.0:
        return 0
    out[0, lane, OUT_EVENT + E_MATCHED_JOBS] += 1.0
    out[0, lane, OUT_EVENT + E_WAIT_H] += (si[lane, pi[S_STEP]] - row[J_ARRIVAL]) * dt_h
    micro = int(order_value(row, dt_h) * MICRO) + 1
    row[J_DEPOSIT] = micro
    return micro


@kernel_function
def serve(lane: int, jobs: Float, used: Float, paid: Int, pf: Float, pi: Int, sf: Float, si: Int,
          out: Float) -> None:  # fmt: skip
    """What runs makes a step of progress; pay accrues; what is done leaves; the rest is counted.

    `used` (providers,) gets the GPU-hours of each provider, `paid` (providers,) its micro-USD.
    """
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    market = pi[pi[P_MODES] + M_MARKET] == 1
    used[:n] = 0.0
    paid[:n] = 0
    fees: Any = 0
    refunds: Any = 0
    served_usd, served_h, completed = 0.0, 0.0, 0.0
    reputations = pi[S_REPUTATION]
    count = si[lane, pi[S_N_JOBS]]
    load = sf[lane, pi[S_LOAD] : pi[S_LOAD] + N_LOAD]
    load[:] = 0.0
    end = si[lane, pi[S_STEP]] + 1.0
    j = 0
    while j < count:
        row = jobs[j]
        if row[J_PROVIDER] < 0.0:
            count_job(row, end, load)
            j += 1
            continue
        p = int(row[J_PROVIDER])
        progress = min(1.0, row[J_REMAINING])
        hours = row[J_GPUS] * progress * dt_h
        if market:
            pay = int(row[J_PRICE] * hours * MICRO)
            if row[J_PAID] + pay > row[J_DEPOSIT]:
                close_lease(lane, j, jobs, pf, pi, sf, si, out)
                count -= 1
                continue
            to_provider = int(row[J_ASK] * hours * MICRO)
            row[J_PAID] += pay
            row[J_LEASE_PAID] += to_provider
            paid[p] += to_provider
            fees += pay - to_provider
        used[p] += hours
        served_h += hours
        served_usd += row[J_BID] * hours
        row[J_REMAINING] -= progress
        if row[J_REMAINING] > 0.0:
            count_job(row, end, load)
            j += 1
            continue
        completed += 1.0
        sf[lane, reputations + p] += COMPLETED_WEIGHT * (1.0 - sf[lane, reputations + p])
        if market:
            refunds += int(row[J_DEPOSIT] - row[J_PAID])
        remove_row(lane, j, jobs, pi, si)
        count -= 1
    finish_load(load, dt_h)
    out[0, lane, OUT_EVENT + E_COMPLETED_JOBS] += completed
    sf[lane, pi[S_FLOW] + F_FINISHED] += completed
    out[0, lane, OUT_TERM + T_SERVED] += served_usd
    out[0, lane, OUT_EVENT + E_SERVED_GPU_H] += served_h
    if market:
        pay_out(lane, paid, fees, refunds, pi, sf, si, out)


@kernel_function
def pay_out(lane: int, paid: Int, fees: int, refunds: int, pi: Int, sf: Float, si: Int,
            out: Float) -> None:  # fmt: skip
    """Escrow pays the step's providers and the treasury, and what completed leases leave over."""
    accounts = accounts_of(lane, pi, si)
    total = fees
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        transfer(accounts, ESCROW, BALANCES + p, paid[p])
        total += paid[p]
    transfer(accounts, ESCROW, TREASURY, fees)
    burn(accounts, totals_of(lane, pi, si), FOR_DEPOSITS, ESCROW, refunds)
    move_vault(lane, -(total + refunds) / MICRO, pi, sf, out)
