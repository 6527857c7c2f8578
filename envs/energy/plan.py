"""One lane's plan for the coming hours: a small linear programme, solved by HiGHS.

The batteries count as one: the fleet shares its power in proportion to what each can do, and
they have one efficiency. (A plan for each battery, sent as offsets, earned 0.2 to 1 EUR a day
less on `lv_rural`: corners of the programme drive single batteries to their limits, where the
gate cuts what the tracking of the exchange then adds.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.linear_programme import LinearProgramme, Term

from .convex import tangents
from .lindistflow import LOWER_MARGIN_PU, LinDistFlow

LOSS_POINTS = (0.2, 0.45, 0.75, 1.1)
AGEING_POINTS = (0.85, 0.95, 1.03, 1.1, 1.18, 1.3)
VOLTAGE_EUR_PER_PU_H = 50.0
_VOLTAGE_ROUNDS = 3
_ENOUGH_PU2 = 1e-6


@dataclass(frozen=True)
class Community:
    """What does not change during an episode; powers in kW, energies in kWh.

    Attributes:
        battery_kw, battery_kwh: of all batteries together.
        ev_kw: (n_ev,) ratings of the chargers.
        rated_kw: nameplate of the transformer.
        decay_per_h: share of the stored energy that is left after an hour.
        loss_kw: losses when the exchange equals `rated_kw`; they grow with its square.
        ageing: (slopes, intercepts) of EUR/h over loading.
        flow: voltages by bus powers.
        battery_share, pv_share: (n_bus,) where the fleet's and the sun's power is, each adding up
            to 1.
        load_share, load_kvar_per_kw: (n_bus,), number.
        ev_bus: (n_ev,).
        voltage_low_pu, voltage_high_pu: limits to keep.
    """

    battery_kw: float
    battery_kwh: float
    min_soc_share: float
    efficiency: float
    decay_per_h: float
    wear_eur_per_kwh: float
    ev_kw: Float
    ev_efficiency: float
    ev_unmet_eur_per_kwh: float
    rated_kw: float
    loss_kw: float
    ageing: tuple[Float, Float]
    flow: LinDistFlow
    battery_share: Float
    pv_share: Float
    load_share: Float
    load_kvar_per_kw: float
    ev_bus: Int
    voltage_low_pu: float
    voltage_high_pu: float


@dataclass(frozen=True)
class Car:
    """One car in one lane's outlook.

    Attributes:
        charger: which one.
        first: first period in which the car is there; `hours` (n,) in each period from there on.
        energy_kwh: wanted.
        value_eur_per_kwh: what a kWh in its battery is worth.
        here: it can charge in the next step.
        departure: step at which it is gone.
    """

    charger: int
    first: int
    hours: Float
    energy_kwh: float
    value_eur_per_kwh: float
    here: bool
    departure: int


@dataclass(frozen=True)
class Outlook:
    """What one lane expects of K periods, the first of which is the next step.

    Attributes:
        hours: (K,) lengths.
        buy, sell: (K,) EUR/kWh.
        load_kw, pv_kw: (K,) means, before any device acts.
        soc_kwh: stored now, in all batteries.
        stock_eur_per_kwh: worth of a kWh stored after the last period.
        budget_kwh: (D,) throughput left today, and granted on each later day.
        keeps_budget: what is left of a day can be used later.
        day: (K,) which of these days a period belongs to.
        cars: present and, with foresight, coming.
        near: how many of the first periods keep the voltage limits.
        reactive_kvar: (n_bus,) consumption of reactive power by inverters now.
    """

    hours: Float
    buy: Float
    sell: Float
    load_kw: Float
    pv_kw: Float
    soc_kwh: float
    stock_eur_per_kwh: float
    budget_kwh: Float
    keeps_budget: bool
    day: Int
    cars: tuple[Car, ...]
    near: int
    reactive_kvar: Float


@dataclass(frozen=True)
class Plan:
    """What to do, by period, kW.

    Attributes:
        exchange_kw: (K,) load, cars and batteries less the PV used, without losses.
        battery_kw: (K,) charging positive.
        used_kw: (K,) PV.
        ev_kw: one array for each car of the outlook, from its first period on.
    """

    exchange_kw: Float
    battery_kw: Float
    used_kw: Float
    ev_kw: tuple[Float, ...]


class _Programme:
    """The linear programme behind `make_plan`, kept open so that voltage rows can be added."""

    def __init__(self, community: Community, outlook: Outlook) -> None:
        self.community, self.outlook = community, outlook
        self.lp = lp = LinearProgramme()
        hours, k = outlook.hours, len(outlook.hours)
        # No exchange can come near this; HiGHS wants it finite.
        most = 20.0 * community.rated_kw + 2.0 * float(outlook.load_kw.max())
        self.imported = lp.variables(k, 0.0, most, outlook.buy * hours)
        self.exported = lp.variables(k, 0.0, most, -outlook.sell * hours)
        self.used = lp.variables(k, 0.0, outlook.pv_kw)
        # A cap on losses: with a negative import price the plan would invent them.
        self.loss = lp.variables(k, 0.0, 2.0 * community.loss_kw)
        self._batteries()
        self.cars = [self._car(car) for car in outlook.cars]
        terms: list[Term] = [
            (self.imported, 1.0), (self.exported, -1.0), (self.used, 1.0), (self.loss, -1.0),
            (self.charge, -1.0), (self.discharge, 1.0),
        ]  # fmt: skip
        for car, index in zip(outlook.cars, self.cars, strict=True):
            full, present = np.full(k, index[0]), np.zeros(k)
            full[car.first : car.first + len(index)] = index
            present[car.first : car.first + len(index)] = -1.0
            terms.append((full, present))
        lp.equal(outlook.load_kw, *terms)
        self._transformer()

    def _batteries(self) -> None:
        c, o, lp = self.community, self.outlook, self.lp
        k = len(o.hours)
        wear = c.wear_eur_per_kwh * o.hours
        self.charge = lp.variables(k, 0.0, c.battery_kw, wear)
        self.discharge = lp.variables(k, 0.0, c.battery_kw, wear)
        decay = c.decay_per_h**o.hours
        low = min(c.min_soc_share * c.battery_kwh, o.soc_kwh) * np.cumprod(decay)
        worth = np.zeros(k)
        worth[-1] = -o.stock_eur_per_kwh * c.efficiency
        stored = lp.variables(k, low, max(c.battery_kwh, o.soc_kwh), worth)
        into, out_of = -o.hours * c.efficiency, o.hours / c.efficiency
        lp.equal(
            decay[0] * o.soc_kwh,
            (stored[:1], 1.0), (self.charge[:1], into[:1]), (self.discharge[:1], out_of[:1]),
        )  # fmt: skip
        lp.equal(
            0.0, (stored[1:], 1.0), (stored[:-1], -decay[1:]), (self.charge[1:], into[1:]),
            (self.discharge[1:], out_of[1:]),
        )  # fmt: skip
        budget = np.cumsum(o.budget_kwh) if o.keeps_budget else o.budget_kwh
        for day, left in enumerate(budget.tolist()):
            until = o.day <= day if o.keeps_budget else o.day == day
            mine = np.flatnonzero(until)[None]
            if mine.size:
                terms = (self.charge[mine], o.hours[mine]), (self.discharge[mine], o.hours[mine])
                lp.at_most(max(left, 0.0), *terms)

    def _car(self, car: Car) -> Int:
        c, lp = self.community, self.lp
        period = self.outlook.hours[car.first : car.first + len(car.hours)]
        into = c.ev_efficiency * period
        index = lp.variables(
            len(period), 0.0, c.ev_kw[car.charger] * car.hours / period,
            -car.value_eur_per_kwh * into,
        )  # fmt: skip
        lp.at_most(car.energy_kwh, (index[None], into[None]))
        return index

    def _transformer(self) -> None:
        c, lp = self.community, self.lp
        points = np.array(LOSS_POINTS)
        slopes = 2.0 * points * c.loss_kw / c.rated_kw
        self._above(self.loss, slopes, -c.loss_kw * points * points)
        ageing = lp.variables(len(self.outlook.hours), 0.0, 1e9, self.outlook.hours)
        self._above(ageing, c.ageing[0] / c.rated_kw, c.ageing[1])

    def _above(self, variable: Int, slopes: Float, intercepts: Float) -> None:
        """variable >= slope * |exchange| + intercept."""
        for slope, intercept in zip(slopes.tolist(), intercepts.tolist(), strict=True):
            for sign in (slope, -slope):
                self.lp.at_most(
                    -intercept, (self.imported, sign), (self.exported, -sign), (variable, -1.0)
                )

    def voltages(self, x: Float) -> Float:
        """Squared voltages of the near periods under a solution, (near, n_bus)."""
        c, o = self.community, self.outlook
        near = slice(0, o.near)
        p = np.outer(o.load_kw[near], c.load_share)
        battery = x[self.charge[near]] - x[self.discharge[near]]
        p += np.outer(battery, c.battery_share) - np.outer(x[self.used[near]], c.pv_share)
        for car, index in zip(o.cars, self.cars, strict=True):
            for offset, variable in enumerate(index.tolist()):
                if car.first + offset < o.near:
                    p[car.first + offset, c.ev_bus[car.charger]] += x[variable]
        return np.asarray(c.flow.base - p @ c.flow.by_kw.T - self._reactive() @ c.flow.by_kvar.T)

    def _reactive(self) -> Float:
        c, o = self.community, self.outlook
        load = np.outer(o.load_kw[: o.near], c.load_share) * c.load_kvar_per_kw
        return np.asarray(load + o.reactive_kvar)

    def limit_voltages(self, squares: Float) -> bool:
        """Add a soft row for each voltage that is outside; whether there was any."""
        c, o = self.community, self.outlook
        low, high = (c.voltage_low_pu + LOWER_MARGIN_PU) ** 2, c.voltage_high_pu**2
        outside = (squares < low - _ENOUGH_PU2) | (squares > high + _ENOUGH_PU2)
        outside[:, 0] = False
        reactive = self._reactive()
        for t, bus in np.argwhere(outside).tolist():
            above = squares[t, bus] > high
            by_kw = c.flow.by_kw[bus] * (-1.0 if above else 1.0)
            constant = c.flow.base[bus] - c.flow.by_kvar[bus] @ reactive[t]
            constant -= c.flow.by_kw[bus] @ c.load_share * o.load_kw[t]
            room = high - constant if above else constant - low
            slack = self.lp.variables(1, 0.0, 4.0, 0.5 * VOLTAGE_EUR_PER_PU_H * o.hours[t])
            at = slice(t, t + 1)
            terms: list[Term] = [
                (slack, -1.0), (self.charge[at], by_kw @ c.battery_share),
                (self.discharge[at], -by_kw @ c.battery_share),
                (self.used[at], -by_kw @ c.pv_share),
            ]  # fmt: skip
            for car, index in zip(o.cars, self.cars, strict=True):
                if 0 <= t - car.first < len(index):
                    terms.append((index[t - car.first :][:1], by_kw[c.ev_bus[car.charger]]))
            self.lp.at_most(room, *terms)
        return bool(outside.any())


def make_plan(community: Community, outlook: Outlook) -> Plan:
    """The cheapest plan.

    Voltage limits are rows of the programme only where a first solution breaks them.

    Raises:
        RuntimeError: HiGHS found no optimum.
    """
    programme = _Programme(community, outlook)
    x = programme.lp.minimum()
    for _ in range(_VOLTAGE_ROUNDS):
        if not programme.limit_voltages(programme.voltages(x)):
            break
        x = programme.lp.minimum()
    exchange = x[programme.imported] - x[programme.exported] - x[programme.loss]
    return Plan(
        exchange,
        x[programme.charge] - x[programme.discharge],
        x[programme.used],
        tuple(x[index] for index in programme.cars),
    )


def ageing_tangents(
    eur_per_h: float, ambient_c: float, oil_rise_c: float, loss_ratio: float, oil_exponent: float,
    winding_rise_c: float, winding_exponent: float,
) -> tuple[Float, Float]:  # fmt: skip
    """Cost of a transformer's ageing over its loading, EUR/h, as tangents.

    The oil is taken half-way between its temperature at half load and at the loading itself, as
    after two hours of it.
    """

    def heat(loading: Float) -> Float:
        return ((1.0 + loss_ratio * loading**2) / (1.0 + loss_ratio)) ** oil_exponent

    def cost(loading: Float) -> Float:
        oil = ambient_c + 0.5 * oil_rise_c * (heat(loading) + heat(np.array(0.5)))
        hot_spot = oil + winding_rise_c * loading**winding_exponent
        return eur_per_h * np.exp2((hot_spot - 98.0) / 6.0)

    def slope(loading: Float) -> Float:
        step = 1e-5
        return (cost(loading + step) - cost(loading - step)) / (2.0 * step)

    return tangents(cost, slope, AGEING_POINTS)
