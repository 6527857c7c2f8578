"""An episode's ledger: what the gate decided, who paid what, and what the governance did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.dao.chronicle import Entry, GovernanceChronicle
from daogym.envs.dao.ledger import LedgerWriter

from .layout import GOVERNED

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

_GATE = ("interventions", "reverts", "halted_steps")


class EnergyChronicle:
    """Writes one ledger a lane; call `step` after every step of the simulator.

    Payments are in EUR from the community's point of view: terms of the reward, paid to the
    outside; and under a voted charter the members' and the community's shares of them.

    Args:
        simulator: at a start, with autoreset "disabled", so that the last state can be read.
        writers: one a lane.
    """

    def __init__(self, simulator: Simulator, writers: Sequence[LedgerWriter]) -> None:
        self._simulator, self._writers = simulator, writers
        domain: Any = simulator.domain
        self._governance: GovernanceChronicle | None = None
        if domain.governance is not None:
            low, high, _ = domain.governance.floats.reshape(3, -1)
            self._governance = GovernanceChronicle(simulator.state, GOVERNED[: len(low)], low, high)
        self._members = self._accounts()

    def _accounts(self) -> Any:
        names = ("member_eur", "community_eur")
        return [np.array(self._simulator.state(name)) for name in names]

    def step(self) -> None:
        """Write the entries of the step just done."""
        simulator = self._simulator
        governance: list[list[Entry]] = [[] for _ in self._writers]
        if self._governance is not None:
            governance = self._governance.step()
        before, self._members = self._members, self._accounts()
        names = simulator.event_names
        at = {name: names.index(name) for name in _GATE if name in names}
        delta = names.index("shield_delta_kwh")
        battery = simulator.state("battery_kw")
        for lane, writer in enumerate(self._writers):
            step = int(simulator.state("step")[lane]) - 1
            decided = {name: bool(simulator.events[lane, i]) for name, i in at.items()}
            writer.write("gate", {
                "step": step, **decided,
                "shield_delta_kwh": float(simulator.events[lane, delta]),
                "battery_kw": battery[lane].tolist(),
            })  # fmt: skip
            for term, eur in zip(simulator.term_names, simulator.terms[lane], strict=True):
                if eur != 0.0:
                    writer.write("payment", {"step": step, "what": term, "eur": float(eur)})
            changes = [
                now[lane] - was[lane] for was, now in zip(before, self._members, strict=True)
            ]
            if any(change.any() for change in changes):
                members, community = changes
                writer.write("payment", {
                    "step": step, "what": "shares", "members_eur": members.tolist(),
                    "community_eur": float(community[0]),
                })  # fmt: skip
            for kind, data in governance[lane]:
                writer.write(kind, {"step": step, **data})
