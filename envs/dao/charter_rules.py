"""Rules of a charter: which kind holds which of the domain's quantities, and what a breach does.

A domain declares the quantities that may be ruled (`RuleTarget`); a charter puts rules on them.
`pack_rules` makes the vectors that `rule_book` runs. Times are steps; what is counted in cents is
whole cents.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.layout import Float, Int
from daogym.envs.core.strict import ConfigError, KeyProblem, StrictModel, place_of

from .allowance import ALLOWANCE_WIDTH, QUOTA_WIDTH
from .breaker import breaker_width
from .bucket import BUCKET_WIDTH
from .charter_roles import LARGEST_CENTS
from .parameters import SLEW_WIDTH
from .rule_book import (
    KINDS,
    R_EFFECT,
    R_FIRST,
    R_GAS,
    R_KIND,
    R_PHYSICAL,
    R_SETTINGS,
    R_TARGET,
    R_WIDTH,
    RULE_SETTINGS,
    RULE_WIDTH,
)
from .rules import EFFECTS, HITS_WIDTH
from .staking import STAKING_WIDTH, duty_width


@dataclass(frozen=True)
class RuleTarget:
    """A quantity that a charter may put rules on.

    Attributes:
        name: snake_case with its unit.
        kind: "cents" (payments, whole cents), "quantity" (requests in physical units), "oracle" (a
            request that needs a fresh published value), "level" (something measured), "duty" (kept
            or missed), or "split" (a budget shared by contributors).
        members: how many share it (contributors of a split).
        doc: meaning in one line.
    """

    name: str
    kind: Literal["cents", "quantity", "oracle", "level", "duty", "split"]
    members: int = 1
    doc: str = ""


class _Rule(StrictModel):
    on: str
    """The quantity that the rule holds."""
    effect: Literal["revert", "clip", "cost"] = "revert"
    """What a breach does: refused, cut to what is permitted, or only reported."""
    gas_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """What a breach costs whoever asked; nothing where it is only reported."""

    @model_validator(mode="after")
    def _soft_rules_are_free(self) -> Self:
        if self.effect == "cost" and self.gas_cents > 0:
            raise KeyProblem(
                "gas_cents",
                f"nothing is refused under effect 'cost', 0 expected, got {self.gas_cents}",
            )
        return self


class AllowanceRule(_Rule):
    """Safe's spending allowance."""

    kind: Literal["allowance"]
    amount_cents: int = Setting(ge=0, le=LARGEST_CENTS)
    reset_steps: int = Setting(96, ge=0, le=10_000_000)
    """Steps between resets; 0: granted once."""


class QuotaRule(_Rule):
    """So much in each epoch."""

    kind: Literal["quota"]
    amount: float = Setting(ge=0.0, le=1e13)
    """In the quantity's unit (whole cents where it is money)."""
    epoch_steps: int = Setting(96, ge=1, le=10_000_000)


class BucketRule(_Rule):
    """CCIP's token bucket."""

    kind: Literal["bucket"]
    capacity: float = Setting(gt=0.0, le=1e13)
    refill_per_step: float = Setting(ge=0.0, le=1e13)


class SlewRule(_Rule):
    """Risk-steward limits of a set-point."""

    kind: Literal["slew"]
    low: float
    high: float
    initial: float
    largest_change: float = Setting(gt=0.0)
    least_interval_steps: int = Setting(0, ge=0, le=10_000_000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise KeyProblem("low", f"at most high = {self.high} expected, got {self.low}")
        if not self.low <= self.initial <= self.high:
            raise KeyProblem("initial", f"{self.low} to {self.high} expected, got {self.initial}")
        return self


class BreakerRule(_Rule):
    """ERC-7265's circuit breaker."""

    kind: Literal["breaker"]
    liquidity_cents: int = Setting(ge=0, le=LARGEST_CENTS)
    """What there is at the start of an episode."""
    retained_percent: int = Setting(ge=0, le=100)
    window_steps: int = Setting(96, ge=1, le=1_000)
    pause_steps: int = Setting(96, ge=0, le=100_000)
    floor_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """Inactive while there is less."""

    @model_validator(mode="after")
    def _can_trip(self) -> Self:
        if self.floor_cents > self.liquidity_cents:
            raise KeyProblem(
                "floor_cents",
                f"at most liquidity_cents = {self.liquidity_cents} expected, got "
                f"{self.floor_cents}: it would never be active",
            )
        return self


class StalenessRule(_Rule):
    """Nothing is done on a published value that is too old."""

    kind: Literal["staleness"]
    effect: Literal["revert", "cost"] = "revert"
    heartbeat_steps: int = Setting(ge=0, le=1_000_000)


class StakeRule(_Rule):
    """Missed duties and invalid proofs cost stake and time in jail."""

    kind: Literal["stake"]
    effect: Literal["revert", "cost"] = "revert"
    window: int = Setting(96, ge=1, le=10_000)
    most_missed: int = Setting(48, ge=0, le=10_000)
    downtime_ppm: int = Setting(100, ge=0, le=1_000_000)
    downtime_jail_steps: int = Setting(4, ge=0, le=1_000_000)
    invalid_ppm: int = Setting(50_000, ge=0, le=1_000_000)
    invalid_jail_steps: int = Setting(96, ge=0, le=1_000_000)
    least_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """Stake below which there is no capacity."""

    @model_validator(mode="after")
    def _can_be_broken(self) -> Self:
        if self.most_missed >= self.window:
            raise KeyProblem(
                "most_missed", f"less than window = {self.window} expected, got {self.most_missed}"
            )
        return self


class FloorRule(_Rule):
    """Service floor: falling below is a cost."""

    kind: Literal["floor"]
    effect: Literal["cost"] = "cost"
    least: float
    """In the quantity's unit."""


class SplitRule(_Rule):
    """A budget split by measured contribution, with a floor for everybody."""

    kind: Literal["split"]
    effect: Literal["clip"] = "clip"
    budget_cents: int = Setting(ge=0, le=LARGEST_CENTS)
    floor_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)


Rule = Annotated[
    AllowanceRule | QuotaRule | BucketRule | SlewRule | BreakerRule | StalenessRule | StakeRule
    | FloorRule | SplitRule,
    Setting(discriminator="kind"),
]  # fmt: skip

HOLDS = {
    "allowance": ("cents",), "quota": ("cents", "quantity"), "bucket": ("cents", "quantity"),
    "slew": ("quantity",), "breaker": ("cents",), "staleness": ("oracle",), "stake": ("duty",),
    "floor": ("level", "quantity"), "split": ("split",),
}  # fmt: skip
"""Kinds of quantity that a kind of rule can hold."""


@dataclass(frozen=True)
class RuleBook:
    """A charter's rules as `rule_book` reads them.

    Attributes:
        ints: (rules, RULE_WIDTH) kind, quantity, effect, gas, place of its record, settings.
        floats: (rules, RULE_SETTINGS) settings of physical rules.
        int_width, float_width: numbers of a lane's records in the int64 and the float64 block.
    """

    ints: Int
    floats: Float
    int_width: int
    float_width: int

    @property
    def state_sizes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of a lane's state parts by name; `rule_floats` is the only float64 one."""
        return {
            "rule_ints": (self.int_width,),
            "rule_floats": (self.float_width,),
            "rule_hits": (len(self.ints), HITS_WIDTH),
        }


def check_rules(rules: Sequence[Rule], targets: Sequence[RuleTarget], charter: str) -> None:
    """Refuse rules on unknown quantities, of kinds that do not fit, and floors above caps.

    Raises:
        ConfigError: names file and line where the rules were read from a file.
    """
    by_name = {target.name: target for target in targets}

    def refuse(k: int, key: str, problem: str) -> None:
        where = place_of(rules[k], key) or f"charter {charter!r}"
        raise ConfigError(where, f"rules.{k}.{key}", problem)

    caps: dict[str, float] = {}
    for k, rule in enumerate(rules):
        if rule.on not in by_name:
            near = difflib.get_close_matches(rule.on, by_name, 1, 0.0)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            known = ", ".join(by_name) or "none in this domain"
            refuse(k, "on", f"no quantity {rule.on!r} to put rules on; there are {known}{hint}")
        target = by_name[rule.on]
        if target.kind not in HOLDS[rule.kind]:
            fits = [kind for kind, held in HOLDS.items() if target.kind in held]
            refuse(k, "kind", f"a rule of kind {rule.kind!r} cannot hold {rule.on!r} "
                              f"({target.kind}); {', '.join(fits)} can")  # fmt: skip
        money = target.kind == "cents"
        for key in ("amount", "capacity", "refill_per_step"):
            value = getattr(rule, key, None)
            if money and isinstance(value, float) and value != int(value):
                refuse(k, key, f"whole cents expected, got {value}")
        if isinstance(rule, SlewRule):
            caps[rule.on] = min(caps.get(rule.on, rule.high), rule.high)
        if isinstance(rule, BucketRule):
            caps[rule.on] = min(caps.get(rule.on, rule.capacity), rule.capacity)
        if isinstance(rule, QuotaRule):
            caps[rule.on] = min(caps.get(rule.on, rule.amount), rule.amount)
        if isinstance(rule, SplitRule) and rule.floor_cents * target.members > rule.budget_cents:
            refuse(k, "floor_cents", f"{target.members} x {rule.floor_cents} cents exceed "
                                     f"budget_cents = {rule.budget_cents}")  # fmt: skip
        held = [r.kind for r in rules[:k] if r.on == rule.on]
        if rule.kind in held or (rule.kind == "slew" and held and held != ["floor"]):
            refuse(
                k,
                "on",
                f"{rule.on!r} has a rule already that does not go with one of kind {rule.kind!r}",
            )
    for k, rule in enumerate(rules):
        if isinstance(rule, FloorRule) and rule.on in caps and rule.least > caps[rule.on]:
            refuse(k, "least", f"a floor of {rule.least} above the cap of {caps[rule.on]} that "
                               f"another rule puts on {rule.on!r}")  # fmt: skip


def pack_rules(rules: Sequence[Rule], targets: Sequence[RuleTarget], charter: str) -> RuleBook:
    """Vectors of a charter's rules; quantities are numbered in the order of `targets`."""
    check_rules(rules, targets, charter)
    number = {target.name: i for i, target in enumerate(targets)}
    kind_of = {target.name: target.kind for target in targets}
    ints = np.zeros((len(rules), RULE_WIDTH), dtype=np.int64)
    floats = np.zeros((len(rules), RULE_SETTINGS))
    widths = [0, 0]
    for k, rule in enumerate(rules):
        settings, width = _settings(rule)
        physical = kind_of[rule.on] == "quantity"
        ints[k, R_KIND] = KINDS.index(rule.kind)
        ints[k, R_TARGET] = number[rule.on]
        ints[k, R_EFFECT] = EFFECTS.index(rule.effect)
        ints[k, R_GAS] = rule.gas_cents
        ints[k, R_PHYSICAL] = physical
        ints[k, R_FIRST] = widths[physical]
        ints[k, R_WIDTH] = width
        widths[physical] += width
        floats[k, : len(settings)] = settings
        whole = [int(value) for value in settings]
        ints[k, R_SETTINGS : R_SETTINGS + len(whole)] = whole
    return RuleBook(ints, floats, widths[0], widths[1])


def _settings(rule: Rule) -> tuple[list[float], int]:
    """A rule's settings in the order that `rule_book` reads them, and its record's width."""
    if isinstance(rule, AllowanceRule):
        return [rule.amount_cents, rule.reset_steps], ALLOWANCE_WIDTH
    if isinstance(rule, QuotaRule):
        return [rule.amount, rule.epoch_steps], QUOTA_WIDTH
    if isinstance(rule, BucketRule):
        return [rule.capacity, rule.refill_per_step], BUCKET_WIDTH
    if isinstance(rule, SlewRule):
        limits = [rule.low, rule.high, rule.largest_change, rule.least_interval_steps]
        return [*limits, rule.initial], SLEW_WIDTH
    if isinstance(rule, BreakerRule):
        settings = [rule.liquidity_cents, rule.retained_percent * 100, rule.floor_cents,
                    rule.pause_steps]  # fmt: skip
        return [float(s) for s in settings], breaker_width(rule.window_steps)
    if isinstance(rule, StalenessRule):
        return [rule.heartbeat_steps], 0
    if isinstance(rule, StakeRule):
        settings = [rule.window, rule.most_missed, rule.downtime_ppm, rule.downtime_jail_steps,
                    rule.invalid_ppm, rule.invalid_jail_steps, rule.least_cents]  # fmt: skip
        assert len(settings) == STAKING_WIDTH
        return [float(s) for s in settings], duty_width(rule.window)
    if isinstance(rule, FloorRule):
        return [rule.least], 0
    return [rule.budget_cents, rule.floor_cents], 0
