"""Base-stock levels that follow what is known ahead: season, promotions, level, and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daogym.envs.core.layout import Float
from daogym.envs.dao.rule_path import announced_rules

from . import layout as at
from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK
from .network import Network
from .rules import Actions, Controller, network_of

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


class Anticipating(Controller):
    """Moves the levels of each tier and good with expected demand over the tier's echelon lead.

    Sees what the observation holds: the calendar and, on the informed track, promotions that are
    known and the observed level of demand.

    Args:
        parameters: (4,) or (N, 4): change of all levels, and weights of season, promotions and
            mean level, as shares of the levels at action 0.
    """

    name = "anticipating"
    action_mode = "base_stock"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        network: Network = network_of(simulator)
        s = network.scenario
        base, season, promotion, level = np.moveaxis(np.atleast_2d(self.parameters), -1, 0)
        informed = s.forecast.track == "informed"
        seen = simulator.state("level_seen").mean(axis=1) if informed else np.zeros(1)
        actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
        goods = network.n_goods
        for t, days in enumerate(tier_days(network)):
            ahead = base[:, None] + season[:, None] * (seasons(simulator, days) - 1.0)
            ahead = ahead + (level * seen)[:, None]
            if informed:
                ahead = ahead + promotion[:, None] * promoted_share(simulator, days)
            actions[:, t * goods : (t + 1) * goods] = ahead / s.actions.multiplier_span
        return np.clip(actions, -1.0, 1.0)


class BuyingOnCuts(Anticipating):
    """`Anticipating` that fills the plants to the brim while less may be bought than is needed.

    Args:
        parameters: of `Anticipating`.
        reads_queue: whether cuts that were voted and wait in the timelock count already.
    """

    name = "buying_on_cuts"
    reads_queue = False
    margin = 1.05

    def act(self, simulator: Simulator) -> Actions:
        actions = super().act(simulator)
        network: Network = network_of(simulator)
        goods = network.tables["goods"]
        needed = 7.0 * float((network.local_mean * goods[:, at.H_VALUE_USD]).sum())
        settings = simulator.scenario.charter.governor
        path = announced_rules(
            simulator, settings.timelock_steps + 1, reads_queue=self.reads_queue
        )[..., G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        short = path.min(axis=1) < self.margin * needed
        for t in buying_tiers(network):
            actions[short, t * network.n_goods : (t + 1) * network.n_goods] = 1.0
        return actions


class BuyingAhead(BuyingOnCuts):
    """The same, and it reads the queue: it buys while more may still be bought."""

    name = "buying_ahead"
    reads_queue = True


def buying_tiers(network: Network) -> list[int]:
    """Tiers of which every place orders at suppliers alone."""
    s = network.scenario
    fed = {lane.destination for lane in network.lane_list
           if not network.node(lane.origin).is_supplier}  # fmt: skip
    mixed = {node.tier for node in s.nodes if node.name in fed}
    return [t for t, tier in enumerate(s.tiers) if tier not in mixed]


def tier_days(network: Network) -> list[int]:
    """Days that an order of each tier has to last for: its longest echelon lead, and one."""
    s = network.scenario
    return [
        1 + int(np.ceil(max(
            network.echelon_lead_days[n] for n, node in enumerate(s.nodes)
            if not node.is_supplier and node.tier == tier
        )))
        for tier in s.tiers
    ]  # fmt: skip


def _dates(simulator: Simulator, days: int) -> Float:
    first = simulator.state("first_day") + simulator.state("step")
    return np.asarray(first[:, None] + np.arange(days))


def seasons(simulator: Simulator, days: int) -> Float:
    """(N, G) mean seasonal factor of the next days."""
    calendar = network_of(simulator).tables["calendar"][:-1]
    dates = _dates(simulator, days).astype(np.int64)
    return np.asarray(calendar[:, dates % at.YEAR_DAYS].mean(axis=2).T)


def promoted_share(simulator: Simulator, days: int) -> Float:
    """(N, G) share of the next days that is promoted."""
    starts = simulator.state("promotion_start")[:, None]
    dates = _dates(simulator, days)[:, :, None, None]
    length = simulator.scenario.demand.promotion_days
    inside = (starts >= 0) & (dates >= starts) & (dates < starts + length)
    return np.asarray(inside.any(axis=2).mean(axis=1))
