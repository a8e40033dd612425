"""The one-dimensional dual of finite p: a search over the multiplier ``lam`` of the budget."""

from typing import NamedTuple

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, Drops, Rise
from featureconvex.certificates.threats.ball.l1 import FEW
from featureconvex.certificates.threats.ball.power import concave_pace
from featureconvex.norms import dual_exponent, vector_norm

STEPS = 40
# Relative distance from the best value of the dual at which a search ends.
GAP = 1e-6
# For p > 1 also as an estimate: the score is flat at its top, so a multiplier need not be exact.
LOSS, LEVEL, NARROW = 2e-6, 1e-4, 0.05
ROUNDS = 16
LIMIT_GAP = 1e-6
LEAST, MOST = 1e-100, 1e300


class Penalised(NamedTuple):
    """``Phi(lam)`` and where it is attained, row by row."""

    best: Tensor
    """(n,): ``sum_i max_t h_i(t) - lam t^p``."""
    spent: Tensor
    """(n,): ``sum_i t_i^p`` of the maximisers, minus the derivative of ``Phi``."""


def penalised(drops: Drops, lam: Tensor, p: float) -> Penalised:
    """``Phi(lam)`` for one ``lam > 0`` per row; for p = 1 at least ``drops.tail``."""
    multiplier = lam[:, None]
    held = _best_on(drops, 0, multiplier, p)
    for k, rise in enumerate(drops.rises[1:], 1):
        found = _best_on(drops, k, multiplier, p)
        if rise.columns is not None:
            return _with_columns(rise, held, found, p)
        held = _larger(held, found)
    return Penalised(held.gain.sum(1), _power(held.at, p))


class _Moves(NamedTuple):
    """Where each curve is best, and what it gains there less the multiplier times what it spends."""

    at: Tensor
    gain: Tensor


def _best_on(drops: Drops, k: int, multiplier: Tensor, p: float) -> _Moves:
    """The best point of each curve on its stretch k.

    With a slope a it is at ``t^(p - 1) = a / (p lam)``, clipped to the stretch; for p = 1 at its end.
    """
    rise = drops.rises[k]
    if p == 1:
        gain = torch.addcmul(drops.tops[k], multiplier, rise.end, value=-1)
        if drops.endless:  # the multiplier is at least the slope of what never ends
            gain = gain.masked_fill(rise.end >= FAR / 2, 0.0)
        return _Moves(rise.end * (gain > 0).to(gain.dtype), gain.clamp_min(0))
    at = _stationary(rise, multiplier, p, k > 0)
    gain = torch.addcmul(rise.slope, multiplier, at if p == 2 else at ** (p - 1), value=-1).mul_(at)
    return _Moves(at, gain.add_(drops.intercepts[k - 1]) if k else gain)


def _larger(held: _Moves, found: _Moves) -> _Moves:
    best = torch.maximum(held.gain, found.gain)
    # A blend by 0 or 1 is several times faster here than torch.where.
    return _Moves(torch.lerp(held.at, found.at, (best == found.gain).to(best.dtype)), best)


def _with_columns(rise: Rise, held: _Moves, found: _Moves, p: float) -> Penalised:
    """The sums where only some of the curves have the last stretch: nothing dense is made for it."""
    before = _Moves(rise.of(held.at), rise.of(held.gain))
    after = _larger(before, found)
    more = (after.gain - before.gain).sum(1)
    further = _power(after.at, p) - _power(before.at, p)
    return Penalised(held.gain.sum(1) + more, _power(held.at, p) + further)


def _stationary(rise: Rise, multiplier: Tensor, p: float, later: bool) -> Tensor:
    """The point of the stretch where ``slope t - lam t^p`` is largest; no gradient goes through it."""
    slope = rise.slope.detach()
    at = slope * (0.5 / multiplier) if p == 2 else (slope / (p * multiplier)) ** (1 / (p - 1))
    at = at.clamp_(min=rise.start.detach()) if later else at
    return at.clamp_(max=rise.end.detach())


def _power(t: Tensor, p: float) -> Tensor:
    """``sum_i t_i^p``, finite: only how fast a search ends depends on it."""
    if p == 1:
        return t.sum(1)
    return torch.linalg.vecdot(t, t) if p == 2 else (t**p).clamp_max(MOST).sum(1)


class Searched(NamedTuple):
    """A budget and the multiplier that proves it, (n,) float64, and rows whose search ended too early."""

    budget: Tensor
    multiplier: Tensor
    unfinished: Tensor


def largest_dual_budget(
    drops: Drops, margin: Tensor, p: float, reached: Tensor, rounds: int = ROUNDS
) -> Searched:
    """The largest r found with ``lam r^p + Phi_r(lam) <= margin`` for some ``lam``: (n,) float64.

    ``F(R) = max over lam of ((margin - Phi_R(lam)) / lam)^(1/p)`` does not grow with R, ``min(R, F(R))`` is
    certified for every R, and the answer is the R with ``F(R) = R``. Starting from no limit at all, each
    F raises the lower end or lowers the upper one; only rows whose ends are apart go on.

    Args:
        drops: the curves.
        margin: (n,).
        p: finite exponent.
        reached: (n,) bool, rows whose total drop reaches the margin; the others mean nothing.
        rounds: after so many a row counts as unfinished.
    """
    guess, score = _search(drops, p, _first_guess(drops, margin, p), Ratio(margin))
    lam = guess.clone()
    low = score.clamp_min(0) ** (1 / p)
    # A limit after the last bend changes nothing.
    high = torch.full_like(low, torch.inf).where(low < drops.reach, low)
    growth = 0.0
    for _ in range(rounds):
        rows = (reached & (low > 0) & ~(high <= low * (1 + LIMIT_GAP))).nonzero().squeeze(1)
        if not len(rows):
            break
        below, above = low[rows], high[rows]
        # The first limit is the lower end itself: it mostly shows that no limit helps.
        limit = torch.minimum(below * (1 + growth), 0.5 * (below + above))
        cut = drops.rows(rows).within(limit)
        multiplier, score = _search(cut, p, guess[rows], Ratio(margin[rows]))
        found = score.clamp_min(0) ** (1 / p)
        lower = torch.minimum(limit, found)
        lam[rows] = torch.where(lower > below, multiplier, lam[rows])
        low[rows] = torch.maximum(below, lower)
        high[rows] = torch.minimum(above, torch.maximum(limit, found))
        growth = max(0.02, 2 * growth)
    return Searched(low, lam, reached & ~(high <= low * (1 + LIMIT_GAP)))


@torch.no_grad()
def best_multiplier(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """The ``lam`` that minimises ``lam budget^p + Phi(lam)``: (n,) float64, >= 0."""
    steepest = vector_norm(drops.steepest, dual_exponent(p))
    guess = steepest / (p * budget.clamp_min(1e-30) ** (p - 1))
    return _search(drops, p, guess, Spending(budget**p))[0]


def _first_guess(drops: Drops, margin: Tensor, p: float) -> Tensor:
    """The multiplier of straight curves: ``D(r) = S r`` and ``D'(r) = p lam r^(p - 1)``.

    For p > 1, of concave curves above these: their steepest chords up to their totals.
    """
    if p > 1 and not drops.endless:
        end = drops.top / drops.chord.clamp_min(LEAST)
        pace = concave_pace(drops.chord, end, margin, p, tolerance=0.01)
        return 1 / (p * pace.clamp_min(1e-30) ** (p - 1))
    steepest = vector_norm(drops.steepest, dual_exponent(p)).clamp_min(LEAST)
    return steepest / (p * (margin.clamp_min(1e-30) / steepest) ** (p - 1))


class Goal(NamedTuple):
    """What to maximise over ``lam``, given ``Phi``; ``target`` is (n,)."""

    target: Tensor

    def score(self, lam: Tensor, best: Tensor) -> Tensor:
        """The value at ``lam`` where ``Phi(lam) = best``."""
        raise NotImplementedError

    def excess(self, lam: Tensor, at: Penalised) -> Tensor:
        """Positive where the score still rises with ``lam``; nonincreasing in it."""
        raise NotImplementedError

    def mismatch(self, at: "_End") -> Tensor:
        """About the logarithm of the maximisers' spending over the p-th power of the budget.

        It is the derivative of the score's logarithm in that of ``lam``, so half of it times the way to its
        root is what the score can still gain.
        """
        raise NotImplementedError


class Ratio(Goal):
    """``(margin - Phi) / lam``: rises as long as what the maximisers gain is above the margin."""

    def score(self, lam: Tensor, best: Tensor) -> Tensor:
        """The p-th power of a certified budget."""
        return (self.target - best) / lam

    def excess(self, lam: Tensor, at: Penalised) -> Tensor:
        """Logarithm of gain over margin."""
        return torch.log((at.best + lam * at.spent) / self.target)

    def mismatch(self, at: "_End") -> Tensor:
        """``lam (spent - score)`` is the margin times the excess, and ``lam score`` what is left of it."""
        left = self.target - at.best
        return (at.excess * self.target / left).where(left > 0, torch.inf)


class Spending(Goal):
    """``-(lam budget^p + Phi)``, target ``budget^p``: rises as long as the maximisers overspend."""

    def score(self, lam: Tensor, best: Tensor) -> Tensor:
        """Minus an upper bound on the worst drop."""
        return -(lam * self.target + best)

    def excess(self, lam: Tensor, at: Penalised) -> Tensor:
        """Logarithm of spending over budget."""
        return torch.log(at.spent / self.target)

    def mismatch(self, at: "_End") -> Tensor:
        """The excess."""
        return at.excess


class _End(NamedTuple):
    """One end of a bracket: a multiplier, the tangent of ``Phi`` there, the excess."""

    lam: Tensor
    best: Tensor
    spent: Tensor
    excess: Tensor

    def rows(self, index: Tensor) -> "_End":
        return _End(*(column[index] for column in self))

    def nearer(self, where: Tensor) -> "_End":
        """Half the excess: secants then end closer to an end that they kept twice."""
        return self._replace(excess=torch.where(where, 0.5 * self.excess, self.excess))

    def merged(self, where: Tensor, new: "_End") -> "_End":
        return _End(*(torch.where(where, a, b) for a, b in zip(new, self, strict=True)))


def _search(drops: Drops, p: float, guess: Tensor, goal: Goal) -> tuple[Tensor, Tensor]:
    """Maximise the goal over ``lam``: (lam, score), the best of those evaluated.

    For p = 1 a curve gains nothing at any ``lam`` above its steepest chord, so the few steepest curves
    decide for all multipliers down to the chord of the next one. Rows whose optimum is below that look
    at more.
    """
    if p > 1:
        return _bracketed(drops, p, guess, goal, torch.full_like(guess, LEAST))[:2]
    floor = drops.tail.clamp_min(LEAST)
    lam, best = torch.empty_like(guess), torch.empty_like(guess)
    rows, count = torch.arange(len(guess), device=guess.device), FEW
    while len(rows):
        some, least = drops if len(rows) == len(guess) else drops.rows(rows), floor[rows]
        if count < drops.count:
            chord, order = drops.chord[rows].topk(count + 1, dim=1)
            some, least = some.columns(order[:, :count]), torch.maximum(least, chord[:, count])
        found = _bracketed(some, p, guess[rows], type(goal)(goal.target[rows]), least)
        lam[rows], best[rows], low = found
        rows, count = rows[low & (least > floor[rows])], 4 * count
    return lam, best


def _bracketed(
    drops: Drops, p: float, guess: Tensor, goal: Goal, floor: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The search over ``lam >= floor``: (lam, score, whether the optimum is at the floor).

    ``Phi`` is convex: its tangents at two ends of a bracket bound every score between them, which ends
    the search of a row. Where they meet is the optimum of a piecewise linear ``Phi`` (p = 1) or of one
    with a kink there; for a smooth one a secant in logarithms is better, in which straight curves
    have one line. Rows that are done leave the batch once they are half of it.
    """
    start = _without_multiplier(drops, p) if p > 1 else penalised(drops, floor, p)
    low = _End(floor, *start, goal.excess(floor, start))
    high = low._replace(lam=torch.full_like(guess, torch.inf))
    lam, best, lowest = floor.clone(), goal.score(floor, low.best), low.excess < 0
    rows = torch.arange(len(guess), device=guess.device)
    open_, nxt, rose = ~lowest, torch.maximum(guess, floor), lowest
    for step in range(STEPS):
        if 2 * int(open_.sum()) <= len(rows):
            kept = open_.nonzero().squeeze(1)
            if not len(kept):
                break
            rows, drops, goal = rows[kept], drops.rows(kept), type(goal)(goal.target[kept])
            low, high, nxt, open_ = low.rows(kept), high.rows(kept), nxt[kept], open_[kept]
            rose = rose[kept]
        at = penalised(drops, nxt, p)
        new = _End(nxt, *at, goal.excess(nxt, at))
        value = goal.score(nxt, new.best)
        better = (value > best[rows]) & open_
        lam[rows] = torch.where(better, nxt, lam[rows])
        best[rows] = torch.where(better, value, best[rows])
        under = ~(new.excess < 0)
        low, high = low.merged(under & open_, new), high.merged(~under & open_, new)
        low, high, rose = low.nearer(~(under | rose)), high.nearer(under & rose), under
        meet = _meeting(low, high)
        bound = goal.score(meet, low.best - low.spent * (meet - low.lam))
        open_ &= ~(torch.isfinite(high.lam) & (bound - best[rows] <= GAP * best[rows].abs()))
        if p > 1:
            lost = goal.mismatch(new) * _way(low, high, new) / (2 * p)
            open_ &= ~((new.excess.abs() <= LEVEL) | (lost.abs() <= LOSS))
        nxt = _next(low, high, meet, new, p, step)
    return lam, best, lowest


def _without_multiplier(drops: Drops, p: float) -> Penalised:
    """``Phi(0)``: everything is taken."""
    if drops.endless:
        return Penalised(*(torch.full_like(drops.reach, torch.inf) for _ in range(2)))
    return Penalised(drops.top.sum(1), _power(drops.last, p))


def _meeting(low: _End, high: _End) -> Tensor:
    """Where the two tangents of ``Phi`` meet, inside the bracket."""
    far = torch.nan_to_num(high.lam, posinf=0.0)
    drop = (low.best + low.lam * low.spent) - (high.best + far * high.spent)
    meet = drop / (low.spent - high.spent)
    return torch.nan_to_num(meet, nan=0.0).clamp(low.lam, high.lam)


def _way(low: _End, high: _End, new: _End) -> Tensor:
    """About how far the root of the excess is from ``new``, in logarithms; inf in a wide bracket."""
    width = (high.lam / low.lam).log()
    slope = (low.excess - high.excess) / width
    known = (slope > 0) & (width < NARROW)
    return new.excess.where(known, torch.inf) / slope.where(known, 1.0)


def _next(low: _End, high: _End, meet: Tensor, new: _End, p: float, step: int) -> Tensor:
    """The next multiplier, inside the bracket: for p = 1 mostly the meeting point, else mostly a secant.

    Secants follow the Illinois rule (:meth:`_End.nearer`); the meeting point and the middle are for kinks.
    """
    unbounded = torch.isinf(high.lam)
    if p == 1:
        middle = 0.5 * (low.lam + high.lam)
        return torch.where(unbounded, 8 * new.lam, middle if step % 4 == 3 else meet)
    # With one side unknown: on straight curves the excess falls like lam^(-1 / (p - 1)), else faster.
    jump = 0.9 * (p - 1) * new.excess.clamp(-3.0, 3.0)
    jump = torch.where(unbounded, jump.clamp_min(0.01), jump.clamp_max(-0.01))
    left, right = low.lam.log(), high.lam.log()
    turn = step % 6
    share = 0.5 if turn == 5 else low.excess / (low.excess - high.excess)
    inside = meet.log() if turn == 4 else left + share * (right - left)
    log_lam = torch.where(unbounded | (low.lam <= LEAST), new.lam.log() + jump, inside)
    return log_lam.exp().clamp(low.lam, high.lam)
