"""A voted charter over thousands of steps: what changes, when, and by how much."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.core.strict import ConfigError
from daogym.envs.dao.charter import Charter
from daogym.envs.dao.electorate_layout import I_COUNT_STEPS
from daogym.envs.dao.governance_layout import pack_governance
from daogym.envs.dao.governor_layout import (
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_ETA_S,
    P_FOR,
    P_ID,
    P_SNAPSHOT,
    P_TARGET,
)

from .voted_lane import DAY, GOVERNED, play

pytestmark = pytest.mark.kernel


@pytest.mark.parametrize("electorate", ["calibrated", "contested"])
@pytest.mark.parametrize("seed", [0, 1])
def test_changes_keep_the_charter(electorate: str, seed: int) -> None:
    charter = Charter(mode="voted", electorate=electorate, proposals_per_day=2.0)
    steps = 60 * DAY
    path, seen = play(charter, steps, seed)
    settings = charter.governor
    for p, parameter in enumerate(GOVERNED):
        assert (path[:, p] >= parameter.low).all() and (path[:, p] <= parameter.high).all()
        moves = np.flatnonzero(np.diff(path[:, p])) + 1
        if parameter.largest_change == 0.0:
            assert not len(moves)
            continue
        assert len(moves) > 5
        size = np.abs(np.diff(path[:, p]))
        assert size.max() <= parameter.largest_change * (1.0 + 1e-7)
        assert np.diff(moves).min() >= parameter.least_interval_days * DAY
        for step in moves.tolist():
            mine = seen[step][(seen[step][:, P_TARGET] == p) & (seen[step][:, P_CLOSED] == 7)]
            latest = mine[np.argmax(mine[:, P_ID])]
            made = (latest[P_ID] - 1) // 8
            # not a step earlier than delay + period + timelock, and at the very eta
            assert latest[P_SNAPSHOT] == made + settings.voting_delay_steps
            success = latest[P_SNAPSHOT] + settings.voting_period_steps + 1
            assert latest[P_ETA_S] == success + settings.timelock_steps == step
            # For beats Against, and enough took part
            assert latest[P_FOR] > latest[P_AGAINST]
            quorum = charter.electorate_settings.supply * settings.quorum_percent // 100
            assert latest[P_FOR] + latest[P_ABSTAIN] >= quorum


def test_one_live_proposal_a_parameter() -> None:
    charter = Charter(mode="voted", electorate="contested", proposals_per_day=10.0)
    _, seen = play(charter, 20 * DAY)
    cycle = charter.governor.cycle_steps
    known = {int(row[P_ID]): int(row[P_TARGET]) for step in seen for row in step if row[P_ID]}
    made = sorted(((number - 1) // 8, target) for number, target in known.items())
    assert len(made) > 20
    closed = {int(r[P_ID]): s for s, rows in reversed(list(enumerate(seen))) for r in rows
              if r[P_CLOSED]}  # fmt: skip
    for i, (first, target) in enumerate(made):
        later = [step for step, other in made[i + 1 :] if other == target]
        if later:
            rejected = first + charter.governor.voting_delay_steps
            rejected += charter.governor.voting_period_steps
            assert later[0] > rejected
            if later[0] <= first + cycle:  # the first one must have failed
                number = next(n for n, t in known.items() if (n - 1) // 8 == first and t == target)
                assert number not in closed or closed[number] < later[0]


def test_contested_votes_split_and_calibrated_ones_do_not() -> None:
    shares = {}
    for electorate in ("calibrated", "contested"):
        charter = Charter(mode="voted", electorate=electorate, proposals_per_day=3.0)
        path, seen = play(charter, 200 * DAY)
        last = {int(row[P_ID]): row for step in seen for row in step if row[P_ID]}
        voted = [r for r in last.values() if r[P_FOR] + r[P_AGAINST] > 0]
        # the last proposals may still be in their vote
        voted = [r for r in voted if r[P_SNAPSHOT] + 97 < len(path)]
        assert len(voted) > 40
        shares[electorate] = np.mean([r[P_FOR] > r[P_AGAINST] for r in voted])
    assert shares["calibrated"] > 0.95
    assert 0.35 < shares["contested"] < 0.75


def test_the_path_is_the_seeds() -> None:
    charter = Charter(mode="voted", proposals_per_day=2.0)
    first, _ = play(charter, 20 * DAY, seed=3)
    again, _ = play(charter, 20 * DAY, seed=3)
    other, _ = play(charter, 20 * DAY, seed=4)
    assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize(("steps_per_day", "given", "used"), [
    (96, 0, 4), (288, 0, 12), (24, 0, 1), (4, 0, 1), (96, 1, 1), (96, 16, 16),
])  # fmt: skip
def test_ballots_are_counted_every_hour_unless_a_charter_says_otherwise(
    steps_per_day: int, given: int, used: int
) -> None:
    settings = {"mode": "voted", "electorate": {"timing": {"count_steps": given}}}
    charter = Charter.model_validate(settings)
    made = pack_governance(charter, GOVERNED, steps_per_day=steps_per_day, horizon=7 * DAY)
    assert made.electorate.ints[I_COUNT_STEPS] == used


def test_a_cycle_that_does_not_fit_the_episode_is_refused() -> None:
    charter = Charter.model_validate({"mode": "voted", "governor": {"timelock_steps": 480}})
    with pytest.raises(ConfigError, match="at most a third of an episode's 672 steps"):
        pack_governance(charter, GOVERNED, steps_per_day=DAY, horizon=7 * DAY)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"electorate": "calibrate"}, "one of calibrated, contested"),
        ({"governor": {"quorum_percent": 101}}, "quorum_percent"),
        ({"governor": {"late_quorum_extension_steps": 97}}, "at most voting_period_steps"),
        ({"mode": "anarchic"}, "mode"),
    ],
)
def test_a_contradictory_charter_is_refused(settings: dict[str, Any], message: str) -> None:
    from daogym.envs.core.strict import load_mapping

    with pytest.raises(ConfigError, match=message):
        load_mapping(settings, Charter)
