"""PettingZoo's face of environments with several agents: a batch of one."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray
from pettingzoo import ParallelEnv

from daogym.envs.core.multi_agent import AgentLayout, MultiAgentSimulator, mixed_rewards
from daogym.envs.registry import make_multi_agent

from .spaces import box

ByAgent = dict[str, Any]


def parallel_env(
    scenario: Any, team_share: float = 0.0, render_mode: str | None = None, **options: Any
) -> DaoParallelEnv:
    """The `ParallelEnv` of an id of several agents, or of a scenario whose seat can be shared.

    Args:
        scenario: ``"daogym/LogisticsPlaces-v0"``, or as of `make_multi_agent`.
        team_share, render_mode: of `DaoParallelEnv`.
        options: of `make_multi_agent`.

    Raises:
        ConfigError: the scenario is at fault, or there is no such id.
        ValueError: another argument is.
    """
    view: Any = make_multi_agent(scenario, 1, **{"autoreset": "disabled", **options})
    env = DaoParallelEnv(view, team_share, render_mode)
    env.metadata = {**env.metadata, "name": str(view.simulator.scenario.name)}
    return env


class DaoParallelEnv(ParallelEnv[str, NDArray[np.float32], NDArray[np.float32]]):
    """One environment of several agents, all of which act in every step.

    Observations and actions are float32 in [-1, 1], as wide as the agent's group says; units and
    bounds are in `layout.groups`. A reward is money. `infos` hold ``cost`` (the sum) and ``costs``
    of the whole environment, and ``team_reward``.

    An agent that leaves is terminated, and never comes back before the next `reset`: should the
    world let it in again, it acts with 0 and is not shown. One that joins late appears in `agents`
    then. `options` of `reset` may hold ``date``; others are for wrappers and not looked at.

    Args:
        simulator: of one environment.
        team_share: w in [0, 1]: a reward is (1 - w) times the agent's own money plus w times an
            equal share of the team's.
        render_mode: None or "rgb_array".

    Raises:
        ValueError: more than one environment, a share outside [0, 1], or an unknown mode.
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "render_modes": ["rgb_array"],
        "name": "daogym",
        "is_parallelizable": True,
    }

    def __init__(
        self,
        simulator: MultiAgentSimulator,
        team_share: float = 0.0,
        render_mode: str | None = None,
    ) -> None:
        if simulator.num_envs != 1:
            raise ValueError(f"a simulator of 1 environment expected, got {simulator.num_envs}")
        if not 0.0 <= team_share <= 1.0:
            raise ValueError(f"team_share: a number from 0 to 1 is expected, got {team_share}")
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode: None or 'rgb_array' expected, got {render_mode!r}")
        self.simulator, self.team_share, self.render_mode = simulator, team_share, render_mode
        self.layout = AgentLayout(simulator.agents, simulator.groups)
        self.possible_agents = [agent.name for agent in self.layout.agents]
        self.agents: list[str] = []
        self._number = {name: i for i, name in enumerate(self.possible_agents)}
        self._gone: set[str] = set()
        groups = [self.layout.groups[group] for group in self.layout.group_of]
        # The same object on every call, so that a space that was seeded stays seeded.
        self.observation_spaces: dict[str, Box] = {}
        self.action_spaces: dict[str, Box] = {}
        for name, group in zip(self.possible_agents, groups, strict=True):
            self.observation_spaces[name] = box(group.observation_fields)
            self.action_spaces[name] = box(group.action_fields)
        self.state_space: Box = box(simulator.state_fields)

    def observation_space(self, agent: str) -> Box:
        """Of one agent."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Box:
        """Of one agent."""
        return self.action_spaces[agent]

    def state(self) -> NDArray[np.float32]:
        """(S,) state of the whole environment, for critics."""
        return self.simulator.states[0].copy()

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[ByAgent, ByAgent]:
        """Begin an episode."""
        known = {key: value for key, value in (options or {}).items() if key == "date"}
        self.simulator.reset(seed=seed, options=known or None)
        self._gone = set()
        alive = self.simulator.alive[0]
        self.agents = [name for name in self.possible_agents if alive[self._number[name]]]
        shown = self._observations(self.simulator.observations[0], self.agents)
        return shown, {name: {} for name in self.agents}

    def _observations(self, block: NDArray[np.float32], names: list[str]) -> ByAgent:
        found = {}
        for name in names:
            size = self.observation_spaces[name].shape[0]
            found[name] = block[self._number[name], :size].copy()
        return found

    def step(self, actions: ByAgent) -> tuple[ByAgent, ByAgent, ByAgent, ByAgent, ByAgent]:
        """One step of all agents.

        Raises:
            RuntimeError: there is nobody to act: call `reset`.
            ValueError: actions of other agents than `agents`, or of another shape.
        """
        if not self.agents:
            raise RuntimeError("the episode is over (or has not begun): call reset()")
        s = self.simulator
        if set(actions) != set(self.agents):
            raise ValueError(f"actions of {self.agents} expected, got those of {sorted(actions)}")
        array = np.zeros((1, self.layout.n_agents, self.layout.action_size), dtype=np.float32)
        for name, action in actions.items():
            shape = self.action_spaces[name].shape
            if np.shape(action) != shape:
                raise ValueError(f"action of {name}: shape {shape} expected, {np.shape(action)}")
            array[0, self._number[name], : shape[0]] = action
        s.step(array)
        terminated, truncated = bool(s.terminated[0]), bool(s.truncated[0])
        ended = terminated or truncated
        money = mixed_rewards(s.rewards, s.team_rewards, self.team_share)[0]
        acted = self.agents
        there = [name for name in self.possible_agents if s.alive[0, self._number[name]]]
        left = set() if ended else set(acted) - set(there)
        joined = [] if ended else [n for n in there if n not in acted and n not in self._gone]
        shown = acted + joined
        self._gone |= left
        self.agents = [] if ended else [n for n in there if n in shown and n not in left]
        final = ended and s.autoreset == "same_step"
        block = s.final_observations[0] if final else s.observations[0]
        costs = s.costs[0].copy()
        info = {
            "cost": float(costs.sum()),
            "costs": costs,
            "team_reward": float(s.team_rewards[0]),
        }
        return (
            self._observations(block, shown),
            {name: float(money[self._number[name]]) if name in acted else 0.0 for name in shown},
            {name: terminated or name in left for name in shown},
            dict.fromkeys(shown, truncated and not terminated),
            {name: dict(info) for name in shown},
        )

    def render(self) -> Any:
        """A picture of the present state, (height, width, 3) uint8, or None without a mode."""
        return None if self.render_mode is None else self.simulator.render(0)

    def close(self) -> None:
        """Nothing is held open."""
