"""Settings of the compute market, each with its unit; defaults live here, YAML files override them.

The workload's statistics are those of public traces, see docs/compute.md: arrivals, gang sizes and
durations of Microsoft's Philly trace (Jeon et al., ATC'19), shares of a GPU of Alibaba's GPU trace
of 2023 (Weng et al., ATC'23).
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.strict import StrictModel
from daogym.envs.dao.charter import Charter, GovernedParameter

from .layout import BANDS, HOURS_PER_WEEK, KNOTS, REGIONS, SHAPES, TIERS

GOVERNED_PARAMETERS = (
    GovernedParameter("take_rate_share", "1", 0.0, 0.2, 0.05, "price",
                      "the DAO's cut on top of a provider's ask",
                      0.05, 1.0, "admit fewer low bids under a higher cut"),
    GovernedParameter("spread_cap_share", "1", 0.0, 0.6, 0.3, "clip",
                      "largest mark-up that the operator may add to an ask",
                      0.15, 1.0, "reject by admission what the price may no longer hold off"),
    GovernedParameter("least_stake_usd_per_gpu", "USD", 0.0, 400.0, 100.0, "revert",
                      "a provider with less stake a GPU gets no orders",
                      100.0, 1.0, "admit less where stakes are about to fall short"),
    GovernedParameter("slash_share", "1", 0.0, 0.1, 0.02, "price",
                      "share of the stake lost for missed proofs",
                      0.02, 1.0, ""),
    GovernedParameter("small_tenant_share", "1", 0.0, 0.3, 0.05, "revert",
                      "share of the working GPUs that gangs (more than one GPU) may not use",
                      0.1, 1.0, "admit fewer gangs"),
    GovernedParameter("provider_cap_share", "1", 0.08, 1.0, 0.5, "revert",
                      "largest share of all working GPUs that run at one provider",
                      0.25, 1.0, "spread work over more providers"),
    GovernedParameter("treasury_floor_usd", "USD", 0.0, 20_000.0, 2_000.0, "clip",
                      "collateral is not topped up with what the treasury must keep; a treasury "
                      "below it is a cost",
                      5_000.0, 1.0, "earn more by the spread"),
    GovernedParameter("carbon_cap_kg_per_gpu_h", "kg", 0.05, 0.6, 0.25, "cost",
                      "largest emissions of an hour of a GPU",
                      0.1, 1.0, "prefer regions with clean electricity"),
)  # fmt: skip

Quantiles = tuple[float, ...]
KNOT_PROBABILITIES: Quantiles = (
    0.0, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7,
    0.75, 0.8, 0.85, 0.9, 0.925, 0.95, 0.965, 0.98, 0.99, 1.0,
)  # fmt: skip
# Quantiles of durations in minutes, capped at 48 h, by GPUs asked for (Philly): 1, 2, 4 to 7,
# 8 to 15, 16 and more.
_ONE = (
    0.01667, 0.5, 0.7333, 0.8667, 1.033, 1.15, 1.267, 2.033, 3.583, 6.417, 10.0, 14.25, 18.62, 24.1,
    28.8, 34.23, 41.07, 45.27, 62.57, 89.03, 141.9, 186.1, 318.9, 536.3, 1138.0, 2257.0, 2880.0,
)  # fmt: skip
_TWO = (
    0.03333, 0.08333, 0.1167, 0.15, 0.1833, 0.2167, 0.25, 0.2667, 0.2833, 0.3, 0.3167, 0.3333, 0.35,
    0.3833, 0.4167, 0.4667, 0.55, 1.267, 2.487, 370.9, 1212.0, 2075.0, *[2880.0] * 5,
)  # fmt: skip
_FOUR = (
    0.05, 0.5948, 0.8621, 1.25, 2.297, 2.989, 6.747, 12.88, 28.26, 74.29, 124.5, 218.1, 290.2,
    437.5, 604.8, 947.4, 1311.0, 1490.0, 1771.0, 2524.0, *[2880.0] * 7,
)  # fmt: skip
_EIGHT = (
    0.01667, 0.5582, 1.2, 2.083, 3.615, 7.734, 12.77, 28.95, 63.81, 117.5, 202.3, 272.6, 393.7,
    605.8, 1067.0, 1744.0, 2311.0, *[2880.0] * 10,
)  # fmt: skip
_SIXTEEN = (
    0.01667, 0.06033, 0.1546, 0.5842, 1.157, 3.358, 5.75, 10.16, 15.43, 36.72, 72.87, 200.0, 474.4,
    784.4, 915.2, 1039.0, 1301.0, 1833.0, 2673.0, *[2880.0] * 8,
)  # fmt: skip


class Shape(StrictModel):
    """A kind of order: how many GPUs, of which class, for how long."""

    gpus: float = Setting(gt=0.0, le=16.0)
    share: float = Setting(ge=0.0, le=1.0)
    """Of all orders."""
    least_tier: int = Setting(0, ge=0, lt=TIERS)
    """Worst GPU class that will do: 0 consumer, 1 T4/A10, 2 A100, 3 H100."""
    minutes: Quantiles = Setting(_ONE, min_length=KNOTS, max_length=KNOTS)
    """Durations at `KNOT_PROBABILITIES`, not falling; log-linear in between."""

    @model_validator(mode="after")
    def _not_falling(self) -> Self:
        if self.minutes[0] <= 0.0 or any(
            b < a for a, b in zip(self.minutes[:-1], self.minutes[1:], strict=True)
        ):
            raise ValueError(f"minutes: above 0 and not falling expected, got {self.minutes}")
        return self


_SHAPES = (
    Shape(gpus=0.25, share=0.0891, least_tier=0, minutes=_ONE),
    Shape(gpus=0.5, share=0.1823, least_tier=0, minutes=_ONE),
    Shape(gpus=0.8, share=0.1346, least_tier=0, minutes=_ONE),
    Shape(gpus=1.0, share=0.35, least_tier=0, minutes=_ONE),
    Shape(gpus=1.0, share=0.1757, least_tier=1, minutes=_ONE),
    Shape(gpus=2.0, share=0.0221, least_tier=1, minutes=_TWO),
    Shape(gpus=4.0, share=0.0136, least_tier=1, minutes=_FOUR),
    Shape(gpus=4.0, share=0.0091, least_tier=2, minutes=_FOUR),
    Shape(gpus=8.0, share=0.0121, least_tier=2, minutes=_EIGHT),
    Shape(gpus=8.0, share=0.008, least_tier=3, minutes=_EIGHT),
    Shape(gpus=16.0, share=0.0034, least_tier=3, minutes=_SIXTEEN),
)


class Orders(StrictModel):
    """What tenants ask for and when."""

    arrivals_per_h_per_gpu: float = Setting(0.14045, gt=0.0)
    """Orders an hour and GPU of the market: 31.46 an hour on 224 GPUs."""
    demand: float = Setting(1.0, gt=0.0, le=10.0)
    """Multiplies the orders; 1 outside stress variants."""
    log_variance: float = Setting(1.64, ge=0.0, le=4.0)
    """Of the hourly intensity beyond the hour of the week (a Cox process)."""
    slow_share: float = Setting(0.70, ge=0.0, le=1.0)
    """Of that variance, the part that is AR(1); the rest is independent by hour."""
    slow_persistence_per_h: float = Setting(0.97, ge=0.0, lt=1.0)
    intensity_minutes: float = Setting(60.0, gt=0.0, le=60.0)
    """How long the intensity keeps its value."""
    hour_factors: tuple[float, ...] = Setting((
        1.274, 0.985, 1.119, 1.103, 0.7, 1.153, 1.673, 2.089, 1.109, 1.006, 1.024, 0.869, 0.749,
        0.705, 0.638, 0.649, 0.882, 0.668, 0.801, 0.728, 1.016, 0.917, 1.134, 1.01,
    ), min_length=24, max_length=24)  # fmt: skip
    day_factors: tuple[float, ...] = Setting(
        (0.863, 1.066, 1.138, 1.286, 1.443, 0.609, 0.595), min_length=7, max_length=7
    )
    """Monday first; their product with `hour_factors` is scaled to a mean of 1."""
    shapes: tuple[Shape, ...] = Setting(_SHAPES, min_length=SHAPES, max_length=SHAPES)
    law: Literal["quantiles", "exponential"] = "quantiles"
    exponential_minutes: float = Setting(60.0, gt=0.0)
    """Mean duration where `law` is "exponential"."""
    longest_minutes: float = Setting(2880.0, gt=0.0)
    """Durations are capped here."""
    band_edges_h: tuple[float, ...] = Setting(
        (1.0, 6.0, 24.0), min_length=BANDS - 1, max_length=BANDS - 1
    )
    """Tenants declare which band their duration lies in."""
    band_log_bid: tuple[float, ...] = Setting(
        (1.1, 0.9, 0.7, 0.6), min_length=BANDS, max_length=BANDS
    )
    """Mean of ln(bid / reference price) by band: the short pay more an hour."""
    bid_sigma: float = Setting(0.5, ge=0.0, le=2.0)
    slack_minutes: float = Setting(60.0, ge=0.0)
    """Deadline - arrival - duration is this times 0.5 to 1.5 ..."""
    slack_share: float = Setting(2.0, ge=0.0, le=5.0)
    """... plus the duration times 0 to this."""
    deadlines: bool = True
    """False: orders wait for ever."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        total = sum(shape.share for shape in self.shapes)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"shapes: shares that add up to 1 expected, got {total}")
        if not 0.0 < self.band_edges_h[0] < self.band_edges_h[1] < self.band_edges_h[2]:
            raise ValueError(f"band_edges_h: rising numbers above 0 expected: {self.band_edges_h}")
        return self


class Tier(StrictModel):
    """A GPU class."""

    kw_per_gpu: float = Setting(gt=0.0, le=5.0)
    """At work, with its share of the server and of cooling."""
    capital_usd_per_gpu_h: float = Setting(gt=0.0)
    failure_days: float = Setting(gt=0.0)
    """Mean time between failures of a node."""


class Archetype(StrictModel):
    """A provider; a market of n providers takes the first n, from the start again if need be."""

    tier: int = Setting(ge=0, lt=TIERS)
    region: int = Setting(ge=0, lt=REGIONS)
    nodes: int = Setting(ge=1, le=64)
    cost: float = Setting(1.0, gt=0.0)
    """Own capital costs / those of the class."""
    strategy: Literal["cost_plus", "congestion"] = "congestion"
    """Bids cost plus a fixed margin, or a mark-up that grows with the own utilisation."""


_ARCHETYPES = (
    Archetype(tier=3, region=0, nodes=4, cost=1.0, strategy="congestion"),
    Archetype(tier=2, region=2, nodes=4, cost=0.95, strategy="congestion"),
    Archetype(tier=0, region=3, nodes=1, cost=0.9, strategy="cost_plus"),
    Archetype(tier=1, region=1, nodes=1, cost=1.0, strategy="congestion"),
    Archetype(tier=2, region=1, nodes=3, cost=1.05, strategy="cost_plus"),
    Archetype(tier=0, region=0, nodes=1, cost=1.1, strategy="congestion"),
    Archetype(tier=3, region=2, nodes=2, cost=1.05, strategy="cost_plus"),
    Archetype(tier=1, region=1, nodes=1, cost=1.0, strategy="congestion"),
    Archetype(tier=2, region=3, nodes=2, cost=0.9, strategy="congestion"),
    Archetype(tier=1, region=3, nodes=1, cost=0.9, strategy="cost_plus"),
    Archetype(tier=3, region=1, nodes=2, cost=0.95, strategy="congestion"),
    Archetype(tier=1, region=2, nodes=1, cost=1.05, strategy="cost_plus"),
    Archetype(tier=2, region=0, nodes=2, cost=1.0, strategy="congestion"),
    Archetype(tier=0, region=3, nodes=1, cost=0.95, strategy="congestion"),
    Archetype(tier=1, region=0, nodes=1, cost=1.05, strategy="congestion"),
    Archetype(tier=0, region=1, nodes=1, cost=1.15, strategy="cost_plus"),
)


class Supply(StrictModel):
    """Providers, their hardware and what goes wrong with it."""

    providers: int = Setting(16, ge=1, le=256)
    archetypes: tuple[Archetype, ...] = Setting(_ARCHETYPES, min_length=1)
    gpus_per_node: int = Setting(8, ge=1, le=64)
    tiers: tuple[Tier, ...] = Setting((
        Tier(kw_per_gpu=0.35, capital_usd_per_gpu_h=0.25, failure_days=6.0),
        Tier(kw_per_gpu=0.25, capital_usd_per_gpu_h=0.5, failure_days=12.0),
        Tier(kw_per_gpu=0.6, capital_usd_per_gpu_h=1.2, failure_days=20.0),
        Tier(kw_per_gpu=1.0, capital_usd_per_gpu_h=2.2, failure_days=20.0),
    ), min_length=TIERS, max_length=TIERS)  # fmt: skip
    cost_plus_margin: float = Setting(0.0, ge=0.0, le=2.0)
    congestion_markup: tuple[float, float] = (-0.5, 0.4)
    """Mark-up on capital costs at utilisation 0 and 1; in between with its square."""
    outside_share: float = Setting(0.7, ge=0.0, le=1.0)
    """What a GPU on offer would earn elsewhere / its capital costs."""
    opening_minutes: float = Setting(60.0, gt=0.0)
    """Time constant with which providers follow the GPUs that the operator wants on offer."""
    repair_h: float = Setting(2.0, gt=0.0)
    """Median of a log-normal time."""
    repair_sigma: float = Setting(1.0, ge=0.0, le=3.0)
    outages: bool = True
    checkpoint_h: float = Setting(4.0, gt=0.0)
    """Progress since the last of these is lost with a failed node."""
    stake_usd_per_gpu: float = Setting(200.0, ge=0.0)
    balance_usd_per_gpu: float = Setting(50.0, ge=0.0)
    """Providers' working capital at the start."""


class Electricity(StrictModel):
    """Prices and carbon by region: us-west, us-east, europe, east asia."""

    price_usd_per_kwh: tuple[float, ...] = Setting(
        (0.10, 0.08, 0.14, 0.11), min_length=REGIONS, max_length=REGIONS
    )
    evening_share: float = Setting(0.35, ge=0.0, lt=1.0)
    """How far the price swings around its mean over the local day."""
    carbon_kg_per_kwh: tuple[float, ...] = Setting(
        (0.25, 0.38, 0.28, 0.55), min_length=REGIONS, max_length=REGIONS
    )
    solar_share: float = Setting(0.3, ge=0.0, lt=1.0)
    """How far carbon intensity falls at local noon."""
    utc_offset_h: tuple[int, ...] = Setting((-8, -5, 1, 8), min_length=REGIONS, max_length=REGIONS)
    noise_sigma: float = Setting(0.2, ge=0.0, le=1.0)
    noise_persistence_per_h: float = Setting(0.9, ge=0.0, lt=1.0)


class Service(StrictModel):
    """What unserved orders cost."""

    sla_share: float = Setting(0.5, ge=0.0, le=5.0)
    """Loss of a tenant whose lease misses its deadline, as a share of the order's value."""
    credit_share: float = Setting(0.2, ge=0.0, le=1.0)
    """What the treasury pays back of that, as a share of the order's value."""
    expiry_share: float = Setting(1.0, ge=0.0, le=5.0)
    """Loss of a tenant whose admitted order never got a lease, as a share of its value."""
    rejection_share: float = Setting(0.1, ge=0.0, le=5.0)
    """Loss of a tenant who is turned away, as a share of the order's value."""


class Token(StrictModel):
    """The network's token, and the credits that are minted against it."""

    price_usd: float = Setting(1.0, gt=0.0)
    volatility_per_day: float = Setting(0.045, ge=0.0, le=0.5)
    jumps_per_day: float = Setting(0.15, ge=0.0, le=10.0)
    jump_mean: float = Setting(-0.04, ge=-1.0, le=1.0)
    """Of the logarithm of the price."""
    jump_sigma: float = Setting(0.05, ge=0.0, le=1.0)
    mint_spread: float = Setting(0.0025, ge=0.0, le=0.1)
    warn_ratio: float = Setting(0.95, gt=0.0)
    halt_ratio: float = Setting(0.90, gt=0.0)
    """Below this collateral ratio no lease begins."""
    outlier_share: float = Setting(0.015, gt=0.0, le=1.0)
    """A report that moved further waits for the next one to confirm it."""
    start_ratio: float = Setting(1.02, gt=0.0)
    emission_usd_per_gpu_day: float = Setting(1.0, ge=0.0)
    emission_work_share: float = Setting(0.8, ge=0.0, le=1.0)
    """Paid for work; the rest for being up at least half of the nodes."""
    treasury_usd: float = Setting(10_000.0, ge=0.0)


class Staking(StrictModel):
    """Proof of capacity."""

    proof_minutes: float = Setting(30.0, gt=0.0)
    window_proofs: int = Setting(48, ge=1, le=512)
    most_missed: int = Setting(8, ge=0, le=512)
    jail_minutes: float = Setting(240.0, ge=0.0)
    fault_fee_days: float = Setting(3.51, ge=0.0)
    """Days of reward lost for missed proofs where that is more than `slash_share` of the stake."""


class Operator(StrictModel):
    """What action 0 means; see docs/compute.md."""

    priority: tuple[float, ...] = Setting(
        (-0.5, 0.1, 0.53, 0.33), min_length=BANDS, max_length=BANDS
    )
    """Added to ln(bid / reference) in the queue's order, by band."""
    priority_scale: float = Setting(1.5, gt=0.0)
    ageing_per_h: float = Setting(0.0, ge=0.0, le=10_000.0)
    """What an hour of waiting adds in the queue's order; much: first come, first served."""
    admission: tuple[Annotated[float, Setting(ge=-5.0, le=5.0)], ...] = Setting(
        (-0.08, 0.0, -0.44, -0.52), min_length=TIERS, max_length=TIERS
    )
    """By GPU class: orders with a lower ln(bid / reference) are rejected where nothing waits ..."""
    admission_scale: float = Setting(4.0, gt=0.0)
    admission_rise: tuple[float, ...] = Setting(
        (1.7, 1.2, 2.3, 1.8), min_length=BANDS, max_length=BANDS
    )
    """... and this higher, by band, for each unit of crowding above `admission_knee`: GPUs at work
    or asked for / GPUs that work, of the order's class or better."""
    admission_knee: float = Setting(0.6, ge=0.0)
    reliability: float = Setting(0.81, gt=0.0)
    carbon: float = Setting(0.165, gt=0.0)
    fit: float = Setting(0.19, ge=0.0)
    """Weight of filling small holes first."""
    spread: float = Setting(0.14, ge=0.0, le=0.5)
    """On the asks of a class whose utilisation is at most `spread_idle` ..."""
    spread_scale: float = Setting(0.3, gt=0.0, le=0.5)
    spread_rise: float = Setting(0.246, ge=0.0, le=1.0)
    """... and this higher from a utilisation of `spread_full` on."""
    spread_idle: float = Setting(0.35, ge=0.0, le=1.0)
    spread_full: float = Setting(0.96, ge=0.0, le=1.0)
    reserve_ratio: float = Setting(1.0, gt=0.0)
    """Collateral ratio up to which the treasury tops up the vault."""
    reserve_scale: float = Setting(0.08, gt=0.0)
    standby: tuple[Annotated[float, Setting(ge=-1.0, le=1.0)], ...] = Setting(
        (-0.02, 0.04, 0.04, -0.05), min_length=TIERS, max_length=TIERS
    )
    """GPUs kept on offer beyond those at work and asked for / GPUs of the class, by class ..."""
    standby_demand: float = Setting(0.03, ge=0.0, le=1.0)
    """... and this more for the last hour's arrivals / usual ones."""
    standby_scale: float = Setting(0.8, gt=0.0, le=1.0)


class ComputeScenario(StrictModel):
    """A market for GPU time with its providers, tenants, token and rules."""

    domain: Literal["compute"] = "compute"
    name: str = "gpu_week"
    version: Literal[0] = 0
    episode_days: int = Setting(7, ge=1, le=364)
    step_minutes: float = Setting(15.0, gt=0.0, le=60.0)
    """A whole number of steps makes an hour."""
    market: bool = True
    """False: no prices, admission, stakes, jail, escrow or token; a plain queue."""
    job_slots: int = Setting(512, ge=16, le=16_384)
    """Rows of the job table; an order that finds it full is rejected."""
    reward_scale: float = Setting(0.0001, gt=0.0)
    """Rewards for learning are USD times this."""
    trace: str | None = None
    """CSV of orders that are replayed (see trace.py); usual arrivals, kinds and durations in
    `orders` are then read off it."""
    orders: Orders = Orders()
    supply: Supply = Supply()
    electricity: Electricity = Electricity()
    service: Service = Service()
    token: Token = Token()
    staking: Staking = Staking()
    operator: Operator = Operator()
    charter: Charter = Charter()
    dao_treasury_usd: int = Setting(100_000, ge=0, le=10**9)
    """What the DAO keeps beside the market's own treasury at the start of an episode, under a
    charter that is voted on: bonds are lost to it, attacks take from it."""

    @property
    def steps_per_hour(self) -> int:
        """Steps in an hour."""
        return round(60.0 / self.step_minutes)

    @property
    def steps_per_intensity(self) -> int:
        """Steps for which the intensity of arrivals keeps its value."""
        return round(self.orders.intensity_minutes / self.step_minutes)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if abs(self.steps_per_hour * self.step_minutes - 60.0) > 1e-9:
            raise ValueError(
                f"step_minutes: a whole number of steps an hour expected, got {self.step_minutes}"
            )
        steps = self.orders.intensity_minutes / self.step_minutes
        if steps < 1.0 or abs(self.steps_per_intensity - steps) > 1e-9:
            raise ValueError(
                "orders.intensity_minutes: a whole number of steps of "
                f"{self.step_minutes} minutes expected, got {self.orders.intensity_minutes}"
            )
        if self.trace is not None and self.orders.demand != 1.0:
            raise ValueError(
                f"orders.demand: 1 expected where a trace is replayed, got {self.orders.demand}"
            )
        if not self.operator.spread_idle < self.operator.spread_full:
            raise ValueError(
                f"operator.spread_full: above spread_idle = {self.operator.spread_idle} expected, "
                f"got {self.operator.spread_full}"
            )
        low, high = self.supply.congestion_markup
        if not -1.0 < low <= high:
            raise ValueError(f"congestion_markup: -1 < low <= high expected, got {low}, {high}")
        return self


assert len(KNOT_PROBABILITIES) == KNOTS and HOURS_PER_WEEK == 7 * 24
