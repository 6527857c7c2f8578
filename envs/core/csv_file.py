"""A user's CSV file, read cell by cell, so that a fault names file, line and column.

What is wrong is said as a text; which error it becomes is the caller's: each function takes
`fault`, which makes an exception of a message such as ``line 6, column 'p_kw': 'much', expected a
number``.
Nothing is repaired in silence: blank lines and spaces around a cell are all that is let pass.
"""

from __future__ import annotations

import csv
import datetime as dt
import difflib
import io
import math
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path

FilePath = str | PathLike[str]
Fault = Callable[[str], Exception]
_SHOWN_COLUMNS = 8


def read_text(path: FilePath, fault: Fault) -> str:
    """The file's text, UTF-8 with or without a byte order mark.

    Raises:
        Exception: `fault` of a file that cannot be read.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise fault(f"cannot be read as UTF-8 text: {error}") from error


def rows_of(path: FilePath, fault: Fault) -> Iterator[tuple[int, list[str]]]:
    """Line number and cells of each row that is not blank, the header first.

    Raises:
        Exception: `fault` of a file that cannot be read, or that is no comma-separated text.
    """
    reader = csv.reader(io.StringIO(read_text(path, fault)), strict=True)
    try:
        for row in reader:
            if row:
                yield reader.line_num, [cell.strip() for cell in row]
    except csv.Error as error:
        raise fault(f"line {reader.line_num}: {error}, expected comma-separated values") from error


def check_header(
    header: Sequence[str],
    wanted: Sequence[str],
    optional: Sequence[str],
    stranger: str,
    fault: Fault,
) -> None:
    """Refuse a header with a column twice, without one that is wanted or with one unknown.

    Args:
        stranger: what is said of a column that is neither wanted nor optional.

    Raises:
        Exception: `fault` of the first such column.
    """
    known = [*wanted, *optional]
    for name in header:
        if list(header).count(name) > 1:
            raise fault(f"line 1: column {name!r} stands twice, expected once")
    for name in wanted:
        if name not in header:
            raise fault(
                f"line 1: column {name!r} is missing; the file has "
                f"{', '.join(repr(found) for found in header[:_SHOWN_COLUMNS])}"
                f"{' ...' if header[_SHOWN_COLUMNS:] else ''}"
            )
    for name in header:
        if name not in known:
            absent = [other for other in known if other not in header]
            near = difflib.get_close_matches(name, absent, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise fault(f"line 1: column {name!r} {stranger}{hint}")


def check_width(line: int, row: Sequence[str], header: Sequence[str], fault: Fault) -> None:
    """Refuse a row that has not as many cells as the header.

    Raises:
        Exception: `fault` of such a row.
    """
    if len(row) != len(header):
        raise fault(f"line {line} has {len(row)} cells, expected {len(header)} as in the header")


def number(line: int, column: str, text: str, fault: Fault) -> float:
    """The finite number that a cell holds.

    Raises:
        Exception: `fault` of any other text.
    """
    try:
        value = float(text) if "_" not in text else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise fault(f"line {line}, column {column!r}: {text!r}, expected a number")
    return value


def timestamp(line: int, column: str, text: str, clock: str, fault: Fault) -> dt.datetime:
    """The time that a cell holds, without a zone.

    Args:
        clock: which clock the file keeps, such as "local time"; said where a zone stands.

    Raises:
        Exception: `fault` of any other text.
    """
    where = f"line {line}, column {column}"
    try:
        time = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise fault(f"{where}: {text!r}, expected a time like 2023-01-31 13:45") from error
    if time.tzinfo is not None:
        raise fault(f"{where}: {text!r} has a zone, expected {clock} without one")
    return time
