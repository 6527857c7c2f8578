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

from .foresight import Sessions, episode_sessions
from .lanes import Actions
from .lindistflow import LinDistFlow
from .outlook import Lookout, Mode
from .plan import Community, Outlook, Plan, ageing_tangents, make_plan
from .request import A_EV_RATE, A_EXCHANGE, A_EXPORT_CAP
from .rules import Controller

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

# HiGHS works outside Python's lock, so threads are enough; below this many lanes one is.
_THREADS = 2
_THREADS_FROM = 4
# While PV is not held back, exports above this share of the rating are, whatever the forecast was.
_EXPORT_GUARD = 1.15
_NOTICED_KW = 1e-6


class RollingMpc(Controller):
    """Plans to the end of the episode, 24 (with foresight 36) hours ahead at most.

    Args:
        mode: how it looks ahead, see outlook.py.
    """

    def __init__(self, mode: Mode) -> None:
        self.mode: Mode = mode
        self.name = f"mpc_{mode}"
        self._community: Community | None = None
        self._sessions: Sessions | None = None
        self._episode = np.zeros(0, dtype=np.int64)

    def reset(self, simulator: Simulator) -> None:
        super().reset(simulator)
        self._community = community(simulator.domain)
        self._look_ahead(simulator)

    def _look_ahead(self, simulator: Simulator) -> None:
        self._episode = simulator.state("episode").copy()
        if self.mode == "perfect":
            self._sessions = episode_sessions(simulator)

    def act(self, simulator: Simulator) -> Actions:
        if self._community is None:
            raise RuntimeError(f"{self.name}: reset() must come before the first act()")
        if (simulator.state("episode") != self._episode).any():
            self._look_ahead(simulator)
        lookout = Lookout(simulator, self.mode, self._sessions)
        outlooks = [lookout.outlook(lane) for lane in range(simulator.num_envs)]
        actions = self._idle(simulator)
        step = simulator.state("step").tolist()
        for lane, plan in enumerate(self._plans(outlooks)):
            self._write(outlooks[lane], plan, step[lane], lookout.dt_h, actions[lane])
        return actions

    def _plans(self, outlooks: list[Outlook]) -> list[Plan]:
        settings = self._community
        assert settings is not None
        if len(outlooks) < _THREADS_FROM:
            return [make_plan(settings, outlook) for outlook in outlooks]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(lambda outlook: make_plan(settings, outlook), outlooks))

    def _write(self, outlook: Outlook, plan: Plan, step: int, dt_h: float, action: Actions) -> None:
        """One lane's fleet action from the first period of its plan."""
        settings = self._community
        assert settings is not None
        rated = settings.rated_kw
        # The fleet tracks the exchange before PV is held back, and holds it back afterwards.
        held_back = float(outlook.pv_kw[0] - plan.used_kw[0])
        exchange = float(plan.exchange_kw[0])
        action[A_EXCHANGE] = np.clip((exchange - held_back) / rated, -1.0, 1.0)
        cap = max(-exchange, 0.0)
        if held_back <= _NOTICED_KW and outlook.sell[0] >= 0.0:
            cap = max(cap, _EXPORT_GUARD * rated)
        action[A_EXPORT_CAP] = np.clip(cap / rated - 1.0, -1.0, 1.0)
        action[A_EV_RATE] = ev_rate(settings, outlook, plan, step, dt_h)


def ev_rate(settings: Community, outlook: Outlook, plan: Plan, step: int, dt_h: float) -> float:
    """The one rate at which all cars together draw what the plan gives them now, -1 to 1."""
    late = even = fast = wanted = 0.0
    for car, power in zip(outlook.cars, plan.ev_kw, strict=True):
        if not car.here:
            continue
        rating = settings.ev_kw[car.charger]
        drawn, left = car.energy_kwh / settings.ev_efficiency, car.departure - step
        full = min(rating, drawn / dt_h)
        late += min(max((drawn - rating * (left - 1) * dt_h) / dt_h, 0.0), full)
        even += min(full, drawn / (left * dt_h))
        fast += full
        wanted += float(power[0])
    if wanted > even:
        return min((wanted - even) / (fast - even), 1.0) if fast > even else 1.0
    return max((wanted - even) / (even - late), -1.0) if even > late else -1.0


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
