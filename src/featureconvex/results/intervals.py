"""Exact binomial confidence intervals."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from featureconvex.errors import UserError

CONFIDENCE = 0.95


def clopper_pearson(
    successes: ArrayLike, n: int, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact two-sided interval for a proportion (Clopper and Pearson 1934), one per count.

    Args:
        successes: counts in [0, n], any shape.
        n: number of trials, at least 1.
        confidence: coverage in (0, 1).

    Returns:
        lower and upper ends in [0, 1], the shape of ``successes``. Coverage is at least ``confidence``.

    Raises:
        UserError: ``n`` < 1, a count outside [0, n], or a confidence outside (0, 1).

    >>> low, high = clopper_pearson([0, 5], 5)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.478], [0.522, 1.0])
    """
    k = np.asarray(successes, dtype=np.float64)
    if n < 1 or not 0 < confidence < 1 or ((k < 0) | (k > n)).any():
        raise UserError(
            f"an exact binomial interval needs n >= 1, counts in [0, n] and a confidence in (0, 1); "
            f"got n = {n} and confidence {confidence}"
        )
    tail = (1 - confidence) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high
