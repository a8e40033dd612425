"""Whether one hyperplane separates the classes: the cheapest question to ask of data."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg
from scipy.optimize import linprog

from featureconvex.theory.separability.lattice import Lattice
from featureconvex.theory.separability.whitening import RIDGES

Floats = NDArray[np.float64]


# Numbers beyond which a linear program would take longer than everything else, and its seconds.
LARGEST, SECONDS = 2_000_000, 10.0


@dataclass(frozen=True)
class Linear:
    """What ridge discriminants and, for data of moderate size, a linear program found.

    Attributes:
        separable: True with a hyperplane that was verified in integers; None where none was found.
        accuracy: the best mean of the two classes' shares on their own sides.
    """

    separable: bool | None
    accuracy: float


def linear_separation(first: Lattice, second: Lattice) -> Linear:
    """Fisher's discriminant at several ridges, each with its best threshold, then a linear program.

    Every hyperplane is rounded to integers and verified in exact arithmetic.
    """
    x, y = first.values(), second.values()
    gap = x.mean(axis=0) - y.mean(axis=0)
    within = (np.cov(x.T, bias=True) + np.cov(y.T, bias=True)).reshape(len(gap), len(gap)) / 2
    variance = np.diag(within).copy()
    variance[variance == 0] = variance.mean() or 1.0
    best = 0.5
    for ridge in RIDGES:
        direction = linalg.solve(within + np.diag(ridge * variance), gap, assume_a="pos")
        if _separates(direction, first, second):
            return Linear(True, 1.0)
        best = max(best, _accuracy(x @ direction, y @ direction))
    found = _by_program(x, y, np.sqrt(variance))
    if found is not None and _separates(found, first, second):
        return Linear(True, 1.0)
    return Linear(None, best)


def _separates(direction: Floats, first: Lattice, second: Lattice) -> bool:
    whole = first.rounded(direction[None])
    return bool(first.products(whole[0]).exceeds(second.largest(whole)).all())


def _by_program(x: Floats, y: Floats, scale: Floats) -> Floats | None:
    """A direction of least l1 norm, in units of ``scale``, along which ``x`` is beyond ``y`` by 1.

    None where there is none, or it takes too long.
    """
    count, size = len(x) + len(y), len(scale)
    if count * size > LARGEST:
        return None
    middle = np.concatenate([x, y]).mean(axis=0)
    rows = np.vstack([-(x - middle) / scale, (y - middle) / scale])
    ends = np.concatenate([np.full(len(x), 1.0), np.full(len(y), -1.0)])[:, None]
    solved = linprog(
        np.append(np.ones(2 * size), 0.0),
        A_ub=np.hstack([rows, -rows, ends]),
        b_ub=np.full(count, -1.0),
        bounds=[(0, None)] * (2 * size) + [(None, None)],
        method="highs",
        options={"time_limit": SECONDS},
    )
    if solved.status != 0:
        return None
    direction: Floats = (solved.x[:size] - solved.x[size : 2 * size]) / scale
    return direction


def _accuracy(high: Floats, low: Floats) -> float:
    """The best threshold's mean of the shares above and below it."""
    values = np.concatenate([high, low])
    steps = np.concatenate([np.full(len(high), -1 / len(high)), np.full(len(low), 1 / len(low))])
    order = np.argsort(values, kind="stable")
    # Where values are equal no threshold passes between them.
    ends = np.append(np.diff(values[order]) > 0, True)
    return float(0.5 + np.cumsum(steps[order])[ends].max(initial=0.0) / 2)
