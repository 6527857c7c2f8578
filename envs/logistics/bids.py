"""What carriers post in mode "carrier": freight, capacity on offer and the stake they aim at.

A carrier of whom nothing is asked (0, 0, 0) is the one of the other modes: nominal freight, all of
its capacity, its nominal stake. What is posted in a step holds from the next day's orders on.

Whoever asks more than nominal loses shipments to the spot market: hauliers outside of the DAO, who
go the same way in the same time. Each shipment finds one quote there, Pareto distributed from
nominal freight upwards with shape e, and takes it where it is below the carrier's price p. So

    p**-e of the shipments stay with the carrier, and
    the others pay e / (e - 1) (1 - p**(1 - e)) in all, as a share of the nominal freight of all.

What a shipper pays on average, both parts together, is what an order is split by: a mode weighs
(paid / nominal)**-s beside its usual share, s being the elasticity of the mode split.

What only this mode runs is compiled by itself, so that the others' steps stay short.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.mathematics import power
from daogym.envs.dao.bids import ask_at, offer_at, stake_at

from .layout import (
    B_ATTRACTION,
    B_CARRIED,
    B_OFFERED,
    B_PAID,
    B_PRICE,
    B_SPOT,
    B_STAKE,
    CALENDAR_FLEETS,
    F_MODE_ELASTICITY,
    F_SPOT_ELASTICITY,
    H_VOLUME,
    I_BIDDING,
    I_FLEET_PLACES,
    I_GOODS,
    I_KNOBS,
    I_LEVEL_ROWS,
    I_MODES,
    O_MARGIN,
    O_STAKE_USD,
    Q_CAPACITY,
    Q_LARGEST_ORDER,
    R_FLEET,
    R_MODE,
    S_POSTED,
    S_WORK,
    UNLIMITED,
    W_LATE_VOLUME,
    W_SPOT_USD,
    W_VOLUME,
)
from .tables import calendar_value, good_value, mode_value, route_at, route_value


@inlined_function
def posted(lane: int, row: int, mode: int, pi: Int, sf: Float) -> float:
    """A number that a carrier has posted, rows B_*; of the mode "carrier" only."""
    return float(sf[lane, pi[S_POSTED] + row * pi[I_MODES] + mode])


@kernel_function
def post_bids(lane: int, clean: Float, pf: Float, pi: Int, sf: Float) -> None:
    """Post what carriers set in this step: behind the places' numbers, by kind and mode.

    Freight of all modes, capacity of all modes, stakes of those that have one.
    """
    n = pi[I_MODES]
    price = pi[I_LEVEL_ROWS] * pi[I_GOODS] + pi[I_KNOBS] + pi[I_FLEET_PLACES]
    stake = price + 2 * n
    for m in range(n):
        staked = mode_value(pf, pi, m, O_STAKE_USD) > 0.0
        _post(
            lane, m, clean[price + m], clean[price + n + m], clean[stake] if staked else 0.0,
            pf, pi, sf,
        )  # fmt: skip
        if staked:
            stake += 1


@kernel_function
def post_nothing(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    """At the start of an episode all carriers are as usual."""
    for m in range(pi[I_MODES]):
        _post(lane, m, 0.0, 0.0, 0.0, pf, pi, sf)


@inlined_function
def _post(
    lane: int, mode: int, price_bid: float, offer: float, refill: float, pf: Float, pi: Int,
    sf: Float,
) -> None:  # fmt: skip
    own_cost = 1.0 / (1.0 + mode_value(pf, pi, mode, O_MARGIN))
    price = ask_at(1.0, own_cost, price_bid)
    carried, spot, attraction = 1.0, 0.0, 1.0
    elasticity = pf[F_SPOT_ELASTICITY]
    if price > 1.0 and elasticity > 0.0:
        carried = power(price, -elasticity)
        spot = elasticity / (elasticity - 1.0) * (1.0 - price * carried)
    paid = price * carried + spot
    if paid != 1.0:
        attraction = power(paid, -pf[F_MODE_ELASTICITY])
    first, n = pi[S_POSTED] + mode, pi[I_MODES]
    sf[lane, first + B_PRICE * n] = price
    sf[lane, first + B_OFFERED * n] = offer_at(1.0, 1.0, offer)
    sf[lane, first + B_CARRIED * n] = carried
    sf[lane, first + B_SPOT * n] = spot
    sf[lane, first + B_PAID * n] = paid
    sf[lane, first + B_ATTRACTION * n] = attraction
    sf[lane, first + B_STAKE * n] = stake_at(1.0, refill)


@inlined_function
def carried_share(lane: int, mode: int, pi: Int, sf: Float) -> float:
    """Share of a mode's shipments that its carrier takes, at its risk; the spot market the rest."""
    if pi[I_BIDDING] == 0:
        return 1.0
    return posted(lane, B_CARRIED, mode, pi, sf)


@inlined_function
def open_share(lane: int, mode: int, pi: Int, sf: Float) -> float:
    """Share of a mode's capacity that shipments may take up; of the mode "carrier" only.

    What the carrier offers is used by its own part of them alone, so less of the capacity is closed
    where the spot market has the rest; a carrier that offers nothing closes the mode.
    """
    offered = posted(lane, B_OFFERED, mode, pi, sf)
    carried = posted(lane, B_CARRIED, mode, pi, sf)
    return 1.0 if offered >= carried else offered / carried


@inlined_function
def open_volume(lane: int, route: int, pf: Float, pi: Int, sf: Float) -> float:
    """Volume a day that a route takes; fleets are limited by `open_hours` instead.

    A route without a capacity, of which a part is offered, takes that part of the largest order.
    """
    if pi[I_BIDDING] == 0:
        return route_value(pf, pi, route, Q_CAPACITY)
    return float(_offered_volume(lane, route, pf, pi, sf))


@kernel_function
def _offered_volume(lane: int, route: int, pf: Float, pi: Int, sf: Float) -> float:
    capacity = route_value(pf, pi, route, Q_CAPACITY)
    share = open_share(lane, route_at(pi, route, R_MODE), pi, sf)
    if share >= 1.0:
        return capacity
    if capacity >= UNLIMITED:
        if route_at(pi, route, R_FLEET) >= 0:
            return capacity
        capacity = 0.0
        for g in range(pi[I_GOODS]):
            capacity += route_value(pf, pi, route, Q_LARGEST_ORDER) * good_value(
                pf, pi, g, H_VOLUME
            )
    return capacity * share


@inlined_function
def open_hours(lane: int, route: int, pf: Float, pi: Int, sf: Float) -> float:
    """Hours a day of the fleet that carries a route."""
    fleet = route_at(pi, route, R_FLEET)
    hours = calendar_value(pf, pi, pi[I_GOODS], CALENDAR_FLEETS + fleet)
    if pi[I_BIDDING] == 0:
        return hours
    return float(hours * open_share(lane, route_at(pi, route, R_MODE), pi, sf))


@kernel_function
def share_shipment(
    lane: int, mode: int, volume: float, late: bool, cost: float, fee: float, pi: Int, sf: Float
) -> tuple[float, float, float, float]:
    """Divide a shipment between its carrier and the spot market, and note who carries what.

    Args:
        cost, fee: USD, the carrier's own cost and nominal freight of all of it.

    Returns:
        The carrier's share of it, its own cost, what it is paid, and what the spot market is, USD.
    """
    share = posted(lane, B_CARRIED, mode, pi, sf)
    spot = fee * posted(lane, B_SPOT, mode, pi, sf)
    work, n = pi[S_WORK] + mode, pi[I_MODES]
    sf[lane, work + W_SPOT_USD * n] += spot
    sf[lane, work + W_VOLUME * n] += volume * share
    if late:
        sf[lane, work + W_LATE_VOLUME * n] += volume * share
    return share, cost * share, fee * (share * posted(lane, B_PRICE, mode, pi, sf)), spot
