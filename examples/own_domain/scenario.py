"""Settings of the warehouse, each with its unit."""

from pydantic import Field as Setting

from daogym.envs.core.strict import StrictModel


class WarehouseScenario(StrictModel):
    """One good, ordered daily; deliveries take three days; the DAO caps each order."""

    name: str = "warehouse"
    horizon_days: int = Setting(56, ge=1, le=3650)
    mean_demand_units: float = Setting(20.0, gt=0.0, le=1000.0)
    """Of a Poisson law, times the weekday's factor."""
    weekday_factors: tuple[float, ...] = Setting((0.8, 0.8, 0.9, 1.0, 1.4, 1.6, 0.5), min_length=7,
                                                 max_length=7)  # fmt: skip
    price_eur: float = Setting(10.0, gt=0.0)
    purchase_eur: float = Setting(6.0, gt=0.0)
    holding_eur_per_day: float = Setting(0.1, ge=0.0)
    """For each unit in stock at the end of a day."""
    largest_order_units: float = Setting(60.0, gt=0.0)
    """What the supplier's truck holds: the end of the action's range."""
    order_cap_units: float = Setting(45.0, gt=0.0)
    """What the DAO's charter allows: larger orders are clipped and counted."""
    reward_scale: float = Setting(0.02, gt=0.0)
    """Rewards for learning are EUR times this."""
