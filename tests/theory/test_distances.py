"""Bounds of distances to a hull: against the exact distance, and never above it."""

import math

import numpy as np
import pytest
from scipy.optimize import linprog, nnls

from featureconvex.norms import NORMS
from featureconvex.theory.separability import Lattice, separate
from featureconvex.theory.separability.distances import Distances
from featureconvex.theory.separability.nearest import Hull


def _exact(x: np.ndarray, others: np.ndarray, p: float) -> float:
    """The distance of ``x`` to the hull by an independent solver."""
    n, d = others.shape
    if p == 2:
        # min |others^T w - x|^2 + big (sum w - 1)^2 over w >= 0.
        system = np.vstack([others.T, 1e5 * np.ones(n)])
        weights, _ = nnls(system, np.append(x, 1e5))
        return float(np.linalg.norm(others.T @ (weights / weights.sum()) - x))
    slack = np.eye(d) if p == 1 else np.ones((d, 1))
    k = slack.shape[1]
    bound = np.vstack([np.hstack([others.T, -slack]), np.hstack([-others.T, -slack])])
    cost = np.append(np.zeros(n), np.ones(k))
    total = np.append(np.ones(n), np.zeros(k))[None]
    lp = linprog(cost, bound, np.concatenate([x, -x]), total, [1.0])
    assert lp.status == 0
    return float(lp.fun)


@pytest.mark.parametrize(("n", "d"), [(6, 2), (30, 5), (40, 80)])
def test_bounds_hold_the_distance_and_close_in_l2(n: int, d: int) -> None:
    rng = np.random.default_rng(n)
    points, others = rng.normal(size=(8, d)) + 0.5, rng.normal(size=(n, d)) - 0.5
    lattice = Lattice.of(np.concatenate([points, others]))
    mine, its = lattice.take(np.arange(8)), lattice.take(np.arange(8, 8 + n))
    bounds = Distances(mine, its)
    verdicts = separate(mine, its, bounds.see)
    bounds.inside(np.flatnonzero(verdicts.inside == 1))
    bounds.neighbours()
    before = {p: (bounds.lower[p].copy(), bounds.upper[p].copy()) for p in NORMS}
    bounds.refine(np.flatnonzero(verdicts.inside == 0), 1e-6)
    assert (verdicts.inside == 0).any()
    for p in NORMS:
        exact = np.array([_exact(x, others, p) for x in points])
        assert (bounds.lower[p] <= exact * (1 + 1e-7) + 1e-9).all()
        assert (exact <= bounds.upper[p] * (1 + 1e-7) + 1e-9).all()
        assert (bounds.lower[p] >= before[p][0]).all()
        assert (bounds.upper[p] <= before[p][1]).all()
        outside = verdicts.inside == 0
        assert (bounds.lower[p][outside] > 0).all()
        assert (bounds.upper[p][~outside] == 0).all()
        if p == 2:
            np.testing.assert_allclose(bounds.lower[p], bounds.upper[p], rtol=2e-6, atol=1e-9)
        else:
            assert (bounds.lower[p] >= bounds.lower[2] * (1 if p == 1 else 0)).all()


def test_pixels_are_in_units_of_one() -> None:
    black, white = np.zeros((1, 2, 2), np.uint8), np.full((1, 2, 2), 255, np.uint8)
    lattice = Lattice.of(np.concatenate([white, black]))
    mine, its = lattice.take(np.array([0])), lattice.take(np.array([1]))
    bounds = Distances(mine, its)
    separate(mine, its, bounds.see)
    bounds.neighbours()
    bounds.refine(np.array([0]))
    for p, wanted in ((1.0, 4.0), (2.0, 2.0), (math.inf, 1.0)):
        assert bounds.upper[p][0] == pytest.approx(wanted, rel=1e-12)
        assert wanted * (1 - 1e-6) < bounds.lower[p][0] <= wanted


def test_a_margin_that_counts_too_much_is_caught() -> None:
    """Planted fault: a margin twice as large gives a bound above the distance."""
    lattice = Lattice.of(np.array([[1.0, 1.0], [0.0, 0.0]]))
    mine, its = lattice.take(np.array([0])), lattice.take(np.array([1]))
    bounds = Distances(mine, its)
    separate(mine, its, lambda rows, directions, by: bounds.see(rows, directions, 2 * by))
    bounds.neighbours()
    assert bounds.lower[2][0] > bounds.upper[2][0]


@pytest.mark.parametrize("gram", [False, True])
def test_the_nearest_point_is_optimal(gram: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not gram:
        monkeypatch.setattr("featureconvex.theory.separability.nearest.GRAM_NUMBERS", 0)
    rng = np.random.default_rng(0)
    others = rng.normal(size=(60, 70))
    hull = Hull(others)
    assert (hull.gram is not None) == gram
    for x in rng.normal(size=(5, 70)):
        found = hull.nearest(x, 1e-9)
        assert min(found.weights) > 0
        assert found.weights.sum() == pytest.approx(1)
        assert found.upper == pytest.approx(_exact(x, others, 2), rel=1e-6)
        assert found.lower == pytest.approx(found.upper, rel=1e-6)
        assert found.lower <= found.upper * (1 + 1e-9)


def test_a_point_of_the_hull_is_at_no_distance() -> None:
    rng = np.random.default_rng(0)
    others = rng.normal(size=(20, 3))
    hull = Hull(others)
    found = hull.nearest(others[:9].mean(axis=0))
    assert found.upper < 1e-8
    assert found.weights @ others[found.support] == pytest.approx(others[:9].mean(axis=0))
    assert hull.nearest(others[4]).upper < 1e-8
