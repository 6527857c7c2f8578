"""Pictures of the compute market: its providers now; a week of queue, use, prices and outages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from daogym.envs.core.layout import Float

from .layout import (
    BALANCES,
    BANDS,
    L_QUEUED_GPUS,
    MICRO,
    TIERS,
    V_GPUS,
    V_TIER,
)
from .tables import tier_references

TIER_NAMES = ("consumer", "T4/A10", "A100", "H100")
_COLOURS = ("#8a8f98", "#4a6fa5", "#2a9d8f", "#f2a900")
_BANDS = ("#f2a900", "#2a9d8f", "#4a6fa5", "#7b4fa3")
_ALARM = "#c1121f"


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode of one lane, T steps.

    Attributes:
        name: who acted.
        days: (T,) time since the start.
        queued_gpus: (T, bands) GPUs that waiting orders need.
        used_share: (T, tiers) GPUs at work / GPUs of the class.
        ask_ratio: (T, tiers) mean ask / reference price of the class.
        up_gpus: (T,) GPUs whose nodes work.
        stakes_usd: (T,) all stakes.
        usd: (T,) reward.
    """

    name: str
    days: Float
    queued_gpus: Float
    used_share: Float
    ask_ratio: Float
    up_gpus: Float
    stakes_usd: Float
    usd: Float


def record_episode(
    simulator: Any, act: Callable[[Any], Any], *, lane: int = 0, name: str = "policy"
) -> EpisodeRecord:
    """Run all lanes to the end of `lane`'s episode and keep what happened in that lane.

    Raises:
        ValueError: the simulator resets itself: its last state would be gone.
    """
    if simulator.autoreset != "disabled":
        raise ValueError(f"autoreset 'disabled' expected, got {simulator.autoreset!r}")
    providers = simulator.domain.providers
    gpus, tier = providers[:, V_GPUS], providers[:, V_TIER].astype(int)
    reference = tier_references(simulator.scenario)
    there = [t for t in range(TIERS) if (tier == t).any()]
    rows: list[tuple[Any, ...]] = []
    while True:
        simulator.step(act(simulator))
        used, ask = simulator.state("used_gpus")[lane], simulator.state("ask")[lane]
        share, ratio = np.zeros(TIERS), np.zeros(TIERS)
        for t in there:
            share[t] = used[tier == t].sum() / gpus[tier == t].sum()
            ratio[t] = ask[tier == t].mean() / reference[t]
        accounts = simulator.state("market_accounts")[lane]
        rows.append((
            simulator.state("load")[lane, L_QUEUED_GPUS : L_QUEUED_GPUS + BANDS].copy(),
            share, ratio, (simulator.state("up_share")[lane] * gpus).sum(),
            accounts[BALANCES + len(gpus) :].sum() / MICRO, simulator.rewards[lane],
        ))  # fmt: skip
        if simulator.terminated[lane] or simulator.truncated[lane]:
            break
    columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
    days = np.arange(1, len(rows) + 1) * simulator.scenario.step_minutes / 1440.0
    return EpisodeRecord(name, days, *columns)


def episode_plot(records: Sequence[EpisodeRecord], path: str | PathLike[str]) -> None:
    """Write a page with one column an episode: queue, use by class, asks, outages, stakes, money.

    Raises:
        ValueError: no record.
    """
    if not records:
        raise ValueError("at least one episode expected, got none")
    figure = Figure(figsize=(6.4 * len(records), 11.0), layout="constrained")
    axes = figure.subplots(5, len(records), squeeze=False, sharex=True)
    for column, record in enumerate(records):
        queue, use, ask, up, money = axes[:, column]
        queue.set_title(f"{record.name}: {record.usd.sum():,.0f} USD")
        queue.stackplot(record.days, record.queued_gpus.T, colors=_BANDS,
                        labels=[f"band {b}" for b in range(BANDS)])  # fmt: skip
        queue.set_ylabel("GPUs that wait")
        for t in range(TIERS):
            use.plot(record.days, record.used_share[:, t], color=_COLOURS[t], label=TIER_NAMES[t])
            ask.plot(record.days, record.ask_ratio[:, t], color=_COLOURS[t], label=TIER_NAMES[t])
        use.set_ylabel("share at work")
        ask.set_ylabel("ask / reference")
        up.step(record.days, record.up_gpus, color=_ALARM, where="post")
        up.set_ylabel("working GPUs", color=_ALARM)
        stakes = up.twinx()
        stakes.plot(record.days, record.stakes_usd / 1000.0, color=_COLOURS[1])
        stakes.set_ylabel("stakes, 1,000 USD", color=_COLOURS[1])
        money.plot(record.days, record.usd.cumsum() / 1000.0, color=_COLOURS[2])
        money.set_ylabel("welfare, 1,000 USD")
        money.set_xlabel("days")
        for one in (queue, use):
            one.legend(loc="upper right", fontsize="x-small", ncols=2)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=100)


def render(domain: Any, simulator: Any, lane: int) -> NDArray[np.uint8]:
    """Providers as bars (working, at work), beside the queue by band, (600, 1000, 3)."""
    providers = domain.providers
    gpus, tier = providers[:, V_GPUS], providers[:, V_TIER].astype(int)
    figure = Figure(figsize=(10.0, 6.0), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(3, 1))
    place = np.arange(len(gpus))
    left.bar(place, gpus, color="#e6e6e6")
    left.bar(place, gpus * simulator.state("up_share")[lane], color="#c9ced6")
    left.bar(place, simulator.state("used_gpus")[lane], color=[_COLOURS[t] for t in tier])
    left.set_xlabel("provider")
    left.set_ylabel("GPUs: all, working, at work")
    step = int(simulator.state("step")[lane])
    left.set_title(
        f"{simulator.scenario.name}, hour {step / simulator.scenario.steps_per_hour:.2f}"
    )
    queued = simulator.state("load")[lane, L_QUEUED_GPUS : L_QUEUED_GPUS + BANDS]
    right.bar(np.arange(BANDS), queued, color=_BANDS)
    right.set_xlabel("duration band")
    right.set_ylabel("GPUs that wait")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
