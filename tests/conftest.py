"""Settings that every test process needs before the numerical libraries are imported."""

import os

import hypothesis

# Two test processes share a small machine: BLAS gets one thread each. Numba gets exactly two, since
# tests compare one thread with two and a machine with one core would refuse the second.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "2")
os.environ.setdefault("MPLBACKEND", "Agg")

# The first example of a property test may compile a kernel, so no example has a deadline. CI draws
# the same examples on every run; a developer's machine draws new ones and keeps those that fail.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("developer", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "developer")
