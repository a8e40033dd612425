"""Discrete Fourier transforms as matrix products, with a proved error bound.

A complex image is held as (..., h, 2, w): in every row the real parts, then the imaginary ones. A
spectrum is held transposed, (..., w, 2, h), so that both passes are products with one matrix from the
right. Plain sums of products: nothing is assumed of a Fourier library.

Theorem. One pass over rows of n numbers errs by at most ``sqrt(2 n) gamma_(2 n + 16)`` relative to the
Euclidean norm of its result. Proof: the exact matrix ``M`` of size 2n has ``||M z|| = sqrt(n) ||z||`` and
``||M||_F = sqrt(2) n``; by the Cauchy-Schwarz inequality the rounding of the sums is at most
``gamma_2n ||M||_F ||z||``; the stored entries are right to ``4 u``, which adds at most ``8 u n ||z||``.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor

from featureconvex.rounding.directed import FLOAT64, Rounding


@lru_cache(maxsize=64)
def dft_matrix(n: int, inverse: bool = False) -> Tensor:
    """(2n, 2n) float64: ``[re, im] @ M`` is the unscaled transform of a row; entries right to 2^-51.

    >>> dft_matrix(1)
    tensor([[1., -0.],
            [0., 1.]], dtype=torch.float64)
    """
    turns = torch.outer(torch.arange(n), torch.arange(n)) % n
    pairs = torch.tensor([_root(k, n) for k in range(n)], dtype=torch.float64)
    cosine, sine = pairs[turns, 0], pairs[turns, 1] * (-1.0 if inverse else 1.0)
    return torch.cat((torch.cat((cosine, -sine), 1), torch.cat((sine, cosine), 1)))


def _root(k: int, n: int) -> tuple[float, float]:
    """Cosine and sine of ``2 pi k / n``, computed in the first octant: errors of at most 4 roundoffs."""
    k %= n
    if 2 * k > n:
        cosine, sine = _root(n - k, n)
        return cosine, -sine
    if 4 * k > n:
        cosine, sine = _octant(n - 2 * k, 2 * n)
        return -cosine, sine
    return _octant(2 * k, 2 * n)


def _octant(k: int, n: int) -> tuple[float, float]:
    """For angles up to a quarter turn: ``2 pi k / n = pi / 2 - 2 pi (n - 4 k) / (4 n)``."""
    if 8 * k > n:
        angle = 2 * math.pi * (n - 4 * k) / (4 * n)
        return math.sin(angle), math.cos(angle)
    angle = 2 * math.pi * k / n
    return math.cos(angle), math.sin(angle)


def _rows(z: Tensor, matrix: Tensor) -> Tensor:
    """(..., a, 2, n) -> (..., a, 2, m): a product with a (2n, 2m) matrix."""
    return (z.flatten(-2) @ matrix).view(*z.shape[:-2], 2, matrix.shape[1] // 2)


def spectrum(x: Tensor) -> Tensor:
    """Real images (..., h, w) float64 -> transposed spectra (..., w, 2, h)."""
    h, w = x.shape[-2:]
    first = (x @ dft_matrix(w)[:w].to(x.device)).view(*x.shape[:-1], 2, w)
    return _rows(first.transpose(-3, -1).contiguous(), dft_matrix(h).to(x.device))


def folded(z: Tensor, stride: int) -> Tensor:
    """(..., w, 2 or 1, h): sums over frequencies that keeping every ``stride``-th pixel makes equal."""
    if stride == 1:
        return z
    w, parts, h = z.shape[-3:]
    aliases = z.reshape(*z.shape[:-3], stride, w // stride, parts, stride, h // stride)
    return aliases.sum((-5, -2))


def image(z: Tensor, real: bool = False) -> Tensor:
    """Transposed spectra (..., w, 2, h) -> unscaled images (..., h, 2, w); (..., h, w) if only ``real``."""
    w, h = z.shape[-3], z.shape[-1]
    first = _rows(z, dft_matrix(h, inverse=True).to(z.device)).transpose(-3, -1).contiguous()
    back = dft_matrix(w, inverse=True).to(z.device)
    return first.flatten(-2) @ back[:, :w] if real else _rows(first, back)


def accuracy(shape: tuple[int, int], arithmetic: Rounding) -> float:
    """Relative to its own Euclidean norm, how far a transform of this shape may be off.

    Covers the products of this file in float64, with a scaling of the result, and any transform that
    is right to ``8 log2(2 N)`` units of roundoff in ``arithmetic``: see DEPLOYED in
    :mod:`featureconvex.certificates.levels.sound.deployed`.
    """
    products = sum(math.sqrt(2 * n) * FLOAT64.gamma(2 * n + 16) for n in shape)
    fast = 8 * math.log2(2 * shape[0] * shape[1]) * arithmetic.unit
    return max(1.02 * products + 4 * FLOAT64.unit, 1.02 * fast)
