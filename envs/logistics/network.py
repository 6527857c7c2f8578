"""A scenario's network as the arrays that the kernel reads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import sin
from daogym.envs.core.strict import ConfigError

from . import layout as at
from .lookahead import seasons_ahead, tier_days
from .scenario import Lane, LogisticsScenario, Mode, Node


@dataclass(frozen=True)
class Route:
    """One mode on one lane.

    Attributes:
        fleet: index of the fleet that carries it, -1 for none.
        hours: fleet hours that a unit of volume takes.
    """

    lane: int
    mode: int
    cost_usd: float
    carbon_kg: float
    lead_days: int
    fleet: int
    hours: float


class Network:
    """Tables of a scenario, see layout.py for their columns.

    Args:
        by_node: whether each place has levels and shares of its own in an action, or those of its
            tier and of the scenario's knobs.

    Raises:
        ConfigError: home lanes or lanes without a lead form a circle, or a fleet cannot fly a lane.
    """

    def __init__(self, scenario: LogisticsScenario, *, by_node: bool = False) -> None:
        self.scenario = s = scenario
        self.by_node = by_node
        self.node_names = [node.name for node in s.nodes]
        self.n_nodes, self.n_goods, self.n_modes = len(s.nodes), len(s.goods), len(s.modes)
        self._index = {name: i for i, name in enumerate(self.node_names)}
        self._mode_index = {mode.name: i for i, mode in enumerate(s.modes)}
        self.supplier = np.array([node.is_supplier for node in s.nodes])
        self.lane_list: list[Lane] = [
            lane for node in s.nodes for lane in s.lanes if lane.destination == node.name
        ]
        self.home = np.full(self.n_nodes, -1)
        for lane in reversed(self.lane_list):
            self.home[self._index[lane.destination]] = self._index[lane.origin]
        self.upstream_first = self._order(
            [(self._index[lane.origin], self._index[lane.destination]) for lane in self._homes],
            "home lanes",
        )
        self.fleets: list[tuple[int, int]] = []
        self.route_list = self._routes()
        self.customers = [n for n, node in enumerate(s.nodes) if any(node.mean_demand)]
        names = [s.nodes[n].region for n in self.customers]
        self.regions = list(dict.fromkeys(names))

    @property
    def _homes(self) -> list[Lane]:
        seen: dict[str, Lane] = {}
        for lane in self.lane_list:
            seen.setdefault(lane.destination, lane)
        return list(seen.values())

    def _order(self, pairs: list[tuple[int, int]], what: str) -> Int:
        """Nodes so that each pair's first comes before its second."""
        waiting = {n: sum(d == n for _, d in pairs) for n in range(self.n_nodes)}
        order: list[int] = []
        while len(order) < self.n_nodes:
            ready = [n for n, count in waiting.items() if count == 0]
            if not ready:
                names = ", ".join(self.node_names[n] for n in waiting)
                raise ConfigError(
                    f"scenario {self.scenario.name!r}", "lanes",
                    f"{what} must not form a circle; these nodes do: {names}",
                )  # fmt: skip
            n = ready[0]
            order.append(n)
            del waiting[n]
            for origin, destination in pairs:
                if origin == n and destination in waiting:
                    waiting[destination] -= 1
        return np.array(order, dtype=np.int64)

    def _routes(self) -> list[Route]:
        """Routes by origin (in the order in which nodes ship) and lane, the default mode first."""
        s = self.scenario
        at_once = [
            (self._index[lane.origin], self._index[lane.destination])
            for lane in self.lane_list
            if any(self._lead(lane, self._mode(name)) == 0 for name in lane.modes)
        ]
        self.shipping_order = self._order(at_once, "lanes whose lead is 0 days")
        place = {int(n): i for i, n in enumerate(self.shipping_order)}
        lanes = sorted(range(len(self.lane_list)),
                       key=lambda a: place[self._index[self.lane_list[a].origin]])  # fmt: skip
        fleets: dict[tuple[int, int], int] = {}
        found = []
        for a in lanes:
            lane = self.lane_list[a]
            km = self._km(lane)
            for name in lane.modes:
                m, mode = self._mode_index[name], self._mode(name)
                fleet, hours = -1, 0.0
                if mode.fleet is not None:
                    if 2.0 * km > mode.fleet.range_km:
                        raise ConfigError(
                            f"scenario {s.name!r}", "lanes",
                            f"{lane.origin!r} to {lane.destination!r} is {km:g} km, a round trip "
                            f"of {2 * km:g} km is beyond the range of {name!r}, "
                            f"{mode.fleet.range_km:g} km",
                        )  # fmt: skip
                    key = (self._index[lane.origin], m)
                    fleet = fleets.setdefault(key, len(fleets))
                    trip = 2.0 * km / mode.fleet.speed_km_per_h + mode.fleet.turnaround_h
                    hours = trip / mode.fleet.payload_volume
                cost = mode.freight_usd + mode.freight_usd_per_km * km
                if lane.freight_usd is not None:
                    cost = lane.freight_usd
                carbon = mode.carbon_kg + mode.carbon_kg_per_km * km
                found.append(Route(a, m, cost, carbon, self._lead(lane, mode), fleet, hours))
        self.fleets = list(fleets)
        return found

    def _mode(self, name: str) -> Mode:
        return self.scenario.modes[self._mode_index[name]]

    def _lead(self, lane: Lane, mode: Mode) -> int:
        return mode.lead_days if lane.lead_days is None else lane.lead_days

    def _km(self, lane: Lane) -> float:
        if lane.km is not None:
            return lane.km
        a, b = self.node(lane.origin), self.node(lane.destination)
        return float(np.sqrt((a.x_km - b.x_km) ** 2 + (a.y_km - b.y_km) ** 2))

    def node(self, name: str) -> Node:
        """The settings of a node."""
        return self.scenario.nodes[self._index[name]]

    @cached_property
    def tables(self) -> dict[str, NDArray[Any]]:
        """The tables of layout.TABLES that the network alone decides."""
        routes, route_values = self._route_tables()
        calendar, ahead = self._calendar(), tier_days(self)
        return {
            "nodes": self._node_table(), "node_values": self._node_values(),
            "lanes": self._lane_table(), "routes": routes, "route_values": route_values,
            "modes": self._mode_table(), "goods": self._good_table(), "cells": self._cells(),
            "processes": self._process_table(), "calendar": calendar,
            "days_ahead": np.array(ahead),
            "season_ahead": seasons_ahead(calendar[:-1, : at.YEAR_DAYS], ahead),
        }  # fmt: skip

    @property
    def level_names(self) -> list[str]:
        """Whose order-up-to levels an action sets, row by row: tiers, or places."""
        if self.by_node:
            return [n for n, out in zip(self.node_names, self.supplier, strict=True) if not out]
        return list(self.scenario.tiers)

    @cached_property
    def knobs(self) -> list[tuple[str, int]]:
        """(mode, destination or -1 for all) of each share that an action sets."""
        found: dict[tuple[str, int], None] = {}
        for route in self.route_list:
            mode = self.scenario.modes[route.mode]
            lane = self.lane_list[route.lane]
            if mode.name == lane.modes[0] or mode.knob == "none":
                continue
            each = self.by_node or mode.knob == "destination"
            destination = self._index[lane.destination] if each else -1
            found[mode.name, destination] = None
        return sorted(found, key=lambda k: (k[1] < 0, self.scenario.modes.index(self._mode(k[0])),
                                            k[1]))  # fmt: skip

    @cached_property
    def fleet_routes(self) -> list[int]:
        """Routes whose share of a fleet's hours an action sets."""
        if not self.scenario.actions.fleet_allocation:
            return []
        return [r for r, route in enumerate(self.route_list) if route.fleet >= 0]

    def _route_tables(self) -> tuple[Int, Float]:
        s = self.scenario
        table = np.zeros((len(self.route_list), at.ROUTE_COLUMNS), dtype=np.int64)
        values = np.zeros((len(self.route_list), at.ROUTE_VALUE_COLUMNS))
        knobs = {key: i for i, key in enumerate(self.knobs)}
        for r, route in enumerate(self.route_list):
            lane, mode = self.lane_list[route.lane], s.modes[route.mode]
            destination = self._index[lane.destination]
            place = self.fleet_routes.index(r) if r in self.fleet_routes else -1
            knob = knobs.get((mode.name, destination), knobs.get((mode.name, -1), -1))
            if mode.name == lane.modes[0]:
                knob = -1
            table[r] = (
                self._index[lane.origin], destination, route.mode, route.lead_days,
                lane.order_days, route.lane, route.fleet, knob, place,
            )  # fmt: skip
            values[r] = (
                route.cost_usd, at.UNLIMITED if mode.capacity_per_day is None
                else mode.capacity_per_day, route.hours, route.carbon_kg, lane.owed_usd_per_day,
                float(lane.keeps_orders), lane.largest_order_units, mode.share_at_zero,
                mode.largest_share,
                lane.initial_units_per_day if mode.name == lane.modes[0] else 0.0,
            )  # fmt: skip
        return table, values

    def _lane_table(self) -> Int:
        table = np.zeros((len(self.lane_list), at.LANE_COLUMNS), dtype=np.int64)
        for a, lane in enumerate(self.lane_list):
            mine = [r for r, route in enumerate(self.route_list) if route.lane == a]
            table[a] = (
                self._index[lane.origin],
                self._index[lane.destination],
                mine[0],
                mine[-1] + 1,
                a,
            )
        return table

    def _node_table(self) -> Int:
        s = self.scenario
        table = np.zeros((self.n_nodes, at.NODE_COLUMNS), dtype=np.int64)
        origins = [self._index[self.lane_list[route.lane].origin] for route in self.route_list]
        ends = [self._index[lane.destination] for lane in self.lane_list]
        for n, node in enumerate(s.nodes):
            routes = [r for r, origin in enumerate(origins) if origin == n]
            lanes = [a for a, end in enumerate(ends) if end == n]
            row = table[n]
            row[at.N_SUPPLIER] = node.is_supplier
            row[at.N_FIRST_ROUTE] = routes[0] if routes else 0
            row[at.N_END_ROUTE] = routes[-1] + 1 if routes else 0
            row[at.N_FIRST_LANE] = lanes[0] if lanes else 0
            row[at.N_END_LANE] = lanes[-1] + 1 if lanes else 0
            row[at.N_HOME] = self.home[n]
            row[at.N_TIER] = -1 if node.is_supplier else s.tiers.index(node.tier)
            row[at.N_CUSTOMERS] = self.customers.index(n) if n in self.customers else -1
            row[at.N_REGION] = self.regions.index(node.region) if n in self.customers else -1
            row[at.N_PROCESS] = len(self.lane_list) + n
            row[at.N_UPSTREAM_FIRST] = self.upstream_first[n]
            row[at.N_SHIPS] = self.shipping_order[n]
            own = node.name if self.by_node else node.tier
            row[at.N_LEVELS] = -1 if node.is_supplier else self.level_names.index(own)
        return table

    def _node_values(self) -> Float:
        values = np.zeros((self.n_nodes, at.NODE_VALUE_COLUMNS))
        for n, node in enumerate(self.scenario.nodes):
            by_hand = at.UNLIMITED if node.throughput_per_day is None else node.throughput_per_day
            values[n] = (
                at.UNLIMITED if node.capacity_volume is None else node.capacity_volume,
                min(by_hand * (1.0 + node.automation_rate), at.UNLIMITED),
                node.energy_usd * node.automation_rate,
            )  # fmt: skip
        return values

    def _mode_table(self) -> Float:
        hours = np.zeros(self.n_modes)
        for _, m in self.fleets:
            hours[m] += self.fleet_hours(m)
        return np.array([
            (mode.late_probability, mode.stake_usd, mode.margin, float(mode.is_rationed), hours[m])
            for m, mode in enumerate(self.scenario.modes)
        ])  # fmt: skip

    def fleet_hours(self, mode: int) -> float:
        """Hours a day of a fleet of the mode at one origin."""
        fleet = self.scenario.modes[mode].fleet
        assert fleet is not None
        return fleet.vehicles * fleet.hours_per_day

    @cached_property
    def staked(self) -> list[int]:
        """Modes whose carrier has bonded a stake."""
        return [m for m, mode in enumerate(self.scenario.modes) if mode.stake_usd > 0.0]

    def _good_table(self) -> Float:
        table = np.zeros((self.n_goods, at.GOOD_COLUMNS))
        for g, good in enumerate(self.scenario.goods):
            table[g] = (good.volume, good.purchase_usd, good.season_share, good.price_usd)
        return table

    def _process_table(self) -> Float:
        """Lanes, then nodes, then fleets."""
        s = self.scenario
        rows = [(lane.disruption_alpha, lane.disruption_beta) for lane in self.lane_list]
        rows += [(node.disruption_alpha, node.disruption_beta) for node in s.nodes]
        for _, m in self.fleets:
            fleet = s.modes[m].fleet
            assert fleet is not None
            rows.append((fleet.grounding_alpha, fleet.grounding_beta))
        return np.array(rows)

    def _calendar(self) -> Float:
        s = self.scenario
        table = np.ones((self.n_goods + 1, at.CALENDAR_COLUMNS))
        turn = 2.0 * 3.141592653589793 / at.YEAR_DAYS
        for g, good in enumerate(s.goods):
            for day in range(at.YEAR_DAYS):
                angle = turn * (day - good.season_peak_day) + 0.25 * at.YEAR_DAYS * turn
                table[g, day] = 1.0 + good.season_share * sin(angle)
        table[-1, :7] = s.demand.weekday_factors
        for i, (_, m) in enumerate(self.fleets):
            table[-1, at.CALENDAR_FLEETS + i] = self.fleet_hours(m)
        return table

    @cached_property
    def local_mean(self) -> Float:
        """(N, G) customers' mean demand at a node, units a day."""
        mean = np.zeros((self.n_nodes, self.n_goods))
        for n in self.customers:
            mean[n] = self.scenario.nodes[n].mean_demand
        return mean

    def downstream(self, local: Float) -> Float:
        """Sums over all nodes that a node supplies by home lanes, itself included."""
        total = local.copy()
        for n in self.upstream_first[::-1]:
            if self.home[n] >= 0:
                total[self.home[n]] += total[n]
        return total

    @cached_property
    def home_lead_days(self) -> Float:
        """(N,) mean days from an order to its arrival by the default mode of the home lane."""
        lead = np.zeros(self.n_nodes)
        for lane in self._homes:
            mode = self._mode(lane.modes[0])
            lead[self._index[lane.destination]] = (
                self._lead(lane, mode) + mode.late_probability + lane.order_days
            )
        return lead

    @cached_property
    def echelon_lead_days(self) -> Float:
        """(N,) mean days from an order of a node to its last customers."""
        lead = self.home_lead_days.copy()
        longest = np.zeros(self.n_nodes)
        for n in self.upstream_first[::-1]:
            lead[n] += longest[n]
            if self.home[n] >= 0:
                longest[self.home[n]] = max(longest[self.home[n]], lead[n])
        return lead

    @cached_property
    def base_stock(self) -> Float:
        """(N, G) echelon order-up-to levels at action 0.

        Mean demand of the echelon over its lead and one day plus a standard deviation of it, as
        if days and places were independent, times the tier's and good's factor.
        """
        s = self.scenario
        mean = self.downstream(self.local_mean)
        deviation = np.sqrt(self.downstream(self.variance()))
        days = self.echelon_lead_days[:, None] + 1.0
        factors = np.ones((len(s.tiers), self.n_goods))
        if s.actions.level_factors:
            factors = np.array(s.actions.level_factors)
        levels = np.zeros((self.n_nodes, self.n_goods))
        for n, node in enumerate(s.nodes):
            if node.is_supplier:
                continue
            if node.base_stock_units:
                levels[n] = node.base_stock_units
            else:
                factor = factors[s.tiers.index(node.tier)]
                levels[n] = factor * (mean[n] * days[n] + deviation[n] * np.sqrt(days[n]))
        return np.maximum(levels, 0.0)

    def variance(self) -> Float:
        """(N, G) variance of a day's demand at a node, its level included."""
        d, mean = self.scenario.demand, self.local_mean
        law = {
            "constant": 0.0 * mean, "step": 0.0 * mean, "poisson": mean,
            "negative_binomial": mean + mean * mean / d.size, "geometric": mean + mean * mean,
            "normal": np.where(mean > 0.0, d.deviation_units**2, 0.0),
            "uniform": mean * (mean + 1.0) / 3.0,
        }[d.law]  # fmt: skip
        return np.asarray(law + (d.level_deviation * mean) ** 2)

    def _cells(self) -> Float:
        s = self.scenario
        cells = np.zeros((at.CELL_BLOCKS, self.n_nodes, self.n_goods))
        cells[at.C_BASE_STOCK] = self.base_stock
        cells[at.C_MEAN] = self.local_mean
        factor = np.array([good.holding_factor for good in s.goods])
        value = np.array([good.purchase_usd for good in s.goods])
        for n, node in enumerate(s.nodes):
            cells[at.C_HOLDING_USD, n] = node.holding_usd_per_day * factor
            cells[at.C_TRANSIT_USD, n] = node.transit_usd_per_day * factor
            if node.is_supplier:
                has = [not node.makes or good.name in node.makes for good in s.goods]
                cells[at.C_PURCHASE_USD, n] = np.where(has, value, -1.0)
        cells[at.C_CLEARING_USD] = value + self.dearest_freight()
        cells[at.C_TRANSFER_USD] = self.transfer_usd()
        cells[at.C_COVENANT_UNITS] = self.local_mean * (self.home_lead_days[:, None] + 1.0)
        local = self.base_stock.copy()
        for n in range(self.n_nodes):
            if self.home[n] >= 0 and not self.supplier[self.home[n]]:
                local[self.home[n]] -= self.base_stock[n]
        for n, node in enumerate(s.nodes):
            cells[at.C_INITIAL, n] = node.initial_units or np.maximum(local[n], 0.0)
        return cells

    def dearest_freight(self) -> Float:
        """(N, G) freight of a unit on the dearest way from a supplier to a node.

        Ways through home lanes and, for the last lane, all of them.
        """
        volume = np.array([good.volume for good in self.scenario.goods])
        worst = np.zeros((self.n_nodes, self.n_goods))
        for n in self.upstream_first:
            for route in self.route_list:
                lane = self.lane_list[route.lane]
                if self._index[lane.destination] == n:
                    way = worst[self._index[lane.origin]] + route.cost_usd * volume
                    worst[n] = np.maximum(worst[n], way)
        return worst

    def transfer_usd(self) -> Float:
        """(N, G) price of a unit that leaves a place for another one, USD.

        What suppliers ask; then, with k places from the supplier up to this one by home lanes and
        m behind it to the furthest customers, purchase value + k / (k + m) of the margin: each
        place on the way earns an equal part of it.
        """
        value = np.array([good.purchase_usd for good in self.scenario.goods])
        price = np.array([good.price_usd for good in self.scenario.goods])
        before, behind = np.zeros(self.n_nodes), np.zeros(self.n_nodes)
        for n in self.upstream_first.tolist():
            if not self.supplier[n]:
                before[n] = 1.0 + (before[self.home[n]] if self.home[n] >= 0 else 0.0)
        for n in self.upstream_first[::-1].tolist():
            if self.home[n] >= 0:
                behind[self.home[n]] = max(behind[self.home[n]], 1.0 + behind[n])
        share = before / np.maximum(before + behind, 1.0)
        return np.asarray(value + share[:, None] * np.maximum(price - value, 0.0))

    @property
    def ring(self) -> int:
        """Days of the pipeline ring: the longest lead, a day late, and today."""
        return max(route.lead_days for route in self.route_list) + 2

    @property
    def order_ring(self) -> int:
        """Days of the ring of orders on their way."""
        return max(lane.order_days for lane in self.lane_list) + 1

    @property
    def keeps_orders(self) -> bool:
        """Whether any lane keeps orders or takes time to hand them over."""
        return any(lane.keeps_orders or lane.order_days > 0 for lane in self.lane_list)
