"""The adversary's game: stories replay to the cent, money is conserved, lanes are alone."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import daogym
from daogym.envs.adapters.gymnasium import DaoEnv, DaoVectorEnv
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.core.random import root_keys
from daogym.envs.core.simulator import Simulator
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao import capture_pool
from daogym.envs.dao.adversary import ACTION_FIELDS, make_adversary
from daogym.envs.dao.adversary_layout import ACTIONS, EVENTS, TERMS
from daogym.envs.dao.adversary_scripts import Story
from daogym.envs.dao.capture import SUPPLY, CaseResult, load_case, run_case
from daogym.envs.dao.capture_lane import CASH_POOL, POOL
from daogym.envs.dao.capture_market import MICRO, Pool
from daogym.envs.dao.electorate_layout import I_WEIGHTS
from daogym.envs.dao.governor_layout import P_ABSTAIN, P_AGAINST
from daogym.envs.dao.votes import V_BALANCE

pytestmark = pytest.mark.kernel

SEEDS = (0, 1, 2)
REPLAYED: list[tuple[str, tuple[str, ...]]] = [
    ("beanstalk", ()),
    ("beanstalk", ("snapshot",)),
    ("beanstalk", ("timelock",)),
    ("beanstalk", ("timelock", "guardian")),
    ("apathy", ()),
    ("apathy", ("quorum",)),
    ("apathy", ("timelock", "guardian")),
    ("late_vote", ()),
    ("late_vote", ("guardian",)),
    ("late_vote", ("late_quorum_extension",)),
    ("late_quorum", ()),
    ("late_quorum", ("late_quorum_extension",)),
    ("exchange_takeover", ()),
    ("exchange_takeover", ("cooldown",)),
]
BRIBES = ("attacker.bribe_bps=500", "attacker.bribable_percent=60")
PLAYED: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
    ("beanstalk", (), ()),
    ("beanstalk", ("timelock",), ()),
    ("apathy", (), ()),
    ("apathy", ("timelock", "guardian"), BRIBES),
    ("late_vote", (), BRIBES),
    ("late_quorum", ("late_quorum_extension",), BRIBES),
    ("exchange_takeover", ("cooldown",), ()),
]


class Account:
    """Sums over one episode of each lane, played with `decide`."""

    def __init__(self, simulator: Simulator, decide: Any) -> None:
        n = simulator.num_envs
        self.profit, self.loss = np.zeros(n), np.zeros(n)
        self.events = np.zeros((n, len(EVENTS)))
        ended = np.zeros(n, dtype=np.bool_)
        while not ended.all():
            simulator.step(decide())
            self.profit += simulator.rewards
            self.loss += simulator.costs[:, 0]
            self.events += simulator.events
            ended |= simulator.terminated

    def event(self, name: str) -> Any:
        """(N,) sums of one event."""
        return self.events[:, EVENTS.index(name)]


def replay(
    case: str, defences: tuple[str, ...], decision_steps: int
) -> tuple[Account, list[CaseResult]]:
    """The story in the game and in `run_case`, in the worlds of the same keys."""
    simulator = make_adversary(
        case, defences, len(SEEDS), decision_steps=decision_steps, autoreset="disabled"
    )
    simulator.reset(seed=0)
    simulator.state("episode_key")[:] = root_keys(SEEDS).view(np.int64)
    account = Account(simulator, Story(simulator).actions)
    return account, [run_case(case, defences, seed) for seed in SEEDS]


@pytest.mark.parametrize("case,defences", REPLAYED)
def test_a_story_replays_as_the_case_was_played(case: str, defences: tuple[str, ...]) -> None:
    account, results = replay(case, defences, 1)
    assert account.event("executed").tolist() == [float(r.executed) for r in results]
    assert account.event("captured_steps").tolist() == [r.captured_steps for r in results]
    assert account.loss == pytest.approx([r.treasury_loss_cents / 100 for r in results], abs=0.01)
    # Others trade the pool back once more or once less where nothing is traded: dollars at most.
    profit = np.array([r.profit_cents / 100 for r in results])
    assert np.abs(account.profit - profit).max() < max(10.0, 1e-5 * np.abs(profit).max())
    assert (account.event("refused") == 0).all()


@pytest.mark.parametrize("case,defences", REPLAYED)
def test_a_coarser_clock_changes_no_outcome(case: str, defences: tuple[str, ...]) -> None:
    account, results = replay(case, defences, 24)
    assert account.event("executed").tolist() == [float(r.executed) for r in results]
    lost = [r.treasury_loss_cents / 100 for r in results]
    # What flows while the captured value is in force begins up to a day's quarter later.
    assert account.loss == pytest.approx(lost, rel=0.02, abs=0.01)
    # The last purchase is spread over a whole decision, so the stake costs a little less or more.
    charter = load_case(case)
    spent = charter.attacker.cash_cents / 100
    for profit, result in zip(account.profit, results, strict=True):
        assert abs(profit - result.profit_cents / 100) <= 0.01 * spent + 0.02 * max(lost)


def random_actions(simulator: Simulator, seed: int) -> Any:
    """Actions that do much: yes or no half of the time, trades of all sizes."""
    draw = np.random.default_rng(seed)

    def decide() -> Any:
        return draw.uniform(-1.0, 1.0, (simulator.num_envs, len(ACTIONS))) + 0.2

    return decide


@pytest.mark.parametrize("case,defences,overrides", PLAYED)
def test_money_and_tokens_are_conserved_whatever_is_done(
    case: str, defences: tuple[str, ...], overrides: tuple[str, ...]
) -> None:
    s = make_adversary(case, defences, 8, overrides=overrides, autoreset="disabled")
    s.reset(seed=5)
    opening = s.state("cents").copy()
    decide = random_actions(s, 1)
    fair_before = s.state("fair").copy()
    ended = np.zeros(8, dtype=np.bool_)
    profit, loss, terms = np.zeros(8), np.zeros(8), np.zeros((8, len(TERMS)))
    while not ended.all():
        s.step(decide())
        cents, tokens = s.state("cents"), s.state("tokens")
        assert (cents >= 0).all() and (cents.sum(axis=1) == opening.sum(axis=1)).all()
        totals = s.state("totals")
        assert (cents.sum(axis=1) == totals[:, 0, 0] - totals[:, 0, 1]).all()
        assert (tokens[:, :-1, V_BALANCE] >= 0).all()
        assert (tokens[:, :-1, V_BALANCE].sum(axis=1) == tokens[:, -1, V_BALANCE]).all()
        assert (s.state("refused") == 0).all()
        assert (np.abs(s.observations) <= 1.0).all() and np.isfinite(s.rewards).all()
        assert s.terms.sum(axis=1) == pytest.approx(s.rewards, abs=0.011)
        profit += s.rewards
        loss += s.costs[:, 0]
        terms += s.terms
        ended |= s.terminated
    gained = (s.state("cents")[:, 1] - opening[:, 1]) / 100
    assert profit == pytest.approx(gained, abs=0.01 + 1e-9 * np.abs(gained).max())
    out = (opening[:, 0] - s.state("cents")[:, 0] + s.state("stolen") * fair_before // MICRO) / 100
    assert loss == pytest.approx(out, abs=0.01)
    assert (s.state("tokens")[:, :2, V_BALANCE] == 0).all()  # all is sold at the end
    if overrides:
        assert (terms[:, TERMS.index("bribes")] < 0).any()


@pytest.mark.parametrize("case,defences,overrides", PLAYED)
def test_doing_nothing_costs_and_brings_nothing(
    case: str, defences: tuple[str, ...], overrides: tuple[str, ...]
) -> None:
    s = make_adversary(case, defences, 2, overrides=overrides, autoreset="disabled")
    s.reset(seed=0)
    account = Account(s, lambda: np.zeros((2, len(ACTIONS))))
    assert (account.profit == 0).all() and (account.loss == 0).all()
    assert (account.events == 0).all()


def test_nobody_votes_twice_even_for_money() -> None:
    """Cast votes stay within what members and the adversary have, and bought ones are paid."""
    s = make_adversary("late_quorum", ("late_quorum_extension",), 4, overrides=BRIBES,
                       autoreset="disabled")  # fmt: skip
    s.reset(seed=3)
    ints = s.domain.tables[3]
    members = int(ints[0][_weights(ints[0], s)].sum())
    bought = np.zeros(4)
    for number in range(40):
        action = np.zeros((4, len(ACTIONS)))
        action[:, ACTIONS.index("trade")] = 0.5 if number < 2 else 0.0
        action[:, ACTIONS.index("propose")] = 1.0 if number == 2 else 0.0
        action[:, ACTIONS.index("bribe")] = 0.02 if number > 2 else 0.0
        before = s.state("bribe_cents").copy(), s.state("bribed").copy()
        s.step(action)
        paid = s.state("bribe_cents") - before[0]
        votes = s.state("bribed") - before[1]
        bought += votes
        price = 0.05 * load_case("late_quorum").token.price_microcents / 1e6 * 10_000_000 / SUPPLY
        assert paid == pytest.approx(votes * price, rel=1e-3, abs=400)
        tally = s.state("proposals")[:, :, P_AGAINST : P_ABSTAIN + 1].sum(axis=2)
        assert (tally <= members).all()  # the adversary itself has not voted
    assert (bought > 0).all() and (bought <= members).all()


def _weights(ints: Any, simulator: Simulator) -> slice:
    first = int(ints[I_WEIGHTS])
    return slice(first, first + simulator.domain.voters)  # type: ignore[attr-defined]


def test_a_lane_is_alone_and_a_snapshot_brings_its_future_back() -> None:
    many = make_adversary("late_vote", (), 5, stagger=True)
    many.reset(seed=7)
    single = make_adversary("late_vote", (), 1, stagger=True)
    single.reset(seed=7 + 3)
    draw = np.random.default_rng(0)
    actions = draw.uniform(-1.3, 1.3, (150, 5, len(ACTIONS)))
    kept, seen = None, []
    for number, action in enumerate(actions):
        if number == 70:
            kept = many.snapshot()
        many.step(action)
        single.step(action[3:4])
        assert (many.observations[3] == single.observations[0]).all()
        assert many.rewards[3] == single.rewards[0]
        if number >= 70:
            seen.append((many.observations.copy(), many.rewards.copy()))
    assert kept is not None
    many.restore(kept)
    for action, (observations, rewards) in zip(actions[70:], seen, strict=True):
        many.step(action)
        assert (many.observations == observations).all() and (many.rewards == rewards).all()


def test_threads_change_nothing() -> None:
    runs = []
    for threads in (1, 2):
        s = make_adversary("apathy", (), 256, threads=threads)
        s.reset(seed=1)
        decide = random_actions(s, 2)
        for _ in range(30):
            s.step(decide())
        runs.append((s.observations.copy(), s.episode_reward.copy()))
    assert (runs[0][0] == runs[1][0]).all() and (runs[0][1] == runs[1][1]).all()


def test_invalid_numbers_are_held_and_counted() -> None:
    s = make_adversary("apathy", (), 2)
    s.reset(seed=0)
    s.step([[np.nan] * 6, [7.0, 0, 0, 0, 0, 0]])
    assert s.events[:, EVENTS.index("invalid_actions")].tolist() == [1.0, 1.0]
    assert s.rewards[0] == 0.0 and s.rewards[1] < 0.0


def test_what_cannot_be_played_is_refused() -> None:
    with pytest.raises(ValueError, match="beanstalk, apathy, late_vote, exchange_takeover"):
        make_adversary("oracle_attack")
    with pytest.raises(ConfigError, match="this case has no such defence"):
        make_adversary("beanstalk", ("cooldown",))
    with pytest.raises(ValueError, match="carry"):
        make_adversary("apathy", carry=True)
    assert [field.name for field in ACTION_FIELDS] == list(ACTIONS)


def test_the_faces_of_every_simulator_are_the_games_too() -> None:
    domain: Any = make_adversary("late_vote").domain
    env = DaoEnv(scenario=domain)
    check_env(env, skip_render_check=True)
    many: Any = DaoVectorEnv(4, scenario=domain)
    observations, _ = many.reset(seed=0)
    assert observations.shape == (4, domain.observation_fields.size)
    vec = SB3VecEnv(daogym.make_simulator(domain, 4))
    vec.reset()
    rewards = vec.step(np.full((4, len(ACTIONS)), 0.5, dtype=np.float32))[1]
    # learning's rewards are shares of what there is to take
    dollars = vec.simulator.rewards
    assert rewards == pytest.approx(dollars / domain.prize_dollars, rel=1e-6)
    assert domain.prize_dollars == pytest.approx(run_case("late_vote").extractable_cents / 100)


pools = st.tuples(st.integers(10**3, 10**13), st.integers(1, 10**11), st.integers(0, 300))


@given(pools, st.integers(0, 10**13), st.integers(1, 10**9))
@settings(deadline=None)
def test_the_compiled_pool_is_the_pool(pool: tuple[int, int, int], amount: int, fair: int) -> None:
    tokens, cents, fee = pool
    plain = Pool(tokens, cents, fee)
    # Beyond these the compiled pool is not promised to be exact, see its page.
    assume(tokens * cents * MICRO // fair < 10**26 and tokens * cents * MICRO * fair < 8 * 10**37)
    part = amount % tokens
    assert capture_pool.price_to_sell(tokens, cents, fee, amount) == plain.price_to_sell(amount)
    assert capture_pool.off_fair(tokens, cents, fair) == plain.off_fair(fair)
    if plain.cents * part // (tokens - part) < 10**17:
        assert capture_pool.price_to_buy(tokens, cents, fee, part) == plain.price_to_buy(part)
    assert capture_pool.price_to_buy(tokens, cents, fee, tokens) == -1
    most = capture_pool.affordable(tokens, cents, fee, amount)
    assert plain.price_to_buy(most) <= amount


def test_slices_of_a_price_add_up() -> None:
    """Buying and selling moves the pool's own books alone, and always costs."""
    s = make_adversary("late_vote", (), 1, decision_steps=4)
    s.reset(seed=0)
    pool = int(s.state("tokens")[0, POOL, V_BALANCE])
    worths = []
    for rate in (0.0, 0.3, 0.3, -0.3, -0.3):
        s.step([[rate, 0, 0, 0, 0, 0]])
        worths.append(float(s.rewards[0]))
        assert abs(int(s.state("tokens")[0, POOL, V_BALANCE]) - pool) < 0.01 * pool
        assert int(s.state("cents")[0, CASH_POOL]) > 0
    assert worths[0] == 0.0 and max(worths[1:]) < 0.0
    assert all(abs(a - b) < 0.2 * abs(a) for a, b in pairwise(worths[1:3]))
