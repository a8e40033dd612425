"""Proved operator norms of stored matrices and kernels, from any p-norm to any s-norm.

``||M||_(p, s) = max ||M x||_s / ||x||_p``. Three families have a formula: from l1 the largest column in
the s-norm, to linf the largest row in the dual of the p-norm, and from l2 to l2 the largest singular value
(Higham, Accuracy and Stability of Numerical Algorithms, section 6.3). Any other pair takes the best detour
through one of them, ``||x||_a <= n^max(0, 1/a - 1/p) ||x||_p``.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from featureconvex.norms import dual_exponent, widening
from featureconvex.rounding.directed import dual_norm_up
from featureconvex.rounding.spectral_bound import convolution_bound, periodic_bound, spectral_bound

# Covers the few roundings of products and powers of norms.
ROUND_UP = 1 + 2.0**-40
_KNOWN: "OrderedDict[bytes, float]" = OrderedDict()
MOST_KNOWN = 512


@dataclass(frozen=True)
class Matrix:
    """What the formulas need to know of a matrix.

    Attributes:
        columns, rows: (k, m) and (l, n) float64: up to the order of their entries, all that occur.
        outputs, inputs: the matrix's size.
        spectral: at least its largest singular value.
    """

    columns: Tensor
    rows: Tensor
    outputs: int
    inputs: int
    spectral: Callable[[], float]


def operator_norm(matrix: Tensor, p: float, s: float) -> float:
    """At least ``max ||M x||_s / ||x||_p``, for the numbers as stored.

    Args:
        matrix: ``M`` (outputs, inputs), finite.
        p, s: exponents in [1, inf].

    >>> m = torch.tensor([[3.0, -4.0], [0.0, 1.0]])
    >>> operator_norm(m, math.inf, math.inf) >= 7, operator_norm(m, 1, math.inf) >= 4
    (True, True)
    """
    return _known(f"matrix {p!r} {s!r}", matrix, lambda m: _norm(_dense(m), p, s))


def periodic_norm(kernel: Tensor, p: float, s: float) -> float:
    """The same for the periodic convolution with a kernel (o, i, h, w) as large as its images.

    >>> periodic_norm(torch.ones(1, 1, 2, 2), 2, 2) >= 4
    True
    """
    return _known(f"periodic {p!r} {s!r}", kernel, lambda k: _norm(_periodic(k), p, s))


def convolution_norm(kernel: Tensor, height: int, width: int) -> float:
    """At least the spectral norm of the convolution of (height, width) images with zeros around them."""
    kind = f"convolution {height} {width}"
    return _known(kind, kernel, lambda k: convolution_bound(k, height, width))


def _known(kind: str, numbers: Tensor, compute: Callable[[Tensor], float]) -> float:
    """Computed once for the same numbers, bit for bit."""
    key = blake2b(digest_size=16)
    key.update(f"{kind} {numbers.dtype} {tuple(numbers.shape)}".encode())
    key.update(numbers.detach().cpu().contiguous().numpy().tobytes())
    name = key.digest()
    found = _KNOWN.get(name)
    if found is None:
        m = numbers.detach().double()
        found = _KNOWN[name] = compute(m) if m.numel() else 0.0
        if len(_KNOWN) > MOST_KNOWN:
            # Another thread may have been here first.
            _KNOWN.pop(next(iter(_KNOWN)), None)
    return found


def _dense(m: Tensor) -> Matrix:
    # Known by itself: the other pairs of norms make detours through it.
    return Matrix(m.T, m, m.shape[0], m.shape[1], lambda: _known("spectral", m, spectral_bound))


def _periodic(kernel: Tensor) -> Matrix:
    """Shifts of an image permute the entries of a row; the Fourier transform makes blocks of it."""
    o, i, height, width = kernel.shape
    columns, rows = kernel.transpose(0, 1).flatten(1), kernel.flatten(1)
    return Matrix(
        *(columns, rows, o * height * width, i * height * width),
        lambda: _known("periodic spectral", kernel, periodic_bound),
    )


def _norm(m: Matrix, p: float, s: float) -> float:
    if p == 1:
        return float(dual_norm_up(m.columns.abs(), dual_exponent(s)).amax())
    if math.isinf(s):
        return float(dual_norm_up(m.rows.abs(), p).amax())
    if p == s == 2:
        return m.spectral()
    detours = [
        widening(m.inputs, a, p) * _norm(m, a, b) * widening(m.outputs, s, b)
        for a, b in ((1.0, s), (p, math.inf), (2.0, 2.0))
    ]
    if p == s:
        detours.append(_between(m, p))
    return min(detours) * ROUND_UP


def _between(m: Matrix, p: float) -> float:
    """Riesz and Thorin: between two exponents the norm is at most the geometric mean of theirs."""
    near, far = (1.0, 2.0) if p < 2 else (2.0, math.inf)
    share = (1 / p - 1 / far) / (1 / near - 1 / far)
    return float(_norm(m, near, near) ** share * _norm(m, far, far) ** (1 - share))


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
