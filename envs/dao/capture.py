"""Historical captures of DAOs, played on the governor, with and without what would have helped.

    result = run_case("late_vote", defences=("guardian",), seed=3)
    result.passed, result.treasury_loss_cents, result.profit_cents

Each case is a charter (`capture_charter`, `charters/stress/*.yaml`), a story (`capture_cases`) and
the rules that answer it (`capture_play`: the governor's own functions, the calibrated electorate,
a constant-product pool and double-entry books). See docs/capture.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from daogym.envs.core.layout import Float, Int

from .capture_cases import STORIES, sell_all
from .capture_charter import CASES as CASES
from .capture_charter import DEFENCES as DEFENCES
from .capture_charter import SUPPLY, CaptureCharter
from .capture_charter import VARIANTS as VARIANTS
from .capture_charter import load_case as load_case
from .capture_lane import CASH_ATTACKER, CASH_TREASURY, START, Event, Refused
from .capture_market import MICRO, Pool, stake_cost
from .capture_metrics import gini, nakamoto
from .capture_play import Ballot, NoProposal, Play, turned_out
from .governor_layout import EXECUTED, P_ETA_S


@dataclass(frozen=True)
class CaseResult:
    """How one case ended. Steps count from the story's first; money is whole cents.

    Attributes:
        name, defences, seed: what was played.
        passed: whether votes carried the attack's last proposal (even if a veto followed).
        executed: whether its payload was executed.
        captured_steps: steps, to the horizon, in which a captured value was in force.
        treasury_loss_cents: what left the treasury, and its stolen tokens at their price before.
        nakamoto: least number of owners with more than half of the votes cast on it.
        gini: of the votes that members and the attacker could cast on it.
        turnout: votes cast, as a share of the supply when the attacker voted.
        cost_cents: purchases and fees less resale of the attacker's own stake.
        loot_cents: what the attack brought in.
        profit_cents: loot less cost: how the attacker's cash has changed.
        votes_needed: max(quorum, Against + 1), base units.
        break_even_cents: what buying and reselling that many votes costs; None where the pool
            cannot sell them in the charter's slices.
        extractable_cents: what a successful attack is worth.
        timeline: what happened.
        ballots: every vote counted, of all proposals.
        tallies: (steps, 4) Against, For, Abstain of the proposal then live, and its deadline.
        in_force: (steps,) whether a captured value was in force at the end of the step.
        pool_price, oracle_price: (steps,) millionths of a cent a base unit; the oracle's is nan in
            cases that have none.
        attack_slot: slot of the attack's last proposal; -1 where none was let through.
        quorum, deadline, eta: of that proposal; base units, steps; eta is -1 if never queued.
        opening_cents, closing_cents: books by account (`capture_play`), conserved exactly.
    """

    name: str
    defences: tuple[str, ...]
    seed: int
    passed: bool
    executed: bool
    captured_steps: int
    treasury_loss_cents: int
    nakamoto: int
    gini: float
    turnout: float
    cost_cents: int
    loot_cents: int
    profit_cents: int
    votes_needed: int
    break_even_cents: int | None
    extractable_cents: int
    timeline: tuple[Event, ...]
    ballots: tuple[Ballot, ...]
    tallies: Int
    in_force: NDArray[np.bool_]
    pool_price: Int
    oracle_price: Float
    attack_slot: int
    quorum: int
    deadline: int
    eta: int
    opening_cents: tuple[int, ...]
    closing_cents: tuple[int, ...]

    @property
    def succeeded(self) -> bool:
        """Whether the attacker got what the attack was for: a captured value, or a profit."""
        return self.executed or self.profit_cents > 0


def run_case(
    name: str | Path,
    defences: Sequence[str] = (),
    seed: int = 0,
    overrides: Sequence[str] = (),
) -> CaseResult:
    """Play a case once.

    Args:
        name: one of `CASES` or `VARIANTS`, or the path of a charter of one's own.
        defences: names of the charter's defences to switch on, none for what happened.
        seed: decides which members vote, how and when.
        overrides: changes of the charter, such as ``"attacker.stake_tokens=500000"``.

    Raises:
        ConfigError: no such case or defence, or a charter with an error.
    """
    charter = load_case(name, tuple(overrides))
    rules = charter.with_defences(tuple(defences))
    play = Play(charter, rules, seed)
    try:
        STORIES[charter.story](play)
    except NoProposal:
        sell_all(play)
    play.run_out()
    play.close_step()
    if not play.books_balance():
        raise Refused(f"{charter.name}: the books do not balance")
    return _result(play, charter, tuple(defences), seed)


def _result(
    play: Play, charter: CaptureCharter, defences: tuple[str, ...], seed: int
) -> CaseResult:
    slot = play.attack_slot
    cast: dict[int, int] = {}
    for ballot in play.ballots:
        if ballot.slot == slot:
            owner = max(ballot.voter, -1)  # the attacker's accounts are one owner
            cast[owner] = cast.get(owner, 0) + ballot.votes
    members = turned_out(charter.electorate, 1.0).weights
    proposed = slot >= 0
    quorum = play.needed(slot) if proposed else 0
    needed = max(quorum, play.last_tally[0] + 1)
    token = charter.token
    pool = Pool(
        charter.units(token.pool), token.price_microcents * token.pool // MICRO, token.pool_fee_bps
    )
    eta_s = int(play.proposals[slot, P_ETA_S]) if proposed else 0
    stolen_value = play.stolen_tokens * play.fair_before // MICRO
    return CaseResult(
        name=charter.name,
        defences=defences,
        seed=seed,
        passed=slot in play.carried,
        executed=proposed and play.state(slot) == EXECUTED,
        captured_steps=sum(play.in_force[: charter.horizon + 1]),
        treasury_loss_cents=int(play.opening[CASH_TREASURY] - play.cents[CASH_TREASURY])
        + stolen_value,
        nakamoto=nakamoto(np.array(list(cast.values()), dtype=np.int64)),
        gini=gini(np.append(members, cast.get(-1, 0))),
        turnout=sum(cast.values()) / play.supply_at_vote,
        cost_cents=play.paid + play.fees - play.resold,
        loot_cents=play.loot,
        profit_cents=int(play.cents[CASH_ATTACKER] - play.opening[CASH_ATTACKER]),
        votes_needed=needed,
        break_even_cents=stake_cost(
            pool, play.fair_before, needed, charter.attacker.slices, token.fall_bps
        ),
        extractable_cents=extractable(charter, pool, play.fair_before),
        timeline=tuple(play.timeline),
        ballots=tuple(play.ballots),
        tallies=np.array(play.tallies[: charter.horizon + 1], dtype=np.int64),
        in_force=np.array(play.in_force[: charter.horizon + 1], dtype=np.bool_),
        pool_price=np.array(play.spot[: charter.horizon + 1], dtype=np.int64),
        oracle_price=np.array(play.published[: charter.horizon + 1]),
        attack_slot=slot,
        quorum=quorum,
        deadline=play.deadline(slot) if proposed else -1,
        eta=eta_s // charter.step_s - START if eta_s > 0 else -1,
        opening_cents=tuple(play.opening.tolist()),
        closing_cents=tuple(play.cents.tolist()),
    )


def extractable(charter: CaptureCharter, pool: Pool, fair: int) -> int:
    """What the attacker can get from all that the payload takes, tokens at the fallen price."""
    prize, token = charter.prize, charter.token
    fallen = fair * (10_000 - token.fall_bps) // 10_000
    tokens = charter.units(prize.grab_tokens) * fallen // MICRO
    dumped = pool.price_to_sell(charter.units(charter.attacker.mint_tokens))
    flow = prize.grab_cents_per_step * charter.horizon
    flow = min(flow, prize.treasury_cents - prize.grab_cents - prize.lendable_cents)
    taken = prize.grab_cents * prize.loot_bps // 10_000
    return taken + prize.lendable_cents + tokens + dumped + flow


__all__ = [
    "CASES", "DEFENCES", "SUPPLY", "VARIANTS", "CaseResult", "extractable", "load_case", "run_case",
]  # fmt: skip
