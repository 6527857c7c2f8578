"""Nobody earns more than the bound, on the days and under the settings where that is hardest."""

from __future__ import annotations

from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.optimize import linprog

import daogym
from daogym.envs.core.linear_programme import LinearProgramme
from daogym.envs.energy.bound import upper_bound
from daogym.envs.energy.foresight import episode_sessions, true_world
from daogym.envs.energy.mpc import RollingMpc
from daogym.envs.energy.nameplate import nameplate_limits
from daogym.envs.energy.rules import (
    Controller,
    NoOp,
    PriceThreshold,
    SelfConsumption,
    VoltVar,
    play,
)

from .policies import KINDS, Wild

pytestmark = pytest.mark.kernel

# The days of 2023 and 2024 on which importing earned most.
NEGATIVE = (
    "2023-07-02", "2023-05-28", "2024-05-12", "2023-04-19", "2024-05-01", "2023-05-29",
    "2024-07-04", "2023-05-27", "2024-04-06", "2024-07-06", "2023-05-13", "2023-04-30",
)  # fmt: skip
VARIANTS = ("high_demand", "low_pv", "price_shock", "tight_transformer", "tight_voltage")


def controllers() -> list[Controller]:
    rules = [NoOp(), VoltVar(), SelfConsumption(), PriceThreshold([0.1, 0.9, 0.3, 0.5, -1.0])]
    return rules + [Wild(kind, mode) for kind in KINDS for mode in ("fleet", "device")]


def smallest_gaps(
    scenario: Any, lanes: int, more: tuple[Controller, ...] = (), *, seed: int = 5,
    dates: tuple[str, ...] = (), **options: Any,
) -> dict[str, float]:  # fmt: skip
    """Smallest bound - J over the lanes' episodes, by controller, EUR."""
    chosen = {"date": dates[:lanes]} if dates else None
    gaps = {}
    bound = None
    simulators = {
        mode: daogym.make_simulator(scenario, lanes, action_mode=mode, **options)
        for mode in ("fleet", "device")
    }
    for controller in [*controllers(), *more]:
        simulator = simulators[controller.action_mode]
        simulator.reset(seed=seed, options=chosen)
        if bound is None:
            bound = upper_bound(simulator)
        gaps[controller.name] = float((bound - play(controller, simulator)).min())
    return gaps


@pytest.mark.parametrize("scenario", ["lv_rural", "lv_semiurban", "ieee33", "cigre_mv"])
def test_nobody_passes_the_bound_on_the_most_negative_days(scenario: str) -> None:
    gaps = smallest_gaps(scenario, len(NEGATIVE), dates=NEGATIVE, split="all")
    assert min(gaps.values()) > 0.0, gaps


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_nobody_passes_the_bound_on_drawn_days(split: str) -> None:
    gaps = smallest_gaps("lv_rural", 16, split=split)
    assert min(gaps.values()) > 0.0, gaps


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_passes_the_bound_under_stress(variant: str) -> None:
    for scenario in ("lv_rural", "ieee33"):
        gaps = smallest_gaps(f"{scenario}+{variant}", 6)
        assert min(gaps.values()) > 0.0, gaps


def test_nobody_passes_the_bound_over_a_week_or_in_short_steps() -> None:
    assert min(smallest_gaps("lv_rural", 2, episode_days=7).values()) > 0.0
    fine = {"base": "lv_rural", "step_minutes": 5.0}
    assert min(smallest_gaps(fine, 4).values()) > 0.0


def test_perfect_foresight_comes_near_the_bound_and_not_above() -> None:
    simulator = daogym.make_simulator("lv_rural", 6, split="test", action_mode="device")
    simulator.reset(seed=1_000_000)
    bound = upper_bound(simulator)
    gap = bound - play(RollingMpc("perfect"), simulator)
    assert gap.min() > 0.0
    assert gap.max() < 4.0

    simulator.reset(seed=1, options={"date": NEGATIVE[:6]})
    bound = upper_bound(simulator)
    gap = bound - play(RollingMpc("perfect"), simulator)
    assert gap.min() > 0.0


@st.composite
def settings(draw: st.DrawFn) -> dict[str, Any]:
    """A scenario far from the shipped ones."""

    def number(low: float, high: float) -> float:
        return draw(st.floats(low, high))

    feed_in = number(0.0, 1.0)
    return {
        "base": draw(st.sampled_from(["lv_rural", "lv_semiurban"])),
        "tariff": {
            "feed_in_share": feed_in,
            # Exports must never earn more than imports cost, down to -0.5 EUR/kWh, nor by rounding.
            "import_fee_eur_per_kwh": 0.5 * (1.0 - feed_in) + number(1e-6, 0.2),
        },
        "batteries": {
            "efficiency": number(0.6, 1.0),
            "self_discharge_per_day": draw(st.sampled_from([0.0, 0.002, 0.5])),
            "min_soc_share": number(0.0, 0.2),
            "wear_eur_per_kwh": number(0.0, 0.05),
        },
        "cars": {
            "presence": number(0.0, 1.0),
            "energy_hours": number(0.0, 8.0),
            "departure_std_h": number(0.0, 6.0),
        },
        "transformer": {
            "oil_exponent": draw(st.sampled_from([0.3, 0.8, 1.0])),
            "loss_ratio": number(0.5, 20.0),
            "oil_time_constant_h": number(0.1, 12.0),
            "price_eur_per_kva": number(0.0, 1000.0),
        },
        "stress": {
            "load": number(0.3, 4.0), "pv": number(0.0, 3.0), "transformer": number(0.3, 2.0),
        },
        "charter": {"parameters": {
            "flexibility_budget_cycles_per_day": number(0.0, 6.0),
            "export_limit_share": number(0.0, 1.0),
            "set_point_slew_share_per_hour": number(0.4, 4.0),
        }},
    }  # fmt: skip


@hypothesis.given(settings(), st.integers(0, 10**6))
@hypothesis.settings(max_examples=25, phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate))
def test_nobody_passes_the_bound_of_a_random_scenario(scenario: dict[str, Any], seed: int) -> None:
    gaps = smallest_gaps(scenario, 3, seed=seed, split="all")
    assert min(gaps.values()) > 0.0, gaps
    negative = smallest_gaps(scenario, 3, seed=seed, split="all", dates=NEGATIVE)
    assert min(negative.values()) > 0.0, negative


@pytest.mark.parametrize("kind", KINDS)
def test_losses_and_exchange_stay_within_the_nameplates(kind: str) -> None:
    """Step by step, what the power flow loses and delivers against the limits of its quarter."""
    simulator = daogym.make_simulator("lv_rural", 4, split="all", action_mode="device")
    simulator.reset(seed=3, options={"date": NEGATIVE[:4]})
    limits = [
        nameplate_limits(simulator.domain, true_world(simulator.domain, day, 0, 96))
        for day in simulator.state("day").tolist()
    ]
    policy = Wild(kind, "device")
    lost = simulator.event_names.index("losses_kwh")
    unbalanced = simulator.event_names.index("energy_balance_kwh")
    rating = simulator.domain.transformer_kva
    for step in range(95):
        simulator.step(policy.act(simulator))
        for lane, limit in enumerate(limits):
            assert simulator.events[lane, lost] / 0.25 <= limit.loss_kw[step]
            assert simulator.state("loading")[lane] * rating <= limit.apparent_kva[step]
            assert simulator.events[lane, unbalanced] / 0.25 <= limit.mismatch_kw[step]


def test_sessions_are_those_that_come_whatever_is_done() -> None:
    simulator = daogym.make_simulator("lv_rural", 3, split="train", episode_days=2)
    simulator.reset(seed=8)
    before = simulator.snapshot()
    sessions = episode_sessions(simulator)
    assert all(np.array_equal(before[k], v) for k, v in simulator.snapshot().items())
    promised = {
        (lane, charger, arrival, departure)
        for lane, charger, arrival, departure in zip(
            sessions.lane.tolist(), sessions.charger.tolist(), sessions.arrival.tolist(),
            sessions.departure.tolist(), strict=True,
        )
    }  # fmt: skip
    seen = set()
    policy = Wild("corner", "fleet")
    for _ in range(simulator.horizon - 1):
        wanted = simulator.state("ev_energy_kwh") > 0.0
        for lane, charger in np.argwhere(wanted).tolist():
            arrival = int(simulator.state("ev_arrival_step")[lane, charger])
            departure = int(simulator.state("ev_departure_step")[lane, charger])
            seen.add((lane, charger, arrival, departure))
        simulator.step(policy.act(simulator))
    assert seen == promised


def test_the_duals_prove_a_lower_limit() -> None:
    """Against HiGHS's own optimum, on random programmes built without this class."""
    random = np.random.default_rng(4)
    for _ in range(20):
        n, rows = 12, 7
        cost, inside = random.normal(size=n), random.uniform(0.2, 0.8, n)
        a, d = random.normal(size=(rows, n)), random.normal(size=(3, n))
        b, e = a @ inside + random.uniform(0.0, 0.3, rows), d @ inside
        programme = LinearProgramme()
        x = programme.variables(n, 0.0, 1.0, cost)
        for row in range(rows):
            programme.at_most(b[row], (x[None], a[row][None]))
        for row in range(3):
            programme.equal(e[row], (x[None], d[row][None]))
        solution = programme.solve()
        best = linprog(cost, A_ub=a, b_ub=b, A_eq=d, b_eq=e, bounds=(0.0, 1.0)).fun
        assert solution.lower <= best + 1e-9
        assert solution.lower == pytest.approx(best, abs=1e-6)
        assert solution.value == pytest.approx(best, abs=1e-6)


def test_the_bound_refuses_what_it_does_not_cover() -> None:
    simulator = daogym.make_simulator("lv_rural", 2)
    simulator.reset(seed=0)
    simulator.step(np.zeros((2, simulator.action_size)))
    with pytest.raises(ValueError, match=r"lane 0 stands at step 1 of 96, step 0 is expected"):
        upper_bound(simulator)
    staggered = daogym.make_simulator("lv_rural", 8, stagger=True)
    staggered.reset(seed=0)
    with pytest.raises(ValueError, match="whole episodes"):
        upper_bound(staggered)
    carried = daogym.make_simulator("lv_rural", 2, carry=True)
    carried.reset(seed=0)
    assert np.isfinite(upper_bound(carried)).all()
    for _ in range(carried.horizon):
        carried.step(np.zeros((2, carried.action_size)))
    with pytest.raises(ValueError, match="longer episode_days"):
        upper_bound(carried)
