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
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from featureconvex.certificates.drops import Curves
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.levels.sound.fall import Fall
from featureconvex.certificates.levels.sound.fall_radius import budget_of_fall
from featureconvex.certificates.levels.sound.line import SoundLine
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
    room, costs = _room(problem)
    threat = problem.threat
    own = set() if threat.exponent is None else {threat.exponent}
    best = torch.zeros_like(line.value)
    for s in sorted({*NORMS, *own}):
        weights = threat.norm_costs(s, tuple(problem.x.shape[1:]))
        if weights is not None:
            best = torch.maximum(best, threat.asked(_of_norm(line, weights.to(best.device), s)))
            continue
        steepest = line.steepness(s, None)
        reach = quotient_down(line.value, steepest).where(steepest > 0, torch.inf)
        # A NaN, from an overflow on the way, proves nothing.
        reach = torch.where((line.value > 0) & (steepest >= 0), reach, 0.0)
        found = _radius(problem, line, room, costs, reach, candidate, s)
        best = torch.maximum(best, found.nan_to_num(0.0, posinf=torch.inf))
    return torch.where(best > LEAST, best, 0.0)


def _room(problem: Problem) -> tuple[Tensor, Tensor]:
    """At least how far each coordinate can move, (n, d), and its finite cost, (1, d); both in float64."""
    lo, hi = problem.bounds()
    x = problem.x.double()
    room = torch.maximum(hi - x, x - lo).clamp_min(0)
    room = upper(room, 1, room > 0)
    costs = torch.ones_like(x[:1])
    cost = problem.threat.cost
    if cost is not None:
        fixed = torch.isinf(cost).to(x.device)
        room = room.masked_fill(fixed, 0.0)
        costs = costs * cost.to(x.device).masked_fill(fixed, 1.0)
    return room.flatten(1), costs.flatten(1)


def _of_norm(line: SoundLine, costs: Tensor, s: float) -> Tensor:
    """(n,): the radius in ``||costs * delta||_s``, where that is at most the budget."""
    if bool(torch.isinf(costs).all()):
        return torch.full_like(line.value, torch.inf).where(line.value > 0, 0.0)
    steepest = line.steepness(s, costs)
    radius = quotient_down(line.value, steepest).where(steepest > 0, torch.inf)
    # Every coordinate stays within the line's own reach, too.
    radius = radius.clamp(max=line.reach * float(costs.min()) * (1 - POWER))
    return torch.where((line.value > 0) & (steepest >= 0), radius, 0.0)


def _radius(
    problem: Problem,
    line: SoundLine,
    room: Tensor,
    costs: Tensor,
    reach: Tensor,
    candidate: Tensor,
    s: float,
) -> Tensor:
    """(n,): a budget that cannot move x by ``reach`` in l_s, nor a coordinate beyond ``line.reach``."""
    if math.isinf(s):
        reach = reach.clamp(max=line.reach)
        return _one_coordinate(problem, room, costs, reach)
    share = upper(room / reach[:, None].clamp_min(LEAST), 2, room > 0).clamp(max=1.0)
    whole = upper(share**s * (1 + POWER), 1, room > 0)
    shape, threat, p = tuple(problem.x.shape[1:]), problem.threat, problem.threat.exponent
    total = upper(whole, 2 * whole.shape[1], whole > 0).masked_fill(room > line.reach, torch.inf)
    goal = torch.full_like(reach, 1 - POWER).where(reach > LEAST, 0.0)
    if p is None:
        return threat.sound_budget(_Movement(shape, room, costs, reach, s, total, line.reach), goal)
    endless = total.sum(1) < goal
    if s > p:
        # The l_s norm is at most the l_p norm.
        cheapest = torch.where(room > 0, costs, torch.inf).amin(1)
        nearest = (reach * cheapest).clamp(max=line.reach * min(1.0, float(costs.min())))
        return torch.where(endless, torch.inf, nearest * (1 - POWER))
    # |delta_i| <= r / price_i holds every coordinate within the line's reach.
    held = candidate.where(torch.isfinite(candidate), 0.0)
    if line.reach < math.inf:
        held = held.clamp(max=line.reach * min(1.0, float(costs.min())))
    fall, free = _curves(held, room, costs, reach, whole, s, shape)
    found = budget_of_fall(p / s, fall, goal - free, torch.ones_like(held))
    radius = held * (found if s == 1 else found ** (1 / s)) * (1 - POWER)
    return torch.where(endless, torch.inf, torch.minimum(radius, held))


@dataclass(frozen=True)
class _Movement(Curves):
    """``h_i(t) = (min(t / price_i, room_i) / reach)^s``, rounded up for sums of d values."""

    shape: tuple[int, ...]
    room: Tensor
    costs: Tensor
    reach: Tensor
    s: float
    whole: Tensor
    farthest: float

    def at(self, t: Tensor) -> Tensor:
        """At least ``h_i(t)``, inf where a coordinate may move beyond the line's own reach."""
        moved = torch.minimum(upper(t[:, None] / self.costs, 1), self.room)
        share = upper(moved / self.reach[:, None].clamp_min(LEAST), 2, moved > 0)
        rise = upper(share**self.s * (1 + POWER), 1 + 2 * share.shape[1], moved > 0)
        return rise.masked_fill(moved > self.farthest, torch.inf)

    def total(self) -> Tensor:
        """At least ``h_i(inf)``."""
        return self.whole


def _one_coordinate(problem: Problem, room: Tensor, costs: Tensor, reach: Tensor) -> Tensor:
    """Some coordinate has to travel ``reach``, and pays for it in every norm."""
    if problem.threat.exponent is None:
        return torch.full_like(reach, torch.inf).where(room.amax(1) < reach, 0.0)
    toll = costs * reach[:, None] * (1 - POWER)
    return torch.where(room < reach[:, None], torch.inf, toll).amin(1)


def _curves(
    held: Tensor, room: Tensor, costs: Tensor, reach: Tensor, whole: Tensor, s: float, shape: Any
) -> tuple[Fall, Tensor]:
    """``h_i(t) = min(q_i^s t, whole_i)``, ``q_i = held / (price_i reach)``; and what is free, (n,).

    In units of the budget ``held`` and of the reach: ``t = (cost_i |delta_i| / held)^s <= 1``. A curve that
    rises beyond measure is full at once.
    """
    rate = upper(held[:, None] / costs / reach[:, None].clamp_min(LEAST), 3, room > 0)
    slope = upper(rate**s * (1 + POWER), 1, room > 0)
    steep = ~(slope < MOST)
    free = upper(torch.where(steep, whole, 0.0).sum(1), whole.shape[1], steep.any(1))
    slope = slope.masked_fill(steep, 0.0)
    end = upper(whole / slope.clamp_min(TINY), 1, whole > 0).masked_fill(steep, 0.0)
    return Fall(slope[None], end[None], None, room, shape), upper(free, 1, free > 0)
