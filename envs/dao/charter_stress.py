"""Stress charters: a domain's DAO is attacked as a historical one was (`capture`).

The case is played beforehand, on the governor and with the calibrated electorate, once for each of
`PATHS` seeds. A lane draws one of these paths with its episode's key: when, if at all, the attack
takes effect, and which share of the treasury it takes. The first move is made at a step drawn from
the first third of the episode, and the account of the case, first move to horizon, is laid over the
length of the other two. So what happens is fixed by the seed, whatever the agent does.

Under mode `attacked` nothing is played beforehand: an adversary has the case's means and acts
(`adversary_lane`).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.layout import Int
from daogym.envs.core.strict import ConfigError, KeyProblem, StrictModel

from .capture_charter import CASES, VARIANTS, DefenceName, load_case

if TYPE_CHECKING:
    from .capture import CaseResult

PATHS = 16
"""Plays of a case with different members coming; a lane draws one of them."""

LIVE_DEFENCES: tuple[DefenceName, ...] = ("snapshot", "cooldown")
"""Defences that change no setting of the governor or the guardian, which an attacked charter has of
its own."""

CaseName = Literal[
    "beanstalk", "apathy", "late_vote", "opaque_payload", "oracle_attack", "exchange_takeover",
    "late_quorum",
]  # fmt: skip


class StressSettings(StrictModel):
    """Which attack, against which defences, and what it does to the domain's parameters."""

    case: CaseName
    defences: tuple[DefenceName, ...] = ()
    """Defences of the case that are switched on; none: as it happened."""
    captured: Mapping[str, float] = Setting(default_factory=dict)
    """Governed parameter -> value that the attack puts in force. Where none is named, every
    parameter that can be voted on goes to the bound that is further away."""

    @model_validator(mode="after")
    def _known_defences(self) -> StressSettings:
        try:
            load_case(self.case).with_defences(self.defences)
        except ConfigError as error:
            raise KeyProblem("defences", error.problem) from None
        return self


@lru_cache(maxsize=64)
def attack_paths(case: CaseName, defences: tuple[DefenceName, ...]) -> Int:
    """(PATHS, 2): when the attack takes effect, in millionths of the account (-1: never), and the
    loss in millionths of the treasury, tokens at their price before.
    """
    from .capture import run_case

    rows = []
    for seed in range(PATHS):
        result = run_case(case, defences, seed)
        rows.append((_moment_ppm(result), _loss_ppm(result)))
    return np.array(rows, dtype=np.int64)


def _moment_ppm(result: CaseResult) -> int:
    captured = np.flatnonzero(result.in_force)
    return int(captured[0]) * 1_000_000 // len(result.in_force) if len(captured) else -1


def _loss_ppm(result: CaseResult) -> int:
    charter = load_case(result.name)
    token = charter.token
    held = result.opening_cents[0] + token.treasury * token.price_microcents // 1_000_000
    return min(result.treasury_loss_cents * 1_000_000 // max(held, 1), 1_000_000)


assert get_args(CaseName) == CASES + VARIANTS
