"""Tables, parameters and state of a supply network, and where the kernel finds each number.

Tables are arrays of the network (rows: nodes, routes, lanes, goods); scalars are two vectors; the
state is packed into one float64 and one int64 block. A *route* is one mode on one lane, a *cell*
one good at one node.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from daogym.envs.core.layout import Layout, Part
from daogym.envs.dao.capture_report import CAPTURE_NAMES
from daogym.envs.dao.lane_layout import LANE_PARTS, N_LANE_PARTS, lane_parts

from .governed import N_GOVERNED

TERMS = ("revenue", "purchase", "freight", "holding", "unmet", "energy", "stock", "bond")
COSTS = ("fill_rate", "treasury", "carbon", "warehouse", "stake", "fairness")
EVENTS = (
    "interventions",
    "reverts",
    "shield_delta_units",
    "invalid_actions",
    "demand_units",
    "met_units",
    "sold_units",
    "lost_units",
    "backlog_units",
    "bought_units",
    "shipped_units",
    "rationed_units",
    "late_units",
    "carbon_kg",
    "fees_usd",
    "tariff_usd",
    "slashed_usd",
    "closed_lanes",
    "closed_nodes",
)
# What an episode under a voted charter ends with; 0 in its other steps.
VOTED_EVENTS = CAPTURE_NAMES
(T_REVENUE, T_PURCHASE, T_FREIGHT, T_HOLDING, T_UNMET, T_ENERGY, T_STOCK, T_BOND) = range(8)
(K_FILL_RATE, K_TREASURY, K_CARBON, K_WAREHOUSE, K_STAKE, K_FAIRNESS) = range(6)
(
    E_INTERVENTIONS, E_REVERTS, E_SHIELD_DELTA_UNITS, E_INVALID_ACTIONS, E_DEMAND_UNITS,
    E_MET_UNITS, E_SOLD_UNITS, E_LOST_UNITS, E_BACKLOG_UNITS, E_BOUGHT_UNITS, E_SHIPPED_UNITS,
    E_RATIONED_UNITS, E_LATE_UNITS, E_CARBON_KG, E_FEES_USD, E_TARIFF_USD, E_SLASHED_USD,
    E_CLOSED_LANES, E_CLOSED_NODES,
) = range(19)  # fmt: skip
N_TERM, N_COST, N_EVENT = len(TERMS), len(COSTS), len(EVENTS)
OUT_REWARD, OUT_BASELINE, OUT_STEPS, OUT_COST = 0, 1, 2, 3
OUT_TERM = OUT_COST + N_COST
OUT_EVENT = OUT_TERM + N_TERM
OUT_WIDTH = OUT_EVENT + N_EVENT
OUT_WIDTH_VOTED = OUT_WIDTH + len(VOTED_EVENTS)


def _columns(count: int) -> tuple[Any, ...]:
    """Column numbers as int64: Numba compiles a function anew for every plain whole number."""
    return tuple(np.int64(i) for i in range(count))


# The network's tables, packed one after another into the two parameter vectors; see tables.py.
TABLES = (
    "nodes", "node_values", "lanes", "routes", "route_values", "modes", "goods", "cells",
    "processes", "calendar", "pipeline_slots", "seen_processes", "observed", "days_ahead",
    "season_ahead",
)  # fmt: skip
# Columns of `nodes` (N, 13): where its outgoing routes and incoming lanes begin and end, which
# places its customers and region have (-1: none); the i-th row also names the i-th node in the
# order from suppliers to customers, and in the order in which nodes ship. The last one is the row
# of the action's levels that is the node's.
(
    N_SUPPLIER, N_FIRST_ROUTE, N_END_ROUTE, N_FIRST_LANE, N_END_LANE, N_HOME, N_TIER, N_CUSTOMERS,
    N_REGION, N_PROCESS, N_UPSTREAM_FIRST, N_SHIPS, N_LEVELS,
) = _columns(13)  # fmt: skip
NODE_COLUMNS = 13
# Columns of `node_values` (N, 3); a capacity or throughput of UNLIMITED is none.
UNLIMITED = 1e300
(V_CAPACITY, V_THROUGHPUT, V_ENERGY_USD) = _columns(3)
NODE_VALUE_COLUMNS = 3
# Columns of `lanes` (A, 5): a destination's lanes stand together, its home lane first.
(L_ORIGIN, L_DESTINATION, L_FIRST_ROUTE, L_END_ROUTE, L_PROCESS) = _columns(5)
LANE_COLUMNS = 5
# Columns of `routes` (R, 9): an origin's routes stand together, a lane's default mode first.
(
    R_ORIGIN, R_DESTINATION, R_MODE, R_LEAD_DAYS, R_ORDER_DAYS, R_LANE, R_FLEET, R_KNOB, R_PLACE,
) = _columns(9)  # fmt: skip
ROUTE_COLUMNS = 9
# Columns of `route_values` (R, 10).
(
    Q_COST_USD, Q_CAPACITY, Q_HOURS, Q_CARBON_KG, Q_OWED_USD, Q_KEEPS, Q_LARGEST_ORDER,
    Q_SHARE_AT_ZERO, Q_LARGEST_SHARE, Q_INITIAL,
) = _columns(10)  # fmt: skip
ROUTE_VALUE_COLUMNS = 10
# Columns of `modes` (M, 5); the last one is the hours a day of all fleets of the mode.
(O_LATE_PROBABILITY, O_STAKE_USD, O_MARGIN, O_RATIONED, O_FLEET_HOURS) = _columns(5)
MODE_COLUMNS = 5
# Rows of what carriers have posted, (7, modes), see bids.py: price / nominal freight, share of its
# capacity on offer, share of the shipments that stays with the carrier, what the spot market gets
# for the rest and what a shipper pays in all / nominal freight, weight of the mode where an order
# is split, and up to which the stake is filled / nominal stake.
(
    B_PRICE, B_OFFERED, B_CARRIED, B_SPOT, B_PAID, B_ATTRACTION, B_STAKE,
) = _columns(7)  # fmt: skip
POSTED_ROWS = 7
# Rows of what carriers did on the last day, (6, modes): volume carried, of this late, spent on the
# spot market instead (USD); share of its capacity that is used, moving average of lateness, and
# own money (USD).
(W_VOLUME, W_LATE_VOLUME, W_SPOT_USD, W_USED, W_LATE_SHARE, W_EARNED_USD) = _columns(6)
WORK_ROWS = 6
# Columns of `goods` (G, 4).
(H_VOLUME, H_VALUE_USD, H_SEASON_SHARE, H_PRICE_USD) = _columns(4)
GOOD_COLUMNS = 4
# Blocks of `cells` (9, N, G).
(
    C_BASE_STOCK, C_MEAN, C_HOLDING_USD, C_TRANSIT_USD, C_PURCHASE_USD, C_CLEARING_USD,
    C_COVENANT_UNITS, C_INITIAL, C_TRANSFER_USD,
) = _columns(9)  # fmt: skip
CELL_BLOCKS = 9
# Columns of `processes` (P, 2): lanes, nodes, then fleets, which close and open by themselves.
(U_ALPHA, U_BETA) = _columns(2)
PROCESS_COLUMNS = 2
# Rows of `calendar` (G + 1, CALENDAR_COLUMNS): seasonal factors of each good; the last row holds
# the seven weekday factors, then the hours of each fleet.
CALENDAR_FLEETS = 7
CALENDAR_COLUMNS = 512
# Rows of `observed` (2, n_observation): low, and 2 / (high - low).
# `days_ahead` (tiers,) and `season_ahead` (365, tiers, goods): see lookahead.py.

# Whole-number parameters.
INTEGERS = (
    "nodes", "goods", "routes", "lanes", "modes", "level_rows", "knobs", "processes", "fleets",
    "regions", "customers", "ring", "horizon", "observed_days_left", "action_orders",
    "whole_orders",
    "autoreset", "stagger", "split", "law", "size", "step_day", "informed", "observation",
    "order_ring", "varied_start", "has_calendar", "has_promotions", "has_levels", "has_stakes",
    "has_allowance", "has_outlook",
    "has_ration", "pipeline_slots", "seen_processes", "shown_governed", "fleet_places",
    "reserve_cents", "own_money", "anticipating", "bidding",
)  # fmt: skip
(
    I_NODES, I_GOODS, I_ROUTES, I_LANES, I_MODES, I_LEVEL_ROWS, I_KNOBS, I_PROCESSES,
    I_FLEETS, I_REGIONS, I_CUSTOMERS, I_RING, I_HORIZON, I_OBSERVED_DAYS_LEFT, I_ACTION_ORDERS,
    I_WHOLE_ORDERS, I_AUTORESET, I_STAGGER, I_SPLIT, I_LAW, I_SIZE, I_STEP_DAY, I_INFORMED,
    I_OBSERVATION, I_ORDER_RING, I_VARIED_START, I_HAS_CALENDAR, I_HAS_PROMOTIONS, I_HAS_LEVELS,
    I_HAS_STAKES, I_HAS_ALLOWANCE, I_HAS_OUTLOOK, I_HAS_RATION, I_PIPELINE_SLOTS,
    I_SEEN_PROCESSES,
    I_SHOWN_GOVERNED, I_FLEET_PLACES, I_RESERVE_CENTS, I_OWN_MONEY, I_ANTICIPATING,
    I_BIDDING,
) = range(41)  # fmt: skip
N_INTEGER = 41
# Then offsets of the tables in their vector, then those of the state's parts.
(
    P_NODES, P_NODE_VALUES, P_LANES, P_ROUTES, P_ROUTE_VALUES, P_MODES, P_GOODS, P_CELLS,
    P_PROCESSES, P_CALENDAR, P_PIPELINE_SLOTS, P_SEEN_PROCESSES, P_OBSERVED, P_DAYS_AHEAD,
    P_SEASON_AHEAD,
) = range(N_INTEGER, N_INTEGER + 15)  # fmt: skip
N_TABLE = 15
AUTORESETS = ("same_step", "next_step", "disabled")
AUTORESET_SAME_STEP, AUTORESET_NEXT_STEP = 0, 1
LAWS = ("constant", "poisson", "negative_binomial", "geometric", "normal", "uniform", "step")
(
    LAW_CONSTANT, LAW_POISSON, LAW_NEGATIVE_BINOMIAL, LAW_GEOMETRIC, LAW_NORMAL, LAW_UNIFORM,
    LAW_STEP,
) = range(7)  # fmt: skip

# Real parameters; the charter's values follow.
FLOATS = (
    "multiplier_span", "deviation_units", "level_deviation", "level_persistence",
    "level_innovation", "promotion_probability", "promotion_days", "promotion_factor",
    "backlogged_share", "backlog_usd", "lost_usd", "ewma_share", "level_error", "fill_rate_floor",
    "initial_treasury_usd", "demand_volume", "anticipated_base", "anticipated_season",
    "anticipated_promotions", "anticipated_level", "mode_elasticity", "spot_elasticity",
    "stake_yield",
)  # fmt: skip
(
    F_MULTIPLIER_SPAN, F_DEVIATION_UNITS, F_LEVEL_DEVIATION, F_LEVEL_PERSISTENCE,
    F_LEVEL_INNOVATION, F_PROMOTION_PROBABILITY, F_PROMOTION_DAYS, F_PROMOTION_FACTOR,
    F_BACKLOGGED_SHARE, F_BACKLOG_USD, F_LOST_USD, F_EWMA_SHARE, F_LEVEL_ERROR, F_FILL_RATE_FLOOR,
    F_INITIAL_TREASURY_USD, F_DEMAND_VOLUME, F_ANTICIPATED_BASE, F_ANTICIPATED_SEASON,
    F_ANTICIPATED_PROMOTIONS, F_ANTICIPATED_LEVEL,
    F_MODE_ELASTICITY, F_SPOT_ELASTICITY, F_STAKE_YIELD,
) = range(23)  # fmt: skip
F_GOVERNED = 23
N_FLOAT = F_GOVERNED + N_GOVERNED

PROMOTION_BLOCK_DAYS = 28
YEAR_DAYS = 365

STATE_NAMES = (
    "root_key", "episode", "episode_key", "forced_day", "first_day", "step", "started", "done",
    "closed", "promotion_start",
    "stock_units", "backlog_units", "in_transit_units", "pipeline_units", "echelon_units",
    "mail_units", "owed_units", "flow_units", "demand_units", "ewma_units",
    "level", "level_seen", "promotion_factor", "carried_usd", "arriving_usd", "escrow_usd",
    "arriving_fee_usd", "late_fee_usd", "stake_usd", "carrier_usd", "treasury_usd",
    "allowance_usd", "fill_rate", "region_fill", "initial_units", "closing_usd", "sums",
    "node_usd", "node_step_usd", "node_episode_usd", "node_closing_usd",
    "posted", "work", "carrier_wealth_usd", "carrier_own_usd", "carrier_step_usd",
    "carrier_episode_usd",
    *LANE_PARTS,
)  # fmt: skip
(
    S_ROOT_KEY, S_EPISODE, S_EPISODE_KEY, S_FORCED_DAY, S_FIRST_DAY, S_STEP, S_STARTED, S_DONE,
    S_CLOSED, S_PROMOTION_START,
    S_STOCK, S_BACKLOG, S_IN_TRANSIT, S_PIPELINE, S_ECHELON,
    S_MAIL, S_OWED, S_FLOW, S_DEMAND, S_EWMA,
    S_LEVEL, S_LEVEL_SEEN, S_PROMOTION_FACTOR, S_CARRIED_USD, S_ARRIVING_USD, S_ESCROW_USD,
    S_ARRIVING_FEE_USD, S_LATE_FEE_USD, S_STAKE_USD, S_CARRIER_USD, S_TREASURY_USD,
    S_ALLOWANCE_USD, S_FILL_RATE, S_REGION_FILL, S_INITIAL, S_CLOSING_USD, S_SUMS,
    S_NODE_USD, S_NODE_STEP_USD, S_NODE_EPISODE_USD, S_NODE_CLOSING_USD,
    S_POSTED, S_WORK, S_CARRIER_WEALTH_USD, S_CARRIER_OWN_USD, S_CARRIER_STEP_USD,
    S_CARRIER_EPISODE_USD, S_GOVERNED,
) = range(N_INTEGER + N_TABLE, N_INTEGER + N_TABLE + 48)  # fmt: skip


def state_layout(
    *, nodes: int, goods: int, routes: int, modes: int, processes: int, regions: int,
    customers: int, ring: int, order_ring: int, keeps_orders: bool, own_money: bool = False,
    bidding: bool = False,
    governance: Mapping[str, tuple[int, ...]] | None = None,
) -> Layout:  # fmt: skip
    """Parts of one lane's state for a network of these sizes.

    Args:
        ring: days of the pipeline ring: what arrives on day t stands at t modulo `ring`.
        order_ring: days of the ring of orders on their way to an origin.
        keeps_orders: whether any route keeps orders or takes time to hand them over.
        own_money: whether nodes have accounts of their own.
        bidding: whether carriers set anything, and have accounts of their own.
        governance: shapes of what a voted charter keeps in a lane, by name; none for a static one.
    """

    def integer(name: str, shape: tuple[int, ...], doc: str) -> Part:
        return Part(name, shape, doc, integer=True)

    cell = (nodes, goods)
    kept = routes if keeps_orders else 0
    accounts = (nodes if own_money else 0,)
    bidders = modes if bidding else 0
    return Layout(
        [
            integer("root_key", (), "random key of the lane's seed (bits of a uint64)"),
            integer("episode", (), "episodes begun since the seed was set, minus one"),
            integer("episode_key", (), "random key of this episode (bits of a uint64)"),
            integer("forced_day", (), "day of the year asked for the next episode, -1 for a draw"),
            integer("first_day", (), "day of the year on which the episode starts"),
            integer("step", (), "days done in this episode"),
            integer("started", (), "step at which the episode began (0 unless staggered)"),
            integer("done", (), "1 after the last step of an episode"),
            integer("closed", (processes,), "1 while a lane, node or fleet is closed"),
            integer("promotion_start", (2, goods),
                    "first day of the promotion in this block of 28 days and the next, -1: none"),
            Part("stock_units", cell, "on hand, this morning's arrivals included"),
            Part("backlog_units", cell, "customers' demand that waits"),
            Part("in_transit_units", cell, "on the way to a node"),
            Part("pipeline_units", (ring, nodes, goods), "of these, by day of arrival modulo ring"),
            Part("echelon_units", cell, "echelon inventory position"),
            Part("mail_units", (order_ring if keeps_orders else 0, kept, goods),
                 "orders on their way to the origin, by day of arrival modulo order_ring"),
            Part("owed_units", (kept, goods), "ordered and not shipped, where orders are kept"),
            Part("flow_units", (routes, goods), "shipped in the last step"),
            Part("demand_units", (customers, goods), "of the last day"),
            Part("ewma_units", (customers, goods), "moving average of demand"),
            Part("level", (customers,), "log of the demand level of each place with customers"),
            Part("level_seen", (customers,), "that level as observed, with an error"),
            Part("promotion_factor", (goods,), "of today's demand"),
            Part("carried_usd", (modes,), "purchase value of what each carrier carries"),
            Part("arriving_usd", (ring, modes), "of this, by day of arrival modulo ring"),
            Part("escrow_usd", (modes,), "freight paid by the DAO and not yet released"),
            Part("arriving_fee_usd", (ring, modes), "of this, by day of arrival modulo ring"),
            Part("late_fee_usd", (ring, modes), "freight of late shipments, by day of arrival"),
            Part("stake_usd", (modes,), "bonded by each carrier"),
            Part("carrier_usd", (modes,), "each carrier's purse"),
            Part("treasury_usd", (), "the DAO's purse"),
            Part("allowance_usd", (), "what may still be spent at suppliers this week"),
            Part("fill_rate", (), "moving average of the share of demand met at once"),
            Part("region_fill", (regions,), "the same for each region"),
            Part("initial_units", cell, "stock and transit when the episode began"),
            Part("closing_usd", (), "what goods and backlog are worth tonight, see settle.py"),
            Part("sums", (OUT_WIDTH,), "sums of all outputs over this episode"),
            Part("node_usd", accounts, "each node's own money in this episode, see node_money.py"),
            Part("node_step_usd", accounts, "of this, the last step's"),
            Part("node_episode_usd", accounts, "the same of the episode that ended last"),
            Part("node_closing_usd", accounts, "each node's part of closing_usd"),
            Part("posted", (POSTED_ROWS, bidders), "what carriers have posted, rows B_*"),
            Part("work", (WORK_ROWS, bidders), "what carriers did on the last day, rows W_*"),
            Part("carrier_wealth_usd", (bidders,), "each carrier's purse, stake and escrow"),
            Part("carrier_own_usd", (bidders,), "each carrier's own money in this episode"),
            Part("carrier_step_usd", (bidders,), "of this, the last step's"),
            Part("carrier_episode_usd", (bidders,), "the same of the episode that ended last"),
            *lane_parts(N_GOVERNED, governance),
        ]
    )  # fmt: skip


def _checked() -> None:
    names: dict[str, Any] = globals()
    layout = state_layout(
        nodes=1, goods=1, routes=1, modes=1, processes=1, regions=1, customers=1, ring=1,
        order_ring=1, keeps_orders=True,
    )  # fmt: skip
    assert STATE_NAMES[S_GOVERNED - N_INTEGER - N_TABLE] == "governed"
    assert tuple(part.name for part in layout.parts) == STATE_NAMES
    short = {
        "STOCK_UNITS": "STOCK", "BACKLOG_UNITS": "BACKLOG", "IN_TRANSIT_UNITS": "IN_TRANSIT",
        "PIPELINE_UNITS": "PIPELINE", "ECHELON_UNITS": "ECHELON", "MAIL_UNITS": "MAIL",
        "OWED_UNITS": "OWED", "FLOW_UNITS": "FLOW", "DEMAND_UNITS": "DEMAND", "EWMA_UNITS": "EWMA",
        "INITIAL_UNITS": "INITIAL",
    }  # fmt: skip
    # lane.py finds the charter's own parts from the first of them on.
    for i, name in enumerate(STATE_NAMES[: 1 - N_LANE_PARTS]):
        key = "S_" + short.get(name.upper(), name.upper())
        assert names[key] == N_INTEGER + N_TABLE + i, key
    tables = (("I_", INTEGERS, 0), ("F_", FLOATS, 0), ("P_", TABLES, N_INTEGER))
    for prefix, declared, first in tables:
        for i, name in enumerate(declared, first):
            assert names[prefix + name.upper()] == i, name


_checked()
