"""The best answer to a linear function: the move of steepest total descent within a budget and a box."""

import math

import torch
from torch import Tensor

from featureconvex.certificates.threats import Lp
from featureconvex.norms import dual_exponent

STEPS = 60


def best_move(g: Tensor, threat: Lp, budget: Tensor, lo: Tensor, hi: Tensor) -> Tensor:
    """The ``delta`` of least ``<g, delta>`` over ``||cost * delta||_p <= budget`` and ``[lo, hi]``: exact.

    Coordinate i can only use its room against the sign of ``g_i``. In budget units ``t_i = c_i |delta_i|``
    with rates ``a_i = |g_i| / c_i`` it is a fractional knapsack (p = 1), ``t_i = min(a_i^(q - 1) s, T_i)``
    with one ``s`` per row (1 < p < inf), or ``min(budget, T_i)``.

    Args:
        g: (n, ...) float64.
        threat: the norm and its costs.
        budget: (n,) finite.
        lo: lowest perturbation, <= 0.
        hi: highest.
    """
    cost = torch.ones((), dtype=torch.float64) if threat.cost is None else threat.cost
    cost = torch.where(torch.isinf(cost), 1.0, cost).to(g.device).expand_as(g).flatten(1)
    room = torch.where(g > 0, -lo, hi).flatten(1) * cost
    rate = g.abs().flatten(1) / cost
    if math.isinf(threat.p):
        spent = torch.minimum(room, budget[:, None])
    elif threat.p == 1:
        spent = _knapsack(rate, room, budget)
    else:
        spent = _proportional(rate ** (dual_exponent(threat.p) - 1), room, budget, threat.p)
    spent = torch.where(rate > 0, spent, 0.0)
    return -g.sign() * (spent / cost).reshape(g.shape)


def _knapsack(rate: Tensor, room: Tensor, budget: Tensor) -> Tensor:
    order = rate.argsort(dim=1, descending=True)
    sizes = torch.minimum(room, budget[:, None]).gather(1, order)
    left = (budget[:, None] - (sizes.cumsum(1) - sizes)).clamp_min(0)
    return torch.zeros_like(rate).scatter(1, order, torch.minimum(sizes, left))


def _proportional(pace: Tensor, room: Tensor, budget: Tensor, p: float) -> Tensor:
    """``min(pace * s, room)`` of norm ``budget``: what is not yet full shares what is left."""
    room = torch.minimum(room, budget[:, None])
    full = torch.zeros_like(room, dtype=torch.bool)
    s = torch.zeros_like(budget)
    for _ in range(STEPS):
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
