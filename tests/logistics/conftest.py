"""What the tests of the supply network share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daogym.envs.core.simulator import Simulator
from daogym.envs.logistics.domain import LogisticsDomain
from daogym.envs.logistics.named import logistics_scenario


def make_network(
    spec: Any, num_envs: int = 1, *, action_mode: str | None = None, split: str = "train",
    changes: Any = None, **options: Any,
) -> Simulator:  # fmt: skip
    """A simulator of a scenario with some settings changed."""
    domain = LogisticsDomain(
        logistics_scenario(spec, changes), split=split, action_mode=action_mode
    )
    return Simulator(domain, num_envs, **options)


@pytest.fixture(scope="session")
def network() -> Any:
    """`make_network`."""
    return make_network


def average_cost(
    simulator: Simulator, act: Any, periods: int, warm_up: int = 100
) -> tuple[float, float]:
    """(mean, standard error over lanes) of the cost of a period in the long run."""
    simulator.reset(seed=11)
    total = np.zeros(simulator.num_envs)
    for period in range(warm_up + periods):
        simulator.step(act(simulator))
        if period >= warm_up:
            total -= simulator.rewards
    total /= periods
    return float(total.mean()), float(total.std(ddof=1) / np.sqrt(len(total)))


def levels(simulator: Simulator, factor: Any = 1.0) -> NDArray[np.float32]:
    """Actions of the mode "base_stock" whose levels are `factor` times those at action 0."""
    span = simulator.scenario.actions.multiplier_span
    row = np.broadcast_to((np.asarray(factor) - 1.0) / span, (simulator.action_size,))
    return np.tile(row.astype(np.float32), (simulator.num_envs, 1))
