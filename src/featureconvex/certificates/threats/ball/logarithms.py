"""Concave curves in logarithms: for exponents and numbers whose powers would over- or underflow.

The worst attack, ``max sum_i a_i min(t_i, T_i)`` over ``||t||_p <= r``, moves ``t_i = min(T_i, s b_i)``
with ``b = a^(1 / (p - 1))`` and one pace ``s``. For p near 1 or large, or numbers of very different size,
``b`` and ``t^p`` leave the range of floating point; their logarithms do not. Sorted by the pace at which
they end, the first curves are full and the others free: the pace is found from two running sums.
"""

import math
from functools import reduce

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR

# What logarithms may be off by: as they are, and for every unit of the largest number on the way.
SLACK, ROUNDING = 2.0**-30, 2.0**-48
# Of p / (p - s): beyond it a way in l_s is also looked at as one in l_p.
NEARLY_EQUAL = 2.0**10


def budget_in_logs(slope: Tensor, end: Tensor, margin: Tensor, p: float) -> Tensor:
    """The r whose worst drop is ``margin``, from below: (n,) float64.

    Where all curves together stay below the margin, the budget that fills them all.

    Args:
        slope: (n, d), ``a >= 0``.
        end: (n, d), ``T >= 0``; beyond ``FAR / 2`` a curve never ends.
        margin: (n,), > 0.
        p: in (1, inf).
    """
    a, b, full = _logs(slope, end, p)
    goal = margin.log()
    pace = _pace(a + b, a + full, goal)
    moved = torch.minimum(full, pace[:, None] + b).masked_fill(torch.isneginf(a), -torch.inf)
    off = SLACK + ROUNDING * _largest(a, b, full, goal[:, None], pace[:, None])
    return (_log_norm(moved, p) - off).exp()


def pace_of_budget(slope: Tensor, end: Tensor, budget: Tensor, p: float) -> Tensor:
    """``log s`` of the attack that spends ``budget`` (n,), > 0: (n,), inf where all curves are full."""
    a, b, full = _logs(slope, end, p)
    free = (p * b).masked_fill(torch.isneginf(a), -torch.inf)
    return _pace(free, p * full, p * budget.log()) / p


def budget_of_way(share: Tensor, costs: Tensor, s: float, p: float) -> Tensor:
    """The least ``||costs * u||_p`` with ``||u||_s = 1`` and ``|u| <= share``, from below: (n,) float64.

    For s < p the cheapest ``u_i = min(share_i, x price_i^(-p / (p - s)))``; for s = p the cheapest
    coordinates first. Where the shares do not suffice, what it costs to use them all.

    Args:
        share: (n, d), at most 1.
        costs: (n or 1, d), positive and finite.
        s: in [1, p].
        p: finite or inf.
    """
    found = _least_way(share, costs, s, p)
    if math.isinf(p) or s == p or p < NEARLY_EQUAL * (p - s):
        return found
    # ``c <= ||u||_p <= 1``, so ``u / ||u||_p`` is a way in l_p, whose numbers are ordinary ones.
    c = share.shape[1] ** (1 / p - 1 / s) * (1 - 2**-40)
    return torch.maximum(found, c * _least_way((share / c).clamp(max=1.0), costs, p, p))


def _least_way(share: Tensor, costs: Tensor, s: float, p: float) -> Tensor:
    full, cost = share.log(), costs.log().expand_as(share)
    if s == p:
        cost, order = cost.sort(dim=1)
        full = full.gather(1, order)
        paid = torch.logcumsumexp(s * full, 1)
        before = torch.cat((torch.full_like(paid[:, :1], -torch.inf), paid[:, :-1]), 1)
        left = torch.log1p(-before.exp().clamp(max=1.0)) / s
        used, most = torch.minimum(full, left), _largest(full, cost)
    else:
        falls = -cost * (1.0 if math.isinf(p) else p / (p - s))
        falls = falls.masked_fill(torch.isneginf(full), -torch.inf)
        pace = _pace(s * falls, s * full, torch.zeros_like(full[:, 0])) / s
        used = torch.minimum(full, pace[:, None] + falls.masked_fill(torch.isneginf(full), 0.0))
        most = _largest(full, cost, falls, pace[:, None])
    spent, off = cost + used, SLACK + ROUNDING * most
    if math.isinf(p):
        return (spent.amax(1) - off).exp()
    return (_log_norm(spent, p) - off).exp()


def _largest(*logs: Tensor) -> Tensor:
    """(n,): the largest finite size among logarithms (n, d)."""
    sizes = [part.abs().masked_fill(~torch.isfinite(part), 0.0).amax(1) for part in logs]
    return reduce(torch.maximum, sizes)


def _logs(slope: Tensor, end: Tensor, p: float) -> tuple[Tensor, Tensor, Tensor]:
    """``log a`` (-inf: it never rises), ``log b``, and ``log T`` (inf: it never ends)."""
    rises = (slope > 0) & (end > 0)
    a = slope.log().masked_fill(~rises, -torch.inf)
    full = end.log().masked_fill((end >= FAR / 2) | ~rises, torch.inf)
    return a, a.masked_fill(~rises, 0.0) / (p - 1), full


def _pace(free: Tensor, full: Tensor, goal: Tensor) -> Tensor:
    """The x with ``sum_i min(exp(free_i + x), exp(full_i)) = exp(goal)``: (n,), inf where there is none.

    Terms whose ``free`` is -inf do not count.
    """
    counts = ~torch.isneginf(free)
    ends, order = (full - free).masked_fill(~counts, torch.inf).sort(dim=1)
    free, counts = free.gather(1, order), counts.gather(1, order)
    paid = torch.logcumsumexp(full.gather(1, order).masked_fill(~counts, -torch.inf), 1)
    before = torch.cat((torch.full_like(paid[:, :1], -torch.inf), paid[:, :-1]), 1)
    left = goal[:, None] + torch.log1p(-(before - goal[:, None]).exp().clamp(max=1.0))
    x = left - torch.logcumsumexp(free.flip(1), 1).flip(1)
    # The first term that is not full when the goal is met: all before it are.
    fits = counts & (x <= ends)
    found = x.gather(1, fits.double().argmax(1, keepdim=True)).squeeze(1)
    return found.where(fits.any(1), torch.inf)


def _log_norm(logs: Tensor, p: float) -> Tensor:
    top = logs.amax(1, keepdim=True)
    held = torch.where(torch.isfinite(top), top, 0.0)
    norm = held + ((p * (logs - held)).exp().sum(1, keepdim=True)).log() / p
    return torch.where(torch.isinf(top) & (top > 0), top, norm).squeeze(1)


def multiplier_in_logs(slope: Tensor, end: Tensor, budget: Tensor, p: float) -> Tensor:
    """About the best ``lam = 1 / (p s^(p - 1))`` for a budget (n,): (n,) float64."""
    pace = pace_of_budget(slope, end, budget, p)
    return (-math.log(p) - (p - 1) * pace).exp()
