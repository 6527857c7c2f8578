"""PPO finds the attack where the case's rules let it, and gives up where they do not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

PATH = Path(__file__).resolve().parents[2] / "tools" / "adversary_table.py"


@pytest.fixture(scope="module")
def tool() -> Any:
    """The module that makes the page's table."""
    spec = importlib.util.spec_from_file_location("adversary_table", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["adversary_table"] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.parametrize(
    "defences,captures", [((), True), (("timelock", "guardian"), False)], ids=["bare", "defended"]
)
def test_a_small_adversary_learns_what_the_rules_allow(
    tool: Any, defences: tuple[str, ...], captures: bool
) -> None:
    learner = tool.train("apathy", defences, seed=0, steps=131_072)
    played = tool.play("apathy", defences, learner)
    if captures:
        assert played.captured.mean() > 0.5
        assert played.profit.mean() > 0.0 and played.loss.mean() > 0.0
    else:
        assert (played.captured == 0.0).all() and (played.loss == 0.0).all()
        # at most a hundredth of the 474,000 there are to take is lost in trying
        assert -5_000.0 < played.profit.mean() <= 0.0


def rows_of(tool: Any, name: str) -> list[list[str]]:
    """Cells of a table of the page."""
    found = {match[2]: match[3] for match in tool.TABLE.finditer(tool.PAGE.read_text("utf-8"))}
    lines = [line for line in found[name].splitlines() if line.startswith("| `")]
    return [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines]


def test_the_page_has_a_row_for_every_pair(tool: Any) -> None:
    assert [tuple(row[:2]) for row in rows_of(tool, "adversary")] == [
        (case, " + ".join(defences) or "as it happened") for case, defences in tool.PAIRS
    ]
    assert [row[0] for row in rows_of(tool, "operator")[::5]] == list(tool.WITH_OPERATOR)
