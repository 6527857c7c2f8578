"""A policy that is blind to a field: its numbers change nothing, in training and after export."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from daogym.agents.config import TrainConfig
from daogym.agents.hidden_fields import seen_numbers
from daogym.agents.policy import load_policy
from daogym.agents.training import train
from daogym.envs.core.strict import ConfigError

Config = Callable[..., TrainConfig]


@pytest.mark.parametrize("warm_start", [False, True])
def test_a_hidden_field_moves_no_action(toy_config: Config, toy: Any, warm_start: bool) -> None:
    config = toy_config(
        hidden_fields=("steps_left",), warm_start=warm_start, warm_start_episodes=64
    )
    run = train(config, make_simulator=toy.make_simulator, conclude=False)
    actor, contract = load_policy(run.last_file)
    hidden = contract.observations.slice("steps_left")
    draw = np.random.default_rng(0).uniform(-1, 1, (256, contract.observations.size))
    observations = torch.tensor(draw, dtype=torch.float32)
    other = observations.clone()
    other[:, hidden] = -other[:, hidden]
    with torch.no_grad():
        assert torch.equal(actor(observations), actor(other))
        other[:, contract.observations.slice("soc_kwh")] *= -1.0
        assert not torch.equal(actor(observations), actor(other))


def test_a_hidden_field_costs_what_it_was_worth(toy_config: Config, toy: Any) -> None:
    """Without prices there is no telling when to buy."""
    results = []
    for hidden in ((), ("price_eur_per_kwh",)):
        run = train(
            toy_config(
                hidden_fields=hidden,
                run_name=f"{len(hidden)}-hidden",
                total_steps=30_000,
                eval_every_steps=30_000,
            ),
            make_simulator=toy.make_simulator,
            conclude=False,
        )
        rows = run.metrics_file.read_text().splitlines()
        column = rows[0].split(",").index("eval/money_per_day")
        results.append(
            [float(row.split(",")[column]) for row in rows[1:] if row.split(",")[column]]
        )
    assert results[0][-1] > results[1][-1]


def test_an_unknown_field_is_named(toy: Any) -> None:
    fields = toy.make_simulator(num_envs=1).observation_fields
    with pytest.raises(ConfigError, match=r"no field 'price'; did you mean 'price_eur_per_kwh'\?"):
        seen_numbers(fields, ["price"])
