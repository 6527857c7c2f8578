"""Nothing that hangs on the learning loop changes what is learnt."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.utils import LinearSchedule

from daogym.agents.checkpoint import read_tensors
from daogym.agents.config import TrainConfig
from daogym.agents.policy import TorchPolicy, load_policy
from daogym.agents.runs import RunDirectory
from daogym.agents.training import train
from daogym.envs.adapters.sb3 import SB3VecEnv

Config = Callable[..., TrainConfig]


def weights_of(config: TrainConfig, toy: Any) -> dict[str, np.ndarray[Any, Any]]:
    run = train(config, make_simulator=toy.make_simulator, conclude=False)
    return read_tensors(run.last_file)[0]


@pytest.mark.parametrize(
    "lasting", [{}, {"use_sde": True}, {"use_sde": True, "sde_sample_freq": 5}]
)
def test_weights_are_those_of_plain_stable_baselines3(
    toy_config: Config, toy: Any, lasting: dict[str, Any]
) -> None:
    config = toy_config(
        eval_every_steps=768, checkpoint_every_rollouts=1, tensorboard=True, **lasting
    )
    ours = weights_of(config, toy)

    env = SB3VecEnv(toy.make_simulator(num_envs=64, stagger=True))
    model = PPO(
        "MlpPolicy",
        env,
        learning_rate=LinearSchedule(3e-3, 0.0, 1.0),
        n_steps=12,
        batch_size=192,
        n_epochs=4,
        gamma=config.gamma,
        gae_lambda=config.gae_lambda,
        ent_coef=config.ent_coef,
        policy_kwargs={"net_arch": [32, 32], "log_std_init": config.log_std_init},
        seed=config.seed,
        device="cpu",
        **lasting,
    )
    torch.set_num_threads(1)
    model.learn(config.total_steps)
    theirs = {name: tensor.numpy() for name, tensor in model.policy.state_dict().items()}
    assert ours.keys() == theirs.keys()
    for name, array in ours.items():
        assert array.tobytes() == theirs[name].tobytes(), name


def test_evaluation_and_checkpoints_change_no_weight(toy_config: Config, toy: Any) -> None:
    busy = weights_of(
        toy_config(run_name="busy", eval_every_steps=768, checkpoint_every_rollouts=1), toy
    )
    quiet = weights_of(
        toy_config(run_name="quiet", eval_every_steps=0, checkpoint_every_rollouts=0), toy
    )
    other = weights_of(toy_config(run_name="other", seed=1, eval_every_steps=0), toy)
    for name, array in busy.items():
        assert array.tobytes() == quiet[name].tobytes(), name
    assert any(not np.array_equal(array, other[name]) for name, array in busy.items())


def test_acting_draws_no_random_number(finished_run: RunDirectory, toy: Any) -> None:
    run = finished_run
    policy = TorchPolicy("policy", *load_policy(run.best_file))
    simulator = toy.make_simulator(num_envs=5)
    simulator.reset(seed=3)
    policy.reset(simulator)
    before = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    first = policy.act(simulator)
    after = (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state())  # noqa: NPY002
    assert before[:2] == after[:2] and torch.equal(before[2], after[2])
    np.testing.assert_array_equal(first, policy.act(simulator))


def test_the_learning_rate_falls_to_zero(finished_run: RunDirectory) -> None:
    run = finished_run
    lines = run.metrics_file.read_text().splitlines()
    column = lines[0].split(",").index("train/learning_rate")
    rates = [float(line.split(",")[column]) for line in lines[2:]]
    # SB3 updates at the fraction of the run that remains after each rollout.
    assert rates == pytest.approx([3e-3 * 3 / 4, 3e-3 * 2 / 4, 3e-3 * 1 / 4, 0.0])


def test_ppo_reaches_the_known_optimum(toy_config: Config, toy: Any) -> None:
    """The toy's optimum is exact; a policy without foresight comes within a few per cent of it."""
    config = toy_config(total_steps=12 * 64 * 60, eval_every_steps=0)
    run = train(config, make_simulator=toy.make_simulator, conclude=False)
    policy = TorchPolicy("policy", *load_policy(run.best_file))
    simulator = toy.make_simulator(num_envs=200, split="test")
    money = {}
    for name, acting in (("policy", policy), ("noop", toy.Noop()), ("planner", toy.Planner())):
        simulator.reset(seed=77)
        bound = toy.ToyDomain().upper_bound(simulator)
        acting.reset(simulator)
        for _ in range(simulator.horizon):
            simulator.step(acting.act(simulator))
        money[name] = simulator.episode_reward.copy()
        assert (money[name] <= bound + 1e-6).all()
    np.testing.assert_allclose(money["planner"], bound, atol=1e-6)
    gained = (money["policy"] - money["noop"]).sum() / (bound - money["noop"]).sum()
    assert gained > 0.9
