"""The ball of 1 < p < inf, and concave curves ``h_i(t) = a_i min(t, T_i)``, as of affine feature maps.

Exact finite searches; for numbers whose powers leave the range of floating point see
:mod:`.logarithms`, for other curves :mod:`.dual`.
"""

import math

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.norms import dual_exponent

STEPS = 60
# Of a move that shares what is left of a budget.
SHARINGS = 60


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
    # The dual value at lam = 1 / (p s^(p - 1)): ||t||^p plus what is left of the margin, over lam.
    left = margin - (slope * moved).sum(1)
    power = moved.square() if p == 2 else moved**p
    return (power.sum(1) + left * p * s ** (p - 1)).clamp_min(0) ** (1 / p)


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


def proportional_move(pace: Tensor, room: Tensor, budget: Tensor, p: float) -> Tensor:
    """``min(pace * s, room)`` of norm ``budget`` (n,): what is not yet full shares what is left."""
    room = torch.minimum(room, budget[:, None])
    full = torch.zeros_like(room, dtype=torch.bool)
    s = torch.zeros_like(budget)
    for _ in range(SHARINGS):
        left = (budget**p - torch.where(full, room**p, 0.0).sum(1)).clamp_min(0)
        sharing = torch.where(full, 0.0, pace**p).sum(1)
        s = torch.where(sharing > 0, (left / sharing) ** (1 / p), torch.inf)
        now = full | (pace * s[:, None] >= room) & (pace > 0)
        if bool((now == full).all()):
            break
        full = now
    return torch.where(
        full, room, torch.minimum(room, pace * s.nan_to_num(0.0, posinf=0.0)[:, None])
    )
