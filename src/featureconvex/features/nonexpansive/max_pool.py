"""Maxima over windows of an image."""

import math
from typing import Any

from torch import Tensor
from torch.nn.functional import max_pool2d

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.maxima import WindowMaximum
from featureconvex.rounding.windows import overlap, overlap_constant


class MaxPool(FeatureMap):
    """Maxima over windows of k x k pixels: constant 1 for disjoint windows, else ``m^(1/p)``.

    ``m`` is the number of windows that share a pixel at most, ``ceil(k / stride)^2``.

    Args:
        window: k.
        stride: between windows; default k. What is left at the ends of the image is dropped.

    >>> MaxPool(2).lipschitz(2), round(MaxPool(3, 2).lipschitz(2), 9)
    (1.0, 2.0)
    """

    def __init__(self, window: int, stride: int | None = None) -> None:
        super().__init__()
        self.window = whole_number("window", window, 1)
        self.stride = self.window if stride is None else whole_number("stride", stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w').

        Raises:
            UserError: no batch of images as large as a window.
        """
        if x.ndim != 4 or min(x.shape[2:]) < self.window:
            raise UserError(
                f"MaxPool({self.window}) takes images (n, c, h, w) no smaller than its window, got shape "
                f"{tuple(x.shape)}"
            )
        return max_pool2d(x, self.window, self.stride)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """``m^(1/s)`` from l_p to l_s, s >= p."""
        p, s = check_exponent(p), check_exponent(p if s is None else s)
        return overlap_constant(overlap(self.window, self.stride) ** 2, s) if s >= p else math.inf

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step, without any rounding."""
        window, stride = ((size, size) for size in (self.window, self.stride))
        return graph.apply(WindowMaximum(window, stride, (0, 0), (1, 1)), node)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"window": self.window, "stride": self.stride}
