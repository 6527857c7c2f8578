"""A user's own trace: orders as they arrived, from a CSV file, checked before use.

The file has the columns `timestamp` (UTC, without a zone, such as 2023-01-31 13:45:10), `gpus`
(above 0 and at most 16), `duration_s` (above 0) and `gpu_class` (the least class that will do:
consumer, a10, a100 or h100), one row an order, rows in any order. Whatever is wrong raises one
`ConfigError` that names file, line and column, what came and what was expected.

**How weeks are drawn.** Days run from the first order's to the last order's; a first day without
orders before 06:00 and a last one without orders from 18:00 on are partial and left out. Every
seven days are a block; of each four blocks two train, one validates and one tests. An episode
replays the orders of a run of days inside one split: of the runs that there are, each with the
same probability. At its beginning those orders are at work or wait that arrived before it and would
still run had each begun at once; they may come from the end of another split's block.

**What a trace does not hold** is drawn anew in each episode, as without a trace: bids, patience
(deadlines), electricity prices, failures and the token. Orders of a step of the market arrive at
its beginning. Durations longer than `orders.longest_minutes` are cut there.

**What the operator knows of it beforehand** is read off the days that train: the usual arrivals of
an hour of the week, mean rate, kinds of orders and their durations stand in for the scenario's own
`arrivals_per_h_per_gpu`, `hour_factors`, `day_factors` and `shapes`.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from daogym.envs.core.csv_file import Fault, check_header, check_width, number, rows_of, timestamp
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.rooms import SPLITS
from daogym.envs.core.split_calendar import (
    BLOCK_DAYS,
    SPLIT_CYCLE,
    TRAIN,
    run_starts,
    split_of_block,
)
from daogym.envs.core.strict import ConfigError

from .layout import SHAPES
from .scenario import KNOT_PROBABILITIES, ComputeScenario, Orders, Shape

TIME, GPUS, DURATION, GPU_CLASS = "timestamp", "gpus", "duration_s", "gpu_class"
GPU_CLASSES = ("consumer", "a10", "a100", "h100")
MOST_GPUS = 16.0
_MORNING, _EVENING = dt.time(6), dt.time(18)
_DAY_S = 86_400.0


@dataclass(frozen=True)
class Trace:
    """Orders in order of arrival.

    Attributes:
        monday: midnight of the Monday on or before the first order; days and seconds count from it.
        first_day: the first whole day.
        n_days: days up to the end of the last whole day.
        arrival_s: (orders,) seconds.
        gpus: (orders,)
        duration_s: (orders,) seconds.
        tier: (orders,) least GPU class, 0 .. 3.
    """

    monday: dt.datetime
    first_day: int
    n_days: int
    arrival_s: Float
    gpus: Float
    duration_s: Float
    tier: Int

    @property
    def split_of_day(self) -> Int:
        """(whole days,) split of each whole day."""
        return split_of_block(np.arange(self.n_days - self.first_day) // BLOCK_DAYS)

    def date(self, day: int) -> dt.date:
        """The date of a day that is counted from `monday`."""
        return (self.monday + dt.timedelta(days=day)).date()

    def day_of(self, date: str, episode_days: int) -> int:
        """Day, counted from the first Monday, of a date on which an episode can begin.

        Raises:
            ValueError: no date, or the trace does not hold the episode's days from it on.
        """
        try:
            day = (dt.date.fromisoformat(date) - self.monday.date()).days
        except ValueError:
            raise ValueError(f"date: YYYY-MM-DD expected, got {date!r}") from None
        last = self.n_days - episode_days
        if not self.first_day <= day <= last:
            raise ValueError(
                f"date {date}: an episode of {episode_days} days of the trace begins between "
                f"{self.date(self.first_day)} and {self.date(last)}"
            )
        return day

    @property
    def content(self) -> bytes:
        """What tells one trace from another: its first Monday and its orders."""
        columns = (self.arrival_s, self.gpus, self.duration_s, self.tier)
        return self.monday.isoformat().encode() + b"".join(c.tobytes() for c in columns)


def read_trace(path: str | Path) -> Trace:
    """Read and check a trace; the last few are kept as long as their files do not change.

    Raises:
        ConfigError: any fault in the file.
    """
    try:
        status = Path(path).stat()
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), "", f"cannot be read: {error}") from None
    return _read(str(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=4)
def _read(path: str, changed_ns: int, size: int) -> Trace:
    def fault(message: str) -> Exception:
        return ConfigError(path, "", message)

    rows = rows_of(path, fault)
    _, header = next(rows, (1, []))
    stranger = f"is none of {TIME}, {GPUS}, {DURATION}, {GPU_CLASS}"
    check_header(header, (TIME, GPUS, DURATION, GPU_CLASS), (), stranger, fault)
    place = [header.index(name) for name in (TIME, GPUS, DURATION, GPU_CLASS)]
    times: list[dt.datetime] = []
    numbers: list[tuple[float, float, int]] = []
    for line, row in rows:
        check_width(line, row, header, fault)
        when, gpus, duration, kind = (row[i] for i in place)
        times.append(timestamp(line, TIME, when, "UTC", fault))
        numbers.append((
            _positive(line, GPUS, gpus, MOST_GPUS, fault),
            _positive(line, DURATION, duration, np.inf, fault), _tier(line, kind, fault),
        ))  # fmt: skip
    if not times:
        raise fault("no rows below the header, expected one an order")
    first, last = min(times), max(times)
    midnight = dt.datetime.combine(first.date(), dt.time())
    monday = midnight - dt.timedelta(days=midnight.weekday())
    first_day = (midnight - monday).days + (first.time() >= _MORNING)
    n_days = (last - monday).days + (last.time() >= _EVENING)
    if n_days <= first_day:
        raise fault(f"{TIME} runs from {first} to {last}, expected at least one whole day")
    arrival_s = np.array([(time - monday).total_seconds() for time in times])
    order = np.argsort(arrival_s, kind="stable")
    columns = np.array(numbers)[order]
    return Trace(
        monday, first_day, n_days, arrival_s[order], columns[:, 0], columns[:, 1],
        columns[:, 2].astype(np.int64),
    )  # fmt: skip


def _positive(line: int, column: str, text: str, most: float, fault: Fault) -> float:
    value = number(line, column, text, fault)
    if not 0.0 < value <= most:
        limit = f" and at most {most:g}" if np.isfinite(most) else ""
        raise fault(f"line {line}, column {column!r}: {text}, expected above 0{limit}")
    return value


def _tier(line: int, text: str, fault: Fault) -> int:
    name = text.lower()
    if name not in GPU_CLASSES:
        raise fault(
            f"line {line}, column {GPU_CLASS!r}: {text!r}, expected one of {', '.join(GPU_CLASSES)}"
        )
    return GPU_CLASSES.index(name)


def episode_starts(trace: Trace, path: str, split: str, window_days: int, days: int) -> Int:
    """Days, counted from the trace's Monday, on which an episode of a split may begin.

    Args:
        window_days: as many days from there on lie in the split; the rest of an episode may go on
            into other splits (continuous operation).

    Raises:
        ConfigError: there is none.
    """
    known = trace.split_of_day
    if split == "all":
        found = np.arange(len(known))
    else:
        found = run_starts(known, SPLITS.index(split), window_days)
    found = found[found + days <= len(known)]
    if not len(found):
        raise ConfigError(
            path, "",
            f"{len(known)} whole days, {trace.date(trace.first_day)} to "
            f"{trace.date(trace.n_days - 1)}, have no run of {max(days, window_days)} days in the "
            f"{split} split; expected {len(SPLIT_CYCLE)} whole weeks, of which the first and third "
            "train, the second validates and the last tests, or fewer episode_days",
        )  # fmt: skip
    return np.asarray(found + trace.first_day, dtype=np.int64)


def check_supply(trace: Trace, path: str, largest: Float) -> None:
    """Refuse orders that no provider could ever take.

    Args:
        largest: (tiers,) GPUs of the largest provider of a class or better.

    Raises:
        ConfigError: the first such order, in order of arrival.
    """
    for i in np.flatnonzero(trace.gpus > largest[trace.tier])[:1]:
        when = trace.monday + dt.timedelta(seconds=float(trace.arrival_s[i]))
        raise ConfigError(
            path, "",
            f"the order of {when} needs {trace.gpus[i]:g} GPUs of class "
            f"{GPU_CLASSES[trace.tier[i]]} or better at one provider, expected at most "
            f"{largest[trace.tier[i]]:g}, which the largest one has",
        )  # fmt: skip


def fitted_orders(trace: Trace, path: str, scenario: ComputeScenario, gpus: float) -> Orders:
    """The scenario's orders with usual arrivals, kinds and durations of the days that train.

    Kinds are size and class; the eleven with the most GPU time are kept, others count to the one
    among them that is nearest in class, then in size.

    Raises:
        ConfigError: no order arrives on a day that trains.
    """
    minutes = np.minimum(trace.duration_s / 60.0, scenario.orders.longest_minutes)
    split = np.full(trace.n_days, -1)
    split[trace.first_day :] = trace.split_of_day
    day = (trace.arrival_s / _DAY_S).astype(np.int64)
    known = day < trace.n_days
    known[known] = split[day[known]] == TRAIN
    days = np.flatnonzero(split == TRAIN)
    if not known.any():
        raise ConfigError(path, "", "no order arrives on a day that trains, expected some")
    hour = (trace.arrival_s[known] / 3600.0).astype(np.int64) % 24
    rate = int(known.sum()) / (24.0 * len(days))
    by_hour = np.bincount(hour, minlength=24) / len(days) / rate
    each = np.bincount(day[known], minlength=trace.n_days)[days] / (24.0 * rate)
    weekday = days % 7
    by_day = [
        float(each[weekday == d].sum() / (weekday == d).sum()) if (weekday == d).any() else 1.0
        for d in range(7)
    ]
    return scenario.orders.model_copy(
        update={
            "arrivals_per_h_per_gpu": rate / gpus,
            "hour_factors": tuple(by_hour.tolist()),
            "day_factors": tuple(by_day),
            "shapes": _shapes(trace.gpus[known], trace.tier[known], minutes[known]),
        }
    )


def _shapes(gpus: Float, tier: Int, minutes: Float) -> tuple[Shape, ...]:
    """Eleven shapes; those that the orders leave empty have no share."""
    kinds, kind = np.unique(np.stack([tier, gpus], axis=1), axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    weight = np.bincount(kind, gpus * minutes, len(kinds))
    kept = np.sort(np.argsort(-weight, kind="stable")[:SHAPES])
    shapes = []
    nearest = np.array([
        kept[np.lexsort((abs(kinds[kept, 1] - k[1]), abs(kinds[kept, 0] - k[0])))[0]] for k in kinds
    ], dtype=np.int64)  # fmt: skip
    home = nearest[kind]
    for k in kept.tolist():
        mine = home == k
        mean = float((gpus[mine] * minutes[mine]).sum() / minutes[mine].sum())
        alike = float(gpus[mine].min()) == float(gpus[mine].max())
        shapes.append(
            Shape(
                gpus=float(kinds[k, 1]) if alike else mean,
                share=float(mine.sum() / len(gpus)),
                least_tier=int(kinds[k, 0]),
                minutes=tuple(_rising(np.quantile(minutes[mine], KNOT_PROBABILITIES))),
            )
        )
    spare = Shape(gpus=1.0, share=0.0)
    return (*shapes, *[spare] * (SHAPES - len(shapes)))


def _rising(values: Float) -> list[float]:
    """Quantiles without the last digit's rounding, which may let them fall."""
    return [float(value) for value in np.maximum.accumulate(values)]


def step_table(trace: Trace, scenario: ComputeScenario) -> tuple[Int, Float]:
    """Orders by step of the market, counted from the trace's Monday.

    Returns:
        (steps + 1,) number of the first order of each step, and (orders,) durations in steps, cut
        at `longest_minutes`. Orders after the last whole day are left out of the first.
    """
    step_s = 60.0 * scenario.step_minutes
    steps = trace.n_days * 24 * scenario.steps_per_hour
    arrival = (trace.arrival_s / step_s).astype(np.int64)
    first = np.searchsorted(arrival, np.arange(steps + 1)).astype(np.int64)
    longest_s = 60.0 * scenario.orders.longest_minutes
    return first, np.minimum(trace.duration_s, longest_s) / step_s
