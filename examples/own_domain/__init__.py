"""A domain of one's own, complete: a warehouse that orders one good every day."""

import gymnasium

from .domain import WarehouseDomain
from .scenario import WarehouseScenario

__all__ = ["WarehouseDomain", "WarehouseScenario"]

gymnasium.register(
    "own_domain/Warehouse-v0",
    entry_point="daogym.envs.adapters.gymnasium:DaoEnv",
    vector_entry_point="daogym.envs.adapters.gymnasium:DaoVectorEnv",
    kwargs={"scenario": WarehouseDomain(WarehouseScenario())},
)
