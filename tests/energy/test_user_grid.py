"""A user's own grid: files are read exactly, and every fault is one error that names its place."""

from __future__ import annotations

import copy
import csv
import datetime as dt
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daogym.envs.energy.feeder import Feeder
from daogym.envs.energy.profiles import load_feeder
from daogym.envs.energy.user_grid import (
    UserGridError,
    load_user_grid,
    read_feeder,
    read_series,
)

MONDAY = dt.datetime(2024, 1, 1)
WEEKS = 4
QUARTERS = WEEKS * 7 * 96
HEADER = ["timestamp", "mill.p_kw", "mill.q_kvar", "house, old.p_kw", "roof.pv_pu"]
Rows = list[list[str]]


@pytest.fixture(scope="module")
def feeder() -> Feeder:
    """Two loads and one plant on three buses."""
    whole = load_feeder("lv_rural")
    return replace(
        whole,
        load_bus=np.array([1, 2]), load_name=("mill", "house, old"), load_p_kw=np.array([8.0, 4.0]),
        load_q_kvar=np.array([2.0, 1.0]), load_profile=("", ""),
        pv_bus=np.array([2]), pv_name=("roof",), pv_p_kw=np.array([5.0]), pv_s_kva=np.array([6.0]),
        pv_profile=("",),
    )  # fmt: skip


def profile_rows(start: dt.datetime = MONDAY, rows: int = QUARTERS, step: int = 15) -> Rows:
    """A header and rows that are right; the values differ from row to row."""
    lines = [HEADER]
    for row in range(rows):
        time = start + dt.timedelta(minutes=step * row)
        sun = max(0.0, 1.0 - abs(time.hour - 12) / 6.0)
        lines.append([
            time.isoformat(" ", "minutes"), f"{row / 7:.6f}", f"{row / 9 - 50:.6f}",
            f"{row % 13}", f"{sun:.4f}",
        ])  # fmt: skip
    return lines


def price_rows(start: dt.datetime = MONDAY, hours: int = WEEKS * 168) -> Rows:
    lines = [["timestamp", "price_eur_per_mwh"]]
    for hour in range(hours):
        time = start + dt.timedelta(hours=hour)
        lines.append([time.isoformat(), f"{hour * 0.5 - 40:.2f}"])
    return lines


PROFILES, PRICES = profile_rows(), price_rows()


def write(path: Path, rows: Rows) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def write_both(folder: Path, profiles: Rows = PROFILES, prices: Rows = PRICES) -> tuple[Path, Path]:
    return write(folder / "mine.csv", profiles), write(folder / "prices.csv", prices)


def test_series_holds_what_the_files_say(feeder: Feeder, tmp_path: Path) -> None:
    series = read_series(feeder, *write_both(tmp_path))
    assert series.n_days == 28
    for row in (0, 1, 95, 96, 1000, QUARTERS - 1):
        cells = PROFILES[row + 1]
        assert series.load_kw[row].tolist() == [float(cells[1]), float(cells[3])]
        assert series.load_kvar[row, 0] == float(cells[2])
        assert series.load_kvar[row, 1] == pytest.approx(0.25 * float(cells[3]))
        assert series.pv_pu[row, 0] == float(cells[4])
    assert series.price_eur_per_mwh[27, 23] == float(PRICES[-1][1])
    np.testing.assert_array_equal(series.load_day, np.arange(28))
    np.testing.assert_array_equal(series.pv_day, np.arange(28))
    np.testing.assert_array_equal(series.weekday, np.arange(28) % 7)
    np.testing.assert_array_equal(series.week, np.arange(28) // 7)
    assert np.bincount(series.split).tolist() == [14, 7, 7]
    assert [len(series.starts(split, 7)) for split in range(3)] == [2, 1, 1]


def test_weeks_begin_on_the_first_monday(feeder: Feeder, tmp_path: Path) -> None:
    start = dt.datetime(2024, 2, 22, 6)  # a Thursday morning; the first Monday is the 26th
    profiles = profile_rows(start, QUARTERS + 5 * 96)
    prices = price_rows(dt.datetime(2024, 2, 1), 60 * 24)
    series = read_series(feeder, *write_both(tmp_path, profiles, prices))
    assert series.date[0] == np.datetime64("2024-02-26") and series.n_days == 28
    skipped = (3 * 24 + 18) * 4
    assert series.load_kw[0, 0] == float(profiles[1 + skipped][1])
    assert series.price_eur_per_mwh[0, 0] == float(prices[1 + 25 * 24][1])
    assert series.day_of_year[0] == 31 + 25


def test_weeks_begin_on_the_first_day_where_a_monday_is_too_late(
    feeder: Feeder, tmp_path: Path
) -> None:
    start = dt.datetime(2024, 1, 3)
    series = read_series(feeder, *write_both(tmp_path, profile_rows(start), price_rows(start)))
    assert series.date[0] == np.datetime64("2024-01-03") and series.n_days == 28


def test_longer_steps_are_held(feeder: Feeder, tmp_path: Path) -> None:
    files = write_both(tmp_path, profile_rows(rows=QUARTERS // 2, step=30))
    series = read_series(feeder, *files, step_minutes=30)
    assert series.load_kw.shape == (QUARTERS, 2)
    np.testing.assert_array_equal(series.load_kw[::2], series.load_kw[1::2])
    assert series.load_kw[-1, 0] == float(profile_rows(rows=QUARTERS // 2, step=30)[-1][1])


def test_column_order_spaces_and_blank_lines_do_not_matter(feeder: Feeder, tmp_path: Path) -> None:
    mixed = [[f" {row[index]} " for index in (4, 2, 0, 1, 3)] for row in PROFILES]
    plain = write_both(tmp_path, PROFILES)
    files = write(tmp_path / "mixed.csv", [*mixed[:50], [], *mixed[50:], []]), plain[1]
    ours, theirs = read_series(feeder, *files), read_series(feeder, *plain)
    np.testing.assert_array_equal(ours.load_kw, theirs.load_kw)
    np.testing.assert_array_equal(ours.load_kvar, theirs.load_kvar)


def cell(row: int, column: int, text: str) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        rows = [list(line) for line in rows]
        rows[row][column] = text
        return rows

    return change


def drop(row: int) -> Callable[[Rows], Rows]:
    return lambda rows: rows[:row] + rows[row + 1 :]


def twice(row: int) -> Callable[[Rows], Rows]:
    return lambda rows: rows[: row + 1] + rows[row:]


def without_column(column: int) -> Callable[[Rows], Rows]:
    return lambda rows: [line[:column] + line[column + 1 :] for line in rows]


def cut(rows_left: int) -> Callable[[Rows], Rows]:
    return lambda rows: rows[:rows_left]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_column(0), ["line 1", "'timestamp' is missing", "'mill.p_kw'"]),
        (without_column(4), ["line 1", "'roof.pv_pu' is missing"]),
        (cell(0, 2, "mill.q_kw"), ["'mill.q_kw'", "did you mean 'mill.q_kvar'"]),
        (cell(0, 2, "mill.p_kw"), ["line 1", "'mill.p_kw' stands twice"]),
        (drop(700), ["line 701", "timestamp", "a gap", "2024-01-08 06:45:00"]),
        (twice(700), ["line 702", "timestamp", "a double time"]),
        (cell(3, 0, "2024-01-01 00:31"), ["line 4", "a gap", "00:30:00"]),
        (cell(3, 0, "2024-01-01 00:29"), ["line 4", "a wrong step", "00:30:00"]),
        (cell(9, 0, "2024-01-01 00:00"), ["line 10", "a step back"]),
        (cell(1, 0, "2024-01-01 00:05"), ["line 2", "multiple of 15 minutes"]),
        (cell(1, 0, "2024-01-01 00:00+01:00"), ["line 2", "has a zone"]),
        (cell(5, 0, "yesterday"), ["line 6", "timestamp", "'yesterday'", "2023-01-31 13:45"]),
        (cell(5, 1, "much"), ["line 6", "'mill.p_kw'", "'much'", "a number"]),
        (cell(5, 1, "nan"), ["line 6", "'mill.p_kw'", "'nan'", "a number"]),
        (cell(5, 2, "inf"), ["line 6", "'mill.q_kvar'", "'inf'"]),
        (cell(5, 1, ""), ["line 6", "'mill.p_kw'", "''"]),
        (cell(5, 1, "1_000"), ["line 6", "'1_000'"]),
        (cell(5, 3, "-0.5"), ["line 6", "'house, old.p_kw'", "-0.5", "0 or more"]),
        (cell(5, 4, "1.2"), ["line 6", "'roof.pv_pu'", "1.2", "0 to 1"]),
        (lambda rows: [*rows[:8], rows[8][:-1], *rows[9:]], ["line 9", "4 cells, expected 5"]),
        (cut(1), ["no rows"]),
        (cut(0), ["line 1", "'timestamp' is missing"]),
        (cut(QUARTERS), ["4 whole weeks", "2024-01-28 23:45:00"]),
        (lambda rows: [["a;b;c"], *rows[1:]], ["'timestamp' is missing", "'a;b;c'"]),
    ],
)
def test_faults_of_profiles_name_line_and_column(
    change: Callable[[Rows], Rows], words: list[str], feeder: Feeder, tmp_path: Path
) -> None:
    files = write_both(tmp_path, profiles=change(PROFILES))
    with pytest.raises(UserGridError) as caught:
        read_series(feeder, *files)
    for word in ("mine.csv", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_column(1), ["'price_eur_per_mwh' is missing"]),
        (drop(30), ["line 31", "a gap"]),
        (cell(4, 1, "cheap"), ["line 5", "'price_eur_per_mwh'", "'cheap'"]),
        (cut(WEEKS * 168), ["2024-01-28 23:00:00", "cover", "2024-01-29 00:00:00"]),
        (lambda rows: price_rows(MONDAY + dt.timedelta(days=2)), ["2024-01-03", "cover"]),
        (lambda rows: price_rows(MONDAY - dt.timedelta(minutes=30), 700), ["multiple of 60"]),
    ],
)
def test_faults_of_prices_name_line_and_column(
    change: Callable[[Rows], Rows], words: list[str], feeder: Feeder, tmp_path: Path
) -> None:
    files = write_both(tmp_path, prices=change(PRICES))
    with pytest.raises(UserGridError) as caught:
        read_series(feeder, *files)
    for word in ("prices.csv", *words):
        assert word in str(caught.value)


def test_files_that_cannot_be_read(feeder: Feeder, tmp_path: Path) -> None:
    profiles, prices = write_both(tmp_path)
    with pytest.raises(UserGridError, match=r"nowhere\.csv: cannot be read"):
        read_series(feeder, tmp_path / "nowhere.csv", prices)
    profiles.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(UserGridError, match=r"mine\.csv: cannot be read as UTF-8"):
        read_series(feeder, profiles, prices)
    with pytest.raises(UserGridError, match="step_minutes is 7"):
        read_series(feeder, profiles, prices, step_minutes=7)


numbers = st.floats(min_value=0.0, max_value=1e6, allow_nan=False)
once = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@once
@given(
    kilowatts=st.lists(numbers, min_size=8, max_size=8),
    sun=st.lists(st.floats(0.0, 1.0), min_size=8, max_size=8),
    prices=st.lists(st.floats(-500.0, 5000.0), min_size=8, max_size=8),
    start=st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2090, 1, 1)),
)
def test_numbers_survive_the_round_trip(
    kilowatts: list[float],
    sun: list[float],
    prices: list[float],
    start: dt.datetime,
    feeder: Feeder,
    tmp_path: Path,
) -> None:
    midnight = dt.datetime.combine(start.date(), dt.time())
    first = midnight + dt.timedelta(days=(-midnight.weekday()) % 7)
    profile_table = profile_rows(first)
    for row, line in enumerate(profile_table[1:]):
        line[1], line[3], line[4] = (
            repr(kilowatts[row % 8]),
            repr(kilowatts[-1]),
            repr(sun[row % 8]),
        )
    price_table = price_rows(first)
    for hour, line in enumerate(price_table[1:]):
        line[1] = repr(prices[hour % 8])
    series = read_series(feeder, *write_both(tmp_path, profile_table, price_table))
    assert series.load_kw[:, 0].tolist() == kilowatts * (QUARTERS // 8)
    assert series.pv_pu[:, 0].tolist() == sun * (QUARTERS // 8)
    assert series.price_eur_per_mwh.ravel().tolist() == prices * (WEEKS * 21)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    kind=st.sampled_from(["cell", "drop", "twice", "swap", "insert", "bytes"]),
    which=st.sampled_from(["profiles", "prices"]),
)
def test_random_damage_is_a_user_grid_error_or_harmless(
    data: Any, kind: str, which: str, feeder: Feeder, tmp_path: Path
) -> None:
    rows = [list(row) for row in (PROFILES if which == "profiles" else PRICES)]
    row = data.draw(st.integers(1, len(rows) - 2))
    column = data.draw(st.integers(0, len(rows[0]) - 1))
    if kind == "cell":
        rows[row][column] = data.draw(st.text(max_size=12))
    elif kind == "drop":
        del rows[row]
    elif kind == "twice":
        rows.insert(row, rows[row])
    elif kind == "swap":
        rows[row], rows[row + 1] = rows[row + 1], rows[row]
    elif kind == "insert":
        rows[row].insert(column, data.draw(st.text(max_size=5)))
    profiles, prices = write_both(tmp_path)
    damaged = write(profiles if which == "profiles" else prices, rows)
    if kind == "bytes":
        content = bytearray(damaged.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = data.draw(st.binary(max_size=3))
        damaged.write_bytes(content)
    try:
        series = read_series(feeder, profiles, prices)
    except UserGridError as error:
        assert damaged.name in str(error)
        return
    # Nothing but another number, or the same time in other words, may pass.
    assert kind in ("cell", "bytes")
    assert np.all(np.isfinite(series.load_kw)) and np.all(np.isfinite(series.price_eur_per_mwh))
    assert np.all((series.pv_pu >= 0.0) & (series.pv_pu <= 1.0))


# ------------------------------------------------------------------------- the network's own file


@pytest.fixture(scope="module")
def network() -> Any:
    pandapower = pytest.importorskip("pandapower", reason="reading a network needs pandapower")
    net = pandapower.create_empty_network()
    buses = [pandapower.create_bus(net, 0.4, name=f"bus {name}") for name in "abc"]
    pandapower.create_ext_grid(net, buses[0])
    line = {"r_ohm_per_km": 0.2, "x_ohm_per_km": 0.08, "c_nf_per_km": 500.0, "max_i_ka": 0.27}
    for first, second in ((0, 1), (1, 2), (2, 0)):
        pandapower.create_line_from_parameters(net, buses[first], buses[second], 0.1, **line)
    net.line.loc[2, "in_service"] = False
    pandapower.create_load(net, buses[1], 0.008, 0.002, name="mill")
    pandapower.create_load(net, buses[2], 0.004, 0.001, name="house, old")
    pandapower.create_sgen(net, buses[2], 0.005, name="roof")
    pandapower.create_storage(net, buses[1], 0.0, 0.010, sn_mva=0.005, name="cellar")
    return net


def save(net: Any, path: Path, **changes: Any) -> Path:
    import pandapower

    net = copy.deepcopy(net)
    for place, value in changes.items():
        table, column, row = place.split("__")
        net[table].loc[int(row), column] = value
    pandapower.to_json(net, str(path))
    return path


def test_grid_profiles_and_prices_come_together(network: Any, tmp_path: Path) -> None:
    path = save(network, tmp_path / "village.json")
    feeder, series = load_user_grid(path, *write_both(tmp_path))
    assert feeder.name == "village" and feeder.bus_name == ("bus a", "bus b", "bus c")
    assert feeder.load_p_kw.tolist() == pytest.approx([8.0, 4.0])
    assert feeder.battery_e_kwh.tolist() == pytest.approx([10.0])
    assert feeder.battery_p_kw.tolist() == pytest.approx([5.0])
    assert feeder.pv_s_kva.tolist() == pytest.approx([6.0])
    assert series.load_kw.shape == (QUARTERS, 2)


def test_meshed_network_names_its_loop(network: Any, tmp_path: Path) -> None:
    path = save(network, tmp_path / "ring.json", line__in_service__2=True)
    with pytest.raises(UserGridError, match=r"ring\.json: .*meshed.*'bus b'.*'bus c'.*line row"):
        load_user_grid(path, *write_both(tmp_path))


def test_negative_rating_names_its_row(network: Any, tmp_path: Path) -> None:
    path = save(network, tmp_path / "minus.json", line__max_i_ka__1=-0.2)
    with pytest.raises(UserGridError, match=r"minus\.json: .*max_i_ka of line row 1.*-0\.2"):
        load_user_grid(path, *write_both(tmp_path))


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "[]", "3", "nonsense", '{"_module": "os", "_class": "x", "_object": 1}']
)
def test_other_files_are_no_networks(text: str, tmp_path: Path) -> None:
    pytest.importorskip("pandapower", reason="reading a network needs pandapower")
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(UserGridError, match=r"mine\.json: .*pandapower\.to_json"):
        read_feeder(path)


def test_missing_pandapower_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pandapower", None)
    with pytest.raises(ImportError, match=r'pip install "daogym\[data\]"'):
        read_feeder(tmp_path / "mine.json")
