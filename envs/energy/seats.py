"""Prosumers: the operator's seat shared among the connections that own devices.

An agent sets the devices behind its own connection (mode "device") and sees what concerns all (the
clock, prices, forecasts, the transformer, rules and proposals) and its own devices, but nobody
else's. Agents that own the same kinds of devices are of one kind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from daogym.envs.core.fields import Field, FieldSet
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

_OF_DEVICES = {
    "battery": ("soc", "battery"),
    "ev": ("ev_power_needed", "ev_energy", "ev_hours_left"),
    "pv": ("pv_trip", "pv_voltage"),
}
"""Observations of a device, by its kind; all others but the voltages concern everybody."""
_SET = {"battery": ("battery",), "ev": ("ev_rate",), "pv": ("pv_use", "pv_reactive")}
GROUP = "prosumers"


def seats(domain: Any) -> Seats:
    """One agent for each connection with a battery, an inverter or a charger; then a steward's
    governor or an adversary, where the charter has one.

    Where members trade with each other (`local_market`), an agent's own money is what its
    connection pays and earns; else its share of the community's is equal.

    Raises:
        ValueError: the domain acts in another mode than "device", or nobody owns a device.
    """
    if domain.action_mode != "device":
        raise ValueError(
            f"agents set devices: action_mode 'device' expected, got {domain.action_mode!r}"
        )
    feeder = domain.feeder
    buses = {"battery": feeder.battery_bus, "ev": feeder.ev_bus, "pv": feeder.pv_bus}
    owners = np.unique(np.concatenate(list(buses.values())))
    if not len(owners):
        raise ValueError(f"scenario {domain.scenario.name!r}: no connection owns a device")
    # As many places for a kind as the largest owner needs.
    places = {kind: int(np.bincount(at).max()) for kind, at in buses.items() if len(at)}
    seen, done = domain.observation_fields, domain.action_fields
    own = {name for names in _OF_DEVICES.values() for name in names} | {"bus_voltage"}
    common, shared = common_fields(seen, own)
    observed = [*common, Field("own_voltage", "pu", 0.8, 1.2, doc="last voltage of its own bus")]
    acted = []
    for kind, count in places.items():
        observed += [own_field(seen, name, count) for name in _OF_DEVICES[kind]]
        acted += [own_field(done, name, count) for name in _SET[kind]]
    group = AgentGroup(GROUP, FieldSet(observed), FieldSet(acted))
    made = []
    for bus in owners.tolist():
        voltage = seen.slice("bus_voltage").start + bus - 1 if bus > 0 else ABSENT
        columns = [shared, np.array([voltage])]
        actions = []
        for kind, count in places.items():
            mine = np.flatnonzero(buses[kind] == bus)
            columns += [own_columns(seen, name, mine, count) for name in _OF_DEVICES[kind]]
            actions += [own_columns(done, name, mine, count) for name in _SET[kind]]
        owned = [kind for kind in places if (buses[kind] == bus).any()]
        agent = Agent(f"prosumer_{bus}", GROUP, "_".join(owned))
        made.append(Seat(agent, np.concatenate(columns), np.concatenate(actions)))
    money = _own_money(owners) if domain.scenario.local_market else None
    # What the community's account takes, before sellers get it at the end.
    income = event_income(["community_eur"])
    prosumers = Seats((group,), tuple(made), money)
    return with_adversary(with_governor(prosumers, domain, own, income), domain)


def _own_money(owners: Int) -> OwnMoney:
    """What the owners' connections pay and earn, EUR."""

    def of(part: str) -> Callable[[Simulator], Float]:
        return lambda simulator: np.asarray(simulator.state(part)[:, owners])

    return OwnMoney(of("member_step_eur"), of("member_episode_eur"))
