"""What the operator sees: the fields, and the compiled function that fills them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from daogym.envs.core.compiled import inlined_function, kernel_function, separate_arrays_function
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import sin_cos
from daogym.envs.dao.bids import BID_RISE, STAKE_SPAN
from daogym.envs.dao.charter import GovernedParameter

from . import layout as at
from .bids import posted
from .govern import write_governance
from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK, GOVERNED, N_GOVERNED
from .layout import (
    B_OFFERED,
    B_PRICE,
    C_BASE_STOCK,
    F_DEMAND_VOLUME,
    F_INITIAL_TREASURY_USD,
    F_PROMOTION_DAYS,
    F_PROMOTION_FACTOR,
    H_VOLUME,
    I_BIDDING,
    I_CUSTOMERS,
    I_GOODS,
    I_HAS_ALLOWANCE,
    I_HAS_CALENDAR,
    I_HAS_LEVELS,
    I_HAS_OUTLOOK,
    I_HAS_PROMOTIONS,
    I_HAS_STAKES,
    I_HORIZON,
    I_INFORMED,
    I_MODES,
    I_NODES,
    I_OBSERVATION,
    I_OBSERVED_DAYS_LEFT,
    I_ORDER_RING,
    I_PIPELINE_SLOTS,
    I_REGIONS,
    I_RING,
    I_ROUTES,
    I_SEEN_PROCESSES,
    I_SHOWN_GOVERNED,
    N_CUSTOMERS,
    N_SUPPLIER,
    O_STAKE_USD,
    P_OBSERVED,
    PROMOTION_BLOCK_DAYS,
    S_ALLOWANCE_USD,
    S_BACKLOG,
    S_CARRIED_USD,
    S_CLOSED,
    S_ECHELON,
    S_EWMA,
    S_FILL_RATE,
    S_FIRST_DAY,
    S_FLOW,
    S_GOVERNED,
    S_LEVEL_SEEN,
    S_MAIL,
    S_OWED,
    S_PIPELINE,
    S_PROMOTION_START,
    S_REGION_FILL,
    S_STAKE_USD,
    S_STEP,
    S_STOCK,
    S_TREASURY_USD,
    S_WORK,
    W_EARNED_USD,
    W_LATE_SHARE,
    W_USED,
    W_VOLUME,
    YEAR_DAYS,
)
from .network import Network
from .ring import days_on
from .tables import (
    calendar_value,
    cell_value,
    good_value,
    mode_value,
    node_at,
    seen_process,
    slot_at,
)

_WEEK_TURN = 0.8975979010256552
_YEAR_TURN = 0.017214206321039961
MOST_DAYS = PROMOTION_BLOCK_DAYS * 2


def pipeline_slots(network: Network) -> Int:
    """(slots, 2): node and days until arrival of every part of the pipeline that is observed."""
    longest = np.zeros(network.n_nodes, dtype=np.int64)
    for route in network.route_list:
        lane = network.lane_list[route.lane]
        late = network.scenario.modes[route.mode].late_probability > 0.0
        n = network.node_names.index(lane.destination)
        longest[n] = max(longest[n], route.lead_days + int(late))
    # What would arrive today has arrived this morning.
    found = [(n, day) for n in range(network.n_nodes) for day in range(longest[n])]
    return np.array(found, dtype=np.int64).reshape(-1, 2)


def observation_fields(
    network: Network, flags: dict[str, int], governed: Sequence[GovernedParameter],
    votes: tuple[list[Field], list[Field]],
) -> FieldSet:  # fmt: skip
    """Fields in the order in which `write_observation` fills them; values beyond are held.

    Args:
        governed: the charter's parameters.
        votes: fields of live proposals and of the operator's bonds, the last ones.
    """
    s = network.scenario
    stocked = np.flatnonzero(~network.supplier)
    goods, customers = network.n_goods, network.customers
    levels = np.maximum(network.base_stock, 1.0)
    flow = np.maximum(network.downstream(network.local_mean), 0.5)
    mean = np.maximum(network.local_mean[customers], 0.5)
    place, cell = (len(customers), goods), (len(stocked), goods)
    fields = [
        Field("time_left", "day", 0.0, float(s.observed_days_left),
              doc="days of the episode still to come, held at the end of the range"),
    ]  # fmt: skip
    if flags["has_calendar"]:
        fields += [
            Field("week_sin", "1", -1.0, 1.0, doc="sine of the day on the circle of the week"),
            Field("week_cos", "1", -1.0, 1.0, doc="cosine of the day on the circle of the week"),
            Field("year_sin", "1", -1.0, 1.0, doc="sine of the day on the circle of the year"),
            Field("year_cos", "1", -1.0, 1.0, doc="cosine of the day on the circle of the year"),
        ]
    fields += [
        Field("stock", "units", 0.0, np.maximum(levels, 8.0 * flow)[stocked], cell,
              "on hand at each node but suppliers, this morning's arrivals included"),
        Field("position", "1", -1.0, 2.0, cell,
              "echelon inventory (stock, transit, minus backlog, of a node and all that it "
              "supplies) / its order-up-to level at action 0"),
        Field("backlog", "units", 0.0, 8.0 * mean, place, "demand that waits"),
    ]  # fmt: skip
    slots = pipeline_slots(network)
    if len(slots):
        fields.append(
            Field("pipeline", "units", 0.0, 4.0 * flow[slots[:, 0]] + 4.0, (len(slots), goods),
                  "on the way to a node, by days until arrival: "
                  + ", ".join(f"{network.node_names[n]} {day + 1}" for n, day in slots)),
        )  # fmt: skip
    fields.append(Field("demand", "units", 0.0, 4.0 * mean, place, "moving average of demand"))
    if flags["order_ring"]:
        kept = (len(network.route_list), goods)
        fields += [
            Field("owed", "units", 0.0, 60.0, kept, "ordered on a route and not shipped"),
            Field("mail", "units", 0.0, 60.0, (flags["order_ring"], *kept),
                  "orders on their way to the origin, by days until arrival"),
        ]  # fmt: skip
    if flags["has_levels"] and flags["informed"]:
        reach = 4.0 * (s.demand.level_deviation + s.forecast.level_error)
        fields.append(Field("level", "1", -reach, reach, (len(customers),),
                            "log of the demand level of each place, with an error"))  # fmt: skip
    if flags["has_promotions"] and flags["informed"]:
        fields += [
            Field("promotion_begins", "day", 0.0, float(MOST_DAYS), (goods,),
                  "days until the next promotion begins, 0 during one, 56 where none is known"),
            Field("promotion_left", "day", 0.0, 14.0, (goods,), "days that one goes on"),
        ]  # fmt: skip
    if flags["has_outlook"]:
        fields.append(
            Field("outlook", "1", 0.0, 3.0, (2, goods),
                  "expected demand of the next 7 days, and of the 7 after them, / its mean: "
                  "season and promotions"),
        )  # fmt: skip
    if flags["seen_processes"]:
        fields.append(Field("closed", "1", 0.0, 1.0, (flags["seen_processes"],),
                            "1 while closed: " + ", ".join(process_names(network))))  # fmt: skip
    if flags["has_stakes"]:
        fields += [
            Field("stake", "1", 0.0, 1.0, (network.n_modes,), "carriers' stakes / nominal"),
            Field("carried", "1", 0.0, 2.0, (network.n_modes,),
                  "value of what each carrier carries / nominal stake"),
            Field("treasury", "USD", -2e5, 2e5, doc="the DAO's purse minus its first content"),
            Field("fill_rate", "1", 0.0, 1.0, doc="moving average of demand met at once"),
            Field("region_fill", "1", 0.0, 1.0, (len(network.regions),), "the same by region"),
        ]  # fmt: skip
    if flags["has_allowance"]:
        fields.append(Field("allowance", "1", 0.0, 1.0, doc="left of the week's purchases"))
    if flags["shown_governed"]:
        low = np.array([p.low for p in governed])
        high = np.minimum(np.array([p.high for p in governed]), 1e5)
        fields.append(Field("governed", "1", low, high, (N_GOVERNED,),
                            f"charter parameters in force: {', '.join(GOVERNED)}"))  # fmt: skip
    if flags["bidding"]:
        fields += _carriers_fields(network)
    return FieldSet([*fields, *votes[0], *votes[1]])


def _carriers_fields(network: Network) -> list[Field]:
    """What carriers have posted, and how they fared on the last day."""
    modes = network.scenario.modes
    each, names = (len(modes),), ", ".join(mode.name for mode in modes)
    volume = np.array([good.volume for good in network.scenario.goods])
    flow = network.downstream(network.local_mean) @ volume
    values, to = (network.tables[name] for name in ("route_values", "routes"))
    most = np.minimum(values[:, at.Q_CAPACITY], 4.0 * flow[to[:, at.R_DESTINATION]] + 4.0)
    dearest = float((values[:, at.Q_COST_USD] * (1.0 + network.tables["modes"][
        to[:, at.R_MODE], at.O_MARGIN])).max())  # fmt: skip
    income = max(2.0 * float(flow.max()) * dearest, 1.0)
    return [
        Field("freight", "1", 0.0, 1.0 + BID_RISE, each,
              f"freight that carriers ask of the next orders / nominal: {names}"),
        Field("offered", "1", 0.0, 1.0, each, "share of its capacity that each offers for them"),
        Field("backing", "1", 0.0, 1.0 + STAKE_SPAN, each, "stakes / nominal"),
        Field("volume", "1", 0.0, 2.0, each,
              "carried in the last step / volume of the network's mean demand"),
        Field("used", "1", 0.0, 1.0, each,
              "largest share of a route's capacity, or share of all fleets' hours, in use"),
        Field("late", "1", 0.0, 1.0, each, "moving average of the share that was late"),
        Field("earned", "USD", -income, income, each, "a carrier's own money in the last step"),
        Field("sent", "volume", 0.0, most, (len(to),), "on each route in the last step"),
    ]  # fmt: skip


def seen_processes(network: Network) -> Int:
    """Numbers of the lanes, nodes and fleets that can close."""
    return np.flatnonzero(network.tables["processes"][:, at.U_ALPHA] > 0.0)


def process_names(network: Network) -> list[str]:
    """Names of `seen_processes`."""
    names = [f"{lane.origin} to {lane.destination}" for lane in network.lane_list]
    names += network.node_names
    names += [
        f"{network.scenario.modes[m].name} at {network.node_names[n]}" for n, m in network.fleets
    ]
    return [names[p] for p in seen_processes(network)]


@separate_arrays_function
def write_observation(
    lane: int, facts: Any, pf: Float, pi: Int, sf: Float, si: Int, target: Any
) -> None:
    """Fill `target[lane]`, normalised to [-1, 1]; `facts` is explained in dao/lane.py."""
    n_goods, n_nodes, places = pi[I_GOODS], pi[I_NODES], pi[I_CUSTOMERS]
    step = si[lane, pi[S_STEP]]
    date = si[lane, pi[S_FIRST_DAY]] + step
    left = min(pi[I_HORIZON] - step, pi[I_OBSERVED_DAYS_LEFT])
    target[lane, 0] = float(left)
    c = 1
    if pi[I_HAS_CALENDAR] == 1:
        week_sin, week_cos = sin_cos(_WEEK_TURN * (date % 7))
        year_sin, year_cos = sin_cos(_YEAR_TURN * (date % YEAR_DAYS))
        target[lane, c] = week_sin
        c += 1
        target[lane, c] = week_cos
        c += 1
        target[lane, c] = year_sin
        c += 1
        target[lane, c] = year_cos
        c += 1
    for n in range(n_nodes):
        if node_at(pi, n, N_SUPPLIER) == 0:
            for g in range(n_goods):
                target[lane, c] = sf[lane, pi[S_STOCK] + n * n_goods + g]
                c += 1
    for n in range(n_nodes):
        if node_at(pi, n, N_SUPPLIER) == 0:
            for g in range(n_goods):
                level = max(cell_value(pf, pi, C_BASE_STOCK, n, g), 1.0)
                units = sf[lane, pi[S_ECHELON] + n * n_goods + g]
                target[lane, c] = units / level
                c += 1
    for n in range(n_nodes):
        if node_at(pi, n, N_CUSTOMERS) >= 0:
            for g in range(n_goods):
                target[lane, c] = sf[lane, pi[S_BACKLOG] + n * n_goods + g]
                c += 1
    tomorrow = (step + 1) % pi[I_RING]
    for i in range(pi[I_PIPELINE_SLOTS]):
        day = days_on(tomorrow, slot_at(pi, i, 1), pi[I_RING])
        first = pi[S_PIPELINE] + (day * n_nodes + slot_at(pi, i, 0)) * n_goods
        for g in range(n_goods):
            target[lane, c] = sf[lane, first + g]
            c += 1
    for i in range(places * n_goods):
        target[lane, c] = sf[lane, pi[S_EWMA] + i]
        c += 1
    if pi[I_ORDER_RING] > 0:
        for i in range(pi[I_ROUTES] * n_goods):
            target[lane, c] = sf[lane, pi[S_OWED] + i]
            c += 1
        for d in range(pi[I_ORDER_RING]):
            first = pi[S_MAIL] + (step + d) % pi[I_ORDER_RING] * pi[I_ROUTES] * n_goods
            for i in range(pi[I_ROUTES] * n_goods):
                target[lane, c] = sf[lane, first + i]
                c += 1
    if pi[I_INFORMED] == 1:
        if pi[I_HAS_LEVELS] == 1:
            for p in range(places):
                target[lane, c] = sf[lane, pi[S_LEVEL_SEEN] + p]
                c += 1
        if pi[I_HAS_PROMOTIONS] == 1:
            c = _write_promotions(lane, c, date, pf, pi, si, target)
    if pi[I_HAS_OUTLOOK] == 1:
        c = _write_outlook(lane, c, date, pf, pi, si, target)
    for i in range(pi[I_SEEN_PROCESSES]):
        target[lane, c] = float(si[lane, pi[S_CLOSED] + seen_process(pi, i)])
        c += 1
    if pi[I_HAS_STAKES] == 1:
        for m in range(pi[I_MODES]):
            nominal = max(mode_value(pf, pi, m, O_STAKE_USD), 1.0)
            target[lane, c] = sf[lane, pi[S_STAKE_USD] + m] / nominal
            c += 1
        for m in range(pi[I_MODES]):
            nominal = max(mode_value(pf, pi, m, O_STAKE_USD), 1.0)
            target[lane, c] = sf[lane, pi[S_CARRIED_USD] + m] / nominal
            c += 1
        purse = sf[lane, pi[S_TREASURY_USD]] - pf[F_INITIAL_TREASURY_USD]
        target[lane, c] = purse
        c += 1
        target[lane, c] = sf[lane, pi[S_FILL_RATE]]
        c += 1
        for q in range(pi[I_REGIONS]):
            target[lane, c] = sf[lane, pi[S_REGION_FILL] + q]
            c += 1
    if pi[I_HAS_ALLOWANCE] == 1:
        weekly = sf[lane, pi[S_GOVERNED] + G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        target[lane, c] = sf[lane, pi[S_ALLOWANCE_USD]] / max(weekly, 1.0)
        c += 1
    for g in range(pi[I_SHOWN_GOVERNED]):
        target[lane, c] = sf[lane, pi[S_GOVERNED] + g]
        c += 1
    if pi[I_BIDDING] == 1:
        c = _write_carriers(lane, c, pf, pi, sf, target)
    low, size = pi[P_OBSERVED], pi[I_OBSERVATION]
    if len(facts) > 0:
        write_governance(lane, facts, pf, pi, sf, si, target)
    for d in range(c):
        value = (target[lane, d] - pf[low + d]) * pf[low + size + d] - 1.0
        target[lane, d] = min(max(value, -1.0), 1.0)


@inlined_function
def _write_promotions(
    lane: int, c: int, date: int, pf: Float, pi: Int, si: Int, target: Any
) -> int:
    n_goods = pi[I_GOODS]
    days = int(pf[F_PROMOTION_DAYS])
    for part in range(2):
        for g in range(n_goods):
            begins, left = MOST_DAYS, 0
            for b in range(2):
                start = si[lane, pi[S_PROMOTION_START] + b * n_goods + g]
                if start >= 0 and date < start + days:
                    begins = min(begins, max(start - date, 0))
                    if date >= start:
                        left = start + days - date
            target[lane, c] = float(begins if part == 0 else left)
            c += 1
    return c


@kernel_function
def _write_carriers(lane: int, c: int, pf: Float, pi: Int, sf: Float, target: Any) -> int:
    n, goods, work = pi[I_MODES], pi[I_GOODS], pi[S_WORK]
    for m in range(n):
        target[lane, c + m] = posted(lane, B_PRICE, m, pi, sf)
        target[lane, c + n + m] = posted(lane, B_OFFERED, m, pi, sf)
        nominal = max(mode_value(pf, pi, m, O_STAKE_USD), 1.0)
        target[lane, c + 2 * n + m] = sf[lane, pi[S_STAKE_USD] + m] / nominal
        carried = sf[lane, work + W_VOLUME * n + m]
        target[lane, c + 3 * n + m] = carried / pf[F_DEMAND_VOLUME]
        target[lane, c + 4 * n + m] = sf[lane, work + W_USED * n + m]
        target[lane, c + 5 * n + m] = sf[lane, work + W_LATE_SHARE * n + m]
        target[lane, c + 6 * n + m] = sf[lane, work + W_EARNED_USD * n + m]
    c += 7 * n
    for r in range(pi[I_ROUTES]):
        volume = 0.0
        for g in range(goods):
            volume += sf[lane, pi[S_FLOW] + r * goods + g] * good_value(pf, pi, g, H_VOLUME)
        target[lane, c] = volume
        c += 1
    return c


@inlined_function
def _write_outlook(lane: int, c: int, date: int, pf: Float, pi: Int, si: Int, target: Any) -> int:
    """Season in the middle of each week, and the days of it that are promoted."""
    n_goods = pi[I_GOODS]
    days = int(pf[F_PROMOTION_DAYS])
    for week in range(2):
        first = date + 7 * week
        for g in range(n_goods):
            promoted = 0
            for b in range(2):
                start = si[lane, pi[S_PROMOTION_START] + b * n_goods + g]
                if start >= 0:
                    promoted += max(min(start + days, first + 7) - max(start, first), 0)
            factor = 1.0 + (pf[F_PROMOTION_FACTOR] - 1.0) * promoted / 7.0
            target[lane, c] = factor * calendar_value(pf, pi, g, (first + 3) % YEAR_DAYS)
            c += 1
    return c
