"""The energy grid under a voted charter: rules change within an episode, as announced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao.rule_path import announced_rules, true_rules
from daogym.envs.energy.bound import upper_bound
from daogym.envs.energy.layout import GOVERNED, PAST_QUARTERS, QUARTERS_PER_DAY, W_IMPORT_PRICE
from daogym.envs.energy.mpc import RollingMpc
from daogym.envs.energy.rules import PriceThreshold, SelfConsumption, play

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
VOTED = "lv_rural_voted"
FEE = GOVERNED.index("import_fee_eur_per_kwh")


def voted(lanes: int, **options: Any) -> Any:
    """A simulator at its start."""
    simulator = daogym.make_simulator(VOTED, lanes, **options)
    simulator.reset(seed=5)
    return simulator


def random_actions(simulator: Any, step: int, seed: int = 0) -> Any:
    """Uniform over the action space."""
    draw = np.random.default_rng([seed, step])
    return draw.uniform(-1, 1, (simulator.num_envs, simulator.action_size)).astype(np.float32)


@pytest.fixture(scope="module")
def path() -> Any:
    """Rules of each step of the episodes of eight lanes, (8, 672, parameters)."""
    return true_rules(voted(8))


def test_rules_change_within_the_week(path: Any) -> None:
    changes = (np.diff(path, axis=1) != 0.0).sum(axis=(0, 1)) / len(path)
    by_name = dict(zip(GOVERNED, changes.tolist(), strict=True))
    assert by_name.pop("set_point_slew_share_per_hour") == 0.0
    assert all(0.3 < count < 3.0 for count in by_name.values()), by_name
    parameters = daogym.load_scenario(VOTED).governed_parameters
    assert (path >= [p.low for p in parameters]).all()
    assert (path <= [p.high for p in parameters]).all()
    # two cycles before the start have already moved some of them
    assert (path[:, 0] != daogym.make_simulator(VOTED, 1).domain.governed).any()


def test_actions_do_not_change_the_rules(path: Any) -> None:
    simulator = voted(8, autoreset="disabled")
    for step in range(simulator.horizon):
        assert np.array_equal(simulator.state("governed"), path[:, step])
        simulator.step(random_actions(simulator, step))


def test_a_lane_alone_meets_the_same_votes(path: Any) -> None:
    alone = daogym.make_simulator(VOTED, 1)
    alone.reset(seed=5 + 3)
    assert np.array_equal(true_rules(alone)[0], path[3])


def test_every_change_waits_in_the_timelock_first(path: Any) -> None:
    """What is announced is what comes, 48 steps ahead, and nothing comes unannounced."""
    simulator = voted(8, autoreset="disabled")
    for step in range(simulator.horizon - 48):
        announced = announced_rules(simulator, 48, reads_queue=True)
        assert np.array_equal(announced, path[:, step : step + 48]), step
        simulator.step(np.zeros((8, simulator.action_size), dtype=np.float32))


def test_a_queued_proposal_is_observed_as_it_will_act(path: Any) -> None:
    simulator = voted(8, autoreset="disabled")
    fields = simulator.observation_fields
    seen = 0
    for step in range(simulator.horizon):
        physical = fields.denormalise(simulator.observations)
        stage, value, hours, now = (
            physical[:, fields.slice(name)]
            for name in ("proposal_stage", "proposal_value", "proposal_hours", "governed")
        )
        np.testing.assert_allclose(now, path[:, step], atol=1e-6)
        for lane, p in np.argwhere(stage > 0.99).tolist():
            at = step + round(hours[lane, p] * 4.0)
            assert at > step
            if at < simulator.horizon:
                assert path[lane, at, p] == pytest.approx(value[lane, p], abs=1e-6)
                assert path[lane, at - 1, p] == pytest.approx(now[lane, p], abs=1e-6)
                seen += 1
        quiet = stage < 0.01
        np.testing.assert_allclose(value[quiet], now[quiet], atol=1e-6)
        simulator.step(random_actions(simulator, step))
    assert seen > 300


def test_imports_pay_the_fee_in_force(path: Any) -> None:
    simulator = voted(8, autoreset="disabled")
    domain = simulator.domain
    imported = simulator.event_names.index("import_kwh")
    for step in range(300):
        simulator.step(random_actions(simulator, step))
        column = PAST_QUARTERS + simulator.state("day") * QUARTERS_PER_DAY + step
        spot = domain.loaded.world[W_IMPORT_PRICE, column]
        spot = spot - domain.scenario.tariff.import_fee_eur_per_kwh
        wanted = -simulator.events[:, imported] * (spot + path[:, step, FEE])
        np.testing.assert_allclose(simulator.terms[:, 0], wanted, rtol=1e-9, atol=1e-9)


def test_a_snapshot_holds_the_whole_governor() -> None:
    simulator = voted(4)
    for step in range(100):
        simulator.step(random_actions(simulator, step))
    kept = simulator.snapshot()
    first = []
    for step in range(100, 400):
        simulator.step(random_actions(simulator, step))
        first.append(simulator.observations.copy())
    simulator.restore(kept)
    for step in range(100, 400):
        simulator.step(random_actions(simulator, step))
        assert np.array_equal(simulator.observations, first[step - 100])


def test_nobody_passes_the_bound() -> None:
    simulator = voted(4, split="test")
    bound = upper_bound(simulator)
    controllers = (
        SelfConsumption(), PriceThreshold([0.1, 0.85, 0.5, 0.5, 0.0]),
        RollingMpc("forecast", hold=4), RollingMpc("perfect", "fleet", hold=4),
    )  # fmt: skip
    for controller in controllers:
        simulator.reset(seed=5)
        assert (bound - play(controller, simulator) > 0.0).all(), controller.name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"episode_days": 1}, "at most a third of an episode's 96 steps"),
        ({"tariff": {"feed_in_share": 0.95}, "charter": {"parameters": {
            "import_fee_eur_per_kwh": 0.4}}}, "0.05 to 0.35 EUR/kWh"),
        # exports at half of the deepest price, -0.5 EUR/kWh, earn 0.25 more than imports cost
        ({"tariff": {"feed_in_share": 0.5, "import_fee_eur_per_kwh": 0.3}}, "0.25 to 0.35"),
    ],
)  # fmt: skip
def test_a_charter_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        daogym.make_simulator({"base": VOTED, **changes})
