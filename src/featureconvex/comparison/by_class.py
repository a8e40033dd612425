"""Numbers of a level that only several classes have: radii by class, and the gain over the first level."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def recall_by_class(
    labels: NDArray[np.generic], right: NDArray[np.bool_], classes: Sequence[str]
) -> dict[str, float | None]:
    """The share of each class's points that are predicted as it; None without any.

    >>> recall_by_class(np.array(["a", "a", "b"]), np.array([True, False, True]), ["a", "b", "c"])
    {'a': 0.5, 'b': 1.0, 'c': None}
    """
    return {
        name: float(right[labels == name].mean()) if (labels == name).any() else None
        for name in classes
    }


def median_by_class(
    radii: Mapping[str, Floats],
    labels: NDArray[np.generic],
    right: NDArray[np.bool_],
    classes: Sequence[str],
) -> dict[str, dict[str, float | None]]:
    """Per norm and class the median radius (n,) of the points that are right; None without any."""
    return {
        norm: {
            name: float(np.median(values[chosen])) if chosen.any() else None
            for name in classes
            for chosen in [right & (labels == name)]
        }
        for norm, values in radii.items()
    }


def gain(radii: Mapping[str, Floats], first: Mapping[str, Floats]) -> dict[str, float | None]:
    """Per norm how much larger the mean radius is than the first level's on the same first points.

    >>> gain({"l2": np.array([1.0, 2.0])}, {"l2": np.array([1.0, 1.0, 9.0])})
    {'l2': 0.5}
    """
    found: dict[str, float | None] = {}
    for norm, values in radii.items():
        before = first[norm][: len(values)]
        usable = bool(np.isfinite(values).all() and before.sum() > 0)
        found[norm] = float(values.mean() / before.mean() - 1) if usable else None
    return found
