"""What must hold in every domain whose DAO an adversary attacks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.core.shared_control import SharedControl, only
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao import adversary_layout as at
from daogym.envs.dao.adversary_acts import SLICE
from daogym.envs.dao.adversary_means import ATTACK_NAMES, PREFIX
from daogym.envs.dao.adversary_scripts import Story
from daogym.envs.dao.capture import load_case, run_case
from daogym.envs.dao.capture_lane import (
    ALLY,
    ATTACKER,
    CASH_ATTACKER,
    CASH_POOL,
    CASH_TREASURY,
    POOL,
)
from daogym.envs.dao.capture_market import Pool
from daogym.envs.dao.capture_report import CAPTURE_NAMES
from daogym.envs.dao.charter_stress import attack_paths
from daogym.envs.dao.governance_columns import A_CAPTURED
from daogym.envs.dao.governor_layout import G_STATIC_SUPPLY
from daogym.envs.dao.rule_path import announced_rules
from daogym.envs.dao.votes import V_BALANCE

pytestmark = pytest.mark.kernel
LANES = 4
# Of each scenario: the action mode of its agents, and a parameter whose changes a guardian refuses.
SCENARIOS = {
    "lv_rural_attack": ("device", {"export_limit_share": [0.2, 1.0]}),
    "gpu_week_attack": ("provider", {"take_rate_share": [0.0, 0.15]}),
    "supply_network_attack": ("node", {"freight_tariff_share": [0.0, 0.15]}),
}


@pytest.fixture(params=SCENARIOS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def start(scenario: Any, lanes: int = LANES, seed: int = 5, **options: Any) -> Any:
    """A simulator at its start."""
    simulator = daogym.make_simulator(scenario, lanes, autoreset="disabled", **options)
    simulator.reset(seed=seed)
    return simulator


def acts_of(simulator: Any) -> slice:
    """Columns of the action that are the adversary's."""
    first = simulator.domain.action_fields.slice(PREFIX + at.ACTIONS[0]).start
    return slice(first, first + len(at.ACTIONS))


def scalar(simulator: Any, place: int) -> NDArray[np.int64]:
    """(N,) a number of the adversary's account."""
    return np.asarray(simulator.state("adversary")[:, place])


def event(simulator: Any, name: str) -> NDArray[np.float64]:
    """(N,) an event of the episode that has just ended."""
    return np.asarray(simulator.events[:, simulator.event_names.index(name)])


def defended(name: str) -> dict[str, Any]:
    """The scenario's charter with a guardian who has time to see the harm."""
    steps = 12 if name != "supply_network_attack" else 2
    return {
        "base": name,
        "charter": {
            "roles": {"guardian": {"reaction_steps": steps}},
            "governor": {"guardian_veto": {"keeps": SCENARIOS[name][1]}},
        },
    }


def with_charter(name: str, **changes: Any) -> dict[str, Any]:
    """The scenario under another charter."""
    return {"base": name, "charter": changes}


def played(simulator: Any) -> NDArray[np.float64]:
    """(N,) rewards of one episode of the case's own attack."""
    story, money = Story(simulator), np.zeros(simulator.num_envs)
    while not simulator.terminated.all():
        simulator.step(story.actions())
        money += simulator.rewards
    return money


# --- nobody attacks -------------------------------------------------------------------------------


def test_without_an_attack_the_world_is_the_voted_one(name: str, hashed_actions: Any) -> None:
    """Bit for bit: what is observed, earned, charged and in force."""
    attacked = start(name)
    plain = start(with_charter(name, mode="voted", stress=None))
    own = acts_of(attacked)
    seen = attacked.observation_fields
    common = np.concatenate(
        [np.arange(seen.size)[seen.slice(f.name)] for f in seen if not f.name.startswith(PREFIX)]
    )
    changes = 0
    for step in range(attacked.horizon):
        actions = hashed_actions(LANES, attacked.action_size, step)
        actions[:, own] = 0.0
        attacked.step(actions)
        plain.step(np.delete(actions, np.r_[own], axis=1))
        assert np.array_equal(attacked.observations[:, common], plain.observations), step
        assert np.array_equal(attacked.rewards, plain.rewards)
        assert np.array_equal(attacked.costs, plain.costs)
        assert np.array_equal(attacked.state("governed"), plain.state("governed"))
        assert np.array_equal(attacked.terminated, plain.terminated)
    for event_name in (*CAPTURE_NAMES, *ATTACK_NAMES):
        found = event(attacked, event_name)
        expected = 0.0 if event_name in ATTACK_NAMES else event(plain, event_name)
        assert np.array_equal(found, np.broadcast_to(expected, found.shape)), event_name
        changes += int(event_name == "parameter_changes") * int(found.sum())
    assert changes > 0, "nothing was ever voted on"


# --- money and tokens -----------------------------------------------------------------------------


def test_money_and_tokens_add_up_whatever_is_done(name: str) -> None:
    for seed, case in enumerate(("late_vote", "beanstalk", "apathy", "exchange_takeover")):
        simulator = start(with_charter(name, stress={"case": case}), seed=seed)
        own, draw = acts_of(simulator), np.random.default_rng(seed)
        cents = simulator.state("accounts")
        opening, treasury = cents.sum(axis=1), cents[:, CASH_TREASURY].copy()
        funds = cents[:, CASH_ATTACKER].copy()
        static = simulator.state("governor")[:, G_STATIC_SUPPLY]
        supply = simulator.state("votes")[:, -1, V_BALANCE] + static
        assert (supply == 10**9).all()
        profit = np.zeros(LANES)
        while not simulator.terminated.all():
            actions = np.zeros((LANES, simulator.action_size), np.float32)
            actions[:, own] = draw.uniform(-1.0, 1.0, (LANES, len(at.ACTIONS))) + 0.2
            simulator.step(actions)
            profit += scalar(simulator, at.S_GAIN) / 100.0
            cents, books = simulator.state("accounts"), simulator.state("books")
            assert (cents >= 0).all() and np.array_equal(cents.sum(axis=1), opening)
            assert np.array_equal(opening, books[:, 0, 0] - books[:, 0, 1])
            held = simulator.state("votes")[:, :, V_BALANCE]
            assert (held >= 0).all() and np.array_equal(held[:, :-1].sum(axis=1), held[:, -1])
            assert (scalar(simulator, at.S_REFUSED) == 0).all()
        cents = simulator.state("accounts")
        assert (simulator.state("votes")[:, [ATTACKER, ALLY], V_BALANCE] == 0).all()
        gained = (cents[:, CASH_ATTACKER] - funds) / 100.0
        assert profit == pytest.approx(gained, abs=1e-6)
        assert np.array_equal(event(simulator, "attack_profit"), gained)
        lost = treasury - cents[:, CASH_TREASURY]
        assert np.array_equal(event(simulator, "treasury_loss_cents"), lost)
        assert (event(simulator, "attack_proposals") > 0).all(), case


# --- the story ------------------------------------------------------------------------------------


def test_the_story_as_actions_takes_what_the_case_took(name: str) -> None:
    simulator = start(name)
    bound = simulator.domain.upper_bound(simulator)
    treasury = simulator.state("accounts")[:, CASH_TREASURY].copy()
    before = simulator.state("governed").copy()
    money = played(simulator)
    assert (event(simulator, "attack_executed") == 1.0).all()
    paths = attack_paths("late_vote", ())
    share = event(simulator, "treasury_loss_cents") / treasury
    assert share == pytest.approx(paths[:, 1].max() / 1e6, abs=2e-6)
    case = run_case("late_vote")
    token = load_case("late_vote").token
    held = case.opening_cents[0] + token.treasury * token.price_microcents // 10**6
    profit = event(simulator, "attack_profit") * 100.0 / treasury
    # The treasury's tokens would fall with the price before they are sold; money does not.
    assert profit == pytest.approx(case.profit_cents / held, abs=0.05) and (profit > 0.0).all()
    assert (event(simulator, "captured_parameter_steps") > 0.0).all()
    assert (simulator.state("governed") != before).any()
    assert (bound >= money).all()


def test_what_would_have_helped_helps(name: str) -> None:
    """A guardian behind the timelock, and a quorum beyond the stake."""
    for scenario in (defended(name), with_charter(name, governor={"quorum_percent": 20})):
        simulator = start(scenario)
        treasury = simulator.state("accounts")[:, CASH_TREASURY].copy()
        played(simulator)
        assert (event(simulator, "attack_executed") == 0.0).all()
        assert np.array_equal(simulator.state("accounts")[:, CASH_TREASURY], treasury)
        assert (event(simulator, "attack_profit") < 0.0).all()
        assert (event(simulator, "attack_proposals") == 1.0).all()
    assert (event(simulator, "captured_parameter_steps") == 0.0).all()


@pytest.mark.parametrize("defences", [(), ("snapshot",)])
def test_a_flash_loan_needs_votes_that_weigh_present_balances(
    name: str, defences: tuple[str, ...]
) -> None:
    simulator = start(with_charter(name, stress={"case": "beanstalk", "defences": defences}))
    played(simulator)
    took = event(simulator, "attack_executed")
    assert (took == (0.0 if defences else 1.0)).all()
    assert ((event(simulator, "attack_profit") > 0.0) == (took > 0.0)).all()


# --- what is seen ---------------------------------------------------------------------------------


def test_its_proposal_is_announced_at_what_it_would_take(name: str) -> None:
    simulator = start(with_charter(name, proposals_per_day=0.0))
    fields, story = simulator.observation_fields, Story(simulator)
    stage, value = fields.slice("proposal_stage"), fields.slice("proposal_value")
    n = simulator.domain.governance.parameters
    votable = simulator.domain.governance.floats.reshape(3, -1)[2] > 0.0
    queued = np.full((LANES, n), np.nan)
    for _ in range(simulator.horizon):
        live = scalar(simulator, at.S_SLOT) >= 0
        seen = simulator.observations[:, stage]
        assert ((seen > -1.0) == (live[:, None] & votable)).all()
        # At the ends of their ranges.
        assert (np.abs(simulator.observations[live][:, value][:, votable]) == 1.0).all()
        waits = (seen == 1.0).any(axis=1)
        if waits.any():
            queued[waits] = announced_rules(simulator, 200, reads_queue=True)[waits, -1, :n]
        if (scalar(simulator, at.S_CAPTURED_FROM) >= 0).all():
            break
        simulator.step(story.actions())
    assert np.array_equal(simulator.state("governed")[:, :n], queued)
    masks = simulator.state("agenda")[:, A_CAPTURED]
    assert (masks == sum(1 << p for p in np.flatnonzero(votable).tolist())).all()


def test_the_adversary_sees_no_meter_and_nobody_its_account(name: str) -> None:
    team: Any = daogym.make_multi_agent(name, 1)
    *others, last = team.groups
    assert last.name == "adversary" and [a.name for a in team.agents][-1] == "adversary"
    for f in last.observation_fields:
        assert f.name.startswith((PREFIX, "proposal_")) or f.name == "governed", f.name
    for group in others:
        assert not [f.name for f in group.observation_fields if f.name.startswith(PREFIX)]
        assert not [f.name for f in group.action_fields if f.name.startswith(PREFIX)]
    assert [f.name for f in last.action_fields] == [PREFIX + a for a in at.ACTIONS]


def test_an_adversary_alone_is_paid_its_profit(name: str) -> None:
    simulator = start(name, action_mode=SCENARIOS[name][0])
    alone: Any = SharedControl(simulator, only(simulator.domain.as_agents(simulator).seats,
                                               "adversary"))  # fmt: skip
    assert [a.name for a in alone.agents] == ["adversary"]
    story, total = Story(simulator), np.zeros(LANES)
    own = acts_of(simulator)
    while not simulator.terminated.all():
        alone.step(story.actions()[:, None, own])
        total += alone.rewards[:, 0]
    assert total == pytest.approx(event(simulator, "attack_profit"), rel=1e-9)
    assert np.array_equal(alone.episode_rewards[:, 0], event(simulator, "attack_profit"))


# --- the market -----------------------------------------------------------------------------------


def test_buying_moves_the_price_along_the_pool(name: str) -> None:
    simulator = start(name)
    own = acts_of(simulator)
    held = int(simulator.state("votes")[0, POOL, V_BALANCE])
    cents = int(simulator.state("accounts")[0, CASH_POOL])
    fee = load_case("late_vote").token.pool_fee_bps
    actions = np.zeros((LANES, simulator.action_size), np.float32)
    actions[:, own.start + at.A_TRADE] = 0.5
    simulator.step(actions)
    bought = int(simulator.state("votes")[0, ATTACKER, V_BALANCE])
    assert bought == int(0.25 * SLICE * held)
    paid = Pool(held, cents, fee).buy(bought)
    case = simulator.domain.governance.attack.case
    assert simulator.state("accounts")[0, CASH_ATTACKER] == case.attacker.cash_cents - paid


# --- refusals -------------------------------------------------------------------------------------


def test_what_cannot_be_attacked_is_refused(name: str) -> None:
    for changes, key in (
        ({"stress": None}, "mode"),
        ({"stress": {"case": "oracle_attack"}}, "stress.case"),
        ({"stress": {"case": "late_vote", "defences": ["guardian"]}}, "stress.defences"),
        ({"governor": {"kind": "bravo"}}, "governor.kind"),
    ):
        with pytest.raises(ConfigError, match=key):
            daogym.make_simulator(with_charter(name, **changes))
