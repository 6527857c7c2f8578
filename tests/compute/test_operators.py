"""What the action means: zero is the best rule, nonsense and exploits are far from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.layout import A_ADMISSION, A_STANDBY, MICRO, TIERS, TREASURY
from daogym.envs.compute.rules import play

pytestmark = pytest.mark.kernel
WEEKS = 48


def market(mode: str | None = None, lanes: int = WEEKS, **options: Any) -> Any:
    simulator = daogym.make_simulator("gpu_week", lanes, action_mode=mode, **options)
    simulator.reset(seed=600)
    return simulator


@pytest.fixture(scope="module")
def earned() -> dict[str, Any]:
    """USD of the same weeks under every controller that is quick, and under random actions."""
    domain = market(lanes=1).domain
    found = {}
    for name in domain.controller_names:
        if name != "lp_mpc":
            controller = domain.make_controller(name)
            found[name] = play(controller, market(controller.action_mode))
    simulator, generator = market(), np.random.default_rng(0)
    money = np.zeros(WEEKS)
    for _ in range(simulator.horizon):
        simulator.step(generator.uniform(-1.0, 1.0, (WEEKS, simulator.action_size)))
        money += simulator.rewards
    found["random"] = money
    return found


def test_random_actions_are_far_below_first_come_first_served(earned: dict[str, Any]) -> None:
    lost = earned["fifo"] - earned["random"]
    assert lost.mean() > 3.0 * lost.std() / np.sqrt(WEEKS)
    assert earned["random"].mean() < 0.85 * earned["fifo"].mean()


def test_degenerate_operators_are_far_below_the_zero_action(earned: dict[str, Any]) -> None:
    """Each loses at least a tenth of what the zero action earns beyond first come first served."""
    domain = market(lanes=1).domain
    zero = earned["congestion_pricing"]
    gain = (zero - earned["fifo"]).mean()
    assert domain.trivial_names
    for name in domain.trivial_names:
        lost = zero - earned[name]
        assert lost.mean() > 3.0 * lost.std() / np.sqrt(WEEKS), name
        assert lost.mean() > 0.1 * gain, name


def test_no_rule_is_above_the_zero_action(earned: dict[str, Any]) -> None:
    zero = earned["congestion_pricing"]
    for name in market(lanes=1).domain.rule_names:
        better = earned[name] - zero
        assert better.mean() <= 2.0 * better.std() / np.sqrt(WEEKS) + 1e-9, name


def test_no_rule_is_above_the_zero_action_of_inference() -> None:
    """There orders wait two minutes, so the queue's order ages: nearly first come, first served."""
    days = 64

    def inference(mode: str | None, lanes: int = days, **operator: float) -> Any:
        settings = {"base": "llm_inference", "operator": operator}
        simulator = daogym.make_simulator(settings, lanes, action_mode=mode)
        simulator.reset(seed=600)
        return simulator

    domain = inference(None, 1).domain
    zero = play(domain.make_controller("congestion_pricing"), inference(None))
    for name in ("best_fit", "fifo", "sjf_predicted", "drf", "tetris"):
        controller = domain.make_controller(name)
        lost = zero - play(controller, inference(controller.action_mode))
        assert lost.mean() > 3.0 * lost.std() / np.sqrt(days), name
    young = play(domain.make_controller("congestion_pricing"), inference(None, ageing_per_h=0.0))
    assert (zero - young).mean() > 50.0 * domain.horizon / 1440.0


def test_slashes_and_spreads_make_nobody_richer_in_the_score() -> None:
    """The highest spread fills the treasury; the reward does not see it."""
    plain, greedy = market(lanes=8), market(lanes=8)
    farming = greedy.domain.make_controller("slash_farming")
    for _ in range(200):
        plain.step(np.zeros((8, plain.action_size)))
        greedy.step(farming.act(greedy))
        assert greedy.rewards == pytest.approx(greedy.terms.sum(axis=1))
    treasury = [s.state("market_accounts")[:, TREASURY].mean() / MICRO for s in (plain, greedy)]
    assert treasury[1] > treasury[0]


def test_capacity_follows_standby_with_a_lag_and_costs_what_it_forgoes() -> None:
    simulator = market(lanes=4)
    actions = np.zeros((4, simulator.action_size))
    actions[:, A_ADMISSION : A_ADMISSION + TIERS] = 1.0
    actions[:, A_STANDBY : A_STANDBY + TIERS] = 1.0
    providers = simulator.domain.providers
    installed = np.array([providers[providers[:, 0] == t, 5].sum() for t in range(TIERS)])
    before = simulator.state("contracted").copy()
    for _ in range(4):
        simulator.step(actions)
    hour = simulator.state("contracted").copy()
    rising = before < 0.6 * installed
    # After the time constant of an hour, 63 % of the way to at least 85 % of the class.
    assert np.all(hour[rising] > (before + 0.55 * (0.85 * installed - before))[rising])
    offered = simulator.state("capacity_gpus").copy()
    simulator.step(actions)
    used = simulator.state("used_gpus")
    capital = providers[:, 7]
    share = simulator.scenario.supply.outside_share
    expected = -share * 0.25 * (np.maximum(offered, used) * capital).sum(axis=1)
    assert simulator.terms[:, simulator.term_names.index("capacity")] == pytest.approx(expected)


def test_a_picture_shows_the_week() -> None:
    simulator = market(lanes=2)
    for _ in range(50):
        simulator.step(np.zeros((2, simulator.action_size)))
    one, other = (simulator.domain.render(simulator, lane) for lane in range(2))
    assert one.dtype == np.uint8 and one.ndim == 3 and one.shape[2] == 3
    assert one.shape == other.shape and (one != other).any()
    assert len(np.unique(one.reshape(-1, 3), axis=0)) > 10


def test_the_market_is_loaded_and_the_best_rule_leaves_a_gap_to_the_bound() -> None:
    weeks = market(lanes=256)
    for _ in range(weeks.horizon):
        weeks.step(np.zeros((256, weeks.action_size)))
    sums = weeks.episode_events.sum(axis=0)
    arrived, working = (
        sums[weeks.event_names.index(name)] for name in ("arrived_gpu_h", "capacity_gpu_h")
    )
    assert arrived / working >= 0.85
    few = market(lanes=4)
    bound = few.domain.upper_bound(few)
    money = play(few.domain.make_controller("congestion_pricing"), few)
    assert (bound - money).sum() >= 0.15 * abs(money.sum())
