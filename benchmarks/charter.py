"""What a voted charter adds to a step: one week-long world with and without votes, in turns."""

from __future__ import annotations

import statistics
import time
from typing import Any

import daogym

from .actions import random_actions


def measure_charter(
    scenario: str, mode: str, num_envs: int, repeats: int, seconds: float
) -> dict[str, Any]:
    """Processor time of a step of one environment on one thread, nanoseconds, and what is added.

    Static and voted environments are stepped in turns, so that other work on the machine hits both.
    """
    simulators = {}
    for name in dict.fromkeys(("static", mode)):
        settings = {"base": scenario, "episode_days": 7, "charter": {"mode": name}}
        simulator = daogym.make_simulator(settings, num_envs, stagger=True)
        simulator.reset(seed=0)
        simulators[name] = simulator
    actions = random_actions(num_envs, simulators["static"].action_size)
    calls = max(16, round(seconds / (3e-6 * num_envs)))
    taken: dict[str, list[float]] = {name: [] for name in simulators}
    for _ in range(repeats + 1):
        for name, simulator in simulators.items():
            begun = time.thread_time()
            for turn in range(calls):
                simulator.step(actions[turn % len(actions)])
            taken[name].append((time.thread_time() - begun) / calls / num_envs)
    # the first round loads caches
    step_ns = {name: 1e9 * statistics.median(times[1:]) for name, times in taken.items()}
    return {
        "scenario": scenario,
        "charter": mode,
        "num_envs": num_envs,
        "step_ns": step_ns,
        "added_share": step_ns[mode] / step_ns["static"] - 1.0,
    }
