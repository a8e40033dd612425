"""What can be measured of two classes before any training."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from featureconvex.data import Split
from featureconvex.theory.separability import Lattice
from featureconvex.theory.separability.distances import Distances

Floats = NDArray[np.float64]
RIDGES, SPENT = (100.0, 10.0, 1.0, 0.1, 0.01), 0.01
SAMPLE = 2000
"""Points of a class whose neighbours are looked for."""

DESCRIBED = {
    "hull": "distance to the other class's hull",
    "nearest": "distance to the nearest point of the other class",
    "linear_margin": "margin of the best linear model",
    "linear_accuracy": "accuracy of the best linear model",
    "means": "distance of the class means",
    "spread": "spread of the class",
    "other_spread": "spread of the other class",
    "dimension": "intrinsic dimension of the class",
    "other_dimension": "intrinsic dimension of the other class",
    "gap": "distance to the nearest point of the same class",
    "other_gap": "the same within the other class",
    "ink": "ink of the class",
    "other_ink": "ink of the other class",
}
"""Names and words; all lengths are l2 in pixel values 0 to 1."""


def characteristics(train: Split, hull_points: int, seed: int) -> dict[str, float]:
    """All of ``DESCRIBED`` for the sensitive class against the other.

    Args:
        train: training points of both classes; uint8 images or numbers.
        hull_points: how many sensitive points are held against the other class's hull.
        seed: of the samples.
    """
    random = np.random.default_rng(seed)
    lattice = Lattice.of(train.x)
    x = lattice.stored()
    own, other = (np.flatnonzero(train.y == label) for label in (1, 0))
    some, some_other = (
        np.sort(random.choice(rows, min(SAMPLE, len(rows)), replace=False)) for rows in (own, other)
    )
    a, b = x[own], x[other]
    margin, accuracy = _linear(a, b)
    nearest = nearest_distance(x[some[:500]], b)
    return {
        "hull": _hull(
            lattice, random.choice(own, min(hull_points, len(own)), replace=False), other
        ),
        "nearest": float(np.median(nearest)),
        "linear_margin": margin,
        "linear_accuracy": accuracy,
        "means": float(np.linalg.norm(a.mean(axis=0) - b.mean(axis=0))),
        "spread": _spread(a),
        "other_spread": _spread(b),
        "dimension": two_nearest(x[some]),
        "other_dimension": two_nearest(x[some_other]),
        "gap": float(np.median(two_distances(x[some])[0])),
        "other_gap": float(np.median(two_distances(x[some_other])[0])),
        "ink": float(a.mean()),
        "other_ink": float(b.mean()),
    }


def _spread(x: Floats) -> float:
    """The root of the mean squared distance to the mean."""
    return float(np.sqrt(x.var(axis=0).sum()))


def _hull(lattice: Lattice, rows: NDArray[np.intp], other: NDArray[np.intp]) -> float:
    """The median of proved lower bounds of the distances to the other class's hull."""
    bounds = Distances(lattice.take(rows), lattice.take(other))
    bounds.refine(np.arange(len(rows)), tolerance=0.01)
    return float(np.median(bounds.lower[2]))


def _linear(a: Floats, b: Floats) -> tuple[float, float]:
    """The margin of a linear discriminant, and the best accuracy of any.

    Fisher's discriminant at several ridges. The margin is the median distance of a sensitive point to the
    hyperplane that errs on as many of both classes, the largest with at most ``SPENT`` less accuracy.
    """
    gap = a.mean(axis=0) - b.mean(axis=0)
    within = (np.cov(a.T, bias=True) + np.cov(b.T, bias=True)) / 2
    size = float(np.trace(within)) / len(gap)
    found = []
    for ridge in RIDGES:
        direction = linalg.solve(within + ridge * size * np.eye(len(gap)), gap, assume_a="pos")
        unit = direction / np.linalg.norm(direction)
        high, low = np.sort(a @ unit), np.sort(b @ unit)
        cuts = np.sort(np.concatenate([high, low]))
        below = np.searchsorted(high, cuts) / len(high)
        above = 1 - np.searchsorted(low, cuts, side="right") / len(low)
        cut = cuts[np.argmin(np.abs(below - above))]
        accuracy = float(((high > cut).mean() + (low <= cut).mean()) / 2)
        found.append((float(np.median(high) - cut), accuracy))
    best = max(accuracy for _, accuracy in found)
    return max(margin for margin, accuracy in found if accuracy >= best - SPENT), best


def nearest_distance(x: Floats, y: Floats) -> Floats:
    """(n,) the l2 distance of every point (n, d) to the nearest of (m, d)."""
    squares = np.einsum("nd,nd->n", y, y) - 2 * (x @ y.T)
    found: Floats = np.sqrt(np.maximum(squares.min(axis=1) + np.einsum("nd,nd->n", x, x), 0))
    return found


def two_nearest(x: Floats) -> float:
    """The intrinsic dimension by the two nearest neighbours of every point (Facco et al. 2017, TwoNN).

    The ratio of the second to the first distance is Pareto distributed with the dimension as its
    exponent; the estimate is the maximum of the likelihood, without the tenth of largest ratios.

    >>> x = np.random.default_rng(0).normal(size=(800, 3)) @ np.eye(3, 20)
    >>> bool(2.5 < two_nearest(x) < 3.5)
    True
    """
    first, second = two_distances(x)
    apart = first > 0
    logs = np.sort(np.log(second[apart] / first[apart]))
    kept = logs[: round(0.9 * len(logs))]
    if not len(kept):
        return float("nan")
    # The likelihood of a sample cut off at its largest value kept.
    total = kept.sum() + (len(logs) - len(kept)) * kept[-1]
    return float(len(kept) / total) if total > 0 else float("nan")


def two_distances(x: Floats) -> tuple[Floats, Floats]:
    """(n,) and (n,): l2 distances of every point to its two nearest ones."""
    squares = np.einsum("nd,nd->n", x, x)
    distances = squares[:, None] - 2 * (x @ x.T) + squares
    np.fill_diagonal(distances, np.inf)
    first, second = np.sqrt(np.maximum(np.partition(distances, 1, axis=1)[:, :2], 0)).T
    return first, second
