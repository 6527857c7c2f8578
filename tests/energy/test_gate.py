"""The gate never lets a hard rule be broken, whatever is asked for.

Powers of single inverters are not part of the state, so they are recomputed by the plain reference
step; that the simulator did the same is read off every bus voltage and the metered exchange.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import daogym
from daogym.envs.core.simulator import Simulator
from daogym.envs.energy.scenario import EnergyScenario

pytestmark = pytest.mark.kernel

ENERGY = [
    e for e in daogym.REGISTERED if isinstance(daogym.load_scenario(e.scenario), EnergyScenario)
]
LANES = 2
# A shorter failing sequence is not worth minutes of searching for it.
PHASES = (hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate)

# A policy holds one random or extreme action for a while, then another.
SEGMENT = st.tuples(
    st.sampled_from(["random", "low", "high", "corner", "idle", "swing"]),
    st.integers(1, 30),
    st.integers(0, 2**16),
)
CHARTER = st.fixed_dictionaries(
    {},
    optional={
        "export_limit_share": st.sampled_from([0.0, 0.2, 0.7, 1.0]),
        "flexibility_budget_cycles_per_day": st.sampled_from([0.0, 0.1, 0.5, 2.0]),
        "set_point_slew_share_per_hour": st.sampled_from([0.4, 1.0, 4.0]),
    },
)
STRESS = st.sampled_from([{}, {"pv": 2.0}, {"load": 2.5, "transformer": 0.5}])


def actions_of(segment: tuple[str, int, int], size: int) -> Any:
    kind, length, seed = segment
    rng = np.random.default_rng(seed)
    held = {
        "random": rng.uniform(-1, 1, (LANES, size)),
        "corner": rng.choice([-1.0, 1.0], (LANES, size)),
        "low": np.full((LANES, size), -1.0),
        "high": np.full((LANES, size), 1.0),
        "idle": np.zeros((LANES, size)),
        "swing": np.full((LANES, size), 1.0),
    }[kind].astype(np.float32)
    for step in range(length):
        yield -held if kind == "swing" and step % 2 else held


def check_step(simulator: Simulator, actions: Any, reference: ModuleType, z_bus: Any) -> None:
    """Step once; every rule and every number against the reference."""
    feeder, dt_h = simulator.domain.feeder, simulator.scenario.step_minutes / 60.0
    last = simulator.state("battery_kw").copy()
    budget = simulator.state("budget_kwh").copy()
    smoothed = simulator.state("pv_voltage_pu").copy()
    expected = [
        reference.expected_step(simulator, lane, actions[lane].astype(np.float64))
        for lane in range(LANES)
    ]
    rules = [reference.governed(simulator, lane) for lane in range(LANES)]
    simulator.step(actions)
    names = simulator.event_names
    installed = np.bincount(feeder.pv_bus, feeder.pv_p_kw, minlength=feeder.n_bus)
    for lane, (want, rule) in enumerate(zip(expected, rules, strict=True)):
        event = dict(zip(names, simulator.events[lane], strict=True))
        outage = event["outage_steps"] > 0
        power = simulator.state("battery_kw")[lane]
        # ramp: away from idle by at most the slew; towards idle at will
        change = rule["set_point_slew_share_per_hour"] * dt_h * feeder.battery_p_kw + 1e-9
        assert np.all(power <= np.maximum(last[lane], 0.0) + change)
        assert np.all(power >= np.minimum(last[lane], 0.0) - change)
        # budget: never overdrawn, and paid for in full
        spent = float(np.abs(power).sum()) * dt_h
        assert spent <= budget[lane] + 1e-9
        assert event["throughput_kwh"] == pytest.approx(spent, abs=1e-9)
        # hardware
        assert np.all(np.abs(power) <= feeder.battery_p_kw + 1e-9)
        soc = simulator.state("soc_kwh")[lane]
        assert np.all(soc >= 0.0) and np.all(soc <= feeder.battery_e_kwh)
        if outage:
            assert not np.any(power) and event["throughput_kwh"] == 0.0
            continue
        # export of each connection that has PV
        limit = rule["export_limit_share"] * installed
        with_pv = np.unique(feeder.pv_bus)
        assert np.all(-want.bus_kw[with_pv] <= limit[with_pv] + 1e-6)
        # ... and these are the powers that flowed
        assert np.allclose(power, want.battery_kw, rtol=0, atol=1e-7)
        voltage, delivered = z_bus.solve(want.bus_kw, want.bus_kvar)
        found = simulator.state("voltage_pu")[lane]
        assert np.max(np.abs(np.abs(voltage) - found)) <= 1e-9
        halfway = 0.5 * (smoothed[lane] + found[feeder.pv_bus])
        assert np.allclose(simulator.state("pv_voltage_pu")[lane], halfway, rtol=0, atol=1e-12)
        exchange = (event["import_kwh"] - event["export_kwh"]) / dt_h
        assert exchange == pytest.approx(delivered.real, rel=1e-7, abs=1e-6)
        assert event["reverts"] == want.reverted
        halted = bool(event.get("halted_steps", 0.0))
        assert bool(event["interventions"]) == (halted or event["shield_delta_kwh"] > 0.0)
        assert event["curtailed_kwh"] == pytest.approx(
            (want.available_kw - want.pv_kw.sum()) * dt_h, rel=1e-9, abs=1e-7
        )
        assert event["unserved_kwh"] == pytest.approx(want.shed_kw * dt_h, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize("entry", ENERGY, ids=lambda e: e.id.split("/")[-1])
@hypothesis.settings(max_examples=8, phases=PHASES)
@hypothesis.given(
    segments=st.lists(SEGMENT, min_size=2, max_size=5),
    charter=CHARTER,
    stress=STRESS,
    seed=st.integers(0, 1000),
)
def test_no_rule_is_broken(
    entry: Any, reference: ModuleType, segments: Any, charter: Any, stress: Any, seed: int
) -> None:
    scenario = daogym.load_scenario(
        entry.scenario, {"charter": {"parameters": charter}, "stress": stress}
    )
    simulator = daogym.make_simulator(
        scenario, LANES, stagger=True, autoreset="disabled", **entry.options
    )
    simulator.reset(seed=seed)
    z_bus = reference.ZBus(simulator.domain.feeder)
    for segment in segments:
        for actions in actions_of(segment, simulator.action_size):
            check_step(simulator, actions, reference, z_bus)
            simulator.reset(mask=simulator.terminated)
