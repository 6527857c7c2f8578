"""docs/compute.md agrees with the code; ``python tests/compute/test_docs.py`` writes its tables."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import daogym
from daogym.envs.compute.layout import COSTS, EVENTS, TERMS
from daogym.envs.compute.named import SHELF
from daogym.envs.compute.scenario import GOVERNED_PARAMETERS, ComputeScenario
from daogym.envs.core.fields import FieldSet

PAGE = Path(__file__).resolve().parents[2] / "docs" / "compute.md"
TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def tables() -> dict[str, str]:
    """Every table of the page that is made from the code."""
    domain: Any = daogym.make_simulator("gpu_week").domain
    scheduler: Any = daogym.make_simulator("gpu_week", action_mode="scheduler").domain
    provider: Any = daogym.make_simulator("gpu_week", action_mode="provider").domain
    head = "| Parameter | Unit | Low | High | Initial | Effect | Meaning |\n" + "|---" * 7 + "|\n"
    rows = [
        f"| `{p.name}` | {p.unit} | {p.low} | {p.high} | {p.initial} | {p.effect} | {p.doc} |\n"
        for p in GOVERNED_PARAMETERS
    ]
    voted_head = (
        "| Parameter | Largest change | Least interval | What an operator does differently |\n"
        + "|---" * 4 + "|\n"
    )  # fmt: skip
    voted = [
        f"| `{p.name}` | {p.largest_change:g} | {p.least_interval_days:g} day | "
        f"{p.decides or 'nothing: it moves money between parties'} |\n"
        for p in GOVERNED_PARAMETERS
    ]
    return {
        "operator": domain.action_fields.table(),
        "scheduler": scheduler.action_fields.table(),
        "provider": FieldSet(list(provider.action_fields)[-3:]).table(),
        "observation": domain.observation_fields.table(),
        "charter": head + "".join(rows),
        "voted": voted_head + "".join(voted),
    }


def test_the_tables_are_the_codes() -> None:
    shown = dict(TABLE.findall(PAGE.read_text(encoding="utf-8")))
    made = tables()
    assert set(shown) == set(made)
    for name, table in made.items():
        assert shown[name] == table, f"{name}: run python tests/compute/test_docs.py"


@pytest.mark.parametrize(
    ("section", "names"), [("Rewards", TERMS), ("Costs", COSTS), ("Events", EVENTS)]
)
def test_the_names_are_the_codes(section: str, names: tuple[str, ...]) -> None:
    text = PAGE.read_text(encoding="utf-8").split(f"\n## {section}\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == list(names)


def test_numbers_controllers_variants_and_ids_are_the_codes() -> None:
    text = PAGE.read_text(encoding="utf-8")
    s = ComputeScenario()
    for words in (
        f"minus {s.service.sla_share:g} x value of such",
        f"minus {s.service.expiry_share:g} x value of an admitted",
        f"minus {s.service.rejection_share:g} x value of an order",
        f"below {s.token.halt_ratio:.2f} no lease begins",
        f"{s.token.warn_ratio:g} - collateral ratio",
        f"more than {100 * s.token.outlier_share:g} % waits",
        f"{s.staking.fault_fee_days:g}\n  days of reward",
        f"nodes of {s.supply.gpus_per_node} GPUs",
        f"capped at {s.orders.longest_minutes / 60:g} h",
    ):
        assert words in text, words
    domain: Any = daogym.make_simulator("gpu_week").domain
    for name in domain.controller_names:
        assert f"`{name}`" in text, name
    for variant in SHELF.stress_variants():
        assert f"`gpu_week+{variant}`" in text, variant
    named = set(re.findall(r"`(daogym/[\w-]+)`", text))
    assert named == {e.id for e in daogym.REGISTERED if e.scenario in SHELF.names}


def write_tables() -> None:
    """Put the tables of today's code into the page."""
    made = tables()
    text = PAGE.read_text(encoding="utf-8")
    put = lambda m: f"<!-- table: {m[1]} -->\n{made[m[1]]}<!-- end -->"  # noqa: E731
    PAGE.write_text(TABLE.sub(put, text), encoding="utf-8")


if __name__ == "__main__":
    write_tables()
