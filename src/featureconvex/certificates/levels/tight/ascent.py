"""A larger lower bound where no bracket closes: ascent on the slopes of the relaxed network.

For any threat and feature map with separable drops, ``W(choices, r) = l(phi(x)) - D_l(r)`` bounds the
margin over all attacks of budget ``r``, for every affine minorant ``l``. The method ascends ``W`` at a
budget just out of reach; every iterate is itself a certificate, and the best one is kept.

Below a slope of zero nothing gets a gradient, so an ascent from the tangent at x alone can stall. The
remedy is a step in the dual variables, in which ``W`` is concave: the derivative of ``W`` in the
minorant's slope is ``phi(x*) - phi(x)`` at a worst point ``x*`` (or a mixture of them); the tangent there
is a minorant too, and a line search blends the two (Frank and Wolfe's method). It opens and ends the
ascent.
"""

import math
from dataclasses import replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.domain_aware import drops_of, radius_of, worst_case
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.minorant import Minorant, lowered
from featureconvex.certificates.relaxation import Relaxation

# Numbers per chunk of inputs; a chunk's graph is held for one second derivative.
CHUNK = 2**18
# Adam's first step on the slopes, which lie in [0, 1]; it falls to zero along a cosine.
RATE = 0.2
BETA_1, BETA_2 = 0.6, 0.9
# The first blend leaves every slope room to move; the last ones only polish.
BETWEEN = (0.1, 0.9)
# A line search ends at a kink, where rounding would choose among the derivatives that the next step takes.
BESIDE = 0.99
LAST_BLENDS = 2
SEARCH_STEPS = 5


class Ascent:
    """The state of the ascent for one chunk of sensitive rows.

    Args:
        problem: restricted to the chunk.
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.relaxation = Relaxation(problem.model)
        self.u = problem.model.feature_map(problem.x)
        self.best_choices = self.relaxation.tangent_choices(self.u)
        self.radius = radius_of(problem, problem.tangent)
        self.minorant = Minorant(problem.tangent.value, problem.tangent.slope)
        self.guide = _guide(problem)
        self.guided: Tensor | None = None  # radii of the guide by the best minorants so far
        self.separable = drops_of(problem, problem.tangent) is not None

    def run(self, iterations: int) -> None:
        """``iterations`` steps, or fewer when no row can gain any more."""
        if not self.separable and self.problem.threat.exponent is None:
            return
        if not self.best_choices:
            return  # an affine network is its own only minorant
        choices = self._blend(BETWEEN)
        first = [torch.zeros_like(part) for part in choices]
        second = [torch.zeros_like(part) for part in choices]
        for k in range(iterations):
            budget = self._target()
            if not bool(torch.isfinite(budget).any()):
                return
            gradient = self._gradient(choices, budget)
            rate = RATE * 0.5 * (1 + math.cos(math.pi * k / iterations))
            for at, g, m, v in zip(choices, gradient, first, second, strict=True):
                m.mul_(BETA_1).add_(g, alpha=1 - BETA_1)
                v.mul_(BETA_2).addcmul_(g, g, value=1 - BETA_2)
                size = (v / (1 - BETA_2 ** (k + 1))).sqrt_().add_(1e-30)
                at.addcdiv_(m / (1 - BETA_1 ** (k + 1)), size, value=rate).clamp_(0, 1)
            self._judge(choices)
        for _ in range(min(LAST_BLENDS, iterations)):
            self._blend((0.0, 1.0))

    def _blend(self, limits: tuple[float, float]) -> list[Tensor]:
        """The best minorant so far, blended with the tangent at a worst point just out of reach."""
        budget = self._target() * (1.0 if self.problem.threat.counts else 1.1)
        line = self.minorant
        with torch.enable_grad():
            slope = line.slope.detach().requires_grad_()
            worst = self._worst_case(Minorant(line.value, slope), budget)
            (away,) = torch.autograd.grad(worst.sum(), slope)
        point = self.u + away.nan_to_num(0.0, 0.0, 0.0)
        other = self.relaxation.tangent_choices(point)
        share = self._line_search(line, self.relaxation.minorant(self.u, other), budget)
        share = (BESIDE * share).clamp(*limits)
        choices = self.relaxation.blend(self.u, self.best_choices, other, share)
        self._judge(choices)
        return choices

    def _line_search(self, a: Minorant, b: Minorant, budget: Tensor) -> Tensor:
        """(n,): the share of ``b`` that maximises the concave ``W``: where two tangents of it meet."""
        low, high = torch.zeros_like(budget), torch.ones_like(budget)
        at_low, at_high = (self._along(a, b, end, budget) for end in (low, high))
        share = low
        for _ in range(SEARCH_STEPS):
            rise = at_low[1] - at_high[1]
            meet = (at_high[0] - at_low[0] + at_low[1] * low - at_high[1] * high) / rise
            share = meet.nan_to_num(0.0, 0.0, 0.0).clamp(low, high)
            at = self._along(a, b, share, budget)
            rises = at[1] > 0
            low, high = torch.where(rises, share, low), torch.where(rises, high, share)
            at_low = tuple(
                torch.where(rises, new, old) for new, old in zip(at, at_low, strict=True)
            )
            at_high = tuple(
                torch.where(rises, old, new) for new, old in zip(at, at_high, strict=True)
            )
        return share

    def _along(self, a: Minorant, b: Minorant, share: Tensor, budget: Tensor) -> tuple[Tensor, ...]:
        """``W`` of the blend and its derivative in the share: two (n,)."""
        with torch.enable_grad():
            share = share.detach().requires_grad_()
            wide = _like(share, a.slope)
            line = Minorant(
                torch.lerp(a.value, b.value, share),
                a.slope.double() + wide * (b.slope - a.slope).double(),
            )
            worst = self._worst_case(line, budget)
            (rise,) = torch.autograd.grad(worst.sum(), share)
        return worst.detach(), rise

    def _target(self) -> Tensor:
        """(n,): a budget not proved yet, inf for rows with nothing to gain."""
        if self.guide is not self.problem:
            if self.guided is None:
                self.guided = radius_of(self.guide, self.minorant)
            return self.guided
        return self.problem.threat.next_budget(self.radius)

    def _worst_case(self, line: Minorant, budget: Tensor) -> Tensor:
        """``W`` for rows with a finite budget, 0 for the others."""
        finite = torch.isfinite(budget)
        held = budget.where(finite, 0.0)
        if self.separable:
            worst = worst_case(self.guide, line, held)
        else:
            steep = self.guide.threat.steepness(self.problem.model.feature_map, line.slope)
            assert steep is not None
            worst = line.value - held * steep
        return torch.where(finite & torch.isfinite(worst), worst, 0.0)

    def _gradient(self, choices: list[Tensor], budget: Tensor) -> list[Tensor]:
        with torch.enable_grad():
            free = [part.detach().requires_grad_() for part in choices]
            line = self.relaxation.minorant(self.u, free, differentiable=True)
            worst = self._worst_case(line, budget)
            gradient = torch.autograd.grad(worst.sum(), free, allow_unused=True)
        return [
            torch.zeros_like(part) if g is None else g.nan_to_num(0.0, 0.0, 0.0)
            for part, g in zip(choices, gradient, strict=True)
        ]

    def _judge(self, choices: list[Tensor]) -> None:
        """Keep what beats the best radius so far, row by row."""
        line = self.relaxation.minorant(self.u, choices)
        line = lowered(line, self.u, self.problem.model.tau)
        radius = radius_of(self.problem, line)
        better = radius > self.radius
        if bool(better.any()):
            self.guided = None
        self.radius = torch.where(better, radius, self.radius)
        self.best_choices = [
            torch.where(_like(better, new), new, old)
            for new, old in zip(choices, self.best_choices, strict=True)
        ]
        self.minorant = Minorant(
            torch.where(better, line.value, self.minorant.value),
            torch.where(_like(better, line.slope), line.slope, self.minorant.slope),
        )


def _guide(problem: Problem) -> Problem:
    """The problem whose ``W`` is ascended.

    Where a single coordinate decides ``W`` its gradient says nothing about the others, unless borders stop
    that one.
    """
    threat = problem.threat.smoothed()
    if threat is problem.threat:
        return problem
    lo, hi = problem.domain.rows(slice(1)).bounds(problem.x[:1])
    if bool(torch.isfinite(lo).all() and torch.isfinite(hi).all()):
        return problem
    return replace(problem, threat=threat)


def _like(rows: Tensor, part: Tensor) -> Tensor:
    return rows.view(-1, *[1] * (part.ndim - 1))


def ascend(problem: Problem, rows: Tensor, iterations: int) -> Ascent:
    """Run the ascent on some rows of a problem, for so many steps.

    Raises:
        UserError: the network has a nonlinear module without affine minorants.
    """
    line = problem.tangent
    tangent = Minorant(line.value[rows], line.slope[rows])
    ascent = Ascent(problem.rows(rows, tangent=tangent))
    ascent.run(iterations)
    return ascent
