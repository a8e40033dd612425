"""Orthogonal dense and convolutional layers by the Cayley transform (arXiv 2104.07167)."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from featureconvex.errors import UserError
from featureconvex.features.nonexpansive.layers import Frozen, LipschitzLayer
from featureconvex.rounding.spectral_bound import spectral_bound


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
    n, wide = q.shape[-1], q.double()
    eye = torch.eye(n, dtype=wide.dtype, device=q.device)
    whole, info = torch.linalg.inv_ex(eye + wide[..., :n, :])
    if bool(info.any()):
        raise UserError("the Cayley transform has no matrix with the eigenvalue -1; turn a sign")
    a = 2 * whole - eye
    w = torch.cat(((a - a.mH) / 4, -wide[..., n:, :] @ whole), dim=-2)
    return w.to(q.dtype)


class CayleyDense(LipschitzLayer):
    """``Q x + b`` with a (semi-)orthogonal ``Q`` (outputs, inputs): (n, inputs) -> (n, outputs)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.raw = nn.Parameter(torch.randn(outputs, inputs) / max(inputs, outputs) ** 0.5)
        self.scale = nn.Parameter(self.raw.detach().norm())
        self.bias = nn.Parameter(torch.zeros(outputs))

    def matrix(self, dtype: torch.dtype) -> Tensor:
        """``Q`` of the present parameters; as in the authors' code their length is learnt apart."""
        raw = self.raw.to(dtype)
        return cayley(self.scale.to(dtype) * raw / raw.norm())

    def forward(self, x: Tensor) -> Tensor:
        """``Q x + b``."""
        return linear(x, self.matrix(x.dtype), self.bias)

    def frozen(self) -> Frozen:
        """With the norm of ``Q`` as computed."""
        q, bias = self.matrix(torch.float64).detach(), self.bias.detach().double()
        return Frozen(lambda x: linear(x, q, bias), spectral_bound(q))


class CayleyConv(LipschitzLayer):
    """A periodic orthogonal convolution: (n, i, h, w) -> (n, o, h, w).

    The discrete Fourier transform makes a periodic convolution one (o, i) matrix per frequency; each
    is made (semi-)orthogonal. The transform is unitary up to scale, and leaving out the conjugate
    half of the frequencies loses nothing for real images, so the largest block norm bounds the
    operator.
    """

    def __init__(self, inputs: int, outputs: int, height: int, width: int, kernel: int = 3) -> None:
        super().__init__()
        self.grid = height, width
        size = min(kernel, height), min(kernel, width)
        spread = (max(inputs, outputs) * size[0] * size[1]) ** 0.5
        self.raw = nn.Parameter(torch.randn(outputs, inputs, *size) / spread)
        self.scale = nn.Parameter(self._spectrum(self.raw.detach()).norm())
        self.bias = nn.Parameter(torch.zeros(outputs))

    def _spectrum(self, raw: Tensor) -> Tensor:
        """(o, i, k, k) -> (h, w // 2 + 1, o, i), with the kernel centred."""
        height, width = self.grid
        padded = torch.nn.functional.pad(raw, (0, width - raw.shape[3], 0, height - raw.shape[2]))
        centred = padded.roll((-(raw.shape[2] // 2), -(raw.shape[3] // 2)), dims=(2, 3))
        spectrum: Tensor = torch.fft.rfft2(centred).permute(2, 3, 0, 1)
        return spectrum

    def blocks(self, dtype: torch.dtype) -> Tensor:
        """(h, w // 2 + 1, o, i) complex: the matrices of the present parameters."""
        spectrum = self._spectrum(self.raw.to(dtype))
        return cayley(self.scale.to(dtype) * spectrum / spectrum.norm())

    def _convolve(self, x: Tensor, blocks: Tensor, bias: Tensor) -> Tensor:
        spectrum = torch.fft.rfft2(x).permute(2, 3, 1, 0)
        y: Tensor = torch.fft.irfft2((blocks @ spectrum).permute(3, 2, 0, 1), s=self.grid)
        return y + bias[:, None, None]

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of a batch."""
        return self._convolve(x, self.blocks(x.dtype), self.bias)

    def frozen(self) -> Frozen:
        """With the largest norm of the blocks as computed."""
        blocks, bias = self.blocks(torch.float64).detach(), self.bias.detach().double()
        return Frozen(lambda x: self._convolve(x, blocks, bias), spectral_bound(blocks))
