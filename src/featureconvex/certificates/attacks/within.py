"""Points that keep a budget as numbers of the model's dtype, not only before rounding.

A cast moves every coordinate by up to half a unit in the last place, outwards as often as inwards, and a
perturbation that spends its whole budget then exceeds it. Moving a coordinate back towards the input never
costs more (a law of every threat), so the coordinates that rounded outwards most are rounded inwards
instead, as few as it takes.
"""

import torch
from torch import Tensor

from featureconvex.certificates.attacks.target import Target, column

# Halvings of the threshold between "outwards" and "inwards".
HALVINGS = 8
# Attempts at scaling what still exceeds the budget, each with four times the reserve of the last one.
ATTEMPTS = 8
RESERVE = 2 * torch.finfo(torch.float64).eps


def spent(target: Target, point: Tensor) -> Tensor:
    """The budget of ``point`` (n, ...) as a number of its dtype, measured in float64: (n,)."""
    return target.threat.measure(point.double() - target.x)


def rounded_inwards(target: Target, delta: Tensor, point: Tensor, budget: Tensor) -> Tensor:
    """``point`` with coordinates rounded towards the input until the budget pays for it: (n, ...).

    All that were rounded outwards, where fewer are not enough.

    Args:
        target: the inputs.
        delta: (n, ...) float64, the perturbations that were meant.
        point: ``x + delta`` rounded to the model's dtype, in the domain.
        budget: (n,).
    """
    moved = (point.double() - target.x).abs()
    beyond = moved - delta.abs()
    outward = beyond > 0
    # One step towards the input: x + delta lies between the two.
    inner = torch.where(outward, torch.nextafter(point, target.x.to(point.dtype)), point)
    step = moved - (inner.double() - target.x).abs()
    share = torch.where(outward, beyond / step, 0.0)
    # To the nearest number it is at most half a step.
    low, high = torch.zeros_like(budget), torch.full_like(budget, 0.5)
    result = inner
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        trial = torch.where(share > column(middle, share), inner, point)
        fits = spent(target, trial) <= budget
        result = torch.where(column(fits, result), trial, result)
        low, high = torch.where(fits, middle, low), torch.where(fits, high, middle)
    return result


def scaled(target: Target, delta: Tensor, budget: Tensor, reserve: float) -> Tensor:
    """``delta`` scaled towards 0 where it needs more than ``budget * (1 - reserve)``: (n, ...)."""
    share = (budget / target.threat.measure(delta)).clamp_max(1.0).nan_to_num(1.0) * (1 - reserve)
    return delta * column(share, delta)
