"""The train/test split of data that comes without an official one."""

import numpy as np
from numpy.typing import NDArray

from featureconvex.errors import UserError

TEST_FRACTION = 0.2
"""The share of every class (or family) that is held out for testing."""

Indices = NDArray[np.intp]


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
    key = np.random.PCG64(0).random_raw(len(strata))
    order = np.argsort(key, kind="stable")
    in_test = np.zeros(len(strata), dtype=bool)
    for stratum in np.unique(strata):
        rows = order[strata[order] == stratum]
        if len(rows) < 2:
            raise UserError(
                f"class {str(stratum)!r} has {len(rows)} example; at least 2 are needed "
                "to hold one out for testing"
            )
        count = int(np.floor(test_fraction * len(rows) + 0.5))
        in_test[rows[: min(max(count, 1), len(rows) - 1)]] = True
    return order[~in_test[order]], order[in_test[order]]
