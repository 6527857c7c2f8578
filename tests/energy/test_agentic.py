"""An operator that proposes: bonds to the cent, greed that does not pay, and a bound above all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.dao.governance_money import ACCOUNT_ESCROW, ACCOUNT_OPERATOR, ACCOUNT_TREASURY
from daogym.envs.dao.operator_proposals import ANSWERS, O_ANSWERS
from daogym.envs.energy.bound import upper_bound
from daogym.envs.energy.layout import GOVERNED

pytestmark = [pytest.mark.kernel, pytest.mark.slow]
LANES = 16
FEE = GOVERNED.index("import_fee_eur_per_kwh")
# The ramp is never voted on, so the choice counts seven parameters.
CHOICES = [name for name in GOVERNED if not name.startswith("set_point")]


def choice(name: str) -> float:
    """The normalised action that chooses a parameter."""
    return 2.0 * (CHOICES.index(name) + 0.5) / len(CHOICES) - 1.0


def week(request: Any, seed: int = 11) -> tuple[Any, Any]:
    """(money (N,), simulator at its end) of self-consumption with these requests."""
    simulator = daogym.make_simulator("lv_rural_agentic", LANES, autoreset="disabled")
    simulator.reset(seed=seed)
    money = np.zeros(LANES)
    opening = simulator.state("accounts").sum(axis=1)
    lost = np.zeros(LANES, dtype=np.int64)
    treasury = simulator.state("accounts")[:, ACCOUNT_TREASURY].copy()
    bond = simulator.term_names.index("bond")
    for step in range(simulator.horizon):
        actions = np.zeros((LANES, simulator.action_size), np.float32)
        actions[:, -3:] = request(step)
        simulator.step(actions)
        money += simulator.rewards
        lost += np.rint(-100.0 * simulator.terms[:, bond]).astype(np.int64)
        accounts = simulator.state("accounts")
        assert np.array_equal(accounts.sum(axis=1), opening), step
        assert (accounts >= 0).all(), step
        assert np.array_equal(accounts[:, ACCOUNT_TREASURY] - treasury, lost), step
    assert not simulator.state("accounts")[:, ACCOUNT_ESCROW].any()
    return money, simulator


@pytest.fixture(scope="module")
def never() -> Any:
    return week(lambda step: (0.0, 0.0, -1.0))


def test_who_never_proposes_keeps_the_funds(never: Any) -> None:
    _, simulator = never
    funds = simulator.scenario.charter.roles.operator.funds_cents
    assert (simulator.state("accounts")[:, ACCOUNT_OPERATOR] == funds).all()
    assert not simulator.state("operator")[:, O_ANSWERS:].any()


def test_always_the_laxest_value_earns_less_than_never(never: Any) -> None:
    """With the bonds that are lost in J; lower fees help, but members vote them down."""
    fee = choice("import_fee_eur_per_kwh")
    greedy, simulator = week(lambda step: (fee, -1.0, 1.0))
    assert greedy.mean() < never[0].mean() - 20.0
    answers = dict(zip(ANSWERS, simulator.state("operator")[:, O_ANSWERS:].sum(axis=0).tolist(),
                       strict=True))  # fmt: skip
    assert answers["proposed"] > LANES and answers["resting"] > 0 and answers["too_late"] > 0
    names = simulator.event_names
    ended = sum(simulator.episode_events[:, names.index(n)].sum()
                for n in ("operator_won", "operator_lost"))  # fmt: skip
    assert ended == answers["proposed"]
    each, _ = week(lambda step: (2.0 * (step % 7 + 0.5) / 7 - 1.0, -1.0, 1.0))
    assert each.mean() < never[0].mean()


def test_an_accepted_proposal_changes_the_rule_and_frees_the_bond(never: Any) -> None:
    """Some fee cuts pass: the path of the fee differs from that of the silent week."""
    fee = choice("import_fee_eur_per_kwh")
    _, simulator = week(lambda step: (fee, -0.3, 1.0))
    won = simulator.episode_events[:, simulator.event_names.index("operator_won")]
    changed = simulator.state("governed")[:, FEE] != never[1].state("governed")[:, FEE]
    assert won.any() and changed.any()


def test_the_bound_is_above_every_request(never: Any) -> None:
    simulator = daogym.make_simulator("lv_rural_agentic", LANES, autoreset="disabled")
    simulator.reset(seed=11)
    bound = upper_bound(simulator)
    draw = np.random.default_rng(3)
    for money in (
        never[0],
        week(lambda step: (choice("flexibility_budget_cycles_per_day"), 1.0, 1.0))[0],
        week(lambda step: draw.uniform(-1, 1, (LANES, 3)))[0],
    ):
        assert (bound >= money).all()


@pytest.mark.parametrize("name", ["contested", "beanstalk", "oracle_attack", "apathy"])
def test_a_week_under_a_named_charter(name: str) -> None:
    simulator = daogym.make_simulator(
        {"base": "lv_rural_voted", "charter": name}, 4, autoreset="disabled"
    )
    simulator.reset(seed=2)
    assert simulator.scenario.charter.name == name
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
