"""The energy grid as the simulator sees it: names, fields, tables, parameters and kernels."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.elementwise import log_array
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int, pack_parameters
from daogym.envs.core.rooms import SPLITS, RoomedDomain, checked_split, checked_window
from daogym.envs.core.strict import hash_model
from daogym.envs.dao.charter import MODES, GovernedParameter
from daogym.envs.dao.governance_layout import Governance, pack_governance
from daogym.envs.dao.proposal_view import asked_events, charter_action_fields, charter_fields

from . import kernel
from .layout import (
    AUTORESET_DISABLED,
    AUTORESET_NEXT_STEP,
    AUTORESET_SAME_STEP,
    COSTS,
    EVENTS,
    GOVERNED,
    N_GOVERNED,
    OUT_WIDTH,
    OUT_WIDTH_VOTED,
    QUARTERS_PER_DAY,
    SCALARS,
    TERMS,
    VOTED_EVENTS,
    parameter_layout,
    state_layout,
)
from .observation import observation_fields
from .request import MAX_OFFSET_SHARE, N_FLEET
from .scenario import GOVERNED_PARAMETERS, IMPORT_FEE, EnergyScenario
from .tables import clock_table, exact_power, forecast_coefficients, load_tables

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator
    from daogym.envs.dao.ledger import LedgerWriter

ActionMode = Literal["fleet", "device"]
_AUTORESET = {
    "same_step": AUTORESET_SAME_STEP,
    "next_step": AUTORESET_NEXT_STEP,
    "disabled": AUTORESET_DISABLED,
}


class EnergyDomain(RoomedDomain):
    """One scenario of the energy grid, in one action mode and one split of its calendar.

    Args:
        split: "train", "validation", "test" or "all".
        action_mode: "fleet" or "device".
        window_days: what an observation takes for the length of the episode: a policy that was
            trained on days operates weeks with ``window_days=1``; default the episode's length.

    Raises:
        ConfigError: the scenario is at fault; the message names the key.
        ValueError: unknown split or action mode, or no run of `episode_days` days in the split.
    """

    name = "energy"
    package = __package__
    reported_events = (("kWh shed", "unserved_kwh"),)
    episode_room = "episode_view"
    term_names, cost_names = TERMS, COSTS
    step_serial = staticmethod(kernel.step_serial)
    step_parallel = staticmethod(kernel.step_parallel)
    specialised_step = staticmethod(kernel.specialised_step)
    reset_lanes = staticmethod(kernel.reset_lanes)

    def __init__(
        self,
        scenario: EnergyScenario,
        *,
        split: str = "train",
        action_mode: ActionMode = "fleet",
        window_days: int | None = None,
    ) -> None:
        if action_mode not in ("fleet", "device"):
            raise ValueError(f"action_mode: 'fleet' or 'device' expected, got {action_mode!r}")
        self.scenario = scenario
        self.split = checked_split(split)
        self.action_mode: ActionMode = action_mode
        self.loaded = load_tables(scenario)
        self.feeder = self.loaded.feeder
        self.steps_per_day = QUARTERS_PER_DAY * scenario.substeps
        self.horizon = scenario.episode_days * self.steps_per_day
        self.window_days = checked_window(window_days, scenario.episode_days)
        self.reward_scale = scenario.reward_scale
        self.start_days = self._start_days()
        parameters = self._governed_parameters()
        initial = [p.initial for p in GOVERNED_PARAMETERS]
        self.governed = np.array(initial)
        self.governed[: len(parameters)] = scenario.charter.values(parameters, modes=MODES)
        self.governance: Governance | None = None
        if scenario.charter.mode != "static":
            self.governance = pack_governance(
                scenario.charter,
                parameters,
                steps_per_day=self.steps_per_day,
                horizon=self.horizon,
                treasury_cents=100 * scenario.treasury_eur,
            )
        voted = self.governance is not None
        asked = asked_events(scenario.charter)
        self.event_names: tuple[str, ...] = EVENTS + VOTED_EVENTS + asked if voted else EVENTS
        self.out_width = OUT_WIDTH_VOTED + len(asked) if voted else OUT_WIDTH
        self.transformer_kva = self.feeder.transformer_kva * scenario.stress.transformer
        self.battery_kwh_total = float(sum(self.feeder.battery_e_kwh.tolist()))
        self.load_kw_high = float(self.loaded.world[2].max()) * 1.2
        self.observation_fields = observation_fields(
            self.feeder,
            self.transformer_kva,
            self.load_kw_high,
            2.0
            * max(GOVERNED_PARAMETERS[2].high, 1e-3)
            * max(self.battery_kwh_total, 1.0)
            * scenario.budget_days,
            np.array([p.low for p in parameters]),
            np.array([p.high for p in parameters]),
            *charter_fields(scenario.charter, parameters, scenario.step_minutes / 60.0),
        )
        self.action_fields = _action_fields(self, parameters)
        f = self.feeder
        self.state_layout = state_layout(
            len(f.parent), len(f.pv_bus), len(f.battery_bus), len(f.ev_bus),
            None if self.governance is None else self.governance.state_sizes,
            scenario.local_market,
        )  # fmt: skip
        self.scenario_hash = self._hash()

    @property
    def tables(self) -> tuple[Any, ...]:
        """What every kernel call gets, in the kernel's order: arrays, and the charter's vectors."""
        loaded = self.loaded
        charter: tuple[Any, ...] = () if self.governance is None else self.governance.vectors
        return loaded.rows, loaded.world, loaded.price_hours, loaded.days, charter

    @property
    def reset_tables(self) -> tuple[Any, ...]:
        """The part of `tables` that `reset_lanes` gets."""
        return self.tables[1:]

    def _governed_parameters(self) -> tuple[GovernedParameter, ...]:
        """The scenario's; no vote may make exporting pay more than importing costs.

        So the lowest fee is raised to where exports at the deepest price earn what imports cost.
        """
        spot = self.loaded.price_hours
        needed = float((self.scenario.tariff.feed_in_share * spot - spot).max())
        return tuple(
            dataclasses.replace(p, low=max(p.low, needed)) if p.name == IMPORT_FEE else p
            for p in self.scenario.governed_parameters
        )

    def _start_days(self) -> Int:
        series, days = self.loaded.series, self.scenario.episode_days
        if self.split == "all":
            found = [series.starts(i, 1) for i in range(3)]
            starts = np.sort(np.concatenate(found))
            starts = starts[starts + days <= series.n_days]
        else:
            starts = series.starts(SPLITS.index(self.split), self.window_days)
            last = starts + days - 1
            inside = last < series.n_days
            last = np.minimum(last, series.n_days - 1)
            starts = starts[inside & (series.year_start[starts] == series.year_start[last])]
        if not len(starts):
            raise ValueError(
                f"the {self.split} split has no run of {days} days; use fewer episode_days"
            )
        return starts

    def episode_weeks(self, simulator: Simulator) -> Int:
        """(N,) number of the week in which each lane's episode starts, over all years."""
        series, day = self.loaded.series, simulator.state("day")
        return np.asarray(series.year_start[day] * 53 + series.week[day])

    def start_day(self, date: str) -> int:
        """Calendar day of a date such as ``2023-05-14``.

        Raises:
            ValueError: not a date, not in the scenario's calendar, or too late in it for an
                episode.
        """
        known = self.loaded.series.date
        try:
            found = np.flatnonzero(known == np.datetime64(date, "D"))
        except ValueError:
            raise ValueError(f"date: YYYY-MM-DD expected, got {date!r}") from None
        if not len(found):
            raise ValueError(
                f"date {date} is not in the calendar, which has {len(known)} days between "
                f"{known.min()} and {known.max()}"
            )
        days = self.scenario.episode_days
        if found[0] + days > len(known):
            raise ValueError(
                f"date {date}: an episode of {days} days would run past the calendar, which ends "
                f"with {known[-1]}"
            )
        return int(found[0])

    def stock_value(self, observations: NDArray[np.float32]) -> Float:
        """(...,) EUR that the energy stored in batteries is worth, at today's mean price.

        Args:
            observations: (..., n_observation), normalised.
        """
        fields = self.observation_fields
        seen = [
            fields.low[c] + 0.5 * (observations[..., c].astype(np.float64) + 1.0)
            * (fields.high[c] - fields.low[c])
            for c in (fields.slice(name).start for name in ("soc_share", "stock_price"))
        ]  # fmt: skip
        usable_kwh = seen[0] * (self.battery_kwh_total * self.scenario.batteries.efficiency)
        return np.asarray(usable_kwh * seen[1])

    def make_chronicle(self, simulator: Simulator, writers: Sequence[LedgerWriter]) -> Any:
        """Writes each lane's ledger: call its `step` after every step; see chronicle.py."""
        from .chronicle import EnergyLedger

        return EnergyLedger(simulator, writers)

    def pack(self, autoreset: str, stagger: bool, carry: bool) -> tuple[Float, Int]:
        """Parameter vectors for one simulator."""
        f, s = self.feeder, self.scenario
        n_bus = len(f.parent)
        sizes = (n_bus, len(f.pv_bus), len(f.battery_bus), len(f.ev_bus))
        fields = self.observation_fields
        layout = parameter_layout(*sizes, len(self.start_days), fields.size)
        bus_pv_kw = np.zeros(n_bus)
        for bus, kw in zip(f.pv_bus.tolist(), f.pv_p_kw.tolist(), strict=True):
            bus_pv_kw[bus] += kw
        values: dict[str, Any] = {
            "sizes": [*sizes, fields.size, self.action_fields.size],
            "modes": [self.action_mode == "device", _AUTORESET[autoreset], stagger, carry,
                      s.local_market],
            "calendar": [
                self.horizon, s.substeps, self.loaded.n_days, len(self.start_days),
                s.episode_days, round(4.0 * s.tariff.publication_hour),
                self.window_days * QUARTERS_PER_DAY, s.budget_days,
            ],
            "start_days": self.start_days,
            "parent": f.parent, "pv_bus": f.pv_bus, "battery_bus": f.battery_bus,
            "ev_bus": f.ev_bus, "r_pu": f.r_pu, "x_pu": f.x_pu, "tap": f.tap,
            "shunt_g_pu": f.shunt_g_pu, "shunt_b_pu": f.shunt_b_pu,
            "i_max_pu": np.where(f.is_transformer, np.inf, f.i_max_pu),
            "battery_kwh": f.battery_e_kwh, "battery_kw": f.battery_p_kw,
            "battery_kva": f.battery_s_kva, "pv_kw": f.pv_p_kw, "pv_kva": f.pv_s_kva,
            "ev_kw": f.ev_p_kw, "bus_pv_kw": bus_pv_kw,
            "forecast_load": forecast_coefficients(
                s.forecast.load_sigma, s.forecast.persistence_per_h),
            "forecast_pv": forecast_coefficients(
                s.forecast.pv_sigma, s.forecast.persistence_per_h),
            "scalars": self._scalars(), "governed_initial": self.governed,
            "observation_low": fields.low,
            "observation_scale": 2.0 / (fields.high - fields.low),
            "clock": clock_table(),
        }  # fmt: skip
        return pack_parameters(layout, self.state_layout, values)

    def scalars(self) -> dict[str, float]:
        """Settings that the kernels read, by their names in layout.SCALARS."""
        return dict(zip(SCALARS, self._scalars(), strict=True))

    def _scalars(self) -> list[float]:
        s, f = self.scenario, self.feeder
        dt_h = s.step_minutes / 60.0
        decay = exact_power(1.0 - s.batteries.self_discharge_per_day, dt_h / 24.0)
        rate = -float(log_array(1.0 - s.batteries.self_discharge_per_day)) / 24.0
        persistence = exact_power(s.forecast.persistence_per_h, dt_h)
        minutes = s.step_minutes
        halt = s.emergency_halt
        values: Mapping[str, float] = {
            "dt_h": dt_h,
            "s_base_kva": f.s_base_kva,
            "slack_voltage_pu": f.slack_voltage_pu,
            "transformer_kva": self.transformer_kva,
            "voltage_low_pu": s.limits.voltage_low_pu,
            "voltage_high_pu": s.limits.voltage_high_pu,
            "voltage_floor_pu": s.limits.voltage_floor_pu,
            "tolerance_pu": 1e-10,
            "eta_charge": s.batteries.efficiency,
            "eta_discharge": s.batteries.efficiency,
            "battery_decay": decay,
            "battery_gain_h": (1.0 - decay) / rate if rate > 0.0 else dt_h,
            "soc_min_share": s.batteries.min_soc_share,
            "initial_soc_low": s.batteries.initial_soc_low,
            "initial_soc_high": s.batteries.initial_soc_high,
            "wear_eur_per_kwh": s.batteries.wear_eur_per_kwh,
            "ev_efficiency": s.cars.efficiency,
            "ev_presence": s.cars.presence,
            "ev_arrival_h": s.cars.arrival_h,
            "ev_arrival_std_h": s.cars.arrival_std_h,
            "ev_departure_h": s.cars.departure_h,
            "ev_departure_std_h": s.cars.departure_std_h,
            "ev_energy_mean_share": s.cars.energy_hours,
            "ev_unmet_eur_per_kwh": s.cars.unmet_eur_per_kwh,
            "unserved_eur_per_kwh": s.limits.unserved_eur_per_kwh,
            "ageing_eur_per_h": (
                s.transformer.price_eur_per_kva * self.transformer_kva / s.transformer.life_h
            ),
            "ambient_c": s.transformer.ambient_c,
            "oil_rise_c": s.transformer.oil_rise_c,
            "loss_ratio": s.transformer.loss_ratio,
            "oil_exponent": s.transformer.oil_exponent,
            "winding_rise_c": s.transformer.winding_rise_c,
            "winding_exponent": s.transformer.winding_exponent,
            "oil_decay": exact_power(2.718281828459045, -dt_h / s.transformer.oil_time_constant_h),
            "hot_spot_limit_c": s.limits.hot_spot_limit_c,
            "relay_loading": s.limits.relay_loading,
            "trip_voltage_pu": s.limits.trip_voltage_pu,
            "trip_steps": float(-(-s.limits.reconnect_minutes // minutes)),
            "relay_hold_steps": float(-(-s.limits.relay_hold_minutes // minutes)),
            # Half of the way to a new voltage in a quarter-hour: acting on the last voltage alone,
            # inverters and grid answer each other in a cycle of two steps.
            "volt_var_gain": 1.0 - exact_power(0.5, minutes / 15.0),
            "forecast_persistence": persistence,
            "forecast_innovation": float(np.sqrt(1.0 - persistence * persistence)),
            "battery_kwh_total": self.battery_kwh_total,
            "battery_kw_total": float(sum(f.battery_p_kw.tolist())),
            "pv_kw_total": float(sum(f.pv_p_kw.tolist())),
            "ev_kw_total": float(sum(f.ev_p_kw.tolist())),
            "max_sweeps": 100.0,
            "import_fee_eur_per_kwh": s.tariff.import_fee_eur_per_kwh,
            "halt_loading": np.inf if halt is None else halt.loading,
            "treasury_cents": 100.0 * s.treasury_eur,
            "halt_steps": 0.0 if halt is None else float(-(-60.0 * halt.hours // minutes)),
        }
        return [values[name] for name in SCALARS]

    def _hash(self) -> str:
        # Files of a user's own are named by their content, which the tables and the feeder hold.
        names = {"feeder": Path(self.scenario.feeder).name, "profiles": None, "prices": None}
        digest = hashlib.sha256(hash_model(self.scenario.model_copy(update=names)).encode())
        *arrays, charter = self.tables
        for table in (*arrays, *charter):
            digest.update(np.ascontiguousarray(table).tobytes())
        for item in dataclasses.fields(self.feeder):
            value = getattr(self.feeder, item.name)
            if isinstance(value, np.ndarray):
                digest.update(np.ascontiguousarray(value).tobytes())
        return digest.hexdigest()[:16]


def _action_fields(domain: EnergyDomain, parameters: Sequence[GovernedParameter]) -> FieldSet:
    f = domain.feeder
    n_battery, n_pv, n_ev = len(f.battery_bus), len(f.pv_bus), len(f.ev_bus)
    rating = domain.transformer_kva
    trim = MAX_OFFSET_SHARE * f.battery_p_kw
    if domain.action_mode == "device":
        fields: Sequence[Field | None] = [
            Field("battery", "kW", -f.battery_p_kw, f.battery_p_kw, (n_battery,),
                  "set-point, charging positive") if n_battery else None,
            Field("pv_use", "1", -1.0, 1.0, (n_pv,),
                  "share of available PV used, plus this where negative") if n_pv else None,
            Field("pv_reactive", "1", -0.44, 0.44, (n_pv,),
                  "reactive injection / rated apparent power") if n_pv else None,
            Field("ev_rate", "1", -1.0, 1.0, (n_ev,),
                  "-1 as late as possible, 0 evenly, 1 as fast as possible") if n_ev else None,
        ]  # fmt: skip
    else:
        fields = [
            Field("exchange_target", "kW", -rating, rating,
                  doc="exchange that the batteries together track, import positive"),
            Field("export_cap", "kW", 0.0, 2.0 * rating,
                  doc="PV is curtailed where the export would exceed it"),
            Field("ev_rate", "1", -1.0, 1.0,
                  doc="-1 as late as possible, 0 evenly, 1 as fast as possible"),
            Field("reactive_offset", "1", -0.44, 0.44,
                  doc="added to volt-var control, reactive injection / rated apparent power"),
            Field("battery_offset", "kW", -trim, trim, (n_battery,),
                  "added to a battery's share of the fleet's power") if n_battery else None,
        ]  # fmt: skip
        assert N_FLEET == 4
    fields = [*fields, *charter_action_fields(domain.scenario.charter, parameters)]
    return FieldSet([field for field in fields if field is not None])


assert tuple(p.name for p in GOVERNED_PARAMETERS) == GOVERNED and len(GOVERNED) == N_GOVERNED
