"""Elementary functions that give the same bits on every CPU.

The C library's ``exp``, ``log``, ``sin``, ``cos`` and ``pow`` differ between CPUs and releases, so
a trajectory computed with them cannot be kept as a digest. These use only ``+ - * /`` (each
correctly rounded by IEEE 754), comparisons and integer operations on the bit pattern; no table,
no fused multiply-add and no branch that keeps LLVM from vectorising a loop around them.

Reductions and polynomials of ``log``, ``sin`` and ``cos`` follow fdlibm (Sun Microsystems, 1993,
e_log.c, k_sin.c, k_cos.c, e_rem_pio2.c); ``exp`` is a Taylor polynomial on |r| <= ln(2)/2.
Largest errors measured against mpmath: below 1 ulp for each of the four on the ranges named in
their docstrings. All take and return float64 scalars and are compiled into their callers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .compiled import kernel_function

_LOG2_E = 1.4426950408889634
# ln(2) in two parts; the first has 32 significant bits, so its product with an exponent is exact.
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_LN2 = 0.6931471805599453

# pi/2 in parts of 33 bits, so that their products with |n| < 2**20 are exact.
_TWO_OVER_PI = 6.36619772367581382433e-01
_HALF_PI_1 = 1.57079632673412561417e00
_HALF_PI_2 = 6.07710050630396597660e-11
_HALF_PI_3 = 2.02226624871116645580e-21
_HALF_PI_4 = 8.47842766036889956997e-32

SIN_COS_LIMIT = 1.6e6
"""Largest |x| (radians) that `sin` and `cos` reduce exactly; beyond it they return nan."""

# Adding this constant rounds a float64 of magnitude < 2**51 to the nearest integer, which then
# stands in the low bits of the sum: no conversion instruction, so it vectorises everywhere.
_ROUNDER = 6755399441055744.0
_ROUNDER_BITS = np.uint64(0x4338000000000000)
_EXPONENT_BIAS_TWICE = np.uint64(2046)
_EXPONENT_SHIFT = np.uint64(52)
_ONE_BIT = np.uint64(1)
_TWO_BIT = np.uint64(2)
_ZERO_BITS = np.uint64(0)
_MANTISSA_MASK = np.uint64(0x000FFFFFFFFFFFFF)
_ROOT_HALF_BITS = np.uint64(0x3FE6A09E00000000)
_TO_ROOT_HALF = np.uint64(0x3FF0000000000000 - 0x3FE6A09E00000000)
_TWO_52 = 4503599627370496.0
_TWO_52_BITS = np.uint64(0x4330000000000000)
_SMALLEST_NORMAL = 2.2250738585072014e-308
_TWO_54 = 18014398509481984.0


@intrinsic
def float_bits(typing_context: Any, value: Any) -> Any:
    """Bit pattern of a float64 as uint64 (compiled code only)."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.uint64(types.float64), codegen


@intrinsic
def bits_float(typing_context: Any, bits: Any) -> Any:
    """The float64 that has this uint64 bit pattern (compiled code only)."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return types.float64(types.uint64), codegen


@kernel_function
def _exp_times_power_of_two(r: float, biased_exponent: int) -> float:
    """exp(r) * 2**(biased_exponent - 2046) for |r| <= 0.35, rounded once.

    The power of two is applied in two halves, as 2**1024 and 2**-1075 are not float64 numbers.
    """
    p = 1.0 / 6227020800.0
    p = p * r + 1.0 / 479001600.0
    p = p * r + 1.0 / 39916800.0
    p = p * r + 1.0 / 3628800.0
    p = p * r + 1.0 / 362880.0
    p = p * r + 1.0 / 40320.0
    p = p * r + 1.0 / 5040.0
    p = p * r + 1.0 / 720.0
    p = p * r + 1.0 / 120.0
    p = p * r + 1.0 / 24.0
    p = p * r + 1.0 / 6.0
    p = p * r + 0.5
    y = 1.0 + (r + r * r * p)
    first = biased_exponent >> _ONE_BIT
    second = biased_exponent - first
    half: float = bits_float(first << _EXPONENT_SHIFT)
    other_half: float = bits_float(second << _EXPONENT_SHIFT)
    return y * half * other_half


@kernel_function
def exp(x: float) -> float:
    """e**x; inf above 709.78, 0 below -745.13, subnormal between -745.13 and -708.4."""
    x = 710.0 if x > 710.0 else x
    x = -746.0 if x < -746.0 else x
    shifted = x * _LOG2_E + _ROUNDER
    k = shifted - _ROUNDER
    r = (x - k * _LN2_HIGH) - k * _LN2_LOW
    return _exp_times_power_of_two(r, float_bits(shifted) - _ROUNDER_BITS + _EXPONENT_BIAS_TWICE)


@kernel_function
def exp2(x: float) -> float:
    """2**x; inf from 1024, 0 below -1075. Exact for whole x."""
    x = 1025.0 if x > 1025.0 else x
    x = -1077.0 if x < -1077.0 else x
    shifted = x + _ROUNDER
    r = (x - (shifted - _ROUNDER)) * _LN2
    return _exp_times_power_of_two(r, float_bits(shifted) - _ROUNDER_BITS + _EXPONENT_BIAS_TWICE)


@kernel_function
def log(x: float) -> float:
    """Natural logarithm; -inf at 0, nan below 0, inf at inf, right for subnormal x too."""
    tiny = x < _SMALLEST_NORMAL
    scaled = x * _TWO_54 if tiny else x
    # x = 2**k (1 + f) with sqrt(1/2) < 1 + f < sqrt(2)
    bits = float_bits(scaled) + _TO_ROOT_HALF
    k = bits_float((bits >> _EXPONENT_SHIFT) | _TWO_52_BITS) - (_TWO_52 + 1023.0)
    k = k - 54.0 if tiny else k
    f = bits_float((bits & _MANTISSA_MASK) + _ROOT_HALF_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    odd = z * (
        0.6666666666666735130
        + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591))
    )
    half_square = 0.5 * f * f
    result = s * (half_square + (even + odd)) + k * _LN2_LOW - half_square + f + k * _LN2_HIGH
    result = x if x > 1.7976931348623157e308 else result
    result = -np.inf if x == 0.0 else result
    return result if x >= 0.0 else np.nan


@kernel_function
def power(x: float, y: float) -> float:
    """x**y for x > 0 (and 0**y); nan for x < 0, 1 for y == 0.

    Computed as exp(y log x): the relative error is a few ulp times max(1, abs(y log x)).
    """
    result = exp(y * log(x))
    return 1.0 if y == 0.0 else result


@kernel_function
def sin_cos(x: float) -> tuple[float, float]:
    """(sin x, cos x), x in radians with abs(x) <= `SIN_COS_LIMIT`; nan beyond."""
    x = x if abs(x) <= SIN_COS_LIMIT else np.nan
    shifted = x * _TWO_OVER_PI + _ROUNDER
    n = shifted - _ROUNDER
    quadrant = float_bits(shifted)
    # r + low = x - n pi/2 (Cody and Waite), each subtraction with its rounding error kept
    r0 = x - n * _HALF_PI_1
    part = n * _HALF_PI_2
    r1 = r0 - part
    back = r1 - r0
    error = (r0 - (r1 - back)) - (part + back)
    part = n * _HALF_PI_3
    r2 = r1 - part
    back = r2 - r1
    error += (r1 - (r2 - back)) - (part + back)
    error -= n * _HALF_PI_4
    r = r2 + error
    low = (r2 - r) + error

    z = r * r
    w = z * z
    tail = (
        8.33333333332248946124e-03
        + z * (-1.98412698298579493134e-04 + z * 2.75573137070700676789e-06)
        + z * w * (-2.50507602534068634195e-08 + z * 1.58969099521155010221e-10)
    )
    v = z * r
    sine = r - ((z * (0.5 * low - v * tail) - low) - v * -1.66666666666666324348e-01)
    tail = z * (
        4.16666666666666019037e-02
        + z * (-1.38888888888741095749e-03 + z * 2.48015872894767294178e-05)
    ) + w * w * (
        -2.75573143513906633035e-07
        + z * (2.08757232129817482790e-09 + z * -1.13596475577881948265e-11)
    )
    half = 0.5 * z
    near_one = 1.0 - half
    cosine = near_one + (((1.0 - near_one) - half) + (z * tail - r * low))

    odd = (quadrant & _ONE_BIT) != _ZERO_BITS
    sin_value = cosine if odd else sine
    cos_value = sine if odd else cosine
    sin_value = -sin_value if (quadrant & _TWO_BIT) != _ZERO_BITS else sin_value
    cos_value = -cos_value if ((quadrant + _ONE_BIT) & _TWO_BIT) != _ZERO_BITS else cos_value
    return sin_value, cos_value


@kernel_function
def sin(x: float) -> float:
    """Sine of x radians, abs(x) <= `SIN_COS_LIMIT`; nan beyond."""
    return sin_cos(x)[0]


@kernel_function
def cos(x: float) -> float:
    """Cosine of x radians, abs(x) <= `SIN_COS_LIMIT`; nan beyond."""
    return sin_cos(x)[1]
