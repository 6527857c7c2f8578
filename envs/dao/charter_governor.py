"""The governor of a charter: which DAO's rules count votes, and what follows from a vote.

`kind` chooses the rules; the table below says which settings act under which. A setting that does
nothing under the chosen kind is refused unless it keeps its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.strict import KeyProblem, StrictModel

Kind = Literal["openzeppelin", "bravo", "optimistic", "moloch", "conviction", "quadratic"]


class DynamicTimelock(StrictModel):
    """Lido's Dual Governance: who votes Against also puts these votes into escrow, and execution
    waits the longer, the more is there. Votes leave with the end of the proposal, and at the end of
    the longest wait (rage quit).
    """

    first_share_ppm: int = Setting(1_000, ge=1, le=999_999)
    """Escrowed share of the supply, in millionths, from which execution waits."""
    second_share_ppm: int = Setting(20_000, ge=2, le=1_000_000)
    """Share from which it waits longest; the wait grows linearly in between."""
    shortest_steps: int = Setting(8, ge=0, le=10_000)
    longest_steps: int = Setting(48, ge=1, le=10_000)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first_share_ppm >= self.second_share_ppm:
            raise KeyProblem(
                "second_share_ppm",
                f"more than first_share_ppm = {self.first_share_ppm} expected, got "
                f"{self.second_share_ppm}",
            )
        if self.shortest_steps > self.longest_steps:
            raise KeyProblem(
                "longest_steps",
                f"at least shortest_steps = {self.shortest_steps} expected, got "
                f"{self.longest_steps}",
            )
        return self


class RageQuit(StrictModel):
    """Moloch v2: who voted against what has passed may leave with a share of the treasury."""

    leave_above: float = Setting(0.1, ge=0.0, le=1.0)
    """Loss, as a share of the parameter's range, above which a member leaves."""


class Conviction(StrictModel):
    """Support gathers weight while it stays, and large changes need more of it (1Hive).

    A change by d of the range passes once conviction exceeds
    weight x supply / ((1 - a) (largest_share - d)**2), a being the decay of a step.
    """

    half_life_steps: float = Setting(24.0, ge=1.0, le=10_000.0)
    """Steps in which conviction without support halves."""
    largest_share: float = Setting(0.6, gt=0.0, le=1.0)
    """Changes of this share of the range or more never pass."""
    weight: float = Setting(0.002, gt=0.0, le=1.0)


class GuardianVeto(StrictModel):
    """What the guardian lets no proposal do; who it is stands in the roles."""

    keeps: Mapping[str, tuple[float, float]]
    """Governed parameter -> lowest and highest value that is let through, in its own unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.keeps:
            raise KeyProblem("keeps", "at least one parameter expected, got none")
        for name, (low, high) in self.keeps.items():
            if low > high:
                raise KeyProblem(f"keeps.{name}", f"[low, high] expected, got [{low}, {high}]")
        return self


_TIMED = ("voting_delay_steps", "voting_period_steps", "proposal_threshold_ppm", "guardian_veto")
ACTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "openzeppelin": (*_TIMED, "timelock_steps", "quorum_percent",
                         "late_quorum_extension_steps", "dynamic_timelock"),
        "bravo": (*_TIMED, "timelock_steps", "quorum_percent", "dynamic_timelock", "grace_steps"),
        "optimistic": (*_TIMED, "objections_bps", "dynamic_timelock"),
        "moloch": (*_TIMED, "timelock_steps", "rage_quit"),
        "conviction": (*_TIMED, "timelock_steps", "conviction"),
        "quadratic": (*_TIMED, "timelock_steps", "quorum_percent", "late_quorum_extension_steps",
                      "dynamic_timelock"),
    }
)  # fmt: skip
"""Settings that act under each kind."""


class GovernorSettings(StrictModel):
    """A governor, by default OpenZeppelin's with a timelock; its time is counted in steps."""

    kind: Kind = "openzeppelin"
    """`openzeppelin`, `bravo` (For alone makes the quorum, one live proposal a proposer),
    `optimistic` (passes unless enough object), `moloch` (yes > no, then rage quit), `conviction`,
    or `quadratic` (n votes cost n squared tokens)."""
    voting_delay_steps: int = Setting(8, ge=1, le=10_000)
    """From a proposal to the snapshot whose votes count."""
    voting_period_steps: int = Setting(96, ge=1, le=10_000)
    """How long is voted; under `conviction`, how long support may gather."""
    timelock_steps: int = Setting(48, ge=0, le=10_000)
    """From a vote's success to the earliest execution; under `moloch`, the grace period."""
    quorum_percent: int = Setting(2, ge=0, le=100)
    """Share of the supply that must vote For or Abstain (`bravo`: For)."""
    proposal_threshold_ppm: int = Setting(100, ge=0, le=1_000_000)
    """Votes needed to propose, millionths of the supply."""
    late_quorum_extension_steps: int = Setting(0, ge=0, le=10_000)
    """How long voting stays open after quorum was reached."""
    objections_bps: int = Setting(50, ge=1, le=10_000)
    """`optimistic`: objections that stop a motion, basis points of the supply."""
    grace_steps: int = Setting(0, ge=0, le=10_000)
    """`bravo`: steps after the end of the timelock in which it must be executed; 0: no limit."""
    dynamic_timelock: DynamicTimelock | None = None
    rage_quit: RageQuit = RageQuit()
    conviction: Conviction = Conviction()
    guardian_veto: GuardianVeto | None = None

    @property
    def has_timelock(self) -> bool:
        """Whether what has passed is queued before it is executed."""
        return self.kind != "optimistic"

    @property
    def cycle_steps(self) -> int:
        """From a proposal to its execution."""
        timelock = self.timelock_steps if self.has_timelock else 0
        return self.voting_delay_steps + self.voting_period_steps + timelock

    @property
    def longest_cycle_steps(self) -> int:
        """The same with everything that can put it off."""
        longest = self.cycle_steps + self.late_quorum_extension_steps
        if self.dynamic_timelock is not None:
            longest += self.dynamic_timelock.longest_steps + 1
        return longest

    @model_validator(mode="after")
    def _settings_act(self) -> Self:
        acts = ACTS[self.kind]
        for name, field in type(self).model_fields.items():
            if name != "kind" and name not in acts and getattr(self, name) != field.default:
                raise KeyProblem(
                    name,
                    f"does nothing under kind {self.kind!r}, whose settings are {', '.join(acts)}",
                )
        return self

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.late_quorum_extension_steps > self.voting_period_steps:
            raise KeyProblem(
                "late_quorum_extension_steps",
                f"at most voting_period_steps = {self.voting_period_steps} expected, got "
                f"{self.late_quorum_extension_steps}",
            )
        if self.grace_steps > 0 and self.dynamic_timelock is None:
            raise KeyProblem(
                "grace_steps",
                "does nothing without dynamic_timelock: what is queued is executed at its eta",
            )
        return self
