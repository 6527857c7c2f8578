"""Settings of a supply network, each with its unit; defaults are here, YAML overrides them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.strict import StrictModel
from daogym.envs.dao.charter import MODES, Charter, GovernedParameter

from .governed import GOVERNED_PARAMETERS

UNLIMITED_FROM = 1e9
"""A governed parameter whose own limit is as high has no limit by default."""
ActionMode = Literal["base_stock", "anticipating", "node", "carrier", "orders"]
Law = Literal["constant", "poisson", "negative_binomial", "geometric", "normal", "uniform", "step"]


class Good(StrictModel):
    """One kind of goods."""

    name: str
    price_usd: float = Setting(0.0, ge=0.0)
    """Paid by a customer for a unit when it is handed over."""
    purchase_usd: float = Setting(0.0, ge=0.0)
    """Paid to an outside supplier for a unit when it is shipped; the value of stock at the end."""
    volume: float = Setting(1.0, gt=0.0)
    """Of a unit, in the unit of all capacities."""
    holding_factor: float = Setting(1.0, ge=0.0)
    """Multiplies the nodes' holding costs."""
    season_share: float = Setting(0.0, ge=0.0, le=0.9)
    """Amplitude of the yearly swing of demand / its mean."""
    season_peak_day: int = Setting(0, ge=0, le=364)
    """Day of the year on which the swing is highest."""


class Fleet(StrictModel):
    """Vehicles of one mode at one origin, which share their hours over all lanes."""

    vehicles: float = Setting(gt=0.0)
    payload_volume: float = Setting(gt=0.0)
    hours_per_day: float = Setting(10.0, gt=0.0, le=24.0)
    speed_km_per_h: float = Setting(60.0, gt=0.0)
    turnaround_h: float = Setting(0.5, ge=0.0)
    """Loading and battery change between two trips."""
    range_km: float = Setting(1e6, gt=0.0)
    """Longest round trip on one battery or tank."""
    grounding_alpha: float = Setting(0.0, ge=0.0, le=1.0)
    """Probability that a day without a no-fly window is followed by one with."""
    grounding_beta: float = Setting(1.0, gt=0.0, le=1.0)
    """Probability that a no-fly window ends with the day."""


class Mode(StrictModel):
    """A way to carry goods, run by one carrier."""

    name: str
    lead_days: int = Setting(1, ge=0, le=60)
    """0: shipped before the day's demand and there in time for it."""
    late_probability: float = Setting(0.0, ge=0.0, lt=1.0)
    """That a shipment takes a day more."""
    freight_usd: float = Setting(0.0, ge=0.0)
    """What a unit of volume costs the carrier, whatever the way."""
    freight_usd_per_km: float = Setting(0.0, ge=0.0)
    carbon_kg: float = Setting(0.0, ge=0.0)
    """Per unit of volume, whatever the way."""
    carbon_kg_per_km: float = Setting(0.0, ge=0.0)
    capacity_per_day: float | None = Setting(None, gt=0.0)
    """Volume that a lane takes a day by this mode; none: any."""
    fleet: Fleet | None = None
    knob: Literal["none", "destination", "mode"] = "none"
    """What sets its share of an order: nothing, one action a destination, or one for all."""
    share_at_zero: float = Setting(0.0, ge=0.0, le=1.0)
    """Share of an order at action 0."""
    largest_share: float = Setting(1.0, ge=0.0, le=1.0)
    """Share of an order at action 1."""
    is_rationed: bool = False
    """The charter's drone quota applies."""
    stake_usd: float = Setting(0.0, ge=0.0)
    """What the mode's carrier has bonded; 0: the charter asks for no stake."""
    margin: float = Setting(0.1, ge=0.0)
    """Freight paid by the DAO / the carrier's own cost, minus 1."""


class Node(StrictModel):
    """A place: an outside supplier with any amount of goods, or one that keeps stock."""

    name: str
    tier: str = "stock"
    """Nodes of one tier share the actions of their order-up-to levels."""
    is_supplier: bool = False
    makes: tuple[str, ...] = ()
    """Goods that a supplier has; empty: all."""
    region: str = ""
    x_km: float = 0.0
    y_km: float = 0.0
    holding_usd_per_day: float = Setting(0.0, ge=0.0)
    """For each unit in stock at the end of a day."""
    transit_usd_per_day: float = Setting(0.0, ge=0.0)
    """For each unit on its way to this node at the end of a day."""
    capacity_volume: float | None = Setting(None, gt=0.0)
    """Stock beyond it is a cost; none: any."""
    throughput_per_day: float | None = Setting(None, gt=0.0)
    """Volume that can be handed out a day by hand; none: any."""
    automation_rate: float = Setting(0.0, ge=0.0, le=1.0)
    """Share of automated handling: raises the throughput by up to 100 %, takes energy."""
    energy_usd: float = Setting(0.0, ge=0.0)
    """Per unit of volume handed out by machines."""
    mean_demand: tuple[float, ...] = ()
    """Units a day of each good; empty: no customers."""
    base_stock_units: tuple[float, ...] = ()
    """Echelon order-up-to level of each good at action 0; empty: computed."""
    initial_units: tuple[float, ...] = ()
    """Stock at the start; empty: the local order-up-to level."""
    disruption_alpha: float = Setting(0.0, ge=0.0, le=1.0)
    """Probability a day that it stops shipping."""
    disruption_beta: float = Setting(1.0, gt=0.0, le=1.0)
    """Probability a day that it is repaired."""


class Lane(StrictModel):
    """A way between two nodes by one or more modes, the default mode first."""

    origin: str
    destination: str
    modes: tuple[str, ...] = Setting(min_length=1)
    km: float | None = Setting(None, ge=0.0)
    """None: the distance of the two nodes."""
    lead_days: int | None = Setting(None, ge=0, le=60)
    """Instead of the modes' own."""
    freight_usd: float | None = Setting(None, ge=0.0)
    """Per unit of volume, instead of the modes' own."""
    order_days: int = Setting(0, ge=0, le=30)
    """Days that an order takes to reach the origin."""
    keeps_orders: bool = False
    """What was ordered and not shipped stays ordered; else it is forgotten."""
    owed_usd_per_day: float = Setting(0.0, ge=0.0)
    """For each unit that was ordered and not shipped, where orders are kept."""
    initial_units_per_day: float = Setting(0.0, ge=0.0)
    """Of each good in every day of the lane's orders and shipments when an episode begins."""
    largest_order_units: float = Setting(100.0, gt=0.0)
    """Order of a good at action 1 in the action mode "orders"."""
    disruption_alpha: float = Setting(0.0, ge=0.0, le=1.0)
    """Probability a day that the lane closes."""
    disruption_beta: float = Setting(1.0, gt=0.0, le=1.0)
    """Probability a day that it is repaired."""


class DemandSettings(StrictModel):
    """The law of a day's demand about its mean, and what moves the mean."""

    law: Law = "poisson"
    deviation_units: float = Setting(0.0, ge=0.0)
    """Standard deviation of a normal law."""
    size: int = Setting(4, ge=1, le=200)
    """Of a negative binomial: variance = mean + mean^2 / size; size 1 is the geometric law."""
    step_day: int = Setting(4, ge=0)
    """A "step" law's day from which demand is the mean, before it half the mean."""
    weekday_factors: tuple[float, ...] = Setting((1.0,) * 7, min_length=7, max_length=7)
    level_deviation: float = Setting(0.0, ge=0.0, le=1.0)
    """Standard deviation of the log of each place's demand level, an AR(1) process."""
    level_persistence: float = Setting(0.7, ge=0.0, lt=1.0)
    """Of that level from day to day."""
    promotion_probability: float = Setting(0.0, ge=0.0, le=1.0)
    """That a good is promoted once in a block of 28 days."""
    promotion_days: int = Setting(5, ge=1, le=14)
    promotion_factor: float = Setting(2.0, ge=1.0, le=10.0)
    backlogged_share: float = Setting(1.0, ge=0.0, le=1.0)
    """Unmet demand that waits; the rest is lost."""
    backlog_usd_per_day: float = Setting(0.0, ge=0.0)
    """For each unit that waits at the end of a day."""
    lost_usd: float = Setting(0.0, ge=0.0)
    """For each unit that is lost, beside its margin."""
    ewma_share: float = Setting(0.15, gt=0.0, le=1.0)
    """Weight of the last day in the observed moving average of demand."""


class Forecast(StrictModel):
    """What is known of demand in advance."""

    track: Literal["informed", "blind"] = "informed"
    """Informed: promotions and a noisy demand level are observed; blind: past demand alone."""
    level_error: float = Setting(0.1, ge=0.0, le=1.0)
    """Standard deviation of the observed log level about the true one."""


class Anticipation(StrictModel):
    """How levels follow what is known ahead, as shares of the levels; see lookahead.py."""

    base: float = Setting(0.0, ge=-0.9, le=0.9)
    """Added to every level, whatever is known."""
    season: float = Setting(0.0, ge=-2.0, le=2.0)
    """Weight of the mean seasonal factor of the days ahead, less 1."""
    promotions: float = Setting(0.0, ge=-2.0, le=2.0)
    """Weight of the share of the days ahead that is promoted (informed track)."""
    level: float = Setting(0.0, ge=-2.0, le=2.0)
    """Weight of the mean observed log level of demand (informed track)."""


class Actions(StrictModel):
    """What an action means in every mode but "orders"."""

    multiplier_span: float = Setting(0.5, gt=0.0, le=0.9)
    """At action a, an order-up-to level is its level at 0 times 1 + span a."""
    level_factors: tuple[tuple[float, ...], ...] = ()
    """Of each tier (in the order of the nodes) and good: multiplies the order-up-to levels at
    action 0; empty: 1. The shipped networks' are searched (search.py)."""
    anticipation: Anticipation | None = None
    """What action 0 of the mode "anticipating" does beyond; the shipped networks' are searched."""
    fleet_allocation: bool = False
    """Each place that a fleet flies to has an action more: its weight where the hours are scarce
    (not in mode "orders")."""
    whole_orders: bool = False
    """Orders of the mode "orders" are rounded to units."""


class Carriage(StrictModel):
    """What shippers and owners answer to what carriers post (mode "carrier"); see bids.py."""

    mode_elasticity: float = Setting(1.0, ge=0.0, le=20.0)
    """Of a mode's part of an order, beside the other modes', to its freight; 0: none."""
    spot_elasticity: float = Setting(4.0, ge=0.0, le=50.0)
    """Of a carrier's part of its mode's shipments to its freight above nominal, the rest going to
    the spot market; above 1, or 0: no spot market."""
    stake_yield_per_year: float = Setting(0.05, ge=0.0, le=1.0)
    """What a carrier's owners could earn elsewhere / stake."""

    @model_validator(mode="after")
    def _has_a_mean(self) -> Self:
        if 0.0 < self.spot_elasticity <= 1.0:
            raise ValueError(
                "spot_elasticity: 0 (no spot market) or more than 1 expected, as quotes have no "
                f"mean up to 1, got {self.spot_elasticity:g}"
            )
        return self


class Treasury(StrictModel):
    """The DAO's purse."""

    initial_usd: float = Setting(0.0, ge=0.0)
    reserve_usd: int = Setting(100_000, ge=0, le=10**9)
    """What the DAO keeps apart from the network's purse under a charter that is voted on: lost
    bonds go there, attackers take from there."""


class VotedRange(StrictModel):
    """Where votes may move a governed parameter, in its own unit."""

    low: float
    high: float
    largest_change: float = Setting(ge=0.0)
    """Of one proposal; 0: nobody may propose."""
    least_interval_days: float = Setting(28.0, gt=0.0)
    """Days after a change in which nobody may propose another one."""


class LogisticsScenario(StrictModel):
    """A supply network, its customers, its carriers and its rules."""

    name: str = "supply_network"
    version: Literal[0] = 0
    horizon_days: int = Setting(365, ge=1, le=1_000_000)
    action_mode: ActionMode = "base_stock"
    """What the actions of the scenario's own id mean."""
    reward_scale: float = Setting(0.001, gt=0.0)
    """Rewards for learning are USD times this."""
    observed_days_left: int = Setting(60, ge=1)
    """Time left is observed up to this many days."""
    varied_start: bool = True
    """Episodes begin with 75 to 125 % of the initial stock; where orders are whole units, with none
    to twice the initial stock, and with none to twice the mean demand arriving each day."""
    fill_rate_floor: float = Setting(0.95, ge=0.0, le=1.0)
    """Share of a day's demand to be met at once; less is a cost."""
    goods: tuple[Good, ...] = Setting(min_length=1, max_length=64)
    modes: tuple[Mode, ...] = Setting(min_length=1, max_length=16)
    nodes: tuple[Node, ...] = Setting(min_length=2)
    lanes: tuple[Lane, ...] = Setting(min_length=1)
    """For each destination in the order in which they are used: the first is its home lane."""
    demand: DemandSettings = DemandSettings()
    forecast: Forecast = Forecast()
    actions: Actions = Actions()
    carriage: Carriage = Carriage()
    treasury: Treasury = Treasury()
    charter: Charter = Charter()
    voted_ranges: Mapping[str, VotedRange] = Setting(default_factory=dict)
    """Under a charter that is voted on, instead of the parameters' own limits; none waits there."""

    @property
    def governed_parameters(self) -> tuple[GovernedParameter, ...]:
        """`GOVERNED_PARAMETERS`, under a charter that is voted on within `voted_ranges`."""
        if self.charter.mode == "static":
            return GOVERNED_PARAMETERS
        return tuple(self._voted(p) for p in GOVERNED_PARAMETERS)

    def _voted(self, p: GovernedParameter) -> GovernedParameter:
        given = self.voted_ranges.get(p.name)
        if given is None:
            return p
        return replace(
            p, low=given.low, high=given.high, initial=min(max(p.initial, given.low), given.high),
            largest_change=given.largest_change, least_interval_days=given.least_interval_days,
        )  # fmt: skip

    @property
    def step_minutes(self) -> float:
        """Length of a step."""
        return 1440.0

    @property
    def episode_days(self) -> int:
        """Length of an episode."""
        return self.horizon_days

    @property
    def tiers(self) -> tuple[str, ...]:
        """Tiers of the nodes that keep stock, in the order in which nodes name them."""
        return tuple(dict.fromkeys(node.tier for node in self.nodes if not node.is_supplier))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        nodes = _unique("nodes", [node.name for node in self.nodes])
        goods = _unique("goods", [good.name for good in self.goods])
        modes = _unique("modes", [mode.name for mode in self.modes])
        suppliers = {node.name for node in self.nodes if node.is_supplier}
        for node in self.nodes:
            where = f"node {node.name!r}"
            for key in ("mean_demand", "base_stock_units", "initial_units"):
                given = getattr(node, key)
                if given and len(given) != len(goods):
                    raise ValueError(f"{where}: {key}: {len(goods)} numbers expected (one a good), "
                                     f"got {len(given)}")  # fmt: skip
                if given and node.is_supplier:
                    raise ValueError(f"{where}: {key}: a supplier has none, got {given}")
                if any(value < 0.0 for value in given):
                    raise ValueError(f"{where}: {key}: numbers >= 0 expected, got {given}")
            for good in node.makes:
                if good not in goods:
                    raise ValueError(f"{where}: makes: one of {', '.join(goods)} expected, "
                                     f"got {good!r}")  # fmt: skip
        pairs = set()
        for lane in self.lanes:
            where = f"lane {lane.origin!r} to {lane.destination!r}"
            for key in ("origin", "destination"):
                if getattr(lane, key) not in nodes:
                    raise ValueError(f"{where}: {key}: one of the nodes {', '.join(nodes)} "
                                     f"expected, got {getattr(lane, key)!r}")  # fmt: skip
            for mode in lane.modes:
                if mode not in modes:
                    raise ValueError(f"{where}: modes: one of {', '.join(modes)} expected, "
                                     f"got {mode!r}")  # fmt: skip
            _unique(f"{where}: modes", list(lane.modes))
            if lane.destination in suppliers:
                raise ValueError(f"{where}: a supplier is at the start of lanes only")
            if (lane.origin, lane.destination) in pairs or lane.origin == lane.destination:
                raise ValueError(f"{where}: two different nodes expected, and one lane for a pair")
            pairs.add((lane.origin, lane.destination))
        fed = {lane.destination for lane in self.lanes}
        for node in self.nodes:
            if not node.is_supplier and node.name not in fed:
                raise ValueError(f"node {node.name!r}: a lane that ends there is expected")
        rows = self.actions.level_factors
        if rows and (len(rows), {len(row) for row in rows}) != (len(self.tiers), {len(goods)}):
            raise ValueError(
                f"actions.level_factors: {len(self.tiers)} rows (tiers "
                f"{', '.join(self.tiers)}) of {len(goods)} numbers expected"
            )
        if not any(node.mean_demand for node in self.nodes):
            raise ValueError("nodes: at least one with mean_demand expected")
        if self.actions.fleet_allocation and not any(mode.fleet for mode in self.modes):
            raise ValueError("actions.fleet_allocation: a mode with a fleet is expected")
        if self.action_mode == "anticipating" and self.actions.anticipation is None:
            raise ValueError(
                'action_mode: "anticipating" needs actions.anticipation, weights of '
                f"{', '.join(Anticipation.model_fields)}"
            )
        self._check_ranges()
        self.charter.values(self.governed_parameters, modes=MODES)
        return self

    def _check_ranges(self) -> None:
        by_name = {p.name: p for p in GOVERNED_PARAMETERS}
        for name, given in self.voted_ranges.items():
            where = f"voted_ranges.{name}"
            if name not in by_name:
                raise ValueError(f"{where}: one of {', '.join(by_name)} expected")
            p = by_name[name]
            if not p.low <= given.low < given.high <= p.high:
                raise ValueError(f"{where}: low < high within {p.low:g} to {p.high:g} {p.unit} "
                                 f"expected, got {given.low:g} and {given.high:g}")  # fmt: skip
            if given.largest_change > given.high - given.low:
                raise ValueError(f"{where}: largest_change up to {given.high - given.low:g} "
                                 f"expected, got {given.largest_change:g}")  # fmt: skip
        for p in GOVERNED_PARAMETERS:
            if self.charter.votes and p.name not in self.voted_ranges and p.high >= UNLIMITED_FROM:
                raise ValueError(f"voted_ranges.{p.name}: needed under charter.mode = "
                                 f"{self.charter.mode}: {p.high:g} {p.unit} stands for no limit, "
                                 "and no vote is held on such a range")  # fmt: skip


def _unique(what: str, names: list[str]) -> list[str]:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what}: different names expected, {', '.join(twice)} came twice")
    return names
