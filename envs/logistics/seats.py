"""Places and carriers: the planner's seat shared among those who order and those who carry.

An agent sets the order-up-to levels of its own place, the modes by which goods come to it and,
where a fleet stands there, whom the fleet serves first (mode "node"). It sees what concerns all
(calendar, promotions, carriers, purse, rules and proposals), its own stock, pipeline, demand and
backlog, and which ways to it are closed. Places of one tier share a policy. In mode "carrier" one
agent for each mode posts freight, capacity and stake (bids.py); what is posted is seen by all.
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
    side_by_side,
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

CARRIERS = "carriers"
_UNSEEN = ("volume", "used", "late", "earned", "sent")
"""Of the fields about carriers, those that only the carrier itself sees."""
_CARRIER_DOC = {
    "closed": "1 while closed: its lanes, their origins, its fleets",
    "sent": "on each of its routes in the last step",
}


def seats(domain: Any) -> Seats:
    """One agent for each place but suppliers, a group for each tier; then one for each carrier.

    A place's own money is what it pays and earns (node_money.py), a carrier's what its accounts
    say (carrier_money.py). A steward's governor or an adversary comes last.

    Raises:
        ValueError: the domain acts in another mode than "node" or "carrier".
    """
    if domain.action_mode not in ("node", "carrier"):
        raise ValueError(
            "places set their own orders: action_mode 'node' or 'carrier' expected, got "
            f"{domain.action_mode!r}"
        )
    network: Network = domain.network
    made = _places(network, domain.observation_fields, domain.action_fields)
    if domain.action_mode == "carrier":
        made = _with_carriers(made, network, domain.observation_fields, domain.action_fields)
    # What the rules take from carriers; all else that the DAO's purse gains is the places'.
    income = event_income(["tariff_usd", "slashed_usd"])
    made = with_governor(made, domain, {*_observed(network), *_UNSEEN}, income)
    return with_adversary(made, domain)


def _places(network: Network, seen: FieldSet, done: FieldSet) -> Seats:
    observed, acted = _observed(network), _acted(network)
    common, shared = common_fields(seen, {*observed, *_UNSEEN})
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
    money = _own_money("node", np.array(nodes))
    return Seats(tuple(groups), tuple(made[n] for n in nodes), money)


def _with_carriers(places: Seats, network: Network, seen: FieldSet, done: FieldSet) -> Seats:
    """Behind the places one agent for each mode: one group, each a kind of its own."""
    modes = [mode.name for mode in network.scenario.modes]
    observed, acted = _observed_by_carriers(network, seen), _acted_by_carriers(network)
    common, shared = common_fields(seen, {*_observed(network), *_UNSEEN})
    own = [own_field(seen, name, cells.shape[1], _CARRIER_DOC.get(name))
           for name, cells in observed.items()]  # fmt: skip
    act = [own_field(done, name, cells.shape[1]) for name, cells in acted.items()]
    group = AgentGroup(CARRIERS, FieldSet([*common, *own]), FieldSet(act))
    made = []
    for m, name in enumerate(modes):
        columns = [own_columns(seen, f, cells[m], cells.shape[1]) for f, cells in observed.items()]
        actions = [own_columns(done, f, cells[m], cells.shape[1]) for f, cells in acted.items()]
        agent = Agent(f"carrier_{name}", CARRIERS, name)
        made.append(Seat(agent, np.concatenate([shared, *columns]), np.concatenate(actions)))
    assert places.money is not None
    money = side_by_side(places.money, _own_money("carrier", np.arange(len(modes))))
    return Seats((*places.groups, group), (*places.seats, *made), money)


def _observed_by_carriers(network: Network, seen: FieldSet) -> dict[str, Int]:
    """Of each field about carriers, and of closures, the numbers of each mode."""
    every = np.arange(network.n_modes)[:, None]
    names = ("freight", "offered", "backing", "carried", *_UNSEEN)
    found = {name: every for name in names if name in {field.name for field in seen}}
    mode = network.tables["routes"][:, at.R_MODE]
    found["sent"] = _padded([np.flatnonzero(mode == m) for m in range(network.n_modes)])
    closed = _carriers_closings(network)
    if closed.shape[1]:
        found["closed"] = closed
    return found


def _carriers_closings(network: Network) -> Int:
    """The processes that can close a mode's routes: lanes, their origins, the mode's fleets."""
    routes = network.tables["routes"]
    first = len(network.lane_list)
    rows = []
    for m in range(network.n_modes):
        mine = routes[routes[:, at.R_MODE] == m]
        own = {first + n for n in mine[:, at.R_ORIGIN].tolist()} | set(mine[:, at.R_LANE].tolist())
        own |= {first + network.n_nodes + i for i, (_, by) in enumerate(network.fleets) if by == m}
        rows.append([i for i, p in enumerate(seen_processes(network).tolist()) if p in own])
    return _padded(rows)


def _acted_by_carriers(network: Network) -> dict[str, Int]:
    """Of each field of the action that carriers set, the number of each mode."""
    every = np.arange(network.n_modes)[:, None]
    found = {"price": every, "offer": every}
    if network.staked:
        places = {mode: i for i, mode in enumerate(network.staked)}
        found["refill"] = np.array([[places.get(m, ABSENT)] for m in range(network.n_modes)])
    return found


def _own_money(whose: str, numbers: Int) -> OwnMoney:
    """What the places, or the carriers, pay and earn, USD."""

    def of(span: str) -> Callable[[Simulator], Float]:
        return lambda simulator: np.asarray(simulator.state(f"{whose}_{span}_usd")[:, numbers])

    return OwnMoney(of("step"), of("episode"))


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
