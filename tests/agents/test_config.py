"""Settings: every key explained, every mistake named."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from daogym.agents.config import TrainConfig, settings_help
from daogym.envs.core.strict import ConfigError, load_mapping, load_yaml

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def test_every_setting_has_its_line_of_help() -> None:
    rows = settings_help()
    assert [row[0] for row in rows] == list(TrainConfig.model_fields)
    for key, default, meaning in rows:
        assert default and 5 < len(meaning) < 90, key


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.name)
def test_shipped_files_hold_overrides_only(path: Path) -> None:
    load_yaml(path, TrainConfig)
    written = yaml.safe_load(path.read_text()) or {}
    defaults = TrainConfig().model_dump(mode="json")
    assert not [key for key, value in written.items() if defaults[key] == value]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("learning_rat=1e-3", "did you mean 'learning_rate'"),
        ("gamma=1.5", "gamma"),
        ("num_envs=0", "num_envs"),
        ("num_envs=many", "num_envs"),
        ("activation=tahn", "did you mean 'tanh'"),
        ("batch_size=1000", r"batch_size is 1000.* 1024 \* 16 = 16384"),
        ("seed=-1", "seed"),
        ("algo=mapo", "did you mean 'mappo'"),
        ("algo=ppo_lagrangian", r"expected cost_limits such as \{overload_kwh: 12\}"),
        ("cost_limits={overload_kwh: 3}", "algo=ppo knows no limits"),
        ("cost_limits={overload_kwh: -3}", "cost_limits.overload_kwh"),
        ("team_share=1.5", "team_share"),
        ("sde_sample_freq=8", "without use_sde=true"),
        (
            "mirror_lanes=true",
            "expected use_sde=true and an even num_envs; got use_sde=f",
        ),
        ("run_root=", "run_root"),
        ("learning_rate=.nan", "learning_rate"),
    ],
)
def test_a_mistake_is_named(override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_mapping({}, TrainConfig, overrides=[override])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mirror_lanes": True, "use_sde": True, "num_envs": 7, "batch_size": 7}, "num_envs=7"),
        ({"standardise_observations": True, "net_arch": []}, "no hidden layer to scale"),
    ],
)
def test_settings_that_do_not_go_together(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_mapping(settings, TrainConfig)


def test_a_resolved_file_gives_the_same_settings(
    tmp_path: Path, toy_config: Callable[..., TrainConfig]
) -> None:
    from daogym.agents.runs import RunDirectory

    config = toy_config(scenario={"base": "lv_rural", "tariff": {"feed_in_share": 0.5}})
    run = RunDirectory.create(config)
    run.write_config(config)
    assert run.config() == config
    assert set(yaml.safe_load(run.config_file.read_text())) == set(TrainConfig.model_fields)


def test_the_training_hash_knows_what_weights_depend_on(
    toy_config: Callable[..., TrainConfig],
) -> None:
    one = toy_config().training_hash
    assert toy_config(final_episodes=7, run_name="x", threads=2).training_hash == one
    for change in ({"seed": 1}, {"gamma": 0.5}, {"torch_threads": 2}, {"scenario": "other"}):
        assert toy_config(**change).training_hash != one, change
