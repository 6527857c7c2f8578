"""`gpu_week`'s generator beside the traces that it was fitted to, over runs of years.

The traces are not part of the project; see docs/compute.md for what they are and where from.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.compute.foresight import true_world
from daogym.envs.compute.layout import J_ARRIVAL, J_GPUS, J_WORK

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

TRACES = Path(__file__).resolve().parents[3] / "shared" / "data" / "compute"
YEARS, LONGEST_S = 24, 172_800.0
Float = NDArray[np.float64]


def trace(name: str) -> Path:
    path = TRACES / name
    if not path.is_file():
        pytest.skip(f"the trace {path} is not there")
    return path


@pytest.fixture(scope="module")
def philly() -> tuple[Float, Float, Float]:
    """(hour of arrival, duration in s capped at 48 h, GPUs) of each job."""
    with trace("philly_2017.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    when = np.array([np.datetime64(row["timestamp"]) for row in rows])
    hours = (when - when.min()) / np.timedelta64(3600, "s")
    seconds = np.minimum(np.array([float(row["duration"]) for row in rows]), LONGEST_S)
    return hours, seconds, np.array([float(row["num_gpus"]) for row in rows])


@pytest.fixture(scope="module")
def generated() -> list[tuple[Float, Float, Float]]:
    """The same three of each year that the generator makes."""
    simulator = daogym.make_simulator("gpu_week", YEARS, episode_days=364)
    simulator.reset(seed=77)
    years = []
    for lane in range(YEARS):
        world = true_world(simulator, lane)
        orders = world.orders[world.present :]
        hours = orders[:, J_ARRIVAL] * 0.25
        years.append((hours, orders[:, J_WORK] * 900.0, orders[:, J_GPUS].copy()))
    return years


def counts(hours: Float) -> Float:
    return np.bincount(hours.astype(np.int64)).astype(np.float64)


def autocorrelation(series: list[Float], lag: int) -> float:
    """Of all series together, about their common mean."""
    mean = np.concatenate(series).mean()
    top = sum(float(((s[lag:] - mean) * (s[:-lag] - mean)).sum()) for s in series)
    n = sum(len(s) - lag for s in series)
    return top / n / float(np.concatenate(series).var())


def test_hourly_arrivals(
    philly: tuple[Float, Float, Float], generated: list[tuple[Float, Float, Float]]
) -> None:
    real = counts(philly[0])
    made = [counts(year[0]) for year in generated]
    every = np.concatenate(made)
    assert every.mean() == pytest.approx(real.mean(), rel=0.10)
    assert every.var() / every.mean() == pytest.approx(real.var() / real.mean(), rel=0.20)
    for lag in (1, 24):
        assert autocorrelation(made, lag) == pytest.approx(
            autocorrelation([real], lag), rel=0.10
        ), lag


def size_group(gpus: Float) -> NDArray[np.int64]:
    """0: up to one GPU, 1: 2, 2: 4 to 7, 3: 8 to 15, 4: 16 and more."""
    return np.digitize(gpus, [1.5, 3.5, 7.5, 15.5])


def test_gpu_mix_and_durations(
    philly: tuple[Float, Float, Float], generated: list[tuple[Float, Float, Float]]
) -> None:
    seconds = np.concatenate([year[1] for year in generated])
    group = size_group(np.concatenate([year[2] for year in generated]))
    real_group = size_group(philly[2])
    for size in range(5):
        real, made = philly[1][real_group == size], seconds[group == size]
        assert len(made) / len(seconds) == pytest.approx(len(real) / len(philly[1]), rel=0.10)
        assert made.mean() == pytest.approx(real.mean(), rel=0.10), size
    for share in (0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99):
        assert np.quantile(seconds, share) == pytest.approx(
            np.quantile(philly[1], share), rel=0.10
        ), share
    for size in (2, 3):  # large gangs hold most of the GPU time
        real, made = philly[1][real_group == size], seconds[group == size]
        for share in (0.25, 0.5, 0.75):
            assert np.quantile(made, share) == pytest.approx(np.quantile(real, share), rel=0.10)


def test_shares_of_a_gpu(generated: list[tuple[Float, Float, Float]]) -> None:
    """Alibaba's GPU trace of 2023: of orders up to one GPU, how many ask for a part of it."""
    with trace("alibaba_gpu_2023_pods.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["num_gpu"] == "1"]
    real = np.array([float(row["gpu_milli"]) / 1000.0 for row in rows])
    gpus = np.concatenate([year[2] for year in generated])
    made = gpus[gpus <= 1.0]
    assert (made < 1.0).mean() == pytest.approx((real < 1.0).mean(), rel=0.10)
    assert made.mean() == pytest.approx(real.mean(), rel=0.10)
    assert np.median(made[made < 1.0]) == pytest.approx(np.median(real[real < 1.0]), rel=0.10)
