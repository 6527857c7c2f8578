"""Settings: YAML or a mapping -> a strict, frozen model, or ONE error that says what is wrong.

An error names the file and line (or the command-line override), the dotted key, the value that
came and what is allowed; a misspelt key brings the nearest valid one. YAML is read by
`yaml_reader`: ``1e-3`` is a number, ``13:00`` and ``no`` are text.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import re
import types
import typing
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pydantic
import pydantic_core

from .yaml_reader import ConfigError as ConfigError
from .yaml_reader import KeyPath, dotted, read_yaml

M = TypeVar("M", bound="StrictModel")
_SHOWN_VALUE = 80


class KeyProblem(ValueError):
    """Raised by a model's validator where several keys disagree: names the one to look at.

    Errors of a whole model point at its first line; this points at the line of a key in it.
    """

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key}: {problem}")
        self.key = key
        self.problem = problem


class StrictModel(pydantic.BaseModel):
    """Base of all settings: unknown keys refused, frozen, defaults checked, nothing coerced.

    Text is never taken for a number, nor a number for a truth value; a whole number is taken for
    a float. Numbers must be finite. `load_yaml` and `load_mapping` also take lists for tuples,
    mappings for nested models and text for dates, paths and enumerations.
    """

    model_config = pydantic.ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        strict=True,
        allow_inf_nan=False,
        ser_json_inf_nan="constants",
        use_attribute_docstrings=True,
    )


def load_yaml(path: str | Path, model: type[M], overrides: Sequence[str] = ()) -> M:
    """Read a YAML file into ``model``, with overrides such as ``"ppo.learning_rate=1e-3"``.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or does not fit the model; names the
            file and line (or the override), the dotted key, the value and what is allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(str(path), "", f"cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), "", f"is not UTF-8 text: {error}") from None
    origins: dict[KeyPath, str] = {}
    data = read_yaml(text, str(path), origins)
    data = {} if data is None else data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1", "", f"a mapping of keys is expected, got {_show(data)}")
    return _validate(data, model, origins, overrides)


def load_mapping(
    mapping: Mapping[str, Any],
    model: type[M],
    source: str = "settings",
    overrides: Sequence[str] = (),
) -> M:
    """Validate a mapping as `load_yaml` validates a file; ``source`` names it in errors."""
    if not isinstance(mapping, Mapping):
        raise ConfigError(source, "", f"a mapping of keys is expected, got {_show(mapping)}")
    try:
        text = pydantic_core.to_json(
            dict(mapping), inf_nan_mode="constants", fallback=_plain_number
        )
    except (pydantic_core.PydanticSerializationError, ValueError) as error:
        raise ConfigError(source, "", f"holds a value that is not plain data: {error}") from None
    return _validate(json.loads(text), model, {(): source}, overrides)


def hash_model(model: pydantic.BaseModel) -> str:
    """SHA-256 (hex) of the model's canonical JSON: sorted keys, shortest exact floats."""
    data = _positive_zeros(model.model_dump(mode="json"))
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _positive_zeros(data: Any) -> Any:
    """-0.0 == 0.0, so equal models must not differ in it."""
    if isinstance(data, dict):
        return {key: _positive_zeros(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_positive_zeros(value) for value in data]
    return 0.0 if isinstance(data, float) and data == 0.0 else data


def _plain_number(value: Any) -> Any:
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    raise ValueError(f"{value!r} of type {type(value).__name__}")


# --- overrides ------------------------------------------------------------------------------------


def _apply_override(data: dict[str, Any], override: str, origins: dict[KeyPath, str]) -> None:
    """Set ``key.path=value`` in place; list items by number, ``rules.0.limit_kw=5``."""
    where = f"on the command line, {override!r}"
    keys, equals, text = override.partition("=")
    parts = keys.strip().split(".")
    if not equals or not all(parts):
        raise ConfigError(where, "", "key.path=value is expected")
    value = read_yaml(text, where, None)
    node: Any = data
    path: KeyPath = ()
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(node, dict):
            step: str | int = part
            if not last and node.get(part) is None:
                node[part] = {}
                origins[(*path, part)] = where
        elif isinstance(node, list):
            if not part.isdecimal() or int(part) >= len(node):
                problem = f"is a list of {len(node)} items, counted from 0; it has no {part!r}"
                raise ConfigError(where, dotted(path), problem)
            step = int(part)
        else:
            problem = f"is {_show(node)}, which has no key {part!r}"
            raise ConfigError(where, dotted(path), problem)
        path = (*path, step)
        if last:
            for known in [known for known in origins if known[: len(path)] == path]:
                del origins[known]
            node[step] = value
            origins[path] = where
        else:
            node = node[step]


# --- validation -----------------------------------------------------------------------------------


def _validate(
    data: dict[str, Any], model: type[M], origins: dict[KeyPath, str], overrides: Sequence[str]
) -> M:
    if isinstance(overrides, str):
        raise TypeError("overrides: a sequence of texts is expected, got one text")
    for override in overrides:
        _apply_override(data, override, origins)
    # Validated as JSON, where a list may be a tuple and text a date while text is no number.
    text = pydantic_core.to_json(data, inf_nan_mode="constants")
    try:
        made = model.model_validate_json(text)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False)
    else:
        _remember(made, data, (), origins)
        return made
    order = list(origins)

    def rank(item: Any) -> tuple[bool, int]:
        """Unknown keys first (a misspelt key is also a missing one), then in reading order."""
        return (
            item["type"] != "extra_forbidden",
            order.index(_nearest_origin(_error_path(data, item), origins)),
        )

    first = min(found, key=rank)
    path = _error_path(data, first)
    raised = _raised(first)
    if isinstance(raised, ConfigError) and raised.where:
        raise raised from None
    where = origins[_nearest_origin(path, origins)]
    raise ConfigError(where, dotted(path), _problem(first, model)) from None


def _raised(error: Any) -> Exception | None:
    """What a validator raised."""
    found: Exception | None = error.get("ctx", {}).get("error")
    return found


# --- places ---------------------------------------------------------------------------------------

# By the id of a model that was read; an entry goes when its model does.
_PLACES: dict[int, tuple[Mapping[KeyPath, str], KeyPath]] = {}


def place_of(model: StrictModel, *keys: str | int) -> str | None:
    """``file:line`` of a key of a model that was read, for errors that come up later.

    None for models made in Python (copies of read ones included).
    """
    known = _PLACES.get(id(model))
    if known is None:
        return None
    origins, path = known
    return origins[_nearest_origin((*path, *keys), origins)]


def _remember(made: Any, data: Any, path: KeyPath, origins: Mapping[KeyPath, str]) -> None:
    if isinstance(made, StrictModel) and isinstance(data, dict):
        if id(made) not in _PLACES:
            weakref.finalize(made, _PLACES.pop, id(made), None).atexit = False
        _PLACES[id(made)] = (origins, path)
        for name in type(made).model_fields:
            if name in data:
                _remember(getattr(made, name), data[name], (*path, name), origins)
    elif isinstance(made, tuple) and isinstance(data, list):
        for i, (one, item) in enumerate(zip(made, data, strict=False)):
            _remember(one, item, (*path, i), origins)
    elif isinstance(made, Mapping) and isinstance(data, dict):
        for name in data:
            if name in made:
                _remember(made[name], data[name], (*path, name), origins)


def _resolve(data: Any, location: KeyPath, missing: bool = False) -> KeyPath:
    """The key path in ``data`` of pydantic's location, which also names members of unions."""
    path: KeyPath = ()
    node = data
    for i, part in enumerate(location):
        if isinstance(node, dict) and str(part) in node:
            path, node = (*path, str(part)), node[str(part)]
        elif isinstance(node, list) and isinstance(part, int) and part < len(node):
            path, node = (*path, part), node[part]
        elif missing and isinstance(node, dict) and i == len(location) - 1:
            path = (*path, part)
    return path


def _error_path(data: Any, error: Any) -> KeyPath:
    path = _resolve(data, error["loc"], error["type"] == "missing")
    raised = _raised(error)
    if isinstance(raised, (KeyProblem, ConfigError)) and raised.key:
        return (*path, *(int(k) if k.isdecimal() else k for k in raised.key.split(".")))
    if error["type"] == "union_tag_invalid":
        return (*path, error["ctx"]["discriminator"].strip("'"))
    return path


def _nearest_origin(path: KeyPath, origins: Mapping[KeyPath, str]) -> KeyPath:
    while path not in origins and path:
        path = path[:-1]
    return path


def _problem(error: Any, model: type[pydantic.BaseModel]) -> str:
    kind, location, value = error["type"], error["loc"], error["input"]
    if kind == "extra_forbidden":
        keys = sorted(_valid_keys(model, location[:-1]))
        near = difflib.get_close_matches(str(location[-1]), keys, n=1, cutoff=0.5)
        guess = f", did you mean {near[0]!r}?" if near else "."
        return f"unknown key{guess} Valid keys: {', '.join(keys)} (value {_show(value)})"
    if kind == "missing":
        if isinstance(location[-1], int):
            return f"item {location[-1]} is missing, got {_show(value)}"
        return "this key is missing"
    raised = _raised(error)
    if isinstance(raised, (KeyProblem, ConfigError)):
        return raised.problem
    if kind in ("value_error", "assertion_error"):
        return f"{error['msg'].partition(', ')[2]} (got {_show(value)})"
    if kind == "union_tag_not_found":
        return f"key {error['ctx']['discriminator']} is missing, which says what this is"
    if kind == "union_tag_invalid":
        return f"expected {error['ctx']['expected_tags']}, got {_show(error['ctx']['tag'])}"
    message = error["msg"]
    bounds = _bounds(model, location)
    if kind.startswith(("greater_than", "less_than")) and bounds:
        message = f"Input should be a number {bounds}"
    if kind in ("model_type", "dict_type"):
        message = "Input should be a mapping of keys"
    guess = ""
    if kind in ("literal_error", "enum") and isinstance(value, str):
        allowed = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        near = difflib.get_close_matches(value, allowed, n=1, cutoff=0.5)
        guess = f"; did you mean {near[0]!r}?" if near else ""
    if kind.startswith("int_"):
        message = "Input should be a whole number"
    message = message.replace("Input should be", "expected", 1)
    return f"{message[0].lower()}{message[1:]}, got {_show(value)}{guess}"


def _show(value: Any) -> str:
    """The value for an error message, short."""
    if isinstance(value, Mapping):
        return f"a mapping with keys {', '.join(map(str, value)) or '(none)'}"
    if value is None:
        return "nothing (null)"
    text = repr(value)
    return text if len(text) <= _SHOWN_VALUE else text[: _SHOWN_VALUE - 3] + "..."


def _alternatives(annotation: Any) -> list[Any]:
    """The types that a union (or an Optional, an Annotated, an alias) stands for."""
    annotation = getattr(annotation, "__value__", annotation)
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return [one for part in typing.get_args(annotation) for one in _alternatives(part)]
    return [annotation]


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, pydantic.BaseModel)


def _descend(model: type[pydantic.BaseModel], location: KeyPath) -> list[Any]:
    """The types that may stand at a location of pydantic's, following unions and containers."""
    candidates: list[Any] = [model]
    for part in location:
        following: list[Any] = []
        for candidate in candidates:
            arguments = typing.get_args(candidate)
            if _is_model(candidate):
                field = candidate.model_fields.get(str(part))
                following += _alternatives(field.annotation) if field is not None else []
            elif arguments and issubclass(typing.get_origin(candidate) or object, Mapping):
                following += _alternatives(arguments[-1])
            elif arguments and isinstance(part, int):
                following += _alternatives(arguments[min(part, len(arguments) - 1)])
                following += _alternatives(arguments[0]) if arguments[-1] is Ellipsis else []
        # no type has this part: it names a member of a union
        tagged = [one for one in candidates if _is_model(one) and _has_tag(one, part)]
        candidates = following or tagged or candidates
    return candidates


def _has_tag(model: type[pydantic.BaseModel], tag: Any) -> bool:
    literals = [arg for f in model.model_fields.values() for arg in typing.get_args(f.annotation)]
    return model.__name__ == tag or tag in literals


def _valid_keys(model: type[pydantic.BaseModel], location: KeyPath) -> set[str]:
    candidates = _descend(model, location)
    return {name for one in candidates if _is_model(one) for name in one.model_fields}


def _bounds(model: type[pydantic.BaseModel], location: KeyPath) -> str:
    """All numeric bounds of a field, such as ``> 0 and <= 1``; "" if it has none."""
    parents = _descend(model, location[:-1]) if location else []
    for parent in parents:
        field = parent.model_fields.get(str(location[-1])) if _is_model(parent) else None
        if field is not None:
            signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
            return " and ".join(
                f"{sign} {getattr(bound, name)}"
                for name, sign in signs
                for bound in field.metadata
                if getattr(bound, name, None) is not None
            )
    return ""
