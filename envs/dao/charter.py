"""Charters: the governed parameters of a domain, the values a DAO has given them, and who may
change them how.

A `static` charter never changes. Under a `voted` one an electorate proposes and votes while the
agent works: the path of the rules is a function of the seed, whatever the agent does. Under an
`agentic` one the operator proposes, too, at a bond (`operator_proposals`). Under a `steward` one
nobody votes: an agent changes the parameters itself, within their limits and after a timelock
(`steward`). Under an `attacked` one members vote and an adversary with the means of a capture case
acts among them (`adversary_lane`). The mode is a switch: what belongs to another mode waits.

In a scenario, a charter is its settings, the name of a packaged one (`NAMED_CHARTERS`) or the path
of a YAML file; with ``base`` the settings are laid over one of those.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Setting
from pydantic import GetCoreSchemaHandler, model_validator
from pydantic_core import CoreSchema, core_schema

from daogym.envs.core.strict import (
    ConfigError,
    KeyProblem,
    StrictModel,
    load_mapping,
    load_yaml,
    place_of,
)

from .capture_charter import CASES, PLAYABLE, SUPPLY, VARIANTS, load_case
from .charter_governor import GovernorSettings as GovernorSettings
from .charter_roles import Roles
from .charter_rules import Rule, RuleTarget, check_rules
from .charter_stress import LIVE_DEFENCES, StressSettings
from .electorate import NAMED, ElectorateSettings

Mode = Literal["static", "voted", "agentic", "steward", "attacked"]
MODES: tuple[Mode, ...] = get_args(Mode)

NAMED_CHARTERS = ("static", "voted", "contested", "agentic", "steward", *CASES, *VARIANTS)
"""Packaged charters (`charters/*.yaml`)."""


@dataclass(frozen=True)
class GovernedParameter:
    """A number that the charter sets and the gate enforces.

    Attributes:
        name: snake_case with its unit.
        unit: unit as text.
        low, high: bounds that no charter may leave.
        initial: value where a charter is silent.
        effect: "clip" cuts the request, "revert" refuses it, "cost" only reports.
        doc: meaning in one line.
        largest_change: how far one proposal may move it.
        least_interval_days: how long after a change it stays.
        decides: what an operator does differently when it changes; "" where it only moves money
            between members (distributional).
    """

    name: str
    unit: str
    low: float
    high: float
    initial: float
    effect: Literal["clip", "revert", "cost", "price"]
    doc: str
    largest_change: float = 0.0
    least_interval_days: float = 1.0
    decides: str = ""


class Charter(StrictModel):
    """Values of governed parameters, and who changes them; what is not named keeps its default."""

    name: str = "static"
    mode: Mode = "static"
    parameters: Mapping[str, float] = Setting(default_factory=dict)
    """Values at the start; under a voted charter, before the first proposals."""
    governor: GovernorSettings = GovernorSettings()
    electorate: str | ElectorateSettings = "calibrated"
    """The members: a named electorate (`calibrated`, `contested`) or its settings."""
    proposals_per_day: float = Setting(1.0, ge=0.0, le=96.0)
    """Mean number of proposals that members make on their own (Poisson)."""
    roles: Roles = Roles()
    """Operator and guardian."""
    rules: tuple[Rule, ...] = ()
    """Rules on the quantities that the domain offers."""
    stress: StressSettings | None = None
    """A historical attack on the DAO while the agent works: played as it was, or under mode
    `attacked` by an adversary with its means."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.tagged_union_schema(
            {
                "settings": handler(source),
                "name": core_schema.no_info_after_validator_function(
                    lambda text: load_charter(text), core_schema.str_schema()
                ),
                "based": core_schema.no_info_after_validator_function(
                    lambda data: _over_base(data), core_schema.dict_schema()
                ),
            },
            discriminator=lambda value: _form(value),
        )

    @model_validator(mode="after")
    def _known_electorate(self) -> Charter:
        if isinstance(self.electorate, str) and self.electorate not in NAMED:
            raise KeyProblem(
                "electorate",
                f"one of {', '.join(NAMED)} or a mapping of settings expected, got "
                f"{self.electorate!r}",
            )
        return self

    @model_validator(mode="after")
    def _roles_and_powers_meet(self) -> Charter:
        guardian, veto = self.roles.guardian, self.governor.guardian_veto
        if veto is not None and guardian is None:
            raise KeyProblem("governor.guardian_veto", "nobody has it: name roles.guardian")
        if guardian is not None:
            if veto is None:
                raise KeyProblem("roles.guardian", "has no power: give governor.guardian_veto")
            timed = self.governor.has_timelock
            key = "timelock_steps" if timed else "voting_period_steps"
            time = getattr(self.governor, key)
            if guardian.reaction_steps > time:
                raise KeyProblem(
                    "roles.guardian.reaction_steps",
                    f"at most governor.{key} = {time} expected, got {guardian.reaction_steps}: "
                    "the veto would always come too late",
                )
        if self.mode == "agentic" and self.roles.operator is None:
            raise KeyProblem("mode", "under 'agentic' somebody proposes: name roles.operator")
        if self.mode == "steward" and not self.governor.has_timelock:
            raise KeyProblem(
                "governor.kind",
                f"a kind with a timelock expected under 'steward', got {self.governor.kind!r}",
            )
        if self.mode == "steward" and self.governor.timelock_steps < 1:
            raise KeyProblem(
                "governor.timelock_steps",
                "at least 1 expected under 'steward', got 0: a change is announced before it acts",
            )
        return self

    @model_validator(mode="after")
    def _adversary_can_act(self) -> Charter:
        if self.mode != "attacked":
            return self
        if self.stress is None:
            raise KeyProblem(
                "mode", "under 'attacked' an adversary has a case's means: name stress"
            )
        story = load_case(self.stress.case).story
        if story not in PLAYABLE:
            raise KeyProblem(
                "stress.case",
                f"a case whose story an adversary can play expected under 'attacked' "
                f"({', '.join(PLAYABLE)}), got {story!r}",
            )
        foreign = [d for d in self.stress.defences if d not in LIVE_DEFENCES]
        if foreign:
            raise KeyProblem(
                "stress.defences",
                f"under 'attacked' the charter's own governor and guardian defend it; only "
                f"{', '.join(LIVE_DEFENCES)} may be named here, got {', '.join(foreign)}",
            )
        governor = self.governor
        if governor.kind != "openzeppelin" or governor.dynamic_timelock is not None:
            raise KeyProblem(
                "governor.kind",
                "'openzeppelin' without dynamic_timelock expected under 'attacked', got "
                f"{governor.kind!r}",
            )
        supply = self.electorate_settings.supply
        if supply != SUPPLY:
            raise KeyProblem(
                "electorate.supply", f"{SUPPLY} expected under 'attacked', got {supply}"
            )
        return self

    @model_validator(mode="after")
    def _operator_can_propose(self) -> Charter:
        operator = self.roles.operator
        if operator is None:
            return self
        strict = self.governor.kind == "bravo"
        needed = self.governor.proposal_threshold_ppm + (1 if strict else 0)
        if operator.votes_ppm < needed:
            raise KeyProblem(
                "roles.operator.votes_ppm",
                f"at least {needed} expected, got {operator.votes_ppm}: with fewer than "
                "governor.proposal_threshold_ppm it could never propose",
            )
        if operator.bond_cents > operator.funds_cents:
            raise KeyProblem(
                "roles.operator.bond_cents",
                f"at most funds_cents = {operator.funds_cents} expected, got "
                f"{operator.bond_cents}: it could never propose",
            )
        silent = round(self.electorate_settings.silent_supply * 1_000_000)
        if operator.votes_ppm > silent:
            raise KeyProblem(
                "roles.operator.votes_ppm",
                f"at most the silent supply of {silent} expected, got {operator.votes_ppm}",
            )
        return self

    @property
    def electorate_settings(self) -> ElectorateSettings:
        """The settings behind `electorate`, its arrivals left as they are."""
        return NAMED[self.electorate] if isinstance(self.electorate, str) else self.electorate

    @property
    def votes(self) -> bool:
        """Whether parameters change while the agent works: by votes, or by a steward."""
        return self.mode != "static"

    @property
    def answers_actions(self) -> bool:
        """Whether the path of the rules depends on what agents do."""
        return self.mode in ("agentic", "steward", "attacked")

    @property
    def cycle_steps(self) -> int:
        """From a proposal, or a steward's announcement, to its execution."""
        steward = self.mode == "steward"
        return self.governor.timelock_steps if steward else self.governor.cycle_steps

    @property
    def longest_cycle_steps(self) -> int:
        """The same with everything that can put it off."""
        steward = self.mode == "steward"
        return self.governor.timelock_steps if steward else self.governor.longest_cycle_steps

    def refusal(self, problem: str, *keys: str | int) -> ConfigError:
        """An error about one of its keys, with file and line where it was read from a file."""
        where = place_of(self, *keys) or f"charter {self.name!r}"
        return ConfigError(where, ".".join(map(str, keys)), problem)

    def values(
        self,
        governed: Sequence[GovernedParameter],
        *,
        modes: Sequence[Mode] = ("static", "voted"),
        targets: Sequence[RuleTarget] = (),
    ) -> NDArray[np.float64]:
        """Value of each governed parameter, in the domain's order.

        Args:
            governed: the domain's governed parameters.
            modes: what the domain's kernels can do.
            targets: quantities that the domain lets charters put rules on.

        Raises:
            ConfigError: an unknown parameter, a value outside its bounds, or something that the
                domain does not offer; names file and line where the charter was read from a file.
        """
        if self.mode not in modes:
            raise self.refusal(f"{self.mode!r}: this domain offers {', '.join(modes)}", "mode")
        check_rules(self.rules, targets, self.name)
        return self.starting_values(governed)

    def starting_values(self, governed: Sequence[GovernedParameter]) -> NDArray[np.float64]:
        """The same without asking what the domain offers beside its parameters."""
        by_name = {p.name: p for p in governed}
        for name, value in self.parameters.items():
            self._within(by_name, name, value, "parameters", name)
        if self.stress is not None:
            for name, value in self.stress.captured.items():
                self._within(by_name, name, value, "stress", "captured", name)
        veto = self.governor.guardian_veto
        if veto is not None:
            for name, bounds in veto.keeps.items():
                for value in bounds:
                    self._within(by_name, name, value, "governor", "guardian_veto", "keeps", name)
        return np.array([self.parameters.get(p.name, p.initial) for p in governed])

    def _within(
        self, by_name: Mapping[str, GovernedParameter], name: str, value: float, *keys: str
    ) -> None:
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, 1, 0.0)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise self.refusal(
                f"no governed parameter has this name; {hint}There are {', '.join(by_name)}", *keys
            )
        bound = by_name[name]
        if not bound.low <= value <= bound.high:
            raise self.refusal(
                f"{value} was given, {bound.low} to {bound.high} {bound.unit} is allowed", *keys
            )


def load_charter(spec: str | Path) -> Charter:
    """A packaged charter by its name, or one from a YAML file.

    Raises:
        ConfigError: no such charter, or one with an error; names file, line, key and value.
    """
    text = str(spec)
    if text.endswith((".yaml", ".yml")):
        return load_yaml(Path(text), Charter)
    if text not in NAMED_CHARTERS:
        near = difflib.get_close_matches(text, NAMED_CHARTERS, 1, 0.0)
        raise ConfigError(
            "", "",
            f"one of {', '.join(NAMED_CHARTERS)} or the path of a .yaml file expected, got "
            f"{text!r}; did you mean {near[0]!r}?",
        )  # fmt: skip
    with resources.as_file(resources.files(__package__) / "charters" / f"{text}.yaml") as path:
        return load_yaml(path, Charter)


def _form(value: Any) -> str:
    """Which of the forms of a charter this is."""
    if isinstance(value, str):
        return "name"
    return "based" if isinstance(value, Mapping) and "base" in value else "settings"


def _over_base(settings: dict[str, Any]) -> Charter:
    base = settings["base"]
    if not isinstance(base, str):
        raise KeyProblem("base", f"the name or path of a charter expected, got {base!r}")
    changes = {key: value for key, value in settings.items() if key != "base"}
    merged = load_charter(base).model_dump(mode="json", exclude_defaults=True)
    try:
        return load_mapping(_merged(merged, changes), Charter, f"charter over {base!r}")
    except ConfigError as error:
        raise KeyProblem(error.key, error.problem) from None


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        nested = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[key] = _merged(old, value) if nested else value  # type: ignore[arg-type]
    return result
