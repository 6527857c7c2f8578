"""An operator's seat shared among agents: each sees and sets a part of what one operator would.

The world, its rules and its rewards are the simulator's own: together the agents' actions are one
action of the operator. Nothing is done environment by environment.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .fields import Field, FieldSet
from .layout import Float, Int
from .multi_agent import Agent, AgentGroup, AgentLayout, AgentsView
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
class OwnMoney:
    """What each agent pays and earns by itself.

    Attributes:
        of_step: (N, A) of the last step.
        of_episode: (N, A) of the episode that ended in it, valid there.
    """

    of_step: Callable[[Simulator], Float]
    of_episode: Callable[[Simulator], Float]


@dataclass(frozen=True)
class Seats:
    """How a domain shares its operator's seat.

    Attributes:
        groups: agents of one share a policy.
        seats: one for each agent; no column of the action is set by two. What nobody sets is 0.
        money: the agents' own; None gives every agent an equal share of the team's reward.
    """

    groups: tuple[AgentGroup, ...]
    seats: tuple[Seat, ...]
    money: OwnMoney | None = None


def side_by_side(first: OwnMoney, second: OwnMoney) -> OwnMoney:
    """The money of the first ones' agents, then of the second ones'."""

    def both(
        one: Callable[[Simulator], Float], other: Callable[[Simulator], Float]
    ) -> Callable[[Simulator], Float]:  # fmt: skip
        return lambda simulator: np.concatenate([one(simulator), other(simulator)], axis=1)

    return OwnMoney(
        both(first.of_step, second.of_step), both(first.of_episode, second.of_episode)
    )  # fmt: skip


def shared_equally(money: Float, agents: int) -> Float:
    """(N, agents) equal shares of (N,) money."""
    return np.repeat(money[:, None] / agents, agents, axis=1)


def equal_shares(agents: int) -> OwnMoney:
    """An equal share of the team's reward for each of so many agents."""
    return OwnMoney(
        lambda s: shared_equally(s.rewards, agents),
        lambda s: shared_equally(s.episode_reward, agents),
    )


def only(seats: Seats, *names: str) -> Seats:
    """The seats of the named agents alone: whatever the others would set is 0.

    Raises:
        ValueError: no agent of such a name.
    """
    known = [seat.agent.name for seat in seats.seats]
    places = [known.index(name) for name in names if name in known]
    if len(places) < len(names):
        raise ValueError(f"agents: some of {', '.join(known)} expected, got {', '.join(names)}")
    kept = tuple(seats.seats[place] for place in places)
    groups = tuple(g for g in seats.groups if g.name in {seat.agent.group for seat in kept})
    money = seats.money or equal_shares(len(known))

    def of(all_of_them: Callable[[Simulator], Float]) -> Callable[[Simulator], Float]:
        return lambda simulator: all_of_them(simulator)[:, places]

    return Seats(groups, kept, OwnMoney(of(money.of_step), of(money.of_episode)))


def own_field(fields: FieldSet, name: str, count: int, doc: str | None = None) -> Field:
    """A field of an agent's own part, `count` numbers, of one of the operator's fields.

    In its unit, or as a share of each number's own range where their ranges differ.
    """
    found: Field = fields[[field.name for field in fields].index(name)]
    doc = found.doc if doc is None else doc
    low, high = np.unique(found.low), np.unique(found.high)
    if len(low) == 1 and len(high) == 1:
        return Field(f"own_{name}", found.unit, low[0], high[0], (count,), doc)
    lowest = -1.0 if (np.asarray(found.low) == -np.asarray(found.high)).all() else 0.0
    return Field(f"own_{name}", "1", lowest, 1.0, (count,), f"share of its range: {doc}")


def own_columns(fields: FieldSet, name: str, mine: ArrayLike, count: int) -> Int:
    """(count,) columns of its own numbers of one of the operator's fields, then `ABSENT`.

    `mine` are their places in the field, read in C order; `ABSENT` ones stay so.
    """
    own = np.asarray(mine, dtype=np.int64).reshape(-1)
    columns = np.full(count, ABSENT, dtype=np.int64)
    columns[: len(own)] = np.where(own == ABSENT, ABSENT, fields.slice(name).start + own)
    return columns


def common_fields(fields: FieldSet, own: Collection[str]) -> tuple[list[Field], Int]:
    """The operator's fields that concern every agent, those but `own`, and their columns."""
    common = [field for field in fields if field.name not in own]
    every = np.arange(fields.size)
    return common, np.concatenate([every[fields.slice(field.name)] for field in common])


class SharedControl(AgentsView):
    """The agents who share the operator's seat; a critic's state is the operator's observation.

    Raises:
        ValueError: a column outside of the simulator's or set by two agents, or a seat that does
            not fit its group.
    """

    def __init__(self, simulator: Simulator, seats: Seats) -> None:
        super().__init__(simulator)
        self.seats = seats
        self.agents = tuple(seat.agent for seat in seats.seats)
        self.groups = seats.groups
        self.state_fields = simulator.observation_fields
        self.layout = AgentLayout(self.agents, self.groups)
        self._observed, self._acted = self._columns()
        self.alive: NDArray[np.bool_] = np.ones(
            (self.num_envs, self.layout.n_agents), dtype=np.bool_
        )

    def _columns(self) -> tuple[Int, Int]:
        """(A, D) and (A, K) columns; absent ones point one behind the operator's last."""
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

    def _seen(self, observations: Float32) -> Float32:
        low_end = np.full((self.num_envs, 1), -1.0, dtype=np.float32)
        whole = np.concatenate([observations, low_end], axis=1)
        return np.take(whole, self._observed, axis=1)

    @property
    def observations(self) -> Float32:
        """(N, A, D)."""
        return self._seen(self.simulator.observations)

    @property
    def final_observations(self) -> Float32:
        """(N, A, D), valid where an episode ended."""
        return self._seen(self.simulator.final_observations)

    @property
    def states(self) -> Float32:
        """(N, S)."""
        return self.simulator.observations

    @property
    def final_states(self) -> Float32:
        """(N, S), valid where an episode ended."""
        return self.simulator.final_observations

    @property
    def rewards(self) -> Float:
        """(N, A)."""
        money, s = self.seats.money, self.simulator
        if money is None:
            return shared_equally(s.rewards, self.layout.n_agents)
        # A lane that waits for its reset has made no step.
        return np.where(s.stepped[:, None] > 0.0, money.of_step(s), 0.0)

    @property
    def baselines(self) -> Float:
        """(N, A); zeros where agents have money of their own."""
        if self.seats.money is not None:
            return np.zeros((self.num_envs, self.layout.n_agents))
        return shared_equally(self.simulator.baselines, self.layout.n_agents)

    @property
    def episode_rewards(self) -> Float:
        """(N, A), valid where an episode ended."""
        money, s = self.seats.money, self.simulator
        if money is None:
            return shared_equally(s.episode_reward, self.layout.n_agents)
        return money.of_episode(s)

    def compose(self, actions: Float32) -> Float32:
        """(N, action size of the operator) of (N, A, K), normalised to [-1, 1].

        Raises:
            ValueError: another shape.
        """
        given = np.asarray(actions, dtype=np.float32)
        wanted = (self.num_envs, *self._acted.shape)
        if given.shape != wanted:
            raise ValueError(f"actions: shape {wanted} expected, got {given.shape}")
        whole = np.zeros((self.num_envs, self.simulator.action_size + 1), dtype=np.float32)
        whole[:, self._acted.reshape(-1)] = given.reshape(self.num_envs, -1)
        return whole[:, :-1]
