"""Parameters and state of the compute market as named parts, and where the kernel finds them.

The int64 parameter vector begins with the offsets of all parameter and state parts; a kernel
reads ``pf[pi[P_PROVIDERS] + ...]`` and ``sf[lane, pi[S_USED_GPUS] + provider]``. Sizes follow from
the scenario, so one compiled kernel serves every number of providers.

Money moves in whole micro-USD (int64), so that it is conserved exactly; values and prices are USD.
"""

from __future__ import annotations

from collections.abc import Mapping

from daogym.envs.core.layout import Layout, Part
from daogym.envs.dao.capture_report import CAPTURE_NAMES
from daogym.envs.dao.lane_layout import LANE_PARTS, N_LANE_PARTS, lane_parts
from daogym.envs.dao.staking import STAKING_WIDTH, duty_width
from daogym.envs.dao.treasury import TOTALS_WIDTH

TERMS = (
    "served", "lost_progress", "energy", "capacity", "clawback", "sla", "expired", "rejected",
    "bond",
)  # fmt: skip
COSTS = ("collateral", "sla_misses", "concentration", "treasury", "carbon")
EVENTS = (
    "interventions", "reverts", "shield_delta_usd", "invalid_actions",
    "arrived_jobs", "admitted_jobs", "rejected_jobs", "overflowed_jobs", "matched_jobs",
    "completed_jobs", "missed_jobs", "expired_jobs", "closed_leases",
    "restarted_jobs", "node_failures",
    "arrived_gpu_h", "served_gpu_h", "lost_gpu_h", "dropped_gpu_h",
    "capacity_gpu_h", "offered_gpu_h", "wait_h", "energy_kwh", "carbon_kg", "paid_usd",
    "clawed_back_usd", "sla_credits_usd", "slashed_usd", "jailed_steps", "halted_steps",
    "unbacked_tokens",
)  # fmt: skip
VOTED_EVENTS = CAPTURE_NAMES
"""Reported under a charter that is voted on, after `EVENTS`, when an episode ends."""
GOVERNED = (
    "take_rate_share",
    "spread_cap_share",
    "least_stake_usd_per_gpu",
    "slash_share",
    "small_tenant_share",
    "provider_cap_share",
    "treasury_floor_usd",
    "carbon_cap_kg_per_gpu_h",
)
(
    T_SERVED, T_LOST_PROGRESS, T_ENERGY, T_CAPACITY, T_CLAWBACK, T_SLA, T_EXPIRED, T_REJECTED,
    T_BOND,
) = range(9)  # fmt: skip
(K_COLLATERAL, K_SLA, K_CONCENTRATION, K_TREASURY, K_CARBON) = range(5)
(
    E_INTERVENTIONS, E_REVERTS, E_SHIELD_DELTA_USD, E_INVALID_ACTIONS,
    E_ARRIVED_JOBS, E_ADMITTED_JOBS, E_REJECTED_JOBS, E_OVERFLOWED_JOBS, E_MATCHED_JOBS,
    E_COMPLETED_JOBS, E_MISSED_JOBS, E_EXPIRED_JOBS, E_CLOSED_LEASES,
    E_RESTARTED_JOBS, E_NODE_FAILURES,
    E_ARRIVED_GPU_H, E_SERVED_GPU_H, E_LOST_GPU_H, E_DROPPED_GPU_H,
    E_CAPACITY_GPU_H, E_OFFERED_GPU_H, E_WAIT_H, E_ENERGY_KWH, E_CARBON_KG, E_PAID_USD,
    E_CLAWED_BACK_USD,
    E_SLA_CREDITS_USD, E_SLASHED_USD, E_JAILED_STEPS, E_HALTED_STEPS, E_UNBACKED_TOKENS,
    E_CAPTURE,
) = range(32)  # fmt: skip
(
    G_TAKE_RATE, G_SPREAD_CAP, G_LEAST_STAKE, G_SLASH, G_SMALL_TENANT, G_PROVIDER_CAP,
    G_TREASURY_FLOOR, G_CARBON_CAP,
) = range(8)  # fmt: skip
N_TERM, N_COST, N_EVENT, N_GOVERNED = len(TERMS), len(COSTS), len(EVENTS), len(GOVERNED)
OUT_REWARD, OUT_BASELINE, OUT_STEPS, OUT_COST = 0, 1, 2, 3
OUT_TERM = OUT_COST + N_COST
OUT_EVENT = OUT_TERM + N_TERM
OUT_WIDTH = OUT_EVENT + N_EVENT
OUT_WIDTH_VOTED = OUT_WIDTH + len(VOTED_EVENTS)

BANDS = 4
"""Duration bands that a tenant declares; the operator does not know the duration itself."""
TIERS = 4
"""GPU classes, cheapest first: an order may run on its own class or a better one."""
REGIONS = 4
CLASSES = 12
"""Fraction of a GPU and one GPU, each by band; then gangs of 2, 4, 8 and 16 and more."""
SHAPES = 11
FORECAST_BLOCKS, BLOCK_HOURS = 8, 3
KNOTS = 27
HOURS_PER_WEEK = 168
MICRO = 1_000_000.0

# The operator's action.
(A_PRIORITY, A_ADMISSION, A_PRICE, A_RELIABILITY, A_CARBON, A_SPREAD, A_RESERVE, A_STANDBY) = (
    0, 4, 8, 9, 10, 11, 12, 13,
)  # fmt: skip
N_OPERATOR = 17
A_ORDER, A_PLACE, A_PRICING = 17, 18, 19
N_SCHEDULER = 20
ORDERS = ("market", "fifo", "shortest_predicted", "shortest_oracle", "tetris", "drf")
(ORDER_MARKET, ORDER_FIFO, ORDER_PREDICTED, ORDER_ORACLE, ORDER_TETRIS, ORDER_DRF) = range(6)
PLACES = ("market", "first_fit", "best_fit", "dot_product")
PRICINGS = ("congestion", "fixed")
(PLACE_MARKET, PLACE_FIRST_FIT, PLACE_BEST_FIT, PLACE_DOT_PRODUCT) = range(4)

# Columns of a job in the table; all are float64.
(
    J_CLASS, J_BAND, J_TIER, J_GPUS, J_BID, J_LOG_RATIO, J_WORK, J_REMAINING, J_ARRIVAL,
    J_DEADLINE, J_PROVIDER, J_ASK, J_PRICE, J_DEPOSIT, J_PAID, J_LEASE_PAID,
) = range(16)  # fmt: skip
JOB_WIDTH = 16
QUEUED = -1.0

# Columns of a provider's parameters.
(
    V_TIER, V_REGION, V_NODES, V_FIRST_NODE, V_GPUS_PER_NODE, V_GPUS, V_KW_PER_GPU,
    V_CAPITAL_USD_PER_GPU_H, V_MARKUP_EMPTY, V_MARKUP_FULL, V_FAILURE_STEPS, V_STAKE_USD,
) = range(12)  # fmt: skip
PROVIDER_WIDTH = 12

# Accounts of a lane, micro-USD: escrow, treasury, then providers' balances, then their stakes.
ESCROW, TREASURY, BALANCES = 0, 1, 2
(FOR_DEPOSITS, FOR_ELECTRICITY, FOR_CAPITAL, FOR_EMISSIONS, FOR_CREDITS, FOR_COLLATERAL) = range(
    1, 7
)
N_PURPOSE = 6

PARAMETER_NAMES = (
    "sizes", "modes", "staking", "scalars", "providers", "shape_edges", "shape_gpus",
    "shape_class", "shape_tier", "shape_law", "law_log_steps", "law_residual", "knots",
    "band_edges", "band_log_bid", "band_work", "start_edges", "tier_reference",
    "region_price", "region_carbon", "region_shape", "region_solar", "week_factor", "week_block",
    "governed_initial", "observation_low", "observation_scale", "clock", "opening",
    "trace_starts", "trace_first", "trace_kind", "trace_tier", "trace_gpus", "trace_steps",
)  # fmt: skip
(
    P_SIZES, P_MODES, P_STAKING, P_SCALARS, P_PROVIDERS, P_SHAPE_EDGES, P_SHAPE_GPUS,
    P_SHAPE_CLASS, P_SHAPE_TIER, P_SHAPE_LAW, P_LAW_LOG_STEPS, P_LAW_RESIDUAL, P_KNOTS,
    P_BAND_EDGES, P_BAND_LOG_BID, P_BAND_WORK, P_START_EDGES, P_TIER_REFERENCE,
    P_REGION_PRICE, P_REGION_CARBON, P_REGION_SHAPE, P_REGION_SOLAR, P_WEEK_FACTOR, P_WEEK_BLOCK,
    P_GOVERNED_INITIAL, P_OBSERVATION_LOW, P_OBSERVATION_SCALE, P_CLOCK, P_OPENING,
    P_TRACE_STARTS, P_TRACE_FIRST, P_TRACE_KIND, P_TRACE_TIER, P_TRACE_GPUS, P_TRACE_STEPS,
) = range(35)  # fmt: skip
N_PARAMETER = 35

# Inside "sizes" and "modes".
(
    Z_PROVIDERS, Z_NODES, Z_JOBS, Z_HORIZON, Z_WINDOW, Z_STEPS_PER_HOUR, Z_OBSERVATION, Z_ACTION,
    Z_DUTY, Z_STEPS_PER_INTENSITY, Z_STARTS, Z_LOOK_BACK,
) = range(12)  # fmt: skip
(M_AUTORESET, M_STAGGER, M_SPLIT, M_MARKET, M_PROVIDERS) = range(5)
AUTORESETS = ("same_step", "next_step", "disabled")
AUTORESET_SAME_STEP, AUTORESET_NEXT_STEP, AUTORESET_DISABLED = 0, 1, 2
LAWS = ("quantiles", "exponential")
LAW_QUANTILES, LAW_EXPONENTIAL = 0, 1

SCALARS = (
    "dt_h", "arrivals_per_step", "log_variance", "sigma_hour", "sigma_slow", "slow_persistence",
    "slow_innovation", "bid_sigma", "slack_steps", "slack_share", "start_jobs",
    "exponential_steps", "longest_steps", "checkpoint_steps", "repair_log_steps", "repair_sigma",
    "sla_share", "credit_share", "expiry_share", "rejection_share", "price_sigma",
    "price_persistence",
    "price_innovation", "token_price", "warn_ratio", "token_sigma", "token_jump_probability",
    "token_jump_mean",
    "token_jump_sigma", "token_drift", "mint_spread", "halt_ratio", "outlier_share",
    "emission_usd_per_h", "emission_work_share", "fault_days", "priority_scale",
    "admission_center_0", "admission_center_1", "admission_center_2", "admission_center_3",
    "admission_scale",
    "reliability_weight",
    "carbon_weight", "fit_weight", "spread_center", "spread_scale", "reserve_ratio",
    "reserve_scale",
    "total_gpus", "balance_usd", "treasury_usd", "collateral_ratio", "sla_target", "hhi_target",
    "ema_hour", "ema_day", "priority_center_0", "priority_center_1", "priority_center_2",
    "priority_center_3", "proof_steps", "largest_provider",
    "admission_rise_0", "admission_rise_1", "admission_rise_2", "admission_rise_3",
    "admission_knee", "spread_rise", "spread_idle", "spread_full",
    "standby_0", "standby_1", "standby_2", "standby_3", "standby_demand", "standby_scale",
    "opening_lag", "outside_share",
    "dao_treasury_cents", "ageing_per_step",
)  # fmt: skip
(
    X_DT_H, X_ARRIVALS, X_LOG_VARIANCE, X_SIGMA_HOUR, X_SIGMA_SLOW, X_SLOW_PERSISTENCE,
    X_SLOW_INNOVATION, X_BID_SIGMA, X_SLACK_STEPS, X_SLACK_SHARE, X_START_JOBS,
    X_EXPONENTIAL_STEPS, X_LONGEST_STEPS, X_CHECKPOINT_STEPS, X_REPAIR_LOG_STEPS, X_REPAIR_SIGMA,
    X_SLA_SHARE, X_CREDIT_SHARE, X_EXPIRY_SHARE, X_REJECTION_SHARE, X_PRICE_SIGMA,
    X_PRICE_PERSISTENCE,
    X_PRICE_INNOVATION, X_TOKEN_PRICE, X_WARN_RATIO, X_TOKEN_SIGMA, X_TOKEN_JUMP_PROBABILITY,
    X_TOKEN_JUMP_MEAN,
    X_TOKEN_JUMP_SIGMA, X_TOKEN_DRIFT, X_MINT_SPREAD, X_HALT_RATIO, X_OUTLIER_SHARE,
    X_EMISSION_USD, X_EMISSION_WORK_SHARE, X_FAULT_DAYS, X_PRIORITY_SCALE,
    X_ADMISSION_CENTER_0, X_ADMISSION_CENTER_1, X_ADMISSION_CENTER_2, X_ADMISSION_CENTER_3,
    X_ADMISSION_SCALE,
    X_RELIABILITY_WEIGHT,
    X_CARBON_WEIGHT, X_FIT_WEIGHT, X_SPREAD_CENTER, X_SPREAD_SCALE, X_RESERVE_RATIO,
    X_RESERVE_SCALE,
    X_TOTAL_GPUS, X_BALANCE_USD, X_TREASURY_USD, X_COLLATERAL_RATIO, X_SLA_TARGET, X_HHI_TARGET,
    X_EMA_HOUR, X_EMA_DAY, X_PRIORITY_CENTER_0, X_PRIORITY_CENTER_1, X_PRIORITY_CENTER_2,
    X_PRIORITY_CENTER_3, X_PROOF_STEPS, X_LARGEST_PROVIDER,
    X_ADMISSION_RISE_0, X_ADMISSION_RISE_1, X_ADMISSION_RISE_2, X_ADMISSION_RISE_3,
    X_ADMISSION_KNEE, X_SPREAD_RISE, X_SPREAD_IDLE, X_SPREAD_FULL,
    X_STANDBY_0, X_STANDBY_1, X_STANDBY_2, X_STANDBY_3, X_STANDBY_DEMAND, X_STANDBY_SCALE,
    X_OPENING_LAG, X_OUTSIDE_SHARE,
    X_DAO_TREASURY_CENTS, X_AGEING_PER_STEP,
) = range(81)  # fmt: skip

STATE_NAMES = (
    "root_key", "episode", "episode_key", "forced_day", "first_day", "step", "started", "done",
    "n_jobs", "halted", "next_node_change", "node_up", "node_change", "duty", "staking",
    "market_accounts", "totals",
    "z_slow", "z_hour", "price_noise", "region_price", "region_carbon", "used_gpus",
    "capacity_gpus", "contracted", "up_share", "ask", "reputation", "reward_per_day",
    "flow", "action",
    "token_price", "feed", "vault_tokens", "load", "sums", "jobs",
    "bids", "party_micro", "party_usd", "party_step_usd", "party_episode_usd", *LANE_PARTS,
)  # fmt: skip
(
    S_ROOT_KEY, S_EPISODE, S_EPISODE_KEY, S_FORCED_DAY, S_FIRST_DAY, S_STEP, S_STARTED, S_DONE,
    S_N_JOBS, S_HALTED, S_NEXT_NODE_CHANGE, S_NODE_UP, S_NODE_CHANGE, S_DUTY, S_STAKING,
    S_MARKET_ACCOUNTS, S_TOTALS,
    S_Z_SLOW, S_Z_HOUR, S_PRICE_NOISE, S_REGION_PRICE, S_REGION_CARBON, S_USED_GPUS,
    S_CAPACITY_GPUS, S_CONTRACTED, S_UP_SHARE, S_ASK, S_REPUTATION, S_REWARD_PER_DAY,
    S_FLOW, S_ACTION,
    S_TOKEN_PRICE, S_FEED, S_VAULT_TOKENS, S_LOAD, S_SUMS, S_JOBS,
    S_BIDS, S_PARTY_MICRO, S_PARTY_USD, S_PARTY_STEP_USD, S_PARTY_EPISODE_USD,
    S_GOVERNED,
) = range(N_PARAMETER, N_PARAMETER + 57 - N_LANE_PARTS)  # fmt: skip

# Inside "flow": measured streams that an operator watches, as moving averages.
(
    F_ARRIVED_JOBS, F_JOBS_HOUR, F_JOBS_DAY, F_GPU_H_HOUR, F_GPU_H_DAY, F_MISSED, F_FINISHED,
    F_PAID_DAY,
) = range(8)  # fmt: skip
N_FLOW = 8
# Inside "feed": the oracle's accepted report, the report before it, and one held as an outlier.
(D_NOW, D_BEFORE, D_HELD) = range(3)
# Inside "load", (2 + LOAD_TIER, ...): queued and running by band, queued by tier.
(L_QUEUED_JOBS, L_QUEUED_GPUS, L_QUEUED_LOG_RATIO, L_QUEUED_SLACK, L_RUNNING_GPUS,
 L_RUNNING_DONE_H, L_RUNNING_USD_PER_H, L_TIER_QUEUED) = (0, 4, 8, 12, 16, 20, 24, 28)  # fmt: skip
N_LOAD = 32


def state_layout(
    n_providers: int, n_nodes: int, n_jobs: int, duty_steps: int,
    governance: Mapping[str, tuple[int, ...]] | None = None, bidders: int = 0,
) -> Layout:  # fmt: skip
    """Parts of one lane's state for a market of these sizes.

    Args:
        bidders: providers that set anything by themselves.
        governance: shapes of what a voted charter keeps in a lane, by name; none for a static one.
    """

    def integer(name: str, shape: tuple[int, ...], doc: str) -> Part:
        return Part(name, shape, doc, integer=True)

    each = (n_providers,)
    party = (bidders + 1 if bidders else 0,)
    return Layout(
        [
            integer("root_key", (), "random key of the lane's seed (bits of a uint64)"),
            integer("episode", (), "episodes begun since the seed was set, minus one"),
            integer("episode_key", (), "random key of this episode (bits of a uint64)"),
            integer("forced_day", (), "first_day asked for the next episode, -1 for a draw"),
            integer("first_day", (),
                    "weekday on which the episode begins, 0 = Monday; in a trace it counts on "
                    "from the Monday of the first week"),
            integer("step", (), "steps done in this episode"),
            integer("started", (), "step at which the episode began (0 unless staggered)"),
            integer("done", (), "1 after the last step of an episode"),
            integer("n_jobs", (), "rows of the job table in use, the first ones"),
            integer("halted", (), "1 while the collateral ratio stops new leases"),
            integer("next_node_change", (), "step of the next failure or repair of any node"),
            integer("node_up", (n_nodes,), "1 while the node works"),
            integer("node_change", (n_nodes,), "step at which the node fails or is repaired"),
            integer("duty", (n_providers, duty_width(duty_steps)), "proof windows and jail"),
            integer("staking", (STAKING_WIDTH,), "rules of the proofs in force"),
            integer("market_accounts", (BALANCES + 2 * n_providers,), "micro-USD, see ESCROW"),
            integer("totals", (N_PURPOSE + 1, TOTALS_WIDTH), "micro-USD that came and went"),
            Part("z_slow", (), "log intensity of arrivals, slow part"),
            Part("z_hour", (), "log intensity of arrivals, this hour's part"),
            Part("price_noise", (REGIONS,), "log deviation of the electricity price"),
            Part("region_price", (REGIONS,), "electricity price now, USD/kWh"),
            Part("region_carbon", (REGIONS,), "carbon intensity now, kg/kWh"),
            Part("used_gpus", each, "GPUs at work in the last step (mean over the step)"),
            Part("capacity_gpus", each, "GPUs on offer: contracted, working, not in jail, staked"),
            Part("contracted", (TIERS,), "GPUs of each class that the operator keeps on offer"),
            Part("up_share", each, "share of the nodes that work"),
            Part("ask", each, "USD/GPU-h that the provider bids"),
            Part("reputation", each, "moving average of completed (1) and failed (0) leases"),
            Part("reward_per_day", each, "moving average of payments, USD/day"),
            Part("flow", (N_FLOW,), "moving averages of arrivals, misses and payments"),
            Part("action", (N_OPERATOR,), "last action after the gate, normalised"),
            Part("token_price", (), "market price of the token, USD"),
            Part("feed", (3,), "oracle: last report, the one before, one held as an outlier"),
            Part("vault_tokens", (), "tokens that back the escrowed credits"),
            Part("load", (N_LOAD,), "queued and running work, by band and by tier"),
            Part("sums", (OUT_WIDTH_VOTED if governance else OUT_WIDTH,),
                 "sums of all outputs over this episode"),
            Part("jobs", (n_jobs + 1, JOB_WIDTH), "the job table and a spare row, see J_ columns"),
            Part("bids", (3, bidders), "what providers set last: ask, offer and stake, normalised"),
            integer("party_micro", party,
                    "micro-USD of the operator, then of providers, at the end of the last step"),
            Part("party_usd", party, "own money of each in this episode, see party_money.py"),
            Part("party_step_usd", party, "of this, the last step's"),
            Part("party_episode_usd", party, "the same of the episode that ended last"),
            *lane_parts(N_GOVERNED, governance),
        ]
    )  # fmt: skip


def parameter_layout(
    n_providers: int, n_observation: int, n_starts: int = 0, n_steps: int = 0, n_orders: int = 0
) -> Layout:
    """Parts of the parameters for a market of this size.

    Args:
        n_starts, n_steps, n_orders: days on which episodes may begin, steps and orders of a trace;
            all 0 without one.
    """

    def integer(name: str, size: int) -> Part:
        return Part(name, (size,), integer=True)

    return Layout(
        [
            integer("sizes", 12), integer("modes", 5), integer("staking", STAKING_WIDTH),
            Part("scalars", (len(SCALARS),)),
            Part("providers", (n_providers, PROVIDER_WIDTH)),
            Part("shape_edges", (SHAPES,)), Part("shape_gpus", (SHAPES,)),
            integer("shape_class", SHAPES), integer("shape_tier", SHAPES),
            integer("shape_law", SHAPES),
            Part("law_log_steps", (SHAPES, KNOTS)), Part("law_residual", (SHAPES, KNOTS)),
            Part("knots", (KNOTS,)), Part("band_edges", (BANDS - 1,)),
            Part("band_log_bid", (BANDS,)), Part("band_work", (BANDS,)),
            Part("start_edges", (SHAPES,)), Part("tier_reference", (TIERS,)),
            Part("region_price", (REGIONS,)), Part("region_carbon", (REGIONS,)),
            Part("region_shape", (REGIONS, 24)), Part("region_solar", (REGIONS, 24)),
            Part("week_factor", (HOURS_PER_WEEK,)), Part("week_block", (HOURS_PER_WEEK,)),
            Part("governed_initial", (N_GOVERNED,)),
            Part("observation_low", (n_observation,)),
            Part("observation_scale", (n_observation,)),
            Part("clock", (48,)),
            integer("opening", n_providers),
            integer("trace_starts", n_starts), integer("trace_first", n_steps + 1),
            integer("trace_kind", n_orders), integer("trace_tier", n_orders),
            Part("trace_gpus", (n_orders,)), Part("trace_steps", (n_orders,)),
        ]
    )  # fmt: skip


def scalar_names() -> Mapping[str, int]:
    """Place of each scalar by name."""
    return {name: i for i, name in enumerate(SCALARS)}


parameter_layout(1, 1).check_order(globals(), "P_")
state_layout(1, 1, 1, 1).check_order(globals(), "S_", N_PARAMETER, S_GOVERNED + 1)
assert len(SCALARS) == X_AGEING_PER_STEP + 1 and len(EVENTS) == E_CAPTURE
