"""One day of a supply network written a second time in plain Python, from the public state.

Orders that are dropped when not shipped only; the gate's rules are tested on their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


@dataclass
class Day:
    """What a day should do to one lane: names of routes and nodes index the dictionaries."""

    stock: dict[tuple[str, str], float]
    sent: dict[tuple[str, str, str, str], float]
    money: dict[str, float]


def expected_day(simulator: Any, lane: int, ordered: Float, demand: Float) -> Day:
    """Stock before the next morning's arrivals, shipments and terms.

    Args:
        ordered: (routes, goods) what the gate let through.
        demand: (places, goods) of the day.
    """
    domain = simulator.domain
    network, s = domain.network, domain.scenario
    goods = [good.name for good in s.goods]
    closed = simulator.state("closed")[lane]
    n_lanes, n_nodes = len(network.lane_list), len(s.nodes)
    stock = {
        (node.name, good): float(simulator.state("stock_units")[lane, n, g])
        for n, node in enumerate(s.nodes)
        for g, good in enumerate(goods)
    }
    transit = {key: float(simulator.state("in_transit_units")[lane].reshape(-1)[i])
               for i, key in enumerate(stock)}  # fmt: skip
    money = dict.fromkeys(simulator.term_names, 0.0)
    sent: dict[tuple[str, str, str, str], float] = {}
    for n in network.shipping_order.tolist():
        node = s.nodes[n]
        asked: dict[tuple[int, str], float] = {}
        for r, route in enumerate(network.route_list):
            link = network.lane_list[route.lane]
            if link.origin != node.name:
                continue
            shut = closed[route.lane] or closed[n_lanes + n]
            if route.fleet >= 0:
                shut = shut or closed[n_lanes + n_nodes + route.fleet]
            for g, good in enumerate(goods):
                has = not node.is_supplier or not node.makes or good in node.makes
                asked[r, good] = float(ordered[r, g]) if has and not shut else 0.0
        if not node.is_supplier:
            for good in goods:
                total = sum(units for (_, name), units in asked.items() if name == good)
                if total > stock[node.name, good]:
                    for key in asked:
                        if key[1] == good:
                            asked[key] *= stock[node.name, good] / total
        size = {good.name: good.volume for good in s.goods}

        def volume(routes: list[int], asked: Any = asked, size: Any = size) -> float:
            return float(sum(u * size[g] for (r, g), u in asked.items() if r in routes))

        mine = sorted({r for r, _ in asked})
        hours: dict[int, float] = {}
        for r in mine:
            capacity = s.modes[network.route_list[r].mode].capacity_per_day
            if capacity is not None and volume([r]) > capacity:
                share = capacity / volume([r])
                for good in goods:
                    asked[r, good] *= share
            fleet = network.route_list[r].fleet
            if fleet >= 0:
                hours[fleet] = hours.get(fleet, 0.0) + volume([r]) * network.route_list[r].hours
        for r in mine:
            fleet = network.route_list[r].fleet
            if fleet >= 0:
                settings = s.modes[network.fleets[fleet][1]].fleet
                limit = settings.vehicles * settings.hours_per_day
                if hours[fleet] > limit:
                    for good in goods:
                        asked[r, good] *= limit / hours[fleet]
        if node.throughput_per_day is not None:
            limit = node.throughput_per_day * (1.0 + node.automation_rate)
            total = volume(mine)
            for key in asked:
                asked[key] *= min(1.0, limit / total) if total > 0.0 else 1.0
        money["energy"] -= node.energy_usd * node.automation_rate * volume(mine)
        for (r, good), units in asked.items():
            route = network.route_list[r]
            link = network.lane_list[route.lane]
            money["freight"] -= units * size[good] * route.cost_usd
            if node.is_supplier:
                price = next(g.purchase_usd for g in s.goods if g.name == good)
                money["purchase"] -= units * price
            else:
                stock[node.name, good] -= units
            transit[link.destination, good] += units
            sent[link.origin, link.destination, s.modes[route.mode].name, good] = units
            # A mode without a lead may be late all the same; the caller says so by its pipeline.
            if route.lead_days == 0 and not _is_late(simulator, lane, r):
                transit[link.destination, good] -= units
                stock[link.destination, good] += units
    share = s.demand.backlogged_share
    for place, n in enumerate(network.customers):
        node = s.nodes[n]
        for g, good in enumerate(goods):
            owed = float(simulator.state("backlog_units")[lane, n, g])
            wanted = float(demand[place, g])
            have = stock[node.name, good]
            sold = min(have, owed + wanted)
            unmet = wanted - max(sold - owed, 0.0)
            lost = (1.0 - share) * unmet
            waits = owed + wanted - sold - lost
            stock[node.name, good] = have - sold
            money["revenue"] += sold * s.goods[g].price_usd
            money["unmet"] -= s.demand.lost_usd * lost + s.demand.backlog_usd_per_day * waits
    for n, node in enumerate(s.nodes):
        if not node.is_supplier:
            for g, good in enumerate(goods):
                factor = s.goods[g].holding_factor
                money["holding"] -= stock[node.name, good] * node.holding_usd_per_day * factor
                money["holding"] -= transit[node.name, good] * node.transit_usd_per_day * factor
        _ = n
    return Day(stock, sent, money)


def _is_late(simulator: Any, lane: int, route: int) -> bool:
    mode = simulator.scenario.modes[simulator.domain.network.route_list[route].mode]
    assert mode.late_probability == 0.0
    _ = lane
    return False
