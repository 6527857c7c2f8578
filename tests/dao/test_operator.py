"""The operator as a proposer: what it may ask for, what its bond does, and whether greed pays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daogym.envs.core.fields import FieldSet
from daogym.envs.core.strict import ConfigError
from daogym.envs.dao.charter import Charter, load_charter
from daogym.envs.dao.charter_roles import OperatorRole, Roles
from daogym.envs.dao.governance_columns import C_FUNDS_CENTS, CAPACITY, OPERATOR, SLOTS, VALUE_SCALE
from daogym.envs.dao.governance_layout import pack_governance
from daogym.envs.dao.governor_layout import (
    P_CLOSED,
    P_ID,
    P_NOTE,
    P_PROPOSER,
    P_SNAPSHOT,
    P_TARGET,
    P_VALUE,
)
from daogym.envs.dao.operator_proposals import ANSWERS, O_ANSWERS
from daogym.envs.dao.proposal_view import operator_action_fields, operator_fields, proposal_fields

from .agentic_world import (
    ANYTHING,
    AS_MEMBERS_WANT,
    DAY,
    FEE,
    GOVERNED,
    HORIZON,
    LAXEST_EACH,
    LAXEST_FEE,
    NEVER,
    TREASURY_CENTS,
    Week,
    play,
)

pytestmark = pytest.mark.kernel
ANSWER = {name: i for i, name in enumerate(ANSWERS)}


def agentic(charter: dict[str, Any] | None = None, **operator: Any) -> Charter:
    """The packaged agentic charter with changes."""
    base = load_charter("agentic")
    role = OperatorRole.model_validate(
        {**base.roles.operator.model_dump(), **operator} if base.roles.operator else operator
    )
    return base.model_copy(update={**(charter or {}), "roles": Roles(operator=role)})


ELECTORATES: dict[str, dict[str, Any]] = {
    "calibrated": {},
    "contested": {"electorate": "contested"},
    "moved": {
        "electorate": load_charter("voted").electorate_settings.model_copy(
            update={
                "opinions": load_charter("voted").electorate_settings.opinions.model_copy(
                    update={"circumstances": 0.8}
                )
            }
        ),
        "proposals_per_day": 2.0,
    },
}
"""`moved` is that of the energy grid's `lv_rural_voted`."""


def gain(charter: Charter, policy: int, lanes: int = 128) -> tuple[float, float]:
    """Mean of (score - score of never proposing) over lanes of the same seeds, and its error."""
    difference = play(charter, policy, lanes).score_eur - play(charter, NEVER, lanes).score_eur
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(lanes))


@pytest.mark.parametrize("electorate", list(ELECTORATES))
@pytest.mark.parametrize("policy", [LAXEST_FEE, LAXEST_EACH])
def test_always_proposing_the_laxest_value_is_worse_than_never(
    electorate: str, policy: int
) -> None:
    charter = agentic(ELECTORATES[electorate])
    mean, error = gain(charter, policy)
    assert mean + 4.0 * error < 0.0
    # it is the bond that makes it so
    free, error = gain(agentic(ELECTORATES[electorate], bond_cents=0), policy)
    assert free - 2.0 * error > 0.0


@pytest.mark.parametrize("electorate", ["calibrated", "moved"])
def test_proposing_what_members_want_pays(electorate: str) -> None:
    mean, error = gain(agentic(ELECTORATES[electorate]), AS_MEMBERS_WANT)
    assert mean - 4.0 * error > 0.0


def test_never_proposing_is_the_voted_charter() -> None:
    quiet = play(agentic(), NEVER, 8)
    voted = play(load_charter("voted"), NEVER, 8)
    assert np.array_equal(quiet.path, voted.path)
    assert quiet.won == quiet.lost == 0 and (quiet.bonds_eur == 0.0).all()


def greed_table() -> str:
    """The table of docs/charters.md."""
    head = ("Electorate", "Bond", "Always the laxest fee", "Always the laxest of each",
            "What the largest delegate wants")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, changes in ELECTORATES.items():
        for bond in (0, 5_000):
            charter = agentic(changes, bond_cents=bond)
            cells = [gain(charter, policy) for policy in (LAXEST_FEE, LAXEST_EACH, AS_MEMBERS_WANT)]
            shown = [f"{mean:+.1f} ± {error:.1f}" for mean, error in cells]
            lines.append(f"| `{name}` | {bond // 100} EUR | " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"


def test_the_page_shows_what_greed_came_to() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "charters.md").read_text("utf-8")
    shown = page.partition("<!-- table: greed -->\n")[2].partition("<!-- end -->")[0]
    made = greed_table()
    assert shown == made, f"docs/charters.md, table greed:\n{made}"


# --- books ----------------------------------------------------------------------------------------


def check_books(week: Week, bond: int) -> None:
    """Bonds are where they belong, to the cent, at every step and at the end."""
    assert week.broken == 0
    operator = week.governance.ints[C_FUNDS_CENTS]
    assert (week.accounts.sum(axis=1) == TREASURY_CENTS + operator).all()
    assert (week.accounts[:, 2] == 0).all() and (week.accounts >= 0).all()
    made = (week.answers == ANSWER["proposed"]).sum(axis=1)
    assert made.sum() == week.won + week.lost
    lost = (operator - week.accounts[:, 1]) // max(bond, 1)
    assert (week.accounts[:, 0] == TREASURY_CENTS + lost * bond).all()
    if bond:
        assert lost.sum() == week.lost
    live = (week.seen[..., P_PROPOSER] == OPERATOR) & (week.seen[..., P_NOTE] > 0)
    assert (week.bonds == live.sum(axis=2) * bond).all()
    asked = week.operator[:, O_ANSWERS:]
    for code in range(1, len(ANSWERS)):
        assert (asked[:, code] == (week.answers == code).sum(axis=1)).all()


def check_limits(week: Week, charter: Charter) -> None:
    """What was proposed kept threshold, change, interval, cooldown, slots and the episode's end."""
    operator, governor = charter.roles.operator, charter.governor
    assert operator is not None
    for lane in range(len(week.answers)):
        steps = np.flatnonzero(week.answers[lane] == ANSWER["proposed"])
        assert (np.diff(steps) >= operator.cooldown_steps).all()
        assert (steps + governor.longest_cycle_steps + 1 < HORIZON).all()
        for step in steps.tolist():
            rows = week.seen[lane, step]
            mine = rows[(rows[:, P_PROPOSER] == OPERATOR) & (rows[:, P_NOTE] > 0)]
            assert 1 <= len(mine) <= operator.live_proposals
            made = mine[np.argmax(mine[:, P_ID])]
            p = int(made[P_TARGET])
            parameter = GOVERNED[p]
            value = parameter.low + made[P_VALUE] / VALUE_SCALE * (parameter.high - parameter.low)
            now = week.path[lane, step, p]
            span = parameter.high - parameter.low
            assert abs(value - now) <= parameter.largest_change + 1e-8 * span
            assert value != now and parameter.low <= value <= parameter.high
            live = rows[(rows[:, P_TARGET] == p) & (rows[:, P_NOTE] > 0) & (rows[:, P_CLOSED] == 0)]
            assert len(live) == 1
            before = week.path[lane, max(step - int(parameter.least_interval_days * DAY) + 1, 0):
                               step + 1, p]  # fmt: skip
            assert (before == now).all()
            clock = (made[P_ID] - 1) // 8
            assert made[P_SNAPSHOT] == clock + governor.voting_delay_steps


def noise_of(seed: int, lanes: int, wild: float) -> Any:
    """Random requests; some of them are not numbers or out of range."""
    draw = np.random.default_rng(seed)
    noise = draw.uniform([0.0, -1.0, -1.0], [4.0, 1.0, 1.0], (lanes, HORIZON, 3))
    odd = draw.uniform(size=noise.shape) < wild
    noise[odd] = draw.choice([np.nan, 1e9, -1e9, np.inf, 1.5], odd.sum())
    return noise


@given(
    seed=st.integers(0, 10_000),
    wild=st.sampled_from([0.0, 0.1]),
    bond=st.integers(0, 30_000),
    funds=st.integers(30_000, 100_000),
    cooldown=st.integers(0, 96),
    live=st.integers(1, 8),
    kind=st.sampled_from(["openzeppelin", "bravo", "optimistic", "moloch", "conviction"]),
    per_day=st.sampled_from([0.0, 1.0, 12.0]),
)
@settings(max_examples=60, deadline=None)
def test_bonds_are_conserved_and_limits_kept(
    seed: int, wild: float, bond: int, funds: int, cooldown: int, live: int, kind: str,
    per_day: float,
) -> None:  # fmt: skip
    changes = {"governor": Charter().governor.model_copy(update={"kind": kind}),
               "proposals_per_day": per_day, "electorate": "contested"}  # fmt: skip
    charter = agentic(changes, bond_cents=bond, funds_cents=funds, cooldown_steps=cooldown,
                      live_proposals=live)  # fmt: skip
    week = play(charter, ANYTHING, 2, seed, noise_of(seed, 2, wild))
    if kind == "moloch":  # leavers take their part of the treasury along
        assert week.broken == 0
        week.accounts[:, 0] += week.accounts[:, 3]
        week.accounts[:, 3] = 0
    check_books(week, bond)
    check_limits(week, charter)


# --- refusals -------------------------------------------------------------------------------------


def requests(rows: dict[int, tuple[float, float, float]]) -> Any:
    """Requests in these steps of one lane, none in the others."""
    noise = np.tile([0.0, 0.0, -1.0], (1, HORIZON, 1))
    for step, row in rows.items():
        noise[0, step] = row
    return noise


FEE_DOWN = (FEE + 0.5, -0.5, 1.0)
LIMIT_DOWN = (0.5, -0.5, 1.0)


@pytest.mark.parametrize(
    ("reason", "asked", "step", "operator", "charter"),
    [
        ("no_request", {5: (0.5, -1.0, 0.5)}, 5, {}, {}),
        ("proposed", {5: FEE_DOWN}, 5, {}, {}),
        ("invalid", {5: (np.nan, -1.0, 1.0)}, 5, {}, {}),
        ("invalid", {5: (0.5, -1.0, np.nan)}, 5, {}, {}),
        ("invalid", {5: (4.01, -1.0, 1.0)}, 5, {}, {}),
        ("invalid", {5: (-0.1, -1.0, 1.0)}, 5, {}, {}),
        ("cooling_down", {5: FEE_DOWN, 28: LIMIT_DOWN}, 28, {"live_proposals": 2}, {}),
        ("proposed", {5: FEE_DOWN, 29: LIMIT_DOWN}, 29, {"live_proposals": 2}, {}),
        ("own_live", {5: FEE_DOWN, 29: LIMIT_DOWN}, 29, {}, {}),
        ("already_live", {5: FEE_DOWN, 29: FEE_DOWN}, 29, {"live_proposals": 2}, {}),
        ("change_too_large", {5: (0.5, -1.01, 1.0)}, 5, {}, {}),
        ("no_change", {5: (0.5, 0.0, 1.0)}, 5, {}, {}),
        ("too_late", {HORIZON - 153: FEE_DOWN}, HORIZON - 153, {}, {}),
        ("proposed", {HORIZON - 154: FEE_DOWN}, HORIZON - 154, {}, {}),
        ("bond_not_covered", {5: FEE_DOWN, 29: LIMIT_DOWN}, 29,
         {"live_proposals": 2, "funds_cents": 9_999}, {}),
        ("below_threshold", {5: FEE_DOWN}, 5, {"votes_ppm": 99}, {}),
    ],
)  # fmt: skip
def test_each_refusal_has_a_reason(
    reason: str, asked: Any, step: int, operator: Any, charter: Any
) -> None:
    # nobody else proposes, so every answer is the operator's own doing
    week = play(agentic({"proposals_per_day": 0.0, **charter}, **operator), ANYTHING, 1, 3,
                requests(asked))  # fmt: skip
    assert ANSWERS[week.answers[0, step]] == reason
    expected = [sum(week.answers[0] == code) for code in range(1, len(ANSWERS))]
    assert week.operator[0, O_ANSWERS + 1 :].tolist() == expected and sum(expected) < 3


def test_a_parameter_rests_after_a_change() -> None:
    """A proposal that members carry acts; until the interval is over the next one is refused."""
    for seed in range(20):
        week = play(agentic({"proposals_per_day": 0.0}), AS_MEMBERS_WANT, 1, seed)
        moved = np.flatnonzero(np.diff(week.path[0, :, FEE]))
        if len(moved):
            break
    at = int(moved[0]) + 1
    made = int(np.flatnonzero(week.answers[0] == ANSWER["proposed"])[0])
    assert at - made == Charter().governor.cycle_steps + 1
    noise = requests({made: FEE_DOWN, at + 94: FEE_DOWN, at + 95: (0.5, -0.5, 1.0)})
    noise[0, made, 1] = (week.path[0, at, FEE] - week.path[0, at - 1, FEE]) / 0.15
    again = play(agentic({"proposals_per_day": 0.0}), ANYTHING, 1, seed, noise)
    assert again.path[0, at, FEE] == pytest.approx(week.path[0, at, FEE], abs=1e-9)
    assert ANSWERS[again.answers[0, at + 94]] == "resting"
    assert ANSWERS[again.answers[0, at + 95]] == "proposed"


def test_slots_may_all_be_taken() -> None:
    """Members who propose on everything leave no slot only where more is live than there are."""
    assert SLOTS == 8 and CAPACITY == 128
    week = play(agentic({"proposals_per_day": 96.0}, live_proposals=8, cooldown_steps=0),
                LAXEST_EACH, 4)  # fmt: skip
    check_books(week, 5_000)
    live = (week.seen[..., P_NOTE] > 0).sum(axis=2)
    assert live.max() <= len(GOVERNED)


# --- what a domain declares -----------------------------------------------------------------------


def test_fields_say_what_is_asked_and_seen() -> None:
    charter = agentic()
    actions = FieldSet(operator_action_fields(GOVERNED))
    assert actions.names == ("proposal_parameter", "proposal_change", "proposal_now")
    assert actions.high.tolist() == [4.0, 1.0, 1.0]
    seen = FieldSet(proposal_fields(charter, GOVERNED, 0.25) + operator_fields(charter))
    assert seen.size == 6 * len(GOVERNED) + 3
    assert seen["proposal_hours"].high.max() == pytest.approx(153 * 0.25)
    with pytest.raises(ValueError, match=r"roles\.operator"):
        operator_fields(Charter())
    with pytest.raises(ValueError, match="largest_change"):
        operator_action_fields(())


@pytest.mark.parametrize("policy", [NEVER])
def test_a_domain_without_treasury_or_kernels_for_it_refuses(policy: int) -> None:
    charter = agentic()
    with pytest.raises(ConfigError, match="offers static, voted"):
        charter.values(GOVERNED)
    with pytest.raises(ConfigError, match="keeps no treasury"):
        pack_governance(charter, GOVERNED, steps_per_day=DAY, horizon=HORIZON)
