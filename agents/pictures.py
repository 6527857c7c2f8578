"""A picture of one episode: what a policy did beside a rule, in the same world."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .comparison import TargetError, load_target
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
        policy = load_target(target)
        mode = None if policy is None else policy.action_mode
        simulator = one.simulator(make, mode, autoreset="disabled")
        domain = simulator.domain
        if policy is None:
            if target not in domain.controller_names:
                raise TargetError(f"{target!r} cannot act, so its episode cannot be drawn")
            controller = domain.make_controller(target)
            if controller.action_mode != domain.action_mode:
                simulator = one.simulator(make, controller.action_mode, autoreset="disabled")
        else:
            controller = policy
        controller.reset(simulator)
        players.append((Path(target).name, simulator, controller.act))
    simulator.domain.plot_episodes(players, path)
    return True
