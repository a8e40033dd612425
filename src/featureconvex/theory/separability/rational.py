"""Linear systems of integers, solved in exact rational arithmetic."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[Any]
"""Python integers of any size, dtype object."""


def solve(matrix: Integers, right: Integers) -> list[list[Fraction]] | None:
    """``X`` with ``matrix @ X = right``, column by column; None if the matrix is singular.

    Uses python-flint where it is installed (the extra ``exact``), else fraction-free elimination.

    Args:
        matrix: (n, n) integers.
        right: (n, k) integers.

    Returns:
        k lists of n fractions.

    >>> solve(np.array([[2, 1], [0, 4]], dtype=object), np.array([[1], [1]], dtype=object))
    [[Fraction(3, 8), Fraction(1, 4)]]
    """
    try:
        import flint
    except ImportError:
        return _eliminated(matrix, right)
    return _by_flint(flint, matrix, right)


def integral(vector: Sequence[Fraction]) -> list[int]:
    """The vector times its least common denominator.

    >>> integral([Fraction(1, 2), Fraction(2, 3)])
    [3, 4]
    """
    scale = math.lcm(*(value.denominator for value in vector))
    return [value.numerator * (scale // value.denominator) for value in vector]


def _by_flint(flint: Any, matrix: Integers, right: Integers) -> list[list[Fraction]] | None:
    n, k = right.shape
    try:
        found = flint.fmpz_mat(matrix.tolist()).solve(flint.fmpz_mat(right.tolist()))
    except ZeroDivisionError:
        return None
    entries = [Fraction(int(e.p), int(e.q)) for e in found.entries()]
    return [[entries[row * k + column] for row in range(n)] for column in range(k)]


def _eliminated(matrix: Integers, right: Integers) -> list[list[Fraction]] | None:
    """Bareiss: every division is exact, so entries stay minors of the matrix."""
    n = len(matrix)
    table = np.concatenate([matrix, right], axis=1).astype(object)
    before = 1
    for step in range(n):
        pivots = [row for row in range(step, n) if table[row, step]]
        if not pivots:
            return None
        table[[step, pivots[0]]] = table[[pivots[0], step]]
        pivot = table[step, step]
        for row in range(n):
            if row != step:
                table[row] = (table[row] * pivot - table[row, step] * table[step]) // before
        before = pivot
    return [[Fraction(int(v), int(before)) for v in column] for column in table[:, n:].T]
