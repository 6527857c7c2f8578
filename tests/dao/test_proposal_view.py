"""What a domain shows of live proposals and of the operator, against the governor's own columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.fields import FieldSet
from daogym.envs.dao.charter_governor import ACTS, GovernorSettings
from daogym.envs.dao.governance_columns import A_STEP, C_EARLIER_STEPS, OPERATOR, VALUE_SCALE
from daogym.envs.dao.governor_layout import (
    P_ABSTAIN,
    P_AGAINST,
    P_CLOSED,
    P_ETA_S,
    P_FOR,
    P_NOTE,
    P_PROPOSER,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
)
from daogym.envs.dao.operator_proposals import ANSWERS
from daogym.envs.dao.proposal_view import (
    OPERATOR_FIELDS,
    PROPOSAL_ROWS,
    V_ACTS_AT,
    V_STAGE,
    V_VALUE,
    hours_until_it_acts,
    look_at_proposals,
    operator_fields,
    proposal_fields,
    write_operator,
)

from .agentic_world import ANYTHING, AS_MEMBERS_WANT, GOVERNED, HORIZON, play
from .test_operator import agentic, noise_of

pytestmark = pytest.mark.kernel
STEP_H = 0.25
QUORUM = 10**9 * 2 // 100


@kernel_entry()
def observe(
    ints: Any, floats: Any, settings: Any, proposals: Any, votes: Any, agenda: Any, operator: Any,
    accounts: Any, values: Any, view: Any, out: Any,
) -> None:  # fmt: skip
    """Views of one lane at one step."""
    look_at_proposals(ints, floats, settings, proposals, votes, agenda, values, view)
    out[: view.size] = view.copy().reshape(-1)
    n = view.shape[1]
    for p in range(n):
        if view[V_STAGE, p] > 0.0:
            hours = hours_until_it_acts(view[V_ACTS_AT, p], agenda[A_STEP], STEP_H)
            out[V_ACTS_AT * n + p] = hours
    write_operator(ints, agenda, operator, accounts, out, view.size)


def test_views_show_what_the_governor_holds() -> None:
    charter = agentic({"electorate": "contested", "proposals_per_day": 2.0})
    week = play(charter, AS_MEMBERS_WANT, 2)
    n = len(GOVERNED)
    earlier = int(week.governance.ints[C_EARLIER_STEPS])
    fields = FieldSet(proposal_fields(charter, GOVERNED, STEP_H) + operator_fields(charter))
    view, out = np.zeros((PROPOSAL_ROWS, n)), np.zeros(fields.size)
    assert fields.size == PROPOSAL_ROWS * n + OPERATOR_FIELDS
    stages: set[float] = set()
    own = 0
    for lane in range(2):
        last = -(10**9)
        for step in range(HORIZON):
            agenda = week.agenda[lane].copy()
            agenda[A_STEP] = now = earlier + step + 1
            now -= 1
            if week.answers[lane, step] == ANSWERS.index("proposed"):
                last = now
            operator = week.operator[lane].copy()
            operator[0] = last
            accounts = np.array([0, 100_000 - week.bonds[lane, step], week.bonds[lane, step], 0])
            observe(
                week.governance.ints, week.governance.floats, week.settings[lane],
                week.seen[lane, step].copy(), week.votes[lane], agenda, operator, accounts,
                week.path[lane, step], view, out,
            )  # fmt: skip
            rows = {
                name: out[fields.slice(name)]
                for name in ("proposal_value", "proposal_stage", "proposal_hours",
                             "proposal_margin", "proposal_quorum", "proposal_own")
            }  # fmt: skip
            live = {}
            for row in week.seen[lane, step]:
                if row[P_NOTE] > 0 and row[P_CLOSED] == 0:
                    live[int(row[P_TARGET])] = row
            for p, parameter in enumerate(GOVERNED):
                if p not in live:
                    assert rows["proposal_value"][p] == view[V_VALUE, p] == week.path[lane, step, p]
                    assert all(rows[name][p] == 0.0 for name in rows if name != "proposal_value")
                    continue
                row = live[p]
                span = parameter.high - parameter.low
                assert rows["proposal_value"][p] == pytest.approx(
                    parameter.low + row[P_VALUE] / VALUE_SCALE * span
                )
                ends = row[P_SNAPSHOT] + 96
                if row[P_SNAPSHOT] >= now:
                    stage, acts = 1 / 3, ends + 1 + 48
                elif ends >= now:
                    stage, acts = 2 / 3, ends + 1 + 48
                else:
                    stage, acts = 1.0, row[P_ETA_S]
                assert rows["proposal_stage"][p] == stage
                assert rows["proposal_hours"][p] == (acts - now) * STEP_H
                cast = row[P_FOR] + row[P_AGAINST]
                margin = (row[P_FOR] - row[P_AGAINST]) / cast if cast else 0.0
                assert rows["proposal_margin"][p] == pytest.approx(margin)
                quorum = (row[P_FOR] + row[P_ABSTAIN]) / QUORUM if stage > 0.5 else 0.0
                assert rows["proposal_quorum"][p] == pytest.approx(quorum)
                assert rows["proposal_own"][p] == (row[P_PROPOSER] == OPERATOR)
                own += row[P_PROPOSER] == OPERATOR
                stages.add(stage)
            funds, bonds, cooldown = out[PROPOSAL_ROWS * n :]
            assert funds + bonds == 1000.0 and bonds == week.bonds[lane, step] / 100
            assert cooldown == pytest.approx(min(max((last + 24 - now) / 24, 0.0), 1.0))
            assert (out >= fields.low).all() and (out <= fields.high).all()
    assert stages == {1 / 3, 2 / 3, 1.0} and own > 0


@pytest.mark.parametrize("kind", list(ACTS))
def test_views_stay_in_their_fields_under_every_kind(kind: str) -> None:
    governor: dict[str, Any] = {"kind": kind}
    if "dynamic_timelock" in ACTS[kind]:
        governor["dynamic_timelock"] = {"first_share_ppm": 1000, "longest_steps": 60}
    if kind == "optimistic":
        governor["objections_bps"] = 250
    charter = agentic(
        {"electorate": "contested", "proposals_per_day": 4.0,
         "governor": GovernorSettings.model_validate(governor)}
    )  # fmt: skip
    week = play(charter, ANYTHING, 2, 5, noise_of(5, 2, 0.05))
    earlier = int(week.governance.ints[C_EARLIER_STEPS])
    fields = FieldSet(proposal_fields(charter, GOVERNED, STEP_H) + operator_fields(charter))
    view, out = np.zeros((PROPOSAL_ROWS, len(GOVERNED))), np.zeros(fields.size)
    moved = np.zeros(fields.size, dtype=np.bool_)
    for lane in range(2):
        for step in range(HORIZON):
            agenda = week.agenda[lane].copy()
            agenda[A_STEP] = earlier + step + 1
            held = week.bonds[lane, step]
            observe(
                week.governance.ints, week.governance.floats, week.settings[lane],
                week.seen[lane, step].copy(), week.votes[lane], agenda, week.operator[lane],
                np.array([0, 100_000 - held, held, 0]), week.path[lane, step], view, out,
            )  # fmt: skip
            assert np.isfinite(out).all()
            assert (out >= fields.low).all() and (out <= fields.high).all(), kind
            moved |= out != 0.0
    for name in ("proposal_stage", "proposal_hours", "proposal_quorum", "proposal_own"):
        assert moved[fields.slice(name)].any(), name
