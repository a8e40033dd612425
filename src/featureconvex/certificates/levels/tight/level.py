"""Level ``tight``: the route for the problem at hand, and never below the levels before it.

Affine features and an Lp threat: the *exact* radius, in a bracket that closes
(:mod:`featureconvex.certificates.levels.tight.bracket`). Otherwise a larger lower bound
(:mod:`featureconvex.certificates.levels.tight.ascent`).
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from featureconvex.certificates.levels.domain_aware import domain_aware, marked, radius_of
from featureconvex.certificates.levels.flat import checked
from featureconvex.certificates.levels.problem import Bound, Problem
from featureconvex.certificates.levels.tight.ascent import CHUNK, ascend
from featureconvex.certificates.levels.tight.solve import Bracket, bracket, sensitive_chunks
from featureconvex.certificates.levels.tight.upper import attacked, not_above
from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.relaxation import Relaxation
from featureconvex.certificates.separable import movement_room
from featureconvex.certificates.threats import Lp
from featureconvex.errors import UserError


@dataclass(frozen=True)
class Proof:
    """A bound, and its minorants as numbers that anyone can check.

    Attributes:
        bound: radius, minorant and upper bound per row.
        choices: the minorant of every nonlinear call of the network, in the order of evaluation; see
            :class:`~featureconvex.certificates.relaxation.Relaxation`. Any numbers near a valid
            choice name a minorant, so rounding them costs sharpness, never validity.
    """

    bound: Bound
    choices: list[Tensor]


def tight(problem: Problem) -> Bound:
    """Level ``tight``. Never below level ``domain``.

    ``problem.iterations`` bounds the rounds per row. For affine features and an Lp threat a row stops
    when its bracket ``[radius, upper]`` is closed to ``problem.tolerance``, relative to ``upper``. For
    other feature maps and threats ``upper`` comes from a short attack (:func:`attacked`), and the two
    need not meet. Without rounds there is no ``upper``.

    Raises:
        UserError: a negative number of iterations or a negative tolerance; a module without affine
            minorants, where the bracket does not apply.
    """
    _check(problem)
    if _has_bracket(problem):
        found = bracket(problem)
        return _finished(problem, _bracketed(problem, found), found.everywhere)
    return _finished(problem, tight_proof(problem).bound, None)


def tight_and_proof(problem: Problem) -> tuple[Bound, Proof]:
    """:func:`tight` and :func:`tight_proof` of one solution: a bracket or an ascent is most of their work.

    Raises:
        UserError: as :func:`tight_proof`.
    """
    _check(problem)
    if not _has_bracket(problem):
        proof = tight_proof(problem)
        return _finished(problem, proof.bound, None), proof
    found = bracket(problem, keep_points=True)
    bound = _finished(problem, _bracketed(problem, found), found.everywhere)
    return bound, _proof(problem, found)


def _bracketed(problem: Problem, found: Bracket) -> Bound:
    bound = _better(problem, found.minorant, found.upper)[0]
    return _unbounded(bound, found.everywhere)


def _finished(problem: Problem, bound: Bound, everywhere: Tensor | None) -> Bound:
    """The bound after attacks, a look at endless domains, and a check of infinite radii.

    Args:
        problem: the problem.
        bound: a solution of it.
        everywhere: (n,) bool, rows proved positive in the whole domain; None where nobody looked.
    """
    bound = without_border(problem, attacked(problem, bound))
    bound = _checked(problem, bound, everywhere)
    # A verified attack ends the argument about the last digits.
    radius = not_above(problem, bound.radius, bound.upper)
    return replace(bound, radius=marked(problem, radius))


def _checked(problem: Problem, bound: Bound, proved: Tensor | None) -> Bound:
    """Infinite radii that rest on a slope of 0, checked in domains without a border; see :mod:`.flat`.

    Others rest on slopes that cancel each other, which :mod:`.everywhere` proves with their rounding.
    """
    flat = (bound.minorant.slope == 0).flatten(1).all(1) & torch.isinf(bound.radius)
    flat = flat if proved is None else flat & ~proved
    rows = flat.nonzero().squeeze(1)
    if not len(rows):
        return bound
    line = Minorant(problem.tangent.value[rows], problem.tangent.slope[rows])
    part = replace(problem, x=problem.x[rows], tangent=line)
    radius = bound.radius.clone()
    radius[rows] = checked(part, line, domain_aware(part).radius)
    if bool((~torch.isinf(radius[rows])).any()):
        proof = tight_proof(part)
        chosen = checked(part, proof.bound.minorant, proof.bound.radius, proof.choices)
        radius[rows] = torch.fmax(radius[rows], chosen)
    return replace(bound, radius=radius)


def without_border(problem: Problem, bound: Bound) -> Bound:
    """A second look at rows without an attack where the domain is endless: perhaps there is none.

    In l2 the search for a proof is the most patient, and a minorant that cannot fall serves every threat.
    """
    if not (problem.attacks or _has_bracket(problem)):
        return bound  # nobody looked for one
    open_ = (problem.tangent.value > 0) & torch.isfinite(bound.radius) & torch.isnan(bound.upper)
    rows = open_.nonzero().squeeze(1)
    other = Lp(2, problem.threat.cost)
    ends = problem.domain.bounds(problem.x[rows])
    endless = any(
        bool(torch.isinf(room).any())
        for room in movement_room(problem.x[rows], *ends, problem.threat.cost)
    )
    if not problem.iterations or not len(rows) or not endless:
        return bound
    line = Minorant(problem.tangent.value[rows], problem.tangent.slope[rows])
    part = replace(problem, x=problem.x[rows], tangent=line, threat=other)
    if problem.model.feature_map.affine:
        proved = torch.zeros_like(open_)
        proved[rows] = bracket(part).everywhere
        return _unbounded(bound, proved)
    again = radius_of(replace(part, threat=problem.threat), tight_proof(part).bound.minorant)
    radius = bound.radius.clone()
    radius[rows] = torch.maximum(radius[rows], again)
    return replace(bound, radius=radius)


def _unbounded(bound: Bound, rows: Tensor) -> Bound:
    return replace(bound, radius=torch.where(rows, torch.inf, bound.radius))


def tight_proof(problem: Problem) -> Proof:
    """Level ``tight`` with the slopes its radii rest on, for level ``sound``.

    Raises:
        UserError: as :func:`tight`, and for any module without affine minorants.
    """
    _check(problem)
    return _proof(problem, bracket(problem, keep_points=True) if _has_bracket(problem) else None)


def _proof(problem: Problem, found: Bracket | None) -> Proof:
    """The choices of a bracket that kept its points; those of an ascent where there is none."""
    relaxation = Relaxation(problem.model)
    with torch.no_grad():
        u = problem.model.feature_map(problem.x)
    start = relaxation.tangent_choices(u)
    if not len(problem.x):
        return Proof(_better(problem, problem.tangent, None)[0], start)
    choices = [part.clone() for part in start]
    upper = None
    if found is not None:
        upper = found.upper
        for mixture in found.mixtures:
            points = mixture.points.reshape(-1, *problem.x.shape[1:])
            with torch.no_grad():
                images = problem.model.feature_map(points)
            images = images.reshape(*mixture.points.shape[:2], *u.shape[1:])
            mixed = relaxation.mixed_choices(images, mixture.weights)
            _write(choices, mixture.rows, mixed)
    else:
        for rows in sensitive_chunks(problem, CHUNK):
            _write(choices, rows, ascend(problem, rows).best_choices)
    bound, better = _better(problem, relaxation.minorant(u, choices), upper)
    kept = [
        torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old)
        for new, old in zip(choices, start, strict=True)
    ]
    return Proof(bound, kept)


def _check(problem: Problem) -> None:
    if problem.iterations < 0:
        raise UserError(f"iterations must be >= 0, got {problem.iterations}")
    if not problem.tolerance >= 0:
        raise UserError(f"tolerance must be >= 0, got {problem.tolerance}")


def _has_bracket(problem: Problem) -> bool:
    return problem.model.feature_map.affine and isinstance(problem.threat, Lp)


def _write(choices: list[Tensor], rows: Tensor, new: list[Tensor]) -> None:
    for at, part in zip(choices, new, strict=True):
        at[rows] = part


def _better(problem: Problem, minorant: Minorant, upper: Tensor | None) -> tuple[Bound, Tensor]:
    """The better of ``minorant`` and the tangent, row by row, and where ``minorant`` is it: (n,) bool."""
    radius = radius_of(problem, minorant)
    if upper is not None:
        # A verified attack ends the argument about the last digits.
        radius = not_above(problem, radius, upper)
    before = radius_of(problem, problem.tangent)
    better = radius > before
    wide = better.view(-1, *[1] * (minorant.slope.ndim - 1))
    chosen = Minorant(
        torch.where(better, minorant.value, problem.tangent.value),
        torch.where(wide, minorant.slope, problem.tangent.slope.to(minorant.slope.dtype)),
    )
    return Bound.of(torch.where(better, radius, before), chosen, upper), better
