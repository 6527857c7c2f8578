"""Capture metrics of lanes, recounted from recorded votes; stress charters follow the cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.random import integer
from daogym.envs.core.strict import load_mapping
from daogym.envs.dao.capture import run_case
from daogym.envs.dao.capture_charter import CASES, VARIANTS
from daogym.envs.dao.capture_metrics import gini, nakamoto
from daogym.envs.dao.capture_report import CAPTURE_NAMES, capture_report
from daogym.envs.dao.charter import Charter, load_charter
from daogym.envs.dao.charter_stress import PATHS, attack_paths
from daogym.envs.dao.governance_columns import A_ATTACK_AT, OPERATOR
from daogym.envs.dao.governance_events import STREAM_ATTACK
from daogym.envs.dao.governor_layout import (
    EXECUTED,
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_FOR,
    P_PROPOSER,
    P_TARGET,
)

from .agentic_world import GOVERNED as GRID
from .agentic_world import HORIZON, LAXEST_EACH, NEVER, TREASURY_CENTS, play
from .test_governor_kinds import SUPPLY, cast_on, ended
from .test_operator import agentic
from .voted_lane import DAY, record

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("electorate", ["calibrated", "contested"])
def test_a_report_is_what_the_votes_were(electorate: str) -> None:
    charter = Charter(mode="voted", electorate=electorate, proposals_per_day=3.0)
    made = record(charter, 30 * DAY)
    report = capture_report(made.governance, made.agenda[-1:])
    over = [row for _, row in ended(made)]
    votes = [np.array([b[3] for b in cast_on(made, int(row[1 - 1]))]) for row in over]
    assert len(over) > 10
    assert report["proposals_decided"][0] == len(over)
    assert report["nakamoto"][0] == pytest.approx(np.mean([nakamoto(v) for v in votes]))
    assert report["gini"][0] == pytest.approx(np.mean([gini(v) for v in votes]), abs=2e-6)
    assert report["turnout"][0] == pytest.approx(
        np.mean([v.sum() / SUPPLY for v in votes]), abs=2e-6
    )
    changes = sum(row[P_CLOSED] == EXECUTED for row in over)
    assert report["parameter_changes"][0] == changes
    assert changes == (np.diff(made.path, axis=0, prepend=[[0.08, 0.7, 1.0]]) != 0).sum()
    for name in ("captured_parameter_steps", "treasury_loss_cents", "vetoes", "votes_left"):
        assert report[name][0] == 0
    weights = made.governance.electorate.weights
    assert report["nakamoto_of_votes"][0] == nakamoto(weights)
    assert report["gini_of_votes"][0] == gini(weights)
    assert set(report) == {*CAPTURE_NAMES, "nakamoto_of_votes", "gini_of_votes"}
    with pytest.raises(ValueError, match=r"shape \(N, "):
        capture_report(made.governance, made.agenda[-1])


def test_counts_begin_with_the_episode() -> None:
    made = record(load_charter("voted"), 1, amid=True)
    report = capture_report(made.governance, made.agenda)
    assert all(report[name][0] == 0 for name in CAPTURE_NAMES)


def test_an_operator_that_carries_its_own_proposals_captures() -> None:
    """With 5 % of the supply it decides alone; with 0.1 % it needs the members."""
    for votes_ppm, captures in ((50_000, True), (1_000, False)):
        week = play(agentic({"proposals_per_day": 0.0}, votes_ppm=votes_ppm), LAXEST_EACH, 8)
        report = capture_report(week.governance, week.agenda)
        assert bool(report["captured_parameter_steps"].sum() > 0) is captures
        assert report["operator_won"].sum() == week.won > 0
        for lane in range(8):
            captured, expected = set(), 0
            for step in range(1, HORIZON):
                expected += len(captured)
                was, now = week.seen[lane, step - 1], week.seen[lane, step]
                acted = (was[:, P_CLOSED] == 0) & (now[:, P_CLOSED] == EXECUTED)
                for row in now[acted & (now[:, P_PROPOSER] == OPERATOR)]:
                    others = row[P_FOR] - votes_ppm * 1000
                    carried = others > row[P_AGAINST]
                    carried &= others + row[P_ABSTAIN] >= SUPPLY * 2 // 100
                    captured.discard(int(row[P_TARGET]))
                    if not carried:
                        captured.add(int(row[P_TARGET]))
            assert report["captured_parameter_steps"][lane] == expected


# --- stress charters ------------------------------------------------------------------------------


@kernel_entry()
def drawn_path(key: Any, paths: int) -> int:
    """The path that a lane draws."""
    return integer(key, STREAM_ATTACK, 0, 0, paths)


@pytest.mark.parametrize("case", CASES + VARIANTS)
def test_a_stress_charter_follows_the_case(case: Any) -> None:
    paths = attack_paths(case, ())
    result = run_case(case, (), 3)
    assert paths.shape == (PATHS, 2)
    share = paths[3, 0] / 1e6
    assert share == pytest.approx(result.in_force.argmax() / len(result.in_force), abs=1e-6)
    assert (paths[:, 0] > 0).all() and (paths[:, 1] > 0).all() and (paths[:, 1] <= 10**6).all()
    week = play(load_charter(case), NEVER, 16)
    report = capture_report(week.governance, week.agenda)
    start = np.array([p.initial for p in GRID])
    assert start.tolist() == [0.7, 0.1, 2.0, 0.15]
    for lane in range(16):
        moves = np.abs(np.diff(week.path[lane], axis=0))
        large = moves > np.array([p.largest_change for p in GRID]) * 1.001
        at = int(week.agenda[lane, A_ATTACK_AT]) - 304
        assert set(np.flatnonzero(large.any(axis=1)) + 1) <= {at}
        bounds = [(p.low, p.high) for p in GRID]
        assert all(week.path[lane, at, i] in pair for i, pair in enumerate(bounds))
        begun = at - paths[:, 0] * (HORIZON * 2 // 3) // 10**6
        assert ((begun >= 0) & (begun < HORIZON // 3)).any()
        losses = {TREASURY_CENTS * int(p[1]) // 10**6 for p in paths}
        assert report["treasury_loss_cents"][lane] in losses
        assert week.accounts[lane, 0] == TREASURY_CENTS - report["treasury_loss_cents"][lane]
    assert (report["captured_parameter_steps"] > 0).all() and week.broken == 0
    assert len({int(a) for a in week.agenda[:, A_ATTACK_AT]}) > 8


@pytest.mark.parametrize(
    ("case", "defences"),
    [("beanstalk", ["snapshot"]), ("apathy", ["quorum"]), ("late_vote", ["guardian"]),
     ("exchange_takeover", ["cooldown"]), ("opaque_payload", ["payload_review"])],
)  # fmt: skip
def test_a_defended_charter_is_the_voted_one(case: str, defences: list[str]) -> None:
    stressed = load_mapping(
        {"mode": "voted", "stress": {"case": case, "defences": defences}}, Charter
    )
    week, calm = play(stressed, NEVER, 4), play(load_charter("voted"), NEVER, 4)
    assert np.array_equal(week.path, calm.path)
    report = capture_report(week.governance, week.agenda)
    assert report["captured_parameter_steps"].sum() == report["treasury_loss_cents"].sum() == 0


def test_captured_values_are_the_charters_where_it_names_them() -> None:
    stressed = load_mapping(
        {"mode": "voted", "proposals_per_day": 0.0,
         "stress": {"case": "apathy", "captured": {"import_fee_eur_per_kwh": 0.3}}},
        Charter,
    )  # fmt: skip
    week = play(stressed, NEVER, 4)
    for lane in range(4):
        at = int(week.agenda[lane, A_ATTACK_AT]) - 304
        assert (week.path[lane, :at] == [0.7, 0.1, 2.0, 0.15]).all()
        assert week.path[lane, at:] == pytest.approx(
            np.tile([0.7, 0.1, 2.0, 0.3], (HORIZON - at, 1))
        )
        report = capture_report(week.governance, week.agenda)
        assert report["captured_parameter_steps"][lane] == HORIZON - 1 - at
