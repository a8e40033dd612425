"""Whether a point is one that a radius speaks about, decided in exact numbers."""

import math
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from featureconvex.certificates import Edits, Threat
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
    if (p := threat.exponent) is not None:
        return _norm_below(p, threat.cost, radius, x, point)
    if isinstance(threat, Edits):
        return _price(threat, x, point) < (math.inf if math.isinf(radius) else Fraction(radius))
    if not threat.counts:
        raise UserError(f"no exact measure for {threat!r}")
    return math.isinf(radius) or _count(threat, x, point) <= radius


def _count(threat: Threat, x: Floats, point: Floats) -> float:
    """Changed groups, or the window's size if one holds all changes: counting rounds nothing."""
    moved = torch.from_numpy((point != x).astype(np.float64)[None])
    return float(threat.measure(moved))


def _price(threat: Edits, x: Floats, point: Floats) -> Fraction | float:
    """Of all numbers that moved and all blocks edited, exactly; ``inf`` for what is no edit."""
    cost = threat.numeric_cost(len(x)).numpy()
    total, blocks = Fraction(0), threat.blocks
    for number, block in enumerate(blocks.coordinates):
        old, new = (_level(row[list(block)]) for row in (x, point))
        if old is None or new is None:
            return math.inf
        level = torch.zeros(1, len(blocks), dtype=torch.int64)
        level[0, number] = old
        price = float(blocks.prices.leaving(level)[0, number, new])
        if math.isinf(price):
            return math.inf
        total += Fraction(price)
    edited = {place for block in blocks.coordinates for place in block}
    for i in set(np.flatnonzero(point != x).tolist()) - edited:
        moved = Fraction(float(point[i])) - Fraction(float(x[i]))
        if math.isinf(cost[i]) or (i in threat.whole and moved.denominator != 1):
            return math.inf
        total += Fraction(float(cost[i])) * abs(moved)
    return total


def _level(values: Floats) -> int | None:
    """That a block is at: of a boolean its own number."""
    if set(values.tolist()) - {0.0, 1.0} or (len(values) > 1 and values.sum() != 1):
        return None
    return int(values[0]) if len(values) == 1 else int(values.argmax())


def _norm_below(p: float, cost: Tensor | None, radius: float, x: Floats, point: Floats) -> bool:
    """``||cost (point - x)||_p < radius``."""
    costs = np.ones(1) if cost is None else cost.double().numpy()
    costs = np.broadcast_to(costs, x.shape).ravel()
    changed = np.flatnonzero(point.ravel() != x.ravel())
    if np.isinf(costs[changed]).any():
        return False
    if math.isinf(radius):
        return True
    terms = [
        Fraction(float(costs[i])) * abs(Fraction(float(point.flat[i])) - Fraction(float(x.flat[i])))
        for i in changed
    ]
    if math.isinf(p):
        return max(terms, default=Fraction(0)) < Fraction(radius)
    if p == int(p):
        power = int(p)
        return sum((term**power for term in terms), Fraction(0)) < Fraction(radius) ** power
    return _power_sum_below(terms, p, radius)


def _power_sum_below(terms: list[Fraction], p: float, radius: float) -> bool:
    """For other exponents, in balls of 400 bits: true only where it is certain."""
    import flint

    def ball(value: Fraction) -> Any:
        return flint.arb(flint.fmpq(value.numerator, value.denominator))

    with flint.ctx.workprec(400):
        exponent = flint.arb(p)
        total = sum((ball(term) ** exponent for term in terms), flint.arb(0))
        return bool(total < flint.arb(radius) ** exponent)
