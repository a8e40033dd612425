"""Upper bounds on spectral norms that hold for the stored numbers, whatever produced them.

An orthogonal layer's nominal constant is 1; what a forward pass multiplies by is a matrix of floating
point numbers, and its norm is a little off. These bounds are proved for that matrix: the
factorisation is a guess, its residual is measured, and the rounding of the measurement is bounded
(:mod:`featureconvex.rounding.directed` has the model of floating point).
"""

import math

import torch
from torch import Tensor

from featureconvex.errors import UserError
from featureconvex.rounding.directed import FLOAT64, euclidean_up, upper


def spectral_bound(matrices: Tensor) -> float:
    """At least the spectral norm of every matrix of a stack (..., m, n), real or complex.

    For any ``U, s, V`` whatsoever: ``||M|| <= ||U|| max(s) ||V|| + ||M - U diag(s) V^T||_F`` and
    ``||U||^2 = ||U^T U|| <= 1 + ||U^T U - I||_F``. With the computed singular value decomposition the
    slack is some 1e-13. A complex matrix ``A + iB`` has the norm of the real ``[[A, -B], [B, A]]``.

    Raises:
        UserError: an entry is not finite.

    >>> bound = spectral_bound(torch.diag(torch.tensor([3.0, -5.0])))
    >>> 5 <= bound <= 5 + 1e-12
    True
    """
    m = _real(matrices)
    m = m.flatten(0, -3) if m.ndim > 2 else m[None]
    if not bool(torch.isfinite(m).all()):
        raise UserError("a weight is not finite; training diverged, lower the learning rate")
    u, s, vt = torch.linalg.svd(m, full_matrices=False)
    residual = (u * s[:, None]) @ vt - m
    # Entry by entry the product errs by gamma_(r+1) |U| diag(s) |V^T|, the subtraction relatively.
    errs = FLOAT64.gamma(s.shape[1] + 2) * _frobenius(u * s[:, None]) * _frobenius(vt)
    rest = upper(_frobenius(residual), 1) + upper(errs, 4)
    sides = upper((1 + _defect(u)) * (1 + _defect(vt.mT)), 3).sqrt()
    return float(upper(s.amax(dim=1) * sides + rest, 4).amax())


def _real(matrices: Tensor) -> Tensor:
    if not matrices.is_complex():
        return matrices.double()
    a, b = matrices.real.double(), matrices.imag.double()
    return torch.cat((torch.cat((a, -b), dim=-1), torch.cat((b, a), dim=-1)), dim=-2)


def _frobenius(stack: Tensor) -> Tensor:
    """At least the Frobenius norm of each matrix, (k, m, n) -> (k,)."""
    return euclidean_up(stack.flatten(1))


def _defect(u: Tensor) -> Tensor:
    """At least ``||U^T U - I||_F`` of each matrix, (k, m, r) -> (k,)."""
    gram = u.mT @ u - torch.eye(u.shape[2], dtype=u.dtype, device=u.device)
    errs = FLOAT64.gamma(u.shape[1] + 1) * _frobenius(u) ** 2
    return upper(upper(_frobenius(gram), 1) + upper(errs, 4), 2)


def convolution_blocks(kernel: Tensor, height: int, width: int) -> tuple[Tensor, float]:
    """The Fourier blocks of a kernel (o, i, k, l) on a torus of at least (height, width) + k - 1.

    A convolution of (height, width) images with zeros outside is a part of the periodic one on a torus
    so large that nothing wraps around, and periodic convolutions are block diagonal under the unitary
    Fourier transform: the largest block norm bounds the operator.

    Returns:
        The blocks (frequencies, o, i) complex128 and a bound on the Frobenius norm of the error of any
        of them.
    """
    rows, columns = height + kernel.shape[2] - 1, width + kernel.shape[3] - 1
    return _blocks(kernel.double(), rows, columns)


def periodic_bound(kernel: Tensor) -> float:
    """At least the spectral norm of the periodic convolution with a kernel (o, i, h, w) of images (h, w).

    >>> periodic_bound(torch.ones(1, 1, 3, 3)) <= 9 + 1e-9
    True
    """
    blocks, errs = _blocks(kernel.double(), *kernel.shape[2:])
    return math.nextafter(spectral_bound(blocks) + errs, math.inf)


def convolution_bound(kernel: Tensor, height: int, width: int) -> float:
    """At least the spectral norm of a convolution of (height, width) images with zeros outside."""
    blocks, errs = convolution_blocks(kernel, height, width)
    return math.nextafter(spectral_bound(blocks) + errs, math.inf)


def _blocks(kernel: Tensor, rows: int, columns: int) -> tuple[Tensor, float]:
    """On a torus (rows, columns): real images need one half of the frequencies."""
    k = max(kernel.shape[2:])
    taps, over = (
        torch.arange(n, dtype=torch.float64, device=kernel.device) for n in kernel.shape[2:]
    )
    down = torch.arange(rows, dtype=torch.float64, device=kernel.device) / rows
    across = torch.arange(columns // 2 + 1, dtype=torch.float64, device=kernel.device) / columns
    angle = down[:, None, None, None] * taps[:, None] + across[:, None, None] * over
    table = torch.polar(torch.ones_like(angle), -2 * math.pi * angle).flatten(2).flatten(0, 1)
    weights = kernel.flatten(2)
    blocks = torch.einsum("oit,ft->foi", weights.to(table.dtype), table)
    # An angle below 4 pi k errs by at most 16 pi k units; sine and cosine by as much and one more.
    wrong = FLOAT64.gamma(2 * k * k + 2) + 2 * (16 * math.pi * k + 2) * FLOAT64.unit
    errs = wrong * _frobenius(weights.abs().sum(dim=2)[None])
    return blocks, float(upper(errs, k * k + 4))
