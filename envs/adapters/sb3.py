"""stable-baselines3's face of the batched simulator."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.simulator import Simulator

from .batch_vec_env import EMPTY_INFO, BatchVecEnv
from .discrete import levels_of, masks_of
from .spaces import box


class SB3VecEnv(BatchVecEnv):
    """A `VecEnv` without per-environment Python.

    Args:
        simulator: with same-step autoreset.
        reward_scale: rewards are EUR times this; default the scenario's.
        control_variate: subtract `simulator.baselines`, the money of the same world without any
            device (or of shadow lanes, see `ShadowedSimulator`). It does not depend on the action,
            so the best policy is the same and the noise smaller.
        discrete: the action as `MultiDiscrete`, see `DaoEnv`; sb3-contrib's `MaskablePPO` finds
            `action_masks`.

        stock_discount: PPO's discount of a step. Adds this times what the stock is worth after the
            step (0 after an episode's end) less what it was worth before: a potential, so the best
            policy is the same (Ng, Harada and Russell 1999), and what is stored now to be used
            hours later is rewarded now. None: not added. The domain's `stock_value` says the worth.
        hold_steps: steps of the simulator for which an action holds; rewards and costs are their
            sums, and what follows an episode's end inside them is nobody's. A learner then takes
            one decision where the simulator takes this many steps.
        in_pairs: lane i and lane i + N / 2 meet the same worlds.

    stable-baselines3 keeps observations and dones until after the next step, so two buffers of
    each alternate; it adds to rewards in place, so those are copies. Infos are one shared
    read-only empty mapping, but where an episode ended: ``terminal_observation``,
    ``TimeLimit.truncated``, ``episode`` (``r`` in EUR, ``l``, ``t``), ``episode_terms``,
    ``episode_costs`` and ``episode_events``.

    Attributes:
        cost_names: constraint costs, a column each of `costs`.
        episode_steps: decisions of an episode.
        ended_lanes: (N,) bool, lanes whose episode ended in the last decision.
        truncated_rows: (N,) bool, those whose episode was cut short.

    Raises:
        ValueError: the simulator resets in another mode, its domain values no stock, `hold_steps`
            is below 1 or as long as an episode, or there are pairs of an odd number of lanes.
    """

    def __init__(
        self,
        simulator: Simulator,
        reward_scale: float | None = None,
        control_variate: bool = True,
        discrete: bool | int = False,
        stock_discount: float | None = None,
        hold_steps: int = 1,
        in_pairs: bool = False,
    ) -> None:
        if simulator.autoreset != "same_step":
            raise ValueError(f"same_step autoreset expected, got {simulator.autoreset!r}")
        self.simulator = simulator
        self.reward_scale = simulator.domain.reward_scale if reward_scale is None else reward_scale
        self.control_variate = control_variate
        if stock_discount is not None and not hasattr(simulator.domain, "stock_value"):
            raise ValueError(f"domain {simulator.domain.name!r}: no `stock_value`, so no potential")
        if not 1 <= hold_steps < max(simulator.horizon, 2):
            raise ValueError(
                f"hold_steps: 1 to {max(simulator.horizon, 2) - 1} expected, got {hold_steps}"
            )
        if in_pairs and simulator.num_envs % 2:
            raise ValueError(
                f"in_pairs: an even number of lanes expected, got {simulator.num_envs}"
            )
        self.in_pairs = in_pairs
        self.hold_steps = hold_steps
        self.stock_discount = stock_discount
        self._worth = np.zeros(simulator.num_envs)
        self.cost_names = simulator.cost_names
        self.episode_steps = simulator.horizon / hold_steps
        self.simulator_seconds = 0.0
        self.render_mode = None
        n = simulator.num_envs
        self._rewards, self._costs = np.zeros(n), np.zeros_like(simulator.costs)
        self._ended, self._cut = np.zeros(n, dtype=np.bool_), np.zeros(n, dtype=np.bool_)
        self._observations = [np.empty_like(simulator.observations) for _ in range(2)]
        self._dones = [np.zeros(n, dtype=np.bool_) for _ in range(2)]
        self._turn = 0
        self._start = time.time()
        self._actions: NDArray[Any] = np.zeros((n, simulator.action_size), dtype=np.float32)
        self._levels = levels_of(discrete, simulator.action_size)
        super().__init__(
            n, box(simulator.observation_fields),
            box(simulator.action_fields) if self._levels is None else self._levels.space,
        )  # fmt: skip

    @property
    def costs(self) -> NDArray[np.float64]:
        """(N, K) constraint costs of the last decision."""
        return self._costs

    @property
    def ended_lanes(self) -> NDArray[np.bool_]:
        """(N,) lanes whose episode ended in the last decision."""
        return self._ended

    @property
    def truncated_rows(self) -> NDArray[np.bool_]:
        """(N,) lanes whose episode was cut short in the last decision."""
        return self._cut

    @property
    def final_observations(self) -> NDArray[np.float32]:
        """(N, observation size), valid where an episode ended in the last step."""
        return self.simulator.final_observations

    def reset(self) -> NDArray[np.float32]:
        """Begin episodes in all lanes, with the seed given to `seed` if any."""
        seed = self._seeds[0]
        if self.in_pairs:
            first = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
            self.simulator.reset(seed=[first + i for i in range(self.num_envs // 2)] * 2)
        else:
            self.simulator.reset(seed=seed)
        self._reset_seeds()
        self._reset_options()
        self._worth = self._stock_value()
        return self._publish_observations()

    def resume_observations(self) -> NDArray[np.float32]:
        """The present observations, after `simulator.restore`."""
        self._worth = self._stock_value()
        return self._publish_observations()

    def _stock_value(self) -> NDArray[np.float64]:
        """(N,) what the stock is worth now, in money; zeros where it is not asked for."""
        s: Any = self.simulator
        if self.stock_discount is None:
            return np.zeros(s.num_envs)
        return np.asarray(s.domain.stock_value(s.observations))

    def _publish_observations(self) -> NDArray[np.float32]:
        self._turn ^= 1
        buffer = self._observations[self._turn]
        np.copyto(buffer, self.simulator.observations)
        return buffer

    def step_async(self, actions: NDArray[Any]) -> None:
        """Remember the actions, (N, action_size): numbers, or choices where discrete."""
        self._actions = actions if self._levels is None else self._levels.actions(actions)

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices the charter leaves, (N, all choices one after another).

        Raises:
            ValueError: made without ``discrete``.
        """
        return masks_of(self._levels, self.simulator)

    def step_wait(self) -> tuple[Any, NDArray[Any], NDArray[np.bool_], list[Any]]:
        """Step all lanes, `hold_steps` times."""
        infos: list[Any] = [EMPTY_INFO] * self.simulator.num_envs
        self._rewards.fill(0.0)
        self._costs.fill(0.0)
        self._ended.fill(False)
        self._cut.fill(False)
        for _ in range(self.hold_steps):
            self._step_once(infos)
        if self.stock_discount is not None:
            worth = self._stock_value()
            kept = np.where(self._ended, 0.0, worth)
            self._rewards += self.stock_discount * kept - self._worth
            self._worth = worth
        self._rewards *= self.reward_scale
        observations = self._publish_observations()
        dones = self._dones[self._turn]
        np.copyto(dones, self._ended)
        return observations, self._rewards.astype(np.float32), dones, infos

    def _step_once(self, infos: list[Any]) -> None:
        """One step of the simulator; lanes whose episode ended before gain and lose nothing."""
        s = self.simulator
        begun = time.perf_counter()
        s.step(self._actions)
        self.simulator_seconds += time.perf_counter() - begun
        going = ~self._ended
        gained = s.rewards - s.baselines if self.control_variate else s.rewards
        np.add(self._rewards, gained, out=self._rewards, where=going)
        np.add(self._costs, s.costs, out=self._costs, where=going[:, None])
        ends = s.terminated | s.truncated
        if ends.any():
            self._cut |= s.truncated & ~s.terminated
            self._ended |= ends
            for lane in np.flatnonzero(ends).tolist():
                infos[lane] = self._final_info(lane)

    def _final_info(self, lane: int) -> dict[str, Any]:
        s = self.simulator
        return {
            "terminal_observation": s.final_observations[lane].copy(),
            "TimeLimit.truncated": bool(s.truncated[lane] and not s.terminated[lane]),
            "episode": {
                "r": float(s.episode_reward[lane]),
                "l": int(s.episode_length[lane]),
                "t": round(time.time() - self._start, 6),
            },
            "episode_terms": s.episode_terms[lane].copy(),
            "episode_costs": s.episode_costs[lane].copy(),
            "episode_events": s.episode_events[lane].copy(),
        }

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for each asked lane.

        Raises:
            AttributeError: there is none; masks there are with ``discrete`` only.
        """
        if attr_name == "action_masks" and self._levels is None:
            raise AttributeError("action_masks: there are choices with discrete=True only")
        return super().get_attr(attr_name, indices)

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """`action_masks` of the asked lanes; all else is refused: lanes are not objects."""
        if method_name == "action_masks" and self._levels is not None:
            masks = self.action_masks()
            return [masks[lane] for lane in self._get_indices(indices)]
        return super().env_method(method_name, *args, indices=indices, **kwargs)

    def get_images(self) -> Sequence[Any]:
        """A picture of each lane."""
        s = self.simulator
        return [s.domain.render(s, lane) for lane in range(s.num_envs)]  # type: ignore[attr-defined]
