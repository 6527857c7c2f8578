"""Ledger: any change of any line is seen, and the right line is named."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.dao.ledger import (
    FORMAT,
    KINDS,
    MOST_BYTES,
    LedgerError,
    LedgerWriter,
    canonical,
    main,
    verify,
)

ENTRIES: list[tuple[str, dict[str, Any]]] = [
    ("gate", {"step": 0, "rule": "export_limit", "request_kw": 81.25, "allowed_kw": 60.0}),
    ("vote", {"step": 1, "holder": 17, "support": 1, "weight": 2**62}),
    ("proposal", {"step": 1, "id": 3, "state": "active", "title": "Fläche ≥ 5 \"m²\"\n"}),
    ("payment", {"step": 2, "from": "treasury", "to": "operator", "cents": -0, "rate": 1e-300}),
    ("oracle", {"step": 2, "value": 1e16, "age": 0, "reports": [1.5, -0.0, 3]}),
    ("parameter", {"step": 3, "name": "fee", "old": None, "new": {"value": 0.1, "final": True}}),
]  # fmt: skip


def write(path: Path, entries: list[tuple[str, dict[str, Any]]] = ENTRIES) -> bytes:
    with LedgerWriter(path, scenario="5cea", seed=7, charter={"mode": "voted"}) as ledger:
        for kind, data in entries:
            ledger.write(kind, data)
    return path.read_bytes()


def complaint(path: Path, content: bytes) -> LedgerError:
    path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        verify(path)
    assert str(caught.value).startswith(f"{path}:{caught.value.line}: ")
    return caught.value


def sealed(entry: dict[str, Any]) -> bytes:
    """A line with the hash that belongs to it, made without the code under test."""

    def dump(value: Any) -> bytes:
        return json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()  # fmt: skip

    entry = {key: value for key, value in entry.items() if key != "hash"}
    return dump({**entry, "hash": hashlib.sha256(dump(entry)).hexdigest()}) + b"\n"


@pytest.fixture(name="ledger")
def ledger_fixture(tmp_path: Path) -> tuple[Path, bytes, list[bytes]]:
    path = tmp_path / "ledger.jsonl"
    content = write(path)
    return path, content, content.splitlines(keepends=True)


Ledger = tuple[Path, bytes, list[bytes]]


# --- writing and reading --------------------------------------------------------------------------


def test_a_ledger_is_json_lines_each_with_the_hash_of_the_one_before(ledger: Ledger) -> None:
    path, content, lines = ledger
    parsed = [json.loads(line) for line in lines]
    assert [entry["index"] for entry in parsed] == list(range(len(ENTRIES) + 2))
    assert [(e["kind"], e["data"]) for e in parsed[1:-1]] == ENTRIES
    hashes = [hashlib.sha256(line.rstrip(b"\n")).hexdigest() for line in lines]
    assert [entry["previous"] for entry in parsed] == ["0" * 64, *hashes[:-1]]
    assert parsed[0]["data"] == {
        "format": FORMAT, "scenario": "5cea", "seed": 7, "charter": {"mode": "voted"}
    }  # fmt: skip
    assert parsed[-1]["data"] == {"count": len(ENTRIES) + 1, "head": hashes[-2]}
    assert content == b"".join(sealed(entry) for entry in parsed)
    found = verify(path)
    assert (found.entries, found.head) == (len(ENTRIES), hashes[-1])
    assert found.genesis == parsed[0]["data"]
    assert verify(path, hashes[-1]) == found


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@hypothesis.given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.dictionaries(st.text(), plain)), max_size=6)
)
@hypothesis.settings(
    max_examples=50, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_plain_data_of_every_shape_comes_back_exactly(
    tmp_path: Path, entries: list[tuple[str, dict[str, Any]]]
) -> None:
    path = tmp_path / "ledger.jsonl"
    path.unlink(missing_ok=True)
    content = write(path, entries)
    assert verify(path).entries == len(entries)
    read = [json.loads(line) for line in content.split(b"\n")[1:-2]]
    assert [(entry["kind"], entry["data"]) for entry in read] == entries


def test_numpy_scalars_are_plain_numbers(tmp_path: Path) -> None:
    data = {"a": np.int64(2**62), "b": np.float64(0.1), "c": np.bool_(True), "d": np.arange(3)}
    content = write(tmp_path / "ledger.jsonl", [("gate", data)])
    assert b'"data":{"a":4611686018427387904,"b":0.1,"c":true,"d":[0,1,2]}' in content
    assert verify(tmp_path / "ledger.jsonl").entries == 1


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        ({"x": float("nan")}, "not JSON compliant"),
        ({"x": [float("inf")]}, "not JSON compliant"),
        ({"x": "\ud800"}, "surrogates not allowed"),
        ({"x": {1: 2}}, "keys of a ledger are text, got 1"),
        ({"x": {3, 4}}, "plain values, got set"),
        ({"x": "y" * MOST_BYTES}, f"at most {MOST_BYTES}"),
    ],
)
def test_what_cannot_be_written_exactly_is_refused(
    tmp_path: Path, data: dict[str, Any], problem: str
) -> None:
    path = tmp_path / "ledger.jsonl"
    with LedgerWriter(path, scenario="", seed=0, charter=None) as ledger:
        with pytest.raises(ValueError, match=problem) as caught:
            ledger.write("gate", data)
        assert "ledger entry 1 (gate)" in str(caught.value)
        ledger.write("gate", {"x": 1})
    assert verify(path).entries == 1


def test_a_writer_says_what_it_takes(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with LedgerWriter(path, scenario="", seed=0, charter=None) as ledger:
        for kind in ("end", "genesis", "rumour"):
            with pytest.raises(ValueError, match=f"gate, vote, .* got '{kind}'"):
                ledger.write(kind, {})
        with pytest.raises(ValueError, match="a mapping, got list"):
            ledger.write("vote", [1])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="closed"):
        ledger.write("vote", {})
    assert ledger.head == verify(path).head
    with pytest.raises(FileExistsError):
        LedgerWriter(path, scenario="", seed=0, charter=None)
    with LedgerWriter(path, scenario="other", seed=1, charter=None, overwrite=True):
        pass
    assert verify(path).genesis["scenario"] == "other"


def test_an_episode_that_failed_leaves_no_whole_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    with (
        pytest.raises(RuntimeError),
        LedgerWriter(path, scenario="", seed=0, charter=None) as ledger,
    ):
        ledger.write("vote", {})
        raise RuntimeError
    with pytest.raises(LedgerError, match=r":3: is missing: the ledger is cut off"):
        verify(path)


# --- altered --------------------------------------------------------------------------------------


def test_a_flipped_bit_in_any_byte_is_seen_and_its_line_named(ledger: Ledger) -> None:
    path, content, lines = ledger
    line_of = [number for number, line in enumerate(lines, 1) for _ in line]
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 1 << (5 * position % 8)
        assert complaint(path, bytes(changed)).line == line_of[position], position


@hypothesis.given(st.data())
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_any_other_bytes_at_any_place_are_seen_and_the_line_named(
    ledger: Ledger, data: st.DataObject
) -> None:
    path, content, _ = ledger
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, min(start + 6, len(content))))
    changed = content[:start] + data.draw(st.binary(max_size=6)) + content[end:]
    hypothesis.assume(changed != content)
    # The first line that differs from the one that was written there.
    first = next(i for i in range(len(changed) + 1) if changed[i : i + 1] != content[i : i + 1])
    line = content[:first].count(b"\n") + 1
    assert complaint(path, changed).line == line


def test_other_spellings_of_the_same_data_are_alterations(ledger: Ledger) -> None:
    path, _, lines = ledger
    for number, old, new in (
        (2, b"60.0", b"60.00"), (2, b"81.25", b"8125e-2"), (2, b'"step":0', b'"step": 0'),
        (5, b"1e-300", b"1E-300"), (6, b"1e+16", b"1e16"), (6, b"-0.0", b"0.0"),
        (4, "Fläche".encode(), b"Fl\\u00e4che"), (3, b'"step":1', b'"step":1,"step":1'),
    ):  # fmt: skip
        assert lines[number - 1].count(old) == 1
        changed = [*lines]
        changed[number - 1] = lines[number - 1].replace(old, new)
        error = complaint(path, b"".join(changed))
        assert error.line == number and "was altered" in error.problem


@pytest.mark.parametrize("number", range(1, len(ENTRIES) + 3))
def test_a_line_rewritten_with_a_hash_that_fits_it_is_named(ledger: Ledger, number: int) -> None:
    path, _, lines = ledger
    entry = json.loads(lines[number - 1])
    changed = [*lines]
    entry["data"]["step"] = 99
    changed[number - 1] = sealed(entry)
    error = complaint(path, b"".join(changed))
    if number == len(lines):
        assert (error.line, error.problem) == (number, "counts other entries than there are")
    else:
        assert (error.line, "was replaced" in error.problem) == (number, True)


@pytest.mark.parametrize("number", range(1, len(ENTRIES) + 2))
def test_a_line_that_is_hung_elsewhere_is_named(ledger: Ledger, number: int) -> None:
    path, _, lines = ledger
    changed = [*lines]
    changed[number - 1] = sealed({**json.loads(lines[number - 1]), "previous": "f" * 64})
    error = complaint(path, b"".join(changed))
    assert (error.line, "was replaced" in error.problem) == (number, True)


def test_a_rewritten_end_is_seen_by_the_head_alone(tmp_path: Path, ledger: Ledger) -> None:
    path, _, _ = ledger
    head = verify(path).head
    other = tmp_path / "other.jsonl"
    write(other, [*ENTRIES[:-1], ("parameter", {"step": 3, "name": "fee", "new": 0.0})])
    assert verify(other).entries == len(ENTRIES)
    with pytest.raises(LedgerError, match="is not the expected head") as caught:
        verify(other, head)
    assert caught.value.line == len(ENTRIES) + 2


# --- missing, out of order, cut -------------------------------------------------------------------


@pytest.mark.parametrize("number", range(1, len(ENTRIES) + 2))
def test_a_missing_line_is_named(ledger: Ledger, number: int) -> None:
    path, _, lines = ledger
    error = complaint(path, b"".join(lines[: number - 1] + lines[number:]))
    assert (error.line, error.problem) == (
        number, f"is missing: entry {number - 1} belongs here, entry {number} follows"
    )  # fmt: skip


@hypothesis.given(st.permutations(range(len(ENTRIES) + 2)))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_the_first_line_out_of_order_is_named(ledger: Ledger, order: list[int]) -> None:
    path, _, lines = ledger
    hypothesis.assume(order != sorted(order))
    error = complaint(path, b"".join(lines[i] for i in order))
    first = next(place for place, i in enumerate(order) if place != i)
    assert error.line == first + 1
    assert error.problem == (
        f"is entry {order[first]}; entry {first}, out of order, is line {order.index(first) + 1}"
    )


@pytest.mark.parametrize("number", range(1, len(ENTRIES) + 3))
def test_a_repeated_line_is_named(ledger: Ledger, number: int) -> None:
    path, _, lines = ledger
    error = complaint(path, b"".join(lines[:number] + lines[number - 1 :]))
    assert error.line == number + 1
    assert error.problem in (
        f"is entry {number - 1} again, entry {number} belongs here",
        "comes after the ledger's last entry",
    )


def test_a_ledger_cut_anywhere_is_seen(ledger: Ledger) -> None:
    path, content, _ = ledger
    for length in range(len(content)):
        error = complaint(path, content[:length])
        assert error.line == content[:length].count(b"\n") + 1
        whole_lines = length == 0 or content[length - 1 : length] == b"\n"
        assert error.problem.startswith("is missing" if whole_lines else "is cut off")


def test_a_shorter_chain_with_an_end_of_its_own_needs_the_head(ledger: Ledger) -> None:
    """Cutting entries and writing a new end is rewriting the rest; the old end does not fit."""
    path, _, lines = ledger
    error = complaint(path, b"".join([*lines[:4], lines[-1]]))
    assert error.line == 5 and "is missing" in error.problem


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"\n", 1), (b"[]\n", 1), (b"null\n", 1), (b"{}\n", 1), (b"\xff\xfe\n", 1),
        (b"[" * 100_000 + b"\n", 1), (b"9" * 10_000 + b"\n", 1), (b'{"a":NaN}\n', 1),
        (b"x" * (MOST_BYTES + 5) + b"\n", 1),
        (sealed({"data": [], "index": 0, "kind": "genesis", "previous": "0" * 64}), 1),
        (sealed({"data": {}, "index": False, "kind": "genesis", "previous": "0" * 64}), 1),
        (sealed({"data": {}, "index": 0, "kind": "genesis", "previous": 5}), 1),
        (sealed({"data": {}, "index": 0, "kind": "genesis", "previous": "0" * 64}), 1),
        (sealed({"data": {"format": FORMAT}, "index": 0, "kind": ["vote"],
                 "previous": "0" * 64}), 1),
        (sealed({"data": {"format": FORMAT}, "index": 0, "kind": "genesis", "more": 1,
                 "previous": "0" * 64}), 1),
    ],
)  # fmt: skip
def test_what_a_stranger_sends_is_refused_not_trusted(
    tmp_path: Path, content: bytes, line: int
) -> None:
    assert complaint(tmp_path / "ledger.jsonl", content).line == line


def test_entries_that_a_domain_does_not_write_are_refused(ledger: Ledger) -> None:
    path, _, lines = ledger
    for kind, problem in (("rumour", "unknown kind"), ("genesis", "second first entry")):
        extra = {
            "data": {"format": FORMAT}, "index": 1, "kind": kind,
            "previous": hashlib.sha256(lines[0].rstrip(b"\n")).hexdigest(),
        }  # fmt: skip
        error = complaint(path, lines[0] + sealed(extra))
        assert error.line == 2 and problem in error.problem


def test_canonical_json_is_one_spelling() -> None:
    assert canonical({"b": 1, "a": [0.1, 1e16, 2**70, "é"]}) == (
        b'{"a":[0.1,1e+16,1180591620717411303424,"\xc3\xa9"],"b":1}'
    )


# --- command line ---------------------------------------------------------------------------------


def test_the_command_says_ok_or_the_first_bad_line(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, content, _ = ledger
    head = verify(path).head
    assert main([str(path)]) == 0
    assert capsys.readouterr().out == f"OK {path}: {len(ENTRIES)} entries, head {head}\n"
    assert main([str(path), "--head", "0" * 64]) == 1
    assert "is not the expected head" in capsys.readouterr().out
    bad = tmp_path / "bad.jsonl"
    bad.write_bytes(content.replace(b"81.25", b"81.26"))
    assert main([str(path), str(bad), str(tmp_path / "none.jsonl")]) == 1
    ok, altered, absent = capsys.readouterr().out.splitlines()
    assert ok.startswith("OK ")
    assert altered == f"{bad}:2: was altered: it does not have the hash that it carries"
    assert absent == f"{tmp_path / 'none.jsonl'}: cannot be read: No such file or directory"
    with pytest.raises(SystemExit):
        main([str(path), str(bad), "--head", head])


def test_the_command_runs_as_a_module(ledger: Ledger) -> None:
    path, content, _ = ledger
    command = [sys.executable, "-P", "-m", "daogym.envs.dao.ledger", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout[:3], done.stderr) == (0, "OK ", "")
    path.write_bytes(content[:-5])
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f":{len(ENTRIES) + 2}: is cut off" in done.stdout
