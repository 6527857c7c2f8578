"""Builds the data files of `envs/energy/data/` from public packages. Run it only to renew them:

    python tools/build_energy_data.py [--prices Netherlands_day-ahead-2015-2024.csv] [--out FOLDER]

It needs the `data` extra (pandapower, simbench) and the price file inside the ev2gym wheel, which
is found in the installed package unless `--prices` names it. Two runs with the same package
versions write the same bytes. `docs/data_energy.md` states every rule that is applied here.
"""

from __future__ import annotations

import argparse
import csv
import datetime as dt
import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.energy.feeder import Feeder
from daogym.envs.energy.pandapower_feeder import convert, from_pandapower

Table = dict[str, NDArray[np.float64]]  # (366 * 96,) profiles by column name

YEAR_DAYS, QUARTERS = 366, 96  # SimBench's year is 2016
MAX_CODE = 65535
PRICE_YEARS = range(2015, 2025)
PRICE_FILE = "Netherlands_day-ahead-2015-2024.csv"

HOME_CHARGER_KW = 11.0
CAR_PARK_KW = 200.0
PV_PROFILES = ("PV5", "PV6", "PV8")
# SimBench's low-voltage grids as seen from medium voltage, scaled to a peak of one.
RESIDENTIAL = ("lv_semiurb4", "lv_urban6", "lv_rural1", "lv_semiurb5", "lv_rural2", "lv_rural3")
COMMERCIAL = ("G3-M", "G4-M")
PEAK = "/peak"

# Conductor classes of ieee33: each branch gets the smallest class that carries its nameplate
# current with a quarter to spare.
AMPACITIES_A = (100.0, 200.0, 300.0, 400.0)
AMPACITY_MARGIN = 1.25
IEEE33_SUBSTATION_KVA = 5000.0
CIGRE_PV_FACTOR = 50.0
# Loads of cigre_mv that stand for other feeders of the same substation: 40 of its 45 MW.
CIGRE_FOREIGN_BUSES = (1, 12)


def main() -> None:
    """Build every file."""
    default = Path(__file__).parents[1] / "envs" / "energy" / "data"
    parser = argparse.ArgumentParser(description="Build the data files of envs/energy/data/.")
    parser.add_argument("--prices", type=Path, default=None, help="price file of ev2gym")
    parser.add_argument("--out", type=Path, default=default, help="folder to write to")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    rural, tables = low_voltage("lv_rural", "1-LV-rural1--2-sw", chargers=5)
    semiurban, more = low_voltage("lv_semiurban", "1-LV-semiurb4--2-sw", chargers=8)
    tables |= more | medium_voltage_profiles()
    feeders = [rural, semiurban, ieee33(), cigre_mv()]
    for feeder in feeders:
        feeder.to_npz(arguments.out / f"{feeder.name}.npz")
    write_profiles(feeders, tables, arguments.out / "profiles.npz")
    write_prices(arguments.prices or _installed_price_file(), arguments.out / "prices_nl.npz")
    for path in sorted(arguments.out.glob("*.npz")):
        print(f"{path.name:20s} {path.stat().st_size / 1024:8.0f} KiB")


# ------------------------------------------------------------------------------------- feeders


def low_voltage(name: str, code: str, chargers: int) -> tuple[Feeder, Table]:
    """A SimBench low-voltage grid with home chargers, and its profiles on the local clock.

    One charger stands at each of the `chargers` buses with the largest nameplate load.
    """
    import simbench

    net = simbench.get_simbench_net(code)
    feeder = from_pandapower(net, name)
    load_kw = np.zeros(feeder.n_bus)
    np.add.at(load_kw, feeder.load_bus, feeder.load_p_kw)
    buses = np.sort(np.argsort(-load_kw, kind="stable")[:chargers])
    feeder = replace(
        feeder,
        ev_bus=buses,
        ev_name=tuple(f"charger at {feeder.bus_name[bus]}" for bus in buses),
        ev_p_kw=np.full(chargers, HOME_CHARGER_KW),
    )
    return feeder, simbench_profiles(net)


def ieee33() -> Feeder:
    """Baran & Wu's 33-bus feeder with a community placed on it by bus number (0 .. 32).

    PV stands at the ten multiples of 3, batteries at the eight multiples of 4, car parks at the six
    multiples of 5; loads take the residential profiles in turn.
    """
    import pandapower.networks

    net = pandapower.networks.case33bw()
    feeder, place = convert(net, "ieee33")
    number = {bus: row for row, bus in place.items()}  # the bus number in the paper, less one
    base_ampere = feeder.s_base_kva / (np.sqrt(3.0) * feeder.v_base_kv)
    nameplate_ampere = _branch_current(feeder) * base_ampere
    rating = np.array(
        [
            next(size for size in AMPACITIES_A if size >= AMPACITY_MARGIN * ampere)
            for ampere in nameplate_ampere
        ]
    )
    rating[0] = np.inf
    feeder = replace(
        feeder,
        i_max_pu=rating / base_ampere,
        transformer_kva=IEEE33_SUBSTATION_KVA,
        bus_name=tuple(f"bus {number[bus]}" for bus in range(feeder.n_bus)),
        load_name=tuple(f"load {number[int(bus)]}" for bus in feeder.load_bus),
        load_profile=tuple(
            RESIDENTIAL[number[int(bus)] % len(RESIDENTIAL)] + PEAK for bus in feeder.load_bus
        ),
    )
    pv = [(row, place[row], 900.0) for row in range(3, 33, 3)]
    batteries = [(row, place[row], 600.0, 300.0) for row in range(4, 33, 4)]
    car_parks = [(row, place[row]) for row in range(5, 33, 5)]
    return with_community(feeder, pv, batteries, car_parks)


def cigre_mv() -> Feeder:
    """The CIGRE medium-voltage benchmark with a community of enlarged photovoltaics.

    PV stands where the benchmark has it, fifty times as large; batteries at four of these buses;
    car parks at the four largest commercial loads.
    """
    import pandapower.networks

    net = pandapower.networks.create_cigre_network_mv(with_der=False)
    plants = pandapower.networks.create_cigre_network_mv(with_der="pv_wind").sgen
    net.load.loc[net.load.bus.isin(CIGRE_FOREIGN_BUSES), "in_service"] = False
    feeder, place = convert(net, "cigre_mv")
    profiles, turn = [], {RESIDENTIAL: 0, COMMERCIAL: 0}
    for name in feeder.load_name:
        kind = COMMERCIAL if "CI" in name else RESIDENTIAL
        profiles.append(kind[turn[kind] % len(kind)] + (PEAK if kind is RESIDENTIAL else ""))
        turn[kind] += 1
    feeder = replace(feeder, load_profile=tuple(profiles))
    pv = [
        (int(row.bus), place[int(row.bus)], float(row.p_mw) * 1000.0 * CIGRE_PV_FACTOR)
        for row in plants[plants["type"] == "PV"].itertuples()
    ]
    batteries = [(row, place[row], 2000.0, 1000.0) for row in (5, 8, 10, 11)]
    car_parks = [(row, place[row]) for row in (3, 7, 9, 14)]
    return with_community(feeder, pv, batteries, car_parks)


def with_community(
    feeder: Feeder,
    pv: list[tuple[int, int, float]],
    batteries: list[tuple[int, int, float, float]],
    car_parks: list[tuple[int, int]],
) -> Feeder:
    """Place PV (number, bus, kW), batteries (number, bus, kWh, kW) and car parks (number, bus)."""
    pv_kw = np.array([kilowatt for _, _, kilowatt in pv])
    battery_kw = np.array([kilowatt for *_, kilowatt in batteries])
    return replace(
        feeder,
        pv_bus=np.array([bus for _, bus, _ in pv]),
        pv_name=tuple(f"PV {number}" for number, *_ in pv),
        pv_p_kw=pv_kw,
        pv_s_kva=1.2 * pv_kw,
        pv_profile=tuple(PV_PROFILES[index % len(PV_PROFILES)] for index in range(len(pv))),
        battery_bus=np.array([bus for _, bus, *_ in batteries]),
        battery_name=tuple(f"battery {number}" for number, *_ in batteries),
        battery_e_kwh=np.array([energy for _, _, energy, _ in batteries]),
        battery_p_kw=battery_kw,
        battery_s_kva=1.2 * battery_kw,
        battery_efficiency=np.full(len(batteries), 0.95),
        ev_bus=np.array([bus for _, bus in car_parks]),
        ev_name=tuple(f"car park {number}" for number, _ in car_parks),
        ev_p_kw=np.full(len(car_parks), CAR_PARK_KW),
    )


def _branch_current(feeder: Feeder) -> NDArray[np.float64]:
    """Nameplate load behind each branch as a current at 1 pu voltage, without losses."""
    demand = np.zeros(feeder.n_bus, dtype=np.complex128)
    np.add.at(demand, feeder.load_bus, feeder.load_p_kw + 1j * feeder.load_q_kvar)
    for bus in range(feeder.n_bus - 1, 0, -1):
        demand[feeder.parent[bus]] += demand[bus]
    return np.asarray(np.abs(demand) / feeder.s_base_kva)


# ------------------------------------------------------------------------------------ profiles


def simbench_profiles(net: Any) -> Table:
    """Load and generation profiles of a SimBench network, on the local clock."""
    table = {}
    for kind in ("load", "renewables"):
        frame = net.profiles[kind]
        rows = local_clock(frame["time"])
        for column in frame.columns.drop("time"):
            values = frame[column].to_numpy(dtype=np.float64)
            table[column] = 0.5 * (values[rows[:, 0]] + values[rows[:, 1]])
    return table


def medium_voltage_profiles() -> Table:
    """Profiles of whole low-voltage grids and large customers; the former scaled to a peak of 1."""
    import simbench

    table = simbench_profiles(simbench.get_simbench_net("1-MV-semiurb--2-sw"))
    for name in RESIDENTIAL:
        for suffix in ("_pload", "_qload"):
            values = table[name + suffix]
            table[name + PEAK + suffix] = values / values.max()
    return table


def local_clock(labels: Any) -> NDArray[np.int64]:
    """Rows of a SimBench profile that stand at each quarter-hour of the local clock.

    SimBench's rows run on in standard time while their labels follow the local clock: the hour from
    02:00 of 27 March is missing and that of 30 October stands twice. Shops open an hour earlier in
    row time from March on, and prices are in local time, so the year is laid out by label.

    Returns:
        (366 * 96, 2) rows to be averaged: the same twice for an ordinary quarter-hour, both
        readings for a doubled one, those an hour before and after for a missing one.
    """
    start = dt.datetime(2016, 1, 1)
    rows: dict[int, list[int]] = {}
    for row, label in enumerate(labels):
        clock = dt.datetime.strptime(label, "%d.%m.%Y %H:%M")
        rows.setdefault(int((clock - start).total_seconds()) // 900, []).append(row)
    table = np.empty((YEAR_DAYS * QUARTERS, 2), dtype=np.int64)
    for quarter in range(YEAR_DAYS * QUARTERS):
        found = rows.get(quarter) or [rows[quarter - 4][0], rows[quarter + 4][0]]
        table[quarter] = found[0], found[-1]
    return table


def write_profiles(feeders: list[Feeder], tables: Table, path: Path) -> None:
    """Write the profiles that the feeders use, in 16 bits: value = low + step * code."""
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
        if values.tobytes() not in seen:  # heat pumps have one shape for P and Q, cars have no Q
            seen[values.tobytes()] = len(codes)
            low.append(float(values.min()))
            step.append(float(values.max() - values.min()) / MAX_CODE or 1.0)
            codes.append(np.round((values - low[-1]) / step[-1]).astype(np.uint16))
        rows.append(seen[values.tobytes()])
    np.savez_compressed(
        path,
        allow_pickle=False,
        names=np.array(names),
        row=np.array(rows, dtype=np.int64),
        codes=np.array(codes),
        low=np.array(low),
        step=np.array(step),
    )


# -------------------------------------------------------------------------------------- prices


def _installed_price_file() -> Path:
    spec = importlib.util.find_spec("ev2gym")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the price file is missing: install ev2gym or name it with --prices")
    return Path(spec.submodule_search_locations[0]) / "data" / PRICE_FILE


def write_prices(source: Path, path: Path) -> None:
    """Write (days, 24) EUR/MWh in local time for each year, as `year_2015` and so on."""
    prices = read_prices(source)
    years: Any = {f"year_{year}": values for year, values in prices.items()}
    np.savez_compressed(path, allow_pickle=False, **years)


def read_prices(path: Path) -> dict[int, NDArray[np.float64]]:
    """Read the day-ahead prices of the Netherlands by year.

    The file is two blocks parted by a row without dates: ISO dates up to September 2023, then
    day/month/year dates from 31 December 2022 on. Where both hold an hour they must agree. The
    doubled hour of October is averaged; the hour missing in March and the three hours that the file
    lacks take the mean of their neighbours.
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
            moment = dt.datetime.strptime(utc, date_format).isoformat()
            hour = local.setdefault(dt.datetime.strptime(clock, date_format), {})
            if hour.setdefault(moment, float(price)) != float(price):
                raise SystemExit(f"{path}:{line}: {utc} costs {price} and {hour[moment]}")
    prices = {}
    for year in PRICE_YEARS:
        start = dt.datetime(year, 1, 1)
        count = (dt.datetime(year + 1, 1, 1) - start).days * 24
        clock_hours = [start + dt.timedelta(hours=hour) for hour in range(-1, count + 1)]
        readings = [list(local.get(hour, {}).values()) for hour in clock_hours]
        means = [sum(found) / len(found) if found else None for found in readings]
        for index in range(1, count + 1):
            if means[index] is None:
                beside = [v for v in (means[index - 1], means[index + 1]) if v is not None]
                means[index] = sum(beside) / len(beside)
                print(f"prices: no reading at {clock_hours[index]}, filled {means[index]:.2f}")
        prices[year] = np.array(means[1:-1], dtype=np.float64).reshape(-1, 24)
    return prices


if __name__ == "__main__":
    main()
