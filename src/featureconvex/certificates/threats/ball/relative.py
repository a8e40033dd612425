"""The dual relative to the budget: for any exponent and numbers of any size, but slow.

With ``t = r tau`` and ``lam r^p = mu`` weak duality reads, for every budget r and every ``mu >= 0``,

    D(r) <= mu + sum_i max over tau in [0, 1] of h_i(r tau) - mu tau^p.

``tau^p`` cannot overflow, an underflow of it changes nothing, and only ``mu`` below the margin can
prove anything: what :mod:`.dual` does with ``lam`` and ``r^p``, which for large p, for p near 1, or for
numbers far from 1 leave the range of floating point. The budget is bisected between that of p = inf
and ``d^(1/p)`` times as much.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.drops import ROUND_DOWN, Drops

# Shares of the margin below which a multiplier counts as 0.
LEAST = 1e-18
STEPS, HALVINGS = 60, 40
# Relative accuracy of a budget, and of the bound that gives a budget up.
NEAR, HOPELESS = 1e-9, 1e-10


class Tangent(NamedTuple):
    """``value = mu + sum_i max_tau ...`` and its slope in ``mu``; (n,) each."""

    value: Tensor
    slope: Tensor


def bound_of(drops: Drops, budget: Tensor, share: Tensor, p: float) -> Tangent:
    """The bound above for one ``mu`` (n,) >= 0 per row, in units of the drops."""
    cut = drops.dense.within(budget)
    scale, multiplier = budget[:, None], share[:, None]
    best = at = torch.zeros_like(cut.rises[0].slope)
    for k, rise in enumerate(cut.rises):
        first, last, slope = rise.start / scale, rise.end / scale, rise.slope * scale
        # inf for a multiplier of 0, where everything up to the end is taken.
        tau = (slope / (p * multiplier)).pow(1 / (p - 1)) if p > 1 else last
        tau = torch.where(slope > 0, torch.minimum(torch.maximum(tau, first), last), first)
        gain = slope * (tau - first) - multiplier * tau**p
        gain = gain + cut.tops[k - 1] if k else gain
        better = gain > best
        best, at = torch.where(better, gain, best), torch.where(better, tau, at)
        # A number that is not one must not be overlooked: it proves nothing.
        best = torch.where(gain.isnan(), gain, best)
    return Tangent(share + best.sum(1), 1 - (at**p).sum(1))


class Minimum(NamedTuple):
    """The least bound found for a budget and where; (n,) each."""

    value: Tensor
    share: Tensor


def least_bound(
    drops: Drops, budget: Tensor, margin: Tensor, p: float, guess: Tensor, goal: Tensor
) -> Minimum:
    """Minimise the bound over ``mu`` until it is below ``goal`` (n,), or known not to get there.

    Args:
        drops: the curves.
        budget: (n,), > 0, finite.
        margin: (n,), the scale of ``mu``.
        p: finite.
        guess: (n,), where to look first.
        goal: (n,); minus infinity to find the minimum.
    """
    low, high = torch.zeros_like(margin), margin.clone()
    at_low, at_high = (bound_of(drops, budget, end, p) for end in (low, high))
    best, where = at_low.value, low
    mu = torch.where((guess > 0) & (guess < margin), guess, 0.5 * margin)
    for step in range(STEPS):
        meet = (at_high.value - at_low.value + at_low.slope * low - at_high.slope * high) / (
            at_low.slope - at_high.slope
        )
        below = at_low.value + at_low.slope * (meet - low)
        lost = ~(below < goal * (1 - HOPELESS)) & ~(best <= below * (1 + HOPELESS))
        hopeless = torch.isfinite(goal) & lost & torch.isfinite(below)
        done = (best < goal) | hopeless | (best <= below * (1 + HOPELESS)) | (at_low.slope >= 0)
        if bool(done.all()):
            break
        if step:
            floor = torch.maximum(low, LEAST * margin)
            middle = (floor * high).sqrt()
            fits = (meet > low) & (meet < high)
            mu = torch.where(fits, meet, middle) if step % 3 else middle
        new = bound_of(drops, budget, mu, p)
        better = new.value < best
        best, where = torch.where(better, new.value, best), torch.where(better, mu, where)
        left = new.slope < 0
        low, high = torch.where(left, mu, low), torch.where(left, high, mu)
        at_low = Tangent(*(torch.where(left, a, b) for a, b in zip(new, at_low, strict=True)))
        at_high = Tangent(*(torch.where(left, b, a) for a, b in zip(new, at_high, strict=True)))
    return Minimum(best, where)


def bisected_dual_budget(drops: Drops, margin: Tensor, p: float, start: Tensor) -> Tensor:
    """The largest r found with a bound below the margin: (n,) float64.

    Args:
        drops: the curves, whose totals reach the margin.
        margin: (n,), > 0.
        p: finite.
        start: (n,), the budget of p = inf: proved for every p.
    """
    low, high = start, start * drops.count ** (1 / p)
    share, goal = torch.zeros_like(margin), margin * ROUND_DOWN
    for _ in range(HALVINGS):
        if not bool((high > low * (1 + NEAR)).any()):
            break
        middle = (low.sqrt() * high.sqrt()).clamp(low, high)
        found = least_bound(drops, middle, margin, p, share, goal)
        proved = found.value < goal
        share = torch.where(proved, found.share, share)
        low, high = torch.where(proved, middle, low), torch.where(proved, high, middle)
    return low


def share_of(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """About the best ``mu`` for a budget: (n,) float64."""
    most = drops.within(budget).top.sum(1)
    never = torch.full_like(most, -math.inf)
    return least_bound(drops, budget, most, p, 0.5 * most, never).share
