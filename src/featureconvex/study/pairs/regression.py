"""Predicting a number of ordered pairs from characteristics, checked on classes that were not seen."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV

from featureconvex.results.statistics.intervals import CONFIDENCE, Interval

Floats = NDArray[np.float64]
PENALTIES = np.logspace(-2, 3, 16)
DRAWS = 400


@dataclass(frozen=True, eq=False)
class Pairs:
    """Ordered pairs with what is known of them.

    Attributes:
        classes: (n, 2), the sensitive and the other class of each.
        x: (n, k) characteristics.
        y: (n,) what is to be predicted.
        odd: whether both change sign with the order of the classes: no intercept then.
    """

    classes: NDArray[np.int64]
    x: Floats
    y: Floats
    odd: bool = False

    def take(self, rows: NDArray[Any]) -> "Pairs":
        """Some of them."""
        return Pairs(self.classes[rows], self.x[rows], self.y[rows], self.odd)

    def touching(self, classes: Sequence[int]) -> NDArray[np.bool_]:
        """(n,) whether a pair has one of the classes."""
        return np.asarray(np.isin(self.classes, classes).any(axis=1))


def predicted_elsewhere(pairs: Pairs) -> Floats:
    """(n,) each pair's prediction by a regression that saw neither of its two classes."""
    found = np.full(len(pairs.y), np.nan)
    for left_out in combinations(np.unique(pairs.classes), 2):
        inside = np.isin(pairs.classes, left_out).all(axis=1)
        fitted = fit(pairs.take(~pairs.touching(left_out)))
        found[inside] = fitted(pairs.x[inside])
    return found


def fit(pairs: Pairs) -> Callable[[Floats], Floats]:
    """Ridge regression on standardised characteristics; the penalty by leave-one-out."""
    weights, shift, centre, scale = coefficients(pairs)
    return lambda x: ((x - centre) / scale) @ weights + shift


def coefficients(pairs: Pairs) -> tuple[Floats, float, Floats, Floats]:
    """Weights of standardised characteristics, the constant, and the standardisation."""
    centre = np.zeros(pairs.x.shape[1]) if pairs.odd else pairs.x.mean(axis=0)
    scale = np.sqrt(((pairs.x - centre) ** 2).mean(axis=0))
    scale[scale == 0] = 1.0
    ridge = RidgeCV(PENALTIES, fit_intercept=not pairs.odd)
    ridge.fit((pairs.x - centre) / scale, pairs.y)
    return ridge.coef_, float(ridge.intercept_), centre, scale


def explained(truth: Floats, guess: Floats, odd: bool) -> float:
    """R squared: 1 is perfect, 0 as good as the mean (as no asymmetry, where signs are odd)."""
    centre = 0.0 if odd else truth.mean()
    total = ((truth - centre) ** 2).sum()
    return float(1 - ((truth - guess) ** 2).sum() / total) if total > 0 else float("nan")


def over_classes(
    classes: NDArray[np.int64], statistic: Callable[[NDArray[np.intp]], float], seed: int = 0
) -> Interval:
    """A statistic of pairs with a bootstrap interval over classes: what others would have given.

    Pairs that share a class are not independent, so classes are drawn with replacement; a pair counts as
    often as both of its classes were drawn.

    Args:
        classes: (n, 2).
        statistic: of numbers of pairs (m,), which may repeat.
        seed: of the draws.
    """
    names = np.unique(classes)
    random = np.random.default_rng(seed)
    drawn = []
    for _ in range(DRAWS):
        times = np.bincount(random.integers(0, len(names), len(names)), minlength=len(names))
        count = np.prod(times[np.searchsorted(names, classes)], axis=1)
        rows = np.repeat(np.arange(len(classes)), count)
        drawn.append(statistic(rows) if len(rows) > 2 else np.nan)
    tail = (1 - CONFIDENCE) / 2
    usable = np.asarray(drawn)[np.isfinite(drawn)]
    low, high = np.quantile(usable, [tail, 1 - tail]) if len(usable) else (np.nan, np.nan)
    return Interval(statistic(np.arange(len(classes))), float(low), float(high))
