"""Builds the data files of `envs/energy/data/` from public packages. Run it only to renew them:

    python tools/build_energy_data.py [--prices Netherlands_day-ahead-2015-2024.csv] [--out FOLDER]

It needs the `data` extra (pandapower, simbench) and the price file inside the ev2gym wheel, which is found in the
installed package unless `--prices` names it. Two runs with the same package versions write the same arrays.
`docs/data_energy.md` states every rule that is applied here.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
from daogym.envs.energy.feeder import Feeder
from numpy.typing import NDArray

YEAR_DAYS, QUARTERS = 366, 96  # SimBench's year is 2016
PRICE_YEARS = range(2015, 2025)
PRICE_FILE = "Netherlands_day-ahead-2015-2024.csv"
MAX_CODE = 65535


def main() -> None:
    """Build every file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prices", type=Path, default=None, help="the price file of the ev2gym package")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "envs" / "energy" / "data")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    feeders, tables = build_feeders()
    for feeder in feeders:
        feeder.to_npz(arguments.out / f"{feeder.name}.npz")
    write_profiles(feeders, tables, arguments.out / "profiles.npz")
    source = arguments.prices or _installed_price_file()
    write_prices(read_prices(source), arguments.out / "prices_nl.npz")
    for path in sorted(arguments.out.glob("*.npz")):
        print(f"{path.name:20s} {path.stat().st_size / 1024:8.0f} KiB")


# ---------------------------------------------------------------------------------------------------- profiles


def local_clock(frame: Any) -> NDArray[np.int64]:
    """Row of a SimBench profile table that stands at each quarter-hour of the local clock.

    SimBench's rows run on in standard time while their labels follow the local clock: the hour from 02:00 of 27 March
    is missing and that of 30 October stands twice. Loads follow the label (shops open one hour earlier in standard
    time from March on), and prices are in local time, so the year is laid out by label.

    Returns:
        (366 * 96, 2) row numbers, to be averaged: twice the same for an ordinary quarter-hour, both readings for a
        doubled one, and the readings one hour before and after for a missing one.
    """
    start = dt.datetime(2016, 1, 1)
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(frame["time"]):
        minutes = int((dt.datetime.strptime(label, "%d.%m.%Y %H:%M") - start).total_seconds()) // 60
        rows.setdefault(minutes // 15, []).append(row)
    table = np.empty((YEAR_DAYS * QUARTERS, 2), dtype=np.int64)
    for quarter in range(YEAR_DAYS * QUARTERS):
        found = rows.get(quarter) or [rows[quarter - 4][0], rows[quarter + 4][0]]
        table[quarter] = found[0], found[-1]
    return table


def write_profiles(feeders: list[Feeder], tables: dict[str, NDArray[np.float64]], path: Path) -> None:
    """Write the profiles that the feeders use, quantised to 16 bits: value = low + step * code."""
    wanted: set[str] = set()
    for feeder in feeders:
        for profile in feeder.load_profile:
            wanted |= {f"{profile}_pload", f"{profile}_qload"}
        wanted |= set(feeder.pv_profile)
    names = sorted(wanted)
    rows: list[int] = []
    codes: list[NDArray[np.uint16]] = []
    low: list[float] = []
    step: list[float] = []
    seen: dict[bytes, int] = {}
    for name in names:
        values = tables[name]
        if values.tobytes() not in seen:  # heat pumps share one shape for P and Q, chargers have no Q
            seen[values.tobytes()] = len(codes)
            low.append(float(values.min()))
            step.append(float(values.max() - values.min()) / MAX_CODE or 1.0)
            codes.append(np.round((values - low[-1]) / step[-1]).astype(np.uint16))
        rows.append(seen[values.tobytes()])
    np.savez_compressed(
        path, allow_pickle=False, names=np.array(names), row=np.array(rows, dtype=np.int64),
        codes=np.array(codes), low=np.array(low), step=np.array(step),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- feeders


def build_feeders() -> tuple[list[Feeder], dict[str, NDArray[np.float64]]]:
    """The feeders, and every SimBench profile by its column name, (366 * 96,) on the local clock."""
    import simbench
    from daogym.envs.energy.pandapower_feeder import from_pandapower

    tables: dict[str, NDArray[np.float64]] = {}
    feeders = []
    for name, code, chargers in (("lv_rural", "1-LV-rural1--2-sw", 5), ("lv_semiurban", "1-LV-semiurb4--2-sw", 8)):
        net = simbench.get_simbench_net(code)
        for kind in ("load", "renewables"):
            frame = net.profiles[kind]
            rows = local_clock(frame)
            for column in frame.columns.drop("time"):
                values = frame[column].to_numpy(dtype=np.float64)
                tables[column] = 0.5 * (values[rows[:, 0]] + values[rows[:, 1]])
        feeders.append(with_home_chargers(from_pandapower(net, name), chargers))
    return feeders, tables


def with_home_chargers(feeder: Feeder, count: int, p_kw: float = 11.0) -> Feeder:
    """Add one charger of `p_kw` at each of the `count` load buses with the largest nameplate load (ties: lower bus)."""
    from dataclasses import replace

    load_kw = np.zeros(feeder.n_bus)
    np.add.at(load_kw, feeder.load_bus, feeder.load_p_kw)
    buses = np.sort(np.argsort(-load_kw, kind="stable")[:count])
    return replace(
        feeder, ev_bus=buses, ev_name=tuple(f"charger at {feeder.bus_name[bus]}" for bus in buses),
        ev_p_kw=np.full(count, p_kw),
    )  # fmt: skip


# ---------------------------------------------------------------------------------------------------- prices


def _installed_price_file() -> Path:
    spec = importlib.util.find_spec("ev2gym")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the price file is missing: install ev2gym or name the file with --prices")
    return Path(spec.submodule_search_locations[0]) / "data" / PRICE_FILE


def read_prices(path: Path) -> dict[int, NDArray[np.float64]]:
    """Read the day-ahead prices of the Netherlands, (days, 24) EUR/MWh in local time, by year.

    The file is two blocks parted by a row without dates: ISO dates up to September 2023, then day/month/year dates from
    31 December 2022 on. Where both hold an hour they must agree. The doubled hour in October is averaged; the hour
    missing in March and the few hours that the file lacks take the mean of their neighbours.
    """
    local: dict[dt.datetime, dict[str, float]] = {}
    date_format = "%Y-%m-%d %H:%M:%S"
    with open(path, newline="") as file:
        reader = csv.reader(file)
        next(reader)
        for line, (_, utc, clock, price) in enumerate(reader, 2):
            if not utc:
                date_format = "%d/%m/%Y %H:%M"
                continue
            universal = dt.datetime.strptime(utc, date_format).isoformat()
            hour = local.setdefault(dt.datetime.strptime(clock, date_format), {})
            if hour.setdefault(universal, float(price)) != float(price):
                raise SystemExit(f"{path}:{line}: {utc} has the prices {hour[universal]} and {price}")
    prices = {}
    for year in PRICE_YEARS:
        start = dt.datetime(year, 1, 1)
        days = (dt.datetime(year + 1, 1, 1) - start).days
        hours = [list(local.get(start + dt.timedelta(hours=h), {}).values()) for h in range(days * 24)]
        values = [sum(readings) / len(readings) if readings else None for readings in hours]
        filled = []
        for index, value in enumerate(values):
            if value is None:
                around = [v for v in (values[index - 1] if index else None, values[index + 1]) if v is not None]
                value = sum(around) / len(around)
                print(f"prices: filled {start + dt.timedelta(hours=index)} with {value:.2f}")
            filled.append(value)
        prices[year] = np.array(filled).reshape(days, 24)
    return prices


def write_prices(prices: dict[int, NDArray[np.float64]], path: Path) -> None:
    """Write one array per year."""
    np.savez_compressed(path, allow_pickle=False, **{f"year_{year}": values for year, values in prices.items()})


if __name__ == "__main__":
    main()
