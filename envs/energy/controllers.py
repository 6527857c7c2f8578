"""The controllers of the energy grid by name.

The first six are rules and candidates for score 0. The best constant set-points and the best
schedule of them are open loop: they know nothing of the day they act on, so if they come near a
policy, the scenario is too easy. The last three plan; "perfect" shows what foresight is worth.
"""

from __future__ import annotations

from collections.abc import Callable

from .mpc import RollingMpc
from .rules import Controller, NoOp, PriceThreshold, SelfConsumption, VoltVar
from .scenario import EnergyScenario
from .schedules import (
    Constant,
    ConstantTarget,
    Schedule,
    ScheduledTarget,
    constant_parameters,
    constant_target_parameters,
    schedule_parameters,
    scheduled_target_parameters,
    threshold_parameters,
)

_MAKERS: dict[str, Callable[[EnergyScenario], Controller]] = {
    NoOp.name: lambda scenario: NoOp(),
    VoltVar.name: lambda scenario: VoltVar(),
    SelfConsumption.name: lambda scenario: SelfConsumption(),
    PriceThreshold.name: lambda scenario: PriceThreshold(threshold_parameters(scenario)),
    ConstantTarget.name: lambda scenario: ConstantTarget(constant_target_parameters(scenario)),
    ScheduledTarget.name: lambda scenario: ScheduledTarget(scheduled_target_parameters(scenario)),
    Constant.name: lambda scenario: Constant(constant_parameters(scenario)),
    Schedule.name: lambda scenario: Schedule(schedule_parameters(scenario)),
    "mpc_perfect": lambda scenario: RollingMpc("perfect"),
    "mpc_forecast": lambda scenario: RollingMpc("forecast"),
    "mpc_persistence": lambda scenario: RollingMpc("persistence"),
}
# Plans again every hour: on `lv_rural` it earns about what `mpc_forecast` does, in a quarter of the
# time, which is what makes imitating it cheap.
TEACHER_HOLD = 4
CONTROLLER_NAMES = tuple(_MAKERS)
TRIVIAL_NAMES = (Constant.name, Schedule.name)
RULE_NAMES = (
    NoOp.name,
    VoltVar.name,
    SelfConsumption.name,
    PriceThreshold.name,
    ConstantTarget.name,
    ScheduledTarget.name,
)


def make_controller(name: str, scenario: EnergyScenario) -> Controller:
    """A controller by name; the searched ones search on first use (see schedules.py).

    Raises:
        ValueError: no controller has this name.
    """
    if name not in _MAKERS:
        raise ValueError(f"controller: one of {', '.join(CONTROLLER_NAMES)} expected, got {name!r}")
    return _MAKERS[name](scenario)


def make_teacher(scenario: EnergyScenario) -> Controller:
    """The controller that a policy may imitate before it learns: no foresight, fleet actions."""
    return RollingMpc("forecast", hold=TEACHER_HOLD)
