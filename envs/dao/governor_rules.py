"""Settings that make the governor one that real DAOs run.

Each function gives an int64 vector of the settings' first `G_NUMERATORS` columns, for
`governor.begin_governor`. Delays and periods are in steps, everything ending in ``_s`` in seconds.
"""

from __future__ import annotations

import numpy as np

from daogym.envs.core.layout import Int

from .counting import (
    BASIS_POINTS,
    COUNT_CONVICTION,
    COUNT_FOR_ONLY,
    COUNT_OBJECTIONS,
    COUNT_SIMPLE,
    COUNT_SUPPORT,
    PPM,
)
from .governor_layout import (
    G_COUNTING,
    G_GRACE_S,
    G_GUARDIAN,
    G_LATE_QUORUM_EXTENSION,
    G_MIN_DELAY_S,
    G_NUMERATORS,
    G_ONE_LIVE_PROPOSAL,
    G_OPEN_CANCEL,
    G_PROPOSAL_THRESHOLD,
    G_QUORUM_DENOMINATOR,
    G_QUORUM_NUMERATOR,
    G_STATIC_SUPPLY,
    G_STRICT_THRESHOLD,
    G_SUPPORT_PPM,
    G_TIMELOCK,
    G_VETO_FIRST_PPB,
    G_VETO_MAX_S,
    G_VETO_MIN_S,
    G_VETO_SECOND_PPB,
    G_VETO_SINCE_S,
    G_VOTING_DELAY,
    G_VOTING_PERIOD,
    GUARDIAN_UNSET,
    NO_GUARDIAN,
)

DAY_S = 86_400


def openzeppelin_rules(
    *,
    voting_delay: int,
    voting_period: int,
    proposal_threshold: int,
    quorum_numerator: int,
    min_delay_s: int,
    late_quorum_extension: int = 0,
    quorum_denominator: int = 100,
    guardian: int = NO_GUARDIAN,
    static_supply: int = 0,
) -> Int:
    """OpenZeppelin Governor v5.7 with simple counting and a timelock that never expires."""
    rules = np.zeros(G_NUMERATORS, dtype=np.int64)
    rules[G_VOTING_DELAY] = voting_delay
    rules[G_VOTING_PERIOD] = voting_period
    rules[G_PROPOSAL_THRESHOLD] = proposal_threshold
    rules[G_QUORUM_NUMERATOR] = quorum_numerator
    rules[G_MIN_DELAY_S] = min_delay_s
    rules[G_LATE_QUORUM_EXTENSION] = late_quorum_extension
    rules[G_QUORUM_DENOMINATOR] = quorum_denominator
    rules[G_STATIC_SUPPLY] = static_supply
    rules[G_GUARDIAN] = guardian
    rules[G_COUNTING] = COUNT_SIMPLE
    rules[G_TIMELOCK] = 1
    rules[G_VETO_SINCE_S] = -1
    return rules


def bravo_rules(
    *,
    voting_delay: int,
    voting_period: int,
    proposal_threshold: int,
    quorum_numerator: int,
    min_delay_s: int,
    grace_s: int = 14 * DAY_S,
    quorum_denominator: int = 100,
    static_supply: int = 0,
) -> Int:
    """Compound's ``GovernorBravoDelegate`` with its ``Timelock``.

    For votes alone make the quorum, a proposer needs more than the threshold and has one pending
    or active proposal at most, queued proposals expire `grace_s` after eta. The proposer cancels at
    any time, and anyone does once the proposer's votes have fallen below the threshold. Bravo's
    quorum is a fixed number of votes; here it is a share of the supply.
    """
    rules = openzeppelin_rules(
        voting_delay=voting_delay,
        voting_period=voting_period,
        proposal_threshold=proposal_threshold,
        quorum_numerator=quorum_numerator,
        min_delay_s=min_delay_s,
        quorum_denominator=quorum_denominator,
        guardian=GUARDIAN_UNSET,
        static_supply=static_supply,
    )
    rules[G_COUNTING] = COUNT_FOR_ONLY
    rules[G_STRICT_THRESHOLD] = 1
    rules[G_ONE_LIVE_PROPOSAL] = 1
    rules[G_OPEN_CANCEL] = 1
    rules[G_GRACE_S] = grace_s
    return rules


def objection_rules(
    *,
    motion_duration: int,
    objections_bps: int = 50,
    proposal_threshold: int = 0,
    voting_delay: int = 0,
    static_supply: int = 0,
) -> Int:
    """Lido's Easy Track: a motion passes after its duration unless objections reach a share.

    Objections count from the step after the snapshot (in the contract that of the motion) on, and
    there is no timelock. The creator cancels at any time. In the contract objections also count
    between the end of the duration and enactment; here they end with the duration.
    """
    rules = openzeppelin_rules(
        voting_delay=voting_delay,
        voting_period=motion_duration,
        proposal_threshold=proposal_threshold,
        quorum_numerator=objections_bps,
        min_delay_s=0,
        quorum_denominator=BASIS_POINTS,
        guardian=GUARDIAN_UNSET,
        static_supply=static_supply,
    )
    rules[G_COUNTING] = COUNT_OBJECTIONS
    rules[G_TIMELOCK] = 0
    return rules


def support_rules(
    *,
    voting_period: int,
    support_ppm: int,
    participation_ppm: int,
    proposal_threshold: int = 0,
    voting_delay: int = 0,
    static_supply: int = 0,
) -> Int:
    """Aragon token voting (``MajorityVotingBase``): (1 - s) yes > s no, and enough took part.

    Executed directly; there is no timelock.
    """
    rules = openzeppelin_rules(
        voting_delay=voting_delay,
        voting_period=voting_period,
        proposal_threshold=proposal_threshold,
        quorum_numerator=participation_ppm,
        min_delay_s=0,
        quorum_denominator=PPM,
        static_supply=static_supply,
    )
    rules[G_COUNTING] = COUNT_SUPPORT
    rules[G_SUPPORT_PPM] = support_ppm
    rules[G_TIMELOCK] = 0
    return rules


def conviction_rules(
    *,
    voting_delay: int,
    voting_period: int,
    proposal_threshold: int,
    min_delay_s: int,
    static_supply: int = 0,
) -> Int:
    """Conviction voting on changes of parameters, with a timelock.

    ``P_NEEDED`` (the threshold) and the growth of conviction are the caller's business: both depend
    on what the proposal asks for (`conviction`).
    """
    rules = openzeppelin_rules(
        voting_delay=voting_delay,
        voting_period=voting_period,
        proposal_threshold=proposal_threshold,
        quorum_numerator=0,
        min_delay_s=min_delay_s,
        static_supply=static_supply,
    )
    rules[G_COUNTING] = COUNT_CONVICTION
    return rules


def with_veto(
    rules: Int,
    *,
    first_ppb: int = 10_000_000,
    second_ppb: int = 100_000_000,
    min_s: int = 5 * DAY_S,
    max_s: int = 45 * DAY_S,
) -> Int:
    """The same rules with Lido Dual Governance's dynamic timelock (`veto`), deployed numbers."""
    rules = rules.copy()
    rules[G_VETO_FIRST_PPB] = first_ppb
    rules[G_VETO_SECOND_PPB] = second_ppb
    rules[G_VETO_MIN_S] = min_s
    rules[G_VETO_MAX_S] = max_s
    return rules
