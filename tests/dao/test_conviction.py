"""Conviction voting against numbers of 1Hive's contract tests and its own recursion."""

from __future__ import annotations

import numpy as np
import pytest

from daogym.envs.dao import conviction

pytestmark = pytest.mark.kernel


def test_convictions_and_thresholds_of_1hives_tests() -> None:
    """1Hive/conviction-voting-app: ``calculateConviction(10, 0, 15000)`` is 97698 with decay 0.9.

    ``calculateThreshold(1000)`` is 50625 with 15,000 in the vault, 45,000 staked, a largest share
    of 0.2 and a weight of 0.002.
    """
    assert round(conviction.conviction_after(0.0, 15000.0, 0.9, 10)) == 97698
    threshold = conviction.conviction_threshold(45000.0, 1000.0, 15000.0, 0.9, 0.2, 0.002)
    assert round(threshold) == 50625


def test_conviction_grows_step_by_step_to_its_limit_and_decays() -> None:
    value = 0.0
    for step in range(1, 60):
        value = 0.9 * value + 100.0
        assert conviction.conviction_after(0.0, 100.0, 0.9, step) == pytest.approx(value, rel=1e-12)
    assert conviction.conviction_after(0.0, 100.0, 0.9, 2000) == pytest.approx(1000.0, rel=1e-12)
    assert conviction.conviction_after(1000.0, 0.0, 0.9, 2) == pytest.approx(810.0, rel=1e-12)
    assert conviction.conviction_after(123.0, 100.0, 0.9, 0) == 123.0


def test_a_decay_of_0_9999599_halves_what_is_missing_in_three_days() -> None:
    three_days = 3 * 24 * 60 * 60 // 15  # blocks of 15 s
    limit = 1.0 / (1.0 - 0.9999599)
    assert conviction.conviction_after(0.0, 1.0, 0.9999599, three_days) == pytest.approx(
        limit / 2, rel=2e-3
    )


def test_a_request_needs_more_than_the_threshold_and_less_than_the_largest_share() -> None:
    rules = {"decay": 0.9, "largest_share": 0.2, "weight": 0.002}
    assert conviction.conviction_threshold(1000.0, 200.0, 1000.0, **rules) == np.inf
    assert conviction.conviction_threshold(1000.0, 0.0, 0.0, **rules) == np.inf
    threshold = conviction.conviction_threshold(1000.0, 100.0, 1000.0, **rules)
    assert threshold == pytest.approx(0.002 * 1000 / (0.1 * 0.01))
    for more, funded in ((0.0, False), (1e-6, True)):
        held = threshold + more
        assert conviction.is_funded(held, 1000.0, 100.0, 1000.0, **rules) == funded
