"""Feeders converted from pandapower networks, against pandapower's Newton-Raphson and a Z-bus."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from daogym.envs.energy.feeder import Feeder, FeederError, tree_layout
from daogym.envs.energy.pandapower_feeder import convert, from_pandapower
from daogym.envs.energy.profiles import FEEDERS, load_feeder

from .reference_networks import network

pandapower = pytest.importorskip("pandapower", reason="converting networks needs pandapower")
simbench = pytest.importorskip("simbench", reason="three of the feeders come from simbench")
networks = pytest.importorskip("pandapower.networks", reason="needs pandapower")

Complex = NDArray[np.complex128]

# load kW, kvar, line losses kW, transformer losses kW, lowest voltage pu and its bus
REFERENCE: dict[str, tuple[float, float, float, float, float, int]] = {
    "case33bw": (3715.0, 2300.0, 202.677, 0.0, 0.913090, 17),
    "create_cigre_network_lv": (686.6, 284.3, 21.822, 6.507, 0.912269, 35),
    "create_cigre_network_mv": (44742.0, 11040.0, 233.750, 69.832, 0.922980, 11),
    "create_kerber_landnetz_freileitung_1": (104.0, 0.0, 3.3365, 1.259, 0.947015, 14),
    "create_kerber_dorfnetz": (342.0, 0.0, 4.9033, 5.036, 0.954972, 69),
    "create_kerber_vorstadtnetz_kabel_1": (292.0, 0.0, 1.6409, 2.673, 0.979373, 285),
    "1-LV-rural1--0-sw": (80.0, 31.6, 0.3129, 1.128, 1.019270, 4),
    "1-LV-semiurb4--0-sw": (243.0, 96.0, 3.1927, 3.238, 0.980068, 42),
    "1-LV-urban6--0-sw": (441.0, 174.3, 3.4629, 4.846, 0.981343, 18),
}


def newton_raphson(net: Any) -> Any:
    """The solved network; angle shifts off, as a feeder has none."""
    solved = copy.deepcopy(net)
    pandapower.runpp(
        solved, calculate_voltage_angles=False, tolerance_mva=1e-10, init="flat", numba=False
    )
    return solved


def demand(feeder: Feeder, net: Any, bus_map: dict[int, int]) -> Complex:
    """Power taken at each bus in per unit at the nameplate point, read from the network."""
    power = np.zeros(feeder.n_bus, dtype=np.complex128)
    for table, sign in (("load", 1.0), ("sgen", -1.0), ("storage", 1.0)):
        for row in net[table].itertuples():
            if row.in_service:
                value = sign * row.scaling * (row.p_mw + 1j * row.q_mvar) * 1000.0
                power[bus_map[int(row.bus)]] += value / feeder.s_base_kva
    return power


def sweep(feeder: Feeder, power: Complex) -> tuple[Complex, Complex]:
    """Backward/forward sweep of one case in plain NumPy: voltages and branch currents."""
    impedance = feeder.r_pu + 1j * feeder.x_pu
    shunt = feeder.shunt_g_pu + 1j * feeder.shunt_b_pu
    voltage = np.full(feeder.n_bus, feeder.slack_voltage_pu, dtype=np.complex128)
    for _ in range(300):
        current = np.conj(power / voltage) + shunt * voltage
        for bus in range(feeder.n_bus - 1, 0, -1):
            current[feeder.parent[bus]] += current[bus] / feeder.tap[bus]
        before = voltage.copy()
        for bus in range(1, feeder.n_bus):
            upstream = voltage[feeder.parent[bus]] / feeder.tap[bus]
            voltage[bus] = upstream - impedance[bus] * current[bus]
        if np.max(np.abs(voltage - before)) < 1e-13:
            return voltage, current
    raise AssertionError("the sweep does not converge")


def z_bus(feeder: Feeder, power: Complex) -> Complex:
    """Voltages by the fixed point on the inverted admittance matrix (Giraldo et al. 2022)."""
    admittance = np.diag(feeder.shunt_g_pu + 1j * feeder.shunt_b_pu)
    for bus in range(1, feeder.n_bus):
        up, tap = int(feeder.parent[bus]), feeder.tap[bus]
        series = 1.0 / (feeder.r_pu[bus] + 1j * feeder.x_pu[bus])
        admittance[bus, bus] += series
        admittance[up, up] += series / tap**2
        admittance[bus, up] -= series / tap
        admittance[up, bus] -= series / tap
    inverse = np.linalg.inv(admittance[1:, 1:])
    unloaded = -inverse @ admittance[1:, 0] * feeder.slack_voltage_pu
    voltage = unloaded.copy()
    for _ in range(300):
        voltage = unloaded - inverse @ np.conj(power[1:] / voltage)
    return np.concatenate([[feeder.slack_voltage_pu], voltage])


def losses_kw(feeder: Feeder, voltage: Complex, current: Complex) -> float:
    series = feeder.r_pu * np.abs(current) ** 2
    shunt = feeder.shunt_g_pu * np.abs(voltage) ** 2
    return float((series.sum() + shunt.sum()) * feeder.s_base_kva)


def check_against_newton(net: Any) -> tuple[Feeder, Complex, Complex, Any]:
    """Convert, solve both ways, compare every bus voltage and the losses."""
    feeder, bus_map = convert(net, "case")
    solved = newton_raphson(net)
    power = demand(feeder, net, bus_map)
    voltage, current = sweep(feeder, power)
    rows = list(bus_map)
    found = np.abs(voltage[[bus_map[row] for row in rows]])
    np.testing.assert_allclose(found, solved.res_bus.vm_pu.loc[rows], rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.abs(z_bus(feeder, power)), np.abs(voltage), rtol=0, atol=1e-9)
    expected = (solved.res_line.pl_mw.sum() + solved.res_trafo.pl_mw.sum()) * 1000.0
    if len(solved.shunt):
        expected += solved.res_shunt.p_mw.sum() * 1000.0
    assert losses_kw(feeder, voltage, current) == pytest.approx(expected, rel=1e-6)
    return feeder, voltage, current, solved


@pytest.mark.parametrize("name", REFERENCE)
def test_feeder_has_pandapowers_voltages_and_losses(name: str) -> None:
    load_kw, load_kvar, line_kw, transformer_kw, lowest, bus = REFERENCE[name]
    net = network(name)
    feeder, _, _, solved = check_against_newton(net)
    assert feeder.load_p_kw.sum() == pytest.approx(load_kw, rel=1e-3)
    assert feeder.load_q_kvar.sum() == pytest.approx(load_kvar, rel=1e-3)
    drawn = "kerber" in name  # other cables than the table's
    assert solved.res_line.pl_mw.sum() * 1000 == pytest.approx(line_kw, rel=5e-4 if drawn else 1e-4)
    if transformer_kw:
        assert solved.res_trafo.pl_mw.sum() * 1000 == pytest.approx(transformer_kw, rel=1e-3)
    assert solved.res_bus.vm_pu.min() == pytest.approx(lowest, abs=2e-5 if drawn else 1e-6)
    assert solved.res_bus.vm_pu.idxmin() == bus


def test_ratings_give_pandapowers_loadings() -> None:
    feeder, _, current, solved = check_against_newton(network("1-LV-rural1--0-sw"))
    loading = np.abs(current[1:]) / feeder.i_max_pu[1:] * 100.0
    lines = ~feeder.is_transformer[1:]
    # pandapower rates the larger terminal current, charging of the cable included
    assert loading[lines].max() == pytest.approx(solved.res_line.loading_percent.max(), rel=1e-3)
    assert loading[~lines].max() == pytest.approx(solved.res_trafo.loading_percent.max(), rel=5e-3)
    assert feeder.transformer_kva == pytest.approx(160.0)


def transformer_net(**changes: Any) -> Any:
    """Slack at 20 kV, a transformer off its neutral tap, and two lines behind it."""
    net = pandapower.create_empty_network()
    high, low, middle, far = (pandapower.create_bus(net, kv) for kv in (20.0, 0.4, 0.4, 0.4))
    pandapower.create_ext_grid(net, high, vm_pu=1.01)
    settings: dict[str, Any] = {
        "sn_mva": 0.25, "vn_hv_kv": 20.5, "vn_lv_kv": 0.4, "vkr_percent": 1.4, "vk_percent": 6.0,
        "pfe_kw": 0.5, "i0_percent": 0.4, "tap_side": "hv", "tap_neutral": 0, "tap_min": -2,
        "tap_max": 2, "tap_step_percent": 2.5, "tap_pos": -1, "tap_changer_type": "Ratio",
    } | changes  # fmt: skip
    pandapower.create_transformer_from_parameters(net, high, low, shift_degree=150, **settings)
    line = {"r_ohm_per_km": 0.2, "x_ohm_per_km": 0.08, "c_nf_per_km": 500.0, "max_i_ka": 0.27}
    pandapower.create_line_from_parameters(net, low, middle, 0.2, **line)
    pandapower.create_line_from_parameters(net, far, middle, 0.3, **line, parallel=2)
    pandapower.create_load(net, far, 0.06, 0.02, name="mill")
    pandapower.create_load(net, middle, 0.03, -0.01)
    return net


def test_taps_parallel_branches_and_lines_against_the_flow() -> None:
    feeder, _, _, _ = check_against_newton(transformer_net())
    assert feeder.parent.tolist() == [-1, 0, 1, 2]
    assert feeder.tap[1] != 1.0 and np.all(feeder.tap[2:] == 1.0)
    assert feeder.is_transformer.tolist() == [False, True, False, False]
    kilo_ampere_base = 100.0 / (np.sqrt(3.0) * 0.4 * 1000.0)
    np.testing.assert_allclose(feeder.i_max_pu[2:] * kilo_ampere_base, [0.27, 0.54])
    assert feeder.load_name == ("mill", "load 1")


def test_transformer_fed_from_its_low_side() -> None:
    net = transformer_net()
    net.ext_grid.loc[0, "bus"] = 1
    pandapower.create_load(net, 0, 0.05, 0.01)
    feeder, _, _, _ = check_against_newton(net)
    transformer = int(np.flatnonzero(feeder.is_transformer)[0])
    assert feeder.v_base_kv[transformer] == 20.0
    assert feeder.i_max_pu[transformer] == pytest.approx(2.5 * 20.0 / 20.5)


def test_switches_fuse_buses_open_lines_and_shunts_count() -> None:
    net = transformer_net()
    extra = pandapower.create_bus(net, 0.4)
    pandapower.create_switch(net, 3, extra, "b")
    pandapower.create_load(net, extra, 0.01)
    dead_end = pandapower.create_bus(net, 0.4, in_service=False)
    pandapower.create_load(net, dead_end, 0.5)
    open_line = pandapower.create_line_from_parameters(net, 3, 1, 2.0, 0.2, 0.08, 900.0, 0.2)
    pandapower.create_switch(net, 1, open_line, "l", closed=False)
    pandapower.create_shunt(net, 2, q_mvar=-0.02, p_mw=0.001)
    feeder, bus_map = convert(net, "case")
    assert bus_map[3] == bus_map[extra]
    assert dead_end not in bus_map
    assert [name for name in feeder.bus_name if "open end" in name] == ["open end of line row 2"]
    assert len(feeder.load_bus) == 3
    net.load.loc[net.load.bus == dead_end, "in_service"] = False
    check_against_newton(net)


def test_switch_with_an_impedance_is_a_branch() -> None:
    net = transformer_net()
    behind = pandapower.create_bus(net, 0.4)
    pandapower.create_switch(net, 1, 2, "b", closed=False, z_ohm=0.5)
    pandapower.create_switch(net, 3, behind, "b", z_ohm=0.05)
    pandapower.create_load(net, behind, 0.01, 0.002)
    feeder, bus_map, solved = *convert(net, "case"), newton_raphson(net)
    voltage, _ = sweep(feeder, demand(feeder, net, bus_map))
    found = [abs(voltage[bus_map[row]]) for row in range(5)]
    np.testing.assert_allclose(found, solved.res_bus.vm_pu, atol=1e-6)
    assert feeder.parent[bus_map[behind]] == bus_map[3]
    assert feeder.i_max_pu[bus_map[behind]] == np.inf


def test_devices_of_simbench() -> None:
    feeder = load_feeder("lv_rural")
    assert feeder.transformer_kva == pytest.approx(160.0)
    assert (len(feeder.load_bus), len(feeder.pv_bus), len(feeder.battery_bus)) == (28, 8, 5)
    assert feeder.pv_p_kw.sum() == pytest.approx(468.2, abs=0.1)
    np.testing.assert_allclose(feeder.pv_s_kva, 1.2 * feeder.pv_p_kw)
    assert feeder.battery_e_kwh.sum() == pytest.approx(412.0, abs=0.1)
    assert feeder.battery_p_kw.sum() == pytest.approx(206.0, abs=0.1)
    assert np.all(feeder.battery_efficiency == 0.95)


@pytest.mark.parametrize("name", FEEDERS)
def test_shipped_feeders_round_trip_and_carry_their_nameplate(name: str, tmp_path: Path) -> None:
    feeder = load_feeder(name)
    feeder.to_npz(tmp_path / "copy.npz")
    again = Feeder.from_npz(tmp_path / "copy.npz")
    for field in fields(Feeder):
        np.testing.assert_array_equal(getattr(again, field.name), getattr(feeder, field.name))
    power = np.zeros(feeder.n_bus, dtype=np.complex128)
    np.add.at(power, feeder.load_bus, feeder.load_p_kw + 1j * feeder.load_q_kvar)
    voltage, current = sweep(feeder, power / feeder.s_base_kva)
    np.testing.assert_allclose(z_bus(feeder, power / feeder.s_base_kva), voltage, atol=1e-9)
    lines = ~feeder.is_transformer[1:]
    assert np.all(np.abs(current[1:]) <= feeder.i_max_pu[1:], where=lines)
    assert feeder.transformer_kva > 0 and len(feeder.ev_bus) > 0


def test_ieee33_is_baran_and_wus_feeder() -> None:
    feeder = load_feeder("ieee33")
    power = np.zeros(33, dtype=np.complex128)
    np.add.at(power, feeder.load_bus, (feeder.load_p_kw + 1j * feeder.load_q_kvar) / 1000.0)
    voltage, current = sweep(feeder, power)
    assert losses_kw(feeder, voltage, current) == pytest.approx(202.677, abs=5e-4)
    assert np.abs(voltage).min() == pytest.approx(0.913090, abs=1e-6)
    assert feeder.bus_name[int(np.argmin(np.abs(voltage)))] == "bus 17"


def close_a_loop(net: Any) -> None:
    net.line.loc[32, "in_service"] = True


def second_grid(net: Any) -> None:
    pandapower.create_ext_grid(net, 5)


def island(net: Any) -> None:
    net.line.loc[31, "in_service"] = False


def three_windings(net: Any) -> None:
    low, lower = pandapower.create_bus(net, 10.0), pandapower.create_bus(net, 10.0)
    pandapower.create_transformer3w_from_parameters(
        net, 5, low, lower, 12.66, 10, 10, 1, 1, 1, 5, 5, 5, 1, 1, 1, 1, 0.1, name="three"
    )


def regulator(net: Any) -> None:
    pandapower.create_gen(net, 5, 0.1)


def constant_impedance(net: Any) -> None:
    net.load.loc[2, [c for c in net.load if c.startswith("const_z")]] = 30.0


def nothing_in_service(net: Any) -> None:
    net.ext_grid["in_service"] = False


def phase_shifter(net: Any) -> None:
    low = pandapower.create_bus(net, 12.66)
    pandapower.create_transformer_from_parameters(
        net, 5, low, 1.0, 12.66, 12.66, 1.0, 5.0, 0.0, 0.0, tap_side="hv", tap_neutral=0,
        tap_pos=2, tap_min=-5, tap_max=5, tap_step_degree=2.0, tap_changer_type="Ideal",
    )  # fmt: skip


def setter(table: str, row: int, column: str, value: float) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = net[table][column].astype(float)
        net[table].loc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (close_a_loop, ["meshed", "line row 32", "'bus 7'", "'bus 20'"]),
        (second_grid, ["ext_grid row 0", "ext_grid row 1", "exactly one"]),
        (nothing_in_service, ["external grids in service: none"]),
        (island, ["bus row 32", "not connected"]),
        (three_windings, ["trafo3w row 0", "'three'"]),
        (regulator, ["gen row 0"]),
        (phase_shifter, ["trafo row 0", "shifts phases"]),
        (constant_impedance, ["const_z", "load row 2", "30"]),
        (setter("line", 3, "r_ohm_per_km", -0.1), ["r_ohm_per_km", "line row 3", "-0.1"]),
        (setter("line", 3, "max_i_ka", -1.0), ["max_i_ka", "line row 3", "-1.0"]),
        (setter("line", 4, "length_km", 0.0), ["length_km", "line row 4", "0.0"]),
        (setter("load", 5, "p_mw", -0.2), ["p_mw", "load row 5", "-0.2"]),
        (setter("load", 5, "q_mvar", np.nan), ["q_mvar", "load row 5", "nan"]),
        (setter("ext_grid", 0, "vm_pu", 0.0), ["vm_pu", "ext_grid row 0"]),
    ],
)
def test_unfit_networks_are_refused_by_table_and_row(
    change: Callable[[Any], None], words: list[str]
) -> None:
    net = networks.case33bw()
    change(net)
    with pytest.raises(FeederError) as caught:
        from_pandapower(net, "mine")
    message = str(caught.value)
    assert "'mine'" in message
    for word in words:
        assert word in message


def test_transmission_case_is_told_about_its_loop() -> None:
    with pytest.raises(FeederError, match=r"meshed; one loop: buses .* closed by line row"):
        from_pandapower(networks.case4gs(), "case4gs")


def test_conversion_leaves_the_network_alone() -> None:
    net = networks.case33bw()
    before = copy.deepcopy(net)
    from_pandapower(net, "case")
    assert pandapower.toolbox.nets_equal(net, before)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"parent": np.array([-1, 0, 3, 2] + [0] * 29)}, "parent"),
        ({"ev_p_kw": np.full(6, -1.0)}, "ev_p_kw of 'car park 5' is -1.0"),
        ({"battery_efficiency": np.full(8, 1.2)}, "battery_efficiency of 'battery 4' is 1.2"),
        ({"pv_name": ("twin",) * 10}, "named 'twin'"),
        ({"load_bus": np.full(32, 33)}, "load_bus spans 33 to 33"),
        ({"r_pu": np.zeros(5)}, "r_pu has 5 rows, expected 33"),
        ({"x_pu": np.full(33, np.nan)}, "x_pu holds a value that is not finite"),
        ({"slack_voltage_pu": 0.0}, "slack_voltage_pu is 0.0"),
    ],
)
def test_feeder_checks_itself(change: dict[str, Any], words: str) -> None:
    with pytest.raises(FeederError, match=words):
        replace(load_feeder("ieee33"), **change)


def test_arrays_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        load_feeder("ieee33").r_pu[0] = 1.0


def test_tree_layout_places_parents_between_children() -> None:
    xy = tree_layout(np.array([-1, 0, 0, 1, 1, 2]))
    np.testing.assert_array_equal(xy[:, 0], [0, 1, 1, 2, 2, 2])
    np.testing.assert_array_equal(xy[:, 1], [1.25, 0.5, 2.0, 0.0, 1.0, 2.0])
    assert len({tuple(point) for point in xy.tolist()}) == 6
