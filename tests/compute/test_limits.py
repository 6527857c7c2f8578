"""Limits of an action: just inside, the gate cuts nothing; just outside, it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.layout import A_RESERVE, A_SPREAD
from daogym.envs.compute.limits import action_limits

pytestmark = pytest.mark.kernel

EDGE = 1e-4


@pytest.mark.parametrize("mode", ["operator", "scheduler"])
def test_spread_and_reserve_meet_the_charter_at_their_limits(mode: str) -> None:
    scenario = {
        "domain": "compute", "base": "gpu_week",
        "charter": {"parameters": {"spread_cap_share": 0.12, "treasury_floor_usd": 1_000.0}},
    }  # fmt: skip
    simulator = daogym.make_simulator(scenario, 8, action_mode=mode)
    cut = simulator.event_names.index("interventions")
    pricing_fixed = simulator.action_size - 1
    simulator.reset(seed=3)
    seen = {A_SPREAD: 0, A_RESERVE: 0}

    def is_cut(column: int, value: Any) -> Any:
        kept = simulator.snapshot()
        actions = np.zeros((8, simulator.action_size), dtype=np.float32)
        actions[:, [A_SPREAD, A_RESERVE]] = -1.0
        if mode == "scheduler":
            actions[:, pricing_fixed] = 1.0
        actions[:, column] = np.clip(value, -1.0, 1.0)
        simulator.step(actions)
        hit = simulator.events[:, cut] > 0.0
        simulator.restore(kept)
        return hit

    for step in range(48):
        high = action_limits(simulator)[..., 1]
        inside = (high > -1.0 + EDGE) & (high < 1.0 - EDGE)
        for column in seen:
            mine = inside[:, column] & (high[:, A_SPREAD + A_RESERVE - column] > -1.0 + EDGE)
            if step % 4 == 0 and mine.any():
                assert is_cut(column, high[:, column] + EDGE)[mine].all()
                assert not is_cut(column, high[:, column] - EDGE)[mine].any()
                seen[column] += int(mine.sum())
        simulator.step(np.ones((8, simulator.action_size), dtype=np.float32))
    assert seen[A_SPREAD] > 10, seen
