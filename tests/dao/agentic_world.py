"""A world with nothing but rules in it: laxer values earn the operator money, and it may propose.

The governed parameters and what a lax value is worth are those of the energy grid under its
self-consumption rule, measured on 16 weeks of `lv_rural`: 157 EUR a day for each EUR/kWh of import
fee, 2.7 for each unit of export limit below 0.7, 0.07 for each cycle of flexibility budget below 2,
nothing for the reserve floor. Members vote on them as they do there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.compiled import compile_lock, kernel_entry, kernel_function
from daogym.envs.core.random import as_uint64, episode_key, root_keys
from daogym.envs.dao.ballots import circumstances, wanted_value
from daogym.envs.dao.charter import Charter, GovernedParameter
from daogym.envs.dao.electorate_layout import I_IDEALS, I_VOTERS
from daogym.envs.dao.governance import (
    advance_governance,
    begin_governance,
    pass_earlier_steps,
    quiet_step,
)
from daogym.envs.dao.governance_columns import (
    A_OWN_LOST,
    A_OWN_WON,
    A_STEP,
    C_FUNDS_CENTS,
    C_PARAMETERS,
)
from daogym.envs.dao.governance_layout import Governance, pack_governance
from daogym.envs.dao.governance_money import (
    GOVERNANCE_ACCOUNTS,
    begin_accounts,
    forfeit_open_bonds,
    settle_governance,
)
from daogym.envs.dao.operator_proposals import (
    OPERATOR_WIDTH,
    begin_operator,
    operator_proposal,
)
from daogym.envs.dao.treasury import books_balance

DAY, HORIZON = 96, 672
GOVERNED = (
    GovernedParameter("export_limit_share", "1", 0.0, 1.0, 0.7, "clip", "", 0.35, 1.0, "store"),
    GovernedParameter("reserve_floor_share", "1", 0.0, 0.5, 0.1, "cost", "", 0.15, 1.0, "fill"),
    GovernedParameter("flexibility_budget", "1/day", 0.0, 6.0, 2.0, "revert", "", 1.0, 1.0, "use"),
    GovernedParameter("import_fee_eur_per_kwh", "EUR/kWh", 0.05, 0.35, 0.15, "price", "", 0.15,
                      1.0, "wait"),
)  # fmt: skip
FEE = 3
PAYOFF_EUR_PER_DAY = np.array([2.7, 0.0, 0.07, -157.0])
"""For each unit of each parameter, up to the values below."""
SATURATES = np.array([0.7, 0.5, 2.0, 1e9])

NEVER, LAXEST_FEE, LAXEST_EACH, AS_MEMBERS_WANT, ANYTHING = range(5)
TREASURY_CENTS = 10_000_000


@kernel_function
def _request(
    policy: int, key: Any, step: int, ints: Any, floats: Any, e_ints: Any, e_floats: Any,
    values: Any, noise: Any, out: Any,
) -> None:  # fmt: skip
    """(choice, change, now) of a policy."""
    n = ints[C_PARAMETERS]
    out[0], out[1], out[2] = 0.0, 0.0, -1.0
    if policy == LAXEST_FEE:
        out[0], out[1], out[2] = FEE + 0.5, -1.0, 1.0
    elif policy == LAXEST_EACH:
        p = step % n
        out[0], out[1], out[2] = p + 0.5, -1.0 if p in (1, FEE) else 1.0, 1.0
    elif policy == AS_MEMBERS_WANT:
        # What the largest delegate wants at the snapshot, asked for where it is a lower fee.
        low, high, reach = floats[FEE], floats[n + FEE], floats[2 * n + FEE]
        shift = circumstances(key, step + 8, FEE, e_ints, e_floats)
        wanted = low + (high - low) * wanted_value(
            e_floats[e_ints[I_IDEALS] + FEE * e_ints[I_VOTERS]], shift
        )
        change = min(max((wanted - values[FEE]) / reach, -1.0), 1.0)
        if change < -0.3:
            out[0], out[1], out[2] = FEE + 0.5, change, 1.0
    elif policy == ANYTHING:
        out[:] = noise


@kernel_entry()
def play_lanes(
    policy: int, keys: Any, ints: Any, floats: Any, e_ints: Any, e_floats: Any, rules: Any,
    start: Any, payoff: Any, saturates: Any, settings: Any, proposals: Any, votes: Any,
    clock: Any, events: Any, agenda: Any, operator: Any, accounts: Any, totals: Any, noise: Any,
    earned: Any, path: Any, bonds: Any, answers: Any, seen: Any,
) -> int:  # fmt: skip
    """One week of every lane; how many steps broke a law of the books."""
    broken = 0
    request = np.zeros(3)
    values = np.zeros(len(start))
    for lane in range(len(keys)):
        values[:] = start
        key = as_uint64(keys[lane])
        begin_governance(
            ints, rules, settings[lane], proposals[lane], votes[lane], clock[lane], agenda[lane]
        )  # fmt: skip
        pass_earlier_steps(
            key, ints, floats, e_ints, e_floats, settings[lane], proposals[lane], votes[lane],
            clock[lane], events[lane], agenda[lane], values,
        )  # fmt: skip
        begin_operator(operator[lane])
        begin_accounts(ints, accounts[lane], totals[lane], TREASURY_CENTS)
        for step in range(HORIZON):
            for p in range(len(values)):
                earned[lane] += payoff[p] * min(values[p], saturates[p]) / DAY
            if not quiet_step(lane, 0, agenda):
                advance_governance(
                    key, ints, floats, e_ints, e_floats, settings[lane], proposals[lane],
                    votes[lane], clock[lane], events[lane], agenda[lane], values,
                )  # fmt: skip
            clock_step = agenda[lane, A_STEP] - 1
            _request(policy, key, clock_step, ints, floats, e_ints, e_floats, values,
                     noise[lane, step], request)  # fmt: skip
            answers[lane, step] = operator_proposal(
                ints, floats, settings[lane], proposals[lane], votes[lane], agenda[lane], values,
                operator[lane], accounts[lane], HORIZON - 1 - step, request[0], request[1],
                request[2],
            )  # fmt: skip
            settle_governance(settings[lane], agenda[lane], accounts[lane])
            bonds[lane, step] = accounts[lane, 2]
            path[lane, step] = values
            seen[lane, step] = proposals[lane]
            if not books_balance(accounts[lane], totals[lane]):
                broken += 1
        forfeit_open_bonds(proposals[lane], agenda[lane], accounts[lane])
        if not books_balance(accounts[lane], totals[lane]):
            broken += 1
    return broken


@dataclass(frozen=True)
class Week:
    """What a policy came to in each lane."""

    governance: Governance
    earned_eur: NDArray[np.float64]
    """Payoff of the values in force."""
    accounts: NDArray[np.int64]
    agenda: NDArray[np.int64]
    operator: NDArray[np.int64]
    proposals: NDArray[np.int64]
    path: NDArray[np.float64]
    bonds: NDArray[np.int64]
    """In escrow after each step, cents."""
    answers: NDArray[np.int64]
    seen: NDArray[np.int64]
    """The governor's proposals after each step."""
    settings: NDArray[np.int64]
    votes: NDArray[np.int64]
    broken: int

    @property
    def bonds_eur(self) -> NDArray[np.float64]:
        """Change of the operator's account: bonds lost, below 0."""
        return (self.accounts[:, 1] - self.governance.ints[C_FUNDS_CENTS]) / 100.0

    @property
    def score_eur(self) -> NDArray[np.float64]:
        """Payoff and bonds together."""
        return self.earned_eur + self.bonds_eur

    @property
    def won(self) -> int:
        """Proposals of the operator that were executed."""
        return int(self.agenda[:, A_OWN_WON].sum())

    @property
    def lost(self) -> int:
        """... that were not."""
        return int(self.agenda[:, A_OWN_LOST].sum())


def play(
    charter: Charter, policy: int, lanes: int, seed: int = 0, noise: Any = None
) -> Week:  # fmt: skip
    """A week of `lanes` lanes with seeds `seed`, `seed` + 1, ..."""
    governance = pack_governance(
        charter, GOVERNED, steps_per_day=DAY, horizon=HORIZON, treasury_cents=10_000_000
    )
    state = {
        name: np.zeros((lanes, *shape), dtype=np.int64)
        for name, shape in governance.state_sizes.items()
    }
    roots = root_keys(list(range(seed, seed + lanes)))
    keys = np.array([episode_key(root, 0) for root in roots], dtype=np.uint64).view(np.int64)
    operator = np.zeros((lanes, OPERATOR_WIDTH), dtype=np.int64)
    accounts = np.zeros((lanes, GOVERNANCE_ACCOUNTS), dtype=np.int64)
    totals = np.zeros((lanes, 2, 2), dtype=np.int64)
    earned, path = np.zeros(lanes), np.zeros((lanes, HORIZON, len(GOVERNED)))
    bonds = np.zeros((lanes, HORIZON), dtype=np.int64)
    answers = np.zeros((lanes, HORIZON), dtype=np.int64)
    seen = np.zeros((lanes, HORIZON, *state["proposals"].shape[1:]), dtype=np.int64)
    if noise is None:
        noise = np.zeros((lanes, HORIZON, 3))
    with compile_lock(play_lanes):
        broken = play_lanes(
            policy, keys, governance.ints, governance.floats, governance.electorate.ints,
            governance.electorate.floats, governance.rules,
            charter.values(GOVERNED, modes=(charter.mode,)), PAYOFF_EUR_PER_DAY, SATURATES,
            state["governor"], state["proposals"], state["votes"], state["ballot_clock"],
            state["ballots"], state["agenda"], operator, accounts, totals, noise, earned, path,
            bonds, answers, seen,
        )  # fmt: skip
    return Week(governance, earned, accounts, state["agenda"], operator, state["proposals"], path,
                bonds, answers, seen, state["governor"], state["votes"], broken)  # fmt: skip
