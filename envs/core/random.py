"""Counter-based random numbers: every draw is a function of where it is used.

A draw is f(key, stream, step, index), with f = Philox4x32-10 (Salmon, Moraes, Dror and Shaw,
"Parallel random numbers: as easy as 1, 2, 3", SC'11, and the Random123 library). There is no state
to advance, so a draw depends neither on actions nor on batch size, order or threads.

* ``key`` (uint64): the episode's key, `episode_key(root, episode)`; root from `root_keys(seeds)`.
* ``stream`` (0 .. 2**32 - 2): which process draws. A stream belongs to ONE distribution: two
  distributions at the same place would be built from the same bits.
* ``step`` (0 .. 2**32 - 1): time step.
* ``index`` (0 .. 2**32 - 1): which member (bus, vehicle, proposal) of the process.

All functions but `root_keys` are compiled into kernels and may also be called from Python. Whole
arguments may be int64 or uint64: they are cast at entry, as numba adds int64 and uint64 as float64.
State blocks are int64: store a key with `as_int64`, read it back with `as_uint64`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .compiled import inlined_function, kernel_function
from .layout import Float
from .mathematics import exp, log

_MULTIPLIER_0 = np.uint64(0xD2511F53)
_MULTIPLIER_1 = np.uint64(0xCD9E8D57)
_WEYL_0 = np.uint64(0x9E3779B9)
_WEYL_1 = np.uint64(0xBB67AE85)
_MASK_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)
_SHIFT_11 = np.uint64(11)
_SHIFT_12 = np.uint64(12)
_NONE = np.uint64(0)
_EPISODE_STREAM = np.uint64(0xFFFFFFFF)
_TWO_MINUS_53 = 1.0 / 9007199254740992.0
_TWO_MINUS_52 = 1.0 / 4503599627370496.0

_POISSON_INVERSION_BELOW = 10.0
_POISSON_INVERSION_TERMS = 100
_POISSON_ATTEMPTS = 64
_POISSON_LARGEST_MEAN = 1e15
_HALF_LOG_TWO_PI = 0.9189385332046727


@kernel_function
def as_int64(value: Any) -> Any:
    """The same 64 bits as int64, to keep a key in an int64 state block."""
    return np.int64(value)


@kernel_function
def as_uint64(value: Any) -> Any:
    """The same 64 bits as uint64, to read a key from an int64 state block."""
    return np.uint64(value)


@inlined_function
def philox4x32(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Philox4x32-10: four 32-bit words of counter, two of key -> four random 32-bit words.

    Inputs are taken modulo 2**32; outputs are uint64 values below 2**32.
    """
    x0 = np.uint64(c0) & _MASK_32
    x1 = np.uint64(c1) & _MASK_32
    x2 = np.uint64(c2) & _MASK_32
    x3 = np.uint64(c3) & _MASK_32
    key0 = np.uint64(k0) & _MASK_32
    key1 = np.uint64(k1) & _MASK_32
    for _ in range(10):
        product0 = _MULTIPLIER_0 * x0
        product1 = _MULTIPLIER_1 * x2
        x0 = (product1 >> _SHIFT_32) ^ x1 ^ key0
        x1 = product1 & _MASK_32
        x2 = (product0 >> _SHIFT_32) ^ x3 ^ key1
        x3 = product0 & _MASK_32
        key0 = (key0 + _WEYL_0) & _MASK_32
        key1 = (key1 + _WEYL_1) & _MASK_32
    return x0, x1, x2, x3


@inlined_function
def _attempt_bits(key: Any, stream: Any, step: Any, index: Any, attempt: Any) -> tuple[Any, Any]:
    """Two uint64 of random bits; ``attempt`` tells the tries of a rejection method apart."""
    whole_key = np.uint64(key)
    x0, x1, x2, x3 = philox4x32(
        index, attempt, step, stream, whole_key & _MASK_32, whole_key >> _SHIFT_32
    )
    return x0 | (x1 << _SHIFT_32), x2 | (x3 << _SHIFT_32)


@kernel_function
def draw_bits(key: Any, stream: Any, step: Any, index: Any) -> tuple[Any, Any]:
    """Two independent uint64 of random bits at (key, stream, step, index)."""
    return _attempt_bits(key, stream, step, index, _NONE)


@kernel_function
def episode_key(root: Any, episode: Any) -> Any:
    """Key (uint64) of episode number ``episode`` (0, 1, ...) of the lane with this root key."""
    number = np.uint64(episode)
    return _attempt_bits(root, _EPISODE_STREAM, _NONE, number, number >> _SHIFT_32)[0]


@kernel_function
def _half_open(bits: Any) -> float:
    """uint64 -> a multiple of 2**-53 in [0, 1)."""
    return np.float64(np.int64(bits >> _SHIFT_11)) * _TWO_MINUS_53


@kernel_function
def _open(bits: Any) -> float:
    """uint64 -> an odd multiple of 2**-53 in (0, 1), symmetric about 1/2."""
    return (np.float64(np.int64(bits >> _SHIFT_12)) + 0.5) * _TWO_MINUS_52


@kernel_function
def uniform(key: Any, stream: Any, step: Any, index: Any) -> float:
    """Uniform float64 in [0, 1) with 53 random bits."""
    return _half_open(draw_bits(key, stream, step, index)[0])


@kernel_function
def fill_uniforms(
    key: Any, stream: Any, step: Any, numbers: Float, row: int, first: int, count: int
) -> None:
    """`uniform` at the indices 0 .. count - 1 into `numbers[row]` (float64), from `first` on.

    Draws that stand side by side are computed side by side; a branch that depends on one of them
    would make the next one wait.
    """
    for index in range(count):
        bits = _attempt_bits(key, stream, step, index, _NONE)[0]
        numbers[row, first + index] = _half_open(bits)


@kernel_function
def uniform_pair(key: Any, stream: Any, step: Any, index: Any) -> tuple[float, float]:
    """Two independent uniforms in [0, 1); the first is that of `uniform`."""
    first, second = draw_bits(key, stream, step, index)
    return _half_open(first), _half_open(second)


@kernel_function
def _degree_7(
    x: float,
    c0: float, c1: float, c2: float, c3: float,
    c4: float, c5: float, c6: float, c7: float,
) -> float:  # fmt: skip
    """c0 + c1 x + ... + c7 x**7 by Horner's rule."""
    return ((((((c7 * x + c6) * x + c5) * x + c4) * x + c3) * x + c2) * x + c1) * x + c0


@kernel_function
def normal_quantile(p: float) -> float:
    """Inverse of the standard normal distribution function, 0 < p < 1.

    Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied
    Statistics 37 (1988) 477-484, routine PPND16: relative error about 1e-16.
    """
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        above = _degree_7(
            r,
            3.3871328727963666080e0, 1.3314166789178437745e2,
            1.9715909503065514427e3, 1.3731693765509461125e4,
            4.5921953931549871457e4, 6.7265770927008700853e4,
            3.3430575583588128105e4, 2.5090809287301226727e3,
        )  # fmt: skip
        below = _degree_7(
            r,
            1.0, 4.2313330701600911252e1,
            6.8718700749205790830e2, 5.3941960214247511077e3,
            2.1213794301586595867e4, 3.9307895800092710610e4,
            2.8729085735721942674e4, 5.2264952788528545610e3,
        )  # fmt: skip
        return q * above / below
    tail = p if q < 0.0 else 1.0 - p
    r = np.sqrt(-log(tail))
    if r <= 5.0:
        r -= 1.6
        above = _degree_7(
            r,
            1.42343711074968357734e0, 4.63033784615654529590e0,
            5.76949722146069140550e0, 3.64784832476320460504e0,
            1.27045825245236838258e0, 2.41780725177450611770e-1,
            2.27238449892691845833e-2, 7.74545014278341407640e-4,
        )  # fmt: skip
        below = _degree_7(
            r,
            1.0, 2.05319162663775882187e0,
            1.67638483018380384940e0, 6.89767334985100004550e-1,
            1.48103976427480074590e-1, 1.51986665636164571966e-2,
            5.47593808499534494600e-4, 1.05075007164441684324e-9,
        )  # fmt: skip
    else:
        r -= 5.0
        above = _degree_7(
            r,
            6.65790464350110377720e0, 5.46378491116411436990e0,
            1.78482653991729133580e0, 2.96560571828504891230e-1,
            2.65321895265761230930e-2, 1.24266094738807843860e-3,
            2.71155556874348757815e-5, 2.01033439929228813265e-7,
        )  # fmt: skip
        below = _degree_7(
            r,
            1.0, 5.99832206555887937690e-1,
            1.36929880922735805310e-1, 1.48753612908506148525e-2,
            7.86869131145613259100e-4, 1.84631831751005468180e-5,
            1.42151175831644588870e-7, 2.04426310338993978564e-15,
        )  # fmt: skip
    size = above / below
    return -size if q < 0.0 else size


@kernel_function
def normal_pair(key: Any, stream: Any, step: Any, index: Any) -> tuple[float, float]:
    """Two independent standard normals (inversion, abs below 8.3) from one Philox call."""
    first, second = draw_bits(key, stream, step, index)
    return normal_quantile(_open(first)), normal_quantile(_open(second))


@kernel_function
def normal(key: Any, stream: Any, step: Any, index: Any) -> float:
    """A standard normal; the first of `normal_pair` at the same place."""
    return normal_quantile(_open(draw_bits(key, stream, step, index)[0]))


@kernel_function
def lognormal(key: Any, stream: Any, step: Any, index: Any, mu: float, sigma: float) -> float:
    """exp(mu + sigma z): median exp(mu), mean exp(mu + sigma**2 / 2)."""
    return exp(mu + sigma * normal(key, stream, step, index))


@kernel_function
def exponential(key: Any, stream: Any, step: Any, index: Any) -> float:
    """An exponential variate of mean 1, by inversion; finite and above 0."""
    return -log(_open(draw_bits(key, stream, step, index)[0]))


@kernel_function
def integer(key: Any, stream: Any, step: Any, index: Any, n: Any) -> np.int64:
    """A whole number 0 .. n - 1 (int64), 1 <= n <= 2**32; 0 for n < 1.

    The high word of the 64 x 32 bit product (Lemire 2019, without rejection): no value's
    probability is off by more than 2**-64, so the largest relative bias is below 2**-32.
    """
    if n < 1:
        return np.int64(0)
    bits = draw_bits(key, stream, step, index)[0]
    count = np.uint64(n)
    low = ((bits & _MASK_32) * count) >> _SHIFT_32
    return np.int64(((bits >> _SHIFT_32) * count + low) >> _SHIFT_32)


@kernel_function
def _log_factorial(k: float) -> float:
    """log(k!) for whole k >= 0 by Stirling's series at k + 1 >= 8, shifted there if smaller."""
    x = k + 1.0
    product = 1.0
    while x < 8.0:
        product *= x
        x += 1.0
    y = 1.0 / (x * x)
    series = (1.0 / 12.0 + y * (-1.0 / 360.0 + y * (1.0 / 1260.0 + y * (
        -1.0 / 1680.0 + y * (1.0 / 1188.0 + y * (-691.0 / 360360.0)))))) / x  # fmt: skip
    return (x - 0.5) * log(x) - x + _HALF_LOG_TWO_PI + series - log(product)


@kernel_function
def poisson(key: Any, stream: Any, step: Any, index: Any, mean: float) -> np.int64:
    """A Poisson count (int64); 0 where mean is not above 0; mean is cut at 1e15.

    Mean below 10: inversion by sequential search of one uniform (at most 100 terms, beyond which
    less than 1e-60 of the mass lies). From 10 on: the transformed rejection PTRS of Hormann, "The
    transformed rejection method for generating Poisson random variables", Insurance: Mathematics
    and Economics 12 (1993) 39-45; at most 64 tries (all fail with probability below 1e-30, and
    then the count is the mode).
    """
    if not mean > 0.0:
        return np.int64(0)
    if mean < _POISSON_INVERSION_BELOW:
        u = _half_open(draw_bits(key, stream, step, index)[0])
        term = exp(-mean)
        total = term
        count = 0
        while u >= total and count < _POISSON_INVERSION_TERMS:
            count += 1
            term *= mean / count
            total += term
            if term < 1e-18 and count > mean:
                break
        return np.int64(count)
    mean = min(mean, _POISSON_LARGEST_MEAN)
    log_mean = log(mean)
    b = 0.931 + 2.53 * np.sqrt(mean)
    a = -0.059 + 0.02483 * b
    inverse_alpha = 1.1239 + 1.1328 / (b - 3.4)
    squeeze = 0.9277 - 3.6224 / (b - 2.0)
    for attempt in range(_POISSON_ATTEMPTS):
        first, second = _attempt_bits(key, stream, step, index, attempt)
        u = _open(first) - 0.5
        v = _open(second)
        distance = 0.5 - abs(u)
        k = np.floor((2.0 * a / distance + b) * u + mean + 0.43)
        if distance >= 0.07 and v <= squeeze:
            return np.int64(k)
        if k < 0.0 or (distance < 0.013 and v > distance):
            continue
        left = log(v * inverse_alpha / (a / (distance * distance) + b))
        if left <= k * log_mean - mean - _log_factorial(k):
            return np.int64(k)
    return np.int64(np.floor(mean))


def root_keys(seeds: Sequence[int] | npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint64]:
    """Root key of each lane: ``SeedSequence(seed).generate_state(1, uint64)``, shape (len(seeds),).

    Raises:
        ValueError: a seed is negative or not a whole number; names its position.
    """
    keys = np.empty(len(seeds), dtype=np.uint64)
    for lane, seed in enumerate(seeds):
        if isinstance(seed, (bool, np.bool_)) or not isinstance(seed, (int, np.integer)):
            raise ValueError(f"seed of lane {lane}: a whole number >= 0 is wanted, got {seed!r}")
        if seed < 0:
            raise ValueError(f"seed of lane {lane}: a whole number >= 0 is wanted, got {seed}")
        keys[lane] = np.random.SeedSequence(int(seed)).generate_state(1, np.uint64)[0]
    return keys
