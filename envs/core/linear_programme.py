"""A linear programme built from blocks of variables, solved by HiGHS, with a proof of its value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linprog
from scipy.sparse import csr_array

from .layout import Float, Int

Term = tuple[Int, ArrayLike]
"""Indices of variables, (rows,) or (rows, k), and their coefficients."""


# One programme in thousands leaves HiGHS in numerical trouble; another way then solves it.
_WAYS = (("highs", True), ("highs-ds", False), ("highs-ipm", True))


@dataclass(frozen=True)
class Solution:
    """A minimum.

    Attributes:
        x: (n,) variables.
        value: objective at `x`.
        lower: a proven lower limit of the true minimum, see `LinearProgramme.solve`.
    """

    x: Float
    value: float
    lower: float


@dataclass
class _Rows:
    row: list[Int] = field(default_factory=list)
    column: list[Int] = field(default_factory=list)
    value: list[Float] = field(default_factory=list)
    right: list[Float] = field(default_factory=list)
    count: int = 0

    def add(self, right: ArrayLike, terms: tuple[Term, ...]) -> None:
        n_rows = max(len(index) for index, _ in terms)
        first = self.count + np.arange(n_rows)
        for index, coefficient in terms:
            self.row.append(first if index.ndim == 1 else np.repeat(first, index.shape[1]))
            self.column.append(index.ravel())
            value = np.asarray(coefficient, dtype=np.float64)
            self.value.append(np.broadcast_to(value, index.shape).ravel())
        self.right.append(np.broadcast_to(np.asarray(right, dtype=np.float64), (n_rows,)))
        self.count += n_rows

    def add_sparse(self, right: ArrayLike, row: Int, index: Int, coefficient: ArrayLike) -> None:
        self.row.append(self.count + np.asarray(row))
        self.column.append(np.asarray(index))
        value = np.asarray(coefficient, dtype=np.float64)
        self.value.append(np.broadcast_to(value, np.shape(index)))
        self.right.append(np.asarray(right, dtype=np.float64))
        self.count += len(self.right[-1])

    def matrix(self, n: int) -> tuple[csr_array, Float]:
        index = (np.concatenate(self.row), np.concatenate(self.column))
        matrix = csr_array((np.concatenate(self.value), index), shape=(self.count, n))
        return matrix, np.concatenate(self.right)


class LinearProgramme:
    """minimise constant + cost x, subject to rows and to finite limits of every variable.

    At least one row of each kind (`at_most`, `equal`) must be added before it is solved.
    """

    def __init__(self) -> None:
        self.n = 0
        self.constant = 0.0
        self._low: list[Float] = []
        self._high: list[Float] = []
        self._cost: list[Float] = []
        self._at_most, self._equal = _Rows(), _Rows()

    def variables(self, n: int, low: ArrayLike, high: ArrayLike, cost: ArrayLike = 0.0) -> Int:
        """Indices of `n` new variables; limits and costs are numbers or (n,)."""
        for store, given in ((self._low, low), (self._high, high), (self._cost, cost)):
            store.append(np.broadcast_to(np.asarray(given, dtype=np.float64), (n,)))
        self.n += n
        return np.arange(self.n - n, self.n)

    def at_most(self, right: ArrayLike, *terms: Term) -> None:
        """Rows sum(coefficient * x[index]) <= right; see `equal` for the shapes."""
        self._at_most.add(right, terms)

    def equal(self, right: ArrayLike, *terms: Term) -> None:
        """Rows sum(coefficient * x[index]) == right.

        With an index of shape (rows, k) the k products are added up.
        """
        self._equal.add(right, terms)

    def at_most_sparse(
        self, right: ArrayLike, row: Int, index: Int, coefficient: ArrayLike
    ) -> None:
        """Rows sum(coefficient * x[index]) <= right of different lengths.

        Args:
            right: (rows,).
            row, index, coefficient: (entries,), the row counted from the first of these.
        """
        self._at_most.add_sparse(right, row, index, coefficient)

    def equal_sparse(self, right: ArrayLike, row: Int, index: Int, coefficient: ArrayLike) -> None:
        """Rows sum(coefficient * x[index]) == right; see `at_most_sparse`."""
        self._equal.add_sparse(right, row, index, coefficient)

    def minimum(self) -> Float:
        """Variables at the minimum, (n,), within HiGHS's tolerances.

        Raises:
            RuntimeError: HiGHS found no optimum.
        """
        return np.asarray(self._run()[0].x)

    def solve(self) -> Solution:
        """The minimum, and a lower limit of it that does not rest on HiGHS's tolerances.

        Weak duality: for any y <= 0 and any z, every feasible x satisfies cost x >= y b + z d +
        sum_j min over [low_j, high_j] of (cost - A'y - D'z)_j x_j, where A x <= b and D x = d are
        the rows. HiGHS's duals, with wrong signs set to 0, are such y and z; what is left is the
        rounding of two matrix products.

        Raises:
            RuntimeError: HiGHS found no optimum.
        """
        result, low, high, cost, (a, b), (d, e) = self._run()
        y = np.minimum(result.ineqlin.marginals, 0.0)
        z = result.eqlin.marginals
        reduced = cost - a.T @ y - d.T @ z
        lower = float(b @ y) + float(e @ z)
        lower += float(np.where(reduced > 0.0, reduced * low, reduced * high).sum())
        return Solution(
            np.asarray(result.x), float(result.fun) + self.constant, lower + self.constant
        )

    def _run(self) -> Any:
        low, high = np.concatenate(self._low), np.concatenate(self._high)
        cost = np.concatenate(self._cost)
        a, b = self._at_most.matrix(self.n)
        d, e = self._equal.matrix(self.n)
        for method, presolve in _WAYS:
            result = linprog(
                cost, A_ub=a, b_ub=b, A_eq=d, b_eq=e, bounds=np.stack([low, high], axis=1),
                method=method, options={"presolve": presolve},
            )  # fmt: skip
            if result.status == 0:
                break
        else:
            raise RuntimeError(f"the linear programme was not solved: {result.message}")
        return result, low, high, cost, (a, b), (d, e)
