"""Bounds of every point's distance to the other class's hull, in l1, l2 and linf.

Below: a separating direction ``w`` with ``<w, x> - max <w, y> = m`` keeps ``x`` at ``m / ||w||_q`` from
the hull, ``1/p + 1/q = 1``. ``m`` is an exact integer, and the quotient is rounded down. Above: the
distance to any point of the hull, such as the nearest point of the other class.

The distance is also the limit of every classifier that is convex after the identity and passes the whole
other class: what it passes is a convex set around that class.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.norms import NORMS, dual_exponent
from featureconvex.progress import Ticker, silent
from featureconvex.theory.separability.lattice import BLOCK_NUMBERS, Lattice
from featureconvex.theory.separability.nearest import Hull

Floats = NDArray[np.float64]

EPSILON = 2.0**-52
BLOCK = 1024
SHARES = (0.25, 0.5, 0.75, 0.9, 0.97)
"""Quantiles of a direction's magnitudes at which it is cut for l1 and linf."""


class Distances:
    """Bounds for n points, improved by whatever is seen.

    Attributes:
        lower, upper: exponent -> (n,) in the stored units; ``lower`` is proved.
    """

    def __init__(self, points: Lattice, others: Lattice) -> None:
        self.points, self.others = points, others
        n = len(points)
        self.lower = {p: np.zeros(n) for p in NORMS}
        self.upper = {p: np.full(n, np.inf) for p in NORMS}

    def see(self, rows: NDArray[np.intp], directions: NDArray[Any], by: NDArray[Any]) -> None:
        """Integer directions (b, d) that separate the points ``rows``, and by how much, (b,)."""
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            whole, margin = _as_floats(directions[part], by[part])
            raw = whole / self.points.unit
            for p, lower in self.lower.items():
                length = np.linalg.norm(raw, ord=dual_exponent(p), axis=1)
                # Each entry and each sum is off by a few roundings, all of them relative.
                # A direction of length 0 separates nothing.
                length = np.where(length > 0, length, np.inf)
                safe = np.maximum(margin, 0) / (length * (1 + (raw.shape[1] + 8) * EPSILON))
                lower[rows[part]] = np.maximum(lower[rows[part]], np.nextafter(safe, 0))

    def inside(self, rows: NDArray[np.intp]) -> None:
        """Points proved inside have distance 0."""
        for upper in self.upper.values():
            upper[rows] = 0.0

    def neighbours(self) -> None:
        """The nearest point of the other class in l2 bounds all three norms from above; in blocks."""
        x, y = self.points.stored(), self.others.stored()
        squares = np.einsum("nd,nd->n", y, y)
        rows = max(1, BLOCK_NUMBERS // len(y))
        for start in range(0, len(x), rows):
            part = slice(start, start + rows)
            nearest = np.argmin(squares - 2 * (x[part] @ y.T), axis=1)
            self._at_most(np.arange(len(x))[part], x[part] - y[nearest])

    def refine(
        self, rows: NDArray[np.intp], tolerance: float = 1e-3, tick: Ticker = silent
    ) -> None:
        """The nearest point of the hull in l2 for each of the points; ``tick`` counts them.

        Its direction, rounded to integers, bounds l2 from below; cut to fewer or to more equal entries it
        does so in linf and l1.
        """
        x = self.points.stored()
        hull = Hull(self.others.stored())
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            residuals = np.zeros((len(part), x.shape[1]))
            best = np.zeros_like(residuals)
            for place, row in enumerate(part):
                nearest = hull.nearest(x[row], tolerance)
                best[place] = nearest.residual
                residuals[place] = (
                    x[row] - nearest.weights @ hull.points[nearest.support] - hull.origin
                )
                tick(1, "")
            self._at_most(part, residuals)
            for directions in _candidates(best):
                # Towards the lattice: a product is the same in stored units.
                self._try(part, directions * self.points.unit / self.points.unit.max())

    def _try(self, rows: NDArray[np.intp], directions: Floats) -> None:
        whole = self.points.rounded(directions)
        margin = self.points.take(rows).at(whole).minus(self.others.largest(whole))
        self.see(rows, whole, margin)

    def _at_most(self, rows: NDArray[np.intp], residuals: Floats) -> None:
        for p, upper in self.upper.items():
            size = np.linalg.norm(residuals, ord=p, axis=1)
            upper[rows] = np.minimum(upper[rows], size)


def _as_floats(directions: NDArray[Any], by: NDArray[Any]) -> tuple[Floats, Floats]:
    """Directions rounded to nearest and margins rounded down; Python integers and fractions scaled."""
    if directions.dtype != object:
        return directions, by
    scales = [1 << max(abs(int(v)) for v in row).bit_length() for row in directions]
    whole = [[int(v) / scale for v in row] for row, scale in zip(directions, scales, strict=True)]
    margin = [np.nextafter(float(m / scale), -np.inf) for m, scale in zip(by, scales, strict=True)]
    return np.array(whole), np.array(margin)


def _candidates(residuals: Floats) -> list[Floats]:
    """The directions themselves, with their large entries cut off, and with their small ones."""
    size = np.abs(residuals)
    cuts = [np.quantile(size, share, axis=1, keepdims=True) for share in SHARES]
    clipped = [np.clip(residuals, -cut, cut) for cut in cuts]
    shrunk = [np.sign(residuals) * np.maximum(size - cut, 0) for cut in cuts]
    return [residuals, *clipped, *shrunk]
