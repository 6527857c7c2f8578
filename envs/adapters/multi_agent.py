"""stable-baselines3's face of environments with several agents: agents are rows of the batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray

from daogym.envs.core.multi_agent import AgentLayout, MultiAgentSimulator, mixed_rewards

from .batch_vec_env import EMPTY_INFO, BatchVecEnv

Float32 = NDArray[np.float32]


class MultiAgentVecEnv(BatchVecEnv):
    """N environments of A agents as a `VecEnv` of N * A rows, row n * A + a for agent a of n.

    An observation is a Dict of float32 in [-1, 1]: ``obs``, what the agent's actor may see, and
    ``state``, what a critic may see in training: the environment's state, then a one-hot of the
    agent. ``obs`` is the agent's observation, its kind (one-hot, where its group has several),
    zeros up to the widest group, and last a one-hot of the group, where there are several.

    A row's episode is the time in which its agent is there: it ends, without bootstrap, in the
    step after which the agent is absent, and with the environment's own (truncated or not). Rows
    of absent agents still get a number for everything, and `acted` says which rows count.

    Args:
        simulator: with same-step autoreset.
        team_share: w in [0, 1]; a row's reward is (1 - w) times the agent's own money plus w
            times an equal share (1 / A) of the team's.
        reward_scale: rewards are money times this; default the simulator's.
        control_variate: subtract what no action changes (`baselines`, `team_baselines`).

    Attributes:
        layout: who is where.
        acted: (N * A,) bool, rows whose agent acted in the last step.
        costs: (N * A, C) the environment's costs of the last step, in each of its rows.
        truncated_rows: (N * A,) bool, rows that acted in a last step that was cut short.
        final_observations: of those rows, the last observation of the ended episode.

    Buffers of observations and dones alternate, as stable-baselines3 keeps both until after the
    next step. Infos are one shared read-only empty mapping, but where an environment ended:
    ``terminal_observation``, ``TimeLimit.truncated`` and ``episode`` (``r`` the agent's own money,
    ``l``, ``t``).

    Raises:
        ValueError: another autoreset, a share outside [0, 1], or arrays of other shapes.
    """

    def __init__(
        self,
        simulator: MultiAgentSimulator,
        team_share: float = 0.0,
        reward_scale: float | None = None,
        control_variate: bool = True,
    ) -> None:
        if simulator.autoreset != "same_step":
            raise ValueError(f"same_step autoreset expected, got {simulator.autoreset!r}")
        if not 0.0 <= team_share <= 1.0:
            raise ValueError(f"team_share: a number from 0 to 1 is expected, got {team_share}")
        self.simulator = simulator
        self.layout = AgentLayout(simulator.agents, simulator.groups)
        self.team_share = team_share
        self.reward_scale = simulator.reward_scale if reward_scale is None else reward_scale
        self.control_variate = control_variate
        self.cost_names = simulator.cost_names
        self.episode_steps = float(simulator.horizon)
        self.simulator_seconds = 0.0
        self.render_mode = None
        layout, n, a = self.layout, simulator.num_envs, self.layout.n_agents
        self._check_shapes(n, a)
        g = len(layout.groups)
        tail = g if g > 1 else 0
        self._observation_width = layout.policy_size + tail
        self._state_width = simulator.state_fields.size + a
        self._constant_observation, self._free = self._constants(tail)
        rows = n * a
        self._buffers = [self._blank(n, a) for _ in range(2)]
        self._final = self._blank(n, a)
        self._dones = [np.zeros(rows, dtype=np.bool_) for _ in range(2)]
        self._turn = 0
        self._start = time.time()
        self.acted = np.zeros(rows, dtype=np.bool_)
        self.truncated_rows = np.zeros(rows, dtype=np.bool_)
        self._actions: Float32 = np.zeros((n, a, layout.action_size), dtype=np.float32)
        spaces: dict[str, Space[Any]] = {
            "obs": Box(-1.0, 1.0, (self._observation_width,), np.float32),
            "state": Box(-1.0, 1.0, (self._state_width,), np.float32),
        }
        action_space = Box(-1.0, 1.0, (layout.action_size,), np.float32)
        super().__init__(rows, Dict(spaces), action_space)

    def _check_shapes(self, n: int, a: int) -> None:
        s, layout = self.simulator, self.layout
        expected = {
            "observations": (n, a, layout.observation_size),
            "final_observations": (n, a, layout.observation_size),
            "states": (n, s.state_fields.size),
            "final_states": (n, s.state_fields.size),
            "alive": (n, a),
            "rewards": (n, a),
            "baselines": (n, a),
            "team_rewards": (n,),
            "team_baselines": (n,),
            "costs": (n, len(s.cost_names)),
            "terminated": (n,),
            "truncated": (n,),
        }
        for name, shape in expected.items():
            found = np.shape(getattr(s, name))
            if found != shape:
                raise ValueError(f"simulator.{name}: shape {shape} expected, got {found}")

    def _constants(self, tail: int) -> tuple[Float32, NDArray[np.bool_]]:
        """(A, width) what never changes of ``obs``, and (A, D) where the simulator's numbers go."""
        layout = self.layout
        fixed = np.zeros((layout.n_agents, self._observation_width), dtype=np.float32)
        free = np.zeros((layout.n_agents, layout.observation_size), dtype=np.bool_)
        for agent in range(layout.n_agents):
            group = int(layout.group_of[agent])
            fields = layout.policy_fields(group)
            free[agent, : layout.groups[group].observation_fields.size] = True
            if "agent_kind" in fields:
                place = fields.slice("agent_kind")
                fixed[agent, place] = -1.0  # normalised by the field's bounds 0 and 1
                fixed[agent, place.start + int(layout.kind_of[agent])] = 1.0
            if tail:
                fixed[agent, layout.policy_size + group] = 1.0
        return fixed, free

    def _blank(self, n: int, a: int) -> dict[str, Float32]:
        """Observation and state of all rows, (N, A, width), with the constant parts filled in."""
        observations = np.repeat(self._constant_observation[None], n, axis=0)
        states = np.zeros((n, a, self._state_width), dtype=np.float32)
        states[:, :, self._state_width - a :] = np.eye(a, dtype=np.float32)
        return {"obs": observations, "state": states}

    def _fill(self, target: dict[str, Float32], observations: Float32, states: Float32) -> None:
        d, s = self.layout.observation_size, states.shape[-1]
        if bool(self._free.all()):
            target["obs"][:, :, :d] = observations
        else:
            np.copyto(target["obs"][:, :, :d], observations, where=self._free[None])
        target["state"][:, :, :s] = states[:, None]

    def _rows(self, block: dict[str, Float32]) -> dict[str, Float32]:
        return {name: array.reshape(self.num_envs, -1) for name, array in block.items()}

    @property
    def costs(self) -> NDArray[np.float64]:
        """(N * A, C) the environment's costs of the last step, in each of its rows."""
        return np.repeat(self.simulator.costs, self.layout.n_agents, axis=0)

    @property
    def final_observations(self) -> dict[str, Float32]:
        """Last observation of the episodes that ended in this step, valid in their rows."""
        return self._rows(self._final)

    @property
    def ended_lanes(self) -> NDArray[np.bool_]:
        """(N,) environments whose episode ended in the last step."""
        return self.simulator.terminated | self.simulator.truncated

    def reset(self) -> dict[str, Float32]:
        """Begin episodes in all environments, with the seed given to `seed` if any."""
        self.simulator.reset(seed=self._seeds[0])
        self._reset_seeds()
        self._reset_options()
        return self._publish()

    def resume_observations(self) -> dict[str, Float32]:
        """The present observations, after `simulator.restore`."""
        return self._publish()

    def _publish(self) -> dict[str, Float32]:
        self._turn ^= 1
        block = self._buffers[self._turn]
        self._fill(block, self.simulator.observations, self.simulator.states)
        return self._rows(block)

    def step_async(self, actions: NDArray[Any]) -> None:
        """Remember the actions, (N * A, K)."""
        self._actions = np.array(actions, dtype=np.float32).reshape(
            self.simulator.num_envs, self.layout.n_agents, self.layout.action_size
        )

    def step_wait(self) -> tuple[Any, NDArray[Any], NDArray[np.bool_], list[Any]]:
        """Step all environments."""
        s, a = self.simulator, self.layout.n_agents
        acted = self.acted.reshape(-1, a)
        np.copyto(acted, s.alive)
        self._actions[~acted] = 0.0
        begun = time.perf_counter()
        s.step(self._actions)
        self.simulator_seconds += time.perf_counter() - begun
        rewards = self._rewards()
        observations = self._publish()
        ended = s.terminated | s.truncated
        dones = self._dones[self._turn]
        np.logical_or(ended[:, None], ~s.alive, out=dones.reshape(-1, a))
        cut = s.truncated & ~s.terminated
        np.logical_and(cut[:, None], acted, out=self.truncated_rows.reshape(-1, a))
        infos: list[Any] = [EMPTY_INFO] * self.num_envs
        if ended.any():
            self._fill(self._final, s.final_observations, s.final_states)
            for env in np.flatnonzero(ended).tolist():
                for agent in np.flatnonzero(acted[env]).tolist():
                    infos[env * a + agent] = self._final_info(env, agent)
        return observations, rewards, dones, infos

    def _rewards(self) -> Float32:
        s = self.simulator
        own, team = s.rewards, s.team_rewards
        if self.control_variate:
            own, team = own - s.baselines, team - s.team_baselines
        mixed = mixed_rewards(own, team, self.team_share) * self.reward_scale
        return mixed.astype(np.float32).reshape(-1)

    def _final_info(self, env: int, agent: int) -> dict[str, Any]:
        s = self.simulator
        return {
            "terminal_observation": {
                name: array[env, agent].copy() for name, array in self._final.items()
            },
            "TimeLimit.truncated": bool(s.truncated[env] and not s.terminated[env]),
            "episode": {
                "r": float(s.episode_rewards[env, agent]),
                "l": int(s.episode_length[env]),
                "t": round(time.time() - self._start, 6),
            },
        }

    def get_images(self) -> Sequence[Any]:
        """A picture of each environment, in the rows of its agents."""
        s = self.simulator
        pictures = [s.render(env) for env in range(s.num_envs)]
        return [picture for picture in pictures for _ in range(self.layout.n_agents)]
