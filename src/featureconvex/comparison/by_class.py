"""Numbers that only several classes have: recall and radii by class, and the gain over the first level."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from featureconvex.comparison.columns import seconds_column
from featureconvex.comparison.fit import OneFit
from featureconvex.comparison.schema import AccuracyByClass, LevelTable
from featureconvex.results.statistics.curves import Floats


def was_asked(level: str, fit: OneFit) -> bool:
    """Whether a level certified any point: there are zeros of it where it was about wrong ones only."""
    refused = level in fit.record["unavailable"]
    seconds = fit.rows.get(seconds_column(level))
    return not refused and seconds is not None and bool(seconds.notna().any())


def accuracy_by_class(fit: OneFit) -> AccuracyByClass:
    """Of every class; of one that is sensitive and the other where one is."""
    right, counted = fit.right, fit.counted
    if fit.classes:
        return recall_by_class(fit.rows["label"].to_numpy(), right, fit.classes)
    return {
        "sensitive": float(right[counted].mean()),
        "other": float(right[~counted].mean()) if (~counted).any() else None,
    }


def add_by_class(
    levels: Mapping[str, LevelTable],
    radii: Mapping[str, Mapping[str, tuple[Floats, bool]]],
    fit: OneFit,
) -> None:
    """Fill in ``median_by_class`` and ``gain``.

    Args:
        levels: of a fit of several classes.
        radii: per level and norm the radii of the points that it covers, and whether they are converted.
        fit: rows and names.
    """
    native = {
        level: {norm: values for norm, (values, converted) in found.items() if not converted}
        for level, found in radii.items()
    }
    labels, right = fit.rows["label"].to_numpy(), fit.right
    first = next(iter(native.values()), {})
    for level, values in native.items():
        count = len(next(iter(values.values())))
        if count == len(right):
            own = median_by_class(values, labels, right, fit.classes)
            levels[level]["median_by_class"] = own
        if values is not first:
            levels[level]["gain"] = gain(values, first)


def recall_by_class(
    labels: NDArray[np.generic], right: NDArray[np.bool_], classes: Sequence[str]
) -> AccuracyByClass:
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
