"""A case's means, aims and rules as the adversary's kernels read them, also scaled to a domain.

In a domain the governor, its timelock and its guardian are the charter's, and so are the members.
Of the case remain the market of the token, the attacker's means, the prize, and what no charter's
governor has: votes that weigh present balances, an emergency commit, a cool-down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int

from . import adversary_layout as at
from .adversary_acts import SLICE
from .adversary_observation import observation_fields
from .capture_charter import (
    SUPPLY,
    CaptureCharter,
    DefendingOperator,
    Rules,
    load_case,
)
from .capture_lane import ACCOUNTS, holdings_of, opening_cents
from .capture_market import BPS, MICRO
from .charter import Charter
from .electorate import Electorate
from .governance_columns import SLOTS
from .votes import votes_width

MOST_PROPOSALS = 8
"""Proposals that the adversary may make in an episode."""
ACTION_FIELDS = FieldSet([
    Field("trade", "1", -1.0, 1.0,
          doc=f"buy (above 0) or sell in each step: {SLICE:.0%} of the pool, times its square"),
    Field("split", "1", -1.0, 1.0,
          doc="share of the tokens to move to the second account, or (below 0) back"),
    Field("borrow", "1", -1.0, 1.0,
          doc="from 0.1: a flash loan for this step, or the exchange's votes (to -0.1: give back)"),
    Field("bribe", "1", -1.0, 1.0,
          doc="share of the cash to offer for votes of members who have not voted; below 0: none"),
    Field("propose", "1", -1.0, 1.0, doc="from 0.1: propose"),
    Field("vote", "1", -1.0, 1.0,
          doc="from 0.1: the first account votes For; from 0.5: the second one, too"),
])  # fmt: skip
"""What the adversary sets at a decision."""
PREFIX = "attack_"
"""Of the adversary's fields among a domain's."""
ATTACK_NAMES = (
    "attack_profit", "attack_loot", "attack_executed", "attack_proposals", "attack_vetoes",
    "attack_refused",
)  # fmt: skip
"""Events of an episode's end under an adversary: what it gained and took, in money, whether its
payload was executed, its proposals, vetoes of them, and moves that the books refused (never)."""
OWN_SIGHT = tuple(
    PREFIX + name for name in ("cash", "stake", "second_account", "margin", "own_votes", "loan")
)
"""What of them nobody else knows."""


def pins_of(rules: Rules, horizon: int, slots: int) -> int:
    """Steps that the accounts' votes must stay known for.

    A trace is written once a step. Without a cool-down only snapshots are looked up; with one
    nothing of the whole account may be forgotten.
    """
    return horizon // 2 + 50 if rules.cooldown > 0 else slots + 1


def what_everybody_has(case: CaptureCharter) -> tuple[Int, Int]:
    """(ACCOUNTS,) base units and (GAME_ACCOUNTS,) cents before the first move."""
    holdings = np.zeros(ACCOUNTS, dtype=np.int64)
    for account, units in holdings_of(case).items():
        holdings[account] = units
    return holdings, np.array([*opening_cents(case), 0], dtype=np.int64)


def case_numbers(
    case: CaptureCharter,
    rules: Rules,
    *,
    voters: int,
    pins: int,
    places: Mapping[str, int],
    decision_steps: int = 1,
    operator: bool = False,
    autoreset: int = 0,
    stagger: bool = False,
) -> Int:
    """(PARAMETERS,) in the order of the ``I_…`` constants.

    Args:
        voters: of the electorate.
        pins: see `pins_of`.
        places: first numbers of the parts that ``I_AT_…`` names; 0 for those it lacks.
        decision_steps: steps between two decisions.
        operator: whether the DAO's operator has the means that the case names.
    """
    c = case
    means = c.operator if operator and c.operator else DefendingOperator()
    a, prize, units = c.attacker, c.prize, c.units
    numbers = [
        autoreset, int(stagger), c.step_s, c.horizon, decision_steps, a.slices,
        c.token.pool_fee_bps, c.token.price_microcents * c.token.supply // SUPPLY,
        c.token.fall_bps, 0 if rules.snapshot else 1, rules.cooldown,
        rules.emergency_percent * 10_000, rules.emergency_wait, rules.timelock_s,
        -1 if rules.guardian is None else rules.guardian.reaction_s, rules.quorum_percent,
        rules.late_quorum_extension, units(a.flash_tokens), a.flash_cents,
        a.flash_cents * a.flash_fee_bps // BPS, units(c.token.exchange), a.bribe_bps,
        a.bribable_percent * 10_000, units(a.mint_tokens), prize.grab_cents, prize.loot_bps,
        units(prize.grab_tokens), prize.grab_cents_per_step, voters, MOST_PROPOSALS,
        means.vault_percent * 10_000, means.vault_bps_per_day, means.call_cents,
        places.get("settings", 0), places.get("proposals", 0), places.get("tokens", 0),
        votes_width(pins), places.get("cents", 0), places.get("totals", 0), places["clock"],
        places["events"], places["sold"],
    ]  # fmt: skip
    assert len(numbers) == at.PARAMETERS
    return np.array(numbers, dtype=np.int64)


# --- in a domain ----------------------------------------------------------------------------------

N_HOLDINGS = at.PARAMETERS
"""In a domain's vector what everybody has comes behind the game's numbers: base units, ..."""
N_OPENING = N_HOLDINGS + ACCOUNTS
"""... and cents."""


@dataclass(frozen=True)
class Attack:
    """A charter's adversary as the kernels have it.

    Attributes:
        case, rules: the case in the domain's money and steps, under the charter's governor.
        numbers: the same as `case_numbers` has them, then holdings and opening accounts.
        appeal: (1,) of the hostile payload to the members.
        ints, floats: (3, ...) the electorate at a first vote, at later ones, and of called members.
        pins: steps that the accounts' votes must stay known for.
    """

    case: CaptureCharter
    rules: Rules
    numbers: Int
    appeal: Float
    ints: Int
    floats: Float
    pins: int

    @property
    def vectors(self) -> tuple[Int, Float, Int, Float]:
        """What the charter's tuple has behind its own vectors (`lane.py`)."""
        return self.numbers, self.appeal, self.ints, self.floats

    @property
    def dealt_units(self) -> int:
        """Base units that have accounts; all others are the governor's static supply."""
        return int(self.numbers[N_HOLDINGS:N_OPENING].sum())

    @property
    def state_sizes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts of a lane's state that it adds or widens."""
        _, width = _places(int(self.numbers[at.I_VOTERS]))
        return {
            "votes": (ACCOUNTS + 1, votes_width(self.pins)),
            "accounts": (at.GAME_ACCOUNTS,),
            "request": (len(at.ACTIONS),),
            "adversary": (width,),
        }


def _places(voters: int) -> tuple[dict[str, int], int]:
    """Where the parts of the lane's row lie, and its width."""
    layout = at.state_layout(voters, SLOTS)
    places, width = {}, len(at.SCALARS)
    for name in ("clock", "events", "sold"):
        places[name] = width
        width += int(np.prod(layout.part(name)[0].shape))
    return places, width


def pack_attack(
    charter: Charter,
    electorates: tuple[Electorate, Electorate, Electorate],
    *,
    treasury_cents: int,
    steps_per_day: int,
    horizon: int,
) -> Attack:
    """The adversary of a charter of mode `attacked`.

    Args:
        electorates: the members as they come to a first hostile vote, to later ones, when called.
        treasury_cents: what the DAO has; the case's money is scaled to it.
        horizon: steps of an episode.

    Raises:
        ConfigError: a treasury so small that a token would cost nothing.
    """
    case, rules = case_of(charter, treasury_cents, steps_per_day, horizon)
    guardian = charter.roles.guardian
    voters, pins = len(electorates[0].weights), pins_of(rules, horizon, SLOTS)
    numbers = case_numbers(case, rules, voters=voters, pins=pins, places=_places(voters)[0])
    numbers[at.I_REACTION_S] = -1 if guardian is None else guardian.reaction_steps
    return Attack(
        case,
        rules,
        np.concatenate([numbers, *what_everybody_has(case)]),
        np.array([-case.attention.harm]),
        np.array([e.ints for e in electorates]),
        np.array([e.floats for e in electorates]),
        pins,
    )


def case_of(
    charter: Charter, treasury_cents: int, steps_per_day: int, horizon: int
) -> tuple[CaptureCharter, Rules]:
    """The charter's case in a domain's money and steps, under the charter's governor.

    What the payload takes is money, the share of the treasury that it took in the case, tokens of
    the treasury counted at their price before. All other money keeps its ratio to the treasury.
    """
    stress = charter.stress
    assert stress is not None
    case = load_case(stress.case)
    token, attacker, prize = case.token, case.attacker, case.prize
    held = prize.treasury_cents + token.treasury * token.price_microcents // MICRO
    price = token.price_microcents * treasury_cents // held
    if price * token.supply // SUPPLY < 1:
        raise charter.refusal(
            f"a treasury of {treasury_cents / 100:,.2f} was given, with which a base unit of the "
            "token would be worth less than a millionth of a cent: more is expected",
            "stress",
        )

    def money(cents: int) -> int:
        return cents * treasury_cents // held

    def steps(of_case: int) -> int:
        scaled = round(of_case * case.step_s * steps_per_day / 86_400)
        return max(scaled, 1) if of_case > 0 else 0

    taken = prize.grab_cents + prize.grab_tokens * token.price_microcents // MICRO
    a_step = prize.grab_cents_per_step * 86_400 // (steps_per_day * case.step_s)
    scaled = case.model_copy(
        update={
            "step_s": 1,
            "horizon": horizon,
            "token": token.model_copy(update={"price_microcents": price, "treasury": 0}),
            "attacker": attacker.model_copy(
                update={
                    "cash_cents": money(attacker.cash_cents),
                    "flash_cents": money(attacker.flash_cents),
                }
            ),
            "prize": prize.model_copy(
                update={
                    "treasury_cents": treasury_cents,
                    "grab_cents": money(taken),
                    "grab_tokens": 0,
                    "grab_cents_per_step": money(a_step),
                }
            ),
        }
    )
    governor, own = charter.governor, case.with_defences(stress.defences)
    rules = own.model_copy(
        update={
            "voting_delay": governor.voting_delay_steps,
            "voting_period": governor.voting_period_steps,
            "quorum_percent": governor.quorum_percent,
            "late_quorum_extension": governor.late_quorum_extension_steps,
            "timelock_s": governor.timelock_steps,
            "cooldown": steps(own.cooldown),
            "emergency_wait": steps(own.emergency_wait),
            "guardian": None,
        }
    )
    return scaled, rules


def attack_fields(charter: Charter) -> list[Field]:
    """What the adversary observes, among a domain's fields: the game's, with `PREFIX`."""
    assert charter.stress is not None
    case = load_case(charter.stress.case)
    return [
        Field(PREFIX + f.name, f.unit, f.low, f.high, f.shape, f.doc)
        for f in observation_fields(case, operator=False, treasury=True)
    ]


def attack_action_fields() -> list[Field]:
    """What the adversary sets, at the end of a domain's action."""
    return [Field(PREFIX + f.name, f.unit, f.low, f.high, f.shape, f.doc) for f in ACTION_FIELDS]
