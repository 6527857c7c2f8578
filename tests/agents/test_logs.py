"""Metrics on disk, cut back to a checkpoint, and progress on a screen."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from daogym.agents.logs import MetricsCsv, make_logger
from daogym.agents.progress import Progress

COLUMNS = ("steps", "a", "b")


def test_a_row_a_dump_with_empty_cells(tmp_path: Path) -> None:
    metrics = MetricsCsv(tmp_path / "m.csv", COLUMNS)
    metrics.write({"steps": 1, "b": 0.1}, {})
    metrics.write({"steps": 2, "a": 1e-300, "b": float("nan")}, {})
    metrics.close()
    text = (tmp_path / "m.csv").read_text()
    assert text == "steps,a,b\n1,,0.1\n2,1e-300,nan\n"


def test_a_resumed_file_is_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    metrics = MetricsCsv(path, COLUMNS)
    metrics.write({"steps": 1}, {})
    offset = metrics.offset()
    metrics.write({"steps": 2}, {})
    metrics.close()
    with path.open("ab") as file:
        file.write(b"3,half a r")
    resumed = MetricsCsv(path, COLUMNS, offset)
    resumed.write({"steps": 2, "a": 5}, {})
    resumed.close()
    assert path.read_text() == "steps,a,b\n1,,\n2,5,\n"
    with pytest.raises(ValueError, match="the checkpoint knew 999"):
        MetricsCsv(path, COLUMNS, 999)
    with pytest.raises(ValueError, match="its columns are"):
        MetricsCsv(path, ("other",), offset)


def test_an_undeclared_metric_is_an_error(tmp_path: Path) -> None:
    metrics = MetricsCsv(tmp_path / "m.csv", COLUMNS)
    with pytest.raises(KeyError, match="surprise"):
        metrics.write({"surprise": 1}, {})
    metrics.close()


def test_tensorboard_forgets_what_a_resumed_run_does_again(tmp_path: Path) -> None:
    def write(resumed_at: int | None, values: dict[int, float]) -> None:
        metrics = MetricsCsv(tmp_path / "m.csv", ("a",))
        logger = make_logger(tmp_path, metrics, True, resumed_at)
        for step, value in values.items():
            logger.record("a", value)
            logger.dump(step)
        logger.close()

    write(None, {10: 1.0, 20: 2.0, 30: -3.0})
    write(20, {30: 3.0, 40: 4.0})
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("a")] == [(10, 1), (20, 2), (30, 3), (40, 4)]


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_shows_speed_score_money_and_eta(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Progress, "SECONDS_BETWEEN_LINES", 0.0)
    said = io.StringIO()
    progress = Progress(
        Console(file=said, force_terminal=terminal, width=160), total_steps=1000, shown=True
    )
    progress.start(100, None)
    progress.money(-12.345)
    progress.score(41.26, -8.0)
    progress.advance(600)
    progress.stop()
    progress.stop()
    for word in ("steps/s", "41.3", "-12.3", "EUR/day", "1,000" if not terminal else "1000"):
        assert word in said.getvalue(), word
    silent = io.StringIO()
    hidden = Progress(Console(file=silent), 10, shown=False)
    hidden.start(0, None)
    hidden.advance(5)
    hidden.stop()
    assert silent.getvalue() == ""
