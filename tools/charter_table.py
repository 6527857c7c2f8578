"""Makes the tables of docs/charters.md:

    python tools/charter_table.py [--print]

Run it after a change of a charter's settings; a test compares page and code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from daogym.envs.dao.charter import NAMED_CHARTERS, Charter, load_charter
from daogym.envs.dao.charter_governor import (
    ACTS,
    Conviction,
    DynamicTimelock,
    GovernorSettings,
    GuardianVeto,
    RageQuit,
)
from daogym.envs.dao.charter_roles import GuardianRole, OperatorRole
from daogym.envs.dao.charter_rules import HOLDS, Rule
from daogym.envs.dao.charter_stress import StressSettings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "charters.md"
TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def main() -> None:
    """Write or print the tables."""
    parser = argparse.ArgumentParser(description="Tables of docs/charters.md.")
    parser.add_argument("--print", action="store_true", help="print instead of writing the page")
    arguments = parser.parse_args()
    made = tables()
    if arguments.print:
        for name, table in made.items():
            print(f"{name}\n\n{table}")
        return
    put: Callable[[re.Match[str]], str] = lambda m: (  # noqa: E731
        f"<!-- table: {m[1]} -->\n{made.get(m[1], m[2])}<!-- end -->"
    )
    PAGE.write_text(TABLE.sub(put, PAGE.read_text(encoding="utf-8")), encoding="utf-8")


def tables() -> dict[str, str]:
    """Every table of the page that comes from the settings, by name."""
    return {"named": named(), "settings": settings(), "kinds": kinds(), "rules": rules()}


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def named() -> str:
    """Packaged charters and what they set."""
    rows = []
    for name in NAMED_CHARTERS:
        given = load_charter(name).model_dump(mode="json", exclude_defaults=True)
        given.pop("name", None)
        text = ", ".join(f"`{key}` = {_plain(value)}" for key, value in given.items())
        rows.append((f"`{name}`", text or "the defaults"))
    return markdown(("Name", "Sets"), rows)


def _plain(value: Any) -> str:
    if value == {}:
        return "its defaults"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_plain(item)}" for key, item in value.items()) + "}"
    return str(value)


def _settings_of(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, str, str]]:
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        if isinstance(default, BaseModel):
            continue
        shown = "(needed)" if default is PydanticUndefined else _shown(default)
        yield f"`{prefix}{name}`", shown, " ".join((field.description or "").split())


def _shown(default: Any) -> str:
    if default is None or default == {} or default == ():
        return "none"
    return f"{default:.6g}" if isinstance(default, float) else str(default)


def settings() -> str:
    """Every setting with its default and meaning."""
    parts: tuple[tuple[type[BaseModel], str], ...] = (
        (Charter, ""), (GovernorSettings, "governor."),
        (DynamicTimelock, "governor.dynamic_timelock."), (RageQuit, "governor.rage_quit."),
        (Conviction, "governor.conviction."), (GuardianVeto, "governor.guardian_veto."),
        (OperatorRole, "roles.operator."), (GuardianRole, "roles.guardian."),
        (StressSettings, "stress."),
    )  # fmt: skip
    rows = [row for model, prefix in parts for row in _settings_of(model, prefix)]
    return markdown(("Key", "Default", "Meaning"), rows)


def kinds() -> str:
    """Which of the governor's settings act under which kind."""
    names = [name for name in GovernorSettings.model_fields if name != "kind"]
    rows = [
        (f"`{name}`", *("x" if name in acts else "" for acts in ACTS.values())) for name in names
    ]
    return markdown(("Setting", *(f"`{kind}`" for kind in ACTS)), rows)


def rules() -> str:
    """Kinds of rules, what they hold, and their settings."""
    rows = []
    for model in get_args(get_args(Rule)[0]):
        kind = get_args(model.model_fields["kind"].annotation)[0]
        effects = get_args(model.model_fields["effect"].annotation)
        own = [f"`{n}`" for n in model.model_fields if n not in ("on", "kind", "effect",
                                                                 "gas_cents")]  # fmt: skip
        rows.append((f"`{kind}`", ", ".join(HOLDS[kind]), ", ".join(effects), ", ".join(own)))
    return markdown(("Kind", "Holds quantities of kind", "Effects", "Settings"), rows)


if __name__ == "__main__":
    main()
