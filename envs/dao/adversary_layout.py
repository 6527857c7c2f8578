"""Where the adversary's game keeps its numbers, and what they are called.

A lane of the game is one int64 row: the scalars ``S_…``, then the governor's arrays, the tokens,
the books and the ballots that `capture_lane` and `capture_play` keep, at the places that
``I_AT_…`` name. In a domain's lane (`adversary_lane`) scalars, ballots and sold votes are one part
of its state; the governor, the tokens and the books are the domain's own.
"""

from __future__ import annotations

from daogym.envs.core.layout import Layout, Part

from .ballots import BALLOT_ROWS
from .capture_lane import ACCOUNTS, CASH_ACCOUNTS, OPENING, SLOTS
from .governor_layout import PROPOSAL_WIDTH, settings_width
from .votes import votes_width

AUTORESETS = ("same_step", "next_step", "disabled")

ACTIONS = ("trade", "split", "borrow", "bribe", "propose", "vote")
A_TRADE, A_SPLIT, A_BORROW, A_BRIBE, A_PROPOSE, A_VOTE = range(6)
OPERATOR_ACTIONS = ("shelter", "call")
A_SHELTER, A_CALL = range(len(ACTIONS), len(ACTIONS) + len(OPERATOR_ACTIONS))
ALL_ACTIONS = len(ACTIONS) + len(OPERATOR_ACTIONS)

CASH_VAULT = CASH_ACCOUNTS
"""The account after those of the cases: treasury money where no payload reaches it."""
GAME_ACCOUNTS = CASH_ACCOUNTS + 1

TERMS = ("loot", "fees", "bribes", "market")
COSTS = ("treasury_loss",)
EVENTS = (
    "executed", "proposals", "vetoes", "captured_steps", "votes_cast_ppm", "bribed_ppm",
    "invalid_actions", "refused", "calls", "operator_cost",
)  # fmt: skip

# The simulator's order of an output row: reward, baseline, steps, costs, terms, events.
OUT_REWARD, OUT_BASELINE, OUT_STEPS, OUT_COST = 0, 1, 2, 3
OUT_TERM = OUT_COST + len(COSTS)
OUT_EVENT = OUT_TERM + len(TERMS)
OUT_WIDTH = OUT_EVENT + len(EVENTS)
(
    E_EXECUTED, E_PROPOSALS, E_VETOES, E_CAPTURED_STEPS, E_VOTES, E_BRIBED, E_INVALID, E_REFUSED,
    E_CALLS, E_OPERATOR_COST,
) = range(OUT_EVENT, OUT_WIDTH)  # fmt: skip

OWN, CALLED = range(2)
"""Rows of the ballots: those on the adversary's live proposal, and of members called to it."""
BALLOT_SHAPE = (BALLOT_ROWS, 2)

NOTHING, LIVE, DEFEAT, VETO, CAPTURE = range(5)
"""How the adversary's latest proposal stands."""

SCALARS = (
    ("root_key", "random key of the lane's seed (bits of a uint64)"),
    ("episode", "episodes begun since the seed was set, minus one"),
    ("episode_key", "random key of this episode: which members vote, how and when"),
    ("forced_day", "asked for by the simulator; there are no days here"),
    ("done", "1 after the last decision of an episode"),
    ("step", "step of the case's clock"),
    ("time_s", "second of it"),
    ("fair", "price that others bring the pool back to, millionths of a cent a base unit"),
    ("slot", "of the live proposal, -1 for none"),
    ("outcome", "how the latest proposal stands"),
    ("made", "proposals so far"),
    ("drawn", "1 once the members' ballots on the live proposal are drawn"),
    ("called", "1 once members were called because the deadline was put off"),
    ("seen_s", "second since which the guardian has seen it pass, -1 before"),
    ("captured_from", "step of the capture, -1 before"),
    ("stolen", "base units taken out of the treasury"),
    (
        "loot_cents",
        "what a capture brought: money out of the treasury, stolen tokens at the price "
        "after the fall, and what minted ones were sold for",
    ),
    ("fee_cents", "paid for loans"),
    ("bribe_cents", "paid for members' votes"),
    ("bribed", "base units of votes bought from members"),
    ("cast", "base units of votes cast with the adversary's own accounts"),
    ("vetoes", "proposals that the guardian cancelled"),
    ("calls", "times that the operator called the members"),
    ("operator_cents", "what the operator's acts have cost the treasury"),
    ("refused", "moves of money or tokens that the books refused: always 0"),
    ("end", "last step of the account"),
    (
        "gained_cents",
        "change of cash and tokens, at the fair price, since a domain's episode began",
    ),
    ("gain_cents", "the same of the last step, which a new episode leaves as it is"),
    ("episode_gain_cents", "the first as of the last step, which a new episode leaves as it is"),
)
(
    S_ROOT_KEY, S_EPISODE, S_EPISODE_KEY, S_FORCED_DAY, S_DONE, S_STEP, S_TIME_S, S_FAIR, S_SLOT,
    S_OUTCOME, S_MADE, S_DRAWN, S_CALLED, S_SEEN_S, S_CAPTURED_FROM, S_STOLEN, S_LOOT, S_FEES,
    S_BRIBES, S_BRIBED, S_CAST, S_VETOES, S_CALLS, S_OPERATOR_CENTS, S_REFUSED, S_END, S_GAINED,
    S_GAIN, S_EPISODE_GAIN,
) = range(len(SCALARS))  # fmt: skip

(
    I_AUTORESET, I_STAGGER, I_STEP_S, I_HORIZON, I_DECISION, I_SLICES, I_FEE_BPS, I_FAIR,
    I_FALL_BPS, I_LIVE_VOTES, I_COOLDOWN, I_EMERGENCY_PPM, I_EMERGENCY_WAIT, I_TIMELOCK_S,
    I_REACTION_S, I_QUORUM_PERCENT, I_EXTENSION, I_FLASH_UNITS, I_FLASH_CENTS, I_FLASH_FEE_CENTS,
    I_EXCHANGE_UNITS, I_BRIBE_BPS, I_BRIBABLE_PPM, I_MINT_UNITS, I_GRAB_CENTS, I_LOOT_BPS,
    I_GRAB_UNITS, I_GRAB_STEP_CENTS, I_VOTERS, I_MOST_PROPOSALS, I_VAULT_PPM,
    I_VAULT_BPS, I_CALL_CENTS,
    I_AT_SETTINGS, I_AT_PROPOSALS, I_AT_TOKENS, I_TOKENS_WIDTH, I_AT_CENTS, I_AT_TOTALS, I_AT_CLOCK,
    I_AT_EVENTS, I_AT_SOLD,
) = range(42)  # fmt: skip
PARAMETERS = I_AT_SOLD + 1

MEMBER_BITS = 60
"""Members whose sale of a vote one number of the row remembers."""


def state_layout(voters: int, pins: int) -> Layout:
    """The state of a lane whose electorate has so many voters.

    Args:
        pins: steps that the accounts' votes must stay known for; see `votes.votes_width`.
    """
    scalars = [Part(name, (), doc, integer=True) for name, doc in SCALARS]
    return Layout([
        *scalars,
        Part("settings", (settings_width(SLOTS),), "of the governor", integer=True),
        Part("proposals", (SLOTS, PROPOSAL_WIDTH), "of the governor", integer=True),
        Part("tokens", (ACCOUNTS + 1, votes_width(pins)), "of the accounts", integer=True),
        Part("cents", (GAME_ACCOUNTS,), "double-entry accounts", integer=True),
        Part("totals", (OPENING + 1, 2), "what was ever minted and burned", integer=True),
        Part("clock", BALLOT_SHAPE, "of the ballots", integer=True),
        Part("events", (BALLOT_SHAPE[1], voters + 1), "members' ballots by step", integer=True),
        Part("sold", (voters // MEMBER_BITS + 1,), "bits of members who sold votes", integer=True),
        Part("sums", (OUT_WIDTH,), "sums of all outputs over this episode"),
    ])  # fmt: skip
