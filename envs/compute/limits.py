"""What the charter's gate would cut of an action, number by number: the spread and the top-up.

A number beyond its limit is cut whatever the others are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float

from .layout import (
    A_RESERVE,
    A_SPREAD,
    D_BEFORE,
    D_NOW,
    ESCROW,
    G_SPREAD_CAP,
    G_TREASURY_FLOOR,
    MICRO,
    TIERS,
    TREASURY,
    V_GPUS,
    V_TIER,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

# A bound that no action reaches: everything that was asked for is cut.
_NOTHING = -2.0


def action_limits(simulator: Simulator) -> Float:
    """(N, action size, 2) lowest and highest value of each number in [-1, 1]; see the module."""
    limits = np.empty((simulator.num_envs, simulator.action_size, 2))
    limits[..., 0], limits[..., 1] = -1.0, 1.0
    limits[:, A_SPREAD, 1] = _highest_spread(simulator)
    limits[:, A_RESERVE, 1] = _highest_reserve(simulator)
    return limits


def _highest_spread(simulator: Simulator) -> Float:
    """Action at which the busiest class's spread meets its cap."""
    domain: Any = simulator.domain
    o = simulator.scenario.operator
    cap = simulator.state("governed")[:, G_SPREAD_CAP]
    rise = np.zeros(simulator.num_envs)
    if domain.action_mode != "scheduler":  # a scheduler may choose a spread that does not rise
        tier = domain.providers[:, V_TIER].astype(int)
        working = domain.providers[:, V_GPUS] * simulator.state("up_share")
        for t in range(TIERS):
            mine = tier == t
            used = simulator.state("used_gpus")[:, mine].sum(axis=1)
            share = used / np.maximum(working[:, mine].sum(axis=1), 1.0)
            rise = np.maximum(
                rise, np.clip((share - o.spread_idle) / (o.spread_full - o.spread_idle), 0.0, 1.0)
            )
    return np.asarray((cap - o.spread_rise * rise - o.spread) / o.spread_scale)


def _highest_reserve(simulator: Simulator) -> Float:
    """Action at which the top-up of the vault takes all that the treasury may spend."""
    o = simulator.scenario.operator
    accounts, feed = simulator.state("market_accounts"), simulator.state("feed")
    price = 0.5 * (feed[:, D_NOW] + feed[:, D_BEFORE])
    floor = simulator.state("governed")[:, G_TREASURY_FLOOR]
    permitted = np.maximum(accounts[:, TREASURY] / MICRO - floor, 0.0)
    credits = accounts[:, ESCROW] / MICRO
    vault = simulator.state("vault_tokens") * price
    ratio = (permitted + vault) / np.maximum(credits, 1e-300)
    high = np.minimum((ratio - o.reserve_ratio) / o.reserve_scale, 1.0)
    return np.where(credits > 0.0, np.maximum(high, _NOTHING), 1.0)
