"""Environment steps and power flows per second.

    python -m benchmarks.throughput [--json] [--quick] [--scenarios lv_rural ieee33]
                                    [--charter voted]

One step is a quarter-hour of one environment: request, gate, AC power flow at 1e-10 pu, devices,
money, observation, and the reset where an episode ends (same-step autoreset, episodes staggered).
Actions are drawn before the clock starts, uniform over the whole action space. N environments
stepped once are N steps. One power flow is one operating point of the feeder, drawn at half to all
of the nameplate loads, solved from a flat start to 1e-10 pu, in batches of 512.

Numbers are medians of several repeats. The power flow's share of a step is the sweeps that the step
did times the cost of a sweep in full batches, over the cost of the step, both in processor time of
one thread, so that other work on the machine does not distort it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import daogym
from daogym.envs.energy.powerflow import solve_batch

from .actions import random_actions
from .charter import measure_charter
from .machine import machine
from .peers import measure_peers

Float = NDArray[np.float64]
FLOW_BATCH = 512
FULL_TILES = 64
FACES = ("Simulator", "gymnasium.make", "gymnasium.make_vec")


@dataclass(frozen=True)
class Effort:
    """How long to measure: repeats, seconds of each, and the batch sizes."""

    repeats: int
    seconds: float
    num_envs: tuple[int, ...]


FULL = Effort(repeats=7, seconds=0.5, num_envs=(1, 64, 1024, 4096))
QUICK = Effort(repeats=3, seconds=0.05, num_envs=(1, 64))


def median_rates(call: Callable[[], None], units: int, effort: Effort) -> tuple[float, float]:
    """Units per second of wall time and of this thread's processor time; medians of the repeats."""
    call()
    begun = time.perf_counter()
    call()
    once = time.perf_counter() - begun
    calls = max(1, round(effort.seconds / max(once, 1e-7)))
    wall, processor = [], []
    for _ in range(effort.repeats):
        begun, busy = time.perf_counter(), time.thread_time()
        for _ in range(calls):
            call()
        wall.append(calls * units / (time.perf_counter() - begun))
        processor.append(calls * units / max(time.thread_time() - busy, 1e-9))
    return statistics.median(wall), statistics.median(processor)


@dataclass(frozen=True)
class Flows:
    """Power flows of one feeder on one number of threads."""

    per_s: float
    sweep_s: float
    """Processor time of one sweep of one operating point, on one thread."""


def operating_points(feeder: Any, points: int) -> tuple[Float, Float]:
    """(points, n_load) kW and kvar: each load at half to all of its nameplate."""
    share = np.random.default_rng(0).uniform(0.5, 1.0, (points, len(feeder.load_bus)))
    return share * feeder.load_p_kw, share * feeder.load_q_kvar


def solve_points(feeder: Any, load_kw: Float, load_kvar: Float) -> Callable[[], tuple[Any, Any]]:
    """A function that solves these points and returns voltage magnitudes and sweeps."""
    shape = (len(load_kw), feeder.n_bus)
    p_pu, q_pu = np.zeros(shape), np.zeros(shape)
    for i, bus in enumerate(feeder.load_bus.tolist()):
        p_pu[:, bus] += load_kw[:, i] / feeder.s_base_kva
        q_pu[:, bus] += load_kvar[:, i] / feeder.s_base_kva
    v_re, v_im, j_re, j_im = (np.zeros(shape) for _ in range(4))
    sweeps = np.zeros(len(load_kw), dtype=np.int64)

    def solve() -> tuple[Any, Any]:
        solve_batch(
            feeder.parent, feeder.r_pu, feeder.x_pu, feeder.tap, feeder.shunt_g_pu,
            feeder.shunt_b_pu, feeder.slack_voltage_pu, 1e-10, 100, p_pu, q_pu, v_re, v_im, j_re,
            j_im, sweeps,
        )  # fmt: skip
        return (v_re, v_im), sweeps

    return solve


def measure_flows(feeder: Any, threads: int, effort: Effort) -> Flows:
    """Batches of `FLOW_BATCH` on each thread; the compiled solver does not hold Python's lock."""
    load_kw, load_kvar = operating_points(feeder, FLOW_BATCH)
    solvers = [solve_points(feeder, load_kw, load_kvar) for _ in range(threads)]
    _, sweeps = solvers[0]()
    if (sweeps < 0).any():
        raise RuntimeError(f"{feeder.name}: {(sweeps < 0).sum()} operating points have no solution")
    rounds = 8

    def many(solve: Callable[[], Any]) -> None:
        for _ in range(rounds):
            solve()

    with ThreadPoolExecutor(threads) as pool:

        def call() -> None:
            if threads == 1:
                many(solvers[0])
            else:
                list(pool.map(many, solvers))

        wall, processor = median_rates(call, threads * rounds * FLOW_BATCH, effort)
    return Flows(wall, 1.0 / (processor * float(sweeps.mean())) if threads == 1 else math.nan)


def measure_simulator(
    scenario: str, num_envs: int, threads: int, effort: Effort, flows: Flows
) -> dict[str, Any]:
    """Steps/s of the simulator itself, its memory, and the power flow's share of a step."""
    simulator = daogym.make_simulator(scenario, num_envs, threads=threads, stagger=True)
    simulator.reset(seed=0)
    actions = random_actions(num_envs, simulator.action_size)
    turn = 0
    sweeps_at = simulator.event_names.index("power_flow_sweeps")
    sweeps = []

    def call() -> None:
        nonlocal turn
        simulator.step(actions[turn % 16])
        turn += 1

    for _ in range(simulator.horizon):
        call()
        sweeps.append(float(simulator.events[:, sweeps_at].mean()))
    wall, processor = median_rates(call, num_envs, effort)
    mean_sweeps = statistics.fmean(sweeps)
    full = threads == 1 and num_envs >= FULL_TILES
    state = simulator.snapshot()
    return {
        "env_steps_per_s": wall,
        "sweeps_per_step": mean_sweeps,
        "power_flow_share": mean_sweeps * flows.sweep_s * processor if full else None,
        "bytes_per_env": sum(array.nbytes for array in state.values()) / num_envs,
    }


def measure_gymnasium(scenario: str, num_envs: int, threads: int, effort: Effort) -> float:
    """Steps/s through `gymnasium.make` (N = 1) or `gymnasium.make_vec`, resets included."""
    name = next(r.id for r in daogym.REGISTERED if r.scenario == scenario and not r.options)
    if num_envs == 1:
        env: Any = gymnasium.make(name)
        env.reset(seed=0)
        actions = [a[0] for a in random_actions(1, env.action_space.shape[0])]
        turn = 0

        def one() -> None:
            nonlocal turn
            _, _, terminated, _, _ = env.step(actions[turn % 16])
            turn += 1
            if terminated:
                env.reset()

        return median_rates(one, 1, effort)[0]
    vector: Any = gymnasium.make_vec(name, num_envs=num_envs, threads=threads)
    vector.reset(seed=0)
    sets = random_actions(num_envs, vector.single_action_space.shape[0])
    turns = 0

    def batch() -> None:
        nonlocal turns
        vector.step(sets[turns % 16])
        turns += 1

    return median_rates(batch, num_envs, effort)[0]


def measure(
    scenarios: list[str],
    threads: list[int],
    effort: Effort,
    peers: bool,
    charter: str | None = None,
) -> dict[str, Any]:
    """Everything; see the module's docstring."""
    about = machine()
    records: list[dict[str, Any]] = []
    flows: dict[tuple[str, int], Flows] = {}
    for scenario in scenarios:
        feeder = daogym.make_simulator(scenario, 1).domain.feeder  # type: ignore[attr-defined]
        for count in threads:
            flows[scenario, count] = measure_flows(feeder, count, effort)
    compared = _compare(effort) if peers else []
    for scenario in scenarios:
        for num_envs in effort.num_envs:
            for count in threads if num_envs >= FULL_TILES else threads[:1]:
                base = {
                    "env": scenario,
                    "num_envs": num_envs,
                    "threads": count,
                    "power_flows_per_s": flows[scenario, count].per_s,
                    "peers": compared,
                }
                found = measure_simulator(scenario, num_envs, count, effort, flows[scenario, count])
                records.append({**base, "face": FACES[0], **found})
                if num_envs in (1, effort.num_envs[-1]):
                    rate = measure_gymnasium(scenario, num_envs, count, effort)
                    face = FACES[1] if num_envs == 1 else FACES[2]
                    records.append({**base, "face": face, "env_steps_per_s": rate})
    best = max(
        (r for r in records if r["env"] == scenarios[-1] and r["face"] == FACES[0]),
        key=lambda record: record["env_steps_per_s"],
    )
    keys = ("env", "num_envs", "threads", "env_steps_per_s", "power_flows_per_s", "peers")
    result = {**{key: best[key] for key in keys}, "machine": about, "records": records}
    if charter is not None:
        result["charter"] = [
            measure_charter(scenarios[-1], charter, n, effort.repeats, effort.seconds)
            for n in effort.num_envs
            if n >= FULL_TILES
        ]
    return result


def _compare(effort: Effort) -> list[dict[str, Any]]:
    """Peers on the points of the 33-bus feeder."""
    feeder = daogym.make_simulator("ieee33", 1).domain.feeder  # type: ignore[attr-defined]
    load_kw, load_kvar = operating_points(feeder, FLOW_BATCH)
    (v_re, v_im), _ = solve_points(feeder, load_kw, load_kvar)()
    seconds = max(effort.repeats * effort.seconds, 0.2)
    return measure_peers(load_kw, load_kvar, np.hypot(v_re, v_im), seconds)


def show(result: dict[str, Any], console: Console) -> None:
    """Tables for people."""
    about = result["machine"]
    console.print(
        f"{about['cpu']}, {about['cores']} cores, load {about['load_average_1min']} at the start, "
        f"Python {about['python']}, numba {about['numba']}"
    )
    if about["load_average_1min"] > 0.5:
        console.print("Other work is running on this machine: the rates are lower bounds.")
    table = Table(title="environment steps; a step is a quarter-hour with its AC power flow")
    for column in ("scenario", "through", "N", "threads", "steps/s", "flow's share", "bytes/env"):
        table.add_column(column, justify="left" if column in ("scenario", "through") else "right")
    for r in result["records"]:
        share, size = r.get("power_flow_share"), r.get("bytes_per_env")
        table.add_row(
            r["env"], r["face"], str(r["num_envs"]), str(r["threads"]),
            f"{r['env_steps_per_s']:,.0f}", f"{share:.0%}" if share is not None else "",
            f"{size:,.0f}" if size is not None else "",
        )  # fmt: skip
    console.print(table)
    table = Table(title="power flows to 1e-10 pu")
    for column in ("solver", "how", "threads", "flows/s", "largest voltage difference"):
        table.add_column(column, justify="left" if column in ("solver", "how") else "right")
    seen = dict.fromkeys(
        (r["env"], r["threads"], r["power_flows_per_s"]) for r in result["records"]
    )
    for scenario, count, rate in seen:
        how = f"solve_batch, {scenario}, batches of {FLOW_BATCH}"
        table.add_row("daogym", how, str(count), f"{rate:,.0f}", "")
    for peer in result["peers"]:
        if "error" in peer:
            table.add_row(peer["name"], escape(peer["error"]), "", "", "")
        else:
            table.add_row(
                f"{peer['name']} {peer['version']}", f"case33bw, {peer['how']}",
                str(peer["threads"]), f"{peer['power_flows_per_s']:,.0f}",
                f"{peer['max_voltage_difference_pu']:.1e} pu",
            )  # fmt: skip
    console.print(table)
    for row in result.get("charter", []):
        console.print(
            f"{row['scenario']}, N = {row['num_envs']}, one thread: a {row['charter']} charter "
            f"adds {row['added_share']:.0%} to a step of {row['step_ns']['static']:,.0f} ns"
        )


def main(arguments: list[str] | None = None) -> None:
    """The command."""
    assert __doc__ is not None
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--quick", action="store_true", help="small batches, short repeats")
    parser.add_argument("--no-peers", action="store_true", help="leave the other solvers out")
    parser.add_argument("--scenarios", nargs="+", default=["lv_rural", "ieee33"], metavar="NAME",
                        help="the last one's fastest record is the headline")  # fmt: skip
    parser.add_argument("--charter", choices=("static", "voted"),
                        help="also what it adds to a step of the last scenario")  # fmt: skip
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2], metavar="T")
    options = parser.parse_args(arguments)
    cores = len(os.sched_getaffinity(0))
    threads = [count for count in options.threads if count <= cores]
    if not threads:
        parser.error(f"--threads: at most {cores} expected here, got {options.threads}")
    effort = QUICK if options.quick else FULL
    result = measure(options.scenarios, threads, effort, not options.no_peers, options.charter)
    if options.json:
        print(json.dumps(result, indent=1))
    else:
        show(result, Console(width=120))


if __name__ == "__main__":
    main()
