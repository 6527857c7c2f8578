"""The compiled power flow against pandapower, alone and inside a step of the simulator."""

from __future__ import annotations

import copy
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import daogym
from daogym.envs.energy.feeder import Feeder
from daogym.envs.energy.pandapower_feeder import convert
from daogym.envs.energy.powerflow import TILE, solve_batch
from daogym.envs.energy.profiles import FEEDERS, load_feeder

from .reference_networks import network

pytestmark = pytest.mark.kernel

Complex = NDArray[np.complex128]
Float = NDArray[np.float64]

NETWORKS = (
    "case33bw",
    "create_cigre_network_lv",
    "create_cigre_network_mv",
    "create_kerber_landnetz_freileitung_1",
    "create_kerber_dorfnetz",
    "create_kerber_vorstadtnetz_kabel_1",
    "1-LV-rural1--0-sw",
    "1-LV-semiurb4--0-sw",
    "1-LV-urban6--0-sw",
)
RURAL = "1-LV-rural1--2-sw"


def newton_raphson(net: Any, **options: Any) -> None:
    """Solve `net` in place; angle shifts off, as a feeder has none."""
    import pandapower

    pandapower.runpp(
        net, calculate_voltage_angles=False, tolerance_mva=1e-10, trafo_model="t", numba=False,
        **options,
    )  # fmt: skip


def solve(
    feeder: Feeder, power_pu: Complex, tolerance: float = 1e-10, max_sweeps: int = 100
) -> tuple[Complex, Complex, NDArray[np.int64]]:
    """Voltages and currents (N, n_bus) and sweeps (N,) of N operating points."""
    n, n_bus = power_pu.shape
    v_re, v_im, j_re, j_im = (np.full((n, n_bus), np.nan) for _ in range(4))
    sweeps = np.zeros(n, dtype=np.int64)
    solve_batch(
        feeder.parent, feeder.r_pu, feeder.x_pu, feeder.tap, feeder.shunt_g_pu, feeder.shunt_b_pu,
        feeder.slack_voltage_pu, tolerance, max_sweeps, np.ascontiguousarray(power_pu.real),
        np.ascontiguousarray(power_pu.imag), v_re, v_im, j_re, j_im, sweeps,
    )  # fmt: skip
    return v_re + 1j * v_im, j_re + 1j * j_im, sweeps


def losses_kw(feeder: Feeder, voltage: Complex, current: Complex) -> Float:
    """(N,) active power lost in branches and shunts."""
    series = (feeder.r_pu * np.abs(current) ** 2)[:, 1:]
    shunt = feeder.shunt_g_pu * np.abs(voltage) ** 2
    return (series.sum(axis=1) + shunt.sum(axis=1)) * feeder.s_base_kva


def solved_losses_kw(net: Any) -> float:
    """Losses in pandapower's result tables."""
    lost = net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum()
    return 1000.0 * float(lost + (net.res_shunt.p_mw.sum() if len(net.shunt) else 0.0))


@pytest.mark.parametrize("name", NETWORKS)
def test_nameplate_point_of_each_reference_feeder(name: str) -> None:
    net = copy.deepcopy(network(name))
    feeder, bus_map = convert(net, name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        newton_raphson(net)
    power = np.zeros(feeder.n_bus, dtype=np.complex128)
    for table, sign in (("load", 1.0), ("sgen", -1.0), ("storage", 1.0)):
        for row in net[table].itertuples():
            if row.in_service:
                drawn = sign * row.scaling * (row.p_mw + 1j * row.q_mvar) * 1000.0
                power[bus_map[int(row.bus)]] += drawn / feeder.s_base_kva
    voltage, current, sweeps = solve(feeder, power[None, :])
    rows = list(bus_map)
    found = np.abs(voltage[0])[[bus_map[row] for row in rows]]
    assert 0 < sweeps[0] <= 30
    assert np.max(np.abs(found - net.res_bus.vm_pu.loc[rows].to_numpy())) <= 1e-6
    assert losses_kw(feeder, voltage, current)[0] == pytest.approx(solved_losses_kw(net), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["case33bw", "create_kerber_landnetz_freileitung_1", RURAL])
def test_two_hundred_random_operating_points(name: str) -> None:
    """Loads and injections at every bus, drawn around what the feeder carries."""
    import pandapower

    net = copy.deepcopy(network(name))
    for table in ("load", "sgen", "storage"):
        net[table].drop(net[table].index, inplace=True)
    feeder, bus_map = convert(net, name)
    rows = [row for row in bus_map if bus_map[row] > 0]
    for row in rows:
        pandapower.create_load(net, row, 0.0, 0.0)
    size_kw = {"case33bw": 230.0, "create_kerber_landnetz_freileitung_1": 14.0, RURAL: 24.0}[name]
    rng = np.random.default_rng(33)
    p_kw = rng.uniform(-1.0, 1.2, (200, len(rows))) * rng.uniform(0.1, 1.0, (200, 1)) * size_kw
    q_kvar = rng.uniform(-0.4, 0.6, (200, len(rows))) * rng.uniform(0.1, 1.0, (200, 1)) * size_kw
    p_kw += rng.uniform(-0.4, 0.4, (200, 1)) * size_kw  # days of sun and evenings of load
    power = np.zeros((200, feeder.n_bus), dtype=np.complex128)
    for column, row in enumerate(rows):
        power[:, bus_map[row]] += (p_kw + 1j * q_kvar)[:, column] / feeder.s_base_kva
    voltage, current, sweeps = solve(feeder, power)
    assert np.all(sweeps > 0)
    lost = losses_kw(feeder, voltage, current)
    order = [bus_map[row] for row in rows]
    spread = np.ptp(np.abs(voltage))
    assert spread > 0.03, spread
    newton_raphson(net)
    for point in range(200):
        net.load["p_mw"], net.load["q_mvar"] = p_kw[point] / 1000.0, q_kvar[point] / 1000.0
        newton_raphson(net, recycle={"bus_pq": True, "trafo": False, "gen": False})
        expected = net.res_bus.vm_pu.loc[rows].to_numpy()
        assert np.max(np.abs(np.abs(voltage[point, order]) - expected)) <= 1e-6
        delivered_kw = 1000.0 * float(net.res_ext_grid.p_mw.sum())
        assert lost[point] == pytest.approx(delivered_kw - p_kw[point].sum(), rel=1e-6)


def feeder_power(feeder: Feeder, scale: Float) -> Complex:
    """The nameplate loads times `scale` (N,), per unit, (N, n_bus)."""
    power = np.zeros(feeder.n_bus, dtype=np.complex128)
    np.add.at(
        power,
        feeder.load_bus,
        (feeder.load_p_kw + 1j * feeder.load_q_kvar) / feeder.s_base_kva,
    )
    return scale[:, None] * power


@pytest.mark.parametrize("name", FEEDERS)
def test_balance_and_kirchhoff_at_the_stated_tolerance(name: str) -> None:
    """Power sent = power taken + losses, to 1e-9 of what flows, and each branch obeys Ohm's law."""
    feeder = load_feeder(name)
    power = feeder_power(feeder, np.linspace(-1.0, 1.0, 41))
    voltage, current, sweeps = solve(feeder, power)
    assert np.all(sweeps > 0)
    sent = feeder.slack_voltage_pu * np.conj(current[:, 0])
    taken = power.sum(axis=1).real
    lost = losses_kw(feeder, voltage, current) / feeder.s_base_kva
    flowed = np.abs(power).sum(axis=1) + 1e-3
    assert np.all(np.abs(sent.real - taken - lost) <= 1e-9 * flowed)
    impedance = feeder.r_pu + 1j * feeder.x_pu
    for bus in range(1, feeder.n_bus):
        drop = voltage[:, feeder.parent[bus]] / feeder.tap[bus] - voltage[:, bus]
        assert np.allclose(drop, impedance[bus] * current[:, bus], rtol=0, atol=1e-9)


def test_overload_is_reported_by_negative_sweeps() -> None:
    """Beyond the nose of the curve there is no solution, so none is made up."""
    feeder = load_feeder("ieee33")
    _, _, sweeps = solve(feeder, feeder_power(feeder, np.array([1.0, 3.0, 6.0, 60.0, 1e6])))
    assert np.all(sweeps[:2] > 0)
    assert np.all(sweeps[2:] == -100)
    _, _, few = solve(feeder, feeder_power(feeder, np.array([1.0])), max_sweeps=3)
    assert few[0] == -3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e200, -1e200])
def test_nonsense_never_counts_as_solved(value: float) -> None:
    feeder = load_feeder("lv_rural")
    power = feeder_power(feeder, np.ones(3))
    power[1, feeder.n_bus - 1] = complex(value, 0.0)
    voltage, _, sweeps = solve(feeder, power)
    assert sweeps[1] < 0
    assert sweeps[0] > 0 and sweeps[2] > 0 and np.all(np.isfinite(voltage[[0, 2]]))


def test_a_result_does_not_depend_on_its_neighbours() -> None:
    """Bit for bit the same alone, among easy cases and beside a case that diverges."""
    feeder = load_feeder("ieee33")
    scale = np.linspace(0.05, 3.0, 2 * TILE + 3)
    together = feeder_power(feeder, scale)
    alone = [solve(feeder, together[i : i + 1]) for i in range(len(scale))]
    for disturbed in (None, 0, TILE - 1, TILE + 5):
        power = together.copy()
        if disturbed is not None:
            power[disturbed] *= 1e4
        voltage, current, sweeps = solve(feeder, power)
        for i, (v, j, s) in enumerate(alone):
            if i != disturbed:
                assert voltage[i].tobytes() == v[0].tobytes()
                assert current[i].tobytes() == j[0].tobytes() and sweeps[i] == s[0]


def test_shipped_feeder_is_the_network_that_the_step_is_checked_on() -> None:
    feeder, shipped = convert(network(RURAL), "lv_rural")[0], load_feeder("lv_rural")
    for name in ("parent", "r_pu", "x_pu", "tap", "shunt_g_pu", "shunt_b_pu"):
        assert np.allclose(getattr(feeder, name), getattr(shipped, name), rtol=1e-12)


def test_steps_of_the_simulator_against_pandapower(reference: ModuleType) -> None:
    """Bus powers of several steps rebuilt outside, solved by Newton-Raphson: same grid state."""
    import pandapower

    net = copy.deepcopy(network(RURAL))
    _, bus_map = convert(net, "lv_rural")
    for table in ("load", "sgen", "storage"):
        net[table].drop(net[table].index, inplace=True)
    row_of_bus: dict[int, int] = {}
    for row, bus in bus_map.items():
        row_of_bus.setdefault(bus, row)
    rows = [row_of_bus[bus] for bus in range(len(row_of_bus))]
    for row in rows:
        pandapower.create_load(net, row, 0.0, 0.0)
    simulator = daogym.make_simulator("lv_rural", 2, action_mode="device", split="test")
    simulator.reset(seed=[3, 4], options={"date": ["2023-06-14", "2023-01-24"]})
    rng = np.random.default_rng(5)
    checked = 0
    for step in range(simulator.horizon - 1):
        actions = rng.uniform(-1.0, 1.0, (2, simulator.action_size)).astype(np.float32)
        powers = [reference.expected_step(simulator, lane, actions[lane]) for lane in (0, 1)]
        simulator.step(actions)
        if step % 12 != 3:
            continue
        for lane, power in enumerate(powers):
            net.load["p_mw"], net.load["q_mvar"] = power.bus_kw / 1e3, power.bus_kvar / 1e3
            newton_raphson(net)
            expected = net.res_bus.vm_pu.loc[rows].to_numpy()
            assert np.max(np.abs(simulator.state("voltage_pu")[lane] - expected)) <= 1e-6
            exchange = float(simulator.state("exchange_kw")[lane])
            grid = net.res_ext_grid.iloc[0]
            assert exchange == pytest.approx(1000.0 * grid.p_mw, rel=1e-6, abs=1e-5)
            loading = np.hypot(grid.p_mw, grid.q_mvar) * 1000.0 / 160.0
            assert simulator.state("loading")[lane] == pytest.approx(loading, rel=1e-5, abs=1e-7)
            column = simulator.event_names.index("losses_kwh")
            lost = 1000.0 * grid.p_mw - power.bus_kw.sum()
            assert simulator.events[lane, column] == pytest.approx(0.25 * lost, rel=1e-5, abs=1e-6)
            checked += 1
    assert checked == 16
