"""Sixteen environments as one value, for compiled code that must run on vector units.

Inner loops over environments touch many arrays, and a compiler that cannot prove them apart
guards every such loop with checks that cost more than the loop. `Lanes` values are LLVM vectors
of sixteen float64: `load` and `store` move a row of a (rows, 16) array, + - * / and the functions
below work on each lane alone and round as scalar code does, on every CPU.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numba
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, overload, register_model

LANES = 16
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)


class LanesType(types.Type):  # type: ignore[misc]
    """Numba's type of sixteen float64 side by side."""

    def __init__(self) -> None:
        super().__init__(name="Lanes16")


lanes_type = LanesType()


@register_model(LanesType)
class _LanesModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, numba_type: Any) -> None:
        super().__init__(manager, numba_type, _VECTOR)


def _row_pointer(context: Any, builder: Any, array_type: Any, array: Any, row: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    offset = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(data, [offset]), _VECTOR.as_pointer())


def _check_array(array: Any) -> None:
    good = isinstance(array, types.Array) and array.layout == "C" and array.ndim in (1, 2)
    if not (good and array.dtype == types.float64):
        raise numba.TypingError(f"a C-ordered float64 array (rows, {LANES}) is wanted, got {array}")


@intrinsic
def load(typing_context: Any, array: Any, row: Any) -> Any:
    """Row `row` of a (rows, 16) array, or the whole of a (16,) array with row 0."""
    _check_array(array)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row_index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _row_pointer(context, builder, signature.args[0], arguments[0], row_index)
        return builder.load(pointer, align=8)

    return lanes_type(array, row), generate


@intrinsic
def store(typing_context: Any, array: Any, row: Any, value: Any) -> Any:
    """Write row `row` of a (rows, 16) array, or the whole of a (16,) array with row 0."""
    _check_array(array)

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row_index = context.cast(builder, arguments[1], signature.args[1], types.intp)
        pointer = _row_pointer(context, builder, signature.args[0], arguments[0], row_index)
        builder.store(arguments[2], pointer, align=8)
        return context.get_dummy_value()

    return types.void(array, row, lanes_type), generate


@intrinsic
def fill(typing_context: Any, number: Any) -> Any:
    """The same number in every lane."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        scalar = context.cast(builder, arguments[0], signature.args[0], types.float64)
        single = builder.insert_element(
            ir.Constant(_VECTOR, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
        )
        mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        return builder.shuffle_vector(single, ir.Constant(_VECTOR, ir.Undefined), mask)

    return lanes_type(number), generate


def _binary(build: Callable[[Any, Any, Any], Any]) -> Any:
    @intrinsic
    def apply(typing_context: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return build(builder, arguments[0], arguments[1])

        return lanes_type(lanes_type, lanes_type), generate

    return apply


def _pick(builder: Any, condition: str, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(condition, a, b), a, b)


_add = _binary(lambda builder, a, b: builder.fadd(a, b))
_subtract = _binary(lambda builder, a, b: builder.fsub(a, b))
_multiply = _binary(lambda builder, a, b: builder.fmul(a, b))
_divide = _binary(lambda builder, a, b: builder.fdiv(a, b))
largest = _binary(lambda builder, a, b: _pick(builder, ">", a, b))
smallest = _binary(lambda builder, a, b: _pick(builder, "<", a, b))


@intrinsic
def where_positive(typing_context: Any, condition: Any, a: Any, b: Any) -> Any:
    """Lane by lane `a` where `condition` is above 0, else `b`."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        above = builder.fcmp_ordered(">", arguments[0], ir.Constant(_VECTOR, [0.0] * LANES))
        return builder.select(above, arguments[1], arguments[2])

    return lanes_type(lanes_type, lanes_type, lanes_type), generate


def _call(name: str) -> Any:
    @intrinsic
    def apply(typing_context: Any, a: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            kind = ir.FunctionType(_VECTOR, [_VECTOR])
            function = cgutils.get_or_insert_function(builder.module, kind, name)
            return builder.call(function, [arguments[0]])

        return lanes_type(lanes_type), generate

    return apply


square_root = _call(f"llvm.sqrt.v{LANES}f64")
magnitude = _call(f"llvm.fabs.v{LANES}f64")


def _define(symbol: Any, apply: Any) -> None:
    # Numba compares the parameters with those of the lambdas, which can have no annotations.
    @overload(symbol)
    def _operator(a, b):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        left, right = isinstance(a, LanesType), isinstance(b, LanesType)
        if left and right:
            return lambda a, b: apply(a, b)
        if left and isinstance(b, types.Number):
            return lambda a, b: apply(a, fill(b))
        if right and isinstance(a, types.Number):
            return lambda a, b: apply(fill(a), b)
        return None


for _symbol, _apply in (
    (operator.add, _add),
    (operator.sub, _subtract),
    (operator.mul, _multiply),
    (operator.truediv, _divide),
):
    _define(_symbol, _apply)
