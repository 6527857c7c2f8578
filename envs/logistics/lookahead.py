"""How order-up-to levels follow what is known ahead of demand: action mode "anticipating".

There action 0 is not the scenario's level S of a place but S (1 + lean), where the lean of a tier
and good, a share of the level, is `base` + `season` x (mean seasonal factor of the days ahead - 1)
+ `promotions` x (share of these days that is promoted) + `level` x (mean observed log level of
demand), held within `multiplier_span`. The days ahead of a tier are those that its orders have to
last for. Promotions and level count on the informed track alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int

from .layout import (
    F_ANTICIPATED_BASE,
    F_ANTICIPATED_LEVEL,
    F_ANTICIPATED_PROMOTIONS,
    F_ANTICIPATED_SEASON,
    F_MULTIPLIER_SPAN,
    F_PROMOTION_DAYS,
    I_CUSTOMERS,
    I_GOODS,
    I_HAS_LEVELS,
    I_HAS_PROMOTIONS,
    I_INFORMED,
    I_LEVEL_ROWS,
    S_FIRST_DAY,
    S_LEVEL_SEEN,
    S_PROMOTION_START,
    S_STEP,
    YEAR_DAYS,
)
from .tables import days_ahead, season_ahead

if TYPE_CHECKING:
    from .network import Network


@inlined_function
def follow_demand(lane: int, pf: Float, pi: Int, sf: Float, si: Int, clean: Float) -> None:
    """Levels about the anticipated ones into levels about the scenario's, in place.

    An action a about S (1 + lean) orders up to S (1 + lean) (1 + span a).
    """
    span, n_goods = pf[F_MULTIPLIER_SPAN], pi[I_GOODS]
    date = si[lane, pi[S_FIRST_DAY]] + si[lane, pi[S_STEP]]
    length = int(pf[F_PROMOTION_DAYS])
    common = pf[F_ANTICIPATED_BASE]
    if pi[I_INFORMED] == 1 and pi[I_HAS_LEVELS] == 1:
        seen = 0.0
        for c in range(pi[I_CUSTOMERS]):
            seen += sf[lane, pi[S_LEVEL_SEEN] + c]
        common += pf[F_ANTICIPATED_LEVEL] * seen / pi[I_CUSTOMERS]
    promotions = pi[I_INFORMED] == 1 and pi[I_HAS_PROMOTIONS] == 1
    for t in range(pi[I_LEVEL_ROWS]):
        days = days_ahead(pi, t)
        for g in range(n_goods):
            i = t * n_goods + g
            season = season_ahead(pf, pi, date % YEAR_DAYS, i)
            lean = common + pf[F_ANTICIPATED_SEASON] * (season - 1.0)
            if promotions:
                promoted = 0
                for b in range(2):
                    start = si[lane, pi[S_PROMOTION_START] + b * n_goods + g]
                    if start >= 0:
                        promoted += max(min(start + length, date + days) - max(start, date), 0)
                lean += pf[F_ANTICIPATED_PROMOTIONS] * promoted / days
            lean = min(max(lean, -span), span)
            clean[i] += lean / span * (1.0 + span * clean[i])


def tier_days(network: Network) -> list[int]:
    """Days that an order of each tier has to last for: its longest echelon lead, and one."""
    s = network.scenario
    return [
        1 + int(np.ceil(max(
            network.echelon_lead_days[n] for n, node in enumerate(s.nodes)
            if not node.is_supplier and node.tier == tier
        )))
        for tier in s.tiers
    ]  # fmt: skip


def seasons_ahead(calendar: Float, tiers: list[int]) -> Float:
    """(365, tiers, goods) mean seasonal factor of each tier's days ahead, by day of the year.

    Args:
        calendar: (goods, 365) seasonal factors.
        tiers: of `tier_days`.
    """
    first = np.arange(YEAR_DAYS)[:, None]
    means = [calendar[:, (first + np.arange(days)) % YEAR_DAYS].mean(axis=2).T for days in tiers]
    return np.ascontiguousarray(np.stack(means, axis=1))
