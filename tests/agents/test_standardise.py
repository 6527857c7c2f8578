"""Inputs standardised in the first layers' initial weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from daogym.agents.standardise import LEAST_DEVIATION, observed, standardise_inputs


def test_statistics_are_those_of_an_episode_of_the_zero_action(toy: Any) -> None:
    mean, deviation = observed(toy.make_simulator(num_envs=64, stagger=False), 3)
    simulator = toy.make_simulator(num_envs=64, stagger=False)
    simulator.reset(seed=3_000_000)
    seen = []
    for step in range(simulator.horizon):
        if step % 3 == 0:
            seen.append(simulator.observations.copy())
        simulator.step(np.zeros((64, 1), dtype=np.float32))
    rows = np.concatenate(seen).astype(np.float64)
    assert len(rows) == 64 * 4
    assert mean == pytest.approx(rows.mean(axis=0), abs=1e-9)
    assert deviation == pytest.approx(rows.std(axis=0), abs=1e-9)


def test_the_first_layer_sees_standardised_numbers() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Tanh(), torch.nn.Linear(5, 2))
    mean, deviation = np.array([0.4, -0.9, 0.0]), np.array([0.7, 0.05, 0.001])
    rows = torch.rand(50, 3) * 2.0 - 1.0
    scale = torch.tensor([0.7, 0.05, LEAST_DEVIATION])
    with torch.no_grad():
        expected = network((rows - torch.tensor(mean, dtype=torch.float32)) / scale)
        standardise_inputs(network, mean, deviation)
        assert torch.allclose(network(rows), expected, atol=1e-4)
