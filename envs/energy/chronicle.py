"""The energy grid's ledger: battery set-points after the gate, and the members' shares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.dao.episode_ledger import EpisodeLedger

from .layout import GOVERNED

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator
    from daogym.envs.dao.ledger import LedgerWriter


class EnergyLedger(EpisodeLedger):
    """Payments are in EUR from the community's point of view; under a voted charter the members'
    and the community's shares of them are told, too.
    """

    def __init__(self, simulator: Simulator, writers: Sequence[LedgerWriter]) -> None:
        super().__init__(simulator, writers, GOVERNED)
        self._members = self._before = self._accounts()

    def _accounts(self) -> Any:
        names = ("member_eur", "community_eur")
        return [np.array(self.simulator.state(name)) for name in names]

    def step(self) -> None:
        """Write the entries of the step just done."""
        self._before, self._members = self._members, self._accounts()
        super().step()

    def details(self, lane: int) -> Mapping[str, Any]:
        """Battery power, kW."""
        return {"battery_kw": self.simulator.state("battery_kw")[lane].tolist()}

    def shares(self, lane: int) -> Mapping[str, Any] | None:
        """EUR of each connection and of the community."""
        pairs = zip(self._before, self._members, strict=True)
        members, community = (now[lane] - was[lane] for was, now in pairs)
        if not (members.any() or community.any()):
            return None
        return {"members_eur": members.tolist(), "community_eur": float(community[0])}
