"""Charters as files: what is offered acts, contradictions are refused with file and line."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daogym.envs.core.strict import ConfigError, StrictModel, hash_model, load_mapping, load_yaml
from daogym.envs.dao.capture_charter import CASES, VARIANTS
from daogym.envs.dao.charter import NAMED_CHARTERS, Charter, GovernedParameter, load_charter
from daogym.envs.dao.charter_governor import ACTS, GovernorSettings
from daogym.envs.dao.charter_rules import RuleTarget, check_rules
from daogym.envs.dao.governance_layout import pack_governance

GOVERNED = (
    GovernedParameter("cap_kw", "kW", 0.0, 100.0, 40.0, "clip", "largest power", 20.0),
    GovernedParameter("floor_share", "1", 0.1, 0.9, 0.5, "cost", "least stock", 0.2),
)
TARGETS = (
    RuleTarget("fees_cents", "cents"),
    RuleTarget("power_kw", "quantity"),
    RuleTarget("stock_share", "level"),
    RuleTarget("price", "oracle"),
    RuleTarget("delivery", "duty"),
    RuleTarget("rewards", "split", members=5),
)


class World(StrictModel):
    """A scenario that has a charter, as a domain's has."""

    name: str = "world"
    charter: Charter = Charter()


def accept(path: Path) -> Charter:
    """Read a scenario and let a domain look at its charter."""
    charter = load_yaml(path, World).charter
    charter.values(GOVERNED, modes=("static", "voted", "agentic"), targets=TARGETS)
    if charter.votes:
        pack_governance(charter, GOVERNED, steps_per_day=96, horizon=672, treasury_cents=10_000_000)
    return charter


REFUSED = [
    # (line, key, words), text
    (3, "charter.mode", "'static', 'voted', 'agentic', 'steward' or 'attacked'", """
name: w
charter:
  mode: anarchic
"""),
    (5, "charter.governor.quorum_percent", "<= 100", """
name: w
charter:
  mode: voted
  governor:
    quorum_percent: 101
"""),
    (5, "parameters.cap_kwh", "did you mean 'cap_kw'", """
name: w
charter:
  parameters:
    floor_share: 0.3
    cap_kwh: 5.0
"""),
    (4, "parameters.cap_kw", "0.0 to 100.0 kW is allowed", """
name: w
charter:
  parameters:
    cap_kw: 101.0
"""),
    (5, "governor", "at most a third of an episode's 672 steps", """
name: w
charter:
  mode: voted

  governor:
    timelock_steps: 480
"""),
    (7, "charter.governor.late_quorum_extension_steps", "at most voting_period_steps = 40", """
name: w
charter:
  mode: voted
  governor:
    voting_period_steps: 40

    late_quorum_extension_steps: 41
"""),
    (5, "charter.governor.guardian_veto", "name roles.guardian", """
charter:
  mode: voted
  governor:
    kind: bravo
    guardian_veto: {keeps: {cap_kw: [0.0, 50.0]}}
"""),
    (4, "charter.roles.guardian", "has no power", """
charter:
  mode: voted
  roles:
    guardian: {reaction_steps: 5}
"""),
    (6, "charter.roles.guardian.reaction_steps", "always come too late", """
charter:
  governor: {timelock_steps: 20, guardian_veto: {keeps: {cap_kw: [0.0, 50.0]}}}
  mode: voted
  roles:
    guardian:
      reaction_steps: 21
"""),
    (3, "governor.guardian_veto.keeps.cap", "no governed parameter", """
charter:
  mode: voted
  governor: {timelock_steps: 20, guardian_veto: {keeps: {cap: [0.0, 50.0]}}}
  roles: {guardian: {reaction_steps: 5}}
"""),
    (3, "charter.governor.guardian_veto.keeps.cap_kw", "[low, high] expected", """
charter:
  mode: voted
  governor: {timelock_steps: 20, guardian_veto: {keeps: {cap_kw: [50.0, 40.0]}}}
"""),
    (2, "charter.mode", "name roles.operator", """
charter:
  mode: agentic
"""),
    (3, "charter.roles.operator.bond_cents", "could never propose", """
charter:
  mode: agentic
  roles: {operator: {funds_cents: 100, bond_cents: 101}}
"""),
    (3, "charter.roles.operator.votes_ppm", "at least 100 expected, got 99", """
charter:
  mode: agentic
  roles: {operator: {votes_ppm: 99}}
"""),
    (3, "charter.roles.operator.votes_ppm", "silent supply of 750000", """
charter:
  mode: agentic
  roles: {operator: {votes_ppm: 800000}}
"""),
    (4, "charter.governor.quorum_percent", "does nothing under kind 'moloch'", """
charter:
  mode: voted
  governor:
    quorum_percent: 3
    kind: moloch
"""),
    (3, "charter.governor.grace_steps", "does nothing without dynamic_timelock", """
charter:
  mode: voted
  governor: {kind: bravo, grace_steps: 5}
"""),
    (3, "charter.governor.dynamic_timelock.second_share_ppm", "more than first_share_ppm", """
charter:
  mode: voted
  governor: {dynamic_timelock: {first_share_ppm: 500, second_share_ppm: 400}}
"""),
    (2, "charter.electorate", "one of calibrated, contested", """
charter:
  electorate: calibrate
"""),
    (1, "charter", "did you mean 'contested'", """
charter: conteste
"""),
    (3, "charter.paramters", "did you mean 'parameters'", """
charter:
  base: voted
  paramters: {cap_kw: 5.0}
"""),
    (4, "charter.governor.kind", "did you mean 'bravo'", """
charter:
  base: voted
  governor:
    kind: bravoo
"""),
    (2, "charter.base", "name or path", """
charter:
  base: [voted]
"""),
    (3, "charter.stress.defences", "has snapshot, timelock", """
charter:
  mode: voted
  stress: {case: beanstalk, defences: [cooldown]}
"""),
    (5, "stress.captured.cap_kw", "0.0 to 100.0 kW is allowed", """
charter:
  mode: voted
  stress:
    case: beanstalk
    captured: {cap_kw: 500.0}
"""),
    (4, "rules.0.on", "did you mean 'power_kw'", """
charter:
  rules:
    - kind: quota
      on: power_mw
      amount: 5.0
"""),
    (3, "rules.0.kind", "quota, bucket, slew, floor can", """
charter:
  rules:
    - kind: allowance
      on: power_kw
      amount_cents: 5
"""),
    (6, "charter.rules.0.gas_cents", "nothing is refused under effect 'cost'", """
charter:
  rules:
    - kind: quota
      on: power_kw
      effect: cost
      gas_cents: 3
      amount: 5.0
"""),
    (9, "rules.1.least", "a floor of 6.0 above the cap of 5.0", """
charter:
  rules:
    - kind: quota
      on: power_kw
      amount: 5.0

    - kind: floor
      on: power_kw
      least: 6.0
"""),
    (6, "rules.0.floor_cents", "5 x 21 cents exceed", """
charter:
  rules:
    - kind: split
      on: rewards
      budget_cents: 100
      floor_cents: 21
"""),
    (5, "charter.rules.0.low", "at most high", """
charter:
  rules:
    - kind: slew
      on: power_kw
      low: 3.0
      high: 2.0
      initial: 2.5
      largest_change: 1.0
"""),
    (5, "rules.0.amount", "whole cents", """
charter:
  rules:
    - on: fees_cents
      kind: quota
      amount: 2.5
"""),
    (6, "charter.rules.0.most_missed", "less than window", """
charter:
  rules:
    - on: delivery
      kind: stake
      window: 10
      most_missed: 10
"""),
    (5, "rules.1.on", "a rule already", """
charter:
  rules:
    - {on: power_kw, kind: quota, amount: 3.0}
    - kind: quota
      on: power_kw
      amount: 2.0
"""),
    (4, "charter.rules.0.effect", "expected 'cost'", """
charter:
  rules:
    - kind: floor
      effect: revert
      on: stock_share
      least: 0.3
"""),
]  # fmt: skip


@pytest.mark.parametrize(("line", "key", "words", "text"), REFUSED)
def test_contradictions_are_refused_with_file_and_line(
    tmp_path: Path, line: int, key: str, words: str, text: str
) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text.lstrip("\n"), encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        accept(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: {key}: "), message
    assert words in message, message


def test_what_is_right_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("""
charter:
  base: agentic
  parameters: {cap_kw: 30}
  governor:
    kind: bravo
    dynamic_timelock: {first_share_ppm: 500}
    grace_steps: 30
    guardian_veto: {keeps: {cap_kw: [10, 50]}}
  roles:
    operator: {bond_cents: 7000}
    guardian: {reaction_steps: 12}
  rules:
    - {kind: allowance, on: fees_cents, amount_cents: 500, effect: clip, gas_cents: 2}
    - {kind: floor, on: stock_share, least: 0.2}
""", encoding="utf-8")  # fmt: skip
    charter = accept(path)
    assert charter.mode == "agentic" and charter.governor.kind == "bravo"
    operator = charter.roles.operator
    assert operator is not None and (operator.bond_cents, operator.cooldown_steps) == (7000, 24)
    assert charter.governor.longest_cycle_steps == 8 + 96 + 48 + 49
    assert [rule.kind for rule in charter.rules] == ["allowance", "floor"]
    check_rules(charter.rules, TARGETS, charter.name)


@pytest.mark.parametrize("name", NAMED_CHARTERS)
def test_named_charters_are_read_by_name_anywhere(name: str, tmp_path: Path) -> None:
    charter = load_charter(name)
    assert charter.name == name
    path = tmp_path / "scenario.yaml"
    path.write_text(f"charter: {name}\n", encoding="utf-8")
    assert load_yaml(path, World).charter == charter == World(charter=name).charter  # type: ignore[arg-type]
    assert load_mapping({"charter": name}, World).charter == charter
    assert load_mapping({"charter": {"base": name}}, World).charter == charter
    # a copy through its plain data, as scenarios are merged, is the same charter
    again = load_mapping(World(charter=charter).model_dump(mode="json"), World)
    assert hash_model(again.charter) == hash_model(charter)
    if charter.votes:
        pack_governance(charter, GOVERNED, steps_per_day=96, horizon=672, treasury_cents=10_000_000)
    assert (charter.stress is not None) == (name in CASES + VARIANTS)


def test_a_charter_of_ones_own_is_a_path(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("name: own\nmode: voted\nproposals_per_day: 3\n", encoding="utf-8")
    assert load_mapping({"charter": str(own)}, World).charter.proposals_per_day == 3.0
    own.write_text("name: own\nmode: voted\nproposals_per_day: 300\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_mapping({"charter": str(own)}, World)
    assert str(caught.value).startswith(f"{own}:3: proposals_per_day: ")


def packed(charter: Charter) -> tuple[Any, ...]:
    """Everything the kernels see of a charter."""
    made = pack_governance(
        charter, GOVERNED, steps_per_day=96, horizon=2000, treasury_cents=10_000_000
    )
    return made.ints, made.floats, made.rules, made.electorate.ints, made.electorate.floats


CHANGED: dict[str, Any] = {
    "voting_delay_steps": 9, "voting_period_steps": 97, "timelock_steps": 49, "quorum_percent": 3,
    "proposal_threshold_ppm": 200, "late_quorum_extension_steps": 5, "objections_bps": 51,
    "grace_steps": 7, "dynamic_timelock": {"longest_steps": 50},
    "rage_quit": {"leave_above": 0.2}, "conviction": {"weight": 0.01},
}  # fmt: skip


@pytest.mark.parametrize("kind", list(ACTS))
def test_every_setting_of_a_governor_reaches_the_kernels(kind: str) -> None:
    assert set().union(*ACTS.values()) | {"kind"} == set(GovernorSettings.model_fields)
    base: dict[str, Any] = {"kind": kind}
    for name in ACTS[kind]:
        if name == "guardian_veto":
            continue
        before = {**base, **({"dynamic_timelock": {}} if name == "grace_steps" else {})}
        after = {**before, name: CHANGED[name]}
        one, other = (
            packed(load_mapping({"mode": "voted", "governor": g}, Charter)) for g in (before, after)
        )
        assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True)), name
    for name, value in CHANGED.items():
        if name not in ACTS[kind]:
            with pytest.raises(ConfigError, match="does nothing under kind"):
                load_mapping({"governor": {**base, name: value}}, Charter)


@pytest.mark.parametrize(
    "change",
    [
        {"roles": {"operator": {"votes_ppm": 2000}}},
        {"roles": {"operator": {"funds_cents": 200_000}}},
        {"roles": {"operator": {"bond_cents": 6000}}},
        {"roles": {"operator": {"cooldown_steps": 30}}},
        {"roles": {"operator": {"live_proposals": 2}}},
        {"stress": {"case": "apathy"}},
        {"stress": {"case": "beanstalk", "defences": ["snapshot"]}},
        {"stress": {"case": "beanstalk", "captured": {"cap_kw": 3.0}}},
        {"electorate": "contested"},
        {"proposals_per_day": 2.0},
        {"parameters": {"cap_kw": 30.0}},
    ],
)
def test_every_setting_of_a_charter_reaches_the_kernels(change: dict[str, Any]) -> None:
    base = {"base": "agentic", "stress": {"case": "beanstalk"}}
    one, other = (
        packed(load_mapping({"charter": c}, World).charter) for c in (base, {**base, **change})
    )
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def test_the_page_shows_the_settings_there_are() -> None:
    path = Path(__file__).resolve().parents[2] / "tools" / "charter_table.py"
    spec = importlib.util.spec_from_file_location("charter_table", path)
    assert spec is not None and spec.loader is not None
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    shown = dict(tool.TABLE.findall(tool.PAGE.read_text(encoding="utf-8")))
    made = tool.tables()
    assert set(shown) == {*made, "greed"}
    for name, table in made.items():
        assert shown[name] == table, f"{name}: run python tools/charter_table.py"
