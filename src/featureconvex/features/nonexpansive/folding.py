"""Space to depth: a map that only moves pixels."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from featureconvex.features.base import FeatureMap
from featureconvex.features.nonexpansive.images import Images
from featureconvex.features.nonexpansive.reshaping import permutation_constant
from featureconvex.given import whole_number
from featureconvex.rounding.graph import Graph
from featureconvex.rounding.nonexpansive import Folding, fold, unfold


class Fold(FeatureMap):
    """Every k x k block of pixels becomes k^2 channels: constant 1 for every p.

    Zeros below and on the right make the sides divisible.

    Args:
        shape: of one image, (channels, height, width).
        factor: k.

    >>> Fold((1, 4, 6), 2).output_shape((1, 4, 6))
    (4, 2, 3)
    """

    affine = True

    def __init__(self, shape: Sequence[int], factor: int) -> None:
        super().__init__()
        self.images = Images(shape)
        self.factor = whole_number("factor", factor, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(n, c, h, w) -> (n, c k^2, h / k, w / k).

        Raises:
            UserError: images of another shape.
        """
        self.images.check(self, x)
        return fold(x, self.factor)

    def lipschitz(self, p: float, s: float | None = None) -> float:
        """1 from l_p to l_p, and to every larger norm."""
        return permutation_constant(p, s)

    def pullback(self, v: Tensor) -> Tensor:
        """Pixels back to their places."""
        return unfold(v, self.factor, (len(v), *self.images.shape))

    def rounding_steps(self, graph: Graph, node: int) -> int:
        """One step, without any rounding."""
        return graph.apply(Folding(self.factor), node)

    def config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {"shape": list(self.images.shape), "factor": self.factor}
