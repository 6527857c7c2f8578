"""The optimal policy of instances that are small enough for dynamic programming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .exact import Optimum, dual_sourcing_optimum, lost_sales_optimum, orders_of
from .rules import Actions, Controller, order_actions, pipeline_units
from .scenario import LogisticsScenario

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


def is_solvable(scenario: LogisticsScenario) -> bool:
    """Whether the scenario is one store under lost sales, or one with an express source at hand."""
    return _kind(scenario) != ""


def _kind(s: LogisticsScenario) -> str:
    if len(s.nodes) != 2 or len(s.goods) != 1 or len(s.lanes) != 1:
        return ""
    good, demand, store, lane = s.goods[0], s.demand, s.nodes[1], s.lanes[0]
    plain = (
        good.price_usd == good.purchase_usd == good.season_share == 0.0
        and demand.level_deviation == demand.promotion_probability == 0.0
        and set(demand.weekday_factors) == {1.0}
        and all(
            mode.late_probability == 0.0 and mode.fleet is None and mode.capacity_per_day is None
            for mode in s.modes
        )
        and lane.disruption_alpha == s.nodes[0].disruption_alpha == 0.0
        and not lane.keeps_orders
        and lane.order_days == 0
        and s.actions.whole_orders
    )
    if not plain:
        return ""
    if (
        len(lane.modes) == 1
        and demand.law in ("poisson", "geometric")
        and demand.backlogged_share == 0.0
        and store.holding_usd_per_day == 1.0
        and 1 <= s.modes[0].lead_days <= 4
    ):
        return "lost_sales"
    if (
        len(lane.modes) == 2
        and demand.law == "uniform"
        and demand.backlogged_share == 1.0
        and s.modes[1].lead_days == 0
        and s.modes[0].freight_usd == 0.0
        and 2 <= s.modes[0].lead_days <= 4
    ):
        return "dual_sourcing"
    return ""


def optimum_of(scenario: LogisticsScenario) -> Optimum:
    """The exact optimum of a scenario that `is_solvable`, its long-run average cost included.

    Raises:
        ValueError: it is not.
    """
    s, kind = scenario, _kind(scenario)
    store = s.nodes[1]
    if kind == "lost_sales":
        return lost_sales_optimum(
            s.demand.law, s.modes[0].lead_days, s.demand.lost_usd, mean=store.mean_demand[0]
        )
    if kind == "dual_sourcing":
        return dual_sourcing_optimum(
            s.modes[0].lead_days, s.modes[1].freight_usd, holding=store.holding_usd_per_day,
            backlog=s.demand.backlog_usd_per_day, demands=round(2.0 * store.mean_demand[0]) + 1,
        )  # fmt: skip
    raise ValueError(f"scenario {s.name!r}: too large for dynamic programming")


class Optimal(Controller):
    """Plays the policy that dynamic programming found."""

    name = "optimal"

    def __init__(self, scenario: LogisticsScenario) -> None:
        self.optimum = optimum_of(scenario)
        self.lead = scenario.modes[0].lead_days

    def act(self, simulator: Simulator) -> Actions:
        stock = simulator.state("stock_units")[:, 1, 0] - simulator.state("backlog_units")[:, 1, 0]
        pipeline = pipeline_units(simulator)[:, : self.lead - 1, 1, 0]
        orders = orders_of(self.optimum, stock, pipeline)
        units = np.asarray(orders, dtype=np.float64).reshape(simulator.num_envs, -1, 1)
        return order_actions(simulator, units)
