"""Limits of an action: just inside, the gate moves nothing; just outside, it does."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.logistics.limits import action_limits
from daogym.envs.logistics.rules import positions

from .conftest import make_network

pytestmark = pytest.mark.kernel

# No rule that binds; each test sets the one that it is about.
FREE = {
    "safety_stock_days": 0.0, "stake_cover_share": 0.0, "drone_quota_share": 1.0,
    "purchase_allowance_usd_per_week": 9e11,
}  # fmt: skip
EDGE = 2e-3


def under(rules: dict[str, float], mode: str, num_envs: int = 6) -> Any:
    changes = {"charter": {"parameters": {**FREE, **rules}}}
    return make_network("supply_network", num_envs, changes=changes, action_mode=mode)


def moved(simulator: Any, actions: Any) -> Any:
    """Whether the gate moves these actions' orders; the simulator stays where it is."""
    kept = simulator.snapshot()
    simulator.step(actions.astype(np.float32))
    hit = simulator.events[:, simulator.event_names.index("interventions")] > 0.0
    simulator.restore(kept)
    return hit


def days(simulator: Any, count: int) -> Any:
    """Days of drawn actions, so that stock, stakes and allowance are used up."""
    simulator.reset(seed=17)
    draw = np.random.default_rng(5)
    for day in range(count):
        yield day
        simulator.step(
            draw.uniform(-1.0, 1.0, (simulator.num_envs, simulator.action_size)).astype(np.float32)
        )


@pytest.mark.parametrize(
    "rules", [{"drone_quota_share": 0.02}, {"stake_cover_share": 3.0},
              {"purchase_allowance_usd_per_week": 9_000.0}]
)  # fmt: skip
def test_an_order_alone_meets_its_rule_at_its_limit(rules: Any) -> None:
    simulator = under(rules, "orders")
    seen = 0
    for day in days(simulator, 12):
        high = action_limits(simulator)[..., 1]
        for k in range(day % 5, simulator.action_size, 5):
            bound = high[:, k] < 1.0 - EDGE
            actions = np.full((simulator.num_envs, simulator.action_size), -1.0)
            actions[:, k] = np.clip(high[:, k] - EDGE, -1.0, 1.0)
            assert not moved(simulator, actions)[bound].any()
            actions[:, k] = np.clip(high[:, k] + EDGE, -1.0, 1.0)
            assert moved(simulator, actions)[bound].all()
            seen += int(bound.sum())
    assert seen > 100


@pytest.mark.parametrize("mode", ["base_stock", "anticipating", "node"])
def test_levels_meet_the_covenant_at_their_limits(mode: str) -> None:
    simulator = under({"safety_stock_days": 4.0}, mode)
    bound = 0
    for _ in days(simulator, 20):
        low = action_limits(simulator)[..., 0]
        within = (low <= 1.0 - EDGE).all(axis=1)
        actions = np.clip(low + EDGE, -1.0, 1.0)
        assert not moved(simulator, actions)[within].any()
        for k in np.flatnonzero((low > -1.0).any(axis=0))[::3]:
            mine = low[:, k] > -1.0 + EDGE
            fewer = np.ones_like(actions)
            fewer[:, k] = np.clip(low[:, k] - EDGE, -1.0, 1.0)
            assert moved(simulator, fewer)[mine].all()
            bound += int(mine.sum())
        assert moved(simulator, np.ones_like(actions))[(low > 1.0).any(axis=1)].all()
    assert bound > 100


@pytest.mark.parametrize(
    ("mode", "plants_levels"), [("base_stock", 4), ("anticipating", 4), ("node", 12)]
)
def test_levels_meet_the_allowance_at_their_limits(mode: str, plants_levels: int) -> None:
    simulator = under({"purchase_allowance_usd_per_week": 9_000.0}, mode)
    # The lowest levels are half of those at action 0, which lie at most half above the scenario's.
    lowest = 0.75 if mode == "anticipating" else 0.5
    seen = 0
    for day in days(simulator, 20):
        high = action_limits(simulator)[..., 1]
        idle = np.full((simulator.num_envs, simulator.action_size), -1.0)
        # At the lowest levels no plant orders anything.
        plants = [simulator.domain.network.node_names.index(f"plant_{k}") for k in (1, 2, 3)]
        least = lowest * simulator.domain.network.base_stock[plants]
        asks_nothing = (positions(simulator)[:, plants] >= least).all(axis=(1, 2))
        for k in range(plants_levels):  # only the plants buy
            bound = (high[:, k] > -1.0) & (high[:, k] < 1.0 - EDGE)
            actions = idle.copy()
            actions[:, k] = np.clip(high[:, k] + EDGE, -1.0, 1.0)
            assert moved(simulator, actions)[bound].all(), day
            actions[:, k] = np.clip(high[:, k] - EDGE, -1.0, 1.0)
            assert not moved(simulator, actions)[bound & asks_nothing].any(), day
            seen += int((bound & asks_nothing).sum())
        assert (high[:, plants_levels:] == 1.0).all()
    assert seen > 20, seen
