"""The sets that hold the weights of learned feature maps."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from featureconvex.errors import UserError
from featureconvex.features.nonexpansive.cayley import cayley, cayley_inverse
from featureconvex.nn.constraint import Constraint, Remembering, hold

# An assigned weight may miss its set by rounding; what certifies is measured anyway.
TOLERANCE = 1e-3
# At which the norm of a convolution is looked at when a weight is assigned.
FREQUENCIES = (32, 32)


def hold_fresh(
    layer: nn.Linear | nn.Conv2d, constraint: Constraint, raw: Tensor | None = None
) -> None:
    """Hold the weight of a layer to a set, starting from its present one, moved into the set.

    Args:
        layer: whose bias becomes 0.
        constraint: the set.
        raw: what is learned, where it has another shape than the weight.
    """
    with torch.no_grad():
        layer.weight.copy_(constraint(layer.weight if raw is None else raw))
        if layer.bias is not None:
            layer.bias.zero_()
    hold(layer, "weight", constraint)
    if raw is not None:
        layer.parametrizations.weight.original = nn.Parameter(raw)  # type: ignore[union-attr]
    if isinstance(constraint, Remembering):
        constraint.forget()


def _refuse(what: str, found: float) -> UserError:
    return UserError(
        f"the weight must be {what}; this one is {found:.6g} at its largest. Divide it by that, or train "
        "the layer instead of assigning to it"
    )


class Orthogonal(Remembering):
    """Matrices with orthonormal rows or columns, by the Cayley transform: l2 to l2."""

    def into(self, raw: Tensor) -> Tensor:
        """``cayley(raw)``, in memory as a stored weight is: products round by the order of their sums."""
        return cayley(raw).contiguous()

    def back(self, weight: Tensor) -> Tensor:
        """The inverse transform."""
        return cayley_inverse(weight)

    def check(self, weight: Tensor) -> None:
        """Rows or columns are orthonormal."""
        q = weight.detach().double()
        gram = q @ q.mT if q.shape[0] <= q.shape[1] else q.mT @ q
        eye = torch.eye(len(gram), dtype=q.dtype, device=q.device)
        _check_gram(float((gram - eye).abs().amax()))


def _check_gram(defect: float) -> None:
    if not defect <= TOLERANCE:
        raise UserError(
            f"the weight must have orthonormal rows or columns; their products are off by {defect:.3g}"
        )


class OrthogonalKernel(Remembering):
    """Kernels (o, i, h, w) of periodic convolutions with orthonormal rows or columns: l2 to l2.

    The discrete Fourier transform makes a periodic convolution one (o, i) matrix per frequency, and each is
    in the set of :class:`Orthogonal`. Real kernels have conjugate matrices at opposite frequencies, which
    the transform keeps.

    Args:
        size: (h, w); what is learned may have fewer taps.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def _spectrum(self, kernel: Tensor) -> Tensor:
        """(o, i, ., .) -> (h, w // 2 + 1, o, i)."""
        spectrum: Tensor = torch.fft.rfft2(kernel, s=self.size)
        return spectrum.permute(2, 3, 0, 1)

    def _kernel(self, blocks: Tensor) -> Tensor:
        kernel: Tensor = torch.fft.irfft2(blocks.permute(2, 3, 0, 1), s=self.size)
        return kernel.contiguous()

    def into(self, raw: Tensor) -> Tensor:
        """The transform of every frequency; fewer taps are centred first."""
        down, across = raw.shape[2:]
        centred = pad(raw, (0, self.size[1] - across, 0, self.size[0] - down))
        if (down, across) != self.size:
            centred = centred.roll((-(down // 2), -(across // 2)), (2, 3))
        return self._kernel(cayley(self._spectrum(centred)))

    def back(self, weight: Tensor) -> Tensor:
        """The inverse transform: as many taps as the image has pixels."""
        return self._kernel(cayley_inverse(self._spectrum(weight.double()))).to(weight.dtype)

    def check(self, weight: Tensor) -> None:
        """Rows or columns are orthonormal at every frequency."""
        q = self._spectrum(weight.detach().double())
        gram = q @ q.mH if q.shape[2] <= q.shape[3] else q.mH @ q
        eye = torch.eye(gram.shape[-1], dtype=gram.dtype, device=q.device)
        _check_gram(float((gram - eye).abs().amax()))

    def config(self) -> dict[str, Any]:
        """The size."""
        return {"size": self.size}


class BoundedEntries(Constraint):
    """Entries in [-1, 1]: l1 to linf."""

    def forward(self, raw: Tensor) -> Tensor:
        """Clamped."""
        return raw.clamp(-1.0, 1.0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Itself."""
        largest = float(weight.detach().abs().amax())
        if not largest <= 1 + TOLERANCE:
            raise _refuse("at most 1 in every entry", largest)
        return weight

    @torch.no_grad()
    def project_(self, raw: Tensor) -> None:
        """Clamp: outside the set the gradient vanishes."""
        raw.clamp_(-1.0, 1.0)


class BoundedRows(Remembering):
    """Absolute sums of rows at most 1: linf to linf."""

    dim = 1

    def into(self, raw: Tensor) -> Tensor:
        """Rows that are too long are divided by their length."""
        return raw / raw.abs().sum(self.dim, keepdim=True).clamp_min(1.0)

    def back(self, weight: Tensor) -> Tensor:
        """Itself."""
        return weight

    def check(self, weight: Tensor) -> None:
        """No row is too long."""
        largest = float(weight.detach().abs().sum(self.dim).amax())
        if not largest <= 1 + TOLERANCE:
            raise _refuse(f"at most 1 in the absolute sums over dimension {self.dim}", largest)


class BoundedColumns(BoundedRows):
    """Absolute sums of columns at most 1: l1 to l1."""

    dim = 0


class Contraction(Remembering):
    """``V = T^(-1/2) W``, ``T_i = sum_j |W W^T|_ij``: norm at most 1 in l2.

    ``T - W W^T`` is diagonally dominant, hence positive semidefinite (Araujo et al., ICLR 2023, arXiv
    2303.03169, with all q equal).
    """

    def into(self, raw: Tensor) -> Tensor:
        """Rescaled rows."""
        return raw * (raw @ raw.mT).abs().sum(1, keepdim=True).clamp_min(1e-12).rsqrt()

    def back(self, weight: Tensor) -> Tensor:
        """Itself: rescaling it again changes little."""
        return weight

    def check(self, weight: Tensor) -> None:
        """The spectral norm is at most 1."""
        largest = float(torch.linalg.matrix_norm(weight.detach().double(), 2))
        if not largest <= 1 + TOLERANCE:
            raise _refuse("at most 1 in spectral norm", largest)


class ContractingKernel(Remembering):
    """The same for kernels (o, i, k, k) of convolutions with zeros around images of any size."""

    def into(self, raw: Tensor) -> Tensor:
        """Rescaled output channels: their overlaps at all shifts are the entries of ``W W^T``."""
        overlaps = conv2d(raw, raw, padding=raw.shape[-1] - 1).abs().sum(dim=(1, 2, 3))
        return raw * overlaps.clamp_min(1e-12).rsqrt()[:, None, None, None]

    def back(self, weight: Tensor) -> Tensor:
        """Itself: rescaling it again changes little."""
        return weight

    def check(self, weight: Tensor) -> None:
        """The spectral norm is at most 1 at all of many frequencies."""
        blocks = torch.fft.rfft2(weight.detach().double(), s=FREQUENCIES).permute(2, 3, 0, 1)
        largest = float(torch.linalg.matrix_norm(blocks, 2).amax())
        if not largest <= 1 + TOLERANCE:
            raise _refuse("at most 1 in spectral norm", largest)
