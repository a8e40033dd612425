"""Proved operator norms of stored matrices, from any p-norm to any s-norm.

``||M||_(p, s) = max ||M x||_s / ||x||_p``. Three families have a formula: from l1 the largest column in
the s-norm, to linf the largest row in the dual of the p-norm, and from l2 to l2 the largest singular value
(Higham, Accuracy and Stability of Numerical Algorithms, section 6.3). Any other pair takes the best detour
through one of them, ``||x||_a <= n^max(0, 1/a - 1/p) ||x||_p``.
"""

import math
from collections import OrderedDict
from hashlib import blake2b

import torch
from torch import Tensor

from featureconvex.norms import dual_exponent, widening
from featureconvex.rounding.directed import dual_norm_up
from featureconvex.rounding.spectral_bound import spectral_bound

# Covers the few roundings of products and powers of norms.
ROUND_UP = 1 + 2.0**-40
_KNOWN: "OrderedDict[bytes, float]" = OrderedDict()
MOST_KNOWN = 512


def operator_norm(matrix: Tensor, p: float, s: float) -> float:
    """At least ``max ||M x||_s / ||x||_p``, for the numbers as stored.

    Args:
        matrix: ``M`` (outputs, inputs), finite.
        p, s: exponents in [1, inf].

    >>> m = torch.tensor([[3.0, -4.0], [0.0, 1.0]])
    >>> operator_norm(m, math.inf, math.inf) >= 7, operator_norm(m, 1, math.inf) >= 4
    (True, True)
    """
    key = blake2b(digest_size=16)
    key.update(f"{p!r} {s!r} {matrix.dtype} {tuple(matrix.shape)}".encode())
    key.update(matrix.detach().cpu().contiguous().numpy().tobytes())
    name = key.digest()
    if name not in _KNOWN:
        _KNOWN[name] = _operator_norm(matrix.detach().double(), p, s)
        if len(_KNOWN) > MOST_KNOWN:
            _KNOWN.popitem(last=False)
    return _KNOWN[name]


def _operator_norm(m: Tensor, p: float, s: float) -> float:
    if not m.numel():
        return 0.0
    if p == 1:
        return float(dual_norm_up(m.abs().T, dual_exponent(s)).amax())
    if math.isinf(s):
        return float(dual_norm_up(m.abs(), p).amax())
    if p == s == 2:
        return spectral_bound(m)
    outputs, inputs = m.shape
    detours = [
        widening(inputs, a, p) * _operator_norm(m, a, b) * widening(outputs, s, b)
        for a, b in ((1.0, s), (p, math.inf), (2.0, 2.0))
    ]
    if p == s:
        detours.append(_between(m, p))
    return min(detours) * ROUND_UP


def _between(m: Tensor, p: float) -> float:
    """Riesz and Thorin: between two exponents the norm is at most the geometric mean of theirs."""
    near, far = (1.0, 2.0) if p < 2 else (2.0, math.inf)
    share = (1 / p - 1 / far) / (1 / near - 1 / far)
    return float(
        _operator_norm(m, near, near) ** share * _operator_norm(m, far, far) ** (1 - share)
    )


def costed(matrix: Tensor, cost: Tensor | None) -> Tensor:
    """``M diag(1 / cost)`` in float64, entries rounded away from zero; infinite costs give zeros.

    Args:
        matrix: (outputs, inputs).
        cost: (inputs,) positive, or None.
    """
    m = matrix.detach().double()
    if cost is None:
        return m
    quotient = m / cost.double()
    away = torch.nextafter(quotient, torch.full_like(quotient, math.inf).copysign(m))
    return torch.where(torch.isinf(cost) | (m == 0), 0.0, away)
