"""The rolling planner: a linear programme over the next days with expected demand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float
from daogym.envs.dao.rule_path import announced_rules

from . import layout as at
from .bound import DAYS_OF_ALLOWANCE, world_of
from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK
from .network import Network
from .plan import Situation, plan
from .policies import open_lanes
from .rules import Actions, Controller, network_of, order_actions, pipeline_units

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


class RollingPlan(Controller):
    """Plans `days` ahead with expected demand and a safety stock, acts on the first `hold` days.

    Goods come by the lane that orders would take this morning: the first open one.

    Demand is expected at its calendar's mean times what is known of promotions (informed track)
    and of the level: with the informed track the observed one, trusted as its error deserves and
    fading as its process does. To hold stock against errors, late deliveries and closures, all
    demand is raised by the share `reserve`, that of the first day by `safety` standard deviations
    as well.

    Under a charter that is voted on it keeps to the allowances of the weeks ahead.

    Args:
        perfect: plan with the true demand of the episode instead.
        reads_queue: whether allowances are those that wait in the timelock, or those in force.
    """

    def __init__(
        self,
        days: int = 14,
        hold: int = 4,
        safety: float = 3.0,
        reserve: float = 0.4,
        perfect: bool = False,
        reads_queue: bool = True,
    ) -> None:
        self.name = "plan_perfect" if perfect else "rolling_plan"
        self.days, self.hold, self.perfect = days, hold, perfect
        self.safety, self.reserve, self.reads_queue = safety, reserve, reads_queue
        self._demand: Float = np.empty(0)
        self._plans: list[tuple[int, Float]] = []

    def reset(self, simulator: Simulator) -> None:
        super().reset(simulator)
        self._plans = [(-self.hold, np.empty(0))] * simulator.num_envs
        if self.perfect:
            self._demand = world_of(simulator)[0]

    def act(self, simulator: Simulator) -> Actions:
        network: Network = network_of(simulator)
        pipeline = pipeline_units(simulator)
        usable = open_routes(simulator)
        chosen = chosen_routes(simulator)
        expected = self._expected(simulator)
        step = simulator.state("step")
        rules = self._rules(simulator)
        orders = np.zeros((simulator.num_envs, len(network.route_list), network.n_goods))
        for lane in range(simulator.num_envs):
            left = simulator.horizon - int(step[lane])
            if left <= 0:
                continue
            made, sent = self._plans[lane]
            if 0 <= int(step[lane]) - made < self.hold:
                orders[lane] = sent[int(step[lane]) - made]
                continue
            days = min(self.days, left)
            arriving = np.zeros((days, network.n_nodes, network.n_goods))
            known = min(days - 1, pipeline.shape[1])
            arriving[1 : 1 + known] = pipeline[lane, :known]
            routes = np.tile(chosen[lane], (days, 1))
            routes[0] &= usable[lane]
            situation = Situation(
                stock=simulator.state("stock_units")[lane],
                backlog=simulator.state("backlog_units")[lane],
                arriving=arriving, demand=expected[lane, :days], open_routes=routes,
                is_end=days == left, budgets=self._budgets(simulator, lane, days, rules),
            )  # fmt: skip
            sent = plan(network, situation).sent[: self.hold]
            self._plans[lane] = int(step[lane]), sent
            orders[lane] = sent[0]
        return order_actions(simulator, orders)

    def _rules(self, simulator: Simulator) -> Float | None:
        """(N, D, parameters) as they are and as the queue says; None where nothing is voted on."""
        domain: Any = simulator.domain
        if domain.governance is None:
            return None
        return announced_rules(simulator, self.days, reads_queue=self.reads_queue)

    def _budgets(
        self, simulator: Simulator, lane: int, days: int, rules: Float | None
    ) -> tuple[tuple[int, int, float], ...]:
        """What is left of this week's allowance, and the allowances of the next weeks."""
        if rules is None:
            return ()
        first = DAYS_OF_ALLOWANCE - int(simulator.state("step")[lane]) % DAYS_OF_ALLOWANCE
        budgets = [(0, min(first, days), float(simulator.state("allowance_usd")[lane]))]
        for day in range(first, days, DAYS_OF_ALLOWANCE):
            usd = float(rules[lane, day, G_PURCHASE_ALLOWANCE_USD_PER_WEEK])
            budgets.append((day, min(day + DAYS_OF_ALLOWANCE, days), usd))
        return tuple(budgets)

    def _expected(self, simulator: Simulator) -> Float:
        """(N, D, nodes, G) demand to plan with."""
        network: Network = network_of(simulator)
        s, d = network.scenario, network.scenario.demand
        n = simulator.num_envs
        demand = np.zeros((n, self.days, network.n_nodes, network.n_goods))
        step = simulator.state("step")
        if self.perfect:
            for lane in range(n):
                true = self._demand[lane, step[lane] : step[lane] + self.days]
                demand[lane, : len(true), network.customers] = np.moveaxis(true, 1, 0)
            return demand
        date = (simulator.state("first_day") + step)[:, None] + np.arange(self.days)
        calendar = network.tables["calendar"]
        season = np.moveaxis(calendar[:-1][:, date % at.YEAR_DAYS], 0, -1)
        factor = season * calendar[-1][date % 7][..., None]
        level = np.zeros((n, len(network.customers)))
        if s.forecast.track == "informed" and d.level_deviation > 0.0:
            trust = d.level_deviation**2 / (d.level_deviation**2 + s.forecast.level_error**2)
            level = trust * simulator.state("level_seen")
        fading = d.level_persistence ** np.arange(self.days)
        raised = np.exp(level[:, None, :] * fading[:, None])
        if s.forecast.track == "informed" and d.promotion_probability > 0.0:
            starts = simulator.state("promotion_start")[:, None]
            inside = (starts >= 0) & (date[..., None, None] >= starts)
            inside &= date[..., None, None] < starts + d.promotion_days
            factor = factor * np.where(inside.any(axis=2), d.promotion_factor, 1.0)
        mean = network.local_mean[network.customers]
        known = mean * factor[:, :, None, :] * raised[..., None]
        spread = np.sqrt(np.maximum(network.variance()[network.customers], 0.0))
        first = np.zeros(self.days)
        first[0] = self.safety
        known = known * (1.0 + self.reserve) + first[:, None, None] * spread
        demand[:, :, network.customers] = known
        return demand


def open_routes(simulator: Simulator) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(N, routes) whether a route can be used this morning."""
    network: Network = network_of(simulator)
    routes = network.tables["routes"]
    usable = open_lanes(simulator)[:, routes[:, at.R_LANE]]
    fleet = routes[:, at.R_FLEET]
    first = len(network.tables["lanes"]) + network.n_nodes
    grounded = simulator.state("closed")[:, first + np.maximum(fleet, 0)] if len(
        network.fleets) else np.zeros_like(usable, dtype=np.int64)  # fmt: skip
    return np.asarray(usable & ((fleet < 0) | (grounded == 0)))


def chosen_routes(simulator: Simulator) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(N, routes) whether a route is on its destination's first open lane (the first if none is).

    All lanes of a destination are kept where an origin lacks some good.
    """
    network: Network = network_of(simulator)
    lanes, routes = network.tables["lanes"], network.tables["routes"]
    usable = open_lanes(simulator)
    kept = np.ones(usable.shape, dtype=bool)
    has_all = network.tables["cells"][at.C_PURCHASE_USD].min(axis=1) >= 0.0
    for n in np.flatnonzero(~network.supplier):
        mine = np.flatnonzero(lanes[:, at.L_DESTINATION] == n)
        if has_all[lanes[mine, at.L_ORIGIN]].all():
            first = usable[:, mine].argmax(axis=1)
            kept[:, mine] = np.arange(len(mine)) == first[:, None]
    return np.asarray(kept[:, routes[:, at.R_LANE]])
