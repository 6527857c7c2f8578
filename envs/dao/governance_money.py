"""What a vote does to the DAO's money: bonds, leavers' parts, an attack's loot; compiled.

The first accounts of a lane's treasury (`treasury`) have fixed places; a domain's own follow. The
governor notes what is due on the agenda, `settle_governance` moves it, so that money never changes
hands where nobody keeps books.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Int

from .counting import PPM
from .governance_columns import (
    A_BONDS_BACK,
    A_BONDS_LOST,
    A_LEAVING,
    A_LOSS_CENTS,
    A_OWN_LOST,
    A_TAKING_PPM,
    C_FUNDS_CENTS,
    OPERATOR,
)
from .governor_layout import G_STATIC_SUPPLY, P_NOTE, P_PROPOSER
from .integers import multiply_divide
from .treasury import mint, transfer

ACCOUNT_TREASURY, ACCOUNT_OPERATOR, ACCOUNT_ESCROW, ACCOUNT_GONE = 0, 1, 2, 3
"""The treasury, the operator's account, bonds in escrow, and what leavers and attackers got."""
GOVERNANCE_ACCOUNTS = 4
PURPOSE_OPENING = 1
"""Purpose of the mint of what everybody has at the start."""


@kernel_function
def begin_accounts(charter_ints: Int, accounts: Int, totals: Int, treasury_cents: int) -> None:
    """Books at the start of an episode: the treasury's money and the operator's funds."""
    accounts[:] = 0
    totals[:] = 0
    mint(accounts, totals, PURPOSE_OPENING, ACCOUNT_TREASURY, treasury_cents)
    mint(accounts, totals, PURPOSE_OPENING, ACCOUNT_OPERATOR, charter_ints[C_FUNDS_CENTS])


@kernel_function
def settle_governance(settings: Int, agenda: Int, accounts: Int) -> tuple[int, int, int]:
    """Move what fell due since the last call: cents of bonds (back, lost), and the treasury's loss.

    A step with nothing due reads four numbers.
    """
    back, lost, taken = 0, 0, 0
    if agenda[A_BONDS_BACK] > 0:
        back = agenda[A_BONDS_BACK]
        transfer(accounts, ACCOUNT_ESCROW, ACCOUNT_OPERATOR, back)
        agenda[A_BONDS_BACK] = 0
    if agenda[A_BONDS_LOST] > 0:
        lost = agenda[A_BONDS_LOST]
        transfer(accounts, ACCOUNT_ESCROW, ACCOUNT_TREASURY, lost)
        agenda[A_BONDS_LOST] = 0
    if agenda[A_LEAVING] > 0:
        # Moloch v2, fairShare: floor(balance x burned / outstanding before).
        leaving = agenda[A_LEAVING]
        before = settings[G_STATIC_SUPPLY] + leaving
        taken += multiply_divide(accounts[ACCOUNT_TREASURY], leaving, before)[0]
        agenda[A_LEAVING] = 0
    if agenda[A_TAKING_PPM] > 0:
        left = accounts[ACCOUNT_TREASURY] - taken
        taken += multiply_divide(left, agenda[A_TAKING_PPM], PPM)[0]
        agenda[A_TAKING_PPM] = 0
    if taken > 0:
        transfer(accounts, ACCOUNT_TREASURY, ACCOUNT_GONE, taken)
        agenda[A_LOSS_CENTS] += taken
    return back, lost, taken


@kernel_function
def forfeit_open_bonds(proposals: Int, agenda: Int, accounts: Int) -> int:
    """The end of an episode: bonds of proposals that have not ended are lost; cents.

    Without it, a proposal whose defeat falls behind the end would cost nothing.
    """
    lost = 0
    for slot in range(proposals.shape[0]):
        if proposals[slot, P_PROPOSER] == OPERATOR and proposals[slot, P_NOTE] > 1:
            lost += proposals[slot, P_NOTE] - 1
            proposals[slot, P_NOTE] = 1
            agenda[A_OWN_LOST] += 1
    transfer(accounts, ACCOUNT_ESCROW, ACCOUNT_TREASURY, lost)
    return lost
