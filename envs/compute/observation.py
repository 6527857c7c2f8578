"""What the operator sees: the fields, and the compiled function that fills them.

Everything is what an operator has: the order book, meters of the last step, published prices, the
calendar's usual demand. The intensity of arrivals and the durations of orders are not observed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int

from .bids import set_by_providers
from .govern import write_governance
from .layout import (
    BALANCES,
    BANDS,
    BLOCK_HOURS,
    D_HELD,
    ESCROW,
    F_FINISHED,
    F_GPU_H_DAY,
    F_GPU_H_HOUR,
    F_JOBS_DAY,
    F_JOBS_HOUR,
    F_MISSED,
    F_PAID_DAY,
    FORECAST_BLOCKS,
    G_LEAST_STAKE,
    GOVERNED,
    HOURS_PER_WEEK,
    L_QUEUED_GPUS,
    L_QUEUED_JOBS,
    L_QUEUED_LOG_RATIO,
    L_QUEUED_SLACK,
    L_RUNNING_DONE_H,
    L_RUNNING_GPUS,
    L_RUNNING_USD_PER_H,
    L_TIER_QUEUED,
    MICRO,
    N_GOVERNED,
    N_OPERATOR,
    P_CLOCK,
    P_OBSERVATION_LOW,
    P_OBSERVATION_SCALE,
    P_PROVIDERS,
    P_SCALARS,
    P_SIZES,
    P_TIER_REFERENCE,
    P_WEEK_BLOCK,
    PROVIDER_WIDTH,
    REGIONS,
    S_ACTION,
    S_ASK,
    S_CAPACITY_GPUS,
    S_CONTRACTED,
    S_DUTY,
    S_FEED,
    S_FLOW,
    S_GOVERNED,
    S_HALTED,
    S_LOAD,
    S_MARKET_ACCOUNTS,
    S_REGION_CARBON,
    S_REGION_PRICE,
    S_REPUTATION,
    S_REWARD_PER_DAY,
    S_STEP,
    S_UP_SHARE,
    S_USED_GPUS,
    TIERS,
    TREASURY,
    V_GPUS,
    V_TIER,
    X_DT_H,
    X_TOTAL_GPUS,
    Z_DUTY,
    Z_HORIZON,
    Z_PROVIDERS,
    Z_WINDOW,
)
from .money import collateral_ratio
from .world import hour_of_week, oracle_price


def observation_fields(
    n_providers: int, gpus: float, jobs_per_h: float, governed_low: Float, governed_high: Float,
    bidders: bool = False, live_proposals: Sequence[Field] = (), bonds: Sequence[Field] = (),
) -> FieldSet:  # fmt: skip
    """Fields in the order in which `write_observation` fills them, for a market of `gpus` GPUs.

    Where providers set anything by themselves (`bidders`), their offers, stakes and earnings are
    among them.
    Values outside a declared range (a burst of arrivals, say) are held at its end.
    """
    each, band, region, tier = (n_providers,), (BANDS,), (REGIONS,), (TIERS,)
    return FieldSet(
        [
            Field("hour_sin", "1", -1.0, 1.0, doc="sine of the hour (UTC) on the 24 h circle"),
            Field("hour_cos", "1", -1.0, 1.0, doc="cosine of the hour (UTC) on the 24 h circle"),
            Field("weekend", "1", 0.0, 1.0, doc="1 on Saturday and Sunday"),
            Field("time_left", "1", 0.0, 1.0, doc="share of the episode still to come"),
            Field("usual_demand", "1", 0.0, 3.0, (FORECAST_BLOCKS,),
                  f"usual arrivals / weekly mean, in the next {FORECAST_BLOCKS} blocks of "
                  f"{BLOCK_HOURS} h"),
            Field("price", "USD/kWh", 0.0, 0.4, region, "electricity price now"),
            Field("carbon", "kg/kWh", 0.0, 0.8, region, "carbon intensity now"),
            Field("jobs_hour", "1/h", 0.0, 8.0 * jobs_per_h, doc="arrivals, mean of about an hour"),
            Field("jobs_day", "1/h", 0.0, 4.0 * jobs_per_h, doc="arrivals, mean of about a day"),
            Field("work_hour", "1", 0.0, 8.0, doc="GPU-hours asked for an hour / GPUs, about 1 h"),
            Field("work_day", "1", 0.0, 3.0, doc="GPU-hours asked for an hour / GPUs, about a day"),
            Field("missed_share", "1", 0.0, 1.0, doc="missed / ended orders of about a day"),
            Field("payments", "USD/day", 0.0, 60.0 * gpus, doc="to providers, about a day"),
            Field("queued_jobs", "1", 0.0, 150.0, band, "orders that wait, by duration band"),
            Field("queued_gpus", "1", 0.0, 1.0, band, "GPUs they need / GPUs of the market"),
            Field("queued_log_ratio", "1", -2.0, 2.0, band,
                  "mean ln(bid / reference price) of what waits"),
            Field("queued_slack", "h", 0.0, 96.0, band, "mean time to the deadline of what waits"),
            Field("running_gpus", "1", 0.0, 1.0, band, "GPUs at work / GPUs of the market"),
            Field("running_value", "USD/h", 0.0, 3.0 * gpus, band, "bids of what runs, an hour"),
            Field("running_done", "h", 0.0, 48.0, band, "mean time what runs has run"),
            Field("tier_queued", "1", 0.0, 1.0, tier,
                  "GPUs needed by what waits for this class at least / GPUs of the market"),
            Field("tier_capacity", "1", 0.0, 1.0, tier, "GPUs on offer / GPUs of the market"),
            Field("tier_contracted", "1", 0.0, 1.0, tier, "GPUs contracted / GPUs of the market"),
            Field("tier_free", "1", 0.0, 1.0, tier, "GPUs idle in the last step / of the market"),
            Field("used_share", "1", 0.0, 1.0, each, "provider's GPUs at work in the last step"),
            Field("up_share", "1", 0.0, 1.0, each, "provider's working nodes / all"),
            Field("ask", "1", 0.0, 2.0, each, "provider's ask / reference price of its class"),
            Field("reputation", "1", 0.0, 1.0, each, "completed against failed leases, fading"),
            Field("jail", "h", 0.0, 8.0, each, "time until a jailed provider is free"),
            *(_of_bidders(each) if bidders else ()),
            Field("token_price", "USD", 0.0, 3.0, doc="the oracle's mean of 30 minutes"),
            Field("report_held", "1", 0.0, 1.0, doc="1: the oracle holds a report as an outlier"),
            Field("collateral_ratio", "1", 0.5, 1.5, doc="vault / credits outstanding"),
            Field("halted", "1", 0.0, 1.0, doc="1: no lease begins, the ratio is too low"),
            Field("treasury", "USD", 0.0, 1000.0 * gpus, doc="of the DAO"),
            Field("credits", "USD", 0.0, 400.0 * gpus, doc="in escrow"),
            Field("governed", "1", governed_low, governed_high, (N_GOVERNED,),
                  f"charter parameters in force: {', '.join(GOVERNED)}"),
            Field("last_action", "1", -1.0, 1.0, (N_OPERATOR,), "the operator's last action"),
            *live_proposals,
            *bonds,
        ]
    )  # fmt: skip


def _of_bidders(each: tuple[int, ...]) -> tuple[Field, ...]:
    return (
        Field("offered_share", "1", 0.0, 1.0, each, "provider's GPUs on offer / all"),
        Field("stake_cover", "1", 0.0, 3.0, each, "provider's stake / least stake of its GPUs"),
        Field("earned", "USD/day", 0.0, 60.0, each, "payments to it for each GPU, about a day"),
    )


# A least stake below this counts as this.
_LEAST_STAKE_USD = 1.0


@kernel_function
def write_observation(
    lane: int, pf: Float, pi: Int, facts: Any, sf: Float, si: Int, physical: Float, target: Float
) -> None:
    """Fill `physical` (n_observation,) in units and `target[lane]` normalised to [-1, 1]."""
    c = _write_world(lane, pf, pi, sf, si, physical)
    c = _write_orders(lane, c, pf, pi, sf, si, physical)
    c = _write_providers(lane, c, pf, pi, sf, si, physical)
    physical[c] = oracle_price(lane, pi, sf)
    physical[c + 1] = 1.0 if sf[lane, pi[S_FEED] + D_HELD] > 0.0 else 0.0
    physical[c + 2] = collateral_ratio(lane, pi, sf, si)
    physical[c + 3] = float(si[lane, pi[S_HALTED]])
    physical[c + 4] = si[lane, pi[S_MARKET_ACCOUNTS] + TREASURY] / MICRO
    physical[c + 5] = si[lane, pi[S_MARKET_ACCOUNTS] + ESCROW] / MICRO
    c += 6
    for g in range(N_GOVERNED):
        physical[c + g] = sf[lane, pi[S_GOVERNED] + g]
    c += N_GOVERNED
    for a in range(N_OPERATOR):
        physical[c + a] = sf[lane, pi[S_ACTION] + a]
    low, scale = pi[P_OBSERVATION_LOW], pi[P_OBSERVATION_SCALE]
    for d in range(c + N_OPERATOR):
        target[lane, d] = min(max((physical[d] - pf[low + d]) * pf[scale + d] - 1.0, -1.0), 1.0)
    if len(facts) > 0:
        write_governance(lane, facts, pf, pi, sf, si, target)


@inlined_function
def _write_world(lane: int, pf: Float, pi: Int, sf: Float, si: Int, physical: Float) -> int:
    sizes = pi[P_SIZES]
    step = si[lane, pi[S_STEP]]
    week_hour = hour_of_week(lane, step, pi, si)
    hour = week_hour % 24
    physical[0] = pf[pi[P_CLOCK] + hour]
    physical[1] = pf[pi[P_CLOCK] + 24 + hour]
    physical[2] = 1.0 if week_hour >= 120 else 0.0
    window = pi[sizes + Z_WINDOW]
    over = step >= pi[sizes + Z_HORIZON]
    physical[3] = 0.0 if over else (window - step % window) / window
    c = 4
    for b in range(FORECAST_BLOCKS):
        physical[c + b] = pf[pi[P_WEEK_BLOCK] + (week_hour + b * BLOCK_HOURS) % HOURS_PER_WEEK]
    c += FORECAST_BLOCKS
    for r in range(REGIONS):
        physical[c + r] = sf[lane, pi[S_REGION_PRICE] + r]
        physical[c + REGIONS + r] = sf[lane, pi[S_REGION_CARBON] + r]
    return int(c + 2 * REGIONS)


@inlined_function
def _write_orders(
    lane: int, c: int, pf: Float, pi: Int, sf: Float, si: Int, physical: Float
) -> int:
    flow, load = pi[S_FLOW], pi[S_LOAD]
    inverse = 1.0 / pf[pi[P_SCALARS] + X_TOTAL_GPUS]
    physical[c] = sf[lane, flow + F_JOBS_HOUR]
    physical[c + 1] = sf[lane, flow + F_JOBS_DAY]
    physical[c + 2] = sf[lane, flow + F_GPU_H_HOUR] * inverse
    physical[c + 3] = sf[lane, flow + F_GPU_H_DAY] * inverse
    physical[c + 4] = sf[lane, flow + F_MISSED] / max(sf[lane, flow + F_FINISHED], 1.0)
    physical[c + 5] = sf[lane, flow + F_PAID_DAY]
    c += 6
    for b in range(BANDS):
        physical[c + b] = sf[lane, load + L_QUEUED_JOBS + b]
        physical[c + BANDS + b] = sf[lane, load + L_QUEUED_GPUS + b] * inverse
        physical[c + 2 * BANDS + b] = sf[lane, load + L_QUEUED_LOG_RATIO + b]
        physical[c + 3 * BANDS + b] = sf[lane, load + L_QUEUED_SLACK + b]
        physical[c + 4 * BANDS + b] = sf[lane, load + L_RUNNING_GPUS + b] * inverse
        physical[c + 5 * BANDS + b] = sf[lane, load + L_RUNNING_USD_PER_H + b]
        physical[c + 6 * BANDS + b] = sf[lane, load + L_RUNNING_DONE_H + b]
    c += 7 * BANDS
    for t in range(TIERS):
        physical[c + t] = sf[lane, load + L_TIER_QUEUED + t] * inverse
        physical[c + TIERS + t] = 0.0
        physical[c + 2 * TIERS + t] = sf[lane, pi[S_CONTRACTED] + t] * inverse
        physical[c + 3 * TIERS + t] = 0.0
    for p in range(pi[pi[P_SIZES] + Z_PROVIDERS]):
        t = int(pf[pi[P_PROVIDERS] + p * PROVIDER_WIDTH + V_TIER])
        capacity = sf[lane, pi[S_CAPACITY_GPUS] + p]
        idle = max(capacity - sf[lane, pi[S_USED_GPUS] + p], 0.0)
        physical[c + TIERS + t] += capacity * inverse
        physical[c + 3 * TIERS + t] += idle * inverse
    return int(c + 4 * TIERS)


@inlined_function
def _write_providers(
    lane: int, c: int, pf: Float, pi: Int, sf: Float, si: Int, physical: Float
) -> int:
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    width = pi[pi[P_SIZES] + Z_DUTY]
    step, dt_h = si[lane, pi[S_STEP]], pf[pi[P_SCALARS] + X_DT_H]
    for p in range(n):
        v = pi[P_PROVIDERS] + p * PROVIDER_WIDTH
        reference = pf[pi[P_TIER_REFERENCE] + int(pf[v + V_TIER])]
        physical[c + p] = sf[lane, pi[S_USED_GPUS] + p] / pf[v + V_GPUS]
        physical[c + n + p] = sf[lane, pi[S_UP_SHARE] + p]
        physical[c + 2 * n + p] = sf[lane, pi[S_ASK] + p] / reference
        physical[c + 3 * n + p] = sf[lane, pi[S_REPUTATION] + p]
        physical[c + 4 * n + p] = max(si[lane, pi[S_DUTY] + p * width] - step, 0) * dt_h
    c += 5 * n
    if not set_by_providers(pi):
        return int(c)
    least = max(sf[lane, pi[S_GOVERNED] + G_LEAST_STAKE], _LEAST_STAKE_USD)
    for p in range(n):
        gpus = pf[pi[P_PROVIDERS] + p * PROVIDER_WIDTH + V_GPUS]
        stake = si[lane, pi[S_MARKET_ACCOUNTS] + BALANCES + n + p] / MICRO
        physical[c + p] = sf[lane, pi[S_CAPACITY_GPUS] + p] / gpus
        physical[c + n + p] = stake / (least * gpus)
        physical[c + 2 * n + p] = sf[lane, pi[S_REWARD_PER_DAY] + p] / gpus
    return int(c + 3 * n)
