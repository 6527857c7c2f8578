"""The world as data: loads, sunshine and prices of every quarter-hour that a scenario can draw.

A world day joins a day of prices, a day of load profiles and a day of photovoltaic profiles. Days
are grouped in blocks of seven, and a block belongs to one split for good, in every year and for
loads, sunshine and prices alike: nothing seen in training returns in validation or test.

Only + - * / are used and sums run in a written order: the arrays are bit-equal on every processor.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.split_calendar import BLOCK_DAYS, run_starts, split_of_block

from .feeder import Feeder

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

QUARTERS = 96
YEAR_BLOCKS = 52  # the last one or two days of a year belong to no whole block and are left out
SPLIT_NAMES = ("train", "validation", "test")
MONTH_BLOCKS = 4  # photovoltaic days are exchanged within four blocks, so the season stays
MIDDAY_HOURS = (11, 12, 13, 14)
PROFILE_YEAR = np.datetime64("2016-01-01")  # SimBench's profile year; its first day is a Friday
PRICE_YEARS = tuple(range(2015, 2025))
FEEDERS = ("cigre_mv", "ieee33", "lv_rural", "lv_semiurban")


@dataclass(frozen=True)
class Series:
    """A calendar of world days with 96 quarter-hours each.

    Row `day * 96 + quarter` of the profile tables is the quarter-hour that begins `quarter * 15`
    minutes after local midnight of profile day `day`. World day d takes its loads from profile day
    `load_day[d]`, its sunshine from `pv_day[d]` and its prices from row d of `price_eur_per_mwh`.
    """

    load_kw: FloatArray  # (rows, n_load)
    load_kvar: FloatArray  # (rows, n_load)
    pv_pu: FloatArray  # (rows, n_pv), available power per unit of rated power, >= 0
    load_day: IntArray  # (n_days,)
    pv_day: IntArray  # (n_days,)
    price_eur_per_mwh: FloatArray  # (n_days, 24), local hours
    date: NDArray[np.datetime64]  # (n_days,), unit D
    weekday: IntArray  # (n_days,), 0 = Monday
    day_of_year: IntArray  # (n_days,), 0 = first of January
    week: IntArray  # (n_days,), block of seven days within the year, 0 .. 51
    split: IntArray  # (n_days,), 0 train, 1 validation, 2 test
    year_start: IntArray  # (n_days,), index of the first world day of the same year

    @property
    def n_days(self) -> int:
        """Number of world days."""
        return len(self.date)

    def starts(self, split: int, days: int) -> IntArray:
        """First days of all runs of `days` days that stay inside one split and one year.

        Args:
            split: 0 train, 1 validation, 2 test.
            days: length of the run.

        Returns:
            Ascending world days; empty when no run is that long.
        """
        first = run_starts(self.split, split, days)
        return first[self.year_start[first] == self.year_start[first + days - 1]]


def load_feeder(name: str) -> Feeder:
    """Read a feeder shipped with the package, for example `lv_rural`.

    Raises:
        FileNotFoundError: there is no feeder of that name.
    """
    with resources.as_file(resources.files(__package__) / "data" / f"{name}.npz") as path:
        if not path.exists():
            raise FileNotFoundError(
                f"no feeder is named {name!r}; the package ships {', '.join(FEEDERS)}"
            )
        return Feeder.from_npz(path)


def load_profiles(names: Sequence[str]) -> dict[str, FloatArray]:
    """Read shipped SimBench profiles, (366 * 96,) each, on the local clock of 2016.

    Args:
        names: SimBench's column names, for example `H0-A_pload`, `H0-A_qload`, `PV5`.

    Raises:
        KeyError: a profile is not shipped.
    """
    with _open("profiles.npz") as archive:
        rows = dict(zip(archive["names"].tolist(), archive["row"].tolist(), strict=True))
        codes, low, step = archive["codes"], archive["low"], archive["step"]
    found = {}
    for name in names:
        if name not in rows:
            raise KeyError(f"no profile is named {name!r}; shipped: {', '.join(sorted(rows))}")
        row = rows[name]
        found[name] = low[row] + step[row] * codes[row].astype(np.float64)
    return found


def load_prices(year: int) -> FloatArray:
    """Day-ahead prices of the Netherlands in `year`, (days, 24) EUR/MWh, local hours.

    Raises:
        ValueError: the year is not shipped.
    """
    if year not in PRICE_YEARS:
        raise ValueError(
            f"price year {year!r} is not shipped; expected {PRICE_YEARS[0]} to {PRICE_YEARS[-1]}"
        )
    with _open("prices_nl.npz") as archive:
        return np.asarray(archive[f"year_{year}"], dtype=np.float64)


def build_series(feeder: Feeder, price_years: Sequence[int], *, rematch_pv: bool = True) -> Series:
    """Join SimBench's profile year with the prices of one or more years.

    The load day of a price day lies in the same block of seven days of 2016 and has the same
    weekday. The sunshine of 2016 knows nothing of other years' prices; with `rematch_pv` the
    photovoltaic days of four blocks are handed out anew within each split: the day with the lowest
    mean price from 11 to 15 h gets the day with the highest yield, and so on. Each photovoltaic day
    is used once per price year.

    Args:
        feeder: names the profiles and the nameplate powers.
        price_years: years from 2015 to 2024, in the order wanted.
        rematch_pv: hand out photovoltaic days by price rank; otherwise they are the load days.

    Returns:
        52 blocks of seven days for each price year.

    Raises:
        ValueError: no year, a year twice or a year that is not shipped.
        KeyError: the feeder names a profile that is not shipped.
    """
    if not price_years or len(set(price_years)) != len(price_years):
        raise ValueError(
            f"price_years is {list(price_years)!r}, expected one or more different years"
        )
    p_names = [f"{profile}_pload" for profile in feeder.load_profile]
    q_names = [f"{profile}_qload" for profile in feeder.load_profile]
    profiles = load_profiles([*dict.fromkeys([*p_names, *q_names, *feeder.pv_profile])])
    load_kw = _table([profiles[name] for name in p_names], feeder.load_p_kw)
    load_kvar = _table([profiles[name] for name in q_names], feeder.load_q_kvar)
    pv_pu = _table([profiles[name] for name in feeder.pv_profile], np.ones(len(feeder.pv_p_kw)))
    pv_pu = np.maximum(pv_pu, 0.0)

    day_of_year = np.arange(YEAR_BLOCKS * BLOCK_DAYS)
    week = day_of_year // BLOCK_DAYS
    split = split_of_block(week)
    pv_yield = daily_yield(pv_pu, feeder.pv_p_kw)
    first_weekday = weekday_of(PROFILE_YEAR)
    dates, prices, load_days, pv_days = [], [], [], []
    for year in price_years:
        date = np.datetime64(f"{year}-01-01") + day_of_year
        price = load_prices(year)[: len(day_of_year)]
        load_day = week * BLOCK_DAYS + (weekday_of(date) - first_weekday) % BLOCK_DAYS
        dates.append(date)
        prices.append(price)
        load_days.append(load_day)
        pv_days.append(rematch(price, pv_yield, week, split) if rematch_pv else load_day)
    years, days = len(price_years), len(day_of_year)
    date = np.concatenate(dates)
    return Series(
        load_kw=load_kw,
        load_kvar=load_kvar,
        pv_pu=pv_pu,
        load_day=np.concatenate(load_days),
        pv_day=np.concatenate(pv_days),
        price_eur_per_mwh=np.concatenate(prices),
        date=date,
        weekday=weekday_of(date),
        day_of_year=np.tile(day_of_year, years),
        week=np.tile(week, years),
        split=np.tile(split, years),
        year_start=np.repeat(np.arange(years) * days, days),
    )


def rematch(price: FloatArray, pv_yield: FloatArray, week: IntArray, split: IntArray) -> IntArray:
    """Photovoltaic day of each price day, by rank within four blocks and one split.

    Days of equal price or yield keep their order.

    Args:
        price: (n_days, 24) EUR/MWh of one year.
        pv_yield: (>= n_days,) yield of each photovoltaic day.
        week: (n_days,) block of each day.
        split: (n_days,) split of each day.

    Returns:
        (n_days,) a permutation of the days that keeps every group to itself.
    """
    midday = price[:, MIDDAY_HOURS[0]]
    for hour in MIDDAY_HOURS[1:]:
        midday = midday + price[:, hour]
    pv_day = np.empty(len(price), dtype=np.int64)
    group = (week // MONTH_BLOCKS) * len(SPLIT_NAMES) + split
    for one in np.unique(group):
        days = np.flatnonzero(group == one)
        cheapest_first = days[np.argsort(midday[days], kind="stable")]
        sunniest_first = days[np.argsort(-pv_yield[days], kind="stable")]
        pv_day[cheapest_first] = sunniest_first
    return pv_day


def daily_yield(pv_pu: FloatArray, pv_p_kw: FloatArray) -> FloatArray:
    """Energy that all plants together can give on each profile day, (n_days,) kWh."""
    days = len(pv_pu) // QUARTERS
    power_kw = np.zeros(len(pv_pu))
    for plant, rated_kw in enumerate(pv_p_kw):
        power_kw = power_kw + pv_pu[:, plant] * rated_kw
    energy_kwh = np.zeros(days)
    for quarter in range(QUARTERS):
        energy_kwh = energy_kwh + power_kw.reshape(days, QUARTERS)[:, quarter] * 0.25
    return energy_kwh


def weekday_of(date: NDArray[np.datetime64] | np.datetime64) -> IntArray:
    """Weekday of each date, 0 = Monday; the first of January 1970 was a Thursday."""
    return (np.asarray(date, dtype="datetime64[D]").astype(np.int64) + 3) % 7


def _table(profiles: list[FloatArray], scale: FloatArray) -> FloatArray:
    """(rows, n) of profile times scale."""
    rows = (366 if not profiles else len(profiles[0]) // QUARTERS) * QUARTERS
    table = np.empty((rows, len(profiles)))
    for column, values in enumerate(profiles):
        table[:, column] = values * scale[column]
    return table


def _open(name: str) -> np.lib.npyio.NpzFile:
    path = resources.files(__package__).joinpath("data", name)
    return np.load(io.BytesIO(path.read_bytes()), allow_pickle=False)
