"""Classical inventory policies in units: they order at the first open lane, in the default modes.

Levels are echelon base-stock levels; `parameters` come from a search on the train split.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float

from . import layout as at
from .network import Network
from .rules import (
    Actions,
    Controller,
    network_of,
    order_actions,
    pipeline_units,
    positions,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


def open_lanes(simulator: Simulator) -> NDArray[np.bool_]:
    """(N, lanes) whether a lane and its origin are open this morning."""
    network: Network = network_of(simulator)
    closed = simulator.state("closed")
    lanes = network.tables["lanes"]
    n_lanes = len(lanes)
    origin = closed[:, n_lanes + lanes[:, at.L_ORIGIN]]
    return np.asarray((closed[:, :n_lanes] + origin) == 0)


def spread(simulator: Simulator, wanted: Float) -> Float:
    """Orders (N, routes, goods) that ask for `wanted` (N, nodes, goods).

    Each node and good at its first open lane (the first one if all are closed), each mode but the
    default one with its share at action 0.
    """
    network: Network = network_of(simulator)
    t = network.tables
    lanes, values = t["lanes"], t["route_values"]
    usable = open_lanes(simulator)
    orders = np.zeros((simulator.num_envs, len(t["routes"]), network.n_goods))
    for n in np.flatnonzero(~network.supplier):
        row = t["nodes"][n]
        mine = range(int(row[at.N_FIRST_LANE]), int(row[at.N_END_LANE]))
        for g in range(network.n_goods):
            has = [
                a for a in mine
                if not network.supplier[lanes[a, at.L_ORIGIN]]
                or t["cells"][at.C_PURCHASE_USD, lanes[a, at.L_ORIGIN], g] >= 0.0
            ]  # fmt: skip
            if not has:
                continue
            first = usable[:, has].argmax(axis=1)
            for i, a in enumerate(has):
                units = np.where(first == i, wanted[:, n, g], 0.0)
                default = int(lanes[a, at.L_FIRST_ROUTE])
                rest = range(default + 1, int(lanes[a, at.L_END_ROUTE]))
                shares = [float(values[r, at.Q_SHARE_AT_ZERO]) for r in rest]
                for r, share in zip(rest, shares, strict=True):
                    orders[:, r, g] = share * units
                orders[:, default, g] = (1.0 - sum(shares)) * units
    return orders


def by_cell(parameters: Float) -> Float:
    """(P,) or (N, P) parameters as P arrays that broadcast to (N, nodes, goods)."""
    rows = np.atleast_2d(parameters)
    return np.asarray(np.moveaxis(rows, -1, 0)[..., None, None])


class MinMax(Controller):
    """(s, S): a place whose position has fallen below s orders up to S.

    Args:
        parameters: (2,) or (N, 2): S and S - s, both as shares of the scenario's levels.
    """

    name = "min_max"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        levels = network_of(simulator).base_stock
        up_to, gap = by_cell(self.parameters)
        position = positions(simulator)
        units = np.where(position < (up_to - gap) * levels, up_to * levels - position, 0.0)
        return order_actions(simulator, spread(simulator, np.maximum(units, 0.0)))


class CappedBaseStock(Controller):
    """Orders up to a level, but never more than a cap a day (Xin 2021).

    Args:
        parameters: (2,) or (N, 2): level as a share of the scenario's, cap in mean days of demand.
    """

    name = "capped_base_stock"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        network: Network = network_of(simulator)
        up_to, days = by_cell(self.parameters)
        cap = days * network.downstream(network.local_mean)
        units = np.clip(up_to * network.base_stock - positions(simulator), 0.0, cap)
        if network.scenario.actions.whole_orders:
            units = np.rint(units)
        return order_actions(simulator, spread(simulator, units))


class CappedDualIndex(Controller):
    """One store with a regular and an expedited source (Sun and Van Mieghem 2019).

    Expedites up to one level of what is here in time, then orders regularly up to another level of
    the whole position, at most a cap.

    Args:
        parameters: (3,) or (N, 3): expedited level, regular level, cap, in units.
    """

    name = "capped_dual_index"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        expedited_level, level, cap = np.moveaxis(self.parameters, -1, 0)
        expedited = np.maximum(expedited_level - here_units(simulator), 0.0)
        regular = np.clip(level - whole_position(simulator) - expedited, 0.0, cap)
        return two_orders(simulator, regular, expedited)


class TailoredBaseSurge(Controller):
    """A constant regular order, and expedited ones up to a level (Allon and Van Mieghem 2010).

    Args:
        parameters: (2,) or (N, 2): regular order, expedited level, in units.
    """

    name = "tailored_base_surge"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        regular, level = np.moveaxis(self.parameters, -1, 0)
        expedited = np.maximum(level - here_units(simulator), 0.0)
        return two_orders(simulator, regular * np.ones(simulator.num_envs), expedited)


def here_units(simulator: Simulator) -> Float:
    """(N,) stock minus backlog of the store of a two-node network."""
    return np.asarray(
        simulator.state("stock_units")[:, 1, 0] - simulator.state("backlog_units")[:, 1, 0]
    )


def whole_position(simulator: Simulator) -> Float:
    """(N,) the same and all that is under way."""
    return np.asarray(here_units(simulator) + pipeline_units(simulator)[:, :, 1, 0].sum(axis=1))


def two_orders(simulator: Simulator, regular: Float, expedited: Float) -> Actions:
    """Actions that order from the two modes of a two-node network."""
    orders = np.stack([np.rint(regular), np.rint(expedited)], axis=1)[:, :, None]
    return order_actions(simulator, orders)


class Sterman(Controller):
    """Anchoring and adjustment, how people play the beer game (Sterman 1989, eq. 7-10).

    A place orders the demand it expects, plus a share of what its stock is short of its wish, plus
    a smaller share of what is under way to it.

    Args:
        parameters: (3,) or (N, 3): share of the stock's shortfall, weight of the supply line in it,
            and the wished stock as a share of the scenario's level.
    """

    name = "sterman"
    smoothing = 0.36

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)
        self._expected: Float = np.empty(0)
        self._ordered: Float = np.empty(0)

    def reset(self, simulator: Simulator) -> None:
        super().reset(simulator)
        network: Network = network_of(simulator)
        mean = network.downstream(network.local_mean)
        self._expected = np.tile(mean, (simulator.num_envs, 1, 1))
        self._ordered = self._expected.copy()

    def act(self, simulator: Simulator) -> Actions:
        network: Network = network_of(simulator)
        share, weight, wish = by_cell(self.parameters)
        # What customers, and the places that a node supplies, asked for last.
        asked = np.zeros_like(self._expected)
        demand = simulator.state("demand_units")
        asked[:, network.customers] = demand
        for n in range(network.n_nodes):
            if network.home[n] >= 0:
                asked[:, network.home[n]] += self._ordered[:, n]
        begun = simulator.state("step") > simulator.state("started")
        moved = self._expected + self.smoothing * (asked - self._expected)
        self._expected = np.where(begun[:, None, None], moved, self._expected)
        own = positions(simulator).copy()
        for n in range(network.n_nodes):
            if network.home[n] >= 0:
                own[:, network.home[n]] -= simulator.state("echelon_units")[:, n]
        stock = simulator.state("stock_units") - simulator.state("backlog_units")
        line = own - stock
        owed = simulator.state("owed_units")
        for r in range(owed.shape[1]):
            stock[:, network.tables["routes"][r, at.R_ORIGIN]] -= owed[:, r]
        local = network.tables["cells"][at.C_INITIAL]
        gap = wish * local - stock - weight * line
        units = np.maximum(self._expected + share * gap, 0.0)
        if network.scenario.actions.whole_orders:
            units = np.rint(units)
        self._ordered = units
        return order_actions(simulator, spread(simulator, units))
