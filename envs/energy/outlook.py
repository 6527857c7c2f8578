"""What an MPC expects of the coming hours, lane by lane, in each of its three ways to look ahead.

"perfect" knows loads, sunshine, prices and cars. "forecast" has what the observation has: the
means of two-hour blocks and the published prices. "persistence" expects loads and sunshine of
the same quarter-hour yesterday, and prices as published. The last two know only the cars that
are there, and of the rules those in force and the changes that wait in the timelock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.rule_path import announced_rules

from .foresight import Sessions, World, true_world
from .lanes import known_prices, volt_var_shares
from .layout import (
    BLOCK_QUARTERS,
    D_OWED_PRICE,
    D_STOCK_PRICE,
    FORECAST_BLOCKS,
    G_EXPORT_LIMIT_SHARE,
    G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY,
    G_IMPORT_FEE_EUR_PER_KWH,
    PAST_QUARTERS,
    QUARTERS_PER_DAY,
    W_LOAD_BLOCK_KW,
    W_PV_BLOCK_KW,
)
from .plan import Car, Outlook
from .tables import forecast_coefficients

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

Mode = Literal["perfect", "forecast", "persistence"]
NEAR_STEPS = 8
HORIZON_HOURS = {"perfect": 36, "forecast": 24, "persistence": 24}
_GONE_KWH = 1e-9


def periods(step: int, end: int, per_hour: int, near: int = NEAR_STEPS) -> Int:
    """Lengths in steps of the periods from `step` to `end`: single steps, then whole hours.

    Single steps go on from the first `near` to the next full hour.
    """
    ahead = min(step + near, end)
    ahead = min(-(-ahead // per_hour) * per_hour, end)
    hours = np.arange(ahead, end, per_hour)
    starts = np.concatenate([np.arange(step, ahead), hours])
    return np.diff(np.append(starts, end))


class Lookout:
    """Builds the outlooks of all lanes at the simulator's present step.

    Args:
        sessions: the cars of the episodes; needed by "perfect", ignored by the others.
        rules: (N, steps, parameters) in force from the present step on; needed by "perfect",
            ignored by the others.
        reads_queue: whether the others see changes that wait in the timelock.
    """

    def __init__(
        self,
        simulator: Simulator,
        mode: Mode,
        sessions: Sessions | None,
        rules: Float | None = None,
        reads_queue: bool = True,
    ) -> None:
        self.mode: Mode = mode
        self.sessions = sessions
        self.domain: Any = simulator.domain
        self.scenario = simulator.scenario
        self.state = simulator.state
        self.prices = known_prices(simulator)
        self.substeps = self.scenario.substeps
        self.dt_h = self.scenario.step_minutes / 60.0
        steps = HORIZON_HOURS[mode] * 4 * self.substeps
        if mode == "perfect" and rules is not None:
            self.rules = rules
        else:
            self.rules = announced_rules(simulator, steps, reads_queue=reads_queue)

    def outlook(self, lane: int) -> Outlook:
        """What one lane expects."""
        domain = self.domain
        step, day = int(self.state("step")[lane]), int(self.state("day")[lane])
        per_hour = 4 * self.substeps
        end = min(domain.horizon, step + HORIZON_HOURS[self.mode] * per_hour)
        width = periods(step, end, per_hour)
        start = step + np.concatenate([[0], np.cumsum(width)[:-1]])
        hours = width * self.dt_h
        first = step // self.substeps
        quarter = np.arange(step, end) // self.substeps - first
        rules = self.rules[lane, : end - step]
        limits = rules[:: self.substeps, G_EXPORT_LIMIT_SHARE]
        load, pv = self._expected(lane, day, first, int(quarter[-1]) + 1, limits)
        spot = self._spot(lane, day, first, quarter)

        def mean(by_step: Float) -> Float:
            return np.asarray(np.add.reduceat(by_step, start - step) / width)

        price, tariff = mean(spot), self.scenario.tariff
        fee = rules[:, G_IMPORT_FEE_EUR_PER_KWH]
        importing = float((load > pv).mean())
        stock, owed = self._terminal_prices(lane, day, end, float(fee[-1]), importing)
        number = start // domain.steps_per_day - step // domain.steps_per_day
        # A day's budget is that of the rule in force at its midnight.
        midnight = (np.arange(number[-1] + 1) + step // domain.steps_per_day) * domain.steps_per_day
        midnight = np.minimum(np.maximum(midnight - step, 0), len(rules) - 1)
        cycles = rules[midnight, G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY]
        budget = 2.0 * cycles * domain.battery_kwh_total
        budget[0] = self.state("budget_kwh")[lane]
        return Outlook(
            hours=hours,
            buy=price + mean(fee),
            sell=tariff.feed_in_share * price,
            load_kw=mean(load[quarter]),
            pv_kw=mean(pv[quarter]),
            soc_kwh=float(self.state("soc_kwh")[lane].sum()),
            stock_eur_per_kwh=stock,
            budget_kwh=budget,
            keeps_budget=self.scenario.budget_days > 1,
            day=number,
            cars=self._cars(lane, step, start, width, owed),
            near=int((width == 1).sum()),
            reactive_kvar=self._reactive(lane),
        )

    def _expected(
        self, lane: int, day: int, first: int, n: int, limits: Float
    ) -> tuple[Float, Float]:
        """Load and available PV of `n` quarter-hours, (n,) kW each."""
        if self.mode == "forecast":
            return self._forecast(lane, day, first, n)
        shift = QUARTERS_PER_DAY if self.mode == "persistence" else 0
        world = true_world(self.domain, day, first - shift, n)
        return world.load_kw.sum(axis=1), self._connected(world, limits).sum(axis=1)

    def _connected(self, world: World, limits: Float) -> Float:
        """Available PV after the charter's export limit of each connection, (Q, n_pv) kW.

        `limits` (>= Q,) holds the share of the installed PV that may be exported.
        """
        feeder = self.domain.feeder
        known = np.minimum(np.arange(len(world.pv_kw)), len(limits) - 1)
        limit = limits[known, None] * feeder.pv_p_kw
        return np.minimum(world.pv_kw, limit + world.load_kw[:, feeder.pv_bus])

    def _forecast(self, lane: int, day: int, first: int, n: int) -> tuple[Float, Float]:
        """The observation's block means, joined by straight lines between the blocks' middles."""
        middle = BLOCK_QUARTERS * (np.arange(FORECAST_BLOCKS) + 0.5) - 0.5
        load, pv = self.block_means(lane, day, first)
        return np.interp(np.arange(n), middle, load), np.interp(np.arange(n), middle, pv)

    def block_means(self, lane: int, day: int, first: int) -> tuple[Float, Float]:
        """Load and PV of the next two-hour blocks as forecast in the observation, (12,) kW each."""
        world, errors = self.domain.loaded.world, self.scenario.forecast
        now = PAST_QUARTERS + day * QUARTERS_PER_DAY + first
        block = now + BLOCK_QUARTERS * np.arange(FORECAST_BLOCKS)
        load_sigma = forecast_coefficients(errors.load_sigma, errors.persistence_per_h)
        pv_sigma = forecast_coefficients(errors.pv_sigma, errors.persistence_per_h)
        load = world[W_LOAD_BLOCK_KW, block] * (1.0 + load_sigma * self.state("load_error")[lane])
        pv = world[W_PV_BLOCK_KW, block] * (1.0 + pv_sigma * self.state("pv_error")[lane])
        return np.maximum(load, 0.0), np.maximum(pv, 0.0)

    def _spot(self, lane: int, day: int, first: int, quarter: Int) -> Float:
        """Day-ahead price of each step, true or as observed."""
        if self.mode == "perfect":
            hour = (PAST_QUARTERS + day * QUARTERS_PER_DAY + first + quarter) // 4
            return np.asarray(self.domain.loaded.price_hours[hour])
        ahead = (first + quarter) // 4 - first // 4
        return np.asarray(self.prices[lane, np.minimum(ahead, self.prices.shape[1] - 1)])

    def _terminal_prices(
        self, lane: int, day: int, end: int, fee: float, importing: float
    ) -> tuple[float, float]:
        """EUR/kWh that stored energy is worth, and energy owed to cars costs, after all periods.

        At the episode's end what the environment pays (settle.py), before it the mean price of
        the observed 24 hours; the fee comes on top for the share of time in which the community
        will import, which is what stored energy then saves it.
        """
        if end < self.domain.horizon:
            mean = max(float(self.prices[lane].mean()), 0.0)
            return mean + importing * fee, mean + fee
        last = (day + self.scenario.episode_days - 1) % self.domain.loaded.n_days
        days = self.domain.loaded.days
        change = fee - self.scenario.tariff.import_fee_eur_per_kwh
        return float(days[D_STOCK_PRICE, last]), float(days[D_OWED_PRICE, last]) + change

    def _cars(self, lane: int, step: int, start: Int, width: Int, owed: float) -> tuple[Car, ...]:
        end = int(start[-1] + width[-1])
        cars = self.scenario.cars
        found = []
        for charger, arrival, departure, energy in self._known_cars(lane, step, end):
            low = np.maximum(start, arrival)
            here = np.maximum(np.minimum(start + width, departure) - low, 0)
            when = np.flatnonzero(here)
            if energy <= _GONE_KWH or not len(when):
                continue
            value = cars.unmet_eur_per_kwh if departure <= end else owed / cars.efficiency
            hours = here[when[0] : when[-1] + 1] * self.dt_h
            found.append(
                Car(charger, int(when[0]), hours, energy, value, bool(when[0] == 0), departure)
            )
        return tuple(found)

    def _known_cars(self, lane: int, step: int, end: int) -> list[tuple[int, int, int, float]]:
        """(charger, arrival, departure, kWh still wanted) of each car that this mode knows."""
        arrival = self.state("ev_arrival_step")[lane].tolist()
        departure = self.state("ev_departure_step")[lane].tolist()
        energy = self.state("ev_energy_kwh")[lane].tolist()
        known = [
            (j, arrival[j], departure[j], energy[j])
            for j in range(len(arrival))
            if arrival[j] <= step
        ]
        if self.mode == "perfect" and self.sessions is not None:
            coming = self.sessions.of(lane)
            rows = zip(
                coming.charger.tolist(), coming.arrival.tolist(), coming.departure.tolist(),
                coming.energy_kwh.tolist(), strict=True,
            )  # fmt: skip
            known += [row for row in rows if step < row[1] < end]
        return known

    def _reactive(self, lane: int) -> Float:
        """What the inverters' volt-var control consumes at the last voltages, (n_bus,) kvar."""
        feeder = self.domain.feeder
        share = volt_var_shares(self.state("pv_voltage_pu")[lane])
        reactive = np.zeros(feeder.n_bus)
        np.add.at(reactive, feeder.pv_bus, -share * feeder.pv_s_kva)
        return reactive
