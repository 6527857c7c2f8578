"""Rolling model-predictive control: plan, act on the plan's first step, plan again.

The plan (plan.py) is linear; what it leads to is the simulator's AC power flow. The action is
the fleet's: the batteries track the planned exchange, so the error of a forecast is absorbed
within the step. (Set-points for each device cost 0.1 EUR a day less than that with perfect
foresight, 5 more with forecasts, measured on `lv_rural`.)
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float
from daogym.envs.dao.rule_path import true_rules

from .foresight import Sessions, episode_sessions
from .lanes import Actions
from .lindistflow import LinDistFlow
from .outlook import Lookout, Mode
from .plan import Community, Outlook, Plan, ageing_tangents, make_plan
from .plan_actions import device_actions, fleet_actions
from .rules import ActionMode, Controller

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

# HiGHS works outside Python's lock, so threads are enough; below this many lanes one is.
_THREADS = 2
_THREADS_FROM = 4


class RollingMpc(Controller):
    """Plans to the end of the episode, 24 (with foresight 36) hours ahead at most.

    Args:
        mode: how it looks ahead, see outlook.py.
        action_mode: "fleet" or "device"; by default the one in which the mode does best.
        hold: act on that many periods of a plan before planning again; at most 4 (a plan's first
            periods are single steps, see outlook.py), in "fleet" mode only.

        reads_queue: plan with the rule changes that wait in the timelock ("perfect" knows all
            changes); False plans with the rules in force now.

    Raises:
        ValueError: `hold` is out of range.
    """

    def __init__(
        self,
        mode: Mode,
        action_mode: ActionMode | None = None,
        hold: int = 1,
        reads_queue: bool = True,
    ) -> None:
        self.mode: Mode = mode
        self.name = f"mpc_{mode}"
        self.action_mode: ActionMode = action_mode or ("device" if mode == "perfect" else "fleet")
        longest = 4 if self.action_mode == "fleet" else 1
        if not 1 <= hold <= longest:
            raise ValueError(
                f"hold: 1 to {longest} expected in {self.action_mode} mode, got {hold}"
            )
        self.hold, self.reads_queue = hold, reads_queue
        self._community: Community | None = None
        self._sessions: Sessions | None = None
        self._rules: Float | None = None
        self._rules_from = 0
        self._episode = np.zeros(0, dtype=np.int64)
        self._step = np.zeros(0, dtype=np.int64)
        self._outlooks: list[Outlook] = []
        self._plans: list[Plan] = []

    def reset(self, simulator: Simulator) -> None:
        super().reset(simulator)
        self._community = community(simulator.domain)
        self._look_ahead(simulator)

    def _look_ahead(self, simulator: Simulator) -> None:
        self._episode = simulator.state("episode").copy()
        self._step = np.full(simulator.num_envs, -self.hold)
        if self.mode == "perfect":
            self._sessions = episode_sessions(simulator)
            self._rules = true_rules(simulator)
            self._rules_from = int(simulator.state("step").min())

    def act(self, simulator: Simulator) -> Actions:
        settings = self._community
        if settings is None:
            raise RuntimeError(f"{self.name}: reset() must come before the first act()")
        if not np.array_equal(simulator.state("episode"), self._episode):
            self._look_ahead(simulator)
        age = simulator.state("step") - self._step
        if not (age == age[0]).all() or not 0 <= age[0] < self.hold:
            lookout = Lookout(
                simulator, self.mode, self._sessions, self._coming_rules(simulator),
                self.reads_queue,
            )  # fmt: skip
            self._outlooks = [lookout.outlook(lane) for lane in range(simulator.num_envs)]
            self._plans = _plans(settings, self._outlooks)
            self._step = simulator.state("step").copy()
            age[:] = 0
        if self.action_mode == "fleet":
            return fleet_actions(simulator, settings, self._outlooks, self._plans, int(age[0]))
        return device_actions(simulator, settings, self._outlooks, self._plans)

    def _coming_rules(self, simulator: Simulator) -> Float | None:
        """The true rules of each lane from its own step on; None without foresight."""
        if self._rules is None:
            return None
        step = simulator.state("step")
        ahead = np.arange(self._rules.shape[1])
        index = np.minimum(step[:, None] - self._rules_from + ahead, len(ahead) - 1)
        return self._rules[np.arange(len(step))[:, None], index]


def _plans(settings: Community, outlooks: list[Outlook]) -> list[Plan]:
    if len(outlooks) < _THREADS_FROM:
        return [make_plan(settings, outlook) for outlook in outlooks]
    with ThreadPoolExecutor(_THREADS) as pool:
        return list(pool.map(lambda outlook: make_plan(settings, outlook), outlooks))


def community(domain: Any) -> Community:
    """What the plan needs to know of a domain."""
    feeder, scenario = domain.feeder, domain.scenario
    scalar = domain.scalars()
    n_bus = feeder.n_bus
    rows = domain.loaded.rows
    load, reactive = rows[:, :n_bus].mean(axis=0), rows[:, n_bus : 2 * n_bus].mean(axis=0)
    load_share = load / load.sum() if load.sum() > 0.0 else np.zeros(n_bus)
    below = load_share.copy()
    for k in range(n_bus - 1, 0, -1):
        below[feeder.parent[k]] += below[k]
    rating = np.minimum(feeder.battery_p_kw, feeder.battery_s_kva)
    rated = domain.transformer_kva
    loss_pu = float((feeder.r_pu * below * below).sum()) * (rated / feeder.s_base_kva) ** 2
    limits = scenario.limits
    return Community(
        battery_kw=float(rating.sum()),
        battery_kwh=float(feeder.battery_e_kwh.sum()),
        min_soc_share=scalar["soc_min_share"],
        efficiency=scalar["eta_charge"],
        decay_per_h=float(scalar["battery_decay"] ** (1.0 / scalar["dt_h"])),
        wear_eur_per_kwh=scalar["wear_eur_per_kwh"],
        ev_kw=feeder.ev_p_kw,
        ev_efficiency=scalar["ev_efficiency"],
        ev_unmet_eur_per_kwh=scalar["ev_unmet_eur_per_kwh"],
        rated_kw=rated,
        loss_kw=loss_pu * feeder.s_base_kva,
        ageing=ageing_tangents(
            scalar["ageing_eur_per_h"], scalar["ambient_c"], scalar["oil_rise_c"],
            scalar["loss_ratio"], scalar["oil_exponent"], scalar["winding_rise_c"],
            scalar["winding_exponent"],
        ),
        flow=LinDistFlow.of(feeder),
        battery_share=_shares(feeder.battery_bus, rating, n_bus),
        pv_share=_shares(feeder.pv_bus, feeder.pv_p_kw, n_bus),
        load_share=load_share,
        load_kvar_per_kw=float(reactive.sum() / load.sum()) if load.sum() > 0.0 else 0.0,
        ev_bus=feeder.ev_bus,
        voltage_low_pu=limits.voltage_low_pu,
        voltage_high_pu=limits.voltage_high_pu,
    )  # fmt: skip


def _shares(bus: Any, power: Any, n_bus: int) -> Any:
    share = np.zeros(n_bus)
    np.add.at(share, bus, power / power.sum() if len(power) and power.sum() > 0.0 else 0.0)
    return share
