"""Orders arrive and are admitted or turned away."""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_uint64, poisson

from .jobs import (
    draw_order,
    order_value,
)
from .layout import (
    E_ADMITTED_JOBS,
    E_ARRIVED_GPU_H,
    E_ARRIVED_JOBS,
    E_DROPPED_GPU_H,
    E_OVERFLOWED_JOBS,
    E_REJECTED_JOBS,
    F_ARRIVED_JOBS,
    J_BAND,
    J_GPUS,
    J_LOG_RATIO,
    J_TIER,
    J_WORK,
    M_MARKET,
    OUT_EVENT,
    OUT_TERM,
    P_LAW_LOG_STEPS,
    P_MODES,
    P_PROVIDERS,
    P_SCALARS,
    P_SHAPE_EDGES,
    P_SIZES,
    P_TRACE_FIRST,
    PROVIDER_WIDTH,
    S_EPISODE_KEY,
    S_FLOW,
    S_N_JOBS,
    S_STEP,
    S_UP_SHARE,
    T_REJECTED,
    V_GPUS,
    V_TIER,
    X_ADMISSION_KNEE,
    X_ADMISSION_RISE_0,
    X_DT_H,
    X_REJECTION_SHARE,
    Z_JOBS,
    Z_PROVIDERS,
    Z_STARTS,
)
from .request import (
    R_THRESHOLD,
)
from .world import (
    STREAM_ARRIVALS,
    STREAM_JOB,
    STREAM_TERMS,
    mean_arrivals,
    trace_step,
)


@inlined_function
def count_arrivals(lane: int, step: int, pf: Float, pi: Int, sf: Float, si: Int) -> int:
    """Orders that arrive in this step: a trace's, or Poisson, given the intensity."""
    first = first_replayed(lane, step, pi, si)
    if first >= 0:
        return int(pi[pi[P_TRACE_FIRST] + trace_step(lane, step, pi, si) + 1] - first)
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    mean = mean_arrivals(lane, step, pf, pi, sf, si)
    return int(poisson(key, STREAM_ARRIVALS, step, 0, mean))


@inlined_function
def first_replayed(lane: int, step: int, pi: Int, si: Int) -> int:
    """The trace's number of the first order that arrives in this step or later; -1: no trace."""
    if pi[pi[P_SIZES] + Z_STARTS] == 0:
        return -1
    return int(pi[pi[P_TRACE_FIRST] + trace_step(lane, step, pi, si)])


@inlined_function
def take_orders(
    lane: int, waiting: int, queue: Int, jobs: Float, used: Float, crowd: Float, working: Float,
    request: Float, pf: Float, pi: Int, sf: Float, si: Int, out: Float,
) -> int:  # fmt: skip
    """Orders that arrive in this step are admitted or rejected; how many rows wait then.

    The least bid that is admitted rises with the GPUs, of the order's class or better, that are
    at work (`used`, (providers,)) or asked for, as a share of those that work, above a knee;
    `crowd` and `working` (tiers,) are scratch.
    """
    x = pi[P_SCALARS]
    dt_h = pf[x + X_DT_H]
    step = si[lane, pi[S_STEP]]
    slots = pi[pi[P_SIZES] + Z_JOBS]
    key = as_uint64(si[lane, pi[S_EPISODE_KEY]])
    arrived = count_arrivals(lane, step, pf, pi, sf, si)
    replayed = first_replayed(lane, step, pi, si)
    event = OUT_EVENT
    if arrived > 0:
        count_crowd(lane, waiting, queue, jobs, used, crowd, working, pf, pi, sf)
    knee = pf[x + X_ADMISSION_KNEE]
    market = pi[pi[P_MODES] + M_MARKET] == 1
    rejection = pf[x + X_REJECTION_SHARE]
    edges, laws = pi[P_SHAPE_EDGES], pi[P_LAW_LOG_STEPS]
    n = si[lane, pi[S_N_JOBS]]
    before = n
    arrived_h, dropped_h, loss, overflowed = 0.0, 0.0, 0.0, 0.0
    for i in range(arrived):
        row = jobs[n]
        draw_order(
            row, key, STREAM_JOB, STREAM_TERMS, step, i, edges, laws,
            replayed + i if replayed >= 0 else -1, 0.0, pf, pi,
        )  # fmt: skip
        hours = row[J_GPUS] * row[J_WORK] * dt_h
        arrived_h += hours
        tier = int(row[J_TIER])
        band = int(row[J_BAND])
        share = (crowd[tier] + row[J_GPUS]) / max(working[tier], 1.0)
        least = request[R_THRESHOLD + tier]
        least += pf[x + X_ADMISSION_RISE_0 + band] * max(share - knee, 0.0)
        if n < slots and (row[J_LOG_RATIO] >= least or not market):
            for t in range(tier + 1):
                crowd[t] += row[J_GPUS]
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


@inlined_function
def count_crowd(
    lane: int, waiting: int, queue: Int, jobs: Float, used: Float, crowd: Float, working: Float,
    pf: Float, pi: Int, sf: Float,
) -> None:  # fmt: skip
    """Add up by class (or better): GPUs at work or asked for, and GPUs that work."""
    crowd[:] = 0.0
    working[:] = 0.0
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        for t in range(int(pf[v + V_TIER]) + 1):
            crowd[t] += used[p]
            working[t] += pf[v + V_GPUS] * sf[lane, pi[S_UP_SHARE] + p]
    for i in range(waiting):
        row = jobs[queue[i]]
        for t in range(int(row[J_TIER]) + 1):
            crowd[t] += row[J_GPUS]
