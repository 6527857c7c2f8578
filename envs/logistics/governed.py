"""What the DAO governs in a supply network."""

from __future__ import annotations

from daogym.envs.dao.charter import GovernedParameter

GOVERNED = (
    "freight_tariff_share",
    "safety_stock_days",
    "stake_cover_share",
    "late_slash_share",
    "carbon_cap_kg_per_day",
    "drone_quota_share",
    "purchase_allowance_usd_per_week",
    "service_gap_share",
)
(
    G_FREIGHT_TARIFF_SHARE, G_SAFETY_STOCK_DAYS, G_STAKE_COVER_SHARE, G_LATE_SLASH_SHARE,
    G_CARBON_CAP_KG_PER_DAY, G_DRONE_QUOTA_SHARE, G_PURCHASE_ALLOWANCE_USD_PER_WEEK,
    G_SERVICE_GAP_SHARE,
) = range(8)  # fmt: skip
N_GOVERNED = len(GOVERNED)

GOVERNED_PARAMETERS = (
    GovernedParameter("freight_tariff_share", "1", 0.0, 0.2, 0.02, "price",
                      "what the DAO takes of freight that is paid out to a carrier",
                      0.05, 28.0),
    GovernedParameter("safety_stock_days", "day", 0.0, 6.0, 0.0, "clip",
                      "days of mean demand that an order-up-to level of a place with customers "
                      "holds beyond its lead time; 0: no covenant",
                      1.0, 28.0, "hold more stock near customers"),
    GovernedParameter("stake_cover_share", "1", 0.0, 5.0, 1.0, "clip",
                      "least stake of a carrier / value of what it carries; 0: none is asked for",
                      0.5, 28.0, "spread shipments over carriers and days"),
    GovernedParameter("late_slash_share", "1", 0.0, 1.0, 0.5, "price",
                      "slashed from a carrier's stake for a late delivery / the delivery's freight",
                      0.25, 28.0),
    GovernedParameter("carbon_cap_kg_per_day", "kg/day", 0.0, 1e9, 1e9, "cost",
                      "carbon of a day's shipments",
                      2000.0, 28.0, "send more by rail before a lower cap"),
    GovernedParameter("drone_quota_share", "1", 0.0, 1.0, 0.05, "clip",
                      "largest share of a day's volume to customers' places sent by rationed modes",
                      0.02, 28.0, "keep more stock near customers when drones are rationed"),
    GovernedParameter("purchase_allowance_usd_per_week", "USD/week", 0.0, 1e12, 1e12, "clip",
                      "spending at outside suppliers in a week",
                      5000.0, 28.0, "buy ahead of a smaller allowance"),
    GovernedParameter("service_gap_share", "1", 0.0, 1.0, 0.05, "cost",
                      "largest difference between regions' fill rates",
                      0.02, 28.0, "serve the worst-off region first"),
)  # fmt: skip
assert tuple(p.name for p in GOVERNED_PARAMETERS) == GOVERNED
