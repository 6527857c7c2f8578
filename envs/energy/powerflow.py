"""Radial AC power flow for a tile of environments.

Current-summation backward/forward sweep (Shirmohammadi, Hong, Semlyen and Luo, IEEE Trans. Power
Systems 3(2), 1988): with buses in breadth-first order, ``parent[k] < k``,

    I_k = conj(S_k / V_k) + y_k V_k,    J_k = I_k + sum over children c of J_c / tap_c,
    V_k = V_parent / tap_k - z_k J_k.

Power is consumption (injection negative) in per unit. The environment is the innermost index,
so that the compiler works on several environments at once. An environment that has converged is
frozen, so that its result does not depend on its neighbours in the tile.
"""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import kernel_entry, kernel_function
from daogym.envs.core.lanes import LANES, fill, largest, load, magnitude, store, where_positive
from daogym.envs.core.layout import Float, Int

TILE = LANES


@kernel_function
def solve_tile(
    width: int,
    parent: Int,
    r_pu: Float,
    x_pu: Float,
    tap: Float,
    shunt_g_pu: Float,
    shunt_b_pu: Float,
    slack_voltage_pu: float,
    tolerance_pu: float,
    max_sweeps: int,
    p_pu: Float,
    q_pu: Float,
    v_re: Float,
    v_im: Float,
    j_re: Float,
    j_im: Float,
    change: Float,
    active: Float,
    sweeps: Int,
) -> None:
    """Solve environments ``0 <= e < width``.

    Powers `p_pu`, `q_pu`, voltages `v_*` and currents `j_*` are (n_bus, TILE), `change`, `active`
    and `sweeps` (TILE,); lanes from `width` on must hold finite powers. Row k > 0 of the currents
    is the branch into bus k, row 0 all current that the slack bus delivers. `sweeps[e]` is the
    number of sweeps, negative where the largest voltage change stayed above `tolerance_pu` after
    `max_sweeps`.
    """
    n_bus = len(parent)
    zero = fill(0.0)
    store(v_re, 0, fill(slack_voltage_pu))
    store(v_im, 0, zero)
    for k in range(1, n_bus):
        store(v_re, k, load(v_re, parent[k]) / tap[k])
        store(v_im, k, zero)
    for e in range(TILE):
        active[e] = 1.0 if e < width else 0.0
        sweeps[e] = -max_sweeps
    for sweep in range(1, max_sweeps + 1):
        _collect_currents(parent, tap, shunt_g_pu, shunt_b_pu, p_pu, q_pu, v_re, v_im, j_re, j_im)
        live = load(active, 0)
        moved = zero
        total = zero
        for k in range(1, n_bus):
            up = parent[k]
            inverse_tap = 1.0 / tap[k]
            r = fill(r_pu[k])
            x = fill(x_pu[k])
            current_re = load(j_re, k)
            current_im = load(j_im, k)
            old_re = load(v_re, k)
            old_im = load(v_im, k)
            new_re = load(v_re, up) * inverse_tap - (r * current_re - x * current_im)
            new_im = load(v_im, up) * inverse_tap - (r * current_im + x * current_re)
            moved = largest(magnitude(new_re - old_re), moved)
            moved = largest(magnitude(new_im - old_im), moved)
            total = total + (new_re + new_im)
            store(v_re, k, where_positive(live, new_re, old_re))
            store(v_im, k, where_positive(live, new_im, old_im))
        # A lane with a voltage that is not finite has total * 0 = NaN, so it never converges.
        store(change, 0, moved + total * 0.0)
        n_active = 0
        for e in range(width):
            if active[e] > 0.0:
                if change[e] <= tolerance_pu:
                    active[e] = 0.0
                    sweeps[e] = sweep
                else:
                    n_active += 1
        if n_active == 0:
            break
    _collect_currents(parent, tap, shunt_g_pu, shunt_b_pu, p_pu, q_pu, v_re, v_im, j_re, j_im)


@kernel_function
def _collect_currents(
    parent: Int,
    tap: Float,
    shunt_g_pu: Float,
    shunt_b_pu: Float,
    p_pu: Float,
    q_pu: Float,
    v_re: Float,
    v_im: Float,
    j_re: Float,
    j_im: Float,
) -> None:
    """Backward sweep: branch currents from the present voltages."""
    n_bus = len(parent)
    for k in range(n_bus):
        g = fill(shunt_g_pu[k])
        b = fill(shunt_b_pu[k])
        re = load(v_re, k)
        im = load(v_im, k)
        p = load(p_pu, k)
        q = load(q_pu, k)
        inverse = 1.0 / (re * re + im * im)
        store(j_re, k, (p * re + q * im) * inverse + (g * re - b * im))
        store(j_im, k, (p * im - q * re) * inverse + (g * im + b * re))
    for k in range(n_bus - 1, 0, -1):
        up = parent[k]
        inverse_tap = 1.0 / tap[k]
        store(j_re, up, load(j_re, up) + load(j_re, k) * inverse_tap)
        store(j_im, up, load(j_im, up) + load(j_im, k) * inverse_tap)


@kernel_entry()
def solve_batch(
    parent: Int,
    r_pu: Float,
    x_pu: Float,
    tap: Float,
    shunt_g_pu: Float,
    shunt_b_pu: Float,
    slack_voltage_pu: float,
    tolerance_pu: float,
    max_sweeps: int,
    p_pu: Float,
    q_pu: Float,
    v_re: Float,
    v_im: Float,
    j_re: Float,
    j_im: Float,
    sweeps: Int,
) -> None:
    """Solve N operating points given as (N, n_bus) arrays; the outputs are written in place."""
    n, n_bus = p_pu.shape
    tile = np.zeros((6, n_bus, TILE))
    change = np.empty(TILE)
    active = np.empty(TILE)
    count = np.empty(TILE, dtype=np.int64)
    for first in range(0, n, TILE):
        width = min(TILE, n - first)
        for k in range(n_bus):
            for e in range(width):
                tile[0, k, e] = p_pu[first + e, k]
                tile[1, k, e] = q_pu[first + e, k]
        solve_tile(
            width, parent, r_pu, x_pu, tap, shunt_g_pu, shunt_b_pu, slack_voltage_pu,
            tolerance_pu, max_sweeps, tile[0], tile[1], tile[2], tile[3], tile[4], tile[5],
            change, active, count,
        )  # fmt: skip
        for e in range(width):
            sweeps[first + e] = count[e]
            for k in range(n_bus):
                v_re[first + e, k] = tile[2, k, e]
                v_im[first + e, k] = tile[3, k, e]
                j_re[first + e, k] = tile[4, k, e]
                j_im[first + e, k] = tile[5, k, e]
