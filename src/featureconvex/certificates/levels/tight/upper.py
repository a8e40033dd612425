"""Upper bounds by attack, for the rows where no bracket gave one, or a wide one."""

from dataclasses import replace

import torch
from torch import Tensor

from featureconvex.certificates.attacks.ball import QUICK, THOROUGH
from featureconvex.certificates.attacks.search import Search, search_all
from featureconvex.certificates.levels.problem import Bound, Problem
from featureconvex.certificates.levels.tight.solve import has_bracket

# Rounds of the level that pay for one gradient evaluation of the attack.
ROUNDS_PER_STEP = 4
# Evaluations spent on pulling a flip back towards its input.
BISECTIONS = 8
# Width, relative to the radius, from which a bracket is searched again: the search seldom comes nearer.
WIDE = 0.3


def attacked(problem: Problem, bound: Bound, iterations: int, tolerance: float) -> Bound:
    """The bound with an attack's budget as ``upper`` where it had none or a much larger one.

    A bracket stays wide where coordinates differ in scale by orders of magnitude, which l1 and linf
    radii of a table's raw columns suffer from.

    Only rows that an attack may flip are searched: sensitive, of finite radius, and for a patch
    those without a certificate. The flips are measured again on the final points in the model's dtype,
    and one that contradicts the last digits of a radius wins.
    """
    near = bound.upper <= bound.radius * (1 + max(WIDE, tolerance))
    open_ = (problem.tangent.value > 0) & torch.isfinite(bound.radius) & ~near
    open_ &= torch.isfinite(problem.threat.next_budget(bound.radius))
    rows = open_.nonzero().squeeze(1)
    if not (iterations and len(rows)):
        return bound
    search = Search(
        problem.threat,
        max(1, iterations // ROUNDS_PER_STEP),
        bisections=BISECTIONS,
        pace=QUICK,
    )
    if has_bracket(problem):
        # Few rows, left by a method that spent as much, and a search that converges.
        search = replace(search, steps=iterations, pace=THOROUGH)
    x, safe = problem.x[rows], bound.radius[rows]
    *_, distance = search_all(problem.model, x, problem.domain.rows(rows), None, search, safe)
    upper = bound.upper.clone()
    upper[rows] = torch.fmin(upper[rows], distance)
    return replace(bound, radius=not_above(problem, bound.radius, upper), upper=upper)


def not_above(problem: Problem, radius: Tensor, upper: Tensor) -> Tensor:
    """The radius (n,), or what a flip of budget ``upper`` (n,), nan where none, leaves of it.

    Where logits dwarf the margin, two evaluations of the input itself can differ in sign: a flip of
    budget 0, which leaves nothing.
    """
    left = problem.threat.below(upper).clamp_min(0)
    return torch.where(left < radius, left, radius)
