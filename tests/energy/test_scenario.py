"""Scenarios and charters: what is wrong is said in the user's words, and nothing is run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.energy.layout import N_GOVERNED_STATIC
from daogym.envs.energy.named import NAMES, stress_variants
from daogym.envs.energy.scenario import GOVERNED_PARAMETERS, EnergyScenario


def load(changes: dict[str, Any], base: str = "lv_rural") -> EnergyScenario:
    return daogym.load_scenario({"base": base, **changes})


# What is given, and words that the message must hold.
BAD: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "unknown key": ({"episode_dayz": 3}, ("episode_dayz", "episode_days")),
    "unknown nested key": (
        {"tariff": {"feed_in": 0.5}},
        ("tariff", "feed_in", "feed_in_share"),
    ),
    "another section's key": (
        {"batteries": {"presence": 0.5}},
        ("batteries", "presence"),
    ),
    "text for a number": (
        {"tariff": {"import_fee_eur_per_kwh": "8 ct"}},
        ("tariff.import_fee_eur_per_kwh", "8 ct"),
    ),
    "number for a section": ({"cars": 3}, ("cars", "3")),
    "fee in cents": ({"tariff": {"import_fee_eur_per_kwh": 8.0}}, ("8", "1")),
    "efficiency in percent": ({"batteries": {"efficiency": 95.0}}, ("batteries.efficiency", "95")),
    "negative wear": ({"batteries": {"wear_eur_per_kwh": -0.1}}, ("wear_eur_per_kwh", "-0.1")),
    "no days": ({"episode_days": 0}, ("episode_days", "0")),
    "half a day": ({"episode_days": 0.5}, ("episode_days", "0.5")),
    "yes for a number": ({"episode_days": True}, ("episode_days",)),
    "not a number": ({"stress": {"load": float("nan")}}, ("stress.load", "nan")),
    "odd step": ({"step_minutes": 10.0}, ("step_minutes", "10", "7.5")),
    "charge out of order": (
        {"batteries": {"initial_soc_low": 0.9, "initial_soc_high": 0.2}},
        ("initial_soc_low", "0.9", "0.2"),
    ),
    "half of an own grid": ({"profiles": "mine.csv"}, ("feeder", "profiles", "prices")),
    "the same year twice": ({"price_years": [2023, 2023]}, ("price_years", "2023")),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_wrong_setting_is_named_with_its_value(case: str) -> None:
    changes, words = BAD[case]
    with pytest.raises(ConfigError) as caught:
        load(changes)
    for word in words:
        assert word in str(caught.value), str(caught.value)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("lv_rual", "lv_rural"),
        ("ieee-33", "ieee33"),
        ("cigre", "cigre_mv"),
        ("lv_rural+high_demnd", "high_demand"),
        ("ieee33+tight_voltages", "tight_voltage"),
    ],
)
def test_an_unknown_scenario_or_variant_names_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean '{nearest}'"):
        daogym.load_scenario(name)
    with pytest.raises(ConfigError, match=nearest):
        daogym.make_simulator(name)


@pytest.mark.parametrize("name", ["", "+", "lv_rural+", "lv_rural++", "lv_rural+low_pv+low_pv"])
def test_a_half_name_is_no_scenario(name: str) -> None:
    with pytest.raises(ConfigError):
        daogym.load_scenario(name)


def test_an_unknown_feeder_names_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        daogym.make_simulator({"base": "lv_rural", "feeder": "lv_urban"})
    assert "lv_urban" in str(caught.value) and "lv_rural" in str(caught.value)


def test_years_without_prices_are_refused() -> None:
    with pytest.raises(ConfigError, match="1999"):
        daogym.make_simulator({"base": "lv_rural", "price_years": [1999]})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nothing\.yaml"):
        daogym.load_scenario(tmp_path / "nothing.yaml")


def test_a_file_is_read_and_its_errors_name_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nfeeder: ieee33\nepisode_days: 2\n", encoding="utf-8")
    assert daogym.load_scenario(path).feeder == "ieee33"
    assert daogym.load_scenario(str(path)) == daogym.load_scenario(path)
    path.write_text("name: mine\nfeder: ieee33\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        daogym.load_scenario(path)
    assert "mine.yaml" in str(caught.value) and "feeder" in str(caught.value)


def test_paid_more_for_exports_than_imports_cost_is_refused_with_the_hour() -> None:
    """In 20 quarter-hours a share of 0.6 and a fee of 0.15 pay for a loop through the meter."""
    changes = {"tariff": {"feed_in_share": 0.6, "import_fee_eur_per_kwh": 0.15}}
    scenario = load(changes)
    with pytest.raises(ConfigError) as caught:
        daogym.make_simulator(scenario)
    message = str(caught.value)
    series = daogym.make_simulator("lv_rural").domain.loaded.series
    price = series.price_eur_per_mwh / 1000.0
    bad = np.argwhere(0.6 * price > price + 0.15)
    assert len(bad) > 0
    day, hour = bad[0]
    assert str(series.date[day]) in message and f"{hour}:00" in message
    assert "feed_in_share" in message and "import_fee_eur_per_kwh" in message


@pytest.mark.parametrize("base", NAMES)
def test_every_variant_of_every_scenario_can_be_built(base: str) -> None:
    variants = stress_variants()
    assert set(variants) >= {
        "high_demand", "low_pv", "price_shock", "tight_transformer", "tight_voltage",
    }  # fmt: skip
    hashes = {daogym.make_simulator(base).scenario_hash}
    for variant in variants:
        simulator = daogym.make_simulator(f"{base}+{variant}")
        assert simulator.scenario.name == f"{base}+{variant}"
        hashes.add(simulator.scenario_hash)
    assert len(hashes) == 1 + len(variants)


def test_the_hash_names_the_dynamics() -> None:
    one = daogym.make_simulator("lv_rural").scenario_hash
    assert daogym.make_simulator({"base": "lv_rural"}).scenario_hash == one
    for changes in (
        {"tariff": {"import_fee_eur_per_kwh": 0.09}},
        {"charter": {"parameters": {"export_limit_share": 0.6}}},
        {"batteries": {"efficiency": 0.94}},
        {"episode_days": 2},
    ):
        assert daogym.make_simulator(load(changes)).scenario_hash != one


# -- registry and reset ---------------------------------------------------------------------------


def test_unknown_options_of_a_simulator() -> None:
    with pytest.raises(ValueError, match=r"split: one of train, validation, test, all .*'dev'"):
        daogym.make_simulator(split="dev")
    with pytest.raises(ValueError, match="action_mode: 'fleet' or 'device' expected, got 'both'"):
        daogym.make_simulator(action_mode="both")
    with pytest.raises(ValueError, match=r"autoreset: .*'never'"):
        daogym.make_simulator(autoreset="never")  # type: ignore[arg-type]


def test_a_split_without_room_for_the_episode_says_so() -> None:
    with pytest.raises(ValueError, match="no run of 30 days"):
        daogym.make_simulator(episode_days=30, split="validation")


def test_episodes_of_a_split_stay_inside_it() -> None:
    for split, number in (("train", 0), ("validation", 1), ("test", 2)):
        simulator = daogym.make_simulator(num_envs=200, split=split, episode_days=3)
        series = simulator.domain.loaded.series
        simulator.reset(seed=0)
        days = simulator.state("day")
        assert len(np.unique(days)) > 20
        for shift in range(3):
            assert np.all(series.split[days + shift] == number)
            assert np.all(np.diff(series.date[np.stack([days, days + shift])], axis=0).astype(int)
                          == shift)  # fmt: skip


def test_an_episode_begins_on_the_asked_date() -> None:
    simulator = daogym.make_simulator(num_envs=2)
    simulator.reset(seed=0, options={"date": "2023-05-14"})
    series = simulator.domain.loaded.series
    assert np.all(series.date[simulator.state("day")] == np.datetime64("2023-05-14"))
    simulator.reset(options={"date": ["2024-02-01", "2023-02-02"]})
    assert series.date[simulator.state("day")].astype(str).tolist() == ["2024-02-01", "2023-02-02"]
    simulator.reset(seed=0)
    assert np.any(series.date[simulator.state("day")] != np.datetime64("2023-05-14"))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"date": "14.05.2023"}, "YYYY-MM-DD"),
        ({"date": "2019-05-14"}, "2019-05-14"),
        ({"date": "2023-02-30"}, "2023-02-30"),
        ({"date": ["2023-05-14"] * 2}, "1 dates expected, got 2"),
        ({"day": 4}, "'date' is known, got 'day'"),
    ],
)
def test_a_wrong_reset_option_changes_nothing(options: dict[str, Any], words: str) -> None:
    simulator = daogym.make_simulator()
    simulator.reset(seed=0)
    before = simulator.snapshot()
    with pytest.raises(ValueError, match=words):
        simulator.reset(seed=1, options=options)
    for name, array in simulator.snapshot().items():
        assert np.array_equal(array, before[name])


def test_an_episode_may_not_run_past_the_calendar() -> None:
    """The world ends after its last day; an episode of a week cannot begin on it."""
    simulator = daogym.make_simulator(episode_days=7)
    last = simulator.domain.loaded.series.date[-1]
    with pytest.raises(ValueError, match=str(last)):
        simulator.reset(seed=0, options={"date": str(last)})


@pytest.mark.kernel
def test_continuous_operation_runs_on_from_day_to_day() -> None:
    """Carried episodes go on with the stored energy of the last one, past the calendar's end."""
    simulator = daogym.make_simulator(num_envs=2, carry=True, split="all")
    n_days = simulator.domain.loaded.n_days
    series = simulator.domain.loaded.series
    simulator.reset(seed=0, options={"date": [str(series.date[0]), str(series.date[-1])]})
    action = np.zeros((2, simulator.action_size), dtype=np.float32)
    for day in range(3):
        assert simulator.state("day").tolist() == [day, (n_days - 1 + day) % n_days]
        for _ in range(simulator.horizon):
            soc = simulator.state("soc_kwh").copy()
            simulator.step(action)
        assert np.all(np.abs(simulator.state("soc_kwh") - soc) < 60.0)
        assert np.all(simulator.terminated)
        assert np.all(simulator.state("step") == 0)


@pytest.mark.kernel
def test_continuous_weeks_stay_inside_the_calendar() -> None:
    simulator = daogym.make_simulator(carry=True, split="all", episode_days=7)
    series = simulator.domain.loaded.series
    simulator.reset(seed=0, options={"date": str(series.date[-10])})
    action = np.zeros((1, simulator.action_size), dtype=np.float32)
    for _ in range(3):
        day = int(simulator.state("day")[0])
        assert 0 <= day <= len(series.date) - 7
        for _ in range(simulator.horizon):
            simulator.step(action)


@pytest.mark.kernel
def test_reset_in_the_middle_of_continuous_operation_begins_anew() -> None:
    simulator = daogym.make_simulator(num_envs=2, carry=True)
    simulator.reset(seed=0)
    action = np.zeros((2, simulator.action_size), dtype=np.float32)
    for _ in range(5):
        simulator.step(action)
    simulator.reset()
    assert np.all(simulator.state("step") == 0)
    simulator.reset(options={"date": "2023-05-14"})
    series = simulator.domain.loaded.series
    assert np.all(series.date[simulator.state("day")] == np.datetime64("2023-05-14"))


# -- charter --------------------------------------------------------------------------------------


def test_charter_errors_name_the_parameter() -> None:
    def build(parameters: dict[str, Any]) -> None:
        voted = {"mode": "voted", "proposals_per_day": 0.0, "parameters": parameters}
        daogym.make_simulator(load({"charter": voted, "local_market": True, "episode_days": 7}))

    with pytest.raises(ConfigError, match="did you mean 'export_limit_share'"):
        build({"export_limit": 0.5})
    for parameter in GOVERNED_PARAMETERS:
        for value in (parameter.high * 1.01 + 0.01, parameter.low - 0.01):
            with pytest.raises(ConfigError) as caught:
                build({parameter.name: value})
            message = str(caught.value)
            assert parameter.name in message and str(parameter.high) in message
            assert str(value) in message
        build({parameter.name: parameter.low})
        build({parameter.name: parameter.high})
    with pytest.raises(ConfigError, match="voted"):
        load({"charter": {"mode": "voted by whim"}})


def test_charter_values_reach_the_state() -> None:
    simulator = daogym.make_simulator(
        load({"charter": {"parameters": {"reserve_floor_share": 0.25}}}), 3
    )
    simulator.reset(seed=0)
    position = [p.name for p in GOVERNED_PARAMETERS].index("reserve_floor_share")
    expected = [p.initial for p in GOVERNED_PARAMETERS]
    expected[position] = 0.25
    assert np.array_equal(simulator.state("governed"), [expected] * 3)
    columns = simulator.observation_fields.slice("governed")
    seen = simulator.observation_fields.denormalise(simulator.observations)[:, columns]
    assert np.allclose(seen, [expected[:N_GOVERNED_STATIC]] * 3, atol=1e-6)
