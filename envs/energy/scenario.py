"""Settings of the energy grid, each with its unit; defaults live here, YAML files override them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.strict import StrictModel
from daogym.envs.dao.charter import Charter, GovernedParameter

IMPORT_FEE = "import_fee_eur_per_kwh"
GOVERNED_PARAMETERS = (
    GovernedParameter("export_limit_share", "1", 0.0, 1.0, 0.7, "clip",
                      "largest export of a connection with PV / its installed PV",
                      0.35, 1.0, "sell before a lower limit, store before it"),
    GovernedParameter("reserve_floor_share", "1", 0.0, 0.5, 0.1, "cost",
                      "least energy stored by all batteries / their capacity",
                      0.15),
    GovernedParameter("flexibility_budget_cycles_per_day", "1/day", 0.0, 6.0, 2.0, "revert",
                      "battery throughput a day / (2 x capacity)",
                      1.0, 1.0, "choose the hours that are worth a scarce budget"),
    GovernedParameter("set_point_slew_share_per_hour", "1/h", 0.4, 4.0, 2.0, "clip",
                      "how fast a battery's power may move away from idle / its rating"),
    GovernedParameter(IMPORT_FEE, "EUR/kWh", 0.05, 0.35, 0.08, "price",
                      "grid fee on top of the day-ahead price, as the tariff's",
                      0.15, 1.0, "buy before a higher fee, wait for a lower one"),
    GovernedParameter("local_price_share", "1", 0.0, 1.0, 0.5, "price",
                      "price between members: 0 is what exports earn, 1 what imports cost",
                      0.25),
    GovernedParameter("community_fee_eur_per_kwh", "EUR/kWh", 0.0, 0.05, 0.01, "price",
                      "paid by the buyer for energy of another member, to the community",
                      0.02),
    GovernedParameter("curtailment_key_share", "1", 0.0, 1.0, 0.5, "price",
                      "part of the loss by curtailment that all owners of PV share by their kW",
                      0.25),
)  # fmt: skip

MARKET_FROM = 5
"""The parameters from here on are those of the local market."""


class Tariff(StrictModel):
    """What energy costs at the transformer."""

    import_fee_eur_per_kwh: float = Setting(0.08, ge=0.0, le=1.0)
    """Grid fee on top of the day-ahead price."""
    feed_in_share: float = Setting(0.9, ge=0.0, le=1.0)
    """Paid for exports, as a share of the day-ahead price."""
    publication_hour: float = Setting(13.0, ge=0.0, le=24.0)
    """Local hour at which tomorrow's prices are published."""


class Batteries(StrictModel):
    """Properties that all batteries share; sizes come with the feeder."""

    efficiency: float = Setting(0.95, gt=0.0, le=1.0)
    """Each way."""
    self_discharge_per_day: float = Setting(0.002, ge=0.0, le=0.5)
    """Share of the stored energy lost in a day."""
    min_soc_share: float = Setting(0.05, ge=0.0, lt=1.0)
    """Energy that is never discharged, as a share of the capacity."""
    initial_soc_low: float = Setting(0.2, ge=0.0, le=1.0)
    initial_soc_high: float = Setting(0.8, ge=0.0, le=1.0)
    wear_eur_per_kwh: float = Setting(0.01, ge=0.0, le=1.0)
    """Per kWh of throughput at the terminals, charging and discharging alike."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_soc_share <= self.initial_soc_low <= self.initial_soc_high:
            raise ValueError(
                "min_soc_share <= initial_soc_low <= initial_soc_high is expected, got "
                f"{self.min_soc_share}, {self.initial_soc_low}, {self.initial_soc_high}"
            )
        return self


class Cars(StrictModel):
    """Evening sessions at the chargers: one a day and charger, drawn from the episode's key."""

    efficiency: float = Setting(0.92, gt=0.0, le=1.0)
    presence: float = Setting(0.8, ge=0.0, le=1.0)
    """Probability that a car comes."""
    arrival_h: float = Setting(17.5, ge=12.0, le=23.0)
    arrival_std_h: float = Setting(1.5, ge=0.0, le=6.0)
    departure_h: float = Setting(7.5, ge=5.0, le=11.5)
    departure_std_h: float = Setting(1.0, ge=0.0, le=6.0)
    energy_hours: float = Setting(1.3, ge=0.0, le=8.0)
    """Mean energy of a session, in hours of the charger's full power."""
    unmet_eur_per_kwh: float = Setting(1.0, ge=0.0, le=20.0)
    """Price of energy that a car wanted and did not get."""


class Limits(StrictModel):
    """Operating limits (costs) and hardware protection."""

    voltage_low_pu: float = Setting(0.95, gt=0.5, lt=1.0)
    voltage_high_pu: float = Setting(1.05, gt=1.0, lt=1.2)
    voltage_floor_pu: float = Setting(0.7, gt=0.4, lt=0.95)
    """A step with a lower voltage is an outage."""
    trip_voltage_pu: float = Setting(1.10, gt=1.0, lt=1.3)
    """PV inverters disconnect above it, one step later."""
    reconnect_minutes: float = Setting(30.0, ge=0.0, le=60.0)
    relay_loading: float = Setting(1.5, gt=1.0, le=3.0)
    """|S| / rating at which the transformer relay acts (IEC 60076-7: normal cyclic limit)."""
    hot_spot_limit_c: float = Setting(140.0, gt=98.0, le=200.0)
    relay_hold_minutes: float = Setting(60.0, ge=0.0, le=120.0)
    unserved_eur_per_kwh: float = Setting(8.0, ge=0.0, le=100.0)
    """Value of lost load."""


class Transformer(StrictModel):
    """Thermal model of IEC 60076-7 for a small oil-immersed (ONAN) transformer."""

    price_eur_per_kva: float = Setting(60.0, ge=0.0, le=1000.0)
    life_h: float = Setting(180_000.0, gt=0.0)
    """Normal insulation life at a hot spot of 98 degC."""
    ambient_c: float = Setting(20.0, ge=-40.0, le=50.0)
    oil_rise_c: float = Setting(55.0, gt=0.0, le=80.0)
    loss_ratio: float = Setting(5.0, gt=0.0, le=20.0)
    """Load losses at rating / no-load losses."""
    oil_exponent: float = Setting(0.8, gt=0.0, le=1.0)
    oil_time_constant_h: float = Setting(3.0, gt=0.0, le=12.0)
    winding_rise_c: float = Setting(23.0, gt=0.0, le=60.0)
    winding_exponent: float = Setting(1.6, ge=1.0, le=2.0)


class Forecast(StrictModel):
    """Relative errors, AR(1) in time: sigma(lead) = sigma sqrt(1 - persistence^(2 lead))."""

    load_sigma: float = Setting(0.15, ge=0.0, le=1.0)
    pv_sigma: float = Setting(0.3, ge=0.0, le=1.0)
    persistence_per_h: float = Setting(0.9, ge=0.0, lt=1.0)


class EmergencyHalt(StrictModel):
    """The guardian's circuit breaker: an overloaded transformer takes the agent off the devices."""

    loading: float = Setting(1.3, gt=0.5, le=3.0)
    """|S| / rating above which the halt begins, one step later."""
    hours: float = Setting(1.0, gt=0.0, le=24.0)
    """How long batteries idle, cars charge evenly and exports stay within the rating."""


class Stress(StrictModel):
    """Multipliers on the world; all 1 outside stress variants."""

    load: float = Setting(1.0, gt=0.0, le=5.0)
    pv: float = Setting(1.0, ge=0.0, le=5.0)
    price: float = Setting(1.0, gt=0.0, le=10.0)
    transformer: float = Setting(1.0, gt=0.0, le=5.0)


class EnergyScenario(StrictModel):
    """A community behind one transformer, with its feeder, its world and its rules."""

    name: str = "lv_rural"
    version: Literal[0] = 0
    feeder: str = "lv_rural"
    """A shipped feeder's name, or the path of a pandapower JSON."""
    profiles: str | None = None
    """CSV of loads and PV, with a feeder of one's own."""
    prices: str | None = None
    """CSV of day-ahead prices, with a feeder of one's own."""
    price_years: tuple[int, ...] = (2023, 2024)
    """Dutch day-ahead prices of these years; each brings 52 weeks."""
    episode_days: int = Setting(1, ge=1, le=364)
    step_minutes: float = 15.0
    """15, 7.5, 5 or 3.75."""
    reward_scale: float = Setting(0.1, gt=0.0)
    """Rewards for learning are EUR times this."""
    budget_days: int = Setting(1, ge=1, le=28)
    """How many days' flexibility can be kept: with 7 the daily grants make a week's budget."""
    tariff: Tariff = Tariff()
    batteries: Batteries = Batteries()
    cars: Cars = Cars()
    limits: Limits = Limits()
    transformer: Transformer = Transformer()
    forecast: Forecast = Forecast()
    stress: Stress = Stress()
    charter: Charter = Charter()
    emergency_halt: EmergencyHalt | None = None
    """None: no halt. Part of a charter that is voted on only."""
    treasury_eur: int = Setting(100_000, ge=0, le=10**9)
    """What the DAO has at the start of an episode under a charter that is voted on."""
    local_market: bool = False
    """Members trade with each other, by three more governed parameters; voted charters only."""

    @property
    def governed_parameters(self) -> tuple[GovernedParameter, ...]:
        """Those of `GOVERNED_PARAMETERS` that act here; the fee's initial value is the tariff's."""
        fee = self.tariff.import_fee_eur_per_kwh
        acting = GOVERNED_PARAMETERS if self.local_market else GOVERNED_PARAMETERS[:MARKET_FROM]
        return tuple(replace(p, initial=fee) if p.name == IMPORT_FEE else p for p in acting)

    @property
    def substeps(self) -> int:
        """Steps in a quarter-hour."""
        return round(15.0 / self.step_minutes)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.step_minutes not in (15.0, 7.5, 5.0, 3.75):
            raise ValueError(f"step_minutes: 15, 7.5, 5 or 3.75 expected, got {self.step_minutes}")
        own = [self.feeder.endswith(".json"), self.profiles is not None, self.prices is not None]
        if any(own) and not all(own):
            raise ValueError(
                "a grid of one's own needs all of feeder (a .json file), profiles and prices; got "
                f"feeder={self.feeder!r}, profiles={self.profiles!r}, prices={self.prices!r}"
            )
        for key, asked in (
            ("emergency_halt", self.emergency_halt is not None),
            ("local_market", self.local_market),
        ):
            if asked and self.charter.mode == "static":
                raise ValueError(
                    f"{key}: needs a charter that is voted on, got charter.mode = static"
                )
        if not self.price_years or len(set(self.price_years)) != len(self.price_years):
            raise ValueError(f"price_years: different years expected, got {self.price_years}")
        return self
