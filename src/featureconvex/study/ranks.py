"""Whether two numbers go together."""

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Floats = NDArray[np.float64]


def rank_correlation(a: Floats, b: Floats) -> float:
    """Spearman's; nan where one of the two is constant."""
    first, second = (stats.rankdata(value) for value in (a, b))
    first, second = first - first.mean(), second - second.mean()
    size = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / size if size > 0 else float("nan")
