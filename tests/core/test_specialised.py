"""Kernels with a scenario's whole numbers compiled in: the same numbers bit for bit."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.simulator import Simulator
from daogym.envs.dao.adversary import make_adversary

STEPS = 40


def played(simulator: Simulator, steps: int) -> list[bytes]:
    """Everything that steps show, from a fixed seed and fixed actions."""
    simulator.reset(seed=11)
    draw = np.random.default_rng(4)
    shown = []
    for _ in range(steps):
        size = (simulator.num_envs, simulator.action_size)
        simulator.step(draw.uniform(-1.0, 1.0, size).astype(np.float32))
        for name in ("observations", "rewards", "costs", "terms", "events", "terminated"):
            shown.append(getattr(simulator, name).tobytes())
    return shown


@pytest.mark.slow
@pytest.mark.kernel
@pytest.mark.parametrize("scenario", ["serial_3", "supply_network", "lv_rural", "gpu_week"])
def test_a_specialised_kernel_gives_the_same_bits(scenario: str) -> None:
    options: dict[str, Any] = {"num_envs": 6, "stagger": True}
    plain = played(daogym.make_simulator(scenario, **options), STEPS)
    specialised = daogym.make_simulator(scenario, specialise=True, **options)
    assert played(specialised, STEPS) == plain
    assert specialised._step is not specialised.domain.step_serial


@pytest.mark.kernel
def test_specialised_kernels_are_kept_apart_by_their_numbers() -> None:
    """Two scenarios of one kind in one process, on one and on two threads, and copies."""
    options: dict[str, Any] = {"num_envs": 256, "specialise": True, "threads": 2}
    other = {"base": "serial_3", "horizon_days": 7}
    one, two = (daogym.make_simulator(scenario, **options) for scenario in ("serial_3", other))
    assert one._step is not two._step
    again = daogym.make_simulator("serial_3", **options)
    assert again._step is one._step
    expected = played(daogym.make_simulator(other, num_envs=256), STEPS)
    assert played(two, STEPS) == expected
    assert played(copy.deepcopy(two), STEPS) == expected
    assert played(one, STEPS) == played(daogym.make_simulator("serial_3", num_envs=256), STEPS)


def test_a_domain_without_such_kernels_says_so() -> None:
    domain = make_adversary("apathy", num_envs=1).domain
    with pytest.raises(ValueError, match=r"specialise: domain .* has no `specialised_step`"):
        Simulator(domain, 1, specialise=True)
