"""Places: the planner's seat shared among the plants, centres and retailers.

An agent sets the order-up-to levels of its own place, the modes by which goods come to it and,
where a fleet stands there, whom the fleet serves first (mode "node"). It sees what concerns all
(calendar, promotions, carriers, purse, rules and proposals), its own stock, pipeline, demand and
backlog, and which ways to it are closed. Places of one tier share a policy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.multi_agent import Agent, AgentGroup
from daogym.envs.core.shared_control import (
    ABSENT,
    OwnMoney,
    Seat,
    Seats,
    common_fields,
    own_columns,
    own_field,
)
from daogym.envs.core.simulator import Simulator
from daogym.envs.dao.adversary_seat import with_adversary
from daogym.envs.dao.governor_seat import event_income, with_governor

from . import layout as at
from .network import Network
from .observation import pipeline_slots, seen_processes

_DOC = {
    "stock": "on hand, this morning's arrivals included",
    "pipeline": "on the way to it, by days until arrival and good",
    "owed": "that it ordered and was not sent, by route",
    "mail": "of its orders on their way to the origin, by days until arrival and route",
    "closed": "1 while closed: itself, ways to it, their origins, its own fleets",
    "level": "order-up-to levels of its goods / those at action 0",
    "fleet": "weight of a place that its fleet flies to, 0: as all others",
}


def seats(domain: Any) -> Seats:
    """One agent for each place but suppliers, a group for each tier.

    An agent's own money is what its place pays and earns (node_money.py); it adds up to the
    network's reward. A steward's governor or an adversary comes last.

    Raises:
        ValueError: the domain acts in another mode than "node".
    """
    if domain.action_mode != "node":
        raise ValueError(
            f"places set their own orders: action_mode 'node' expected, got {domain.action_mode!r}"
        )
    network: Network = domain.network
    seen, done = domain.observation_fields, domain.action_fields
    observed, acted = _observed(network), _acted(network)
    common, shared = common_fields(seen, set(observed))
    groups: list[AgentGroup] = []
    made: dict[int, Seat] = {}
    for t, tier in enumerate(network.scenario.tiers):
        members = np.flatnonzero(network.tables["nodes"][:, at.N_TIER] == t)
        sees, sets = _of_tier(observed, members, seen), _of_tier(acted, members, done)
        docs = {**_DOC, "share": _share_doc(network, acted["share"][members])}
        own = [
            own_field(seen, name, cells.shape[1], docs.get(name)) for name, cells in sees.items()
        ]
        act = [
            own_field(done, name, cells.shape[1], docs.get(name)) for name, cells in sets.items()
        ]
        groups.append(AgentGroup(tier, FieldSet([*common, *own]), FieldSet(act)))
        for i, node in enumerate(members.tolist()):
            columns = [
                own_columns(seen, name, cells[i], cells.shape[1]) for name, cells in sees.items()
            ]
            actions = [
                own_columns(done, name, cells[i], cells.shape[1]) for name, cells in sets.items()
            ]
            agent = Agent(network.node_names[node], tier, tier)
            made[node] = Seat(agent, np.concatenate([shared, *columns]), np.concatenate(actions))
    nodes = sorted(made)
    places = Seats(tuple(groups), tuple(made[n] for n in nodes), _own_money(np.array(nodes)))
    # What the rules take from carriers; all else that the DAO's purse gains is the places'.
    income = event_income(["tariff_usd", "slashed_usd"])
    return with_adversary(with_governor(places, domain, set(observed), income), domain)


def _own_money(nodes: Int) -> OwnMoney:
    """What the places pay and earn, USD."""

    def of(part: str) -> Callable[[Simulator], Float]:
        return lambda simulator: np.asarray(simulator.state(part)[:, nodes])

    return OwnMoney(of("node_step_usd"), of("node_episode_usd"))


def _of_tier(places: dict[str, Int], members: Int, fields: FieldSet) -> dict[str, Int]:
    """(members, width) numbers of each field that any of the members has."""
    found = {}
    for name, of_node in places.items():
        rows = of_node[members]
        rows = rows[:, (rows != ABSENT).any(axis=0)]
        if rows.shape[1] and name in {field.name for field in fields}:
            found[name] = rows
    return found


def _padded(rows: Sequence[Any]) -> Int:
    """(nodes, width of the longest row) with `ABSENT` behind the others."""
    made = np.full((len(rows), max(len(row) for row in rows)), ABSENT, dtype=np.int64)
    for n, row in enumerate(rows):
        made[n, : len(row)] = row
    return made


def _of_rows(network: Network, owner: Any, width: int) -> Int:
    """Numbers of a field of rows of `width`, by the place that each row is about."""
    every = np.arange(len(owner) * width).reshape(len(owner), width)
    owner = np.asarray(owner)
    return _padded([every[owner == n].reshape(-1) for n in range(network.n_nodes)])


def _observed(network: Network) -> dict[str, Int]:
    """Of each field that is not everybody's, the numbers of each place."""
    goods, stocked = network.n_goods, np.flatnonzero(~network.supplier)
    to = network.tables["routes"][:, at.R_DESTINATION]
    return {
        "stock": _of_rows(network, stocked, goods),
        "position": _of_rows(network, stocked, goods),
        "backlog": _of_rows(network, network.customers, goods),
        "pipeline": _of_rows(network, pipeline_slots(network)[:, 0], goods),
        "demand": _of_rows(network, network.customers, goods),
        "owed": _of_rows(network, to, goods),
        "mail": _of_rows(network, np.tile(to, network.order_ring), goods),
        "level": _of_rows(network, network.customers, 1),
        "closed": _closings(network),
    }


def _closings(network: Network) -> Int:
    """The processes that can close a place, a way to it, that way's origin, or its own fleets."""
    lanes, first = network.tables["lanes"], len(network.lane_list)
    place = {process: i for i, process in enumerate(seen_processes(network).tolist())}
    rows = []
    for n in range(network.n_nodes):
        ways = lanes[lanes[:, at.L_DESTINATION] == n]
        fleets = [i for i, (origin, _) in enumerate(network.fleets) if origin == n]
        own = [first + n]
        for way in ways.tolist():
            own += [way[at.L_PROCESS], first + way[at.L_ORIGIN]]
        own += [first + network.n_nodes + i for i in fleets]
        rows.append([place.get(process, ABSENT) for process in own])
    return _padded(rows)


def _acted(network: Network) -> dict[str, Int]:
    """Of each field of the action, the numbers of each place."""
    stocked = np.flatnonzero(~network.supplier)
    origins = network.tables["routes"][network.fleet_routes, at.R_ORIGIN]
    place = {knob: i for i, knob in enumerate(network.knobs)}
    modes = [mode.name for mode in network.scenario.modes]
    return {
        "level": _of_rows(network, stocked, network.n_goods),
        "share": np.array(
            [[place.get((m, n), ABSENT) for m in modes] for n in range(network.n_nodes)]
        ),
        "fleet": _of_rows(network, origins, 1),
    }


def _share_doc(network: Network, rows: Int) -> str:
    modes = network.scenario.modes
    names = [m.name for m, used in zip(modes, (rows != ABSENT).any(axis=0), strict=True) if used]
    meaning = "share of what it orders by a mode, -1: none, 0: the scenario's, 1: the largest: "
    return meaning + ", ".join(names)
