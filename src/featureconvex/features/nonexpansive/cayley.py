"""Orthogonal matrices by the Cayley transform (arXiv 2104.07167)."""

import torch
from torch import Tensor

from featureconvex.errors import UserError


def cayley(w: Tensor) -> Tensor:
    """Matrices (..., m, n) with orthonormal columns (m >= n) or rows (m <= n); real or complex.

    For ``w = [U; V]`` with ``U`` square: ``A = U - U^H + V^H V`` and
    ``[(I + A)^-1 (I - A); -2 V (I + A)^-1]`` (section 4 of the paper). The real part of ``A`` is
    positive semidefinite, so ``I + A`` is invertible.

    >>> q = cayley(torch.tensor([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]]))
    >>> bool(torch.allclose(q.mT @ q, torch.eye(2), atol=1e-6))
    True
    """
    if w.shape[-1] > w.shape[-2]:
        return cayley(w.mH).mH
    n = w.shape[-1]
    u, v = w[..., :n, :], w[..., n:, :]
    a = u - u.mH + v.mH @ v
    eye = torch.eye(n, dtype=w.dtype, device=w.device)
    inverse = torch.linalg.inv(eye + a)
    return torch.cat((inverse @ (eye - a), -2 * v @ inverse), dim=-2)


def cayley_inverse(q: Tensor) -> Tensor:
    """A matrix ``w`` with ``cayley(w) = q``, for ``q`` with orthonormal columns or rows.

    ``I + A = 2 (I + Q_1)^-1`` for the square part ``Q_1``; ``V = -Q_2 (I + A) / 2``, and ``U`` a quarter of
    what is skew in ``A``. In float64.

    Raises:
        UserError: ``Q_1`` has the eigenvalue -1, which the transform never takes.

    >>> q = cayley(torch.tensor([[1.0, 2.0], [0.0, 3.0], [1.0, 1.0]]))
    >>> bool(torch.allclose(cayley(cayley_inverse(q)), q, atol=1e-5))
    True
    """
    if q.shape[-1] > q.shape[-2]:
        return cayley_inverse(q.mH).mH
    n, wide = q.shape[-1], q.to(torch.complex128 if q.is_complex() else torch.float64)
    eye = torch.eye(n, dtype=wide.dtype, device=q.device)
    whole, info = torch.linalg.inv_ex(eye + wide[..., :n, :])
    if bool(info.any()):
        raise UserError("the Cayley transform has no matrix with the eigenvalue -1; turn a sign")
    a = 2 * whole - eye
    w = torch.cat(((a - a.mH) / 4, -wide[..., n:, :] @ whole), dim=-2)
    return w.to(q.dtype)
