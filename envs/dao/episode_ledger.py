"""Ledgers of episodes, for any domain: what the gate decided, what was paid, what was voted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .chronicle import Entry, GovernanceChronicle

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

    from .ledger import LedgerWriter

_GATE = ("interventions", "reverts", "halted_steps")


class EpisodeLedger:
    """Writes one ledger a lane; call `step` after every step of the simulator.

    Entries of a step: one ``gate``; a ``payment`` for every term of the reward that is not 0, in
    the domain's currency from the operator's point of view; then what the governance did. A domain
    adds entries of its own by `details` and `shares`.

    Args:
        simulator: at a start, with autoreset "disabled", so that the last state can be read.
        writers: one a lane.
        governed: names of the governed parameters, in the domain's order.
    """

    def __init__(
        self, simulator: Simulator, writers: Sequence[LedgerWriter], governed: Sequence[str]
    ) -> None:
        self.simulator, self.writers = simulator, writers
        domain: Any = simulator.domain
        self._currency = domain.currency.lower()
        self._governance: GovernanceChronicle | None = None
        if domain.governance is not None:
            low, high, _ = domain.governance.floats.reshape(3, -1)
            self._governance = GovernanceChronicle(simulator.state, governed[: len(low)], low, high)
        names = simulator.event_names
        self._decided = {name: names.index(name) for name in _GATE if name in names}
        self._shield = next(name for name in names if name.startswith("shield_delta_"))
        self._delta = names.index(self._shield)

    def details(self, lane: int) -> Mapping[str, Any]:
        """More of the gate's entry; none here."""
        return {}

    def shares(self, lane: int) -> Mapping[str, Any] | None:
        """Who of those inside had what of the step's money; None: nobody, no entry."""
        return None

    def step(self) -> None:
        """Write the entries of the step just done."""
        s = self.simulator
        governance: list[list[Entry]] = [[] for _ in self.writers]
        if self._governance is not None:
            governance = self._governance.step()
        for lane, writer in enumerate(self.writers):
            step = int(s.state("step")[lane]) - 1
            writer.write("gate", {
                "step": step,
                **{name: bool(s.events[lane, i]) for name, i in self._decided.items()},
                self._shield: float(s.events[lane, self._delta]), **self.details(lane),
            })  # fmt: skip
            for term, money in zip(s.term_names, s.terms[lane].tolist(), strict=True):
                if money != 0.0:
                    writer.write("payment", {"step": step, "what": term, self._currency: money})
            shares = self.shares(lane)
            if shares is not None:
                writer.write("payment", {"step": step, "what": "shares", **shares})
            for kind, data in governance[lane]:
                writer.write(kind, {"step": step, **data})
