"""Directions for all points at once: one Cholesky factor, one matrix product."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

Floats = NDArray[np.float64]

RIDGES = (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
"""Relative to the variances of the other class; the first ones separate where many columns are noise."""


class Whitening:
    """The other class's mean and covariance.

    For a point ``x`` the direction ``(S + ridge * D)^-1 (x - mean)`` is the one in which ``x`` stands out
    most from the class, in units of the class's own spread. ``D`` is the mean variance of the columns
    (columns in one unit, as pixels) or the diagonal of their variances over both classes.

    Args:
        others: (N, d) the class whose hull is in question.
        spread: (d,) standard deviations of the columns over both classes.
    """

    def __init__(self, others: Floats, spread: Floats) -> None:
        self.mean = others.mean(axis=0)
        centred = others - self.mean
        self.covariance = centred.T @ centred / len(others)
        # A column that is constant everywhere tells nothing, and must not make the factor singular.
        self.variance = np.where(spread > 0, spread, 1.0) ** 2

    def factors(self, ridges: tuple[float, ...] = RIDGES) -> Iterator[Floats]:
        """Lower Cholesky factors of ``S + ridge * D``, by falling ridge."""
        for ridge in ridges:
            for diagonal in (np.full_like(self.variance, self.variance.mean()), self.variance):
                yield self.factor(ridge, diagonal)

    def factor(self, ridge: float, diagonal: Floats) -> Floats:
        """One of them."""
        regular = self.covariance.copy()
        regular[np.diag_indices_from(regular)] += ridge * diagonal
        lower: Floats = linalg.cholesky(regular, lower=True, overwrite_a=True, check_finite=False)
        return lower

    def directions(self, x: Floats, factor: Floats) -> Floats:
        """(n, d) for points (n, d)."""
        solved: Floats = linalg.cho_solve(
            (factor, True), (x - self.mean).T, overwrite_b=True, check_finite=False
        ).T
        return solved
