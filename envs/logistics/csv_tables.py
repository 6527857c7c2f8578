"""Nodes and lanes of a user's network from CSV files, beside the YAML file that names them.

``nodes_csv: nodes.csv`` stands for the list `nodes`, ``lanes_csv: lanes.csv`` for `lanes`: one row
each, columns as the settings are named. Lists (goods, modes) are separated by spaces; an empty cell
leaves the default.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from daogym.envs.core.strict import ConfigError

from .scenario import Lane, Node

_TABLES: dict[str, tuple[str, type[Node] | type[Lane]]] = {
    "nodes_csv": ("nodes", Node), "lanes_csv": ("lanes", Lane),
}  # fmt: skip
_LISTS = ("makes", "modes")
_NUMBER_LISTS = ("mean_demand", "base_stock_units", "initial_units")
_FLAGS = ("is_supplier", "keeps_orders")
_TEXTS = ("name", "tier", "region", "origin", "destination")
_WHOLE = ("lead_days", "order_days")


def with_tables(settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The settings with the tables that they name read in.

    Raises:
        ConfigError: a table cannot be read, or a column or cell is wrong; names file, row, column.
    """
    result = dict(settings)
    for key, (name, model) in _TABLES.items():
        if key in result:
            if name in result:
                raise ConfigError("scenario", name, f"one of {name} and {key} expected, got both")
            result[name] = _read(folder / str(result.pop(key)), model)
    return result


def _read(path: Path, model: type[Node] | type[Lane]) -> list[dict[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = list(csv.reader(file))
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "", f"is not UTF-8 text: {error}") from None
    if not rows:
        raise ConfigError(str(path), "", "a first row with the columns' names expected, got none")
    head = [cell.strip() for cell in rows[0]]
    known = list(model.model_fields)
    for column in head:
        if column not in known:
            raise ConfigError(
                f"{path}:1", column, f"columns are {', '.join(known)}; got {column!r}"
            )
    found = []
    for number, row in enumerate(rows[1:], 2):
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(head):
            raise ConfigError(f"{path}:{number}", "", f"{len(head)} cells expected, got {len(row)}")
        found.append({
            column: _cell(cell.strip(), column, f"{path}:{number}")
            for column, cell in zip(head, row, strict=True) if cell.strip()
        })  # fmt: skip
    return found


def _cell(text: str, column: str, where: str) -> Any:
    if column in _TEXTS:
        return text
    if column in _LISTS:
        return text.split()
    if column in _FLAGS:
        if text.lower() not in ("true", "false"):
            raise ConfigError(where, column, f"true or false expected, got {text!r}")
        return text.lower() == "true"
    if column in _NUMBER_LISTS:
        return [_number(part, column, where) for part in text.split()]
    if column in _WHOLE:
        if not text.isdecimal():
            raise ConfigError(where, column, f"a whole number expected, got {text!r}")
        return int(text)
    return _number(text, column, where)


def _number(text: str, column: str, where: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(where, column, f"a number expected, got {text!r}") from None
