"""One certified curve against another on the same grid of radii."""

import numpy as np
from numpy.typing import NDArray

from featureconvex.comparison.schema import Difference, Pair, Stretches
from featureconvex.results.statistics.curves import CurveTable

Mask = NDArray[np.bool_]


def compare_curves(ours: CurveTable, theirs: CurveTable) -> Pair:
    """One certified curve against another on the same grid.

    Returns:
        ``ahead``, ``behind``: stretches [first, last] of grid radii; ``clearly_ahead``,
        ``clearly_behind``: those at which the exact 95 % intervals do not even touch; ``lead``,
        ``lag``: the largest difference each way and where, None without any.
    """
    radius = np.asarray(ours["radius"])
    difference = np.asarray(ours["accuracy"]) - np.asarray(theirs["accuracy"])
    return {
        "ahead": stretches(difference > 0, radius),
        "behind": stretches(difference < 0, radius),
        "clearly_ahead": stretches(np.asarray(ours["low"]) > np.asarray(theirs["high"]), radius),
        "clearly_behind": stretches(np.asarray(ours["high"]) < np.asarray(theirs["low"]), radius),
        "lead": _largest(difference, radius),
        "lag": _largest(-difference, radius),
    }


def stretches(mask: Mask, radius: NDArray[np.float64]) -> Stretches:
    """The maximal runs of True as [first, last] radius.

    >>> stretches(np.array([True, False, True, True]), np.array([0.0, 0.1, 0.2, 0.3]))
    [[0.0, 0.0], [0.2, 0.3]]
    """
    edges = np.flatnonzero(np.diff(np.concatenate(([0], mask.astype(np.int8), [0]))))
    pairs = zip(edges[::2], edges[1::2] - 1, strict=True)
    return [[float(radius[first]), float(radius[last])] for first, last in pairs]


def _largest(difference: NDArray[np.float64], radius: NDArray[np.float64]) -> Difference | None:
    place = int(difference.argmax())
    if difference[place] <= 0:
        return None
    return {"difference": float(difference[place]), "radius": float(radius[place])}
