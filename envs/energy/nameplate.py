"""The most that currents, losses and voltages can be, from nameplates, loads and the voltage floor.

Everything here holds for any action, in every step that is not an outage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daogym.envs.core.layout import Float

from .foresight import World
from .request import MAX_REACTIVE_SHARE

_ROUNDS = 12


@dataclass(frozen=True)
class Nameplate:
    """Upper limits of each quarter-hour, (Q,).

    Attributes:
        loss_kw: series and shunt losses of the whole feeder.
        apparent_kva: |S| that the slack bus delivers.
        mismatch_kw: |exchange - consumption - losses| that the solver's tolerance leaves.
    """

    loss_kw: Float
    apparent_kva: Float
    mismatch_kw: Float


@dataclass(frozen=True)
class _Connected:
    """What can happen at each bus, (Q, n_bus) per unit, >= 0."""

    consumed: Float
    injected: Float
    reactive: Float

    @classmethod
    def at(cls, feeder: Any, world: World) -> _Connected:
        """Loads from 0 to their value, batteries and chargers at their ratings, PV at its sun.

        An inverter gives |Q| <= 0.44 S, and nothing where the sun does not shine.
        """
        consumed = np.maximum(world.load_kw, 0.0)
        injected = np.maximum(-world.load_kw, 0.0)
        reactive = np.abs(world.load_kvar)
        rating = np.minimum(feeder.battery_p_kw, feeder.battery_s_kva)
        for bus, kw in zip(feeder.battery_bus, rating, strict=True):
            consumed[:, bus] += kw
            injected[:, bus] += kw
        for bus, kw in zip(feeder.ev_bus, feeder.ev_p_kw, strict=True):
            consumed[:, bus] += kw
        for j, bus in enumerate(feeder.pv_bus):
            injected[:, bus] += world.pv_kw[:, j]
            shines = world.pv_kw[:, j] > 0.0
            reactive[:, bus] += np.where(shines, MAX_REACTIVE_SHARE * feeder.pv_s_kva[j], 0.0)
        base = feeder.s_base_kva
        return cls(consumed / base, injected / base, reactive / base)


def nameplate_limits(domain: Any, world: World, tolerance_pu: float = 1e-10) -> Nameplate:
    """Limits of every current j and voltage v, made tighter round by round.

    The first limits solve v <= v_parent / tap + |z| j and j <= s / v_floor + |y| v + sum j_child /
    tap: the triangle inequality on the power flow's equations (powerflow.py), with s the apparent
    power of all that is connected and v_floor the voltage below which a step is an outage. As
    u <= B u + a with B >= 0 of spectral radius below 1, they mean u <= (I - B)^-1 a.

    From limits that hold follow tighter ones: v_k >= v_parent / tap - |z| j, and v_k j_k is the
    apparent power into bus k, whose active part is at most the larger of all consumption and losses
    (r j^2, g v^2) and all injection beyond it, and whose reactive part is at most the sum of all
    absolute values beyond it, x j^2 and |b| v^2 included.

    Raises:
        ValueError: the spectral radius is 1 or more (a feeder far beyond its nameplate).
    """
    feeder = domain.feeder
    connected = _Connected.at(feeder, world)
    floor = domain.scenario.limits.voltage_floor_pu
    high, current = _first_limits(feeder, connected, floor)
    loss = active = reactive = np.zeros(len(high))
    for _ in range(_ROUNDS):
        low = _least_voltages(feeder, current, floor)
        active, reactive, loss = _flows(feeder, connected, high, current)
        tighter = np.hypot(active, reactive) / low
        tighter[:, 0] = np.hypot(active[:, 0], reactive[:, 0]) / feeder.slack_voltage_pu
        current = np.minimum(current, tighter)
        high = np.minimum(high, _highest_voltages(feeder, current))
    _, _, loss = _flows(feeder, connected, high, current)
    base = feeder.s_base_kva
    return Nameplate(
        loss * base,
        feeder.slack_voltage_pu * current[:, 0] * base,
        np.sqrt(2.0) * tolerance_pu * current[:, 1:].sum(axis=1) * base,
    )


def _first_limits(feeder: Any, connected: _Connected, floor: float) -> tuple[Float, Float]:
    """Voltages and currents (row 0: all that the slack delivers), (Q, n_bus) each."""
    n = feeder.n_bus
    z = np.hypot(feeder.r_pu, feeder.x_pu)
    y = np.hypot(feeder.shunt_g_pu, feeder.shunt_b_pu)
    # Unknowns: voltages of buses 0 to n - 1, then currents of buses 0 to n - 1.
    b = np.zeros((2 * n, 2 * n))
    for k in range(n):
        b[n + k, k] += y[k]
        if k > 0:
            up = feeder.parent[k]
            b[k, up] += 1.0 / feeder.tap[k]
            b[k, n + k] += z[k]
            b[n + up, n + k] += 1.0 / feeder.tap[k]
    radius = float(np.abs(np.linalg.eigvals(b)).max())
    if radius >= 1.0:
        raise ValueError(
            f"feeder {feeder.name!r}: no limit of its currents follows from its nameplates "
            f"(spectral radius {radius:.3f}, below 1 is expected)"
        )
    apparent = np.hypot(connected.consumed + connected.injected, connected.reactive)
    a = np.zeros((len(apparent), 2 * n))
    a[:, 0] = feeder.slack_voltage_pu
    a[:, n:] = apparent / floor
    u: Float = np.asarray(np.linalg.solve(np.eye(2 * n) - b, a.T).T, dtype=np.float64)
    return u[:, :n], u[:, n:]


def _flows(
    feeder: Any, connected: _Connected, high: Float, current: Float
) -> tuple[Float, Float, Float]:
    """|P| and |Q| into each bus, (Q, n_bus), and all losses, (Q,), at most; per unit."""
    square = high * high
    series = current * current
    consumed = connected.consumed + np.maximum(feeder.shunt_g_pu, 0.0) * square
    injected = connected.injected + np.maximum(-feeder.shunt_g_pu, 0.0) * square
    reactive = connected.reactive + np.abs(feeder.shunt_b_pu) * square
    for k in range(feeder.n_bus - 1, 0, -1):
        up = feeder.parent[k]
        consumed[:, up] += consumed[:, k] + feeder.r_pu[k] * series[:, k]
        injected[:, up] += injected[:, k]
        reactive[:, up] += reactive[:, k] + abs(feeder.x_pu[k]) * series[:, k]
    # Row 0 of `current` is no branch, and r is 0 there.
    loss = (feeder.r_pu * series).sum(axis=1)
    loss += (np.maximum(feeder.shunt_g_pu, 0.0) * square).sum(axis=1)
    return np.maximum(consumed, injected), reactive, loss


def _least_voltages(feeder: Any, current: Float, floor: float) -> Float:
    low: Float = np.full(current.shape, feeder.slack_voltage_pu)
    for k in range(1, feeder.n_bus):
        z = np.hypot(feeder.r_pu[k], feeder.x_pu[k])
        low[:, k] = np.maximum(low[:, feeder.parent[k]] / feeder.tap[k] - z * current[:, k], floor)
    return low


def _highest_voltages(feeder: Any, current: Float) -> Float:
    high: Float = np.full(current.shape, feeder.slack_voltage_pu)
    for k in range(1, feeder.n_bus):
        z = np.hypot(feeder.r_pu[k], feeder.x_pu[k])
        high[:, k] = high[:, feeder.parent[k]] / feeder.tap[k] + z * current[:, k]
    return high
