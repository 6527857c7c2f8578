"""Ledgers of evaluated episodes: one hash-chained file an episode (`daogym.envs.dao.ledger`)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daogym.envs.dao.ledger import LedgerWriter

from .comparison import TargetError, actor_of_target
from .evaluation import EpisodeSet, MakeSimulator


def write_ledgers(
    targets: Sequence[str],
    episodes: EpisodeSet,
    make: MakeSimulator,
    folder: Path,
    threads: int = 1,
) -> list[Path]:
    """Play every target and write ``folder/<target>-<episode>.jsonl``; the files in order.

    Nothing is played where a file is there already.

    Args:
        targets: run directories, ``.onnx`` files or controllers' names.

    Raises:
        TargetError: a target that cannot act, a file that is there, or a domain without ledgers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {target: _paths(folder, target, episodes.episodes) for target in targets}
    for path in (path for each in paths.values() for path in each):
        if path.exists():
            raise TargetError(f"{path}: exists already; a ledger is never written over")
    for target in targets:
        actor, simulator = actor_of_target(target, episodes, make, threads)
        _play(actor, simulator, episodes.seed, paths[target])
    return [path for each in paths.values() for path in each]


def _paths(folder: Path, target: str, count: int) -> list[Path]:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(target).name)
    return [folder / f"{name}-{number:03d}.jsonl" for number in range(count)]


def _play(actor: Any, simulator: Any, seed: int, paths: Sequence[Path]) -> None:
    domain = simulator.domain
    if not hasattr(domain, "make_chronicle"):
        raise TargetError(f"the domain {domain.name!r} writes no ledgers")
    charter = simulator.scenario.charter.model_dump(mode="json")
    with contextlib.ExitStack() as stack:
        writers = [
            stack.enter_context(
                LedgerWriter(
                    path, scenario=simulator.scenario_hash, seed=seed + number, charter=charter
                )
            )
            for number, path in enumerate(paths)
        ]
        actor.reset(simulator)
        chronicle = domain.make_chronicle(simulator, writers)
        for _ in range(simulator.horizon):
            simulator.step(actor.act(simulator))
            chronicle.step()
