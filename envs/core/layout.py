"""State and parameters as packed blocks with named parts.

A kernel gets one float64 and one int64 block of shape (N, width) instead of dozens of arrays: it
compiles in seconds and costs a microsecond to call. A `Layout` says once which part lies where:
it gives offsets to kernels and named views to Python.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@dataclass(frozen=True)
class Part:
    """One named block of numbers of one lane.

    Attributes:
        name: snake_case, with the unit where there is one.
        shape: shape for one lane; ``()`` is a scalar.
        doc: what it means.
        integer: lives in the int64 block, otherwise in the float64 block.
    """

    name: str
    shape: tuple[int, ...] = ()
    doc: str = ""
    integer: bool = False

    @property
    def size(self) -> int:
        """How many numbers."""
        return prod(self.shape)


class Layout:
    """Ordered parts with their offsets.

    Kernels index `offsets` by the position of a part in the declaration, so the domain keeps
    one constant for each part in the same order (`check_order` compares them).
    """

    def __init__(self, parts: Sequence[Part]) -> None:
        names = [part.name for part in parts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"layout parts must have different names, {twice} came twice")
        self.parts = tuple(parts)
        widths = {False: 0, True: 0}
        offsets = []
        for part in self.parts:
            offsets.append(widths[part.integer])
            widths[part.integer] += part.size
        self.float_width = widths[False]
        self.integer_width = widths[True]
        self.offsets: Int = np.array(offsets, dtype=np.int64)
        self._index = {name: i for i, name in enumerate(names)}

    def check_order(
        self, constants: Mapping[str, Any], prefix: str, start: int = 0, end: int | None = None
    ) -> None:
        """Raise where ``PREFIX_NAME`` constants do not count the parts in order from `start`.

        Args:
            end: parts from this number on have no constants; default none of them.
        """
        last = start + len(self.parts) if end is None else end
        for i, part in enumerate(self.parts[: last - start], start):
            name = prefix + part.name.upper()
            if constants.get(name) != i:
                raise ValueError(f"{name} must be {i}, got {constants.get(name)}")

    def part(self, name: str) -> tuple[Part, int]:
        """A part and its offset in its block."""
        try:
            i = self._index[name]
        except KeyError:
            raise KeyError(f"no part {name!r}; there are {sorted(self._index)}") from None
        return self.parts[i], int(self.offsets[i])

    def view(self, name: str, floats: Float, integers: Int) -> NDArray[Any]:
        """View of one part of all lanes, shape (N, *part.shape); writing changes the state."""
        part, offset = self.part(name)
        block: NDArray[Any] = integers if part.integer else floats
        window = block[:, offset : offset + part.size]
        return window[:, 0] if part.shape == () else window.reshape(len(block), *part.shape)

    def pack(self, values: Mapping[str, Any]) -> tuple[Float, Int]:
        """One float64 and one int64 vector from named values; every part must be given."""
        missing = [p.name for p in self.parts if p.name not in values]
        unknown = [name for name in values if name not in self._index]
        if missing or unknown:
            raise ValueError(f"packing: missing {missing}, unknown {unknown}")
        floats = np.zeros(self.float_width)
        integers = np.zeros(self.integer_width, dtype=np.int64)
        for part, offset in zip(self.parts, self.offsets.tolist(), strict=True):
            block: NDArray[Any] = integers if part.integer else floats
            value = np.asarray(values[part.name])
            if value.shape != part.shape:
                raise ValueError(f"{part.name}: expected shape {part.shape}, got {value.shape}")
            block[offset : offset + part.size] = value.reshape(-1)
        return floats, integers


def pack_parameters(
    parameters: Layout, state: Layout, values: Mapping[str, Any]
) -> tuple[Float, Int]:
    """``(pf, pi)``: the offsets of both layouts come first in ``pi``."""
    floats, integers = parameters.pack(values)
    head = len(parameters.parts) + len(state.parts)
    shift = np.array([head if p.integer else 0 for p in parameters.parts], dtype=np.int64)
    return floats, np.concatenate([parameters.offsets + shift, state.offsets, integers])
