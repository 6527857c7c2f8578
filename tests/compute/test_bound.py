"""The bound is above everybody, and tight where the answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.bound import upper_bound
from daogym.envs.compute.foresight import true_world
from daogym.envs.compute.layout import J_ARRIVAL, J_BID, J_GPUS, J_WORK

pytestmark = pytest.mark.kernel
N = 6


def play(settings: Any, name: str | None, seed: int, lanes: int = N) -> Any:
    domain = daogym.make_simulator(settings, 1).domain
    controller = None if name is None else domain.make_controller(name)  # type: ignore[attr-defined]
    mode = None if controller is None else controller.action_mode
    simulator = daogym.make_simulator(settings, lanes, action_mode=mode)
    simulator.reset(seed=seed)
    money = np.zeros(lanes)
    if controller is not None:
        controller.reset(simulator)
    generator = np.random.default_rng(seed)
    for _ in range(simulator.horizon):
        if controller is None:
            actions = generator.uniform(-1.0, 1.0, (lanes, simulator.action_size))
        else:
            actions = controller.act(simulator)
        simulator.step(actions)
        money += simulator.rewards
    return money


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings", ["gpu_week", "gpu_week+surge", "gpu_week+unreliable", "gpu_week+falling_token"]
)
def test_no_controller_passes_the_bound(settings: str) -> None:
    simulator = daogym.make_simulator(settings, N)
    simulator.reset(seed=40)
    bound = upper_bound(simulator)
    names = [*simulator.domain.controller_names, None]  # type: ignore[attr-defined]
    for name in names:
        money = play(settings, name, 40)
        assert np.all(money <= bound + 1e-6 * np.abs(bound)), name


def test_the_bound_is_what_is_earned_where_nothing_is_scarce() -> None:
    """Few orders, no failures, free electricity and GPUs, everyone can afford everything."""
    settings = {
        "base": "gpu_week",
        "episode_days": 3,
        "orders": {"arrivals_per_h_per_gpu": 0.002, "band_log_bid": [4.0] * 4, "bid_sigma": 0.1},
        "supply": {"outages": False, "outside_share": 0.0},
        "electricity": {"price_usd_per_kwh": [0.0] * 4},
    }
    simulator = daogym.make_simulator(settings, 4)
    simulator.reset(seed=2)
    bound = upper_bound(simulator)
    money = play(settings, "best_fit", 2, 4)
    assert np.all(money <= bound + 1e-6)
    # Orders wait for nothing here, but work that the end cuts short may be done no sooner.
    assert money == pytest.approx(bound, rel=0.02)


def test_foresight_sees_the_orders_that_come() -> None:
    simulator = daogym.make_simulator("gpu_week", 3)
    simulator.reset(seed=8)
    worlds = [true_world(simulator, lane) for lane in range(3)]
    arrived = simulator.event_names.index("arrived_jobs")
    hours = simulator.event_names.index("arrived_gpu_h")
    for step in range(200):
        up = simulator.state("up_share").copy()
        price = simulator.state("region_price").copy()
        generator = np.random.default_rng(step)
        simulator.step(generator.uniform(-1.0, 1.0, (3, simulator.action_size)))
        for lane, world in enumerate(worlds):
            orders = world.orders[world.present :]
            now = orders[orders[:, J_ARRIVAL] == step]
            assert len(now) == simulator.events[lane, arrived]
            expected = (now[:, J_GPUS] * now[:, J_WORK]).sum() * 0.25
            assert simulator.events[lane, hours] == pytest.approx(expected, rel=1e-9)
            assert np.all(now[:, J_BID] > 0.0)
            gpus = simulator.domain.providers[:, 5]  # type: ignore[attr-defined]
            assert np.array_equal(world.working_gpus[step], up[lane] * gpus)
            assert np.array_equal(world.price[step], price[lane])


def test_only_whole_episodes_have_a_bound() -> None:
    simulator = daogym.make_simulator("gpu_week", 2)
    simulator.reset(seed=0)
    simulator.step(np.zeros((2, simulator.action_size)))
    with pytest.raises(ValueError, match="step 1"):
        upper_bound(simulator)
