"""Bootstrap intervals over groups of episodes, paired comparison, and the statistics of rliable.

Intervals are percentile bootstraps over whole groups of episodes (weeks, seeds), as episodes of
one week or of one trained policy are not independent. With several factors each is resampled and
the weights multiply (the "pigeonhole" bootstrap: Owen, "The pigeonhole bootstrap", Annals of
Applied Statistics 1 (2007) 386-411). No global random state is read or changed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Groups = npt.ArrayLike | Sequence[npt.ArrayLike]


class ScoreError(ValueError):
    """No score can be given."""


class Result:
    """Gives dataclasses of results their JSON; infinite numbers are written as null."""

    def to_dict(self) -> dict[str, Any]:
        """Plain data, nested results included."""
        return asdict(self)  # type: ignore[call-overload, no-any-return]

    def to_json(self) -> str:
        """One line of JSON with sorted keys."""
        return json.dumps(_finite(self.to_dict()), sort_keys=True, allow_nan=False)


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    return None if isinstance(data, float) and not math.isfinite(data) else data


@dataclass(frozen=True)
class Interval(Result):
    """An estimate with the two ends of its interval."""

    estimate: float
    low: float
    high: float
    confidence: float


@dataclass(frozen=True)
class Comparison(Result):
    """Mean of a - b over paired episodes; ``is_above`` if the interval's lower end is above 0."""

    difference: Interval
    is_above: bool


def checked_values(values: npt.ArrayLike, name: str) -> FloatArray:
    """``values`` as float64 with at least one axis and element, all finite; else `ScoreError`."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim < 1 or array.size == 0:
        raise ScoreError(f"{name}: at least one episode is expected, got shape {array.shape}")
    if not np.isfinite(array).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise ScoreError(f"{name}: episode {place[-1]} is {array[place]}, not a finite number")
    return array


def bootstrap_interval(
    values: npt.ArrayLike,
    groups: Groups,
    weights: npt.ArrayLike | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Interval of sum(values) / sum(weights) when whole groups are drawn with replacement.

    Args:
        values: any shape; flattened.
        groups: one array of labels, or a tuple or list of such arrays (factors, such as
            ``(week, seed[:, None])``), each of which broadcasts to ``values``. A factor with one
            label is not resampled.
        weights: denominator, the shape of ``values``; default ones (the mean).
        seed: of a generator made here and thrown away.

    Raises:
        ScoreError: fewer than two groups, or shapes that do not fit.
    """
    numerator = checked_values(values, "values")
    shape = numerator.shape
    denominator = np.ones(shape) if weights is None else checked_values(weights, "weights")
    if denominator.shape != shape:
        raise ScoreError(f"weights have shape {denominator.shape}, values have {shape}")
    labels = _factors(groups, shape)
    sizes = [int(factor.max()) + 1 for factor in labels]
    if max(sizes) < 2:
        raise ScoreError("a bootstrap needs at least two groups of episodes, got one")

    # sums over each cell of the factors, once: a resample then only weighs cells
    cells = np.ravel_multi_index(labels, sizes)
    used, cell_of = np.unique(cells, return_inverse=True)
    tops = np.bincount(cell_of, numerator.ravel(), used.size)
    bottoms = np.bincount(cell_of, denominator.ravel(), used.size)
    members = np.unravel_index(used, sizes)
    generator = np.random.Generator(np.random.Philox(seed))
    ratios = []
    for start in range(0, resamples, 500):
        rows = min(500, resamples - start)
        drawn = np.ones((rows, used.size))
        for size, member in zip(sizes, members, strict=True):
            if size > 1:
                counts = generator.multinomial(size, np.full(size, 1.0 / size), size=rows)
                drawn *= counts[:, member]
        top, bottom = (drawn * tops).sum(axis=1), (drawn * bottoms).sum(axis=1)
        # of unbalanced factors a resample may hold no episode at all
        ratios.append(top[bottom > 0.0] / bottom[bottom > 0.0])
    sample = np.concatenate(ratios)
    if sample.size == 0:
        raise ScoreError("weights: a positive sum is expected")
    return _percentiles(float(numerator.sum() / denominator.sum()), sample, confidence)


def _factors(groups: Groups, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.intp], ...]:
    """Each factor's labels as numbers 0, 1, ... for every flattened value."""
    several = isinstance(groups, (tuple, list)) and len(groups) > 0 and np.ndim(groups[0]) > 0
    numbered = []
    for factor in groups if several else [groups]:  # type: ignore[union-attr]
        labels = np.asarray(factor)
        try:
            spread = np.broadcast_to(labels, shape)
        except ValueError:
            raise ScoreError(
                f"groups: labels of shape {labels.shape} do not fit values of shape {shape}"
            ) from None
        numbered.append(np.unique(spread, return_inverse=True)[1].reshape(-1))
    return tuple(numbered)


def _percentiles(estimate: float, sample: FloatArray, confidence: float) -> Interval:
    if not 0.0 < confidence < 1.0:
        raise ScoreError(f"confidence: a number between 0 and 1 is expected, got {confidence}")
    tail = 50.0 * (1.0 - confidence)
    low, high = np.percentile(sample, [tail, 100.0 - tail])
    return Interval(estimate, float(low), float(high), confidence)


def paired_bootstrap(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    groups: Groups,
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Is A above B? Mean of a - b on the same episodes, with its interval over ``groups``.

    ``a`` and ``b`` broadcast: (seeds, episodes) of a trained policy against (episodes,) of a rule.
    """
    first, second = checked_values(a, "a"), checked_values(b, "b")
    if first.shape[-1] != second.shape[-1]:
        raise ScoreError(
            f"a and b must hold the same episodes, got {first.shape[-1]} and {second.shape[-1]}"
        )
    difference = bootstrap_interval(
        first - second, groups, confidence=confidence, resamples=resamples, seed=seed
    )
    return Comparison(difference, difference.low > 0.0)


def iqm(values: npt.ArrayLike) -> float:
    """Interquartile mean: the mean without the lowest and the highest quarter (rounded down).

    Agarwal et al., "Deep reinforcement learning at the edge of the statistical precipice",
    NeurIPS 2021; of all runs and tasks together.
    """
    ordered = np.sort(checked_values(values, "values"), axis=None)
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean())


def probability_of_improvement(a: npt.ArrayLike, b: npt.ArrayLike) -> float:
    """P(a run of A beats a run of B), ties half, averaged over tasks (Agarwal et al. 2021).

    ``a`` (runs of A, tasks) and ``b`` (runs of B, tasks); (runs,) is one task. Per task it is the
    Mann-Whitney U divided by the number of pairs of runs.
    """
    first, second = checked_values(a, "a"), checked_values(b, "b")
    first, second = (x[:, None] if x.ndim == 1 else x for x in (first, second))
    if first.shape[1:] != second.shape[1:]:
        raise ScoreError(f"tasks of a {first.shape[1:]} and of b {second.shape[1:]} differ")
    pairs = first[:, None] - second[None]
    return float(((pairs > 0.0) + 0.5 * (pairs == 0.0)).mean())


def stratified_interval(
    statistic: Callable[..., float],
    *samples: npt.ArrayLike,
    confidence: float = 0.95,
    resamples: int = 2_000,
    seed: int = 0,
) -> Interval:
    """Interval of ``statistic(*samples)``, runs redrawn within each task (Agarwal et al. 2021).

    Each sample is (runs, tasks) or (runs,); tasks are strata and are not redrawn.
    """
    arrays = [checked_values(sample, "sample") for sample in samples]
    generator = np.random.Generator(np.random.Philox(seed))
    drawn = np.empty(resamples)
    for i in range(resamples):
        drawn[i] = statistic(
            *(
                np.take_along_axis(x, generator.integers(0, len(x), size=x.shape), axis=0)
                for x in arrays
            )
        )
    return _percentiles(float(statistic(*arrays)), drawn, confidence)
