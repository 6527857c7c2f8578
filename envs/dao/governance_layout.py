"""A charter as the vectors that governance.py reads, and how much state it needs in a lane."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from daogym.envs.core.elementwise import exp_array
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.strict import ConfigError

from .adversary_means import Attack, pack_attack
from .capture_charter import load_case
from .charter import Charter, GovernedParameter
from .charter_governor import GovernorSettings
from .charter_stress import attack_paths
from .counting import PPM
from .electorate import Electorate, draw_electorate
from .electorate_layout import I_SUPPLY, I_WEIGHTS
from .governance_columns import A_HEADER as A_HEADER
from .governance_columns import A_STEP as A_STEP
from .governance_columns import (
    ADVERSARY_ASKS,
    C_BLOCKS,
    C_BOND_CENTS,
    C_CAPTURED_BLOCK,
    C_COOLDOWN,
    C_DECAY_PPM,
    C_EARLIER_STEPS,
    C_EPISODE_STEPS,
    C_FUNDS_CENTS,
    C_HEADER,
    C_INTERVAL_BLOCK,
    C_KEEP_HIGH_BLOCK,
    C_KEEP_LOW_BLOCK,
    C_LARGEST_SHARE_PPM,
    C_LEAVE_ABOVE_PPB,
    C_LONGEST_CYCLE,
    C_OPERATOR_VOTES,
    C_OWN_LIVE,
    C_PARAMETERS,
    C_PATHS,
    C_REACTION,
    C_WEIGHT_PPM,
    FURTHER_BOUND,
    GUARDIAN,
    MOST_PARAMETERS,
    MOST_QUITTERS,
    NOBODY_ASKS,
    NOT_CAPTURED,
    PROPOSAL_NUMBERS,
    STEWARD_ASKS,
)
from .governance_columns import CAPACITY as CAPACITY
from .governance_columns import SLOTS as SLOTS
from .governance_columns import VALUE_SCALE as VALUE_SCALE
from .governance_columns import state_sizes as state_sizes
from .governor_layout import G_GUARDIAN
from .governor_rules import (
    bravo_rules,
    conviction_rules,
    objection_rules,
    openzeppelin_rules,
    with_veto,
)

CYCLES_BEFORE_START = 2
FIRST_STEP = 1
"""Of a steward's governor, whose proposals count 0 as no step."""
HOURS_PER_DAY = 24
LARGEST_CYCLE_SHARE = 1.0 / 3.0
_LN_2 = 0.6931471805599453


@dataclass(frozen=True)
class Governance:
    """What the kernels get of a charter that is voted on.

    Attributes:
        ints, floats: the charter's own vectors (`governance_columns`).
        rules: the governor's settings (governor_rules.py).
        electorate: who votes; kernels get its ``ints`` and ``floats``.
        attack: the adversary's means under mode `attacked`, else None.
    """

    ints: Int
    floats: Float
    rules: Int
    electorate: Electorate
    attack: Attack | None = None

    @property
    def parameters(self) -> int:
        """How many governed parameters there are."""
        return int(self.ints[C_PARAMETERS])

    @property
    def state_sizes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the parts of a lane's state, by name; all int64 but ``request``."""
        steward = self.ints[C_OPERATOR_VOTES] == STEWARD_ASKS
        request = self.parameters if steward else PROPOSAL_NUMBERS
        sizes = {**state_sizes(self.parameters), "request": (request,)}
        return sizes if self.attack is None else {**sizes, **self.attack.state_sizes}

    @property
    def vectors(self) -> tuple[Any, ...]:
        """What kernels get as their charter (`lane.py`)."""
        members = self.electorate
        own = (self.ints, self.floats, members.ints, members.floats, self.rules)
        return own if self.attack is None else (*own, *self.attack.vectors)


def pack_governance(
    charter: Charter,
    governed: Sequence[GovernedParameter],
    *,
    steps_per_day: int,
    horizon: int,
    treasury_cents: int | None = None,
) -> Governance:
    """Vectors of a voted charter.

    Args:
        governed: the domain's governed parameters, in its order.
        horizon: steps of an episode.
        treasury_cents: what the DAO has at the start; None where the domain does not keep its
            accounts (`governance_money`).

    Under a steward nobody votes: the electorate proposes nothing, and of the governor's settings
    the timelock and the guardian's veto act.

    Raises:
        ConfigError: a cycle from proposal to execution is longer than a third of the episode, so
            that governance would hardly bite inside it, or the charter needs what the domain has
            not.
    """
    settings = charter.governor
    if charter.cycle_steps > horizon * LARGEST_CYCLE_SHARE:
        what = "timelock" if charter.mode == "steward" else "voting delay + period + timelock"
        raise charter.refusal(
            f"a cycle of {charter.cycle_steps} steps ({what}) was "
            f"given; at most a third of an episode's {horizon} steps is allowed: shorten the "
            "cycle or lengthen the episode",
            "governor",
        )
    if len(governed) > MOST_PARAMETERS:
        raise ValueError(f"governed: at most {MOST_PARAMETERS} parameters, got {len(governed)}")
    moloch = settings.kind == "moloch" and charter.mode != "steward"
    if moloch and treasury_cents is None:
        raise charter.refusal("'moloch' pays leavers: this domain keeps no treasury",
                              "governor", "kind")  # fmt: skip
    if charter.mode == "agentic" and treasury_cents is None:
        raise charter.refusal("'agentic' escrows bonds: this domain keeps no treasury", "mode")
    if charter.mode == "attacked" and treasury_cents is None:
        raise charter.refusal("'attacked' takes money: this domain keeps no treasury", "mode")
    initial = charter.starting_values(governed)
    for parameter, value in zip(governed, initial.tolist(), strict=True):
        if not parameter.low <= value <= parameter.high:
            raise ConfigError(
                f"charter {charter.name!r}", f"parameters.{parameter.name}",
                f"the initial value is {value}, {parameter.low} to {parameter.high} "
                f"{parameter.unit} may be voted on",
            )  # fmt: skip
    low = np.array([p.low for p in governed])
    high = np.array([p.high for p in governed])
    change = np.array([p.largest_change for p in governed])
    centres = (initial - low) / (high - low)
    electorate = _electorate(charter, centres, steps_per_day)
    voters = len(electorate.weights)
    if moloch and voters > MOST_QUITTERS:
        raise charter.refusal(f"at most {MOST_QUITTERS} voters under 'moloch', got {voters}",
                              "electorate")  # fmt: skip
    attack: Attack | None = None
    if charter.mode == "attacked" and charter.stress is not None and treasury_cents is not None:
        attention = load_case(charter.stress.case).attention
        first, later, called = (
            _electorate(charter, centres, steps_per_day, factor)
            for factor in (attention.turnout, attention.second_turnout, attention.called_turnout)
        )
        attack = pack_attack(
            charter, (first, later, called), treasury_cents=treasury_cents,
            steps_per_day=steps_per_day, horizon=horizon,
        )  # fmt: skip
    dealt = 0 if attack is None else attack.dealt_units
    return Governance(
        _charter_ints(charter, governed, steps_per_day, horizon),
        np.concatenate([low, high, change]),
        _steward_rules(settings)
        if charter.mode == "steward"
        else _governor_rules(settings, int(electorate.ints[I_SUPPLY]), dealt),
        electorate,
        attack,
    )


def _electorate(
    charter: Charter, centres: Float, steps_per_day: int, turnout: float = 1.0
) -> Electorate:  # fmt: skip
    """The members; `turnout` multiplies how many of them come."""
    settings = charter.electorate_settings
    a_day = 0.0 if charter.mode == "steward" else charter.proposals_per_day
    arrivals = settings.arrivals.model_copy(update={"per_step": a_day / steps_per_day})
    timing = settings.timing
    if timing.count_steps == 0:
        hourly = max(steps_per_day // HOURS_PER_DAY, 1)
        timing = timing.model_copy(update={"count_steps": hourly})
    factor = settings.turnout.factor * turnout
    come = settings.turnout.model_copy(update={"factor": factor})
    update = {"arrivals": arrivals, "timing": timing, "turnout": come}
    drawn = draw_electorate(settings.model_copy(update=update), centres)
    return _quadratic(drawn) if charter.governor.kind == "quadratic" else drawn


def _quadratic(drawn: Electorate) -> Electorate:
    """The electorate under quadratic voting: who has w tokens casts floor(sqrt(w)) votes.

    All tokens are spent on each question; delegates spend what was delegated to them as their own.
    """
    weights = np.array([math.isqrt(w) for w in drawn.weights.tolist()], dtype=np.int64)
    ints = drawn.ints.copy()
    first = int(ints[I_WEIGHTS])
    ints[first : first + len(weights)] = weights
    delegated = (drawn.delegate >= 0) & ~drawn.silent
    others = drawn.holdings[~delegated]
    ints[I_SUPPLY] = int(weights.sum()) + sum(math.isqrt(w) for w in others.tolist())
    return replace(drawn, weights=weights, ints=ints)


def _votes_of(charter: Charter, votes_ppm: int) -> int:
    votes = charter.electorate_settings.supply * votes_ppm // PPM
    return math.isqrt(votes) if charter.governor.kind == "quadratic" else votes


def _charter_ints(
    charter: Charter, governed: Sequence[GovernedParameter], steps_per_day: int, horizon: int
) -> Int:
    settings, n = charter.governor, len(governed)
    header = np.zeros(C_HEADER, dtype=np.int64)
    header[C_PARAMETERS] = n
    steward = charter.mode == "steward"
    earlier = FIRST_STEP if steward else CYCLES_BEFORE_START * settings.cycle_steps
    header[C_EARLIER_STEPS] = earlier
    header[C_EPISODE_STEPS] = horizon
    header[C_LONGEST_CYCLE] = charter.longest_cycle_steps
    guardian = charter.roles.guardian
    header[C_REACTION] = -1 if guardian is None else guardian.reaction_steps
    moloch = settings.kind == "moloch" and not steward
    header[C_LEAVE_ABOVE_PPB] = round(settings.rage_quit.leave_above * 1e9) if moloch else -1
    conviction = settings.conviction
    halved = exp_array(np.array([-_LN_2 / conviction.half_life_steps]))
    header[C_DECAY_PPM] = round(float(halved[0]) * PPM)
    header[C_LARGEST_SHARE_PPM] = round(conviction.largest_share * PPM)
    header[C_WEIGHT_PPM] = max(round(conviction.weight * PPM), 1)
    header[C_OPERATOR_VOTES] = STEWARD_ASKS if steward else NOBODY_ASKS
    if charter.mode == "attacked":
        header[C_OPERATOR_VOTES] = ADVERSARY_ASKS
    operator = charter.roles.operator
    if charter.mode == "agentic" and operator is not None:
        header[C_OPERATOR_VOTES] = _votes_of(charter, operator.votes_ppm)
        header[C_FUNDS_CENTS] = operator.funds_cents
        header[C_BOND_CENTS] = operator.bond_cents
        header[C_COOLDOWN] = operator.cooldown_steps
        header[C_OWN_LIVE] = operator.live_proposals

    def parts(p: GovernedParameter, value: float) -> int:
        return round((value - p.low) / (p.high - p.low) * VALUE_SCALE)

    blocks = np.zeros((C_BLOCKS, n), dtype=np.int64)
    keeps = {} if settings.guardian_veto is None else settings.guardian_veto.keeps
    stress = charter.stress
    for i, p in enumerate(governed):
        votable = p.largest_change > 0.0
        interval = max(round(p.least_interval_days * steps_per_day), 1)
        blocks[C_INTERVAL_BLOCK, i] = interval if votable else 0
        low, high = keeps.get(p.name, (p.low, p.high))
        blocks[C_KEEP_LOW_BLOCK, i], blocks[C_KEEP_HIGH_BLOCK, i] = parts(p, low), parts(p, high)
        blocks[C_CAPTURED_BLOCK, i] = NOT_CAPTURED
        if stress is not None and p.name in stress.captured:
            blocks[C_CAPTURED_BLOCK, i] = parts(p, stress.captured[p.name])
        elif stress is not None and not stress.captured and votable:
            blocks[C_CAPTURED_BLOCK, i] = FURTHER_BOUND
    paths = np.zeros(0, dtype=np.int64)
    if stress is not None and charter.mode != "attacked":
        table = attack_paths(stress.case, stress.defences)
        header[C_PATHS] = len(table)
        paths = table.reshape(-1)
    return np.concatenate([header, blocks.reshape(-1), paths])


def _steward_rules(settings: GovernorSettings) -> Int:
    """No quorum and no threshold: what stands in the timelock was carried by the steward alone."""
    rules = openzeppelin_rules(
        voting_delay=1, voting_period=1, proposal_threshold=0, quorum_numerator=0,
        min_delay_s=settings.timelock_steps, late_quorum_extension=0, static_supply=0,
    )  # fmt: skip
    if settings.guardian_veto is not None:
        rules[G_GUARDIAN] = GUARDIAN
    return rules


def _governor_rules(settings: GovernorSettings, supply: int, dealt: int) -> Int:
    """The governor's vector; of the supply, `dealt` base units have accounts of their own."""
    threshold = supply * settings.proposal_threshold_ppm // PPM
    delay, period = settings.voting_delay_steps, settings.voting_period_steps
    timelock, quorum = settings.timelock_steps, settings.quorum_percent
    if settings.kind == "bravo":
        rules = bravo_rules(
            voting_delay=delay, voting_period=period, proposal_threshold=threshold,
            quorum_numerator=quorum, min_delay_s=timelock, grace_s=settings.grace_steps,
            static_supply=supply,
        )  # fmt: skip
    elif settings.kind == "optimistic":
        rules = objection_rules(
            motion_duration=period, objections_bps=settings.objections_bps,
            proposal_threshold=threshold, voting_delay=delay, static_supply=supply,
        )  # fmt: skip
    elif settings.kind == "conviction":
        rules = conviction_rules(
            voting_delay=delay, voting_period=period, proposal_threshold=threshold,
            min_delay_s=timelock, static_supply=supply,
        )  # fmt: skip
    else:
        rules = openzeppelin_rules(
            voting_delay=delay, voting_period=period, proposal_threshold=threshold,
            quorum_numerator=0 if settings.kind == "moloch" else quorum, min_delay_s=timelock,
            late_quorum_extension=settings.late_quorum_extension_steps,
            static_supply=supply - dealt,
        )  # fmt: skip
    if settings.guardian_veto is not None:
        rules[G_GUARDIAN] = GUARDIAN
    waits = settings.dynamic_timelock
    if waits is not None:
        rules = with_veto(
            rules, first_ppb=waits.first_share_ppm * 1000, second_ppb=waits.second_share_ppm * 1000,
            min_s=waits.shortest_steps, max_s=waits.longest_steps,
        )  # fmt: skip
    return rules
