"""Stratified splits: rows chosen from every class or family by one rule."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

TEST_FRACTION = 0.2
"""The share of every class (or family) that is held out for testing."""

Indices = NDArray[np.intp]
Order = Callable[[Indices], Indices]
"""The rows of one stratum, ascending -> the same rows, those to choose first."""


def chosen_rows(
    strata: NDArray[np.generic], order: Order, count: Callable[[int], int]
) -> NDArray[np.bool_]:
    """Choose from every stratum the first ``count(its size)`` rows in ``order``.

    Args:
        strata: (n,) the class or family of every row; strata are gone through in sorted order.
        order: called once for each.
        count: the size of a stratum -> how many of its rows.

    Returns:
        (n,) whether a row is chosen.

    >>> chosen_rows(np.array([0, 1, 0, 0]), lambda rows: rows[::-1], lambda n: n // 2)
    array([False, False, False,  True])
    """
    chosen = np.zeros(len(strata), dtype=bool)
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        chosen[order(rows)[: count(len(rows))]] = True
    return chosen


def hold_out(labels: NDArray[np.generic], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Hold out ``fraction`` of every class for validation, at least one row, drawn by ``seed``.

    Args:
        labels: (n,).
        fraction: in [0, 1].
        seed: of :func:`numpy.random.default_rng`.

    Returns:
        (n,) whether a row is held out.
    """
    order = np.random.default_rng(seed).permutation
    return chosen_rows(labels, order, lambda size: max(1, round(fraction * size)))


def stratified_split(
    strata: NDArray[np.generic], test_fraction: float = TEST_FRACTION
) -> tuple[Indices, Indices]:
    """Split rows so that every stratum gives the same share of test rows.

    The rows of a stratum are ordered by a fixed pseudo-random key and its first
    ``round(test_fraction * n)`` (halves up, at least 1, at most n - 1) are for testing. The key is the raw
    output of PCG64, which numpy keeps stable over versions and machines: equal ``strata`` give
    equal splits everywhere. Both index arrays are shuffled by that key, so any prefix is mixed.

    Args:
        strata: (n,) the class or family of every row.
        test_fraction: in (0, 1).

    Returns:
        Row numbers for training and for testing: disjoint, together all rows.

    Raises:
        UserError: a stratum has fewer than two rows.

    >>> train, test = stratified_split(np.array([0] * 10 + [1] * 5))
    >>> len(train), sorted(int(i) // 10 for i in test)
    (12, [0, 0, 1])
    """
    values, sizes = np.unique(strata, return_counts=True)
    if (sizes < 2).any():
        raise UserError(
            f"class {str(values[sizes < 2][0])!r} has 1 example; at least 2 are needed "
            "to hold one out for testing: add examples, take this one out, or write it as another class"
        )
    key = np.random.PCG64(0).random_raw(len(strata))
    in_test = chosen_rows(
        strata,
        lambda rows: rows[np.argsort(key[rows], kind="stable")],
        lambda size: min(max(int(np.floor(test_fraction * size + 0.5)), 1), size - 1),
    )
    order = np.argsort(key, kind="stable")
    return order[~in_test[order]], order[in_test[order]]
