"""Voltages of a radial feeder as a linear function of the powers at its buses.

LinDistFlow (Baran and Wu, IEEE Trans. Power Delivery 4(1), 1989, without the loss terms): with v
the square of a voltage and P, Q what flows into bus k and beyond,

    v_k = v_parent / tap_k^2 - 2 (r_k P + x_k Q).

Losses are left out, so a loaded feeder looks up to 0.003 pu better than it is (case33bw, bus 18):
whoever uses it for a lower limit tightens that limit by `LOWER_MARGIN_PU`. It is no relaxation, and
so no part of the bound.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daogym.envs.core.layout import Float

from .feeder import Feeder

LOWER_MARGIN_PU = 0.003


@dataclass(frozen=True)
class LinDistFlow:
    """v = base - by_kw P - by_kvar Q, with consumption P, Q of every bus.

    Attributes:
        base: (n_bus,) squared voltages of the empty feeder, its shunts included, pu^2.
        by_kw, by_kvar: (n_bus, n_bus), pu^2 per kW and kvar; row: which voltage, column: which bus
            consumes.
    """

    base: Float
    by_kw: Float
    by_kvar: Float

    @classmethod
    def of(cls, feeder: Feeder) -> LinDistFlow:
        """The matrices of a feeder."""
        n = feeder.n_bus
        by_p, by_q = np.zeros((n, n)), np.zeros((n, n))
        base = np.full(n, feeder.slack_voltage_pu**2)
        below = np.eye(n, dtype=bool)
        for k in range(n - 1, 0, -1):
            below[feeder.parent[k]] |= below[k]
        for k in range(1, n):
            up = feeder.parent[k]
            square = feeder.tap[k] ** 2
            base[k] = base[up] / square
            by_p[k] = by_p[up] / square + 2.0 * feeder.r_pu[k] * below[k]
            by_q[k] = by_q[up] / square + 2.0 * feeder.x_pu[k] * below[k]
        # Shunts at 1 pu: conductance consumes, capacitance injects.
        base = base - by_p @ feeder.shunt_g_pu + by_q @ feeder.shunt_b_pu
        return cls(base, by_p / feeder.s_base_kva, by_q / feeder.s_base_kva)

    def voltage_pu(self, p_kw: Float, q_kvar: Float) -> Float:
        """Voltage magnitudes, (..., n_bus), of consumptions (..., n_bus)."""
        square = self.base - p_kw @ self.by_kw.T - q_kvar @ self.by_kvar.T
        return np.sqrt(np.maximum(square, 0.0))
