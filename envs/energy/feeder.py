"""A radial feeder as plain arrays: what the power flow, the scenarios and the pictures need.

Consumption is positive everywhere. Per-unit values stand on `s_base_kva` and on each bus's own
`v_base_kv`. The buses are in breadth-first order from the slack bus, so one pass over the arrays
backwards sums currents and one pass forwards gives voltages (Shirmohammadi et al. 1988, "A
compensation-based power flow method for weakly meshed distribution and transmission networks"):

    I_k = conj(S_k / V_k) + (g_k + j b_k) V_k
    J_k = I_k + sum over children c of J_c / tap_c    (current in branch parent[k] -> k, at k)
    V_k = V_parent / tap_k - (r_k + j x_k) J_k

The active power lost is sum(r_k |J_k|^2) + sum(g_k |V_k|^2).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from os import PathLike

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Names = tuple[str, ...]


class FeederError(ValueError):
    """A grid that cannot be a radial feeder; the message names the table and the row at fault."""


@dataclass(frozen=True)
class Feeder:
    """One radial feeder with the devices connected to it.

    `n_bus`, `n_load`, ... below are the lengths of the arrays; names are unique within their kind.
    """

    name: str
    s_base_kva: float  # base of every per-unit value: 100 in low voltage, 1000 in medium voltage
    slack_voltage_pu: float  # voltage magnitude held at bus 0

    # Buses and the branch parent[k] -> k that feeds each of them, (n_bus,).
    parent: IntArray  # parent[0] == -1, parent[k] < k
    r_pu: FloatArray  # series resistance, 0 at bus 0
    x_pu: FloatArray  # series reactance, 0 at bus 0
    tap: FloatArray  # tap_k in V_k = V_parent / tap_k - z_k J_k, 1 for lines
    shunt_g_pu: FloatArray  # conductance to ground at the bus, branch halves included
    shunt_b_pu: FloatArray  # susceptance to ground at the bus, branch halves included
    i_max_pu: FloatArray  # rating of |J_k|, inf where the source names none
    is_transformer: BoolArray  # branch parent[k] -> k is a transformer
    v_base_kv: FloatArray
    bus_name: Names
    bus_xy: FloatArray  # (n_bus, 2), coordinates of the source, or a tree layout
    transformer_kva: float  # summed nameplate of the transformers fed by bus 0, 0 if there is none

    # Loads, (n_load,): the nameplate operating point.
    load_bus: IntArray
    load_name: Names
    load_p_kw: FloatArray
    load_q_kvar: FloatArray
    load_profile: Names  # "" where the source names none

    # Photovoltaic plants, (n_pv,).
    pv_bus: IntArray
    pv_name: Names
    pv_p_kw: FloatArray  # rated active power
    pv_s_kva: FloatArray  # apparent power of the inverter
    pv_profile: Names

    # Batteries, (n_battery,).
    battery_bus: IntArray
    battery_name: Names
    battery_e_kwh: FloatArray
    battery_p_kw: FloatArray
    battery_s_kva: FloatArray
    battery_efficiency: FloatArray  # each way, 0 < efficiency <= 1

    # Chargers of electric vehicles, (n_ev,).
    ev_bus: IntArray
    ev_name: Names
    ev_p_kw: FloatArray

    def __post_init__(self) -> None:
        """Fix the array types, make them read-only, check what every user of a feeder relies on."""
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in _DTYPES:
                array: NDArray[np.generic] = np.array(value, dtype=_DTYPES[field.name])
                array.setflags(write=False)
                object.__setattr__(self, field.name, array)
            elif field.type == "Names":
                object.__setattr__(self, field.name, tuple(str(item) for item in value))
        _check(self)

    @property
    def n_bus(self) -> int:
        """Number of buses, the slack bus included."""
        return len(self.parent)

    def to_npz(self, path: str | PathLike[str]) -> None:
        """Write the feeder as a compressed `.npz` of plain arrays (no pickle)."""
        arrays: dict[str, NDArray[np.generic]] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            arrays[field.name] = _name_array(value) if field.type == "Names" else np.asarray(value)
        with open(path, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)

    @classmethod
    def from_npz(cls, path: str | PathLike[str]) -> Feeder:
        """Read a feeder written by `to_npz`.

        Raises:
            FeederError: the file lacks a field, or a field breaks a rule of the class.
        """
        with np.load(path, allow_pickle=False) as archive:
            missing = [field.name for field in fields(cls) if field.name not in archive.files]
            if missing:
                raise FeederError(f"{path}: the feeder file lacks {', '.join(missing)}")
            values = {field.name: archive[field.name] for field in fields(cls)}
        for field in fields(cls):
            if field.type == "Names":
                values[field.name] = tuple(values[field.name].tolist())
            elif field.name not in _DTYPES:
                values[field.name] = values[field.name].item()
        return cls(**values)


_DTYPES = {
    field.name: {"FloatArray": np.float64, "IntArray": np.int64, "BoolArray": np.bool_}[field.type]
    for field in fields(Feeder)
    if field.type in ("FloatArray", "IntArray", "BoolArray")
}

# Fields of each kind of device; the first gives the length.
_KINDS = {
    "load": ("load_bus", "load_name", "load_p_kw", "load_q_kvar", "load_profile"),
    "pv": ("pv_bus", "pv_name", "pv_p_kw", "pv_s_kva", "pv_profile"),
    "battery": (
        "battery_bus",
        "battery_name",
        "battery_e_kwh",
        "battery_p_kw",
        "battery_s_kva",
        "battery_efficiency",
    ),
    "ev": ("ev_bus", "ev_name", "ev_p_kw"),
}
_BUS_FIELDS = (
    "parent",
    "r_pu",
    "x_pu",
    "tap",
    "shunt_g_pu",
    "shunt_b_pu",
    "i_max_pu",
    "is_transformer",
    "v_base_kv",
    "bus_name",
    "bus_xy",
)
_NON_NEGATIVE = (
    "r_pu",
    "load_p_kw",
    "pv_p_kw",
    "pv_s_kva",
    "battery_e_kwh",
    "battery_p_kw",
    "battery_s_kva",
    "ev_p_kw",
)


def _name_array(names: Names) -> NDArray[np.str_]:
    return np.array(names, dtype=np.str_) if names else np.zeros(0, dtype="U1")


def _check(feeder: Feeder) -> None:
    n_bus = len(feeder.parent)
    where = f"feeder {feeder.name!r}"
    if n_bus < 2:
        raise FeederError(f"{where}: {n_bus} buses, expected the slack bus and at least one more")
    for field in _BUS_FIELDS:
        _check_length(feeder, field, n_bus)
    for kind, columns in _KINDS.items():
        bus, names = getattr(feeder, columns[0]), getattr(feeder, columns[1])
        for field in columns[1:]:
            _check_length(feeder, field, len(bus))
        if len(bus) and (bus.min() < 0 or bus.max() >= n_bus):
            raise FeederError(
                f"{where}: {columns[0]} spans {bus.min()} to {bus.max()}, expected 0 to {n_bus - 1}"
            )
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise FeederError(
                f"{where}: two rows of kind {kind} are named {twice[0]!r}, expected unique names"
            )
    inner = feeder.parent[1:]
    if feeder.parent[0] != -1 or np.any(inner < 0) or np.any(inner >= np.arange(1, n_bus)):
        raise FeederError(
            f"{where}: parent must be -1 at bus 0 and below the bus's own index elsewhere"
        )
    if feeder.bus_xy.shape != (n_bus, 2):
        raise FeederError(f"{where}: bus_xy has shape {feeder.bus_xy.shape}, expected ({n_bus}, 2)")
    for field in _DTYPES:
        values = getattr(feeder, field)
        finite = ~np.isnan(values) if field == "i_max_pu" else np.isfinite(values)
        if not np.all(finite):
            raise FeederError(f"{where}: {field} holds a value that is not finite")
    for field in _NON_NEGATIVE:
        _check_rows(feeder, field, getattr(feeder, field) >= 0, "zero or more")
    for field in ("tap", "v_base_kv", "i_max_pu"):
        _check_rows(feeder, field, getattr(feeder, field) > 0, "above zero")
    efficiency = feeder.battery_efficiency
    _check_rows(
        feeder, "battery_efficiency", (efficiency > 0) & (efficiency <= 1), "above 0 and at most 1"
    )
    for name in ("s_base_kva", "slack_voltage_pu"):
        if not 0 < getattr(feeder, name) < np.inf:
            raise FeederError(
                f"{where}: {name} is {getattr(feeder, name)}, expected a number above zero"
            )
    if not 0 <= feeder.transformer_kva < np.inf:
        raise FeederError(
            f"{where}: transformer_kva is {feeder.transformer_kva}, expected zero or more"
        )


def _check_length(feeder: Feeder, field: str, expected: int) -> None:
    rows = len(getattr(feeder, field))
    if rows != expected:
        raise FeederError(f"feeder {feeder.name!r}: {field} has {rows} rows, expected {expected}")


def _check_rows(feeder: Feeder, field: str, good: BoolArray, expected: str) -> None:
    if np.all(good):
        return
    row = int(np.argmin(good))
    columns = next((columns for columns in _KINDS.values() if field in columns), None)
    names = getattr(feeder, columns[1]) if columns else feeder.bus_name
    raise FeederError(
        f"feeder {feeder.name!r}: {field} of {names[row]!r} is {getattr(feeder, field)[row]}, "
        f"expected {expected}"
    )


def tree_layout(parent: IntArray) -> FloatArray:
    """Coordinates for a feeder that has none: x = depth, y spreads the leaves evenly.

    Args:
        parent: (n_bus,) parent of each bus in breadth-first order, -1 at bus 0.

    Returns:
        (n_bus, 2) coordinates; a bus stands at the mean height of its children.
    """
    n_bus = len(parent)
    children: list[list[int]] = [[] for _ in range(n_bus)]
    for bus in range(1, n_bus):
        children[int(parent[bus])].append(bus)
    xy = np.zeros((n_bus, 2))
    for bus in range(1, n_bus):
        xy[bus, 0] = xy[parent[bus], 0] + 1.0
    leaf_height = 0.0
    stack = [(0, False)]
    while stack:  # depth first without recursion: a long feeder would pass Python's limit
        bus, children_done = stack.pop()
        if not children[bus]:
            xy[bus, 1] = leaf_height
            leaf_height += 1.0
        elif children_done:
            xy[bus, 1] = sum(float(xy[child, 1]) for child in children[bus]) / len(children[bus])
        else:
            stack.append((bus, True))
            stack.extend((child, False) for child in reversed(children[bus]))
    return xy
