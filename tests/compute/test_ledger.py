"""Work and money: nothing appears, nothing disappears."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.layout import (
    BALANCES,
    ESCROW,
    FOR_COLLATERAL,
    J_BID,
    J_DEPOSIT,
    J_GPUS,
    J_PAID,
    J_PROVIDER,
    J_REMAINING,
    J_WORK,
    MICRO,
    V_GPUS,
)
from daogym.envs.compute.money import minted_tokens
from daogym.envs.core.simulator import Simulator
from daogym.envs.dao.treasury import BURNED, MINTED, books_balance

pytestmark = pytest.mark.kernel
N = 6


def actions(step: int, simulator: Simulator) -> Any:
    generator = np.random.default_rng(step)
    return generator.uniform(-1.0, 1.0, (simulator.num_envs, simulator.action_size))


@pytest.fixture
def simulator() -> Simulator:
    """A market with more failures than usual, at its start."""
    settings = {"base": "gpu_week+unreliable", "supply": {"checkpoint_h": 6.0}}
    found = daogym.make_simulator(settings, N, autoreset="disabled")
    found.reset(seed=3)
    return found


def in_use(simulator: Simulator, lane: int) -> Any:
    return simulator.state("jobs")[lane, : simulator.state("n_jobs")[lane]]


def open_hours(simulator: Simulator) -> Any:
    """GPU-hours that are left to do, (N,)."""
    return np.array(
        [(in_use(simulator, i)[:, J_GPUS] * in_use(simulator, i)[:, J_REMAINING]).sum() * 0.25
         for i in range(N)]
    )  # fmt: skip


def earned_value(simulator: Simulator) -> Any:
    """USD that the progress of all open orders stands for, (N,)."""
    rows = [in_use(simulator, i) for i in range(N)]
    return np.array(
        [(r[:, J_BID] * r[:, J_GPUS] * (r[:, J_WORK] - r[:, J_REMAINING])).sum() * 0.25
         for r in rows]
    )  # fmt: skip


def event(simulator: Simulator, name: str) -> Any:
    return simulator.events[:, simulator.event_names.index(name)]


def test_work_is_conserved(simulator: Simulator) -> None:
    """What is left = what was left + arrived + lost by failures - served - dropped, every step."""
    left = open_hours(simulator)
    lost = 0.0
    for step in range(simulator.horizon):
        simulator.step(actions(step, simulator))
        expected = (
            left + event(simulator, "arrived_gpu_h") + event(simulator, "lost_gpu_h")
            - event(simulator, "served_gpu_h") - event(simulator, "dropped_gpu_h")
        )  # fmt: skip
        left = open_hours(simulator)
        assert left == pytest.approx(expected, rel=1e-9, abs=1e-7), step
        lost += float(event(simulator, "lost_gpu_h").sum())
    assert lost > 0.0


def test_no_provider_runs_more_than_works(simulator: Simulator) -> None:
    gpus = simulator.domain.providers[:, V_GPUS]  # type: ignore[attr-defined]
    for step in range(simulator.horizon):
        working = gpus * simulator.state("up_share").copy()
        simulator.step(actions(step, simulator))
        assert np.all(simulator.state("used_gpus") <= working + 1e-6), step


def test_orders_that_leave_are_counted_once(simulator: Simulator) -> None:
    there = simulator.state("n_jobs").copy()
    names = ("completed_jobs", "missed_jobs", "expired_jobs", "closed_leases")
    for step in range(simulator.horizon):
        simulator.step(actions(step, simulator))
        gone = sum(event(simulator, name) for name in names)
        assert np.array_equal(
            event(simulator, "arrived_jobs"),
            event(simulator, "admitted_jobs") + event(simulator, "rejected_jobs")
            + event(simulator, "overflowed_jobs"),
        )  # fmt: skip
        there = there + event(simulator, "admitted_jobs") - gone
        assert np.array_equal(there, simulator.state("n_jobs")), step


def test_value_is_paid_for_progress_that_stays(simulator: Simulator) -> None:
    """Served less lost less clawed back: the value of completed orders and of open progress."""
    total = np.zeros(N)
    completed = np.zeros(N)
    terms = [simulator.term_names.index(n) for n in ("served", "lost_progress", "clawback")]
    for step in range(300):
        before = earned_value(simulator)
        simulator.step(actions(step, simulator))
        gained = simulator.terms[:, terms].sum(axis=1)
        total += gained
        change = earned_value(simulator) - before
        # What completed orders were worth leaves the table, and only that.
        completed += gained - change
        assert np.all(gained - change >= -1e-6), step
    assert np.all(completed > 0.0)


def test_money_is_conserved_to_the_micro_dollar(simulator: Simulator) -> None:
    for step in range(simulator.horizon):
        simulator.step(actions(step, simulator))
        for lane in range(N):
            accounts, totals = (
                simulator.state("market_accounts")[lane],
                simulator.state("totals")[lane],
            )
            assert books_balance(accounts, totals), (step, lane)
            rows = in_use(simulator, lane)
            leased = rows[:, J_DEPOSIT] > 0.0
            assert accounts[ESCROW] == (rows[leased, J_DEPOSIT] - rows[leased, J_PAID]).sum()
            assert totals[0, MINTED] == totals[1:, MINTED].sum()
            assert totals[0, BURNED] == totals[1:, BURNED].sum()
            assert np.all(rows[rows[:, J_PROVIDER] >= 0.0, J_DEPOSIT] > 0.0)
    assert np.all(simulator.state("market_accounts")[:, BALANCES:].sum(axis=1) > 0)


def test_burn_mint_example() -> None:
    """1,000 USD of credits at 1.14, paid out at 1.50 and at 0.90 (Akash, burn-mint)."""
    burned = minted_tokens(1000.0, 1.14)
    assert minted_tokens(1000.0, 1.50) - burned == pytest.approx(-210.526316, abs=1e-6)
    assert minted_tokens(1000.0, 0.90) - burned == pytest.approx(233.918129, abs=1e-6)


def test_the_vault_follows_burn_and_mint() -> None:
    """At one price the vault holds what backs every credit, the start's cushion and the top-ups."""
    price = 1.14
    token = {"volatility_per_day": 0.0, "jumps_per_day": 0.0, "price_usd": price}
    calm = daogym.make_simulator({"base": "gpu_week", "token": token}, 2, autoreset="disabled")
    calm.reset(seed=1)

    def spare_usd() -> Any:
        credits = calm.state("market_accounts")[:, ESCROW] / MICRO
        topped_up = calm.state("totals")[:, FOR_COLLATERAL, BURNED] / MICRO
        return calm.state("vault_tokens") * price - credits - topped_up

    first = spare_usd()
    for step in range(192):
        calm.step(actions(step, calm))
        assert spare_usd() == pytest.approx(first, abs=1e-3), step
    assert np.all(calm.state("totals")[:, FOR_COLLATERAL, BURNED] >= 0)
