"""What the charter does: limits that no action passes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import daogym
from daogym.envs.compute.layout import (
    A_RESERVE,
    A_SPREAD,
    ESCROW,
    J_ASK,
    J_GPUS,
    J_PRICE,
    J_PROVIDER,
    J_REMAINING,
    MICRO,
    TREASURY,
    V_GPUS,
)
from daogym.envs.core.simulator import Simulator

pytestmark = pytest.mark.kernel
N = 6


def market(parameters: dict[str, float], **settings: Any) -> Simulator:
    simulator = daogym.make_simulator(
        {"base": "gpu_week", "charter": {"parameters": parameters}, **settings}, N,
        autoreset="disabled",
    )  # fmt: skip
    simulator.reset(seed=9)
    return simulator


def rows(simulator: Simulator) -> list[Any]:
    table, n = simulator.state("jobs"), simulator.state("n_jobs")
    return [table[i, : n[i]] for i in range(N)]


def gpus_of(simulator: Simulator) -> Any:
    return simulator.domain.providers[:, V_GPUS]  # type: ignore[attr-defined]


def event(simulator: Simulator, name: str) -> Any:
    return simulator.events[:, simulator.event_names.index(name)]


def test_no_tenant_pays_more_than_cap_and_take_rate_add() -> None:
    simulator = market({"spread_cap_share": 0.1, "take_rate_share": 0.07})
    actions = np.zeros((N, simulator.action_size))
    actions[:, A_SPREAD] = 1.0
    for _ in range(200):
        simulator.step(actions)
        assert np.all(event(simulator, "interventions") == 1.0)
        for table in rows(simulator):
            leased = table[table[:, J_PRICE] > 0.0]
            fresh = leased[leased[:, J_REMAINING] > 0.0]
            assert np.all(fresh[:, J_PRICE] <= fresh[:, J_ASK] * 1.25 * 1.2)
    # Leases of the start were made under the zero action; all later ones under the cap.
    ratio = np.concatenate([t[t[:, J_PROVIDER] >= 0.0] for t in rows(simulator)])
    assert np.median(ratio[:, J_PRICE] / ratio[:, J_ASK]) == pytest.approx(1.17)


def test_the_vault_is_not_filled_below_the_treasurys_floor() -> None:
    simulator = market(
        {"treasury_floor_usd": 9_900.0}, token={"start_ratio": 0.9, "halt_ratio": 0.5}
    )
    actions = np.zeros((N, simulator.action_size))
    actions[:, A_RESERVE] = 1.0
    cut = 0.0
    for _ in range(150):
        before = simulator.state("market_accounts")[:, TREASURY] / MICRO
        simulator.step(actions)
        after = simulator.state("market_accounts")[:, TREASURY] / MICRO
        credits = event(simulator, "sla_credits_usd")
        assert np.all(after >= np.minimum(before, 9_900.0) - credits - 1e-5)
        cut += float(event(simulator, "shield_delta_usd").sum())
    assert cut > 0.0


def test_gangs_leave_small_tenants_their_share() -> None:
    simulator = market({"small_tenant_share": 0.3}, supply={"outages": False})
    for _ in range(300):
        simulator.step(np.zeros((N, simulator.action_size)))
        offered = (simulator.state("up_share") * gpus_of(simulator)).sum(axis=1)
        for lane, table in enumerate(rows(simulator)):
            gangs = table[(table[:, J_GPUS] > 1.0) & (table[:, J_PROVIDER] >= 0.0)]
            assert gangs[:, J_GPUS].sum() <= 0.7 * offered[lane] + 16.0
    free = market({"small_tenant_share": 0.0}, supply={"outages": False})
    reverts = np.zeros((2, N))
    for _ in range(300):
        for i, one in enumerate((simulator, free)):
            one.step(np.zeros((N, one.action_size)))
            reverts[i] += event(one, "reverts")
    assert reverts[0].sum() > reverts[1].sum()


def test_no_provider_runs_more_than_its_share() -> None:
    simulator = market({"provider_cap_share": 0.1}, supply={"outages": False})
    for step in range(300):
        simulator.step(np.zeros((N, simulator.action_size)))
        total = (simulator.state("up_share") * gpus_of(simulator)).sum(axis=1, keepdims=True)
        # What ran at the start was placed under the same rule.
        assert np.all(simulator.state("used_gpus") <= 0.1 * total + 1e-6), step


def test_a_provider_without_the_least_stake_gets_no_orders() -> None:
    simulator = market({"least_stake_usd_per_gpu": 400.0}, supply={"balance_usd_per_gpu": 0.0})
    simulator.step(np.zeros((N, simulator.action_size)))
    assert np.all(simulator.state("capacity_gpus") == 0.0)
    assert np.all(simulator.state("used_gpus") == 0.0)


def test_a_halt_stops_new_leases_only() -> None:
    simulator = market({}, supply={"outages": False})
    actions = np.zeros((N, simulator.action_size))
    actions[:, A_RESERVE] = -1.0
    for _ in range(20):
        simulator.step(actions)
    assert np.all(simulator.state("halted") == 0)
    # A token that lost most of its worth, and a treasury that may not spend.
    simulator.state("vault_tokens")[:] *= 0.1
    simulator.state("market_accounts")[:, TREASURY] = 0
    before = simulator.state("market_accounts")[:, ESCROW].copy()
    simulator.step(actions)
    # Where no large deposit of this very step brought the ratio back.
    hit = simulator.state("market_accounts")[:, ESCROW] < 2.0 * before
    assert hit.sum() >= N - 1 and np.all(simulator.state("halted")[hit] == 1)
    running = simulator.state("used_gpus").sum(axis=1)
    simulator.step(actions)
    assert np.all(event(simulator, "matched_jobs")[hit] == 0.0)
    assert np.all(simulator.state("used_gpus").sum(axis=1)[hit] <= running[hit] + 1e-9)
    assert np.all(event(simulator, "served_gpu_h")[hit] > 0.0)


def test_slashes_cost_the_larger_of_share_and_days_of_reward() -> None:
    settings = {
        "supply": {"repair_h": 40.0, "repair_sigma": 0.1,
                   "tiers": [{"kw_per_gpu": 0.3, "capital_usd_per_gpu_h": 0.3, "failure_days": 1.0}]
                   * 4},
        "staking": {"most_missed": 2},
    }  # fmt: skip
    simulator = market({"slash_share": 0.05}, **settings)
    slashed, jailed = 0.0, 0.0
    for _ in range(300):
        simulator.step(np.zeros((N, simulator.action_size)))
        slashed += float(event(simulator, "slashed_usd").sum())
        jailed += float(event(simulator, "jailed_steps").sum())
    assert slashed > 0.0 and jailed > 0.0
