"""Philox against its published vectors, distributions against scipy, draws against their order."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from daogym.envs.core import random

pytestmark = pytest.mark.kernel

KEY = np.uint64(0x9E3779B97F4A7C15)  # above 2**63, where int64 and uint64 part ways
N = 40_000
# every statistical test is deterministic (fixed key); its p-value is checked once, here, for all
SMALLEST_P = 1e-3

ONES = 0xFFFFFFFF


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        # Random123, tests/kat_vectors, lines "philox4x32 10"
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
)
def test_published_vectors(
    counter: tuple[int, ...], key: tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert tuple(int(word) for word in random.philox4x32(*counter, *key)) == expected


def test_where_a_draw_stands_in_the_counter() -> None:
    """Counter words index, try, step, stream; key words low, high: fixed for good."""
    x0, x1, x2, x3 = (
        int(word) for word in random.philox4x32(7, 0, 5, 3, int(KEY) & ONES, int(KEY) >> 32)
    )
    first, second = random.draw_bits(KEY, 3, 5, 7)
    assert (int(first), int(second)) == (x0 | x1 << 32, x2 | x3 << 32)
    assert random.uniform(KEY, 3, 5, 7) == (int(first) >> 11) / 2**53
    assert random.uniform_pair(KEY, 3, 5, 7)[1] == (int(second) >> 11) / 2**53


@given(st.integers(0, 2**64 - 1))
def test_keys_survive_int64_blocks(key: int) -> None:
    kept = random.as_int64(np.uint64(key))
    assert -(2**63) <= int(kept) < 2**63
    assert int(kept) % 2**64 == key
    assert int(random.as_uint64(np.int64(kept))) == key


@numba.njit(error_model="numpy")
def _all_kinds(key: Any, step: Any, index: Any) -> tuple[float, ...]:
    return (
        random.uniform(key, 1, step, index),
        random.normal(key, 2, step, index),
        random.normal_pair(key, 2, step, index)[1],
        random.exponential(key, 3, step, index),
        random.lognormal(key, 4, step, index, 0.3, 0.5),
        np.float64(random.poisson(key, 5, step, index, 3.5)),
        np.float64(random.poisson(key, 6, step, index, 40.0)),
        np.float64(random.integer(key, 7, step, index, 7)),
    )


@numba.njit(error_model="numpy")
def _fill(key: Any, n: int) -> npt.NDArray[np.float64]:
    out = np.empty((n, 8))
    for i in range(n):
        row = _all_kinds(key, i % 200, i // 200)
        for k in range(8):
            out[i, k] = row[k]
    return out


@numba.njit(error_model="numpy")
def _fill_backwards(keys: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.float64]:
    out = np.empty((n, 8))
    for i in range(n - 1, -1, -1):
        row = _all_kinds(random.as_uint64(keys[0]), np.int32(i % 200), np.uint64(i // 200))
        for k in range(8):
            out[i, k] = row[k]
    return out


@pytest.fixture(scope="module")
def draws() -> npt.NDArray[np.float64]:
    return _fill(KEY, N)


def test_draws_do_not_know_their_order(draws: npt.NDArray[np.float64]) -> None:
    """Same values backwards, from an int64 block, and one at a time from Python."""
    block = np.array([random.as_int64(KEY)], dtype=np.int64)
    np.testing.assert_array_equal(_fill_backwards(block, N), draws)
    np.testing.assert_array_equal(_fill(KEY, 100), draws[:100])
    for i in (0, 399, N - 1):
        step, index = i % 200, i // 200
        assert random.uniform(KEY, 1, step, index) == draws[i, 0]
        assert random.normal_pair(KEY, 2, step, index) == (draws[i, 1], draws[i, 2])
        assert random.poisson(KEY, 6, step, index, 40.0) == draws[i, 6]


def test_the_bits_are_fixed_for_good(draws: npt.NDArray[np.float64]) -> None:
    assert hashlib.sha256(draws[:2000].tobytes()).hexdigest() == DIGEST


DIGEST = "4d5b4502570a91af41bd333f25654b0a65f0c65f66106f64b43a2b05719ab91e"


def test_continuous_distributions(draws: npt.NDArray[np.float64]) -> None:
    exact = [
        (0, scipy.stats.uniform()),
        (1, scipy.stats.norm()),
        (2, scipy.stats.norm()),
        (3, scipy.stats.expon()),
        (4, scipy.stats.lognorm(s=0.5, scale=np.exp(0.3))),
    ]
    for column, distribution in exact:
        values = draws[:, column]
        assert scipy.stats.kstest(values, distribution.cdf).pvalue > SMALLEST_P, column
        error = distribution.std() / np.sqrt(N)
        assert abs(values.mean() - distribution.mean()) < 4 * error, column
        # the variance's own spread, from the fourth moment
        spread = np.sqrt((distribution.stats("k") + 2.0) / N) * distribution.var()
        assert abs(values.var() - distribution.var()) < 4 * spread, column
    assert draws[:, 0].min() >= 0.0 and draws[:, 0].max() < 1.0
    assert draws[:, 3].min() > 0.0


@numba.njit(error_model="numpy")
def _poisson(mean: float, n: int) -> npt.NDArray[np.int64]:
    out = np.empty(n, np.int64)
    for i in range(n):
        out[i] = random.poisson(KEY, 11, 0, i, mean)
    return out


@pytest.mark.parametrize("mean", [0.05, 0.9, 3.5, 9.99, 10.0, 14.2, 100.0, 5000.0])
def test_poisson(mean: float) -> None:
    counts = _poisson(mean, N)
    exact = scipy.stats.poisson(mean)
    # classes of about equal probability, so that each holds enough
    edges = np.unique(exact.ppf(np.linspace(0, 1, 41)[1:-1]))
    limits = np.concatenate([[-np.inf], edges, [np.inf]])
    observed = np.histogram(counts, bins=np.nextafter(limits, np.inf))[0]
    expected = N * np.diff(np.concatenate([[0.0], exact.cdf(edges), [1.0]]))
    keep = expected > 0
    assert scipy.stats.chisquare(observed[keep], expected[keep]).pvalue > SMALLEST_P
    assert abs(counts.mean() - mean) < 4 * np.sqrt(mean / N)


@pytest.mark.parametrize("mean", [0.0, -1.0, np.nan])
def test_poisson_without_a_mean_is_zero(mean: float) -> None:
    assert random.poisson(KEY, 0, 0, 0, mean) == 0


@pytest.mark.parametrize("mean", [1e-300, 1e6, 1e15, 1e300, np.inf])
def test_poisson_of_extreme_means_ends(mean: float) -> None:
    count = random.poisson(KEY, 0, 0, 0, mean)
    assert abs(count - min(mean, 1e15)) <= 8 * np.sqrt(min(mean, 1e15)) + 1e-9


def test_normal_quantile_against_scipy() -> None:
    p = np.concatenate([np.linspace(1e-9, 1 - 1e-9, 4001), 10.0 ** -np.arange(10, 300, 7.0)])
    got = np.array([random.normal_quantile(x) for x in p])
    np.testing.assert_allclose(got, scipy.special.ndtri(p), rtol=3e-15, atol=3e-16)


def test_log_factorial_against_scipy() -> None:
    k = np.concatenate([np.arange(40.0), 10.0 ** np.arange(2, 15)])
    got = np.array([random._log_factorial(x) for x in k])
    np.testing.assert_allclose(got, scipy.special.gammaln(k + 1), rtol=1e-14, atol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 7, 1000])
def test_integer_is_uniform(n: int) -> None:
    values = np.array([int(random.integer(KEY, 21, 0, i, n)) for i in range(8000)])
    assert values.min() >= 0 and values.max() < n
    if n > 1:
        observed = np.bincount(values, minlength=n)
        assert scipy.stats.chisquare(observed).pvalue > SMALLEST_P


@given(st.integers(1, 2**32), st.integers(0, 1000))
def test_integer_is_the_high_word_of_the_product(n: int, index: int) -> None:
    bits = int(random.draw_bits(KEY, 22, 0, index)[0])
    assert random.integer(KEY, 22, 0, index, n) == bits * n >> 64


@pytest.mark.parametrize("n", [0, -5])
def test_integer_below_nothing_is_zero(n: int) -> None:
    assert random.integer(KEY, 0, 0, 0, n) == 0


@numba.njit(error_model="numpy")
def _grid(vary: int, n: int) -> npt.NDArray[np.float64]:
    """Uniforms along one of the four coordinates."""
    out = np.empty(n)
    for i in range(n):
        at = np.zeros(4, np.int64)
        at[vary] = i
        out[i] = random.uniform(np.uint64(at[0]), at[1], at[2], at[3])
    return out


@pytest.mark.parametrize("vary", range(4))
def test_neighbouring_places_are_independent(vary: int) -> None:
    u = _grid(vary, N)
    assert scipy.stats.kstest(u, "uniform").pvalue > SMALLEST_P
    for lag in (1, 2, 64):
        cells = np.histogram2d(u[:-lag:2], u[lag::2][: u[:-lag:2].size], bins=8)[0]
        assert scipy.stats.chisquare(cells.ravel()).pvalue > SMALLEST_P, lag


def test_two_values_of_a_pair_are_independent(draws: npt.NDArray[np.float64]) -> None:
    cells = np.histogram2d(
        scipy.special.ndtr(draws[:, 1]), scipy.special.ndtr(draws[:, 2]), bins=10
    )[0]
    assert scipy.stats.chisquare(cells.ravel()).pvalue > SMALLEST_P


def test_episode_keys_differ_and_are_not_the_draws_of_a_stream() -> None:
    keys = {int(random.episode_key(root, e)) for root in range(30) for e in range(100)}
    assert len(keys) == 3000
    assert int(random.episode_key(KEY, 2**40)) != int(random.episode_key(KEY, 0))
    assert int(random.episode_key(np.int64(5), 3)) == int(random.episode_key(np.uint64(5), 3))
    x0, x1, _, _ = random.philox4x32(3, 0, 0, ONES, 5, 0)
    assert int(random.episode_key(5, 3)) == int(x0) | int(x1) << 32


def test_root_keys_are_those_of_seed_sequence() -> None:
    seeds = [0, 1, 2**40, np.int64(7)]
    got = random.root_keys(seeds)
    assert got.dtype == np.uint64
    expected = [np.random.SeedSequence(int(s)).generate_state(1, np.uint64)[0] for s in seeds]
    assert got.tolist() == expected
    np.testing.assert_array_equal(random.root_keys(np.arange(3)), random.root_keys([0, 1, 2]))


def test_root_keys_of_4096_lanes_are_quick() -> None:
    times = []
    for _ in range(5):
        start = time.perf_counter()
        random.root_keys(range(4096))
        times.append(time.perf_counter() - start)
    assert min(times) < 0.1


@pytest.mark.parametrize("bad", [-1, 1.5, True, "3", None])
def test_a_bad_seed_is_named_with_its_lane(bad: Any) -> None:
    with pytest.raises(ValueError, match=r"lane 1: a whole number >= 0 is wanted, got"):
        random.root_keys([0, bad])
