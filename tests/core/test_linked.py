"""What LLVM is told about kernels: private callees, uncounted arrays, indices from the start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run_alone(code: str, tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """What a process of its own with an empty cache makes of the code."""
    path = tmp_path / "alone.py"
    path.write_text(code, encoding="utf-8")
    environment = {**os.environ, "DAOGYM_CACHE_DIR": str(tmp_path / "cache"), **settings}
    run = [sys.executable, "-P", str(path)]
    return subprocess.run(run, capture_output=True, text=True, env=environment, check=False)


def test_an_entrys_private_callees_bear_names_of_their_own(tmp_path: Path) -> None:
    # Under their own names the loader links later kernels to them, whose calls they cannot answer.
    code = (
        "import json\n"
        "import numpy as np\n"
        "from llvmlite.binding import Linkage\n"
        "from daogym.envs.core import random\n"
        "from daogym.envs.core.compiled import kernel_entry\n"
        "@kernel_entry()\n"
        "def entry(key, n):\n"
        "    total = 0.0\n"
        "    for i in range(n):\n"
        "        total += random.poisson(key, 5, 7, i, 3.5) + random.normal(key, 2, 7, i)\n"
        "    return total\n"
        "entry(np.uint64(20230514), 100)\n"
        "(made,) = entry.overloads.values()\n"
        "defined = [f for f in made.library._final_module.functions if not f.is_declaration]\n"
        "print(json.dumps([[f.name, f.linkage == Linkage.internal] for f in defined]))\n"
        "assert not any(f.linkage == Linkage.linkonce_odr for f in defined)\n"
    )
    done = run_alone(code, tmp_path)
    assert done.returncode == 0, done.stderr
    named = dict(json.loads(done.stdout))
    assert any(named.values())
    for name, internal in named.items():
        assert name.startswith("private.") == internal, name


def test_arrays_without_an_owner_are_not_counted_by_an_entry(tmp_path: Path) -> None:
    # Not even a call is left that finds nobody to count: it would stand between reads and writes.
    code = (
        "import re\n"
        "import numpy as np\n"
        "from daogym.envs.core.compiled import kernel_entry, kernel_function\n"
        "from daogym.envs.core.uncounted import uncounted\n"
        "@kernel_function\n"
        "def row_sum(values, row):\n"
        "    part = values[row, 1:]\n"
        "    total = 0.0\n"
        "    for k in range(len(part)):\n"
        "        total += part[k]\n"
        "    return total\n"
        "@kernel_entry()\n"
        "def entry(values, out):\n"
        "    table = uncounted(values)\n"
        "    for row in range(len(table)):\n"
        "        out[row] = row_sum(table, row)\n"
        "values, out = np.arange(12.0).reshape(3, 4), np.zeros(3)\n"
        "entry(values, out)\n"
        "assert (out == values[:, 1:].sum(1)).all()\n"
        "(made,) = entry.overloads.values()\n"
        "calls = re.findall(r'call [^\\n]*NRT_(?:in|de)cref', str(made.library._final_module))\n"
        "assert not calls, calls\n"
    )
    done = run_alone(code, tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("index", "bounds_checked", "expected"),
    [
        ("len(values) - 1", "0", "3.0"),
        ("-1", "0", "an array index is -1 in "),
        ("0 - len(values)", "1", "IndexError: index is out of bounds"),
    ],
)
def test_kernels_count_indices_from_the_start(
    tmp_path: Path, index: str, bounds_checked: str, expected: str
) -> None:
    code = (
        "import numpy as np\n"
        "from daogym.envs.core.compiled import kernel_entry, kernel_function\n"
        "@kernel_function\n"
        "def look(values):\n"
        f"    return values[{index}]\n"
        "@kernel_entry()\n"
        "def entry(values):\n"
        "    return look(values)\n"
        "print(entry(np.arange(4.0)))\n"
    )
    done = run_alone(code, tmp_path, NUMBA_BOUNDSCHECK=bounds_checked)
    assert expected in done.stdout + done.stderr
