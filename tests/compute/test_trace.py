"""A user's trace: replayed exactly as the file says, and every fault one error with its place."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import daogym
from daogym.envs.compute.foresight import true_world
from daogym.envs.compute.layout import J_ARRIVAL, J_CLASS, J_GPUS, J_TIER, J_WORK
from daogym.envs.compute.trace import GPU_CLASSES, read_trace
from daogym.envs.core.strict import ConfigError

Rows = list[list[str]]
HEADER = ["timestamp", "gpus", "duration_s", "gpu_class"]
START = dt.datetime(2024, 2, 1, 0, 5)  # a Thursday
DAYS = 28
KINDS = (("0.5", "600", "consumer"), ("1", "5400", "a10"), ("1", "30", "consumer"),
         ("2", "86400", "a100"), ("8", "400000", "h100"), ("16", "1200", "h100"))  # fmt: skip


def trace_rows(days: int = DAYS, start: dt.datetime = START) -> Rows:
    """Orders every 25 minutes, of six kinds in turn; durations differ by the second."""
    rows = [HEADER]
    for i in range(days * 24 * 60 // 25):
        gpus, seconds, kind = KINDS[i % len(KINDS)]
        time = start + dt.timedelta(minutes=25 * i)
        rows.append([time.isoformat(" "), gpus, f"{int(seconds) + i}", kind])
    return rows


ROWS = trace_rows()


def write(path: Path, rows: Rows = ROWS) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    return path


def settings_of(path: Path, **changes: Any) -> dict[str, Any]:
    return {"base": "gpu_week", "trace": str(path), **changes}


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("trace") / "mine.csv")


def seconds_from(text: str, monday: dt.datetime) -> float:
    return (dt.datetime.fromisoformat(text) - monday).total_seconds()


def test_a_trace_holds_what_the_file_says(mine: Path, tmp_path: Path) -> None:
    trace = read_trace(mine)
    monday = dt.datetime(2024, 1, 29)
    assert trace.monday == monday and (trace.first_day, trace.n_days) == (3, 31)
    assert trace.arrival_s.tolist() == [seconds_from(row[0], monday) for row in ROWS[1:]]
    assert trace.gpus.tolist() == [float(row[1]) for row in ROWS[1:]]
    assert trace.duration_s.tolist() == [float(row[2]) for row in ROWS[1:]]
    assert [GPU_CLASSES[t] for t in trace.tier] == [row[3] for row in ROWS[1:]]
    assert np.bincount(trace.split_of_day).tolist() == [14, 7, 7]
    # Rows and columns in another order, capitals, spaces and blank lines say the same.
    mixed = [[f" {row[i].upper() if row is not HEADER else row[i]} " for i in (3, 0, 2, 1)]
             for row in [ROWS[0], *reversed(ROWS[1:])]]  # fmt: skip
    other = read_trace(write(tmp_path / "mixed.csv", [*mixed[:9], [], *mixed[9:]]))
    for name in ("arrival_s", "gpus", "duration_s", "tier"):
        np.testing.assert_array_equal(getattr(other, name), getattr(trace, name))


def test_partial_days_are_left_out(tmp_path: Path) -> None:
    late = read_trace(write(tmp_path / "late.csv", trace_rows(9, START.replace(hour=9))))
    assert (late.first_day, late.n_days) == (4, 12)
    with pytest.raises(ConfigError, match="at least one whole day"):
        read_trace(write(tmp_path / "short.csv", trace_rows(1, START.replace(hour=9))[:40]))


@pytest.mark.kernel
def test_episodes_replay_the_orders_of_their_days(mine: Path) -> None:
    """What arrives in an episode, and what is left of earlier orders, is read off the file."""
    simulator = daogym.make_simulator(settings_of(mine), 6)
    trace = read_trace(mine)
    simulator.reset(seed=3)
    days = simulator.state("first_day")
    assert set(days.tolist()) == {3, 17}  # first and third week from the first of February on
    per_day = 96
    arrival = np.floor(trace.arrival_s / 900.0)
    steps = np.minimum(trace.duration_s, 172_800.0) / 900.0
    for lane in range(6):
        start = days[lane] * per_day
        world = true_world(simulator, lane)
        coming = world.orders[world.present :]
        inside = (arrival >= start) & (arrival < start + simulator.horizon)
        np.testing.assert_array_equal(coming[:, J_ARRIVAL], arrival[inside] - start)
        np.testing.assert_array_equal(coming[:, J_GPUS], trace.gpus[inside])
        np.testing.assert_array_equal(coming[:, J_TIER], trace.tier[inside])
        np.testing.assert_allclose(coming[:, J_WORK], steps[inside], rtol=1e-15)
        # Classes: shares of a GPU by band, single GPUs by band, then gangs of 2, 4, 8 and 16.
        assert set(coming[trace.gpus[inside] == 16.0, J_CLASS]) == {11.0}
        before = (arrival < start) & (arrival + steps > start)
        left = np.sort(arrival[before] + steps[before] - start)
        present = world.orders[: world.present]
        np.testing.assert_allclose(np.sort(present[:, J_WORK]), left, rtol=1e-9, atol=1e-9)
    # The same file, other draws of what it does not hold.
    one, two = (true_world(simulator, lane) for lane in np.flatnonzero(days == 3)[:2])
    assert (one.orders[-50:, 4] != two.orders[-50:, 4]).all()


@pytest.mark.kernel
def test_splits_dates_and_what_is_known_beforehand(mine: Path) -> None:
    for split, days in (("validation", {10}), ("test", {24}), ("all", set(range(3, 25)))):
        simulator = daogym.make_simulator(settings_of(mine), 64, split=split)
        simulator.reset(seed=0)
        assert set(simulator.state("first_day").tolist()) <= days
    simulator.reset(seed=0, options={"date": "2024-02-07"})
    assert set(simulator.state("first_day").tolist()) == {9}
    for date, words in (("2024-02-23", "2024-02-01 and 2024-02-22"), ("monday", "YYYY-MM-DD")):
        with pytest.raises(ValueError, match=words):
            simulator.reset(options={"date": date})
    orders: Any = simulator.scenario.orders
    assert orders.arrivals_per_h_per_gpu * 224 == pytest.approx(60 / 25, rel=0.01)
    assert np.mean(orders.hour_factors) == pytest.approx(1.0)
    shares = {(s.gpus, s.least_tier): s.share for s in orders.shapes if s.share}
    assert len(shares) == 6 and shares[16.0, 3] == pytest.approx(1 / 6, abs=0.005)
    known = next(s for s in orders.shapes if s.gpus == 8.0)
    assert known.minutes == (2880.0,) * 27 and orders.bid_sigma == 0.5


def test_a_scenario_is_named_by_the_traces_content(mine: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy.csv")
    (tmp_path / "mine.yaml").write_text("domain: compute\ntrace: copy.csv\n", encoding="utf-8")
    hashes = [daogym.make_simulator(spec).scenario_hash for spec in (
        settings_of(mine), settings_of(copy), str(tmp_path / "mine.yaml"))]  # fmt: skip
    assert len(set(hashes)) == 1
    changed = [*ROWS[:-1], [*ROWS[-1][:2], "61", ROWS[-1][3]]]
    write(copy, changed)
    assert daogym.make_simulator(settings_of(copy)).scenario_hash != hashes[0]


def test_many_kinds_are_counted_to_the_nearest(tmp_path: Path) -> None:
    rows = [HEADER] + [
        [row[0], f"{1 + i % 14}", f"{600 + 7 * i}", GPU_CLASSES[i % 4]]
        for i, row in enumerate(ROWS[1:])
    ]
    domain: Any = daogym.make_simulator(settings_of(write(tmp_path / "many.csv", rows))).domain
    shapes = domain.scenario.orders.shapes
    assert len(shapes) == 11 and sum(s.share for s in shapes) == pytest.approx(1.0)
    trace = read_trace(tmp_path / "many.csv")
    train = np.isin((trace.arrival_s // 86_400).astype(int) - 3, [*range(7), *range(14, 21)])
    work = (trace.gpus * trace.duration_s)[train].mean() / 900.0
    mean = sum(
        s.share * s.gpus * m for s, m in zip(shapes, domain.workload.mean_steps, strict=True)
    )
    assert mean == pytest.approx(work, rel=0.01)


def cell(row: int, column: int, text: str) -> Callable[[Rows], Rows]:
    def change(rows: Rows) -> Rows:
        rows = [list(line) for line in rows]
        rows[row][column] = text
        return rows

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: [row[1:] for row in rows], ["line 1", "'timestamp' is missing", "'gpus'"]),
        (cell(0, 2, "duration"), ["line 1", "'duration_s' is missing", "'duration'"]),
        (cell(0, 1, "timestamp"), ["line 1", "'timestamp' stands twice"]),
        (lambda rows: [[*row, "7"] for row in rows], ["line 1", "'7'", "is none of timestamp"]),
        (cell(5, 0, "2024-02-30"), ["line 6", "timestamp", "'2024-02-30'", "2023-01-31 13:45"]),
        (cell(5, 0, "2024-02-03T00:00Z"), ["line 6", "has a zone", "expected UTC"]),
        (cell(5, 1, "two"), ["line 6", "'gpus'", "'two'", "a number"]),
        (cell(5, 1, "0"), ["line 6", "'gpus'", "0", "above 0 and at most 16"]),
        (cell(5, 1, "17"), ["line 6", "'gpus'", "17", "above 0 and at most 16"]),
        (cell(9, 2, "-3"), ["line 10", "'duration_s'", "-3", "above 0"]),
        (cell(9, 2, "nan"), ["line 10", "'duration_s'", "'nan'", "a number"]),
        (cell(9, 2, ""), ["line 10", "'duration_s'", "''"]),
        (cell(9, 3, "gpu"), ["line 10", "'gpu_class'", "'gpu'", "consumer, a10, a100, h100"]),
        (lambda rows: [*rows[:8], rows[8][:-1], *rows[9:]], ["line 9", "3 cells, expected 4"]),
        (lambda rows: rows[:1], ["no rows below the header"]),
        (lambda rows: [], ["line 1", "'timestamp' is missing"]),
        (lambda rows: [["a;b"], *rows[1:]], ["'timestamp' is missing", "'a;b'"]),
    ],
)  # fmt: skip
def test_faults_name_line_and_column(
    change: Callable[[Rows], Rows], words: list[str], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_trace(write(tmp_path / "bad.csv", change(ROWS[:60])))
    for word in ("bad.csv", *words):
        assert word in str(caught.value)


def test_traces_that_fit_no_market_or_no_split(mine: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv: cannot be read"):
        daogym.make_simulator(settings_of(tmp_path / "nowhere.csv"))
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes\.csv: cannot be read as UTF-8"):
        daogym.make_simulator(settings_of(tmp_path / "bytes.csv"))
    short = settings_of(write(tmp_path / "short.csv", trace_rows(20)))
    with pytest.raises(
        ConfigError, match=r"20 whole days.*7 days in the test split.*4 whole weeks"
    ):
        daogym.make_simulator(short, split="test")
    assert daogym.make_simulator(short, split="all").horizon == 672
    small = settings_of(mine, supply={"gpus_per_node": 2})
    with pytest.raises(ConfigError, match=r"2024-02-01 02:10:00 needs 16 GPUs of class h100.*8"):
        daogym.make_simulator(small)


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(),
    kind=st.sampled_from(["cell", "drop", "twice", "swap", "insert", "header", "bytes"]),
)
def test_random_damage_is_a_config_error_or_another_trace(
    data: Any, kind: str, tmp_path: Path
) -> None:
    rows = [list(row) for row in ROWS[:200]]
    row = data.draw(st.integers(1, len(rows) - 2))
    column = data.draw(st.integers(0, 3))
    if kind == "cell":
        rows[row][column] = data.draw(st.text(max_size=12))
    elif kind == "header":
        rows[0][column] = data.draw(st.text(max_size=12))
    elif kind == "drop":
        del rows[row]
    elif kind == "twice":
        rows.insert(row, rows[row])
    elif kind == "swap":
        rows[row], rows[row + 1] = rows[row + 1], rows[row]
    elif kind == "insert":
        rows[row].insert(column, data.draw(st.text(max_size=5)))
    damaged = write(tmp_path / "damaged.csv", rows)
    if kind == "bytes":
        content = bytearray(damaged.read_bytes())
        place = data.draw(st.integers(0, len(content) - 1))
        content[place : place + 1] = data.draw(st.binary(max_size=3))
        damaged.write_bytes(content)
    read_trace.__globals__["_read"].cache_clear()
    try:
        trace = read_trace(damaged)
    except ConfigError as error:
        assert "damaged.csv" in str(error)
        return
    assert kind not in ("insert", "header") or rows[0] == HEADER
    changed = {"drop": -1, "twice": 1}.get(kind, 0)
    assert kind in ("cell", "bytes") or len(trace.gpus) == 199 + changed
    assert np.all((trace.gpus > 0.0) & (trace.gpus <= 16.0)) and np.all(trace.duration_s > 0.0)
    assert np.all(np.diff(trace.arrival_s) >= 0.0) and np.isfinite(trace.duration_s).all()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    orders=st.lists(
        st.tuples(
            st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2000, 2, 1)),
            st.floats(1e-3, 16.0),
            st.floats(1e-3, 1e7),
            st.sampled_from(GPU_CLASSES),
        ),
        min_size=1,
        max_size=40,
    )
)
def test_numbers_survive_the_round_trip(
    orders: list[tuple[dt.datetime, float, float, str]], tmp_path: Path
) -> None:
    edges = [(dt.datetime(2000, month, 1, 23), 1.0, 60.0, "a10") for month in (1, 2)]
    everything = sorted([*orders, *edges], key=lambda order: order[0])
    rows = [HEADER] + [[str(t), repr(g), repr(s), k] for t, g, s, k in everything]
    read_trace.__globals__["_read"].cache_clear()
    trace = read_trace(write(tmp_path / "round.csv", rows))
    assert trace.gpus.tolist() == [order[1] for order in everything]
    assert trace.duration_s.tolist() == [order[2] for order in everything]
    assert [GPU_CLASSES[t] for t in trace.tier] == [order[3] for order in everything]
