"""From a count of noisy copies to a lower bound on a probability: Clopper and Pearson 1934."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import beta


def probability_bound(count: ArrayLike, n: int, alpha: float) -> NDArray[np.float64]:
    """The exact one-sided lower bound: below the true probability with confidence ``1 - alpha``.

    The ``p`` at which ``count`` or more successes in ``n`` trials have probability ``alpha``.

    Args:
        count: (m,) integers in [0, n].
        n: independent trials, >= 1.
        alpha: the probability allowed for the bound to be too large, in (0, 1).

    >>> probability_bound([0, 99_000, 100_000], 100_000, 0.001).round(6)
    array([0.      , 0.988989, 0.999931])
    """
    successes = np.asarray(count, dtype=np.float64)
    some = np.maximum(successes, 1)
    # Rounded down by more than the quantile's own error.
    bound = beta.ppf(alpha, some, n - some + 1) * (1 - 1e-10)
    return np.where(successes > 0, bound, 0.0)
