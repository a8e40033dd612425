"""An attack that asks a threat for nothing but its measure and its projection.

Projected subgradient steps to where the tangent is a little below zero (Polyak 1969): for a convex
margin over a convex set of perturbations they converge; elsewhere they are a heuristic.
"""

import torch
from torch import Tensor

from featureconvex.certificates.attacks.ball import Descent
from featureconvex.certificates.attacks.target import Target, column
from featureconvex.certificates.threats import Threat

# Budgets tried after the first flip, each halving what is open.
HALVINGS = 8


def lowest(
    target: Target, threat: Threat, budget: Tensor, steps: int, start: Tensor | None = None
) -> Tensor:
    """The perturbation of lowest margin found within ``budget`` (n,): (n, ...)."""
    state = Descent(target, threat, start)
    for _ in range(steps):
        state.cross(budget)
    return state.best


def cheapest(target: Target, threat: Threat, steps: int, start: Tensor | None = None) -> Tensor:
    """A flip of small budget, by bisection on the budget; the lowest margin where none was found.

    Half of the ``steps`` look for a flip at any spent, the others are shared by the halvings.
    """
    everything = torch.full_like(target.first, torch.inf)
    flip = lowest(target, threat, everything, max(1, steps // 2), start)
    high = _flip_budget(target, threat, flip)
    low = torch.zeros_like(high)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        budget = torch.where(torch.isfinite(high), middle, torch.inf)
        begin = threat.project(flip, budget, target.lo, target.hi)
        delta = lowest(target, threat, budget, max(1, steps // (2 * HALVINGS)), begin)
        spent = _flip_budget(target, threat, delta)
        won = spent < high
        flip = torch.where(column(won, flip), delta, flip)
        high = torch.where(won, spent, high)
        low = torch.where(won, low, middle)
    return flip


def _flip_budget(target: Target, threat: Threat, delta: Tensor) -> Tensor:
    """(n,): the budget of a flip, inf for what is none."""
    return torch.where(target.margin(delta) <= 0, threat.measure(delta), torch.inf)
