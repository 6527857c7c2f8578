"""The stories of `capture_cases` as policies: what the attacker of the case did, in the game or as
the adversary of a domain.

At a decision clock of one step a script makes the story's moves at the story's steps; at a coarser
one it buys the same slices, but proposes and votes at the next decision. It never sells: what is
left is sold at the end, as the stories do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.simulator import Simulator

from . import adversary_layout as at
from .adversary import AdversaryDomain
from .adversary_acts import SLICE
from .adversary_means import PREFIX
from .capture_lane import ATTACKER, POOL, START
from .capture_market import parts
from .governor_layout import P_DURATION, P_SNAPSHOT
from .votes import V_BALANCE

BUYING, SPLITTING, PROPOSING, VOTING, WAITING, DONE = range(6)
_SCALARS = [name for name, _ in at.SCALARS]
ATTEMPTS = {"apathy": 2}
"""Proposals of a story that tries more than once."""


class Story:
    """The case's own attack, lane by lane.

    Args:
        simulator: a game of `make_adversary`, or a domain under a charter of mode `attacked`; its
            state is read, as the attacker knows the DAO's.

    Raises:
        ValueError: a simulator without an adversary.
    """

    def __init__(self, simulator: Simulator) -> None:
        domain: Any = simulator.domain
        self.simulator = simulator
        self.columns = slice(0, len(at.ACTIONS))
        if isinstance(domain, AdversaryDomain):
            self.charter, self.rules = domain.charter, domain.rules
            self.decision = domain.scenario.decision_steps
            self._parts = {"tokens": "tokens", "proposals": "proposals"}
        else:
            governance = getattr(domain, "governance", None)
            if governance is None or governance.attack is None:
                raise ValueError(f"{domain.name}: a charter of mode 'attacked' is expected")
            self.charter, self.rules = governance.attack.case, governance.attack.rules
            self.decision = 1
            self._parts = {"tokens": "votes", "proposals": "proposals"}
            first = domain.action_fields.slice(PREFIX + at.ACTIONS[0]).start
            self.columns = slice(first, first + len(at.ACTIONS))
        a, units = self.charter.attacker, self.charter.units
        self.slices = [p for p in parts(units(a.stake_tokens), a.slices) if p > 0]
        second = units(a.stake_tokens - a.early_tokens) if self.charter.story == "late_vote" else 0
        self.second = second
        self.phase = np.zeros(simulator.num_envs, dtype=np.int64)

    def actions(self) -> NDArray[np.float32]:
        """(N, action size) for the next decision; in a domain all else is 0."""
        shape = (self.simulator.num_envs, self.simulator.action_size)
        actions = np.zeros(shape, dtype=np.float32)
        for lane in range(len(actions)):
            self._decide(lane, actions[lane, self.columns])
        return actions

    def _of(self, name: str, lane: int) -> Any:
        if name in self._parts:
            return self.simulator.state(self._parts[name])[lane]
        if isinstance(self.simulator.domain, AdversaryDomain):
            return self.simulator.state(name)[lane]
        return self.simulator.state("adversary")[lane, _SCALARS.index(name)]

    def _begins(self, lane: int) -> bool:
        step, first = int(self.simulator.state("step")[lane]), 0
        if isinstance(self.simulator.domain, AdversaryDomain):
            first = START
        return step == first

    def _decide(self, lane: int, action: NDArray[np.float32]) -> None:
        step = int(self._of("step", lane))
        if self._begins(lane):
            self.phase[lane] = BUYING
        if self.phase[lane] == BUYING:
            self._buy(lane, action)
        if self.phase[lane] == SPLITTING:
            own = int(self._of("tokens", lane)[ATTACKER, V_BALANCE])
            action[at.A_SPLIT] = self.second / own
            self.phase[lane] = PROPOSING
        elif self.phase[lane] == PROPOSING:
            action[at.A_PROPOSE] = 1.0
            action[at.A_BORROW] = 1.0 if self.charter.token.exchange > 0 else 0.0
            self.phase[lane] = VOTING
        elif self.phase[lane] == VOTING:
            self._vote(lane, step, action)
        elif self.phase[lane] == WAITING:
            self.phase[lane] = PROPOSING

    def _buy(self, lane: int, action: NDArray[np.float32]) -> None:
        """A slice a step, as many as the decision has steps; fewer are spread over them."""
        done = int(self._of("tokens", lane)[ATTACKER, V_BALANCE])
        left = sum(self.slices) - done
        if left <= 0 or done + 1000 > sum(self.slices):
            self.phase[lane] = SPLITTING if self.second > 0 else PROPOSING
            return
        pool = int(self._of("tokens", lane)[POOL, V_BALANCE])
        amount = min(self.slices[0], -(-left // self.decision))
        action[at.A_TRADE] = math.sqrt((amount + 0.5) / (SLICE * pool))

    def _vote(self, lane: int, step: int, action: NDArray[np.float32]) -> None:
        """Votes at the story's moments; after a defeat the next attempt, if there is one."""
        slot = int(self._of("slot", lane))
        if slot < 0:
            made, outcome = int(self._of("made", lane)), int(self._of("outcome", lane))
            again = outcome == at.DEFEAT and made < ATTEMPTS.get(self.charter.story, 1)
            self.phase[lane] = WAITING if again else DONE
            if again and self.decision == 1:
                self.phase[lane] = PROPOSING
            return
        proposal = self._of("proposals", lane)[slot]
        snapshot, period = int(proposal[P_SNAPSHOT]), int(proposal[P_DURATION])
        if self.charter.story == "beanstalk":
            if step >= snapshot + max(self.rules.emergency_wait, 1):
                action[at.A_BORROW], action[at.A_VOTE] = 1.0, 0.3
        elif self.charter.story == "late_vote":
            early = snapshot + 1 + int(self.charter.attacker.early_at * period)
            if step >= snapshot + period:
                action[at.A_VOTE] = 1.0
            elif self.charter.attacker.early_tokens > 0 and step >= early:
                action[at.A_VOTE] = 0.3
        else:
            action[at.A_VOTE] = 1.0
