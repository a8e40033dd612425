"""Level ``sound`` for feature maps that mix coordinates: a proved constant, and how far the input can move.

As :mod:`featureconvex.certificates.levels.lipschitz`, whose radii are the candidates here, with every
number rounded towards safety. For every s the right-hand side of the sound line falls by at most
``S_s ||x' - x||_s``, so it stays positive while ``||x' - x||_s < reach = value / S_s``. With
``y_i = |delta_i|^s``: while ``sum_i y_i < reach^s``. The budget ``||cost * delta||_p`` is an ``l_(p / s)``
norm of ``cost^s * y``, and the curves ``y_i = t / cost_i^s`` up to ``room_i^s`` are those of an affine map.
"""

import math

import torch
from torch import Tensor

from featureconvex.certificates.levels.lipschitz import NORMS
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.rounding.directed import quotient_down, upper
from featureconvex.certificates.rounding.fall import Fall
from featureconvex.certificates.rounding.fall_radius import budget_of_fall
from featureconvex.certificates.rounding.line import SoundLine
from featureconvex.certificates.threats import Lp

# The library's powers are right to 2^-42.
POWER = 2.0**-40
# Powers beyond these would over- or underflow, and nothing needs them.
MOST, LEAST = 1e300, 1e-280


@torch.no_grad()
def radius_of_movement(problem: Problem, line: SoundLine, candidate: Tensor) -> Tensor:
    """(n,): the best radius of at most ``candidate`` over s in {1, 2, inf} and the threat's own p.

    inf where the domain is too small for the input to get far enough.
    """
    room, price = _room(problem)
    threat = problem.threat
    own = {threat.p} if isinstance(threat, Lp) else set()
    best = torch.zeros_like(line.value)
    for s in sorted({*NORMS, *own}):
        steepest = line.steepness(s, None)
        reach = quotient_down(line.value, steepest).where(steepest > 0, torch.inf)
        # A NaN, from an overflow on the way, proves nothing.
        reach = torch.where((line.value > 0) & (steepest >= 0), reach, 0.0)
        found = _radius(problem, line, room, price, reach, candidate, s)
        best = torch.maximum(best, found.nan_to_num(0.0, posinf=torch.inf))
    return torch.where(best > LEAST, best, 0.0)


def _room(problem: Problem) -> tuple[Tensor, Tensor]:
    """At least how far each coordinate can move, (n, d), and its finite cost, (1, d); both in float64."""
    lo, hi = problem.domain.bounds(problem.x)
    x = problem.x.double()
    room = torch.maximum(hi - x, x - lo).clamp_min(0)
    room = upper(room, 1, room > 0)
    price = torch.ones_like(x[:1])
    cost = problem.threat.cost
    if cost is not None:
        fixed = torch.isinf(cost).to(x.device)
        room = room.masked_fill(fixed, 0.0)
        price = price * cost.to(x.device).masked_fill(fixed, 1.0)
    return room.flatten(1), price.flatten(1)


def _radius(
    problem: Problem,
    line: SoundLine,
    room: Tensor,
    price: Tensor,
    reach: Tensor,
    candidate: Tensor,
    s: float,
) -> Tensor:
    """(n,): a budget that cannot move x by ``reach`` in l_s, nor a coordinate beyond ``line.reach``."""
    if math.isinf(s):
        reach = reach.clamp(max=line.reach)
        return _one_coordinate(problem, room, price, reach)
    power = (reach**s).clamp(max=MOST) * (1 - POWER)
    power = torch.where(power > LEAST, power, 0.0)
    curves = _curves(room, price, s, tuple(problem.x.shape[1:]))
    totals = curves.totals(line.reach)
    threat = problem.threat
    if not isinstance(threat, Lp):
        return threat.largest_budget(totals, power)
    endless = totals.total().sum(1) < power
    if s > threat.p:
        # The l_s norm is at most the l_p norm.
        cheapest = torch.where(room > 0, price, torch.inf).amin(1)
        nearest = (reach * cheapest).clamp(max=line.reach * min(1.0, float(price.min())))
        return torch.where(endless, torch.inf, nearest * (1 - POWER))
    # In y the budget r is r^s; |delta_i| <= r / price_i holds every coordinate within the line's reach.
    held = candidate.clamp(max=MOST ** (1 / s) / 2)
    if line.reach < math.inf:
        held = held.clamp(max=line.reach * min(1.0, float(price.min())))
    found = budget_of_fall(threat.p / s, curves, power, held**s)
    radius = (found if s == 1 else found ** (1 / s)) * (1 - POWER)
    return torch.where(endless, torch.inf, torch.minimum(radius, held))


def _one_coordinate(problem: Problem, room: Tensor, price: Tensor, reach: Tensor) -> Tensor:
    """Some coordinate has to travel ``reach``, and pays for it in every norm."""
    if not isinstance(problem.threat, Lp):
        return torch.full_like(reach, torch.inf).where(room.amax(1) < reach, 0.0)
    toll = price * reach[:, None] * (1 - POWER)
    return torch.where(room < reach[:, None], torch.inf, toll).amin(1)


def _curves(room: Tensor, price: Tensor, s: float, shape: tuple[int, ...]) -> Fall:
    """``h_i(t) = min(t / price_i^s, room_i^s)``, rounded up; one side that pays."""
    slope = (price**-s * (1 + POWER)).expand_as(room)
    end = torch.where(room > 0, (room * price) ** s * (1 + POWER), 0.0)
    # A power that underflows is not zero.
    end = upper(end, 2, room > 0)
    return Fall(slope[None], end[None], None, room, shape)
