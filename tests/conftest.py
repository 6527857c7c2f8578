"""Settings that every test process needs before the numerical libraries are imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import hypothesis
import pytest

# Two test processes share a small machine: BLAS gets one thread each. Numba gets exactly two, since
# tests compare one thread with two and a machine with one core would refuse the second.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
# A thread that waits for another must not spin on a core that the other test process needs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MPLBACKEND", "Agg")

# The first example of a property test may compile a kernel, so no example has a deadline. CI draws
# the same examples on every run; a developer's machine draws new ones and keeps those that fail.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")


@pytest.fixture(autouse=True)
def one_torch_thread() -> Iterator[None]:
    """A training run sets PyTorch's threads for its whole process: one again for the next test."""
    yield
    torch = sys.modules.get("torch")
    if torch is not None and torch.get_num_threads() != 1:
        torch.set_num_threads(1)


# Scenarios that need each compiled kernel of a domain, by the test process that compiles them.
KERNELS = (
    ("lv_rural_voted", "lv_rural"),
    ("gpu_week_voted", "gpu_week", "supply_network_voted", "supply_network"),
)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Where all environments are tested by several processes, each compiles whole domains first.

    A domain's entries share most of their functions, which one process types once; and at the
    start no process waits for what another one compiles.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or not any(item.path.name == "test_faces.py" for item in session.items):
        return
    import daogym
    from daogym.envs.core.simulator import _PARALLEL_FROM

    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for names in KERNELS[number::count]:
        for name in names:
            for lanes in (1, _PARALLEL_FROM):
                daogym.make_simulator(name, lanes, threads=2)
