"""Proof before writing: onnxruntime and torch agree on what the file does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from daogym.envs.core.fields import FieldSet

from ..policy import Contract
from .graph import OBSERVATION, PhysicalActor
from .onnx_policy import session

OBSERVATIONS = 10_000
TOLERANCE = 1e-5
BATCHES = (1, 2, 37)


class VerificationError(RuntimeError):
    """onnxruntime and torch disagree: says by how much, on which field."""


@dataclass(frozen=True)
class Verification:
    """What was checked.

    Attributes:
        observations: rows compared.
        largest_difference: of an action, as part of its field's range.
    """

    observations: int
    largest_difference: float


def probing_observations(fields: FieldSet, rows: int, seed: int = 0) -> NDArray[np.float32]:
    """(rows, size) float32 in physical units: inside, at and far beyond the bounds."""
    rng = np.random.default_rng(seed)
    low, high = fields.low, fields.high
    span = high - low
    values = rng.uniform(low, high, size=(rows, fields.size))
    quarter = rows // 4
    # At a bound, element by element; beyond by up to a range; and extremes of float32.
    at_low = rng.random((quarter, fields.size)) < 0.5
    values[:quarter] = np.where(at_low, low, high)
    beyond = rng.uniform(low - span, high + span, size=(quarter, fields.size))
    values[quarter : 2 * quarter] = beyond
    largest = float(np.finfo(np.float32).max)
    extremes = np.array([-largest, -1e30, -1e9, 0.0, 1e9, 1e30, largest])
    few = min(200, quarter)
    places = rng.random((few, fields.size)) < 0.2
    drawn = rng.choice(extremes, size=(few, fields.size))
    values[2 * quarter : 2 * quarter + few] = np.where(
        places, drawn, values[2 * quarter : 2 * quarter + few]
    )
    values[0], values[1] = low, high
    return values.astype(np.float32)


def verify(data: bytes, module: PhysicalActor, contract: Contract) -> Verification:
    """Compare ``data`` with ``module`` on `OBSERVATIONS` rows, in one batch and in small ones.

    Raises `VerificationError` beyond `TOLERANCE` of a field's range, or outside its bounds.
    """
    observations = probing_observations(contract.observations, OBSERVATIONS)
    with torch.no_grad():
        expected = module(torch.tensor(observations)).numpy().astype(np.float64)
    running = session(data, "the exported policy")

    def run(rows: NDArray[np.float32]) -> NDArray[np.float64]:
        return np.asarray(running.run(None, {OBSERVATION: rows})[0], dtype=np.float64)

    actions = contract.actions
    largest = 0.0
    for size in (OBSERVATIONS, *BATCHES):
        # Small batches walk over the hard rows at the beginning.
        count = OBSERVATIONS if size == OBSERVATIONS else min(OBSERVATIONS, 50 * size)
        for start in range(0, count - size + 1, size):
            rows = slice(start, start + size)
            got = run(observations[rows])
            _within(got, actions)
            difference = np.abs(got - expected[rows]) / (actions.high - actions.low)
            worst = float(difference.max())
            if not worst <= TOLERANCE:
                row, column = np.unravel_index(int(difference.argmax()), difference.shape)
                raise VerificationError(
                    f"onnxruntime and torch differ by {worst:.2e} of the range of "
                    f"{actions.names[column]} at observation {start + int(row)} "
                    f"(batch of {size}); at most {TOLERANCE:.0e} is accepted"
                )
            largest = max(largest, worst)
    return Verification(OBSERVATIONS, largest)


def _within(values: NDArray[np.float64], fields: FieldSet) -> None:
    low, high = fields.low.astype(np.float32), fields.high.astype(np.float32)
    if not (np.isfinite(values).all() and (values >= low).all() and (values <= high).all()):
        raise VerificationError("the exported policy leaves the bounds of its action fields")
