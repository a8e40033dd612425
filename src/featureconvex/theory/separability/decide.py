"""Inside or outside a convex hull, decided in exact arithmetic: the dual simplex method over the integers.

``x`` is in the hull of the points ``y_i`` if some ``weights >= 0`` solve ``sum w_i (y_i, 1) = (x, 1)``.
A basis of columns ``(y_i, 1)``, completed by unit vectors, has one solution. If its weights of points
are all nonnegative and those of unit vectors zero, ``x`` is inside. Otherwise a row of the basis'
inverse is a functional that is negative at ``(x, 1)``; where it is nonnegative at every ``(y_i, 1)`` it
separates (Farkas), else a point at which it is negative enters the basis. With Bland's rule this ends.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.rational import integral, solve

PRIME = (1 << 31) - 1
GREEDY = 20
"""Pivots by the most negative value, before Bland's rule."""


@dataclass(frozen=True)
class Combination:
    """``x`` is inside: exact weights, positive and of sum 1, of the points that are named."""

    points: list[int]
    weights: list[Fraction]


@dataclass(frozen=True, eq=False)
class Hyperplane:
    """``x`` is outside: integers with ``<normal, x> >= <normal, y> + margin`` for every ``y``, ``margin
    > 0``.
    """

    normal: NDArray[Any]
    margin: int


def decide(
    x: NDArray[Any], others: Lattice, start: list[int], pivots: int = 200
) -> Combination | Hyperplane | None:
    """An exact proof, either way.

    Args:
        x: (d,) integers, on the lattice of ``others``.
        others: the points of the hull.
        start: points to begin with, such as the support of a nearest point.
        pivots: give up after so many.

    Returns:
        The proof; None if it takes more pivots.
    """
    d = len(x)
    basis = _completed(others, start, d)
    target = np.append(x, 1)
    cache: NDArray[Any] | None = None
    for pivot in range(pivots):
        matrix = np.array([_column(others, name, d) for name in basis], dtype=object).T
        solved = solve(matrix, target[:, None])
        assert solved is not None, "a basis is independent"
        weights = solved[0]
        bad = [
            place
            for place, (name, weight) in enumerate(zip(basis, weights, strict=True))
            if weight < 0 or (name < 0 and weight)
        ]
        if not bad:
            inside = [(n, w) for n, w in zip(basis, weights, strict=True) if w]
            return Combination([n for n, _ in inside], [w for _, w in inside])
        # Bland: the smallest name, so unit vectors (negative) leave first and never return.
        place = min(bad, key=lambda i: basis[i])
        unit = np.zeros((d + 1, 1), dtype=object)
        unit[place, 0] = 1
        rows = solve(matrix.T, unit)
        assert rows is not None, "a basis is independent"
        functional = np.array(integral(rows[0]), dtype=object)
        if weights[place] > 0:
            functional = -functional
        if cache is None:
            cache = others.integers(np.arange(len(others)))
        values = cache @ functional[:d] + functional[d]
        negative = np.flatnonzero(values < 0)
        if not len(negative):
            return Hyperplane(-functional[:d], int(values.min() - functional @ target))
        entering = negative[np.argmin(values[negative])] if pivot < GREEDY else negative[0]
        basis[place] = int(entering)
    return None


def _column(others: Lattice, name: int, d: int) -> list[int]:
    """A point's coordinates and 1, or the unit vector ``-1 - name``."""
    if name >= 0:
        return [*others.integers(np.array([name]))[0].tolist(), 1]
    column = [0] * (d + 1)
    column[-1 - name] = 1
    return column


def _completed(others: Lattice, start: list[int], d: int) -> list[int]:
    """An independent subset of the columns, completed by unit vectors to a basis.

    Independence modulo a prime implies independence; the reverse fails only by chance, which costs a pivot.
    """
    basis: list[int] = []
    reduced = np.zeros((0, d + 1), dtype=np.int64)
    leads: list[int] = []
    for name in start:
        column = np.array([v % PRIME for v in _column(others, name, d)], dtype=np.int64)
        for row, lead in zip(reduced, leads, strict=True):
            column = (column - column[lead] * row) % PRIME
        nonzero = np.flatnonzero(column)
        if len(nonzero):
            lead = int(nonzero[0])
            column = column * pow(int(column[lead]), -1, PRIME) % PRIME
            reduced = np.vstack([reduced, column])
            leads.append(lead)
            basis.append(name)
    return basis + [-1 - place for place in range(d + 1) if place not in leads]
