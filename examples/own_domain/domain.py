"""The warehouse as the simulator sees it: names, fields, parameters and kernels."""

import numpy as np

from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.strict import hash_model

from . import kernel
from .layout import AUTORESETS, COSTS, EVENTS, LEAD_DAYS, OUT_WIDTH, STATE, TERMS
from .scenario import WarehouseScenario

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


class WarehouseDomain:
    """One scenario of the warehouse."""

    name = "warehouse"
    term_names, cost_names, event_names = TERMS, COSTS, EVENTS
    out_width = OUT_WIDTH
    state_layout = STATE
    step_serial = staticmethod(kernel.step_serial)
    step_parallel = staticmethod(kernel.step_parallel)
    reset_lanes = staticmethod(kernel.reset_lanes)

    def __init__(self, scenario: WarehouseScenario) -> None:
        self.scenario = scenario
        self.scenario_hash = hash_model(scenario)[:16]
        self.horizon = scenario.horizon_days
        self.reward_scale = scenario.reward_scale
        most = 8.0 * scenario.largest_order_units
        self.observation_fields = FieldSet(
            [
                Field("time_left", "1", 0.0, 1.0, doc="share of the episode still to come"),
                Field("stock", "units", 0.0, most, doc="in the warehouse"),
                Field("pipeline", "units", 0.0, scenario.largest_order_units, (LEAD_DAYS,),
                      "ordered, by days until delivery"),
                Field("weekday_factor", "1", 0.0, 2.0, (7,), "demand factor of the next 7 days"),
            ]
        )  # fmt: skip
        self.action_fields = FieldSet(
            [Field("order", "units", 0.0, scenario.largest_order_units, doc="rounded to units")]
        )
        fields = self.observation_fields
        self.tables = (np.array(scenario.weekday_factors), fields.low.copy(),
                       2.0 / (fields.high - fields.low))  # fmt: skip
        self.reset_tables = self.tables

    def pack(self, autoreset: str, stagger: bool, carry: bool) -> tuple[Float, Int]:
        """Parameter vectors, in the order of the F_ and I_ constants."""
        if carry:
            raise ValueError("carry: a warehouse begins every episode anew, False expected")
        s = self.scenario
        floats = [s.mean_demand_units, s.price_eur, s.purchase_eur, s.holding_eur_per_day,
                  s.largest_order_units, s.order_cap_units]  # fmt: skip
        whole = [self.horizon, AUTORESETS.index(autoreset), stagger]
        return np.array(floats), np.array(whole, dtype=np.int64)

    def start_day(self, date: str) -> int:
        """The weekday on which an episode begins: ``reset(options={"date": "friday"})``."""
        if date not in WEEKDAYS:
            raise ValueError(f"date: one of {', '.join(WEEKDAYS)} expected, got {date!r}")
        return WEEKDAYS.index(date)
