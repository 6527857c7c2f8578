"""The adversary as an agent: its part of an action, in a seat of its own.

Under a charter of mode `attacked` a domain's multi-agent view has one more agent. It sees what is
public about the DAO (rules in force, live proposals, the token's market, the treasury) and its own
account, and nothing of the operator's meters; nobody else sees its account. Its money is its
profit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.multi_agent import Agent, AgentGroup
from daogym.envs.core.shared_control import OwnMoney, Seat, Seats, equal_shares, side_by_side
from daogym.envs.core.simulator import Simulator

from .adversary_layout import S_EPISODE_GAIN, S_GAIN
from .adversary_means import PREFIX

ADVERSARY = "adversary"
PUBLIC = ("governed", "proposal_")
"""Beginnings of the names of what it sees beside its own fields."""


def with_adversary(seats: Seats, domain: Any) -> Seats:
    """A domain's seats and, under a charter that is attacked, the adversary's behind them.

    The others lose the adversary's fields from their sight; of what it does they see the live
    proposals. Where they have no money of their own, each still has an equal share of the team's.
    """
    if domain.scenario.charter.mode != "attacked":
        return seats
    seen, done = domain.observation_fields, domain.action_fields
    own = [f for f in done if f.name.startswith(PREFIX)]
    names = [f.name for f in seen]
    visible = [f for f in seen if f.name.startswith((*PUBLIC, PREFIX))]
    group = AgentGroup(ADVERSARY, FieldSet(visible), FieldSet(own))
    seat = Seat(
        Agent(ADVERSARY, ADVERSARY, ADVERSARY),
        _columns(seen, [f.name for f in visible]),
        _columns(done, [f.name for f in own]),
    )
    hidden = _columns(seen, [name for name in names if name.startswith(PREFIX)])
    others = tuple(
        dataclasses.replace(s, observes=s.observes[~np.isin(s.observes, hidden)])
        for s in seats.seats
    )
    groups = tuple(
        dataclasses.replace(
            g,
            observation_fields=FieldSet(
                [f for f in g.observation_fields if not f.name.startswith(PREFIX)]
            ),
        )
        for g in seats.groups
    )
    money = seats.money or equal_shares(len(seats.seats))
    return Seats((*groups, group), (*others, seat), side_by_side(money, _profit()))


def _columns(fields: FieldSet, names: list[str]) -> Int:
    every = np.arange(fields.size)
    return np.concatenate([every[fields.slice(name)] for name in names])


def _profit() -> OwnMoney:
    """(N, 1) what its cash and tokens have gained."""

    def of(column: int) -> Callable[[Simulator], Float]:
        return lambda s: np.asarray(s.state(ADVERSARY)[:, column, None] / 100.0)

    return OwnMoney(of(S_GAIN), of(S_EPISODE_GAIN))
