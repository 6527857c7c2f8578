"""The job table: rows of one lane, the first `n_jobs` of them in use.

An order takes a row when it is admitted and leaves it when it is completed, missed or closed; the
last row then takes its place. Sizes are drawn when an order arrives. Values are USD, work is in
steps; money in the columns `J_DEPOSIT`, `J_PAID` and `J_LEASE_PAID` is whole micro-USD.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import exp
from daogym.envs.core.random import normal, uniform, uniform_pair

from .layout import (
    BANDS,
    E_CLAWED_BACK_USD,
    E_CLOSED_LEASES,
    E_DROPPED_GPU_H,
    E_EXPIRED_JOBS,
    E_LOST_GPU_H,
    E_MISSED_JOBS,
    E_RESTARTED_JOBS,
    F_FINISHED,
    F_MISSED,
    J_ARRIVAL,
    J_BAND,
    J_BID,
    J_CLASS,
    J_DEADLINE,
    J_DEPOSIT,
    J_GPUS,
    J_LEASE_PAID,
    J_LOG_RATIO,
    J_PAID,
    J_PROVIDER,
    J_REMAINING,
    J_TIER,
    J_WORK,
    JOB_WIDTH,
    L_QUEUED_GPUS,
    L_QUEUED_JOBS,
    L_QUEUED_LOG_RATIO,
    L_QUEUED_SLACK,
    L_RUNNING_DONE_H,
    L_RUNNING_GPUS,
    L_RUNNING_USD_PER_H,
    L_TIER_QUEUED,
    M_MARKET,
    MICRO,
    N_LOAD,
    OUT_EVENT,
    OUT_TERM,
    P_BAND_EDGES,
    P_BAND_LOG_BID,
    P_MODES,
    P_SCALARS,
    P_SHAPE_CLASS,
    P_SHAPE_GPUS,
    P_SHAPE_TIER,
    P_SIZES,
    P_TIER_REFERENCE,
    P_TRACE_GPUS,
    P_TRACE_KIND,
    P_TRACE_STEPS,
    P_TRACE_TIER,
    QUEUED,
    S_FLOW,
    S_JOBS,
    S_LOAD,
    S_N_JOBS,
    S_REPUTATION,
    S_STEP,
    SHAPES,
    T_CLAWBACK,
    T_EXPIRED,
    T_LOST_PROGRESS,
    T_SLA,
    X_BID_SIGMA,
    X_CHECKPOINT_STEPS,
    X_CREDIT_SHARE,
    X_DT_H,
    X_EXPIRY_SHARE,
    X_SLA_SHARE,
    X_SLACK_SHARE,
    X_SLACK_STEPS,
    Z_JOBS,
    Z_PROVIDERS,
)
from .money import claw_back, pay_credit, refund
from .world import STREAM_HIT, duration_steps

LEAST_WORK = 1e-9
FAILED_WEIGHT, COMPLETED_WEIGHT = 0.05, 0.01
GPUS_PER_FAILING_NODE = 8.0


@inlined_function
def jobs_of(lane: int, pi: Int, sf: Float) -> Float:
    """The lane's job table, (slots + 1, JOB_WIDTH); the last row is for an order without a slot."""
    rows = pi[pi[P_SIZES] + Z_JOBS] + 1
    first = pi[S_JOBS]
    return sf[lane, first : first + rows * JOB_WIDTH].reshape((rows, JOB_WIDTH))


@inlined_function
def draw_shape(u: float, edges: int, pf: Float) -> tuple[int, float]:
    """A shape by its share, and what is left of u as a uniform number of its own.

    `edges` is the place of the cumulated shares in `pf`.
    """
    s = 0
    for k in range(SHAPES - 1):
        s += 1 if u >= pf[edges + k] else 0
    low = pf[edges + s - 1] if s > 0 else 0.0
    if s < SHAPES - 1:
        return s, (u - low) / (pf[edges + s] - low)
    return s, min((u - low) / max(1.0 - low, 1e-12), 1.0)


@inlined_function
def fill_row(
    row: Float, kind: int, tier: int, gpus: float, work: float, patience: float, z: float,
    step: int, pf: Float, pi: Int,
) -> None:  # fmt: skip
    """Write an order that arrives now; `patience` is uniform, z a standard normal."""
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    work = max(work, LEAST_WORK)
    edges = pi[P_BAND_EDGES]
    band = 0
    for b in range(BANDS - 1):
        if work * dt_h >= pf[edges + b]:
            band = b + 1
    ratio = pf[pi[P_BAND_LOG_BID] + band] + pf[x + X_BID_SIGMA] * z
    slack = pf[x + X_SLACK_STEPS] * (0.5 + patience) + pf[x + X_SLACK_SHARE] * patience * work
    # The first two kinds (shares of a GPU, one GPU) come in bands, the gangs after them do not.
    row[J_CLASS] = kind * BANDS + band if kind < 2 else 2 * BANDS + kind - 2
    row[J_BAND] = band
    row[J_TIER] = tier
    row[J_GPUS] = gpus
    row[J_BID] = pf[pi[P_TIER_REFERENCE] + tier] * exp(ratio)
    row[J_LOG_RATIO] = ratio
    row[J_WORK] = work
    row[J_REMAINING] = work
    row[J_ARRIVAL] = step
    row[J_DEADLINE] = step + np.floor(work + slack) + 1.0
    row[J_PROVIDER] = QUEUED
    for c in range(J_PROVIDER + 1, JOB_WIDTH):
        row[c] = 0.0


@inlined_function
def draw_order(
    row: Float, key: Any, size_stream: int, terms_stream: int, step: int, index: int, edges: int,
    laws: int, replayed: int, age: float, pf: Float, pi: Int,
) -> None:  # fmt: skip
    """Order number `index` that arrives in this step; `laws` is the table of its durations.

    Of order number `replayed` of a trace, `age` steps old, only the terms are drawn; -1: none.
    """
    first, second = uniform_pair(key, size_stream, step, index)
    if replayed >= 0:
        kind, tier = pi[pi[P_TRACE_KIND] + replayed], pi[pi[P_TRACE_TIER] + replayed]
        gpus, work = pf[pi[P_TRACE_GPUS] + replayed], pf[pi[P_TRACE_STEPS] + replayed] - age
        patience = first
    else:
        shape, patience = draw_shape(first, edges, pf)
        kind, tier = pi[pi[P_SHAPE_CLASS] + shape], pi[pi[P_SHAPE_TIER] + shape]
        gpus = pf[pi[P_SHAPE_GPUS] + shape]
        work = duration_steps(second, shape, laws, pf, pi)
    z = normal(key, terms_stream, step, index)
    fill_row(row, kind, tier, gpus, work, patience, z, step, pf, pi)


@inlined_function
def order_value(row: Float, dt_h: float) -> float:
    """What an order is worth to its tenant, USD."""
    return float(row[J_BID] * row[J_GPUS] * row[J_WORK] * dt_h)


@inlined_function
def remove_row(lane: int, j: int, jobs: Float, pi: Int, si: Int) -> None:
    """The last row in use takes the place of row j."""
    last = si[lane, pi[S_N_JOBS]] - 1
    if j < last:
        for c in range(JOB_WIDTH):
            jobs[j, c] = jobs[last, c]
    si[lane, pi[S_N_JOBS]] = last


@kernel_function
def miss_order(
    lane: int, j: int, event: int, jobs: Float, pf: Float, pi: Int, sf: Float, si: Int, out: Float
) -> None:
    """An admitted order that will not be done.

    Where it had a lease, value and pay are clawed back and the SLA is lost; else it has expired.
    """
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    row = jobs[j]
    value = order_value(row, dt_h)
    out[0, lane, OUT_EVENT + E_DROPPED_GPU_H] += row[J_GPUS] * row[J_REMAINING] * dt_h
    sf[lane, pi[S_FLOW] + F_MISSED] += 1.0
    sf[lane, pi[S_FLOW] + F_FINISHED] += 1.0
    if row[J_DEPOSIT] == 0.0:
        out[0, lane, OUT_TERM + T_EXPIRED] -= pf[x + X_EXPIRY_SHARE] * value
        out[0, lane, OUT_EVENT + E_EXPIRED_JOBS] += 1.0
        remove_row(lane, j, jobs, pi, si)
        return
    done = row[J_WORK] - row[J_REMAINING]
    out[0, lane, OUT_TERM + T_CLAWBACK] -= row[J_BID] * row[J_GPUS] * done * dt_h
    out[0, lane, OUT_TERM + T_SLA] -= pf[x + X_SLA_SHARE] * value
    out[0, lane, OUT_EVENT + event] += 1.0
    if pi[pi[P_MODES] + M_MARKET] == 1:
        refund(lane, int(row[J_DEPOSIT] - row[J_PAID]), pi, sf, si, out)
        pay_credit(lane, pf[x + X_CREDIT_SHARE] * value, pi, si, out)
    if row[J_PROVIDER] >= 0.0 and row[J_LEASE_PAID] > 0.0:
        back = claw_back(lane, int(row[J_PROVIDER]), int(row[J_LEASE_PAID]), pi, si)
        out[0, lane, OUT_EVENT + E_CLAWED_BACK_USD] += back / MICRO
    remove_row(lane, j, jobs, pi, si)


@kernel_function
def close_lease(lane: int, j: int, jobs: Float, pf: Float, pi: Int, sf: Float, si: Int,
                out: Float) -> None:  # fmt: skip
    """Escrow that is overdrawn closes the lease; the order counts as missed."""
    miss_order(lane, j, E_CLOSED_LEASES, jobs, pf, pi, sf, si, out)


@kernel_function
def restart_order(
    lane: int, j: int, jobs: Float, pf: Float, pi: Int, sf: Float, out: Float
) -> None:
    """A failed node's order goes back to the queue with the progress of its last checkpoint."""
    x = pi[P_SCALARS]
    row = jobs[j]
    every = pf[x + X_CHECKPOINT_STEPS]
    done = row[J_WORK] - row[J_REMAINING]
    lost = done - np.floor(done / every) * every
    hours = row[J_GPUS] * lost * pf[x + X_DT_H]
    row[J_REMAINING] += lost
    out[0, lane, OUT_TERM + T_LOST_PROGRESS] -= row[J_BID] * hours
    out[0, lane, OUT_EVENT + E_LOST_GPU_H] += hours
    out[0, lane, OUT_EVENT + E_RESTARTED_JOBS] += 1.0
    reputation = pi[S_REPUTATION] + int(row[J_PROVIDER])
    sf[lane, reputation] -= FAILED_WEIGHT * sf[lane, reputation]
    row[J_PROVIDER] = QUEUED
    row[J_LEASE_PAID] = 0.0


@kernel_function
def fail_jobs(
    lane: int, key: Any, step: int, jobs: Float, failed: Float, working: Float, used: Float,
    pf: Float, pi: Int, sf: Float, si: Int, out: Float,
) -> None:  # fmt: skip
    """Orders on failed nodes restart, and as many more as no longer find room.

    An order on k of a provider's nodes is hit with probability 1 - (1 - share that failed)^k.
    `used` (providers,) is overwritten.
    """
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    used[:n] = 0.0
    for j in range(si[lane, pi[S_N_JOBS]]):
        if jobs[j, J_PROVIDER] < 0.0:
            continue
        p = int(jobs[j, J_PROVIDER])
        if failed[p] > 0.0:
            spared = 1.0
            for _ in range(int(np.ceil(jobs[j, J_GPUS] / GPUS_PER_FAILING_NODE))):
                spared *= 1.0 - failed[p]
            if uniform(key, STREAM_HIT, step, j) >= spared:
                restart_order(lane, j, jobs, pf, pi, sf, out)
                continue
        used[p] += jobs[j, J_GPUS] * min(1.0, jobs[j, J_REMAINING])
    for j in range(si[lane, pi[S_N_JOBS]]):
        if jobs[j, J_PROVIDER] < 0.0:
            continue
        p = int(jobs[j, J_PROVIDER])
        if used[p] > working[p] + 1e-9:
            used[p] -= jobs[j, J_GPUS] * min(1.0, jobs[j, J_REMAINING])
            restart_order(lane, j, jobs, pf, pi, sf, out)


@inlined_function
def count_job(row: Float, step: float, load: Float) -> None:
    """Add one row to `load` (N_LOAD,): what waits and what runs, by band and by tier."""
    band = int(row[J_BAND])
    gpus = row[J_GPUS]
    if row[J_PROVIDER] >= 0.0:
        load[L_RUNNING_GPUS + band] += gpus
        load[L_RUNNING_DONE_H + band] += gpus * (row[J_WORK] - row[J_REMAINING])
        load[L_RUNNING_USD_PER_H + band] += gpus * row[J_BID]
        return
    load[L_QUEUED_JOBS + band] += 1.0
    load[L_QUEUED_GPUS + band] += gpus
    load[L_QUEUED_LOG_RATIO + band] += gpus * row[J_LOG_RATIO]
    load[L_QUEUED_SLACK + band] += gpus * (row[J_DEADLINE] - step)
    load[L_TIER_QUEUED + int(row[J_TIER])] += gpus


@inlined_function
def finish_load(load: Float, dt_h: float) -> None:
    """Sums of `count_job` to means: of ln(bid / reference), of hours left and of hours done."""
    for band in range(BANDS):
        running, queued = load[L_RUNNING_GPUS + band], load[L_QUEUED_GPUS + band]
        if running > 0.0:
            load[L_RUNNING_DONE_H + band] *= dt_h / running
        if queued > 0.0:
            load[L_QUEUED_LOG_RATIO + band] /= queued
            load[L_QUEUED_SLACK + band] *= dt_h / queued


@kernel_function
def look_at_jobs(lane: int, jobs: Float, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Rewrite the lane's `load` from its job table."""
    load = sf[lane, pi[S_LOAD] : pi[S_LOAD] + N_LOAD]
    load[:] = 0.0
    for j in range(si[lane, pi[S_N_JOBS]]):
        count_job(jobs[j], float(si[lane, pi[S_STEP]]), load)
    finish_load(load, pf[pi[P_SCALARS] + X_DT_H])


@inlined_function
def drop_hopeless(
    lane: int, queue: Int, jobs: Float, used: Float, class_used: Float, pf: Float, pi: Int,
    sf: Float, si: Int, out: Float,
) -> tuple[int, float]:  # fmt: skip
    """Tenants withdraw what can no longer be done in time: (rows that wait, GPUs of gangs).

    `queue` gets the waiting rows, `used` (providers,) and `class_used` (classes,) what runs.
    """
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    used[:n] = 0.0
    class_used[:] = 0.0
    step = si[lane, pi[S_STEP]]
    waiting = 0
    gangs = 0.0
    j = 0
    while j < si[lane, pi[S_N_JOBS]]:
        remaining = jobs[j, J_REMAINING]
        if remaining > jobs[j, J_DEADLINE] - step:
            miss_order(lane, j, E_MISSED_JOBS, jobs, pf, pi, sf, si, out)
            continue
        if jobs[j, J_PROVIDER] >= 0.0:
            need = jobs[j, J_GPUS] * min(1.0, remaining)
            used[int(jobs[j, J_PROVIDER])] += need
            class_used[int(jobs[j, J_CLASS])] += need
            if jobs[j, J_GPUS] > 1.0:
                gangs += need
        else:
            queue[waiting] = j
            waiting += 1
        j += 1
    return waiting, gangs


@kernel_function
def forfeit(lane: int, jobs: Float, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """The end of an episode: what can no longer be done by its deadline is missed now."""
    before = si[lane, pi[S_N_JOBS]]
    step = si[lane, pi[S_STEP]]
    j = 0
    while j < si[lane, pi[S_N_JOBS]]:
        if jobs[j, J_REMAINING] > jobs[j, J_DEADLINE] - step:
            miss_order(lane, j, E_MISSED_JOBS, jobs, pf, pi, sf, si, out)
        else:
            j += 1
    if si[lane, pi[S_N_JOBS]] < before:
        look_at_jobs(lane, jobs, pf, pi, sf, si)
