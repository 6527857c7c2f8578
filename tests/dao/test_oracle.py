"""Oracle: the median of what arrives, published by the rules, whoever lies."""

from __future__ import annotations

import math
import statistics
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.layout import Float
from daogym.envs.dao.oracle import (
    MOST_REPORTERS,
    ORACLE_UPDATED_AT,
    ORACLE_VALUE,
    ORACLE_WIDTH,
    begin_oracle,
    bell_noise,
    certainly_quiet,
    gather_reports,
    oracle_age,
    oracle_round,
    publish,
)
from daogym.envs.dao.results import DONE, OUT_OF_RANGE, QUIET, TOO_FEW_REPORTS

pytestmark = pytest.mark.kernel

NOISE_STREAM, MISS_STREAM = 40, 41
KEY = np.uint64(0x1234_5678_9ABC_DEF0)
EVERYTHING = (-1e300, 1e300)


def settings(
    reporters: int, tolerated: int, faulty: int = 0, noise: float = 0.01, misses: float = 0.0,
    low: float = EVERYTHING[0], high: float = EVERYTHING[1], deviation: float = 0.0,
    heartbeat: float = 1e9,
) -> Float:  # fmt: skip
    return np.array(
        [reporters, tolerated, faulty, noise, misses, low, high, deviation, heartbeat], dtype=float
    )


def reports_of(
    step: int, truth: float, adversarial: float, *arguments: Any, oracle: int = 0,
    key: np.uint64 = KEY, **named: Any,
) -> list[float]:  # fmt: skip
    scratch = np.full(MOST_REPORTERS, math.nan)
    count = gather_reports(
        settings(*arguments, **named), scratch, key, NOISE_STREAM, MISS_STREAM, step, oracle,
        truth, adversarial,
    )  # fmt: skip
    assert count <= arguments[0]
    return scratch[:count].tolist()


# --- reports --------------------------------------------------------------------------------------


@hypothesis.given(
    st.integers(0, 10), st.integers(0, 10), st.integers(0, 2**20), st.floats(0.01, 1e6),
    st.floats(-1e9, 1e9), st.data(),
)  # fmt: skip
def test_liars_within_the_tolerance_cannot_move_the_median_out_of_the_honest_range(
    tolerated: int, more: int, step: int, truth: float, lie: float, data: st.DataObject
) -> None:
    reporters = 3 * tolerated + 1 + min(more, 30 - 3 * tolerated)
    faulty = data.draw(st.integers(0, tolerated))
    reports = reports_of(step, truth, lie, reporters, tolerated, faulty)
    assert reports == sorted(reports) and len(reports) == reporters
    # Without its lies, what is left are the honest reports of the same draw.
    honest = reports_of(step, truth, math.nan, reporters, tolerated, faulty)
    assert len(honest) == reporters - faulty
    assert sorted([*honest, *[lie] * faulty]) == reports
    record = np.zeros(ORACLE_WIDTH)
    scratch = np.array(reports + [0.0] * (MOST_REPORTERS - reporters))
    assert publish(record, settings(reporters, tolerated), scratch, reporters, 5.0) == DONE
    assert min(honest) <= record[ORACLE_VALUE] <= max(honest)


def test_a_report_depends_on_its_own_place_alone() -> None:
    everyone = set(reports_of(7, 100.0, 0.0, 31, 10))
    assert len(everyone) == 31
    for reporters in (1, 2, 5, 30):
        assert set(reports_of(7, 100.0, 0.0, reporters, 0)) < everyone
    # Other steps, oracles and keys draw other reports.
    for other in (
        reports_of(8, 100.0, 0.0, 31, 10),
        reports_of(7, 100.0, 0.0, 31, 10, oracle=1),
        reports_of(7, 100.0, 0.0, 31, 10, key=np.uint64(99)),
    ):
        assert len(other) == 31 and not everyone & set(other)
    # Misses leave the reports that arrive as they are.
    some = reports_of(7, 100.0, 0.0, 31, 10, misses=0.5)
    assert 0 < len(some) < 31 and set(some) < everyone


def test_honest_reports_scatter_as_told_and_misses_are_as_frequent_as_told() -> None:
    errors, arrived = [], 0
    for step in range(400):
        reports = reports_of(step, 50.0, 0.0, 31, 10, noise=0.02, misses=0.1)
        errors += [report / 50.0 - 1.0 for report in reports]
        arrived += len(reports)
    assert statistics.mean(errors) == pytest.approx(0.0, abs=4 * 0.02 / math.sqrt(len(errors)))
    assert statistics.stdev(errors) == pytest.approx(0.02, rel=4 / math.sqrt(2 * len(errors)))
    drawn = 400 * 31
    assert arrived / drawn == pytest.approx(0.9, abs=4 * math.sqrt(0.09 / drawn))


def test_the_median_of_many_errs_less_than_one_report() -> None:
    """Standard error of a median of n normals: about sqrt(pi / 2 n) of one."""
    record, scratch = np.zeros(ORACLE_WIDTH), np.zeros(MOST_REPORTERS)
    medians = []
    for step in range(600):
        assert oracle_round(
            record, settings(31, 10, noise=0.02), scratch, KEY, NOISE_STREAM, MISS_STREAM, step,
            0, 1.0, 0.0,
        ) == DONE  # fmt: skip
        medians.append(record[ORACLE_VALUE])
    expected = 0.02 * math.sqrt(math.pi / 62)
    assert statistics.stdev(medians) == pytest.approx(expected, rel=0.15)


def test_more_liars_than_half_have_their_way() -> None:
    record, scratch = np.zeros(ORACLE_WIDTH), np.zeros(MOST_REPORTERS)
    for faulty, stolen in ((3, False), (4, True)):
        code = oracle_round(
            record, settings(7, 2, faulty), scratch, KEY, NOISE_STREAM, MISS_STREAM, 3, 0,
            100.0, 1e6,
        )  # fmt: skip
        assert code == DONE
        assert (record[ORACLE_VALUE] == 1e6) == stolen


@hypothesis.given(st.integers(0, 2**64 - 1))
@hypothesis.example(0)
@hypothesis.example(2**64 - 1)
def test_noise_is_a_sum_of_four_uniforms(bits: int) -> None:
    quarters = [bits >> shift & 0xFFFF for shift in (0, 16, 32, 48)]
    mean, variance = 4 * 65535 / 2, 4 * (65536**2 - 1) / 12
    expected = (sum(quarters) - mean) / math.sqrt(variance)
    assert bell_noise(np.uint64(bits)) == pytest.approx(expected, rel=1e-14)
    assert abs(expected) < 3.47


@hypothesis.given(
    st.integers(1, 31), st.integers(0, 10), st.integers(0, 31), st.floats(0.0, 0.05),
    st.sampled_from([0.0, 0.0, 0.3]), st.floats(0.0, 0.3), st.integers(0, 20),
    st.floats(-3.0, 3.0), st.floats(0.7, 1.3), st.floats(-0.5, 2.0) | st.just(math.nan),
    st.floats(0.5, 1.5), st.integers(0, 2**20),
)  # fmt: skip
@hypothesis.settings(max_examples=400)
def test_what_is_not_drawn_would_have_been_quiet(
    reporters: int, tolerated: int, faulty: int, noise: float, misses: float, deviation: float,
    heartbeat: int, old: float, moved: float, lie: float, ceiling: float, step: int,
) -> None:  # fmt: skip
    rules = settings(
        reporters, tolerated, min(faulty, reporters), noise, misses, high=abs(old) * ceiling,
        deviation=deviation, heartbeat=float(heartbeat),
    )  # fmt: skip
    scratch = np.zeros(MOST_REPORTERS)
    short, long = np.array([old, step - 10.0]), np.array([old, step - 10.0])
    arguments = (scratch, KEY, NOISE_STREAM, MISS_STREAM, step, 0, old * moved, lie)
    code = oracle_round(short, rules, *arguments)
    count = gather_reports(rules, *arguments)
    assert publish(long, rules, scratch, count, float(step)) == code
    assert short.tolist() == long.tolist()


def test_a_still_truth_is_not_drawn() -> None:
    record = np.array([100.0, 0.0])
    rules = settings(7, 2, 2, noise=1e-3, deviation=0.005, heartbeat=96.0)
    assert certainly_quiet(record, rules, 95.0, 100.15)
    assert not certainly_quiet(record, rules, 95.0, 100.16)
    assert not certainly_quiet(record, rules, 96.0, 100.0)


# --- publishing -----------------------------------------------------------------------------------

report = st.floats(-1e6, 1e6) | st.sampled_from([0.0, 1.0, 100.0])


@hypothesis.given(
    st.integers(0, 3), st.tuples(report, report), st.sampled_from([0.0, 0.005, 0.1, 1.0]),
    st.integers(0, 12), report,
    st.lists(
        st.tuples(st.integers(0, 5), st.lists(report, max_size=10)), min_size=1, max_size=30
    ),
)  # fmt: skip
def test_values_are_published_by_deviation_and_heartbeat(
    tolerated: int, limits: tuple[float, float], deviation: float, heartbeat: int, start: float,
    rounds: list[tuple[int, list[float]]],
) -> None:  # fmt: skip
    low, high = min(limits), max(limits)
    rules = settings(
        10, tolerated, low=low, high=high, deviation=deviation, heartbeat=float(heartbeat)
    )
    record, now = np.zeros(ORACLE_WIDTH), 100
    begin_oracle(record, float(now), start)
    value, since = start, 0
    for elapsed, reports in rounds:
        now, since = now + elapsed, since + elapsed
        scratch = np.array(sorted(reports) + [0.0] * (MOST_REPORTERS - len(reports)))
        code = publish(record, rules, scratch, len(reports), float(now))
        if len(reports) <= tolerated:
            assert code == TOO_FEW_REPORTS
        else:
            # The upper of the two middle reports, where there are two.
            median = statistics.median_high(reports)
            if median < low or median > high:
                assert code == OUT_OF_RANGE
            else:
                if value == 0.0:
                    moved = median != 0.0
                else:
                    moved = abs(median - value) >= deviation * abs(value)
                assert code == (DONE if moved or since >= heartbeat else QUIET)
                if code == DONE:
                    value, since = median, 0
        assert record[ORACLE_VALUE] == value
        assert oracle_age(record, float(now)) == since == now - record[ORACLE_UPDATED_AT]


def test_a_median_that_is_no_number_is_not_published() -> None:
    record, rules = np.zeros(ORACLE_WIDTH), settings(3, 0)
    begin_oracle(record, 0.0, 5.0)
    scratch = np.full(MOST_REPORTERS, math.nan)
    assert publish(record, rules, scratch, 3, 9.0) == OUT_OF_RANGE
    code = oracle_round(record, rules, scratch, KEY, NOISE_STREAM, MISS_STREAM, 3, 0, math.nan, 0.0)
    assert code == TOO_FEW_REPORTS
    assert record.tolist() == [5.0, 0.0]


# --- inside a kernel ------------------------------------------------------------------------------


@kernel_function
def _many_rounds(record: Float, rules: Float, scratch: Float, key: Any, steps: int) -> int:
    posts = 0
    for step in range(steps):
        truth = 100.0 + step * 0.05
        code = oracle_round(
            record, rules, scratch, key, NOISE_STREAM, MISS_STREAM, step, 2, truth, 0.0
        )
        posts += 1 if code == DONE else 0
    return posts


def test_a_run_of_steps_keeps_the_value_near_the_truth() -> None:
    """Deviation 0.5 % and a heartbeat of 96: an oracle lags the truth by at most about that."""
    rules = settings(7, 2, 2, noise=1e-4, misses=0.05, deviation=0.005, heartbeat=96.0)
    record, scratch = np.zeros(ORACLE_WIDTH), np.zeros(MOST_REPORTERS)
    begin_oracle(record, 0.0, 100.0)
    posts = _many_rounds(record, rules, scratch, KEY, 2000)
    truth = 100.0 + 1999 * 0.05
    assert record[ORACLE_VALUE] == pytest.approx(truth, rel=0.006)
    # ln(2) / 0.5 % posts carry a value that doubles, give or take the noise.
    assert 100 <= posts <= 180
