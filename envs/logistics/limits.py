"""What the charter's gate would move of a morning's action, number by number.

A limit is safe to mask by: a number beyond it is moved whatever the others are. A number inside may
still be moved, since quota, stakes and allowance hold sums over many orders.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float

from . import layout as at
from .anticipate import anticipated, weights_of
from .governed import (
    G_DRONE_QUOTA_SHARE,
    G_SAFETY_STOCK_DAYS,
    G_STAKE_COVER_SHARE,
)
from .rules import positions

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

# A bound that no action reaches: everything that was asked for is moved.
_NOTHING = 2.0
_BISECTIONS = 30


def action_limits(simulator: Simulator) -> Float:
    """(N, action size, 2) lowest and highest value of each number in [-1, 1]; see the module."""
    domain: Any = simulator.domain
    limits = np.empty((simulator.num_envs, simulator.action_size, 2))
    limits[..., 0], limits[..., 1] = -1.0, 1.0
    if domain.action_mode == "orders":
        high = _largest_orders(simulator)
        limits[:, : high.shape[1], 1] = high
    else:
        rows, goods = len(domain.network.level_names), domain.network.n_goods
        levels = limits[:, : rows * goods].reshape(-1, rows, goods, 2)
        levels[..., 0] = _covenant(simulator)
        if domain._flags["has_allowance"]:
            levels[..., 1] = _affordable(simulator)
        limits[:, : rows * goods] = levels.reshape(simulator.num_envs, -1, 2)
    return limits


def _largest_orders(simulator: Simulator) -> Float:
    """Highest action of each order that quota, stake and allowance could bear if it were alone."""
    domain: Any = simulator.domain
    network, s = domain.network, simulator.scenario
    routes, modes, goods, values = (
        network.tables[name] for name in ("routes", "modes", "goods", "route_values")
    )
    governed = simulator.state("governed")
    room = np.full((simulator.num_envs, len(routes), network.n_goods), np.inf)
    mode = routes[:, at.R_MODE]
    if domain._flags["has_ration"]:
        volume = governed[:, G_DRONE_QUOTA_SHARE] * _demand_volume(network)
        rationed = modes[mode, at.O_RATIONED] == 1.0
        room[:, rationed] = (volume[:, None] / goods[:, at.H_VOLUME])[:, None]
    if domain._flags["has_stakes"]:
        cover = governed[:, G_STAKE_COVER_SHARE, None]
        stake = simulator.state("stake_usd") / np.where(cover > 0.0, cover, 1.0)
        usd = np.maximum(stake - simulator.state("carried_usd"), 0.0)
        held = (cover > 0.0) & (modes[:, at.O_STAKE_USD] > 0.0)
        usd = np.where(held, usd, np.inf)[:, mode, None]
        value = goods[:, at.H_VALUE_USD]
        room = np.minimum(room, np.where(value > 0.0, usd / np.maximum(value, 1e-300), np.inf))
    if domain._flags["has_allowance"]:
        price = network.tables["cells"][at.C_PURCHASE_USD][routes[:, at.R_ORIGIN]]
        bought = network.supplier[routes[:, at.R_ORIGIN], None] & (price > 0.0)
        left = simulator.state("allowance_usd")[:, None, None]
        room = np.minimum(room, np.where(bought, left / np.where(bought, price, 1.0), np.inf))
    if s.actions.whole_orders:
        room = np.floor(room) + 0.5
    largest = values[:, at.Q_LARGEST_ORDER][:, None]
    return np.asarray(np.minimum(2.0 * room / largest - 1.0, 1.0).reshape(simulator.num_envs, -1))


def _demand_volume(network: Any) -> float:
    return float((network.local_mean * network.tables["goods"][:, at.H_VOLUME]).sum())


def _at_zero(simulator: Simulator) -> Float:
    """(N, rows, goods) order-up-to level at action 0 / the scenario's own."""
    domain: Any = simulator.domain
    weights = simulator.scenario.actions.anticipation
    if domain.action_mode != "anticipating":
        rows = len(domain.network.level_names)
        return np.ones((simulator.num_envs, rows, domain.network.n_goods))
    return 1.0 + anticipated(simulator, weights_of(weights))


def _covenant(simulator: Simulator) -> Float:
    """(N, rows, goods) lowest action at which no place is below the covenant's level."""
    domain: Any = simulator.domain
    network, span = domain.network, simulator.scenario.actions.multiplier_span
    low = np.full((simulator.num_envs, len(network.level_names), network.n_goods), -1.0)
    days = simulator.state("governed")[:, G_SAFETY_STOCK_DAYS]
    if not (days > 0.0).any():
        return low
    cells, have = network.tables["cells"], positions(simulator)
    at_zero = _at_zero(simulator)
    for n in network.customers:
        floor = cells[at.C_COVENANT_UNITS, n] + days[:, None] * cells[at.C_MEAN, n]
        row = network.tables["nodes"][n, at.N_LEVELS]
        level = np.maximum(cells[at.C_BASE_STOCK, n] * at_zero[:, row], 1e-300)
        needed = np.minimum((floor / level - 1.0) / span, _NOTHING)
        held = (days[:, None] > 0.0) & (have[:, n] < floor) & _has_origin(network, n)
        low[:, row] = np.where(held, np.maximum(low[:, row], needed), low[:, row])
    return low


def _has_origin(network: Any, node: int) -> Any:
    """(goods,) whether an order of the good can be placed anywhere."""
    lanes = network.tables["lanes"]
    origins = lanes[lanes[:, at.L_DESTINATION] == node, at.L_ORIGIN]
    price = network.tables["cells"][at.C_PURCHASE_USD][origins]
    return (~network.supplier[origins, None] | (price >= 0.0)).any(axis=0)


def _affordable(simulator: Simulator) -> Float:
    """(N, rows, goods) highest action at which a row's own purchases stay in the allowance."""
    domain: Any = simulator.domain
    network, s = domain.network, simulator.scenario
    high = np.ones((simulator.num_envs, len(network.level_names), network.n_goods))
    have, left = positions(simulator), simulator.state("allowance_usd")
    lanes, cells = network.tables["lanes"], network.tables["cells"]
    value = network.tables["goods"][:, at.H_VALUE_USD]
    at_zero = _at_zero(simulator)
    for t in range(len(network.level_names)):
        nodes = [
            int(n) for n in np.flatnonzero(network.tables["nodes"][:, at.N_LEVELS] == t)
            if network.supplier[lanes[lanes[:, at.L_DESTINATION] == n, at.L_ORIGIN]].all()
        ]  # fmt: skip
        if not nodes:
            continue
        level = cells[at.C_BASE_STOCK, nodes] * at_zero[:, t, None]
        price = np.array([np.where(_has_origin(network, n), value, 0.0) for n in nodes])

        def spent(action: Float, level: Float = level, price: Float = price,
                  nodes: Any = nodes) -> Float:  # fmt: skip
            factor = 1.0 + s.actions.multiplier_span * action[:, None]
            asked = np.maximum(level * factor - have[:, nodes], 0.0)
            return np.asarray((price * asked).sum(axis=1))

        below = np.full(high[:, t].shape, -1.0)
        above = np.ones_like(below)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (below + above)
            fits = spent(middle) <= left[:, None]
            below, above = np.where(fits, middle, below), np.where(fits, above, middle)
        nothing = spent(np.full(below.shape, -1.0)) > left[:, None]
        high[:, t] = np.where(nothing, -_NOTHING, above)
    return high
