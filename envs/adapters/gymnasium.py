"""Gymnasium's two faces: `Env` (a batch of one) and `VectorEnv` (the batch)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from daogym.envs.core.simulator import Simulator
from daogym.envs.registry import make_simulator

from .discrete import levels_of, masks_of
from .spaces import box

Info = dict[str, Any]
_MODES = {
    AutoresetMode.SAME_STEP: "same_step",
    AutoresetMode.NEXT_STEP: "next_step",
    AutoresetMode.DISABLED: "disabled",
}


class DaoEnv(gymnasium.Env[Any, Any]):
    """One environment, as a batch of one of the same simulator.

    Observations and actions are float32 in [-1, 1]; `observation_fields` and `action_fields` of
    `simulator` give units and bounds. The reward is in EUR. An episode terminates at its horizon
    (time left is observed). `info` holds ``cost`` (the sum) and ``costs``, ``terms`` (EUR) and
    ``events``.

    Args:
        scenario, split, action_mode, episode_days: see `daogym.make_simulator`.
        discrete: the action as `MultiDiscrete`: each number has 11 levels (True) or as many as
            given; with an odd number of them the middle one is the zero action.
        render_mode: None or "rgb_array".
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        scenario: Any = "lv_rural",
        *,
        split: str = "train",
        action_mode: str | None = None,
        episode_days: int | None = None,
        discrete: bool | int = False,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode: None or 'rgb_array' expected, got {render_mode!r}")
        self.render_mode = render_mode
        self.simulator = make_simulator(
            scenario, 1, split=split, action_mode=action_mode, episode_days=episode_days,
            autoreset="disabled",
        )  # fmt: skip
        self.observation_space: Box = box(self.simulator.observation_fields)
        self._levels = levels_of(discrete, self.simulator.action_size)
        self.action_space: Box | MultiDiscrete = (
            box(self.simulator.action_fields) if self._levels is None else self._levels.space
        )
        self._action = np.zeros((1, self.simulator.action_size), dtype=np.float32)
        self._over = True

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], Info]:
        """Begin an episode; `options` may hold ``date``, such as "2023-05-14"."""
        super().reset(seed=seed)
        self.simulator.reset(seed=seed, options=options)
        self._over = False
        return self.simulator.observations[0].copy(), {}

    def action_masks(self) -> NDArray[np.bool_]:
        """Which choices the charter leaves, one after another as sb3-contrib takes them.

        Raises:
            ValueError: made without ``discrete``.
        """
        return masks_of(self._levels, self.simulator)[0]

    def step(self, action: NDArray[Any]) -> tuple[NDArray[np.float32], float, bool, bool, Info]:
        """One step.

        Raises:
            RuntimeError: after the end of an episode, until `reset`.
            ValueError: the action has another shape than the action space, or is no choice of it.
        """
        if self._over:
            raise RuntimeError("the episode is over (or has not begun): call reset()")
        s = self.simulator
        array = np.asarray(action)
        if array.shape != self._action.shape[1:]:
            raise ValueError(f"action: shape {self._action.shape[1:]} expected, got {array.shape}")
        self._action[0] = array if self._levels is None else self._levels.actions(array)
        s.step(self._action)
        ended = bool(s.terminated[0])
        self._over = ended
        costs = s.costs[0].copy()
        info = {
            "cost": float(costs.sum()),
            "costs": costs,
            "terms": s.terms[0].copy(),
            "events": s.events[0].copy(),
        }
        return s.observations[0].copy(), float(s.rewards[0]), ended, False, info

    def render(self) -> Any:
        """A picture of the present state, (height, width, 3) uint8, or None without a mode."""
        if self.render_mode is None:
            return None
        return self.simulator.domain.render(self.simulator, 0)  # type: ignore[attr-defined]


class DaoVectorEnv(VectorEnv[NDArray[np.float32], NDArray[Any], NDArray[Any]]):
    """N environments stepped by one compiled call.

    Args:
        num_envs: N.
        threads: threads of the call.
        autoreset_mode: Gymnasium's; all three are supported.
        copy: return copies; False returns views that the next step overwrites.
        scenario, split, action_mode, episode_days, stagger: see `daogym.make_simulator`.
        discrete: see `DaoEnv`.

    `info` holds arrays: ``costs`` (N, K), ``terms`` (N, M) and ``events`` (N, E); in SAME_STEP
    mode also ``final_obs`` and ``final_info`` with their masks where episodes ended.
    """

    metadata = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        scenario: Any = "lv_rural",
        *,
        threads: int = 1,
        split: str = "train",
        action_mode: str | None = None,
        episode_days: int | None = None,
        stagger: bool = False,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        copy: bool = True,
        discrete: bool | int = False,
        render_mode: str | None = None,
    ) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise ValueError(f"render_mode: None or 'rgb_array' expected, got {render_mode!r}")
        mode = AutoresetMode(autoreset_mode)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = mode
        self.metadata = {**self.metadata, "autoreset_mode": mode}
        self.simulator = make_simulator(
            scenario, num_envs, threads=threads, split=split, action_mode=action_mode,
            episode_days=episode_days, stagger=stagger, autoreset=_MODES[mode],  # type: ignore[arg-type]
        )  # fmt: skip
        self.single_observation_space = box(self.simulator.observation_fields)
        self._levels = levels_of(discrete, self.simulator.action_size)
        self.single_action_space = (
            box(self.simulator.action_fields) if self._levels is None else self._levels.space
        )
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._copy = copy

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[NDArray[np.float32], Info]:
        """Begin episodes in all lanes, or in those of ``options["reset_mask"]``."""
        options = dict(options or {})
        mask = options.pop("reset_mask", None)
        if isinstance(seed, Sequence):
            numbers = (
                list(seed) if mask is None else [n for n, m in zip(seed, mask, strict=True) if m]
            )
            if any(n is None for n in numbers):
                if not all(n is None for n in numbers):
                    raise ValueError("seed: numbers for all lanes, or None for all, expected")
                self.simulator.reset(None, mask, options)
            else:
                self.simulator.reset([int(n) for n in numbers if n is not None], mask, options)
        else:
            self.simulator.reset(seed, mask, options)
        return self._out(self.simulator.observations), {}

    def action_masks(self) -> NDArray[np.bool_]:
        """`DaoEnv.action_masks` of all lanes, one row each."""
        return masks_of(self._levels, self.simulator)

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[np.float32], NDArray[Any], NDArray[Any], NDArray[Any], Info]:
        """Step all lanes.

        Raises:
            ValueError: the actions have another shape than the action space, or are no choices.
        """
        s = self.simulator
        s.step(actions if self._levels is None else self._levels.actions(actions))
        info: Info = {}
        for name in ("costs", "terms", "events"):
            info[name] = self._out(getattr(s, name))
            info[f"_{name}"] = np.ones(self.num_envs, dtype=np.bool_)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and s.terminated.any():
            self._add_final(info, s)
        return (
            self._out(s.observations), self._out(s.rewards), self._out(s.terminated),
            self._out(s.truncated), info,
        )  # fmt: skip

    def _add_final(self, info: Info, s: Simulator) -> None:
        ended = s.terminated.copy()
        observations = np.full(self.num_envs, None, dtype=object)
        for lane in np.flatnonzero(ended):
            observations[lane] = s.final_observations[lane].copy()
        info["final_obs"] = observations
        info["_final_obs"] = ended
        info["final_info"] = {
            "costs": s.costs.copy(), "_costs": ended,
            "terms": s.terms.copy(), "_terms": ended,
            "events": s.events.copy(), "_events": ended,
            "episode": {"r": s.episode_reward.copy(), "costs": s.episode_costs.copy()},
            "_episode": ended,
        }  # fmt: skip
        info["_final_info"] = ended

    def render(self) -> tuple[Any, ...] | None:
        """One picture for each lane, or None without a mode."""
        if self.render_mode is None:
            return None
        s = self.simulator
        return tuple(s.domain.render(s, lane) for lane in range(self.num_envs))  # type: ignore[attr-defined]

    def _out(self, array: NDArray[Any]) -> NDArray[Any]:
        return array.copy() if self._copy else array
