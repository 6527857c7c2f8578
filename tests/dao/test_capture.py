"""Capture cases: what happened happens, what would have helped helps, and the books agree."""

from __future__ import annotations

import importlib.util
from functools import cache
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daogym.envs.core.strict import ConfigError
from daogym.envs.dao import capture
from daogym.envs.dao import capture_kernels as kernels
from daogym.envs.dao.capture import CASES, SUPPLY, VARIANTS, CaseResult, load_case
from daogym.envs.dao.capture_cases import STORIES
from daogym.envs.dao.capture_charter import DEFENCES
from daogym.envs.dao.capture_lane import ATTACKER, POOL
from daogym.envs.dao.capture_market import MICRO, Pool, parts, stake_cost
from daogym.envs.dao.capture_play import Payload, Play, turned_out
from daogym.envs.dao.counting import AGAINST, FOR
from daogym.envs.dao.results import ALREADY_VOTED

pytestmark = pytest.mark.kernel


@cache
def _played(name: str, defences: tuple[str, ...], seed: int) -> CaseResult:
    return capture.run_case(name, defences, seed)


def run_case(
    name: str | Path, defences: tuple[str, ...] = (), seed: int = 0, overrides: Any = ()
) -> CaseResult:
    """`capture.run_case`; what several tests and the page's tables look at is played once."""
    if overrides or isinstance(name, Path):
        return capture.run_case(name, defences, seed, overrides)
    return _played(name, tuple(defences), seed)


ROOT = Path(__file__).resolve().parents[2]
STRESS = ROOT / "envs" / "dao" / "charters" / "stress"
ALL = CASES + VARIANTS
SEEDS = range(20)
FEW = range(3)

STOPS = [
    ("beanstalk", ("snapshot",)),
    ("beanstalk", ("timelock", "guardian")),
    ("apathy", ("quorum",)),
    ("apathy", ("timelock", "guardian")),
    ("late_vote", ("guardian",)),
    ("late_quorum", ("late_quorum_extension",)),
    ("late_quorum", ("guardian",)),
    ("opaque_payload", ("payload_review",)),
    ("opaque_payload", ("guardian",)),
    ("oracle_attack", ("oracle_median",)),
    ("oracle_attack", ("oracle_twap",)),
    ("oracle_attack", ("circuit_breaker",)),
    ("exchange_takeover", ("cooldown",)),
    ("exchange_takeover", ("timelock", "guardian")),
]
HELPS_NOT = [
    ("beanstalk", ("timelock",)),
    ("beanstalk", ("guardian",)),
    ("beanstalk", ("quorum",)),
    ("beanstalk", ("late_quorum_extension",)),
    ("apathy", ("timelock",)),
    ("apathy", ("guardian",)),
    ("apathy", ("late_quorum_extension",)),
    ("late_vote", ("late_quorum_extension",)),
    ("late_vote", ("timelock",)),
    ("late_vote", ("quorum",)),
    ("late_vote", ("voting_delay",)),
    ("late_quorum", ("timelock",)),
    ("late_quorum", ("quorum",)),
    ("opaque_payload", ("timelock",)),
    ("opaque_payload", ("late_quorum_extension",)),
    ("oracle_attack", ("oracle_staleness",)),
    ("oracle_attack", ("snapshot",)),
    ("exchange_takeover", ("timelock",)),
    ("exchange_takeover", ("guardian",)),
    ("exchange_takeover", ("voting_delay",)),
    ("exchange_takeover", ("quorum",)),
    ("exchange_takeover", ("late_quorum_extension",)),
]
EVERY = [(name, ()) for name in ALL] + STOPS + HELPS_NOT + [("oracle_attack", ("cooldown",))]


def check_books(result: CaseResult) -> None:
    """Cents are conserved, and loss and profit are what the accounts say."""
    assert sum(result.closing_cents) == sum(result.opening_cents)
    assert min(result.closing_cents) >= 0
    assert result.profit_cents == result.closing_cents[1] - result.opening_cents[1]
    assert result.profit_cents == result.loot_cents - result.cost_cents
    lost = result.opening_cents[0] - result.closing_cents[0]
    assert result.treasury_loss_cents >= lost
    if not load_case(result.name).token.treasury:
        assert result.treasury_loss_cents == lost


@pytest.mark.parametrize("name", ALL)
def test_what_happened_happens(name: str) -> None:
    for seed in SEEDS:
        result = run_case(name, (), seed)
        assert result.passed and result.executed and result.succeeded, seed
        assert result.profit_cents > 0
        assert result.treasury_loss_cents > 0
        assert result.captured_steps > 0
        check_books(result)


@pytest.mark.parametrize("name,defences", STOPS)
def test_what_would_have_helped_helps(name: str, defences: tuple[str, ...]) -> None:
    for seed in SEEDS:
        result = run_case(name, defences, seed)
        assert not result.executed and not result.succeeded, seed
        assert result.profit_cents <= 0
        check_books(result)
        if defences != ("oracle_twap",):  # there a part of the loan is lost, at the attacker's loss
            assert result.treasury_loss_cents == 0 and result.captured_steps == 0


@pytest.mark.parametrize("name,defences", HELPS_NOT)
def test_what_would_not_have_helped_does_not(name: str, defences: tuple[str, ...]) -> None:
    for seed in FEW:
        before, after = run_case(name, (), seed), run_case(name, defences, seed)
        assert after.executed and after.succeeded
        # a flow out of the treasury begins later where execution does
        assert after.treasury_loss_cents >= 0.99 * before.treasury_loss_cents
        check_books(after)


def test_every_defence_of_every_charter_is_played() -> None:
    played = {(name, defence) for name, defences in EVERY for defence in defences}
    partial = {("opaque_payload", "quorum"), ("late_quorum", "voting_delay")}
    for name in ALL:
        for defence in load_case(name).defences:
            assert (name, defence) in played | partial
            assert defence in DEFENCES
    assert set(DEFENCES) == {d for name in ALL for d in load_case(name).defences}
    assert set(STORIES) == set(CASES)


def test_a_veto_needs_time() -> None:
    late = run_case("late_vote", ("guardian",), 1, ["rules.timelock_s=0"])
    assert late.executed and late.treasury_loss_cents > 0
    slow = run_case("late_vote", ("guardian",), 1, ["rules.timelock_s=28800"])
    assert slow.executed  # eight hours, and the guardian needs twelve
    assert not run_case("late_vote", ("guardian",), 1, ["rules.timelock_s=86400"]).executed


def test_late_quorum_extension_moves_only_a_deadline_that_quorum_comes_close_to() -> None:
    for seed in FEW:
        early = run_case("late_vote", ("late_quorum_extension",), seed)
        plain = run_case("late_vote", (), seed)
        assert early.deadline == plain.deadline
        assert np.array_equal(early.tallies, plain.tallies)
        late = run_case("late_quorum", ("late_quorum_extension",), seed)
        assert late.deadline == run_case("late_quorum", (), seed).deadline + 192
        assert late.tallies[-1, AGAINST] > late.tallies[-1, FOR] >= late.quorum


def test_stolen_tokens_do_not_vote_under_a_cooldown_but_stay_stolen() -> None:
    plain = run_case("oracle_attack", (), 2)
    cooled = run_case("oracle_attack", ("cooldown",), 2)
    assert plain.tallies[-1, FOR] > 0 and cooled.tallies[-1, FOR] == 0
    assert not cooled.executed
    assert 0 < cooled.treasury_loss_cents < plain.treasury_loss_cents
    both = run_case("oracle_attack", ("cooldown", "oracle_median"), 2)
    assert both.treasury_loss_cents == 0


def test_a_quorum_stops_the_bait_where_members_stay_away() -> None:
    outcomes = []
    for seed in SEEDS:
        result = run_case("opaque_payload", ("quorum",), seed)
        outcomes.append(result.executed)
        if not result.executed:  # the bait was not carried, so nothing followed
            tally = [0, 0, 0]
            for ballot in result.ballots:
                tally[ballot.support] += ballot.votes
            assert tally[FOR] + tally[2] < result.quorum
    assert 0 < sum(outcomes) < len(outcomes)


@given(
    seed=st.integers(0, 50),
    delay=st.integers(0, 60),
    period=st.integers(1, 200),
    quorum=st.integers(0, 12),
    timelock=st.integers(0, 200_000),
    reaction=st.integers(0, 200_000),
    early=st.integers(0, 680_000),
)
@settings(max_examples=40, deadline=None)
def test_any_rules_keep_the_books_and_the_order_of_things(
    seed: int, delay: int, period: int, quorum: int, timelock: int, reaction: int, early: int
) -> None:
    rules = {"voting_delay": delay, "voting_period": period, "quorum_percent": quorum,
             "timelock_s": timelock, "late_quorum_extension": period // 2}  # fmt: skip
    overrides = [f"rules.{key}={value}" for key, value in rules.items()]
    overrides += [f"attacker.early_tokens={early}"]
    overrides += ["defences.late_quorum_extension.late_quorum_extension=0"]
    if reaction > 0:
        overrides += [f"rules.guardian.reaction_s={reaction}"]
    result = run_case("late_vote", (), seed, overrides)
    check_books(result)
    when = {event.what: event.step for event in result.timeline}
    against, in_favour, abstain = result.tallies[-1, :3].tolist()
    carried = in_favour > against and in_favour + abstain >= quorum * SUPPLY // 100
    assert result.passed is carried
    assert result.executed == ("executed" in when) == (carried and "veto" not in when)
    assert result.captured_steps == (1401 - when["executed"] if result.executed else 0)
    if result.executed:
        assert when["executed"] > result.deadline
        assert (when["executed"] - when["passed"]) * 900 >= timelock
        assert result.treasury_loss_cents > 0
    else:
        assert result.treasury_loss_cents == 0
    if "veto" in when:
        assert (when["veto"] - when["passed"]) * 900 >= reaction
        assert (when["veto"] - when["passed"] - 1) * 900 < timelock
    elif carried and reaction > 0:
        # executed in the first step from eta on, which a guardian in time would have forestalled
        assert (when["executed"] - when["passed"]) * 900 < reaction


def test_the_attackers_cost_is_that_of_the_stake() -> None:
    charter = load_case("late_vote")
    token = charter.token
    pool = Pool(charter.units(token.pool), token.price_microcents * token.pool // MICRO, 30)
    fair = token.price_microcents * token.supply // SUPPLY
    stake = charter.units(charter.attacker.stake_tokens)
    for defences, fall in (((), token.fall_bps), (("guardian",), 0)):
        result = run_case("late_vote", defences, 0)
        expected = stake_cost(pool, fair, stake, charter.attacker.slices, fall)
        assert expected is not None
        assert result.cost_cents == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["beanstalk", "late_vote", "opaque_payload"])
def test_who_cannot_propose_cannot_attack(name: str) -> None:
    result = run_case(name, (), 0, ["rules.threshold_tokens=900000"])
    assert not result.passed and not result.executed and result.attack_slot == -1
    assert result.treasury_loss_cents == 0 and result.captured_steps == 0
    assert result.profit_cents < 0 and result.ballots == ()
    check_books(result)


def test_a_flash_loan_below_the_emergency_share_reverts() -> None:
    # 50 of 150 million votes: less than 67 %, and less than half of the supply at the snapshot
    result = run_case("beanstalk", (), 0, ["attacker.flash_tokens=50000000"])
    assert not result.executed and result.treasury_loss_cents == 0
    assert "reverted" in {event.what for event in result.timeline}
    assert result.tallies[-1, FOR] == load_case("beanstalk").units(200_000)
    assert result.profit_cents > -1_000_000  # no fee: the loan never was


def test_a_median_of_mostly_pumped_reporters_does_not_help() -> None:
    pumped = ["defences.oracle_median.oracle.pumped=4"]
    assert run_case("oracle_attack", ("oracle_median",), 0, pumped).executed


def least_owners(votes: list[int]) -> int:
    """Smallest set of owners with more than half of all votes, by trying all sets."""
    for size in range(1, len(votes) + 1):
        if any(2 * sum(group) > sum(votes) for group in combinations(votes, size)):
            return size
    return 0


@pytest.mark.parametrize("name,defences", EVERY)
def test_metrics_by_brute_force(name: str, defences: tuple[str, ...]) -> None:
    result = run_case(name, defences, 5)
    charter = load_case(name)
    owners: dict[int, int] = {}
    for ballot in result.ballots:
        if ballot.slot == result.attack_slot:
            owner = -1 if ballot.voter < 0 else ballot.voter
            owners[owner] = owners.get(owner, 0) + ballot.votes
    votes = sorted(owners.values(), reverse=True)
    assert result.nakamoto == least_owners(votes)

    held = np.append(turned_out(charter.electorate, 1.0).weights, owners.get(-1, 0)).astype(float)
    pairs = np.abs(held[:, None] - held[None, :]).sum()
    assert result.gini == pytest.approx(pairs / (2 * len(held) * held.sum()), abs=1e-9)

    supply = SUPPLY
    flash = charter.units(charter.attacker.flash_tokens)
    fake = charter.units(charter.attacker.fake_tokens)
    if flash and "snapshot" not in defences:
        supply += flash
    if any(event.what == "fake votes" for event in result.timeline):
        supply += fake
    assert result.turnout == pytest.approx(sum(votes) / supply, rel=1e-12)

    begins = [e.step for e in result.timeline if e.what in ("executed", "fake votes", "taken")]
    harmless = name == "opaque_payload" and "fake votes" not in {e.what for e in result.timeline}
    expected = charter.horizon + 1 - min(begins) if begins and not harmless else 0
    assert result.captured_steps == expected == int(result.in_force.sum())

    tally = [0, 0, 0]
    by_step = sorted((b.step, b.support, b.votes) for b in result.ballots
                     if b.slot == result.attack_slot)  # fmt: skip
    for step, support, weight in by_step:
        tally[support] += weight
        assert step <= result.deadline or name == "beanstalk"
    assert result.tallies[-1, :3].tolist() == tally
    assert result.votes_needed == max(result.quorum, tally[AGAINST] + 1)


@pytest.mark.parametrize("name,defences", EVERY)
def test_nobody_votes_twice_and_members_vote_with_what_they_have(
    name: str, defences: tuple[str, ...]
) -> None:
    result = run_case(name, defences, 4)
    weights = turned_out(load_case(name).electorate, 1.0).weights
    seen = [(ballot.slot, ballot.voter) for ballot in result.ballots]
    assert len(seen) == len(set(seen))
    for ballot in result.ballots:
        if ballot.voter >= 0:
            assert ballot.votes == weights[ballot.voter]


def test_a_seed_is_a_world() -> None:
    one, same, other = (run_case("late_vote", (), seed) for seed in (3, 3, 4))
    assert one.ballots == same.ballots and one.timeline == same.timeline
    assert one.ballots != other.ballots


# --- votes that are there for a moment ------------------------------------------------------------


def playing(name: str, *defences: str) -> Play:
    """A case before the attacker's first move."""
    charter = load_case(name)
    return Play(charter, charter.with_defences(defences), 0)


@pytest.mark.parametrize("snapshot", [False, True])
def test_a_loan_that_is_repaid_in_its_step_never_was(snapshot: bool) -> None:
    play = playing("beanstalk", *(["snapshot"] if snapshot else []))
    play.buy(play.charter.units(100_000))
    play.tick()
    slot = play.propose(ATTACKER, Payload(-0.1, True), 1.0, "a proposal")
    # borrowed and repaid in the very step of the snapshot: the past holds what was left at its end
    play.mint_tokens(5 * SUPPLY)
    play.burn_tokens(5 * SUPPLY)
    play.tick()
    play.mint_tokens(5 * SUPPLY)
    weight = play.vote(slot, ATTACKER)
    own = play.charter.units(100_000)
    assert weight == (own if snapshot else own + 5 * SUPPLY)
    assert play.governor(kernels.VOTE, slot, ATTACKER, FOR, 1, 0) == ALREADY_VOTED


def test_a_cooldown_counts_what_was_held_all_along() -> None:
    play = playing("exchange_takeover", "cooldown")
    held, more = 6_000_000, 4_000_000
    play.hand_over(POOL, ATTACKER, held)
    play.step += 3000
    play.hand_over(POOL, ATTACKER, more)
    play.tick()
    slot = play.propose(ATTACKER, Payload(-0.1, True), 1.0, "a proposal")
    play.tick()
    assert play.vote(slot, ATTACKER) == held


@pytest.mark.parametrize("extra,carried", [(0, False), (1, True)])
def test_the_emergency_commit_asks_for_more_than_its_share(extra: int, carried: bool) -> None:
    play = playing("beanstalk")
    play.buy(play.charter.units(200_000))
    play.tick()
    slot = play.propose(ATTACKER, Payload(-0.1, True), 1.0, "a proposal")
    play.tick()
    play.tick()
    # v / (SUPPLY + minted) == 67 / 100 exactly for v = own + minted
    own = play.balance(ATTACKER)
    minted = -(-(67 * SUPPLY - 100 * own) // 33)
    play.mint_tokens(minted - 1 + extra)
    play.vote(slot, ATTACKER)
    votes, supply = own + minted - 1 + extra, SUPPLY + minted - 1 + extra
    assert (100 * votes > 67 * supply) is carried
    assert play.emergency(slot) is carried


# --- the pool -------------------------------------------------------------------------------------

pools = st.builds(Pool, st.integers(10**3, 10**9), st.integers(10**3, 10**12), st.integers(0, 300))


@given(pools, st.integers(1, 10**9))
def test_a_pool_never_loses(pool: Pool, amount: int) -> None:
    amount = 1 + amount % (pool.tokens - 1)
    before = (pool.tokens, pool.cents)
    paid = pool.buy(amount)
    assert pool.tokens * pool.cents >= before[0] * before[1]
    exact = before[1] * amount / (before[0] - amount) / (1 - pool.fee_bps / 10_000)
    # Whole cents are rounded up twice, once before the fee is added, which makes that cent dearer.
    most = 1 + 1 / (1 - pool.fee_bps / 10_000)
    assert exact * (1 - 1e-9) <= paid <= exact * (1 + 1e-9) + most
    assert pool.sell(amount) <= paid
    assert pool.tokens == before[0] and pool.cents >= before[1]


@given(pools, st.integers(2, 10))
def test_a_pool_reaches_a_price(pool: Pool, factor: int) -> None:
    price = pool.price_microcents()
    free = Pool(pool.tokens, pool.cents, 0)
    amount = free.to_price(price * factor) if price else 0
    if amount > 1000 and free.tokens - amount > 1000:
        free.buy(amount)
        assert free.price_microcents() == pytest.approx(price * factor, rel=0.01)


@given(st.integers(0, 10**9), st.integers(1, 100))
def test_slices_are_whole(amount: int, slices: int) -> None:
    cut = parts(amount, slices)
    assert sum(cut) == amount and len(cut) == slices and max(cut) - min(cut) <= 1


def test_the_price_of_a_stake() -> None:
    # Deep pools cost the fee and the fall alone: 0.3 % to buy, 0.3 % and 10 % on the resale.
    fair = 50 * MICRO
    deep = Pool(10**12, 50 * 10**12, 30)
    cost = stake_cost(deep, fair, 10**6, 10, 1000)
    assert cost is not None
    assert cost / (50 * 10**6) == pytest.approx(1 / 0.997 - 0.9 * 0.997, rel=1e-3)
    # x tokens of a feeless pool in one go, sold again after it is back: y x/(T-x) - y x/(T+x)
    shallow = Pool(10**6, 50 * 10**6, 0)
    cost = stake_cost(shallow, fair, 10**5, 1, 0)
    exact = 50 * 10**6 * (1e5 / (1e6 - 1e5) - 1e5 / (1e6 + 1e5))
    assert cost is not None and cost == pytest.approx(exact, rel=1e-4)
    patient = stake_cost(shallow, fair, 10**5, 50, 0)
    assert patient is not None and patient < 0.05 * cost
    assert stake_cost(shallow, fair, 10**6, 1, 0) is None


def test_a_higher_quorum_raises_the_price_of_an_attack() -> None:
    prices = []
    for quorum in (4, 10, 20, 40):
        result = run_case("apathy", ("quorum",), 0, [f"defences.quorum.quorum_percent={quorum}"])
        assert result.votes_needed >= quorum * SUPPLY // 100
        prices.append(result.break_even_cents)
    assert all(a is not None and b is not None and a < b for a, b in pairwise(prices))


# --- refusals -------------------------------------------------------------------------------------


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ConfigError, match="no such case; there are beanstalk"):
        run_case("bean")
    with pytest.raises(ConfigError, match=r"defences\.cooldown.*has snapshot, timelock"):
        run_case("beanstalk", ("cooldown",))


@pytest.mark.parametrize(
    "old,new,key",
    [
        ("quorum_percent: 4", "quorum_percent: 101", "rules.quorum_percent"),
        ("quorum_percent: 4", "quorom_percent: 4", "did you mean 'quorum_percent'"),
        ("pool: 100000", "pool: 9000000", "silent supply"),
        ("voting_period: 288", "voting_period: 0", "rules.voting_period"),
        ("voting_period: 288", "voting_period: 100", "longer than the voting_period"),
        ("early_tokens: 420000", "early_tokens: 700000", "more than the stake_tokens"),
        ("grab_tokens: 499000", "grab_tokens: 1600000", "more tokens to take"),
        ("story: late_vote", "story: late_veto", "did you mean 'late_vote'"),
        ("  quorum: {quorum_percent: 6}", "  quorums: {quorum_percent: 6}", "defences"),
    ],
)
def test_contradictions_are_refused_with_file_and_line(
    tmp_path: Path, old: str, new: str, key: str
) -> None:
    text = (STRESS / "late_vote.yaml").read_text(encoding="utf-8")
    assert text.count(old) >= 1
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        run_case(path)
    message = str(caught.value)
    assert "mine.yaml:" in message and key in message, message
    if "%" not in key and key.startswith("rules."):
        line = 1 + text[: text.index(old)].count("\n")
        assert f"mine.yaml:{line}:" in message


def test_a_charter_of_ones_own(tmp_path: Path) -> None:
    text = (STRESS / "late_vote.yaml").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(text.replace("name: late_vote", "name: mine"), encoding="utf-8")
    assert run_case(path, ("guardian",), 0).name == "mine"
    assert not run_case(path, ("guardian",), 0).executed


# --- the page -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tool() -> Any:
    """The module that makes the page's tables and pictures."""
    path = ROOT / "tools" / "capture_pictures.py"
    spec = importlib.util.spec_from_file_location("capture_pictures", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.run_case = run_case
    return module


@pytest.mark.parametrize("name", [*ALL, "prices", "quorums"])
def test_the_page_shows_what_the_code_does(tool: Any, name: str) -> None:
    shown = dict(tool.TABLE.findall(tool.PAGE.read_text(encoding="utf-8")))
    made = tool.table(name)
    assert shown[name] == made, f"{name}: run python tools/capture_pictures.py"


def test_the_page_has_a_section_a_table_and_a_picture_for_each_case(tool: Any) -> None:
    text = tool.PAGE.read_text(encoding="utf-8")
    shown = dict(tool.TABLE.findall(text))
    assert set(shown) == {*ALL, "prices", "quorums"}
    for name in ALL:
        assert f"\n## {name}\n" in text
        assert f"images/capture_{name}.png" in text
        picture = tool.IMAGES / f"capture_{name}.png"
        assert 5_000 < picture.stat().st_size < 80_000
        rows = [line.split(" | ")[0].strip("| ") for line in shown[name].splitlines()[2:]]
        assert rows == [tool.label(defences) for defences in tool.played(name)]
