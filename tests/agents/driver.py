"""Trains on a world of the tests in a process of its own.

driver.py WORLD --config JSON, or driver.py WORLD --resume RUN; WORLD is toy or grid. With a last
word ``slow`` every step takes a little longer and nothing is concluded: such a process is started
to be killed.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from conftest import load_world  # type: ignore[import-not-found]

from daogym.agents import results_cache, training
from daogym.agents.config import TrainConfig
from daogym.envs.adapters.sb3 import SB3VecEnv
from daogym.envs.core.strict import load_mapping


def main() -> None:
    world, first, second, *rest = sys.argv[1:]

    class SlowEnv(SB3VecEnv):
        def step_wait(self) -> Any:
            time.sleep(0.002)
            return super().step_wait()

    options: dict[str, Any] = {
        "make_simulator": load_world(world).make_simulator,
        "conclude": not rest,
    }
    if rest:
        options["make_env"] = SlowEnv
    if first == "--resume":
        run = Path(second)
        cache = run.parent / "results"
    else:
        settings = json.loads(second)
        cache = Path(settings["run_root"]) / "results"
    results_cache.ResultsCache.default = classmethod(lambda cls: cls(cache))  # type: ignore[method-assign, assignment]
    if first == "--resume":
        training.resume(run, **options)
    else:
        training.train(load_mapping(settings, TrainConfig), **options)


if __name__ == "__main__":
    main()
