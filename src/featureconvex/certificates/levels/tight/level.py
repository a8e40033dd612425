"""Level ``tight``: the route for the problem at hand, and never below the levels before it.

Affine features and an Lp threat: the *exact* radius, in a bracket that closes
(:mod:`featureconvex.certificates.levels.tight.bracket`). Otherwise a larger lower bound
(:mod:`featureconvex.certificates.levels.tight.ascent`).
"""

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from featureconvex.certificates.levels.base import Level
from featureconvex.certificates.levels.domain_aware import Domain, marked, radius_of
from featureconvex.certificates.levels.problem import Bound, Problem, Proof
from featureconvex.certificates.levels.rounding_check import checked, doubtful
from featureconvex.certificates.levels.tight.ascent import CHUNK, ascend
from featureconvex.certificates.levels.tight.solve import (
    Bracket,
    bracket,
    has_bracket,
    sensitive_chunks,
)
from featureconvex.certificates.levels.tight.upper import attacked, not_above
from featureconvex.certificates.minorant import Minorant, lowered
from featureconvex.certificates.relaxation import Relaxation
from featureconvex.certificates.separable import movement_room
from featureconvex.certificates.threats import Lp
from featureconvex.errors import UserError
from featureconvex.given import real_number, whole_number, yes_or_no


@dataclass(frozen=True)
class Tight(Level):
    """The best affine minorant found for each input. Never below level ``domain``.

    Args:
        iterations: rounds per row at most; more close the bracket of the hardest rows. Without rounds
            there is no ``upper``.
        tolerance: for affine features and Lp threats a row stops when its bracket ``[radius, upper]`` is
            this narrow, relative to ``upper``.
        attacks: look for a flip where no bracket gives ``upper``. False saves that time, and leaves
            ``upper`` nan there.

    Raises:
        UserError: a negative number of iterations or a tolerance outside [0, 1), or no numbers.

    >>> Tight(tolerance=0.05)
    Tight(iterations=20, tolerance=0.05, attacks=True)
    """

    iterations: int = 20
    tolerance: float = 0.01
    attacks: bool = True
    name: ClassVar[str] = "tight"

    def __post_init__(self) -> None:
        for name, value in (
            ("iterations", whole_number("iterations", self.iterations, 0)),
            ("tolerance", real_number("tolerance", self.tolerance, 0)),
            ("attacks", yes_or_no("attacks", self.attacks)),
        ):
            object.__setattr__(self, name, value)
        if self.tolerance >= 1:
            raise UserError(
                f"tolerance is the share of upper that the bracket may leave open, in [0, 1), got "
                f"{self.tolerance}"
            )

    def bound(self, problem: Problem) -> Bound:
        """A bracket for affine features and an Lp threat, else an ascent and a short attack.

        Raises:
            UserError: a module without affine minorants, where the bracket does not apply.
        """
        if not has_bracket(problem):
            return self._finished(problem, self.minorants(problem).bound, None)
        found = bracket(problem, self.iterations, self.tolerance)
        return self._finished(problem, _bracketed(problem, found), found.unbounded)

    def proof(self, problem: Problem) -> Proof:
        """The bound, and the slopes of :meth:`minorants`, of one solution: it is most of the work.

        Raises:
            UserError: as :meth:`minorants`.
        """
        if not has_bracket(problem):
            found = self.minorants(problem)
            return Proof(self._finished(problem, found.bound, None), found.choices)
        solved = bracket(problem, self.iterations, self.tolerance, keep_points=True)
        bound = self._finished(problem, _bracketed(problem, solved), solved.unbounded)
        return Proof(bound, self._minorants(problem, solved).choices)

    def minorants(self, problem: Problem) -> Proof:
        """The radii that the slopes of the relaxed network prove, and the slopes, before any attack.

        Raises:
            UserError: a module without affine minorants.
        """
        solved = None
        if has_bracket(problem):
            solved = bracket(problem, self.iterations, self.tolerance, keep_points=True)
        return self._minorants(problem, solved)

    def without_attacks(self) -> Self:
        """The same, with ``attacks=False``."""
        return replace(self, attacks=False)

    def _finished(self, problem: Problem, bound: Bound, unbounded: Tensor | None) -> Bound:
        """The bound after attacks, a look at endless domains, and a check of infinite radii.

        Args:
            problem: the problem.
            bound: a solution of it.
            unbounded: (n,) bool, rows proved positive in the whole domain; None where nobody looked.
        """
        if self.attacks:
            bound = attacked(problem, bound, self.iterations, self.tolerance)
        if unbounded is None:
            unbounded = torch.zeros_like(bound.radius, dtype=torch.bool)
        bound, later = self._without_border(problem, bound)
        bound = self._checked(problem, bound, unbounded | later)
        # The radius and the attack may differ in their last digits only, and then the attack is right.
        radius = not_above(problem, bound.radius, bound.upper)
        return replace(bound, radius=marked(problem, radius))

    def _checked(self, problem: Problem, bound: Bound, proved: Tensor) -> Bound:
        """Infinite radii and counts, checked; see :mod:`.rounding_check`.

        Slopes that cancel each other are left to :mod:`.certify_unbounded`.
        """
        doubt = doubtful(problem, bound.minorant, bound.radius)
        rows = (doubt & ~proved).nonzero().squeeze(1)
        if not len(rows):
            return bound
        line = Minorant(problem.tangent.value[rows], problem.tangent.slope[rows])
        part = problem.rows(rows, tangent=line)
        radius = bound.radius.clone()
        radius[rows] = Domain().bound(part).radius
        left = rows[~(radius[rows] >= bound.radius[rows])]
        if len(left):
            line = Minorant(problem.tangent.value[left], problem.tangent.slope[left])
            part = problem.rows(left, tangent=line)
            proof = self.minorants(part)
            chosen = checked(
                part,
                proof.bound.minorant,
                proof.bound.radius,
                proof.choices,
                again=radius_of,
                far=False,
            )
            radius[left] = torch.fmax(radius[left], chosen)
        return replace(bound, radius=radius)

    def _without_border(self, problem: Problem, bound: Bound) -> tuple[Bound, Tensor]:
        """A second look at rows without an attack where the domain is endless: perhaps there is none.

        In l2 the search for a proof takes most rounds, and a minorant that cannot fall serves every threat.
        Also answers which rows it proved so: (n,) bool.
        """
        proved = torch.zeros_like(bound.radius, dtype=torch.bool)
        if not (self.attacks or has_bracket(problem)):
            return bound, proved  # nobody looked for an attack
        open_ = (
            (problem.tangent.value > 0) & torch.isfinite(bound.radius) & torch.isnan(bound.upper)
        )
        rows = open_.nonzero().squeeze(1)
        other = Lp(2, problem.threat.cost)
        ends = problem.domain.rows(rows).bounds(problem.x[rows])
        endless = any(
            bool(torch.isinf(room).any())
            for room in movement_room(problem.x[rows], *ends, problem.threat.cost)
        )
        if not self.iterations or not len(rows) or not endless:
            return bound, proved
        line = Minorant(problem.tangent.value[rows], problem.tangent.slope[rows])
        part = problem.rows(rows, tangent=line, threat=other)
        if problem.model.feature_map.affine:
            proved[rows] = bracket(part, self.iterations, self.tolerance).unbounded
            return _unbounded(bound, proved), proved
        proof, own = self.minorants(part), replace(part, threat=problem.threat)
        line = proof.bound.minorant
        found = checked(own, line, radius_of(own, line), proof.choices, again=radius_of, far=False)
        radius = bound.radius.clone()
        radius[rows] = torch.fmax(radius[rows], found)
        proved[rows] = found >= radius[rows]
        return replace(bound, radius=radius), proved

    def _minorants(self, problem: Problem, found: Bracket | None) -> Proof:
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
                _write(choices, rows, ascend(problem, rows, self.iterations).best_choices)
        line = lowered(relaxation.minorant(u, choices), u, problem.model.tau)
        bound, better = _better(problem, line, upper)
        kept = [
            torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(choices, start, strict=True)
        ]
        return Proof(bound, kept)


def _bracketed(problem: Problem, found: Bracket) -> Bound:
    bound = _better(problem, found.minorant, found.upper)[0]
    return _unbounded(bound, found.unbounded)


def _unbounded(bound: Bound, rows: Tensor) -> Bound:
    return replace(bound, radius=torch.where(rows, torch.inf, bound.radius))


def _write(choices: list[Tensor], rows: Tensor, new: list[Tensor]) -> None:
    for at, part in zip(choices, new, strict=True):
        at[rows] = part


def _better(problem: Problem, minorant: Minorant, upper: Tensor | None) -> tuple[Bound, Tensor]:
    """The better of ``minorant`` and the tangent, row by row, and where ``minorant`` is it: (n,) bool."""
    radius = radius_of(problem, minorant)
    if upper is not None:
        radius = not_above(problem, radius, upper)
    before = radius_of(problem, problem.tangent)
    better = radius > before
    wide = better.view(-1, *[1] * (minorant.slope.ndim - 1))
    chosen = Minorant(
        torch.where(better, minorant.value, problem.tangent.value),
        torch.where(wide, minorant.slope, problem.tangent.slope.to(minorant.slope.dtype)),
    )
    return Bound.of(torch.where(better, radius, before), chosen, upper), better
