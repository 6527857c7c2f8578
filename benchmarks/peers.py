"""Power flows per second of other solvers, on the operating points that ours solves too.

The peers are installed by the `bench` extra; one that is missing is reported as such.
"""

from __future__ import annotations

import importlib.metadata
import logging
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Peer = dict[str, Any]
TOLERANCE = 1e-10


def measure_peers(
    load_kw: Float, load_kvar: Float, voltage_pu: Float, seconds: float
) -> list[Peer]:
    """Each peer on pandapower's `case33bw` (5 ties open), whose loads are changed for every flow.

    Args:
        load_kw, load_kvar: (points, 32), one column a load, in the order of `case33bw`.
        voltage_pu: (points, 33) our magnitudes, to compare with; order of buses is free.
        seconds: shortest time of one measurement.

    Returns:
        Records with ``name``, ``version``, ``how``, ``threads``, ``power_flows_per_s`` and
        ``max_voltage_difference_pu``; ``error`` instead of the numbers where a peer did not run.
    """
    results = []
    for name, measures in _PEERS.items():
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            results.append({"name": name, "error": "not installed: pip install 'daogym[bench]'"})
            continue
        for measure in measures:
            with _quiet():
                try:
                    result = measure(load_kw, load_kvar, np.sort(voltage_pu, axis=1), seconds)
                except ImportError as error:
                    result = {"error": str(error)}
            results.append({"name": name, "version": version, **result})
    return results


def pandapower_net() -> Any:
    """Baran and Wu's 33 buses as pandapower ships them, the five ties open."""
    import pandapower.networks

    return pandapower.networks.case33bw()


def _pandapower(recycle: bool) -> Callable[[Float, Float, Float, float], Peer]:
    def measure(load_kw: Float, load_kvar: Float, voltage_pu: Float, seconds: float) -> Peer:
        import pandapower as pp

        net = pandapower_net()
        how = f"runpp, tolerance {TOLERANCE:g} MVA, numba"
        options: dict[str, Any] = {"tolerance_mva": TOLERANCE, "numba": True}
        if recycle:
            how += ", recycle bus_pq"
            options["recycle"] = {"bus_pq": True, "trafo": False, "gen": False}

        def solve(point: int) -> float:
            row = point % len(load_kw)
            net.load["p_mw"] = load_kw[row] / 1000.0
            net.load["q_mvar"] = load_kvar[row] / 1000.0
            pp.runpp(net, **options)
            found = np.sort(net.res_bus["vm_pu"].to_numpy())
            return float(np.abs(found - voltage_pu[row]).max())

        difference = max(solve(point) for point in range(3))
        begun, done = time.perf_counter(), 0
        while time.perf_counter() - begun < seconds:
            difference = max(difference, solve(done))
            done += 1
        rate = done / (time.perf_counter() - begun)
        return _result(how, 1, rate, difference)

    return measure


def _lightsim2grid(load_kw: Float, load_kvar: Float, voltage_pu: Float, seconds: float) -> Peer:
    import pandapower as pp
    from lightsim2grid.gridmodel import init_from_pandapower
    from lightsim2grid.lightsim2grid_cpp import TimeSeriesCPP

    net = pandapower_net()
    pp.runpp(net)
    grid = init_from_pandapower(net)
    points = len(load_kw)
    # Generators and static generators have as many rows as there are points, and no column.
    gen_p = np.zeros((points, len(grid.get_generators())))
    sgen_p = np.zeros((points, len(grid.get_static_generators())))
    start = np.ones(len(net.bus), dtype=np.complex128)

    def solve() -> tuple[float, Any]:
        series = TimeSeriesCPP(grid)
        begun = time.perf_counter()
        load_mw, load_mvar = load_kw / 1000.0, load_kvar / 1000.0
        series.compute_Vs(gen_p, sgen_p, load_mw, load_mvar, start, 20, TOLERANCE)
        return time.perf_counter() - begun, series.get_voltages()

    _, voltages = solve()
    difference = np.abs(np.sort(np.abs(voltages), axis=1) - voltage_pu).max()
    spent, runs = 0.0, 0
    while spent < seconds:
        spent += solve()[0]
        runs += 1
    how = f"TimeSeriesCPP, series of {points} from one solution to the next, {TOLERANCE:g}"
    return _result(how, 1, runs * points / spent, float(difference))


def _result(how: str, threads: int, rate: float, difference: float) -> Peer:
    return {
        "how": how,
        "threads": threads,
        "power_flows_per_s": rate,
        "max_voltage_difference_pu": difference,
    }


_PEERS = {
    "pandapower": (_pandapower(recycle=False), _pandapower(recycle=True)),
    "lightsim2grid": (_lightsim2grid,),
}


@contextmanager
def _quiet() -> Iterator[None]:
    """The peers warn about matters that no reader of the table can change."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
