"""What happened in an episode: a recorder, and a page of curves for one or more of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from numpy.typing import ArrayLike

from daogym.envs.core.layout import Float

from .moment import read_moment

SERIES = (
    "hour", "spot", "import_price", "export_price", "load_kw", "pv_kw", "pv_available_kw",
    "battery_kw", "ev_kw", "exchange_kw", "losses_kw", "loading", "hot_spot_c", "eur",
    "interventions",
)  # fmt: skip
_SUN, _BATTERY, _CAR, _LOAD, _GRID = "#f2a900", "#2a9d8f", "#7b4fa3", "#4a6fa5", "#333333"
_ALARM, _FAINT = "#c1121f", "#8a8f98"


@dataclass(frozen=True)
class EpisodeRecord:
    """One episode of one lane, T steps.

    Attributes:
        name: who acted.
        scenario, date: of the episode's first step.
        step_h: length of a step, h.
        start_h: local hour of the first step.
        series: (T,) arrays by the names in `SERIES`, as `Moment` defines them; ``hour`` counts on
            from `start_h` instead of from each midnight.
        voltage_pu: (T, n_bus - 1), the slack bus left out.
        soc_share: (T, n_battery) of the capacities.
        limits: lower and upper voltage limit, pu.
        transformer_kva: rating.
        reward_eur: sum of the rewards.
        costs, events: sums by name.
    """

    name: str
    scenario: str
    date: str
    step_h: float
    start_h: float
    series: dict[str, Float]
    voltage_pu: Float
    soc_share: Float
    limits: tuple[float, float]
    transformer_kva: float
    reward_eur: float
    costs: dict[str, float]
    events: dict[str, float]


def record_episode(
    simulator: Any,
    act: Callable[[Any], ArrayLike],
    *,
    lane: int = 0,
    name: str = "policy",
) -> EpisodeRecord:
    """Run all lanes to the end of `lane`'s episode and keep what happened in that lane.

    Args:
        simulator: just reset, with autoreset "disabled": otherwise its last state is gone.
        act: actions (N, action_size) for the simulator as it stands, such as a controller's `act`.
        lane: which lane to record.
        name: heading of the curves.

    Raises:
        ValueError: the simulator resets itself, or `lane` is not one of its lanes.
    """
    if simulator.autoreset != "disabled":
        raise ValueError(
            "a simulator with autoreset='disabled' expected, whose last state stays readable; "
            f"got {simulator.autoreset!r}"
        )
    if not 0 <= lane < simulator.num_envs:
        raise ValueError(f"lane: 0 to {simulator.num_envs - 1} expected, got {lane}")
    domain = simulator.domain
    capacity = np.maximum(domain.feeder.battery_e_kwh, 1e-9)
    step_h = domain.scenario.step_minutes / 60.0
    first = read_moment(domain, simulator, lane)
    rows: dict[str, list[float]] = {name: [] for name in SERIES}
    voltages, charges = [], []
    reward, costs, events = 0.0, 0.0, 0.0
    while True:
        simulator.step(act(simulator))
        moment = read_moment(domain, simulator, lane)
        for key, values in rows.items():
            values.append(float(getattr(moment, key)))
        voltages.append(moment.voltage_pu[1:])
        charges.append(moment.soc_kwh / capacity)
        reward += float(simulator.rewards[lane])
        costs = costs + simulator.costs[lane]
        events = events + simulator.events[lane]
        if simulator.terminated[lane] or simulator.truncated[lane]:
            break
    series = {key: np.array(values) for key, values in rows.items()}
    series["hour"] = first.hour + step_h * np.arange(len(voltages))
    limits = domain.scenario.limits
    return EpisodeRecord(
        name=name,
        scenario=domain.scenario.name,
        date=str(domain.loaded.series.date[first.day]),
        step_h=step_h,
        start_h=first.hour,
        series=series,
        voltage_pu=np.array(voltages),
        soc_share=np.array(charges),
        limits=(limits.voltage_low_pu, limits.voltage_high_pu),
        transformer_kva=domain.transformer_kva,
        reward_eur=reward,
        costs=dict(zip(simulator.cost_names, np.asarray(costs).tolist(), strict=True)),
        events=dict(zip(simulator.event_names, np.asarray(events).tolist(), strict=True)),
    )


def episode_plot(
    records: EpisodeRecord | Sequence[EpisodeRecord], path: str | PathLike[str]
) -> None:
    """Write a PNG with one column a record, all on the same scales.

    Rows: prices; powers; lowest and highest voltage against the limits; stored energy; transformer
    loading; EUR so far.

    Raises:
        ValueError: no record.
    """
    columns = [records] if isinstance(records, EpisodeRecord) else list(records)
    if not columns:
        raise ValueError("records: at least one EpisodeRecord expected, got none")
    n = len(columns)
    figure = Figure(figsize=(2.4 + 6.8 * n, 13.0), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        6, n, sharex="col", sharey="row", squeeze=False,
        gridspec_kw={"height_ratios": [1.0, 1.7, 1.1, 0.9, 0.9, 0.9]},
    )  # fmt: skip
    for column, record in enumerate(columns):
        _draw_column(axes[:, column], record, last=column == n - 1)
    labels = (
        "price\nEUR/kWh", "power, kW\nexchange: import positive", "bus voltage\npu",
        "stored energy\n% of capacity", "transformer\nloading, %", "money so far\nEUR",
    )  # fmt: skip
    for row, label in enumerate(labels):
        axes[row, 0].set_ylabel(label)
    figure.savefig(path, format="png")


def _draw_column(axes: Any, record: EpisodeRecord, last: bool) -> None:
    s, step = record.series, record.step_h
    edges = np.append(s["hour"], s["hour"][-1] + step)
    ends = s["hour"] + step
    price, power, voltage, charge, loading, money = axes
    price.set_title(
        f"{record.name}\n{record.scenario}, {record.date}: {record.reward_eur:+,.2f} EUR", size=12
    )
    price.stairs(s["import_price"], edges, baseline=None, color=_ALARM, lw=1.4, label="import")
    price.stairs(s["spot"], edges, baseline=None, color=_GRID, lw=1.4, label="day-ahead")
    price.stairs(s["export_price"], edges, baseline=None, color=_SUN, lw=1.4, label="export")
    price.axhline(0.0, color=_FAINT, lw=0.8)

    power.stairs(s["load_kw"], edges, baseline=None, color=_LOAD, lw=1.6, label="load")
    power.stairs(-s["pv_available_kw"], edges, color=_SUN, lw=1.0, ls=":",
                 label="PV available\n(negative: feeds in)")  # fmt: skip
    power.stairs(-s["pv_kw"], edges, baseline=0.0, fill=True, color=_SUN, alpha=0.35,
                 label="PV used")  # fmt: skip
    power.stairs(s["battery_kw"], edges, baseline=0.0, fill=True, color=_BATTERY, alpha=0.5,
                 label="batteries\n(charging positive)")  # fmt: skip
    power.stairs(s["ev_kw"], edges, baseline=None, color=_CAR, lw=1.6, label="cars")
    power.stairs(s["exchange_kw"], edges, baseline=None, color=_GRID, lw=2.0,
                 label="exchange\nwith the grid")  # fmt: skip
    for sign in (-1.0, 1.0):
        power.axhline(sign * record.transformer_kva, color=_ALARM, lw=1.0, ls="--",
                      label="transformer\nrating, kVA" if sign > 0 else None)  # fmt: skip
    shown = max(np.abs(s[key]).max() for key in ("load_kw", "pv_available_kw", "exchange_kw"))
    if shown < 0.5 * record.transformer_kva:
        power.set_ylim(-1.6 * shown, 1.6 * shown)
    power.axhline(0.0, color=_FAINT, lw=0.8)

    low, high = record.voltage_pu.min(axis=1), record.voltage_pu.max(axis=1)
    voltage.stairs(high, edges, baseline=low, fill=True, color=_LOAD, alpha=0.25,
                   label="all buses but\nthe upstream grid")  # fmt: skip
    voltage.stairs(high, edges, baseline=None, color=_LOAD, lw=1.4, label="highest")
    voltage.stairs(low, edges, baseline=None, color="#1d3557", lw=1.4, label="lowest")
    for i, limit in enumerate(record.limits):
        voltage.axhline(limit, color=_ALARM, lw=1.0, ls="--", label=None if i else "limits")

    if record.soc_share.shape[1]:
        for battery, share in enumerate(record.soc_share.T):
            charge.plot(ends, 100.0 * share, lw=1.3, label=f"battery {battery + 1}")
    charge.set_ylim(-3.0, 103.0)

    loading.stairs(100.0 * s["loading"], edges, baseline=0.0, fill=True, color=_FAINT, alpha=0.6,
                   label="|S| / rating")  # fmt: skip
    loading.axhline(100.0, color=_ALARM, lw=1.0, ls="--", label="rating")

    money.plot(np.append(record.start_h, ends), np.append(0.0, s["eur"]), color=_GRID, lw=1.6,
               label="sum of rewards")  # fmt: skip
    money.axhline(0.0, color=_FAINT, lw=0.8)
    for axis in axes:
        axis.set_xlim(edges[0], edges[-1])
        axis.grid(True, color="#e6e6e6", lw=0.7)
        axis.set_axisbelow(True)
        if last and axis.get_legend_handles_labels()[0]:
            axis.legend(loc="upper left", bbox_to_anchor=(1.01, 1.02), fontsize=9, frameon=False)
    _clock_axis(money, record, edges)


def _clock_axis(axis: Any, record: EpisodeRecord, edges: Float) -> None:
    """Hours where the episode is a day, dates where it is longer."""
    if edges[-1] - edges[0] <= 24.5:
        axis.xaxis.set_major_locator(MultipleLocator(3.0))
        axis.xaxis.set_major_formatter(lambda hour, _: f"{hour:02.0f}:00")
        axis.set_xlabel("local hour")
        return
    first = np.datetime64(record.date, "D")
    days = max(1, round((edges[-1] - edges[0]) / 24.0 / 8.0))
    axis.xaxis.set_major_locator(MultipleLocator(24.0 * days))
    axis.xaxis.set_minor_locator(MultipleLocator(6.0 * days))
    axis.xaxis.set_major_formatter(lambda hour, _: f"{(first + round(hour / 24.0)).item():%d %b}")
    axis.set_xlabel("date, written at its first midnight")
