"""A radius from one affine minorant, cheaply: every formula is a proof, none is the sharpest."""

import math

import torch
from torch import Tensor

from featureconvex.certificates.levels.tight.geometry import Geometry
from featureconvex.norms import dual_exponent, vector_norm

# Multipliers are nearly right when they come from the master problem; these scales repair the rest.
SCALES = (0.98, 1.0)


def dual_radius(geometry: Geometry, value: Tensor, w: Tensor) -> Tensor:
    """(n,) float64: a radius below which ``value + <w, e>`` stays positive inside the domain.

    Without a domain ``value / ||w||_q``. With one, for p = inf the root of
    ``value = sum_i |w_i| min(room_i, r)`` by Newton's method from the left (the sum is concave in r,
    so no step overshoots); for finite p and any scale ``s >= 0`` weak duality,
    ``r^p / p >= s value - sum_i max over t in [0, room_i] of s |w_i| t - t^p / p``.

    Args:
        geometry: the attackers.
        value: (n,) float64, the minorant at ``e = 0``.
        w: (n, d), its slope; for finite p near the scale at which the dual is largest.
    """
    room = geometry.room(w)
    steep = geometry.steep(w)
    radius = value / vector_norm(steep, dual_exponent(geometry.p))
    if not geometry.unbounded:
        if math.isinf(geometry.p):
            radius = _uniform(value, steep, room, radius)
        else:
            radius = _weak_duality(value, steep, room, geometry.p, radius)
        total = torch.where(steep > 0, steep * room, 0.0).sum(1, dtype=torch.float64)
        radius = torch.where(total < value, torch.inf, radius)
    return torch.where(value > 0, radius, 0.0).nan_to_num(nan=0.0, posinf=torch.inf)


def _uniform(value: Tensor, steep: Tensor, room: Tensor, start: Tensor) -> Tensor:
    r = start.clamp(0, torch.finfo(steep.dtype).max)
    for _ in range(5):
        reach = r.to(steep.dtype)[:, None]
        fall = (steep * torch.minimum(room, reach)).sum(1, dtype=torch.float64)
        pace = (steep * (room > reach)).sum(1, dtype=torch.float64)
        r = r + ((value - fall) / pace).nan_to_num(0.0, 0.0, 0.0).clamp_min(0)
    return r


def _weak_duality(value: Tensor, steep: Tensor, room: Tensor, p: float, start: Tensor) -> Tensor:
    best = start
    for scale in SCALES:
        rate = scale * steep
        if p == 1:
            gain = torch.where(rate > 1, room * (rate - 1), 0.0)
            best = torch.maximum(best, scale * value - gain.sum(1, dtype=torch.float64))
            continue
        t = torch.minimum(rate if p == 2 else rate ** (1 / (p - 1)), room)
        gain = (rate * t - (t * t if p == 2 else t**p) / p).sum(1, dtype=torch.float64)
        best = torch.maximum(best, (p * (scale * value - gain)).clamp_min(0) ** (1 / p))
    return best
