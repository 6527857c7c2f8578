"""Charters under other governors' rules, played over weeks and held against each rule's text."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from daogym.envs.core.strict import ConfigError, load_mapping
from daogym.envs.dao.ballots import event_offset, event_support, event_voter, event_votes
from daogym.envs.dao.charter import Charter
from daogym.envs.dao.counting import AGAINST, FOR
from daogym.envs.dao.governance_columns import (
    A_LEAVING,
    A_LEFT,
    A_LEFT_VOTES,
    A_VETOES,
    LEFT_BITS,
    LEFT_WORDS,
    VALUE_SCALE,
)
from daogym.envs.dao.governance_layout import pack_governance
from daogym.envs.dao.governor_layout import (
    CANCELED,
    EXECUTED,
    G_STATIC_SUPPLY,
    G_VETO_ESCROWED,
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_ETA_S,
    P_FOR,
    P_ID,
    P_NEEDED,
    P_NOTE,
    P_PROPOSER,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
)

from .voted_lane import DAY, GOVERNED, Record, record

pytestmark = pytest.mark.kernel
STEPS = 40 * DAY
SUPPLY = 10**9


def charter(kind: str, electorate: str = "contested", **settings: Any) -> Charter:
    """A busy charter of this kind; `roles` and `governor` settings by name."""
    roles = settings.pop("roles", {})
    return load_mapping(
        {"mode": "voted", "electorate": electorate, "proposals_per_day": 3.0, "roles": roles,
         "governor": {"kind": kind, **settings}},
        Charter,
    )  # fmt: skip


def ended(made: Record) -> list[tuple[int, Any]]:
    """(step, row) of each proposal when its end was noted; rows as they were then."""
    found = []
    for step in range(1, len(made.seen)):
        before, now = made.seen[step - 1], made.seen[step]
        for slot in range(len(now)):
            same = now[slot, P_ID] == before[slot, P_ID]
            if same and before[slot, P_NOTE] > 0 and now[slot, P_NOTE] == 0:
                found.append((step, now[slot]))
    return found


def cast_on(made: Record, number: int) -> list[tuple[int, int, int, int]]:
    """(step, support, voter, votes) of all ballots drawn on a proposal, from the step it opened."""
    for step in range(len(made.seen)):
        for slot in range(made.seen.shape[1]):
            row = made.seen[step, slot]
            if row[P_ID] == number and row[P_SNAPSHOT] == step:
                events = made.events[step, slot, : made.clock[step, 3, slot]].tolist()
                return [
                    (step + event_offset(e), event_support(e), event_voter(e), event_votes(e))
                    for e in events
                ]
    return []


def test_bravo_lets_for_alone_make_the_quorum_and_a_proposer_have_one() -> None:
    made = record(charter("bravo"), STEPS)
    quorum = SUPPLY * 2 // 100
    won = lost = 0
    for _, row in ended(made):
        carried = row[P_FOR] >= quorum and row[P_FOR] > row[P_AGAINST]
        assert (row[P_CLOSED] == EXECUTED) == carried
        won, lost = won + carried, lost + (not carried)
    assert won > 5 and lost > 5
    for step in range(0, STEPS, 7):
        rows = made.seen[step]
        open_ = rows[(rows[:, P_NOTE] > 0) & (rows[:, P_SNAPSHOT] + 96 >= step)]
        assert len(set(open_[:, P_PROPOSER].tolist())) == len(open_)


def test_optimistic_motions_pass_unless_enough_object() -> None:
    made = record(charter("optimistic", objections_bps=200), STEPS)
    needed = SUPPLY * 200 // 10_000
    won = lost = 0
    for step, row in ended(made):
        objections = [(at, v) for at, s, _, v in cast_on(made, int(row[P_ID])) if s == AGAINST]
        running, stopped = 0, None
        for at, votes in objections:
            running += votes
            if running >= needed and stopped is None:
                stopped = at
        assert row[P_FOR] == row[P_ABSTAIN] == 0
        if stopped is None:
            assert row[P_CLOSED] == EXECUTED and row[P_AGAINST] == running < needed
            assert step == row[P_SNAPSHOT] + 96 + 1  # at once: there is no timelock
            won += 1
        else:
            assert row[P_CLOSED] == 0 and step == stopped
            lost += 1
    assert won > 5 and lost > 5


def test_escrowed_objections_put_execution_off() -> None:
    waits = {"first_share_ppm": 2_000, "second_share_ppm": 20_000, "shortest_steps": 5,
             "longest_steps": 60}  # fmt: skip
    made = record(charter("openzeppelin", dynamic_timelock=waits, timelock_steps=0), STEPS)
    plain = record(charter("openzeppelin", timelock_steps=0), STEPS)
    late = 0
    for step, row in ended(made):
        if row[P_CLOSED] != EXECUTED:
            continue
        eta = int(row[P_ETA_S])
        assert step >= eta
        late += step > eta
        # the escrow holds what is cast Against on all live proposals
    for step in range(STEPS):
        rows = made.seen[step]
        live = rows[rows[:, P_NOTE] > 0]
        # after a rage quit the escrow holds less than what live proposals were voted down with
        assert made.settings[step, G_VETO_ESCROWED] <= live[:, P_AGAINST].sum()
    assert late > 3
    assert all(step == row[P_ETA_S] for step, row in ended(plain) if row[P_CLOSED] == EXECUTED)
    # one proposal alone waits as Lido's formula says, from the step in which 0.2 % had objected
    for step, row in ended(made):
        rows = made.seen[row[P_SNAPSHOT] : step, :, :]
        alone = ((rows[:, :, P_NOTE] > 0) & (rows[:, :, P_ID] != row[P_ID])
                 & (rows[:, :, P_AGAINST] > 0)).sum() == 0  # fmt: skip
        if row[P_CLOSED] != EXECUTED or not alone or step == row[P_ETA_S]:
            continue
        share = int(row[P_AGAINST]) * 10**9 // SUPPLY
        wait = 60 if share >= 20_000_000 else 5 + (share - 2_000_000) * 55 // 18_000_000
        since, running = 0, 0
        for at, support, _, votes in cast_on(made, int(row[P_ID])):
            running += votes if support == AGAINST else 0
            if running >= SUPPLY * 2 // 1000:
                since = at
                break
        # a wait is over when strictly more time has passed; the dissenters then take a step to quit
        quits = 1 if share >= 20_000_000 else 0
        assert step == max(since + wait + 1, row[P_ETA_S]) + quits
        late += 1000
    assert late > 1000


def test_a_queue_that_is_put_off_beyond_its_grace_expires() -> None:
    waits = {"first_share_ppm": 1_000, "second_share_ppm": 20_000, "shortest_steps": 90,
             "longest_steps": 90}  # fmt: skip
    made = record(
        charter("bravo", dynamic_timelock=waits, timelock_steps=1, grace_steps=4), STEPS
    )  # fmt: skip
    gone = [row for _, row in ended(made) if row[P_CLOSED] == 0 and row[P_ETA_S] > 0]
    kept = [(s, r) for s, r in ended(made) if r[P_CLOSED] == EXECUTED]
    assert len(gone) > 0 and len(kept) > 0
    assert all(step < row[P_ETA_S] + 4 for step, row in kept)


def test_quadratic_ballots_are_roots_of_tokens() -> None:
    made = record(charter("quadratic"), STEPS)
    plain = pack_governance(charter("openzeppelin"), GOVERNED, steps_per_day=DAY, horizon=7 * DAY)
    tokens = plain.electorate.weights
    seen = 0
    for _, row in ended(made):
        for _, _, voter, votes in cast_on(made, int(row[P_ID])):
            if voter < len(tokens):
                assert votes == math.isqrt(int(tokens[voter]))
                seen += 1
    assert seen > 500
    # a quorum of 2 % of what all holders could cast, had each spent all tokens
    drawn = plain.electorate
    alone = drawn.holdings[(drawn.delegate < 0) | drawn.silent]
    supply = sum(math.isqrt(w) for w in [*tokens.tolist(), *alone.tolist()])
    assert made.settings[-1, G_STATIC_SUPPLY] == supply
    quorum = supply * 2 // 100
    for _, row in ended(made):
        carried = row[P_FOR] > row[P_AGAINST] and row[P_FOR] + row[P_ABSTAIN] >= quorum
        assert (row[P_CLOSED] == EXECUTED) == carried


def test_conviction_grows_as_its_formula_says() -> None:
    half_life, weight, largest = 24.0, 0.002, 0.6
    made = record(charter("conviction", conviction={"weight": weight}), STEPS)
    decay = round(0.5 ** (1.0 / half_life) * 10**6) / 10**6
    won = lost = 0
    for step, row in ended(made):
        ballots = cast_on(made, int(row[P_ID]))
        opened = int(row[P_SNAPSHOT])
        p = int(row[P_TARGET])
        span = GOVERNED[p].high - GOVERNED[p].low
        old = (made.path[opened - 1, p] - GOVERNED[p].low) / span
        change = abs(row[P_VALUE] / VALUE_SCALE - old)
        if change >= largest:
            assert row[P_CLOSED] == 0
            continue
        needed = weight * SUPPLY / ((1.0 - decay) * (largest - change) ** 2)
        assert row[P_NEEDED] == pytest.approx(needed, rel=1e-6)

        # y(t) = sum over stakes of x (1 - a**age) / (1 - a)
        def conviction(at: int, ballots: Any = ballots) -> float:
            return sum(
                v * (1.0 - decay ** (at - cast + 1)) / (1.0 - decay)
                for cast, s, _, v in ballots if s == FOR and cast <= at
            )  # fmt: skip

        crossing = next((t for t in range(opened + 1, opened + 97) if conviction(t) > needed), None)
        if crossing is None:
            assert row[P_CLOSED] == 0 and step == opened + 97
            lost += 1
        else:
            assert row[P_CLOSED] == EXECUTED and row[P_ETA_S] == crossing + 48 == step
            assert row[P_FOR] == pytest.approx(conviction(crossing), abs=200)
            won += 1
    assert won > 5 and lost > 5


def departed(agenda: Any) -> set[int]:
    """Voters whose bits are set."""
    words = agenda[A_LEFT : A_LEFT + LEFT_WORDS].tolist()
    return {w * LEFT_BITS + b for w, bits in enumerate(words) for b in range(LEFT_BITS)
            if bits >> b & 1}  # fmt: skip


def test_moloch_members_leave_over_what_hurts_them() -> None:
    made = record(charter("moloch", rage_quit={"leave_above": 0.1}), STEPS)
    weights = made.governance.electorate.weights
    executed = [row for _, row in ended(made) if row[P_CLOSED] == EXECUTED]
    assert executed and all(row[P_FOR] > row[P_AGAINST] for row in executed)
    left: dict[int, int] = {}
    for step in range(STEPS):
        for voter in departed(made.agenda[step]) - set(left):
            left[voter] = step
        assert made.agenda[step, A_LEFT_VOTES] == sum(int(weights[v]) for v in left)
        gone = int(made.agenda[step, A_LEAVING])
        assert made.settings[step, G_STATIC_SUPPLY] == SUPPLY - gone
    assert len(left) > 3
    for voter, step in left.items():
        # it had voted Against something that had passed and waited
        rows = made.seen[step]
        waiting = rows[(rows[:, P_ETA_S] > 0) & (rows[:, P_ETA_S] >= step)]
        numbers = [int(n) for n in waiting[:, P_ID]]
        assert any(
            (s, v) == (AGAINST, voter)
            for n in numbers for _, s, v, _ in cast_on(made, n)
        )  # fmt: skip
        # and never votes again
        for later in range(step + 1, STEPS, 13):
            for slot in range(8):
                read, count = made.clock[later, 2, slot], made.clock[later, 3, slot]
                coming = made.events[later, slot, read:count].tolist()
                assert all(event_voter(e) != voter for e in coming)
    calm = record(charter("moloch", rage_quit={"leave_above": 1.0}), STEPS)
    assert calm.agenda[-1, A_LEFT_VOTES] == 0


@pytest.mark.parametrize(("kind", "late"), [("openzeppelin", 12), ("optimistic", 30)])
def test_the_guardian_keeps_its_range(kind: str, late: int) -> None:
    settings: dict[str, Any] = {"guardian_veto": {"keeps": {"limit": [0.5, 0.9]}}}
    if kind == "optimistic":
        settings["objections_bps"] = 10_000
    guarded = record(charter(kind, roles={"guardian": {"reaction_steps": late}}, **settings), STEPS)
    settings.pop("guardian_veto")
    free = record(charter(kind, **settings), STEPS)
    limit = GOVERNED[1]
    assert free.path[:, 1].min() < 0.5
    assert guarded.path[:, 1].min() >= 0.5 - 1e-8 and guarded.path[:, 1].max() <= 0.9 + 1e-8
    vetoed = 0
    for step, row in ended(guarded):
        value = limit.low + row[P_VALUE] / VALUE_SCALE * (limit.high - limit.low)
        outside = row[P_TARGET] == 1 and not 0.5 <= value <= 0.9
        if row[P_CLOSED] == CANCELED:
            assert outside
            success = row[P_ETA_S] - 48 if kind == "openzeppelin" else row[P_SNAPSHOT]
            assert step == success + late
            vetoed += 1
        assert not (outside and row[P_CLOSED] == EXECUTED)
    assert vetoed > 3 and guarded.agenda[-1, A_VETOES] == vetoed


def test_late_quorum_puts_the_deadline_off() -> None:
    made = record(charter("openzeppelin", "calibrated", late_quorum_extension_steps=48), STEPS)
    later = 0
    for step, row in ended(made):
        if row[P_CLOSED] == EXECUTED:
            running, reached = 0, 0
            for at, support, _, votes in cast_on(made, int(row[P_ID])):
                running += votes if support != AGAINST else 0
                if running >= SUPPLY * 2 // 100:
                    reached = at
                    break
            deadline = max(row[P_SNAPSHOT] + 96, reached + 48)
            assert row[P_ETA_S] == deadline + 1 + 48 == step
            later += deadline > row[P_SNAPSHOT] + 96
    assert later > 0


def test_moloch_needs_a_treasury() -> None:
    with pytest.raises(ConfigError, match=r"governor\.kind.*keeps no treasury"):
        pack_governance(charter("moloch"), GOVERNED, steps_per_day=DAY, horizon=7 * DAY)


def test_bounds_and_slews_hold_under_every_kind() -> None:
    for kind in ("bravo", "optimistic", "quadratic", "moloch", "conviction"):
        objections = {"objections_bps": 200} if kind == "optimistic" else {}
        made = record(charter(kind, **objections), STEPS, seed=3)
        for p, parameter in enumerate(GOVERNED):
            path = made.path[:, p]
            assert (path >= parameter.low).all() and (path <= parameter.high).all()
            assert np.abs(np.diff(path)).max() <= parameter.largest_change * (1 + 1e-7)
            moves = np.flatnonzero(np.diff(path))
            if parameter.largest_change > 0:
                assert len(moves) > 3, kind
                assert np.diff(moves).min() >= parameter.least_interval_days * DAY
