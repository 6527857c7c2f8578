"""Each governed parameter that an operator should anticipate moves what a planner does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.energy.mpc import RollingMpc
from daogym.envs.energy.scenario import GOVERNED_PARAMETERS

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
LANES, STEPS = 6, 96
LEAST_SHARE = 0.10


def decisions(parameters: dict[str, float]) -> Any:
    """(steps, lanes, 2) kW of batteries and PV under the planning operator; nobody proposes."""
    charter = {"mode": "voted", "proposals_per_day": 0.0, "parameters": parameters}
    simulator = daogym.make_simulator(
        {"base": "lv_rural", "episode_days": 7, "local_market": True, "charter": charter},
        LANES, split="train",
    )  # fmt: skip
    simulator.reset(seed=40)
    controller = RollingMpc("forecast")
    controller.reset(simulator)
    done = []
    for _ in range(STEPS):
        action = controller.act(simulator)
        simulator.step(action)
        done.append(
            np.column_stack([simulator.state("battery_kw").sum(axis=1), simulator.state("pv_kw")])
        )
    return np.array(done)


@pytest.mark.parametrize(
    "parameter", [p for p in GOVERNED_PARAMETERS if p.decides], ids=lambda p: p.name
)
def test_moving_a_parameter_moves_decisions(parameter: Any) -> None:
    low, high = (decisions({parameter.name: value}) for value in (parameter.low, parameter.high))
    moved = (np.abs(low - high) > 1.0).any(axis=2)
    assert moved.mean() >= LEAST_SHARE, moved.mean()


def test_what_is_no_matter_of_money_moves_none() -> None:
    """All of them at once, from one end of their limits to the other."""
    idle = [p for p in GOVERNED_PARAMETERS if not p.decides and p.largest_change > 0.0]
    assert len(idle) >= 4
    low, high = decisions({p.name: p.low for p in idle}), decisions({p.name: p.high for p in idle})
    assert np.array_equal(low, high)
