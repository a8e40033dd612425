"""The largest budget for any threat that can bound its worst drop."""

from collections.abc import Callable

import torch
from torch import Tensor

from featureconvex.certificates.drops import ROUND_DOWN, Curves

# Budgets between 2 ** -LARGEST and 2 ** LARGEST are found, to about 8 digits.
LARGEST = 64.0
STEPS = 34


def bisected_budget(
    worst_drop: Callable[[Curves, Tensor], Tensor], drops: Curves, margin: Tensor
) -> Tensor:
    """The largest r found with ``worst_drop(drops, r) < margin``: (n,) float64.

    0 where ``margin <= 0`` or nothing was found, inf where all total drops together stay below it.

    Args:
        worst_drop: nondecreasing in the budget (n,).
        drops: the curves.
        margin: (n,).
    """
    enough = margin * ROUND_DOWN
    exponent, best = torch.full_like(margin, -LARGEST), torch.zeros_like(margin)
    stride = LARGEST
    for _ in range(STEPS):
        # Exponents first by halves, so that a few steps find the scale.
        budget = 2.0 ** (exponent + stride)
        safe = worst_drop(drops, budget) < enough
        exponent = torch.where(safe, exponent + stride, exponent)
        best = torch.where(safe, budget, best)
        stride = stride / 2
    return _finished(drops, margin, best)


# Whole numbers below 2 ** BITS are found.
BITS = 31


def bisected_count(
    worst_drop: Callable[[Curves, Tensor], Tensor], drops: Curves, margin: Tensor
) -> Tensor:
    """The same among whole numbers: (n,) float64.

    Where no number reaches the margin, though all curves together do (each move has a limit of its own,
    say), the smallest number after which more buys nothing.
    """
    enough = margin * ROUND_DOWN
    best = _largest_count(lambda budget: worst_drop(drops, budget) < enough, margin)
    endless = best == 2**BITS - 1
    if bool(endless.any()):
        most = worst_drop(drops, best)
        spent = 1 + _largest_count(lambda budget: worst_drop(drops, budget) < most, margin)
        best = torch.where(endless, spent, best)
    return _finished(drops, margin, best)


def _largest_count(holds: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """(n,): the largest whole number below ``2 ** BITS`` at which a condition holds up to there; or 0."""
    best = torch.zeros_like(like)
    for bit in reversed(range(BITS)):
        budget = best + 2**bit
        best = torch.where(holds(budget), budget, best)
    return best


def _finished(drops: Curves, margin: Tensor, best: Tensor) -> Tensor:
    best = torch.where(drops.total().sum(1) < margin * ROUND_DOWN, torch.inf, best)
    return torch.where(margin > 0, best, 0.0)
