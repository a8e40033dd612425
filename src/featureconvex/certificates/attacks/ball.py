"""Descent inside an l_p ball, and the search for the smallest ball that holds a flip.

Inside one ball: conditional-gradient descent on averaged subgradients, then projected subgradient
descent from the best point. The first moves towards the best answer to the *mean* of the subgradients
seen so far (fictitious play: against a maximum of affine functions it converges, Robinson 1951), and
needs no step size; the second has Euclidean steps that shrink like ``1 / sqrt(k)``, which converges for
every convex function over a convex set. For affine feature maps both tend to the truth.

Over balls: ``least(r)``, the least margin in the ball of budget r, is convex and nonincreasing for an
affine map. So from a flip at r the chord to ``(0, margin)`` gives a smaller budget that still holds one,
and from a failure it gives a budget to try next that is not beyond the truth.
"""

import math

import torch
from torch import Tensor

from featureconvex.certificates.attacks.moves import best_move
from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.threats import Lp

# A ball goes this share beyond the chord after its first failure, doubling with each further one.
GROWTH = 0.003
# Conditional-gradient moves per ball of the search.
ROUND = 10
# Rounds beyond the steps for rows that have found nothing at all.
RESCUES = 14


def descend(
    target: Target, threat: Lp, budget: Tensor, steps: int, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The perturbation of lowest margin found within ``budget`` (n,), and that margin: (n, ...), (n,)."""
    state = _Descent(target, threat, start)
    for _ in range(steps - steps // 3):
        state.average(budget)
    state.restart()
    for k in range(steps // 3):
        state.project(budget, 1 / math.sqrt(k + 1))
    return state.best, state.least


def smallest(
    target: Target, threat: Lp, steps: int, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """A perturbation that flips at a budget near the smallest, (n, ...), and that budget (n,).

    inf, with the perturbation of lowest margin, where none was found.
    """
    state = _Descent(target, threat, start)
    first = state.first
    budget = _straight(threat, first, state.gradient)
    flip, cheapest = torch.zeros_like(target.x), torch.full_like(first, torch.inf)
    fails, taken, extra = torch.zeros_like(first), 0, 0
    while taken < steps or (extra < RESCUES and bool(torch.isinf(cheapest).any())):
        # When the steps are spent, rows without a flip get a few quick, ever larger balls.
        late = taken >= steps
        extra += late
        moves = 3 if late else min(ROUND, steps - taken)
        taken += moves
        state.round(budget, moves)
        won = state.least <= 0
        share = torch.where(won, first / (first - state.least).clamp_min(1e-300), 1.0)
        chord = state.best * column(share, state.best)
        # Certain for convex margins; for others only a guess, and rounding has its say.
        holds = won & (target.margin(chord) <= 0)
        candidate = torch.where(column(holds, chord), chord, state.best)
        price = torch.where(won, threat.measure(candidate), torch.inf)
        better = price < cheapest
        cheapest = torch.where(better, price, cheapest)
        flip = torch.where(column(better | torch.isinf(cheapest), flip), candidate, flip)
        fails = torch.where(won, 0.0, fails + 1)
        needed = budget * first / (first - state.least).clamp_min(1e-3 * first)
        further = torch.maximum(needed, budget) * (1 + GROWTH * 2**fails) * (1.1 if late else 1.0)
        budget = torch.where(won, cheapest * (1 - 1e-4), further).minimum(cheapest)
    return flip, cheapest


def _straight(threat: Lp, margin: Tensor, gradient: Tensor) -> Tensor:
    """The budget at which a linear model without a box would flip: (n,)."""
    everywhere = torch.full_like(gradient, torch.inf)
    one = best_move(gradient, threat, torch.ones_like(margin), -everywhere, everywhere)
    fall = -(gradient * one).flatten(1).sum(1)
    return (margin / fall.clamp_min(1e-30)).clamp(1e-12, 1e12)


class _Descent:
    """Points, means and bests of one batch."""

    def __init__(self, target: Target, threat: Lp, start: Tensor | None) -> None:
        self.target, self.threat = target, threat
        self.delta = torch.zeros_like(target.x) if start is None else start
        self.margin, self.gradient = target.slope(self.delta)
        self.first = target.margin(torch.zeros_like(target.x))
        self.mean, self.count = self.gradient, 0
        self.best, self.least = self.delta, self.margin

    def average(self, budget: Tensor) -> None:
        """One move of averaged conditional gradients."""
        pace = 2 / (self.count + 2)
        self.mean = self.mean + pace * (self.gradient - self.mean)
        goal = best_move(self.mean, self.threat, budget, self.target.lo, self.target.hi)
        self.count += 1
        self._look(self.delta + pace * (goal - self.delta))

    def project(self, budget: Tensor, pace: float) -> None:
        """One projected step, of Euclidean length ``pace`` times a tenth of the ball's best move."""
        goal = best_move(self.gradient, self.threat, budget, self.target.lo, self.target.hi)
        length = goal.flatten(1).norm(dim=1) * 0.1 * pace
        size = self.gradient.flatten(1).norm(dim=1).clamp_min(1e-300)
        step = self.delta - column(length / size, self.delta) * self.gradient
        self._look(self.threat.project(step, budget, self.target.lo, self.target.hi))

    def restart(self) -> None:
        """Go on from the best point."""
        self.delta = self.best
        self.margin, self.gradient = self.target.slope(self.delta)

    def round(self, budget: Tensor, moves: int) -> None:
        """A new ball: the mean still counts like a few moves, the best point starts anew."""
        share = (budget / self.threat.measure(self.delta).clamp_min(1e-300)).clamp_max(1.0)
        self.delta = self.delta * column(share, self.delta)
        self.count = min(self.count, 3)
        self.least = torch.full_like(self.least, torch.inf)
        for k in range(moves):
            if k < moves - 2 or moves < 5:
                self.average(budget)
            else:
                self.project(budget, 1.0)

    def _look(self, delta: Tensor) -> None:
        self.delta = delta
        self.margin, self.gradient = self.target.slope(delta)
        better = self.margin < self.least
        self.least = torch.where(better, self.margin, self.least)
        self.best = torch.where(column(better, delta), delta, self.best)
