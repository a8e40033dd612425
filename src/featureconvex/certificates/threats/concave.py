"""Concave curves ``h_i(t) = a_i min(t, T_i)``, as of affine feature maps: exact finite searches."""

import math

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.norms import dual_exponent

STEPS = 60


def largest_concave_budget(drops: Drops, margin: Tensor, p: float) -> Tensor:
    """The r with ``max sum_i a_i min(t_i, T_i) = margin`` over ``||t||_p <= r``, for p > 1: (n,) float64.

    The optimum is ``t_i = min(b_i s, T_i)`` with ``b = a^(q - 1)`` and one number ``s`` per row (``s = r``
    for p = inf). Its drop is concave, nondecreasing and piecewise linear in ``s``, so Newton's method from
    the left never overshoots and ends after finitely many steps; any ``s`` on the way is a valid answer.
    Meaningless for rows whose total is below the margin.
    """
    slope, end = drops.rises[0].slope, drops.rises[0].end
    s = concave_pace(slope, end, margin, p)
    if math.isinf(p):
        return s
    moved = torch.minimum(_direction(slope, p) * s[:, None], end)
    # The dual value at lam = 1 / (p s^(p - 1)): ||t||^p plus what is left of the margin, at price lam.
    left = margin - (slope * moved).sum(1)
    power = moved.square() if p == 2 else moved**p
    return (power.sum(1) + left * p * s ** (p - 1)).clamp_min(0) ** (1 / p)


def largest_greedy_budget(drops: Drops, margin: Tensor) -> Tensor:
    """The same for p = 1: the steepest curves first, each to its end; (n,) float64.

    A fractional knapsack: exact. Only the steepest few curves are sorted, and more of them for the rows
    where they do not reach the margin.
    """
    slope, end = drops.rises[0].slope, drops.rises[0].end
    budget = torch.zeros_like(margin)
    rows = torch.arange(len(margin), device=margin.device)
    count = FEW
    while len(rows):
        last = count >= slope.shape[1]
        steep, order = slope[rows].topk(min(count, slope.shape[1]), dim=1)
        size = end[rows].gather(1, order)
        paid, spent = (steep * size).nan_to_num(0.0, posinf=torch.inf).cumsum(1), size.cumsum(1)
        left = margin[rows, None]
        at = (paid < left).sum(1, keepdim=True)
        inside = at.squeeze(1) < steep.shape[1]
        at = at.clamp_max(steep.shape[1] - 1)
        before = (at - 1).clamp_min(0)
        first = at == 0
        owed = left - paid.gather(1, before).masked_fill(first, 0.0)
        found = spent.gather(1, before).masked_fill(first, 0.0) + owed / steep.gather(1, at)
        done = inside | last
        budget[rows[done]] = found.squeeze(1)[done]
        rows, count = rows[~done], 4 * count
    return budget


# The steepest curves, looked at first for p = 1.
FEW = 64


def concave_pace(
    slope: Tensor, end: Tensor, margin: Tensor, p: float, tolerance: float = 1e-14
) -> Tensor:
    """The ``s`` of :func:`largest_concave_budget` for ``a = slope`` and ``T = end``, from below: (n,)."""
    direction = _direction(slope, p)
    pace = slope * direction
    s, fall = torch.zeros_like(margin), torch.zeros_like(margin)
    for _ in range(STEPS):
        moving = (pace * (direction * s[:, None] < end)).sum(1)
        gap = margin - fall
        step = torch.where((gap > 0) & (moving > 0), gap / moving, 0.0)
        s = s + step
        if not bool((step > tolerance * s).any()):
            break
        fall = (slope * torch.minimum(direction * s[:, None], end)).sum(1)
    return s


def _direction(slope: Tensor, p: float) -> Tensor:
    if p == 2:
        return slope
    return torch.ones_like(slope) if math.isinf(p) else slope ** (dual_exponent(p) - 1)
