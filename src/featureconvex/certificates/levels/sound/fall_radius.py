"""The largest budget a sound line survives inside a domain, checked near a candidate.

Every budget tried is a proof of its own: ``fall(r) < value``, with the fall rounded up and the value
rounded down, certifies every budget below r, however r was found.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from featureconvex.certificates.levels.sound.fall import Fall, RoundedCurves
from featureconvex.certificates.threats.ball.l1 import marginal_slope
from featureconvex.certificates.threats.ball.logarithms import multiplier_in_logs
from featureconvex.certificates.threats.ball.worst_case import has_plain_exponent
from featureconvex.rounding.directed import (
    difference_down,
    dual_norm_up,
    quotient_down,
    upper,
)

# A multiplier of 0 would divide by it.
SMALLEST = 2.0**-600
# The first candidate is the level's radius less this share, and so many are tried.
LEAST = 2.0**-38
ATTEMPTS = 8


def radius_of_fall(
    p: float,
    curves: RoundedCurves,
    value: Tensor,
    candidate: Tensor,
    multiplier: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """(n,): a radius of about ``candidate`` in l_p; 0 where nothing is proved.

    inf where all curves together stay below the value.

    Args:
        p: the exponent.
        curves: the fall, in budget units, and what it is in all.
        value: (n,), what the line has at x.
        candidate: (n,), the radius to check.
        multiplier: a multiplier ``lam`` for every budget (n,), given in units (n,), for finite p and curves
            with kinks; any will do, and the better it is, the larger the radius.
    """
    endless = curves.total().sum(1) < value
    held = candidate.where(torch.isfinite(candidate), 0.0)
    if curves.reach < math.inf:
        held = held.clamp(max=curves.reach * curves.cheapest)
    # Budgets of about 1, whose powers do not leave the range.
    unit = torch.exp2(torch.frexp(held)[1].double()).where(held > 0, 1.0)
    scaled = curves.fall.scaled(unit)
    found = budget_of_fall(p, scaled, value, held / unit, lambda r: multiplier(r, unit)) * unit
    return torch.where(endless, torch.inf, found)


def budget_of_fall(
    p: float,
    fall: Fall,
    value: Tensor,
    candidate: Tensor,
    multiplier: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:
    """(n,): a budget of at most ``candidate``, all finite, in l_p; 0 where nothing is proved.

    Args:
        p: the exponent, the cost being part of the curves.
        fall: the curves.
        value: (n,), what the line has at x.
        candidate: (n,).
        multiplier: as above; only for curves with kinks.
    """
    if math.isinf(p):
        return _stepwise(fall, value, candidate)
    lam = (
        multiplier(candidate)
        if fall.turn is not None and multiplier
        else marginal(fall, candidate, p)
    )
    return _by_duality(fall, value, candidate, lam.clamp_min(SMALLEST), p)


def _stepwise(fall: Fall, value: Tensor, candidate: Tensor) -> Tensor:
    """p = inf: the fall is ``sum_i h_i(r)``; r gives way in proportion to what the fall has too much."""
    share = torch.full_like(candidate, LEAST)
    for attempt in range(ATTEMPTS):
        r = candidate * (1 - share)
        most = fall.most(r)
        total = upper(most.sum(1), most.shape[1])
        passed = total < value
        if attempt == ATTEMPTS - 1 or bool((passed | (r == 0) | ~(value > 0)).all()):
            break
        wanted = 1.25 * 4**attempt * (total - value) / value
        share = torch.where(passed, share, torch.maximum(2 * share, wanted).clamp(max=1.0))
    return torch.where(passed, r, 0.0)


def _by_duality(fall: Fall, value: Tensor, candidate: Tensor, lam: Tensor, p: float) -> Tensor:
    """Finite p: ``min(R, ((value - Phi_R(lam)) / lam)^(1/p))`` for every ``lam > 0``.

    R is the candidate. Where ``Phi_R`` alone costs the value, as the linf ball of radius R does if the
    multiplier is about 0, R gives way like the radius of p = inf.
    """
    best, share = torch.zeros_like(candidate), torch.zeros_like(candidate)
    for attempt in range(ATTEMPTS):
        r = candidate * (1 - share)
        spent = fall.penalised(r, lam, p)
        left = difference_down(value, spent)
        ratio = quotient_down(left.clamp_min(0), lam)
        root = ratio if p == 1 else ratio.sqrt() if p == 2 else ratio ** (1 / p)
        root = torch.minimum(root * (1 - 2**-42), r)
        best = torch.where(left > 0, torch.maximum(root, best), best)
        lost = ~(left > 0) & (r > 0) & (value > 0)
        if not bool(lost.any()):
            break
        wanted = 1.25 * 4**attempt * (spent - value) / value
        # An overflow gives way to nothing at once.
        wanted = torch.maximum(2 * share, wanted).clamp(LEAST, 1.0).nan_to_num(1.0)
        share = torch.where(lost, wanted, share)
    return best


def marginal(fall: Fall, budget: Tensor, p: float) -> Tensor:
    """(n,): about the best multiplier for curves without kinks, ``d fall / d (budget^p)``.

    p = 1: the slope at which the steepest coordinates, filled up to the border, have spent the budget.
    p > 1: ``t_i = min(b_i s, room_i)``, ``b = slope^(1 / (p - 1))``, and ``lam = 1 / (p s^(p - 1))`` for
    the ``s`` that spends it, by a fixed-point iteration from below that ends when no border is met.
    """
    slope, room = fall.slope[0], fall.room[0]
    if p == 1:
        return marginal_slope(slope, room, budget)
    if not has_plain_exponent(p):
        return multiplier_in_logs(slope, room, budget, p).nan_to_num(1.0)
    pace = slope if p == 2 else slope ** (1 / (p - 1))
    s = budget / dual_norm_up(pace, p / (p - 1)).clamp_min(SMALLEST)
    for _ in range(8):
        full = pace * s[:, None] >= room
        taken = torch.where(full, room, 0.0) ** p
        free = torch.where(full, 0.0, pace) ** p
        left = (budget**p - taken.sum(1)).clamp_min(0) / free.sum(1)
        new = torch.where(torch.isfinite(left), left ** (1 / p), s)
        if bool((new <= s * (1 + 1e-9)).all()):
            break
        s = torch.maximum(s, new)
    lam = 1 / (p * s ** (p - 1))
    lost = ~((lam > 0) & torch.isfinite(lam)) & (budget > 0)
    if bool(lost.any()):
        lam = torch.where(lost, multiplier_in_logs(slope, room, budget, p).nan_to_num(1.0), lam)
    return lam
