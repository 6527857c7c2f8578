"""An operator's seat shared among agents: each sees and sets a part of what one operator would.

`SharedControl` turns a batched simulator into the batched multi-agent environment of
`multi_agent.py`. The world, its rules and its rewards are the simulator's own: together the agents'
actions are one action of the operator. Nothing is done environment by environment.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .layout import Float, Int
from .multi_agent import Agent, AgentGroup, AgentLayout
from .simulator import Simulator

Float32 = NDArray[np.float32]
ABSENT = -1
"""Column of a number that an agent's group has and the agent itself has not."""


@dataclass(frozen=True)
class Seat:
    """One agent's part of the operator's seat.

    Attributes:
        agent: who sits there.
        observes: (fields of the group's observation,) columns of the operator's observation;
            `ABSENT` shows the low end.
        acts: (fields of the group's action,) columns of the operator's action; what is set for an
            `ABSENT` one is ignored.
    """

    agent: Agent
    observes: Int
    acts: Int


@dataclass(frozen=True)
class Seats:
    """How a domain shares its operator's seat.

    Attributes:
        groups: agents of one share a policy.
        seats: one for each agent; no column of the action is set by two. What nobody sets is 0.
        money: (N, A) of the episode so far, each agent's own, 0 at a start; None gives every agent
            an equal share of the team's reward.
    """

    groups: tuple[AgentGroup, ...]
    seats: tuple[Seat, ...]
    money: Callable[[Simulator], Float] | None = None


class SharedControl:
    """N environments of A agents who share the operator's seat; a `MultiAgentSimulator`.

    Args:
        simulator: with autoreset "disabled": episodes are begun here, in the step that ends one,
            after the agents' own money has been read.
        seats: who sees and sets what.

    The team's reward is the simulator's.

    Raises:
        ValueError: another autoreset, a column outside of the simulator's or set by two agents, or
            a seat that does not fit its group.
    """

    autoreset = "same_step"

    def __init__(self, simulator: Simulator, seats: Seats) -> None:
        if simulator.autoreset != "disabled":
            raise ValueError(f"autoreset 'disabled' expected, got {simulator.autoreset!r}")
        self.simulator, self.seats = simulator, seats
        self.agents = tuple(seat.agent for seat in seats.seats)
        self.groups = seats.groups
        self.layout = AgentLayout(self.agents, self.groups)
        self.num_envs, self.horizon = simulator.num_envs, simulator.horizon
        self.reward_scale = simulator.domain.reward_scale
        self.state_fields = simulator.observation_fields
        self.cost_names = simulator.cost_names
        n, a, d = self.num_envs, self.layout.n_agents, self.layout.observation_size
        self._observed, self._acted = self._columns()
        # One number more than the operator's, always at the low end: what absent columns show.
        self._seen = np.full((n, self.state_fields.size + 1), -1.0, dtype=np.float32)
        self._action = np.zeros((n, simulator.action_size + 1), dtype=np.float32)
        self.observations: Float32 = np.zeros((n, a, d), dtype=np.float32)
        self.final_observations: Float32 = np.zeros((n, a, d), dtype=np.float32)
        self.states: Float32 = self._seen[:, :-1]
        self.final_states: Float32 = np.zeros((n, self.state_fields.size), dtype=np.float32)
        self.alive = np.ones((n, a), dtype=np.bool_)
        self.rewards: Float = np.zeros((n, a))
        self.baselines: Float = np.zeros((n, a))
        self._money: Float = np.zeros((n, a))
        self.team_rewards: Float = np.zeros(n)
        self.team_baselines: Float = np.zeros(n)
        self.costs: Float = np.zeros((n, len(self.cost_names)))
        self.terminated = np.zeros(n, dtype=np.bool_)
        self.truncated = np.zeros(n, dtype=np.bool_)
        self._sums: Float = np.zeros((n, a))
        self.episode_rewards: Float = np.zeros((n, a))
        self.episode_team_reward: Float = np.zeros(n)
        self.episode_costs: Float = np.zeros((n, len(self.cost_names)))
        self.episode_length: Float = np.zeros(n)

    def _columns(self) -> tuple[Int, Int]:
        """(A, D) and (A, K) columns, padded; `ABSENT` is the spare last column of each array."""
        layout, s = self.layout, self.simulator
        shape = (layout.n_agents, layout.observation_size)
        observed = np.full(shape, s.observation_fields.size, dtype=np.int64)
        acted = np.full((layout.n_agents, layout.action_size), s.action_size, dtype=np.int64)
        setters: dict[int, str] = {}
        for a, seat in enumerate(self.seats.seats):
            group = layout.groups[int(layout.group_of[a])]
            for what, columns, target, wanted, size in (
                ("observes", seat.observes, observed, group.observation_fields.size,
                 s.observation_fields.size),
                ("acts", seat.acts, acted, group.action_fields.size, s.action_size),
            ):  # fmt: skip
                if columns.shape != (wanted,):
                    raise ValueError(
                        f"agent {seat.agent.name!r}: {what} has shape {columns.shape}, its group "
                        f"{group.name!r} has {wanted} numbers"
                    )
                if ((columns < ABSENT) | (columns >= size)).any():
                    raise ValueError(
                        f"agent {seat.agent.name!r}: {what}: columns from {ABSENT} to {size - 1} "
                        f"expected, got {columns.tolist()}"
                    )
                target[a, :wanted] = np.where(columns == ABSENT, size, columns)
            for column in seat.acts[seat.acts != ABSENT].tolist():
                if column in setters:
                    raise ValueError(
                        f"column {column} of the action is set by {setters[column]!r} and by "
                        f"{seat.agent.name!r}"
                    )
                setters[column] = seat.agent.name
        return observed, acted

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        mask: NDArray[np.bool_] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin an episode in all environments, or in those of `mask`; see `Simulator.reset`."""
        self.simulator.reset(seed, mask, options)
        chosen = np.ones(self.num_envs, dtype=np.bool_) if mask is None else mask
        self._sums[chosen] = 0.0
        self._look()
        self._money[chosen] = self._money_now()[chosen]

    def _look(self) -> None:
        self._seen[:, :-1] = self.simulator.observations
        np.take(self._seen, self._observed, axis=1, out=self.observations, mode="clip")

    def _money_now(self) -> Float:
        money = self.seats.money
        return self._money if money is None else money(self.simulator)

    def step(self, actions: Float32) -> None:
        """Step all environments.

        Args:
            actions: (N, A, K), normalised to [-1, 1].

        Raises:
            ValueError: another shape.
        """
        s = self.simulator
        given = np.asarray(actions, dtype=np.float32)
        wanted = (self.num_envs, *self._acted.shape)
        if given.shape != wanted:
            raise ValueError(f"actions: shape {wanted} expected, got {given.shape}")
        self._action[:, self._acted.reshape(-1)] = given.reshape(self.num_envs, -1)
        s.step(self._action[:, :-1])
        self.team_rewards[:], self.team_baselines[:] = s.rewards, s.baselines
        self.costs[:] = s.costs
        self.terminated[:], self.truncated[:] = s.terminated, s.truncated
        self._share()
        self._look()
        ended = self.terminated | self.truncated
        if ended.any():
            self._end(ended)

    def _share(self) -> None:
        """Each agent's own money of the step; where it has none, an equal share of the team's."""
        if self.seats.money is None:
            self.rewards[:] = (self.team_rewards / self.layout.n_agents)[:, None]
            self.baselines[:] = (self.team_baselines / self.layout.n_agents)[:, None]
        else:
            now = self._money_now()
            np.subtract(now, self._money, out=self.rewards)
            self._money[:] = now
        self._sums += self.rewards

    def _end(self, ended: NDArray[np.bool_]) -> None:
        s = self.simulator
        self.final_observations[ended] = self.observations[ended]
        self.final_states[ended] = self.states[ended]
        self.episode_rewards[ended] = self._sums[ended]
        self.episode_team_reward[ended] = s.episode_reward[ended]
        self.episode_costs[ended] = s.episode_costs[ended]
        self.episode_length[ended] = s.episode_length[ended]
        self.reset(mask=ended)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that decides the future and of the last outputs."""
        own = {_OWN + name: getattr(self, name).copy() for name in _KEPT}
        return {**self.simulator.snapshot(), **own}

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a snapshot.

        Raises:
            ValueError: an array is missing or has another shape; nothing is changed.
        """
        for name in _KEPT:
            found = snapshot.get(_OWN + name)
            wanted = getattr(self, name)
            if found is None or found.shape != wanted.shape:
                shape = None if found is None else found.shape
                raise ValueError(
                    f"snapshot: {_OWN}{name} of shape {wanted.shape} expected, got {shape}"
                )
        self.simulator.restore(snapshot)
        for name in _KEPT:
            getattr(self, name)[:] = snapshot[_OWN + name]


# Own arrays in a snapshot, beside the simulator's.
_OWN = "agents_"
_KEPT = (
    "_seen", "_money", "_sums", "observations", "final_observations", "final_states", "rewards",
    "baselines", "team_rewards", "team_baselines", "costs", "terminated", "truncated",
    "episode_rewards", "episode_team_reward", "episode_costs", "episode_length",
)  # fmt: skip
