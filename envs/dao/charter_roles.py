"""Who holds an office under a charter. The members are its electorate."""

from __future__ import annotations

from pydantic import Field as Setting

from daogym.envs.core.strict import StrictModel

LARGEST_CENTS = 10**13


class OperatorRole(StrictModel):
    """The agent as a proposer (mode `agentic`): what it may propose, and what a defeat costs."""

    votes_ppm: int = Setting(1_000, ge=0, le=1_000_000)
    """Votes that it proposes with and casts For its own proposals, millionths of the supply."""
    funds_cents: int = Setting(100_000, ge=0, le=LARGEST_CENTS)
    """Its account at the start of an episode."""
    bond_cents: int = Setting(5_000, ge=0, le=LARGEST_CENTS)
    """Put into escrow with each proposal: back once it is executed, else lost to the treasury."""
    cooldown_steps: int = Setting(24, ge=0, le=10_000)
    """Least steps between two of its proposals."""
    live_proposals: int = Setting(1, ge=1, le=8)
    """Most proposals of its own that are live at one time."""


class GuardianRole(StrictModel):
    """Whoever may veto what has passed (`governor.guardian_veto` says what is vetoed)."""

    reaction_steps: int = Setting(24, ge=0, le=10_000)
    """Steps until the guardian acts, from a vote's success; under kind `optimistic`, which has no
    timelock, from the snapshot."""


class Roles(StrictModel):
    """Offices; whoever is not named does not exist."""

    operator: OperatorRole | None = None
    guardian: GuardianRole | None = None
