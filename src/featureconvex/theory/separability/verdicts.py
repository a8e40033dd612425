"""Every point of one class against the convex hull of the other: a verdict and a proof for each.

The cheap step first: directions for all points at once (:mod:`whitening`), rounded to integers and
tested in exact arithmetic. What is left goes to the nearest-point solver, one point at a time, and a
hyperplane or a simplex that decides one point is tried on all others that remain. A combination is
solved again in exact rational arithmetic. Nothing that floating point says is taken as a verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from featureconvex.progress import Ticker, silent
from featureconvex.theory.separability.decide import Combination, Hyperplane, decide
from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.nearest import Hull, Nearest
from featureconvex.theory.separability.rational import solve
from featureconvex.theory.separability.whitening import Whitening

Floats = NDArray[np.float64]

HYPERPLANE, COMBINATION, DUPLICATE = "hyperplane", "combination", "duplicate"
BLOCK = 1024
SHARED = 1e-7
"""A simplex is tried on the points whose smallest weight is above this in floating point."""

Watcher = Callable[[NDArray[np.intp], NDArray[Any], NDArray[Any]], None]
"""Called with the numbers of points, (b,), the integer directions that separate them, (b, d), and by how
much, (b,), in units of the most significant digit: float64, the margin rounded down, or Python integers of
any size and fractions."""


@dataclass(eq=False)
class Verdicts:
    """What was proved about n points.

    Attributes:
        inside: (n,) 1 inside the hull, 0 outside, -1 undecided.
        proof: (n,) the kind of proof, or empty.
        combinations: of the points inside, the exact weights.
        duplicates: of points that are points of the other class, the number of one.
    """

    inside: NDArray[np.int8]
    proof: NDArray[np.str_]
    combinations: dict[int, Combination] = field(default_factory=dict)
    duplicates: dict[int, int] = field(default_factory=dict)

    @property
    def separable(self) -> bool | None:
        """No point is inside; None while that is open."""
        if (self.inside == 1).any():
            return False
        return None if (self.inside < 0).any() else True


def separate(
    points: Lattice, others: Lattice, watch: Watcher | None = None, tick: Ticker = silent
) -> Verdicts:
    """Decide for every point whether it is in the convex hull of ``others``, with proofs.

    Args:
        points, others: on one lattice (:meth:`Lattice.of` both classes, then :meth:`Lattice.take`).
        watch: sees every separating direction.
        tick: called with how many points more are decided.
    """
    return _Work(points, others, watch, tick).done()


class _Work:
    def __init__(
        self, points: Lattice, others: Lattice, watch: Watcher | None, tick: Ticker
    ) -> None:
        self.points, self.others, self.watch = points, others, watch
        self._tick, self._told = tick, 0
        self.x, self.y = points.values(), others.values()
        n = len(points)
        self.found = Verdicts(np.full(n, -1, np.int8), np.full(n, "", "<U11"))

    def done(self) -> Verdicts:
        self._duplicates()
        spread = np.sqrt((self.x.var(axis=0) + self.y.var(axis=0)) / 2)
        whitening = Whitening(self.y, spread)
        for factor in whitening.factors():
            left = self._left()
            self._tell()
            if not len(left):
                return self.found
            self._try(left, whitening.directions(self.x[left], factor))
        if len(self._left()):
            self._one_by_one(whitening.factor(1e-6, whitening.variance), whitening.mean)
        self._tell()
        return self.found

    def _tell(self) -> None:
        """Move the bar on by the points decided since the last call."""
        left = len(self._left())
        self._tick(len(self.points) - left - self._told, f"{left} undecided")
        self._told = len(self.points) - left

    def _left(self) -> NDArray[np.intp]:
        return np.flatnonzero(self.found.inside < 0)

    def _duplicates(self) -> None:
        """Points of the other class, digit by digit."""
        known = {key: row for row, key in enumerate(_keys(self.others))}
        for row, key in enumerate(_keys(self.points)):
            if key in known:
                self.found.duplicates[row] = known[key]
                self.found.inside[row], self.found.proof[row] = 1, DUPLICATE

    def _try(self, rows: NDArray[np.intp], directions: Floats) -> NDArray[np.bool_]:
        """Which of the points their directions separate, once rounded to integers."""
        separated = np.zeros(len(rows), dtype=bool)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            whole = self.points.rounded(directions[part])
            products = self.points.take(rows[part]).at(whole)
            largest = self.others.largest(whole)
            separated[part] = good = products.exceeds(largest)
            self._outside(rows[part][good], whole[good], products.minus(largest)[good])
        return separated

    def _outside(self, rows: NDArray[np.intp], directions: NDArray[Any], by: NDArray[Any]) -> None:
        self.found.inside[rows], self.found.proof[rows] = 0, HYPERPLANE
        if self.watch is not None:
            self.watch(rows, directions, by)

    def _inside(self, row: int, proof: Combination) -> None:
        self.found.inside[row], self.found.proof[row] = 1, COMBINATION
        self.found.combinations[row] = proof

    def _one_by_one(self, factor: Floats, mean: Floats) -> None:
        """The nearest-point solver, in coordinates in which the other class is round."""

        def white(values: Floats) -> Floats:
            solved: Floats = linalg.solve_triangular(factor, (values - mean).T, lower=True)
            return np.ascontiguousarray(solved.T)

        hull, x = Hull(white(self.y)), white(self.x[self._left()])
        for place, row in enumerate(self._left()):
            if self.found.inside[row] >= 0:
                continue
            self._tell()
            nearest = hull.nearest(x[place], stop_outside=True)
            if nearest.lower > 0:
                direction = linalg.solve_triangular(factor, nearest.residual, lower=True, trans=1)
                if self._try(np.array([row]), direction[None])[0]:
                    self._try_on_all(direction)
                    continue
            self._exactly(int(row), nearest)

    def _try_on_all(self, direction: Floats) -> None:
        whole = self.points.rounded(direction[None])
        left = self._left()
        products, largest = self.points.take(left).products(whole[0]), self.others.largest(whole)
        good = products.exceeds(largest)
        directions = np.broadcast_to(whole, (int(good.sum()), whole.shape[1]))
        self._outside(left[good], directions, products.minus(largest)[good])

    def _exactly(self, row: int, nearest: Nearest) -> None:
        x = self.points.integers(np.array([row]))[0]
        proof = decide(x, self.others, nearest.support)
        if isinstance(proof, Combination):
            self._inside(row, proof)
            self._try_simplex(proof.points)
        elif isinstance(proof, Hyperplane):
            by = np.array([Fraction(proof.margin, 1 << self.others.shift)], dtype=object)
            self._outside(np.array([row]), proof.normal[None], by)

    def _try_simplex(self, corners: list[int]) -> None:
        """All remaining points in the simplex of d + 1 corners, each with its own exact weights."""
        if len(corners) != self.points.dimension + 1:
            return
        system = np.column_stack([self.y[corners], np.ones(len(corners))]).T
        left = self._left()
        targets = np.column_stack([self.x[left], np.ones(len(left))]).T
        try:
            weights = np.linalg.solve(system, targets)
        except np.linalg.LinAlgError:
            return
        rows = left[weights.min(axis=0) > SHARED]
        if not len(rows):
            return
        matrix = np.column_stack(
            [self.others.integers(np.array(corners)), np.ones(len(corners), int)]
        )
        right = np.column_stack([self.points.integers(rows), np.ones(len(rows), int)])
        solved = solve(matrix.T.astype(object), right.T.astype(object))
        for row, exact in zip(rows, solved or [], strict=False):
            if min(exact) >= 0:
                self._inside(int(row), Combination(corners, exact))


def _keys(points: Lattice) -> list[bytes]:
    together = np.concatenate(points.digits, axis=1)
    return [row.tobytes() for row in np.ascontiguousarray(together)]
