"""Exact whole-number arithmetic for money and votes, guarded against int64 overflow."""

from __future__ import annotations

import numpy as np

from daogym.envs.core.compiled import kernel_function
from daogym.envs.core.random import as_int64

LARGEST = 9223372036854775807
"""Largest int64: the most cents or shares that can be counted."""

_MASK_32 = np.uint64(0xFFFFFFFF)
_SHIFT_32 = np.uint64(32)
_ONE = np.uint64(1)
_TOP_BIT = np.uint64(63)
_LARGEST = np.uint64(LARGEST)


@kernel_function
def sum_fits(a: int, b: int) -> bool:
    """Whether a + b of two numbers >= 0 is an int64."""
    return a <= LARGEST - b


@kernel_function
def capped_sum(a: int, b: int) -> int:
    """a + b of two numbers >= 0, held at `LARGEST`."""
    return a + b if a <= LARGEST - b else LARGEST


@kernel_function
def multiply_divide(a: int, b: int, c: int) -> tuple[int, int]:
    """(floor(a b / c), a b mod c), exact for every int64 a >= 0, b >= 0, c >= 1.

    The product may have 126 bits, as Solidity's ``mulDiv`` allows. (-1, 0) where an argument is
    out of range or the quotient is no int64.
    """
    if a < 0 or b < 0 or c < 1:
        return -1, 0
    if a == 0 or b <= LARGEST // a:
        product = a * b
        return product // c, product % c
    a_low, a_high = np.uint64(a) & _MASK_32, np.uint64(a) >> _SHIFT_32
    b_low, b_high = np.uint64(b) & _MASK_32, np.uint64(b) >> _SHIFT_32
    low = a_low * b_low
    middle = a_high * b_low + (low >> _SHIFT_32)
    other = a_low * b_high + (middle & _MASK_32)
    rest = a_high * b_high + (middle >> _SHIFT_32) + (other >> _SHIFT_32)
    low = (other << _SHIFT_32) | (low & _MASK_32)
    # Long division, bit by bit: `rest` stays below the divisor, which has 63 bits.
    divisor = np.uint64(c)
    if rest >= divisor:
        return -1, 0
    quotient = np.uint64(0)
    for _ in range(64):
        rest = (rest << _ONE) | (low >> _TOP_BIT)
        low = low << _ONE
        quotient = quotient << _ONE
        if rest >= divisor:
            rest -= divisor
            quotient |= _ONE
    if quotient > _LARGEST:
        return -1, 0
    return as_int64(quotient), as_int64(rest)
