"""The ball of p = inf: every coordinate moves by the budget, the worst drop is ``sum_i h_i(r)``."""

import math

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.certificates.threats.ball.power import largest_concave_budget


def largest_uniform_budget(drops: Drops, margin: Tensor, reached: Tensor) -> Tensor:
    """The root of ``sum_i h_i(r) = margin`` from below, by safeguarded Newton steps: (n,) float64.

    Args:
        drops: the curves.
        margin: (n,).
        reached: (n,) bool, rows whose total drop reaches the margin; the others mean nothing.
    """
    if drops.concave:
        return largest_concave_budget(drops, margin, math.inf)
    low, high = torch.zeros_like(margin), torch.full_like(margin, torch.inf)
    guess = margin / drops.rises[0].slope.sum(1).clamp_min(torch.finfo(torch.float64).tiny)
    active = reached & (margin > 0)
    for step in range(80):
        guess = torch.where(active, guess, low)
        drop, pitch = drops.at(guess).sum(1), drops.slope_at(guess).sum(1)
        under = drop < margin
        low, high = torch.where(under, guess, low), torch.where(under, high, guess)
        newton = guess + (margin - drop) / pitch
        near = under & (newton - guess <= 1e-10 * guess)
        active = active & ~near & ~(high <= low * (1 + 1e-12))
        if not bool(active.any()):
            break
        # From above a little too far, so that the answer is reached from below.
        newton = torch.where(under, newton, newton * (1 - 1e-11))
        middle = torch.where(torch.isinf(high), 2 * guess, 0.5 * (low + high))
        fits = (newton > low) & (newton < high) & (step % 4 != 3)
        guess = torch.where(fits, newton, middle)
    return low
