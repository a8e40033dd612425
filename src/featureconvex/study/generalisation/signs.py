"""Cheap numbers of labelled points, computed before any training."""

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import cross_val_predict
from sklearn.neighbors import KNeighborsClassifier

from featureconvex.theory.separability import Lattice, separate
from featureconvex.theory.separability.linear import linear_separation

SAMPLE = 1000
NEIGHBOURS = 5
DESCRIBED = {
    "sensitive_outside": "sensitive points outside the other class's hull",
    "other_outside": "other points outside the sensitive class's hull",
    "linear_accuracy": "accuracy of a linear discriminant",
    "neighbour_accuracy": "accuracy of five neighbours",
    "neighbours_over_linear": "neighbours less linear",
}


def signs(x: NDArray[np.float64], y: NDArray[np.int8], seed: int) -> dict[str, float]:
    """All of ``DESCRIBED``, on at most ``SAMPLE`` points of each class.

    Args:
        x: (n, ...) training inputs.
        y: (n,) 1 for the sensitive class.
        seed: of the sample.
    """
    random = np.random.default_rng(seed)
    rows = [
        np.sort(random.choice(own, min(SAMPLE, len(own)), replace=False))
        for own in (np.flatnonzero(y == 1), np.flatnonzero(y == 0))
    ]
    both = np.concatenate(rows)
    flat = x[both].reshape(len(both), -1)
    lattice, split = Lattice.of(flat), len(rows[0])
    first = lattice.take(np.arange(split))
    second = lattice.take(np.arange(split, len(both)))
    found = {
        "sensitive_outside": float((separate(first, second).inside == 0).mean()),
        "other_outside": float((separate(second, first).inside == 0).mean()),
        "linear_accuracy": linear_separation(first, second).accuracy,
        "neighbour_accuracy": neighbour_accuracy(flat.astype(float), y[both]),
    }
    found["neighbours_over_linear"] = found["neighbour_accuracy"] - found["linear_accuracy"]
    return found


def neighbour_accuracy(x: NDArray[np.float64], y: NDArray[np.int8]) -> float:
    """The mean of both classes' accuracies by the nearest neighbours, in ten-fold cross-validation."""
    spread = x.std(axis=0)
    scaled = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    folds = min(10, int(np.bincount(y).min()))
    guess = cross_val_predict(KNeighborsClassifier(NEIGHBOURS), scaled, y, cv=folds)
    return float(np.mean([(guess[y == label] == label).mean() for label in (0, 1)]))
