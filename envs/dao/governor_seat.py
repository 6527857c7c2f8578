"""The governor as an agent: the steward's part of an action, in a seat of its own.

Under a charter of mode `steward` a domain's multi-agent view has one more agent. It sets the
steward's numbers and nothing else; it sees what concerns everybody, the rules in force and the
changes that are announced. Its own money is what the rules bring to the DAO.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.layout import Float
from daogym.envs.core.multi_agent import Agent, AgentGroup
from daogym.envs.core.shared_control import OwnMoney, Seat, Seats, beside, common_fields
from daogym.envs.core.simulator import Simulator

from .steward import STEWARD_ACTION

GOVERNOR = "governor"


def with_governor(
    seats: Seats, domain: Any, hidden: Collection[str], income: OwnMoney
) -> Seats:  # fmt: skip
    """A domain's seats and, under a steward, the governor's behind them.

    Args:
        hidden: fields of the operator's observation that the governor does not see.
        income: the DAO's, (N, 1); not used where agents have no money of their own, so that the
            governor, too, has an equal share of the team's.
    """
    if domain.scenario.charter.mode != "steward":
        return seats
    seen, done = domain.observation_fields, domain.action_fields
    sees, observes = common_fields(seen, hidden)
    own = [field for field in done if field.name == STEWARD_ACTION]
    group = AgentGroup(GOVERNOR, FieldSet(sees), FieldSet(own))
    acts = np.arange(done.size)[done.slice(STEWARD_ACTION)]
    seat = Seat(Agent(GOVERNOR, GOVERNOR, GOVERNOR), observes, acts)
    money = None if seats.money is None else beside(seats.money, income)
    return Seats((*seats.groups, group), (*seats.seats, seat), money)


def event_income(names: Sequence[str]) -> OwnMoney:
    """(N, 1) sum of events that count money, of the step and of the episode."""

    def total(simulator: Simulator, events: Float) -> Float:
        columns = [simulator.event_names.index(name) for name in names]
        return np.asarray(events[:, columns].sum(axis=1, keepdims=True))

    return OwnMoney(lambda s: total(s, s.events), lambda s: total(s, s.episode_events))
