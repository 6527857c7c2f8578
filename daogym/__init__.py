"""Reinforcement-learning environments for infrastructure run under a DAO's rules."""

from daogym.envs.adapters.registration import parallel_env
from daogym.envs.adapters.registration import register_all as _register_all
from daogym.envs.registry import (
    MULTI_AGENT,
    REGISTERED,
    load_scenario,
    make_multi_agent,
    make_simulator,
)

__version__ = "0.1.0"
__all__ = [
    "MULTI_AGENT",
    "REGISTERED",
    "__version__",
    "load_scenario",
    "make_multi_agent",
    "make_simulator",
    "parallel_env",
]

_register_all()
