"""Who holds votes and what they want: settings of an electorate, and its shared parameter arrays.

An electorate is drawn once from its own seed and shared by all lanes of a scenario:

1. **Holdings**: rank r of n holds a share ~ r**-s of the supply, in whole base units.
2. **Silence**: treasuries, exchanges and contracts never vote. Everybody who holds more than the
   largest delegate's votes is silent, then others at random until the silent share is reached.
3. **Delegation**: delegates are small holders drawn at random. Delegating holders, largest first,
   join the delegate whose votes are furthest below its target, where they fit.
4. **Participation**: delegates by rank, then three tiers of independent voters: regular, occasional
   and (the largest of them) seldom.
5. **Ideal points** over the governed parameters, each normalised to [0, 1] between its bounds.

Votes are int64 base units. The supply stays below 2**31, so that a member's votes fit the 31 bits
of a ballot event and the product of any two weights stays below 2**62.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.compiled import compile_lock, kernel_entry
from daogym.envs.core.elementwise import exp_array, log_array
from daogym.envs.core.layout import Float, Int
from daogym.envs.core.random import normal, root_keys, uniform
from daogym.envs.core.strict import StrictModel

from .electorate_layout import pack_electorate

LARGEST_SUPPLY = 2**31 - 1
LARGEST_HOLDERS = 16_000
"""A ballot event has 14 bits for its member; the last number means "several"."""

# Streams of the electorate's own key: they never meet those of an episode's key.
_DRAW_SILENT, _DRAW_DELEGATES, _DRAW_DELEGATING, _DRAW_REGULARS = 1, 2, 3, 4
_DRAW_CAMP, _DRAW_IDEAL = 5, 6

_LEAST_GATHERED = 0.9


class TurnoutSettings(StrictModel):
    """How likely members are to vote. Defaults are fitted to Aave, see docs/electorate.md."""

    first_delegate: float = Setting(0.71, gt=0.0, le=1.0)
    """Participation of the delegate with the most votes."""
    last_delegate: float = Setting(0.56, gt=0.0, le=1.0)
    """Participation of the delegate with the fewest votes; linear by rank between the two."""
    regular_voters: int = Setting(40, ge=0)
    """Independent voters who come often, drawn from the smaller half of the independents."""
    regular: float = Setting(0.375, ge=0.0, le=1.0)
    """Participation of a regular voter."""
    seldom_voters: int = Setting(270, ge=0)
    """How many of the largest independents come less often than the others."""
    seldom: float = Setting(0.003, ge=0.0, le=1.0)
    """Participation of these."""
    occasional: float = Setting(0.023, ge=0.0, le=1.0)
    """Median participation of all other independents."""
    interest: float = Setting(1.3, ge=0.0, le=3.0)
    """Spread of the interest in proposals: occasional voters come exp(interest z) times more."""
    factor: float = Setting(1.0, ge=0.0, le=10.0)
    """Multiplies every participation (held at 1); below 1 is voter apathy."""


class OpinionSettings(StrictModel):
    """Ideal points and how votes follow from them; distances are shares of a parameter's range."""

    spread: float = Setting(0.03, ge=0.0, le=1.0)
    """Standard deviation of a member's ideal around the centre, or around the camp's."""
    polarisation: float = Setting(0.0, ge=0.0, le=0.5)
    """Distance of two camps' ideals from the centre, one above and one below; 0 means no camps."""
    circumstances: float = Setting(0.2, ge=0.0, le=1.0)
    """Standard deviation of what events add to everybody's ideal at one time."""
    circumstances_steps: int = Setting(288, ge=1)
    """Steps between two independent values of the circumstances, linear in between."""
    vote_noise: float = Setting(0.006, ge=0.0, le=1.0)
    """Standard deviation of a member's error about what a proposal would bring."""
    abstain_band: float = Setting(0.002, ge=0.0, le=1.0)
    """Who sees less gain or loss than this abstains."""


class TimingSettings(StrictModel):
    """When within the voting period members vote: an early burst, a level middle, a late rush."""

    early_share: float = Setting(0.5, ge=0.0, le=1.0)
    """Share of voters in the burst, whose density falls from the opening on."""
    early_width: float = Setting(0.35, gt=0.0, le=1.0)
    """How long the burst lasts, as a share of the period."""
    late_share: float = Setting(0.25, ge=0.0, le=1.0)
    """Share of voters in the rush, whose density rises to the close."""
    late_width: float = Setting(0.2, gt=0.0, le=1.0)
    """How long before the close the rush begins, as a share of the period."""
    count_steps: int = Setting(0, ge=0)
    """Steps between two counts: ballots wait for the next multiple of it, or for the close; 0 is an
    hour under a charter and 1 elsewhere."""

    @model_validator(mode="after")
    def _shares(self) -> TimingSettings:
        if self.early_share + self.late_share > 1.0:
            raise ValueError(
                f"early_share + late_share may not exceed 1, got "
                f"{self.early_share} + {self.late_share}"
            )
        return self


class ArrivalSettings(StrictModel):
    """Proposals that members make on their own."""

    per_step: float = Setting(1.0 / 96.0, ge=0.0, le=1.0)
    """Mean number of proposals a step (Poisson)."""
    temperature_check: float = Setting(0.99, ge=0.0, le=1.0)
    """Share of the delegates' expected votes that must be For in the forum, or no vote is held."""
    attempts: int = Setting(8, ge=1, le=64)
    """How many drafts (proposer, parameter, value) are tried until one passes the check."""
    smallest_change: float = Setting(0.01, gt=0.0, le=1.0)
    """Smaller moves are not proposed; share of the parameter's range."""


class ElectorateSettings(StrictModel):
    """Everything that decides an electorate, but the number of governed parameters."""

    seed: int = Setting(0, ge=0)
    """Seed of holdings' roles and ideal points; the same for all lanes of a scenario."""
    holders: int = Setting(1000, ge=1000, le=LARGEST_HOLDERS)
    """How many hold tokens; fewer than 1,000 cannot have the measured turnout and concentration."""
    supply: int = Setting(10**9, ge=10**8, le=LARGEST_SUPPLY)
    """All votes there are, in base units."""
    zipf_exponent: float = Setting(1.37, ge=1.0, le=1.8)
    """Exponent s of holdings ~ rank**-s; 1.04 (OP) to 1.76 (GRASS) on real lists, Aave 1.37."""
    silent_supply: float = Setting(0.75, ge=0.0, lt=1.0)
    """Share of the supply that never votes; more where single holders are too large to vote."""
    delegates: int = Setting(14, ge=1, le=200)
    """How many delegates vote with others' tokens."""
    delegate_supply: float = Setting(0.06, gt=0.0, le=1.0)
    """Share of the supply that the delegates vote with, their own included."""
    delegate_exponent: float = Setting(2.55, ge=0.0, le=4.0)
    """Delegate k aims at votes ~ (k + delegate_offset)**-delegate_exponent."""
    delegate_offset: float = Setting(3.6, ge=0.0, le=20.0)
    """Flattens the top of the delegates' ranking."""
    delegating: float = Setting(0.4, ge=0.0, le=1.0)
    """Share of other holders (by number) who would delegate."""
    turnout: TurnoutSettings = Setting(default_factory=TurnoutSettings)
    opinions: OpinionSettings = Setting(default_factory=OpinionSettings)
    timing: TimingSettings = Setting(default_factory=TimingSettings)
    arrivals: ArrivalSettings = Setting(default_factory=ArrivalSettings)

    @model_validator(mode="after")
    def _room(self) -> ElectorateSettings:
        if self.silent_supply + self.delegate_supply > 1.0:
            raise ValueError(
                f"silent_supply + delegate_supply may not exceed 1, got "
                f"{self.silent_supply} + {self.delegate_supply}"
            )
        return self


NAMED: Mapping[str, ElectorateSettings] = MappingProxyType(
    {
        "calibrated": ElectorateSettings(),
        "contested": ElectorateSettings(
            turnout=TurnoutSettings(factor=1.2),
            opinions=OpinionSettings(
                spread=0.15, polarisation=0.2, circumstances=0.15, vote_noise=0.02
            ),
            arrivals=ArrivalSettings(temperature_check=0.0),
        ),
    }
)
"""`calibrated` is Aave's electorate; `contested` has two camps and votes without a forum first."""


@dataclass(frozen=True)
class Electorate:
    """One drawn electorate. Voters are numbered delegates first, then tier by tier.

    Attributes:
        holdings: (holders,) base units by rank, falling; they sum to the supply.
        silent: (holders,) who never votes.
        delegate: (holders,) number of the voter who votes with these tokens (a delegate's own
            included), -1 for the silent.
        holder: (voters,) rank of each voter among the holders.
        weights: (voters,) votes of each voter, own and delegated, base units.
        participation: (voters,) probability to vote on a proposal of median interest.
        camp: (voters,) -1 or 1, 0 without camps.
        ideals: (parameters, voters) ideal points as shares of each parameter's range, before
            circumstances; they may lie outside [0, 1], then the bound is wanted.
        ints, floats: all that kernels need, packed (see electorate_layout.py).
    """

    holdings: Int
    silent: NDArray[np.bool_]
    delegate: Int
    holder: Int
    weights: Int
    participation: Float
    camp: Int
    ideals: Float
    ints: Int
    floats: Float


@kernel_entry()
def _draw(key: np.uint64, stream: int, row: int, normals: bool, out: Float) -> None:
    """Fill `out` with uniforms or normals of one stream and row."""
    for i in range(len(out)):
        out[i] = normal(key, stream, row, i) if normals else uniform(key, stream, row, i)


def _draws(key: np.uint64, stream: int, n: int, row: int = 0, normals: bool = False) -> Float:
    out = np.empty(n)
    with compile_lock(_draw):
        _draw(key, stream, row, normals, out)
    return out


def zipf_holdings(holders: int, supply: int, exponent: float) -> Int:
    """Holdings (holders,) ~ rank**-exponent in whole base units that sum to `supply` exactly.

    Shares are rounded down; what is left goes one unit each to the largest remainders.
    """
    raw = exp_array(-exponent * log_array(np.arange(1.0, holders + 1.0)))
    exact = raw * (supply / math.fsum(raw))
    whole = np.floor(exact)
    holdings = whole.astype(np.int64)
    order = np.argsort(whole - exact, kind="stable")
    left = supply - int(holdings.sum())
    holdings[order[:left]] += 1
    return np.sort(holdings)[::-1].copy()


def _silence(holdings: Int, largest_voter: int, target: int, uniforms: Float) -> NDArray[np.bool_]:
    """All who hold more than `largest_voter`, then others at random while `target` allows."""
    silent = holdings > largest_voter
    total = int(holdings[silent].sum())
    for rank in np.argsort(uniforms, kind="stable"):
        if not silent[rank] and total + int(holdings[rank]) <= target:
            silent[rank] = True
            total += int(holdings[rank])
    return silent


def _delegation(
    holdings: Int, free: NDArray[np.bool_], targets: Int, delegating: float, key: np.uint64
) -> tuple[Int, Int]:
    """Delegates' ranks (falling by votes) and, for every holder, its delegate or -1."""
    ranks = np.flatnonzero(free)
    uniforms = _draws(key, _DRAW_DELEGATES, len(holdings))[ranks]
    small = holdings[ranks] * 2 <= targets[-1]
    candidates = ranks[small][np.argsort(uniforms[small], kind="stable")]
    if len(candidates) < len(targets):
        raise ValueError(
            f"{len(targets)} delegates are wanted, only {len(candidates)} voting holders own less "
            f"than half of the last delegate's {targets[-1]} votes: raise delegate_supply, or "
            "lower delegates or delegate_exponent"
        )
    chosen = candidates[: len(targets)]
    delegate = np.full(len(holdings), -1, dtype=np.int64)
    delegate[chosen] = np.arange(len(chosen))
    gaps = targets - holdings[chosen]
    willing = free & (_draws(key, _DRAW_DELEGATING, len(holdings)) < delegating)
    willing[chosen] = False
    for rank in np.flatnonzero(willing):  # from the largest holding down
        k = int(np.argmax(gaps))
        if holdings[rank] <= gaps[k]:
            delegate[rank] = k
            gaps[k] -= holdings[rank]
    order = np.argsort(gaps - targets, kind="stable")  # most votes first
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    joined = delegate >= 0
    delegate[joined] = place[delegate[joined]]
    return chosen[order], delegate


def _camps(weights: Int, participation: Float, uniforms: Float, delegates: int) -> Int:
    """Two camps of about equal expected votes: delegates join the lighter one, others either."""
    camp = np.where(uniforms < 0.5, -1, 1).astype(np.int64)
    balance = 0.0
    for k in range(delegates):
        if balance != 0.0:
            camp[k] = -1 if balance > 0.0 else 1
        balance += float(camp[k]) * float(weights[k]) * float(participation[k])
    return camp


def draw_electorate(
    settings: ElectorateSettings, centres: ArrayLike | Sequence[float]
) -> Electorate:
    """Draw holders, roles and ideal points; the same on every machine.

    Args:
        settings: the electorate's settings.
        centres: (parameters,) around which ideals lie, as shares of each parameter's range.

    Raises:
        ValueError: centres outside [0, 1], too few small holders to be delegates, or too few
            votes delegated.
    """
    middle = np.array(centres, dtype=np.float64).reshape(-1)
    if len(middle) == 0 or not bool(np.all((middle >= 0.0) & (middle <= 1.0))):
        raise ValueError(f"centres: shares from 0 to 1 are expected, got {middle.tolist()}")
    s, t = settings, settings.turnout
    key = root_keys([s.seed])[0]
    holdings = zipf_holdings(s.holders, s.supply, s.zipf_exponent)

    places = np.arange(1.0, s.delegates + 1.0) + s.delegate_offset
    shape = exp_array(-s.delegate_exponent * log_array(places))
    scale = s.delegate_supply * s.supply / math.fsum(shape)
    targets = np.floor(shape * scale).astype(np.int64)
    silent = _silence(
        holdings, int(targets[0]), math.floor(s.silent_supply * s.supply),
        _draws(key, _DRAW_SILENT, s.holders),
    )  # fmt: skip
    delegates, delegate = _delegation(holdings, ~silent, targets, s.delegating, key)

    independent = np.flatnonzero(~silent & (delegate < 0))
    smaller = independent[len(independent) // 2 :]
    chance = _draws(key, _DRAW_REGULARS, s.holders)[smaller]
    regular = np.sort(smaller[np.argsort(chance, kind="stable")[: t.regular_voters]])
    others = np.setdiff1d(independent, regular)
    seldom, occasional = others[: t.seldom_voters], others[t.seldom_voters :]
    holder = np.concatenate([delegates, regular, occasional, seldom])
    delegate[holder] = np.arange(len(holder))
    weights = np.zeros(len(holder), dtype=np.int64)
    np.add.at(weights, delegate[~silent], holdings[~silent])
    gathered, aimed = int(weights[: s.delegates].sum()), int(targets.sum())
    if gathered < _LEAST_GATHERED * aimed:
        raise ValueError(
            f"the delegates gather {gathered} of the {aimed} votes that delegate_supply wants: "
            "raise delegating, or lower silent_supply or delegate_supply"
        )

    steps = np.arange(s.delegates) / max(s.delegates - 1, 1)
    by_rank = t.first_delegate + (t.last_delegate - t.first_delegate) * steps
    tiers = (
        (regular, t.regular, 0.0),
        (occasional, t.occasional, t.interest),
        (seldom, t.seldom, 0.0),
    )
    chances = np.minimum(np.array([tier[1] for tier in tiers]) * t.factor, 1.0)
    begins = s.delegates + np.concatenate([[0], np.cumsum([len(tier[0]) for tier in tiers])])
    participation = np.concatenate(
        [np.minimum(by_rank * t.factor, 1.0), np.repeat(chances, np.diff(begins))]
    )

    camp = np.zeros(len(holder), dtype=np.int64)
    if s.opinions.polarisation > 0.0:
        uniforms = _draws(key, _DRAW_CAMP, len(holder))
        camp = _camps(weights, participation, uniforms, s.delegates)
    ideals = np.empty((len(middle), len(holder)))
    for p, centre in enumerate(middle.tolist()):
        # camps do not stand on the same side of every parameter
        side = 1.0 if p % 2 == 0 else -1.0
        noise = _draws(key, _DRAW_IDEAL, len(holder), row=p, normals=True)
        ideals[p] = centre + side * s.opinions.polarisation * camp + s.opinions.spread * noise

    ints, floats = pack_electorate(s, weights, participation, begins, chances,
                         [tier[2] for tier in tiers], ideals)  # fmt: skip
    return Electorate(holdings, silent, delegate, holder, weights, participation, camp, ideals,
                      ints, floats)  # fmt: skip
