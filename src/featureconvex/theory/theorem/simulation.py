"""The true probability, estimated: random points, each trial decided in exact arithmetic."""

from dataclasses import dataclass

import numpy as np

from featureconvex.results.statistics.intervals import clopper_pearson
from featureconvex.theory.separability import Lattice, separate
from featureconvex.theory.theorem.bounds import check


@dataclass(frozen=True)
class Estimate:
    """Of a probability: the share of trials, and the exact 95 % interval (Clopper and Pearson)."""

    share: float
    low: float
    high: float
    trials: int


def simulate(m: int, n: int, d: int, trials: int, seed: int = 0) -> Estimate:
    """Draw ``m`` sensitive points and ``n`` others ``trials`` times, and count where they are separable."""
    check(m, n, d)
    random = np.random.default_rng([seed, m, n, d])
    count = sum(separable(random.uniform(-1, 1, (m + n, d)), m) for _ in range(trials))
    low, high = clopper_pearson([count], trials)
    return Estimate(count / trials, float(low[0]), float(high[0]), trials)


def separable(points: np.ndarray, m: int) -> bool:
    """Whether none of the first ``m`` points is in the hull of the others; proved either way.

    Raises:
        RuntimeError: no proof was found.
    """
    others = points[m:]
    # Outside the bounding box is outside the hull, and the cheapest proof.
    inside = ((points[:m] >= others.min(axis=0)) & (points[:m] <= others.max(axis=0))).all(axis=1)
    if not inside.any():
        return True
    lattice = Lattice.of(np.concatenate([points[:m][inside], others]))
    count = int(inside.sum())
    found = separate(lattice.take(np.arange(count)), lattice.take(np.arange(count, len(lattice))))
    if found.separable is None:
        raise RuntimeError(f"no verdict for {(found.inside < 0).sum()} of {m} points")
    return found.separable
