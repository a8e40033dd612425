"""The one-dimensional dual behind finite p: a search over the multiplier ``lam`` of the budget."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.drops import Drops
from featureconvex.norms import dual_exponent, vector_norm

STEPS = 40
# Relative distance from the best value of the dual at which a search ends.
GAP = 1e-7
LEVEL = 1e-6
ROUNDS = 16
LIMIT_GAP = 1e-6
LEAST = 1e-100


class Penalised(NamedTuple):
    """``Phi(lam)`` and where it is attained, row by row."""

    best: Tensor
    """(n,): ``sum_i max_t h_i(t) - lam t^p``."""
    spent: Tensor
    """(n,): ``sum_i t_i^p`` of the maximisers, minus the derivative of ``Phi``."""


def penalised(drops: Drops, lam: Tensor, p: float) -> Penalised:
    """``Phi(lam)`` for one ``lam > 0`` per row; for p = 1 at least the largest last slope.

    On a piece of slope a the maximum is at ``t^(p - 1) = a / (p lam)``, clipped to the piece; for p = 1 at
    one of its ends.
    """
    if p == 1:
        return _at_the_ends(drops, lam[:, None])
    price, best, spent = lam[:, None], None, None
    last = len(drops.start) - 1
    # Where a power overflows, charging less for it keeps Phi an upper bound.
    most = lam.new_tensor(1e300)
    for k in range(last + 1 if drops.endless else last):
        at = _stationary(drops.slope[k], price, p).detach()
        at = torch.maximum(at, drops.start[k])
        at = at if k == last else torch.minimum(at, drops.start[k + 1])
        power = torch.minimum(at * at if p == 2 else at**p, most)
        gain = torch.addcmul(drops.intercept[k], drops.slope[k], at) - price * power
        if best is None or spent is None:
            best, spent = gain, power
        elif k == last:
            best, spent = torch.maximum(best, gain), torch.where(gain > best, power, spent)
        else:
            # A blend by 0 or 1 is several times faster here than torch.where.
            better = (gain > best).to(gain.dtype)
            best, spent = torch.lerp(best, gain, better), torch.lerp(spent, power, better)
    assert best is not None
    assert spent is not None
    return Penalised(best.sum(1), spent.sum(1))


def _stationary(slope: Tensor, price: Tensor, p: float) -> Tensor:
    return slope * (0.5 / price) if p == 2 else (slope / (p * price)) ** (1 / (p - 1))


def _at_the_ends(drops: Drops, price: Tensor) -> Penalised:
    best = spent = torch.zeros_like(drops.start[0])
    for k in range(1, len(drops.start)):
        gain = drops.value[k] - price * drops.start[k]
        better = (gain > best).to(gain.dtype)
        best, spent = torch.maximum(best, gain), torch.lerp(spent, drops.start[k], better)
    return Penalised(best.sum(1), spent.sum(1))


def largest_dual_budget(drops: Drops, margin: Tensor, p: float, payable: Tensor) -> Tensor:
    """The largest r found with ``lam r^p + Phi_r(lam) <= margin`` for some ``lam``: (n,) float64.

    ``F(R) = max over lam of ((margin - Phi_R(lam)) / lam)^(1/p)`` does not grow with R, ``min(R, F(R))`` is
    certified for every R, and the answer is the R with ``F(R) = R``. Starting from no limit at all, each
    F raises the lower end or lowers the upper one; only rows whose ends are apart go on.

    Args:
        drops: the curves.
        margin: (n,).
        p: finite exponent.
        payable: (n,) bool, rows whose total drop reaches the margin; the others mean nothing.
    """
    best = _largest_ratio(drops, margin, p, _first_guess(drops, margin, p))
    low, lam = best.radius, best.lam
    if drops.concave:
        return low
    high = torch.full_like(low, torch.inf)
    growth = 0.0
    for _ in range(ROUNDS):
        rows = (payable & (low > 0) & ~(high <= low * (1 + LIMIT_GAP))).nonzero().squeeze(1)
        if not len(rows):
            break
        below, above = low[rows], high[rows]
        # The first limit is the lower end itself: it mostly shows that no limit helps.
        limit = torch.minimum(below * (1 + growth), 0.5 * (below + above))
        cut = drops.rows(rows).within(limit)
        found = _largest_ratio(cut, margin[rows], p, lam[rows]).radius
        low[rows] = torch.maximum(below, torch.minimum(limit, found))
        high[rows] = torch.minimum(above, torch.maximum(limit, found))
        growth = max(0.02, 2 * growth)
    return low


class _Best(NamedTuple):
    radius: Tensor
    lam: Tensor


def _largest_ratio(drops: Drops, margin: Tensor, p: float, guess: Tensor) -> _Best:
    """The largest ``((margin - Phi(lam)) / lam)^(1/p)`` found, 0 where none is positive."""

    def excess(lam: Tensor, at: Penalised) -> Tensor:
        # The ratio rises with lam as long as what the maximisers gain is above the margin.
        return torch.log((at.best + lam * at.spent) / margin)

    def score(lam: Tensor, best: Tensor) -> Tensor:
        return (margin - best) / lam

    lam, ratio = _search(drops, p, guess, excess, score)
    return _Best(ratio.clamp_min(0) ** (1 / p), lam)


@torch.no_grad()
def best_multiplier(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """The ``lam`` that minimises ``lam budget^p + Phi(lam)``: (n,) float64, >= 0."""
    power = budget**p

    def excess(_: Tensor, at: Penalised) -> Tensor:
        return torch.log(at.spent / power)

    def score(lam: Tensor, best: Tensor) -> Tensor:
        return -(lam * power + best)

    steepest = vector_norm(drops.slope.amax(0), dual_exponent(p))
    guess = steepest / (p * budget.clamp_min(1e-30) ** (p - 1))
    return _search(drops, p, guess, excess, score)[0]


def _first_guess(drops: Drops, margin: Tensor, p: float) -> Tensor:
    """The multiplier of straight curves: ``D(r) = S r`` and ``D'(r) = p lam r^(p - 1)``."""
    steepest = vector_norm(drops.slope.amax(0), dual_exponent(p)).clamp_min(LEAST)
    return steepest / (p * (margin.clamp_min(1e-30) / steepest) ** (p - 1))


Excess = Callable[[Tensor, Penalised], Tensor]
Score = Callable[[Tensor, Tensor], Tensor]


class _End(NamedTuple):
    """One end of a bracket: a multiplier, the tangent of ``Phi`` there, the excess."""

    lam: Tensor
    best: Tensor
    spent: Tensor
    excess: Tensor


def _search(
    drops: Drops, p: float, guess: Tensor, excess: Excess, score: Score
) -> tuple[Tensor, Tensor]:
    """Maximise ``score(lam, Phi(lam))`` over ``lam``; (lam, score), the best of those evaluated.

    The optimum is where ``excess``, nonincreasing in ``lam``, changes sign. ``Phi`` is convex: its tangents
    at two ends of a bracket bound every score between them, which ends the search. For p = 1 the
    next ``lam`` is where the tangents meet (finite, as ``Phi`` is piecewise linear); for p > 1 the root of a
    secant in logarithms, in which straight curves have one line.
    """
    floor = drops.slope[-1].amax(1).clamp_min(LEAST) if p == 1 else torch.full_like(guess, LEAST)
    start = _without_price(drops, p) if p > 1 or not drops.endless else penalised(drops, floor, p)
    low = _End(floor, *start, excess(floor, start))
    high = low._replace(lam=torch.full_like(guess, torch.inf))
    lam, best = floor, score(floor, low.best)
    done = ~(low.excess > 0)
    nxt = torch.maximum(guess, floor)
    for step in range(STEPS):
        new = _evaluate(drops, p, nxt, excess)
        value = score(nxt, new.best)
        better = (value > best) & ~done
        lam, best = torch.where(better, nxt, lam), torch.where(better, value, best)
        under, over = (new.excess > 0) & ~done, ~(new.excess > 0) & ~done
        low, high = _merge(under, new, low), _merge(over, new, high)
        meet = _meeting(low, high)
        bound = score(meet, low.best - low.spent * (meet - low.lam))
        done |= torch.isfinite(high.lam) & (bound - best <= GAP * best.abs())
        # The score is flat at its top: an error of its argument counts only squared.
        done |= (new.excess.abs() <= LEVEL) if p > 1 else False
        if bool(done.all()):
            break
        nxt = _next(low, high, meet, new, p, step)
    return lam, best


def _without_price(drops: Drops, p: float) -> Penalised:
    """``Phi(0)``: everything is taken."""
    if drops.endless:
        return Penalised(*(torch.full_like(drops.start[0, :, 0], torch.inf) for _ in range(2)))
    return Penalised(drops.value[-1].sum(1), (drops.start[-1] ** p).sum(1))


def _evaluate(drops: Drops, p: float, lam: Tensor, excess: Excess) -> _End:
    at = penalised(drops, lam, p)
    return _End(lam, at.best, at.spent, excess(lam, at))


def _merge(where: Tensor, new: _End, old: _End) -> _End:
    return _End(*(torch.where(where, a, b) for a, b in zip(new, old, strict=True)))


def _meeting(low: _End, high: _End) -> Tensor:
    """Where the two tangents of ``Phi`` meet, inside the bracket."""
    far = torch.nan_to_num(high.lam, posinf=0.0)
    drop = (low.best + low.lam * low.spent) - (high.best + far * high.spent)
    meet = drop / (low.spent - high.spent)
    return torch.nan_to_num(meet, nan=0.0).clamp(low.lam, high.lam)


def _next(low: _End, high: _End, meet: Tensor, new: _End, p: float, step: int) -> Tensor:
    """The next multiplier: inside the bracket, halving it every third time."""
    unbounded = torch.isinf(high.lam)
    if p == 1:
        middle = 0.5 * (low.lam + high.lam)
        return torch.where(unbounded, 8 * new.lam, middle if step % 3 == 2 else meet)
    # With one side unknown: excess falls like lam^(-1 / (p - 1)) on straight curves; a little further.
    jump = (p - 1) * new.excess.clamp(-3.0, 3.0) * 1.2
    open_ = unbounded | (low.lam <= LEAST)
    if step % 3 == 2:
        root = 0.5 * (low.lam.log() + high.lam.log())
    else:
        share = low.excess / (low.excess - high.excess)
        root = low.lam.log() + share * (high.lam.log() - low.lam.log())
    root = torch.where(
        open_,
        new.lam.log() + torch.where(unbounded, jump.clamp_min(0.1), jump.clamp_max(-0.1)),
        root,
    )
    return root.exp().clamp(low.lam, high.lam)
