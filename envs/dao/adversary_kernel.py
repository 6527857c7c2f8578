"""One decision of the adversary and the steps of the case's clock that follow it, for all lanes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange

from daogym.envs.core.compiled import kernel_entry, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import as_int64, as_uint64, episode_key, integer

from . import adversary_layout as at
from . import governor, votes
from .adversary_acts import act, defend, held, trade
from .adversary_moves import live_state, push, tick
from .adversary_observation import observe
from .adversary_world import (
    World,
    arbitrage,
    begin_scalars,
    deal_money,
    deal_tokens,
    lost_cents,
    open_world,
    sell_all,
    wealth,
)
from .capture_lane import CASH_TREASURY, START
from .governor_layout import ACTIVE, P_SNAPSHOT
from .governor_state import deadline_of

STREAM_BEGIN = 1103
F_APPEAL = 0
SHARE_PPM = 1000
"""Base units of the supply in a millionth of it."""


@kernel_function
def begin_episode(
    lane: int, pf: Float, pi: Int, rules: Int, holdings: Int, opening: Int, ints: Int,
    floats: Float, sf: Float, si: Int,
) -> None:  # fmt: skip
    """Everybody has what the charter says; the lane's key decides who will come to vote."""
    w = open_world(lane, pi, pf[F_APPEAL], ints, floats, si)
    episode = w.now[at.S_EPISODE] + 1
    key = episode_key(as_uint64(w.now[at.S_ROOT_KEY]), episode)
    for i in range(at.S_DONE, len(at.SCALARS)):
        w.now[i] = 0
    w.now[at.S_EPISODE], w.now[at.S_EPISODE_KEY] = episode, as_int64(key)
    w.now[at.S_STEP], w.now[at.S_END] = START, START + pi[at.I_HORIZON]
    begin_scalars(w)
    if pi[at.I_STAGGER] == 1 and episode == 0:
        w.now[at.S_STEP] += integer(key, STREAM_BEGIN, 0, 0, pi[at.I_HORIZON])
    w.now[at.S_TIME_S] = w.now[at.S_STEP] * pi[at.I_STEP_S]
    votes.begin_votes(w.tokens)
    governor.begin_governor(w.settings, w.proposals, rules, 0)
    deal_tokens(w.tokens, w.proposals[:, P_SNAPSHOT], holdings)
    w.cents[:] = 0
    w.totals[:] = 0
    deal_money(w, opening, 0)
    sf[lane, : at.OUT_WIDTH] = 0.0


@kernel_function
def _is_moment(w: World) -> bool:
    """Whether the live proposal asks for a decision now: voting opens, or closes with this step."""
    slot, step = w.now[at.S_SLOT], w.now[at.S_STEP]
    if slot < 0 or live_state(w) != ACTIVE:
        return False
    opens = w.proposals[slot, P_SNAPSHOT] + 1
    return bool(step == opens or step == deadline_of(w.proposals, slot))


@kernel_function
def play_on(w: World, rate: float) -> None:
    """Time passes to the next decision, with a slice of the trade in each step."""
    concluded = push(w)
    while w.now[at.S_STEP] < w.now[at.S_END]:
        traded = trade(w, rate)
        tick(w)
        if traded:
            arbitrage(w)
        concluded = push(w) or concluded
        on_the_clock = (w.now[at.S_STEP] - START) % w.pi[at.I_DECISION] == 0
        if on_the_clock or concluded or _is_moment(w):
            break


@kernel_function
def advance(w: World, opening: Int, actions: Float, out: Float) -> None:
    """One decision: the acts, the time until the next one, and what it has changed.

    Operator and adversary decide on the same observation; the operator's acts come first.

    The last decision of an episode sells what is left.
    """
    now = w.now
    action = np.empty(at.ALL_ACTIONS)
    outside = held(actions, action)
    had, lost = wealth(w), lost_cents(w, opening[CASH_TREASURY])
    loot, fees, bribes = now[at.S_LOOT], now[at.S_FEES], now[at.S_BRIBES]
    made, vetoes, captured = now[at.S_MADE], now[at.S_VETOES], now[at.S_CAPTURED_FROM]
    cast, bribed, begun = now[at.S_CAST], now[at.S_BRIBED], now[at.S_STEP]
    refused, calls, spent = now[at.S_REFUSED], now[at.S_CALLS], now[at.S_OPERATOR_CENTS]

    defend(w, action)
    act(w, action)
    play_on(w, action[at.A_TRADE])
    if now[at.S_STEP] >= now[at.S_END]:
        sell_all(w)
        now[at.S_DONE] = 1

    loot, fees = now[at.S_LOOT] - loot, now[at.S_FEES] - fees
    bribes = now[at.S_BRIBES] - bribes
    gain = wealth(w) - had
    out[at.OUT_REWARD] = gain / 100.0
    out[at.OUT_STEPS] = 1.0
    out[at.OUT_COST] = (lost_cents(w, opening[CASH_TREASURY]) - lost) / 100.0
    out[at.OUT_TERM] = loot / 100.0
    out[at.OUT_TERM + 1] = -fees / 100.0
    out[at.OUT_TERM + 2] = -bribes / 100.0
    out[at.OUT_TERM + 3] = (gain - loot + fees + bribes) / 100.0
    since = now[at.S_CAPTURED_FROM]
    if since >= 0:
        out[at.E_EXECUTED] = 1.0 if captured < 0 else 0.0
        out[at.E_CAPTURED_STEPS] = now[at.S_STEP] - (begun if captured >= 0 else since - 1)
    out[at.E_PROPOSALS] = now[at.S_MADE] - made
    out[at.E_VETOES] = now[at.S_VETOES] - vetoes
    out[at.E_VOTES] = (now[at.S_CAST] - cast) / SHARE_PPM
    out[at.E_BRIBED] = (now[at.S_BRIBED] - bribed) / SHARE_PPM
    out[at.E_INVALID] = 1.0 if outside else 0.0
    out[at.E_REFUSED] = now[at.S_REFUSED] - refused
    out[at.E_CALLS] = now[at.S_CALLS] - calls
    out[at.E_OPERATOR_COST] = (now[at.S_OPERATOR_CENTS] - spent) / 100.0


@kernel_function
def step_lane(
    lane: int, pf: Any, pi: Any, rules: Any, holdings: Any, opening: Any, ints: Any, floats: Any,
    low: Any, scale: Any, sf: Any, si: Any, actions: Any, observations: Any, out: Any, flags: Any,
) -> None:  # fmt: skip
    """One lane's step with its bookkeeping: sums, end of the episode, autoreset."""
    flags[:, lane] = 0
    out[0, lane] = 0.0
    w = open_world(lane, pi, pf[F_APPEAL], ints, floats, si)
    if si[lane, at.S_DONE] == 1:
        if pi[at.I_AUTORESET] == 1:
            begin_episode(lane, pf, pi, rules, holdings, opening, ints, floats, sf, si)
            observe(w, opening, holdings, low, scale, observations[0, lane])
        return
    advance(w, opening, actions[lane], out[0, lane])
    sums = sf[lane, : at.OUT_WIDTH]
    sums += out[0, lane]
    observe(w, opening, holdings, low, scale, observations[0, lane])
    if si[lane, at.S_DONE] == 1:
        flags[0, lane] = 1
        observations[1, lane] = observations[0, lane]
        out[1, lane] = sums
        if pi[at.I_AUTORESET] == 0:
            begin_episode(lane, pf, pi, rules, holdings, opening, ints, floats, sf, si)
            observe(w, opening, holdings, low, scale, observations[0, lane])


@kernel_entry()
def step_serial(
    n_chunk: int, pf: Any, pi: Any, rules: Any, holdings: Any, opening: Any, ints: Any, floats: Any,
    low: Any, scale: Any, sf: Any, si: Any, actions: Any, observations: Any, out: Any, flags: Any,
) -> None:  # fmt: skip
    """Step all lanes on the calling thread."""
    for lane in range(len(si)):
        step_lane(lane, pf, pi, rules, holdings, opening, ints, floats, low, scale, sf, si,
                  actions, observations, out, flags)  # fmt: skip


@kernel_entry(parallel=True)
def step_parallel(
    n_chunk: int, pf: Any, pi: Any, rules: Any, holdings: Any, opening: Any, ints: Any, floats: Any,
    low: Any, scale: Any, sf: Any, si: Any, actions: Any, observations: Any, out: Any, flags: Any,
) -> None:  # fmt: skip
    """Step all lanes in `n_chunk` pieces over Numba's threads."""
    for chunk in prange(n_chunk):
        for lane in range(chunk * len(si) // n_chunk, (chunk + 1) * len(si) // n_chunk):
            step_lane(lane, pf, pi, rules, holdings, opening, ints, floats, low, scale, sf, si,
                      actions, observations, out, flags)  # fmt: skip


@kernel_entry()
def reset_lanes(
    mask: Any, pf: Any, pi: Any, rules: Any, holdings: Any, opening: Any, ints: Any, floats: Any,
    low: Any, scale: Any, sf: Any, si: Any, observations: Any,
) -> None:  # fmt: skip
    """Begin the next episode of the masked lanes."""
    for lane in range(len(si)):
        if mask[lane]:
            begin_episode(lane, pf, pi, rules, holdings, opening, ints, floats, sf, si)
            w = open_world(lane, pi, pf[F_APPEAL], ints, floats, si)
            observe(w, opening, holdings, low, scale, observations[0, lane])
