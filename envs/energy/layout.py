"""Parameters and state of the energy grid as named parts, and where the kernel finds them.

The int64 parameter vector begins with the offsets of all parameter and state parts; a kernel
reads ``pf[pi[P_R_PU] + bus]`` and ``sf[lane, pi[S_SOC_KWH] + battery]``. Sizes follow from the
feeder, so one compiled kernel serves every feeder.

Signs: consumption positive, injection negative; battery power is positive when it charges; the
exchange is positive when the community imports.
"""

from __future__ import annotations

from collections.abc import Mapping

from daogym.envs.core.layout import Layout, Part
from daogym.envs.dao.capture_report import CAPTURE_NAMES
from daogym.envs.dao.lane_layout import LANE_PARTS, N_LANE_PARTS, lane_parts

TERMS = ("import", "export", "wear", "ageing", "unserved", "ev_unmet", "stock", "bond")
COSTS = ("voltage", "line", "transformer", "reserve")
EVENTS = (
    "interventions",
    "reverts",
    "shield_delta_kwh",
    "invalid_actions",
    "import_kwh",
    "export_kwh",
    "curtailed_kwh",
    "losses_kwh",
    "unserved_kwh",
    "ev_unmet_kwh",
    "throughput_kwh",
    "inverter_trips",
    "relay_steps",
    "outage_steps",
    "violated_bus_hours",
    "power_flow_sweeps",
    "energy_balance_kwh",
)
VOTED_EVENTS = (
    "community_eur",
    "local_kwh",
    "members_gini",
    "members_losing_share",
    "halted_steps",
    *CAPTURE_NAMES,
)
"""Reported under a charter that is voted on, after `EVENTS`."""
GOVERNED = (
    "export_limit_share",
    "reserve_floor_share",
    "flexibility_budget_cycles_per_day",
    "set_point_slew_share_per_hour",
    "import_fee_eur_per_kwh",
    "local_price_share",
    "community_fee_eur_per_kwh",
    "curtailment_key_share",
)
(T_IMPORT, T_EXPORT, T_WEAR, T_AGEING, T_UNSERVED, T_EV_UNMET, T_STOCK, T_BOND) = range(8)
(K_VOLTAGE, K_LINE, K_TRANSFORMER, K_RESERVE) = range(4)
(
    E_INTERVENTIONS, E_REVERTS, E_SHIELD_DELTA_KWH, E_INVALID_ACTIONS, E_IMPORT_KWH, E_EXPORT_KWH,
    E_CURTAILED_KWH, E_LOSSES_KWH, E_UNSERVED_KWH, E_EV_UNMET_KWH, E_THROUGHPUT_KWH,
    E_INVERTER_TRIPS, E_RELAY_STEPS, E_OUTAGE_STEPS, E_VIOLATED_BUS_HOURS, E_POWER_FLOW_SWEEPS,
    E_ENERGY_BALANCE_KWH,
    E_COMMUNITY_EUR, E_LOCAL_KWH, E_MEMBERS_GINI, E_MEMBERS_LOSING_SHARE, E_HALTED_STEPS,
    E_CAPTURE,
) = range(23)  # fmt: skip
(
    G_EXPORT_LIMIT_SHARE, G_RESERVE_FLOOR_SHARE, G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY,
    G_SET_POINT_SLEW_SHARE_PER_HOUR, G_IMPORT_FEE_EUR_PER_KWH, G_LOCAL_PRICE_SHARE,
    G_COMMUNITY_FEE_EUR_PER_KWH, G_CURTAILMENT_KEY_SHARE,
) = range(8)  # fmt: skip
# The others never change under a static charter and are not observed there.
N_GOVERNED_STATIC = 4
N_TERM, N_COST, N_EVENT, N_GOVERNED = len(TERMS), len(COSTS), len(EVENTS), len(GOVERNED)
OUT_REWARD, OUT_BASELINE, OUT_STEPS, OUT_COST = 0, 1, 2, 3
OUT_TERM = OUT_COST + N_COST
OUT_EVENT = OUT_TERM + N_TERM
OUT_WIDTH = OUT_EVENT + N_EVENT
OUT_WIDTH_VOTED = OUT_WIDTH + len(VOTED_EVENTS)

PRICE_HOURS = 24
FORECAST_BLOCKS = 12
BLOCK_QUARTERS = 8
QUARTERS_PER_DAY = 96
PAST_QUARTERS = QUARTERS_PER_DAY
FUTURE_QUARTERS = 2 * QUARTERS_PER_DAY

# Rows of the `world` table: one column a quarter-hour of the calendar.
(W_IMPORT_PRICE, W_EXPORT_PRICE, W_LOAD_KW, W_PV_KW, W_LOAD_BLOCK_KW, W_PV_BLOCK_KW) = range(6)
# Rows of the `days` table: one column a day of the calendar.
(D_LOAD_DAY, D_PV_DAY, D_WEEKEND, D_YEAR_SIN, D_YEAR_COS, D_STOCK_PRICE, D_OWED_PRICE) = range(7)

PARAMETER_NAMES = (
    "sizes", "modes", "calendar", "parent", "pv_bus", "battery_bus", "ev_bus", "start_days",
    "r_pu", "x_pu", "tap", "shunt_g_pu", "shunt_b_pu", "i_max_pu",
    "battery_kwh", "battery_kw", "battery_kva", "pv_kw", "pv_kva", "ev_kw",
    "bus_pv_kw", "forecast_load", "forecast_pv", "scalars", "governed_initial",
    "observation_low", "observation_scale", "clock",
)  # fmt: skip
(
    P_SIZES, P_MODES, P_CALENDAR, P_PARENT, P_PV_BUS, P_BATTERY_BUS, P_EV_BUS, P_START_DAYS,
    P_R_PU, P_X_PU, P_TAP, P_SHUNT_G_PU, P_SHUNT_B_PU, P_I_MAX_PU,
    P_BATTERY_KWH, P_BATTERY_KW, P_BATTERY_KVA, P_PV_KW, P_PV_KVA, P_EV_KW,
    P_BUS_PV_KW, P_FORECAST_LOAD, P_FORECAST_PV, P_SCALARS, P_GOVERNED_INITIAL,
    P_OBSERVATION_LOW, P_OBSERVATION_SCALE, P_CLOCK,
) = range(28)  # fmt: skip
N_PARAMETER = 28

# Inside "sizes", "modes" and "calendar".
(Z_BUS, Z_PV, Z_BATTERY, Z_EV, Z_OBSERVATION, Z_ACTION) = range(6)
(M_ACTION_DEVICE, M_AUTORESET, M_STAGGER, M_CARRY, M_MARKET) = range(5)
(
    C_HORIZON,
    C_SUBSTEPS,
    C_DAYS,
    C_START_DAYS,
    C_EPISODE_DAYS,
    C_PUBLICATION_QUARTER,
    C_WINDOW_QUARTERS,
    C_BUDGET_DAYS,
) = range(8)
AUTORESET_SAME_STEP, AUTORESET_NEXT_STEP, AUTORESET_DISABLED = 0, 1, 2

# Inside "scalars".
SCALARS = (
    "dt_h", "s_base_kva", "slack_voltage_pu", "transformer_kva", "voltage_low_pu",
    "voltage_high_pu", "voltage_floor_pu", "tolerance_pu",
    "eta_charge", "eta_discharge", "battery_decay", "battery_gain_h", "soc_min_share",
    "initial_soc_low", "initial_soc_high", "wear_eur_per_kwh",
    "ev_efficiency", "ev_presence", "ev_arrival_h", "ev_arrival_std_h", "ev_departure_h",
    "ev_departure_std_h", "ev_energy_mean_share", "ev_unmet_eur_per_kwh",
    "unserved_eur_per_kwh", "ageing_eur_per_h", "ambient_c", "oil_rise_c", "loss_ratio",
    "oil_exponent", "winding_rise_c", "winding_exponent", "oil_decay", "hot_spot_limit_c",
    "relay_loading", "trip_voltage_pu", "trip_steps", "relay_hold_steps", "volt_var_gain",
    "forecast_persistence", "forecast_innovation", "battery_kwh_total", "battery_kw_total",
    "pv_kw_total", "ev_kw_total", "max_sweeps", "import_fee_eur_per_kwh", "halt_loading",
    "halt_steps", "treasury_cents",
)  # fmt: skip
(
    X_DT_H, X_S_BASE_KVA, X_SLACK_VOLTAGE_PU, X_TRANSFORMER_KVA, X_VOLTAGE_LOW_PU,
    X_VOLTAGE_HIGH_PU, X_VOLTAGE_FLOOR_PU, X_TOLERANCE_PU,
    X_ETA_CHARGE, X_ETA_DISCHARGE, X_BATTERY_DECAY, X_BATTERY_GAIN_H, X_SOC_MIN_SHARE,
    X_INITIAL_SOC_LOW, X_INITIAL_SOC_HIGH, X_WEAR_EUR_PER_KWH,
    X_EV_EFFICIENCY, X_EV_PRESENCE, X_EV_ARRIVAL_H, X_EV_ARRIVAL_STD_H, X_EV_DEPARTURE_H,
    X_EV_DEPARTURE_STD_H, X_EV_ENERGY_MEAN_SHARE, X_EV_UNMET_EUR_PER_KWH,
    X_UNSERVED_EUR_PER_KWH, X_AGEING_EUR_PER_H, X_AMBIENT_C, X_OIL_RISE_C, X_LOSS_RATIO,
    X_OIL_EXPONENT, X_WINDING_RISE_C, X_WINDING_EXPONENT, X_OIL_DECAY, X_HOT_SPOT_LIMIT_C,
    X_RELAY_LOADING, X_TRIP_VOLTAGE_PU, X_TRIP_STEPS, X_RELAY_HOLD_STEPS, X_VOLT_VAR_GAIN,
    X_FORECAST_PERSISTENCE, X_FORECAST_INNOVATION, X_BATTERY_KWH_TOTAL, X_BATTERY_KW_TOTAL,
    X_PV_KW_TOTAL, X_EV_KW_TOTAL, X_MAX_SWEEPS, X_IMPORT_FEE_EUR_PER_KWH, X_HALT_LOADING,
    X_HALT_STEPS, X_TREASURY_CENTS,
) = range(50)  # fmt: skip

# Columns of a lane's plan; the set-points of batteries, PV (P, then Q) and chargers follow.
(L_QUARTER, L_DAY, L_LOAD_KW, L_SHED_KW, L_PV_AVAILABLE_KW, L_PV_READY_KW, L_EV_KW,
 L_EXCHANGE_KW, L_THROUGHPUT_KWH, L_FEE_CHANGE_EUR_PER_KWH) = range(10)  # fmt: skip
PLAN_SCALARS = 10

# State parts; their offsets follow those of the parameters in the int64 vector.
STATE_NAMES = (
    "root_key", "episode", "episode_key", "step", "day", "done", "started", "forced_day", "carried",
    "ev_day", "ev_arrival_step", "ev_departure_step", "pv_trip_steps", "relay_hold_steps",
    "soc_kwh", "battery_kw", "voltage_pu", "pv_voltage_pu", "ev_energy_kwh", "oil_c", "hot_spot_c",
    "loading", "exchange_kw", "load_kw", "pv_kw", "curtailed_share", "relay_direction",
    "load_error", "pv_error", "budget_kwh", "initial_soc_kwh", "initial_ev_kwh", "closing_eur",
    "sums", "halt", "member_eur", "member_step_eur", "member_episode_eur",
    "member_alone_eur", "member_local_kwh", "community_eur",
    *LANE_PARTS,
)  # fmt: skip
(
    S_ROOT_KEY, S_EPISODE, S_EPISODE_KEY, S_STEP, S_DAY, S_DONE, S_STARTED,
    S_FORCED_DAY, S_CARRIED,
    S_EV_DAY, S_EV_ARRIVAL_STEP, S_EV_DEPARTURE_STEP, S_PV_TRIP_STEPS, S_RELAY_HOLD_STEPS,
    S_SOC_KWH, S_BATTERY_KW, S_VOLTAGE_PU, S_PV_VOLTAGE_PU, S_EV_ENERGY_KWH, S_OIL_C, S_HOT_SPOT_C,
    S_LOADING, S_EXCHANGE_KW, S_LOAD_KW, S_PV_KW, S_CURTAILED_SHARE, S_RELAY_DIRECTION,
    S_LOAD_ERROR, S_PV_ERROR, S_BUDGET_KWH, S_INITIAL_SOC_KWH, S_INITIAL_EV_KWH, S_CLOSING_EUR,
    S_SUMS, S_HALT, S_MEMBER_EUR, S_MEMBER_STEP_EUR, S_MEMBER_EPISODE_EUR, S_MEMBER_ALONE_EUR,
    S_MEMBER_LOCAL_KWH, S_COMMUNITY_EUR,
    S_GOVERNED,
) = range(N_PARAMETER, N_PARAMETER + 55 - N_LANE_PARTS + 1)  # fmt: skip


def state_layout(
    n_bus: int,
    n_pv: int,
    n_battery: int,
    n_ev: int,
    governance: Mapping[str, tuple[int, ...]] | None = None,
    market: bool = False,
) -> Layout:
    """Parts of one lane's state for a feeder of these sizes.

    Args:
        market: members trade with each other.
        governance: shapes of what a voted charter keeps in a lane, by name; none for a static one.
    """
    members = (n_bus,) if market else (0,)

    def integer(name: str, shape: tuple[int, ...], doc: str) -> Part:
        return Part(name, shape, doc, integer=True)

    return Layout(
        [
            integer("root_key", (), "random key of the lane's seed (bits of a uint64)"),
            integer("episode", (), "episodes begun since the seed was set, minus one"),
            integer("episode_key", (), "random key of this episode (bits of a uint64)"),
            integer("step", (), "steps done in this episode"),
            integer("day", (), "calendar day on which the episode starts"),
            integer("done", (), "1 after the last step of an episode"),
            integer("started", (), "step at which the episode began (0 unless staggered)"),
            integer("forced_day", (), "calendar day asked for the next episode, -1 for a draw"),
            integer("carried", (), "1 where the episode goes on from the one before"),
            integer("ev_day", (n_ev,), "day of the episode whose session the charger holds"),
            integer("ev_arrival_step", (n_ev,), "step at which that car arrives"),
            integer("ev_departure_step", (n_ev,), "step at which that car leaves"),
            integer("pv_trip_steps", (n_pv,), "steps until a tripped inverter reconnects"),
            integer("relay_hold_steps", (), "steps until the transformer relay lets go"),
            Part("soc_kwh", (n_battery,), "stored energy, kWh"),
            Part("battery_kw", (n_battery,), "last power, charging positive, kW"),
            Part("voltage_pu", (n_bus,), "last voltage magnitude, pu"),
            Part("pv_voltage_pu", (n_pv,), "smoothed voltage that volt-var control sees, pu"),
            Part("ev_energy_kwh", (n_ev,), "energy the car still wants, kWh in its battery"),
            Part("oil_c", (), "top-oil temperature of the transformer, °C"),
            Part("hot_spot_c", (), "hot-spot temperature of the transformer, °C"),
            Part("loading", (), "last transformer loading |S| / rating"),
            Part("exchange_kw", (), "last exchange at the transformer, import positive, kW"),
            Part("load_kw", (), "last measured load without cars and batteries, kW"),
            Part("pv_kw", (), "last measured PV output, kW"),
            Part("curtailed_share", (), "last share of the available PV that was not used"),
            Part("relay_direction", (), "1: the relay holds imports down, -1: exports"),
            Part("load_error", (), "standardised error of the load forecast"),
            Part("pv_error", (), "standardised error of the PV forecast"),
            Part("budget_kwh", (), "battery throughput that the charter still allows, kWh"),
            Part("initial_soc_kwh", (), "stored energy when the episode began, kWh"),
            Part("initial_ev_kwh", (), "energy that cars wanted when the episode began, kWh"),
            Part("closing_eur", (), "what the stock was worth when the last episode ended, EUR"),
            Part("sums", (OUT_WIDTH_VOTED if governance else OUT_WIDTH,),
                 "sums of all outputs over this episode"),
            integer("halt", (1,) if governance else (0,), "steps of the emergency halt left"),
            Part("member_eur", members, "money of each connection this episode, EUR"),
            Part("member_step_eur", members, "of this, the last step's, EUR"),
            Part("member_episode_eur", members, "the same of the episode that ended last, EUR"),
            Part("member_alone_eur", members, "the same without a community, EUR"),
            Part("member_local_kwh", members, "energy sold to other members this episode, kWh"),
            Part("community_eur", (1,) if market else (0,),
                 "what the community has of this episode's fees, less the feeder's losses, EUR"),
            *lane_parts(N_GOVERNED, governance),
        ]
    )  # fmt: skip


def parameter_layout(
    n_bus: int, n_pv: int, n_battery: int, n_ev: int, n_start: int, n_observation: int
) -> Layout:
    """Parts of the parameters for a feeder of these sizes."""

    def integer(name: str, size: int) -> Part:
        return Part(name, (size,), integer=True)

    return Layout(
        [
            integer("sizes", 6), integer("modes", 5), integer("calendar", 8),
            integer("parent", n_bus), integer("pv_bus", n_pv),
            integer("battery_bus", n_battery), integer("ev_bus", n_ev),
            integer("start_days", n_start),
            Part("r_pu", (n_bus,)), Part("x_pu", (n_bus,)), Part("tap", (n_bus,)),
            Part("shunt_g_pu", (n_bus,)), Part("shunt_b_pu", (n_bus,)),
            Part("i_max_pu", (n_bus,)), Part("battery_kwh", (n_battery,)),
            Part("battery_kw", (n_battery,)), Part("battery_kva", (n_battery,)),
            Part("pv_kw", (n_pv,)), Part("pv_kva", (n_pv,)), Part("ev_kw", (n_ev,)),
            Part("bus_pv_kw", (n_bus,)), Part("forecast_load", (FORECAST_BLOCKS,)),
            Part("forecast_pv", (FORECAST_BLOCKS,)), Part("scalars", (len(SCALARS),)),
            Part("governed_initial", (N_GOVERNED,)),
            Part("observation_low", (n_observation,)),
            Part("observation_scale", (n_observation,)),
            Part("clock", (2 * QUARTERS_PER_DAY,)),
        ]
    )  # fmt: skip


parameter_layout(1, 0, 0, 0, 1, 1).check_order(globals(), "P_")
state_layout(1, 0, 0, 0).check_order(globals(), "S_", N_PARAMETER, S_GOVERNED + 1)
