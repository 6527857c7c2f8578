"""docs/logistics.md agrees with the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import daogym
from daogym.envs.logistics.governed import GOVERNED_PARAMETERS
from daogym.envs.logistics.layout import COSTS, EVENTS, TERMS
from daogym.envs.logistics.named import names

PAGE = Path(__file__).resolve().parents[2] / "docs" / "logistics.md"


def rows_of(section: str) -> list[list[str]]:
    """Cells of the first table below a heading, its head left out."""
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    lines = [line for line in text.splitlines() if line.startswith("|")][2:]
    return [[c.strip() for c in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(
    ("section", "expected"), [("Rewards", TERMS), ("Costs", COSTS), ("Events", EVENTS)]
)
def test_the_names_are_the_codes(section: str, expected: tuple[str, ...]) -> None:
    assert [row[0].strip("`") for row in rows_of(section)] == list(expected)


def test_the_charter_is_the_codes() -> None:
    for row, parameter in zip(rows_of("Charter"), GOVERNED_PARAMETERS, strict=True):
        assert row[0].strip("`") == parameter.name
        assert [float(row[2]), float(row[3])] == [parameter.low, parameter.high]
        assert float(row[4].split(" ")[0]) == parameter.initial
        assert row[5] == parameter.effect


def test_the_actions_and_names_are_the_codes() -> None:
    domain = daogym.make_simulator("supply_network", 1).domain
    assert [row[0].strip("`") for row in rows_of("Action Space")] == [
        field.name for field in domain.action_fields
    ]
    text = PAGE.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:serial|newsvendor|shang_song|lost_sales|dual)\w*)`", text):
        assert name in names(), name
    known = set(domain.controller_names)
    for name in ("lost_sales_poisson_l4_p4", "dual_sourcing_l2_c5", "supply_network_voted"):
        known |= set(daogym.make_simulator(name, 1).domain.controller_names)
    rows = rows_of("Controllers and bound")
    assert {n for row in rows for n in re.findall(r"`(\w+)`", row[0])} == known
