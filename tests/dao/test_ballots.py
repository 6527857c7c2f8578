"""Ballots: exact totals, one vote each, inside the period, and the same whatever came before."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from daogym.envs.core.random import root_keys
from daogym.envs.dao.arrivals import NOBODY_MAY_PROPOSE, NOTHING_AGREED, PROPOSED
from daogym.envs.dao.ballots import (
    ABSTAIN,
    AGAINST,
    BALLOT_COUNT,
    BALLOT_NEXT,
    BALLOT_ROWS,
    CONTENT_REFUSED,
    FOR,
    LONGEST_PERIOD,
    NEVER,
    OTHER_CONTENT,
    PERIOD_REFUSED,
    SEVERAL,
)
from daogym.envs.dao.electorate import (
    NAMED,
    ArrivalSettings,
    Electorate,
    ElectorateSettings,
    OpinionSettings,
    TimingSettings,
    TurnoutSettings,
    draw_electorate,
)
from daogym.envs.dao.electorate_study import rehearse

from .ballot_kernels import (
    add_all,
    all_arrivals,
    all_circumstances,
    draw,
    pop_until,
    propose,
    support_in_forum,
)

pytestmark = pytest.mark.kernel

KEY = root_keys([7])[0]
SMALLEST_P = 1e-3
PARAMETERS = 3
ELECTORATES = {name: draw_electorate(s, (0.5, 0.3, 0.8)) for name, s in NAMED.items()}
CALIBRATED, CONTESTED = ELECTORATES["calibrated"], ELECTORATES["contested"]
QUIET = OpinionSettings(circumstances=0.0, vote_noise=0.0, spread=0.2)

share = st.floats(0.0, 1.0)
number = st.integers(0, 2**32 - 1)


class Ballots:
    """A lane's ballots, and what one proposal of them says in plain numbers."""

    def __init__(self, capacity: int, slots: int = 1) -> None:
        self.clock = np.zeros((BALLOT_ROWS, slots), dtype=np.int64)
        self.events = np.zeros((slots, capacity + 1), dtype=np.int64)

    def draw(
        self, e: Electorate, number: int, *, start: int = 0, period: int = 96, parameter: int = 0,
        old: float = 0.5, new: float = 0.6, appeal: float = 0.0, slot: int = 0, key: Any = KEY,
    ) -> int:  # fmt: skip
        """Draw a proposal's ballots; the number of voters."""
        return int(
            draw(key, number, start, period, parameter, old, new, appeal, e.ints, e.floats,
                 self.clock, self.events, slot)
        )  # fmt: skip

    def rows(self, slot: int = 0) -> list[tuple[int, int, int, int]]:
        """(offset, support, voter, votes) of each event, unpacked without the code under test."""
        found = []
        for event in self.events[slot, : self.clock[BALLOT_COUNT, slot]].tolist():
            rest, votes = divmod(event, 2**31)
            rest, voter = divmod(rest, 2**14)
            offset, support = divmod(rest, 4)
            found.append((offset, support, voter, votes))
        return found


def totals(rows: list[tuple[int, int, int, int]]) -> list[int]:
    """Votes Against, For and Abstain."""
    return [sum(votes for _, s, _, votes in rows if s == support) for support in range(3)]


# --- what one draw is -----------------------------------------------------------------------------


@settings(max_examples=60)
@given(
    st.sampled_from(sorted(NAMED)), number, st.integers(0, 2**29), st.integers(1, LONGEST_PERIOD),
    st.integers(-1, PARAMETERS - 1), share, share, st.floats(-0.1, 0.1),
)  # fmt: skip
def test_everyone_votes_at_most_once_inside_the_period_with_all_their_votes(
    name: str, number: int, start: int, period: int, parameter: int, old: float, new: float,
    appeal: float,
) -> None:  # fmt: skip
    e = ELECTORATES[name]
    ballots = Ballots(len(e.weights))
    voters = ballots.draw(e, number, start=start, period=period, parameter=parameter, old=old,
                          new=new, appeal=appeal)  # fmt: skip
    rows = ballots.rows()
    assert voters == len(rows) == len({voter for _, _, voter, _ in rows})
    assert all(1 <= offset <= period for offset, _, _, _ in rows)
    assert all(support in (AGAINST, FOR, ABSTAIN) for _, support, _, _ in rows)
    assert [votes for _, _, _, votes in rows] == [int(e.weights[v]) for _, _, v, _ in rows]
    offsets = [offset for offset, _, _, _ in rows]
    assert offsets == sorted(offsets)
    assert sum(totals(rows)) <= e.holdings[~e.silent].sum()
    first = start + offsets[0] if rows else NEVER
    assert ballots.clock[BALLOT_NEXT, 0] == first


@settings(max_examples=60)
@given(st.sampled_from(sorted(NAMED)), number, st.integers(3, 60), share)
def test_a_small_capacity_keeps_every_total(
    name: str, number: int, capacity: int, new: float
) -> None:
    e = ELECTORATES[name]
    whole, small = Ballots(len(e.weights)), Ballots(capacity)
    assert whole.draw(e, number, new=new) == small.draw(e, number, new=new)
    full, kept = whole.rows(), small.rows()
    assert totals(kept) == totals(full)
    assert len(kept) == min(capacity, len(full))
    # events that stand for one voter are those of the full list
    assert {row for row in kept if row[2] != SEVERAL} <= set(full)
    assert [row[0] for row in kept] == sorted(row[0] for row in kept)
    # votes move little: the mean time of all votes, weighted, by less than a tenth of the period
    if capacity >= 32:
        mean = [sum(o * v for o, _, _, v in r) / sum(totals(r)) for r in (full, kept)]
        assert abs(mean[0] - mean[1]) < 1.0


event = st.tuples(
    st.integers(1, 500), st.integers(0, 2), st.integers(0, SEVERAL - 1), st.integers(1, 10**6)
)


@given(st.lists(event, max_size=60), st.integers(3, 20))
def test_merging_keeps_totals_order_and_the_largest(
    added: list[tuple[int, int, int, int]], capacity: int
) -> None:
    ballots = Ballots(capacity)
    add_all(ballots.clock, ballots.events, np.array(added, dtype=np.int64).reshape(-1, 4))
    rows = ballots.rows()
    assert totals(rows) == totals(added)
    assert len(rows) == min(len(added), capacity)
    assert [row[0] for row in rows] == sorted(row[0] for row in rows)
    assert {row[0] for row in rows} <= {row[0] for row in added}
    if added:
        assert max(row[3] for row in rows) >= max(row[3] for row in added)


def test_the_small_are_merged_and_the_large_keep_their_own_event() -> None:
    keen = TurnoutSettings(occasional=0.9, interest=0.0)
    crowd = draw_electorate(ElectorateSettings(turnout=keen), (0.5,))
    ballots = Ballots(128)
    voters = ballots.draw(crowd, 3)
    rows = ballots.rows()
    assert voters > 300 and len(rows) == 128
    whole = Ballots(1000)
    whole.draw(crowd, 3)
    largest = sorted(whole.rows(), key=lambda row: -row[3])[:10]
    alone = {row for row in rows if row[2] != SEVERAL}
    assert len(alone & set(largest)) >= 8


@settings(max_examples=40)
@given(
    st.lists(number, min_size=1, max_size=4, unique=True), st.integers(1, 60),
    st.integers(1, 90), st.integers(1, 30), st.integers(3, 80),
)  # fmt: skip
def test_popping_gives_each_event_at_its_step_and_once(
    numbers: list[int], start: int, period: int, stride: int, capacity: int
) -> None:
    ballots = Ballots(capacity, len(numbers))
    for slot, n in enumerate(numbers):
        ballots.draw(CONTESTED, n, start=start + slot, period=period, slot=slot)
    expected = np.zeros((200, len(numbers), 3), dtype=np.int64)
    for slot in range(len(numbers)):
        for offset, support, _, votes in ballots.rows(slot):
            due = start + slot + offset
            expected[-(-due // stride) * stride, slot, support] += votes
    out = np.zeros((200, len(numbers), 4), dtype=np.int64)
    pop_until(ballots.clock, ballots.events, 199 - 199 % stride, stride, out)
    assert np.array_equal(out[:, :, :3], expected)
    everything = expected.sum(axis=(0, 2))
    counted = np.cumsum(out[::stride, :, :3].sum(axis=2), axis=0)
    assert np.array_equal(out[::stride, :, 3], everything - counted)
    assert np.all(ballots.clock[BALLOT_NEXT] == NEVER)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"period": 0}, PERIOD_REFUSED),
        ({"period": LONGEST_PERIOD + 1}, PERIOD_REFUSED),
        ({"start": -1}, PERIOD_REFUSED),
        ({"parameter": PARAMETERS}, CONTENT_REFUSED),
        ({"parameter": -2}, CONTENT_REFUSED),
        ({"new": float("nan")}, CONTENT_REFUSED),
        ({"old": float("inf")}, CONTENT_REFUSED),
        ({"appeal": float("nan")}, CONTENT_REFUSED),
    ],
)
def test_what_cannot_be_voted_on_is_refused(change: dict[str, Any], code: int) -> None:
    ballots = Ballots(128)
    ballots.draw(CALIBRATED, 1)
    assert ballots.draw(CALIBRATED, 1, **change) == code
    assert ballots.rows() == [] and ballots.clock[BALLOT_NEXT, 0] == NEVER


# --- what a draw depends on -----------------------------------------------------------------------


def test_order_slots_and_neighbours_do_not_matter() -> None:
    numbers = [3, 800, 801, 2**31, 17, 2**32 - 1, 40, 5]
    alone = []
    for n in numbers:
        single = Ballots(128)
        single.draw(CONTESTED, n, start=n % 1000, parameter=n % 3)
        alone.append(single.rows())
    together = Ballots(128, len(numbers))
    for slot in np.random.default_rng(0).permutation(len(numbers)).tolist():
        for n in (numbers[slot] ^ 1, numbers[slot]):  # the slot was used before
            together.draw(CONTESTED, n, start=n % 1000, parameter=n % 3, slot=slot)
    assert [together.rows(slot) for slot in range(len(numbers))] == alone
    other_key = Ballots(128)
    other_key.draw(CONTESTED, 3, start=3, key=root_keys([8])[0])
    assert other_key.rows() != alone[0]


@pytest.mark.parametrize("name", NAMED)
def test_another_process_draws_the_same_in_another_order(name: str) -> None:
    """All ballots of 300 proposals, voted on one after another there and shuffled here."""
    code = (
        "import hashlib\n"
        "from daogym.envs.dao.electorate import NAMED, draw_electorate\n"
        "from daogym.envs.dao.electorate_study import rehearse\n"
        f"study = rehearse(draw_electorate(NAMED[{name!r}], (0.5, 0.3, 0.8)), 7, 300)\n"
        "print(hashlib.sha256(study.cast.tobytes() + study.tally.tobytes()).hexdigest())\n"
    )
    run = [sys.executable, "-P", "-c", code]
    other = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    e = ELECTORATES[name]
    study = rehearse(e, 7, 300)
    cast, tally = np.zeros_like(study.cast), np.zeros_like(study.tally)
    ballots = Ballots(1000)
    for i in np.random.default_rng(1).permutation(300).tolist():
        ballots.draw(e, study.number[i], start=study.step[i], parameter=study.parameter[i],
                     old=study.old[i], new=study.new[i])  # fmt: skip
        for _, support, voter, votes in ballots.rows():
            cast[i, voter] = votes
            tally[i, support] += votes
    assert hashlib.sha256(cast.tobytes() + tally.tobytes()).hexdigest() == other


@pytest.mark.parametrize("name", NAMED)
def test_content_decides_what_is_voted_but_not_who_votes_when(name: str) -> None:
    e = ELECTORATES[name]
    one, other = Ballots(1000), Ballots(1000)
    one.draw(e, 12, old=0.5, new=0.9)
    other.draw(e, 12, old=0.7, new=0.1, parameter=2, appeal=1.0)
    assert [(o, v) for o, _, v, _ in one.rows()] == [(o, v) for o, _, v, _ in other.rows()]
    assert {s for _, s, _, _ in other.rows()} == {FOR}
    assert AGAINST in {s for _, s, _, _ in one.rows()}


# --- opinions -------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(number, st.integers(0, PARAMETERS - 1), share, share, st.sampled_from((0.0, 0.02, -0.05)))
def test_without_noise_members_vote_for_what_comes_nearer(
    number: int, parameter: int, old: float, new: float, appeal: float
) -> None:
    s = ElectorateSettings(opinions=QUIET)
    e = QUIET_ELECTORATE
    ballots = Ballots(1000)
    ballots.draw(e, number, parameter=parameter, old=old, new=new, appeal=appeal)
    wanted = np.clip(e.ideals[parameter], 0.0, 1.0)
    gain = np.abs(old - wanted) - np.abs(new - wanted) + appeal
    for _, support, voter, _ in ballots.rows():
        if abs(abs(gain[voter]) - s.opinions.abstain_band) < 1e-12:
            continue
        decided = FOR if gain[voter] > 0.0 else AGAINST
        assert support == (ABSTAIN if abs(gain[voter]) < s.opinions.abstain_band else decided)


QUIET_ELECTORATE = draw_electorate(ElectorateSettings(opinions=QUIET), (0.5, 0.3, 0.8))


def test_appeal_alone_decides_on_other_content() -> None:
    ballots = Ballots(1000)
    for appeal, support in ((-1.0, AGAINST), (1.0, FOR)):
        ballots.draw(CONTESTED, 4, parameter=OTHER_CONTENT, old=0.0, new=0.0, appeal=appeal)
        assert {row[1] for row in ballots.rows()} == {support}


def test_noise_is_a_normal_error_of_each_member() -> None:
    """With error sigma and a gain of sigma, a share Phi(1) of members sees it rightly."""
    noise = OpinionSettings(vote_noise=0.1, abstain_band=0.0)
    e = draw_electorate(ElectorateSettings(opinions=noise), (0.5,))
    ballots = Ballots(1000)
    supports: list[int] = []
    for n in range(400):
        ballots.draw(e, n, parameter=OTHER_CONTENT, appeal=0.1)
        supports += [row[1] for row in ballots.rows()]
    right = supports.count(FOR)
    expected = scipy.stats.norm.cdf(1.0)
    assert scipy.stats.binomtest(right, len(supports), expected).pvalue > SMALLEST_P


def test_circumstances_are_the_same_for_all_and_move_slowly() -> None:
    s = NAMED["calibrated"].opinions
    out = np.zeros(s.circumstances_steps * 2000)
    all_circumstances(KEY, 0, CALIBRATED.ints, CALIBRATED.floats, out)
    knots = out[:: s.circumstances_steps] / s.circumstances
    assert scipy.stats.kstest(knots, "norm").pvalue > SMALLEST_P
    assert abs(np.corrcoef(knots[:-1], knots[1:])[0, 1]) < 0.1
    assert np.abs(np.diff(out)).max() < 8.0 * s.circumstances / s.circumstances_steps
    assert np.abs(np.diff(out, 2)).reshape(-1)[: s.circumstances_steps - 2].max() < 1e-12
    other = np.zeros_like(out)
    all_circumstances(KEY, 1, CALIBRATED.ints, CALIBRATED.floats, other)
    assert abs(np.corrcoef(knots, other[:: s.circumstances_steps])[0, 1]) < 0.1


# --- turnout and timing ---------------------------------------------------------------------------


def counts(e: Electorate, proposals: int) -> NDArray[np.int64]:
    """How often each voter votes."""
    ballots = Ballots(len(e.weights))
    seen = np.zeros(len(e.weights), dtype=np.int64)
    for number in range(proposals):
        voters = ballots.draw(e, number)
        seen[(ballots.events[0, :voters] >> 31) % 2**14] += 1
    return seen


def test_members_come_as_often_as_their_participation_says() -> None:
    t = TurnoutSettings(interest=0.0)
    e = draw_electorate(ElectorateSettings(turnout=t), (0.5,))
    proposals = 3000
    seen = counts(e, proposals)
    p = e.participation
    z = (seen - proposals * p) / np.sqrt(proposals * p * (1.0 - p))
    # each member alone, all together, and their spread: no member shares another's luck
    assert np.abs(z).max() < 5.0
    assert abs(z.mean()) < 4.0 / np.sqrt(len(z))
    assert z.std() == pytest.approx(1.0, abs=0.12)


def test_interest_moves_occasional_voters_together() -> None:
    e = CALIBRATED
    ballots = Ballots(len(e.weights))
    occasional = []
    for n in range(1500):
        ballots.draw(e, n)
        occasional.append(sum(54 <= row[2] < len(e.weights) - 270 for row in ballots.rows()))
    mean, spread = NAMED["calibrated"].turnout.occasional, NAMED["calibrated"].turnout.interest
    members = len(e.weights) - 270 - 54
    drawn = np.random.default_rng(0).standard_normal(200_000)
    model = members * np.minimum(mean * np.exp(spread * drawn), 1.0)
    assert np.median(occasional) == pytest.approx(np.median(model), rel=0.15)
    assert np.quantile(occasional, 0.95) == pytest.approx(np.quantile(model, 0.95), rel=0.2)


@pytest.mark.parametrize("factor", [0.0, 10.0])
def test_turnout_has_both_ends(factor: float) -> None:
    turnout = TurnoutSettings(factor=factor, seldom=0.2, occasional=0.9, interest=0.0)
    e = draw_electorate(ElectorateSettings(turnout=turnout), (0.5,))
    ballots = Ballots(len(e.weights))
    assert ballots.draw(e, 9) == (0 if factor == 0.0 else len(e.weights))
    code, *_ = propose(KEY, 0, 0, 0, np.full(1, 0.9), np.full(1, 0.1), np.ones(1, dtype=np.int64),
                       e.ints, e.floats)  # fmt: skip
    assert code in ((NOBODY_MAY_PROPOSE,) if factor == 0.0 else (PROPOSED, NOTHING_AGREED))


def test_members_vote_in_an_early_burst_and_a_late_rush() -> None:
    t = TimingSettings()
    period = 10_000
    ballots = Ballots(1000)
    offsets: list[int] = []
    for n in range(300):
        ballots.draw(CALIBRATED, n, period=period)
        offsets += [row[0] for row in ballots.rows()]

    def before(when: NDArray[np.float64]) -> NDArray[np.float64]:
        early = t.early_share * np.sqrt(np.clip(when / t.early_width, 0.0, 1.0))
        late = t.late_share * (1.0 - np.sqrt(np.clip((1.0 - when) / t.late_width, 0.0, 1.0)))
        return early + late + (1.0 - t.early_share - t.late_share) * when

    when = (np.array(offsets) - 0.5) / period
    assert scipy.stats.kstest(when, before).pvalue > SMALLEST_P
    first, last = (when < 0.1).mean(), (when > 0.9).mean()
    middle = ((when > 0.45) & (when < 0.55)).mean()
    assert first > 3.0 * middle and last > 3.0 * middle


@given(number, st.integers(0, 2**20), st.integers(1, 400), st.integers(2, 60))
def test_ballots_wait_for_the_next_count_or_the_close(
    number: int, start: int, period: int, between: int
) -> None:
    timing = TimingSettings(count_steps=between)
    counted = draw_electorate(ElectorateSettings(timing=timing), (0.5, 0.3, 0.8))
    one_by_one, together = Ballots(1000), Ballots(1000)
    one_by_one.draw(CALIBRATED, number, start=start, period=period)
    together.draw(counted, number, start=start, period=period)
    expected = {
        (min(-(-(start + offset) // between) * between - start, period), support, voter, votes)
        for offset, support, voter, votes in one_by_one.rows()
    }
    assert set(together.rows()) == expected and len(together.rows()) == len(one_by_one.rows())


def test_quorum_is_sometimes_reached_late() -> None:
    """With a quorum near the median turnout, some proposals reach it in the last tenth."""
    ballots = Ballots(1000)
    late, reached = 0, 0
    for n in range(500):
        ballots.draw(CALIBRATED, n)
        rows = ballots.rows()
        cast = np.cumsum([votes for _, _, _, votes in rows])
        crossing = np.flatnonzero(cast >= 4 * 10**7)
        if len(crossing):
            reached += 1
            late += rows[crossing[0]][0] > 0.9 * 96
    assert 0.05 * reached < late < 0.6 * reached and reached > 250


# --- proposals on their own -----------------------------------------------------------------------


def test_proposals_arrive_at_their_rate() -> None:
    e = draw_electorate(ElectorateSettings(arrivals=ArrivalSettings(per_step=0.3)), (0.5,))
    out = np.zeros(40_000, dtype=np.int64)
    all_arrivals(KEY, e.floats, out)
    assert out.max() <= 4
    seen = np.bincount(out, minlength=5)[:5]
    expected = scipy.stats.poisson.pmf(np.arange(5), 0.3)
    expected[4] += scipy.stats.poisson.sf(4, 0.3)
    assert scipy.stats.chisquare(seen, expected * len(out)).pvalue > SMALLEST_P


@settings(max_examples=80)
@given(
    st.sampled_from(sorted(NAMED)), st.integers(0, 2**29 - 1), st.integers(0, 3),
    st.integers(0, 3 * 10**7), st.lists(share, min_size=3, max_size=3),
    st.lists(st.floats(0.0, 0.5), min_size=3, max_size=3),
    st.lists(st.integers(0, 1), min_size=3, max_size=3),
)  # fmt: skip
def test_a_proposal_keeps_its_limits_and_goes_the_proposers_way(
    name: str, step: int, place: int, threshold: int, values: list[float], reach: list[float],
    proposable: list[int],
) -> None:  # fmt: skip
    e, s = ELECTORATES[name], NAMED[name]
    n = 8 * step + place
    code, voter, parameter, new = propose(
        KEY, n, step, threshold, np.array(values), np.array(reach),
        np.array(proposable, dtype=np.int64), e.ints, e.floats,
    )  # fmt: skip
    able = e.weights >= threshold
    if not able.any():
        assert code == NOBODY_MAY_PROPOSE
    if not any(proposable) and able.any():
        assert code == NOTHING_AGREED
    if code != PROPOSED:
        assert (voter, parameter) == (-1, -1)
        return
    old = values[parameter]
    assert able[voter] and proposable[parameter] == 1
    assert 0.0 <= new <= 1.0 and abs(new - old) <= reach[parameter] + 1e-15
    assert abs(new - old) >= s.arrivals.smallest_change
    shift = np.zeros(1)
    at = np.zeros(step % 2000 + 1)
    if step < 2000:
        all_circumstances(KEY, parameter, e.ints, e.floats, at)
        shift = at[-1:]
        wanted = float(np.clip(e.ideals[parameter, voter] + shift[0], 0.0, 1.0))
        assert (new - old) * (wanted - old) > 0.0
        assert abs(new - wanted) <= abs(old - wanted)
    agreed = support_in_forum(KEY, n, step, parameter, old, new, e.ints, e.floats)
    assert agreed >= s.arrivals.temperature_check


def test_forum_support_is_the_share_of_expected_votes() -> None:
    e = QUIET_ELECTORATE
    band = QUIET.abstain_band
    for old, new in ((0.5, 0.6), (0.2, 0.3), (0.9, 0.5)):
        wanted = np.clip(e.ideals[1, :14], 0.0, 1.0)
        gain = np.abs(old - wanted) - np.abs(new - wanted)
        expected = e.weights[:14] * e.participation[:14]
        decided = expected[np.abs(gain) > band].sum()
        share = expected[gain > band].sum() / decided
        found = support_in_forum(KEY, 1, 5, 1, old, new, e.ints, e.floats)
        assert found == pytest.approx(share, rel=1e-12)


def test_proposers_are_drawn_by_activity_among_the_able() -> None:
    e = CONTESTED
    threshold = int(np.sort(e.weights)[-40])
    values, reach = np.full(3, 0.5), np.full(3, 0.1)
    seen = np.zeros(len(e.weights))
    chosen = np.zeros(3)
    for step in range(4000):
        code, voter, parameter, _ = propose(
            KEY, 8 * step, step, threshold, values, reach, np.array([1, 0, 1]), e.ints, e.floats
        )
        if code == PROPOSED:
            seen[voter] += 1
            chosen[parameter] += 1
    able = e.weights >= threshold
    assert seen[~able].sum() == 0 and chosen[1] == 0
    expected = e.participation[able] / e.participation[able].sum() * seen.sum()
    common = expected > 5
    table = np.append(seen[able][common], seen[able][~common].sum())
    model = np.append(expected[common], expected[~common].sum())
    # those whose ideal is where the value is already propose nothing, so shares are not exact
    assert np.corrcoef(table, model)[0, 1] > 0.9
    assert chosen[0] == pytest.approx(chosen[2], rel=0.1)
