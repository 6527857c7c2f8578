"""A proven upper limit of what any controller can earn in an episode.

`upper_bound` solves, for each lane, one linear programme that knows the whole episode in
advance: its prices, loads, sunshine, cars and initial storage. Whatever actions are sent, what
the simulator then does is a point of that programme with the same money or more, so its optimum
is above every controller's return. Constraint by constraint, for a step t of length dt (names
as in the code; "the gate" is request.py, "settle" settle.py):

Balance. A step is an outage or its power flow converged at voltages above the floor. Then
    exchange = served load + cars + charging - discharging - PV used + losses
up to the solver's tolerance, whose worth is added to the result (nameplate.py). An outage is
the point with all of these 0 and no load served. `served` in [0, 1] is the one share by which
the transformer's relay cuts all loads (1 / loading < 1). Trips, the relay and the export limit
of a connection only take away from what is allowed here: 0 <= used <= available.

Money of the exchange. settle pays buy * x or sell * x by the exchange's sign. Since buy >= sell
in every hour (tables.py refuses other tariffs), min of buy * imported - sell * exported over
imported - exported = x is just that.

Batteries. With c_b = max(P_b, 0), d_b = max(-P_b, 0), dynamics.py's storage is linear, E_b' =
decay E_b + gain (eta c_b - d_b / eta), and all batteries share decay, gain and eta, so their
sum follows the same law. One signed set-point: c_b d_b = 0, c_b + d_b <= rating_b = min(kW,
kVA), so sums obey charge + discharge <= sum of ratings. The gate keeps E_b <= capacity_b. From
below: if decay E_b >= minimum_b, discharging stops at minimum_b; else there is no discharging
and E_b' >= decay E_b. By induction E_b(t) >= minimum_b decay^t (the scenario demands initial >=
minimum). The gate reverts a step that would overdraw the flexibility budget, and only midnight
adds to it what the rule in force then grants, up to `budget_days` such grants: so between two
midnights throughput is at most the level after the first one and the grants since.
Under a voted charter rules are exogenous: the path that the seed fixes enters as data, the fee of
each step in its import price. Wear is paid on charge + discharge. The
slew limit, reverts and an emergency halt only take away.

Cars. Sessions are exogenous (foresight.py). Between arrival and departure a car draws 0 to its
charger's rating, and no more energy than it wants; what is missing at a departure costs the
unmet price, what is missing at the episode's end is owed at the price of the stock. (settle
forgives less than 1e-9 kWh a session: added to the result.)

Stock. settle's last term, linear in the sums of stored and owed energy.

Losses. At most what nameplates allow (nameplate.py): with a negative import price they earn
money. At least: bus 0 has no devices, so the current of the branches that leave it has the real
part a = x / V_0 - g_0 V_0 (per unit), and |J| >= tap |a| for a single branch. Its series loss
and the shunts at both ends lose psi(J) = g_0 V_0^2 + r J^2 + g_1 max(V_0 / tap - |z| J, 0)^2 at
least, by the triangle inequality. For J <= J_c = V_0 / (tap |z|) that is a convex parabola,
beyond J_c it is g_0 V_0^2 + r J^2. A tangent of the parabola at J_0 <= J_c lies below the
parabola up to J_c, where both meet; there its slope is at most 2 r J_c, so it stays below r J^2
+ g_0 V_0^2 afterwards. Tangents with slope >= 0 may take tap |a| for J. Several branches carry
sum of J / tap = a with the smallest series loss a^2 / sum(1 / (r tap^2)) (Cauchy-Schwarz). In
an outage x = 0 and nothing is lost: so a positive intercept is multiplied by `served` (0 in an
outage, at most 1 otherwise), a negative one is below 0 there anyway.

Ageing. K = |S| / rating >= |x| / rating. The final oil rise ((1 + R K^2) / (1 + R))^n is
increasing and, for n >= 1/2, convex in K: the second derivative has the sign of 1 + (2 n - 1) R
K^2. The winding's K^m is both for m >= 1. The oil follows oil' = decay oil + (1 - decay)
(ambient + rise h), with weights >= 0; the hot spot that ages is the mean of oil and oil' plus
the winding's gradient, as in settle; 2^((hot spot - 98) / 6) is increasing and convex up to the
300 degC where dynamics.py holds it. Every function is replaced by the highest of a few
tangents, and the true trajectory satisfies them all. A tangent of the last one is used only if
at the hottest reachable point it is still below the held value. (An oil exponent below 1/2 is
left without ageing: 0 is a bound too.)

Numbers. HiGHS's optimum is not used but the lower limit of the minimum that its duals prove
(core/linear_programme.py), less 1e-6 EUR and 1e-7 of it for the rounding of that proof and of the
simulator.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.linear_programme import LinearProgramme, Solution, Term
from daogym.envs.dao.rule_path import true_rules

from .convex import tangents
from .foresight import Sessions, World, episode_sessions, true_world
from .layout import (
    D_OWED_PRICE,
    D_STOCK_PRICE,
    G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY,
    G_IMPORT_FEE_EUR_PER_KWH,
    PAST_QUARTERS,
    QUARTERS_PER_DAY,
    W_EXPORT_PRICE,
    W_IMPORT_PRICE,
)
from .nameplate import Nameplate, nameplate_limits

if TYPE_CHECKING:
    from daogym.envs.core.simulator import Simulator

LOSS_POINTS = (0.03, 0.08, 0.15, 0.25, 0.4, 0.6, 0.85, 1.15, 1.6)
LOADING_POINTS = (0.0, 0.3, 0.6, 0.85, 1.05, 1.3, 1.6)
AGEING_POINTS_C = (60.0, 80.0, 92.0, 104.0, 116.0, 130.0, 145.0)
_AGEING_HELD_AT_C = 300.0
_ABSOLUTE_MARGIN_EUR, _RELATIVE_MARGIN = 1e-6, 1e-7
_FORGIVEN_KWH = 1e-9


def upper_bound(simulator: Simulator) -> Float:
    """EUR that no controller can exceed in the episode each lane is about to play, (N,).

    The simulator is only read.

    Raises:
        ValueError: a lane is not at the first step of an episode of its own (`stagger`, `carry`,
            or steps taken since the reset), or nothing limits the feeder's currents.
        RuntimeError: HiGHS found no optimum.
    """
    domain: Any = simulator.domain
    step = simulator.state("step")
    late = np.flatnonzero((step != 0) | (simulator.state("started") != 0))
    if len(late):
        raise ValueError(
            f"the bound is of whole episodes: lane {late[0]} stands at step {step[late[0]]} of "
            f"{simulator.horizon}, step 0 is expected (reset first, without stagger)"
        )
    if (simulator.state("carried") != 0).any():
        raise ValueError(
            "with carry an episode starts where the controller left the last one, so there is no "
            "bound that all controllers share; use a longer episode_days instead"
        )
    sessions = episode_sessions(simulator)
    rules, closing_fees = _rules(simulator)
    known: dict[int, tuple[World, Nameplate]] = {}
    bounds = np.empty(simulator.num_envs)
    for lane, day in enumerate(simulator.state("day").tolist()):
        if day not in known:
            n_quarters = domain.horizon // simulator.scenario.substeps
            world = true_world(domain, day, 0, n_quarters)
            known[day] = world, nameplate_limits(domain, world)
        bounds[lane] = max(
            EpisodeBound(
                domain,
                day,
                closing_fee_eur_per_kwh=closing_fee,
                soc_kwh=float(simulator.state("soc_kwh")[lane].sum()),
                oil_c=float(simulator.state("oil_c")[lane]),
                owed_kwh=float(simulator.state("initial_ev_kwh")[lane]),
                sessions=sessions.of(lane),
                world=known[day][0],
                nameplate=known[day][1],
                rules=rules[lane],
                budget_kwh=float(simulator.state("budget_kwh")[lane]),
            ).value()
            for closing_fee in closing_fees
        )
    return bounds


def _rules(simulator: Simulator) -> tuple[Float, tuple[float | None, ...]]:
    """(N, steps, parameters) in force, and fees at which what cars still want may be valued.

    Under an agentic charter or a steward the rules answer to agents, so the most favourable value
    of each counts in every step. Whether a high or a low fee on what is owed favours it depends on
    what was charged; money is linear in that fee, so the larger of the two ends is a bound.
    """
    domain: Any = simulator.domain
    if not domain.scenario.charter.answers_actions:
        return true_rules(simulator), (None,)
    low, high, _ = domain.governance.floats.reshape(3, -1)
    best = domain.governed.copy()
    best[G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY] = high[G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY]
    best[G_IMPORT_FEE_EUR_PER_KWH] = low[G_IMPORT_FEE_EUR_PER_KWH]
    rules = np.broadcast_to(best, (simulator.num_envs, domain.horizon, len(best)))
    ends = low[G_IMPORT_FEE_EUR_PER_KWH], high[G_IMPORT_FEE_EUR_PER_KWH]
    return rules, (float(ends[0]), float(ends[1]))


class EpisodeBound:
    """The linear programme of one episode; the module's docstring says why it is a relaxation.

    Args:
        day: calendar day on which it starts.
        soc_kwh: stored at the start, in all batteries.
        oil_c: transformer oil at the start.
        owed_kwh: wanted at the start by the cars that are there.
        budget_kwh: battery throughput that the charter allows at the start.
        rules: (steps, parameters) governed parameters in force in each step.
    """

    def __init__(
        self, domain: Any, day: int, *, soc_kwh: float, oil_c: float, owed_kwh: float,
        budget_kwh: float, sessions: Sessions, world: World, nameplate: Nameplate, rules: Float,
        closing_fee_eur_per_kwh: float | None = None,
    ) -> None:  # fmt: skip
        self.domain, self.feeder, self.steps = domain, domain.feeder, domain.horizon
        self.scalar: Mapping[str, float] = domain.scalars()
        self.dt_h = self.scalar["dt_h"]
        scenario = domain.scenario
        quarter = np.repeat(np.arange(self.steps // scenario.substeps), scenario.substeps)
        table = domain.loaded.world[:, PAST_QUARTERS + day * QUARTERS_PER_DAY + quarter]
        self.rules, self.budget_kwh = rules, budget_kwh
        fee_change = rules[:, G_IMPORT_FEE_EUR_PER_KWH] - self.scalar["import_fee_eur_per_kwh"]
        self.buy, self.sell = table[W_IMPORT_PRICE] + fee_change, table[W_EXPORT_PRICE]
        last = (day + scenario.episode_days - 1) % domain.loaded.n_days
        self.stock_price = float(domain.loaded.days[D_STOCK_PRICE, last])
        closing = fee_change[-1]
        if closing_fee_eur_per_kwh is not None:
            closing = closing_fee_eur_per_kwh - self.scalar["import_fee_eur_per_kwh"]
        self.owed_price = float(domain.loaded.days[D_OWED_PRICE, last] + closing)
        self.apparent = nameplate.apparent_kva[quarter]
        self.mismatch = nameplate.mismatch_kw[quarter]
        self.lp = lp = LinearProgramme()

        hours = self.dt_h
        load = world.load_kw.sum(axis=1)[quarter]
        lost = self.scalar["unserved_eur_per_kwh"] * hours * load
        lp.constant += float(lost.sum())
        self.imported = lp.variables(self.steps, 0.0, self.apparent, self.buy * hours)
        self.exported = lp.variables(self.steps, 0.0, self.apparent, -self.sell * hours)
        self.served = lp.variables(self.steps, 0.0, 1.0, -lost)
        self.loss = lp.variables(self.steps, 0.0, nameplate.loss_kw[quarter])
        used = lp.variables(self.steps, 0.0, world.pv_kw.sum(axis=1)[quarter])
        charge, discharge = self._batteries(soc_kwh)
        lp.equal(
            0.0, (self.imported, 1.0), (self.exported, -1.0), (self.served, -load), (used, 1.0),
            (self.loss, -1.0), (charge, -1.0), (discharge, 1.0), *self._cars(owed_kwh, sessions),
        )  # fmt: skip
        self.forgiven = _FORGIVEN_KWH * len(sessions.lane) * self.scalar["ev_unmet_eur_per_kwh"]
        self._least_losses()
        self._ageing(oil_c)

    def value(self) -> float:
        """The bound, EUR."""
        lower = self.solve().lower
        price = np.maximum(np.abs(self.buy), np.abs(self.sell))
        unbalanced = float((price * self.mismatch).sum()) * self.dt_h
        margin = _ABSOLUTE_MARGIN_EUR + _RELATIVE_MARGIN * abs(lower)
        return -lower + unbalanced + self.forgiven + margin

    def solve(self) -> Solution:
        """The programme's optimum; its value is a cost."""
        return self.lp.solve()

    def _batteries(self, soc_kwh: float) -> tuple[Int, Int]:
        lp, steps, scalar = self.lp, self.steps, self.scalar
        rating = float(np.minimum(self.feeder.battery_p_kw, self.feeder.battery_s_kva).sum())
        capacity = float(self.feeder.battery_e_kwh.sum())
        wear = scalar["wear_eur_per_kwh"] * self.dt_h
        charge = lp.variables(steps, 0.0, rating, wear)
        discharge = lp.variables(steps, 0.0, rating, wear)
        decay, gain = scalar["battery_decay"], scalar["battery_gain_h"]
        worth = np.zeros(steps)
        worth[-1] = -self.stock_price * scalar["eta_discharge"]
        lp.constant -= float(worth[-1]) * soc_kwh
        low = capacity * scalar["soc_min_share"] * decay ** np.arange(1, steps + 1)
        stored = lp.variables(steps, low, capacity, worth)
        into, out_of = -gain * scalar["eta_charge"], gain / scalar["eta_discharge"]
        lp.equal(decay * soc_kwh, (stored[:1], 1.0), (charge[:1], into), (discharge[:1], out_of))
        lp.equal(
            0.0, (stored[1:], 1.0), (stored[:-1], -decay), (charge[1:], into),
            (discharge[1:], out_of),
        )  # fmt: skip
        lp.at_most(rating, (charge, 1.0), (discharge, 1.0))
        self._budget(charge, discharge, capacity)
        return charge, discharge

    def _budget(self, charge: Int, discharge: Int, capacity: float) -> None:
        """Throughput from one midnight to another is at most the level there and the grants since.

        The level after midnight is at most `budget_days` grants; at the start it is known. With one
        day, spans of one day say it all.
        """
        per_day, keeps = self.domain.steps_per_day, self.domain.scenario.budget_days
        days = self.steps // per_day
        cycles = self.rules[::per_day, G_FLEXIBILITY_BUDGET_CYCLES_PER_DAY]
        grants = 2.0 * cycles * capacity
        level = keeps * grants
        level[0] = self.budget_kwh
        for first in range(days):
            for last in range(first, days if keeps > 1 else first + 1):
                span = np.s_[first * per_day : (last + 1) * per_day]
                allowed = float(level[first] + grants[first + 1 : last + 1].sum())
                self.lp.at_most(
                    allowed, (charge[span][None], self.dt_h), (discharge[span][None], self.dt_h)
                )

    def _cars(self, owed_kwh: float, sessions: Sessions) -> list[Term]:
        """Charging of each car; its terms of the balance."""
        lp, steps, efficiency = self.lp, self.steps, self.scalar["ev_efficiency"]
        owed_price = self.owed_price / efficiency
        lp.constant -= owed_price * owed_kwh
        terms: list[Term] = []
        columns = (sessions.charger, sessions.arrival, sessions.departure, sessions.energy_kwh)
        for charger, arrival, departure, energy in zip(*columns, strict=True):
            if arrival > steps:
                continue
            price = self.scalar["ev_unmet_eur_per_kwh"] if departure <= steps else owed_price
            lp.constant += price * float(energy)
            first, end = max(int(arrival), 0), min(int(departure), steps)
            if first >= end:
                continue
            into = efficiency * self.dt_h
            power = lp.variables(end - first, 0.0, self.feeder.ev_p_kw[charger], -price * into)
            lp.at_most(energy, (power[None], into))
            # One row a step: outside the session any variable will do, times 0.
            index, present = np.full(steps, power[0]), np.zeros(steps)
            index[first:end], present[first:end] = power, -1.0
            terms.append((index, present))
        return terms

    def _least_losses(self) -> None:
        feeder, lp = self.feeder, self.lp
        branches = np.flatnonzero(feeder.parent == 0)
        at_devices = (feeder.load_bus, feeder.pv_bus, feeder.battery_bus, feeder.ev_bus)
        if any((bus == 0).any() for bus in at_devices) or (feeder.r_pu[branches] <= 0.0).any():
            return
        v, g = feeder.slack_voltage_pu, float(feeder.shunt_g_pu[0])
        r, tap, z, g_end = 0.0, 1.0, 0.0, 0.0
        if len(branches) == 1:
            k = int(branches[0])
            r, tap = float(feeder.r_pu[k]), float(feeder.tap[k])
            z, g_end = float(np.hypot(r, feeder.x_pu[k])), float(feeder.shunt_g_pu[k])
        else:
            r = 1.0 / float((1.0 / (feeder.r_pu[branches] * feeder.tap[branches] ** 2)).sum())

        def parabola(j: Float) -> Float:
            return g * v * v + r * j * j + g_end * (v / tap - z * j) ** 2

        def slope(j: Float) -> Float:
            return 2.0 * r * j - 2.0 * g_end * z * (v / tap - z * j)

        lowest = g_end * z * (v / tap) / (r + g_end * z * z)
        furthest = v / (tap * z) if z > 0.0 else np.inf
        points = np.array(LOSS_POINTS) * self.domain.transformer_kva / feeder.s_base_kva
        points = np.append(lowest, points[(points > lowest) & (points <= furthest)])
        slopes, intercepts = tangents(parabola, slope, points)
        for steep, intercept in zip(np.maximum(slopes, 0.0), intercepts, strict=True):
            for sign in (1.0, -1.0):
                by_exchange = sign * steep * tap / v
                constant = (intercept - sign * steep * tap * g * v) * feeder.s_base_kva
                lp.at_most(
                    -min(constant, 0.0), (self.imported, by_exchange),
                    (self.exported, -by_exchange), (self.loss, -1.0),
                    (self.served, max(constant, 0.0)),
                )  # fmt: skip

    def _ageing(self, oil_c: float) -> None:
        scalar, lp, steps = self.scalar, self.lp, self.steps
        price = scalar["ageing_eur_per_h"] * self.dt_h
        ratio, exponent = scalar["loss_ratio"], scalar["oil_exponent"]
        rise, winding, power = (
            scalar["oil_rise_c"], scalar["winding_rise_c"], scalar["winding_exponent"],
        )  # fmt: skip
        rated, ambient = self.domain.transformer_kva, scalar["ambient_c"]
        if exponent < 0.5 or power < 1.0 or price == 0.0:
            return

        def heat(k: Float) -> Float:
            return ((1.0 + ratio * k * k) / (1.0 + ratio)) ** exponent

        def heat_slope(k: Float) -> Float:
            return heat(k) * exponent * 2.0 * ratio * k / (1.0 + ratio * k * k)

        def gradient(k: Float) -> Float:
            return winding * k**power

        def gradient_slope(k: Float) -> Float:
            return winding * power * k ** (power - 1.0)

        def ageing(c: Float) -> Float:
            return np.exp2((c - 98.0) / 6.0)

        def ageing_slope(c: Float) -> Float:
            return ageing(c) * (np.log(2.0) / 6.0)

        most = self.apparent / rated
        loading = lp.variables(steps, 0.0, most)
        for sign in (1.0 / rated, -1.0 / rated):
            lp.at_most(0.0, (self.imported, sign), (self.exported, -sign), (loading, -1.0))
        share = lp.variables(steps, 0.0, heat(most))
        for steep, intercept in zip(*tangents(heat, heat_slope, LOADING_POINTS), strict=True):
            lp.at_most(-intercept, (loading, steep), (share, -1.0))
        above = lp.variables(steps, 0.0, gradient(most))
        for steep, intercept in zip(
            *tangents(gradient, gradient_slope, LOADING_POINTS), strict=True
        ):
            lp.at_most(-intercept, (loading, steep), (above, -1.0))

        hottest_oil = max(ambient + rise * float(heat(most).max()), oil_c)
        oil = lp.variables(steps, min(ambient, oil_c), hottest_oil)
        decay = scalar["oil_decay"]
        new = 1.0 - decay
        lp.equal(decay * oil_c + new * ambient, (oil[:1], 1.0), (share[:1], -new * rise))
        lp.equal(new * ambient, (oil[1:], 1.0), (oil[:-1], -decay), (share[1:], -new * rise))

        hottest = hottest_oil + float(gradient(most).max())
        slopes, intercepts = tangents(ageing, ageing_slope, AGEING_POINTS_C)
        held = float(ageing(np.array(_AGEING_HELD_AT_C)))
        useful = slopes * hottest + intercepts <= held
        slopes, intercepts = slopes[useful], intercepts[useful]
        if not len(slopes):
            return
        # A true ageing above all tangents counts as their highest value, which is less.
        highest = max(float((slopes * hottest + intercepts).max()), 0.0)
        rate = lp.variables(steps, 0.0, highest, price)
        for steep, intercept in zip(slopes, intercepts, strict=True):
            half = 0.5 * steep
            lp.at_most(
                -intercept - half * oil_c, (oil[:1], half), (above[:1], steep), (rate[:1], -1.0)
            )
            lp.at_most(
                -intercept, (oil[1:], half), (oil[:-1], half), (above[1:], steep), (rate[1:], -1.0)
            )
