"""What a controller may know about each lane of a running simulator, as arrays over the lanes.

Prices are those that the observation shows: unpublished hours repeat the last known day.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float, Int

from .layout import D_STOCK_PRICE, PAST_QUARTERS, PRICE_HOURS, QUARTERS_PER_DAY, W_EXPORT_PRICE

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

Actions = NDArray[np.float32]


def quarters(simulator: Simulator) -> Int:
    """Column of the `world` table that each lane's next step reads, (N,)."""
    step = simulator.state("step") // simulator.scenario.substeps
    return np.asarray(PAST_QUARTERS + simulator.state("day") * QUARTERS_PER_DAY + step)


def export_price(simulator: Simulator) -> Float:
    """What an exported kWh earns in the next step, (N,) EUR/kWh."""
    world: Float = simulator.domain.loaded.world  # type: ignore[attr-defined]
    return world[W_EXPORT_PRICE, quarters(simulator)]


def known_prices(simulator: Simulator) -> Float:
    """Day-ahead prices of this and the next 23 hours as observed, (N, 24) EUR/kWh.

    After the episode's end stands the price at which the stock is valued.
    """
    domain: Any = simulator.domain
    quarter = quarters(simulator)
    of_day = quarter % QUARTERS_PER_DAY
    published = np.where(
        of_day >= round(4.0 * simulator.scenario.tariff.publication_hour),
        PRICE_HOURS,
        24 - of_day // 4,
    )
    ahead = np.arange(PRICE_HOURS)
    hour = (quarter // 4)[:, None] + ahead
    hour = np.where(ahead < published[:, None], hour, hour - 24)
    step = simulator.state("step")
    hours_left = -(-(simulator.horizon - step) // (4 * simulator.scenario.substeps))
    today = (simulator.state("day") + step // domain.steps_per_day) % domain.loaded.n_days
    after = domain.loaded.days[D_STOCK_PRICE, today][:, None]
    return np.where(ahead < hours_left[:, None], domain.loaded.price_hours[hour], after)


def price_rank(simulator: Simulator) -> Float:
    """Share of the observed 24 hours that is cheaper than now, (N,), 0 to 1."""
    prices = known_prices(simulator)
    return np.asarray((prices < prices[:, :1]).sum(axis=1) / (PRICE_HOURS - 1.0))


def volt_var_shares(voltage_pu: Float) -> Float:
    """IEEE 1547-2018 category B: reactive injection / rated apparent power at each voltage."""
    low = 0.44 * np.clip((0.98 - voltage_pu) / 0.06, 0.0, 1.0)
    high = 0.44 * np.clip((voltage_pu - 1.02) / 0.06, 0.0, 1.0)
    return np.where(voltage_pu < 0.5, 0.0, low - high)
