"""The dual relative to the budget: for any exponent and numbers of any size, but slow.

With ``t = r tau`` and ``lam r^p = mu`` weak duality reads, for every budget r and every ``mu >= 0``,

    D(r) <= mu + sum_i max over tau in [0, 1] of h_i(r tau) - mu tau^p.

``tau^p`` cannot overflow, an underflow of it changes nothing, and only ``mu`` below the margin can
prove anything: what :mod:`.dual` does with ``lam`` and ``r^p``, which for large p, for p near 1, or for
numbers far from 1 leave the range of floating point. The budget is searched between that of p = inf and
``d^(1/p)`` times as much.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.drops import ROUND_DOWN, Drops

# Shares of the margin below which a multiplier counts as 0.
LEAST = 1e-18
STEPS, ROUNDS = 60, 40
# Relative accuracy of a budget, of a bound, and of a bound's distance from the goal.
NEAR, EXACT, CLOSE = 1e-9, 1e-10, 0.05


class Tangent(NamedTuple):
    """``value = mu + sum_i max_tau ...`` and its slope in ``mu``; (n,) each."""

    value: Tensor
    slope: Tensor


class _Stretch(NamedTuple):
    """One piece of every curve as a function of ``tau``; (n, d) each."""

    first: Tensor
    last: Tensor
    slope: Tensor
    below: Tensor | float
    """The height where it begins."""


class Shares:
    """The curves as functions of the share ``tau`` of a budget (n,), for many multipliers."""

    def __init__(self, drops: Drops, budget: Tensor) -> None:
        cut, scale = drops.dense.within(budget), budget[:, None]
        self.stretches = [
            _Stretch(
                rise.start / scale,
                rise.end / scale,
                rise.slope * scale,
                cut.tops[k - 1] if k else 0.0,
            )
            for k, rise in enumerate(cut.rises)
        ]

    def bound(self, share: Tensor, p: float) -> Tangent:
        """The bound above for one ``mu`` (n,) >= 0 per row, in units of the drops."""
        multiplier = share[:, None]
        best = at = torch.zeros_like(self.stretches[0].slope)
        for first, last, slope, below in self.stretches:
            # inf for a multiplier of 0, where everything up to the end is taken.
            tau = (slope / (p * multiplier)).pow(1 / (p - 1)) if p > 1 else last
            tau = torch.where(slope > 0, torch.minimum(torch.maximum(tau, first), last), first)
            gain = slope * (tau - first) - multiplier * tau**p + below
            at = torch.where(gain > best, tau, at)
            # Hands on a gain that is no number, which proves nothing.
            best = torch.maximum(best, gain)
        return Tangent(share + best.sum(1), 1 - (at**p).sum(1))


class Minimum(NamedTuple):
    """The least bound found for a budget and where; (n,) each."""

    value: Tensor
    share: Tensor


def least_bound(
    drops: Drops, budget: Tensor, margin: Tensor, p: float, guess: Tensor, goal: Tensor
) -> Minimum:
    """Minimise the bound over ``mu``; with a goal until its distance from it is known to 5 %.

    Args:
        drops: the curves.
        budget: (n,), > 0, finite.
        margin: (n,), the scale of ``mu``.
        p: finite.
        guess: (n,), where to look first.
        goal: (n,); minus infinity to find the minimum.
    """
    shares, aimed = Shares(drops, budget), torch.isfinite(goal)
    low, high = torch.zeros_like(margin), margin.clone()
    at_low, at_high = (shares.bound(end, p) for end in (low, high))
    best, where = at_low.value, low
    mu = torch.where((guess > 0) & (guess < margin), guess, 0.5 * margin)
    for step in range(STEPS):
        meet = (at_high.value - at_low.value + at_low.slope * low - at_high.slope * high) / (
            at_low.slope - at_high.slope
        )
        below = at_low.value + at_low.slope * (meet - low)
        enough = torch.maximum(EXACT * best, (CLOSE * (best - goal).abs()).where(aimed, 0.0))
        done = (below >= best - enough) | (at_low.slope >= 0)
        if bool(done.all()):
            break
        if step:
            floor = torch.maximum(low, LEAST * margin)
            middle = (floor * high).sqrt()
            fits = (meet > low) & (meet < high)
            mu = torch.where(fits, meet, middle) if step % 3 else middle
        new = shares.bound(mu, p)
        better = new.value < best
        best, where = torch.where(better, new.value, best), torch.where(better, mu, where)
        left = new.slope < 0
        low, high = torch.where(left, mu, low), torch.where(left, high, mu)
        at_low = Tangent(*(torch.where(left, a, b) for a, b in zip(new, at_low, strict=True)))
        at_high = Tangent(*(torch.where(left, b, a) for a, b in zip(new, at_high, strict=True)))
    return Minimum(best, where)


def relative_dual_budget(drops: Drops, margin: Tensor, p: float, start: Tensor) -> Tensor:
    """The largest r found with a bound below the margin: (n,) float64.

    Mostly concave in r: secants in logarithms by the Illinois rule, every third time the middle.

    Args:
        drops: the curves, whose totals reach the margin.
        margin: (n,), > 0.
        p: finite.
        start: (n,), the budget of p = inf: proved for every p.
    """
    low, high = start, start * drops.count ** (1 / p)
    share, goal = torch.zeros_like(margin), margin * ROUND_DOWN
    # Logarithms of bound over goal at both ends, nan where not known.
    below = above = torch.full_like(margin, torch.nan)
    rose = torch.zeros_like(margin, dtype=torch.bool)
    for step in range(ROUNDS):
        if not bool((high > low * (1 + NEAR)).any()):
            break
        width = (high / low).log()
        # The middle every third time and where an end's excess is not known.
        part = torch.full_like(low, 0.5) if step % 3 == 0 else below / (below - above)
        # Not the ends themselves: a point next to an end that is the answer closes the bracket.
        beside = (0.4 * NEAR / width).clamp_max(0.5)
        part = torch.maximum(beside, torch.minimum(part.nan_to_num(0.5), 1 - beside))
        middle = (low * (width * part).exp()).clamp(low, high)
        found = least_bound(drops, middle, margin, p, share, goal)
        share = found.share
        excess = (found.value / goal).log()
        proved = found.value < goal
        low, high = torch.where(proved, middle, low), torch.where(proved, high, middle)
        # Illinois: an end that is kept twice counts half.
        below = torch.where(proved, excess, torch.where(rose, below, 0.5 * below))
        above = torch.where(proved, torch.where(rose, 0.5 * above, above), excess)
        rose = proved
    return low


def share_of(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """About the best ``mu`` for a budget: (n,) float64."""
    most = drops.within(budget).top.sum(1)
    never = torch.full_like(most, -math.inf)
    return least_bound(drops, budget, most, p, 0.5 * most, never).share
