"""Arrays whose owner is not counted, for kernels of many small functions.

Numba counts an array in and out of every function that is not inlined, by atomic operations. In a
step of a small supply network they took most of the time (measured: 1.4 us with, see
docs/architecture.md).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic
from numba.np.arrayobj import make_array


@intrinsic
def uncounted(typing_context: Any, array: Any) -> Any:
    """The same memory as an array without an owner (compiled code only).

    The caller keeps the memory alive, so nothing that outlives the call may hold the result.

    Args:
        array: an array, or a tuple of arrays.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind, value = signature.args[0], arguments[0]
        if not isinstance(kind, types.BaseTuple):
            return _without_owner(context, builder, kind, value)
        members = [
            _without_owner(context, builder, member, builder.extract_value(value, place))
            for place, member in enumerate(kind)
        ]
        return context.make_tuple(builder, kind, members)

    return array(array), codegen


def _without_owner(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    view = make_array(kind)(context, builder, value=value)
    view.meminfo = cgutils.get_null_value(view.meminfo.type)
    view.parent = ir.Constant(view.parent.type, None)
    return view._getvalue()
