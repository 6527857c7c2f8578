"""Makes the tables and pictures of docs/capture.md:

    python tools/capture_pictures.py [--print] [--tables | --pictures]

Run it after a change of a capture charter, a story or a rule; a test compares page and code.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from daogym.envs.dao.capture import CASES, SUPPLY, VARIANTS, CaseResult, load_case, run_case
from daogym.envs.dao.capture_market import MICRO, Pool, stake_cost

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGE = DOCS / "capture.md"
IMAGES = DOCS / "images"
TABLE = re.compile(r"<!-- table: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)
SEEDS = range(20)
PICTURED_SEED = 0
QUORUMS = (1, 4, 10, 20, 30, 40, 50)

PAIRS: dict[str, tuple[str, ...]] = {
    "beanstalk": ("timelock", "guardian"),
    "apathy": ("timelock", "guardian"),
    "late_vote": (),
    "late_quorum": (),
    "opaque_payload": (),
    "oracle_attack": ("oracle_median", "cooldown"),
    "exchange_takeover": ("timelock", "guardian"),
}
"""Defences that are also played together."""

PICTURED: dict[str, tuple[tuple[str, ...], ...]] = {
    "beanstalk": ((), ("snapshot",), ("timelock", "guardian")),
    "apathy": ((), ("quorum",), ("timelock", "guardian")),
    "late_vote": ((), ("late_quorum_extension",), ("guardian",)),
    "late_quorum": ((), ("late_quorum_extension",)),
    "opaque_payload": ((), ("payload_review",), ("guardian",)),
    "oracle_attack": ((), ("oracle_median",), ("oracle_twap",)),
    "exchange_takeover": ((), ("cooldown",), ("timelock", "guardian")),
}
"""What each picture shows side by side."""

HOURLY = ("exchange_takeover",)

FOR_COLOUR, AGAINST_COLOUR, CAPTURED, DEADLINE, ETA = (
    "#c1121f", "#2a6f97", "#f7d6d6", "#8a8f98", "#e09f3e",
)  # fmt: skip


def main() -> None:
    """Write the page's tables and the pictures."""
    parser = argparse.ArgumentParser(description="Tables and pictures of docs/capture.md.")
    parser.add_argument("--print", action="store_true", help="print the tables, write nothing")
    parser.add_argument("--tables", action="store_true", help="tables only")
    parser.add_argument("--pictures", action="store_true", help="pictures only")
    arguments = parser.parse_args()
    if not arguments.pictures:
        made = tables()
        if arguments.print:
            for name, table in made.items():
                print(f"{name}\n\n{table}")
            return
        text = PAGE.read_text(encoding="utf-8")
        put: Callable[[re.Match[str]], str] = lambda m: (  # noqa: E731
            f"<!-- table: {m[1]} -->\n{made[m[1]]}<!-- end -->"
        )
        PAGE.write_text(TABLE.sub(put, text), encoding="utf-8")
    if not arguments.tables:
        for name in CASES + VARIANTS:
            picture(name)


# --- tables ---------------------------------------------------------------------------------------


def tables() -> dict[str, str]:
    """Every table of the page, by name."""
    return {name: table(name) for name in (*CASES, *VARIANTS, "prices", "quorums")}


def table(name: str) -> str:
    """One of them."""
    if name == "prices":
        return price_table()
    return quorum_table() if name == "quorums" else defence_table(name)


def markdown(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def money(cents: float) -> str:
    """Dollars, in millions from a million on."""
    dollars = cents / 100
    if abs(dollars) >= 1e6:
        return f"{dollars / 1e6:,.1f} M"
    return f"{round(dollars) + 0:,}"


def played(name: str) -> list[tuple[str, ...]]:
    """Combinations of defences in a case's table."""
    single = [(defence,) for defence in load_case(name).defences]
    pair = PAIRS[name]
    return [(), *single, *([pair] if pair else [])]


def label(defences: tuple[str, ...]) -> str:
    """Defences as they are called in tables and pictures."""
    return " + ".join(d.replace("_", " ") for d in defences) if defences else "as it happened"


def defence_table(name: str) -> str:
    """Means over the seeds, a row for each combination of defences."""
    rows = []
    for defences in played(name):
        results = [run_case(name, defences, seed) for seed in SEEDS]
        mean = lambda of: sum(of(r) for r in results) / len(results)  # noqa: B023, E731
        rows.append((
            label(defences),
            f"{mean(lambda r: r.passed):.0%}",
            f"{mean(lambda r: r.executed):.0%}",
            money(mean(lambda r: r.treasury_loss_cents)),
            money(mean(lambda r: r.cost_cents)),
            money(mean(lambda r: r.profit_cents)),
            f"{mean(lambda r: r.captured_steps):.0f}",
        ))  # fmt: skip
    head = (
        "Rules", "Vote carried", "Executed", "Treasury loss", "Attacker's cost",
        "Attacker's profit", "Captured steps",
    )  # fmt: skip
    return markdown(head, rows)


def price_table() -> str:
    """Metrics of what happened, and what the votes would have cost in the pool."""
    rows = []
    for name in CASES + VARIANTS:
        results = [run_case(name, (), seed) for seed in SEEDS]
        mean = lambda of: sum(of(r) for r in results) / len(results)  # noqa: B023, E731
        prices = [r.break_even_cents for r in results]
        known = [p for p in prices if p is not None]
        rows.append((
            f"`{name}`",
            f"{mean(lambda r: r.nakamoto):.1f}",
            f"{mean(lambda r: r.gini):.2f}",
            f"{mean(lambda r: r.turnout):.1%}",
            f"{mean(lambda r: r.votes_needed) / SUPPLY:.1%}",
            money(sum(known) / len(known)) if len(known) == len(prices) else "not for sale",
            money(mean(lambda r: r.cost_cents)),
            money(mean(lambda r: r.extractable_cents)),
        ))  # fmt: skip
    head = (
        "Case", "Nakamoto", "Gini", "Turnout", "Votes needed", "Cost of buying them",
        "Cost as it happened", "Extractable",
    )  # fmt: skip
    return markdown(head, rows)


def quorum_table() -> str:
    """What a quorum costs to buy in the apathetic DAO, against what there is to take."""
    charter = load_case("apathy")
    token = charter.token
    fair = token.price_microcents * token.supply // SUPPLY
    extractable = run_case("apathy").extractable_cents
    rows = []
    for quorum in QUORUMS:
        cells = [f"{quorum} %"]
        for slices in (1, charter.attacker.slices, 200):
            pool = Pool(
                charter.units(token.pool),
                token.price_microcents * token.pool // MICRO,
                token.pool_fee_bps,
            )
            cost = stake_cost(pool, fair, quorum * SUPPLY // 100, slices, token.fall_bps)
            cells.append("not for sale" if cost is None else money(cost))
            if cost is not None and cost >= extractable:
                cells[-1] += " (does not pay)"
        rows.append(cells)
    head = ("Quorum", "Bought at once", f"In {charter.attacker.slices} steps", "In 200 steps")
    return markdown(head, rows)


# --- pictures -------------------------------------------------------------------------------------


def picture(name: str) -> None:
    """Tallies over time, side by side."""
    shown = PICTURED[name]
    results = [run_case(name, defences, PICTURED_SEED) for defences in shown]
    prices = name == "oracle_attack"
    figure = Figure(figsize=(3.7 * len(shown) + 0.3, 5.0 if prices else 3.1), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2 if prices else 1, len(shown), squeeze=False)
    for column, (defences, result) in enumerate(zip(shown, results, strict=True)):
        if prices:
            draw_prices(axes[0, column], name, result)
            axes[0, column].set_title(label(defences), fontsize=10)
        draw_votes(axes[-1, column], name, result)
        if not prices:
            axes[-1, column].set_title(label(defences), fontsize=10)
        axes[-1, column].set_xlabel("hours" if name in HOURLY else "days")
    axes[-1, 0].set_ylabel("votes, % of supply")
    highest = max(axes[-1, c].get_ylim()[1] for c in range(len(shown)))
    if name != "beanstalk":
        for column in range(len(shown)):
            axes[-1, column].set_ylim(0, highest)
    legend: dict[str, Any] = {}
    for column in range(len(shown)):
        for handle, text in zip(*axes[-1, column].get_legend_handles_labels(), strict=True):
            legend.setdefault(text, handle)
    figure.legend(
        list(legend.values()), list(legend), loc="outside lower center", fontsize=8, frameon=False,
        ncols=len(legend) if len(legend) <= 2 * len(shown) + 1 else (len(legend) + 1) // 2,
    )  # fmt: skip
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / f"capture_{name}.png", dpi=95)


def days(name: str, steps: Any) -> Any:
    """Steps of a case as days, or as hours where all is over in one."""
    return np.asarray(steps) * load_case(name).step_s / (3600 if name in HOURLY else 86_400)


def window(result: CaseResult) -> tuple[int, int]:
    """First and last step worth showing."""
    what = [event.step for event in result.timeline if event.what != "sold"]
    what.append(result.eta if result.eta >= 0 else what[0])
    spread = max(what) - min(what)
    return max(min(what) - spread // 20, 0), min(max(what) + spread // 5 + 4, len(result.tallies))


def draw_votes(axis: Any, name: str, result: CaseResult) -> None:
    """Tallies, deadline, eta, and when a captured value was in force."""
    first, last = window(result)
    steps = np.arange(first, last)
    tallies = result.tallies[first:last, :3].astype(float) / SUPPLY * 100
    axis.step(days(name, steps), tallies[:, 1], where="post", color=FOR_COLOUR, label="For")
    axis.step(days(name, steps), tallies[:, 0], where="post", color=AGAINST_COLOUR, label="Against")
    if result.quorum > 0:
        axis.axhline(result.quorum / SUPPLY * 100, color="#555555", lw=0.8, ls=(0, (1, 2)),
                     label="quorum")  # fmt: skip
    axis.axvline(days(name, result.deadline), color=DEADLINE, lw=1, ls="--", label="voting closes")
    if result.eta >= 0:
        axis.axvline(days(name, result.eta), color=ETA, lw=1.2, ls="--", label="timelock ends")
    held = np.flatnonzero(result.in_force[first:last])
    if held.size:
        axis.axvspan(days(name, first + held[0]), days(name, last - 1), color=CAPTURED, lw=0,
                     label="captured value in force")  # fmt: skip
    for event in result.timeline:
        if event.what in ("executed", "veto", "swap"):
            height = float(result.tallies[min(event.step, len(result.tallies) - 1), 1]) / SUPPLY
            marker = {"executed": "X", "veto": "o", "swap": "v"}[event.what]
            text = {"executed": "executed", "veto": "vetoed", "swap": "code swapped"}[event.what]
            axis.plot(days(name, event.step), height * 100, marker, color="black", ms=7, label=text,
                      clip_on=False, zorder=5)  # fmt: skip
    if name == "beanstalk":
        axis.set_yscale("symlog", linthresh=10)
        axis.set_ylim(0, 600)
        axis.set_yticks([0, 5, 10, 50, 100, 400], ["0", "5", "10", "50", "100", "400"])
    else:
        axis.set_ylim(0, max(axis.get_ylim()[1], 1.0))
    low, high = days(name, first), days(name, last - 1)
    axis.set_xlim(low, high)
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


def draw_prices(axis: Any, name: str, result: CaseResult) -> None:
    """The pool's price and the oracle's, as multiples of the fair one, about the pump."""
    pump = next(e.step for e in result.timeline if e.what == "pump")
    steps = np.arange(max(pump - 3, 0), pump + 8)
    charter = load_case(name)
    fair = charter.token.price_microcents * charter.token.supply // SUPPLY
    hours = (steps - pump) * charter.step_s / 3600
    axis.step(hours, result.pool_price[steps] / fair, where="post", color="#555555", label="pool")
    axis.step(hours, result.oracle_price[steps] / fair, where="post", color=ETA, label="oracle")
    axis.set_yscale("log")
    axis.set_ylim(0.5, 40)
    axis.set_yticks([1, 5, 24], ["1", "5", "24"])
    axis.set_xlabel("hours from the pump", fontsize=8)
    axis.set_ylabel("price / fair price", fontsize=8)
    axis.legend(fontsize=7, frameon=False, loc="center right")
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
