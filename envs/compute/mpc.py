"""Model-predictive control by linear programme: what capacity will be worth, priced into admission.

Every two hours, for each lane: orders that run hold their GPUs for the rest of their band's usual
duration, what waits and what will usually come competes for the others. The programme chooses how
much of each kind to begin when; the prices of capacity at its optimum (its duals) tell what an
order that runs from now on takes away from others. Orders that bid less are rejected. It knows no
durations and no arrivals, only what the operator observes, and the charter: take rate, least stake,
small tenants' share and providers' cap, where asked with the changes that wait in the timelock.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import normal_quantile
from daogym.envs.dao.rule_path import announced_rules

from .layout import (
    A_ADMISSION,
    BALANCES,
    BANDS,
    F_JOBS_DAY,
    F_JOBS_HOUR,
    G_LEAST_STAKE,
    G_PROVIDER_CAP,
    G_SMALL_TENANT,
    G_SPREAD_CAP,
    G_TAKE_RATE,
    J_BAND,
    J_BID,
    J_GPUS,
    J_PROVIDER,
    J_REMAINING,
    J_TIER,
    J_WORK,
    MICRO,
    TIERS,
    V_GPUS,
    V_TIER,
)
from .rules import Actions, Controller
from .tables import tier_references, week_factors

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

# Hours of the planning periods: single hours first, then longer ones; two days in all.
_PERIODS = np.array([1.0, 1.0, 2.0, 4.0, 8.0, 16.0, 16.0])
_QUANTILES = (0.17, 0.5, 0.83)
_MEDIAN = 1
_HOLD_H = 2
_THREADS = 2
_MEAN_REVERSION_H = 24.0


@dataclass(frozen=True)
class Kinds:
    """Kinds of orders that may come, one entry each.

    Attributes:
        band, tier: of the order.
        gang: whether it needs more than one GPU.
        hours: usual duration.
        gpu_h_per_h: GPU-hours an hour that usually arrive.
        bid: USD/GPU-h.
    """

    band: Int
    tier: Int
    gang: Any
    hours: Float
    gpu_h_per_h: Float
    bid: Float


def kinds_of(domain: Any) -> Kinds:
    """The scenario's orders by class, band and quantile of the bid."""
    orders, work = domain.scenario.orders, domain.workload
    dt_h = 1.0 / domain.scenario.steps_per_hour
    reference = tier_references(domain.scenario)
    rows = []
    for tier, gang in product(range(TIERS), (False, True)):
        mine = [
            s for s, shape in enumerate(orders.shapes)
            if shape.least_tier == tier and (shape.gpus > 1.0) == gang
        ]  # fmt: skip
        for band in range(BANDS):
            rate = sum(
                domain.jobs_per_h * orders.shapes[s].share * work.band_share[s, band]
                * work.band_steps[s, band] * dt_h * orders.shapes[s].gpus
                for s in mine
            )  # fmt: skip
            if rate <= 0.0:
                continue
            for q in _QUANTILES:
                z = float(normal_quantile(q))
                bid = reference[tier] * np.exp(orders.band_log_bid[band] + orders.bid_sigma * z)
                hours = work.band_work[band] * dt_h
                rows.append((band, tier, gang, hours, rate / len(_QUANTILES), bid))
    band_, tier_, gang_, hours_, rate_, bid_ = map(np.array, zip(*rows, strict=True))
    return Kinds(band_, tier_, gang_, hours_, rate_, bid_)


class LinearMpc(Controller):
    """Rejects what bids less than the capacity it would take is worth; plans every two hours.

    Args:
        reads_queue: plan with the rule changes that wait in the timelock; else with the rules in
            force for the whole horizon.
    """

    name = "lp_mpc"

    def __init__(self, *, reads_queue: bool = True) -> None:
        self.reads_queue = reads_queue
        self._kinds: Kinds | None = None
        self._start = np.zeros(0)
        self._overlap = np.zeros((0, 0, 0))
        self._actions: Actions = np.zeros((0, 0), dtype=np.float32)

    def reset(self, simulator: Simulator) -> None:
        super().reset(simulator)
        domain: Any = simulator.domain
        self._kinds = kinds_of(domain)
        self._start = np.cumsum(_PERIODS) - _PERIODS
        self._overlap = overlaps(self._kinds.hours)
        self._factors = week_factors(domain.scenario)[0]
        self._actions = self._idle(simulator)

    def act(self, simulator: Simulator) -> Actions:
        if self._kinds is None:
            raise RuntimeError(f"{self.name}: reset() must come before the first act()")
        hold = _HOLD_H * simulator.scenario.steps_per_hour
        step = simulator.state("step")
        due = np.flatnonzero((step % hold == 0) | (step == simulator.state("started")))
        if len(due):
            rules = self._rules(simulator)
            with ThreadPoolExecutor(_THREADS) as pool:
                found = pool.map(
                    lambda lane: self.thresholds(simulator, lane, rules[lane]), due.tolist()
                )
                for lane, thresholds in zip(due.tolist(), found, strict=True):
                    self._actions[lane, A_ADMISSION : A_ADMISSION + TIERS] = thresholds
        return self._actions.copy()

    def _rules(self, simulator: Simulator) -> Float:
        """(N, T, parameters) mean of each governed parameter over each period."""
        per_hour = simulator.scenario.steps_per_hour
        steps = round(float(_PERIODS.sum())) * per_hour
        path = announced_rules(simulator, steps, reads_queue=self.reads_queue)
        first = (self._start * per_hour).astype(np.int64)
        sums = np.add.reduceat(path, first, axis=1)
        return np.asarray(sums / (_PERIODS * per_hour)[:, None])

    def thresholds(self, simulator: Simulator, lane: int, rules: Float) -> Float:
        """Admission elements of a lane's action for the coming two hours, (tiers,).

        Args:
            rules: (T, parameters) that hold in the planning periods.
        """
        domain: Any = simulator.domain
        kinds = self._kinds
        assert kinds is not None
        prices = self._capacity_prices(simulator, lane, kinds, rules)
        operator = simulator.scenario.operator
        reference = tier_references(domain.scenario)
        saved = 1.0 + simulator.scenario.service.rejection_share
        weight, total = np.zeros(TIERS), np.zeros(TIERS)
        for k in range(_MEDIAN, len(kinds.band), len(_QUANTILES)):
            hours = self._overlap[k, 0]
            tier = kinds.tier[k]
            # What an hour of this kind, begun now, takes away; serving it also saves a rejection.
            worth = prices[tier].copy()
            # Rules forbid beginnings, so they price the first period alone.
            worth[0] += prices[TIERS + tier, 0] + (prices[2 * TIERS, 0] if kinds.gang[k] else 0.0)
            cost = float((worth * hours).sum() / hours.sum()) / saved
            share = kinds.gpu_h_per_h[k]
            total[tier] += share * np.log(max(cost, 1e-3) / reference[tier])
            weight[tier] += share
        wanted = total / np.maximum(weight, 1e-12)
        # Below the zero action's threshold nothing is gained: such bids find no provider.
        return np.clip(
            (wanted - np.array(operator.admission)) / operator.admission_scale, 0.0, 0.99
        )

    def _capacity_prices(
        self, simulator: Simulator, lane: int, kinds: Kinds, rules: Float
    ) -> Float:
        """USD/GPU-h that GPUs of each class or better are worth in each period, then leave to begin
        there under the charter, and last leave to begin a gang, (2 tiers + 1, T)."""
        domain: Any = simulator.domain
        n_periods = len(_PERIODS)
        own = domain.providers[:, V_TIER].astype(np.int64)
        working = domain.providers[:, V_GPUS] * simulator.state("up_share")[lane]
        offered, prices = capacity_under(simulator, lane, working, rules)
        room = np.array([offered[own >= t].sum(axis=0) for t in range(TIERS)]) * _PERIODS
        gang_room = (1.0 - rules[:, G_SMALL_TENANT]) * working.sum() * _PERIODS
        table = simulator.state("jobs")[lane, : simulator.state("n_jobs")[lane]]
        dt_h = 1.0 / simulator.scenario.steps_per_hour
        band = table[:, J_BAND].astype(np.int64)
        done = table[:, J_WORK] - table[:, J_REMAINING]
        left = np.maximum(domain.workload.band_work[band] - done, 4.0) * dt_h
        held = np.clip(left[:, None] - self._start, 0.0, _PERIODS) * table[:, J_GPUS, None]
        running = table[:, J_PROVIDER] >= 0.0
        tier = table[:, J_TIER].astype(np.int64)
        gang = table[:, J_GPUS] > 1.0
        at_work = np.array([held[running & (tier >= t)].sum(axis=0) for t in range(TIERS)])
        gang_room = gang_room - held[running & gang].sum(axis=0)
        physical = np.array([working[own >= t].sum() for t in range(TIERS)])[:, None] * _PERIODS
        room = np.maximum(
            np.concatenate([physical - at_work, room - at_work, gang_room[None]]), 0.0
        )

        waiting = np.flatnonzero(~running)
        loss = 1.0 + simulator.scenario.service.rejection_share
        saved = loss
        within = self._overlap.sum(axis=2)
        flow = simulator.state("flow")[lane]
        recent = np.sqrt(max(flow[F_JOBS_HOUR], 0.1) * max(flow[F_JOBS_DAY], 0.1))
        level = recent / domain.jobs_per_h
        hour = int(simulator.state("step")[lane] * dt_h) + 24 * int(
            simulator.state("first_day")[lane]
        )
        usual = self._factors[(hour + self._start.astype(np.int64)) % len(self._factors)]
        fade = np.exp(-self._start / _MEAN_REVERSION_H)
        coming = usual * (level / max(usual[0], 0.1)) ** fade * _PERIODS

        # Variables: share of what waits that begins now, then GPU-hours of each kind and period.
        n_waiting, n_kinds = len(waiting), len(kinds.band)
        cost, high, rows, columns, values = [], [], [], [], []
        for i, j in enumerate(waiting.tolist()):
            hours = float(held[j].sum())
            cost.append(-saved * table[j, J_BID] * hours)
            high.append(1.0)
            for t in range(tier[j] + 1):
                rows.append(t * n_periods + np.arange(n_periods))
                columns.append(np.full(n_periods, i))
                values.append(held[j])
            begins = [TIERS + t for t in range(tier[j] + 1)] + [2 * TIERS] * int(gang[j])
            rows.append(np.array(begins) * n_periods)
            columns.append(np.full(len(begins), i))
            values.append(np.full(len(begins), held[j, 0]))
        # What bids less than the cheapest ask with fees finds no provider.
        served = kinds.bid[:, None] >= prices[kinds.tier]
        arrivals = kinds.gpu_h_per_h[:, None] * coming * served
        share = within / kinds.hours[:, None]
        cost_kinds = -saved * kinds.bid[:, None] * share
        first = n_waiting + np.arange(n_kinds * n_periods).reshape(n_kinds, n_periods)
        k, s, p = np.nonzero(self._overlap > 0.0)
        use = self._overlap[k, s, p] / kinds.hours[k]
        for t in range(2 * TIERS + 1):
            # All use takes GPUs; what the charter allows is taken by beginnings.
            takes = kinds.tier[k] >= t % TIERS if t < 2 * TIERS else kinds.gang[k]
            takes = takes if t < TIERS else takes & (s == p)
            rows.append(t * n_periods + p[takes])
            columns.append(first[k[takes], s[takes]])
            values.append(use[takes])
        matrix = csr_array(
            (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
            shape=((2 * TIERS + 1) * n_periods, n_waiting + first.size),
        )
        result = linprog(
            np.concatenate([np.array(cost), cost_kinds.ravel()]), A_ub=matrix, b_ub=room.ravel(),
            bounds=np.stack(
                [np.zeros(n_waiting + first.size),
                 np.concatenate([np.array(high), arrivals.ravel()])], axis=1,
            ),
            method="highs",
        )  # fmt: skip
        if result.status != 0:
            return np.zeros((2 * TIERS + 1, n_periods))
        duals = -np.minimum(result.ineqlin.marginals, 0.0).reshape(2 * TIERS + 1, n_periods)
        # An order of a class takes from the room of that class and of all below it.
        groups = duals[:TIERS], duals[TIERS : 2 * TIERS]
        return np.concatenate([*(np.cumsum(group, axis=0) for group in groups), duals[-1:]])


def capacity_under(
    simulator: Simulator, lane: int, working: Float, rules: Float
) -> tuple[Float, Float]:
    """GPUs that may work, (providers, T), and the least price with fees of each class, (tiers, T).

    Args:
        working: (providers,) GPUs whose nodes work.
        rules: (T, parameters).
    """
    domain: Any = simulator.domain
    n = len(working)
    accounts = simulator.state("market_accounts")[lane, BALANCES:] / MICRO
    # A stake that falls short is filled from the balance.
    backing = accounts[:n] + accounts[n:]
    staked = backing[:, None] >= domain.providers[:, V_GPUS, None] * rules[:, G_LEAST_STAKE]
    ceiling = np.maximum(rules[:, G_PROVIDER_CAP] * working.sum(), 1.0)
    offered = np.where(staked, np.minimum(working[:, None], ceiling), 0.0)
    fees = (
        1.0
        + rules[:, G_TAKE_RATE]
        + np.minimum(simulator.scenario.operator.spread, rules[:, G_SPREAD_CAP])
    )
    asks = np.where(staked, simulator.state("ask")[lane][:, None], np.inf)
    own = domain.providers[:, V_TIER]
    least = [np.min(asks, axis=0, where=(own >= t)[:, None], initial=np.inf) for t in range(TIERS)]
    return offered, np.array(least) * fees


def overlaps(hours: Float) -> Float:
    """(kinds, T, T) hours of period p that an order begun with period s takes, of those planned."""
    start = np.cumsum(_PERIODS) - _PERIODS
    end = start[None, :, None] + hours[:, None, None]
    found = np.minimum(end, start + _PERIODS) - np.maximum(start[None, :, None], start)
    return np.maximum(found, 0.0)
