"""The nearest point of a convex hull (Wolfe, Finding the nearest point in a polytope, 1976)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

GRAM_NUMBERS = 150_000_000
"""Largest table of inner products that is kept: 1.2 GB in float64."""
INSIDE = 1e-9
"""A distance below this share of the points' size counts as none: the exact step decides."""


@dataclass(frozen=True, eq=False)
class Nearest:
    """A point of the hull near to ``x``.

    Attributes:
        support: numbers of the points it is a combination of, affinely independent.
        weights: of the combination, positive, of sum 1.
        residual: ``x`` minus the point.
        lower, upper: bounds of the distance in l2 (up to rounding); ``lower`` may be negative.
    """

    support: list[int]
    weights: Floats
    residual: Floats
    lower: float
    upper: float


class Hull:
    """The convex hull of points (N, d), asked for its nearest point to many others."""

    def __init__(self, points: Floats) -> None:
        self.origin = points.mean(axis=0)
        self.points = points - self.origin
        self.squares = np.einsum("nd,nd->n", self.points, self.points)
        self.size = float(np.sqrt(self.squares.max(initial=0.0)))
        n, d = points.shape
        # In high dimension a table of inner products saves most of the work.
        self.gram = self.points @ self.points.T if d > 64 and n * n <= GRAM_NUMBERS else None

    def nearest(
        self, x: Floats, tolerance: float = 1e-6, steps: int = 2000, stop_outside: bool = False
    ) -> Nearest:
        """Wolfe's major cycles until the gap is closed.

        Args:
            x: (d,).
            tolerance: stop where ``lower >= (1 - tolerance) * upper``.
            steps: at most so many major cycles.
            stop_outside: stop as soon as ``lower`` is clearly positive, so that ``x`` is outside.
        """
        x = x - self.origin
        cross = self.points @ x
        size = max(self.size, float(np.linalg.norm(x)), 1e-300)
        support = [int(np.argmin(self.squares - 2 * cross))]
        weights = np.ones(1)
        best = -np.inf
        kept: Nearest | None = None
        for _ in range(steps):
            residual = x - weights @ self.points[support]
            upper = float(np.linalg.norm(residual))
            scores = self._scores(support, weights, cross, residual)
            entering = int(np.argmax(scores))
            lower = (float(residual @ x) - float(scores[entering])) / max(upper, 1e-300)
            if kept is None or lower > best:
                best = lower
                kept = Nearest(list(support), weights, residual, lower, upper)
            done = best >= (1 - tolerance) * upper or upper <= INSIDE * size
            if done or entering in support or (stop_outside and lower > 1e-6 * size):
                break
            # The squared distance that is still to gain is below the rounding of the products.
            if upper * (upper - lower) <= 1e-15 * size * size:
                break
            support, weights = self._corrected([*support, entering], np.append(weights, 0.0), cross)
        residual = x - weights @ self.points[support]
        upper = float(np.linalg.norm(residual))
        if upper <= INSIDE * size or kept is None:
            return Nearest(list(support), weights, residual, best, upper)
        # Direction and bound of the best step, combination of the last.
        return Nearest(list(support), weights, kept.residual, best, upper)

    def _scores(
        self, support: list[int], weights: Floats, cross: Floats, residual: Floats
    ) -> Floats:
        """``<point, residual>`` for every point."""
        if self.gram is None:
            direct: Floats = self.points @ residual
            return direct
        by_table: Floats = cross - weights @ self.gram[support]
        return by_table

    def _corrected(
        self, support: list[int], weights: Floats, cross: Floats
    ) -> tuple[list[int], Floats]:
        """Wolfe's minor cycles: the nearest point of the affine hull, dropping points on the way."""
        while True:
            affine = self._affine(support, cross)
            if affine.min() > 1e-12:
                return support, affine
            # To the boundary of the simplex; what arrives at zero leaves.
            falling = affine <= 1e-12
            step = float((weights[falling] / (weights[falling] - affine[falling] + 1e-300)).min())
            weights = (1 - step) * weights + step * affine
            stay = weights > 1e-12
            if stay.all():
                stay[int(np.argmin(weights))] = False
            support = [index for index, keep in zip(support, stay, strict=True) if keep]
            weights = weights[stay] / weights[stay].sum()
            if len(support) == 1:
                return support, np.ones(1)

    def _affine(self, support: list[int], cross: Floats) -> Floats:
        """Weights of sum 1, of any sign, of the affine hull's nearest point to ``x``."""
        if self.gram is not None:
            inner = self.gram[np.ix_(support, support)]
        else:
            chosen = self.points[support]
            inner = chosen @ chosen.T
        n = len(support)
        system = np.zeros((n + 1, n + 1))
        system[:n, :n] = inner
        system[:n, n] = system[n, :n] = 1.0
        right = np.append(cross[support], 1.0)
        try:
            solved: Floats = np.linalg.solve(system, right)
        except np.linalg.LinAlgError:
            # Not affinely independent to rounding: the smallest weights do.
            solved = np.linalg.lstsq(system, right)[0]
        return solved[:n]
