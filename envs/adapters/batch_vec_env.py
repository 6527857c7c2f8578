"""What the two stable-baselines3 faces share: rows are numbers in arrays, not objects."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from stable_baselines3.common.vec_env import VecEnv

EMPTY_INFO: Any = MappingProxyType({})


class BatchVecEnv(VecEnv):
    """A `VecEnv` whose environments are rows of a batch."""

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """The same attribute for each asked row."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Refused: lanes have no attributes of their own."""
        raise AttributeError(f"lanes have no attributes of their own, {attr_name!r} cannot be set")

    def env_method(
        self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any
    ) -> list[Any]:
        """Refused: lanes are not objects."""
        raise AttributeError(f"lanes are not objects, {method_name!r} cannot be called")

    def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
        """No lane is wrapped."""
        return [False] * len(list(self._get_indices(indices)))
