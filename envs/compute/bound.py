"""A proven upper bound of what any operator can earn in an episode: a linear programme, by HiGHS.

Why it is a relaxation. Take any operator and the trajectory of an episode; call x[j, h] the
GPU-hours of progress that order j makes in hour h (net of nothing: progress that a failure later
destroys counts as well) and y[p, h] those that provider p gives. Then

* 0 <= x[j, h] <= GPUs of j x the time within [arrival, deadline) in hour h, and what is served in
  all, less what failures destroyed, is at most the order's work. Let x be only the progress that
  survives, which is served too: sum_h x[j, h] <= work of j.
* y[p, h] <= GPUs of p whose nodes work, added up over the hour: the kernel never runs more.
* Work runs on a GPU class that the order takes, at a provider whose ask its bid covers. An ask is
  at least capital costs with the mark-up of an empty provider, plus energy >= 0, and the tenant
  pays on top the take rate in force when its lease begins, so j can only run on classes from its
  own up to the best one where some provider's least ask, with the least take rate of the steps in
  which j may begin, does not exceed its bid. A voted charter's path of rules is fixed by the seed;
  where the operator may propose, the take rate counts at the value that favours it most. All other
  rules only forbid, and bonds only cost. For every run of classes [a, b], what the providers
  of these classes give is at least what the orders get that can run nowhere else (the easy half of
  Hall's theorem). Gangs may be split, and GPUs be shared: integrality is relaxed.
* Energy costs price[p, h] x kW x y[p, h] at least, as prices are constant within the hour; GPUs at
  work are on offer, and forgo what they would earn elsewhere.
* An order completed in time brings bid x work, its x filling the work. One that is not brings at
  most minus the least of the losses of rejection, expiry and a missed SLA that are still open to it
  (what was there at the start can no longer be rejected), which is what the programme books for
  x = 0. What it had earned is clawed back; the energy it used only makes the true money less. Where
  the deadline lies beyond the end, what is earned until then is at most bid x progress, and no loss
  is booked.

So the trajectory's (x of the orders completed or still running at the end, y, money) is feasible
with at least its money. Numbers: HiGHS's optimum is not used but the limit that its duals prove
(core/linear_programme.py), plus 1e-6 USD and 1e-7 of it for rounding.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.linear_programme import LinearProgramme
from daogym.envs.dao.rule_path import true_rules

from .foresight import World, true_world
from .layout import (
    G_TAKE_RATE,
    J_ARRIVAL,
    J_BID,
    J_DEADLINE,
    J_DEPOSIT,
    J_GPUS,
    J_REMAINING,
    J_TIER,
    TIERS,
    V_CAPITAL_USD_PER_GPU_H,
    V_KW_PER_GPU,
    V_MARKUP_EMPTY,
    V_REGION,
    V_TIER,
)

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

_ABSOLUTE_MARGIN_USD, _RELATIVE_MARGIN = 1e-6, 1e-7


def upper_bound(simulator: Simulator) -> Float:
    """USD that no controller can exceed in the episode each lane is about to play, (N,).

    The simulator is only read.

    Raises:
        ValueError: a lane is not at the first step of an episode.
        RuntimeError: HiGHS found no optimum.
    """
    step = simulator.state("step")
    late = np.flatnonzero((step != 0) | (simulator.state("started") != 0))
    if len(late):
        raise ValueError(
            f"the bound is of whole episodes: lane {late[0]} stands at step {step[late[0]]} of "
            f"{simulator.horizon}, step 0 is expected (reset first, without stagger)"
        )
    return np.array(
        [episode_bound(simulator.domain, true_world(simulator, lane), rates)
         for lane, rates in enumerate(take_rates(simulator))]
    )  # fmt: skip


def take_rates(simulator: Simulator) -> Float:
    """(N, steps) take rates: those to come, or the lowest where actions may change them."""
    domain: Any = simulator.domain
    if domain.scenario.charter.answers_actions:
        low, _, _ = domain.governance.floats.reshape(3, -1)
        return np.full((simulator.num_envs, domain.horizon), low[G_TAKE_RATE])
    return np.asarray(true_rules(simulator)[:, :, G_TAKE_RATE])


def least_in_window(values: Float, first: Int, end: Int) -> Float:
    """(orders,) least of ``values[first:end]`` for each order; no window is empty."""
    edges = np.stack([first, np.maximum(end, first + 1)], axis=1).ravel()
    return np.asarray(np.minimum.reduceat(np.append(values, np.inf), edges)[::2])


def best_tier(domain: Any, bid: Float, tier: Int, take_rate: Float) -> Int:
    """(orders,) best GPU class whose asks a bid can ever cover; below its own class if none.

    Args:
        take_rate: (orders,) the least that an order may meet.
    """
    providers = domain.providers
    capital = providers[:, V_CAPITAL_USD_PER_GPU_H] * (1.0 + providers[:, V_MARKUP_EMPTY])
    found = np.full(len(bid), -1, dtype=np.int64)
    for t in range(TIERS):
        asks = capital[providers[:, V_TIER] == t]
        if len(asks) and domain.scenario.market:
            # Rounding of the kernel's own product must not shut an order out.
            found[bid * (1.0 + 1e-9) >= float(asks.min()) * (1.0 + take_rate)] = t
        elif len(asks):
            found[:] = t
    return np.where(found >= tier, found, tier - 1)


def episode_bound(domain: Any, world: World, take_rates: Float) -> float:
    """The bound of one episode, USD, with the take rate of each of its steps, (steps,)."""
    lp, constant = _programme(domain, world, take_rates)
    lower = lp.solve().lower
    margin = _ABSOLUTE_MARGIN_USD + _RELATIVE_MARGIN * abs(lower)
    return constant - lower + margin


def _programme(domain: Any, world: World, take_rates: Float) -> tuple[LinearProgramme, float]:
    """(programme in minus USD, USD that are there without it)."""
    s = domain.scenario
    per_hour = s.steps_per_hour
    dt_h = 1.0 / per_hour
    horizon = domain.horizon
    orders = world.orders
    bid, gpus, work = orders[:, J_BID], orders[:, J_GPUS], orders[:, J_REMAINING]
    tier = orders[:, J_TIER].astype(np.int64)
    arrival = np.maximum(orders[:, J_ARRIVAL], world.first_step)
    deadline = np.minimum(orders[:, J_DEADLINE], horizon)
    value = bid * gpus * work * dt_h

    service = s.service
    unleased = min(service.sla_share, service.expiry_share)
    loss = np.full(len(orders), min(unleased, service.rejection_share))
    leased = orders[: world.present, J_DEPOSIT] > 0.0
    loss[: world.present] = np.where(leased, service.sla_share, unleased)
    loss[orders[:, J_DEADLINE] > horizon] = 0.0
    begin, end = arrival - world.first_step, deadline - world.first_step
    least = least_in_window(take_rates, begin.astype(np.int64), end.astype(np.int64))
    top = best_tier(domain, bid, tier, least)
    top[: world.present] = np.maximum(top, np.where(orders[:, 10] >= 0.0, TIERS - 1, top))[
        : world.present
    ]

    # One variable an order and hour of its window, as a share of its work: column -> order, hour.
    able = top >= tier
    first_hour = (arrival // per_hour).astype(np.int64)
    last_hour = (-(-deadline // per_hour)).astype(np.int64)
    count = np.where(able, np.maximum(last_hour - first_hour, 0), 0)
    order = np.repeat(np.arange(len(orders)), count)
    place = np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)
    hour = first_hour[order] + place
    inside = np.minimum(deadline[order], (hour + 1) * per_hour) - np.maximum(
        arrival[order], hour * per_hour
    )
    hours = gpus[order] * np.minimum(np.maximum(inside, 0.0), work[order]) * dt_h

    lp = LinearProgramme()
    worth = bid[order] * (1.0 + loss[order])
    served = lp.variables(len(order), 0.0, hours, -worth)
    lp.at_most_sparse(gpus * work * dt_h, order, served, 1.0)
    _give(lp, domain, world, served, hour, tier[order], top[order])
    return lp, -float((loss * value).sum())


def _give(
    lp: LinearProgramme, domain: Any, world: World, served: Int, hour: Int, tier: Int, top: Int
) -> None:
    """Providers give what orders get, class by class, and pay for the energy."""
    providers = domain.providers
    per_hour = domain.scenario.steps_per_hour
    n_hours = domain.horizon // per_hour
    shape = (n_hours, per_hour, len(providers))
    capacity = world.working_gpus.reshape(shape).sum(axis=1) / per_hour
    price = world.price.reshape(n_hours, per_hour, -1).min(axis=1)
    cost = providers[:, V_KW_PER_GPU] * price[:, providers[:, V_REGION].astype(np.int64)]
    if domain.scenario.market:
        cost = cost + domain.scenario.supply.outside_share * providers[:, V_CAPITAL_USD_PER_GPU_H]
    given = lp.variables(capacity.size, 0.0, capacity.ravel(), cost.ravel()).reshape(shape[::2])
    own = providers[:, V_TIER].astype(np.int64)
    every = np.arange(n_hours)
    for low in range(TIERS):
        for high in range(low, TIERS):
            takes = (tier >= low) & (top <= high)
            gives = given[:, (own >= low) & (own <= high)]
            row = np.concatenate([hour[takes], np.repeat(every, gives.shape[1])])
            column = np.concatenate([served[takes], gives.ravel()])
            sign = np.concatenate([np.ones(int(takes.sum())), -np.ones(gives.size)])
            if (low, high) == (0, TIERS - 1):
                lp.equal_sparse(np.zeros(n_hours), row, column, sign)
            else:
                lp.at_most_sparse(np.zeros(n_hours), row, column, sign)
