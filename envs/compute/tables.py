"""From a scenario to the arrays that the kernel reads.

Only + - * / sqrt and the project's own elementary functions are used, so that the tables are bit
for bit the same on every CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daogym.envs.core.elementwise import cos_array, exp_array, log_array, sin_array
from daogym.envs.core.layout import Float, Int

from .layout import (
    BANDS,
    BLOCK_HOURS,
    HOURS_PER_WEEK,
    KNOTS,
    LAW_EXPONENTIAL,
    LAW_QUANTILES,
    PROVIDER_WIDTH,
    REGIONS,
    SHAPES,
    TIERS,
    V_CAPITAL_USD_PER_GPU_H,
    V_GPUS,
    V_TIER,
)
from .scenario import KNOT_PROBABILITIES, ComputeScenario

TWO_PI = 6.283185307179586
_GRID = 64
_NO_FAILURE_STEPS = 1e12
_EVENING_H, _NOON_H = 18.0, 12.5


@dataclass(frozen=True)
class Workload:
    """Laws of the orders.

    Attributes:
        log_steps: (shapes, KNOTS) logarithm of the duration in steps at each knot.
        residual_log_steps: the same of what is left of an order found at work.
        mean_steps: (shapes,) mean duration.
        band_work: (bands,) mean duration of an order of each band.
        start_share: (shapes,) share of each shape among the orders found at work.
        band_share: (shapes, bands) share of each band among a shape's orders.
        band_steps: (shapes, bands) mean duration there.
    """

    log_steps: Float
    residual_log_steps: Float
    mean_steps: Float
    band_work: Float
    start_share: Float
    band_share: Float
    band_steps: Float


def exponential_of(x: float) -> float:
    """exp(x) by the project's own function."""
    return float(exp_array(np.array([x]))[0])


def exact_power(base: float, exponent: float) -> float:
    """base**exponent for base > 0 by the project's own functions; 0**x is 0."""
    return exponential_of(exponent * float(log_array(np.array([base]))[0])) if base > 0.0 else 0.0


def workload(scenario: ComputeScenario) -> Workload:
    """Laws of the orders that a scenario describes."""
    orders = scenario.orders
    per_minute = 1.0 / scenario.step_minutes
    longest = orders.longest_minutes * per_minute
    shares = np.array([shape.share for shape in orders.shapes])
    knots = np.array(KNOT_PROBABILITIES)
    # A fine grid of probabilities, each knot a point of it; exponential laws by the same means.
    inner = np.arange(_GRID) / _GRID
    grid = np.append((knots[:-1, None] + np.diff(knots)[:, None] * inner).ravel(), 1.0)
    table, residual = np.zeros((SHAPES, KNOTS)), np.zeros((SHAPES, KNOTS))
    means = np.zeros(SHAPES)
    share, steps = np.zeros((SHAPES, BANDS)), np.zeros((SHAPES, BANDS))
    edges = np.array(orders.band_edges_h) * scenario.steps_per_hour
    for s, shape in enumerate(orders.shapes):
        table[s] = log_array(np.array(shape.minutes) * per_minute)
        if orders.law == "exponential":
            left = np.maximum(1.0 - grid, 1e-7)
            fine = -log_array(left) * orders.exponential_minutes * per_minute
        else:
            fine = exp_array(np.interp(grid, knots, table[s]))
        fine = np.minimum(np.maximum(fine, 1e-9), longest)
        middle, width = 0.5 * (fine[1:] + fine[:-1]), np.diff(grid)
        below = np.append(0.0, np.cumsum(middle * width))
        means[s] = below[-1]
        # Integral of the survival function up to Q(u): Q(u) (1 - u) + integral of Q up to u.
        found = (fine * (1.0 - grid) + below) / below[-1]
        residual[s] = np.interp(knots, found, log_array(fine))
        band = (middle[:, None] >= edges).sum(axis=1)
        for b in range(BANDS):
            share[s, b] = width[band == b].sum()
            steps[s, b] = (middle * width)[band == b].sum()
    if orders.law == "exponential":
        means[:] = orders.exponential_minutes * per_minute
    weight = (shares[:, None] * share).sum(axis=0)
    work = (shares[:, None] * steps).sum(axis=0)
    return Workload(
        table, residual, means,
        np.where(weight > 0.0, work / np.maximum(weight, 1e-12), np.append(edges, longest)),
        shares * means / float((shares * means).sum()),
        share, np.where(share > 0.0, steps / np.maximum(share, 1e-12), 0.0),
    )  # fmt: skip


def law_kind(scenario: ComputeScenario) -> int:
    """Which law durations follow."""
    return LAW_EXPONENTIAL if scenario.orders.law == "exponential" else LAW_QUANTILES


def week_factors(scenario: ComputeScenario) -> tuple[Float, Float]:
    """Usual arrivals / weekly mean of each hour of the week, and of the block that it begins."""
    hours = np.array(scenario.orders.hour_factors)
    days = np.array(scenario.orders.day_factors)
    factors = (days[:, None] * hours[None, :]).ravel()
    factors = factors / (factors.sum() / HOURS_PER_WEEK)
    blocks = sum(np.roll(factors, -h) for h in range(BLOCK_HOURS)) / BLOCK_HOURS
    return factors, np.asarray(blocks)


def provider_table(scenario: ComputeScenario) -> Float:
    """(providers, PROVIDER_WIDTH), columns V_* of layout.py."""
    supply = scenario.supply
    rows = np.zeros((supply.providers, PROVIDER_WIDTH))
    first_node = 0
    per_day = 24.0 * scenario.steps_per_hour
    for p in range(supply.providers):
        kind = supply.archetypes[p % len(supply.archetypes)]
        tier = supply.tiers[kind.tier]
        gpus = kind.nodes * supply.gpus_per_node
        empty, full = supply.congestion_markup
        if kind.strategy == "cost_plus":
            empty = full = supply.cost_plus_margin
        failure = tier.failure_days * per_day if supply.outages else _NO_FAILURE_STEPS
        rows[p] = (
            kind.tier, kind.region, kind.nodes, first_node, supply.gpus_per_node, gpus,
            tier.kw_per_gpu, tier.capital_usd_per_gpu_h * kind.cost, empty, full, failure,
            supply.stake_usd_per_gpu * gpus,
        )  # fmt: skip
        first_node += kind.nodes
    return rows


def opening_order(providers: Float) -> Int:
    """(providers,) in which order providers come to be on offer: by class, the cheapest first."""
    return np.lexsort((providers[:, V_CAPITAL_USD_PER_GPU_H], providers[:, V_TIER]))


def tier_references(scenario: ComputeScenario) -> Float:
    """(tiers,) USD/GPU-h: the ask of a provider of usual costs, without a mark-up."""
    price = sum(scenario.electricity.price_usd_per_kwh) / REGIONS
    return np.array(
        [tier.capital_usd_per_gpu_h + tier.kw_per_gpu * price for tier in scenario.supply.tiers]
    )


def region_days(scenario: ComputeScenario) -> tuple[Float, Float]:
    """(regions, 24) factors by hour UTC: of prices (dear evenings) and of carbon (clean noons)."""
    electricity = scenario.electricity
    local = np.arange(24.0)[None, :] + np.array(electricity.utc_offset_h, dtype=float)[:, None]
    evening = cos_array(TWO_PI * (local - _EVENING_H) / 24.0)
    noon = cos_array(TWO_PI * (local - _NOON_H) / 24.0)
    return 1.0 + electricity.evening_share * evening, 1.0 - electricity.solar_share * np.maximum(
        noon, 0.0
    )


def clock_table() -> Float:
    """Sine, then cosine of each hour of the day, (48,)."""
    angle = TWO_PI * np.arange(24.0) / 24.0
    return np.concatenate([sin_array(angle), cos_array(angle)])


def order_kinds(gpus: Float) -> Int:
    """Which kind of class orders are: 0 share of a GPU, 1 one GPU, 2 .. 5 gangs by size."""
    return np.asarray(
        (gpus >= 1.0) * 1 + (gpus > 1.0) + (gpus > 2.0) + (gpus > 4.0) + (gpus > 8.0),
        dtype=np.int64,
    )


def largest_providers(providers: Float) -> Float:
    """(tiers,) GPUs of the largest provider of a class or better; 0 where there is none."""
    tier, gpus = providers[:, V_TIER], providers[:, V_GPUS]
    return np.array([float(gpus[tier >= t].max(initial=0.0)) for t in range(TIERS)])


assert TIERS == 4
