"""The route for feature maps without drop curves: a Lipschitz constant and how far the input can move.

For every s in [1, inf], ``l(phi(x)) - l(phi(x')) <= S_s ||x' - x||_s``, ``S_s = Lip_s(phi) ||v||_s*``.
So the minorant stays positive while ``||x' - x||_s < value / S_s``, and the domain and the threat bound
that movement. With ``y_i = |delta_i|^s`` it is ``sum_i y_i < (value / S_s)^s``: the curves of ``y_i`` are
straight lines that end at the border of the domain, the budget ``||cost * delta||_p`` becomes an
``l_(p / s)`` norm of ``cost^s * y``, and the threat's own worst case applies as long as ``s <= p``.
"""

import math

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, ROUND_DOWN, TINY, Drops, Rise
from featureconvex.certificates.levels.problem import Problem
from featureconvex.certificates.minorant import Minorant
from featureconvex.certificates.separable import movement_room
from featureconvex.certificates.threats import Threat
from featureconvex.certificates.threats.ball.logarithms import budget_of_way
from featureconvex.certificates.threats.ball.worst_case import largest_lp_budget
from featureconvex.norms import NORMS, vector_norm


@torch.no_grad()
def lipschitz_radius(problem: Problem, minorant: Minorant) -> Tensor:
    """The best radius over the norms s in {1, 2, inf} and the threat's own: (n,) float64."""
    lo, hi = problem.bounds()
    threat = problem.threat
    rooms = movement_room(problem.x, lo, hi, threat.cost)
    room = torch.maximum(*rooms).flatten(1)
    own = set() if threat.exponent is None else {threat.exponent}
    best = torch.zeros_like(minorant.value)
    for s in sorted({*NORMS, *own}):
        costs = threat.norm_costs(s, tuple(problem.x.shape[1:]))
        if costs is not None:
            best = torch.maximum(best, threat.asked(_of_norm(problem, minorant, room, costs, s)))
            continue
        rate = problem.model.feature_map.sensitivity(minorant.slope, s)
        # How far x' may be from x in this norm before the minorant could reach zero.
        reach = torch.where(rate == 0, torch.inf, minorant.value / rate) * ROUND_DOWN
        found = _radius(problem, room, reach.nan_to_num(0.0, posinf=torch.inf), s)
        best = torch.maximum(best, found.nan_to_num(0.0, posinf=torch.inf))
    return torch.where(minorant.value > 0, best, 0.0)


def _radius(problem: Problem, room: Tensor, reach: Tensor, s: float) -> Tensor:
    """The largest budget that cannot move x by ``reach`` (n,) in the norm s; inf where nothing can."""
    threat, shape = problem.threat, tuple(problem.x.shape[1:])
    costs = torch.ones_like(room[:1])
    if threat.cost is not None:
        finite = torch.where(torch.isinf(threat.cost), 1.0, threat.cost)
        costs = finite.to(room.device).expand(shape).reshape(1, -1)
    p = threat.exponent
    if p is None:
        return _of_curves(threat, room, costs, reach, s, shape)
    if math.isinf(s):
        # One coordinate has to travel that far, and pays for it in every norm.
        return torch.where(room < reach[:, None], torch.inf, costs * reach[:, None]).amin(1)
    plain = _plain(costs, s) & _plain(reach[:, None], s)
    if not bool(plain.all()):
        found = torch.zeros_like(reach)
        at = plain.nonzero().squeeze(1)
        found[at] = _by_powers(p, room[at], costs, reach[at], s, shape)
        at = (~plain).nonzero().squeeze(1)
        found[at] = _by_shares(p, room[at], costs, reach[at], s)
        return found
    return _by_powers(p, room, costs, reach, s, shape)


def _of_norm(problem: Problem, minorant: Minorant, room: Tensor, costs: Tensor, s: float) -> Tensor:
    """The radius in ``||costs * delta||_s``, at most the budget; inf where the room is less."""
    costs = costs.to(room.device)
    if bool(torch.isinf(costs).all()):
        return torch.full_like(minorant.value, torch.inf).where(minorant.value > 0, 0.0)
    rate = problem.model.feature_map.sensitivity(minorant.slope, s, costs)
    reach = torch.where(rate == 0, torch.inf, minorant.value / rate) * ROUND_DOWN
    reach = reach.nan_to_num(0.0, posinf=torch.inf)
    # An infinite cost times no way is none.
    way = torch.where((room == 0) | torch.isinf(costs), 0.0, room * costs)
    return torch.where(vector_norm(way, s) * (2 - ROUND_DOWN) < reach, torch.inf, reach)


def _of_curves(
    threat: Threat,
    room: Tensor,
    costs: Tensor,
    reach: Tensor,
    s: float,
    shape: tuple[int, ...],
) -> Tensor:
    """The same for any threat, by its worst case of curves not below ``y = (|delta_i| / reach)^s``.

    In units of the reach no power overflows. ``y`` is convex in the movement, and lies below its chord up
    to the border of the domain.
    """
    if math.isinf(s):
        return torch.full_like(reach, torch.inf).where(room.amax(1) < reach, 0.0)
    share = (room / reach[:, None]).clamp(max=1.0)
    whole = share**s
    # Beyond the reach nothing matters: y is at least 1 there, the whole margin.
    end = (costs * torch.minimum(room, reach[:, None])).clamp(TINY, FAR)
    curves = Drops((Rise(torch.zeros_like(whole), end, whole / end),), shape, whole)
    return threat.largest_budget(curves, torch.ones_like(reach))


# Logarithms to base 2 of the powers that are taken of costs and movements.
POWERS = 250.0


def _plain(values: Tensor, s: float) -> Tensor:
    """(n,): whether the powers of positive numbers stay well inside the range; 0 and inf are their own."""
    logs = values.log2().abs()
    return (torch.isinf(logs) | (logs * s <= POWERS)).all(1)


def _by_powers(
    p: float, room: Tensor, costs: Tensor, reach: Tensor, s: float, shape: tuple[int, ...]
) -> Tensor:
    """The worst case of the curves of ``y`` in an l_p ball."""
    # A reach that overflows is beyond any room that does not.
    target = torch.where(torch.isinf(reach), torch.inf, (reach**s).clamp(max=1e300))
    curves = _movement(room, costs, s, shape)
    if s <= p:
        found = largest_lp_budget(curves, target, p / s) ** (1 / s)
        return torch.where(torch.isinf(target), torch.inf, found)
    return torch.full_like(target, torch.inf).where(curves.total().sum(1) < target, 0.0)


def _by_shares(p: float, room: Tensor, costs: Tensor, reach: Tensor, s: float) -> Tensor:
    """The same with movements in units of the reach, and costs in logarithms: no power overflows."""
    share = (room / reach[:, None]).clamp(max=1.0)
    endless = (share**s).sum(1) < ROUND_DOWN
    if s > p:
        return torch.full_like(reach, torch.inf).where(endless, 0.0)
    found = reach * budget_of_way(share, costs, s, p) * ROUND_DOWN
    return torch.where(endless, torch.inf, found.nan_to_num(0.0, posinf=0.0))


def _movement(room: Tensor, costs: Tensor, s: float, shape: tuple[int, ...]) -> Drops:
    """``h_i(t) = min(t / price_i^s, room_i^s)``."""
    rate = (costs**-s).expand_as(room)
    end = ((costs * room) ** s).clamp_max(FAR)
    return Drops((Rise(torch.zeros_like(end), end, rate),), shape)
