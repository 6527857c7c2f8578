"""How an episode begins, in the middle of work, and how its clock and its world advance."""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import exp
from daogym.envs.core.random import as_int64, as_uint64, episode_key, integer, poisson
from daogym.envs.dao.staking import STAKING_WIDTH
from daogym.envs.dao.treasury import mint

from .bids import clear_bids
from .govern import advance_votes, begin_governance
from .jobs import draw_order, fail_jobs, jobs_of, look_at_jobs
from .layout import (
    BALANCES,
    CLASSES,
    D_BEFORE,
    D_HELD,
    D_NOW,
    E_NODE_FAILURES,
    ESCROW,
    F_JOBS_DAY,
    F_JOBS_HOUR,
    F_PAID_DAY,
    FOR_CAPITAL,
    M_MARKET,
    M_SPLIT,
    M_STAGGER,
    MICRO,
    N_FLOW,
    N_GOVERNED,
    N_OPERATOR,
    OUT_EVENT,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    P_GOVERNED_INITIAL,
    P_LAW_RESIDUAL,
    P_MODES,
    P_PROVIDERS,
    P_SCALARS,
    P_SIZES,
    P_STAKING,
    P_START_EDGES,
    P_TRACE_FIRST,
    P_TRACE_STARTS,
    P_TRACE_STEPS,
    PROVIDER_WIDTH,
    S_ACTION,
    S_CAPACITY_GPUS,
    S_DONE,
    S_DUTY,
    S_EPISODE,
    S_EPISODE_KEY,
    S_FEED,
    S_FIRST_DAY,
    S_FLOW,
    S_FORCED_DAY,
    S_GOVERNED,
    S_HALTED,
    S_MARKET_ACCOUNTS,
    S_N_JOBS,
    S_REPUTATION,
    S_REWARD_PER_DAY,
    S_ROOT_KEY,
    S_STAKING,
    S_STARTED,
    S_STEP,
    S_SUMS,
    S_TOKEN_PRICE,
    S_USED_GPUS,
    S_VAULT_TOKENS,
    S_Z_SLOW,
    TIERS,
    TREASURY,
    V_GPUS,
    V_STAKE_USD,
    X_ARRIVALS,
    X_BALANCE_USD,
    X_COLLATERAL_RATIO,
    X_HALT_RATIO,
    X_SIGMA_SLOW,
    X_START_JOBS,
    X_TOKEN_PRICE,
    X_TREASURY_USD,
    Z_DUTY,
    Z_HORIZON,
    Z_JOBS,
    Z_LOOK_BACK,
    Z_PROVIDERS,
    Z_STARTS,
    Z_STEPS_PER_HOUR,
    Z_STEPS_PER_INTENSITY,
)
from .matching import BOARD_WIDTH, match_orders
from .money import accounts_of, collateral_ratio, totals_of
from .offers import contract_capacity, open_all, set_offers
from .party_money import begin_parties
from .request import REQUEST_WIDTH, make_request
from .world import (
    STREAM_FIRST_JOB,
    STREAM_FIRST_JOBS,
    STREAM_FIRST_TERMS,
    STREAM_START,
    advance_intensity,
    advance_nodes,
    advance_prices,
    advance_token,
    begin_intensity,
    begin_nodes,
    begin_prices,
    oracle_price,
    set_prices,
    trace_step,
)

# Episodes of the splits have numbers of their own, so that no world is in two of them.
SPLIT_EPISODES = 1 << 40


@kernel_function
def begin_episode(
    lane: int, pf: Float, pi: Int, charter: Any, sf: Float, si: Int, out: Float
) -> None:
    """Begin the lane's next episode on a drawn (or forced) day. `out` row 0 is left cleared."""
    sizes, modes = pi[P_SIZES], pi[P_MODES]
    episode = si[lane, pi[S_EPISODE]] + 1
    key = episode_key(
        as_uint64(si[lane, pi[S_ROOT_KEY]]), episode + SPLIT_EPISODES * pi[modes + M_SPLIT]
    )
    si[lane, pi[S_EPISODE]] = episode
    si[lane, pi[S_EPISODE_KEY]] = as_int64(key)
    day = integer(key, STREAM_START, 0, 0, 7)
    starts = pi[sizes + Z_STARTS]
    if starts > 0:
        day = pi[pi[P_TRACE_STARTS] + integer(key, STREAM_START, 0, 0, starts)]
    if si[lane, pi[S_FORCED_DAY]] >= 0:
        day = si[lane, pi[S_FORCED_DAY]]
    si[lane, pi[S_FIRST_DAY]] = day
    si[lane, pi[S_FORCED_DAY]] = -1
    step: Any = 0
    if pi[modes + M_STAGGER] == 1 and episode == 0:
        step = integer(key, STREAM_START, 0, 1, pi[sizes + Z_HORIZON])
    si[lane, pi[S_STEP]] = step
    si[lane, pi[S_STARTED]] = step
    si[lane, pi[S_DONE]] = 0
    si[lane, pi[S_HALTED]] = 0
    for g in range(N_GOVERNED):
        sf[lane, pi[S_GOVERNED] + g] = pf[pi[P_GOVERNED_INITIAL] + g]
    for a in range(N_OPERATOR):
        sf[lane, pi[S_ACTION] + a] = 0.0
    clear_bids(lane, pi, sf)
    if len(charter) > 0:
        begin_governance(lane, key, charter, pf, pi, sf, si)
    begin_intensity(lane, key, pf, pi, sf)
    begin_prices(lane, key, pf, pi, sf)
    set_prices(lane, step, pf, pi, sf, si)
    begin_nodes(lane, key, step, pf, pi, sf, si)
    _begin_books(lane, pf, pi, sf, si)
    _begin_jobs(lane, key, step, pf, pi, sf, si, out)
    credits = si[lane, pi[S_MARKET_ACCOUNTS] + ESCROW] / MICRO
    sf[lane, pi[S_VAULT_TOKENS]] = (
        pf[pi[P_SCALARS] + X_COLLATERAL_RATIO] * credits / oracle_price(lane, pi, sf)
    )
    begin_parties(lane, pi, sf, si)
    for c in range(OUT_WIDTH_VOTED if len(charter) > 0 else OUT_WIDTH):
        out[0, lane, c] = 0.0
        sf[lane, pi[S_SUMS] + c] = 0.0


@kernel_function
def _begin_books(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Accounts, stakes, reputations, the token and the moving averages."""
    x = pi[P_SCALARS]
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    accounts, totals = accounts_of(lane, pi, si), totals_of(lane, pi, si)
    accounts[:] = 0
    totals[:] = 0
    mint(accounts, totals, FOR_CAPITAL, TREASURY, int(pf[x + X_TREASURY_USD] * MICRO))
    width = pi[pi[P_SIZES] + Z_DUTY]
    for c in range(STAKING_WIDTH):
        si[lane, pi[S_STAKING] + c] = pi[pi[P_STAKING] + c]
    for p in range(n):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        balance = int(pf[x + X_BALANCE_USD] * pf[v + V_GPUS] * MICRO)
        mint(accounts, totals, FOR_CAPITAL, BALANCES + p, balance)
        mint(accounts, totals, FOR_CAPITAL, BALANCES + n + p, int(pf[v + V_STAKE_USD] * MICRO))
        for c in range(width):
            si[lane, pi[S_DUTY] + p * width + c] = 0
        sf[lane, pi[S_REPUTATION] + p] = 0.9
        sf[lane, pi[S_REWARD_PER_DAY] + p] = 0.0
        sf[lane, pi[S_USED_GPUS] + p] = 0.5 * pf[v + V_GPUS]
    for c in range(N_FLOW):
        sf[lane, pi[S_FLOW] + c] = 0.0
    flow = pi[S_FLOW]
    expected = pf[x + X_ARRIVALS] * pi[pi[P_SIZES] + Z_STEPS_PER_HOUR]
    sf[lane, flow + F_JOBS_HOUR] = expected
    sf[lane, flow + F_JOBS_DAY] = expected
    price = pf[x + X_TOKEN_PRICE]
    sf[lane, pi[S_TOKEN_PRICE]] = price
    sf[lane, pi[S_FEED] + D_NOW] = price
    sf[lane, pi[S_FEED] + D_BEFORE] = price
    sf[lane, pi[S_FEED] + D_HELD] = 0.0


@kernel_function
def _begin_jobs(lane: int, key: Any, step: int, pf: Float, pi: Int, sf: Float, si: Int,
                out: Float) -> None:  # fmt: skip
    """Work in progress, as in a queue with room for all (M/G/infinity) under the slow intensity.

    How many is Poisson with mean rate x mean duration, kinds weigh by their share of it, and what
    is left of each follows the residual law of its durations. What finds no room waits. In a
    trace's place it is what is left of the orders before, had each begun at once.
    """
    slots = pi[pi[P_SIZES] + Z_JOBS]
    n_providers = pi[pi[P_SIZES] + Z_PROVIDERS]
    jobs = jobs_of(lane, pi, sf)
    queue, rows = np.empty(slots, dtype=np.int64), np.empty(slots, dtype=np.int64)
    keys = np.empty(slots)
    count = _find_jobs(lane, key, step, rows, keys, pf, pi, sf, si)
    for i in range(count):
        draw_order(
            jobs[i], key, STREAM_FIRST_JOB, STREAM_FIRST_TERMS, step, i, pi[P_START_EDGES],
            pi[P_LAW_RESIDUAL], rows[i], keys[i], pf, pi,
        )  # fmt: skip
        queue[i] = i
    si[lane, pi[S_N_JOBS]] = count
    working, free = np.empty(n_providers), np.empty(n_providers)
    open_all(lane, pf, pi, sf)
    set_offers(lane, pf, pi, sf, si, working)
    for p in range(n_providers):
        free[p] = sf[lane, pi[S_CAPACITY_GPUS] + p]
    request, clean = np.zeros(REQUEST_WIDTH), np.zeros(N_OPERATOR)
    make_request(lane, clean, pf, pi, sf, request)
    match_orders(
        lane, count, 0.0, queue, keys, rows, jobs, free, np.empty((n_providers, BOARD_WIDTH)),
        np.empty(TIERS, dtype=np.int64), np.empty(TIERS), np.empty(TIERS),
        np.zeros(CLASSES), request, pf, pi, sf, si, out,
    )  # fmt: skip
    for p in range(n_providers):
        sf[lane, pi[S_USED_GPUS] + p] = sf[lane, pi[S_CAPACITY_GPUS] + p] - free[p]
    look_at_jobs(lane, jobs, pf, pi, sf, si)
    contract_capacity(lane, request, np.empty(TIERS), np.empty(TIERS), pf, pi, sf, 1.0)
    set_offers(lane, pf, pi, sf, si, working)
    sf[lane, pi[S_FLOW] + F_PAID_DAY] = 0.0


@kernel_function
def _find_jobs(
    lane: int, key: Any, step: int, rows: Int, ages: Float, pf: Float, pi: Int, sf: Float, si: Int
) -> int:
    """How many orders are found at work; `rows` gets their numbers in the trace (-1: to be drawn),
    `ages` the steps since they arrived."""
    slots = len(rows)
    if pi[pi[P_SIZES] + Z_STARTS] == 0:
        x = pi[P_SCALARS]
        sigma = pf[x + X_SIGMA_SLOW]
        level = exp(sf[lane, pi[S_Z_SLOW]] - 0.5 * sigma * sigma)
        drawn = int(poisson(key, STREAM_FIRST_JOBS, 0, 0, pf[x + X_START_JOBS] * level))
        rows[:] = -1
        ages[:] = 0.0
        return min(drawn, slots)
    now = trace_step(lane, step, pi, si)
    first, lasts = pi[P_TRACE_FIRST], pi[P_TRACE_STEPS]
    count = 0
    for then in range(max(now - pi[pi[P_SIZES] + Z_LOOK_BACK], 0), now):
        for order in range(pi[first + then], pi[first + then + 1]):
            if pf[lasts + order] > now - then and count < slots:
                rows[count] = order
                ages[count] = now - then
                count += 1
    return count


@inlined_function
def advance_clock(
    lane: int, jobs: Float, failed: Float, working: Float, scratch: Float, pf: Float, pi: Int,
    charter: Any, sf: Float, si: Int, out: Float,
) -> None:  # fmt: skip
    """End of the step: the next step's rules, prices, nodes, token; failures send work back."""
    step = si[lane, pi[S_STEP]] + 1
    si[lane, pi[S_STEP]] = step
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    if len(charter) > 0:
        advance_votes(lane, key, charter, pf, pi, sf, si, out)
    per_hour = pi[pi[P_SIZES] + Z_STEPS_PER_HOUR]
    period = pi[pi[P_SIZES] + Z_STEPS_PER_INTENSITY]
    if step % period == 0:
        advance_intensity(lane, key, step // period, pf, pi, sf)
    if step % per_hour == 0:
        advance_prices(lane, key, step // per_hour, pf, pi, sf)
        set_prices(lane, step, pf, pi, sf, si)
    failures = advance_nodes(lane, key, step, pf, pi, sf, si, failed)
    if pi[pi[P_MODES] + M_MARKET] == 1:
        advance_token(lane, key, step, pf, pi, sf)
        ratio = collateral_ratio(lane, pi, sf, si)
        si[lane, pi[S_HALTED]] = 1 if ratio < pf[pi[P_SCALARS] + X_HALT_RATIO] else 0
    set_offers(lane, pf, pi, sf, si, working)
    if failures > 0:
        out[0, lane, OUT_EVENT + E_NODE_FAILURES] += float(failures)
        fail_jobs(lane, key, step, jobs, failed, working, scratch, pf, pi, sf, si, out)
        look_at_jobs(lane, jobs, pf, pi, sf, si)
