"""Turns a pandapower network into a `Feeder`.

pandapower's own conversion to branch and bus matrices (`net._ppc["internal"]`) is used instead of
reading the element tables, because it resolves switches, fused buses, open line ends, transformer
equivalents, taps and shunts. Angle shifts of transformers are off: they turn every voltage behind
the transformer alike and change nothing else.

Whatever the equations of `Feeder` cannot express is refused by table and row.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .feeder import Feeder, FeederError, IntArray, Names, tree_layout
from .pandapower_checks import GENERATORS, check_elements, check_tables, row_label

# Columns of pandapower's branch and bus matrices (pandapower.pypower.idx_brch, idx_bus).
F_BUS, T_BUS, BR_R, BR_X, BR_B, TAP, SHIFT = 0, 1, 2, 3, 4, 8, 9
BR_R_ASYM, BR_X_ASYM, BR_G, BR_G_ASYM, BR_B_ASYM = 21, 22, 23, 24, 25
GS, BS, BASE_KV = 4, 5, 9

LV_BASE_KVA, MV_BASE_KVA = 100.0, 1000.0
LV_LIMIT_KV = 1.0
# Inverters of photovoltaic plants without a stated apparent power above their active power.
INVERTER_OVERSIZE = 1.2
BATTERY_EFFICIENCY = 0.95  # each way, where the source states none


def from_pandapower(net: Any, name: str) -> Feeder:
    """Convert a radial pandapower network.

    Loads keep their nameplate point (`p_mw`, `q_mvar`, times `scaling`), `sgen` becomes
    photovoltaic plants, `storage` becomes batteries. pandapower has no table of chargers, so the
    feeder has none.

    Args:
        net: a pandapower network; it is not changed.
        name: the feeder's name.

    Returns:
        The feeder, without elements that are out of service.

    Raises:
        FeederError: the network is meshed, has unsupplied buses or several external grids, an
            element that a radial feeder cannot hold, or a rating out of range. The message names
            the table and the row.
        ImportError: pandapower is not installed.
    """
    return convert(net, name)[0]


def convert(net: Any, name: str) -> tuple[Feeder, dict[int, int]]:
    """Like `from_pandapower`, with the map from pandapower's bus index to the feeder's."""
    slack = check_tables(net, name)
    grid = _matrices(net, name)
    internal = grid._ppc["internal"]
    branch, bus = np.real(internal["branch"]), np.real(internal["bus"])
    rows = _branch_rows(grid)
    labels = [row_label(grid, table, row) for table, row in rows]
    supplied = _supplied_buses(net, grid, len(bus), name)
    odd = np.any(branch[:, [SHIFT, BR_R_ASYM, BR_X_ASYM]] != 0, axis=1)
    if np.any(odd):
        raise FeederError(
            f"network {name!r}: {labels[int(np.argmax(odd))]} shifts phases or has unequal series "
            "halves; expected a plain line or transformer"
        )

    names = _bus_names(net, supplied, branch, labels, len(bus))
    tree = _breadth_first(branch, supplied[slack], names, labels, name)
    check_elements(net, name, GENERATORS)
    order = tree[0]
    base_kva = LV_BASE_KVA if np.median(bus[:, BASE_KV]) <= LV_LIMIT_KV else MV_BASE_KVA
    electrical = _electrical(grid, tree, rows, base_kva)
    xy = _coordinates(net, grid, supplied, branch, rows, len(bus))
    place = {old: new for new, old in enumerate(order)}
    bus_map = {row: place[old] for row, old in supplied.items()}
    feeder = Feeder(
        name=name,
        s_base_kva=base_kva,
        slack_voltage_pu=float(net.ext_grid.vm_pu[net.ext_grid.in_service].iloc[0]),
        bus_name=tuple(names[old] for old in order),
        bus_xy=tree_layout(electrical["parent"]) if xy is None else xy[order],
        **electrical,
        **_devices(net, bus_map),
        ev_bus=np.zeros(0, dtype=np.int64),
        ev_name=(),
        ev_p_kw=np.zeros(0),
    )
    return feeder, bus_map


def _matrices(net: Any, name: str) -> Any:
    """A copy of the network in which pandapower has built its matrices."""
    import pandapower

    grid = copy.deepcopy(net)
    for table in ("load", "sgen", "storage"):
        grid[table]["in_service"] = False  # an unloaded grid converges, its matrices are the same
    try:
        pandapower.runpp(
            grid, calculate_voltage_angles=False, init="flat", trafo_model="t", numba=False
        )
    except pandapower.LoadflowNotConverged as error:
        raise FeederError(
            f"network {name!r}: pandapower finds no voltages even without load; check the "
            "impedances and taps"
        ) from error
    return grid


def _supplied_buses(net: Any, grid: Any, n_bus: int, name: str) -> dict[int, int]:
    """Internal bus of every bus in service, by pandapower's index."""
    lookup = grid._pd2ppc_lookups["bus"]
    in_service = net.bus.index[net.bus.in_service.astype(bool)]
    for row in in_service:
        if not 0 <= lookup[row] < n_bus:
            raise FeederError(
                f"network {name!r}: {row_label(net, 'bus', row)} is not connected to the external "
                "grid; connect it or take it out of service"
            )
    return {int(row): int(lookup[row]) for row in in_service}


def _branch_rows(grid: Any) -> list[tuple[str, int]]:
    """Table and row of every branch of the internal matrix, in its order."""
    rows: list[tuple[str, int]] = [("switch", 0)] * len(grid._ppc["branch"])
    for table, (start, end) in grid._pd2ppc_lookups["branch"].items():
        index = grid[table].index
        if table == "switch":  # closed bus-bus switches with an impedance of their own
            switch = grid.switch
            index = index[(switch.et == "b") & switch.closed.astype(bool) & (switch.z_ohm > 0)]
        rows[start:end] = [(table, int(row)) for row in index]
    active = grid._ppc["internal"]["branch_is"]
    return [row for row, keep in zip(rows, active, strict=True) if keep]


def _bus_names(
    net: Any, supplied: dict[int, int], branch: NDArray[np.float64], labels: list[str], n_bus: int
) -> list[str]:
    """One unique name for each internal bus: of fused buses, that of the lowest row."""
    first: dict[int, int] = {}
    for row in sorted(supplied):
        first.setdefault(supplied[row], row)
    unique = unique_names(
        [net.bus.at[row, "name"] for row in first.values()], [*first.values()], "bus"
    )
    names = dict(zip(first, unique, strict=True))
    for values, label in zip(branch, labels, strict=True):
        for end in (int(values[F_BUS]), int(values[T_BUS])):
            # pandapower adds a bus at the open end of a line
            names.setdefault(end, f"open end of {label}")
    return [names[index] for index in range(n_bus)]


def unique_names(labels: list[Any], rows: list[int], kind: str) -> Names:
    """Names of buses or devices: the source's where it is a text, with the row where it repeats."""
    texts = [label if isinstance(label, str) and label else kind for label in labels]
    return tuple(
        text if text != kind and texts.count(text) == 1 else f"{text} {row}"
        for text, row in zip(texts, rows, strict=True)
    )


Tree = tuple[list[int], dict[int, int], dict[int, int]]


def _breadth_first(
    branch: NDArray[np.float64], slack: int, names: list[str], labels: list[str], name: str
) -> Tree:
    """Order of the buses, parent of each, and the branch that feeds it; refuses loops."""
    neighbours: list[list[tuple[int, int]]] = [[] for _ in names]
    for index, row in enumerate(branch):
        neighbours[int(row[F_BUS])].append((int(row[T_BUS]), index))
        neighbours[int(row[T_BUS])].append((int(row[F_BUS]), index))
    order, parent, feeding = [slack], {slack: -1}, {slack: -1}
    for bus in order:
        for other, index in sorted(neighbours[bus]):
            if index == feeding[bus]:
                continue
            if other in parent:
                buses, branches = _loop(bus, other, index, parent, feeding)
                raise FeederError(
                    f"network {name!r} is meshed; one loop: buses "
                    f"{', '.join(repr(names[b]) for b in buses)}, closed by "
                    f"{', '.join(labels[b] for b in branches)}; expected a radial feeder: open or "
                    "take out of service one of these branches"
                )
            parent[other], feeding[other] = bus, index
            order.append(other)
    return order, parent, feeding


def _loop(
    one: int, other: int, closing: int, parent: dict[int, int], feeding: dict[int, int]
) -> tuple[list[int], list[int]]:
    """Buses and branches of the loop that `closing` closes between two visited buses."""
    path = [one]
    while parent[path[-1]] >= 0:
        path.append(parent[path[-1]])
    branches, tail = [closing], [other]
    while tail[-1] not in path:
        branches.append(feeding[tail[-1]])
        tail.append(parent[tail[-1]])
    head = path[: path.index(tail[-1])]
    return head + tail[::-1], branches + [feeding[bus] for bus in head]


def _electrical(
    grid: Any, tree: Tree, rows: list[tuple[str, int]], base_kva: float
) -> dict[str, Any]:
    """Impedances, taps, shunts and ratings in the feeder's order and on its base."""
    order, parent_of, feeding = tree
    internal = grid._ppc["internal"]
    branch, bus = np.real(internal["branch"]), np.real(internal["bus"])[order]
    place = {old: new for new, old in enumerate(order)}
    parent: IntArray = np.array([-1] + [place[parent_of[old]] for old in order[1:]], dtype=np.int64)
    source_mva = float(internal["baseMVA"])
    to_base = base_kva / (1000.0 * source_mva)  # impedances grow with the base, admittances shrink
    n_bus = len(order)
    r_pu, x_pu, tap = np.zeros(n_bus), np.zeros(n_bus), np.ones(n_bus)
    i_max, is_transformer = np.full(n_bus, np.inf), np.zeros(n_bus, dtype=np.bool_)
    shunt = (bus[:, GS] + 1j * bus[:, BS]) / source_mva
    transformer_kva = 0.0
    for new in range(1, n_bus):
        values = branch[feeding[order[new]]]
        ratio = values[TAP] if values[TAP] != 0 else 1.0
        near = (values[BR_G] + 1j * values[BR_B]) / 2.0 / ratio**2
        far = values[BR_G] + values[BR_G_ASYM] + 1j * (values[BR_B] + values[BR_B_ASYM])
        far = far / 2.0
        forward = int(values[T_BUS]) == order[new]
        # The matrix says V_t = V_f / ratio - z J at the "to" end. A branch that points towards
        # the slack bus is turned: V_f = ratio V_t - ratio^2 z J.
        tap[new] = ratio if forward else 1.0 / ratio
        scale = to_base if forward else to_base * ratio**2
        r_pu[new], x_pu[new] = values[BR_R] * scale, values[BR_X] * scale
        shunt[new] += far if forward else near
        shunt[parent[new]] += near if forward else far
        table, row = rows[feeding[order[new]]]
        is_transformer[new] = table == "trafo"
        i_max[new], kva = _rating(grid, table, row, bus[new, BASE_KV], forward, base_kva)
        transformer_kva += kva if parent[new] == 0 else 0.0
    return {
        "parent": parent,
        "r_pu": r_pu,
        "x_pu": x_pu,
        "tap": tap,
        "shunt_g_pu": shunt.real / to_base,
        "shunt_b_pu": shunt.imag / to_base,
        "i_max_pu": i_max,
        "is_transformer": is_transformer,
        "v_base_kv": bus[:, BASE_KV],
        "transformer_kva": transformer_kva,
    }


def _rating(
    grid: Any, table: str, row: int, v_base_kv: float, forward: bool, base_kva: float
) -> tuple[float, float]:
    """Current limit of a branch in per unit at its far bus, and its nameplate if a transformer."""
    if table == "trafo":
        element = grid.trafo.loc[row]
        kva = 1000.0 * float(element.sn_mva) * float(element.parallel)
        winding_kv = float(element.vn_lv_kv if forward else element.vn_hv_kv)
        return kva * _number(element, "df", 1.0) / base_kva * v_base_kv / winding_kv, kva
    if table == "line":
        element = grid.line.loc[row]
        kilo_ampere = _number(element, "max_i_ka", np.inf) * _number(element, "df", 1.0)
        ampere_base_kva = np.sqrt(3.0) * v_base_kv * 1000.0  # power of one kA at the base voltage
        return float(kilo_ampere * float(element.parallel) * ampere_base_kva / base_kva), 0.0
    return np.inf, 0.0


def _number(element: Any, column: str, default: float) -> float:
    value = element.get(column)
    return default if value is None or value != value else float(value)


def _coordinates(
    net: Any,
    grid: Any,
    supplied: dict[int, int],
    branch: NDArray[np.float64],
    rows: list[tuple[str, int]],
    n_bus: int,
) -> NDArray[np.float64] | None:
    """(n_bus, 2) coordinates of the internal buses, None unless every real bus has them."""
    xy = np.full((n_bus, 2), np.nan)
    if "geo" not in net.bus:
        return None
    for row in sorted(supplied, reverse=True):  # of fused buses the lowest row stays
        try:
            point = json.loads(net.bus.at[row, "geo"])["coordinates"]
            xy[supplied[row]] = float(point[0]), float(point[1])
        except (ValueError, KeyError, TypeError, IndexError):
            return None
    for values, (_, row) in zip(branch, rows, strict=True):
        for end in (int(values[F_BUS]), int(values[T_BUS])):
            if np.isnan(xy[end, 0]):  # the open end of a line is drawn half way
                sides = [int(grid.line.at[row, side]) for side in ("from_bus", "to_bus")]
                xy[end] = (xy[supplied[sides[0]]] + xy[supplied[sides[1]]]) / 2.0
    return xy if np.all(np.isfinite(xy)) else None


def _devices(net: Any, bus_map: dict[int, int]) -> dict[str, Any]:
    """Loads, photovoltaic plants and batteries in service, on the feeder's buses."""

    def rows(table: str) -> Any:
        frame = net[table]
        return frame[frame.in_service.astype(bool) & frame.bus.isin(list(bus_map))]

    def column(frame: Any, name: str, default: float) -> NDArray[np.float64]:
        values = frame[name].to_numpy(dtype=float) if name in frame else np.full(len(frame), np.nan)
        return np.where(np.isnan(values), default, values)

    def common(frame: Any, kind: str) -> dict[str, Any]:
        index = [int(row) for row in frame.index]
        return {
            f"{kind}_bus": np.array([bus_map[int(bus)] for bus in frame.bus], dtype=np.int64),
            f"{kind}_name": unique_names(list(frame["name"]), index, kind),
        }

    def profile(frame: Any) -> Names:
        labels = list(frame["profile"]) if "profile" in frame else [""] * len(frame)
        return tuple(label if isinstance(label, str) else "" for label in labels)

    load, sgen, storage = rows("load"), rows("sgen"), rows("storage")
    pv_kw = column(sgen, "p_mw", 0.0) * column(sgen, "scaling", 1.0) * 1000.0
    pv_kva = column(sgen, "sn_mva", 0.0) * 1000.0
    low, high = column(storage, "min_p_mw", 0.0), column(storage, "max_p_mw", 0.0)
    limit = np.maximum(np.abs(low), np.abs(high))  # SimBench states -P .. 0
    battery_kw = np.where(limit > 0, limit, column(storage, "sn_mva", 0.0)) * 1000.0
    efficiency = column(storage, "efficiency_percent", BATTERY_EFFICIENCY)
    return {
        **common(load, "load"),
        "load_p_kw": column(load, "p_mw", 0.0) * column(load, "scaling", 1.0) * 1000.0,
        "load_q_kvar": column(load, "q_mvar", 0.0) * column(load, "scaling", 1.0) * 1000.0,
        "load_profile": profile(load),
        **common(sgen, "pv"),
        "pv_p_kw": pv_kw,
        # An apparent power equal to the active power is SimBench's way to state none.
        "pv_s_kva": np.where(pv_kva > pv_kw, pv_kva, INVERTER_OVERSIZE * pv_kw),
        "pv_profile": profile(sgen),
        **common(storage, "battery"),
        "battery_e_kwh": column(storage, "max_e_mwh", 0.0) * 1000.0,
        "battery_p_kw": battery_kw,
        "battery_s_kva": np.maximum(column(storage, "sn_mva", 0.0) * 1000.0, battery_kw),
        # SimBench writes 0.95 in the column named percent.
        "battery_efficiency": np.where(efficiency > 1.0, efficiency / 100.0, efficiency),
    }
