"""Named scenarios and their stress variants, shipped as YAML beside a domain."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Generic, TypeVar

from .strict import ConfigError, StrictModel, load_mapping, load_yaml
from .yaml_reader import read_yaml

M = TypeVar("M", bound=StrictModel)


@dataclass(frozen=True)
class Shelf(Generic[M]):
    """The scenarios of one domain.

    Attributes:
        package: import name of the domain, which has a folder ``scenarios`` with one YAML file a
            name, and ``stress.yaml`` with the settings of each variant.
        names: of the scenarios.
        model: their settings.
        beside: what to make of a user's scenario that was read from a file, given its path.
    """

    package: str
    names: tuple[str, ...]
    model: type[M]
    beside: Callable[[Path, M], M] = lambda path, scenario: scenario

    def stress_variants(self) -> dict[str, dict[str, Any]]:
        """Settings of each stress variant, by name."""
        text = (self._folder() / "stress.yaml").read_text(encoding="utf-8")
        variants = read_yaml(text, "stress.yaml", None)
        assert isinstance(variants, dict)
        return variants

    def scenario(
        self, spec: str | Path | Mapping[str, Any] | M, changes: Mapping[str, Any] | None = None
    ) -> M:
        """A scenario from a name (``lv_rural``, ``lv_rural+high_demand``), a YAML file or settings.

        Args:
            spec: a mapping may name the scenario it starts from: ``{"base": "ieee33", ...}``.
            changes: settings laid over the result, nested as in the YAML.

        Raises:
            ConfigError: unknown name, unreadable file or wrong settings.
        """
        source = str(spec) if isinstance(spec, (str, Path)) else "scenario"
        scenario = self._base(spec)
        if changes:
            laid_over = merged(scenario.model_dump(mode="json"), changes)
            scenario = load_mapping(laid_over, self.model, source)
        return scenario

    def _base(self, spec: str | Path | Mapping[str, Any] | M) -> M:
        if isinstance(spec, self.model):
            return spec
        if isinstance(spec, Mapping):
            settings = dict(spec)
            base = settings.pop("base", None)
            if base is None:
                return load_mapping(settings, self.model, "scenario")
            return self.scenario(str(base), settings)
        text = str(spec)
        if text.endswith((".yaml", ".yml")):
            return self.beside(Path(text), load_yaml(Path(text), self.model))
        name, plus, variant = text.partition("+")
        if name not in self.names:
            unknown("scenario", name, self.names, "or the path of a .yaml file")
        with resources.as_file(self._folder() / f"{name}.yaml") as path:
            scenario = load_yaml(path, self.model)
        if not plus:
            return scenario
        variants = self.stress_variants()
        if variant not in variants:
            unknown("stress variant", variant, tuple(variants), "")
        changes = {**variants[variant], "name": text}
        return self.scenario(scenario, changes)

    def _folder(self) -> Any:
        return resources.files(self.package) / "scenarios"


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with changes laid over them, nested; `parameters` of a charter are replaced."""
    result = dict(base)
    for key, value in changes.items():
        old = result.get(key)
        if (
            not isinstance(value, Mapping)
            or not isinstance(old, Mapping)
            or key == "parameters"
            or (key == "charter" and "base" in value)
        ):
            result[key] = value
        else:
            result[key] = merged(old, value)
    return result


def unknown(kind: str, name: str, known: tuple[str, ...], more: str) -> None:
    """Raise the error of a name that is none of `known`, with the nearest one."""
    near = difflib.get_close_matches(name, known, 1, 0.0)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    expected = f"one of {', '.join(known)} {more}".strip()
    raise ConfigError("scenario", "", f"{kind}: {expected} expected, got {name!r}{hint}")
