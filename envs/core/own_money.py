"""Own money of several parties in a lane's state: of the step, of the episode, of the last one."""

from __future__ import annotations

from .compiled import inlined_function
from .layout import Float


@inlined_function
def keep_own_money(
    lane: int, count: int, of_step: int, so_far: int, of_episode: int, over: bool, sf: Float
) -> None:
    """Add `count` parties' money of the step to the episode's, which is kept when it is over.

    Args:
        of_step, so_far, of_episode: columns of the first party's in the state.
        over: whether the episode ends with this step.
    """
    for i in range(count):
        sf[lane, so_far + i] += sf[lane, of_step + i]
        if over:
            sf[lane, of_episode + i] = sf[lane, so_far + i]
