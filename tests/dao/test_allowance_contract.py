"""Safe's spending allowance: a contract on the module's documented cases, the rule against it.

No package of the npm registry holds the source of Safe's AllowanceModule (there are packages with
its addresses and ABI only), so ``contracts/src/SpendingAllowance.sol`` says its rule anew. It is
tested on the numbers of the module's own tests (``allowanceSingle.spec.ts`` and
``allowanceRecurring.spec.ts`` of safe-global/safe-modules); then the kernels are compared with it.
"""

from __future__ import annotations

import random
from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

from daogym.envs.dao.allowance import set_allowance, spend_allowance
from daogym.envs.dao.results import DONE
from daogym.envs.dao.rules import REVERT

from .evm import Answer, Chain, numbers, reason_to_skip

SKIP = reason_to_skip()
pytestmark = pytest.mark.skipif(SKIP is not None, reason=str(SKIP))

DELEGATE = "0x" + "a1" * 20
DAY = 24 * 60  # minutes
LARGEST = 2**96 - 1


class Allowance(NamedTuple):
    """Amount and spent in base units; the period and the last reset in minutes (0: no period)."""

    amount: int
    spent: int
    reset_minutes: int
    last_reset_minute: int


def met(allowance: Allowance, minute: int) -> Allowance:
    """The allowance as one meets it in this minute."""
    amount, spent, period, last = allowance
    if period > 0 and minute - last >= period:
        spent, last = 0, minute - (minute - last) % period
    return Allowance(amount, spent, period, last)


def spend(allowance: Allowance, minute: int, value: int) -> tuple[bool, Allowance]:
    """Whether the kernel lets `value` be spent in this minute, and its record afterwards."""
    record = np.array(allowance, dtype=np.int64)
    allowed, code = spend_allowance(record, minute, value, REVERT)
    assert (allowed == value and code == DONE) or (allowed == 0 and code != DONE)
    return code == DONE, Allowance(*record.tolist())


def grant(
    allowance: Allowance, minute: int, amount: int, period: int, base: int
) -> tuple[bool, Allowance]:
    """Whether the kernel sets the allowance so in this minute, and its record afterwards."""
    record = np.array(allowance, dtype=np.int64)
    code = set_allowance(record, minute, amount, period, base)
    return code == DONE, Allowance(*record.tolist())


class Module:
    """The contract at some minute."""

    def __init__(self, minute: int) -> None:
        self.chain = Chain(1, 60 * minute)
        self.contract = self.chain.deploy("SpendingAllowance")
        self.minute = minute

    def wait(self, minutes: int, seconds: int = 0) -> None:
        self.minute += minutes
        self.chain.set_clocks(1, 60 * self.minute + seconds)

    def call(self, function: str, *arguments: int) -> Answer:
        return self.contract.call(DELEGATE, function, *arguments)

    def set(self, amount: int, reset_minutes: int, base_minute: int) -> str | None:
        return self.call(
            "setAllowance(uint96,uint16,uint32)", amount, reset_minutes, base_minute
        ).error

    def spend(self, value: int) -> str | None:
        return self.call("spend(uint96)", value).error

    def allowance(self) -> Allowance:
        """As a spender meets it now: a passed period shows as reset."""
        return Allowance(*numbers(self.call("allowance()").data).tolist())


def test_a_single_allowance_is_spent_once() -> None:
    module = Module(27_000_000)
    assert module.allowance() == (0, 0, 0, 0)
    assert module.set(100, 0, 0) is None
    assert module.allowance() == (100, 0, 0, 27_000_000)  # begins now
    assert module.spend(60) is None
    assert module.allowance() == (100, 60, 0, 27_000_000)
    module.wait(60_000)  # without a period nothing comes back
    assert module.spend(41) == "OverAllowance"
    assert module.spend(40) is None
    assert module.spend(1) == "OverAllowance"


def test_a_daily_allowance_comes_back_on_its_grid() -> None:
    module = Module(27_000_030)
    base = module.minute - 30
    assert module.set(100, DAY, base) is None
    assert module.allowance() == (100, 0, DAY, base)
    assert module.spend(60) is None
    assert module.spend(45) == "OverAllowance"
    assert module.spend(40) is None
    module.wait(12 * 60)  # less than a period later
    assert module.allowance() == (100, 100, DAY, base)
    module.wait(12 * 60)
    assert module.allowance() == (100, 0, DAY, base + DAY)
    assert module.spend(45) is None
    assert module.allowance() == (100, 45, DAY, base + DAY)


def test_a_period_ends_to_the_minute_and_skipped_ones_keep_the_grid() -> None:
    module = Module(27_000_000)
    module.set(10, DAY, 27_000_000)
    module.spend(10)
    module.wait(DAY - 1, seconds=59)
    assert module.spend(1) == "OverAllowance"
    module.wait(1)
    assert module.spend(1) is None
    module.wait(5 * DAY + 17)
    assert module.allowance() == (10, 0, DAY, 27_000_000 + 6 * DAY)


def test_a_base_in_the_past_is_moved_to_the_period_of_now() -> None:
    module = Module(27_000_000)
    assert module.set(10, 100, 26_999_750) is None
    assert module.allowance().last_reset_minute == 26_999_950
    assert module.set(10, 100, 27_000_001) == "BadReset"  # in the future
    assert module.set(10, 0, 26_999_750) == "BadReset"  # a base without a period
    assert module.set(20, 200, 0) is None  # 0 keeps the grid
    assert module.allowance() == (20, 0, 200, 26_999_950)


def test_changing_the_amount_keeps_what_was_spent() -> None:
    module = Module(27_000_000)
    module.set(100, 0, 0)
    module.spend(80)
    module.set(50, 0, 0)
    assert module.allowance()[:2] == (50, 80)
    assert module.spend(1) == "OverAllowance"
    assert module.call("resetAllowance()").error is None
    assert module.spend(50) is None
    assert module.call("deleteAllowance()").error is None
    assert module.allowance() == (0, 0, 0, 0)
    assert module.spend(1) == "OverAllowance"


def test_nothing_and_too_much_are_refused() -> None:
    module = Module(27_000_000)
    module.set(LARGEST, 0, 0)
    assert module.spend(0) == "OverAllowance"
    assert module.spend(1) is None
    assert module.spend(LARGEST) == "OverAllowance"  # would wrap around
    assert module.spend(LARGEST - 1) is None


def test_the_rule_agrees_with_the_contract() -> None:
    counts: Counter[str] = Counter()
    for seed in range(60):
        rng = random.Random(seed)
        module = Module(rng.randint(20_000_000, 30_000_000))
        allowance = Allowance(0, 0, 0, 0)
        for _ in range(150):
            if rng.random() < 0.08:
                period = rng.choice([0, rng.randint(1, 60), DAY])
                base = rng.choice([0, module.minute - rng.randint(-500, 5000)])
                amount = rng.choice([0, rng.randint(1, 1000)])
                accepted, allowance = grant(allowance, module.minute, amount, period, base)
                assert (module.set(amount, period, base) is None) == accepted
                counts["granted" if accepted else "not granted"] += 1
            left = max(allowance.amount - met(allowance, module.minute).spent, 0)
            value = rng.choice([0, left, left + 1, rng.randint(0, 100), rng.randint(0, 1000)])
            accepted, allowance = spend(allowance, module.minute, value)
            assert (module.spend(value) is None) == accepted
            assert module.allowance() == met(allowance, module.minute)
            counts["spent" if accepted else "refused"] += 1
            module.wait(rng.choice([0, 1, rng.randint(0, 40), rng.randint(0, 3 * DAY)]))
    assert min(counts.values()) >= 100, counts
