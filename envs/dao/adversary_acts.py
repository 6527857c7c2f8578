"""What the adversary does at a decision, compiled: an action's six numbers as acts on its lane.

Every act that the charter, the governor or the means at hand do not allow is left out, as is every
number near 0: the zero action does nothing.
"""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float
from daogym.envs.core.random import as_uint64, uniform

from . import adversary_layout as at
from . import governor, votes
from .adversary_moves import call_members, has_sold, live_state, propose, push
from .adversary_world import World, burn, buy, hand_over, mint, own_tokens, pay, sell
from .ballots import (
    BALLOT_COUNT,
    BALLOT_NEXT,
    BALLOT_READ,
    BALLOT_START,
    NEVER,
    event_offset,
    event_voter,
)
from .capture_kernels import LIVE_VOTES, SNAPSHOT_VOTES, cast_votes, emergency_commit, vote_weight
from .capture_lane import (
    ALLY,
    ATTACKER,
    CASH_ATTACKER,
    CASH_LENDER,
    CASH_OTHERS,
    CASH_TREASURY,
    EXCHANGE,
    POOL,
)
from .capture_market import BPS, MICRO
from .counting import FOR
from .electorate_layout import I_WEIGHTS
from .governor_layout import ACTIVE, P_FOR, P_SNAPSHOT, P_VOTED
from .governor_state import deadline_of
from .integers import multiply_divide
from .results import DONE
from .votes import NOBODY, V_BALANCE, V_DELEGATE

STREAM_SALE = 1104
"""Which members would sell their vote."""
SLICE = 0.1
"""Share of the pool's tokens that full trading moves in one step; half of it moves a quarter."""
YES, BOTH = 0.1, 0.5
"""From here on a number is a yes; and a yes of both accounts, for votes."""


@kernel_function
def act(w: World, action: Float) -> None:
    """All acts of a decision but trading, which goes on through its steps."""
    _split(w, action[at.A_SPLIT])
    if action[at.A_PROPOSE] >= YES:
        propose(w)
    _borrow(w, action[at.A_BORROW])
    if w.now[at.S_SLOT] >= 0 and live_state(w) == ACTIVE:
        if action[at.A_VOTE] >= YES:
            _vote_with(w, ATTACKER)
        if action[at.A_VOTE] >= BOTH:
            _vote_with(w, ALLY)
        if action[at.A_BRIBE] > 0.0 and w.pi[at.I_BRIBE_BPS] > 0:
            _bribe(w, int(action[at.A_BRIBE] * w.cents[CASH_ATTACKER]))


@kernel_function
def trade(w: World, rate: float) -> bool:
    """One step's slice: buy (above 0) or sell; whether anything was traded."""
    wanted = int(rate * rate * SLICE * w.tokens[POOL, V_BALANCE])
    if rate < 0.0:
        wanted = min(wanted, own_tokens(w))
    if wanted <= 0:
        return False
    if rate > 0.0:
        return buy(w, wanted)
    sell(w, wanted)
    return True


@kernel_function
def _split(w: World, share: float) -> None:
    """Move a share of one account's tokens to the other: above 0 to the second, below 0 back."""
    source, target = (ATTACKER, ALLY) if share > 0.0 else (ALLY, ATTACKER)
    amount = int(abs(share) * w.tokens[source, V_BALANCE])
    if amount > 0:
        hand_over(w, source, target, amount)


@kernel_function
def free_weight(w: World, account: int) -> int:
    """Votes that an account has not cast yet on the live proposal, whose snapshot is past."""
    slot = w.now[at.S_SLOT]
    if (w.proposals[slot, P_VOTED] >> account) & 1 == 1:
        return 0
    source = LIVE_VOTES if w.pi[at.I_LIVE_VOTES] == 1 else SNAPSHOT_VOTES
    weight = vote_weight(w.proposals, w.tokens, w.now[at.S_STEP], slot, account, source,
                         w.pi[at.I_COOLDOWN])  # fmt: skip
    return max(weight, 0)


@kernel_function
def _vote_with(w: World, account: int) -> None:
    """An account votes For with all that it has; nothing where it has none."""
    if free_weight(w, account) == 0:
        return
    slot = w.now[at.S_SLOT]
    source = LIVE_VOTES if w.pi[at.I_LIVE_VOTES] == 1 else SNAPSHOT_VOTES
    before = w.proposals[slot, P_FOR]
    cast_votes(w.settings, w.proposals, w.tokens, w.now[at.S_STEP], slot, account, FOR, source,
               w.pi[at.I_COOLDOWN])  # fmt: skip
    w.now[at.S_CAST] += w.proposals[slot, P_FOR] - before


@kernel_function
def _borrow(w: World, wish: float) -> None:
    if w.pi[at.I_EXCHANGE_UNITS] > 0 and abs(wish) >= YES:
        pins = w.proposals[:, P_SNAPSHOT]
        target = ALLY if wish > 0.0 else NOBODY
        if w.tokens[EXCHANGE, V_DELEGATE] != target:
            code = votes.delegate(w.tokens, EXCHANGE, target, w.now[at.S_STEP], pins)
            w.now[at.S_REFUSED] += 0 if code == DONE else 1
    if w.pi[at.I_FLASH_UNITS] > 0 and wish >= YES and loan_is_possible(w):
        _flash_loan(w)


@kernel_function
def loan_is_possible(w: World) -> bool:
    """Whether a flash loan's votes could end the vote now: an emergency commit is open."""
    if w.now[at.S_SLOT] < 0 or w.pi[at.I_EMERGENCY_PPM] == 0 or live_state(w) != ACTIVE:
        return False
    since = w.now[at.S_STEP] - w.proposals[w.now[at.S_SLOT], P_SNAPSHOT]
    voted = w.proposals[w.now[at.S_SLOT], P_VOTED]
    fresh = (voted >> ATTACKER) & 1 == 0 or (voted >> ALLY) & 1 == 0
    paid = w.cents[CASH_ATTACKER] >= w.pi[at.I_FLASH_FEE_CENTS]
    return bool(since >= max(w.pi[at.I_EMERGENCY_WAIT], 1) and fresh and paid)


@kernel_function
def _flash_loan(w: World) -> None:
    """One transaction: deposit the loan, vote, ask for the emergency commit, execute, repay.

    It is reverted as a whole where the commit fails. The account that has not voted yet votes.
    """
    slot, pi, now = w.now[at.S_SLOT], w.pi, w.now
    row, cast = w.proposals[slot].copy(), now[at.S_CAST]
    units, cents = pi[at.I_FLASH_UNITS], pi[at.I_FLASH_CENTS]
    account = ATTACKER if (row[P_VOTED] >> ATTACKER) & 1 == 0 else ALLY
    pay(w, CASH_LENDER, CASH_ATTACKER, cents)
    mint(w, units)
    if account == ALLY:
        hand_over(w, ATTACKER, ALLY, units)
    _vote_with(w, account)
    source = LIVE_VOTES if pi[at.I_LIVE_VOTES] == 1 else SNAPSHOT_VOTES
    code = emergency_commit(w.settings, w.proposals, w.tokens, now[at.S_STEP], slot,
                            pi[at.I_EMERGENCY_PPM], source)  # fmt: skip
    if code == DONE:
        push(w)
    else:
        w.proposals[slot] = row
        now[at.S_CAST] = cast
    if account == ALLY:
        hand_over(w, ALLY, ATTACKER, units)
    burn(w, units)
    pay(w, CASH_ATTACKER, CASH_LENDER, cents)
    if code == DONE:
        pay(w, CASH_ATTACKER, CASH_LENDER, pi[at.I_FLASH_FEE_CENTS])
        now[at.S_FEES] += pi[at.I_FLASH_FEE_CENTS]


# --- the operator ---------------------------------------------------------------------------------


@kernel_function
def defend(w: World, action: Float) -> None:
    """The operator moves money between treasury and vault, and calls the members to vote."""
    cents, now = w.cents, w.now
    both = cents[CASH_TREASURY] + cents[at.CASH_VAULT]
    most, _ = multiply_divide(both, w.pi[at.I_VAULT_PPM], MICRO)
    wanted = int(max(action[at.A_SHELTER], 0.0) * most) - cents[at.CASH_VAULT]
    if wanted > 0:
        pay(w, CASH_TREASURY, at.CASH_VAULT, min(wanted, cents[CASH_TREASURY]))
    elif wanted < 0:
        pay(w, at.CASH_VAULT, CASH_TREASURY, -wanted)
    price = w.pi[at.I_CALL_CENTS]
    if action[at.A_CALL] < YES or price == 0 or now[at.S_SLOT] < 0:
        return
    if now[at.S_CALLED] == 1 or live_state(w) != ACTIVE or cents[CASH_TREASURY] < price:
        return
    left = deadline_of(w.proposals, now[at.S_SLOT]) - now[at.S_STEP]
    if left > 0:
        pay(w, CASH_TREASURY, CASH_OTHERS, price)
        now[at.S_OPERATOR_CENTS] += price
        now[at.S_CALLS] += 1
        call_members(w, left)


# --- bribes ---------------------------------------------------------------------------------------


@kernel_function
def _bribe(w: World, budget: int) -> None:
    """Buy votes For of members who have not voted and would sell, those who seldom come first."""
    slot, pi = w.now[at.S_SLOT], w.pi
    key = as_uint64(w.now[at.S_EPISODE_KEY])
    price, _ = multiply_divide(pi[at.I_FAIR], pi[at.I_BRIBE_BPS], BPS)
    weights = w.ints[0, I_WEIGHTS]
    for voter in range(pi[at.I_VOTERS] - 1, -1, -1):
        weight = w.ints[0, weights + voter]
        cost, rest = multiply_divide(weight, price, MICRO)
        cost += 1 if rest > 0 else 0
        if cost > budget or has_sold(w, voter):
            continue
        if uniform(key, STREAM_SALE, 0, voter) * 1e6 >= pi[at.I_BRIBABLE_PPM]:
            continue
        if not _withdraw_ballot(w, voter):
            continue
        code = governor.count_weight(w.settings, w.proposals, w.tokens, w.now[at.S_STEP], slot,
                                     FOR, weight)  # fmt: skip
        w.now[at.S_REFUSED] += 0 if code == DONE else 1
        pay(w, CASH_ATTACKER, CASH_OTHERS, cost)
        w.sold[voter // at.MEMBER_BITS] |= 1 << (voter % at.MEMBER_BITS)
        w.now[at.S_BRIBES] += cost
        w.now[at.S_BRIBED] += weight
        budget -= cost


@kernel_function
def _withdraw_ballot(w: World, voter: int) -> bool:
    """Take a member's ballot that is not counted yet away; False where it was counted."""
    for row in range(at.OWN, 1 + w.now[at.S_CALLED]):
        count, read = w.clock[BALLOT_COUNT, row], w.clock[BALLOT_READ, row]
        for i in range(count):
            if event_voter(w.events[row, i]) != voter:
                continue
            if i < read:
                return False
            for j in range(i, count - 1):
                w.events[row, j] = w.events[row, j + 1]
            w.clock[BALLOT_COUNT, row] = count - 1
            first = w.clock[BALLOT_START, row] + event_offset(w.events[row, read])
            w.clock[BALLOT_NEXT, row] = first if read < count - 1 else NEVER
            break
    return True


@kernel_function
def held(action: Float, target: Float) -> bool:
    """An action's numbers held in [-1, 1], one that is none as 0; whether any was outside."""
    outside = False
    target[:] = 0.0
    for i in range(len(action)):
        value = float(action[i])
        target[i] = min(max(value, -1.0), 1.0) if value == value else 0.0
        outside = outside or target[i] != value
    return outside
