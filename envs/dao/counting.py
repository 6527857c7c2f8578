"""How ballots are counted and when they carry a proposal: exact rules in integers.

Ratios are whole numbers over a base (percent over 100, parts per million over 10**6). Products of
votes and ratios do not fit an int64, so they are kept as (whole, rest) pairs over the base, which
compare as the products do. Votes are at most `votes.MAX_VOTES`.
"""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import kernel_function

AGAINST, FOR, ABSTAIN = 0, 1, 2

COUNT_SIMPLE = 0
"""Quorum of For + Abstain, passes with For > Against (``GovernorCountingSimple``)."""
COUNT_FOR_ONLY = 1
"""Quorum of For alone, passes with For > Against (Compound ``GovernorBravo``)."""
COUNT_OBJECTIONS = 2
"""Only Against is cast; passes unless objections / supply reach a share (Lido Easy Track)."""
COUNT_SUPPORT = 3
"""Support threshold and minimum participation (Aragon ``MajorityVotingBase``)."""
COUNT_CONVICTION = 4
"""Only For is cast and stakes; passes once conviction exceeds a threshold (`conviction`). A
proposal's columns then hold conviction (For) and what is staked (Abstain)."""

PPM = 1_000_000
"""Base of support and participation ratios (Aragon's RATIO_BASE)."""
BASIS_POINTS = 10_000
"""Base of the objections threshold (Easy Track's HUNDRED_PERCENT)."""

LARGEST_BALLOT = 2**30
"""Most quadratic votes that one account can cast on one question."""


@kernel_function
def share_of(amount: int, numerator: int, base: int) -> tuple[int, int]:
    """(floor(amount * numerator / base), rest over base), for 0 <= numerator <= base <= 2**31."""
    rest = amount % base * numerator
    return amount // base * numerator + rest // base, rest % base


@kernel_function
def share_rounded_up(amount: int, numerator: int, base: int) -> int:
    """ceil(amount * numerator / base), for 0 <= numerator <= base <= 2**31."""
    whole, rest = share_of(amount, numerator, base)
    return whole + 1 if rest > 0 else whole


@kernel_function
def multiply_divide(a: int, b: int, divisor: int) -> int:
    """floor(a * b / divisor) for 0 <= a, b <= 2**61 and 0 < divisor <= 2**61; the result must fit.

    Long division bit by bit: for rare events, not for every step.
    """
    whole, rest = 0, 0
    a_whole, a_rest = a // divisor, a % divisor
    bit = 61
    while bit >= 0 and (b >> bit) == 0:
        bit -= 1
    while bit >= 0:
        whole, rest = 2 * whole, 2 * rest
        if rest >= divisor:
            whole, rest = whole + 1, rest - divisor
        if (b >> bit) & 1 == 1:
            whole, rest = whole + a_whole, rest + a_rest
            if rest >= divisor:
                whole, rest = whole + 1, rest - divisor
        bit -= 1
    return whole


@kernel_function
def support_reached(yes: int, no: int, support_ppm: int) -> bool:
    """(1 - s) yes > s no, ``MajorityVotingBase.isSupportThresholdReached``."""
    left, left_rest = share_of(yes, PPM - support_ppm, PPM)
    right, right_rest = share_of(no, support_ppm, PPM)
    return left > right or (left == right and left_rest > right_rest)


@kernel_function
def support_reached_early(yes: int, abstain: int, supply: int, support_ppm: int) -> bool:
    """Whether support holds even if all others vote No, ``isSupportThresholdReachedEarly``."""
    return support_reached(yes, supply - yes - abstain, support_ppm)


@kernel_function
def votes_needed(counting: int, supply: int, numerator: int, base: int) -> int:
    """Votes at which a counting rule's share of the supply is reached.

    Quorum floor(supply n / base) for `COUNT_SIMPLE` and `COUNT_FOR_ONLY`
    (``GovernorVotesQuorumFraction.quorum``); for `COUNT_SUPPORT` the minimum voting power, rounded
    up; for `COUNT_OBJECTIONS` the objections that reject, at least one:
    floor(10**4 objections / supply) >= n is objections >= ceil(n supply / 10**4).
    """
    if counting == COUNT_SUPPORT:
        return share_rounded_up(supply, numerator, base)
    if counting == COUNT_OBJECTIONS:
        return max(share_rounded_up(supply, numerator, base), 1)
    return share_of(supply, numerator, base)[0]


@kernel_function
def quorum_reached(counting: int, needed: int, against: int, in_favor: int, abstain: int) -> bool:
    """Whether enough was cast; objections need no quorum."""
    if counting == COUNT_SIMPLE:
        return in_favor + abstain >= needed
    if counting == COUNT_FOR_ONLY:
        return in_favor >= needed
    if counting == COUNT_SUPPORT:
        return against + in_favor + abstain >= needed
    if counting == COUNT_CONVICTION:
        return in_favor > needed
    return True


@kernel_function
def vote_succeeded(
    counting: int, needed: int, against: int, in_favor: int, support_ppm: int
) -> bool:
    """Whether what was cast carries the proposal; a tie never does."""
    if counting == COUNT_OBJECTIONS:
        return against < needed
    if counting == COUNT_SUPPORT:
        return support_reached(in_favor, against, support_ppm)
    if counting == COUNT_CONVICTION:
        return in_favor > needed
    return in_favor > against


@kernel_function
def quadratic_cost(ballot: int) -> int:
    """Credits that n votes of one account on one question cost: n**2, -1 beyond `LARGEST_BALLOT`.

    Weyl, Posner and Lalley, "Quadratic Voting" (2015); a ballot of -n (against) costs the same.
    """
    return ballot * ballot if abs(ballot) <= LARGEST_BALLOT else -1


@kernel_function
def quadratic_votes(credits: int) -> int:
    """Most votes that this many credits buy on one question: floor(sqrt(credits))."""
    root: int = min(int(np.sqrt(float(credits))), LARGEST_BALLOT)
    while root > 0 and root * root > credits:
        root -= 1
    while root < LARGEST_BALLOT and (root + 1) * (root + 1) <= credits:
        root += 1
    return root


@kernel_function
def change_ballot(credits: int, before: int, after: int) -> int:
    """Credits left after an account changes its ballot on one question; -1 if they don't suffice.

    The difference of the squares is paid, so casting one by one costs what casting at once does.
    """
    cost = quadratic_cost(after)
    if cost < 0:
        return -1
    return max(credits + quadratic_cost(before) - cost, -1)
