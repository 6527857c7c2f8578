"""A charter as the vectors that governance.py reads, and how much state it needs in a lane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.strict import ConfigError

from .ballots import BALLOT_ROWS
from .charter import Charter, GovernedParameter
from .electorate import Electorate, draw_electorate
from .governor_layout import PROPOSAL_WIDTH, settings_width
from .governor_rules import openzeppelin_rules
from .votes import votes_width

SLOTS = 8
CAPACITY = 128
"""Voters of one proposal that are kept one by one; more are merged (ballots.py)."""
CYCLES_BEFORE_START = 2
LARGEST_CYCLE_SHARE = 1.0 / 3.0

# Int vector: the header, then for each parameter its least interval in steps (0: never proposed).
C_PARAMETERS, C_EARLIER_STEPS = 0, 1
C_HEADER = 2
# Float vector: low, high and largest change of each parameter, one block after another.

# What a lane keeps beside the governor's own arrays, int64: the header, then the step of each
# parameter's last change.
A_STEP, A_NEXT_STEP, A_NEXT_BALLOT, A_CHANGES = 0, 1, 2, 3
A_HEADER = 4

VALUE_SCALE = 1_000_000_000
"""Payloads hold a value as this many parts of the parameter's range."""


@dataclass(frozen=True)
class Governance:
    """What the kernels get of a charter that is voted on.

    Attributes:
        ints, floats: the charter's own vectors, see above.
        rules: the governor's settings (governor_rules.py).
        electorate: who votes; kernels get its ``ints`` and ``floats``.
    """

    ints: Int
    floats: Float
    rules: Int
    electorate: Electorate

    @property
    def state_sizes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the int64 state parts of a lane, by name."""
        return state_sizes(int(self.ints[C_PARAMETERS]))


def state_sizes(parameters: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the int64 state parts of a lane with this many governed parameters."""
    return {
        "governor": (settings_width(SLOTS),),
        "proposals": (SLOTS, PROPOSAL_WIDTH),
        "votes": (1, votes_width(SLOTS)),
        "ballot_clock": (BALLOT_ROWS, SLOTS),
        "ballots": (SLOTS, CAPACITY + 1),
        "agenda": (A_HEADER + parameters,),
    }


def pack_governance(
    charter: Charter,
    governed: Sequence[GovernedParameter],
    *,
    steps_per_day: int,
    horizon: int,
) -> Governance:
    """Vectors of a voted charter.

    Args:
        governed: the domain's governed parameters, in its order.
        horizon: steps of an episode.

    Raises:
        ConfigError: a cycle from proposal to execution is longer than a third of the episode, so
            that governance would hardly bite inside it.
    """
    settings = charter.governor
    if settings.cycle_steps > horizon * LARGEST_CYCLE_SHARE:
        raise ConfigError(
            f"charter {charter.name!r}", "governor",
            f"a cycle of {settings.cycle_steps} steps (voting delay + period + timelock) was "
            f"given; at most a third of an episode's {horizon} steps is allowed: shorten the "
            "cycle or lengthen the episode",
        )  # fmt: skip
    initial = charter.values(governed)
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
    interval = [
        max(round(p.least_interval_days * steps_per_day), 1) if p.largest_change > 0.0 else 0
        for p in governed
    ]
    electorate_settings = charter.electorate_settings
    arrivals = electorate_settings.arrivals.model_copy(
        update={"per_step": charter.proposals_per_day / steps_per_day}
    )
    electorate = draw_electorate(
        electorate_settings.model_copy(update={"arrivals": arrivals}),
        (initial - low) / (high - low),
    )
    supply = electorate_settings.supply
    rules = openzeppelin_rules(
        voting_delay=settings.voting_delay_steps,
        voting_period=settings.voting_period_steps,
        proposal_threshold=supply * settings.proposal_threshold_ppm // 1_000_000,
        quorum_numerator=settings.quorum_percent,
        min_delay_s=settings.timelock_steps,
        late_quorum_extension=settings.late_quorum_extension_steps,
        static_supply=supply,
    )
    earlier = CYCLES_BEFORE_START * settings.cycle_steps
    return Governance(
        np.array([len(governed), earlier, *interval], dtype=np.int64),
        np.concatenate([low, high, change]),
        rules,
        electorate,
    )
