"""Compares the compute market's generators with the public traces that they were fitted to:

    python tools/compute_calibration.py [--print]

Writes the table and the picture of docs/compute.md; `--print` only shows the table. The traces are
no part of the project: `DAOGYM_COMPUTE_TRACES` names their folder, by default
``../shared/data/compute`` beside the project's. A test compares the same numbers.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

import daogym
from daogym.envs.compute.foresight import true_world
from daogym.envs.compute.layout import J_ARRIVAL, J_GPUS, J_WORK
from daogym.envs.compute.tables import week_factors

Float = NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "compute.md"
PICTURE = ROOT / "docs" / "images" / "compute_calibration.png"
TABLE = re.compile(r"<!-- calibration -->\n(.*?)<!-- end -->", re.DOTALL)

YEARS, YEARS_SEED = 24, 77
LONGEST_S = 172_800.0
LAGS_H = (1, 24)
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
SIZES = ("1 GPU or less", "2 GPUs", "4 to 7 GPUs", "8 to 15 GPUs", "16 GPUs and more")
LARGE_GANGS = (2, 3)

# How requests of Azure's traces become orders: eight of one service in a row are a batch, which
# lasts as long as reading its inputs and writing its longest output.
BATCH, INPUT_TOKENS_PER_S, OUTPUT_S_PER_TOKEN = 8, 4000.0, 0.06
DAYS, DAYS_SEED = 365, 78
WINDOW_MINUTES = 56  # whole minutes that both services' traces cover, from 18:18 UTC on
TRACE_WEEKDAY, TRACE_HOUR = 3, 18
EVERY = 16  # of the generated batches, which is kept for the durations


@dataclass(frozen=True)
class Orders:
    """Arrivals in hours (of whatever clock), durations in seconds, GPUs; (orders,) each."""

    hours: Float
    seconds: Float
    gpus: Float


@dataclass(frozen=True)
class Comparison:
    """One statistic.

    Attributes:
        allowed: largest relative deviation; None where the generator was not fitted to it.
    """

    scenario: str
    name: str
    trace: float
    made: float
    allowed: float | None

    @property
    def deviation(self) -> float:
        """Relative."""
        return self.made / self.trace - 1.0


def traces_folder() -> Path:
    """Where the traces lie, or would."""
    named = os.environ.get("DAOGYM_COMPUTE_TRACES")
    return Path(named) if named else ROOT.parent / "shared" / "data" / "compute"


def _rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _hours(texts: Sequence[str]) -> Float:
    """Hours since the first midnight."""
    when = np.array([np.datetime64(text) for text in texts])
    return np.asarray((when - when.min().astype("datetime64[D]")) / np.timedelta64(1, "us") / 3.6e9)


def philly(folder: Path) -> Orders:
    """Microsoft's trace, durations capped as the scenario's are."""
    rows = _rows(folder, "philly_2017.csv")
    hours = _hours([row["timestamp"] for row in rows])
    seconds = np.minimum([float(row["duration"]) for row in rows], LONGEST_S)
    return Orders(hours - hours.min(), seconds, np.array([float(r["num_gpus"]) for r in rows]))


def azure(folder: Path, service: str) -> Orders:
    """Batches of one of Azure's services, "code" or "conv"; hours of the day, GPUs unknown (0)."""
    rows = _rows(folder, f"azure_llm_2023_{service}.csv")
    shape = (len(rows) // BATCH, BATCH)
    hours, inputs, outputs = (
        column[: shape[0] * BATCH].reshape(shape)
        for column in (
            _hours([row["TIMESTAMP"] for row in rows]),
            np.array([float(row["ContextTokens"]) for row in rows]),
            np.array([float(row["GeneratedTokens"]) for row in rows]),
        )
    )
    seconds = inputs.sum(axis=1) / INPUT_TOKENS_PER_S + OUTPUT_S_PER_TOKEN * outputs.max(axis=1)
    return Orders(hours[:, -1], seconds, np.zeros(len(seconds)))


def generated_years() -> list[Orders]:
    """What `gpu_week` makes of each of `YEARS` years."""
    simulator = daogym.make_simulator("gpu_week", YEARS, episode_days=364)
    simulator.reset(seed=YEARS_SEED)
    years = []
    for lane in range(YEARS):
        world = true_world(simulator, lane)
        orders = world.orders[world.present :]
        years.append(
            Orders(orders[:, J_ARRIVAL] * 0.25, orders[:, J_WORK] * 900.0, orders[:, J_GPUS].copy())
        )
    return years


def generated_days() -> tuple[Float, Float]:
    """(hours, minutes) batches of `llm_inference`, and durations (s) of some of them.

    Every hour of the year is the trace's hour: without the assumed course of the day and week.
    """
    scenario: Any = daogym.load_scenario("llm_inference")
    factor = float(week_factors(scenario)[0][24 * TRACE_WEEKDAY + TRACE_HOUR])
    flat = {
        "arrivals_per_h_per_gpu": scenario.orders.arrivals_per_h_per_gpu * factor,
        "hour_factors": [1.0] * 24,
        "day_factors": [1.0] * 7,
    }
    simulator = daogym.make_simulator({"base": "llm_inference", "orders": flat}, DAYS)
    simulator.reset(seed=DAYS_SEED)
    per_minute, seconds = [], []
    for lane in range(DAYS):
        world = true_world(simulator, lane)
        orders = world.orders[world.present :]
        per_minute.append(np.bincount(orders[:, J_ARRIVAL].astype(np.int64), minlength=1440))
        seconds.append(orders[::EVERY, J_WORK] * 60.0)
    return (
        np.concatenate(per_minute).reshape(-1, 60)[:, :WINDOW_MINUTES].astype(np.float64),
        np.concatenate(seconds),
    )


def hourly(hours: Float) -> Float:
    """Orders in each hour."""
    return np.bincount(hours.astype(np.int64)).astype(np.float64)


def autocorrelation(series: Sequence[Float], lag: int) -> float:
    """Of all series together, about their common mean."""
    every = np.concatenate(series)
    mean = every.mean()
    top = sum(float(((s[lag:] - mean) * (s[:-lag] - mean)).sum()) for s in series)
    return top / sum(len(s) - lag for s in series) / float(every.var())


def size_group(gpus: Float) -> NDArray[np.int64]:
    """Place in `SIZES`."""
    return np.digitize(gpus, [1.5, 3.5, 7.5, 15.5])


def compare_gpu_week(trace: Orders, years: Sequence[Orders]) -> list[Comparison]:
    """Statistics of Philly beside those of the generated years."""
    real, made = hourly(trace.hours), [hourly(year.hours) for year in years]
    every = np.concatenate(made)
    seconds = np.concatenate([year.seconds for year in years])
    group = size_group(np.concatenate([year.gpus for year in years]))
    real_group = size_group(trace.gpus)

    found = [
        ("orders an hour", real.mean(), every.mean(), 0.10),
        ("variance / mean of the hour", real.var() / real.mean(), every.var() / every.mean(), 0.20),
    ]
    found += [
        (f"autocorrelation, {lag} h", autocorrelation([real], lag), autocorrelation(made, lag), 0.1)
        for lag in LAGS_H
    ]
    for size, name in enumerate(SIZES):
        theirs, ours = trace.seconds[real_group == size], seconds[group == size]
        share = len(theirs) / len(trace.seconds), len(ours) / len(seconds)
        found.append((f"share of orders, {name}", *share, 0.10))
        found.append((f"mean duration in s, {name}", theirs.mean(), ours.mean(), 0.10))
    for q in QUANTILES:
        pair = np.quantile(trace.seconds, q), np.quantile(seconds, q)
        found.append((f"duration in s, {100 * q:g} % quantile", *pair, 0.10))
    for size in LARGE_GANGS:
        theirs, ours = trace.seconds[real_group == size], seconds[group == size]
        for q in (0.25, 0.5, 0.75):
            pair = np.quantile(theirs, q), np.quantile(ours, q)
            found.append((f"duration in s, {SIZES[size]}, {100 * q:g} % quantile", *pair, 0.10))
    return [Comparison("gpu_week", name, float(a), float(b), c) for name, a, b, c in found]


def windows_mean(windows: Float, lag: int) -> float:
    """Mean of the autocorrelation in each window, (windows, minutes), about its own mean."""
    deviation = windows - windows.mean(axis=1, keepdims=True)
    products = (deviation[:, lag:] * deviation[:, :-lag]).mean(axis=1)
    return float((products / windows.var(axis=1)).mean())


def trace_window(services: Sequence[Orders]) -> Float:
    """(1, minutes) batches of all services in the minutes that each of their traces covers."""
    first = np.ceil(60.0 * max(s.hours.min() for s in services))
    counts = np.zeros(WINDOW_MINUTES)
    for service in services:
        minute = (60.0 * service.hours - first).astype(np.int64)
        inside = (60.0 * service.hours >= first) & (minute < WINDOW_MINUTES)
        counts += np.bincount(minute[inside], minlength=WINDOW_MINUTES)
    return counts[None]


def compare_llm_inference(
    services: Sequence[Orders], windows: Float, seconds: Float
) -> list[Comparison]:
    """Statistics of the hour of Azure's two services beside those of a year of such hours."""
    real = trace_window(services)
    durations = np.concatenate([s.seconds for s in services])

    def dispersion(counts: Float) -> float:
        return float((counts.var(axis=1) / counts.mean(axis=1)).mean())

    found: list[tuple[str, float, float, float | None]] = [
        ("batches a minute", real.mean(), windows.mean(), 0.10),
        ("variance / mean of the minute", dispersion(real), dispersion(windows), 0.20),
    ]
    for lag in (1, 10):
        pair = windows_mean(real, lag), windows_mean(windows, lag)
        found.append((f"autocorrelation, {lag} min", *pair, 0.10 if lag == 1 else None))
    found.append(("mean duration in s", durations.mean(), seconds.mean(), 0.10))
    for q in QUANTILES:
        pair = float(np.quantile(durations, q)), float(np.quantile(seconds, q))
        found.append((f"duration in s, {100 * q:g} % quantile", *pair, 0.10))
    return [Comparison("llm_inference", name, float(a), float(b), c) for name, a, b, c in found]


def compare_shares(folder: Path, years: Sequence[Orders]) -> list[Comparison]:
    """Alibaba's GPU trace of 2023: of orders up to one GPU, how many ask for a part of it."""
    rows = [row for row in _rows(folder, "alibaba_gpu_2023_pods.csv") if row["num_gpu"] == "1"]
    real = np.array([float(row["gpu_milli"]) / 1000.0 for row in rows])
    gpus = np.concatenate([year.gpus for year in years])
    made = gpus[gpus <= 1.0]
    found = [
        ("shares of a GPU / orders up to one", (real < 1.0).mean(), (made < 1.0).mean()),
        ("mean GPUs of orders up to one", real.mean(), made.mean()),
        ("median of the shares", np.median(real[real < 1.0]), np.median(made[made < 1.0])),
    ]
    return [Comparison("gpu_week", name, float(a), float(b), 0.10) for name, a, b in found]


def table(comparisons: Sequence[Comparison]) -> str:
    """Markdown."""
    lines = ["| Scenario | Statistic | Trace | Generated | Deviation | Allowed |", "|---" * 6 + "|"]
    for c in comparisons:
        allowed = "not fitted" if c.allowed is None else f"{100 * c.allowed:.0f} %"
        lines.append(
            f"| `{c.scenario}` | {c.name} | {c.trace:.4g} | {c.made:.4g} | "
            f"{100 * c.deviation:+.1f} % | {allowed} |"
        )
    return "\n".join(lines) + "\n"


def draw(
    trace: Orders, years: Sequence[Orders], services: Sequence[Orders], windows: Float,
    seconds: Float, path: Path,
) -> None:  # fmt: skip
    """Counts, their autocorrelation and durations: `gpu_week` above, `llm_inference` below."""
    figure = Figure(figsize=(12.0, 7.0), layout="constrained")
    rows = figure.subplots(2, 3)
    names = ("Philly, 105 days", f"gpu_week, {YEARS} years")
    real, made = hourly(trace.hours), [hourly(year.hours) for year in years]
    lags = range(1, 49)
    _draw_row(
        rows[0], names, ("orders an hour", "lag, h", "duration, s (capped at 48 h)"),
        (real, np.concatenate(made)), lags,
        tuple([autocorrelation(s, lag) for lag in lags] for s in ([real], made)),
        (trace.seconds, np.concatenate([year.seconds for year in years])),
    )  # fmt: skip
    window = trace_window(services)
    lags = range(1, 25)
    _draw_row(
        rows[1], (f"Azure, {WINDOW_MINUTES} minutes", "llm_inference, a year of such hours"),
        ("batches of eight requests a minute", "lag, min", "duration, s"),
        (window.ravel(), windows.ravel()), lags,
        tuple([windows_mean(w, lag) for lag in lags] for w in (window, windows)),
        (np.concatenate([s.seconds for s in services]), seconds),
    )  # fmt: skip
    rows[1][1].set_title("about the mean of each window", fontsize="small")
    rows[0][2].set_xscale("log")
    FigureCanvasAgg(figure)
    path.parent.mkdir(exist_ok=True)
    figure.savefig(path, dpi=80)


def _draw_row(
    axes: Any, names: tuple[str, str], labels: tuple[str, str, str], counts: tuple[Float, Float],
    lags: Any, correlations: tuple[Any, ...], durations: tuple[Float, Float],
) -> None:  # fmt: skip
    for i, (name, colour) in enumerate(zip(names, ("black", "tab:orange"), strict=True)):
        axes[0].hist(
            counts[i], bins=np.linspace(0.0, np.quantile(counts[0], 0.99) * 1.2, 30), density=True,
            histtype="step", color=colour, label=name, linewidth=1.5,
        )  # fmt: skip
        style = {"marker": ".", "linewidth": 0.8} if i == 0 else {"linewidth": 1.5}
        axes[1].plot(lags, correlations[i], color=colour, label=name, **style)
        grid = np.linspace(0.0, 1.0, 1001)
        axes[2].plot(np.quantile(durations[i], grid), grid, color=colour, label=name)
    for axis, label, other in zip(
        axes, labels, ("density", "autocorrelation", "share that is shorter"), strict=True
    ):
        axis.set_xlabel(label)
        axis.set_ylabel(other)
    axes[1].axhline(0.0, color="grey", linewidth=0.5)
    axes[0].set_ylim(top=1.25 * axes[0].get_ylim()[1])
    axes[0].legend(fontsize="small")


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module's text."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--print", action="store_true", help="show the table, write nothing")
    chosen = parser.parse_args(arguments)
    folder = traces_folder()
    trace, years = philly(folder), generated_years()
    services = [azure(folder, "code"), azure(folder, "conv")]
    windows, seconds = generated_days()
    found = [
        *compare_gpu_week(trace, years), *compare_shares(folder, years),
        *compare_llm_inference(services, windows, seconds),
    ]  # fmt: skip
    text = table(found)
    print(text, end="")
    if chosen.print:
        return
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(
        TABLE.sub(lambda _: f"<!-- calibration -->\n{text}<!-- end -->", page), encoding="utf-8"
    )
    draw(trace, years, services, windows, seconds, PICTURE)


if __name__ == "__main__":
    main()
