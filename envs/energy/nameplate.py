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


def nameplate_limits(domain: Any, world: World, tolerance_pu: float = 1e-10) -> Nameplate:
    """Limits from v <= v_parent / tap + |z| j and j <= s / v_floor + |y| v + sum j_child / tap.

    Both are the triangle inequality on the power flow's own equations (powerflow.py), with s the
    apparent power of everything connected to a bus at its nameplate (or its load and sunshine of
    that quarter-hour) and v_floor the voltage below which a step is an outage. They are one
    linear system u <= B u + a with B >= 0; if B's spectral radius is below 1, then
    (I - B)^-1 >= 0 and so u <= (I - B)^-1 a. An injection changes nothing: absolute values are
    taken everywhere.

    Raises:
        ValueError: the spectral radius is 1 or more (a feeder far beyond its nameplate).
    """
    feeder = domain.feeder
    parent = np.asarray(feeder.parent)
    n = len(parent)
    apparent = np.hypot(world.load_kw, world.load_kvar)
    # Battery and charger at their ratings; PV at P <= available and |Q| <= 0.44 S where the sun
    # shines (an inverter without sun gives no reactive power).
    for bus, kw, kva in zip(
        feeder.battery_bus, feeder.battery_p_kw, feeder.battery_s_kva, strict=True
    ):
        apparent[:, bus] += min(kw, kva)
    for bus, kw in zip(feeder.ev_bus, feeder.ev_p_kw, strict=True):
        apparent[:, bus] += kw
    for j, bus in enumerate(feeder.pv_bus):
        available, rating = world.pv_kw[:, j], feeder.pv_s_kva[j]
        reactive = np.where(available > 0.0, MAX_REACTIVE_SHARE * rating, 0.0)
        apparent[:, bus] += np.minimum(np.hypot(available, reactive), rating)
    apparent /= feeder.s_base_kva

    z = np.hypot(feeder.r_pu, feeder.x_pu)
    y = np.hypot(feeder.shunt_g_pu, feeder.shunt_b_pu)
    slack = feeder.slack_voltage_pu
    # Unknowns: v of buses 0..n-1, then j of buses 0..n-1 (j_0: all that the slack delivers).
    b = np.zeros((2 * n, 2 * n))
    for k in range(n):
        b[n + k, k] += y[k]
        if k > 0:
            b[k, parent[k]] += 1.0 / feeder.tap[k]
            b[k, n + k] += z[k]
            b[n + parent[k], n + k] += 1.0 / feeder.tap[k]
    radius = float(np.abs(np.linalg.eigvals(b)).max())
    if radius >= 1.0:
        raise ValueError(
            f"feeder {feeder.name!r}: no bound on its currents follows from its nameplates "
            f"(spectral radius {radius:.3f}, below 1 is expected)"
        )
    a = np.zeros((len(apparent), 2 * n))
    a[:, 0] = slack
    a[:, n:] = apparent / domain.scenario.limits.voltage_floor_pu
    u = np.linalg.solve(np.eye(2 * n) - b, a.T).T
    v, current = u[:, :n], u[:, n:]
    loss = (feeder.shunt_g_pu * v * v).sum(axis=1)
    loss += (feeder.r_pu * current * current).sum(axis=1)
    base = feeder.s_base_kva
    return Nameplate(
        loss * base,
        slack * current[:, 0] * base,
        np.sqrt(2.0) * tolerance_pu * current[:, 1:].sum(axis=1) * base,
    )
