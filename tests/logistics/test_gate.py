"""The charter: each rule does what it says, and no hard rule is ever broken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from daogym.envs.logistics import layout as at
from daogym.envs.logistics.governed import GOVERNED

from .conftest import make_network

pytestmark = pytest.mark.kernel


def under(parameters: dict[str, float], num_envs: int = 8, **options: Any) -> Any:
    charter = {"charter": {"parameters": parameters}}
    return make_network("supply_network", num_envs, changes=charter, **options)


def run(simulator: Any, steps: int = 90, action: float | None = None, seed: int = 5) -> Any:
    """Yield the simulator after each step under drawn actions, or a constant one."""
    simulator.reset(seed=seed)
    draw = np.random.default_rng(1)
    shape = (simulator.num_envs, simulator.action_size)
    for _ in range(steps):
        actions = draw.uniform(-1.0, 1.0, shape) if action is None else np.full(shape, action)
        before = simulator.snapshot()
        simulator.step(actions.astype(np.float32))
        yield before


def column(simulator: Any, name: str) -> Any:
    return simulator.events[:, simulator.event_names.index(name)]


@pytest.mark.parametrize("mode", ["base_stock", "orders"])
def test_no_action_breaks_a_hard_rule(mode: str) -> None:
    rules = {
        "stake_cover_share": 2.0, "drone_quota_share": 0.03, "late_slash_share": 1.0,
        "purchase_allowance_usd_per_week": 14_000.0,
    }  # fmt: skip
    simulator = under(rules, action_mode=mode)
    network = simulator.domain.network
    modes, goods = network.tables["modes"], network.tables["goods"]
    rationed = modes[network.tables["routes"][:, at.R_MODE], at.O_RATIONED] == 1.0
    staked = modes[:, at.O_STAKE_USD] > 0.0
    mean_volume = float((network.local_mean * goods[:, at.H_VOLUME]).sum())
    purchase = simulator.term_names.index("purchase")
    week = np.zeros(8)
    hit = 0
    for step, before in enumerate(run(simulator)):
        flows = simulator.state("flow_units")
        volume = (flows[:, rationed] * goods[:, at.H_VOLUME]).sum(axis=(1, 2))
        assert (volume <= 0.03 * mean_volume + 1e-9).all()
        # New shipments never push what a carrier carries beyond its stake of before.
        layout = simulator.domain.state_layout
        stake = layout.view("stake_usd", before["floats"], before["integers"])
        carried = layout.view("carried_usd", before["floats"], before["integers"])
        sent = np.zeros_like(stake)
        for r, m in enumerate(network.tables["routes"][:, at.R_MODE].tolist()):
            sent[:, m] += (flows[:, r] * goods[:, at.H_VALUE_USD]).sum(axis=1)
        room = np.maximum(stake / 2.0 - carried, 0.0)
        assert (sent[:, staked] <= room[:, staked] + 1e-6).all()
        week = np.where(step % 7 == 0, 0.0, week) - simulator.terms[:, purchase]
        assert (week <= 14_000.0 + 1e-6).all()
        hit += int(column(simulator, "interventions").sum())
    assert hit > 50


def test_a_covenant_raises_orders_of_places_with_customers() -> None:
    mode = "base_stock"
    without = under({}, action_mode=mode)
    with_it = under({"safety_stock_days": 3.0}, action_mode=mode)
    network = without.domain.network
    floor = network.tables["cells"][at.C_COVENANT_UNITS] + 3.0 * network.local_mean
    free, bound = [], []
    for simulator, kept in ((without, free), (with_it, bound)):
        for _ in run(simulator, 60, action=-1.0):
            kept.append(simulator.state("stock_units")[:, network.customers].sum(axis=(1, 2)))
    assert np.mean(bound[20:]) > 1.1 * np.mean(free[20:])
    short, covered = [], []
    for simulator, kept in ((without, short), (with_it, covered)):
        for _ in run(simulator, 60, action=-1.0):
            have = simulator.state("echelon_units") + simulator.state("demand_units").mean()
            kept.append((have < floor)[:, network.customers].mean())
    assert np.mean(covered[5:]) < np.mean(short[5:])


def test_a_tariff_moves_money_between_members_only() -> None:
    # Without stakes, which poorer carriers would fill up more slowly.
    cheap = under({"freight_tariff_share": 0.0, "stake_cover_share": 0.0})
    dear = under({"freight_tariff_share": 0.2, "stake_cover_share": 0.0})
    for _ in zip(run(cheap, 60, seed=9), run(dear, 60, seed=9), strict=True):
        assert np.array_equal(cheap.rewards, dear.rewards)
        assert np.array_equal(cheap.state("stock_units"), dear.state("stock_units"))
    assert (dear.state("treasury_usd") > cheap.state("treasury_usd")).all()
    carriers = sum(dear.state(name).sum(axis=1) - cheap.state(name).sum(axis=1)
                   for name in ("carrier_usd", "stake_usd"))  # fmt: skip
    moved = dear.state("treasury_usd") - cheap.state("treasury_usd")
    assert np.allclose(moved, -carriers, atol=1e-6)


def test_slashes_are_shares_of_late_freight_and_never_exceed_a_stake() -> None:
    simulator = under({"late_slash_share": 0.5})
    late = slashed = 0.0
    for before in run(simulator, 120):
        layout = simulator.domain.state_layout
        ring = layout.view("late_fee_usd", before["floats"], before["integers"])
        stake = layout.view("stake_usd", before["floats"], before["integers"])
        step = layout.view("step", before["floats"], before["integers"])
        due = ring[np.arange(8), (step + 1) % ring.shape[1]]
        # What was sent today may itself be proven tonight.
        today = column(simulator, "slashed_usd")
        assert (today >= (np.minimum(0.5 * due, stake)).sum(axis=1) - 1e-9).all()
        late += float(due.sum())
        slashed += float(today.sum())
        assert (simulator.state("stake_usd") >= 0.0).all()
    assert 0.0 < slashed <= 0.5 * late * 1.2
    none = under({"late_slash_share": 0.0})
    assert all(not column(none, "slashed_usd").any() for _ in run(none, 30))


def test_reported_rules_change_nothing_but_their_costs() -> None:
    loose = under({"carbon_cap_kg_per_day": 1e9, "service_gap_share": 1.0})
    tight = under({"carbon_cap_kg_per_day": 50.0, "service_gap_share": 0.0})
    names = loose.cost_names
    seen = np.zeros(len(names))
    for _ in zip(run(loose, 60), run(tight, 60), strict=True):
        assert np.array_equal(loose.rewards, tight.rewards)
        carbon = column(tight, "carbon_kg")
        expected = np.maximum(carbon - 50.0, 0.0) / 50.0
        assert np.allclose(tight.costs[:, names.index("carbon")], expected)
        seen += tight.costs.sum(axis=0) - loose.costs.sum(axis=0)
    assert seen[names.index("carbon")] > 0.0 and seen[names.index("fairness")] > 0.0
    assert (np.delete(seen, [names.index("carbon"), names.index("fairness")]) == 0.0).all()


def test_every_parameter_may_be_set_and_is_shown() -> None:
    values = {
        "freight_tariff_share": 0.1, "safety_stock_days": 1.0, "stake_cover_share": 0.5,
        "late_slash_share": 0.2, "carbon_cap_kg_per_day": 300.0, "drone_quota_share": 0.02,
        "purchase_allowance_usd_per_week": 25_000.0, "service_gap_share": 0.1,
    }  # fmt: skip
    simulator = under(values, 1)
    simulator.reset(seed=0)
    assert simulator.state("governed")[0].tolist() == [values[name] for name in GOVERNED]
    physical = simulator.observation_fields.denormalise(simulator.observations)
    shown = physical[0, simulator.observation_fields.slice("governed")]
    assert np.allclose(shown[:4], [0.1, 1.0, 0.5, 0.2], atol=1e-5)
