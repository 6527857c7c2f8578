"""Each place's own money: what it would earn if the places of the network traded with each other.

A place pays for what is sent to it and for its freight (at the carriers' own cost; in mode
"carrier" what carriers and the spot market ask), its holding, its energy and its unmet
demand, and earns what it sends on or sells. Goods change hands when they leave, at transfer prices
(network.py) that give every place on the way an equal part of the margin, so that the payments
cancel and the places' money adds up to the network's reward.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.own_money import keep_own_money

from .bids import posted
from .layout import (
    B_PAID,
    C_TRANSFER_USD,
    F_BACKLOG_USD,
    H_VOLUME,
    I_BIDDING,
    I_GOODS,
    I_HORIZON,
    I_NODES,
    I_ORDER_RING,
    I_ROUTES,
    N_CUSTOMERS,
    N_SUPPLIER,
    O_MARGIN,
    Q_COST_USD,
    Q_OWED_USD,
    R_DESTINATION,
    R_MODE,
    R_ORIGIN,
    S_BACKLOG,
    S_FLOW,
    S_NODE_CLOSING_USD,
    S_NODE_EPISODE_USD,
    S_NODE_STEP_USD,
    S_NODE_USD,
    S_OWED,
    S_STEP,
    V_ENERGY_USD,
)
from .settle import add_closing, add_holding
from .tables import cell_value, good_value, mode_value, node_at, node_value, route_at, route_value


@inlined_function
def settle_nodes(lane: int, pf: Float, pi: Int, sf: Float, si: Int) -> None:
    """Add to what customers paid (`serve` has written it) all else that a day cost each place."""
    money = pi[S_NODE_STEP_USD]
    for n in range(pi[I_NODES]):
        if node_at(pi, n, N_SUPPLIER) == 1:
            sf[lane, money + n] = 0.0
            continue
        usd = sf[lane, money + n] if node_at(pi, n, N_CUSTOMERS) >= 0 else 0.0
        held, closing = 0.0, 0.0
        for g in range(pi[I_GOODS]):
            held = add_holding(held, lane, n, g, pf, pi, sf)
            closing = add_closing(closing, lane, n, g, pf, pi, sf)
            usd -= pf[F_BACKLOG_USD] * sf[lane, pi[S_BACKLOG] + n * pi[I_GOODS] + g]
        last = pi[S_NODE_CLOSING_USD] + n
        sf[lane, money + n] = usd - held + (closing - sf[lane, last])
        sf[lane, last] = closing
    _settle_trade(lane, pf, pi, sf)
    over = si[lane, pi[S_STEP]] + 1 >= pi[I_HORIZON]
    keep_own_money(
        lane, pi[I_NODES], money, pi[S_NODE_USD], pi[S_NODE_EPISODE_USD], over, sf
    )  # fmt: skip


@inlined_function
def _settle_trade(lane: int, pf: Float, pi: Int, sf: Float) -> None:
    """What was sent: its price from the receiver to the sender, freight and energy to the outside.

    In mode "carrier" freight goes to carriers and the spot market. What a place owes costs itself;
    what a supplier owes, whoever waits for it.
    """
    n_goods, money = pi[I_GOODS], pi[S_NODE_STEP_USD]
    for r in range(pi[I_ROUTES]):
        origin, destination = route_at(pi, r, R_ORIGIN), route_at(pi, r, R_DESTINATION)
        supplier = node_at(pi, origin, N_SUPPLIER) == 1
        volume, price, owed = 0.0, 0.0, 0.0
        for g in range(n_goods):
            units = sf[lane, pi[S_FLOW] + r * n_goods + g]
            if units != 0.0:
                volume += units * good_value(pf, pi, g, H_VOLUME)
                price += units * cell_value(pf, pi, C_TRANSFER_USD, origin, g)
            if pi[I_ORDER_RING] > 0:
                owed += route_value(pf, pi, r, Q_OWED_USD) * sf[lane, pi[S_OWED] + r * n_goods + g]
        freight = volume * route_value(pf, pi, r, Q_COST_USD)
        if pi[I_BIDDING] == 1:
            mode = route_at(pi, r, R_MODE)
            freight *= 1.0 + mode_value(pf, pi, mode, O_MARGIN)
            freight *= posted(lane, B_PAID, mode, pi, sf)
        sf[lane, money + destination] -= price + freight
        energy = volume * node_value(pf, pi, origin, V_ENERGY_USD)
        if supplier:
            sf[lane, money + destination] -= energy + owed
        else:
            sf[lane, money + origin] += price - energy - owed
