"""The compute market as the simulator sees it: names, fields, parameters and kernels."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date as calendar_date
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from daogym.envs.core.elementwise import log_array
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int, pack_parameters
from daogym.envs.core.rooms import SPLITS, RoomedDomain, checked_split, checked_window
from daogym.envs.core.strict import hash_model
from daogym.envs.dao.bids import BID_RISE
from daogym.envs.dao.charter import MODES
from daogym.envs.dao.episode_ledger import EpisodeLedger
from daogym.envs.dao.governance_layout import Governance, pack_governance
from daogym.envs.dao.proposal_view import asked_events, charter_action_fields, charter_fields
from daogym.envs.dao.staking import duty_width

from . import kernel
from .bids import refill_at
from .layout import (
    AUTORESETS,
    BANDS,
    COSTS,
    EVENTS,
    GOVERNED,
    KNOTS,
    N_OPERATOR,
    N_SCHEDULER,
    ORDERS,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    PLACES,
    PRICINGS,
    SCALARS,
    SHAPES,
    TERMS,
    TIERS,
    V_GPUS,
    V_NODES,
    VOTED_EVENTS,
    parameter_layout,
    state_layout,
)
from .observation import observation_fields
from .scenario import GOVERNED_PARAMETERS, KNOT_PROBABILITIES, ComputeScenario
from .tables import (
    clock_table,
    exact_power,
    largest_providers,
    law_kind,
    opening_order,
    order_kinds,
    provider_table,
    region_days,
    tier_references,
    week_factors,
    workload,
)
from .trace import Trace, check_supply, episode_starts, fitted_orders, read_trace, step_table

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator
    from daogym.envs.dao.ledger import LedgerWriter

ActionMode = Literal["operator", "scheduler", "provider"]
ACTION_MODES = get_args(ActionMode)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class ComputeDomain(RoomedDomain):
    """One scenario of the compute market, in one action mode and one split of its worlds.

    Args:
        split: "train", "validation", "test" or "all"; no world is in two of the first three.
        action_mode: "operator" (17 numbers), "scheduler", which also chooses the order of the
            queue and the way of placing: what the classical rules need, or "provider", which also
            sets what each provider asks, offers and stakes.
        window_days: what an observation takes for the length of the episode: a policy that was
            trained on weeks operates months with ``window_days=7``; default the episode's length.

    Raises:
        ConfigError: the charter is at fault; the message names the key.
        ValueError: unknown split or action mode, or providers that bid where there is no market.
    """

    name = "compute"
    package = __package__
    currency = "USD"
    reported_events = (("jobs missed", "missed_jobs"),)
    term_names, cost_names = TERMS, COSTS
    step_serial = staticmethod(kernel.step_serial)
    step_parallel = staticmethod(kernel.step_parallel)
    specialised_step = staticmethod(kernel.specialised_step)
    reset_lanes = staticmethod(kernel.reset_lanes)

    def __init__(
        self,
        scenario: ComputeScenario,
        *,
        split: str = "train",
        action_mode: ActionMode = "operator",
        window_days: int | None = None,
    ) -> None:
        if action_mode not in ACTION_MODES:
            raise ValueError(
                f"action_mode: one of {', '.join(ACTION_MODES)} expected, got {action_mode!r}"
            )
        if action_mode == "provider" and not scenario.market:
            raise ValueError("action_mode 'provider': providers bid in a market, got market: false")
        self.split = checked_split(split)
        self.action_mode: ActionMode = action_mode
        self.steps_per_day = 24 * scenario.steps_per_hour
        self.horizon = scenario.episode_days * self.steps_per_day
        self.window_days = checked_window(window_days, scenario.episode_days)
        self.providers = provider_table(scenario)
        self.gpus = float(self.providers[:, V_GPUS].sum())
        self.trace: Trace | None = None
        self.starts = np.zeros(0, dtype=np.int64)
        if scenario.trace is not None:
            self.trace = read_trace(scenario.trace)
            check_supply(self.trace, scenario.trace, largest_providers(self.providers))
            self.starts = episode_starts(
                self.trace, scenario.trace, split, self.window_days, scenario.episode_days
            )
            orders = fitted_orders(self.trace, scenario.trace, scenario, self.gpus)
            scenario = scenario.model_copy(update={"orders": orders})
        self.scenario = scenario
        self.reward_scale = scenario.reward_scale
        self.governed = scenario.charter.values(GOVERNED_PARAMETERS, modes=MODES)
        self.governance: Governance | None = None
        if scenario.charter.mode != "static":
            self.governance = pack_governance(
                scenario.charter,
                GOVERNED_PARAMETERS,
                steps_per_day=self.steps_per_day,
                horizon=self.horizon,
                treasury_cents=100 * scenario.dao_treasury_usd,
            )
        voted = self.governance is not None
        asked = asked_events(scenario.charter)
        self.event_names: tuple[str, ...] = EVENTS + VOTED_EVENTS + asked if voted else EVENTS
        self.out_width = OUT_WIDTH_VOTED + len(asked) if voted else OUT_WIDTH
        self.workload = workload(scenario)
        self.jobs_per_h = (
            scenario.orders.arrivals_per_h_per_gpu * scenario.orders.demand * self.gpus
        )
        self.n_nodes = int(self.providers[:, V_NODES].sum())
        self.observation_fields = observation_fields(
            len(self.providers), self.gpus, self.jobs_per_h,
            np.array([p.low for p in GOVERNED_PARAMETERS]),
            np.array([p.high for p in GOVERNED_PARAMETERS]), action_mode == "provider",
            *charter_fields(scenario.charter, GOVERNED_PARAMETERS, scenario.step_minutes / 60.0),
        )  # fmt: skip
        self.action_fields = _action_fields(self)
        self.state_layout = state_layout(
            len(self.providers), self.n_nodes, scenario.job_slots, scenario.staking.window_proofs,
            None if self.governance is None else self.governance.state_sizes,
            len(self.providers) if action_mode == "provider" else 0,
        )  # fmt: skip
        self.scenario_hash = self._hash()

    def _hash(self) -> str:
        # A trace is named by its content, not by its path.
        if self.trace is None:
            return hash_model(self.scenario)[:16]
        digest = hashlib.sha256(hash_model(self.scenario.model_copy(update={"trace": ""})).encode())
        digest.update(self.trace.content)
        return digest.hexdigest()[:16]

    @property
    def tables(self) -> tuple[Any, ...]:
        """What every kernel call gets: the charter's vectors, none of them under a static one."""
        return (() if self.governance is None else self.governance.vectors,)

    @property
    def reset_tables(self) -> tuple[Any, ...]:
        """The same: `reset_lanes` begins the charter, too."""
        return self.tables

    def make_chronicle(self, simulator: Simulator, writers: Sequence[LedgerWriter]) -> Any:
        """Writes each lane's ledger: call its `step` after every step; see EpisodeLedger."""
        return EpisodeLedger(simulator, writers, GOVERNED)

    def start_day(self, date: str) -> int:
        """Weekday (0 = Monday) of ``monday`` or of a date such as ``2026-05-14``.

        Of a trace it is the day of a date in it, counted from the trace's first Monday.

        Raises:
            ValueError: neither of them, or an episode cannot begin there.
        """
        if self.trace is not None:
            return self.trace.day_of(date, self.scenario.episode_days)
        if date.lower() in WEEKDAYS:
            return WEEKDAYS.index(date.lower())
        try:
            return calendar_date.fromisoformat(date).weekday()
        except ValueError:
            raise ValueError(
                f"date: YYYY-MM-DD or a weekday such as monday expected, got {date!r}"
            ) from None

    def action_limits(self, simulator: Simulator) -> Float:
        """(N, action size, 2): the least and the most of each number that the gate may let through.

        Whatever the other numbers are, the gate cuts what one that lies outside asks for.
        """
        from .limits import action_limits

        return action_limits(simulator)

    def pack(self, autoreset: str, stagger: bool, carry: bool) -> tuple[Float, Int]:
        """Parameter vectors for one simulator."""
        if carry:
            raise ValueError(
                "carry: a compute market begins every episode anew; use a longer episode_days"
            )
        s, orders, work = self.scenario, self.scenario.orders, self.workload
        fields = self.observation_fields
        factors, blocks = week_factors(s)
        prices, solar = region_days(s)
        per_hour = s.steps_per_hour
        staking = s.staking
        values: dict[str, Any] = {
            "sizes": [
                len(self.providers), self.n_nodes, s.job_slots, self.horizon,
                self.window_days * self.steps_per_day, per_hour, fields.size,
                self.action_fields.size, duty_width(staking.window_proofs),
                s.steps_per_intensity, len(self.starts),
                int(np.ceil(orders.longest_minutes / s.step_minutes)),
            ],
            "modes": [
                AUTORESETS.index(autoreset), stagger, SPLITS.index(self.split), s.market,
                self.action_mode == "provider",
            ],
            "staking": [
                staking.window_proofs, staking.most_missed, 0,
                -(-staking.jail_minutes // s.step_minutes), 0, 0, 0,
            ],
            "scalars": self._scalars(),
            "providers": self.providers,
            "shape_edges": np.cumsum([shape.share for shape in orders.shapes]),
            "shape_gpus": [shape.gpus for shape in orders.shapes],
            "shape_class": order_kinds(np.array([shape.gpus for shape in orders.shapes])),
            "shape_tier": [shape.least_tier for shape in orders.shapes],
            "shape_law": [law_kind(s)] * SHAPES,
            "law_log_steps": work.log_steps,
            "law_residual": work.residual_log_steps,
            "knots": np.array(KNOT_PROBABILITIES),
            "band_edges": orders.band_edges_h,
            "band_log_bid": orders.band_log_bid,
            "band_work": work.band_work,
            "start_edges": np.cumsum(work.start_share),
            "tier_reference": tier_references(s),
            "region_price": s.electricity.price_usd_per_kwh,
            "region_carbon": s.electricity.carbon_kg_per_kwh,
            "region_shape": prices,
            "region_solar": solar,
            "week_factor": factors,
            "week_block": blocks,
            "governed_initial": self.governed,
            "observation_low": fields.low,
            "observation_scale": 2.0 / (fields.high - fields.low),
            "clock": clock_table(),
            "opening": opening_order(self.providers),
            **self._replayed(),
        }  # fmt: skip
        layout = parameter_layout(
            len(self.providers), fields.size, len(self.starts), len(values["trace_first"]) - 1,
            len(values["trace_steps"]),
        )  # fmt: skip
        return pack_parameters(layout, self.state_layout, values)

    def _replayed(self) -> dict[str, Any]:
        """The trace's part of the parameters; empty without one."""
        empty = np.zeros(0, dtype=np.int64)
        if self.trace is None:
            return {
                "trace_starts": empty, "trace_first": [0], "trace_kind": empty,
                "trace_tier": empty, "trace_gpus": np.zeros(0), "trace_steps": np.zeros(0),
            }  # fmt: skip
        first, steps = step_table(self.trace, self.scenario)
        return {
            "trace_starts": self.starts, "trace_first": first,
            "trace_kind": order_kinds(self.trace.gpus), "trace_tier": self.trace.tier,
            "trace_gpus": self.trace.gpus, "trace_steps": steps,
        }  # fmt: skip

    def scalars(self) -> dict[str, float]:
        """Settings that the kernels read, by their names in layout.SCALARS."""
        return dict(zip(SCALARS, self._scalars(), strict=True))

    def _scalars(self) -> list[float]:
        s, orders = self.scenario, self.scenario.orders
        per_hour = s.steps_per_hour
        dt_h = 1.0 / per_hour
        rate = self.jobs_per_h * dt_h
        shares = np.array([shape.share for shape in orders.shapes])
        slow = orders.log_variance * orders.slow_share
        persistence = orders.slow_persistence_per_h
        if s.steps_per_intensity != per_hour:
            persistence = exact_power(persistence, s.steps_per_intensity / per_hour)
        electricity, token, operator = s.electricity, s.token, s.operator
        noise = electricity.noise_persistence_per_h
        steps_per_day = 24.0 * per_hour
        token_sigma = token.volatility_per_day / float(np.sqrt(steps_per_day))
        jump = token.jumps_per_day / steps_per_day
        values: Mapping[str, float] = {
            "dt_h": dt_h,
            "arrivals_per_step": rate,
            "log_variance": orders.log_variance,
            "sigma_hour": float(np.sqrt(orders.log_variance - slow)),
            "sigma_slow": float(np.sqrt(slow)),
            "slow_persistence": persistence,
            "slow_innovation": float(np.sqrt(slow * (1.0 - persistence * persistence))),
            "bid_sigma": orders.bid_sigma,
            "slack_steps": orders.slack_minutes / s.step_minutes if orders.deadlines else 1e9,
            "slack_share": orders.slack_share,
            "start_jobs": rate * float((shares * self.workload.mean_steps).sum()),
            "exponential_steps": orders.exponential_minutes / s.step_minutes,
            "longest_steps": orders.longest_minutes / s.step_minutes,
            "checkpoint_steps": s.supply.checkpoint_h * per_hour,
            "repair_log_steps": float(log_array(np.array([s.supply.repair_h * per_hour]))[0]),
            "repair_sigma": s.supply.repair_sigma,
            "sla_share": s.service.sla_share,
            "credit_share": s.service.credit_share,
            "expiry_share": s.service.expiry_share,
            "rejection_share": s.service.rejection_share,
            "price_sigma": electricity.noise_sigma,
            "price_persistence": noise,
            "price_innovation": electricity.noise_sigma * float(np.sqrt(1.0 - noise * noise)),
            "token_price": token.price_usd,
            "warn_ratio": token.warn_ratio,
            "token_sigma": token_sigma,
            "token_jump_probability": jump,
            "token_jump_mean": token.jump_mean,
            "token_jump_sigma": token.jump_sigma,
            # The mean of the logarithm's change is 0.
            "token_drift": -jump * token.jump_mean,
            "mint_spread": token.mint_spread,
            "halt_ratio": token.halt_ratio,
            "outlier_share": token.outlier_share,
            "emission_usd_per_h": token.emission_usd_per_gpu_day * self.gpus / 24.0,
            "emission_work_share": token.emission_work_share,
            "fault_days": s.staking.fault_fee_days,
            "priority_scale": operator.priority_scale,
            **{f"admission_center_{t}": operator.admission[t] for t in range(TIERS)},
            "admission_scale": operator.admission_scale,
            "reliability_weight": operator.reliability,
            "carbon_weight": operator.carbon,
            "fit_weight": operator.fit,
            "ageing_per_step": operator.ageing_per_h * dt_h,
            "spread_center": operator.spread,
            "spread_scale": operator.spread_scale,
            "reserve_ratio": operator.reserve_ratio,
            "reserve_scale": operator.reserve_scale,
            "total_gpus": self.gpus,
            "balance_usd": s.supply.balance_usd_per_gpu,
            "treasury_usd": token.treasury_usd,
            "collateral_ratio": token.start_ratio,
            "sla_target": 0.05,
            "hhi_target": 0.25,
            "ema_hour": 1.0 - exact_power(2.718281828459045, -dt_h),
            "ema_day": 1.0 - exact_power(2.718281828459045, -dt_h / 24.0),
            **{f"priority_center_{b}": operator.priority[b] for b in range(BANDS)},
            "proof_steps": max(round(s.staking.proof_minutes / s.step_minutes), 1),
            "largest_provider": float(self.providers[:, V_GPUS].max()),
            **{f"admission_rise_{b}": operator.admission_rise[b] for b in range(BANDS)},
            "admission_knee": operator.admission_knee,
            "spread_rise": operator.spread_rise,
            "spread_idle": operator.spread_idle,
            "spread_full": operator.spread_full,
            **{f"standby_{t}": operator.standby[t] for t in range(TIERS)},
            "standby_demand": operator.standby_demand,
            "standby_scale": operator.standby_scale,
            "opening_lag": 1.0
            - exact_power(2.718281828459045, -s.step_minutes / s.supply.opening_minutes),
            "outside_share": s.supply.outside_share,
            "dao_treasury_cents": 100.0 * s.dao_treasury_usd,
        }
        return [values[name] for name in SCALARS]


def _action_fields(domain: ComputeDomain) -> FieldSet:
    o = domain.scenario.operator
    center, admission, standby = np.array(o.priority), np.array(o.admission), np.array(o.standby)
    fields = [
        Field("priority", "1", center - o.priority_scale, center + o.priority_scale, (BANDS,),
              "added to ln(bid / reference price) in the queue's order, by duration band"),
        Field("admission", "1", admission - o.admission_scale, admission + o.admission_scale,
              (TIERS,), "ln(bid / reference price) below which orders are rejected where GPUs "
              "are free, by GPU class; the low end admits all, the high end none"),
        Field("price_weight", "1", 0.0, 2.0, doc="of a provider's ask in placing"),
        Field("reliability_weight", "1", 0.0, 2.0 * o.reliability,
              doc="of a provider's reputation in placing"),
        Field("carbon_weight", "1", 0.0, 2.0 * o.carbon, doc="of kg per GPU-hour in placing"),
        Field("spread", "1", o.spread - o.spread_scale, o.spread + o.spread_scale,
              doc="the operator's mark-up on asks of an idle class; below 0 counts as 0"),
        Field("reserve_ratio", "1", o.reserve_ratio - o.reserve_scale,
              o.reserve_ratio + o.reserve_scale,
              doc="collateral ratio up to which the treasury tops up the vault"),
        Field("standby", "1", standby - o.standby_scale, standby + o.standby_scale, (TIERS,),
              "idle GPUs kept on offer / GPUs of the class, beyond what demand adds"),
    ]  # fmt: skip
    if domain.action_mode == "scheduler":
        fields += [
            Field("order_rule", "1", 0.0, float(len(ORDERS)),
                  doc=f"rounded down: {', '.join(ORDERS)}"),
            Field("place_rule", "1", 0.0, float(len(PLACES)),
                  doc=f"rounded down: {', '.join(PLACES)}"),
            Field("pricing_rule", "1", 0.0, float(len(PRICINGS)),
                  doc=f"rounded down: spread by {', '.join(PRICINGS)}"),
        ]  # fmt: skip
    assert FieldSet(fields).size == (
        N_SCHEDULER if domain.action_mode == "scheduler" else N_OPERATOR
    )
    if domain.action_mode == "provider":
        each = (len(domain.providers),)
        low, high = refill_at(-1.0), refill_at(1.0)
        fields += [
            Field("bid", "1", -1.0, 1.0, each,
                  "of each provider: -1: what it would ask if it were empty, 0: what it asks by "
                  f"its strategy, 1: {BID_RISE:.0%} more"),
            Field("offer", "1", -1.0, 1.0, each,
                  "of each provider: -1: none, 0: what the operator contracts, 1: all that works"),
            Field("refill", "1", low, high, each,
                  "of each provider: up to which its balance fills its stake / least stake"),
        ]  # fmt: skip
    fields += charter_action_fields(domain.scenario.charter, GOVERNED_PARAMETERS)
    return FieldSet(fields)


assert tuple(p.name for p in GOVERNED_PARAMETERS) == GOVERNED and len(KNOT_PROBABILITIES) == KNOTS
