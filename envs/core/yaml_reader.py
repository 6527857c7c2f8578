"""YAML text -> plain data, with the line of every key, by the core schema of YAML 1.2.

``1e-3`` is a number, ``13:00``, ``no`` and ``2024-01-01`` are text (PyYAML's own loaders follow
YAML 1.1, where they are text, 780, False and a date). A key written twice is an error; tags,
merges and several documents in a file are not taken. Nothing but plain data is ever built.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

KeyPath = tuple[str | int, ...]

_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_CONSTANTS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), float("inf")),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), float("-inf")),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}
# Aliases can make a short file stand for a huge tree ("billion laughs").
_LARGEST_TREE = 200_000
_DEEPEST = 60


class ConfigError(ValueError):
    """Settings that cannot be used.

    Attributes:
        where: ``file:line``, the command-line override, or the caller's name of the source.
        key: dotted key, "" for the whole.
        problem: what came and what is allowed.
    """

    def __init__(self, where: str, key: str, problem: str) -> None:
        super().__init__(where, key, problem)
        self.where = where
        self.key = key
        self.problem = problem

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.key, self.problem) if part)


def dotted(path: KeyPath) -> str:
    """A key path as it is written in messages and overrides: ``rules.0.limit_kw``."""
    return ".".join(str(part) for part in path)


def read_yaml(text: str, source: str, origins: dict[KeyPath, str] | None) -> Any:
    """Plain data of a YAML text; fills ``origins`` with the ``source:line`` of every key path.

    Raises:
        ConfigError: not YAML, or outside the part of YAML that is taken; names the line.
    """

    def place(mark: yaml.Mark | None) -> str:
        return source if mark is None or origins is None else f"{source}:{mark.line + 1}"

    try:
        root = yaml.SafeLoader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        problem = " ".join(str(part) for part in (error.problem, error.context) if part)
        raise ConfigError(place(error.problem_mark), "", f"is not valid YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(source, "", f"is not valid YAML: {error}") from None
    except RecursionError:
        raise ConfigError(source, "", "is nested too deeply") from None

    count = 0
    ancestors: list[int] = []

    def build(node: yaml.Node, path: KeyPath, mark: yaml.Mark) -> Any:
        nonlocal count
        count += 1
        if count > _LARGEST_TREE or id(node) in ancestors:
            raise ConfigError(place(mark), dotted(path), "aliases make this endless or too large")
        if len(ancestors) > _DEEPEST:
            raise ConfigError(place(mark), "", "is nested too deeply")
        if origins is not None:
            origins[path] = place(mark)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node, place(mark), path)
        if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            raise ConfigError(place(mark), dotted(path), f"tag {node.tag} is not allowed")
        ancestors.append(id(node))
        if isinstance(node, yaml.SequenceNode):
            result: Any = [
                build(item, (*path, i), item.start_mark) for i, item in enumerate(node.value)
            ]
        else:
            result = {}
            for key_node, value_node in node.value:
                if not isinstance(key_node, yaml.ScalarNode):
                    raise ConfigError(
                        place(key_node.start_mark), dotted(path), "a key must be plain text"
                    )
                key = _text(key_node, place(key_node.start_mark), path)
                where = (*path, key)
                if key in result:
                    raise ConfigError(
                        place(key_node.start_mark), dotted(where), "this key is written twice"
                    )
                result[key] = build(value_node, where, key_node.start_mark)
        ancestors.pop()
        return result

    if root is None:
        if origins is not None:
            origins[()] = source
        return None
    return build(root, (), root.start_mark)


def _text(node: yaml.ScalarNode, where: str, path: KeyPath) -> str:
    r"""The scalar's text; JSON's escaped surrogate pairs (``"\ud83d\ude00"``) are put together."""
    try:
        return str(node.value).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise ConfigError(where, dotted(path), "holds half a surrogate pair") from None


def _scalar(node: yaml.ScalarNode, where: str, path: KeyPath) -> Any:
    text = _text(node, where, path)
    if node.style is not None:
        return text
    # the loader gives a plain scalar a tag of YAML 1.1; only a tag written out is not of these
    if not node.tag.startswith("tag:yaml.org,2002:") or node.tag.startswith(
        "tag:yaml.org,2002:python"
    ):
        raise ConfigError(where, dotted(path), f"tag {node.tag} is not allowed")
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.match(text):
        return int(text) if len(text) < 1000 else text
    if _HEXADECIMAL.match(text):
        return int(text, 16)
    return float(text) if _FLOAT.match(text) else text
