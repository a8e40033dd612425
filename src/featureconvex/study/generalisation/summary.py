"""Gaps to boosted trees, and which cheap number goes with them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from featureconvex.results.statistics.intervals import CONFIDENCE, bootstrap
from featureconvex.study.generalisation.signs import DESCRIBED
from featureconvex.study.ranks import rank_correlation
from featureconvex.study.study import Row

METHODS = ("default", "fixed", "boosted trees", "logistic regression")
REFERENCE = "boosted trees"
WIDTH = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


def summary(rows: Sequence[Row]) -> dict[str, Any]:
    """Per data set accuracies and gaps; over data sets the agreement of each sign with the gap."""
    sets = {}
    for name in dict.fromkeys(row["settings"]["data"] for row in rows):
        sets[name] = _entry([row for row in rows if row["settings"]["data"] == name])
    gaps = {
        method: np.array([own["gap"][method]["estimate"] for own in sets.values()])
        for method in METHODS[:2]
    }
    said = {name: np.array([own["signs"][name] for own in sets.values()]) for name in DESCRIBED}
    return {
        "sets": sets,
        "described": DESCRIBED,
        "agreement": {
            method: {name: _agreement(values, gap) for name, values in said.items()}
            for method, gap in gaps.items()
        },
    }


def _entry(rows: list[Row]) -> dict[str, Any]:
    first = rows[0]
    methods = {method: [row["methods"][method] for row in rows] for method in METHODS}
    accuracy = {
        method: float(np.mean([one["accuracy"] for one in own])) for method, own in methods.items()
    }
    # Fresh test points with every seed only where points are drawn.
    draws = len(rows) if first["kind"] == "toy" else 1
    variance = {
        method: float(np.mean([_variance(one) for one in own])) / draws
        for method, own in methods.items()
    }
    gap = {}
    for method in METHODS[:2]:
        middle = accuracy[REFERENCE] - accuracy[method]
        # As if the methods' errors were independent, which makes the interval wider than it need be.
        half = WIDTH * float(np.sqrt(variance[REFERENCE] + variance[method]))
        gap[method] = {"estimate": middle, "low": middle - half, "high": middle + half}
    return {
        **{name: first[name] for name in ("kind", "n_train", "n_test", "dimension")},
        "seeds": len(rows),
        "accuracy": accuracy,
        "gap": gap,
        "train_accuracy": {
            method: float(np.mean([one["train_accuracy"] for one in methods[method]]))
            for method in METHODS[:2]
        },
        "median_radius": {
            method: [one["median_radius"]["estimate"] for one in methods[method]]
            for method in METHODS[:2]
        },
        "signs": {name: float(np.mean([row["signs"][name] for row in rows])) for name in DESCRIBED},
    }


def _variance(one: dict[str, Any]) -> float:
    """Of the mean of two shares; half a point is added to each side, so that none is without error."""
    total = 0.0
    for right, size in zip(one["right"], one["of"], strict=True):
        share = (right + 0.5) / (size + 1)
        total += share * (1 - share) / size
    return total / 4


def _agreement(values: NDArray[np.float64], gap: NDArray[np.float64]) -> dict[str, Any]:
    """Spearman's correlation over data sets."""
    return bootstrap(
        lambda rows: rank_correlation(values[rows], gap[rows]), np.arange(len(gap))
    ).table()
