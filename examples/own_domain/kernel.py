"""One day of the warehouse, top to bottom: request, gate, world, settle, report."""

from typing import Any

from numba import prange

from daogym.envs.core.compiled import kernel_entry, kernel_function
from daogym.envs.core.random import as_int64, as_uint64, episode_key, integer, poisson

from . import layout as at

STREAM_START, STREAM_DEMAND = 1, 2  # one stream for each random process


@kernel_function
def begin_episode(lane: int, pi: Any, sf: Any, si: Any) -> None:
    """Draw the next episode's start from the lane's key."""
    episode = si[lane, at.S_EPISODE] + 1
    key = episode_key(as_uint64(si[lane, at.S_ROOT_KEY]), episode)
    si[lane, at.S_EPISODE] = episode
    si[lane, at.S_EPISODE_KEY] = as_int64(key)
    si[lane, at.S_STEP] = 0
    si[lane, at.S_DONE] = 0
    forced = si[lane, at.S_FORCED_DAY]
    drawn = integer(key, STREAM_START, 0, 0, 7)
    si[lane, at.S_FIRST_WEEKDAY] = forced if forced >= 0 else drawn
    si[lane, at.S_FORCED_DAY] = -1
    if pi[at.I_STAGGER] == 1 and episode == 0:
        si[lane, at.S_STEP] = integer(key, STREAM_START, 0, 1, pi[at.I_HORIZON])
    sf[lane, at.S_STOCK] = integer(key, STREAM_START, 0, 2, 61)
    for d in range(at.LEAD_DAYS):
        sf[lane, at.S_PIPELINE + d] = 0.0
    sf[lane, at.S_INITIAL] = sf[lane, at.S_STOCK]
    sf[lane, at.S_SUMS : at.S_SUMS + at.OUT_WIDTH] = 0.0


@kernel_function
def advance(lane: int, pf: Any, pi: Any, factors: Any, sf: Any, si: Any, actions: Any,
            out: Any) -> None:  # fmt: skip
    """One day of one lane."""
    action = float(actions[lane, 0])
    held = min(max(action, -1.0), 1.0) if action == action else 0.0
    request = round(0.5 * (held + 1.0) * pf[at.F_LARGEST_ORDER])
    order = min(request, pf[at.F_ORDER_CAP])

    weekday = (si[lane, at.S_FIRST_WEEKDAY] + si[lane, at.S_STEP]) % 7
    key = as_uint64(si[lane, at.S_EPISODE_KEY])
    mean = pf[at.F_DEMAND] * factors[weekday]
    demand = float(poisson(key, STREAM_DEMAND, si[lane, at.S_STEP], 0, mean))
    stock = sf[lane, at.S_STOCK] + sf[lane, at.S_PIPELINE]
    for d in range(at.LEAD_DAYS - 1):
        sf[lane, at.S_PIPELINE + d] = sf[lane, at.S_PIPELINE + d + 1]
    sf[lane, at.S_PIPELINE + at.LEAD_DAYS - 1] = order
    sold = min(demand, stock)
    sf[lane, at.S_STOCK] = stock - sold
    si[lane, at.S_STEP] += 1

    out[0, lane, at.OUT_STEPS] = 1.0
    out[0, lane, at.OUT_COST] = demand - sold
    out[0, lane, at.OUT_TERM] = pf[at.F_PRICE] * sold
    out[0, lane, at.OUT_TERM + 1] = -pf[at.F_PURCHASE] * order
    out[0, lane, at.OUT_TERM + 2] = -pf[at.F_HOLDING] * sf[lane, at.S_STOCK]
    if si[lane, at.S_STEP] >= pi[at.I_HORIZON]:
        left = sf[lane, at.S_STOCK] - sf[lane, at.S_INITIAL]
        for d in range(at.LEAD_DAYS):
            left += sf[lane, at.S_PIPELINE + d]
        out[0, lane, at.OUT_TERM + 3] = pf[at.F_PURCHASE] * left
    for t in range(4):
        out[0, lane, at.OUT_REWARD] += out[0, lane, at.OUT_TERM + t]
    # What no action changes: the margin on all of the demand.
    out[0, lane, at.OUT_BASELINE] = (pf[at.F_PRICE] - pf[at.F_PURCHASE]) * demand
    out[0, lane, at.OUT_EVENT] = 1.0 if order < request else 0.0
    out[0, lane, at.OUT_EVENT + 1] = 1.0 if held != action else 0.0
    out[0, lane, at.OUT_EVENT + 2] = sold
    out[0, lane, at.OUT_EVENT + 3] = order


@kernel_function
def observe(lane: int, pi: Any, factors: Any, low: Any, scale: Any, sf: Any, si: Any,
            target: Any) -> None:  # fmt: skip
    """Fill `target[lane]` in the order of the domain's fields, normalised to [-1, 1]."""
    step = si[lane, at.S_STEP]
    target[lane, 0] = (pi[at.I_HORIZON] - step) / pi[at.I_HORIZON]
    target[lane, 1] = sf[lane, at.S_STOCK]
    for d in range(at.LEAD_DAYS):
        target[lane, 2 + d] = sf[lane, at.S_PIPELINE + d]
    for d in range(7):
        target[lane, 2 + at.LEAD_DAYS + d] = factors[(si[lane, at.S_FIRST_WEEKDAY] + step + d) % 7]
    for i in range(len(low)):
        target[lane, i] = min(max((target[lane, i] - low[i]) * scale[i] - 1.0, -1.0), 1.0)


@kernel_function
def step_lane(lane: int, pf: Any, pi: Any, factors: Any, low: Any, scale: Any, sf: Any, si: Any,
              actions: Any, observations: Any, out: Any, flags: Any) -> None:  # fmt: skip
    """One lane's step with its bookkeeping: sums, end of the episode, autoreset."""
    flags[:, lane] = 0
    out[0, lane] = 0.0
    if si[lane, at.S_DONE] == 1:
        if pi[at.I_AUTORESET] == 1:
            begin_episode(lane, pi, sf, si)
            observe(lane, pi, factors, low, scale, sf, si, observations[0])
        return
    advance(lane, pf, pi, factors, sf, si, actions, out)
    sums = sf[lane, at.S_SUMS : at.S_SUMS + at.OUT_WIDTH]
    sums += out[0, lane]
    observe(lane, pi, factors, low, scale, sf, si, observations[0])
    if si[lane, at.S_STEP] >= pi[at.I_HORIZON]:
        flags[0, lane] = 1
        si[lane, at.S_DONE] = 1
        observations[1, lane] = observations[0, lane]
        out[1, lane] = sums
        if pi[at.I_AUTORESET] == 0:
            begin_episode(lane, pi, sf, si)
            observe(lane, pi, factors, low, scale, sf, si, observations[0])


@kernel_entry()
def step_serial(n_chunk: int, pf: Any, pi: Any, factors: Any, low: Any, scale: Any, sf: Any,
                si: Any, actions: Any, observations: Any, out: Any,
                flags: Any) -> None:  # fmt: skip
    """Step all lanes on the calling thread."""
    for lane in range(len(si)):
        step_lane(lane, pf, pi, factors, low, scale, sf, si, actions, observations, out, flags)


@kernel_entry(parallel=True)
def step_parallel(n_chunk: int, pf: Any, pi: Any, factors: Any, low: Any, scale: Any, sf: Any,
                  si: Any, actions: Any, observations: Any, out: Any,
                  flags: Any) -> None:  # fmt: skip
    """Step all lanes in `n_chunk` pieces over Numba's threads."""
    for chunk in prange(n_chunk):
        for lane in range(chunk * len(si) // n_chunk, (chunk + 1) * len(si) // n_chunk):
            step_lane(lane, pf, pi, factors, low, scale, sf, si, actions, observations, out, flags)


@kernel_entry()
def reset_lanes(mask: Any, pf: Any, pi: Any, factors: Any, low: Any, scale: Any, sf: Any, si: Any,
                observations: Any) -> None:  # fmt: skip
    """Begin the next episode of the masked lanes."""
    for lane in range(len(si)):
        if mask[lane]:
            begin_episode(lane, pi, sf, si)
            observe(lane, pi, factors, low, scale, sf, si, observations[0])
