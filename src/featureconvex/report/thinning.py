"""Fewer points for a curve to be drawn, dense where a logarithmic axis is."""

import numpy as np
from numpy.typing import NDArray

MOST = 300


def thin(rates: NDArray[np.float64], most: int = MOST) -> NDArray[np.int64]:
    """Positions of at most ``most`` points of an increasing array of rates in [0, 1], ends included.

    Half of them evenly by position, half evenly on a logarithmic axis.

    >>> thin(np.linspace(0, 1, 5)).tolist(), len(thin(np.linspace(0, 1, 10000))) <= 300
    ([0, 1, 2, 3, 4], True)
    """
    if len(rates) <= most:
        return np.arange(len(rates), dtype=np.int64)
    last = len(rates) - 1
    even = np.linspace(0, last, most // 2).astype(np.int64)
    smallest = float(rates[rates > 0].min())
    ranks = np.searchsorted(rates, np.geomspace(smallest, 1.0, most // 2))
    return np.unique(np.concatenate([even, np.minimum(ranks, last)])).astype(np.int64)
