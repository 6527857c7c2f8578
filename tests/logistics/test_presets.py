"""The kernel against published optima: simulated costs of optimal levels, and exact programmes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.logistics import exact
from daogym.envs.logistics.presets import LOST_SALES_PENALTIES

from .conftest import average_cost, levels, make_network

pytestmark = pytest.mark.kernel

# Snyder and Shen (2nd ed.), Shang and Song (2003): cost C*, and the part of it that no policy
# moves, which the kernel does not charge: goods on their way to the last stage during the last
# unit of its lead, at the holding cost of the stage before.
SERIAL = {
    "serial_3": (47.66539, 4.0 * 5.0),
    "serial_2": (166.2705, 1.0 * 100.0),
    "serial_5": (451.729, 5.0 * 32.0),
    "serial_2_long": (438.240, 2.0 * 20.0),
    "shang_song_1": (12.687, 0.75 * 4.0),
    "shang_song_9": (53.006, 5.25 * 4.0),
    "shang_song_17": (16.198, 0.75 * 4.0),
    "shang_song_25": (74.554, 5.25 * 4.0),
    "newsvendor": (1.99761, 0.0),
}


def simulated(name: str, factors: Any = 1.0, periods: int = 6000) -> tuple[float, float]:
    simulator = make_network(name, 1024, action_mode="base_stock",
                             changes={"horizon_days": 1_000_000})  # fmt: skip
    actions = levels(simulator, factors)
    return average_cost(simulator, lambda _: actions, periods)


@pytest.mark.parametrize("name", SERIAL)
def test_optimal_levels_cost_what_is_published(name: str) -> None:
    published, constant = SERIAL[name]
    # The rarer shortages are, the longer their mean takes.
    mean, error = simulated(name, periods=24_000 if name == "shang_song_17" else 6_000)
    found = mean + constant
    assert 2.58 * error < 1.2e-3 * published
    assert abs(found - published) <= 1e-3 * published


@pytest.mark.parametrize("name", ["serial_3", "serial_2_long", "shang_song_9"])
def test_every_perturbation_of_the_levels_costs_more(name: str) -> None:
    """One unit of the echelon's standard deviation up and down, in the same worlds."""
    best, _ = simulated(name, periods=800)
    stages = make_network(name, 1, action_mode="base_stock").action_size
    for stage in range(stages):
        for change in (-0.08, 0.08):
            factors = np.ones(stages)
            factors[stage] += change
            assert simulated(name, factors, periods=800)[0] > best, (stage, change)


def test_a_lead_of_one_at_the_last_stage_is_another_system() -> None:
    """The literature's lead of 1 is the kernel's 0: taken literally, it costs 178."""
    base = make_network("serial_3").scenario.model_dump(mode="json")
    lanes = [{**lane, "lead_days": lane["lead_days"] + (lane["destination"] == "stage_1")}
             for lane in base["lanes"]]  # fmt: skip
    simulator = make_network("serial_3", 256, changes={"lanes": lanes, "horizon_days": 100_000})
    actions = levels(simulator)
    mean, _ = average_cost(simulator, lambda _: actions, 1000)
    assert mean > 150.0


# Zipkin (2008): optimal average cost for penalties 4, 9, 19, 39.
LOST_SALES = {
    ("poisson", 1): (4.04, 5.44, 6.68, 7.84),
    ("poisson", 2): (4.40, 6.09, 7.66, 9.11),
    ("poisson", 3): (4.60, 6.53, 8.36, 10.04),
    ("poisson", 4): (4.73, 6.84, 8.89, 10.79),
    ("geometric", 1): (9.82, 14.51, 19.22, 23.87),
    ("geometric", 2): (10.24, 15.50, 20.89, 26.21),
    ("geometric", 3): (10.47, 16.14, 22.06, 27.96),
}
BASE_STOCK_L4 = (5.20, 7.27, 9.23, 11.06)
CAPPED_BASE_STOCK_L4 = (4.80, 6.91, 8.95, 10.89)
DUAL = {2: (16.77, 19.73, 23.07), 3: (16.88, 20.34, 24.34), 4: (16.89, 20.61, 25.04)}


@pytest.mark.parametrize(("law", "lead"), LOST_SALES)
def test_lost_sales_optima_are_the_published_ones(law: str, lead: int) -> None:
    for penalty, published in zip(LOST_SALES_PENALTIES, LOST_SALES[law, lead], strict=True):
        found = exact.lost_sales_optimum(law, lead, float(penalty))
        assert round(found.cost, 2) == published, penalty


def test_best_simple_policies_cost_what_is_published() -> None:
    for i, penalty in enumerate(LOST_SALES_PENALTIES):
        plain = exact.best_simple_policy("poisson", 4, float(penalty))
        capped = exact.best_simple_policy("poisson", 4, float(penalty), True)
        assert round(plain[0], 2) == BASE_STOCK_L4[i]
        assert round(capped[0], 2) == CAPPED_BASE_STOCK_L4[i]


@pytest.mark.parametrize("lead", DUAL)
def test_dual_sourcing_optima_are_the_published_ones(lead: int) -> None:
    for premium, published in zip((5, 10, 20), DUAL[lead], strict=True):
        found = exact.dual_sourcing_optimum(lead, float(premium))
        assert round(found.cost, 2) == published, premium


@pytest.mark.parametrize(
    ("name", "cost"),
    [("lost_sales_poisson_l4_p9", 6.836), ("lost_sales_poisson_l1_p39", 7.836),
     ("lost_sales_geometric_l2_p4", 10.240), ("dual_sourcing_l3_c10", 20.341)],
)  # fmt: skip
def test_the_kernel_is_the_system_of_the_programme(name: str, cost: float) -> None:
    """The programme's policy, played in the kernel, costs what the programme says."""
    from daogym.envs.logistics.optimal import Optimal

    simulator = make_network(name, 1024, changes={"horizon_days": 1_000_000})
    player = Optimal(simulator.scenario)
    player.reset(simulator)
    mean, error = average_cost(simulator, player.act, 1500)
    assert error < 2e-3 * cost
    assert abs(mean - cost) <= 3.0 * error + 5e-4
