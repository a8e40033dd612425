"""Whether a point is one that a radius speaks about, decided in exact numbers."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featureconvex.certificates import L0, Lp, Patch, Threat
from featureconvex.errors import UserError

Floats = NDArray[np.float64]


def covered(
    threat: Threat,
    radius: float,
    x: Floats,
    point: Floats,
    ends: tuple[Floats, Floats],
) -> bool:
    """Whether ``point`` is in the domain, and its budget below the radius (for counts: at most).

    Args:
        threat: what the budget measures.
        radius: of the certificate, ``inf`` for every point of the domain.
        x: one input, its own shape.
        point: likewise.
        ends: of the domain at x.

    Raises:
        UserError: a threat without an exact measure.
    """
    if not (np.isfinite(point).all() and (ends[0] <= point).all() and (point <= ends[1]).all()):
        return False
    if isinstance(threat, Lp):
        return _norm_below(threat, radius, x, point)
    if not isinstance(threat, L0 | Patch):
        raise UserError(f"no exact measure for {threat!r}")
    return math.isinf(radius) or _count(threat, x, point) <= radius


def _count(threat: L0 | Patch, x: Floats, point: Floats) -> float:
    """Changed groups, or the window's size if one holds all changes: counting rounds nothing."""
    moved = torch.from_numpy((point != x).astype(np.float64)[None])
    return float(threat.measure(moved))


def _norm_below(threat: Lp, radius: float, x: Floats, point: Floats) -> bool:
    """``||cost (point - x)||_p < radius``."""
    price = np.ones(1) if threat.cost is None else threat.cost.double().numpy()
    price = np.broadcast_to(price, x.shape).ravel()
    changed = np.flatnonzero(point.ravel() != x.ravel())
    if np.isinf(price[changed]).any():
        return False
    if math.isinf(radius):
        return True
    terms = [
        Fraction(float(price[i])) * abs(Fraction(float(point.flat[i])) - Fraction(float(x.flat[i])))
        for i in changed
    ]
    if math.isinf(threat.p):
        return max(terms, default=Fraction(0)) < Fraction(radius)
    if threat.p == int(threat.p):
        power = int(threat.p)
        return sum((term**power for term in terms), Fraction(0)) < Fraction(radius) ** power
    return _power_sum_below(terms, threat.p, radius)


def _power_sum_below(terms: list[Fraction], p: float, radius: float) -> bool:
    """For other exponents, in balls of 400 bits: true only where it is certain."""
    import flint

    def ball(value: Fraction) -> Any:
        return flint.arb(flint.fmpq(value.numerator, value.denominator))

    with flint.ctx.workprec(400):
        exponent = flint.arb(p)
        total = sum((ball(term) ** exponent for term in terms), flint.arb(0))
        return bool(total < flint.arb(radius) ** exponent)
