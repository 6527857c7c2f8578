"""The market's own kernel as a plain queue: one provider, one kind of order, no prices."""

from __future__ import annotations

from typing import Any

import numpy as np

from daogym.envs.compute.domain import ComputeDomain
from daogym.envs.compute.layout import KNOTS, SHAPES
from daogym.envs.compute.named import compute_scenario
from daogym.envs.core.simulator import Simulator

STEP_MINUTES = 0.06


def queue_scenario(
    servers: int, load: float, service_minutes: float, orders: dict[str, Any]
) -> dict[str, Any]:
    """Settings of a queue with Poisson arrivals; `orders` says what law service times follow."""
    minutes = orders.pop("minutes", [service_minutes] * KNOTS)
    shapes = [
        {"gpus": 1.0, "share": float(s == 0), "least_tier": 0, "minutes": minutes}
        for s in range(SHAPES)
    ]
    return {
        "base": "gpu_week",
        "market": False,
        "episode_days": 364,
        "step_minutes": STEP_MINUTES,
        "job_slots": 1024,
        "orders": {
            "arrivals_per_h_per_gpu": load * 60.0 / service_minutes,
            "log_variance": 0.0,
            "hour_factors": [1.0] * 24,
            "day_factors": [1.0] * 7,
            "shapes": shapes,
            "longest_minutes": 1e6,
            "deadlines": False,
            **orders,
        },
        "supply": {
            "providers": 1,
            "archetypes": [{"tier": 3, "region": 0, "nodes": 1}],
            "gpus_per_node": servers,
            "outages": False,
        },
    }


def mean_wait(settings: dict[str, Any], lanes: int, steps: int) -> tuple[float, float]:
    """Mean wait in hours over `lanes` independent runs of `steps`, and its standard error.

    A third as many steps come before. The ratio of two sums, its error by the delta method.
    """
    domain = ComputeDomain(compute_scenario(settings), action_mode="scheduler")
    simulator = Simulator(domain, lanes, threads=2, autoreset="disabled")
    simulator.reset(seed=5)
    actions = domain.make_controller("fifo").act(simulator)
    waited, matched = (simulator.event_names.index(n) for n in ("wait_h", "matched_jobs"))
    for _ in range(steps // 3):
        simulator.step(actions)
    total = np.zeros((lanes, 2))
    for _ in range(steps):
        simulator.step(actions)
        total += simulator.events[:, [waited, matched]]
    mean = float(total[:, 0].sum() / total[:, 1].sum())
    off = total[:, 0] - mean * total[:, 1]
    return mean, float(off.std(ddof=1) / (np.sqrt(lanes) * total[:, 1].mean()))
