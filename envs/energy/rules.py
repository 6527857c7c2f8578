"""Rule-based controllers: a few lines of arithmetic on what the observation holds, for all lanes.

The best of them on the validation split is score 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daogym.envs.core.controller import Controller as CoreController
from daogym.envs.core.layout import Float

from .lanes import Actions, export_price, price_rank, volt_var_shares
from .request import (
    A_EV_RATE,
    A_EXCHANGE,
    A_EXPORT_CAP,
    MAX_REACTIVE_SHARE,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

ActionMode = Literal["fleet", "device"]


class Controller(CoreController):
    """A controller of this domain; most of them act in mode "fleet"."""

    action_mode: ActionMode = "fleet"


class NoOp(Controller):
    """Batteries idle, all PV used at unity power factor, cars charged evenly."""

    name = "no_op"
    action_mode: ActionMode = "device"

    def act(self, simulator: Simulator) -> Actions:
        return self._idle(simulator)


class VoltVar(Controller):
    """As `NoOp`, with the volt-var curve of IEEE 1547-2018 on smoothed voltages."""

    name = "volt_var"
    action_mode: ActionMode = "device"

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        feeder = simulator.domain.feeder  # type: ignore[attr-defined]
        first = len(feeder.battery_bus) + len(feeder.pv_bus)
        voltage = simulator.state("pv_voltage_pu")
        actions[:, first : first + len(feeder.pv_bus)] = (
            volt_var_shares(voltage) / MAX_REACTIVE_SHARE
        )
        return actions


class SelfConsumption(Controller):
    """The fleet's zero action: batteries track an exchange of 0, exports end at the rating."""

    name = "self_consumption"

    def act(self, simulator: Simulator) -> Actions:
        return self._idle(simulator)


class PriceThreshold(Controller):
    """Buys in the cheapest hours of the known day, sells in the dearest, else self-consumption.

    PV is held back while exports cost money. `parameters` come from a search on the train split.

    Args:
        parameters: ``(low_rank, high_rank, buy_share, sell_share, ev_rate)``: below a price rank
            of `low_rank` the exchange target is `buy_share` of the transformer's rating and cars
            charge as fast as they can; from `high_rank` on it is minus `sell_share`; cars charge
            at `ev_rate` otherwise. (5,), or (N, 5) for a search with one candidate a lane.
    """

    name = "price_threshold"

    def __init__(self, parameters: Float) -> None:
        self.parameters = np.asarray(parameters, dtype=np.float64)

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        low, high, buy, sell, ev_rate = np.moveaxis(self.parameters, -1, 0)
        rank = price_rank(simulator)
        cheap, dear = rank < low, rank >= high
        actions[:, A_EXCHANGE] = np.where(cheap, buy, np.where(dear, -sell, 0.0))
        actions[:, A_EXPORT_CAP] = np.where(export_price(simulator) < 0.0, -1.0, 0.0)
        actions[:, A_EV_RATE] = np.where(cheap, 1.0, ev_rate)
        return actions


def play(controller: Any, simulator: Simulator) -> Float:
    """EUR of the episode that every lane begins now, (N,)."""
    money = np.zeros(simulator.num_envs)
    controller.reset(simulator)
    for _ in range(simulator.horizon):
        simulator.step(controller.act(simulator))
        money += simulator.rewards
    return money
