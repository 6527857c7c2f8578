"""What a voted charter keeps in a lane's state: the parts, and where the kernels find them.

A domain puts `lane_parts` as one piece into its state layout and keeps one constant, the place of
the first of them (``S_GOVERNED``) among its offsets; `lane.py` reads ``pi[at + D_AGENDA]``.
"""

from __future__ import annotations

from collections.abc import Mapping

from daogym.envs.core.compiled import inlined_function
from daogym.envs.core.layout import Int, Part

from .governance_columns import A_HEADER
from .governance_money import GOVERNANCE_ACCOUNTS, PURPOSE_OPENING
from .operator_proposals import OPERATOR_WIDTH
from .proposal_view import PROPOSAL_ROWS

LANE_PARTS = (
    "governed", "agenda", "request", "operator", "accounts", "books", "live_proposals",
    "seen_proposals", "governor", "proposals", "votes", "ballot_clock", "ballots", "adversary",
)  # fmt: skip
(
    D_GOVERNED, D_AGENDA, D_REQUEST, D_OPERATOR, D_ACCOUNTS, D_BOOKS, D_LIVE_PROPOSALS,
    D_SEEN_PROPOSALS, D_GOVERNOR, D_PROPOSALS, D_VOTES, D_BALLOT_CLOCK, D_BALLOTS, D_ADVERSARY,
) = range(14)  # fmt: skip
N_LANE_PARTS = 14
VECTORS, FACTS = 5, 3
"""Arrays of a charter and numbers of its facts; with an adversary its four vectors come behind."""
FACT_PARAMETERS, FACT_OPERATOR_VOTES = 1, 2
"""Places in `lane.charter_facts`, behind the charter's ints."""
BOOKS = (PURPOSE_OPENING + 1, 2)
"""Shape of a lane's totals of minted and burned cents."""


@inlined_function
def row(lane: int, pi: Int, si: Int, part: int, width: int) -> Int:
    first = pi[part]
    return si[lane, first : first + width]


def lane_parts(n_governed: int, shapes: Mapping[str, tuple[int, ...]] | None) -> list[Part]:
    """Parts of a lane's state that hold the charter, in the order of `LANE_PARTS`.

    What every step reads comes first, so that it shares pages with the rest of the state.

    Args:
        n_governed: values that the domain's rules read; those that are voted on come first.
        shapes: `Governance.state_sizes`; None under a static charter, where all parts but the
            governed values are empty.

    Raises:
        ValueError: fewer values than the charter governs.
    """
    voted = shapes is not None
    parts = shapes or dict.fromkeys(
        ("governor", "proposals", "votes", "ballot_clock", "ballots", "agenda", "request"), (0,)
    )
    parameters = parts["agenda"][0] - A_HEADER if voted else 0
    if parameters > n_governed:
        raise ValueError(
            f"n_governed: at least the charter's {parameters} expected, got {n_governed}"
        )

    def integer(name: str, shape: tuple[int, ...], doc: str) -> Part:
        return Part(name, shape, doc, integer=True)

    def sized(*shape: int) -> tuple[int, ...]:
        return shape if voted else (0,)

    return [
        Part("governed", (n_governed,), "charter parameters in force"),
        integer("agenda", parts["agenda"], "the governor's clock and changes so far"),
        Part("request", parts["request"],
             "what is asked of the rules in this step: the operator's proposal (which, how far, "
             "whether), a steward's changes, an adversary's acts"),
        integer("operator", sized(OPERATOR_WIDTH),
                "step of the operator's last proposal; answers to its requests or a steward's"),
        integer("accounts", parts.get("accounts", sized(GOVERNANCE_ACCOUNTS)),
                "cents of treasury, operator, escrow, and those who left or took; under mode "
                "attacked of treasury, adversary, pool, others, lender and vault"),
        integer("books", sized(*BOOKS), "cents minted and burned, all and by purpose"),
        Part("live_proposals", sized(PROPOSAL_ROWS, parameters),
             "live proposal on each parameter, see dao/proposal_view.py"),
        Part("seen_proposals", sized(PROPOSAL_ROWS, parameters),
             "the same as observed, in [-1, 1], but for the step at which it acts"),
        integer("governor", parts["governor"], "settings of the governor"),
        integer("proposals", parts["proposals"], "the governor's proposals"),
        integer("votes", parts["votes"], "accounts' tokens and votes"),
        integer("ballot_clock", parts["ballot_clock"], "when members' next ballots are due"),
        integer("ballots", parts["ballots"], "members' ballots on each proposal"),
        integer("adversary", parts.get("adversary", (0,)),
                "the adversary's account and the ballots on its proposal, see adversary_layout.py"),
    ]  # fmt: skip


_names = tuple(part.name for part in lane_parts(1, None))
assert _names == LANE_PARTS and len(_names) == N_LANE_PARTS
