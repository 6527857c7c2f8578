"""Columns of what governance.py reads and keeps in a lane. All numbers are int64 but `floats`."""

from __future__ import annotations

from .ballots import BALLOT_ROWS
from .governor_layout import PROPOSAL_WIDTH, settings_width
from .votes import votes_width

SLOTS = 8
CAPACITY = 128
"""Voters of one proposal that are kept one by one; more are merged (ballots.py)."""

VALUE_SCALE = 1_000_000_000
"""Payloads hold a value as this many parts of the parameter's range."""

MOST_PARAMETERS = 62
"""Governed parameters that fit the bit mask of captured ones."""
LEFT_WORDS, LEFT_BITS = 32, 62
MOST_QUITTERS = LEFT_WORDS * LEFT_BITS
"""Voters that fit the bit mask of those who have left (kind `moloch`)."""

# A charter's int vector: this header, then blocks of one number a parameter (`C_…_BLOCK`), then the
# paths of a stress charter.
C_PARAMETERS = 0
C_EARLIER_STEPS = 1  # steps of the governor before an episode begins
C_EPISODE_STEPS = 2
C_LONGEST_CYCLE = 3  # steps from a proposal to its end at the latest
C_REACTION = 4  # steps until the guardian acts; -1: there is none
C_LEAVE_ABOVE_PPB = 5  # loss, as a share of the range, from which members leave; -1: none does
C_DECAY_PPM = 6  # of conviction in a step
C_LARGEST_SHARE_PPM = 7  # changes of that share of the range never gather enough conviction
C_WEIGHT_PPM = 8  # of conviction's threshold
C_OPERATOR_VOTES = 9  # base units; one of ``…_ASKS`` where the operator proposes nothing
C_FUNDS_CENTS = 10  # the operator's, at the start
C_BOND_CENTS = 11
C_COOLDOWN = 12  # least steps between two proposals of the operator
C_OWN_LIVE = 13  # most live proposals of the operator
C_PATHS = 14  # of a stress charter; 0: nobody attacks
C_HEADER = 15
C_INTERVAL_BLOCK = 0  # least steps between two changes; 0: never proposed
C_KEEP_LOW_BLOCK = 1  # what the guardian lets through, in parts of the range
C_KEEP_HIGH_BLOCK = 2
C_CAPTURED_BLOCK = 3  # value after an attack; one of the two below where it is none
C_BLOCKS = 4
NOT_CAPTURED, FURTHER_BOUND = -1, -2
NOBODY_ASKS, STEWARD_ASKS, ADVERSARY_ASKS = -1, -2, -3
"""Actions ask for nothing, for a steward's changes, or for an adversary's acts."""
# A charter's float vector: low, high and largest change of each parameter, block after block.

# The agenda of a lane: this header, then the step of each parameter's last change.
A_STEP = 0  # the governor's own clock: steps done
A_NEXT_STEP = 1  # next step at which a proposal moves on
A_NEXT_BALLOT = 2  # next step at which a ballot is due
A_NEXT_ARRIVAL = 3  # next step at which members propose, or at which to look for one
A_CHANGES = 4  # changes of parameters in this episode
A_BONDS_BACK = 5  # cents of bonds to be paid back
A_BONDS_LOST = 6  # cents of bonds lost to the treasury, not yet moved
A_OWN_WON = 7  # proposals of the operator that were executed
A_OWN_LOST = 8  # ... that ended otherwise
A_VETOES = 9  # of the guardian
A_LEAVING = 10  # votes of members who left, their part not yet paid
A_LEFT_VOTES = 11  # votes of all members who left
A_DECIDED = 12  # proposals that were voted on
A_TURNOUT_PPM = 13  # sum over these of votes cast / supply
A_NAKAMOTO = 14  # sum of the least numbers of voters with more than half of what was cast
A_GINI_PPM = 15  # sum of the Gini coefficients of what was cast
A_CAPTURED = 16  # bit mask over parameters
A_CAPTURED_SINCE = 17  # step from which the mask has been what it is
A_CAPTURED_STEPS = 18  # sum over parameters of steps captured before that
A_ATTACK_AT = 19  # step at which an attack takes effect
A_ATTACK_LOSS_PPM = 20  # what it takes of the treasury
A_TAKING_PPM = 21  # the same, not yet taken
A_LOSS_CENTS = 22  # lost by the treasury to attackers and leavers so far
A_LEFT = 23  # first word of the mask of voters who left
A_HEADER = A_LEFT + LEFT_WORDS

OPERATOR = 2**20
GUARDIAN = 2**20 + 1
STEWARD = 2**20 + 2
"""Numbers of the offices as proposer and canceller, beyond all accounts and voters."""
PROPOSAL_NUMBERS = 3
"""Numbers of a request of the operator's; a steward's has one a parameter."""
OPERATOR_VOTER = 2**14 - 2
"""Number of the operator among the voters of a ballot."""


def state_sizes(parameters: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the int64 state parts of a lane with this many governed parameters."""
    return {
        "governor": (settings_width(SLOTS),),
        "proposals": (SLOTS, PROPOSAL_WIDTH),
        "votes": (1, votes_width(SLOTS)),
        "ballot_clock": (BALLOT_ROWS, SLOTS),
        "ballots": (SLOTS, CAPACITY + 1),
        "agenda": (A_HEADER + parameters,),
    }
