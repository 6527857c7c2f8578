"""Columns of the governor's arrays and the names of what stands in them. All numbers are int64."""

from __future__ import annotations

from .checkpoints import trace_width

# Settings of a lane. The first six are governed: a payload names them by these numbers.
G_VOTING_DELAY = 0  # steps from proposal to snapshot
G_VOTING_PERIOD = 1  # steps from snapshot to deadline
G_PROPOSAL_THRESHOLD = 2  # votes that a proposer had one step before
G_QUORUM_NUMERATOR = 3  # share of the supply at the snapshot that must be cast
G_MIN_DELAY_S = 4  # seconds from queueing to execution
G_LATE_QUORUM_EXTENSION = 5  # steps that voting stays open after quorum was reached
GOVERNED = 6

G_QUORUM_DENOMINATOR = 6  # base of the numerator: 100, or the base of the counting rule
G_STATIC_SUPPLY = 7  # tokens of holders that are not accounts; the same at every step
G_GUARDIAN = 8  # account that may cancel, or one of the two below
G_COUNTING = 9  # a rule of `counting`
G_SUPPORT_PPM = 10  # support threshold of COUNT_SUPPORT
G_STRICT_THRESHOLD = 11  # 1: the proposer needs more than the threshold
G_ONE_LIVE_PROPOSAL = 12  # 1: nobody proposes while a proposal of theirs is pending or active
G_OPEN_CANCEL = 13  # 1: anyone cancels a proposal whose proposer fell below the threshold
G_TIMELOCK = 14  # 1: success is queued first; 0: it is executed directly
G_GRACE_S = 15  # seconds after eta until a queued proposal expires; 0: never
G_VETO_FIRST_PPB = 16  # escrowed share of the supply from which execution is delayed
G_VETO_SECOND_PPB = 17  # escrowed share at which the delay is longest
G_VETO_MIN_S = 18
G_VETO_MAX_S = 19  # 0: there is no veto
G_VETO_ESCROWED = 20  # votes in the veto's escrow now
G_VETO_SINCE_S = 21  # when the first share was reached; -1 while it is not
G_LAST_ID = 22  # highest proposal id that was used
G_NUMERATORS = 23  # from here on: the trace of the quorum numerator

NO_GUARDIAN = -1  # a governor without the guardian module: proposers cancel while pending
GUARDIAN_UNSET = -2  # the module with no guardian: proposers cancel at any time

# A proposal.
P_ID = 0  # 0: the slot was never used
P_PROPOSER = 1  # any number; accounts are 0 .. accounts - 1
P_SNAPSHOT = 2  # step whose votes count
P_DURATION = 3  # steps
P_EXTENDED = 4  # step until which reaching quorum keeps voting open; 0: not yet reached
P_ETA_S = 5  # second from which it may be executed; 0: not queued
P_CLOSED = 6  # EXECUTED or CANCELED; 0: neither
P_AGAINST, P_FOR, P_ABSTAIN = 7, 8, 9  # votes
P_VOTED = 10  # bit mask over accounts
P_NEEDED = 11  # votes that the counting rule asks for; -1 until it is first asked for
P_KIND = 12  # what executing it does, one of PAYLOAD_…
P_TARGET = 13  # which parameter
P_VALUE = 14  # its new value
P_NOTE = 15  # the caller's own; the governor does not look at it
PROPOSAL_WIDTH = 16

PAYLOAD_PARAMETER = 0  # sets a governed setting of the governor: P_TARGET is one of the first six
PAYLOAD_CALL = 1  # the caller's own business; the caller says whether it succeeds
PAYLOAD_FAILS = 2  # a call that always fails

# IGovernor.ProposalState
PENDING, ACTIVE, CANCELED, DEFEATED = 0, 1, 2, 3
SUCCEEDED, QUEUED, EXPIRED, EXECUTED = 4, 5, 6, 7
EMPTY = -1  # no proposal in this slot

MAX_VOTERS = 63
"""Accounts that fit the bit mask of those who have voted."""


def settings_width(slots: int) -> int:
    """Length of a settings vector for this many proposal slots."""
    return G_NUMERATORS + trace_width(slots)
