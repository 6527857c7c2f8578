"""The compute market under a charter that is voted on: rules change within a week, as announced."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.bound import least_in_window, take_rates, upper_bound
from daogym.envs.compute.layout import (
    GOVERNED,
    J_ARRIVAL,
    J_ASK,
    J_DEPOSIT,
    J_PRICE,
    J_PROVIDER,
)
from daogym.envs.compute.mpc import LinearMpc
from daogym.envs.compute.rules import CongestionPricing, play
from daogym.envs.compute.scenario import GOVERNED_PARAMETERS
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao.charter import load_charter
from daogym.envs.dao.governance_money import ACCOUNT_ESCROW, ACCOUNT_OPERATOR, ACCOUNT_TREASURY
from daogym.envs.dao.operator_proposals import ANSWERS, O_ANSWERS
from daogym.envs.dao.rule_path import announced_rules, true_rules

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
VOTED, AGENTIC = "gpu_week_voted", "gpu_week_agentic"
TAKE = GOVERNED.index("take_rate_share")
LANES = 8
TIMELOCK = load_charter("voted").governor.timelock_steps


def voted(lanes: int = LANES, scenario: Any = VOTED, **options: Any) -> Any:
    """A simulator at its start."""
    simulator = daogym.make_simulator(scenario, lanes, **options)
    simulator.reset(seed=5)
    return simulator


def random_actions(simulator: Any, step: int) -> Any:
    """Uniform over the action space."""
    draw = np.random.default_rng([7, step])
    return draw.uniform(-1, 1, (simulator.num_envs, simulator.action_size)).astype(np.float32)


@pytest.fixture(scope="module")
def path() -> Any:
    """Rules of each step of the episodes of eight lanes, (8, 672, parameters)."""
    return true_rules(voted())


def test_rules_change_within_the_week_inside_bounds_and_slew(path: Any) -> None:
    changes = (np.diff(path, axis=1) != 0.0).sum(axis=(0, 1)) / LANES
    assert (changes > 0.2).all() and (changes < 4.0).all(), dict(zip(GOVERNED, changes.tolist(),
                                                                    strict=True))  # fmt: skip
    for g, parameter in enumerate(GOVERNED_PARAMETERS):
        values = path[:, :, g]
        assert values.min() >= parameter.low and values.max() <= parameter.high
        slack = 1e-9 * (parameter.high - parameter.low)
        assert np.abs(np.diff(values, axis=1)).max() <= parameter.largest_change + slack
        least = round(parameter.least_interval_days * 96)
        for lane in range(LANES):
            between = np.diff(np.flatnonzero(np.diff(values[lane])))
            assert (between >= least).all(), (parameter.name, lane)


def test_actions_do_not_change_the_rules_and_a_lane_alone_meets_them(path: Any) -> None:
    simulator = voted(autoreset="disabled")
    for step in range(simulator.horizon):
        assert np.array_equal(simulator.state("governed"), path[:, step])
        simulator.step(random_actions(simulator, step))
    alone = daogym.make_simulator(VOTED, 1)
    alone.reset(seed=5 + 3)
    assert np.array_equal(true_rules(alone)[0], path[3])


def test_a_batch_of_one_is_a_lane_of_many() -> None:
    many, one = voted(), daogym.make_simulator(VOTED, 1)
    one.reset(seed=5 + 2)
    for step in range(many.horizon + 20):
        actions = random_actions(many, step)
        many.step(actions)
        one.step(actions[2:3])
        assert np.array_equal(many.observations[2], one.observations[0]), step
        assert many.rewards[2] == one.rewards[0] and (many.events[2] == one.events[0]).all()
    assert np.array_equal(many.episode_events[2], one.episode_events[0])


def test_every_change_waits_in_the_timelock_first(path: Any) -> None:
    """What is announced is what comes, as far ahead as the timelock, and nothing else comes."""
    simulator = voted(autoreset="disabled")
    for step in range(simulator.horizon - TIMELOCK):
        announced = announced_rules(simulator, TIMELOCK, reads_queue=True)
        assert np.array_equal(announced, path[:, step : step + TIMELOCK]), step
        simulator.step(np.zeros((LANES, simulator.action_size), dtype=np.float32))


def test_a_queued_proposal_is_observed_as_it_will_act(path: Any) -> None:
    simulator = voted(autoreset="disabled")
    fields = simulator.observation_fields
    seen = 0
    for step in range(simulator.horizon):
        physical = fields.denormalise(simulator.observations)
        stage, value, hours, now = (
            physical[:, fields.slice(name)]
            for name in ("proposal_stage", "proposal_value", "proposal_hours", "governed")
        )
        np.testing.assert_allclose(now, path[:, step], rtol=1e-5, atol=1e-6)
        for lane, p in np.argwhere(stage > 0.99).tolist():
            at = step + round(hours[lane, p] * 4.0)
            assert at > step
            if at < simulator.horizon:
                assert path[lane, at, p] == pytest.approx(value[lane, p], rel=1e-5, abs=1e-6)
                assert path[lane, at - 1, p] == pytest.approx(now[lane, p], rel=1e-5, abs=1e-6)
                seen += 1
        simulator.step(random_actions(simulator, step))
    assert seen > 300


def test_leases_pay_the_take_rate_in_force(path: Any) -> None:
    """Zero spread: what a lease that began in this step pays is its ask and the DAO's cut."""
    simulator = voted(autoreset="disabled")
    actions = np.zeros((LANES, simulator.action_size), dtype=np.float32)
    actions[:, simulator.action_fields.slice("spread")] = -1.0
    # What was there at the start began under the zero action.
    simulator.step(actions)
    begun = 0
    for step in range(1, 300):
        simulator.step(actions)
        table, count = simulator.state("jobs"), simulator.state("n_jobs")
        for lane in range(LANES):
            rows = table[lane, : count[lane]]
            new = (rows[:, J_PROVIDER] >= 0.0) & (rows[:, J_ARRIVAL] == step)
            mark_up = rows[new, J_PRICE] / rows[new, J_ASK] - 1.0
            # On top of the cut there is only what a crowded class adds.
            assert (mark_up >= path[lane, step, TAKE] - 1e-12).all()
            most = path[lane, step, TAKE] + simulator.domain.scenario.operator.spread_rise
            assert (mark_up <= most + 1e-12).all()
            exact = np.abs(mark_up - path[lane, step, TAKE]) < 1e-9
            begun += int(exact.sum())
            assert (rows[new, J_DEPOSIT] > 0.0).all()
    assert begun > 100


def test_money_is_conserved(path: Any) -> None:
    simulator = voted(autoreset="disabled")
    opening = simulator.state("accounts").sum(axis=1)
    assert (opening == 100 * simulator.scenario.dao_treasury_usd).all()
    for step in range(simulator.horizon):
        simulator.step(random_actions(simulator, step))
        accounts, totals = simulator.state("market_accounts"), simulator.state("totals")
        assert np.array_equal(accounts.sum(axis=1), totals[:, 0, 0] - totals[:, 0, 1]), step
        assert (accounts >= 0).all()
        assert np.array_equal(simulator.state("accounts").sum(axis=1), opening)
        assert not simulator.terms[:, simulator.term_names.index("bond")].any()
        total = simulator.terms.sum(axis=1)
        np.testing.assert_allclose(simulator.rewards, total, rtol=1e-12, atol=1e-9)


def test_the_least_take_rate_of_a_window() -> None:
    values = np.array([0.05, 0.02, 0.09, 0.01, 0.2])
    first, end = np.array([0, 1, 2, 4, 0]), np.array([1, 3, 5, 5, 5])
    wanted = [values[a:b].min() for a, b in zip(first, end, strict=True)]
    assert least_in_window(values, first, end).tolist() == wanted


def test_nobody_passes_the_bound() -> None:
    simulator = voted(2, split="test")
    rates = take_rates(simulator)
    assert np.array_equal(rates, true_rules(simulator)[:, :, TAKE]) and len(np.unique(rates)) > 1
    bound = upper_bound(simulator)
    for controller in (CongestionPricing(), LinearMpc(), LinearMpc(reads_queue=False)):
        simulator.reset(seed=5)
        assert (bound - play(controller, simulator) > 0.0).all(), controller.name


def test_the_planner_reads_the_queue() -> None:
    """Plans with and without the queue differ only in lanes where a change is queued."""
    simulator = voted()
    for _ in range(200):
        simulator.step(np.zeros((LANES, simulator.action_size), dtype=np.float32))
    reads, blind = LinearMpc(), LinearMpc(reads_queue=False)
    reads.reset(simulator)
    blind.reset(simulator)
    known = reads._rules(simulator), blind._rules(simulator)
    fields = simulator.observation_fields
    stage = fields.denormalise(simulator.observations)[:, fields.slice("proposal_stage")]
    assert np.array_equal((known[0] != known[1]).any(axis=(1, 2)), (stage > 0.99).any(axis=1))
    assert (known[0] != known[1]).any()


def agentic_week(request: Any, seed: int = 11) -> tuple[Any, Any]:
    """(money (N,), simulator at its end) of the zero action with these requests."""
    simulator = daogym.make_simulator(AGENTIC, LANES, autoreset="disabled")
    simulator.reset(seed=seed)
    money, lost = np.zeros(LANES), np.zeros(LANES, dtype=np.int64)
    opening = simulator.state("accounts").sum(axis=1)
    treasury = simulator.state("accounts")[:, ACCOUNT_TREASURY].copy()
    bond = simulator.term_names.index("bond")
    for step in range(simulator.horizon):
        actions = np.zeros((LANES, simulator.action_size), np.float32)
        actions[:, -3:] = request(step)
        simulator.step(actions)
        money += simulator.rewards
        lost += np.rint(-100.0 * simulator.terms[:, bond]).astype(np.int64)
        accounts = simulator.state("accounts")
        assert np.array_equal(accounts.sum(axis=1), opening) and (accounts >= 0).all(), step
        assert np.array_equal(accounts[:, ACCOUNT_TREASURY] - treasury, lost), step
    assert not simulator.state("accounts")[:, ACCOUNT_ESCROW].any()
    return money, simulator


def test_who_proposes_pays_bonds_and_stays_below_the_bound() -> None:
    simulator = daogym.make_simulator(AGENTIC, LANES, autoreset="disabled")
    assert simulator.action_size == 20
    simulator.reset(seed=11)
    assert not take_rates(simulator).any()
    bound = upper_bound(simulator)
    never, quiet = agentic_week(lambda step: (0.0, 0.0, -1.0))
    funds = simulator.scenario.charter.roles.operator.funds_cents
    assert (quiet.state("accounts")[:, ACCOUNT_OPERATOR] == funds).all()
    assert not quiet.state("operator")[:, O_ANSWERS:].any()
    # A higher cap is what pays most, but members vote most of them down, and bonds are lost.
    cap = 2.0 * (GOVERNED.index("provider_cap_share") + 0.5) / len(GOVERNED) - 1.0
    asked, busy = agentic_week(lambda step: (cap, 1.0, 1.0))
    assert asked.mean() < never.mean()
    answers = dict(zip(ANSWERS, busy.state("operator")[:, O_ANSWERS:].sum(axis=0).tolist(),
                       strict=True))  # fmt: skip
    assert answers["proposed"] > LANES
    names = busy.event_names
    ended = sum(busy.episode_events[:, names.index(n)].sum()
                for n in ("operator_won", "operator_lost"))  # fmt: skip
    assert ended == answers["proposed"]
    assert (bound >= never).all() and (bound >= asked).all()


@pytest.mark.parametrize("name", ["contested", "beanstalk", "oracle_attack", "apathy"])
def test_a_week_under_a_named_charter(name: str) -> None:
    simulator = voted(2, {"base": VOTED, "charter": name}, autoreset="disabled")
    assert simulator.scenario.charter.name == name
    bound = upper_bound(simulator)
    money = np.zeros(2)
    for _ in range(simulator.horizon):
        simulator.step(np.zeros((2, simulator.action_size), np.float32))
        money += simulator.rewards
        assert (np.abs(simulator.observations) <= 1.0).all()
    assert (bound >= money).all()
    events = dict(zip(simulator.event_names, simulator.episode_events.mean(axis=0), strict=True))
    assert events["nakamoto"] >= 1.0 and 0.0 < events["turnout"] < 1.0
    if name in ("beanstalk", "oracle_attack"):
        assert events["captured_parameter_steps"] > 0 and events["treasury_loss_cents"] > 0


def test_a_charter_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="at most a third of an episode's 96 steps"):
        daogym.make_simulator({"base": VOTED, "episode_days": 1})
    with pytest.raises(ConfigError, match="take_rate_share"):
        daogym.make_simulator({"base": VOTED, "charter": {"parameters": {"take_rate_share": 0.5}}})
