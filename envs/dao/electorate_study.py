"""Many simulated proposals of one electorate, to be laid beside real ones.

A rehearsal without a governor: proposals arrive, are voted on and take effect at the close of the
vote, so the next one faces the changed value. It checks who votes and how, not the contracts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import compile_lock, kernel_entry
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import root_keys

from .arrivals import PROPOSED, arrivals, draw_proposal
from .ballots import (
    BALLOT_COUNT,
    BALLOT_ROWS,
    FOR,
    LAST_STEP,
    draw_ballots,
    event_support,
    event_voter,
    event_votes,
    proposal_number,
)
from .capture_metrics import nakamoto
from .electorate import Electorate
from .electorate_layout import F_ARRIVAL_RATE

REAL_QUANTILES: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "turnout_percent": (2.7, 4.2, 5.8),
        "voters": (23.0, 35.0, 95.0),
        "voters_for_half": (1.0, 2.0, 3.0),
        "top_1_percent": (26.0, 38.0, 59.0),
        "top_5_percent": (81.0, 89.0, 94.0),
    }
)
"""5 %, 50 % and 95 % quantiles over 452 decided Aave v3 proposals."""

REAL_SHARES = (0.40, 0.22, 0.135, 0.076, 0.058, 0.045, 0.03, 0.02, 0.01)
"""Mean share of the cast votes by rank of the voter within a proposal, same source."""

_PATIENCE = 200.0
"""How many times the expected steps until all proposals have arrived are waited for."""


@dataclass(frozen=True)
class Study:
    """What happened to each proposal.

    Attributes:
        cast: (proposals, voters) votes of each voter on each proposal, 0 where it did not vote.
        tally: (proposals, 3) votes Against, For, Abstain.
        number: (proposals,) the proposal's number, from which its draws come.
        step: (proposals,) when it was proposed, and voted on from the next step.
        parameter: (proposals,) which governed parameter it changes.
        old, new: (proposals,) its value then and as proposed, shares of its range.
        withdrawn: how many more fell in the forum or found no draft.
        supply: base units.
    """

    cast: Int
    tally: Int
    number: Int
    step: Int
    parameter: Int
    old: Float
    new: Float
    withdrawn: int
    supply: int

    def turnout(self) -> Float:
        """Votes cast as a share of the supply, (proposals,)."""
        turnout: Float = self.tally.sum(axis=1) / self.supply
        return turnout

    def voters(self) -> Int:
        """Number of voters, (proposals,)."""
        voters: Int = np.count_nonzero(self.cast, axis=1)
        return voters

    def voters_for_half(self) -> Int:
        """Least number of voters with more than half of the votes cast, (proposals,)."""
        return np.array([nakamoto(row) for row in self.cast])

    def shares(self) -> Float:
        """Share of the cast votes by rank within each proposal, (proposals, voters)."""
        ranked = -np.sort(-self.cast, axis=1)
        shares: Float = ranked / np.maximum(ranked.sum(axis=1, keepdims=True), 1)
        return shares

    def for_share(self) -> Float:
        """For / (For + Against), (proposals,); 0 where nobody decided."""
        decided = self.tally[:, 0] + self.tally[:, 1]
        share: Float = self.tally[:, 1] / np.maximum(decided, 1)
        return share

    def passed(self, quorum: int = 0) -> NDArray[np.bool_]:
        """For above Against, and For + Abstain at or above `quorum` votes, (proposals,)."""
        turned_out = self.tally[:, 1] + self.tally[:, 2] >= quorum
        return (self.tally[:, 1] > self.tally[:, 0]) & turned_out

    def quantiles(self) -> dict[str, tuple[float, float, float]]:
        """5 %, 50 % and 95 % quantiles of the rows of `REAL_QUANTILES`."""
        shares = self.shares()
        rows = {
            "turnout_percent": 100.0 * self.turnout(),
            "voters": self.voters(),
            "voters_for_half": self.voters_for_half(),
            "top_1_percent": 100.0 * shares[:, 0],
            "top_5_percent": 100.0 * shares[:, :5].sum(axis=1),
        }
        low, middle, high = 0.05, 0.5, 0.95
        return {
            name: (
                float(np.quantile(row, low)),
                float(np.quantile(row, middle)),
                float(np.quantile(row, high)),
            )
            for name, row in rows.items()
        }


@kernel_entry()
def _rehearse(
    key: np.uint64, last_step: int, threshold: int, quorum: int, period: int, values: Float,
    largest_changes: Float, ints: Int, floats: Float, clock: Int, events: Int,
    cast: Int, tally: Int, content: Int, moves: Float,
) -> tuple[int, int]:  # fmt: skip
    """Fill the rows of one study; returns (proposals voted on, proposals withdrawn)."""
    proposable = np.ones(len(values), dtype=np.int64)
    done, withdrawn, step = 0, 0, 0
    while done < len(cast) and step < last_step:
        for place in range(arrivals(key, step, floats)):
            number = proposal_number(step, place)
            code, _, parameter, new = draw_proposal(
                key, number, step, threshold, values, largest_changes, proposable, ints, floats
            )
            if code != PROPOSED:
                withdrawn += 1
                continue
            if done == len(cast):
                break
            old = values[parameter]
            draw_ballots(key, number, step, period, parameter, old, new, 0.0, ints, floats,
                         clock, events, 0)  # fmt: skip
            for i in range(clock[BALLOT_COUNT, 0]):
                event = events[0, i]
                cast[done, event_voter(event)] = event_votes(event)
                tally[done, event_support(event)] += event_votes(event)
            content[done, 0], content[done, 1], content[done, 2] = number, step, parameter
            moves[done, 0], moves[done, 1] = old, new
            enough = tally[done, FOR] + tally[done, 2] >= quorum
            if tally[done, FOR] > tally[done, 0] and enough:
                values[parameter] = new
            done += 1
        step += 1
    return done, withdrawn


def rehearse(
    electorate: Electorate,
    seed: int,
    proposals: int = 1000,
    *,
    threshold: int = 0,
    quorum: int = 0,
    period: int = 96,
    largest_change: float = 0.1,
    initial: float = 0.5,
) -> Study:
    """Let `electorate` vote on `proposals` proposals that arrive on their own.

    Args:
        electorate: who votes.
        seed: seed of the lane that draws arrivals and ballots.
        proposals: how many are voted on.
        threshold: votes needed to propose, base units.
        quorum: votes For and Abstain needed to pass, base units.
        period: voting period in steps.
        largest_change: largest change of a parameter in one proposal, share of its range.
        initial: value of every parameter at the beginning, share of its range.

    Raises:
        ValueError: so many proposals do not come about.
    """
    ints, floats = electorate.ints, electorate.floats
    parameters, voters = electorate.ideals.shape
    values = np.full(parameters, initial)
    clock = np.zeros((BALLOT_ROWS, 1), dtype=np.int64)
    events = np.zeros((1, voters + 1), dtype=np.int64)
    cast = np.zeros((proposals, voters), dtype=np.int64)
    tally = np.zeros((proposals, 3), dtype=np.int64)
    content = np.zeros((proposals, 3), dtype=np.int64)
    moves = np.zeros((proposals, 2))
    rate = max(float(floats[F_ARRIVAL_RATE]), 1e-6)
    last_step = min(int(_PATIENCE * proposals / rate), LAST_STEP)
    with compile_lock(_rehearse):
        done, withdrawn = _rehearse(
            root_keys([seed])[0], last_step, threshold, quorum, period, values,
            np.full(parameters, largest_change), ints, floats, clock, events, cast, tally, content,
            moves,
        )  # fmt: skip
    if done < proposals:
        raise ValueError(f"{proposals} proposals are wanted, {done} came about")
    supply = int(electorate.holdings.sum())
    return Study(
        cast, tally, content[:, 0], content[:, 1], content[:, 2], moves[:, 0], moves[:, 1],
        withdrawn, supply,
    )  # fmt: skip
