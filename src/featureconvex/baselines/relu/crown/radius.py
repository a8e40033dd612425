"""The largest radius that bound propagation and branch and bound prove, point by point."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featureconvex.baselines.relu.adversarial_radius import attack_radius
from featureconvex.baselines.relu.crown.bounds import BoundProblem, ReluLines, affine_bound
from featureconvex.baselines.relu.crown.boxes import preactivation_bounds
from featureconvex.baselines.relu.crown.branch_and_bound import Budget, searched
from featureconvex.baselines.relu.crown.nodes import Region
from featureconvex.baselines.relu.network import Affine
from featureconvex.norms import dual_exponent, vector_norm

BUDGET = Budget(nodes=300, at_once=4, steps=5)
"""What a radius on MNIST takes in about 0.2 s."""
CLOSED = 0.005
"""A bracket that is relatively narrower is not searched further."""


@dataclass(frozen=True)
class Effort:
    """How hard to try; all counted, so that results repeat.

    Attributes:
        rounds: radii tried with alpha-CROWN.
        box_steps: of the ascent for each hidden pre-activation's bounds.
        root_steps: of the ascent at the unsplit node.
        trials: radii tried with branch and bound; 0 for alpha-CROWN alone.
        budget: of the branch and bound, for all trials of a point together.
        attack_steps: of projected gradient descent per radius; the attack only says where to search.
    """

    rounds: int = 8
    box_steps: int = 8
    root_steps: int = 20
    trials: int = 3
    budget: Budget = BUDGET
    attack_steps: int = 20


def certified_radius(layers: Sequence[Affine], x: Tensor, p: float, effort: Effort) -> Tensor:
    """Proved radii in norm ``p``, (n,) float64: 0 where the score is not positive.

    First alpha-CROWN, at radii closer and closer to the one where it just holds; then branch and
    bound between there and what an attack reached. Every radius tried gives a proof for
    ``min(radius, worst leaf)``, so the best of them is the answer.

    Args:
        layers: in float64, the threshold in the last bias.
        x: (n, *shape).
        p: 1, 2 or inf.
        effort: of the search.
    """
    problem = BoundProblem.at(layers, x, p)
    margins, lipschitz = problem.margins, lipschitz_constant(problem)
    if lipschitz == 0:
        return torch.where(margins > 0, math.inf, 0.0).to(margins)
    radius = torch.zeros_like(margins)
    rows = (margins > 0).nonzero()[:, 0]
    if len(rows) == 0:
        return radius
    problem = problem.part(rows)
    local = problem.margins / local_slope(problem).clamp_min(0.01 * lipschitz)
    bracket = RadiusBracket(torch.zeros_like(local), torch.full_like(local, math.inf))
    trial = local / 2
    for _ in range(effort.rounds):
        proved = _trial(problem, trial, effort, None)
        bracket = bracket.after(trial, proved)
        # Where a larger ball loosens the bound as fast as it grows, the mean of both is the answer.
        trial = bracket.inside((trial * proved.clamp_min(1e-9 * trial)).sqrt())
    if effort.trials:
        reached = attack_radius(layers, x[rows], p, bracket.low, effort.attack_steps)
        bracket = RadiusBracket(bracket.low, reached)
        budget = replace(effort.budget, nodes=effort.budget.nodes // effort.trials)
        for _ in range(effort.trials):
            bracket = _branched(problem, bracket, effort, budget)
    return radius.index_copy(0, rows, bracket.low)


@dataclass(frozen=True)
class RadiusBracket:
    """What is known of each radius, (n,): proved up to ``low``; nothing above ``high`` is tried."""

    low: Tensor
    high: Tensor

    def after(self, tried: Tensor, proved: Tensor) -> "RadiusBracket":
        """With a proof for ``min(tried, proved)``."""
        high = torch.where(proved < tried, torch.minimum(self.high, tried), self.high)
        return RadiusBracket(torch.maximum(self.low, torch.minimum(tried, proved)), high)

    def inside(self, wanted: Tensor) -> Tensor:
        """``wanted`` where it is strictly inside, else a point that is."""
        middle = torch.where(self.high.isinf(), 2 * self.low, (self.low + self.high) / 2)
        return torch.where((wanted > self.low) & (wanted < self.high), wanted, middle)


def _trial(problem: BoundProblem, limit: Tensor, effort: Effort, budget: Budget | None) -> Tensor:
    """What holds on each point's ball within ``limit``, (n,): with a budget, branched."""
    low, high = preactivation_bounds(problem, limit, effort.box_steps)
    region = Region(problem, limit, low, high)
    roots = region.bounded(region.whole(), effort.root_steps)
    return roots.radius if budget is None else searched(region, roots, budget)


def _branched(
    problem: BoundProblem, bracket: RadiusBracket, effort: Effort, budget: Budget
) -> RadiusBracket:
    """One radius tried with branch and bound, where the bracket is still open."""
    rows = (bracket.high > bracket.low * (1 + CLOSED)).nonzero()[:, 0]
    if len(rows) == 0:
        return bracket
    part = RadiusBracket(bracket.low[rows], bracket.high[rows])
    tried = (part.low * part.high).sqrt()
    part = part.after(tried, _trial(problem.part(rows), tried, effort, budget))
    low = bracket.low.index_copy(0, rows, part.low)
    return RadiusBracket(low, bracket.high.index_copy(0, rows, part.high))


def local_slope(problem: BoundProblem) -> Tensor:
    """The dual norm of the gradient at the points, (n,)."""
    pre = [problem.centre]
    for weight, bias in problem.later[:-1]:
        pre.append(pre[-1].relu() @ weight.T + bias)
    exact = torch.cat(pre, dim=1)
    weight, bias = problem.later[-1]
    rows = weight.expand(len(problem), -1)
    constant = bias.expand(len(problem))
    return affine_bound(problem, rows, constant, ReluLines.over(exact, exact), exact)[1]


def lipschitz_constant(problem: BoundProblem) -> float:
    """An upper bound for the network in the dual norm: ``|w| |W_L| ... ||W_1||_q``."""
    reach = vector_norm(problem.ball.matrix, dual_exponent(problem.ball.p))
    for weight, _ in problem.later:
        reach = weight.abs() @ reach
    return float(reach[0])
