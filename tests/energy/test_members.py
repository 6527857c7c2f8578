"""Money between members: a market of one's own beside the kernel's, and what must add up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.core.strict import ConfigError
from daogym.envs.energy.layout import (
    GOVERNED,
    PAST_QUARTERS,
    QUARTERS_PER_DAY,
    W_EXPORT_PRICE,
    W_IMPORT_PRICE,
)

pytestmark = pytest.mark.kernel
LOCAL, FEE, KEY, IMPORT_FEE = (
    GOVERNED.index(name)
    for name in (
        "local_price_share",
        "community_fee_eur_per_kwh",
        "curtailment_key_share",
        "import_fee_eur_per_kwh",
    )
)
QUIET: dict[str, Any] = {
    "name": "members",
    "feeder": "lv_rural",
    "episode_days": 7,
    "local_market": True,
    "charter": {"mode": "voted", "proposals_per_day": 0.0},
}
LANES = 6


def start(date: str | None = "2023-06-11", **changes: Any) -> Any:
    """A voted week in which nobody proposes, so that a test can set the rules itself."""
    simulator = daogym.make_simulator(
        {**QUIET, **changes}, LANES, split="all", autoreset="disabled"
    )
    simulator.reset(seed=3, options={"date": date} if date else None)
    return simulator


def govern(simulator: Any, **values: float) -> None:
    for name, value in values.items():
        simulator.state("governed")[:, GOVERNED.index(name)] = value


def community(simulator: Any) -> Any:
    """(N,) EUR that the community has."""
    return simulator.state("community_eur")[:, 0].copy()


def act(simulator: Any, step: int) -> Any:
    draw = np.random.default_rng([9, step])
    return draw.uniform(-1, 1, (LANES, simulator.action_size)).astype(np.float32)


def column(simulator: Any, name: str, source: str = "events") -> Any:
    return getattr(simulator, source)[:, simulator.event_names.index(name)]


def prices(simulator: Any, step: int) -> tuple[Any, Any]:
    """EUR/kWh of imports and exports in the quarter-hour `step` of each lane."""
    world = simulator.domain.loaded.world
    quarter = PAST_QUARTERS + simulator.state("day") * QUARTERS_PER_DAY + step
    change = simulator.state("governed")[:, IMPORT_FEE] - 0.08
    return world[W_IMPORT_PRICE, quarter] + change, world[W_EXPORT_PRICE, quarter]


def consumption(simulator: Any) -> Any:
    """(N, buses) kW after a step, from the devices' states and the tables, not from the kernel."""
    domain, feeder = simulator.domain, simulator.domain.feeder
    n = len(feeder.parent)
    step = int(simulator.state("step")[0]) - 1
    kw = np.zeros((LANES, n))
    for lane, day in enumerate(simulator.state("day").tolist()):
        row = int(domain.loaded.days[0, day + step // 96]) * QUARTERS_PER_DAY + step % 96
        kw[lane] = domain.loaded.rows[row, :n]
    np.add.at(kw, (slice(None), feeder.battery_bus), simulator.state("battery_kw"))
    return kw


def test_members_and_community_share_what_the_meter_says() -> None:
    simulator = start()
    govern(simulator, community_fee_eur_per_kwh=0.03, curtailment_key_share=0.7)
    metered = np.zeros(LANES)
    for step in range(simulator.horizon):
        simulator.step(act(simulator, step))
        metered += simulator.terms[:, :2].sum(axis=1)
        shared = simulator.state("member_eur").sum(axis=1) + community(simulator)
        np.testing.assert_allclose(shared, metered, rtol=0, atol=1e-9 * (1 + np.abs(metered).max()))
    assert (column(simulator, "community_eur", "episode_events") != 0.0).all()
    assert (np.abs(metered) > 1.0).all()


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_local_price_between_what_exports_earn_and_imports_cost(share: float) -> None:
    """Loads and batteries only, so that each bus is known from outside the kernel."""
    simulator = start("2023-01-15", stress={"pv": 0.0}, cars={"presence": 0.0})
    govern(simulator, local_price_share=share, community_fee_eur_per_kwh=0.02)
    money, alone, traded = (np.zeros((LANES, len(simulator.domain.feeder.parent))) for _ in "mat")
    for step in range(80):
        buy, sell = prices(simulator, step)
        # emptying batteries feed other members, in half of the steps more than they need
        actions = np.full((LANES, simulator.action_size), -1.0 if step % 2 else 0.0, np.float32)
        simulator.step(actions)
        kwh = consumption(simulator) / 4.0
        wanted, given = np.maximum(kwh, 0.0), np.maximum(-kwh, 0.0)
        local = np.minimum(wanted.sum(axis=1), given.sum(axis=1))
        np.testing.assert_allclose(column(simulator, "local_kwh"), local, atol=1e-9)
        bought = wanted * (local / wanted.sum(axis=1))[:, None]
        some = given.sum(axis=1) > 0
        sold = given * np.where(some, local / np.where(some, given.sum(axis=1), 1.0), 0.0)[:, None]
        price = sell + share * (buy - sell)
        fee = np.minimum(0.02, buy - price)
        money += sold * price[:, None] + (given - sold) * sell[:, None]
        money -= bought * (price + fee)[:, None] + (wanted - bought) * buy[:, None]
        alone += given * sell[:, None] - wanted * buy[:, None]
        traded += sold
    np.testing.assert_allclose(simulator.state("member_eur"), money, atol=1e-9)
    np.testing.assert_allclose(simulator.state("member_alone_eur"), alone, atol=1e-9)
    np.testing.assert_allclose(simulator.state("member_local_kwh"), traded, atol=1e-9)
    assert traded.sum() > 1.0
    # nobody trades at a loss
    assert (money - alone > -1e-9).all()


def test_owners_of_pv_share_a_curtailment_by_their_kw() -> None:
    results = []
    for key in (0.0, 1.0):
        simulator = start("2023-06-11")
        govern(simulator, curtailment_key_share=key, export_limit_share=0.15,
               local_price_share=0.0, community_fee_eur_per_kwh=0.0)  # fmt: skip
        curtailed = np.zeros(LANES)
        worth = np.zeros(LANES)
        for step in range(96):
            _, sell = prices(simulator, step)
            simulator.step(np.zeros((LANES, simulator.action_size), np.float32))
            curtailed += column(simulator, "curtailed_kwh")
            worth += column(simulator, "curtailed_kwh") * np.maximum(sell, 0.0)
        results.append((simulator.state("member_eur").copy(), curtailed, worth))
    (alone, curtailed, worth), (shared, same, _) = results
    assert (curtailed > 20.0).all() and np.array_equal(curtailed, same)
    moved = shared - alone
    np.testing.assert_allclose(moved.sum(axis=1), 0.0, atol=1e-9)
    assert (np.abs(moved).sum(axis=1) > 0.01 * worth).all()
    feeder = simulator.domain.feeder
    without = np.setdiff1d(np.arange(len(feeder.parent)), feeder.pv_bus)
    assert not moved[:, without].any()


def test_what_the_community_earned_goes_to_sellers_in_whole_cents() -> None:
    simulator = start()
    govern(simulator, community_fee_eur_per_kwh=0.05, local_price_share=0.3)
    idle = np.zeros((LANES, simulator.action_size), np.float32)
    for _ in range(simulator.horizon - 1):
        simulator.step(idle)
    before = simulator.state("member_eur").copy()
    sold_before = simulator.state("member_local_kwh").copy()
    kept = community(simulator)
    simulator.step(idle)
    assert (kept > 1.0).all()
    left = community(simulator)
    assert ((left > -0.01) & (left < 0.011)).all()
    # At night's last quarter-hour nobody sells, so sellers' accounts move by the reward alone.
    sellers = sold_before > 0.0
    quiet = simulator.state("member_local_kwh") == sold_before
    paid = simulator.state("member_eur") - before
    cents = 100.0 * paid[sellers & quiet & (sold_before > 1.0)]
    assert len(cents) and (cents > 0.0).any()
    gini = column(simulator, "members_gini", "episode_events")
    losing = column(simulator, "members_losing_share", "episode_events")
    assert ((gini >= 0.0) & (gini < 1.0)).all() and ((losing >= 0.0) & (losing <= 1.0)).all()


def test_distributional_rules_leave_the_money_of_all_alone() -> None:
    totals = []
    for local, fee, key in ((0.0, 0.0, 0.0), (1.0, 0.05, 1.0)):
        simulator = start()
        govern(simulator, local_price_share=local, community_fee_eur_per_kwh=fee,
               curtailment_key_share=key)  # fmt: skip
        total = np.zeros(LANES)
        for step in range(96):
            simulator.step(act(simulator, step))
            total += simulator.rewards
        totals.append(total)
    assert np.array_equal(*totals)


def test_an_overloaded_transformer_takes_the_agent_off_the_devices() -> None:
    simulator = start(emergency_halt={"loading": 0.6, "hours": 1.0})
    everything = np.full((LANES, simulator.action_size), 1.0, np.float32)
    halted = np.zeros(LANES, dtype=np.int64)
    loading = np.zeros(LANES)
    times = 0
    for step in range(192):
        left = np.where(loading > 0.6, 4, np.maximum(halted - 1, 0))
        simulator.step(everything if step % 7 else -everything)
        was = left > 0
        times += int(was.sum())
        assert np.array_equal(column(simulator, "halted_steps"), was.astype(float)), step
        assert not simulator.state("battery_kw")[was].any()
        assert column(simulator, "interventions")[was].all()
        halted, loading = left, simulator.state("loading").copy()
    assert times >= 8


def test_flexibility_that_is_left_is_kept_for_a_week() -> None:
    simulator = start(budget_days=7)
    govern(simulator, flexibility_budget_cycles_per_day=0.5)
    capacity = simulator.domain.battery_kwh_total
    daily = 2.0 * 0.5 * capacity
    simulator.state("budget_kwh")[:] = daily
    spent = np.zeros(LANES)
    idle = np.zeros((LANES, simulator.action_size), np.float32)
    for step in range(4 * 96):
        simulator.step(act(simulator, step) if step >= 2 * 96 else idle)
        spent += column(simulator, "throughput_kwh")
    days = np.full(LANES, 5 * daily)
    np.testing.assert_allclose(simulator.state("budget_kwh"), days - spent, atol=1e-6)
    # ... but never more than seven days of it
    for _ in range(3 * 96 - 1):
        simulator.step(idle)
    assert (simulator.state("budget_kwh") <= 7 * daily + 1e-9).all()


def test_a_halt_needs_a_charter_that_is_voted_on() -> None:
    with pytest.raises(ConfigError, match="emergency_halt: needs a charter that is voted on"):
        daogym.load_scenario({"feeder": "lv_rural", "emergency_halt": {"loading": 1.2}})
