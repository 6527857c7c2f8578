"""The batched simulator: N environments of one domain, stepped by one compiled call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .compiled import compile_lock
from .fields import FieldSet
from .layout import Float, Int, Layout
from .random import root_keys

Autoreset = Literal["same_step", "next_step", "disabled"]
_AUTORESETS = ("same_step", "next_step", "disabled")
# Below this many environments, waking the other threads costs more than it saves.
_PARALLEL_FROM = 256


class Domain(Protocol):
    """What a domain gives to the simulator; see docs/write_your_own_domain.md.

    The three kernels are compiled entry points::

        step_serial(n_chunk, pf, pi, *tables, sf, si, actions, observations, out, flags)
        step_parallel(n_chunk, pf, pi, *tables, sf, si, actions, observations, out, flags)
        reset_lanes(mask, pf, pi, *reset_tables, sf, si, observations)

    with `observations` (2, N, D) float32, `out` (2, N, out_width) float64 in the order reward,
    baseline, steps (1), costs, terms, events, and `flags` (2, N) uint8. Index 0 is this step,
    index 1 the end of an episode.
    """

    name: str
    scenario: Any
    scenario_hash: str
    horizon: int
    reward_scale: float
    observation_fields: FieldSet
    action_fields: FieldSet
    out_width: int
    state_layout: Layout
    step_serial: Any
    step_parallel: Any
    reset_lanes: Any

    @property
    def cost_names(self) -> tuple[str, ...]: ...

    @property
    def term_names(self) -> tuple[str, ...]: ...

    @property
    def event_names(self) -> tuple[str, ...]: ...

    @property
    def tables(self) -> tuple[Any, ...]: ...

    @property
    def reset_tables(self) -> tuple[Any, ...]: ...

    def pack(self, autoreset: str, stagger: bool, carry: bool) -> tuple[Float, Int]: ...

    def start_day(self, date: str) -> int: ...


class Simulator:
    """N environments side by side.

    Args:
        domain: the world.
        num_envs: N.
        threads: threads of one step call (small batches use one all the same).
        autoreset: "same_step" begins the next episode in the step that ends one, "next_step" in
            the step after, "disabled" never.
        stagger: each lane's first episode begins at a random step, so that training sees all
            phases of an episode mixed.
        carry: an episode continues where the last one ended (continuous operation).
        specialise: compile the scenario's sizes and tables in (`specialised.py`): the same numbers,
            faster, after a compilation that other scenarios have no use for.

    The arrays named in docs/architecture.md are views of preallocated blocks, overwritten by
    every step; copy what you keep.

    Raises:
        ValueError: `num_envs` or `threads` below 1, an unknown `autoreset`, or `specialise` with a
            domain that has no `specialised_step`.
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
        if num_envs < 1 or threads < 1:
            raise ValueError(f"num_envs and threads must be >= 1, got {num_envs} and {threads}")
        if autoreset not in _AUTORESETS:
            raise ValueError(f"autoreset: one of {_AUTORESETS} expected, got {autoreset!r}")
        self.domain = domain
        self.num_envs = num_envs
        self.threads = min(threads, numba.config.NUMBA_NUM_THREADS)
        self.autoreset = autoreset
        self.scenario = domain.scenario
        self.scenario_hash = domain.scenario_hash
        self.horizon = domain.horizon
        self.observation_fields = domain.observation_fields
        self.action_fields = domain.action_fields
        self.cost_names, self.term_names = domain.cost_names, domain.term_names
        self.event_names = domain.event_names
        self._pf, self._pi = domain.pack(autoreset, stagger, carry)
        layout = domain.state_layout
        self._sf: Float = np.zeros((num_envs, layout.float_width))
        self._si: Int = np.zeros((num_envs, layout.integer_width), dtype=np.int64)
        n_observation, self.action_size = self.observation_fields.size, self.action_fields.size
        self._observations = np.zeros((2, num_envs, n_observation), dtype=np.float32)
        self._out: Float = np.zeros((2, num_envs, domain.out_width))
        self._flags = np.zeros((2, num_envs), dtype=np.uint8)
        self._tables = domain.tables
        self._reset_tables = domain.reset_tables
        self._parallel = self.threads > 1 and num_envs >= _PARALLEL_FROM
        self._specialise = specialise
        self._step = self._step_entry()
        self._n_chunk = 8 * self.threads if self._parallel else 1
        self._name_views()
        self._seeded = False
        self._compile()

    def __getstate__(self) -> dict[str, Any]:
        """What copies and pickles hold: no views, since their copies would show no block."""
        kept = dict(self.__dict__)
        del kept["_step"]
        for name, value in self.__dict__.items():
            if isinstance(value, np.ndarray) and value.base is not None:
                del kept[name]
        return kept

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        self.__dict__.update(state)
        self._step = self._step_entry()
        self._name_views()
        self._compile()

    def _step_entry(self) -> Any:
        domain: Any = self.domain
        if not self._specialise:
            return domain.step_parallel if self._parallel else domain.step_serial
        if not hasattr(domain, "specialised_step"):
            raise ValueError(f"specialise: domain {domain.name!r} has no `specialised_step`")
        return domain.specialised_step(self._pi)[self._parallel]

    def _name_views(self) -> None:
        """The public arrays, as views of the blocks."""
        k, m = len(self.cost_names), len(self.term_names)
        now, ended = self._out
        self.observations: NDArray[np.float32] = self._observations[0]
        self.final_observations: NDArray[np.float32] = self._observations[1]
        self.rewards: Float = now[:, 0]
        self.baselines: Float = now[:, 1]
        self.stepped: Float = now[:, 2]
        self.costs: Float = now[:, 3 : 3 + k]
        self.terms: Float = now[:, 3 + k : 3 + k + m]
        self.events: Float = now[:, 3 + k + m :]
        self.terminated: NDArray[np.bool_] = self._flags[0].view(np.bool_)
        self.truncated: NDArray[np.bool_] = self._flags[1].view(np.bool_)
        self.episode_reward: Float = ended[:, 0]
        self.episode_length: Float = ended[:, 2]
        self.episode_costs: Float = ended[:, 3 : 3 + k]
        self.episode_terms: Float = ended[:, 3 + k : 3 + k + m]
        self.episode_events: Float = ended[:, 3 + k + m :]
        self._episode = self.state("episode")

    def _compile(self) -> None:
        """First call of both kernels, with no lane: compiles them, or loads them from disk."""
        empty = np.zeros((0, self.action_size), dtype=np.float32)
        step = (
            1, self._pf, self._pi, *self._tables, self._sf[:0], self._si[:0], empty,
            self._observations[:, :0], self._out[:, :0], self._flags[:, :0],
        )  # fmt: skip
        with compile_lock(self._step, step):
            self._step(*step)
        reset = (
            np.zeros(0, dtype=np.bool_), self._pf, self._pi, *self._reset_tables,
            self._sf[:0], self._si[:0], self._observations[:, :0],
        )  # fmt: skip
        with compile_lock(self.domain.reset_lanes, reset):
            self.domain.reset_lanes(*reset)

    def state(self, name: str) -> NDArray[Any]:
        """View of a named part of all lanes' state, (N, ...); see the domain's layout."""
        return self.domain.state_layout.view(name, self._sf, self._si)

    def reset(
        self,
        seed: int | Sequence[int] | None = None,
        mask: ArrayLike | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Begin an episode in all lanes, or in those of `mask`; `observations` holds the result.

        Args:
            seed: lane i gets seed + i, or seed[i] of a sequence with one for each lane that is
                reset; None begins the lane's next episode (fresh entropy at the first reset).
            mask: (N,) bool.
            options: ``{"date": "2023-05-14"}`` begins on that day; a sequence gives one a lane.

        Raises:
            ValueError: a shape, an option or a date is wrong; nothing is changed.
        """
        chosen = np.ones(self.num_envs, dtype=np.bool_)
        if mask is not None:
            chosen = np.asarray(mask)
            if chosen.shape != (self.num_envs,) or chosen.dtype != np.bool_:
                raise ValueError(
                    f"mask: {self.num_envs} booleans expected, got {chosen.dtype} {chosen.shape}"
                )
        if not self._seeded and not chosen.all():
            raise ValueError("mask: the first reset() has to begin all lanes")
        n = int(chosen.sum())
        forced = self._forced_days(options, n)
        if seed is None and not self._seeded:
            seed = int(np.random.SeedSequence().generate_state(1)[0])
            keys = root_keys(np.arange(seed, seed + self.num_envs))
            self.state("root_key")[:] = keys.view(np.int64)
            self._episode[:] = -1
        elif seed is not None:
            if isinstance(seed, (int, np.integer)) and not isinstance(seed, bool):
                seeds = np.arange(int(seed), int(seed) + self.num_envs)[chosen]
            else:
                seeds = np.asarray(seed)
                if seeds.shape != (n,):
                    raise ValueError(f"seed: {n} numbers expected, got shape {seeds.shape}")
            self.state("root_key")[chosen] = root_keys(seeds).view(np.int64)
            self._episode[chosen] = -1
        self._seeded = True
        self.state("forced_day")[chosen] = forced
        self.domain.reset_lanes(
            chosen, self._pf, self._pi, *self._reset_tables, self._sf, self._si, self._observations
        )

    def _forced_days(self, options: Mapping[str, Any] | None, n: int) -> Int:
        forced = np.full(n, -1, dtype=np.int64)
        for key, value in (options or {}).items():
            if key != "date":
                raise ValueError(f"reset options: 'date' is known, got {key!r}")
            dates = [value] * n if isinstance(value, str) else list(value)
            if len(dates) != n:
                raise ValueError(f"date: {n} dates expected, got {len(dates)}")
            forced[:] = [self.domain.start_day(date) for date in dates]
        return forced

    def step(self, actions: ArrayLike) -> None:
        """Step all lanes.

        Args:
            actions: (N, action_size), normalised to [-1, 1]; values outside are held at the
                ends and NaN counts as 0, both recorded in the event "invalid_actions".

        Raises:
            ValueError: wrong shape.
            RuntimeError: the simulator was never reset.
        """
        if not self._seeded:
            raise RuntimeError("reset() must come before the first step()")
        array = np.ascontiguousarray(actions, dtype=np.float32)
        if array.shape != (self.num_envs, self.action_size):
            raise ValueError(
                f"actions: shape {(self.num_envs, self.action_size)} expected, got {array.shape}"
            )
        if self._parallel:
            before = numba.get_num_threads()
            numba.set_num_threads(self.threads)
        self._step(
            self._n_chunk, self._pf, self._pi, *self._tables, self._sf, self._si, array,
            self._observations, self._out, self._flags,
        )  # fmt: skip
        if self._parallel:
            numba.set_num_threads(before)

    def snapshot(self) -> dict[str, NDArray[Any]]:
        """Copies of everything that decides the future and of the last outputs."""
        return {
            "floats": self._sf.copy(),
            "integers": self._si.copy(),
            "observations": self._observations.copy(),
            "out": self._out.copy(),
            "flags": self._flags.copy(),
        }

    def restore(self, snapshot: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a snapshot of a simulator of the same scenario and size.

        Raises:
            ValueError: an array is missing or has another shape or type.
        """
        targets: dict[str, NDArray[Any]] = {
            "floats": self._sf,
            "integers": self._si,
            "observations": self._observations,
            "out": self._out,
            "flags": self._flags,
        }
        for name, target in targets.items():
            if name not in snapshot:
                raise ValueError(f"snapshot: {name!r} is missing")
            value = snapshot[name]
            if value.shape != target.shape or value.dtype != target.dtype:
                raise ValueError(
                    f"snapshot: {name} should be {target.dtype} {target.shape}, "
                    f"got {value.dtype} {value.shape}"
                )
        for name, target in targets.items():
            target[:] = snapshot[name]
        self._seeded = True
