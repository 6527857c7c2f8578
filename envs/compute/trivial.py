"""Degenerate operators: what an exploit of the market's rules would look like.

None of them looks at the market. Each goes for something that moves money, or avoids a loss,
without serving anybody well; the score must leave them far behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .layout import (
    A_ADMISSION,
    A_CARBON,
    A_PRICE,
    A_RELIABILITY,
    A_RESERVE,
    A_SPREAD,
    A_STANDBY,
    TIERS,
)
from .rules import Actions, Controller

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


class RejectAll(Controller):
    """Nobody is admitted, nothing is on offer: no deadline is ever missed."""

    name = "reject_all"

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_ADMISSION : A_ADMISSION + TIERS] = 1.0
        actions[:, A_SPREAD] = 1.0
        actions[:, A_STANDBY : A_STANDBY + TIERS] = -1.0
        return actions


class AlwaysCheapest(Controller):
    """Everybody is admitted at the lowest spread and sent to the cheapest provider."""

    name = "always_cheapest"

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_ADMISSION : A_ADMISSION + TIERS] = -1.0
        actions[:, A_SPREAD] = -1.0
        actions[:, A_PRICE] = 1.0
        actions[:, A_RELIABILITY] = -1.0
        actions[:, A_CARBON] = -1.0
        return actions


class SlashFarming(Controller):
    """The treasury's income above all: highest spread, everything on offer so that stakes are at
    risk, no care for reputations, nothing spent on collateral."""

    name = "slash_farming"

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_SPREAD] = 1.0
        actions[:, A_RELIABILITY] = -1.0
        actions[:, A_RESERVE] = -1.0
        actions[:, A_STANDBY : A_STANDBY + TIERS] = 1.0
        return actions


class FixedSchedule(Controller):
    """Spread and standby by the hour of the day alone, everybody admitted."""

    name = "fixed_schedule"
    swing = 0.5
    busiest_hour = 7.0

    def act(self, simulator: Simulator) -> Actions:
        actions = self._idle(simulator)
        actions[:, A_ADMISSION : A_ADMISSION + TIERS] = -1.0
        hour = (simulator.state("step") / simulator.scenario.steps_per_hour) % 24.0
        wave = self.swing * np.cos(2.0 * np.pi * (hour - self.busiest_hour) / 24.0)
        actions[:, A_SPREAD] = wave
        actions[:, A_STANDBY : A_STANDBY + TIERS] = wave[:, None]
        return actions


TRIVIAL = (RejectAll, AlwaysCheapest, SlashFarming, FixedSchedule)
