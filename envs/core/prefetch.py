"""Ask for memory before it is needed, from compiled code.

A lane's state under a voted charter is some ten kB, of which a step reads a few lines: too far
apart for the processor to guess, and each costs a hundred operations when it is waited for.
"""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from .compiled import inlined_function

LINE_NUMBERS = 8
"""int64 or float64 numbers in a cache line of 64 bytes."""
_READ, _KEEP, _DATA = 0, 3, 1


@intrinsic
def prefetch(typing_context: Any, array: Any, row: Any, column: Any) -> Any:
    """Bring the line of `array[row, column]` near; any place is allowed, none is read."""
    if not (isinstance(array, types.Array) and array.layout == "C" and array.ndim == 2):
        raise numba.TypingError(f"a C-ordered array of two dimensions is wanted, got {array}")

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        whole, row_type, column_type = signature.args
        made = context.make_array(whole)(context, builder, arguments[0])
        i = context.cast(builder, arguments[1], row_type, types.intp)
        j = context.cast(builder, arguments[2], column_type, types.intp)
        width = builder.extract_value(made.shape, 1)
        place = builder.gep(made.data, [builder.add(builder.mul(i, width), j)])
        pointer = builder.bitcast(place, cgutils.voidptr_t)
        flag = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, flag, flag, flag])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        builder.call(function, [pointer, flag(_READ), flag(_KEEP), flag(_DATA)])
        return context.get_dummy_value()

    return types.void(array, row, column), generate


@inlined_function
def prefetch_row(array: Any, row: int) -> None:
    """Bring all of `array[row]` near, (rows, columns) of int64 or float64."""
    for column in range(0, array.shape[1], LINE_NUMBERS):
        prefetch(array, row, column)
