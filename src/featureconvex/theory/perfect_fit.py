"""The perfect fit of Corollary 3.8, constructed: one hyperplane per sensitive point, then as few as
cover all.

Where no sensitive point lies in the hull of the others, the maximum of affine functions that are
positive at sensitive points and negative at all others classifies every training point correctly.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.errors import UserError
from featureconvex.features import Identity
from featureconvex.models.model import FeatureConvexModel
from featureconvex.nn import MaxAffine
from featureconvex.theory.separability import Lattice, separate

Floats = NDArray[np.float64]
BLOCK = 512


def perfect_fit(sensitive: Lattice, others: Lattice, prune: bool = True) -> FeatureConvexModel:
    """A max-affine model after the identity that is right about every point, in float32.

    Every piece has slope 1 in l2, and its zero is halfway between the other class and the sensitive
    points it is there for.

    Args:
        sensitive, others: the training points, on one lattice.
        prune: keep the pieces that a greedy cover of the sensitive points chooses; False: one per point.

    Raises:
        UserError: a sensitive point lies in the hull of the others, so that there is no such model; or two
            points are so close that float32 cannot tell them apart.
    """
    planes = _planes(sensitive, others)
    cover = _covered(planes, sensitive, others)
    chosen = greedy_cover(cover) if prune else [(row, [row]) for row in range(len(planes))]
    weights, biases = [], []
    stored, passed = sensitive.stored(), others.stored()
    for row, points in chosen:
        normal = planes[row] / sensitive.unit
        normal /= np.linalg.norm(normal)
        low, high = float((passed @ normal).max()), float((stored[points] @ normal).min())
        weights.append(normal)
        biases.append(-(low + high) / 2)
    net = MaxAffine(sensitive.dimension, len(chosen))
    with torch.no_grad():
        net.affine.weight.copy_(torch.from_numpy(np.array(weights)))
        net.affine.bias.copy_(torch.from_numpy(np.array(biases)))
    model = FeatureConvexModel(Identity(), net).eval()
    _check(model, stored, passed)
    return model


def greedy_cover(cover: NDArray[np.bool_]) -> list[tuple[int, list[int]]]:
    """Rows that together cover every column, each with the columns it is the first to cover.

    Args:
        cover: (k, n); every column has a True.

    >>> greedy_cover(np.array([[True, False, False], [False, True, True], [False, False, True]]))
    [(1, [1, 2]), (0, [0])]
    """
    left = np.ones(cover.shape[1], dtype=bool)
    counts = cover.sum(axis=1)
    chosen = []
    while left.any():
        row = int(np.argmax(counts))
        new = np.flatnonzero(cover[row] & left)
        if not len(new):
            raise ValueError("a column is covered by no row")
        counts -= cover[:, new].sum(axis=1)
        left[new] = False
        chosen.append((row, new.tolist()))
    return chosen


def _planes(sensitive: Lattice, others: Lattice) -> Floats:
    """A separating integer direction for every sensitive point, (n, d)."""
    planes = np.zeros((len(sensitive), sensitive.dimension))

    def watch(rows: NDArray[np.intp], directions: NDArray[Any], _: NDArray[Any]) -> None:
        planes[rows] = sensitive.rounded(directions.astype(np.float64))

    verdicts = separate(sensitive, others, watch)
    if not verdicts.separable:
        inside = np.flatnonzero(verdicts.inside != 0)
        raise UserError(
            f"{len(inside)} sensitive points, point {inside[0]} first, are not proved outside the "
            "convex hull of the other class: no convex classifier fits them all; try a feature map, or "
            "the other class as the sensitive one"
        )
    return planes


def _covered(planes: Floats, sensitive: Lattice, others: Lattice) -> NDArray[np.bool_]:
    """Which points (columns) each plane separates from all others, (n, n)."""
    x = sensitive.values()
    y = others.values()
    cover = np.zeros((len(planes), len(x)), dtype=bool)
    for start in range(0, len(planes), BLOCK):
        part = slice(start, start + BLOCK)
        tops = (planes[part] @ y.T).max(axis=1)
        # A hair above, for these products are rounded where numbers have several digits.
        size = np.abs(planes[part]).sum(axis=1) * 2.0**-40
        cover[part] = planes[part] @ x.T > (tops + size)[:, None]
    own = np.arange(len(planes))
    cover[own, own] = True
    return cover


@torch.no_grad()
def _check(model: FeatureConvexModel, sensitive: Floats, others: Floats) -> None:
    """The model as stored is right about every point."""
    flagged, passed = (
        torch.cat(
            [
                model(torch.from_numpy(part).float())
                for part in np.array_split(x, -(-len(x) // 1000))
            ]
        )
        for x in (sensitive, others)
    )
    wrong = int((flagged <= 0).sum() + (passed > 0).sum())
    if wrong:
        raise UserError(
            f"in float32 the construction is wrong about {wrong} points that lie too close to the "
            "other class; scale the columns to similar sizes, or drop near duplicates"
        )
