"""Verification of an attack: points cast to the model's dtype, and everything measured on them."""

import torch
from torch import Tensor

from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.attacks.within import (
    ATTEMPTS,
    RESERVE,
    rounded_inwards,
    scaled,
    spent,
)

# Bisection steps along the segment from the input to a flip.
STEPS = 30
# Units of roundoff between the margins of two batches, and the last share of a margin worth keeping.
ULPS = 64
# How much further to go where a flip is lost in the cast.
NUDGES = (0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)


def slack(target: Target) -> Tensor:
    """How far below zero a margin stays there in other batch sizes, which round otherwise: (n,)."""
    margin = target.first
    size = torch.maximum(margin.abs(), (margin - target.model.tau).abs())
    return ULPS * torch.finfo(target.model.dtype).eps * size


def shortened(target: Target, delta: Tensor, steps: int = STEPS) -> Tensor:
    """Each flip pulled back along its segment as far as it stays one, by ``steps`` halvings: (n, ...)."""
    low = torch.zeros(len(delta), dtype=torch.float64, device=delta.device)
    high = torch.ones_like(low)
    enough = -slack(target)
    flips = target.margin(delta) <= 0
    for _ in range(steps):
        middle = 0.5 * (low + high)
        won = target.margin(delta * column(middle, delta)) <= enough
        low, high = torch.where(won, low, middle), torch.where(won, middle, high)
    return torch.where(column(flips, delta), delta * column(high, delta), delta)


def cast(target: Target, delta: Tensor) -> Tensor:
    """The points ``x + delta`` in the model's dtype, moved back into the domain if rounding left it."""
    dtype = target.model.dtype
    point = (target.x + delta).clamp(target.floor, target.ceiling).to(dtype)
    wide = point.double()
    down = torch.nextafter(point, torch.full_like(point, -torch.inf))
    up = torch.nextafter(point, torch.full_like(point, torch.inf))
    point = torch.where(wide > target.ceiling, down, torch.where(wide < target.floor, up, point))
    # An untouched coordinate stays bit for bit.
    return torch.where(delta == 0, target.x.to(dtype), point)


def cast_within(target: Target, delta: Tensor, budget: Tensor) -> Tensor:
    """As :func:`cast`, and within ``budget`` (n,) as the points measure, not only as ``delta`` does."""
    point = cast(target, delta)
    for attempt in range(ATTEMPTS):
        over = spent(target, point) > budget
        if bool(over.any()):
            inwards = rounded_inwards(target, delta, point, budget)
            point = torch.where(column(over, point), inwards, point)
            over = spent(target, point) > budget
        if not bool(over.any()):
            break
        # Then delta itself exceeds it, if only in its last digit.
        less = scaled(target, delta, budget, RESERVE * 4**attempt)
        delta = torch.where(column(over, delta), less, delta)
        point = torch.where(column(over, point), cast(target, delta), point)
    return point


def cast_allowed(target: Target, delta: Tensor) -> Tensor:
    """As :func:`cast`, but where rounding alone makes a perturbation one that the threat forbids."""
    point, allowed = cast(target, delta), target.threat.measure(delta)
    lost = torch.isinf(spent(target, point)) & torch.isfinite(allowed)
    if not bool(lost.any()):
        return point
    return torch.where(column(lost, point), cast_within(target, delta, allowed), point)


def verified(target: Target, delta: Tensor, budget: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Points, margins (n,) and distances (n,) after the cast; the distance is nan where nothing flipped.

    A flip just across the boundary may be lost in the cast; going a little further, within the budget
    if there is one, often brings it back.
    """
    points = cast_allowed(target, delta) if budget is None else cast_within(target, delta, budget)
    first = points
    margin = target.margin(points.double() - target.x)
    distance = torch.full_like(margin, torch.nan)
    enough = -slack(target)
    for nudge, needed in [*((n, enough) for n in NUDGES), (0.0, torch.zeros_like(enough))]:
        open_ = torch.isnan(distance)
        if not bool(open_.any()):
            break
        trial = first
        if nudge:
            trial = cast(target, (delta * (1 + nudge)).clamp(target.lo, target.hi))
        moved = trial.double() - target.x
        value, measured = target.margin(moved), target.threat.measure(moved)
        wide = trial.double()
        inside = ((wide >= target.floor) & (wide <= target.ceiling)).flatten(1).all(1)
        won = open_ & (value <= needed) & inside & torch.isfinite(measured)
        if budget is not None:
            won &= measured <= budget
        distance = torch.where(won, measured, distance)
        margin = torch.where(won, value, margin)
        points = torch.where(column(won, points), trial, points)
    return points, margin, distance
