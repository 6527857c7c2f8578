"""What the adversary sees at a decision: its means, the market, its proposal and the defences."""

from __future__ import annotations

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.fields import Field, FieldSet
from daogym.envs.core.layout import Float, Int

from . import adversary_layout as at
from .adversary_acts import free_weight, loan_is_possible
from .adversary_moves import live_state
from .adversary_world import World, own_tokens
from .capture_charter import SUPPLY, CaptureCharter
from .capture_lane import (
    ALLY,
    ATTACKER,
    CASH_ATTACKER,
    CASH_POOL,
    CASH_TREASURY,
    EXCHANGE,
    POOL,
)
from .capture_market import MICRO
from .governor_layout import (
    ACTIVE,
    P_ABSTAIN,
    P_AGAINST,
    P_DURATION,
    P_ETA_S,
    P_FOR,
    P_SNAPSHOT,
    PENDING,
)
from .governor_state import deadline_of, needed_votes
from .votes import V_BALANCE, V_DELEGATE

TALLY = 0.25
"""Shares of the supply beyond this one are shown as this."""
MARGIN = 0.1
STATES = ("none", "pending", "active", "passed", "defeated", "vetoed", "captured")
S_NONE, S_PENDING, S_ACTIVE, S_PASSED, S_DEFEATED, S_VETOED, S_CAPTURED = range(len(STATES))
DEFENCES = ("snapshot", "no emergency commit", "timelock", "guardian", "extension", "cooldown")


def observation_fields(
    charter: CaptureCharter, operator: bool, treasury: bool = False
) -> FieldSet:  # fmt: skip
    """Names, units and bounds; what lies beyond a bound is shown as the bound.

    The treasury follows where it is asked for, with an `operator` its means, too.
    """
    money = [
        Field(
            "treasury", "1", 0.0, 1.0, doc="money in the treasury, share of what it had at first"
        ),
    ]
    means_of_operator = [
        Field("vault", "1", 0.0, 1.0, doc="money in the vault, the same"),
        Field("members_called", "1", 0.0, 1.0, doc="1 where members were called to the live vote"),
    ]
    token, cash = charter.token, charter.attacker.cash_cents
    means = cash * MICRO // token.price_microcents + token.exchange
    stake = min(max(1.2 * means / token.supply, 0.01), 1.0)
    return FieldSet([
        Field("time_left", "1", 0.0, 1.0, doc="share of the case's account still to come"),
        Field("cash", "1", 0.0, 2.0, doc="cash, as a share of what there was at first"),
        Field("stake", "1", 0.0, stake, doc="own tokens, as a share of the supply"),
        Field("second_account", "1", 0.0, 1.0, doc="share of them on the second account"),
        Field("price", "1", 0.0, 2.0, doc="the pool's price / the fair price"),
        Field("fair_price", "1", 0.0, 1.0, doc="the fair price / what it was at first"),
        Field("pool_depth", "1", 0.0, 2.0, doc="tokens in the pool / what it held at first"),
        Field("proposal", "1", 0.0, 1.0, (len(STATES),),
              "1 for how the latest proposal stands: " + ", ".join(STATES)),
        Field("tally", "1", 0.0, TALLY, (3,), "Against, For, Abstain, shares of the supply"),
        Field("quorum", "1", 0.0, 1.0, doc="votes that For and Abstain must reach, as a share"),
        Field("margin", "1", -MARGIN, MARGIN,
              doc="For and own votes to come, less the larger of quorum and Against"),
        Field("own_votes", "1", 0.0, stake, doc="own votes not cast yet, share of the supply"),
        Field("steps_to_open", "1", 0.0, 1.0, doc="until voting opens, in voting periods"),
        Field("steps_to_close", "1", 0.0, 1.0, doc="until it closes, in voting periods"),
        Field("last_step", "1", 0.0, 1.0, doc="1 in the last step of voting"),
        Field("timelock_left", "1", 0.0, 1.0, doc="share of the timelock still to wait"),
        Field("proposals_made", "1", 0.0, 1.0, doc="share of those that an episode has"),
        Field("loan", "1", 0.0, 1.0, doc="1 where a flash loan could decide, or where the "
              "exchange's deposits are lent"),
        Field("defence", "1", 0.0, 1.0, (len(DEFENCES),), "1 for: " + ", ".join(DEFENCES)),
        *(money if operator or treasury else []),
        *(means_of_operator if operator else []),
    ])  # fmt: skip


@kernel_function
def _state_shown(w: World) -> int:
    outcome = w.now[at.S_OUTCOME]
    if outcome == at.LIVE:
        state = live_state(w)
        if state == PENDING:
            return S_PENDING
        return S_ACTIVE if state == ACTIVE else S_PASSED
    if outcome == at.NOTHING:
        return S_NONE
    if outcome == at.DEFEAT:
        return S_DEFEATED
    return S_VETOED if outcome == at.VETO else S_CAPTURED


@kernel_function
def _observe_proposal(w: World, o: Float, place: int) -> int:
    """Write what is known of the live proposal from `place` on; the place after it."""
    now, pi = w.now, w.pi
    shown = _state_shown(w)
    o[place : place + len(STATES)] = 0.0
    o[place + shown] = 1.0
    place += len(STATES)
    o[place : place + 10] = 0.0
    if now[at.S_SLOT] >= 0:
        slot, step = now[at.S_SLOT], now[at.S_STEP]
        snapshot, period = w.proposals[slot, P_SNAPSHOT], w.proposals[slot, P_DURATION]
        against, in_favour = w.proposals[slot, P_AGAINST], w.proposals[slot, P_FOR]
        o[place], o[place + 1] = against / SUPPLY, in_favour / SUPPLY
        o[place + 2] = w.proposals[slot, P_ABSTAIN] / SUPPLY
        if shown == S_PENDING:
            o[place + 6] = (snapshot + 1 - step) / period
            o[place + 7] = 1.0
        if shown == S_ACTIVE:
            needed = needed_votes(w.settings, w.proposals, w.tokens, step, slot)
            free = free_weight(w, ATTACKER) + free_weight(w, ALLY)
            to_beat = max(needed, against + 1)
            o[place + 4] = (in_favour + free - to_beat) / SUPPLY
            o[place + 5] = free / SUPPLY
            o[place + 7] = (deadline_of(w.proposals, slot) - step) / max(period, 1)
            o[place + 8] = 1.0 if deadline_of(w.proposals, slot) == step else 0.0
        if shown == S_PASSED and pi[at.I_TIMELOCK_S] > 0:
            left = w.proposals[slot, P_ETA_S] - now[at.S_TIME_S]
            o[place + 9] = left / pi[at.I_TIMELOCK_S]
    o[place + 3] = pi[at.I_QUORUM_PERCENT] / 100.0
    return place + 10


@kernel_function
def observe(w: World, opening: Int, holdings: Int, low: Float, scale: Float, o: Float) -> None:
    """Write the observation of a lane, normalised to [-1, 1]."""
    now, pi = w.now, w.pi
    own = own_tokens(w)
    tokens, cents = w.tokens[POOL, V_BALANCE], w.cents[CASH_POOL]
    o[0] = (now[at.S_END] - now[at.S_STEP]) / pi[at.I_HORIZON]
    o[1] = w.cents[CASH_ATTACKER] / max(opening[CASH_ATTACKER], 1)
    o[2] = own / SUPPLY
    o[3] = w.tokens[ALLY, V_BALANCE] / own if own > 0 else 0.0
    o[4] = float(cents) * MICRO / max(tokens, 1) / max(now[at.S_FAIR], 1)
    o[5] = now[at.S_FAIR] / pi[at.I_FAIR]
    o[6] = tokens / max(holdings[POOL], 1)
    place = _observe_proposal(w, o, 7)
    o[place] = now[at.S_MADE] / pi[at.I_MOST_PROPOSALS]
    lent = pi[at.I_EXCHANGE_UNITS] > 0 and w.tokens[EXCHANGE, V_DELEGATE] == ALLY
    lent = lent or (pi[at.I_FLASH_UNITS] > 0 and loan_is_possible(w))
    o[place + 1] = 1.0 if lent else 0.0
    o[place + 2] = 1.0 - pi[at.I_LIVE_VOTES]
    o[place + 3] = 1.0 if pi[at.I_EMERGENCY_PPM] == 0 else 0.0
    o[place + 4] = 1.0 if pi[at.I_TIMELOCK_S] > 0 else 0.0
    o[place + 5] = 1.0 if pi[at.I_REACTION_S] >= 0 else 0.0
    o[place + 6] = 1.0 if pi[at.I_EXTENSION] > 0 else 0.0
    o[place + 7] = 1.0 if pi[at.I_COOLDOWN] > 0 else 0.0
    place += 8
    treasury = max(opening[CASH_TREASURY], 1)
    if place < len(low):
        o[place] = w.cents[CASH_TREASURY] / treasury
    if place + 1 < len(low):
        o[place + 1] = w.cents[at.CASH_VAULT] / treasury
        o[place + 2] = 1.0 if now[at.S_SLOT] >= 0 and now[at.S_CALLED] == 1 else 0.0
    for i in range(len(low)):
        o[i] = min(max((o[i] - low[i]) * scale[i] - 1.0, -1.0), 1.0)
