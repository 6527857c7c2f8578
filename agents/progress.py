"""What a person sees while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text


class _Speed(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("- steps/s" if speed is None else f"{speed:,.0f} steps/s")


class Progress:
    """A progress bar on a terminal; a line now and then where output goes to a file."""

    SECONDS_BETWEEN_LINES = 30.0

    def __init__(self, console: Console, total_steps: int, shown: bool, unit: str = "EUR") -> None:
        self.console, self.total, self.shown, self.unit = console, total_steps, shown, unit
        self._bar: RichProgress | None = None
        self._score = self._money = "-"
        self._costs = ""
        self._last_line = 0.0

    def start(self, steps: int, score: float | None) -> None:
        """Begin at ``steps`` (not 0 when a run is resumed)."""
        self._began, self._began_at = time.perf_counter(), steps
        self._last_line = self._began
        self.score(score, None)
        if not self.shown or not self.console.is_terminal:
            return
        self._bar = RichProgress(
            TextColumn("training"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _Speed(),
            TextColumn("score {task.fields[score]}"),
            TextColumn("{task.fields[money]} " + f"{self.unit}/day" + "{task.fields[costs]}"),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=self.console,
        )
        self._task = self._bar.add_task(
            "training",
            total=self.total,
            completed=steps,
            score=self._score,
            money=self._money,
            costs=self._costs,
        )
        self._bar.start()

    def money(self, per_day: float) -> None:
        """EUR a day of the exploring policy's latest episodes."""
        self._money = f"{per_day:.2f}"

    def costs(self, of_an_episode: Mapping[str, float], limits: Mapping[str, float]) -> None:
        """Mean sums over the exploring policy's latest episodes, of the costs that have a limit."""
        self._costs = "".join(
            f", {name} {of_an_episode[name]:.3g} of {limit:g}" for name, limit in limits.items()
        )

    def score(self, score: float | None, money_per_day: float | None) -> None:
        """Result of the latest evaluation."""
        if score is not None:
            self._score = f"{score:.1f}"
        elif money_per_day is not None:
            self._score = f"({money_per_day:.2f} {self.unit}/day)"

    def advance(self, steps: int) -> None:
        """Show that ``steps`` are done."""
        if self._bar is not None:
            self._bar.update(
                self._task,
                completed=steps,
                score=self._score,
                money=self._money,
                costs=self._costs,
            )
            return
        now = time.perf_counter()
        if self.shown and now - self._last_line >= self.SECONDS_BETWEEN_LINES:
            self._last_line = now
            speed = (steps - self._began_at) / max(now - self._began, 1e-9)
            left = max(self.total - steps, 0) / max(speed, 1e-9)
            self.console.print(
                f"{steps:,} of {self.total:,} steps, {speed:,.0f} steps/s, score {self._score}, "
                f"{self._money} {self.unit}/day{self._costs}, {left:,.0f} s left"
            )

    def stop(self) -> None:
        """Leave the terminal as it was; may be called twice."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
