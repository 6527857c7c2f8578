"""Controllers play what they are named for, searches find something, pictures are drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.agents.evaluation import play
from daogym.envs.logistics import exact
from daogym.envs.logistics.controllers import make_controller
from daogym.envs.logistics.planner import RollingPlan
from daogym.envs.logistics.policies import CappedBaseStock, CappedDualIndex, TailoredBaseSurge
from daogym.envs.logistics.rules import BaseStock
from daogym.envs.logistics.trivial import Constant

from .conftest import average_cost, make_network

pytestmark = pytest.mark.kernel


def money(controller: Any, spec: Any, lanes: int = 32, **options: Any) -> float:
    simulator = make_network(spec, lanes, action_mode=controller.action_mode, **options)
    simulator.reset(seed=77)
    return float(play(controller, simulator).money.mean())


@pytest.mark.parametrize(
    "name", ["supply_network", "lost_sales_poisson_l2_p4", "dual_sourcing_l2_c10"]
)
def test_every_controller_plays(name: str) -> None:
    scenario = daogym.load_scenario({"base": name, "horizon_days": 12})
    for controller in make_network(scenario).domain.controller_names:  # type: ignore[attr-defined]
        player = make_controller(controller, scenario)  # type: ignore[arg-type]
        assert player.name == controller
        assert np.isfinite(money(player, scenario, 2)), controller
    with pytest.raises(ValueError, match="base_stock"):
        make_controller("nobody", scenario)  # type: ignore[arg-type]


def test_a_controller_refuses_the_other_kind_of_actions() -> None:
    with pytest.raises(ValueError, match="'orders'"):
        BaseStock().reset(make_network("supply_network", 1, action_mode="orders"))


def test_capped_base_stock_in_the_kernel_costs_what_the_programme_says() -> None:
    cost, level, cap = exact.best_simple_policy("poisson", 2, 9.0, True)
    simulator = make_network("lost_sales_poisson_l2_p9", 1024,
                             changes={"horizon_days": 1_000_000})  # fmt: skip
    own = simulator.domain.network.base_stock[1, 0]  # type: ignore[attr-defined]
    player = CappedBaseStock(np.array([level / own, cap / 5.0]))
    player.reset(simulator)
    found, error = average_cost(simulator, player.act, 1200)
    assert abs(found - cost) < 3.0 * error + 1e-3


def test_simple_dual_policies_come_near_the_optimum_and_not_below() -> None:
    simulator = make_network("dual_sourcing_l3_c10", 2048, changes={"horizon_days": 1_000_000})
    optimum = exact.dual_sourcing_optimum(3, 10.0).cost
    found = {}
    for player, grid in (
        (CappedDualIndex, [(4.0, r, c) for r in (8.0, 9.0, 10.0, 11.0) for c in (2.0, 3.0)]),
        (TailoredBaseSurge, [(q, 4.0) for q in (0.0, 1.0, 2.0)]),
    ):
        costs = []
        for row in grid:
            policy = player(np.array(row))  # type: ignore[abstract]
            policy.reset(simulator)
            costs.append(average_cost(simulator, policy.act, 150)[0])
        found[player.name] = min(costs)
    assert optimum * 0.99 < found["capped_dual_index"] < 1.05 * optimum
    assert optimum * 0.99 < found["tailored_base_surge"] < 1.30 * optimum


def test_foresight_of_demand_earns_more_than_its_expectation() -> None:
    """Without late deliveries and closures, which no plan foresees."""
    base = make_network("supply_network").scenario.model_dump(mode="json")
    changes = {
        "horizon_days": 40,
        "modes": [
            {**mode, "late_probability": 0.0, "fleet": mode["fleet"] and {
                **mode["fleet"], "grounding_alpha": 0.0}} for mode in base["modes"]
        ],
        "lanes": [{**lane, "disruption_alpha": 0.0} for lane in base["lanes"]],
        "nodes": [{**node, "disruption_alpha": 0.0} for node in base["nodes"]],
    }  # fmt: skip
    idle = money(Constant(np.full(19, -1.0)), "supply_network", 2, changes=changes)
    expected = money(RollingPlan(), "supply_network", 2, changes=changes)
    perfect = money(RollingPlan(safety=0.0, perfect=True), "supply_network", 2, changes=changes)
    assert idle < expected < perfect


def test_pictures_are_drawn(tmp_path: Path) -> None:
    simulator = make_network("supply_network", 2, autoreset="disabled",
                             changes={"horizon_days": 20})  # fmt: skip
    simulator.reset(seed=1)
    simulator.step(np.zeros((2, 19), dtype=np.float32))
    domain: Any = simulator.domain
    picture = domain.render(simulator, 1)
    assert picture.shape == (700, 1120, 3) and picture.dtype == np.uint8
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    simulator.reset(seed=1)
    player = BaseStock()
    domain.plot_episodes([("base_stock", simulator, player.act)], tmp_path / "episode.png")
    assert (tmp_path / "episode.png").stat().st_size > 10_000
