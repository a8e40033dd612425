"""The largest budget at which a class is proved to stay ahead of one rival."""

from collections.abc import Callable

import torch
from torch import Tensor

from featureconvex.certificates.levels import Bound, ClosedForm, Level, Problem, Sound, Tight
from featureconvex.certificates.levels.sound.level import by_fall, by_steepness
from featureconvex.certificates.levels.sound.line import SoundLine
from featureconvex.certificates.levels.sound.movement import radius_of_movement
from featureconvex.certificates.multi_class.rivals import Rivals

# A budget is doubled at most so often, then halved in; a bracket this narrow is left.
DOUBLINGS, HALVINGS, TOLERANCE = 40, 16, 1e-3
# What counts as proved at a candidate: proofs give way by a little for rounding.
ABOUT = 1 - 1e-6


def ahead(problem: Problem, rivals: Rivals, k: int, j: int, level: Level) -> Tensor:
    """(n,) float64: the budget below which ``f_k > f_j``, 0 where nothing is proved.

    Args:
        problem: the inputs, the threat and the domain; its model is the score of class k.
        rivals: all classes at the same inputs.
        k, j: two classes.
        level: ``closed-form`` looks at no domain; ``tight`` at how class j can rise near the input.
    """
    level = level.base if isinstance(level, Sound) else level
    line = rivals.line(k, j, rivals.everywhere[j])
    p, cost = problem.threat.exponent, problem.threat.cost
    nothing = torch.zeros_like(line.value)
    if p is None:
        return _proved(_in_domain(problem, rivals, line, nothing), line)
    radius = _proved(by_steepness(problem, line), line)
    if isinstance(level, ClosedForm):
        return radius

    def anywhere(budget: Tensor) -> Tensor:
        return _proved(_in_domain(problem, rivals, line, budget), line)

    def nearby(budget: Tensor) -> SoundLine:
        return rivals.line(k, j, rivals.near(j, p, cost, budget))

    bordered = bool(torch.isfinite(torch.stack(problem.domain.bounds(problem.x))).any())
    if bordered:
        radius = _largest(anywhere, radius)
    if not (isinstance(level, Tight) and level.iterations):
        return radius

    def without_borders(budget: Tensor) -> Tensor:
        close = nearby(budget)
        return _proved(by_steepness(problem, close), close)

    def in_domain(budget: Tensor) -> Tensor:
        close = nearby(budget)
        found = _proved(_in_domain(problem, rivals, close, budget), close)
        return torch.minimum(found, budget)

    radius = _fixed_point(without_borders, radius)
    return _largest(in_domain, radius) if bordered else radius


def _in_domain(problem: Problem, rivals: Rivals, line: SoundLine, budget: Tensor) -> Tensor:
    """A proved radius near a candidate (n,)."""
    if not rivals.by_norms:
        return by_fall(problem, line, Bound.of(budget, problem.tangent))
    radius = radius_of_movement(problem, line, budget)
    return (
        radius
        if problem.threat.exponent is None
        else torch.maximum(radius, by_steepness(problem, line))
    )


def _proved(radius: Tensor, line: SoundLine) -> Tensor:
    return radius.where(line.value > 0, 0.0).nan_to_num(0.0, posinf=torch.inf)


def _largest(proved: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """The most that ``proved`` says for any budget tried, at least ``start``, which is proved.

    What it says of a budget holds, whatever the budget; only how much is found depends on the search.
    """
    best = start
    live = (start > 0) & torch.isfinite(start)
    if not bool(live.any()):
        return best
    top = torch.full_like(start, torch.inf)
    budget = torch.where(live, 2 * start, 0.0)
    for _ in range(DOUBLINGS):
        found = torch.where(live, proved(budget), 0.0)
        best = torch.maximum(best, found)
        passed = found >= budget * ABOUT
        top = torch.where(passed, top, torch.minimum(top, budget))
        live = live & passed & torch.isfinite(best)
        if not bool(live.any()):
            break
        budget = torch.where(live, 2 * budget, budget)
    for _ in range(HALVINGS):
        open_ = torch.isfinite(top) & torch.isfinite(best) & (top > best * (1 + TOLERANCE))
        if not bool((open_ & (best > 0)).any()):
            break
        budget = torch.where(open_, best + (top - best) / 2, best)
        found = torch.where(open_, proved(budget.where(torch.isfinite(budget), 0.0)), 0.0)
        best = torch.maximum(best, found)
        top = torch.where(open_ & (found < budget * ABOUT), budget, top)
    return best


def _fixed_point(proved: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """The most that ``min(budget, proved(budget))`` is for any budget tried, at least ``start``.

    What is proved falls as the budget grows, so the best budget lies between one and what it proves.
    """
    best, top = start, torch.full_like(start, torch.inf)
    live = (start > 0) & torch.isfinite(start)
    budget = start
    for _ in range(HALVINGS):
        if not bool(live.any()):
            break
        found = torch.where(live, proved(budget), 0.0)
        best = torch.maximum(best, torch.minimum(found, budget).where(live, 0.0))
        top = torch.minimum(top, torch.maximum(found, budget).where(live, torch.inf))
        # An infinite one holds nowhere beyond the budget: go on by doubling.
        live = live & (top > best * (1 + TOLERANCE))
        budget = torch.where(live, torch.where(torch.isinf(top), 2 * best, (best + top) / 2), best)
    return best
