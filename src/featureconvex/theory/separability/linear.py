"""Whether one hyperplane separates the classes: the cheapest question to ask of data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.whitening import RIDGES

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Linear:
    """What ridge discriminants found.

    Attributes:
        separable: True with a hyperplane that was verified in integers; None where none was found.
        accuracy: the best mean of the two classes' shares on their own sides.
    """

    separable: bool | None
    accuracy: float


def linear_separation(first: Lattice, second: Lattice) -> Linear:
    """Fisher's discriminant at several ridges, each with its best threshold, in exact arithmetic."""
    x, y = first.values(), second.values()
    gap = x.mean(axis=0) - y.mean(axis=0)
    within = (np.cov(x.T, bias=True) + np.cov(y.T, bias=True)).reshape(len(gap), len(gap)) / 2
    variance = np.diag(within).copy()
    variance[variance == 0] = variance.mean() or 1.0
    best = 0.5
    for ridge in RIDGES:
        direction = linalg.solve(within + np.diag(ridge * variance), gap, assume_a="pos")
        whole = first.rounded(direction[None])
        at = first.products(whole[0])
        if at.exceeds(second.largest(whole)).all():
            return Linear(True, 1.0)
        best = max(best, _accuracy(x @ direction, y @ direction))
    return Linear(None, best)


def _accuracy(high: Floats, low: Floats) -> float:
    """The best threshold's mean of the shares above and below it."""
    values = np.concatenate([high, low])
    steps = np.concatenate([np.full(len(high), -1 / len(high)), np.full(len(low), 1 / len(low))])
    order = np.argsort(values, kind="stable")
    # Where values are equal no threshold passes between them.
    ends = np.append(np.diff(values[order]) > 0, True)
    return float(0.5 + np.cumsum(steps[order])[ends].max(initial=0.0) / 2)
