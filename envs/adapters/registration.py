"""The ids of `envs/registry.py` in Gymnasium's registry."""

from __future__ import annotations

from gymnasium.envs.registration import register, registry

from daogym.envs.registry import REGISTERED


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
