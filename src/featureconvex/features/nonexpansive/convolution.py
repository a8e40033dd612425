"""Learned periodic convolutions that are orthogonal, whatever training does to their kernels."""

from typing import Any

import torch
from torch import Tensor, nn

from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.images import Images
from featureconvex.features.nonexpansive.weights import OrthogonalKernel, hold_fresh
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent, widening
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.operator_norm import periodic_norm
from featureconvex.rounding.periodic import Periodic, periodic, periodic_transposed
from featureconvex.rounding.steps import Affine


class NonexpansiveConv(FeatureMap):
    """``phi(x) = K * x + b`` on the torus, orthogonal by the Cayley transform: constant 1 in l2.

    Trockman and Kolter (ICLR 2021, arXiv 2104.07167): a periodic convolution is one matrix (outputs,
    inputs) per frequency, and each is made (semi-)orthogonal. What is learned has ``kernel`` taps a side;
    the kernel that convolves is as large as the image. Training multiplies spectra; what is evaluated and
    certified is the sum of products with the kernel, whose constants are measured
    (:func:`featureconvex.rounding.operator_norm.periodic_norm`).

    Args:
        shape: of one image, (channels, height, width).
        outputs: channels of the output.
        kernel: taps a side of what is learned, at most the image's sides.

    >>> phi = NonexpansiveConv((2, 4, 4), 3)
    >>> phi(torch.zeros(5, 2, 4, 4)).shape, phi.lipschitz(2) <= 1 + 1e-6
    (torch.Size([5, 3, 4, 4]), True)
    """

    affine = True
    learned = True

    def __init__(self, shape: tuple[int, int, int], outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.images = Images(shape)
        self.outputs = whole_number("outputs", outputs, 1)
        self.kernel = whole_number("kernel", kernel, 1)
        channels, *size = self.images.shape
        self.conv = nn.Conv2d(channels, self.outputs, (size[0], size[1]))
        taps = [min(self.kernel, side) for side in size]
        spread = (max(channels, self.outputs) * taps[0] * taps[1]) ** -0.5
        learned = torch.randn(self.outputs, channels, *taps) * spread
        hold_fresh(self.conv, OrthogonalKernel((size[0], size[1])), learned)

    def forward(self, x: Tensor) -> Tensor:
        """(n, channels, h, w) -> (n, outputs, h, w); in training by Fourier transforms.

        Raises:
            UserError: images of another shape.
        """
        self.images.check(self, x)
        kernel, bias = self.conv.weight, self.conv.bias
        assert bias is not None
        if not self.training:
            return periodic(x, kernel) + bias[:, None, None]
        blocks = torch.fft.rfft2(kernel).permute(2, 3, 0, 1)
        spectrum = torch.fft.rfft2(x).permute(2, 3, 1, 0)
        y: Tensor = torch.fft.irfft2((blocks @ spectrum).permute(3, 2, 0, 1), s=x.shape[2:])
        return y + bias[:, None, None]

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """At least ``||K *||`` from l_p to l_s, measured on the kernel in use."""
        return periodic_norm(
            self.conv.weight, check_exponent(p), check_exponent(p if s is None else s)
        )

    def by_construction(self, p: float, s: float) -> float:
        """1 from l2 to l2, and what follows for others."""
        sizes = self.images.numbers, self.images.numbers // self.images.shape[0] * self.outputs
        return widening(sizes[0], 2.0, check_exponent(p)) * widening(sizes[1], s, 2.0)

    def pullback(self, v: Tensor) -> Tensor:
        """The transposed convolution."""
        return periodic_transposed(v, self.conv.weight.to(v.dtype))

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One affine step."""
        assert self.conv.bias is not None
        shift = self.conv.bias.detach().double()[:, None, None]
        kernel = self.conv.weight.detach().double()
        return graph.apply(Affine(Periodic(kernel), shift, shift.abs()), node)

    def config(self) -> dict[str, Any]:
        """Sizes; the numbers are parameters."""
        return {
            "shape": list(self.images.shape),
            "outputs": self.outputs,
            "kernel": self.kernel,
        }
