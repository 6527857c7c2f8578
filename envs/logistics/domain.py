"""The supply network as the simulator sees it: names, fields, tables, parameters and kernels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date as Date
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from daogym.envs.core.controller import Controller
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.rooms import SPLITS, RoomedDomain, checked_split
from daogym.envs.core.strict import hash_model
from daogym.envs.dao.bids import BID_RISE, STAKE_SPAN
from daogym.envs.dao.charter import MODES
from daogym.envs.dao.episode_ledger import EpisodeLedger
from daogym.envs.dao.governance_layout import Governance, pack_governance
from daogym.envs.dao.proposal_view import asked_events, charter_action_fields, charter_fields

from . import kernel
from . import layout as at
from .governed import G_PURCHASE_ALLOWANCE_USD_PER_WEEK, GOVERNED, GOVERNED_PARAMETERS, N_GOVERNED
from .layout import (
    AUTORESETS,
    COSTS,
    EVENTS,
    LAWS,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    TERMS,
    VOTED_EVENTS,
    state_layout,
)
from .network import Network
from .observation import observation_fields, pipeline_slots, seen_processes
from .scenario import ActionMode, Anticipation, LogisticsScenario

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator
    from daogym.envs.dao.ledger import LedgerWriter


class LogisticsDomain(RoomedDomain):
    """One scenario of the supply network, in one action mode and one split.

    Args:
        split: "train", "validation", "test" or "all": each has worlds of its own.
        action_mode: "base_stock" (order-up-to levels by tier, and shares of modes), "anticipating"
            (the same about levels that follow what is known ahead), "node" (as "base_stock", for
            each place by itself, with accounts of its own), "carrier" (as "node", and what each
            carrier posts) or "orders" (units of each good on each route); default the scenario's.

    Raises:
        ConfigError: the scenario is at fault; the message names the key.
        ValueError: unknown split or action mode, or nothing that is anticipated.
    """

    name = "logistics"
    package = __package__
    currency = "USD"
    reported_events = (("units lost", "lost_units"),)
    term_names, cost_names = TERMS, COSTS
    step_serial = staticmethod(kernel.step_serial)
    step_parallel = staticmethod(kernel.step_parallel)
    specialised_step = staticmethod(kernel.specialised_step)
    reset_lanes = staticmethod(kernel.reset_lanes)

    def __init__(
        self,
        scenario: LogisticsScenario,
        *,
        split: str = "train",
        action_mode: str | None = None,
    ) -> None:
        mode = scenario.action_mode if action_mode is None else action_mode
        if mode not in get_args(ActionMode):
            modes = ", ".join(repr(m) for m in get_args(ActionMode))
            raise ValueError(f"action_mode: one of {modes} expected, got {mode!r}")
        if mode == "anticipating" and scenario.actions.anticipation is None:
            raise ValueError(
                f"action_mode: 'anticipating' needs actions.anticipation, which the scenario "
                f"{scenario.name!r} does not set"
            )
        self.scenario = scenario
        self.split = checked_split(split)
        self.action_mode: ActionMode = mode  # type: ignore[assignment]
        self.network = Network(scenario, by_node=mode in ("node", "carrier"))
        self.horizon = scenario.horizon_days
        self.reward_scale = scenario.reward_scale
        parameters = scenario.governed_parameters
        self.governed = scenario.charter.values(parameters, modes=MODES)
        self.governance: Governance | None = None
        if scenario.charter.votes:
            self.governance = pack_governance(
                scenario.charter, parameters, steps_per_day=1, horizon=self.horizon,
                treasury_cents=100 * scenario.treasury.reserve_usd,
            )  # fmt: skip
        voted = self.governance is not None
        asked = asked_events(scenario.charter)
        self.event_names: tuple[str, ...] = EVENTS + VOTED_EVENTS + asked if voted else EVENTS
        self.out_width = OUT_WIDTH_VOTED + len(asked) if voted else OUT_WIDTH
        self._flags = self._what_there_is()
        self.observation_fields = observation_fields(
            self.network, self._flags, parameters,
            charter_fields(scenario.charter, parameters, scenario.step_minutes / 60.0),
        )  # fmt: skip
        self.action_fields = self._action_fields()
        network = self.network
        self.state_layout = state_layout(
            nodes=network.n_nodes, goods=network.n_goods, routes=len(network.route_list),
            modes=network.n_modes, processes=len(network.tables["processes"]),
            regions=len(network.regions), customers=len(network.customers), ring=network.ring,
            order_ring=network.order_ring, keeps_orders=network.keeps_orders,
            own_money=network.by_node, bidding=mode == "carrier",
            governance=None if self.governance is None else self.governance.state_sizes,
        )  # fmt: skip
        self.scenario_hash = hash_model(scenario)[:16]

    @property
    def tables(self) -> tuple[Any, ...]:
        """The charter's vectors; all others lie in the parameter vectors, see tables.py."""
        return (() if self.governance is None else self.governance.vectors,)

    @property
    def reset_tables(self) -> tuple[Any, ...]:
        """`tables`."""
        return self.tables

    def _what_there_is(self) -> dict[str, int]:
        s, network = self.scenario, self.network
        demand = s.demand
        seasons = any(good.season_share > 0.0 for good in s.goods)
        weekly = len(set(demand.weekday_factors)) > 1
        stakes = any(mode.stake_usd > 0.0 for mode in s.modes)
        allowance = self.governed[G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        return {
            "order_ring": network.order_ring if network.keeps_orders else 0,
            "fleet_places": len(network.fleet_routes) * int(self.action_mode != "orders"),
            "own_money": int(network.by_node),
            "bidding": int(self.action_mode == "carrier"),
            "reserve_cents": 100 * s.treasury.reserve_usd,
            "varied_start": int(s.varied_start),
            "has_calendar": int(seasons or weekly),
            "has_promotions": int(demand.promotion_probability > 0.0),
            "has_outlook": int(
                s.forecast.track == "informed" and (seasons or demand.promotion_probability > 0.0)
            ),
            "has_levels": int(demand.level_deviation > 0.0),
            "informed": int(s.forecast.track == "informed"),
            "has_ration": int(any(mode.is_rationed for mode in s.modes)),
            "has_stakes": int(stakes),
            "has_allowance": int(allowance < GOVERNED_PARAMETERS[
                G_PURCHASE_ALLOWANCE_USD_PER_WEEK].high),
            "seen_processes": len(seen_processes(network)),
            "shown_governed": N_GOVERNED if stakes or s.charter.votes else 0,
            "pipeline_slots": len(pipeline_slots(network)),
        }  # fmt: skip

    def _action_fields(self) -> FieldSet:
        network, s = self.network, self.scenario
        goods = network.n_goods
        if self.action_mode == "orders":
            largest = network.tables["route_values"][:, at.Q_LARGEST_ORDER]
            names = [
                f"{lane.origin} to {lane.destination} by {s.modes[route.mode].name}"
                for route in network.route_list
                for lane in [network.lane_list[route.lane]]
            ]
            return FieldSet([
                Field("order", "units", 0.0, np.repeat(largest[:, None], goods, axis=1),
                      (len(names), goods), "of each good on each route: " + ", ".join(names)),
                *self._asked_fields(),
            ])  # fmt: skip
        span = s.actions.multiplier_span
        row = "place" if network.by_node else "tier"
        fields = [
            Field("level", "1", 1.0 - span, 1.0 + span, (len(network.level_names), goods),
                  f"order-up-to level / its level at action 0, by {row} and good: "
                  + ", ".join(network.level_names)),
        ]  # fmt: skip
        if network.knobs:
            names = [
                mode if n < 0 else f"{mode} to {network.node_names[n]}" for mode, n in network.knobs
            ]
            fields.append(
                Field("share", "1", -1.0, 1.0, (len(names),),
                      "share of orders by a mode, -1: none, 0: the scenario's, 1: the largest: "
                      + ", ".join(names)),
            )  # fmt: skip
        if network.fleet_routes:
            lanes = [network.lane_list[network.route_list[r].lane] for r in network.fleet_routes]
            fields.append(
                Field("fleet", "1", -1.0, 1.0, (len(lanes),),
                      "weight of a place where its fleet's hours are scarce, 0: as all others: "
                      + ", ".join(f"{lane.origin} to {lane.destination}" for lane in lanes)),
            )  # fmt: skip
        if self.action_mode == "carrier":
            fields += self._posted_fields()
        return FieldSet(fields + self._asked_fields())

    def _posted_fields(self) -> list[Field]:
        network = self.network
        each = ", ".join(mode.name for mode in self.scenario.modes)
        fields = [
            Field("price", "1", -1.0, 1.0, (network.n_modes,),
                  "freight that a carrier asks, -1: its own cost, 0: nominal, "
                  f"1: {BID_RISE:.0%} more: {each}"),
            Field("offer", "1", -1.0, 1.0, (network.n_modes,),
                  "share of its capacity that a carrier offers, -1: none, 0 and above: all: "
                  + each),
        ]  # fmt: skip
        if network.staked:
            names = [self.scenario.modes[m].name for m in network.staked]
            fields.append(
                Field("refill", "1", 1.0 - STAKE_SPAN, 1.0 + STAKE_SPAN, (len(names),),
                      "up to which a carrier's purse fills its stake / nominal stake: "
                      + ", ".join(names)),
            )  # fmt: skip
        return fields

    def _asked_fields(self) -> list[Field]:
        return charter_action_fields(self.scenario.charter, self.scenario.governed_parameters)

    def action_limits(self, simulator: Simulator) -> Float:
        """(N, action size, 2): the least and the most of each number that the gate may let through.

        Whatever the other numbers are, the gate moves the orders of one that lies outside.
        """
        from .limits import action_limits

        return action_limits(simulator)

    @property
    def controller_names(self) -> tuple[str, ...]:
        """Names that `make_controller` knows."""
        from .controllers import controller_names

        return controller_names(self.scenario)

    @property
    def rule_names(self) -> tuple[str, ...]:
        """The rules among them: candidates for score 0."""
        from .controllers import rule_names

        return rule_names(self.scenario)

    def make_teacher(self) -> Controller:
        """A controller worth imitating that sees no more than the observation holds.

        Raises:
            ValueError: nothing of this scenario's demand is known ahead.
        """
        from .controllers import make_teacher

        return make_teacher(self.scenario, self.action_mode)

    def make_chronicle(self, simulator: Simulator, writers: Sequence[LedgerWriter]) -> Any:
        """Writes each lane's ledger: call its `step` after every step; see EpisodeLedger."""
        return EpisodeLedger(simulator, writers, GOVERNED)

    def start_day(self, date: str) -> int:
        """Day of the year (0 to 364) of a date such as ``2023-05-14``; 29 February is 1 March.

        Raises:
            ValueError: not a date.
        """
        try:
            day = Date.fromisoformat(date)
        except ValueError:
            raise ValueError(f"date: YYYY-MM-DD expected, got {date!r}") from None
        if (day.month, day.day) == (2, 29):
            return 59
        return (Date(2023, day.month, day.day) - Date(2023, 1, 1)).days

    def pack(self, autoreset: str, stagger: bool, carry: bool) -> tuple[Float, Int]:
        """Parameter vectors: numbers in the order of layout.FLOATS and INTEGERS, then tables."""
        if carry:
            raise ValueError(
                "carry: a supply network begins every episode anew; use a longer horizon_days"
            )
        s, d, network = self.scenario, self.scenario.demand, self.network
        weights = s.actions.anticipation or Anticipation()
        whole: dict[str, int] = {
            "nodes": network.n_nodes, "goods": network.n_goods, "routes": len(network.route_list),
            "lanes": len(network.lane_list), "modes": network.n_modes,
            "level_rows": len(network.level_names), "knobs": len(network.knobs),
            "processes": len(network.tables["processes"]),
            "fleets": len(network.fleets), "regions": len(network.regions),
            "customers": len(network.customers), "ring": network.ring, "horizon": self.horizon,
            "observed_days_left": s.observed_days_left,
            "action_orders": int(self.action_mode == "orders"),
            "anticipating": int(self.action_mode == "anticipating"),
            "whole_orders": int(s.actions.whole_orders),
            "autoreset": AUTORESETS.index(autoreset), "stagger": int(stagger),
            "split": SPLITS.index(self.split), "law": LAWS.index(d.law), "size": d.size,
            "step_day": d.step_day, "observation": self.observation_fields.size, **self._flags,
        }  # fmt: skip
        volume = np.array([good.volume for good in s.goods])
        persistence = d.level_persistence
        real = {
            "multiplier_span": s.actions.multiplier_span, "deviation_units": d.deviation_units,
            "level_deviation": d.level_deviation, "level_persistence": persistence,
            "level_innovation": d.level_deviation * float(np.sqrt(1.0 - persistence**2)),
            "promotion_probability": d.promotion_probability,
            "promotion_days": float(d.promotion_days), "promotion_factor": d.promotion_factor,
            "backlogged_share": d.backlogged_share, "backlog_usd": d.backlog_usd_per_day,
            "lost_usd": d.lost_usd, "ewma_share": d.ewma_share,
            "level_error": s.forecast.level_error, "fill_rate_floor": s.fill_rate_floor,
            "initial_treasury_usd": s.treasury.initial_usd,
            "demand_volume": float((network.local_mean * volume).sum()),
            "anticipated_base": weights.base, "anticipated_season": weights.season,
            "anticipated_promotions": weights.promotions, "anticipated_level": weights.level,
            "mode_elasticity": s.carriage.mode_elasticity,
            "spot_elasticity": s.carriage.spot_elasticity,
            "stake_yield": s.carriage.stake_yield_per_year,
        }  # fmt: skip
        fields = self.observation_fields
        tables = {
            **network.tables, "pipeline_slots": pipeline_slots(network),
            "seen_processes": seen_processes(network),
            "observed": np.stack([fields.low, 2.0 / (fields.high - fields.low)]),
        }  # fmt: skip
        floats: list[Any] = [[real[name] for name in at.FLOATS], self.governed]
        integers: list[Any] = []
        float_width, integer_width = at.N_FLOAT, at.N_INTEGER + at.N_TABLE
        integer_width += len(self.state_layout.offsets)
        offsets = []
        for name in at.TABLES:
            table = np.asarray(tables[name])
            if table.dtype == np.float64:
                offsets.append(float_width)
                floats.append(table.reshape(-1))
                float_width += table.size
            else:
                offsets.append(integer_width)
                integers.append(table.reshape(-1))
                integer_width += table.size
        head = [whole[name] for name in at.INTEGERS] + offsets + self.state_layout.offsets.tolist()
        return np.concatenate(floats), np.concatenate([head, *integers]).astype(np.int64)
