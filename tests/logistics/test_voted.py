"""The supply network under a charter that is voted on: rules move as announced, money adds up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao.capture_report import CAPTURE_NAMES
from daogym.envs.dao.governance_columns import VALUE_SCALE
from daogym.envs.dao.rule_path import announced_rules, true_rules
from daogym.envs.logistics.bound import upper_bound
from daogym.envs.logistics.governed import (
    G_PURCHASE_ALLOWANCE_USD_PER_WEEK,
    GOVERNED,
    GOVERNED_PARAMETERS,
)

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
VOTED = "supply_network_voted"
LANES = 8
TIMELOCK = 7


def voted(lanes: int = LANES, scenario: Any = VOTED, **options: Any) -> Any:
    """A simulator at its start."""
    simulator = daogym.make_simulator(scenario, lanes, **{"autoreset": "disabled", **options})
    simulator.reset(seed=5)
    return simulator


def random_actions(simulator: Any, step: int, seed: int = 0) -> Any:
    """Uniform over the action space."""
    draw = np.random.default_rng([seed, step])
    return draw.uniform(-1, 1, (simulator.num_envs, simulator.action_size)).astype(np.float32)


@pytest.fixture(scope="module")
def path() -> Any:
    """Rules of each day of the episodes of eight lanes, (8, 365, 8)."""
    return true_rules(voted())


def test_rules_change_within_bounds_and_slew(path: Any) -> None:
    parameters = daogym.load_scenario(VOTED).governed_parameters
    for p, parameter in enumerate(parameters):
        values = path[:, :, p]
        assert (values >= parameter.low - 1e-9).all() and (values <= parameter.high + 1e-9).all()
        moves = np.diff(values, axis=1)
        # Values are whole multiples of a billionth of the range.
        resolution = (parameter.high - parameter.low) / VALUE_SCALE
        assert np.abs(moves).max() <= parameter.largest_change + resolution, parameter.name
        assert 2.0 < (moves != 0.0).sum() / LANES < 9.0, parameter.name
        for lane in range(LANES):
            rests = np.diff(np.flatnonzero(moves[lane]))
            assert (rests >= parameter.least_interval_days).all(), parameter.name
    # two cycles before the start have already moved some of them
    assert (path[:, 0] != daogym.make_simulator(VOTED, 1).domain.governed).any()


def test_actions_do_not_change_the_rules(path: Any) -> None:
    simulator = voted()
    for step in range(simulator.horizon):
        assert np.array_equal(simulator.state("governed"), path[:, step])
        simulator.step(random_actions(simulator, step))


def test_a_lane_alone_meets_the_same_votes(path: Any) -> None:
    alone = daogym.make_simulator(VOTED, 1)
    alone.reset(seed=5 + 3)
    assert np.array_equal(true_rules(alone)[0], path[3])


def test_every_change_waits_in_the_timelock_first(path: Any) -> None:
    """What is announced is what comes, a week ahead, and nothing comes unannounced."""
    simulator = voted()
    for step in range(simulator.horizon - TIMELOCK):
        announced = announced_rules(simulator, TIMELOCK, reads_queue=True)
        assert np.array_equal(announced, path[:, step : step + TIMELOCK]), step
        simulator.step(np.zeros((LANES, simulator.action_size), dtype=np.float32))


def test_a_queued_proposal_is_observed_as_it_will_act(path: Any) -> None:
    simulator = voted()
    fields = simulator.observation_fields
    seen, margins = 0, 0
    for step in range(simulator.horizon):
        physical = fields.denormalise(simulator.observations)
        stage, value, hours, margin, now = (
            physical[:, fields.slice(name)]
            for name in ("proposal_stage", "proposal_value", "proposal_hours", "proposal_margin",
                         "governed")
        )  # fmt: skip
        reach = fields.high[fields.slice("governed")] - fields.low[fields.slice("governed")]
        assert (np.abs(now - path[:, step]) <= 1e-6 * reach).all()
        for lane, p in np.argwhere(stage > 0.99).tolist():
            at = step + round(hours[lane, p] / 24.0)
            assert at > step
            if at < simulator.horizon:
                assert path[lane, at, p] == pytest.approx(value[lane, p], abs=1e-6 * reach[p])
                assert path[lane, at - 1, p] == pytest.approx(now[lane, p], abs=1e-6 * reach[p])
                seen += 1
        margins += int((margin != 0.0).sum())
        simulator.step(random_actions(simulator, step))
    assert seen > 300 and margins > 100


def test_the_gate_holds_the_values_in_force(path: Any) -> None:
    """A week's purchases stay within the allowance of its first morning, whatever is asked for."""
    simulator = voted(action_mode="orders")
    purchase = simulator.term_names.index("purchase")
    week, hit = np.zeros(LANES), 0
    for step in range(simulator.horizon):
        allowance = path[:, step - step % 7, G_PURCHASE_ALLOWANCE_USD_PER_WEEK]
        week = np.where(step % 7 == 0, 0.0, week)
        simulator.step(random_actions(simulator, step))
        week = week - simulator.terms[:, purchase]
        assert (week <= allowance + 1e-6).all(), step
        hit += int((week >= allowance - 1e-6).sum())
    assert hit > 100


def test_a_cut_takes_what_is_left_at_once(path: Any) -> None:
    simulator = voted()
    cuts = 0
    for step in range(simulator.horizon - 1):
        simulator.step(np.full((LANES, simulator.action_size), -1.0, np.float32))
        left, weekly = simulator.state("allowance_usd"), path[:, step + 1, 6]
        assert (left <= weekly + 1e-9).all()
        cuts += int((path[:, step + 1, 6] < path[:, step, 6]).sum())
    assert cuts > LANES


def test_money_is_conserved_whatever_is_voted() -> None:
    """Treasury, escrow, carriers and stakes change by the reward without its stock term alone."""
    simulator = voted()

    def purses() -> Any:
        names = ("escrow_usd", "carrier_usd", "stake_usd")
        return simulator.state("treasury_usd") + sum(
            simulator.state(name).sum(axis=1) for name in names
        )

    stock = simulator.term_names.index("stock")
    opening = simulator.state("accounts").sum(axis=1)
    before = purses().copy()
    for step in range(simulator.horizon):
        simulator.step(random_actions(simulator, step))
        after = purses().copy()
        moved = simulator.rewards - simulator.terms[:, stock]
        assert np.allclose(after - before, moved, atol=1e-6), step
        assert np.array_equal(simulator.state("accounts").sum(axis=1), opening)
        before = after


def test_the_capture_metrics_come_with_the_end() -> None:
    simulator = voted(autoreset="same_step")
    first = simulator.event_names.index(CAPTURE_NAMES[0])
    assert simulator.event_names[first:] == CAPTURE_NAMES
    for step in range(simulator.horizon + 3):
        simulator.step(np.zeros((LANES, simulator.action_size), dtype=np.float32))
        assert simulator.events[:, first:].any() == (step == simulator.horizon - 1)
        if simulator.terminated.all():
            assert np.array_equal(simulator.events[:, first:], simulator.episode_events[:, first:])
            numbers = dict(zip(CAPTURE_NAMES, simulator.episode_events[:, first:].T, strict=True))
            assert (numbers["nakamoto"] >= 1.0).all() and (numbers["turnout"] > 0.0).all()
            assert (numbers["parameter_changes"] > 10).all()


def played(scenario: Any, name: str, lanes: int) -> tuple[Any, Any]:
    """(bound, money) of the test split's episodes under a controller."""
    simulator = voted(lanes, scenario, split="test")
    controller = simulator.domain.make_controller(name)
    twin = voted(lanes, scenario, split="test", action_mode=controller.action_mode)
    controller.reset(twin)
    money = np.zeros(lanes)
    for _ in range(twin.horizon):
        twin.step(controller.act(twin))
        money += twin.rewards
    return upper_bound(simulator), money


def test_nobody_passes_the_bound() -> None:
    for name in ("base_stock", "anticipating", "min_max", "capped_base_stock"):
        bound, money = played(VOTED, name, LANES)
        assert (bound > money).all(), name


def test_reading_the_queue_is_worth_it() -> None:
    """Buying before a cut that was voted earns more than buying once it acts, in the same years."""
    money = {}
    for name in ("buying_on_cuts", "buying_ahead"):
        bound, money[name] = played(VOTED, name, 24)
        assert (bound > money[name]).all(), name
    gain = money["buying_ahead"] - money["buying_on_cuts"]
    assert gain.mean() > 3.0 * gain.std(ddof=1) / np.sqrt(len(gain))
    share = gain.sum() / (bound - money["buying_on_cuts"]).sum()
    assert share > 0.03


def test_the_planner_does_not_pass_the_bound_either() -> None:
    bound, money = played({"base": VOTED, "horizon_days": 42}, "rolling_plan", 2)
    assert (bound > money).all()


def test_the_bound_knows_the_allowance(path: Any) -> None:
    """Never above the bound of the same worlds without rules; the lower, the less may be bought."""
    simulator, free = voted(), voted(scenario="supply_network")
    bound, without = upper_bound(simulator), upper_bound(free)
    assert (bound <= without + 1e-6).all() and (bound < 0.9 * without).any()
    scarcity = path[:, :, G_PURCHASE_ALLOWANCE_USD_PER_WEEK].mean(axis=1)
    assert np.corrcoef(scarcity, bound / without)[0, 1] > 0.7


@pytest.mark.parametrize("name", ["contested", "beanstalk", "oracle_attack", "apathy"])
def test_a_year_under_a_named_charter(name: str) -> None:
    simulator = voted(4, {"base": VOTED, "charter": name}, split="test")
    charter = simulator.scenario.charter
    assert charter.name == name and charter.governor.timelock_steps == TIMELOCK
    bound = upper_bound(simulator)
    money = np.zeros(4)
    for _ in range(simulator.horizon):
        simulator.step(np.zeros((4, simulator.action_size), np.float32))
        money += simulator.rewards
        assert (np.abs(simulator.observations) <= 1.0).all()
    assert (bound >= money).all()
    events = dict(zip(simulator.event_names, simulator.episode_events.mean(axis=0), strict=True))
    assert events["nakamoto"] >= 1.0 and 0.0 < events["turnout"] < 1.0
    if name in ("beanstalk", "oracle_attack"):
        assert events["captured_parameter_steps"] > 0 and events["treasury_loss_cents"] > 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon_days": 30}, "at most a third of an episode's 30 steps"),
        ({"charter": {"parameters": {"stake_cover_share": 2.5}}}, "0.0 to 2.25"),
        ({"voted_ranges": {"safety_stock_days": {"low": 0, "high": 9, "largest_change": 1}}},
         "within 0 to 6 day expected, got 0 and 9"),
        ({"voted_ranges": {"safety": {"low": 0, "high": 9, "largest_change": 1}}},
         "voted_ranges.safety: one of freight_tariff_share"),
        ({"voted_ranges": {"safety_stock_days": {"low": 0, "high": 3, "largest_change": 4}}},
         "largest_change up to 3 expected, got 4"),
        ({"charter": {"rules": [{"kind": "quota", "target": "x"}]}}, "rules"),
    ],
)  # fmt: skip
def test_a_charter_that_cannot_be_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        daogym.make_simulator({"base": VOTED, **changes})


def test_a_range_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"voted_ranges.carbon_cap_kg_per_day: needed"):
        daogym.make_simulator({"base": "supply_network", "charter": {"mode": "voted"}})


def test_ranges_wait_under_a_static_charter() -> None:
    scenario = daogym.load_scenario({"base": VOTED, "charter": {"mode": "static"}})
    assert scenario.governed_parameters == GOVERNED_PARAMETERS
    assert tuple(p.name for p in daogym.load_scenario(VOTED).governed_parameters) == GOVERNED
