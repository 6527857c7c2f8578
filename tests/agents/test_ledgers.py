"""Ledgers of evaluated episodes: they verify, and their numbers are those of the episode."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.agents.comparison import TargetError
from daogym.agents.evaluation import EpisodeSet
from daogym.agents.ledgers import write_ledgers
from daogym.envs.dao.ledger import LedgerError, verify
from daogym.envs.dao.rule_path import true_rules

pytestmark = pytest.mark.kernel
EPISODES = EpisodeSet("lv_rural_voted", "test", 3)


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def ledgers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("ledgers")
    return write_ledgers(["self_consumption"], EPISODES, daogym.make_simulator, folder)


def of_kind(path: Path, kind: str) -> list[dict[str, Any]]:
    return [entry["data"] for entry in entries(path) if entry["kind"] == kind]


def test_every_episode_has_a_ledger_that_verifies(ledgers: list[Path]) -> None:
    assert [path.name for path in ledgers] == [f"self_consumption-{i:03d}.jsonl" for i in range(3)]
    simulator = EPISODES.simulator(daogym.make_simulator, None)
    for number, path in enumerate(ledgers):
        found = verify(path)
        assert found.genesis["scenario"] == simulator.scenario_hash
        assert found.genesis["seed"] == EPISODES.seed + number
        assert found.genesis["charter"]["mode"] == "voted"
        assert len(of_kind(path, "gate")) == simulator.horizon


def test_payments_are_the_money_of_the_episode(ledgers: list[Path]) -> None:
    simulator = EPISODES.simulator(daogym.make_simulator, None, autoreset="disabled")
    controller = simulator.domain.make_controller("self_consumption")
    controller.reset(simulator)
    money = np.zeros(3)
    for _ in range(simulator.horizon):
        simulator.step(controller.act(simulator))
        money += simulator.rewards
    for lane, path in enumerate(ledgers):
        payments = of_kind(path, "payment")
        terms = sum(p["eur"] for p in payments if p["what"] != "shares")
        assert terms == pytest.approx(money[lane], abs=1e-9)
        metered = sum(p["eur"] for p in payments if p["what"] in ("import", "export"))
        shared = [p for p in payments if p["what"] == "shares"]
        total = sum(sum(p["members_eur"]) + p["community_eur"] for p in shared)
        assert total == pytest.approx(metered, abs=1e-9)


def test_parameters_change_as_the_ledger_says(ledgers: list[Path]) -> None:
    simulator = EPISODES.simulator(daogym.make_simulator, None, autoreset="disabled")
    path = true_rules(simulator)
    names = [p.name for p in simulator.scenario.governed_parameters]
    for lane, ledger in enumerate(ledgers):
        changes = [
            (step, names[p], before, after)
            for step in range(simulator.horizon - 1)
            for p, (before, after) in enumerate(
                zip(path[lane, step].tolist(), path[lane, step + 1].tolist(), strict=True)
            )
            if before != after
        ]
        written = [
            (d["step"], d["parameter"], d["from"], d["to"])
            for d in of_kind(ledger, "parameter")
            if d["step"] < simulator.horizon - 1
        ]
        assert written == changes and len(changes) > 2


def test_ballots_add_up_to_the_tallies(ledgers: list[Path]) -> None:
    checked = 0
    for ledger in ledgers:
        proposals, votes = of_kind(ledger, "proposal"), of_kind(ledger, "vote")
        begun = {d["proposal"] for d in proposals if d["state"] == "pending"}
        for data in proposals:
            if data["proposal"] not in begun or data["state"] not in ("queued", "defeated"):
                continue
            for support in ("for", "against", "abstain"):
                cast = sum(
                    v["votes"]
                    for v in votes
                    if v["proposal"] == data["proposal"] and v["support"] == support
                )
                assert cast == data[support]
            checked += 1
        executed = {d["proposal"] for d in proposals if d["state"] == "executed"}
        changed = of_kind(ledger, "parameter")
        assert len(executed) >= len(changed) > 0
    assert checked >= 5


def test_an_altered_ledger_is_caught_and_named(ledgers: list[Path], tmp_path: Path) -> None:
    lines = ledgers[0].read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if '"kind":"vote"' in line)
    forged = tmp_path / "forged.jsonl"
    lines[number] = lines[number].replace('"votes":', '"votes":1')
    forged.write_text("\n".join(lines) + "\n")
    with pytest.raises(LedgerError, match=rf"forged.jsonl:{number + 1}: "):
        verify(forged)


def test_a_ledger_is_never_written_over(ledgers: list[Path]) -> None:
    with pytest.raises(TargetError, match="exists already"):
        write_ledgers(["self_consumption"], EPISODES, daogym.make_simulator, ledgers[0].parent)


def test_evaluate_writes_ledgers(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    command = [
        sys.executable, str(root / "evaluate.py"), "self_consumption", "--scenario", "lv_rural",
        "--episodes", "2", "--ledger", str(tmp_path),
    ]  # fmt: skip
    result = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert result.returncode == 0, result.stderr
    assert "2 ledgers in" in result.stdout
    paths = sorted(tmp_path.glob("*.jsonl"))
    assert len(paths) == 2
    for path in paths:
        assert verify(path).genesis["charter"]["mode"] == "static"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scenario", "rule"),
    [("gpu_week_voted", "congestion_pricing"), ("supply_network_voted", "anticipating")],
)
def test_every_domain_writes_what_happened(scenario: str, rule: str, tmp_path: Path) -> None:
    """Payments add up to the episode's money, changes of parameters to the rules' path."""
    episodes = EpisodeSet(scenario, "test", 2)
    simulator = episodes.simulator(daogym.make_simulator, None, autoreset="disabled")
    rules = true_rules(simulator)
    written = write_ledgers([rule], episodes, daogym.make_simulator, tmp_path)
    controller = simulator.domain.make_controller(rule)
    controller.reset(simulator)
    money = np.zeros(2)
    for _ in range(simulator.horizon):
        simulator.step(controller.act(simulator))
        money += simulator.rewards
    currency = simulator.domain.currency.lower()
    for lane, ledger in enumerate(written):
        assert verify(ledger).genesis["charter"]["mode"] == "voted"
        assert len(of_kind(ledger, "gate")) == simulator.horizon
        paid = sum(payment[currency] for payment in of_kind(ledger, "payment"))
        assert paid == pytest.approx(money[lane], rel=1e-9)
        # A change in the last step acts in none of the episode's.
        changes = [c for c in of_kind(ledger, "parameter") if c["step"] < simulator.horizon - 1]
        assert len(changes) == int((np.diff(rules[lane], axis=0) != 0.0).sum()) > 0
        assert of_kind(ledger, "vote") and of_kind(ledger, "proposal")
