"""Waiting times against queueing theory: the same kernel, without a market.

Steps are at most 0.005 of the mean service time. Within a step work is fluid, so a server that
becomes free in it takes its next order in the step after: services last half a step longer on
average, which is below the tolerance at these loads.
"""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest

from daogym.envs.compute.layout import KNOTS
from daogym.envs.compute.scenario import KNOT_PROBABILITIES

from .queue_bench import STEP_MINUTES, mean_wait, queue_scenario

pytestmark = [pytest.mark.kernel, pytest.mark.slow]

# Two-sided 99 % of Student's t with 127 degrees of freedom.
LANES, T_99 = 128, 2.615


def erlang_c_wait(servers: int, load: float, service: float) -> float:
    """Mean wait of M/M/c (Erlang 1917): C(c, a) / (c mu - lambda)."""
    offered = load * servers
    top = offered**servers / factorial(servers) / (1.0 - load)
    waits = top / (sum(offered**k / factorial(k) for k in range(servers)) + top)
    return waits * service / (servers * (1.0 - load))


def assert_close(found: tuple[float, float], expected: float) -> None:
    mean, error = found[0], T_99 * found[1]
    assert abs(mean - expected) <= max(error, 0.02 * expected), (mean, expected, error)
    # An interval so wide that nothing could fail would prove nothing.
    assert error <= 0.15 * expected, (error, expected)


@pytest.mark.parametrize("load", [0.6, 0.75, 0.85])
def test_waits_of_m_m_c_are_erlang_c(load: float) -> None:
    servers, service = 10, 12.0
    settings = queue_scenario(
        servers, load, service, {"law": "exponential", "exponential_minutes": service}
    )
    # Few wait at a low load: the same precision takes longer runs.
    steps = 70_000 if load < 0.7 else 30_000
    assert_close(mean_wait(settings, LANES, steps), erlang_c_wait(servers, load, service / 60.0))


def test_waits_of_m_g_1_are_pollaczek_khinchine() -> None:
    """W = lambda E[S^2] / (2 (1 - rho)), with heavy-tailed service times."""
    knots = np.array(KNOT_PROBABILITIES)
    minutes = 12.0 * np.exp(1.5 * (knots - 0.5)) + 40.0 * np.maximum(knots - 0.8, 0.0)
    assert len(minutes) == KNOTS
    # Log-linear between the knots: both moments of each piece in closed form.
    low, high, weight = np.log(minutes[:-1]), np.log(minutes[1:]), np.diff(knots)
    mean = float((weight * (np.exp(high) - np.exp(low)) / (high - low)).sum())
    square = float((weight * (np.exp(2 * high) - np.exp(2 * low)) / (2 * (high - low))).sum())
    assert square > 1.15 * mean * mean and 0.005 * mean >= STEP_MINUTES
    for load in (0.5, 0.7):
        settings = queue_scenario(1, load, mean, {"minutes": minutes.tolist()})
        rate = load / mean
        expected = rate * square / (2.0 * (1.0 - load)) / 60.0
        assert_close(mean_wait(settings, LANES, 30_000), expected)
