"""The best answer to a linear function: the move of steepest total descent within a budget and a box."""

import math

import torch
from torch import Tensor

from featureconvex.certificates.threats.ball.l1 import greedy_move
from featureconvex.certificates.threats.ball.power import proportional_move
from featureconvex.norms import dual_exponent


def best_move(
    g: Tensor, p: float, cost: Tensor | None, budget: Tensor, lo: Tensor, hi: Tensor
) -> Tensor:
    """The ``delta`` of least ``<g, delta>`` over ``||cost * delta||_p <= budget`` and ``[lo, hi]``: exact.

    Coordinate i can only use its room against the sign of ``g_i``. In budget units ``t_i = c_i |delta_i|``
    with rates ``a_i = |g_i| / c_i`` it is a fractional knapsack (p = 1), ``t_i = min(a_i^(q - 1) s, T_i)``
    with one ``s`` per row (1 < p < inf), or ``min(budget, T_i)``.

    Args:
        g: (n, ...) float64.
        p: the norm.
        cost: broadcastable to one input, inf where nothing moves; None for 1.
        budget: (n,) finite.
        lo: lowest perturbation, <= 0.
        hi: highest.
    """
    cost = torch.ones((), dtype=torch.float64) if cost is None else cost
    cost = torch.where(torch.isinf(cost), 1.0, cost).to(g.device).expand_as(g).flatten(1)
    room = torch.where(g > 0, -lo, hi).flatten(1) * cost
    rate = g.abs().flatten(1) / cost
    if math.isinf(p):
        spent = torch.minimum(room, budget[:, None])
    elif p == 1:
        spent = greedy_move(rate, room, budget)
    else:
        spent = proportional_move(rate ** (dual_exponent(p) - 1), room, budget, p)
    spent = torch.where(rate > 0, spent, 0.0)
    return -g.sign() * (spent / cost).reshape(g.shape)
