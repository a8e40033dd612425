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
    best = _largest_count(lambda budget: worst_drop(drops, budget), margin * ROUND_DOWN)
    endless = best == 2**BITS - 1
    if bool(endless.any()):
        most = worst_drop(drops, best)
        spent = 1 + _largest_count(lambda budget: worst_drop(drops, budget), most)
        best = torch.where(endless, spent, best)
    return _finished(drops, margin, best)


def _largest_count(value: Callable[[Tensor], Tensor], limit: Tensor) -> Tensor:
    """(n,): the largest whole number below ``2 ** BITS`` whose value is below a limit; or 0.

    For values that do not fall. Worst drops are mostly concave: then a line through the last two numbers
    below the answer meets the limit before it. Every third number halves the bracket's logarithm.
    """
    low, high = torch.zeros_like(limit), torch.full_like(limit, 2.0**BITS)
    before, at_low, at_before = low - 1, low.clone(), torch.full_like(low, -torch.inf)
    step = 0
    while bool((high > low + 1).any()):
        if step % 3 == 2:
            number = (low + 1).sqrt() * high.sqrt()
        else:
            pace = (low - before) / (at_low - at_before)
            number = low + pace * (limit - at_low)
        number = number.nan_to_num(0.0).floor().clamp(low + 1, (high - 1).clamp_min(1))
        found = value(number)
        holds = found < limit
        before, at_before = torch.where(holds, low, before), torch.where(holds, at_low, at_before)
        low, at_low = torch.where(holds, number, low), torch.where(holds, found, at_low)
        high = torch.where(holds, high, torch.minimum(high, number))
        step += 1
    return low


def _finished(drops: Curves, margin: Tensor, best: Tensor) -> Tensor:
    best = torch.where(drops.total().sum(1) < margin * ROUND_DOWN, torch.inf, best)
    return torch.where(margin > 0, best, 0.0)
