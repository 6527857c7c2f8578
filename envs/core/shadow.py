"""A simulator whose baselines are what the zero action earns in the same worlds: shadow lanes.

Some worlds have no money that could be tabulated without an action: what a queue earns depends on
what was let into it. There a second simulator of the same lanes takes the zero action; what it
earns does not depend on the actions of the first, so a learner may subtract it from its rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .simulator import Autoreset, Domain, Simulator

_PREFIX = "shadow_"


class ShadowedSimulator(Simulator):
    """A `Simulator` that steps twice as many lanes; `baselines` holds the shadow lanes' rewards.

    Arguments and errors are those of `Simulator`. Both sides begin and end their episodes at the
    same steps, since draws depend on seed and step alone.
    """

    def __init__(
        self,
        domain: Domain,
        num_envs: int,
        *,
        threads: int = 1,
        autoreset: Autoreset = "same_step",
        stagger: bool = False,
        carry: bool = False,
        specialise: bool = False,
    ) -> None:
        options: Any = {
            "threads": threads, "autoreset": autoreset, "stagger": stagger, "carry": carry,
            "specialise": specialise,
        }  # fmt: skip
        super().__init__(domain, num_envs, **options)
        self.shadow = Simulator(domain, num_envs, **options)
        self._idle = np.zeros((num_envs, self.action_size), dtype=np.float32)

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        mask: ArrayLike | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """`Simulator.reset` of both sides."""
        super().reset(seed, mask, options)
        if seed is None:
            for name in ("root_key", "episode"):
                self.shadow.state(name)[:] = self.state(name)
            # The shadow begins the same episodes: those of the lanes before they were begun.
            begun = np.ones(self.num_envs, dtype=np.bool_) if mask is None else np.asarray(mask)
            self.shadow.state("episode")[begun] -= 1
            self.shadow._seeded = True
        self.shadow.reset(seed, mask, options)

    def step(self, actions: ArrayLike) -> None:
        """`Simulator.step` of both sides, the shadow's with the zero action."""
        super().step(actions)
        self.shadow.step(self._idle)
        self.baselines[:] = self.shadow.rewards

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """`Simulator.snapshot` of both sides."""
        of_shadow = self.shadow.snapshot()
        return super().snapshot() | {_PREFIX + name: a for name, a in of_shadow.items()}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """`Simulator.restore` of both sides."""
        n = len(_PREFIX)
        of_shadow = {name[n:]: a for name, a in snapshot.items() if name.startswith(_PREFIX)}
        self.shadow.restore(of_shadow)
        super().restore(snapshot)
