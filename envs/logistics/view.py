"""Pictures: the network with its stock and flow, and an episode's stock, service and money."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float

from . import layout as at
from .layout import E_DEMAND_UNITS, E_MET_UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from daogym.envs.core.simulator import Simulator

_WIDTH, _HEIGHT, _DPI = 1120, 700, 100


def render(domain: Any, simulator: Simulator, lane: int) -> NDArray[np.uint8]:
    """The network of one lane as it stands, (700, 1120, 3).

    Nodes are as large as their stock and coloured by stock / order-up-to level; lines are as wide
    as what was sent in the last step; closed lanes are red and dashed.
    """
    # The figure is made without pyplot: no window system, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_WIDTH / _DPI, _HEIGHT / _DPI), dpi=_DPI, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_network(axes, domain, simulator, lane)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_network(axes: Axes, domain: Any, simulator: Simulator, lane: int) -> None:
    network = domain.network
    nodes = network.scenario.nodes
    x = np.array([node.x_km for node in nodes])
    y = np.array([node.y_km for node in nodes])
    flow = simulator.state("flow_units")[lane].sum(axis=1)
    closed = simulator.state("closed")[lane]
    largest = max(float(flow.max()), 1.0)
    for a, link in enumerate(network.lane_list):
        o, d = network.node_names.index(link.origin), network.node_names.index(link.destination)
        sent = sum(flow[r] for r, route in enumerate(network.route_list) if route.lane == a)
        axes.plot(
            [x[o], x[d]], [y[o], y[d]], lw=0.4 + 5.0 * sent / largest, alpha=0.6, zorder=1,
            color="#c0392b" if closed[a] else "#5d6d7e", ls="--" if closed[a] else "-",
        )  # fmt: skip
    stock = simulator.state("stock_units")[lane].sum(axis=1)
    backlog = simulator.state("backlog_units")[lane].sum(axis=1)
    level = np.maximum(network.tables["cells"][at.C_INITIAL].sum(axis=1), 1.0)
    size = 60.0 + 900.0 * stock / max(float(stock.max()), 1.0)
    share = np.where(network.supplier, 1.0, stock / level)
    size[network.supplier] = 120.0
    points = axes.scatter(x, y, s=size, c=np.clip(share, 0.0, 1.5), cmap="RdYlGn", vmin=0.0,
                          vmax=1.5, edgecolors="black", zorder=2)  # fmt: skip
    for n, name in enumerate(network.node_names):
        text = name if network.supplier[n] else f"{name}\n{stock[n]:.0f}"
        if backlog[n] > 0.5:
            text += f" (-{backlog[n]:.0f})"
        axes.annotate(text, (x[n], y[n]), xytext=(6, 6), textcoords="offset points", fontsize=7)
    axes.figure.colorbar(points, ax=axes, label="stock / initial level")
    day = int(simulator.state("step")[lane])
    axes.set(title=f"{network.scenario.name}, day {day}", xlabel="km", ylabel="km")
    axes.margins(0.12)


@dataclass(frozen=True)
class Episode:
    """What happened to lane 0: (T,) or (T, tiers)."""

    name: str
    tiers: tuple[str, ...]
    stock: Float
    backlog: Float
    demand: Float
    met: Float
    money: Float


def record_episode(simulator: Simulator, act: Callable[[Any], Any], *, name: str = "") -> Episode:
    """Play lane 0 to the end of its episode; the simulator does not reset itself."""
    scenario = simulator.scenario
    tier = [[n for n, node in enumerate(scenario.nodes) if not node.is_supplier and node.tier == t]
            for t in scenario.tiers]  # fmt: skip
    rows = []
    for _ in range(simulator.horizon):
        simulator.step(act(simulator))
        stock = simulator.state("stock_units")[0].sum(axis=1)
        events = simulator.events[0]
        rows.append((
            [stock[nodes].sum() for nodes in tier],
            simulator.state("backlog_units")[0].sum(), events[E_DEMAND_UNITS],
            events[E_MET_UNITS], simulator.rewards[0],
        ))  # fmt: skip
    columns = [np.array(column, dtype=np.float64) for column in zip(*rows, strict=True)]
    return Episode(name, scenario.tiers, *columns)


def episode_plot(episodes: Sequence[Episode], path: Path) -> None:
    """Inventory, service and money over time, one column an episode."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * len(episodes), 9.0), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(4, len(episodes), sharex=True, sharey="row", squeeze=False)
    for column, episode in enumerate(episodes):
        days = np.arange(len(episode.money))
        stock, service, waiting, money = grid[:, column]
        stock.stackplot(days, episode.stock.T, labels=episode.tiers, alpha=0.8)
        stock.set(title=episode.name, ylabel="stock, units")
        service.plot(days, episode.demand, lw=0.8, label="demand, units")
        service.plot(days, episode.met, lw=0.8, label="met at once")
        service.set(ylabel="units a day")
        waiting.plot(days, episode.backlog, lw=0.8, color="#c0392b", label="backlog")
        waiting.set(ylabel="units")
        money.plot(days, np.cumsum(episode.money), lw=1.0, label="money")
        money.set(ylabel="USD", xlabel="day")
        for axes in grid[:, column]:
            axes.grid(alpha=0.3)
            axes.legend(loc="upper left", fontsize=7)
    partial = path.with_name(f".{path.name}.tmp")
    figure.savefig(partial, format="png", dpi=110, metadata={"Software": None})
    partial.replace(path)
