"""Periodic convolutions: images on a torus, and kernels as large as they are."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from featureconvex.rounding.operator_norm import periodic_norm
from featureconvex.rounding.operators import Operator


def periodic(x: Tensor, kernel: Tensor) -> Tensor:
    """``y_a = sum_s K_s x_(a - s)`` on the torus: (n, i, h, w), (o, i, h, w) -> (n, o, h, w).

    Plain sums of products, so that its rounding is known; a Fourier transform is faster.
    """
    return F.conv2d(_around(x, after=False), kernel.flip(2, 3))


def periodic_transposed(g: Tensor, kernel: Tensor) -> Tensor:
    """The transposed map, (n, o, h, w) -> (n, i, h, w)."""
    return F.conv2d(_around(g, after=True), kernel.transpose(0, 1))


def _around(x: Tensor, after: bool) -> Tensor:
    """(n, c, h, w) -> (n, c, 2 h - 1, 2 w - 1), once more around the torus."""
    for dim in (2, 3):
        more = x.shape[dim] - 1
        if more:
            extra = x.narrow(dim, 0 if after else 1, more)
            x = torch.cat((x, extra) if after else (extra, x), dim=dim)
    return x


@dataclass(frozen=True)
class Periodic(Operator):
    """A periodic convolution; ``kernel`` (o, i, h, w)."""

    kernel: Tensor
    convolves = True

    @property
    def terms(self) -> int:
        """A whole image in every channel."""
        return self.kernel[0].numel()

    @property
    def transposed_terms(self) -> int:
        """The same after."""
        return self.kernel[:, 0].numel()

    def apply(self, x: Tensor) -> Tensor:
        """(n, i, h, w) -> (n, o, h, w)."""
        return periodic(x, self.kernel)

    def transposed(self, g: Tensor, shape: torch.Size) -> Tensor:
        """(n, o, h, w) -> (n, i, h, w)."""
        return periodic_transposed(g, self.kernel)

    def magnitude(self) -> "Periodic":
        """Absolute kernel."""
        return Periodic(self.kernel.abs())

    def signs(self) -> tuple["Periodic", "Periodic"]:
        """Of the kernel."""
        return Periodic((self.kernel > 0).double()), Periodic((self.kernel < 0).double())

    def norm(self, p: float, s: float) -> float:
        """By its Fourier blocks, rows and columns."""
        return periodic_norm(self.kernel, p, s)
