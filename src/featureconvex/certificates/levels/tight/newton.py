"""The master problem for p > 1: the cheapest attack that satisfies all cuts, by dual Newton steps.

    min sum_i |e_i|^s / s   with   value_k + <w_k, e> <= 0 for all cuts k,   -down <= e <= up.

``s = p`` for moderate p. For p = inf, ``s = 2`` inside the cube ``|e_i| <= reach``: any attack of budget
``reach`` will do, and if there is none the multipliers grow until their minorant proves it. With
multipliers ``mu >= 0`` and ``w = sum_k mu_k w_k`` the minimum over e is separable, so the dual is a smooth
concave function of as many variables as there are cuts; its Hessian is ``-W D W^T``, ``D`` diagonal.
"""

import math

import torch
from torch import Tensor

from featureconvex.certificates.levels.tight.geometry import Geometry

# Powers above this are treated as p = inf: |e|^p / p would be too stiff for Newton's method.
LARGEST_POWER = 6.0
DAMPING = 1e-3


def power_of(p: float) -> float:
    """The exponent ``s`` of the master problem."""
    return p if p <= LARGEST_POWER else 2.0


def respond(geometry: Geometry, w: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """The cheapest ``e`` against a slope, ``argmin <w, e> + sum |e|^s / s``, and ``D = -de/dw >= 0``.

    Args:
        geometry: the attackers.
        w: (n, d).
        reach: (n, 1), the cube's half side; ignored for moderate p.
    """
    down, up = geometry.down, geometry.up
    if geometry.p > LARGEST_POWER:
        down, up = torch.minimum(down, reach), torch.minimum(up, reach)
    s = power_of(geometry.p)
    if s == 2:
        free = -w
        e = torch.clamp(free, -down, up)
        return e, (e == free).to(w.dtype)
    size = w.abs().clamp_min(torch.finfo(w.dtype).tiny) ** (1 / (s - 1))
    free = -torch.sign(w) * size
    e = torch.clamp(free, -down, up)
    # At 0 the derivative vanishes (s < 2) or is infinite (s > 2): a typical size keeps it usable.
    typical = size.amax(1, keepdim=True)
    curvature = torch.maximum(size, 1e-2 * typical) ** (2 - s) / (s - 1)
    return e, curvature * (e == free)


def newton_master(
    geometry: Geometry,
    slopes: Tensor,
    values: Tensor,
    mu: Tensor,
    reach: Tensor,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """A few Newton steps on the dual from ``mu``.

    Args:
        geometry: the attackers.
        slopes: (n, k, d).
        values: (n, k) float64, the cuts at ``e = 0``.
        mu: (n, k) float64 >= 0.
        reach: (n, 1).
        steps: how many.

    Returns:
        mu (n, k) and the response ``e`` (n, d).
    """
    w = combine(mu, slopes)
    for _ in range(steps):
        e, curvature = respond(geometry, w, reach)
        gradient = values + torch.bmm(slopes, e.unsqueeze(2)).squeeze(2).double()
        hessian = torch.bmm(slopes * curvature.unsqueeze(1), slopes.mT).double()
        size = slopes.square().sum(2).double() * curvature.amax(1, keepdim=True).double()
        hessian.diagonal(dim1=1, dim2=2).add_(DAMPING * size.clamp_min(1e-30))
        step = box_ascent(hessian, gradient, mu) - mu
        along = combine(step, slopes)
        length = _line_search(geometry, w, along, (step * values).sum(1), reach)
        mu = (mu + length * step).clamp_min(0)
        w = combine(mu, slopes)
    return mu, respond(geometry, w, reach)[0]


def combine(weights: Tensor, slopes: Tensor) -> Tensor:
    """``sum_k weights_k slopes_k``: (n, k), (n, k, d) -> (n, d)."""
    return torch.bmm(weights.to(slopes.dtype).unsqueeze(1), slopes).squeeze(1)


def box_ascent(hessian: Tensor, gradient: Tensor, mu: Tensor, sweeps: int = 6) -> Tensor:
    """Maximise ``<g, m - mu> - (m - mu)^T H (m - mu) / 2`` over ``m >= 0``, coordinate by coordinate.

    Args:
        hessian: (n, k, k), positive definite.
        gradient: (n, k).
        mu: (n, k), the start.
        sweeps: passes over the coordinates.
    """
    columns = hessian.unbind(1)
    inverse = (1 / hessian.diagonal(dim1=1, dim2=2)).unbind(1)
    m = [column.clone() for column in mu.unbind(1)]
    rest = gradient.clone()
    slots = rest.unbind(1)
    for _ in range(sweeps):
        for j, column in enumerate(columns):
            change = torch.maximum(slots[j] * inverse[j], -m[j])
            m[j] += change
            rest.addcmul_(column, change.unsqueeze(1), value=-1)
    return torch.stack(m, 1)


def _line_search(
    geometry: Geometry, w: Tensor, along: Tensor, rise: Tensor, reach: Tensor
) -> Tensor:
    """(n, 1) float64 in (0, 1]: 1, 1/2 or 1/4, the longest at which the dual still rises."""
    length = torch.ones_like(rise)
    for _ in range(2):
        e, _ = respond(geometry, w + length.to(w.dtype).unsqueeze(1) * along, reach)
        falls = rise + (e * along).sum(1, dtype=torch.float64) < 0
        length = torch.where(falls, length / 2, length)
        if not bool(falls.any()):
            break
    return length.unsqueeze(1)


def start_multiplier(geometry: Geometry, value: Tensor, w: Tensor) -> Tensor:
    """(n,) float64: the dual optimum of a single cut where the domain does not bind."""
    s = power_of(geometry.p)
    dual = s / (s - 1)
    moving = geometry.steep(w).double()
    total = (moving**dual).sum(1)
    return (value / total).nan_to_num(0.0, 0.0, 0.0).clamp_min(0) ** (s - 1)


def is_linear(p: float) -> bool:
    """Whether the master problem is better taken as the linear program of p = 1."""
    return p < 1.25 or math.isnan(p)
