"""Operator and providers: the market's seat shared among those who run it.

The operator decides what it decides alone; each provider sets its own ask, offer and stake (mode
"provider"). Providers see what is published (clock, order book, prices, token, rules, proposals)
and their own meters, stake and earnings, but nobody else's settings.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.layout import Float
from daogym.envs.core.multi_agent import Agent, AgentGroup
from daogym.envs.core.shared_control import (
    OwnMoney,
    Seat,
    Seats,
    common_fields,
    own_columns,
    own_field,
)
from daogym.envs.core.simulator import Simulator
from daogym.envs.dao.adversary_means import attack_action_fields
from daogym.envs.dao.adversary_seat import with_adversary
from daogym.envs.dao.governor_seat import with_governor
from daogym.envs.dao.steward import STEWARD_ACTION

_OBSERVED = (
    "used_share", "up_share", "ask", "reputation", "jail", "offered_share", "stake_cover", "earned",
)  # fmt: skip
_SET = ("bid", "offer", "refill")
_UNSEEN = ("last_action", "up_share", "offered_share", "earned")
"""Not published: a governor does not see it."""
OPERATOR, PROVIDERS = "operator", "providers"


def seats(domain: Any) -> Seats:
    """The operator, then one agent for each provider; providers of one archetype are of one kind.

    Own money is what the market's accounts say, see party_money.py. A steward's governor comes
    last; as the operator runs the market for the DAO, both earn what its treasury gains. Under a
    charter that is attacked the adversary does.

    Raises:
        ValueError: the domain acts in another mode than "provider".
    """
    if domain.action_mode != "provider":
        raise ValueError(
            "providers set their own asks: action_mode 'provider' expected, got "
            f"{domain.action_mode!r}"
        )
    seen, done = domain.observation_fields, domain.action_fields
    attacks = [field.name for field in attack_action_fields()]
    alone, decides = common_fields(done, (*_SET, STEWARD_ACTION, *attacks))
    common, shared = common_fields(seen, {*_OBSERVED, "last_action"})
    groups = (
        AgentGroup(OPERATOR, seen, FieldSet(alone)),
        AgentGroup(
            PROVIDERS,
            FieldSet([*common, *(own_field(seen, name, 1) for name in _OBSERVED)]),
            FieldSet([own_field(done, name, 1) for name in _SET]),
        ),
    )
    made = [Seat(Agent(OPERATOR, OPERATOR, OPERATOR), np.arange(seen.size), decides)]
    kinds = domain.scenario.supply.archetypes
    for p in range(len(domain.providers)):
        kind = f"archetype_{kinds.index(kinds[p % len(kinds)])}"
        columns = [own_columns(seen, name, p, 1) for name in _OBSERVED]
        actions = [own_columns(done, name, p, 1) for name in _SET]
        made.append(Seat(
            Agent(f"provider_{p}", PROVIDERS, kind),
            np.concatenate([shared, *columns]), np.concatenate(actions),
        ))  # fmt: skip
    money = OwnMoney(_money("step"), _money("episode"))
    market = with_governor(
        Seats(groups, tuple(made), money), domain, _UNSEEN,
        OwnMoney(_treasury("step"), _treasury("episode")),
    )  # fmt: skip
    return with_adversary(market, domain)


def _money(span: str) -> Callable[[Simulator], Float]:
    """What all parties gained, USD."""
    return lambda simulator: np.asarray(simulator.state(f"party_{span}_usd"))


def _treasury(span: str) -> Callable[[Simulator], Float]:
    """What the DAO's treasury gained, USD."""
    return lambda simulator: np.asarray(simulator.state(f"party_{span}_usd")[:, :1])
