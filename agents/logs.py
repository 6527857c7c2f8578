"""Where SB3's logger writes: a CSV that a resumed run can cut back, and TensorBoard.

SB3's own CSV writer rewrites the file whenever a key appears; here the columns are known before
the first row, so that a row is only ever appended and a checkpoint can name a byte offset.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from stable_baselines3.common.logger import KVWriter, Logger, TensorBoardOutputFormat

SB3_COLUMNS = (
    "time/total_timesteps", "time/iterations", "time/time_elapsed", "time/fps",
    "time/simulator_share", "rollout/ep_rew_mean", "rollout/ep_len_mean",
    "rollout/money_per_day", "eval/steps", "eval/score", "eval/money_per_day",
    "train/learning_rate", "train/n_updates", "train/clip_range", "train/approx_kl",
    "train/clip_fraction", "train/entropy_loss", "train/explained_variance", "train/loss",
    "train/policy_gradient_loss", "train/std", "train/value_loss", "train/cost_value_loss",
)  # fmt: skip


def metric_columns(
    term_names: Sequence[str], cost_names: Sequence[str], limited: Sequence[str] = ()
) -> tuple[str, ...]:
    """Every metric of a run, in the order of the CSV; ``limited`` costs have a limit."""
    terms = tuple(f"env/{name}" for name in term_names)
    costs = tuple(f"cost/{name}" for name in cost_names)
    sums = (f"{kind}/{name}" for kind in ("episode_cost", "eval_cost") for name in cost_names)
    limits = (f"{kind}/{name}" for kind in ("constraint", "multiplier") for name in limited)
    return (*SB3_COLUMNS, *terms, *costs, *sums, *limits)


class MetricsCsv(KVWriter):
    """Appends one row a dump; unknown keys are an error, missing ones an empty cell."""

    def __init__(self, path: Path, columns: Sequence[str], offset: int | None = None) -> None:
        self.columns = tuple(columns)
        self._file: BinaryIO
        if offset is None:
            self._file = path.open("wb")
            self._row(self.columns)
            return
        if path.stat().st_size < offset:
            raise ValueError(f"{path}: {path.stat().st_size} bytes, the checkpoint knew {offset}")
        self._file = path.open("r+b")
        header = self._file.readline().decode().rstrip("\r\n")
        if header != ",".join(self.columns):
            raise ValueError(f"{path}: its columns are {header!r}, expected {self.columns}")
        self._file.truncate(offset)
        self._file.seek(offset)

    def offset(self) -> int:
        """Bytes that are safely on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()

    def write(
        self,
        key_values: dict[str, Any],
        key_excluded: dict[str, tuple[str, ...]],
        step: int = 0,
    ) -> None:
        """Append the values of one dump."""
        unknown = set(key_values) - set(self.columns)
        if unknown:
            raise KeyError(f"metrics without a column: {sorted(unknown)}")
        self._row([_cell(key_values.get(column)) for column in self.columns])

    def _row(self, cells: Sequence[str]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(cells)
        self._file.write(text.getvalue().encode())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, (int, str)) else repr(float(value))


class ResumableTensorBoard(TensorBoardOutputFormat):
    """SB3's TensorBoard writer; a resumed run hides what was written after its checkpoint."""

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.writer = SummaryWriter(log_dir=str(folder), purge_step=purge_step)
        self._is_closed = False


def make_logger(
    folder: Path, metrics: MetricsCsv, tensorboard: bool, resumed_at: int | None
) -> Logger:
    """SB3 logger of a run directory; ``resumed_at`` is the step count of the checkpoint."""
    outputs: list[KVWriter] = [metrics]
    if tensorboard:
        purge = None if resumed_at is None else resumed_at + 1
        outputs.append(ResumableTensorBoard(folder / "tensorboard", purge))
    return Logger(str(folder), outputs)
