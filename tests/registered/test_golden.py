"""The digest of each id's golden trajectory, on this processor and on a generic one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import daogym
from daogym.envs.registry import Registration

GOLDEN = Path(__file__).with_name("golden.py")
ADVICE = (
    "this id no longer names the same world: bump its version, then run "
    "python -m tests.registered.golden --write"
)


@pytest.mark.kernel
def test_trajectory_is_the_golden_one(entry: Registration, golden: ModuleType) -> None:
    kept = json.loads(golden.FILE.read_text(encoding="utf-8"))
    assert entry.id in kept, f"{entry.id} has no digest: run python -m tests.registered.golden"
    assert golden.digest(entry) == kept[entry.id], ADVICE


def test_no_digest_without_an_id(golden: ModuleType) -> None:
    kept = json.loads(golden.FILE.read_text(encoding="utf-8"))
    assert set(kept) == {entry.id for entry in (*daogym.REGISTERED, *daogym.MULTI_AGENT)}


@pytest.mark.slow
def test_trajectory_is_the_golden_one_on_a_generic_processor(golden: ModuleType) -> None:
    """Without this machine's vector instructions the numbers are the same."""
    name = min(daogym.REGISTERED, key=lambda entry: len(entry.id)).id
    environment = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    done = subprocess.run(
        [sys.executable, str(GOLDEN), name],
        capture_output=True,
        text=True,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    kept = json.loads(golden.FILE.read_text(encoding="utf-8"))
    assert json.loads(done.stdout) == {name: kept[name]}


def test_hashed_actions_fill_the_range_and_depend_on_each_place(golden: ModuleType) -> None:
    one = golden.hashed_actions(50, 20, 3)
    assert one.dtype == np.float32 and one.min() < -0.95 and one.max() > 0.95
    assert abs(float(one.mean())) < 0.06 and len(np.unique(one)) == one.size
    several = golden.hashed_actions(50, 20, np.arange(50))
    assert np.array_equal(several[3], one[3]) and not np.array_equal(several[4], one[4])
    assert not np.array_equal(golden.hashed_actions(50, 20, 3, stream=1), one)
