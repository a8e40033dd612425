"""Level 1: the attacker is held to a domain, and no Lipschitz constant is needed where drops separate.

For a minorant ``l <= g + tau``, every ``x'`` in the domain of budget ``r`` has
``g(phi(x')) + tau >= l(phi(x')) >= l(phi(x)) - D(r)``, with the threat's worst drop ``D`` (see
:mod:`featureconvex.certificates.threats`). The radius is the largest budget with ``D < l(phi(x))``.

:func:`radius_of` and :func:`worst_case` take any affine minorant, so level ``tight`` raises the radius by
choosing a better one, and level ``sound`` checks them again with outward rounding.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from featureconvex.certificates.domain import Unbounded
from featureconvex.certificates.drops import Curves
from featureconvex.certificates.kinked import kinked_form, stretched
from featureconvex.certificates.levels.base import Level
from featureconvex.certificates.levels.closed_form import checked_anywhere
from featureconvex.certificates.levels.closed_form import radius as closed_form_radius
from featureconvex.certificates.levels.lipschitz import lipschitz_radius
from featureconvex.certificates.levels.problem import Bound, Problem, or_not_computed
from featureconvex.certificates.levels.rounding_check import checked
from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.moves import SeparableMoves
from featureconvex.errors import UserError

# Numbers per chunk of rows: enough to hide what a search costs per step, however few the rows.
CHUNK = 2**18


@dataclass(frozen=True)
class Domain(Level):
    """The tangent at x, with an attacker held to the domain. Never below :class:`ClosedForm`."""

    name: ClassVar[str] = "domain"

    def bound(self, problem: Problem) -> Bound:
        """Level ``domain``: the tangent at x, in the domain. Never below level ``closed-form``."""
        radius, multiplier = _proved(problem, problem.tangent)
        found = checked(problem, problem.tangent, radius, again=radius_of)
        lost = ((radius > found) | torch.isnan(found)).nonzero().squeeze(1)
        if len(lost):
            # What holds everywhere holds in the domain, too: with any border, and by the closed form.
            found[lost] = torch.fmax(found[lost], _without_borders(problem, lost))
            found[lost] = torch.fmax(found[lost], checked_anywhere(_few(problem, lost)))
        return Bound.of(marked(problem, found), problem.tangent, multiplier=multiplier)


def _without_borders(problem: Problem, rows: Tensor) -> Tensor:
    """The radii of some rows in a domain without any border, nan where not computed: (m,)."""
    part = replace(_few(problem, rows), domain=Unbounded())
    return checked(part, part.tangent, radius_of(part, part.tangent), again=radius_of)


def _few(problem: Problem, rows: Tensor) -> Problem:
    line = Minorant(problem.tangent.value[rows], problem.tangent.slope[rows])
    return problem.rows(rows, tangent=line)


def marked(problem: Problem, radius: Tensor) -> Tensor:
    """The radius, nan for rows whose positive margin has no radius because a slope overflowed: (n,)."""
    if not bool(((radius == 0) & (problem.tangent.value > 0)).any()):
        return radius
    steepest = problem.threat.steepness(problem.model.feature_map, problem.tangent.slope)
    return radius if steepest is None else or_not_computed(radius, steepest)


def radius_of(problem: Problem, minorant: Minorant) -> Tensor:
    """The radius that ``minorant`` proves for the problem's threat and domain: (n,) float64.

    0 where ``minorant.value <= 0``, inf where nothing in the domain reaches it. For Lp never below
    the closed form of the same minorant. Not differentiable: ascend :func:`worst_case` instead, whose
    derivative at ``budget = radius`` points the same way (``dr = d worst_case / D'(r)``).
    """
    return _proved(problem, minorant)[0]


@torch.no_grad()
def _proved(problem: Problem, minorant: Minorant) -> tuple[Tensor, Tensor]:
    """The radius, and the multiplier of the dual that proves it, nan where none is needed: (n,) each."""
    problem.threat.check(tuple(problem.x.shape[1:]))
    # Rows that are not sensitive have no radius, and cost nothing.
    sensitive = (minorant.value > 0).nonzero().squeeze(1)
    radius = torch.zeros_like(minorant.value)
    multiplier = torch.full_like(radius, torch.nan)
    size = max(1, CHUNK // max(1, problem.x[:1].numel()))
    for at in range(0, len(sensitive), size):
        rows = sensitive[at : at + size]
        line = Minorant(minorant.value[rows], minorant.slope[rows])
        part = problem.rows(rows, tangent=line)
        radius[rows], multiplier[rows] = _few_rows(part, line)
    return radius, multiplier


def _few_rows(problem: Problem, minorant: Minorant) -> tuple[Tensor, Tensor]:
    drops = drops_of(problem, minorant)
    multiplier = torch.full_like(minorant.value, torch.nan)
    if drops is None:
        found = lipschitz_radius(problem, minorant)
    else:
        found, multiplier = problem.threat.certified(drops, minorant.value)
    steepest = problem.threat.steepness(problem.model.feature_map, minorant.slope)
    if steepest is not None:
        found = torch.maximum(found, closed_form_radius(minorant.value, steepest))
    return found, multiplier


def drops_of(problem: Problem, minorant: Minorant) -> Curves | None:
    """The curves that the threat asks for, differentiable in ``minorant.slope``.

    None where the feature map does not separate: then only the Lipschitz route is left.
    """
    lo, hi = problem.bounds()
    form = kinked_form(problem.model.feature_map, minorant.slope, problem.x, lo, hi)
    if form is None:
        return None
    known = stretched(problem.model.feature_map, minorant.slope, problem.x)
    return problem.threat.curves(SeparableMoves(problem.x, lo, hi, form, known))


def worst_case(problem: Problem, minorant: Minorant, budget: Tensor) -> Tensor:
    """At most the smallest ``l(phi(x'))`` over the domain and the ``budget`` (n,): (n,) float64.

    Exact for the minorant where curves are concave (affine maps), and for linf, L0 and patches.
    Differentiable almost everywhere in ``minorant.value`` and ``minorant.slope``; by the envelope theorem
    the derivative in the slope is ``phi(x*) - phi(x)`` at a worst point ``x*`` (or a mixture of them).

    Raises:
        UserError: the feature map has no drop curves.
    """
    drops = drops_of(problem, minorant)
    if drops is None:
        raise UserError(
            f"{type(problem.model.feature_map).__name__} has no separable worst case, only a "
            "Lipschitz constant; use radius_of"
        )
    return minorant.value - problem.threat.worst_drop(drops, budget)
