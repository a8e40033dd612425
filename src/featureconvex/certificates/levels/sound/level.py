"""Level 3: radii that hold with every rounding error accounted for.

Theorem. Let ``l`` be a sound line at x (:class:`.SoundLine`):
``margin(x') >= value + <slope, phi(x') - phi(x)> - sum_i slack_i |x'_i - x_i| - slack_2 ||x' - x||_2``. If
``S`` is at least the steepness of the right-hand side in the budget's norm and ``value > 0``, then every
real x' of budget strictly less than ``value / S`` keeps ``margin(x') > 0``. Proof: Hoelder's inequality and
``value - S budget > 0``; the quotient is rounded down.

``arithmetic="real"``: the margin is ``g(phi(x')) + tau`` in exact real arithmetic for the stored floats:
weights, buffers, threshold and input (a feature map's constants as rounded to the model's dtype, which
is what it computes with; eps, alpha, beta and slopes as the Python floats given; Fourier transforms with
exact roots of unity).
``"float32"``, ``"float64"``: the margin is what ``model.to(dtype)(x'.to(dtype))`` computes, so the sign is
the machine's decision, for every real x' in the ball; what is assumed of that computation is listed
in :mod:`featureconvex.certificates.levels.sound.deployed`.

The radius is never above that of the base, the level whose minorant it takes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from featureconvex.ambient import check_no_autocast
from featureconvex.certificates.certificate import Guarantee
from featureconvex.certificates.levels.base import Level
from featureconvex.certificates.levels.closed_form import ClosedForm
from featureconvex.certificates.levels.domain_aware import Domain
from featureconvex.certificates.levels.problem import Bound, Problem, Proof
from featureconvex.certificates.levels.sound.fall_radius import radius_of_fall
from featureconvex.certificates.levels.sound.kinks import Kinked, kinked
from featureconvex.certificates.levels.sound.line import ARITHMETICS, SoundLine, sound_line
from featureconvex.certificates.levels.sound.movement import radius_of_movement
from featureconvex.certificates.levels.sound.moves import RoundedMoves
from featureconvex.certificates.levels.tight import Tight
from featureconvex.certificates.separable import STEEPEST
from featureconvex.certificates.threats import Lp, Threat
from featureconvex.certificates.threats.ball.dual import best_multiplier
from featureconvex.certificates.threats.ball.relative import share_of
from featureconvex.certificates.threats.ball.worst_case import has_plain_exponent, is_plain_budget
from featureconvex.errors import UserError
from featureconvex.given import one_of
from featureconvex.rounding.directed import difference_down, quotient_down


def by_steepness(problem: Problem, line: SoundLine) -> Tensor:
    """(n,): ``value / S`` for a budget that is a norm, inf where ``S`` is exactly 0; in any domain."""
    p, cost = problem.threat.exponent, problem.threat.cost
    assert p is not None
    steepest = line.steepness(p, cost)
    radius = quotient_down(line.value, steepest).where(steepest > 0, torch.inf)
    if line.reach < torch.inf:
        dearest = 1.0 if cost is None else min(1.0, float(cost.min()))
        radius = radius.clamp(max=line.reach * dearest)
    # A NaN, from an overflow on the way, proves nothing.
    return torch.where((line.value > 0) & (steepest >= 0), radius, 0.0)


def by_fall(problem: Problem, line: SoundLine, base: Bound) -> Tensor:
    """(n,): the largest budget near ``base.radius`` whose worst fall in the domain stays below ``value``.

    For norms never less than :func:`by_steepness`. A feature map that does not separate has its constants
    and the room to move (:mod:`.movement`).

    Raises:
        UserError: a threat that says nothing about rounding.
    """
    form = kinked(problem.model.feature_map, line, problem.x, *problem.bounds())
    radius = (
        radius_of_movement(problem, line, base.radius)
        if form is None
        else _separable(problem, line, base, form)
    )
    if problem.threat.exponent is not None:
        return torch.maximum(radius, by_steepness(problem, line))
    return radius


def _separable(problem: Problem, line: SoundLine, base: Bound, form: Kinked) -> Tensor:
    threat, p = problem.threat, problem.threat.exponent
    value = difference_down(line.value, form.lost)
    lo, hi = problem.bounds()
    found = []
    for rows in chunks(problem.x):
        x, ends = problem.x[rows].double(), (lo[rows], hi[rows])
        moves = RoundedMoves(x, *ends, form.rows(rows), line.reach)
        if p is None:
            found.append(threat.sound_budget(threat.curves(moves), value[rows]))
            continue
        curves = moves.curves(threat.cost)
        best = torch.zeros_like(value[rows])
        for norm, share in _norms(threat, p, x[:1].numel()):
            known = base.multiplier[rows]
            known = known if norm is threat else torch.full_like(known, torch.nan)
            multiplier = _multiplier_of(norm, moves, known)
            exponent, candidate = norm.exponent, base.radius[rows] / share
            assert exponent is not None
            near = radius_of_fall(exponent, curves, value[rows], candidate, multiplier)
            best = torch.maximum(best, near * share)
        found.append(best)
    return torch.cat(found)


def _norms(threat: Threat, p: float, coordinates: int) -> list[tuple[Threat, float]]:
    """Threats in which a proof may be had, and the share of such a radius that is one of ``threat``.

    For exponents at which powers say little, those of the nearest norm without powers: ``||z||_inf <=
    ||z||_p``, and ``||z||_1 <= n^(1 - 1/p) ||z||_p``.
    """
    if p in (1, math.inf) or has_plain_exponent(p):
        return [(threat, 1.0)]
    if p > 2:
        return [(threat, 1.0), (Lp(math.inf, threat.cost), 1.0)]
    share = coordinates ** (1 / p - 1) * (1 - 2**-40)  # rounded down
    return [(threat, 1.0), (Lp(1, threat.cost), share)]


def _multiplier_of(
    threat: Threat, moves: RoundedMoves, known: Tensor
) -> Callable[[Tensor, Tensor], Tensor]:
    """A multiplier for a budget: any will do, that of the base is nearly the best."""

    def multiplier(budget: Tensor, unit: Tensor) -> Tensor:
        p, real = threat.exponent, budget * unit
        assert p is not None
        unknown, lam = known.isnan() & (budget > 0), known
        if not bool(unknown.any()):
            return known.nan_to_num(1.0) * unit**p
        drops = moves.near.curves(threat.cost)
        plain = is_plain_budget(real, p) & (drops.steepest.amax(1).log2().abs() <= STEEPEST)
        if bool((unknown & plain).any()):
            lam = torch.where(known.isnan(), best_multiplier(drops.within(real), real, p), known)
        lam = lam * unit**p
        rows = (unknown & ~plain).nonzero().squeeze(1)
        if len(rows):
            lam[rows] = share_of(drops.rows(rows), real[rows], p) / budget[rows] ** p
        return lam.nan_to_num(1.0)

    return multiplier


# Below this a radius may be lost to rounding alone.
LEAST_RADIUS = 1e-280
# Numbers per chunk: no search, so few enough that what is computed on the way stays in a core's cache.
CHUNK = 2**15


def chunks(x: Tensor) -> list[slice]:
    """Slices of rows whose curves stay in a core's cache."""
    size = max(1, CHUNK // max(1, x[:1].numel()))
    return [slice(at, at + size) for at in range(0, len(x), size)]


@dataclass(frozen=True, init=False)
class Sound(Level):
    """Another level, re-proved with every rounding error accounted for. Never above that level.

    Args:
        base: the level whose radii and minorants are proved again: an object, or a name for its defaults.
        arithmetic: what the radius is about: ``"real"`` for the exact margin, ``"float32"`` or
            ``"float64"`` for the decision that the deployed model computes in that precision.

    Raises:
        UserError: an unknown base or arithmetic.

    >>> Sound(Tight(iterations=40), arithmetic="float32").base.iterations
    40
    """

    base: Level
    arithmetic: str
    name: ClassVar[str] = "sound"
    guarantee: ClassVar[Guarantee] = Guarantee.sound

    def __init__(self, base: str | Level = "domain", arithmetic: str = "real") -> None:
        if not isinstance(base, Level):
            base = BASES[one_of("base of level 'sound'", base, BASES)]()
        if isinstance(base, Sound):
            raise UserError("level 'sound' takes another level as its base, not itself")
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "arithmetic", one_of("arithmetic", arithmetic, ARITHMETICS))

    @torch.no_grad()
    def bound(self, problem: Problem) -> Bound:
        """The base's bound, proved again.

        Raises:
            UserError: a threat the base cannot handle, or a module or feature map without a rounding rule.
        """
        if not len(problem.x):
            return Bound.of(torch.zeros_like(problem.tangent.value), problem.tangent)
        return self._proved(problem, self.base.proof(problem))

    def _proved(self, problem: Problem, proof: Proof) -> Bound:
        base, choices = proof.bound, proof.choices
        if choices is None:
            line = tangent_line(problem, self.arithmetic)
        else:
            # They may prove slightly more than the mixture of tangents of level ``tight`` itself.
            choices = [choice.detach() for choice in choices]
            line = sound_line(problem.model, problem.x, self.arithmetic, choices)
        inside = self.base.uses_domain
        radius = by_fall(problem, line, base) if inside else by_steepness(problem, line)
        radius = torch.minimum(radius, base.radius)
        radius = radius.nan_to_num(0.0, posinf=torch.inf).clamp_min(0.0)
        # Where the line says nothing the margin is too near zero; elsewhere a number overflowed.
        lost = (radius == 0) & (base.radius > LEAST_RADIUS) & ~(line.value <= 0)
        lost = base.radius.isnan() | lost
        radius = radius.masked_fill(lost & (not problem.threat.counts), torch.nan)
        return Bound.of(radius, base.minorant, base.upper)

    def without_attacks(self) -> Self:
        """The same on a base without attacks."""
        return replace(self, base=self.base.without_attacks())

    def check_settings(self) -> None:
        """Autocast, for ``arithmetic="float32"``."""
        if self.arithmetic == "float32":
            check_no_autocast()


BASES: dict[str, type[Level]] = {kind.name: kind for kind in (ClosedForm, Domain, Tight)}
"""The levels that can be named as a base."""


def tangent_line(problem: Problem, arithmetic: str) -> SoundLine:
    """The sound tangent, computed once for all threats of a batch."""
    key = ("sound line", arithmetic)
    owner, line = problem.shared.get(key, (None, None))
    if owner is not problem.tangent:
        line = sound_line(problem.model, problem.x, arithmetic)
        problem.shared[key] = (problem.tangent, line)
    assert isinstance(line, SoundLine)
    return line
