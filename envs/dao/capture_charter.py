"""Charters of the capture cases: what was attacked, with what means, and what would have helped.

Amounts of tokens are in the attacked DAO's own tokens and are scaled to the electorate's supply of
10**9 base units; money is whole cents. The members are the calibrated electorate (`electorate`).
The accounts that the story names (pool, exchange, treasury, other traders) hold tokens out of the
silent supply.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import Field as Setting
from pydantic import model_validator

from daogym.envs.core.strict import ConfigError, StrictModel, load_yaml

from .ballots import LONGEST_PERIOD
from .electorate import ElectorateSettings

CASES = (
    "beanstalk", "apathy", "late_vote", "opaque_payload", "oracle_attack", "exchange_takeover",
)  # fmt: skip
"""The historical cases."""
VARIANTS = ("late_quorum",)
"""Sub-cases that did not happen this way."""

StoryName = Literal[
    "beanstalk", "apathy", "late_vote", "opaque_payload", "oracle_attack", "exchange_takeover"
]

PLAYABLE = ("beanstalk", "apathy", "late_vote", "exchange_takeover")
"""Stories whose moves an adversary has: no oracle to pump, no code to swap."""

DEFENCES = (
    "snapshot", "timelock", "guardian", "quorum", "late_quorum_extension", "payload_review",
    "cooldown", "voting_delay", "oracle_median", "oracle_twap", "oracle_staleness",
    "circuit_breaker",
)  # fmt: skip
"""Every defence that some case has."""
DefenceName = Literal[
    "snapshot", "timelock", "guardian", "quorum", "late_quorum_extension", "payload_review",
    "cooldown", "voting_delay", "oracle_median", "oracle_twap", "oracle_staleness",
    "circuit_breaker",
]  # fmt: skip

SUPPLY = 10**9
"""Base units of the electorate's supply."""
LARGEST_CENTS = 10**15


class Guardian(StrictModel):
    """Someone who may cancel a proposal that has passed."""

    reaction_s: int = Setting(ge=1)
    """Seconds from when the harm can be seen until the proposal is cancelled."""
    reads_code: bool = False
    """Whether the code behind a harmless description is read before it is executed."""


class Oracle(StrictModel):
    """How the price that loans are given on is made."""

    reporters: int = Setting(1, ge=1, le=31)
    tolerated: int = Setting(0, ge=0)
    """Faulty reporters the oracle is built for."""
    pumped: int = Setting(1, ge=0)
    """Reporters who read the market that the attacker moves."""
    noise: float = Setting(0.0, ge=0.0, le=0.1)
    """Standard deviation of the other reporters' error, relative."""
    twap_steps: int = Setting(1, ge=1)
    """Steps over which the moved market's price is averaged; 1 is the spot price."""
    heartbeat: int = Setting(96, ge=1)
    """Steps after which a price is published again."""
    max_age: int = Setting(0, ge=0)
    """Age in steps beyond which no loan is given; 0: any age will do."""

    @model_validator(mode="after")
    def _counts(self) -> Oracle:
        if 3 * self.tolerated >= self.reporters:
            raise ValueError(f"3 tolerated < reporters is needed, got {self.tolerated}")
        if self.pumped > self.reporters:
            raise ValueError(f"pumped: at most the {self.reporters} reporters, got {self.pumped}")
        return self


class Rules(StrictModel):
    """The rules in force: governor, guardian, oracle and what payloads must pass."""

    voting_delay: int = Setting(ge=0)
    """Steps from proposal to snapshot."""
    voting_period: int = Setting(ge=1, le=LONGEST_PERIOD)
    """Steps of voting."""
    threshold_tokens: int = Setting(0, ge=0)
    """Votes that a proposer needs."""
    quorum_percent: int = Setting(0, ge=0, le=100)
    """Share of the supply that For and Abstain must reach."""
    late_quorum_extension: int = Setting(0, ge=0)
    """Steps that voting stays open after quorum was reached."""
    timelock_s: int = Setting(0, ge=0)
    """Seconds between success and execution; 0: executed directly, nothing is queued."""
    snapshot: bool = True
    """Whether a vote weighs what the account had at the snapshot, or else what it has now."""
    cooldown: int = Setting(0, ge=0, le=10_000)
    """Steps before the snapshot that tokens must have been held for, in order to count."""
    emergency_percent: int = Setting(0, ge=0, le=100)
    """Share of the supply, all For, above which a proposal is carried at once; 0: never."""
    emergency_wait: int = Setting(0, ge=0)
    """Steps from the snapshot until that is possible."""
    guardian: Guardian | None = None
    payload_review: bool = False
    """Whether execution fails where the code is not the one that was proposed."""
    oracle: Oracle | None = None
    retained_percent: int = Setting(0, ge=0, le=100)
    """Circuit breaker: share of the treasury that stays within a window of a day; 0: none."""

    @model_validator(mode="after")
    def _agree(self) -> Rules:
        if self.late_quorum_extension > self.voting_period:
            raise ValueError(
                f"late_quorum_extension {self.late_quorum_extension} is longer than the "
                f"voting_period {self.voting_period}"
            )
        if self.cooldown and not self.snapshot:
            raise ValueError("a cooldown looks votes up before the snapshot: snapshot must be true")
        return self


class Defence(StrictModel):
    """The rules that a defence changes; the others stay as they were."""

    voting_delay: int | None = Setting(None, ge=0)
    quorum_percent: int | None = Setting(None, ge=0, le=100)
    late_quorum_extension: int | None = Setting(None, ge=0)
    timelock_s: int | None = Setting(None, ge=1)
    snapshot: Literal[True] | None = None
    cooldown: int | None = Setting(None, ge=1, le=10_000)
    guardian: Guardian | None = None
    payload_review: Literal[True] | None = None
    oracle: Oracle | None = None
    retained_percent: int | None = Setting(None, ge=1, le=100)

    def changes(self) -> dict[str, Any]:
        """What it sets."""
        return self.model_dump(exclude_none=True)


class Token(StrictModel):
    """The DAO's token and who holds it, in tokens."""

    supply: int = Setting(ge=1)
    price_microcents: int = Setting(ge=1, le=10**14)
    """Price of one token, in millionths of a cent."""
    pool: int = Setting(ge=1)
    """Tokens in the pool; its cents follow from the price."""
    pool_fee_bps: int = Setting(30, ge=0, le=1000)
    others: int = Setting(0, ge=0)
    """Tokens of traders who keep the pool's price fair."""
    treasury: int = Setting(0, ge=0)
    exchange: int = Setting(0, ge=0)
    """Customers' deposits in one custodian's hands."""
    fall_bps: int = Setting(0, ge=0, lt=10_000)
    """How far the fair price falls once the attack is seen to have worked."""


class Attention(StrictModel):
    """How many of the members come to the votes of this case."""

    turnout: float = Setting(1.0, gt=0.0, le=10.0)
    """Multiplies the calibrated electorate's participation."""
    second_turnout: float = Setting(1.0, gt=0.0, le=10.0)
    """The same for a second proposal of the case."""
    called_turnout: float = Setting(10.0, gt=0.0, le=10.0)
    """The same for those who have not voted and are called when the deadline is put off."""
    harm: float = Setting(0.1, gt=0.0, le=1.0)
    """Loss that members see in a proposal whose harm they understand; share of a range."""
    lure: float = Setting(0.05, gt=0.0, le=1.0)
    """Gain that members see in one that looks useful."""


class Attacker(StrictModel):
    """Means and aims. What a case has no use for stays 0."""

    cash_cents: int = Setting(ge=0, le=LARGEST_CENTS)
    stake_tokens: int = Setting(0, ge=0)
    """Tokens bought before the proposal."""
    early_tokens: int = Setting(0, ge=0)
    """Part of them that votes early; the rest votes in the last step."""
    early_at: float = Setting(0.25, gt=0.0, lt=1.0)
    """When the early part votes, as a share of the voting period."""
    slices: int = Setting(1, ge=1, le=1000)
    """Number of purchases, one a step; the resale is cut alike."""
    flash_tokens: int = Setting(0, ge=0)
    """Votes that a flash loan's deposit mints for a moment."""
    flash_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    flash_fee_bps: int = Setting(0, ge=0, le=1000)
    bribe_bps: int = Setting(0, ge=0, le=10_000)
    """Price of a member's vote as a share of the tokens' price before; 0: nobody sells any."""
    bribable_percent: int = Setting(100, ge=0, le=100)
    """Share of the members who would."""
    fake_tokens: int = Setting(0, ge=0)
    """Votes that a swapped payload mints for the attacker."""
    mint_tokens: int = Setting(0, ge=0)
    """Tokens minted and sold into the pool once the mint key is taken."""
    swap_after_s: int = Setting(0, ge=0)
    """Seconds after success at which the payload's code is swapped."""
    position_tokens: int = Setting(0, ge=0)
    """Long position on margin whose gain counts as collateral."""
    margin_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    pump_factor: float = Setting(1.0, ge=1.0, le=1000.0)
    """How many times its fair price the token is pumped to."""
    pump_steps: int = Setting(1, ge=1)
    """Steps that the pump is held before the loan is taken."""


class Prize(StrictModel):
    """What there is to take."""

    treasury_cents: int = Setting(ge=0, le=LARGEST_CENTS)
    lendable_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """Part of the treasury that is lent against collateral."""
    lendable_tokens: int = Setting(0, ge=0)
    """Tokens of the treasury that are lent along with it, in proportion."""
    loan_to_value_percent: int = Setting(100, ge=1, le=100)
    grab_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """What the payload takes out of the treasury."""
    loot_bps: int = Setting(10_000, ge=0, le=10_000)
    """Share of that which reaches the attacker; the rest is lost to others on the way."""
    grab_tokens: int = Setting(0, ge=0)
    """Tokens that the payload takes out of the treasury."""
    grab_cents_per_step: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """What goes on flowing to the attacker while the captured value is in force."""


class DefendingOperator(StrictModel):
    """What an operator in the DAO's pay could do while an attack runs; no case had one."""

    vault_percent: int = Setting(0, ge=0, le=100)
    """Largest share of the treasury's money that it may put where no payload reaches it."""
    vault_bps_per_day: int = Setting(0, ge=0, le=1000)
    """What money there costs: the yield that it would have had."""
    call_cents: int = Setting(0, ge=0, le=LARGEST_CENTS)
    """Price of calling those who have not voted on a live proposal; 0: it cannot."""


class CaptureCharter(StrictModel):
    """One case."""

    name: str
    story: StoryName
    """Whose moves the attacker makes."""
    date: str
    what: str
    step_s: int = Setting(ge=1)
    """Seconds of a step."""
    horizon: int = Setting(ge=1, le=50_000)
    """Steps from the first move to the end of the account."""
    rules: Rules
    token: Token
    attention: Attention = Setting(default_factory=Attention)
    electorate: ElectorateSettings = Setting(default_factory=ElectorateSettings)
    attacker: Attacker
    prize: Prize
    operator: DefendingOperator | None = None
    """Acts in the adversary's game alone, and there only where it is asked for."""
    defences: Mapping[DefenceName, Defence]

    @model_validator(mode="after")
    def _possible(self) -> CaptureCharter:
        if self.electorate.supply != SUPPLY:
            raise ValueError(f"electorate.supply: {SUPPLY} is expected, got "
                             f"{self.electorate.supply}")  # fmt: skip
        if (self.story == "oracle_attack") != (self.rules.oracle is not None):
            raise ValueError("rules.oracle: the story oracle_attack has one, the others have none")
        t = self.token
        named = t.pool + t.others + t.treasury + t.exchange
        if named > self.electorate.silent_supply * t.supply:
            raise ValueError(
                f"token: pool, others, treasury and exchange hold {named} of {t.supply}, more than "
                f"the silent supply of {self.electorate.silent_supply:.0%}"
            )
        if self.attacker.early_tokens > self.attacker.stake_tokens:
            raise ValueError("attacker.early_tokens: more than the stake_tokens")
        p = self.prize
        if p.grab_cents + p.lendable_cents > p.treasury_cents:
            raise ValueError("prize: grab_cents + lendable_cents exceed treasury_cents")
        if max(p.grab_tokens, p.lendable_tokens) > t.treasury:
            raise ValueError("prize: more tokens to take than token.treasury has")
        for name in self.defences:
            self.with_defences([name])
        return self

    def with_defences(self, names: list[str] | tuple[str, ...]) -> Rules:
        """The rules with these defences switched on.

        Raises:
            ConfigError: a defence that the case does not have, or rules that contradict each other.
        """
        changed = self.rules.model_dump()
        known: Mapping[str, Defence] = {str(key): value for key, value in self.defences.items()}
        for name in names:
            if name not in known:
                raise ConfigError(
                    f"charter {self.name!r}", f"defences.{name}",
                    f"this case has no such defence; it has {', '.join(known)}",
                )  # fmt: skip
            changed.update(known[name].changes())
        try:
            return Rules.model_validate(changed)
        except ValueError as error:
            problem = str(error).partition("Value error, ")[2].partition(" [type")[0]
            raise ValueError(f"defences {', '.join(names)}: {problem or error}") from None

    def units(self, tokens: int) -> int:
        """Base units of so many tokens."""
        return tokens * SUPPLY // self.token.supply


def load_case(spec: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> CaptureCharter:
    """The charter of a named case, or of a file.

    Raises:
        ConfigError: no such case, or a charter with an error; names file, line, key and value.
    """
    text = str(spec)
    if text.endswith((".yaml", ".yml")):
        return load_yaml(Path(text), CaptureCharter, overrides)
    if text not in CASES + VARIANTS:
        raise ConfigError(
            "capture cases", text, f"no such case; there are {', '.join(CASES + VARIANTS)}"
        )
    with resources.as_file(resources.files(__package__) / "charters/stress" / f"{text}.yaml") as p:
        return load_yaml(p, CaptureCharter, overrides)
