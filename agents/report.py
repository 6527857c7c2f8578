"""A comparison as a table, as JSON and as a page; a run's learning curve as a picture."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from .scoring import Result


def table(results: Sequence[Result], title: str, domain: Any = None) -> Table:
    """One row a target, best money first; costs, interventions and events are per day."""
    shown = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for number, heading in enumerate(_headings(results, domain)):
        # Headings are long and cells short: headings fold at words, cells never.
        words = heading.replace("/", " /").replace("_", " ").replace(" ", "\n")
        if number == 0:
            shown.add_column(heading, overflow="fold", min_width=10)
        else:
            shown.add_column(words, justify="right", no_wrap=True)
    for row in _rows(results, domain):
        shown.add_row(*row)
    return shown


def print_table(console: Console, shown: Table) -> None:
    """Print at the table's natural width: columns are never cut, a narrow terminal folds lines."""
    unbounded = console.options.update(max_width=10_000)
    natural = Measurement.get(console, unbounded, shown).maximum
    wide = Console(
        file=console.file,
        width=max(natural, console.width),
        force_terminal=console.is_terminal,
        no_color=console.no_color,
    )
    wide.print(shown)


def markdown(results: Sequence[Result], domain: Any = None) -> str:
    """The same tables in Markdown."""
    headings = [heading.replace("- ", "") for heading in _headings(results, domain)]
    text = _markdown_table([headings, *_rows(results, domain)])
    social = social_rows(results, domain)
    return text + "\n" + _markdown_table(social) if social else text


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|---|" + "---:|" * (len(rows[0]) - 1))
    return "\n".join(lines) + "\n"


def social_rows(results: Sequence[Result], domain: Any = None) -> list[list[str]]:
    """Headings, then one row for each target of several agents; empty where there is none."""
    rows = [
        [
            Path(result.target).name,
            _number(social.efficiency, ".3g"),
            _number(social.gini, ".3f"),
            _number(social.sustainability, ".1f"),
            _number(social.capture, ".3f"),
        ]
        for result in sorted(results, key=lambda result: -result.money_per_day)
        if (social := result.social) is not None
    ]
    names = ["agents of", f"efficiency, {currency_of(domain)}/step", "Gini of own returns",
             "sustainability, step", "capture, share"]  # fmt: skip
    return [names, *rows] if rows else []


def social_table(results: Sequence[Result], domain: Any = None) -> Table | None:
    """Social metrics of the targets of several agents, see social.py."""
    rows = social_rows(results, domain)
    if not rows:
        return None
    shown = Table(title="what agents earn by themselves", title_justify="left",
                  box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))  # fmt: skip
    for number, heading in enumerate(rows[0]):
        shown.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in rows[1:]:
        shown.add_row(*row)
    return shown


def currency_of(domain: Any) -> str:
    """What a domain's rewards are paid in; EUR where it does not say."""
    return str(getattr(domain, "currency", "EUR"))


def reported_events(domain: Any) -> tuple[tuple[str, str], ...]:
    """(heading, name) of the events that a domain wants shown; none where it does not say."""
    return tuple(getattr(domain, "reported_events", ()))


def _headings(results: Sequence[Result], domain: Any) -> list[str]:
    return [
        "target", "score", "95 % interval", f"{currency_of(domain)}/day",
        *(f"{name}/day" for name in _cost_names(results)),
        "inter- ventions/day", *(f"{heading}/day" for heading, _ in reported_events(domain)),
        "us/act",
    ]  # fmt: skip


def _cost_names(results: Sequence[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in result.costs))


def _rows(results: Sequence[Result], domain: Any) -> list[list[str]]:
    costs = _cost_names(results)
    return [
        [
            Path(result.target).name,
            _number(result.score, ".1f"),
            "-" if result.score_ci is None else "{:.1f} to {:.1f}".format(*result.score_ci),
            _number(result.money_per_day, ".2f"),
            *(_number(result.costs.get(name), ".3g") for name in costs),
            _number(result.interventions, ".1f"),
            *(_number(result.events.get(name), ".3g") for _, name in reported_events(domain)),
            _number(result.us_per_decision, ".1f"),
        ]
        for result in sorted(results, key=lambda result: -result.money_per_day)
    ]


def _number(value: float | None, form: str) -> str:
    return "-" if value is None or not math.isfinite(value) else format(value, form)


def document(
    results: Sequence[Result],
    scenario: str,
    scenario_hash: str,
    split: str,
    episodes: int,
    rule: str,
    currency: str = "EUR",
) -> dict[str, Any]:
    """The document of ``evaluate.py --json``."""
    return {
        "scenario": scenario,
        "scenario_hash": scenario_hash,
        "split": split,
        "episodes": episodes,
        "rule": rule,
        "currency": currency,
        "results": [result.to_json() for result in results],
    }


def learning_curve(metrics: Path, picture: Path, title: str, currency: str = "EUR") -> None:
    """Draw money a day (exploring and validated) and the score against environment steps."""
    # The figure is made without pyplot: no window system, no global state.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with metrics.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def series(x: str, y: str) -> tuple[list[float], list[float]]:
        points = [(float(row[x]), float(row[y])) for row in rows if row[x] and row[y]]
        return [point[0] for point in points], [point[1] for point in points]

    figure = Figure(figsize=(8.0, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.plot(*series("time/total_timesteps", "rollout/money_per_day"), lw=0.8, alpha=0.6,
              label="training (exploring)")  # fmt: skip
    axes.plot(*series("eval/steps", "eval/money_per_day"), "o-", ms=3, label="validation")
    axes.set(title=title, xlabel="environment steps", ylabel=f"{currency}/day")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    steps, scores = series("eval/steps", "eval/score")
    if scores:
        right = axes.twinx()
        right.plot(steps, scores, "k--", lw=0.8)
        right.set_ylabel("score (dashed): 0 best rule, 100 bound")
    partial = picture.with_name(f".{picture.name}.tmp")
    figure.savefig(partial, format="png", dpi=120, metadata={"Software": None})
    partial.replace(picture)
