"""Array indices in kernels count from the start.

Python counts a negative index from the end, so Numba tests each index whose sign it does not know:
three instructions beside the one that loads, for every index that comes out of a table. No kernel
needs that. In modules that were marked here (`linked.py` marks those of kernels) a negative index
is an error: a constant one is refused when the kernel is compiled, any other one is out of bounds
in a run with NUMBA_BOUNDSCHECK=1. Slices are Python's.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.errors import LoweringError
from numba.np import arrayobj

_MARK = "daogym_indices_count_from_the_start"
_python_index = arrayobj.fix_integer_index


def count_from_the_start(module: Any) -> Any:
    """Mark a module that Numba is about to write code into, and hand it back."""
    setattr(module, _MARK, True)
    return module


def _index(context: Any, builder: Any, idxty: Any, idx: Any, size: Any) -> Any:
    """The position that an index means, where Numba asks for it."""
    if not (idxty.signed and getattr(builder.module, _MARK, False)):
        return _python_index(context, builder, idxty, idx, size)
    if isinstance(idx, ir.Constant) and isinstance(idx.constant, int) and idx.constant < 0:
        raise LoweringError(
            f"an array index is {idx.constant} in {builder.function.name}: kernels count indices "
            "from the start, expected 0 or more"
        )
    return context.cast(builder, idx, idxty, types.intp)


arrayobj.fix_integer_index = _index
