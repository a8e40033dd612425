"""The ball of p = 1: the steepest coordinates first, each to its end (a fractional knapsack, exact).

Budgets of curves that are not concave are left to :mod:`.dual`.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.drops import TINY, Drops

# The steepest curves, looked at first.
FEW = 64
# Multipliers are at least this where something is divided by them.
LEAST = 2.0**-600


def largest_greedy_budget(drops: Drops, margin: Tensor) -> Tensor:
    """The r with ``max sum_i a_i min(t_i, T_i) = margin`` over ``sum t <= r``: (n,) float64.

    Only the steepest few curves are sorted, and more of them for the rows
    where they do not reach the margin.
    """
    slope, end = drops.rises[0].slope, drops.rises[0].end
    budget = torch.zeros_like(margin)
    rows = torch.arange(len(margin), device=margin.device)
    count = FEW
    while len(rows):
        last = count >= slope.shape[1]
        steep, order = slope[rows].topk(min(count, slope.shape[1]), dim=1)
        size = end[rows].gather(1, order)
        paid, spent = (steep * size).nan_to_num(0.0, posinf=torch.inf).cumsum(1), size.cumsum(1)
        left = margin[rows, None]
        at = (paid < left).sum(1, keepdim=True)
        inside = at.squeeze(1) < steep.shape[1]
        at = at.clamp_max(steep.shape[1] - 1)
        before = (at - 1).clamp_min(0)
        first = at == 0
        owed = left - paid.gather(1, before).masked_fill(first, 0.0)
        found = spent.gather(1, before).masked_fill(first, 0.0) + owed / steep.gather(1, at)
        done = inside | last
        budget[rows[done]] = found.squeeze(1)[done]
        rows, count = rows[~done], 4 * count
    return budget


def greedy_drop(drops: Drops, budget: Tensor) -> Tensor:
    """``max sum_i h_i(t_i)`` over ``sum t <= budget``, of the curves' concave envelopes: (n,) float64.

    Exact for concave curves, else an upper bound. Differentiable in the slopes; the moves are held fixed,
    which is the derivative of a maximum.

    Args:
        drops: curves that end at the budget.
        budget: (n,), finite.
    """
    slope, length = _envelope(drops)
    count, width = FEW, slope.shape[1]
    while True:
        steep, order = slope.detach().topk(min(count, width), dim=1)
        room = length.gather(1, order)
        if count >= width or bool((room.sum(1) >= budget).all()):
            break
        count *= 4
    taken = slope.gather(1, order) * greedy_move(steep, room, budget)
    return taken.sum(1).nan_to_num(torch.inf, posinf=torch.inf)


class _Pieces(NamedTuple):
    """Straight pieces in any order, (n, pieces): of a concave curve steeper ones come first."""

    slope: Tensor
    length: Tensor


def _envelope(drops: Drops) -> _Pieces:
    """The pieces of the curves' concave envelopes."""
    if drops.concave:
        return _Pieces(drops.rises[0].slope, drops.rises[0].end)
    # Of two stretches the second may be one of some columns; the other curves are straight.
    drops = drops if len(drops.rises) == 2 else drops.dense
    last = drops.rises[-1]
    ends = torch.stack([*(last.of(rise.end) for rise in drops.rises[:-1]), last.end])
    tops = torch.stack([*map(last.of, drops.tops[:-1]), drops.tops[-1]])
    steepest, *others = _hull(ends, tops)
    first = drops.rises[0]
    whole = last.into(first.slope, steepest.slope), last.into(first.end, steepest.length)
    slopes, lengths = zip(whole, *others, strict=True)
    return _Pieces(torch.cat(slopes, 1), torch.cat(lengths, 1))


def _hull(ends: Tensor, tops: Tensor) -> list[_Pieces]:
    """The upper hulls of corners (k, n, d) and the origin: from each corner to the steepest one ahead."""
    at, height, pieces = torch.zeros_like(ends[0]), torch.zeros_like(tops[0]), []
    for _ in range(len(ends)):
        ahead = ends - at
        slopes = ((tops - height) / ahead.clamp_min(TINY)).where(ahead > 0, -torch.inf)
        steepest, corner = slopes.max(dim=0)
        more = steepest > -torch.inf
        to, up = (part.gather(0, corner[None])[0] for part in (ends, tops))
        pieces.append(_Pieces(steepest.where(more, 0.0), (to - at).where(more, 0.0)))
        at, height = to.where(more, at), up.where(more, height)
    return pieces


def marginal_slope(slope: Tensor, room: Tensor, budget: Tensor) -> Tensor:
    """(n,): the slope at which the steepest coordinates, each filled, spend the budget (n,)."""
    steep, order = slope.sort(dim=1, descending=True)
    spent = room.gather(1, order).cumsum(1) < budget[:, None]
    last = spent.double().sum(1).long().clamp(max=slope.shape[1] - 1)
    return steep.gather(1, last[:, None]).squeeze(1)


def spending_slope(drops: Drops, budget: Tensor) -> Tensor:
    """:func:`marginal_slope` of concave curves; 0 where all of them leave some of the budget (n,)."""
    first = drops.rises[0]
    slope = marginal_slope(first.slope, first.end, budget)
    return slope.where(first.end.sum(1) >= budget, 0.0)


def greedy_move(rate: Tensor, room: Tensor, budget: Tensor) -> Tensor:
    """What each coordinate spends to make ``sum rate t`` largest, ``t <= room``, ``sum t <= budget``.

    Args:
        rate: (n, d), >= 0, per unit of budget.
        room: (n, d), >= 0, inf for none.
        budget: (n,).
    """
    order = rate.argsort(dim=1, descending=True)
    sizes = torch.minimum(room, budget[:, None]).gather(1, order)
    left = (budget[:, None] - (sizes.cumsum(1) - sizes)).clamp_min(0)
    return torch.zeros_like(rate).scatter(1, order, torch.minimum(sizes, left))
