"""Golden trajectories: one digest for each registered id.

A digest is sha256 over what an agent sees and gets in a fixed run: observations, rewards, costs and
flags. Actions come from an integer hash of (lane, step, element), so that neither NumPy's
generators nor the simulator's own random streams choose them. A digest that changes means that an
id no longer names the same world: bump the id's version, then rewrite the file on purpose with

    python -m tests.registered.golden --write
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import daogym

FILE = Path(__file__).with_name("golden.json")
LANES, SEED, STEPS_BEYOND_THE_END = 3, 20230514, 12


def hashed_actions(
    lanes: int, size: int, step: int | NDArray[np.int64], stream: int = 0
) -> NDArray[np.float32]:
    """Actions in [-1, 1], (lanes, size), as multiples of 2**-23.

    splitmix64's finaliser (Steele, Lea and Flood, OOPSLA 2014) of the place of each number;
    `step` is one number or one a lane.
    """
    lane = np.arange(lanes, dtype=np.uint64)[:, None]
    element = np.arange(size, dtype=np.uint64)[None, :]
    when = np.asarray(step, dtype=np.uint64).reshape(-1, 1)
    x = (np.uint64(stream) << np.uint64(56)) ^ (lane << np.uint64(40))
    x = x ^ (when << np.uint64(12)) ^ element
    x = (x + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    x = x ^ (x >> np.uint64(31))
    signed = (x >> np.uint64(40)).astype(np.int64) - (1 << 23)
    return (signed / (1 << 23)).astype(np.float32)


def digest(entry: daogym.envs.registry.Registration) -> str:
    """Digest of one id: three lanes, a little more than one episode."""
    simulator = daogym.make_simulator(entry.scenario, LANES, **entry.options)
    simulator.reset(seed=SEED)
    running = hashlib.sha256(simulator.observations.tobytes())
    for step in range(simulator.horizon + STEPS_BEYOND_THE_END):
        simulator.step(hashed_actions(LANES, simulator.action_size, step))
        for array in (
            simulator.observations,
            np.ascontiguousarray(simulator.rewards),
            np.ascontiguousarray(simulator.costs),
            simulator.terminated,
            simulator.truncated,
        ):
            running.update(array.tobytes())
    return running.hexdigest()


def digest_of_agents(entry: daogym.envs.registry.Registration) -> str:
    """The same of an id of several agents: what each of them sees and earns by itself."""
    team: Any = daogym.make_multi_agent(entry.id, LANES)
    team.reset(seed=SEED)
    shape = (LANES, len(team.agents), team.layout.action_size)
    running = hashlib.sha256(team.observations.tobytes())
    for step in range(team.horizon + STEPS_BEYOND_THE_END):
        team.step(hashed_actions(LANES, shape[1] * shape[2], step).reshape(shape))
        for array in (team.observations, team.rewards, team.team_rewards, team.costs):
            running.update(np.ascontiguousarray(array).tobytes())
    return running.hexdigest()


def main(arguments: Sequence[str]) -> int:
    """Print the digests of the named ids (default all); ``--write`` keeps them in the file."""
    write = "--write" in arguments
    names = [a for a in arguments if a != "--write"]
    digests = {
        entry.id: make(entry)
        for entries, make in (
            (daogym.REGISTERED, digest),
            (daogym.MULTI_AGENT, digest_of_agents),
        )
        for entry in entries
        if not names or entry.id in names
    }
    text = json.dumps(digests, indent=2) + "\n"
    if write:
        kept = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() and names else {}
        FILE.write_text(json.dumps({**kept, **digests}, indent=2) + "\n", encoding="utf-8")
    print(text, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
