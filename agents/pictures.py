"""A picture of one episode: what a policy did beside a rule, in the same world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .comparison import actor_of_target
from .evaluation import EpisodeSet, MakeSimulator


def plot_episode(
    targets: Sequence[str], episodes: EpisodeSet, make: MakeSimulator, path: Path
) -> bool:
    """Play the first of the episodes with each target and let the domain draw them side by side.

    Args:
        targets: run directories, ``.onnx`` files or controllers' names.
        path: PNG to write.

    Returns:
        Whether the domain draws episodes at all.

    Raises:
        TargetError: a target that cannot act.
    """
    one = replace(episodes, episodes=1)
    if not hasattr(one.simulator(make, None).domain, "plot_episodes"):
        return False
    players = []
    for target in targets:
        actor, simulator = actor_of_target(target, one, make)
        actor.reset(simulator)
        players.append((Path(target).name, simulator, actor.act))
    simulator.domain.plot_episodes(players, path)
    return True
