"""A picture of the grid at one moment: voltages as colour, flows as width, devices as gauges.

Everything is drawn on canvases of its own: matplotlib's global state (pyplot, backends) is never
touched, so pictures can be taken inside any program and any thread.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Rectangle
from numpy.typing import NDArray

from daogym.envs.core.layout import Float

from .feeder import Feeder, tree_layout
from .layout import W_LOAD_KW, W_PV_KW
from .moment import Moment, estimate_flows, read_moment

WIDTH_PX, HEIGHT_PX, DPI = 1120, 700, 100
MAP_WIDTH, MAP_HEIGHT = 760, 530
INK, FAINT, ALARM = "#222222", "#9a9a9a", "#c1121f"
SUN, BATTERY, CAR, LOAD, GRID = "#f2a900", "#2a9d8f", "#7b4fa3", "#4a6fa5", "#555555"
_CROWDED_PX = 28.0  # nearer than this, buses or their devices would cover each other
_SIDES = ((0.0, 1.0), (-1.0, 0.0), (1.0, 0.0), (0.0, -1.0))


def render(domain: Any, simulator: Any, lane: int) -> NDArray[np.uint8]:
    """Picture of one lane of a simulator of `domain`, (700, 1120, 3) uint8.

    The powers and voltages are those of the step just finished. The first picture of a domain
    costs some 0.3 s, later ones 0.05 s.

    Raises:
        IndexError: there is no such lane.
    """
    if not 0 <= lane < simulator.num_envs:
        raise IndexError(f"lane: 0 to {simulator.num_envs - 1} expected, got {lane}")
    picture = _pictures.get(domain)
    if picture is None:
        picture = _pictures[domain] = GridPicture(domain)
    moment = read_moment(domain, simulator, lane)
    current, power = estimate_flows(domain, simulator, lane, moment)
    return picture.draw(moment, current, power)


def bus_places(feeder: Feeder, width: float, height: float, margin: float) -> Float:
    """Where each bus stands, (n_bus, 2) px, origin at the lower left.

    The coordinates of the source are stretched to the frame. A slack bus that feeds one transformer
    is drawn above that transformer's other side, since sources often put both on one spot. Where
    two buses would stand too close, the tree is drawn instead, the slack bus on the left.
    """
    places = _fitted(feeder.bus_xy, width, height, margin)
    roots = np.flatnonzero(feeder.parent == 0)
    if len(roots) == 1 and feeder.is_transformer[roots[0]]:
        head = 90.0
        places[1:] = _fitted(feeder.bus_xy[1:], width, height - head, margin)
        x, y = places[roots[0]]
        above = places[1:][np.abs(places[1:, 0] - x) < _CROWDED_PX]
        places[0] = x, max(float(above[:, 1].max()), y) + head
    gaps = np.hypot(*(places[:, None] - places[None]).transpose(2, 0, 1))
    gaps[np.diag_indices(len(places))] = np.inf
    if float(gaps.min()) < _CROWDED_PX:
        places = _fitted(tree_layout(feeder.parent), width, height, margin)
    return places


def _fitted(xy: Float, width: float, height: float, margin: float) -> Float:
    low, span = xy.min(axis=0), np.ptp(xy, axis=0)
    share = np.where(span > 0.0, (xy - low) / np.where(span > 0.0, span, 1.0), 0.5)
    return margin + share * (np.array([width, height]) - 2.0 * margin)


class GridPicture:
    """The artists of one domain, made once and set anew for each moment."""

    def __init__(self, domain: Any) -> None:
        self.domain = domain
        self.feeder: Feeder = domain.feeder
        limits = domain.scenario.limits
        self.low, self.high = limits.voltage_low_pu, limits.voltage_high_pu
        self.figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI)
        self.canvas = FigureCanvasAgg(self.figure)
        reach = 2.0 * max(1.0 - self.low, self.high - 1.0)
        self.reach = reach
        self.norm = TwoSlopeNorm(1.0, 1.0 - reach, 1.0 + reach)
        self.colours = matplotlib.colormaps["coolwarm"]
        self.title = self.figure.text(0.018, 0.955, "", size=14, weight="bold", color=INK)
        self.subtitle = self.figure.text(0.018, 0.918, "", size=10.5, color=INK)
        self._map()
        self._legend()
        self._panel()
        self.background = self._still()

    def _pixel_axes(self, left: float, bottom: float, width: float, height: float) -> Any:
        axes = self.figure.add_axes(
            (left / WIDTH_PX, bottom / HEIGHT_PX, width / WIDTH_PX, height / HEIGHT_PX)
        )
        axes.set_xlim(0, width)
        axes.set_ylim(0, height)
        axes.axis("off")
        return axes

    def _map(self) -> None:
        feeder = self.feeder
        axes = self._pixel_axes(10, 95, MAP_WIDTH, MAP_HEIGHT)
        self.places = places = bus_places(feeder, MAP_WIDTH, MAP_HEIGHT, 42.0)
        self.ends = np.stack([places[feeder.parent[1:]], places[1:]], axis=1)
        self.wires = LineCollection(list(self.ends), capstyle="round", zorder=1)
        axes.add_collection(self.wires)
        middle = self.ends.mean(axis=1)
        self.ahead = self.ends[:, 1] - self.ends[:, 0]
        self.ahead /= np.maximum(np.hypot(*self.ahead.T), 1e-9)[:, None]
        self.arrows = axes.quiver(
            *middle.T, *self.ahead.T, pivot="mid", units="dots", angles="xy", scale=1 / 13,
            scale_units="dots", width=1.0, headwidth=11, headlength=12, headaxislength=12,
            color="white", edgecolor=INK, linewidth=0.9, zorder=3,
        )  # fmt: skip
        self.coils: list[Any] = []
        for bus in np.flatnonzero(feeder.is_transformer):
            spot, along = middle[bus - 1], 8.0 * self.ahead[bus - 1]
            for side in (-0.8, 0.8):
                circle = Circle(spot + side * along, 11, fill=False, color=INK, lw=1.8, zorder=4)
                self.coils.append(axes.add_patch(circle))
            offset = np.array([along[1], -along[0]]) / 8.0
            offset *= 26.0 if abs(offset[0]) > 0.5 else 22.0
            self.arrows.set_offsets(_moved(self.arrows.get_offsets(), int(bus) - 1, offset))
        size = 130 if len(places) <= 20 else 80
        self.buses = axes.scatter(
            *places.T, s=size, c=np.ones(len(places)), cmap=self.colours, norm=self.norm,
            edgecolors=INK, linewidths=1.0, zorder=5,
        )  # fmt: skip
        self._devices(axes, np.sqrt(size / np.pi) * DPI / 72.0)
        on_top = places[0, 1] > places[1:, 1].max()
        axes.text(*(places[0] + (0, 17)), "upstream grid" if on_top else "upstream\ngrid",
                  ha="center", size=9, color=INK)  # fmt: skip
        self.notice = axes.text(
            MAP_WIDTH / 2, MAP_HEIGHT / 2, "", ha="center", va="center", size=30, weight="bold",
            color=ALARM, zorder=9,
        )  # fmt: skip

    def _devices(self, axes: Any, radius: float) -> None:
        """Tags and gauges beside their bus, on the sides that its branches leave free."""
        feeder, places = self.feeder, self.places
        kinds = (("PV", SUN, set(feeder.pv_bus.tolist())), ("EV", CAR, set(feeder.ev_bus.tolist())))
        gauge_at: dict[int, Float] = {}
        for bus, place in enumerate(places):
            wires = [-self.ahead[bus - 1]] if bus else []
            wires += [self.ahead[child - 1] for child in np.flatnonzero(feeder.parent == bus)]
            sides = sorted(_SIDES, key=lambda side: max(np.dot(wires, side)).round(6))
            marks = [(mark, colour) for mark, colour, buses in kinds if bus in buses]
            for i, (mark, colour) in enumerate(marks):
                x, y = sides[0]
                spread = 7.0 - 13.0 * i if len(marks) > 1 else 0.0
                shift = (x * (radius + 11.0), spread) if x else (0.0, y * (radius + 8.0 + 13.0 * i))
                _tag(axes, place + shift, mark, colour)
            x, y = sides[1] if marks else sides[0]
            gauge_at[bus] = place + (
                (x * (radius + 9.0) - 5.5, -11.0) if x
                else (-5.5, radius + 4.0 if y > 0.0 else -radius - 26.0)
            )  # fmt: skip
        self.gauges = []
        for bus in feeder.battery_bus.tolist():
            x, y = gauge_at[bus]
            axes.add_patch(Rectangle((x + 3, y + 19), 5, 3, color=INK, zorder=6))
            axes.add_patch(Rectangle((x, y), 11, 19, fc="white", ec=INK, lw=1.0, zorder=6))
            self.gauges.append(
                axes.add_patch(Rectangle((x + 1.5, y + 1.5), 8, 0, color=BATTERY, zorder=7))
            )

    def _legend(self) -> None:
        self.figure.text(0.02, 0.098, "bus voltage, pu", size=9, color=INK)
        bar = self.figure.add_axes((0.02, 0.066, 0.25, 0.022))
        ticks = [1.0 - self.reach, self.low, 1.0, self.high, 1.0 + self.reach]
        self.figure.colorbar(
            ScalarMappable(self.norm, self.colours), cax=bar, orientation="horizontal",
            ticks=ticks, format="%.2f",
        )  # fmt: skip
        bar.tick_params(labelsize=8.5)
        for limit in (self.low, self.high):
            bar.axvline(limit, color=ALARM, lw=2.5)
        self.figure.text(
            0.02, 0.012, "red lines: limits; red ring: a bus beyond them", size=8.5, color=INK
        )
        axes = self._pixel_axes(330, 5, 440, 75)
        axes.text(0, 62, "line width: current / rating (re-solved from measured powers)", size=9,
                  va="center")  # fmt: skip
        for i, share in enumerate((0.1, 0.5, 1.0, 1.2)):
            x = 2 + 78 * i
            (colour,), (width,) = _wire_colours(np.array([share])), _wire_widths(np.array([share]))
            axes.plot([x, x + 26], [42, 42], color=colour, lw=width, solid_capstyle="butt")
            text = f"{share:.0%}" if share <= 1.0 else "> 100 %"
            axes.text(x + 31, 42, text, size=8.5, va="center")
        for x, mark, colour, text in ((10, "PV", SUN, "inverter"), (95, "EV", CAR, "charger")):
            _tag(axes, (x, 14), mark, colour)
            axes.text(x + 14, 14, text, size=8.5, va="center")
        axes.add_patch(Rectangle((180, 5), 11, 19, fc="white", ec=INK, lw=1.0))
        axes.add_patch(Rectangle((181.5, 6.5), 8, 9, color=BATTERY))
        axes.text(197, 14, "battery, filled by its charge", size=8.5, va="center")

    def _panel(self) -> None:
        domain, feeder = self.domain, self.feeder
        axes = self._pixel_axes(790, 20, 320, 610)
        self.panel = axes
        self.bars: dict[str, Any] = {}
        self.texts: dict[str, Any] = {}
        y = 592.0
        axes.text(0, y, f"Transformer, {domain.transformer_kva:,.0f} kVA", size=10.5,
                  weight="bold", color=INK)  # fmt: skip
        y -= 28
        axes.add_patch(Rectangle((0, y), 240, 15, fc="#eeeeee", ec="none"))
        self.bars["loading"] = axes.add_patch(Rectangle((0, y), 0, 15, color=GRID))
        for share, text in ((0.5, "50"), (1.0, "100"), (1.5, "150 %")):
            x = 120 * share * 4 / 3
            axes.plot([x, x], [y - 3, y + 15], color=ALARM if share == 1.0 else FAINT,
                      lw=1.8 if share == 1.0 else 0.8)  # fmt: skip
            axes.text(x, y - 6, text, size=7.5, ha="center", va="top", color=INK)
        self.texts["loading"] = axes.text(248, y + 7, "", size=10, va="center")
        self.texts["hot_spot"] = axes.text(0, y - 32, "", size=9, color=INK)
        y -= 70
        axes.text(0, y, "Power, kW", size=10.5, weight="bold", color=INK)
        self.centre, self.half = 165.0, 88.0
        axes.plot([self.centre] * 2, [y - 138, y - 10], color=FAINT, lw=0.8)
        for name, text, colour in (
            ("load", "load", LOAD), ("pv", "PV", SUN), ("battery", "batteries", BATTERY),
            ("ev", "cars", CAR), ("exchange", "exchange", GRID),
        ):  # fmt: skip
            y -= 26
            label = axes.text(0, y + 7, text, size=9.5, va="center", color=INK)
            if name == "pv":
                self.bars["pv_available"] = axes.add_patch(
                    Rectangle((self.centre, y), 0, 14, fc="none", ec=SUN, lw=1.0)
                )
            self.bars[name] = axes.add_patch(Rectangle((self.centre, y), 0, 14, color=colour))
            self.texts[name] = axes.text(318, y + 7, "", size=9.5, va="center", ha="right")
            if name == "ev":
                self.texts["cars"] = label
        y -= 6
        note = "right: used or imported; left: given or exported;\n"
        note += "frame around PV: what the sun would have given"
        axes.text(0, y, note, size=8, va="top", color=INK)
        y -= 60
        axes.text(0, y, f"Batteries, {domain.battery_kwh_total:,.0f} kWh in all", size=10.5,
                  weight="bold", color=INK)  # fmt: skip
        self.cells: list[tuple[Any, Any, Any]] = []
        for kwh in feeder.battery_e_kwh.tolist()[:8]:
            y -= 21
            axes.text(0, y + 7, f"{len(self.cells) + 1}: {kwh:,.0f} kWh", size=9, va="center")
            axes.add_patch(Rectangle((90, y), 120, 14, fc="#eeeeee", ec="none"))
            fill = axes.add_patch(Rectangle((90, y), 0, 14, color=BATTERY))
            share = axes.text(216, y + 7, "", size=9, va="center")
            kw = axes.text(318, y + 7, "", size=9, va="center", ha="right")
            self.cells.append((fill, share, kw))
        y -= 30
        axes.text(0, y, "Charter", size=10.5, weight="bold", color=INK)
        self.texts["budget"] = axes.text(0, y - 19, "", size=9, color=INK)
        self.texts["interventions"] = axes.text(0, y - 36, "", size=9, color=INK)
        world = domain.loaded.world
        self.scale_kw = max(
            float(world[W_LOAD_KW].max()), float(world[W_PV_KW].max()),
            float(feeder.battery_p_kw.sum()), 1.0,
        )  # fmt: skip

    def _moving(self) -> list[Any]:
        """Artists that change from picture to picture, lowest first."""
        cells = [artist for cell in self.cells for artist in cell]
        return [
            self.title, self.subtitle, self.wires, *self.coils, self.arrows, self.buses,
            *self.gauges, *self.bars.values(), *self.texts.values(), *cells, self.notice,
        ]  # fmt: skip

    def _still(self) -> Any:
        """Everything else, drawn once."""
        for artist in self._moving():
            artist.set_animated(True)
        self.canvas.draw()
        return self.canvas.copy_from_bbox(self.figure.bbox)

    def draw(self, moment: Moment, current: Float, power: Float) -> NDArray[np.uint8]:
        """The picture of a moment with its flows."""
        feeder = self.feeder
        name, date = self.domain.scenario.name, self.domain.loaded.series.date[moment.day].item()
        begin, end = moment.hour, moment.hour + self.domain.scenario.step_minutes / 60.0
        clock = f"{_clock(begin)}-{_clock(end)}" if moment.begun else f"{_clock(begin)}, start"
        self.title.set_text(f"{name}   {date:%a %d %b %Y}   {clock}")
        flow = "import" if moment.exchange_kw >= 0.0 else "export"
        self.subtitle.set_text(
            f"EUR/kWh: day-ahead {moment.spot:.3f}, import {moment.import_price:.3f}, export "
            f"{moment.export_price:.3f}     {flow} {abs(moment.exchange_kw):,.0f} kW     "
            f"EUR so far {moment.eur:+,.2f}"
        )
        rating = np.where(feeder.is_transformer, np.inf, feeder.i_max_pu)[1:]
        share = np.where(np.isfinite(rating), current[1:] / rating, 0.0)
        base = feeder.s_base_kva / max(self.domain.transformer_kva, 1e-9)
        share = np.where(feeder.is_transformer[1:], current[1:] * base, share)
        self.wires.set_linewidth(_wire_widths(share).tolist())
        self.wires.set_colors(_wire_colours(share))
        shown = np.abs(power[1:]) > 2e-3 * self.scale_kw
        ahead = self.ahead * np.where(shown, np.sign(power[1:]), np.nan)[:, None]
        self.arrows.set_UVC(*ahead.T)
        voltage = moment.voltage_pu
        beyond = (voltage < self.low) | (voltage > self.high)
        beyond[0] = False
        self.buses.set_array(voltage)
        self.buses.set_edgecolors(np.where(beyond, ALARM, INK).tolist())
        self.buses.set_linewidths(np.where(beyond, 2.8, 1.0))
        filled = moment.soc_kwh / np.maximum(feeder.battery_e_kwh, 1e-9)
        for gauge, part in zip(self.gauges, filled.tolist(), strict=True):
            gauge.set_height(16.0 * part)
        self.notice.set_text("OUTAGE" if moment.outage else "")
        self._set_panel(moment, filled)
        self.canvas.restore_region(self.background)
        renderer = self.canvas.get_renderer()
        for artist in self._moving():
            artist.draw(renderer)
        return np.asarray(self.canvas.buffer_rgba())[:, :, :3].copy()

    def _set_panel(self, moment: Moment, filled: Float) -> None:
        bar = self.bars["loading"]
        bar.set_width(160.0 * min(moment.loading, 1.5))
        bar.set_color(ALARM if moment.loading > 1.0 else GRID)
        self.texts["loading"].set_text(f"{moment.loading:.0%}")
        cars = int(moment.car_here.sum())
        self.texts["cars"].set_text(f"cars, {cars} here")
        self.texts["budget"].set_text(
            f"battery throughput left today: {moment.budget_kwh:,.0f} kWh"
        )
        self.texts["interventions"].set_text(
            f"steps with a request cut or refused so far: {moment.interventions}"
        )
        self.texts["hot_spot"].set_text(f"hot spot {moment.hot_spot_c:.0f} °C")
        values = {
            "load": moment.load_kw, "pv": -moment.pv_kw, "battery": moment.battery_kw,
            "ev": moment.ev_kw, "exchange": moment.exchange_kw,
        }  # fmt: skip
        for name, kw in values.items():
            self.bars[name].set_width(self.half * float(np.clip(kw / self.scale_kw, -1.0, 1.0)))
            self.texts[name].set_text(f"{kw:+,.0f}" if abs(kw) >= 0.5 else "0")
        self.bars["pv_available"].set_width(
            -self.half * min(moment.pv_available_kw / self.scale_kw, 1.0)
        )
        each = moment.battery_each_kw.tolist()
        for (fill, share, kw), part, power in zip(self.cells, filled.tolist(), each, strict=False):
            fill.set_width(120.0 * part)
            share.set_text(f"{part:.0%}")
            kw.set_text(f"{power:+,.0f} kW" if abs(power) >= 0.5 else "idle")


_pictures: WeakKeyDictionary[Any, GridPicture] = WeakKeyDictionary()


def _tag(axes: Any, place: Any, mark: str, colour: str) -> None:
    axes.text(
        *place, mark, ha="center", va="center", size=6.5, weight="bold", color="white", zorder=6,
        bbox={"boxstyle": "round,pad=0.18", "fc": colour, "ec": "none"},
    )  # fmt: skip


def _wire_widths(share: Float) -> Float:
    return 1.0 + 9.0 * np.minimum(share, 1.2)


def _wire_colours(share: Float) -> list[str]:
    return [ALARM if s > 1.0 else "#8a8f98" for s in share.tolist()]


def _moved(offsets: Float, row: int, by: Float) -> Float:
    offsets = np.array(offsets)
    offsets[row] += by
    return offsets


def _clock(hour: float) -> str:
    minutes = round(hour * 60.0)
    return f"{minutes // 60:02d}:{minutes % 60:02d}"
