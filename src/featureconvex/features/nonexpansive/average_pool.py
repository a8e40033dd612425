"""Sums over windows of an image, with a fixed divisor."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from featureconvex.errors import UserError
from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.images import Images
from featureconvex.given import whole_number
from featureconvex.norms import check_exponent
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.steps import Affine
from featureconvex.rounding.windows import WindowSums, overlap


class AveragePool(FeatureMap):
    """Sums over windows of k x k pixels, divided by ``divisor``.

    Disjoint windows with divisor k are rows of length 1 that share no pixel: constant 1 in l2. Divided by
    ``k^2`` they are averages: constant 1 in linf, ``1 / k`` in l2, ``1 / k^2`` in l1. In general
    ``k^(2 - 2/p) m^(1/s) / divisor`` from l_p to l_s, where at most m windows share a pixel.

    Args:
        shape: of one image, (channels, height, width).
        window: k.
        stride: between windows; default k. What is left at the ends of the image is dropped.
        divisor: a whole number; default ``k^2``.

    >>> phi = AveragePool((1, 4, 4), 2, divisor=2)
    >>> round(phi.lipschitz(2), 9), round(phi.lipschitz(1), 9)
    (1.0, 0.5)
    """

    affine = True
    # Nothing is, but sums of coordinates are best between two norms.
    learned = True

    def __init__(
        self,
        shape: Sequence[int],
        window: int,
        stride: int | None = None,
        divisor: int | None = None,
    ) -> None:
        super().__init__()
        self.images = Images(shape)
        self.window = whole_number("window", window, 1)
        self.stride = self.window if stride is None else whole_number("stride", stride, 1)
        self.divisor = self.window**2 if divisor is None else whole_number("divisor", divisor, 1)
        if min(self.images.shape[1:]) < self.window:
            raise UserError(f"a window of {self.window} does not fit images {self.images.shape}")

    @property
    def _sums(self) -> WindowSums:
        pool = partial(
            avg_pool2d,
            kernel_size=self.window,
            stride=self.stride,
            divisor_override=self.divisor,
        )
        shared = overlap(self.window, self.stride) ** 2
        return WindowSums(pool, self.window**2, shared, self.divisor)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c, h', w').

        Raises:
            UserError: images of another shape.
        """
        self.images.check(self, x)
        return self._sums.apply(x)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """See the class; s >= p."""
        return self._sums.norm(check_exponent(p), check_exponent(p if s is None else s))

    def pullback(self, v: Tensor) -> Tensor:
        """Every sum's weight to its pixels."""
        return self._sums.transposed(v, torch.Size((len(v), *self.images.shape)))

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One affine step."""
        return graph.apply(Affine(self._sums), node)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "shape": list(self.images.shape),
            "window": self.window,
            "stride": self.stride,
            "divisor": self.divisor,
        }
