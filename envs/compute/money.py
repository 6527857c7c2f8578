"""Money of the market: escrow, payments, refunds, collateral, stakes. Whole micro-USD, conserved.

Credits are minted when tenants deposit and burned when they are paid out. The vault gains tokens
worth a deposit at the oracle's price of then, and pays out tokens worth a payment at the price of
then, so the token's supply outside changes with the price in between (Akash's burn-mint
equilibrium). Nothing here enters the score: it moves between parties.
"""

from __future__ import annotations

from daogym.envs.core.compiled import inlined_function, kernel_function
from daogym.envs.core.layout import Float, Int
from daogym.envs.dao.results import DOWNTIME
from daogym.envs.dao.rules import REVERT
from daogym.envs.dao.staking import (
    DUTY_JAILED_UNTIL,
    STAKING_DOWNTIME_PPM,
    STAKING_WIDTH,
    settle_duty,
)
from daogym.envs.dao.treasury import TOTALS_WIDTH, burn, mint, transfer

from .bids import BID_STAKE, bid_of, refill_at
from .layout import (
    BALANCES,
    E_JAILED_STEPS,
    E_SLA_CREDITS_USD,
    E_SLASHED_USD,
    E_UNBACKED_TOKENS,
    ESCROW,
    FOR_CAPITAL,
    FOR_COLLATERAL,
    FOR_CREDITS,
    FOR_DEPOSITS,
    FOR_ELECTRICITY,
    FOR_EMISSIONS,
    G_LEAST_STAKE,
    G_SLASH,
    MICRO,
    N_PURPOSE,
    OUT_EVENT,
    P_PROVIDERS,
    P_SCALARS,
    P_SIZES,
    PROVIDER_WIDTH,
    S_CAPACITY_GPUS,
    S_DUTY,
    S_GOVERNED,
    S_MARKET_ACCOUNTS,
    S_REWARD_PER_DAY,
    S_STAKING,
    S_STEP,
    S_TOTALS,
    S_UP_SHARE,
    S_VAULT_TOKENS,
    TREASURY,
    V_GPUS,
    X_EMISSION_USD,
    X_EMISSION_WORK_SHARE,
    X_FAULT_DAYS,
    X_MINT_SPREAD,
    X_PROOF_STEPS,
    Z_DUTY,
    Z_PROVIDERS,
)
from .world import oracle_price

HALF_UP = 0.5


@inlined_function
def accounts_of(lane: int, pi: Int, si: Int) -> Int:
    """The lane's accounts, (2 + 2 providers,) micro-USD."""
    first = pi[S_MARKET_ACCOUNTS]
    return si[lane, first : first + BALANCES + 2 * pi[pi[P_SIZES] + Z_PROVIDERS]]


@inlined_function
def totals_of(lane: int, pi: Int, si: Int) -> Int:
    """What came and went for each purpose, (purposes + 1, 2) micro-USD."""
    first = pi[S_TOTALS]
    return si[lane, first : first + (N_PURPOSE + 1) * TOTALS_WIDTH].reshape(
        (N_PURPOSE + 1, TOTALS_WIDTH)
    )


@inlined_function
def minted_tokens(usd: float, price: float) -> float:
    """Tokens that a deposit of credits burns (the vault takes them in)."""
    return usd / price


@inlined_function
def collateral_ratio(lane: int, pi: Int, sf: Float, si: Int) -> float:
    """Vault at the oracle's price / credits outstanding; 10 where none are (and at most)."""
    credits = si[lane, pi[S_MARKET_ACCOUNTS] + ESCROW] / MICRO
    if credits <= 0.0:
        return 10.0
    return float(min(sf[lane, pi[S_VAULT_TOKENS]] * oracle_price(lane, pi, sf) / credits, 10.0))


@inlined_function
def move_vault(lane: int, usd: float, pi: Int, sf: Float, out: Float) -> None:
    """Tokens worth `usd` into the vault (out of it, where negative).

    What the vault cannot pay is minted anew and counted.
    """
    vault = sf[lane, pi[S_VAULT_TOKENS]] + minted_tokens(usd, oracle_price(lane, pi, sf))
    if vault < 0.0:
        out[0, lane, OUT_EVENT + E_UNBACKED_TOKENS] -= vault
        vault = 0.0
    sf[lane, pi[S_VAULT_TOKENS]] = vault


@inlined_function
def deposit(lane: int, micro: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """A tenant's deposit into escrow, and the mint's spread on top of it to the treasury."""
    accounts, totals = accounts_of(lane, pi, si), totals_of(lane, pi, si)
    mint(accounts, totals, FOR_DEPOSITS, ESCROW, micro)
    mint(accounts, totals, FOR_DEPOSITS, TREASURY,
         int(micro * pf[pi[P_SCALARS] + X_MINT_SPREAD]))  # fmt: skip
    move_vault(lane, micro / MICRO, pi, sf, out)


@kernel_function
def refund(lane: int, micro: int, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """What a lease leaves in escrow goes back to its tenant."""
    burn(accounts_of(lane, pi, si), totals_of(lane, pi, si), FOR_DEPOSITS, ESCROW, micro)
    move_vault(lane, -micro / MICRO, pi, sf, out)


@kernel_function
def claw_back(lane: int, provider: int, micro: int, pi: Int, si: Int) -> int:
    """A provider returns pay to the tenant: from its balance, then from its stake; micro-USD."""
    accounts, totals = accounts_of(lane, pi, si), totals_of(lane, pi, si)
    stakes = BALANCES + pi[pi[P_SIZES] + Z_PROVIDERS]
    first = min(micro, accounts[BALANCES + provider])
    burn(accounts, totals, FOR_DEPOSITS, BALANCES + provider, first)
    second = min(micro - first, accounts[stakes + provider])
    burn(accounts, totals, FOR_DEPOSITS, stakes + provider, second)
    return int(first + second)


@kernel_function
def pay_credit(lane: int, usd: float, pi: Int, si: Int, out: Float) -> None:
    """The treasury's credit to a tenant whose deadline was missed, as far as it has money."""
    accounts = accounts_of(lane, pi, si)
    micro = min(int(usd * MICRO + HALF_UP), accounts[TREASURY])
    burn(accounts, totals_of(lane, pi, si), FOR_CREDITS, TREASURY, micro)
    out[0, lane, OUT_EVENT + E_SLA_CREDITS_USD] += micro / MICRO


@inlined_function
def pay_electricity(accounts: Int, totals: Int, provider: int, usd: float) -> int:
    """A provider's electricity; owners put in what its balance does not hold, the result."""
    micro = int(usd * MICRO + HALF_UP)
    missing = micro - accounts[BALANCES + provider]
    if missing > 0:
        mint(accounts, totals, FOR_CAPITAL, BALANCES + provider, missing)
    burn(accounts, totals, FOR_ELECTRICITY, BALANCES + provider, micro)
    return int(max(missing, 0))


@kernel_function
def top_up_vault(lane: int, usd: float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """The treasury buys tokens for the vault."""
    accounts = accounts_of(lane, pi, si)
    micro = min(int(usd * MICRO), accounts[TREASURY])
    if micro > 0:
        burn(accounts, totals_of(lane, pi, si), FOR_COLLATERAL, TREASURY, micro)
        move_vault(lane, micro / MICRO, pi, sf, out)


@inlined_function
def pay_emissions(lane: int, served: float, working: float, used: Float, pf: Float, pi: Int,
                  sf: Float, si: Int) -> None:  # fmt: skip
    """New tokens of an hour: a part by GPU-hours in its last step, a part by being up."""
    x = pi[P_SCALARS]
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    accounts, totals = accounts_of(lane, pi, si), totals_of(lane, pi, si)
    total = pf[x + X_EMISSION_USD]
    by_work = total * pf[x + X_EMISSION_WORK_SHARE]
    by_presence = total - by_work
    for p in range(n):
        share = by_work * used[p] / served if served > 0.0 else 0.0
        if sf[lane, pi[S_UP_SHARE] + p] >= 0.5 and working > 0.0:
            share += by_presence * sf[lane, pi[S_CAPACITY_GPUS] + p] / working
        mint(accounts, totals, FOR_EMISSIONS, BALANCES + p, int(share * MICRO))


@inlined_function
def settle_stakes(lane: int, pf: Float, pi: Int, sf: Float, si: Int, out: Float) -> None:
    """The end of a proof window: proofs, slashes, and stakes refilled from balances.

    A proof is missed while fewer than half of a provider's nodes work. For too many of them the
    stake loses the larger of the charter's share and some days of reward (Filecoin's fault fee).
    """
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    x = pi[P_SCALARS]
    step = si[lane, pi[S_STEP]]
    width = pi[pi[P_SIZES] + Z_DUTY]
    accounts = accounts_of(lane, pi, si)
    settings = si[lane, pi[S_STAKING] : pi[S_STAKING] + STAKING_WIDTH]
    settings[STAKING_DOWNTIME_PPM] = int(sf[lane, pi[S_GOVERNED] + G_SLASH] * 1e6 + HALF_UP)
    least = sf[lane, pi[S_GOVERNED] + G_LEAST_STAKE] * MICRO
    for p in range(n):
        stake, balance = BALANCES + n + p, BALANCES + p
        first = pi[S_DUTY] + p * width
        record = si[lane, first : first + width]
        missed = sf[lane, pi[S_UP_SHARE] + p] < 0.5
        cents, code = settle_duty(
            record, settings, accounts, stake, TREASURY, step, missed, False, REVERT
        )
        if code == DOWNTIME:
            fee = sf[lane, pi[S_REWARD_PER_DAY] + p] * pf[x + X_FAULT_DAYS] * MICRO
            more = min(max(int(fee) - cents, 0), accounts[stake])
            transfer(accounts, stake, TREASURY, more)
            out[0, lane, OUT_EVENT + E_SLASHED_USD] += (cents + more) / MICRO
        if step < record[DUTY_JAILED_UNTIL]:
            out[0, lane, OUT_EVENT + E_JAILED_STEPS] += pf[x + X_PROOF_STEPS]
        refill = refill_at(bid_of(lane, p, BID_STAKE, pi, sf))
        wanted = int(refill * least * pf[pi[P_PROVIDERS] + p * PROVIDER_WIDTH + V_GPUS])
        if accounts[stake] < wanted:
            transfer(accounts, balance, stake, min(wanted - accounts[stake], accounts[balance]))


@inlined_function
def may_offer(lane: int, provider: int, gpus: float, pi: Int, sf: Float, si: Int) -> bool:
    """Whether a provider is out of jail and has the least stake for its GPUs."""
    n = pi[pi[P_SIZES] + Z_PROVIDERS]
    width = pi[pi[P_SIZES] + Z_DUTY]
    stake = si[lane, pi[S_MARKET_ACCOUNTS] + BALANCES + n + provider]
    least = sf[lane, pi[S_GOVERNED] + G_LEAST_STAKE] * MICRO * gpus
    free = si[lane, pi[S_STEP]] >= si[lane, pi[S_DUTY] + provider * width]
    return bool(free and stake >= least)
