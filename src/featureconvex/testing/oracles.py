"""True robust radii, by methods that share nothing with the certificates: formulas, LP, QP, grids."""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import linprog, nnls
from torch import Tensor

from featureconvex.errors import UserError

Array = NDArray[np.float64]


def linear_radius(weight: Array, margin: Array, p: float, cost: Array | float = 1.0) -> Array:
    """The distance to the hyperplane of ``m(x) = <weight, x> + b``: ``m / ||weight / cost||_q``.

    Args:
        weight: (d,).
        margin: (n,) values of ``m``; the radius is 0 where it is not positive.
        p: exponent of the budget ``||cost * delta||_p``.
        cost: positive, ``inf`` for coordinates that cannot change.

    >>> linear_radius(np.array([3.0, 4.0]), np.array([10.0]), p=2)
    array([2.])
    """
    q = math.inf if p == 1 else 1.0 if p == math.inf else p / (p - 1)
    slope = np.linalg.norm(np.abs(weight) / cost, q)
    with np.errstate(divide="ignore"):
        return np.where(margin > 0, np.float64(margin) / slope, 0.0)


def max_affine_radius(
    weight: Array,
    margins: Array,
    p: float,
    cost: Array | None = None,
    lo: Array | None = None,
    hi: Array | None = None,
) -> float:
    """The least ``||cost * delta||_p`` with ``max_k margins_k + <weight_k, delta> <= 0``.

    An LP for p = 1 and inf (HiGHS), a least-distance problem for p = 2 (Lawson and Hanson 1974,
    chapter 23); exact up to the solver's accuracy.

    Args:
        weight: (pieces, d).
        margins: (pieces,), every piece's value at the input, threshold included.
        p: 1, 2 or inf.
        cost: (d,), ``inf`` for coordinates that cannot change; default 1.
        lo: (d,), the least ``delta`` the domain allows, default ``-inf``.
        hi: (d,), likewise the largest.

    Returns:
        The radius, ``inf`` where no ``delta`` gets every piece to 0.

    >>> round(max_affine_radius(np.array([[3.0, 4.0]]), np.array([10.0]), p=2), 9)
    2.0
    """
    size = weight.shape[1]
    cost = np.ones(size) if cost is None else np.broadcast_to(cost, size).astype(float)
    free = np.isfinite(cost)
    scaled = weight[:, free] / cost[free]
    ends = [
        (np.full(size, sign * np.inf) if end is None else np.broadcast_to(end, size))[free]
        * cost[free]
        for end, sign in ((lo, -1), (hi, 1))
    ]
    if (margins <= 0).all():
        return 0.0
    if p == 2:
        return _least_norm(scaled, margins, *ends)
    if p in (1, math.inf):
        return _least_l1(scaled, margins, *ends) if p == 1 else _least_linf(scaled, margins, *ends)
    raise UserError(f"the oracle solves p = 1, 2 and inf, got {p}")


def _least_l1(weight: Array, margins: Array, lo: Array, hi: Array) -> float:
    """delta = up - down, both >= 0; minimise their sum."""
    size = weight.shape[1]
    found = linprog(
        np.ones(2 * size),
        A_ub=np.hstack((weight, -weight)),
        b_ub=-margins,
        bounds=[(0, end) for end in (*hi, *-lo)],
        method="highs",
    )
    return float(found.fun) if found.status == 0 else math.inf


def _least_linf(weight: Array, margins: Array, lo: Array, hi: Array) -> float:
    """Minimise t with -t <= delta <= t."""
    size = weight.shape[1]
    eye, ones = np.eye(size), np.ones((size, 1))
    rows = np.vstack(
        (
            np.hstack((weight, np.zeros((len(weight), 1)))),
            np.hstack((eye, -ones)),
            np.hstack((-eye, -ones)),
        )
    )
    found = linprog(
        np.append(np.zeros(size), 1.0),
        A_ub=rows,
        b_ub=np.concatenate((-margins, np.zeros(2 * size))),
        bounds=[*zip(lo, hi, strict=True), (0, None)],
        method="highs",
    )
    return float(found.fun) if found.status == 0 else math.inf


def _least_norm(weight: Array, margins: Array, lo: Array, hi: Array) -> float:
    """min ||z||_2 with G z >= h, by one nonnegative least-squares problem."""
    eye = np.eye(weight.shape[1])
    below, above = np.isfinite(lo), np.isfinite(hi)
    g = np.vstack((-weight, eye[below], -eye[above]))
    h = np.concatenate((margins, lo[below], -hi[above]))
    goal = np.append(np.zeros(weight.shape[1]), 1.0)
    stacked = np.vstack((g.T, h))
    multipliers, residual = nnls(stacked, goal, maxiter=100 * len(h))
    if residual < 1e-9:
        return math.inf  # the constraints contradict each other
    rest = stacked @ multipliers - goal
    return float(np.linalg.norm(rest[:-1] / rest[-1]))


def grid_radius(
    margin: Callable[[Tensor], Tensor],
    x: Tensor,
    p: float,
    *,
    reach: float,
    points: int = 401,
    cost: Tensor | None = None,
    lo: float = -math.inf,
    hi: float = math.inf,
) -> float:
    """The cheapest point of a fine grid around ``x`` (d,) that is flipped: never below the truth.

    Args:
        margin: (m, d) -> (m,).
        x: one input of at most 3 coordinates.
        p: exponent of the budget ``||cost * delta||_p``.
        reach: half the grid's side.
        points: grid points per coordinate.
        cost: (d,), default 1.
        lo: lower end of the domain.
        hi: upper end of the domain.
    """
    steps = torch.linspace(-reach, reach, points, dtype=torch.float64)
    delta = torch.cartesian_prod(*[steps] * len(x)).reshape(-1, len(x))
    moved = (x + delta).clamp(lo, hi)
    delta = moved - x
    if cost is not None:
        delta = torch.where(delta == 0, 0.0, delta * cost)
    spent = torch.linalg.vector_norm(delta, p, dim=1)
    with torch.no_grad():
        spent = spent[margin(moved) <= 0]
    return float(spent.min()) if len(spent) else math.inf
