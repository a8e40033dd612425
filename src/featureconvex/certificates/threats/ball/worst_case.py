"""The largest l_p budget whose worst drop stays below a margin, and the worst drop of a budget.

Notation: curves ``h_i`` (nondecreasing, ``h_i(0) = 0``), margin ``m``, and the worst case of a budget r,
``D(r) = max sum_i h_i(t_i)`` over ``||t||_p <= r``. For p = inf it is ``sum_i h_i(r)``. For finite p, weak
duality bounds it for every ``lam > 0``:

    D(r) <= lam r^p + Phi_r(lam),   Phi_r(lam) = sum_i max over t in [0, r] of h_i(t) - lam t^p,

so ``r`` is certified as soon as ``lam r^p + Phi_R(lam) <= m`` for some ``R >= r`` and some ``lam``. Every
pair ``(R, lam)`` that a search visits is a proof, however the search got there. For p = 1 the minimum over
``lam`` is the greedy filling of the concave envelopes over [0, r].
"""

import math

import torch
from torch import Tensor

from featureconvex.certificates.drops import FAR, ROUND_DOWN, Drops, times_power
from featureconvex.certificates.threats.ball.dual import (
    ROUNDS,
    best_multiplier,
    largest_dual_budget,
    penalised,
)
from featureconvex.certificates.threats.ball.l1 import greedy_drop, largest_greedy_budget
from featureconvex.certificates.threats.ball.linf import largest_uniform_budget
from featureconvex.certificates.threats.ball.logarithms import budget_in_logs
from featureconvex.certificates.threats.ball.power import largest_concave_budget
from featureconvex.certificates.threats.ball.relative import (
    least_bound,
    relative_dual_budget,
    share_of,
)
from featureconvex.certificates.threats.base import Certified
from featureconvex.norms import dual_exponent


def largest_lp_budget(drops: Drops, margin: Tensor, p: float) -> Tensor:
    """The largest r found with ``D(r) <= margin``: (n,) float64."""
    return certified_lp_budget(drops, margin, p).budget


@torch.no_grad()
def certified_lp_budget(drops: Drops, margin: Tensor, p: float) -> Certified:
    """The largest r found with ``D(r) <= margin``, and its multiplier, nan where none was searched for.

    0 where ``margin <= 0``, inf where all curves together stay below it. Exact (up to
    rounding, downwards) for p = inf and for concave curves; otherwise a lower bound.
    """
    drops, unit = _in_units_of(drops, margin)
    margin = margin / unit
    # Where a number is not one nothing is proved: a row counts as reached unless it is shown not to be.
    total = drops.total().sum(1)
    reached = ~(total < margin * ROUND_DOWN)
    # A margin that the curves reach by less than rounding is one that a search may never see reached.
    close = reached & (total < margin * (2 - ROUND_DOWN))
    margin = torch.where(close, margin * ROUND_DOWN**2, margin)
    multiplier = torch.full_like(margin, torch.nan)
    if p == 1 and drops.concave:
        found = largest_greedy_budget(drops, margin)
    elif math.isinf(p):
        found = largest_uniform_budget(drops, margin, reached)
    elif drops.concave:
        found = _filled(drops, margin, p, reached)
    else:
        found, multiplier = _by_duality(drops, margin, p, reached)
    found = (found * ROUND_DOWN).nan_to_num(0.0, posinf=0.0).clamp(0.0, FAR / 2)
    found = torch.where(reached, found, torch.inf)
    return Certified(torch.where(margin > 0, found, 0.0), multiplier * unit)


# Logarithms to base 2 of what is taken as it is; and of powers of it, times the exponent.
ORDINARY, POWERS = 250.0, 600.0
# Of budgets, for the search of a multiplier.
NEAR_ONE = 40.0
# Up to so many curves a budget is tried once more, by this much, and so many rounds find it or none do.
FEW_CURVES, GROWN, FEW_ROUNDS = 64, 1 + 4e-7, 3
# Exponents with which the search for a multiplier is at home.
NEAR_1, LARGE = 1.05, 64.0


def has_plain_exponent(p: float) -> bool:
    """Whether powers with ``p`` and ``1 / (p - 1)`` of numbers of ordinary size are ordinary."""
    return NEAR_1 <= p <= LARGE


def is_plain_budget(budget: Tensor, p: float) -> Tensor:
    """(n,): whether a search for a multiplier ``lam`` of these budgets is at home."""
    plain = _within(budget, min(NEAR_ONE, ORDINARY / p))
    return plain if p == 1 or has_plain_exponent(p) else torch.zeros_like(plain)


def _in_units_of(drops: Drops, margin: Tensor) -> tuple[Drops, Tensor]:
    """Rows of extreme margins in units of a power of two near it, and those units, (n,)."""
    plain = ~(margin > 0) | _within(margin, ORDINARY)
    power = torch.frexp(margin)[1].masked_fill(plain, 0)
    unit = torch.exp2(power.double())
    return (drops, unit) if bool(plain.all()) else (drops.steeper(-power), unit)


def _within(values: Tensor, bits: float) -> Tensor:
    """Whether positive numbers lie between ``2^-bits`` and ``2^bits``."""
    return values.log2().abs() <= bits


def _filled(drops: Drops, margin: Tensor, p: float, reached: Tensor) -> Tensor:
    """Concave curves, 1 < p < inf: Newton's method, or logarithms where powers leave the range."""
    slope, end = drops.rises[0].slope, drops.rises[0].end
    found = largest_concave_budget(drops, margin, p)
    q = dual_exponent(p)
    least, most = slope.masked_fill(slope == 0, 1.0).aminmax(dim=1)
    plain = _within(least, POWERS / q) & _within(most, POWERS / q) & _within(found, POWERS / p)
    wild = (reached & (margin > 0) & ~plain).nonzero().squeeze(1)
    if len(wild):
        found[wild] = budget_in_logs(slope[wild], end[wild], margin[wild], p)
        if p < NEAR_1:
            # ``||t||_1 <= n^(1 - 1 / p) ||t||_p``: l1 loses little, where logarithms may lose all.
            share = max(1, drops.count) ** (1 / p - 1) * ROUND_DOWN
            in_l1 = largest_greedy_budget(drops.rows(wild), margin[wild]) * share
            found[wild] = torch.fmax(found[wild], in_l1)
    return found


def _can_grow(drops: Drops, margin: Tensor, p: float, found: Tensor, multiplier: Tensor) -> Tensor:
    """(n,) bool: whether a budget a little above the one found can be proved, too.

    Of few curves one alone decides, and its kinks can end a search for a multiplier too early.
    """
    more = (found * GROWN).clamp_min(torch.finfo(found.dtype).tiny)
    share, goal = multiplier * more**p, margin * ROUND_DOWN
    return least_bound(drops, more, margin, p, share, goal).value < goal


def _by_duality(drops: Drops, margin: Tensor, p: float, reached: Tensor) -> Certified:
    """Curves with kinks and p < inf: by a multiplier, relative to the budget where that is no number."""
    sensitive = reached & (margin > 0)
    # Budgets far from 1, with what they would be if all curves were straight, in units of a power of two.
    straight = margin / drops.steepest.amax(1)
    odd = sensitive & ~_within(straight, NEAR_ONE) & torch.isfinite(straight) & (straight > 0)
    power = torch.frexp(straight)[1].masked_fill(~odd, 0)
    if bool(odd.any()):
        drops = drops.longer(-power)
    found, multiplier = torch.zeros_like(margin), torch.full_like(margin, torch.nan)
    plain = torch.zeros_like(sensitive)
    if p == 1 or has_plain_exponent(p):
        few = drops.count <= FEW_CURVES
        rounds = FEW_ROUNDS if few else ROUNDS
        found, multiplier, unfinished = largest_dual_budget(drops, margin, p, reached, rounds)
        plain = ~unfinished
        if few:
            plain &= ~_can_grow(drops, margin, p, found, multiplier)
    wild = (sensitive & ~(plain & is_plain_budget(found, p))).nonzero().squeeze(1)
    if len(wild):
        some, left = drops.rows(wild), margin[wild]
        start = largest_uniform_budget(some, left, reached[wild])
        again = relative_dual_budget(some, left, p, start)
        found[wild] = torch.maximum(again, found[wild].nan_to_num(0.0, posinf=0.0))
        multiplier[wild] = torch.nan
    multiplier = multiplier.masked_fill(odd, torch.nan)
    return Certified(times_power(found, power), multiplier)


def worst_lp_drop(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """``D(budget)``, (n,) float64: exact for p = inf and for concave curves, else an upper bound.

    Differentiable in the curves: moves (p = 1) or multipliers are held fixed, which is the derivative of
    a maximum or minimum over them. An infinite budget gives the sum of the totals.
    """
    finite = budget < FAR / 2
    held = budget.where(finite, 0.0)
    if math.isinf(p):
        fall = drops.at(held).sum(1)
    elif p == 1:
        fall = greedy_drop(drops.within(held), held)
    else:
        fall = _mixed(drops.within(held), held, p)
    return torch.where(finite, fall, drops.total().sum(1))


def _mixed(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """A mixture of the bounds on both sides of the best ``lam``, whose maximisers spend the budget exactly.

    Any mixture of upper bounds is one. At a kink of ``Phi`` no single ``lam`` has the derivative that the
    minimum has; the mixture that spends the budget does.
    """
    plain = is_plain_budget(budget, p) | (budget == 0)
    if not bool(plain.all()):
        # Budgets of about 1, whose powers do not leave the range.
        power = torch.frexp(budget)[1].masked_fill(plain, 0)
        drops, budget = drops.longer(-power), times_power(budget, -power)
    # Curves of its own: what the search caches without gradients must not be reused with them.
    lam = _multiplier(drops.rows(slice(None)), budget, p)
    low, high = lam * (1 - SIDE), lam * (1 + SIDE)
    more, less = penalised(drops, low, p), penalised(drops, high, p)
    power = budget**p
    share = ((power - less.spent) / (more.spent - less.spent)).nan_to_num(0.5).clamp(0, 1).detach()
    return share * (low * power + more.best) + (1 - share) * (high * power + less.best)


@torch.no_grad()
def _multiplier(drops: Drops, budget: Tensor, p: float) -> Tensor:
    """The ``lam`` that minimises ``lam budget^p + Phi(lam)``: (n,) float64, >= 0."""
    if has_plain_exponent(p):
        return best_multiplier(drops, budget, p)
    share = share_of(drops, budget, p)
    return torch.where(budget > 0, share / budget**p, 1.0)


# Relative distance of the two sides.
SIDE = 1e-7
