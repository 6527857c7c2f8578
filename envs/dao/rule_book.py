"""A charter's rules at work on a domain's quantities; called from compiled code.

``ints`` and ``floats`` are the packed rules (`charter_rules.RuleBook`), ``records`` a lane's
records (money in the int64 block, physical quantities in the float64 block), ``hits``
(rules, HITS_WIDTH) counts reverts, clips, costs and gas of each rule.

Several rules may hold one quantity. Each of them checks what the ones before let through; only
then all of them book what is finally allowed, so that no rule remembers what another one refused.
"""

from __future__ import annotations

from typing import Any

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float, Int

from .allowance import (
    QUOTA_EPOCH,
    allowance_check,
    quota_check,
    set_allowance,
    spend_allowance,
    use_quota,
)
from .breaker import (
    BREAKER_NET,
    BREAKER_PAUSE_STEPS,
    BREAKER_PAUSED_UNTIL,
    BREAKER_TOTAL,
    advance_breaker,
    begin_breaker,
    book_outflow,
    flow_in,
    outflow_check,
)
from .bucket import bucket_check, draw_bucket, fill_bucket
from .parameters import SLEW_VALUE, begin_slew, slew_check, slew_parameter
from .results import DONE, TRIPPED
from .rewards import split_rewards
from .rules import COST, allowed_amount, count_hit, fresh_or_default, service_floor
from .staking import duty_capacity, settle_duty

KINDS = (
    "allowance", "quota", "bucket", "slew", "breaker", "staleness", "stake", "floor", "split",
)  # fmt: skip
"""Kinds of rules in the order of their numbers."""
ALLOWANCE, QUOTA, BUCKET, SLEW, BREAKER, STALENESS, STAKE, FLOOR, SPLIT = range(9)

R_KIND, R_TARGET, R_EFFECT, R_GAS, R_PHYSICAL, R_FIRST, R_WIDTH, R_SETTINGS = range(8)
"""Columns of a rule; its record is `R_WIDTH` numbers from `R_FIRST` on of the int64 block, or of
the float64 block where `R_PHYSICAL` is 1."""
RULE_SETTINGS = 7
RULE_WIDTH = R_SETTINGS + RULE_SETTINGS


@kernel_function
def _record(ints: Int, k: int, records: Any) -> Any:
    first = ints[k, R_FIRST]
    return records[first : first + ints[k, R_WIDTH]]


@kernel_function
def begin_rules(
    ints: Int, floats: Float, now: int, int_records: Int, float_records: Float, hits: Int
) -> None:
    """Records at the start of an episode: nothing spent, buckets full, nobody jailed."""
    hits[:] = 0
    int_records[:] = 0
    float_records[:] = 0.0
    for k in range(len(ints)):
        if ints[k, R_PHYSICAL] == 1:
            _begin_physical(ints[k, R_KIND], floats[k], now, _record(ints, k, float_records))
        else:
            _begin_whole(ints[k, R_KIND], ints[k, R_SETTINGS:], now, _record(ints, k, int_records))


@kernel_function
def _begin_whole(kind: int, s: Int, now: int, record: Int) -> None:
    if kind == ALLOWANCE:
        set_allowance(record, now + 1, s[0], s[1], 0)
    elif kind == QUOTA:
        record[QUOTA_EPOCH] = -1
    elif kind == BUCKET:
        fill_bucket(record, now, s[0], s[1])
    elif kind == BREAKER:
        begin_breaker(record, now, s[0], s[1], s[2], 1, s[3])


@kernel_function
def _begin_physical(kind: int, s: Float, now: int, record: Float) -> None:
    if kind == QUOTA:
        record[QUOTA_EPOCH] = -1.0
    elif kind == BUCKET:
        fill_bucket(record, now, s[0], s[1])
    elif kind == SLEW:
        begin_slew(record, float(now), s[4], s[0], s[1], s[2], False, s[3])


@kernel_function
def gate_cents(
    ints: Int, target: int, now: int, cents: int, records: Int, hits: Int
) -> tuple[int, int]:
    """A payment of `cents` > 0 under all rules on it: (cents allowed, first code that is no DONE).

    Allowance, quota, bucket and breaker. What is allowed is booked with every rule.
    """
    allowed, first = cents, DONE
    for k in range(len(ints)):
        if ints[k, R_TARGET] != target:
            continue
        kind, effect = ints[k, R_KIND], ints[k, R_EFFECT]
        s = ints[k, R_SETTINGS:]
        record = _record(ints, k, records)
        permitted, code = allowed, DONE
        if kind == ALLOWANCE:
            permitted, code = allowance_check(record, now + 1, allowed)
        elif kind == QUOTA:
            left, code = quota_check(record, now // s[1], allowed, s[0])
            permitted = int(left)
        elif kind == BUCKET:
            level, code = bucket_check(record, now, allowed)
            permitted = int(level)
        elif kind == BREAKER:
            advance_breaker(record, now)
            permitted, code = outflow_check(record, now, allowed)
            if code == TRIPPED and effect != COST:
                record[BREAKER_PAUSED_UNTIL] = now + record[BREAKER_PAUSE_STEPS]
        count_hit(hits[k], code, effect, ints[k, R_GAS])
        allowed = allowed_amount(allowed, permitted, 0, code, effect)
        if kind == BREAKER:
            allowed = min(allowed, max(record[BREAKER_TOTAL] + record[BREAKER_NET], 0))
        if first == DONE:
            first = code
        if allowed <= 0:
            return 0, first
    for k in range(len(ints)):
        if ints[k, R_TARGET] != target:
            continue
        kind, effect = ints[k, R_KIND], ints[k, R_EFFECT]
        s = ints[k, R_SETTINGS:]
        record = _record(ints, k, records)
        if kind == ALLOWANCE:
            spend_allowance(record, now + 1, allowed, effect)
        elif kind == QUOTA:
            use_quota(record, now // s[1], allowed, s[0], effect)
        elif kind == BUCKET:
            draw_bucket(record, now, allowed, effect)
        elif kind == BREAKER:
            book_outflow(record, allowed)
    return allowed, first


@kernel_function
def note_inflow(ints: Int, target: int, now: int, cents: int, records: Int) -> None:
    """Money came in on a quantity that a breaker watches."""
    for k in range(len(ints)):
        if ints[k, R_TARGET] == target and ints[k, R_KIND] == BREAKER:
            flow_in(_record(ints, k, records), now, cents)


@kernel_function
def gate_quantity(
    ints: Int, floats: Float, target: int, now: int, request: float, records: Float, hits: Int
) -> tuple[float, int]:
    """A request in a physical unit under all rules on it: (amount allowed, first code).

    Quota and bucket hold amounts >= 0; a slew limit holds a set-point, whose present value is what
    a refusal leaves.
    """
    allowed, first = request, DONE
    for k in range(len(ints)):
        if ints[k, R_TARGET] != target:
            continue
        kind, effect = ints[k, R_KIND], ints[k, R_EFFECT]
        s = floats[k]
        record = _record(ints, k, records)
        permitted, code, standing = allowed, DONE, 0.0
        if kind == QUOTA:
            permitted, code = quota_check(record, now // ints[k, R_SETTINGS + 1], allowed, s[0])
        elif kind == BUCKET:
            permitted, code = bucket_check(record, now, allowed)
        elif kind == SLEW:
            permitted, code = slew_check(record, float(now), allowed)
            standing = record[SLEW_VALUE]
        count_hit(hits[k], code, effect, ints[k, R_GAS])
        allowed = allowed_amount(allowed, permitted, standing, code, effect)
        if first == DONE:
            first = code
    for k in range(len(ints)):
        if ints[k, R_TARGET] != target:
            continue
        kind, effect = ints[k, R_KIND], ints[k, R_EFFECT]
        record = _record(ints, k, records)
        if kind == QUOTA:
            use_quota(record, now // ints[k, R_SETTINGS + 1], allowed, floats[k, 0], effect)
        elif kind == BUCKET:
            draw_bucket(record, now, allowed, effect)
        elif kind == SLEW:
            allowed, _ = slew_parameter(record, float(now), allowed, effect)
    return allowed, first


@kernel_function
def gate_fresh(
    ints: Int, target: int, now: float, updated_at: float, request: float, safe_default: float,
    hits: Int,
) -> tuple[float, int]:  # fmt: skip
    """A request that needs a published value no older than the rules ask for: (allowed, code)."""
    allowed, first = request, DONE
    for k in range(len(ints)):
        if ints[k, R_TARGET] == target and ints[k, R_KIND] == STALENESS:
            heartbeat = float(ints[k, R_SETTINGS])
            effect = ints[k, R_EFFECT]
            allowed, code = fresh_or_default(
                allowed, safe_default, now, updated_at, heartbeat, effect
            )
            count_hit(hits[k], code, effect, ints[k, R_GAS])
            if first == DONE:
                first = code
    return allowed, first


@kernel_function
def measure_level(
    ints: Int, floats: Float, target: int, measured: float, hits: Int
) -> tuple[float, int]:
    """How far a measured level lies below its floor: (shortfall, code); a cost."""
    missing, first = 0.0, DONE
    for k in range(len(ints)):
        if ints[k, R_TARGET] == target and ints[k, R_KIND] == FLOOR:
            short, code = service_floor(measured, floats[k, 0])
            count_hit(hits[k], code, COST, 0)
            missing = max(missing, short)
            if first == DONE:
                first = code
    return missing, first


@kernel_function
def settle_rule_duty(
    ints: Int, target: int, now: int, missed: bool, invalid: bool, accounts: Int, bonded: int,
    slashed_to: int, records: Int, hits: Int,
) -> tuple[int, int]:  # fmt: skip
    """Settle one duty under the rules on it: (cents slashed, code)."""
    total, first = 0, DONE
    for k in range(len(ints)):
        if ints[k, R_TARGET] == target and ints[k, R_KIND] == STAKE:
            effect = ints[k, R_EFFECT]
            cents, code = settle_duty(
                _record(ints, k, records), ints[k, R_SETTINGS:], accounts, bonded, slashed_to, now,
                missed, invalid, effect,
            )  # fmt: skip
            count_hit(hits[k], code, effect, ints[k, R_GAS])
            total += cents
            if first == DONE:
                first = code
    return total, first


@kernel_function
def rule_capacity(
    ints: Int, target: int, now: int, stake_cents: int, capacity: float, records: Int
) -> float:
    """The capacity an actor may offer under the rules on its duty: none in jail."""
    allowed = capacity
    for k in range(len(ints)):
        if ints[k, R_TARGET] == target and ints[k, R_KIND] == STAKE:
            record = _record(ints, k, records)
            allowed = duty_capacity(record, ints[k, R_SETTINGS:], stake_cents, now, allowed)
    return allowed


@kernel_function
def split_by_rule(
    ints: Int, target: int, scores: Int, payouts: Int, remainders: Int, order: Int
) -> int:
    """Split the charter's budget by `scores` (members,) into `payouts`, a result code.

    Nothing is paid where no rule of kind `split` holds the quantity.
    """
    payouts[:] = 0
    for k in range(len(ints)):
        if ints[k, R_TARGET] == target and ints[k, R_KIND] == SPLIT:
            s = ints[k, R_SETTINGS:]
            return split_rewards(scores, s[0], s[1], payouts, remainders, order)
    return DONE
