"""Everybody plays the same episodes, and the score is what its definition says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import daogym
from daogym.agents import evaluation, report
from daogym.agents.comparison import TargetError, compare
from daogym.agents.config import TrainConfig
from daogym.agents.evaluation import EPISODE_SEED, EpisodeSet, Outcome, Referee, play
from daogym.agents.results_cache import ResultsCache
from daogym.agents.runs import RunDirectory
from daogym.agents.scoring import results
from daogym.agents.training import train

TEST = EpisodeSet("toy", "test", 30)


def test_an_outcome_is_what_single_episodes_add_up_to(toy: Any) -> None:
    outcome = play(toy.Threshold(), TEST.simulator(toy.make_simulator, None))
    for episode in (0, 7, 29):
        alone = toy.make_simulator(num_envs=1, split="test")
        alone.reset(seed=EPISODE_SEED + episode)
        rule = toy.Threshold()
        money, overfill = 0.0, 0.0
        for _ in range(alone.horizon):
            alone.step(rule.act(alone))
            money += alone.rewards[0]
            overfill += alone.costs[0, 0]
        assert outcome.money[episode] == pytest.approx(money, rel=1e-12)
        assert outcome.costs["overfill_kwh"][episode] == pytest.approx(overfill, rel=1e-12)
    assert (outcome.days == 0.5).all()
    assert outcome.money_per_day == pytest.approx(outcome.money.mean() / 0.5)
    np.testing.assert_allclose(sum(outcome.terms.values()), outcome.money, rtol=1e-12)


def test_the_score_is_a_ratio_of_sums(toy: Any) -> None:
    compared = compare(["all", "bound"], TEST, toy.make_simulator)
    rows = {result.target: result for result in compared.results}
    assert set(rows) == {"noop", "threshold", "planner", "bound"}
    assert compared.rule == "threshold"
    assert rows["threshold"].score == 0.0 and rows["bound"].score == pytest.approx(100.0)
    assert rows["planner"].score == pytest.approx(100.0, abs=1e-4)
    money = {name: outcome.money.sum() for name, outcome in compared.outcomes.items()}
    by_hand = (money["noop"] - money["threshold"]) / (money["bound"] - money["threshold"])
    assert rows["noop"].score == pytest.approx(100.0 * by_hand)
    low, high = rows["noop"].score_ci or (0.0, 0.0)
    assert low < rows["noop"].score < high < 0.0


def test_the_rule_is_chosen_on_the_validation_split(toy: Any, monkeypatch: Any) -> None:
    """A rule that would win the test split alone does not become score 0."""
    fits = {"validation": "noop", "test": "threshold"}

    class Domain(toy.ToyDomain):  # type: ignore[misc, name-defined]
        def make_controller(self, name: str) -> Any:
            class Rigged(toy.Noop):  # type: ignore[misc, name-defined]
                def reset(self, simulator: Any) -> None:
                    acting = toy.Planner if fits[simulator.split] == name else toy.Noop
                    self.acting = acting()
                    self.acting.reset(simulator)

                def power(self, simulator: Any) -> Any:
                    return self.acting.power(simulator)

            return Rigged()

    def make(scenario: Any, **options: Any) -> Any:
        simulator = toy.make_simulator(scenario, **options)
        simulator.domain = Domain()
        simulator.scenario_hash = "rigged"
        return simulator

    compared = compare(["noop", "threshold"], TEST, make)
    assert compared.rule == "noop"
    rows = {result.target: result for result in compared.results}
    assert rows["noop"].score == 0.0
    assert rows["threshold"].score == pytest.approx(100.0, abs=1e-4)


def test_the_json_document_has_the_promised_keys(toy: Any, finished_run: RunDirectory) -> None:
    run = finished_run
    targets = [str(run.path), str(run.onnx_file), "noop", "bound"]
    document = compare(targets, TEST, toy.make_simulator).document()
    document = json.loads(json.dumps(document, allow_nan=False))
    assert {"scenario", "split", "episodes", "results"} <= document.keys()
    assert (document["scenario"], document["split"], document["episodes"]) == ("toy", "test", 30)
    assert [row["target"] for row in document["results"]] == targets
    for row in document["results"]:
        assert {
            "target", "score", "score_ci", "money_per_day", "costs", "interventions",
            "us_per_decision",
        } <= row.keys()  # fmt: skip
        assert len(row["score_ci"]) == 2 and row["score_ci"][0] <= row["score"] + 1e-9
    run_row, onnx_row, noop_row, bound_row = document["results"]
    assert run_row["money_per_day"] == pytest.approx(onnx_row["money_per_day"], rel=1e-5)
    assert run_row["us_per_decision"] > 0 and bound_row["us_per_decision"] is None
    assert set(noop_row["costs"]) == {"overfill_kwh"}
    report = json.loads((run.path / "report.json").read_text())
    assert {row["target"] for row in report["results"]} == {
        str(run.path), "noop", "threshold", "planner", "bound",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "currency", "heading", "event"),
    [
        ({"base": "lv_rural", "episode_days": 1}, "EUR", "kWh shed/day", "unserved_kwh"),
        ({"base": "gpu_week", "episode_days": 2}, "USD", "jobs missed/day", "missed_jobs"),
        ("lost_sales_poisson_l4_p4", "USD", "units lost/day", "lost_units"),
    ],
    ids=["energy", "compute", "logistics"],
)
def test_a_comparison_shows_the_domains_own_currency_and_events(
    scenario: Any, currency: str, heading: str, event: str
) -> None:
    """Beside sums of the simulator's events that are kept here."""
    simulator = daogym.make_simulator(scenario, 2)
    domain: Any = simulator.domain
    controller = domain.make_controller(domain.noop_name)
    simulator = daogym.make_simulator(scenario, 2, action_mode=controller.action_mode)
    simulator.reset(seed=3)
    outcome = play(controller, simulator)
    by_hand = daogym.make_simulator(scenario, 2, action_mode=controller.action_mode)
    by_hand.reset(seed=3)
    controller.reset(by_hand)
    happened = 0.0
    for _ in range(by_hand.horizon):
        by_hand.step(controller.act(by_hand))
        happened += float(by_hand.events[:, by_hand.event_names.index(event)].sum())
    shown = [name for _, name in report.reported_events(domain)]
    found = results([outcome], outcome, None, shown)
    head, _, row = report.markdown(found, domain).splitlines()
    cells = dict(zip(head.split(" | "), row.split(" | "), strict=True))
    foreign = {"EUR", "USD"} - {currency}
    assert f"{currency}/day" in head and not any(word in head for word in foreign)
    assert float(cells[f"{currency}/day"]) == pytest.approx(outcome.money_per_day, abs=0.01)
    assert float(cells[heading]) == pytest.approx(happened / outcome.days.sum(), rel=0.01)
    assert ("kWh" in head) == (currency == "EUR")


def test_a_runs_report_is_in_the_domains_currency(
    toy: Any, toy_config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toy.ToyDomain, "currency", "JPY", raising=False)
    shown = (("kWh missed", "unserved_kwh"),)
    monkeypatch.setattr(toy.ToyDomain, "reported_events", shown, raising=False)
    run = train(toy_config(), make_simulator=toy.make_simulator)
    page = (run.path / "report.md").read_text()
    assert "| JPY/day |" in page and "| kWh missed/day |" in page and "EUR" not in page
    document = json.loads((run.path / "report.json").read_text())
    assert document["currency"] == "JPY"
    assert all("unserved_kwh" in row["events"] for row in document["results"][1:-1])


def test_unknown_targets_are_refused_before_anything_is_played(toy: Any, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"'thresold'.*noop, threshold, planner"):
        compare(["all", "thresold"], TEST, toy.make_simulator)


def test_expensive_outcomes_are_kept_and_distrusted_when_anything_differs(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ResultsCache(tmp_path / "results")
    played = 0
    plain = evaluation.play

    def counting(*arguments: Any) -> Outcome:
        nonlocal played
        played += 1
        return plain(*arguments)

    monkeypatch.setattr(evaluation, "play", counting)
    first = Referee(TEST, toy.make_simulator, cache=cache).play_controller("threshold")
    again = Referee(TEST, toy.make_simulator, cache=cache).play_controller("threshold")
    assert played == 1
    assert again.to_json() == first.to_json()

    others = [
        EpisodeSet("toy", "test", 31),
        EpisodeSet("toy", "validation", 30),
        EpisodeSet("toy", "test", 30, seed=5),
        EpisodeSet({"load_kw": 3.0}, "test", 30),
    ]
    for episodes in others:
        Referee(episodes, toy.make_simulator, cache=cache).play_controller("threshold")
    assert played == 1 + len(others)
    monkeypatch.setattr(evaluation, "source_hash", lambda: "other sources")
    Referee(TEST, toy.make_simulator, cache=cache).play_controller("threshold")
    assert played == 2 + len(others)
    monkeypatch.undo()
    monkeypatch.setattr(evaluation, "play", counting)

    # Damaged, or renamed to another key's file: computed again, never believed.
    files = sorted((tmp_path / "results").iterdir())
    for file in files:
        file.write_text('{"key": {"target": "threshold"}, "value": {"money": [1e9]}}')
    healed = Referee(TEST, toy.make_simulator, cache=cache).play_controller("threshold")
    np.testing.assert_array_equal(healed.money, first.money)
    for file in files:
        file.write_text("{")
    healed = Referee(TEST, toy.make_simulator, cache=cache).play_controller("threshold")
    np.testing.assert_array_equal(healed.money, first.money)


def test_a_policy_of_another_world_is_refused(toy: Any, finished_run: RunDirectory) -> None:
    run = finished_run

    def other(scenario: Any, **options: Any) -> Any:
        from daogym.envs.core.fields import Field, FieldSet

        simulator = toy.make_simulator(scenario, **options)
        fields = list(simulator.observation_fields)
        fields[0] = Field("soc_mwh", "MWh", 0.0, 2.0)
        simulator.observation_fields = FieldSet(fields)
        return simulator

    with pytest.raises(ValueError, match="soc_mwh"):
        compare([str(run.path)], TEST, other)


def test_a_policy_keeps_its_meaning_where_bounds_differ(
    toy: Any, finished_run: RunDirectory
) -> None:
    """The same world declared with wider price bounds: the same physical actions."""
    run = finished_run

    def wider(scenario: Any, **options: Any) -> Any:
        from daogym.envs.core.fields import Field, FieldSet

        simulator = toy.make_simulator(scenario, **options)
        soc, left, _ = simulator.observation_fields
        price = Field("price_eur_per_kwh", "EUR/kWh", -1.0, 5.0, (toy.LEADS,))
        simulator.observation_fields = FieldSet([soc, left, price])
        simulator.action_fields = FieldSet([Field("power_kw", "kW", -4.0, 3.0)])
        simulator.scenario_hash = "wider"
        simulator._observe()
        return simulator

    targets = [str(run.path), str(run.onnx_file)]
    narrow = compare(targets, TEST, toy.make_simulator)
    wide = compare(targets, TEST, wider)
    for target in targets:
        np.testing.assert_allclose(
            wide.outcomes[target].money, narrow.outcomes[target].money, rtol=1e-4
        )
    assert not narrow.notes
    assert len(wide.notes) == 2 and "this is toy wider" in wide.notes[0]


def test_playing_touches_no_global_random_state(toy: Any) -> None:
    before = (np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    compare(["all", "bound"], EpisodeSet("toy", "test", 30, seed=123), toy.make_simulator)
    after = (np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    assert before[0] == after[0] and torch.equal(before[1], after[1])
