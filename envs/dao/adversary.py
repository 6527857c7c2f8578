"""A capture case as a game: the attacker's moves are actions, and its money is the reward.

    simulator = make_adversary("late_vote", ("guardian",), num_envs=64)
    simulator.reset(seed=0)
    simulator.step(actions)  # (64, 6) in [-1, 1], see `ACTION_FIELDS`

It is a `Simulator`: the project's learner trains on its stable-baselines3 face as on any other.
Governor, electorate, pool, treasury and books are those of `capture.run_case`, whose stories the
scripts of `adversary_scripts` replay. See docs/capture.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.simulator import Simulator
from daogym.envs.core.strict import StrictModel, hash_model

from . import adversary_kernel as kernel
from . import adversary_layout as at
from .adversary_means import ACTION_FIELDS as ACTION_FIELDS
from .adversary_means import MOST_PROPOSALS, case_numbers, pins_of, what_everybody_has
from .adversary_observation import observation_fields
from .capture import extractable
from .capture_charter import PLAYABLE, SUPPLY, CaptureCharter, DefenceName, load_case
from .capture_lane import SLOTS, governor_values
from .capture_market import MICRO, Pool
from .capture_play import turned_out

MOMENTS = 4
"""Decisions beside the clock's that one proposal can ask for: opening, close, end, new close."""

OPERATOR_FIELDS = FieldSet([
    Field("shelter", "1", -1.0, 1.0,
          doc="share of what the charter lets it put into the vault that lies there from now on"),
    Field("call", "1", -1.0, 1.0, doc="from 0.1: call the members who have not voted"),
])  # fmt: skip
"""What the DAO's operator sets, where there is one."""


class AdversarySettings(StrictModel):
    """One case, its defences and how often the adversary decides."""

    charter: CaptureCharter
    defences: tuple[DefenceName, ...] = ()
    """Defences of the case that are switched on; none: as it happened."""
    operator: bool = False
    """Whether the DAO's operator acts beside the adversary; the charter says with what means."""
    decision_steps: int = Setting(24, ge=1, le=1000)
    """Steps of the case's clock between two decisions. Beside these there is one when voting on
    the live proposal opens, one in its last step and one when the proposal has come to its end."""

    @model_validator(mode="after")
    def _playable(self) -> AdversarySettings:
        if self.charter.story not in PLAYABLE:
            raise ValueError(f"charter.story: one of {', '.join(PLAYABLE)} is expected, got "
                             f"{self.charter.story}")  # fmt: skip
        self.charter.with_defences(self.defences)
        if self.operator and self.charter.operator is None:
            raise ValueError("operator: the charter names no means of an operator's")
        return self


class AdversaryDomain:
    """The game of one case; what `Simulator` sees of it."""

    name = "adversary"
    currency = "$"
    term_names, cost_names, event_names = at.TERMS, at.COSTS, at.EVENTS
    out_width = at.OUT_WIDTH
    step_serial = staticmethod(kernel.step_serial)
    step_parallel = staticmethod(kernel.step_parallel)
    reset_lanes = staticmethod(kernel.reset_lanes)

    def __init__(self, settings: AdversarySettings) -> None:
        self.scenario = settings
        self.scenario_hash = hash_model(settings)[:16]
        charter = settings.charter
        self.charter, self.rules = charter, charter.with_defences(settings.defences)
        self.horizon = (
            math.ceil(charter.horizon / settings.decision_steps) + MOMENTS * MOST_PROPOSALS
        )
        token, attention = charter.token, charter.attention
        pool = Pool(
            charter.units(token.pool), token.price_microcents * token.pool // MICRO,
            token.pool_fee_bps,
        )  # fmt: skip
        fair = token.price_microcents * token.supply // SUPPLY
        self.prize_dollars = extractable(charter, pool, fair) / 100.0
        """What a successful attack is worth; rewards for learning are shares of it."""
        self.reward_scale = 1.0 / self.prize_dollars
        electorates = [
            turned_out(charter.electorate, factor)
            for factor in (
                attention.turnout, attention.second_turnout, attention.called_turnout
            )
        ]  # fmt: skip
        self.voters = len(electorates[0].weights)
        self._ints = np.array([e.ints for e in electorates])
        self._floats = np.array([e.floats for e in electorates])
        self._pins = pins_of(self.rules, charter.horizon, SLOTS)
        self.state_layout = at.state_layout(self.voters, self._pins)
        self.action_fields = ACTION_FIELDS
        if settings.operator:
            self.action_fields = FieldSet([*ACTION_FIELDS, *OPERATOR_FIELDS])
        self.observation_fields = observation_fields(charter, settings.operator)

    @property
    def tables(self) -> tuple[Any, ...]:
        """The governor's settings, what everybody has, the electorates, bounds."""
        holdings, opening = what_everybody_has(self.charter)
        fields = self.observation_fields
        return (
            governor_values(self.charter, self.rules), holdings, opening, self._ints, self._floats,
            fields.low.copy(), 2.0 / (fields.high - fields.low),
        )  # fmt: skip

    @property
    def reset_tables(self) -> tuple[Any, ...]:
        """The same."""
        return self.tables

    def pack(self, autoreset: str, stagger: bool, carry: bool) -> tuple[Float, Int]:
        """Parameter vectors, in the order of the F_ and I_ constants."""
        if carry:
            raise ValueError("carry: an attack begins anew in every episode, False expected")
        c, settings = self.charter, self.scenario
        places = {
            part.name: self.state_layout.part(part.name)[1] for part in self.state_layout.parts
        }
        numbers = case_numbers(
            c, self.rules, voters=self.voters, pins=self._pins, places=places,
            decision_steps=settings.decision_steps, operator=settings.operator,
            autoreset=at.AUTORESETS.index(autoreset), stagger=stagger,
        )  # fmt: skip
        return np.array([-c.attention.harm]), numbers

    def start_day(self, date: str) -> int:
        """Refused: a case has no calendar."""
        raise ValueError(f"date: an attack begins on no day of a calendar, got {date!r}")


def make_adversary(
    case: str | Path,
    defences: Sequence[str] = (),
    num_envs: int = 1,
    *,
    overrides: Sequence[str] = (),
    decision_steps: int = 24,
    operator: bool = False,
    **options: Any,
) -> Simulator:
    """The game of a case for `num_envs` lanes.

    Args:
        case: name of a case or variant whose story is one of `PLAYABLE`, or a charter's path.
        defences: names of the charter's defences to switch on, none for what happened.
        overrides: changes of the charter, such as ``"attacker.bribe_bps=500"``.
        decision_steps: steps of the case's clock between decisions.
        operator: whether the DAO's operator acts, too: two more numbers (`OPERATOR_FIELDS`).
        options: of `Simulator`.

    Raises:
        ConfigError: no such case or defence, or a charter with an error.
        ValueError: a case that is not played by these moves.
    """
    charter = load_case(case, tuple(overrides))
    charter.with_defences(tuple(defences))
    settings = AdversarySettings.model_validate(
        {
            "charter": charter,
            "defences": tuple(defences),
            "decision_steps": decision_steps,
            "operator": operator,
        }
    )
    return Simulator(AdversaryDomain(settings), num_envs, **options)
