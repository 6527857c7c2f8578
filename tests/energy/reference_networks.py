"""The networks that feeders are compared with, built once a process."""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest


@functools.cache
def _of_simbench(name: str) -> tuple[Any, Any]:
    simbench = pytest.importorskip("simbench", reason="its networks")
    net = simbench.get_simbench_net(name)
    # Years of profiles would be copied with every copy of the network.
    return net, net.pop("profiles")


@functools.cache
def network(name: str) -> Any:
    """A reference network, not to be changed; skips where pandapower or simbench is missing."""
    networks = pytest.importorskip("pandapower.networks", reason="the reference solver")
    if name.startswith("1-LV"):
        return _of_simbench(name)[0]
    before = random.getstate()
    random.seed(0)  # the Kerber networks draw some of their cables
    net = getattr(networks, name)()
    random.setstate(before)
    return net


def simbench_profiles(name: str) -> Any:
    """Tables of a SimBench network's profiles, by what they are of; not to be changed."""
    return _of_simbench(name)[1]
