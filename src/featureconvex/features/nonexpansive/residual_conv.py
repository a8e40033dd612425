"""Learned residual maps of images that are nonexpansive in l2."""

from typing import Any

from torch import Tensor, nn
from torch.nn.functional import conv_transpose2d, relu

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.images import Images
from featureconvex.features.nonexpansive.residual import residual_bound
from featureconvex.features.nonexpansive.weights import ContractingKernel, hold_fresh
from featureconvex.given import whole_number
from featureconvex.norms import ROUND_UP, check_exponent, widening
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.nonexpansive import Residual
from featureconvex.rounding.operator_norm import convolution_norm


class NonexpansiveResidualConv(FeatureMap):
    """``x - 2 V^T relu(V x + b)`` with a convolution ``V`` of norm at most 1: constant 1 in l2.

    :class:`~featureconvex.features.NonexpansiveResidual` for images, with zeros around them.

    Args:
        shape: of one image, (channels, height, width).
        hidden: output channels of ``V``; default the channels.
        kernel: its taps a side, odd.

    >>> NonexpansiveResidualConv((2, 4, 4)).lipschitz(2) <= 1 + 1e-5
    True
    """

    learned = True

    def __init__(
        self, shape: tuple[int, int, int], hidden: int | None = None, kernel: int = 3
    ) -> None:
        super().__init__()
        self.images = Images(shape)
        channels = self.images.shape[0]
        self.hidden = channels if hidden is None else whole_number("hidden", hidden, 1)
        self.kernel = whole_number("kernel", kernel, 1)
        if self.kernel % 2 == 0:
            raise UserError(f"kernel must be odd, so that it has a middle, got {kernel}")
        self.conv = nn.Conv2d(channels, self.hidden, self.kernel, padding=self.kernel // 2)
        nn.init.xavier_normal_(self.conv.weight)
        hold_fresh(self.conv, ContractingKernel())

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> the same shape.

        Raises:
            UserError: images of another shape.
        """
        self.images.check(self, x)
        hidden = relu(self.conv(x))
        return x - 2 * conv_transpose2d(hidden, self.conv.weight, padding=self.kernel // 2)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """At least the constant from l_p to l_s, through l2."""
        s = check_exponent(p if s is None else s)
        bound = residual_bound(convolution_norm(self.conv.weight, *self.images.shape[1:]))
        return bound * self.by_construction(p, s) * ROUND_UP

    def by_construction(self, p: float, s: float) -> float:
        """1 from l2 to l2, and what follows for others."""
        width = self.images.numbers
        return widening(width, 2.0, check_exponent(p)) * widening(width, s, 2.0)

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step."""
        assert self.conv.bias is not None
        kernel, bias = self.conv.weight.detach().double(), self.conv.bias.detach().double()
        step = Residual.of_images(kernel, bias, self.lipschitz(2.0), self.images.shape)
        return graph.apply(step, node)

    def config(self) -> dict[str, Any]:
        """Sizes; the numbers are parameters."""
        return {
            "shape": list(self.images.shape),
            "hidden": self.hidden,
            "kernel": self.kernel,
        }
