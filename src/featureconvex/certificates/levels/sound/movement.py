"""Level ``sound`` for feature maps that mix coordinates: a proved constant, and how far the input can move.

As :mod:`featureconvex.certificates.levels.lipschitz`, whose radii are the candidates here, with every
number rounded towards safety. For every s the right-hand side of the sound line falls by at most
``S_s ||x' - x||_s``, so it stays positive while ``||x' - x||_s < reach = value / S_s``. With
``y_i = (|delta_i| / reach)^s``: while ``sum_i y_i < 1``. For a budget r to check,
``t_i = (cost_i |delta_i| / r)^s`` has an ``l_(p / s)`` norm of at most 1, and the curves
``y_i = (r / (cost_i reach))^s t_i`` up to ``(room_i / reach)^s`` are those of an affine map. Only quotients
are raised to powers, so none overflows unseen.
"""

import math
from typing import Any

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, Drops, Rise
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.levels.sound.fall import Fall
from featureconvex.certificates.levels.sound.fall_radius import budget_of_fall
from featureconvex.certificates.levels.sound.line import SoundLine
from featureconvex.certificates.threats import Lp
from featureconvex.norms import NORMS
from featureconvex.rounding.directed import TINY, quotient_down, upper

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
    share = upper(room / reach[:, None].clamp_min(LEAST), 2, room > 0).clamp(max=1.0)
    whole = upper(share**s * (1 + POWER), 1, room > 0)
    far = room > line.reach
    shape, threat = tuple(problem.x.shape[1:]), problem.threat
    totals = Drops(
        (
            Rise(
                torch.zeros_like(whole),
                upper(whole, 2 * whole.shape[1], whole > 0).masked_fill(far, FAR),
                torch.ones_like(whole),
            ),
        ),
        shape,
    )
    goal = torch.full_like(reach, 1 - POWER).where(reach > LEAST, 0.0)
    if not isinstance(threat, Lp):
        return threat.largest_budget(totals, goal)
    endless = totals.total().sum(1) < goal
    if s > threat.p:
        # The l_s norm is at most the l_p norm.
        cheapest = torch.where(room > 0, price, torch.inf).amin(1)
        nearest = (reach * cheapest).clamp(max=line.reach * min(1.0, float(price.min())))
        return torch.where(endless, torch.inf, nearest * (1 - POWER))
    # |delta_i| <= r / price_i holds every coordinate within the line's reach.
    held = candidate.where(torch.isfinite(candidate), 0.0)
    if line.reach < math.inf:
        held = held.clamp(max=line.reach * min(1.0, float(price.min())))
    fall, free = _curves(held, room, price, reach, whole, s, shape)
    found = budget_of_fall(threat.p / s, fall, goal - free, torch.ones_like(held))
    radius = held * (found if s == 1 else found ** (1 / s)) * (1 - POWER)
    return torch.where(endless, torch.inf, torch.minimum(radius, held))


def _one_coordinate(problem: Problem, room: Tensor, price: Tensor, reach: Tensor) -> Tensor:
    """Some coordinate has to travel ``reach``, and pays for it in every norm."""
    if not isinstance(problem.threat, Lp):
        return torch.full_like(reach, torch.inf).where(room.amax(1) < reach, 0.0)
    toll = price * reach[:, None] * (1 - POWER)
    return torch.where(room < reach[:, None], torch.inf, toll).amin(1)


def _curves(
    held: Tensor, room: Tensor, price: Tensor, reach: Tensor, whole: Tensor, s: float, shape: Any
) -> tuple[Fall, Tensor]:
    """``h_i(t) = min(q_i^s t, whole_i)``, ``q_i = held / (price_i reach)``; and what is free, (n,).

    In units of the budget ``held`` and of the reach: ``t = (cost_i |delta_i| / held)^s <= 1``. A curve that
    rises beyond measure is full at once.
    """
    rate = upper(held[:, None] / price / reach[:, None].clamp_min(LEAST), 3, room > 0)
    slope = upper(rate**s * (1 + POWER), 1, room > 0)
    steep = ~(slope < MOST)
    free = upper(torch.where(steep, whole, 0.0).sum(1), whole.shape[1], steep.any(1))
    slope = slope.masked_fill(steep, 0.0)
    end = upper(whole / slope.clamp_min(TINY), 1, whole > 0).masked_fill(steep, 0.0)
    return Fall(slope[None], end[None], None, room, shape), upper(free, 1, free > 0)
