"""Settings: clear errors, named scenarios, what the domain refuses."""

from __future__ import annotations

from typing import Any

import pytest

import daogym
from daogym.envs.compute.domain import ComputeDomain
from daogym.envs.compute.named import NAMES, SHELF, compute_scenario
from daogym.envs.core.strict import ConfigError


@pytest.mark.parametrize("name", NAMES)
def test_named_scenarios_and_their_variants_load(name: str) -> None:
    scenario = compute_scenario(name)
    assert scenario.name == name and daogym.load_scenario(name) == scenario
    for variant, settings in SHELF.stress_variants().items():
        changed = compute_scenario(f"{name}+{variant}")
        assert changed != scenario and changed.name == f"{name}+{variant}"
        assert set(settings) <= set(type(changed).model_fields)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"suply": {}}, ("suply", "supply")),
        ({"supply": {"providers": 0}}, ("supply.providers", "0", "1")),
        ({"supply": {"providers": 300}}, ("supply.providers", "256")),
        ({"step_minutes": 7.0}, ("step_minutes", "whole number", "7.0")),
        ({"orders": {"hour_factors": [1.0]}}, ("hour_factors", "24")),
        ({"orders": {"band_edges_h": [6.0, 1.0, 24.0]}}, ("band_edges_h", "rising")),
        ({"charter": {"parameters": {"take_rate": 0.1}}}, ("take_rate", "take_rate_share")),
        ({"charter": {"parameters": {"take_rate_share": 0.5}}}, ("0.5", "0.0 to 0.2")),
        ({"token": {"volatility_per_day": float("nan")}}, ("volatility_per_day",)),
        ({"operator": {"admission": -0.4}}, ("operator.admission", "-0.4")),
        ({"operator": {"admission": [0.0, 0.0, -6.0, 0.0]}}, ("operator.admission.2", "-6.0")),
        ({"operator": {"standby": [0.0, 1.5, 0.0, 0.0]}}, ("operator.standby.1", "1.5")),
        ({"operator": {"standby": [0.0]}}, ("operator.standby", "4")),
        ({"base": "gpu_wek"}, ("gpu_wek", "gpu_week")),
    ],
)
def test_errors_name_the_key_the_value_and_what_is_allowed(
    settings: dict[str, Any], words: tuple[str, ...]
) -> None:
    with pytest.raises(ConfigError) as caught:
        daogym.make_simulator({"base": "gpu_week", **settings})
    for word in words:
        assert word in str(caught.value)


def test_shares_of_shapes_must_add_up() -> None:
    shapes = compute_scenario("gpu_week").model_dump(mode="json")["orders"]["shapes"]
    shapes[0]["share"] += 0.1
    with pytest.raises(ConfigError, match=r"add up to 1 expected, got 1\.1"):
        compute_scenario({"base": "gpu_week", "orders": {"shapes": shapes}})


def test_the_domain_of_a_file_is_read_from_it(tmp_path: Any) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("domain: compute\nname: mine\nepisode_days: 2\n")
    simulator = daogym.make_simulator(path)
    assert simulator.domain.name == "compute" and simulator.horizon == 192
    path.write_text("domain: trains\n")
    with pytest.raises(ConfigError, match="'trains'"):
        daogym.make_simulator(path)


def test_options_that_are_none() -> None:
    with pytest.raises(ValueError, match="operator, scheduler"):
        daogym.make_simulator("gpu_week", action_mode="fleet")
    with pytest.raises(ValueError, match="train, validation"):
        daogym.make_simulator("gpu_week", split="exam")
    with pytest.raises(ValueError, match="carry"):
        daogym.make_simulator("gpu_week", carry=True)
    domain = ComputeDomain(compute_scenario("gpu_week"))
    assert domain.start_day("Sunday") == 6 and domain.start_day("2026-11-24") == 1
    with pytest.raises(ValueError, match="weekday"):
        domain.start_day("soon")
    with pytest.raises(ValueError, match="controller"):
        domain.make_controller("magic")


def test_splits_are_different_worlds_and_markets_scale() -> None:
    starts = []
    for split in ("train", "validation", "test"):
        simulator = daogym.make_simulator("gpu_week", 2, split=split)
        simulator.reset(seed=1)
        starts.append(simulator.observations.copy())
    assert (starts[0] != starts[1]).any() and (starts[1] != starts[2]).any()
    for providers in (8, 16, 64):
        large = ComputeDomain(
            compute_scenario({"base": "gpu_week", "supply": {"providers": providers}})
        )
        assert len(large.providers) == providers
        assert large.jobs_per_h == pytest.approx(0.14045 * large.gpus)
