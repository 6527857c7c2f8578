"""Turns a pandapower network into a `Feeder`.

pandapower's own conversion to branch and bus matrices (`net._ppc["internal"]`) is used instead of reading the element
tables, because it resolves switches, fused buses, open line ends, transformer equivalents, taps and shunts. Angle
shifts of transformers are off: they turn every voltage behind the transformer alike and change nothing else.

Whatever the equations of `Feeder` cannot express is refused with the table and the row that hold it.
"""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np

from .feeder import Feeder, FeederError, Names, tree_layout

# Columns of pandapower's branch and bus matrices (pandapower.pypower.idx_brch, idx_bus).
F_BUS, T_BUS, BR_R, BR_X, BR_B, TAP, SHIFT = 0, 1, 2, 3, 4, 8, 9
BR_R_ASYM, BR_X_ASYM, BR_G, BR_G_ASYM, BR_B_ASYM = 21, 22, 23, 24, 25
GS, BS, BASE_KV = 4, 5, 9

LV_BASE_KVA, MV_BASE_KVA = 100.0, 1000.0
LV_LIMIT_KV = 1.0
# Inverters of photovoltaic plants without a stated apparent power above their active power.
INVERTER_OVERSIZE = 1.2
BATTERY_EFFICIENCY = 0.95  # each way, where the source states none

# Tables with elements whose behaviour the equations of a feeder do not hold.
UNSUPPORTED = {
    "gen": "voltage-controlled generator", "xward": "extended ward", "ward": "ward equivalent",
    "trafo3w": "three-winding transformer", "dcline": "DC line", "impedance": "impedance element",
    "motor": "motor", "asymmetric_load": "asymmetric load", "asymmetric_sgen": "asymmetric generator",
    "svc": "static var compensator", "tcsc": "series compensator", "ssc": "static compensator",
    "vsc": "voltage source converter", "bus_dc": "DC bus", "line_dc": "DC line",
}  # fmt: skip
# (table, column, lowest value, "value itself allowed") of ratings and impedances.
RATINGS = (
    ("line", "length_km", 0.0, False), ("line", "r_ohm_per_km", 0.0, True), ("line", "x_ohm_per_km", 0.0, True),
    ("line", "c_nf_per_km", 0.0, True), ("line", "parallel", 0.0, False), ("line", "max_i_ka", 0.0, False),
    ("line", "df", 0.0, False), ("trafo", "sn_mva", 0.0, False), ("trafo", "vk_percent", 0.0, False),
    ("trafo", "vkr_percent", 0.0, True), ("trafo", "pfe_kw", 0.0, True), ("trafo", "i0_percent", 0.0, True),
    ("trafo", "parallel", 0.0, False), ("trafo", "df", 0.0, False), ("bus", "vn_kv", 0.0, False), ("load", "p_mw", 0.0, True),
    ("sgen", "p_mw", 0.0, True), ("sgen", "sn_mva", 0.0, True), ("storage", "max_e_mwh", 0.0, False),
    ("storage", "sn_mva", 0.0, False), ("ext_grid", "vm_pu", 0.0, False),
)  # fmt: skip
# Columns that may be empty; every other column of RATINGS must hold a number.
OPTIONAL = {("line", "max_i_ka"), ("line", "df"), ("trafo", "df"), ("sgen", "sn_mva"), ("storage", "sn_mva")}


def from_pandapower(net: Any, name: str) -> Feeder:
    """Convert a radial pandapower network.

    Loads keep their nameplate point (`p_mw`, `q_mvar`, times `scaling`), `sgen` becomes photovoltaic plants, `storage`
    becomes batteries. Chargers have no table in pandapower; the feeder has none.

    Args:
        net: a pandapower network; it is not changed.
        name: the feeder's name.

    Returns:
        The feeder, without elements that are out of service.

    Raises:
        FeederError: the network is meshed, has unsupplied buses, several external grids, an element that a radial
            feeder cannot hold, or a rating out of range. The message names the table and the row.
        ImportError: pandapower is not installed.
    """
    return convert(net, name)[0]


def convert(net: Any, name: str) -> tuple[Feeder, dict[int, int]]:
    """Like `from_pandapower`, with the map from pandapower's bus index to the feeder's."""
    import pandapower

    slack = _check_tables(net, name)
    grid = copy.deepcopy(net)
    for table in ("load", "sgen", "storage"):
        grid[table]["in_service"] = False  # an unloaded grid converges, and its matrices are the same
    try:
        pandapower.runpp(grid, calculate_voltage_angles=False, init="flat", trafo_model="t")
    except pandapower.LoadflowNotConverged as error:
        raise FeederError(f"network {name!r}: pandapower finds no voltages even without load") from error
    internal = grid._ppc["internal"]
    branch, bus = np.real(internal["branch"]), np.real(internal["bus"])
    lookup = grid._pd2ppc_lookups["bus"]
    n_bus = len(bus)
    supplied = {int(row): int(lookup[row]) for row in net.bus.index[net.bus.in_service] if 0 <= lookup[row] < n_bus}
    for row in net.bus.index[net.bus.in_service]:
        if int(row) not in supplied:
            raise FeederError(f"network {name!r}: {_row(net, 'bus', row)} is not connected to the external grid")
    if np.any(branch[:, SHIFT] != 0) or np.any(branch[:, [BR_R_ASYM, BR_X_ASYM]] != 0):
        row = int(np.argmax(np.any(branch[:, [SHIFT, BR_R_ASYM, BR_X_ASYM]] != 0, axis=1)))
        raise FeederError(
            f"network {name!r}: {_branch_names(grid)[row]} shifts phases or has unequal series halves; "
            "expected a plain line or transformer")

    names = _bus_names(net, grid, supplied, branch)
    order, parent_of, feeding = _breadth_first(branch, supplied[slack], n_bus, names, _branch_names(grid), name)
    base_kva = LV_BASE_KVA if np.median(bus[:, BASE_KV]) <= LV_LIMIT_KV else MV_BASE_KVA
    place = {old: new for new, old in enumerate(order)}
    bus_map = {row: place[old] for row, old in supplied.items()}
    electrical = _electrical(grid, branch, bus, order, parent_of, feeding, place, base_kva,
                             float(internal["baseMVA"]) * 1000.0)
    parent = electrical["parent"]
    xy = _coordinates(net, grid, supplied, branch, n_bus)
    feeder = Feeder(
        name=name,
        s_base_kva=base_kva,
        slack_voltage_pu=float(net.ext_grid.vm_pu[net.ext_grid.in_service].iloc[0]),
        bus_name=tuple(names[old] for old in order),
        bus_xy=tree_layout(parent) if xy is None else xy[order],
        **electrical,
        **_devices(net, bus_map),
        ev_bus=np.zeros(0, np.int64), ev_name=(), ev_p_kw=np.zeros(0),
    )  # fmt: skip
    return feeder, bus_map


def _row(net: Any, table: str, row: Any) -> str:
    label = net[table].at[row, "name"] if "name" in net[table] else None
    return f"{table} row {row}" + (f" ({label!r})" if isinstance(label, str) and label else "")


def _check_tables(net: Any, name: str) -> int:
    """Refuse what a feeder cannot hold; returns pandapower's index of the slack bus."""
    where = f"network {name!r}"
    for table, meaning in UNSUPPORTED.items():
        if table in net and len(net[table]):
            active = net[table].index[net[table]["in_service"].astype(bool)]
            if len(active):
                raise FeederError(f"{where}: {_row(net, table, active[0])} is a {meaning}, which a radial feeder "
                                  "cannot hold")
    external = net.ext_grid.index[net.ext_grid.in_service]
    if len(external) != 1:
        rows = ", ".join(_row(net, "ext_grid", row) for row in external) or "none"
        raise FeederError(f"{where}: external grids in service: {rows}; expected exactly one")
    for table, column, low, equal in RATINGS:
        if column not in net[table]:
            continue
        values = net[table][column][net[table]["in_service"].astype(bool)]
        for row, value in values.items():
            if (table, column) in OPTIONAL and (value is None or value != value):
                continue
            if not (value >= low if equal else value > low) or value == np.inf:
                raise FeederError(f"{where}: {column} of {_row(net, table, row)} is {value}, expected a number "
                                  f"{'of at least' if equal else 'above'} {low:g}")
    for table in ("load", "sgen", "storage"):
        for row in net[table].index[net[table].in_service.astype(bool)]:
            for column in ("p_mw", "q_mvar", "scaling"):
                if not abs(float(net[table].at[row, column])) < np.inf:
                    raise FeederError(f"{where}: {column} of {_row(net, table, row)} is "
                                      f"{net[table].at[row, column]}, expected a number")
    for column in [c for c in net.load if c.startswith(("const_z", "const_i"))]:
        for row in net.load.index[net.load.in_service.astype(bool) & (net.load[column] != 0)]:
            raise FeederError(f"{where}: {column} of {_row(net, 'load', row)} is {net.load.at[row, column]}, "
                              "expected 0 (constant power)")
    for row in net.line.index[net.line.in_service.astype(bool)]:
        if net.line.at[row, "r_ohm_per_km"] == 0 and net.line.at[row, "x_ohm_per_km"] == 0:
            raise FeederError(f"{where}: {_row(net, 'line', row)} has no impedance; use a bus-bus switch")
    return int(net.ext_grid.at[external[0], "bus"])


def _branch_names(grid: Any) -> list[str]:
    """Table and row of every branch of the internal matrix, in its order."""
    rows = _branch_rows(grid)
    return [_row(grid, table, row) for table, row in rows]


def _branch_rows(grid: Any) -> list[tuple[str, Any]]:
    rows: list[tuple[str, Any]] = [("switch", 0)] * len(grid._ppc["branch"])
    for table, (start, end) in grid._pd2ppc_lookups["branch"].items():
        if table == "switch":
            closed = grid.switch.index[(grid.switch.et == "b") & grid.switch.closed & (grid.switch.z_ohm > 0)]
            rows[start:end] = [(table, row) for row in closed]
        else:
            rows[start:end] = [(table, row) for row in grid[table].index]
    active = grid._ppc["internal"]["branch_is"]
    return [row for row, keep in zip(rows, active, strict=True) if keep]


def _bus_names(net: Any, grid: Any, supplied: dict[int, int], branch: Any) -> list[str]:
    """One unique name for each internal bus: of fused buses, that of the lowest row."""
    first: dict[int, int] = {}
    for row in sorted(supplied):
        first.setdefault(supplied[row], row)
    labels = _unique([net.bus.at[row, "name"] for row in first.values()], list(first.values()), "bus")
    names = dict(zip(first, labels, strict=True))
    n_bus = len(grid._ppc["internal"]["bus"])
    for row, label in zip(branch, _branch_names(grid), strict=True):
        for end in (int(row[F_BUS]), int(row[T_BUS])):
            if end not in names:  # pandapower adds a bus at the open end of a line
                names[end] = f"open end of {label}"
    return [names[index] for index in range(n_bus)]


def _unique(labels: list[Any], rows: list[Any], kind: str) -> Names:
    """Names of devices or buses: the source's where it is a text that stands once, else kind and row."""
    texts = [label if isinstance(label, str) else "" for label in labels]
    return tuple(text if text and texts.count(text) == 1 else f"{text or kind} {row}".strip()
                 if text else f"{kind} {row}" for text, row in zip(texts, rows, strict=True))


def _breadth_first(
    branch: Any, slack: int, n_bus: int, names: list[str], labels: list[str], name: str
) -> tuple[list[int], dict[int, int], dict[int, int]]:
    """Order of the buses, parent of each and the branch that feeds it; refuses loops."""
    neighbours: list[list[tuple[int, int]]] = [[] for _ in range(n_bus)]
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
                    f"{', '.join(repr(names[b]) for b in buses)}; closed by "
                    f"{', '.join(labels[b] for b in branches)}. Expected a radial feeder: open one of them")
            parent[other], feeding[other] = bus, index
            order.append(other)
    return order, parent, feeding


def _loop(
    one: int, other: int, closing: int, parent: dict[int, int], feeding: dict[int, int]
) -> tuple[list[int], list[int]]:
    """Buses and branches of the loop that the branch `closing` closes between two visited buses."""
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
    grid: Any, branch: Any, bus: Any, order: list[int], parent_of: dict[int, int], feeding: dict[int, int],
    place: dict[int, int], base_kva: float, source_kva: float,
) -> dict[str, Any]:
    """Impedances, taps, shunts and ratings in the feeder's order and on its base."""
    n_bus = len(order)
    parent = np.array([-1] + [place[parent_of[old]] for old in order[1:]], dtype=np.int64)
    to_base = base_kva / source_kva  # impedances grow with the base, admittances shrink
    r_pu, x_pu, tap = np.zeros(n_bus), np.zeros(n_bus), np.ones(n_bus)
    i_max, is_transformer = np.full(n_bus, np.inf), np.zeros(n_bus, dtype=np.bool_)
    shunt = (bus[order, GS] + 1j * bus[order, BS]) / source_kva * 1000.0
    rows = _branch_rows(grid)
    transformer_kva = 0.0
    for new in range(1, n_bus):
        index = feeding[order[new]]
        values = branch[index]
        ratio = values[TAP] if values[TAP] != 0 else 1.0
        half_from = (values[BR_G] + 1j * values[BR_B]) / 2 / ratio**2
        half_to = (values[BR_G] + values[BR_G_ASYM] + 1j * (values[BR_B] + values[BR_B_ASYM])) / 2
        forward = int(values[T_BUS]) == order[new]
        # Seen from the "to" end, V_t = V_f / ratio - z J. A branch that points at the slack bus is turned:
        # V_f = ratio V_t - ratio^2 z J.
        tap[new] = ratio if forward else 1.0 / ratio
        scale = to_base if forward else to_base * ratio**2
        r_pu[new], x_pu[new] = values[BR_R] * scale, values[BR_X] * scale
        shunt[new] += half_to if forward else half_from
        shunt[parent[new]] += half_from if forward else half_to
        table, row = rows[index]
        v_base_kv = bus[order[new], BASE_KV]
        if table == "trafo":
            element = grid.trafo.loc[row]
            kva = 1000.0 * element.sn_mva * element.parallel
            child_kv = element.vn_lv_kv if forward else element.vn_hv_kv
            i_max[new] = kva * _number(element, "df", 1.0) / base_kva * v_base_kv / child_kv
            is_transformer[new] = True
            transformer_kva += kva if parent[new] == 0 else 0.0
        elif table == "line":
            element = grid.line.loc[row]
            kilo_ampere = _number(element, "max_i_ka", np.inf) * _number(element, "df", 1.0) * element.parallel
            i_max[new] = kilo_ampere * np.sqrt(3.0) * v_base_kv * 1000.0 / base_kva
    return {
        "parent": parent, "r_pu": r_pu, "x_pu": x_pu, "tap": tap, "i_max_pu": i_max, "is_transformer": is_transformer,
        "shunt_g_pu": shunt.real / to_base, "shunt_b_pu": shunt.imag / to_base, "v_base_kv": bus[order, BASE_KV],
        "transformer_kva": float(transformer_kva),
    }  # fmt: skip


def _number(element: Any, column: str, default: float) -> float:
    value = element.get(column)
    return default if value is None or value != value else float(value)


def _coordinates(net: Any, grid: Any, supplied: dict[int, int], branch: Any, n_bus: int) -> Any:
    """(n_bus, 2) coordinates from the bus table, None unless every real bus has them."""
    xy = np.full((n_bus, 2), np.nan)
    if "geo" not in net.bus:
        return None
    for row in sorted(supplied, reverse=True):  # of fused buses the lowest row stays
        text = net.bus.at[row, "geo"]
        if not isinstance(text, str):
            return None
        try:
            xy[supplied[row]] = [float(value) for value in json.loads(text)["coordinates"][:2]]
        except (ValueError, KeyError, TypeError):
            return None
    for values, (table, row) in zip(branch, _branch_rows(grid), strict=True):
        for end in (int(values[F_BUS]), int(values[T_BUS])):
            if np.isnan(xy[end, 0]) and table == "line":  # the open end of a line: draw it half way
                ends = [supplied[int(grid.line.at[row, side])] for side in ("from_bus", "to_bus")]
                xy[end] = (xy[ends[0]] + xy[ends[1]]) / 2
    return xy


def _devices(net: Any, bus_map: dict[int, int]) -> dict[str, Any]:
    """Loads, photovoltaic plants and batteries in service, on the feeder's buses."""

    def rows(table: str) -> Any:
        frame = net[table]
        return frame[frame.in_service.astype(bool) & frame.bus.isin(list(bus_map))]

    def column(frame: Any, name: str, default: float) -> Any:
        values = frame[name].to_numpy(dtype=float) if name in frame else np.full(len(frame), np.nan)
        return np.where(np.isnan(values), default, values)

    def common(frame: Any, kind: str) -> dict[str, Any]:
        labels = list(frame["name"]) if "name" in frame else [None] * len(frame)
        return {f"{kind}_bus": np.array([bus_map[int(bus)] for bus in frame.bus], dtype=np.int64),
                f"{kind}_name": _unique(labels, list(frame.index), kind)}

    def profile(frame: Any) -> Names:
        labels = list(frame["profile"]) if "profile" in frame else [""] * len(frame)
        return tuple(label if isinstance(label, str) else "" for label in labels)

    load, sgen, storage = rows("load"), rows("sgen"), rows("storage")
    pv_kw = column(sgen, "p_mw", 0.0) * column(sgen, "scaling", 1.0) * 1000.0
    pv_kva = column(sgen, "sn_mva", 0.0) * 1000.0
    limit = np.maximum(np.abs(column(storage, "max_p_mw", 0.0)), np.abs(column(storage, "min_p_mw", 0.0)))
    battery_kw = np.where(limit > 0, limit, column(storage, "sn_mva", 0.0)) * 1000.0
    efficiency = column(storage, "efficiency_percent", BATTERY_EFFICIENCY)
    return {
        **common(load, "load"),
        "load_p_kw": column(load, "p_mw", 0.0) * column(load, "scaling", 1.0) * 1000.0,
        "load_q_kvar": column(load, "q_mvar", 0.0) * column(load, "scaling", 1.0) * 1000.0,
        "load_profile": profile(load),
        **common(sgen, "pv"), "pv_p_kw": pv_kw, "pv_profile": profile(sgen),
        # A nameplate equal to the active power is SimBench's way to state none.
        "pv_s_kva": np.where(pv_kva > pv_kw, pv_kva, INVERTER_OVERSIZE * pv_kw),
        **common(storage, "battery"),
        "battery_e_kwh": column(storage, "max_e_mwh", 0.0) * 1000.0,
        "battery_p_kw": battery_kw,
        "battery_s_kva": np.maximum(column(storage, "sn_mva", 0.0) * 1000.0, battery_kw),
        # SimBench writes 0.95 in a column named percent.
        "battery_efficiency": np.where(efficiency > 1.0, efficiency / 100.0, efficiency),
    }  # fmt: skip
