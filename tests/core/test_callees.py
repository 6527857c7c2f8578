"""Callees become code that callers inline: same numbers, no machine code of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numba.core.codegen import JITCodeLibrary

from daogym.envs.core.callees import CalleeLibrary
from daogym.envs.core.compiled import inlined_function, kernel_entry, kernel_function

pytestmark = pytest.mark.kernel


@kernel_function
def harmonic(n: int) -> float:
    total = 0.0
    for k in range(n):
        total += 1.0 / (k + 1.0)
    return total


@inlined_function
def halves(values: np.ndarray, n: int) -> float:
    return 0.5 * harmonic(n) + values.sum()


@kernel_function
def nested(values: np.ndarray, n: int) -> float:
    if n < 0:
        raise ValueError("n below 0")
    return halves(values, n) + harmonic(n + 1)


@kernel_entry()
def entry(values: np.ndarray, n: int) -> float:
    return nested(values, n) - harmonic(n)


def test_entries_and_callees_give_what_python_gives() -> None:
    values = np.array([0.25, -3.0, 7.5])

    def sum_of(n: int) -> float:
        total = 0.0
        for k in range(n):
            total += 1.0 / (k + 1.0)
        return total

    for n in (0, 1, 50):
        expected = (0.5 * sum_of(n) + values.sum()) + sum_of(n + 1)
        assert nested(values, n) == expected
        assert entry(values, n) == expected - sum_of(n)
        assert harmonic(n) == sum_of(n)
    with pytest.raises(ValueError, match="n below 0"):
        entry(values, -1)


def test_callees_are_never_turned_into_machine_code(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Numba's engine gets the libraries of entries, not those of the functions that they call."""
    monkeypatch.setenv("DAOGYM_CACHE_DIR", str(tmp_path))
    callees, run = [], []
    finalize = CalleeLibrary._finalize_final_module
    monkeypatch.setattr(
        CalleeLibrary, "_finalize_final_module",
        lambda self: (callees.append(self.name), finalize(self))[1],
    )  # fmt: skip
    added = JITCodeLibrary._finalize_specific
    monkeypatch.setattr(
        JITCodeLibrary, "_finalize_specific", lambda self: (run.append(self.name), added(self))[1]
    )

    @kernel_function
    def doubled(x: float) -> float:
        return 2.0 * x

    @kernel_function
    def quadrupled(x: float) -> float:
        return doubled(doubled(x))

    @kernel_entry()
    def octupled(x: float) -> float:
        return quadrupled(doubled(x))

    assert octupled(1.5) == 12.0
    assert [name for name in callees if "doubled" in name or "quadrupled" in name]
    assert not [name for name in run if "doubled" in name or "quadrupled" in name]
    assert [name for name in run if "octupled" in name]
