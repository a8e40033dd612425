"""Confidence intervals: exact ones of a share and of a median, and the bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from featureconvex.errors import UserError

CONFIDENCE = 0.95


def clopper_pearson(
    successes: ArrayLike, n: int, confidence: float = CONFIDENCE
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Exact two-sided interval for a proportion (Clopper and Pearson 1934), one per count.

    Args:
        successes: counts in [0, n], any shape.
        n: number of trials, at least 1.
        confidence: coverage in (0, 1).

    Returns:
        lower and upper ends in [0, 1], the shape of ``successes``. Coverage is at least ``confidence``.

    Raises:
        UserError: ``n`` < 1, a count outside [0, n], or a confidence outside (0, 1).

    >>> low, high = clopper_pearson([0, 5], 5)
    >>> low.round(3).tolist(), high.round(3).tolist()
    ([0.0, 0.478], [0.522, 1.0])
    """
    k = np.asarray(successes, dtype=np.float64)
    if n < 1 or not 0 < confidence < 1 or ((k < 0) | (k > n)).any():
        raise UserError(
            f"an exact binomial interval needs n >= 1, counts in [0, n] and a confidence in (0, 1); "
            f"got n = {n} and confidence {confidence}"
        )
    tail = (1 - confidence) / 2
    low = np.where(k > 0, stats.beta.ppf(tail, np.maximum(k, 1), n - k + 1), 0.0)
    high = np.where(k < n, stats.beta.ppf(1 - tail, k + 1, np.maximum(n - k, 1)), 1.0)
    return low, high


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval; nan where there is nothing to estimate."""

    estimate: float
    low: float
    high: float

    def table(self) -> dict[str, float]:
        """As plain values."""
        return {"estimate": self.estimate, "low": self.low, "high": self.high}


def share(successes: int, n: int, confidence: float = CONFIDENCE) -> Interval:
    """A proportion with its exact interval."""
    low, high = clopper_pearson([successes], n, confidence)
    return Interval(successes / n, float(low[0]), float(high[0]))


def median(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """The median with its exact interval by order statistics, whatever the distribution.

    Of n independent values the number below the true median is binomial with probability 1/2, so the
    interval is between two of the values. With too few for the confidence it is between the extremes.

    Args:
        values: (n,) without nan; ``inf`` allowed.
        confidence: coverage in (0, 1), reached from n = 6 on for 0.95.

    >>> median(range(1, 101))
    Interval(estimate=50.5, low=40.0, high=61.0)
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    n = len(x)
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    # The largest k with P(Bin(n, 1/2) < k) <= tail: the k-th smallest is the lower end.
    k = max(int(stats.binom.ppf((1 - confidence) / 2, n, 0.5)), 1)
    middle = x[(n - 1) // 2] if n % 2 else x[n // 2 - 1] / 2 + x[n // 2] / 2
    return Interval(float(middle), float(x[k - 1]), float(x[n - k]))


def student(values: ArrayLike, confidence: float = CONFIDENCE) -> Interval:
    """The mean of a few runs with Student's interval; without ends where there are fewer than two.

    >>> found = student([1.0, 2.0, 3.0])
    >>> found.estimate, round(found.low, 3), round(found.high, 3)
    (2.0, -0.484, 4.484)
    """
    x = np.asarray(values, dtype=np.float64)
    n, mean = len(x), float(np.mean(x)) if len(x) else np.nan
    if n < 2:
        return Interval(mean, np.nan, np.nan)
    half = float(stats.t.ppf((1 + confidence) / 2, n - 1) * x.std(ddof=1) / np.sqrt(n))
    return Interval(mean, mean - half, mean + half)


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: ArrayLike,
    draws: int = 1000,
    seed: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """A statistic of n rows with its percentile interval, whole groups drawn with replacement.

    Args:
        statistic: of the numbers of rows (m,), which may repeat; nan where it does not exist.
        groups: (n,), rows that belong together (a seed's, a class's) have equal values.
        draws: samples of groups.
        seed: of the samples.
        confidence: coverage in (0, 1), for many groups.

    >>> x = np.arange(10.0)
    >>> bootstrap(lambda rows: float(x[rows].mean()), np.arange(10)).estimate
    4.5
    """
    names, group = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(group == k) for k in range(len(names))]
    random = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([members[k] for k in random.integers(0, len(names), len(names))]))
        for _ in range(draws)
    ]
    tail = (1 - confidence) / 2
    low, high = (
        np.nanquantile(drawn, [tail, 1 - tail]) if np.isfinite(drawn).any() else [np.nan] * 2
    )
    everything = statistic(np.arange(len(group)))
    return Interval(float(everything), float(low), float(high))
