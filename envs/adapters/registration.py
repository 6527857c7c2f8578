"""The ids of `envs/registry.py` in Gymnasium's registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gymnasium.envs.registration import register, registry

from daogym.envs.registry import REGISTERED

if TYPE_CHECKING:
    from .pettingzoo import DaoParallelEnv


def register_all() -> None:
    """Register every id once; `gymnasium.make_vec` finds the batched class."""
    for entry in REGISTERED:
        if entry.id not in registry:
            register(
                entry.id,
                entry_point="daogym.envs.adapters.gymnasium:DaoEnv",
                vector_entry_point="daogym.envs.adapters.gymnasium:DaoVectorEnv",
                kwargs={"scenario": entry.scenario, **entry.options},
            )


def parallel_env(scenario: Any, **options: Any) -> DaoParallelEnv:
    """PettingZoo's `ParallelEnv` of an id such as ``daogym/LogisticsPlaces-v0``, or of a scenario;
    see `daogym.envs.adapters.pettingzoo.parallel_env`. PettingZoo is imported here and not before.
    """
    from .pettingzoo import parallel_env as made

    return made(scenario, **options)
