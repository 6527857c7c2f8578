"""What a rule of the DAO answers: 0 is done, everything else names a refusal.

Compiled code raises no exceptions. A refusal leaves the state as it was. Where OpenZeppelin's
contracts (v5.7) refuse with an error of their own, its name stands beside the code. `CODES` names
all numbers, for ledgers and tables.
"""

from __future__ import annotations

CODES = (
    "done", "invalid", "too_early", "too_late",
    "change_too_large", "out_of_bounds", "over_allowance", "over_quota",
    "over_capacity", "rate_limited", "tripped", "paused",
    "stale", "jailed", "downtime", "invalid_proof",
    "below_floor", "not_open", "already_open",
    "overdraft", "overflow", "over_budget", "too_few_reports",
    "out_of_range", "quiet",
    "unexpected_state", "nonexistent_proposal", "insufficient_proposer_votes", "id_was_used",
    "already_voted", "invalid_vote_type", "unable_to_cancel", "queueing_not_required",
    "not_ready", "call_failed", "invalid_voting_period", "invalid_quorum_fraction",
    "extension_too_large", "invalid_value",
    "insufficient_balance", "invalid_receiver", "supply_exceeded", "invalid_amount",
    "unknown_account", "no_checkpoint_room", "snapshot_forgotten",
    "no_free_slot", "one_live_proposal", "no_voting_power", "tally_overflow",
    "vetoed", "out_of_order", "yes_vote_unprocessed",
)  # fmt: skip
"""Names of the result codes, in the order of their numbers."""

# Requests, payments and duties under a rule.
DONE, INVALID, TOO_EARLY, TOO_LATE = 0, 1, 2, 3
CHANGE_TOO_LARGE, OUT_OF_BOUNDS, OVER_ALLOWANCE, OVER_QUOTA = 4, 5, 6, 7
OVER_CAPACITY, RATE_LIMITED, TRIPPED, PAUSED = 8, 9, 10, 11
STALE, JAILED, DOWNTIME, INVALID_PROOF = 12, 13, 14, 15
BELOW_FLOOR, NOT_OPEN, ALREADY_OPEN = 16, 17, 18
OVERDRAFT, OVERFLOW, OVER_BUDGET, TOO_FEW_REPORTS = 19, 20, 21, 22
OUT_OF_RANGE, QUIET = 23, 24

# The governor.
UNEXPECTED_STATE = 25  # GovernorUnexpectedProposalState
NONEXISTENT_PROPOSAL = 26  # GovernorNonexistentProposal
INSUFFICIENT_PROPOSER_VOTES = 27  # GovernorInsufficientProposerVotes
ID_WAS_USED = 28  # GovernorUnexpectedProposalState
ALREADY_VOTED = 29  # GovernorAlreadyCastVote
INVALID_VOTE_TYPE = 30  # GovernorInvalidVoteType
UNABLE_TO_CANCEL = 31  # GovernorUnableToCancel
QUEUEING_NOT_REQUIRED = 32  # GovernorProposalQueueingNotRequired
NOT_READY = 33  # TimelockUnexpectedOperationState
CALL_FAILED = 34  # whatever the called contract answers
INVALID_VOTING_PERIOD = 35  # GovernorInvalidVotingPeriod
INVALID_QUORUM_FRACTION = 36  # GovernorInvalidQuorumFraction
EXTENSION_TOO_LARGE = 37  # GovernorPreventLateQuorumVoteExtensionTooLarge
INVALID_VALUE = 38  # a number that does not fit the setting's type

# Tokens that vote.
INSUFFICIENT_BALANCE = 39  # ERC20InsufficientBalance
INVALID_RECEIVER = 40  # ERC20InvalidReceiver
SUPPLY_EXCEEDED = 41  # ERC20ExceededSafeSupply
INVALID_AMOUNT = 42
UNKNOWN_ACCOUNT = 43
NO_CHECKPOINT_ROOM = 44
SNAPSHOT_FORGOTTEN = 45

# What contracts of other kinds, or arrays of fixed size, refuse.
NO_FREE_SLOT = 46
ONE_LIVE_PROPOSAL = 47
NO_VOTING_POWER = 48
TALLY_OVERFLOW = 49
VETOED = 50
OUT_OF_ORDER = 51
YES_VOTE_UNPROCESSED = 52
