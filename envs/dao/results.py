"""What a rule of the DAO answers: 0 is done, everything else names a refusal.

Compiled code raises no exceptions. A refusal leaves the state as it was. Where OpenZeppelin's
contracts (v5.7) refuse with an error of their own, its name stands beside the code.
"""

from __future__ import annotations

DONE = 0

UNEXPECTED_STATE = 1  # GovernorUnexpectedProposalState
NONEXISTENT_PROPOSAL = 2  # GovernorNonexistentProposal
INSUFFICIENT_PROPOSER_VOTES = 3  # GovernorInsufficientProposerVotes
ID_WAS_USED = 4  # GovernorUnexpectedProposalState
ALREADY_VOTED = 5  # GovernorAlreadyCastVote
INVALID_VOTE_TYPE = 6  # GovernorInvalidVoteType
UNABLE_TO_CANCEL = 7  # GovernorUnableToCancel
QUEUEING_NOT_REQUIRED = 8  # GovernorProposalQueueingNotRequired
NOT_READY = 9  # TimelockUnexpectedOperationState
CALL_FAILED = 10  # whatever the called contract answers
INVALID_VOTING_PERIOD = 11  # GovernorInvalidVotingPeriod
INVALID_QUORUM_FRACTION = 12  # GovernorInvalidQuorumFraction
EXTENSION_TOO_LARGE = 13  # GovernorPreventLateQuorumVoteExtensionTooLarge
INVALID_VALUE = 14  # a number that does not fit the setting's type

INSUFFICIENT_BALANCE = 20  # ERC20InsufficientBalance
INVALID_RECEIVER = 21  # ERC20InvalidReceiver
SUPPLY_EXCEEDED = 22  # ERC20ExceededSafeSupply
INVALID_AMOUNT = 23
UNKNOWN_ACCOUNT = 24
NO_CHECKPOINT_ROOM = 25
SNAPSHOT_FORGOTTEN = 26

NO_FREE_SLOT = 30
ONE_LIVE_PROPOSAL = 31
NO_VOTING_POWER = 32
TALLY_OVERFLOW = 33
VETOED = 34
OUT_OF_ORDER = 35
YES_VOTE_UNPROCESSED = 36
