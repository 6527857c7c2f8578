"""A user's own grid: a pandapower network, profiles and prices in files, checked before use.

Profiles are a CSV with a `timestamp` column and, for each load of the network, `<load name>.p_kw`
and at will `<load name>.q_kvar` (else the load keeps its nameplate power factor), for each `sgen`
`<name>.pv_pu` between 0 and 1. Prices are a CSV with `timestamp` and `price_eur_per_mwh`, one row
an hour. Timestamps name the beginning of their step, carry no zone and run on without daylight
saving; both files keep the same clock.

Whatever is wrong raises one `UserGridError` that names file, line and column, what came and what
was expected; nothing is repaired in silence.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daogym.envs.core.csv_file import (
    Fault,
    FilePath,
    check_header,
    check_width,
    number,
    read_text,
    rows_of,
    timestamp,
)
from daogym.envs.core.split_calendar import BLOCK_DAYS, split_of_block

from .feeder import Feeder, FeederError
from .profiles import QUARTERS, FloatArray, Series, weekday_of

MIN_BLOCKS = 4  # one cycle of the split rule
STEPS_MINUTES = (15, 30, 60)
TIME, PRICE = "timestamp", "price_eur_per_mwh"
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)


class UserGridError(ValueError):
    """A fault in a user's files; the message names file, line, column, value and expectation."""


@dataclass(frozen=True)
class _Table:
    """Numbers of a CSV whose timestamps are one unbroken run."""

    start: dt.datetime
    lines: int  # number of data rows
    values: dict[str, FloatArray]  # by column


def load_user_grid(
    feeder_json: FilePath, profiles_csv: FilePath, prices_csv: FilePath, step_minutes: int = 15
) -> tuple[Feeder, Series]:
    """Read a grid, its profiles and its prices.

    Args:
        feeder_json: a network saved with `pandapower.to_json`. pandapower builds the objects that
            such a file names, so read only files you trust.
        profiles_csv: loads and sunshine, one row a step.
        prices_csv: prices, one row an hour, covering the profiles.
        step_minutes: step of the profiles: 15, 30 or 60. Longer steps are held for each of their
            quarter-hours.

    Returns:
        The feeder and a series of whole weeks.

    Raises:
        UserGridError: any fault in the files.
        ImportError: pandapower is not installed.
    """
    feeder = read_feeder(feeder_json)
    return feeder, read_series(feeder, profiles_csv, prices_csv, step_minutes)


def read_feeder(path: FilePath) -> Feeder:
    """Read a feeder from a pandapower JSON file; raises as `load_user_grid` does."""
    try:
        import pandapower
    except ImportError as error:
        raise ImportError(
            f'{path}: a pandapower network needs pandapower: pip install "daogym[data]"'
        ) from error
    from .pandapower_feeder import from_pandapower

    text = read_text(path, _fault_of(path))
    try:
        net = pandapower.from_json_string(text)
    except Exception as error:  # pandapower raises whatever its parts raise
        raise UserGridError(
            f"{path}: not a pandapower network ({type(error).__name__}: {error}); expected a file "
            "written by pandapower.to_json"
        ) from error
    if not isinstance(net, pandapower.pandapowerNet):
        raise UserGridError(
            f"{path}: holds a {type(net).__name__}, expected a network written by "
            "pandapower.to_json"
        )
    try:
        return from_pandapower(net, Path(path).stem)
    except FeederError as error:
        raise UserGridError(f"{path}: {error}") from error
    except Exception as error:
        raise UserGridError(
            f"{path}: pandapower cannot work with this network "
            f"({type(error).__name__}: {error}); expected one that pandapower.runpp solves"
        ) from error


def read_series(
    feeder: Feeder, profiles_csv: FilePath, prices_csv: FilePath, step_minutes: int = 15
) -> Series:
    """Read profiles and prices for a feeder; arguments and errors as in `load_user_grid`."""
    if step_minutes not in STEPS_MINUTES:
        raise UserGridError(
            f"{profiles_csv}: step_minutes is {step_minutes!r}, expected 15, 30 or 60"
        )
    wanted = [f"{name}.p_kw" for name in feeder.load_name]
    wanted += [f"{name}.pv_pu" for name in feeder.pv_name]
    optional = [f"{name}.q_kvar" for name in feeder.load_name]
    profiles = _read_table(profiles_csv, wanted, optional, step_minutes)
    prices = _read_table(prices_csv, [PRICE], [], 60)
    start, weeks = _whole_weeks(profiles, step_minutes, profiles_csv)
    days = weeks * BLOCK_DAYS
    first = int((start - profiles.start) / MINUTE) // step_minutes
    steps = days * 24 * 60 // step_minutes
    values = {
        name: np.repeat(column[first : first + steps], step_minutes // 15)
        for name, column in profiles.values.items()
    }
    load_kw = _columns([values[f"{name}.p_kw"] for name in feeder.load_name], days)
    load_kvar = np.empty_like(load_kw)
    for load, name in enumerate(feeder.load_name):
        p_kw, q_kvar = feeder.load_p_kw[load], feeder.load_q_kvar[load]
        ratio = q_kvar / p_kw if p_kw > 0 else 0.0
        load_kvar[:, load] = values.get(f"{name}.q_kvar", load_kw[:, load] * ratio)
    date = np.datetime64(start.date()) + np.arange(days)
    week = np.arange(days) // BLOCK_DAYS
    return Series(
        load_kw=load_kw,
        load_kvar=load_kvar,
        pv_pu=_columns([values[f"{name}.pv_pu"] for name in feeder.pv_name], days),
        load_day=np.arange(days),
        pv_day=np.arange(days),
        price_eur_per_mwh=_cover(prices, start, days, prices_csv),
        date=date,
        weekday=weekday_of(date),
        day_of_year=(date - date.astype("datetime64[Y]")).astype(np.int64),
        week=week,
        split=split_of_block(week),
        year_start=np.zeros(days, dtype=np.int64),
    )


def _whole_weeks(profiles: _Table, step_minutes: int, path: FilePath) -> tuple[dt.datetime, int]:
    """First day and number of the blocks: from the first Monday, unless that leaves too few."""
    end = profiles.start + profiles.lines * step_minutes * MINUTE
    first_day = dt.datetime.combine(profiles.start.date(), dt.time())
    if first_day < profiles.start:
        first_day += DAY
    monday = first_day + ((-first_day.weekday()) % 7) * DAY
    for start in (monday, first_day):
        weeks = (end - start) // (BLOCK_DAYS * DAY)
        if weeks >= MIN_BLOCKS:
            return start, weeks
    raise UserGridError(
        f"{path}: {TIME} runs from {profiles.start} to {end}, expected at least {MIN_BLOCKS} whole "
        "weeks, so that training, validation and test each have one"
    )


def _cover(prices: _Table, start: dt.datetime, days: int, path: FilePath) -> FloatArray:
    """(days, 24) prices of the days from `start` on."""
    offset = start - prices.start
    end = start + days * DAY
    prices_end = prices.start + prices.lines * dt.timedelta(hours=1)
    if offset < dt.timedelta() or prices_end < end:
        raise UserGridError(
            f"{path}: {TIME} runs from {prices.start} to {prices_end}, expected to cover the weeks "
            f"of the profiles, {start} to {end}"
        )
    if offset % dt.timedelta(hours=1):
        raise UserGridError(f"{path}: line 2, column {TIME}: {prices.start}, expected a full hour")
    first = offset // dt.timedelta(hours=1)
    return prices.values[PRICE][first : first + days * 24].reshape(days, 24)


def _columns(columns: list[FloatArray], days: int) -> FloatArray:
    if not columns:
        return np.zeros((days * QUARTERS, 0))
    return np.stack(columns, axis=1)


def _read_table(
    path: FilePath, wanted: Sequence[str], optional: Sequence[str], step_minutes: int
) -> _Table:
    """Read a CSV whose `timestamp` column steps by `step_minutes` and whose cells are numbers."""
    fault = _fault_of(path)
    rows = rows_of(path, fault)
    _, header = next(rows, (1, []))
    stranger = "belongs to no load or plant of the grid"
    check_header(header, [TIME, *wanted], optional, stranger, fault)
    place = header.index(TIME)
    names = [name for name in header if name != TIME]
    cells = [index for index in range(len(header)) if index != place]
    times: list[dt.datetime] = []
    data: list[list[float]] = []
    for line, row in rows:
        check_width(line, row, header, fault)
        times.append(_following(line, row[place], times, step_minutes, fault))
        data.append(
            [_number(line, name, row[cell], fault) for name, cell in zip(names, cells, strict=True)]
        )
    if not times:
        raise fault("no rows below the header, expected one a step")
    table = np.array(data, dtype=np.float64).reshape(len(times), len(names))
    return _Table(times[0], len(times), {name: table[:, i] for i, name in enumerate(names)})


def _fault_of(path: FilePath) -> Fault:
    return lambda message: UserGridError(f"{path}: {message}")


def _following(
    line: int, text: str, times: list[dt.datetime], step_minutes: int, fault: Fault
) -> dt.datetime:
    time = timestamp(line, TIME, text, "local time", fault)
    where = f"line {line}, column {TIME}"
    if times:
        expected = times[-1] + step_minutes * MINUTE
        if time != expected:
            kind = "a gap" if time > expected else "a wrong step"
            if time <= times[-1]:
                kind = "a double time" if time == times[-1] else "a step back"
            raise fault(
                f"{where}: {time}, {kind}; expected {expected}, {step_minutes} minutes after the "
                "row before"
            )
    elif time.minute % step_minutes or time.second or time.microsecond:
        raise fault(f"{where}: {time}, expected a multiple of {step_minutes} minutes")
    return time


def _number(line: int, column: str, text: str, fault: Fault) -> float:
    value = number(line, column, text, fault)
    where = f"line {line}, column {column!r}"
    if column.endswith(".pv_pu") and not 0.0 <= value <= 1.0:
        raise fault(f"{where}: {text}, expected 0 to 1 (share of the rated power)")
    if column.endswith(".p_kw") and value < 0.0:
        raise fault(f"{where}: {text}, expected 0 or more (consumption is positive)")
    return value
