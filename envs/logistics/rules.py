"""Rule-based controllers: a few lines of arithmetic on stock, pipeline and backlog of all lanes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.controller import Controller as CoreController
from daogym.envs.core.layout import Float

from . import layout as at
from .scenario import ActionMode

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

Actions = NDArray[np.float32]


class Controller(CoreController):
    """A controller of this domain; most of them act in mode "orders"."""

    action_mode: ActionMode = "orders"


class BaseStock(Controller):
    """Every place orders up to the scenario's echelon base-stock levels: the zero action."""

    name = "base_stock"
    action_mode: ActionMode = "base_stock"

    def act(self, simulator: Simulator) -> Actions:
        return np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)


def network_of(simulator: Simulator) -> Any:
    """The domain's `Network`."""
    return simulator.domain.network  # type: ignore[attr-defined]


def pipeline_units(simulator: Simulator) -> Float:
    """(N, days, nodes, goods) on the way, by days until arrival: 1, 2, ..."""
    ring = simulator.state("pipeline_units")
    days = ring.shape[1] - 1
    step = simulator.state("step")[:, None]
    slot = (step + 1 + np.arange(days)) % ring.shape[1]
    return np.asarray(ring[np.arange(len(ring))[:, None], slot])


def positions(simulator: Simulator) -> Float:
    """(N, nodes, goods) echelon inventory positions, a node's own outstanding orders included."""
    units = simulator.state("echelon_units").copy()
    owed = simulator.state("owed_units")
    if owed.shape[1]:
        outstanding = owed + simulator.state("mail_units").sum(axis=1)
        routes = network_of(simulator).tables["routes"]
        for r, destination in enumerate(routes[:, at.R_DESTINATION].tolist()):
            units[:, destination] += outstanding[:, r]
    return units


def order_actions(simulator: Simulator, orders: Float) -> Actions:
    """Orders (N, routes, goods) in units as actions of the mode "orders", without a proposal."""
    largest = network_of(simulator).tables["route_values"][:, at.Q_LARGEST_ORDER]
    shares = np.clip(2.0 * orders / largest[:, None] - 1.0, -1.0, 1.0)
    actions = np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
    actions[:, : shares[0].size] = shares.reshape(simulator.num_envs, -1)
    return actions
