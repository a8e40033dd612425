"""Upper bounds by attack, for the rows where no bracket gave one."""

import torch
from torch import Tensor

from featureconvex.certificates.attacks.ball import HASTY
from featureconvex.certificates.attacks.search import Search, search_all
from featureconvex.certificates.levels.problem import Bound, Problem
from featureconvex.certificates.threats import Patch

# Rounds of the level that pay for one gradient evaluation of the attack.
ROUNDS_PER_STEP = 4
# Evaluations spent on pulling a flip back towards its input.
BISECTIONS = 8


def attacked(problem: Problem, bound: Bound) -> Bound:
    """The bound with an attack's budget as ``upper`` where it had none and one succeeds.

    Only rows that an attack may flip are searched: sensitive, of finite radius, and for a patch
    those without a certificate. The flips are measured again on the final points in the model's dtype,
    and one that contradicts the last digits of a radius wins.
    """
    open_ = (problem.tangent.value > 0) & torch.isfinite(bound.radius) & torch.isnan(bound.upper)
    if isinstance(problem.threat, Patch):
        open_ &= bound.radius < problem.threat.size
    rows = open_.nonzero().squeeze(1)
    if not (problem.attacks and problem.iterations and len(rows)):
        return bound
    steps = max(1, problem.iterations // ROUNDS_PER_STEP)
    search = Search(problem.threat, steps, bisections=BISECTIONS, pace=HASTY)
    x, safe = problem.x[rows], bound.radius[rows]
    *_, distance = search_all(problem.model, x, problem.domain, None, search, safe)
    upper = bound.upper.clone()
    upper[rows] = distance
    return Bound(not_above(problem, bound.radius, upper), bound.minorant, upper, bound.slope)


def not_above(problem: Problem, radius: Tensor, upper: Tensor) -> Tensor:
    """The radius (n,), or what a flip of budget ``upper`` (n,), nan where none, leaves of it.

    Where logits dwarf the margin, two evaluations of the input itself can differ in sign: a flip of
    budget 0, which leaves nothing.
    """
    left = problem.threat.under(upper).clamp_min(0)
    return torch.where(left < radius, left, radius)
