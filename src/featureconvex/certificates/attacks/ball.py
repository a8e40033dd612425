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
from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.threats import Threat

# A ball inside one that holds a flip is smaller by a share that starts here, doubles with each success
# and halves with each failure, between these limits.
SHRINK, LEAST_SHRINK, MOST_SHRINK = 1e-2, 1e-4, 0.3

# Of the subgradients that :meth:`Descent.scaled` follows, by turns: with an average that remembers them it
# finds flips where nothing else does, but far away.
MEMORIES = (0.0, 0.9)


@dataclass(frozen=True)
class Pace:
    """How a search over balls spends its gradient evaluations.

    Attributes:
        moves: per ball.
        growth: the share that a ball goes beyond the chord after its first failure, doubling with each
            further one.
        rescue: gradient evaluations without a budget, in multiples of the steps asked for, for rows that
            found nothing.
    """

    moves: int = 10
    growth: float = 0.003
    rescue: int = 4


THOROUGH = Pace()
# For a handful of steps: rather a poor flip than none.
QUICK = Pace(moves=1, growth=0.1, rescue=1)


def descend(
    target: Target, threat: Threat, budget: Tensor, steps: int, start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The perturbation of lowest margin found within ``budget`` (n,), and that margin: (n, ...), (n,)."""
    state = Descent(target, threat, start)
    for _ in range(steps - steps // 3):
        state.average(budget)
    state.restart()
    for k in range(steps // 3):
        state.project(budget, 1 / math.sqrt(k + 1))
    return state.best, state.least


def smallest(
    target: Target, threat: Threat, steps: int, start: Tensor | None = None, pace: Pace = THOROUGH
) -> tuple[Tensor, Tensor]:
    """A perturbation that flips at a budget near the smallest, (n, ...), and that budget (n,).

    inf, with the perturbation of lowest margin, where none was found.
    """
    search = _Shrinking(target, threat, start, pace)
    search.run(steps)
    for memory in MEMORIES:
        lost = torch.isinf(search.cheapest).nonzero().squeeze(1)
        if not len(lost):
            break
        # Steps from tangent to tangent without any budget, then inwards from what they find.
        again = _Shrinking(target.rows(lost), threat, search.flip[lost], pace)
        anything = torch.full_like(again.first, torch.inf)
        for _ in range(-(-pace.rescue * steps // 4)):
            again.state.cross(anything)
            again.state.scaled(anything, memory)
        again.run(steps if again.begin() else 0)
        search.flip[lost], search.cheapest[lost] = again.flip, again.cheapest
    return search.flip, search.cheapest


class _Shrinking:
    """Balls around the inputs, shrinking where they hold a flip, growing until they do."""

    def __init__(self, target: Target, threat: Threat, start: Tensor | None, pace: Pace) -> None:
        self.target, self.threat, self.pace = target, threat, pace
        self.state = Descent(target, threat, start)
        self.first = self.state.first
        self.budget = _straight(threat, self.first, self.state.gradient)
        self.flip = torch.zeros_like(target.x)
        self.cheapest = torch.full_like(self.first, torch.inf)
        self.fails = torch.zeros_like(self.first)
        self.shrink = torch.full_like(self.first, SHRINK)

    def run(self, steps: int) -> None:
        """Spend ``steps`` gradient evaluations."""
        moves = self.pace.moves
        for taken in range(0, steps, moves):
            self._ball(min(moves, steps - taken))

    def begin(self) -> bool:
        """Take the descent's best points for flips where they are; whether there is any."""
        won = self.state.least <= 0
        self.flip = self.state.best
        self.cheapest = torch.where(won, self.threat.measure(self.flip), torch.inf)
        self.budget = torch.where(won, self.cheapest, self.budget)
        return bool(won.any())

    def _ball(self, moves: int) -> None:
        state, first = self.state, self.first
        state.round(self.budget, moves)
        won = state.least <= 0
        share = torch.where(won, first / (first - state.least).clamp_min(1e-300), 1.0)
        chord = state.best * column(share, state.best)
        # Certain for convex margins; for others only a guess, and rounding has its say.
        holds = won & (self.target.margin(chord) <= 0)
        candidate = torch.where(column(holds, chord), chord, state.best)
        spent = torch.where(won, self.threat.measure(candidate), torch.inf)
        better = spent < self.cheapest
        self.cheapest = torch.where(better, spent, self.cheapest)
        none = torch.isinf(self.cheapest)
        self.flip = torch.where(column(better | none, candidate), candidate, self.flip)
        self.fails = torch.where(won, 0.0, self.fails + 1)
        needed = self.budget * first / (first - state.least).clamp_min(1e-3 * first)
        further = torch.maximum(needed, self.budget) * (1 + self.pace.growth * 2**self.fails)
        pace = torch.where(won, 2 * self.shrink, 0.5 * self.shrink)
        self.shrink = torch.where(none, self.shrink, pace).clamp(LEAST_SHRINK, MOST_SHRINK)
        inner = self.cheapest * (1 - self.shrink)
        self.budget = torch.where(none, further, inner)


def _straight(threat: Threat, margin: Tensor, gradient: Tensor) -> Tensor:
    """The budget at which a linear model without a box would flip: (n,)."""
    everywhere = torch.full_like(gradient, torch.inf)
    one = threat.best_move(gradient, torch.ones_like(margin), -everywhere, everywhere)
    fall = -(gradient * one).flatten(1).sum(1)
    return (margin / fall.clamp_min(1e-30)).clamp(1e-12, 1e12)


class Descent:
    """Points, means and bests of one batch; for threats that are not convex only :meth:`cross` moves."""

    def __init__(self, target: Target, threat: Threat, start: Tensor | None) -> None:
        self.target, self.threat = target, threat
        self.delta = torch.zeros_like(target.x) if start is None else start
        self.margin, self.gradient = target.slope(self.delta)
        self.first = target.first
        self.mean, self.count = self.gradient, torch.zeros_like(self.margin)
        self.budget = torch.full_like(self.margin, torch.inf)
        self.best, self.least = self.delta, self.margin
        self.crossing = self.delta
        self.drift, self.energy = torch.zeros_like(self.delta), torch.zeros_like(self.delta)

    def average(self, budget: Tensor) -> None:
        """One move of averaged conditional gradients."""
        pace = column(2 / (self.count + 2), self.delta)
        self.mean = self.mean + pace * (self.gradient - self.mean)
        goal = self._best_move(self.mean, budget)
        self.count += 1
        self._look(self.delta + pace * (goal - self.delta))

    def project(self, budget: Tensor, pace: float) -> None:
        """One projected step, of Euclidean length ``pace`` times a tenth of the ball's best move."""
        goal = self._best_move(self.gradient, budget)
        self._step(budget, goal.flatten(1).norm(dim=1) * 0.1 * pace)

    def _best_move(self, gradient: Tensor, budget: Tensor) -> Tensor:
        return self.threat.best_move(gradient, budget, self.target.lo, self.target.hi)

    def cross(self, budget: Tensor) -> None:
        """One projected step to where the tangent is a little below zero (Polyak 1969, over-relaxed)."""
        size = self.gradient.flatten(1).norm(dim=1).clamp_min(1e-300)
        self._step(budget, (1.5 * self.margin.clamp_min(0) + 1e-3 * self.first) / size)

    def _step(self, budget: Tensor, length: Tensor) -> None:
        size = self.gradient.flatten(1).norm(dim=1).clamp_min(1e-300)
        step = self.delta - column(length / size, self.delta) * self.gradient
        self._look(self.threat.project(step, budget, self.target.lo, self.target.hi))

    def scaled(self, budget: Tensor, memory: float) -> None:
        """A step like :meth:`cross`, along averaged subgradients and with each coordinate at its own scale.

        Where one coordinate's slopes dwarf the others', subgradients zigzag along it and hardly
        move the others (Duchi, Hazan and Singer 2011; Kingma and Ba 2015).
        """
        self.drift = torch.lerp(self.gradient, self.drift, memory)
        self.energy = self.energy + self.gradient.square()
        direction = self.drift / self.energy.sqrt().clamp_min(1e-300)
        fall = (self.drift * direction).flatten(1).sum(1).clamp_min(1e-300)
        length = (1.5 * self.margin.clamp_min(0) + 1e-3 * self.first) / fall
        step = self.delta - column(length, self.delta) * direction
        self._look(self.threat.project(step, budget, self.target.lo, self.target.hi))

    def restart(self) -> None:
        """Go on from the best point."""
        self.delta = self.best
        self.margin, self.gradient = self.target.slope(self.delta)

    def round(self, budget: Tensor, moves: int) -> None:
        """Moves in a new ball: the nearer it is to the last one, the more the past still counts."""
        change = (budget / self.budget - 1).abs()
        self.count = torch.minimum(self.count, 3 + 0.1 / change.clamp_min(1e-9))
        self.budget = budget
        share = (budget / self.threat.measure(self.delta).clamp_min(1e-300)).clamp_max(1.0)
        self.delta = self.delta * column(share, self.delta)
        self.least = torch.full_like(self.least, torch.inf)
        for _ in range(moves - moves // 3):
            self.average(budget)
        # A few steps of another kind from the best point; the averages go on from where they were.
        kept = self.delta, self.margin, self.gradient
        if moves // 3:
            share = (budget / self.threat.measure(self.crossing).clamp_min(1e-300)).clamp_max(1.0)
            self.delta = self.crossing * column(share, self.crossing)
            self.margin, self.gradient = self.target.slope(self.delta)
            for _ in range(moves // 3):
                self.cross(budget)
            self.crossing = self.delta
        self.delta, self.margin, self.gradient = kept

    def _look(self, delta: Tensor) -> None:
        self.delta = delta
        self.margin, self.gradient = self.target.slope(delta)
        better = self.margin < self.least
        self.least = torch.where(better, self.margin, self.least)
        self.best = torch.where(column(better, delta), delta, self.best)
