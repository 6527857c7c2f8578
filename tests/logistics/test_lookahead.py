"""The mode "anticipating": its zero action is the rule, and it looks at what really comes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.logistics.anticipate import Anticipating, anticipated, promoted_share, weights_of
from daogym.envs.logistics.controllers import make_controller, make_teacher

from .conftest import make_network

pytestmark = pytest.mark.kernel
YEAR = 365
TRACKS = ("supply_network", "supply_network_blind")


def money(controller: Any, spec: Any) -> Any:
    simulator = make_network(spec, 4, action_mode=controller.action_mode,
                             changes={"horizon_days": 90})  # fmt: skip
    simulator.reset(seed=77)
    controller.reset(simulator)
    total = np.zeros(4)
    for _ in range(simulator.horizon):
        simulator.step(controller.act(simulator))
        total += simulator.rewards
    return total


@pytest.mark.parametrize("name", TRACKS)
def test_the_zero_action_is_the_rule(name: str) -> None:
    """What the kernel does by itself, and the same levels asked for from outside."""
    scenario: Any = daogym.load_scenario(name)
    assert scenario.action_mode == "anticipating"
    zero = make_controller("anticipating", scenario)
    assert zero.action_mode == "anticipating"
    outside = make_teacher(scenario, "base_stock")
    assert isinstance(outside, Anticipating)
    np.testing.assert_allclose(money(zero, name), money(outside, name), rtol=1e-7)
    assert (money(zero, name) != money(make_controller("base_stock", scenario), name)).all()


@pytest.mark.parametrize("name", TRACKS)
def test_an_action_multiplies_what_is_anticipated(name: str) -> None:
    ours = make_network(name, 6, autoreset="disabled")
    plain = make_network(name, 6, autoreset="disabled", action_mode="base_stock")
    span = ours.scenario.actions.multiplier_span
    levels = len(ours.scenario.tiers) * len(ours.scenario.goods)
    draw = np.random.default_rng(3)
    ours.reset(seed=4)
    for _ in range(40):
        plain.restore(ours.snapshot())
        actions = draw.uniform(-0.3, 0.1, (6, ours.action_size))
        lean = anticipated(ours, weights_of(ours.scenario.actions.anticipation)).reshape(6, -1)
        factor = (1.0 + lean) * (1.0 + span * actions[:, :levels])
        same = actions.copy()
        same[:, :levels] = (factor - 1.0) / span
        within = (np.abs(same) <= 1.0).all(axis=1)
        ours.step(actions.astype(np.float32))
        plain.step(same.astype(np.float32))
        assert within.any()
        np.testing.assert_allclose(
            ours.state("flow_units")[within], plain.state("flow_units")[within], atol=1e-4
        )


def test_what_is_looked_at_comes_true() -> None:
    """The days ahead are those whose promotions and seasons the world then goes through."""
    simulator = make_network("supply_network", 8, autoreset="disabled")
    simulator.reset(seed=9)
    scenario = simulator.scenario
    tables: Any = simulator.domain.network.tables  # type: ignore[attr-defined]
    days = tables["days_ahead"].tolist()
    assert len(days) == 3 and sorted(days, reverse=True) == days and days[-1] >= 3
    shares = [promoted_share(simulator, d) for d in days]
    first = simulator.state("first_day").copy()
    promoted, seasons = [], []
    for step in range(max(days)):
        promoted.append(simulator.state("promotion_factor") > 1.0)
        angle = 2.0 * np.pi * (first[:, None] + step - [g.season_peak_day for g in scenario.goods])
        share = np.array([good.season_share for good in scenario.goods])
        seasons.append(1.0 + share * np.cos(angle / YEAR))
        simulator.step(np.zeros((8, simulator.action_size), dtype=np.float32))
    assert np.any(promoted)
    for t, d in enumerate(days):
        np.testing.assert_allclose(shares[t], np.mean(promoted[:d], axis=0))
        ahead = tables["season_ahead"][first % YEAR, t]
        np.testing.assert_allclose(ahead, np.mean(seasons[:d], axis=0), atol=1e-9)


def test_a_mode_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs actions.anticipation, which .*lost_sales"):
        make_network("lost_sales_poisson_l2_p4", action_mode="anticipating")
    with pytest.raises(ConfigError, match="base, season, promotions, level"):
        daogym.load_scenario({"base": "serial_2", "action_mode": "anticipating"})
    with pytest.raises(ValueError, match="'anticipating', 'node', 'carrier', 'orders'"):
        make_network("supply_network", action_mode="levels")
