"""The face of everything that acts on a simulator without having learnt: rules, plans, searches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from .simulator import Simulator

Actions = NDArray[np.float32]


class Controller:
    """Acts for all lanes of a simulator; what it keeps between steps is dropped by `reset`.

    A domain's controllers set `name`, and `action_mode` to one of the domain's.
    """

    name = ""
    action_mode: Any = ""

    def reset(self, simulator: Simulator) -> None:
        """Get ready for a simulator whose lanes stand at their starts.

        Raises:
            ValueError: the simulator takes actions of the other mode.
        """
        mode = simulator.domain.action_mode  # type: ignore[attr-defined]
        if mode != self.action_mode:
            raise ValueError(
                f"{self.name} acts in mode {self.action_mode!r}, the simulator takes {mode!r}"
            )

    def act(self, simulator: Simulator) -> Actions:
        """Normalised actions, (N, action_size) float32."""
        raise NotImplementedError

    def _idle(self, simulator: Simulator) -> Actions:
        return np.zeros((simulator.num_envs, simulator.action_size), dtype=np.float32)
