"""Fields: every number that crosses a border (observation, action) with unit, bounds and meaning.

One declaration gives the spaces, the normalisation to [-1, 1], the table in the documentation and
the contract that an exported policy carries.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*\Z")


@dataclass(frozen=True, eq=False)
class Field:
    """One named quantity, scalar or array.

    Attributes:
        name: snake_case, with the unit where it helps (``voltage_pu``).
        unit: unit as text, ``"1"`` for a pure number.
        low, high: bounds in that unit, a float or an array that broadcasts to ``shape``;
            kept as float64 arrays of ``shape``.
        shape: () for a scalar.
        doc: meaning in one line.

    Raises:
        ValueError: name not snake_case, empty unit, bad shape, bounds not finite or not
            low < high; the message names the field and the element.
    """

    name: str
    unit: str
    low: float | FloatArray
    high: float | FloatArray
    shape: tuple[int, ...] = ()
    doc: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _SNAKE_CASE.match(self.name):
            raise ValueError(f"field name {self.name!r}: snake_case is wanted, such as 'soc_kwh'")
        if not isinstance(self.unit, str) or not self.unit.strip():
            raise ValueError(f"field {self.name}: unit is empty; use '1' for a pure number")
        shape = tuple(int(length) for length in self.shape)
        if any(length < 1 for length in shape):
            raise ValueError(f"field {self.name}: lengths >= 1 are wanted in shape, got {shape}")
        object.__setattr__(self, "shape", shape)
        for side in ("low", "high"):
            object.__setattr__(self, side, self._bound(side, shape))
        low, high = np.ravel(self.low), np.ravel(self.high)
        for i in range(self.size):
            if not low[i] < high[i]:
                raise ValueError(
                    f"field {self.element_names[i]}: low < high is wanted, "
                    f"got low = {low[i]}, high = {high[i]} {self.unit}"
                )

    def _bound(self, side: str, shape: tuple[int, ...]) -> FloatArray:
        given = getattr(self, side)
        try:
            value = np.asarray(given)
        except ValueError:  # nested lists of unequal lengths
            value = np.asarray(None)
        if value.dtype.kind not in "iuf":
            raise ValueError(
                f"field {self.name}: {side}: a number or an array of numbers is wanted, "
                f"got {given!r}"
            )
        try:
            bound = np.array(np.broadcast_to(value, shape), dtype=np.float64)
        except ValueError:
            raise ValueError(
                f"field {self.name}: {side} of shape {value.shape} does not fit shape {shape}"
            ) from None
        for i, element in enumerate(np.ravel(bound)):
            if not math.isfinite(element):
                name = self.element_names[i]
                raise ValueError(f"field {name}: {side} must be finite, got {element}")
        bound.flags.writeable = False
        return bound

    @property
    def size(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def element_names(self) -> tuple[str, ...]:
        """Names of the elements in C order: ``soc_kwh``, or ``soc_kwh[0]``, ``soc_kwh[1]``..."""
        if self.shape == ():
            return (self.name,)
        return tuple(
            f"{self.name}[{','.join(str(i) for i in place)}]" for place in np.ndindex(self.shape)
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Field) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash((self.name, self.unit, self.shape))

    def to_dict(self) -> dict[str, Any]:
        """Plain data; bounds as one number where all elements agree, else nested lists."""
        return {
            "name": self.name,
            "unit": self.unit,
            "low": _plain(self.low),
            "high": _plain(self.high),
            "shape": list(self.shape),
            "doc": self.doc,
        }


def _plain(bound: float | FloatArray) -> Any:
    array = np.asarray(bound)
    return float(array.flat[0]) if np.all(array == array.flat[0]) else array.tolist()


class FieldSet(Sequence[Field]):
    """Fields in order, laid out one after another in a flat vector of ``size`` elements.

    Attributes:
        size: elements of the flat vector.
        low, high: (size,) float64, read-only, in each element's unit.
        names, units: of each element, length ``size``.
    """

    def __init__(self, fields: Sequence[Field]) -> None:
        self._fields = tuple(fields)
        self._slices: dict[str, slice] = {}
        offset = 0
        for field in self._fields:
            if field.name in self._slices:
                raise ValueError(f"field {field.name} is declared twice; names must be unique")
            self._slices[field.name] = slice(offset, offset + field.size)
            offset += field.size
        self.size = offset
        empty = [np.empty(0)]
        self.low: FloatArray = np.concatenate([np.ravel(f.low) for f in self._fields] or empty)
        self.high: FloatArray = np.concatenate([np.ravel(f.high) for f in self._fields] or empty)
        self.names = tuple(name for f in self._fields for name in f.element_names)
        self.units = tuple(f.unit for f in self._fields for _ in range(f.size))
        self._half_range = 0.5 * self.high - 0.5 * self.low
        self._centre = 0.5 * self.low + 0.5 * self.high
        for array in (self.low, self.high):
            array.flags.writeable = False

    def __len__(self) -> int:
        """Number of fields (not of elements)."""
        return len(self._fields)

    def __iter__(self) -> Iterator[Field]:
        return iter(self._fields)

    def __getitem__(self, key: Any) -> Any:
        """A field by its place or by its name."""
        if isinstance(key, str):
            self.slice(key)
            return next(field for field in self._fields if field.name == key)
        return self._fields[key]

    def __contains__(self, key: object) -> bool:
        return key in self._slices if isinstance(key, str) else key in self._fields

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FieldSet) and self._fields == other._fields

    def __hash__(self) -> int:
        return hash(self._fields)

    def __repr__(self) -> str:
        return f"FieldSet({self.size} elements: {', '.join(f.name for f in self._fields)})"

    def slice(self, name: str) -> slice:
        """Where the field's elements stand in the flat vector.

        Raises:
            KeyError: no field of this name; the message lists the names there are.
        """
        if name not in self._slices:
            raise KeyError(f"no field {name!r}; there are: {', '.join(self._slices)}")
        return self._slices[name]

    def offset(self, name: str) -> int:
        """Index of the field's first element."""
        return int(self.slice(name).start)

    def normalise(self, physical: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """Affine map of (..., size) physical values to [-1, 1], clipped; nan stays nan."""
        values = self._checked(physical)
        scaled = (values - self._centre) / self._half_range
        return np.clip(scaled, -1.0, 1.0).astype(np.float32)

    def denormalise(self, normalised: npt.ArrayLike) -> FloatArray:
        """Inverse map of (..., size) values to physical units, float64, clipped to the bounds."""
        values = np.clip(self._checked(normalised), -1.0, 1.0)
        physical = self._centre + values * self._half_range
        return np.clip(physical, self.low, self.high)

    def _checked(self, values: npt.ArrayLike) -> FloatArray:
        array = np.asarray(values, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != self.size:
            raise ValueError(
                f"an array (..., {self.size}) is wanted for these fields, got shape {array.shape}"
            )
        return array

    def table(self) -> str:
        """Markdown table: name, shape, unit, low, high, meaning; one line a field."""
        lines = ["| Name | Shape | Unit | Low | High | Meaning |", "|---|---|---|---|---|---|"]
        for field in self._fields:
            shape = " x ".join(str(length) for length in field.shape) or "scalar"
            meaning = " ".join(field.doc.split()).replace("|", "\\|")
            lines.append(
                f"| `{field.name}` | {shape} | {field.unit} | {_range(field.low)} "
                f"| {_range(field.high)} | {meaning} |"
            )
        return "\n".join(lines) + "\n"

    def to_json(self) -> str:
        """The fields as canonical JSON (sorted keys, no blanks): the export contract."""
        fields = [field.to_dict() for field in self._fields]
        return json.dumps(
            {"fields": fields}, sort_keys=True, separators=(",", ":"), allow_nan=False
        )

    @classmethod
    def from_json(cls, text: str) -> FieldSet:
        """Read what `to_json` wrote.

        Raises:
            ValueError: not such JSON, a key missing or unknown, or a field that is not valid.
        """
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"fields: not JSON: {error}") from None
        if not isinstance(data, Mapping) or not isinstance(data.get("fields"), list):
            raise ValueError('fields: an object {"fields": [...]} is wanted')
        wanted = {"name", "unit", "low", "high", "shape", "doc"}
        fields = []
        for i, entry in enumerate(data["fields"]):
            keys = set(entry) if isinstance(entry, Mapping) else set()
            if keys != wanted:
                raise ValueError(
                    f"fields[{i}]: keys {', '.join(sorted(wanted))} are wanted, "
                    f"got {', '.join(sorted(map(str, keys))) or repr(entry)}"
                )
            shape = entry["shape"]
            if not isinstance(shape, list) or not all(type(length) is int for length in shape):
                raise ValueError(f"fields[{i}]: shape: a list of lengths is wanted, got {shape!r}")
            fields.append(Field(**{**entry, "shape": tuple(shape)}))
        return cls(fields)

    def contract_hash(self) -> str:
        """SHA-256 of the contract: names, units, bounds and shapes in order (not the prose)."""
        entries = [field.to_dict() for field in self._fields]
        for entry in entries:
            del entry["doc"]
        text = json.dumps(entries, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


def _range(bound: float | FloatArray) -> str:
    array = np.asarray(bound)
    least, most = float(array.min()), float(array.max())
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"
