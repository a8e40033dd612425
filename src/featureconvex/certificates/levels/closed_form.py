"""Level 0: the paper's closed form.

Theorem 3.1: ``r_p(x) = (g(phi(x)) + tau) / (Lip_p(phi) ||v||_q)`` with ``1/p + 1/q = 1`` and ``v`` a
subgradient of ``g`` at ``phi(x)``. Proof: for ``x'`` with ``||x' - x||_p < r``,
``g(phi(x')) + tau >= g(phi(x)) + tau + <v, phi(x') - phi(x)> >= margin - ||v||_q Lip_p ||x' - x||_p > 0``.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from featureconvex.certificates.domain import Unbounded
from featureconvex.certificates.drops import ROUND_DOWN
from featureconvex.certificates.levels.base import Level
from featureconvex.certificates.levels.problem import Bound, Problem, or_not_computed
from featureconvex.certificates.levels.rounding_check import checked
from featureconvex.certificates.minorant import Minorant
from featureconvex.errors import UserError
from featureconvex.features.base import check_fits
from featureconvex.models.model import check_one_number_per_row


def radius(margin: Tensor, steepest: Tensor) -> Tensor:
    """(n,) float64: ``margin / steepest``, 0 for margins <= 0, inf where a positive margin cannot fall.

    A quotient that overflows is capped at the largest number: only a zero slope proves ``inf``.
    A slope that is not a number (an overflow) proves nothing: 0.
    """
    quotient = (margin / steepest).clamp(max=torch.finfo(torch.float64).max) * ROUND_DOWN
    quotient = torch.where(steepest == 0, torch.inf, quotient)
    return torch.where((margin > 0) & (steepest >= 0), quotient, 0.0)


def radius_anywhere(problem: Problem, line: Minorant) -> Tensor:
    """The radii of an Lp threat that a minorant proves everywhere, (n,); 0 for other threats."""
    steepest = problem.threat.steepness(problem.model.feature_map, line.slope)
    return torch.zeros_like(line.value) if steepest is None else radius(line.value, steepest)


def checked_anywhere(problem: Problem) -> Tensor:
    """The same of the tangents, with what rounding may have made checked; nan where nothing is proved."""
    return _checked(problem, radius_anywhere(problem, problem.tangent))


def _checked(problem: Problem, found: Tensor) -> Tensor:
    anywhere = replace(problem, domain=Unbounded())
    return checked(anywhere, problem.tangent, found, again=radius_anywhere)


@dataclass(frozen=True)
class ClosedForm(Level):
    """The paper's Theorem 3.1: one forward and one backward pass, for Lp threats, blind to the domain.

    It only looks whether a row lies in the domain: its radius holds everywhere, and the other levels' is
    larger.
    """

    name: ClassVar[str] = "closed-form"
    uses_domain: ClassVar[bool] = False

    def bound(self, problem: Problem) -> Bound:
        """Level ``closed-form`` for an Lp threat. The domain plays no part: everywhere includes it.

        Raises:
            UserError: the threat is not an Lp norm, its cost does not fit one input, or the network
                does not answer one number per row.
        """
        if problem.threat.exponent is None:
            raise UserError(
                f"level 'closed-form' certifies Lp threats only, got {type(problem.threat).__name__}; "
                'use level "domain" or above'
            )
        if problem.threat.cost is not None:
            check_fits(problem.x, cost=problem.threat.cost)
        check_one_number_per_row(problem.tangent.value, problem.x)
        steepest = problem.threat.steepness(problem.model.feature_map, problem.tangent.slope)
        assert steepest is not None
        found = _checked(problem, radius(problem.tangent.value, steepest))
        if not bool(torch.isfinite(steepest).all()):
            found = or_not_computed(found, steepest)
        return Bound.of(found, problem.tangent, slope=steepest)
