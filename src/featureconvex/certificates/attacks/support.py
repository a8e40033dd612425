"""Attacks of threats that limit which coordinates change: a greedy choice, and a convex search inside it.

Inside a fixed support every change is free, so the attack is conditional-gradient descent over a box.
Supports come from the drops that averaged subgradients promise: the sets of largest drop.
"""

import torch
from torch import Tensor

from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.threats.support import Support

# Coordinates without a bound move together as far as makes a linear model fall by this many margins.
STRIDES = (1.5, 5.0, 20.0)
# Moves inside one support.
MOVES = 10


def ends(target: Target, gradient: Tensor, stride: float, mask: Tensor | None = None) -> Tensor:
    """The perturbation that a linear model would choose inside ``mask`` (n, ...): ends of intervals.

    Where an interval has no end, a step against the gradient.
    """
    gradient = gradient if mask is None else gradient * mask
    move = torch.where(gradient > 0, target.lo, target.hi)
    free = torch.isinf(move)
    if bool(free.any()):
        size = (gradient.square() * free).flatten(1).sum(1).clamp_min(1e-300)
        margin = target.first.clamp_min(0)
        move = torch.where(free, -gradient * column(stride * margin / size, gradient), move)
    return torch.where(gradient == 0, 0.0, move)


def inside(
    target: Target, mask: Tensor, start: Tensor, steps: int, stride: float
) -> tuple[Tensor, Tensor]:
    """The lowest margin found changing only ``mask`` (n, ...): perturbation and margin (n,)."""
    delta = start * mask
    margin, gradient = target.slope(delta)
    best, least, mean = delta, margin, gradient
    for k in range(steps):
        pace = 2 / (k + 2)
        mean = mean + pace * (gradient - mean)
        delta = delta + pace * (ends(target, mean, stride, mask) - delta)
        margin, gradient = target.slope(delta)
        better = margin < least
        least = torch.where(better, margin, least)
        best = torch.where(column(better, delta), delta, best)
    return best, least


def few(target: Target, threat: Support, budget: Tensor, steps: int) -> tuple[Tensor, Tensor]:
    """The lowest margin found in sets that ``budget`` (n,) pays for: perturbation, margin (n,)."""
    shape = tuple(target.x.shape[1:])
    best = torch.zeros_like(target.x)
    least, gradient = target.slope(best)
    strides = STRIDES if bool(torch.isinf(target.hi - target.lo).any()) else STRIDES[:1]
    rounds = max(1, steps // (MOVES * len(strides)))
    for stride in strides:
        mean, delta = gradient, best
        for k in range(rounds):
            promised = (-mean * ends(target, mean, stride)).flatten(1)
            mask = threat.choose(promised, budget, shape).reshape(target.x.shape)
            delta, margin = inside(target, mask, delta, MOVES, stride)
            better = margin < least
            least = torch.where(better, margin, least)
            best = torch.where(column(better, best), delta, best)
            mean = mean + (target.slope(delta)[1] - mean) / (k + 2)
    return best, least


def fewest(
    target: Target, threat: Support, steps: int, safe: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A flip of the least budget found; (delta, margin).

    The budget doubles its distance to what is known to be safe until a flip is found, then it is
    bisected.

    Args:
        target: the inputs.
        threat: what counts as one.
        steps: gradient evaluations per budget tried.
        safe: (n,), budgets known to hold no flip; default 0.
    """
    most = threat.most(tuple(target.x.shape[1:]))
    flip = torch.zeros_like(target.x)
    least = target.first
    low = torch.zeros_like(least) if safe is None else safe.clamp(max=most - 1)
    high, stride, lost = torch.full_like(low, most), torch.ones_like(low), least > 0
    while bool(((high - low > 1) | lost).any()):
        further = torch.minimum(low + stride, high)
        middle = torch.where(lost, further, ((low + high) / 2).floor().clamp_min(1))
        delta, margin = few(target, threat, middle, steps)
        won = margin <= 0
        spent = threat.measure(delta)
        flip = torch.where(
            column(won & (lost | (spent <= high)) | (lost & ~won), flip), delta, flip
        )
        least = torch.where(won | lost, margin, least)
        high = torch.where(won, torch.minimum(middle, spent), high)
        low = torch.where(won, low, middle).minimum(high)
        # A budget beyond the last is not worth a second look.
        lost = lost & ~won & (low < most)
        stride = 2 * stride
    return flip, least


def listed(target: Target, threat: Support, steps: int, most: int) -> tuple[Tensor, Tensor] | None:
    """The lowest margin found in one of the sets of largest promised drop; (delta, margin).

    None where the threat has too many sets to list; ``most`` are tried.
    """
    shape = tuple(target.x.shape[1:])
    best = torch.zeros_like(target.x)
    least, gradient = target.slope(best)
    strides = STRIDES if bool(torch.isinf(target.hi - target.lo).any()) else STRIDES[:1]
    for stride in strides:
        promised = (-gradient * ends(target, gradient, stride)).flatten(1)
        sets = threat.sets(promised, most, shape)
        if sets is None:
            return None
        for chosen in sets:
            mask = chosen.reshape(target.x.shape)
            delta, margin = inside(target, mask, torch.zeros_like(best), steps, stride)
            better = margin < least
            least = torch.where(better, margin, least)
            best = torch.where(column(better, best), delta, best)
    return best, least
