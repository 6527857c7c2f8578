"""What a batch of environments with several agents each has to offer to learners and adapters.

N environments, A agents in fixed order, C costs. Agents of one group share a policy, so they share
fields; groups may differ. Arrays over agents are as wide as the widest group: D numbers of an
observation and K of an action, of which a group uses the first ones and the rest is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .fields import Field, FieldSet
from .simulator import Simulator

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Agent:
    """One who decides.

    Attributes:
        name: unique in the environment.
        group: name of its group; one policy a group.
        kind: what the shared policy is told about it, one-hot; agents of one kind are
            interchangeable, as far as the policy is concerned.
    """

    name: str
    group: str
    kind: str


@dataclass(frozen=True)
class AgentGroup:
    """Agents that share a policy: what each of them sees and does.

    Attributes:
        observation_fields: of one agent, at most D numbers.
        action_fields: of one agent, at most K numbers.
    """

    name: str
    observation_fields: FieldSet
    action_fields: FieldSet


class MultiAgentSimulator(Protocol):
    """N environments side by side, A agents in each.

    All arrays may be views that the next step overwrites.

    Attributes:
        num_envs: N.
        agents: the A agents, in the order of every array.
        groups: every group that an agent belongs to, in the order of their policies.
        state_fields: what the whole environment's state says, S numbers: a critic's input in
            training, never an actor's.
        cost_names: the C constraint costs of the whole environment; never part of a reward.
        horizon: steps of an episode.
        reward_scale: rewards for learning are money times this.
        autoreset: "same_step": the step that ends an episode begins the next one, as learning
            needs it; "disabled": `reset` does.

        observations: (N, A, D) float32 in [-1, 1], normalised by the group's fields; rows of
            absent agents are not read.
        states: (N, S) float32 in [-1, 1].
        alive: (N, A) bool, who acts in the next step.
        rewards: (N, A) float64, each agent's own money in the last step; 0 for absent ones.
        team_rewards: (N,) float64, what the environment as a whole is judged by.
        baselines, team_baselines: (N, A), (N,) float64 money of the last step that no action
            changes, a control variate; zeros where the domain knows none.
        costs: (N, C) float64 of the last step.
        terminated, truncated: (N,) bool, of the whole environment.
        final_observations, final_states: (N, A, D), (N, S), valid where an episode ended.
        episode_rewards, episode_team_reward, episode_costs, episode_length: (N, A), (N,), (N, C),
            (N,) sums over the episode that ended, valid there.
    """

    num_envs: int
    agents: tuple[Agent, ...]
    groups: tuple[AgentGroup, ...]
    state_fields: FieldSet
    cost_names: tuple[str, ...]
    horizon: int
    reward_scale: float
    autoreset: str

    observations: Float32
    states: Float32
    alive: Bool
    rewards: Float
    team_rewards: Float
    baselines: Float
    team_baselines: Float
    costs: Float
    terminated: Bool
    truncated: Bool
    final_observations: Float32
    final_states: Float32
    episode_rewards: Float
    episode_team_reward: Float
    episode_costs: Float
    episode_length: NDArray[Any]

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        mask: Bool | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin an episode in all environments, or in those of `mask`; environment i gets
        seed + i."""
        ...

    def step(self, actions: Float32) -> None:
        """Step all environments with (N, A, K) actions in [-1, 1]; 0 for absent agents."""
        ...

    def render(self, env: int) -> NDArray[np.uint8]:
        """A picture of one environment, (height, width, 3)."""
        ...

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that decides the future and of the last outputs."""
        ...

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a snapshot."""
        ...


class AgentsView:
    """The agents of a `Simulator`: the same worlds, decided by several.

    A domain whose `as_agents(simulator)` gives such a view is learnt on with `algo=ippo` and
    `mappo`, and its policies are played, compared and exported like any other: what an agent sees
    is read from the simulator, whoever stepped it, and `compose` makes the simulator's action of
    the agents'. A subclass adds `agents`, `groups`, `state_fields` and, as properties,
    `observations`, `final_observations`, `states`, `final_states`, `alive`, `rewards`,
    `baselines` and `episode_rewards` of `MultiAgentSimulator`. The team's reward is the
    simulator's.
    """

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.num_envs, self.horizon = simulator.num_envs, simulator.horizon
        self.cost_names, self.autoreset = simulator.cost_names, simulator.autoreset
        self.reward_scale = simulator.domain.reward_scale

    def compose(self, actions: Float32) -> Float32:
        """(N, action size of the simulator) of the agents' (N, A, K)."""
        raise NotImplementedError

    @property
    def team_rewards(self) -> Float:
        """(N,)."""
        return self.simulator.rewards

    @property
    def team_baselines(self) -> Float:
        """(N,)."""
        return self.simulator.baselines

    @property
    def costs(self) -> Float:
        """(N, C)."""
        return self.simulator.costs

    @property
    def terminated(self) -> Bool:
        """(N,)."""
        return self.simulator.terminated

    @property
    def truncated(self) -> Bool:
        """(N,)."""
        return self.simulator.truncated

    @property
    def episode_team_reward(self) -> Float:
        """(N,)."""
        return self.simulator.episode_reward

    @property
    def episode_costs(self) -> Float:
        """(N, C)."""
        return self.simulator.episode_costs

    @property
    def episode_length(self) -> NDArray[Any]:
        """(N,)."""
        return self.simulator.episode_length

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        mask: Bool | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Of the simulator."""
        self.simulator.reset(seed, mask, options)

    def step(self, actions: Float32) -> None:
        """Step the simulator with what the agents' actions make together."""
        self.simulator.step(self.compose(actions))

    def render(self, env: int) -> NDArray[np.uint8]:
        """The domain's picture of one environment."""
        domain: Any = self.simulator.domain
        return np.asarray(domain.render(self.simulator, env))

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Of the simulator: a view has no state."""
        return self.simulator.snapshot()

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Of the simulator."""
        self.simulator.restore(snapshot)


def mixed_rewards(own: Float, team: Float, share: float) -> Float:
    """(N, A) rewards between self-interest and the team's: (1 - share) of the agents' own money
    (N, A), and of the team's (N,) the share, in A equal parts."""
    return np.asarray((1.0 - share) * own + (share / own.shape[1]) * team[:, None])


class AgentLayout:
    """Who is where: the fixed facts about agents that adapters and policies share.

    Attributes:
        n_agents: A.
        observation_size, action_size: D and K, of the widest group.
        group_of: (A,) number of each agent's group.
        kinds: of each group, in the order of their first agent.
        kind_of: (A,) number of each agent's kind inside its group.

    Raises:
        ValueError: no agent, a name twice, an agent of an unknown group or a group of nobody.
    """

    def __init__(self, agents: Sequence[Agent], groups: Sequence[AgentGroup]) -> None:
        names = [agent.name for agent in agents]
        group_names = [group.name for group in groups]
        for what, found in (("agent", names), ("group", group_names)):
            if not found or len(set(found)) != len(found):
                raise ValueError(f"{what} names: some that differ are expected, got {found}")
        for agent in agents:
            if agent.group not in group_names:
                raise ValueError(
                    f"agent {agent.name!r} is of group {agent.group!r}; groups are {group_names}"
                )
        for name in group_names:
            if name not in [agent.group for agent in agents]:
                raise ValueError(f"group {name!r} has no agent")
        self.agents, self.groups = tuple(agents), tuple(groups)
        self.n_agents = len(names)
        self.group_of = np.array([group_names.index(agent.group) for agent in agents])
        self.kinds: tuple[tuple[str, ...], ...] = tuple(
            tuple(dict.fromkeys(agent.kind for agent in agents if agent.group == name))
            for name in group_names
        )
        self.kind_of = np.array(
            [
                self.kinds[group].index(agent.kind)
                for agent, group in zip(agents, self.group_of, strict=True)
            ]
        )
        self.observation_size = max(group.observation_fields.size for group in groups)
        self.action_size = max(group.action_fields.size for group in groups)

    def policy_fields(self, group: int) -> FieldSet:
        """What the policy of a group sees of one agent: its fields, then its kind, one-hot, where
        the group has more than one."""
        fields = list(self.groups[group].observation_fields)
        kinds = self.kinds[group]
        if len(kinds) > 1:
            meaning = "1 for the agent's kind: " + ", ".join(kinds)
            fields.append(Field("agent_kind", "1", 0.0, 1.0, (len(kinds),), meaning))
        return FieldSet(fields)

    def policy_observations(self, observations: Float32, group: int) -> Float32:
        """(N * n, size of `policy_fields`) of the n agents of a group, from (N, A, D)."""
        members = np.flatnonzero(self.group_of == group)
        seen = observations[:, members, : self.groups[group].observation_fields.size]
        kinds = len(self.kinds[group])
        if kinds > 1:
            one_hot = 2.0 * np.eye(kinds, dtype=np.float32)[self.kind_of[members]] - 1.0
            told = np.broadcast_to(one_hot, (len(seen), *one_hot.shape))
            seen = np.concatenate([seen, told], axis=2)
        return np.ascontiguousarray(seen.reshape(-1, seen.shape[2]), dtype=np.float32)

    @property
    def policy_size(self) -> int:
        """Numbers that the policy of the widest group sees of one agent."""
        return max(self.policy_fields(group).size for group in range(len(self.groups)))
