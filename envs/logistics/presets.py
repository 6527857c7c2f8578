"""Instances with known optima, as parameter sets of the one kernel.

A period is a step. Orders are placed before demand; a lead of L periods means that what is ordered
now serves the demand L periods later, so 0 is in time for today's. In the literature's
continuous-time notation a stage's last lead is one period longer (see docs/logistics.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

Settings = dict[str, Any]

LOST_SALES_PENALTIES = (4, 9, 19, 39)
DUAL_PREMIUMS = (5, 10, 20)


def serial(
    leads: Sequence[int], holding_usd: Sequence[float], backlog_usd: float, law: Mapping[str, Any],
    mean: float, levels: Sequence[float],
) -> Settings:  # fmt: skip
    """A serial system: stages upstream to downstream, the last one with customers.

    Goods on their way to a stage are charged at the holding cost of the stage before it.

    Args:
        leads: periods to each stage.
        holding_usd: of each stage, a unit and period.
        levels: optimal echelon order-up-to levels.
    """
    n = len(leads)
    names = [f"stage_{n - i}" for i in range(n)]
    nodes: list[Settings] = [{"name": "supplier", "is_supplier": True, "x_km": -1.0}]
    for i, name in enumerate(names):
        nodes.append({
            "name": name, "tier": name, "x_km": float(i), "holding_usd_per_day": holding_usd[i],
            "transit_usd_per_day": holding_usd[i - 1] if i else 0.0,
            "base_stock_units": [levels[i]],
            "mean_demand": [mean] if i == n - 1 else [],
        })  # fmt: skip
    before = ["supplier", *names[:-1]]
    return {
        "horizon_days": 1000,
        "varied_start": False,
        "reward_scale": 0.02,
        "goods": [{"name": "good"}],
        "modes": [{"name": "lead_0", "lead_days": 0}],
        "nodes": nodes,
        "lanes": [
            {"origin": a, "destination": b, "modes": ["lead_0"], "lead_days": lead, "km": 0.0,
             "largest_order_units": 4.0 * mean}
            for a, b, lead in zip(before, names, leads, strict=True)
        ],
        "demand": {**law, "backlog_usd_per_day": backlog_usd},
        "actions": {"multiplier_span": 0.5},
    }  # fmt: skip


def newsvendor() -> Settings:
    """One stage without a lead (Snyder and Shen, example 4.3): S* = 56.604."""
    return serial([0], [0.18], 0.70, {"law": "normal", "deviation_units": 8.0}, 50.0, [56.604])


def lost_sales(law: str, lead: int, penalty: float) -> Settings:
    """Zipkin's lost-sales system: mean demand 5, holding 1; orders of 0 to 15 units."""
    level = 5.0 * (lead + 1)
    return {
        "horizon_days": 365,
        "action_mode": "orders",
        "reward_scale": 0.1,
        "goods": [{"name": "good"}],
        "modes": [{"name": "truck", "lead_days": lead}],
        "nodes": [
            {"name": "supplier", "is_supplier": True, "x_km": -1.0},
            {"name": "store", "holding_usd_per_day": 1.0, "mean_demand": [5.0],
             "base_stock_units": [level], "initial_units": [10.0]},
        ],
        "lanes": [{"origin": "supplier", "destination": "store", "modes": ["truck"], "km": 0.0,
                   "largest_order_units": 15.0 if law == "poisson" else 25.0}],
        "demand": {"law": law, "backlogged_share": 0.0, "lost_usd": float(penalty)},
        "actions": {"whole_orders": True},
    }  # fmt: skip


def dual_sourcing(regular_lead: int, premium: float) -> Settings:
    """Demand uniform on 0 to 4, holding 5, backlog 495; a regular and an expedited source."""
    return {
        "horizon_days": 365,
        "action_mode": "orders",
        "reward_scale": 0.02,
        "goods": [{"name": "good"}],
        "modes": [{"name": "regular", "lead_days": regular_lead},
                  {"name": "expedited", "lead_days": 0, "freight_usd": float(premium)}],
        "nodes": [
            {"name": "supplier", "is_supplier": True, "x_km": -1.0},
            {"name": "store", "holding_usd_per_day": 5.0, "mean_demand": [2.0],
             "base_stock_units": [2.0 * regular_lead + 4.0], "initial_units": [4.0]},
        ],
        "lanes": [{"origin": "supplier", "destination": "store", "km": 0.0,
                   "modes": ["regular", "expedited"], "largest_order_units": 8.0}],
        "demand": {"law": "uniform", "backlog_usd_per_day": 495.0},
        "actions": {"whole_orders": True},
    }  # fmt: skip


def beer_game() -> Settings:
    """Sterman's beer distribution game: 36 weeks, demand 4 and from week 5 on 8.

    Orders take a week to the next stage, goods two weeks; holding 0.50, backlog 1.00 a week, at
    every stage. The factory's production takes a week of order and two of brewing.
    """
    names = ["factory", "distributor", "wholesaler", "retailer"]
    nodes: list[Settings] = [{"name": "brewery", "is_supplier": True, "x_km": -1.0}]
    for i, name in enumerate(names):
        nodes.append({
            "name": name, "tier": name, "x_km": float(i), "holding_usd_per_day": 0.5,
            "initial_units": [12.0], "mean_demand": [8.0] if name == "retailer" else [],
            "base_stock_units": [28.0 * (4 - i)],
        })  # fmt: skip
    before = ["brewery", *names[:-1]]
    return {
        "horizon_days": 36,
        "varied_start": False,
        "action_mode": "orders",
        "reward_scale": 0.01,
        "goods": [{"name": "beer"}],
        "modes": [{"name": "truck", "lead_days": 2}],
        "nodes": nodes,
        "lanes": [
            {"origin": a, "destination": b, "modes": ["truck"], "km": 0.0, "order_days": 1,
             "initial_units_per_day": 4.0, "keeps_orders": True,
             "owed_usd_per_day": 0.0 if a == "brewery" else 1.0, "largest_order_units": 30.0}
            for a, b in zip(before, names, strict=True)
        ],
        "demand": {"law": "step", "step_day": 4, "backlog_usd_per_day": 1.0},
        "actions": {"whole_orders": True},
    }  # fmt: skip


def _normal(deviation: float) -> Settings:
    return {"law": "normal", "deviation_units": deviation}


def shang_song(levels: Sequence[float], costly: bool, penalty: float) -> Settings:
    """Shang and Song (2003), table 1: four stages, Poisson 16, leads .25; periods of .25."""
    echelon = [0.25, 2.5, 2.5, 0.25] if costly else [0.25] * 4
    local = [sum(echelon[4 - k :]) for k in range(1, 5)]
    return serial([1, 1, 1, 0], local, penalty, {"law": "poisson"}, 4.0, levels)


@cache
def presets() -> dict[str, Settings]:
    """Settings of every preset, by name."""
    root_8 = 8.0 / 2.0**0.5
    found = {
        "newsvendor": newsvendor(),
        "serial_3": serial([2, 1, 0], [2.0, 4.0, 7.0], 37.12, _normal(1.0), 5.0,
                           [22.72, 12.028, 6.484]),
        "serial_2": serial([1, 0], [1.0, 2.0], 15.0, _normal(15.0), 100.0, [228.49, 123.94]),
        "serial_5": serial([1, 1, 1, 1, 0], [1.0, 2.0, 3.0, 5.0, 7.0], 24.0, _normal(root_8), 32.0,
                           [174.43, 142.00, 109.26, 74.34, 40.67]),
        "serial_2_long": serial([3, 7], [2.0, 7.0], 24.0, _normal(4.0), 20.0, [232.11, 171.06]),
        "shang_song_1": shang_song([22, 18, 13, 8], False, 9.0),
        "shang_song_9": shang_song([19, 13, 10, 9], True, 9.0),
        "shang_song_17": shang_song([27, 22, 17, 11], False, 99.0),
        "shang_song_25": shang_song([26, 18, 14, 11], True, 99.0),
        "beer_game": beer_game(),
    }  # fmt: skip
    for law, leads in (("poisson", (1, 2, 3, 4)), ("geometric", (1, 2, 3))):
        for lead in leads:
            for penalty in LOST_SALES_PENALTIES:
                name = f"lost_sales_{law}_l{lead}_p{penalty}"
                found[name] = lost_sales(law, lead, penalty)
    for lead in (2, 3, 4):
        for premium in DUAL_PREMIUMS:
            found[f"dual_sourcing_l{lead}_c{premium}"] = dual_sourcing(lead, premium)
    # Costs without revenue: a purse that lasts, so that no cost of an empty one is reported.
    purse = {"treasury": {"initial_usd": 1e7}}
    return {name: {"name": name, **purse, **settings} for name, settings in found.items()}
