"""What a pandapower network must hold to become a `Feeder`; every fault names its row."""

from __future__ import annotations

import math
from typing import Any

from .feeder import FeederError

# Tables with elements whose behaviour the equations of a feeder do not hold.
UNSUPPORTED = {
    "xward": "an extended ward",
    "ward": "a ward equivalent",
    "trafo3w": "a three-winding transformer",
    "dcline": "a DC line",
    "impedance": "an impedance element",
    "motor": "a motor",
    "asymmetric_load": "an asymmetric load",
    "asymmetric_sgen": "an asymmetric generator",
    "svc": "a static var compensator",
    "tcsc": "a series compensator",
    "ssc": "a static compensator",
    "vsc": "a voltage source converter",
    "bus_dc": "a DC bus",
    "line_dc": "a DC line",
}
# Refused after the search for loops: transmission cases should hear of their mesh first.
GENERATORS = {"gen": "a generator that holds a voltage"}
# table -> column -> may the value be 0
RATINGS = {
    "bus": {"vn_kv": False},
    "line": {
        "length_km": False,
        "r_ohm_per_km": True,
        "x_ohm_per_km": True,
        "c_nf_per_km": True,
        "g_us_per_km": True,
        "parallel": False,
        "max_i_ka": False,
        "df": False,
    },
    "trafo": {
        "sn_mva": False,
        "vn_hv_kv": False,
        "vn_lv_kv": False,
        "vk_percent": False,
        "vkr_percent": True,
        "pfe_kw": True,
        "i0_percent": True,
        "parallel": False,
        "df": False,
    },
    "load": {"p_mw": True, "scaling": True},
    "sgen": {"p_mw": True, "sn_mva": True, "scaling": True},
    "storage": {"max_e_mwh": False, "sn_mva": False},
    "ext_grid": {"vm_pu": False},
}
# Columns that may be empty; all others of RATINGS must hold a number.
OPTIONAL = {
    ("line", "max_i_ka"),
    ("line", "g_us_per_km"),
    ("line", "df"),
    ("trafo", "df"),
    ("sgen", "sn_mva"),
    ("storage", "sn_mva"),
}
NUMBERS = {"load": ("q_mvar",), "sgen": ("q_mvar",), "storage": ("p_mw", "q_mvar")}


def check_tables(net: Any, name: str) -> int:
    """Refuse what a feeder cannot hold, before and apart from the question of loops.

    Args:
        net: a pandapower network.
        name: the feeder's name, for messages.

    Returns:
        pandapower's index of the slack bus.

    Raises:
        FeederError: naming table, row and column.
    """
    where = f"network {name!r}"
    check_elements(net, name, UNSUPPORTED)
    for table, columns in RATINGS.items():
        for column, zero_allowed in columns.items():
            for row, value in _active(net, table, column):
                if (table, column) in OPTIONAL and _empty(value):
                    continue
                number = _float(value)
                if not (number >= 0.0 if zero_allowed else number > 0.0) or math.isinf(number):
                    raise FeederError(
                        f"{where}: {column} of {row_label(net, table, row)} is {value!r}, expected "
                        f"a number {'of at least' if zero_allowed else 'above'} 0"
                    )
    for table, names in NUMBERS.items():
        for column in names:
            for row, value in _active(net, table, column):
                if not math.isfinite(_float(value)):
                    raise FeederError(
                        f"{where}: {column} of {row_label(net, table, row)} is {value!r}, "
                        "expected a number"
                    )
    for column in [name for name in net.load if str(name).startswith(("const_z", "const_i"))]:
        for row, value in _active(net, "load", column):
            if not _empty(value) and value != 0:
                raise FeederError(
                    f"{where}: {column} of {row_label(net, 'load', row)} is {value!r}, expected 0: "
                    "loads are of constant power"
                )
    for row, resistance in _active(net, "line", "r_ohm_per_km"):
        if resistance == 0 and net.line.at[row, "x_ohm_per_km"] == 0:
            raise FeederError(
                f"{where}: {row_label(net, 'line', row)} has no impedance, expected r or x above "
                "0; join its buses with a bus-bus switch"
            )
    external = [row for row, _ in _active(net, "ext_grid", "vm_pu")]
    if len(external) != 1:
        found = ", ".join(row_label(net, "ext_grid", row) for row in external) or "none"
        raise FeederError(f"{where}: external grids in service: {found}; expected exactly one")
    return int(net.ext_grid.at[external[0], "bus"])


def check_elements(net: Any, name: str, unsupported: dict[str, str]) -> None:
    """Refuse elements whose behaviour the equations of a feeder do not hold.

    Args:
        net: a pandapower network.
        name: the feeder's name, for messages.
        unsupported: table to what its elements are.

    Raises:
        FeederError: naming table and row.
    """
    for table, meaning in unsupported.items():
        if table in net and len(net[table]):
            for row, _ in _active(net, table, "in_service"):
                raise FeederError(
                    f"network {name!r}: {row_label(net, table, row)} is {meaning}, which a radial "
                    "feeder cannot hold; take it out of service or replace it"
                )


def row_label(net: Any, table: str, row: Any) -> str:
    """Table, row and name of an element for messages, for example `line row 3 ('Line 3-4')`."""
    label = net[table].at[row, "name"] if "name" in net[table] else None
    return f"{table} row {row}" + (f" ({label!r})" if isinstance(label, str) and label else "")


def _active(net: Any, table: str, column: str) -> list[tuple[Any, Any]]:
    frame = net[table]
    if column not in frame:
        return []
    return [
        (row, frame.at[row, column]) for row in frame.index if bool(frame.at[row, "in_service"])
    ]


def _float(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _empty(value: Any) -> bool:
    return value is None or math.isnan(_float(value))
