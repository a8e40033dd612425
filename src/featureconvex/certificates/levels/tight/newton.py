"""The master problem for p > 1: the attack to try next, against all cuts, by Newton steps on its dual.

Moderate p: the cheapest attack,

    min sum_i |e_i|^p / p   with   value_k + <w_k, e> <= 0 for all cuts k,   -down <= e <= up.

p = inf (and p beyond ``LARGEST_POWER``, where powers are too stiff): the deepest attack of budget
``reach``, ``min max_k value_k + <w_k, e>`` over the cube ``|e_i| <= reach`` inside the domain.

With multipliers ``mu >= 0`` and ``w = sum_k mu_k w_k`` the minimum over e is separable, so each dual is a
concave function of as many variables as there are cuts. For moderate p it is smooth. For the cube it is
``<mu, value> - sum_i max(-up_i w_i, down_i w_i)`` on the simplex; ``|w|`` is rounded off to
``sqrt(w^2 + eps^2)``, and the simplex is replaced by the penalty ``-kappa (sum_k mu_k - 1)^2 / 2``, which
costs nothing, as only the mixture's direction matters. The Hessian is ``-W D W^T`` with ``D = -de/dw``
diagonal.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from featureconvex.certificates.levels.tight.geometry import Geometry

LARGEST_POWER = 6.0
# Damping relative to each cut's own curvature.
DAMPING = 1e-3
SWEEPS, SUBSPACE_STEPS = 3, 2
# Of a Newton step: rounding |w| off bends only near its kinks, beyond which a whole step can overshoot far.
HALVINGS = 12


def is_cube(p: float) -> bool:
    """Whether the master problem is that of p = inf."""
    return p > LARGEST_POWER


@dataclass(frozen=True)
class Dual:
    """The separable part of the dual.

    Attributes:
        geometry: the attackers.
        reach: (n, 1), half side of the cube; for moderate p unused.
        rounding: (n, 1), ``eps``; likewise.
        kappa: (n, 1) float64, the penalty on the sum of the multipliers; 0 for moderate p.
        damping: (n, 1) float64, relative to :data:`DAMPING`.
    """

    geometry: Geometry
    reach: Tensor
    rounding: Tensor
    kappa: Tensor
    damping: Tensor

    def respond(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """The best ``e`` against the slope ``w`` (n, d), and ``D``."""
        p = self.geometry.p
        if is_cube(p):
            down = torch.minimum(self.geometry.down, self.reach)
            up = torch.minimum(self.geometry.up, self.reach)
            half = (down + up) / 2
            root = (w.square() + self.rounding.square()).rsqrt()
            slow = half * root
            return torch.addcmul((up - down) / 2, slow, w, value=-1), slow * (
                root * self.rounding
            ).square()
        if p == 2:
            free = -w
            e = torch.clamp(free, -self.geometry.down, self.geometry.up)
            return e, (e == free).to(w.dtype)
        size = w.abs().clamp_min(torch.finfo(w.dtype).tiny) ** (1 / (p - 1))
        free = -torch.sign(w) * size
        e = torch.clamp(free, -self.geometry.down, self.geometry.up)
        # At 0 the derivative vanishes (p < 2) or is infinite (p > 2): a typical size keeps it usable.
        typical = size.amax(1, keepdim=True)
        return e, torch.maximum(size, 1e-2 * typical) ** (2 - p) / (p - 1) * (e == free)

    def own_curvature(self, w: Tensor, size: Tensor, diagonal: Tensor) -> Tensor:
        """A typical size of each cut's entry on the Hessian's diagonal, (n, k).

        For moderate p the diagonal itself will not do: where no coordinate can follow it is 0, and
        damping is all that limits a step.

        Args:
            w: (n, d), the slope.
            size: (n, k), the cuts' squared Euclidean norms.
            diagonal: (n, k), of the Hessian.
        """
        p = self.geometry.p
        if is_cube(p):
            return diagonal
        if p == 2:
            return size
        typical = w.abs().amax(1, keepdim=True) if p < 2 else w.abs().mean(1, keepdim=True)
        bend = typical.double().clamp_min(1e-100) ** ((2 - p) / (p - 1)) / (p - 1)
        return torch.maximum(size * bend, diagonal)


def newton_master(
    dual: Dual, slopes: Tensor, values: Tensor, mu: Tensor, steps: int
) -> tuple[Tensor, Tensor]:
    """A few Newton steps on the dual from ``mu``.

    Args:
        dual: the separable part.
        slopes: (n, k, d).
        values: (n, k) float64, the cuts at ``e = 0``.
        mu: (n, k) float64 >= 0.
        steps: how many.

    Returns:
        mu (n, k) and the response ``e`` (n, d).
    """
    w = combine(mu, slopes)
    # A cut that cannot fall puts no limit on its multiplier: it takes no part.
    falls = (slopes != 0).any(2)
    size = slopes.square().sum(2, dtype=torch.float64).clamp_min(torch.finfo(torch.float64).tiny)
    for _ in range(steps):
        e, curvature = dual.respond(w)
        excess = dual.kappa * (mu.sum(1, keepdim=True) - (dual.kappa > 0).double())
        gradient = (
            torch.where(falls, values, -1.0)
            + torch.bmm(slopes, e.unsqueeze(2)).squeeze(2).double()
            - excess
        )
        hessian = torch.bmm(slopes * curvature.unsqueeze(1), slopes.mT).double()
        hessian += dual.kappa.unsqueeze(2)
        diagonal = hessian.diagonal(dim1=1, dim2=2)
        diagonal += DAMPING * dual.damping * dual.own_curvature(w, size, diagonal)
        step = box_ascent(hessian, gradient, mu) - mu
        along = combine(step, slopes)
        total = step.sum(1)
        rise = (step * (values - excess)).sum(1)
        length = _line_search(dual, w, along, rise, dual.kappa.squeeze(1) * total.square())
        moved = (mu + length * step).clamp_min(0)
        mu = torch.where(torch.isfinite(moved).all(1, keepdim=True), moved, mu)
        w = combine(mu, slopes)
    return mu, dual.respond(w)[0]


def combine(weights: Tensor, slopes: Tensor) -> Tensor:
    """``sum_k weights_k slopes_k``: (n, k), (n, k, d) -> (n, d)."""
    return torch.bmm(weights.to(slopes.dtype).unsqueeze(1), slopes).squeeze(1)


def box_ascent(hessian: Tensor, gradient: Tensor, mu: Tensor) -> Tensor:
    """Maximise ``<g, m - mu> - (m - mu)^T H (m - mu) / 2`` over ``m >= 0``, nearly.

    A few passes coordinate by coordinate find which multipliers are zero; Newton steps on the others,
    cut off at the border, solve what coordinates alone would take forever for: cuts that point in
    nearly opposite directions, as they do where no attack exists.

    Args:
        hessian: (n, k, k), positive definite.
        gradient: (n, k).
        mu: (n, k), the start, >= 0.
    """
    m, rest = _by_coordinates(hessian, gradient, mu)
    for _ in range(SUBSPACE_STEPS):
        free = (m > 0).to(m.dtype)
        # Fixed variables become rows of the identity: one factorisation for every pattern.
        pattern = free.unsqueeze(1) * free.unsqueeze(2)
        factor = torch.linalg.cholesky_ex(hessian * pattern + torch.diag_embed(1 - free))[0]
        step = torch.cholesky_solve((rest * free).unsqueeze(2), factor).squeeze(2)
        step = step.nan_to_num(0.0, 0.0, 0.0)
        worst = (-step / m.clamp_min(torch.finfo(m.dtype).tiny) * free).amax(1, keepdim=True)
        m = (m + step / worst.clamp_min(1.0)).clamp_min(0)
        rest = gradient - torch.bmm(hessian, (m - mu).unsqueeze(2)).squeeze(2)
    return m


def _by_coordinates(hessian: Tensor, gradient: Tensor, mu: Tensor) -> tuple[Tensor, Tensor]:
    """``SWEEPS`` passes of exact coordinate ascent: the point and its gradient."""
    columns = hessian.unbind(1)
    inverse = (1 / hessian.diagonal(dim1=1, dim2=2)).unbind(1)
    m = [column.clone() for column in mu.unbind(1)]
    rest = gradient.clone()
    slots = rest.unbind(1)
    for _ in range(SWEEPS):
        for j, column in enumerate(columns):
            change = torch.maximum(slots[j] * inverse[j], -m[j])
            m[j] += change
            rest.addcmul_(column, change.unsqueeze(1), value=-1)
    return torch.stack(m, 1), rest


def _line_search(dual: Dual, w: Tensor, along: Tensor, rise: Tensor, bend: Tensor) -> Tensor:
    """(n, 1) float64 in (0, 1]: the longest halving of the step at which the dual still rises."""
    length = torch.ones_like(rise)
    for _ in range(HALVINGS):
        e, _ = dual.respond(w + length.to(w.dtype).unsqueeze(1) * along)
        falls = rise - length * bend + (e * along).sum(1, dtype=torch.float64) < 0
        length = torch.where(falls, length / 2, length)
        if not bool(falls.any()):
            break
    return length.unsqueeze(1)


def start_multiplier(geometry: Geometry, value: Tensor, w: Tensor) -> Tensor:
    """(n,) float64: the dual optimum of a single cut where the domain does not bind."""
    p = geometry.p
    if is_cube(p):
        return torch.ones_like(value)
    total = (geometry.steep(w).double() ** (p / (p - 1))).sum(1)
    return (value / total).nan_to_num(0.0, 0.0, 0.0).clamp_min(0) ** (p - 1)


def is_linear(p: float) -> bool:
    """Whether the master problem is better taken as the linear program of p = 1."""
    return p < 1.25
