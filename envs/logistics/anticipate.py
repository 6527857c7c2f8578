"""Rules that follow what is known ahead: season, promotions, level of demand, and votes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daogym.envs.core.layout import Float
from daogym.envs.dao.rule_path import announced_rules

from . import layout as at
from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK
from .network import Network
from .rules import Actions, Controller, network_of
from .scenario import Anticipation

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


class Anticipating(Controller):
    """Moves the levels of each tier and good with expected demand over the tier's echelon lead.

    Sees what the observation holds: the calendar and, on the informed track, promotions that are
    known and the observed level of demand.

    Args:
        parameters: (4,) or (N, 4): base, season, promotions and level of `Anticipation`.
    """

    name = "anticipating"
    action_mode = "base_stock"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        leans = anticipated(simulator, self.parameters).reshape(simulator.num_envs, -1)
        actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
        actions[:, : leans.shape[1]] = leans / simulator.scenario.actions.multiplier_span
        return actions


class ZeroAnticipating(Controller):
    """The same by the scenario's own weights: action 0 of the mode "anticipating"."""

    name = Anticipating.name
    action_mode = "anticipating"

    def act(self, simulator: Simulator) -> Actions:
        return np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)


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


def weights_of(anticipation: Anticipation) -> Float:
    """(4,) base, season, promotions and level."""
    a = anticipation
    return np.array([a.base, a.season, a.promotions, a.level])


def anticipated(simulator: Simulator, parameters: Float) -> Float:
    """(N, tiers, goods) lean of the levels on what is known ahead; see lookahead.py.

    Args:
        parameters: (4,) or (N, 4): base, season, promotions and level.
    """
    network: Network = network_of(simulator)
    s = network.scenario
    base, season, promotions, level = np.moveaxis(np.atleast_2d(parameters), -1, 0)[..., None, None]
    informed = s.forecast.track == "informed"
    day = (simulator.state("first_day") + simulator.state("step")) % at.YEAR_DAYS
    lean = base + season * (network.tables["season_ahead"][day] - 1.0)
    if informed and s.demand.level_deviation > 0.0:
        lean = lean + level * simulator.state("level_seen").mean(axis=1)[:, None, None]
    if informed:
        shares = [promoted_share(simulator, d) for d in network.tables["days_ahead"]]
        lean = lean + promotions * np.stack(shares, axis=1)
    span = s.actions.multiplier_span
    return np.asarray(np.clip(lean, -span, span))


def promoted_share(simulator: Simulator, days: int) -> Float:
    """(N, G) share of the next days that is promoted."""
    starts = simulator.state("promotion_start")[:, None]
    first = simulator.state("first_day") + simulator.state("step")
    dates = (first[:, None] + np.arange(days))[:, :, None, None]
    length = simulator.scenario.demand.promotion_days
    inside = (starts >= 0) & (dates >= starts) & (dates < starts + length)
    return np.asarray(inside.any(axis=2).mean(axis=1))
