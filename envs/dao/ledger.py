"""Ledger: what a DAO did, as JSON lines that nobody can change unseen.

Each line is one JSON object in canonical form (`canonical`): sorted keys, no blanks, UTF-8,
integers exact, floats by their shortest exact ``repr``.

* ``index``: number of the entry, from 0;
* ``previous``: SHA-256 of the line before (its bytes without the newline), 64 zeros in the first;
* ``kind`` and ``data``: one of `KINDS`, and any mapping of plain values;
* ``hash``: SHA-256 of the same object without this key, in canonical form. It tells an altered
  line from an altered neighbour.

The first entry, ``genesis``, names the format, scenario hash, seed and charter; the last, ``end``,
counts the entries before it and repeats the hash of the last one, so that a cut file shows. Who
rewrites a file from some line to its end makes another valid ledger: only a head hash kept
elsewhere shows that, so `verify` returns it and takes an expected one. Of several lines that were
rewritten to fit each other, the last is named.

``python -m daogym.envs.dao.ledger FILE...`` prints OK or the first bad line of each file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

FORMAT = "daogym-ledger-1"
KINDS = ("gate", "vote", "proposal", "parameter", "payment", "oracle")
"""Kinds of entries that a domain writes: gate decision, vote, state of a proposal, change of a
parameter, payment, post of an oracle."""
GENESIS, END = "genesis", "end"
MOST_BYTES = 1 << 20
"""Longest line that is written or read, bytes."""

_NO_LINE = "0" * 64
_KEYS = {"data", "hash", "index", "kind", "previous"}


class LedgerError(ValueError):
    """A file that is no whole, unaltered ledger.

    Attributes:
        path: the file.
        line: number of the first bad line, from 1.
        problem: what is wrong with it.
    """

    def __init__(self, path: str | Path, line: int, problem: str) -> None:
        super().__init__(f"{path}:{line}: {problem}")
        self.path = str(path)
        self.line = line
        self.problem = problem


@dataclass(frozen=True)
class Verified:
    """A whole, unaltered ledger.

    Attributes:
        genesis: data of the first entry.
        entries: number of entries between the first and the last.
        head: SHA-256 of the last line, which stands for the whole file.
    """

    genesis: Mapping[str, Any]
    entries: int
    head: str


def canonical(value: Any) -> bytes:
    """Canonical JSON of plain data (numpy scalars included).

    Raises:
        ValueError: a number that is not finite, text that is not Unicode, keys that are not text.
        TypeError: a value that is not plain data.
    """
    _require_text_keys(value)
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False,
        default=_plain,
    )  # fmt: skip
    return text.encode("utf-8")


def _require_text_keys(value: Any) -> None:
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise ValueError(f"keys of a ledger are text, got {key!r}")
            _require_text_keys(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            _require_text_keys(inner)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"a ledger holds plain values, got {type(value).__name__}: {value!r}")


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class LedgerWriter:
    """Writes one ledger; a context manager.

    ```python
    with LedgerWriter("episode.jsonl", scenario=scenario_hash, seed=7, charter="voted") as ledger:
        ledger.write("payment", {"step": 3, "from": "treasury", "to": "operator", "cents": 1200})
    ```

    The last line is written when the block is left without an exception; a ledger of an episode
    that failed has none, and does not verify.
    """

    def __init__(
        self, path: str | Path, *, scenario: str, seed: int, charter: Any, overwrite: bool = False
    ) -> None:
        """Create the file and write its first line.

        Args:
            path: file to write.
            scenario: hash of the scenario.
            seed: seed of the episode.
            charter: name, hash or settings of the charter, as plain data.
            overwrite: replace a file that is there.

        Raises:
            FileExistsError: there is a file and `overwrite` is false.
        """
        self._index = 0
        self._previous = _NO_LINE
        genesis = {"format": FORMAT, "scenario": scenario, "seed": seed, "charter": charter}
        line = self._line(GENESIS, genesis)
        self._file: BinaryIO | None = Path(path).open("wb" if overwrite else "xb")  # noqa: SIM115
        self._append(line)

    @property
    def head(self) -> str:
        """SHA-256 of the last line written."""
        return self._previous

    def write(self, kind: str, data: Mapping[str, Any]) -> None:
        """Append an entry.

        Raises:
            ValueError: an unknown kind, data that is not plain or too long, or a closed ledger.
        """
        if kind not in KINDS:
            raise ValueError(f"ledger entries are of kind {', '.join(KINDS)}; got {kind!r}")
        if not isinstance(data, Mapping):
            raise ValueError(f"a ledger entry is a mapping, got {type(data).__name__}")
        self._append(self._line(kind, data))

    def close(self) -> None:
        """Write the last line and close the file; nothing if it is closed."""
        if self._file is not None:
            self._append(self._line(END, {"count": self._index, "head": self._previous}))
            self.abandon()

    def abandon(self) -> None:
        """Close the file without its last line, so that it does not verify."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _line(self, kind: str, data: Mapping[str, Any]) -> bytes:
        entry: dict[str, Any] = {
            "index": self._index, "previous": self._previous, "kind": kind, "data": dict(data),
        }  # fmt: skip
        try:
            entry["hash"] = _sha256(canonical(entry))
            line = canonical(entry)
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"ledger entry {self._index} ({kind}): {error}") from None
        if len(line) > MOST_BYTES:
            raise ValueError(
                f"ledger entry {self._index} ({kind}): {len(line)} bytes, at most {MOST_BYTES}"
            )
        return line

    def _append(self, line: bytes) -> None:
        if self._file is None:
            raise ValueError("this ledger is closed")
        self._file.write(line + b"\n")
        self._index += 1
        self._previous = _sha256(line)

    def __enter__(self) -> LedgerWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abandon()


def verify(path: str | Path, head: str | None = None) -> Verified:
    """Check a ledger; what it says is not trusted before its line has been checked.

    Args:
        path: the file.
        head: SHA-256 of its last line, if that was kept elsewhere.

    Raises:
        LedgerError: names the first line that was altered, is missing, out of place or cut off.
        OSError: the file cannot be read.
    """
    genesis: Mapping[str, Any] = {}
    previous = _NO_LINE
    number = 0
    ended = False
    with Path(path).open("rb") as file:
        for number, (line, complete) in enumerate(_lines(file), 1):
            if ended:
                raise LedgerError(path, number, "comes after the ledger's last entry")
            if not complete:
                raise LedgerError(path, number, "is cut off or too long: it has no end of line")
            entry = _entry(path, number, line)
            index = entry["index"]
            if index != number - 1:
                raise LedgerError(path, number, _misplaced(path, number, index))
            if entry["previous"] != previous:
                replaced = number if number == 1 or _next_disagrees(file, line) else number - 1
                problem = f"was replaced: line {number} names another line before it"
                raise LedgerError(path, replaced, problem)
            _check_place(path, number, entry, previous)
            if number == 1:
                genesis = entry["data"]
            ended = entry["kind"] == END
            previous = _sha256(line)
    if not ended:
        problem = "is missing: the ledger is cut off before its last entry"
        raise LedgerError(path, number + 1, problem)
    if head is not None and head != previous:
        raise LedgerError(path, number, f"is not the expected head: {previous}, not {head}")
    return Verified(genesis, number - 2, previous)


def _lines(file: BinaryIO) -> Iterator[tuple[bytes, bool]]:
    """Each line without its newline, and whether it had one."""
    while line := file.readline(MOST_BYTES + 1):
        yield line.removesuffix(b"\n"), line.endswith(b"\n")


def _entry(path: str | Path, number: int, line: bytes) -> dict[str, Any]:
    """The entry on a line that carries its own hash; nothing in it was altered by accident."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is no JSON number")

    try:
        entry = json.loads(line.decode("utf-8"), parse_constant=refuse)
        unaltered = canonical(entry) == line
    except (ValueError, RecursionError):
        raise LedgerError(path, number, "was altered: it is not a line of JSON") from None
    if not unaltered:
        raise LedgerError(path, number, "was altered: it is not in canonical form")
    if not isinstance(entry, dict) or set(entry) != _KEYS:
        raise LedgerError(path, number, f"was altered: an entry has the keys {sorted(_KEYS)}")
    claimed = entry.pop("hash")
    if claimed != _sha256(canonical(entry)):
        raise LedgerError(path, number, "was altered: it does not have the hash that it carries")
    if type(entry["index"]) is not int or not isinstance(entry["data"], dict):
        raise LedgerError(path, number, "is no ledger entry: its index or data is not one")
    return entry


def _check_place(path: str | Path, number: int, entry: dict[str, Any], previous: str) -> None:
    """First and last entry say what they have to, and nothing else claims to be one."""
    kind, data = entry["kind"], entry["data"]
    if (kind == GENESIS) != (number == 1):
        problem = "is not a ledger's first entry" if number == 1 else "is a second first entry"
        raise LedgerError(path, number, problem)
    if kind == GENESIS and data.get("format") != FORMAT:
        problem = f"names the format {data.get('format')!r}, this reads {FORMAT!r}"
        raise LedgerError(path, number, problem)
    if kind == END and data != {"count": number - 1, "head": previous}:
        raise LedgerError(path, number, "counts other entries than there are")
    if kind not in (GENESIS, END, *KINDS):
        raise LedgerError(path, number, f"is of an unknown kind, {kind!r}")


def _next_disagrees(file: BinaryIO, line: bytes) -> bool:
    """Whether there is a next line and it does not name this one: then this one was replaced."""
    following = file.readline(MOST_BYTES + 1)
    named = f'"previous":"{_sha256(line)}"}}\n'.encode()
    return bool(following) and not following.endswith(named)


def _misplaced(path: str | Path, number: int, index: int) -> str:
    """Why entry `index` stands on line `number`: a gap, a change of order, or a repetition."""
    expected = number - 1
    if index < expected:
        return f"is entry {index} again, entry {expected} belongs here"
    with Path(path).open("rb") as file:
        for later, (line, _) in enumerate(_lines(file), 1):
            if later > number:
                try:
                    if _entry(path, later, line)["index"] == expected:
                        return f"is entry {index}; entry {expected}, out of order, is line {later}"
                except LedgerError:
                    continue
    return f"is missing: entry {expected} belongs here, entry {index} follows"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: verify files; 0 if all are whole and unaltered."""
    parser = argparse.ArgumentParser(
        prog="python -m daogym.envs.dao.ledger", description="Verify ledgers."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="a ledger, JSON lines")
    parser.add_argument("--head", help="expected SHA-256 of the last line (of a single file)")
    options = parser.parse_args(arguments)
    if options.head and len(options.files) > 1:
        parser.error("--head belongs to a single file")
    failed = False
    for file in options.files:
        try:
            found = verify(file, options.head)
        except LedgerError as error:
            print(error)
            failed = True
        except OSError as error:
            print(f"{file}: cannot be read: {error.strerror}")
            failed = True
        else:
            print(f"OK {file}: {found.entries} entries, head {found.head}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
