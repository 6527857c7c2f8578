"""The governed parameters of the coming steps: as they will be, and as they are announced.

Under a voted charter the rules are a function of the episode's key, so a copy of the lanes that is
played to the end with any actions meets the very rules that the lanes themselves will meet. Where
actions change them (`Charter.answers_actions`), these are the rules if nobody asks for anything
more; bounds then take the most favourable values instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float

from .governance_events import captured_value, is_captured_by_an_attack
from .governance_layout import A_STEP, VALUE_SCALE
from .governor_layout import P_CLOSED, P_ETA_S, P_TARGET, P_VALUE

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator


def true_rules(simulator: Simulator) -> Float:
    """Values in force in each step of the episode from the present one on.

    Returns:
        (N, steps, parameters); steps after a lane's episode repeat its last values. The lanes are
        copied into a twin; the simulator itself is not touched.
    """
    from daogym.envs.core.simulator import Simulator as Twin

    domain: Any = simulator.domain
    left = simulator.horizon - int(simulator.state("step").min())
    now = simulator.state("governed")
    if domain.governance is None:
        return np.broadcast_to(now[:, None], (len(now), left, now.shape[1]))
    twin = Twin(domain, simulator.num_envs, autoreset="disabled")
    twin.restore(simulator.snapshot())
    actions = np.zeros((twin.num_envs, twin.action_size), dtype=np.float32)
    path = np.empty((len(now), left, now.shape[1]))
    for step in range(left):
        path[:, step] = twin.state("governed")
        twin.step(actions)
    return path


def announced_rules(simulator: Simulator, steps: int, *, reads_queue: bool) -> Float:
    """Values in force now and after each change that waits in the timelock.

    Args:
        reads_queue: False takes what is in force now for all steps.

    Returns:
        (N, steps, parameters), from the present step on.
    """
    domain: Any = simulator.domain
    now = simulator.state("governed")
    path = np.repeat(now[:, None], steps, axis=1)
    governance = domain.governance
    if governance is None or not reads_queue:
        return path
    proposals = simulator.state("proposals")
    queued = (proposals[..., P_ETA_S] > 0) & (proposals[..., P_CLOSED] == 0)
    clock = simulator.state("agenda")[:, A_STEP]
    low, high, _ = governance.floats.reshape(3, -1)
    for lane, slot in np.argwhere(queued).tolist():
        proposal = proposals[lane, slot]
        # The governor executes at the end of step eta of its clock: in force one step later.
        first = max(int(proposal[P_ETA_S] - clock[lane]) + 1, 0)
        target = int(proposal[P_TARGET])
        if target >= len(low):
            for p in range(len(low)):
                if is_captured_by_an_attack(governance.ints, p):
                    value = captured_value(governance.ints, governance.floats, now[lane, p], p)
                    path[lane, first:, p] = value
            continue
        share = proposal[P_VALUE] / VALUE_SCALE
        path[lane, first:, target] = low[target] + share * (high[target] - low[target])
    return path
