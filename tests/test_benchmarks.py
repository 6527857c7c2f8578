"""The benchmarks run, say what they measured, and measure it right."""

import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
KEYS = {"env", "num_envs", "threads", "env_steps_per_s", "power_flows_per_s", "peers"}


def run(*arguments: str) -> Any:
    """The JSON that a benchmark prints."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def benchmarks() -> ModuleType:
    """`benchmarks.throughput`, imported from the repository and taken off the path again."""
    sys.path.insert(0, str(ROOT))
    try:
        import benchmarks.throughput as module
    finally:
        sys.path.remove(str(ROOT))
    return module


def test_throughput_prints_the_records() -> None:
    result = run("benchmarks.throughput", "--json", "--quick", "--no-peers", "--threads", "1",
                 "--scenarios", "ieee33", "--charter", "voted")  # fmt: skip
    assert set(result) >= KEYS
    assert {"cpu", "cores", "python", "numba"} <= set(result["machine"])
    records = result["records"]
    assert all(set(record) >= KEYS for record in records)
    faces = {(record["face"], record["num_envs"]) for record in records}
    assert faces == {
        ("Simulator", 1), ("gymnasium.make", 1), ("Simulator", 64), ("gymnasium.make_vec", 64),
    }  # fmt: skip
    assert all(record["env_steps_per_s"] > 100 for record in records)
    one, many = (r for r in records if r["face"] == "Simulator")
    assert one["power_flow_share"] is None and 0.0 < many["power_flow_share"] < 1.5
    assert 500 < many["bytes_per_env"] < 10_000
    (charter,) = result["charter"]
    assert charter["num_envs"] == 64 and set(charter["step_ns"]) == {"static", "voted"}
    assert -0.5 < charter["added_share"] < 3.0
    headline = {key: result[key] for key in KEYS}
    assert headline in [{key: record[key] for key in KEYS} for record in records]


def test_a_rate_is_units_over_time(benchmarks: ModuleType) -> None:
    effort = benchmarks.Effort(repeats=3, seconds=0.05, num_envs=(1,))
    wall, processor = benchmarks.median_rates(lambda: time.sleep(0.005), 10, effort)
    assert wall == pytest.approx(10 / 0.005, rel=0.5)
    assert wall <= 10 / 0.005
    assert processor > 5 * wall


def test_the_points_solved_are_the_points_named(benchmarks: ModuleType) -> None:
    """Kirchhoff at every bus: the solution's currents and voltages give back the loads."""
    from daogym.envs.energy.profiles import load_feeder

    feeder = load_feeder("ieee33")
    load_kw, load_kvar = benchmarks.operating_points(feeder, 20)
    assert (load_kw >= 0.5 * feeder.load_p_kw).all() and (load_kw <= feeder.load_p_kw).all()
    (v_re, v_im), sweeps = benchmarks.solve_points(feeder, load_kw, load_kvar)()
    assert (sweeps > 0).all()
    voltage = v_re + 1j * v_im
    parent, z = feeder.parent[1:], (feeder.r_pu + 1j * feeder.x_pu)[1:]
    branch = (voltage[:, parent] - voltage[:, 1:]) / z
    inflow = np.zeros_like(voltage)
    inflow[:, 1:] += branch
    for k, bus in enumerate(parent):
        inflow[:, bus] -= branch[:, k]
    power = voltage * inflow.conj() * feeder.s_base_kva
    for i, bus in enumerate(feeder.load_bus.tolist()):
        assert power[:, bus].real == pytest.approx(load_kw[:, i], rel=1e-4)
        assert power[:, bus].imag == pytest.approx(load_kvar[:, i], rel=1e-4)


def test_pandapower_gets_our_points_and_a_missing_peer_is_named(
    benchmarks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pandapower")
    from daogym.envs.energy.profiles import load_feeder

    peers = sys.modules["benchmarks.peers"]
    monkeypatch.setattr(
        peers,
        "_PEERS",
        {"pandapower": peers._PEERS["pandapower"][1:], "no-such-solver": (None,)},
    )
    feeder = load_feeder("ieee33")
    load_kw, load_kvar = benchmarks.operating_points(feeder, 5)
    (v_re, v_im), _ = benchmarks.solve_points(feeder, load_kw, load_kvar)()
    found, missing = peers.measure_peers(load_kw, load_kvar, np.hypot(v_re, v_im), 0.05)
    assert found["power_flows_per_s"] > 1.0
    assert found["max_voltage_difference_pu"] < 1e-9
    assert missing["name"] == "no-such-solver" and "not installed" in missing["error"]


def test_startup_times_every_stage(benchmarks: ModuleType) -> None:
    """With the cache that the tests share: a cold start would compile for half a minute."""
    startup = import_module("benchmarks.startup")
    cache = os.environ.get("DAOGYM_CACHE_DIR", "")
    stages = startup.start("lv_rural", cache)
    assert set(stages) == set(startup.STAGES)
    assert all(0.0 < seconds < 300.0 for seconds in stages.values())
    with pytest.raises(RuntimeError, match="atlantis"):
        startup.start("atlantis", cache)


def test_both_kernels_of_a_scenario_are_measured() -> None:
    result = run("benchmarks.kernels", "serial_3:64", "--json", "--threads", "1", "--repeats", "3",
                 "--seconds", "0.01")  # fmt: skip
    (record,) = result["records"]
    assert (record["scenario"], record["num_envs"], record["threads"]) == ("serial_3", 64, 1)
    assert record["env_steps_per_s"] > 1000 and record["specialised_env_steps_per_s"] > 1000
    assert 0.2 < record["ratio"] < 20.0


def test_runs_are_compared_with_named_controllers(benchmarks: ModuleType, tmp_path: Path) -> None:
    from daogym.agents.config import TrainConfig
    from daogym.agents.training import train

    runs = []
    for seed in (0, 1):
        config = TrainConfig(
            scenario="lv_rural", seed=seed, num_envs=8, n_steps=4, batch_size=32, total_steps=32,
            net_arch=(4,), eval_every_steps=0, eval_episodes=2, final_episodes=2,
            final_targets=(), tensorboard=False, progress=False, threads=1, torch_threads=1,
            run_root=str(tmp_path), run_name=f"seed{seed}",
        )  # fmt: skip
        runs.append(str(train(config).path))
    seeds = import_module("benchmarks.seeds")
    result = seeds.measure_money(runs, ["no_op", "self_consumption"], "test", 6, 1)
    assert set(result["runs"]) == {"seed0", "seed1"}
    means = [run["money_per_day"] for run in result["runs"].values()]
    assert result["money_per_day"] == pytest.approx(np.mean(means))
    for name, row in result["controllers"].items():
        gap = row["difference_per_day"]
        assert gap["estimate"] == pytest.approx(result["money_per_day"] - row["money_per_day"])
        assert gap["low"] <= gap["estimate"] <= gap["high"], name
        assert row["runs_are_above"] == (gap["low"] > 0.0)
        assert [mean for mean, _ in row["each"]] == pytest.approx(
            [mean - row["money_per_day"] for mean in means]
        )
    with pytest.raises(SystemExit, match="--against nobody: no such controller"):
        seeds.measure_money(runs, ["nobody"], "test", 6, 1)
