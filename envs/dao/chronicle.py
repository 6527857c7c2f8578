"""What a lane's governance did in a step, as entries of a ledger; read from the state, outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float, Int

from .ballots import (
    ABSTAIN,
    AGAINST,
    BALLOT_READ,
    BALLOT_START,
    FOR,
    SEVERAL,
    event_support,
    event_voter,
    event_votes,
)
from .governance_layout import A_STEP, VALUE_SCALE
from .governor_layout import (
    ACTIVE,
    CANCELED,
    DEFEATED,
    EMPTY,
    EXECUTED,
    EXPIRED,
    P_ABSTAIN,
    P_AGAINST,
    P_FOR,
    P_ID,
    P_TARGET,
    P_VALUE,
    PENDING,
    QUEUED,
    SUCCEEDED,
)
from .governor_state import state_of

STATE_NAMES = {
    PENDING: "pending", ACTIVE: "active", CANCELED: "canceled", DEFEATED: "defeated",
    SUCCEEDED: "succeeded", QUEUED: "queued", EXPIRED: "expired", EXECUTED: "executed",
}  # fmt: skip
SUPPORT_NAMES = {AGAINST: "against", FOR: "for", ABSTAIN: "abstain"}
ATTACK = "attack"
"""What an adversary's proposal is about, instead of one parameter."""
_READ = ("governor", "proposals", "votes", "ballot_clock", "ballots", "agenda", "governed")

Entry = tuple[str, dict[str, Any]]


class GovernanceChronicle:
    """Tells, step after step, which ballots, proposals and parameters have changed.

    Args:
        state: gives a named part of all lanes' state, as `Simulator.state` does; parts as in
            `governance_layout.state_sizes`, and ``governed`` (N, at
            least as many parameters).
        names: of the governed parameters.
        low, high: (parameters,) their bounds.
    """

    def __init__(
        self, state: Callable[[str], Any], names: Sequence[str], low: Float, high: Float
    ) -> None:
        self._state, self._names, self._low, self._high = state, list(names), low, high
        self._before = self._look()
        self._stages = [self._stages_of(self._before, lane) for lane in range(self._lanes)]

    @property
    def _lanes(self) -> int:
        return len(self._before["agenda"])

    def _look(self) -> dict[str, NDArray[Any]]:
        parts = {name: np.array(self._state(name)) for name in _READ}
        parts["governed"] = parts["governed"][:, : len(self._names)]
        return parts

    def step(self) -> list[list[Entry]]:
        """Entries of each lane for the step just done."""
        after = self._look()
        found = [list(self._entries(after, lane)) for lane in range(self._lanes)]
        self._before = after
        return found

    def _entries(self, after: dict[str, NDArray[Any]], lane: int) -> Iterator[Entry]:
        yield from self._ballots(after, lane)
        yield from self._proposals(after, lane)
        was, now = self._before["governed"][lane], after["governed"][lane]
        for p in np.flatnonzero(was != now).tolist():
            values = {"from": float(was[p]), "to": float(now[p])}
            yield "parameter", {"parameter": self._names[p], **values}

    def _ballots(self, after: dict[str, NDArray[Any]], lane: int) -> Iterator[Entry]:
        was, now = self._before["ballot_clock"][lane], after["ballot_clock"][lane]
        for slot, identity in enumerate(after["proposals"][lane, :, P_ID].tolist()):
            # A slot keeps the ballots of its last proposal until the snapshot of the next.
            drawn = was[BALLOT_START, slot] != now[BALLOT_START, slot]
            first = 0 if drawn else int(was[BALLOT_READ, slot])
            for i in range(first, int(now[BALLOT_READ, slot])):
                event = int(after["ballots"][lane, slot, i])
                voter = event_voter(event)
                yield (
                    "vote",
                    {
                        "proposal": identity,
                        "voter": "several" if voter == SEVERAL else voter,
                        "support": SUPPORT_NAMES[event_support(event)],
                        "votes": event_votes(event),
                    },
                )

    def _stages_of(self, parts: dict[str, NDArray[Any]], lane: int) -> dict[int, int]:
        proposals: Int = parts["proposals"][lane]
        votes = parts["votes"][lane]
        now = int(parts["agenda"][lane, A_STEP]) - 1
        found = {}
        for slot, identity in enumerate(proposals[:, P_ID].tolist()):
            stage = state_of(parts["governor"][lane], proposals, votes, now, now, slot)
            if stage != EMPTY:
                found[identity] = int(stage)
        return found

    def _proposals(self, after: dict[str, NDArray[Any]], lane: int) -> Iterator[Entry]:
        stages = self._stages_of(after, lane)
        for row in after["proposals"][lane]:
            identity = int(row[P_ID])
            stage = stages.get(identity)
            if stage is None or self._stages[lane].get(identity) == stage:
                continue
            target = int(row[P_TARGET])
            hostile = target >= len(self._names)
            low, high = (0.0, 1.0) if hostile else (self._low[target], self._high[target])
            yield (
                "proposal",
                {
                    "proposal": identity,
                    "parameter": ATTACK if hostile else self._names[target],
                    "value": float(low + int(row[P_VALUE]) / VALUE_SCALE * (high - low)),
                    "state": STATE_NAMES[stage],
                    "for": int(row[P_FOR]),
                    "against": int(row[P_AGAINST]),
                    "abstain": int(row[P_ABSTAIN]),
                },
            )
        self._stages[lane] = stages
