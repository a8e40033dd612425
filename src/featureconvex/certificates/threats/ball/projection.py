"""Projections onto a weighted l_p ball intersected with a box, for attacks."""

import math

import torch
from torch import Tensor

from featureconvex.norms import vector_norm

STEPS = 40


def project_lp(
    delta: Tensor, budget: Tensor, lo: Tensor, hi: Tensor, p: float, cost: Tensor | None
) -> Tensor:
    """A point of ``{||cost * delta||_p <= budget}`` and ``[lo, hi]`` near ``delta``: (n, ...) float64.

    The Euclidean projection for p in {1, 2, inf}. By its optimality conditions it is
    ``shrink(delta, mu)`` clipped to the box, with one multiplier ``mu >= 0`` per row: soft thresholding
    by ``mu cost`` for p = 1, ``delta / (1 + mu cost^2)`` for p = 2. Its budget falls as ``mu`` grows, so
    ``mu`` is bisected, and the end of the bracket that keeps the budget is returned. Other p: clipped,
    then scaled towards 0.

    Args:
        delta: (n, ...).
        budget: (n,), >= 0.
        lo: lower ends of delta itself, <= 0, (n, ...).
        hi: upper ends, >= 0.
        cost: broadcastable to one input; where it is infinite, ``lo = hi = 0``.
    """
    delta, budget = delta.double(), budget.double()
    column = budget.reshape(-1, *[1] * (delta.ndim - 1))
    costs = torch.ones((), dtype=torch.float64) if cost is None else cost
    costs = torch.where(torch.isinf(costs), 1.0, costs).to(delta.device)
    if math.isinf(p):
        reach = column / costs
        return delta.clamp(torch.maximum(lo, -reach), torch.minimum(hi, reach))
    inside = delta.clamp(lo, hi)
    if p == 2:
        # Its square is needed: costs around 1.
        unit = torch.exp2(costs.min().log2().round())
        costs, budget = costs / unit, budget / unit
    norm = vector_norm(costs * inside, p)
    if p in (1, 2):
        return _bisected(delta, inside, budget, norm, lo, hi, costs, p)
    return inside * (budget / norm).clamp(max=1.0).nan_to_num(1.0).reshape(column.shape)


def _bisected(
    delta: Tensor,
    inside: Tensor,
    budget: Tensor,
    norm: Tensor,
    lo: Tensor,
    hi: Tensor,
    costs: Tensor,
    p: float,
) -> Tensor:
    shape = (-1, *[1] * (delta.ndim - 1))

    def shrink(mu: Tensor) -> Tensor:
        weight = mu.reshape(shape)
        if p == 1:
            small = delta.sign() * (delta.abs() - weight * costs).clamp_min(0)
        else:
            small = delta / (1 + weight * costs**2)
        return small.clamp(lo, hi)

    over = norm > budget
    if p == 1:
        top = (delta.abs() / costs).flatten(1).amax(1)
        bottom = torch.zeros_like(top)
    else:
        # ||cost * delta|| / (1 + mu min cost^2) <= budget closes the bracket.
        bottom = torch.zeros_like(norm)
        top = vector_norm(costs * delta, 2) / budget.clamp_min(1e-300) / float(costs.min()) ** 2
    for _ in range(STEPS if bool(over.any()) else 0):
        middle = 0.5 * (bottom + top)
        fits = vector_norm(costs * shrink(middle), p) <= budget
        top, bottom = torch.where(fits, middle, top), torch.where(fits, bottom, middle)
    kept = torch.where((budget > 0).reshape(shape), shrink(top), 0.0)
    return torch.where(over.reshape(shape), kept, inside)
