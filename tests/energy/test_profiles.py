"""The world as data: splits that never leak, days that match, prices that agree with the source."""

from __future__ import annotations

import csv
import datetime as dt
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from daogym.envs.energy import profiles
from daogym.envs.energy.profiles import (
    FEEDERS,
    PRICE_YEARS,
    SPLIT_NAMES,
    Series,
    build_series,
    daily_yield,
    load_feeder,
    load_prices,
    load_profiles,
)

from .reference_networks import simbench_profiles

PRICES_2023 = Path(__file__).parents[3] / "shared" / "data" / "prices" / "NL_2023.csv"
EVERY_YEAR = tuple(PRICE_YEARS)


@pytest.fixture(scope="module")
def series() -> Series:
    return build_series(load_feeder("lv_rural"), EVERY_YEAR)


def test_calendar_is_the_gregorian_one(series: Series) -> None:
    assert series.n_days == 364 * len(EVERY_YEAR)
    for day in range(0, series.n_days, 37):
        date = series.date[day].astype(object)
        assert series.weekday[day] == date.weekday()
        assert series.day_of_year[day] == date.timetuple().tm_yday - 1
        assert series.date[series.year_start[day]].astype(object) == dt.date(date.year, 1, 1)
    assert np.all(np.diff(series.year_start) >= 0)


def test_splits_have_their_shares_in_every_season(series: Series) -> None:
    for quarter in range(4):
        season = series.week // 13 == quarter
        share = np.bincount(series.split[season], minlength=3) / season.sum()
        np.testing.assert_allclose(share, [0.5, 0.25, 0.25], atol=0.06)
    share = np.bincount(series.split, minlength=3) / series.n_days
    np.testing.assert_allclose(share, [0.5, 0.25, 0.25], atol=0.001)


@pytest.mark.parametrize("rematch_pv", [True, False])
def test_no_profile_day_and_no_block_is_in_two_splits(rematch_pv: bool) -> None:
    series = build_series(load_feeder("lv_rural"), EVERY_YEAR, rematch_pv=rematch_pv)
    for days in (series.load_day, series.pv_day, series.day_of_year, series.week):
        sets = [set(days[series.split == split].tolist()) for split in range(3)]
        assert all(sets)
        assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])


def test_load_days_keep_weekday_and_block(series: Series) -> None:
    for load_day, weekday, week in zip(series.load_day, series.weekday, series.week, strict=True):
        assert (dt.date(2016, 1, 1) + dt.timedelta(days=int(load_day))).weekday() == weekday
        assert load_day // 7 == week


def test_every_pv_day_serves_once_a_year_and_stays_in_its_season(series: Series) -> None:
    for start in np.unique(series.year_start):
        year = series.year_start == start
        assert sorted(series.pv_day[year].tolist()) == list(range(364))
    assert np.all(series.pv_day // 28 == series.day_of_year // 28)


def test_cheaper_middays_are_sunnier(series: Series) -> None:
    feeder = load_feeder("lv_rural")
    energy_kwh = daily_yield(series.pv_pu, feeder.pv_p_kw)
    direct = (series.pv_pu @ feeder.pv_p_kw).reshape(-1, 96).sum(axis=1) * 0.25
    np.testing.assert_allclose(energy_kwh, direct, rtol=1e-12)
    midday = series.price_eur_per_mwh[:, 11:15].mean(axis=1)
    year, month = series.date.astype("datetime64[Y]"), series.day_of_year // 28
    for one_year in np.unique(year):
        for one_month in range(13):
            for split in range(3):
                days = np.flatnonzero(
                    (year == one_year) & (month == one_month) & (series.split == split)
                )
                assert len(days) == (14 if split == 0 else 7)
                by_price = days[np.lexsort((days, midday[days]))]
                assert np.all(np.diff(energy_kwh[series.pv_day[by_price]]) <= 1e-9)


def test_rematching_brings_sun_and_price_together() -> None:
    feeder = load_feeder("lv_rural")
    correlation = []
    for rematch_pv in (False, True):
        series = build_series(feeder, [2023], rematch_pv=rematch_pv)
        energy_kwh = daily_yield(series.pv_pu, feeder.pv_p_kw)[series.pv_day]
        midday = series.price_eur_per_mwh[:, 11:15].mean(axis=1)
        correlation.append(np.corrcoef(energy_kwh, midday)[0, 1])
    assert correlation[1] < correlation[0] - 0.2


@pytest.mark.parametrize("days", [1, 7])
def test_starts_stay_inside_split_and_year(series: Series, days: int) -> None:
    for split in range(3):
        starts = series.starts(split, days)
        assert len(starts) == {1: 7, 7: 1}[days] * len(EVERY_YEAR) * (26 if split == 0 else 13)
        for start in starts[::11]:
            run = slice(start, start + days)
            assert set(series.split[run].tolist()) == {split}
            assert len(set(series.year_start[run].tolist())) == 1
    assert len(series.starts(0, 8)) == 0 and len(series.starts(0, 10**6)) == 0


@pytest.mark.parametrize("name", FEEDERS)
def test_series_of_every_feeder_is_sound(name: str) -> None:
    feeder = load_feeder(name)
    series = build_series(feeder, [2023])
    rows = 366 * 96
    assert series.load_kw.shape == series.load_kvar.shape == (rows, len(feeder.load_bus))
    assert series.pv_pu.shape == (rows, len(feeder.pv_bus))
    assert np.all(np.isfinite(series.load_kvar)) and np.all(series.load_kw >= 0.0)
    assert np.all(series.load_kw <= feeder.load_p_kw * (1.0 + 1e-12))
    assert np.all((series.pv_pu >= 0.0) & (series.pv_pu <= 1.0))
    night = series.pv_pu.reshape(366, 96, -1)[:, :8]
    assert np.all(night == 0.0)
    assert len(SPLIT_NAMES) == series.split.max() + 1


def test_lv_rural_has_the_load_and_sunshine_of_its_source() -> None:
    feeder = load_feeder("lv_rural")
    series = build_series(feeder, [2023])
    net_kw = series.load_kw.sum(axis=1) - series.pv_pu @ feeder.pv_p_kw
    assert series.load_kw.sum(axis=1).mean() == pytest.approx(26.6, abs=0.1)
    assert (series.pv_pu @ feeder.pv_p_kw).max() == pytest.approx(266.0, abs=0.5)
    assert np.mean(net_kw < -160.0) == pytest.approx(0.036, abs=0.001)


def test_profiles_are_simbenchs_to_sixteen_bits() -> None:
    frames = simbench_profiles("1-LV-rural1--2-sw")
    labels = list(frames["load"]["time"])
    count = Counter(labels)
    feeder = load_feeder("lv_rural")
    names = {f"{profile}_{kind}" for profile in feeder.load_profile for kind in ("pload", "qload")}
    shipped = load_profiles(sorted(names | set(feeder.pv_profile)))
    moments = {label: row for row, label in enumerate(labels) if count[label] == 1}
    start = dt.datetime(2016, 1, 1)
    picks = [label for label in labels[::997] if label in moments]
    # summer noon: the label, not the row, is the local time
    picks += ["01.07.2016 12:00", "31.12.2016 23:45"]
    for name, values in shipped.items():
        source = frames["renewables" if name in feeder.pv_profile else "load"][name].to_numpy()
        error = 0.5001 * (source.max() - source.min()) / 65535
        for label in picks:
            clock = dt.datetime.strptime(label, "%d.%m.%Y %H:%M")
            row = int((clock - start).total_seconds()) // 900
            assert values[row] == pytest.approx(source[moments[label]], abs=error + 1e-15)


def test_sun_stands_highest_an_hour_later_in_summer_time() -> None:
    power = load_profiles(["PV5"])["PV5"].reshape(366, 96)
    centre = [
        np.average(np.arange(96) / 4.0, weights=power[first:last].sum(axis=0))
        for first, last in ((72, 86), (87, 101))  # two weeks before and after 27 March
    ]
    assert centre[1] - centre[0] == pytest.approx(1.0, abs=0.25)


def test_prices_fill_every_year() -> None:
    for year in PRICE_YEARS:
        prices = load_prices(year)
        leap = year % 4 == 0
        assert prices.shape == (366 if leap else 365, 24)
        assert prices.size == (8784 if leap else 8760)
        assert np.all(np.isfinite(prices)) and prices.min() > -800 and prices.max() < 1000


@pytest.mark.parametrize(
    ("year", "mean", "spread"), [(2019, 41, 27), (2022, 242, 208), (2023, 96, 100), (2024, 77, 114)]
)
def test_prices_have_the_known_mean_and_daily_spread(year: int, mean: int, spread: int) -> None:
    prices = load_prices(year)
    assert prices.mean() == pytest.approx(mean, abs=1.0)
    assert np.ptp(prices, axis=1).mean() == pytest.approx(spread, rel=0.08)


def test_prices_of_2023_agree_with_a_second_source() -> None:
    if not PRICES_2023.exists():
        pytest.skip(f"the second source, {PRICES_2023.name} in USD/MWh, is not at hand")
    dollars: dict[tuple[int, int], list[float]] = {}
    with PRICES_2023.open(newline="") as file:
        for row in csv.DictReader(file):
            clock = dt.datetime.fromisoformat(row["Datetime (Local)"])
            if clock.year == 2023:
                key = clock.timetuple().tm_yday - 1, clock.hour
                dollars.setdefault(key, []).append(float(row["Price (USD/MWh)"]))
    # The second source states, at a fixed exchange rate, the mean of each hour and the one before,
    # and a straight line for 30 June. Elsewhere both must agree to the last digit.
    euros = load_prices(2023).ravel()
    before = np.concatenate([[euros[0]], euros[:-1]])
    expected = 1.07764 * 0.5 * (before + euros).reshape(365, 24)
    agreeing = 0
    for (day, hour), readings in dollars.items():
        agreeing += len(readings) == 1 and abs(readings[0] - expected[day, hour]) < 1e-9
    straight_line, filled, summer_time, double_hour = 25, 3, 2, 2
    assert len(dollars) == 8758
    assert agreeing >= len(dollars) - straight_line - filled - summer_time - double_hour


def test_wrong_requests_name_what_is_there() -> None:
    feeder = load_feeder("lv_rural")
    with pytest.raises(ValueError, match="2031"):
        build_series(feeder, [2031])
    with pytest.raises(ValueError, match="different years"):
        build_series(feeder, [2023, 2023])
    with pytest.raises(ValueError, match="different years"):
        build_series(feeder, [])
    with pytest.raises(KeyError, match="H0-A_pload"):
        load_profiles(["H0-Z_pload"])
    with pytest.raises(FileNotFoundError, match="lv_rural"):
        load_feeder("lv_nowhere")


def test_data_preparation_calls_no_function_of_the_c_library() -> None:
    source = Path(profiles.__file__).read_text()
    for name in (
        "np.exp",
        "np.log",
        "np.sin",
        "np.cos",
        "np.power",
        "**",
        "np.sum",
        "np.dot",
        "@ ",
    ):
        assert name not in source.replace("@dataclass", "").replace("@property", "")
