"""Writes the tables of docs/electorate.md from simulated votes, beside the real ones:

    python tools/electorate_table.py [--print] [--speed]

Run it after a change of an electorate's settings or draws; a test compares page and code.
`--print` writes to the terminal instead, `--speed` measures what the draws cost on this machine.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel

from daogym.envs.core.compiled import kernel_entry
from daogym.envs.core.random import root_keys
from daogym.envs.dao.arrivals import arrivals, draw_proposal
from daogym.envs.dao.ballots import (
    BALLOT_NEXT,
    BALLOT_ROWS,
    NEVER,
    draw_ballots,
    pop_ballots,
)
from daogym.envs.dao.capture_metrics import gini, nakamoto
from daogym.envs.dao.electorate import NAMED, Electorate, ElectorateSettings, draw_electorate
from daogym.envs.dao.electorate_study import REAL_QUANTILES, REAL_SHARES, Study, rehearse

PAGE = Path(__file__).resolve().parents[1] / "docs" / "electorate.md"
TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)

SEED, PROPOSALS, PARAMETERS = 1, 1000, 4
QUORUM_SHARE = 0.02
REAL_PROPOSALS = 452
SEEDS = range(8)
EXPONENTS = (1.0, 1.15, 1.25, 1.37, 1.5, 1.65, 1.8)
DRAWS, STEPS = 4000, 200_000
LABELS = {
    "turnout_percent": "Turnout, % of supply",
    "voters": "Voters per proposal",
    "voters_for_half": "Voters needed for 50 % of cast",
    "top_1_percent": "Top-1 share of cast, %",
    "top_5_percent": "Top-5 share of cast, %",
}


def main() -> None:
    """Write or print the tables."""
    parser = argparse.ArgumentParser(description="Tables of docs/electorate.md.")
    parser.add_argument("--print", action="store_true", help="print instead of writing the page")
    parser.add_argument(
        "--speed", action="store_true", help="measure the draws and do nothing else"
    )
    arguments = parser.parse_args()
    if arguments.speed:
        print_speed()
        return
    made = tables()
    if arguments.print:
        for name, table in made.items():
            print(f"{name}\n\n{table}")
        return
    text = PAGE.read_text(encoding="utf-8")
    put = lambda m: f"<!-- table: {m[1]} -->\n{made[m[1]]}<!-- end -->"  # noqa: E731
    PAGE.write_text(TABLE.sub(put, text), encoding="utf-8")


def tables() -> dict[str, str]:
    """Every table of the page, by name."""
    electorates = {name: drawn(settings) for name, settings in NAMED.items()}
    studies = {name: rehearse(e, SEED, PROPOSALS) for name, e in electorates.items()}
    return {
        "calibration": calibration(studies),
        "shares": shares(studies),
        "outcomes": outcomes(electorates, studies),
        "seeds": over_seeds(),
        "exponents": over_exponents(),
        "named": named(),
        "settings": settings_table(),
    }


def drawn(settings: ElectorateSettings, **update: Any) -> Electorate:
    """An electorate over parameters whose ideals centre on the middle of their ranges."""
    return draw_electorate(settings.model_copy(update=update), (0.5,) * PARAMETERS)


def markdown(head: tuple[str, ...], rows: list[tuple[Any, ...]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def three(values: tuple[float, ...], digits: int) -> str:
    """Three quantiles in one cell."""
    return " / ".join(f"{value:.{digits}f}" for value in values)


def calibration(studies: dict[str, Study]) -> str:
    """Quantiles over proposals, real and simulated."""
    found = {name: study.quantiles() for name, study in studies.items()}
    rows = []
    for row, real in REAL_QUANTILES.items():
        digits = 1 if row == "turnout_percent" else 0
        cells = [three(found[name][row], digits) for name in studies]
        rows.append((LABELS[row], three(real, digits), *cells))
    return markdown(("p5 / p50 / p95", "Aave v3", *(f"`{name}`" for name in studies)), rows)


def shares(studies: dict[str, Study]) -> str:
    """Mean share of the cast votes by rank."""
    ranks = range(len(REAL_SHARES))
    rows = [("Aave v3", *(f"{share:g}" for share in REAL_SHARES))]
    for name, study in studies.items():
        means = study.shares().mean(axis=0)
        rows.append((f"`{name}`", *(f"{means[rank]:.3f}" for rank in ranks)))
    return markdown(("Rank", *(str(rank + 1) for rank in ranks)), rows)


def outcomes(electorates: dict[str, Electorate], studies: dict[str, Study]) -> str:
    """What else is known of real votes, and how proposals end."""
    made: dict[str, list[str]] = {}

    def add(label: str, real: str, value: str) -> None:
        made.setdefault(label, [real]).append(value)

    for name, study in studies.items():
        e, supply = electorates[name], study.supply
        came = np.count_nonzero(study.cast[:REAL_PROPOSALS], axis=0)
        for_share = study.for_share()
        low, middle, high = np.quantile(for_share, (0.05, 0.5, 0.95)).tolist()
        add("Gini of holdings", "0.81 to 0.96", f"{gini(e.holdings):.2f}")
        add("Nakamoto coefficient of all votes that can be cast", "-", str(nakamoto(e.weights)))
        add("Supply of the silent", "75 %", f"{e.holdings[e.silent].sum() / supply:.0%}")
        add("Voters in at least half of 452 proposals", "14", str((2 * came >= 452).sum()))
        add("Unique voters in 452 proposals", "2,006", str((came > 0).sum()))
        once = (came == 1).sum() / (came > 0).sum()
        add("of whom voted once", "39 %", f"{once:.0%}")
        add("Proposals above 99 % For", "98 %", f"{(for_share > 0.99).mean():.1%}")
        add("Share For, p5 / p50 / p95", "-", three((low, middle, high), 2))
        add("For above Against", "-", f"{study.passed().mean():.1%}")
        quorum = int(QUORUM_SHARE * supply)
        add("... and For + Abstain of 2 % of supply", "-", f"{study.passed(quorum).mean():.1%}")
        asked = len(study.cast) + study.withdrawn
        add("Fell in the forum", "-", f"{study.withdrawn / asked:.0%}")
    rows = [(label, *cells) for label, cells in made.items()]
    return markdown(("", "Aave v3", *(f"`{name}`" for name in studies)), rows)


def over_seeds() -> str:
    """The range of medians and outcomes over other draws of the electorate."""
    rows: dict[str, dict[str, list[float]]] = {}
    for name, settings in NAMED.items():
        for seed in SEEDS:
            study = rehearse(drawn(settings, seed=seed), seed, PROPOSALS)
            for row, values in study.quantiles().items():
                rows.setdefault(f"{LABELS[row]}, median", {}).setdefault(name, []).append(values[1])
            for label, value in (
                ("Proposals above 99 % For, %", (study.for_share() > 0.99).mean()),
                ("For above Against, %", study.passed().mean()),
            ):
                rows.setdefault(label, {}).setdefault(name, []).append(100.0 * float(value))
    span = lambda values: f"{min(values):.1f} to {max(values):.1f}"  # noqa: E731
    cells = [(label, *(span(found[name]) for name in NAMED)) for label, found in rows.items()]
    return markdown((f"Over {len(SEEDS)} seeds", *(f"`{name}`" for name in NAMED)), cells)


def over_exponents() -> str:
    """Medians of `calibrated` with other holdings, all else equal."""
    rows = []
    for exponent in EXPONENTS:
        e = drawn(NAMED["calibrated"], zipf_exponent=exponent)
        study = rehearse(e, SEED, PROPOSALS)
        medians = {row: values[1] for row, values in study.quantiles().items()}
        rows.append(
            (
                f"{exponent:g}", f"{gini(e.holdings):.2f}",
                f"{e.holdings[e.silent].sum() / study.supply:.0%}",
                f"{medians['turnout_percent']:.1f}", f"{medians['voters']:.0f}",
                f"{medians['voters_for_half']:.0f}", f"{medians['top_1_percent']:.0f}",
                f"{medians['top_5_percent']:.0f}", f"{(study.for_share() > 0.99).mean():.0%}",
            )
        )  # fmt: skip
    head = ("Exponent", "Gini", "Silent", "Turnout, %", "Voters", "For half", "Top-1, %",
            "Top-5, %", "Above 99 % For")  # fmt: skip
    return markdown(head, rows)


def named() -> str:
    """What each named electorate changes."""
    default = ElectorateSettings()
    rows = []
    for name, settings in NAMED.items():
        changes = [
            f"`{key}` = {value}"
            for (key, value, _), (_, usual, _) in zip(walk(settings), walk(default), strict=True)
            if value != usual
        ]
        rows.append((f"`{name}`", ", ".join(changes) or "the defaults"))
    return markdown(("Name", "Changes"), rows)


def walk(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, Any, str]]:
    """(key, value, meaning) of every setting."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from walk(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, " ".join((field.description or "").split())


def settings_table() -> str:
    """Every setting with its default and meaning."""
    rows = [
        (f"`{key}`", f"{value:.6g}" if isinstance(value, float) else value, meaning)
        for key, value, meaning in walk(ElectorateSettings())
    ]
    return markdown(("Key", "Default", "Meaning"), rows)


# --- speed ----------------------------------------------------------------------------------------


@kernel_entry()
def _draw_many(key: Any, ints: Any, floats: Any, clock: Any, events: Any) -> int:
    voters = 0
    for i in range(DRAWS):
        voters += draw_ballots(key, 8 * i, i, 96, i % PARAMETERS, 0.5, 0.6, 0.0, ints, floats,
                               clock, events, i % clock.shape[1])  # fmt: skip
    return voters


@kernel_entry()
def _live(key: Any, ints: Any, floats: Any, clock: Any, events: Any, due: Any) -> int:
    found = 0
    for i in range(DRAWS):
        draw_ballots(key, 8 * i, 0, 96, i % PARAMETERS, 0.5, 0.6, 0.0, ints, floats, clock,
                     events, 0)  # fmt: skip
        coming = clock[BALLOT_NEXT].min()
        for now in range(1, 97):
            if now >= coming:
                for slot in range(clock.shape[1]):
                    found += pop_ballots(clock, events, slot, now, due)
                coming = clock[BALLOT_NEXT].min()
    return found


@kernel_entry()
def _arrive(key: Any, floats: Any) -> int:
    found = 0
    for step in range(STEPS):
        found += arrivals(key, step, floats)
    return found


@kernel_entry()
def _draft(key: Any, values: Any, reach: Any, open_parameters: Any, ints: Any, floats: Any) -> int:
    found = 0
    for i in range(DRAWS):
        found += draw_proposal(key, 8 * i, i, 0, values, reach, open_parameters, ints, floats)[0]
    return found


def print_speed() -> None:
    """Best of seven, nanoseconds, one thread."""

    def best(function: Any, count: int, *arguments: Any) -> float:
        function(*arguments)
        seconds = []
        for _ in range(7):
            begin = time.perf_counter()
            function(*arguments)
            seconds.append(time.perf_counter() - begin)
        return min(seconds) / count * 1e9

    key = root_keys([SEED])[0]
    values, reach = np.full(PARAMETERS, 0.5), np.full(PARAMETERS, 0.1)
    open_parameters = np.ones(PARAMETERS, dtype=np.int64)
    for name, settings in NAMED.items():
        e = drawn(settings)
        clock = np.full((BALLOT_ROWS, 8), NEVER, dtype=np.int64)
        events = np.zeros((8, 129), dtype=np.int64)
        due = np.zeros(3, dtype=np.int64)
        life_ns = best(_live, 96 * DRAWS, key, e.ints, e.floats, clock, events, due)
        draw_ns = best(_draw_many, DRAWS, key, e.ints, e.floats, clock, events)
        voters = _draw_many(key, e.ints, e.floats, clock, events) / DRAWS
        print(f"{name}: {len(e.holdings)} holders, {voters:.0f} voters a proposal on average")
        print(f"  draw_ballots   {draw_ns:8.1f} ns a proposal")
        print(f"  draw and pop   {life_ns:8.1f} ns a step, one proposal after another, 8 slots")
        print(f"  arrivals       {best(_arrive, STEPS, key, e.floats):8.1f} ns a step")
        arguments = (key, values, reach, open_parameters, e.ints, e.floats)
        print(f"  draw_proposal  {best(_draft, DRAWS, *arguments):8.1f} ns a proposal")


if __name__ == "__main__":
    main()
