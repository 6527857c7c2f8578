"""Warm start on the toy world, whose teacher is optimal and whose returns are known exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daogym.agents import imitation
from daogym.agents.config import TrainConfig
from daogym.agents.evaluation import EpisodeSet, play
from daogym.agents.imitation import ImitationError, demonstrations, imitate
from daogym.agents.policy import TorchPolicy, actor_of, contract_of
from daogym.agents.ppo import make_ppo
from daogym.agents.scoring import score_of
from daogym.agents.training import make_sb3_env, train


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Demonstrations are kept in a folder of the test."""
    path = tmp_path / "demonstrations"
    monkeypatch.setattr(imitation, "_folder", lambda: path)
    return path


def test_labels_are_the_teachers_and_returns_are_discounted_rewards(
    toy: Any, toy_config: Callable[..., TrainConfig]
) -> None:
    # Noise of e^-10 leaves the teacher's own, optimal episodes.
    config = toy_config(warm_start_episodes=100, log_std_init=-10.0, gamma=1.0)
    shown = demonstrations(config, toy.make_simulator)
    assert shown.observations.shape == (1200, 6) and shown.actions.shape == (1200, 1)
    first = shown.returns.reshape(100, 12)[:, 0]
    for start in (0, 64):
        count = min(64, 100 - start)
        episodes = EpisodeSet("toy", "train", count, seed=imitation.DEMONSTRATION_SEED + start)
        simulator = episodes.simulator(toy.make_simulator, None)
        load = -simulator.prices.sum(axis=1)
        bound = simulator.domain.upper_bound(simulator)
        wanted = (bound - load) * simulator.domain.reward_scale
        np.testing.assert_allclose(first[start : start + count], wanted, atol=2e-3)


def test_the_policy_becomes_nearly_as_good_as_its_teacher(
    toy: Any, toy_config: Callable[..., TrainConfig]
) -> None:
    config = toy_config(
        warm_start_episodes=512, warm_start_epochs=60, log_std_init=-1.5, learning_rate=1e-2
    )
    shown = demonstrations(config, toy.make_simulator)
    simulator = toy.make_simulator(num_envs=64)
    model = make_ppo(config, make_sb3_env(simulator, control_variate=True))
    before = np.random.get_state(legacy=True)[1].tolist()  # type: ignore[index]  # noqa: NPY002
    result = imitate(model, shown, config)
    assert np.random.get_state(legacy=True)[1].tolist() == before  # type: ignore[index]  # noqa: NPY002
    assert result.return_error < 0.2
    policy = TorchPolicy("p", actor_of(model.policy), contract_of(simulator, ""))  # type: ignore[arg-type]
    episodes = EpisodeSet("toy", "test", 64)
    played = [
        play(who, episodes.simulator(toy.make_simulator, None))
        for who in (policy, toy.Threshold(), toy.Planner())
    ]
    score = score_of(*played)
    assert score is not None and score > 80.0


def test_demonstrations_are_kept_under_all_that_they_depend_on(
    toy: Any, toy_config: Callable[..., TrainConfig], folder: Path
) -> None:
    config = toy_config(warm_start_episodes=4)
    first = demonstrations(config, toy.make_simulator)

    def nobody(scenario: Any, **options: Any) -> Any:
        simulator = toy.make_simulator(scenario, **options)
        assert options["num_envs"] == 1, "demonstrated again"
        return simulator

    again = demonstrations(config, nobody)
    np.testing.assert_array_equal(first.actions, again.actions)
    np.testing.assert_array_equal(first.returns, again.returns)
    demonstrations(toy_config(warm_start_episodes=4, log_std_init=-1.0), toy.make_simulator)
    assert len(list(folder.iterdir())) == 2
    kept = next(iter(folder.iterdir()))
    kept.write_bytes(kept.read_bytes()[:100])
    np.testing.assert_array_equal(demonstrations(config, toy.make_simulator).actions, first.actions)


def test_a_domain_without_a_teacher_is_named(
    toy: Any, toy_config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(toy.ToyDomain, "make_teacher")
    with pytest.raises(ImitationError, match="'toy' has no teacher"):
        demonstrations(toy_config(), toy.make_simulator)


def test_a_run_with_a_warm_start_goes_to_its_report(
    toy: Any, toy_config: Callable[..., TrainConfig], capsys: pytest.CaptureFixture[str]
) -> None:
    run = train(
        toy_config(warm_start=True, warm_start_episodes=64), make_simulator=toy.make_simulator
    )
    assert "768 decisions of the teacher" in capsys.readouterr().out
    assert run.onnx_file.is_file()


def test_demonstrated_returns_leave_out_the_stock_at_hand(
    toy: Any, toy_config: Callable[..., TrainConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sum of a potential's discounted changes is less its first value."""
    plain = demonstrations(toy_config(warm_start_episodes=4), toy.make_simulator)
    worth = lambda self, observations: 3.0 * observations[..., 0].astype(np.float64)  # noqa: E731
    monkeypatch.setattr(toy.ToyDomain, "stock_value", worth, raising=False)
    config = toy_config(warm_start_episodes=4, value_stock=True)
    shaped = demonstrations(config, toy.make_simulator)
    assert np.array_equal(shaped.observations, plain.observations)
    scale = toy.make_simulator().domain.reward_scale
    wanted = plain.returns - scale * 3.0 * plain.observations[:, 0]
    np.testing.assert_allclose(shaped.returns, wanted, atol=1e-4)
