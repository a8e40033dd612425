"""The one-dimensional dual behind finite p: a search over the multiplier ``lam`` of the budget."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.norms import dual_exponent, vector_norm

STEPS = 24
RELATIVE = 1e-9
TINY = torch.finfo(torch.float64).tiny


class Penalised(NamedTuple):
    """``Phi(lam)`` and where it is attained, row by row."""

    best: Tensor
    """(n,): ``sum_i max_t h_i(t) - lam t^p``."""
    spent: Tensor
    """(n,): ``sum_i t_i^p`` of the maximisers, minus the derivative of ``Phi``."""


def penalised(drops: Drops, lam: Tensor, p: float) -> Penalised:
    """``Phi(lam)`` for one ``lam > 0`` per row, at least the largest last slope where p = 1.

    On a piece of slope a the maximum is at ``t^(p - 1) = a / (p lam)``, clipped to the piece; for p = 1 at
    one of its ends.
    """
    price = lam[:, None]
    best = spent = torch.zeros_like(drops.slope[0])
    last = len(drops.start) - 1
    value = drops.value
    for k in range(last + 1):
        begin = drops.start[k]
        if k == last and not bool((drops.slope[k] > 0).any()):
            break  # flat to infinity: nothing beyond the end of the piece before
        if p == 1:
            at = begin if k == last else drops.start[k + 1]
        else:
            at = _stationary(drops.slope[k] / price, p).detach()
            at = torch.maximum(at, begin)
            at = at if k == last else torch.minimum(at, drops.start[k + 1])
        power = at if p == 1 else at * at if p == 2 else at**p
        gain = torch.addcmul(value[k], drops.slope[k], at - begin) - price * power
        better = (gain > best).to(gain.dtype)
        best, spent = torch.lerp(best, gain, better), torch.lerp(spent, power, better)
    return Penalised(best.sum(1), spent.sum(1))


def _stationary(ratio: Tensor, p: float) -> Tensor:
    return ratio / 2 if p == 2 else (ratio / p) ** (1 / (p - 1))


def largest_dual_budget(drops: Drops, margin: Tensor, p: float, payable: Tensor) -> Tensor:
    """The largest r found with ``lam r^p + Phi_r(lam) <= margin`` for some ``lam``: (n,) float64.

    ``F(R) = max over lam of ((margin - Phi_R(lam)) / lam)^(1/p)`` does not grow with R, ``min(R, F(R))`` is
    certified for every R, and the answer is the R with ``F(R) = R``. Starting from no limit at all, each
    F raises the lower end or lowers the upper one; only rows whose ends are apart go on.

    Args:
        payable: (n,) bool, rows whose total drop reaches the margin; the others mean nothing.
    """
    low = _largest_ratio(drops, margin, p)
    if drops.concave:
        return low
    high = torch.full_like(low, torch.inf)
    limit = low
    for _ in range(8):
        open_ = payable & (high > low * (1 + 1e-7)) & (low > 0)
        rows = open_.nonzero().squeeze(1)
        if not len(rows):
            break
        limit = torch.where(torch.isinf(high), low, 0.5 * (low + high))[rows]
        found = _largest_ratio(drops.rows(rows).within(limit), margin[rows], p)
        low[rows] = torch.maximum(low[rows], torch.minimum(limit, found))
        high[rows] = torch.minimum(high[rows], torch.maximum(limit, found))
    return low


def _largest_ratio(drops: Drops, margin: Tensor, p: float) -> Tensor:
    """The largest ``((margin - Phi(lam)) / lam)^(1/p)`` found, 0 where none is positive."""

    def too_small(lam: Tensor, at: Penalised) -> Tensor:
        # The ratio still rises: its derivative has the sign of gain - margin.
        return at.best + lam * at.spent > margin

    def score(lam: Tensor, best: Tensor) -> Tensor:
        return (margin - best) / lam.clamp_min(TINY)

    _, ratio = _search(drops, p, _first_guess(drops, margin, p), too_small, score)
    return ratio.clamp_min(0) ** (1 / p)


@torch.no_grad()
def best_multiplier(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """The ``lam`` that minimises ``lam budget^p + Phi(lam)``: (n,) float64, >= 0."""
    power = budget**p

    def too_small(_: Tensor, at: Penalised) -> Tensor:
        return at.spent > power

    def score(lam: Tensor, best: Tensor) -> Tensor:
        return -(lam * power + best)

    steepest = vector_norm(drops.slope.amax(0), dual_exponent(p))
    guess = steepest / (p * budget.clamp_min(1e-100) ** (p - 1))
    return _search(drops, p, guess, too_small, score)[0]


def _first_guess(drops: Drops, margin: Tensor, p: float) -> Tensor:
    """The multiplier of straight curves: ``D(r) = S r`` and ``D'(r) = p lam r^(p - 1)``."""
    steepest = vector_norm(drops.slope.amax(0), dual_exponent(p)).clamp_min(TINY)
    return steepest / (p * (margin.clamp_min(TINY) / steepest) ** (p - 1))


Judge = Callable[[Tensor, Penalised], Tensor]
Score = Callable[[Tensor, Tensor], Tensor]


def _search(
    drops: Drops, p: float, guess: Tensor, too_small: Judge, score: Score
) -> tuple[Tensor, Tensor]:
    """Maximise ``score(lam, Phi(lam))`` over ``lam``; (lam, score), the best of those evaluated.

    ``Phi`` is convex, so the tangents at two ends of a bracket bound the score between them, and they
    meet at the next ``lam``: finite for p = 1, where ``Phi`` is piecewise linear.
    """
    floor = drops.slope[-1].amax(1) if p == 1 else guess * 0 + TINY
    low, high = floor.clone(), torch.full_like(guess, torch.inf)
    at_low = at_high = penalised(drops, low, p)
    lam, best = low, score(low, at_low.best)
    done = ~too_small(low, at_low)
    nxt = torch.maximum(guess, floor)
    for step in range(STEPS):
        at = penalised(drops, nxt, p)
        value = score(nxt, at.best)
        better = (value > best) & ~done
        lam, best = torch.where(better, nxt, lam), torch.where(better, value, best)
        under = too_small(nxt, at) & ~done
        over = ~under & ~done
        low, at_low = torch.where(under, nxt, low), _merge(under, at, at_low)
        high, at_high = torch.where(over, nxt, high), _merge(over, at, at_high)
        meet = _meeting(low, at_low, high, at_high)
        bound = score(meet, at_low.best - at_low.spent * (meet - low))
        done |= torch.isfinite(high) & (bound - best <= RELATIVE * best.abs())
        if bool(done.all()):
            break
        # Every third step halves the bracket, which the tangents alone need not.
        middle = (low.clamp_min(TINY) * high).sqrt() if p > 1 else 0.5 * (low + high)
        nxt = torch.where(torch.isinf(high), 8 * nxt, meet if step % 3 != 2 else middle)
    return lam, best


def _merge(where: Tensor, new: Penalised, old: Penalised) -> Penalised:
    return Penalised(*(torch.where(where, a, b) for a, b in zip(new, old, strict=True)))


def _meeting(low: Tensor, at_low: Penalised, high: Tensor, at_high: Penalised) -> Tensor:
    """Where the two tangents of ``Phi`` meet, inside the bracket."""
    top = (at_low.best + low * at_low.spent) - (
        at_high.best + torch.nan_to_num(high, posinf=0.0) * at_high.spent
    )
    meet = top / (at_low.spent - at_high.spent)
    return torch.nan_to_num(meet, nan=0.0).clamp(low, high)
