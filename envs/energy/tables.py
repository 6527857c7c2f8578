"""From a scenario to the arrays that the kernel reads.

Only + - * / sqrt, sorting and the project's own elementary functions are used, element by
element, so that the tables are bit for bit the same on every CPU.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.elementwise import cos_array, exp_array, log_array, sin_array
from daogym.envs.core.layout import Float
from daogym.envs.core.strict import ConfigError

from .feeder import Feeder
from .layout import (
    BLOCK_QUARTERS,
    FORECAST_BLOCKS,
    FUTURE_QUARTERS,
    PAST_QUARTERS,
    QUARTERS_PER_DAY,
)
from .profiles import Series, build_series, load_feeder
from .scenario import EnergyScenario

TWO_PI = 6.283185307179586


@dataclass(frozen=True)
class Tables:
    """The world as arrays; quarter-hour columns are padded by a day before and two days after.

    Attributes:
        rows: (profile rows, 2 n_bus + n_pv): load kW and kvar by bus, available PV kW by inverter.
        world: (6, quarters): rows `W_*` of layout.py.
        price_hours: (hours,) day-ahead price, EUR/kWh, padded like `world`.
        days: (7, n_days): rows `D_*` of layout.py.
    """

    feeder: Feeder
    series: Series
    rows: NDArray[np.float32]
    world: Float
    price_hours: Float
    days: Float

    @property
    def n_days(self) -> int:
        """Days of the calendar."""
        return self.days.shape[1]


def load_tables(scenario: EnergyScenario) -> Tables:
    """Read feeder, profiles and prices and prepare the tables (kept for the last few scenarios).

    Raises:
        ConfigError: the feeder is unknown, or exports would earn more than imports cost.
        UserGridError: a file of a user's own grid is at fault.
    """
    relevant = scenario.model_copy(
        update={"name": "", "charter": type(scenario.charter)(), "reward_scale": 1.0}
    )
    return _load(relevant.model_dump_json(), relevant)


@lru_cache(maxsize=8)
def _world_data(
    feeder: str, profiles: str | None, prices: str | None, years: tuple[int, ...]
) -> tuple[Feeder, Series]:
    if profiles is not None and prices is not None:
        from .user_grid import load_user_grid

        return load_user_grid(Path(feeder), Path(profiles), Path(prices))
    try:
        grid = load_feeder(feeder)
    except FileNotFoundError as error:
        raise ConfigError("scenario", "feeder", str(error)) from None
    try:
        return grid, build_series(grid, years)
    except ValueError as error:
        raise ConfigError("scenario", "price_years", str(error)) from None


_loaded: dict[str, Tables] = {}


def _load(key: str, scenario: EnergyScenario) -> Tables:
    if key not in _loaded:
        if len(_loaded) >= 8:
            _loaded.pop(next(iter(_loaded)))
        feeder, series = _world_data(
            scenario.feeder, scenario.profiles, scenario.prices, scenario.price_years
        )
        _loaded[key] = _build(scenario, feeder, series)
    return _loaded[key]


def _build(scenario: EnergyScenario, feeder: Feeder, series: Series) -> Tables:
    rows = _rows(scenario, feeder, series)
    n_bus = len(feeder.parent)
    by_row_load = np.zeros(len(rows))
    for k in range(n_bus):
        by_row_load += rows[:, k]
    by_row_pv = np.zeros(len(rows))
    for j in range(len(feeder.pv_bus)):
        by_row_pv += rows[:, 2 * n_bus + j]
    load = by_row_load.reshape(-1, QUARTERS_PER_DAY)[series.load_day].reshape(-1)
    pv = by_row_pv.reshape(-1, QUARTERS_PER_DAY)[series.pv_day].reshape(-1)
    price = series.price_eur_per_mwh * (scenario.stress.price / 1000.0)
    fee, share = scenario.tariff.import_fee_eur_per_kwh, scenario.tariff.feed_in_share
    bad = np.argwhere(share * price > price + fee)
    if len(bad):
        day, hour = bad[0]
        raise ConfigError(
            "scenario", "tariff",
            f"on {series.date[day]} at {hour}:00 exports would earn {share * price[day, hour]:.4f} "
            f"EUR/kWh and imports cost {price[day, hour] + fee:.4f}; a feed-in price above the "
            "import price is an endless source of money: lower feed_in_share or raise "
            "import_fee_eur_per_kwh",
        )  # fmt: skip
    by_quarter = np.repeat(price.reshape(-1), 4)
    columns = [by_quarter + fee, share * by_quarter, load, pv]
    columns += [_block_mean(load), _block_mean(pv)]
    mean_price = np.zeros(len(price))
    for h in range(24):
        mean_price += price[:, h]
    angle = TWO_PI * series.day_of_year.astype(np.float64) / 365.0
    days = np.stack(
        [
            series.load_day.astype(np.float64),
            series.pv_day.astype(np.float64),
            (series.weekday >= 5).astype(np.float64),
            sin_array(angle),
            cos_array(angle),
            np.maximum(mean_price / 24.0, 0.0),
            np.maximum(mean_price / 24.0, 0.0) + fee,
        ]
    )
    return Tables(
        feeder,
        series,
        rows,
        np.ascontiguousarray(np.stack([_padded(c, 4) for c in columns])),
        _padded(price.reshape(-1), 1),
        days,
    )


def _rows(scenario: EnergyScenario, feeder: Feeder, series: Series) -> NDArray[np.float32]:
    n_bus = len(feeder.parent)
    rows = np.zeros((len(series.load_kw), 2 * n_bus + len(feeder.pv_bus)))
    for i, bus in enumerate(feeder.load_bus.tolist()):
        rows[:, bus] += series.load_kw[:, i] * scenario.stress.load
        rows[:, n_bus + bus] += series.load_kvar[:, i] * scenario.stress.load
    for j in range(len(feeder.pv_bus)):
        rated = float(feeder.pv_p_kw[j]) * scenario.stress.pv
        rows[:, 2 * n_bus + j] = series.pv_pu[:, j] * rated
    return rows.astype(np.float32)


def _block_mean(quarters: Float) -> Float:
    """Mean of each quarter-hour and the seven after it; the end looks round to the beginning."""
    total = np.zeros_like(quarters)
    for k in range(BLOCK_QUARTERS):
        total += np.roll(quarters, -k)
    return total / BLOCK_QUARTERS


def _padded(values: Float, per_hour: int) -> Float:
    past = PAST_QUARTERS * per_hour // 4
    future = FUTURE_QUARTERS * per_hour // 4
    return np.concatenate([values[-past:], values, values[:future]])


def clock_table() -> Float:
    """Sine, then cosine, of each quarter-hour on the circle of the day, (192,)."""
    angle = TWO_PI * np.arange(QUARTERS_PER_DAY) / QUARTERS_PER_DAY
    return np.concatenate([sin_array(angle), cos_array(angle)])


def exact_power(base: float, exponent: float) -> float:
    """base ** exponent with the project's own functions, 0 where base is 0."""
    return float(exp_array(exponent * log_array(base))) if base > 0.0 else 0.0


def forecast_coefficients(sigma: float, persistence_per_h: float) -> Float:
    """Relative standard error of each two-hour block, at its middle: leads of 1, 3, 5 ... hours."""
    coefficients = np.zeros(FORECAST_BLOCKS)
    for block in range(FORECAST_BLOCKS):
        remembered = 1.0
        for _ in range(2 * block + 1):
            remembered *= persistence_per_h
        coefficients[block] = sigma * np.sqrt(1.0 - remembered * remembered)
    return coefficients
